"""Shapes of streams: what counts as a change, and what is taken over."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pay_ready.errors import ContractError
from pay_ready.pipeline.land.drift import changes_between, fields_of, read_fields, stored_fields, taken_over
from pay_ready.sources.replay_shape import json_schema


def schema(**properties: object) -> bytes:
    """A declared JSON schema."""
    return json.dumps({"type": "object", "properties": properties}).encode()


def said(before: dict[str, str], after: dict[str, str]) -> list[str]:
    """The changes in words."""
    return [str(change) for change in changes_between(before, after)]


def test_declared_types_are_named_without_null() -> None:
    """What a field stands for is part of its type; that it may be null is not."""
    found = fields_of(
        schema(
            id={"type": "integer"}, name={"type": ["null", "string"]}, at={"type": ["string", "null"], "format": "date-time"},
            both={"oneOf": [{"type": "string"}, {"type": "integer"}]}, odd=True,
        )
    )  # fmt: skip
    assert found == {"id": "integer", "name": "string", "at": "string:date-time", "both": "integer|string", "odd": "any"}


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b"{}", b'{"properties": 3}'])
def test_a_schema_that_says_nothing_has_no_fields(text: bytes) -> None:
    """A source without a schema breaks no contract."""
    assert fields_of(text) == {}


def test_each_kind_of_change_is_told() -> None:
    """New, gone, of another type: in words that name the field."""
    before, after = {"id": "integer", "amount": "number", "gone": "string"}, {"id": "integer", "amount": "string", "new": "boolean"}
    assert said(before, after) == [
        "field amount changed from number to string", "field gone is gone (was string)", "field new is new (boolean)",
    ]  # fmt: skip


def test_a_sample_proves_only_what_every_row_had() -> None:
    """A field that some rows lacked may be missing from the next sample; one that all rows had may not."""
    before = fields_of(json_schema([{"id": 1, "note": "x"}, {"id": 2}]))
    assert said(before, fields_of(json_schema([{"id": 3}]))) == []
    assert said(before, fields_of(json_schema([{"note": "y"}]))) == ["field id is gone (was integer)"]


def test_a_sampled_field_that_was_null_before_or_is_now_is_no_change() -> None:
    """A sample in which a field is always null says nothing of its type."""
    nothing, text = fields_of(json_schema([{"x": None}])), fields_of(json_schema([{"x": "a"}]))
    assert said(nothing, text) == []
    assert said(text, nothing) == []
    assert taken_over(text, nothing)["x"].startswith("string")


def test_an_optional_field_is_remembered_while_a_sample_lacks_it() -> None:
    """Its type is still known when it comes back."""
    before = fields_of(json_schema([{"id": 1, "n": 1}, {"id": 2}]))
    between = taken_over(before, fields_of(json_schema([{"id": 3}])))
    assert said(between, fields_of(json_schema([{"id": 4, "n": "text"}, {"id": 5}]))) == ["field n changed from integer to string"]


shapes = st.dictionaries(st.text(max_size=5), st.sampled_from(["string", "integer", "number|string", "any"]), max_size=6)


@given(before=shapes, after=shapes)
def test_changes_are_none_exactly_between_equals_and_invert(before: dict[str, str], after: dict[str, str]) -> None:
    """Nothing changed between a shape and itself; what is added one way is removed the other way."""
    assert changes_between(before, before) == []
    there, back = changes_between(before, after), changes_between(after, before)
    assert {change.field for change in there} == {change.field for change in back}
    assert {c.field for c in there if c.kind == "added"} == {c.field for c in back if c.kind == "removed"}
    if not there:
        assert before.keys() == after.keys()
    assert changes_between(taken_over(before, after), after) == []


@given(shape=shapes)
def test_a_stored_shape_reads_back(shape: dict[str, str]) -> None:
    """Written and read it is the same."""
    assert read_fields(stored_fields(shape)) == shape


@pytest.mark.parametrize(
    "column", [{}, {"schema_version": 2, "fields": {}}, {"schema_version": 1}, {"schema_version": 1, "fields": {"a": 1}}]
)
def test_a_column_that_is_none_is_refused(column: dict[str, object]) -> None:
    """By a ContractError, never by guessing."""
    with pytest.raises(ContractError):
        read_fields(column)
