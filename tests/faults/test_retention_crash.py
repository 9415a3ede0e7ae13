"""Retention or a restore that dies at any point has lost nothing: whoever comes next finishes it, or brings everything back."""

import json
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit
from uuid import UUID

import psycopg
import pytest

from pay_ready.db import retention as db_retention
from pay_ready.db.tenancy import Database, PoolOptions
from pay_ready.errors import CheckFailedError, PayReadyError, TransientError
from pay_ready.failpoints import FailpointError, armed
from pay_ready.model.ids import TenantId, tenant_id_of
from pay_ready.pipeline.erase import archives as erase_archives
from pay_ready.pipeline.retention import apply, files, restore
from tests.conftest import Scratch, Server, cloned, make_tenant
from tests.faults.children import killed_at
from tests.faults.proxy import Rule, postgres_proxy
from tests.faults.retention_child import keep_once
from tests.faults.support import opened
from tests.faults.test_database_away import volume
from tests.faults.test_publish_crash import end_sessions
from tests.memory_support import Talk, indexed, memory_on, say
from tests.retention_support import aged, archived_tables, bring_back, differing, keeping, retain
from tests.reversing_support import three_runs
from tests.verify_support import assert_verified

POOL = PoolOptions(max_size=2, overflow=0)
TENANT: TenantId = tenant_id_of("pay_ready", "acme")
DEEP = bool(os.environ.get("PAY_READY_TEST_DEEP"))
APPLY = (*apply.FAILPOINTS, *files.FAILPOINTS)
# Everything that is due of the kinds: several tables, pages and archives.
TALKS = tuple(Talk(key=str(number), body=f"Something about pumps, the {number}th time. " * 40, minute=number) for number in range(6))
UNLANDED = ("records", "isolation")  # what these tests staged has no landed rows


@dataclass(frozen=True, slots=True, kw_only=True)
class Old:
    """A tenant in which much is due."""

    scratch: Scratch
    database: Database
    folder: Path
    before: Mapping[str, list[str]]

    def killed(self, point: str, *words: str) -> None:
        """Act in a process of its own, which is killed at the point; its lease runs out by itself, here at once."""
        killed_at(point, keep_once, self.scratch.erasure_url, TENANT, self.folder, *words)
        with psycopg.connect(self.scratch.admin_url) as admin:
            admin.execute("delete from pay_ready.leases where tenant_id = %s", (TENANT,))

    def archives(self) -> list[UUID]:
        """Archives that are whole, the last first: rows follow the syncs that they name."""
        with self.database.tenant_transaction(TENANT) as tx:
            return [each.archive_id for each in db_retention.archives(tx, statuses=("archived", "deleted"))]

    def all_back(self) -> None:
        """Everything that went comes back, and nothing else."""
        for each in self.archives():
            bring_back(keeping(self.database, TENANT, self.folder), each)
        assert differing(archived_tables(self.scratch.admin_url, TENANT), self.before) == {}
        assert_verified(self.database, TENANT, but=UNLANDED)

    def files(self) -> set[str]:
        """Folders of archives, whole and begun."""
        root = self.folder / str(TENANT)
        return {path.name for path in root.iterdir()} if root.is_dir() else set()


@pytest.fixture(scope="module")
def past(server: Server, template: str) -> Iterator[str]:
    """The database that each test clones."""
    with cloned(server, template) as scratch:
        with opened(scratch.app_url, POOL) as database:
            tenant = make_tenant(database, "acme")
            three_runs(database, scratch.admin_url, tenant)
            say(scratch.admin_url, tenant, *TALKS)
            indexed(database, tenant, memory_on(database))
            with psycopg.connect(scratch.admin_url) as admin:
                admin.execute("delete from pay_ready.checkpoints")
                for number in range(40):
                    admin.execute(
                        "insert into pay_ready.step_logs (tenant_id, logged_at, log_id, run_id, level, event, fields)"
                        " values (%s, now(), %s, %s, 'info', 'rows.done', %s)",
                        (tenant, UUID(int=number), UUID(int=1), json.dumps({"schema_version": 1, "rows": number})),
                    )
            aged(scratch.admin_url, tenant, 100)
        end_sessions(scratch)
        yield urlsplit(scratch.admin_url).path.lstrip("/")


@pytest.fixture
def old(server: Server, past: str, tmp_path: Path) -> Iterator[Old]:
    """A copy of it."""
    with cloned(server, past) as scratch, opened(scratch.erasure_url, POOL) as database:
        yield Old(scratch=scratch, database=database, folder=tmp_path, before=archived_tables(scratch.admin_url, TENANT))


