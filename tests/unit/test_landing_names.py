"""Which table a stream has: found by what all versions of the destination keep of a name, and never guessed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pay_ready.db.destination import Column, DestinationTable
from pay_ready.errors import ConfigError
from pay_ready.sources.landing_names import destination_schema, find_table, match_tables
from pay_ready.sources.landing_streams import TableStream, column_types, configured_stream, plain, shape_of


def table(
    name: str, schema: str = "crm", *, raw: bool = False, oid: int = 1, columns: tuple[tuple[str, str], ...] = ()
) -> DestinationTable:
    """A table of that name."""
    return DestinationTable(
        schema=schema, name=name, oid=oid, filenode=oid, row_estimate=-1, size_bytes=0, readable=True,
        columns=(Column(name="_airbyte_raw_id", type="character varying"), *(Column(name=name, type=kind) for name, kind in columns)),
        layout="raw" if raw else "typed", id_column="_airbyte_raw_id", moment_column="_airbyte_extracted_at", meta_column="_airbyte_meta",
        generation_column="_airbyte_generation_id", has_sync_index=False, has_moment_index=True, is_positioned=True,
    )  # fmt: skip


def stream(name: str, **more: object) -> TableStream:
    """A stream that lands in the schema crm."""
    return TableStream(**{"name": name, "schema": "crm", **more})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("wanted", "prefix", "written"),
    [
        ("contacts", "", "contacts"),
        ("Contacts", "", "contacts"),
        ("Contacts", "", "Contacts"),
        ("deal-stages.v2", "hs_", "hs_deal_stages_v2"),
        ("Kundenübersicht", "", "kundenubersicht"),
        ("2024_report", "", "_2024_report"),
        ("a" * 70, "", "a" * 63),
        ("engagements_" + "x" * 60, "", "engagements_" + "x" * 42 + "_3f2a9c01b"),
        ("engagements_calls_and_" + "x" * 60 + "_by_owner", "", "engagements_calls_and_" + "x" * 24 + "__by_owner"),
    ],
)  # fmt: skip
def test_a_stream_has_one_table(wanted: str, prefix: str, written: str) -> None:
    """Case, special characters, prefix, leading digits and cut names: found among its neighbours."""
    tables = [table("companies"), table(written, oid=2), table(written, schema="other", oid=3), table("contacts_archive", oid=4)]
    found = find_table(stream(wanted, prefix=prefix), tables)
    assert found is not None
    assert (found.schema, found.name) == ("crm", written)


@pytest.mark.parametrize("written", ["contact", "contacts_2", "hs_contacts", "contactsx", "a" * 62 + "b", ""])
def test_other_tables_are_not_taken(written: str) -> None:
    """What merely resembles the name is another stream's."""
    assert find_table(stream("contacts"), [table(written)]) is None
    assert find_table(stream("b" * 70), [table(written)]) is None


def test_typed_tables_come_before_raw_ones() -> None:
    """Version 2 has both; where there are raw ones alone, they are read; version 1 names them otherwise."""
    typed, raw = table("deals"), table("crm_raw__stream_deals", "airbyte_internal", raw=True)
    old = table("_airbyte_raw_deals", raw=True)
    assert find_table(stream("deals"), [old, raw, typed]) is typed
    assert find_table(stream("deals"), [old, raw]) is raw
    assert find_table(stream("deals"), [old]) is old
    assert find_table(stream("deals"), [table("other_raw__stream_deals", "airbyte_internal", raw=True)]) is None
    assert find_table(stream("a__b"), [table("crm_raw___stream_a__b", "airbyte_internal", raw=True)]) is not None


