"""Ids: distinct, ordered by time, and the same on every replay."""

from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from pay_ready.model.ids import new_id, stable_id

MILLISECONDS = st.integers(0, (1 << 48) - 1)
ENTROPY = st.binary(min_size=10, max_size=10)


@given(unix_ms=MILLISECONDS, entropy=ENTROPY)
def test_new_ids_are_uuid7(unix_ms: int, entropy: bytes) -> None:
    """Version 7, RFC variant, and the time in the first 48 bits."""
    made = new_id(unix_ms, entropy)
    assert (made.int >> 76) & 0xF == 7
    assert made.variant == UUID(int=1 << 63 | 7 << 76).variant
    assert made.int >> 80 == unix_ms


@given(earlier=MILLISECONDS, later=MILLISECONDS, entropies=st.tuples(ENTROPY, ENTROPY))
def test_new_ids_sort_by_time(earlier: int, later: int, entropies: tuple[bytes, bytes]) -> None:
    """A later millisecond gives a greater id."""
    earlier, later = sorted((earlier, later))
    if earlier < later:
        assert new_id(earlier, entropies[0]) < new_id(later, entropies[1])


@given(left=st.lists(st.text()), right=st.lists(st.text()))
def test_stable_ids_tell_parts_apart(left: list[str], right: list[str]) -> None:
    """Equal parts give equal ids; parts joined otherwise give others."""
    assert (stable_id(*left) == stable_id(*right)) == (left == right)
