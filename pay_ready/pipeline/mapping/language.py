"""The mapping language: what the streams of a source say about people, companies and interactions, declared in `config/sources/*.toml`.

A file has `kind`, `version`, `title` and a table for each stream. A stream either says why it is ignored (`ignore`), or is `like` another,
or holds the tables `person`, `company` and `interaction` (each once or as an array of tables, each with an optional `when`). It may name
`aliases`, the namespace of its ids (`reference`), rows to `skip` with a reason, and a `primary_key` and `cursor` that its catalogue lacks.

The fields of a table are those of the staged row (`model.staged`), and say where their value comes from:

    email = "profile.email"                                         a path: "a.b", "a.0", "a[key=value].b"
    side = "internal"                                               the word itself, where a field takes one of a few words
    updated_at = { path = "updated", type = "timestamp_s" }         a path and how to read it (`rules.Kind`)
    text = [{ path = "html", type = "html" }, "plain"]              the first that gives a value; paths = ["a", "b"] for short
    full_name = { template = "{first} {last}" }                     several values in one
    title = { constant = "Guest", when = { path = "role", equals = "guest" } }
    side = { path = "affiliation", default = "external" }           a side's default counts last, after the e-mail's domain
    type = { path = "kind", map = { Call = "call", "*" = "note" } } the source's words; "*" is any other, "" says nothing
    id = { path = "WhoId", prefixes = { "003" = "contact", "00Q" = "lead" } }
    started = { path = "at", zone = "Europe/Berlin", format = "%d.%m.%Y", required = true }
    text = { path = "text", replace = [["<#[A-Z0-9]+\\\\|([^>]*)>", "#\\\\1"]], entities = true }

`when` takes one condition or a list of them, which must all hold: a path and one of equals, not_equals, in, not_in, present, same_as.
An interaction has `participants` (a `role`, a `person` or `company`, a `speaker`) and `turns`; both go through a list with
`each = "parties"`, `each = "context[].objects[]"`, `each = { path = "to", split = ";" }` or `each = { path = "text", find = "@([a-z]+)" }`.
Inside a list "." is the element and "$.a" starts at the record again. `attributes` and `metadata` are free.

Everything is checked at load: a mistake names file, key and the valid choices.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from pay_ready.pipeline.mapping import toml_tables as toml
from pay_ready.pipeline.mapping.fields import (
    ATTRIBUTE,
    COMPANY_TARGETS,
    DURATION,
    IDENTIFIER,
    INTERACTION_TARGETS,
    PERSON_TARGETS,
    ROLE,
    TEXT,
    Namespaces,
    Target,
    lenient,
    parse_conditions,
    parse_each,
    parse_value,
)
from pay_ready.pipeline.mapping.paths import parse_path
from pay_ready.pipeline.mapping.rules import (
    CompanyRule,
    Condition,
    InteractionRule,
    ParticipantRule,
    PersonRule,
    SkipRule,
    SourceMapping,
    StreamMapping,
    TurnRule,
    ValueRule,
)
from pay_ready.pipeline.mapping.toml_tables import Place

_Rule = TypeVar("_Rule")
_STREAM_KEYS = ("like", "aliases", "primary_key", "cursor", "reference", "ignore", "skip", "person", "company", "interaction")
_PARTICIPANT_KEYS = ("each", "when", "role", "speaker", "person", "company")
_TURN_KEYS = ("each", "speaker", "sentences", "text", "start", "end")


def load_mappings(folder: Path) -> Mapping[str, SourceMapping]:
    """Every mapping of a folder, by source kind.

    Raises:
        ConfigError: A file is wrong, or its kind is not its file name; names file, key and choices.
    """
    mappings = {path.stem: load_mapping(path) for path in sorted(folder.glob("*.toml"))}
    for stem, mapping in mappings.items():
        if stem != mapping.kind:
            raise Place(str(folder / f"{stem}.toml"), "kind").error(
                f'the kind "{mapping.kind}" is not the file\'s name', f'write kind = "{stem}"'
            )
    return mappings


def load_mapping(path: Path) -> SourceMapping:
    """One mapping file, parsed and checked.

    Raises:
        ConfigError: The file cannot be read, or a key or value is wrong; names file, key and choices.
    """
    place = Place(str(path))
    content = toml.table(toml.load_toml(path), place, ("kind", "version", "title", "streams"))
    for key in ("kind", "version", "streams"):
        if key not in content:
            raise place.error(f"{key} is missing", 'a mapping starts with kind = "…", version = 1 and has [streams.…] tables')
    kind = toml.text(content["kind"], place.at("kind"))
    version = toml.whole_number(content["version"], place.at("version"))
    streams = _written_out(toml.table(content["streams"], place.at("streams")), place.at("streams"))
    known = frozenset(_reference(name, options, place.at("streams").at(name)) for name, options in streams.items())
    parsed = {name: _stream(name, options, place.at("streams").at(name), known) for name, options in streams.items()}
    _check_names(parsed, place.at("streams"))
    return SourceMapping(
        kind=kind,
        title=toml.text(content.get("title", kind), place.at("title")),
        version=version,
        contract_version=f"{kind}-{version}-{_digest(content)}",
        streams=parsed,
    )


def _digest(content: Mapping[str, object]) -> str:
    """The start of the sha256 of what the file says; comments, order of keys and white space do not count."""
    return hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()[:12]


def _written_out(streams: Mapping[str, object], place: Place) -> Mapping[str, Mapping[str, object]]:
    """Every stream's own table; one that is `like` another takes over all that it does not say itself, but the aliases."""
    tables = {name: toml.table(value, place.at(name), _STREAM_KEYS) for name, value in streams.items()}
    originals = {name: options for name, options in tables.items() if "like" not in options}
    for name, options in tables.items():
        if "like" in options:
            original = toml.text(options["like"], place.at(name).at("like"))
            if original not in originals:
                raise place.at(name).at("like").not_a_choice("like no stream", original, originals)
            inherited = {key: value for key, value in originals[original].items() if key != "aliases"}
            own = {key: value for key, value in options.items() if key != "like"}
            tables[name] = {"reference": original, **inherited, **own}
    return tables


