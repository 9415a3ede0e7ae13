"""Statements that somebody waits for (`-- hot:` in sql/queries) answer through their indexes, as the app's role, and as they always did.

Their plans are recorded in tests/plans, one file an aggregate: what each node is and reads, with the columns that the index is asked by.
A plan that changes fails with both; when the change is meant, PAY_READY_RECORD_PLANS=1 writes the files anew, and the commit shows it.
"""

import os
import re
from collections.abc import Iterator, Mapping
from difflib import unified_diff
from itertools import groupby
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql

from pay_ready.db.care import CareBounds, Look, examine_deeply, planned_cost
from pay_ready.db.health import Place
from pay_ready.db.queries import Query, load_queries
from pay_ready.model.ids import tenant_id_of

from ..conftest import Scratch, Server, cloned
from .catalogue import read_tables
from .conftest import enter
from .predicates import PARAMETER
from .rows import Owner, RowFactory
from .test_plans import PEOPLE, RECORDS, plan_nodes

PLANS = Path(__file__).parents[1] / "plans"
RECORDED_ON = 18  # major version: another one's planner may choose otherwise, and need only keep from reading whole
LARGE, SMALL = 12_000, 1_500
BIG_ROWS = 10_000
GENERIC_PLANS_FROM = 16  # major version


def _id(text: str) -> str:
    """As the rows name themselves: md5 of a word."""
    from hashlib import md5
    from uuid import UUID

    return str(UUID(md5(text.encode(), usedforsecurity=False).hexdigest()))


# What the statements are asked with, by the names of their parameters; what is not here is null, as a filter that nobody set.
VALUES: Mapping[str, object] = {
    "entity_id": _id("person7"), "entity_ids": [_id("person7")], "interaction_id": _id("i777"), "record_id": _id("q77"),
    "interaction_ids": [_id(f"i{n}") for n in range(1, 51)], "record_ids": [_id(f"q{n}") for n in range(1, 11)],
    "memory_id": _id("m777"), "memory_ids": [_id(f"m{n}") for n in range(1, 61)], "run_id": _id("s77"), "most": 50, "most_names": 3,
    "lowest": "77770000-0000-0000-0000-000000000000", "highest": "7777ffff-ffff-ffff-ffff-ffffffffffff",
    "wanted": "person 77", "email": "p77@customer.example", "phone": "+12020000077", "domain": "c77.example",
    "metric_name": "metric 77", "left_id": _id("p7"), "right_id": _id("q7"), "actor": "reviewer 7", "model_name": "shipped",
    "since": "2026-01-01", "until": "2026-12-31", "before_at": "2026-12-31", "before_id": "ffffffff-ffff-ffff-ffff-ffffffffffff",
    "token": 1007, "language": "en", "with_superseded": False, "entity_type": "person",
}  # fmt: skip
# Where a filter would hide the rows, or is set otherwise.
FILTERS: Mapping[str, Mapping[str, object]] = {
    "entities.by_exact": {"entity_type": None}, "runs.list": {"run_id": None, "since": None}, "review.waiting": {"entity_type": None},
    "quarantine.list": {"run_id": None, "status": "open"},
    "decisions.listed": {"entity_type": None, "since": None, "entity_id": None},
    "memories.claim_outbox": {"most": 500},
}  # fmt: skip


# lower() is not leakproof: row security takes an index on it away.
BY_NAME = (
    "select entity_id from pay_ready.entity_versions where tenant_id = %(tenant_id)s and entity_type = 'person' and closed_run_no is null"
    " and lower(name) = %(wanted)s"
)


@pytest.fixture(scope="module")
def crowd(server: Server, template: str) -> Iterator[tuple[Scratch, Owner, str]]:
    """A database with 12,000 rows of the tenant that asks in every large table, and 1,500 of its neighbour; and the tenant's source."""
    statements = [*RECORDS.split(";"), *Path(__file__).with_name("crowd.sql").read_text("utf-8").split(";\n")]
    with cloned(server, template) as scratch:
        with psycopg.connect(scratch.admin_url) as admin:
            tables = read_tables(admin)
        for slug, count in (("small", SMALL), ("large", LARGE)):
            owner = Owner(tenant_id=tenant_id_of("pay_ready", slug), canary=slug)
            with psycopg.connect(scratch.app_url) as app:
                enter(app, owner)
                rows = RowFactory(schema="pay_ready", tables=tables).fill(app, owner, 0, {})
                ids = {name: rows["landing_batches"][name] for name in ("source_id", "batch_id")}
                ids |= {"tenant": str(owner.tenant_id), "model_id": rows["resolution_models"]["model_id"]}
                names: dict[str, sql.Composable] = {name: sql.SQL("{}::uuid").format(sql.Literal(value)) for name, value in ids.items()}
                names |= {"stream": sql.Literal(rows["landing_batches"]["stream"]), "count": sql.Literal(count)}
                names |= {"people": sql.Literal(PEOPLE)}
                for statement in statements:
                    app.execute(sql.SQL(statement).format(**names))
        with psycopg.connect(scratch.admin_url, autocommit=True) as admin:
            admin.execute("vacuum analyze")
        yield scratch, owner, str(ids["source_id"])


