"""What people say: exchanges by theme (`phrases/*.txt`), dealt like cards and filled with the words of a tenant.

A phrase file holds exchanges separated by blank lines; each line starts with the side that speaks, "C: " customer or "S: " the tenant's
staff. Lines of one exchange answer each other.
"""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Literal

_FOLDER = Path(__file__).parent / "phrases"
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday")
_MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December",
)  # fmt: skip
_COUNTS = ("two", "three", "four", "five", "six")

Side = Literal["C", "S"]
THEMES = ("pricing", "onboarding", "bug", "renewal", "security", "praise", "complaint", "competitor", "promise", "question")


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One thing said, and by which side."""

    side: Side
    text: str


Exchange = tuple[Line, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Lexicon:
    """The words of one tenant's trade; parts, sites and metrics are singular noun phrases."""

    products: Sequence[str]
    parts: Sequence[str]
    sites: Sequence[str]
    metrics: Sequence[str]
    rivals: Sequence[str]
    currency: str


def theme_lines(theme: str) -> tuple[Exchange, ...]:
    """All exchanges of a phrase file, unfilled."""
    blocks = (_FOLDER / f"{theme}.txt").read_text(encoding="utf-8").strip().split("\n\n")
    return tuple(tuple(_line(line) for line in block.splitlines()) for block in blocks)


def plain_lines(name: str) -> tuple[str, ...]:
    """The lines of a phrase file without sides, unfilled; blank lines only separate."""
    return tuple(line for line in (_FOLDER / f"{name}.txt").read_text(encoding="utf-8").splitlines() if line)


def _line(line: str) -> Line:
    side: Side = "C" if line.startswith("C: ") else "S"
    return Line(side=side, text=line[3:])


class Speech:
    """Deals phrases of one tenant: none comes back before all others of its kind were used, and every slot is filled."""

    def __init__(self, rng: Random, lexicon: Lexicon) -> None:
        self._rng = rng
        self._lexicon = lexicon
        self._subjects: Mapping[str, Mapping[str, list[str]]] = tomllib.loads((_FOLDER / "subjects.toml").read_text(encoding="utf-8"))
        self._decks: dict[str, list[Exchange]] = {}
        self._plain: dict[str, list[str]] = {}

    def exchange(self, theme: str, names: Mapping[str, str], first: Side | None = None) -> Exchange:
        """The next exchange of a theme, filled; one that `first` opens when there is a choice."""
        deck = self._decks.setdefault(theme, [])
        if not any(first in (None, exchange[0].side) for exchange in deck):
            deck[:0] = self._rng.sample(theme_lines(theme), len(theme_lines(theme)))
        place = next((n for n in reversed(range(len(deck))) if first in (None, deck[n][0].side)), -1)
        chosen = deck.pop(place)
        slots = self._slots(names)
        return tuple(Line(side=line.side, text=_filled(line.text, slots)) for line in chosen)

    def line(self, name: str, names: Mapping[str, str]) -> str:
        """The next line of a phrase file without sides, filled."""
        deck = self._plain.setdefault(name, [])
        if not deck:
            lines = plain_lines(name)
            deck.extend(self._rng.sample(lines, len(lines)))
        return _filled(deck.pop(), self._slots(names))

    def subject(self, theme: str, kind: str, names: Mapping[str, str]) -> str:
        """A subject for a kind of entry: topic, email, case, task or event."""
        return _filled(self._rng.choice(self._subjects[theme][kind]), self._slots(names), capital=kind != "topic")

    def _slots(self, names: Mapping[str, str]) -> dict[str, str]:
        rng, words = self._rng, self._lexicon
        amount = f"{rng.choice((4, 9, 12, 18, 24, 36, 48, 60, 85, 120))},{rng.choice(('000', '200', '400', '500', '800'))}"
        return {
            "product": rng.choice(words.products),
            "part": rng.choice(words.parts),
            "site": rng.choice(words.sites),
            "metric": rng.choice(words.metrics),
            "rival": rng.choice(words.rivals),
            "money": f"{words.currency}{amount}",
            "n": rng.choice(_COUNTS),
            "N": str(rng.randint(11, 48)),
            "pct": str(rng.choice((8, 10, 12, 15, 18, 20, 25, 30))),
            "small_pct": str(rng.choice((2, 3, 4))),
            "day": rng.choice(_DAYS),
            "month": rng.choice(_MONTHS),
            **names,
        }


def _filled(template: str, slots: Mapping[str, str], *, capital: bool = True) -> str:
    """The template with its slots filled; a sentence that opens with a slot gets its capital letter."""
    text = template.format_map(slots)
    return text[:1].upper() + text[1:] if capital and template.startswith("{") else text
