"""A connection is synced once, whoever asks and whatever breaks on the way; its job is watched to the end or left running."""

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import count, pairwise
from typing import Any

import psycopg
import pytest
from structlog.testing import capture_logs

from pay_ready.breaker import Breaker, BreakerOpenError, BreakerState
from pay_ready.db import breakers
from pay_ready.db.sources import DataSource
from pay_ready.db.tenancy import Database, PoolOptions
from pay_ready.errors import ConflictError, DeniedError, NotFoundError, PayReadyError, RetryLaterError, TransientError
from pay_ready.failpoints import FailpointError, armed
from pay_ready.model.ids import TenantId
from pay_ready.model.progress import ProgressEvent
from pay_ready.pipeline.airbyte.job import JobOptions, PlatformJob, run_job
from pay_ready.pipeline.airbyte.watch import Intervals, attempts_after
from pay_ready.sources.airbyte import AirbyteClient
from pay_ready.sources.airbyte_errors import UnknownOutcomeError
from tests.airbyte_simulator.platform import Life
from tests.airbyte_simulator.server import AirbyteSimulator
from tests.airbyte_support import ONCE, QUICK, QUICK_JOB, airbyte_source, client_of
from tests.conftest import Scratch, Server, cloned, make_tenant

Rows = Callable[[], list[Any]]
Admin = Callable[[str], list[Any]]
FOREVER = Life(statuses=("running",))
NUMBERS = count(1)


@pytest.fixture(scope="module")
def scratch(server: Server, template: str) -> Iterator[Scratch]:
    """One database for the module: each test has tenants of its own."""
    with cloned(server, template) as database:
        yield database


@pytest.fixture(scope="module")
def database(scratch: Scratch) -> Iterator[Database]:
    """The app's pool on it."""
    pool = Database(scratch.app_url, PoolOptions(max_size=4, overflow=0))
    pool.open()
    yield pool
    pool.close()


@pytest.fixture
def new_tenant(database: Database) -> Callable[[], TenantId]:
    """Makes tenants."""
    return lambda: make_tenant(database, f"tenant-{next(NUMBERS)}")


@pytest.fixture
def tenant(new_tenant: Callable[[], TenantId]) -> TenantId:
    """This test's own."""
    return new_tenant()


@pytest.fixture
def simulator() -> Iterator[AirbyteSimulator]:
    """A server of this test's own."""
    with AirbyteSimulator() as simulator:
        yield simulator


@pytest.fixture
def connection(simulator: AirbyteSimulator) -> str:
    """A connection's id."""
    return simulator.platform.add_connection().connection_id


@pytest.fixture
def source(database: Database, tenant: TenantId) -> DataSource:
    """The source that the connection feeds."""
    return airbyte_source(database, tenant)


@pytest.fixture
def run(
    database: Database, tenant: TenantId, source: DataSource, simulator: AirbyteSimulator, connection: str
) -> Callable[..., PlatformJob]:
    """Runs the job of the connection, with quick polls; other options and clients on demand."""

    def go(options: JobOptions = QUICK_JOB, client: Callable[[], AirbyteClient] | None = None, **values: Any) -> PlatformJob:
        connect = client or (lambda: client_of(simulator))
        return run_job(database, tenant, source, connect, values.pop("connection", connection), options=options, **values)

    return go


@pytest.fixture
def admin(scratch: Scratch, tenant: TenantId) -> Admin:
    """Runs a statement as the administrator; it says `$tenant` for this test's own. Gives its rows."""

    def execute(text: str) -> list[Any]:
        with psycopg.connect(scratch.admin_url, row_factory=psycopg.rows.namedtuple_row) as connection:
            done = connection.execute(text.replace("$tenant", f"tenant_id = '{tenant}'").encode())
            return done.fetchall() if done.description else []

    return execute


@pytest.fixture
def rows(admin: Admin) -> Rows:
    """The stored requests, the oldest first."""
    return lambda: admin("select * from pay_ready.platform_jobs where $tenant order by requested_at")


