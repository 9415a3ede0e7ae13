"""Rows of a destination's table: which there are of which sync, and all of them in COPY's binary form, page by page.

Moments are microseconds since 2000-01-01 UTC, as Postgres counts them; both infinities are the ends of the range.
"""

from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import datetime
from struct import Struct as Layout
from typing import Any, LiteralString

import psycopg
from msgspec import Struct
from psycopg import pq, sql
from psycopg.abc import Buffer
from psycopg.adapt import Loader

from pay_ready.db.destination import RAW_ID, Destination, DestinationTable

# What stands for a sync or a generation that is absent: none has this number.
ABSENT = -1
EPOCH_2000_MS = 946_684_800_000

_FIRST, _LAST = -(1 << 63), (1 << 63) - 1
_INT8 = Layout(">q")
_SIGNATURE = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_TRAILER = b"\xff\xff"
_NULL = b"\xff\xff\xff\xff"
# The number of columns; moment, sync, generation and place, each with its length in front; the length of the id.
_HEAD = Layout(">hiqiqiqiIHi")
_LENGTH = Layout(">i")
_CHUNK_ROWS, _CHUNK_BYTES = 1_000, 1 << 20

_WINDOW_BY_INDEX: tuple[LiteralString, ...] = (
    "select count(*), min({moment}) from {table} as t where {wanted}",
    "select count(*), max({moment}) from {table} as t where {missing}",
    "select count(*) from {table} as t where {newer}",
)
_WINDOW_BY_SCAN: tuple[LiteralString, ...] = (
    """select
        count(*) filter (where {wanted}), min({moment}) filter (where {wanted}),
        count(*) filter (where {missing}), max({moment}) filter (where {missing}), count(*) filter (where {newer})
    from {table} as t""",
)


class Row(Struct, frozen=True, gc=False):
    """A row as it came: Airbyte's columns, and its data as JSON. Not tracked by the garbage collector: it can be in no cycle."""

    moment: int
    sync: int  # ABSENT when it does not say
    generation: int
    place: int  # block and offset in one
    raw_id: bytes
    data: bytes
    changes: bytes | None  # what the destination had to change, a JSON array


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """A row's place in the order (moment, id, place). The last of them tells repeated ids apart, within one snapshot."""

    moment: int
    raw_id: str
    place: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Between:
    """Rows whose column holds a time in [start, end); a column of times without a zone holds UTC."""

    column: str
    start: datetime
    end: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which rows to read: those of syncs in (after_sync, upto_sync], and those of no known sync from a moment on.

    None leaves a bound open. `from_moment` is where the first of them all is known to be. `between` leaves out others.
    """

    after_sync: int | None = None
    upto_sync: int | None = None
    without_sync_from: int | None = None
    from_moment: int | None = None
    between: Between | None = None
    after: Position | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """How a row becomes JSON: its columns with the names they get; the row's id on top where it is the key."""

    names: Mapping[str, str]
    keeps_raw_id: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """The rows of wanted syncs and where the first of them is; all rows of no sync and where the last is; rows of newer syncs."""

    rows: int
    first_moment: int | None
    without_sync: int
    last_without_sync: int | None
    newer: int


def is_empty(destination: Destination, table: DestinationTable) -> bool:
    """Whether there is no row."""
    return not _exists(destination, table, sql.SQL("true"))


def has_generation_up_to(destination: Destination, table: DestinationTable, generation: int) -> bool:
    """Whether a row is of this generation or an older one. Old rows come first in a table, so this seldom reads far."""
    return _exists(
        destination, table, sql.SQL("coalesce({}, {}) <= {}").format(_generation(table), sql.Literal(ABSENT), sql.Literal(generation))
    )


def has_sync_up_to(destination: Destination, table: DestinationTable, sync: int) -> bool:
    """Whether a row is of this sync or of an older one, or of none that is known."""
    return _exists(destination, table, sql.SQL("coalesce({}, 0) <= {}").format(_sync(table), sql.Literal(sync)))


def has_wanted(destination: Destination, table: DestinationTable, wanted: Wanted) -> bool:
    """Whether there is a row to read."""
    return _exists(destination, table, _condition(table, wanted))


