"""Ctrl-C and a reader who has seen enough: said in a line, nothing lost, and the same command goes on."""

import os
import signal
import subprocess
import sys
from pathlib import Path

from tests.command_support import EMBEDS
from tests.conftest import Scratch


def environment(scratch: Scratch, folder: Path) -> dict[str, str]:
    """A clean one, on a database of this test's own."""
    return {
        **EMBEDS, "PATH": os.environ["PATH"], "HOME": str(folder), "PAY_READY_HOME": str(folder / "state"),
        "PAY_READY_DATABASE_URL": scratch.app_url, "PAY_READY_ADMIN_DATABASE_URL": scratch.admin_url,
    }  # fmt: skip


def test_an_interrupted_run_goes_on_from_there(scratch: Scratch, tmp_path: Path) -> None:
    """Exit 130 and what to do; the rerun completes."""
    command = [sys.executable, "-m", "pay_ready.cli.main", "demo"]
    with subprocess.Popen(
        command, env=environment(scratch, tmp_path), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as running:
        assert running.stderr is not None
        for line in running.stderr:
            if line.startswith("sync "):
                running.send_signal(signal.SIGINT)
                break
        _, said = running.communicate(timeout=60)
    assert running.returncode == 130, said
    assert "interrupted - what is committed stays; the same command goes on from there" in said
    assert "Traceback" not in said
    again = subprocess.run(command, env=environment(scratch, tmp_path), capture_output=True, text=True, check=False)
    assert again.returncode == 0, again.stderr


def test_a_reader_who_has_seen_enough_is_no_error(scratch: Scratch, tmp_path: Path) -> None:
    """`pay-ready … | head -1` ends quietly."""
    pipeline = f"set -o pipefail; {sys.executable} -m pay_ready.cli.main doctor | head -1 > /dev/null"
    done = subprocess.run(["bash", "-c", pipeline], env=environment(scratch, tmp_path), capture_output=True, text=True, check=False)
    assert done.stderr == ""
    assert done.returncode == 0
