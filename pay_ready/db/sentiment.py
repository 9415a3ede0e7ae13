"""How interactions sound: one row each, with the score of every sentence in the order they were said."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

from pay_ready.db.tenancy import TenantTransaction


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownSentiment:
    """An interaction as it was read."""

    interaction_id: UUID
    sentiment: float | None  # in [-1, 1]; None where nothing could be read
    content_hash: bytes  # of its sentences
    scores: tuple[float, ...]  # of each sentence
    labels: str  # a letter each: n, o or p


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Behind which interaction to go on."""

    occurred_at: datetime
    interaction_id: UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """How far the sentiment of a period's interactions lies apart."""

    start: date
    interactions: int
    p10: float
    p50: float
    p90: float


def unread(tx: TenantTransaction, model_name: str, after: Place | None, most: int) -> list[Place]:
    """Interactions that this model has not read, the latest first."""
    asked = {
        "model_name": model_name, "before_at": after.occurred_at if after else None, "before_id": after.interaction_id if after else None,
        "most": most,
    }  # fmt: skip
    return [Place(**row._asdict()) for row in tx.rows("sentiment.unread", asked)]


def count_unread(tx: TenantTransaction, model_name: str) -> int:
    """How many this model has not read."""
    return int(tx.value("sentiment.count_unread", {"model_name": model_name}))


def keep(tx: TenantTransaction, model_name: str, known: Sequence[KnownSentiment]) -> None:
    """Write what was read, in place of what was known before."""
    tx.execute("sentiment.keep", {
        "model_name": model_name, "interaction_ids": [each.interaction_id for each in known],
        "sentiments": [each.sentiment for each in known], "content_hashes": [each.content_hash for each in known],
        "sentence_scores": ["{" + ",".join(map(str, each.scores)) + "}" for each in known],
        "sentence_labels": [each.labels for each in known],
    })  # fmt: skip


def known(tx: TenantTransaction, model_name: str, interaction_ids: Sequence[UUID]) -> dict[UUID, KnownSentiment]:
    """What this model has read of interactions."""
    rows = tx.rows("sentiment.known", {"model_name": model_name, "interaction_ids": list(interaction_ids)})
    return {
        row.interaction_id: KnownSentiment(
            interaction_id=row.interaction_id, sentiment=row.sentiment, content_hash=row.content_hash, scores=tuple(row.sentence_scores),
            labels=row.sentence_labels,
        )
        for row in rows
    }  # fmt: skip


def forget(tx: TenantTransaction, interaction_ids: Sequence[UUID]) -> None:
    """Drop what was known of interactions that changed or are gone: they are read anew."""
    tx.execute("sentiment.forget", {"interaction_ids": list(interaction_ids)})


def drop_gone(tx: TenantTransaction) -> None:
    """Drop what was known of interactions that are no longer there."""
    tx.execute("sentiment.drop_gone")


def spread(tx: TenantTransaction, interaction_ids: Sequence[UUID], period: str, time_zone: str, week_start: int) -> list[Spread]:
    """Percentiles of the sentiment of interactions by day, week or month, computed in the database."""
    asked = {"interaction_ids": list(interaction_ids), "period": period, "time_zone": time_zone, "week_start": week_start}
    return [
        Spread(start=row.start, interactions=row.interactions, p10=row.percentiles[0], p50=row.percentiles[1], p90=row.percentiles[2])
        for row in tx.rows("sentiment.spread", asked)
    ]
