"""How well questions are read: times, intents and names on question sets, as figures between 0 and 1."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields
from datetime import date
from uuid import uuid5

from pay_ready.agent.calendars import Calendar
from pay_ready.agent.dates import parse_range
from pay_ready.agent.eval.questions import (
    ASKED_ON,
    DATE_SETS,
    DateQuestion,
    date_questions,
    drawn_people,
    follow_up_questions,
    intent_questions,
)
from pay_ready.agent.follow_up import followed
from pay_ready.agent.intent_model import NONE
from pay_ready.agent.name_forms import EntityType, NamedEntity
from pay_ready.agent.name_links import link_names
from pay_ready.agent.names import NameIndex
from pay_ready.agent.plan import QueryPlan
from pay_ready.agent.reading import Classify, question_read, read_question
from pay_ready.model.ids import NAMESPACE

_LETTERS = "etaoinshrdlucmfw"
# Whom the intent questions name.
_COMPANIES = ("Acme Inc.", "Globex Corporation", "Initech", "Hooli", "Umbrella")
_PEOPLE = ("Jane Doe", "Bob Miller", "Sam Lee", "Priya Kumar", "Alex Stone")
_ASKED = (
    "Summarise our calls with {} last quarter",
    "what did {} promise us in the past 90 days?",
    "How is {}'s sentiment this month",
    "timeline of {} since March",
)


@dataclass(frozen=True, slots=True)
class DateFigures:
    """Of questions with a time, how many were read to the day; of those without, how many got one."""

    asked: int
    exact: int
    without: int
    false: int
    wrong: tuple[str, ...]  # the questions

    @property
    def exact_share(self) -> float:
        """In [0, 1]."""
        return self.exact / self.asked if self.asked else 1.0


@dataclass(frozen=True, slots=True)
class IntentFigures:
    """Of questions that can be answered, how many have the right intent; of others, how many are declined."""

    asked: int
    right: int
    out_of_scope: int
    declined: int
    wrong: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class FollowUpFigures:
    """Of questions behind another one, how many whole plans are as meant."""

    asked: int
    right: int
    wrong: tuple[str, ...]  # the questions, and how they were read


@dataclass(frozen=True, slots=True)
class NameFigures:
    """Of questions that name somebody known, how many found them; of those that name others, how many found anybody."""

    asked: int
    found: int
    absent: int
    false: int


def evaluate_dates(
    questions: Sequence[DateQuestion] | None = None, today: date = ASKED_ON, calendar: Calendar | None = None
) -> DateFigures:
    """Times, on the given questions or on all of the project's own."""
    questions = questions if questions is not None else [each for name in DATE_SETS for each in date_questions(name)]
    read = [(each, parse_range(each.question, today, calendar)) for each in questions]
    right = [
        (each, (found is not None and (found.start, found.end) == (each.start, each.end)) if each.is_date else found is None)
        for each, found in read
    ]
    timed = [ok for each, ok in right if each.is_date]
    wrong = tuple(each.question for each, ok in right if not ok)
    return DateFigures(len(timed), sum(timed), len(right) - len(timed), sum(not ok for each, ok in right if not each.is_date), wrong)


def evaluate_intents(classify: Classify | None, questions: Sequence[tuple[str, str]] | None = None) -> IntentFigures:
    """Intents, on (label, question); the label "none" must be declined. A tenant of ten names is asked."""
    questions = questions if questions is not None else intent_questions()
    index = NameIndex([*_entities(_COMPANIES, "company"), *_entities(_PEOPLE, "person")])
    plans = [(label, question, read_question(question, index, ASKED_ON, classify=classify)) for label, question in questions]
    right = [(label, question, (plan.intent or NONE) == label) for label, question, plan in plans]
    known, others = [ok for label, _, ok in right if label != NONE], [ok for label, _, ok in right if label == NONE]
    return IntentFigures(len(known), sum(known), len(others), sum(others), tuple(question for _, question, ok in right if not ok))


def evaluate_follow_ups(classify: Classify | None = None, name: str = "follow_ups") -> FollowUpFigures:
    """Questions behind another one, each whole plan against the one that is meant. A tenant of ten names is asked."""
    index = NameIndex([*_entities(_COMPANIES, "company"), *_entities(_PEOPLE, "person")])
    questions, wrong = follow_up_questions(name), []
    for each in questions:
        before = read_question(each.before, index, ASKED_ON, classify=classify)
        plan = followed(before, question_read(each.question, index, ASKED_ON, classify=classify), index)
        if (told := told_plan(plan)) != each.meant:
            wrong.append(f"{each.before} / {each.question}: {told}")
    return FollowUpFigures(len(questions), len(questions) - len(wrong), tuple(wrong))


def told_plan(plan: QueryPlan) -> str:
    """A plan as the question sets write it: intent, then key=value for what is not empty."""
    days = plan.time_range
    told = {
        "names": ",".join(each.name for each in plan.entities), "with": ",".join(each.name for each in plan.participants),
        "start": days.start if days else None, "end": days.end if days else None, "sources": ",".join(plan.sources),
        "types": ",".join(plan.interaction_types), "by": plan.grouping, "words": plan.words, "limit": plan.limit,
    }  # fmt: skip
    return " ".join([plan.intent or NONE, *(f"{key}={value}" for key, value in told.items() if value)])


def evaluate_names(
    people: Sequence[str], companies: Sequence[str], absent: Sequence[str], change: Callable[[str], str] = str
) -> NameFigures:
    """Names in questions, each known one changed first (a typing error, lower case), each absent one as it stands."""
    index = NameIndex([*_entities(people, "person"), *_entities(companies, "company")])
    asked = found = 0
    for name in (*people, *companies):
        for question in _ASKED:
            asked += 1
            links = link_names(question.format(change(name)), index).links
            found += any(candidate.name == name for link in links for candidate in link.candidates)
    false = sum(bool(link_names(_ASKED[place % len(_ASKED)].format(name), index).links) for place, name in enumerate(absent))
    return NameFigures(asked, found, len(absent), false)


def evaluate_drawn_names(seeds: Sequence[int]) -> NameFigures:
    """Names of twenty countries, 300 known and 100 absent ones for each seed; the known ones with a typing error."""
    numbered = iter(range(10**6))
    made = [
        evaluate_names(known, (), absent, lambda name: typing_error(name, next(numbered))) for known, absent in map(drawn_people, seeds)
    ]
    return NameFigures(*(sum(getattr(each, field.name) for each in made) for field in fields(NameFigures)))


def typing_error(name: str, number: int) -> str:
    """The name with one error, a letter left out, added, changed or swapped with the next; which and where is told by the number."""
    places = [place for place, sign in enumerate(name) if sign.isalpha() and name[place + 1 : place + 2].isalpha()]
    if not places:
        return name
    place, letter = places[number // 4 % len(places)], _LETTERS[number % len(_LETTERS)]
    before, sign, after = name[:place], name[place], name[place + 1 :]
    made = (before + after, before + letter + sign + after, before + letter + after, before + after[0] + sign + after[1:])[number % 4]
    return made if made != name else before + after


def _entities(names: Sequence[str], kind: EntityType) -> Iterator[NamedEntity]:
    for name in names:
        yield NamedEntity(id=uuid5(NAMESPACE, kind + name), name=name, entity_type=kind)
