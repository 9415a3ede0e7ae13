"""From an Arrow table of one tenant's records of one entity type to edges and clusters. Every order of the rows gives the same."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from uuid import UUID

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from pay_ready.model.progress import Progress, no_progress
from pay_ready.model.resolution import CappedBlock, EntityType, PairDecision, ResolutionConfig
from pay_ready.resolve.linkage.caps import Caps, CompanyCaps
from pay_ready.resolve.linkage.columns import Mask, Rows
from pay_ready.resolve.linkage.counts import Counts
from pay_ready.resolve.linkage.grouping import Pair
from pay_ready.resolve.linkage.learning import Records, Weighed, probability
from pay_ready.resolve.linkage.link import Linkage, Reached, Scored, link, scored_pairs
from pay_ready.resolve.linkage.model import ResolutionModel, drift_of
from pay_ready.resolve.linkage.moves import Members, members_of
from pay_ready.resolve.linkage.parts import scored_of
from pay_ready.resolve.linkage.tables import Knowledge, records_of
from pay_ready.resolve.staged import in_id_order, record_id_bytes, staged_kinds, uuids

# Pairs of records as ids of 16 bytes, `left` < `right`, each once.
IdPairs = NDArray[np.void]
_NEVER = np.iinfo(np.int64).min
# Staged records in the order of ids, a model, and how far below the threshold a pair is still kept -> scored pairs (`parts.edge_schema`).
Scorer = Callable[[pa.Table, ResolutionModel, int], pa.Table]


@dataclass(frozen=True, kw_only=True)
class Resolution:
    """Who is who among the records of one entity type.

    `edges` has a row per pair from the review band up, sorted by pair: left_id and right_id (16 bytes), left_hash and right_hash where
    the records have a content_hash, match_weight_millibits, is_match, is_cut, and per comparison the level (`level_<name>`) and its
    evidence (`millibits_<name>`).
    """

    entity_type: EntityType
    model: ResolutionModel
    ids: pa.Array  # of 16 bytes, ascending
    labels: NDArray[np.int64]  # by record: position of the first record of its cluster
    confidences: NDArray[np.float64]  # by record: match probability of its strongest link in the cluster; 1 when alone or decided
    edges: pa.Table  # without columns where the pairs were given: whoever gives them has weighed them
    blocks: Members | None  # every record with its blocks (`moves.MEMBER`), where they were asked for
    candidate_pairs: int
    capped: tuple[CappedBlock, ...]
    ignored_decisions: int
    predicted_precision: float
    predicted_recall: float
    drift: tuple[str, ...]  # why the model should be trained anew; empty after training

    @cached_property
    def record_ids(self) -> list[UUID]:
        """The ids, ascending."""
        return uuids(self.ids)

    @cached_property
    def clusters(self) -> list[list[UUID]]:
        """The record ids of every cluster, ascending, clusters by their first record."""
        members: dict[int, list[UUID]] = {}
        for record_id, label in zip(self.record_ids, self.labels.tolist(), strict=True):
            members.setdefault(label, []).append(record_id)
        return list(members.values())


def resolve(
    entity_type: EntityType,
    staged: pa.Table,
    config: ResolutionConfig,
    decisions: Sequence[PairDecision] = (),
    *,
    model: ResolutionModel | None = None,
    scorer: Scorer | None = None,
    pairs: IdPairs | None = None,
    with_blocks: bool = False,
    progress: Progress = no_progress,
) -> Resolution:
    """Resolve staged records (`staged.PERSON_COLUMNS`, `staged.COMPANY_COLUMNS`).

    Args:
        entity_type: What the records are about.
        staged: In any order.
        config: Levels, word lists, caps, the threshold where it is set.
        decisions: What holds of pairs; one about a record that is not there says nothing now.
        model: A trained model; None trains one on these records.
        scorer: Scores the pairs elsewhere, where there is a model; None scores them here.
        pairs: The pairs to weigh, where they are known and there is a model, which then says how precise it is; None finds those worth
            comparing.
        with_blocks: Tell every record's blocks, too.
        progress: Told of each phase that is done.
    """
    ordered = in_id_order(staged)
    ids = record_id_bytes(ordered)
    counts = Counts(model.counts if model else None)
    records = records_of(ordered, staged_kinds(entity_type), entity_type, knowledge_of(config), counts)[0]
    must, cannot = _positions(ids, decisions)
    rules = config.rules(entity_type)
    elsewhere: Scored | None = None
    if model and pairs is not None:
        elsewhere = scored_pairs(records, *_rows_of(ids, pairs), model.learnt)
    elif model and scorer:
        elsewhere = scored_of(scorer(ordered, model, rules.review_millibits), ordered, records, model)
    linkage = link(
        records,
        scored=elsewhere,
        model=model.learnt if model else None,
        threshold_millibits=model.threshold_millibits if model else rules.threshold_millibits,
        must_link=must,
        cannot_link=cannot,
        predicts=pairs is None,
        progress=progress,
    )
    used = model or trained_model(entity_type, records, counts, linkage, config.settings_hash)
    reasons = (
        drift_of(
            model,
            records=records.size,
            comparisons=records.comparisons,
            settings_hash=config.settings_hash,
            predicted_precision=linkage.predicted_precision if pairs is None else model.predicted_precision,
            growth=config.refresh_growth,
        )
        if model
        else ()
    )
    return Resolution(
        entity_type=entity_type,
        model=used,
        ids=ids,
        labels=linkage.labels,
        confidences=_confidences(linkage, must),
        edges=_edges(ordered, records, _Weighted.of(linkage), linkage.threshold_millibits - rules.review_millibits)
        if pairs is None
        else pa.table({}),
        blocks=members_of(entity_type, records.rules(), id_bytes(ids)) if with_blocks else None,
        candidate_pairs=len(linkage.left),
        capped=tuple(
            CappedBlock(entity_type=entity_type, rule=each.rule, blocks=each.blocks, records=each.records, pairs=each.pairs)
            for each in linkage.hot
        ),
        ignored_decisions=linkage.ignored_decisions,
        predicted_precision=used.predicted_precision if pairs is not None else linkage.predicted_precision,
        predicted_recall=used.predicted_recall if pairs is not None else linkage.predicted_recall,
        drift=reasons,
    )


def knowledge_of(config: ResolutionConfig) -> Knowledge:
    """What the configuration says about words, levels and blocks."""
    return Knowledge(
        nicknames=config.nicknames,
        role_local_parts=config.role_local_parts,
        free_mail=config.free_mail_domains,
        similar_name_from=config.name_threshold,
        similar_company_from=config.company_threshold,
        email_validation=config.email_validation,
        person_caps=Caps(**config.person.max_block_sizes),
        company_caps=CompanyCaps(**config.company.max_block_sizes),
    )


def trained_model(entity_type: EntityType, records: Records, counts: Counts, linkage: Linkage, settings_hash: bytes) -> ResolutionModel:
    """What a run has learnt, to be used again."""
    return ResolutionModel(
        entity_type=entity_type,
        learnt=linkage.model,
        levels={each.name: each.levels for each in records.comparisons},
        counts=counts.tables(),
        threshold_millibits=linkage.threshold_millibits,
        trained_records=records.size,
        settings_hash=settings_hash,
        predicted_precision=round(linkage.predicted_precision, 6),
        predicted_recall=round(linkage.predicted_recall, 6),
    )


def id_bytes(ids: pa.Array) -> NDArray[np.bytes_]:
    """Ids of 16 bytes as numpy has them."""
    return np.frombuffer(ids.buffers()[1], dtype="S16")[ids.offset : ids.offset + len(ids)] if len(ids) else np.empty(0, dtype="S16")


def _rows_of(ids: pa.Array, pairs: IdPairs) -> tuple[Rows, Rows]:
    """Pairs of ids that are there as rows, sorted."""
    known = id_bytes(ids)
    left, right = np.searchsorted(known, pairs["left"]), np.searchsorted(known, pairs["right"])
    order = np.lexsort((right, left))
    return left[order], right[order]


def _positions(ids: pa.Array, decisions: Sequence[PairDecision]) -> tuple[list[Pair], list[Pair]]:
    """Must-links and cannot-links as rows, by pair."""
    if not decisions or not len(ids):
        return [], []
    rows = [
        pc.index_in(pa.array([getattr(each, side).bytes for each in decisions], pa.binary(16)), value_set=ids).to_pylist()
        for side in ("left_id", "right_id")
    ]
    known = sorted(
        (left, right, each.verdict)
        for left, right, each in zip(*rows, decisions, strict=True)
        if left is not None and right is not None and left != right
    )
    must = [(left, right) for left, right, verdict in known if verdict == "match"]
    return must, [(left, right) for left, right, verdict in known if verdict == "no_match"]


def _confidences(linkage: Linkage, must: Sequence[Pair]) -> NDArray[np.float64]:
    labels = linkage.labels
    strongest = np.full(len(labels), _NEVER, dtype=np.int64)
    held = linkage.is_match & ~linkage.is_cut
    for rows in (linkage.left[held], linkage.right[held]):
        np.maximum.at(strongest, rows, linkage.weighed.total[held])
    confidences = np.where(strongest == _NEVER, 1.0, np.round(probability(strongest / 1_000), 4))
    confidences[[row for pair in must for row in pair]] = 1.0
    return confidences


def edges_of(staged: pa.Table, records: Records, pairs: tuple[Rows, Rows], config: ResolutionConfig, model: ResolutionModel) -> pa.Table:
    """The edges (`Resolution.edges`, none of them cut) among pairs of rows (left < right, sorted, each once) of staged records."""
    scored = scored_pairs(records, *pairs, model.learnt)
    is_match = scored.weighed.total >= model.threshold_millibits
    weighted = _Weighted(*pairs, scored.reached, scored.weighed, is_match, np.zeros(len(is_match), dtype=np.bool_))
    return _edges(staged, records, weighted, model.threshold_millibits - config.rules(model.entity_type).review_millibits)


@dataclass(frozen=True, slots=True)
class _Weighted:
    """Pairs with what is known of them, by pair."""

    left: Rows
    right: Rows
    reached: Mapping[str, Reached]
    weighed: Weighed
    is_match: Mask
    is_cut: Mask

    @classmethod
    def of(cls, linkage: Linkage) -> "_Weighted":
        return cls(linkage.left, linkage.right, linkage.compared, linkage.weighed, linkage.is_match, linkage.is_cut)


def _edges(staged: pa.Table, records: Records, pairs: _Weighted, least_millibits: int) -> pa.Table:
    weighed = pairs.weighed
    kept = weighed.total >= least_millibits
    left, right = pa.array(pairs.left[kept]), pa.array(pairs.right[kept])
    ids = record_id_bytes(staged)
    columns: dict[str, pa.Array] = {"left_id": ids.take(left), "right_id": ids.take(right)}
    if "content_hash" in staged.column_names:
        hashes = staged.column("content_hash").combine_chunks()
        columns |= {"left_hash": hashes.take(left), "right_hash": hashes.take(right)}
    columns |= {
        "match_weight_millibits": pa.array(weighed.total[kept], pa.int32()),
        "is_match": pa.array(pairs.is_match[kept], pa.bool_()),
        "is_cut": pa.array(pairs.is_cut[kept], pa.bool_()),
    }
    for each in records.comparisons:
        if each.name in weighed.by_comparison:
            levels = pa.array(pairs.reached[each.name].levels[kept], pa.int8())
            columns[f"level_{each.name}"] = pa.DictionaryArray.from_arrays(levels, pa.array(each.levels))
            columns[f"millibits_{each.name}"] = pa.array(weighed.by_comparison[each.name][kept], pa.int32())
    return pa.table(columns)
