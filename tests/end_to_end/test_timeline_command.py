"""`pay-ready timeline` over the demo's tenants: by pages, in groups, as files, masked, and nobody else's."""

import csv
import io
import json
import re
import shlex
import subprocess
from html import unescape
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest

from pay_ready.model.ids import tenant_id_of
from tests.command_support import called
from tests.demo_support import DemoRuns

OURS, OTHERS = "acme-robotics", "northwind-health"
WHO = ("timeline", "Summit Grocers", "-t", OURS)


def entries_of(demo: DemoRuns, *words: str) -> list[dict[str, Any]]:
    """Lines of a page as JSON."""
    return list(data_of(demo, *words)["entries"])


def data_of(demo: DemoRuns, *words: str) -> Any:
    """What --json tells."""
    document = json.loads(demo.command(*words, "--json").stdout)
    assert (document["schema_version"], document["kind"]) == (1, "timeline")
    return document["data"]


def next_command(done: "subprocess.CompletedProcess[str]") -> list[str]:
    """The words of the command that the page ends with."""
    (said,) = re.findall(r"^before these: pay-ready (.*)$", done.stdout + done.stderr, re.MULTILINE)
    return shlex.split(said)


def masked(demo: DemoRuns, policy: str, *words: str) -> "subprocess.CompletedProcess[str]":
    """A command under a policy."""
    places = {
        "HOME": str(demo.folder), "PAY_READY_HOME": str(demo.folder / "state"), "PAY_READY_DATABASE_URL": demo.scratch.app_url,
        "PAY_READY_ADMIN_DATABASE_URL": demo.scratch.admin_url, "PAY_READY_AGENT__MASK_POLICY": policy,
    }  # fmt: skip
    return called(words, places, demo.folder)


def a_file(demo: DemoRuns, suffix: str) -> Path:
    """A name that nobody has."""
    return demo.folder / f"timeline-{uuid4().hex}{suffix}"


def test_a_page_shows_the_latest_and_how_to_go_on(demo: DemoRuns) -> None:
    """The earliest line of the page first; the command at its end shows what was before, and the last page has none."""
    everything = entries_of(demo, *WHO, "--limit", "10000")
    at = [(each["occurred_at"], each["interaction_id"]) for each in everything]
    assert len(at) > 100
    assert at == sorted(at)
    seen: list[str] = []
    words = [*WHO, "--limit", "40"]
    while True:
        page = data_of(demo, *words)
        seen = [each["interaction_id"] for each in page["entries"]] + seen
        shown = demo.command(*words)
        if page["next_page"] is None:
            assert "before these" not in shown.stdout
            break
        words = next_command(shown)
        assert words[-1] == page["next_page"]
    assert seen == [interaction for _, interaction in at]


def test_the_next_page_is_of_the_same_question(demo: DemoRuns) -> None:
    """All options are in the command that goes on, words for days as days; with other options its place is refused."""
    asked = ("--since", "this year", "--source", "slack", "--source", "hubspot", "--type", "message", "--type", "email", "--limit", "5")
    words = next_command(demo.command(*WHO, *asked, "--group", "day"))
    page = data_of(demo, *words)
    assert [each["title"] for each in page["groups"]] == sorted(each["title"] for each in page["groups"])
    first = data_of(demo, *WHO, *asked)
    assert max(each["occurred_at"] for group in page["groups"] for each in group["entries"]) <= first["entries"][0]["occurred_at"]
    for changed in (["slack" if word == "hubspot" else word for word in words], [OTHERS if word == OURS else word for word in words]):
        refused = called(changed, {**demo.environment}, demo.folder)
        assert refused.returncode in (2, 4)
        assert "not valid here" in refused.stderr or "nobody and nothing" in refused.stderr
    assert "not valid here" in demo.command(*WHO, "--page", words[-1], code=2).stderr


