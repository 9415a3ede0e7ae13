"""`pay-ready backfill` as people and programs meet it."""

import json
from pathlib import Path

import pytest

from pay_ready.cli.progress import _detail, _Lines
from pay_ready.model.progress import ProgressEvent
from tests.end_to_end.test_command_line import Run, data_of, run  # noqa: F401 - the fixture

WANTED = ("backfill", "-t", "acme", "-s", "crm", "--from", "2026-01-01", "--to", "2026-01-03")


@pytest.fixture
def exports(tmp_path: Path) -> Path:
    """HubSpot export files: six contacts over three days, one without an address; and a stream without a date."""
    folder = tmp_path / "exports"
    folder.mkdir()
    rows = [
        {"id": str(number), "createdAt": "2025-01-01T00:00:00Z", "updatedAt": f"2026-01-0{1 + number // 2}T12:00:00Z", "archived": False,
         "properties": {"email": f"p{number}@customer.example" if number != 3 else "not an address", "lastname": "L"}}
        for number in range(6)
    ]  # fmt: skip
    (folder / "contacts.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "badges.jsonl").write_text('{"code": 7}\n')
    return folder


def test_a_backfill_by_command(run: Run, exports: Path) -> None:  # noqa: F811
    """Plan, run, again: the tables and figures of each, as text and as JSON; and what a failure looks like."""
    data_of(run("tenants", "create", "acme", "--json"))
    data_of(run("sources", "add", "-t", "acme", "crm", "--kind", "hubspot", "--replay", str(exports), "--json"))
    planned = run(*WANTED, "--dry-run")
    assert planned.returncode == 0, planned.stderr
    assert "2 chunks of 1d, about 4 rows, 0 landed already; nothing was changed - next: the same command" in planned.stdout
    assert "left out, for they have no field that says when a record changed: badges" in planned.stdout
    done = run(*WANTED)
    assert done.returncode == 0, done.stderr
    total = next(line for line in done.stdout.splitlines() if line.strip().startswith("total"))
    assert total.split()[:12] == ["total", "complete", "4", "4", "0", "0", "0", "0", "0", "3", "0", "1"]
    assert "complete; 4 rows landed in 2 chunks" in done.stdout
    assert "next: pay-ready run resolve --tenant acme" in done.stdout
    assert "backfill crm: 2 of 2 - 2026-01-02, 4 rows" in done.stderr
    again = data_of(run(*WANTED, "--json"))
    assert (again["state"], again["status"]) == ("complete", "complete")
    assert (again["totals"]["landed"], again["totals"]["stage_quarantined"]) == (4, 1)
    assert [(chunk["start"], chunk["landed"]) for chunk in again["chunks"]] == [
        ("2026-01-01T00:00:00+00:00", 2), ("2026-01-02T00:00:00+00:00", 2),
    ]  # fmt: skip
    refused = run(*WANTED, "--stream", "badges")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "choose from contacts" in refused.stderr
    failed = run(*WANTED, "--again", "--json", PAY_READY_FAILPOINTS="land.before_commit=raise")
    assert failed.returncode == 1
    report = json.loads(failed.stdout)["data"]
    assert (report["status"], [chunk["status"] for chunk in report["chunks"]]) == ("failed", ["failed", "planned"])
    assert "stopped at a failpoint" in report["error"]["message"]


def test_a_plan_is_made_listed_shown_and_applied(run: Run, exports: Path) -> None:  # noqa: F811
    """Two sources, each with its plan; both applied together, the latest day first; lists and pictures of them before and after."""
    data_of(run("tenants", "create", "acme", "--json"))
    for name in ("crm", "desk"):
        data_of(run("sources", "add", "-t", "acme", name, "--kind", "hubspot", "--replay", str(exports), "--json"))
    made = data_of(run("backfill", "plan", *WANTED[1:], "-s", "desk", "--json"))
    assert [(each["source"], each["status"], len(each["chunks"])) for each in made] == [("crm", "planned", 2), ("desk", "planned", 2)]
    plans = [each["plan_id"] for each in made]
    shown = run("backfill", "show", plans[0], "-t", "acme", "--by-stream")
    assert "2026-01-02" in shown.stdout
    assert f"next: pay-ready backfill apply {plans[0]} --tenant acme" in shown.stdout
    done = run("backfill", "apply", *plans, "-t", "acme", "--max-active", "2", "--run-backwards")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("complete; 4 rows landed in 2 chunks") == 2
    listed = data_of(run("backfill", "list", "-t", "acme", "--json"))
    assert [(each["plan_id"], each["status"], each["complete"]) for each in listed] == [(plan, "complete", 2) for plan in plans[::-1]]
    assert plans[0] in run("backfill", "list", "-t", "acme", "-s", "crm").stdout
    parts = data_of(run("backfill", "show", plans[1], "-t", "acme", "--by-stream", "--json"))["partitions"]
    assert [(each["stream"], each["status"], each["landed"]) for each in parts] == [("contacts", "complete", 2)] * 2
    anew = data_of(run("backfill", "apply", plans[0], "-t", "acme", "--reprocess", "completed", "--json"))
    assert (anew["status"], anew["totals"]["unchanged"]) == ("complete", 4)
    assert anew["plan_id"] != plans[0]


@pytest.mark.parametrize(
    ("words", "exit_code", "said"),
    [
        (["apply", "seven"], 2, "not the id of a plan"),
        (["apply", "0192f0c1-0000-7000-8000-000000000000"], 4, "no such plan of a backfill"),
        (["show", "0192f0c1-0000-7000-8000-000000000000"], 4, "pay-ready backfill list"),
        (["list", "-s", "nothing"], 4, "nothing"),
        (["apply", "0192f0c1-0000-7000-8000-000000000000", "--reprocess", "some"], 2, "choices: none, failed, completed"),
    ],
)
def test_plans_that_are_none(run: Run, words: list[str], exit_code: int, said: str) -> None:  # noqa: F811
    """One line, with what to do."""
    data_of(run("tenants", "create", "acme", "--json"))
    done = run("backfill", *words, "-t", "acme")
    assert (done.returncode, done.stdout) == (exit_code, "")
    assert said in done.stderr


@pytest.mark.parametrize(
    ("words", "exit_code", "said"),
    [
        (["--from", "2026-01-01", "--to", "2999-01-01"], 2, "the range ends in the future"),
        (["--from", "2026-01-01"], 2, "--to"),
        (["--from", "2026-01-01", "--to", "2026-01-02"], 4, "no such tenant"),
    ],
)
def test_wrong_words_end_in_their_exit_code(run: Run, words: list[str], exit_code: int, said: str) -> None:  # noqa: F811
    """Before anything is done: what is wrong, in a line."""
    done = run("backfill", "-t", "nobody", "-s", "crm", *words)
    assert done.returncode == exit_code
    assert said in done.stderr


def test_progress_is_told_with_rate_and_time_left(capsys: pytest.CaptureFixture[str]) -> None:
    """Without a terminal a line; the same words beside a bar."""
    event = ProgressEvent(
        step="backfill", subject="crm", done=2, total=12, detail="2026-01-03, 1,234 rows", rows_per_s=512.4, left_s=3725.0
    )
    assert _detail(event) == "2026-01-03, 1,234 rows, 512 rows/s, 1:02:05 left"
    assert _detail(ProgressEvent(step="sync", subject="crm/people", done=2)) == ""
    lines = _Lines()
    lines(event)
    lines.close()
    assert capsys.readouterr().err == "backfill crm: 2 of 12 - 2026-01-03, 1,234 rows, 512 rows/s, 1:02:05 left\n"
