"""Resolve and publish: what readers see afterwards, what a second run changes, and what is kept of the past."""

import random
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import psycopg
import pytest

from pay_ready.db import resolution as db_resolution
from pay_ready.db.tenancy import Database
from pay_ready.errors import RetryLaterError
from pay_ready.model.ids import RunId, TenantId, new_id
from pay_ready.model.resolution import EntityType
from pay_ready.pipeline.publish import Base, Resolved, publish
from pay_ready.resolve.engine import resolve as resolved_by_engine
from tests.conftest import Scratch
from tests.publish_support import (
    MOMENT,
    CallRow,
    CompanyRow,
    PersonRow,
    Staged,
    company_id,
    config,
    history,
    person_id,
    published,
    resolve,
    rows,
    stage,
)

ANN = (
    PersonRow(source="salesforce", key="id:1", full_name="Ann Lee", email="ann@globex.com", company="id:g", updated=MOMENT),
    PersonRow(source="hubspot", key="id:2", full_name="Lee, Ann", email="ann@globex.com", phone="+12065550100", title="CFO"),
    PersonRow(source="gong", key="email:3", full_name="ann lee", email="ann@globex.com", company="id:g", side="external"),
    PersonRow(source="slack", key="id:4", full_name="Annie Lee", phone="+12065550100", updated=MOMENT + timedelta(days=3)),
)
BOB = PersonRow(source="gong", key="id:b", full_name="Bob Own", email="bob@acme.com", side="internal", company="id:a")
CARL = PersonRow(source="gong", key="speaker:c1:2", full_name="Ann Lee")
GLOBEX = (
    CompanyRow(source="salesforce", key="id:g", name="Globex Inc.", domain="globex.com"),
    CompanyRow(source="gong", key="id:g", name="Globex", domain="globex.com"),
)
ACME = CompanyRow(source="gong", key="id:a", name="Acme", domain="acme.com")
CALL = CallRow(source="gong", key="c1", people=("id:b", "email:3"))
WRITTEN = (
    "assignments", "checkpoints", "edges", "entities", "entity_changes", "entity_redirects", "entity_versions", "interaction_entities",
    "memory_outbox", "resolution_runs", "tenant_counters",
)  # fmt: skip
EVERYTHING = Staged(companies=(*GLOBEX, ACME), people=(*ANN, BOB, CARL), calls=(CALL,))


def entity_of(admin_url: str, tenant: TenantId, row: PersonRow) -> object:
    """The published entity of a person."""
    found = rows(
        admin_url,
        tenant,
        "select entity_id from pay_ready.assignments where tenant_id = %(tenant)s and closed_run_no is null"
        f" and record_id = '{person_id(tenant, row.source, row.key)}'",
    )
    return found[0][0] if found else None


def changes(admin_url: str, tenant: TenantId, run_no: int) -> list[tuple[object, ...]]:
    """Kinds of a run's changes."""
    return rows(
        admin_url,
        tenant,
        f"select change, entity_type, count(*) from pay_ready.entity_changes where tenant_id = %(tenant)s and run_no = {run_no}"
        " group by 1, 2 order by 1, 2",
    )


def test_one_person_of_four_sources_is_one_entity(database: Database, scratch: Scratch, tenant: TenantId) -> None:
    """Records of four sources that agree become one entity; a speaker with a mere name stays alone; the report says so."""
    stage(scratch.admin_url, tenant, EVERYTHING)
    report = resolve(database, tenant)
    assert report.run_no == 1
    assert (report.people.records, report.people.entities) == (6, 3)
    assert (report.companies.records, report.companies.entities) == (3, 2)
    assert len({entity_of(scratch.admin_url, tenant, row) for row in ANN}) == 1
    assert entity_of(scratch.admin_url, tenant, CARL) != entity_of(scratch.admin_url, tenant, ANN[0])
    assert report.count("created") == 5
    assert set(report.seconds) == {"read", "companies", "people", "publish"}


def test_golden_record_names_the_record_of_each_value(database: Database, scratch: Scratch, tenant: TenantId) -> None:
    """The best value of each field survives with its record, and the company is the entity of the winning record's company."""
    stage(scratch.admin_url, tenant, EVERYTHING)
    resolve(database, tenant)
    ann = entity_of(scratch.admin_url, tenant, ANN[0])
    query = (
        "select versions.name, versions.email, versions.title, versions.phone, versions.golden, versions.provenance, companies.domain,"
        " versions.record_count from pay_ready.entity_versions as versions join pay_ready.entity_versions as companies"
        " on companies.tenant_id = versions.tenant_id and companies.entity_id = versions.company_entity_id"
        f" where versions.tenant_id = %(tenant)s and versions.entity_id = '{ann}'"
    )
    ((name, email, title, phone, golden, provenance, domain, count),) = rows(scratch.admin_url, tenant, query)
    assert (name, email, title, phone, domain, count) == ("Ann Lee", "ann@globex.com", "CFO", "+12065550100", "globex.com", 4)
    assert golden["schema_version"] == 1  # type: ignore[index]
    assert sorted(golden["fields"]["name"]["values"]) == ["Ann Lee", "Annie Lee", "Lee, Ann", "ann lee"]  # type: ignore[index]
    assert provenance["fields"]["title"] == str(person_id(tenant, "hubspot", "id:2"))  # type: ignore[index]


