"""A process that backfills export files and may be killed on the way. Imported once by a fork server, forked per run."""

from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from pay_ready.db.tenancy import Database, PoolOptions
from pay_ready.failpoints import FailpointMode, armed
from pay_ready.logs import configure_logs
from pay_ready.model.ids import TenantId
from pay_ready.model.progress import ProgressEvent
from pay_ready.pipeline.backfill.run import run_backfills
from pay_ready.pipeline.land.buffer import FlushLimits
from tests.backfill_support import OPTIONS, of_source, request, tenant_work


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One backfill of three chunks: where, and at which failpoint it ends once one chunk is complete."""

    app_url: str
    tenant: TenantId
    folder: Path
    failpoint: str | None = None
    mode: FailpointMode = "kill"
    after_chunks: int = 1
    readers: int = 1


def backfill(job: Job) -> None:
    """Run it: exit code 0 when complete, 1 when not, -9 when killed."""
    configure_logs("error", "json")
    database = Database(job.app_url, PoolOptions(max_size=4, overflow=0))
    database.open()
    with ExitStack() as stack:
        stack.callback(database.close)
        is_armed = [not job.failpoint]

        def arm(event: ProgressEvent | None) -> None:
            if not is_armed[0] and job.failpoint and (event is None or event.done >= job.after_chunks):
                is_armed[0] = True
                stack.enter_context(armed(job.failpoint, job.mode))

        if job.after_chunks == 0:
            arm(None)
        work = tenant_work(database, job.tenant, job.folder, replay=True, options=replace(OPTIONS, limits=FlushLimits(rows=5)))
        [report] = run_backfills([of_source(work, request("2026-01-04"))], max_active=job.readers, progress=arm)
        if report.status != "complete":
            raise SystemExit(1)
