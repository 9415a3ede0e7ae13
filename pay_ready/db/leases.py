"""Leases: who may work on what, until when, and the token that fences off whoever lost one without noticing.

A lease is a promise about time, and time cannot be trusted; so every transaction that writes under one calls `guard`
first. A process that woke up too late finds its token gone there, and its transaction rolls back.
"""

import os
import socket
from dataclasses import dataclass
from uuid import UUID

from pay_ready.db import tenants
from pay_ready.db.tenancy import TenantTransaction
from pay_ready.errors import ConflictError, RetryLaterError

TTL_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """A lease that was taken; `token` is higher than that of every holder before."""

    name: str
    holder: str
    token: int


def holder_name(run: UUID) -> str:
    """host:pid:run of this process."""
    return f"{socket.gethostname()}:{os.getpid()}:{run}"


def acquire(tx: TenantTransaction, name: str, holder: str, *, ttl_s: float = TTL_S) -> Lease:
    """Take a lease that is free, has run out, or belonged to a process of this host that no longer exists.

    Raises:
        RetryLaterError: Somebody holds it; names the holder and since when.
    """
    there = tx.row("leases.look", {"lease": name})
    if there is not None and there.is_live and not _is_gone(there.holder):
        raise _held(name, there.holder, there.acquired_at.isoformat(timespec="seconds"))
    token = tenants.next_number(tx, "lease_token")
    taken = tx.row("leases.take", {
        "lease": name, "holder": holder, "token": token, "ttl_s": ttl_s, "known_token": there.token if there else 0,
    })  # fmt: skip
    if taken is None:
        raise _held(name, "somebody faster", "just now")
    return Lease(name=name, holder=holder, token=token)


def renew(tx: TenantTransaction, lease: Lease, *, ttl_s: float = TTL_S) -> None:
    """Hold the lease for `ttl_s` seconds from now, even if it had run out, as long as nobody took it.

    Raises:
        ConflictError: Somebody took it.
    """
    if tx.execute("leases.renew", {"lease": lease.name, "token": lease.token, "ttl_s": ttl_s}) == 0:
        raise lost(lease)


def guard(tx: TenantTransaction, lease: Lease) -> None:
    """First statement of a transaction that writes under a lease: whoever takes the lease over waits for its end.

    Raises:
        ConflictError: Somebody took it: this process is a zombie and must not write.
    """
    if tx.row("leases.guard", {"lease": lease.name, "token": lease.token}) is None:
        raise lost(lease)


def seize(tx: TenantTransaction, token: int, holder: str, *, ttl_s: float = TTL_S) -> Lease | None:
    """Take a lease from whoever holds it under this token, alive or not; None when it is held no longer.

    Waits for the end of the transaction that writes under it: what comes after finds a higher token, and is refused.
    """
    taken = tx.row("leases.seize", {
        "known_token": token, "holder": holder, "token": tenants.next_number(tx, "lease_token"), "ttl_s": ttl_s,
    })  # fmt: skip
    return None if taken is None else Lease(name=taken.lease, holder=holder, token=taken.token)


def release(tx: TenantTransaction, lease: Lease) -> bool:
    """Give the lease back; False when it was somebody else's by then."""
    return tx.execute("leases.release", {"lease": lease.name, "token": lease.token}) > 0


def lost(lease: Lease) -> ConflictError:
    """The error of a writer whose lease was taken over."""
    hint = "nothing of it was written; pay-ready runs list says which run goes on, or who aborted this one"
    return ConflictError("the lease was taken over by another run", hint, lease=lease.name, token=lease.token)


def _held(name: str, holder: str, since: str) -> RetryLaterError:
    return RetryLaterError("another run is at work", "wait for its end or try again later", lease=name, holder=holder, since=since)


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
    return True
