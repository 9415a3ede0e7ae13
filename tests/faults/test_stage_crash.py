"""Staging is killed at every point of every page: what was committed is whole, and the next run ends as one that was not killed."""

import os
import signal
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest

from pay_ready.db.tenancy import Database, PoolOptions
from pay_ready.failpoints import FailpointError, FailpointMode, armed
from pay_ready.model.ids import RunId, TenantId, new_id
from pay_ready.model.progress import ProgressEvent, no_progress
from pay_ready.pipeline.mapping.rules import SourceMapping
from pay_ready.pipeline.stage import check_equations, stage_source
from tests.conftest import Scratch
from tests.staging_support import CONTEXT, Desk, Version, desk_mapping, dump, make_desk

POINTS = ("stage.before_page", "stage.rows_written", "stage.before_commit", "stage.after_commit")
PAGES = (0, 1, 3)
# Each point once, over the pages in turn; all pairs under `make test-deep`.
CASES = (
    [(point, pages) for point in POINTS for pages in PAGES]
    if os.environ.get("PAY_READY_TEST_DEEP") == "1"
    else [(point, PAGES[number % len(PAGES)]) for number, point in enumerate(POINTS)]
)


@pytest.fixture
def desk(database: Database, tenant: TenantId) -> Desk:
    """A source of one tenant."""
    return make_desk(database, tenant)


@pytest.fixture
def mappings(tmp_path: Path) -> tuple[SourceMapping, SourceMapping]:
    """The small source's mapping, and a stricter later version of it."""
    for name in ("first", "later"):
        (tmp_path / name).mkdir()
    return desk_mapping(tmp_path / "first"), desk_mapping(tmp_path / "later", version=2, name_required=True)


def before() -> list[Version]:
    """What is staged before the run that is killed."""
    day = "2026-03-01T10:00:00Z"
    return [
        Version("users", "u1", 1, {"id": "u1", "name": "Ann", "email": "ann@acme.com", "account": "a1", "at": day}),
        Version("users", "u2", 1, {"id": "u2", "email": "bob@globex.com", "at": day}),
        Version("calls", "c1", 1, {"id": "c1", "at": day, "who": [{"user": "u1"}, {"email": "eve@acme.com", "name": "Eve"}]}),
        Version("calls", "c2", 1, {"id": "c2", "at": day, "who": [{"user": "u9", "name": "Zoe", "firm": "Initech"}]}),
    ]


def after() -> list[Version]:
    """What that run finds: changes, deletions, a breach, another part of a call."""
    day = "2026-03-02T10:00:00Z"
    return [
        Version("users", "u1", 2, None),
        Version("accounts", "a1", 2, {"id": "a1", "name": "Acme", "at": day}),
        Version("calls", "c1", 2, {"id": "c1", "at": day, "who": [{"user": "u1", "name": "Ann Lee"}]}),
        Version("calls", "c2", 2, {"id": "c2", "at": "never"}),
        Version("transcripts", "t1", 2, {"call": "c1", "at": day, "turns": [{"speaker": "s", "text": "Hi", "start": 0, "end": 1}]}),
    ]


def prepare(desk: Desk, mapping: SourceMapping) -> list[RunId]:
    """One version staged, the next one landed in batches of one row."""
    runs = [desk.land(before())]
    stage(desk, mapping)
    return runs + [desk.land([version]) for version in after()]


def stage(desk: Desk, mapping: SourceMapping, progress: Callable[[ProgressEvent], None] = no_progress) -> None:
    """Stage what waits, in pages of one batch."""
    stage_source(desk.database, desk.tenant, desk.source, mapping, CONTEXT, run_id=RunId(new_id()), batch_size=1, progress=progress)


def stage_with_failure(desk: Desk, mapping: SourceMapping, point: str, mode: FailpointMode, pages: int) -> None:
    """Stage, failing at the point after so many pages."""
    with ExitStack() as stack:
        left = pages

        def arm(event: ProgressEvent) -> None:
            nonlocal left
            left -= 1
            if left == 0:
                stack.enter_context(armed(point, mode))

        if pages == 0:
            stack.enter_context(armed(point, mode))
        stage(desk, mapping, arm)


def in_a_child(scratch: Scratch, desk: Desk, work: Callable[[Desk], None]) -> int:
    """Run the work in a forked process with a pool of its own; its wait status."""
    child = os.fork()
    if child == 0:
        try:
            database = Database(scratch.app_url, PoolOptions(max_size=2, overflow=0))
            database.open()
            work(replace(desk, database=database))
            os._exit(0)
        finally:
            os._exit(70)
    return os.waitpid(child, 0)[1]


def wipe(admin_url: str) -> None:
    """Empty everything landed and staged."""
    with psycopg.connect(admin_url, autocommit=True) as admin:
        admin.execute(
            "truncate pay_ready.sync_runs, pay_ready.landing_batches, pay_ready.landed_records, pay_ready.person_records,"
            " pay_ready.company_records cascade"
        )


@pytest.fixture
def wanted(desk: Desk, mappings: tuple[SourceMapping, SourceMapping], scratch: Scratch) -> dict[bool, list[str]]:
    """What an undisturbed run ends in, without and with a new contract."""
    found = {}
    for restage in (False, True):
        prepare(desk, mappings[0])
        stage(desk, mappings[restage])
        found[restage] = dump(scratch.admin_url, desk.tenant)
        wipe(scratch.admin_url)
    return found


@pytest.mark.parametrize("restage", [False, True], ids=["advance", "restage"])
def test_killed_at_every_point(
    desk: Desk, mappings: tuple[SourceMapping, SourceMapping], scratch: Scratch, wanted: dict[bool, list[str]], restage: bool
) -> None:
    """kill -9 at each point of several pages, then a second run: the dump of an undisturbed run, and counts that add up."""
    mapping = mappings[restage]
    for point, pages in CASES:
        runs = prepare(desk, mappings[0])
        status = in_a_child(scratch, desk, lambda child, point=point, pages=pages: stage_with_failure(child, mapping, point, "kill", pages))
        assert os.WIFSIGNALED(status), (point, pages)
        assert os.WTERMSIG(status) == signal.SIGKILL
        with desk.database.tenant_transaction(desk.tenant) as tx:
            for run in runs:
                check_equations(tx, run)
        stage(desk, mapping)
        assert dump(scratch.admin_url, desk.tenant) == wanted[restage], (point, pages)
        with desk.database.tenant_transaction(desk.tenant) as tx:
            assert all(each.waiting == 0 for run in runs for each in check_equations(tx, run))
        wipe(scratch.admin_url)


def test_an_error_rolls_the_page_back(
    desk: Desk, mappings: tuple[SourceMapping, SourceMapping], scratch: Scratch, wanted: dict[bool, list[str]]
) -> None:
    """An error before the commit leaves the state before the page, byte for byte; the next run goes on."""
    prepare(desk, mappings[0])
    earlier = dump(scratch.admin_url, desk.tenant)
    for point in ("stage.rows_written", "stage.before_commit"):
        with pytest.raises(FailpointError):
            stage_with_failure(desk, mappings[0], point, "raise", 0)
        assert dump(scratch.admin_url, desk.tenant) == earlier
    stage(desk, mappings[0])
    assert dump(scratch.admin_url, desk.tenant) == wanted[False]
