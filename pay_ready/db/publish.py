"""Writing one published version: what changed comes by COPY into temporary tables; rows are closed and opened, never rewritten."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from uuid import UUID

from psycopg.types.json import Jsonb

from pay_ready.db import tenants
from pay_ready.db.tenancy import Database, TenantTransaction
from pay_ready.errors import TransientError
from pay_ready.model.ids import RunId, TenantId, new_id
from pay_ready.model.resolution import EntityChange, EntityType, PublishReport, RunKind
from pay_ready.resolve.changes import HeldDecision
from pay_ready.resolve.golden import EntityVersion

_VERSION_COLUMNS = (
    "entity_id", "entity_type", "name", "email", "phone", "domain", "title", "company_entity_id", "record_count", "golden", "provenance",
    "content_hash",
)  # fmt: skip
_CHANGE_COLUMNS = ("change_seq", "change", "entity_type", "entity_id", "other_entity_id", "before_hash", "after_hash")

_TABLES = ("tables", "version_table", "redirect_table", "entity_table", "change_table", "scope_table")


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishPlan:
    """What differs from the published state; empty when nothing does."""

    assignments: Sequence[tuple[EntityType, UUID, UUID | None, float | None]]  # record -> entity; None closes
    versions: Mapping[UUID, EntityVersion | None]  # None closes
    redirects: Mapping[UUID, UUID | None]  # opened, in place of what stood
    closed_redirects: frozenset[UUID]  # of ids that live again
    minted: Mapping[UUID, tuple[EntityType, UUID]]  # new id -> anchor record
    changes: Sequence[EntityChange]

    @property
    def is_empty(self) -> bool:
        return not (self.assignments or self.versions or self.redirects or self.closed_redirects)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunHeader:
    """What resolution_runs keeps of a run."""

    run_id: RunId
    kind: RunKind
    actor: str
    config_hash: bytes
    person_model_id: UUID | None
    company_model_id: UUID | None
    settings_version: int | None = None  # of the tenant's settings
    edges_fit: bool = True  # whether the edges kept are those of these models
    equals_run_no: int | None = None  # of a rollback: the run whose state it restores


@dataclass(frozen=True, slots=True)
class InteractionChanges:
    """Links between interactions and entities that a publish opens and closes."""

    opening: int
    closing: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionChanges:
    """Decisions that a version honours and the one before did not, and the other way round."""

    opened: Sequence[HeldDecision]
    closed: Sequence[HeldDecision]


@dataclass(frozen=True, slots=True, kw_only=True)
class Touched:
    """What changed, by which interactions are found whose people and companies may be others; each the text of a uuid[]."""

    interactions: str
    people: str  # records
    companies: str


def load_plan(tx: TenantTransaction, plan: PublishPlan, touched: Touched | None) -> InteractionChanges:
    """Put the plan into temporary tables and find the links of interactions that follow from it; nothing of ours is written.

    Args:
        tx: The transaction.
        plan: What differs.
        touched: What changed beside the plan; None looks at every interaction.
    """
    for name in _TABLES:
        tx.execute(f"publish.make_{name}")
    _copy_assignments(tx, plan)
    _copy_versions(tx, plan)
    _copy_redirects(tx, plan)
    tx.execute("publish.analyze_tables")
    if touched is None:
        tx.execute("publish.scope_all_interactions")
    else:
        tx.execute("publish.scope_named_interactions", {"interaction_ids": touched.interactions})
        records = {"people": touched.people, "companies": touched.companies}
        tx.execute("publish.scope_touched_interactions", records)
    tx.execute("publish.analyze_scope")
    tx.execute("publish.want_interactions")
    counted = tx.rows("publish.count_interaction_changes")[0]
    return InteractionChanges(counted.opening, counted.closing)


def refresh_statistics(database: Database, tenant: TenantId) -> None:
    """Let the server look at tables that were just filled; when it cannot now, autovacuum will."""
    with suppress(TransientError), database.tenant_transaction(tenant, work="batch") as tx:
        tx.execute("publish.refresh_statistics")


def open_run(tx: TenantTransaction, header: RunHeader, report: PublishReport, state_digest: bytes) -> int:
    """Issue the run's number and write its row; the number stays locked until the commit."""
    run_no = tenants.next_number(tx, "run_no")
    tx.execute("publish.add_run", {
        "run_no": run_no, "run_id": header.run_id, "kind": header.kind, "actor": header.actor, "config_hash": header.config_hash,
        "settings_version": header.settings_version, "person_model_id": header.person_model_id,
        "company_model_id": header.company_model_id, "edges_fit": header.edges_fit, "equals_run_no": header.equals_run_no,
        "report": Jsonb(report.model_dump(mode="json")), "state_digest": state_digest,
    })  # fmt: skip
    return run_no