def _reference(name: str, options: Mapping[str, object], place: Place) -> str:
    return toml.text(options.get("reference", name), place.at("reference"))


def _check_names(streams: Mapping[str, StreamMapping], place: Place) -> None:
    taken = set(streams)
    for stream in streams.values():
        for alias in stream.aliases:
            if alias in taken:
                raise place.at(stream.name).at("aliases").error(f'"{alias}" names two streams')
            taken.add(alias)


def _stream(name: str, options: Mapping[str, object], place: Place, known: frozenset[str]) -> StreamMapping:
    rules = [key for key in ("person", "company", "interaction") if key in options]
    if ("ignore" in options) == bool(rules):
        raise place.error(
            "both ignored and mapped" if rules else "neither mapped nor ignored", 'add person, company or interaction, or ignore = "why"'
        )
    namespaces = Namespaces(known, _reference(name, options, place))
    return StreamMapping(
        name=name,
        aliases=toml.texts(options.get("aliases", []), place.at("aliases")),
        primary_key=tuple(
            _key_path(written, place.at("primary_key")) for written in toml.texts(options.get("primary_key", []), place.at("primary_key"))
        ),
        cursor=_key_path(toml.text(options["cursor"], place.at("cursor")), place.at("cursor")) if "cursor" in options else (),
        reference=namespaces.own,
        ignore=toml.text(options["ignore"], place.at("ignore")) if "ignore" in options else None,
        skips=tuple(_skip(skip, at) for skip, at in toml.tables(options.get("skip", []), place.at("skip"))),
        people=_each_rule(options, "person", place, lambda table, at: _person(table, at, namespaces)),
        companies=_each_rule(options, "company", place, lambda table, at: _company(table, at, namespaces)),
        interactions=_each_rule(options, "interaction", place, lambda table, at: _interaction(table, at, namespaces)),
    )


def _each_rule(
    options: Mapping[str, object], key: str, place: Place, parse: Callable[[Mapping[str, object], Place], _Rule]
) -> tuple[_Rule, ...]:
    return tuple(parse(table, at) for table, at in toml.tables(options.get(key, []), place.at(key)))


def _key_path(written: str, place: Place) -> tuple[str, ...]:
    return tuple(str(step) for step in parse_path(written, place).steps)


def _skip(value: Mapping[str, object], place: Place) -> SkipRule:
    options = toml.table(value, place, ("when", "reason"))
    if len(options) < 2:
        raise place.error("when or reason is missing", 'write { when = { path = …, equals = … }, reason = "…" }')
    return SkipRule(when=parse_conditions(options["when"], place.at("when")), reason=toml.text(options["reason"], place.at("reason")))


def _person(value: Mapping[str, object], place: Place, namespaces: Namespaces, *, mentioned: bool = False) -> PersonRule:
    """A person's rule; somebody only `mentioned` in an interaction needs no id and does not break it."""
    options = toml.table(value, place, (*PERSON_TARGETS, "company", "attributes", "when"))
    company = toml.table(options["company"], place.at("company")) if "company" in options else None
    fields = dict(_fields(options, place, "person", PERSON_TARGETS, namespaces, mentioned=mentioned))
    usual_side = fields["side"].default if "side" in fields else None
    if usual_side is not None:
        fields["side"] = replace(fields["side"], default=None)
    return PersonRule(
        when=_when(options, place),
        fields=fields,
        usual_side=None if usual_side is None else str(usual_side),
        company=_company(company, place.at("company"), namespaces, mentioned=True) if company is not None else None,
        attributes=_attributes(options, "attributes", place, "person", namespaces),
    )


