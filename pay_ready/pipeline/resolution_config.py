"""The configuration of resolution, read from `config/resolution/*.toml` and the tenant's thresholds, checked once."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import cast, get_args

from pay_ready.model.resolution import Criterion, EntityRules, EntityType, LevelWeight, ResolutionConfig
from pay_ready.pipeline.mapping.toml_tables import Place, flag, load_toml, load_words, table, text, texts
from pay_ready.resolve.blocking import COMPANY_BLOCKING_RULES, PERSON_BLOCKING_RULES
from pay_ready.resolve.comparisons import COMPANY_LEVELS, PERSON_LEVELS
from pay_ready.resolve.survivorship import COMPANY_FIELDS, PERSON_FIELDS

_OVERRIDES = ("name_threshold", "company_threshold", "email_validation")
_DEFAULTS: Mapping[str, object] = {"name_threshold": 85, "company_threshold": 80, "email_validation": True}
_SCHEMA_VERSION = 1
_MOST_BITS = 60.0


def load_resolution_config(path: Path, overrides: Mapping[str, object] | None = None) -> ResolutionConfig:
    """Read `default.toml` (or a file of that form) with the word lists and nicknames that lie beside it.

    Args:
        path: The file.
        overrides: `name_threshold`, `company_threshold` (0-100) and `email_validation`, as in settings `entity_resolution`.

    Raises:
        ConfigError: A file, key or value is wrong; names file and key, and the choices where there are any.
    """
    place = Place(str(path))
    content = table(load_toml(path), place, ("schema_version", "source_order", "person", "company"))
    if content.get("schema_version") != _SCHEMA_VERSION:
        raise place.at("schema_version").error("not a known schema_version", f"choices: {_SCHEMA_VERSION}")
    limits = {**_DEFAULTS, **table(dict(overrides or {}), Place("settings", "entity_resolution"), _OVERRIDES)}
    folder = path.parent
    unhashed = ResolutionConfig(
        name_threshold=_percent(limits, "name_threshold"),
        company_threshold=_percent(limits, "company_threshold"),
        email_validation=flag(limits["email_validation"], Place("settings", "entity_resolution.email_validation")),
        source_order=texts(content.get("source_order", []), place.at("source_order")),
        person=_entity_rules(content, place, "person"),
        company=_entity_rules(content, place, "company"),
        free_mail_domains=load_words(folder / "free_mail_domains.toml", "domains"),
        role_local_parts=load_words(folder / "role_addresses.toml", "local_parts"),
        nicknames=_nicknames(folder / "nicknames.toml"),
        config_hash=b"",
    )
    return with_hash(unhashed)


def with_hash(config: ResolutionConfig) -> ResolutionConfig:
    """The configuration with the sha256 of its canonical values."""
    values = {**asdict(config), "config_hash": ""}
    canonical = json.dumps(values, sort_keys=True, default=_sorted_words)
    return replace(config, config_hash=hashlib.sha256(canonical.encode()).digest())


def _sorted_words(value: object) -> list[str]:
    return sorted(str(word) for word in cast("Iterable[object]", value))


def _percent(limits: Mapping[str, object], key: str) -> float:
    value = limits[key]
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 100:
        raise Place("settings", f"entity_resolution.{key}").error("not a similarity", "choose a number from 0 to 100")
    return float(value)


def _entity_rules(content: Mapping[str, object], place: Place, entity_type: EntityType) -> EntityRules:
    at = place.at(entity_type)
    keys = ("threshold_bits", "review_bits", "max_block_sizes", "weights", "survivorship")
    section = table(content.get(entity_type), at, keys)
    for key in keys:
        if key not in section:
            raise at.at(key).error("the key is missing", f"see config/resolution/default.toml, section [{entity_type}]")
    person = entity_type == "person"
    threshold, review = _bits(section["threshold_bits"], at.at("threshold_bits")), _bits(section["review_bits"], at.at("review_bits"))
    if review > threshold:
        raise at.at("review_bits").error("above threshold_bits", f"choose at most {threshold}")
    return EntityRules(
        threshold_bits=threshold,
        review_bits=review,
        weights=_weights(section["weights"], at.at("weights"), PERSON_LEVELS if person else COMPANY_LEVELS),
        max_block_sizes=_block_sizes(
            section["max_block_sizes"], at.at("max_block_sizes"), PERSON_BLOCKING_RULES if person else COMPANY_BLOCKING_RULES
        ),
        survivorship=_survivorship(section["survivorship"], at.at("survivorship"), PERSON_FIELDS if person else COMPANY_FIELDS),
    )


def _bits(value: object, place: Place) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not -_MOST_BITS <= value <= _MOST_BITS:
        raise place.error("not a number of bits", f"choose a number from -{_MOST_BITS:g} to {_MOST_BITS:g}")
    return float(value)


def _weights(value: object, place: Place, levels: Mapping[str, tuple[str, ...]]) -> Mapping[str, Mapping[str, LevelWeight]]:
    comparisons = table(value, place, levels)
    return {
        name: {level: _weight(weight, place.at(name).at(level)) for level, weight in table(each, place.at(name), levels[name]).items()}
        for name, each in comparisons.items()
    }


def _weight(value: object, place: Place) -> LevelWeight:
    weight = table(value, place, ("bits", "by_rarity", "ceiling_bits"))
    return LevelWeight(
        millibits=round(1_000 * _bits(weight.get("bits", 0.0), place.at("bits"))),
        by_rarity=flag(weight.get("by_rarity", False), place.at("by_rarity")),
        ceiling_millibits=round(1_000 * _bits(weight.get("ceiling_bits", 24.0), place.at("ceiling_bits"))),
    )


def _block_sizes(value: object, place: Place, rules: tuple[str, ...]) -> Mapping[str, int]:
    sizes = table(value, place, rules)
    for rule in rules:
        size = sizes.get(rule)
        if isinstance(size, bool) or not isinstance(size, int) or size < 2:
            raise place.at(rule).error("not a block size", "choose a whole number of records from 2 on")
    return {rule: cast("int", sizes[rule]) for rule in rules}


def _survivorship(value: object, place: Place, fields: tuple[str, ...]) -> Mapping[str, tuple[Criterion, ...]]:
    section = table(value, place, fields)
    for field in fields:
        if field not in section:
            raise place.at(field).error("the field is missing", f"give it criteria: {', '.join(get_args(Criterion))}")
    return {field: tuple(_criteria(section[field], place.at(field))) for field in fields}


def _criteria(value: object, place: Place) -> Iterable[Criterion]:
    for index, word in enumerate(texts(value, place)):
        if word not in get_args(Criterion):
            raise place.at(index).not_a_choice("unknown criterion", word, get_args(Criterion))
        yield cast("Criterion", word)


def _nicknames(path: Path) -> tuple[frozenset[str], ...]:
    place = Place(str(path))
    content = table(load_toml(path), place, ("groups",))
    groups = content.get("groups")
    if not isinstance(groups, list):
        raise place.at("groups").error("the list is missing", 'add groups = ["robert bob rob", …]')
    return tuple(frozenset(text(each, place.at("groups").at(index)).split()) for index, each in enumerate(groups))