def add_checkpoint(tx: TenantTransaction, *, before_run_no: int, run_no: int, digest: bytes) -> None:
    """Name the state that this run replaces."""
    tx.execute(
        "publish.add_checkpoint",
        {"checkpoint_id": new_id(), "name": f"before-run-{run_no}", "run_no": before_run_no, "digest": digest},
    )


def write_entities(tx: TenantTransaction, plan: PublishPlan, run_no: int) -> None:
    """Write the new ids."""
    with tx.copy_into("publish_entities", ("entity_id", "entity_type", "anchor_record_id")) as copy:
        for entity_id, (entity_type, anchor) in plan.minted.items():
            copy.write_row((entity_id, entity_type, anchor))
    tx.execute("publish.add_entities", {"run_no": run_no})


def write_assignments(tx: TenantTransaction, run_no: int) -> None:
    """Close and open what the loaded plan says of records."""
    tx.execute("publish.close_assignments", {"run_no": run_no})
    tx.execute("publish.open_assignments", {"run_no": run_no})


def write_versions(tx: TenantTransaction, run_no: int) -> None:
    """Close and open golden records and redirects."""
    for name in ("close_versions", "open_versions", "close_redirects", "open_redirects"):
        tx.execute(f"publish.{name}", {"run_no": run_no})


def write_interactions(tx: TenantTransaction, run_no: int) -> None:
    """Close and open links between interactions and entities."""
    tx.execute("publish.close_interactions", {"run_no": run_no})
    tx.execute("publish.open_interactions", {"run_no": run_no})


def write_decisions(tx: TenantTransaction, changes: DecisionChanges, run_no: int) -> None:
    """Keep which decisions hold from now on, and which no more."""
    if changes.closed:
        tx.execute("publish.close_decisions", {"run_no": run_no, "decision_ids": [each.decision_id for each in changes.closed]})
    if changes.opened:
        tx.execute("publish.open_decisions", {"run_no": run_no, "decision_ids": [each.decision_id for each in changes.opened]})


def write_changes(tx: TenantTransaction, changes: Sequence[EntityChange], run_no: int) -> None:
    """Append to the change feed, and tell the memory tiers; both are numbered in commit order."""
    if changes:
        first = tenants.next_number(tx, "change_seq", len(changes))
        with tx.copy_into("publish_changes", _CHANGE_COLUMNS) as copy:
            for seq, each in enumerate(changes, start=first):
                row = (seq, each.change, each.entity_type, each.entity_id, each.other_entity_id, each.before_hash, each.after_hash)
                copy.write_row(row)
        tx.execute("publish.add_changes", {"run_no": run_no})
    tx.execute("publish.add_outbox", {"outbox_seq": tenants.next_number(tx, "outbox_seq"), "object_id": str(run_no)})


def _copy_assignments(tx: TenantTransaction, plan: PublishPlan) -> None:
    with tx.copy_into("publish_assignments", ("entity_type", "record_id", "entity_id", "confidence")) as copy:
        for row in plan.assignments:
            copy.write_row(row)


def _copy_versions(tx: TenantTransaction, plan: PublishPlan) -> None:
    with tx.copy_into("publish_versions", _VERSION_COLUMNS) as copy:
        for entity_id, version in plan.versions.items():
            copy.write_row(_version_values(entity_id, version))


def _version_values(entity_id: UUID, version: EntityVersion | None) -> tuple[object, ...]:
    if version is None:
        return (entity_id, *(None for _ in _VERSION_COLUMNS[1:]))
    values = (version.value(field) for field in ("name", "email", "phone", "domain", "title"))
    documents = (version.golden.model_dump_json(), version.provenance.model_dump_json())
    return (entity_id, version.entity_type, *values, version.company_entity_id, version.record_count, *documents, version.content_hash)


def _copy_redirects(tx: TenantTransaction, plan: PublishPlan) -> None:
    with tx.copy_into("publish_redirects", ("entity_id", "opens", "target_entity_id")) as copy:
        for entity_id in plan.closed_redirects:
            copy.write_row((entity_id, False, None))
        for entity_id, target in plan.redirects.items():
            copy.write_row((entity_id, True, target))
