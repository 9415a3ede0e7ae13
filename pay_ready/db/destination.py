"""The tables of an Airbyte destination: somebody else's, in this database or in another, read and never changed.

No tenant and no row security stand here: what a login may see of a destination is for its owner to grant. Every reading is
one read-only transaction with its own timeouts, under the weakest lock there is.

A reading locks its tables before it takes its snapshot. A destination swaps whole tables (DROP and RENAME), and a name is
looked up when it is read, not when the snapshot was taken: without the lock the new table would be found under the old
name, with all its rows too young to be seen.
"""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import psycopg
from psycopg import errors as pg
from psycopg import sql
from psycopg.rows import namedtuple_row

from pay_ready.db.connect import connected
from pay_ready.db.failures import translated
from pay_ready.errors import DeniedError, PayReadyError, TransientError

Layout = Literal["typed", "raw"]

# Both ends notice within a minute and a half that the other one is gone: the server must not hold our locks for longer.
_PARAMETERS = {
    "keepalives": 1, "keepalives_idle": 30, "keepalives_interval": 10, "keepalives_count": 3, "tcp_user_timeout": 60_000,
    "client_encoding": "UTF8", "fallback_application_name": "pay_ready",
}  # fmt: skip
_SETTINGS = {
    "TimeZone": "UTC", "DateStyle": "ISO, YMD", "IntervalStyle": "iso_8601", "bytea_output": "hex", "search_path": "pg_catalog",
    "tcp_keepalives_idle": "30", "tcp_keepalives_interval": "10", "tcp_keepalives_count": "3", "jit": "off",
}  # fmt: skip

# Airbyte's own columns, newest name first: what version 1 called ab_id and emitted_at became raw_id and extracted_at.
_ID_COLUMNS = ("_airbyte_raw_id", "_airbyte_ab_id")
_MOMENT_COLUMNS = ("_airbyte_extracted_at", "_airbyte_emitted_at")
_DATA, _META, _GENERATION = "_airbyte_data", "_airbyte_meta", "_airbyte_generation_id"
OWN_PREFIX = "_airbyte_"
RAW_ID = "_airbyte_raw_id"

# What `pg_get_indexdef` says of an index that finds rows by their sync, without blanks, brackets and quotes.
_SYNC_INDEX = "_airbyte_meta->>'sync_id'::text::bigint"

_TABLES = """
select
    n.nspname as schema,
    c.relname as name,
    c.oid::bigint as oid,
    coalesce(pg_relation_filenode(c.oid), 0)::bigint as filenode,
    c.reltuples::bigint as row_estimate,
    pg_relation_size(c.oid) as size_bytes,
    has_schema_privilege(n.oid, 'usage') and has_table_privilege(c.oid, 'select') as readable,
    columns.names as column_names,
    columns.types as column_types,
    columns.required,
    coalesce(indexes.firsts, '{}') as indexed
from pg_class as c
join pg_namespace as n on n.oid = c.relnamespace
cross join lateral (
    select
        array_agg(a.attname::text order by a.attnum) as names,
        array_agg(format_type(a.atttypid, a.atttypmod) order by a.attnum) as types,
        array_agg(a.attname::text) filter (where a.attnotnull) as required
    from pg_attribute as a
    where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
) as columns
left join lateral (
    select array_agg(pg_get_indexdef(i.indexrelid, 1, true)) as firsts
    from pg_index as i
    where i.indrelid = c.oid and i.indisvalid and i.indpred is null
) as indexes on true
where n.nspname = any(%(schemas)s)
  and c.relkind = 'r'
  and columns.names && %(marks)s
order by n.nspname, c.relname
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadLimits:
    """Milliseconds after which the destination's server gives up on us."""

    statement_ms: int = 1_800_000
    lock_ms: int = 60_000
    idle_in_transaction_ms: int = 600_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column, its type as Postgres writes it."""

    name: str
    type: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DestinationTable:
    """A table that Airbyte wrote, and what is known about it without reading it."""

    schema: str
    name: str
    oid: int
    filenode: int  # another one after TRUNCATE and after whatever writes the table anew
    row_estimate: int  # as of the last ANALYZE; -1 when there was none
    size_bytes: int
    readable: bool
    columns: tuple[Column, ...]
    layout: Layout
    id_column: str
    moment_column: str
    meta_column: str | None
    generation_column: str | None
    has_sync_index: bool
    has_moment_index: bool
    is_positioned: bool  # every row has an id and a moment

    def __str__(self) -> str:
        return f"{self.schema}.{self.name}"

    @property
    def own_columns(self) -> tuple[Column, ...]:
        """The columns that hold a row's data: all but Airbyte's."""
        return tuple(column for column in self.columns if not column.name.startswith(OWN_PREFIX))

    @property
    def sync_index_hint(self) -> str:
        """The statement that has rows found by their sync from now on."""
        table = f"{_quoted(self.schema)}.{_quoted(self.name)}"
        return f"create index concurrently on {table} (((_airbyte_meta ->> 'sync_id')::bigint))"


class Destination:
    """An open transaction on the destination's database."""

    def __init__(self, connection: psycopg.Connection[Any], setting: str) -> None:
        self._setting = setting
        self.session = connection

    def tables(self, schemas: Sequence[str]) -> list[DestinationTable]:
        """The tables in these schemas that have Airbyte's columns, by name; temporary ones of a sync are left out."""
        asked = {"schemas": list(schemas), "marks": [*_ID_COLUMNS]}
        with self.translating():
            rows: list[Any] = self.session.cursor(row_factory=namedtuple_row).execute(_TABLES, asked).fetchall()
        found = [table_of(row) for row in rows if not _is_temporary(row.name)]
        return [table for table in found if table is not None]

    @contextmanager
    def savepoint(self) -> Iterator[None]:
        """A part of the reading that may fail alone."""
        with self.translating(), self.session.transaction():
            yield

    @contextmanager
    def translating(self) -> Iterator[None]:
        """Raise our error in place of the driver's, whose text may quote values of rows."""
        with _translating(self._setting):
            yield


