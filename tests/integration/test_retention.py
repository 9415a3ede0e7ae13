"""What is old goes to archives and comes back exactly; what anybody may still need stays; nothing of it is anybody else's."""

import json
import random
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from uuid import UUID, uuid4

import psycopg
import pytest

from pay_ready.db import restore as db_restore
from pay_ready.db import retention as db_retention
from pay_ready.db.queries import load_queries
from pay_ready.db.tenancy import Database, PoolOptions
from pay_ready.errors import CheckFailedError, ConflictError, DeniedError, LeaseHeldError, NotFoundError
from pay_ready.model.archived import TABLES, ColumnType
from pay_ready.model.ids import RunId, TenantId, new_id, tenant_id_of
from pay_ready.pipeline.retention.apply import alone, run_retention
from pay_ready.pipeline.retention.plan import plan_retention
from pay_ready.pipeline.retention.restore import restore_archive
from pay_ready.pipeline.rollback import redo, resume
from pay_ready.pipeline.undo import Asked, undo_change
from tests import archived_tables as generated
from tests.conftest import Scratch, Server, cloned, make_tenant
from tests.faults.support import opened
from tests.faults.test_publish_crash import end_sessions
from tests.integration.test_increments import changed, check_against_everything, run, world
from tests.integration.test_models import people_of
from tests.isolation.catalogue import read_tables
from tests.publish_support import person_id, restage, stage
from tests.retention_support import aged, archived_tables, bring_all_back, bring_back, differing, keeping, retain
from tests.reversing_support import decide, go_back, latest_run, state_lines
from tests.verify_support import assert_verified

