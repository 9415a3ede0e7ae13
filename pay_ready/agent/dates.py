"""When a question is about: the days it names, half-open, for a tenant's calendar. Never raises, whatever the text."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from pay_ready.agent.calendars import Calendar, Days
from pay_ready.agent.date_context import MASK
from pay_ready.agent.date_phrases import Phrase, phrases
from pay_ready.agent.date_rules import Now
from pay_ready.agent.date_words import plain

Place = tuple[int, int]  # begin and end in the text
_LONGEST_READ = 2_000  # characters; whoever pastes a file asks nothing of its end


@dataclass(frozen=True, slots=True)
class ReadRange:
    """Days, the words that name them and where those stand."""

    start: date | None
    end: date | None  # exclusive
    words: str
    place: Place
    members: tuple[Days, ...] = ()  # the single times of "A and B", where it is several


def parse_range(text: str, today: date, calendar: Calendar | None = None, names: Sequence[Place] = ()) -> ReadRange | None:
    """The days that a text names, or None; of several times the first one, or all of "A and B" as one.

    Args:
        text: A question, as asked.
        today: The tenant's day (`Calendar.today`); a month or weekday without a year or week is the last that has begun by then.
        calendar: Fiscal year, week, day or month first.
        names: Where known names stand: nothing of them is read as a time.
    """
    found = read_ranges(text, today, calendar, names)
    return found[0] if found else None


def read_ranges(text: str, today: date, calendar: Calendar | None = None, names: Sequence[Place] = ()) -> list[ReadRange]:
    """All times in a text, in the order they stand."""
    masked = mask(plain(text[:_LONGEST_READ]), names)
    now = Now(today, calendar or Calendar())
    return [_range(text, phrase) for phrase in phrases(masked, now)]


def mask(text: str, places: Sequence[Place]) -> str:
    """The text with other signs, as many, where names stand."""
    for begin, end in places:
        text = text[:begin] + MASK * (end - begin) + text[end:]
    return text


def _range(text: str, phrase: Phrase) -> ReadRange:
    return ReadRange(
        phrase.days.start, phrase.days.end, text[phrase.begin : phrase.end].strip(), (phrase.begin, phrase.end), phrase.members
    )
