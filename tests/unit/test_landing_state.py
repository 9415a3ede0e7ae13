"""What is known of a stream whose table was read: from its stored state, and from what happened to that."""

import msgspec
import pytest

from pay_ready.db.destination_rows import Wanted, Window
from pay_ready.db.landing import StreamState
from pay_ready.errors import ConfigError
from pay_ready.sources.landing_read import _narrowed
from pay_ready.sources.landing_state import Known, Reached, TableState, known_of, retyped, state_message
from pay_ready.sources.protocol import StreamDescriptor

PEOPLE = StreamDescriptor("people")


def stored(state: str | None, generation: int = 0) -> StreamState:
    """A stored state."""
    return StreamState(stream="people", state=state, watermark="", generation=generation, lease_token=1, pass_run_id=None)


def test_a_state_comes_back_as_it_was() -> None:
    """The message that landing stores is read again, whole; it says how many records it covers."""
    state = TableState(oid=7, min_generation=2, done_sync=5, types={"id": "bigint"}, reached=Reached(upto_sync=6, moment=-1, raw_id="a"))
    message = state_message(PEOPLE, state, 12)
    assert (message.streams, message.record_count) == ((PEOPLE,), 12)
    assert known_of(stored(message.raw.decode())) == Known(state=state)
    named = state_message(StreamDescriptor("people", "public"), state, 0)
    assert msgspec.json.decode(named.raw)["stream"]["stream_descriptor"] == {"name": "people", "namespace": "public"}


def test_a_refresh_that_did_not_end_is_owed() -> None:
    """It forgot the state as it began, or says that it is under way; a stream that was never read owes none."""
    assert known_of(None) == Known()
    assert known_of(stored(None)) == Known()
    assert known_of(stored(None, generation=1)) == Known(owes_refresh=True)
    under_way = state_message(PEOPLE, TableState(oid=7, is_refresh=True), 0).raw.decode()
    assert known_of(stored(under_way, generation=1)).owes_refresh


@pytest.mark.parametrize("state", ["{}", '{"stream":{"stream_state":{"seq":4}}}', '{"stream":{"stream_state":{"oid":1,"version":9}}}', "x"])
def test_another_sources_state_is_refused(state: str) -> None:
    """Nobody guesses what a connector meant by it."""
    with pytest.raises(ConfigError, match=r"not of a destination's table - stream=people"):
        known_of(stored(state))


def test_types_that_changed() -> None:
    """Of columns that were there and are: neither new ones nor those that went."""
    assert retyped({"a": "text", "b": "bigint", "c": "date"}, {"a": "text", "b": "numeric", "d": "date"}) == ["b"]


@pytest.mark.parametrize(
    ("found", "from_moment", "expected"),
    [
        ((0, None, 0, None), None, None),  # nothing there
        ((3, 50, 0, None), None, 50),  # rows of the job alone
        ((0, None, 9, 100), 90, 90),  # rows of no job, one of them within the lag
        ((0, None, 9, 80), 90, None),  # none of them within it
        ((3, 95, 9, 100), 90, 90),
        ((3, 50, 9, 80), 90, 50),
    ],
)
def test_a_reading_begins_where_the_first_wanted_row_is(
    found: tuple[int, int | None, int, int | None], from_moment: int | None, expected: int | None
) -> None:
    """Never later; and not at all when there is no such row."""
    rows, first, without, last = found
    there = Window(rows=rows, first_moment=first, without_sync=without, last_without_sync=last, newer=0)
    narrowed = _narrowed(Wanted(after_sync=1, without_sync_from=from_moment), there)
    assert (narrowed and narrowed.from_moment) == expected


def test_rows_of_no_job_without_a_mark_are_all_read() -> None:
    """They came up now for the first time: no moment bounds them."""
    there = Window(rows=3, first_moment=50, without_sync=1, last_without_sync=10, newer=0)
    assert _narrowed(Wanted(after_sync=1), there) == Wanted(after_sync=1)
