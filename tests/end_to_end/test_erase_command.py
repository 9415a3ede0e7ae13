"""`pay-ready export` and `pay-ready erase` as people and programs meet them."""

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.command_support import called
from tests.conftest import Scratch, Server, cloned
from tests.erasure_support import EMAIL, a_key, estate_template, move

Run = Callable[..., "subprocess.CompletedProcess[str]"]
SUBJECT = ("-t", "acme", "--subject", f"email:{EMAIL}")


@pytest.fixture
def scratch(server: Server, template: str, run_folder: Path, tmp_path: Path) -> Iterator[Scratch]:
    """The estate, in a database and a folder of this test's own."""
    name, folder = estate_template(server, template, run_folder)
    with cloned(server, name) as made:
        move(made, folder, tmp_path)
        yield made


@pytest.fixture
def run(scratch: Scratch, tmp_path: Path) -> Run:
    """`pay-ready` in a clean environment; a variable that is empty is not set."""

    def call(*words: str, **environment: str) -> "subprocess.CompletedProcess[str]":
        clean = {
            "HOME": str(tmp_path), "PAY_READY_HOME": str(tmp_path / "home"), "PAY_READY_DATABASE_URL": scratch.app_url,
            "PAY_READY_ADMIN_DATABASE_URL": scratch.admin_url, "PAY_READY_ERASURE_DATABASE_URL": scratch.erasure_url,
            "PAY_READY_SECRET_KEY_FILE": str(a_key(tmp_path)), **environment,
        }  # fmt: skip
        return called(words, {name: value for name, value in clean.items() if value}, tmp_path)

    return call


def data_of(done: "subprocess.CompletedProcess[str]") -> Any:
    """What a --json command printed, which must have gone well."""
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)["data"]


def test_the_way_of_a_request(run: Run, tmp_path: Path) -> None:
    """Exported, previewed, erased, erased once more, listed, lifted: as JSON, with exit code 0, and no value in any message."""
    exported = data_of(run("export", *SUBJECT, "--json"))
    path = Path(exported["path"])
    assert path.parent == tmp_path / "home" / "exports" / "acme"
    assert (path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    preview = run("erase", *SUBJECT, "--dry-run")
    assert "would go" in preview.stdout
    assert data_of(run("erase", *SUBJECT, "--dry-run", "--json"))["is_dry_run"]
    erased = data_of(run("erase", *SUBJECT, "--yes", "--reason", "request 4711", "--json"))
    assert erased["exports"] == [str(path)]
    assert not path.exists()
    assert EMAIL not in json.dumps(erased)
    again = run("erase", *SUBJECT, "--yes")
    assert (again.returncode, again.stdout) == (0, "nothing is held of this subject\n")
    assert {each["reason"] for each in data_of(run("erase", "list", "-t", "acme", "--json"))} == {"request 4711"}
    gone = run("export", *SUBJECT)
    assert (gone.returncode, EMAIL in gone.stderr) == (4, False)
    assert data_of(run("erase", "lift", *SUBJECT, "--json"))["digests"] > 2
    assert run("erase", "lift", *SUBJECT).returncode == 4


def test_what_is_refused_and_how(run: Run, scratch: Scratch) -> None:
    """One line each with the way out: no terminal, no subject, no login that may delete history, no key."""
    for code, said, words, environment in (
        (5, "say --yes", SUBJECT, {}),
        (2, "say --tenant NAME and --subject", ("-t", "acme"), {}),
        (2, "write email:ANN@X.COM", ("-t", "acme", "--subject", "ann", "--yes"), {}),
        (5, "pay-ready migrate --erasure-login NAME", (*SUBJECT, "--yes"), {"PAY_READY_ERASURE_DATABASE_URL": ""}),
        (5, "pay-ready migrate --erasure-login NAME", (*SUBJECT, "--yes"), {"PAY_READY_ERASURE_DATABASE_URL": scratch.app_url}),
        (1, "pay-ready keys generate", (*SUBJECT, "--yes"), {"PAY_READY_SECRET_KEY_FILE": ""}),
        (4, "no such tenant", ("-t", "nobody", "--subject", f"email:{EMAIL}", "--yes"), {}),
    ):
        done = run("erase", *words, **environment)
        assert (done.returncode, said in done.stderr, len(done.stderr.splitlines())) == (code, True, 1), done.stderr
        assert EMAIL not in done.stderr


def test_a_login_for_erasing_is_made_and_doctor_knows_it(run: Run, scratch: Scratch) -> None:
    """`migrate --erasure-login` prints the URL to set once; doctor says whether there is one."""
    made = run("migrate", "--erasure-login", "erase_test_login")
    try:
        assert "PAY_READY_ERASURE_DATABASE_URL=postgresql://erase_test_login:" in made.stderr
        states = {each["check"]: each["state"] for each in data_of(run("doctor", "--json"))}
        assert states["erasure login"] == "ok"
        without = {each["check"]: each["state"] for each in data_of(run("doctor", "--json", PAY_READY_ERASURE_DATABASE_URL=""))}
        assert without["erasure login"] == "warn"
    finally:
        import psycopg

        with psycopg.connect(scratch.admin_url, autocommit=True) as admin:
            admin.execute("drop role if exists erase_test_login")
