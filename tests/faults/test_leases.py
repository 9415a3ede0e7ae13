"""Who holds a lease works alone: others wait or are told who it is; one that is dead, paused or cut off loses it in time.

Through real processes, and with short leases: PAY_READY_TEST_DEEP=1 takes the shipped 60 s. Printed is how long the lease
stayed taken after its holder fell silent.
"""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest

from pay_ready.db import leases, sources
from pay_ready.db.tenancy import Database, PoolOptions
from pay_ready.errors import RetryLaterError
from pay_ready.model.ids import RunId, TenantId, new_id
from pay_ready.pipeline.land.lease import held_lease
from pay_ready.pipeline.land.sync import SyncOptions, sync_source
from tests.canonical_dump import canonical_dump
from tests.conftest import Scratch
from tests.faults import children
from tests.faults.children import wait_until_paused
from tests.faults.landed_oracle import TABLES, Saved
from tests.faults.landing_child import Job, land
from tests.faults.proxy import Rule, postgres_proxy
from tests.faults.support import opened, wait_until
from tests.landing_support import Script, add_source, catalog, complete, says

TTL_S = leases.TTL_S if os.environ.get("PAY_READY_TEST_DEEP") == "1" else 4.0
POOL = PoolOptions(max_size=2, overflow=0)
CONFIG = {"streams": {"people": 400}, "state_every": 70}
# Between two flushes; in an open transaction, idle; in the middle of a COPY, where no timeout of the server applies.
POINTS = ("land.after_commit", "land.in_copy", "land.after_rows", "land.before_commit")


Start = Callable[[Job], Any]


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts a run in a process of its own; none outlives the test."""
    started = []

    def start_one(job: Job) -> Any:
        process = children.started(land, job)
        started.append(process)
        return process

    yield start_one
    for process in started:
        process.kill()
        process.join(30)


@pytest.fixture
def job(database: Database, tenant: TenantId, scratch: Scratch, tmp_path: Path) -> Job:
    """A run of the scripted source that may end undisturbed."""
    add_source(database, tenant, settings=CONFIG)
    return Job(app_url=scratch.app_url, tenant=tenant, config=CONFIG, choice={}, home=tmp_path, ttl_s=TTL_S)


@pytest.fixture
def expected(job: Job, start: Start, scratch: Scratch) -> str:
    """What an undisturbed run leaves; it is gone again."""
    before = Saved(scratch)
    assert ended(start(job)) == 0
    dump = canonical_dump(scratch.admin_url)
    before.restore()
    return dump


def ended(process: Any) -> int:
    """Its exit code."""
    process.join(120 + 2 * TTL_S)
    assert process.exitcode is not None, "it hangs"
    return int(process.exitcode)


def wait_until_taken(scratch: Scratch, pid: int) -> float:
    """Until the lease is another process's; the seconds from now."""

    def is_taken() -> bool:
        with psycopg.connect(scratch.admin_url) as admin:
            found = admin.execute("select holder from pay_ready.leases").fetchall()
        return not any(f":{pid}:" in holder for (holder,) in found)

    return wait_until(is_taken, "the lease is taken over", 60 + 2 * TTL_S)


def everything(scratch: Scratch) -> dict[str, list[Any]]:
    """Every row as it is, ids and times included."""
    with psycopg.connect(scratch.admin_url) as admin:
        return {table: sorted(map(repr, admin.execute(f"select * from pay_ready.{table}".encode()).fetchall())) for table in TABLES}


def tell(case: str, seconds: float) -> None:
    """For the report."""
    sys.stdout.write(f"lease of {TTL_S:.0f} s, {case}: free after {seconds:.1f} s\n")


@pytest.mark.parametrize("point", POINTS)
def test_a_paused_holder_is_taken_over_and_writes_nothing_when_it_wakes(
    point: str, job: Job, start: Start, expected: str, database: Database, scratch: Scratch, tmp_path: Path
) -> None:
    """SIGSTOP, SIGCONT: the next run takes over once the lease has run out and completes; the late writes are refused (exit 6)."""
    words = tmp_path / "words"
    sleeper = start(replace(job, failpoint=point, mode="stop", last_words=words))
    wait_until_paused(sleeper.pid)
    with pytest.raises(RetryLaterError, match="another run is at work") as refused:
        sync_source(database, job.tenant, "crm", says(), catalog())
    assert str(refused.value.where["holder"]).split(":")[1] == str(sleeper.pid)
    assert refused.value.where.keys() >= {"lease", "holder", "since", "until"}

    taker = start(replace(job, wait_s=3 * TTL_S + 30))
    tell(f"paused at {point}", wait_until_taken(scratch, sleeper.pid))
    assert ended(taker) == 0
    assert canonical_dump(scratch.admin_url) == expected

    before = everything(scratch)
    os.kill(sleeper.pid, signal.SIGCONT)
    assert ended(sleeper) == 6
    assert "taken over by another run" in words.read_text()
    assert everything(scratch) == before


