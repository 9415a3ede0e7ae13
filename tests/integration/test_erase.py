"""A person is erased: thirty canary values are in no row of a full dump, others' values all are, and nothing brings the person back."""

from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import psycopg
import pytest

from pay_ready.db.state import digest_at
from pay_ready.errors import NotFoundError
from pay_ready.model.ids import new_id
from pay_ready.model.resolution import Reads
from pay_ready.pipeline.erase.run import erase
from pay_ready.pipeline.erase.work import EraseReport
from pay_ready.pipeline.resolve import resolve_tenant
from pay_ready.pipeline.subject import Subject, export_path, export_subject, lift, read_subject
from tests.conftest import Server, cloned
from tests.erasure_support import (
    CANARIES,
    EMAIL,
    OTHERS,
    Estate,
    digest_of_tenant,
    dumped,
    estate_template,
    forget_tenant,
    found_in,
    move,
    opened_estate,
)
from tests.verify_support import assert_verified

SUBJECT = Subject(kind="email", value=EMAIL)


@pytest.fixture(scope="session")
def made(server: Server, template: str, run_folder: Path) -> tuple[str, Path]:
    """A database to be cloned in which two tenants have been resolved twice, and the folder of their exports."""
    return estate_template(server, template, run_folder)


@pytest.fixture
def estate(server: Server, made: tuple[str, Path], tmp_path: Path) -> Iterator[Estate]:
    """One tenant, in a database and a folder of this test's own."""
    with cloned(server, made[0]) as scratch:
        move(scratch, made[1], tmp_path)
        with opened_estate(scratch, tmp_path) as opened:
            yield opened


def erased(estate: Estate, subject: Subject = SUBJECT, *, records_only: bool = False, dry_run: bool = False) -> EraseReport:
    """Erase as the command does."""
    with estate.app.eraser("acme") as eraser:
        return erase(eraser, subject, records_only=records_only, dry_run=dry_run, reason="request 1")


def person_of(estate: Estate, slug: str = "acme") -> UUID:
    """The published person."""
    found = estate.rows(
        "select distinct entity_id from pay_ready.entity_versions where tenant_id = %s and email = %s and closed_run_no is null",
        estate.tenant(slug), EMAIL,
    )  # fmt: skip
    assert len(found) == 1
    return UUID(str(found[0][0]))


def decide(estate: Estate, slug: str = "acme") -> None:
    """A steward's word on two of the person's records, and one on one of hers and a colleague's."""
    tenant = estate.tenant(slug)
    with psycopg.connect(estate.scratch.admin_url) as admin:
        ids = [row[0] for row in admin.execute(
            "select record_id from pay_ready.person_records where tenant_id = %s and email_normalized = %s order by record_id",
            (tenant, EMAIL),
        ).fetchall()]  # fmt: skip
        for right in ids[1:3]:
            admin.execute(
                "insert into pay_ready.decisions"
                " (tenant_id, decision_id, entity_type, left_id, right_id, verdict, actor_type, actor, reason)"
                " values (%s, %s, 'person', %s, %s, 'match', 'human', 'tests', 'both are Zephyrine')",
                (tenant, new_id(), ids[0], right),
            )


def resolve_again(estate: Estate, reads: Reads = "auto") -> int | None:
    """The number of the run that it published."""
    work = estate.app.work("acme")
    return resolve_tenant(work.database, work.tenant, work.resolution, actor="tests", run_id=new_id(), reads=reads).run_no  # type: ignore[arg-type]


def dump_of(estate: Estate) -> str:
    """All that the database holds, but for the other tenant."""
    forget_tenant(estate.scratch.admin_url, estate.tenant("beta"))
    return dumped(estate.scratch.admin_url)


def digests_hold(estate: Estate) -> None:
    """The digest of every version and of every checkpoint is that of its rows."""
    tenant = estate.tenant()
    with estate.app.database.tenant_transaction(tenant) as tx:
        runs = estate.rows("select run_no, state_digest from pay_ready.resolution_runs where tenant_id = %s order by 1", tenant)
        for run_no, digest in runs:
            assert digest_at(tx, run_no) == bytes(digest), run_no
        for run_no, digest in estate.rows("select run_no, digest from pay_ready.checkpoints where tenant_id = %s", tenant):
            assert digest_at(tx, run_no) == bytes(digest), run_no


