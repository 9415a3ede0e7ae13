"""The order of the steps: sync and stage each source, then look at the volumes, resolve and publish, and index what memory has yet to hear.

Every step is recorded in step_runs, is callable alone, and may be repeated at any time. A source that fails does not hold the
others back; the run is then partial. What holds the tenant back is a stream that is far smaller than when it was published
last, and records that are unaccounted for: then nothing is resolved and nothing published.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, ParamSpec, TypeVar
from uuid import UUID

import structlog

from pay_ready.db import embedders, entities, leases, memories, operation, sources, volume
from pay_ready.db.operation import StepStatus
from pay_ready.db.sources import DataSource
from pay_ready.db.staging import StreamEquations
from pay_ready.db.tenancy import Database, TenantTransaction
from pay_ready.db.volume import StreamSize
from pay_ready.errors import (
    CheckFailedError,
    HeldBackError,
    LeaseHeldError,
    OnHoldError,
    PartialError,
    PayReadyError,
    PublishHeldError,
    TransientError,
)
from pay_ready.model.ids import RunId, TenantId, new_id
from pay_ready.model.lineage import QualityResult
from pay_ready.model.progress import Progress, no_progress
from pay_ready.model.resolution import Reads, ResolutionConfig, ResolveReport
from pay_ready.pipeline.drift.options import DriftOptions
from pay_ready.pipeline.feed import Feed, keeps_config, open_feed
from pay_ready.pipeline.land.buffer import Keep
from pay_ready.pipeline.land.findings import RunFindings
from pay_ready.pipeline.land.lease import held_lease
from pay_ready.pipeline.land.report import SyncReport
from pay_ready.pipeline.land.sync import Connector, Plan, SyncOptions, sync_source
from pay_ready.pipeline.lineage.events import Lineage, Moment, StepMoment
from pay_ready.pipeline.lineage.steps import Place, StepData, step_data
from pay_ready.pipeline.mapping.kinds import MappingContext
from pay_ready.pipeline.run_column import amend_report, with_step
from pay_ready.pipeline.source_breaker import BreakerOptions, admitted
from pay_ready.pipeline.stage import StageReport, check_equations, refuse_poison, stage_source
from pay_ready.pipeline.subject import suppressor
from pay_ready.pipeline.volume import Doubts, doubts_of, guard_volume
from pay_ready.resilience import insist, transient_retries
from pay_ready.secrets import Keyring
from pay_ready.sources.catalog import ConfiguredCatalog
from pay_ready.telemetry import measured_run, measured_step

if TYPE_CHECKING:  # heavy
    from pay_ready.agent.toolbox import Toolbox
    from pay_ready.memory.tiers import MemoryManager
    from pay_ready.pipeline.airbyte.source import PlatformOptions, PlatformSource
    from pay_ready.pipeline.analyse import AnalyseReport
    from pay_ready.pipeline.index import IndexReport
    from pay_ready.pipeline.quality.check import QualityReport
    from pay_ready.pipeline.quality.rules import Rule
    from pay_ready.pipeline.warm import WarmReport

P = ParamSpec("P")
T = TypeVar("T")

_ANALYSED = "analysed"  # kept under that name: the version of which everything was read

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class InsightSteps:
    """What the steps `analyse` and `caches` work with."""

    toolbox: "Callable[[], Toolbox]"  # asked only when answers are to be made
    is_analysed: bool
    most_s: float  # that analysing takes
    answers: int  # that are made in advance


@dataclass(frozen=True, slots=True, kw_only=True)
class TenantWork:
    """One tenant's pipeline: where, with which settings. Built by the composition root."""

    database: Database
    tenant: TenantId
    slug: str
    actor: str
    cache_prefix: str
    options: SyncOptions
    context: MappingContext
    resolution: ResolutionConfig
    breaker: BreakerOptions
    keep_count: int  # automatic checkpoints
    keep_days: float  # any checkpoint
    four_eyes: bool = False  # a rollback takes two
    keyring: Callable[[], Keyring]  # asked only when a source has credentials
    feed: Callable[[DataSource], Feed]  # how to call a source's connector, and the mapping that reads it
    platform: "Callable[[], PlatformOptions]"  # asked only when an Airbyte extracts a source
    memory: "Callable[[], MemoryManager] | None" = None  # asked only when there is something to index; None: not a step of a run
    insight: "InsightSteps | None" = None  # None: neither analysed nor warmed in a run
    drift: DriftOptions = field(default_factory=DriftOptions)
    quality: "Sequence[Rule] | None" = None  # rules that hold before and after a publish; None: not looked at
    lineage: Lineage | None = None  # None: nobody collects it

    def suppress(self, tx: TenantTransaction, source: DataSource) -> Keep | None:
        """What keeps the records of erased people from landing; None when nobody was erased."""
        found = suppressor(tx, source, lambda: self.feed(source).mapping, self.context, self.keyring)
        return found.kept_maker if found else None


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


