"""The small words of the mapping language: values, conditions and lists, from TOML to rules."""

import re
from collections.abc import Mapping, Set
from dataclasses import dataclass, replace
from typing import get_args

from pay_ready.model.staged import InteractionType, ParticipantRole, Side
from pay_ready.pipeline.mapping import toml_tables as toml
from pay_ready.pipeline.mapping.paths import parse_list_path, parse_path, parse_template
from pay_ready.pipeline.mapping.rules import Condition, EachRule, Kind, Origin, Path, Scalar, Template, ValueRule
from pay_ready.pipeline.mapping.toml_tables import Place

_TIMES: tuple[Kind, ...] = ("timestamp", "timestamp_s", "timestamp_ms", "date")
_DURATIONS: tuple[Kind, ...] = ("duration_s", "duration_ms", "duration_min")
_ANY: tuple[Kind, ...] = (
    "scalar", "line", "list", "integer", "number", "boolean", "identifier", "email", "phone", "domain", *_TIMES, *_DURATIONS,
)  # fmt: skip
_SOURCES = ("path", "paths", "template", "constant")
_ORIGIN_KEYS = (*_SOURCES, "type", "map", "when", "zone", "format", "reference", "prefixes", "replace", "entities", "required", "default")
_TESTS = ("equals", "in", "not_equals", "not_in", "present", "same_as")


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What a field of a staged row takes: the kinds it can be read as, the first one unless the file says otherwise."""

    kinds: tuple[Kind, ...]
    choices: tuple[str, ...] = ()
    referenced: bool = False  # an identifier of a record: needs a namespace
    strict: bool = False
    required: bool = False


_LINE = Target(kinds=("line",))
_OWN_ID = Target(kinds=("identifier",), referenced=True, strict=True, required=True)
_TIME = Target(kinds=_TIMES)
IDENTIFIER = Target(kinds=("identifier",))
TEXT = Target(kinds=("text", "html", "line"))
DURATION = Target(kinds=_DURATIONS)
STRICT_DURATION = replace(DURATION, strict=True)
ATTRIBUTE = Target(kinds=_ANY)
ROLE = Target(kinds=("choice",), choices=get_args(ParticipantRole))

COMPANY_TARGETS: Mapping[str, Target] = {
    "id": _OWN_ID,
    "name": _LINE,
    "domain": Target(kinds=("domain",)),
    "phone": Target(kinds=("phone",)),
    "city": _LINE,
    "country": _LINE,
    "industry": _LINE,
    "updated_at": _TIME,
}
PERSON_TARGETS: Mapping[str, Target] = {
    "id": _OWN_ID,
    "full_name": _LINE,
    "first_name": _LINE,
    "last_name": _LINE,
    "email": Target(kinds=("email",), strict=True),
    "phone": Target(kinds=("phone",)),
    "title": _LINE,
    "city": _LINE,
    "country": _LINE,
    "side": Target(kinds=("choice",), choices=get_args(Side)),
    "updated_at": _TIME,
}
INTERACTION_TARGETS: Mapping[str, Target] = {
    "type": Target(kinds=("choice",), choices=get_args(InteractionType), strict=True, required=True),
    "id": _OWN_ID,
    "occurred_at": replace(_TIME, strict=True, required=True),
    "ended_at": replace(_TIME, strict=True),
    "duration": STRICT_DURATION,
    "subject": _LINE,
    "text": TEXT,
    "direction": Target(kinds=("choice",), choices=("inbound", "outbound", "internal")),
    "thread_id": IDENTIFIER,
    "url": _LINE,
}


def lenient(target: Target) -> Target:
    """The same target where a broken value must not cost the row: a call is not lost for one typo in one address."""
    return replace(target, strict=False, required=False)


@dataclass(frozen=True, slots=True)
class Namespaces:
    """The namespaces of identifiers in one file, and the one of the stream being read."""

    known: Set[str]
    own: str

    def check(self, name: str, place: Place) -> str:
        """The name, when some stream of the file declares it."""
        if name not in self.known:
            raise place.not_a_choice("no stream declares the reference", name, self.known)
        return name


def parse_value(value: object, place: Place, name: str, target: Target, namespaces: Namespaces, *, own: bool = False) -> ValueRule:
    """The rule of one field: "path", { path = … }, or a list of those of which the first that gives a value wins.

    A field that takes one of a few words is given the word itself instead of a path.

    Args:
        name: The field as messages call it, for example "person.email".
        own: The identifier is the stream's own, so the stream's namespace is its default.
    """
    items = [(item, place.at(index)) for index, item in enumerate(value)] if isinstance(value, list) else [(value, place)]
    if not items:
        raise place.error("an empty list gives no value")
    short = "constant" if target.choices else "path"
    settings = [({short: item} if isinstance(item, str) else toml.table(item, at, _ORIGIN_KEYS), at) for item, at in items]
    origins = [origin for options, at in settings for origin in _origins(options, at, target, namespaces, own=own)]
    declared = [toml.flag(options["required"], at.at("required")) for options, at in settings if "required" in options]
    required = any(declared) if declared else target.required
    defaults = [toml.scalar(options["default"], at.at("default")) for options, at in settings if "default" in options]
    for default in defaults if target.choices else []:
        _check_choice(str(default), target, place.at("default"))
    strict = target.strict or required
    return ValueRule(name=name, origins=tuple(origins), required=required, strict=strict, default=defaults[-1] if defaults else None)


def parse_conditions(value: object, place: Place) -> tuple[Condition, ...]:
    """when = { path = …, one test } or a list of those, which must all hold."""
    return tuple(_condition(options, at) for options, at in toml.tables(value, place))


def parse_each(value: object, place: Place) -> EachRule:
    """each = "path" or { path = …, split = "pattern" or find = "pattern" }."""
    options = {"path": value} if isinstance(value, str) else toml.table(value, place, ("path", "split", "find"))
    if "path" not in options:
        raise place.error("the path is missing", 'write each = "list" or each = { path = "text", split = ";" }')
    if "split" in options and "find" in options:
        raise place.error("both split and find", "keep one of them")
    return EachRule(
        path=parse_list_path(toml.text(options["path"], place.at("path")), place.at("path")),
        split=toml.pattern(options["split"], place.at("split")) if "split" in options else None,
        find=toml.pattern(options["find"], place.at("find")) if "find" in options else None,
    )


def _origins(options: Mapping[str, object], place: Place, target: Target, namespaces: Namespaces, *, own: bool) -> list[Origin]:
    kind = _kind(options, place, target)
    reference, prefixes = _namespace(options, place, target, namespaces, own=own) if kind == "identifier" else (None, {})
    meanings = toml.words(options["map"], place.at("map")) if "map" in options else {}
    for word in meanings.values():
        if target.choices and word:
            _check_choice(word, target, place.at("map"))
    return [
        Origin(
            source=source,
            kind=kind,
            when=parse_conditions(options["when"], place.at("when")) if "when" in options else (),
            zone=toml.time_zone(options["zone"], place.at("zone")) if "zone" in options else None,
            format=toml.text(options["format"], place.at("format")) if "format" in options else None,
            meanings=meanings,
            choices=target.choices,
            reference=reference,
            prefixes=prefixes,
            replacements=_replacements(options["replace"], place.at("replace")) if "replace" in options else (),
            entities="entities" in options and toml.flag(options["entities"], place.at("entities")),
        )
        for source in _sources(options, place, target)
    ]


def _sources(options: Mapping[str, object], place: Place, target: Target) -> list[Path | Template | Scalar]:
    given = [key for key in _SOURCES if key in options]
    if not given and "default" in options:
        return []
    if len(given) != 1:
        raise place.error(f"{' and '.join(given) or 'nothing'} to read from", f"give exactly one of {', '.join(_SOURCES)}")
    key = given[0]
    value, at = options[key], place.at(key) if len(options) > 1 else place
    if key == "path":
        return [parse_path(toml.text(value, at), at)]
    if key == "paths":
        return [parse_path(written, at.at(index)) for index, written in enumerate(toml.texts(value, at))]
    if key == "template":
        return [parse_template(toml.text(value, at), at)]
    constant = toml.scalar(value, at)
    if target.choices:
        _check_choice(str(constant), target, at)
    return [constant]


def _kind(options: Mapping[str, object], place: Place, target: Target) -> Kind:
    if "type" not in options:
        return target.kinds[0]
    word = toml.text(options["type"], place.at("type"))
    for kind in target.kinds:
        if kind == word:
            return "day" if kind == "date" and target is ATTRIBUTE else kind
    raise place.at("type").not_a_choice("unfit type", word, target.kinds)


def _namespace(
    options: Mapping[str, object], place: Place, target: Target, namespaces: Namespaces, *, own: bool
) -> tuple[str | None, Mapping[str, str]]:
    prefixes = toml.words(options["prefixes"], place.at("prefixes")) if "prefixes" in options else {}
    for name in prefixes.values():
        namespaces.check(name, place.at("prefixes"))
    if "reference" in options:
        return namespaces.check(toml.text(options["reference"], place.at("reference")), place.at("reference")), prefixes
    if target.referenced and not prefixes and not own:
        raise place.error("an id of another record without its reference", f"add reference = one of {', '.join(sorted(namespaces.known))}")
    return (namespaces.own if own and target.referenced and not prefixes else None), prefixes


def _condition(options: Mapping[str, object], place: Place) -> Condition:
    toml.table(options, place, ("path", *_TESTS))
    given = [test for test in _TESTS if test in options]
    if "path" not in options or len(given) != 1:
        raise place.error("a condition needs a path and one test", f"tests: {', '.join(_TESTS)}")
    path = parse_path(toml.text(options["path"], place.at("path")), place.at("path"))
    test = given[0]
    value, at = options[test], place.at(test)
    if test == "present":
        return Condition(path, "present", present=toml.flag(value, at))
    if test == "same_as":
        return Condition(path, "same_as", other=parse_path(toml.text(value, at), at))
    values = value if test in ("in", "not_in") else [value]
    if not isinstance(values, list):
        raise at.error("not a list", "write it as [ … ]")
    scalars = tuple(toml.scalar(item, at) for item in values)
    return Condition(path, "not_in" if test.startswith("not_") else "in", values=scalars)


def _replacements(value: object, place: Place) -> tuple[tuple[re.Pattern[str], str], ...]:
    if not isinstance(value, list):
        raise place.error("not a list", 'write it as [["pattern", "replacement"], …]')
    return tuple(_replacement(pair, place.at(index)) for index, pair in enumerate(value))


def _replacement(pair: object, place: Place) -> tuple[re.Pattern[str], str]:
    if not isinstance(pair, list) or len(pair) != 2 or not isinstance(pair[1], str):
        raise place.error("not a pair of pattern and replacement", 'write it as ["pattern", "replacement"]')
    found = toml.pattern(pair[0], place.at(0))
    try:
        re.compile(f"(?:{found.pattern})|").sub(pair[1], "", count=1)
    except (re.error, IndexError) as error:
        raise place.at(1).error(f"the replacement does not fit its pattern: {error}") from error
    return found, pair[1]


def _check_choice(word: str, target: Target, place: Place) -> None:
    if word not in target.choices:
        raise place.not_a_choice("unknown word", word, target.choices)
