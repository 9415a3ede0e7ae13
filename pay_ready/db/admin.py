"""What an administrator's URL is for: the app's login, the list of tenants, and doctor's look at the server."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg
from psycopg import sql
from psycopg.rows import namedtuple_row

from pay_ready.db.connect import connected
from pay_ready.db.queries import SCHEMA, in_schema
from pay_ready.errors import UsageError
from pay_ready.model.ids import TenantId


@dataclass(frozen=True, slots=True, kw_only=True)
class TenantListing:
    """What the operator may know of a tenant."""

    tenant_id: TenantId
    slug: str
    name: str
    status: str
    created_at: datetime


@contextmanager
def admin_connection(admin_url: str) -> Iterator[psycopg.Connection[Any]]:
    """An autocommit connection of the administrator, for catalogue queries and grants; never for tenants' rows."""
    with connected(admin_url, variable="PAY_READY_ADMIN_DATABASE_URL") as connection:
        yield connection


def list_tenants(admin_url: str, schema: str = SCHEMA) -> Sequence[TenantListing]:
    """All tenants of a domain, read as the operator role, which sees nothing else."""
    statement = in_schema("select tenant_id, slug, name, status, created_at from pay_ready.tenants order by slug", schema)
    with admin_connection(admin_url) as connection, connection.transaction():
        connection.execute(sql.SQL("set local role {}").format(sql.Identifier(in_schema("pay_ready_operator", schema))))
        cursor: psycopg.Cursor[Any] = connection.cursor(row_factory=namedtuple_row)
        return [
            TenantListing(tenant_id=row.tenant_id, slug=row.slug, name=row.name, status=row.status, created_at=row.created_at)
            for row in cursor.execute(statement)
        ]


def login_exists(admin_url: str, login: str) -> bool:
    """Whether the server has a role of that name."""
    with admin_connection(admin_url) as connection:
        return connection.execute("select 1 from pg_roles where rolname = %s", (login,)).fetchone() is not None


def grant_app(admin_url: str, login: str, schema: str = SCHEMA, *, password: str | None = None) -> None:
    """Make `login` a member of the app role; with a password, make the login first when it is absent.

    Raises:
        UsageError: The login is absent and no password was given.
    """
    _grant(admin_url, login, [in_schema("pay_ready_app", schema)], password, option="--app-login")


def grant_erasure(admin_url: str, login: str, schema: str = SCHEMA, *, password: str | None = None) -> None:
    """As `grant_app`, of a login that may delete history, too: the app works without it.

    Raises:
        UsageError: The login is absent and no password was given.
    """
    roles = [in_schema(role, schema) for role in ("pay_ready_app", "pay_ready_erasure")]
    _grant(admin_url, login, roles, password, option="--erasure-login")


def _grant(admin_url: str, login: str, roles: Sequence[str], password: str | None, *, option: str) -> None:
    absent = not login_exists(admin_url, login)
    if absent and password is None:
        raise UsageError("no such login", f"let it be made: pay-ready migrate {option} NAME", login=login)
    with admin_connection(admin_url) as connection:
        if absent:
            connection.execute(
                sql.SQL("create role {} login nosuperuser nocreatedb nocreaterole nobypassrls password {}").format(
                    sql.Identifier(login), sql.Literal(password)
                )
            )
        for role in roles:
            connection.execute(sql.SQL("grant {} to {}").format(sql.Identifier(role), sql.Identifier(login)))
