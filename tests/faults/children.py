"""Processes that are killed on the way, forked from a server that has loaded everything: without the second that imports take.

multiprocessing has one such server for a test process, and what it loads is said before it starts: so all of it is said here.
"""

import multiprocessing
import signal
import subprocess
from collections.abc import Callable
from multiprocessing.context import ForkServerProcess
from typing import ParamSpec

from pay_ready.failpoints import FailpointMode, armed
from tests.faults.support import wait_until

P = ParamSpec("P")

_PROCESSES = multiprocessing.get_context("forkserver")
_PROCESSES.set_forkserver_preload(["tests.faults.loaded"])


def process_of(call: Callable[P, object], *args: P.args, **kwargs: P.kwargs) -> ForkServerProcess:
    """A process that will make the call; its arguments are pickled."""
    return _PROCESSES.Process(target=call, args=args, kwargs=kwargs)


def started(call: Callable[P, object], *args: P.args, **kwargs: P.kwargs) -> ForkServerProcess:
    """A process that makes the call."""
    process = process_of(call, *args, **kwargs)
    process.start()
    return process


def ended(call: Callable[P, object], *args: P.args, **kwargs: P.kwargs) -> int:
    """The exit code of a process that makes the call: minus the signal that killed it."""
    process = started(call, *args, **kwargs)
    process.join(120)
    assert process.exitcode is not None, "it has not ended within two minutes"
    return process.exitcode


def wait_until_paused(pid: int) -> None:
    """Until the system says so."""
    command = ["ps", "-o", "stat=", "-p", str(pid)]
    wait_until(lambda: subprocess.run(command, capture_output=True, text=True).stdout.startswith("T"), "paused")


def stopped_at(point: str, mode: FailpointMode, call: Callable[P, object], *args: P.args, **kwargs: P.kwargs) -> None:
    """Make a call with a failpoint armed: what a process does that is stopped or killed there."""
    with armed(point, mode):
        call(*args, **kwargs)


def killed_at(point: str, call: Callable[P, object], *args: P.args, **kwargs: P.kwargs) -> None:
    """Make a call in a process that is killed at a failpoint."""
    mode: FailpointMode = "kill"
    assert ended(stopped_at, point, mode, call, *args, **kwargs) == -signal.SIGKILL
