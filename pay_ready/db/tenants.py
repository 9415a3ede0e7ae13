"""Tenants: the row, its versioned settings, and the audit of what was done."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg.types.json import Jsonb

from pay_ready.db.tenancy import TenantTransaction
from pay_ready.errors import ConflictError, DeniedError, NotFoundError
from pay_ready.model.ids import TenantId


@dataclass(frozen=True, slots=True, kw_only=True)
class Tenant:
    """A tenant with its current settings (raw overrides; `settings.TenantSettings` reads them)."""

    tenant_id: TenantId
    slug: str
    name: str
    status: str
    created_at: datetime
    settings: Mapping[str, Any]
    settings_version: int


def create(tx: TenantTransaction, *, slug: str, name: str, settings: Mapping[str, Any], actor: str) -> None:
    """Make the tenant of this transaction.

    Raises:
        ConflictError: It is there already.
    """
    if tx.execute("tenants.create", {"slug": slug, "name": name}) == 0:
        raise ConflictError("the tenant is there already", f"look at it: pay-ready tenants show {slug}", tenant=slug)
    tx.execute("tenants.add_settings", {"settings": Jsonb(settings), "made_by": actor})
    after = state_hash({"slug": slug, "name": name, "status": "active", "settings": settings})
    audit(tx, actor=actor, action="tenant.created", subject_kind="tenant", subject_id=str(tx.tenant), after_hash=after)


def find(tx: TenantTransaction) -> Tenant | None:
    """The tenant of this transaction, or None when it was never made."""
    row = tx.row("tenants.find")
    return None if row is None else Tenant(**row._asdict())


def require_active(tx: TenantTransaction, slug: str) -> Tenant:
    """The tenant of this transaction.

    Raises:
        NotFoundError: It was never made.
        DeniedError: It is suspended.
    """
    tenant = find(tx)
    if tenant is None:
        raise NotFoundError("no such tenant", "see them all: pay-ready tenants list", tenant=slug)
    if tenant.status != "active":
        raise DeniedError("the tenant is suspended", f"wake it: pay-ready tenants suspend {slug} --undo", tenant=slug)
    return tenant


def change_settings(tx: TenantTransaction, settings: Mapping[str, Any], *, actor: str, reason: str | None) -> int:
    """Close the current settings and open a new version; its number."""
    before = _hash_of(find(tx))
    tx.execute("tenants.close_settings")
    tx.execute("tenants.add_settings", {"settings": Jsonb(settings), "made_by": actor})
    tenant = find(tx)
    audit(
        tx, actor=actor, action="tenant.settings_changed", subject_kind="tenant", subject_id=str(tx.tenant), reason=reason,
        before_hash=before, after_hash=_hash_of(tenant),
    )  # fmt: skip
    return tenant.settings_version if tenant else 0


def set_suspended(tx: TenantTransaction, suspended: bool, *, actor: str, reason: str | None) -> bool:
    """Suspend or wake the tenant; False when it already was so."""
    before = _hash_of(find(tx))
    changed = tx.execute("tenants.set_suspended", {"suspended": suspended}) > 0
    if changed:
        action = "tenant.suspended" if suspended else "tenant.resumed"
        audit(
            tx, actor=actor, action=action, subject_kind="tenant", subject_id=str(tx.tenant), reason=reason,
            before_hash=before, after_hash=_hash_of(find(tx)),
        )  # fmt: skip
    return changed


def audit(
    tx: TenantTransaction,
    *,
    actor: str,
    action: str,
    subject_kind: str,
    subject_id: str,
    reason: str | None = None,
    run_id: UUID | None = None,
    before_hash: bytes | None = None,
    after_hash: bytes | None = None,
) -> None:
    """Append to the tenant's audit chain; `subject_id` is an id, never a personal value."""
    tx.execute("tenants.audit", {
        "actor": actor, "action": action, "subject_kind": subject_kind, "subject_id": subject_id,
        "reason": reason, "run_id": run_id, "before_hash": before_hash, "after_hash": after_hash,
    })  # fmt: skip


def state_hash(state: Mapping[str, Any]) -> bytes:
    """sha256 of a state as JSON with its keys in order: what the audit keeps of it in place of its values."""
    return hashlib.sha256(json.dumps(state, sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode()).digest()


def _hash_of(tenant: Tenant | None) -> bytes | None:
    if tenant is None:
        return None
    return state_hash({"slug": tenant.slug, "name": tenant.name, "status": tenant.status, "settings": tenant.settings})


def next_number(tx: TenantTransaction, counter: str, count: int = 1) -> int:
    """The first of `count` numbers; the counter stays locked until the commit, so numbers appear in commit order."""
    return int(tx.value("tenants.next_number", {"counter": counter, "count": count})) - count + 1
