"""Which pair is asked about next, and everything a reviewer wants to see of it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal
from uuid import UUID

from pay_ready.db import decisions as db_decisions
from pay_ready.db import resolution as db_resolution
from pay_ready.db import review as db_review
from pay_ready.db.id_arrays import ids_of, uuid_list
from pay_ready.db.review import Asked, EntitySize
from pay_ready.db.tenancy import TenantTransaction
from pay_ready.errors import ConflictError, NotFoundError
from pay_ready.model.resolution import ENTITY_TYPES, EntityType
from pay_ready.model.review import GOLD, Decision, Pair
from pay_ready.pipeline.review.desk import Desk
from pay_ready.resolve.review_value import Side, stake, uncertainty, value_of_asking
from pay_ready.resolve.reviewing import gold_is_due
from pay_ready.resolve.staged import in_id_order, record_ids_of

if TYPE_CHECKING:  # heavy, for who looks at evidence alone
    from pay_ready.pipeline.explain import PairExplanation

_AHEAD = 100  # pairs that are ranked at a time: others decide meanwhile
_FIELDS: Mapping[EntityType, tuple[str, ...]] = {
    "person": ("full_name", "first_name", "last_name", "email", "phone", "title", "company_name", "company_domain", "city", "country"),
    "company": ("name", "domain", "phone", "city", "country", "industry"),
}
Why = Literal["second opinion", "escalated", "appealed", "evidence and clusters disagree", "uncertain"]
_WHY: Mapping[str, Why] = {
    "open": "second opinion", "escalated": "escalated", "appealed": "appealed", "torn": "evidence and clusters disagree",
    "doubtful": "uncertain", "gold": "uncertain",
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A pair that is worth asking about."""

    pair: Pair
    why: Why
    weight_bits: float | None  # evidence by the model in use
    together: bool  # in one entity now
    left: EntitySize | None  # None where the record was not resolved yet
    right: EntitySize | None
    stake: float  # pairs of records and interactions that an answer may join or part
    value: float  # of asking: uncertainty times stake; of a word that waits for another reviewer, the stake

    @property
    def entities(self) -> tuple[UUID, UUID] | None:
        """Both entities, the lower id first."""
        if self.left is None or self.right is None:
            return None
        low, high = sorted((self.left.entity_id, self.right.entity_id))
        return low, high


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldLine:
    """A field of both records."""

    field: str
    left: str | None
    right: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """Where a record comes from."""

    record_id: UUID
    source: str
    updated: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """A pair before a reviewer. What is hidden in blind review is None or empty until he has answered."""

    pair: Pair
    leased_until: datetime | None
    left: Card
    right: Card
    fields: Sequence[FieldLine]
    is_blind: bool
    candidate: Candidate | None
    evidence: "PairExplanation | None"
    no_evidence: str | None  # why there is none
    decisions: Sequence[Decision]  # what was said before, newest first


