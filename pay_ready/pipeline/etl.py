"""The order of the steps: sync and stage each source, then look at the volumes, resolve and publish, and index what memory has yet to hear.

Every step is recorded in step_runs, is callable alone, and may be repeated at any time. A source that fails does not hold the
others back; the run is then partial. What holds the tenant back is a stream that is far smaller than when it was published
last, and records that are unaccounted for: then nothing is resolved and nothing published.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

import structlog

from pay_ready.db import embedders, entities, memories, volume
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
from pay_ready.model.ids import RunId, new_id
from pay_ready.model.progress import Progress, no_progress
from pay_ready.model.resolution import Reads, ResolveReport
from pay_ready.pipeline.bring_in import SourceOutcome, bring_in, retried, source_names
from pay_ready.pipeline.volume import Doubts, doubts_of, guard_volume
from pay_ready.pipeline.work import TenantWork, alone, recorded
from pay_ready.resilience import insist
from pay_ready.telemetry import measured_run

if TYPE_CHECKING:  # heavy
    from pay_ready.pipeline.analyse import AnalyseReport
    from pay_ready.pipeline.index import IndexReport
    from pay_ready.pipeline.quality.check import QualityReport
    from pay_ready.pipeline.warm import WarmReport

_ANALYSED = "analysed"  # kept under that name: the version of which everything was read

log = structlog.get_logger()


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
    version, analysed = insist(_versions)(work)
    if version == analysed:
        return None
    from pay_ready.pipeline.analyse import analyse_tenant  # heavy

    with recorded(work, run_id, "analyse", "") as done:
        report = analyse_tenant(
            work.database, work.tenant, work.memory().embedder, run_id=run_id, most_s=work.insight.most_s,
            wait_s=work.options.lease_wait_s, progress=progress,
        )  # fmt: skip
        done(report.interactions, "partial" if report.left else "complete")
    if not report.left:
        insist(_keep_analysed)(work, version)
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


def _versions(work: TenantWork) -> tuple[Mapping[str, Any], Mapping[str, Any] | None]:
    """What a reading of everything holds for, which moves with every change and with the embedder; and of which everything was read."""
    with work.database.tenant_transaction(work.tenant) as tx:
        serving = embedders.serving(tx)
        now = {"schema_version": 1, "outbox_seq": memories.epoch(tx).outbox_seq, "embedder": serving.embedder_tag if serving else ""}
        return now, entities.cached_metric(tx, _ANALYSED)


def _keep_analysed(work: TenantWork, version: Mapping[str, Any]) -> None:
    with work.database.tenant_transaction(work.tenant) as tx:
        entities.keep_metric(tx, _ANALYSED, version)


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
    resolve = retried(options, resolve_tenant)
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