def test_interactions_are_linked_to_entities(database: Database, scratch: Scratch, tenant: TenantId) -> None:
    """A call is with its people and their companies; the external person and company come first though they stand second."""
    stage(scratch.admin_url, tenant, EVERYTHING)
    report = resolve(database, tenant)
    assert report.interactions_linked == 3
    found = rows(
        scratch.admin_url,
        tenant,
        "select links.entity_type, links.is_primary, versions.name from pay_ready.interaction_entities as links"
        " join pay_ready.entity_versions as versions using (tenant_id, entity_id) where tenant_id = %(tenant)s order by 1, 2 desc",
    )
    assert found == [("company", True, "Globex Inc."), ("person", True, "Ann Lee"), ("person", False, "Bob Own")]


def test_second_run_changes_nothing(database: Database, scratch: Scratch, tenant: TenantId) -> None:
    """Run twice, the second run takes no number and writes nothing."""
    stage(scratch.admin_url, tenant, EVERYTHING)
    resolve(database, tenant)
    before = history(scratch.admin_url, tenant)
    report = resolve(database, tenant)
    assert report.run_no is None
    assert history(scratch.admin_url, tenant) == before
    assert sum(report.people.changes.values()) + sum(report.companies.changes.values()) == 0


def test_order_of_arrival_changes_nothing(database: Database, scratch: Scratch, tenant: TenantId) -> None:
    """Rows that arrive in another order end in the same published state, ids included."""
    stage(scratch.admin_url, tenant, EVERYTHING)
    resolve(database, tenant)
    once = published(scratch.admin_url, tenant)
    with psycopg.connect(scratch.admin_url) as admin:
        admin.execute("set session_replication_role = replica")
        for table in WRITTEN:
            admin.execute(f"delete from pay_ready.{table}")  # type: ignore[arg-type]
    shuffled = list(EVERYTHING.people)
    random.Random(4).shuffle(shuffled)
    stage(scratch.admin_url, tenant, replace(EVERYTHING, people=shuffled, companies=EVERYTHING.companies[::-1]))
    resolve(database, tenant)
    assert published(scratch.admin_url, tenant) == once


def test_increments_end_in_the_same_clusters(database: Database, scratch: Scratch, tenant: TenantId) -> None:
    """Loaded one record at a time, the records end in the clusters of one load."""
    for end in range(1, len(EVERYTHING.people) + 1):
        stage(scratch.admin_url, tenant, replace(EVERYTHING, people=EVERYTHING.people[:end], calls=()))
        resolve(database, tenant)
    assert len({entity_of(scratch.admin_url, tenant, row) for row in ANN}) == 1
    assert len({entity_of(scratch.admin_url, tenant, row) for row in EVERYTHING.people}) == 3


def test_merge_and_split_give_the_ids_back(database: Database, scratch: Scratch, tenant: TenantId) -> None:
    """A bridge merges two people: the smaller id redirects. Without the bridge each has its former id, and the redirect is closed."""
    two = Staged(people=(ANN[0], ANN[3], replace(ANN[3], source="gong", email="annie@mail.com")))
    stage(scratch.admin_url, tenant, two)
    resolve(database, tenant)
    ids = [entity_of(scratch.admin_url, tenant, row) for row in two.people]
    assert len(set(ids)) == 2
    stage(scratch.admin_url, tenant, replace(two, people=(*two.people, ANN[1])))
    merged = resolve(database, tenant)
    assert merged.count("merged") == 1
    redirect = "select entity_id, target_entity_id from pay_ready.entity_redirects where tenant_id = %(tenant)s and closed_run_no is null"
    assert rows(scratch.admin_url, tenant, redirect) == [(ids[0], ids[1])]
    stage(scratch.admin_url, tenant, two)
    split = resolve(database, tenant)
    assert split.count("split") == 1
    assert [entity_of(scratch.admin_url, tenant, row) for row in two.people] == ids
    assert rows(scratch.admin_url, tenant, redirect) == []


