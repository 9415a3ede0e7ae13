"""Staging of a small source: landed rows become typed ones, and what each case leaves behind."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row

from pay_ready.db.tenancy import Database, TenantTransaction
from pay_ready.errors import CheckFailedError
from pay_ready.model.ids import RunId, TenantId, new_id
from pay_ready.model.json_columns import read_values
from pay_ready.pipeline.mapping.rules import SourceMapping
from pay_ready.pipeline.stage import StageReport, check_equations, restage_records, stage_source
from tests.conftest import Scratch
from tests.staging_support import CONTEXT, Desk, Version, desk_mapping, dump, make_desk


@pytest.fixture
def mapping(tmp_path: Path) -> SourceMapping:
    """The small source's mapping."""
    return desk_mapping(tmp_path)


@pytest.fixture
def desk(database: Database, tenant: TenantId) -> Desk:
    """A source of one tenant."""
    return make_desk(database, tenant)


def stage(desk: Desk, mapping: SourceMapping, batch_size: int = 2_000) -> StageReport:
    """Stage what waits."""
    return stage_source(desk.database, desk.tenant, desk.source, mapping, CONTEXT, run_id=RunId(new_id()), batch_size=batch_size)


def rows(scratch: Scratch, table: str, order: str = "record_id") -> list[Mapping[str, Any]]:
    """A staged table."""
    with psycopg.connect(scratch.admin_url, row_factory=dict_row) as admin:
        return admin.execute(f"select * from pay_ready.{table} order by {order}").fetchall()


def call(key: str, at: int, *, who: list[dict[str, str]] | None = None, **more: object) -> Version:
    """A call of the key'th record, on the at'th of March."""
    return Version("calls", key, at, {"id": key, "at": f"2026-03-{at:02d}T10:00:00Z", "subject": "Renewal", "who": who or [], **more})


def user(key: str, at: int, stream: str = "users", **more: object) -> Version:
    """A listed person."""
    return Version(stream, key, at, {"id": key, "at": f"2026-03-{at:02d}T10:00:00Z", **more})


def account(key: str, at: int, **more: object) -> Version:
    """A listed company."""
    return Version("accounts", key, at, {"id": key, "at": f"2026-03-{at:02d}T10:00:00Z", **more})


def gone(version: Version, at: int) -> Version:
    """The deletion of a record."""
    return replace(version, at=at, data=None)


def counts(desk: Desk, run: RunId, stream: str) -> tuple[int, int, int, int]:
    """Landed, staged, unmapped and quarantined rows of a run; both equations hold."""
    with desk.database.tenant_transaction(desk.tenant) as tx:
        found = {each.stream: each for each in check_equations(tx, run)}[stream]
    assert found.waiting == 0
    return found.landed, found.staged, found.unmapped, found.stage_quarantined


def test_listed_and_mentioned(desk: Desk, mapping: SourceMapping, scratch: Scratch) -> None:
    """A listed person and company become records; a guest of a call becomes a mention with a company of its own."""
    run = desk.land([
        account("a1", 1, name="Acme", site="acme.com", tier="gold"),
        user("u1", 1, name="Ann Lee", email="Ann@acme.com", account="a1"),
        call("c1", 2, who=[{"user": "u1", "name": "Ann"}, {"email": "bob@globex.com", "name": "Bob", "firm": "Globex"}], room="Blue"),
        Version("rooms", "r1", 1, {"id": "r1"}),
    ])  # fmt: skip
    report = stage(desk, mapping)
    people = {row["record_reference"]: row for row in rows(scratch, "person_records")}
    companies = {row["record_reference"]: row for row in rows(scratch, "company_records")}
    assert {key: row["origin"] for key, row in people.items()} == {"id:user:u1": "listed", "email:bob@globex.com": "mentioned"}
    assert people["id:user:u1"]["company_record_id"] == companies["id:account:a1"]["record_id"]
    assert (people["email:bob@globex.com"]["full_name"], people["email:bob@globex.com"]["company_domain"]) == ("Bob", "globex.com")
    assert companies["domain:globex.com"]["name"] == "Globex"
    assert read_values(companies["id:account:a1"]["attributes"]) == {"tier": "gold"}
    [interaction] = rows(scratch, "interaction_records")
    assert interaction["is_primary"]
    assert read_values(interaction["metadata"]) == {"room": "Blue"}
    assert counts(desk, run, "calls") == (1, 1, 0, 0)
    assert counts(desk, run, "rooms") == (1, 0, 1, 0)
    assert report.rows == 4


