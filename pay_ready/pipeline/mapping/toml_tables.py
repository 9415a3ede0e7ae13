"""TOML values read with their place, so that a mistake is reported with file, key and the valid choices."""

import difflib
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from zoneinfo import ZoneInfo

from pay_ready.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Place:
    """Where in which file a value stands."""

    file: str
    key: str = ""

    def at(self, name: str | int) -> "Place":
        """The place of a key or list position below this one."""
        step = f"[{name}]" if isinstance(name, int) else f".{name}" if self.key else name
        return Place(self.file, f"{self.key}{step}")

    def error(self, what: str, hint: str = "") -> ConfigError:
        """The error to raise about the value here."""
        return ConfigError(what, hint, file=self.file, key=self.key or "(whole file)")

    def not_a_choice(self, what: str, given: str, choices: Iterable[str]) -> ConfigError:
        """The error for a word that is not among the choices; names the nearest one and all."""
        choices = sorted(choices)
        near = difflib.get_close_matches(given, choices, n=1)
        suggestion = f'did you mean "{near[0]}"? ' if near else ""
        return self.error(f'{what} "{given}"', f"{suggestion}choices: {', '.join(choices) or '(none)'}")


def table(value: object, place: Place, allowed: Iterable[str] | None = None) -> Mapping[str, object]:
    """A table whose keys are all allowed (None: any)."""
    if not isinstance(value, dict):
        raise place.error("not a table", "write it as [section] or { key = value }")
    names = set(value) if allowed is None else set(allowed)
    for key in value:
        if key not in names:
            raise place.at(key).not_a_choice("unknown key", key, names)
    return value


def tables(value: object, place: Place) -> list[tuple[Mapping[str, object], Place]]:
    """A table or a list of tables, each with its place."""
    if isinstance(value, list):
        return [(table(item, place.at(index)), place.at(index)) for index, item in enumerate(value)]
    return [(table(value, place), place)]


def text(value: object, place: Place) -> str:
    """A text that is not blank."""
    if not isinstance(value, str) or not value.strip():
        raise place.error("not a text", 'write it as "…"')
    return value


def texts(value: object, place: Place) -> tuple[str, ...]:
    """A list of texts."""
    if not isinstance(value, list):
        raise place.error("not a list of texts", 'write it as ["…", "…"]')
    return tuple(text(item, place.at(index)) for index, item in enumerate(value))


def flag(value: object, place: Place) -> bool:
    """True or false."""
    if not isinstance(value, bool):
        raise place.error("neither true nor false")
    return value


def whole_number(value: object, place: Place) -> int:
    """An integer from 0 on."""
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise place.error("not a whole number from 0 on")
    return value


def scalar(value: object, place: Place) -> str | int | float | bool:
    """A text, number, true or false."""
    if not isinstance(value, str | int | float | bool):
        raise place.error("not a text, number, true or false")
    return value


def words(value: object, place: Place) -> Mapping[str, str]:
    """A table from texts to texts; a text may be blank."""
    pairs = table(value, place)
    for key, word in pairs.items():
        if not isinstance(word, str):
            raise place.at(key).error("not a text", 'write it as "…"')
    return {key: str(word) for key, word in pairs.items()}


def pattern(value: object, place: Place) -> re.Pattern[str]:
    """A regular expression."""
    try:
        return re.compile(text(value, place))
    except re.error as error:
        raise place.error(f"not a regular expression: {error}") from error


def time_zone(value: object, place: Place) -> str:
    """The IANA name of a time zone."""
    name = text(value, place)
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:
        raise place.error(f'unknown time zone "{name}"', 'use an IANA name such as "Europe/Berlin"') from error
    return name


def load_words(path: Path, key: str) -> frozenset[str]:
    """A list of lower-case words in a file of `config/resolution/`: free-mail domains ("domains"), role addresses ("local_parts")."""
    place = Place(str(path))
    content = table(load_toml(path), place, {key})
    if key not in content:
        raise place.error("the list is missing", f"add {key} = [...]")
    listed = texts(content[key], place.at(key))
    for index, word in enumerate(listed):
        if word != word.strip().lower():
            raise place.at(key).at(index).error(f'"{word}" is not trimmed and lower case')
    return frozenset(listed)


def load_toml(path: Path) -> Mapping[str, object]:
    """The content of a TOML file.

    Raises:
        ConfigError: It cannot be read, is not UTF-8 or not TOML; names the file and the position.
    """
    place = Place(str(path))
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise place.error(f"the file cannot be read: {error.strerror}", "check its name and permissions") from error
    except UnicodeDecodeError as error:
        raise place.error(f"not UTF-8 at byte {error.start}") from error
    except tomllib.TOMLDecodeError as error:
        raise place.error(f"not TOML: {error}") from error
