"""`pay-ready runs`, and what `pay-ready run` says of volumes: as people and programs meet them."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest

from pay_ready.cli.main import main
from pay_ready.db import landing as rows_of
from pay_ready.db import leases, sources
from pay_ready.db.landing import Landing
from pay_ready.db.tenancy import Database, PoolOptions
from pay_ready.model.ids import RunId, new_id, tenant_id_of
from tests.conftest import Scratch


@dataclass(frozen=True, slots=True)
class Done:
    """How a command ended."""

    exit_code: int
    out: str
    err: str

    @property
    def data(self) -> Any:
        """What a --json command printed, whatever its exit code."""
        document = json.loads(self.out)
        assert document["schema_version"] == 1
        return document["data"]


Run = Callable[..., Done]


@pytest.fixture
def environment(scratch: Scratch, tmp_path: Path) -> dict[str, str]:
    """That of a command on this test's database."""
    return {
        "PATH": os.environ["PATH"], "HOME": str(tmp_path), "PAY_READY_HOME": str(tmp_path / "state"),
        "PAY_READY_DATABASE_URL": scratch.app_url, "PAY_READY_ADMIN_DATABASE_URL": scratch.admin_url, "USER": "ann",
    }  # fmt: skip


@pytest.fixture
def run(environment: dict[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """`pay-ready` in this process: the imports of a process of its own would be most of the test."""
    for name, value in environment.items():
        monkeypatch.setenv(name, value)

    def call(*words: str) -> Done:
        monkeypatch.setattr(sys, "argv", ["pay-ready", *words])
        capsys.readouterr()
        try:
            main()
        except SystemExit as end:
            code = end.code
        else:
            code = 0
        assert code is None or isinstance(code, int)
        return Done(code or 0, *capsys.readouterr())

    return call


@pytest.fixture
def exports(tmp_path: Path) -> Callable[..., None]:
    """Writes HubSpot contacts; deleted ones say so themselves. The first one's address is none."""
    (tmp_path / "exports").mkdir()

    def write(count: int, *, day: int = 2, deleted: bool = False) -> None:
        gone = {"_ab_cdc_deleted_at": f"2026-01-{day:02}T00:00:00Z"} if deleted else {}
        rows = [
            {"id": str(n), "createdAt": "2026-01-01T00:00:00Z", "updatedAt": f"2026-01-{day:02}T00:00:00Z", "archived": False, **gone,
             "properties": {"email": f"p{n}@customer.example" if n else "not an address", "lastname": f"L{n}"}}
            for n in range(count)
        ]  # fmt: skip
        (tmp_path / "exports" / "contacts.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))

    return write


@pytest.fixture
def acme(run: Run, exports: Callable[..., None], tmp_path: Path) -> None:
    """Tenant acme with the source crm: 250 contacts."""
    exports(250)
    assert run("tenants", "create", "acme").exit_code == 0
    assert run("sources", "add", "-t", "acme", "crm", "--kind", "hubspot", "--replay", str(tmp_path / "exports")).exit_code == 0


@pytest.mark.usefixtures("acme")
def test_a_look_at_what_ran(run: Run) -> None:
    """List, show by the beginning of an id, retry: tables for people, JSON for programs, the next command on standard error."""
    report = run("run", "etl", "-t", "acme", "--json").data
    sync = report["sources"][0]["sync"]
    assert sync["streams"][0]["volume"] == {"emitted": 250, "runs": 0, "median": None, "least": None, "most": None, "word": "first"}
    assert sync["seconds_by_step"].keys() == {"plan", "read", "write", "stage"}
    assert (sync["schema_changes"], sync["unbelieved"], sync["job"], report["held"]) == ({}, [], None, None)
    (listed,) = run("runs", "list", "-t", "acme", "--json").data
    assert (listed["run_id"], listed["status"], listed["emitted"], listed["quarantined"]) == (sync["run_id"], "complete", 250, 1)
    shown = run("runs", "show", listed["run_id"][:13], "-t", "acme")
    for words in (
        "both hold",
        "email.invalid",
        "2026-01-02T00:00:00Z",
        "plan",
        "stage",
        f"run {listed['run_id']} of crm: complete, replay",
    ):
        assert words in shown.out
    assert "pay-ready quarantine list --tenant acme --source crm" in shown.err
    whole = run("runs", "show", listed["run_id"], "-t", "acme", "--json").data
    (stream,) = whole["streams"]
    assert (stream["emitted"], stream["landed"], stream["staged"], stream["stage_quarantined"], stream["waiting"]) == (250, 250, 249, 1, 0)
    assert whole["report"]["seconds_by_step"].keys() == {"plan", "read", "write", "stage"}
    refused = run("runs", "retry", listed["run_id"], "-t", "acme")
    assert (refused.exit_code, "say --force" in refused.err) == (6, True)
    forced = run("runs", "retry", listed["run_id"], "-t", "acme", "--force", "--json").data
    assert (forced["retried"], forced["sync"]["status"]) == (listed["run_id"], "complete")
    assert forced["sync"]["streams"][0]["volume"]["word"] == "usual"
    text = run("run", "sync", "-t", "acme")
    assert (text.exit_code, "usually" in text.out, "watermark before" in text.out) == (0, True, True)
    again = run("runs", "list", "-t", "acme", "--source", "crm", "--status", "complete", "--since", "2026-01-01")
    assert (again.exit_code, again.out.count("complete")) == (0, 3)


@pytest.mark.usefixtures("acme")
def test_a_running_run_is_aborted(run: Run, scratch: Scratch) -> None:
    """Its process is named when it lives; it cannot be retried before nor aborted twice; the audit knows who and why."""
    open_run = _open_run(scratch)
    refused = run("runs", "retry", str(open_run), "-t", "acme", "--force")
    assert (refused.exit_code, f"runs abort {open_run} --tenant acme" in refused.err) == (6, True)
    assert "running" in run("runs", "show", str(open_run), "-t", "acme").out
    done = run("runs", "abort", str(open_run), "-t", "acme", "--reason", "stuck since noon")
    assert done.exit_code == 0, done.err
    assert f"is still alive: it stops at its next write; to end it now: kill {os.getpid()}" in done.out
    twice = run("runs", "abort", str(open_run), "-t", "acme")
    assert (twice.exit_code, "status=aborted" in twice.err) == (6, True)
    shown = run("runs", "show", str(open_run), "-t", "acme")
    assert "Aborted: aborted by ann: stuck since noon" in shown.out
    assert run("runs", "retry", str(open_run), "-t", "acme", "--json").data["sync"]["status"] == "complete"
    with psycopg.connect(scratch.admin_url) as connection:
        found = connection.execute("select actor, reason from pay_ready.audit_events where action = 'run.aborted'").fetchall()
    assert found == [("ann", "stuck since noon")]


def _open_run(scratch: Scratch) -> RunId:
    """A run that this process has at work."""
    tenant, run = tenant_id_of("pay_ready", "acme"), RunId(new_id())
    database = Database(scratch.app_url, PoolOptions(max_size=1, overflow=0))
    database.open()
    try:
        with database.tenant_transaction(tenant) as tx:
            source = sources.require(tx, "crm")
            lease = leases.acquire(tx, f"source:{source.source_id}", leases.holder_name(run))
            rows_of.open_run(tx, Landing(source_id=source.source_id, run_id=run, lease=lease), "replay")
    finally:
        database.close()
    return run


@pytest.mark.usefixtures("acme")
def test_a_stream_that_shrank_is_not_published(run: Run, exports: Callable[..., None], environment: dict[str, str], tmp_path: Path) -> None:
    """Exit 7 with both sizes and the next command, from etl and from resolve; the list says why; --accept-shrink publishes."""
    assert run("run", "etl", "-t", "acme").exit_code == 0
    exports(250, day=3, deleted=True)
    command = [sys.executable, "-m", "pay_ready.cli.main", "run", "etl", "-t", "acme"]
    real = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert real.returncode == 7, real.stderr
    assert "held back: a stream is far smaller" in real.stdout
    said = real.stderr.splitlines()[-1]
    assert "tenant=acme, source=crm, stream=contacts, before=250, now=0" in said
    assert said.endswith("pay-ready run etl --tenant acme --accept-shrink")
    again = run("run", "etl", "-t", "acme", "--json")
    assert (again.exit_code, again.data["status"], again.data["resolve"], again.data["held"]["exit_code"]) == (7, "failed", None, 7)
    alone = run("run", "resolve", "-t", "acme")
    assert (alone.exit_code, "before=250, now=0" in alone.err) == (7, True)
    newest = run("runs", "list", "-t", "acme", "--limit", "1")
    assert "held back: a stream is far smaller" in newest.out
    run_id = run("runs", "list", "-t", "acme", "--limit", "1", "--json").data[0]["run_id"]
    assert "contacts: 250 rows when published last, now there are 0" in run("runs", "show", run_id, "-t", "acme").out
    assert run("people", "p1@customer.example", "-t", "acme").exit_code == 0
    accepted = run("run", "resolve", "-t", "acme", "--accept-shrink", "--json")
    assert accepted.data["people"]["changes"] == {"retired": 249}
    assert run("run", "etl", "-t", "acme").exit_code == 0


@pytest.mark.usefixtures("acme")
def test_a_wrong_word_says_what_and_what_next(run: Run) -> None:
    """One line, the right exit code, nothing on standard output."""
    for words, exit_code, said in (
        (("list", "--status", "done"), 2, "choose one of running, complete, partial, failed, aborted"),
        (("list", "--since", "yesterday"), 2, "write it like 2026-01-31"),
        (("list", "--source", "shop"), 4, "no such source"),
        (("show", "crm"), 2, "copy one from: pay-ready runs list"),
        (("show", "01a2"), 4, "no such run"),
        (("retry", "01a2"), 4, "no such run"),
        (("abort", "01a2"), 4, "no such run"),
    ):
        done = run("runs", *words, "-t", "acme")
        assert (done.exit_code, done.out, said in done.err, "Traceback" in done.err) == (exit_code, "", True, False), (words, done.err)
    assert run("runs", "list", "-t", "acme", "--json").data == []
