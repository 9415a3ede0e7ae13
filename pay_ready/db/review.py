"""What waits for reviewers, who has which pair before him, and the figures about what was said."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from pay_ready.db.tenancy import TenantTransaction
from pay_ready.model.resolution import ENTITY_TYPES, EntityType
from pay_ready.model.review import ActorType, Pair, Risk, Status, Verdict

_LOOKED = 1_000  # pairs on either side of even odds, of each type
_WALKED = 5_000  # links from the threshold up, among which those of two clusters are looked for


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelHead:
    """A model in use, without what it learnt."""

    model_id: UUID
    version: int
    threshold_millibits: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A pair that may be asked about."""

    pair: Pair
    why: Literal["open", "escalated", "appealed", "torn", "doubtful", "gold"]
    weight_millibits: int | None
    left_entity: UUID | None
    right_entity: UUID | None


@dataclass(frozen=True, slots=True, kw_only=True)
class EntitySize:
    """How much there is of an entity."""

    entity_id: UUID
    name: str | None
    records: int
    interactions: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """Who has a pair before him, and until when."""

    actor: str
    leased_until: datetime
    is_gold: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class WordCount:
    """How many current words there are of a kind."""

    actor_type: ActorType
    actor: str
    status: Status
    verdict: Verdict
    decisions: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentWord:
    """What the automatic reviewer and a human say of one pair."""

    actor: str
    risk: Risk | None
    agent_verdict: Verdict
    human_verdict: Verdict
    agent_status: Status


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgedLink:
    """What a reviewer said of a pair that the model of the time took for a match."""

    entity_type: EntityType
    run_no: int | None
    model_id: UUID
    version: int
    verdict: Verdict
    match_weight_millibits: int
    threshold_millibits: int


def models(tx: TenantTransaction) -> dict[EntityType, ModelHead]:
    """The models in use; none before the first version."""
    rows = tx.rows("review.models")
    return {
        row.entity_type: ModelHead(model_id=row.model_id, version=row.version, threshold_millibits=row.threshold_millibits)
        for row in rows
        if row.threshold_millibits is not None
    }


def undecided(
    tx: TenantTransaction, actor: str, entity_type: EntityType | None, review_millibits: Mapping[EntityType, int], *, looked: int = _LOOKED
) -> list[Asked]:
    """Pairs that nobody decided: those nearest to even odds up to the upper end of the review band, and those that evidence and clusters
    judge differently. No more than `looked` of each are read, whatever the size of the tenant.
    """
    found: dict[Pair, Asked] = {}
    for each, model in models(tx).items():
        if entity_type not in (each, None):
            continue
        asked = {"entity_type": each, "model_id": model.model_id, "actor": actor, "most": looked}
        highest = model.threshold_millibits + review_millibits[each]
        torn = tx.rows("review.torn", {**asked, "threshold": model.threshold_millibits, "walked": _WALKED})
        near = tx.rows("review.doubtful", {**asked, "highest": highest})
        found |= {(one := _asked(each, row, "doubtful")).pair: one for row in near}
        found |= {(one := _asked(each, row, "torn")).pair: one for row in torn}
    return list(found.values())


def settled(tx: TenantTransaction, entity_type: EntityType | None) -> set[tuple[UUID, UUID]]:
    """Pairs of entities, the lower id first, between which somebody decided already."""
    return {(row.left_entity, row.right_entity) for row in tx.rows("review.settled", {"entity_type": entity_type})}


def waiting(tx: TenantTransaction, actor: str, entity_type: EntityType | None, most: int) -> list[Asked]:
    """Pairs on which another human's word waits for this reviewer, oldest first."""
    rows = tx.rows("review.waiting", {"actor": actor, "entity_type": entity_type, "most": most})
    return [_asked(row.entity_type, row, row.status) for row in rows]


def gold(tx: TenantTransaction, actor: str, entity_type: EntityType | None, most: int) -> list[Asked]:
    """Pairs that are decided by agreement, to be asked once more."""
    rows = tx.rows("review.gold", {"actor": actor, "entity_type": entity_type, "most": most})
    return [_asked(row.entity_type, row, "gold") for row in rows]


