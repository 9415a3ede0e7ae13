"""One merge, split or decision taken back: exactly where nothing followed on it, refused by name of what did, or with it as a tree."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from uuid import UUID

import pytest

from pay_ready.db import decisions as db_decisions
from pay_ready.db import resolution as db_resolution
from pay_ready.db import restore as db_restore
from pay_ready.db.restore import FeedLine
from pay_ready.db.state import digest_at
from pay_ready.db.tenancy import Database, TenantTransaction
from pay_ready.errors import ConflictError, NotFoundError, UsageError
from pay_ready.model.ids import RunId, TenantId, new_id
from pay_ready.model.review import Pair
from pay_ready.pipeline.undo import Asked, UndoReport, Where, undo_change, undo_decision, undo_where
from tests.conftest import Scratch
from tests.integration.test_increments import check_against_everything, run
from tests.publish_support import CallRow, CompanyRow, PersonRow, Staged, person_id, restage, rows, stage
from tests.reversing_support import decide, given_by, latest_run, state_lines
from tests.verify_support import assert_verified

GLOBEX = CompanyRow(source="salesforce", key="id:g", name="Globex", domain="globex.com")
ANN, ANNIE, BOB, ROB, CLEO, CLEA = PEOPLE = (
    PersonRow(source="salesforce", key="id:1", full_name="Ann Lee", email="ann@globex.com", company="id:g"),
    PersonRow(source="slack", key="id:2", full_name="Annie Lee", phone="+12065550100"),
    PersonRow(source="salesforce", key="id:3", full_name="Bob Ray", email="bob@hooli.com"),
    PersonRow(source="slack", key="id:4", full_name="Robert Ray", phone="+12065550122"),
    PersonRow(source="salesforce", key="id:5", full_name="Cleo Poe", email="cleo@initech.com"),
    PersonRow(source="slack", key="id:6", full_name="Clea Poe", phone="+12065550133"),
)
# Joins the first two; the same for the others.
ANN_BRIDGE = PersonRow(source="hubspot", key="id:7", full_name="Ann Lee", email="ann@globex.com", phone="+12065550100")
BOB_BRIDGE = PersonRow(source="hubspot", key="id:8", full_name="Bob Ray", email="bob@hooli.com", phone="+12065550122")
CALL = CallRow(source="salesforce", key="c1", people=("id:1",))
START = Staged(companies=(GLOBEX,), people=PEOPLE, calls=(CALL,))


@pytest.fixture
def begun(database: Database, scratch: Scratch, tenant: TenantId) -> Staged:
    """Six people apart."""
    stage(scratch.admin_url, tenant, START)
    run(database, tenant, "all")
    return START


def moved(
    database: Database, scratch: Scratch, tenant: TenantId, before: Staged, *people: PersonRow, without: tuple[PersonRow, ...] = ()
) -> Staged:  # fmt: skip
    """Stage some more people, or fewer, and resolve."""
    after = replace(before, people=(*[each for each in before.people if each not in without], *people))
    restage(scratch.admin_url, tenant, before, after)
    run(database, tenant, "changed")
    return after


def line_of(database: Database, tenant: TenantId, change: str, run_no: int | None = None) -> FeedLine:
    """The latest change of a kind."""
    with database.tenant_transaction(tenant) as tx:
        return db_restore.feed_lines(tx, change=change, run_no=run_no, most=1)[0]


def undone(database: Database, tenant: TenantId, line: FeedLine, **how: bool) -> UndoReport:
    """A preview, then the undo, which is what the preview says."""
    preview = undo_change(database, tenant, line.change_seq, _asked(dry_run=True, **how))
    report = undo_change(database, tenant, line.change_seq, _asked(**how))
    assert replace(preview, is_dry_run=False) == replace(report, run_no=None)
    with database.tenant_transaction(tenant) as tx:
        standing = rows_of_run(tx, report.run_no)
        assert digest_at(tx, report.run_no or 0) == standing
    return report


def rows_of_run(tx: object, run_no: int | None) -> object:
    """The digest that a run kept."""
    from pay_ready.db import checkpoints as db_checkpoints

    return db_checkpoints.run(tx, run_no or 0).state_digest  # type: ignore[arg-type]


def test_a_merge_is_undone_exactly_and_stays_so(database: Database, scratch: Scratch, tenant: TenantId, begun: Staged) -> None:
    """Everybody concerned is as before, whatever else happened since stands, and later runs keep them apart."""
    admin_url = scratch.admin_url
    then = state_lines(admin_url, tenant, 1)
    after = moved(database, scratch, tenant, begun, ANN_BRIDGE)
    merge = line_of(database, tenant, "merged")
    after = moved(database, scratch, tenant, after, BOB_BRIDGE)
    others = entity(admin_url, tenant, BOB)
    assert others == entity(admin_url, tenant, ROB)
    report = undone(database, tenant, merge)
    assert [each.change_seq for each in report.undone] == [merge.change_seq]
    assert report.decided >= 1
    found = state_lines(admin_url, tenant, report.run_no)
    about_bob = {str(entity(admin_url, tenant, each)) for each in (BOB, ROB)}
    assert [each for each in then if not _is_about(each, about_bob | _former(then, BOB, ROB, tenant))] == [
        each for each in found if not _is_about(each, about_bob | _former(then, BOB, ROB, tenant)) and not each.startswith("run_decisions")
    ]
    assert entity(admin_url, tenant, ANN_BRIDGE) is None  # came with the merge: waits
    assert entity(admin_url, tenant, BOB) == entity(admin_url, tenant, ROB) == others
    assert given_by(admin_url, tenant) == 0
    run(database, tenant, "changed")
    assert entity(admin_url, tenant, ANN) != entity(admin_url, tenant, ANNIE)
    assert entity(admin_url, tenant, ANN_BRIDGE) in (entity(admin_url, tenant, ANN), entity(admin_url, tenant, ANNIE))
    check_against_everything(database, admin_url, tenant)
    assert after.people[-1] == BOB_BRIDGE


def test_with_allow_rematch_the_next_run_decides_again(database: Database, scratch: Scratch, tenant: TenantId, begun: Staged) -> None:
    """Without links that hold them apart the evidence brings them together again."""
    moved(database, scratch, tenant, begun, ANN_BRIDGE)
    report = undone(database, tenant, line_of(database, tenant, "merged"), allow_rematch=True)
    assert report.decided == 0
    assert entity(scratch.admin_url, tenant, ANN) != entity(scratch.admin_url, tenant, ANNIE)
    run(database, tenant, "changed")
    assert entity(scratch.admin_url, tenant, ANN) == entity(scratch.admin_url, tenant, ANNIE)
    check_against_everything(database, scratch.admin_url, tenant)


def test_a_split_is_undone_and_stays_so(database: Database, scratch: Scratch, tenant: TenantId, begun: Staged) -> None:
    """The parts are one again under the id of the parent, the part's id leads there, and later runs keep them together."""
    admin_url = scratch.admin_url
    after = moved(database, scratch, tenant, begun, ANN_BRIDGE)
    together = entity(admin_url, tenant, ANN)
    after = moved(database, scratch, tenant, after, without=(ANN_BRIDGE,))
    split = line_of(database, tenant, "split")
    assert entity(admin_url, tenant, ANN) != entity(admin_url, tenant, ANNIE)
    report = undone(database, tenant, split)
    assert report.decided == 1
    assert entity(admin_url, tenant, ANN) == entity(admin_url, tenant, ANNIE) == together
    assert given_by(admin_url, tenant) == 0
    run(database, tenant, "changed")
    assert entity(admin_url, tenant, ANN) == entity(admin_url, tenant, ANNIE)
    assert entity(admin_url, tenant, ANN_BRIDGE) is None  # its record is gone
    check_against_everything(database, admin_url, tenant)
    assert ANN_BRIDGE not in after.people


