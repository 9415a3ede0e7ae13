"""The crash rule for backfills: kill -9 anywhere, the same command again, and what stands equals an uninterrupted run's."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest

from pay_ready.db.tenancy import Database
from pay_ready.failpoints import FailpointMode
from pay_ready.model.ids import TenantId
from tests.backfill_support import add_crm, row, seen, tenant_work
from tests.canonical_dump import EXCLUDED, canonical_dump
from tests.conftest import Scratch
from tests.faults.backfill_child import Job, backfill
from tests.faults.children import ended

LEDGER = (
    "backfill_runs", "backfill_states", "backfill_batches", "backfill_plans", "landing_batches", "stream_runs", "sync_runs",
    "tenant_counters", "leases", "person_records", "shadowed_person_records", "step_runs",
)  # fmt: skip
# Where a run ends: between a chunk's commits, in the transaction that closes it, after it, in staging; more in deep runs.
POINTS = ("land.after_commit", "backfill.before_end", "stage.before_commit")
IN_THE_CHUNK = ("land.", "backfill.before_end")
if os.environ.get("PAY_READY_TEST_DEEP") == "1":
    POINTS += (
        "land.before_commit",
        "backfill.chunk_ended",
        "land.after_states",
        "land.after_rows",
        "stage.rows_written",
        "stage.after_commit",
    )


@pytest.fixture
def job(database: Database, tenant: TenantId, scratch: Scratch, tmp_path: Path) -> Job:
    """A backfill of 40 people, every two hours one; a state every five."""
    work = tenant_work(database, tenant, tmp_path, replay=True)
    exports = tmp_path / "exports"
    exports.mkdir()
    add_crm(work, {"path": str(exports), "checkpoint_every": 5}, replay=True)
    (exports / "people.jsonl").write_text("".join(f"{line}\n" for line in lines(40)))
    return Job(app_url=scratch.app_url, tenant=tenant, folder=tmp_path)


def lines(count: int) -> Iterator[str]:
    """Rows of the export file."""
    for number in range(count):
        yield json.dumps(row(number, number * 2.0))


def run(job: Job) -> int:
    """Run it in a process of its own; its exit code."""
    return ended(backfill, job)


def emptied(scratch: Scratch) -> None:
    """Take everything away but the source."""
    with psycopg.connect(scratch.admin_url) as connection:
        connection.execute("set session_replication_role = replica")
        for table in [*EXCLUDED, *LEDGER]:
            connection.execute(f"delete from pay_ready.{table}".encode())


def dump(scratch: Scratch) -> tuple[str, object]:
    """What is landed, and what is staged of it."""
    staged = seen(scratch.admin_url, "select record_id, content_hash from pay_ready.person_records order by 1")
    return without_times(canonical_dump(scratch.admin_url)), staged


def without_times(text: str) -> str:
    """The replay source reads its rows now: the moment of that is left out."""
    return re.sub(r"2\d\d\d-\d\d-\d\d \d\d:\d\d:\d\d\.?\d*\+\d\d(?=\t)", "then", text)


def test_a_kill_in_a_chunk_leaves_no_trace(job: Job, scratch: Scratch) -> None:
    """Killed in the second chunk between any two of its steps, or in staging; the same command completes that plan.

    One test over all points: what each is compared with is made once.
    """
    assert run(job) == 0
    expected = dump(scratch)
    assert len(seen(scratch.admin_url, "select from pay_ready.landed_records")) == 36
    wrong = []
    for point in POINTS:
        emptied(scratch)
        assert run(replace(job, failpoint=point)) == -9, point
        ((plan, status),) = seen(scratch.admin_url, "select plan_id, status from pay_ready.backfill_plans")
        assert status == "running", point
        statuses = seen(scratch.admin_url, "select status from pay_ready.backfill_batches order by chunk_start")
        assert ("complete",) in statuses, point
        assert run(job) == 0, point
        assert seen(scratch.admin_url, "select plan_id, status from pay_ready.backfill_plans") == [(plan, "complete")], point
        attempts = seen(scratch.admin_url, "select attempts from pay_ready.backfill_batches order by chunk_start")
        again = [(1,), (2,), (1,)] if point.startswith(IN_THE_CHUNK) else [(1,), (1,), (1,)]
        if dump(scratch) != expected or attempts != again:
            wrong.append((point, attempts))
        assert seen(scratch.admin_url, "select from pay_ready.backfill_states") == [], point
    assert wrong == []


def test_a_kill_of_several_readers_leaves_no_trace(job: Job, scratch: Scratch) -> None:
    """Killed while three chunks are read at once; the same command completes the plan, and what stands is what one reader makes."""
    assert run(job) == 0
    expected = dump(scratch)
    for point in (*POINTS, "land.before_commit"):
        emptied(scratch)
        assert run(replace(job, failpoint=point, readers=3, after_chunks=0)) == -9, point
        assert run(replace(job, readers=3)) == 0, point
        assert seen(scratch.admin_url, "select status from pay_ready.backfill_plans") == [("complete",)], point
        assert dump(scratch) == expected, point
        assert seen(scratch.admin_url, "select from pay_ready.backfill_states") == [], point


@pytest.mark.parametrize("mode", ["kill", "raise"])
def test_an_end_right_after_the_plan_is_kept(job: Job, scratch: Scratch, mode: FailpointMode) -> None:
    """The rerun finds the plan and makes no second one."""
    assert run(replace(job, failpoint="backfill.plan_kept", mode=mode, after_chunks=0)) == (-9 if mode == "kill" else 1)
    assert run(job) == 0
    assert seen(scratch.admin_url, "select status from pay_ready.backfill_plans") == [("complete",)]


def test_a_chunk_that_a_live_sync_found_dead_is_taken_up_again(job: Job, scratch: Scratch) -> None:
    """Killed in a chunk; a whole chunk of another plan runs; the first plan then goes on from its own scratch state."""
    assert run(replace(job, failpoint="land.after_commit")) == -9
    kept = seen(scratch.admin_url, "select scratch from pay_ready.backfill_states")
    assert kept
    assert run(job) == 0
    runs = seen(scratch.admin_url, "select status, error_class from pay_ready.sync_runs order by run_id")
    assert runs == [("complete", None), ("aborted", "Abandoned"), ("complete", None), ("complete", None)]


@pytest.mark.parametrize("readers", [1, 3])
def test_ctrl_c_ends_with_130_and_the_same_command_goes_on(scratch: Scratch, tmp_path: Path, readers: int) -> None:
    """SIGINT in the middle of a chunk, or of several: said in a line, the plan is resumed by name, nothing is there twice."""
    environment = {
        "PATH": os.environ["PATH"], "HOME": str(tmp_path), "PAY_READY_HOME": str(tmp_path / "state"),
        "PAY_READY_DATABASE_URL": scratch.app_url, "PAY_READY_ADMIN_DATABASE_URL": scratch.admin_url,
    }  # fmt: skip
    command = [sys.executable, "-m", "pay_ready.cli.main"]
    exports = tmp_path / "exports"
    exports.mkdir()
    contact = {"archived": False, "properties": {"email": "a@customer.example"}}
    rows = ({"id": str(number), "updatedAt": row(number, number * 2.0)["updated_at"], **contact} for number in range(40))
    (exports / "contacts.jsonl").write_text("".join(json.dumps(each) + "\n" for each in rows))
    for words in (["tenants", "create", "acme"], ["sources", "add", "-t", "acme", "crm", "--kind", "hubspot", "--replay", str(exports)]):
        subprocess.run([*command, *words], env=environment, check=True, capture_output=True)
    wanted = [*command, "backfill", "-t", "acme", "-s", "crm", "--from", "2026-01-01", "--to", "2026-01-04", "--max-active", str(readers)]
    with subprocess.Popen(wanted, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running:
        while not seen(scratch.admin_url, "select from pay_ready.sync_runs"):
            assert running.poll() is None
        running.send_signal(signal.SIGINT)
        _, said = running.communicate(timeout=60)
    assert running.returncode == 130, said
    assert "interrupted - what is committed stays; the same command goes on from there" in said
    assert "Traceback" not in said
    statuses = [status for (status,) in seen(scratch.admin_url, "select status from pay_ready.backfill_batches order by chunk_start")]
    complete = statuses.count("complete")
    assert complete < 3
    assert seen(scratch.admin_url, "select count(*) from pay_ready.leases") == [(0,)]
    again = subprocess.run(wanted, env=environment, capture_output=True, text=True, check=False)
    assert again.returncode == 0, again.stderr
    assert "resumed plan" in again.stderr
    assert f"{complete} of 3 chunks are complete, it goes on at 2026-01-0" in again.stderr
    if readers == 1:
        assert f"it goes on at 2026-01-0{complete + 1}" in again.stderr
    assert seen(scratch.admin_url, "select count(*), count(distinct record_key) from pay_ready.landed_records") == [(36, 36)]