POOL = PoolOptions(max_size=4, overflow=0)
_TYPES: dict[str, ColumnType] = {
    "uuid": "uuid", "text": "text", "jsonb": "json", "integer": "integer", "bigint": "bigint", "real": "real",
    "double precision": "double", "boolean": "boolean", "timestamp with time zone": "time", "bytea": "bytes", "tsvector": "text",
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Grown:
    """A tenant with six runs behind it, and what each of their states was; a neighbour with the same people."""

    scratch: Scratch
    database: Database
    tenant: TenantId
    neighbour: TenantId
    folder: Path
    states: dict[int, list[str]]

    def work(self, **days: float):
        return keeping(self.database, self.tenant, self.folder, **days)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def past(server: Server, template: str) -> Iterator[tuple[Scratch, dict[int, list[str]]]]:
    """The database that each test clones, and the states of its runs: updates, merges, splits, a decision."""
    with cloned(server, template) as scratch:
        with opened(scratch.app_url, POOL) as database:
            tenant, neighbour = make_tenant(database, "acme"), make_tenant(database, "neighbour")
            chosen, staged = random.Random(4), world(4, 60)
            spare = [replace(each, key=f"spare:{each.key}") for each in people_of(40, 54)]
            stage(scratch.admin_url, tenant, staged)
            stage(scratch.admin_url, neighbour, staged)
            run(database, neighbour, "all")
            run(database, tenant, "all")
            pairs: list[list[UUID]] = []
            for number in range(5):
                after = changed(chosen, staged, spare)
                restage(scratch.admin_url, tenant, staged, after)
                pairs.append(chosen.sample([person_id(tenant, each.source, each.key) for each in after.people], 2))
                decide(database, tenant, *pairs[-1], verdict="match")
                if number == 2:  # somebody thinks better of it
                    decide(database, tenant, *pairs[0], verdict="no_match")
                staged = after
                run(database, tenant, "changed")
            latest = latest_run(database, tenant)
            states = {number: state_lines(scratch.admin_url, tenant, number) for number in range(1, latest + 1)}
        end_sessions(scratch)
        yield scratch, states


@pytest.fixture
def grown(server: Server, past: tuple[Scratch, dict[int, list[str]]], tmp_path: Path) -> Iterator[Grown]:
    """A copy of it, by a login that may delete history."""
    name = past[0].admin_url.rpartition("/")[2].partition("?")[0]
    with cloned(server, name) as scratch, opened(scratch.erasure_url, POOL) as database:
        yield Grown(
            scratch=scratch, database=database, tenant=tenant_id_of("pay_ready", "acme"),
            neighbour=tenant_id_of("pay_ready", "neighbour"), folder=tmp_path / "archives", states=past[1],
        )  # fmt: skip


def drop_checkpoints(grown: Grown, *, keep: tuple[int, ...] = ()) -> None:
    """Leave the checkpoints of these runs alone."""
    with psycopg.connect(grown.scratch.admin_url) as admin:
        admin.execute("delete from pay_ready.checkpoints where tenant_id = %s and run_no <> all(%s)", (grown.tenant, list(keep)))


def test_statements_are_those_of_the_catalogue(scratch: Scratch) -> None:
    """Every column of every archived table, but for the tenant, is in archives, and by a type that loses nothing."""
    with psycopg.connect(scratch.admin_url) as admin:
        assert generated.FILE.read_text("utf-8") == generated.statements(admin)
        catalogue = read_tables(admin)
        for tables in TABLES.values():
            for table in tables:
                known = {name: _TYPES[column.type] for name, column in catalogue[table.name].columns.items() if name != "tenant_id"}
                assert dict(table.columns) == known, table.name
                if table.name == "large_payloads":
                    continue
                # What a statement gives is what the table has, in that order, and its age at the end.
                asked = {"cutoff": "2026-01-01", "through_run_no": 1, "kept_runs": [], "keep_runs": 0, "run_ids": []}
                admin.execute("select set_config('app.tenant_id', %s, true)", (str(uuid4()),))
                cursor = admin.execute(load_queries()[f"retention_due.{table.name}"].sql, {**asked, "tenant_id": uuid4()})  # type: ignore[arg-type]
                assert [each.name for each in cursor.description or ()] == [*table.columns, "aged_at"]


def test_every_reference_to_a_sync_is_looked_at(scratch: Scratch) -> None:
    """A new table that names a sync must be thought of: `retention_due.sync_runs` asks it."""
    with psycopg.connect(scratch.admin_url) as admin:
        names = {table.name for table in read_tables(admin).values() for key in table.foreign_keys if key.parent == "sync_runs"}
    statement = load_queries()["retention_due.sync_runs"].sql
    assert {name for name in names if f"pay_ready.{name}" not in statement} == {"stream_runs"}  # goes with its sync


def test_history_goes_and_comes_back(grown: Grown) -> None:
    """Closed versions go, the present stays, verify is green; restored, every table is what it was, and what was undoable is again."""
    admin_url, tenant = grown.scratch.admin_url, grown.tenant
    drop_checkpoints(grown)
    aged(admin_url, tenant, 100)
    before, beside = archived_tables(admin_url, tenant), archived_tables(admin_url, grown.neighbour)
    latest = max(grown.states)
    plan = plan_retention(grown.work(history=30))
    report = retain(grown.work(history=30))
    assert plan.rows == report.deleted > 100
    assert {each.table: each.rows for each in plan.due if each.rows} == dict(report.archives[0].rows) == dict(report.archives[0].deleted)
    assert set(report.archives[0].rows) == {"assignments", "entity_versions", "interaction_entities", "run_decisions"}
    after = archived_tables(admin_url, tenant)
    for table, count in report.archives[0].rows.items():
        assert set(after[table]) < set(before[table])
        assert len(after[table]) == len(before[table]) - count
    assert state_lines(admin_url, tenant, latest) == grown.states[latest]
    assert_verified(grown.database, tenant)
    line = _merge(grown)
    with pytest.raises(ConflictError, match=f"pay-ready retention restore, of each of {report.archives[0].archive_id}"):
        undo_change(grown.database, tenant, line, Asked(actor="tests", run_id=RunId(new_id()), dry_run=True))
    (back,) = bring_all_back(grown.work(), report)
    assert sum(back.restored.values()) == report.deleted
    assert differing(archived_tables(admin_url, tenant), before) == {}
    assert {number: state_lines(admin_url, tenant, number) for number in grown.states} == grown.states
    undo_change(grown.database, tenant, line, Asked(actor="tests", run_id=RunId(new_id()), dry_run=True))
    assert_verified(grown.database, tenant)
    assert archived_tables(admin_url, grown.neighbour) == beside
    # Twice is as once.
    (again,) = bring_all_back(grown.work(), report)
    assert (dict(again.restored), sum(again.there.values())) == ({}, report.deleted)


def _merge(grown: Grown) -> int:
    """The number of a merge or split of the past."""
    with grown.database.tenant_transaction(grown.tenant) as tx:
        lines = db_restore.feed_lines(tx, kinds=("merged", "split"))
    assert lines
    return lines[-1].change_seq


@pytest.mark.parametrize("kept", [(2,), (1, 4), (3, 5)])
def test_checkpoints_stay_whole(grown: Grown, kept: tuple[int, ...]) -> None:
    """What a checkpoint needs never goes: a rollback to each of them, and on to the present, gives byte for byte what was."""
    admin_url, tenant = grown.scratch.admin_url, grown.tenant
    drop_checkpoints(grown, keep=kept)
    aged(admin_url, tenant, 100)
    report = retain(grown.work(history=1))
    assert report.deleted > 0
    assert report.plan.kept_runs == kept
    assert_verified(grown.database, tenant)
    for run_no in kept:
        assert state_lines(admin_url, tenant, run_no) == grown.states[run_no]
    names = {run_no: _checkpoint_of(grown, run_no) for run_no in kept}
    for run_no, name in names.items():
        go_back(grown.database, tenant, name)
        assert state_lines(admin_url, tenant, latest_run(grown.database, tenant)) == grown.states[run_no]
        # What a rollback in force goes back and forth between is not touched, however old it is.
        aged(admin_url, tenant, 100)
        retain(grown.work(history=1))
        assert_verified(grown.database, tenant)
    redo(grown.database, tenant, actor="tests", run_id=RunId(new_id()))
    expected = grown.states[kept[-2]] if len(kept) > 1 else grown.states[max(grown.states)]
    assert state_lines(admin_url, tenant, latest_run(grown.database, tenant)) == expected
    resume(grown.database, tenant, actor="tests")
    run(grown.database, tenant, "auto")
    check_against_everything(grown.database, admin_url, tenant)
    assert_verified(grown.database, tenant)


def _checkpoint_of(grown: Grown, run_no: int) -> str:
    with psycopg.connect(grown.scratch.admin_url) as admin:
        row = admin.execute(
            "select name from pay_ready.checkpoints where tenant_id = %s and run_no = %s", (grown.tenant, run_no)
        ).fetchone()
    assert row is not None
    return str(row[0])


def test_a_rollback_in_force_keeps_both_its_ends(grown: Grown) -> None:
    """Without any checkpoint the state it came from is whole: redo goes back there, and only then both ends are history."""
    admin_url, tenant = grown.scratch.admin_url, grown.tenant
    latest = max(grown.states)
    go_back(grown.database, tenant, _checkpoint_of(grown, 2))
    drop_checkpoints(grown)
    aged(admin_url, tenant, 100)
    report = retain(grown.work(history=30))
    assert report.deleted > 0
    assert report.plan.kept_runs == (2, latest, latest + 1)
    for run_no in (2, latest):
        assert state_lines(admin_url, tenant, run_no) == grown.states[run_no]
    redo(grown.database, tenant, actor="tests", run_id=RunId(new_id()))
    assert state_lines(admin_url, tenant, latest_run(grown.database, tenant)) == grown.states[latest]
    drop_checkpoints(grown)
    aged(admin_url, tenant, 100)
    assert retain(grown.work(history=30)).plan.kept_runs == ()
    assert state_lines(admin_url, tenant, 2) != grown.states[2]
    assert_verified(grown.database, tenant)


def test_what_can_be_undone_stays(grown: Grown) -> None:
    """Runs that are younger than the days can be undone: their history, and the state before them, is whole."""
    admin_url, tenant = grown.scratch.admin_url, grown.tenant
    drop_checkpoints(grown)
    with psycopg.connect(admin_url) as admin:  # runs 1 to 3 are old
        admin.execute(
            "update pay_ready.resolution_runs set published_at = now() - interval '50 days' where tenant_id = %s and run_no <= 3", (tenant,)
        )
    report = retain(grown.work(history=30))
    assert report.plan.through_run_no == 3
    for number in range(3, max(grown.states) + 1):
        assert state_lines(admin_url, tenant, number) == grown.states[number]
    with grown.database.tenant_transaction(tenant) as tx:
        assert db_retention.whole_since(tx) == 3
        young = [each for each in db_restore.feed_lines(tx, kinds=("merged", "split")) if each.run_no > 3]
        old = [each for each in db_restore.feed_lines(tx, kinds=("merged", "split")) if each.run_no <= 3]
    assert young
    assert old
    for line in young:
        undo_change(grown.database, tenant, line.change_seq, Asked(actor="tests", run_id=RunId(new_id()), dry_run=True, tree=True))
    for line in old:
        with pytest.raises(ConflictError, match="was archived"):
            undo_change(grown.database, tenant, line.change_seq, Asked(actor="tests", run_id=RunId(new_id()), dry_run=True, tree=True))


def test_archives_one_after_the_other(grown: Grown) -> None:
    """Each holds what the one before left; a part restored makes nothing undoable, all of them make everything."""
    admin_url, tenant = grown.scratch.admin_url, grown.tenant
    drop_checkpoints(grown)
    before = archived_tables(admin_url, tenant)
    made = []
    for through in (2, 4, 6):
        with psycopg.connect(admin_url) as admin:
            admin.execute(
                "update pay_ready.resolution_runs set published_at = now() - interval '50 days' where tenant_id = %s and run_no <= %s",
                (tenant, through),
            )
        made += retain(grown.work(history=30)).archives
    assert len(made) == 3
    line = _merge(grown)
    asked = Asked(actor="tests", run_id=RunId(new_id()), dry_run=True)
    for each in made:
        with pytest.raises(ConflictError, match="was archived"):
            undo_change(grown.database, tenant, line, asked)
        bring_back(grown.work(), each.manifest)
    undo_change(grown.database, tenant, line, asked)
    assert differing(archived_tables(admin_url, tenant), before) == {}


def test_nothing_due_writes_nothing(grown: Grown) -> None:
    """Rules of 0 days keep everything; young rows stay; a dry run leaves neither rows, files nor leases behind."""
    admin_url, tenant = grown.scratch.admin_url, grown.tenant
    before = archived_tables(admin_url, tenant)
    assert retain(grown.work()).plan.due == ()
    assert retain(grown.work(days=30)).archives == ()
    assert archived_tables(admin_url, tenant) == before
    with psycopg.connect(admin_url) as admin:  # each apply says that it ran
        assert admin.execute("select status from pay_ready.step_runs where step = 'retention'").fetchall() == [("complete",)] * 2
    aged(admin_url, tenant, 100)
    stood = archived_tables(admin_url, tenant)
    preview = run_retention(grown.work(days=30), run_id=RunId(new_id()), dry_run=True)
    assert preview.is_dry_run
    assert preview.plan.rows > 0
    assert archived_tables(admin_url, tenant) == stood
    with psycopg.connect(admin_url) as admin:
        assert admin.execute("select count(*) from pay_ready.retention_archives").fetchone() == (0,)
    assert not [path for path in grown.folder.rglob("*") if path.is_file()]


def test_rows_that_changed_meanwhile_stay(grown: Grown, monkeypatch: pytest.MonkeyPatch) -> None:
    """A row is deleted only while it is what the archive says; and what has newer rows is not written over by a restore."""
    admin_url, tenant = grown.scratch.admin_url, grown.tenant
    with psycopg.connect(admin_url) as admin:
        for number in range(20):
            admin.execute(
                "insert into pay_ready.step_runs (tenant_id, step_run_id, run_id, step, status, started_at, finished_at, row_count)"
                " values (%s, %s, %s, 'sync', 'complete', now() - interval '90 days', now() - interval '90 days', %s)",
                (tenant, UUID(int=number), UUID(int=1), number),
            )
    keep = db_retention.keep

    def keep_and_change(*args: object, **values: object) -> None:
        keep(*args, **values)  # type: ignore[arg-type]
        with psycopg.connect(admin_url) as admin:
            admin.execute("update pay_ready.step_runs set row_count = 1000 where tenant_id = %s and row_count < 5", (tenant,))

    with monkeypatch.context() as patched:
        patched.setattr(db_retention, "keep", keep_and_change)
        report = retain(grown.work(logs=30), "logs")
    assert report.archives[0].rows["step_runs"] == 20
    assert report.archives[0].deleted["step_runs"] == 15
    back = bring_back(grown.work(), report.archives[0].archive_id)
    assert (back.restored["step_runs"], back.there["step_runs"]) == (15, 5)
    with psycopg.connect(admin_url) as admin:
        found = admin.execute("select row_count from pay_ready.step_runs where tenant_id = %s and step = 'sync'", (tenant,)).fetchall()
    assert sorted(count for (count,) in found) == [*range(5, 20), *[1000] * 5]


def test_a_login_without_the_right_deletes_nothing(grown: Grown) -> None:
    """The app's login plans, and is refused to archive or restore."""
    with opened(grown.scratch.app_url, POOL) as database:
        work = keeping(database, grown.tenant, grown.folder, days=1)
        plan_retention(work)
        with pytest.raises(DeniedError, match="erasure-login"):
            retain(work)
        with pytest.raises(DeniedError, match="erasure-login"):
            bring_back(work, uuid4())


def test_one_at_a_time(grown: Grown) -> None:
    """While one archives another is told who does."""
    with alone(grown.work(), RunId(new_id())), pytest.raises(LeaseHeldError):
        retain(grown.work(days=1))


def test_other_tenants_archives_are_absent(grown: Grown) -> None:
    """By id, by path, copied into one's own folder, or with one's own name written into the manifest: not found, or not the ledger's."""
    admin_url = grown.scratch.admin_url
    for tenant in (grown.tenant, grown.neighbour):
        _log_lines(admin_url, tenant)
    ours = retain(grown.work(logs=30), "logs").archives[0]
    theirs = keeping(grown.database, grown.neighbour, grown.folder, logs=30)
    stolen = retain(theirs, "logs").archives[0]
    before = archived_tables(admin_url, grown.tenant)
    for asked in (stolen.archive_id, stolen.manifest, stolen.manifest.parent):
        with pytest.raises(NotFoundError, match="no such archive of this tenant"):
            bring_back(grown.work(), asked)
    with pytest.raises(NotFoundError, match="no such archive of this tenant"):
        bring_back(grown.work(), uuid4())
    # The neighbour's files under our own archive's name.
    kept = ours.manifest.parent.with_suffix(".kept")
    ours.manifest.parent.rename(kept)
    shutil.copytree(stolen.manifest.parent, ours.manifest.parent)
    with pytest.raises(CheckFailedError, match="not the archive that the ledger knows"):
        bring_back(grown.work(), ours.archive_id)
    told = json.loads(stolen.manifest.read_text())
    told |= {"tenant_id": str(grown.tenant), "archive_id": str(ours.archive_id)}
    ours.manifest.write_text(json.dumps(told))
    for asked in (ours.archive_id, ours.manifest):
        with pytest.raises(CheckFailedError, match="not the archive that the ledger knows"):
            bring_back(grown.work(), asked)
    # Our own manifest with the neighbour's rows.
    shutil.copy(kept / "manifest.json", ours.manifest)
    with pytest.raises(CheckFailedError, match=r"a file of the archive (is damaged|cannot be read)"):
        bring_back(grown.work(), ours.archive_id)
    assert archived_tables(admin_url, grown.tenant) == before
    shutil.rmtree(ours.manifest.parent)
    kept.rename(ours.manifest.parent)
    bring_back(grown.work(), ours.archive_id)
    assert "canary-of-neighbour" not in str(archived_tables(admin_url, grown.tenant))
    # Sweeping one's own shelf leaves the neighbour's alone.
    assert stolen.manifest.is_file()
    bring_back(theirs, stolen.archive_id)


def _log_lines(admin_url: str, tenant: TenantId, count: int = 30) -> None:
    with psycopg.connect(admin_url) as admin:
        owner = "acme" if tenant == tenant_id_of("pay_ready", "acme") else "neighbour"
        for number in range(count):
            admin.execute(
                "insert into pay_ready.step_logs (tenant_id, logged_at, log_id, run_id, level, event, fields) values"
                " (%s, now() - interval '90 days', %s, %s, 'info', 'rows.done', %s)",
                (tenant, UUID(int=number), UUID(int=1), json.dumps({"schema_version": 1, "of": f"canary-of-{owner}"})),
            )


def test_damaged_archives_are_refused_before_anything_changes(grown: Grown) -> None:
    """One byte, one file less, one more row in the manifest, no manifest: each is refused, and nothing comes back."""
    admin_url, tenant = grown.scratch.admin_url, grown.tenant
    _log_lines(admin_url, tenant)
    made = retain(grown.work(logs=30), "logs").archives[0]
    before = archived_tables(admin_url, tenant)
    file = next(made.manifest.parent.glob("step_logs-*.parquet"))
    whole, manifest = file.read_bytes(), made.manifest.read_bytes()
    place = len(whole) // 2
    for damaged in (whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :], whole[:-1], b""):
        file.write_bytes(damaged)
        with pytest.raises(CheckFailedError, match="damaged"):
            bring_back(grown.work(), made.archive_id)
    file.unlink()
    with pytest.raises(CheckFailedError, match="cannot be read"):
        restore_archive(grown.work(), str(made.archive_id), run_id=RunId(new_id()), dry_run=True)
    file.write_bytes(whole)
    for other in (manifest.replace(b'"rows": 30', b'"rows": 31', 1), manifest + b" ", b"{}", b"\xff"):
        made.manifest.write_bytes(other)
        with pytest.raises(CheckFailedError):
            bring_back(grown.work(), made.archive_id)
        with pytest.raises(CheckFailedError):
            bring_back(grown.work(), made.manifest)
    made.manifest.unlink()
    with pytest.raises(CheckFailedError, match="not in its place"):
        bring_back(grown.work(), made.archive_id)
    assert archived_tables(admin_url, tenant) == before
    made.manifest.write_bytes(manifest)
    preview = restore_archive(grown.work(), str(made.archive_id), run_id=RunId(new_id()), dry_run=True)
    assert (dict(preview.rows), dict(preview.restored)) == ({"step_logs": 30}, {})
    assert archived_tables(admin_url, tenant) == before
    assert bring_back(grown.work(), made.archive_id).restored == {"step_logs": 30}


