"""A factory of rows that knows nothing but the catalogue: types, CHECKs and foreign keys.

Values travel as text and are cast on the way in, so one code path serves every type. Keys are the same words in every
tenant (they overlap on purpose); every other text carries the tenant's canary. A table that cannot be filled fails.
"""

import itertools
import math
import re
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import NAMESPACE_OID, UUID, uuid5

import psycopg
from psycopg import sql

from .catalogue import Column, Table

Row = Mapping[str, str | None]
CHILDLESS = 3  # the set of the first tenant that holds parents alone
STRANGER = 4  # the set that the second tenant alone has
# Values for a column whose CHECK no general value meets: (table, column) to candidates. Empty is best.
OVERRIDES: Mapping[tuple[str, str], Sequence[str | None]] = {
    # Eight bytes of key to four of count.
    ("resolution_model_counts", "keys"): (r"\x0000000000000001", r"\x0000000000000002"),
    ("resolution_model_counts", "counts"): (r"\x00000001", r"\x00000002"),
    # One serves.
    ("memory_embedders", "state"): ("building",),
    # A label a score.
    ("interaction_sentiment", "sentence_scores"): ("{0.5}", "{1}"),
    ("interaction_sentiment", "sentence_labels"): ("p", "n"),
    # Sixteen bytes to a block and its place.
    ("record_blocks", "blocks"): (r"\x00000000000000010000000000000000", r"\x00000000000000020000000000000000"),
}

_WORDS = re.compile(r"'([^']*)'::text")


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """A tenant and the word that marks its values."""

    tenant_id: UUID
    canary: str


@dataclass(slots=True, kw_only=True)
class World:
    """Rows by (tenant, set, table).

    Sets 0 and 1 are in both filled tenants with equal keys, set STRANGER in the second alone; CHILDLESS of the first tenant
    has rows only in tables that others point at.
    """

    first: Owner
    second: Owner
    empty: Owner
    rows: dict[tuple[UUID, int, str], Row] = field(default_factory=dict)

    def of(self, owner: Owner, set_no: int) -> Mapping[str, Row]:
        """One set of one tenant by table."""
        return {table: row for (tenant, number, table), row in self.rows.items() if (tenant, number) == (owner.tenant_id, set_no)}


