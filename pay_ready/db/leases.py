"""Leases: who may work on what, until when, and the token that fences off whoever lost one without noticing.

A lease is a promise about time, and time cannot be trusted; so every transaction that writes under one calls `guard`
first. A process that woke up too late finds its token gone there, and its transaction rolls back.

Whoever takes a lease over waits for the end of a transaction that still writes under it. One that is paused or cut off
would keep him waiting: the server ends it once it has been idle for three quarters of the lease's time, and the taker
ends it as soon as the lease has run out, for inside a COPY no timeout of the server applies (measured on 18.6).
"""

import os
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import structlog

from pay_ready.db import tenants
from pay_ready.db.tenancy import TenantTransaction
from pay_ready.errors import ConflictError, LeaseHeldError, TransientError

TTL_S = 60.0
_IDLE_SHARE = 0.75  # of a lease's time: so long may a transaction under it stand still
_LEAST_IDLE_S = 1.0
_LOCK_MS = 1_000  # so long a taker waits for the end of a transaction that writes under a lease which ran out
_LOCK_NOT_AVAILABLE = "55P03"

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """A lease that was taken; `token` is higher than that of every holder before."""

    name: str
    holder: str
    token: int
    ttl_s: float = TTL_S


def holder_name(run: UUID) -> str:
    """host:pid:run of this process."""
    return f"{socket.gethostname()}:{os.getpid()}:{run}"


def acquire(tx: TenantTransaction, name: str, holder: str, *, ttl_s: float = TTL_S) -> Lease:
    """Take a lease that is free, has run out, or belonged to a process of this host that no longer exists.

    Called again by the same holder, whose first answer was lost, it gives the lease that he has. A transaction that still
    writes under a lease that ran out is waited for one second, then ended.

    Raises:
        LeaseHeldError: Somebody holds it; names the holder, since when and until when.
    """
    # The token must outlive a crash of the server: given out twice, it would fence nobody off.
    tx.execute("leases.begin", {"idle_ms": _idle_ms(tx, ttl_s)})
    there = tx.row("leases.look", {"lease": name})
    if there is not None and there.holder == holder:
        return Lease(name=name, holder=holder, token=there.token, ttl_s=ttl_s)
    _refuse_live(name, there)
    if there is not None:
        there = _locked(tx, name, there)
        _refuse_live(name, there)
    token = _take(tx, name, holder, ttl_s, there.token if there else 0)
    return Lease(name=name, holder=holder, token=token, ttl_s=ttl_s)


def renew(tx: TenantTransaction, lease: Lease, *, ttl_s: float = TTL_S) -> None:
    """Hold the lease for `ttl_s` seconds from now, even if it had run out, as long as nobody took it.

    Raises:
        ConflictError: Somebody took it.
    """
    if tx.execute("leases.renew", {"lease": lease.name, "token": lease.token, "ttl_s": ttl_s}) == 0:
        raise lost(lease)


def guard(tx: TenantTransaction, lease: Lease) -> None:
    """First statement of a transaction that writes under a lease: whoever takes the lease over waits for its end, or ends it.

    Renewing goes on meanwhile. From here on the server ends the transaction when it stands still for three quarters of
    the lease's time.

    Raises:
        ConflictError: Somebody took it: this process is a zombie and must not write.
    """
    guarded = {"lease": lease.name, "token": lease.token, "holder": lease.holder, "idle_ms": _idle_ms(tx, lease.ttl_s)}
    if tx.row("leases.guard", guarded) is None:
        raise lost(lease)


def seize(tx: TenantTransaction, token: int, holder: str, *, ttl_s: float = TTL_S) -> Lease | None:
    """Take a lease from whoever holds it under this token, alive or not; None when it is held no longer.

    A transaction that writes under it is waited for as long as for any lock, then ended: what comes after finds a higher
    token, and is refused.

    Raises:
        LeaseHeldError: The transaction could not be ended: it is another login's.
    """
    there = tx.row("leases.find", {"token": token})
    if there is None:
        return None
    locked = _locked(tx, there.lease, there, by_force=True)
    if locked is None or locked.token != token:
        return None
    taken = {"lease": there.lease, "known_token": token, "holder": holder, "token": tenants.next_number(tx, "lease_token"), "ttl_s": ttl_s}
    row = tx.row("leases.take", taken)
    return None if row is None else Lease(name=there.lease, holder=holder, token=row.token, ttl_s=ttl_s)


def release(tx: TenantTransaction, lease: Lease) -> bool:
    """Give the lease back; False when it was somebody else's by then."""
    return tx.execute("leases.release", {"lease": lease.name, "token": lease.token}) > 0


