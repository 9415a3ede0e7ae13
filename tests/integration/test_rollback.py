"""Back to a checkpoint and forth again: what was comes back byte for byte, what came since waits, and the preview is the effect."""

import random
from collections.abc import Mapping
from dataclasses import replace
from uuid import UUID

import pytest

from pay_ready.db import checkpoints as db_checkpoints
from pay_ready.db import resolution as db_resolution
from pay_ready.db.resolution import PublishedState
from pay_ready.db.state import digest_at
from pay_ready.db.tenancy import Database
from pay_ready.errors import CheckFailedError, ConflictError, NotFoundError, OnHoldError, UsageError
from pay_ready.model.ids import RunId, TenantId, new_id
from pay_ready.model.resolution import ENTITY_TYPES, EntityChange
from pay_ready.pipeline import checkpoint
from pay_ready.pipeline.resolve import resolve_tenant
from pay_ready.pipeline.rollback import RollbackReport, redo, resume, rollback
from pay_ready.resolve.changes import entity_changes
from pay_ready.resolve.ids import Identities
from tests.conftest import Scratch
from tests.integration.test_increments import changed, check_against_everything, run, world
from tests.integration.test_models import people_of
from tests.publish_support import PersonRow, Staged, add_people, config, person_id, published, restage, rows, stage
from tests.reversing_support import decide, given_by, go_back, state_lines

PEOPLE = (
    PersonRow(source="salesforce", key="id:1", full_name="Ann Lee", email="ann@globex.com"),
    PersonRow(source="hubspot", key="id:2", full_name="Ann Lee", email="ann@globex.com", title="CFO"),
    PersonRow(source="gong", key="id:3", full_name="Bob Ray", email="bob@globex.com"),
    PersonRow(source="slack", key="id:4", full_name="Robert Ray", phone="+12065550100"),
)
CLEO = PersonRow(source="hubspot", key="id:5", full_name="Cleo Poe", email="cleo@hooli.com")


@pytest.mark.parametrize("seed", [1, 2])
def test_every_state_comes_back(database: Database, scratch: Scratch, tenant: TenantId, seed: int) -> None:
    """From any state to any checkpoint: rows, digest, feed and preview; afterwards the next run ends where one over everything does."""
    chosen, admin_url = random.Random(seed), scratch.admin_url
    staged = world(seed, 60)
    spare = [replace(each, key=f"spare:{each.key}") for each in people_of(40, seed + 50)]
    stage(admin_url, tenant, staged)
    run(database, tenant, "all")
    states: dict[str, list[str]] = {}
    for number in range(4):
        made = checkpoint.create(database, tenant, f"state-{number}", actor="tests")
        states[made.name] = state_lines(admin_url, tenant, made.run_no)
        after = changed(chosen, staged, spare)
        restage(admin_url, tenant, staged, after)
        decide(database, tenant, *chosen.sample([person_id(tenant, each.source, each.key) for each in after.people], 2), verdict="match")
        staged = after
        run(database, tenant, "changed" if number % 2 else "all")
    for name in (*states, "state-1", "state-3"):
        there = _state(database, tenant)
        before = _latest(database, tenant)
        preview, effect = go_back(database, tenant, name)
        assert _without_run(preview) == _without_run(effect)
        assert state_lines(admin_url, tenant, _latest(database, tenant)) == states[name]
        assert given_by(admin_url, tenant) == 0
        if effect.run_no is not None:
            _check_feed(database, admin_url, tenant, there, effect)
            _check_run(database, tenant, before, effect)
        with database.tenant_transaction(tenant) as tx:
            assert digest_at(tx, _latest(database, tenant, tx)) == db_checkpoints.checkpoint(tx, name).digest
        if chosen.random() < 0.5:
            resume(database, tenant, actor="tests")
            run(database, tenant, "auto")
            check_against_everything(database, admin_url, tenant)


