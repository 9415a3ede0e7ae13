"""What source or destination had to change in a record before it came to us, kept beside the row as quality flags. Pure."""

from collections.abc import Mapping
from typing import Any, Literal

import msgspec
from pydantic import BaseModel, ConfigDict, ValidationError

from pay_ready.errors import ContractError

_MOST_FLAGS = 500  # of one record; a longer list says nothing more and would pass the column's limit
_LONGEST_WORD = 200
_UNREADABLE = "UNREADABLE"


class QualityFlagV1(BaseModel):
    """One change: the field, what was done to it (NULLED, TRUNCATED), and why, in Airbyte's words."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    field: str
    change: str
    reason: str


class QualityFlagsV1(BaseModel):
    """The column `landed_records.quality_flags`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    schema_version: Literal[1] = 1
    changes: tuple[QualityFlagV1, ...]
    omitted: int = 0  # flags beyond the first 500


class _Change(msgspec.Struct):
    field: str = ""
    change: str = ""
    reason: str = ""


class _Meta(msgspec.Struct):
    changes: list[_Change] | None = None


_META = msgspec.json.Decoder(_Meta)


def flags_of(meta: bytes) -> bytes | None:
    """The column's text for a record's `meta`; None when nothing was changed.

    The order of the changes is their order in the record; a `meta` that cannot be read is itself a flag.
    """
    try:
        changes = _META.decode(meta).changes or []
    except msgspec.MsgspecError:
        changes = [_Change(change=_UNREADABLE, reason=_UNREADABLE)]
    if not changes:
        return None
    kept = tuple(
        QualityFlagV1(field=_word(each.field), change=_word(each.change), reason=_word(each.reason)) for each in changes[:_MOST_FLAGS]
    )
    return QualityFlagsV1(changes=kept, omitted=len(changes) - len(kept)).model_dump_json().encode()


def read_flags(column: Mapping[str, Any]) -> QualityFlagsV1:
    """Stored flags of any version.

    Raises:
        ContractError: The version is unknown, or the column is not of its shape.
    """
    if column.get("schema_version") != 1:
        raise ContractError("quality flags of an unknown version", "upgrade pay-ready", version=column.get("schema_version"))
    try:
        return QualityFlagsV1.model_validate(dict(column))
    except ValidationError:
        raise ContractError("quality flags are not of their shape", column="landed_records.quality_flags") from None


def _word(text: str) -> str:
    return text[:_LONGEST_WORD].replace("\0", "\ufffd")
