"""Random histories of a tenant: records come and go, people decide, runs resolve, somebody goes back, forth again, or takes one thing back.

Whatever happened before: every state that was ever published can be returned to and is then what it was, row for row; previews are what
happens; ids once given lead somewhere; the feed has no gap; and after a run nothing is left that a run over everything would do.
"""

import base64
import os
import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import ClassVar
from uuid import UUID

import psycopg
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule, run_state_machine_as_test

from pay_ready.app_work import mapping_path
from pay_ready.db import checkpoints as db_checkpoints
from pay_ready.db import resolution as db_resolution
from pay_ready.db import restore as db_restore
from pay_ready.db import retention as db_retention
from pay_ready.db.state import digest_at
from pay_ready.db.tenancy import Database, PoolOptions
from pay_ready.errors import ConflictError
from pay_ready.model.ids import RunId, TenantId, new_id
from pay_ready.pipeline import checkpoint
from pay_ready.pipeline.erase.run import erase
from pay_ready.pipeline.erase.work import Eraser
from pay_ready.pipeline.mapping.language import load_mapping
from pay_ready.pipeline.resolve import resolve_tenant
from pay_ready.pipeline.retention.shelf import Shelf
from pay_ready.pipeline.retention.work import RetentionWork
from pay_ready.pipeline.rollback import redo, resume
from pay_ready.pipeline.subject import read_subject
from pay_ready.pipeline.undo import Asked, UndoReport, undo_change, undo_decision
from pay_ready.secrets import Keyring
from tests.conftest import Scratch, make_tenant
from tests.faults.support import opened
from tests.integration.test_increments import changed, check_against_everything, run, world
from tests.integration.test_models import people_of
from tests.publish_support import config, person_id, restage, rows, stage
from tests.retention_support import bring_back, keeping, retain
from tests.reversing_support import decide, given_by, go_back, latest_run, state_lines
from tests.staging_support import CONTEXT
from tests.verify_support import assert_verified

DEEP = bool(os.environ.get("PAY_READY_TEST_DEEP"))
HISTORIES, STEPS = (200, 14) if DEEP else (4, 10)
_FEED = (
    "select coalesce(max(change_seq), 0) = count(*), coalesce(max(change_seq), 0) = (select coalesce(max(value), 0) from"
    " pay_ready.tenant_counters where tenant_id = %(tenant)s and counter = 'change_seq') from pay_ready.entity_changes"
    " where tenant_id = %(tenant)s"
)
_RUNS = (
    "select max(run_no) = count(*), max(run_no) = (select value from pay_ready.tenant_counters where tenant_id = %(tenant)s"
    " and counter = 'run_no') from pay_ready.resolution_runs where tenant_id = %(tenant)s"
)


