"""Retries of what may succeed later.

They tell of themselves in our own words: the hooks that stamina brings along log the arguments of a call.
"""

from collections.abc import Callable
from functools import cache
from typing import ParamSpec, TypeVar

import stamina
import structlog
from stamina.instrumentation import RetryDetails, set_on_retry_hooks

from pay_ready.errors import RetryLaterError, TransientError

P = ParamSpec("P")
T = TypeVar("T")

log = structlog.get_logger()


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
