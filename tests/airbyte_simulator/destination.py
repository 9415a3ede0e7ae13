"""A destination writer of ours: tables as Airbyte's Postgres destination lays them out, and its habits that hurt a reader.

Layouts: `direct` (version 3: columns, appended rows are visible as they come), `typed` (version 2: columns, visible at the
stream's end), `typed_old` (an early version 2: neither generation nor sync id), `raw` (version 2, and version 3 with raw tables
only: one jsonb column in `airbyte_internal`, visible as they come), `raw_old` (version 1).

What is added is written to the table itself or, where it shows only at the end, to a temporary table beside it, as are rows
that replace others. A temporary table outlives a failed attempt: the next one that succeeds takes its rows along, under the
number of the job that wrote them. An overwrite drops the table and renames the temporary one: another oid.
"""

import json
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

import psycopg
from psycopg import sql
from psycopg.types.json import Jsonb

SimulatedLayout = Literal["direct", "typed", "typed_old", "raw", "raw_old"]
Mode = Literal["append", "dedup", "overwrite"]
INTERNAL = "airbyte_internal"

_NEW = {"_airbyte_raw_id": "varchar not null", "_airbyte_extracted_at": "timestamptz not null"}
_AIRBYTE: Mapping[SimulatedLayout, Mapping[str, str]] = {
    "direct": {**_NEW, "_airbyte_meta": "jsonb not null", "_airbyte_generation_id": "bigint not null"},
    "typed": {**_NEW, "_airbyte_meta": "jsonb not null", "_airbyte_generation_id": "bigint"},
    "typed_old": {**_NEW, "_airbyte_meta": "jsonb not null"},
    "raw": {**_NEW, "_airbyte_loaded_at": "timestamptz", "_airbyte_data": "jsonb", "_airbyte_meta": "jsonb",
            "_airbyte_generation_id": "bigint"},
    "raw_old": {"_airbyte_ab_id": "varchar not null", "_airbyte_data": "jsonb", "_airbyte_emitted_at": "timestamptz not null"},
}  # fmt: skip
_VISIBLE_AT_ONCE = ("direct", "raw", "raw_old")


@dataclass(slots=True, kw_only=True)
class SimulatedStream:
    """A stream of a connection and its table. `columns` are the typed ones, with Postgres' types."""

    url: str = field(repr=False)
    name: str
    columns: dict[str, str]
    schema: str = "crm"
    layout: SimulatedLayout = "direct"
    mode: Mode = "append"
    primary_key: str = "id"
    cursor: str | None = "seq"
    generation: int = 1
    has_index: bool = True
    written: int = field(default=0)

    def __post_init__(self) -> None:
        """The table is there before the first sync ends, as with Airbyte."""
        with self._connect() as connection:
            for schema in (self.schema, INTERNAL):
                connection.execute(sql.SQL("create schema if not exists {}").format(sql.Identifier(schema)))
            self.create(connection, self.table)

    @property
    def table(self) -> tuple[str, str]:
        """Schema and name."""
        if self.layout == "raw":
            return INTERNAL, f"{self.schema}_raw__stream_{self.name}"
        return self.schema, f"_airbyte_raw_{self.name}" if self.layout == "raw_old" else self.name

    @property
    def temporary(self) -> tuple[str, str]:
        """Where rows wait for the stream's end."""
        schema, name = self.table
        return schema, f"{name}_airbyte_tmp"

    @property
    def airbyte_columns(self) -> Mapping[str, str]:
        """Airbyte's own columns."""
        return _AIRBYTE[self.layout]

    @property
    def is_raw(self) -> bool:
        """Whether rows are one JSON value."""
        return "_airbyte_data" in self.airbyte_columns

    def create(self, connection: psycopg.Connection[Any], table: tuple[str, str]) -> None:
        """Make a table with its plain indexes; none of them is unique."""
        own = {} if self.is_raw else self.columns
        columns = [sql.SQL("{} " + kind).format(sql.Identifier(name)) for name, kind in {**own, **self.airbyte_columns}.items()]
        connection.execute(sql.SQL("create table if not exists {} ({})").format(sql.Identifier(*table), sql.SQL(", ").join(columns)))
        if self.has_index:
            moment = next(name for name in self.airbyte_columns if name.endswith("ed_at"))
            connection.execute(sql.SQL("create index on {} ({})").format(sql.Identifier(*table), sql.Identifier(moment)))

    def begin(self, job: int) -> "Attempt":
        """An attempt of a job at this stream, with a connection of its own."""
        return Attempt(self, job)

    def run(self, job: int, rows: Iterable[Mapping[str, Any]], *, at: datetime | None = None, **more: Any) -> None:
        """A whole sync: write, and end well."""
        with self.begin(job) as attempt:
            attempt.write(rows, at=at, **more)
            attempt.finish()

    def start_truncate_refresh(self) -> None:
        """From the next attempt on, a new generation that replaces all older ones at its end. What waited is thrown away."""
        self.generation += 1
        with self._connect() as connection:
            connection.execute(sql.SQL("drop table if exists {}").format(sql.Identifier(*self.temporary)))

    def execute(self, statement: str, *params: Any) -> list[tuple[Any, ...]]:
        """Any statement; {} stands for the table."""
        with self._connect() as connection:
            cursor = connection.execute(sql.SQL(statement).format(sql.Identifier(*self.table)), params)  # type: ignore[arg-type]
            return cursor.fetchall() if cursor.description else []

    def add_column(self, name: str, kind: str) -> None:
        """The source has a new field."""
        self.columns[name] = kind
        self.execute(f"alter table {{}} add column {name} {kind}")

    def retype_column(self, name: str, kind: str) -> None:
        """A field has another type: its column is altered, with the rows that are there."""
        self.columns[name] = kind
        self.execute(f"alter table {{}} alter column {name} type {kind} using {name}::{kind}")

    def drop_column(self, name: str) -> None:
        """The source has the field no longer."""
        del self.columns[name]
        self.execute(f"alter table {{}} drop column {name}")

    def _connect(self) -> psycopg.Connection[Any]:
        return psycopg.connect(self.url)


