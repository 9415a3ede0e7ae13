"""The runner: once, in order, whole, and never over a changed past."""

import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from uuid import UUID

import psycopg
import pytest

from pay_ready.db.migrate import migrate, migration_status, read_migrations
from pay_ready.errors import CheckFailedError, ConfigError, RetryLaterError

from ..conftest import Scratch
from .catalogue_dump import dump_of
from .conftest import SHIPPED, applied, next_file

Start = Callable[[str, Path], "subprocess.Popen[str]"]
NAMES = [migration.name for migration in read_migrations(SHIPPED)]


def test_a_second_run_changes_nothing(empty_database: Scratch) -> None:
    """The first run applies every file, the second none; the catalogue is the same, and status says so without changing anything."""
    url = empty_database.admin_url
    assert migration_status(url).pending == tuple(NAMES)
    seen: list[str] = []
    migrate(url, on_applied=seen.append)
    first = dump_of(url)
    migrate(url, on_applied=seen.append)
    assert seen == NAMES == applied(url)
    assert dump_of(url) == first
    status = migration_status(url)
    assert (status.applied, status.pending) == (tuple(NAMES), ())


def test_a_lost_ledger_is_made_again(empty_database: Scratch, expected: list[str]) -> None:
    """Every file is idempotent: run over a database that has it all, it changes nothing."""
    migrate(empty_database.admin_url)
    with psycopg.connect(empty_database.admin_url) as admin:
        admin.execute("delete from pay_ready.schema_migrations")
    migrate(empty_database.admin_url)
    assert dump_of(empty_database.admin_url) == expected


def test_four_runners_at_once_apply_each_file_once(empty_database: Scratch, expected: list[str], run_apart: Start) -> None:
    """Four processes: all succeed, and each file was applied by one of them."""
    runners = [run_apart(empty_database.admin_url, SHIPPED) for _ in range(4)]
    outputs = [runner.communicate(timeout=120) for runner in runners]
    assert [runner.returncode for runner in runners] == [0] * 4, [errors for _, errors in outputs]
    assert sorted(name for text, _ in outputs for name in text.split()) == NAMES
    assert dump_of(empty_database.admin_url) == expected


def test_a_runner_killed_inside_a_file_leaves_no_half(empty_database: Scratch, folder: Path, run_apart: Start) -> None:
    """SIGKILL in the middle of a file: nothing of it is there, the lock is free within seconds, the next run completes."""
    slow = next_file(folder, "slow", "create table pay_ready.half (x int);\nselect pg_sleep(60);\n")
    runner = run_apart(empty_database.admin_url, folder)
    with psycopg.connect(empty_database.admin_url, autocommit=True) as admin:
        wait_until(admin, "select exists (select from pg_stat_activity where datname = current_database() and query like '%%pg_sleep(60)%%'"
                          " and pid <> pg_backend_pid() and wait_event = 'PgSleep')")  # fmt: skip
        runner.kill()
        runner.wait()
        slow.write_text("create table pay_ready.half (x int);\n", "utf-8")
        assert migrate(empty_database.admin_url, folder=folder, wait_s=20).pending == ()
        assert admin.execute("select count(*) from pay_ready.half").fetchone() == (0,)
    assert applied(empty_database.admin_url) == [*NAMES, slow.name]


def test_a_file_that_fails_leaves_no_half(empty_database: Scratch, folder: Path) -> None:
    """An error in the last statement takes back the first; the files before it stay."""
    next_file(folder, "broken", "create table pay_ready.half (x int);\nselect 1 / 0;\n")
    with pytest.raises(Exception, match=r"division by zero - file=\d+_broken\.sql"):
        migrate(empty_database.admin_url, folder=folder)
    assert applied(empty_database.admin_url) == NAMES
    assert not any("'half'" in line for line in dump_of(empty_database.admin_url))


def test_an_edited_file_is_refused_by_name(scratch: Scratch, folder: Path) -> None:
    """One character in a file that was applied, and nothing is done; line ends do not count."""
    for path in folder.glob("*.sql"):
        path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    assert migrate(scratch.admin_url, folder=folder).pending == ()
    victim = folder / NAMES[2]
    victim.write_text(victim.read_text("utf-8") + "-- more\n", "utf-8")
    next_file(folder, "next", "create table pay_ready.never (x int);\n")
    for look in (migrate, migration_status):
        with pytest.raises(CheckFailedError, match=f"edited - file={NAMES[2]}"):
            look(scratch.admin_url, folder=folder)
    assert applied(scratch.admin_url) == NAMES


