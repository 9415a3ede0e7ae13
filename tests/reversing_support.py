"""What tests of checkpoints, rollbacks and undos share."""

from collections.abc import Callable, Mapping
from itertools import pairwise
from uuid import UUID

import psycopg

from pay_ready.db import resolution as db_resolution
from pay_ready.db import restore as db_restore
from pay_ready.db.tenancy import Database
from pay_ready.model.ids import RunId, TenantId, new_id
from pay_ready.pipeline.rollback import RollbackReport, redo, rollback
from pay_ready.pipeline.undo import Asked, undo_change
from tests.publish_support import CallRow, CompanyRow, PersonRow, Staged, resolve, restage, rows, stage

# The canonical rows of a state, by the run that published it.
_STATE = {
    "assignments": "entity_type, record_id, entity_id, confidence",
    "entity_versions": "entity_id, entity_type, name, email, phone, domain, title, company_entity_id, record_count, golden, provenance,"
    " encode(content_hash, 'hex')",
    "interaction_entities": "interaction_id, entity_id, entity_type, is_primary, occurred_at",
    "run_decisions": "decision_id",
}
# Ids that were given at some time and neither live now nor lead anywhere, nor to nowhere.
_LOST = (
    "select count(*) from pay_ready.entities as given where tenant_id = %(tenant)s and not exists (select from pay_ready.entity_versions as"
    " lives where lives.tenant_id = given.tenant_id and lives.entity_id = given.entity_id and lives.closed_run_no is null) and not exists"
    " (select from pay_ready.entity_redirects as leads where leads.tenant_id = given.tenant_id and leads.entity_id = given.entity_id and"
    " leads.closed_run_no is null)"
)


def state_lines(admin_url: str, tenant: TenantId, run_no: int | None) -> list[str]:
    """All rows of the state that a run published, a line a row, and where the ids lead that were given by then."""
    held = f"opened_run_no <= {run_no} and (closed_run_no is null or closed_run_no > {run_no})"
    lines: list[str] = []
    for table, columns in _STATE.items():
        found = rows(admin_url, tenant, f"select {columns} from pay_ready.{table} where tenant_id = %(tenant)s and {held}")
        lines += sorted(f"{table} {row}" for row in found)
    return lines


def given_by(admin_url: str, tenant: TenantId) -> object:
    """How many ids that were ever given lead nowhere."""
    return rows(admin_url, tenant, _LOST)[0][0]


def decide(database: Database, tenant: TenantId, one: UUID, other: UUID, *, verdict: str, entity_type: str = "person") -> UUID:
    """A human's decision about two records; it takes over from one that stands."""
    left, right = sorted((one, other))
    decision = new_id()
    with database.tenant_transaction(tenant) as tx:
        connection: psycopg.Connection[object] = tx._connection
        connection.execute(
            "update pay_ready.decisions set superseded_at = now() where tenant_id = %s and entity_type = %s and left_id = %s"
            " and right_id = %s and actor_type = 'human' and superseded_at is null",
            (tenant, entity_type, left, right),
        )
        connection.execute(
            "insert into pay_ready.decisions (tenant_id, decision_id, entity_type, left_id, right_id, verdict, actor_type, actor)"
            " values (%s, %s, %s, %s, %s, %s, 'human', 'tests')",
            (tenant, decision, entity_type, left, right, verdict),
        )
    return decision


def go_back(database: Database, tenant: TenantId, name: str) -> tuple[RollbackReport, RollbackReport]:
    """The preview of a rollback, and the rollback."""
    preview = rollback(database, tenant, name, actor="tests", run_id=RunId(new_id()), dry_run=True)
    return preview, rollback(database, tenant, name, actor="tests", run_id=RunId(new_id()))


def latest_run(database: Database, tenant: TenantId) -> int:
    """The published version."""
    with database.tenant_transaction(tenant) as tx:
        return db_resolution.current_run_no(tx)


ANN = (
    PersonRow(source="salesforce", key="id:1", full_name="Ann Lee", email="ann@globex.com", company="id:g"),
    PersonRow(source="slack", key="id:2", full_name="Annie Lee", phone="+12065550100"),
)
BRIDGE = PersonRow(source="hubspot", key="id:7", full_name="Ann Lee", email="ann@globex.com", phone="+12065550100")
BOB = PersonRow(source="salesforce", key="id:3", full_name="Bob Ray", email="bob@hooli.com")
CLEO = PersonRow(source="hubspot", key="id:5", full_name="Cleo Poe", email="cleo@initech.com", title="CFO")
GLOBEX = CompanyRow(source="salesforce", key="id:g", name="Globex", domain="globex.com")
CALL = CallRow(source="salesforce", key="c1", people=("id:1", "id:3"))
_STAGES = (
    Staged(companies=(GLOBEX,), people=(*ANN, BOB), calls=(CALL,)),
    Staged(companies=(GLOBEX,), people=(*ANN, BRIDGE, BOB), calls=(CALL,)),
    Staged(companies=(GLOBEX,), people=(*ANN, BRIDGE, BOB, CLEO), calls=(CALL,)),
)


def three_runs(database: Database, admin_url: str, tenant: TenantId) -> None:
    """Two Anns apart; then together; then Cleo comes."""
    for before, after in pairwise((Staged(), *_STAGES)):
        stage(admin_url, tenant, after) if not before.people else restage(admin_url, tenant, before, after)
        resolve(database, tenant, reads="all")


def _back(database: Database, tenant: TenantId) -> None:
    rollback(database, tenant, "before-run-2", actor="tests", run_id=RunId(new_id()), reason="a test")


def _redo(database: Database, tenant: TenantId) -> None:
    with database.tenant_transaction(tenant) as tx:
        is_back = db_resolution.hold(tx) is None
    if not is_back:  # the redo that was cut off had come to its end
        redo(database, tenant, actor="tests", run_id=RunId(new_id()))


def _undo(database: Database, tenant: TenantId) -> None:
    with database.tenant_transaction(tenant) as tx:
        line = db_restore.feed_lines(tx, change="merged")[-1]
    undo_change(database, tenant, line.change_seq, Asked(actor="tests", run_id=RunId(new_id())))


ACTS: Mapping[str, Callable[[Database, TenantId], None]] = {"rollback": _back, "redo": _redo, "undo": _undo}
