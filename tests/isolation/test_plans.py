"""The indexes of interactions, evidence and decisions are used by the app's role: an index that row security disables is dead weight."""

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from psycopg import sql

from pay_ready.model.ids import tenant_id_of

from ..conftest import Scratch, Server, cloned
from .catalogue import read_tables
from .conftest import enter
from .rows import Owner, RowFactory

INTERACTIONS = 18_000  # of the tenant that asks; its neighbour has 2,000
PEOPLE = 300

RECORDS = """
    insert into pay_ready.landed_records (tenant_id, source_id, stream, record_key, data, content_hash, generation, cursor_order,
                                          emitted_at, batch_id)
    select {tenant}, {source_id}, {stream}, 'record-' || n, '{{}}', sha256(n::text::bytea), 0, '', now(), {batch_id}
    from generate_series(1, {count}) as n;
    insert into pay_ready.interaction_records (tenant_id, record_id, source_id, stream, record_key, interaction_id, is_primary,
                                               interaction_type, external_id, occurred_at, metadata, content_hash, contract_version,
                                               created_at)
    select {tenant}, md5('r' || n)::uuid, {source_id}, {stream}, 'record-' || n, md5('i' || n)::uuid, true,
           (array['call', 'meeting', 'email', 'message', 'note', 'task', 'case', 'deal'])[n % 8 + 1], 'x' || n,
           '2026-01-01'::timestamptz + n * interval '10 minutes', '{{"schema_version": 1}}', sha256(n::text::bytea), '1',
           '2026-06-01'::timestamptz + n * interval '1 minute'
    from generate_series(1, {count}) as n;
    insert into pay_ready.person_records (tenant_id, record_id, source_id, record_reference, origin, attributes, content_hash)
    select {tenant}, md5('p' || n)::uuid, {source_id}, 'id:' || n, 'mentioned', '{{"schema_version": 1}}', sha256(n::text::bytea)
    from generate_series(1, {people}) as n;
    insert into pay_ready.interaction_participants (tenant_id, record_id, participant_no, source_id, interaction_id, role,
                                                    person_record_id, person_company_record_id)
    select {tenant}, md5('r' || n)::uuid, 0, {source_id}, md5('i' || n)::uuid, 'host', md5('p' || n % {people} + 1)::uuid, null
    from generate_series(1, {count}) as n;
    insert into pay_ready.entities (tenant_id, entity_id, entity_type, anchor_record_id, minted_run_no)
    select {tenant}, md5(kind || n)::uuid, kind, md5('p' || n)::uuid, 1
    from generate_series(1, {people}) as n, (values ('person'), ('company')) as kinds (kind);
    insert into pay_ready.interaction_entities (tenant_id, interaction_id, entity_id, opened_run_no, entity_type, is_primary, occurred_at)
    select {tenant}, md5('i' || n)::uuid, md5(kind || n % {people} + 1)::uuid, 1, kind, true,
           '2026-01-01'::timestamptz + n * interval '10 minutes'
    from generate_series(1, {count}) as n, (values ('person'), ('company')) as kinds (kind);
    insert into pay_ready.edges (tenant_id, entity_type, left_id, right_id, model_id, left_hash, right_hash, match_weight_millibits, levels)
    select {tenant}, 'person', least(md5('p' || n)::uuid, md5('q' || n)::uuid), greatest(md5('p' || n)::uuid, md5('q' || n)::uuid),
           {model_id}, sha256(''), sha256(''), n * 2 - {count}, ''
    from generate_series(1, {count}) as n;
    insert into pay_ready.decisions (tenant_id, decision_id, entity_type, left_id, right_id, verdict, actor_type, actor, context,
                                     entity_id, status, made_at)
    select {tenant}, md5('d' || n)::uuid, 'person', least(md5('p' || n)::uuid, md5('q' || n)::uuid),
           greatest(md5('p' || n)::uuid, md5('q' || n)::uuid), (array['match', 'no_match', 'unsure'])[n % 3 + 1], 'human',
           'reviewer ' || n % 100, 'context ' || n % 50, md5('person' || n % {people} + 1)::uuid,
           case when n % 500 = 0 then 'open' else 'decided' end, '2026-01-01'::timestamptz + n * interval '1 minute'
    from generate_series(1, {count}) as n
"""

