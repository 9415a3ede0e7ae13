"""Named points at which a test makes a step fail: nothing happens, at the cost of one truth test, unless armed.

Armed by the environment before the process starts, for example `PAY_READY_FAILPOINTS="publish.before_commit=kill"`
(several with commas), or by `armed` inside a test. Modes: raise (a FailpointError), kill (SIGKILL to the own process: no
handler, no clean-up), stop (SIGSTOP: paused until SIGCONT, once), sleep (ten seconds, for a test that wants to act meanwhile), hold
(as long as the file is there that PAY_READY_FAILPOINTS_HOLD names: leases are renewed meanwhile).
"""

import os
import signal
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Literal, cast, get_args

from pay_ready.errors import ConfigError, PayReadyError

FailpointMode = Literal["raise", "kill", "stop", "sleep", "hold"]

ENVIRONMENT_VARIABLE = "PAY_READY_FAILPOINTS"
HOLD_VARIABLE = "PAY_READY_FAILPOINTS_HOLD"
_SLEEP_S, _LOOK_S = 10.0, 0.05


class FailpointError(PayReadyError):
    """Raised by an armed failpoint, never in production."""


def parse_failpoints(text: str) -> Mapping[str, FailpointMode]:
    """The points that a text arms, as "point=mode" with commas between.

    Raises:
        ConfigError: A part is not of that form or names no mode.
    """
    armed_points: dict[str, FailpointMode] = {}
    for part in filter(None, (each.strip() for each in text.split(","))):
        point, _, mode = part.partition("=")
        if not point or mode not in get_args(FailpointMode):
            raise ConfigError("not a failpoint", f"write point=mode, mode one of {', '.join(get_args(FailpointMode))}", got=part)
        armed_points[point] = cast("FailpointMode", mode)
    return armed_points


_armed: dict[str, FailpointMode] = dict(parse_failpoints(os.environ.get(ENVIRONMENT_VARIABLE, "")))


def failpoint(point: str) -> None:
    """Fail here when the point is armed.

    Raises:
        FailpointError: The point is armed with `raise`.
    """
    if _armed and (mode := _armed.get(point)):
        _fail(point, mode)


@contextmanager
def armed(point: str, mode: FailpointMode) -> Iterator[None]:
    """Arm one point of this process for the length of the block."""
    _armed[point] = mode
    try:
        yield
    finally:
        _armed.pop(point, None)


def _fail(point: str, mode: FailpointMode) -> None:
    if mode == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if mode == "stop":
        _armed.pop(point, None)
        # To this thread, which so stops first, and here; a signal to the process lets it run on for a moment.
        signal.pthread_kill(threading.get_ident(), signal.SIGSTOP)
        return
    if mode == "sleep":
        time.sleep(_SLEEP_S)
        return
    if mode == "hold":
        while (held := os.environ.get(HOLD_VARIABLE)) and os.path.exists(held):  # noqa: PTH110 - one look, no object
            time.sleep(_LOOK_S)
        return
    raise FailpointError("stopped at a failpoint", f"unset {ENVIRONMENT_VARIABLE}", point=point)
