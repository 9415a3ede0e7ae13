"""A source whose service is down is left alone for a while: its runs are deferred at once, in every process, and nobody waits for it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

import structlog

from pay_ready.breaker import Breaker, BreakerState
from pay_ready.db import breakers
from pay_ready.db.sources import DataSource
from pay_ready.db.tenancy import Database, TenantTransaction
from pay_ready.errors import PayReadyError, SourceAwayError
from pay_ready.model.ids import TenantId
from pay_ready.resilience import insist

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakerOptions:
    """When a source is left alone, and for how long."""

    opens_after: int = 3  # syncs in a row that the service failed, each with its retries
    open_s: float = 900.0


@contextmanager
def admitted(
    database: Database, tenant: TenantId, source: DataSource, options: BreakerOptions
) -> Iterator[Callable[[PayReadyError | None], None]]:
    """A sync of a source that a connector reads; the body tells how it ended.

    Only a SourceAwayError is a failure of the service; any other error of the sync says nothing about it. An Airbyte has a breaker of its
    own, and export files are never down.

    Raises:
        BreakerOpenError: The service failed too often, and is left alone for now; or another process is trying it out.
    """
    if source.ingest_mode != "connector":
        yield lambda _: None
        return
    breaker = Breaker(f"source:{source.name}", opens_after=options.opens_after, open_s=options.open_s, measured=False)
    insist(_admit)(database, tenant, breaker)
    known = breaker.state
    ended: list[PayReadyError | None] = []
    try:
        yield ended.append
    except SourceAwayError as error:
        ended.append(error)
        raise
    finally:
        for end in ended[:1]:
            _told(breaker, end)
            if breaker.state != known or known != BreakerState():
                insist(_store)(database, tenant, breaker)
            if breaker.state.circuit != known.circuit:
                log.warning("breaker.changed", tenant=tenant, source=source.name, status=breaker.state.circuit)


def _told(breaker: Breaker, error: PayReadyError | None) -> None:
    if error is None or isinstance(error, SourceAwayError):
        with suppress(SourceAwayError), breaker.guarding():
            if error is not None:
                raise error


def _admit(database: Database, tenant: TenantId, breaker: Breaker) -> None:
    with database.tenant_transaction(tenant) as tx:
        breakers.admit(tx, breaker)


def _store(database: Database, tenant: TenantId, breaker: Breaker) -> None:
    with database.tenant_transaction(tenant) as tx:
        breakers.store(tx, breaker)


def forget(tx: TenantTransaction, source: DataSource) -> None:
    """Let the next sync try at once: somebody has seen that the service is back."""
    breakers.store(tx, Breaker(f"source:{source.name}"))