def test_what_followed_stands_in_the_way_or_goes_with_it(database: Database, scratch: Scratch, tenant: TenantId, begun: Staged) -> None:
    """A later change of the same people is named and nothing changes; as a tree both are taken back."""
    admin_url = scratch.admin_url
    after = moved(database, scratch, tenant, begun, ANN_BRIDGE)
    merge = line_of(database, tenant, "merged")
    third = PersonRow(source="hubspot", key="id:9", full_name="Ann Lee", email="ann@globex.com", title="CFO")
    moved(database, scratch, tenant, after, third)
    state, latest = state_lines(admin_url, tenant, latest_run(database, tenant)), latest_run(database, tenant)
    preview = undo_change(database, tenant, merge.change_seq, _asked(dry_run=True))
    assert preview.blocked[0].line == merge
    assert {each.run_no for each in preview.blocked[0].blockers} == {latest}
    with pytest.raises(ConflictError, match=f"by run {latest}.*--tree"):
        undo_change(database, tenant, merge.change_seq, _asked())
    assert latest_run(database, tenant) == latest
    assert state_lines(admin_url, tenant, latest) == state
    report = undone(database, tenant, merge, tree=True)
    assert {each.run_no for each in report.followed} == {latest}
    assert entity(admin_url, tenant, ANN) != entity(admin_url, tenant, ANNIE)
    assert entity(admin_url, tenant, third) is None
    run(database, tenant, "changed")
    assert entity(admin_url, tenant, third) is not None
    check_against_everything(database, admin_url, tenant)


