"""The step: one tenant's staged records become people and companies, and the result is published.

A run uses the models of the published version. They are trained anew by a run of its own: on the first load, after a change of the
settings, when the records have drifted from those they were trained on, or by hand.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Literal

from pay_ready.db import resolution as db_resolution
from pay_ready.db.tenancy import Database
from pay_ready.failpoints import failpoint
from pay_ready.model.ids import RunId, TenantId, new_id
from pay_ready.model.progress import Progress, ProgressEvent, no_progress
from pay_ready.model.resolution import ENTITY_TYPES, EntityType, Reads, ResolutionConfig, ResolveReport, RunKind
from pay_ready.pipeline.increment import Basis, decisions_with, is_small, publish_changes
from pay_ready.pipeline.publish import Base, Honoured, Published, Resolved, publish
from pay_ready.resolve.engine import Resolution, Scorer, resolve

_SETTINGS, _FIRST, _BY_HAND = "the settings changed", "the first load", "asked for"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What the tenant's records are resolved to, against the version that was published when they were read."""

    base: Base
    kind: RunKind
    reasons: tuple[str, ...]  # why the models were trained
    resolved: Mapping[EntityType, Resolved]
    decisions: Honoured
    seconds: Mapping[str, float]  # by phase

    @property
    def drift(self) -> tuple[str, ...]:
        """Why the models in use should be trained anew."""
        return tuple(f"{each}: {reason}" for each in ENTITY_TYPES for reason in self.resolved[each].resolution.drift)


def resolve_tenant(
    database: Database,
    tenant: TenantId,
    config: ResolutionConfig,
    *,
    actor: str,
    run_id: RunId,
    refresh: bool = False,
    reads: Reads = "auto",
    scorer: Scorer | None = None,
    progress: Progress = no_progress,
    clock: Callable[[], float] = time.perf_counter,
) -> ResolveReport:
    """Read what changed, find out who is who, publish what differs. Run twice, the second run changes nothing.

    Args:
        database: The store.
        tenant: Whose records.
        config: How people and companies are recognised.
        actor: Who runs it.
        run_id: The run in logs.
        refresh: Train the models anew, whether they have drifted or not.
        reads: `changed` reads what changed since, and whom it touches; `all` every record; `auto` what costs less. The outcome is one.
        scorer: Scores the pairs elsewhere (Spark), where models need not be trained.
        progress: Told of each phase.
        clock: Seconds, for the report alone.

    Raises:
        RetryLaterError: Another run published meanwhile; nothing was changed by this one.
        OnHoldError: The tenant was rolled back, and not resumed.
    """
    with database.tenant_transaction(tenant) as tx:
        db_resolution.refuse_held(tx)
    report = None
    if reads != "all" and not refresh and scorer is None:
        report = _changes_published(database, tenant, config, reads, actor=actor, run_id=run_id, progress=progress, clock=clock)
    if report is not None:
        if not report.drift or config.refresh != "on_drift":
            return report
        return _refreshed(database, tenant, config, report, actor=actor, progress=progress, clock=clock)
    reading = read_and_resolve(database, tenant, config, refresh=refresh, scorer=scorer, progress=progress, clock=clock)
    report = _published(database, tenant, config, reading, actor=actor, run_id=run_id, progress=progress, clock=clock)
    if reading.kind == "refresh" or not reading.drift or config.refresh != "on_drift":
        return report
    return _refreshed(database, tenant, config, report, actor=actor, progress=progress, clock=clock)


def _refreshed(
    database: Database,
    tenant: TenantId,
    config: ResolutionConfig,
    report: ResolveReport,
    *,
    actor: str,
    progress: Progress,
    clock: Callable[[], float],
) -> ResolveReport:
    """Train the models anew by a run of its own, as they have drifted."""
    anew = read_and_resolve(database, tenant, config, refresh=True, progress=progress, clock=clock)
    anew = replace(anew, reasons=report.drift)
    follow = _published(database, tenant, config, anew, actor=actor, run_id=RunId(new_id()), progress=progress, clock=clock)
    return replace(report, refreshed=follow)


def _changes_published(
    database: Database,
    tenant: TenantId,
    config: ResolutionConfig,
    reads: Reads,
    *,
    actor: str,
    run_id: RunId,
    progress: Progress,
    clock: Callable[[], float],
) -> ResolveReport | None:
    """Publish what waits in the queue; None where everything has to be read, or where that costs less."""
    with database.tenant_transaction(tenant, work="batch") as tx:
        db_resolution.lock_publish(tx)
        failpoint("publish.locked")
        db_resolution.refuse_held(tx)
        standing = db_resolution.standing(tx)
        if not standing.run_no or standing.state_digest is None or not standing.edges_fit:
            return None
        models = db_resolution.current_models(tx)
        if _reasons_to_train(standing.run_no, {each: model for each, (_, model) in models.items()}, config, refresh=False):
            return None
        queue = db_resolution.queued(tx)
        decisions = decisions_with(queue, db_resolution.decisions(tx), db_resolution.held_decisions(tx).values())
        basis = Basis(standing=standing, queue=queue, models=models, decisions=decisions)
        if reads == "auto" and not is_small(basis.queue, standing):
            return None
        done = publish_changes(tx, database, basis, config, actor=actor, run_id=run_id, progress=progress, clock=clock)
        failpoint("publish.before_commit")
    failpoint("publish.after_commit")
    return _report(
        done.published, done.resolutions, kind="resolve", reasons=(), drift=done.drift, seconds=done.seconds, reads="changed",
        changed_records=done.changed,
    )  # fmt: skip