def lost(lease: Lease) -> ConflictError:
    """The error of a writer whose lease was taken over."""
    hint = "nothing of it was written; pay-ready runs list says which run goes on, or who aborted this one"
    return ConflictError("the lease was taken over by another run", hint, lease=lease.name, token=lease.token)


def _idle_ms(tx: TenantTransaction, ttl_s: float) -> str:
    return str(min(tx.limits.idle_in_transaction_ms, round(1000 * max(_IDLE_SHARE * ttl_s, _LEAST_IDLE_S))))


def _refuse_live(name: str, there: Any | None) -> None:
    if there is not None and there.is_live and not _is_gone(there.holder):
        raise _held(name, there, "another run is at work", "wait for its end (run etl and run sync: --wait SECONDS), or try again later")


def _locked(tx: TenantTransaction, name: str, there: Any, *, by_force: bool = False) -> Any | None:
    """The lease's row, locked, so that two takers come one after the other; None when it was given back meanwhile.

    Args:
        by_force: End what writes under it also while the lease has not run out.

    Raises:
        LeaseHeldError: A transaction still writes under it, and could not be ended: it is another login's.
    """
    is_locked, found = _try_lock(tx, name)
    if is_locked:
        return found
    left = {"lease": name, "token": there.token, "is_gone": by_force or _is_gone(there.holder)}
    ended = tx.rows("leases.end_writers", left)
    log.warning("lease.writers_ended", lease=name, holder=there.holder, sessions=len(ended))
    is_locked, found = _try_lock(tx, name)
    if is_locked:
        return found
    raise _held(name, there, "a run that lost its lease has a transaction open", "the server will end it: try again in a minute")


def _take(tx: TenantTransaction, name: str, holder: str, ttl_s: float, known_token: int) -> int:
    """The new token."""
    try:
        token = tenants.next_number(tx, "lease_token")
        taken = tx.row("leases.take", {"lease": name, "holder": holder, "token": token, "ttl_s": ttl_s, "known_token": known_token})
    except TransientError as error:
        if error.where.get("sqlstate") != _LOCK_NOT_AVAILABLE:
            raise
        hint = "if it stands still, the server will end it: try again in a minute"
        raise LeaseHeldError("another run is taking a lease of this tenant at this moment", hint, lease=name) from None
    if taken is None:
        raise LeaseHeldError("another run was faster", "wait for its end or try again later", lease=name)
    return token


def _try_lock(tx: TenantTransaction, name: str) -> tuple[bool, Any | None]:
    """Whether the lock came in time, and the row if there is one."""
    try:
        with tx.savepoint():
            tx.execute("leases.limit_wait", {"lock_ms": str(min(_LOCK_MS, tx.limits.lock_ms))})
            found = tx.row("leases.lock", {"lease": name})
            tx.execute("leases.limit_wait", {"lock_ms": str(tx.limits.lock_ms)})
            return True, found
    except TransientError as error:
        if error.where.get("sqlstate") != _LOCK_NOT_AVAILABLE:
            raise
        return False, None


def _held(name: str, there: Any, what: str, hint: str) -> LeaseHeldError:
    since, until = (each.isoformat(timespec="seconds") for each in (there.acquired_at, there.expires_at))
    return LeaseHeldError(what, hint, lease=name, holder=there.holder, since=since, until=until)


@dataclass(frozen=True, slots=True, kw_only=True)
class HolderProcess:
    """The process that a holder names; `exists` is None where this host cannot say."""

    host: str
    pid: int
    exists: bool | None


def process_of(holder: str) -> HolderProcess | None:
    """The process of a holder, looked up when it is one of this host; None when the holder names none."""
    host, _, rest = holder.partition(":")
    pid = rest.partition(":")[0]
    if not pid.isdigit():
        return None
    return HolderProcess(host=host, pid=int(pid), exists=_exists(int(pid)) if host == socket.gethostname() else None)


def _is_gone(holder: str) -> bool:
    """Whether the holder was a process of this host and is no more; in doubt it lives, and its lease runs out by itself."""
    process = process_of(holder)
    return process is not None and process.exists is False


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return not _is_zombie(pid)


def _is_zombie(pid: int) -> bool:
    """Dead, and nobody has asked how it ended: in a container whose first process is no init nobody ever does."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text("ascii", "replace")
    except OSError:
        return False
    # The name, in parentheses, may hold anything.
    return stat.rpartition(")")[2].split()[:1] == ["Z"]
