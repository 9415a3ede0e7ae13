"""From an Arrow table of one tenant's records of one entity type to edges and clusters. Every order of the rows gives the same."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pay_ready.model.resolution import CappedBlock, EntityType, MatchModel, PairDecision, ResolutionConfig
from pay_ready.resolve import rules
from pay_ready.resolve.blocking import candidate_pairs, company_block_keys, person_block_keys
from pay_ready.resolve.clusters import Clustering, Pair, cluster
from pay_ready.resolve.comparisons import COMPANY_LEVELS, PERSON_LEVELS, ComparedPairs, compare_companies, compare_people
from pay_ready.resolve.features import People, companies_of, in_id_order, people_of
from pay_ready.resolve.name_comparison import NameComparison, NameLevel
from pay_ready.resolve.weights import WeighedPairs, match_probability, shipped_model, weigh


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolution:
    """Who is who among the records of one entity type.

    `edges` has a row per pair from the review band up, sorted by pair: left_id and right_id (16 bytes), match_weight_millibits,
    is_match, and per comparison the level (`level_<name>`) and its evidence (`millibits_<name>`).
    """

    entity_type: EntityType
    model: MatchModel
    record_ids: list[UUID]  # ascending
    labels: NDArray[np.int64]  # by record: position of the first record of its cluster
    confidences: NDArray[np.float64]  # by record: match probability of its strongest link in the cluster; 1 when alone or decided
    edges: pa.Table
    candidate_pairs: int
    capped: tuple[CappedBlock, ...]
    ignored_decisions: int

    def clusters(self) -> list[list[UUID]]:
        """The record ids of every cluster, ascending, clusters by their first record."""
        members: dict[int, list[UUID]] = {}
        for record_id, label in zip(self.record_ids, self.labels.tolist(), strict=True):
            members.setdefault(label, []).append(record_id)
        return list(members.values())


def resolve_people(records: pa.Table, config: ResolutionConfig, decisions: Sequence[PairDecision] = ()) -> Resolution:
    """Resolve person records (`features.PERSON_COLUMNS`; company values are the record's own, never an entity's)."""
    people = people_of(in_id_order(records), config.role_local_parts, email_validation=config.email_validation)
    names = NameComparison(config.nicknames, config.name_threshold)
    model = shipped_model("person", config.person, len(people.record_ids))
    keys = person_block_keys(people, names)
    candidates = candidate_pairs(keys, len(people.record_ids), config.person.max_block_sizes, "person")
    pairs = compare_people(people, candidates, names, config.company_threshold)
    weighed = weigh(pairs, PERSON_LEVELS, model)
    match = rules.people_may_match(pairs) & (weighed.total >= model.threshold_millibits)
    must, cannot = _positions(people.record_ids, decisions)
    clustering = cluster(
        len(people.record_ids),
        pairs.left[match],
        pairs.right[match],
        weighed.total[match],
        must_link=must,
        cannot_link=cannot,
        may_chain=rules.is_own_address(pairs)[match],
        kinds=people.name.ids,
        incompatible=_incompatible_names(people, names),
    )
    return _resolution(people.record_ids, model, pairs, weighed, match, clustering, PERSON_LEVELS, must, candidates.capped)


def resolve_companies(records: pa.Table, config: ResolutionConfig, decisions: Sequence[PairDecision] = ()) -> Resolution:
    """Resolve company records (`features.COMPANY_COLUMNS`)."""
    companies = companies_of(in_id_order(records))
    model = shipped_model("company", config.company, len(companies.record_ids))
    keys = company_block_keys(companies)
    candidates = candidate_pairs(keys, len(companies.record_ids), config.company.max_block_sizes, "company")
    pairs = compare_companies(companies, candidates, config.company_threshold)
    weighed = weigh(pairs, COMPANY_LEVELS, model)
    match = rules.companies_may_match(pairs) & (weighed.total >= model.threshold_millibits)
    must, cannot = _positions(companies.record_ids, decisions)
    links = (pairs.left[match], pairs.right[match], weighed.total[match])
    clustering = cluster(len(companies.record_ids), *links, must_link=must, cannot_link=cannot)
    return _resolution(companies.record_ids, model, pairs, weighed, match, clustering, COMPANY_LEVELS, must, candidates.capped)


def _positions(record_ids: Sequence[UUID], decisions: Sequence[PairDecision]) -> tuple[list[Pair], list[Pair]]:
    """Must-links and cannot-links as rows, by pair; a decision about a record that is not there says nothing now."""
    row_of = {record_id: row for row, record_id in enumerate(record_ids)}
    known = sorted(
        (row_of[each.left_id], row_of[each.right_id], each.verdict)
        for each in decisions
        if each.left_id in row_of and each.right_id in row_of
    )
    must = [(left, right) for left, right, verdict in known if verdict == "match"]
    return must, [(left, right) for left, right, verdict in known if verdict == "no_match"]


@dataclass(frozen=True, slots=True)
class _IncompatibleNames:
    """Two names that cannot be one person's; a shortened name speaks against nobody."""

    people: People
    names: NameComparison
    known: dict[tuple[int, int], bool]

    def __call__(self, left: int, right: int) -> bool:
        if left == right:
            return False
        key = (left, right) if left < right else (right, left)
        found = self.known.get(key)
        if found is None:
            level = self.names.level(self.people.name.values[left], self.people.name.values[right])
            found = self.known[key] = level in (NameLevel.DISAGREE, NameLevel.FAMILY)
        return found


