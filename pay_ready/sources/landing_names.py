"""Which table of a destination holds which stream of a connection. Pure.

A destination writes names in its own way: lower case, `_` for what is no letter, digit or `_`, an `_` before a leading
digit, and of a name that passes 63 bytes the start, with a hash or the name's end behind it. The way has changed over its
versions, so a table is found by what all of them keep, and where that fits several tables nobody guesses.
"""

import re
from collections.abc import Mapping, Sequence

from pay_ready.db.destination import DestinationTable
from pay_ready.errors import ConfigError
from pay_ready.sources.landing_streams import TableStream, plain

# Where version 2 keeps raw tables unless its user says otherwise.
RAW_SCHEMA = "airbyte_internal"

_RAW_NAME = re.compile(r"(.+?)_raw_{2,}stream_(.+)", re.DOTALL)
_OLD_RAW_NAME = re.compile(r"_airbyte_raw_(.+)", re.DOTALL)
# A name that was cut has about the longest length there is, and keeps this much of its start.
_CUT_BYTES, _KEPT_START = 50, 20
_CUT_END = re.compile(r"_*[0-9a-f]{0,40}")


def destination_schema(definition: str, custom_format: str | None, namespace: str | None, default: str) -> str:
    """The schema into which a connection writes a stream.

    Args:
        definition: `destination`, `source` or `custom_format`, as the connection says.
        custom_format: Of `custom_format`, for example `raw_${SOURCE_NAMESPACE}`.
        namespace: The stream's own, if it has one.
        default: The destination's schema.
    """
    if definition == "source":
        return namespace or default
    if definition == "custom_format" and custom_format:
        return custom_format.replace("${SOURCE_NAMESPACE}", namespace or "").strip() or default
    return default


def match_tables(streams: Sequence[TableStream], tables: Sequence[DestinationTable]) -> Mapping[TableStream, DestinationTable]:
    """The streams that have a table, with it.

    Raises:
        ConfigError: A stream fits several tables, or two streams fit the same; names them.
    """
    found = {stream: table for stream in streams if (table := find_table(stream, tables)) is not None}
    owners: dict[int, TableStream] = {}
    for stream, table in found.items():
        other = owners.setdefault(table.oid, stream)
        if other is not stream:
            hint = "name the table of each; there are " + ", ".join(sorted(map(str, tables)))
            raise ConfigError("two streams would be read from one table", hint, table=table, streams=f"{other}, {stream}")
    return found


def find_table(stream: TableStream, tables: Sequence[DestinationTable]) -> DestinationTable | None:
    """The table of a stream: the one that was named, else a typed one before a raw one, and the closest name of those.

    Raises:
        ConfigError: Several tables fit equally well; names them.
    """
    if stream.table:
        named = (table for table in tables if stream.table in (str(table), table.name if table.schema == stream.schema else None))
        return next(named, None)
    ranked = [(rank, table) for table in tables if (rank := _rank(stream, table)) is not None]
    best = [table for rank, table in ranked if rank == min(rank for rank, _ in ranked)]
    if len(best) > 1:
        hint = "name the one to read: " + ", ".join(sorted(map(str, best)))
        raise ConfigError("several tables may hold the stream", hint, stream=stream, schema=stream.schema)
    return best[0] if best else None


def _rank(stream: TableStream, table: DestinationTable) -> tuple[int, int] | None:
    """How far a table is from being the stream's: its kind, then its name. None when it is another's."""
    wanted = stream.prefix + stream.name
    if table.layout == "typed":
        kind, schema, name = 0, table.schema, table.name
    elif raw := _RAW_NAME.fullmatch(table.name):
        kind, schema, name = 1, raw[1], raw[2]
    elif old := _OLD_RAW_NAME.fullmatch(table.name):
        kind, schema, name = 2, table.schema, old[1]
    else:
        return None
    if plain(schema) != plain(stream.schema):
        return None
    distance = _distance(wanted, name, is_long=len(table.name.encode()) >= _CUT_BYTES)
    return None if distance is None else (kind, distance)


def _distance(wanted: str, name: str, *, is_long: bool) -> int | None:
    if name == wanted:
        return 0
    if name == wanted.lower():
        return 1
    whole, written = plain(wanted), plain(name)
    if written in (whole, f"_{whole}"):
        return 2
    return 3 if is_long and _is_cut(whole, written) else None


def _is_cut(whole: str, written: str) -> bool:
    """Whether a long name was cut to what is written: its start, then nothing, a hash, or its end behind blanks."""
    same = next((at for at, (one, other) in enumerate(zip(whole, written, strict=False)) if one != other), len(written))
    end = written[same:]
    if same < _KEPT_START or len(whole) < len(written):
        return False
    return bool(_CUT_END.fullmatch(end)) or (end.startswith("_") and whole.endswith(end.lstrip("_")))
