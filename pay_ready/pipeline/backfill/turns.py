"""A source's lease, held by all readers of a backfill together, and let go from time to time for whoever else waits for it."""

import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from pay_ready.db import leases
from pay_ready.db.leases import Lease
from pay_ready.model.ids import SourceId, new_id
from pay_ready.pipeline.land.lease import POLL_S, held_lease
from pay_ready.pipeline.work import TenantWork

# After so much work the lease is left free, for longer than anybody who waits for it sleeps: a live sync waits so long, and a chunk.
# Both together keep the pauses below 3 % of the time.
_TURN_AFTER_S = 20.0
_TURN_S = 2 * POLL_S
_LOOK_S = 0.2


class SourceTurns:
    """Readers of one source, which take its lease together. Safe for threads."""

    def __init__(self, work: TenantWork, source: SourceId, *, wait_s: float) -> None:
        self._work, self._lease_name, self._wait_s = work, f"source:{source}", wait_s
        self._door = threading.Condition()
        self._readers = 0
        self._held = ExitStack()
        self._lease: Lease | None = None
        self._paused_at = time.monotonic()

    @contextmanager
    def turn(self) -> Iterator[Lease]:
        """The lease, for one chunk.

        Raises:
            RetryLaterError: Somebody else holds it, after `wait_s` too.
            TransientError: The database is away.
        """
        lease = self._enter()
        try:
            yield lease
        finally:
            self._leave()

    def close(self) -> None:
        """No reader is left: a lease that one had taken when it was interrupted, before it began, is given back."""
        with self._door:
            self._lease = None
            self._held.close()

    def _enter(self) -> Lease:
        with self._door:
            while self._readers and self._is_over():  # the others finish their chunks, then somebody else has his turn
                self._door.wait(_LOOK_S)
            if self._lease is None:
                if self._is_over():
                    leave_free(_TURN_S)
                    self._paused_at = time.monotonic()
                options, holder = self._work.options, leases.holder_name(new_id())
                held = held_lease(
                    self._work.database, self._work.tenant, self._lease_name, holder, ttl_s=options.lease_ttl_s, wait_s=self._wait_s
                )
                self._lease = self._held.enter_context(held)
            self._readers += 1
            return self._lease

    def _leave(self) -> None:
        with self._door:
            self._readers -= 1
            if not self._readers:
                self._lease = None
                self._held.close()
            self._door.notify_all()

    def _is_over(self) -> bool:
        return time.monotonic() - self._paused_at > _TURN_AFTER_S


def leave_free(seconds: float) -> None:
    """Hold no lease of the source for so long."""
    time.sleep(seconds)
