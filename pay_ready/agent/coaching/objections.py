"""What customers object to, and what the rep made of it."""

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import tzinfo
from typing import Literal

from pay_ready.agent.coaching.conversations import Conversation, Quote, finite, quote_of
from pay_ready.agent.coaching.measures import CallMeasures
from pay_ready.agent.coaching.questions import count_questions
from pay_ready.agent.coaching.trackers import Hit, Tracker
from pay_ready.agent.sentences import words_of
from pay_ready.model.talk import Side, Utterance

Outcome = Literal["resolved", "came back", "open", "unanswered"]
_MOST_ANSWER = 6  # turns of the rep's side that are read as the answer
OUTCOMES: Mapping[Outcome, str] = {
    "resolved": "the customer agreed afterwards, and it did not come back",
    "came back": "the customer objected to the same later on",
    "open": "it was answered, and the customer agreed to nothing",
    "unanswered": "nobody of the rep's side spoke or wrote after it",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Objection:
    """One objection and its handling."""

    conversation_id: str
    index: int  # of the utterance
    kind: str  # the tracker's id
    label: str
    quote: Quote
    answer: Quote | None  # the turn that opens the answer
    is_acknowledged: bool
    is_asked_about: bool
    answer_words: int
    answer_s: float | None  # speech of the answer, where it has times
    pause_s: float | None  # from the objection's end to the answer
    outcome: Outcome
    settled_by: Quote | None = None  # where the customer agreed, or objected again


def objections_of(conversation: Conversation, hits: Sequence[Hit], trackers: Sequence[Tracker], zone: tzinfo) -> list[Objection]:
    """The objections of one conversation, in order.

    An utterance is one objection of each kind that finds it. The answer is what the rep's side says from there to the customer's next turn.
    Turns in a row of the same kind, with no answer between them, are one objection.

    Args:
        conversation: One.
        hits: Its hits.
        trackers: Those of the groups objection, acknowledgement and agreement are used.
        zone: Of the quotes' times.
    """
    groups = {each.tracker_id: each for each in trackers}
    objecting = [hit for hit in hits if groups[hit.tracker_id].group == "objection"]
    heard = _Heard(
        acknowledged=frozenset(hit.index for hit in hits if groups[hit.tracker_id].group == "acknowledgement"),
        agreed={hit.index: hit for hit in hits if groups[hit.tracker_id].group == "agreement"},
        objecting=tuple(objecting),
    )
    found: list[Objection] = []
    answered_until: dict[str, int] = {}
    for hit in objecting:
        answer = _answer(conversation, hit.index)
        reached = answer[0] if answer else len(conversation.said)
        if answered_until.get(hit.tracker_id) == reached:
            continue
        answered_until[hit.tracker_id] = reached
        found.append(_handled(conversation, hit, groups[hit.tracker_id], answer, heard, zone))
    return found


HANDLED: Mapping[str, Callable[[Objection], bool]] = {  # names of `formulas.MEASURES`: the share of the objections of which it is true
    "objections_acknowledged": lambda objection: objection.is_acknowledged,
    "objections_asked": lambda objection: objection.is_asked_about,
    "objections_resolved": lambda objection: objection.outcome == "resolved",
}


def with_objections(measures: CallMeasures, objections: Sequence[Objection]) -> CallMeasures:
    """The measures of a conversation with those of its objections, whose evidence are the objections that were not handled so."""
    if not objections:
        return measures
    figures = {name: statistics.fmean(map(is_so, objections)) for name, is_so in HANDLED.items()}
    evidence = {name: tuple(each.index for each in objections if not is_so(each)) for name, is_so in HANDLED.items()}
    return replace(measures, figures={**measures.figures, **figures}, evidence={**measures.evidence, **evidence})


@dataclass(frozen=True, slots=True, kw_only=True)
class _Heard:
    acknowledged: frozenset[int]
    agreed: Mapping[int, Hit]
    objecting: tuple[Hit, ...]


def _answer(conversation: Conversation, index: int) -> list[int]:
    """The rep's side's turns after an objection, up to the customer's next one after them."""
    answer: list[int] = []
    for following in range(index + 1, len(conversation.said)):
        side: Side = conversation.said[following].utterance.side
        if side == "internal":
            answer.append(following)
        elif side == "external" and answer:
            break
        if len(answer) == _MOST_ANSWER:
            break
    return answer


def _handled(conversation: Conversation, hit: Hit, tracker: Tracker, answer: Sequence[int], heard: _Heard, zone: tzinfo) -> Objection:
    turns = [conversation.said[index].utterance for index in answer]
    objected = conversation.said[hit.index].utterance
    outcome, settled = _outcome(hit, answer, heard)
    return Objection(
        conversation_id=conversation.conversation_id,
        index=hit.index,
        kind=hit.tracker_id,
        label=tracker.label,
        quote=quote_of(objected, zone, text=hit.sentence),
        answer=quote_of(turns[0], zone) if turns else None,
        is_acknowledged=any(index in heard.acknowledged for index in answer),
        is_asked_about=any(count_questions(conversation.sentences[index]) for index in answer),
        answer_words=sum(len(words_of(turn.text)) for turn in turns),
        answer_s=_seconds(turns),
        pause_s=_gap(objected, turns[0]) if turns and conversation.is_spoken else None,
        outcome=outcome,
        settled_by=quote_of(conversation.said[settled.index].utterance, zone, text=settled.sentence) if settled else None,
    )


def _outcome(hit: Hit, answer: Sequence[int], heard: _Heard) -> tuple[Outcome, Hit | None]:
    if not answer:
        return "unanswered", None
    again = [each for each in heard.objecting if each.tracker_id == hit.tracker_id and each.index > answer[0]]
    if again:
        return "came back", again[0]
    # Whoever objects to something else in the same breath has not agreed.
    against = {each.index for each in heard.objecting}
    agreed = [each for index, each in sorted(heard.agreed.items()) if index > answer[0] and index not in against]
    return ("resolved", agreed[0]) if agreed else ("open", None)


def _seconds(turns: Sequence[Utterance]) -> float | None:
    times = [(finite(turn.start_s), finite(turn.end_s)) for turn in turns]
    known = [end - start for start, end in times if start is not None and end is not None and end >= start]
    return sum(known) if known and len(known) == len(turns) else None


def _gap(before: Utterance, after: Utterance) -> float | None:
    end, start = finite(before.end_s), finite(after.start_s)
    return start - end if end is not None and start is not None else None