def test_a_missing_file_is_refused_by_name(scratch: Scratch, folder: Path) -> None:
    """An applied file under another name is missing; a number left out is a gap; both are named."""
    (folder / NAMES[3]).rename(folder / "0004_renamed.sql")
    with pytest.raises(CheckFailedError, match=f"missing - file={NAMES[3]}"):
        migrate(scratch.admin_url, folder=folder)
    (folder / "0004_renamed.sql").unlink()
    with pytest.raises(ConfigError, match=f"gap or a double - file={NAMES[4]}, expected=0004"):
        migrate(scratch.admin_url, folder=folder)


def test_a_doubled_number_and_a_bad_name_are_refused(scratch: Scratch, folder: Path) -> None:
    """Two files with one number, and a file that is not called NNNN_words.sql."""
    double = folder / "0004_another.sql"
    double.write_text("select 1;\n", "utf-8")
    with pytest.raises(ConfigError, match="gap or a double"):
        migrate(scratch.admin_url, folder=folder)
    double.rename(folder / "0004-Another.sql")
    with pytest.raises(ConfigError, match=r"file=0004-Another\.sql"):
        migrate(scratch.admin_url, folder=folder)


def test_a_newer_database_is_refused_by_name(scratch: Scratch, folder: Path) -> None:
    """An installation that is older than the database does nothing and says which file it does not know."""
    newest = next_file(folder, "from_the_future", "select 1;\n")
    migrate(scratch.admin_url, folder=folder)
    with pytest.raises(CheckFailedError, match=f"newer than this installation - file={newest.name}"):
        migrate(scratch.admin_url)


def test_a_gap_in_the_ledger_is_refused(scratch: Scratch) -> None:
    """A ledger from which a row was taken is not trusted."""
    with psycopg.connect(scratch.admin_url) as admin:
        admin.execute("delete from pay_ready.schema_migrations where version = 2")
    with pytest.raises(CheckFailedError, match="missing"):
        migrate(scratch.admin_url)


def test_a_waiting_runner_gives_up_in_time(scratch: Scratch) -> None:
    """While another holds the lock, a runner waits as long as it was told and says that it may be tried again."""
    with psycopg.connect(scratch.admin_url, autocommit=True) as admin:
        admin.execute("select pg_advisory_lock(hashtextextended('pay_ready.migrate:pay_ready', 0))")
        with pytest.raises(RetryLaterError, match="another migration is running"):
            migrate(scratch.admin_url, wait_s=0.2)


def test_a_concurrent_index_is_built_while_others_wait(scratch: Scratch, folder: Path, run_apart: Start) -> None:
    """Three runners poll for the lock while the first builds an index CONCURRENTLY: no deadlock, built once, valid."""
    new = next_file(
        folder,
        "index",
        "-- pay_ready:no-transaction\n-- Two statements, each by itself.\nset role pay_ready_owner;\n"
        "create index concurrently if not exists tenants_by_name on pay_ready.tenants (tenant_id, name);\nselect pg_sleep(1);\n",
    )
    runners = [run_apart(scratch.admin_url, folder) for _ in range(4)]
    outputs = [runner.communicate(timeout=60) for runner in runners]
    assert [runner.returncode for runner in runners] == [0] * 4, [errors for _, errors in outputs]
    assert "".join(text for text, _ in outputs).split() == [new.name]
    assert any("tenants_by_name" in line and line.endswith("True)") for line in dump_of(scratch.admin_url))


def test_a_half_built_index_is_not_passed_over(scratch: Scratch, folder: Path) -> None:
    """A concurrent build that failed leaves an invalid index, and `if not exists` would call it done: it is refused by name."""
    with psycopg.connect(scratch.admin_url) as admin:
        for tenant in (1, 2):
            admin.execute(
                "insert into pay_ready.tenants (tenant_id, slug, name) values (%s, 'a', 'same')",
                (UUID(int=tenant),),
            )
    next_file(
        folder,
        "unique",
        "-- pay_ready:no-transaction\ncreate unique index concurrently if not exists one_name on pay_ready.tenants (name);\n",
    )
    with pytest.raises(Exception, match="could not create unique index"):
        migrate(scratch.admin_url, folder=folder)
    with pytest.raises(CheckFailedError, match=r"half built.*drop index concurrently pay_ready\.one_name"):
        migrate(scratch.admin_url, folder=folder)
    with psycopg.connect(scratch.admin_url, autocommit=True) as admin:
        admin.execute("drop index concurrently pay_ready.one_name")
        admin.execute("update pay_ready.tenants set name = slug || tenant_id")
    assert migrate(scratch.admin_url, folder=folder).pending == ()


def wait_until(connection: "psycopg.Connection[tuple[object, ...]]", question: str, seconds: float = 30) -> None:
    """Ask until the answer is true."""
    give_up_at = time.monotonic() + seconds
    while connection.execute(question.replace("%%", "%")).fetchone() != (True,):
        assert time.monotonic() < give_up_at, question
        time.sleep(0.02)
