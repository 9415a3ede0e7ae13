"""The breaker that leaves a service alone which keeps failing."""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

import pybreaker

from pay_ready.errors import PayReadyError, RetryLaterError, TransientError
from pay_ready.telemetry import measured_call

Circuit = Literal["closed", "open", "half_open"]

OPENS_AFTER = 5
OPEN_S = 60.0
_CIRCUITS: Mapping[str, Circuit] = {
    pybreaker.STATE_CLOSED: "closed", pybreaker.STATE_OPEN: "open", pybreaker.STATE_HALF_OPEN: "half_open",
}  # fmt: skip


class BreakerOpenError(RetryLaterError):
    """A service failed too often and is left alone for a while: not even a retry calls it."""


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

    def __init__(self, target: str, *, opens_after: int = OPENS_AFTER, open_s: float = OPEN_S, measured: bool = True) -> None:
        """Closed; `measured` false where the calls are measured elsewhere, or the breaker is told of them afterwards."""
        self.target, self.open_s = target, open_s
        self._service = target.partition(":")[0] if measured else ""
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
            with measured_call(self._service, "") if self._service else nullcontext():
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
