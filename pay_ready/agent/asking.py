"""What a plan lacks before it can be answered, as a question back in plain English."""

from collections.abc import Sequence
from dataclasses import dataclass

from pay_ready.agent.name_links import NameLink, Names
from pay_ready.agent.names import Candidate
from pay_ready.agent.plan import LONGEST_TEXT, EntityRef, PlanEntity, QueryPlan, State
from pay_ready.agent.safe_text import clip

_WHAT_I_ANSWER = (
    "I answer questions about your customers and what was said with them: summary, timeline, sentiment, "
    "topics, coaching, similar, search, count, who,"
    " compare, promises. For example: summarise our calls with Acme last quarter."
)
_NO_INTENT = (
    "I did not understand what you want to know. Say it another way, for example: summary, timeline, sentiment, topics, count or who."
)
LISTED = 4  # of those that tie
_SHORT = 40  # characters
_NAMES_NEEDED = ("summary", "timeline", "sentiment", "coaching", "count", "who", "compare", "promises")


@dataclass(frozen=True, slots=True)
class Read:
    """What a question was and what was found in it."""

    text: str
    names: Names
    at_home: bool  # it is about customers


def asked(plan: QueryPlan, read: Read) -> QueryPlan:
    """The plan with its state: ready, or with the question to ask back first."""
    state, back = _state(plan, read)
    unknown = tuple(read.text[begin:end][:500] for begin, end in read.names.unknown)
    told = dict.fromkeys((*plan.not_understood, *(unknown if state == "asks" else ())))
    offered = read.names.doubtful[0].candidates[0] if state == "asks" and read.names.doubtful and _asks_for_names(plan) else None
    return plan.model_copy(
        update={
            "state": state, "question_back": back[:LONGEST_TEXT], "not_understood": tuple(told),
            "suggested": entity_ref(offered) if offered else None,
        }
    )  # fmt: skip


def entity_ref(candidate: Candidate) -> EntityRef:
    """An entity that a name may mean, for a plan."""
    return EntityRef(
        id=candidate.id, name=candidate.name, entity_type=candidate.entity_type, detail=candidate.detail[:LONGEST_TEXT]
    )  # fmt: skip


def tied_of(plan: QueryPlan) -> PlanEntity | None:
    """Of the people and companies of a plan the first of whom nobody knows which one is meant."""
    return next((each for each in (*plan.entities, *plan.participants) if each.ties), None)


def _state(plan: QueryPlan, read: Read) -> tuple[State, str]:
    if plan.intent is None:
        return "abstains", _NO_INTENT if read.at_home or read.names.links else _WHAT_I_ANSWER
    if tied := tied_of(plan):
        return "asks", which(tied)
    if _asks_for_names(plan) and (back := _unknown(read)):
        return "asks", back
    if plan.intent == "similar" and plan.similar_to is None:
        return "asks", "Like which interaction? Give its id, or look at one first."
    if plan.intent == "compare" and len(plan.entities) < 2 and len(plan.periods) < 2:
        return "asks", "Compare with what? Name two people, two companies or two times."
    return "ready", ""


def _asks_for_names(plan: QueryPlan) -> bool:
    return tied_of(plan) is None and plan.intent in _NAMES_NEEDED


def which(entity: PlanEntity) -> str:
    """The question which of several is meant; numbered, for two may have one name."""
    kinds = {each.entity_type for each in entity.ties}
    noun = {"person": "people", "company": "companies"}[kinds.pop()] if len(kinds) == 1 else "people and companies"
    told = [f"({number}) {told_ref(each)}" for number, each in enumerate(entity.ties[:LISTED], 1)]
    more = f" and {entity.tied - len(told)} more" if entity.tied > len(told) else ""
    how = "Give the e-mail address, the domain or the company"
    return f'"{clip(entity.words, _SHORT)}" fits {entity.tied} {noun}: {", ".join(told)}{more}. Which one? {how}.'


def told_ref(entity: EntityRef) -> str:
    """Somebody with what tells them from others of their name: "Sam Lee, sam@globex.io"."""
    return ", ".join(filter(None, (clip(entity.name, _SHORT), clip(entity.detail, _SHORT))))


def _unknown(read: Read) -> str:
    """A name that nobody has; one that is part of a known name asks whether that is meant."""
    if read.names.doubtful:
        link = read.names.doubtful[0]
        return f"{_nobody(read, [link])} Did you mean {link.candidates[0].name} ({link.candidates[0].entity_type})?"
    return f"{_nobody(read, [])} Check the spelling, or give an e-mail address or a domain." if read.names.unknown else ""


def _nobody(read: Read, doubtful: Sequence[NameLink]) -> str:
    if read.names.unknown:
        begin, end = read.names.unknown[0]
        return f'I know nobody and no company called "{read.text[begin:end]}".'
    return f'I am not sure about "{doubtful[0].words}": the words beside it may belong to the name.'