def test_nothing_is_left_of_a_person_and_all_of_others(estate: Estate) -> None:
    """All canaries are found before and none after, in any encoding; others' values stay; another tenant's rows are what they were."""
    url, beta = estate.scratch.admin_url, estate.tenant("beta")
    decide(estate)
    estate.run("acme")
    assert found_in(dumped(url), CANARIES) == list(CANARIES)
    beside = digest_of_tenant(url, beta)
    export = export_path(estate.app.environment.state_folder, "acme")
    export_subject(estate.app.database, estate.tenant(), "acme", SUBJECT, export, actor="tests")
    person = person_of(estate)
    preview = erased(estate, dry_run=True)
    report = erased(estate)
    assert (preview.counts, preview.entities, preview.rebased) == (report.counts, report.entities, report.rebased)
    assert [each.record_id for each in preview.records] == [each.record_id for each in report.records]
    assert [each.entity_id for each in report.entities] == [person]
    assert report.exports == (export,)
    assert not export.exists()
    assert digest_of_tenant(url, beta) == beside
    digests_hold(estate)
    forget_tenant(url, beta)
    after = dumped(url)
    assert found_in(after, CANARIES) == []
    assert found_in(after, OTHERS) == list(OTHERS)
    # Twice is as once.
    again = erased(estate)
    assert (again.is_held, again.run_no) == (False, None)


def test_a_preview_changes_nothing(estate: Estate) -> None:
    """Not a row of the tenant is another, and no lease is left."""
    before = digest_of_tenant(estate.scratch.admin_url, estate.tenant())
    assert erased(estate, dry_run=True).is_dry_run
    assert digest_of_tenant(estate.scratch.admin_url, estate.tenant()) == before
    assert estate.rows("select count(*) from pay_ready.leases where tenant_id = %s", estate.tenant()) == [(0,)]


def test_a_reimport_brings_nothing_back(estate: Estate) -> None:
    """The same exports from their start: what is hers is suppressed and counted, what is others' is unchanged."""
    erased(estate)
    resolve_again(estate)
    landed = estate.rows("select count(*) from pay_ready.landed_records where tenant_id = %s", estate.tenant())
    report = estate.read_anew("acme")
    assert report.status == "complete"
    streams = [each for outcome in report.sources for each in outcome.equations]
    assert sum(each.suppressed for each in streams) == 15
    assert sum(each.landed for each in streams) == 0
    assert all(each.landing_holds for each in streams)
    assert estate.rows("select count(*) from pay_ready.landed_records where tenant_id = %s", estate.tenant()) == landed
    assert found_in(dump_of(estate), CANARIES) == []
    assert resolve_again(estate, "all") is None


def test_every_version_is_without_the_person_and_the_next_runs_agree(estate: Estate) -> None:
    """Digests hold in every run and checkpoint, the id leads nowhere for ever, an increment and a whole run publish the same."""
    decide(estate)
    estate.run("acme")
    person = person_of(estate)
    runs = estate.rows("select max(run_no) from pay_ready.resolution_runs where tenant_id = %s", estate.tenant())[0][0]
    report = erased(estate)
    assert report.run_no == runs + 1
    assert report.rebased == runs
    digests_hold(estate)
    tenant = estate.tenant()
    assert estate.rows("select count(*) from pay_ready.entity_versions where tenant_id = %s and entity_id = %s", tenant, person) == [(0,)]
    leads = "select distinct target_entity_id from pay_ready.entity_redirects where tenant_id = %s and entity_id = %s"
    assert estate.rows(leads, tenant, person) == [(None,)]
    kinds = estate.rows("select kind from pay_ready.resolution_runs where tenant_id = %s and run_no = %s", tenant, report.run_no)
    assert kinds == [("erasure",)]
    changes = "select change, entity_id from pay_ready.entity_changes where tenant_id = %s and run_no = %s"
    gone = estate.rows(changes, tenant, report.run_no)
    assert ("retired", person) in gone
    assert {change for change, _ in gone} == {"retired"}  # and the number that was called, which was somebody of its own
    actions = {row[0] for row in estate.rows("select action from pay_ready.audit_events where tenant_id = %s", tenant)}
    assert {"subject.erased", "erasure.rebased"} <= actions
    resolve_again(estate)
    digests_hold(estate)
    assert resolve_again(estate, "all") is None
    assert estate.rows(leads, tenant, person) == [(None,)]
    assert_verified(estate.app.database, tenant)


def test_what_was_lifted_comes_in_again_under_its_old_id(estate: Estate) -> None:
    """After the suppression is lifted the exports bring the person back, and a run gives her the id that she had."""
    person = person_of(estate)
    erased(estate)
    resolve_again(estate)
    keyring = estate.app.keyring
    with pytest.raises(NotFoundError, match="nothing is suppressed"):
        lift(estate.app.database, estate.tenant(), Subject(kind="email", value="bob@x.example"), keyring, actor="tests", reason=None)
    assert lift(estate.app.database, estate.tenant(), SUBJECT, keyring, actor="tests", reason=None) > 9
    assert estate.read_anew("acme").status == "complete"
    assert person_of(estate) == person
    digests_hold(estate)