def test_options_narrow_it(demo: DemoRuns) -> None:
    """Source, type, days, who took part: fewer lines, and each of them is one of all."""
    everything = {each["interaction_id"]: each for each in entries_of(demo, *WHO, "--limit", "10000")}
    for words, holds in (
        (("--source", "gong"), lambda each: each["source"] == "gong"),
        (("--type", "email"), lambda each: each["type"] == "email"),
        (("--since", "2026-03-01", "--until", "2026-06-01"), lambda each: "2026-03-01" <= each["occurred_at"][:10] < "2026-06-01"),
    ):
        found = {each["interaction_id"] for each in entries_of(demo, *WHO, *words, "--limit", "10000")}
        assert found == {key for key, each in everything.items() if holds(each)}
        assert 0 < len(found) < len(everything)
    joint = entries_of(demo, *WHO, "--with", "Robert Fitzgerald", "--limit", "10000")
    assert 0 < len(joint) < len(everything)
    assert all("Robert Fitzgerald" in each["participants"] for each in joint)
    both = entries_of(demo, "timeline", "Summit Grocers", "Grace Velasquez", "-t", OURS, "--limit", "10000")
    alone = entries_of(demo, "timeline", "Grace Velasquez", "-t", OURS, "--limit", "10000")
    assert {each["interaction_id"] for each in both} == set(everything) | {each["interaction_id"] for each in alone}
    assert "nothing was found" in demo.command(*WHO, "--until", "2001-01-01").stdout


def test_a_file_holds_all_of_it(demo: DemoRuns) -> None:
    """CSV and JSON give back what the pages give, HTML shows it by day; only its owner may read it, and nothing is left beside it."""
    everything = entries_of(demo, *WHO, "--limit", "10000")
    files = {suffix: a_file(demo, suffix) for suffix in (".csv", ".json", ".html")}
    for path in files.values():
        done = demo.command(*WHO, "--to", str(path))
        assert (done.stdout, path.stat().st_mode & 0o777) == ("", 0o600)
        assert f"{len(everything)} of {len(everything)}" in done.stderr
    assert json.loads(files[".json"].read_text("utf-8"))["entries"] == everything
    read = list(csv.DictReader(io.StringIO(files[".csv"].read_text("utf-8"), newline="")))
    assert [(each["interaction_id"], each["occurred_at"]) for each in read] == [
        (each["interaction_id"], each["occurred_at"]) for each in everything
    ]
    assert files[".csv"].read_bytes() == demo.command(*WHO, "--limit", "10000", "--csv").stdout.encode()
    page = unescape(files[".html"].read_text("utf-8"))
    assert page.count("<tr>") == len(everything)
    assert page.count("<h2>") == len({each["occurred_at"][:10] for each in everything})
    assert all(each["title"] in page for each in everything)
    assert not list(demo.folder.glob(".timeline-*"))


def test_a_file_by_thread(demo: DemoRuns) -> None:
    """The threads of the whole timeline, the one that began first is first; the same as --json of everything."""
    path = a_file(demo, ".json")
    demo.command(*WHO, "--to", str(path), "--group", "thread")
    groups = json.loads(path.read_text("utf-8"))["groups"]
    assert groups == data_of(demo, *WHO, "--limit", "10000", "--group", "thread")["groups"]
    assert max(len(each["entries"]) for each in groups) > 2
    begins = [each["entries"][0]["occurred_at"] for each in groups]
    assert begins == sorted(begins)


def test_a_file_that_cannot_be_written_leaves_what_was_there(demo: DemoRuns) -> None:
    """Whole or absent: the old file stays, no draft stays; and what cannot be a file is said before anything is read."""
    path = a_file(demo, ".csv")
    path.write_text("before")
    assert demo.command("timeline", "Zebulon Quux", "-t", OURS, "--to", str(path), code=4).stdout == ""
    assert path.read_text() == "before"
    assert "cannot write the file" in demo.command(*WHO, "--to", str(demo.folder / "nowhere" / "x.csv"), code=2).stderr
    assert ".html" in demo.command(*WHO, "--to", "x.pdf", code=2).stderr
    assert "leave --page and --limit away" in demo.command(*WHO, "--to", "x.csv", "--limit", "5", code=2).stderr
    assert not list(demo.folder.glob(".timeline-*"))


