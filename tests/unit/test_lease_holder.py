"""Whether the process that a lease's holder names still lives."""

import os
import signal
import socket
import subprocess
import sys

from pay_ready.db.leases import process_of


def test_a_zombie_is_gone() -> None:
    """Dead, and never asked how it ended: in a container without an init a killed run stays so, and its lease must not."""
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    holder = f"{socket.gethostname()}:{process.pid}:01938c1e-7d7a-7000-8000-000000000001"
    alive = process_of(holder)
    os.kill(process.pid, signal.SIGKILL)
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # dead, and left unreaped
    dead = process_of(holder)
    process.wait()
    gone = process_of(holder)
    assert [each and each.exists for each in (alive, dead, gone)] == [True, False, False]
