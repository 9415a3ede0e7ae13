"""File locks that die with their last holder: the launcher's only witness of who is alive.

A pid can be recycled, a file can be left behind by a SIGKILL; a `flock` is given back by the kernel. A lock is never
unlocked here, only closed: a forked child shares the lock of its parent, and an unlock in one would take it from both.
"""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pay_ready.errors import ConfigError, RetryLaterError

POLL_S = 0.02

# Open only for the length of a call. Another thread may fork in that moment, and the child would keep the lock for life.
_short_lived: set[int] = set()


@contextmanager
def exclusive(path: Path, *, timeout_s: float) -> Iterator[int]:
    """Hold `path` alone for the block; gives the descriptor, which a child process may inherit to hold on longer.

    Raises:
        RetryLaterError: another process held it for all of `timeout_s` seconds.
        ConfigError: the file system has no locks.
    """
    deadline = time.monotonic() + timeout_s
    fd = _open(path)
    _short_lived.add(fd)
    try:
        while not _try(fd, fcntl.LOCK_EX, path):
            if time.monotonic() > deadline:
                raise RetryLaterError("another process is busy with the embedded Postgres", "repeat the command", lock=path)
            time.sleep(POLL_S)
        yield fd
    finally:
        _close(fd)


@contextmanager
def try_exclusive(path: Path) -> Iterator[int | None]:
    """The descriptor of `path`, locked by us alone for the block; None when somebody else holds it."""
    fd = _open(path)
    _short_lived.add(fd)
    try:
        yield fd if _try(fd, fcntl.LOCK_EX, path) else None
    finally:
        _close(fd)


def take_shared(path: Path, *, timeout_s: float = 5.0) -> int:
    """A descriptor that holds `path` together with others, until it is closed or the process ends.

    Raises:
        RetryLaterError: somebody holds it alone for all of `timeout_s` seconds.
    """
    deadline = time.monotonic() + timeout_s
    fd = _open(path)
    while not _try(fd, fcntl.LOCK_SH, path):
        if time.monotonic() > deadline:
            os.close(fd)
            raise RetryLaterError("another process is stopping the embedded Postgres", "repeat the command", lock=path)
        time.sleep(POLL_S)
    return fd


def is_held(path: Path) -> bool:
    """Whether somebody holds `path` alone or shared; asks without creating the file."""
    if not path.exists():
        return False
    with try_exclusive(path) as fd:
        return fd is None


def is_open_on(fd: int, path: Path) -> bool:
    """Whether the descriptor is of the file that `path` names today."""
    return path.exists() and os.path.samestat(os.fstat(fd), path.stat())


def holder_pids(path: Path) -> tuple[int, ...] | None:
    """Pids that took a lock on `path`, ascending; None where the kernel does not tell (no /proc/locks)."""
    try:
        inode = str(path.stat().st_ino)
        lines = Path("/proc/locks").read_text(encoding="ascii").splitlines()
    except FileNotFoundError:
        return () if Path("/proc/locks").exists() else None
    rows = (line.split() for line in lines)
    return tuple(sorted({int(row[4]) for row in rows if row[1] == "FLOCK" and row[5].rpartition(":")[2] == inode}))


def forget_after_fork() -> None:
    """In a forked child: close what another thread of the parent had open, so that the child keeps no lock of a moment."""
    while _short_lived:
        os.close(_short_lived.pop())


def _open(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT, 0o600)


def _close(fd: int) -> None:
    _short_lived.discard(fd)
    os.close(fd)


def _try(fd: int, mode: int, path: Path) -> bool:
    try:
        fcntl.flock(fd, mode | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        hint = "set PAY_READY_HOME to a folder on a local disk"
        raise ConfigError(f"this file system cannot lock files ({error.strerror})", hint, path=path) from error
    return True