class History(RuleBasedStateMachine):
    """One tenant's history, and what was published in it."""

    database: ClassVar[Database]
    erasing: ClassVar[Database]  # by the login that may delete history
    admin_url: ClassVar[str]
    folder: ClassVar[Path]
    made: ClassVar[int] = 0

    def __init__(self) -> None:
        super().__init__()
        History.made += 1
        self.tenant: TenantId = make_tenant(self.database, f"history-{History.made}")
        self.states: dict[int, list[str]] = {}  # by run

    @initialize(seed=st.integers(0, 10_000), with_calls=st.booleans())
    def begin(self, seed: int, with_calls: bool) -> None:
        """A first load; calls that were never landed stand in nobody's way but an erasure's."""
        self.chosen = random.Random(seed)
        self.staged = world(seed, 24) if with_calls else replace(world(seed, 24), calls=())
        self.spare = [replace(each, key=f"spare:{each.key}") for each in people_of(80, seed + 1)]
        stage(self.admin_url, self.tenant, self.staged)
        run(self.database, self.tenant, "all")
        self._keep()

    @precondition(lambda self: len(self.spare) > 6)
    @rule()
    def load(self) -> None:
        """Some records come, change and go."""
        after = changed(self.chosen, self.staged, self.spare)
        restage(self.admin_url, self.tenant, self.staged, after)
        self.staged = after

    @rule(everything=st.booleans())
    def resolve(self, everything: bool) -> None:
        """A run; afterwards one over everything has nothing to do."""
        if self._hold() is not None:
            return
        run(self.database, self.tenant, "all" if everything else "auto")
        check_against_everything(self.database, self.admin_url, self.tenant)
        self._keep()

    @rule()
    def refresh(self) -> None:
        """New models."""
        if self._hold() is None:
            resolve_tenant(self.database, self.tenant, config(), actor="tests", run_id=RunId(new_id()), refresh=True)
            self._keep()

    @rule(verdict=st.sampled_from(["match", "no_match"]))
    def say(self, verdict: str) -> None:
        """A steward decides about two people."""
        one, other = self.chosen.sample(self.staged.people, 2)
        decide(self.database, self.tenant, *(person_id(self.tenant, each.source, each.key) for each in (one, other)), verdict=verdict)

    @rule(at=st.integers(0, 1_000))
    def back(self, at: int) -> None:
        """To any state there was."""
        with self.database.tenant_transaction(self.tenant) as tx:
            points = db_checkpoints.checkpoints(tx)
        if not points:
            checkpoint.create(self.database, self.tenant, "first", actor="tests")
            return
        point = points[at % len(points)]
        before = latest_run(self.database, self.tenant)
        preview, effect = go_back(self.database, self.tenant, point.name)
        assert replace(preview, is_dry_run=False, is_on_hold=False) == replace(effect, run_no=None, is_on_hold=False)
        assert (effect.run_no is None) is effect.is_there
        found = state_lines(self.admin_url, self.tenant, latest_run(self.database, self.tenant))
        assert found == self.states[point.run_no]
        again = go_back(self.database, self.tenant, point.name)[1]
        assert again.is_there
        assert latest_run(self.database, self.tenant) == (effect.run_no or before)
        self._keep()

    @rule()
    def forth(self) -> None:
        """The last rollback taken back."""
        if (hold := self._hold()) is None:
            return
        redo(self.database, self.tenant, actor="tests", run_id=RunId(new_id()))
        assert state_lines(self.admin_url, self.tenant, latest_run(self.database, self.tenant)) == self.states[hold.run_no - 1]
        self._keep()

    @rule()
    def go_on(self) -> None:
        """No hold any more."""
        resume(self.database, self.tenant, actor="tests")

    @rule(at=st.integers(0, 1_000), tree=st.booleans())
    def take_back(self, at: int, tree: bool) -> None:
        """One merge or split undone, or refused without a trace."""
        with self.database.tenant_transaction(self.tenant) as tx:
            lines = db_restore.feed_lines(tx, kinds=("merged", "split"))
        if lines:
            line = lines[at % len(lines)]
            self._undo(lambda asked: undo_change(self.database, self.tenant, line.change_seq, asked), tree=tree)

    @rule(at=st.integers(0, 1_000), tree=st.booleans())
    def unsay(self, at: int, tree: bool) -> None:
        """A decision undone, or refused without a trace."""
        found = rows(
            self.admin_url,
            self.tenant,
            "select decision_id from pay_ready.decisions where tenant_id = %(tenant)s and superseded_at is null order by made_at",
        )
        if found:
            decision = found[at % len(found)][0]
            assert isinstance(decision, UUID)
            self._undo(lambda asked: undo_decision(self.database, self.tenant, decision, asked), tree=tree)

    @rule(at=st.integers(0, 1_000), dropped=st.booleans())
    def grow_old(self, at: int, dropped: bool) -> None:
        """Some runs become old, and what nobody can return to of them goes to an archive; with them checkpoints that nobody pinned."""
        old = at % (latest_run(self.database, self.tenant) + 1)
        with psycopg.connect(self.admin_url) as admin:
            admin.execute(
                "update pay_ready.resolution_runs set published_at = now() - interval '50 days' where tenant_id = %s and run_no <= %s",
                (self.tenant, old),
            )
        if dropped:
            checkpoint.prune(self.database, self.tenant, keep_count=1, keep_days=1_000, actor="tests")
        retain(self._retention())
        with self.database.tenant_transaction(self.tenant) as tx:
            kept = db_retention.kept_runs(tx)
        for run_no in self.states:
            if run_no in kept or run_no >= old:
                assert state_lines(self.admin_url, self.tenant, run_no) == self.states[run_no]

    @rule()
    def bring_back(self) -> None:
        """Every archive restored: without an erasure since then every state is whole again."""
        with self.database.tenant_transaction(self.tenant) as tx:
            archives = db_retention.archives(tx)
        for each in archives:
            bring_back(self._retention(), each.archive_id)
        with self.database.tenant_transaction(self.tenant) as tx:
            is_whole = not db_retention.whole_since(tx)
        assert is_whole or any(each.erased_rows for each in archives)
        if is_whole:
            for run_no, lines in self.states.items():
                assert state_lines(self.admin_url, self.tenant, run_no) == lines

    def _retention(self) -> RetentionWork:
        keys = Keyring.from_text(base64.b64encode(bytes(32)).decode())
        return keeping(self.erasing, self.tenant, self.folder / "archives", history=30, keyring=keys)

    @precondition(lambda self: not self.staged.calls)
    @rule(at=st.integers(0, 1_000), records_only=st.booleans())
    def forget(self, at: int, records_only: bool) -> None:
        """A person erased: no state there ever was has a trace of them, and all states can be returned to as they are now."""
        known = [each for each in self.staged.people if each.email]
        if len(known) < 8:
            return
        email = str(known[at % len(known)].email)
        report = erase(self._eraser(), read_subject(f"email:{email}", "US"), records_only=records_only)
        gone = {each.record_id for each in report.records}
        assert gone
        left = [each for each in self.staged.people if person_id(self.tenant, each.source, each.key) not in gone]
        after = replace(self.staged, people=left)
        restage(self.admin_url, self.tenant, self.staged, after)
        self.staged = after
        self.states = {run_no: state_lines(self.admin_url, self.tenant, run_no) for run_no in self.states}
        for lines in self.states.values():
            assert not [each for each in lines if email in each or any(str(record) in each for record in gone)]
        self._keep()

    def _eraser(self) -> Eraser:
        return Eraser(
            database=self.erasing, tenant=self.tenant, slug="history", actor="tests", digest_key=bytes(32), config=config(),
            context=CONTEXT, mapping_of=lambda source: load_mapping(mapping_path(source.kind, None)), state_folder=self.folder,
            shelf=Shelf(self.folder / "archives", self.tenant),
        )  # fmt: skip

    @invariant()
    def holds(self) -> None:
        """The digest is that of the rows, numbers have no gaps, every id leads somewhere."""
        latest = latest_run(self.database, self.tenant)
        if not latest:
            return
        with self.database.tenant_transaction(self.tenant) as tx:
            assert digest_at(tx, latest) == db_checkpoints.run(tx, latest).state_digest
        assert given_by(self.admin_url, self.tenant) == 0
        assert rows(self.admin_url, self.tenant, _FEED) == [(True, True)]
        assert rows(self.admin_url, self.tenant, _RUNS) == [(True, True)]

    def teardown(self) -> None:
        """What must hold of a tenant holds."""
        if latest_run(self.database, self.tenant):
            assert_verified(self.database, self.tenant)

    def _undo(self, undo: Callable[[Asked], UndoReport], *, tree: bool) -> None:
        before, queue = latest_run(self.database, self.tenant), self._queue()
        try:
            preview: UndoReport = undo(Asked(actor="tests", run_id=RunId(new_id()), tree=tree, dry_run=True))
        except ConflictError as error:
            if "was archived" not in error.what:
                raise
            return
        assert latest_run(self.database, self.tenant) == before
        try:
            report: UndoReport = undo(Asked(actor="tests", run_id=RunId(new_id()), tree=tree))
        except ConflictError:
            assert latest_run(self.database, self.tenant) == before
            assert self._queue() == queue
            return
        assert replace(preview, is_dry_run=False) == replace(report, run_no=None)
        self._keep()

    def _queue(self) -> object:
        return rows(self.admin_url, self.tenant, "select count(*) from pay_ready.resolution_queue where tenant_id = %(tenant)s")

    def _hold(self) -> db_resolution.Hold | None:
        with self.database.tenant_transaction(self.tenant) as tx:
            return db_resolution.hold(tx)

    def _keep(self) -> None:
        """The rows of a state are what they were when it was published, for ever."""
        latest = latest_run(self.database, self.tenant)
        lines = state_lines(self.admin_url, self.tenant, latest)
        assert self.states.setdefault(latest, lines) == lines


