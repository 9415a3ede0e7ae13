"""`tenant_transaction`, the one door: what it refuses, and that nothing stays behind on a pooled connection."""

import random
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any
from uuid import uuid4

import psycopg
import pytest

from pay_ready.db import tenants
from pay_ready.db.tenancy import _BEGIN, Database, PoolOptions, _begin_params
from pay_ready.errors import ConflictError, DeniedError, IsolationError, PayReadyError
from pay_ready.model.ids import TenantId

from .conftest import Filled, Route, tenant_of
from .rows import Owner

THREADS, TRANSACTIONS = 8, 300


class _UndoError(Exception):
    """Ends a block by rolling it back."""


def _switch(connection: psycopg.Connection[Any], owner: Owner) -> None:
    connection.execute("select set_config('app.tenant_id', %s, true)", (str(owner.tenant_id),))


def _names(connection: psycopg.Connection[Any]) -> list[str]:
    return [name for (name,) in connection.execute("select name from pay_ready.tenants")]


@pytest.fixture
def one_connection(filled: Filled) -> Iterator[Database]:
    """The door over a single pooled connection: whoever comes next gets the one that was just used."""
    database = Database(filled.scratch.app_url, PoolOptions(max_size=1, overflow=0))
    database.open()
    yield database
    database.close()


def test_each_tenant_sees_its_own_name(door: Database, filled: Filled) -> None:
    """The smallest transaction through the door, for three tenants in turn."""
    for owner in (filled.world.first, filled.world.second, filled.world.empty):
        with door.tenant_transaction(tenant_of(owner)) as tx:
            assert _names(tx._connection) == [filled.world.of(owner, 0)["tenants"]["name"]]


def test_a_small_tenant_transaction_suite(door: Database) -> None:
    """Create, change, count, savepoint and rollback of a tenant of its own: the same directly and through PgBouncer."""
    tenant = TenantId(uuid4())
    slug = f"suite-{tenant.hex[:12]}"
    with suppress(_UndoError), door.tenant_transaction(tenant) as tx:
        tenants.create(tx, slug=slug, name="Suite", settings={"schema_version": 1}, actor="tests")
        with pytest.raises(ConflictError), tx.savepoint():
            tenants.create(tx, slug=slug, name="Suite", settings={"schema_version": 1}, actor="tests")
        assert tenants.change_settings(tx, {"schema_version": 1, "x": 1}, actor="tests", reason=None) == 2
        assert [tenants.next_number(tx, "commit_seq") for _ in range(3)] == [1, 2, 3]
        with pytest.raises(PayReadyError), tx.savepoint():
            tenants.next_number(tx, "no_such_counter")
        assert tenants.set_suspended(tx, True, actor="tests", reason="why")
        found = tenants.find(tx)
        assert found is not None
        assert (found.status, found.settings["x"]) == ("suspended", 1)
        with pytest.raises(DeniedError):
            tenants.require_active(tx, slug)
        raise _UndoError
    with door.tenant_transaction(tenant) as tx:
        assert tenants.find(tx) is None


def test_a_second_tenant_inside_is_refused(door: Database, filled: Filled) -> None:
    """No transaction opens inside another one, neither of another tenant nor of the same."""
    with door.tenant_transaction(tenant_of(filled.world.first)):
        for owner in (filled.world.second, filled.world.first):
            with pytest.raises(IsolationError, match="inside another"), door.tenant_transaction(tenant_of(owner)):
                pass
        with pytest.raises(IsolationError):
            door.tenant_arrow(tenant_of(filled.world.second), "tenants.find")
    with door.tenant_transaction(tenant_of(filled.world.second)) as tx:
        assert len(_names(tx._connection)) == 1


def test_a_switched_tenant_is_rolled_back(door: Database, filled: Filled) -> None:
    """Whoever calls set_config inside loses the whole transaction, the writes before the switch included."""
    first = tenant_of(filled.world.first)

    def suspend_and_switch() -> None:
        with door.tenant_transaction(first) as tx:
            assert tx.execute("tenants.set_suspended", {"suspended": True}) == 1
            _switch(tx._connection, filled.world.second)

    with pytest.raises(IsolationError, match="rolled back"):
        suspend_and_switch()
    with door.tenant_transaction(first) as tx:
        assert tx._connection.execute("select status from pay_ready.tenants").fetchall() == [("active",)]


def test_a_switch_in_a_savepoint_reverts_with_it(door: Database, filled: Filled) -> None:
    """Rolled back to the savepoint, the setting is the outer tenant's again (A04)."""
    with door.tenant_transaction(tenant_of(filled.world.first)) as tx:
        with suppress(_UndoError), tx.savepoint():
            _switch(tx._connection, filled.world.second)
            assert _names(tx._connection) != [filled.world.of(filled.world.first, 0)["tenants"]["name"]], "the switch itself works"
            raise _UndoError
        assert _names(tx._connection) == [filled.world.of(filled.world.first, 0)["tenants"]["name"]]


def test_the_setting_ends_with_the_transaction(one_connection: Database, filled: Filled) -> None:
    """On the same connection afterwards, no tenant is set and every read raises (A03)."""
    with one_connection.tenant_transaction(tenant_of(filled.world.first)):
        pass
    with one_connection._pool.connection() as connection, pytest.raises(psycopg.errors.InvalidTextRepresentation):
        connection.execute("select 1 from pay_ready.tenants")


