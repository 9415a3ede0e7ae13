"""`pay-ready run tenants`: a step for many tenants at once, in processes of their own."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from pay_ready.cli.side_by_side import side_by_side
from pay_ready.model.progress import ProgressEvent, no_progress
from tests.command_support import called
from tests.conftest import Scratch
from tests.end_to_end.test_command_line import Run, data_of, run  # noqa: F401 - the fixture
from tests.end_to_end.test_interrupt import environment


@pytest.fixture
def tenants(run: Run, tmp_path: Path) -> list[str]:  # noqa: F811
    """Three tenants with a source each; the files of the last are gone."""
    slugs = ["acme", "globex", "initech"]
    for slug in slugs:
        folder = tmp_path / slug
        folder.mkdir()
        row = {"id": "1", "createdAt": "2025-01-01T00:00:00Z", "updatedAt": "2026-01-01T00:00:00Z", "archived": False,
               "properties": {"email": f"ann@{slug}.example", "lastname": "Bell"}}  # fmt: skip
        (folder / "contacts.jsonl").write_text(json.dumps(row) + "\n")
        data_of(run("tenants", "create", slug, "--json"))
        data_of(run("sources", "add", "-t", slug, "crm", "--kind", "hubspot", "--replay", str(folder), "--json"))
    (tmp_path / "initech" / "contacts.jsonl").unlink()
    return slugs


def test_one_that_fails_keeps_nobody_else_up(run: Run, tenants: list[str]) -> None:  # noqa: F811
    """All active tenants, two at once: two are synced, the third says why not; exit 3, and the command that tries it again."""
    done = run("run", "tenants", "sync", "--jobs", "2", "--json")
    assert done.returncode == 3, done.stderr
    ends = json.loads(done.stdout)["data"]
    assert [(each["tenant"], each["exit_code"] == 0) for each in ends] == [("acme", True), ("globex", True), ("initech", False)]
    assert [each["report"][0]["streams"][0]["landed"] for each in ends[:2]] == [1, 1]
    assert ends[2]["said"].startswith("error: ")
    assert "again: pay-ready run tenants sync -t initech" in done.stderr
    other = data_of(run("run", "tenants", "sync", "-t", "acme", "--json", "--", "--tenant", "initech"))
    assert [(each["tenant"], each["exit_code"]) for each in other] == [("acme", 0)]  # nobody else's, whatever the options say
    shown = run("run", "tenants", "stage", "-t", "acme", "-t", "globex", "--", "--source", "crm")
    assert shown.returncode == 0, shown.stderr
    assert "stage: 2 of 2 tenants are done" in shown.stdout
    assert "stage tenants: 2 of 2" in shown.stderr


def test_a_code_that_all_share_is_the_code(run: Run, tenants: list[str], scratch: Scratch, tmp_path: Path) -> None:  # noqa: F811
    """Each refuses its option with 2, and so does the whole; of a tenant that there is not, 4."""
    assert run("run", "tenants", "resolve", "-t", "acme", "-t", "globex", "--", "--config", "x.toml").returncode == 2
    assert run("run", "tenants", "resolve", "-t", "nobody").returncode == 4
    assert run("run", "tenants", "rollback").returncode == 2
    refused = called(["run", "tenants", "sync"], {"PAY_READY_DATABASE_URL": scratch.app_url, "PAY_READY_HOME": str(tmp_path)}, tmp_path)
    assert (refused.returncode, refused.stderr.count("\n")) == (2, 1)
    assert "name them with --tenant" in refused.stderr


def test_no_more_than_so_many_at_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Seven tenants, three at once: every process notes how many there are beside it."""
    log = tmp_path / "log"
    script = tmp_path / "step"
    script.write_text(
        f"#!{sys.executable}\nimport os, time\n"
        f"def note(word):\n    f = os.open({str(log)!r}, os.O_WRONLY | os.O_APPEND | os.O_CREAT)\n    os.write(f, word)\n"
        "note(b'+')\ntime.sleep(0.3)\nnote(b'-')\nprint('{\"data\": 1}')\n"
    )
    script.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(script))
    events: list[ProgressEvent] = []
    ends = side_by_side("sync", [f"t{number}" for number in range(7)], (), 3, events.append)
    assert [(each.tenant, each.exit_code, each.report) for each in ends] == [(f"t{number}", 0, 1) for number in range(7)]
    assert [(each.done, each.total) for each in events] == [(number + 1, 7) for number in range(7)]
    there, most = 0, 0
    for sign in log.read_text():
        there += 1 if sign == "+" else -1
        most = max(most, there)
    assert most == 3


def test_a_killed_process_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What it had printed is cut off: no report, and the code of a shell."""
    script = tmp_path / "step"
    script.write_text(f"#!{sys.executable}\nimport os\nprint('{{', flush=True)\nos.kill(os.getpid(), 9)\n")
    script.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(script))
    (end,) = side_by_side("sync", ["acme"], (), 1, no_progress)
    assert (end.exit_code, end.report) == (137, None)


def test_ctrl_c_ends_them_all(scratch: Scratch, tmp_path: Path, tenants: list[str]) -> None:
    """Exit 130, and no process of a step goes on."""
    command = [sys.executable, "-m", "pay_ready.cli.main", "run", "tenants", "etl", "-t", "acme", "-t", "globex", "--jobs", "1"]
    held = tmp_path / "held"
    held.touch()
    holding = {"PAY_READY_FAILPOINTS": "land.after_commit=hold", "PAY_READY_FAILPOINTS_HOLD": str(held)}
    with subprocess.Popen(command, env={**environment(scratch, tmp_path), **holding}, stderr=subprocess.PIPE, text=True) as running:
        children = Path(f"/proc/{running.pid}/task/{running.pid}/children")
        while not children.read_text().split():
            assert running.poll() is None
        (child,) = children.read_text().split()
        running.send_signal(signal.SIGINT)
        _, said = running.communicate(timeout=60)
    assert running.returncode == 130, said
    assert "interrupted" in said
    with pytest.raises(ProcessLookupError):
        os.kill(int(child), 0)
