"""The driver's errors in our words: can the same call succeed later, and where - never with the values of a row."""

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import psycopg
from psycopg import errors as pg
from psycopg_pool import PoolTimeout

from pay_ready.errors import ConflictError, IsolationError, PayReadyError, TransientError

if TYPE_CHECKING:  # heavy
    import adbc_driver_manager

_TRANSIENT = (
    pg.SerializationFailure,
    pg.DeadlockDetected,
    pg.LockNotAvailable,
    pg.QueryCanceled,
    pg.AdminShutdown,
    pg.CrashShutdown,
    pg.CannotConnectNow,
    pg.TooManyConnections,
    pg.IdleInTransactionSessionTimeout,
    pg.IdleSessionTimeout,
    pg.ReadOnlySqlTransaction,
)
# What a client with prepared statements meets when a pooler gives it another server connection.
_POOLED = (pg.ProtocolViolation, pg.InvalidSqlStatementName, pg.DuplicatePreparedStatement)
# Classes of SQLSTATE that say that the connection broke, or that the server ran out of something.
_TRANSIENT_CLASSES = ("08", "53")
# The file that could not grow, as the server quotes it: folders and numbers of its own, nothing of ours.
_FILE = re.compile(r"(?:base|global|pg_tblspc/(?P<tablespace>\d+)|pg_[a-z_]+)/[\w./-]+")


def translated(error: psycopg.Error | PoolTimeout) -> PayReadyError:
    """Our error for the driver's. DETAIL and CONTEXT quote values of rows, so only names and the code are kept."""
    if isinstance(error, PoolTimeout):
        hint = "is the server up (pay-ready doctor)? if it is busy: raise database.pool.max_size, or try again later"
        return TransientError("no database connection came in time", hint)
    diagnostics = error.diag
    where = {
        name: value
        for name, value in (
            ("sqlstate", error.sqlstate),
            ("table", diagnostics.table_name),
            ("column", diagnostics.column_name),
            ("constraint", diagnostics.constraint_name),
        )
        if value
    }
    if isinstance(error, pg.DiskFull):
        return _disk_full(diagnostics.message_primary or "", where)
    if isinstance(error, _TRANSIENT):
        return TransientError(f"the database could not finish: {type(error).__name__}", "try again", **where)
    if isinstance(error, _POOLED):
        hint = "behind a pooler in transaction mode set PAY_READY_DATABASE__TRANSACTION_POOLER=true"
        return PayReadyError(f"the server does not know its own connection: {type(error).__name__}", hint, **where)
    if isinstance(error, pg.InvalidSchemaName | pg.UndefinedTable):
        return PayReadyError("the schema is not there, or not whole", "run: pay-ready migrate", **where)
    if isinstance(error, pg.InsufficientPrivilege):
        return IsolationError("the database refused: not this tenant's row, or not this role's right", **where)
    if isinstance(error, pg.UniqueViolation | pg.ForeignKeyViolation | pg.ExclusionViolation):
        return ConflictError("the row conflicts with one that is there, or points at none", **where)
    if (error.sqlstate or "").startswith(_TRANSIENT_CLASSES):
        return TransientError(f"the database could not finish: {type(error).__name__}", "try again", **where)
    if isinstance(error, psycopg.OperationalError | psycopg.InterfaceError) and error.sqlstate is None:
        return TransientError("the database connection was lost or refused", "check it with: pay-ready doctor")
    if type(error) is psycopg.DatabaseError and error.sqlstate is None:  # the driver's word for bytes that make no sense
        return TransientError("the answer of the database could not be read", "try again; if it stays: what is between us and the server?")
    return PayReadyError(f"the database refused: {type(error).__name__}", **where)


def translated_bulk(error: "adbc_driver_manager.Error") -> PayReadyError:
    """Our error for one of the bulk reader: it gives the server's SQLSTATE, and none when the connection was lost."""
    try:
        return translated(pg.lookup(error.sqlstate or "")())
    except KeyError:
        lost = type(error).__name__ == "OperationalError"
        return translated(psycopg.OperationalError() if lost else psycopg.InternalError())


def _disk_full(message: str, where: dict[str, str]) -> TransientError:
    """Names what is full. A retry helps once somebody made room."""
    found = _FILE.search(message)
    look = "show data_directory"
    if found and (tablespace := found["tablespace"]):
        full, look = f"tablespace {tablespace}", f"select pg_tablespace_location({tablespace})"
    elif "temporary" in message or (found and "pgsql_tmp" in found[0]):
        full, look = "temporary files", "show temp_tablespaces; else the data folder: show data_directory"
    else:
        full = "write-ahead log" if found and found[0].startswith("pg_wal") else "data folder"
    hint = f"nothing half-done was kept; make room on that volume (its place: {look}), then run again"
    return TransientError("the disk of the database server is full", hint, **where, full=full, file=found[0] if found else "?")


@contextmanager
def translating() -> Iterator[None]:
    """Raise our error in place of the driver's. The driver's is not chained: tracebacks would print its DETAIL."""
    try:
        yield
    except (psycopg.Error, PoolTimeout) as error:
        raise translated(error) from None
    except Exception as error:
        # Heavy: it is there when somebody reads in bulk, and not before.
        bulk = sys.modules.get("adbc_driver_manager")
        if bulk is None or not isinstance(error, bulk.Error):
            raise
        raise translated_bulk(error) from None
