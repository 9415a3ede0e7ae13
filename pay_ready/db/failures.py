"""The driver's errors in our words: can the same call succeed later, and where - never with the values of a row."""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from psycopg import errors as pg
from psycopg_pool import PoolTimeout

from pay_ready.errors import ConflictError, IsolationError, PayReadyError, TransientError

_TRANSIENT = (
    pg.SerializationFailure,
    pg.DeadlockDetected,
    pg.LockNotAvailable,
    pg.QueryCanceled,
    pg.AdminShutdown,
    pg.CrashShutdown,
    pg.CannotConnectNow,
    pg.TooManyConnections,
    pg.DiskFull,
    pg.OutOfMemory,
    pg.IdleInTransactionSessionTimeout,
    pg.ReadOnlySqlTransaction,
)
# What a client with prepared statements meets when a pooler gives it another server connection.
_POOLED = (pg.ProtocolViolation, pg.InvalidSqlStatementName, pg.DuplicatePreparedStatement)


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
    if isinstance(error, psycopg.OperationalError | psycopg.InterfaceError) and error.sqlstate is None:
        return TransientError("the database connection was lost or refused", "check it with: pay-ready doctor")
    return PayReadyError(f"the database refused: {type(error).__name__}", **where)


@contextmanager
def translating() -> Iterator[None]:
    """Raise our error in place of the driver's. The driver's is not chained: tracebacks would print its DETAIL."""
    try:
        yield
    except (psycopg.Error, PoolTimeout) as error:
        raise translated(error) from None
