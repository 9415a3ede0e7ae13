"""Breaker states that outlive their process: a run begun while a service is left alone is deferred at once."""

from pay_ready.breaker import Breaker, BreakerState, open_error
from pay_ready.db.tenancy import TenantTransaction


def admit(tx: TenantTransaction, breaker: Breaker) -> None:
    """Have the breaker go on from the stored state; one that was open long enough becomes half open, for this caller alone.

    Whoever took the probe and never told of its end is taken for gone after the same time.

    Raises:
        BreakerOpenError: The service is left alone for now, or another process is trying it out.
    """
    row = tx.row("breakers.look", {"target": breaker.target})
    if row is None:
        return
    state = BreakerState(circuit=row.circuit, failures=row.failures)
    if state.circuit != "closed":
        if row.age_s < breaker.open_s:
            raise open_error(breaker.target, breaker.open_s - row.age_s)
        tx.execute("breakers.take_probe", {"target": breaker.target})
        state = BreakerState(circuit="half_open", failures=row.failures)
    breaker.restore(state)


def store(tx: TenantTransaction, breaker: Breaker) -> None:
    """Keep the breaker's state for the processes to come."""
    state = breaker.state
    tx.execute("breakers.put", {"target": breaker.target, "circuit": state.circuit, "failures": state.failures})