# Watching


def test_a_job_from_request_to_end(run: Callable[..., PlatformJob], simulator: AirbyteSimulator, connection: str, rows: Rows) -> None:
    """Queued, between attempts and a word that nobody knows mean waiting; the end has rows, attempts, states and times."""
    statuses = ("queued", "running", "incomplete", "running", "tidying_up", "succeeded")
    simulator.platform.script(Life(statuses=statuses, rows=120, size_bytes=9_000))
    events: list[ProgressEvent] = []
    job = run(progress=events.append)
    assert job == PlatformJob(
        job_id=41, connection_id=connection, job_type="sync", outcome="succeeded", adopted=False, started_by_us=True, rows_synced=120,
        bytes_synced=9_000, attempts=2, failure="", statuses=statuses, seconds=job.seconds,
    )  # fmt: skip
    assert set(job.seconds) == {"trigger", "watch"}
    (row,) = rows()
    assert (row.job_id, row.job_type, row.started_by_us, row.after_job_id, row.seen_status) == (41, "sync", True, 0, "succeeded")
    assert (row.outcome, row.failure, row.rows_synced, row.bytes_synced, row.attempts) == ("succeeded", None, 120, 9_000, 2)
    assert row.requested_at <= row.seen_at <= row.finished_at
    assert [each.subject for each in events[:2]] == ["crm 41 queued", "crm 41 queued"]
    assert (events[-1].step, events[-1].done) == ("job", 120)


@pytest.mark.parametrize(
    ("life", "outcome", "failure", "attempts"),
    [
        (Life(statuses=("running", "incomplete", "running", "failed"), rows=7), "failed", "Airbyte says failed after 2 attempts", 2),
        (Life(statuses=("running", "cancelled"), rows=7), "cancelled", "Airbyte says cancelled after one attempt", 1),
    ],
)
def test_a_job_that_did_not_succeed_is_returned(
    life: Life, outcome: str, failure: str, attempts: int, run: Callable[..., PlatformJob], simulator: AirbyteSimulator, rows: Rows
) -> None:
    """With what is known of it: some of its rows may be there."""
    simulator.platform.script(life)
    job = run()
    assert (job.outcome, job.rows_synced, job.attempts) == (outcome, 7, attempts)
    assert failure in job.failure
    assert (rows()[0].outcome, rows()[0].failure) == (outcome, job.failure)


def test_a_reset_is_a_job_like_others(run: Callable[..., PlatformJob], simulator: AirbyteSimulator) -> None:
    """Asked for as such."""
    assert run(replace(QUICK_JOB, job_type="reset")).outcome == "succeeded"
    assert [job.job_type for job in simulator.started] == ["reset"]


def test_failing_polls_are_tolerated(run: Callable[..., PlatformJob], simulator: AirbyteSimulator) -> None:
    """Seven in a row, an open breaker among them: the run waits on, and the job's end is seen all the same."""
    simulator.fail("instead", path=r"/jobs/\d", times=7, status=502)

    def client() -> AirbyteClient:
        client = client_of(simulator, ONCE)
        client.breaker.open_s = 0.05
        return client

    assert run(client=client).outcome == "succeeded"
    assert len([each for each in simulator.requests("GET", r"/jobs/\d") if each.status == 502]) == 7


@pytest.mark.parametrize("status", [403, 404, 409])
def test_a_job_that_is_gone_is_lost(
    status: int, run: Callable[..., PlatformJob], simulator: AirbyteSimulator, rows: Rows, connection: str
) -> None:
    """Whichever of three statuses says so; the next run starts another."""
    platform = simulator.platform
    platform.missing_job_status = status
    platform.default_life = FOREVER
    with armed("platform.after_id_stored", "raise"), pytest.raises(FailpointError):
        run()
    platform.jobs.clear()
    job = run()
    assert (job.outcome, job.adopted, job.failure) == ("lost", True, "Airbyte knows the job no longer")
    assert rows()[0].outcome == "lost"
    platform.default_life = Life()
    assert run().outcome == "succeeded"


