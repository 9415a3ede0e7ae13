"""A rollback, a redo or an undo that fails at any point leaves the old state whole or the new one, and doing it again ends the same."""

import os
import random
import re
import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from urllib.parse import urlsplit

import psycopg
import pytest
from psycopg import sql

from pay_ready.db.tenancy import Database, PoolOptions, Timeouts
from pay_ready.errors import OnHoldError, PayReadyError, TransientError
from pay_ready.model.ids import TenantId, tenant_id_of
from pay_ready.pipeline import rollback, undo
from tests.conftest import Scratch, Server, cloned, make_tenant
from tests.faults.children import killed_at, started, stopped_at, wait_until_paused
from tests.faults.proxy import Rule, postgres_proxy
from tests.faults.rollback_child import act_once
from tests.faults.support import opened
from tests.faults.test_database_away import volume
from tests.faults.test_publish_crash import advisory_locks, end_sessions
from tests.publish_support import history, resolve
from tests.reversing_support import ACTS, latest_run, state_lines, three_runs

DEEP = bool(os.environ.get("PAY_READY_TEST_DEEP"))
SEED = int(os.environ.get("PAY_READY_FAULT_SEED", "20261126"))
POOL = PoolOptions(max_size=1, overflow=0)
TENANT: TenantId = tenant_id_of("pay_ready", "acme")
# A redo passes the points of a rollback by the same code: those where it differs, and all of them under make test-deep.
POINTS = {
    "rollback": rollback.FAILPOINTS,
    "redo": rollback.FAILPOINTS if DEEP else ("rollback.rows_written", "rollback.after_commit"),
    "undo": undo.FAILPOINTS,
}
# Where a decision is made its id is drawn: such lines are compared without it.
_DRAWN = re.compile(r"run_decisions .*")


@dataclass(frozen=True, kw_only=True)
class Undisturbed:
    """What one act leaves when nothing fails."""

    template: str  # a database in which it is still to be done
    old: list[str]
    new: list[str]
    history: list[str]


def state(scratch: Scratch) -> list[str]:
    """What readers see."""
    with opened(scratch.app_url, POOL) as database:
        latest = latest_run(database, TENANT)
    return [_DRAWN.sub("run_decisions", each) for each in state_lines(scratch.admin_url, TENANT, latest)]


@pytest.fixture(scope="module")
def undisturbed(server: Server, template: str) -> Iterator[Mapping[str, Undisturbed]]:
    """Each act without a failure."""
    with cloned(server, template) as begun, cloned(server, template) as back:
        for scratch in (begun, back):
            with opened(scratch.app_url, POOL) as database:
                make_tenant(database, "acme")
                three_runs(database, scratch.admin_url, TENANT)
                if scratch is back:
                    ACTS["rollback"](database, TENANT)
            end_sessions(scratch)  # a database is not cloned while one is still on its way out
        found = {}
        for act, start in (("rollback", begun), ("redo", back), ("undo", begun)):
            name = urlsplit(start.admin_url).path.lstrip("/")
            with cloned(server, name) as scratch, opened(scratch.app_url, POOL) as database:
                old = state(scratch)
                ACTS[act](database, TENANT)
                found[act] = Undisturbed(template=name, old=old, new=state(scratch), history=history(scratch.admin_url, TENANT))
                assert found[act].old != found[act].new
        yield found


@pytest.mark.parametrize(("act", "point"), [(act, point) for act, points in POINTS.items() for point in points])
def test_killed_at_any_point(server: Server, undisturbed: Mapping[str, Undisturbed], act: str, point: str) -> None:
    """By SIGKILL: one state whole, no lock, and done again it ends as if undisturbed."""
    known = undisturbed[act]
    with cloned(server, known.template) as scratch:
        killed_at(point, act_once, scratch.app_url, TENANT, act)
        assert state(scratch) == (known.new if point.endswith("after_commit") else known.old)
        _done_again(scratch, act, known)


@pytest.mark.parametrize("module", [rollback, undo])
def test_every_failpoint_is_listed(module: ModuleType) -> None:
    """The lists that the crash test goes through are the points in the code."""
    source = Path(str(module.__file__)).read_text("utf-8")
    assert set(re.findall(r'failpoint\("([^"]+)"\)', source)) == set(module.FAILPOINTS)


@pytest.mark.timeout(3_600)
@pytest.mark.parametrize("act", list(ACTS))
def test_any_statement_may_fail(server: Server, undisturbed: Mapping[str, Undisturbed], act: str) -> None:
    """The connection ends before a statement, or after it without the answer; each lost answer to a COMMIT is among those tried."""
    known = undisturbed[act]
    with cloned(server, known.template) as scratch, postgres_proxy(scratch.app_url) as proxy:
        with opened(proxy.url, POOL) as database:
            ACTS[act](database, TENANT)
        units = list(proxy.units)
    commits = [number for number, text in enumerate(units, 1) if text == "COMMIT"]
    pairs = [(number, fault) for number in range(1, len(units) + 1) for fault in ("cut", "swallow")]
    chosen = pairs if DEEP else random.Random(SEED).sample(pairs, 3)
    for unit, fault in dict.fromkeys([(commits[-1], "swallow"), (commits[-1], "cut"), *chosen]):
        with cloned(server, known.template) as scratch, postgres_proxy(scratch.app_url) as proxy:
            proxy.fail(Rule(fault=fault, unit=unit))  # type: ignore[arg-type]
            is_told = False
            try:
                with opened(proxy.url, POOL) as database:
                    ACTS[act](database, TENANT)
            except TransientError:
                is_told = True
            assert state(scratch) in (known.old, known.new), (unit, fault)
            # What the pool says to a connection that it takes back is nobody's loss: then all is done.
            assert is_told or (unit != commits[-1] and state(scratch) == known.new), (unit, fault)
            if (unit, fault) == (commits[-1], "swallow"):
                assert state(scratch) == known.new
            _done_again(scratch, act, known)


