"""`pay-ready retention` as people and programs meet it."""

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from pay_ready.model.archived import KINDS
from pay_ready.model.ids import tenant_id_of
from tests.command_support import called
from tests.conftest import Scratch, Server, cloned
from tests.erasure_support import CANARIES, EMAIL, a_key, estate_template, found_in, move
from tests.retention_support import aged, archived_tables, differing

Run = Callable[..., "subprocess.CompletedProcess[str]"]
ACME, BETA = tenant_id_of("pay_ready", "acme"), tenant_id_of("pay_ready", "beta")


@pytest.fixture
def scratch(server: Server, template: str, run_folder: Path, tmp_path: Path) -> Iterator[Scratch]:
    """The estate, a hundred days old, in a database and a folder of this test's own."""
    name, folder = estate_template(server, template, run_folder)
    with cloned(server, name) as made:
        move(made, folder, tmp_path)
        with psycopg.connect(made.admin_url) as admin:
            admin.execute("delete from pay_ready.checkpoints")
        for tenant in (ACME, BETA):
            aged(made.admin_url, tenant, 100)
        yield made


@pytest.fixture
def run(scratch: Scratch, tmp_path: Path) -> Run:
    """`pay-ready` in a clean environment; a variable that is empty is not set."""

    def call(*words: str, **environment: str) -> "subprocess.CompletedProcess[str]":
        clean = {
            "HOME": str(tmp_path), "PAY_READY_HOME": str(tmp_path / "home"), "PAY_READY_ARCHIVES": str(tmp_path / "mounted"),
            "PAY_READY_DATABASE_URL": scratch.app_url, "PAY_READY_ADMIN_DATABASE_URL": scratch.admin_url,
            "PAY_READY_ERASURE_DATABASE_URL": scratch.erasure_url, "PAY_READY_SECRET_KEY_FILE": str(a_key(tmp_path)), **environment,
        }  # fmt: skip
        return called(words, {name: value for name, value in clean.items() if value}, tmp_path)

    return call


def data_of(done: "subprocess.CompletedProcess[str]") -> Any:
    """What a --json command printed, which must have gone well."""
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)["data"]


def keep_for(run: Run, tenant: str = "acme", **days: float) -> None:
    """Set a tenant's days."""
    words = [word for kind, count in days.items() for word in ("--set", f"retention.{kind}_days={count}")]
    assert run("tenants", "settings", tenant, *words).returncode == 0


def test_the_way_of_old_rows(run: Run, scratch: Scratch, tmp_path: Path) -> None:
    """Planned, tried, applied, listed, looked at, restored: for people and as JSON; the archive is its owner's alone."""
    nothing = run("retention", "plan", "-t", "acme")
    assert "kept for ever: history, landed, quarantine, memories, runs" in nothing.stdout
    assert "none yet" in run("retention", "list", "-t", "acme").stdout
    keep_for(run, **dict.fromkeys(KINDS, 30))
    assert "retention.history_days" in run("tenants", "settings", "acme").stdout
    before = archived_tables(scratch.admin_url, ACME)
    plan = data_of(run("retention", "plan", "-t", "acme", "--json"))
    due = {each["table"]: each["rows"] for each in plan["due"] if each["rows"]}
    assert due.keys() >= {"assignments", "entity_versions", "memories", "step_runs"}
    assert data_of(run("retention", "plan", "-t", "acme", "--only", "logs", "--json"))["due"] == [
        each for each in plan["due"] if each["kind"] == "logs"
    ]
    assert "cannot be undone afterwards" in run("retention", "plan", "-t", "acme").stdout
    tried = run("retention", "apply", "-t", "acme", "--dry-run")
    assert f"{sum(due.values()):,} rows would go" in tried.stdout
    assert archived_tables(scratch.admin_url, ACME) == before
    assert not (tmp_path / "mounted").exists()
    applied = data_of(run("retention", "apply", "-t", "acme", "--json"))
    assert {table: rows for each in applied["archives"] for table, rows in each["deleted"].items()} == due
    for each in applied["archives"]:
        manifest = Path(each["manifest"])
        assert manifest.is_relative_to(tmp_path / "mounted" / str(ACME))
        for path in (manifest, *manifest.parent.glob("*.parquet")):
            assert path.stat().st_mode & 0o777 == 0o600
        for path in (manifest.parent, manifest.parents[1], manifest.parents[2]):
            assert path.stat().st_mode & 0o777 == 0o700
    assert run("verify", "-t", "acme", "--deep").returncode == 0
    assert "0 rows archived and deleted" in run("retention", "apply", "-t", "acme").stdout
    listed = data_of(run("retention", "list", "-t", "acme", "--json"))
    assert {each["archive"]["status"] for each in listed} == {"deleted"}
    shown = run("retention", "list", "-t", "acme").stdout
    assert shown.count(" yes") == len(listed)
    for each in reversed(applied["archives"]):
        looked = run("retention", "restore", each["manifest"], "-t", "acme", "--dry-run")
        assert "every file is whole" in looked.stdout
        back = run("retention", "restore", each["archive_id"], "-t", "acme")
        assert (back.returncode, f"{sum(each['deleted'].values()):,} rows are back" in back.stdout) == (0, True)
    assert differing(archived_tables(scratch.admin_url, ACME), before) == {}
    assert data_of(run("retention", "restore", applied["archives"][0]["archive_id"], "-t", "acme", "--json"))["restored"] == {}
    assert run("verify", "-t", "acme", "--deep").returncode == 0