def test_redo_returns_exactly(database: Database, scratch: Scratch, tenant: TenantId) -> None:
    """Rollbacks are taken back one by one, each with its hold; then there is none to redo."""
    three = _three_states(database, scratch, tenant)
    go_back(database, tenant, "second")
    go_back(database, tenant, "first")
    assert state_lines(scratch.admin_url, tenant, _latest(database, tenant)) == three["first"]
    for name in ("second", "third"):
        report = redo(database, tenant, actor="tests", run_id=RunId(new_id()))
        assert report.run_no == _latest(database, tenant)
        assert state_lines(scratch.admin_url, tenant, report.run_no) == three[name]
        assert report.is_on_hold is (name == "second")
    with pytest.raises(ConflictError, match="nothing to redo"):
        redo(database, tenant, actor="tests", run_id=RunId(new_id()))
    assert rows(scratch.admin_url, tenant, "select count(*) from pay_ready.resolution_queue where tenant_id = %(tenant)s") == [(0,)]
    assert run(database, tenant, "all").run_no is None


def test_twice_is_once(database: Database, scratch: Scratch, tenant: TenantId) -> None:
    """The same rollback again says that it is there, and writes nothing."""
    _three_states(database, scratch, tenant)
    first = go_back(database, tenant, "first")[1]
    preview, again = go_back(database, tenant, "first")
    assert again.is_there
    assert preview.is_there
    assert again.run_no is None
    assert _latest(database, tenant) == first.run_no


def test_on_hold_until_resumed(database: Database, scratch: Scratch, tenant: TenantId) -> None:
    """No run makes anew what was taken back, landing goes on, and after resume the next run resolves what waits."""
    _three_states(database, scratch, tenant)
    go_back(database, tenant, "first")
    add_people(scratch.admin_url, tenant, [CLEO])
    for reads in ("auto", "all", "changed"):
        with pytest.raises(OnHoldError, match="pay-ready resume"):
            run(database, tenant, reads)  # type: ignore[arg-type]
    with database.tenant_transaction(tenant) as tx:
        waiting = {each.object_id: each for each in db_resolution.pending(tx)}
    cleo = waiting[person_id(tenant, CLEO.source, CLEO.key)]
    assert (cleo.source, cleo.is_gone, cleo.entity_id) == ("hubspot", False, None)
    resumed = resume(database, tenant, actor="tests")
    assert resumed.hold is not None
    assert resumed.waiting["person"] == len(waiting)
    assert resume(database, tenant, actor="tests").hold is None
    report = run(database, tenant, "auto")
    assert report.run_no is not None
    check_against_everything(database, scratch.admin_url, tenant)


def test_decisions_made_since_stay_and_apply(database: Database, scratch: Scratch, tenant: TenantId) -> None:
    """They are named, stay in the log, and hold again after the next run; or at once, and then nothing else is made anew."""
    admin_url = scratch.admin_url
    stage(admin_url, tenant, Staged(people=PEOPLE))
    run(database, tenant, "all")
    checkpoint.create(database, tenant, "before", actor="tests")
    bob, rob = (person_id(tenant, each.source, each.key) for each in PEOPLE[2:])
    decision = decide(database, tenant, bob, rob, verdict="match")
    add_people(admin_url, tenant, [CLEO])
    run(database, tenant, "changed")
    assert _entity(admin_url, tenant, bob) == _entity(admin_url, tenant, rob)
    report = go_back(database, tenant, "before")[1]
    assert [each.decision_id for each in report.differences.decisions_since] == [decision]
    assert _entity(admin_url, tenant, bob) != _entity(admin_url, tenant, rob)
    resume(database, tenant, actor="tests")
    run(database, tenant, "changed")
    assert _entity(admin_url, tenant, bob) == _entity(admin_url, tenant, rob)
    check_against_everything(database, admin_url, tenant)
    at_once = rollback(database, tenant, "before", actor="tests", run_id=RunId(new_id()), apply_with=config())
    assert at_once.run_no is not None
    assert at_once.decisions_run_no == at_once.run_no + 1
    assert _entity(admin_url, tenant, bob) == _entity(admin_url, tenant, rob) is not None
    assert _entity(admin_url, tenant, person_id(tenant, CLEO.source, CLEO.key)) is None
    assert at_once.is_on_hold
    resume(database, tenant, actor="tests")
    run(database, tenant, "changed")
    check_against_everything(database, admin_url, tenant)


