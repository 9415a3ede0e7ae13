"""Runs, rollbacks, undos and decisions at once: what comes of them is what some order of them, one by one, would have made."""

import itertools
import os
import random
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace

import pytest

from pay_ready.db import checkpoints as db_checkpoints
from pay_ready.db import resolution as db_resolution
from pay_ready.db import restore as db_restore
from pay_ready.db.state import digest_at
from pay_ready.db.tenancy import Database
from pay_ready.errors import ConflictError, NotFoundError, TransientError, UsageError
from pay_ready.model.ids import RunId, TenantId, new_id
from pay_ready.pipeline.rollback import redo, resume, rollback
from pay_ready.pipeline.undo import Asked, undo_change
from tests.conftest import Scratch, make_tenant
from tests.integration.test_increments import check_against_everything, run, world
from tests.integration.test_models import people_of
from tests.publish_support import PersonRow, Staged, add_people, person_id, rows, stage
from tests.reversing_support import decide, given_by, latest_run
from tests.verify_support import assert_verified

DEEP = bool(os.environ.get("PAY_READY_TEST_DEEP"))
SEEDS = 500 if DEEP else 2
THREADS, ACTS = 3, 4
_TRAIL = (
    "select subject_id::bigint, before_hash, after_hash from pay_ready.audit_events where tenant_id = %(tenant)s and action in"
    " ('resolution.published', 'resolution.rolled_back', 'resolution.redone', 'resolution.undone') order by seq"
)


def acts(database: Database, admin_url: str, tenant: TenantId, people: Sequence[PersonRow], seed: int) -> list[Callable[[], object]]:
    """What one thread does, one after the other."""
    chosen = random.Random(seed)

    def go_back() -> None:
        with database.tenant_transaction(tenant) as tx:
            points = db_checkpoints.checkpoints(tx)
        if points:
            rollback(database, tenant, chosen.choice(points).name, actor="tests", run_id=RunId(new_id()))

    def take_back() -> None:
        with database.tenant_transaction(tenant) as tx:
            lines = db_restore.feed_lines(tx, kinds=("merged", "split"))
        if lines:
            undo_change(database, tenant, chosen.choice(lines).change_seq, Asked(actor="tests", run_id=RunId(new_id()), tree=True))

    def say() -> None:
        pair = (person_id(tenant, each.source, each.key) for each in chosen.sample(people, 2))
        decide(database, tenant, *pair, verdict=chosen.choice(("match", "no_match")))

    def come() -> None:
        add_people(admin_url, tenant, [replace(chosen.choice(people), key=f"more:{seed}:{chosen.random()}")])

    known: tuple[Callable[[], object], ...] = (
        come,
        say,
        go_back,
        take_back,
        lambda: run(database, tenant, chosen.choice(("changed", "all"))),
        lambda: run(database, tenant, "auto"),
        lambda: resume(database, tenant, actor="tests"),
        lambda: redo(database, tenant, actor="tests", run_id=RunId(new_id())),
    )
    return [chosen.choice(known) for _ in range(ACTS)]


@pytest.mark.timeout(3_600)
def test_some_serial_order(database: Database, scratch: Scratch) -> None:
    """Each run starts from what the one before it left, and says of itself what the rows say; then all goes on as ever."""
    for seed in range(SEEDS):
        tenant = make_tenant(database, f"at-once-{seed}")
        staged = Staged(people=people_of(14, seed))
        stage(scratch.admin_url, tenant, staged)
        run(database, tenant, "all")
        plans = [acts(database, scratch.admin_url, tenant, list(staged.people), seed * 10 + thread) for thread in range(THREADS)]
        with ThreadPoolExecutor(THREADS) as threads:
            list(threads.map(_do, plans))
        _check(database, scratch.admin_url, tenant)
        resume(database, tenant, actor="tests")
        run(database, tenant, "auto")
        check_against_everything(database, scratch.admin_url, tenant)


def test_a_world_with_calls(database: Database, scratch: Scratch, tenant: TenantId) -> None:
    """The same with companies and calls."""
    staged = world(5, 24)
    stage(scratch.admin_url, tenant, staged)
    run(database, tenant, "all")
    plans = [acts(database, scratch.admin_url, tenant, list(staged.people), thread) for thread in range(THREADS)]
    with ThreadPoolExecutor(THREADS) as threads:
        list(threads.map(_do, plans))
    _check(database, scratch.admin_url, tenant)
    resume(database, tenant, actor="tests")
    run(database, tenant, "auto")
    check_against_everything(database, scratch.admin_url, tenant)


def _do(plan: Sequence[Callable[[], object]]) -> None:
    for act in plan:
        # On hold, nothing to redo, in the way, another run was quicker: each is an answer, and leaves no trace.
        with suppress(ConflictError, TransientError, NotFoundError, UsageError):
            act()


def _check(database: Database, admin_url: str, tenant: TenantId) -> None:
    latest = latest_run(database, tenant)
    trail = rows(admin_url, tenant, _TRAIL)
    assert [number for number, _, _ in trail] == list(range(1, latest + 1))
    for (_, _, left), (_, found, _) in itertools.pairwise(trail):
        assert left == found
    with database.tenant_transaction(tenant) as tx:
        for number, _, after in trail:
            made = db_checkpoints.run(tx, int(str(number)))
            assert made.state_digest == after == digest_at(tx, made.run_no)
            if made.equals_run_no is not None:
                assert made.state_digest == digest_at(tx, made.equals_run_no)
                restored = db_checkpoints.run(tx, made.equals_run_no)
                assert made.models == restored.models
        hold = db_resolution.hold(tx)
        assert hold is None or db_checkpoints.run(tx, hold.run_no).kind == "rollback"
    assert given_by(admin_url, tenant) == 0
    assert_verified(database, tenant)
