"""What a stream of files looks like, found out from its first rows."""

from collections.abc import Iterable, Mapping
from contextlib import suppress
from itertools import islice

from msgspec import Raw, json

from pay_ready.errors import ConfigError
from pay_ready.sources.masking import parsed
from pay_ready.sources.replay_files import ExportFile, OpenExport, StreamOptions
from pay_ready.sources.replay_rows import Rows

SAMPLE_ROWS = 1000
_KEY_NAMES = ("id", "Id", "ID")
_ORDER = ("null", "boolean", "integer", "number", "string", "array", "object")


def describe(name: str, files: Iterable[ExportFile], options: StreamOptions) -> bytes:
    """The stream as discover emits it: schema and, unless it was said, primary key by a sample of 1,000 rows."""
    rows = sample(files)
    return json.encode(
        {
            "name": name,
            "json_schema": Raw(json_schema(rows)),
            "supported_sync_modes": ["full_refresh", "incremental"],
            # The position in the files: no field of the rows is needed for it.
            "source_defined_cursor": True,
            "default_cursor_field": [options.cursor_field] if options.cursor_field else [],
            "source_defined_primary_key": [[column] for column in _primary_key(rows, options)],
            "is_resumable": True,
        }
    )


def sample(files: Iterable[ExportFile]) -> list[Mapping[str, object]]:
    """The first rows of a stream that can be read; of a file that cannot, those before the fault.

    `check` and `read` name such a file: here it would hold back every other stream of the source.
    """
    found: list[Mapping[str, object]] = []
    for file in files:
        with suppress(OSError, ConfigError), OpenExport(file) as export:
            for data in islice(Rows(export), SAMPLE_ROWS - len(found)):
                row = parsed(data)
                if isinstance(row, dict) and "_replay_raw" not in row:
                    found.append(row)
    return found


def json_schema(rows: Iterable[Mapping[str, object]]) -> bytes:
    """A JSON schema of rows: the types that each property has; null is always allowed, for a sample proves no presence.

    `required` are the properties that every row of the sample had: whoever compares schemas may miss those.
    """
    types: dict[str, set[str]] = {}
    rows = list(rows)
    for row in rows:
        for name, value in row.items():
            types.setdefault(name, {"null"}).add(_type(value))
    properties = {name: {"type": sorted(found, key=_ORDER.index)} for name, found in types.items()}
    return json.encode(
        {
            "$schema": "http://json-schema.org/draft-07/schema#",
            "type": "object",
            "additionalProperties": True,
            "x-pay-ready-sampled": True,
            "required": [name for name in properties if all(name in row for row in rows)],
            "properties": properties,
        }
    )


def _type(value: object) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "boolean"
        case int():
            return "integer"
        case float():
            return "number"
        case str():
            return "string"
        case list():
            return "array"
        case _:
            return "object"


def _primary_key(rows: list[Mapping[str, object]], options: StreamOptions) -> tuple[str, ...]:
    if options.primary_key:
        return (options.primary_key,) if isinstance(options.primary_key, str) else options.primary_key
    for name in _KEY_NAMES:
        values = [row.get(name) for row in rows]
        plain = all(isinstance(value, str | int) and not isinstance(value, bool) for value in values)
        if rows and plain and len(set(values)) == len(values):
            return (name,)
    return ()
