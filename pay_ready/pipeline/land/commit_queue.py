"""The way from the reader to the database: flushes are committed in order by a thread, while the next ones are made ready.

Those that wait together go into one transaction: its fixed costs and its wait for the disk are paid once, and nothing is
committed later than it would be one by one.
"""

import sys
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

from pay_ready.pipeline.land.buffer import Flush, NewConfig, may_join
from pay_ready.pipeline.land.write import Written

# Flushes that wait at most, and so the most in one transaction: memory holds twice as many, and the one being made.
MOST_WAITING = 4
# Seconds for which the interpreter lets one thread run when others wait. Its own 5 ms are longer than most answers of the
# database: while the reader computes, each of a flush's ten round trips would wait them out (measured: 20 ms a flush).
_TURN_S = 0.0005

Commit = Callable[[Sequence[Flush] | NewConfig], Written]
Write = Callable[[Flush | NewConfig], None]


@contextmanager
def committed_behind(commit: Commit, tell: Callable[[Written], None]) -> Iterator[Write]:
    """A function that has items committed in order, and waits only when too many do. All are committed at the end.

    After a failure nothing more is committed: a later flush holds a state that would skip the rows of the failed one.

    Args:
        commit: Called on the thread, with flushes that may go together or one new configuration.
        tell: Called on the caller's thread, in order.

    Raises:
        PayReadyError: What a commit raised, at a later call or at the end.
    """
    waiting: deque[Flush | NewConfig] = deque()
    under_way: deque[Future[Written]] = deque()
    failed: list[BaseException] = []

    def commit_next() -> Written:
        if failed or not waiting:
            return Written()
        try:
            return commit(_next(waiting))
        except BaseException as failure:
            failed.append(failure)
            raise

    def write(item: Flush | NewConfig) -> None:
        while under_way and (under_way[0].done() or len(waiting) >= MOST_WAITING):
            tell(under_way.popleft().result())
        waiting.append(item)
        under_way.append(executor.submit(commit_next))

    with _short_turns(), ThreadPoolExecutor(max_workers=1, thread_name_prefix="landing") as executor:
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
    taken = [first]
    while waiting and isinstance(after := waiting[0], Flush) and may_join(taken[-1], after):
        taken.append(after)
        waiting.popleft()
    return taken
