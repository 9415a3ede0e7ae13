"""Reviewing as people do it, by keys on a terminal, and as programs do, by JSON."""

import fcntl
import io
import json
import os
import pty
import re
import select
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest

from pay_ready.cli.main import main
from pay_ready.model.ids import TenantId, tenant_id_of
from tests.conftest import Scratch, Server, cloned
from tests.publish_support import person_id, rows
from tests.review_support import PEOPLE, TWINS, resolved_template

Run = Callable[..., "Done"]
PROMPT = "? help > "


@pytest.fixture(scope="module")
def published(server: Server, template: str) -> Iterator[str]:
    """The database that tests are cloned from."""
    with resolved_template(server, template) as name:
        yield name


@pytest.fixture
def scratch(server: Server, published: str) -> Iterator[Scratch]:
    """A database with a resolved tenant of this test's own."""
    with cloned(server, published) as database:
        yield database


@pytest.fixture
def resolved() -> TenantId:
    """That tenant."""
    return tenant_id_of("pay_ready", "acme")


@pytest.fixture
def environment(scratch: Scratch, tmp_path: Path) -> Mapping[str, str]:
    """Of a reviewer named ann."""
    return {
        "PATH": os.environ["PATH"], "HOME": str(tmp_path), "PAY_READY_HOME": str(tmp_path / "state"), "LC_ALL": "C.UTF-8", "USER": "ann",
        "PAY_READY_TENANT": "acme", "PAY_READY_DATABASE_URL": scratch.app_url, "TERM": "dumb", "COLUMNS": "200",
        "PYTHONPATH": os.pathsep.join(sys.path),
    }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Done:
    """What a command printed, and how it ended."""

    code: int
    out: str
    err: str


