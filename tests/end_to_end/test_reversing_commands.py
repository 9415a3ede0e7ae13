"""Checkpoints, rollback, redo, resume and undo from the command line, and a schedule that runs meanwhile."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Scratch
from tests.end_to_end.test_command_line import Run, data_of, run

__all__ = ["run"]  # a fixture


@pytest.fixture
def exports(tmp_path: Path) -> Path:
    """A folder for export files."""
    folder = tmp_path / "exports"
    folder.mkdir()
    return folder


def _contacts(folder: Path, people: list[tuple[str, str, str]]) -> None:
    rows = [
        {"id": key, "createdAt": "2026-01-01T00:00:00Z", "updatedAt": f"2026-01-{2 + len(people):02}T00:00:00Z", "archived": False,
         "properties": {"email": email, "firstname": name.split()[0], "lastname": name.split()[1]}}
        for key, name, email in people
    ]  # fmt: skip
    (folder / "contacts.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


ANN, BOB = ("1", "Ann Abel", "ann.abel@customer.example"), ("2", "Bob Brandt", "bob.brandt@customer.example")
TWIN = ("3", "Ann Abel", "ann.abel@customer.example")


@pytest.fixture
def acme(run: Run, exports: Path) -> Path:
    """A tenant with two published versions: in the second Ann has a second record."""
    _contacts(exports, [ANN, BOB])
    for words in (
        ("tenants", "create", "acme", "--name", "Acme"),
        ("sources", "add", "-t", "acme", "hub", "--kind", "hubspot", "--replay", str(exports)),
    ):
        done = run(*words)
        assert done.returncode == 0, done.stderr
    for people in ([ANN, BOB], [ANN, BOB, TWIN]):
        _contacts(exports, people)
        data_of(run("run", "etl", "-t", "acme", "--json"))
    return exports


def test_back_and_forth(run: Run, acme: Path, scratch: Scratch) -> None:
    """What each command says and with which exit code; while on hold a schedule lands and stages, and publishes nothing."""
    assert scratch
    listed = data_of(run("checkpoint", "list", "-t", "acme", "--json"))
    assert [each["name"] for each in listed] == ["before-run-2"]
    data_of(run("checkpoint", "create", "two", "-t", "acme", "--note", "both", "--pin", "--json"))
    assert run("checkpoint", "create", "two", "-t", "acme").returncode == 6
    assert run("checkpoint", "show", "three", "-t", "acme").returncode == 4
    assert "one of: two, before-run-2" in run("checkpoint", "show", "three", "-t", "acme").stderr
    assert run("checkpoint", "drop", "two", "-t", "acme").returncode == 6
    assert "yes" in run("checkpoint", "show", "two", "-t", "acme", "--check").stdout

    preview = data_of(run("rollback", "-t", "acme", "--to", "before-run-2", "--dry-run", "--json"))
    assert preview["run_no"] is None
    done = run("rollback", "-t", "acme", "--to", "before-run-2", "--reason", "a test")
    assert done.returncode == 0, done.stderr
    assert "published as run 3" in done.stdout
    assert "pay-ready resume -t acme" in done.stdout
    again = run("rollback", "-t", "acme", "--to", "before-run-2")
    assert (again.returncode, "already there" in again.stdout) == (0, True)

    assert run("resolve", "-t", "acme").returncode == 6
    _contacts(acme, [ANN, BOB, TWIN, ("4", "Cleo Curt", "cleo.curt@customer.example")])
    scheduled = run("run", "etl", "-t", "acme")
    assert scheduled.returncode == 0, scheduled.stderr
    assert "not resolved: the tenant's resolution is on hold" in scheduled.stdout
    waiting = data_of(run("pending", "-t", "acme", "--json"))
    assert waiting["counts"]["person"] >= 2
    assert waiting["hold"]["run_no"] == 3

    assert data_of(run("redo", "-t", "acme", "--json"))["digest"] == listed_digest(run, "two")
    assert run("redo", "-t", "acme").returncode == 6
    assert "not on hold" in run("resume", "-t", "acme").stdout
    assert data_of(run("resolve", "-t", "acme", "--json"))["run_no"] == 5
    pruned = data_of(run("checkpoint", "prune", "-t", "acme", "--keep", "1", "--json"))
    assert "two" not in pruned
    assert len(pruned) == 3


def test_undo(run: Run, acme: Path) -> None:
    """A merge by its number, what is none of it, and conditions that are none."""
    assert acme
    _contacts(acme, [ANN, BOB, TWIN])
    people = list(data_of(run("people", "-t", "acme", "ann", "--json")))
    assert people
    lines: list[dict[str, Any]] = data_of(run("changes", "-t", "acme", "--json"))
    assert [each["change_seq"] for each in lines] == list(range(len(lines), 0, -1))
    for words, exit_code, said in (
        (("undo", "-t", "acme"), 2, "one thing is undone at a time"),
        (("undo", "-t", "acme", "1"), 2, "before-run-1"),
        (("undo", "-t", "acme", "99"), 4, "pay-ready changes"),
        (("undo", "-t", "acme", "--where", "run=9"), 4, "no such merge"),
        (("undo", "-t", "acme", "--where", "ran=9"), 2, "one of run, change, type, entity"),
        (("undo", "-t", "acme", "--where", "run=x"), 2, "not a number"),
        (("undo", "-t", "acme", "--decision", "01890000-0000-7000-8000-000000000000"), 4, "review list"),
    ):
        done = run(*words)
        assert (done.returncode, said in done.stderr) == (exit_code, True), (words, done.stderr)
        assert done.stderr.count("\n") == 1


def listed_digest(run: Run, name: str) -> str:
    """The digest of a checkpoint."""
    digest: str = data_of(run("checkpoint", "show", name, "-t", "acme", "--json"))["checkpoint"]["digest"]
    return digest