def _asked(entity_type: EntityType, row: Any, why: Literal["open", "escalated", "appealed", "torn", "doubtful", "gold"]) -> Asked:
    return Asked(
        pair=Pair(entity_type, row.left_id, row.right_id), why=why, weight_millibits=row.match_weight_millibits,
        left_entity=row.left_entity, right_entity=row.right_entity,
    )  # fmt: skip


def answers_of(tx: TenantTransaction, actor: str) -> tuple[int, int]:
    """How often a reviewer answered, and how often about pairs that were decided already."""
    row: Any = tx.row("review.answers_of", {"actor": actor})
    return row.answers, row.gold_answers


def entity_sizes(tx: TenantTransaction, entities: Iterable[UUID | None]) -> dict[UUID, EntitySize]:
    """Name and size of current entities."""
    rows = tx.rows("review.entity_sizes", {"entity_ids": list({each for each in entities if each})})
    return {
        row.entity_id: EntitySize(entity_id=row.entity_id, name=row.name, records=row.record_count, interactions=row.interactions)
        for row in rows
    }


def take(tx: TenantTransaction, pair: Pair, actor: str, seconds: float, *, is_gold: bool = False) -> datetime | None:
    """Give a pair to a reviewer; until when, or None while somebody else has it. The database's clock decides."""
    row = tx.row("review.lease", {**_of(pair), "actor": actor, "seconds": seconds, "is_gold": is_gold})
    return None if row is None else row.leased_until


def holder(tx: TenantTransaction, pair: Pair) -> Lease | None:
    """Who has a pair now."""
    row = tx.row("review.holder", _of(pair))
    return None if row is None else Lease(**row._asdict())


def release(tx: TenantTransaction, pair: Pair, actor: str) -> None:
    """Give a pair back."""
    tx.execute("review.release", {**_of(pair), "actor": actor})


def drop_expired(tx: TenantTransaction) -> None:
    """Forget leases that ran out long ago."""
    tx.execute("review.drop_expired")


def records_between(tx: TenantTransaction, low: UUID, high: UUID, most: int) -> list[tuple[EntityType, UUID]]:
    """Records whose ids lie in a range."""
    return [(row.entity_type, row.record_id) for row in tx.rows("review.records_between", {"low": low, "high": high, "most": most})]


def counts(tx: TenantTransaction) -> list[WordCount]:
    """How many current words there are, by who said them."""
    return [WordCount(**row._asdict()) for row in tx.rows("review.counts")]


def double_reviews(tx: TenantTransaction) -> list[tuple[str, str]]:
    """What the first and the second reviewer said, by pair."""
    return [(row.first_verdict, row.second_verdict) for row in tx.rows("review.double_reviews")]


def gold_answers(tx: TenantTransaction) -> dict[str, list[tuple[str, str]]]:
    """By reviewer: what he said of pairs that were decided, beside what holds of these."""
    found: dict[str, list[tuple[str, str]]] = {}
    for row in tx.rows("review.gold_answers"):
        found.setdefault(row.actor, []).append((row.verdict, row.decided))
    return found


def agent_and_humans(tx: TenantTransaction) -> list[AgentWord]:
    """Pairs on which both the automatic reviewer and a human have a word."""
    return [AgentWord(**row._asdict()) for row in tx.rows("review.agent_and_humans")]


def judged_links(tx: TenantTransaction) -> list[JudgedLink]:
    """What reviewers said of pairs that the model of the time took for matches."""
    return [JudgedLink(**row._asdict()) for row in tx.rows("review.judged_links")]


def links_by_band(tx: TenantTransaction, bands: Sequence[int]) -> dict[EntityType, tuple[ModelHead, dict[int, int]]]:
    """By type the model in use, and how many links it has by the number of the band (from 1) above its threshold."""
    found: dict[EntityType, tuple[ModelHead, dict[int, int]]] = {}
    for each, model in sorted(models(tx).items(), key=lambda item: ENTITY_TYPES.index(item[0])):
        asked = {"model_id": model.model_id, "threshold": model.threshold_millibits, "bands": list(bands)}
        found[each] = (model, {row.band: row.links for row in tx.rows("review.links_by_band", asked)})
    return found


def _of(pair: Pair) -> dict[str, object]:
    return {"entity_type": pair.entity_type, "left_id": pair.left_id, "right_id": pair.right_id}