def first_moment(destination: Destination, table: DestinationTable) -> int | None:
    """The first moment in the table."""
    found: int | None = _values(destination, sql.SQL("select min({}) from {} as t").format(_moment(table), _named(table)))[0]
    return found


def window(destination: Destination, table: DestinationTable, wanted: Wanted) -> Window:
    """Where the wanted rows are: one pass over the table, or three looks into an index on the sync."""
    _prefer_indexes(destination, prefer=False)
    upto = wanted.upto_sync
    parts = {
        "moment": _moment(table),
        "table": _named(table),
        "wanted": _by_sync(table, wanted),
        "missing": sql.SQL("{} is null").format(_sync(table)),
        "newer": sql.SQL("false") if upto is None else sql.SQL("{} > {}").format(_sync(table), sql.Literal(upto)),
    }
    statements = _WINDOW_BY_INDEX if table.has_sync_index else _WINDOW_BY_SCAN
    found = [value for statement in statements for value in _values(destination, sql.SQL(statement).format(**parts))]
    return Window(rows=found[0], first_moment=found[1], without_sync=found[2], last_without_sync=found[3], newer=found[4])


def rows_between(destination: Destination, table: DestinationTable, column: str, marks: Sequence[datetime]) -> list[int]:
    """How many rows have a time in each of the ranges between neighbouring marks, which ascend."""
    statement = sql.SQL(
        "select width_bucket({column}, {marks}) as place, count(*) from {table} as t where {between} group by place"
    ).format(
        column=_as_time(column),
        marks=sql.SQL("array[{}]").format(sql.SQL(", ").join(map(sql.Literal, marks))),
        table=_named(table),
        between=_between(Between(column=column, start=marks[0], end=marks[-1])),
    )  # fmt: skip
    counts = [0] * (len(marks) - 1)
    with destination.translating(), destination.session.cursor() as cursor:
        for place, rows in cursor.execute(statement).fetchall():
            counts[place - 1] = rows
    return counts


def read_rows(destination: Destination, table: DestinationTable, wanted: Wanted, shape: Shape, *, page_rows: int) -> Iterator[list[Row]]:
    """The wanted rows in the order (moment, id, place), in chunks of at most 1,000 rows or about 1 MiB.

    A page is one statement; so a statement ends in bounded time, and starts where the last one ended. A table that cannot be
    entered at a place (no index on the moment, rows without one) is one page. Memory holds a chunk, however large a page is.

    Raises:
        TransientError: The connection was lost, or the server gave up on a statement.
    """
    limit = page_rows if table.has_moment_index and table.is_positioned else None
    _prefer_indexes(destination, prefer=limit is not None)
    while True:
        read, last = 0, None
        for chunk in _page(destination, _select(table, wanted, shape, limit)):
            read, last = read + len(chunk), chunk[-1]
            yield chunk
        if limit is None or read < limit or last is None:
            return
        wanted = replace(wanted, after=position_of(last))


def _prefer_indexes(destination: Destination, *, prefer: bool) -> None:
    """A table that was just swapped in has no statistics: the planner would sort all of it for each page."""
    with destination.translating():
        destination.session.execute(sql.SQL("set local enable_seqscan = {}").format(sql.SQL("off" if prefer else "on")))


def position_of(row: Row) -> Position:
    """Where a row stands."""
    return Position(moment=row.moment, raw_id=row.raw_id.decode(), place=row.place)


def _page(destination: Destination, statement: sql.Composed) -> Iterator[list[Row]]:
    """One statement's rows. Taken apart by hand: the driver's own way takes three times as long."""
    chunk: list[Row] = []
    size = 0
    head, head_bytes, length = _HEAD.unpack_from, _HEAD.size, _LENGTH.unpack_from
    with destination.translating(), closing(_copied(destination.session, statement)) as messages:
        for data in messages:
            _, _, moment, _, sync, _, generation, _, place, offset, id_bytes = head(data)
            at = head_bytes + id_bytes
            end = at + 4 + length(data, at)[0]
            changes = None if data[end : end + 4] == _NULL else data[end + 4 :]
            chunk.append(Row(moment, sync, generation, place << 16 | offset, data[head_bytes:at], data[at + 4 : end], changes))
            size += len(data)
            if size >= _CHUNK_BYTES or len(chunk) >= _CHUNK_ROWS:
                yield chunk
                chunk, size = [], 0
    if chunk:
        yield chunk