def test_nothing_waits(desk: Desk, mapping: SourceMapping, scratch: Scratch) -> None:
    """Staging again with nothing landed since writes nothing."""
    desk.land([call("c1", 1, who=[{"email": "bob@globex.com"}])])
    stage(desk, mapping)
    before = _versions_of_rows(scratch)
    report = stage(desk, mapping)
    assert (report.pages, report.rows) == (0, 0)
    assert _versions_of_rows(scratch) == before


def test_equal_content_is_not_written(desk: Desk, mapping: SourceMapping, scratch: Scratch) -> None:
    """A landed row that changed in a field that nothing maps rewrites no staged row."""
    desk.land([account("a1", 1, name="Acme"), user("u1", 1, name="Ann", account="a1"), call("c1", 1, who=[{"user": "u1"}])])
    stage(desk, mapping)
    before = _versions_of_rows(scratch)
    later = [account("a1", 1, name="Acme", x=1), user("u1", 1, name="Ann", account="a1", x=1), call("c1", 1, who=[{"user": "u1"}], x=1)]
    run = desk.land([replace(version, at=2) for version in later])
    report = stage(desk, mapping)
    assert report.rows == 3
    assert counts(desk, run, "users") == (1, 1, 0, 0)
    assert _versions_of_rows(scratch) == before


def test_an_edit_leaves_the_other_appearances_alone(desk: Desk, mapping: SourceMapping, scratch: Scratch) -> None:
    """Of a changed interaction only the appearances that changed are written."""
    people = [{"email": "bob@globex.com"}, {"email": "eve@acme.com"}]
    desk.land([call("c1", 1, who=people)])
    stage(desk, mapping)
    [first, _] = _row_versions(scratch, "interaction_participants", "participant_no")
    desk.land([replace(call("c1", 1, who=[people[0], {"email": "dan@acme.com"}], subject="Other"), at=2)])
    stage(desk, mapping)
    assert _row_versions(scratch, "interaction_participants", "participant_no")[0] == first
    assert {row["record_reference"] for row in rows(scratch, "person_records")} == {"email:bob@globex.com", "email:dan@acme.com"}


def test_mention_takes_the_latest_value_of_each_kind(desk: Desk, mapping: SourceMapping, scratch: Scratch) -> None:
    """The later call's name wins and the earlier call's title stays, though the later call was staged first."""
    desk.land([call("c2", 9, who=[{"email": "bob@globex.com", "name": "Robert Ray"}])])
    stage(desk, mapping)
    desk.land([call("c1", 2, who=[{"email": "bob@globex.com", "name": "Bob", "title": "CTO"}])])
    stage(desk, mapping)
    [bob] = rows(scratch, "person_records")
    assert (bob["full_name"], bob["title"]) == ("Robert Ray", "CTO")


def test_a_mentioned_company_takes_the_latest_claim(desk: Desk, mapping: SourceMapping, scratch: Scratch) -> None:
    """People, guests and subjects of calls all claim a company's name; the latest claim wins, whatever was staged first."""
    claims = [
        user("u1", 9, account="a1", account_name="Acme Group"),
        call("c1", 4, about=[{"account": "a1", "name": "ACME"}]),
        call("c2", 12, about=[{"account": "a1", "name": "Acme SE"}]),
    ]
    names = []
    for claim in claims:
        desk.land([claim])
        stage(desk, mapping)
        names.extend(row["name"] for row in rows(scratch, "company_records"))
    desk.land([gone(claims[2], 20)])
    stage(desk, mapping)
    names.extend(row["name"] for row in rows(scratch, "company_records"))
    assert names == ["Acme Group", "Acme Group", "Acme SE", "Acme Group"]


def test_mention_goes_with_its_last_appearance(desk: Desk, mapping: SourceMapping, scratch: Scratch) -> None:
    """A person and a company known from one call alone are gone with it."""
    first = call("c1", 1, who=[{"email": "bob@globex.com", "name": "Bob"}], about=[{"name": "Initech"}])
    desk.land([first])
    stage(desk, mapping)
    assert len(rows(scratch, "company_records")) == 2
    run = desk.land([gone(first, 2)])
    report = stage(desk, mapping)
    assert [rows(scratch, table) for table in ("person_records", "company_records", "interaction_records")] == [[], [], []]
    assert counts(desk, run, "calls") == (0, 0, 0, 0)
    assert report.streams[0].removed == 1