def test_a_job_that_may_not_be_read_is_found_in_the_list(run: Callable[..., PlatformJob], simulator: AirbyteSimulator) -> None:
    """403 for the job alone: the connection's list still has it."""
    simulator.platform.script(Life(statuses=("running", "succeeded")))
    simulator.fail("instead", path=r"/jobs/\d", times=1, status=403)
    assert run().outcome == "succeeded"


def test_a_database_that_goes_away_in_between_stops_nothing(
    run: Callable[..., PlatformJob], simulator: AirbyteSimulator, admin: Admin, rows: Rows
) -> None:
    """Every session is ended while the job runs; the run goes on to the end of the job and stores it."""

    def cut(job_id: int, connection: object) -> None:
        admin("select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()")

    simulator.platform.on_job_running = cut
    simulator.platform.script(Life(statuses=("queued", "running", "running", "succeeded")))
    assert run().outcome == "succeeded"
    assert rows()[0].outcome == "succeeded"


def test_a_run_that_lost_its_lease_stops(run: Callable[..., PlatformJob], simulator: AirbyteSimulator, admin: Admin) -> None:
    """Another holder took over while it watched: it writes nothing more and leaves the job alone."""

    def take(job_id: int, connection: object) -> None:
        admin("update pay_ready.leases set token = token + 1, holder = 'elsewhere:1:x' where $tenant")

    simulator.platform.on_job_running = take
    simulator.platform.script(Life(statuses=("queued", *["running"] * 50, "succeeded")))
    with pytest.raises(ConflictError, match="taken over by another run"):
        run()
    assert not simulator.requests("DELETE")


# One job


def test_a_running_job_is_adopted(run: Callable[..., PlatformJob], simulator: AirbyteSimulator, connection: str, rows: Rows) -> None:
    """Airbyte's schedule was faster: 409, and its job is ours to watch but not to cancel."""
    simulator.platform.start_job(connection, "sync", started_by="schedule")
    job = run()
    assert (job.job_id, job.outcome, job.adopted, job.started_by_us) == (41, "succeeded", True, False)
    assert simulator.started == []
    assert (rows()[0].job_id, rows()[0].started_by_us) == (41, False)


def test_a_zombie_in_the_list_is_not_adopted(run: Callable[..., PlatformJob], simulator: AirbyteSimulator, connection: str) -> None:
    """A job shown as running by mistake: Airbyte starts another when asked, so it is asked first."""
    old = simulator.platform.start_job(connection, "sync", started_by="schedule")
    simulator.platform.end(old.job_id, "succeeded")
    old.is_zombie = True
    job = run()
    assert (job.job_id, job.adopted) == (42, False)


