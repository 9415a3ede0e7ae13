"""Nobody's name or address reaches Prefect: not its database, its logs, its persisted results, its artifacts, nor a worker's output."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from pay_ready.secrets import generate_key
from tests.flows.conftest import Nursery, World
from tests.flows.test_flows_truth import install_scripted
from tests.prefect_support import Prefect

pytestmark = pytest.mark.prefect_server
NAME, FIRST, LAST = "Zelda Quackenbush", "Zelda", "Quackenbush"
MAIL, PHONE, WORDS = "zelda.quackenbush@canary.example", "+14155550147", "the heron lands at midnight"
CANARIES = (FIRST, LAST, MAIL, PHONE, "4155550147", WORDS)


def test_no_canary_reaches_prefect(prefect: Prefect, nursery: Nursery, world: World) -> None:
    """Runs that go well and steps that fail, each with a canary in its hands: of its connector's last words, of an unforeseen error, of a
    transient one that is retried, of a guard; a rollback, typed words of an operator, a backfill, a night. Then everything is searched."""
    exports = canary_exports(world)
    script = install_scripted(world)
    config = world.folder / "config.json"
    fault = {"kind": "trace_error", "at": 5, "failure_type": "system_error", "message": f"cannot parse {NAME} <{MAIL}>", "stream": "people"}
    config.write_text(json.dumps({"streams": {"people": 20}, "fault": fault}))
    world.environment |= {"PAY_READY_SECRET_KEY": generate_key()}
    world.command("tenants", "create", "acme", "--name", NAME)
    world.command("sources", "add", "-t", "acme", "crm", "--kind", "hubspot", "--replay", str(exports))
    world.command("sources", "add", "-t", "acme", "api", "--kind", "hubspot", "--connector", "airbyte-source-scripted==1.0.0",
                  "--config", str(config))  # fmt: skip
    assert script
    asked = {"tenant": "acme", "wait_s": 0}
    partial = nursery.run(world, "etl", asked)
    assert partial.name == "Partial"
    assert partial.message == "PartialError: the rest is done and kept - source=api - why: pay-ready runs list, pay-ready runs show RUN"
    assert "api: PayReadyError" in prefect.artifacts(partial.run_id)["etl-acme"]
    for point in ("stage.rows_written", "publish.planned", "index.heard", "analyse.scored"):
        canary_exports(world, revision=point)
        # An error that nobody foresaw, raised inside the step with somebody's name in its words.
        failed = nursery.run(world, "etl", {**asked, "sources": ["crm"]}, failpoints=f"{point}=raise", PAY_READY_CANARY=NAME)
        assert failed.type == "FAILED", point
    assert nursery.run(world, "maintenance", {"tenant": "acme"}).status == 0
    asked = {"tenant": "acme", "sources": ["crm"], "start": "2026-01-01", "end": "2026-01-05"}
    assert nursery.run(world, "backfill", asked).status == 0
    found = everything(prefect)
    assert [canary for canary in CANARIES if canary.lower() in found.lower()] == []
    assert "etl acme" in found
    assert "sync api" in found
    assert world.rows(f"select count(*) from pay_ready.entity_versions where name = '{NAME}'")[0][0] > 0  # it was there to be told
    printed = (world.folder / "flows.log").read_text()
    assert [canary for canary in CANARIES if canary.lower() in printed.lower()] == []


def canary_exports(world: World, revision: str = "") -> Path:
    """A contact, a note and a broken row of somebody who must be told to nobody."""
    folder = world.folder / "exports" / "acme" / "crm"
    folder.mkdir(parents=True, exist_ok=True)
    times = {"createdAt": "2026-01-02T00:00:00Z", "updatedAt": "2026-01-03T00:00:00Z", "archived": False}
    contacts = [
        {"id": "1", **times, "properties": {"email": MAIL, "firstname": FIRST, "lastname": LAST, "phone": PHONE, "jobtitle": revision}},
        {"id": "2", **times, "properties": {"email": f"{NAME} at home", "firstname": FIRST, "lastname": LAST}},
    ]
    note = {"id": "7", **times, "contacts": ["1"], "properties": {
        "hs_note_body": f"<p>{NAME} said: {WORDS}. {revision}</p>", "hs_timestamp": "2026-01-02T10:00:00Z",
    }}  # fmt: skip
    for stream, rows in (("contacts", contacts), ("engagements_notes", [note])):
        (folder / f"{stream}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


def everything(server: Prefect) -> str:
    """All that Prefect keeps: every table of its database, and every file of its home as it lies there."""
    parts = []
    with closing(sqlite3.connect(server.home / "prefect.db")) as database:
        parts += list(database.iterdump())
    parts += [path.read_bytes().decode("utf-8", "replace") for path in sorted(server.home.rglob("*")) if path.is_file()]
    return "\n".join(parts)