def test_a_new_record_of_an_erased_person_does_not_land(estate: Estate) -> None:
    """A contact under a new id is left out, a call with others is masked, a broken record is not even quarantined."""
    import json

    erased(estate)
    folder = estate.folder / "acme"
    contact = {"id": "99", "createdAt": "2026-03-01T00:00:00Z", "updatedAt": "2026-03-02T00:00:00Z", "archived": False,
               "properties": {"firstname": "Zephyrine", "lastname": "Quillfeather", "email": EMAIL}}  # fmt: skip
    broken = {**contact, "id": None, "properties": {"email": EMAIL, "note": "kept nowhere"}}
    note = {
        **contact,
        "id": "199",
        "contacts": ["53"],
        "properties": {"hs_timestamp": "2026-03-01T00:00:00Z", "hs_note_body": f"ask {EMAIL}"},
    }
    for stream, rows in (("contacts", [contact, broken]), ("engagements_notes", [note])):
        with (folder / "crm" / f"{stream}.jsonl").open("a") as file:
            file.write("".join(json.dumps(row) + "\n" for row in rows))
    report = estate.read_anew("acme")
    (crm,) = (outcome for outcome in report.sources if outcome.source == "crm")
    counts = {each.stream: each for each in crm.equations}
    assert counts["contacts"].suppressed == 4
    assert (counts["engagements_notes"].landed, counts["engagements_notes"].quarantined) == (1, 0)
    bodies = estate.rows("select body from pay_ready.interaction_records where tenant_id = %s and record_key = '199'", estate.tenant())
    assert bodies == [("ask [erased]",)]
    assert found_in(dump_of(estate), [EMAIL, "kept nowhere"]) == []


def test_records_only_keeps_what_does_not_carry_the_address(estate: Estate) -> None:
    """Of a person merged from others' records the others stay: golden records are made anew in every version, and digests hold."""
    tenant = estate.tenant()
    bob = estate.rows("select record_id from pay_ready.person_records where tenant_id = %s and record_key = '52'", tenant)[0][0]
    hers = estate.rows("select record_id from pay_ready.person_records where tenant_id = %s and record_key = '51'", tenant)[0][0]
    with psycopg.connect(estate.scratch.admin_url) as admin:
        admin.execute(
            "insert into pay_ready.decisions (tenant_id, decision_id, entity_type, left_id, right_id, verdict, actor_type, actor)"
            " values (%s, %s, 'person', %s, %s, 'match', 'human', 'tests')",
            (tenant, new_id(), min(bob, hers), max(bob, hers)),
        )
    resolve_again(estate)
    together = estate.rows(
        "select count(distinct entity_id) from pay_ready.assignments"
        " where tenant_id = %s and record_id = any(%s) and closed_run_no is null",
        tenant, [bob, hers],
    )  # fmt: skip
    assert together == [(1,)]
    whole = erased(estate, dry_run=True)
    assert {each.carries for each in whole.records} == {True, False}
    report = erased(estate, records_only=True)
    assert all(each.carries for each in report.records)
    assert report.counts["entity_versions made anew"] >= 1
    digests_hold(estate)
    dump = dump_of(estate)
    assert found_in(dump, CANARIES) == []
    assert found_in(dump, OTHERS) == list(OTHERS)
    resolve_again(estate)
    assert resolve_again(estate, "all") is None
    digests_hold(estate)


def test_an_export_holds_all_that_is_held(estate: Estate, tmp_path: Path) -> None:
    """Every canary but the history that no row of ours keeps is in the document, which only its owner may read."""
    decide(estate)
    estate.run("acme")
    target = tmp_path / "ann.json"
    report = export_subject(estate.app.database, estate.tenant(), "acme", SUBJECT, target, actor="tests")
    text = target.read_text("utf-8").casefold()
    assert [value for value in CANARIES if value.casefold() not in text] == []
    assert target.stat().st_mode & 0o777 == 0o600
    assert report.counts["decisions"] == 2
    assert report.counts["quarantined_records"] == 1
    audited = estate.rows(
        "select subject_id from pay_ready.audit_events where tenant_id = %s and action = 'subject.exported'", estate.tenant()
    )
    assert audited == [(str(person_of(estate)),)]


def test_subjects_are_read_and_another_tenants_are_absent(estate: Estate) -> None:
    """An address is normalised, an id must be one; a person of another tenant is nobody here."""
    assert read_subject(f"email:{EMAIL.upper()}", "US") == SUBJECT
    assert read_subject("phone:(206) 555-0142", "US") == Subject(kind="phone", value="+12065550142")
    with estate.app.database.tenant_transaction(estate.app.tenant_id("stranger")) as tx:
        from pay_ready.pipeline.subject import find

        assert find(tx, SUBJECT).records == []
        with pytest.raises(NotFoundError):
            find(tx, Subject(kind="entity", value=str(person_of(estate))))


def test_a_quarantined_row_of_an_erased_person_is_gone(estate: Estate) -> None:
    """What landed broken goes with the person, by her number alone."""
    assert estate.rows("select count(*) from pay_ready.quarantined_records where tenant_id = %s", estate.tenant()) == [(1,)]
    erased(estate)
    assert estate.rows("select count(*) from pay_ready.quarantined_records where tenant_id = %s", estate.tenant()) == [(0,)]
