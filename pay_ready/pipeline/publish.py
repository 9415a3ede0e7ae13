"""Publish a resolution: one transaction that closes and opens what changed, or nothing at all.

Under the tenant's publish lock the clusters meet the published state: ids, golden records, redirects, the change feed. A
run that changes nothing takes no number and writes no version; edges are facts, and are kept either way.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from contextlib import nullcontext
from dataclasses import dataclass, field
from itertools import chain
from uuid import UUID

import pyarrow as pa
import pyarrow.compute as pc

from pay_ready.db import blocks as db_blocks
from pay_ready.db import publish as db_publish
from pay_ready.db import resolution as db_resolution
from pay_ready.db import tenants
from pay_ready.db.id_arrays import ids_of
from pay_ready.db.publish import DecisionChanges, InteractionChanges, PublishPlan, RunHeader, Touched
from pay_ready.db.resolution import PublishedState, Queue
from pay_ready.db.state import digest_at
from pay_ready.db.tenancy import Database, TenantTransaction
from pay_ready.errors import RetryLaterError
from pay_ready.failpoints import failpoint
from pay_ready.model.ids import RunId, TenantId
from pay_ready.model.resolution import (
    ENTITY_TYPES,
    CappedBlock,
    EntityChange,
    EntityType,
    PairDecision,
    PublishReport,
    ResolutionConfig,
    RunKind,
    TypeFigures,
)
from pay_ready.resolve.changes import (
    HeldDecision,
    assignment_line,
    decision_line,
    entity_changes,
    moved_digest,
    version_line,
)
from pay_ready.resolve.engine import Resolution, id_bytes
from pay_ready.resolve.golden import EntityVersion, company_sources, entity_version, person_sources
from pay_ready.resolve.ids import Identities, identify
from pay_ready.resolve.staged import record_id_bytes
from pay_ready.resolve.survivorship import SourceRecord

Honoured = Mapping[EntityType, Sequence[PairDecision]]
_MANY_ROWS = 1_000  # after so many the planner's picture of the tables may be another
FAILPOINTS = (
    "publish.locked",
    "publish.planned",
    "publish.edges_written",
    "publish.run_opened",
    "publish.assignments_written",
    "publish.versions_written",
    "publish.interactions_written",
    "publish.before_commit",
    "publish.after_commit",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolved:
    """What the engine made of one entity type, with the staged rows that it read."""

    staged: pa.Table
    resolution: Resolution


@dataclass(frozen=True, slots=True, kw_only=True)
class Base:
    """What a run started from."""

    run_no: int = 0
    resolution_no: int = 0
    queue: Queue = field(default_factory=Queue)


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """What a publish did; `run_no` is None when nothing changed."""

    run_no: int | None
    figures: Mapping[EntityType, TypeFigures]
    interactions: InteractionChanges


def publish(
    database: Database,
    tenant: TenantId,
    resolved: Mapping[EntityType, Resolved],
    config: ResolutionConfig,
    *,
    base: Base,
    kind: RunKind = "resolve",
    decisions: Honoured | None = None,
    reasons: Sequence[str] = (),
    actor: str,
    run_id: RunId,
) -> Published:
    """Make the resolution of all records the tenant's published state.

    Args:
        database: The store.
        tenant: Owner of everything here.
        resolved: By entity type, both of them, with blocks.
        config: What it was resolved with.
        base: What was published, and what waited, before the staged rows were read.
        kind: A refresh trains the models anew, and is a run of its own even if no record moves.
        decisions: What it was resolved with.
        reasons: Why they were trained.
        actor: Who runs it.
        run_id: The run in logs; a run publishes once.

    Raises:
        RetryLaterError: Another run published since; resolve again.
        OnHoldError: The tenant was rolled back meanwhile.
    """
    with database.tenant_transaction(tenant, work="batch") as tx:
        db_resolution.lock_publish(tx)
        failpoint("publish.locked")
        db_resolution.refuse_held(tx)
        standing = db_resolution.standing(tx)
        if (standing.run_no, standing.resolution_no) != (base.run_no, base.resolution_no):
            raise RetryLaterError("another run published meanwhile", "run it again", base_run_no=base.run_no, run_no=standing.run_no)
        state = db_resolution.published_state(tx)
        plan = plan_publish(tenant, resolved, config, state)
        before = {each: model_id for each, (model_id, _) in db_resolution.current_models(tx).items()}
        models = _write_edges(tx, resolved)
        _write_blocks(tx, resolved)
        db_resolution.drop_queued(tx, base.queue)
        figures = {each: _figures(each, resolved[each].resolution, plan) for each in ENTITY_TYPES}
        header = header_of(kind, actor, run_id, config, models)
        published = write_version(
            tx,
            Version(
                plan=plan,
                state=state,
                digest=standing.state_digest or digest_at(tx, state.run_no),
                touched=None,
                figures=figures,
                decisions=decision_changes(tx, decisions or {}),
            ),
            header,
            lambda interactions: report_of(resolved, figures, interactions, reasons),
            is_new=bool(state.run_no) and (models != before or not standing.edges_fit),
        )
        failpoint("publish.before_commit")
    failpoint("publish.after_commit")
    if len(plan.assignments) >= _MANY_ROWS:
        db_publish.refresh_statistics(database, tenant)
    return published


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """A version to be published."""

    plan: PublishPlan
    state: PublishedState  # what it replaces, or the part of that which it may touch
    digest: bytes  # of the whole state that it replaces
    touched: Touched | None
    figures: Mapping[EntityType, TypeFigures]
    decisions: DecisionChanges


def decision_changes(tx: TenantTransaction, honoured: Honoured) -> DecisionChanges:
    """What differs between the decisions that the published version honours and those that the next one does."""
    held = db_resolution.held_decisions(tx)
    wanted = {
        each.decision_id: HeldDecision(
            decision_id=each.decision_id, entity_type=entity_type, left_id=each.left_id, right_id=each.right_id, verdict=each.verdict
        )
        for entity_type, decisions in honoured.items()
        for each in decisions
        if each.decision_id is not None
    }
    return DecisionChanges(
        opened=[each for decision, each in wanted.items() if decision not in held],
        closed=[each for decision, each in held.items() if decision not in wanted],
    )


def write_version(
    tx: TenantTransaction,
    version: Version,
    header: RunHeader,
    report: Callable[[InteractionChanges], PublishReport],
    *,
    is_new: bool = False,
) -> Published:
    """Write what differs, under the publish lock; edges and blocks are written already, and count as a step of their own.

    Args:
        tx: The transaction.
        version: What differs.
        header: The run.
        report: What it says of itself, once the links of interactions are known.
        is_new: Whether it takes a number even if nothing differs.
    """
    tenants.next_number(tx, "resolution_no")
    failpoint("publish.edges_written")
    plan = version.plan
    interactions = db_publish.load_plan(tx, plan, version.touched)
    failpoint("publish.planned")
    decisions = version.decisions
    is_same = plan.is_empty and not (decisions.opened or decisions.closed or interactions.opening or interactions.closing)
    if is_same and not is_new:
        return Published(run_no=None, figures=version.figures, interactions=interactions)
    closed = chain(closed_lines(plan, version.state), map(decision_line, decisions.closed))
    after = moved_digest(version.digest, closed, chain(opened_lines(plan), map(decision_line, decisions.opened)))
    run_no = db_publish.open_run(tx, header, report(interactions), after)
    failpoint("publish.run_opened")
    _write(tx, version, run_no, header, after)
    return Published(run_no=run_no, figures=version.figures, interactions=interactions)


def header_of(kind: RunKind, actor: str, run_id: RunId, config: ResolutionConfig, models: Mapping[EntityType, UUID]) -> RunHeader:
    """The run, by the models it used."""
    return RunHeader(
        run_id=run_id, kind=kind, actor=actor, config_hash=config.config_hash, person_model_id=models["person"],
        company_model_id=models["company"], settings_version=config.settings_version,
    )  # fmt: skip


def plan_publish(
    tenant: TenantId,
    resolved: Mapping[EntityType, Resolved],
    config: ResolutionConfig,
    state: PublishedState,
    company_of: Mapping[UUID, UUID] | None = None,
    changed: Mapping[EntityType, Set[UUID]] | None = None,
) -> PublishPlan:
    """What differs between the published state and the resolution, or the touched parts of both. Companies first: people name them.

    Args:
        tenant: Owner of everything here.
        resolved: By entity type, both of them.
        config: What it was resolved with.
        state: What is published.
        company_of: The entities of company records that are not among those resolved here.
        changed: Records whose values may be others than when they were published; None says that of all. Where nobody changed or
            moved, the golden record stays as it is.
    """
    company_ids = identities(tenant, "company", resolved["company"].resolution, state)
    person_ids = identities(tenant, "person", resolved["person"].resolution, state)
    companies = _versions(
        "company", company_ids, resolved["company"].staged, state, changed, config, lambda table: company_sources(table, config)
    )
    employers = {**(company_of or {}), **company_ids.entity_of}
    people = _versions(
        "person", person_ids, resolved["person"].staged, state, changed, config, lambda table: person_sources(table, config, employers)
    )
    members = company_ids.members.keys() | person_ids.members.keys()
    kept = {entity: content_hash for entity, content_hash in state.versions.items() if entity in members}
    after = kept | {entity: version.content_hash for entity, version in (companies | people).items()}
    changes = [
        *entity_changes("company", company_ids, state.entity_of("company"), state.versions, after),
        *entity_changes("person", person_ids, state.entity_of("person"), state.versions, after),
    ]
    redirects = dict(company_ids.redirects) | dict(person_ids.redirects)
    return PublishPlan(
        assignments=[
            *_assignments("company", company_ids, resolved["company"].resolution, state),
            *_assignments("person", person_ids, resolved["person"].resolution, state),
        ],
        versions=_changed_versions(companies | people, members, state),
        redirects={each: target for each, target in redirects.items() if each not in state.redirects or state.redirects[each] != target},
        closed_redirects=frozenset(state.redirects.keys() - redirects.keys()),
        minted={entity: ("company", anchor) for entity, anchor in company_ids.minted.items()}
        | {entity: ("person", anchor) for entity, anchor in person_ids.minted.items()},
        changes=changes,
    )


def closed_lines(plan: PublishPlan, state: PublishedState) -> Iterator[str]:
    """The canonical lines of what a plan closes."""
    for entity_type, record, _, _ in plan.assignments:
        if row := state.assignments[entity_type].get(record):
            yield assignment_line(entity_type, record, *row)
    yield from (version_line(entity, state.versions[entity]) for entity in plan.versions if entity in state.versions)


def opened_lines(plan: PublishPlan) -> Iterator[str]:
    """The canonical lines of what a plan opens."""
    for entity_type, record, entity, confidence in plan.assignments:
        if entity is not None and confidence is not None:
            yield assignment_line(entity_type, record, entity, confidence)
    yield from (version_line(entity, version.content_hash) for entity, version in plan.versions.items() if version is not None)


def identities(tenant: TenantId, entity_type: EntityType, resolution: Resolution, state: PublishedState) -> Identities:
    """Who gets which id."""
    current, known = state.entity_of(entity_type), state.known[entity_type]
    return identify(tenant, entity_type, resolution.clusters, current, known, state.redirects)


def _versions(
    entity_type: EntityType,
    identities: Identities,
    staged: pa.Table,
    state: PublishedState,
    changed: Mapping[EntityType, Set[UUID]] | None,
    config: ResolutionConfig,
    sources_of: Callable[[pa.Table], Mapping[UUID, SourceRecord]],
) -> dict[UUID, EntityVersion]:
    """The golden records of all entities, or of those where something changed."""
    clusters = identities.members
    if changed is not None:
        current = state.entity_of(entity_type)
        sizes = Counter(current.values())
        moved = changed[entity_type]
        clusters = {
            entity: cluster
            for entity, cluster in clusters.items()
            if sizes[entity] != len(cluster) or any(current.get(record) != entity or record in moved for record in cluster)
        }
        wanted = ids_of(record for cluster in clusters.values() for record in cluster)
        staged = staged.filter(pc.is_in(record_id_bytes(staged), pa.array(wanted.view("V16").tolist(), pa.binary(16))))
    sources = sources_of(staged)
    return {
        entity: entity_version(entity, entity_type, [sources[record] for record in cluster], config) for entity, cluster in clusters.items()
    }


def _changed_versions(
    versions: Mapping[UUID, EntityVersion], members: Set[UUID], state: PublishedState
) -> dict[UUID, EntityVersion | None]:
    opened: dict[UUID, EntityVersion | None] = {
        entity: version for entity, version in versions.items() if state.versions.get(entity) != version.content_hash
    }
    return opened | dict.fromkeys(state.versions.keys() - members)


def _assignments(
    entity_type: EntityType, identities: Identities, resolution: Resolution, state: PublishedState
) -> Iterator[tuple[EntityType, UUID, UUID | None, float | None]]:
    current = state.assignments[entity_type]
    for record, confidence in zip(resolution.record_ids, resolution.confidences.tolist(), strict=True):
        row = (identities.entity_of[record], confidence)
        if current.get(record) != row:
            yield entity_type, record, *row
    for record in current.keys() - identities.entity_of.keys():
        yield entity_type, record, None, None


def _write(tx: TenantTransaction, version: Version, run_no: int, header: RunHeader, digest: bytes) -> None:
    if version.state.run_no:
        db_publish.add_checkpoint(tx, before_run_no=version.state.run_no, run_no=run_no, digest=version.digest)
    with db_blocks.by_index(tx) if version.touched else nullcontext():
        db_publish.write_entities(tx, version.plan, run_no)
        db_publish.write_assignments(tx, run_no)
        failpoint("publish.assignments_written")
        db_publish.write_versions(tx, run_no)
    failpoint("publish.versions_written")
    db_publish.write_interactions(tx, run_no)
    failpoint("publish.interactions_written")
    db_publish.write_decisions(tx, version.decisions, run_no)
    tenants.audit(
        tx,
        actor=header.actor,
        action="resolution.published",
        subject_kind="run",
        subject_id=str(run_no),
        run_id=header.run_id,
        before_hash=version.digest,
        after_hash=digest,
    )
    db_publish.write_changes(tx, version.plan.changes, run_no)


def _write_edges(tx: TenantTransaction, resolved: Mapping[EntityType, Resolved]) -> dict[EntityType, UUID]:
    """Keep the models and the edges they weighed; the model of each entity type."""
    resolutions = {entity_type: resolved[entity_type].resolution for entity_type in ENTITY_TYPES}
    models = {entity_type: db_resolution.add_model(tx, each.model) for entity_type, each in resolutions.items()}
    db_resolution.make_edge_table(tx)
    for entity_type, each in resolutions.items():
        db_resolution.put_edges(tx, entity_type, models[entity_type], sorted(each.model.levels), each.edges, are_all=True)
    return models


def _write_blocks(tx: TenantTransaction, resolved: Mapping[EntityType, Resolved]) -> None:
    """Keep what every record was compared by; what stands costs no write."""
    db_blocks.make_tables(tx)
    for entity_type in ENTITY_TYPES:
        resolution = resolved[entity_type].resolution
        if resolution.blocks is not None:
            db_blocks.put_all(tx, entity_type, id_bytes(resolution.ids), resolution.blocks)


def _figures(entity_type: EntityType, resolution: Resolution, plan: PublishPlan) -> TypeFigures:
    changes = Counter(each.change for each in _of_type(entity_type, plan.changes))
    return TypeFigures(
        records=len(resolution.ids),
        candidate_pairs=resolution.candidate_pairs,
        edges=resolution.edges.num_rows,
        entities=len(set(resolution.labels.tolist())),
        predicted_precision=round(resolution.predicted_precision, 4),
        predicted_recall=round(resolution.predicted_recall, 4),
        threshold_bits=resolution.model.threshold_millibits / 1_000,
        changes=dict(changes),
    )


def _of_type(entity_type: EntityType, changes: Iterable[EntityChange]) -> Iterator[EntityChange]:
    return (each for each in changes if each.entity_type == entity_type)


def report_of(
    resolved: Mapping[EntityType, Resolved],
    figures: Mapping[EntityType, TypeFigures],
    interactions: InteractionChanges,
    reasons: Sequence[str],
) -> PublishReport:
    """What a run says of itself."""
    capped = [block for each in ENTITY_TYPES for block in resolved[each].resolution.capped]
    return PublishReport(
        people=_stored(figures["person"]),
        companies=_stored(figures["company"]),
        interactions_linked=interactions.opening,
        interactions_unlinked=interactions.closing,
        capped_blocks=[_stored_block(block) for block in capped],
        ignored_decisions=sum(resolved[each].resolution.ignored_decisions for each in ENTITY_TYPES),
        reasons=list(reasons),
    )


def _stored(figures: TypeFigures) -> dict[str, float]:
    counts: dict[str, float] = {
        "records": figures.records, "candidate_pairs": figures.candidate_pairs, "edges": figures.edges, "entities": figures.entities,
        "predicted_precision": figures.predicted_precision, "predicted_recall": figures.predicted_recall,
        "threshold_bits": figures.threshold_bits,
    }  # fmt: skip
    return counts | {str(change): count for change, count in figures.changes.items()}


def _stored_block(block: CappedBlock) -> dict[str, int | str]:
    return {"entity_type": block.entity_type, "rule": block.rule, "blocks": block.blocks, "records": block.records, "pairs": block.pairs}