def test_exit_codes_say_what_is_wrong(run: Run, tmp_path: Path) -> None:
    """2 for words, 4 for what is absent or another tenant's, 5 without the right, 7 for damage; one line each, without a traceback."""
    keep_for(run, logs=30)
    keep_for(run, "beta", logs=30)
    (ours,) = data_of(run("retention", "apply", "-t", "acme", "--json"))["archives"]
    (theirs,) = data_of(run("retention", "apply", "-t", "beta", "--json"))["archives"]
    for words, code, told in (
        (("apply", "-t", "acme", "--only", "everything"), 2, "choose of landed"),
        (("restore", theirs["archive_id"], "-t", "acme"), 4, "no such archive of this tenant"),
        (("restore", theirs["manifest"], "-t", "acme"), 4, "no such archive of this tenant"),
        (("restore", str(tmp_path / "nowhere"), "-t", "acme"), 7, "cannot be read"),
        (("plan", "-t", "nobody"), 4, "no such tenant"),
    ):
        done = run("retention", *words)
        assert (done.returncode, told in done.stderr, done.stderr.count("\n")) == (code, True, 1), done.stderr
    denied = run("retention", "apply", "-t", "acme", PAY_READY_ERASURE_DATABASE_URL="")
    assert (denied.returncode, "--erasure-login" in denied.stderr) == (5, True)
    assert run("retention", "apply", "-t", "acme", "--dry-run", PAY_READY_ERASURE_DATABASE_URL="").returncode == 0
    file = next(Path(ours["manifest"]).parent.glob("*.parquet"))
    file.write_bytes(b"PAR1" + file.read_bytes()[4:-4] + b"PAR2")
    damaged = run("retention", "restore", ours["archive_id"], "-t", "acme")
    assert (damaged.returncode, "damaged" in damaged.stderr) == (7, True)
    assert run("tenants", "settings", "acme", "--set", "retention.history_days=-1").returncode == 2


def test_an_erased_person_does_not_come_back(run: Run, scratch: Scratch, tmp_path: Path) -> None:
    """Applied, erased, restored: nobody is withheld, as nobody is there; what is away must be there, or be given up."""
    keep_for(run, **dict.fromkeys(KINDS, 30))
    made = data_of(run("retention", "apply", "-t", "acme", "--json"))["archives"]
    subject = ("-t", "acme", "--subject", f"email:{EMAIL}")
    away = run("erase", *subject, "--yes", PAY_READY_ARCHIVES=str(tmp_path / "elsewhere"))
    assert (away.returncode, "--void-archives; nothing was erased" in away.stderr) == (6, True)
    assert "entity_versions in archives" in run("erase", *subject, "--dry-run").stdout
    assert data_of(run("erase", *subject, "--yes", "--json"))["is_held"]
    for each in reversed(made):
        assert data_of(run("retention", "restore", each["archive_id"], "-t", "acme", "--json"))["withheld"] == {}
    assert found_in(str(archived_tables(scratch.admin_url, ACME)).casefold(), CANARIES) == []
    assert run("run", "etl", "--tenant", "acme").returncode == 0
    assert run("verify", "-t", "acme", "--deep").returncode == 0


def test_help_has_examples(run: Run) -> None:
    """Every command shows how it is called."""
    for command in ("plan", "apply", "restore", "list"):
        assert f"Example: pay-ready retention {command}" in run("retention", command, "--help").stdout
    assert "Example: pay-ready retention plan" in run("retention", "--help").stdout
    assert ", ".join(KINDS) in " ".join(run("retention", "plan", "--help").stdout.split())
