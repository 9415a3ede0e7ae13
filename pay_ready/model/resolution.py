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


@dataclass(frozen=True, slots=True, kw_only=True)
class LevelWeight:
    """Evidence of one comparison level, in thousandths of a bit.

    With `by_rarity` the evidence is log2(records / records that share the value), at most `ceiling_millibits`, plus `millibits`;
    otherwise it is `millibits` alone.
    """

    millibits: int
    by_rarity: bool = False
    ceiling_millibits: int = 24_000


@dataclass(frozen=True, slots=True, kw_only=True)
class MatchModel:
    """What decides about the pairs of one entity type: Fellegi-Sunter weights by comparison and level, and the threshold."""

    entity_type: EntityType
    prior_millibits: int  # log2 of the odds that two records drawn at random match
    threshold_millibits: int  # from here on a pair is a match, when the rules allow it
    review_millibits: int  # from here on a pair is kept as an edge
    weights: Mapping[str, Mapping[str, LevelWeight]]  # comparison -> level


@dataclass(frozen=True, slots=True, kw_only=True)
class EntityRules:
    """Configuration of one entity type."""

    threshold_bits: float
    review_bits: float
    weights: Mapping[str, Mapping[str, LevelWeight]]
    max_block_sizes: Mapping[str, int]  # blocking rule -> records; a larger block is left out and reported
    survivorship: Mapping[str, tuple[Criterion, ...]]  # golden field -> criteria, the first that tells two values apart decides


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolutionConfig:
    """Everything that decides about a tenant's people and companies; `config_hash` is sha256 of the canonical values."""

    name_threshold: float  # similarity 0-100 from which two person names agree
    company_threshold: float  # the same for company names
    email_validation: bool  # on: an address without a plausible form is no evidence
    source_order: tuple[str, ...]  # names or kinds of sources, most trusted first; others follow
    person: EntityRules
    company: EntityRules
    free_mail_domains: frozenset[str]
    role_local_parts: frozenset[str]
    nicknames: tuple[frozenset[str], ...]  # groups of given names that one person may use
    config_hash: bytes

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
    changes: Mapping[ChangeKind, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolveReport:
    """What a resolution run found and published; `run_no` is None when nothing changed and nothing was published."""

    run_no: int | None
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


class EdgeLevels(_Stored):
    """Column edges.levels: the level that each comparison reached and its bits; never the values compared."""

    levels: dict[str, str]
    millibits: dict[str, int]


class ModelParameters(_Stored):
    """Column resolution_models.parameters; `weights` is comparison -> level -> [millibits, by rarity, ceiling]."""

    entity_type: EntityType
    prior_millibits: int
    threshold_millibits: int
    review_millibits: int
    weights: dict[str, dict[str, tuple[int, bool, int]]]


class PublishReport(_Stored):
    """Column resolution_runs.report."""

    people: dict[str, int]
    companies: dict[str, int]
    interactions_linked: int
    interactions_unlinked: int
    capped_blocks: list[dict[str, int | str]]
    ignored_decisions: int