@pytest.mark.parametrize("policy", ["contacts", "all"])
def test_what_goes_out_is_masked(demo: DemoRuns, policy: str) -> None:
    """On the screen, as JSON and in every file: no address at all, and under "all" no name of anybody who is known."""
    asked = ("timeline", "Summit Grocers", "Grace Velasquez", "-t", OURS)
    plain = demo.command(*asked, "--limit", "10000", "--json").stdout
    assert "Farrell" in plain
    told = [masked(demo, policy, *asked, *more).stdout for more in ((), ("--json",), ("--csv",), ("--group", "thread"))]
    for suffix in (".csv", ".json", ".html"):
        path = a_file(demo, suffix)
        assert masked(demo, policy, *asked, "--to", str(path)).returncode == 0
        told.append(path.read_text("utf-8"))
    for text in told:
        assert not re.search(r"[\w.]+@[\w.]+\.\w+", text)
        if policy == "all":
            shown = text.replace("'Summit Grocers' 'Grace Velasquez'", "")  # the user's own words, to go on
            assert not re.search(r"Farrell|Fitzgerald|Velasquez|Summit Grocers", shown)
            assert re.search(r"(?:<|&lt;)person:[0-9a-f]{8}(?:>|&gt;)", shown)
    guessed = masked(demo, policy, "timeline", "Sumit Grocers", "-t", OURS)
    assert "did you mean" in guessed.stderr
    assert ("Summit" in guessed.stderr) == (policy == "contacts")
    tied = masked(demo, policy, "timeline", "Dmitri Vandenberg", "-t", OURS).stderr
    assert "more than one is meant" in tied
    assert "@" not in tied


def test_a_similar_name_is_asked_about(demo: DemoRuns) -> None:
    """A typing error is answered with a word about it; nobody of the name: exit 4; two of the name: both, by id."""
    guessed = demo.command("timeline", "Sumit Grocers", "-t", OURS, "--limit", "3")
    assert "did you mean Summit Grocers, Inc., as shown?" in guessed.stderr
    assert guessed.stdout.startswith("Summit Grocers, Inc.: 3 interactions")
    assert "another spelling" in demo.command("timeline", "Zebulon Quux", "-t", OURS, code=4).stderr
    tied = demo.command("timeline", "Dmitri Vandenberg", "-t", OURS, code=2).stderr
    first, second = re.findall(r"^  ([0-9a-f-]{36})  person", tied, re.MULTILINE)
    assert entries_of(demo, "timeline", first, "-t", OURS) != entries_of(demo, "timeline", second, "-t", OURS)


def test_another_tenant_shows_nothing(demo: DemoRuns) -> None:
    """By id, by name, in a file: what is theirs is nobody here."""
    with psycopg.connect(demo.admin_url) as admin:
        rows = admin.execute(
            "select entity_id::text, name from pay_ready.entity_versions where tenant_id = %s and closed_run_no is null"
            " and name is not null order by record_count desc limit 3",
            (tenant_id_of("pay_ready", OTHERS),),
        ).fetchall()
    for entity, name in rows:
        done = demo.command("timeline", entity, "-t", OURS, code=4)
        assert (done.stdout, name in done.stderr) == ("", False)
    path = a_file(demo, ".json")
    demo.command("timeline", rows[0][0], "-t", OURS, "--to", str(path), code=4)
    assert not path.exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("timeline", "-t", OURS), "whose timeline?"),
        ((*WHO, "--group", "week"), "one of day, thread"),
        ((*WHO, "--csv", "--json"), "say --csv or --json"),
        ((*WHO, "--csv", "--to", "x.csv"), "one form at a time"),
        ((*WHO, "--page", "nonsense"), "ask again without it"),
        ((*WHO, "--since", "2026-02-01", "--until", "2026-02-01"), "the end is not after the beginning"),
    ],
)
def test_what_is_off_is_said(demo: DemoRuns, words: tuple[str, ...], said: str) -> None:
    """Exit 2, one line with the way out."""
    done = demo.command(*words, code=2)
    assert said in done.stderr
    assert done.stdout == ""


def test_a_question_shows_a_page_and_where_the_rest_is(demo: DemoRuns) -> None:
    """Asked in plain English: the latest lines under the right headings, and the command for all of them."""
    told = demo.command("ask", "Timeline of Summit Grocers", "-t", OURS, "--json").stdout
    answer = json.loads(told)["data"]
    (section,) = answer["sections"]
    rows = [dict(zip(section["columns"], row, strict=True)) for row in section["rows"]]
    assert [row["interaction"] for row in rows] == [each["interaction_id"] for each in reversed(entries_of(demo, *WHO, "--limit", "30"))]
    assert {row["source"] for row in rows} <= {"gong", "hubspot", "salesforce", "slack"}
    assert {row["mood"] for row in rows} <= {"+", "·", "-", ""}
    assert "pay-ready timeline NAME" in " ".join(answer["reasons"])