def read_and_resolve(
    database: Database,
    tenant: TenantId,
    config: ResolutionConfig,
    *,
    refresh: bool = False,
    scorer: Scorer | None = None,
    progress: Progress = no_progress,
    clock: Callable[[], float] = time.perf_counter,
) -> Reading:
    """Read what is staged and find out who is who; nothing is written. Companies first."""
    times = [clock()]

    def told(subject: str, done: int) -> None:
        times.append(clock())
        progress(ProgressEvent(step="resolve", subject=subject, done=done, total=done))

    with database.tenant_transaction(tenant, work="batch") as tx:
        standing = db_resolution.standing(tx)
        base = Base(run_no=standing.run_no, resolution_no=standing.resolution_no, queue=db_resolution.queued(tx))
        decisions = db_resolution.decisions(tx)
        models = {each: model for each, (_, model) in db_resolution.current_models(tx).items()}
    reasons = _reasons_to_train(base.run_no, models, config, refresh=refresh)
    staged = {each: db_resolution.read_staged(database, tenant, each) for each in ENTITY_TYPES}
    told("records", sum(each.num_rows for each in staged.values()))
    resolved: dict[EntityType, Resolved] = {}
    for entity_type in ENTITY_TYPES:
        table, used = staged[entity_type], None if reasons else models[entity_type]
        resolution = resolve(
            entity_type, table, config, decisions[entity_type], model=used, scorer=scorer, with_blocks=True, progress=progress
        )
        resolved[entity_type] = Resolved(staged=table, resolution=resolution)
        told(entity_type, table.num_rows)
    spans = dict(zip(("read", "companies", "people"), _differences(times), strict=True))
    kind: RunKind = "refresh" if reasons and reasons != (_FIRST,) else "resolve"
    return Reading(base=base, kind=kind, reasons=reasons, resolved=resolved, decisions=decisions, seconds=spans)


def _reasons_to_train(base_run_no: int, models: Mapping[EntityType, object], config: ResolutionConfig, *, refresh: bool) -> tuple[str, ...]:
    if not base_run_no:
        return (_FIRST,)
    if refresh:
        return (_BY_HAND,)
    if len(models) < len(ENTITY_TYPES) or any(getattr(each, "settings_hash", b"") != config.settings_hash for each in models.values()):
        return (_SETTINGS,)
    return ()


def _published(
    database: Database,
    tenant: TenantId,
    config: ResolutionConfig,
    reading: Reading,
    *,
    actor: str,
    run_id: RunId,
    progress: Progress,
    clock: Callable[[], float],
) -> ResolveReport:
    began = clock()
    published = publish(
        database, tenant, reading.resolved, config, base=reading.base, kind=reading.kind, decisions=reading.decisions,
        reasons=reading.reasons, actor=actor, run_id=run_id,
    )  # fmt: skip
    done = sum(each.entities for each in published.figures.values())
    progress(ProgressEvent(step="resolve", subject="published", done=done, total=done))
    seconds = {**reading.seconds, "publish": clock() - began}
    resolutions: Mapping[EntityType, Resolution] = {each: reading.resolved[each].resolution for each in ENTITY_TYPES}
    return _report(published, resolutions, kind=reading.kind, reasons=reading.reasons, drift=reading.drift, seconds=seconds)


def _differences(times: list[float]) -> list[float]:
    return [later - earlier for earlier, later in pairwise(times)]


def _report(
    published: Published,
    resolutions: Mapping[EntityType, Resolution],
    *,
    kind: RunKind,
    reasons: tuple[str, ...],
    drift: tuple[str, ...],
    seconds: Mapping[str, float],
    reads: Literal["all", "changed"] = "all",
    changed_records: int | None = None,
) -> ResolveReport:
    return ResolveReport(
        run_no=published.run_no,
        kind=kind,
        reads=reads,
        changed_records=changed_records,
        trained_because=reasons,
        drift=drift,
        refreshed=None,
        people=published.figures["person"],
        companies=published.figures["company"],
        interactions_linked=published.interactions.opening,
        interactions_unlinked=published.interactions.closing,
        capped_blocks=tuple(block for each in ENTITY_TYPES for block in resolutions[each].capped),
        ignored_decisions=sum(resolutions[each].ignored_decisions for each in ENTITY_TYPES),
        seconds={phase: round(span, 3) for phase, span in seconds.items()},
    )
