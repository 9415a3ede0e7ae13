"""The same files in other places: another domain's schema, an administrator who is no superuser, an older server."""

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql

from pay_ready.db.admin import grant_app, list_tenants
from pay_ready.db.migrate import migrate, migration_status
from pay_ready.db.tenancy import Database, PoolOptions
from pay_ready.errors import ConfigError, DeniedError

from ..conftest import Scratch, Server, on_database
from .catalogue_dump import dump_of
from .conftest import applied, smoke

INSTALLED = Path("/usr/lib/postgresql")  # where Debian and its kin put each major version
OLD_SERVERS = [
    pytest.param(major, marks=pytest.mark.skipif(not (INSTALLED / str(major) / "bin/initdb").exists(), reason=f"no Postgres {major} here"))
    for major in (15, 16, 17)
]  # fmt: skip


def test_another_domain_in_the_same_database(scratch: Scratch, expected: list[str]) -> None:
    """`paragon` gets the same tables in its own schema under its own roles, and passes the same smoke test."""
    migrate(scratch.admin_url, "paragon")
    login = urlsplit(scratch.app_url).username or ""
    grant_app(scratch.admin_url, login, "paragon")
    smoke(scratch.app_url, "paragon")
    smoke(scratch.app_url)
    assert applied(scratch.admin_url, "paragon") == applied(scratch.admin_url)
    assert dump_of(scratch.admin_url) == expected, "the first domain is as it was"
    renamed = sorted(line.replace("pay_ready", "paragon") for line in expected)
    # Constraint and index names say the table, not the schema: nothing but the one name differs.
    assert sorted(dump_of(scratch.admin_url, "paragon")) == renamed
    assert len(list_tenants(scratch.admin_url, "paragon")) == 2 == len(list_tenants(scratch.admin_url))


def test_domains_do_not_see_each_other(scratch: Scratch) -> None:
    """Rows of one domain are not rows of the other, and one domain's roles have no right in the other's schema."""
    migrate(scratch.admin_url, "paragon")
    smoke(scratch.app_url)
    assert list_tenants(scratch.admin_url, "paragon") == []
    with psycopg.connect(scratch.admin_url) as admin:
        for role in ("app", "operator", "readonly_bi", "erasure", "search"):
            for mine, other in (("pay_ready", "paragon"), ("paragon", "pay_ready")):
                row = admin.execute("select has_schema_privilege(%s, %s, 'usage')", (f"{mine}_{role}", other)).fetchone()
                assert row == (False,), f"{mine}_{role} in {other}"
        crossing = admin.execute(
            "select p.proname from pg_proc as p where p.pronamespace = 'paragon'::regnamespace and p.prosrc like '%%pay_ready%%'"
            " union all select v.viewname from pg_views as v where v.schemaname = 'paragon' and v.definition like '%%pay_ready%%'"
        ).fetchall()
    assert crossing == []


@pytest.mark.parametrize("schema", ["", "Pay", "pay-ready", "1st", "pay_ready; drop schema x", "x" * 32, "pay.ready", "päy"])
def test_a_schema_is_a_plain_name(scratch: Scratch, schema: str) -> None:
    """Anything that is not a short lower-case name never reaches the database."""
    for look in (migrate, migration_status):
        with pytest.raises(ConfigError, match="not a schema name"):
            look(scratch.admin_url, schema)


@pytest.fixture
def ordinary(server: Server) -> Iterator[tuple[str, str, str]]:
    """URL of an administrator who may make roles and owns a database, and no more; a schema name and a login of his own."""
    word = f"adm{uuid4().hex[:10]}"
    roles = [f"{word}_{role}" for role in ("owner", "app", "operator", "readonly_bi", "erasure", "search")]
    with psycopg.connect(server.admin_url, autocommit=True) as superuser:
        superuser.execute(
            sql.SQL("create role {} login createrole nosuperuser nobypassrls password 'x'").format(sql.Identifier(f"{word}_boss"))
        )
        superuser.execute(sql.SQL("create database {} owner {}").format(sql.Identifier(word), sql.Identifier(f"{word}_boss")))
    try:
        yield as_login(on_database(server.admin_url, word), f"{word}_boss"), word, f"{word}_login"
    finally:
        with psycopg.connect(server.admin_url, autocommit=True) as superuser:
            superuser.execute(sql.SQL("drop database {} with (force)").format(sql.Identifier(word)))
            for role in (f"{word}_login", *roles, f"{word}_boss"):
                superuser.execute(sql.SQL("drop role if exists {}").format(sql.Identifier(role)))


