"""Why two records or entities are together or apart, and how an entity came to be.

What is shown is weighed anew by the model that is in use: evidence is stored as levels, never with the values compared. The values go
to the operator who asks, and nowhere else.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import product
from typing import Any, Literal
from uuid import UUID

import numpy as np
import pyarrow as pa
from scipy.sparse import coo_array
from scipy.sparse.csgraph import breadth_first_order, minimum_spanning_tree

from pay_ready.db import resolution as db_resolution
from pay_ready.db.id_arrays import ids_of, uuid_list
from pay_ready.db.tenancy import Database, TenantTransaction
from pay_ready.errors import ConflictError, NotFoundError, UsageError
from pay_ready.model.ids import TenantId
from pay_ready.model.resolution import EntityType, ResolutionConfig
from pay_ready.model.review import IN_FORCE
from pay_ready.resolve.engine import knowledge_of
from pay_ready.resolve.linkage.blocks import candidates_of
from pay_ready.resolve.linkage.columns import Rows
from pay_ready.resolve.linkage.counts import Counts
from pay_ready.resolve.linkage.evidence import Compared
from pay_ready.resolve.linkage.learning import Records, Weighed, probability, weigh
from pay_ready.resolve.linkage.model import ResolutionModel
from pay_ready.resolve.linkage.tables import records_of
from pay_ready.resolve.staged import in_id_order, record_ids_of, staged_kinds

_MOST_RECORDS = 100  # of an entity, whose pairs are looked at
_SURE = 20_000  # millibits; a link is not surer than that
# The staged columns behind each comparison.
_COLUMNS: Mapping[EntityType, Mapping[str, tuple[str, ...]]] = {
    "person": {
        "given": ("first_name", "full_name"), "family": ("last_name", "full_name"), "middle": ("full_name",), "email": ("email",),
        "phone": ("phone",), "employer": ("company_name", "company_domain"), "city": ("city",), "title": ("title",),
    },
    "company": {"name": ("name",), "domain": ("domain",), "phone": ("phone",), "city": ("city",)},
}  # fmt: skip
Verdict = Literal["match", "review", "no match"]
Models = Mapping[EntityType, tuple[UUID, ResolutionModel]]


@dataclass(frozen=True, slots=True, kw_only=True)
class EvidenceLine:
    """What one comparison says, and of what."""

    comparison: str
    level: str  # "null" where a side has no value
    bits: float
    left: str | None
    right: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordLine:
    """A record as its source named it."""

    record_id: UUID
    source: str
    name: str | None
    entity_id: UUID | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkLine:
    """A link between two records of one entity."""

    left: RecordLine
    right: RecordLine
    bits: float


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionLine:
    """What somebody said of two records."""

    left_id: UUID
    right_id: UUID
    verdict: str
    actor_type: str
    actor: str
    reason: str | None
    status: str
    made_at: datetime
    superseded_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PairExplanation:
    """Why two records are together or apart; of two entities, by the two records that have most in common."""

    entity_type: EntityType
    left: RecordLine
    right: RecordLine
    together: bool  # in one entity now
    verdict: Verdict  # what the evidence of these two says by itself
    prior_bits: float
    evidence: Sequence[EvidenceLine]
    total_bits: float
    probability: float
    threshold_bits: float
    review_bits: float  # from here on a pair is kept for review
    model_hash: str
    compared_by: Sequence[str]  # the blocking rules under which they share a key; with none they are never compared
    path: Sequence[LinkLine]  # the links that hold them together, where they are no match by themselves
    decisions: Sequence[DecisionLine]
    remarks: Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryLine:
    """What a run did to an entity."""

    run_no: int
    change: str
    entity_id: UUID
    other_entity_id: UUID | None
    kind: str
    actor: str
    published_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class EntityExplanation:
    """How an entity came to be, and what holds it together."""

    entity_id: UUID
    entity_type: EntityType
    leads_to: UUID | None  # of a retired id
    anchor_record_id: UUID
    minted_run_no: int
    records: Sequence[RecordLine]
    links: Sequence[LinkLine]  # the strongest that hold it together, the weakest first
    threshold_bits: float | None
    history: Sequence[HistoryLine]
    decisions: Sequence[DecisionLine]


@dataclass(frozen=True, slots=True, kw_only=True)
class WeighedRecords:
    """Some records under the model in use."""

    entity_type: EntityType
    model: ResolutionModel
    staged: pa.Table  # in the order of ids
    ids: Sequence[UUID]
    records: Records

    def pairs(self, left: Rows, right: Rows) -> tuple[Mapping[str, Compared], Weighed]:
        """Levels and evidence of pairs of rows."""
        compared = self.records.compare(left, right)
        return compared, weigh(self.records, left, right, compared, self.model.learnt)


def explain_pair(
    database: Database, tenant: TenantId, config: ResolutionConfig, left: UUID, right: UUID, *, known: Models | None = None
) -> PairExplanation:
    """Why two records or entities are together or apart.

    Args:
        database: The store.
        tenant: Whose.
        config: How records are read and compared; the model says what it weighs.
        left, right: Ids of records or entities, of one type.
        known: The models of the published version, where they were read.

    Raises:
        NotFoundError: An id that is neither, or whose records are gone.
        UsageError: The same twice, or a person and a company.
        ConflictError: The models in use were trained under other settings: the run that trains them anew has not been made.
    """
    if left == right:
        raise UsageError("the two are one", "give two; or one alone, for how it came to be", id=left)
    with database.tenant_transaction(tenant) as tx:
        sides = [_members(tx, each) for each in (left, right)]
        models = db_resolution.current_models(tx) if known is None else known
        entity_of = {record: entity for _, members in sides for record, entity in members.items()}
        decided = _decisions(tx, list(entity_of))
    if sides[0][0] != sides[1][0]:
        raise UsageError("a person and a company are not compared", "give two people or two companies", left=left, right=right)
    entity_type = sides[0][0]
    rows = weighed_records(database, tenant, entity_type, models, config, list(entity_of))
    row_of = {record: row for row, record in enumerate(rows.ids)}
    chosen = [[row_of[each] for each in members if each in row_of] for _, members in sides]
    pairs = sorted({(min(a, b), max(a, b)) for a, b in product(*chosen) if a != b})
    if not pairs:
        raise UsageError("the two are one record", "give its entity alone, for how it came to be", left=left, right=right)
    first, second = np.array([pair[0] for pair in pairs]), np.array([pair[1] for pair in pairs])
    compared, weighed = rows.pairs(first, second)
    at = _telling(weighed)
    one, other = int(first[at]), int(second[at])
    entities = {record: entity_of[record] for record in (rows.ids[one], rows.ids[other])}
    together = len(set(entities.values())) == 1
    total, threshold = int(weighed.total[at]), rows.model.threshold_millibits
    review = config.rules(entity_type).review_millibits
    verdict: Verdict = "match" if total >= threshold else "review" if total >= threshold - review else "no match"
    told = [each for each in decided if {each.left_id, each.right_id} == set(entities)]
    rules = candidates_of(rows.records.rules(), rows.records.size).by_rule if rows.records.size == 2 else _rules_of(rows, one, other)
    path = (
        _path(database, tenant, models, config, entity_type, entities, rows.ids[one], rows.ids[other])
        if together and verdict != "match"
        else ()
    )
    return PairExplanation(
        entity_type=entity_type,
        left=_record_line(rows, one, entity_of),
        right=_record_line(rows, other, entity_of),
        together=together,
        verdict=verdict,
        prior_bits=round(rows.model.learnt.prior_bits, 3),
        evidence=[_line(rows, name, compared, weighed, at, one, other) for name in weighed.by_comparison],
        total_bits=total / 1_000,
        probability=round(float(probability(np.array([total / 1_000]))[0]), 6),
        threshold_bits=threshold / 1_000,
        review_bits=(threshold - review) / 1_000,
        model_hash=rows.model.model_hash.hex(),
        compared_by=sorted(name for name, found in rules.items() if found),
        path=path,
        decisions=told,
        remarks=_remarks(together=together, verdict=verdict, is_compared=any(rules.values()), decisions=told, has_path=bool(path)),
    )


def explain_entity(database: Database, tenant: TenantId, config: ResolutionConfig, entity_id: UUID) -> EntityExplanation:
    """How an entity came to be: runs and merges, and the links that hold it together now.

    Raises:
        NotFoundError: An id that was never given.
        ConflictError: As `explain_pair`.
    """
    with database.tenant_transaction(tenant) as tx:
        known = tx.row("resolution.known_entity", {"entity_id": entity_id})
        if known is None:
            raise NotFoundError("no such entity", 'look it up: pay-ready people "NAME" -t TENANT', entity=entity_id)
        members = {row.record_id: entity_id for row in tx.rows("resolution.members", {"entity_id": entity_id})}
        history = [
            HistoryLine(**{name: getattr(row, name) for name in HistoryLine.__dataclass_fields__})
            for row in tx.rows("resolution.entity_history", {"entity_id": entity_id})
        ]
        models = db_resolution.current_models(tx)
        decided = _decisions(tx, list(members))
    shown = list(members)[:_MOST_RECORDS]
    rows = weighed_records(database, tenant, known.entity_type, models, config, shown) if shown else None
    return EntityExplanation(
        entity_id=entity_id,
        entity_type=known.entity_type,
        leads_to=known.target_entity_id,
        anchor_record_id=known.anchor_record_id,
        minted_run_no=known.minted_run_no,
        records=[_record_line(rows, row, members) for row in range(len(rows.ids))] if rows else [],
        links=_tree(rows, members) if rows else [],
        threshold_bits=rows.model.threshold_millibits / 1_000 if rows else None,
        history=history,
        decisions=decided,
    )


def entity_id_of(database: Database, tenant: TenantId, wanted: UUID) -> UUID:
    """The entity of a record; any other id is itself."""
    with database.tenant_transaction(tenant) as tx:
        assigned = tx.row("resolution.assignment", {"record_id": wanted})
    return UUID(str(assigned.entity_id)) if assigned else wanted


def _members(tx: TenantTransaction, wanted: UUID) -> tuple[EntityType, dict[UUID, UUID]]:
    """The records that an id means, with their entities: a record, or an entity that lives or leads to one that does."""
    if assigned := tx.row("resolution.assignment", {"record_id": wanted}):
        return assigned.entity_type, {wanted: assigned.entity_id}
    current = tx.row("entities.current_id", {"entity_id": wanted})
    members = tx.rows("resolution.members", {"entity_id": current.entity_id}) if current else []
    known = tx.row("resolution.known_entity", {"entity_id": wanted})
    if current is None or known is None or not members:
        raise NotFoundError("neither a record nor an entity that has records", "list an entity's: pay-ready people NAME --json", id=wanted)
    return known.entity_type, {row.record_id: current.entity_id for row in members[:_MOST_RECORDS]}


def _decisions(tx: TenantTransaction, record_ids: Sequence[UUID]) -> list[DecisionLine]:
    return [DecisionLine(**row._asdict()) for row in tx.rows("resolution.decisions_about", {"record_ids": list(record_ids)})]


def weighed_records(
    database: Database,
    tenant: TenantId,
    entity_type: EntityType,
    models: Models,
    config: ResolutionConfig,
    record_ids: Sequence[UUID],
) -> WeighedRecords:
    """Some records of a type under the model in use.

    Raises:
        ConflictError: As `explain_pair`.
    """
    if entity_type not in models or models[entity_type][1].settings_hash != config.settings_hash:
        raise ConflictError("the models in use are not of these settings", "train them: pay-ready resolve -t TENANT --refresh")
    model = models[entity_type][1]
    wanted = uuid_list(ids_of(record_ids))
    if len(record_ids) > db_resolution.FEW_STAGED:
        staged = in_id_order(db_resolution.read_staged(database, tenant, entity_type, wanted))
    else:
        with database.tenant_transaction(tenant) as tx:
            staged = in_id_order(db_resolution.read_few_staged(tx, entity_type, wanted))
    records, _ = records_of(staged, staged_kinds(entity_type), entity_type, knowledge_of(config), Counts(model.counts))
    return WeighedRecords(entity_type=entity_type, model=model, staged=staged, ids=record_ids_of(staged), records=records)


def _telling(weighed: Weighed) -> int:
    """The pair with most in common; where none has anything, of those that can be compared at all the one least apart."""
    bits = np.array(list(weighed.by_comparison.values()))
    rank = np.where((bits > 0).any(axis=0), 2, np.where((bits != 0).any(axis=0), 1, 0))
    return int(np.lexsort((-np.arange(len(rank)), weighed.total, rank))[-1])


def _rules_of(rows: WeighedRecords, one: int, other: int) -> dict[str, int]:
    """Under which rules two rows share a key, whatever the size of its block."""
    found: dict[str, int] = {}
    for rule in rows.records.rules():
        held = rule.rows if rule.rows is not None else np.arange(len(rule.keys))
        left, right = rule.keys[held == one], rule.keys[held == other]
        found[rule.name] = int(len(np.intersect1d(left[left >= 0], right[right >= 0])) > 0)
    return found


def _line(
    rows: WeighedRecords, name: str, compared: Mapping[str, Compared], weighed: Weighed, at: int, one: int, other: int
) -> EvidenceLine:
    levels = rows.model.levels[name]
    return EvidenceLine(
        comparison=name,
        level=levels[int(compared[name].levels[at])],
        bits=int(weighed.by_comparison[name][at]) / 1_000,
        left=_value(rows, name, one),
        right=_value(rows, name, other),
    )


def _value(rows: WeighedRecords, comparison: str, row: int) -> str | None:
    columns = _COLUMNS[rows.entity_type].get(comparison, ())
    found = [str(value) for name in columns if (value := rows.staged.column(name)[row].as_py())]
    # Of a name the parts go before the whole; an employer is shown by name and domain.
    return (" / ".join(found) if comparison == "employer" else found[0]) if found else None


def _record_line(rows: WeighedRecords, row: int, entity_of: Mapping[UUID, UUID]) -> RecordLine:
    values: Mapping[str, Any] = {name: rows.staged.column(name)[row].as_py() for name in rows.staged.column_names}
    if rows.entity_type == "company":
        name = values["name"] or values["domain"]
    else:
        name = values["full_name"] or " ".join(filter(None, (values["first_name"], values["last_name"]))) or values["email"]
    return RecordLine(record_id=rows.ids[row], source=values["source_name"], name=name or None, entity_id=entity_of.get(rows.ids[row]))


def _tree(rows: WeighedRecords, entity_of: Mapping[UUID, UUID]) -> list[LinkLine]:
    """The strongest links that hold the records together, the weakest first."""
    size = len(rows.ids)
    left, right = np.triu_indices(size, 1)
    if not len(left):
        return []
    _, weighed = rows.pairs(left.astype(np.int64), right.astype(np.int64))
    # A spanning tree of the largest evidence is one of the smallest of what is left to certainty; nothing may weigh nought.
    cost = 1.0 + np.maximum(_SURE - weighed.total, 0) + 1e-3 * np.maximum(_SURE * 4 - weighed.total, 0)
    tree = minimum_spanning_tree(coo_array((cost, (left, right)), shape=(size, size)).tocsr()).tocoo()
    bits = {(int(a), int(b)): int(total) / 1_000 for a, b, total in zip(left, right, weighed.total, strict=True)}
    links = [
        LinkLine(
            left=_record_line(rows, min(a, b), entity_of), right=_record_line(rows, max(a, b), entity_of), bits=bits[min(a, b), max(a, b)]
        )
        for a, b in zip(tree.row.tolist(), tree.col.tolist(), strict=True)
    ]
    return sorted(links, key=lambda each: each.bits)


def _path(
    database: Database,
    tenant: TenantId,
    models: Models,
    config: ResolutionConfig,
    entity_type: EntityType,
    entities: Mapping[UUID, UUID],
    one: UUID,
    other: UUID,
) -> Sequence[LinkLine]:
    """The links of the entity's tree that lead from one record to the other."""
    entity = entities[one]
    with database.tenant_transaction(tenant) as tx:
        members = [row.record_id for row in tx.rows("resolution.members", {"entity_id": entity})]
    shown = sorted({*members[:_MOST_RECORDS], one, other})
    rows = weighed_records(database, tenant, entity_type, models, config, shown)
    links = _tree(rows, dict.fromkeys(rows.ids, entity))
    row_of = {record: row for row, record in enumerate(rows.ids)}
    ends = [(row_of[each.left.record_id], row_of[each.right.record_id]) for each in links]
    size = len(rows.ids)
    graph = coo_array((np.ones(len(ends)), ([a for a, _ in ends], [b for _, b in ends])), shape=(size, size)).tocsr()
    _, before = breadth_first_order(graph, row_of[one], directed=False)
    by_ends = {frozenset(pair): link for pair, link in zip(ends, links, strict=True)}
    steps, at = [], row_of[other]
    while at != row_of[one] and before[at] >= 0:
        steps.append(by_ends[frozenset((at, int(before[at])))])
        at = int(before[at])
    return steps[::-1]


def _remarks(*, together: bool, verdict: Verdict, is_compared: bool, decisions: Sequence[DecisionLine], has_path: bool) -> list[str]:
    """What a reader of the figures would ask next."""
    said = next((each.verdict for each in decisions if each.superseded_at is None and each.status in IN_FORCE), None)
    remarks = []
    if said in ("match", "no_match"):
        remarks.append(f"a reviewer said {said.replace('_', ' ')}, which goes before the evidence")
    if not is_compared:
        remarks.append("they share no key, so that nothing compares the two")
    if together and verdict != "match" and has_path and said != "match":
        remarks.append("they are together by way of other records")
    if not together and verdict == "match" and said != "no_match":
        remarks.append("the evidence suffices, but joining their groups would join records that contradict each other")
    return remarks