def test_every_setting_of_the_door_is_local(route: Route, filled: Filled) -> None:
    """Tenant and timeouts are set for the transaction alone, so that no pool and no reset is needed to end them (A02)."""
    names = ("app.tenant_id", "statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout")
    look = "select " + ", ".join(f"coalesce(current_setting('{name}', true), '')" for name in names)
    with psycopg.connect(route.app_url, prepare_threshold=None, autocommit=True) as connection:
        before = connection.execute(look).fetchone()
        assert before is not None
        with connection.transaction():
            connection.execute(_BEGIN, _begin_params(tenant_of(filled.world.first), PoolOptions().people))
            inside = connection.execute(look).fetchone()
        assert inside == (str(filled.world.first.tenant_id), "15s", "5s", "1min")
        assert connection.execute(look).fetchone() == before == ("", *before[1:])


def test_nothing_stays_on_a_pooled_connection(one_connection: Database, filled: Filled) -> None:
    """A held cursor, a temp table, LISTEN, session settings, a role and a session lock are gone for the next (A07, A25)."""
    with one_connection.tenant_transaction(tenant_of(filled.world.first)) as tx:
        first_pid = tx._connection.info.backend_pid
        tx._connection.execute("declare kept cursor with hold for select * from pay_ready.tenants")
        tx._connection.execute("create temp table left_over as select * from pay_ready.tenants")
        tx._connection.execute("listen gossip")
        tx._connection.execute("set statement_timeout = '12345ms'")
        tx._connection.execute("set search_path = pg_temp")
        tx._connection.execute("set role pay_ready_app")
        tx._connection.execute("select pg_advisory_lock(4711)")
        tx._connection.execute("prepare mine as select * from pay_ready.tenants")
    with one_connection.tenant_transaction(tenant_of(filled.world.second)) as tx:
        assert tx._connection.info.backend_pid == first_pid, "the test is about one and the same connection"
        left = {
            "cursors": "select name from pg_cursors",
            "temp tables": "select relname from pg_class where relpersistence = 't' and pg_table_is_visible(oid)",
            "channels": "select * from pg_listening_channels()",
            "locks": "select objid from pg_locks where locktype = 'advisory' and pid = pg_backend_pid()",
            "roles": "select current_user where current_user <> session_user",
            "settings": "select name from pg_settings where source = 'session' and name not in ('statement_timeout',"
            " 'lock_timeout', 'idle_in_transaction_session_timeout', 'client_connection_check_interval') and name not like 'tcp_%'",
        }
        assert {what: tx._connection.execute(text).fetchall() for what, text in left.items()} == {key: [] for key in left}
        assert tx._connection.execute("execute mine").fetchall()[0][0] == filled.world.second.tenant_id


def test_a_prepared_statement_serves_each_tenant_its_own(one_connection: Database, filled: Filled) -> None:
    """psycopg prepares after five runs and the server may keep a generic plan: still each sees its own rows (A06)."""
    for turn in range(24):
        owner = (filled.world.first, filled.world.second, filled.world.empty)[turn % 3]
        with one_connection.tenant_transaction(tenant_of(owner)) as tx:
            tx._connection.execute("set local plan_cache_mode = force_generic_plan")
            assert _names(tx._connection) == [filled.world.of(owner, 0)["tenants"]["name"]]


def test_arrow_reads_are_the_tenants(filled: Filled, route: Route) -> None:
    """The bulk reader gives the tenant's row and no other; through PgBouncer too."""
    database = Database(route.app_url, route.options)
    database.open()
    for owner in (filled.world.first, filled.world.second):
        rows = database.tenant_arrow(tenant_of(owner), "tenants.find").to_pylist()
        assert {str(row["tenant_id"]) for row in rows} <= {str(owner.tenant_id)}
        assert not any(other.canary in str(rows) for other in (filled.world.first, filled.world.second) if other != owner)
    database.close()


def test_errors_name_no_values(door: Database, filled: Filled) -> None:
    """A driver's error carries the row in its DETAIL; what leaves the door carries names only, and no chained original."""
    with pytest.raises(PayReadyError) as caught, door.tenant_transaction(tenant_of(filled.world.first)) as tx:
        tx._connection.execute("insert into pay_ready.tenants select * from pay_ready.tenants")
    assert isinstance(caught.value, ConflictError)
    assert "canary" not in str(caught.value)
    assert caught.value.__suppress_context__
    assert "tenants_pkey" in str(caught.value)


def test_random_tenants_on_few_connections_never_mix(door: Database, filled: Filled) -> None:
    """Threads take random tenants over four connections; every transaction sees its own three tables and nothing else.

    One in four dies half-way, some after having switched the tenant: neither may leak into the next.
    """
    owners = (filled.world.first, filled.world.second, filled.world.empty)
    wrong: list[str] = []
    failures: list[BaseException] = []
    started = threading.Barrier(THREADS)

    def work(seed: int) -> None:
        choose = random.Random(seed)
        started.wait()
        for _ in range(TRANSACTIONS):
            owner = choose.choice(owners)
            fate = choose.randrange(8)
            try:
                with door.tenant_transaction(tenant_of(owner)) as tx:
                    seen = tx._connection.execute(
                        "select tenant_id from pay_ready.tenants union select tenant_id from pay_ready.data_sources"
                        " union select tenant_id from pay_ready.person_records"
                    ).fetchall()
                    if seen != [(owner.tenant_id,)]:
                        wrong.append(f"{owner.canary} saw {seen}")
                    if fate == 0:
                        raise KeyError("half-way")
                    if fate == 1:
                        _switch(tx._connection, choose.choice([other for other in owners if other != owner]))
            except (KeyError, IsolationError):
                assert fate in (0, 1)

    with ThreadPoolExecutor(THREADS) as pool:
        failures += [error for future in [pool.submit(work, seed) for seed in range(THREADS)] if (error := future.exception())]
    assert (wrong, failures) == ([], [])
