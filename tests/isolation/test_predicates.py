"""Every named statement ties each of its tables to the tenant by itself, row security aside.

Row security alone already keeps tenants apart, so no result seen by the app's role can show a missing predicate: it
costs the planner its estimate and takes away the second of two guards. Two checks look past row security. The first
reads the statement (Postgres's own parser) and follows the equalities; for every tenant predicate and every tenant
value in every statement there is a mutant without it, and this check must find something. The second runs the
statements as a superuser, whom no policy binds, in a database where both tenants have the same keys: the other
tenant's rows must neither come out nor change. It depends on the rows there are, so it is a witness of the originals,
and no count of mutants is claimed for it.
"""

import re
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from psycopg import sql

from pay_ready.db.queries import load_queries, of_embedder

from .conftest import Filled, enter
from .predicates import PARAMETER, SCHEMA, untied

_PREDICATE = re.compile(r"(?:\w+\.)?tenant_id\s*=\s*(?:%\(tenant_id\)s(?:::uuid)?|\w+\.tenant_id)|%\(tenant_id\)s")
# The least that a run of the second check must get through: parameters are guessed from the rows by name.
LEAST_SHARE_RUN = 0.6


def test_every_statement_ties_every_table() -> None:
    """No table of ours is read, changed or filled without `tenant_id = %(tenant_id)s` or an equality that leads to it."""
    found = {query.name: findings for query in load_queries().values() if (findings := untied(query.sql))}
    assert found == {}


def test_every_predicate_is_needed() -> None:
    """Each tenant predicate taken out (and each tenant value replaced), the check finds a table that is not tied."""
    survivors, count = [], 0
    for query in load_queries().values():
        if has_tables(query.sql):
            for where, text in mutants(query.sql):
                count += 1
                if not untied(text):
                    survivors.append(f"{query.name}: {where}")
    assert survivors == []
    assert count >= len(load_queries()) / 2, "the statements are many, the predicates found are few: has their form changed?"


def has_tables(statement: str) -> bool:
    """Whether a table of ours is in it: without any tenant, it would be untied."""
    return bool(untied(statement.replace("%(tenant_id)s", "%(somebody_else)s")))


def mutants(statement: str) -> Iterator[tuple[str, str]]:
    """The statement without one of its tenant predicates, each in turn."""
    for match in _PREDICATE.finditer(statement):
        instead = "true" if "=" in match[0] else "%(somebody_else)s"
        where = " ".join(statement[max(0, match.start() - 40) : match.end() + 20].split())
        yield where, statement[: match.start()] + instead + statement[match.end() :]


@pytest.mark.parametrize(
    ("statement", "findings"),
    [
        ("select 1 from pay_ready.a where tenant_id = %(tenant_id)s", []),
        ("select 1 from pay_ready.a where tenant_id = %(tenant_id)s or true", ["a as a"]),
        ("select 1 from pay_ready.a where not tenant_id = %(tenant_id)s", ["a as a"]),
        ("select 1 from pay_ready.a where tenant_id <> %(tenant_id)s", ["a as a"]),
        ("select 1 from pay_ready.a as x join pay_ready.b as y using (tenant_id) where x.tenant_id = %(tenant_id)s", []),
        ("select 1 from pay_ready.a as x join pay_ready.b as y using (id) where x.tenant_id = %(tenant_id)s", ["b as y"]),
        ("select 1 from pay_ready.a as x left join pay_ready.b as y on x.tenant_id = %(tenant_id)s", ["a as x", "b as y"]),
        ("select 1 from pay_ready.a as x left join pay_ready.b as y on y.tenant_id = %(tenant_id)s", ["a as x"]),
        ("select 1 from pay_ready.a as x full join pay_ready.b as y on y.tenant_id = %(tenant_id)s", ["a as x", "b as y"]),
        ("select (select 1 from pay_ready.b as y where y.tenant_id = x.tenant_id) from pay_ready.a as x", ["a as x", "b as y"]),
        ("select 1 where exists (select from pay_ready.a)", ["a as a"]),
        ("with c as (select * from pay_ready.a) select 1 from c where c.tenant_id = %(tenant_id)s", ["a as a"]),
        ("insert into pay_ready.a (tenant_id, x) values (%(tenant_id)s, 1), (%(x)s, 2)", ["a: inserted with ParamRef"]),
        ("insert into pay_ready.a (x) values (1)", ["a: inserted without its tenant"]),
        ("insert into pay_ready.a (tenant_id) select b.tenant_id from pay_ready.b", ["b as b"]),
        (
            "insert into pay_ready.a (tenant_id) values (%(tenant_id)s) on conflict (id) do nothing",
            ["a: on conflict over a key without its tenant"],
        ),
        ("update pay_ready.a set x = 1 from pay_ready.b where a.tenant_id = %(tenant_id)s", ["b as b"]),
        ("delete from pay_ready.a using pay_ready.b where b.tenant_id = %(tenant_id)s", ["a as a"]),
        ("select 1 from pay_ready.a where tenant_id = %(tenant_id)s union all select 1 from pay_ready.a", ["a as a"]),
    ],
)  # fmt: skip
def test_the_check_itself(statement: str, findings: list[str]) -> None:
    """What binds a table and what only looks like it."""
    assert untied(statement) == findings


