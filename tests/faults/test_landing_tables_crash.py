"""kill -9 while a destination's table is read: the rerun ends in what the table holds, nothing lost, nothing dropped that is there.

PAY_READY_CRASH_SAMPLES sets how many message indices are tried for each kind of reading (3; 60 under `make test-deep`).
"""

import os
import random
from dataclasses import replace
from typing import Any

import psycopg
import pytest

from pay_ready.db.tenancy import Database
from pay_ready.model.ids import TenantId
from tests.airbyte_simulator.destination import SimulatedStream
from tests.conftest import Scratch
from tests.faults.children import ended
from tests.faults.tables_child import TablesJob, read_tables
from tests.tables_support import COLUMNS, Reader, expected, moment, people, table_stream

SAMPLES = int(os.environ.get("PAY_READY_CRASH_SAMPLES") or ("60" if os.environ.get("PAY_READY_TEST_DEEP") == "1" else "3"))
SEED = 20261125
ROWS = 3_000


def run(job: TablesJob) -> int:
    """Run it in a process of its own; its exit code."""
    return ended(read_tables, job)


def fill(simulated: SimulatedStream, job: int, rows: int) -> None:
    """That many rows of a job, in one statement."""
    simulated.execute(
        "insert into {} select n, n, 'Ann', gen_random_uuid(), timestamptz '2026-11-01' + n * interval '1 ms',"
        " jsonb_build_object('sync_id', %s::bigint, 'changes', '[]'::jsonb), 1 from generate_series(1, %s) as n",
        job, rows,
    )  # fmt: skip


@pytest.mark.timeout(3_600)
@pytest.mark.parametrize("mode", ["append", "overwrite"])
def test_a_kill_in_mid_read_leaves_no_trace(mode: Any, database: Database, tenant: TenantId, scratch: Scratch) -> None:
    """Killed at a message, by the process's own hand: the rerun goes on after the last state, or begins a refresh anew."""
    chance = random.Random(SEED)
    for number, index in enumerate([0, ROWS - 1, *(chance.randrange(ROWS) for _ in range(SAMPLES))][: max(SAMPLES, 2)]):
        reader = Reader(database=database, tenant=tenant, url=scratch.admin_url, admin_url=scratch.admin_url, source=f"crm{number}").add()
        simulated = SimulatedStream(url=scratch.admin_url, name=f"people{number}", columns=dict(COLUMNS), mode=mode)
        if mode == "overwrite":
            simulated.run(1, [*people(1, 60), *people(ROWS + 1, ROWS + 5)], at=moment(0))
            reader.sync(simulated, upto=1)
            simulated.run(2, [])
        fill(simulated, 2, ROWS)
        job = TablesJob(
            app_url=scratch.app_url, tenant=tenant, source=reader.source, destination_url=scratch.admin_url,
            stream=table_stream(simulated), upto_sync=2,
        )  # fmt: skip
        assert run(replace(job, kill_at=index)) == -9, index
        landed = reader.landed(simulated.name)
        assert mode == "append" or set(map(str, range(ROWS + 1, ROWS + 6))) <= set(landed), index
        assert run(job) == 0, index
        assert reader.landed(simulated.name) == expected(simulated), index
        assert _repeated(scratch, simulated.name) == 0 or mode == "overwrite", index


@pytest.mark.parametrize("point", ["land.before_commit", "land.after_commit"])
def test_a_kill_around_a_commit(point: str, database: Database, tenant: TenantId, scratch: Scratch) -> None:
    """The mark moves with the rows: killed before the commit neither is there, after it both are, and no row is read twice."""
    reader = Reader(database=database, tenant=tenant, url=scratch.admin_url, admin_url=scratch.admin_url).add()
    simulated = SimulatedStream(url=scratch.admin_url, name="people", columns=dict(COLUMNS))
    fill(simulated, 1, ROWS)
    job = TablesJob(
        app_url=scratch.app_url, tenant=tenant, source="crm", destination_url=scratch.admin_url, stream=table_stream(simulated), upto_sync=1
    )
    assert run(replace(job, failpoint=point)) == -9
    assert (len(reader.landed()) > 0) == (point == "land.after_commit")
    assert run(job) == 0
    assert reader.landed() == expected(simulated)
    assert _repeated(scratch, "people") == 0


def _repeated(scratch: Scratch, stream: str) -> int:
    """Records that were read more than once."""
    with psycopg.connect(scratch.admin_url) as connection:
        found = connection.execute("select sum(unchanged) from pay_ready.stream_runs where stream = %s", (stream,)).fetchone()
    return int(found[0]) if found else 0
