"""Warm or not: boundaries exact, never more than a write an hour, done once is done."""

import itertools
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pay_ready.errors import UsageError
from pay_ready.memory.policy import Touched, WarmPolicy, effects_of_use, is_warm, moves, touch_is_due

NOW = datetime(2026, 6, 1, tzinfo=UTC)
TICK = timedelta(microseconds=1)
spans = st.timedeltas(min_value=timedelta(0), max_value=timedelta(days=20))
times = st.datetimes(datetime(2026, 5, 1), datetime(2026, 6, 5), timezones=st.just(UTC))  # noqa: DTZ001
policies = st.builds(
    WarmPolicy, window=st.timedeltas(timedelta(microseconds=2), timedelta(days=30)),
    touch_interval=st.timedeltas(timedelta(0), timedelta(days=2)),
)  # fmt: skip
memories = st.lists(
    st.builds(Touched, memory_id=st.integers(0, 50).map(lambda number: UUID(int=number)), touched_at=times, is_warm=st.booleans()),
    unique_by=lambda memory: memory.memory_id,
)


@pytest.mark.parametrize(
    ("age", "warm"),
    [(timedelta(0), True), (timedelta(days=7) - TICK, True), (timedelta(days=7), False), (timedelta(days=-1), True)],
)
def test_seven_days_to_the_microsecond(age: timedelta, warm: bool) -> None:
    """Warm until just under seven days after the touch; exactly seven are cold; a touch of tomorrow, by another clock, is warm."""
    assert is_warm(NOW - age, NOW, WarmPolicy()) is warm


@pytest.mark.parametrize(("age", "due"), [(timedelta(0), False), (timedelta(hours=1) - TICK, False), (timedelta(hours=1), True)])
def test_one_write_an_hour(age: timedelta, due: bool) -> None:
    """A touch is written when the last one is an hour old, not a microsecond sooner."""
    assert touch_is_due(NOW - age, NOW, WarmPolicy()) is due


@given(touched_at=times, now=times, later=spans, policy=policies)
def test_what_is_cold_stays_cold_without_a_touch(touched_at: datetime, now: datetime, later: timedelta, policy: WarmPolicy) -> None:
    """Time alone warms nothing up; a later touch or a longer window cools nothing down."""
    warm = is_warm(touched_at, now, policy)
    assert warm or not is_warm(touched_at, now + later, policy)
    assert not warm or is_warm(touched_at + later, now, policy)
    assert not warm or is_warm(touched_at, now, replace(policy, window=policy.window + later))


@given(given_memories=memories, policy=policies, later=spans)
def test_moves_are_done_once(given_memories: list[Touched], policy: WarmPolicy, later: timedelta) -> None:
    """After the moves there is nothing to move and the warm index holds exactly what is warm; later only more is demoted."""
    found = moves(given_memories, NOW, policy)
    assert not found.demoted & found.promoted
    after = [
        replace(memory, is_warm=(memory.is_warm or memory.memory_id in found.promoted) and memory.memory_id not in found.demoted)
        for memory in given_memories
    ]
    assert all(memory.is_warm == is_warm(memory.touched_at, NOW, policy) for memory in after)
    again = moves(after, NOW, policy)
    assert not again.demoted | again.promoted
    assert found.demoted <= moves(given_memories, NOW + later, policy).demoted
    assert moves(given_memories, NOW + later, policy).promoted <= found.promoted


@given(gaps=st.lists(st.timedeltas(timedelta(0), timedelta(hours=3)), max_size=60), policy=policies, start_warm=st.booleans())
def test_uses_write_seldom_and_keep_warm(gaps: list[timedelta], policy: WarmPolicy, start_warm: bool) -> None:
    """Between two writes for a memory in the warm index lies an interval; after each use it is warm, and it stays so until a gap
    of a window less an interval; a second use at the same time changes nothing."""
    memory = Touched(memory_id=UUID(int=1), touched_at=NOW - timedelta(days=40), is_warm=start_warm)
    now, writes = NOW, list[datetime]()
    for gap in gaps:
        now += gap
        if writes and gap < policy.window - policy.interval:
            assert is_warm(memory.touched_at, now, policy)
        effects = effects_of_use(memory, now, policy)
        if effects.writes_touch:
            writes.append(now)
        memory = replace(
            memory, touched_at=now if effects.writes_touch else memory.touched_at, is_warm=memory.is_warm or effects.promotes_to_warm
        )
        assert memory.is_warm
        assert is_warm(memory.touched_at, now, policy)
        if policy.interval > timedelta(0):
            again = effects_of_use(memory, now, policy)
            assert not again.writes_touch
            assert not again.promotes_to_warm
    assert all(second - first >= policy.interval for first, second in itertools.pairwise(writes))


def test_a_window_of_nothing_is_refused() -> None:
    """Nothing could ever be warm."""
    with pytest.raises(UsageError, match="warm_cache_ttl_days"):
        WarmPolicy(window=timedelta(0))