@dataclass(frozen=True, slots=True, kw_only=True)
class RowFactory:
    """Makes valid rows and inserts them."""

    schema: str
    tables: Mapping[str, Table]

    def build(
        self,
        connection: psycopg.Connection[Any],
        name: str,
        owner: Owner,
        set_no: int,
        parents: Mapping[str, Row],
        pinned: Row | None = None,
    ) -> Row:
        """A row that meets every CHECK of the table; `pinned` columns keep their value if any row at all can have them."""
        table = self.tables[name]
        choices = {
            column.name: list(dict.fromkeys(_candidates(connection, table, column, owner, set_no, parents)))
            for column in table.columns.values()
        }
        choices |= {column: [value] for column, value in (pinned or {}).items()}
        choices["tenant_id"] = [str(owner.tenant_id)]
        row: dict[str, str | None] = {column: values[0] for column, values in choices.items()}
        while failing := self.failing_checks(connection, table, row):
            better = self._better(connection, table, row, choices, failing)
            assert better is not None, f"the factory cannot fill {name}: {failing} - add the columns to OVERRIDES"
            row = better
        return row

    def insert(self, connection: psycopg.Connection[Any], name: str, row: Row, tail: str = "") -> Row | None:
        """Insert it; the row as the database keeps it (text), or None when `tail` (on conflict …) left it out."""
        columns = self.tables[name].columns
        statement = sql.SQL("insert into {} ({}) values ({}) {} returning {}").format(
            sql.Identifier(self.schema, name),
            sql.SQL(", ").join(map(sql.Identifier, row)),
            sql.SQL(", ").join(sql.SQL("{}::{}").format(sql.Literal(value), sql.SQL(columns[key].type)) for key, value in row.items()),
            sql.SQL(tail),
            sql.SQL(", ").join(sql.SQL("{}::text").format(sql.Identifier(key)) for key in columns),
        )
        kept = connection.execute(statement).fetchone()
        return None if kept is None else dict(zip(columns, kept, strict=True))

    def fill(
        self,
        connection: psycopg.Connection[Any],
        owner: Owner,
        set_no: int,
        before: Mapping[str, Row],
        tail: Callable[[Table], str] = lambda _: "on conflict do nothing",
    ) -> Mapping[str, Row]:
        """One row in every table, parents first; the transaction must be the tenant's.

        Partitions are reached through their parent: that which got its row stands with it. The tenant's own row is made once
        (`before`).
        """
        made: dict[str, Row] = {name: row for name, row in before.items() if name == "tenants"}
        pointed_at = {key.parent for table in self.tables.values() for key in table.foreign_keys}
        for name, table in self.tables.items():
            if name in made or (set_no == CHILDLESS and name not in pointed_at):
                continue
            if table.is_partition_of:
                if table.is_partition_of in made and self._lies_in(connection, table, made[table.is_partition_of]):
                    made[name] = made[table.is_partition_of]
                continue
            kept = self.insert(connection, name, self.build(connection, name, owner, set_no, made), tail(table))
            assert kept is not None, f"the row of {owner.canary} was left out of {name}: somebody else's key met it"
            made[name] = kept
        return made

    def _lies_in(self, connection: psycopg.Connection[Any], partition: Table, row: Row) -> bool:
        """Whether a row of the partitioned table went into this partition."""
        assert partition.is_partition_of is not None
        key = sql.SQL(" and ").join(
            sql.SQL("{} = {}::{}").format(sql.Identifier(name), sql.Literal(row[name]), sql.SQL(partition.columns[name].type))
            for name in partition.primary_key
        )
        parent = sql.Identifier(self.schema, partition.is_partition_of)
        found = connection.execute(
            sql.SQL("select tableoid = {}::regclass from {} where {}").format(sql.Literal(f"{self.schema}.{partition.name}"), parent, key)
        ).fetchone()
        assert found is not None
        return bool(found[0])

    def failing_checks(self, connection: psycopg.Connection[Any], table: Table, row: Row) -> Sequence[str]:
        """Names of the CHECKs that the row breaks, evaluated without an insert."""
        if not table.checks:
            return []
        values = sql.SQL(", ").join(
            sql.SQL("{}::{} as {}").format(sql.Literal(row[key]), sql.SQL(column.type), sql.Identifier(key))
            for key, column in table.columns.items()
        )
        verdicts = sql.SQL(", ").join(sql.SQL("(") + sql.SQL(check.expression) + sql.SQL(") is not false") for check in table.checks)
        found = connection.execute(
            sql.SQL("select {} from (select {}) as {}").format(verdicts, values, sql.Identifier(table.name))
        ).fetchone()
        assert found is not None
        return [check.name for check, holds in zip(table.checks, found, strict=True) if not holds]

    def _better(
        self,
        connection: psycopg.Connection[Any],
        table: Table,
        row: dict[str, str | None],
        choices: Mapping[str, Sequence[str | None]],
        failing: Sequence[str],
    ) -> dict[str, str | None] | None:
        check = next(check for check in table.checks if check.name == failing[0])
        for values in itertools.product(*(choices[name] for name in check.columns)):
            changed = row | dict(zip(check.columns, values, strict=True))
            still = self.failing_checks(connection, table, changed)
            if check.name not in still and len(still) < len(failing):
                return changed
        return None


def _candidates(
    connection: psycopg.Connection[Any], table: Table, column: Column, owner: Owner, set_no: int, parents: Mapping[str, Row]
) -> Iterator[str | None]:
    """Values to try for a column, the most telling first; None only where the column may be null."""
    if (table.name, column.name) in OVERRIDES:
        yield from OVERRIDES[table.name, column.name]
        return
    inherited = [
        parents[key.parent][parent_column]
        for key in table.foreign_keys
        for child_column, parent_column in zip(key.columns, key.parent_columns, strict=True)
        if child_column == column.name and key.parent in parents
    ]
    yield from inherited
    if not inherited and not _only_a_reference(table, column):
        yield from _own_values(connection, table, column, owner, set_no)
    if not column.not_null:
        yield None


