"""How far a destination's table was read, and what was true of it then: a stream's state, and what follows from it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import msgspec
from msgspec import MsgspecError, Struct, field

from pay_ready.db.destination import Destination, DestinationTable
from pay_ready.db.destination_rows import Wanted, first_moment, has_generation_up_to, has_sync_up_to, has_wanted, is_empty
from pay_ready.db.landing import StreamState
from pay_ready.errors import ConfigError
from pay_ready.sources.landing_streams import TableStream, column_types
from pay_ready.sources.protocol import State, StreamDescriptor

VERSION = 1


class Reached(Struct, frozen=True, kw_only=True):
    """Where a reading up to a job was when its rows were stored last: all rows up to this place are in."""

    upto_sync: int
    moment: int
    raw_id: str


class TableState(Struct, frozen=True, kw_only=True):
    """A stream's state. Moments are microseconds since 2000-01-01 UTC.

    The table is known by its oid (a swap gives another one), by the oldest generation among its rows, and where there are no
    generations by its file and its first moment: each of them tells of rows that went.
    """

    version: int = VERSION
    oid: int = 0
    filenode: int = 0
    min_generation: int | None = None
    first_moment: int | None = None
    # All rows of syncs up to this one are in, and no more of them will come.
    done_sync: int | None = None
    # The last moment of a row that is of no sync.
    without_sync_until: int | None = None
    types: dict[str, str] = field(default_factory=dict)
    reached: Reached | None = None
    # A refresh is under way: what it was to find out is not known yet.
    is_refresh: bool = False


class _StreamState(Struct, frozen=True):
    stream_state: TableState


class _Message(Struct, frozen=True):
    stream: _StreamState


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What the last reading left: its state, or that a refresh has yet to come to its end."""

    state: TableState | None = None
    owes_refresh: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What to do about a table: read what is new, read all of it and drop what it has no longer, or leave it for later."""

    kind: Literal["news", "refresh", "later"]
    why: str = ""


def known_of(stored: StreamState | None) -> Known:
    """What is known of a stream.

    A refresh forgets the state as it begins, and landing forgets it again when it did not believe a refresh; the generation
    tells that from a stream that was never read.

    Raises:
        ConfigError: The state is another kind of source's, or a newer version's.
    """
    if stored is None:
        return Known()
    if not stored.state:
        return Known(owes_refresh=stored.generation > 0)
    try:
        state = msgspec.json.decode(stored.state, type=_Message).stream.stream_state
    except MsgspecError:
        state = None
    if state is None or state.version != VERSION or not state.oid:
        hint = "was it read by a connector before, or by a newer pay-ready? Add a source of its own for the destination's tables"
        raise ConfigError("the stream's state is not of a destination's table", hint, stream=stored.stream)
    return Known(state=state, owes_refresh=state.is_refresh)


def state_message(stream: StreamDescriptor, state: TableState, records: int) -> State:
    """The STATE of a stream after so many records since the last one."""
    descriptor = {"name": stream.name, **({"namespace": stream.namespace} if stream.namespace else {})}
    content = {"stream_descriptor": descriptor, "stream_state": state}
    raw = {"type": "STREAM", "stream": content, "sourceStats": {"recordCount": records}}
    return State("STREAM", (stream,), records, msgspec.json.encode(raw))


def decide(destination: Destination, stream: TableStream, table: DestinationTable, known: Known, upto_sync: int | None) -> Decision:
    """What to do about a table.

    A new generation alone says nothing about rows that went: each sync of an appended stream has one. The oldest one does.
    Where a job newer than the one to read has put its own table in place, that job's reading will find out what went.
    """
    why = "the last refresh did not come to its end" if known.owes_refresh else _change(destination, stream, table, known, upto_sync)
    if not why:
        return Decision(kind="news")
    if upto_sync is not None and not has_sync_up_to(destination, table, upto_sync) and not is_empty(destination, table):
        return Decision(kind="later", why=why)
    return Decision(kind="refresh", why=why)


def _change(destination: Destination, stream: TableStream, table: DestinationTable, known: Known, upto_sync: int | None) -> str:
    """What happened to the rows that were read, if anything did."""
    state = known.state
    if state is None:
        return ""
    if table.oid != state.oid:
        return "the table was replaced"
    if changed := retyped(state.types, column_types(table)):
        return f"columns have another type: {', '.join(changed)}"
    if _lost_rows(destination, table, state):
        return "rows were removed"
    if stream.is_keyless and _has_news(destination, table, state, upto_sync):
        # Such rows are numbered within a reading of all of them: a part alone would get the numbers of others.
        return "rows without a key came"
    return ""


def retyped(before: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """Columns whose type is another one now."""
    return sorted(name for name, kind in before.items() if now.get(name, kind) != kind)


def _has_news(destination: Destination, table: DestinationTable, state: TableState, upto_sync: int | None) -> bool:
    until = state.without_sync_until
    without_sync_from = None if until is None else until + 1
    if state.done_sync is None and until is None:
        return False  # nothing came to its end so far: the first reading is due
    return has_wanted(destination, table, Wanted(after_sync=state.done_sync, upto_sync=upto_sync, without_sync_from=without_sync_from))


def _lost_rows(destination: Destination, table: DestinationTable, state: TableState) -> bool:
    had_rows = state.min_generation is not None or state.first_moment is not None
    if had_rows and is_empty(destination, table):
        return True
    if table.generation_column is not None and state.min_generation is not None:
        return not has_generation_up_to(destination, table, state.min_generation)
    if state.first_moment is None:
        return False
    first = first_moment(destination, table)
    return table.filenode != state.filenode or (first is not None and first > state.first_moment)
