"""The configuration of coaching, read from `config/coaching/`: `report.toml`, `trackers/*.toml`, `scorecards/*.toml`; checked once."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import cast, get_args

from pay_ready.agent.coaching.findings import Kind, Rule
from pay_ready.agent.coaching.formulas import MEASURES
from pay_ready.agent.coaching.report import CoachingRules
from pay_ready.agent.coaching.scorecards import AnsweredBy, Question, Scorecard
from pay_ready.agent.coaching.trackers import Group, Tracker
from pay_ready.model.staged import InteractionType
from pay_ready.model.talk import Side
from pay_ready.pipeline.mapping.toml_tables import Place, load_toml, table, tables, text, texts

_SCHEMA_VERSION = 1
_ID = re.compile(r"[a-z][a-z0-9_]{0,39}")
_SIDES: tuple[str, ...] = ("internal", "external", "any")
_RULE_KEYS = ("id", "title", "measure", "above", "below", "least_minutes", "advice", "reference")
_TRACKER_KEYS = ("id", "label", "group", "side", "keywords", "unless", "examples", "least_similarity")
_CARD_KEYS = ("schema_version", "id", "title", "interaction_types", "question")
_ANSWER_KEYS: Mapping[str, tuple[str, ...]] = {
    "measure": ("measure",),
    "tracker": ("tracker",),
    "keyword": ("keywords", "side"),
}
_QUESTION_KEYS = ("id", "text", "answered_by", "weight", "at_least", "at_most")
_MOST_WEIGHT, _MOST_MINUTES = 100.0, 1_000.0


def load_coaching_rules(folder: Path, competitors: Iterable[str] = ()) -> CoachingRules:
    """Read a folder of the form of `config/coaching`; files are read by name, ids are unique among all of a kind.

    Args:
        folder: The folder.
        competitors: Names that a tenant competes with: further keywords of the tracker "competitor".

    Raises:
        ConfigError: A file, key or value is wrong; names file and key, and the choices where there are any.
    """
    names = tuple(filter(None, map(str.strip, competitors)))
    trackers = tuple(
        replace(each, keywords=(*each.keywords, *names)) if each.tracker_id == "competitor" else each
        for each in _trackers(sorted(folder.glob("trackers/*.toml")))
    )
    cards = tuple(_scorecards(sorted(folder.glob("scorecards/*.toml")), {each.tracker_id for each in trackers}))
    return CoachingRules(trackers=trackers, scorecards=cards, rules=tuple(_rules(folder / "report.toml")))


def _opened(path: Path, keys: Iterable[str]) -> tuple[Mapping[str, object], Place]:
    place = Place(str(path))
    content = table(load_toml(path), place, keys)
    if content.get("schema_version") != _SCHEMA_VERSION:
        raise place.at("schema_version").error("not a known schema_version", f"choices: {_SCHEMA_VERSION}")
    return content, place


def _rules(path: Path) -> Iterable[Rule]:
    content, place = _opened(path, ("schema_version", *get_args(Kind)))
    taken: set[str] = set()
    for kind in get_args(Kind):
        for each, at in tables(content.get(kind, []), place.at(kind)):
            table(each, at, _RULE_KEYS)
            above, below = _bounds(each, at, "above", "below")
            if above is not None and below is not None and above >= below:
                raise at.at("above").error("no value lies between above and below", "let above be smaller than below")
            yield Rule(
                rule_id=_id(each, at, taken),
                kind=cast("Kind", kind),
                title=_text(each, at, "title"),
                measure=_choice(each, at, "measure", MEASURES),
                above=above,
                below=below,
                least_minutes=_number(each.get("least_minutes", 0), at.at("least_minutes"), 0.0, _MOST_MINUTES),
                advice=_text(each, at, "advice") if "advice" in each else "",
                reference=_text(each, at, "reference"),
            )


def _trackers(paths: Iterable[Path]) -> Iterable[Tracker]:
    taken: set[str] = set()
    for path in paths:
        content, place = _opened(path, ("schema_version", "tracker", "unlike"))
        unlike = texts(content.get("unlike", []), place.at("unlike"))
        for each, at in tables(content.get("tracker", []), place.at("tracker")):
            table(each, at, _TRACKER_KEYS)
            keywords, examples = _keywords(each, at, "keywords"), texts(each.get("examples", []), at.at("examples"))
            if not keywords and not examples:
                raise at.error("the tracker listens for nothing", "give it keywords or examples")
            if examples and "least_similarity" not in each:
                raise at.at("least_similarity").error("the key is missing", "choose the cosine from which on a sentence is like an example")
            yield Tracker(
                tracker_id=_id(each, at, taken),
                label=_text(each, at, "label"),
                group=cast("Group", _choice(each, at, "group", get_args(Group))),
                side=_side(each, at),
                keywords=keywords,
                unless=_keywords(each, at, "unless"),
                examples=examples,
                unlike=unlike if examples else (),
                least_similarity=_number(each.get("least_similarity", 1.0), at.at("least_similarity"), 0.0, 1.0),
            )


def _scorecards(paths: Iterable[Path], trackers: set[str]) -> Iterable[Scorecard]:
    taken: set[str] = set()
    for path in paths:
        content, place = _opened(path, _CARD_KEYS)
        types = texts(content.get("interaction_types", []), place.at("interaction_types"))
        for index, word in enumerate(types):
            if word not in get_args(InteractionType):
                raise place.at("interaction_types").at(index).not_a_choice("unknown type", word, get_args(InteractionType))
        known: set[str] = set()
        questions = tuple(_question(each, at, known, trackers) for each, at in tables(content.get("question", []), place.at("question")))
        if not questions:
            raise place.at("question").error("the scorecard asks nothing", "add [[question]]")
        yield Scorecard(
            scorecard_id=_id(content, place, taken),
            title=_text(content, place, "title"),
            interaction_types=types,
            questions=questions,
        )


def _question(each: Mapping[str, object], at: Place, taken: set[str], trackers: set[str]) -> Question:
    answered_by = _choice(each, at, "answered_by", get_args(AnsweredBy))
    table(each, at, (*_QUESTION_KEYS, *_ANSWER_KEYS[answered_by]))
    at_least, at_most = _bounds(each, at, "at_least", "at_most", is_needed=answered_by == "measure")
    if at_least is not None and at_most is not None and at_least > at_most:
        raise at.at("at_least").error("no value lies between at_least and at_most")
    if answered_by != "measure" and at_least is None and at_most is None:
        at_least = 1.0
    if answered_by == "keyword" and not each.get("keywords"):
        raise at.at("keywords").error("the list is missing", 'add keywords = ["…"]')
    return Question(
        question_id=_id(each, at, taken),
        text=_text(each, at, "text"),
        answered_by=cast("AnsweredBy", answered_by),
        weight=_number(each.get("weight", 1.0), at.at("weight"), 0.0, _MOST_WEIGHT, above=True),
        at_least=at_least,
        at_most=at_most,
        measure=_choice(each, at, "measure", MEASURES) if answered_by == "measure" else "",
        tracker=_choice(each, at, "tracker", trackers) if answered_by == "tracker" else "",
        keywords=_keywords(each, at, "keywords"),
        side=_side(each, at),
    )


def _id(each: Mapping[str, object], at: Place, taken: set[str]) -> str:
    value = _text(each, at, "id")
    if not _ID.fullmatch(value):
        raise at.at("id").error(f'"{value}" is no id', "use lower-case letters, digits and _, a letter first, at most 40")
    if value in taken:
        raise at.at("id").error(f'the id "{value}" is taken', "choose another")
    taken.add(value)
    return value


def _text(each: Mapping[str, object], at: Place, key: str) -> str:
    if key not in each:
        raise at.at(key).error("the key is missing", f'add {key} = "…"')
    return text(each[key], at.at(key))


def _choice(each: Mapping[str, object], at: Place, key: str, choices: Iterable[str]) -> str:
    value = _text(each, at, key)
    if value not in set(choices):
        raise at.at(key).not_a_choice(f"unknown {key}", value, choices)
    return value


def _side(each: Mapping[str, object], at: Place) -> Side | None:
    if "side" not in each:
        return None
    value = _choice(each, at, "side", _SIDES)
    return None if value == "any" else cast("Side", value)


def _keywords(each: Mapping[str, object], at: Place, key: str) -> tuple[str, ...]:
    words = texts(each.get(key, []), at.at(key))
    for index, keyword in enumerate(words):
        parts = keyword.split()
        if parts[0] == "..." or parts[-1] == "..." or any("*" in part.removesuffix("*") or part == "*" for part in parts):
            raise at.at(key).at(index).error(f'"{keyword}" is no keyword', 'write "cancel*" or "send ... contract"')
    return words


def _bounds(each: Mapping[str, object], at: Place, low: str, high: str, *, is_needed: bool = True) -> tuple[float | None, float | None]:
    if is_needed and low not in each and high not in each:
        raise at.at(low).error("a bound is missing", f"add {low} = … or {high} = …")
    limit = 1e9
    return (
        _number(each[low], at.at(low), -limit, limit) if low in each else None,
        _number(each[high], at.at(high), -limit, limit) if high in each else None,
    )


def _number(value: object, at: Place, least: float, most: float, *, above: bool = False) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most or (above and value == least):
        raise at.error("not such a number", f"choose one {'above' if above else 'from'} {least:g} to {most:g}")
    return float(value)
