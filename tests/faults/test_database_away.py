"""The database dies, stops or has no room in the middle of a load: the run goes on, or may be tried again; nothing is half there."""

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest
from psycopg import sql

from pay_ready.db import leases
from pay_ready.db.admin import grant_app
from pay_ready.db.embedded import EmbeddedServer, embedded_status, start_embedded, stop_embedded
from pay_ready.db.migrate import migrate
from pay_ready.db.tenancy import PoolOptions
from pay_ready.errors import TransientError
from pay_ready.model.ids import TenantId
from pay_ready.pipeline.land import sync as land
from pay_ready.pipeline.land.buffer import FlushLimits
from pay_ready.pipeline.land.report import SyncReport
from pay_ready.pipeline.land.sync import Connector, Reading, SyncOptions, sync_source
from pay_ready.sources.catalog import ConfiguredCatalog
from pay_ready.sources.outcome import RunOutcome
from pay_ready.sources.protocol import Message
from tests.conftest import Scratch, Server, cloned, make_tenant
from tests.embedded_support import gone, sweep
from tests.faults.landed_oracle import Saved, landed, scripted_here
from tests.faults.support import opened
from tests.landing_support import add_source, catalog, stream_of

CONFIG: dict[str, Any] = {"streams": {"people": 400}, "state_every": 20, "duplicate_every": 15, "width": 600}
OPTIONS = SyncOptions(limits=FlushLimits(rows=60), retry_wait_s=0.05, lease_ttl_s=3.0, lease_wait_s=60.0)
POOL = PoolOptions(max_size=3, overflow=0, wait_s=1.0)
SMALL_BYTES = 192 << 10


