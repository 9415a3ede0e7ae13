"""What is left of a question to search for, once its intent, names, times and filters are taken out."""

import re
from collections.abc import Sequence

from pay_ready.agent.question_words import ADJECTIVES, PREPOSITIONS, SMALL, VERBS, words_in

Place = tuple[int, int]
_ABOUT = re.compile(
    r"\b(?:about|regarding|concerning|mention(?:s|ed|ing)?|discuss(?:es|ed|ing)?|related to|touch(?:es"
    r"|ed)? (?:up)?on|brought up|bring up|raised?|for the words?|containing"
    r"|re:|on the (?:subject|topic) of)\b",
    re.IGNORECASE,
)
_WORD = re.compile(r"[^\W_][\w'.&/+-]*[\w+]|[^\W_]")
_CUES = words_in(
    "summary summaries recap overview timeline history sentiment mood tone topic topics theme themes report "
    "number count total average interaction"
    " interactions conversation conversations thread threads quotes word words mention mentions everything "
    "anything something details highlights"
    " gist customers customer clients client people anyone anybody someone everyone account accounts reps rep most often top search"
)
_AHEAD = PREPOSITIONS | SMALL | VERBS | ADJECTIVES | _CUES
_BEHIND = (
    PREPOSITIONS
    | SMALL
    | _CUES
    | words_in("mentioned discussed said asked raised brought talked spoken told came come comes written up us made")
)
_HARD_TO_PLACE = re.compile(
    r"\b(?:since|until|before|after|prior to) (?:(?:our|the|their|his|her|my|your|last|that|this|we|they|it|he"
    r"|she) )+[\w -]{2,40}?(?=$|[?.!,;]| (?:from|in|with|by|and|for|at)\b)",
    re.IGNORECASE,
)
_VAGUE = re.compile(r"\b(?:recently|lately|the other day|a while ago|some time ago|these days|soon|of late|back then)\b", re.IGNORECASE)
_LONGEST = 500


def search_words(text: str, taken: Sequence[Place], *, all_of_it: bool) -> str:
    """The words to search for.

    Args:
        text: The question.
        taken: Where names, times and filters stand.
        all_of_it: Whatever is left; else only what follows "about" and the like.
    """
    start = 0
    if match := _ABOUT.search(text):
        start = match.end()
    elif not all_of_it:
        return ""
    pieces = _pieces(text, start, taken)
    if not pieces and all_of_it:
        pieces = _pieces(text, 0, taken)  # "find calls in which pricing was mentioned"
    return " ".join(pieces)[:_LONGEST]


def not_placed(text: str, taken: Sequence[Place]) -> list[tuple[Place, str]]:
    """Times that no calendar tells, and where they stand: "since our last QBR", "recently"."""
    found = [match for pattern in (_HARD_TO_PLACE, _VAGUE) for match in pattern.finditer(text)]
    free = [match for match in found if not any(begin < match.end() and match.start() < end for begin, end in taken)]
    return [(match.span(), match[0].strip()) for match in sorted(free, key=lambda match: match.start())]


def _pieces(text: str, start: int, taken: Sequence[Place]) -> list[str]:
    rows: list[list[str]] = [[]]
    for match in _WORD.finditer(text, start):
        if any(begin < match.end() and match.start() < end for begin, end in taken):
            rows.append([])
        else:
            rows[-1].append(match[0])
    return [" ".join(kept) for row in rows if (kept := _trimmed(row))]


def _trimmed(row: list[str]) -> list[str]:
    while row and row[0].lower().removesuffix("'s") in _AHEAD:
        row = row[1:]
    while row and row[-1].lower() in _BEHIND:
        row = row[:-1]
    return row
