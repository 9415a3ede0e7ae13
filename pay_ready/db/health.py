"""What doctor asks the server: each question gives one finding, and a failing one its fix."""

import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import psycopg

from pay_ready.db.connect import connected
from pay_ready.db.failures import translated
from pay_ready.db.migrate import migration_status
from pay_ready.db.queries import in_schema
from pay_ready.errors import PayReadyError

OLDEST_SERVER = 150_000
LOW_DISK_BYTES = 2 * 1024**3
_NO_TENANT = ("42704", "22P02")  # the setting is unknown, or empty
EXTENSIONS = ("vector", "pg_trgm", "unaccent", "pg_stat_statements")


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One line of doctor."""

    check: str
    state: Literal["ok", "warn", "fail"]
    found: str
    fix: str = ""
    details: Sequence[str] = ()  # the lines below it, worst first


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """The database to look at; without an administrator's URL some checks are left out and say so."""

    app_url: str
    admin_url: str | None
    schema: str
    erasure_url: str | None = None


def examine(place: Place) -> list[Finding]:
    """All findings about the database. One failing check does not hide the others."""
    checks: Sequence[tuple[str, Callable[[Place], Finding]]] = (
        ("server", _server),
        ("app role", _app_role),
        ("roles", _roles),
        ("erasure login", _erasure_login),
        ("migrations", _migrations),
        ("row security", _row_security),
        ("row security, live", _row_security_live),
        ("extensions", _extensions),
    )
    return [guarded(name, partial(check, place)) for name, check in checks]


def disk(folder: Path) -> Finding:
    """Free space where data grows."""
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    found = f"{free / 1024**3:.1f} GiB free"
    if free < LOW_DISK_BYTES:
        return Finding(check="disk", state="warn", found=found, fix="free some space: a full disk stops every sync")
    return Finding(check="disk", state="ok", found=found)


def guarded(name: str, check: Callable[[], Finding]) -> Finding:
    """A check's finding; an error of ours or the database's becomes one."""
    try:
        return check()
    except PayReadyError as error:
        return Finding(check=name, state="fail", found=error.what, fix=error.hint)
    except psycopg.Error as error:
        failure = translated(error)
        return Finding(check=name, state="fail", found=failure.what, fix=failure.hint or "look into the server's log")


@contextmanager
def _connected(url: str) -> Iterator[psycopg.Connection[Any]]:
    with connected(url, variable="PAY_READY_DATABASE_URL") as connection:
        yield connection


def _server(place: Place) -> Finding:
    with _connected(place.app_url) as connection:
        version, encoding = connection.info.server_version, connection.info.parameter_status("server_encoding")
    found = f"PostgreSQL {version // 10_000}.{version % 10_000}, {encoding}"
    if version < OLDEST_SERVER:
        return Finding(check="server", state="fail", found=found, fix="use PostgreSQL 15 or newer")
    if encoding != "UTF8":
        return Finding(check="server", state="fail", found=found, fix="create the database with encoding UTF8")
    return Finding(check="server", state="ok", found=found)


def _app_role(place: Place) -> Finding:
    app_role = in_schema("pay_ready_app", place.schema)
    with _connected(place.app_url) as connection:
        row = connection.execute(
            "select rolname, rolsuper or rolbypassrls, rolcreaterole or rolcreatedb,"
            " exists (select from pg_auth_members join pg_roles as granted on granted.oid = roleid"
            " where member = pg_roles.oid and granted.rolname = %s) from pg_roles where rolname = current_user",
            (app_role,),
        ).fetchone()
    name, bypasses, powerful, member = row or ("?", True, True, False)
    if bypasses:
        fix = "connect the app as another role: pay-ready migrate --app-login NAME"
        return Finding(check="app role", state="fail", found=f"{name} bypasses row security", fix=fix)
    if not member and name != app_role:
        return Finding(check="app role", state="fail", found=f"{name} is no member of {app_role}", fix=f"grant {app_role} to {name}")
    if powerful:
        fix = f"alter role {name} nocreaterole nocreatedb"
        return Finding(check="app role", state="warn", found=f"{name} may create roles or databases", fix=fix)
    return Finding(check="app role", state="ok", found=f"{name}, member of {app_role}")


