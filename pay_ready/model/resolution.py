"""Values of resolution: what decides, what a published entity looks like, what a run did."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

EntityType = Literal["person", "company"]
ENTITY_TYPES: tuple[EntityType, ...] = ("company", "person")  # companies resolve first

Criterion = Literal["valid", "source_order", "recent", "frequent", "longest"]
ChangeKind = Literal["created", "merged", "split", "changed", "retired"]
Refresh = Literal["on_drift", "by_hand"]
RunKind = Literal["resolve", "refresh", "rollback", "undo", "decision", "erasure"]
Reads = Literal["auto", "changed", "all"]  # what a run reads: what changed, every record, or what costs less


@dataclass(frozen=True, slots=True, kw_only=True)
class EntityRules:
    """Configuration of one entity type."""

    threshold_millibits: int | None  # evidence from which a pair matches; None lets it set itself
    review_millibits: int  # so much below the threshold a pair is still kept, for review
    max_block_sizes: Mapping[str, int]  # kind of key -> records; a larger block is not compared whole, and reported
    survivorship: Mapping[str, tuple[Criterion, ...]]  # golden field -> criteria, the first that tells two values apart decides


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolutionConfig:
    """Everything that decides about a tenant's people and companies, beside what is learnt from them."""

    name_threshold: float  # similarity 0-100 from which two person names agree
    company_threshold: float  # the same for company names
    email_validation: bool  # on: an address without a plausible form is no evidence
    refresh: Refresh  # when a model is trained anew
    refresh_growth: float  # times more or fewer records than the model was trained on
    source_order: tuple[str, ...]  # names or kinds of sources, most trusted first; others follow
    person: EntityRules
    company: EntityRules
    free_mail_domains: frozenset[str]
    role_local_parts: frozenset[str]
    nicknames: tuple[frozenset[str], ...]  # groups of given names that one person may use
    settings_hash: bytes  # sha256 of what a model depends on
    config_hash: bytes  # sha256 of all of it

    def rules(self, entity_type: EntityType) -> EntityRules:
        """The rules of one entity type."""
        return self.person if entity_type == "person" else self.company


@dataclass(frozen=True, slots=True, kw_only=True)
class PairDecision:
    """What a reviewer said of two records; a human's word goes before an agent's."""

    left_id: UUID
    right_id: UUID
    verdict: Literal["match", "no_match"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CappedBlock:
    """Blocks of one rule that were too large to compare, and what that cost."""

    entity_type: EntityType
    rule: str
    blocks: int
    records: int
    pairs: int  # not compared by this rule; other rules may still compare them


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownEntity:
    """An id that was given once."""

    entity_id: UUID
    anchor_record_id: UUID
    minted_run_no: int
    retired_run_no: int | None = None  # None while it is live


@dataclass(frozen=True, slots=True, kw_only=True)
class EntityChange:
    """One line of the change feed, without its number."""

    change: ChangeKind
    entity_type: EntityType
    entity_id: UUID
    other_entity_id: UUID | None = None
    before_hash: bytes | None = None
    after_hash: bytes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TypeFigures:
    """What a run did to one entity type."""

    records: int = 0
    candidate_pairs: int = 0
    edges: int = 0
    entities: int = 0
    predicted_precision: float = 1.0  # of pairs in one entity
    predicted_recall: float = 1.0  # of the matches among the candidate pairs
    threshold_bits: float = 0.0
    changes: Mapping[ChangeKind, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolveReport:
    """What a resolution run found and published; `run_no` is None when nothing changed and nothing was published."""

    run_no: int | None
    kind: RunKind
    reads: Literal["all", "changed"]  # every record, or what changed and whom it touches
    changed_records: int | None  # that came, changed or went; None where every record was read
    trained_because: tuple[str, ...]  # why this run trained the models; empty when it used those there were
    drift: tuple[str, ...]  # why the models that it used should be trained anew
    refreshed: "ResolveReport | None"  # the refresh that followed by itself
    people: TypeFigures
    companies: TypeFigures
    interactions_linked: int  # links between interactions and entities opened by this run
    interactions_unlinked: int
    capped_blocks: tuple[CappedBlock, ...]
    ignored_decisions: int  # contradicted by an earlier one
    seconds: Mapping[str, float]  # by phase

    def count(self, change: ChangeKind) -> int:
        """Entities of either type that went through this change."""
        return self.people.changes.get(change, 0) + self.companies.changes.get(change, 0)


class _Stored(BaseModel):
    """A JSON column of ours."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    schema_version: Literal[1] = 1


class GoldenField(BaseModel):
    """The value that survived, and all values (most frequent first, at most 20)."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    value: str
    values: Annotated[list[str], Field(max_length=20)]


class GoldenRecord(_Stored):
    """Column entity_versions.golden."""

    fields: dict[str, GoldenField]


class Provenance(_Stored):
    """Column entity_versions.provenance: the record that each surviving value came from."""

    fields: dict[str, UUID]


class ComparisonParameters(BaseModel):
    """What a model has learnt of one comparison; every list is by level, the first of them "null"."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    levels: list[str]
    matches: list[float]  # share among pairs that match
    chances: list[float]  # share among pairs drawn at random
    rarity_bits: list[float]  # log2 of the mean share of the values that agree by chance
    value_bits: float  # log2 of the factor by which the shares of few records' values are too small
    neighbours: dict[str, list[float]]  # what they have in common (an employer, a place) -> share among such pairs


class ModelParameters(BaseModel):
    """Column resolution_models.parameters, of models that are learnt. Version 1 held weights set by hand, and is used no more."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    schema_version: Literal[2] = 2
    entity_type: EntityType
    prior_bits: float
    threshold_millibits: int
    trained_records: int
    rounds: int
    training_pairs: int
    fallback: str | None
    settings_hash: str
    predicted_precision: float
    predicted_recall: float
    comparisons: dict[str, ComparisonParameters]


class PublishReport(BaseModel):
    """Column resolution_runs.report. Version 1 had no predictions, thresholds and reasons."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    schema_version: Literal[2] = 2
    people: dict[str, float]
    companies: dict[str, float]
    reasons: list[str]
    interactions_linked: int
    interactions_unlinked: int
    capped_blocks: list[dict[str, int | str]]
    ignored_decisions: int
