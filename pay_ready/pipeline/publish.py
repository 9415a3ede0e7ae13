"""Publish a resolution: one transaction that closes and opens what changed, or nothing at all.

Under the tenant's publish lock the clusters meet the published state: ids, golden records, redirects, the change feed. A
run that changes nothing takes no number and writes no version; edges are facts, and are kept either way.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

import pyarrow as pa

from pay_ready.db import publish as db_publish
from pay_ready.db import resolution as db_resolution
from pay_ready.db import tenants
from pay_ready.db.publish import InteractionChanges, PublishPlan, RunHeader
from pay_ready.db.resolution import PublishedState
from pay_ready.db.tenancy import Database, TenantTransaction
from pay_ready.errors import RetryLaterError
from pay_ready.failpoints import failpoint
from pay_ready.model.ids import RunId, TenantId
from pay_ready.model.resolution import (
    ENTITY_TYPES,
    CappedBlock,
    EntityChange,
    EntityType,
    PublishReport,
    ResolutionConfig,
    RunKind,
    TypeFigures,
)
from pay_ready.resolve.changes import StateRows, entity_changes, state_digest
from pay_ready.resolve.engine import Resolution
from pay_ready.resolve.golden import EntityVersion, company_sources, entity_version, person_sources
from pay_ready.resolve.ids import Identities, identify
from pay_ready.resolve.survivorship import SourceRecord

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
    base_run_no: int,
    kind: RunKind = "resolve",
    reasons: Sequence[str] = (),
    actor: str,
    run_id: RunId,
) -> Published:
    """Make the resolution the tenant's published state.

    Args:
        database: The store.
        tenant: Owner of everything here.
        resolved: By entity type, both of them.
        config: What it was resolved with.
        base_run_no: The published version before the staged rows were read.
        kind: A refresh trains the models anew, and is a run of its own even if no record moves.
        reasons: Why they were trained.
        actor: Who runs it.
        run_id: The run in logs; a run publishes once.

    Raises:
        RetryLaterError: Another run published since `base_run_no`; resolve again.
    """
    with database.tenant_transaction(tenant, work="batch") as tx:
        db_resolution.lock_publish(tx)
        failpoint("publish.locked")
        state = db_resolution.published_state(tx)
        if state.run_no != base_run_no:
            raise RetryLaterError("another run published meanwhile", "run it again", base_run_no=base_run_no, run_no=state.run_no)
        plan = plan_publish(tenant, resolved, config, state)
        interactions = db_publish.load_plan(tx, plan)
        failpoint("publish.planned")
        before = {each: model_id for each, (model_id, _) in db_resolution.current_models(tx).items()}
        models = _write_edges(tx, resolved)
        failpoint("publish.edges_written")
        figures = {each: _figures(each, resolved[each].resolution, plan) for each in ENTITY_TYPES}
        is_trained = bool(state.run_no) and models != before
        if not is_trained and plan.is_empty and not interactions.opening and not interactions.closing:
            return Published(run_no=None, figures=figures, interactions=interactions)
        header = RunHeader(
            run_id=run_id,
            kind=kind,
            actor=actor,
            config_hash=config.config_hash,
            person_model_id=models["person"],
            company_model_id=models["company"],
        )
        run_no = db_publish.open_run(tx, header, _report(resolved, figures, interactions, reasons))
        failpoint("publish.run_opened")
        _write(tx, plan, state, run_no, header)
        failpoint("publish.before_commit")
    failpoint("publish.after_commit")
    return Published(run_no=run_no, figures=figures, interactions=interactions)


def plan_publish(tenant: TenantId, resolved: Mapping[EntityType, Resolved], config: ResolutionConfig, state: PublishedState) -> PublishPlan:
    """What differs between the published state and the resolution. Companies first: people name their entities."""
    company_ids = _identities(tenant, "company", resolved["company"].resolution, state)
    person_ids = _identities(tenant, "person", resolved["person"].resolution, state)
    companies = _versions("company", company_ids, company_sources(resolved["company"].staged, config), config)
    sources = person_sources(resolved["person"].staged, config, company_ids.entity_of)
    people = _versions("person", person_ids, sources, config)
    after = {entity: version.content_hash for entity, version in (companies | people).items()}
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
        versions=_changed_versions(companies | people, state),
        redirects={each: target for each, target in redirects.items() if each not in state.redirects or state.redirects[each] != target},
        closed_redirects=frozenset(state.redirects.keys() - redirects.keys()),
        minted={entity: ("company", anchor) for entity, anchor in company_ids.minted.items()}
        | {entity: ("person", anchor) for entity, anchor in person_ids.minted.items()},
        changes=changes,
    )


def published_digest(state: PublishedState) -> bytes:
    """sha256 of the canonical dump of the published state."""
    assignments = {(kind, record): row for kind in ENTITY_TYPES for record, row in state.assignments[kind].items()}
    return state_digest(StateRows(assignments=assignments, versions=state.versions, redirects=state.redirects))


def _identities(tenant: TenantId, entity_type: EntityType, resolution: Resolution, state: PublishedState) -> Identities:
    current, known = state.entity_of(entity_type), state.known[entity_type]
    return identify(tenant, entity_type, resolution.clusters(), current, known, state.redirects)


def _versions(
    entity_type: EntityType, identities: Identities, sources: Mapping[UUID, SourceRecord], config: ResolutionConfig
) -> dict[UUID, EntityVersion]:
    return {
        entity: entity_version(entity, entity_type, [sources[record] for record in cluster], config)
        for entity, cluster in identities.members.items()
    }


def _changed_versions(versions: Mapping[UUID, EntityVersion], state: PublishedState) -> dict[UUID, EntityVersion | None]:
    opened: dict[UUID, EntityVersion | None] = {
        entity: version for entity, version in versions.items() if state.versions.get(entity) != version.content_hash
    }
    return opened | dict.fromkeys(state.versions.keys() - versions.keys())


def _assignments(
    entity_type: EntityType, identities: Identities, resolution: Resolution, state: PublishedState
) -> Iterator[tuple[EntityType, UUID, UUID | None, float | None]]:
    current = state.assignments[entity_type]
    for record, confidence in zip(resolution.record_ids(), resolution.confidences.tolist(), strict=True):
        row = (identities.entity_of[record], confidence)
        if current.get(record) != row:
            yield entity_type, record, *row
    for record in current.keys() - identities.entity_of.keys():
        yield entity_type, record, None, None


def _write(tx: TenantTransaction, plan: PublishPlan, state: PublishedState, run_no: int, header: RunHeader) -> None:
    before = published_digest(state)
    if state.run_no:
        db_publish.add_checkpoint(tx, before_run_no=state.run_no, run_no=run_no, digest=before)
    db_publish.write_entities(tx, plan, run_no)
    db_publish.write_assignments(tx, run_no)
    failpoint("publish.assignments_written")
    db_publish.write_versions(tx, run_no)
    failpoint("publish.versions_written")
    db_publish.write_interactions(tx, run_no)
    failpoint("publish.interactions_written")
    tenants.audit(
        tx,
        actor=header.actor,
        action="resolution.published",
        subject_kind="run",
        subject_id=str(run_no),
        run_id=header.run_id,
        before_hash=before,
        after_hash=published_digest(db_resolution.published_state(tx)),
    )
    db_publish.write_changes(tx, plan.changes, run_no)


def _write_edges(tx: TenantTransaction, resolved: Mapping[EntityType, Resolved]) -> dict[EntityType, UUID]:
    """Keep the models and the edges they weighed; the model of each entity type."""
    models = {entity_type: db_resolution.add_model(tx, resolved[entity_type].resolution.model) for entity_type in ENTITY_TYPES}
    db_resolution.put_edges(tx, {each: (models[each], resolved[each].resolution.edges) for each in ENTITY_TYPES})
    return models


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


def _report(
    resolved: Mapping[EntityType, Resolved],
    figures: Mapping[EntityType, TypeFigures],
    interactions: InteractionChanges,
    reasons: Sequence[str],
) -> PublishReport:
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