# What users ask of interactions and reviews, and the index that must answer. The tenant is said as everywhere: in the statement.
QUESTIONS = {
    "by person": (
        (
            "select interaction_id from pay_ready.interaction_entities where tenant_id = {tenant} and entity_id = {person}"
            " and closed_run_no is null order by occurred_at desc limit 50"
        ),
        "interaction_entities_in_order",
    ),
    "by company": (
        (
            "select interaction_id from pay_ready.interaction_entities where tenant_id = {tenant} and entity_id = {company}"
            " and closed_run_no is null order by occurred_at desc limit 50"
        ),
        "interaction_entities_in_order",
    ),
    "by type": (
        (
            "select record_id from pay_ready.interaction_records where tenant_id = {tenant} and interaction_type = 'call' and is_primary"
            " order by occurred_at desc limit 50"
        ),
        "interaction_records_by_type",
    ),
    "by time": (
        (
            "select record_id from pay_ready.interaction_records where tenant_id = {tenant} and is_primary"
            " and occurred_at >= '2026-02-01' and occurred_at < '2026-02-02' order by occurred_at desc"
        ),
        "interaction_records_by_time",
    ),
    "by creation": (
        (
            "select record_id from pay_ready.interaction_records where tenant_id = {tenant} and is_primary"
            " and created_at >= '2026-06-05' and created_at < '2026-06-06' order by created_at desc limit 200"
        ),
        "interaction_records_by_creation",
    ),
    "through the view, by time": (
        (
            "select interaction_id from pay_ready.interactions where tenant_id = {tenant} and occurred_at >= '2026-02-01'"
            " and occurred_at < '2026-02-02'"
        ),
        "interaction_records_by_time",
    ),
    "one interaction": (
        "select record_id from pay_ready.interaction_records where tenant_id = {tenant} and interaction_id = {interaction}",
        "interaction_records_by_interaction",
    ),
    "evidence nearest to even odds": (
        (
            "select left_id from pay_ready.edges where tenant_id = {tenant} and entity_type = 'person' and model_id = {model_id}"
            " and match_weight_millibits >= 0 and match_weight_millibits <= 4000 order by match_weight_millibits limit 100"
        ),
        "edges_by_weight",
    ),
    "what was said of a record, from the right": (
        (
            "select decision_id from pay_ready.decisions where tenant_id = {tenant} and entity_type = 'person'"
            " and right_id = greatest(md5('p7')::uuid, md5('q7')::uuid) and superseded_at is null"
        ),
        "decisions_by_right",
    ),
    "what was said of a record, from the left": (
        (
            "select decision_id from pay_ready.decisions where tenant_id = {tenant} and entity_type = 'person'"
            " and left_id = least(md5('p7')::uuid, md5('q7')::uuid) and superseded_at is null"
        ),
        "decisions_current",
    ),
    "decisions that wait": (
        (
            "select decision_id from pay_ready.decisions where tenant_id = {tenant} and superseded_at is null"
            " and status in ('open', 'escalated', 'appealed') order by made_at limit 20"
        ),
        "decisions_waiting",
    ),
    "decisions by context and verdict": (
        "select decision_id from pay_ready.decisions where tenant_id = {tenant} and context = 'context 7' and verdict = 'match'",
        "decisions_by_verdict",
    ),
    "a reviewer's decisions": (
        (
            "select decision_id from pay_ready.decisions where tenant_id = {tenant} and actor = 'reviewer 7'"
            " and made_at >= '2026-01-05' order by made_at desc limit 50"
        ),
        "decisions_by_actor",
    ),
    "decisions about an entity": (
        ("select decision_id from pay_ready.decisions where tenant_id = {tenant} and entity_id = {person} order by made_at desc limit 50"),
        "decisions_by_entity",
    ),
    "a person record's appearances": (
        (
            "select interaction_id from pay_ready.interaction_participants where tenant_id = {tenant} and source_id = {source_id}"
            " and person_record_id = {record}"
        ),
        "interaction_participants_by_person",
    ),
}


