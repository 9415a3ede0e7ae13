"""The plan of a timeline's page, as the app's role has it: a walk of the index that ends when the page is full, and no table read whole."""

import re
from collections.abc import Iterator
from typing import Any
from uuid import UUID

import psycopg
import pytest

from pay_ready.db.queries import load_queries
from pay_ready.db.tenancy import Database, PoolOptions
from pay_ready.model.ids import TenantId
from tests.conftest import Scratch, Server, cloned, make_tenant
from tests.timeline_support import company_id, fill_timeline, person_id

COUNT, OF_COMPANY, PAGE = 20_000, 2_000, 51
SMALL = 100  # rows of a table that may be read whole: a tenant's sources
THEIRS = 1_000  # links of one of our own people, which may be read before the walk
WALK = "interaction_entities_in_order"
ENDS = {"since": "0001-01-01 00:00Z", "until": "9999-12-31 00:00Z", "before_at": "9999-12-31 00:00Z", "before_id": UUID(int=2**128 - 1)}
DEEP = {"before_at": "2024-02-01 10:00Z", "before_id": "80000000-0000-0000-0000-000000000000"}


@pytest.fixture(scope="module")
def crowded(server: Server, template: str) -> Iterator[tuple[Scratch, TenantId]]:
    """A tenant of 20,000 interactions beside a small one."""
    with cloned(server, template) as scratch:
        database = Database(scratch.app_url, PoolOptions())
        database.open()
        try:
            small, large = make_tenant(database, "small"), make_tenant(database, "large")
        finally:
            database.close()
        fill_timeline(scratch.admin_url, small, 1_000, of_company=100)
        fill_timeline(scratch.admin_url, large, COUNT, of_company=OF_COMPANY)
        yield scratch, large


def questions(tenant: TenantId) -> dict[str, tuple[dict[str, Any], int]]:
    """What is asked beside whom, and how many links may be looked at for a page."""
    company, kinds = company_id(tenant), ["call", "email"]
    people = [person_id(tenant, number) for number in (3, 61, 62)]
    return {
        "the first page": ({}, PAGE),
        "a deep page": (DEEP, PAGE),
        "a few days": ({"since": "2024-02-01", "until": "2024-02-15"}, PAGE),
        "of two types": ({"interaction_types": kinds}, 10 * PAGE),
        "deep, of two types": (DEEP | {"interaction_types": kinds}, 10 * PAGE),
        "in a language": ({"languages": ["en"]}, 2 * PAGE),
        "with one of our own": ({"with_ids": [person_id(tenant, 7)]}, OF_COMPANY),
        "in a language of none": ({"languages": ["xx"]}, OF_COMPANY),
        "of a company and of people": ({"entity_ids": [company, *people]}, 4 * PAGE),
    }


def explained(app: psycopg.Connection[Any], tenant: TenantId, given: dict[str, Any], *, generic: bool) -> list[dict[str, Any]]:
    """The nodes of the plan that was run: for these values, or of a statement that was prepared for any."""
    asked = {
        "tenant_id": tenant, "entity_ids": [company_id(tenant)], "with_ids": None, "source_ids": None, "interaction_types": None,
        "languages": None, "most": PAGE, "most_names": 12, **ENDS,
    } | given  # fmt: skip
    names = list(asked)
    statement = re.sub(r"%\((\w+)\)s", lambda found: f"${names.index(found[1]) + 1}", load_queries()["talks.entries_with"].sql)
    app.execute(f"set plan_cache_mode = {'force_generic_plan' if generic else 'force_custom_plan'}")  # type: ignore[arg-type]
    app.execute("deallocate all")
    app.execute(f"prepare page as {statement}")  # type: ignore[arg-type]
    places = ", ".join(["%s"] * len(names))
    row = psycopg.ClientCursor(app).execute(f"explain (analyze, format json) execute page ({places})", list(asked.values())).fetchone()
    assert row is not None
    return list(nodes_of(row[0][0]["Plan"]))


def nodes_of(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The nodes of a plan, outside in."""
    yield plan
    for inner in plan.get("Plans", ()):
        yield from nodes_of(inner)


def looked_at(node: dict[str, Any]) -> float:
    """Rows that a node looked at each time it ran."""
    return float(node["Actual Rows"] + sum(node.get(name, 0) for name in ("Rows Removed by Filter", "Rows Removed by Index Recheck")))


def complaints(nodes: list[dict[str, Any]], most_links: int) -> list[str]:
    """What is wrong with a plan."""
    walks = [node for node in nodes if node.get("Index Name") == WALK and node.get("Alias") == "links"]
    found = [] if walks else [f"{WALK} is not walked"]
    for node in walks:
        # One row more than the page tells that there is more.
        if looked_at(node) * node["Actual Loops"] > most_links + node["Actual Loops"]:
            found.append(f"{looked_at(node) * node['Actual Loops']:.0f} links looked at")
        if not all(name in node["Index Cond"] for name in ("tenant_id", "entity_id", "occurred_at >=", "occurred_at <", "ROW")):
            found.append(f"the walk has no bounds: {node['Index Cond']}")
    for node in nodes:
        if node.get("Relation Name") and node not in walks and looked_at(node) > (THEIRS if node["Alias"] == "others" else SMALL):
            found.append(f"{node['Node Type']} of {node['Relation Name']}: {looked_at(node):.0f} rows")
        if node["Node Type"] == "Sort" and looked_at(node) > 4 * PAGE:
            found.append(f"{looked_at(node):.0f} rows sorted")
    return found


def test_a_page_is_a_walk_of_the_index(crowded: tuple[Scratch, TenantId]) -> None:
    """Wherever it begins, whatever it leaves out, for the planner's best guess and for a plan that knows no values.

    One test: under xdist every worker that takes a part would fill a database of its own.
    """
    scratch, tenant = crowded
    with psycopg.connect(scratch.app_url, autocommit=True, prepare_threshold=None) as app:
        app.execute("select set_config('app.tenant_id', %s, false)", (str(tenant),))
        found = {
            f"{question}{', prepared for any' if generic else ''}": wrong
            for question, (given, most_links) in questions(tenant).items()
            for generic in (False, True)
            if (wrong := complaints(explained(app, tenant, given, generic=generic), most_links))
        }
    assert found == {}
