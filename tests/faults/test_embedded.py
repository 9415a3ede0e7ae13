"""One embedded server for many processes, through kills, races and leftovers: issue 2, point 2."""

import os
import signal
import subprocess
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from pay_ready.db import embedded_locks
from pay_ready.db.embedded import embedded_status, start_embedded, stop_embedded
from pay_ready.db.embedded_layout import state_root
from pay_ready.errors import RetryLaterError
from tests.embedded_support import Starter, commit_row, delete, gone, put_down, scalar

# --- sharing and stopping


def test_eight_first_starts_at_once_share_one_server(new_home: Path, client: Starter) -> None:
    """Eight processes that start it at once in a folder that does not exist get one postmaster; the last one out stops it."""
    clients = [client(new_home) for _ in range(8)]
    facts = [each.told() for each in clients]
    assert len({fact["pid"] for fact in facts}) == 1
    assert set(embedded_status(new_home).lease_pids or ()) == {each.process.pid for each in clients}
    assert [each.leave() for each in clients[:7]] == [0] * 7
    assert embedded_status(new_home).pid == facts[0]["pid"]
    assert clients[7].leave() == 0
    assert gone(new_home)


def test_a_second_start_and_a_second_stop_in_one_process_change_nothing(home: Path) -> None:
    """`start_embedded` is idempotent in a process, and one `stop_embedded` undoes any number of them."""
    first = start_embedded(home)
    pid = embedded_status(home).pid
    assert (start_embedded(home), embedded_status(home).pid) == (first, pid)
    stop_embedded(home)
    stop_embedded(home)
    assert gone(home)
    assert not first.socket_dir.exists()


def test_another_database_of_the_same_server(home: Path) -> None:
    """The database asked for is made when absent, with any name."""
    name = 'other "db" é'
    assert scalar(start_embedded(home, database=name).app_url, "select current_database()") == name


def test_a_killed_client_leaves_a_server_that_the_next_adopts_and_stops(home: Path, client: Starter) -> None:
    """SIGKILL of the only client leaves the server; the next process works on it and stops it as the last one out."""
    killed = client(home)
    pid = killed.told()["pid"]
    assert killed.end(signal.SIGKILL) == -signal.SIGKILL
    assert embedded_status(home).lease_pids in {(), None}
    heir = client(home)
    assert heir.told()["pid"] == pid
    assert heir.leave() == 0
    assert gone(home)


def test_the_lease_of_another_keeps_the_server(home: Path, client: Starter) -> None:
    """A client that leaves does not stop the server under one that stays, also when a third was killed."""
    stays, killed, leaves = client(home), client(home), client(home)
    for each in (stays, killed, leaves):
        each.told()
    killed.end(signal.SIGKILL)
    leaves.leave()
    assert embedded_status(home).running
    stays.leave()
    assert gone(home)


def test_sigterm_and_sighup_stop_the_server(home: Path, client: Starter) -> None:
    """A program without handlers that gets SIGTERM or SIGHUP gives its lease back and exits with 128 + signal."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        ended = client(home)
        ended.told()
        assert ended.end(number) == 128 + number
        assert gone(home)


def test_a_handler_of_the_program_stays(home: Path, client: Starter) -> None:
    """A SIGTERM handler that was there first is called, and the server goes on until the program ends."""
    program = client(home, "handler")
    program.told()
    program.process.terminate()
    assert program.told() == {"handled": "SIGTERM"}
    assert embedded_status(home).running
    program.leave()
    assert gone(home)


def test_signals_are_as_before_after_the_stop(home: Path) -> None:
    """The handlers are ours only while a lease is held."""
    before = signal.getsignal(signal.SIGTERM)
    start_embedded(home)
    stop_embedded(home)
    assert signal.getsignal(signal.SIGTERM) == before


def test_forked_children_do_not_take_the_lease_with_them(home: Path, client: Starter) -> None:
    """Children that come and go, with and without exit handlers, leave the parent's lease whole; the parent stops the server."""
    parent = client(home, "fork")
    assert parent.told()["value"] == 1
    late = client(home)
    late.told()
    late.leave()  # would stop the server if the parent's lease were gone
    assert embedded_status(home).running
    parent.leave()
    assert gone(home)


def test_a_child_that_outlives_its_parent_keeps_the_server_and_stops_it(home: Path, client: Starter) -> None:
    """The lease belongs to whichever of parent and forked child ends later."""
    family = client(home, "heir")
    heir = family.told()["client"]
    assert family.process.wait(60) == 0
    assert heir != family.process.pid
    assert embedded_status(home).running
    assert family.process.stdin is not None
    family.process.stdin.close()
    assert gone(home)


# --- crashes and leftovers


