"""Decisions: what people and agents said of pairs of records. Append-only; a word is closed when another takes over.

Whoever writes holds the tenant's decision lock (`lock`) until the commit. Words in force never contradict each other: a human's that would
is refused, an agent's gives way.
"""

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg.types.json import Jsonb

from pay_ready.db import tenants
from pay_ready.db.tenancy import TenantTransaction
from pay_ready.errors import ConflictError, NotFoundError
from pay_ready.model.ids import new_id
from pay_ready.model.resolution import EntityType
from pay_ready.model.review import GOLD, ActorType, Decision, DecisionEvidence, NewDecision, Pair, Status, Verdict
from pay_ready.resolve.contradictions import Step, Word, contradicted, told_path

_YIELDED = "contradicts what a reviewer said"


@dataclass(frozen=True, slots=True, kw_only=True)
class PairFacts:
    """What is known of a pair when somebody speaks of it."""

    has_left: bool
    has_right: bool
    run_no: int | None
    model_id: UUID | None
    match_weight_millibits: int | None
    entity_id: UUID | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionFilter:
    """Which decisions are wanted; None is any."""

    with_superseded: bool = False
    verdict: Verdict | None = None
    status: Status | None = None
    actor: str | None = None
    actor_type: ActorType | None = None
    context: str | None = None
    entity_type: EntityType | None = None
    entity_id: UUID | None = None
    since: datetime | None = None
    most: int = 50


def lock(tx: TenantTransaction) -> datetime:
    """Wait until nobody else decides about this tenant's pairs, and keep others waiting until the commit; the time then."""
    tx.execute("decisions.lock")
    moment: datetime = tx.value("decisions.moment")
    return moment


def current(tx: TenantTransaction, pair: Pair) -> dict[ActorType, Decision]:
    """The current words about a pair."""
    return {each.actor_type: each for each in map(_decision, tx.rows("decisions.current", _of(pair)))}


def history(tx: TenantTransaction, pair: Pair) -> list[Decision]:
    """All words about a pair, newest first."""
    return [_decision(row) for row in tx.rows("decisions.history", _of(pair))]


def listed(tx: TenantTransaction, wanted: DecisionFilter) -> list[Decision]:
    """Decisions, newest first."""
    return [_decision(row) for row in tx.rows("decisions.listed", {each.name: getattr(wanted, each.name) for each in fields(wanted)})]


def require(tx: TenantTransaction, decision_id: UUID) -> Decision:
    """One decision.

    Raises:
        NotFoundError: There is none, or it is another tenant's.
    """
    row = tx.row("decisions.find", {"decision_id": decision_id})
    if row is None:
        raise NotFoundError("no such decision", "copy an id from: pay-ready review list", decision=decision_id)
    return _decision(row)


def latest_of(tx: TenantTransaction, actor: str) -> Decision | None:
    """The last current word of a human."""
    row = tx.row("decisions.latest_of", {"actor": actor})
    return None if row is None else _decision(row)


def facts(tx: TenantTransaction, pair: Pair) -> PairFacts:
    """What the published version says of a pair.

    Raises:
        NotFoundError: One of the records is not there, or is another tenant's.
    """
    found = _facts(tx, pair)
    for is_there, record in ((found.has_left, pair.left_id), (found.has_right, pair.right_id)):
        if not is_there:
            raise NotFoundError(f"no such record of a {pair.entity_type}", "list an entity's: pay-ready people NAME --json", record=record)
    return found


