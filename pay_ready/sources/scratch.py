"""A folder of one connector run: 0700, gone afterwards, and gone at the next run when we were killed."""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

_PREFIX = "run-"
_LOCK = ".lock"


@contextmanager
def scratch_folder(home: Path) -> Iterator[Path]:
    """A new empty folder under `home`. It holds secrets, so folders that a killed process left there are removed first."""
    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    with locked(home / _LOCK):
        _sweep(home)
        folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=home))
        alive = _lock(folder / _LOCK)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(alive)


def write_private(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write files that only this user may read."""
    for name, content in files.items():
        descriptor = os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)


def _sweep(home: Path) -> None:
    """Remove the folders whose owner no longer holds their lock: it died, for the lock goes with the process."""
    for folder in home.glob(f"{_PREFIX}*"):
        with suppress(OSError):
            os.close(_lock(folder / _LOCK, blocking=False))
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """One process at a time holds this file's lock; who dies lets go of it."""
    descriptor = _lock(path)
    try:
        yield
    finally:
        os.close(descriptor)


def _lock(path: Path, *, blocking: bool = True) -> int:
    """An open descriptor that holds the file's lock; connectors do not inherit it.

    Raises:
        OSError: Somebody else holds it (BlockingIOError), or the folder is gone.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if blocking else fcntl.LOCK_NB))
    except OSError:
        os.close(descriptor)
        raise
    return descriptor
