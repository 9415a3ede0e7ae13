"""The rules of data quality, read from `config/quality/` and a tenant's own folder and settings; checked once, with file, key and choices.

`default.toml` holds of every kind of source, `<kind>.toml` of that kind, `entities.toml` of what was resolved. A rule of a folder of one's
own replaces the shipped one with its id, or is one more; a tenant's settings change keys of a rule by its id.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, cast, get_args

from pay_ready.db.quality import FIELDS, RELATIONS, RowKind, Severity
from pay_ready.model.resolution import ENTITY_TYPES, EntityType
from pay_ready.pipeline.mapping.toml_tables import Place, load_toml, scalar, table, tables, text, texts

StreamCheck = Literal[
    "freshness", "volume", "null_rate", "distinct_rate", "length", "accepted_values", "unique", "relationship", "schema_change", "sql"
]
EntityCheck = Literal["cluster_p99", "cluster_max", "singleton_share", "match_probability", "review_agreement", "over_merge"]
Check = StreamCheck | EntityCheck

ENTITY_CHECKS: frozenset[str] = frozenset(get_args(EntityCheck))
CHECKS: tuple[str, ...] = (*get_args(StreamCheck), *get_args(EntityCheck))
ANY = "*"
_SCHEMA_VERSION = 1
_ID = re.compile(r"[a-z][a-z0-9_]*(\.[a-z0-9_]+)*")
_LONGEST_ID = 80
_MORE = re.compile(r"more\.[A-Za-z0-9_ -]{1,60}")
_COMMON = ("id", "check", "severity", "says")
_KEYS: Mapping[str, tuple[str, ...]] = {
    "freshness": ("streams", "max_age_hours", "of", "field"),
    "volume": ("streams", "min_rows", "max_rows", "min_percent_of_usual", "max_percent_of_usual"),
    "null_rate": ("streams", "of", "field", "max_percent", "from_rows"),
    "distinct_rate": ("streams", "of", "field", "min_percent", "max_percent", "from_rows"),
    "length": ("streams", "of", "field", "min_length", "max_length", "max_percent", "from_rows"),
    "accepted_values": ("streams", "of", "field", "values", "max_percent", "from_rows"),
    "unique": ("streams", "of", "fields", "max_percent", "from_rows"),
    "relationship": ("streams", "of", "to", "max_percent", "from_rows"),
    "schema_change": ("streams", "allowed"),
    "sql": ("statement", "at_most", "at_least", "timeout_s"),
    "cluster_p99": ("entity", "at_most", "from_rows"),
    "cluster_max": ("entity", "at_most", "from_rows"),
    "singleton_share": ("entity", "min_percent", "max_percent", "from_rows"),
    "match_probability": ("entity", "below", "max_percent", "from_rows"),
    "review_agreement": ("min_percent", "from_rows"),
    "over_merge": ("entity", "max_values", "at_most"),
}
_NEEDED: Mapping[str, tuple[str, ...]] = {
    "freshness": ("max_age_hours",),
    "null_rate": ("of", "field", "max_percent"),
    "distinct_rate": ("of", "field"),
    "length": ("of", "field"),
    "accepted_values": ("of", "field", "values"),
    "unique": ("of", "fields"),
    "relationship": ("of", "to"),
    "sql": ("statement",),
    "cluster_p99": ("entity", "at_most"),
    "cluster_max": ("entity", "at_most"),
    "singleton_share": ("entity",),
    "match_probability": ("entity", "below", "max_percent"),
    "review_agreement": ("min_percent",),
    "over_merge": ("entity", "max_values"),
}
# One of each group must be there: a rule without a bound says nothing.
_ONE_OF: Mapping[str, tuple[str, ...]] = {
    "volume": ("min_rows", "max_rows", "min_percent_of_usual", "max_percent_of_usual"),
    "distinct_rate": ("min_percent", "max_percent"),
    "length": ("min_length", "max_length"),
    "sql": ("at_most", "at_least"),
    "singleton_share": ("min_percent", "max_percent"),
}
_CHANGES = ("added", "removed", "retyped")
_PERCENT = ("max_percent", "min_percent")
_WHOLE = ("min_rows", "max_rows", "from_rows", "min_length", "max_length", "max_values")
_NUMBERS = ("max_age_hours", "min_percent_of_usual", "max_percent_of_usual", "at_most", "at_least", "below", "timeout_s")
_MOST_TIMEOUT_S = 60.0
# What a statement of an operator's may not name: it would leave the tenant, or run text that nobody sees here.
_FORBIDDEN = re.compile(
    r"""(?ix) set_config | \bset\s+(local|session|role) | \breset\b | _to_xml | \bdblink | \blo_\w+ | pg_read | pg_ls | pg_terminate
    | pg_cancel | \bu&["'] | ; | --|/\*"""
)
_TENANT = re.compile(r"tenant_id\s*=\s*%\(tenant_id\)s")
_PLACEHOLDER = re.compile(r"%(?!%|\(tenant_id\)s)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One rule. Shares are in percent, ages in hours; a bound that is None is none."""

    rule_id: str
    check: Check
    severity: Severity
    says: str = ""
    kind: str = ""  # of source; empty: every kind
    streams: tuple[str, ...] = (ANY,)
    of: RowKind | None = None
    fields: tuple[str, ...] = ()
    entity: EntityType | None = None
    max_percent: float | None = None
    min_percent: float | None = None
    at_most: float | None = None
    at_least: float | None = None
    min_length: int | None = None
    max_length: int | None = None
    min_rows: int | None = None
    max_rows: int | None = None
    min_percent_of_usual: float | None = None
    max_percent_of_usual: float | None = None
    max_age_hours: float | None = None
    max_values: int | None = None
    below: float | None = None
    from_rows: int = 0  # fewer rows are not judged
    values: tuple[str, ...] = ()
    allowed: tuple[str, ...] = ()
    statement: str = field(default="", repr=False)
    timeout_s: float = 10.0
    file: str = field(default="", compare=False)

    @property
    def is_of_entities(self) -> bool:
        """Whether it is about what was resolved, not about a stream."""
        return self.check in ENTITY_CHECKS

    def covers(self, kind: str, stream: str) -> bool:
        """Whether it holds of a stream of a kind of source."""
        return self.kind in ("", kind) and (ANY in self.streams or stream in self.streams)


def load_rules(shipped: Path, own: Path | None = None, overrides: Mapping[str, Mapping[str, Any]] | None = None) -> tuple[Rule, ...]:
    """The rules that hold for a tenant, in the order of their ids; those that are off are left out.

    Args:
        shipped: The folder `config/quality`.
        own: A folder of the same form whose rules stand above.
        overrides: By id keys of rules that are otherwise for the tenant; `severity = "off"` leaves one out.

    Raises:
        ConfigError: A file, key or value is wrong; names file and key, and the choices where there are any.
    """
    written = dict(_written(shipped))
    if own is not None:
        if not own.is_dir():
            raise Place("settings", "quality.folder").error("no such folder", "name a folder of TOML files as in config/quality")
        written.update(_written(own))
    settings = Place("tenant settings", "quality.rules")
    for rule_id, changes in (overrides or {}).items():
        at = settings.at(rule_id)
        if rule_id not in written:
            raise at.not_a_choice("no rule has the id", rule_id, written)
        content, _, kind = written[rule_id]
        changed = table(dict(changes), at)
        if "id" in changed or "check" in changed:
            raise at.error("a rule keeps its id and check", "write another rule in a folder of your own (quality.folder)")
        written[rule_id] = ({**content, **changed}, at, kind)
    return tuple(rule for _, each in sorted(written.items()) if (rule := _rule(*each)) is not None)


def _written(folder: Path) -> Iterable[tuple[str, tuple[Mapping[str, object], Place, str]]]:
    taken: dict[str, str] = {}
    for path in sorted(folder.glob("*.toml")):
        place = Place(str(path))
        content = table(load_toml(path), place, ("schema_version", "rule"))
        if content.get("schema_version") != _SCHEMA_VERSION:
            raise place.at("schema_version").error("not a known schema_version", f"choices: {_SCHEMA_VERSION}")
        kind = "" if path.stem in ("default", "entities") else path.stem
        for each, at in tables(content.get("rule", []), place.at("rule")):
            rule_id = _text(each, at, "id")
            if not _ID.fullmatch(rule_id) or len(rule_id) > _LONGEST_ID:
                raise at.at("id").error(f'"{rule_id}" is no id', "lower-case letters, digits and _, in parts with dots between")
            if rule_id in taken:
                raise at.at("id").error(f'the id "{rule_id}" is taken in {taken[rule_id]}', "choose another")
            taken[rule_id] = path.name
            _rule(each, at, kind)  # also one that is replaced must be right
            yield rule_id, (each, at, kind)


def _rule(each: Mapping[str, object], at: Place, kind: str) -> Rule | None:
    check = _text(each, at, "check")
    if check not in CHECKS:
        raise at.at("check").not_a_choice("unknown check", check, CHECKS)
    table(dict(each), at, (*_COMMON, *_KEYS[check]))
    _refuse_missing(each, at, check)
    severity = text(each.get("severity", "warn"), at.at("severity"))
    if severity not in ("warn", "error", "off"):
        raise at.at("severity").not_a_choice("unknown severity", severity, ("warn", "error", "off"))
    rule = Rule(
        rule_id=_text(each, at, "id"),
        check=cast("Check", check),
        severity=cast("Severity", severity),
        says=text(each["says"], at.at("says")) if "says" in each else "",
        kind=kind,
        streams=texts(each.get("streams", [ANY]), at.at("streams")) or (ANY,),
        file=at.file,
    )
    bounds: dict[str, Any] = {key: _number(each[key], at.at(key), key) for key in each if key in (*_PERCENT, *_WHOLE, *_NUMBERS)}
    rule = replace(rule, **bounds, **_named(each, at, check))
    return None if severity == "off" else rule


def _refuse_missing(each: Mapping[str, object], at: Place, check: str) -> None:
    for key in _NEEDED.get(check, ()):
        if key not in each:
            raise at.at(key).error(f'a rule of the check "{check}" needs the key', f"its keys are: {', '.join(_KEYS[check])}")
    group = _ONE_OF.get(check, ())
    if group and not any(key in each for key in group):
        raise at.error(f'a rule of the check "{check}" needs a bound', f"one of: {', '.join(group)}")


def _named(each: Mapping[str, object], at: Place, check: str) -> dict[str, Any]:
    """What a rule names of ours: kinds of rows, fields, entities, changes, a statement."""
    named: dict[str, Any] = {}
    if "of" in each:
        named |= _fields(each, at, check)
    elif check == "freshness" and "field" in each:
        raise at.at("of").error("the key is missing", f"choices: {', '.join(get_args(RowKind))}")
    if "values" in each:
        named["values"] = texts(each["values"], at.at("values"))
    if "entity" in each:
        named["entity"] = _choice(each, at, "entity", ENTITY_TYPES)
    if "allowed" in each:
        named["allowed"] = texts(each["allowed"], at.at("allowed"))
        for word in named["allowed"]:
            if word not in _CHANGES:
                raise at.at("allowed").not_a_choice("unknown change", word, _CHANGES)
    if "statement" in each:
        named["statement"] = _statement(_text(each, at, "statement"), at.at("statement"))
    return named


def _fields(each: Mapping[str, object], at: Place, check: str) -> dict[str, Any]:
    kind = cast("RowKind", _choice(each, at, "of", get_args(RowKind)))
    known = RELATIONS[kind] if check == "relationship" else FIELDS[kind]
    key = {"relationship": "to", "unique": "fields"}.get(check, "field")
    given = texts(each[key], at.at(key)) if key == "fields" else (_text(each, at, key),)
    if not given:
        raise at.at(key).error("the list is empty", "name one field at least")
    for name in given:
        if name not in known and (check == "relationship" or not _MORE.fullmatch(name)):
            choices = known if check == "relationship" else [*known, "more.<name>"]
            raise at.at(key).not_a_choice("unknown field", name, choices)
    if check == "freshness" and given[0] not in ("updated_at", "occurred_at"):
        raise at.at("field").not_a_choice("not a time", given[0], ("updated_at", "occurred_at"))
    return {"of": kind, "fields": given}


def _statement(written: str, at: Place) -> str:
    if not re.match(r"\s*(select|with)\b", written, re.IGNORECASE):
        raise at.error("not a statement that reads", "begin it with select or with")
    if found := _FORBIDDEN.search(written):
        raise at.error(f'"{found[0].strip()}" may not be in a statement', "one plain select, without comments and semicolons")
    if not _TENANT.search(written):
        raise at.error("the statement does not name its tenant", "add: where tenant_id = %(tenant_id)s")
    if _PLACEHOLDER.search(written):
        raise at.error("a % of its own", "write %% where you mean one")
    return written.strip()


def _number(value: object, at: Place, key: str) -> float | int:
    found = scalar(value, at)
    if isinstance(found, bool | str) or found < 0:
        raise at.error("not a number from 0 on")
    if key in _PERCENT and found > 100:
        raise at.error("not a share", "choose one from 0 to 100 (percent)")
    if key in _WHOLE and not isinstance(found, int):
        raise at.error("not a whole number from 0 on")
    if key == "timeout_s" and not 0 < found <= _MOST_TIMEOUT_S:
        raise at.error("not such a time", f"choose one above 0, at most {_MOST_TIMEOUT_S:g} seconds")
    if key == "below" and found > 1:
        raise at.error("not a probability", "choose one from 0 to 1")
    return found


def _text(each: Mapping[str, object], at: Place, key: str) -> str:
    if key not in each:
        raise at.at(key).error("the key is missing", f'add {key} = "…"')
    return text(each[key], at.at(key))


def _choice(each: Mapping[str, object], at: Place, key: str, choices: Sequence[str]) -> str:
    value = _text(each, at, key)
    if value not in choices:
        raise at.at(key).not_a_choice(f"unknown {key}", value, choices)
    return value
