"""How the shape of a stream differs from the one that was taken over last, and what a source's contract makes of it. Pure.

A new field is always kept. A field that changed its type or is gone is what the contract decides on: `evolve` takes it over,
`freeze` leaves the stream unread, `quarantine` keeps its rows aside until somebody accepts the new shape.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from pay_ready.errors import ContractError

# A schema guessed from a sample says so: a field that the sample lacks is no proof, unless every row had it before.
SAMPLED = "x-pay-ready-sampled"
_OPTIONAL = "?"
_UNKNOWN = "any"


class StreamFieldsV1(BaseModel):
    """The column `stream_schemas.fields`: types by name; a trailing ? marks a field that a sample had in some rows only."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    schema_version: Literal[1] = 1
    fields: dict[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldChange:
    """One field that differs: `before` or `after` is empty where it is not there."""

    field: str
    before: str
    after: str

    @property
    def kind(self) -> Literal["added", "removed", "retyped"]:
        """What happened to it."""
        if not self.before:
            return "added"
        return "retyped" if self.after else "removed"

    def __str__(self) -> str:
        match self.kind:
            case "added":
                return f"field {self.field} is new ({self.after})"
            case "removed":
                return f"field {self.field} is gone (was {self.before})"
            case _:
                return f"field {self.field} changed from {self.before} to {self.after}"


def fields_of(json_schema: bytes) -> dict[str, str]:
    """Types by field of a stream's JSON schema; empty when it says nothing."""
    try:
        schema = json.loads(json_schema)
    except ValueError:
        return {}
    properties = schema.get("properties") if isinstance(schema, dict) else None
    if not isinstance(properties, dict):
        return {}
    always = set(schema.get("required") or ()) if schema.get(SAMPLED) else set(properties)
    return {name: _type(inner) + ("" if name in always else _OPTIONAL) for name, inner in properties.items()}


def changes_between(before: Mapping[str, str], after: Mapping[str, str]) -> list[FieldChange]:
    """The fields that differ, by name."""
    changes = []
    for name in sorted(before.keys() | after.keys()):
        change = FieldChange(field=name, before=before.get(name, ""), after=after.get(name, ""))
        if _differs(change):
            changes.append(FieldChange(field=name, before=_bare(change.before), after=_bare(change.after)))
    return changes


def taken_over(before: Mapping[str, str], after: Mapping[str, str]) -> dict[str, str]:
    """The shape to compare with next time: a field that only a sample lacks is not forgotten."""
    unseen = {name: kind for name, kind in before.items() if name not in after and kind.endswith(_OPTIONAL)}
    return {**unseen, **{name: _wider(before.get(name, ""), kind) for name, kind in after.items()}}


def stored_fields(fields: Mapping[str, str]) -> dict[str, Any]:
    """The shape as its column holds it."""
    return StreamFieldsV1(fields=dict(fields)).model_dump(mode="json")


def read_fields(column: Mapping[str, Any]) -> dict[str, str]:
    """A stored shape of any version.

    Raises:
        ContractError: The version is unknown, or the column is not of its shape.
    """
    if column.get("schema_version") != 1:
        raise ContractError("a stream's fields of an unknown version", "upgrade pay-ready", version=column.get("schema_version"))
    try:
        return StreamFieldsV1.model_validate(dict(column)).fields
    except ValidationError:
        raise ContractError("a stream's fields are not of their shape", column="stream_schemas.fields") from None


def _differs(change: FieldChange) -> bool:
    before, after = change.before, change.after
    if not before:
        return True
    if not after:
        return not before.endswith(_OPTIONAL)
    old, new = set(_bare(before).split("|")), set(_bare(after).split("|"))
    if _UNKNOWN in old | new:  # a sample in which the field was always null
        return False
    is_sampled = before.endswith(_OPTIONAL) or after.endswith(_OPTIONAL)
    return not new <= old if is_sampled else new != old


def _wider(before: str, after: str) -> str:
    """A sampled type, with what earlier samples saw; a declared one as it is."""
    if not (before.endswith(_OPTIONAL) or after.endswith(_OPTIONAL)):
        return after if _bare(after) != _UNKNOWN or not before else before
    words = {*_bare(before).split("|"), *_bare(after).split("|")} - {"", _UNKNOWN}
    return ("|".join(sorted(words)) or _UNKNOWN) + _OPTIONAL


def _bare(kind: str) -> str:
    return kind.removesuffix(_OPTIONAL)


def _type(inner: object) -> str:
    """The types of a property without null, and what they stand for: `string:date-time`."""
    if not isinstance(inner, dict):
        return _UNKNOWN
    alternatives = [each for key in ("oneOf", "anyOf") for each in inner.get(key) or () if isinstance(each, dict)]
    if alternatives and "type" not in inner:
        words = {word for each in alternatives for word in _type(each).split("|")} - {_UNKNOWN}
        return "|".join(sorted(words)) or _UNKNOWN
    named = inner.get("type")
    kinds = [named] if isinstance(named, str) else [kind for kind in named or () if isinstance(kind, str)]
    meant = inner.get("airbyte_type") or inner.get("format")
    suffix = f":{meant}" if isinstance(meant, str) else ""
    return "|".join(sorted(kind + suffix for kind in kinds if kind != "null")) or _UNKNOWN