def test_listed_row_takes_a_mention_over_and_gives_it_back(desk: Desk, mapping: SourceMapping, scratch: Scratch) -> None:
    """The same record id is a mention, then listed, then a mention again."""
    desk.land([call("c1", 1, who=[{"user": "u1", "name": "Ann (phone)"}], about=[{"account": "a1", "name": "acme inc"}])])
    stage(desk, mapping)
    [mention] = rows(scratch, "person_records")
    [company] = rows(scratch, "company_records")
    listed = [user("u1", 2, name="Ann Lee"), account("a1", 2, name="Acme")]
    desk.land(listed)
    stage(desk, mapping)
    [person] = rows(scratch, "person_records")
    assert (person["record_id"], person["origin"], person["full_name"]) == (mention["record_id"], "listed", "Ann Lee")
    assert [row["name"] for row in rows(scratch, "company_records")] == ["Acme"]
    desk.land([gone(version, 3) for version in listed])
    stage(desk, mapping)
    ignored = {"staged_at"}
    assert [{k: v for k, v in row.items() if k not in ignored} for row in rows(scratch, "person_records")] == [
        {k: v for k, v in mention.items() if k not in ignored}
    ]
    assert [row["content_hash"] for row in rows(scratch, "company_records")] == [company["content_hash"]]


def test_two_rows_list_one_person(desk: Desk, mapping: SourceMapping, scratch: Scratch) -> None:
    """Of two streams that list one person the later speaks; when it is gone the other does, with its company."""
    export = user("u1", 3, stream="people_export", name="Ann B. Lee", account="a2", account_name="Globex")
    listed = user("u1", 1, name="Ann Lee", account="a1")
    desk.land([listed, export])
    stage(desk, mapping)
    [ann] = rows(scratch, "person_records")
    assert (ann["stream"], ann["full_name"]) == ("people_export", "Ann B. Lee")
    desk.land([user("u1", 4, name="Ann Lee", account="a1")])
    stage(desk, mapping)
    assert [row["stream"] for row in rows(scratch, "person_records")] == ["users"]
    desk.land([replace(export, at=9, data={**(export.data or {}), "at": "2026-03-09T10:00:00Z"})])
    stage(desk, mapping)
    [ann] = rows(scratch, "person_records")
    assert ann["stream"] == "people_export"
    assert [row["record_reference"] for row in rows(scratch, "company_records")] == ["id:account:a2"]
    assert len(rows(scratch, "shadowed_person_records")) == 1
    desk.land([gone(export, 10)])
    stage(desk, mapping)
    [ann] = rows(scratch, "person_records")
    assert (ann["stream"], ann["full_name"]) == ("users", "Ann Lee")
    assert [row["record_reference"] for row in rows(scratch, "company_records")] == ["id:account:a1"]
    assert rows(scratch, "shadowed_person_records") == []


def test_primary_record_of_an_interaction(desk: Desk, mapping: SourceMapping, scratch: Scratch) -> None:
    """The highest precedence that has a time speaks for the interaction; a part without a time never does."""
    turns = [{"speaker": "s1", "text": "Hello", "start": 0, "end": 2}]
    part = Version("transcripts", "t1", 1, {"call": "c1", "turns": turns})
    desk.land([call("c1", 1), part])
    stage(desk, mapping)
    assert _primary(scratch) == ["calls"]
    desk.land([replace(part, at=2, data={"call": "c1", "turns": turns, "at": "2026-03-01T10:00:00Z"})])
    stage(desk, mapping)
    assert _primary(scratch) == ["transcripts"]
    desk.land([replace(part, at=3)])
    stage(desk, mapping)
    assert _primary(scratch) == ["calls"]
    desk.land([gone(call("c1", 1), 4)])
    stage(desk, mapping)
    assert _primary(scratch) == []
    assert len(rows(scratch, "interaction_turns")) == 1


def test_a_page_is_whole_batches(desk: Desk, mapping: SourceMapping, scratch: Scratch) -> None:
    """Small pages pass a large batch in one transaction and several small ones in several; the position is the last batch's."""
    desk.land([call(f"c{number}", 1 + number % 9) for number in range(7)])
    desk.land([call("d1", 1), call("d2", 1)])
    report = stage(desk, mapping, batch_size=3)
    assert (report.pages, report.rows) == (2, 9)
    with psycopg.connect(scratch.admin_url) as admin:
        [(position, last)] = admin.execute(
            "select staged_commit_seq, (select max(commit_seq) from pay_ready.landing_batches) from pay_ready.stream_states"
        ).fetchall()
    assert position == last


