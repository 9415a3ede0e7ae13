"""Whose vectors a tenant has: one embedder serves its searches, another may be on its way."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from pay_ready.db import memories
from pay_ready.db.tenancy import TenantTransaction
from pay_ready.db.vector_tables import embedder_tag
from pay_ready.db.vectors import vector_table


@dataclass(frozen=True, slots=True, kw_only=True)
class TenantEmbedder:
    """An embedder of a tenant."""

    embedder_tag: str
    embedder_id: str
    dimensions: int
    state: Literal["building", "serving"]
    is_indexed: bool  # so many vectors that the index of nearest ones is asked
    begun_at: datetime
    served_at: datetime | None


def embedders(tx: TenantTransaction) -> list[TenantEmbedder]:
    """All of the tenant's, the serving one first."""
    return [TenantEmbedder(**row._asdict()) for row in tx.rows("embedders.all")]


def serving(tx: TenantTransaction) -> TenantEmbedder | None:
    """The one whose vectors are searched."""
    return next((each for each in embedders(tx) if each.state == "serving"), None)


def begin(tx: TenantTransaction, embedder_id: str, dimensions: int) -> TenantEmbedder:
    """The tenant's entry of an embedder: made where it is not there; the first one serves at once."""
    tag = embedder_tag(embedder_id)
    tx.execute("embedders.begin", {"embedder_tag": tag, "embedder_id": embedder_id, "dimensions": dimensions})
    return next(each for each in embedders(tx) if each.embedder_tag == tag)


def serve(tx: TenantTransaction, tag: str) -> None:
    """From this transaction on searches use this embedder's vectors."""
    tx.execute("embedders.stand_back")
    tx.execute("embedders.serve", {"embedder_tag": tag})


def retire(tx: TenantTransaction, tag: str) -> None:
    """Forget an embedder that serves no more; its vectors are dropped by whoever calls."""
    tx.execute("embedders.retire", {"embedder_tag": tag})


def mark_indexed(tx: TenantTransaction, tag: str, is_indexed: bool) -> None:
    """Searches ask the index of nearest ones from now on, or read."""
    tx.execute("embedders.mark_indexed", {"embedder_tag": tag, "is_indexed": is_indexed})


def is_up_to_date(tx: TenantTransaction) -> bool:
    """Whether nothing waits for the step `index`: no change, no passage without a vector, nothing that the outer store has yet to hear."""
    waiting = memories.waiting(tx)
    if waiting.changes or waiting.interactions:
        return False
    entries = embedders(tx)
    if not entries:
        return not int(tx.value("memories.count_passages"))
    return all(
        each.state == "serving" and not vector_table(tx, each.embedder_tag, each.dimensions).count_missing(tx) for each in entries
    )  # fmt: skip
