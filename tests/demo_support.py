"""The demo, run twice on a database of its own, once for all workers of a run; nothing that is asked of it afterwards changes it."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import psycopg

from tests.command_support import EMBEDS, called
from tests.conftest import Scratch, Server, on_database, only_one


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoRuns:
    """The demo run twice on a database of its own: what each run printed, and what stood after it."""

    more: ClassVar[Mapping[str, str]] = {}  # variables of its commands
    admin_url: str
    first: "subprocess.CompletedProcess[str]"
    again: "subprocess.CompletedProcess[str]"
    stood: dict[str, int]
    stood_again: dict[str, int]
    scratch: Scratch
    folder: Path

    @property
    def environment(self) -> dict[str, str]:
        """Of a process that works on it."""
        return {"PATH": os.environ["PATH"], **EMBEDS, **_places(self.scratch, self.folder)}

    def command(self, *words: str, code: int = 0, typed: str = "") -> "subprocess.CompletedProcess[str]":
        """A command about what the demo left."""
        done = called(words, {**_places(self.scratch, self.folder), **self.more}, self.folder, typed)
        assert done.returncode == code, done.stderr
        return done


def _run(scratch: Scratch, folder: Path) -> "subprocess.CompletedProcess[str]":
    environment = {"PATH": os.environ["PATH"], **EMBEDS, **_places(scratch, folder)}
    command = [sys.executable, "-m", "pay_ready.cli.main", "demo"]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done


def _places(scratch: Scratch, folder: Path) -> dict[str, str]:
    return {
        "HOME": str(folder), "PAY_READY_HOME": str(folder / "state"), "PAY_READY_DATABASE_URL": scratch.app_url,
        "PAY_READY_ADMIN_DATABASE_URL": scratch.admin_url,
    }  # fmt: skip


def standing(admin_url: str) -> dict[str, int]:
    """Rows of every table that holds results; one more anywhere would be a change."""
    tables = ("landed_records", "person_records", "company_records", "interaction_records", "interaction_turns", "assignments",
              "entity_versions", "entities", "entity_changes", "resolution_runs", "quarantined_records", "checkpoints")  # fmt: skip
    with psycopg.connect(admin_url) as connection:
        return {table: connection.execute(f"select count(*) from pay_ready.{table}").fetchone()[0] for table in tables}  # type: ignore[index]


def demo_runs(server: Server, template: str, run_folder: Path) -> DemoRuns:
    """Both runs; some twenty seconds, once for all workers. Nothing that is asked of it afterwards changes it."""
    folder, kept = run_folder / "demo", run_folder / "demo" / "runs.json"
    scratch = Scratch(**{
        f"{login}_url": on_database(getattr(server, f"{login}_url"), "demo") for login in ("admin", "app", "erasure")
    })  # fmt: skip
    with only_one(run_folder / "demo.lock"):
        if not kept.exists():
            folder.mkdir()
            with psycopg.connect(server.admin_url, autocommit=True) as admin:
                admin.execute(f"create database demo template {template}")  # type: ignore[arg-type]
            runs = [(_run(scratch, folder), standing(scratch.admin_url)) for _ in range(2)]
            kept.write_text(json.dumps([(done.stdout, done.stderr, stood) for done, stood in runs]))
    (out, err, stood), (out_again, err_again, stood_again) = json.loads(kept.read_text())
    return DemoRuns(
        admin_url=scratch.admin_url, first=subprocess.CompletedProcess("demo", 0, out, err),
        again=subprocess.CompletedProcess("demo", 0, out_again, err_again), stood=stood, stood_again=stood_again, scratch=scratch,
        folder=folder,
    )  # fmt: skip