@dataclass(frozen=True, slots=True, kw_only=True)
class EtlReport:
    """One run of the whole pipeline for one tenant."""

    run_id: RunId
    tenant: str
    status: Literal["complete", "partial", "failed"]
    sources: tuple[SourceOutcome, ...]
    resolve: ResolveReport | None
    seconds: float
    held: CheckFailedError | None = None  # why nothing was resolved and published
    on_hold: OnHoldError | None = None  # the same, where somebody wanted it so: landed and staged, and complete
    index: "IndexReport | None" = None  # None: nothing to index, another process is at it, or it is no step of this run
    analyse: "AnalyseReport | None" = None  # None: nothing to read, another process is at it, or it is no step of this run
    caches: "WarmReport | None" = None
    index_error: PayReadyError | None = None  # what kept memory or insight behind; everything before stands
    quality: "QualityReport | None" = None  # of the streams, before the publish; None: no step of this run
    entities: "QualityReport | None" = None  # of what was published

    def raise_for_failure(self) -> None:
        """Raise what went wrong.

        Raises:
            PublishHeldError: Nothing was published: a stream is far smaller than it was, too much of one is broken, records are
                unaccounted for, or a rule of data quality does not hold; or such a rule does not hold of what was published.
            TransientError: Whatever failed may succeed later: the first such error.
            PayReadyError: Every source failed: the error of the first.
            PartialError: Some did.
        """
        if self.held is not None:
            raise self.held
        if self.index_error is not None and self.status == "partial" and not any(outcome.error for outcome in self.sources):
            raise self.index_error
        failed = [outcome for outcome in self.sources if outcome.error is not None]
        if failed and all(isinstance(outcome.error, TransientError) for outcome in failed) and failed[0].error is not None:
            raise failed[0].error
        if self.status == "failed" and failed and failed[0].error is not None:
            raise failed[0].error
        if self.entities is not None and not failed:
            self.entities.raise_for_failure(is_published=True)
        if self.status != "complete":
            names = ", ".join(outcome.source for outcome in failed) or "some streams are not complete"
            raise PartialError("part of the run did not finish", "run it again: it goes on from there", sources=names)


def run_etl(work: TenantWork, only: Sequence[str] = (), *, progress: Progress = no_progress) -> EtlReport:
    """Bring in, stage, resolve, publish, index, analyse, make answers. What is there already is not done again.

    What comes after the publish is no part of what other runs wait for: one that begins meanwhile leaves it to this one.

    Raises:
        RetryLaterError: Another run of this tenant is at work, after `lease_wait_s` too; names its holder. Nothing was done.
        NotFoundError: A named source is not there.
    """
    started, run_id = time.monotonic(), RunId(new_id())
    with measured_run("etl", work.tenant, run_id):
        with alone(work, run_id):
            outcomes = tuple(bring_in(work, name, run_id, progress=progress) for name in source_names(work, only))
            published = publish_step(work, run_id, outcomes, progress=progress)
        report = concluded(work, run_id, outcomes, published, started)
        for name in FOLLOWING:
            report = followed(work, report, name, progress=progress)
    return report


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """What became of what was brought in: resolved and published, or what kept it from that."""

    resolve: ResolveReport | None = None
    held: CheckFailedError | None = None
    on_hold: OnHoldError | None = None
    quality: "QualityReport | None" = None  # of the streams
    entities: "QualityReport | None" = None  # of what was published