@pytest.mark.timeout(3_600)
def test_histories(database: Database, scratch: Scratch, tmp_path: Path) -> None:
    """Four histories; 200 under PAY_READY_TEST_DEEP."""

    class Here(History):
        """In this test's database."""

    Here.database, Here.admin_url, Here.folder = database, scratch.admin_url, tmp_path
    with opened(scratch.erasure_url, PoolOptions(max_size=1, overflow=0)) as erasing:
        Here.erasing = erasing
        run_state_machine_as_test(
            Here,
            settings=settings(
                max_examples=HISTORIES, stateful_step_count=STEPS, deadline=None, suppress_health_check=list(HealthCheck), print_blob=True
            ),
        )


def test_a_split_that_a_rollback_made_is_undone(database: Database, scratch: Scratch, tmp_path: Path) -> None:
    """What the rollback brought together anew goes back to where each was, and only what it parted is said to belong together."""

    class Here(History):
        """In this test's database; the ninth of its tenants, whose ids make such a split."""

    Here.database, Here.admin_url, Here.folder = database, scratch.admin_url, tmp_path
    made, History.made = History.made, 8
    try:
        state = Here()
        state.begin(seed=839, with_calls=False)  # type: ignore[call-arg]
        state.resolve(everything=False)
        state.refresh()
        state.load()
        state.refresh()
        state.take_back(at=780, tree=False)
        state.back(at=785)
        state.take_back(at=2, tree=False)
        state.teardown()
    finally:
        History.made = made
