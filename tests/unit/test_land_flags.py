"""Quality flags: what a record's meta says was changed in it."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pay_ready.errors import ContractError
from pay_ready.model.ids import SourceId, new_id
from pay_ready.pipeline.land.flags import flags_of, read_flags
from pay_ready.pipeline.land.rows import StreamPlan, row_maker
from tests.landing_support import record

words = st.text(max_size=300)
changes = st.lists(st.fixed_dictionaries({}, optional={"field": words, "change": words, "reason": words}), max_size=8)


@pytest.mark.parametrize("meta", [b"{}", b'{"changes": null}', b'{"changes": []}', b'{"sync_id": 7}'])
def test_nothing_changed_is_no_flag(meta: bytes) -> None:
    """Most records: no column is written for them."""
    assert flags_of(meta) is None


@given(given_changes=changes)
def test_every_change_is_kept(given_changes: list[dict[str, str]]) -> None:
    """In order, in words of at most 200 letters, without what no text column holds."""
    flags = flags_of(json.dumps({"changes": given_changes}).encode())
    if not given_changes:
        assert flags is None
        return
    assert flags is not None
    kept = read_flags(json.loads(flags))
    assert [each.field for each in kept.changes] == [each.get("field", "")[:200].replace("\0", "\ufffd") for each in given_changes]
    assert b"\\u0000" not in flags


def test_what_cannot_be_read_is_itself_a_flag() -> None:
    """Nothing is lost silently."""
    flags = flags_of(b'{"changes": "many"}')
    assert flags is not None
    assert read_flags(json.loads(flags)).changes[0].change == "UNREADABLE"


def test_a_flood_of_changes_is_cut_and_counted() -> None:
    """The column has a limit; how many were left out is said."""
    flags = flags_of(json.dumps({"changes": [{"field": str(number)} for number in range(600)]}).encode())
    assert flags is not None
    read = read_flags(json.loads(flags))
    assert (len(read.changes), read.omitted) == (500, 100)


def test_other_flags_are_another_version() -> None:
    """The same values with a value lost on the way are not the same row."""
    make = row_maker(SourceId(new_id()), StreamPlan(stream="people", primary_key=(("id",),)))
    plain, damaged = record({"id": 1}), record({"id": 1})
    import msgspec

    damaged = msgspec.structs.replace(damaged, meta=msgspec.Raw(b'{"changes": [{"field": "amount", "change": "NULLED"}]}'))
    assert make(plain).content_hash != make(damaged).content_hash  # type: ignore[union-attr]


def test_a_column_that_is_none_is_refused() -> None:
    """By a ContractError."""
    for column in ({}, {"schema_version": 1}, {"schema_version": 3, "changes": []}):
        with pytest.raises(ContractError):
            read_flags(column)