def publish_step(
    work: TenantWork,
    run_id: RunId,
    outcomes: Sequence[SourceOutcome],
    *,
    refresh: bool = False,
    progress: Progress = no_progress,
) -> Published:
    """Resolve and publish what the sources brought in; without any, what is there. What holds that back is an outcome, not an exception.

    Raises:
        TransientError, PayReadyError: As `resolve_step`, for any other reason.
    """
    checked = quality_step(work, run_id)
    published = replace(_published(work, run_id, outcomes, checked, refresh=refresh, progress=progress), quality=checked)
    if published.resolve is not None:
        published = replace(published, entities=entity_quality_step(work, run_id, published.resolve))
    insist(_keep_snapshot)(work, run_id, checked)
    return published


def _published(
    work: TenantWork,
    run_id: RunId,
    outcomes: Sequence[SourceOutcome],
    checked: "QualityReport | None",
    *,
    refresh: bool,
    progress: Progress,
) -> Published:
    held: CheckFailedError | None = held_by(outcomes) or quality_held(checked)
    if held is not None or (outcomes and all(outcome.stage is None for outcome in outcomes)):
        return Published(held=held)
    try:
        return Published(resolve=resolve_step(work, run_id, doubts=doubts_in(outcomes), refresh=refresh, progress=progress))
    except HeldBackError as error:
        return Published(held=error)
    except OnHoldError as error:
        return Published(on_hold=error)


def quality_step(work: TenantWork, run_id: RunId) -> "QualityReport | None":
    """What the rules of data quality find of the staged streams, stored; None where that is no step of a run.

    Whether that holds the publish back is the caller's to ask (`quality_held`).

    Raises:
        ConfigError: The database refuses a statement of a rule.
        TransientError: Such a statement took too long.
    """
    if work.quality is None:
        return None
    from pay_ready.pipeline.quality.check import check_streams

    with recorded(work, run_id, "quality", "") as done:
        report = insist(check_streams)(work.database, work.tenant, work.slug, work.quality)
        insist(_keep_quality)(work, run_id, report)
        done(len(report.results), "failed" if report.errors else "complete")
    for each in report.failed:
        log.warning("quality.failed", tenant=work.tenant, run_id=run_id, rule=each.rule_id, status=each.state)
    return report


def entity_quality_step(work: TenantWork, run_id: RunId, resolved: ResolveReport) -> "QualityReport | None":
    """The same of the entities, where a run published any; what was published stands, whatever they find."""
    if work.quality is None or resolved.run_no is None:
        return None
    from pay_ready.pipeline.quality.check import check_entities

    with recorded(work, run_id, "quality", "entities") as done:
        report = insist(check_entities)(work.database, work.tenant, work.slug, work.quality)
        insist(_keep_quality)(work, run_id, report)
        done(len(report.results), "failed" if report.errors else "complete")
    for each in report.failed:
        log.warning("quality.failed", tenant=work.tenant, run_id=run_id, rule=each.rule_id, status=each.state)
    return report


def quality_held(checked: "QualityReport | None") -> CheckFailedError | None:
    """Why a rule keeps everything from being published; None where none does."""
    try:
        if checked is not None:
            checked.raise_for_failure()
    except CheckFailedError as error:
        return error
    return None


def _keep_quality(work: TenantWork, run_id: RunId, report: "QualityReport") -> None:
    from pay_ready.pipeline.quality.check import keep

    with work.database.tenant_transaction(work.tenant) as tx:
        keep(tx, run_id, report)


def _keep_snapshot(work: TenantWork, run_id: RunId, checked: "QualityReport | None") -> None:
    """The figures at the end of a run: points of time series."""
    from pay_ready.db import run_stats

    with work.database.tenant_transaction(work.tenant, work="batch") as tx:
        run_stats.snapshot(tx, run_id, datetime.now(UTC), checked.rows if checked else {})


