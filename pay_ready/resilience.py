"""Retries of what may succeed later, and the breaker that leaves alone what keeps failing.

Both tell of themselves in our own words: the hooks that stamina brings along log the arguments of a call.
"""

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Literal, ParamSpec, TypeVar

import pybreaker
import stamina
import structlog
from stamina.instrumentation import RetryDetails, set_on_retry_hooks

from pay_ready.errors import PayReadyError, RetryLaterError, TransientError

P = ParamSpec("P")
T = TypeVar("T")
Circuit = Literal["closed", "open", "half_open"]

OPENS_AFTER = 5
OPEN_S = 60.0
_CIRCUITS: Mapping[str, Circuit] = {
    pybreaker.STATE_CLOSED: "closed", pybreaker.STATE_OPEN: "open", pybreaker.STATE_HALF_OPEN: "half_open",
}  # fmt: skip

log = structlog.get_logger()


class BreakerOpenError(RetryLaterError):
    """A service failed too often and is left alone for a while: not even a retry calls it."""


def transient_retries(
    function: Callable[P, T],
    *,
    attempts: int,
    timeout_s: float,
    wait_initial_s: float,
    wait_max_s: float,
    wait_jitter_s: float,
    again: Callable[[Exception], bool | float] | None = None,
) -> Callable[P, T]:
    """The function (a coroutine function, too), called again when it raises a TransientError.

    Waits wait_initial_s, doubled each time up to wait_max_s, plus up to wait_jitter_s.

    Args:
        attempts: Calls at most, the first included.
        timeout_s: No further call begins after that.
        again: Decides on each error in place of its class: whether to call again, or after how many seconds.
    """
    _log_without_arguments()
    retry = stamina.retry(
        on=again or TransientError,
        attempts=attempts,
        timeout=timeout_s,
        wait_initial=wait_initial_s,
        wait_max=wait_max_s,
        wait_jitter=wait_jitter_s,
    )
    return retry(function)


def insist(function: Callable[P, T]) -> Callable[P, T]:
    """The function, called up to three times within ten seconds: for short transactions that may be done twice.

    A lost connection is met by a new one at once; a database that is away is not waited for longer than its pool waits.
    What asks to come back later (a RetryLaterError) is not asked again: its caller knows how long to wait.
    """
    _log_without_arguments()
    return stamina.retry(on=_is_mishap, attempts=3, timeout=10.0, wait_initial=0.05, wait_max=1.0, wait_jitter=0.05)(function)


def _is_mishap(error: Exception) -> bool:
    return isinstance(error, TransientError) and not isinstance(error, RetryLaterError)


@cache
def _log_without_arguments() -> None:
    """Once a process, before its first retry."""
    set_on_retry_hooks([log_retry])


def log_retry(details: RetryDetails) -> None:
    """One line a retry: which function, the attempt, the wait and the class of the error; arguments hold people's data."""
    log.warning(
        "call.retried",
        step=details.name,
        attempt=details.retry_num,
        wait_s=round(details.wait_for, 3),
        error_class=type(details.caused_by).__name__,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakerState:
    """What of a breaker outlives its process."""

    circuit: Circuit = "closed"
    failures: int = 0  # in a row


class Breaker:
    """A circuit breaker around one service, for calls that wait in coroutines or threads.

    Closed, it lets every call through and counts failures in a row. Open, it lets none through for `open_s` seconds;
    then half open: one call as a probe, which closes or opens it again. Only a TransientError is a failure; any other
    error of ours is an answer. A call that was cancelled says nothing either way.
    """

    def __init__(self, target: str, *, opens_after: int = OPENS_AFTER, open_s: float = OPEN_S) -> None:
        self.target, self.open_s = target, open_s
        self._opens_after = opens_after
        self._lock = threading.Lock()
        self._probing = False
        self.restore(BreakerState())

    @property
    def state(self) -> BreakerState:
        """As it is now."""
        return BreakerState(circuit=_CIRCUITS[self._circuit.current_state], failures=self._circuit.fail_counter)

    def restore(self, state: BreakerState, *, age_s: float = 0.0) -> None:
        """Go on from a state that another process left `age_s` seconds ago; a half-open one has its probe still to come."""
        storage = pybreaker.CircuitMemoryStorage(next(name for name, circuit in _CIRCUITS.items() if circuit == state.circuit))
        for _ in range(state.failures):
            storage.increment_counter()
        storage.opened_at = datetime.now(UTC) - timedelta(seconds=age_s)
        self._storage = storage
        # The error that trips it is the caller's own, not pybreaker's.
        self._circuit = pybreaker.CircuitBreaker(
            fail_max=self._opens_after, reset_timeout=self.open_s, state_storage=storage, throw_new_error_on_trip=False
        )
        self._probing = False

    @contextmanager
    def guarding(self) -> Iterator[None]:
        """One call to the service.

        pybreaker's own `call` holds its lock while the call goes on and knows no asyncio: it is told of the end alone.

        Raises:
            BreakerOpenError: The service is left alone; the block did not begin.
        """
        is_probe = self._enter()
        try:
            yield
        except TransientError:
            self._record(failed=True)
            raise
        except PayReadyError:
            self._record(failed=False)
            raise
        else:
            self._record(failed=False)
        finally:
            if is_probe:
                self._probing = False

    def _enter(self) -> bool:
        """Let a call through, or not; whether it is the probe."""
        with self._lock:
            circuit = self._circuit.current_state
            if circuit == pybreaker.STATE_CLOSED:
                return False
            wait_s = self._wait_s() if circuit == pybreaker.STATE_OPEN else 0.0
            if wait_s > 0 or self._probing:
                raise open_error(self.target, wait_s)
            self._circuit.half_open()
            self._probing = True
            return True

    def _wait_s(self) -> float:
        opened_at = self._storage.opened_at or datetime.now(UTC)
        return self.open_s - (datetime.now(UTC) - opened_at).total_seconds()

    def _record(self, *, failed: bool) -> None:
        # A call that began before the breaker opened and ends after it is refused its say.
        with suppress(TransientError, pybreaker.CircuitBreakerError):
            self._circuit.call(_ended, failed)


def _ended(failed: bool) -> None:
    if failed:
        raise TransientError("a call failed")


def open_error(target: str, wait_s: float) -> BreakerOpenError:
    """The error of a call that a breaker keeps from going out."""
    what = "the service failed several times in a row and is left alone for a while"
    return BreakerOpenError(what, "try again later", service=target, retry_in_s=max(round(wait_s), 1))