@dataclass(frozen=True, kw_only=True)
class Own:
    """A server of these tests' own, which they may kill."""

    home: Path
    server: EmbeddedServer

    def end(self, how: signal.Signals) -> None:
        """SIGKILL is a crash, SIGINT a fast stop; back when no process of it is left."""
        pid = embedded_status(self.home).pid
        assert pid is not None
        os.kill(pid, how)
        assert gone(self.home)

    @contextmanager
    def forgetful(self) -> Iterator[None]:
        """From here on nothing is written to disk but what a commit waits for; to be ended by a crash."""
        with psycopg.connect(self.server.admin_url, autocommit=True) as admin:
            admin.execute("checkpoint")
            row = admin.execute("select pid from pg_stat_activity where backend_type = 'walwriter'").fetchone()
        assert row is not None
        os.kill(row[0], signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(row[0], signal.SIGKILL)

    def begin(self) -> None:
        """Start it again, on the same place."""
        assert start_embedded(self.home).app_url == self.server.app_url


@pytest.fixture(scope="module")
def own(template_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Own]:
    """A server with a migrated database to clone."""
    home = tmp_path_factory.mktemp("own") / "home"
    shutil.copytree(template_home, home)
    with served(home) as server:
        yield server


@contextmanager
def served(home: Path) -> Iterator[Own]:
    """The server of a state folder, migrated."""
    server = start_embedded(home)
    migrate(server.admin_url)
    grant_app(server.admin_url, urlsplit(server.app_url).username or "")
    yield Own(home=home, server=server)
    start_embedded(home)
    stop_embedded(home)
    sweep(home)


@dataclass(frozen=True, kw_only=True)
class Load:
    """A load of a source into a database of its own on that server, and what it comes to undisturbed."""

    own: Own
    scratch: Scratch
    tenant: TenantId
    expected: str

    def run(self, disturb: Callable[[], None] | None = None, *, at: int = 0, **options: Any) -> SyncReport:
        """Load, with something happening before message `at`, once."""
        connector = interrupted(scripted_here(), at, disturb) if disturb else scripted_here()
        with opened(self.scratch.app_url, POOL) as database:
            return sync_source(database, self.tenant, "crm", connector, streams(), options=replace(OPTIONS, **options))

    def end(self) -> str:
        """What is landed; nothing in it is odd."""
        return landed(self.scratch, resumable=["people"])


@pytest.fixture
def load(own: Own) -> Iterator[Load]:
    """A load that is to be disturbed."""
    with prepared(own) as ready:
        yield ready


@contextmanager
def prepared(own: Own, template: str = "pay_ready") -> Iterator[Load]:
    """A load in a database of its own; it ran undisturbed, and that was undone."""
    server = Server(admin_url=own.server.admin_url, app_url=own.server.app_url, erasure_url=own.server.erasure_url)
    with cloned(server, template) as scratch:
        with opened(scratch.app_url, POOL) as database:
            tenant = make_tenant(database, "acme")
            add_source(database, tenant, settings=CONFIG)
        before = Saved(scratch)
        undisturbed = Load(own=own, scratch=scratch, tenant=tenant, expected="")
        assert undisturbed.run().status == "complete"
        expected = undisturbed.end()
        before.restore()
        yield replace(undisturbed, expected=expected)


def streams() -> ConfiguredCatalog:
    """What is loaded."""
    return catalog(stream_of("people"))


def interrupted(connector: Connector, at: int, disturb: Callable[[], None]) -> Connector:
    """The connector, and something that happens before message `at` of its first read."""
    left = [disturb]

    @contextmanager
    def read(reading: AbstractContextManager[Reading]) -> Iterator[Reading]:
        with reading as whole:
            yield _Interrupted(whole, at, left)

    def begin(config: Mapping[str, object], configured: ConfiguredCatalog, given: Sequence[bytes]) -> AbstractContextManager[Reading]:
        return read(connector(config, configured, given))

    return begin


class _Interrupted:
    def __init__(self, whole: Reading, at: int, left: list[Callable[[], None]]) -> None:
        self._whole, self._at, self._left = whole, at, left

    def batches(self) -> Iterator[list[Message]]:
        seen = 0
        for batch in self._whole.batches():
            seen += len(batch)
            if seen > self._at and self._left:
                self._left.pop()()
            yield batch

    @property
    def outcome(self) -> RunOutcome:
        return self._whole.outcome


@pytest.mark.parametrize(("how", "at"), [(signal.SIGKILL, 250), (signal.SIGINT, 250)])
def test_a_restart_in_mid_load_is_survived(load: Load, how: signal.Signals, at: int) -> None:
    """Crashed or stopped and started again while the load runs: it takes itself up again, and each record counts once."""

    def restart() -> None:
        load.own.end(how)
        load.own.begin()

    report = load.run(restart, at=at)
    # Flushes are committed by threads of their own: a server that is away between two transactions is not even noticed.
    assert report.status == "complete"
    assert report.attempts in (1, 2)
    assert load.end() == load.expected


def test_a_crash_before_the_first_read_forgets_nothing(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    """The run is on record for good once it is open, though the server commits lazily: what follows refers to it."""
    begin_read, restarts = land.begin_read, [True]

    def after_crash(*arguments: Any, **named: Any) -> Any:
        if restarts:
            restarts.pop()
            load.own.end(signal.SIGKILL)
            load.own.begin()
        return begin_read(*arguments, **named)

    monkeypatch.setattr(land, "begin_read", after_crash)
    report = load.run()
    assert report.status == "complete", report.error
    assert load.end() == load.expected


def test_a_crash_gives_no_token_out_twice(load: Load) -> None:
    """A lease that was taken is taken after a crash of the server, too; else two could write with the same token."""
    postmaster = embedded_status(load.own.home).pid
    assert postmaster is not None
    with load.own.forgetful(), opened(load.scratch.app_url, POOL) as database:
        with database.tenant_transaction(load.tenant) as tx:
            first = leases.acquire(tx, "x", "elsewhere:1:r", ttl_s=0.001)
        os.kill(postmaster, signal.SIGKILL)
    assert gone(load.own.home)
    load.own.begin()
    with opened(load.scratch.app_url, POOL) as database, database.tenant_transaction(load.tenant) as tx:
        assert leases.acquire(tx, "x", "me:1:r").token > first.token


def test_a_database_that_stays_away_ends_the_run_and_the_next_one_completes(load: Load) -> None:
    """After the last retry the error says that it may be tried later (exit 75); the next run waits for the lease left behind."""
    with pytest.raises(TransientError) as caught:
        load.run(lambda: load.own.end(signal.SIGINT), at=250, max_retries=1)
    assert caught.value.exit_code == 75
    load.own.begin()
    assert load.run().status == "complete"
    assert load.end() == load.expected


@contextmanager
def volume(size_bytes: int = SMALL_BYTES) -> Iterator[tuple[Path, Callable[[int], None]]]:
    """A file system of its own in memory that anybody can reach, and the way to make it larger."""
    place = Path(tempfile.mkdtemp(prefix="pay-ready-test-"))
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size_bytes},mode=755", "tmpfs", str(place)]
    try:
        done = subprocess.run(mount, capture_output=True, text=True)
    except FileNotFoundError:
        done = None
    if done is None or done.returncode != 0:
        place.rmdir()
        pytest.skip(f"no small volume can be mounted here: {done.stderr.strip() if done else 'no mount command'}")
    try:
        yield place, lambda size: subprocess.run(["mount", "-o", f"remount,size={size}", str(place)], check=True)
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)
        place.rmdir()


