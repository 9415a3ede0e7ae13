"""The bulk reader's connection: kept for the next reading, and never one that is broken or somebody's."""

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import psycopg
import pytest

from pay_ready.db import arrow
from pay_ready.db.arrow import ArrowConnections
from pay_ready.db.tenancy import Database
from pay_ready.model.ids import TenantId
from tests.conftest import Scratch
from tests.faults.support import wait_until


@pytest.fixture
def connections(scratch: Scratch) -> Iterator[ArrowConnections]:
    """To a database of this test."""
    made = ArrowConnections(scratch.app_url)
    yield made
    made.close()


def value(connection: Any, statement: str) -> Any:
    """The one value of a statement."""
    with connection.cursor() as cursor:
        cursor.execute(statement)
        return cursor.fetch_arrow_table().to_pylist()[0].popitem()[1]


def session(connections: ArrowConnections) -> int:
    """The server's process that the next reading talks to."""
    with connections.reading() as connection:
        return int(value(connection, "select pg_backend_pid()"))


def sessions(scratch: Scratch) -> int:
    """How many there are of the app's login."""
    with psycopg.connect(scratch.admin_url) as admin:
        row = admin.execute(
            "select count(*) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()"
        ).fetchone()
    return int(row[0]) if row else 0


def test_the_last_one_is_kept(connections: ArrowConnections, scratch: Scratch) -> None:
    """One reading after the other is by one session; of two at once one is kept, and none after the end."""
    first = session(connections)
    assert session(connections) == first
    with connections.reading() as one, connections.reading() as other:
        assert value(one, "select pg_backend_pid()") != value(other, "select pg_backend_pid()")
    wait_until(lambda: sessions(scratch) == 1, "one is kept")  # a session that was closed is there for a moment
    connections.close()
    connections.close()
    wait_until(lambda: sessions(scratch) == 0, "none is kept")


def test_one_that_died_is_replaced(connections: ArrowConnections, scratch: Scratch) -> None:
    """Whoever reads next notices nothing."""
    first = session(connections)
    with psycopg.connect(scratch.admin_url) as admin:
        admin.execute("select pg_terminate_backend(%s, 10000)", (first,))
    assert session(connections) != first


def test_one_that_failed_is_not_used_again(connections: ArrowConnections) -> None:
    """It may be in the middle of anything."""
    first = session(connections)
    with suppress(Exception), connections.reading() as connection:
        value(connection, "select 1 / 0")
    assert session(connections) != first


def test_one_that_is_old_is_not_used_again(connections: ArrowConnections, monkeypatch: pytest.MonkeyPatch) -> None:
    """A network that was cut tells nobody."""
    first = session(connections)
    monkeypatch.setattr(arrow, "_KEPT_S", -1.0)
    assert session(connections) != first


def test_none_is_kept_behind_a_pooler(scratch: Scratch) -> None:
    """Its sessions are everybody's."""
    connections = ArrowConnections(scratch.app_url, keeps=False)
    session(connections)
    wait_until(lambda: sessions(scratch) == 0, "none is kept")


def test_nothing_of_a_tenant_stays(database: Database, tenant: TenantId) -> None:
    """Who reads next begins without one: what it could see is nothing."""
    assert database.tenant_arrow(tenant, "tenants.find").num_rows == 1
    with database._arrow.reading() as connection:
        assert not value(connection, "select current_setting('app.tenant_id', true)")