def test_an_id_that_lost_its_founder_comes_back_after_a_merge(database: Database, scratch: Scratch, tenant: TenantId) -> None:
    """The founder leaves, the others keep the id; they go over to a larger entity, and the id leads there; they come back and have it."""
    keys = ("x1", "x2", "x3")
    founder = min(keys, key=lambda key: person_id(tenant, "gong", key))
    others = [key for key in keys if key != founder]

    def load(*, founder_email: str, others_email: str) -> dict[str, object]:
        emails = dict.fromkeys(others, others_email) | {founder: founder_email} | dict.fromkeys(("y1", "y2", "y3"), "kurt@two.com")
        names = {"ann@one.com": "Ann Lee", "zoe@three.com": "Zoe Quist", "kurt@two.com": "Kurt Vogel"}
        people = [PersonRow(source="gong", key=key, full_name=names[email], email=email) for key, email in emails.items()]
        stage(scratch.admin_url, tenant, Staged(people=people))
        resolve(database, tenant)
        return {row.key: entity_of(scratch.admin_url, tenant, row) for row in people}

    whole = load(founder_email="ann@one.com", others_email="ann@one.com")
    parted = load(founder_email="zoe@three.com", others_email="ann@one.com")
    assert {parted[key] for key in others} == {whole[founder]}
    assert parted[founder] != whole[founder]
    merged = load(founder_email="zoe@three.com", others_email="kurt@two.com")
    redirect = "select entity_id, target_entity_id from pay_ready.entity_redirects where tenant_id = %(tenant)s and closed_run_no is null"
    assert rows(scratch.admin_url, tenant, redirect) == [(whole[founder], merged["y1"])]
    assert load(founder_email="zoe@three.com", others_email="ann@one.com") == parted
    assert rows(scratch.admin_url, tenant, redirect) == []


def test_vanished_records_retire_their_entity(database: Database, scratch: Scratch, tenant: TenantId) -> None:
    """An entity whose last record is gone retires: its id stays known and leads nowhere; a record that comes back has it again."""
    stage(scratch.admin_url, tenant, EVERYTHING)
    resolve(database, tenant)
    bob = entity_of(scratch.admin_url, tenant, BOB)
    gone = replace(EVERYTHING, people=(*ANN, CARL), calls=())
    stage(scratch.admin_url, tenant, gone)
    report = resolve(database, tenant)
    assert report.run_no is not None
    assert ("retired", "person", 1) in changes(scratch.admin_url, tenant, report.run_no)
    redirect = "select entity_id, target_entity_id from pay_ready.entity_redirects where tenant_id = %(tenant)s and closed_run_no is null"
    assert rows(scratch.admin_url, tenant, redirect) == [(bob, None)]
    assert report.interactions_unlinked == 3
    stage(scratch.admin_url, tenant, EVERYTHING)
    resolve(database, tenant)
    assert entity_of(scratch.admin_url, tenant, BOB) == bob
    assert rows(scratch.admin_url, tenant, redirect) == []


def test_decisions_outvote_evidence(database: Database, scratch: Scratch, tenant: TenantId) -> None:
    """A human's match joins what evidence leaves apart, no_match cuts what it joins, and an agent does not outvote a human."""
    stage(scratch.admin_url, tenant, EVERYTHING)
    resolve(database, tenant)
    decide(scratch, tenant, ANN[0], CARL, "match", "human")
    decide(scratch, tenant, ANN[0], CARL, "no_match", "agent")
    decide(scratch, tenant, ANN[0], ANN[1], "no_match", "human")
    report = resolve(database, tenant)
    entities = [entity_of(scratch.admin_url, tenant, row) for row in (ANN[0], ANN[1], CARL)]
    assert entities[0] == entities[2] != entities[1]
    assert report.ignored_decisions == 0
    assert resolve(database, tenant).run_no is None


def decide(scratch: Scratch, tenant: TenantId, one: PersonRow, other: PersonRow, verdict: str, actor_type: str) -> None:
    """Keep a decision about two records."""
    left, right = sorted(person_id(tenant, row.source, row.key) for row in (one, other))
    with psycopg.connect(scratch.admin_url) as admin:
        admin.execute(
            "insert into pay_ready.decisions (tenant_id, decision_id, entity_type, left_id, right_id, verdict, actor_type, actor)"
            " values (%s, %s, 'person', %s, %s, %s, %s, 'tests')",
            (tenant, new_id(), left, right, verdict, actor_type),
        )