def index_step(work: TenantWork, run_id: RunId, *, progress: Progress = no_progress) -> "IndexReport | None":
    """Bring memory up to date; None where it is, or where this run has no memory.

    Raises:
        LeaseHeldError: Another process is at it, after the options' `lease_wait_s` too.
        TransientError: A remote embedder does not answer.
        EmbeddingError, NotFoundError, ConfigError: The embedder gives no vectors, or cannot be had.
    """
    if work.memory is None or insist(_is_indexed)(work):
        return None
    from pay_ready.pipeline.index import index_tenant  # heavy, and not every run has something to index

    with recorded(work, run_id, "index", "") as done:
        report = index_tenant(
            work.database, work.tenant, work.memory(), run_id=run_id, wait_s=work.options.lease_wait_s, progress=progress
        )  # fmt: skip
        done(report.heard.interactions, "partial" if report.outer_away or report.told.failed else "complete")
        return report


def analyse_step(work: TenantWork, run_id: RunId, *, progress: Progress = no_progress) -> "AnalyseReport | None":
    """Score what was said and nobody has read yet; None where that is nothing, or no step of a run.

    Raises:
        LeaseHeldError, TransientError, EmbeddingError, NotFoundError, ConfigError: As `index_step`.
    """
    if work.memory is None or work.insight is None or not work.insight.is_analysed:
        return None
    with work.database.tenant_transaction(work.tenant) as tx:
        version = _version(tx)
        if entities.cached_metric(tx, _ANALYSED) == version:
            return None
    from pay_ready.pipeline.analyse import analyse_tenant  # heavy

    with recorded(work, run_id, "analyse", "") as done:
        report = analyse_tenant(
            work.database, work.tenant, work.memory().embedder, run_id=run_id, most_s=work.insight.most_s,
            wait_s=work.options.lease_wait_s, progress=progress,
        )  # fmt: skip
        done(report.interactions, "partial" if report.left else "complete")
    if not report.left:
        with work.database.tenant_transaction(work.tenant) as tx:
            entities.keep_metric(tx, _ANALYSED, version)
    return report


def caches_step(work: TenantWork, run_id: RunId, *, progress: Progress = no_progress) -> "WarmReport | None":
    """Make the answers anew that are most asked for; None where that is no step of a run."""
    if work.memory is None or work.insight is None or not work.insight.answers:
        return None
    from pay_ready.pipeline.warm import warm_tenant  # heavy

    with recorded(work, run_id, "caches", "") as done:
        report = warm_tenant(work.database, work.tenant, work.insight.toolbox(), most=work.insight.answers, progress=progress)
        done(report.answers, "complete")
        return report


def followed(work: TenantWork, report: EtlReport, name: str, *, progress: Progress = no_progress) -> EtlReport:
    """The report with one of the steps after the publish (`FOLLOWING`).

    What keeps it behind is no reason to call back what was published; where nothing could be, or the step before it failed, it is left.
    """
    if report.held is not None or report.index_error is not None:
        return report
    try:
        return replace(report, **{name: _FOLLOWING[name](work, report.run_id, progress=progress)})  # type: ignore[arg-type]
    except LeaseHeldError as error:
        log.info(f"{name}.left", tenant=work.tenant, run_id=report.run_id, reason=error.what)
        return report
    except PayReadyError as error:
        log.warning(f"{name}.failed", tenant=work.tenant, run_id=report.run_id, error_class=type(error).__name__)
        return replace(report, index_error=error, status="partial" if report.status == "complete" else report.status)


_FOLLOWING: Mapping[str, Callable[..., object]] = {"index": index_step, "analyse": analyse_step, "caches": caches_step}
FOLLOWING = tuple(_FOLLOWING)  # the steps after the publish, in their order


def _version(tx: TenantTransaction) -> Mapping[str, Any]:
    """What a reading of everything holds for: it moves with every change, and with the embedder."""
    serving = embedders.serving(tx)
    return {"schema_version": 1, "outbox_seq": memories.epoch(tx).outbox_seq, "embedder": serving.embedder_tag if serving else ""}


def _is_indexed(work: TenantWork) -> bool:
    from pay_ready.db.embedders import is_up_to_date

    with work.database.tenant_transaction(work.tenant) as tx:
        return is_up_to_date(tx)


def held_by(outcomes: Sequence[SourceOutcome]) -> PublishHeldError | None:
    """Why nothing may be published: the first source that brought too much that is broken, or of which records are unaccounted for."""
    return next((outcome.error for outcome in outcomes if isinstance(outcome.error, PublishHeldError)), None)