def test_statements_keep_to_the_tenant_even_without_row_security(administrator: psycopg.Connection[Any], filled: Filled) -> None:
    """Run by a superuser with parameters that fit both tenants: no foreign value comes out, no foreign row changes."""
    guesses = guessed_parameters(filled)
    findings, unfit, run = [], [], list[str]()
    with administrator.transaction(force_rollback=True):
        enter(administrator, filled.world.first)  # read by nothing here: a superuser is bound by no policy
        for query in load_queries().values():  # temporary tables first, so that the others find them
            if not has_tables(query.sql) and re.match(r"\s*create temp", query.sql, re.IGNORECASE):
                administrator.execute(query.sql.replace("%%", "%"))
        before = foreign_rows(administrator, filled)
        for query in load_queries().values():
            if not has_tables(query.sql):
                continue
            statement = of_embedder(query.sql, filled.embedder_tag) if filled.embedder_tag else query.sql
            params = {name: guesses.get(name) for name in PARAMETER.findall(statement)}
            try:
                with administrator.transaction(force_rollback=True):
                    cursor = administrator.execute(statement, params | {"tenant_id": filled.world.first.tenant_id})
                    rows = cursor.fetchall() if cursor.description else []
                    if filled.world.second.canary in str(rows) or str(filled.world.second.tenant_id) in str(rows):
                        findings.append(f"{query.name}: gives foreign values")
                    if (
                        cursor.statusmessage
                        and not cursor.statusmessage.startswith("SELECT")
                        and foreign_rows(administrator, filled) != before
                    ):
                        findings.append(f"{query.name}: changes foreign rows")
                    run.append(query.name)
            except psycopg.Error as error:
                unfit.append(f"{query.name}: {type(error).__name__}")  # a guessed parameter did not fit
    assert findings == []
    statements = [query for query in load_queries().values() if has_tables(query.sql)]
    assert len(run) >= LEAST_SHARE_RUN * len(statements), f"only {len(run)} of {len(statements)} statements ran: {unfit}"
    if filled.embedder_tag:
        assert [each for each in unfit if each.startswith("vectors.")] == []


def guessed_parameters(filled: Filled) -> dict[str, str | None]:
    """A value for a parameter by its name: that of the column of the same name, which both tenants have in common."""
    first, second = (filled.world.of(owner, 0) for owner in (filled.world.first, filled.world.second))
    shared = {
        column: value
        for table, row in first.items()
        for column, value in row.items()
        if table in second and second[table][column] == value and value is not None
    }
    vectors = {"vector": "[1,0,0]", "most_distance": "2", "unindexed_only": "false", "in_index": "true"}
    return {"limit": "1000", "page": "1000", "count": "1", **vectors, **shared}


def foreign_rows(connection: psycopg.Connection[Any], filled: Filled) -> str:
    """A digest of everything that the second tenant owns."""
    parts = sql.SQL(" || ").join(
        sql.SQL("(select coalesce(md5(string_agg(t::text, '' order by t::text)), '-') from {} as t where tenant_id = {})").format(
            sql.Identifier(SCHEMA, table.name), sql.Literal(filled.world.second.tenant_id)
        )
        for table in filled.open_tables
    )
    row = connection.execute(sql.SQL("select md5({})").format(parts)).fetchone()
    assert row is not None
    return str(row[0])