@pytest.mark.parametrize("statement", ["^with numbered", "^copy done"])
def test_a_holder_that_is_cut_off_loses_its_lease(
    statement: str, job: Job, start: Start, expected: str, scratch: Scratch, tmp_path: Path
) -> None:
    """The network swallows everything in an open transaction, and tells neither side: as for one that is paused."""
    words = tmp_path / "words"
    with postgres_proxy(scratch.app_url) as proxy:
        proxy.fail(Rule(fault="black_hole", text=statement))
        lost = start(replace(job, app_url=proxy.url, last_words=words))
        proxy.wait_for_fault()
        proxy.freeze()
        taker = start(replace(job, wait_s=3 * TTL_S + 30))
        tell(f"cut off before {statement[1:]!r}", wait_until_taken(scratch, lost.pid))
        assert ended(taker) == 0
        assert canonical_dump(scratch.admin_url) == expected
        before = everything(scratch)
        proxy.thaw()
        proxy.drop()
        assert ended(lost) == 6
    assert "taken over by another run" in words.read_text()
    assert everything(scratch) == before


@pytest.mark.parametrize("host", [None, "elsewhere.example"])
def test_a_killed_holder_loses_its_lease(host: str | None, job: Job, start: Start, expected: str, scratch: Scratch) -> None:
    """kill -9 in an open transaction: on the same host the next run sees it and goes on at once; on another, when the time is over."""
    killed = start(replace(job, failpoint="land.before_commit", mode="kill", host=host))
    assert ended(killed) == -9
    taker = start(replace(job, wait_s=3 * TTL_S + 30 if host else 0.0))
    tell(f"killed on {host or 'the same host'}", wait_until_taken(scratch, killed.pid))
    assert ended(taker) == 0
    assert canonical_dump(scratch.admin_url) == expected


def test_the_command_line_says_who_or_waits(database: Database, tenant: TenantId, scratch: Scratch, tmp_path: Path) -> None:
    """`run sync` exits with 75 and names the holder; `run etl --wait` goes on once the lease is given back."""
    (tmp_path / "contacts.jsonl").write_text("")
    with database.tenant_transaction(tenant) as tx:
        config = sources.SourceConfigV1(settings={"path": str(tmp_path)})
        source = sources.add(
            tx, name="crm", kind="hubspot", ingest_mode="replay", connector="replay", config=config, actor="tests"
        )  # fmt: skip
    holder = leases.holder_name(RunId(new_id()))
    with held_lease(database, tenant, f"source:{source.source_id}", holder):
        refused = command_line(scratch, tmp_path, "run", "sync", "-t", "acme")
        said = refused.communicate(timeout=60)[1]
        assert (refused.returncode, "another run is at work" in said, f"holder={holder}" in said) == (75, True, True), said
    with held_lease(database, tenant, "etl", holder):
        waiting = command_line(scratch, tmp_path, "run", "etl", "-t", "acme", "--wait", "60")
        assert waiting.stderr is not None
        assert "lease.waited_for" in waiting.stderr.readline()
    said = waiting.communicate(timeout=60)[1]
    assert waiting.returncode == 0, said


