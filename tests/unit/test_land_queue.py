"""Flushes on their way to the database: in order, together when they wait together, and none after one that failed."""

import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager

import pytest

from pay_ready.db.landing import Counts
from pay_ready.errors import TransientError
from pay_ready.pipeline.land.buffer import Flush, NewConfig, StreamFlush
from pay_ready.pipeline.land.commit_queue import MOST_WAITING, MOST_WAITING_BYTES, Turn, Write, committed_in_turn
from pay_ready.pipeline.land.write import Written


class Slow:
    """A commit that waits until it is let go, and remembers what it was given."""

    def __init__(self, fails_at: int = -1) -> None:
        self.let_go = threading.Event()
        self.entered = threading.Event()
        self.given: list[Sequence[Flush] | NewConfig] = []
        self._fails_at = fails_at

    def __call__(self, items: Sequence[Flush] | NewConfig) -> Written:
        self.given.append(items)
        self.entered.set()
        assert self.let_go.wait(10)
        if len(self.given) - 1 == self._fails_at:
            raise TransientError("away")
        return Written(counts={"people": Counts(emitted=1)})


def committed_behind(commit: Slow, tell: Callable[[Written], None]) -> AbstractContextManager[Write]:
    """One thread, so that nothing is made ready out of turn."""
    return committed_in_turn(lambda item, _: commit(item), tell, threads=1)


def flush(number: int) -> Flush:
    """A flush that can be told from others."""
    return Flush(streams=(), all_streams_state=str(number))


def test_what_waits_together_goes_together_and_in_order() -> None:
    """While one is under way the next ones wait; they go in one transaction, but not across a new configuration."""
    slow, told = Slow(), list[Written]()
    config = NewConfig(config=b"{}")
    with committed_behind(slow, told.append) as write:
        write(flush(0))
        assert slow.entered.wait(10)
        write(flush(1))
        write(flush(2))
        slow.let_go.set()
        write(config)
        write(flush(3))
    in_order = [each for items in slow.given for each in ([items] if isinstance(items, NewConfig) else items)]
    assert in_order == [flush(0), flush(1), flush(2), config, flush(3)]
    assert slow.given[1] == [flush(1), flush(2)]
    assert sum(written.counts["people"].emitted for written in told if written.counts) == len(slow.given)


def test_no_more_than_a_few_wait() -> None:
    """The reader is held up when the database cannot keep up: memory is bounded."""
    slow, taken = Slow(), list[int]()

    def feed() -> None:
        with committed_behind(slow, lambda _: None) as write:
            for number in range(20):
                write(flush(number))
                taken.append(number)

    feeder = threading.Thread(target=feed)
    feeder.start()
    assert slow.entered.wait(10)
    feeder.join(0.2)
    assert len(taken) <= MOST_WAITING + 1
    slow.let_go.set()
    feeder.join(10)
    assert len(taken) == 20


def test_nothing_is_committed_after_a_failure() -> None:
    """A later flush holds a state that would skip the rows of the one that failed."""
    slow = Slow(fails_at=0)

    def feed() -> None:
        with committed_behind(slow, lambda _: None) as write:
            write(flush(0))
            assert slow.entered.wait(10)
            write(flush(1))
            write(flush(2))
            slow.let_go.set()

    with pytest.raises(TransientError):
        feed()
    assert slow.given == [[flush(0)]]


def test_what_was_handed_over_counts_when_the_reader_fails() -> None:
    """The reader's error is the one that is raised; flushes handed over before it are committed and told."""
    slow, told = Slow(), list[Written]()
    slow.let_go.set()

    def feed() -> None:
        with committed_behind(slow, told.append) as write:
            write(flush(0))
            write(flush(1))
            raise RuntimeError("reader")

    with pytest.raises(RuntimeError, match="reader"):
        feed()
    assert [each for items in slow.given if not isinstance(items, NewConfig) for each in items] == [flush(0), flush(1)]
    assert sum(bool(written.counts) for written in told) == len(slow.given)


def test_turns_are_put_back() -> None:
    """The interpreter's switch interval is short while rows are committed, and as before afterwards, also after a failure."""
    before, within = sys.getswitchinterval(), list[float]()

    def feed() -> None:
        with committed_behind(Slow(), lambda _: None):
            within.append(sys.getswitchinterval())
            raise RuntimeError

    with pytest.raises(RuntimeError):
        feed()
    assert within[0] < before
    assert sys.getswitchinterval() == pytest.approx(before)


class InTurn:
    """A commit that makes ready, awaits its turn, and then writes down what it was given; each may be held up or fail."""

    def __init__(self, fails_at: str = "") -> None:
        self.ready, self.written = list[str](), list[str]()
        self.let_go = {name: threading.Event() for name in "012"}
        self.is_ready = {name: threading.Event() for name in "012"}
        self._fails_at = fails_at

    def __call__(self, items: Sequence[Flush] | NewConfig, await_turn: Turn) -> Written:
        assert not isinstance(items, NewConfig)
        name = str(items[0].all_streams_state)[0]
        self.ready.append(name)
        self.is_ready[name].set()
        await_turn()
        assert self.let_go[name].wait(10)
        if name == self._fails_at:
            raise TransientError("away")
        self.written += [str(each.all_streams_state) for each in items]
        return Written(counts={"people": Counts(emitted=1)})


def of_stream(name: str) -> Flush:
    """A flush that no other is joined to: its stream ends."""
    return Flush(streams=[StreamFlush(stream="people", begun=None, is_complete=True)], all_streams_state=name)


def test_the_next_makes_ready_while_one_writes() -> None:
    """One alone, and it writes nothing before its turn."""
    slow = InTurn()
    with committed_in_turn(slow, lambda _: None) as write:
        for name in "012":
            write(of_stream(name))
        assert slow.is_ready["1"].wait(10)
        assert (slow.ready, slow.written) == (["0", "1"], [])
        for event in slow.let_go.values():
            event.set()
    assert slow.written == ["0", "1", "2"]


def test_what_is_ready_is_not_committed_after_a_failure() -> None:
    """The transaction that waits for its turn learns that it has none, and later ones never begin."""
    slow = InTurn(fails_at="0")

    def feed() -> None:
        with committed_in_turn(slow, lambda _: None) as write:
            for name in "012":
                write(of_stream(name))
            assert slow.is_ready["1"].wait(10)
            for event in slow.let_go.values():
                event.set()

    with pytest.raises(TransientError):
        feed()
    assert (slow.ready, slow.written) == (["0", "1"], [])


def test_large_flushes_wait_in_small_numbers() -> None:
    """What waits is bounded in bytes too."""
    large = Flush(streams=[StreamFlush(stream="people", begun=None, packed=[bytes(MOST_WAITING_BYTES)])])
    slow, taken = Slow(), list[int]()

    def feed() -> None:
        with committed_behind(slow, lambda _: None) as write:
            for number in range(5):
                write(large)
                taken.append(number)

    feeder = threading.Thread(target=feed)
    feeder.start()
    assert slow.entered.wait(10)
    feeder.join(0.2)
    assert len(taken) <= 2
    slow.let_go.set()
    feeder.join(10)
    assert [len(items) for items in slow.given if not isinstance(items, NewConfig)] == [1] * 5
