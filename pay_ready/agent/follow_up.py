"""A question that leaves unsaid what the one before it said: "and last quarter?", "what about Globex?", "what did she promise?", "why?"

Pure: of the plan before and the question read by itself a plan, which says what it took over. A question that is whole takes over nothing.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Literal, TypeVar

from pay_ready.agent.asking import Read, asked
from pay_ready.agent.follow_times import time_beside
from pay_ready.agent.follow_words import Shape, shape_of
from pay_ready.agent.intent_rules import intent_by_rules
from pay_ready.agent.name_links import Names
from pay_ready.agent.names import NameIndex
from pay_ready.agent.plan import MOST_ROWS, EntityRef, Grouping, Intent, Part, PlanEntity, QueryPlan, TimeRange
from pay_ready.agent.reading import QuestionRead
from pay_ready.agent.tie_answers import chosen_of

_I = re.IGNORECASE
_SURE = 0.8  # of what the question before said
_SURE_CLASSIFIED = 0.55  # of the classifier, from here on, where something else shows what the question hangs on
_SHOWN, _SHOWN_LINES = 10, 30  # where no number is said: of a tool, of a timeline
_ONLY = re.compile(r"^(?:(?:and|but) )?(?:only|just)\b|\bonly\W*$|^(?:and )?(?:those|the ones|these) (?:with|by|where)\b", _I)
_TOO = re.compile(r"^(?:and )?(?:also|plus)\b|\b(?:too|as well|in addition)\W*$", _I)
# What takes away what the question before said.
_EVERYBODY = re.compile(
    r"\b(?:for|of|with|from|at|across|by|among|over) (?:all|every|everybody|everyone|any|the whole)\b"
    r"(?! (?:of )?(?:the )?(?:time|times|sources?|systems?|channels?|tools?|types?|kinds?)\b)|\bin (?:general|total)\b|\boverall\b",
    _I,
)
_EVER = re.compile(r"\b(?:of|for|over|at) (?:all|any) times?\b|\b(?:any ?time|all[- ]time|ever|since the (?:very )?beginning)\b", _I)
_ANYWHERE = re.compile(r"\b(?:from|in|across|over|of|by) (?:all|any|every) (?:sources?|systems?|channels?|tools?)\b|\bevery ?where\b", _I)
_ANYHOW = re.compile(
    r"\b(?:all|any|every) (?:types?|kinds?)(?: of (?:interactions?|contacts?|conversations?))?\b|\ball interactions\b|\beverything\b", _I
)
_SAID = re.compile(r"\b(?:say|said|tell|told|discuss|discussed|talk|talked)\b", _I)
_NO_WHY = "I cannot tell why, only what was said. Ask for the sentiment, the topics or the timeline, or search for a word."
_PLACES = {"first": 0, "former": 0, "second": 1, "third": 2, "latter": -1, "last": -1}
_SAY_ALL: tuple[Intent, ...] = ("summary", "search", "similar")  # there is no more behind them
_BY_PERIOD: tuple[Intent, ...] = ("sentiment", "count")
_BY_PARTY: Mapping[Grouping, Intent] = {"person": "who", "company": "who"}
_VALUES: Mapping[Part, Callable[[QueryPlan], object]] = {
    "intent": lambda plan: plan.intent, "entities": lambda plan: plan.entities, "participants": lambda plan: plan.participants,
    "time": lambda plan: plan.periods or plan.time_range, "sources": lambda plan: plan.sources,
    "types": lambda plan: plan.interaction_types, "languages": lambda plan: plan.languages, "grouping": lambda plan: plan.grouping,
    "limit": lambda plan: plan.limit, "words": lambda plan: plan.words, "interaction": lambda plan: plan.similar_to,
}  # fmt: skip
Item = TypeVar("Item")


def followed(before: QueryPlan, new: QuestionRead, names: NameIndex) -> QueryPlan:
    """The plan of a question behind another one.

    Args:
        before: The plan of the one before: one that was ready, or that asked back.
        new: The question, read by itself.
        names: Of the tenant, to know who "the one at Initech" is.
    """
    if before.state == "asks" and (answered := _answered(before, new.read.text, names)) is not None:
        return answered
    shape = shape_of(new.masked)
    if before.intent is None or not _hangs(new, shape, before):
        return new.plan
    return _continued(before, before.intent, new, shape)


def _answered(before: QueryPlan, text: str, names: NameIndex) -> QueryPlan | None:
    """What was asked back is answered; None where it is not."""
    found = chosen_of(before, text, names)
    if found is None:
        return None
    kept = tuple(part for part, value in _VALUES.items() if part not in ("entities", "participants") and value(before))
    people = {"entities": found[0], "participants": found[1]}
    plan = before.model_copy(update={**people, "not_understood": (), "taken_over": kept})
    return asked(plan, Read(text, Names((), ()), at_home=True))


def _hangs(new: QuestionRead, shape: Shape, before: QueryPlan) -> bool:
    """Whether the question is not whole."""
    told = intent_by_rules(shape.text).intent
    # "More calls like it" means what is on the screen, "the second one" one of those that were named.
    refers = shape.refers is not None and told != "similar" and (shape.refers != "one" or len(before.entities) > 1)
    which_one = before.intent == "similar" and before.similar_to is None and new.interaction is not None
    if shape.is_marked or shape.is_bare or shape.wants_more or shape.back_then or refers or which_one:
        return True
    names = _names_somebody(new)
    if shape.is_clause or (names and (told or new.plan.interaction_types)):
        return False
    return bool(told or names or _narrows(new, before) or (before.intent == "search" and new.rest))


def _names_somebody(new: QuestionRead) -> bool:
    return bool(new.plan.entities or new.read.names.unknown or new.read.names.doubtful)


def _narrows(new: QuestionRead, before: QueryPlan) -> bool:
    """Whether it says anything of times, sources, types and the like."""
    plan = new.plan
    said = plan.time_range or plan.sources or plan.interaction_types or plan.languages or plan.grouping or plan.limit
    beside = before.time_range is not None and time_beside(new.read.text, before.time_range) is not None
    return bool(said) or beside or any(each.search(new.read.text) for each in (_EVERYBODY, _EVER, _ANYWHERE, _ANYHOW))


def _continued(before: QueryPlan, was: Intent, new: QuestionRead, shape: Shape) -> QueryPlan:
    own, text = new.plan, new.read.text
    intent, is_told = _intent(before, was, new, shape)
    if intent is None:
        return own.model_copy(update={"intent": None, "state": "abstains", "question_back": _NO_WHY, "confidence": 0.0})
    entities, participants, back = _people(before, own, intent, shape, text)
    time_range, periods = _times(before, own, intent, text)
    is_same = intent == was
    plan = own.model_copy(
        update={
            "intent": intent, "entities": entities, "participants": participants, "time_range": time_range, "periods": periods,
            "sources": _filter(before.sources, own.sources, text, _ANYWHERE),
            "interaction_types": _filter(before.interaction_types, own.interaction_types, text, _ANYHOW),
            "languages": own.languages or before.languages,
            "grouping": own.grouping or (before.grouping if is_same or {was, intent} <= set(_BY_PERIOD) else None),
            "limit": _limit(before, own, shape, is_same=is_same), "words": _words(before, new, intent, is_told=is_told),
            "similar_to": (new.interaction or own.similar_to or before.similar_to) if intent == "similar" else None,
            "confidence": round(min(before.confidence or _SURE, _SURE), 3),
            "read_by": own.read_by if is_told and own.intent == intent else before.read_by,
        }
    )  # fmt: skip
    plan = plan.model_copy(update={"taken_over": tuple(_taken_over(before, own, plan, is_told=is_told))})
    made = asked(plan, Read(text, new.read.names, at_home=True))
    return made.model_copy(update={"state": "asks", "question_back": back}) if back and made.state == "ready" else made


def _intent(before: QueryPlan, was: Intent, new: QuestionRead, shape: Shape) -> tuple[Intent | None, bool]:
    """What is asked, and whether the question's own words tell it."""
    if shape.is_bare:
        return _bare_intent(shape.text.lower(), was), True
    if shape.wants_more:
        return was, False
    told, own = intent_by_rules(shape.text).intent, new.plan
    if told == "search" and not new.rest:
        return ("summary" if _SAID.search(shape.text) else "timeline"), True
    if told is not None:
        return told, True
    if shape.is_clause and own.intent and own.read_by == "classifier" and own.confidence >= _SURE_CLASSIFIED:
        return own.intent, True
    if own.grouping and (grouped := _grouped_intent(was, own.grouping)) != was:
        return grouped, True
    # "What about the invoices?"
    is_about = new.rest and (shape.is_marked or shape.is_clause) and not _names_somebody(new) and not _narrows(new, before)
    return ("search", was != "search") if is_about else (was, False)