def doubts_in(outcomes: Sequence[SourceOutcome]) -> Doubts:
    """The refreshes that the brake did not believe."""
    return doubts_of({outcome.source: outcome.sync.unbelieved for outcome in outcomes if outcome.sync})


@contextmanager
def alone(work: TenantWork, run_id: RunId) -> Iterator[None]:
    """The only run of a tenant: two would take turns in taking each other's sources, and neither would be complete.

    Raises:
        RetryLaterError: Another run is at work, after the options' `lease_wait_s` too; names its holder.
    """
    options, holder = work.options, leases.holder_name(run_id)
    with held_lease(work.database, work.tenant, "etl", holder, ttl_s=options.lease_ttl_s, wait_s=options.lease_wait_s):
        yield


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
        admitted(work.database, work.tenant, insist(_source)(work, name), work.breaker) as ended,
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
    source, keyring, config, platform = insist(_stored_source)(work, name)
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


def _stored_source(work: TenantWork, name: str) -> "tuple[DataSource, Keyring | None, Mapping[str, Any], PlatformSource | None]":
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
        feed = work.feed(source := insist(_source)(work, name))
        # Now, not at start-up: a long-lived process must not take tomorrow's meetings for typing errors.
        context = replace(work.context, now=datetime.now(UTC))
        stage = _retried(work.options, stage_source)
        report = stage(work.database, work.tenant, source.source_id, feed.mapping, context, run_id=run_id, progress=progress)
        done(report.rows, "complete")
        return report


def _source(work: TenantWork, name: str) -> DataSource:
    with work.database.tenant_transaction(work.tenant) as tx:
        return sources.require(tx, name)


def _retried(options: SyncOptions, step: Callable[P, T]) -> Callable[P, T]:
    """A step that is done again after a transient failure, etl.max_retries times at most."""
    return transient_retries(
        step,
        attempts=options.max_retries + 1,
        timeout_s=options.timeout_s,
        wait_initial_s=options.retry_wait_s,
        wait_max_s=max(60.0, options.retry_wait_s),
        wait_jitter_s=options.retry_wait_s,
    )


def resolve_step(
    work: TenantWork,
    run_id: RunId,
    *,
    doubts: Doubts | None = None,
    refresh: bool = False,
    reads: Reads = "auto",
    spark: str | None = None,
    progress: Progress = no_progress,
) -> ResolveReport:
    """Look at the volumes, find out who is who, publish what changed, and keep the figures that `tenants show` prints.

    When another run published meanwhile, it is done again on what stands then, etl.max_retries times at most.

    Args:
        doubts: Refreshes that the brake did not believe.
        refresh: Train the models anew, as a run of its own.
        reads: What changed alone, every record, or what costs less.
        spark: Score the pairs there (a Spark master), where models need not be trained; None scores them in this process.

    Raises:
        HeldBackError: A stream is far smaller than when it was published last; nothing was resolved.
        RetryLaterError: Another run published meanwhile, each time.
        OnHoldError: The tenant was rolled back, and not resumed.
    """
    options = work.options
    insist(_refuse_held)(work)
    with recorded(work, run_id, "volume", "") as done:
        sizes = insist(guard_volume)(work.database, work.tenant, work.slug, options.guard, run_id=run_id, doubts=doubts)
        done(len(sizes), "complete")
    from pay_ready.pipeline.checkpoint import prune
    from pay_ready.pipeline.resolve import resolve_tenant  # heavy, and not every command resolves

    scorer = None
    if spark is not None:
        from pay_ready.pipeline.on_spark import spark_scorer

        scorer = spark_scorer(spark, work.resolution)
    resolve = _retried(options, resolve_tenant)
    with recorded(work, run_id, "resolve", "") as done:
        report = resolve(
            work.database, work.tenant, work.resolution, actor=work.actor, run_id=run_id, refresh=refresh, reads=reads, scorer=scorer,
            progress=progress,
        )  # fmt: skip
        insist(_keep_figures)(work, sizes)
        insist(prune)(work.database, work.tenant, keep_count=work.keep_count, keep_days=work.keep_days, actor=work.actor)
        done(report.people.records + report.companies.records, "complete")
        return report


