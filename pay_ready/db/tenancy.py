"""The one door to the database: a transaction of one tenant.

The tenant is set with SET LOCAL semantics, so it ends with the transaction on whatever pooled connection it ran, and it
is checked again before the commit: a transaction that ends under another tenant is rolled back.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal
from uuid import UUID

import psycopg
from psycopg import sql
from psycopg.rows import namedtuple_row
from psycopg_pool import ConnectionPool

from pay_ready.db.arrow import ArrowConnections
from pay_ready.db.connect import connected, watchful, with_keepalives
from pay_ready.db.failures import translating
from pay_ready.db.queries import SCHEMA, Query, in_schema, load_queries, of_embedder
from pay_ready.db.slow_statements import SlowStatements
from pay_ready.errors import ConfigError, DeniedError, IsolationError, NotFoundError, RetryLaterError
from pay_ready.telemetry import measured_statement, measured_transaction

if TYPE_CHECKING:  # heavy
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray
from pay_ready.model.ids import TenantId

Work = Literal["people", "batch"]
Params = Mapping[str, object]

_COPIED_AT_ONCE = 100_000  # rows
_PACKED_ROWS = 4_096  # in a page
_UNWATCHED = nullcontext()
_current_tenant: ContextVar[TenantId | None] = ContextVar("current_tenant", default=None)

_SNAPSHOT = "set transaction isolation level repeatable read, read only"  # before the first query

_BEGIN = (
    "select set_config('app.tenant_id', %(tenant)s, true), set_config('statement_timeout', %(statement_ms)s, true),"
    " set_config('lock_timeout', %(lock_ms)s, true), set_config('idle_in_transaction_session_timeout', %(idle_ms)s, true)"
)
# Everything that outlives a transaction on a pooled connection: cursors WITH HOLD, LISTEN, session locks, temp tables, settings.
# Not DISCARD ALL: it drops the statements that psycopg believes are prepared.
_RESET = b"close all; unlisten *; select pg_advisory_unlock_all(); discard temp; reset role; reset all;"


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeouts:
    """Milliseconds after which the server gives up, for one kind of work."""

    statement_ms: int
    lock_ms: int
    idle_in_transaction_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolOptions:
    """Size and age of the pool, in seconds where a unit applies."""

    min_size: int = 0
    max_size: int = 8  # connections kept
    overflow: int = 4  # connections beyond max_size under load, closed when idle
    wait_s: float = 15.0  # for a free connection
    recycle_s: float = 3600.0  # a connection older than this is replaced
    max_idle_s: float = 300.0
    check_liveness: bool = True  # a dead connection is found before it is lent
    transaction_pooler: bool = False  # PgBouncer in transaction mode: no prepared statements
    people: Timeouts = Timeouts(statement_ms=15_000, lock_ms=5_000, idle_in_transaction_ms=60_000)
    batch: Timeouts = Timeouts(statement_ms=1_800_000, lock_ms=60_000, idle_in_transaction_ms=600_000)


@dataclass(frozen=True, slots=True, kw_only=True)
class Extent:
    """How many rows a statement gives, and the earliest and the latest of their `aged_at`."""

    rows: int
    first_at: datetime | None
    last_at: datetime | None


class TenantTransaction:
    """An open transaction of one tenant. Statements are named (`sql/queries`) and get `tenant_id` bound by themselves.

    `limits`: when the server gives up.
    """

    def __init__(
        self,
        connection: psycopg.Connection[Any],
        tenant: TenantId,
        schema: str,
        limits: Timeouts,
        *,
        slow: SlowStatements | None = None,
        is_awaited: bool = False,
    ) -> None:
        self.tenant = tenant
        self.schema = schema
        self.limits = limits
        self._connection = connection
        self._queries = load_queries(schema)
        self._slow = slow
        self._is_awaited = is_awaited

    def execute(self, name: str, params: Params | None = None, *, embedder_tag: str | None = None) -> int:
        """Run a statement; the number of rows it touched.

        Args:
            name: The statement.
            params: Its parameters.
            embedder_tag: Whose table of vectors stands for `memory_vectors_of_embedder`.
        """
        return self._run(name, params, embedder_tag).rowcount

    def rows(self, name: str, params: Params | None = None, *, embedder_tag: str | None = None) -> list[Any]:
        """All rows, as named tuples; otherwise as `execute`."""
        return self._run(name, params, embedder_tag).fetchall()

    def row(self, name: str, params: Params | None = None, *, embedder_tag: str | None = None) -> Any | None:
        """The first row, or None; otherwise as `execute`."""
        return self._run(name, params, embedder_tag).fetchone()

    def value(self, name: str, params: Params | None = None) -> Any:
        """The first column of the first row.

        Raises:
            NotFoundError: There is no row.
        """
        found = self.row(name, params)
        if found is None:
            raise NotFoundError("no such row", query=name)
        return found[0]

    def extent(self, name: str, params: Params | None = None) -> Extent:
        """How many rows a statement with a column `aged_at` would give; they are counted where they are."""
        counted = sql.SQL("select count(*) as rows, min(aged_at) as first_at, max(aged_at) as last_at from ({}) as counted").format(
            sql.SQL(self._query(name).sql)
        )
        with translating(), measured_statement(name, self.tenant):
            row = self._connection.cursor(row_factory=namedtuple_row).execute(counted, self._bound(params)).fetchone()
        return Extent(rows=0, first_at=None, last_at=None) if row is None else Extent(**row._asdict())

    def aggregates(self, name: str, columns: sql.Composable, tail: sql.Composable, params: Params) -> list[Any]:
        """Columns that configuration names, computed over the rows of a named statement: that one holds them to the tenant.

        Args:
            name: The statement whose rows are read; columns of it that nobody names cost nothing.
            columns: What is computed of them.
            tail: What follows: a condition, a grouping.
            params: Parameters of all of these.
        """
        statement = sql.SQL("select {} from ({}) as measured {}").format(columns, sql.SQL(self._query(name).sql), tail)
        with translating():
            return self._connection.cursor(row_factory=namedtuple_row).execute(statement, self._bound(params), prepare=False).fetchall()

    def own_statement(self, statement: str, timeout_s: float) -> Any | None:
        """The first value of a statement that an operator wrote, which reads as `select … from (statement)`: so it can only read.

        Raises:
            ConfigError: The server refuses it; says with which SQLSTATE, never the values in it.
            TransientError: It took longer.
        """
        limited = "select set_config('statement_timeout', %(limit)s, true)"
        wrapped = sql.SQL("select * from ({}) as own_statement limit 1").format(sql.SQL(in_schema(statement, self.schema)))
        with translating():
            self._connection.execute(limited, {"limit": str(int(timeout_s * 1000))})
            try:
                row = self._connection.execute(wrapped, self._bound(None), prepare=False).fetchone()
            except psycopg.errors.QueryCanceled as error:
                raise RetryLaterError("the statement of a rule took too long", "let it read less", after_s=timeout_s) from error
            except psycopg.OperationalError:
                raise
            except psycopg.Error as error:
                hint = "try it as the app's login, in a read-only transaction"
                raise ConfigError("the database refuses the statement of a rule", hint, sqlstate=error.sqlstate or "none") from None
            self._connection.execute(limited, {"limit": str(self.limits.statement_ms)})
        return None if row is None else row[0]

    def stream(self, name: str, params: Params | None = None, *, page: int = 5_000) -> Iterator[list[Any]]:
        """Pages of rows through a server-side cursor: memory stays at one page."""
        named = self._connection.cursor(name="pages", row_factory=namedtuple_row)
        try:
            with translating(), named as cursor:
                with measured_statement(name, self.tenant):
                    cursor.execute(self._query(name).sql, self._bound(params))
                while rows := cursor.fetchmany(page):
                    yield rows
        finally:
            # Where its CLOSE did not come through, it is gone with the transaction; psycopg would still take it for open.
            with suppress(psycopg.Error):
                named.close()

    def copy_out(self, name: str, params: Params, fields: "np.dtype[np.void]") -> "NDArray[np.void]":
        """The rows of a statement of bigint, uuid and bytea columns, none of them null, as numpy: millions a second.

        Args:
            name: The statement.
            params: Its parameters.
            fields: By column "<i8" for a bigint, "S16" for a uuid, "S32" for a bytea of 32 bytes.
        """
        import numpy as np  # heavy, for a reader of many rows alone

        data = self._copied(name, f"({self._written_out(name, params)})")
        layout = np.dtype(_copy_layout(fields))
        # A header of 19 bytes, the rows, two bytes at the end.
        rows = np.frombuffer(data, dtype=layout, count=(len(data) - 21) // layout.itemsize, offset=19)
        found = np.empty(len(rows), dtype=fields)
        for field in fields.names or ():
            found[field] = rows[field]
        return found

    def packed_out(self, name: str, params: Params, fields: "np.dtype[np.void]") -> "NDArray[np.void]":
        """`copy_out` in any order, packed by the server into pages: for many rows that fit into its memory, at half the cost."""
        import numpy as np

        names = fields.names or ()
        sends = [sql.SQL("int8send({})" if fields[field].kind == "i" else "uuid_send({})").format(sql.Identifier(field)) for field in names]
        pages = sql.SQL(
            "(select string_agg({sends}, '') from"
            " (select row_number() over () / {size} as page, listed.* from ({rows}) as listed ({names})) as numbered group by page)"
        ).format(
            sends=sql.SQL(" || ").join(sends), size=sql.Literal(_PACKED_ROWS), rows=sql.SQL(self._written_out(name, params)),
            names=sql.SQL(", ").join(map(sql.Identifier, names)),
        )  # fmt: skip
        data = self._copied(name, pages.as_string())
        layout = np.dtype([(field, ">i8" if fields[field].kind == "i" else "S16") for field in names])
        found, at, ends = [np.empty(0, dtype=fields)], 19, len(data) - 2
        while at < ends:
            size = int.from_bytes(data[at + 2 : at + 6], "big")  # after the count of columns, one
            found.append(np.frombuffer(data, dtype=layout, count=size // layout.itemsize, offset=at + 6).astype(fields))
            at += 6 + size
        return np.concatenate(found)

    def few_out(self, name: str, params: Params, fields: "np.dtype[np.void]") -> "NDArray[np.void]":
        """`packed_out` for some dozens of rows: a statement that is prepared, where COPY's is read and planned each time."""
        import numpy as np

        # Positions of ids, which come as objects.
        ids = {at for at, field in enumerate(fields.names or ()) if fields[field].kind == "S"}
        rows = self._run(name, params).fetchall()
        return np.array([tuple(value.bytes if at in ids else value for at, value in enumerate(row)) for row in rows], dtype=fields)

    def _written_out(self, name: str, params: Params) -> str:
        """A statement with its parameters as literals: COPY takes no others."""
        return self._query(name).sql % {key: sql.Literal(value).as_string() for key, value in self._bound(params).items()}

    def _copied(self, name: str, source: str) -> bytes:
        """What COPY gives in its binary form."""
        statement = f"copy {source} to stdout (format binary)"
        with (
            translating(),
            measured_statement(name, self.tenant),
            self._connection.cursor() as cursor,
            cursor.copy(statement.encode()) as copy,
        ):
            return b"".join(bytes(part) for part in copy)

    def copy_numbers(self, table: str, rows: "NDArray[np.void]") -> None:
        """COPY rows as `copy_out` gives them into a temporary table whose columns carry the names of the fields."""
        import numpy as np

        names = rows.dtype.names or ()
        told = np.empty(len(rows), dtype=_copy_layout(rows.dtype))
        told["columns"] = len(names)
        for field in names:
            told[f"length_{field}"] = rows.dtype[field].itemsize
            told[field] = rows[field]
        with self.copy_into(table, names, binary_types=()) as copy:
            copy.write(b"PGCOPY\n\xff\r\n\0" + bytes(8))
            for start in range(0, len(told), _COPIED_AT_ONCE):
                copy.write(told[start : start + _COPIED_AT_ONCE].tobytes())
            copy.write(b"\xff\xff")

    @contextmanager
    def copy_into(self, table: str, columns: Sequence[str], *, binary_types: Sequence[str] | None = None) -> Iterator[psycopg.Copy]:
        """COPY into a temporary table of this transaction (row security refuses COPY into ours).

        With types of the columns in binary; with none of them named, the bytes are the caller's.
        """
        target = sql.SQL("copy {} ({}) from stdin").format(
            sql.Identifier("pg_temp", table), sql.SQL(", ").join(map(sql.Identifier, columns))
        )
        statement = target + sql.SQL(" (format binary)") if binary_types is not None else target
        with (
            translating(),
            measured_statement(f"copy.{table}", self.tenant),
            self._connection.cursor() as cursor,
            cursor.copy(statement) as copy,
        ):
            if binary_types:
                copy.set_types(list(binary_types))
            yield copy

    def export_snapshot(self) -> str:
        """A name for what this transaction sees, by which others may see the same while it is open."""
        with translating():
            row = self._connection.execute("select pg_export_snapshot()").fetchone()
        return str(row[0]) if row else ""

    @contextmanager
    def savepoint(self) -> Iterator[None]:
        """A part of the transaction that may fail alone."""
        with translating(), self._connection.transaction():
            yield

    def _query(self, name: str) -> Query:
        try:
            return self._queries[name]
        except KeyError:
            raise NotFoundError("no such statement in sql/queries", name=name) from None

    def _bound(self, params: Params | None) -> dict[str, object]:
        return {**(params or {}), "tenant_id": self.tenant}

    def _run(self, name: str, params: Params | None, embedder_tag: str | None = None) -> psycopg.Cursor[Any]:
        statement, prepare = self._query(name).sql, None
        if embedder_tag is not None:
            # Never prepared: a generic plan knows neither the vector nor the filters, and reads where it should ask the index.
            statement, prepare = of_embedder(statement, embedder_tag), False
        bound = self._bound(params)
        with translating(), measured_statement(name, self.tenant), self._watched(name, statement, bound):
            return self._connection.cursor(row_factory=namedtuple_row).execute(statement, bound, prepare=prepare)

    def _watched(self, name: str, statement: str, bound: Params) -> AbstractContextManager[None]:
        return _UNWATCHED if self._slow is None else self._slow.watch(self._connection, name, statement, bound, is_awaited=self._is_awaited)