def test_an_undo_is_undone(database: Database, scratch: Scratch, tenant: TenantId, begun: Staged) -> None:
    """The merge stands again as it was, and what held its parts apart is withdrawn."""
    admin_url = scratch.admin_url
    moved(database, scratch, tenant, begun, ANN_BRIDGE)
    merged = state_lines(admin_url, tenant, latest_run(database, tenant))
    undone(database, tenant, line_of(database, tenant, "merged"))
    report = undone(database, tenant, line_of(database, tenant, "split"))
    assert report.withdrawn
    assert state_lines(admin_url, tenant, report.run_no) == merged
    run(database, tenant, "changed")
    check_against_everything(database, admin_url, tenant)
    assert entity(admin_url, tenant, ANN) == entity(admin_url, tenant, ANNIE)


def test_in_bulk(database: Database, scratch: Scratch, tenant: TenantId, begun: Staged) -> None:
    """All merges of a run by one run; those that something followed on are told, and stay."""
    admin_url = scratch.admin_url
    after = moved(database, scratch, tenant, begun, ANN_BRIDGE, BOB_BRIDGE)
    merges = latest_run(database, tenant)
    third = PersonRow(source="hubspot", key="id:9", full_name="Bob Ray", email="bob@hooli.com", title="CFO")
    moved(database, scratch, tenant, after, third)
    with pytest.raises(NotFoundError, match="no such merge"):
        undo_where(database, tenant, Where(run_no=merges, change="split"), _asked())
    report = undo_where(database, tenant, Where(run_no=merges, change="merged"), _asked())
    assert (len(report.undone), len(report.blocked)) == (1, 1)
    assert entity(admin_url, tenant, ANN) != entity(admin_url, tenant, ANNIE)
    assert entity(admin_url, tenant, BOB) == entity(admin_url, tenant, ROB)
    rest = undo_where(database, tenant, Where(run_no=merges, entity_type="person"), _asked(tree=True))
    assert entity(admin_url, tenant, BOB) != entity(admin_url, tenant, ROB)
    assert rest.followed
    run(database, tenant, "changed")
    check_against_everything(database, admin_url, tenant)


def test_a_merge_beside_another_of_the_same_run(database: Database, scratch: Scratch, tenant: TenantId, begun: Staged) -> None:
    """Three became one: one of them is not taken out by itself, and the other merge is named."""
    anne = PersonRow(source="salesforce", key="id:9", full_name="Ann Lee", email="ann.lee@initech.com")
    bridge = PersonRow(source="hubspot", key="id:10", full_name="Ann Lee", email="ann.lee@initech.com", phone="+12065550100")
    begun = moved(database, scratch, tenant, begun, anne)
    apart = [each for each in state_lines(scratch.admin_url, tenant, latest_run(database, tenant)) if not each.startswith("run_decisions")]
    moved(database, scratch, tenant, begun, ANN_BRIDGE, bridge)
    with database.tenant_transaction(tenant) as tx:
        merges = db_restore.feed_lines(tx, change="merged")
    assert len(merges) == 2
    assert len({each.other_entity_id for each in merges}) == 1
    with pytest.raises(ConflictError, match="stand in the way"):
        undo_change(database, tenant, merges[0].change_seq, _asked())
    undo_where(database, tenant, Where(run_no=merges[0].run_no), _asked(allow_rematch=True))
    assert apart == [
        each for each in state_lines(scratch.admin_url, tenant, latest_run(database, tenant)) if not each.startswith("run_decisions")
    ]


