"""The one event loop of this process for the cold tier's sockets, in a daemon thread; it is made when first used."""

import asyncio
import concurrent.futures
import os
import threading
import weakref
from collections.abc import Coroutine
from typing import Any, TypeVar

from pay_ready.errors import PayReadyError, TransientError

T = TypeVar("T")

_GRACE_S = 0.5  # for a loop that is busy: a call's own deadline comes first
_END_S = 5.0
_lock = threading.Lock()
_shared: "LoopThread | None" = None


class LoopThread:
    """An event loop in a daemon thread. Calls to it are synchronous, from any thread but its own."""

    def __init__(self) -> None:
        self._pid = os.getpid()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="pay-ready-weaviate", daemon=True)
        self._thread.start()
        # At exit finalizers run in the reverse order of their making: the stores that use the loop are closed before it.
        weakref.finalize(self, _end, self._loop, self._thread, self._pid)

    @property
    def is_foreign(self) -> bool:
        """Whether it was another process's: only the thread that forks lives on in the child."""
        return self._pid != os.getpid()

    def run(self, work: Coroutine[Any, Any, T], deadline_s: float) -> T:
        """What the coroutine gives.

        Raises:
            TransientError: It did not end within the deadline, or its connection was closed below it.
        """
        if self.is_foreign or threading.current_thread() is self._thread:
            work.close()
            raise PayReadyError("the vector store's loop belongs to another process or waits for itself", "open the store after the fork")
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result(deadline_s + _GRACE_S)
        except concurrent.futures.CancelledError as error:
            raise TransientError("a call was cut off: its connection was closed") from error
        except TimeoutError as error:
            raise TransientError("a call did not end in time", deadline_s=deadline_s) from error
        finally:
            future.cancel()


def _end(loop: asyncio.AbstractEventLoop, thread: threading.Thread, pid: int) -> None:
    if pid != os.getpid():
        return
    loop.call_soon_threadsafe(loop.stop)
    thread.join(_END_S)
    if not thread.is_alive():
        loop.close()


def shared_loop() -> LoopThread:
    """The loop of this process.

    Raises:
        PayReadyError: It ran in the parent before the fork: the client's sockets and locks do not survive that.
    """
    global _shared
    with _lock:
        if _shared is not None and _shared.is_foreign:
            raise PayReadyError(
                "Weaviate was in use before this process was forked, and cannot be used in the child",
                "open the store after the fork, or start workers with the method spawn",
            )
        if _shared is None:
            _shared = LoopThread()
        return _shared
