"""Choosing streams: what is left open follows the source, what it cannot do is refused by name."""

import json
from typing import Any

import pytest

from pay_ready.errors import ConfigError
from pay_ready.sources.catalog import StreamChoice, configure
from pay_ready.sources.decode import decode_line
from pay_ready.sources.protocol import Catalog


def catalog(*streams: dict[str, Any]) -> Catalog:
    line = {"type": "CATALOG", "catalog": {"streams": [{"name": "people", "json_schema": {}, **stream} for stream in streams]}}
    message = decode_line(json.dumps(line).encode())
    assert isinstance(message, Catalog)
    return message


INCREMENTAL = {"supported_sync_modes": ["full_refresh", "incremental"]}
OWN_CURSOR = {**INCREMENTAL, "source_defined_cursor": True, "default_cursor_field": ["seq"], "source_defined_primary_key": [["id"]]}


def test_defaults_follow_the_source() -> None:
    """Incremental with the source's cursor and key where it has them, else the whole stream; names and order stay."""
    offered = catalog(OWN_CURSOR, {"name": "calls"}, {"name": "calls", "namespace": "eu", **INCREMENTAL})
    people, calls, eu_calls = configure(offered).streams
    assert (people.sync_mode, people.cursor_field, people.primary_key) == ("incremental", ("seq",), (("id",),))
    assert (people.destination_sync_mode, calls.destination_sync_mode) == ("append_dedup", "append")
    assert (calls.sync_mode, eu_calls.sync_mode) == ("full_refresh", "full_refresh")
    assert str(eu_calls.descriptor) == "eu.calls"


def test_the_file_for_the_connector() -> None:
    """The stream is in it as emitted, with unknown properties; generations and the sync's number stand beside it."""
    offered = catalog({**OWN_CURSOR, "is_file_based": False, "future": [1]})
    choice = StreamChoice(name="people", sync_mode="full_refresh", generation_id=4, minimum_generation_id=4)
    written = json.loads(configure(offered, [choice], sync_id=17).to_json())
    assert written["streams"][0].pop("stream") == json.loads(offered.raw_streams[0])
    assert written["streams"][0] == {
        "sync_mode": "full_refresh",
        "destination_sync_mode": "append_dedup",
        "cursor_field": ["seq"],
        "primary_key": [["id"]],
        "generation_id": 4,
        "minimum_generation_id": 4,
        "sync_id": 17,
    }


@pytest.mark.parametrize(
    ("stream", "choice", "text"),
    [
        ({}, StreamChoice(name="persons"), "choose one of people"),
        ({}, StreamChoice(name="people", namespace="eu"), "stream=eu.people"),
        ({}, StreamChoice(name="people", sync_mode="incremental"), "choose one of full_refresh"),
        (INCREMENTAL, StreamChoice(name="people", sync_mode="incremental"), "cursor_field"),
        ({}, StreamChoice(name="people", generation_id=5, minimum_generation_id=3), "minimum=3"),
    ],
)
def test_what_the_source_cannot_do_is_refused(stream: dict[str, Any], choice: StreamChoice, text: str) -> None:
    """The error names the stream and the valid choices."""
    with pytest.raises(ConfigError, match=text):
        configure(catalog(stream), [choice])


def test_a_chosen_cursor_and_key() -> None:
    """Where the source leaves cursor and key to the user, the user's are taken; a source's own cursor stands."""
    choice = StreamChoice(name="people", sync_mode="incremental", cursor_field=("at",), primary_key=(("a",), ("b",)))
    (free,) = configure(catalog(INCREMENTAL), [choice]).streams
    assert (free.cursor_field, free.primary_key) == (("at",), (("a",), ("b",)))
    (own,) = configure(catalog(OWN_CURSOR), [choice]).streams
    assert own.cursor_field == ("seq",)