def test_a_decision_is_undone_with_what_it_did(database: Database, scratch: Scratch, tenant: TenantId, begun: Staged) -> None:
    """Before a run it is only withdrawn; after one, what that did is taken back, unless more followed on it."""
    admin_url = scratch.admin_url
    before = state_lines(admin_url, tenant, 1)
    bob, rob = (person_id(tenant, each.source, each.key) for each in (BOB, ROB))
    early = decide(database, tenant, bob, rob, verdict="match")
    report = undo_decision(database, tenant, early, _asked())
    assert (report.run_no, report.withdrawn) == (None, (early,))
    with pytest.raises(ConflictError, match="holds no more"):
        undo_decision(database, tenant, early, _asked())
    decision = decide(database, tenant, bob, rob, verdict="match")
    run(database, tenant, "changed")
    assert entity(admin_url, tenant, BOB) == entity(admin_url, tenant, ROB)
    report = undo_decision(database, tenant, decision, _asked())
    assert report.withdrawn == (decision,)
    assert state_lines(admin_url, tenant, report.run_no) == before
    run(database, tenant, "changed")
    assert entity(admin_url, tenant, BOB) != entity(admin_url, tenant, ROB)
    check_against_everything(database, admin_url, tenant)


def test_an_undo_twice_over_leaves_no_word_behind(database: Database, scratch: Scratch, tenant: TenantId, begun: Staged) -> None:
    """A merge that is undone already is not undone once more, as a tree neither; and the undo of the undo leaves no no-match behind."""
    moved(database, scratch, tenant, begun, ANN_BRIDGE)
    merge = line_of(database, tenant, "merged")
    first = undone(database, tenant, merge)
    again = undo_change(database, tenant, merge.change_seq, _asked(tree=True))
    assert (again.is_undone, again.run_no) == (True, None)
    split = line_of(database, tenant, "split", run_no=first.run_no)
    ann, annie = (person_id(tenant, each.source, each.key) for each in (ANN, ANNIE))
    with database.tenant_transaction(tenant) as tx:  # as an undo of something else would say it
        moment = db_decisions.lock(tx)
        new = db_decisions.NewDecision(pair=Pair.of("person", ann, annie), verdict="no_match", actor="tests", context="undo")
        db_decisions.make(tx, new, status="decided", moment=moment)
    undone(database, tenant, split)
    assert_verified(database, tenant)
    run(database, tenant, "changed")
    assert_verified(database, tenant)
    assert entity(scratch.admin_url, tenant, ANN) == entity(scratch.admin_url, tenant, ANNIE)


@pytest.mark.parametrize("verdict", ["match", "withdrawn"])
def test_a_word_in_the_middle_of_a_run_is_the_next_ones(
    database: Database, scratch: Scratch, tenant: TenantId, begun: Staged, monkeypatch: pytest.MonkeyPatch, verdict: str
) -> None:  # fmt: skip
    """A decision made, or taken back, between what a run reads of the queue and of decisions: the next run's, which does as it says."""
    pair = [person_id(tenant, each.source, each.key) for each in (BOB, ROB)]
    if verdict == "withdrawn":
        decision = decide(database, tenant, *pair, verdict="match")
        run(database, tenant, "changed")
    read = db_resolution.queued

    def interrupted(tx: TenantTransaction) -> db_resolution.Queue:
        queue = read(tx)
        monkeypatch.undo()

        def say() -> None:
            if verdict == "match":
                decide(database, tenant, *pair, verdict="match")
            else:
                undo_word(database, tenant, decision)

        with ThreadPoolExecutor(1) as elsewhere:  # transactions of one thread are not nested
            elsewhere.submit(say).result()
        return queue

    monkeypatch.setattr(db_resolution, "queued", interrupted)
    moved(database, scratch, tenant, begun, ANN_BRIDGE)
    assert_verified(database, tenant)
    together = entity(scratch.admin_url, tenant, BOB) == entity(scratch.admin_url, tenant, ROB)
    assert together is (verdict == "withdrawn")
    run(database, tenant, "changed")
    assert_verified(database, tenant)
    assert (entity(scratch.admin_url, tenant, BOB) == entity(scratch.admin_url, tenant, ROB)) is (verdict == "match")


