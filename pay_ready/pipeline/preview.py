"""What a resolution would change: settings, a file of them or newly trained models, tried against the published state.

Nothing is written: no run, no model, no edge.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from pay_ready.db import resolution as db_resolution
from pay_ready.db.tenancy import Database
from pay_ready.errors import RetryLaterError
from pay_ready.model.ids import TenantId
from pay_ready.model.progress import Progress, no_progress
from pay_ready.model.resolution import ENTITY_TYPES, ChangeKind, EntityChange, EntityType, ResolutionConfig, RunKind
from pay_ready.pipeline.publish import plan_publish
from pay_ready.pipeline.resolve import Reading, read_and_resolve
from pay_ready.resolve.golden import EntityVersion

# What joins or parts people comes first: those are the changes to look at.
_TOLD: tuple[ChangeKind, ...] = ("merged", "split", "created", "retired", "changed")
_STORED: Mapping[EntityType, str] = {"person": "people", "company": "companies"}  # names in a run's report


@dataclass(frozen=True, slots=True, kw_only=True)
class TypePreview:
    """One entity type now and then."""

    records: int
    entities_now: int
    entities_then: int
    changes: Mapping[ChangeKind, int]  # entities, by what would become of them
    predicted_precision_now: float | None  # None where the published run did not say
    predicted_precision_then: float
    predicted_recall_then: float
    threshold_bits_now: float | None
    threshold_bits_then: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ExampleChange:
    """One entity that would change, with the names that the asking operator sees."""

    change: ChangeKind
    entity_type: EntityType
    entity_id: UUID
    other_entity_id: UUID | None  # of a merge the entity that stays, of a split the one it came from
    before: str | None
    after: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """What a run would publish."""

    base_run_no: int
    kind: RunKind
    reasons: tuple[str, ...]  # why the models would be trained anew; empty when those in use would decide
    people: TypePreview
    companies: TypePreview
    examples: Sequence[ExampleChange]


def preview(
    database: Database,
    tenant: TenantId,
    config: ResolutionConfig,
    *,
    refresh: bool = False,
    examples: int = 5,
    progress: Progress = no_progress,
) -> Preview:
    """Resolve what is staged and compare it with what is published.

    Args:
        database: The store.
        tenant: Whose records.
        config: How people and companies would be recognised.
        refresh: Train the models anew, even if the settings are those of the models in use.
        examples: Changed entities to show, of each kind of change.
        progress: Told of each phase.

    Raises:
        RetryLaterError: Another run published meanwhile.
    """
    reading = read_and_resolve(database, tenant, config, refresh=refresh, progress=progress)
    with database.tenant_transaction(tenant, work="batch") as tx:
        state = db_resolution.published_state(tx)
        if state.run_no != reading.base.run_no:
            raise RetryLaterError("another run published meanwhile", "run it again", base_run_no=reading.base.run_no, run_no=state.run_no)
        plan = plan_publish(tenant, {each: reading.resolved[each] for each in ENTITY_TYPES}, config, state)
        said = db_resolution.latest_report(tx)
        shown = _shown(plan.changes, examples)
        names = db_resolution.golden_names(tx, {each for change in shown for each in (change.entity_id, change.other_entity_id) if each})
    figures = {
        each: _type_preview(each, reading, len(set(state.entity_of(each).values())), plan.changes, said.get(_STORED[each], {}))
        for each in ENTITY_TYPES
    }
    return Preview(
        base_run_no=reading.base.run_no,
        kind=reading.kind,
        reasons=reading.reasons,
        people=figures["person"],
        companies=figures["company"],
        examples=[_example(change, names, plan.versions) for change in shown],
    )


def _type_preview(
    entity_type: EntityType, reading: Reading, entities_now: int, changes: Sequence[EntityChange], said: Mapping[str, float]
) -> TypePreview:
    resolution = reading.resolved[entity_type].resolution
    return TypePreview(
        records=len(resolution.ids),
        entities_now=entities_now,
        entities_then=len(set(resolution.labels.tolist())),
        changes=dict(Counter(each.change for each in changes if each.entity_type == entity_type)),
        predicted_precision_now=said.get("predicted_precision"),
        predicted_precision_then=round(resolution.predicted_precision, 4),
        predicted_recall_then=round(resolution.predicted_recall, 4),
        threshold_bits_now=said.get("threshold_bits"),
        threshold_bits_then=resolution.model.threshold_millibits / 1_000,
    )


def _shown(changes: Sequence[EntityChange], most: int) -> list[EntityChange]:
    return [
        each
        for kind in _TOLD
        for entity_type in ENTITY_TYPES
        for each in [change for change in changes if (change.change, change.entity_type) == (kind, entity_type)][:most]
    ]


def _example(change: EntityChange, names: Mapping[UUID, str], versions: Mapping[UUID, EntityVersion | None]) -> ExampleChange:
    """A merge shows where the entity goes, a split where it came from."""
    source = change.other_entity_id if change.change == "split" else change.entity_id
    target = change.other_entity_id if change.change == "merged" else change.entity_id
    return ExampleChange(
        change=change.change,
        entity_type=change.entity_type,
        entity_id=change.entity_id,
        other_entity_id=change.other_entity_id,
        before=names.get(source) if source else None,
        after=_label(target, versions, names) if target and change.change != "retired" else None,
    )


def _label(entity: UUID, versions: Mapping[UUID, EntityVersion | None], names: Mapping[UUID, str]) -> str | None:
    version = versions.get(entity)
    if version is None:
        return names.get(entity)
    name = next((value for field in ("name", "email", "domain", "phone") if (value := version.value(field))), None)
    return db_resolution.golden_label(name, version.record_count)