@pytest.fixture
def run(environment: Mapping[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """`pay-ready review …` by some reviewer, in this process: a dozen commands start in no time."""

    def call(*words: str, given: str = "", **more: str) -> Done:
        with monkeypatch.context() as patched:
            for name, value in {**environment, **more}.items():
                patched.setenv(name, value)
            patched.setattr("sys.argv", ["pay-ready", "review", *words])
            patched.setattr("sys.stdin", io.StringIO(given))
            code = 0
            try:
                main()
            except SystemExit as end:
                code = int(end.code or 0)
        printed = capsys.readouterr()
        return Done(code, printed.out, printed.err)

    return call


def data_of(done: Done) -> Any:
    """What a --json command printed, which must have gone well."""
    assert done.code == 0, done.err
    return json.loads(done.out)["data"]


class Terminal:
    """A command on a terminal of its own."""

    def __init__(self, master: int) -> None:
        self._master = master
        self.text = ""

    def until(self, wanted: str, seconds: float = 60.0) -> str:
        """What comes up to some text."""
        start, end = len(self.text), time.monotonic() + seconds
        while wanted not in self.text[start:]:
            assert time.monotonic() < end, f"waited for {wanted!r}, saw {self.text[start:]!r}"
            if select.select([self._master], [], [], 0.2)[0]:
                self.text += os.read(self._master, 65_536).decode("utf-8", "replace")
        return self.text[start:]

    def press(self, keys: str, wanted: str = PROMPT) -> str:
        """Press keys, without Enter unless it is among them; what comes up to some text."""
        os.write(self._master, keys.encode())
        return self.until(wanted)


def _own_terminal() -> None:
    """Keys like Ctrl-C reach the process whose terminal it is."""
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


@contextmanager
def on_a_terminal(environment: Mapping[str, str], folder: Path, *words: str) -> Iterator[tuple[Terminal, "subprocess.Popen[bytes]"]]:
    """`pay-ready review …` with a terminal for input and output."""
    master, slave = pty.openpty()
    command = [sys.executable, "-m", "pay_ready.cli.main", "review", *words]
    process = subprocess.Popen(
        command,
        cwd=folder,
        env=dict(environment),
        stdin=slave,
        stdout=slave,
        stderr=slave,
        start_new_session=True,
        preexec_fn=_own_terminal,
    )
    os.close(slave)
    try:
        yield Terminal(master), process
    finally:
        process.kill()
        process.wait()
        os.close(master)


def test_a_session_by_single_keys(scratch: Scratch, resolved: TenantId, environment: Mapping[str, str], tmp_path: Path) -> None:
    """Every key on a real terminal: the answers are rows, z takes the last one back, a note is its reason, q gives the pair back."""
    leases = "select count(*) from pay_ready.review_leases where tenant_id = %(tenant)s"
    with on_a_terminal(environment, tmp_path, "next") as (terminal, process):
        shown = terminal.until(PROMPT)
        first = re.search(r"(\w+) ([0-9a-f-]{36}) and ([0-9a-f-]{36})", shown)
        assert first is not None
        assert "full name" in shown
        assert "before any evidence" in shown
        assert rows(scratch.admin_url, resolved, leases) == [(1,)]
        with psycopg.connect(scratch.admin_url) as admin:
            (row,) = admin.execute(
                "select count(*) from pg_stat_activity where datname = current_database() and backend_type = 'client backend'"
                " and pid <> pg_backend_pid()"
            ).fetchall()
        assert row[0] <= 2
        assert "take back your last answer" in terminal.press("?")
        assert "before any evidence" in terminal.press("w")
        assert "nothing to take back" in terminal.press("z")
        terminal.press("m", "note: ")
        terminal.press("father and son\n")
        second = terminal.press("n")
        assert "no_match" in second
        assert first[2] not in second.split("no_match", 1)[1]
        assert "taken back: no_match" in terminal.press("z")
        assert "match" in terminal.press("y")
        assert "unsure" in terminal.press("u")
        terminal.press(" ")
        assert "escalated" in terminal.press("e")
        assert "answered: 1 match, 2 unsure" in terminal.press("q", "next resolve on")
        assert process.wait(30) == 0
    told = "select verdict, status, reason, superseded_at is null from pay_ready.decisions where tenant_id = %(tenant)s order by made_at"
    assert rows(scratch.admin_url, resolved, told) == [
        ("no_match", "decided", "father and son", False), ("match", "decided", None, True), ("unsure", "decided", None, True),
        ("unsure", "escalated", None, True),
    ]  # fmt: skip
    assert rows(scratch.admin_url, resolved, leases) == [(0,)]


def test_an_interrupt_gives_the_pair_back(scratch: Scratch, resolved: TenantId, environment: Mapping[str, str], tmp_path: Path) -> None:
    """Ctrl-C at the prompt: exit 130, no lease left, and the terminal echoes again."""
    with on_a_terminal(environment, tmp_path, "next") as (terminal, process):
        terminal.until(PROMPT)
        terminal.press("\x03", "interrupted")
        assert process.wait(30) == 130
    assert rows(scratch.admin_url, resolved, "select count(*) from pay_ready.review_leases where tenant_id = %(tenant)s") == [(0,)]


def test_a_blind_session_shows_afterwards(scratch: Scratch, resolved: TenantId, environment: Mapping[str, str], tmp_path: Path) -> None:
    """No score before the answer, everything after it; two answers, two pairs."""
    blind = {**environment, "PAY_READY_REVIEW__BLIND": "true"}
    with on_a_terminal(blind, tmp_path, "next", "--limit", "1") as (terminal, process):
        shown = terminal.until(PROMPT)
        assert "blind review" in shown
        assert "before any evidence" not in shown
        assert "before any evidence" in terminal.press("u", "next resolve on")
        assert process.wait(30) == 0


def test_the_way_of_a_program(run: Run, resolved: TenantId) -> None:
    """Next, decide, list, undo, stats, auto: all as JSON; two reviewers; conflicts exit 6, a foreign id 4, a typing error 2."""
    one, other, third = (str(person_id(resolved, each.source, each.key)) for each in TWINS)
    (item,) = data_of(run("next", "--json"))
    assert {"pair", "fields", "evidence", "decisions", "leased_until"} <= item.keys()
    made = data_of(run("decide", one, other[:8], "no_match", "--reason", "two of them", "--json"))
    assert (made["verdict"], made["status"], made["is_new"]) == ("no_match", "decided", True)
    assert data_of(run("decide", one, other, "no_match", "--json"))["is_new"] is False
    refused = run("decide", one, other, "match", USER="bob")
    assert (refused.code, refused.err.count("\n")) == (6, 1)
    assert "by=ann" in refused.err
    assert "--overrule" in refused.err
    assert data_of(run("appeal", one, other, "--reason", "no", "--json", USER="bob"))["status"] == "appealed"
    overruled = data_of(run("decide", one, other, "match", "--overrule", "--reason", "one of them", "--json", USER="bob"))
    assert overruled["actor"] == "bob"
    data_of(run("decide", other, third, "match", "--json"))
    contradiction = run("decide", one, third, "no_match")
    assert contradiction.code == 6
    assert re.search(r"path=\w{8} = \w{8} \(\w+\) = \w{8} \(\w+\)", contradiction.err)
    listed = data_of(run("list", "--actor", "bob", "--json"))
    assert [each["decision_id"] for each in listed] == [overruled["decision_id"]]
    assert len(data_of(run("list", "--history", "--json"))) == 3
    assert data_of(run("list", "--entity", TWINS[0].email or "", "--json"))
    assert data_of(run("list", "--queue", "--json"))
    assert data_of(run("undo", "--last", "--dry-run", "--json"))["is_dry_run"] is True
    assert data_of(run("undo", "--last", "--json"))["decision"]["left_id"] in (other, third)
    assert data_of(run("escalate", other, third, "--json"))["status"] == "escalated"
    assert data_of(run("auto", "--dry-run", "--json"))["reviewer"] == "rules-1"
    stats = data_of(run("stats", "--json"))
    assert {each["actor"] for each in stats["counts"]} == {"ann", "bob"}
    assert "nobody" in run("decide", "0" * 32, other, "match").err
    assert run("decide", "0" * 32, other, "match").code == 4
    assert run("undo").code == 2
    assert run("list", "--queue", "--status", "open").code == 2


def test_people_read_tables(run: Run, resolved: TenantId) -> None:
    """Without --json: queue, decisions, figures, and answers line by line where there is no terminal."""
    assert "evidence" in run("list", "--queue").out or "uncertain" in run("list", "--queue").out
    session = run("next", "--limit", "2", given="y\nu\n")
    assert "2 answered: 1 match, 1 unsure" in session.out, session.err
    assert "not kept" not in session.out
    assert "ann" in run("list").out
    assert "looked at" in run("auto").out
    figures = run("stats").out
    assert "no pair was judged by both" in figures
    stranger = next(each.email for each in PEOPLE if each.email)
    by_name = run("decide", TWINS[0].email or "", stranger, "no_match")
    assert by_name.code == 0, by_name.err
    assert "kept: person" in by_name.out
    assert "pay-ready resolve -t acme" in by_name.err
