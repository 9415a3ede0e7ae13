"""Values of review: what is said of two records, by whom, and what it rests on."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from pay_ready.model.resolution import EntityType

Verdict = Literal["match", "no_match", "unsure"]
ActorType = Literal["human", "agent"]
Status = Literal["open", "decided", "escalated", "appealed"]
Risk = Literal["low", "medium", "high"]

IN_FORCE: tuple[Status, ...] = ("decided", "appealed")  # what runs honour; an appealed word holds until there is a new one
GOLD = "gold"  # context of an answer that measures agreement: closed on arrival


@dataclass(frozen=True, slots=True, order=True)
class Pair:
    """Two records of one type, the lower id first."""

    entity_type: EntityType
    left_id: UUID
    right_id: UUID

    @classmethod
    def of(cls, entity_type: EntityType, one: UUID, other: UUID) -> Self:
        """The pair of two records in either order."""
        return cls(entity_type, min(one, other), max(one, other))


class DecisionEvidence(BaseModel):
    """Column decisions.evidence: what an automatic verdict rests on. Levels and bits, never the values compared."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    schema_version: Literal[1] = 1
    levels: dict[str, str]  # comparison -> level
    bits: dict[str, float]  # comparison -> evidence
    total_bits: float
    threshold_bits: float
    stake: float  # what a wrong answer would join or part (`review_value.stake`)
    reasons: list[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class NewDecision:
    """What somebody says of two records."""

    pair: Pair
    verdict: Verdict
    actor: str
    actor_type: ActorType = "human"
    reason: str | None = None
    context: str = "review"
    risk: Risk | None = None
    evidence: DecisionEvidence | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What somebody said of two records, as it is kept."""

    decision_id: UUID
    entity_type: EntityType
    left_id: UUID
    right_id: UUID
    verdict: Verdict
    actor_type: ActorType
    actor: str
    reason: str | None
    context: str
    entity_id: UUID | None  # of the left record, at the time
    status: Status
    made_at: datetime
    superseded_at: datetime | None  # None while it is the current one
    match_weight_millibits: int | None  # what the model gave the pair then
    model_id: UUID | None
    run_no: int | None  # the version that was published then
    risk: Risk | None
    evidence: DecisionEvidence | None

    @property
    def pair(self) -> Pair:
        """Of which records."""
        return Pair(self.entity_type, self.left_id, self.right_id)

    @property
    def is_in_force(self) -> bool:
        """Whether runs honour it, an agent's as far as no human's stands before it."""
        return self.superseded_at is None and self.status in IN_FORCE and self.verdict != "unsure"