def make(tx: TenantTransaction, new: NewDecision, *, status: Status, moment: datetime, known: PairFacts | None = None) -> Decision:
    """Close the pair's current word of this kind of actor and write the new one, audited. Agents' words that contradict it give way.

    Args:
        tx: A transaction that holds the lock.
        new: What is said. In context `gold` it is closed on arrival and takes over from nothing.
        status: What becomes of it (`reviewing.status_of`).
        moment: When (`lock`).
        known: What is known of the pair, where that was looked up.

    Raises:
        ConflictError: It contradicts what humans said, or, an agent's word, what anybody did; names the path.
    """
    pair, is_gold = new.pair, new.context == GOLD
    before = None if is_gold else current(tx, pair).get(new.actor_type)
    if new.verdict != "unsure" and not is_gold:
        _refuse_contradiction(tx, new)
    if before:
        tx.execute("decisions.close", {"decision_id": before.decision_id, "moment": moment})
    found = known or _facts(tx, pair)
    evidence = None if new.evidence is None else Jsonb(new.evidence.model_dump(mode="json"))
    made = _decision(tx.row("decisions.add", {
        **_of(pair), "decision_id": new_id(), "verdict": new.verdict, "actor_type": new.actor_type, "actor": new.actor,
        "reason": new.reason, "context": new.context, "entity_id": found.entity_id, "status": status, "moment": moment,
        "is_gold": is_gold, "match_weight_millibits": found.match_weight_millibits, "model_id": found.model_id, "run_no": found.run_no,
        "risk": new.risk, "evidence": evidence,
    }))  # fmt: skip
    _audit(tx, "made", made, actor=new.actor, reason=new.reason, before=before, after=made)
    if not is_gold:
        _let_agents_yield(tx, pair, new.actor)
    return made


def withdraw(tx: TenantTransaction, decision: Decision, *, actor: str, reason: str | None, moment: datetime) -> Decision | None:
    """Take back a current word. What it had taken over from is said again, as a new row, unless it contradicts what was said since.

    Returns:
        The word that holds again, or None.
    """
    tx.execute("decisions.close", {"decision_id": decision.decision_id, "moment": moment})
    after = replace(decision, superseded_at=max(moment, decision.made_at))
    _audit(tx, "withdrawn", decision, actor=actor, reason=reason, before=decision, after=after)
    restored = None
    if earlier := _taken_over(history(tx, decision.pair), decision):
        said = NewDecision(
            pair=earlier.pair, verdict=earlier.verdict, actor=earlier.actor, actor_type=earlier.actor_type, reason=earlier.reason,
            context=earlier.context, risk=earlier.risk, evidence=earlier.evidence,
        )  # fmt: skip
        if not _chain_against(tx, said):
            restored = make(tx, said, status=earlier.status, moment=moment)
    _let_agents_yield(tx, decision.pair, actor)
    return restored


def set_status(tx: TenantTransaction, decision: Decision, status: Status, *, actor: str, reason: str | None) -> Decision:
    """Give a current word another status, audited as `decision.<status>`."""
    tx.execute("decisions.set_status", {"decision_id": decision.decision_id, "status": status})
    after = replace(decision, status=status)
    _audit(tx, status, decision, actor=actor, reason=reason, before=decision, after=after)
    _let_agents_yield(tx, decision.pair, actor)
    return after


def add_decisions(tx: TenantTransaction, new: Sequence[NewDecision]) -> list[UUID]:
    """Decide many pairs in an open transaction, whoever spoke of them before; the ids in the order given.

    Raises:
        ConflictError: One contradicts what holds of others; names the path. Nothing is to be committed then.
    """
    moment = lock(tx)
    return [make(tx, each, status="decided", moment=moment).decision_id for each in new]


def row_hash(decision: Decision) -> bytes:
    """sha256 of the canonical row."""
    values = [None if (value := getattr(decision, each.name)) is None else _plain(value) for each in fields(decision)]
    return hashlib.sha256(json.dumps(values, sort_keys=True, ensure_ascii=False).encode()).digest()


def _plain(value: object) -> str:
    if isinstance(value, datetime):
        return f"{value.timestamp():.6f}"
    return value.model_dump_json() if isinstance(value, DecisionEvidence) else str(value)


def _of(pair: Pair) -> dict[str, object]:
    return {"entity_type": pair.entity_type, "left_id": pair.left_id, "right_id": pair.right_id}


def _decision(row: Any) -> Decision:
    values = row._asdict()
    evidence = None if row.evidence is None else DecisionEvidence.model_validate(row.evidence)
    return Decision(**{**values, "evidence": evidence})


