"""A process that reads a destination's tables and may be killed on the way. Imported once by a fork server, forked per run."""

from dataclasses import dataclass

from pay_ready.db.tenancy import Database, PoolOptions
from pay_ready.failpoints import armed
from pay_ready.logs import configure_logs
from pay_ready.model.ids import TenantId
from pay_ready.pipeline.land.buffer import FlushLimits
from pay_ready.pipeline.land.sync import Connector, SyncOptions, sync_source
from pay_ready.sources import landing_read
from pay_ready.sources.landing_streams import TableStream
from pay_ready.sources.landing_tables import LandingTables
from tests.faults.landing_child import killed_at

OPTIONS = SyncOptions(limits=FlushLimits(rows=500), max_retries=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class TablesJob:
    """One run: where, what, up to which job, and how it ends early."""

    app_url: str
    tenant: TenantId
    source: str
    destination_url: str
    stream: TableStream
    upto_sync: int
    kill_at: int | None = None  # message index
    failpoint: str | None = None


def read_tables(job: TablesJob) -> None:
    """Run it: exit code 0 when complete, 1 when not, -9 when killed."""
    configure_logs("error", "json")
    landing_read.STATE_ROWS = 100
    tables = LandingTables(job.destination_url, [job.stream], upto_sync=job.upto_sync, page_rows=700)
    connector: Connector = tables if job.kill_at is None else killed_at(tables, job.kill_at)
    database = Database(job.app_url, PoolOptions(max_size=3, overflow=0))
    database.open()
    try:
        if job.failpoint:
            with armed(job.failpoint, "kill"):
                report = sync_source(database, job.tenant, job.source, connector, tables.plan, options=OPTIONS)
        else:
            report = sync_source(database, job.tenant, job.source, connector, tables.plan, options=OPTIONS)
    finally:
        database.close()
    if report.status != "complete":
        raise SystemExit(1)
