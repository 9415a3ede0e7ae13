"""The project's own question sets, out of the files beside this one. Nothing here comes from a published set."""

from dataclasses import dataclass
from datetime import date
from functools import cache
from importlib.resources import files

ASKED_ON = date(2026, 11, 20)  # a Friday
_OPEN, _NO_DATE = "open", "-"


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
    """`dates` was written with the rules, `dates_unseen` and `dates_third` after them."""
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
    """(label, question) held out from training and from the rules; "none" must be declined."""
    return tuple((label, question) for label, question in _rows(name))


def _rows(name: str) -> list[list[str]]:
    text = files(__package__).joinpath(f"{name}.tsv").read_text(encoding="utf-8")
    return [line.split("\t") for line in text.splitlines() if line and not line.startswith("#")]


def _day(text: str) -> date | None:
    return None if text in (_OPEN, _NO_DATE) else date.fromisoformat(text)
