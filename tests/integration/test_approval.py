"""A rollback that takes two; and the months of log lines that are made ahead."""

from collections.abc import Callable
from uuid import UUID, uuid4

import psycopg
import pytest

from pay_ready.db import operation, rollback_requests
from pay_ready.db.rollback_requests import RollbackRequest
from pay_ready.db.tenancy import Database
from pay_ready.errors import ConflictError, DeniedError, NotFoundError
from pay_ready.model.ids import TenantId, new_id
from pay_ready.pipeline.approval import Asking, ask, carry_out, decide
from pay_ready.pipeline.maintenance import MONTHS_AHEAD, keep_house
from tests.conftest import Scratch
from tests.publish_support import PersonRow, Staged, config, resolve, restage, rows, stage

ANN = PersonRow(source="hubspot", key="id:1", full_name="Ann Lee", email="ann@globex.com")
BOB = PersonRow(source="hubspot", key="id:2", full_name="Bob Ray", email="bob@globex.com")
CLEO = PersonRow(source="hubspot", key="id:3", full_name="Cleo Poe", email="cleo@hooli.com")


@pytest.fixture
def versions(database: Database, scratch: Scratch, tenant: TenantId) -> Callable[[PersonRow], None]:
    """Two published versions of a tenant; call it to publish a further one."""
    staged = [Staged(people=(ANN,)), Staged(people=(ANN, BOB))]
    stage(scratch.admin_url, tenant, staged[0])
    resolve(database, tenant)
    restage(scratch.admin_url, tenant, *staged)
    resolve(database, tenant)

    def more(person: PersonRow) -> None:
        staged.append(Staged(people=(*staged[-1].people, person)))
        restage(scratch.admin_url, tenant, staged[-2], staged[-1])
        resolve(database, tenant)

    return more


def asked(database: Database, tenant: TenantId, *, four_eyes: bool = True, flow_run_id: UUID | None = None) -> RollbackRequest:
    """A request of ann's."""
    asking = Asking(to="before-run-2", actor="ann", reason="why", four_eyes=four_eyes, flow_run_id=flow_run_id)
    return ask(database, tenant, asking).request


def run_no(scratch: Scratch, tenant: TenantId) -> object:
    """What is published."""
    return rows(scratch.admin_url, tenant, "select max(run_no) from pay_ready.resolution_runs where tenant_id = %(tenant)s")[0][0]


@pytest.mark.usefixtures("versions")
def test_one_asks_and_another_one_approves(database: Database, scratch: Scratch, tenant: TenantId) -> None:
    """Asking changes nothing; approved by a second person it is done, once; audit and request say who, when and why."""
    request = asked(database, tenant)
    assert (request.status, request.to_run_no, request.base_run_no, run_no(scratch, tenant)) == ("waiting", 1, 2, 2)
    with pytest.raises(ConflictError, match="not approved"):
        carry_out(database, tenant, request.request_id, actor="bob", config=config())
    with pytest.raises(DeniedError, match="takes two"):
        decide(database, tenant, request.request_id, "approved", actor="ann")
    decide(database, tenant, request.request_id, "approved", actor="bob", reason="seen")
    assert decide(database, tenant, request.request_id, "approved", actor="bob").decision_reason == "seen"
    report = carry_out(database, tenant, request.request_id, actor="bob", config=config())
    assert (report.run_no, run_no(scratch, tenant)) == (3, 3)
    again = carry_out(database, tenant, request.request_id, actor="bob", config=config())
    assert (again.run_no, run_no(scratch, tenant)) == (None, 3)
    with database.tenant_transaction(tenant) as tx:
        (kept,) = rollback_requests.newest(tx, 10)
    assert (kept.status, kept.run_no, kept.requested_by, kept.decided_by) == ("done", 3, "ann", "bob")
    said = (
        "select actor, action, reason from pay_ready.audit_events"
        " where tenant_id = %(tenant)s and action ~ '^(rollback|resolution.rolled)' order by seq"
    )
    assert rows(scratch.admin_url, tenant, said) == [
        ("ann", "rollback.requested", "why"), ("bob", "rollback.approved", "seen"), ("bob", "resolution.rolled_back", "why"),
    ]  # fmt: skip


