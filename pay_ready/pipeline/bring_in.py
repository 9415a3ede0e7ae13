"""What brings the records of a source in: sync, then stage; each recorded in step_runs, callable alone, repeatable at any time.

A source that fails does not hold the others back: its failure is an outcome.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

import structlog

from pay_ready.db import sources
from pay_ready.db.sources import DataSource
from pay_ready.db.staging import StreamEquations
from pay_ready.errors import PayReadyError
from pay_ready.model.ids import RunId
from pay_ready.model.progress import Progress, no_progress
from pay_ready.model.rows import ROW_FIGURES
from pay_ready.pipeline.feed import Feed, keeps_config, open_feed
from pay_ready.pipeline.land.findings import RunFindings
from pay_ready.pipeline.land.report import SyncReport
from pay_ready.pipeline.land.sync import Connector, Plan, SyncOptions, sync_source
from pay_ready.pipeline.run_column import amend_report, with_step
from pay_ready.pipeline.source_breaker import admitted
from pay_ready.pipeline.stage import StageReport, check_equations, refuse_poison, stage_source
from pay_ready.pipeline.work import TenantWork, recorded, stored_source
from pay_ready.resilience import insist, transient_retries
from pay_ready.secrets import Keyring
from pay_ready.sources.catalog import ConfiguredCatalog

if TYPE_CHECKING:  # heavy
    from pay_ready.pipeline.airbyte.source import PlatformSource

P = ParamSpec("P")
T = TypeVar("T")

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenSource:
    """A source ready to be read. `config` is what its connector is given: with its secrets."""

    source: DataSource
    feed: Feed
    config: Mapping[str, Any] = field(repr=False)
    connector: Connector
    catalog: ConfiguredCatalog | Plan
    keyring: Keyring | None
    findings: RunFindings = field(default_factory=RunFindings)


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceOutcome:
    """One source in a run: what came in and what was staged of it, or why not."""

    source: str
    sync: SyncReport | None = None
    stage: StageReport | None = None
    equations: tuple[StreamEquations, ...] = ()  # checked: what every record of the sync became
    error: PayReadyError | None = None

    @property
    def rows(self) -> Mapping[str, int]:
        """The figures of the source, all streams together."""
        return {name: sum(getattr(stream, name) for stream in self.equations) for name in ROW_FIGURES}


def source_names(work: TenantWork, only: Sequence[str] = ()) -> list[str]:
    """The tenant's active sources, or those named.

    Raises:
        NotFoundError: A named source is not there.
    """
    return insist(_source_names)(work, only)


def _source_names(work: TenantWork, only: Sequence[str]) -> list[str]:
    with work.database.tenant_transaction(work.tenant) as tx:
        if only:
            return [sources.require(tx, name).name for name in only]
        return [source.name for source in sources.list_all(tx) if source.status == "active"]


def airbyte_names(work: TenantWork) -> frozenset[str]:
    """The sources that an Airbyte extracts: how many of them run at once is also a matter of its workers."""
    return insist(_airbyte_names)(work)


def _airbyte_names(work: TenantWork) -> frozenset[str]:
    with work.database.tenant_transaction(work.tenant) as tx:
        return frozenset(source.name for source in sources.list_all(tx) if source.ingest_mode == "airbyte")


def bring_in(work: TenantWork, name: str, run_id: RunId, *, progress: Progress = no_progress) -> SourceOutcome:
    """Sync and stage one source. Its failure is an outcome, not an exception: the next source has its turn."""
    return staged(work, synced(work, name, run_id, progress=progress), run_id, progress=progress)


def synced(work: TenantWork, name: str, run_id: RunId, *, progress: Progress = no_progress) -> SourceOutcome:
    """What a sync of a source brought, also one that failed on its way; why there was none is an outcome, too."""
    try:
        return SourceOutcome(source=name, sync=sync_step(work, name, run_id, progress=progress))
    except PayReadyError as error:
        return _failed(work, run_id, SourceOutcome(source=name), error)


def staged(work: TenantWork, outcome: SourceOutcome, run_id: RunId, *, progress: Progress = no_progress) -> SourceOutcome:
    """The outcome of a sync with what was staged of it, both equations checked; without a sync it is given back as it is."""
    sync = outcome.sync
    if sync is None:
        return outcome
    try:
        stage = stage_step(work, outcome.source, run_id, progress=progress)
        outcome = replace(outcome, stage=stage)
        equations = insist(_equations)(work, outcome.source, sync.run_id, stage.elapsed_s)
        sync = replace(sync, seconds_by_step={**sync.seconds_by_step, "stage": round(stage.elapsed_s, 3)})
        outcome = replace(outcome, sync=sync, equations=equations)
        sync.raise_for_failure()
    except PayReadyError as error:
        return _failed(work, run_id, outcome, error)
    return outcome


def _failed(work: TenantWork, run_id: RunId, outcome: SourceOutcome, error: PayReadyError) -> SourceOutcome:
    log.warning("source.failed", tenant=work.tenant, source=outcome.source, run_id=run_id, error_class=type(error).__name__)
    return replace(outcome, error=error)


def _equations(work: TenantWork, source: str, run: RunId, staged_s: float) -> tuple[StreamEquations, ...]:
    """Both equations of a run that is staged, and whether too much of it is broken."""
    with work.database.tenant_transaction(work.tenant) as tx:
        amend_report(tx, run, partial(with_step, step="stage", seconds=staged_s))
        equations = check_equations(tx, run, is_staged=True)
        refuse_poison(tx, run, equations, work.options.poison, source=source)
        return equations


def sync_step(work: TenantWork, name: str, run_id: RunId, *, progress: Progress = no_progress) -> SyncReport:
    """Bring the records of one source in.

    Raises:
        BreakerOpenError: Its service failed too often and is left alone for a while.
        PayReadyError: As `open_source`.
    """
    with (
        recorded(work, run_id, "sync", name) as done,
        admitted(work.database, work.tenant, insist(stored_source)(work, name), work.breaker) as ended,
    ):
        opened = open_source(work, name, run_job=True, progress=progress)
        report = sync_source(
            work.database, work.tenant, name, opened.connector, opened.catalog, keyring=opened.keyring, options=work.options,
            progress=progress, is_whole=not opened.source.config.streams, findings=opened.findings, suppress=work.suppress,
        )  # fmt: skip
        ended(report.error)
        done(report.emitted, report.status)
        return report


def open_source(work: TenantWork, name: str, *, run_job: bool = False, progress: Progress = no_progress) -> OpenSource:
    """A source, ready to be read, and what it will be asked for.

    Args:
        run_job: Have Airbyte sync it first, where an Airbyte extracts it, and wait for the end of that.

    Raises:
        NotFoundError, DeniedError: There is no such source, or it is paused.
        PayReadyError: Its connector does not start, or has no credentials; or what `run_platform_job` raises.
    """
    source, keyring, config, platform = insist(_opened_config)(work, name)
    feed = work.feed(source)
    if platform is not None:
        from pay_ready.pipeline.airbyte.source import RemarkingTables, run_platform_job

        job, findings, options = None, RunFindings(), work.platform()
        if run_job:
            job, findings = run_platform_job(work.database, work.tenant, platform, options, progress)
        tables = platform.tables(job, options=options)
        return OpenSource(
            source=source, feed=feed, config=config, connector=RemarkingTables(tables=tables, findings=findings), catalog=tables.plan,
            keyring=keyring, findings=findings,
        )  # fmt: skip
    connector, catalog = open_feed(feed, source, config, keeps_config(work.database, work.tenant, source, keyring))
    return OpenSource(source=source, feed=feed, config=config, connector=connector, catalog=catalog, keyring=keyring)


def _opened_config(work: TenantWork, name: str) -> "tuple[DataSource, Keyring | None, Mapping[str, Any], PlatformSource | None]":
    with work.database.tenant_transaction(work.tenant) as tx:
        source = sources.require_active(tx, name)
        # Export files have no credentials; whatever has them needs a key, also for tokens that rotate.
        keyring = None if source.ingest_mode == "replay" else work.keyring()
        config = sources.connector_config(tx, source, keyring)
        if keyring is None or source.ingest_mode != "airbyte":
            return source, keyring, config, None
        from pay_ready.pipeline.airbyte.source import PlatformSource  # heavy, for those that an Airbyte extracts alone

        return source, keyring, config, PlatformSource.stored(tx, source, work.feed(source).mapping, keyring)


def stage_step(work: TenantWork, name: str, run_id: RunId, *, progress: Progress = no_progress) -> StageReport:
    """Stage what one source has landed. Where the database was lost, it goes on after the last page that was committed.

    Raises:
        CountError: The numbers of a run do not add up; what they are about was rolled back.
    """
    with recorded(work, run_id, "stage", name) as done:
        feed = work.feed(source := insist(stored_source)(work, name))
        # Now, not at start-up: a long-lived process must not take tomorrow's meetings for typing errors.
        context = replace(work.context, now=datetime.now(UTC))
        stage = retried(work.options, stage_source)
        report = stage(work.database, work.tenant, source.source_id, feed.mapping, context, run_id=run_id, progress=progress)
        done(report.rows, "complete")
        return report


def retried(options: SyncOptions, step: Callable[P, T]) -> Callable[P, T]:
    """A step that is done again after a transient failure, etl.max_retries times at most."""
    return transient_retries(
        step,
        attempts=options.max_retries + 1,
        timeout_s=options.timeout_s,
        wait_initial_s=options.retry_wait_s,
        wait_max_s=max(60.0, options.retry_wait_s),
        wait_jitter_s=options.retry_wait_s,
    )
