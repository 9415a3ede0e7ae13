"""Checkpoints: names for states of a tenant to which a rollback can return, and the runs behind them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from pay_ready.db.tenancy import TenantTransaction
from pay_ready.errors import NotFoundError
from pay_ready.model.ids import new_id

_NAMED = 12  # checkpoints that an error names


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """A state of a tenant: what a run published."""

    checkpoint_id: UUID
    name: str
    run_no: int
    digest: bytes
    kind: Literal["automatic", "named"]
    pinned: bool
    made_by: str | None
    note: str | None
    created_at: datetime
    run_kind: str
    published_at: datetime
    state_digest: bytes | None  # as the run kept it; None for runs from before digests were kept
    is_referenced: bool  # by a rollback in force: where it went, or where it came from


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A published version: what it was made with, and its digest."""

    run_no: int
    run_id: UUID
    kind: str
    actor: str
    config_hash: bytes
    settings_version: int | None
    person_model_id: UUID | None
    company_model_id: UUID | None
    edges_fit: bool
    equals_run_no: int | None
    report: Mapping[str, Any]
    state_digest: bytes | None
    published_at: datetime

    @property
    def models(self) -> tuple[UUID | None, UUID | None]:
        """Of people and of companies."""
        return self.person_model_id, self.company_model_id


def checkpoints(tx: TenantTransaction, most: int = 1_000_000) -> list[Checkpoint]:
    """The newest first."""
    return [Checkpoint(**row._asdict()) for row in tx.rows("checkpoints.list", {"most": most})]


def checkpoint(tx: TenantTransaction, asked: str) -> Checkpoint:
    """The checkpoint of a name or an id.

    Raises:
        NotFoundError: There is none; names the newest.
    """
    row = tx.row("checkpoints.find", {"asked": asked})
    if row is None:
        names = [each.name for each in tx.rows("checkpoints.names", {"most": _NAMED})]
        hint = f"one of: {', '.join(names)}" if names else "none was made yet: pay-ready checkpoint create NAME -t TENANT"
        raise NotFoundError("no such checkpoint", hint, checkpoint=asked)
    return Checkpoint(**row._asdict())


def add_checkpoint(
    tx: TenantTransaction, *, name: str, run_no: int, digest: bytes, pinned: bool, made_by: str, note: str | None
) -> UUID | None:
    """Name the state of a run by hand; None when the name is taken."""
    checkpoint_id = new_id()
    added = tx.execute("checkpoints.add", {
        "checkpoint_id": checkpoint_id, "name": name, "run_no": run_no, "digest": digest, "pinned": pinned, "made_by": made_by,
        "note": note,
    })  # fmt: skip
    return checkpoint_id if added else None


def set_pinned(tx: TenantTransaction, checkpoint_id: UUID, pinned: bool) -> bool:
    """Pin a checkpoint or let it loose; False when it already was so."""
    return tx.execute("checkpoints.set_pinned", {"checkpoint_id": checkpoint_id, "pinned": pinned}) > 0


def drop_checkpoints(tx: TenantTransaction, checkpoint_ids: Sequence[UUID]) -> int:
    """Forget names; what they named stays in the history of the rows."""
    return tx.execute("checkpoints.drop", {"checkpoint_ids": list(checkpoint_ids)})


def outlived(tx: TenantTransaction, keep_count: int, keep_days: float) -> dict[UUID, str]:
    """The checkpoints that retention lets go, with their names."""
    rows = tx.rows("checkpoints.outlived", {"keep_count": keep_count, "keep_days": keep_days})
    return {row.checkpoint_id: row.name for row in rows}


def run(tx: TenantTransaction, run_no: int) -> Run:
    """A published version.

    Raises:
        NotFoundError: There is no such run.
    """
    row = tx.row("checkpoints.run", {"run_no": run_no})
    if row is None:
        raise NotFoundError("no such run", "see them: pay-ready checkpoint list -t TENANT", run_no=run_no)
    return Run(**row._asdict())


def edges_written_for(tx: TenantTransaction) -> tuple[UUID | None, UUID | None]:
    """The models of people and of companies that the kept edges are of."""
    row = tx.row("checkpoints.edges_written_for")
    return (row.person_model_id, row.company_model_id) if row is not None else (None, None)


def settings_at(tx: TenantTransaction, version: int) -> Mapping[str, Any] | None:
    """The tenant's settings of a version; None when there is none."""
    row = tx.row("checkpoints.settings_at", {"version": version})
    return None if row is None else dict(row.settings)