def _copied(session: psycopg.Connection[Any], statement: sql.Composed) -> Generator[bytes]:
    """The rows that COPY sends, without its signature and its trailer.

    The driver waits for each row by itself, which costs more than all that is done with one; so it is asked only when
    nothing has come yet, and what has come is taken from the library below it.
    """
    with session.cursor() as cursor, cursor.copy(statement) as copy:
        data = bytes(copy.read())
        if data.startswith(_SIGNATURE):
            data = data[len(_SIGNATURE) :]
        ready = session.pgconn.get_copy_data
        while data != _TRAILER:
            if data:
                yield data
            size, view = ready(1)
            if size < 0:
                raise _failed(session.pgconn)
            data = bytes(view if size else copy.read())
        while copy.read():
            pass


def _failed(connection: pq.abc.PGconn) -> psycopg.Error:
    """Why COPY ended before its trailer."""
    result = connection.get_result()
    if result is None or connection.status == pq.ConnStatus.BAD:
        return psycopg.OperationalError("the connection was lost")
    return psycopg.errors.error_from_result(result)


def _select(table: DestinationTable, wanted: Wanted, shape: Shape, limit: int | None) -> sql.Composed:
    statement = sql.SQL(
        "copy (select coalesce({moment}, '-infinity'), coalesce({sync}, {absent}), coalesce({generation}, {absent}), t.ctid,"
        " coalesce({id}, ''), {data}, {changes} from {table} as t{row} where {condition}"
        " order by {moment}, {id}, t.ctid{limit}) to stdout (format binary)"
    )
    return statement.format(
        moment=_moment(table),
        sync=_sync(table),
        generation=_generation(table),
        absent=sql.Literal(ABSENT),
        id=_id(table),
        data=_data(table, shape),
        changes=_changes(table),
        table=_named(table),
        row=_row(shape) if table.layout == "typed" else sql.SQL(""),
        condition=_condition(table, wanted),
        limit=sql.SQL(" limit {}").format(sql.Literal(limit)) if limit else sql.SQL(""),
    )


def _condition(table: DestinationTable, wanted: Wanted) -> sql.Composable:
    every_sync = wanted.after_sync is None and wanted.upto_sync is None
    if table.meta_column is None:
        parts = [_from(table, wanted.without_sync_from)]
    elif every_sync and wanted.without_sync_from is None:
        parts = []
    else:
        without = sql.SQL("({} is null and {})").format(_sync(table), _from(table, wanted.without_sync_from))
        parts = [sql.SQL("({} or {})").format(_by_sync(table, wanted), without)]
    if wanted.from_moment is not None:
        parts.append(_from(table, wanted.from_moment))
    if wanted.between is not None:
        parts.append(_between(wanted.between))
    if wanted.after is not None:
        parts.append(_beyond(table, wanted.after))
    return sql.SQL(" and ").join(parts or [sql.SQL("true")])


def _by_sync(table: DestinationTable, wanted: Wanted) -> sql.Composable:
    bounds = [("{} > {}", wanted.after_sync), ("{} <= {}", wanted.upto_sync)]
    parts = [sql.SQL(bound).format(_sync(table), sql.Literal(sync)) for bound, sync in bounds if sync is not None]
    return sql.SQL("({})").format(sql.SQL(" and ").join(parts or [sql.SQL("{} is not null").format(_sync(table))]))


def _from(table: DestinationTable, moment: int | None) -> sql.Composable:
    """From a moment on. Where a row may have none, nobody knows when it came: it is always read."""
    if moment is None:
        return sql.SQL("true")
    from_then = sql.SQL("{} >= {}").format(_moment(table), _literal(moment))
    return from_then if table.is_positioned else sql.SQL("({} or {} is null)").format(from_then, _moment(table))


def _between(wanted: Between) -> sql.Composable:
    """Compared as it is, so that an index on the column serves: the session's zone is UTC."""
    column = sql.Identifier("t", wanted.column)
    return sql.SQL("({column} >= {start} and {column} < {end})").format(
        column=column, start=sql.Literal(wanted.start), end=sql.Literal(wanted.end)
    )