def undo_word(database: Database, tenant: TenantId, decision: UUID) -> None:
    """A steward takes a decision back."""
    with database.tenant_transaction(tenant) as tx:
        moment = db_decisions.lock(tx)
        db_decisions.withdraw(tx, db_decisions.require(tx, decision), actor="tests", reason=None, moment=moment)


def test_what_cannot_be_undone(database: Database, scratch: Scratch, tenant: TenantId, begun: Staged) -> None:
    """A change that is none, and one of another kind; each error names the next step."""
    assert begun.people
    assert scratch
    with pytest.raises(NotFoundError, match="pay-ready changes"):
        undo_change(database, tenant, 4_711, _asked())
    with pytest.raises(UsageError, match="before-run-1"):
        undo_change(database, tenant, line_of(database, tenant, "created").change_seq, _asked())
    with pytest.raises(NotFoundError, match="review list"):
        undo_decision(database, tenant, new_id(), _asked())


def test_what_a_steward_decided_is_not_overruled(database: Database, scratch: Scratch, tenant: TenantId, begun: Staged) -> None:
    """A merge that decisions made is not undone against them, whichever records of both sides they name; the preview and the refusal do."""
    assert begun
    bob, rob = (person_id(tenant, each.source, each.key) for each in (BOB, ROB))
    with database.tenant_transaction(tenant) as tx:
        moment = db_decisions.lock(tx)
        new = db_decisions.NewDecision(pair=Pair.of("person", bob, rob), verdict="match", actor="tests")
        chain = db_decisions.NewDecision(
            pair=Pair.of("person", rob, person_id(tenant, CLEA.source, CLEA.key)), verdict="match", actor="tests"
        )  # fmt: skip
        for each in (new, chain):
            db_decisions.make(tx, each, status="decided", moment=moment)
    run(database, tenant, "changed")
    latest = latest_run(database, tenant)
    where = Where(run_no=latest, change="merged")
    preview = undo_where(database, tenant, where, _asked(dry_run=True))
    assert preview.against
    with pytest.raises(ConflictError, match="pay-ready review undo"):
        undo_where(database, tenant, where, _asked())
    with pytest.raises(ConflictError, match=f"undo --decision {preview.against[0]}"):
        undo_where(database, tenant, where, _asked(allow_rematch=True))
    assert latest_run(database, tenant) == latest
    assert rows(scratch.admin_url, tenant, "select count(*) from pay_ready.decisions where tenant_id = %(tenant)s") == [(2,)]


def entity(admin_url: str, tenant: TenantId, row: PersonRow) -> object:
    """The present entity of a person's record."""
    query = "select entity_id from pay_ready.assignments where tenant_id = %(tenant)s and closed_run_no is null and record_id = "
    found = rows(admin_url, tenant, f"{query}'{person_id(tenant, row.source, row.key)}'")
    return found[0][0] if found else None


def _asked(**how: bool) -> Asked:
    return Asked(actor="tests", run_id=RunId(new_id()), **how)  # type: ignore[arg-type]


def _is_about(line: str, entities: set[str]) -> bool:
    return any(each in line for each in entities)


def _former(lines: list[str], *people: PersonRow | TenantId) -> set[str]:
    """The entities of people in the lines of a state."""
    *rows_of, tenant = people
    records = {str(person_id(tenant, each.source, each.key)) for each in rows_of if isinstance(each, PersonRow)}  # type: ignore[arg-type]
    found: set[str] = set()
    for line in lines:
        if line.startswith("assignments") and any(record in line for record in records):
            found |= {part for part in line.replace("'", " ").split() if _is_id(part)} - records
    return found


def _is_id(text: str) -> bool:
    try:
        return str(UUID(text)) == text
    except ValueError:
        return False
