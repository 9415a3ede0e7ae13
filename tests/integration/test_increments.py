"""Increments: what changed alone is read, and what is published is what a run over everything publishes, to the last row."""

import os
import random
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from uuid import UUID

import psycopg
import pytest

from pay_ready.db import blocks as db_blocks
from pay_ready.db import resolution as db_resolution
from pay_ready.db.state import digest_at
from pay_ready.db.tenancy import Database, TenantTransaction
from pay_ready.errors import ConflictError, RetryLaterError, UsageError
from pay_ready.model.ids import RunId, TenantId, new_id
from pay_ready.model.resolution import ENTITY_TYPES, EntityType, Reads, ResolutionConfig, ResolveReport
from pay_ready.pipeline import decide
from pay_ready.pipeline.decide import Decider
from pay_ready.pipeline.publish import Published, publish
from pay_ready.pipeline.resolve import Reading, read_and_resolve, resolve_tenant
from pay_ready.resolve.changes import assignment_line, decision_line, moved_digest, version_line
from pay_ready.resolve.engine import resolve
from tests.conftest import Scratch
from tests.integration.test_models import clusters, people_of
from tests.publish_support import (
    SOURCES,
    CallRow,
    CompanyRow,
    PersonRow,
    Staged,
    add_people,
    company_id,
    config,
    person_id,
    published,
    restage,
    rows,
    stage,
    take_people,
)

DEEP = bool(os.environ.get("PAY_READY_TEST_DEEP"))
_FACTS = (
    "select entity_type, left_id, right_id, model_id, left_hash, right_hash, match_weight_millibits, levels from pay_ready.edges",
    "select record_id, entity_type, encode(blocks, 'hex') from pay_ready.record_blocks",
    "select block, place, record_id from pay_ready.block_members",
)
_QUEUE = "select count(*) from pay_ready.resolution_queue where tenant_id = %(tenant)s"
_WORDS = ("Acme", "Borealis", "Cobalt", "Delta", "Ember", "Fjord")


def tiny_blocks() -> ResolutionConfig:
    """Blocks so small that many are too large, and grow and shrink over their limit."""
    shipped = config()
    people, companies = (dict.fromkeys(each.max_block_sizes, 3) for each in (shipped.person, shipped.company))
    person, company = replace(shipped.person, max_block_sizes=people), replace(shipped.company, max_block_sizes=companies)
    return replace(shipped, person=person, company=company)


def run(database: Database, tenant: TenantId, reads: Reads, settings: ResolutionConfig | None = None) -> ResolveReport:
    """Resolve; never trained anew by itself."""
    by_hand = replace(settings or config(), refresh="by_hand")
    return resolve_tenant(database, tenant, by_hand, actor="tests", run_id=RunId(new_id()), reads=reads)


def facts(admin_url: str, tenant: TenantId) -> list[list[str]]:
    """Edges and blocks."""
    return [sorted(map(str, rows(admin_url, tenant, f"{each} where tenant_id = %(tenant)s"))) for each in _FACTS]


def canonical_lines(tx: TenantTransaction) -> Iterator[str]:
    """The lines of the published state."""
    whole = db_resolution.published_state(tx)
    for entity_type in ENTITY_TYPES:
        for record, (entity, confidence) in whole.assignments[entity_type].items():
            yield assignment_line(entity_type, record, entity, confidence)
    yield from (version_line(*each) for each in whole.versions.items())
    yield from map(decision_line, db_resolution.held_decisions(tx).values())


