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
_PAGE = 50_000  # records
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


def blocks(tx: TenantTransaction, *, most: int) -> Counted:
    """Whether what each record says of its blocks is what the blocks say of their members."""
    says, of_record = _said_by_records(tx)
    members = tx.copy_out("verify.block_members", {}, _MEMBER)
    halves = _halves(members["record"])
    told = _mixed(members["block"].astype(np.uint64), members["place"].astype(np.uint64), halves)
    lost, foreign = ~np.isin(says, told), ~np.isin(told, says)
    wrong = {UUID(bytes=bytes(each)) for each in of_record[lost]} | {UUID(bytes=bytes(each)) for each in _bytes_of(halves[foreign])}
    return Counted(checked=len(says), wrong=len(wrong), offenders=tuple(sorted(map(str, wrong))[:most]))


def _said_by_records(tx: TenantTransaction) -> tuple[Numbers, NDArray[np.uint8]]:
    """Of each place in a block that a record names: the number that stands for all three, and the record as 16 bytes."""
    numbers: list[Numbers] = [np.empty(0, dtype=np.uint64)]
    records: list[NDArray[np.uint8]] = [np.empty((0, 16), dtype=np.uint8)]
    for page in tx.stream("verify.record_blocks", page=_PAGE):
        held = [len(row.blocks) // _STORED.itemsize for row in page]
        stored = np.frombuffer(b"".join(row.blocks for row in page), dtype=_STORED)
        ids = np.frombuffer(b"".join(row.record_id.bytes for row in page), dtype=np.uint8).reshape(-1, 16)
        of_record = np.repeat(ids, held, axis=0)
        numbers.append(_mixed(stored["block"], stored["place"], of_record.view(">u8").astype(np.uint64)))
        records.append(of_record)
    return np.concatenate(numbers), np.concatenate(records)


def _halves(records: NDArray[np.bytes_]) -> NDArray[np.uint64]:
    return np.frombuffer(np.ascontiguousarray(records).tobytes(), dtype=">u8").reshape(-1, 2).astype(np.uint64)


def _bytes_of(halves: NDArray[np.uint64]) -> NDArray[np.uint8]:
    return np.ascontiguousarray(halves.astype(">u8")).view(np.uint8).reshape(-1, 16)


def _mixed(block: Numbers, place: Numbers, halves: NDArray[np.uint64]) -> Numbers:
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