def _only_a_reference(table: Table, column: Column) -> bool:
    return column.name != "tenant_id" and any(column.name in key.columns for key in table.foreign_keys)


def _own_values(connection: psycopg.Connection[Any], table: Table, column: Column, owner: Owner, set_no: int) -> Iterator[str | None]:
    words = [
        word
        for check in table.checks
        if check.columns == (column.name,) and "ANY" in check.expression
        for word in _WORDS.findall(check.expression)
    ]
    if column.default is not None and (words or column.type not in ("text", "boolean")) and column.name not in table.key_columns:
        default = connection.execute(sql.SQL("select ({})::text").format(sql.SQL(column.default))).fetchone()
        yield default[0] if default else None
    if words:
        yield from words[set_no % len(words) :] + words[: set_no % len(words)]
        return
    make = _MAKERS.get(column.type)
    assert make is not None, f"no value known for {table.name}.{column.name} of type {column.type}: add its type to the factory"
    is_key = column.name in table.key_columns
    yield from make(_Place(table=table.name, column=column.name, is_key=is_key, canary=owner.canary, set_no=set_no))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    """Where a value goes."""

    table: str
    column: str
    is_key: bool
    canary: str
    set_no: int

    @property
    def marked(self) -> str:
        return f"{self.canary}-{self.table}-{self.column}-{self.set_no}"


def _text(place: _Place) -> Sequence[str]:
    shared = [f"shared-key-{place.set_no}", "shared.key"]
    return shared if place.is_key else [place.marked, *shared]


def _uuid(place: _Place) -> Sequence[str]:
    # Equal column names give equal ids, so that rows which no foreign key joins (assignments and records) still meet in the views.
    return [str(uuid5(NAMESPACE_OID, f"{place.column}:{place.set_no}")), str(UUID(int=(1 << 128) - 1 - place.set_no))]


def _bytes(place: _Place) -> Sequence[str]:
    word = f"shared-{place.set_no}" if place.is_key else f"{place.canary}-{place.column}-{place.set_no}"
    return ["\\x" + word.encode().ljust(32, b".")[:32].hex()]


def _json(place: _Place) -> Sequence[str]:
    return [f'{{"schema_version": 1, "canary": "{place.marked}"}}']


def _integer(place: _Place) -> Sequence[str]:
    return [str(place.set_no + 1), "0"]


def _date(place: _Place) -> Sequence[str]:
    return [f"{year}-01-{place.set_no + 1:02}" for year in (2099, 2026)]


def _moment(place: _Place) -> Sequence[str]:
    return [f"{date} 00:00+00" for date in _date(place)]


def _always(*values: str) -> Callable[[_Place], Sequence[str]]:
    return lambda place: values  # noqa: ARG005


def _vector(place: _Place) -> Sequence[str]:
    """Of length 1, in three dimensions; each tenant's own."""
    angle = zlib.crc32(f"{place.canary}-{place.set_no}".encode()) / (1 << 32) * math.tau
    return [f"[{math.cos(angle):.4f},{math.sin(angle):.4f},0]"]


def _texts(place: _Place) -> Sequence[str]:
    return [f"{{{place.marked},another}}"]


_MAKERS: Mapping[str, Callable[[_Place], Sequence[str]]] = {
    "text": _text,
    "text[]": _texts,
    "halfvec": _vector,
    "tsvector": lambda place: [f"'{each}':1" for each in _text(place)],
    "uuid": _uuid,
    "bytea": _bytes,
    "jsonb": _json,
    "bigint": _integer,
    "integer": _integer,
    "smallint": _integer,
    "real": _always("0.5", "1"),
    "double precision": _always("0.5", "1"),
    "boolean": _always("true", "false"),
    "interval": _always("1 day"),
    "date": _date,
    "timestamp with time zone": _moment,
}
