"""Whether a word that could be a time is one: "in May" and "May calls" are, "May I", "Theresa May" and "March Networks" are not."""

import re

from pay_ready.agent.date_atoms import Atom
from pay_ready.agent.date_words import NAMES_TOO
from pay_ready.agent.question_words import INTERACTION_NOUNS, PREPOSITIONS, QUESTION_WORDS, words_in

MASK = "\u25c6"  # stands in the text for each letter of a name that is known
_WORD = re.compile(r"[^\W\d_][\w'&.-]*|\d[\w.%]*")
_BEFORE = re.compile(r"([\w'&-]+)([ ,:(\"]*)$")
_IN = words_in("in during since until till before after throughout between through within across early mid late vs versus than")
_OF = words_in("of from for by and over compare compared to or")
_ON = _IN | frozenset(("on", "by", "from", "to", "for", "of"))
_NOT_A_MONTH = words_in(
    "with at about called named by and to or who is met ask tell for did does do has had have was were will "
    "would can could should that when if why"
    " how's what's is are be"
)
_YEAR_BEFORE = _IN | _OF | words_in("year all calendar cy since")
_COUNTED = re.compile(
    r"users?|seats?|people|licen[cs]es|employees|dollars|usd|eur|euros?|units|records|rows|calls|emails"
    r"|customers|accounts|hours|words|leads"
    r"|tickets|contacts|deals|messages|percent|companies|models?|edition|build|release|version|roadmap"
)
_NUMBERED = words_in("version v windows office server suite room order invoice ticket case number no iso area route flight model")
_AFTER_A_DAY_NO = words_in("and to through until till with from of at in about for by on was did we or")
_CAPITAL_AFTER = words_in("slack gong hubspot salesforce zendesk intercom teams zoom gmail outlook qbr qbrs i q1 q2 q3 q4 h1 h2 eod crm")
_ENDS_WITH_NOUN = re.compile(r" [a-z]+(?:$|[ ]*[?.!,]| (?:with|from|for|in|about|by|of|and)\b)", re.IGNORECASE)
_MONTH_OR_DAY = re.compile(r"(?:jan|feb|mar|apr|may|june?|july?|aug|sept?|oct|nov|dec|mon|tue|wed|thu|fri|sat|sun)[a-z]*", re.IGNORECASE)


def may_be_a_time(text: str, atom: Atom) -> bool:
    """Whether no name runs through it: "March Networks", "Theresa May", "Joe Friday". Nothing that holds a figure is a name."""
    if any(sign.isdigit() for sign in text[atom.begin : atom.end]):
        return not _is_numbered(text, atom)
    if atom.doubt not in ("month", "weekday", "season", "today"):
        return True
    after, before = _next(text, atom.end), _previous(text, atom.begin)
    if atom.doubt == "today":
        return not (text[atom.begin].isupper() and after[:1].isupper() and after != "I")
    if text[atom.end : atom.end + 3] == "'s,":
        return False
    if text[atom.end : atom.end + 2].lower() == "'s" and text[atom.begin : atom.end].lower() in NAMES_TOO:
        return False
    if after and after[0].isupper() and not _may_follow(after) and not text.isupper():
        return False
    return not (before and before[0].isupper() and not _is_plain(before) and not text.isupper())


def _is_plain(word: str) -> bool:
    word = word.lower().removesuffix("'s").rstrip(".")
    return word in QUESTION_WORDS or word in _CAPITAL_AFTER or _MONTH_OR_DAY.fullmatch(word) is not None


def _may_follow(word: str) -> bool:
    word = word.lower().removesuffix("'s").rstrip(".")
    return word in INTERACTION_NOUNS | PREPOSITIONS | _CAPITAL_AFTER or _MONTH_OR_DAY.fullmatch(word) is not None


def _is_numbered(text: str, atom: Atom) -> bool:
    before = _previous(text, atom.begin).lower()
    return before in _NUMBERED and atom.grain in ("day", "month", "year")


def stands_as_a_time(text: str, atom: Atom) -> bool:
    """Whether a doubtful word stands where times stand."""
    if atom.doubt in ("none", "today"):
        return True
    before, after = _previous(text, atom.begin).lower(), _next(text, atom.end)
    word = re.split(r",| (?:and|or|&) ", text[atom.begin : atom.end].lower())[0].rstrip(".")  # of "April and May", April
    if atom.doubt == "year":
        return _is_year(before, after, text, atom)
    if atom.doubt == "fraction":
        return before in ("on", "since", "from", "until", "till", "before", "after", "between") and after.lower() != "of"
    if atom.doubt == "day_no":
        return before in _ON and (not after or after.lower() in _AFTER_A_DAY_NO)
    plain_after = not after or _is_plain(after)
    if atom.doubt == "season":
        return plain_after and before in _ON | {"over"} - {"by", "to"} and (" " in word or word != "fall")
    if atom.doubt == "weekday":
        return plain_after and (before in _ON or (word not in NAMES_TOO and before not in _NOT_A_MONTH))
    return plain_after and _is_month(word, before, after.lower(), text, atom)


def _is_month(word: str, before: str, after: str, text: str, atom: Atom) -> bool:
    if before in _IN:
        return True
    if word not in NAMES_TOO:
        return before not in ("called", "named", "with", "at")
    if before in ("of", "from", "for", "over", "compare", "compared"):
        return True
    starts = not text[: atom.begin].strip(" \"'(")
    written_large = text[atom.begin].isupper()
    if starts and atom.end >= len(text.rstrip(" ?.!")):
        return True  # the word is the whole question
    if after not in INTERACTION_NOUNS or before in _NOT_A_MONTH or (word == "may" and not written_large):
        return False
    return not starts or word not in ("may", "march") or _ENDS_WITH_NOUN.match(text, atom.end) is not None


def _is_year(before: str, after: str, text: str, atom: Atom) -> bool:
    if _COUNTED.fullmatch(after.lower()) and before not in ("in", "during", "since"):
        return False
    if before in _YEAR_BEFORE:
        return not after or _is_plain(after) or not after[0].islower()
    alone = not text[: atom.begin].strip() and not text[atom.end :].strip(" ?.!")
    named = text[: atom.begin].rstrip().endswith(MASK)
    return alone or ((named or before in INTERACTION_NOUNS) and (not after or _is_plain(after)))


def _next(text: str, end: int) -> str:
    """The word right after, "" at a sign that ends a phrase."""
    rest = text[end : end + 60].removeprefix("'s")
    match = re.match(r"[ ]*", rest)
    at = match.end() if match else 0
    word = _WORD.match(rest, at)
    return word[0] if word and (at or rest[:1] not in ",.;:?!") else ""


def _previous(text: str, begin: int) -> str:
    match = _BEFORE.search(text[max(0, begin - 60) : begin])
    return match[1] if match and not set(match[2]) & set(',:("') else ""