class Queue:
    """Pairs one after the other, most worth asking first. Each is this reviewer's alone for a while."""

    def __init__(self, desk: Desk, entity_type: EntityType | None = None) -> None:
        self._desk, self._entity_type = desk, entity_type
        self._ahead: list[Candidate] = []
        self._seen: set[Pair] = set()

    def next(self) -> Item | None:
        """The next pair, leased; None when nothing waits. A pair comes once in the life of a queue."""
        desk = self._desk
        with desk.database.tenant_transaction(desk.tenant) as tx:
            found = self._taken(tx, self._gold(tx), is_gold=True) or self._taken(tx, self._ahead, is_gold=False)
            if found is None:
                db_review.drop_expired(tx)
                self._ahead = [
                    each for each in _ranked(tx, desk, self._entity_type, _AHEAD + len(self._seen)) if each.pair not in self._seen
                ]
                found = self._taken(tx, self._ahead, is_gold=False)
        if found is None:
            return None
        candidate, until, is_gold = found
        item = item_of(desk, candidate.pair, candidate=candidate)
        item = replace(item, leased_until=until, decisions=[] if is_gold else item.decisions)
        return item if not is_gold or item.evidence is None else replace(item, evidence=_unspoken(item.evidence))

    def give_back(self, pair: Pair) -> None:
        """Leave a pair to others."""
        with self._desk.database.tenant_transaction(self._desk.tenant) as tx:
            db_review.release(tx, pair, self._desk.actor)

    def look_again(self, pair: Pair) -> None:
        """A pair whose answer was taken back may come once more."""
        self._seen.discard(pair)
        self._ahead.clear()

    def _gold(self, tx: TenantTransaction) -> list[Candidate]:
        """Pairs that are decided already, when one of them is due."""
        answers, gold_answers = db_review.answers_of(tx, self._desk.actor)
        if not gold_is_due(answers, gold_answers, self._desk.rules.gold_percent):
            return []
        found = [each for each in db_review.gold(tx, self._desk.actor, self._entity_type, 10) if each.pair not in self._seen]
        return _candidates(tx, found)

    def _taken(self, tx: TenantTransaction, candidates: list[Candidate], *, is_gold: bool) -> tuple[Candidate, datetime, bool] | None:
        while candidates:
            candidate = candidates.pop(0)
            if candidate.pair in self._seen or (not is_gold and self._is_answered(tx, candidate)):
                continue
            until = db_review.take(tx, candidate.pair, self._desk.actor, self._desk.rules.lease_s, is_gold=is_gold)
            if until is not None:
                self._seen.add(candidate.pair)
                return candidate, until, is_gold
        return None

    def _is_answered(self, tx: TenantTransaction, candidate: Candidate) -> bool:
        """Whether somebody decided the pair since it was ranked."""
        stands = db_decisions.current(tx, candidate.pair).get("human")
        return stands is not None and (stands.status == "decided" or stands.actor == self._desk.actor)


def ranked(desk: Desk, entity_type: EntityType | None, most: int, *, every_pair: bool = False) -> list[Candidate]:
    """What waits, without taking any of it: words that wait for this reviewer first, then by the value of asking.

    Of two entities, and of the pairs inside one, only the pair most worth asking about: its answer may settle the others.

    Args:
        desk: Who asks.
        entity_type: People or companies alone.
        most: Pairs at most.
        every_pair: All pairs of two entities, whatever was decided between them.
    """
    with desk.database.tenant_transaction(desk.tenant) as tx:
        return _ranked(tx, desk, entity_type, most, every_pair=every_pair)


def _ranked(tx: TenantTransaction, desk: Desk, entity_type: EntityType | None, most: int, *, every_pair: bool = False) -> list[Candidate]:
    bands = {each: desk.resolution.rules(each).review_millibits for each in ENTITY_TYPES}
    first = _candidates(tx, db_review.waiting(tx, desk.actor, entity_type, most))
    named = {each.pair for each in first}
    rest = [each for each in db_review.undecided(tx, desk.actor, entity_type, bands) if each.pair not in named]
    by_value = sorted(_candidates(tx, rest), key=lambda each: (-each.value, each.pair))
    if not every_pair:
        by_value = _one_of_each(by_value, db_review.settled(tx, entity_type) | {ends for each in first if (ends := each.entities)})
    return [*first, *by_value][:most]


def _one_of_each(candidates: Iterable[Candidate], settled: set[tuple[UUID, UUID]]) -> list[Candidate]:
    """The first of those between the same two entities, where nothing settled them."""
    seen = set(settled)
    found = []
    for each in candidates:
        if each.entities is None or each.entities not in seen:
            found.append(each)
        if each.entities is not None:
            seen.add(each.entities)
    return found


def _candidates(tx: TenantTransaction, asked: Sequence[Asked]) -> list[Candidate]:
    sizes = db_review.entity_sizes(tx, [entity for each in asked for entity in (each.left_entity, each.right_entity)])
    thresholds = {each: model.threshold_millibits / 1_000 for each, model in db_review.models(tx).items()}
    return [_candidate(each, sizes, thresholds.get(each.pair.entity_type, 0.0)) for each in asked]