@pytest.mark.parametrize("act", list(ACTS))
def test_the_server_ends_the_session(
    server: Server, undisturbed: Mapping[str, Undisturbed], act: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the middle of writing: a transient error, the old state, no lock."""
    known = undisturbed[act]
    module = undo if act == "undo" else rollback
    with cloned(server, known.template) as scratch:

        def cut(reached: str) -> None:
            if reached.endswith("rows_written"):
                end_sessions(scratch)

        with monkeypatch.context() as patched:
            patched.setattr(module, "failpoint", cut)
            with opened(scratch.app_url, POOL) as database, pytest.raises(TransientError):
                ACTS[act](database, TENANT)
        assert state(scratch) == known.old
        _done_again(scratch, act, known)


@pytest.mark.parametrize("act", list(ACTS))
def test_a_statement_that_takes_too_long(server: Server, undisturbed: Mapping[str, Undisturbed], act: str) -> None:
    """The server gives up on it: nothing changed, and the error says that it may be tried again."""
    known = undisturbed[act]
    hasty = Timeouts(statement_ms=100, lock_ms=60_000, idle_in_transaction_ms=60_000)
    with cloned(server, known.template) as scratch:
        with (
            psycopg.connect(scratch.admin_url) as holder,
            opened(scratch.app_url, PoolOptions(max_size=1, overflow=0, batch=hasty)) as database,
        ):
            holder.execute("lock table pay_ready.assignments in access exclusive mode")
            with pytest.raises(TransientError):
                ACTS[act](database, TENANT)
        assert state(scratch) == known.old
        _done_again(scratch, act, known)


def test_a_full_disk(server: Server, undisturbed: Mapping[str, Undisturbed]) -> None:
    """No room for what a rollback works with: nothing changed; with room again it ends as if undisturbed."""
    known = undisturbed["rollback"]
    with volume(1 << 20) as (folder, _), cloned(server, known.template) as scratch, _tablespace(scratch, folder) as name:
        with psycopg.connect(scratch.admin_url, autocommit=True) as admin:
            database_name = urlsplit(scratch.admin_url).path.lstrip("/")
            admin.execute(sql.SQL("alter database {} set temp_tablespaces = {}").format(sql.Identifier(database_name), sql.Literal(name)))
            admin.execute(sql.SQL("grant create on tablespace {} to public").format(sql.Identifier(name)))
        _fill(folder / "filler")
        with opened(scratch.app_url, POOL) as database, pytest.raises(TransientError, match="full"):
            ACTS["rollback"](database, TENANT)
        (folder / "filler").unlink()
        assert state(scratch) == known.old
        _done_again(scratch, "rollback", known)
        end_sessions(scratch)


def test_a_run_and_a_rollback_at_once(server: Server, undisturbed: Mapping[str, Undisturbed]) -> None:
    """While a rollback holds the lock a run waits, and then finds the tenant on hold."""
    known = undisturbed["rollback"]
    with cloned(server, known.template) as scratch:
        child = started(stopped_at, "rollback.rows_written", "stop", act_once, scratch.app_url, TENANT, "rollback")
        assert child.pid is not None
        wait_until_paused(child.pid)
        hasty = PoolOptions(max_size=1, overflow=0, batch=Timeouts(statement_ms=60_000, lock_ms=300, idle_in_transaction_ms=60_000))
        with opened(scratch.app_url, hasty) as database, pytest.raises(TransientError):
            resolve(database, TENANT, reads="changed")
        os.kill(child.pid, signal.SIGCONT)
        child.join(60)
        assert child.exitcode == 0
        with opened(scratch.app_url, POOL) as database, pytest.raises(OnHoldError):
            resolve(database, TENANT, reads="changed")
        assert state(scratch) == known.new


def _done_again(scratch: Scratch, act: str, known: Undisturbed) -> None:
    """No lock is left, and once more it is done, or was done already."""
    assert advisory_locks(scratch) == 0
    with opened(scratch.app_url, POOL) as database:
        _tried(ACTS[act], database)
    assert state(scratch) == known.new
    if act != "undo":
        assert history(scratch.admin_url, TENANT) == known.history


def _tried(act: Callable[[Database, TenantId], None], database: Database) -> None:
    try:
        act(database, TENANT)
    except PayReadyError as error:  # pragma: no cover - the reason, where it fails
        raise AssertionError(str(error)) from error


@contextmanager
def _tablespace(scratch: Scratch, folder: Path) -> Iterator[str]:
    inside, name = folder / "rows", "small_rollback"
    inside.mkdir(mode=0o700)
    with psycopg.connect(scratch.admin_url, autocommit=True) as admin:
        row = admin.execute("show data_directory").fetchone()
        owner = Path(str(row[0])).stat() if row else folder.stat()
        os.chown(inside, owner.st_uid, owner.st_gid)
        admin.execute(sql.SQL("create tablespace {} location {}").format(sql.Identifier(name), sql.Literal(str(inside))))
    try:
        yield name
    finally:
        end_sessions(scratch)
        with psycopg.connect(scratch.admin_url, autocommit=True) as admin:
            admin.execute(sql.SQL("drop tablespace {}").format(sql.Identifier(name)))


def _fill(path: Path) -> None:
    with path.open("wb", buffering=0) as file:
        for size in (1 << 16, 4_096):
            try:
                while True:
                    file.write(bytes(size))
            except OSError:
                continue