def test_the_closest_name_wins_and_nothing_is_guessed() -> None:
    """The exact name before a mere likeness; of two likenesses neither, and the error names both."""
    exact, lower = table("Deals"), table("deals")
    assert find_table(stream("Deals"), [lower, exact]) is exact
    assert find_table(stream("DEALS"), [lower, exact]) is lower
    with pytest.raises(ConfigError, match=r"several tables may hold the stream - stream=DEAL-S, schema=crm - name the one to read: "):
        find_table(stream("DEAL-S"), [table("Deal_s"), table("deal_S")])
    assert find_table(stream("DEAL-S", table="Deal_s"), [table("Deal_s"), table("deal_S")]) is not None
    assert find_table(stream("x", table="other.deals"), [table("deals"), table("deals", "other")]) is not None
    assert find_table(stream("deals", table="gone"), [lower]) is None


def test_two_streams_are_not_read_from_one_table() -> None:
    """Their rows could not be told apart."""
    one = table("deals")
    with pytest.raises(ConfigError, match=r"two streams would be read from one table - table=crm\.deals, streams=deals, Deals"):
        match_tables([stream("deals"), stream("Deals")], [one])
    matched = match_tables([stream("deals"), stream("notes")], [one])
    assert [(str(key), str(value)) for key, value in matched.items()] == [("deals", "crm.deals")]


@given(st.text(min_size=1, max_size=40))
def test_a_name_as_written_is_found(name: str) -> None:
    """Whatever a stream is called, the table that carries its plain name is its own."""
    assert find_table(stream(name), [table(plain(name)), table("zz_other")]) is not None


def test_schemas() -> None:
    """Where a connection writes: its destination's schema, the source's own, or one of a format."""
    assert destination_schema("destination", None, "public", "crm") == "crm"
    assert destination_schema("source", None, "public", "crm") == "public"
    assert destination_schema("source", None, None, "crm") == "crm"
    assert destination_schema("custom_format", "raw_${SOURCE_NAMESPACE}", "public", "crm") == "raw_public"
    assert destination_schema("custom_format", "${SOURCE_NAMESPACE}", None, "crm") == "crm"


def test_columns_get_their_fields_names_back() -> None:
    """Where one field alone can be meant; keys and cursors follow; a key without a column is refused with the choices."""
    columns = (("id", "bigint"), ("createdat", "timestamptz"), ("ab", "text"), ("properties", "jsonb"))
    typed = table("deals", columns=columns)
    known = stream("deals", primary_key=(("ID",),), cursor_field=("createdAt",), fields=("ID", "createdAt", "A-b", "a_B", "aB"))
    assert shape_of(known, typed).names == {"id": "ID", "ab": "aB", "createdat": "createdAt", "properties": "properties"}
    configured = configured_stream(known, typed, is_refresh=False)
    assert (configured.primary_key, configured.cursor_field) == ((("ID",),), ("createdAt",))
    nested = configured_stream(stream("deals", primary_key=(("properties", "hs_id"),)), typed, is_refresh=True)
    assert nested.primary_key == (("properties", "hs_id"),)
    assert (nested.sync_mode, nested.destination_sync_mode) == ("full_refresh", "overwrite")
    with pytest.raises(ConfigError, match=r"column=hs_id"):
        configured_stream(stream("deals", primary_key=(("hs_id",),)), typed, is_refresh=False)
    assert column_types(typed) == {"id": "bigint", "createdat": "timestamptz", "ab": "text", "properties": "jsonb"}


def test_keys() -> None:
    """The stream's own; else Airbyte's id where rows are only added; else none: the content tells rows apart."""
    typed, raw = table("deals", columns=(("id", "bigint"),)), table("crm_raw__stream_deals", raw=True)
    assert configured_stream(stream("deals"), typed, is_refresh=False).primary_key == (("_airbyte_raw_id",),)
    assert shape_of(stream("deals"), typed).names == {"_airbyte_raw_id": "_airbyte_raw_id", "id": "id"}
    assert shape_of(stream("deals"), raw).keeps_raw_id
    replaced = stream("deals", destination_sync_mode="overwrite")
    assert configured_stream(replaced, typed, is_refresh=False).primary_key == ()
    assert shape_of(replaced, typed).names == {"id": "id"}
