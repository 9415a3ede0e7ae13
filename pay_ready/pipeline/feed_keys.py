"""What a connector's configuration calls the first and the last moment of what it reads, and how it writes them. Pure but for a file."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from pay_ready.pipeline.mapping import toml_tables as toml
from pay_ready.pipeline.mapping.toml_tables import Place
from pay_ready.sources.ranges import RecordRange

# How connectors take a moment, the finest first. %f is exact; without %H it is a day.
_FORMS = (
    "%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%dT%H:%M:%S.000Z", "%Y-%m-%dT%H:%M:%S.000000Z", "%Y-%m-%dT%H:%M:%S+00:00", "%Y-%m-%dT%H:%M:%S",
    "%Y-%m-%d %H:%M:%S", "%Y-%m-%d", "%Y%m%d",
)  # fmt: skip
EXACT = "%Y-%m-%dT%H:%M:%S.%fZ"
_SECONDS, _MILLISECONDS = "s", "ms"  # numbers since 1970
_OWN_KEYS = ("start", "end", "readers")
_MOST_READERS = 16
_SAMPLE = datetime(2024, 2, 29, 13, 45, 6, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class RangeKey:
    """A key of a connector's configuration, and how the moment under it is written."""

    path: tuple[str, ...]
    form: str

    def start(self, moment: datetime) -> str | int:
        """The moment as a start: at most a second too early, for sources that leave out the start itself; or its day."""
        has_margin = "%H" in self.form and self.form != EXACT
        return self._written(moment - timedelta(seconds=1) if has_margin else moment)

    def end(self, moment: datetime) -> str | int:
        """The moment as an end, rounded up."""
        unit = timedelta(days=1) if "%d" in self.form and "%H" not in self.form else timedelta(seconds=1)
        rest = (moment - datetime(1970, 1, 1, tzinfo=UTC)) % unit
        return self._written(moment + unit - rest if rest and self.form != EXACT else moment)

    def _written(self, moment: datetime) -> str | int:
        moment = moment.astimezone(UTC)
        if self.form in (_SECONDS, _MILLISECONDS):
            return int(moment.timestamp()) * (1000 if self.form == _MILLISECONDS else 1)
        return moment.strftime(self.form)


@dataclass(frozen=True, slots=True, kw_only=True)
class RangeKeys:
    """Where a connector's configuration takes a range; None: it takes none."""

    start: RangeKey | None = None
    end: RangeKey | None = None

    def values(self, records: RecordRange) -> list[tuple[tuple[str, ...], str | int]]:
        """Paths and what is to stand there."""
        start = [(self.start.path, self.start.start(records.start))] if self.start else []
        return start + ([(self.end.path, self.end.end(records.end))] if self.end else [])


def range_keys(path: Path, connector: str, specification: Mapping[str, Any]) -> RangeKeys:
    """The keys by which a connector takes a range, as a file says or by their usual names, and how its specification writes them.

    Args:
        path: A file like config/backfill.toml.
        connector: The connector's name, without its version.
        specification: The JSON schema of its configuration.

    Raises:
        ConfigError: The file is wrong, or names a key that the connector does not have; names the choices.
    """
    place = Place(str(path))
    content = toml.table(toml.load_toml(path), place, ("start_keys", "end_keys", "connectors"))
    connectors = toml.table(content.get("connectors", {}), place.at("connectors"))
    own = toml.table(connectors.get(connector, {}), place.at("connectors").at(connector), _OWN_KEYS)
    found = {}
    for side in ("start", "end"):
        if side in own:
            found[side] = _named_key(own[side], specification, place.at("connectors").at(connector).at(side))
        else:
            names = toml.texts(content.get(f"{side}_keys", []), place.at(f"{side}_keys"))
            keys = (_key((name,), specification) for name in names)
            found[side] = next((key for key in keys if key), None)
    return RangeKeys(**found)


def most_readers(path: Path, connector: str, ingest_mode: str) -> int:
    """How many readers a backfill may have of a source at once.

    Export files bear any number. A connector has one, unless the file says that it bears more: two would not know of each other's rate
    limit, and where tokens are used up by their use they would rob each other.

    Args:
        path: A file like config/backfill.toml.
        connector: The connector's name, without its version.
        ingest_mode: How the source comes in.

    Raises:
        ConfigError: The file is wrong.
    """
    if ingest_mode == "replay":
        return _MOST_READERS
    place = Place(str(path))
    connectors = toml.table(toml.load_toml(path).get("connectors", {}), place.at("connectors"))
    own_place = place.at("connectors").at(connector)
    own = toml.table(connectors.get(connector, {}), own_place, _OWN_KEYS)
    readers = toml.whole_number(own.get("readers", 1), own_place.at("readers"))
    if not 1 <= readers <= _MOST_READERS:
        raise own_place.at("readers").error("not a number of readers", f"choices: 1 to {_MOST_READERS}")
    return readers


def _named_key(value: object, specification: Mapping[str, Any], place: Place) -> RangeKey | None:
    if value == "":
        return None
    name = toml.text(value, place)
    key = _key(tuple(name.split(".")), specification)
    if key is None:
        raise place.not_a_choice("the connector takes no date under", name, _datable(specification))
    return key


def _datable(schema: Mapping[str, Any], above: str = "") -> Iterator[str]:
    """The keys of a specification that could take a date."""
    for name, inner in schema.get("properties", {}).items():
        if isinstance(inner, dict):
            if _form(inner):
                yield f"{above}{name}"
            yield from _datable(inner, f"{above}{name}.")


def _key(path: tuple[str, ...], specification: Mapping[str, Any]) -> RangeKey | None:
    inner: Any = specification
    for name in path:
        inner = inner.get("properties", {}).get(name) if isinstance(inner, dict) else None
    form = _form(inner) if isinstance(inner, dict) else None
    return RangeKey(path=path, form=form) if form else None


def _form(schema: Mapping[str, Any]) -> str | None:
    """How a property writes a moment; None when it cannot be one."""
    types = schema.get("type", "string")
    types = {types} if isinstance(types, str) else set(types)
    if "string" not in types:
        milliseconds = "milli" in str(schema.get("description", "")).lower()
        return (_MILLISECONDS if milliseconds else _SECONDS) if types & {"integer", "number"} else None
    forms = sorted(_FORMS, key=lambda form: "%H" in form) if schema.get("format") == "date" else list(_FORMS)
    try:
        pattern = re.compile(str(schema["pattern"])) if "pattern" in schema else None
    except re.error:
        pattern = None
    if pattern:
        return next((form for form in forms if pattern.search(_SAMPLE.strftime(form))), None)
    if "format" in schema:
        return forms[0]
    shown = [text for text in (*schema.get("examples", ()), schema.get("default")) if isinstance(text, str)]
    return next((form for form in forms if any(_reads(text, form) for text in shown)), forms[0])


def _reads(text: str, form: str) -> bool:
    try:
        datetime.strptime(text, form)  # noqa: DTZ007 - only whether it is of that form
    except ValueError:
        return False
    return True
