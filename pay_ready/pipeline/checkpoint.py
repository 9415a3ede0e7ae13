"""Checkpoints by hand: name a state, keep it, look at it, let it go; and retention of those that runs make by themselves."""

from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

from pay_ready.db import checkpoints as db_checkpoints
from pay_ready.db import resolution as db_resolution
from pay_ready.db import tenants
from pay_ready.db.checkpoints import Checkpoint, Run
from pay_ready.db.state import digest_at
from pay_ready.db.tenancy import Database, TenantTransaction
from pay_ready.errors import ConflictError, NotFoundError, UsageError
from pay_ready.model.ids import TenantId

_LONGEST_NAME = 100
_AUTOMATIC = "before-run-"


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A checkpoint with what its run published."""

    checkpoint: Checkpoint
    run: Run
    is_whole: bool | None  # whether the rows still give its digest; None where that was not asked


def create(
    database: Database, tenant: TenantId, name: str, *, pinned: bool = False, actor: str, note: str | None = None
) -> Checkpoint:  # fmt: skip
    """Name the published state.

    Raises:
        UsageError: The name is empty, too long, or one that runs give.
        NotFoundError: Nothing is published.
        ConflictError: The name is taken.
    """
    if not name.strip() or len(name) > _LONGEST_NAME or not name.isprintable():
        raise UsageError("no name for a checkpoint", f"give 1 to {_LONGEST_NAME} printable letters", name=name[:_LONGEST_NAME])
    if name.startswith(_AUTOMATIC):
        raise UsageError("runs name their own checkpoints like that", f"choose a name that does not begin with {_AUTOMATIC}", name=name)
    with database.tenant_transaction(tenant, work="batch") as tx:
        db_resolution.lock_publish(tx)
        standing = db_resolution.standing(tx)
        if not standing.run_no:
            raise NotFoundError("nothing is published yet: there is no state to name", "publish one: pay-ready resolve -t TENANT")
        digest = standing.state_digest or digest_at(tx, standing.run_no)
        added = db_checkpoints.add_checkpoint(
            tx, name=name, run_no=standing.run_no, digest=digest, pinned=pinned, made_by=actor, note=note
        )  # fmt: skip
        if added is None:
            raise ConflictError("the name is taken", f"look at it: pay-ready checkpoint show {name} -t TENANT", checkpoint=name)
        tenants.audit(
            tx, actor=actor, action="checkpoint.created", subject_kind="checkpoint", subject_id=str(added), reason=note, after_hash=digest
        )  # fmt: skip
        return db_checkpoints.checkpoint(tx, str(added))


def show(database: Database, tenant: TenantId, asked: str, *, check: bool = False) -> Shown:
    """A checkpoint by name or id; `check` works its digest out from the rows.

    Raises:
        NotFoundError: There is none; names the newest.
    """
    with database.tenant_transaction(tenant, work="batch") as tx:
        point = db_checkpoints.checkpoint(tx, asked)
        is_whole = digest_at(tx, point.run_no) == point.digest if check else None
        return Shown(checkpoint=point, run=db_checkpoints.run(tx, point.run_no), is_whole=is_whole)


def pin(database: Database, tenant: TenantId, asked: str, *, pinned: bool, actor: str) -> Checkpoint:
    """Keep a checkpoint from retention, or leave it to it again.

    Raises:
        NotFoundError: There is none; names the newest.
    """
    with database.tenant_transaction(tenant) as tx:
        point = db_checkpoints.checkpoint(tx, asked)
        if db_checkpoints.set_pinned(tx, point.checkpoint_id, pinned):
            action = "checkpoint.pinned" if pinned else "checkpoint.unpinned"
            tenants.audit(tx, actor=actor, action=action, subject_kind="checkpoint", subject_id=str(point.checkpoint_id))
        return db_checkpoints.checkpoint(tx, str(point.checkpoint_id))


def drop(database: Database, tenant: TenantId, asked: str, *, actor: str, reason: str | None = None) -> Checkpoint:
    """Forget a checkpoint; the rows that it named stay.

    Raises:
        NotFoundError: There is none; names the newest.
        ConflictError: It is pinned, or a rollback in force refers to it.
    """
    with database.tenant_transaction(tenant) as tx:
        point = db_checkpoints.checkpoint(tx, asked)
        if point.pinned:
            raise ConflictError(
                "the checkpoint is pinned", f"let it loose: pay-ready checkpoint pin {asked} --off -t TENANT", checkpoint=asked
            )
        if point.is_referenced:
            raise ConflictError("a rollback in force refers to the checkpoint", "resume or redo first", checkpoint=asked)
        db_checkpoints.drop_checkpoints(tx, [point.checkpoint_id])
        _audit_dropped(tx, {point.checkpoint_id: point.name}, actor, reason)
        return point


def prune(
    database: Database, tenant: TenantId, *, keep_count: int, keep_days: float, actor: str, dry_run: bool = False
) -> Mapping[UUID, str]:  # fmt: skip
    """Let go what retention does not keep; the names by id.

    Automatic checkpoints beyond the newest `keep_count`, and all that are older than `keep_days`. Never one that is pinned, that a
    rollback in force refers to, or that is the newest.
    """
    with database.tenant_transaction(tenant) as tx:
        gone = db_checkpoints.outlived(tx, keep_count, keep_days)
        if gone and not dry_run:
            db_checkpoints.drop_checkpoints(tx, list(gone))
            _audit_dropped(tx, gone, actor, f"retention: the newest {keep_count}, {keep_days:g} days")
        return gone


def _audit_dropped(tx: TenantTransaction, gone: Mapping[UUID, str], actor: str, reason: str | None) -> None:
    for checkpoint_id in gone:
        tenants.audit(
            tx, actor=actor, action="checkpoint.dropped", subject_kind="checkpoint", subject_id=str(checkpoint_id), reason=reason
        )  # fmt: skip
