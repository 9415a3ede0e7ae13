"""The command line as people and programs meet it: what it prints, how it fails, and its exit codes."""

import io
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest

from pay_ready.cli.output import print_table
from tests.command_support import called
from tests.conftest import Scratch

ADD = ["sources", "add", "-t", "acme", "x"]

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def run(scratch: Scratch, tmp_path: Path) -> Run:
    """`pay-ready` on a database of this test's own, with a clean environment.

    In this process, where what a command loads is loaded once; with variables of its own, in one of its own.
    """
    places = {
        "HOME": str(tmp_path), "PAY_READY_HOME": str(tmp_path / "state"), "PAY_READY_DATABASE_URL": scratch.app_url,
        "PAY_READY_ADMIN_DATABASE_URL": scratch.admin_url,
    }  # fmt: skip

    def call(*words: str, **environment: str) -> "subprocess.CompletedProcess[str]":
        if environment:
            clean = {"PATH": os.environ["PATH"], **places, **environment}
            command = [sys.executable, "-m", "pay_ready.cli.main", *words]
            return subprocess.run(command, cwd=tmp_path, env=clean, capture_output=True, text=True, check=False)
        return called(words, places, tmp_path)

    return call


@pytest.fixture
def exports(tmp_path: Path) -> Path:
    """HubSpot export files: two good contacts and one whose address is none."""
    folder = tmp_path / "exports"
    folder.mkdir()
    people = [("1", "ann.abel@customer.example"), ("2", "bob.brandt@customer.example"), ("3", "not an address")]
    rows = [
        {"id": key, "createdAt": "2026-01-01T00:00:00Z", "updatedAt": "2026-01-02T00:00:00Z", "archived": False,
         "properties": {"email": email, "firstname": "F", "lastname": f"L{key}"}}
        for key, email in people
    ]  # fmt: skip
    (folder / "contacts.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


def data_of(done: "subprocess.CompletedProcess[str]") -> Any:
    """What a --json command printed, which must have gone well."""
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["schema_version"] == 1
    return document["data"]


def test_a_newcomers_way(run: Run, exports: Path) -> None:
    """Tenant, source, etl, a look at a person, the quarantine, its correction: every step by command, all as JSON."""
    assert data_of(run("tenants", "create", "acme", "--name", "Acme", "--json"))["slug"] == "acme"
    added = data_of(run("sources", "add", "-t", "acme", "crm", "--kind", "hubspot", "--replay", str(exports), "--json"))
    assert added["source"]["name"] == "crm"
    report = data_of(run("run", "etl", "-t", "acme", "--json"))
    assert report["status"] == "complete"
    (stream,) = report["sources"][0]["equations"]
    assert (stream["emitted"], stream["landed"], stream["staged"], stream["stage_quarantined"]) == (3, 3, 2, 1)
    person = data_of(run("people", "ann.abel@customer.example", "-t", "acme", "--json"))
    assert person["golden"]["record_count"] == 1
    listed = data_of(run("quarantine", "list", "-t", "acme", "--json"))
    assert [group["reason"] for group in listed["groups"]] == ["email.invalid"]
    wrong = listed["records"][0]["quarantine_id"]
    row = json.loads(run("quarantine", "show", wrong, "-t", "acme", "--raw").stdout)
    row["properties"]["email"] = "cleo.conti@customer.example"
    mended = exports.parent / "row.json"
    mended.write_text(json.dumps(row))
    assert data_of(run("quarantine", "replay", wrong, "-t", "acme", "--data", str(mended), "--json"))["replayed"] == 1
    assert data_of(run("run", "resolve", "-t", "acme", "--json"))["people"]["changes"] == {"created": 1}
    assert data_of(run("people", "cleo.conti@customer.example", "-t", "acme", "--json"))["golden"]["email"]
    assert data_of(run("quarantine", "list", "-t", "acme", "--json"))["records"] == []
    again = data_of(run("run", "etl", "-t", "acme", "--json"))
    assert (again["status"], again["resolve"]["run_no"]) == ("complete", None)
    assert [each["slug"] for each in data_of(run("tenants", "list", "--json"))] == ["acme"]


@pytest.mark.parametrize(
    ("words", "exit_code", "said"),
    [
        (["nonsense"], 2, "No such command"),
        (["run", "etl"], 2, "--tenant"),
        (["run", "etl", "-t", "nobody"], 4, "no such tenant - tenant=nobody - see them all: pay-ready tenants list"),
        (["tenants", "create", "Not A Slug"], 2, "use lower-case letters"),
        (["tenants", "show", "nobody"], 4, "no such tenant"),
        ([*ADD, "--kind", "hubspot"], 2, "give one of --replay FOLDER, --connector name==version and --airbyte FILE"),
        (
            ["sources", "add", "-t", "acme", "x", "--kind", "hubspoot", "--replay", "."],
            2,
            "choose one of gong, hubspot, salesforce, slack, zendesk",
        ),
        ([*ADD, "--kind", "hubspot", "--replay", "gone"], 7, "there is no such folder"),
        (
            ["sources", "add", "-t", "acme", "x", "--kind", "hubspot", "--connector", "airbyte-source-hubspot==5.7.0"],
            4,
            "connectors install",
        ),
        ([*ADD, "--kind", "gong", "--connector", "gong"], 4, "pay-ready connectors install gong"),
        (["sources", "check", "-t", "acme", "x"], 4, "no such source"),
        (["quarantine", "show", "-t", "acme", "no-id"], 2, "copy one from: pay-ready quarantine list"),
        (["quarantine", "show", "-t", "acme", "00000000-0000-0000-0000-000000000000"], 4, ""),
        (["quarantine", "replay", "-t", "acme"], 2, "or say --all"),
        (["people", "nobody at all", "-t", "acme"], 4, "nobody and nothing by that name"),
        (["timeline", "x", "-t", "acme", "--since", "the other day or so"], 2, "a day as 2026-01-31"),
        (["timeline", "x", "-t", "acme", "--type", "cal"], 2, "one of call, meeting, email"),
        (["timeline", "x", "-t", "acme", "--source", "crm"], 2, "no such source"),
        (["timeline", "x", "-t", "acme", "--since", "2026-02-01", "--until", "2026-02-01"], 2, "the end is not after the beginning"),
        (["timeline", "x", "-t", "acme", "--csv", "--json"], 2, "say --csv or --json"),
        (["people", "nobody@customer.example", "-t", "acme"], 4, "nobody and nothing by that name"),
        (
            ["tenants", "settings", "acme", "--set", "database.pool=1"],
            2,
            "the keys here are: airbyte, checkpoints, drift, entity_resolution, etl, quality, retention, review, staging, watch",
        ),
        (["tenants", "settings", "acme", "--set", "staging.internal_domains=acme.com"], 2, 'a list is wanted, for example ["one"'),
        (["connectors", "install", "airbyte-source-faker"], 2, "airbyte-source-faker==7.2.1, or a shipped manifest: gong"),
        (["connectors", "install"], 2, "name==version, --manifest FILE, or a shipped one: gong"),
        (["connectors", "install", "--manifest", "gone.yaml"], 2, "cannot read the manifest"),
        (["tenants", "settings", "acme", "--set", "etl.max_retriess=1"], 2, "max_retries"),
        (["tenants", "settings", "acme", "--set", "nonsense"], 2, "--set etl.max_retries=5"),
        (["--domain", "elsewhere", "tenants", "list"], 2, "choose one of: paragon, pay_ready, personal"),
    ],
)
@pytest.mark.usefixtures("tenant")  # acme
def test_a_wrong_command_says_what_where_and_what_next(run: Run, words: list[str], exit_code: int, said: str) -> None:
    """One line, the right exit code, no traceback, nothing on standard output."""
    done = run(*words)
    assert done.returncode == exit_code, done.stderr
    assert said in done.stderr.replace("\n", " ")
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_a_suspended_tenant_is_refused(run: Run) -> None:
    """Exit 5, and the way to wake it; awake again it works."""
    run("tenants", "create", "acme")
    assert run("tenants", "suspend", "acme", "--reason", "unpaid").returncode == 0
    done = run("sources", "list", "-t", "acme")
    assert done.returncode == 5
    assert "pay-ready tenants suspend acme --undo" in done.stderr
    run("tenants", "suspend", "acme", "--undo")
    assert run("sources", "list", "-t", "acme").returncode == 0


def test_a_second_tenant_of_the_name_is_a_conflict(run: Run) -> None:
    """Exit 6; the first one stays as it is."""
    run("tenants", "create", "acme", "--name", "First")
    done = run("tenants", "create", "acme", "--name", "Second")
    assert done.returncode == 6
    assert data_of(run("tenants", "show", "acme", "--json"))["tenant"]["name"] == "First"


def test_settings_are_versioned_and_audited(run: Run, scratch: Scratch) -> None:
    """Each change is a version with its maker; an unset key is the default again; the audit chain holds the events."""
    run("tenants", "create", "acme")
    changed = data_of(run("tenants", "settings", "acme", "--set", "staging.phone_region=DE", "--set", "etl.max_retries=5", "--json"))
    assert (changed["version"], changed["effective"]["staging"]["phone_region"]) == (2, "DE")
    back = data_of(run("tenants", "settings", "acme", "--unset", "staging.phone_region", "--json"))
    assert (back["version"], back["effective"]["staging"]["phone_region"], back["effective"]["etl"]["max_retries"]) == (3, "US", 5)
    with psycopg.connect(scratch.admin_url) as connection:
        events = connection.execute("select seq, action, previous_hash is null from pay_ready.audit_events order by seq").fetchall()
    assert events == [(1, "tenant.created", True), (2, "tenant.settings_changed", False), (3, "tenant.settings_changed", False)]


def test_doctor_names_what_fails_and_how_to_mend_it(run: Run, scratch: Scratch) -> None:
    """All well: exit 0. A table without its policy, or a superuser as the app: exit 7 and the fix in the line."""
    assert {each["check"]: each["state"] for each in data_of(run("doctor", "--json"))}["row security"] == "ok"
    with psycopg.connect(scratch.admin_url, autocommit=True) as connection:
        connection.execute("alter table pay_ready.alerts no force row level security")
    done = run("doctor", "--json")
    assert done.returncode == 7
    findings = {each["check"]: each for each in json.loads(done.stdout)["data"]}
    assert findings["row security"]["found"] == "open: alerts"
    assert "protect_table" in findings["row security"]["fix"]
    loud = run("doctor", "--json", PAY_READY_DATABASE_URL=scratch.admin_url)
    assert loud.returncode == 7
    assert "bypasses row security" in loud.stdout
    refused = run("tenants", "create", "acme", PAY_READY_DATABASE_URL=scratch.admin_url)
    assert refused.returncode == 5
    assert "pay-ready migrate --app-login" in refused.stderr


def test_a_server_that_is_away_is_said_so(run: Run) -> None:
    """Exit 75: retry later; the password is not in the line."""
    nowhere = "postgresql://u:canary-pw@127.0.0.1:1/db"  # pragma: allowlist secret
    done = run("tenants", "create", "acme", PAY_READY_DATABASE_URL=nowhere)
    assert done.returncode == 75, done.stderr
    assert "canary-pw" not in done.stderr


def test_migrate_makes_the_apps_login(run: Run, empty_database: Scratch) -> None:
    """An empty database: migrated, a login made, its password shown once; a second run has nothing to do."""
    login = f"login_{os.getpid()}"
    words = ("migrate", "--app-login", login, "--json")
    try:
        done = run(*words, PAY_READY_ADMIN_DATABASE_URL=empty_database.admin_url, PAY_READY_DATABASE_URL=empty_database.app_url)
        assert data_of(done)["pending"] == []
        assert "its password, shown this once" in done.stderr
        again = run(*words, PAY_READY_ADMIN_DATABASE_URL=empty_database.admin_url, PAY_READY_DATABASE_URL=empty_database.app_url)
        assert data_of(again)["applied"] == []
        assert "password" not in again.stderr
    finally:
        with psycopg.connect(empty_database.admin_url, autocommit=True) as connection:
            connection.execute(f"drop role if exists {login}")


def test_data_cannot_steer_the_terminal(run: Run, exports: Path) -> None:
    """Escape sequences in a name are shown, not obeyed; a formula in CSV is quoted."""
    row = {"id": "1", "createdAt": "2026-01-01T00:00:00Z", "updatedAt": "2026-01-02T00:00:00Z", "archived": False,
           "properties": {"email": "eve@customer.example", "firstname": "\x1b[31mEve", "lastname": "=cmd()"}}  # fmt: skip
    (exports / "contacts.jsonl").write_text(json.dumps(row) + "\n")
    run("tenants", "create", "acme")
    run("sources", "add", "-t", "acme", "crm", "--kind", "hubspot", "--replay", str(exports))
    assert run("run", "etl", "-t", "acme").returncode == 0
    assert "\x1b" not in run("people", "eve@customer.example", "-t", "acme").stdout


def test_every_change_can_be_read_by_programs(run: Run, exports: Path) -> None:
    """--json on the commands that change or make one thing; `tenants show` lists sources without their settings."""
    run("tenants", "create", "acme")
    run("sources", "add", "-t", "acme", "crm", "--kind", "hubspot", "--replay", str(exports))
    shown = data_of(run("tenants", "show", "acme", "--json"))
    assert shown["sources"] == [{"name": "crm", "kind": "hubspot", "ingest_mode": "replay", "status": "active"}]
    assert data_of(run("keys", "generate", "--json"))["key"]
    assert data_of(run("sources", "remove", "-t", "acme", "crm", "--json")) == {"name": "crm", "status": "removed"}
    suspended = {"slug": "acme", "status": "suspended", "changed": True}
    assert data_of(run("tenants", "suspend", "acme", "--json")) == suspended
    assert data_of(run("tenants", "suspend", "acme", "--json")) == {**suspended, "changed": False}


def test_a_guessed_name_is_said_to_be_one(run: Run, exports: Path) -> None:
    """Who is shown for a misspelt name stands on standard error with the likeness; names alike are a choice, not a guess."""
    row = {"id": "1", "createdAt": "2026-01-01T00:00:00Z", "updatedAt": "2026-01-02T00:00:00Z", "archived": False,
           "properties": {"email": "jane@customer.example", "firstname": "Jane", "lastname": "Donnelly"}}  # fmt: skip
    (exports / "contacts.jsonl").write_text(json.dumps(row) + "\n")
    run("tenants", "create", "acme")
    run("sources", "add", "-t", "acme", "crm", "--kind", "hubspot", "--replay", str(exports))
    assert run("run", "etl", "-t", "acme").returncode == 0
    guessed = run("people", "jane donelly", "-t", "acme", "--json")
    assert data_of(guessed)["golden"]["name"] == "Jane Donnelly"
    assert "did you mean Jane Donnelly" in guessed.stderr
    assert "of 100" in guessed.stderr
    assert "did you mean" not in run("people", "jane@customer.example", "-t", "acme").stderr


def test_letters_that_the_locale_lacks_are_escaped(run: Run) -> None:
    """An ASCII terminal shows escapes, a program gets valid JSON; neither is a crash."""
    run("tenants", "create", "acme", "--name", "Søren")
    for code in ("ascii", "ascii:strict", "utf-8"):
        assert run("tenants", "show", "acme", PYTHONIOENCODING=code).returncode == 0
        assert data_of(run("tenants", "show", "acme", "--json", PYTHONIOENCODING=code))["tenant"]["name"] == "Søren"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
@pytest.mark.parametrize("words", [("keys", "generate"), ("keys", "generate", "--json"), ("connectors", "list")])
def test_a_full_standard_output_is_one_line(tmp_path: Path, words: tuple[str, ...]) -> None:
    """Exit 1 and what is wrong, for plain lines, JSON and tables; nothing of Python's."""
    command = [sys.executable, "-m", "pay_ready.cli.main", *words]
    clean = {"PATH": os.environ["PATH"], "PAY_READY_HOME": str(tmp_path)}
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(command, cwd=tmp_path, env=clean, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("error: cannot write to standard output - reason=No space left on device")
    assert "Traceback" not in done.stderr


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("width", [40, 80, 119, 120, 200])
def test_no_heading_is_folded_on_a_narrow_terminal(monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    """A table that would fold a heading is shown as a few lines a row; no line is wider than the terminal, no value is lost."""
    columns = (
        "source",
        "emitted",
        "landed",
        "unchanged",
        "superseded",
        "deleted",
        "quarantined",
        "staged",
        "unmapped",
        "refused",
        "seconds",
    )
    terminal = _Terminal()
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setenv("TERM", "xterm")  # a dumb one is 80 columns wide whatever it says
    monkeypatch.setattr(sys, "stdout", terminal)
    print_table(columns, [("salesforce", *range(1000, 10_000, 1000), 1.5)])
    shown = re.sub(r"\x1b\[[0-9;]*m", "", terminal.getvalue())
    assert all(len(line) <= width for line in shown.splitlines())
    words = [word.strip("; ") for word in shown.split()]
    assert all(words.count(heading) == 1 for heading in columns)
    assert all(f"{figure},000" in words for figure in range(1, 10))
    assert (width < 120) == ("emitted 1,000" in shown)


def test_the_administrators_url_never_stands_in_for_the_apps(empty_database: Scratch, tmp_path: Path) -> None:
    """With it alone a command says what is missing, and leaves the database as it is."""
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "PAY_READY_ADMIN_DATABASE_URL": empty_database.admin_url}
    command = [sys.executable, "-m", "pay_ready.cli.main", "tenants", "list"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "put its URL into PAY_READY_DATABASE_URL" in done.stderr
    with psycopg.connect(empty_database.admin_url) as connection:
        assert connection.execute("select to_regnamespace('pay_ready')").fetchone() == (None,)


def test_processes_that_need_a_key_at_once_agree_on_one(tmp_path: Path) -> None:
    """Eight first looks at once: one key, readable by its owner alone, and no leftovers."""
    from concurrent.futures import ThreadPoolExecutor

    script = (
        "from pay_ready.app import load_keyring; from pay_ready.settings import Environment;"
        f"print(load_keyring(Environment(home={str(tmp_path)!r}), may_generate=True).keys[0].key_id.hex())"
    )
    with ThreadPoolExecutor(8) as threads:
        runs = list(
            threads.map(lambda _: subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True), range(8))
        )
    assert len({done.stdout for done in runs}) == 1
    assert [(path.name, path.stat().st_mode & 0o777) for path in tmp_path.iterdir()] == [("secret.key", 0o600)]
