"""The configuration of resolution, read from `config/resolution/*.toml` and the tenant's thresholds, checked once."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import cast, get_args

from pay_ready.model.resolution import Criterion, EntityRules, EntityType, Refresh, ResolutionConfig
from pay_ready.pipeline.mapping.toml_tables import Place, flag, load_toml, load_words, table, text, texts
from pay_ready.resolve.linkage.caps import Caps, CompanyCaps
from pay_ready.resolve.survivorship import COMPANY_FIELDS, PERSON_FIELDS

_OVERRIDES = ("name_threshold", "company_threshold", "email_validation")
_DEFAULTS: Mapping[str, object] = {"name_threshold": 85, "company_threshold": 80, "email_validation": True}
_SCHEMA_VERSION = 2
_MOST_BITS, _MOST_GROWTH = 60.0, 1_000.0
_AUTO = "auto"
_KEYS = ("schema_version", "refresh", "refresh_growth", "source_order", "person", "company")
_BLOCKS: Mapping[EntityType, tuple[str, ...]] = {
    "person": tuple(each.name for each in fields(Caps)),
    "company": tuple(each.name for each in fields(CompanyCaps)),
}


def load_resolution_config(path: Path, overrides: Mapping[str, object] | None = None) -> ResolutionConfig:
    """Read `default.toml` (or a file of that form) with the word lists and nicknames that lie beside it.

    Args:
        path: The file.
        overrides: `name_threshold`, `company_threshold` (0-100) and `email_validation`, as in settings `entity_resolution`.

    Raises:
        ConfigError: A file, key or value is wrong; names file and key, and the choices where there are any.
    """
    place = Place(str(path))
    content = table(load_toml(path), place, _KEYS)
    if content.get("schema_version") != _SCHEMA_VERSION:
        raise place.at("schema_version").error("not a known schema_version", f"choices: {_SCHEMA_VERSION}")
    limits = {**_DEFAULTS, **table(dict(overrides or {}), Place("settings", "entity_resolution"), _OVERRIDES)}
    folder = path.parent
    unhashed = ResolutionConfig(
        name_threshold=_percent(limits, "name_threshold"),
        company_threshold=_percent(limits, "company_threshold"),
        email_validation=flag(limits["email_validation"], Place("settings", "entity_resolution.email_validation")),
        refresh=_refresh(content.get("refresh"), place.at("refresh")),
        refresh_growth=_growth(content.get("refresh_growth"), place.at("refresh_growth")),
        source_order=texts(content.get("source_order", []), place.at("source_order")),
        person=_entity_rules(content, place, "person"),
        company=_entity_rules(content, place, "company"),
        free_mail_domains=load_words(folder / "free_mail_domains.toml", "domains"),
        role_local_parts=load_words(folder / "role_addresses.toml", "local_parts"),
        nicknames=load_nicknames(folder / "nicknames.toml"),
        settings_hash=b"",
        config_hash=b"",
    )
    return with_hash(unhashed)


def with_hash(config: ResolutionConfig) -> ResolutionConfig:
    """The configuration with the sha256 of its canonical values: of all, and of those that a trained model depends on."""
    values = {**asdict(config), "settings_hash": "", "config_hash": ""}
    linking = {key: value for key, value in values.items() if key not in ("refresh", "refresh_growth", "source_order")}
    for entity_type in ("person", "company"):
        linking[entity_type] = {key: values[entity_type][key] for key in ("threshold_millibits", "max_block_sizes")}
    return replace(config, settings_hash=_hash(linking), config_hash=_hash(values))


def _hash(values: Mapping[str, object]) -> bytes:
    return hashlib.sha256(json.dumps(values, sort_keys=True, default=_sorted_words).encode()).digest()


def _sorted_words(value: object) -> list[str]:
    return sorted(str(word) for word in cast("Iterable[object]", value))


def _percent(limits: Mapping[str, object], key: str) -> float:
    value = limits[key]
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 100:
        raise Place("settings", f"entity_resolution.{key}").error("not a similarity", "choose a number from 0 to 100")
    return float(value)


def _refresh(value: object, place: Place) -> Refresh:
    if value not in get_args(Refresh):
        raise place.error("not a way to refresh a model", f"choices: {', '.join(get_args(Refresh))}")
    return cast("Refresh", value)


def _growth(value: object, place: Place) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 1 < value <= _MOST_GROWTH:
        raise place.error("not a growth", f"choose a number above 1, at most {_MOST_GROWTH:g}")
    return float(value)


def _entity_rules(content: Mapping[str, object], place: Place, entity_type: EntityType) -> EntityRules:
    at = place.at(entity_type)
    keys = ("threshold_bits", "review_bits", "max_block_sizes", "survivorship")
    section = table(content.get(entity_type), at, keys)
    for key in keys:
        if key not in section:
            raise at.at(key).error("the key is missing", f"see config/resolution/default.toml, section [{entity_type}]")
    threshold = section["threshold_bits"]
    return EntityRules(
        threshold_millibits=None if threshold == _AUTO else _millibits(threshold, at.at("threshold_bits"), f' or "{_AUTO}"'),
        review_millibits=_millibits(section["review_bits"], at.at("review_bits"), least=0.0),
        max_block_sizes=_block_sizes(section["max_block_sizes"], at.at("max_block_sizes"), _BLOCKS[entity_type]),
        survivorship=_survivorship(
            section["survivorship"], at.at("survivorship"), PERSON_FIELDS if entity_type == "person" else COMPANY_FIELDS
        ),
    )


def _millibits(value: object, place: Place, further: str = "", *, least: float = -_MOST_BITS) -> int:
    if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= _MOST_BITS:
        raise place.error("not a number of bits", f"choose a number from {least:g} to {_MOST_BITS:g}{further}")
    return round(1_000 * value)


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


def load_nicknames(path: Path) -> tuple[frozenset[str], ...]:
    """Groups of given names that stand for each other.

    Raises:
        ConfigError: The file or a value is wrong; names file and key.
    """
    place = Place(str(path))
    content = table(load_toml(path), place, ("groups",))
    groups = content.get("groups")
    if not isinstance(groups, list):
        raise place.at("groups").error("the list is missing", 'add groups = ["robert bob rob", …]')
    return tuple(frozenset(text(each, place.at("groups").at(index)).split()) for index, each in enumerate(groups))
