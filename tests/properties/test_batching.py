"""A batch that sizes itself stays within bounds, grows slowly, shrinks fast, and settles where the other side is quick enough."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pay_ready.errors import UsageError
from pay_ready.memory.batching import AdaptiveBatch, BatchLimits


@st.composite
def limits(draw: st.DrawFn) -> BatchLimits:
    """Any that do not contradict each other."""
    least, start, most = sorted(draw(st.lists(st.integers(1, 5_000), min_size=3, max_size=3)))
    return BatchLimits(
        least=least, start=start, most=most, step=draw(st.integers(1, 200)), factor=draw(st.floats(0.05, 0.95)),
        target_s=draw(st.floats(0.01, 10)),
    )  # fmt: skip


outcomes = st.lists(st.tuples(st.sampled_from(["quick", "at target", "slow", "failed"]), st.integers(0, 6_000)), max_size=80)


def follow(batch: AdaptiveBatch, kind: str, sent: int) -> AdaptiveBatch:
    """The state after an outcome."""
    if kind == "failed":
        return batch.after_failure(sent)
    return batch.after(sent, batch.limits.target_s * {"quick": 0.5, "at target": 1.0, "slow": 1.001}[kind])


@given(bounds=limits(), steps=outcomes)
def test_one_step_up_or_one_factor_down(bounds: BatchLimits, steps: list[tuple[str, int]]) -> None:
    """It starts as configured and stays within bounds; a quick full batch adds a step, a slow or failed one cuts, nothing else moves it."""
    batch = AdaptiveBatch(limits=bounds)
    assert batch.size == bounds.start
    for kind, sent in steps:
        before, batch = batch, follow(batch, kind, sent)
        assert bounds.least <= batch.size <= bounds.most
        if kind in ("slow", "failed"):
            cut = max(int(before.size * bounds.factor), bounds.least)
            assert batch.size == (cut if sent <= before.size else before.size)
        else:
            assert batch.size == (min(before.size + bounds.step, bounds.most) if sent >= before.size else before.size)


@given(bounds=limits(), workers=st.integers(1, 8))
def test_batches_that_fail_together_cut_once(bounds: BatchLimits, workers: int) -> None:
    """Batches of one size under way when the service goes away are one event, except where no cut is possible any more."""
    batch = AdaptiveBatch(limits=bounds)
    sent, once = batch.size, batch.after_failure(batch.size)
    for _ in range(workers):
        batch = batch.after_failure(sent)
    assert batch == once


@given(capacity=st.integers(20, 900), size=st.integers(1, 1_000))
def test_it_settles_around_what_the_other_side_bears(capacity: int, size: int) -> None:
    """Of a service that is quick up to a size, from any start: after a while between half of that and one step above."""
    batch = AdaptiveBatch(size=size)
    seen = []
    for number in range(400):
        seen.append(batch.size)
        batch = batch.after(batch.size, 0.5 if batch.size <= capacity else 1.5)
        if number > 200:
            assert int(capacity * 0.5) <= batch.size <= capacity + batch.limits.step
    assert max(seen[200:]) >= capacity - batch.limits.step


@given(sizes=st.tuples(st.integers(10, 1_000), st.integers(10, 1_000)))
def test_two_workers_come_to_like_shares(sizes: tuple[int, int]) -> None:
    """Two that share a service and cut together draw near to each other, however they began: Chiu and Jain's fairness."""
    first, second = (AdaptiveBatch(size=size) for size in sizes)
    for _ in range(1_000):
        latency_s = 0.5 if first.size + second.size <= 600 else 1.5
        first, second = first.after(first.size, latency_s), second.after(second.size, latency_s)
    assert abs(first.size - second.size) <= 10


@pytest.mark.parametrize(
    "wrong", [{"least": 0}, {"least": 200}, {"most": 50}, {"step": 0}, {"factor": 1.0}, {"factor": 0.0}, {"target_s": 0.0}]
)
def test_limits_that_contradict_each_other_are_refused(wrong: dict[str, float]) -> None:
    """With the values, and what would be right."""
    with pytest.raises(UsageError, match="contradict"):
        BatchLimits(**wrong)  # type: ignore[arg-type]