def command_line(scratch: Scratch, home: Path, *words: str) -> "subprocess.Popen[str]":
    """`pay-ready` in a process of its own."""
    clean = {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "PAY_READY_HOME": str(home / "state"),
        "PAY_READY_DATABASE_URL": scratch.app_url,
    }
    command = [sys.executable, "-m", "pay_ready.cli.main", *words]
    return subprocess.Popen(command, cwd=home, env=clean, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


class TestWaiting:
    """A second run that was told to wait."""

    def test_it_goes_on_when_the_lease_is_given_back(self, database: Database, tenant: TenantId) -> None:
        """Both runs complete, one after the other."""
        add_source(database, tenant)
        begun, go_on = threading.Event(), threading.Event()

        def slow() -> Iterator[list[Any]]:
            begun.set()
            assert go_on.wait(30)
            yield [complete()]

        reports: list[Any] = []
        first = threading.Thread(target=lambda: reports.append(sync_source(database, tenant, "crm", Script([slow()]), catalog())))
        first.start()
        assert begun.wait(30)
        threading.Timer(0.3, go_on.set).start()
        second = sync_source(database, tenant, "crm", says(complete()), catalog(), options=SyncOptions(lease_wait_s=30))
        first.join(30)
        assert [report.status for report in (*reports, second)] == ["complete", "complete"]

    def test_it_gives_up_and_names_the_holder(self, database: Database, tenant: TenantId) -> None:
        """After the wait it is told who, since when and until when: and may try again later."""
        holder = leases.holder_name(RunId(new_id()))
        with held_lease(database, tenant, "x", holder, ttl_s=60):
            began = time.monotonic()
            with pytest.raises(RetryLaterError) as refused, held_lease(database, tenant, "x", "me:1:r", wait_s=0.3):
                pass
            assert 0.3 <= time.monotonic() - began < 10
        assert (refused.value.where["holder"], refused.value.exit_code) == (holder, 75)
        assert str(refused.value.where["since"]) < str(refused.value.where["until"])

    def test_it_survives_a_database_that_comes_back(self, scratch: Scratch, tenant: TenantId) -> None:
        """Whoever waits for a lease waits for the database too."""
        with postgres_proxy(scratch.app_url) as proxy, opened(proxy.url, POOL) as database:
            proxy.refuses = True
            proxy.drop()
            threading.Timer(0.5, lambda: setattr(proxy, "refuses", False)).start()
            with held_lease(database, tenant, "x", "me:1:r", wait_s=30) as lease:
                assert lease.token == 1


def test_a_taker_that_stands_still_holds_nobody_up(tenant: TenantId, scratch: Scratch) -> None:
    """Two who take a lease of one tenant come one after the other; where the first does not get on, the second is told to come later."""
    impatient = replace(POOL, people=replace(POOL.people, lock_ms=200))
    with psycopg.connect(scratch.admin_url) as somebody, opened(scratch.app_url, impatient) as database:
        somebody.execute("insert into pay_ready.tenant_counters (tenant_id, counter, value) values (%s, 'lease_token', 1)", (tenant,))
        with pytest.raises(RetryLaterError, match="at this moment"), held_lease(database, tenant, "x", "me:1:r"):
            pass


class TestKeeping:
    """The thread that renews."""

    def test_it_survives_lost_connections(self, scratch: Scratch, tenant: TenantId) -> None:
        """Cut off twice, for longer than a renewal takes: the lease is held on, and given back at the end."""
        impatient = PoolOptions(max_size=2, overflow=0, wait_s=0.2)
        with postgres_proxy(scratch.app_url) as proxy, opened(proxy.url, impatient) as database:
            with held_lease(database, tenant, "x", "me:1:r", ttl_s=1.0):
                for _ in range(2):
                    proxy.refuses = True
                    proxy.drop()
                    time.sleep(0.7)
                    proxy.refuses = False
                    wait_until_renewed(scratch)
            assert expiry(scratch) is None

    def test_it_renews_while_a_transaction_writes(self, database: Database, tenant: TenantId, scratch: Scratch) -> None:
        """A flush that takes longer than the lease's time does not lose it."""
        with held_lease(database, tenant, "x", "me:1:r", ttl_s=0.6) as lease, database.tenant_transaction(tenant) as tx:
            leases.guard(tx, lease)
            wait_until_renewed(scratch)

    def test_a_holder_whose_answer_was_lost_has_its_lease(self, scratch: Scratch, tenant: TenantId) -> None:
        """The commit that took it went through unheard: taking it again finds it, and nobody waits for himself."""
        with postgres_proxy(scratch.app_url) as proxy, opened(proxy.url, POOL) as database:
            proxy.fail(Rule(fault="swallow", text="^commit"))
            with held_lease(database, tenant, "x", "me:1:r") as lease:
                assert proxy.happened
                assert lease.token == 1
            assert expiry(scratch) is None


def expiry(scratch: Scratch) -> Any:
    """Until when the one lease is held; None when there is none."""
    with psycopg.connect(scratch.admin_url) as admin:
        row = admin.execute("select expires_at from pay_ready.leases").fetchone()
    return row[0] if row else None


def wait_until_renewed(scratch: Scratch) -> None:
    """Until the lease holds longer than now."""
    first = expiry(scratch)
    wait_until(lambda: expiry(scratch) > first, "the lease is renewed")