def test_a_new_contract_restages(desk: Desk, mapping: SourceMapping, scratch: Scratch, tmp_path: Path) -> None:
    """A mapping that asks for more sends what no longer fits to quarantine, moves its count, and writes no other row."""
    run = desk.land([user("u1", 1, name="Ann"), user("u2", 1, email="bob@globex.com")])
    stage(desk, mapping)
    [before] = [row for row in _row_versions(scratch, "person_records", "record_reference") if "Ann" in str(row)]
    (tmp_path / "later").mkdir()
    report = stage(desk, desk_mapping(tmp_path / "later", version=2, name_required=True))
    assert report.streams[0].restaged == 2
    assert counts(desk, run, "users") == (2, 1, 0, 1)
    assert _row_versions(scratch, "person_records", "record_reference") == [before]
    [kept] = rows(scratch, "quarantined_records", "quarantine_id")
    assert (kept["reason"], kept["field"], kept["status"]) == ("field.missing", "person.full_name", "open")
    stage(desk, mapping)
    assert counts(desk, run, "users") == (2, 2, 0, 0)
    assert [row["status"] for row in rows(scratch, "quarantined_records", "quarantine_id")] == ["replayed"]


def test_restaging_goes_on_where_it_stopped(desk: Desk, mapping: SourceMapping, tmp_path: Path, scratch: Scratch) -> None:
    """A restaging in pages that is followed by new rows ends as one load under the new contract."""
    for number in range(4):
        desk.land([user(f"u{number}", 1, name="Ann" if number % 2 else None)])
    stage(desk, mapping)
    (tmp_path / "later").mkdir()
    stricter = desk_mapping(tmp_path / "later", version=2, name_required=True)
    desk.land([user("u9", 1, name="Zoe")])
    report = stage(desk, stricter, batch_size=1)
    assert report.streams[0].restaged == 4
    assert {row["full_name"] for row in rows(scratch, "person_records")} == {"Ann", "Zoe"}
    assert len(rows(scratch, "quarantined_records", "quarantine_id")) == 2


def test_changed_settings_restage(desk: Desk, mapping: SourceMapping, scratch: Scratch) -> None:
    """A tenant that names its own domain sees its people become internal without a new sync."""
    desk.land([user("u1", 1, name="Ann", email="ann@acme.com")])
    stage(desk, mapping)
    context = replace(CONTEXT, internal_domains=frozenset({"acme.com"}))
    stage_source(desk.database, desk.tenant, desk.source, mapping, context, run_id=RunId(new_id()))
    assert [row["side"] for row in rows(scratch, "person_records")] == ["internal"]


def test_payload_rows_are_staged(desk: Desk, mapping: SourceMapping, scratch: Scratch) -> None:
    """A record kept by reference, with what jsonb cannot hold, is staged like any other, its NUL replaced."""
    desk.land_large("calls", "c1", rb'{"id": "c1", "at": "2026-03-01T10:00:00Z", "subject": "a\u0000b \ud800"}')
    stage(desk, mapping)
    [interaction] = rows(scratch, "interaction_records")
    assert "a" in interaction["subject"]
    assert "\0" not in interaction["subject"]


def test_a_broken_payload_is_quarantined_by_reference(desk: Desk, mapping: SourceMapping, scratch: Scratch) -> None:
    """Bytes in the byte store are not copied into quarantine, but named."""
    desk.land_large("calls", "c1", b'{"id": "c1", "at": "never"}')
    stage(desk, mapping)
    [kept] = rows(scratch, "quarantined_records", "quarantine_id")
    assert kept["raw"] is None
    assert kept["payload_id"] is not None


def test_what_the_database_refuses_is_quarantined_alone(desk: Desk, mapping: SourceMapping, scratch: Scratch) -> None:
    """One row that no check of ours foresaw goes to quarantine; the rows beside it are staged."""
    with psycopg.connect(scratch.admin_url) as admin:
        admin.execute("alter table pay_ready.interaction_records add check (subject <> 'unforeseen')")
    run = desk.land([call(f"c{number}", 1, subject="unforeseen" if number == 5 else "fine") for number in range(9)])
    stage(desk, mapping)
    assert counts(desk, run, "calls") == (9, 8, 0, 1)
    assert [row["reason"] for row in rows(scratch, "quarantined_records", "quarantine_id")] == ["values.refused_by_database"]


def test_counts_that_disagree_roll_the_page_back(desk: Desk, mapping: SourceMapping, scratch: Scratch) -> None:
    """A batch that says more rows than stand stops its stream; nothing of the page is staged and the position stays."""
    desk.land([call("c1", 1)])
    with psycopg.connect(scratch.admin_url) as admin:
        admin.execute("update pay_ready.landing_batches set landed = 2")
    with pytest.raises(CheckFailedError, match="disagree"):
        stage(desk, mapping)
    assert rows(scratch, "interaction_records") == []
    assert [row["staged_commit_seq"] for row in rows(scratch, "stream_states", "stream")] == [0]


