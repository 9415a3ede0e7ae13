"""Work in several threads at once that ends as one: what interrupts the caller interrupts them, and none outlives it."""

import ctypes
import threading
import time
from collections.abc import Callable, Sequence
from contextvars import copy_context
from typing import Generic, TypeVar, cast

T = TypeVar("T")

# So long a thread that was told to stop may take: to end its connector, roll back, give its lease back.
# A Prefect worker waits for 30.
STOP_S = 25.0
_LOOK_S = 0.1  # how often the caller wakes up, for what Python raises in it


class StoppedStep(BaseException):
    """Raised inside work that is to end now, as Ctrl-C would be: it was cancelled, or its time is over."""


class _Work(Generic[T]):
    """A call in a thread of its own, and what came of it."""

    def __init__(self, call: Callable[[], T], name: str) -> None:
        self.value: T | None = None
        self.error: BaseException | None = None
        # Not Thread.join: interrupted by an exception, it takes the thread for ended while it runs (Python 3.11).
        self.ended = threading.Event()
        # What is logged and measured there belongs where the caller's does.
        context = copy_context()
        self._call: Callable[[], T] = lambda: context.run(call)
        self.thread = threading.Thread(target=self._run, name=name, daemon=True)

    def _run(self) -> None:
        try:
            self.value = self._call()
        except BaseException as error:  # noqa: BLE001 - raised where it is waited for
            self.error = error
        finally:
            self.ended.set()


def stop_thread(thread: threading.Thread) -> None:
    """Raise StoppedStep in a thread, as soon as it runs Python again; a call of C (a long query) is not cut short."""
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident or 0), ctypes.py_object(StoppedStep))


def in_threads(calls: Sequence[Callable[[], T]], *, name: str) -> list[T]:
    """Call all of them at once, and wait until all have ended; a single one is called in this thread.

    Raises:
        BaseException: Whatever the first of them raised; or what interrupted this thread, once they have stopped, too.
    """
    if len(calls) == 1:
        return [calls[0]()]
    works = [_Work(call, f"{name} {number}") for number, call in enumerate(calls)]
    try:
        for work in works:
            work.thread.start()
        for work in works:
            while not work.ended.wait(_LOOK_S):
                pass
    except BaseException:
        _stop_all([work for work in works if work.thread.ident])
        raise
    for work in works:
        if work.error is not None:
            raise work.error
    return [cast("T", work.value) for work in works]


def _stop_all(works: Sequence[_Work[T]]) -> None:
    until = time.monotonic() + STOP_S
    for work in works:
        stop_thread(work.thread)
    for work in works:
        work.ended.wait(max(until - time.monotonic(), 0.0))