@pytest.mark.usefixtures("versions")
def test_where_one_is_enough_one_is_enough(database: Database, scratch: Scratch, tenant: TenantId) -> None:
    """Without four eyes the requester may approve."""
    request = asked(database, tenant, four_eyes=False)
    decide(database, tenant, request.request_id, "approved", actor="ann")
    assert carry_out(database, tenant, request.request_id, actor="ann", config=config()).run_no == 3
    assert run_no(scratch, tenant) == 3


@pytest.mark.usefixtures("versions")
def test_refused_is_refused(database: Database, scratch: Scratch, tenant: TenantId) -> None:
    """Nothing is done, and nobody approves it later; who was never asked is told so."""
    request = asked(database, tenant)
    assert decide(database, tenant, request.request_id, "refused", actor="bob", reason="no").status == "refused"
    with pytest.raises(ConflictError, match="decided already"):
        decide(database, tenant, request.request_id, "approved", actor="cleo")
    with pytest.raises(ConflictError, match="refused"):
        carry_out(database, tenant, request.request_id, actor="bob", config=config())
    with pytest.raises(NotFoundError):
        decide(database, tenant, new_id(), "approved", actor="bob")
    assert run_no(scratch, tenant) == 2


def test_what_is_approved_is_what_was_looked_at(
    database: Database, scratch: Scratch, tenant: TenantId, versions: Callable[[PersonRow], None]
) -> None:
    """Another run published meanwhile: it has to be asked for anew."""
    request = asked(database, tenant)
    versions(CLEO)
    decide(database, tenant, request.request_id, "approved", actor="bob")
    with pytest.raises(ConflictError, match="another run published"):
        carry_out(database, tenant, request.request_id, actor="bob", config=config())
    assert run_no(scratch, tenant) == 3


@pytest.mark.usefixtures("versions")
def test_a_run_that_comes_again_finds_its_request(database: Database, tenant: TenantId) -> None:
    """An orchestrator starts a run twice, and there is one request."""
    flow_run_id = uuid4()
    first, second = (asked(database, tenant, flow_run_id=flow_run_id) for _ in range(2))
    assert first == second
    assert asked(database, tenant).request_id != first.request_id


@pytest.mark.usefixtures("versions")
def test_the_table_itself_knows_four_eyes(database: Database, scratch: Scratch, tenant: TenantId) -> None:
    """Whoever writes past the code."""
    request = asked(database, tenant)
    with psycopg.connect(scratch.admin_url) as connection, pytest.raises(psycopg.errors.CheckViolation):
        connection.execute(
            "update pay_ready.rollback_requests set status = 'approved', decided_by = requested_by, decided_at = now()"
            " where request_id = %s",
            (request.request_id,),
        )


def test_months_of_log_lines_are_made_ahead(database: Database, scratch: Scratch, tenant: TenantId) -> None:
    """This month and three more, once; as closed to everybody as the partition of the rest; a line goes where it belongs."""
    assert keep_house(database, tenant).partitions_made == MONTHS_AHEAD + 1
    assert keep_house(database, tenant).partitions_made == 0
    with psycopg.connect(scratch.admin_url) as connection:
        made = connection.execute(
            "select c.relname, c.relrowsecurity, c.relforcerowsecurity, has_table_privilege('pay_ready_app', c.oid, 'select'),"
            " has_any_column_privilege('pay_ready_readonly_bi', c.oid, 'select'), has_table_privilege('pay_ready_erasure', c.oid, 'delete')"
            " from pg_inherits join pg_class as c on c.oid = inhrelid where inhparent = 'pay_ready.step_logs'::regclass order by 1"
        ).fetchall()
        connection.execute(
            "insert into pay_ready.step_logs (tenant_id, logged_at, log_id, run_id, level, event, fields)"
            " values (%s, now(), %s, %s, 'info', 'a.b', '{\"schema_version\": 1}')", (tenant, new_id(), new_id()),
        )  # fmt: skip
        place = connection.execute("select tableoid::regclass::text from pay_ready.step_logs").fetchall()
    assert len(made) == MONTHS_AHEAD + 2
    assert {row[1:] for row in made} == {(True, True, False, False, False)}
    assert place[0][0] == f"pay_ready.{made[0][0]}"
    with database.tenant_transaction(tenant) as tx:
        assert operation.keep_log_partitions(tx, 1_000) == 24 - MONTHS_AHEAD  # two years at most