def _company(value: Mapping[str, object], place: Place, namespaces: Namespaces, *, mentioned: bool = False) -> CompanyRule:
    options = toml.table(value, place, (*COMPANY_TARGETS, "attributes", "when"))
    return CompanyRule(
        when=_when(options, place),
        fields=_fields(options, place, "company", COMPANY_TARGETS, namespaces, mentioned=mentioned),
        attributes=_attributes(options, "attributes", place, "company", namespaces),
    )


def _interaction(value: Mapping[str, object], place: Place, namespaces: Namespaces) -> InteractionRule:
    options = toml.table(value, place, (*INTERACTION_TARGETS, "precedence", "participants", "turns", "metadata", "when"))
    fields = _fields(options, place, "interaction", INTERACTION_TARGETS, namespaces)
    occurred_at = fields.get("occurred_at")
    if "type" not in fields:
        raise place.error("type is missing", 'for example type = "call"')
    if (occurred_at is None or not occurred_at.required) and "turns" not in options:
        raise place.error("occurred_at is missing or not required", "only a part that carries turns alone may lack its time")
    return InteractionRule(
        when=_when(options, place),
        precedence=toml.whole_number(options.get("precedence", 0), place.at("precedence")),
        fields=fields,
        participants=_each_rule(options, "participants", place, lambda table, at: _participant(table, at, namespaces)),
        turns=_turns(options["turns"], place.at("turns"), namespaces) if "turns" in options else None,
        metadata=_attributes(options, "metadata", place, "interaction", namespaces),
    )


def _participant(value: Mapping[str, object], place: Place, namespaces: Namespaces) -> ParticipantRule:
    options = toml.table(value, place, _PARTICIPANT_KEYS)
    if "role" not in options or ("person" in options) == ("company" in options):
        raise place.error("a participant needs a role and either person or company")
    person = toml.table(options["person"], place.at("person")) if "person" in options else None
    company = toml.table(options["company"], place.at("company")) if "company" in options else None
    return ParticipantRule(
        role=parse_value(options["role"], place.at("role"), "participant.role", ROLE, namespaces),
        each=parse_each(options["each"], place.at("each")) if "each" in options else None,
        when=_when(options, place),
        person=_person(person, place.at("person"), namespaces, mentioned=True) if person is not None else None,
        company=_company(company, place.at("company"), namespaces, mentioned=True) if company is not None else None,
        speaker=_optional(options, "speaker", place, "participant.speaker", IDENTIFIER, namespaces),
    )


def _turns(value: object, place: Place, namespaces: Namespaces) -> TurnRule:
    options = toml.table(value, place, _TURN_KEYS)
    for key in ("each", "speaker", "text"):
        if key not in options:
            raise place.error(f"{key} is missing", "turns need each, speaker and text")
    return TurnRule(
        each=parse_each(options["each"], place.at("each")),
        sentences=parse_each(options["sentences"], place.at("sentences")) if "sentences" in options else None,
        speaker=parse_value(options["speaker"], place.at("speaker"), "turn.speaker", IDENTIFIER, namespaces),
        text=parse_value(options["text"], place.at("text"), "turn.text", TEXT, namespaces),
        start=_optional(options, "start", place, "turn.start", DURATION, namespaces),
        end=_optional(options, "end", place, "turn.end", DURATION, namespaces),
    )


def _fields(
    options: Mapping[str, object],
    place: Place,
    noun: str,
    targets: Mapping[str, Target],
    namespaces: Namespaces,
    *,
    mentioned: bool = False,
) -> Mapping[str, ValueRule]:
    return {
        key: parse_value(
            options[key], place.at(key), f"{noun}.{key}", lenient(target) if mentioned else target, namespaces, own=not mentioned
        )
        for key, target in targets.items()
        if key in options
    }


def _attributes(options: Mapping[str, object], key: str, place: Place, noun: str, namespaces: Namespaces) -> Mapping[str, ValueRule]:
    listed = toml.table(options.get(key, {}), place.at(key))
    return {
        name: parse_value(value, place.at(key).at(name), f"{noun}.{key}.{name}", ATTRIBUTE, namespaces) for name, value in listed.items()
    }


def _optional(options: Mapping[str, object], key: str, place: Place, name: str, target: Target, namespaces: Namespaces) -> ValueRule | None:
    return parse_value(options[key], place.at(key), name, target, namespaces) if key in options else None


def _when(options: Mapping[str, object], place: Place) -> tuple[Condition, ...]:
    return parse_conditions(options["when"], place.at("when")) if "when" in options else ()
