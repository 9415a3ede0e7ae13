"""Our JSONB columns: checked on write, read in every version."""

import json
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pay_ready.errors import ContractError
from pay_ready.model.json_columns import MAX_JSON_BYTES, NO_VALUES, read_values, write_values

texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
scalars = texts | st.integers(-(2**63), 2**63) | st.booleans() | st.floats(allow_nan=False, allow_infinity=False)


@given(st.dictionaries(texts, scalars, max_size=6))
def test_what_is_written_is_read(values: Mapping[str, str | int | float | bool]) -> None:
    """Writing and reading are inverse, and keep the type of each value."""
    found = read_values(json.loads(write_values(values)))
    assert {key: (type(value), value) for key, value in found.items()} == {key: (type(value), value) for key, value in values.items()}


def test_the_order_of_values_does_not_matter() -> None:
    """Equal values are equal text."""
    assert write_values({"a": 1, "b": "x"}) == write_values({"b": "x", "a": 1})
    assert json.loads(write_values({})) == json.loads(NO_VALUES)


@pytest.mark.parametrize(
    "values",
    [
        {"a": float("nan")},
        {"a": float("inf")},
        {"a": "x\0"},
        {"x\0": 1},
        {"a": "\ud800"},
        {"a": [1]},
        {"a": None},
        {"a": "x" * MAX_JSON_BYTES},
    ],
    ids=["nan", "infinity", "nul", "nul in a name", "lone surrogate", "list", "null", "too large"],
)
def test_what_jsonb_cannot_hold_is_refused(values: Mapping[str, str]) -> None:
    """A value that would fail in the database is refused before it gets there, and is not in the message."""
    with pytest.raises(ContractError) as refused:
        write_values(values)
    assert "xxx" not in str(refused.value)


def test_a_backslash_u_in_a_text_is_no_nul() -> None:
    r"""The six characters \u0000 are a text like any other."""
    assert read_values(json.loads(write_values({"a": r"\u0000"}))) == {"a": r"\u0000"}


@pytest.mark.parametrize(
    "column",
    [
        {},
        {"schema_version": 99, "values": {}},
        {"schema_version": 1},
        {"schema_version": 1, "values": {"a": []}},
        {"schema_version": "1", "values": {}},
    ],
)
def test_columns_of_no_known_shape_are_refused(column: Mapping[str, object]) -> None:
    """An unknown version, or a shape that is not its version's, raises instead of reading half."""
    with pytest.raises(ContractError):
        read_values(column)