def table_of(row: Any) -> DestinationTable | None:
    """A table from its row of the catalogue; None when Airbyte's columns are not all there."""
    columns = dict(zip(row.column_names, row.column_types, strict=True))
    id_column = next((name for name in _ID_COLUMNS if name in columns), None)
    moment_column = next((name for name in _MOMENT_COLUMNS if name in columns), None)
    if id_column is None or moment_column is None:
        return None
    required = row.required or ()
    plain_indexes = {re.sub(r'[\s()"]', "", first) for first in row.indexed}
    return DestinationTable(
        schema=row.schema,
        name=row.name,
        oid=row.oid,
        filenode=row.filenode,
        row_estimate=row.row_estimate,
        size_bytes=row.size_bytes,
        readable=row.readable,
        columns=tuple(Column(name=name, type=kind) for name, kind in columns.items()),
        layout="raw" if _DATA in columns else "typed",
        id_column=id_column,
        moment_column=moment_column,
        meta_column=_META if columns.get(_META) in ("jsonb", "json") else None,
        generation_column=_GENERATION if _GENERATION in columns else None,
        has_sync_index=_SYNC_INDEX in plain_indexes,
        has_moment_index=moment_column in plain_indexes,
        is_positioned=id_column in required and moment_column in required,
    )


@contextmanager
def open_destination(
    url: str, *, setting: str, limits: ReadLimits | None = None, lock: Sequence[tuple[str, str]] | None = None
) -> Iterator[Destination]:
    """A read-only transaction on a destination.

    Args:
        url: Where it is.
        setting: What holds the URL, for errors.
        limits: The shipped ones unless given.
        lock: Schemas and names of the tables of a reading: they are locked against being dropped, renamed or altered, then
            one snapshot holds for all of it. Without it, each statement sees what is committed by then.

    Raises:
        ConfigError: The URL is none, or names a database that is not there.
        DeniedError: The server refuses this login.
        TransientError: Nobody answers, a table to lock is gone, or somebody else holds it for too long.
    """
    limits = limits or ReadLimits()
    own = {"statement_timeout": limits.statement_ms, "lock_timeout": limits.lock_ms,
           "idle_in_transaction_session_timeout": limits.idle_in_transaction_ms}  # fmt: skip
    # SET, and no function that sets: the snapshot must not be older than the locks, and SET and LOCK take none.
    level = sql.SQL("read committed" if lock is None else "repeatable read")
    begin = [sql.SQL("begin transaction isolation level {} read only").format(level)]
    begin += [sql.SQL("set local {} = {}").format(sql.Identifier(name), sql.Literal(value)) for name, value in {**_SETTINGS, **own}.items()]
    if lock:
        names = sql.SQL(", ").join(sql.Identifier(schema, name) for schema, name in lock)
        begin.append(sql.SQL("lock table {} in access share mode").format(names))
    with connected(url, variable=setting, parameters=_PARAMETERS) as connection:
        with _translating(setting):
            connection.execute(sql.SQL("; ").join(begin))
        yield Destination(connection, setting)


@contextmanager
def _translating(setting: str) -> Iterator[None]:
    try:
        yield
    except pg.InsufficientPrivilege:
        hint = "as the owner: grant usage on the schema, and select on all tables in it, to this login"
        raise DeniedError("the destination does not let this login read", hint, setting=setting) from None
    except (pg.UndefinedTable, pg.UndefinedColumn, pg.InvalidSchemaName):
        raise TransientError("a table of the destination changed while it was to be read", "try again", setting=setting) from None
    except psycopg.Error as error:
        raise _of_destination(translated(error), setting) from None


def _of_destination(error: PayReadyError, setting: str) -> PayReadyError:
    """The same error, saying whose database it is."""
    hint = "try again" if isinstance(error, TransientError) else "look into the server's log"
    return type(error)(f"the destination: {error.what}", hint, **{**error.where, "setting": setting})


def _is_temporary(name: str) -> bool:
    """Whether a table is one that a sync fills before it takes its place."""
    return name.endswith(("_airbyte_tmp", "_ab_soft_reset"))


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
