"""Whether a question hangs on the one before it, by its words: "and …", "what about …", a phrase that is no sentence, "she", "there"."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from pay_ready.agent.intent_rules import COMPANY, PERSON

_I = re.IGNORECASE
Refers = Literal["person", "company", "thing", "them", "one"]
_FILLER = re.compile(
    r"^(?:(?:ok|okay|so|now|then|well|right|great|thanks|thank you|cool|hm+|yes|no|alright|please)\b[\s,.!:;-]*)+(?=\w)", _I
)
_MARK = re.compile(
    r"^(?:(?:and|also|but|plus|or|what about|how about|what of|instead|rather|only|just"
    r"|(?:(?:do|show|tell me) )?(?:the )?same(?: thing| question)?(?: again)?(?= (?:for|with|but|in|from|of|by|at)\b|\W*$))\b[\s,]*)+",
    _I,
)
_TRAILING = re.compile(r"[\s,]*\b(?:too|as well|in addition|instead|only|though|please|again)(?=\W*$)", _I)
# How a sentence begins that stands by itself.
_CLAUSE = re.compile(
    r"^(?:(?:please|can you|could you|would you|will you|i (?:want|need|would like|'d like)(?: to)?|let(?:'s| us)|kindly)\b ?)*"
    r"(?:what|which|who|whom|whose|when|where|why|how|did|does|do|is|are|was|were|has|have|had|can|could|will|would|should|may|show|list"
    r"|give|tell|find|search|look|summari[sz]e|sum|recap|compare|contrast|count|brief|catch|get|display|plot|draw|graph|coach|explain"
    r"|rank|pull|fetch|walk|fill|condense|describe|create|make|write|delete|translate|put|i|we)\b",
    _I,
)
# "Is there", "it is true": nothing is meant by these.
_EXPLETIVE = re.compile(
    r"(?<!who )(?<!else )\b(?:is|are|was|were|has|have|had|will|would|be|been) there(?= \w)"
    r"|\bthere(?:'s| is| are| was| were| has| have| will)\b"
    r"|\b(?:is|was) it (?:true|possible|likely)\b|\bit (?:seems?|looks?)\b",
    _I,
)
_SOME = r"customers?|clients?|people|persons?|accounts?|reps?|sellers?|compan(?:y|ies)|prospects?|buyers?|users?|partners?|vendors?"
_SOME += r"|contacts?|teams?|anyone|anybody|someone|somebody|everyone|everybody|nobody|colleagues?|managers?"
_PEOPLE = rf"{_SOME}|who(?! (?:did|do|does|is|are|was|were|have|has|else)\b)"
_FIRMS = r"company|account|customer|client|firm|prospect|vendor|partner"
# What refers to whom, and what it may refer to within the same question.
_WORDS: Sequence[tuple[Refers, str, str]] = (
    (
        "person",
        r"she|he|her|hers|him|his|herself|himself|(?:this|that|the same) (?:person|guy|man|woman|lady|rep|seller)",
        f"{PERSON}|{_PEOPLE}",
    ),
    ("company", rf"there|(?:this|that|the same) (?:{_FIRMS})", COMPANY),
    (
        "them",
        "they|them|their|theirs|themselves|both(?: of them)?|each other|(?:these|those) (?:people|companies|accounts|customers|two)",
        f"{PERSON}|{COMPANY}|{_PEOPLE}",
    ),
    ("thing", "it|its|itself", f"{COMPANY}|calls?|meetings?|e-?mails?|deals?|renewals?|contract|product|demo|tickets?|cases?"),
)
_REFERRING = [(refers, re.compile(rf"\b(?:{words})\b", _I), re.compile(rf"\b(?:{own})\b", _I)) for refers, words, own in _WORDS]
_ONE = re.compile(r"\bthe (first|second|third|last|former|latter)(?: (?:one|company|person|account|customer|rep))?(?=\W*$)", _I)
_OBJECT = re.compile(r"(?:them|both)\b", _I)
_SEVERAL = re.compile(rf"\b(?:{_SOME})\b", _I)
_THEN = re.compile(
    r"\b(?:in|during|at|from|over|for|within|since) (?:that|the same) (?:time|period|month|quarter|week|year|day)\b|\bback then\b", _I
)
_BARE = re.compile(
    r"^(?:why(?: not| so| is that| was that)?|how come|how so|who(?: else| is that| was that)?|whom|when(?: was that| exactly)?"
    r"|how (?:often|many|frequently)|since when)\W*$",
    _I,
)
_MORE = re.compile(
    r"^(?:(?:show|give|tell)(?: me)? )?(?:some |a few |even )?more(?: of (?:them|those|that|it))?(?: please)?\W*$"
    r"|^(?:go on|continue|next|the rest|anything else|what else)\W*$",
    _I,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """What a question's words show, whatever was asked before."""

    text: str  # without what only joins it to something
    is_marked: bool  # "and", "what about": it goes on from something
    is_clause: bool  # a sentence of its own
    is_bare: bool  # "why?", "who?", "how often?"
    wants_more: bool  # "more", "go on"
    back_then: bool  # "in that time"
    refers: Refers | None = None  # to somebody or something that it does not name
    word: str = ""  # that refers


def shape_of(masked: str) -> Shape:
    """The shape of a question.

    Args:
        masked: Names are anybody's, times are gone (`reading.masked_question`).
    """
    text = _FILLER.sub("", masked).strip()
    rest = _MARK.sub("", text)
    # "Just summarise our calls with Globex" goes on from nothing.
    is_marked = rest != text and not (_CLAUSE.match(rest) and text[:4].lower() in ("only", "just"))
    rest = _TRAILING.sub("", rest).strip(" ?.!,;:")
    refers, word = _reference(rest)
    return Shape(
        text=rest, is_marked=is_marked, is_clause=_CLAUSE.match(rest) is not None, is_bare=_BARE.match(rest) is not None,
        wants_more=_MORE.match(rest) is not None, back_then=_THEN.search(rest) is not None, refers=refers, word=word,
    )  # fmt: skip


def _reference(text: str) -> tuple[Refers | None, str]:
    """The first word that refers to nobody and nothing in the question itself."""
    text = _EXPLETIVE.sub("", text)
    for refers, words, own in _REFERRING:
        found = words.search(text)
        if found and not own.search(text, 0, found.start()):
            return refers, found[0]
        # "What did Jane promise them", "who sent them": others are meant.
        if found and refers == "them" and _OBJECT.match(text, found.start()) and not _SEVERAL.search(text, 0, found.start()):
            return refers, found[0]
    found = _ONE.search(text)
    return ("one", found[1].lower()) if found else (None, "")
