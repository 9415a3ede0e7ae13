"""What a lost connection, a full disk or a tired server becomes: an error that may be tried again, and says what to do."""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest
from psycopg import conninfo, sql

from pay_ready.db import leases
from pay_ready.db.connect import with_keepalives
from pay_ready.db.failures import translated
from pay_ready.db.tenancy import Database, PoolOptions
from pay_ready.errors import PayReadyError, TransientError
from pay_ready.model.ids import TenantId
from tests.conftest import Scratch, Server

CANARY = "ottilie.ravenscroft@canary.example"


def raised(server: Server, sqlstate: str, message: str) -> PayReadyError:
    """Our error for one that the server raises with this state and message."""
    statement = sql.SQL("do {}").format(
        sql.Literal(f"begin raise sqlstate '{sqlstate}' using message = '{message}', detail = '{CANARY}'; end")
    )
    with psycopg.connect(server.admin_url) as admin, pytest.raises(psycopg.Error) as caught:
        admin.execute(statement)
    return translated(caught.value)


@pytest.mark.parametrize(
    ("message", "full", "where_to_look"),
    [
        ('could not extend file "pg_tblspc/16500/PG_18_202506291/5/16384": No space', "tablespace 16500", "pg_tablespace_location(16500)"),
        ('could not extend file "base/5/16384.1" with FileFallocate(): No space', "data folder", "data_directory"),
        ('could not write to file "pg_wal/xlogtemp.77": No space', "write-ahead log", "data_directory"),
        ('could not write to file "base/pgsql_tmp/pgsql_tmp77.0": No space', "temporary files", "temp_tablespaces"),
        ("could not write to temporary file: No space", "temporary files", "temp_tablespaces"),
        (f"no room for {CANARY}", "data folder", "data_directory"),
    ],
)
def test_a_full_disk_is_named(server: Server, message: str, full: str, where_to_look: str) -> None:
    """Which part of the server is full, where that is, and that a run may be tried again after; nothing that a row said."""
    error = raised(server, "53100", message)
    assert isinstance(error, TransientError)
    assert (error.where["full"], error.where["sqlstate"]) == (full, "53100")
    assert where_to_look in error.hint
    assert "canary" not in str(error)


@pytest.mark.parametrize(
    "sqlstate", ["08000", "08006", "53000", "53200", "53300", "57P01", "57P02", "57P03", "57P05", "25P03", "40001", "55P03"]
)
def test_what_passes_may_be_tried_again(server: Server, sqlstate: str) -> None:
    """Lost connections, a server without resources, one that goes or comes, locks and conflicts."""
    error = raised(server, sqlstate, CANARY)
    assert isinstance(error, TransientError), error
    assert (error.exit_code, error.where["sqlstate"], "canary" in str(error)) == (75, sqlstate, False)


@pytest.mark.parametrize("sqlstate", ["22012", "23514", "42601", "XX000", "08P01"])
def test_what_stays_is_not(server: Server, sqlstate: str) -> None:
    """Values, statements and the server's own errors do not get better by themselves."""
    assert not isinstance(raised(server, sqlstate, CANARY), TransientError)


def test_connections_watch_over_each_other_unless_told_otherwise() -> None:
    """The client's side is set in the URL, and what the URL says itself stays; what is no URL is left for whoever connects."""
    set_by_us = conninfo.conninfo_to_dict(with_keepalives("postgresql://u@h/d?keepalives_idle=99&sslmode=require"))
    assert (set_by_us["keepalives_idle"], set_by_us["sslmode"], set_by_us["host"]) == ("99", "require", "h")
    assert (set_by_us["keepalives_interval"], set_by_us["keepalives_count"], set_by_us["tcp_user_timeout"]) == ("5", "3", "30000")
    assert with_keepalives("http://nowhere") == "http://nowhere"


@contextmanager
def pool(scratch: Scratch, *, transaction_pooler: bool = False) -> Iterator[Database]:
    """The door, with one connection."""
    database = Database(scratch.app_url, PoolOptions(max_size=1, overflow=0, transaction_pooler=transaction_pooler))
    database.open()
    try:
        yield database
    finally:
        database.close()


@pytest.mark.parametrize(("transaction_pooler", "wanted"), [(False, "10s"), (True, "0")])
def test_the_server_watches_over_its_clients(scratch: Scratch, tenant: TenantId, transaction_pooler: bool, wanted: str) -> None:
    """Also on a connection that was used before; not where a pooler's sessions are everybody's."""
    with pool(scratch, transaction_pooler=transaction_pooler) as database:
        for _ in range(2):
            with database.tenant_transaction(tenant) as tx:
                assert tx._connection.execute("show client_connection_check_interval").fetchone() == (wanted,)


def test_who_writes_under_a_lease_may_not_stand_still(database: Database, tenant: TenantId) -> None:
    """The server ends the transaction in three quarters of the lease's time, or earlier where that is set."""
    with database.tenant_transaction(tenant) as tx:
        lease = leases.acquire(tx, "x", "me:1:r")
    for work, wanted in (("batch", "45s"), ("people", "45s")):
        with database.tenant_transaction(tenant, work=work) as tx:  # type: ignore[arg-type]
            leases.guard(tx, lease)
            assert tx._connection.execute("show idle_in_transaction_session_timeout").fetchone() == (wanted,)
