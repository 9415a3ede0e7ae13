"""A process that has a connection synced and may be ended on the way. Imported once by a fork server, forked per run."""

import sys
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from pay_ready.db import sources
from pay_ready.db.tenancy import Database, PoolOptions
from pay_ready.failpoints import armed
from pay_ready.logs import configure_logs
from pay_ready.model.ids import TenantId
from pay_ready.pipeline.airbyte.job import run_job
from pay_ready.sources.airbyte import AirbyteClient
from pay_ready.sources.airbyte_access import open_access
from tests.airbyte_support import QUICK, QUICK_JOB


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRun:
    """One run: whose, where, and at which point it is killed."""

    app_url: str
    tenant: TenantId
    airbyte_url: str
    credentials: bytes
    connection_id: str
    failpoint: str | None = None
    errors: Path | None = None  # where standard error goes


def run_one(run: JobRun) -> None:
    """Run it: exit code 0 when the job succeeded, 1 when not, -9 when killed."""
    if run.errors:
        sys.stderr = run.errors.open("w", buffering=1)
    configure_logs("error", "json")
    database = Database(run.app_url, PoolOptions(max_size=3, overflow=0))
    database.open()
    with database.tenant_transaction(run.tenant) as tx:
        source = sources.require(tx, "crm")
    with ExitStack() as stack:
        stack.callback(database.close)
        if run.failpoint:
            stack.enter_context(armed(run.failpoint, "kill"))
        access = open_access(run.airbyte_url, run.credentials)
        job = run_job(database, run.tenant, source, lambda: AirbyteClient(access, options=QUICK), run.connection_id, options=QUICK_JOB)
    if job.outcome != "succeeded":
        raise SystemExit(1)