@pytest.fixture(scope="module")
def crowded(server: Server, template: str) -> Iterator[tuple[Scratch, dict[str, sql.Composable]]]:
    """A database with 20,000 interactions of two tenants, inserted by the app, and the names that the questions use."""
    with cloned(server, template) as scratch:
        names: dict[str, sql.Composable] = {}
        with psycopg.connect(scratch.admin_url) as admin:
            tables = read_tables(admin)
        for slug, count in (("small", 2_000), ("large", INTERACTIONS)):
            owner = Owner(tenant_id=tenant_id_of("pay_ready", slug), canary=slug)
            with psycopg.connect(scratch.app_url) as app:
                enter(app, owner)
                rows = RowFactory(schema="pay_ready", tables=tables).fill(app, owner, 0, {})
                batch = rows["landing_batches"]
                names = {name: sql.Literal(batch[name]) for name in ("source_id", "stream", "batch_id")}
                names |= {"tenant": sql.SQL("{}::uuid").format(sql.Literal(str(owner.tenant_id))), "count": sql.Literal(count)}
                names["model_id"] = sql.Literal(rows["resolution_models"]["model_id"])
                names |= {name: sql.SQL("{}::uuid").format(names[name]) for name in ("source_id", "batch_id", "model_id")} | {
                    "people": sql.Literal(PEOPLE)
                }
                for statement in RECORDS.split(";"):
                    app.execute(sql.SQL(statement).format(**names))
        ids = {"person": "person7", "company": "company7", "interaction": "i777", "record": "p7"}
        names |= {name: sql.SQL("md5({})::uuid").format(sql.Literal(text)) for name, text in ids.items()}
        with psycopg.connect(scratch.admin_url, autocommit=True) as admin:
            admin.execute("vacuum analyze")
        yield scratch, names


def test_the_indexes_answer_the_app(crowded: tuple[Scratch, dict[str, sql.Composable]]) -> None:
    """Each question of the app's role is answered by its index, and the tenant in the statement gives the planner its estimate.

    One test: under xdist every worker that takes a part would fill a database of its own.
    """
    scratch, names = crowded
    with psycopg.connect(scratch.app_url) as app:
        app.execute(sql.SQL("select set_config('app.tenant_id', {}::text, true)").format(names["tenant"]))
        complaints = {
            question: complaint
            for question, (text, index) in QUESTIONS.items()
            if (complaint := complaint_about(explained(app, "analyze, ", text, names), index))
        }
        assert complaints == {}
        blind, told = (
            explained(app, "", "select 1 from pay_ready.interaction_records" + condition, names)[0]["Plan Rows"]
            for condition in ("", " where tenant_id = {tenant}")
        )
    assert abs(told - INTERACTIONS) < INTERACTIONS * 0.1, told
    assert abs(blind - INTERACTIONS) > INTERACTIONS * 0.3, "the policy alone now gives an estimate: is the predicate still worth its place?"


def explained(app: psycopg.Connection[Any], how: str, text: str, names: dict[str, sql.Composable]) -> list[dict[str, Any]]:
    """The nodes of the plan."""
    row = app.execute(sql.SQL("explain (" + how + "format json) " + text).format(**names)).fetchone()
    assert row is not None
    return list(plan_nodes(row[0][0]["Plan"]))


def complaint_about(nodes: list[dict[str, Any]], index: str) -> str:
    """What is wrong with a plan: the index unused or without the tenant as a condition, or rows read to be thrown away."""
    used = [node for node in nodes if node.get("Index Name") == index]
    if not used:
        return f"{index} is not used: {[(node['Node Type'], node.get('Index Name')) for node in nodes]}"
    if "tenant_id" not in used[0].get("Index Cond", ""):
        return f"{index} is read without the tenant: {used[0].get('Index Cond')}"
    thrown_away = sum(node.get("Rows Removed by Filter", 0) * node["Actual Loops"] for node in nodes)
    whole = [node["Relation Name"] for node in nodes if node["Node Type"] == "Seq Scan" and node["Actual Rows"] > 1_000]
    return f"{thrown_away} rows thrown away, {whole} read whole" if thrown_away > 1_000 or whole else ""


def plan_nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The nodes of a plan, outside in."""
    yield plan
    for inner in plan.get("Plans", ()):
        yield from plan_nodes(inner)