def _facts(tx: TenantTransaction, pair: Pair) -> PairFacts:
    row: Any = tx.row(f"decisions.{pair.entity_type}_facts", {"left_id": pair.left_id, "right_id": pair.right_id})
    return PairFacts(**row._asdict())


def _taken_over(said: Iterable[Decision], decision: Decision) -> Decision | None:
    """The word that a decision took over from."""
    for each in said:
        if each.superseded_at == decision.made_at and each.actor_type == decision.actor_type and each.context != GOLD:
            return each if each.decision_id != decision.decision_id else None
    return None


def _refuse_contradiction(tx: TenantTransaction, new: NewDecision) -> None:
    if steps := _chain_against(tx, new):
        what = "humans' decisions say otherwise" if new.actor_type == "human" else "decisions say otherwise"
        hint = "take back one of them: pay-ready review undo DECISION; they are: " + ", ".join(str(each.word.decision_id) for each in steps)
        raise ConflictError(what, hint, verdict=new.verdict, path=told_path(new.pair.left_id, steps))


def _chain_against(tx: TenantTransaction, new: NewDecision) -> tuple[Step, ...]:
    """What a word would contradict: a human's those of humans, an agent's all."""
    if new.verdict == "unsure":
        return ()
    words = _words_around(tx, new.pair)
    said = [each for each in words if each.actor_type == "human"] if new.actor_type == "human" else _foremost(words)
    return contradicted(new.pair.left_id, new.pair.right_id, new.verdict, said)


def _words_around(tx: TenantTransaction, pair: Pair) -> list[Word]:
    """The words in force about everybody whom matches connect with one of the two; those about the two themselves left out."""
    found: dict[UUID, Word] = {}
    seen: set[UUID] = set()
    frontier = {pair.left_id, pair.right_id}
    while frontier:
        seen |= frontier
        rows = tx.rows("decisions.words_of", {"entity_type": pair.entity_type, "record_ids": list(frontier)})
        new = {row.decision_id: Word(**row._asdict()) for row in rows if row.decision_id not in found}
        found |= {each: word for each, word in new.items() if (word.left_id, word.right_id) != (pair.left_id, pair.right_id)}
        frontier = {end for word in new.values() if word.verdict == "match" for end in (word.left_id, word.right_id)} - seen
    return list(found.values())


def _foremost(words: Iterable[Word]) -> list[Word]:
    """By pair the word that holds: a human's before an agent's."""
    best: dict[tuple[UUID, UUID], Word] = {}
    for word in words:
        ends = (word.left_id, word.right_id)
        if ends not in best or word.actor_type == "human":
            best[ends] = word
    return list(best.values())


def _let_agents_yield(tx: TenantTransaction, pair: Pair, actor: str) -> None:
    """What holds of the pair now may contradict agents' words, or be one that contradicts others: agents' words become proposals."""
    spoken = current(tx, pair)
    holding = next((each for kind in ("human", "agent") if (each := spoken.get(kind)) and each.is_in_force), None)
    while holding is not None and holding.verdict != "unsure":
        steps = contradicted(pair.left_id, pair.right_id, holding.verdict, _foremost(_words_around(tx, pair)))
        if not steps:
            return
        if holding.actor_type == "agent":
            _yield(tx, holding, actor)
            return
        yielding = [step.word for step in steps if step.word.actor_type == "agent"]
        for word in yielding:
            _yield(tx, require(tx, word.decision_id), actor)
        if not yielding:
            return  # humans' words written past this module: `verify` finds them


def _yield(tx: TenantTransaction, decision: Decision, actor: str) -> None:
    tx.execute("decisions.set_status", {"decision_id": decision.decision_id, "status": "open"})
    _audit(tx, "yielded", decision, actor=actor, reason=_YIELDED, before=decision, after=replace(decision, status="open"))


def _audit(
    tx: TenantTransaction, done: str, decision: Decision, *, actor: str, reason: str | None, before: Decision | None, after: Decision
) -> None:
    tenants.audit(
        tx, actor=actor, action=f"decision.{done}", subject_kind="decision", subject_id=str(decision.decision_id), reason=reason,
        before_hash=row_hash(before) if before else None, after_hash=row_hash(after),
    )  # fmt: skip
