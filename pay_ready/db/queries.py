"""Named SQL from `sql/queries/<aggregate>.sql`, with the schema of the domain put in."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from pay_ready.errors import ConfigError
from pay_ready.resources import resource_path

SCHEMA = "pay_ready"
_SCHEMA_NAME = re.compile(r"[a-z][a-z0-9_]{0,30}")
_TAG = re.compile(r"[0-9a-f]{8}")
_HEADER = re.compile(r"^-- name: (\w+)\n", re.MULTILINE)
_HOT = re.compile(r"^-- hot: (\S.*)$", re.MULTILINE)  # its plan is recorded: tests/isolation/test_hot_plans.py
# A statement about temporary tables alone has no tenant to name; it says so.
_SESSION_SCOPE = re.compile(r"^-- scope: session$", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """One named statement; `name` is "<aggregate>.<statement>". `hot` says who waits for it, of one that must answer through an index."""

    name: str
    sql: str
    hot: str = ""


def in_schema(sql: str, schema: str) -> str:
    """The statement for another domain's schema: its roles and tables carry that name in place of `pay_ready`.

    Raises:
        ConfigError: The schema is no plain lower-case name.
    """
    if not _SCHEMA_NAME.fullmatch(schema):
        raise ConfigError("not a schema name", "use lower-case letters, digits and _ (at most 31)", schema=schema)
    return sql if schema == SCHEMA else sql.replace(SCHEMA, schema)


def of_embedder(sql: str, tag: str) -> str:
    """The statement for the vectors of one embedder: each has a table of its own.

    Raises:
        ConfigError: The tag is none.
    """
    if not _TAG.fullmatch(tag):
        raise ConfigError("not the tag of an embedder", "eight digits of a hash", tag=tag)
    return sql.replace("memory_vectors_of_embedder", f"memory_vectors_{tag}")


@cache
def load_queries(schema: str = SCHEMA) -> Mapping[str, Query]:
    """Every named statement, by name.

    Raises:
        ConfigError: Two statements share a name, or one does not say `tenant_id = %(tenant_id)s`
            (without it the planner loses the tenant's selectivity), or one of `-- scope: session` (temporary tables
            alone) names a table of ours.
    """
    queries: dict[str, Query] = {}
    for path in sorted(resource_path("sql", "queries").glob("*.sql")):
        for query in _parse(path, schema):
            if query.name in queries:
                raise ConfigError("two statements share a name", file=path.name, name=query.name)
            queries[query.name] = query
    return queries


def _parse(path: Path, schema: str) -> Iterator[Query]:
    parts = _HEADER.split(path.read_text("utf-8"))
    for name, body in zip(parts[1::2], parts[2::2], strict=True):
        if _SESSION_SCOPE.search(body):
            if SCHEMA + "." in body:
                raise ConfigError("a statement of session scope names a table of ours", "name the tenant", file=path.name, name=name)
        elif "%(tenant_id)s" not in body:
            raise ConfigError("a statement without its tenant", "add tenant_id = %(tenant_id)s", file=path.name, name=name)
        # Comments stay out of the statement: psycopg would take their % signs for placeholders.
        sql = "\n".join(line for line in body.splitlines() if not line.lstrip().startswith("--"))
        hot = _HOT.search(body)
        yield Query(name=f"{path.stem}.{name}", sql=in_schema(sql.strip().rstrip(";"), schema), hot=hot[1] if hot else "")