class Attempt:
    """One attempt of one job at one stream: a writer with a connection of its own, whose commits may come late.

    Left without `finish` it has failed: what was visible stays, what was not committed is lost, what waited waits on.
    """

    def __init__(self, stream: SimulatedStream, job: int) -> None:
        self._stream, self._job = stream, job
        self._replaces = stream.mode != "append"
        self._waits = self._replaces or stream.layout not in _VISIBLE_AT_ONCE
        self._connection = psycopg.connect(stream.url)
        if self._waits:
            stream.create(self._connection, stream.temporary)
            self._connection.commit()

    def __enter__(self) -> "Attempt":
        return self

    def __exit__(self, *error: object) -> None:
        self._connection.close()

    def write(
        self,
        rows: Iterable[Mapping[str, Any]],
        *,
        at: datetime | None = None,
        changes: Sequence[Mapping[str, str]] = (),
        raw_id: str | None = None,
        copies: int = 1,
        commit: bool = True,
    ) -> None:
        """Write rows as emitted at a moment; what is not committed shows later.

        Args:
            changes: What had to be changed in each of them, as the destination notes it.
            copies: More than one writes each row again under the same id, as shipped versions did.
        """
        stream = self._stream
        target = stream.temporary if self._waits else stream.table
        values = []
        for row in rows:
            stream.written += 1
            own = self._airbyte_values(raw_id or str(uuid.uuid4()), at or datetime.now(UTC), changes, row)
            values += [{**({} if stream.is_raw else row), **own}] * copies
        if not values:
            return
        names = list(dict.fromkeys(name for value in values for name in value))
        statement = sql.SQL("insert into {} ({}) values ({})").format(
            sql.Identifier(*target), sql.SQL(", ").join(map(sql.Identifier, names)), sql.SQL(", ").join(sql.Placeholder() * len(names))
        )
        with self._connection.cursor() as cursor:
            cursor.executemany(statement, [[_adapted(value.get(name)) for name in names] for value in values])
        if commit:
            self.commit()

    def commit(self) -> None:
        """Make visible, or safe for the stream's end, what was written so far."""
        self._connection.commit()

    def finish(self) -> None:
        """The stream's end: what waited takes its place, in one transaction."""
        if self._waits:
            {"append": self._add, "dedup": self._merge, "overwrite": self._swap}[self._stream.mode]()
        self._connection.commit()

    def finish_truncate_refresh(self, *, in_place: bool = False) -> None:
        """The end of a refresh that replaces all older generations: by a swap, or in the table as it is."""
        table, temporary = sql.Identifier(*self._stream.table), sql.Identifier(*self._stream.temporary)
        if in_place and not self._waits:
            older = sql.SQL("delete from {} where _airbyte_generation_id < {}").format(table, self._stream.generation)
            self._connection.execute(older)
        elif in_place:
            self._connection.execute(sql.SQL("delete from {}").format(table))
            self._add()
        else:
            if not self._waits:
                self._stream.create(self._connection, self._stream.temporary)
                newest = sql.SQL("insert into {} select * from {} where _airbyte_generation_id = {}")
                self._connection.execute(newest.format(temporary, table, self._stream.generation))
            self._swap()
        self._connection.commit()

    def _airbyte_values(self, raw_id: str, at: datetime, changes: Sequence[Mapping[str, str]], row: Mapping[str, Any]) -> dict[str, Any]:
        data = Jsonb(dict(row), dumps=_dumps)
        if self._stream.layout == "raw_old":
            return {"_airbyte_ab_id": raw_id, "_airbyte_emitted_at": at, "_airbyte_data": data}
        meta: dict[str, Any] = {"changes": list(changes)}
        if self._stream.layout != "typed_old":
            meta["sync_id"] = self._job
        values = {"_airbyte_raw_id": raw_id, "_airbyte_extracted_at": at, "_airbyte_meta": Jsonb(meta),
                  "_airbyte_generation_id": self._stream.generation, "_airbyte_data": data}  # fmt: skip
        return {name: value for name, value in values.items() if name in self._stream.airbyte_columns}

    def _add(self) -> None:
        table, temporary = sql.Identifier(*self._stream.table), sql.Identifier(*self._stream.temporary)
        names = sql.SQL(", ").join(map(sql.Identifier, {**self._stream.columns, **self._stream.airbyte_columns}))
        self._connection.execute(sql.SQL("insert into {} ({}) select {} from {}").format(table, names, names, temporary))
        self._connection.execute(sql.SQL("drop table {}").format(temporary))

    def _merge(self) -> None:
        """The newest row of each key among what waited, where it is not older than the one that stands."""
        stream = self._stream
        parts = {
            "table": sql.Identifier(*stream.table), "temporary": sql.Identifier(*stream.temporary),
            "key": sql.Identifier(stream.primary_key), "cursor": sql.Identifier(stream.cursor or "_airbyte_extracted_at"),
            "names": sql.SQL(", ").join(map(sql.Identifier, {**stream.columns, **stream.airbyte_columns})),
        }  # fmt: skip
        self._connection.execute(sql.SQL(
            "create temp table newest on commit drop as select distinct on ({key}) {names} from {temporary}"
            " order by {key}, {cursor} desc nulls last, _airbyte_extracted_at desc, _airbyte_raw_id"
        ).format(**parts))  # fmt: skip
        self._connection.execute(sql.SQL(
            "delete from newest using {table} as standing where newest.{key} = standing.{key} and newest.{cursor} < standing.{cursor}"
        ).format(**parts))  # fmt: skip
        self._connection.execute(
            sql.SQL("delete from {table} as standing using newest where newest.{key} = standing.{key}").format(**parts)
        )
        self._connection.execute(sql.SQL("insert into {table} ({names}) select {names} from newest").format(**parts))
        self._connection.execute(sql.SQL("drop table {temporary}").format(**parts))

    def _swap(self) -> None:
        table, temporary = sql.Identifier(*self._stream.table), sql.Identifier(*self._stream.temporary)
        self._connection.execute(sql.SQL("drop table {}").format(table))
        self._connection.execute(sql.SQL("alter table {} rename to {}").format(temporary, sql.Identifier(self._stream.table[1])))


def _adapted(value: Any) -> Any:
    return Jsonb(value, dumps=_dumps) if isinstance(value, dict) else value


def _dumps(value: Any) -> str:
    return json.dumps(value, default=str)