def test_archives_themselves_grow_old(grown: Grown) -> None:
    """Kept long enough, an archive's files go, the ledger says so, and nothing is restored from it any more."""
    admin_url, tenant = grown.scratch.admin_url, grown.tenant
    drop_checkpoints(grown)
    aged(admin_url, tenant, 100)
    made = retain(grown.work(history=30), "history").archives[0]
    assert retain(grown.work(history=30, archive_days=50)).dropped == ()
    aged(admin_url, tenant, 60)
    assert plan_retention(grown.work(archive_days=50)).outlived == (made.archive_id,)
    assert retain(grown.work(archive_days=50)).dropped == (made.archive_id,)
    assert not made.manifest.exists()
    with pytest.raises(ConflictError, match="nothing to restore"):
        bring_back(grown.work(), made.archive_id)
    with pytest.raises(ConflictError, match="gone for good"):
        undo_change(grown.database, tenant, _merge(grown), Asked(actor="tests", run_id=RunId(new_id()), dry_run=True))
    assert_verified(grown.database, tenant)


def test_the_audit_tells_of_every_step(grown: Grown) -> None:
    """Kept, deleted, restored: by whom, with the hash of the manifest; and the trail is whole."""
    _log_lines(grown.scratch.admin_url, grown.tenant)
    made = retain(grown.work(logs=30), "logs").archives[0]
    bring_back(grown.work(), made.archive_id)
    with psycopg.connect(grown.scratch.admin_url) as admin:
        told = admin.execute(
            "select action, actor, after_hash from pay_ready.audit_events where tenant_id = %s and subject_id = %s order by seq",
            (grown.tenant, str(made.archive_id)),
        ).fetchall()
        kept = admin.execute("select manifest_hash from pay_ready.retention_archives").fetchone()
    assert [action for action, _, _ in told] == ["archive.kept", "archive.rows_deleted", "archive.restored"]
    assert {(actor, after) for _, actor, after in told} == {("tests", kept[0])}  # type: ignore[index]
    assert_verified(grown.database, grown.tenant)


def test_a_folder_that_cannot_be_written_deletes_nothing(grown: Grown) -> None:
    """The rows stay, the ledger has nothing, and the error says where and what to do."""
    _log_lines(grown.scratch.admin_url, grown.tenant)
    grown.folder.write_text("not a folder")
    before = archived_tables(grown.scratch.admin_url, grown.tenant)["step_logs"]
    with pytest.raises(Exception, match="PAY_READY_ARCHIVES; nothing was deleted"):
        retain(grown.work(logs=30))
    assert archived_tables(grown.scratch.admin_url, grown.tenant)["step_logs"] == before
    with psycopg.connect(grown.scratch.admin_url) as admin:
        assert admin.execute("select count(*) from pay_ready.retention_archives").fetchone() == (0,)