def test_nothing_is_rewritten(database: Database, scratch: Scratch, tenant: TenantId) -> None:
    """After a change the rows of the past still stand, closed; each record has one current row; the change feed has no gap."""
    stage(scratch.admin_url, tenant, EVERYTHING)
    resolve(database, tenant)
    first = published(scratch.admin_url, tenant)
    changed = replace(EVERYTHING, people=(replace(ANN[0], title="CEO", updated=MOMENT + timedelta(days=9)), *ANN[1:], BOB, CARL))
    stage(scratch.admin_url, tenant, changed)
    report = resolve(database, tenant)
    assert report.run_no == 2
    assert changes(scratch.admin_url, tenant, 2) == [("changed", "person", 1)]
    # As of run 1: the state that was published then.
    past = "select entity_type, record_id, entity_id, confidence from pay_ready.assignments where tenant_id = %(tenant)s"
    then = sorted(f"assignments {row}" for row in rows(scratch.admin_url, tenant, past + " and opened_run_no <= 1"))
    assert then == [line for line in first if line.startswith("assignments ")]
    numbers = rows(scratch.admin_url, tenant, "select change_seq from pay_ready.entity_changes where tenant_id = %(tenant)s order by 1")
    assert [number for (number,) in numbers] == list(range(1, len(numbers) + 1))
    kept = rows(scratch.admin_url, tenant, "select name, run_no, length(digest) from pay_ready.checkpoints where tenant_id = %(tenant)s")
    assert kept == [("before-run-2", 1, 32)]
    outbox = rows(scratch.admin_url, tenant, "select change, object_kind, object_id from pay_ready.memory_outbox order by outbox_seq")
    assert outbox == [("publish", "run", "1"), ("publish", "run", "2")]


def test_checkpoint_digest_is_the_digest_of_that_state(database: Database, scratch: Scratch, tenant: TenantId) -> None:
    """The audit's after-hash of one run is the checkpoint's digest before the next."""
    stage(scratch.admin_url, tenant, EVERYTHING)
    resolve(database, tenant)
    stage(scratch.admin_url, tenant, replace(EVERYTHING, people=ANN, calls=()))
    resolve(database, tenant)
    found = rows(
        scratch.admin_url,
        tenant,
        "select checkpoints.digest = events.after_hash from pay_ready.checkpoints join pay_ready.audit_events as events using (tenant_id)"
        " where tenant_id = %(tenant)s and events.action = 'resolution.published' and events.subject_id = checkpoints.run_no::text",
    )
    assert found == [(True,)]


def test_a_run_that_read_before_another_published_is_refused(database: Database, scratch: Scratch, tenant: TenantId) -> None:
    """Publishing what was read before somebody else's publish would go back in time: it is refused, and nothing changes."""
    stage(scratch.admin_url, tenant, EVERYTHING)
    settings = config()
    people = db_resolution.read_staged(database, tenant, "person")
    companies = db_resolution.read_staged(database, tenant, "company")
    resolve(database, tenant)
    before = history(scratch.admin_url, tenant)
    resolved: dict[EntityType, Resolved] = {
        "company": Resolved(staged=companies, resolution=resolved_by_engine("company", companies, settings)),
        "person": Resolved(staged=people, resolution=resolved_by_engine("person", people, settings)),
    }
    with pytest.raises(RetryLaterError, match="another run published"):
        publish(database, tenant, resolved, settings, base=Base(), actor="tests", run_id=RunId(new_id()))
    assert history(scratch.admin_url, tenant) == before


def test_new_interactions_alone_are_published(database: Database, scratch: Scratch, tenant: TenantId) -> None:
    """A call that arrives later is linked by a run of its own, though no entity changed; rows that are not primary link nothing."""
    stage(scratch.admin_url, tenant, replace(EVERYTHING, calls=()))
    resolve(database, tenant)
    stage(scratch.admin_url, tenant, EVERYTHING)
    report = resolve(database, tenant)
    assert (report.run_no, report.interactions_linked) == (2, 3)
    part = CallRow(source="gong", key="c2", people=("id:b",), is_primary=False)
    about = CallRow(source="gong", key="c3", companies=("id:a",))
    stage(scratch.admin_url, tenant, replace(EVERYTHING, calls=(CALL, part, about)))
    assert resolve(database, tenant).interactions_linked == 1


def test_empty_tenant_publishes_nothing(database: Database, tenant: TenantId) -> None:
    """A tenant without records has nothing to publish."""
    report = resolve(database, tenant)
    assert report.run_no is None
    assert report.people.records == report.companies.records == 0


def test_tenants_do_not_meet(database: Database, scratch: Scratch, tenant: TenantId, new_tenant: Callable[[str], TenantId]) -> None:
    """The same records in two tenants give each its own entities, with ids that have nothing in common."""
    other = new_tenant("globex")
    for each in (tenant, other):
        stage(scratch.admin_url, each, EVERYTHING)
        assert resolve(database, each).run_no == 1
    query = "select entity_id from pay_ready.entities where tenant_id = %(tenant)s"
    ids = [set(rows(scratch.admin_url, each, query)) for each in (tenant, other)]
    assert len(ids[0]) == len(ids[1]) == 5
    assert not ids[0] & ids[1]
    assert company_id(tenant, "gong", "id:a") != company_id(other, "gong", "id:a")
