"""The project's own question sets, out of the files beside this one. Nothing here comes from a published set."""

import random
import re
from dataclasses import dataclass
from datetime import date
from functools import cache
from importlib.resources import files

ASKED_ON = date(2026, 11, 20)  # a Friday
DATE_SETS = ("dates", "dates_unseen", "dates_third", "dates_fourth", "dates_fifth")
INTENT_SETS = ("intents", "intents_second", "intents_third")
FOLLOW_UP_SETS = ("follow_ups", "follow_ups_second")
_OPEN, _NO_DATE = "open", "-"
_LAST_NAME = re.compile(r"(?:(?:de|van|De) )?\S+")


@dataclass(frozen=True, slots=True)
class DateQuestion:
    """A question and the days it means; `is_date` is off where it only looks like one."""

    question: str
    start: date | None
    end: date | None  # exclusive
    is_date: bool


@dataclass(frozen=True, slots=True)
class FollowUp:
    """A question, the one before it, and the plan that is meant as `reading.told_plan` writes it."""

    before: str
    question: str
    meant: str


@cache
def date_questions(name: str = "dates") -> tuple[DateQuestion, ...]:
    """`dates` was written with the rules, each other one of `DATE_SETS` after them and run before they were mended on it."""
    return tuple(DateQuestion(question, _day(start), _day(end), start != _NO_DATE) for question, start, end in _rows(name))


@cache
def follow_up_questions(name: str = "follow_ups") -> tuple[FollowUp, ...]:
    """Written before the rules that read them."""
    return tuple(FollowUp(before, question, meant) for before, question, meant in _rows(name))


@cache
def intent_examples() -> tuple[tuple[str, str], ...]:
    """(label, question) that the classifier is trained on."""
    return tuple((label, question) for label, question in _rows("intent_examples"))


@cache
def intent_questions(name: str = "intents") -> tuple[tuple[str, str], ...]:
    """(label, question); "none" must be declined. `intents` is held out from training and from the rules, the others of `INTENT_SETS` from
    training: rules were mended on them."""
    return tuple((label, question) for label, question in _rows(name))


def drawn_people(seed: int, known: int = 300, absent: int = 100) -> tuple[list[str], list[str]]:
    """People with a first and a last name of one country, no one twice: those that are known, and others that are not.

    A third of the absent ones have words that no known person has: those words are taken out of the known ones' lists.
    """
    drawn = random.Random(seed)  # noqa: S311 - no secret
    firsts, lasts = [], []
    for _, first, last in _rows("names"):
        firsts.append(first.split())
        lasts.append(_LAST_NAME.findall(last))
    held = [(drawn.sample(first, 2), drawn.sample(last, 3)) for first, last in zip(firsts, lasts, strict=True)]
    strange = [f"{first} {last}" for some, others in held for first in some for last in others]
    usual = [
        f"{first} {last}"
        for place, (some, others) in enumerate(zip(firsts, lasts, strict=True))
        for first in some if first not in held[place][0] for last in others if last not in held[place][1]
    ]  # fmt: skip
    people = drawn.sample(sorted(set(usual)), known + absent - absent // 3)
    return people[:known], [*people[known:], *drawn.sample(sorted(set(strange) - set(people)), absent // 3)]


def _rows(name: str) -> list[list[str]]:
    text = files(__package__).joinpath(f"{name}.tsv").read_text(encoding="utf-8")
    return [line.split("\t") for line in text.splitlines() if line and not line.startswith("#")]


def _day(text: str) -> date | None:
    return None if text in (_OPEN, _NO_DATE) else date.fromisoformat(text)
