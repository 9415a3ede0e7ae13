"""`pay-ready verify`: a healthy tenant with a past is green, and each kind of damage is found by its check, with the offender named."""

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from uuid import UUID

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pay_ready.db.queries import load_queries
from pay_ready.db.tenancy import Database, PoolOptions
from pay_ready.db.verify import Honoured
from pay_ready.errors import PayReadyError, UsageError
from pay_ready.model.ids import TenantId, stable_id, tenant_id_of
from pay_ready.pipeline.verify import CHECKS, broken_links, contradictions, verify_tenant
from tests import references
from tests.conftest import Scratch, Server, cloned, make_tenant
from tests.faults.test_publish_crash import end_sessions
from tests.integration.test_increments import changed, run, world
from tests.isolation.predicates import untied
from tests.publish_support import PersonRow, Staged, person_id, restage, rows, stage
from tests.verify_support import assert_verified, breaches, verified

_DECIDE = (
    "insert into pay_ready.decisions (tenant_id, decision_id, entity_type, left_id, right_id, verdict, actor_type, actor)"
    " values (%(tenant)s, %(decision)s, 'person', %(left)s, %(right)s, %(verdict)s, %(by)s, 'reviewer')"
)
_COPIES = tuple(
    PersonRow(source="hubspot", key=f"id:copy{number}", full_name="Una Copy", email="una.copy@copies.example") for number in range(2)
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Grown:
    """A database in which `acme` has a past of several runs, and a neighbour has one run."""

    scratch: Scratch
    database: Database
    tenant: TenantId
    neighbour: TenantId

    def damage(self, *statements: str) -> list[tuple[object, ...]]:
        """Run as a superuser to whom neither triggers nor foreign keys apply; the rows of the last statement."""
        with psycopg.connect(self.scratch.admin_url) as admin:
            admin.execute("set session_replication_role = replica")
            for statement in statements:
                cursor = admin.execute(statement, {"tenant": self.tenant, "neighbour": self.neighbour})  # type: ignore[arg-type]
            return cursor.fetchall() if cursor.description else []


@pytest.fixture(scope="module")
def past(server: Server, template: str) -> Iterator[Scratch]:
    """The database that each test clones: updates, deletes, merges, splits, a decision and its end, over six runs."""
    with cloned(server, template) as scratch:
        database = Database(scratch.app_url, PoolOptions(max_size=4, overflow=0))
        database.open()
        tenant, neighbour = make_tenant(database, "acme"), make_tenant(database, "neighbour")
        chosen = random.Random(1)
        whole = world(1, 60)
        called = {key for call in whole.calls for key in call.people}
        spare = [each for each in whole.people[-30:] if each.key not in called]
        staged = replace(whole, people=[*(each for each in whole.people if each not in spare), *_COPIES])
        stage(scratch.admin_url, tenant, staged)
        stage(scratch.admin_url, neighbour, Staged(people=[replace(each, company=None) for each in whole.people[:8]]))
        run(database, neighbour, "all")
        run(database, tenant, "all")
        _decide(scratch.admin_url, tenant, "no_match")
        for _ in range(3):
            after = changed(chosen, staged, spare)
            after = replace(after, people=[*(each for each in after.people if each.key not in {copy.key for copy in _COPIES}), *_COPIES])
            restage(scratch.admin_url, tenant, staged, after)
            staged = after
            run(database, tenant, "changed")
        database.close()
        end_sessions(scratch)  # a database is not cloned while one is still on its way out
        yield scratch


def _decide(admin_url: str, tenant: TenantId, verdict: str, by: str = "human") -> UUID:
    left, right = sorted(person_id(tenant, each.source, each.key) for each in _COPIES)
    decision = stable_id("decision", str(tenant), verdict, by)
    with psycopg.connect(admin_url) as admin:
        admin.execute(_DECIDE, {"tenant": tenant, "decision": decision, "left": left, "right": right, "verdict": verdict, "by": by})
    return decision


@pytest.fixture
def grown(server: Server, past: Scratch) -> Iterator[Grown]:
    """A copy of it."""
    name = past.admin_url.rpartition("/")[2].partition("?")[0]
    with cloned(server, name) as scratch:
        database = Database(scratch.app_url, PoolOptions(max_size=4, overflow=0))
        database.open()
        yield Grown(
            scratch=scratch, database=database, tenant=tenant_id_of("pay_ready", "acme"), neighbour=tenant_id_of("pay_ready", "neighbour")
        )  # fmt: skip
        database.close()


def test_a_tenant_with_a_past_is_green(grown: Grown) -> None:
    """After runs over everything and increments with updates, deletes and a decision every promise holds, of history too."""
    found = verified(grown.database, grown.tenant)
    assert breaches(found) == {}
    assert found.run_no >= 4
    by_name = {result.check: result for result in found.results}
    assert list(by_name) == [check.name for check in CHECKS]
    looked_at = {name: result.checked for name, result in by_name.items()}
    assert min(count for name, count in looked_at.items()) > 0
    assert {name for name, result in by_name.items() if result.state == "skipped"} == set()
    kinds = rows(grown.scratch.admin_url, grown.tenant, "select distinct change from pay_ready.entity_changes where tenant_id = %(tenant)s")
    assert len(kinds) >= 4
    assert_verified(grown.database, grown.neighbour)


def test_what_waits_is_no_breach(grown: Grown) -> None:
    """Records staged and taken away since, a decision made since, and a hold: told as waiting, and all promises hold."""
    people = [replace(each, key=f"{each.key}-later", email="later@later.example") for each in _COPIES]
    before = Staged(people=list(_COPIES))
    restage(grown.scratch.admin_url, grown.tenant, before, Staged(people=[_COPIES[0], *people]))
    _decide(grown.scratch.admin_url, grown.tenant, "match", by="agent")
    found = verified(grown.database, grown.tenant)
    assert breaches(found) == {}
    waiting = {result.check: result.pending for result in found.results if result.pending}
    assert waiting["assignments"] == 2
    assert waiting["links"] >= 1


_RUN = "(select max(run_no) from pay_ready.resolution_runs where tenant_id = %(tenant)s)"
_CURRENT = "where tenant_id = %(tenant)s and closed_run_no is null"
_ONE = f"(select min(entity_id::text)::uuid from pay_ready.entity_versions {_CURRENT} and entity_type = 'person')"
_PAIR = f"(select min(entity_id::text)::uuid from pay_ready.entity_versions {_CURRENT} and entity_type = 'person' and record_count > 1)"
_LIVE_RECORD = f"(select min(record_id::text)::uuid from pay_ready.assignments {_CURRENT} and entity_type = 'person')"
_RETIRED = f"(select min(entity_id::text)::uuid from pay_ready.entity_redirects {_CURRENT})"
_OFFENDER = "select entity_id::text from picked"


def _pick(entity: str) -> str:
    return f"create temporary table picked as select {entity} as entity_id"


# Check, promise (the beginning of its words), what is done, the offender that must be named, and checks that must break beside it.
DAMAGE: list[tuple[str, str, tuple[str, ...], set[str]]] = [
    ("records", "what a run landed", (
        ("insert into pay_ready.stream_runs (tenant_id, run_id, source_id, stream, status, emitted, landed)"
        " select tenant_id, run_id, source_id, 'calls', 'complete', 1, 1 from pay_ready.sync_runs where tenant_id = %(tenant)s limit 1"),
        "select run_id || '/calls' from pay_ready.stream_runs where tenant_id = %(tenant)s",
    ), set()),
    ("records", "what is staged has its landed row", (
        ("create temporary table picked as select record_id as entity_id, record_key from pay_ready.interaction_records"
        " where tenant_id = %(tenant)s order by record_id limit 1"),
        "delete from pay_ready.landed_records where tenant_id = %(tenant)s and record_key = (select record_key from picked)",
        _OFFENDER,
    ), {"isolation"}),
    ("records", "no landed row is nowhere", (
        ("insert into pay_ready.stream_states (tenant_id, source_id, stream, staged_commit_seq)"
        " select tenant_id, source_id, 'calls', 4 from pay_ready.data_sources where tenant_id = %(tenant)s"),
        ("insert into pay_ready.landed_records (tenant_id, source_id, stream, record_key, data, content_hash, generation, cursor_order,"
        " emitted_at, batch_id) select tenant_id, source_id, stream, 'lost', '{}', content_hash, 0, '', now(), batch_id"
        " from pay_ready.landed_records where tenant_id = %(tenant)s limit 1"),
        ("select run_id || '/calls: 1 rows' from pay_ready.landing_batches where tenant_id = %(tenant)s and batch_id ="
        " (select batch_id from pay_ready.landed_records where tenant_id = %(tenant)s and record_key = 'lost')"),
    ), set()),
    ("records", "nothing is staged twice", (
        "alter table pay_ready.person_records drop constraint person_records_tenant_id_record_reference_source_id_key",
        "alter table pay_ready.person_records disable trigger all",
        ("update pay_ready.person_records as these set record_reference = others.record_reference from pay_ready.person_records as others"
        " where these.tenant_id = %(tenant)s and others.tenant_id = these.tenant_id and others.source_id = these.source_id"
        f" and these.record_id = {_LIVE_RECORD} and others.record_id = (select max(record_id::text)::uuid from pay_ready.person_records"
        " where tenant_id = these.tenant_id and source_id = these.source_id)"),
        f"select {_LIVE_RECORD}::text",
    ), set()),
    ("records", "batches are numbered", (
        ("update pay_ready.landing_batches set commit_seq = 99 where tenant_id = %(tenant)s and batch_id ="
        " (select min(batch_id::text)::uuid from pay_ready.landing_batches where tenant_id = %(tenant)s)"),
        "select batch_id::text from pay_ready.landing_batches where tenant_id = %(tenant)s and commit_seq = 99",
    ), set()),
    ("assignments", "every staged record", (
        f"create temporary table picked as select {_LIVE_RECORD} as entity_id",
        "delete from pay_ready.assignments where tenant_id = %(tenant)s and record_id = (select entity_id from picked)",
        _OFFENDER,
    ), {"entities", "digest", "golden", "checkpoints"}),
    ("assignments", "who is assigned is staged", (
        "alter table pay_ready.person_records disable trigger all",
        f"create temporary table picked as select {_LIVE_RECORD} as entity_id",
        "delete from pay_ready.person_records where tenant_id = %(tenant)s and record_id = (select entity_id from picked)",
        _OFFENDER,
    ), {"blocks"}),
    ("assignments", "nobody is assigned twice", (
        "drop index pay_ready.assignments_current",
        ("insert into pay_ready.assignments (tenant_id, entity_type, record_id, opened_run_no, entity_id, confidence)"
        f" select tenant_id, entity_type, record_id, opened_run_no + 1, entity_id, confidence from pay_ready.assignments {_CURRENT}"
        f" and record_id = {_LIVE_RECORD}"),
        f"select {_LIVE_RECORD}::text",
    ), {"versions", "entities", "digest"}),
    ("entities", "every live entity has the records", (
        _pick(_ONE),
        f"update pay_ready.entity_versions set record_count = record_count + 1 {_CURRENT} and entity_id = (select entity_id from picked)",
        _OFFENDER,
    ), {"golden"}),
    ("ids", "every id is live or leads on", (
        _pick(_ONE),
        ("insert into pay_ready.entity_redirects (tenant_id, entity_id, opened_run_no)"
        f" select %(tenant)s, entity_id, {_RUN} from picked"),
        _OFFENDER,
    ), set()),
    ("ids", "a retired id leads", (
        _pick(_RETIRED),
        ("update pay_ready.entity_redirects set target_entity_id = (select max(entity_id::text)::uuid from pay_ready.entity_redirects"
        f" {_CURRENT}) {_CURRENT} and entity_id = (select entity_id from picked)"),
        ("update pay_ready.entity_redirects set target_entity_id = (select entity_id from picked)"
        f" {_CURRENT} and entity_id = (select max(entity_id::text)::uuid from pay_ready.entity_redirects {_CURRENT})"),
        _OFFENDER,
    ), {"feed"}),
    ("links", "a match is in one entity", (
        "update pay_ready.decisions set verdict = 'match' where tenant_id = %(tenant)s",
        "delete from pay_ready.resolution_queue where tenant_id = %(tenant)s",
        "select decision_id::text from pay_ready.decisions where tenant_id = %(tenant)s",
    ), {"digest", "checkpoints"}),
    ("links", "people do not contradict", (
        ("insert into pay_ready.decisions (tenant_id, decision_id, entity_type, left_id, right_id, verdict, actor_type, actor)"
        " select %(tenant)s, gen_random_uuid(), 'person', least(said, id), greatest(said, id), 'match', 'human', 'x' from"
        " (select unnest(array[left_id, right_id]) as said from pay_ready.decisions where tenant_id = %(tenant)s) as both_ends,"
        f" (select record_id as id from pay_ready.assignments {_CURRENT} and entity_type = 'person' order by record_id limit 1) as third"),
        "select decision_id::text from pay_ready.decisions where tenant_id = %(tenant)s and verdict = 'no_match'",
    ), set()),
    ("versions", "runs are numbered", (
        "update pay_ready.tenant_counters set value = value + 1 where tenant_id = %(tenant)s and counter = 'run_no'",
        f"select 'run ' || {_RUN} + 1",
    ), set()),
    ("versions", "rows are opened and closed", (
        f"update pay_ready.assignments set closed_run_no = 77 where tenant_id = %(tenant)s and closed_run_no = {_RUN}",
        "select 'assignments run 77'",
    ), {"digest"}),
    ("versions", "at any run a key has one row", (
        ("create temporary table picked as select entity_id from pay_ready.entity_versions where tenant_id = %(tenant)s"
        " and closed_run_no is not null and entity_id in (select entity_id from pay_ready.entity_versions"
        f" {_CURRENT}) order by entity_id limit 1"),
        (f"update pay_ready.entity_versions set closed_run_no = {_RUN} + 1 where tenant_id = %(tenant)s and closed_run_no is not null"
        " and entity_id = (select entity_id from picked)"),
        "select 'version ' || entity_id from picked",
    ), {"digest", "checkpoints"}),
    ("versions", "an interaction has one first", (
        ("create temporary table picked as select min(interaction_id::text)::uuid as entity_id from pay_ready.interaction_entities"
        f" {_CURRENT}"),
        f"update pay_ready.interaction_entities set is_primary = false {_CURRENT} and interaction_id = (select entity_id from picked)",
        _OFFENDER,
    ), {"interactions"}),
    ("digest", "the newest run's digest", (
        f"update pay_ready.assignments set confidence = 0.1234 {_CURRENT} and record_id = {_LIVE_RECORD}",
        f"select 'run ' || {_RUN}",
    ), {"checkpoints"}),
    ("golden", "the hash is that", (
        _pick(_ONE),
        ("update pay_ready.entity_versions set golden = jsonb_set(golden, '{fields,city}', '{\"value\": \"X\", \"values\": [\"X\"]}')"
        f" {_CURRENT} and entity_id = (select entity_id from picked)"),
        _OFFENDER,
    ), set()),
    ("golden", "columns show", (
        _pick(_ONE),
        f"update pay_ready.entity_versions set name = 'Somebody Else' {_CURRENT} and entity_id = (select entity_id from picked)",
        _OFFENDER,
    ), set()),
    ("golden", "every value comes from", (
        _pick(_ONE),
        ("update pay_ready.entity_versions set provenance = jsonb_set(provenance, '{fields,name}', to_jsonb(gen_random_uuid()))"
        f" {_CURRENT} and entity_id = (select entity_id from picked)"),
        _OFFENDER,
    ), set()),
    ("interactions", "links are those", (
        ("create temporary table picked as select min(interaction_id::text)::uuid as entity_id from pay_ready.interaction_entities"
        f" {_CURRENT}"),
        (f"update pay_ready.interaction_entities set occurred_at = occurred_at + interval '1 day' {_CURRENT}"
        " and interaction_id = (select entity_id from picked)"),
        _OFFENDER,
    ), set()),
    ("feed", "changes are numbered", (
        ("update pay_ready.entity_changes set change_seq = 100000 where tenant_id = %(tenant)s and change_seq ="
        " (select max(change_seq) from pay_ready.entity_changes where tenant_id = %(tenant)s)"),
        "select 'change 100000'",
    ), set()),
    ("feed", "each change begins", (
        ("create temporary table picked as select entity_id, change_seq from pay_ready.entity_changes where tenant_id = %(tenant)s"
        " and change = 'changed' order by change_seq limit 1"),
        ("update pay_ready.entity_changes set before_hash = sha256('x') where tenant_id = %(tenant)s"
        " and change_seq = (select change_seq from picked)"),
        _OFFENDER,
    ), set()),
    ("feed", "read from the beginning", (
        _pick(_ONE),
        ("update pay_ready.entity_changes set after_hash = sha256('x') where tenant_id = %(tenant)s and change_seq ="
        " (select max(change_seq) from pay_ready.entity_changes where tenant_id = %(tenant)s"
            " and entity_id = (select entity_id from picked))"),
        _OFFENDER,
    ), set()),
    ("feed", "where it says", (
        ("create temporary table picked as select entity_id, change_seq from pay_ready.entity_changes where tenant_id = %(tenant)s"
        " and change = 'merged' order by change_seq limit 1"),
        (f"update pay_ready.entity_changes set other_entity_id = {_ONE} where tenant_id = %(tenant)s"
        " and change_seq = (select change_seq from picked)"),
        _OFFENDER,
    ), set()),
    ("audit", "every event hashes", (
        "update pay_ready.audit_events set actor = 'nobody' where tenant_id = %(tenant)s and seq = 2",
        "select 'event 2'",
    ), set()),
    ("audit", "every event hashes", (
        "delete from pay_ready.audit_events where tenant_id = %(tenant)s and seq = 2",
        "select 'event 3'",
    ), set()),
    ("audit", "every run is in the trail", (
        ("delete from pay_ready.audit_events where tenant_id = %(tenant)s and seq ="
        " (select max(seq) from pay_ready.audit_events where tenant_id = %(tenant)s)"),
        f"select 'run ' || {_RUN}",
    ), set()),
    ("isolation", "row security holds", (
        "alter table pay_ready.edges no force row level security",
        "select 'edges'",
    ), set()),
    ("isolation", "row security holds", (
        "create policy everybody on pay_ready.decisions for select using (true)",
        "select 'decisions'",
    ), set()),
    ("isolation", "every foreign key begins", (
        "alter table pay_ready.review_leases add constraint astray foreign key (left_id) references pay_ready.review_leases_ids (id)",
        "select 'astray'",
    ), set()),
    ("isolation", "every reference leads", (
        "create temporary table picked as select entity_id from pay_ready.entities where tenant_id = %(neighbour)s order by 1 limit 1",
        ("update pay_ready.entity_changes set other_entity_id = (select entity_id from picked) where tenant_id = %(tenant)s"
        " and change = 'split'"),
        "select 'entity_changes.other_entity_id ' || entity_id from picked",
    ), set()),
    ("blocks", "records and blocks agree", (
        ("create temporary table picked as select record_id as entity_id from pay_ready.block_members where tenant_id = %(tenant)s"
        " order by record_id limit 1"),
        "delete from pay_ready.block_members where tenant_id = %(tenant)s and record_id = (select entity_id from picked)",
        _OFFENDER,
    ), set()),
    ("blocks", "records and blocks agree", (
        "create temporary table picked as select gen_random_uuid() as entity_id",
        "insert into pay_ready.block_members (tenant_id, block, place, record_id) select %(tenant)s, -5, 7, entity_id from picked",
        _OFFENDER,
    ), set()),
    ("blocks", "edges are of records", (
        "create temporary table picked as select gen_random_uuid() as entity_id",
        ("insert into pay_ready.edges (tenant_id, entity_type, left_id, right_id, model_id, left_hash, right_hash, match_weight_millibits,"
        " levels) select tenant_id, 'person', least(entity_id, left_id), greatest(entity_id, left_id), model_id, left_hash, right_hash, 1,"
        " '' from pay_ready.edges, picked where tenant_id = %(tenant)s and entity_type = 'person' limit 1"),
        _OFFENDER,
    ), set()),
    ("memory", "what memory has yet to hear", (
        "delete from pay_ready.memory_outbox where tenant_id = %(tenant)s and outbox_seq = 2",
        "select 'outbox 3'",
    ), set()),
    ("memory", "passages are of interactions", (
        ("insert into pay_ready.memories (tenant_id, memory_id, interaction_id, chunk_no, source_id, interaction_type, chunk_text,"
        " content_hash, occurred_at) select tenant_id, '00000000-0000-4000-8000-000000000001', '00000000-0000-4000-8000-000000000002', 0,"
        " source_id, 'note', 'left over', sha256('left over'), now() from pay_ready.data_sources where tenant_id = %(tenant)s limit 1"),
        "select '00000000-0000-4000-8000-000000000001'",
    ), set()),
    ("checkpoints", "each names a run", (
        "update pay_ready.checkpoints set digest = sha256('x') where tenant_id = %(tenant)s and run_no = 1",
        "select name from pay_ready.checkpoints where tenant_id = %(tenant)s and run_no = 1",
    ), set()),
    ("checkpoints", "each digest is that", (
        "update pay_ready.assignments set confidence = 0.1234 where tenant_id = %(tenant)s and opened_run_no = 1 and closed_run_no > 1",
        "select 'run 1'",
    ), set()),
]  # fmt: skip


@pytest.mark.parametrize(("check", "promise", "statements", "beside"), DAMAGE, ids=[f"{each[0]}: {each[1]}" for each in DAMAGE])
def test_damage_is_found_by_its_check(check: str, promise: str, statements: tuple[str, ...], beside: set[str], grown: Grown) -> None:
    """One thing is broken by hand: its check fails and names the offender; no other fails that does not follow from it."""
    if "review_leases_ids" in statements[0]:
        grown.damage("create table pay_ready.review_leases_ids (id uuid primary key, tenant_id uuid)", "select 1")
    ((offender,),) = grown.damage(*statements)
    found = breaches(verified(grown.database, grown.tenant))
    told = {words: named for words, named in found[check] if words.startswith(promise)}
    assert offender in next(iter(told.values()))
    assert found.keys() - {check} == beside
    if check != "isolation":
        assert breaches(verified(grown.database, grown.neighbour)) == {}


def test_every_promise_is_broken_by_some_damage() -> None:
    """No promise stands here whose breach no test has seen (the equation that a CHECK holds, and the tiers to come, aside)."""
    broken = {(check, promise) for check, promise, *_ in DAMAGE}
    unseen = [
        (check.name, promise.words)
        for check in CHECKS
        for promise in check.promises
        if not any(check.name == name and promise.words.startswith(words) for name, words in broken)
    ]
    assert unseen == [
        ("records", "what a run read is landed, unchanged, superseded, deleted or in quarantine"),
        # tests/integration/test_verify_outer.py
        ("memory", "the vector store beside Postgres has what the record has, or is yet to hear of it"),
    ]


def test_a_snapshot_writes_nothing_and_sees_one_moment(grown: Grown) -> None:
    """What is committed meanwhile is not seen, and a write is refused."""
    count = "entities.counts"
    with grown.database.tenant_transaction(grown.tenant, snapshot=True) as tx:
        before = tx.row(count)
        restage(grown.scratch.admin_url, grown.tenant, Staged(people=list(_COPIES)), Staged(people=[_COPIES[0]]))
        assert tx.row(count) == before
    with (
        pytest.raises(PayReadyError, match="25006"),
        grown.database.tenant_transaction(grown.tenant, snapshot=True) as tx,
    ):
        tx.execute("tenants.close_settings")
    with grown.database.tenant_transaction(grown.tenant) as tx:
        assert tx.row(count) != before


def test_a_check_that_there_is_not_is_refused(database: Database, tenant: TenantId) -> None:
    """With those that there are; a tenant of nothing is green."""
    with pytest.raises(UsageError, match=r"no such check.*records, assignments"):
        verify_tenant(database, tenant, name="acme", only=["nothing"])
    assert [each.check for each in verified(database, tenant, only=["feed", "ids"]).results] == ["ids", "feed"]
    assert_verified(database, tenant)


def test_references_are_those_of_the_catalogue(scratch: Scratch) -> None:
    """The statements that look for lost references cover every foreign key there is."""
    with psycopg.connect(scratch.admin_url) as admin:
        assert references.FILE.read_text("utf-8") == references.statements(admin), "run: python -m tests.references"
    assert [name for name in load_queries() if name.startswith("references.") and untied(load_queries()[name].sql)] == []


_RECORDS = [UUID(int=number) for number in range(6)]


def _told(pairs: list[tuple[int, int, str]], entities: dict[int, int]) -> list[Honoured]:
    return [
        Honoured(
            decision_id=UUID(int=100 + number), entity_type="person", left_id=_RECORDS[left], right_id=_RECORDS[right], verdict=verdict,
            actor_type="human", waits=False, is_current=True,
            left_entity_id=UUID(int=entities[left]) if left in entities else None,
            right_entity_id=UUID(int=entities[right]) if right in entities else None,
        )
        for number, (left, right, verdict) in enumerate(pairs)
    ]  # fmt: skip


_PAIRS = st.lists(
    st.tuples(st.integers(0, 5), st.integers(0, 5), st.sampled_from(["match", "no_match"])).filter(lambda pair: pair[0] < pair[1]),
    max_size=8,
    unique_by=lambda pair: pair[:2],
)


@given(pairs=_PAIRS)
def test_contradictions_are_those_of_the_closure(pairs: list[tuple[int, int, str]]) -> None:
    """Against an oracle that follows matches step by step; and where matches are entities, only they are honoured, and all of them."""
    reach = {number: {number} for number in range(6)}
    for _ in range(6):
        for left, right, verdict in pairs:
            if verdict == "match":
                reach[left] |= reach[right]
                reach[right] |= reach[left]
    told = _told(pairs, {number: min(group) for number, group in reach.items()})
    expected = {(left, right) for left, right, verdict in pairs if verdict == "no_match" and right in reach[left]}
    assert {(each.left_id.int, each.right_id.int) for each in contradictions(told)} == expected
    assert broken_links(told) == []
    apart = _told(pairs, {number: number for number in range(6)})
    assert {each.decision_id for each in broken_links(apart)} == {each.decision_id for each in apart if each.verdict == "match"}


def test_the_command_tells_and_ends_with_seven(
    grown: Grown, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """A table with what to do next, JSON, JUnit; every tenant without a name; exit code 7 when anything is off."""
    from pay_ready.cli import main

    monkeypatch.setenv("PAY_READY_DATABASE_URL", grown.scratch.app_url)
    monkeypatch.setenv("PAY_READY_ADMIN_DATABASE_URL", grown.scratch.admin_url)

    def command(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["pay-ready", *words])
        with pytest.raises(SystemExit) as end:
            main.main()
        told = capsys.readouterr()
        return int(end.value.code or 0), told.out, told.err

    code, out, _ = command("verify", "-t", "acme", "--only", "feed", "--json")
    assert (code, json.loads(out)["data"][0]["results"][0]["state"]) == (0, "ok")
    grown.damage("update pay_ready.audit_events set reason = '<x>' where tenant_id = %(tenant)s and seq = 2", "select 1")
    code, out, err = command("verify", "--junit", str(tmp_path / "found.xml"))
    assert code == 7
    assert "audit: not so that every event hashes itself and the one before: 1, first event 2" in out
    assert "next: keep a copy" in out
    assert err.splitlines()[-1] == ("error: something is off - checks=audit, tenants=acme - read above what, and what to do")
    told = (tmp_path / "found.xml").read_text()
    assert told.count("<testsuite ") == 2
    assert told.count("<failure ") == 1
    assert command("verify", "-t", "nobody")[0] == 4
