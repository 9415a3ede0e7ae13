"""Answers that are kept until what they rest on changes. Each function is one statement."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from psycopg.types.json import Jsonb

from pay_ready.db.memories import Epoch
from pay_ready.db.tenancy import TenantTransaction

_SEEN: Final = 20_000  # of the latest events of the audit, to find what is asked about most


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """The word of one process that it computes an answer: who waits need not."""

    name: str
    claimed_by: UUID


def give(tx: TenantTransaction, name: str) -> Mapping[str, Any] | None:
    """A kept answer that holds still."""
    row = tx.row("answers.give", {"metric_name": name})
    return None if row is None else row.metric_value


def claim(tx: TenantTransaction, wanted: Claim, epoch: Epoch, asked: Mapping[str, Any] | None, claim_s: float) -> bool:
    """Whether it is ours to compute.

    Args:
        wanted: Name of the answer, and an id of whoever would compute it.
        epoch: What it will rest on.
        asked: Tool and scope by ids, with a schema_version: to be asked again after a publish; None: it will not.
        claim_s: How long others wait for it at most.
    """
    row = tx.row("answers.claim", {
        "metric_name": wanted.name, "claimed_by": wanted.claimed_by, "run_no": epoch.run_no, "outbox_seq": epoch.outbox_seq,
        "asked": None if asked is None else Jsonb(asked), "claim_s": claim_s,
    })  # fmt: skip
    return row is not None


def keep(tx: TenantTransaction, claimed: Claim, value: Mapping[str, Any], ttl_s: float) -> None:
    """Keep what was computed. Where the claim is gone it is not kept: an erasure may have come between."""
    asked = {"metric_name": claimed.name, "claimed_by": claimed.claimed_by, "metric_value": Jsonb(value), "ttl_s": ttl_s}
    tx.execute("answers.keep", asked)


def give_up(tx: TenantTransaction, claimed: Claim) -> None:
    """Let others compute it."""
    tx.execute("answers.give_up", {"metric_name": claimed.name, "claimed_by": claimed.claimed_by})


def drop(tx: TenantTransaction, name: str) -> None:
    """Drop one."""
    tx.execute("answers.drop", {"metric_name": name})


def former(tx: TenantTransaction, epoch: Epoch, most: int) -> list[Mapping[str, Any]]:
    """What was asked of versions before this one: about those first that the audit names most often."""
    rows = tx.rows("answers.former", {"run_no": epoch.run_no, "outbox_seq": epoch.outbox_seq, "seen": _SEEN, "most": most})
    return [row.asked for row in rows]


def accounts(tx: TenantTransaction, most: int) -> list[UUID]:
    """People and companies that are asked about most."""
    return [row.entity_id for row in tx.rows("answers.accounts", {"seen": _SEEN, "most": most})]


def drop_former(tx: TenantTransaction, epoch: Epoch) -> None:
    """Drop answers that rest on another version than this one, and those whose time is over."""
    tx.execute("answers.drop_former", {"run_no": epoch.run_no, "outbox_seq": epoch.outbox_seq})


def drop_all(tx: TenantTransaction) -> None:
    """Drop every answer: what they rest on was computed anew."""
    tx.execute("answers.drop_all")
