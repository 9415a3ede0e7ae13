"""The rules of alerts, read from `config/alerts.toml` and a file of one's own that is laid over it."""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pay_ready.errors import ConfigError

# Figures that come with the status; every other rule is a statement `read_<rule>` of sql/queries/alerts.sql.
OF_STATUS = ("stale_stream", "outbox_lag", "pool", "disk", "review_age")
_OWN = {"says": str, "unit": str, "severity": float, "threshold": float, "for_seconds": float, "once": bool, "enabled": bool}
_NEEDED = ("says", "unit", "severity", "threshold")


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertRule:
    """When operators are told: a figure above its threshold."""

    name: str
    says: str
    unit: str
    severity: float  # 0 to 1
    threshold: float
    for_s: float = 0.0  # it must stand so long
    once: bool = False  # a subject is told of a single time
    params: Mapping[str, float] = field(default_factory=dict)  # of its statement


def load_rules(shipped: Path, own: Path | None = None) -> Sequence[AlertRule]:
    """The rules that hold, by name.

    Raises:
        ConfigError: A file cannot be read, or a rule or key is off; names file and key.
    """
    layers = [(path, _read(path)) for path in (shipped, own) if path is not None]
    merged: dict[str, dict[str, Any]] = {}
    for path, content in layers:
        for name, keys in content.items():
            if not isinstance(keys, dict):
                raise ConfigError("a rule is a section", "write [rule] and its keys below it", file=path, key=name)
            merged[name] = {**merged.get(name, {}), **keys}
            _check(merged[name], path, name)
    return [_rule(name, keys) for name, keys in merged.items() if keys.get("enabled", True)]


def _read(path: Path) -> Mapping[str, Any]:
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise ConfigError("not TOML", str(error), file=path) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError("cannot read the file of alert rules", type(error).__name__, file=path) from None


def _check(keys: Mapping[str, Any], path: Path, name: str) -> None:
    for key, value in keys.items():
        wanted = _OWN.get(key, float)
        if not (isinstance(value, int | float) and not isinstance(value, bool) if wanted is float else isinstance(value, wanted)):
            word = {float: "a number", str: "a text", bool: "true or false"}[wanted]
            raise ConfigError("a key of an alert rule is off", f"wanted: {word}", file=path, key=f"{name}.{key}")
    if missing := [key for key in _NEEDED if key not in keys]:
        raise ConfigError("an alert rule is not whole", f"it also needs {', '.join(missing)}", file=path, key=name)
    if not 0 <= keys["severity"] <= 1:
        raise ConfigError("a severity is from 0 to 1", file=path, key=f"{name}.severity")


def _rule(name: str, keys: Mapping[str, Any]) -> AlertRule:
    return AlertRule(
        name=name, says=keys["says"], unit=keys["unit"], severity=float(keys["severity"]), threshold=float(keys["threshold"]),
        for_s=float(keys.get("for_seconds", 0.0)), once=bool(keys.get("once", False)),
        params={key: value for key, value in keys.items() if key not in _OWN},
    )  # fmt: skip
