"""What tests of faults share: a pool for a block, and waiting for something to become so."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from pay_ready.db.tenancy import Database, PoolOptions


@contextmanager
def opened(url: str, options: PoolOptions) -> Iterator[Database]:
    """A pool, closed at the end."""
    database = Database(url, options)
    database.open()
    try:
        yield database
    finally:
        database.close()


def wait_until(holds: Callable[[], bool], what: str, timeout_s: float = 30.0, *, every_s: float = 0.02) -> float:
    """Poll until something holds; the seconds that took. What costs others time to answer is asked less often."""
    began = time.monotonic()
    while not holds():
        assert time.monotonic() - began < timeout_s, f"not so in {timeout_s} s: {what}"
        time.sleep(every_s)
    return time.monotonic() - began
