"""Lineage: each step of a run tells what it read and wrote, in events that the standard knows, and never at the run's cost."""

import importlib
import json
import os
import pkgutil
import threading
import typing
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from enum import Enum
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from types import UnionType
from typing import Any, Union

import attr
import openlineage.client.generated as generated
import psycopg
import pytest
from openlineage.client.generated.base import RunEvent

from pay_ready.app import App, open_app
from pay_ready.db import tenants
from pay_ready.errors import PayReadyError
from pay_ready.model.ids import RunId, new_id
from pay_ready.pipeline.bring_in import stage_step, sync_step
from pay_ready.pipeline.etl import run_etl
from pay_ready.pipeline.feed import NewSource, add_source
from pay_ready.pipeline.lineage.columns import golden_links, stream_links
from pay_ready.pipeline.mapping.language import load_mapping
from pay_ready.pipeline.work import recorded
from pay_ready.resources import resource_path
from pay_ready.settings import Environment
from tests.conftest import Scratch, Server, cloned

SPEC = "PAY_READY_OPENLINEAGE_SPEC"  # the folder `spec` of the standard's repository
KINDS = sorted(path.stem for path in resource_path("config", "sources").glob("*.toml"))


@contextmanager
def app_telling(scratch: Scratch, folder: Path, *, key: str | None = None, **lineage: str) -> Iterator[App]:
    """An app whose steps tell what they do, with a tenant that has a HubSpot export of one contact and one note."""
    own = folder / "own.toml"
    own.write_text("[lineage]\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in lineage.items()), "utf-8")
    places = {"database_url": scratch.app_url, "admin_database_url": scratch.admin_url, "lineage_api_key": key}
    environment = Environment(home=folder / "state", config=own, **places)  # type: ignore[arg-type]
    exports = folder / "exports"
    exports.mkdir()
    times = {"createdAt": "2026-01-01T00:00:00Z", "updatedAt": "2026-01-02T00:00:00Z", "archived": False}
    contact = {"id": "1", **times, "properties": {"email": "canary@customer.example", "firstname": "Canary", "lastname": "Bird"}}
    note = {"id": "7", **times, "properties": {"hs_timestamp": "2026-01-05T12:00:00Z", "hs_note_body": "canary sings"}}
    for name, row in (("contacts", contact), ("engagements_notes", note)):
        (exports / f"{name}.jsonl").write_text(json.dumps(row) + "\n", "utf-8")
    with open_app(environment) as app:
        with app.database.tenant_transaction(app.tenant_id("acme")) as tx:
            tenants.create(tx, slug="acme", name="Acme", settings={"schema_version": 1}, actor="tests")
        source = NewSource(name="crm", kind="hubspot", connector=None, settings={"path": str(exports)})
        add_source(app.database, app.tenant_id("acme"), source, app.feed, lambda: app.keyring, actor="tests")
        yield app


def events_in(path: Path) -> list[dict[str, Any]]:
    """What was sent, in order."""
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


@pytest.fixture(scope="module")
def told(server: Server, template: str, tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """The events of one run, and of a step that failed."""
    folder = tmp_path_factory.mktemp("lineage")
    file = folder / "events.jsonl"
    with cloned(server, template) as scratch, app_telling(scratch, folder, mode="file", target=str(file)) as app:
        run_id = RunId(new_id())
        with psycopg.connect(scratch.admin_url, autocommit=True) as admin:
            admin.execute(
                "insert into pay_ready.quality_results (tenant_id, result_id, run_id, check_name, subject, severity, passed, measured,"
                " expected) values (%s, gen_random_uuid(), %s, 'null_rate', 'contacts', 'error', false, 0.25, 'at most 0.1')",
                (app.tenant_id("acme"), run_id),
            )
        work = replace(app.work("acme"), memory=None)
        run_etl(work).raise_for_failure()
        stage_step(work, "crm", run_id)
        with pytest.raises(PayReadyError), recorded(work, run_id, "index", ""):
            raise PayReadyError("canary@customer.example is broken")
    return events_in(file)


STEPS = ("sync.crm", "stage.crm", "quality", "volume", "resolve", "quality.entities", "stage.crm")


def test_each_step_begins_and_ends_once(told: list[dict[str, Any]]) -> None:
    """START and then COMPLETE (FAIL of the one that failed) of every step, under its own id, with the run as its parent."""
    moments: dict[str, list[str]] = {}
    for event in told:
        moments.setdefault(event["run"]["runId"], []).append(f"{event['eventType']} {event['job']['name']}")
        assert event["run"]["facets"]["parent"]["job"]["namespace"] == event["job"]["namespace"] == "pay_ready.acme"
    assert list(moments.values()) == [
        *([f"START {step}", f"COMPLETE {step}"] for step in STEPS),
        ["START index", "FAIL index"],
    ]
    assert len({event["run"]["facets"]["parent"]["run"]["runId"] for event in told}) == 2


def test_events_hold_names_and_no_values(told: list[dict[str, Any]]) -> None:
    """Nothing of a record, of a credential or of an error's text; its class is told."""
    text = json.dumps(told)
    assert "canary" not in text.lower()
    assert "password" not in text
    assert told[-1]["run"]["facets"]["errorMessage"]["message"] == "PayReadyError"


def test_columns_lead_from_the_source_to_the_golden_record(told: list[dict[str, Any]]) -> None:
    """contacts.properties.email, landed, then staged, then the golden e-mail: each hop names a dataset that the step before wrote."""
    ended = {event["job"]["name"]: event for event in told if event["eventType"] == "COMPLETE"}
    landed = lineage_of(ended["sync.crm"], "landed_records/crm/contacts")["properties.email"]
    assert [(each["namespace"], each["name"], each["field"]) for each in landed] == [("hubspot://crm", "contacts", "properties.email")]
    staged = lineage_of(ended["stage.crm"], "pay_ready.person_records")["email_normalized"]
    written = {each["name"] for each in ended["sync.crm"]["outputs"]}
    assert {each["name"] for each in staged} <= written
    assert "properties.email" in {each["field"] for each in staged if each["name"].endswith("/contacts")}
    golden = lineage_of(ended["resolve"], "pay_ready.entity_versions")["email"]
    assert [(each["name"].rpartition(".")[2], each["field"]) for each in golden] == [("person_records", "email_normalized")]
    assert {each["name"] for each in golden} <= {each["name"] for each in ended["stage.crm"]["outputs"]}
    for event in ended.values():
        read = {(each["namespace"], each["name"]) for each in event["inputs"]}
        for output in event["outputs"]:
            links = output["facets"].get("columnLineage", {"fields": {}})["fields"].values()
            assert {(each["namespace"], each["name"]) for link in links for each in link["inputFields"]} <= read, output["name"]


def test_results_of_checks_go_with_their_stream(told: list[dict[str, Any]]) -> None:
    """A check of a stream is an assertion about what was landed of it, with its figure and its bound."""
    staged = [event for event in told if event["job"]["name"] == "stage.crm" and event["eventType"] == "COMPLETE"][-1]
    checked = {each["name"].rpartition("/")[2]: each["inputFacets"] for each in staged["inputs"] if each["inputFacets"]}
    (assertion,) = checked["contacts"]["dataQualityAssertions"]["assertions"]
    assert {key: assertion[key] for key in ("assertion", "success", "severity", "expected", "actual")} == {
        "assertion": "null_rate", "success": False, "severity": "error", "expected": "at most 0.1", "actual": "0.25",
    }  # fmt: skip
    assert list(checked) == ["contacts"]


def lineage_of(event: Mapping[str, Any], ending: str) -> dict[str, list[dict[str, str]]]:
    """The origins of each column of an output."""
    output = next(each for each in event["outputs"] if each["name"].endswith(ending))
    return {column: link["inputFields"] for column, link in output["facets"]["columnLineage"]["fields"].items()}


def test_events_fit_the_types_of_the_standard(told: list[dict[str, Any]]) -> None:
    """Every event and facet has the fields, and no other, that the client's types have, which are generated from the schema."""
    assert [misfit for event in told for misfit in misfits(event, RunEvent, "event")] == []
    spoilt = json.loads(json.dumps(told[1]))
    spoilt["run"].pop("runId")
    spoilt["job"]["extra"] = 1
    spoilt["outputs"][0]["facets"]["columnLineage"]["fields"] = {"x": {"inputFields": [{"name": 1}]}}
    assert len(list(misfits(spoilt, RunEvent, "event"))) >= 4, "the check would notice"


@pytest.mark.skipif(SPEC not in os.environ, reason=f"{SPEC} names no folder with the schemas of the standard")
def test_events_fit_the_schemas_of_the_standard(told: list[dict[str, Any]]) -> None:
    """The same by the schemas themselves, where somebody has them: the event's, and that of every facet in it."""
    from jsonschema import Draft202012Validator, FormatChecker
    from referencing import Registry, Resource

    folder = Path(os.environ[SPEC])
    schemas = [json.loads(path.read_text("utf-8")) for path in (folder / "OpenLineage.json", *sorted((folder / "facets").glob("*.json")))]
    registry = Registry().with_resources([(each["$id"], Resource.from_contents(each)) for each in schemas])
    latest = {each["$id"].rpartition("/")[2]: each["$id"] for each in schemas}
    checker = FormatChecker()
    facets = 0
    for event in told:
        Draft202012Validator({"$ref": schemas[0]["$id"]}, registry=registry, format_checker=checker).validate(event)
        for facet in facets_in(event):
            name, _, place = facet["_schemaURL"].partition("#")
            name = name.rpartition("/")[2]
            Draft202012Validator({"$ref": f"{latest[name]}#{place}"}, registry=registry, format_checker=checker).validate(facet)
            facets += 1
    assert facets > 50


def facets_in(value: object) -> Iterator[dict[str, Any]]:
    """Everything that names its schema, but the events."""
    if isinstance(value, dict):
        if "_schemaURL" in value:
            yield value
        for each in value.values():
            yield from facets_in(each)
    elif isinstance(value, list):
        for each in value:
            yield from facets_in(each)


def facet_types() -> dict[str, type]:
    """The client's types of facets, by the place of their schema."""
    found: dict[str, type] = {}
    for module in pkgutil.iter_modules(generated.__path__):
        for each in vars(importlib.import_module(f"{generated.__name__}.{module.name}")).values():
            if isinstance(each, type) and attr.has(each) and "_get_schema" in vars(each):
                found[each._get_schema()] = each  # type: ignore[attr-defined]
    return found


def misfits(value: Any, kind: Any, place: str) -> Iterator[str]:
    """Where a value is other than a type of the client says: a field too many, too few, or of another type."""
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if origin in (Union, UnionType):
        if value is not None or type(None) not in inner:
            yield from min((list(misfits(value, each, place)) for each in inner if each is not type(None)), key=len)
    elif origin is list:
        if not isinstance(value, list):
            yield f"{place}: no list"
            return
        for index, each in enumerate(value):
            yield from misfits(each, inner[0], f"{place}[{index}]")
    elif origin is dict:
        for name, each in value.items():
            yield from misfits(each, facet_types()[each["_schemaURL"]] if "_schemaURL" in each else inner[1], f"{place}.{name}")
    elif attr.has(kind):
        yield from object_misfits(value, kind, place)
    elif isinstance(kind, type) and issubclass(kind, Enum):
        if value not in [each.value for each in kind]:
            yield f"{place}: none of {kind.__name__}"
    elif kind is not Any and not isinstance(value, kind):
        yield f"{place}: no {kind}"


def object_misfits(value: Any, kind: Any, place: str) -> Iterator[str]:
    """The same, of an object."""
    if not isinstance(value, dict):
        yield f"{place}: no object"
        return
    fields = {each.name: each for each in attr.fields(attr.resolve_types(kind))}
    yield from (f"{place}: {name} is no field of {kind.__name__}" for name in value.keys() - fields.keys())
    for name, field in fields.items():
        if name in value:
            yield from misfits(value[name], field.type, f"{place}.{name}")
        elif field.default is attr.NOTHING:
            yield f"{place}: without {name}"


@pytest.mark.parametrize("kind", KINDS)
def test_every_column_of_lineage_is_one(kind: str, filled_columns: set[tuple[str, str]]) -> None:
    """What lineage says of each shipped mapping, and of golden records, are columns that the tables have."""
    mapping = load_mapping(resource_path("config", "sources", f"{kind}.toml"))
    links = [link for stream in mapping.streams.values() if not stream.ignore for link in stream_links(stream)]
    assert len(links) > 10
    assert {(link.table, link.column) for link in [*links, *golden_links()]} - filled_columns == set()
    assert {(link.origin, link.field) for link in golden_links()} - filled_columns == set()


@pytest.fixture(scope="module")
def filled_columns(server: Server, template: str) -> set[tuple[str, str]]:
    """Every column of every table."""
    with cloned(server, template) as scratch, psycopg.connect(scratch.admin_url) as admin:
        return set(
            admin.execute("select table_name, column_name from information_schema.columns where table_schema = 'pay_ready'").fetchall()
        )


def test_paths_inside_lists_say_so() -> None:
    """A field of a list's elements carries the list; one that is meant from the record on does not."""
    gong = load_mapping(resource_path("config", "sources", "gong.toml"))
    fields = {(link.table, link.column): link.field for link in stream_links(gong.streams["extensiveCalls"])}
    assert fields["interaction_participants", "title"] == "parties[].title"
    assert fields["interaction_records", "subject"] == "metaData.title"
    roles = {link.field for link in stream_links(gong.streams["callTranscripts"]) if link.table == "interaction_turns"}
    assert {"transcript[].speakerId", "transcript[].sentences[].text"} <= roles


@contextmanager
def collecting(status: int) -> Iterator[tuple[str, list[tuple[str, dict[str, Any]]]]]:
    """A server that takes events and answers so; its URL, and the authorizations and events that came."""
    came: list[tuple[str, dict[str, Any]]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            came.append((self.headers.get("Authorization", ""), json.loads(body)))
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    listening = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=listening.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listening.server_port}", came
    finally:
        listening.shutdown()
        thread.join()
        listening.server_close()


@pytest.mark.parametrize(("status", "count"), [(201, 4), (500, 3)])
def test_a_url_is_told_and_never_waited_for(scratch: Scratch, tmp_path: Path, status: int, count: int) -> None:
    """Events arrive with the key; where they are refused the run goes on, and after three in a row nobody is asked again."""
    with collecting(status) as (url, came), app_telling(scratch, tmp_path, mode="url", target=url, key="a-key") as app:
        work = replace(app.work("acme"), memory=None)
        sync_step(work, "crm", RunId(new_id()))
        stage_step(work, "crm", RunId(new_id()))
    assert len(came) == count
    assert came[0][0] == "Bearer a-key"
    assert came[0][1]["job"]["name"] == "sync.crm"


def test_lineage_is_off_unless_it_is_asked_for(scratch: Scratch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Shipped settings tell nobody; OpenLineage's own variables turn it on, `off` outranks them; a wrong target fails no step."""
    for name in [each for each in os.environ if each.startswith("OPENLINEAGE")]:
        monkeypatch.delenv(name)
    with app_telling(scratch, tmp_path) as app:
        assert app.work("acme").lineage is None
        monkeypatch.setenv("OPENLINEAGE_URL", "http://127.0.0.1:9")
        asked = app.work("acme")
        assert asked.lineage is not None
        with recorded(replace(asked, lineage=None), RunId(new_id()), "volume", ""):
            pass
    monkeypatch.setenv("PAY_READY_LINEAGE__MODE", "off")
    with open_app(app.environment) as app:
        assert app.work("acme").lineage is None
    monkeypatch.setenv("PAY_READY_LINEAGE__MODE", "file")
    with open_app(app.environment) as app, recorded(app.work("acme"), RunId(new_id()), "volume", "") as done:
        done(1, "complete")
