"""What a question narrows itself to: sources, kinds of interactions, languages, how to group, how many. With the places of the words."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from pay_ready.agent.plan import MOST_ROWS, Grouping
from pay_ready.model.staged import InteractionType

Place = tuple[int, int]
_I = re.IGNORECASE
_SOURCES = ("slack", "gong", "hubspot", "salesforce", "zendesk")
_SPOKEN_SOURCES = {"hub spot": "hubspot", "sales force": "salesforce", "sfdc": "salesforce", "zen desk": "zendesk"}
_TYPES: Sequence[tuple[InteractionType, re.Pattern[str]]] = (
    (
        "call",
        re.compile(
            r"\b(?:(?:phone |discovery |sales |demo )?calls?(?! (?:me|us|him|her|them|back|it|the|for)\b)"
            r"|phone conversations?|recordings?|transcripts?|demos)\b",
            _I,
        ),
    ),
    ("meeting", re.compile(r"\b(?:meetings?|webinars?|visits?|qbrs?)\b", _I)),
    ("email", re.compile(r"\b(?:e-?mails?|mails?|inbox)\b", _I)),
    ("message", re.compile(r"\b(?:messages?|chats?|dms?|direct messages?|texts)\b", _I)),
    ("note", re.compile(r"\bnotes?\b", _I)),
    ("task", re.compile(r"\b(?:tasks?|to-?dos?)\b", _I)),
    ("case", re.compile(r"\b(?:tickets?|(?:support )?cases?|incidents?)\b", _I)),
    ("deal", re.compile(r"\b(?:deals?|opportunit(?:y|ies))\b", _I)),
)
_LANGUAGES = {
    "english": "en", "german": "de", "french": "fr", "spanish": "es", "italian": "it", "dutch": "nl", "portuguese": "pt", "polish": "pl",
    "swedish": "sv", "danish": "da", "norwegian": "no", "finnish": "fi", "czech": "cs", "japanese": "ja", "chinese": "zh", "russian": "ru",
}  # fmt: skip
_LANGUAGE = re.compile(
    rf"\b(?:(?:in|written in|spoken in|language is) ({'|'.join(_LANGUAGES)})"
    rf"|({'|'.join(_LANGUAGES)})[ -](?:language|speaking|calls?|e-?mails?|messages?|meetings?|interactions?"
    rf"|conversations?))\b",
    _I,
)
_UNITS: dict[str, Grouping] = {
    "dai": "day", "day": "day", "wee": "week", "mon": "month", "qua": "quarter", "rep": "person", "per": "person", "sel": "person",
    "sal": "person", "use": "person", "con": "person", "peo": "person", "acc": "company", "com": "company",
    "cus": "company", "cli": "company", "sou": "source",
    "cha": "source", "typ": "type", "kin": "type",
}  # fmt: skip
_GROUPED = re.compile(
    r"\b(?:per|by|each|every|grouped by|broken down by|split by|for each|(?:a|an)(?= (?:day|week|month|quarter)\b))"
    r" (day|week|month|quarter|rep|person|seller|sales ?person|sales rep|user|contact|people|account|company"
    r"|customer|client|source|channel|type|kind)s?\b"
    r"|\b(dai|week|month|quarter)ly\b|\b(day|week|month|quarter)[ -](?:by|over|on)[ -](?:day|week|month|quarter)\b",
    _I,
)
_TOP = re.compile(
    r"\b(?:top|first|best|worst|last|latest|most recent|newest|biggest|longest|shortest|up to|at most"
    r"|no more than|only|show|list|find|give me|get)"
    r"(?: me)?(?: the)?(?: top| last| latest| most recent)? (\d{1,4}|two|three|four|five|six|seven|eight|nine"
    r"|ten|twenty)(?= (?!days?\b|weeks?\b|months?\b|quarters?\b|years?\b|hours?\b|minutes?\b|business\b"
    r"|working\b|full\b|calendar\b)[a-z]|[?.!]?$)",
    _I,
)
_LIMIT = re.compile(r"\b(?:limit(?: (?:of|to))?|max(?:imum)?) (\d{1,4})\b", _I)
_THE_LAST_ONE = re.compile(
    r"\b(?:last|latest|most recent|newest) (?:call|meeting|e-?mail|mail|message|conversation|interaction|demo"
    r"|chat|ticket|note)\b(?!s)",
    _I,
)
_THE_LAST_ONE = re.compile(
    r"\b(?:last|latest|most recent|newest) (?:call|meeting|e-?mail|mail|message|conversation|interaction|demo"
    r"|chat|ticket|note)\b(?!s)",
    _I,
)
_WORD_NUMBERS = {"two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9, "ten": 10, "twenty": 20}


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadFilters:
    """The filters of a question, and where their words stand."""

    sources: tuple[str, ...] = ()
    interaction_types: tuple[InteractionType, ...] = ()
    languages: tuple[str, ...] = ()
    grouping: Grouping | None = None
    limit: int | None = None
    capped: bool = False  # more rows were asked for than are ever given
    places: tuple[Place, ...] = ()


def source_places(text: str, sources: Sequence[str]) -> list[tuple[Place, str]]:
    """Where sources are named: those known everywhere after "from", "in", "on" or before a kind of interaction, the tenant's own anywhere.

    Args:
        text: A plain text.
        sources: The names of the tenant's own sources.
    """
    own = {name.lower(): name for name in sources if name.strip()}
    names = {**dict.fromkeys(_SOURCES), **_SPOKEN_SOURCES, **own}
    pattern = re.compile(rf"(?<![\w@.-])(?:{'|'.join(re.escape(name) for name in sorted(names, key=len, reverse=True))})(?![\w@]|\.\w)", _I)
    found = ((match.span(), match[0].lower()) for match in pattern.finditer(text))
    return [(place, _known_as(name, own)) for place, name in found]


def _known_as(name: str, own: dict[str, str]) -> str:
    return own.get(name) or own.get(_SPOKEN_SOURCES.get(name, name)) or _SPOKEN_SOURCES.get(name, name)


def read_filters(text: str, sources: Sequence[tuple[Place, str]]) -> ReadFilters:
    """The filters in a text in which names and times are masked."""
    places = [place for place, _ in sources]
    languages = []
    for spoken in _LANGUAGE.finditer(text):
        languages.append(_LANGUAGES[(spoken[1] or spoken[2]).lower()])
        places.append(spoken.span(1) if spoken[1] else spoken.span(2))
    grouping: Grouping | None = None
    if grouped := _GROUPED.search(text):
        grouping = _UNITS[(grouped[1] or grouped[2] or grouped[3])[:3].lower()]
        places.append(grouped.span())
    limit = None
    if asked := (_TOP.search(text) or _LIMIT.search(text)):
        limit = _WORD_NUMBERS.get(asked[1].lower()) or int(asked[1])
        places.append(asked.span(1))
    elif _THE_LAST_ONE.search(text):
        limit = 1
    kinds = []
    for kind, pattern in _TYPES:
        if matches := list(pattern.finditer(text)):
            kinds.append(kind)
            places += [match.span() for match in matches]
    return ReadFilters(
        sources=tuple(dict.fromkeys(name for _, name in sources)),
        interaction_types=tuple(kinds),
        languages=tuple(dict.fromkeys(languages)),
        grouping=grouping,
        limit=min(limit, MOST_ROWS) if limit else None,
        capped=bool(limit and limit > MOST_ROWS),
        places=tuple(places),
    )
