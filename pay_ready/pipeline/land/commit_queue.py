"""The way from the reader to the database: flushes are committed in order by threads, while the next ones are made ready.

Those that wait together go into one transaction: its fixed costs and its wait for the disk are paid once, and nothing is
committed later than it would be one by one. And while one transaction writes, another may make ready on a second
connection what needs no order.
"""

import sys
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from threading import Condition

from pay_ready.pipeline.land.buffer import Flush, NewConfig, may_join
from pay_ready.pipeline.land.write import Written

# Flushes, and their bytes, that wait at most, and so the most in one transaction: memory holds three times as many, and the
# one being made.
MOST_WAITING = 4
MOST_WAITING_BYTES = 8 << 20
# From so many on that wait, the next transaction makes ready while the last one writes.
_ENOUGH = 2
# Seconds for which the interpreter lets one thread run when others wait. Its own 5 ms are longer than most answers of the
# database: while the reader computes, each of a flush's ten round trips would wait them out (measured: 20 ms a flush).
_TURN_S = 0.0005

Item = Sequence[Flush] | NewConfig
Turn = Callable[[], None]  # returns once all that was handed over earlier is committed; may be called again
CommitInTurn = Callable[[Item, Turn], Written]
Write = Callable[[Flush | NewConfig], None]


class _OutOfTurnError(Exception):
    """What came earlier has failed: this must not be committed."""


class _Line:
    """Items that wait, and those under way in the order in which they are to be committed."""

    def __init__(self) -> None:
        self.waiting: deque[Flush | NewConfig] = deque()
        self._under_way: deque[object] = deque()
        self._has_turn = False  # the first under way
        self._has_failed = False
        self._changed = Condition()

    @property
    def is_full(self) -> bool:
        """Whether no more should wait."""
        waiting = list(self.waiting)
        return len(waiting) >= MOST_WAITING or sum(map(_size, waiting)) >= MOST_WAITING_BYTES

    def commit_next(self, commit: CommitInTurn) -> Written:
        """Commit what waits, unless something failed."""
        with self._changed:
            self._changed.wait_for(self._may_begin)
            if self._has_failed or not self.waiting:
                return Written()
            item, ticket = _next(self.waiting), object()
            self._under_way.append(ticket)
        try:
            return commit(item, lambda: self._await_turn(ticket))
        except _OutOfTurnError:
            return Written()
        except BaseException:
            self._has_failed = True
            raise
        finally:
            with self._changed:
                if self._under_way[0] is ticket:
                    self._has_turn = False
                self._under_way.remove(ticket)
                self._changed.notify_all()

    def _may_begin(self) -> bool:
        """Not before the one at work has its connection and its turn: it never waits for what waits for it."""
        return not self._under_way or self._has_failed or (self._has_turn and len(self.waiting) >= _ENOUGH)

    def _await_turn(self, ticket: object) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._under_way[0] is ticket)
            if self._has_failed:
                raise _OutOfTurnError
            self._has_turn = True
            self._changed.notify_all()

    def add(self, item: Flush | NewConfig) -> None:
        """Let an item wait."""
        with self._changed:
            self.waiting.append(item)
            self._changed.notify_all()


@contextmanager
def committed_in_turn(commit: CommitInTurn, tell: Callable[[Written], None], *, threads: int = 2) -> Iterator[Write]:
    """A function that has items committed in order, and waits only when too many do. All are committed at the end.

    After a failure nothing more is committed: a later flush holds a state that would skip the rows of the failed one.

    Args:
        commit: Called on a thread, with flushes that may go together or one new configuration, and with its turn, which it must
            call before it does what needs order.
        tell: Called on the caller's thread, in order.
        threads: With one, an item begins when the one before it is committed; with two, it makes ready meanwhile.

    Raises:
        PayReadyError: What a commit raised, at a later call or at the end.
    """
    line = _Line()
    under_way: deque[Future[Written]] = deque()

    def write(item: Flush | NewConfig) -> None:
        while under_way and (under_way[0].done() or line.is_full):
            tell(under_way.popleft().result())
        line.add(item)
        under_way.append(executor.submit(line.commit_next, commit))

    with _short_turns(), ThreadPoolExecutor(max_workers=threads, thread_name_prefix="landing") as executor:
        try:
            yield write
        except BaseException:
            # What was handed over may succeed all the same: then it counts, but the first failure is the one to tell.
            for future in under_way:
                if future.exception() is None:
                    tell(future.result())
            raise
        while under_way:
            tell(under_way.popleft().result())


@contextmanager
def _short_turns() -> Iterator[None]:
    """Shorter turns for the threads of this process. Where several syncs overlap, the last to end may leave them short: no harm."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(min(before, _TURN_S))
    try:
        yield
    finally:
        sys.setswitchinterval(before)


def _next(waiting: deque[Flush | NewConfig]) -> Sequence[Flush] | NewConfig:
    """Take what goes into the next transaction."""
    first = waiting.popleft()
    if isinstance(first, NewConfig):
        return first
    taken, size = [first], _size(first)
    while waiting and isinstance(after := waiting[0], Flush) and may_join(taken[-1], after) and size < MOST_WAITING_BYTES:
        taken.append(after)
        size += _size(after)
        waiting.popleft()
    return taken


def _size(item: Flush | NewConfig) -> int:
    return item.size_bytes if isinstance(item, Flush) else 0
