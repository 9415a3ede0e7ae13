"""`tenant_transaction` is the only door: read from the source, so that a second one cannot be built unnoticed."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from pay_ready.db.queries import load_queries

ROOT = Path(__file__).parents[2]
DRIVERS = {"psycopg", "psycopg_pool", "adbc_driver_postgresql", "adbc_driver_manager", "psycopg2", "asyncpg", "pg8000", "sqlalchemy"}
# Who opens connections: the door and its bulk reader, the administrator's ways, and the launcher that asks whether its server is alive.
MAY_CONNECT = re.compile(r"pay_ready/db/(tenancy|arrow|connect|embedded\w*)\.py")
CONNECTING = {"connect", "ConnectionPool", "AsyncConnectionPool", "NullConnectionPool"}


def sources() -> Iterator[tuple[str, ast.Module]]:
    """Every module that ships, by its path from the root."""
    for folder in ("pay_ready", "flows"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            yield path.relative_to(ROOT).as_posix(), ast.parse(path.read_text("utf-8"))


def imported(tree: ast.Module) -> Iterator[str]:
    """Top-level names of everything a module imports, wherever in it."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.partition(".")[0]
        elif isinstance(node, ast.Call) and getattr(node.func, "attr", getattr(node.func, "id", "")) in ("import_module", "__import__"):
            yield from (
                argument.value.partition(".")[0]
                for argument in node.args[:1]
                if isinstance(argument, ast.Constant) and isinstance(argument.value, str)
            )


def called(tree: ast.Module) -> Iterator[str]:
    """Names of what a module calls, without what stands before the dot."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield str(getattr(node.func, "attr", getattr(node.func, "id", "")))


def test_only_db_imports_the_driver() -> None:
    """No module outside pay_ready/db knows Postgres's drivers."""
    found = {name: hit for name, tree in sources() if not name.startswith("pay_ready/db/") and (hit := DRIVERS & set(imported(tree)))}
    assert found == {}


def test_only_the_door_opens_connections() -> None:
    """Inside pay_ready/db too, aggregates get a transaction and never make one."""
    found = {
        name: hit
        for name, tree in sources()
        if DRIVERS & set(imported(tree)) and not MAY_CONNECT.fullmatch(name) and (hit := CONNECTING & set(called(tree)))
    }
    assert found == {}


def test_nobody_reaches_behind_the_door() -> None:
    """The raw connection and the pool are private to tenancy; the tenant's setting is made there alone."""
    for name, tree in sources():
        if name == "pay_ready/db/tenancy.py":
            continue
        for node in ast.walk(tree):
            private = isinstance(node, ast.Attribute) and node.attr in ("_connection", "_pool") and not _own(node)
            assert not private or not name.startswith(("pay_ready/db/", "pay_ready/pipeline/")), f"{name}:{getattr(node, 'lineno', 0)}"
            text = node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""
            assert not re.search(r"set_config\(\s*'app\.|set\s+(local\s+)?app\.tenant_id", text), f"{name}:{getattr(node, 'lineno', 0)}"


def test_no_statement_changes_tenant_or_role() -> None:
    """Named statements set neither the tenant nor a role, and turn no guard off (A26)."""
    forbidden = re.compile(r"app\.tenant_id|\bset\s+(local\s+)?(role|session)\b|row_security|session_replication_role", re.IGNORECASE)
    assert [query.name for query in load_queries().values() if forbidden.search(query.sql)] == []


def test_other_ways_to_postgres_are_not_taken() -> None:
    """No DuckDB attachment and no psql beside the door."""
    for name, tree in sources():
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and not name.startswith("pay_ready/db/"):
                assert not re.search(
                    r"postgres_scan|postgres_query|attach\s.*postgres|install postgres|\bpsql\b", node.value, re.IGNORECASE
                ), name


@pytest.mark.parametrize(
    ("text", "hit"),
    [("import psycopg", "psycopg"), ("def f():\n    from adbc_driver_postgresql import dbapi", "adbc_driver_postgresql"),
     ("import importlib\nimportlib.import_module('psycopg.rows')", "psycopg"), ("import psycopg.types.json as j", "psycopg")],
)  # fmt: skip
def test_the_check_sees_hidden_imports(text: str, hit: str) -> None:
    """Inside a function, under another name, or by import_module: all are seen."""
    assert hit in set(imported(ast.parse(text)))


def _own(node: ast.Attribute) -> bool:
    return isinstance(node.value, ast.Name) and node.value.id == "self"