@pytest.mark.parametrize("owners", ["tenants", "sources"])
def test_two_callers_start_one_job(
    owners: str, database: Database, new_tenant: Callable[[], TenantId], simulator: AirbyteSimulator, connection: str
) -> None:
    """Two tenants, or two sources of one, at one connection at once: one starts the job, the other adopts it; both see its end."""
    simulator.platform.default_life = Life(statuses=(*["running"] * 40, "succeeded"))
    jobs: list[PlatformJob] = []
    gate = threading.Barrier(2)
    tenants = [new_tenant(), new_tenant()]

    def work(tenant: TenantId, name: str) -> None:
        source = airbyte_source(database, tenant, name)
        gate.wait(30)
        jobs.append(run_job(database, tenant, source, lambda: client_of(simulator), connection, options=QUICK_JOB))

    callers = [(tenants[0], "crm"), (tenants[1], "crm") if owners == "tenants" else (tenants[0], "crm-again")]
    threads = [threading.Thread(target=work, args=caller) for caller in callers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(job.adopted for job in jobs) == [False, True]
    assert {(job.job_id, job.outcome) for job in jobs} == {(41, "succeeded")}
    assert len(simulator.started) == 1


def test_two_runs_of_one_source_do_not_wait_for_each_other(run: Callable[..., PlatformJob], simulator: AirbyteSimulator) -> None:
    """The second is told who is at work, with exit code 75; the first goes on."""
    found: list[BaseException | None] = []

    def second(job_id: int, connection: object) -> None:
        with pytest.raises(RetryLaterError) as caught:
            run()
        found.append(caught.value)

    simulator.platform.on_job_running = second
    assert run().outcome == "succeeded"
    assert "another run is at work - lease=platform:" in str(found[0])
    assert len(simulator.requests("POST", "/jobs")) == 1


@pytest.mark.parametrize("fault", [{"kind": "lost"}, {"kind": "late", "delay_s": 0.5}, {"kind": "later", "delay_s": 0.25}, {"kind": "cut"}])
def test_a_start_without_an_answer_is_looked_for(
    fault: dict[str, Any], run: Callable[..., PlatformJob], simulator: AirbyteSimulator, rows: Rows
) -> None:
    """The answer is lost, comes too late, or the job begins after we gave up waiting: it is found and adopted, and is the only one."""
    simulator.platform.script(Life(statuses=(*["running"] * 6, "succeeded")))
    simulator.fail(method="POST", path="/jobs", **fault)
    with capture_logs() as lines:
        job = run(replace(QUICK_JOB, look_for_s=10.0), lambda: client_of(simulator, replace(QUICK, start_job_s=0.15)))
    assert (job.job_id, job.outcome, job.adopted, job.started_by_us) == (41, "succeeded", True, False)
    assert len(simulator.started) == 1
    assert [line["event"] for line in lines if line["event"].startswith("job.") and line["log_level"] == "info"] == [
        "job.adopted", "job.ended",
    ]  # fmt: skip
    assert [row.job_id for row in rows()] == [41]


def test_a_start_that_nobody_knows_of(run: Callable[..., PlatformJob], simulator: AirbyteSimulator, rows: Rows) -> None:
    """Refused without a word three times, each followed by a look: the run is deferred, the request stays open, the next run starts."""
    simulator.fail("instead", method="POST", path="/jobs", times=3, status=500)
    with pytest.raises(UnknownOutcomeError, match="look whether it began") as caught:
        run()
    assert caught.value.exit_code == 75
    posts = [index for index, each in enumerate(simulator.seen) if each.method == "POST" and each.path.endswith("/jobs")]
    looks = [index for index, each in enumerate(simulator.seen) if each.method == "GET" and each.path.endswith("/jobs")]
    assert len(posts) == 3
    assert all(any(before < look < after for look in looks) for before, after in pairwise(posts))
    assert [(row.job_id, row.outcome) for row in rows()] == [(None, None)]
    assert run().adopted is False
    assert [(row.job_id, row.outcome) for row in rows()] == [(None, "not_started"), (41, "succeeded")]


def test_a_start_of_unknown_end_is_found_by_the_next_run(run: Callable[..., PlatformJob], simulator: AirbyteSimulator) -> None:
    """Airbyte goes away with the answer; when it is back, the job that had begun is adopted, though it has ended by then."""
    simulator.fail("lost", method="POST", path="/jobs")
    simulator.fail("instead", path="/jobs$", skip=1, times=99, status=503)
    with pytest.raises(TransientError):
        run(client=lambda: client_of(simulator, ONCE, Breaker("patient", opens_after=999)))
    simulator.faults.clear()
    simulator.platform.end(41)
    job = run(client=lambda: client_of(simulator, ONCE, Breaker("patient", opens_after=999)))
    assert (job.job_id, job.outcome, job.adopted, job.started_by_us) == (41, "succeeded", True, False)
    assert len(simulator.started) == 1


def test_a_job_of_another_kind_is_waited_for(run: Callable[..., PlatformJob], simulator: AirbyteSimulator, connection: str) -> None:
    """A clear that is under way is no sync: when it has ended, ours is started."""
    clear = simulator.platform.start_job(connection, "clear", started_by="schedule")
    simulator.fail("later", method="POST", path="/jobs", skip=2, delay_s=0.0)
    ended = threading.Timer(0.2, simulator.platform.end, (clear.job_id,))
    ended.start()
    job = run()
    ended.join()
    assert (job.job_id, job.outcome, job.adopted) == (42, "succeeded", False)


def test_a_refresh_that_runs_is_a_sync(run: Callable[..., PlatformJob], simulator: AirbyteSimulator, connection: str) -> None:
    """It reads everything anew: adopted."""
    simulator.platform.start_job(connection, "sync", started_by="schedule").job_type = "refresh"
    assert run().adopted


@pytest.mark.parametrize(
    ("status", "answer", "said"),
    [
        ("inactive", None, "the connection is inactive in Airbyte"),
        ("deprecated", {"status": 409, "body": '{"title": "try-again-later"}'}, "the connection is deprecated in Airbyte"),
        ("active", {"status": 409, "body": '{"title": "state-conflict", "data": {"message": "no worker"}}'}, "no worker"),
    ],
)
def test_a_connection_that_cannot_run(
    status: str, answer: dict[str, Any] | None, said: str, run: Callable[..., PlatformJob], simulator: AirbyteSimulator, rows: Rows,
    connection: str,
) -> None:  # fmt: skip
    """Airbyte only says conflict: the error says what the connection is like, and the request is closed as not started."""
    simulator.platform.connections[connection].status = status
    if answer:
        simulator.fail("instead", method="POST", path="/jobs", times=99, **answer)
    with pytest.raises(ConflictError, match=said) as caught:
        run()
    assert caught.value.exit_code == 6
    (row,) = rows()
    assert (row.job_id, row.outcome) == (None, "not_started")
    assert said in row.failure


def test_a_conflict_beside_a_running_job(run: Callable[..., PlatformJob], simulator: AirbyteSimulator, connection: str) -> None:
    """Another word for busy: what runs is adopted."""
    simulator.platform.start_job(connection, "sync", started_by="schedule")
    simulator.fail("instead", method="POST", path="/jobs", status=409, body='{"title": "state-conflict"}')
    assert run().adopted


def test_busy_with_nothing_to_be_seen(run: Callable[..., PlatformJob], simulator: AirbyteSimulator, rows: Rows) -> None:
    """Airbyte says busy and lists no running job: asked a few times, then deferred."""
    simulator.fail("instead", method="POST", path="/jobs", times=4, status=409, body='{"title": "try-again-later"}')
    assert run().outcome == "succeeded"
    simulator.fail("instead", method="POST", path="/jobs", times=99, status=409, body='{"title": "try-again-later"}')
    with pytest.raises(RetryLaterError, match="shows no job of it"):
        run()
    assert [row.outcome for row in rows()] == ["succeeded", "not_started"]


def test_busy_until_the_deadline(run: Callable[..., PlatformJob], simulator: AirbyteSimulator, rows: Rows, connection: str) -> None:
    """With a job of another kind, all the time: deferred, and nothing was started."""
    simulator.platform.start_job(connection, "clear", started_by="schedule")
    with pytest.raises(RetryLaterError, match="busy with something else"):
        run(replace(QUICK_JOB, timeout_s=0.2))
    assert [row.outcome for row in rows()] == ["not_started"]


def test_refusals_are_stored_without_credentials(run: Callable[..., PlatformJob], simulator: AirbyteSimulator, rows: Rows) -> None:
    """The reason is kept, what it quotes of credentials is not."""
    simulator.fail("instead", method="POST", path="/jobs", status=403, body='{"detail": "no rights for {authorization}"}')
    with pytest.raises(DeniedError):
        run()
    assert "no rights for Bearer ***" in rows()[0].failure
    with pytest.raises(NotFoundError):
        run(connection="11111111-2222-3333-4444-555555555555")
    assert "canary" not in str(rows())
    assert [row.outcome for row in rows()] == ["not_started", "not_started"]


# Deadline


def test_past_the_deadline_the_job_goes_on(run: Callable[..., PlatformJob], simulator: AirbyteSimulator, rows: Rows) -> None:
    """The run is deferred and names the job; the next one adopts it, though it has ended and the deadline passed, and starts none."""
    simulator.platform.default_life = FOREVER
    with pytest.raises(RetryLaterError, match=r"takes longer.*job=41.*status=running.*the next run takes it on") as caught:
        run(replace(QUICK_JOB, timeout_s=0.3))
    assert caught.value.exit_code == 75
    assert not simulator.requests("DELETE")
    assert (rows()[0].job_id, rows()[0].outcome) == (41, None)
    with pytest.raises(RetryLaterError, match="job=41"):
        run(replace(QUICK_JOB, timeout_s=0.3))
    simulator.platform.end(41)
    job = run()
    assert (job.job_id, job.outcome, job.adopted, job.started_by_us) == (41, "succeeded", True, True)
    assert len(simulator.started) == 1


@pytest.mark.parametrize("reads", [0, 3])
def test_told_to_cancel_it_does(reads: int, run: Callable[..., PlatformJob], simulator: AirbyteSimulator, rows: Rows) -> None:
    """Our own job is cancelled at the deadline and watched to its end, at once or some polls later."""
    simulator.platform.default_life = FOREVER
    simulator.platform.cancel_reads = reads
    job = run(replace(QUICK_JOB, timeout_s=0.2, cancel_on_timeout=True))
    assert (job.outcome, job.failure) == ("cancelled", "it ran past its deadline, and this run had it cancelled")
    assert rows()[0].outcome == "cancelled"


def test_what_others_started_is_never_cancelled(run: Callable[..., PlatformJob], simulator: AirbyteSimulator, connection: str) -> None:
    """Adopted from the schedule, or found after a lost answer: left running."""
    simulator.platform.default_life = FOREVER
    simulator.platform.start_job(connection, "sync", started_by="schedule")
    short = replace(QUICK_JOB, timeout_s=0.2, cancel_on_timeout=True)
    with pytest.raises(RetryLaterError):
        run(short)
    simulator.platform.end(41)
    assert run().job_id == 41
    simulator.fail("lost", method="POST", path="/jobs")
    with pytest.raises(RetryLaterError, match="job=42"):
        run(short)
    assert not simulator.requests("DELETE")


@pytest.mark.parametrize(
    ("fault", "outcome"), [({"status": 409, "body": '{"title": "state-conflict"}'}, "succeeded"), ({"status": 500}, None)]
)
def test_a_cancel_that_fails(
    fault: dict[str, Any], outcome: str | None, run: Callable[..., PlatformJob], simulator: AirbyteSimulator
) -> None:
    """The job ended just then: its own end counts. Airbyte is away: deferred."""
    simulator.platform.default_life = Life(statuses=(*["running"] * 500, "succeeded"))
    simulator.fail("instead", method="DELETE", times=9, **fault)
    short = replace(QUICK_JOB, timeout_s=0.2, cancel_on_timeout=True)
    if outcome is None:
        with pytest.raises(RetryLaterError):
            run(short)
        return
    ended = threading.Timer(0.4, simulator.platform.end, (41,))
    ended.start()
    assert run(short).outcome == outcome
    ended.join()


def test_a_job_of_long_ago_does_not_stand_for_today(
    run: Callable[..., PlatformJob], simulator: AirbyteSimulator, rows: Rows, admin: Admin
) -> None:
    """A run was cut off days ago: its job that has ended is noted and another is started; one that runs still is adopted."""

    def cut_off_days_ago() -> None:
        simulator.platform.default_life = FOREVER
        with armed("platform.after_id_stored", "raise"), pytest.raises(FailpointError):
            run()
        admin("update pay_ready.platform_jobs set seen_at = '2026-01-01', deadline_at = '2026-01-02' where outcome is null and $tenant")

    cut_off_days_ago()
    simulator.platform.end(41, "failed")
    simulator.platform.default_life = Life()
    assert (run().job_id, rows()[0].outcome, rows()[0].failure) == (42, "failed", "it ended while no run was watching")
    cut_off_days_ago()
    with pytest.raises(RetryLaterError, match="job=43"):
        run(replace(QUICK_JOB, timeout_s=0.1))
    assert rows()[2].deadline_at.month == rows()[2].requested_at.month, "it was given time anew"
    gone = simulator.platform.jobs.pop(43)
    admin("update pay_ready.platform_jobs set seen_at = '2026-01-01', deadline_at = '2026-01-02' where outcome is null and $tenant")
    simulator.platform.default_life = Life()
    assert run().job_id == gone.job_id + 1
    assert rows()[2].outcome == "lost"


def test_another_connection_ends_the_wait_for_the_old_one(run: Callable[..., PlatformJob], simulator: AirbyteSimulator, rows: Rows) -> None:
    """The source was given another connection while a job of the old one was open."""
    simulator.platform.default_life = FOREVER
    with armed("platform.after_id_stored", "raise"), pytest.raises(FailpointError):
        run()
    simulator.platform.default_life = Life()
    other = simulator.platform.add_connection().connection_id
    job = run(connection=other)
    assert (job.job_id, job.adopted) == (42, False)
    assert [row.outcome for row in rows()] == ["lost", "succeeded"]


# Breaker


def test_an_open_breaker_defers_the_next_process_at_once(
    run: Callable[..., PlatformJob], simulator: AirbyteSimulator, admin: Admin, rows: Rows
) -> None:
    """Runs of their own, each with a new client: after five failures in all the next one sends nothing; the probe closes it again."""
    simulator.fail("instead", path="/jobs", times=5, status=503)
    for failures in (2, 4, 5):
        with pytest.raises(TransientError):
            run(client=lambda: client_of(simulator, replace(QUICK, attempts=2)))
        assert admin("select state, failures from pay_ready.breaker_states where $tenant") == [
            ("open" if failures == 5 else "closed", failures)
        ]
    sent = len(simulator.seen)
    with pytest.raises(BreakerOpenError, match=r"left alone for a while - service=airbyte:127.*retry_in_s=(5\d|60)") as caught:
        run()
    assert caught.value.exit_code == 75
    assert len(simulator.seen) == sent
    assert rows() == [], "no request was begun"
    admin("update pay_ready.breaker_states set changed_at = now() - interval '61 seconds' where $tenant")
    assert run().outcome == "succeeded"
    assert admin("select state, failures from pay_ready.breaker_states where $tenant") == [("closed", 0)]


def test_the_probe_may_be_the_first_poll_of_an_adopted_job(
    run: Callable[..., PlatformJob], simulator: AirbyteSimulator, admin: Admin
) -> None:
    """A run was cut off and the breaker opened meanwhile; its time over, the next run polls at once and closes it."""
    with armed("platform.after_id_stored", "raise"), pytest.raises(FailpointError):
        run()
    target = client_of(simulator).breaker.target
    admin(
        f"insert into pay_ready.breaker_states (tenant_id, target, state, failures, changed_at)"
        f" select tenant_id, '{target}', 'open', 5, now() - interval '61 seconds' from pay_ready.tenants where $tenant"
    )
    assert run(replace(QUICK_JOB, timeout_s=30.0)).outcome == "succeeded"
    assert admin("select state, failures from pay_ready.breaker_states where $tenant") == [("closed", 0)]


def test_a_poll_that_is_asked_to_wait_waits(run: Callable[..., PlatformJob], simulator: AirbyteSimulator) -> None:
    """A 429 with a Retry-After beyond what a call waits for: the next poll comes no sooner, or at the deadline."""
    simulator.platform.default_life = FOREVER
    simulator.fail("instead", path=r"/jobs/\d", times=99, status=429, headers={"Retry-After": "3600"})
    with pytest.raises(RetryLaterError, match="takes longer"):
        run(replace(QUICK_JOB, timeout_s=0.5))
    assert len(simulator.requests("GET", r"/jobs/\d")) == 2


def test_of_two_processes_one_gets_the_probe(database: Database, tenant: TenantId, new_tenant: Callable[[], TenantId]) -> None:
    """An open breaker whose time is over lets one in; whoever took the probe and never came back gives way after the same time."""
    first, second = Breaker("service", open_s=60.0), Breaker("service", open_s=60.0)
    first.restore(BreakerState(circuit="open", failures=5))
    with database.tenant_transaction(tenant) as tx:
        breakers.store(tx, first)
    with database.tenant_transaction(tenant) as tx, pytest.raises(BreakerOpenError, match="retry_in_s=60"):
        breakers.admit(tx, second)
    first.open_s = second.open_s = 0.0
    with database.tenant_transaction(tenant) as tx:
        breakers.admit(tx, first)
    assert first.state == BreakerState(circuit="half_open", failures=5)
    second.open_s = 60.0
    with database.tenant_transaction(tenant) as tx, pytest.raises(BreakerOpenError):
        breakers.admit(tx, second)
    second.open_s = 0.0
    with database.tenant_transaction(tenant) as tx:
        breakers.admit(tx, second)
    assert second.state.circuit == "half_open"
    with database.tenant_transaction(new_tenant()) as tx:
        breakers.admit(tx, Breaker("service"))


def test_a_failure_elsewhere_does_not_close_an_open_breaker(database: Database, tenant: TenantId) -> None:
    """A process that counted one failure stores it after another has opened the breaker: open it stays; a success closes it."""
    late, opened = Breaker("service"), Breaker("service")
    opened.restore(BreakerState(circuit="open", failures=5))
    late.restore(BreakerState(circuit="closed", failures=1))
    for breaker in (opened, late):
        with database.tenant_transaction(tenant) as tx:
            breakers.store(tx, breaker)
        with database.tenant_transaction(tenant) as tx, pytest.raises(BreakerOpenError):
            breakers.admit(tx, Breaker("service"))
    late.restore(BreakerState())
    with database.tenant_transaction(tenant) as tx:
        breakers.store(tx, late)
        breakers.admit(tx, Breaker("service"))


# Figures


def test_intervals_grow_with_jitter() -> None:
    """5 s, half as much again each time, 30 s at most; each up to a fifth longer, and not all the same."""
    intervals = Intervals()
    for n, least in ((0, 5.0), (1, 7.5), (2, 11.25), (5, 30.0), (5_000, 30.0)):
        waits = {intervals.nth_s(n) for _ in range(50)}
        assert least <= min(waits) < max(waits) <= least * 1.2


@pytest.mark.parametrize(
    ("statuses", "attempts"),
    [
        ("pending queued", 0), ("queued running", 1), ("running incomplete", 1), ("running incomplete running", 2),
        ("incomplete running succeeded", 2), ("running incomplete failed", 1), ("queued cancelled", 0), ("queued succeeded", 1),
        ("running incomplete running incomplete something running", 3),
    ],
)  # fmt: skip
def test_attempts_are_counted_from_what_is_seen(statuses: str, attempts: int) -> None:
    """One more whenever a job goes on after it stood between two; never more than there were."""
    count, before = 0, ""
    for status in statuses.split():
        count, before = attempts_after(count, before, status), status
    assert count == attempts


def test_errors_before_anything_is_asked(run: Callable[..., PlatformJob], rows: Rows) -> None:
    """A client that cannot be made, an id that is none: no row, and the lease is free again."""

    def no_client() -> AirbyteClient:
        raise PayReadyError("no client")

    with pytest.raises(PayReadyError, match="no client"):
        run(client=no_client)
    with pytest.raises(PayReadyError, match="not an id of Airbyte"):
        run(connection="crm to warehouse")
    assert rows() == []
    assert run().outcome == "succeeded"