def _candidate(asked: Asked, sizes: Mapping[UUID, EntitySize], threshold_bits: float) -> Candidate:
    left, right = (sizes.get(entity) if entity else None for entity in (asked.left_entity, asked.right_entity))
    together = left is not None and asked.left_entity == asked.right_entity
    at_stake = stake(_side(left), _side(right), together=together)
    bits = None if asked.weight_millibits is None else asked.weight_millibits / 1_000
    # Where the model compared them never, it is as uncertain as can be; and so it is where reviewers disagree.
    is_doubtful = asked.why in ("torn", "doubtful", "gold") and bits is not None
    uncertain = uncertainty(bits, threshold_bits, together=together) if is_doubtful and bits is not None else 1.0
    return Candidate(
        pair=asked.pair, why=_WHY[asked.why], weight_bits=bits, together=together, left=left, right=right, stake=round(at_stake, 2),
        value=round(value_of_asking(uncertain, at_stake), 4),
    )  # fmt: skip


def _side(size: EntitySize | None) -> Side:
    return Side(records=1, interactions=0) if size is None else Side(records=size.records, interactions=size.interactions)


def item_of(desk: Desk, pair: Pair, *, candidate: Candidate | None = None, is_answered: bool = False) -> Item:
    """A pair as it is shown.

    Args:
        desk: Who looks.
        pair: Which records.
        candidate: Why it is asked about, where that is known.
        is_answered: Nothing is hidden any more.

    Raises:
        NotFoundError: A record is not there, or another tenant's.
    """
    is_blind = desk.rules.blind and not is_answered
    with desk.database.tenant_transaction(desk.tenant) as tx:
        models = desk.models(tx)
        said = [] if is_blind else [each for each in db_decisions.history(tx, pair) if each.context != GOLD]
        shown = candidate or _looked_up(tx, pair)
        cards, fields = _side_by_side(tx, pair)
    evidence, problem = None, None
    if not is_blind:
        from pay_ready.pipeline.explain import explain_pair  # heavy

        try:
            evidence = explain_pair(desk.database, desk.tenant, desk.resolution, pair.left_id, pair.right_id, known=models)
        except (ConflictError, NotFoundError) as error:
            problem = f"{error.what}: {error.hint}"
    return Item(
        pair=pair, leased_until=None, left=cards[pair.left_id], right=cards[pair.right_id], fields=fields, is_blind=is_blind,
        candidate=None if is_blind else shown, evidence=evidence, no_evidence=problem, decisions=said,
    )  # fmt: skip


def _looked_up(tx: TenantTransaction, pair: Pair) -> Candidate:
    """A pair that somebody named."""
    facts = db_decisions.facts(tx, pair)
    entities = db_resolution.entities_of(tx, pair.entity_type, [pair.left_id, pair.right_id])
    asked = Asked(
        pair=pair, why="doubtful", weight_millibits=facts.match_weight_millibits, left_entity=entities.get(pair.left_id),
        right_entity=entities.get(pair.right_id),
    )  # fmt: skip
    return _candidates(tx, [asked])[0]


def _side_by_side(tx: TenantTransaction, pair: Pair) -> tuple[Mapping[UUID, Card], list[FieldLine]]:
    ids = uuid_list(ids_of((pair.left_id, pair.right_id)))
    table = in_id_order(db_resolution.read_few_staged(tx, pair.entity_type, ids))
    rows: dict[UUID, dict[str, Any]] = dict(zip(record_ids_of(table), table.to_pylist(), strict=True))
    for record in (pair.left_id, pair.right_id):
        if record not in rows:
            raise NotFoundError(f"no such record of a {pair.entity_type}", "list an entity's: pay-ready people NAME --json", record=record)
    left, right = rows[pair.left_id], rows[pair.right_id]
    cards = {record: Card(record_id=record, source=row["source_name"], updated=row["source_updated_at"]) for record, row in rows.items()}
    lines = [FieldLine(field=name, left=left[name], right=right[name]) for name in _FIELDS[pair.entity_type] if left[name] or right[name]]
    return cards, lines


def _unspoken(evidence: "PairExplanation") -> "PairExplanation":
    """The evidence without what people said."""
    return replace(evidence, decisions=[], remarks=[each for each in evidence.remarks if "reviewer" not in each])