def _copy_layout(fields: "np.dtype[np.void]") -> list[tuple[str, str]]:
    """A row of COPY's binary form: the count of its columns, and the length of each value before the value."""
    layout: list[tuple[str, str]] = [("columns", ">i2")]
    for field in fields.names or ():
        layout += [(f"length_{field}", ">i4"), (field, ">i8" if fields[field].kind == "i" else fields[field].str)]
    return layout


class Database:
    """The pool of one process. Open it after a fork, close it at the end; the composition root does both."""

    def __init__(self, url: str, options: PoolOptions, schema: str = SCHEMA, *, slow: SlowStatements | None = None) -> None:
        self.schema = schema
        self._slow = slow  # keeps account of statements that take long; None keeps none
        self._url = with_keepalives(url)
        self._options = options
        self._arrow = ArrowConnections(self._url, keeps=not options.transaction_pooler)
        self._settle = b""  # what every session of ours is set to, once the server was asked
        self._pool: ConnectionPool[psycopg.Connection[Any]] = ConnectionPool(
            self._url,
            min_size=options.min_size,
            max_size=options.max_size + options.overflow,
            open=False,
            timeout=options.wait_s,
            max_idle=options.max_idle_s,
            max_lifetime=options.recycle_s,
            # While a server is away, attempts come ever more rarely: after this the next who asks starts anew, at once.
            reconnect_timeout=options.wait_s,
            check=ConnectionPool.check_connection if options.check_liveness else None,
            configure=self._configure,
            reset=self._reset,
            kwargs={"autocommit": True, "prepare_threshold": None if options.transaction_pooler else 5},
        )

    def open(self) -> None:
        """Connect, and refuse a role for which row security does not hold.

        Raises:
            ConfigError: The URL is none, or names a database that is not there.
            DeniedError: The login is refused, or its role is a superuser, bypasses row security, or is no member of the app role.
            TransientError: The database does not answer.
        """
        # Asked by a connection of its own: a pool only says that none came free, after its whole wait.
        with connected(self._url, variable="PAY_READY_DATABASE_URL") as connection:
            _refuse_unbound_role(connection, in_schema("pay_ready_app", self.schema))
            # A pooler's sessions are everybody's, and its own connection is the one that would be watched.
            self._settle = b"" if self._options.transaction_pooler else watchful(connection)
        with translating():
            self._pool.open()

    def close(self) -> None:
        """Give every connection back."""
        self._arrow.close()
        self._pool.close()

    @property
    def most_connections(self) -> int:
        """Transactions that may be open at once in this process."""
        return self._options.max_size + self._options.overflow

    def pool_figures(self) -> Mapping[str, int]:
        """Connections and waiters, for doctor and metrics."""
        return self._pool.get_stats()

    @contextmanager
    def tenant_transaction(self, tenant: TenantId, *, work: Work = "people", snapshot: bool | str = False) -> Iterator[TenantTransaction]:
        """One transaction in which only this tenant's rows exist; commits at the end, rolls back on any error.

        Args:
            tenant: Owner of every row read or written.
            work: Which timeouts hold: `people` who wait, or `batch` work.
            snapshot: Every statement sees what the first one saw, and none may write; or what a transaction saw that is still open and
                gave this name to it (`TenantTransaction.export_snapshot`).

        Raises:
            IsolationError: Called inside another tenant transaction, or the transaction ended under another tenant.
            TransientError: No connection came free, or the database could not finish.
        """
        with (
            _entered(tenant),
            measured_transaction(work, tenant),
            translating(),
            self._pool.connection() as connection,
            connection.transaction(),
        ):
            limits = self._options.batch if work == "batch" else self._options.people
            if snapshot:
                connection.execute(_SNAPSHOT)
            if isinstance(snapshot, str):
                connection.execute(sql.SQL("set transaction snapshot {}").format(sql.Literal(snapshot)))
            connection.execute(_BEGIN, _begin_params(tenant, limits))
            yield TenantTransaction(connection, tenant, self.schema, limits, slow=self._slow, is_awaited=work == "people")
            _refuse_switched_tenant(connection, tenant)

    def tenant_arrow(self, tenant: TenantId, name: str, params: Params | None = None) -> "pa.Table":
        """The rows of a named statement as Arrow, read in bulk by ADBC in a transaction of the tenant.

        uuid comes as arrow.uuid, jsonb as arrow.json. Six times the speed of a server-side cursor (457k rows/s).

        Raises:
            IsolationError: Called inside a tenant transaction of another tenant.
            TransientError: The database is away, or could not finish.
        """
        if (inside := _current_tenant.get()) not in (None, tenant):
            raise IsolationError("a second tenant inside one transaction", "end the first transaction", inside=inside)
        statement = load_queries(self.schema)[name].sql
        literals = {key: sql.Literal(value).as_string() for key, value in {**(params or {}), "tenant_id": tenant}.items()}
        with (
            translating(),
            measured_statement(name, tenant),
            self._arrow.reading() as connection,
            connection.cursor() as cursor,
        ):
            limits = self._options.batch
            begin = {key: sql.Literal(value).as_string() for key, value in _begin_params(tenant, limits).items()}
            cursor.execute(_BEGIN % begin)
            cursor.fetchall()
            cursor.execute(statement % literals)
            return cursor.fetch_arrow_table()

    def _configure(self, connection: psycopg.Connection[Any]) -> None:
        if self._settle:
            connection.execute(self._settle)

    def _reset(self, connection: psycopg.Connection[Any]) -> None:
        connection.execute(_RESET + self._settle)