def check_against_everything(database: Database, admin_url: str, tenant: TenantId, settings: ResolutionConfig | None = None) -> None:
    """What stands is what a run over everything with the same models makes: it publishes nothing, and changes no edge and no block."""
    state, stood = published(admin_url, tenant), facts(admin_url, tenant)
    with database.tenant_transaction(tenant) as tx:
        standing = db_resolution.standing(tx)
        assert standing.state_digest == digest_at(tx, standing.run_no) == moved_digest(bytes(32), (), canonical_lines(tx))
    report = run(database, tenant, "all", settings)
    for then, now in zip(facts(admin_url, tenant), stood, strict=True):
        assert (set(then) - set(now), set(now) - set(then)) == (set(), set())
    found = published(admin_url, tenant)
    assert (sorted(set(found) - set(state)), sorted(set(state) - set(found))) == ([], [])
    assert report.run_no is None
    assert report.people.records == standing.report["people"]["records"]
    assert report.people.entities == standing.report["people"]["entities"]
    assert report.companies.entities == standing.report["companies"]["entities"]
    assert rows(admin_url, tenant, _QUEUE) == [(0,)]


def world(seed: int, size: int) -> Staged:
    """People with slips and gaps, companies under several names, calls between them."""
    chosen = random.Random(seed)
    companies = [
        CompanyRow(
            source=source, key=f"c{number}", name=f"{word} {ending}".strip(),
            domain=f"{word.lower()}.example" if chosen.random() < 0.7 else None, city=chosen.choice(["Oslo", "Rome", None]),
        )
        for number, (word, source, ending) in enumerate(
            (word, source, ending) for word in _WORDS for source in SOURCES[:2] for ending in ("Inc", "Group Ltd")
        )
    ]  # fmt: skip
    people = [
        replace(
            person,
            company=chosen.choice([each.key for each in companies if each.source == person.source] or [None])  # type: ignore[arg-type]
            if chosen.random() < 0.5
            else None,
            side=chosen.choice(["internal", "external", "unknown"]),
        )
        for person in people_of(size, seed)
    ]
    calls = [
        CallRow(source=people[at].source, key=f"call{at}", people=[people[at].key], companies=_of_source(companies, people[at].source)[:1])
        for at in range(0, len(people), 7)
    ]
    return Staged(companies=companies, people=people, calls=calls)


def _of_source(companies: Sequence[CompanyRow], source: str) -> list[str]:
    return [each.key for each in companies if each.source == source]


def changed(chosen: random.Random, before: Staged, spare: list[PersonRow]) -> Staged:
    """Some records come, some change, some go, of each kind; whoever is in a call stays."""
    people, companies, calls = list(before.people), list(before.companies), list(before.calls)
    called = {(call.source, key) for call in calls for key in call.people}
    for at in chosen.sample(range(len(people)), 6):
        other = chosen.choice(people)
        people[at] = replace(people[at], full_name=chosen.choice([other.full_name, people[at].full_name]), email=other.email)
    for at in chosen.sample(range(len(companies)), 3):
        companies[at] = replace(companies[at], name=chosen.choice(companies).name, domain=chosen.choice(companies).domain)
    gone = set(chosen.sample([each.key for each in people if (each.source, each.key) not in called], 4))
    people = [each for each in people if each.key not in gone] + [spare.pop() for _ in range(5)]
    calls = [*calls[1:], CallRow(source=people[0].source, key=f"new{chosen.random()}", people=[people[0].key])]
    return Staged(people=people, companies=companies, calls=calls)


