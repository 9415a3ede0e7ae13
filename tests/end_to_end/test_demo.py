"""The demo: from nothing to unified people and a timeline; a second run changes nothing; and how well it finds the truth."""

import csv
import json
import shutil
from collections import defaultdict
from itertools import combinations
from typing import Literal

import psycopg
import pytest

from pay_ready.cli.demo import nothing_was_new
from pay_ready.demo import DEMO_TENANTS, EXPORTS
from pay_ready.model.ids import RunId, new_id, source_id_of, tenant_id_of
from pay_ready.pipeline.etl import EtlReport
from pay_ready.resources import resource_path
from tests.demo_support import DemoRuns, standing


def test_it_shows_what_was_unified(demo: DemoRuns) -> None:
    """Counts, one person record by record, a timeline over sources, and commands to try next; plain lines without a terminal."""
    first = demo.first.stdout
    shown = ("what was unified", "one person, record by record", "the latest", "vectors by", "found by", "try next", "timeline")
    for words in (*shown, "quarantine list"):
        assert words in first
    assert "\x1b[" not in first + demo.first.stderr


def test_a_second_run_says_what_was_there_and_changes_nothing(demo: DemoRuns) -> None:
    """No row landed, nothing published, not one row more anywhere."""
    assert "everything was there already: no row landed, nothing changed, nothing was published" in demo.again.stdout
    assert "was there already, with 4 of 4 sources" in demo.again.stderr
    assert demo.stood == demo.stood_again


def test_why_two_are_apart_and_how_one_came_to_be(demo: DemoRuns) -> None:
    """A pair is explained bit by bit with its values, a threshold and a picture; an entity by its history, records and links."""
    two = ("explain", "g.velasquez@harborlane.example", "dvandenberg@summitgrocers.example", "-t", "acme-robotics")
    shown = demo.command(*two, "--plot", str(demo.folder / "why.html"))
    assert "in two entities; the evidence of these two: no match" in shown.stdout
    assert "threshold" in shown.stdout
    pair = json.loads(demo.command(*two, "--json", "--plot", str(demo.folder / "why.svg")).stdout)["data"]
    for name in ("why.svg", "why.html"):
        picture = (demo.folder / name).read_text("utf-8")
        assert "<svg" in picture
        assert "Velasquez" in picture
    assert pair["together"] is False
    assert round(pair["prior_bits"] + sum(each["bits"] for each in pair["evidence"]), 2) == round(pair["total_bits"], 2)
    assert pair["total_bits"] < pair["threshold_bits"]
    entity = json.loads(demo.command("explain", "Grace Velasquez", "-t", "acme-robotics", "--json").stdout)["data"]
    assert [(each["run_no"], each["change"]) for each in entity["history"]] == [(1, "created")]
    assert len(entity["links"]) == len(entity["records"]) - 1 > 2
    ends = [each["record_id"] for each in (entity["links"][0]["left"], entity["links"][0]["right"])]
    held = json.loads(demo.command("explain", *ends, "-t", "acme-robotics", "--json").stdout)["data"]
    assert (held["together"], held["total_bits"]) == (True, entity["links"][0]["bits"])
    assert held["compared_by"]


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (("explain", "Grace Velasquez", "Grace Velasquez"), 2, "the two are one"),
        (("explain", "Grace Velasquez", "Summit Grocers, Inc."), 2, "a person and a company are not compared"),
        (("explain", "00000000-0000-0000-0000-000000000001"), 4, "no such entity"),
        (("explain", "Grace Velasquez", "--plot", "why.svg"), 2, "a picture is of two"),
        (("resolve", "--dry-run", "--config", "x.toml"), 2, "x.toml"),
        (("decide",), 2, "nothing to decide by"),
        (("decide", "--entity", "company", "--title", "Boss"), 2, "a company is not recognised by that"),
    ],
)
def test_what_cannot_be_explained_says_why(demo: DemoRuns, words: tuple[str, ...], code: int, message: str) -> None:
    """One line with what is wrong, and the code of its kind."""
    told = demo.command(*words, "-t", "acme-robotics", code=code).stderr
    assert told.splitlines()[-1].startswith("error: ")
    assert message in told


def test_a_record_is_decided_before_it_is_there(demo: DemoRuns) -> None:
    """Who is known is found by name and address, in words and as JSON; nobody knows a stranger; nothing is written."""
    known = ("decide", "--name", "Grace Velasquez", "--email", "G.Velasquez@harborlane.example", "-t", "acme-robotics")
    entity = json.loads(demo.command("explain", "Grace Velasquez", "-t", "acme-robotics", "--json").stdout)["data"]
    found = json.loads(demo.command(*known, "--json").stdout)["data"]
    assert (found["entity_id"], found["merges"]) == (entity["entity_id"], [])
    assert {each["record_id"] for each in entity["records"]} == set(found["records"])
    assert f"it would belong to Grace Velasquez ({len(entity['records'])} records) {entity['entity_id']}" in demo.command(*known).stdout
    assert "nobody known" in demo.command("decide", "--name", "Zebedee Quimby", "-t", "acme-robotics").stdout