def _incompatible_names(people: People, names: NameComparison) -> _IncompatibleNames:
    return _IncompatibleNames(people, names, {})


def _resolution(
    record_ids: list[UUID],
    model: MatchModel,
    pairs: ComparedPairs,
    weighed: WeighedPairs,
    match: NDArray[np.bool_],
    clustering: Clustering,
    level_names: dict[str, tuple[str, ...]],
    must: Sequence[Pair],
    capped: tuple[CappedBlock, ...],
) -> Resolution:
    kept = match | (weighed.total >= model.review_millibits)
    return Resolution(
        entity_type=model.entity_type,
        model=model,
        record_ids=record_ids,
        labels=clustering.labels,
        confidences=_confidences(clustering, pairs, weighed, match, must),
        edges=_edges(record_ids, pairs, weighed, match, kept, level_names),
        candidate_pairs=len(pairs.left),
        capped=capped,
        ignored_decisions=clustering.ignored_decisions,
    )


def _confidences(
    clustering: Clustering, pairs: ComparedPairs, weighed: WeighedPairs, match: NDArray[np.bool_], must: Sequence[Pair]
) -> NDArray[np.float64]:
    labels = clustering.labels
    strongest = np.full(len(labels), np.iinfo(np.int64).min, dtype=np.int64)
    inside = match & (labels[pairs.left] == labels[pairs.right]) if len(labels) else match
    for rows in (pairs.left[inside], pairs.right[inside]):
        np.maximum.at(strongest, rows, weighed.total[inside])
    weights, position = np.unique(strongest, return_inverse=True)
    alone = np.iinfo(np.int64).min
    probability = np.array([1.0 if weight == alone else match_probability(weight) for weight in weights.tolist()])
    confidences = probability[position] if len(labels) else np.empty(0, dtype=np.float64)
    confidences[[row for pair in must for row in pair]] = 1.0
    return confidences


def _edges(
    record_ids: list[UUID],
    pairs: ComparedPairs,
    weighed: WeighedPairs,
    match: NDArray[np.bool_],
    kept: NDArray[np.bool_],
    level_names: dict[str, tuple[str, ...]],
) -> pa.Table:
    left, right = pairs.left[kept].tolist(), pairs.right[kept].tolist()
    columns: dict[str, pa.Array] = {
        "left_id": pa.array([record_ids[row].bytes for row in left], pa.binary(16)),
        "right_id": pa.array([record_ids[row].bytes for row in right], pa.binary(16)),
        "match_weight_millibits": pa.array(weighed.total[kept], pa.int32()),
        "is_match": pa.array(match[kept], pa.bool_()),
    }
    for name, comparison in pairs.comparisons.items():
        levels = pa.array(comparison.levels[kept], pa.int8())
        columns[f"level_{name}"] = pa.DictionaryArray.from_arrays(levels, pa.array(level_names[name]))
        columns[f"millibits_{name}"] = pa.array(weighed.by_comparison[name][kept], pa.int32())
    return pa.table(columns)