def test_a_row_overtaken_before_staging_is_counted_once(desk: Desk, mapping: SourceMapping) -> None:
    """The older run's row is superseded, the newer run's is staged; one overtaken after staging was staged in both."""
    first = desk.land([call("c1", 1)])
    second = desk.land([call("c1", 2)])
    stage(desk, mapping)
    third = desk.land([call("c1", 3)])
    stage(desk, mapping)
    assert [counts(desk, run, "calls")[:2] for run in (first, second, third)] == [(0, 0), (1, 1), (1, 1)]


def test_tenants_stage_apart(desk: Desk, mapping: SourceMapping, scratch: Scratch, new_tenant: Any) -> None:
    """The same records of two tenants become records of their own, and staging one leaves the other waiting."""
    other = make_desk(desk.database, new_tenant("bolt"))
    for each in (desk, other):
        each.land([call("c1", 1, who=[{"email": "bob@globex.com"}])])
    stage(desk, mapping)
    assert dump(scratch.admin_url, other.tenant) == []
    stage(other, mapping)
    assert len({row["record_id"] for row in rows(scratch, "person_records")}) == 2


def test_two_stage_at_once(desk: Desk, mapping: SourceMapping, scratch: Scratch) -> None:
    """Two that stage one source in small pages take turns: each row is counted once, and the rows are those of one."""
    runs = [desk.land([call(f"c{number}", 1, who=[{"email": f"p{number % 3}@globex.com"}])]) for number in range(12)]
    with ThreadPoolExecutor(2) as pool:
        reports = list(pool.map(lambda _: stage(desk, mapping, batch_size=1), range(2)))
    assert sum(report.rows for report in reports) == 12
    assert [counts(desk, run, "calls")[:2] for run in runs] == [(1, 1)] * 12
    assert len(rows(scratch, "person_records")) == 3


def test_landing_beside_staging(desk: Desk, mapping: SourceMapping) -> None:
    """Versions that overtake each other while pages are staged are each staged or superseded, never both, never neither."""

    def land() -> list[RunId]:
        return [desk.land([call(f"c{number % 4}", 1 + number) for number in range(at, at + 6)]) for at in range(20)]

    with ThreadPoolExecutor(2) as pool:
        landing = pool.submit(land)
        while not landing.done():
            stage(desk, mapping, batch_size=1)
        runs = landing.result()
    stage(desk, mapping)
    for run in runs:
        landed, staged, _, _ = counts(desk, run, "calls")
        assert landed == staged


def test_restaging_unknown_keys_does_nothing(desk: Desk, mapping: SourceMapping) -> None:
    """Keys that are not landed, or not staged yet, are left alone."""
    desk.land([call("c1", 1)])
    done = restage_records(desk.database, desk.tenant, desk.source, mapping, CONTEXT, "calls", ["c1", "nobody"])
    assert done.rows == 0


def test_a_page_takes_a_constant_number_of_statements(desk: Desk, mapping: SourceMapping, monkeypatch: pytest.MonkeyPatch) -> None:
    """3 rows and 300 rows of the same kinds cost the same number of statements."""
    statements: list[str] = []
    run = TenantTransaction._run
    monkeypatch.setattr(TenantTransaction, "_run", lambda self, *asked: (statements.append(asked[0]), run(self, *asked))[1])
    lengths = []
    for start, size in ((0, 3), (1000, 300)):
        desk.land([call(f"c{start + number}", 1, who=[{"email": f"p{start + number}@globex.com"}]) for number in range(size)])
        statements.clear()
        stage(desk, mapping)
        lengths.append(len(statements))
    assert lengths[0] == lengths[1]


def _primary(scratch: Scratch) -> list[str]:
    return [row["stream"] for row in rows(scratch, "interaction_records", "stream") if row["is_primary"]]


def _row_versions(scratch: Scratch, table: str, order: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(scratch.admin_url) as admin:
        return admin.execute(f"select xmin::text, t::text from pay_ready.{table} as t order by {order}").fetchall()


def _versions_of_rows(scratch: Scratch) -> list[list[tuple[Any, ...]]]:
    tables = ("company_records", "person_records", "interaction_records", "interaction_participants", "interaction_turns")
    return [_row_versions(scratch, table, "1") for table in tables]