def test_another_configuration_is_tried_and_nothing_written(demo: DemoRuns) -> None:
    """A stricter threshold splits, the same one changes nothing; both are shown beside what is published, and leave no trace."""
    same = json.loads(demo.command("resolve", "--dry-run", "-t", "acme-robotics", "--json").stdout)["data"]
    assert (same["people"]["changes"], same["companies"]["changes"], same["examples"], same["reasons"]) == ({}, {}, [], [])
    folder = demo.folder / "resolution"
    shutil.copytree(resource_path("config", "resolution"), folder)
    text = (folder / "default.toml").read_text("utf-8").replace('threshold_bits = "auto"', "threshold_bits = 20")
    (folder / "default.toml").write_text(text, "utf-8")
    tried = ("resolve", "--dry-run", "-t", "acme-robotics", "--config", str(folder / "default.toml"))
    found = json.loads(demo.command(*tried, "--json", "--examples", "3").stdout)["data"]
    people = found["people"]
    assert people["entities_then"] > people["entities_now"] == same["people"]["entities_then"]
    assert people["changes"]["split"] == people["entities_then"] - people["entities_now"]
    assert (people["threshold_bits_then"], found["reasons"]) == (20.0, ["the settings changed"])
    assert sum(each["change"] == "split" and each["entity_type"] == "person" for each in found["examples"]) == 3
    assert "nothing was written" in demo.command(*tried).stdout
    assert standing(demo.admin_url) == demo.stood


@pytest.mark.parametrize(("statuses", "expected"), [("cc", True), ("cp", False), ("ff", False)])
def test_nothing_new_is_said_of_complete_runs_alone(statuses: str, expected: bool) -> None:
    """Runs that failed landed nothing either, and that is no "everything was there already"."""
    names: dict[str, Literal["complete", "partial", "failed"]] = {"c": "complete", "p": "partial", "f": "failed"}
    reports = [
        EtlReport(run_id=RunId(new_id()), tenant="acme", status=names[each], sources=(), resolve=None, seconds=0.1) for each in statuses
    ]
    assert nothing_was_new(reports) is expected


def test_everything_holds(demo: DemoRuns) -> None:
    """Both tenants verify green, history too, as a table and as JSON; and the trail that they leave is whole outside the database."""
    found = json.loads(demo.command("verify", "--deep", "--json").stdout)["data"]
    assert [each["tenant"] for each in found] == ["acme-robotics", "northwind-health"]
    assert all(result["state"] in ("ok", "skipped") for each in found for result in each["results"])
    assert all(result["checked"] > 100 for result in found[0]["results"] if result["check"] in ("records", "entities", "feed", "blocks"))
    demo.command("audit", "export", "-t", "acme-robotics", "--to", "trail.csv", "--format", "csv")
    assert "the trail is whole" in demo.command("audit", "verify", "--file", "trail.csv").stdout


def test_every_bad_row_is_in_quarantine_and_nothing_else(demo: DemoRuns) -> None:
    """The ten rows that break their contract on purpose are set aside, each with its reason; all others are staged."""
    with (EXPORTS / "truth.csv").open(newline="") as handle:
        bad = {(row["source"], row["stream"]) for row in csv.DictReader(handle) if row["kind"] == "bad"}
    with psycopg.connect(demo.admin_url) as connection:
        rows = connection.execute(
            "select name, stream from pay_ready.quarantined_records join pay_ready.data_sources using (tenant_id, source_id)"
        ).fetchall()
    assert len(rows) == 10
    assert set(rows) == bad


def test_the_same_person_in_both_tenants_stays_two(demo: DemoRuns) -> None:
    """No entity, record or interaction has rows of both tenants."""
    with psycopg.connect(demo.admin_url) as connection:
        for table, key in (("entities", "entity_id"), ("person_records", "record_id"), ("interaction_records", "interaction_id")):
            shared = connection.execute(
                f"select count(*) from (select {key} from pay_ready.{table} group by {key} having count(distinct tenant_id) > 1) as shared"
            ).fetchone()
            assert shared == (0,)


@pytest.mark.parametrize("kind", ["person", "company"])
def test_the_truth_is_found(demo: DemoRuns, kind: str) -> None:
    """Of the pairs that the demo's truth knows, listed rows only: precision at least .95, recall at least .70."""
    truth = _truth(kind)
    with psycopg.connect(demo.admin_url) as connection:
        rows = connection.execute(
            "select tenant_id, source_id, stream, record_key, entity_id"
            f" from pay_ready.{kind}_records join pay_ready.assignments using (tenant_id, record_id)"
            " where origin = 'listed' and closed_run_no is null and entity_type = %s",
            (kind,),
        ).fetchall()
    entity_of = {row[:4]: row[4] for row in rows}
    by_true, by_entity = defaultdict(set), defaultdict(set)
    for record, true_id in truth.items():
        if record in entity_of:
            by_true[record[0], true_id].add(record)
            by_entity[entity_of[record]].add(record)
    wanted = {pair for group in by_true.values() for pair in combinations(sorted(group, key=str), 2)}
    found = {pair for group in by_entity.values() for pair in combinations(sorted(group, key=str), 2)}
    right = len(wanted & found)
    assert len(wanted) > 30
    assert right / len(found) >= 0.95
    assert right / len(wanted) >= 0.70


def _truth(kind: str) -> dict[tuple[object, ...], str]:
    tenants = {tenant.slug: tenant_id_of("pay_ready", tenant.slug) for tenant in DEMO_TENANTS}
    with (EXPORTS / "truth.csv").open(newline="") as handle:
        return {
            (tenants[row["tenant"]], source_id_of(tenants[row["tenant"]], row["source"]), row["stream"], row["source_id"]): row["true_id"]
            for row in csv.DictReader(handle)
            if row["kind"] == kind and not row["true_id"].startswith(("role-", "bot-"))
        }


def test_the_dump_of_one_tenant_holds_nothing_of_the_other(demo: DemoRuns) -> None:
    """Canary: no address of northwind's own people in acme's rows."""
    with psycopg.connect(demo.admin_url) as connection:
        text = connection.execute(
            "select string_agg(data::text, '') from pay_ready.landed_records where tenant_id = %s",
            (tenant_id_of("pay_ready", "acme-robotics"),),
        ).fetchone()[0]  # type: ignore[index]
    assert "@northwind-health.example" not in text