def test_an_administrator_who_is_no_superuser(ordinary: tuple[str, str, str], server: Server) -> None:
    """CREATEROLE and a database of one's own suffice to migrate (twice), to make the app's login and to list tenants."""
    admin_url, schema, login = ordinary
    migrate(admin_url, schema)
    first = dump_of(admin_url, schema)
    migrate(admin_url, schema)
    assert dump_of(admin_url, schema) == first
    with pytest.raises(DeniedError, match="no member of the app role"):
        Database(on_database(server.app_url, schema), PoolOptions(max_size=1), schema).open()
    grant_app(admin_url, login, schema, password="x")
    smoke(as_login(admin_url, login), schema)
    assert len(list_tenants(admin_url, schema)) == 2


def test_roles_that_somebody_else_made_suffice(ordinary: tuple[str, str, str], server: Server) -> None:
    """Where a superuser made the roles and took CREATEROLE away, membership is enough."""
    admin_url, schema, _ = ordinary
    with psycopg.connect(server.admin_url, autocommit=True) as superuser:
        for role in ("owner", "app", "operator", "readonly_bi", "erasure", "search"):
            superuser.execute(sql.SQL("create role {} nologin").format(sql.Identifier(f"{schema}_{role}")))
        for role in ("owner", "operator"):
            superuser.execute(sql.SQL("grant {} to {}").format(sql.Identifier(f"{schema}_{role}"), sql.Identifier(f"{schema}_boss")))
        superuser.execute(sql.SQL("alter role {} nocreaterole").format(sql.Identifier(f"{schema}_boss")))
    migrate(admin_url, schema)
    assert list_tenants(admin_url, schema) == []


@pytest.mark.parametrize("major", OLD_SERVERS)
def test_an_older_server_takes_the_same_files(major: int) -> None:
    """Postgres 15 and later: migrate twice, the smoke test, and another domain."""
    with running(INSTALLED / str(major) / "bin") as admin_url:
        migrate(admin_url)
        first = dump_of(admin_url)
        migrate(admin_url)
        migrate(admin_url, "paragon")
        assert dump_of(admin_url) == first
        grant_app(admin_url, "app_login", password="x")
        grant_app(admin_url, "app_login", "paragon")
        smoke(as_login(admin_url, "app_login"))
        smoke(as_login(admin_url, "app_login"), "paragon")


@contextmanager
def running(binaries: Path) -> Iterator[str]:
    """A server of its own in a short-lived folder; the administrator's URL."""
    home = Path(tempfile.mkdtemp(prefix="pr-old-"))
    # A server refuses to be root: in a user namespace it is nobody inside and owns what root made outside.
    drop = ["unshare", "--user", "--map-user=65534", "--map-group=65534"] if os.geteuid() == 0 else []
    data, log = home / "data", home / "log"
    options = f"-c listen_addresses='' -c unix_socket_directories={home} -c fsync=off -c max_connections=20"
    try:
        _done(
            [*drop, str(binaries / "initdb"), "-D", str(data), "-U", "boss", "-A", "trust", "-E", "UTF8", "--no-locale", "--no-sync"], log
        )
        _done([*drop, str(binaries / "pg_ctl"), "-D", str(data), "-l", str(home / "server.log"), "-w", "-o", options, "start"], log)
        try:
            yield f"postgresql://boss@/postgres?host={home}"
        finally:
            _done([*drop, str(binaries / "pg_ctl"), "-D", str(data), "-m", "immediate", "-w", "stop"], log)
    finally:
        shutil.rmtree(home, ignore_errors=True)


def _done(command: list[str], log: Path) -> None:
    # To a file: the server inherits a pipe and would keep it open.
    with log.open("ab") as output:
        code = subprocess.run(command, stdout=output, stderr=output, cwd="/", timeout=120, check=False).returncode
    assert code == 0, f"{command}: {log.read_text('utf-8', errors='replace')[-2000:]}"


def as_login(url: str, login: str) -> str:
    """The same URL for another login, whose password is x."""
    parts = urlsplit(url)
    host = re.sub(r"^.*@", "", parts.netloc)
    return urlunsplit(parts._replace(netloc=f"{login}:x@{host}"))