def test_a_killed_postmaster_is_replaced_with_all_that_was_committed(home: Path) -> None:
    """SIGKILL of the postmaster: the next start, in a process that held a lease all along, recovers what was flushed."""
    server = start_embedded(home)
    commit_row(server)
    pid = embedded_status(home).pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    again = start_embedded(home)
    assert scalar(again.admin_url, "select answer from kept") == 42
    assert embedded_status(home).pid != pid


@pytest.mark.parametrize("alive", [True, False], ids=["living", "zombie"])
def test_a_stale_pid_file_with_the_pid_of_another_program(home: Path, alive: bool) -> None:
    """A pid file left by a killed server whose pid is now a `sleep`, or a zombie, hinders no start and harms no process."""
    server = start_embedded(home)
    stop_embedded(home)
    with subprocess.Popen(["sleep", "300" if alive else "0"]) as stranger, ExitStack() as after:
        after.callback(stranger.kill)
        if not alive:
            os.waitid(os.P_PID, stranger.pid, os.WEXITED | os.WNOWAIT)
        server.socket_dir.mkdir(mode=0o700)
        (server.socket_dir / ".s.PGSQL.5432").touch()
        (server.socket_dir / ".s.PGSQL.5432.lock").write_text(f"{stranger.pid}\n")
        lines = [stranger.pid, server.data_dir, 1700000000, 5432, server.socket_dir, "", "  1234567         3", "ready   "]
        (server.data_dir / "postmaster.pid").write_text("".join(f"{line}\n" for line in lines))
        assert scalar(start_embedded(home).admin_url, "select 1") == 1
        stop_embedded(home)
        assert gone(home)
        assert (stranger.poll() is None) == alive


def test_an_interrupted_initdb_is_started_over(new_home: Path) -> None:
    """What a killed first start left beside the data folder is cleared; the data folder is whole or absent."""
    draft = new_home / "postgres" / "data.init.999999"
    draft.mkdir(parents=True)
    (draft / "PG_VERSION").write_text("18\n")
    assert scalar(start_embedded(new_home).admin_url, "select 1") == 1
    assert not list((new_home / "postgres").glob("data.init.*"))


def test_a_start_killed_at_any_time_is_picked_up(new_home: Path, client: Starter) -> None:
    """SIGKILL in the middle of the first start, wherever it was: the next one comes up, alone."""
    for wait_s in (0.45, 0.6, 0.8, 1.0):
        victim = client(new_home)
        time.sleep(wait_s)  # the claim is about arbitrary instants, nothing waits for this one
        victim.end(signal.SIGKILL)
    survivor = client(new_home, query="select count(*) from pg_database where datname = 'pay_ready'")
    assert survivor.told()["value"] == 1
    survivor.leave()
    assert gone(new_home)


def test_a_start_that_is_terminated_leaves_no_server(new_home: Path, client: Starter) -> None:
    """SIGTERM in the middle of the first start, wherever it was: nothing stays behind."""
    for wait_s in (0.5, 0.7, 0.9):
        victim = client(new_home)
        time.sleep(wait_s)  # as above
        victim.end(signal.SIGTERM)
        assert gone(new_home)


def test_a_folder_deleted_under_its_server_and_made_again_is_a_new_one(home: Path, client: Starter) -> None:
    """The server of a deleted state folder is never taken for the new folder's."""
    killed = client(home)
    old_pid = killed.told()["pid"]
    assert isinstance(old_pid, int)
    killed.end(signal.SIGKILL)
    old_socket_dir = embedded_status(home).socket_dir
    assert old_socket_dir is not None
    delete(home)
    try:
        fresh = client(home, query="select count(*) from pg_stat_user_tables")
        assert fresh.told()["pid"] != old_pid
        fresh.leave()
        assert gone(home)
    finally:
        put_down(old_pid, old_socket_dir)


@pytest.mark.parametrize("again", [True, False], ids=["started again", "given back"])
def test_a_folder_deleted_by_its_own_process(home: Path, again: bool) -> None:
    """A lease on a folder that is no more is given back without a word, and is no lease on the folder made anew."""
    server = start_embedded(home)
    pid = embedded_status(home).pid
    assert pid is not None
    delete(home)
    if again:
        assert start_embedded(home).socket_dir != server.socket_dir
        assert embedded_locks.is_held(state_root(home) / "lease.lock")
    stop_embedded(home)
    assert gone(home)
    put_down(pid, server.socket_dir)


def test_a_busy_launcher_is_waited_for_and_then_reported(tmp_path: Path) -> None:
    """Who waits in vain for another process is told to come back; the lock is named."""
    lock = tmp_path / "start.lock"
    with ExitStack() as held, embedded_locks.exclusive(lock, timeout_s=0), pytest.raises(RetryLaterError, match=r"start\.lock"):
        held.enter_context(embedded_locks.exclusive(lock, timeout_s=0.05))