def _bare_intent(word: str, was: Intent) -> Intent | None:
    if word.startswith(("why", "how come", "how so")):
        return None if was in _SAY_ALL else "summary"
    return "who" if word.startswith("who") else "timeline" if word.startswith(("when", "since")) else "count"


def _grouped_intent(was: Intent, grouping: Grouping) -> Intent:
    """ "By month" of what has no months counts."""
    if grouping in _BY_PARTY:
        return was if was in ("who", "topics", "compare") else _BY_PARTY[grouping]
    return was if was in _BY_PERIOD else "count"


def _people(
    before: QueryPlan, own: QueryPlan, intent: Intent, shape: Shape, text: str
) -> tuple[tuple[PlanEntity, ...], tuple[PlanEntity, ...], str]:
    """Whom it is about, who else took part, and what to ask back where nobody can be meant."""
    meant, back = _meant(before, shape)
    if own.entities and shape.refers is not None and meant:
        if intent == "compare":  # "compare it with Globex"
            return _each_once((*meant, *own.entities)), own.participants or before.participants, back
        # "What did Bob promise them?", "what did she tell Globex?": both took part.
        return own.entities, _each_once((*own.participants, *meant)), back
    if own.entities:
        return (*_with_own(before, own, intent, text), "")
    if _EVERYBODY.search(text):
        return (), own.participants, ""
    if shape.refers is None:
        return before.entities, own.participants or before.participants, ""
    return meant, own.participants or (before.participants if meant == before.entities else ()), back


