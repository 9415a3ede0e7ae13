"""What a database says of its own promises: how much was looked at, and what is off, by id."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from pay_ready.db.queries import load_queries
from pay_ready.db.state import digest_at
from pay_ready.db.tenancy import TenantTransaction
from pay_ready.model.resolution import EntityType

_MEMBER = np.dtype([("block", "<i8"), ("place", "<i8"), ("record", "S16")])
_STORED = np.dtype([("block", "<u8"), ("place", "<u8")])
Numbers = NDArray[np.uint64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """What one look found."""

    checked: int = 0
    wrong: int = 0
    offenders: tuple[str, ...] = ()  # ids of the first that are off; never a personal value
    pending: int = 0  # not as it will be after the next run, and no breach
    skipped: str = ""  # why nothing was looked at


@dataclass(frozen=True, slots=True, kw_only=True)
class Honoured:
    """A decision with the entities of its records now; it `waits` when the published version was made without it."""

    decision_id: UUID
    entity_type: EntityType
    left_id: UUID
    right_id: UUID
    verdict: str
    actor_type: str
    waits: bool
    is_current: bool
    left_entity_id: UUID | None
    right_entity_id: UUID | None


class Digest(NamedTuple):
    """What a run says of its state, and what its rows say."""

    run_no: int
    is_newest: bool
    kept: bytes
    found: bytes


def prefer_sets(tx: TenantTransaction) -> None:
    """Until the transaction ends: read whole tables, by hash joins."""
    tx.row("verify.prefer_sets")


def look(tx: TenantTransaction, statement: str, *, most: int, deep: bool) -> Counted:
    """One statement of `sql/queries/verify.sql` or `references.sql`, with the ids of at most so many offenders."""
    row: Any = tx.row(statement, {"most": most, "deep": deep})
    return Counted(checked=row.checked, wrong=row.wrong, offenders=tuple(row.offenders), pending=row.pending)


def reference_statements() -> Sequence[str]:
    """The statements that look for references which lead nowhere, one a table."""
    return [name for name in load_queries() if name.startswith("references.")]


def honoured_decisions(tx: TenantTransaction) -> list[Honoured]:
    """What holds of each pair, and what waits."""
    return [Honoured(**row._asdict()) for row in tx.rows("verify.honoured_decisions")]


def digests(tx: TenantTransaction, *, deep: bool) -> list[Digest]:
    """Of the newest run, and when deep of every run that a checkpoint names, worked out from the rows."""
    found = tx.rows("verify.digests", {"deep": deep})
    return [Digest(row.run_no, place == 0, bytes(row.state_digest), digest_at(tx, row.run_no)) for place, row in enumerate(found)]


def waiting_interactions(tx: TenantTransaction) -> set[UUID]:
    """Those that a vector store beside Postgres has yet to hear of."""
    return {row.interaction_id for row in tx.rows("verify.waiting_interactions")}


def blocks(tx: TenantTransaction, *, most: int) -> Counted:
    """Whether what each record says of its blocks is what the blocks say of their members."""
    says, by = _said_by_records(tx)
    members = tx.copy_out("verify.block_members", {}, _MEMBER)
    halves = _halves(members["record"])
    told = _mixed(members["block"].astype(np.uint64), members["place"].astype(np.uint64), halves)
    del members
    wrong: set[UUID] = set()
    if not np.array_equal(np.sort(says), np.sort(told)):
        astray = np.concatenate((by[~np.isin(says, told)], halves[~np.isin(told, says)]))
        wrong = {UUID(int=(high << 64) + low) for high, low in astray.tolist()}
    return Counted(checked=len(says), wrong=len(wrong), offenders=tuple(sorted(map(str, wrong))[:most]))


def _said_by_records(tx: TenantTransaction) -> tuple[Numbers, Numbers]:
    """Of each place in a block that a record names: the number that stands for all three, and the record as two halves."""
    numbers: list[Numbers] = [np.empty(0, dtype=np.uint64)]
    records: list[Numbers] = [np.empty((0, 2), dtype=np.uint64)]
    for row in tx.rows("verify.block_sizes"):
        fields = np.dtype([("record", "S16"), ("blocks", f"S{row.size_bytes}")])
        page = tx.copy_out("verify.record_blocks", {"size_bytes": row.size_bytes}, fields)
        stored = np.frombuffer(np.ascontiguousarray(page["blocks"]).tobytes(), dtype=_STORED)
        of_record = np.repeat(_halves(page["record"]), row.size_bytes // _STORED.itemsize, axis=0)
        numbers.append(_mixed(stored["block"], stored["place"], of_record))
        records.append(of_record)
    return np.concatenate(numbers), np.concatenate(records)


def _halves(records: NDArray[np.bytes_]) -> Numbers:
    return np.frombuffer(np.ascontiguousarray(records).tobytes(), dtype=">u8").reshape(-1, 2).astype(np.uint64)


def _mixed(block: Numbers, place: Numbers, halves: Numbers) -> Numbers:
    """One number for block, place and record: two that differ are taken for one once in 2^64."""
    mixed = np.zeros(len(block), dtype=np.uint64)
    for part in (block, place, halves[:, 0], halves[:, 1]):
        mixed = _scattered(mixed + part)
    return mixed


def _scattered(numbers: Numbers) -> Numbers:
    """The finaliser of SplitMix64 (Steele, Lea and Flood 2014), modulo 2^64."""
    scattered = numbers + np.uint64(11_400_714_819_323_198_485)
    scattered = (scattered ^ (scattered >> np.uint64(30))) * np.uint64(13_787_848_793_156_543_929)
    scattered = (scattered ^ (scattered >> np.uint64(27))) * np.uint64(10_723_151_780_598_845_931)
    return scattered ^ (scattered >> np.uint64(31))