def _as_time(column: str) -> sql.Composable:
    return sql.SQL("{}::timestamptz").format(sql.Identifier("t", column))


def _beyond(table: DestinationTable, position: Position) -> sql.Composable:
    here, there = [_moment(table), _id(table)], [_literal(position.moment), sql.Literal(position.raw_id)]
    if position.place is not None:
        here.append(sql.SQL("t.ctid"))
        there.append(sql.SQL("{}::tid").format(sql.Literal(f"({position.place >> 16},{position.place & 0xFFFF})")))
    return sql.SQL("({}) > ({})").format(sql.SQL(", ").join(here), sql.SQL(", ").join(there))


def _data(table: DestinationTable, shape: Shape) -> sql.Composable:
    if table.layout == "typed":
        return sql.SQL("row_to_json(r)")
    data: sql.Composable = sql.SQL("t._airbyte_data")
    if shape.keeps_raw_id:
        data = sql.SQL("({}::jsonb || jsonb_build_object({}, {}))").format(data, sql.Literal(RAW_ID), _id(table))
    return sql.SQL("coalesce({}::text, 'null')").format(data)


def _row(shape: Shape) -> sql.Composable:
    columns = [(sql.Identifier("t", column), name) for column, name in shape.names.items()]
    named = [sql.SQL("{} as {}").format(column, sql.Identifier(name)) for column, name in columns]
    return sql.SQL(" cross join lateral (select {}) as r").format(sql.SQL(", ").join(named))


def _changes(table: DestinationTable) -> sql.Composable:
    if table.meta_column is None:
        return sql.SQL("null::text")
    changes = sql.SQL("{} -> 'changes'").format(_meta(table))
    return sql.SQL("case when jsonb_typeof({changes}) = 'array' and {changes} <> '[]' then ({changes})::text end").format(changes=changes)


def _sync(table: DestinationTable) -> sql.Composable:
    """The sync of a row, as the index on it says it: anything else would not use that index."""
    return sql.SQL("null::bigint") if table.meta_column is None else sql.SQL("({} ->> 'sync_id')::bigint").format(_meta(table))


def _meta(table: DestinationTable) -> sql.Composable:
    meta = sql.Identifier("t", str(table.meta_column))
    is_jsonb = any(column.name == table.meta_column and column.type == "jsonb" for column in table.columns)
    return meta if is_jsonb else sql.SQL("{}::jsonb").format(meta)


def _generation(table: DestinationTable) -> sql.Composable:
    return sql.SQL("null::bigint") if table.generation_column is None else sql.Identifier("t", table.generation_column)


def _moment(table: DestinationTable) -> sql.Composable:
    return sql.Identifier("t", table.moment_column)


def _id(table: DestinationTable) -> sql.Composable:
    return sql.SQL('{}::text collate "C"').format(sql.Identifier("t", table.id_column))


def _named(table: DestinationTable) -> sql.Composable:
    return sql.Identifier(table.schema, table.name)


def _literal(moment: int) -> sql.Composable:
    if moment in (_FIRST, _LAST):
        return sql.SQL("timestamptz '{}infinity'").format(sql.SQL("-" if moment == _FIRST else ""))
    return sql.SQL("(timestamptz '2000-01-01 00:00:00+00' + {} * interval '1 microsecond')").format(sql.Literal(moment))


def _exists(destination: Destination, table: DestinationTable, condition: sql.Composable) -> bool:
    return bool(_values(destination, sql.SQL("select exists (select from {} as t where {})").format(_named(table), condition))[0])


class _Micros(Loader):
    """A moment as Postgres sends it: Python's own times know neither infinity nor years before the first."""

    format = pq.Format.BINARY

    def load(self, data: Buffer) -> int:
        (moment,) = _INT8.unpack(data)
        return int(moment)


def _values(destination: Destination, statement: sql.Composed) -> tuple[Any, ...]:
    """The one row of a statement, its moments as numbers."""
    with destination.translating(), destination.session.cursor(binary=True) as cursor:
        cursor.adapters.register_loader("timestamptz", _Micros)
        row = cursor.execute(statement).fetchone()
    return row or ()
