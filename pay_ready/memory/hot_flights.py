"""One load for all who want the same value at the same time, and for a moment after it failed."""

import copy
import threading
from dataclasses import dataclass
from typing import Generic, TypeVar

from pay_ready.errors import PayReadyError, RetryLaterError
from pay_ready.memory.hot_values import HotKey

V = TypeVar("V")

MOST_FAILURES = 1_000  # remembered at a time; of more than that, each caller finds out by itself


class LoadAbandonedError(RetryLaterError):
    """Whoever loaded the value was stopped (Ctrl-C): that says nothing about the value, and the next one loads it."""


class Flight(Generic[V]):
    """A load under way: one thread flies it, any number wait for its end."""

    def __init__(self, moment: int) -> None:
        self.moment = moment  # when it began, on the tier's count of changes
        self._pilot = threading.get_ident()
        self._landed = threading.Event()
        self._value: V
        self._error: BaseException | None = None

    def land(self, value: V) -> None:
        """The value is there."""
        self._value = value
        self._landed.set()

    def crash(self, error: BaseException) -> None:
        """The load failed; whoever waits gets the error, unless it was about this thread alone."""
        self._error = error if isinstance(error, Exception) else LoadAbandonedError("the load of a value was stopped", "try again")
        self._landed.set()

    def wait(self, longest_s: float) -> V:
        """The value that the other thread loads.

        Raises:
            RetryLaterError: It is not there after `longest_s` seconds.
            LoadAbandonedError: The other thread was stopped.
            PayReadyError: This very thread is loading it.
            Exception: Its load failed with this.
        """
        if self._pilot == threading.get_ident():
            raise PayReadyError("the load of a value asks the hot tier for that value", "load what it is made of instead")
        if not self._landed.wait(longest_s):
            raise RetryLaterError("another thread's load of the same value does not end", "try again later", waited_s=longest_s)
        if self._error is not None:
            raise _for_another(self._error)
        return self._value


@dataclass(frozen=True, slots=True)
class _Failure:
    error: PayReadyError
    until: float
    moment: int


class Failures:
    """Errors of loads that ended a moment ago: whoever asks next gets them, so that what fails is not called by all at once.

    Only errors of ours are kept, without the frames they came through: those hold people's data.
    """

    def __init__(self, ttl_s: float) -> None:
        self._ttl_s = ttl_s
        self._kept: dict[HotKey, _Failure] = {}

    def keep(self, key: HotKey, error: BaseException, now: float, moment: int) -> None:
        """Remember why a load failed that began at `moment`."""
        if not isinstance(error, PayReadyError):
            return
        if len(self._kept) >= MOST_FAILURES:
            self._kept = {key: each for key, each in self._kept.items() if now < each.until}
        if len(self._kept) < MOST_FAILURES:
            self._kept[key] = _Failure(copy.copy(error), now + self._ttl_s, moment)

    def of(self, key: HotKey, now: float, changed_at: int) -> PayReadyError | None:
        """Why it failed just now; None where it did not, or the tenant's data changed since."""
        failure = self._kept.get(key)
        if failure is None:
            return None
        if now < failure.until and failure.moment >= changed_at:
            return copy.copy(failure.error)
        del self._kept[key]
        return None

    def drop(self, key: HotKey) -> None:
        """A value is there after all."""
        self._kept.pop(key, None)


def _for_another(error: BaseException) -> BaseException:
    """An error for one more thread: a copy where it is of ours, else the same."""
    return copy.copy(error) if isinstance(error, PayReadyError) else error
