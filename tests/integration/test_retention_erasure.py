"""A whole tenant with all that grows old: it goes, it comes back; and whoever is erased goes from archives, too, and never comes back."""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import psycopg
import pyarrow.parquet as pq
import pytest

from pay_ready.db import retention as db_retention
from pay_ready.db.queries import load_queries
from pay_ready.errors import CheckFailedError, ConflictError, SecretError
from pay_ready.failpoints import FailpointError, armed
from pay_ready.model.archived import KINDS
from pay_ready.model.ids import RunId, new_id
from pay_ready.pipeline.erase.run import erase
from pay_ready.pipeline.erase.work import EraseReport
from pay_ready.pipeline.retention.plan import plan_retention
from pay_ready.pipeline.retention.restore import restore_archive
from pay_ready.pipeline.retention.work import RetentionReport, RetentionRules, RetentionWork
from pay_ready.pipeline.subject import Subject, lift
from pay_ready.secrets import Keyring
from tests.conftest import Server, cloned
from tests.erasure_support import (
    CANARIES,
    EMAIL,
    FORMER_EMAIL,
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
from tests.faults.test_publish_crash import end_sessions
from tests.retention_support import aged, archived_tables, bring_all_back, bring_back, differing, retain
from tests.verify_support import assert_verified

SUBJECT = Subject(kind="email", value=EMAIL)


@pytest.fixture(scope="session")
def made(server: Server, template: str, run_folder: Path) -> tuple[str, Path]:
    """A database to be cloned in which two tenants have been resolved twice, and the folder of their exports."""
    return estate_template(server, template, run_folder)


@pytest.fixture(scope="module")
def old(server: Server, made: tuple[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """The same, old, with rows of every kind that grows old."""
    folder = tmp_path_factory.mktemp("old")
    with cloned(server, made[0]) as scratch:
        move(scratch, made[1], folder)
        with opened_estate(scratch, folder) as opened:
            for slug in ("acme", "beta"):
                grow_old(opened, slug)
        end_sessions(scratch)  # a database is not cloned while one is still on its way out
        yield urlsplit(scratch.admin_url).path.lstrip("/"), folder


@pytest.fixture
def estate(server: Server, old: tuple[str, Path], tmp_path: Path) -> Iterator[Estate]:
    """Both tenants, in a database and a folder of this test's own."""
    with cloned(server, old[0]) as scratch:
        move(scratch, old[1], tmp_path)
        with opened_estate(scratch, tmp_path) as opened:
            yield opened


def grow_old(estate: Estate, slug: str) -> None:
    """Syncs that brought nothing, marks of records that went, closed quarantine; no checkpoint; all of it a hundred days ago."""
    tenant = estate.tenant(slug)
    for _ in range(2):
        estate.run(slug)
    with psycopg.connect(estate.scratch.admin_url) as admin:
        source, run, batch = admin.execute(
            "select source_id, run_id, batch_id from pay_ready.landing_batches where tenant_id = %s and stream = 'contacts'"
            " order by commit_seq limit 1",
            (tenant,),
        ).fetchone() or (None, None, None)
        for key in (f'["{EMAIL}"]', '["otto"]'):
            admin.execute(
                "insert into pay_ready.landed_records (tenant_id, source_id, stream, record_key, content_hash, generation, cursor_order,"
                " emitted_at, batch_id, deleted_at) values (%s, %s, 'contacts', %s, sha256(''), 0, %s, now(), %s, now())",
                (tenant, source, key, key, batch),
            )
        for number, text in enumerate(("Quillfeather, Zephyrine: perched on the mast", f'{{"mail": "{FORMER_EMAIL}"}}', "Otto Fremd")):
            payload = UUID(int=100 + number) if number else None
            if payload:
                admin.execute(
                    "insert into pay_ready.large_payloads (tenant_id, payload_id, source_id, size_bytes, content)"
                    " values (%s, %s, %s, %s, %s)",
                    (tenant, payload, source, len(text), text.encode()),
                )
            admin.execute(
                "insert into pay_ready.quarantined_records (tenant_id, quarantine_id, source_id, stream, step, reason, contract_version,"
                " run_id, raw, payload_id, status, closed_at) values (%s, %s, %s, 'contacts', 'land', 'json.broken', 'v1', %s, %s, %s,"
                " 'superseded', now())",
                (tenant, UUID(int=number), source, run, None if payload else text.encode(), payload),
            )
        admin.execute(
            "update pay_ready.stream_runs set watermark_before = %s where tenant_id = %s and stream = 'users'", (FORMER_EMAIL, tenant)
        )
        admin.execute("delete from pay_ready.checkpoints where tenant_id = %s", (tenant,))
    aged(estate.scratch.admin_url, tenant, 100)


@contextmanager
def keeping(estate: Estate, slug: str = "acme", **days: float) -> Iterator[RetentionWork]:
    """A tenant's retention as the command opens it, with other rules: everything but what is named for thirty days."""
    with estate.app.retention(slug, may_delete=True) as work:
        rules = RetentionRules(days={kind: days.get(kind, 30) for kind in KINDS}, archive_days=0, batch_rows=5, keep_runs=0)
        yield replace(work, rules=rules)


def retained(estate: Estate, slug: str = "acme") -> RetentionReport:
    """Everything old of a tenant archived and deleted."""
    with keeping(estate, slug) as work:
        return retain(work)


def erased(estate: Estate, subject: Subject = SUBJECT, *, dry_run: bool = False, void_archives: bool = False) -> EraseReport:
    """Erase as the command does."""
    with estate.app.eraser("acme") as eraser:
        return erase(eraser, subject, dry_run=dry_run, reason="request 1", void_archives=void_archives)


def told_by_files(folder: Path) -> str:
    """All that is in archives, lower case."""
    rows = [str(row) for path in sorted(folder.rglob("*.parquet")) for row in pq.read_table(path).to_pylist()]
    rows += [path.read_text() for path in folder.rglob("manifest.json")]
    # Bytes are shown with escapes; as text they are looked for, too.
    return ("\n".join(rows) + "\n" + "\n".join(row.encode().decode("unicode_escape", "replace") for row in rows)).casefold()


def archives_of(estate: Estate, slug: str = "acme") -> Path:
    """Where a tenant's archives are."""
    return estate.app.environment.archives_folder / str(estate.tenant(slug))


def test_a_whole_tenant_goes_and_comes_back(estate: Estate) -> None:
    """Rows of every table go; verify is green; the next sync, run and index change nothing; restored, all is what it was."""
    url, acme, beta = estate.scratch.admin_url, estate.tenant("acme"), estate.tenant("beta")
    before, beside = archived_tables(url, acme), digest_of_tenant(url, beta)
    report = retained(estate)
    tables = {table for each in report.archives for table in each.deleted}
    assert tables == {
        "assignments", "entity_versions", "large_payloads", "quarantined_records", "landed_records", "sync_runs", "stream_runs", "memories",
        "step_runs", "quality_results",
    }  # fmt: skip
    assert all(dict(each.rows) == dict(each.deleted) for each in report.archives)
    assert archived_tables(url, acme)["memories"] == []
    assert_verified(estate.app.database, acme)
    landed = estate.run("acme")
    assert landed.status == "complete"
    assert sum(each.landed for outcome in landed.sources for each in outcome.equations) == 0
    assert archived_tables(url, acme)["memories"] == []
    assert_verified(estate.app.database, acme)
    assert digest_of_tenant(url, beta) == beside
    with keeping(estate) as work:
        bring_all_back(work, report)
    after = archived_tables(url, acme)
    since = {"sync_runs", "stream_runs", "step_runs", "quality_results"}  # the run since then added to these
    assert set(differing(after, before)) <= since
    assert all(set(before[name]) <= set(after[name]) for name in since)
    assert after["archived_interactions"] == []
    assert_verified(estate.app.database, acme)
    assert digest_of_tenant(url, beta) == beside


# What keeps the one due row of a table in the database, whatever its age: a change, and how many rows are due then.
_NEEDED = {
    "landed_records": (
        "update pay_ready.stream_states set staged_commit_seq = 0 where tenant_id = %(t)s",
        "update pay_ready.stream_states set (restaging_version, restaged_commit_seq) = ('v9', 0) where tenant_id = %(t)s",
        "update pay_ready.stream_states set pass_run_id = run_id where tenant_id = %(t)s",
        "update pay_ready.landed_records set (deleted_at, data) = (null, '{}') where tenant_id = %(t)s and deleted_at is not null",
        "update pay_ready.landed_records set deleted_at = now() where tenant_id = %(t)s and deleted_at is not null",
    ),
    "quarantined_records": (
        "update pay_ready.quarantined_records set (status, closed_at) = ('open', null) where tenant_id = %(t)s",
        "update pay_ready.quarantined_records set status = 'dismissed' where tenant_id = %(t)s and status <> 'open'",
        (
            "update pay_ready.quarantined_records as kept set (status, step, record_key, source_id, stream) = ('dismissed', 'stage',"
            " landed.record_key, landed.source_id, landed.stream) from (select * from pay_ready.landed_records where tenant_id = %(t)s"
            " and deleted_at is null limit 1) as landed where kept.tenant_id = %(t)s and kept.status <> 'open'"
        ),
        "update pay_ready.quarantined_records set closed_at = now() where tenant_id = %(t)s and status <> 'open'",
    ),
    "memories": (
        "update pay_ready.memories set touched_at = now() where tenant_id = %(t)s",
        "update pay_ready.memories set touched_at = now() where tenant_id = %(t)s and chunk_no = 0",  # one of an interaction keeps all
        "update pay_ready.memories set occurred_at = now() where tenant_id = %(t)s",
        (
            "insert into pay_ready.memory_outbox (tenant_id, outbox_seq, change, object_kind, object_id) select tenant_id,"
            " 1000 + row_number() over (), 'upsert', 'interaction', interaction_id from pay_ready.memories where tenant_id = %(t)s"
        ),
    ),
    "sync_runs": (
        "update pay_ready.sync_runs set finished_at = now() where tenant_id = %(t)s",
        "update pay_ready.sync_runs set (status, finished_at) = ('running', null) where tenant_id = %(t)s",
        "update pay_ready.stream_states set pass_run_id = '00000000-0000-0000-0000-000000000000' where tenant_id = %(t)s",
        (
            "insert into pay_ready.stream_schemas (tenant_id, source_id, stream, version, fields, run_id) select tenant_id, source_id,"
            " run_id::text, 9, '{\"schema_version\": 1}', run_id from pay_ready.sync_runs where tenant_id = %(t)s"
        ),
        (
            "insert into pay_ready.seen_keys (tenant_id, source_id, stream, run_id, record_key, covered) select tenant_id, source_id, 'x',"
            " run_id, 'x', true from pay_ready.sync_runs where tenant_id = %(t)s"
        ),
        (
            "insert into pay_ready.backfill_runs (tenant_id, run_id, source_id, plan_id, chunk_start) select tenant_id, run_id, source_id,"
            " run_id, now() from pay_ready.sync_runs where tenant_id = %(t)s"
        ),
        (
            "insert into pay_ready.landing_batches (tenant_id, batch_id, source_id, stream, run_id, commit_seq) select tenant_id,"
            " gen_random_uuid(), source_id, 'newest', run_id, 1000 + row_number() over () from pay_ready.sync_runs where tenant_id = %(t)s"
        ),
    ),
    "step_runs": (
        "update pay_ready.step_runs set finished_at = now() where tenant_id = %(t)s",
        "update pay_ready.step_runs set (status, finished_at) = ('running', null) where tenant_id = %(t)s",
    ),
}


@pytest.mark.parametrize("table", _NEEDED)
def test_what_is_needed_stays(estate: Estate, table: str) -> None:
    """Each reason by itself keeps rows that would go without it."""
    acme = estate.tenant()
    with keeping(estate) as work:
        due = {each.table: each.rows for each in plan_retention(work).due}
        assert due[table] > 0
        for change in _NEEDED[table]:
            with psycopg.connect(estate.scratch.admin_url) as admin, admin.transaction(force_rollback=True):
                admin.execute("set local session_replication_role = replica")
                admin.execute(change, {"t": acme})  # type: ignore[arg-type]
                assert _due(admin, acme, table) == 0, change
        with psycopg.connect(estate.scratch.admin_url) as admin:
            assert _due(admin, acme, table) == due[table]
        # The newest syncs of each source stay, however many are asked for.
        many = replace(work, rules=replace(work.rules, keep_runs=100))
        assert {each.table: each.rows for each in plan_retention(many).due}["sync_runs"] == 0


def _due(admin: psycopg.Connection[Any], tenant: UUID, table: str) -> int:
    """Rows of a table that are due after thirty days."""
    asked = {"tenant_id": tenant, "cutoff": datetime.now(UTC) - timedelta(days=30), "keep_runs": 0}
    return len(admin.execute(load_queries()[f"retention_due.{table}"].sql, asked).fetchall())  # type: ignore[arg-type]


def test_syncs_come_back_before_what_names_them(estate: Estate) -> None:
    """Quarantined rows and marks whose sync is in an archive say which one must come first; afterwards they come, too."""
    url, acme = estate.scratch.admin_url, estate.tenant()
    with psycopg.connect(url) as admin:  # a sync of which no row stands
        run = new_id()
        admin.execute("set session_replication_role = replica")
        admin.execute(
            "insert into pay_ready.sync_runs (tenant_id, run_id, source_id, ingest_mode, status, lease_token, started_at, finished_at)"
            " select tenant_id, %s, source_id, ingest_mode, status, 1, started_at, finished_at from pay_ready.sync_runs"
            " where tenant_id = %s and run_id = (select run_id from pay_ready.quarantined_records where tenant_id = %s limit 1)",
            (run, acme, acme),
        )
        admin.execute("update pay_ready.quarantined_records set run_id = %s where tenant_id = %s and status <> 'open'", (run, acme))
    before = archived_tables(url, acme)
    with keeping(estate) as work:
        report = retain(work)
        assert archived_tables(url, acme)["quarantined_records"] == [line for line in before["quarantined_records"] if ",open," in line]
        by_kind = {each.kind: each.archive_id for each in report.archives}
        with pytest.raises(ConflictError, match=f"restore these first: {by_kind['runs']}"):
            bring_back(work, by_kind["quarantine"])
        bring_back(work, by_kind["runs"])
        bring_back(work, by_kind["quarantine"])
    after = archived_tables(url, acme)
    assert {name: after[name] for name in ("quarantined_records", "large_payloads", "sync_runs", "stream_runs")} == {
        name: before[name] for name in ("quarantined_records", "large_payloads", "sync_runs", "stream_runs")
    }


def test_memory_leaves_archived_interactions_out(estate: Estate) -> None:
    """A rebuild does not make them anew; one that says something else since then is indexed; restored, vectors follow by themselves."""
    url, acme = estate.scratch.admin_url, estate.tenant()
    before = archived_tables(url, acme)
    with keeping(estate) as work:
        report = retain(work, "memories")
    assert report.deleted == len(before["memories"]) > 5
    memory = estate.app.memory
    from pay_ready.pipeline.index import index_tenant, rebuild

    def index() -> int:
        return index_tenant(estate.app.database, acme, memory, run_id=RunId(new_id())).vectors

    assert index() == 0
    rebuild(estate.app.database, acme, memory, run_id=RunId(new_id()))
    assert archived_tables(url, acme)["memories"] == []
    assert_verified(estate.app.database, acme)
    with psycopg.connect(url) as admin:  # a note is written anew
        note = admin.execute(
            "update pay_ready.interaction_records set body = 'otters, all of them', content_hash = sha256('other')"
            " where tenant_id = %s and body like '%%unrelated words%%' returning interaction_id",
            (acme,),
        ).fetchone()
        assert note is not None
    rebuild(estate.app.database, acme, memory, run_id=RunId(new_id()))
    (line,) = archived_tables(url, acme)["memories"]
    assert "otters" in line
    with keeping(estate) as work:
        back = bring_back(work, report.archives[0].archive_id)
    assert back.there == {"memories": len([each for each in before["memories"] if str(note[0]) in each])}
    assert len(archived_tables(url, acme)["memories"]) == len(before["memories"]) - back.there["memories"] + 1
    assert index() == sum(back.restored.values())
    assert_verified(estate.app.database, acme)


def test_an_erased_person_is_in_no_archive(estate: Estate) -> None:
    """Before: canaries in files; after: none in any file or table, others' rows all there, nothing of the neighbour's is another."""
    url, acme = estate.scratch.admin_url, estate.tenant()
    before = archived_tables(url, acme)
    report = retained(estate)
    beside = retained(estate, "beta")
    files = told_by_files(archives_of(estate))
    assert found_in(files, ("Zephyrine", FORMER_EMAIL, "mail body with a plover", "perched on the mast"))
    neighbour, stood = told_by_files(archives_of(estate, "beta")), digest_of_tenant(url, estate.tenant("beta"))
    copies = archives_of(estate).with_suffix(".copies")
    shutil.copytree(archives_of(estate), copies)
    preview = erased(estate, dry_run=True)
    assert told_by_files(archives_of(estate)) == files
    done = erased(estate)
    assert preview.counts == done.counts
    assert {name for name in done.counts if name.endswith("in archives")} >= {
        "entity_versions in archives", "memories in archives", "quarantined_records in archives", "landed_records in archives",
        "assignments in archives",
    }  # fmt: skip
    after = told_by_files(archives_of(estate))
    assert found_in(after, CANARIES) == []
    assert found_in(after, ("otto", "Otto Fremd", "unrelated words")) == ["otto", "Otto Fremd"]  # the note spoke of her
    assert told_by_files(archives_of(estate, "beta")) == neighbour
    assert digest_of_tenant(url, estate.tenant("beta")) == stood
    assert len(list(archives_of(estate).iterdir())) == len(report.archives)
    # Twice is as once.
    assert not erased(estate).is_held
    with keeping(estate) as work:
        for each in report.archives:
            if each.kind != "logs":
                with pytest.raises(CheckFailedError, match="a copy from before somebody was erased"):
                    bring_back(work, copies / each.manifest.parent.name)
        back = bring_all_back(work, report)
    assert sum(sum(each.withheld.values()) for each in back) == 0  # there was nothing left to withhold
    restored = archived_tables(url, acme)
    assert found_in(str(restored).casefold(), CANARIES) == []
    forget_tenant(url, estate.tenant("beta"))
    dump = dumped(url)
    assert found_in(dump, CANARIES) == []
    assert found_in(dump, OTHERS) == list(OTHERS)
    assert estate.run("acme").status == "complete"
    assert_verified(estate.app.database, acme)
    assert set(restored["quarantined_records"]) < set(before["quarantined_records"])
    assert "otto" in str(restored["landed_records"])
    # History without her is not whole: an undo of those runs stays refused.
    with estate.app.database.tenant_transaction(acme) as tx:
        assert db_retention.whole_since(tx) > 0
    assert beside.deleted > 0


def test_what_the_digests_know_is_withheld(estate: Estate) -> None:
    """Even where a file with her in it were the archive, a restore would leave her rows in it; without the key nothing is restored."""
    url, acme = estate.scratch.admin_url, estate.tenant()
    report = retained(estate)
    kept = archives_of(estate).with_suffix(".kept")
    shutil.copytree(archives_of(estate), kept)
    with psycopg.connect(url) as admin:
        hashes = admin.execute(
            "select archive_id, revision, size_bytes, manifest_hash, erased_rows from pay_ready.retention_archives where tenant_id = %s",
            (acme,),
        ).fetchall()
    erased(estate)
    shutil.rmtree(archives_of(estate))
    kept.rename(archives_of(estate))
    with psycopg.connect(url) as admin:  # the ledger of before: nobody but an administrator gets this far
        for archive, revision, size, digest, gone in hashes:
            admin.execute(
                "update pay_ready.retention_archives set (revision, size_bytes, manifest_hash, erased_rows) = (%s, %s, %s, %s)"
                " where tenant_id = %s and archive_id = %s",
                (revision, size, digest, gone, acme, archive),
            )
    with keeping(estate) as work:
        with pytest.raises(SecretError):
            restore_archive(replace(work, keyring=_no_key), str(report.archives[0].archive_id), run_id=RunId(new_id()))
        preview = [
            restore_archive(work, str(each.archive_id), run_id=RunId(new_id()), dry_run=True) for each in reversed(report.archives)
        ]  # fmt: skip
        back = bring_all_back(work, report)
    assert [each.withheld for each in back] == [each.withheld for each in preview]
    withheld = {table for each in back for table in each.withheld}
    assert withheld == {"assignments", "entity_versions", "memories", "landed_records", "large_payloads", "quarantined_records"}
    found = found_in(str(archived_tables(url, acme)).casefold(), CANARIES)
    # A broken record without a key, an address or a number, in which there is but her name: digests cannot know that one.
    assert found == ["perched on the mast"]
    assert estate.run("acme").status == "complete"
    assert_verified(estate.app.database, acme)


def _no_key() -> Keyring:
    raise SecretError("no key")


def test_a_lifted_person_comes_back_from_later_archives_alone(estate: Estate) -> None:
    """Once lifted, she lands again and grows old again: what was erased stays erased, what came since comes back."""
    url, acme = estate.scratch.admin_url, estate.tenant()
    first = retained(estate)
    erased(estate)
    lift(estate.app.database, acme, SUBJECT, estate.app.keyring, actor="tests", reason=None)
    assert estate.read_anew("acme").status == "complete"
    aged(url, acme, 100)
    with psycopg.connect(url) as admin:
        admin.execute("delete from pay_ready.checkpoints where tenant_id = %s", (acme,))
    second = retained(estate)
    with keeping(estate) as work:
        bring_all_back(work, second)
        assert "sparrow" in str(archived_tables(url, acme)["memories"]).casefold()
        bring_all_back(work, first)
    assert_verified(estate.app.database, acme)


def test_archives_that_are_away_hold_an_erasure_back(estate: Estate) -> None:
    """Nobody can look for the person in them: refused, nothing erased; given up, they are void for good, also when they turn up."""
    url, acme = estate.scratch.admin_url, estate.tenant()
    report = retained(estate)
    away = archives_of(estate).with_suffix(".away")
    archives_of(estate).rename(away)
    before = digest_of_tenant(url, acme)
    for dry_run in (True, False):
        with pytest.raises(ConflictError, match="--void-archives; nothing was erased"):
            erased(estate, dry_run=dry_run)
    assert digest_of_tenant(url, acme) == before
    done = erased(estate, void_archives=True)
    assert done.counts["archives given up"] == len(report.archives) - 1  # logs hold nobody's values
    with keeping(estate) as work:
        for each in report.archives:
            if each.kind == "logs":
                continue
            for asked in (each.archive_id, away / each.manifest.parent.name):
                with pytest.raises(ConflictError, match="destroy it"):
                    bring_back(work, asked)
        # What turns up again is taken away; logs may come back.
        away.rename(archives_of(estate))
        retain(work)
        kinds = {each.kind for each in report.archives if each.manifest.exists()}
        assert kinds == {"logs"}
    assert estate.run("acme").status == "complete"
    assert_verified(estate.app.database, acme)


@pytest.mark.parametrize("point", ["erase.archives_written", "erase.before_commit"])
def test_an_erasure_that_fails_leaves_the_archives_as_they_were(estate: Estate, point: str) -> None:
    """The files that were written anew are none, and gone; all of it comes back; the next attempt goes through."""
    url, acme = estate.scratch.admin_url, estate.tenant()
    before = archived_tables(url, acme)
    report = retained(estate)
    files = told_by_files(archives_of(estate))
    with armed(point, "raise"), pytest.raises(FailpointError):
        erased(estate)
    assert told_by_files(archives_of(estate)) == files
    assert len(list(archives_of(estate).iterdir())) == len(report.archives)
    with keeping(estate) as work:
        bring_all_back(work, report)
    assert differing(archived_tables(url, acme), before) == {}
    assert erased(estate).is_held
    assert found_in(told_by_files(archives_of(estate)), CANARIES) == []
    assert json.loads(next(archives_of(estate).rglob("manifest.json")).read_text())["document"] == "pay_ready_archive"