@pytest.mark.parametrize("settings", [config(), tiny_blocks()], ids=["shipped", "tiny blocks"])
@pytest.mark.parametrize("seed", [1, 2, 3, 4, 5] if DEEP else [1])
def test_increments_publish_what_a_run_over_everything_does(
    seed: int, settings: ResolutionConfig, database: Database, scratch: Scratch, tenant: TenantId, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Six increments of records that come, change and go; each is checked against everything, of all kinds of rows."""
    chosen = random.Random(seed)
    whole = world(seed, 90)
    spare = list(whole.people[-40:])
    called = {key for call in whole.calls for key in call.people}
    spare = [each for each in spare if each.key not in called]
    staged = replace(whole, people=[each for each in whole.people if each not in spare])
    stage(scratch.admin_url, tenant, staged)
    assert run(database, tenant, "auto", settings).reads == "all"
    moved = 0
    for number in range(5):
        monkeypatch.setattr(db_blocks, "_FEW_KEYS", 100 * (number % 2))  # looked up as few are, and as many are
        after = changed(chosen, staged, spare)
        restage(scratch.admin_url, tenant, staged, after)
        staged = after
        report = run(database, tenant, "changed", settings)
        assert report.reads == "changed"
        moved += report.run_no is not None
        check_against_everything(database, scratch.admin_url, tenant, settings)
    assert moved >= 4


@pytest.mark.parametrize("settings", [config(), tiny_blocks()], ids=["shipped", "tiny blocks"])
def test_a_record_is_decided_as_a_run_decides_it(
    settings: ResolutionConfig, database: Database, scratch: Scratch, tenant: TenantId, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Records of every kind of fate, each alone: asked first, then staged and published, then taken away again."""
    whole = world(4, 80)
    called = {key for call in whole.calls for key in call.people}
    spare = [each for each in whole.people[-60:] if each.key not in called][: 18 if DEEP else 4]
    odd = [
        PersonRow(source="slack", key="id:none", full_name="Zebedee Quimby", email="zebedee@quimby.example"),
        PersonRow(source="slack", key="id:blank"),
        replace(spare[0], key="id:bridge", email=whole.people[0].email),
    ]
    staged = replace(whole, people=[each for each in whole.people if each not in spare])
    stage(scratch.admin_url, tenant, staged)
    run(database, tenant, "all", settings)
    decider = Decider(database, tenant, settings)
    fates: Counter[bool] = Counter()
    for person in (*spare, *odd):
        record = person_id(tenant, person.source, person.key)
        employer = next((each for each in staged.companies if (each.source, each.key) == (person.source, person.company)), None)
        values = {
            "full_name": person.full_name, "email": person.email, "phone": person.phone, "title": person.title, "city": person.city,
            "company_name": employer.name if employer else None,
            "company_domain": person.company_domain or (employer.domain if employer else None),
        }  # fmt: skip
        decided = decider.resolve_one("person", values, record)
        with monkeypatch.context() as patched:
            patched.setattr(db_resolution, "_FEW_RECORDS", 0)  # as where many are compared
            patched.setattr(db_blocks, "_FEW_KEYS", 0)  # and looked up
            patched.setattr(decide, "_FEW_RECORDS", -1)  # clustered as columns
            assert decider.resolve_one("person", values, record) == decided
        restage(scratch.admin_url, tenant, staged, replace(staged, people=[*staged.people, person]))
        run(database, tenant, "all", settings)
        assigned = _assigned(scratch.admin_url, tenant)
        entity, confidence = assigned[record]
        fates[decided.entity_id is None] += 1
        assert set(decided.records) == {each for each, (of, _) in assigned.items() if of == entity} - {record}
        assert decided.entity_id in (entity, None)
        assert (decided.entity_id is None) == (entity not in before_of(scratch.admin_url, tenant))
        assert decided.confidence == pytest.approx(confidence, abs=1e-4)
        restage(scratch.admin_url, tenant, replace(staged, people=[*staged.people, person]), staged)
        run(database, tenant, "all", settings)
    assert min(fates[True], fates[False]) >= 1


@pytest.mark.parametrize("settings", [config(), tiny_blocks()], ids=["shipped", "tiny blocks"])
def test_a_company_is_decided_as_a_run_decides_it(
    settings: ResolutionConfig, database: Database, scratch: Scratch, tenant: TenantId, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that joins others by name, by domain, by what it is short for; one that bridges two; one of its own; and one without a value."""
    staged = Staged(companies=[*world(4, 20).companies, *_banks()])
    stage(scratch.admin_url, tenant, staged)
    run(database, tenant, "all", settings)
    decider = Decider(database, tenant, settings)
    fates: Counter[tuple[bool, bool]] = Counter()
    asked = [
        CompanyRow(source="slack", key="new1", name="Borealis Incorporated", city="Oslo"),
        CompanyRow(source="slack", key="new2", name="Cobalt", domain="cobalt.example", phone="+4712345678"),
        CompanyRow(source="slack", key="new3", name="NESB", domain="nesb.example"),
        CompanyRow(source="slack", key="new4", name="Harbour Trust", domain="ht-group.example", phone="+4722334455", city="Oslo"),
        CompanyRow(source="slack", key="new5", name="Zebedee Quimby Works", domain="quimby.example", city="Rome"),
        CompanyRow(source="slack", key="new6"),
    ]
    for company in asked:
        record = company_id(tenant, company.source, company.key)
        values = {field: getattr(company, field) for field in decide.FIELDS["company"]}
        decided = decider.resolve_one("company", values, record)
        with monkeypatch.context() as patched:
            patched.setattr(decide, "_FEW_RECORDS", -1)  # clustered as columns
            assert decider.resolve_one("company", values, record) == decided
        restage(scratch.admin_url, tenant, staged, replace(staged, companies=[*staged.companies, company]))
        run(database, tenant, "all", settings)
        assigned = _assigned(scratch.admin_url, tenant, "company")
        entity, confidence = assigned[record]
        fates[decided.entity_id is None, bool(decided.merges)] += 1
        assert set(decided.records) == {each for each, (of, _) in assigned.items() if of == entity} - {record}
        assert decided.entity_id in (entity, None)
        assert (decided.entity_id is None) == (entity not in before_of(scratch.admin_url, tenant))
        assert decided.confidence == pytest.approx(confidence, abs=1e-4)
        restage(scratch.admin_url, tenant, replace(staged, companies=[*staged.companies, company]), staged)
        run(database, tenant, "all", settings)
    assert fates == {(False, False): 3, (True, False): 2, (False, True): 1}


def _banks() -> list[CompanyRow]:
    """Three companies of three records each; of one only name and number are known, of another only domain and place."""
    told: list[dict[str, str]] = [
        {"name": "North East Savings Bank", "domain": "nesb.example"},
        {"name": "Harbour Trust", "phone": "+4722334455"},
        {"domain": "ht-group.example", "city": "Oslo"},
    ]
    return [
        CompanyRow(source=source, key=f"bank{number}", **known)  # type: ignore[arg-type]
        for number, known in enumerate(told)
        for source in SOURCES[:3]
    ]


def _assigned(admin_url: str, tenant: TenantId, entity_type: EntityType = "person") -> dict[object, tuple[object, float]]:
    query = (
        "select record_id, entity_id, confidence from pay_ready.assignments"
        f" where tenant_id = %(tenant)s and closed_run_no is null and entity_type = '{entity_type}'"
    )
    return {record: (entity, float(str(confidence))) for record, entity, confidence in rows(admin_url, tenant, query)}


def before_of(admin_url: str, tenant: TenantId) -> set[object]:
    """Entities that lived in the version before the last."""
    query = (
        "select entity_id from pay_ready.entity_versions where tenant_id = %(tenant)s and opened_run_no <"
        " (select max(run_no) from pay_ready.resolution_runs where tenant_id = %(tenant)s)"
        " and coalesce(closed_run_no, 1000000) >= (select max(run_no) from pay_ready.resolution_runs where tenant_id = %(tenant)s)"
    )
    return {entity for (entity,) in rows(admin_url, tenant, query)}


@pytest.mark.parametrize("reads", ["all", "changed"])
def test_nothing_is_kept_of_who_is_gone(reads: Reads, database: Database, scratch: Scratch, tenant: TenantId) -> None:
    """No edge and no block, whichever run finds out."""
    whole = world(6, 60)
    called = {key for call in whole.calls for key in call.people}
    gone = [each for each in whole.people if each.key not in called][:25]
    ids = [person_id(tenant, each.source, each.key) for each in gone]
    stage(scratch.admin_url, tenant, whole)
    run(database, tenant, "all")

    def kept() -> list[int]:
        tables = ("edges where left_id = any(%(ids)s) or right_id = any(%(ids)s)", "record_blocks where record_id = any(%(ids)s)",
                  "block_members where record_id = any(%(ids)s)")  # fmt: skip
        with psycopg.connect(scratch.admin_url) as admin:
            return [admin.execute(f"select count(*) from pay_ready.{each}", {"ids": ids}).fetchall()[0][0] for each in tables]

    assert min(kept()) > 0
    restage(scratch.admin_url, tenant, whole, replace(whole, people=[each for each in whole.people if each not in gone]))
    assert run(database, tenant, reads).reads == reads
    assert kept() == [0, 0, 0]


def test_edges_keep_what_each_comparison_reached(database: Database, scratch: Scratch, tenant: TenantId) -> None:
    """A byte for each of the model's comparisons, by their names, and 0 where the records say nothing; the weight, and both hashes."""
    stage(scratch.admin_url, tenant, world(5, 40))
    run(database, tenant, "all")
    with database.tenant_transaction(tenant) as tx:
        _, model = db_resolution.current_models(tx)["person"]
    edges = resolve("person", db_resolution.read_staged(database, tenant, "person"), config(), model=model).edges
    wanted = {}
    for edge in edges.to_pylist():
        reached = [model.levels[name].index(edge.get(f"level_{name}", "null")) for name in sorted(model.levels)]
        pair = (UUID(bytes=edge["left_id"]), UUID(bytes=edge["right_id"]))
        wanted[pair] = (edge["left_hash"], edge["right_hash"], edge["match_weight_millibits"], bytes(reached))
    with psycopg.connect(scratch.admin_url) as admin:
        told = admin.execute(
            "select left_id, right_id, left_hash, right_hash, match_weight_millibits, levels"
            " from pay_ready.edges where entity_type = 'person'"
        ).fetchall()
    assert len(wanted) > 20
    assert {(left, right): tuple(rest) for left, right, *rest in told} == wanted


def test_a_field_that_there_is_not_is_refused(database: Database, scratch: Scratch, tenant: TenantId) -> None:
    """A typing error in a field is told with the fields there are; before the first run there is nothing to decide by."""
    with pytest.raises(UsageError, match=r"no such field.*full_name"):
        Decider(database, tenant, config()).resolve_one("person", {"fullname": "Anna"})
    with pytest.raises(ConflictError, match="no version of these settings"):
        Decider(database, tenant, config()).resolve_one("person", {"full_name": "Anna"})


def copies_of(person: PersonRow, number: int) -> list[PersonRow]:
    """Records of one person, under an address that nobody else has."""
    return [replace(person, key=f"id:copy{each}", email="una.copy@copies.example") for each in range(number)]


def test_a_decision_is_an_increment(database: Database, scratch: Scratch, tenant: TenantId) -> None:
    """Two copies of a person told apart by a reviewer part in the next increment, and meet again when that word is superseded."""
    people = people_of(40)
    copies = copies_of(people[0], 2)
    stage(scratch.admin_url, tenant, Staged(people=[*people, *copies]))
    run(database, tenant, "all")
    ids = sorted(person_id(tenant, each.source, each.key) for each in copies)
    together = {frozenset(ids) <= members for members in clusters(scratch.admin_url, tenant)}
    assert True in together
    with psycopg.connect(scratch.admin_url) as admin:
        admin.execute(
            "insert into pay_ready.decisions (tenant_id, decision_id, entity_type, left_id, right_id, verdict, actor_type, actor)"
            " values (%s, gen_random_uuid(), 'person', %s, %s, 'no_match', 'human', 'reviewer')",
            (tenant, *ids),
        )
    assert run(database, tenant, "changed").run_no == 2
    assert not any(frozenset(ids) <= members for members in clusters(scratch.admin_url, tenant))
    check_against_everything(database, scratch.admin_url, tenant)
    with psycopg.connect(scratch.admin_url) as admin:
        admin.execute("update pay_ready.decisions set superseded_at = now() where tenant_id = %s", (tenant,))
    run(database, tenant, "changed")
    assert any(frozenset(ids) <= members for members in clusters(scratch.admin_url, tenant))
    check_against_everything(database, scratch.admin_url, tenant)


@pytest.mark.parametrize("few", [40, -1], ids=["as values", "as columns"])
def test_a_record_is_decided_without_who_is_gone(
    few: int, database: Database, scratch: Scratch, tenant: TenantId, monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    """Of three copies one was taken away since the last run, which still has its edges and its place in the entity: it is not told."""
    monkeypatch.setattr(decide, "_FEW_RECORDS", few)
    people = people_of(40)
    copies = copies_of(people[0], 4)
    *known, new = copies
    stage(scratch.admin_url, tenant, Staged(people=[*people, *known]))
    run(database, tenant, "all")
    take_people(scratch.admin_url, tenant, known[:1])
    values = {field: getattr(new, field, None) for field in decide.FIELDS["person"]}
    record = person_id(tenant, new.source, new.key)
    decided = Decider(database, tenant, config()).resolve_one("person", values, record)
    add_people(scratch.admin_url, tenant, [new])
    run(database, tenant, "changed")
    (members,) = (each for each in clusters(scratch.admin_url, tenant) if record in each)
    assert set(decided.records) == members - {record}
    assert {person_id(tenant, each.source, each.key) for each in known} & members == {
        person_id(tenant, each.source, each.key) for each in known[1:]
    }


@pytest.mark.parametrize("few", [40, -1], ids=["as values", "as columns"])
def test_a_record_is_decided_by_what_reviewers_said(
    few: int, database: Database, scratch: Scratch, tenant: TenantId, monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    """Two copies told apart stay apart when a third comes; somebody else whom a reviewer joined to one comes with it; humans go first."""
    monkeypatch.setattr(decide, "_FEW_RECORDS", few)
    people = people_of(40)
    copies = copies_of(people[0], 3)
    ids = sorted(person_id(tenant, each.source, each.key) for each in copies)
    new = next(each for each in copies if person_id(tenant, each.source, each.key) == ids[2])
    stranger = person_id(tenant, people[-1].source, people[-1].key)
    stage(scratch.admin_url, tenant, Staged(people=[*people, *(each for each in copies if each is not new)]))
    pairs = ((*ids[:2], "no_match", "human"), (*ids[:2], "match", "agent"), (*sorted((ids[0], stranger)), "match", "human"))
    with psycopg.connect(scratch.admin_url) as admin:
        for one, other, verdict, actor in pairs:
            admin.execute(
                "insert into pay_ready.decisions (tenant_id, decision_id, entity_type, left_id, right_id, verdict, actor_type, actor)"
                " values (%s, gen_random_uuid(), 'person', %s, %s, %s, %s, 'reviewer')",
                (tenant, one, other, verdict, actor),
            )
    run(database, tenant, "all")
    values = {field: getattr(new, field, None) for field in decide.FIELDS["person"]}
    decided = Decider(database, tenant, config()).resolve_one("person", values, ids[2])
    add_people(scratch.admin_url, tenant, [new])
    run(database, tenant, "changed")
    (members,) = (each for each in clusters(scratch.admin_url, tenant) if ids[2] in each)
    assert set(decided.records) == members - {ids[2]}
    assert len({ids[0], ids[1]} & members) == 1
    assert (ids[0] in members) == (stranger in members)


def _publish(database: Database, tenant: TenantId, reading: Reading) -> Published:
    return publish(
        database, tenant, reading.resolved, config(), base=reading.base, kind=reading.kind, reasons=reading.reasons, actor="tests",
        run_id=RunId(new_id()),
    )  # fmt: skip


def test_what_changes_while_everything_is_read_waits_for_the_next_run(database: Database, scratch: Scratch, tenant: TenantId) -> None:
    """A record that comes after the reading is no part of that version, and is not forgotten either."""
    people = people_of(40)
    first, second = Staged(people=people[:-1]), Staged(people=people)
    stage(scratch.admin_url, tenant, first)
    reading = read_and_resolve(database, tenant, config())
    restage(scratch.admin_url, tenant, first, second)
    assert _publish(database, tenant, reading).run_no == 1
    assert rows(scratch.admin_url, tenant, _QUEUE) == [(1,)]
    report = run(database, tenant, "auto")
    assert (report.reads, report.changed_records, report.people.records) == ("changed", 1, len(people))
    check_against_everything(database, scratch.admin_url, tenant)


def test_a_run_over_everything_gives_way_to_an_increment_that_nobody_saw(database: Database, scratch: Scratch, tenant: TenantId) -> None:
    """An increment may move blocks and edges without a new version for readers: who read before that would undo it, and is refused."""
    people = people_of(40)
    stage(scratch.admin_url, tenant, Staged(people=people))
    run(database, tenant, "all")
    reading = read_and_resolve(database, tenant, config())
    _send_again(scratch.admin_url, tenant, people[:3])
    assert run(database, tenant, "changed").run_no is None
    with pytest.raises(RetryLaterError, match="another run published"):
        _publish(database, tenant, reading)


def astray(database: Database, tenant: TenantId) -> int:
    """Ids ever given that do not lead to the entity of their anchor (`ids.identify`), as far as that record is there."""
    with database.tenant_transaction(tenant, work="batch") as tx:
        state = db_resolution.published_state(tx)
    wrong = 0
    for entity_type, known in state.known.items():
        now = state.entity_of(entity_type)
        for entity, each in known.items():
            leads: UUID | None = entity
            while leads is not None and leads not in state.versions:
                leads = state.redirects[leads]
            wrong += each.anchor_record_id in now and leads != now[each.anchor_record_id]
    return wrong


@pytest.mark.timeout(3_600)
def test_many_records_in_any_order_end_in_the_same_clusters(database: Database, scratch: Scratch, tenant: TenantId) -> None:
    """At one model: one load; a third of it and the rest; half of it taken away in five increments, and back, shuffled, in five more.

    Each increment sends some records again as they were. Under PAY_READY_TEST_DEEP with 200,000 records.
    """
    people = people_of(*((85_000, 9) if DEEP else (260, 9)))[: 200_000 if DEEP else 600]
    chosen = random.Random(9)
    admin_url = scratch.admin_url
    stage(admin_url, tenant, Staged())
    add_people(admin_url, tenant, people[: len(people) // 3])
    run(database, tenant, "all")
    add_people(admin_url, tenant, people[len(people) // 3 :])
    run(database, tenant, "all")
    at_once = clusters(admin_url, tenant)
    going = chosen.sample(people, len(people) // 2)
    parts = [going[start::5] for start in range(5)]
    leaving = set(going)
    staying = [each for each in people if each not in leaving]
    for part in parts:
        take_people(admin_url, tenant, part)
        _send_again(admin_url, tenant, chosen.sample(staying, len(staying) // 50))
        assert run(database, tenant, "changed").changed_records == len(part) + len(staying) // 50
    assert clusters(admin_url, tenant) != at_once
    chosen.shuffle(going)
    for start in range(5):
        add_people(admin_url, tenant, going[start::5])
        _send_again(admin_url, tenant, chosen.sample(staying, len(staying) // 50))
        run(database, tenant, "changed")
    assert clusters(admin_url, tenant) == at_once
    assert astray(database, tenant) == 0
    assert run(database, tenant, "all").run_no is None


def _send_again(admin_url: str, tenant: TenantId, people: Sequence[PersonRow]) -> None:
    take_people(admin_url, tenant, people)
    add_people(admin_url, tenant, people)