def test_models_come_back(database: Database, scratch: Scratch, tenant: TenantId) -> None:
    """A checkpoint from before a refresh brings its models back; the next run reads everything, as the kept evidence is of others."""
    admin_url = scratch.admin_url
    stage(admin_url, tenant, world(3, 60))
    run(database, tenant, "all")
    checkpoint.create(database, tenant, "before", actor="tests")
    with database.tenant_transaction(tenant) as tx:
        then = db_resolution.current_models(tx)
    spare = [replace(each, key=f"spare:{each.key}") for each in people_of(60, 77)]
    add_people(admin_url, tenant, spare)
    refreshed = resolve_tenant(database, tenant, config(), actor="tests", run_id=RunId(new_id()), refresh=True)
    assert refreshed.kind == "refresh"
    report = go_back(database, tenant, "before")[1]
    assert report.models_change
    with database.tenant_transaction(tenant) as tx:
        assert {each: model for each, (model, _) in db_resolution.current_models(tx).items()} == {
            each: model for each, (model, _) in then.items()
        }
        assert not db_resolution.standing(tx).edges_fit
    decide(database, tenant, *sorted(person_id(tenant, each.source, each.key) for each in spare[:2]), verdict="no_match")
    redo(database, tenant, actor="tests", run_id=RunId(new_id()))
    with pytest.raises(ConflictError, match="cannot be applied at once"):
        rollback(database, tenant, "before", actor="tests", run_id=RunId(new_id()), apply_with=config())
    go_back(database, tenant, "before")
    resume(database, tenant, actor="tests")
    report_then = run(database, tenant, "auto")
    assert report_then.reads == "all"
    check_against_everything(database, admin_url, tenant)
    assert run(database, tenant, "changed").reads == "changed"


def test_rows_that_were_tampered_with_are_not_returned_to(database: Database, scratch: Scratch, tenant: TenantId) -> None:
    """A checkpoint whose rows, or whose digest, are others than they were is refused before anything is changed."""
    import psycopg

    _three_states(database, scratch, tenant)
    state = published(scratch.admin_url, tenant)
    with psycopg.connect(scratch.admin_url) as admin:
        admin.execute(
            "update pay_ready.entity_versions set content_hash = sha256('') where tenant_id = %s and closed_run_no = 2", (tenant,)
        )
    with pytest.raises(CheckFailedError, match="verify --deep"):
        go_back(database, tenant, "first")
    with psycopg.connect(scratch.admin_url) as admin:
        admin.execute("update pay_ready.checkpoints set digest = sha256('') where tenant_id = %s and name = 'second'", (tenant,))
    with pytest.raises(CheckFailedError):
        go_back(database, tenant, "second")
    assert published(scratch.admin_url, tenant) == state
    assert checkpoint.show(database, tenant, "first", check=True).is_whole is False
    assert checkpoint.show(database, tenant, "third", check=True).is_whole is True


def test_checkpoints_by_hand(database: Database, scratch: Scratch, tenant: TenantId) -> None:
    """They are made once, found by name and id, pinned, dropped; and retention takes neither pinned ones nor those in use."""
    with pytest.raises(NotFoundError, match="nothing is published"):
        checkpoint.create(database, tenant, "early", actor="tests")
    _three_states(database, scratch, tenant)
    with pytest.raises(ConflictError, match="taken"):
        checkpoint.create(database, tenant, "first", actor="tests")
    with pytest.raises(UsageError):
        checkpoint.create(database, tenant, "before-run-9", actor="tests")
    with pytest.raises(NotFoundError, match="one of: third"):
        checkpoint.show(database, tenant, "fourth")
    first = checkpoint.show(database, tenant, "first").checkpoint
    assert checkpoint.show(database, tenant, str(first.checkpoint_id)).checkpoint == first
    assert checkpoint.pin(database, tenant, "first", pinned=True, actor="tests").pinned
    with pytest.raises(ConflictError, match="pinned"):
        checkpoint.drop(database, tenant, "first", actor="tests")
    go_back(database, tenant, "second")
    with pytest.raises(ConflictError, match="rollback in force"):
        checkpoint.drop(database, tenant, "second", actor="tests")
    # Of before-run-2, before-run-3 and before-run-4 (the rollback's own) retention keeps the last, and all that are in use.
    gone = checkpoint.prune(database, tenant, keep_count=1, keep_days=90, actor="tests", dry_run=True)
    assert sorted(gone.values()) == ["before-run-2"]
    assert checkpoint.prune(database, tenant, keep_count=1, keep_days=90, actor="tests") == gone
    resume(database, tenant, actor="tests")
    gone = checkpoint.prune(database, tenant, keep_count=1, keep_days=1e-9, actor="tests")
    assert sorted(gone.values()) == ["before-run-3", "second", "third"]
    with database.tenant_transaction(tenant) as tx:
        assert {each.name for each in db_checkpoints.checkpoints(tx)} == {"first", "before-run-4"}