def _refuse_held(work: TenantWork) -> None:
    from pay_ready.db.resolution import refuse_held  # heavy

    with work.database.tenant_transaction(work.tenant) as tx:
        refuse_held(tx)


def _keep_figures(work: TenantWork, sizes: Sequence[StreamSize]) -> None:
    with work.database.tenant_transaction(work.tenant, work="batch") as tx:
        counts = entities.counts(tx)
        published = {"schema_version": 1, "people": counts.people, "companies": counts.companies, "run_no": counts.run_no}
        entities.keep_metric(tx, f"{work.cache_prefix}:published", published)
        volume.keep_published(tx, sizes)


@contextmanager
def recorded(work: TenantWork, run_id: RunId, step: str, subject: str) -> Iterator[Callable[[int, StepStatus], None]]:
    """The step in step_runs: begun, and however it ends, finished. The body says how many rows it dealt with."""
    ended: list[tuple[int, StepStatus]] = []

    def done(rows: int, status: StepStatus) -> None:
        ended.append((rows, status))

    step_run_id = new_id()
    began = StepMoment(moment="START", run_id=run_id, step=step, subject=subject, step_run_id=step_run_id)
    # Every line that is logged meanwhile says of which run and step it is.
    with structlog.contextvars.bound_contextvars(run_id=run_id, step=step), measured_step(step, subject, work.tenant, run_id):
        insist(_begin)(work, run_id, step, subject, step_run_id)
        _tell(work, began)
        try:
            yield done
        except BaseException as error:
            status: StepStatus = "failed" if isinstance(error, Exception) else "aborted"
            # Where the database is away, what the step raised is the news.
            with suppress(TransientError):
                insist(_finish)(work, step_run_id, status, None, type(error).__name__)
            moment: Moment = "FAIL" if status == "failed" else "ABORT"
            _tell(work, replace(began, moment=moment, error_class=type(error).__name__))
            raise
        rows, final = ended[-1] if ended else (0, "complete")
        insist(_finish)(work, step_run_id, final, rows, None)
        _tell(work, replace(began, moment="COMPLETE", rows=rows))


def _tell(work: TenantWork, moment: StepMoment) -> None:
    """Lineage of a step, where somebody collects it."""
    if work.lineage is not None:
        work.lineage.tell(moment, partial(_told_data, work, work.lineage.place, moment))


def _told_data(work: TenantWork, place: Place, moment: StepMoment) -> StepData:
    mapping = work.feed(_source(work, moment.subject)).mapping if moment.step in ("sync", "stage") else None
    quality: Sequence[QualityResult] = ()
    if moment.moment == "COMPLETE":
        with work.database.tenant_transaction(work.tenant) as tx:
            quality = operation.quality_of_run(tx, moment.run_id)
    return step_data(moment.step, place, moment.subject, mapping, quality)


def _begin(work: TenantWork, run_id: RunId, step: str, subject: str, step_run_id: UUID) -> None:
    with work.database.tenant_transaction(work.tenant) as tx:
        operation.begin_step(tx, run_id, step, subject, step_run_id=step_run_id)


def _finish(work: TenantWork, step_run_id: UUID, status: StepStatus, row_count: int | None, error_class: str | None) -> None:
    with work.database.tenant_transaction(work.tenant) as tx:
        operation.finish_step(tx, step_run_id, status, row_count=row_count, error_class=error_class)


def concluded(
    work: TenantWork, run_id: RunId, outcomes: Sequence[SourceOutcome], published: Published, started: float
) -> EtlReport:  # fmt: skip
    """The report of a run up to its publish; `started` by the monotonic clock, in seconds."""
    failed = [outcome for outcome in outcomes if outcome.error is not None]
    status: Literal["complete", "partial", "failed"] = "complete"
    if failed:
        status = "failed" if len(failed) == len(outcomes) and all(outcome.sync is None for outcome in failed) else "partial"
    return EtlReport(
        run_id=run_id, tenant=work.slug, status="failed" if published.held else status, sources=tuple(outcomes), resolve=published.resolve,
        seconds=round(time.monotonic() - started, 3), held=published.held, on_hold=published.on_hold, quality=published.quality,
        entities=published.entities,
    )  # fmt: skip