def test_hot_statements_keep_their_plans(crowd: tuple[Scratch, Owner, str]) -> None:
    """None reads more than 10,000 rows whole, each knows the tenant in its index, and the plans are those that are recorded.

    One test: under xdist every worker that takes a part would fill a database of its own.
    """
    scratch, owner, source = crowd
    hot = [query for query in load_queries().values() if query.hot]
    assert len(hot) >= 30
    told, complaints = {}, []
    with psycopg.connect(scratch.app_url) as app:
        enter(app, owner)
        sizes = dict(app.execute("select relname, reltuples from pg_class where relnamespace = 'pay_ready'::regnamespace").fetchall())
        assert sum(size > BIG_ROWS for size in sizes.values()) >= 20, "the database is too small to show anything"
        for query in hot:
            plan = planned(app, query, owner, source)
            told[query.name] = list(written(plan))
            complaints += [f"{query.name}: {complaint}" for complaint in complaints_about(plan, sizes)]
        major = app.info.server_version // 10_000
    assert not complaints, "\n".join(complaints)
    if os.environ.get("PAY_READY_RECORD_PLANS"):
        record(told)
    if major == RECORDED_ON:
        changes = [line for name, lines in contents(told).items() for line in differences(name, lines)]
        assert not changes, "plans changed; PAY_READY_RECORD_PLANS=1 records them:\n" + "\n".join(changes)
        assert {path.name for path in PLANS.glob("*.txt")} == set(contents(told)), "a file of plans that no statement has"
    if major >= GENERIC_PLANS_FROM:
        refuse_hidden_costs(scratch)


def refuse_hidden_costs(scratch: Scratch) -> None:
    """Doctor's deep look, on the same rows, finds no statement of ours that row security makes dear; and it would see one."""
    place = Place(app_url=scratch.app_url, admin_url=scratch.admin_url, schema="pay_ready")
    bounds = CareBounds(slow_ms=0, slow_file=Path("none"), connections=1)
    findings = {each.check: each for each in examine_deeply(place, bounds)}
    assert (findings["row security, cost"].state, findings["statistics"].state) == ("ok", "ok"), findings
    with psycopg.connect(scratch.admin_url) as admin:
        admin.execute("create index on pay_ready.entity_versions (tenant_id, entity_type, lower(name)) where closed_run_no is null")
        look = Look(connection=admin, place=place, bounds=bounds)
        by_name = Query(name="tests.by_name", sql=BY_NAME)
        assert planned_cost(look, by_name, as_app=True) > 5 * planned_cost(look, by_name, as_app=False)


def planned(app: psycopg.Connection[Any], query: Query, owner: Owner, source: str) -> dict[str, Any]:
    """The plan of a statement for the tenant's values."""
    given = {**VALUES, "source_id": source, **FILTERS.get(query.name, {})}
    params = {name: given.get(name) for name in PARAMETER.findall(query.sql)} | {"tenant_id": owner.tenant_id}
    row = app.execute(f"explain (format json) {query.sql}".encode(), params, prepare=False).fetchone()
    assert row is not None
    return dict(row[0][0]["Plan"])


def complaints_about(plan: dict[str, Any], sizes: Mapping[str, float]) -> Iterator[str]:
    """Large tables that are read whole, or through an index that does not know the tenant."""
    for node in plan_nodes(plan):
        size = sizes.get(node.get("Relation Name", ""), 0)
        if node["Node Type"] == "Seq Scan" and size > BIG_ROWS:
            yield f"all {size:,.0f} rows of {node['Relation Name']} are read"
        if node["Node Type"] in ("Index Scan", "Index Only Scan", "Bitmap Index Scan") and "tenant_id" not in node.get("Index Cond", ""):
            yield f"{node['Index Name']} is read without the tenant"


def written(plan: dict[str, Any], depth: int = 0) -> Iterator[str]:
    """A plan as lines: nodes, what they read, the columns an index is asked by; no value, no cost. Planners' helpers are left out."""
    words = [plan.get("Join Type", ""), plan["Node Type"]]
    if index := plan.get("Index Name"):
        columns = sorted(set(re.findall(r"\(*(?:\w+\.)?(\w+)\)?(?:::\w+)? (?:=|<|>|<=|>=|\^@) ", plan.get("Index Cond", ""))))
        words += ["by", index, f"({', '.join(columns)})"]
    elif relation := plan.get("Relation Name") or plan.get("CTE Name"):
        words += ["of", relation]
    is_helper = plan["Node Type"] == "Result" and plan.get("Parent Relationship") == "InitPlan" and not plan.get("Plans")
    if not is_helper:
        yield "  " * depth + " ".join(filter(None, words))
    for inner in plan.get("Plans", ()):
        yield from written(inner, depth + (not is_helper))


def contents(told: Mapping[str, list[str]]) -> dict[str, list[str]]:
    """The files, by name: a statement, who waits for it, its plan."""
    queries = load_queries()
    files: dict[str, list[str]] = {}
    for aggregate, names in groupby(sorted(told), key=lambda name: name.partition(".")[0]):
        lines = files.setdefault(f"{aggregate}.txt", [f"As the app's role, on PostgreSQL {RECORDED_ON}, {LARGE:,} rows of the tenant."])
        for name in names:
            lines += ["", f"{name}: {queries[name].hot}", *(f"  {line}" for line in told[name])]
    return files


def differences(name: str, lines: list[str]) -> list[str]:
    """What is other than it is recorded."""
    path = PLANS / name
    recorded = path.read_text("utf-8").splitlines() if path.exists() else []
    return list(unified_diff(recorded, lines, f"tests/plans/{name}", "now", lineterm="", n=2))


def record(told: Mapping[str, list[str]]) -> None:
    """Write the files anew."""
    PLANS.mkdir(exist_ok=True)
    for name, lines in contents(told).items():
        (PLANS / name).write_text("\n".join(lines) + "\n", "utf-8")