def _three_states(database: Database, scratch: Scratch, tenant: TenantId) -> Mapping[str, list[str]]:
    """Three runs, each with a checkpoint named after it."""
    states = {}
    for number, name in enumerate(("first", "second", "third"), start=1):
        ann = replace(PEOPLE[1], title=f"CFO {number}")
        stage(scratch.admin_url, tenant, Staged(people=(PEOPLE[0], ann, *PEOPLE[2 : number + 1])))
        run(database, tenant, "all")
        made = checkpoint.create(database, tenant, name, actor="tests")
        assert made.run_no == number
        states[name] = state_lines(scratch.admin_url, tenant, number)
    return states


def _latest(database: Database, tenant: TenantId, tx: object = None) -> int:
    if tx is not None:
        return db_resolution.current_run_no(tx)  # type: ignore[arg-type]
    with database.tenant_transaction(tenant) as opened:
        return db_resolution.current_run_no(opened)


def _entity(admin_url: str, tenant: TenantId, record: UUID) -> object:
    query = "select entity_id from pay_ready.assignments where tenant_id = %(tenant)s and closed_run_no is null and record_id = "
    found = rows(admin_url, tenant, f"{query}'{record}'")
    return found[0][0] if found else None


def _state(database: Database, tenant: TenantId) -> PublishedState:
    with database.tenant_transaction(tenant) as tx:
        return db_resolution.published_state(tx)


def _without_run(report: RollbackReport) -> RollbackReport:
    return replace(report, run_no=None, is_dry_run=False, is_on_hold=False)


def _check_feed(database: Database, admin_url: str, tenant: TenantId, there: PublishedState, effect: RollbackReport) -> None:
    """The feed of the rollback is what `entity_changes` says of the two states."""
    now = _state(database, tenant)
    wanted: list[EntityChange] = []
    for entity_type in ENTITY_TYPES:
        entity_of = now.entity_of(entity_type)
        members: dict[UUID, list[UUID]] = {}
        for record, entity in entity_of.items():
            members.setdefault(entity, []).append(record)
        identities = Identities(entity_of=entity_of, members=members, minted={}, redirects=now.redirects)
        ours = {entity for entity, _ in there.assignments[entity_type].values()} | members.keys()
        before, after = ({e: h for e, h in each.versions.items() if e in ours} for each in (there, now))
        wanted += entity_changes(entity_type, identities, there.entity_of(entity_type), before, after)
    found = rows(
        admin_url, tenant,
        "select change, entity_type, entity_id, other_entity_id, before_hash, after_hash from pay_ready.entity_changes"
        f" where tenant_id = %(tenant)s and run_no = {effect.run_no} order by change_seq",
    )  # fmt: skip
    assert [
        (each.change, each.entity_type, each.entity_id, each.other_entity_id, each.before_hash, each.after_hash) for each in wanted
    ] == found
    counted = {kind: dict(changes) for kind, changes in effect.differences.changes.items()}
    for entity_type in ENTITY_TYPES:
        told = [each.change for each in wanted if each.entity_type == entity_type]
        assert counted[entity_type] == {change: told.count(change) for change in set(told)}


def _check_run(database: Database, tenant: TenantId, before: int, effect: RollbackReport) -> None:
    """The run says which one it restores, follows the last one, and left a checkpoint of that."""
    with database.tenant_transaction(tenant) as tx:
        made = db_checkpoints.run(tx, effect.run_no or 0)
        restored = db_checkpoints.run(tx, effect.to_run_no)
        assert (made.kind, made.equals_run_no, made.run_no) == ("rollback", effect.to_run_no, before + 1)
        assert (made.models, made.config_hash, made.state_digest) == (restored.models, restored.config_hash, restored.state_digest)
        assert db_checkpoints.checkpoint(tx, f"before-run-{made.run_no}").run_no == before
