"""What becomes of a word when others have spoken of the same pair: one reviewer, two, and who settles what they disagree about."""

from collections.abc import Sequence

from pay_ready.errors import ConflictError, UsageError
from pay_ready.model.review import Decision, Status, Verdict


def voices(history: Sequence[Decision]) -> list[Decision]:
    """The words about a pair that have not led to a decision yet, newest first: the current one, and what it answered.

    Args:
        history: All human words about the pair.
    """
    found = [each for each in history if each.superseded_at is None]
    while found:
        answered = next((each for each in history if each.superseded_at == found[-1].made_at and each not in found), None)
        if answered is None or answered.status not in ("open", "escalated"):
            break
        found.append(answered)
    return found


def status_of(
    verdict: Verdict, actor: str, reason: str | None, history: Sequence[Decision], *, double: bool, overrule: bool
) -> Status | None:
    """The status of a new human word about a pair; None where it is said already and nothing is to be done.

    Args:
        verdict: The new word.
        actor: Who says it.
        reason: Why.
        history: All human words about the pair.
        double: Whether a pair is decided by two who agree.
        overrule: Whether the word is meant to settle the pair, whoever spoke before.

    Raises:
        ConflictError: Somebody else decided the pair, or the actor cannot settle it alone; names who spoke, and the way on.
        UsageError: Overruling without a reason.
    """
    if overrule:
        if not reason:
            raise UsageError("overruling needs a reason", 'add --reason "…"')
        return "decided"
    spoken = voices(history)
    if not spoken:
        return "open" if double else "decided"
    current = spoken[0]
    if current.actor == actor:
        return _changed_mind(verdict, current, double=double)
    if current.status == "open":
        return "decided" if current.verdict == verdict else "escalated"
    if current.status == "decided" and current.verdict != "unsure":
        raise _conflict("somebody decided this pair already", current)
    if current.status == "escalated" and any(each.actor == actor for each in spoken):
        raise _conflict("a third reviewer settles this pair", current)
    return "decided"


def _changed_mind(verdict: Verdict, current: Decision, *, double: bool) -> Status | None:
    """The status of a word of who spoke last."""
    if current.verdict == verdict and current.status in ("open", "decided"):
        return None
    if not double:
        return "decided"
    if current.status == "open":
        return "open"
    if current.status == "decided":
        return "escalated"  # what two agreed on is not changed by one
    raise _conflict("another reviewer settles this pair", current)


def _conflict(what: str, current: Decision) -> ConflictError:
    hint = 'to decide it all the same: review decide … --overrule --reason "…"'
    return ConflictError(
        what, hint, by=current.actor, verdict=current.verdict, status=current.status, at=f"{current.made_at:%Y-%m-%d %H:%M}"
    )


def gold_is_due(answers: int, gold_answers: int, percent: float) -> bool:
    """Whether a reviewer's next pair is one that is decided already, so that in the long run `percent` of all answers are of such pairs."""
    return int((answers + 1) * percent / 100) > gold_answers