@pytest.mark.parametrize("then", ["apply", "restore"])
@pytest.mark.parametrize("point", APPLY)
def test_killed_while_archiving(old: Old, point: str, then: str) -> None:
    """What is gone is in a whole archive; the next apply finishes and leaves no stray file; everything comes back, finished or not."""
    old.killed(point, "apply")
    assert_verified(old.database, TENANT, but=UNLANDED)
    if then == "apply":
        report = retain(keeping(old.database, TENANT, old.folder, days=30))
        assert report.deleted > 0
        after = archived_tables(old.scratch.admin_url, TENANT)
        assert all(not after[name] for name in ("step_logs", "memories"))
        assert retain(keeping(old.database, TENANT, old.folder, days=30)).archives == ()
        assert old.files() == {f"{each}.r1" for each in old.archives()}
    old.all_back()


@pytest.mark.parametrize("point", APPLY)
def test_failed_while_archiving(old: Old, point: str) -> None:
    """The same where the process lives on: it says why, gives its lease back, and the next one goes on at once."""
    work = keeping(old.database, TENANT, old.folder, days=30)
    with armed(point, "raise"), pytest.raises(FailpointError):
        retain(work)
    retain(work)
    assert old.files() == {f"{each}.r1" for each in old.archives()}
    old.all_back()


def test_a_damaged_archive_stops_its_own_deletion_alone(old: Old) -> None:
    """Cut off before its rows were gone, and damaged since: none of them goes, the other kinds do, and the error says so."""
    work = keeping(old.database, TENANT, old.folder, days=30)
    with armed("retention.kept", "raise"), pytest.raises(FailpointError):
        retain(work, "history")
    (folder,) = (old.folder / str(TENANT)).iterdir()
    file = next(folder.glob("assignments-*.parquet"))
    whole = file.read_bytes()
    file.write_bytes(whole[:-1])
    with pytest.raises(CheckFailedError, match="damaged"):
        retain(work, "logs")
    gone = differing(archived_tables(old.scratch.admin_url, TENANT), old.before)
    assert set(gone) == {"step_logs", "step_runs"} - ({"step_runs"} if not old.before["step_runs"] else set())
    file.write_bytes(whole)
    report = retain(work, "logs")
    assert [(each.kind, each.is_resumed) for each in report.archives] == [("history", True)]
    old.all_back()


@pytest.mark.parametrize("point", restore.FAILPOINTS)
def test_killed_while_restoring(old: Old, point: str) -> None:
    """Restoring again ends the same; so does archiving again in between."""
    report = retain(keeping(old.database, TENANT, old.folder, days=30))
    asked = [str(each.archive_id) for each in reversed(report.archives)]
    old.killed(point, "restore", *asked)
    again = retain(keeping(old.database, TENANT, old.folder, days=30))
    old.all_back()
    for each in asked:
        bring_back(keeping(old.database, TENANT, old.folder), each)
    assert differing(archived_tables(old.scratch.admin_url, TENANT), old.before) == {}
    assert again.deleted > 0 or point == "retention.page_restored"


@pytest.mark.parametrize("fault", ["swallow", "cut"])
@pytest.mark.parametrize("unit", range(1, 60, 3 if DEEP else 13))
def test_a_commit_is_cut_off(old: Old, unit: int, fault: Literal["swallow", "cut"]) -> None:
    """Carried out and never answered, or never carried out: the next one finds out which, and nothing is lost."""
    with postgres_proxy(old.scratch.erasure_url) as proxy, opened(proxy.url, POOL) as database:
        proxy.fail(Rule(fault=fault, text="commit", unit=unit))
        with suppress(TransientError):
            retain(keeping(database, TENANT, old.folder, days=30))
    with psycopg.connect(old.scratch.admin_url) as admin:
        admin.execute("delete from pay_ready.leases where tenant_id = %s", (TENANT,))
    retain(keeping(old.database, TENANT, old.folder, days=30))
    old.all_back()


def test_a_full_disk_deletes_nothing(old: Old) -> None:
    """The archive cannot be written: it says so, every row of it stays; with room the same folder serves."""
    with volume(20_480) as (small, larger):
        work = keeping(old.database, TENANT, small, days=30)
        with pytest.raises(PayReadyError, match="nothing was deleted"):
            retain(work)
        gone = differing(archived_tables(old.scratch.admin_url, TENANT), old.before)
        assert {"memories", "step_logs"} & set(gone) == set()
        assert_verified(old.database, TENANT, but=UNLANDED)
        larger(8 << 20)
        retain(work)
        for each in old.archives():
            bring_back(work, each)
    assert differing(archived_tables(old.scratch.admin_url, TENANT), old.before) == {}


@pytest.mark.parametrize("module", [apply, files, restore, erase_archives])
def test_every_failpoint_is_listed(module: object) -> None:
    """The lists that the crash tests go through are the points in the code."""
    source = Path(str(module.__file__)).read_text("utf-8")  # type: ignore[attr-defined]
    assert sorted(re.findall(r'failpoint\("([^"]+)"\)', source)) == sorted(module.FAILPOINTS)  # type: ignore[attr-defined]