@contextmanager
def _entered(tenant: TenantId) -> Iterator[None]:
    inside = _current_tenant.get()
    if inside is not None:
        raise IsolationError("a transaction inside another one", "pass the open transaction on", inside=inside, wanted=tenant)
    if not isinstance(tenant, UUID):
        # An id in capitals, say, is the same to Postgres and another tenant's to whatever keeps values by it.
        raise IsolationError("a transaction without a tenant's id", "pass the TenantId", type=type(tenant).__name__)
    token = _current_tenant.set(tenant)
    try:
        yield
    finally:
        _current_tenant.reset(token)


def _begin_params(tenant: TenantId, limits: Timeouts) -> dict[str, str]:
    return {
        "tenant": str(tenant),
        "statement_ms": str(limits.statement_ms),
        "lock_ms": str(limits.lock_ms),
        "idle_ms": str(limits.idle_in_transaction_ms),
    }


def _refuse_switched_tenant(connection: psycopg.Connection[Any], tenant: TenantId) -> None:
    row = connection.execute("select current_setting('app.tenant_id', true)").fetchone()
    if row is None or row[0] != str(tenant):
        raise IsolationError("the transaction ended under another tenant and was rolled back", tenant=tenant)


def _refuse_unbound_role(connection: psycopg.Connection[Any], app_role: str) -> None:
    row = connection.execute(
        "select rolname, rolsuper or rolbypassrls, exists (select from pg_roles where rolname = %(app)s)"
        " and pg_has_role(current_user, case when exists (select from pg_roles where rolname = %(app)s) then %(app)s"
        " else current_user end, 'usage') from pg_roles where rolname = current_user",
        {"app": app_role},
    ).fetchone()
    if row is not None and row[1]:
        raise DeniedError(
            "row security does not hold for this role: it is a superuser or bypasses it",
            "put it into PAY_READY_ADMIN_DATABASE_URL, run: pay-ready migrate --app-login NAME, "
            "and put the URL that it prints into PAY_READY_DATABASE_URL",
            role=row[0],
        )
    if row is None or not row[2]:
        raise DeniedError(
            "the database is not migrated, or this role is no member of the app role",
            f"run: pay-ready migrate; then as an administrator: grant {app_role} to <role>",
            role=row[0] if row else "?",
        )