def _erasure_login(place: Place) -> Finding:
    fix = "as an administrator: pay-ready migrate --erasure-login NAME; put its URL into PAY_READY_ERASURE_DATABASE_URL"
    if place.erasure_url is None:
        return Finding(check="erasure login", state="warn", found="none: nobody can be erased", fix=fix)
    role = in_schema("pay_ready_erasure", place.schema)
    with _connected(place.erasure_url) as connection:
        row = connection.execute(
            "select rolname, rolsuper or rolbypassrls, exists (select from pg_auth_members join pg_roles as granted on granted.oid = roleid"
            " where member = pg_roles.oid and granted.rolname = %(role)s) from pg_roles where rolname = current_user",
            {"role": role},
        ).fetchone()
    name, bypasses, member = row or ("?", True, False)
    if bypasses:
        return Finding(check="erasure login", state="fail", found=f"{name} bypasses row security", fix=fix)
    if not member:
        return Finding(check="erasure login", state="fail", found=f"{name} is no member of {role}", fix=f"grant {role} to {name}")
    return Finding(check="erasure login", state="ok", found=f"{name}, member of {role}")


def _roles(place: Place) -> Finding:
    wanted = [in_schema(f"pay_ready_{role}", place.schema) for role in ("owner", "app", "operator", "readonly_bi", "erasure", "search")]
    with _connected(place.app_url) as connection:
        rows = connection.execute("select rolname, rolcanlogin, rolsuper from pg_roles where rolname = any(%s)", (wanted,)).fetchall()
    missing = sorted(set(wanted) - {row[0] for row in rows})
    if missing:
        return Finding(check="roles", state="fail", found=f"missing: {', '.join(missing)}", fix="run: pay-ready migrate")
    if loud := [row[0] for row in rows if row[1] or row[2]]:
        return Finding(check="roles", state="warn", found=f"may log in: {', '.join(loud)}", fix=f"alter role {loud[0]} nologin nosuperuser")
    return Finding(check="roles", state="ok", found=f"{len(wanted)} roles, none of which may log in")


def _migrations(place: Place) -> Finding:
    if place.admin_url is None:
        return Finding(check="migrations", state="warn", found="not looked at", fix="set PAY_READY_ADMIN_DATABASE_URL")
    status = migration_status(place.admin_url, place.schema)
    if status.pending:
        return Finding(check="migrations", state="fail", found=f"{len(status.pending)} pending", fix="run: pay-ready migrate")
    return Finding(check="migrations", state="ok", found=f"{len(status.applied)} applied, none pending")


_UNPROTECTED = """
select string_agg(relname, ', ' order by relname), count(*)
from pg_class
where relnamespace = 'pay_ready'::regnamespace and relkind in ('r', 'p') and relname <> 'schema_migrations'
  and not (relrowsecurity and relforcerowsecurity and exists (
      select from pg_policy where polrelid = pg_class.oid and polname = 'tenant_isolation' and polcmd = '*'))
"""
_TABLES = """
select count(*) from pg_class
where relnamespace = 'pay_ready'::regnamespace and relkind in ('r', 'p') and relname <> 'schema_migrations'
"""


def _row_security(place: Place) -> Finding:
    with _connected(place.app_url) as connection:
        unprotected = connection.execute(in_schema(_UNPROTECTED, place.schema)).fetchone()
        tables = connection.execute(in_schema(_TABLES, place.schema)).fetchone()
    if unprotected and unprotected[1]:
        fix = "as an administrator: call pay_ready.protect_table('<table>')"
        return Finding(check="row security", state="fail", found=f"open: {unprotected[0]}", fix=in_schema(fix, place.schema))
    return Finding(check="row security", state="ok", found=f"{tables[0] if tables else 0} tables enabled, forced, with their policy")


def _row_security_live(place: Place) -> Finding:
    """Without a tenant the app must get an error, never rows."""
    with _connected(place.app_url) as connection:
        try:
            connection.execute(in_schema("select count(*) from pay_ready.tenants", place.schema))
        except psycopg.Error as error:
            if error.sqlstate in _NO_TENANT:
                return Finding(check="row security, live", state="ok", found=f"no tenant, no rows ({error.sqlstate})")
            raise translated(error) from None
    fix = "look at the policies, and at the role that PAY_READY_DATABASE_URL names"
    return Finding(check="row security, live", state="fail", found="rows without a tenant", fix=fix)


def _extensions(place: Place) -> Finding:
    with _connected(place.app_url) as connection:
        rows = connection.execute(
            "select name, installed_version is not null from pg_available_extensions where name = any(%s)", (list(EXTENSIONS),)
        ).fetchall()
    available = {row[0]: row[1] for row in rows}
    words = [f"{name} {'installed' if available[name] else 'available'}" if name in available else f"no {name}" for name in EXTENSIONS]
    if "vector" not in available:
        fix = "optional: install pgvector for quicker search by meaning"
        return Finding(check="extensions", state="warn", found=", ".join(words), fix=fix)
    return Finding(check="extensions", state="ok", found=", ".join(words))
