"""The crash rule: kill -9 anywhere, run again, and what is landed equals an uninterrupted run's byte for byte.

PAY_READY_CRASH_SAMPLES sets how many message indices are tried (10; 200 under `make test-deep`), PAY_READY_CRASH_SEED which.
"""

import os
import random
import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest

from pay_ready.db.tenancy import Database
from pay_ready.model.ids import TenantId
from pay_ready.pipeline.land.sync import sync_source
from tests.canonical_dump import EXCLUDED, canonical_dump
from tests.conftest import Scratch
from tests.faults.children import ended
from tests.faults.landing_child import Job, land
from tests.landing_support import QUICK, Script, add_source, catalog, complete, record, state

SAMPLES = int(os.environ.get("PAY_READY_CRASH_SAMPLES") or ("200" if os.environ.get("PAY_READY_TEST_DEEP") == "1" else "10"))
SEED = int(os.environ.get("PAY_READY_CRASH_SEED", "20261121"))

INCREMENTAL: Mapping[str, Any] = {
    "streams": {"people": 2_000, "companies": 1_000}, "state_every": 70, "interleave": True, "duplicate_every": 50,
}  # fmt: skip
# The configuration, how its streams are read, and how many messages that makes.
SHAPES: Mapping[str, tuple[Mapping[str, Any], Mapping[str, Any], int]] = {
    "incremental": (INCREMENTAL, {}, 3_110),
    "global": ({**INCREMENTAL, "state_type": "GLOBAL"}, {}, 3_110),
    "refresh": ({**INCREMENTAL, "state_every": 0}, {"sync_mode": "full_refresh", "destination_sync_mode": "overwrite"}, 3_066),
}


@pytest.fixture
def job(database: Database, tenant: TenantId, scratch: Scratch, tmp_path: Path) -> Job:
    """A run of the scripted source, uninterrupted."""
    return Job(app_url=scratch.app_url, tenant=tenant, config={}, choice={}, home=tmp_path)


def run(job: Job) -> int:
    """Run it in a process of its own; its exit code."""
    return ended(land, job)


def emptied(scratch: Scratch) -> None:
    """Take everything landed away; the source stays."""
    tables = [*EXCLUDED, "landing_batches", "stream_runs", "sync_runs", "tenant_counters", "leases"]
    with psycopg.connect(scratch.admin_url) as connection:
        connection.execute("set session_replication_role = replica")
        for table in tables:
            connection.execute(f"delete from pay_ready.{table}".encode())


def indices(samples: int, messages: int) -> list[int]:
    """The last and the first message, and a seeded sample of those between."""
    return [messages - 1, 0, *random.Random(SEED).sample(range(1, messages - 1), samples)][:samples]


@pytest.mark.timeout(3_600)
@pytest.mark.parametrize("shape", SHAPES)
def test_a_kill_at_any_message_leaves_no_trace(shape: str, job: Job, database: Database, scratch: Scratch) -> None:
    """Killed at a message, connector and all; run again; the dump equals that of the run that nobody killed."""
    config, choice, messages = SHAPES[shape]
    add_source(database, job.tenant, settings=config)
    whole = replace(job, config=config, choice=choice)
    assert run(whole) == 0
    restarts = shape == "refresh"
    expected = canonical_dump(scratch.admin_url, restarts=restarts)
    share = SAMPLES if shape == "incremental" else max(SAMPLES // 8, 3)
    sys.stdout.write(f"{shape}: seed {SEED}, {share} of {messages} message indices\n")
    wrong = []
    for index in indices(share, messages):
        emptied(scratch)
        assert run(replace(whole, kill_at=index)) == -9, index
        assert run(whole) == 0, index
        if canonical_dump(scratch.admin_url, restarts=restarts) != expected:
            wrong.append(index)
    assert wrong == []


@pytest.mark.parametrize("mode", ["kill", "raise"])
@pytest.mark.parametrize("point", ["land.after_states", "land.after_rows", "land.before_commit", "land.after_commit"])
def test_an_end_inside_the_transaction_leaves_no_trace(point: str, mode: Any, job: Job, database: Database, scratch: Scratch) -> None:
    """Ended between any two steps of a flush, or between its commit and our hearing of it."""
    config = {"streams": {"people": 400}, "state_every": 70}
    add_source(database, job.tenant, settings=config)
    whole = replace(job, config=config)
    assert run(whole) == 0
    expected = canonical_dump(scratch.admin_url)
    emptied(scratch)
    assert run(replace(whole, failpoint=point, mode=mode)) == (-9 if mode == "kill" else 1)
    assert run(whole) == 0
    assert canonical_dump(scratch.admin_url) == expected


def test_a_connection_cut_in_the_middle_is_taken_up_again(database: Database, tenant: TenantId, scratch: Scratch) -> None:
    """The server ends our sessions while a batch is on its way: the run goes on by itself, and nothing is there twice."""
    cuts = iter([True, False])

    def reading(start: int) -> Iterator[list[Any]]:
        for number in range(start, 600):
            yield [record({"id": number, "seq": number}), state(seq=number)]
            if number == 333 and next(cuts):
                with psycopg.connect(scratch.admin_url) as connection:
                    connection.execute(
                        "select pg_terminate_backend(pid) from pg_stat_activity"
                        " where datname = current_database() and pid <> pg_backend_pid()"
                    )
        yield [complete()]

    add_source(database, tenant)
    script = Script([reading(0), reading(0)])
    report = sync_source(database, tenant, "crm", script, catalog(), options=QUICK)
    assert report.status == "complete"
    with psycopg.connect(scratch.admin_url) as connection:
        assert connection.execute("select count(*), count(distinct record_key) from pay_ready.landed_records").fetchone() == (600, 600)