def _with_own(before: QueryPlan, own: QueryPlan, intent: Intent, text: str) -> tuple[tuple[PlanEntity, ...], tuple[PlanEntity, ...]]:
    """People and companies that the question names, in place of those before or beside them."""
    people = tuple(each for each in own.entities if each.entity_type == "person")
    if intent == before.intent == "compare" and len(own.entities) == 1 and before.entities:
        return _each_once((*before.entities, *own.entities)), own.participants or before.participants
    if intent == "coaching" and not people:
        reps = [each for each in before.entities if each.entity_type == "person"][:1]
        return _each_once((*reps, *own.entities)), own.participants
    if _ONLY.search(text) and people == own.entities and any(each.entity_type == "company" for each in before.entities):
        return before.entities, people
    return own.entities, own.participants or before.participants


def _meant(before: QueryPlan, shape: Shape) -> tuple[tuple[PlanEntity, ...], str]:
    """Whom "she", "there", "it" or "them" means, of those before; and what to ask back where nobody can be."""
    if shape.refers is None:
        return (), ""
    if shape.refers == "one":
        place = _PLACES[shape.word]
        one = before.entities[place : place + 1] if place >= 0 else before.entities[-1:]
        return one or before.entities, ""
    if shape.refers == "them":
        return before.entities or before.participants, ""
    kind: Literal["person", "company"] = "person" if shape.refers == "person" else "company"
    fitting = tuple(each for each in before.entities if each.entity_type == kind)
    fitting = fitting or tuple(each for each in before.participants if each.entity_type == kind)
    if not fitting:
        back = f'Whom do you mean by "{shape.word}"? Name the {kind}.'
        return before.entities, "" if shape.refers == "thing" else back
    return (fitting, "") if len(fitting) == 1 or kind == "company" else ((_tied(fitting, shape.word),), "")


def _tied(entities: Sequence[PlanEntity], word: str) -> PlanEntity:
    """ "She", of several people: one of them, and nobody has said which."""
    ties = tuple(tie for each in entities for tie in each.ties or _refs(each))
    return PlanEntity(name=word, entity_type=entities[0].entity_type, score=_SURE, words=word, ties=ties, tied=len(ties))


def _refs(entity: PlanEntity) -> tuple[EntityRef, ...]:
    return (EntityRef(id=entity.id, name=entity.name, entity_type=entity.entity_type, detail=entity.detail),) if entity.id else ()


def _each_once(entities: Sequence[PlanEntity]) -> tuple[PlanEntity, ...]:
    return tuple({each.ids: each for each in entities}.values())


def _times(before: QueryPlan, own: QueryPlan, intent: Intent, text: str) -> tuple[TimeRange | None, tuple[TimeRange, ...]]:
    if before.time_range and (beside := time_beside(text, before.time_range)):
        return beside, ()
    if own.time_range or _EVER.search(text):
        return own.time_range, own.periods
    return before.time_range, before.periods if intent == before.intent else ()


def _filter(before: tuple[Item, ...], own: tuple[Item, ...], text: str, clears: re.Pattern[str]) -> tuple[Item, ...]:
    if own:
        return tuple(dict.fromkeys((*before, *own))) if _TOO.search(text) else own
    return () if clears.search(text) else before


def _limit(before: QueryPlan, own: QueryPlan, shape: Shape, *, is_same: bool) -> int | None:
    if shape.wants_more:
        return min(MOST_ROWS, 2 * (before.limit or (_SHOWN_LINES if before.intent == "timeline" else _SHOWN)))
    return own.limit or (before.limit if is_same else None)


def _words(before: QueryPlan, new: QuestionRead, intent: Intent, *, is_told: bool) -> str:
    """What is searched for."""
    if intent != "search":
        return new.plan.words
    own = "" if not is_told and (_names_somebody(new) or _narrows(new, before)) else new.rest
    return own or before.words


def _taken_over(before: QueryPlan, own: QueryPlan, plan: QueryPlan, *, is_told: bool) -> Iterator[Part]:
    people = {each.ids for each in (*before.entities, *before.participants)}
    for part, value in _VALUES.items():
        now = value(plan)
        if part == "intent":
            is_before = not is_told
        elif part in ("entities", "participants"):
            named = {each.ids for each in (*own.entities, *own.participants)}
            is_before = any(each.ids in people - named for each in (plan.entities if part == "entities" else plan.participants))
        else:
            is_before = now != value(own) and now == value(before)
        if now and is_before:
            yield part
