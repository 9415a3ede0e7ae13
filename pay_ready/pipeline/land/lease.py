"""Holding a lease while work goes on, however long a single part of it takes; and waiting for one that somebody else holds."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from random import SystemRandom

import structlog

from pay_ready.db import leases
from pay_ready.db.leases import Lease
from pay_ready.db.tenancy import Database
from pay_ready.errors import ConflictError, PayReadyError, TransientError
from pay_ready.model.ids import TenantId
from pay_ready.resilience import insist

# Between two looks at a lease that is held: at most that long, and never the same for two who wait. Whoever gives one back to
# take it again soon leaves it free for longer than that.
POLL_S = 0.2
# Renewing happens every third of a lease's time; after a failure sooner, so that several attempts fit before it runs out.
_RENEWALS, _RENEWALS_AFTER_FAILURE = 3, 20
# How long the end of the work waits for the keeper, which may hang in a network that swallows everything.
_PARTING_S = 2.0

log = structlog.get_logger()


@contextmanager
def held_lease(
    database: Database, tenant: TenantId, name: str, holder: str, *, ttl_s: float = leases.TTL_S, wait_s: float = 0.0
) -> Iterator[Lease]:
    """A lease for the length of the block, renewed by a thread every third of its time and given back at the end.

    The thread never ends the work: a writer whose lease was taken over notices at its next `guard`.

    Args:
        ttl_s: How long the lease stays held without being renewed.
        wait_s: How long to wait for it while somebody else holds it.

    Raises:
        RetryLaterError: Somebody else holds it, after that wait too; names the holder, since when and until when.
        TransientError: The database is away.
    """
    lease = _taken(database, tenant, name, holder, ttl_s=ttl_s, wait_s=wait_s)
    stop = threading.Event()
    keeper = threading.Thread(target=_keep, args=(database, tenant, lease, stop), name=f"lease {name}", daemon=True)
    keeper.start()
    try:
        yield lease
    finally:
        stop.set()
        keeper.join(_PARTING_S)
        try:
            insist(_release)(database, tenant, lease)
        except TransientError:
            # The database is away: the lease runs out by itself, and this is no news beside what the block raised.
            log.warning("lease.not_released", lease=lease.name)


def _taken(database: Database, tenant: TenantId, name: str, holder: str, *, ttl_s: float, wait_s: float) -> Lease:
    """The lease, as soon as it is free."""
    deadline = time.monotonic() + wait_s
    is_told = False
    while True:
        try:
            # Called again after a lost answer, it finds the lease that this holder has by then.
            return insist(_acquire)(database, tenant, name, holder, ttl_s)
        except TransientError as reason:
            left_s = deadline - time.monotonic()
            if left_s <= 0:
                raise
            if not is_told:
                where = {key: reason.where[key] for key in ("holder", "until") if key in reason.where}
                log.warning("lease.waited_for", lease=name, error_class=type(reason).__name__, wait_s=wait_s, **where)
                is_told = True
            time.sleep(min(left_s, POLL_S * SystemRandom().uniform(0.5, 1.0)))


def _acquire(database: Database, tenant: TenantId, name: str, holder: str, ttl_s: float) -> Lease:
    with database.tenant_transaction(tenant) as tx:
        return leases.acquire(tx, name, holder, ttl_s=ttl_s)


def _release(database: Database, tenant: TenantId, lease: Lease) -> None:
    with database.tenant_transaction(tenant) as tx:
        leases.release(tx, lease)


def _keep(database: Database, tenant: TenantId, lease: Lease, stop: threading.Event) -> None:
    """Renew until told to stop, through lost connections and whatever else goes wrong, but not once the lease is lost."""
    wait_s = lease.ttl_s / _RENEWALS
    while not stop.wait(wait_s):
        try:
            with database.tenant_transaction(tenant) as tx:
                leases.renew(tx, lease, ttl_s=lease.ttl_s)
            wait_s = lease.ttl_s / _RENEWALS
        except ConflictError:
            log.warning("lease.lost", lease=lease.name)
            return
        except PayReadyError as error:
            log.warning("lease.not_renewed", lease=lease.name, error_class=type(error).__name__)
            wait_s = lease.ttl_s / _RENEWALS_AFTER_FAILURE
