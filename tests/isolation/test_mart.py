"""The mart shows what the tables would: one tenant's rows, to the app and the BI role alone; every column says what it holds."""

import re
from typing import Any

import psycopg
from psycopg import errors as pg
from psycopg import sql

from pay_ready.db.mart import VIEWS, mart_schema
from pay_ready.db.queries import load_queries

from .attacks import UNSET
from .conftest import Filled, enter

MART = "pay_ready_mart"


def test_every_view_asks_as_its_reader_and_every_column_is_described(administrator: psycopg.Connection[Any]) -> None:
    """security_invoker and security_barrier on each, a meaning on each view, "class: meaning" on each column; nothing but views."""
    relations = administrator.execute(
        "select relname, relkind::text, reloptions, obj_description(oid), pg_get_userbyid(relowner) from pg_class"
        " where relnamespace = %s::regnamespace order by relname",
        (MART,),
    ).fetchall()
    assert [row[0] for row in relations] == sorted(VIEWS)
    for name, kind, options, meaning, owner in relations:
        assert (kind, set(options or ()), owner) == ("v", {"security_invoker=true", "security_barrier=true"}, "pay_ready_owner"), name
        assert meaning, name
    columns = administrator.execute(
        "select c.relname || '.' || a.attname, col_description(c.oid, a.attnum) from pg_class as c"
        " join pg_attribute as a on a.attrelid = c.oid and a.attnum > 0 where c.relnamespace = %s::regnamespace",
        (MART,),
    ).fetchall()
    assert [name for name, told in columns if not re.match(r"(public|internal|personal): \S", told or "")] == []
    names = re.compile(r".*\.(name|email|phone|title|subject|company_name)")
    assert [name for name, told in columns if names.fullmatch(name) and not told.startswith("personal: ")] == []


def test_each_role_reads_its_tenant_alone(administrator: psycopg.Connection[Any], filled: Filled) -> None:
    """App and BI role: own rows, no foreign ones, an error without a tenant. Every other role: denied. Nobody writes."""
    first, second = filled.world.first, filled.world.second
    with administrator.transaction(force_rollback=True):
        for role in ("app", "readonly_bi", "operator", "erasure", "search"):
            for view in VIEWS:
                target = sql.Identifier(MART, view)
                is_reader = role in ("app", "readonly_bi")
                enter(administrator, first)
                rows = attempt(administrator, role, sql.SQL("select tenant_id, * from {}").format(target))
                if not is_reader:
                    assert isinstance(rows, pg.InsufficientPrivilege), f"{role}: {view}"
                    continue
                assert isinstance(rows, list), f"{role}: {view}: {rows}"
                assert rows or view == "interactions", f"{role}: {view} shows nothing"
                assert {row[0] for row in rows} <= {first.tenant_id}, f"{role}: {view}"
                assert second.canary not in str(rows)
                foreign = sql.SQL("select 1 from {} where tenant_id = {}").format(target, sql.Literal(second.tenant_id))
                assert attempt(administrator, role, foreign) == [], f"{role}: {view}"
                written = attempt(administrator, role, sql.SQL("update {} set tenant_id = tenant_id").format(target))
                assert isinstance(written, psycopg.Error), f"{role}: {view}"
                administrator.execute("select set_config('app.tenant_id', '', true)")
                assert isinstance(attempt(administrator, role, sql.SQL("select 1 from {}").format(target)), UNSET), f"{role}: {view}"


def attempt(connection: psycopg.Connection[Any], role: str, statement: sql.Composable) -> list[Any] | psycopg.Error:
    """What a role gets to see, or the error."""
    try:
        with connection.transaction(force_rollback=True):
            connection.execute(sql.SQL("set local role {}").format(sql.Identifier(f"pay_ready_{role}")))
            cursor = connection.execute(statement)
            return cursor.fetchall() if cursor.description else []
    except psycopg.Error as error:
        return error


def test_another_domain_has_its_own() -> None:
    """The name of the mart follows the domain's, and so do its statements."""
    assert mart_schema("paragon") == "paragon_mart"
    assert "from paragon_mart.people" in load_queries("paragon")["mart.people"].sql
    assert "pay_ready" not in load_queries("paragon")["mart.standing"].sql
