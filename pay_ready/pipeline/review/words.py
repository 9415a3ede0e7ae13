"""What a reviewer says of a pair: decided, taken back, handed on, objected to. Each is one transaction under the tenant's decision lock."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from uuid import UUID

from pay_ready.db import decisions as db_decisions
from pay_ready.db import review as db_review
from pay_ready.db.tenancy import TenantTransaction
from pay_ready.errors import ConflictError, NotFoundError, UsageError
from pay_ready.model.review import GOLD, Decision, NewDecision, Pair, Verdict
from pay_ready.pipeline.review.desk import Desk
from pay_ready.resolve.reviewing import status_of

_LONGEST_REASON = 2_000  # characters


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """A word as it stands now."""

    decision: Decision
    is_new: bool  # False: it was said already, and nothing was written


@dataclass(frozen=True, slots=True, kw_only=True)
class Withdrawn:
    """A word that was taken back."""

    decision: Decision
    restored: Decision | None  # what it had taken over from, said again
    is_new: bool  # False: it was taken back already


class _TriedError(Exception):
    """Leaves a transaction without a trace."""


@contextmanager
def _opened(desk: Desk, *, dry_run: bool) -> Iterator[TenantTransaction]:
    """A transaction; of a dry run nothing stays."""
    with suppress(_TriedError), desk.database.tenant_transaction(desk.tenant) as tx:
        yield tx
        if dry_run:
            raise _TriedError


def decide(
    desk: Desk,
    pair: Pair,
    verdict: Verdict,
    *,
    reason: str | None = None,
    context: str = "review",
    overrule: bool = False,
    dry_run: bool = False,
) -> Said:
    """Say whether two records are one. Said again by the same reviewer, nothing is written.

    Args:
        desk: Whose word it is.
        pair: Of which records.
        verdict: match, no_match or unsure.
        reason: Why; kept with the word and in the audit.
        context: Where it was made.
        overrule: Settle the pair, whoever spoke or looks at it; needs a reason.
        dry_run: Say what would be written, and write nothing.

    Raises:
        NotFoundError: A record is not there, or another tenant's.
        ConflictError: Another reviewer decided the pair or has it before him, or the word contradicts what others said; says who, and how.
        UsageError: No reason to overrule, or a context that is reserved.
    """
    _refuse(reason, context)
    new = NewDecision(pair=pair, verdict=verdict, actor=desk.actor, reason=reason, context=context)
    with _opened(desk, dry_run=dry_run) as tx:
        return _decided(tx, desk, new, overrule=overrule)


def _decided(tx: TenantTransaction, desk: Desk, new: NewDecision, *, overrule: bool) -> Said:
    moment = db_decisions.lock(tx)
    pair, known = new.pair, db_decisions.facts(tx, new.pair)
    if _is_asked_as_gold(tx, pair, desk.actor, overrule=overrule):
        made = db_decisions.make(tx, replace(new, context=GOLD), status="decided", moment=moment, known=known)
        db_review.release(tx, pair, desk.actor)
        return Said(decision=made, is_new=True)
    history = [each for each in db_decisions.history(tx, pair) if each.actor_type == "human" and each.context != GOLD]
    status = status_of(new.verdict, desk.actor, new.reason, history, double=desk.rules.double, overrule=overrule)
    db_review.release(tx, pair, desk.actor)
    if status is None:
        return Said(decision=next(each for each in history if each.superseded_at is None), is_new=False)
    return Said(decision=db_decisions.make(tx, new, status=status, moment=moment, known=known), is_new=True)


def undo(desk: Desk, decision_id: UUID | None, *, reason: str | None = None, overrule: bool = False, dry_run: bool = False) -> Withdrawn:
    """Take a word back; what it had taken over from holds again. Without an id: the reviewer's last word.

    Raises:
        NotFoundError: There is no such word.
        ConflictError: It is another reviewer's, or a later word took over.
        UsageError: Overruling without a reason.
    """
    _refuse(reason, "review")
    if overrule and not reason:
        raise UsageError("overruling needs a reason", 'add --reason "…"')
    with _opened(desk, dry_run=dry_run) as tx:
        return _undone(tx, desk, decision_id, reason=reason, overrule=overrule)


def _undone(tx: TenantTransaction, desk: Desk, decision_id: UUID | None, *, reason: str | None, overrule: bool) -> Withdrawn:
    moment = db_decisions.lock(tx)
    found = db_decisions.latest_of(tx, desk.actor) if decision_id is None else db_decisions.require(tx, decision_id)
    if found is None:
        raise NotFoundError("you have said nothing that could be taken back", "see: pay-ready review list", actor=desk.actor)
    if found.actor_type == "human" and found.actor != desk.actor and not overrule:
        hint = 'take it back all the same: --overrule --reason "…"'
        raise ConflictError("another reviewer's decision", hint, by=found.actor, decision=found.decision_id)
    if found.superseded_at is not None:
        _refuse_superseded(tx, found)
        return Withdrawn(decision=found, restored=None, is_new=False)
    restored = db_decisions.withdraw(tx, found, actor=desk.actor, reason=reason, moment=moment)
    return Withdrawn(decision=db_decisions.require(tx, found.decision_id), restored=restored, is_new=True)


def escalate(desk: Desk, pair: Pair, *, reason: str | None = None) -> Said:
    """Hand a pair on to somebody who knows more; nobody decided it yet.

    Raises:
        NotFoundError: A record is not there.
        ConflictError: The pair is decided: then one objects to it (`appeal`).
    """
    _refuse(reason, "review")
    with desk.database.tenant_transaction(desk.tenant) as tx:
        moment = db_decisions.lock(tx)
        known = db_decisions.facts(tx, pair)
        stands = db_decisions.current(tx, pair).get("human")
        db_review.release(tx, pair, desk.actor)
        if stands is not None and stands.is_in_force:
            hint = "object to it: pay-ready review appeal LEFT RIGHT --reason …"
            raise ConflictError("the pair is decided", hint, by=stands.actor, verdict=stands.verdict, status=stands.status)
        if stands is not None and stands.status == "escalated":
            return Said(decision=stands, is_new=False)
        if stands is not None and stands.status == "open":
            return Said(decision=db_decisions.set_status(tx, stands, "escalated", actor=desk.actor, reason=reason), is_new=True)
        new = NewDecision(pair=pair, verdict="unsure", actor=desk.actor, reason=reason)
        return Said(decision=db_decisions.make(tx, new, status="escalated", moment=moment, known=known), is_new=True)


def appeal(desk: Desk, pair: Pair, *, reason: str) -> Said:
    """Object to a decision: it stays in force, and waits for a new one.

    Raises:
        NotFoundError: The pair is not decided.
    """
    _refuse(reason, "review")
    with desk.database.tenant_transaction(desk.tenant) as tx:
        db_decisions.lock(tx)
        db_decisions.facts(tx, pair)
        stands = next((each for each in db_decisions.current(tx, pair).values() if each.is_in_force and each.actor_type == "human"), None)
        if stands is None:
            hint = "decide it: pay-ready review decide LEFT RIGHT match|no_match"
            raise NotFoundError("no reviewer decided this pair", hint, left=pair.left_id, right=pair.right_id)
        if stands.status == "appealed":
            return Said(decision=stands, is_new=False)
        return Said(decision=db_decisions.set_status(tx, stands, "appealed", actor=desk.actor, reason=reason), is_new=True)


def _refuse(reason: str | None, context: str) -> None:
    if context == GOLD or not context:
        raise UsageError("a context that answers about decided pairs have", "leave out --context, or name another", context=context)
    if reason is not None and len(reason) > _LONGEST_REASON:
        raise UsageError("the reason is too long", f"at most {_LONGEST_REASON} characters", characters=len(reason))


def _is_asked_as_gold(tx: TenantTransaction, pair: Pair, actor: str, *, overrule: bool) -> bool:
    """Whether the reviewer has the pair before him as one that is decided already.

    Raises:
        ConflictError: Somebody else has it before him.
    """
    held = db_review.holder(tx, pair)
    if held is None:
        return False
    if held.actor != actor:
        if overrule:
            return False
        hint = 'ask him, wait, or decide it all the same: --overrule --reason "…"'
        raise ConflictError(
            "another reviewer has this pair before him", hint, by=held.actor, until=f"{held.leased_until:%Y-%m-%d %H:%M:%S}"
        )
    return held.is_gold and not overrule


def _refuse_superseded(tx: TenantTransaction, found: Decision) -> None:
    later = next(
        (
            each
            for each in db_decisions.history(tx, found.pair)
            if each.made_at == found.superseded_at and each.actor_type == found.actor_type and each.decision_id != found.decision_id
        ),
        None,
    )
    if later is not None and found.context != GOLD:
        hint = f"take back that one: pay-ready review undo {later.decision_id}"
        raise ConflictError("a later decision took over", hint, by=later.actor, verdict=later.verdict)
