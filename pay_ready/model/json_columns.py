"""Our JSONB columns: what may stand in them, checked on every write, and a reader for every version ever written.

`schema_version` counts per column family. A new version is a new model beside the old one and an entry in its readers:
rows are rewritten when they change anyway, never in bulk.
"""

import json
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from pay_ready.errors import ContractError

Scalar = str | int | float | bool

MAX_JSON_BYTES: Final = 524_288  # half of what the CHECK allows: Postgres writes some numbers longer than we do
NO_VALUES: Final = '{"schema_version": 1, "values": {}}'


class MappedValuesV1(BaseModel):
    """Further mapped values of a staged row: `attributes` of people and companies, `metadata` of interactions."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)

    schema_version: Literal[1] = 1
    values: dict[str, Scalar]


def write_values(values: Mapping[str, Scalar]) -> str:
    """The JSON text of an `attributes` or `metadata` column, its keys in order.

    Raises:
        ContractError: A value is no scalar or no finite number, holds what jsonb cannot, or all of them pass 512 KiB.
    """
    if not values:
        return NO_VALUES
    try:
        column = MappedValuesV1(values=dict(values))
        text = json.dumps({"schema_version": column.schema_version, "values": column.values}, sort_keys=True, ensure_ascii=False)
        size_bytes = len(text.encode("utf-8"))
    except (ValidationError, UnicodeEncodeError):
        # The errors of pydantic quote the values; the mapping's field names are in the quarantine row.
        raise ContractError("a mapped value is no scalar that JSON can hold", column="values") from None
    if size_bytes > MAX_JSON_BYTES or any("\0" in word for pair in values.items() for word in pair if isinstance(word, str)):
        raise ContractError("the mapped values pass the limit or hold a NUL", size_bytes=size_bytes, limit=MAX_JSON_BYTES)
    return text


def read_values(column: Mapping[str, Any]) -> Mapping[str, Scalar]:
    """The values of an `attributes` or `metadata` column of any version.

    Raises:
        ContractError: The version is unknown, or the column is not of its version's shape.
    """
    reader = _VALUES_READERS.get(column.get("schema_version", 0))
    if reader is None:
        raise ContractError(
            "a JSON column of an unknown version",
            "this program is older than the database: update it",
            found=column.get("schema_version"),
            known=sorted(_VALUES_READERS),
        )
    try:
        return MappingProxyType(reader(column))
    except ValidationError:
        raise ContractError("a JSON column breaks the model of its version", version=column.get("schema_version")) from None


def _read_values_v1(column: Mapping[str, Any]) -> dict[str, Scalar]:
    return MappedValuesV1.model_validate(dict(column)).values


_VALUES_READERS: Final[Mapping[int, Callable[[Mapping[str, Any]], dict[str, Scalar]]]] = {1: _read_values_v1}
