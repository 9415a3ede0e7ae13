"""What triggers write into the queue of resolution is the tenant's whose rows changed, and no other's."""

import psycopg

from pay_ready.db.tenancy import Database
from tests.conftest import Scratch, make_tenant
from tests.publish_support import CallRow, CompanyRow, PersonRow, Staged, person_id, restage, rows, stage

_QUEUE = "select kind, object_id from pay_ready.resolution_queue where tenant_id = %(tenant)s"
BEFORE = Staged(
    companies=[CompanyRow(source="gong", key="c", name="Acme")],
    people=[PersonRow(source="gong", key="a", full_name="Anna Bell", company="c"), PersonRow(source="gong", key="b", full_name="Bo Lund")],
    calls=[CallRow(source="gong", key="call", people=["a"])],
)
AFTER = Staged(companies=[CompanyRow(source="gong", key="c", name="Acme Group")], people=BEFORE.people[:1], calls=BEFORE.calls)


def test_a_change_is_queued_for_its_tenant_alone(database: Database, scratch: Scratch) -> None:
    """Two tenants with the same rows; one of them changes: a company with its employee, and somebody who goes."""
    first, second = make_tenant(database, "first"), make_tenant(database, "second")
    for tenant in (first, second):
        stage(scratch.admin_url, tenant, BEFORE)
    with psycopg.connect(scratch.admin_url) as admin:
        admin.execute("delete from pay_ready.resolution_queue")
    restage(scratch.admin_url, first, BEFORE, AFTER)
    queued = rows(scratch.admin_url, first, _QUEUE)
    assert {kind for kind, _ in queued} == {"company", "person"}
    assert {each for kind, each in queued if kind == "person"} == {person_id(first, "gong", key) for key in ("a", "b")}
    assert rows(scratch.admin_url, second, _QUEUE) == []


def test_the_app_writes_the_queue_under_row_security(database: Database, scratch: Scratch) -> None:
    """A trigger has the rights of whoever writes: a decision of a tenant queues its records for that tenant."""
    first, second = make_tenant(database, "first"), make_tenant(database, "second")
    decide = (
        "insert into pay_ready.decisions (tenant_id, decision_id, entity_type, left_id, right_id, verdict, actor_type, actor)"
        " values (%s, gen_random_uuid(), 'person', '00000000-0000-0000-0000-000000000001', '00000000-0000-0000-0000-000000000002',"
        " 'match', 'human', 'somebody')"
    )
    with psycopg.connect(scratch.app_url) as app:
        app.execute("select set_config('app.tenant_id', %s, true)", (str(first),))
        app.execute(decide, (first,))
    assert [kind for kind, _ in rows(scratch.admin_url, first, _QUEUE)] == ["person", "person"]
    assert rows(scratch.admin_url, second, _QUEUE) == []
