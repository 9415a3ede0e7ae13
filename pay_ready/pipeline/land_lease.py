"""Holding a lease while work goes on, however long a single part of it takes."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import structlog

from pay_ready.db import leases
from pay_ready.db.leases import Lease
from pay_ready.db.tenancy import Database
from pay_ready.errors import ConflictError, RetryLaterError, TransientError
from pay_ready.model.ids import TenantId

log = structlog.get_logger()

# How often a waiter asks for a lease. Whoever gives one back to take it again soon leaves it free for longer than that.
POLL_S = 0.2


@contextmanager
def held_lease(
    database: Database, tenant: TenantId, name: str, holder: str, *, ttl_s: float = leases.TTL_S, wait_s: float = 0.0
) -> Iterator[Lease]:
    """A lease for the length of the block, renewed by a thread every third of its time and given back at the end.

    The thread never ends the work: a writer whose lease was taken over notices at its next `guard`.

    Raises:
        RetryLaterError: Somebody else holds it, still after `wait_s`.
    """
    lease = _acquired(database, tenant, name, holder, ttl_s, wait_s)
    stop = threading.Event()
    keeper = threading.Thread(target=_keep, args=(database, tenant, lease, ttl_s, stop), name=f"lease {name}", daemon=True)
    keeper.start()
    try:
        yield lease
    finally:
        stop.set()
        keeper.join()
        try:
            with database.tenant_transaction(tenant) as tx:
                leases.release(tx, lease)
        except TransientError:
            # The database is away: the lease runs out by itself, and this is no news beside what the block raised.
            log.warning("lease.not_released", lease=lease.name)


def _acquired(database: Database, tenant: TenantId, name: str, holder: str, ttl_s: float, wait_s: float) -> Lease:
    deadline, has_said = time.monotonic() + wait_s, False
    while True:
        try:
            with database.tenant_transaction(tenant) as tx:
                return leases.acquire(tx, name, holder, ttl_s=ttl_s)
        except RetryLaterError as held:
            if time.monotonic() >= deadline:
                raise
            if not has_said:
                log.warning("lease.awaited", lease=name, holder=held.where.get("holder"))
                has_said = True
            time.sleep(POLL_S)


def _keep(database: Database, tenant: TenantId, lease: Lease, ttl_s: float, stop: threading.Event) -> None:
    while not stop.wait(ttl_s / 3):
        try:
            with database.tenant_transaction(tenant) as tx:
                leases.renew(tx, lease, ttl_s=ttl_s)
        except TransientError:
            log.warning("lease.not_renewed", lease=lease.name)
        except ConflictError:
            log.warning("lease.lost", lease=lease.name)
            return
