"""Ended at any point, by kill -9 or Ctrl-C, a run's job is found again by the next one: Airbyte started one job, and one only."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest

from pay_ready.db import sources
from pay_ready.db.tenancy import Database
from pay_ready.model.ids import TenantId
from pay_ready.pipeline.airbyte.job import PlatformJob, run_job
from tests.airbyte_simulator.platform import Life
from tests.airbyte_simulator.server import AirbyteSimulator
from tests.airbyte_support import QUICK_JOB, airbyte_source, client_of
from tests.conftest import Scratch
from tests.faults import children
from tests.faults.platform_child import JobRun, run_one


@pytest.fixture
def simulator() -> Iterator[AirbyteSimulator]:
    """A server that outlives the runs; its jobs run until they are ended."""
    with AirbyteSimulator() as simulator:
        simulator.platform.default_life = Life(statuses=("running",))
        yield simulator


@pytest.fixture
def child(database: Database, tenant: TenantId, scratch: Scratch, simulator: AirbyteSimulator) -> JobRun:
    """A run in a process of its own that nobody ends."""
    airbyte_source(database, tenant)
    connection = simulator.platform.add_connection().connection_id
    return JobRun(
        app_url=scratch.app_url, tenant=tenant, airbyte_url=simulator.url, credentials=simulator.credentials, connection_id=connection
    )


@pytest.fixture
def rerun(database: Database, tenant: TenantId, child: JobRun, simulator: AirbyteSimulator) -> Callable[[], PlatformJob]:
    """The next run, in this process."""

    def go() -> PlatformJob:
        with database.tenant_transaction(tenant) as tx:
            source = sources.require(tx, "crm")
        return run_job(database, tenant, source, lambda: client_of(simulator), child.connection_id, options=QUICK_JOB)

    return go


def started(run: JobRun) -> Any:
    """The process."""
    return children.started(run_one, run)


def wait_until(what: Callable[[], object], process: Any) -> None:
    """Until it is so; the process must live so long."""
    until = time.monotonic() + 60
    while not what():
        assert process.is_alive()
        assert time.monotonic() < until
        time.sleep(0.01)


def stored(scratch: Scratch) -> list[tuple[Any, ...]]:
    """Job, outcome and origin of every request."""
    with psycopg.connect(scratch.admin_url) as admin:
        return admin.execute("select job_id, outcome, started_by_us from pay_ready.platform_jobs order by requested_at").fetchall()


@pytest.mark.parametrize("meanwhile", ["runs", "ends"])
@pytest.mark.parametrize(
    ("point", "left", "by_us"),
    [
        ("platform.after_post", (None, None, False), False),
        ("platform.after_id_stored", (41, None, True), True),
        ("platform.in_poll", (41, None, True), True),
    ],
)
def test_a_kill_after_the_request_starts_no_second_job(
    meanwhile: str, point: str, left: tuple[Any, ...], by_us: bool, child: JobRun, rerun: Callable[[], PlatformJob],
    simulator: AirbyteSimulator, scratch: Scratch,
) -> None:  # fmt: skip
    """Whether the id was stored or not, and whether the job still runs or has ended by then: it is adopted."""
    process = started(replace(child, failpoint=point))
    process.join(60)
    assert process.exitcode == -signal.SIGKILL
    assert stored(scratch) == [left]
    if meanwhile == "ends":
        simulator.platform.end(41)
    else:
        simulator.platform.jobs[41].life = Life(statuses=("running", "running", "succeeded"))
    job = rerun()
    assert (job.job_id, job.outcome, job.adopted, job.started_by_us) == (41, "succeeded", True, by_us)
    assert [each.job_id for each in simulator.started] == [41]
    assert len(simulator.requests("POST", "/jobs")) == 1
    assert stored(scratch) == [(41, "succeeded", by_us)]


def test_a_kill_before_the_request_starts_one_job(
    child: JobRun, rerun: Callable[[], PlatformJob], simulator: AirbyteSimulator, scratch: Scratch
) -> None:
    """The request is stored and was never sent: the next run notes that and starts a job. An older job is not taken for it."""
    old = simulator.platform.start_job(child.connection_id, "sync", started_by="schedule")
    simulator.platform.end(old.job_id)
    simulator.platform.default_life = Life()
    process = started(replace(child, failpoint="platform.before_post"))
    process.join(60)
    assert process.exitcode == -signal.SIGKILL
    assert stored(scratch) == [(None, None, False)]
    job = rerun()
    assert (job.job_id, job.adopted) == (42, False)
    assert [each.job_id for each in simulator.started] == [42]
    assert stored(scratch) == [(None, "not_started", False), (42, "succeeded", True)]


def test_a_kill_while_the_answer_is_awaited(child: JobRun, rerun: Callable[[], PlatformJob], simulator: AirbyteSimulator) -> None:
    """Airbyte takes its time with the answer, the job runs already, the process dies: the job is adopted."""
    simulator.fail("late", method="POST", path="/jobs", delay_s=20.0)
    process = started(child)
    wait_until(lambda: simulator.started, process)
    os.kill(process.pid, signal.SIGKILL)
    process.join(60)
    simulator.platform.jobs[41].life = Life(statuses=("running", "succeeded"))
    job = rerun()
    assert (job.job_id, job.outcome, job.adopted) == (41, "succeeded", True)
    assert len(simulator.started) == 1


def test_ctrl_c_leaves_the_job_running(
    child: JobRun, rerun: Callable[[], PlatformJob], simulator: AirbyteSimulator, scratch: Scratch, tmp_path: Path
) -> None:
    """Interrupted while it watches: nothing is cancelled, the lease is given back, no credential is printed, and the next run adopts."""
    process = started(replace(child, errors=tmp_path / "errors"))
    wait_until(lambda: len(simulator.requests("GET", r"/jobs/41")) >= 2, process)
    os.kill(process.pid, signal.SIGINT)
    process.join(60)
    assert process.exitcode == 1
    printed = (tmp_path / "errors").read_text()
    assert "KeyboardInterrupt" in printed
    assert "canary" not in printed
    assert "Unclosed" not in printed
    with psycopg.connect(scratch.admin_url) as admin:
        assert admin.execute("select count(*) from pay_ready.leases").fetchone() == (0,)
    assert not simulator.requests("DELETE")
    simulator.platform.end(41)
    job = rerun()
    assert (job.job_id, job.outcome, job.adopted, job.started_by_us) == (41, "succeeded", True, True)
    assert len(simulator.started) == 1
