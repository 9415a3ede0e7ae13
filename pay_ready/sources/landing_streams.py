"""A stream of a connection that lands in a destination's table, and how its rows are described and keyed. Pure."""

import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
from msgspec import Raw

from pay_ready.db.destination import RAW_ID, DestinationTable
from pay_ready.db.destination_rows import Shape
from pay_ready.errors import ConfigError
from pay_ready.sources.catalog import ConfiguredStream, DestinationSyncMode, FieldPath, SyncMode
from pay_ready.sources.protocol import SourceStream, StreamDescriptor

# Postgres' types as the protocol describes them. Anything else is text.
_INTEGER = {"type": ["null", "integer"]}
_NUMBER = {"type": ["null", "number"]}
_TYPES: Mapping[str, Mapping[str, object]] = {
    "smallint": _INTEGER,
    "integer": _INTEGER,
    "bigint": _INTEGER,
    "numeric": _NUMBER,
    "real": _NUMBER,
    "double precision": _NUMBER,
    "boolean": {"type": ["null", "boolean"]},
    "date": {"type": ["null", "string"], "format": "date"},
    "timestamp with time zone": {"type": ["null", "string"], "format": "date-time", "airbyte_type": "timestamp_with_timezone"},
    "timestamp without time zone": {"type": ["null", "string"], "format": "date-time", "airbyte_type": "timestamp_without_timezone"},
    "time with time zone": {"type": ["null", "string"], "format": "time", "airbyte_type": "time_with_timezone"},
    "time without time zone": {"type": ["null", "string"], "format": "time", "airbyte_type": "time_without_timezone"},
    "json": {"type": ["null", "object", "array", "string", "number", "boolean"]},
    "jsonb": {"type": ["null", "object", "array", "string", "number", "boolean"]},
}
_TEXT = {"type": ["null", "string"]}


@dataclass(frozen=True, slots=True, kw_only=True)
class TableStream:
    """A stream as its connection configures it.

    `namespace` is part of its name here and in messages; `schema` is where the destination puts it. Keys and cursors are
    paths of the source's names. `fields` are the source's own names of its top fields, where they are known: columns get
    them back.
    """

    name: str
    schema: str
    namespace: str | None = None
    prefix: str = ""
    sync_mode: SyncMode = "incremental"
    destination_sync_mode: DestinationSyncMode = "append"
    cursor_field: FieldPath = ()
    primary_key: tuple[FieldPath, ...] = ()
    fields: tuple[str, ...] = ()
    table: str | None = None  # the table itself, where its name does not say enough: name or schema.name

    def __str__(self) -> str:
        return str(self.descriptor)

    @property
    def descriptor(self) -> StreamDescriptor:
        """Its name in messages."""
        return StreamDescriptor(self.name, self.namespace)

    @property
    def is_keyed_by_raw_id(self) -> bool:
        """Whether Airbyte's own id of a row is its key: rows that are only ever added have no other."""
        return not self.primary_key and self.destination_sync_mode != "overwrite"

    @property
    def is_keyless(self) -> bool:
        """Whether rows are known by their content alone: each sync writes them anew, with new ids."""
        return not self.primary_key and self.destination_sync_mode == "overwrite"


def plain(name: str) -> str:
    """A name without what any version of the destination may have changed: accents, case and special characters."""
    letters = "".join(each for each in unicodedata.normalize("NFKD", name) if not unicodedata.combining(each))
    return re.sub(r"[^a-z0-9_]", "_", letters.lower())


def shape_of(stream: TableStream, table: DestinationTable) -> Shape:
    """The columns that make a row's data, in the order of the names that they get."""
    names = _names(stream, table)
    if stream.is_keyed_by_raw_id and table.layout == "typed":
        names[table.id_column] = RAW_ID
    return Shape(names=dict(sorted(names.items(), key=lambda pair: pair[1].encode())), keeps_raw_id=stream.is_keyed_by_raw_id)


def column_types(table: DestinationTable) -> dict[str, str]:
    """Types of the data's columns, by name; none where a row is one JSON value."""
    return {column.name: column.type for column in table.own_columns} if table.layout == "typed" else {}


def configured_stream(stream: TableStream, table: DestinationTable, *, is_refresh: bool) -> ConfiguredStream:
    """The stream for a reading: of what is new, or of all there is, so that what is not listed is known to be gone.

    Raises:
        ConfigError: The table has no such column as its key or cursor names.
    """
    schema = json_schema(stream, table)
    names = _names(stream, table)
    primary_key = ((RAW_ID,),) if stream.is_keyed_by_raw_id else tuple(_path(stream, path, names) for path in stream.primary_key)
    cursor = _path(stream, stream.cursor_field, names)
    modes: tuple[SyncMode, DestinationSyncMode]
    modes = ("full_refresh", "overwrite") if is_refresh else ("incremental", "append_dedup" if primary_key else "append")
    offered = SourceStream(
        name=stream.name,
        namespace=stream.namespace,
        json_schema=Raw(schema),
        supported_sync_modes=("full_refresh", "incremental"),
        source_defined_cursor=True,
        default_cursor_field=cursor or None,
        source_defined_primary_key=primary_key or None,
        is_resumable=False,
    )
    return ConfiguredStream(
        stream=offered,
        raw=msgspec.json.encode(offered),
        sync_mode=modes[0],
        destination_sync_mode=modes[1],
        cursor_field=cursor,
        primary_key=primary_key,
        generation_id=0,
        minimum_generation_id=0,
    )


def json_schema(stream: TableStream, table: DestinationTable) -> bytes:
    """The rows' JSON schema, from the columns; a raw table does not know what its rows hold."""
    if table.layout == "raw":
        return b'{"type":"object"}'
    names = _names(stream, table)
    properties = {names[column.name]: _described(column.type) for column in table.own_columns}
    return msgspec.json.encode({"type": "object", "properties": properties}, order="sorted")


def _described(kind: str) -> Mapping[str, Any]:
    if kind.endswith("[]"):
        return {"type": ["null", "array"], "items": _described(kind.removesuffix("[]"))}
    return _TYPES.get(re.sub(r"\([^)]*\)", "", kind), _TEXT)


def _names(stream: TableStream, table: DestinationTable) -> dict[str, str]:
    """What each column is called in the data: as the source calls it, where one of its fields alone can be meant."""
    if table.layout == "raw":
        return {}
    return {column.name: _meant(column.name, stream.fields) or column.name for column in table.own_columns}


def _path(stream: TableStream, path: FieldPath, names: Mapping[str, str]) -> FieldPath:
    """A path of the source's names, as it stands in the data."""
    if not names or not path:
        return path
    found = _meant(path[0], names.values()) or names.get(_meant(path[0], names) or "")
    if found is None:
        raise ConfigError(
            "a column of the stream's key or cursor is not there", "choose among " + ", ".join(names), stream=stream, column=path[0]
        )
    return (found, *path[1:])


def _meant(name: str, choices: Iterable[str]) -> str | None:
    """The choice that is written as the name is, in one of the destination's ways; None unless it is one alone."""
    given = list(choices)
    if name in given:
        return name
    found = [choice for choice in given if plain(choice) == plain(name)]
    return found[0] if len(found) == 1 else None