def make_tablespace(load: Load, folder: Path) -> int:
    """Put the landed rows onto a volume; the tablespace's number."""
    inside = folder / "rows"
    inside.mkdir(mode=0o700)
    owner = load.own.server.data_dir.stat()
    os.chown(inside, owner.st_uid, owner.st_gid)
    with psycopg.connect(load.scratch.admin_url, autocommit=True) as admin:
        admin.execute(sql.SQL("create tablespace small location {}").format(sql.Literal(str(inside))))
        admin.execute("vacuum full pay_ready.landed_records")  # of what was loaded once and undone
        admin.execute("alter table pay_ready.landed_records set tablespace small")
        row = admin.execute("select oid::int from pg_tablespace where spcname = 'small'").fetchone()
    assert row is not None
    return int(row[0])


def drop_tablespace(load: Load) -> None:
    """The volume is needed no longer."""
    with psycopg.connect(load.scratch.admin_url, autocommit=True) as admin:
        admin.execute("alter table pay_ready.landed_records set tablespace pg_default")
        admin.execute("drop tablespace small")


class TestDiskFull:
    """No room for what is loaded."""

    def test_a_full_tablespace_ends_the_run_and_says_what_is_full(self, own: Own) -> None:
        """The landed rows live on a volume of 192 KiB: nothing is half there, and with more room the next run completes."""
        with volume() as (folder, resize), prepared(own) as load:
            space = make_tablespace(load, folder)
            try:
                report = load.run(max_retries=1)
                assert report.status == "failed"
                assert isinstance(report.error, TransientError)
                assert report.error.where["full"] == f"tablespace {space}"
                for word in ("disk", "full", "53100", f"pg_tblspc/{space}", "make room", "run again"):
                    assert word in str(report.error)
                with pytest.raises(TransientError):
                    report.raise_for_failure()
                load.end()  # nothing is odd
                resize(64 << 20)
                assert load.run().status == "complete"
                assert load.end() == load.expected
            finally:
                drop_tablespace(load)

    def test_a_full_data_folder_ends_the_run_and_says_so(self, template_home: Path) -> None:
        """Everything of the server lives on the volume that is full; once there is room again, the next run completes."""
        with volume(256 << 20) as (folder, _):
            shutil.copytree(template_home, folder / "home")
            with served(folder / "home") as own, prepared(own) as load:
                filler = folder / "filler"
                report = load.run(lambda: fill(filler), at=250, max_retries=1)
                assert report.status == "failed"
                assert isinstance(report.error, TransientError)
                assert report.error.where["full"] in ("data folder", "temporary files", "write-ahead log")
                filler.unlink()
                assert load.run().status == "complete"
                assert load.end() == load.expected


def fill(path: Path) -> None:
    """Take all the room there is."""
    with suppress(OSError), path.open("wb", buffering=0) as file:
        for size in (1 << 20, 4096):
            with suppress(OSError):
                while True:
                    file.write(bytes(size))
