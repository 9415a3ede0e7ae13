"""Backfill: a range of a source's history, brought in chunk by chunk beside whatever else goes on.

A plan is kept before the first chunk, and never changed; the same request finds it again and goes on where it was, after Ctrl-C as after
kill -9. Readers, one or several at once, claim its chunks in the ledger; each lands as any sync does, and is complete in the transaction
that closes its run. The source's lease is left free from time to time, so that a live sync waits for no more than a few chunks.
"""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial

import structlog

from pay_ready.db import backfills, leases
from pay_ready.db.backfills import Chunk
from pay_ready.db.leases import Lease
from pay_ready.errors import ConflictError, PartialError, PayReadyError, RetryLaterError
from pay_ready.failpoints import failpoint
from pay_ready.model.backfill import ChunkKey, Reprocess
from pay_ready.model.ids import PlanId, RunId, new_id
from pay_ready.model.progress import Progress, no_progress
from pay_ready.pipeline.backfill.pace import Pace
from pay_ready.pipeline.backfill.plan import BackfillPlan, BackfillSource, chunk_catalogs, draft_plan, find_plan, keep_plan, stored_plan
from pay_ready.pipeline.backfill.report import BackfillReport, BackfillStatus, check_chunks, report_of
from pay_ready.pipeline.backfill.turns import SourceTurns
from pay_ready.pipeline.bring_in import stage_step
from pay_ready.pipeline.land.lease import held_lease
from pay_ready.pipeline.land.report import SyncReport
from pay_ready.pipeline.land.sync import ChunkRead, sync_source
from pay_ready.pipeline.work import TenantWork
from pay_ready.resilience import insist
from pay_ready.sources.ranges import RecordRange
from pay_ready.threads import in_threads

log = structlog.get_logger()


_LOOK_S = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Manner:
    """How chunks are run."""

    reprocess: Reprocess = "failed"
    backwards: bool = False  # the latest first
    keep_going: bool = False  # after a chunk that fails go on with the others
    slots: threading.Semaphore | None = None  # of chunks that are read at once, of all sources together; None: one after the other

    @property
    def again(self) -> bool:
        """Whether what is complete is planned anew."""
        return self.reprocess == "completed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How the chunks went: the error that stopped them, or the first of those that did not."""

    error: PayReadyError | None = None
    stopped: bool = False


OnPlan = Callable[[BackfillPlan], None]


def show_plan(source: BackfillSource, *, again: bool = False) -> BackfillReport:
    """What a backfill would do, or has done: nothing is changed."""
    plan = (None if again else find_plan(source)) or draft_plan(source)
    return report_of(plan, "complete" if plan.state == "complete" else "planned")


def make_plan(source: BackfillSource, *, again: bool = False) -> BackfillReport:
    """Keep a plan, to be applied later; an open or complete one of the same range is shown instead.

    Raises:
        RetryLaterError: Another backfill of the source is at work.
    """
    with alone(source):
        plan = planned(source, again=again)
    return report_of(plan, "complete" if plan.state == "complete" else "planned")


def stored_report(work: TenantWork, plan: PlanId) -> BackfillReport:
    """A plan as it stands.

    Raises:
        NotFoundError: There is no such plan.
    """
    found = stored_plan(work, plan)
    statuses = {chunk.status for chunk in found.chunks}
    status: BackfillStatus = "complete" if statuses <= {"complete"} else "planned" if statuses == {"planned"} else "partial"
    return report_of(found, status)


def run_backfills(
    sources: Sequence[BackfillSource],
    *,
    reprocess: Reprocess = "failed",
    max_active: int = 1,
    backwards: bool = False,
    keep_going: bool = False,
    progress: Progress = no_progress,
    on_plan: OnPlan = lambda _: None,
) -> list[BackfillReport]:
    """Bring in what is not there yet of several sources of one tenant.

    Args:
        max_active: Chunks that are read at once, of all sources together; of one source no more than it bears (`most_readers`).
        reprocess, backwards, keep_going, on_plan: As `run_backfill`.

    Raises:
        PayReadyError: Of the first source that could not be begun (RetryLaterError: another backfill of it is at work), or whose counts
            are off; the others are through.
    """
    manner = Manner(
        reprocess=reprocess, backwards=backwards, keep_going=keep_going, slots=threading.Semaphore(max_active) if max_active > 1 else None
    )  # fmt: skip
    calls = [partial(_run_backfill, source, manner, progress, on_plan) for source in sources]
    tried = [partial(_outcome, call) for call in calls]
    outcomes = [call() for call in tried] if max_active == 1 else in_threads(tried, name="backfill")
    for outcome in outcomes:
        if isinstance(outcome, PayReadyError):
            raise outcome
    return [outcome for outcome in outcomes if isinstance(outcome, BackfillReport)]


def _outcome(call: Callable[[], BackfillReport]) -> BackfillReport | PayReadyError:
    try:
        return call()
    except PayReadyError as error:
        return error


def run_backfill(
    source: BackfillSource,
    *,
    reprocess: Reprocess = "failed",
    backwards: bool = False,
    keep_going: bool = False,
    progress: Progress = no_progress,
    on_plan: OnPlan = lambda _: None,
) -> BackfillReport:
    """Bring in what is not there yet: a new plan, or the rest of the open one. A complete one is only shown.

    Args:
        reprocess: "none" leaves chunks alone that failed before; "completed" plans anew, whatever there is.
        backwards: The latest chunk first.
        keep_going: After a chunk that fails go on with the others.
        on_plan: Told once, before the first chunk.

    Raises:
        RetryLaterError: Another backfill of the source is at work; names its holder.
    """
    return _run_backfill(source, Manner(reprocess=reprocess, backwards=backwards, keep_going=keep_going), progress, on_plan)


def _run_backfill(source: BackfillSource, manner: Manner, progress: Progress, on_plan: OnPlan) -> BackfillReport:
    begun_at = time.monotonic()
    if not manner.again and (found := find_plan(source)) and found.state == "complete":
        return report_of(found, "complete")
    with alone(source) as lease:
        plan = planned(source, again=manner.again)
        failpoint("backfill.plan_kept")
        on_plan(plan)
        ended = _run_chunks(source, plan, lease, manner, progress)
        if ended.error:
            not_staged = _staged_all_the_same(source, progress)
        else:
            not_staged = ""
            stage(source, progress=progress)
        return finish(source, plan, ended, seconds=time.monotonic() - begun_at, not_staged=not_staged)


@contextmanager
def alone(source: BackfillSource) -> Iterator[Lease]:
    """The only backfill of a source: two would take turns in taking it from each other. Its chunks are claimed under the lease.

    Raises:
        RetryLaterError: Another one is at work; names its holder.
    """
    work, name = source.work, f"backfill:{source.opened.source.source_id}"
    with held_lease(work.database, work.tenant, name, leases.holder_name(new_id()), ttl_s=work.options.lease_ttl_s) as lease:
        yield lease


def planned(source: BackfillSource, *, again: bool = False) -> BackfillPlan:
    """The open plan of the request, or a new one, kept."""
    found = None if again else find_plan(source)
    return found or keep_plan(source, draft_plan(source))


def run_chunk(
    source: BackfillSource, plan: BackfillPlan, chunk: Chunk, *, turns: SourceTurns | None = None, progress: Progress = no_progress
) -> SyncReport:
    """Bring one chunk in, or what is left of it, with the retries of a sync. Waits while a live sync holds the source.

    Args:
        turns: The source's lease, shared with other readers.

    Raises:
        RetryLaterError: Another run held the source for too long; the chunk was not begun.
        ConflictError: The lease was lost; or the chunk is complete by now.
        PayReadyError: The chunk failed, and the ledger says why; the same call goes on with it.
    """
    work, opened = source.work, source.opened
    records = RecordRange(start=chunk.start, end=chunk.end, dated_by=plan.scope.dated_by)
    with (turns or _turns(source)).turn() as lease:
        report = sync_source(
            work.database, work.tenant, opened.source.name, source.ranged.within(records), chunk_catalogs(source, plan.scope.streams),
            keyring=opened.keyring, options=work.options, progress=progress,
            chunk=ChunkRead(key=ChunkKey(plan_id=plan.plan_id, start=chunk.start), records=records), suppress=work.suppress, lease=lease,
        )  # fmt: skip
    if report.status != "complete":
        hint = "the same command goes on with it"
        raise report.error or PartialError("a chunk is not complete", hint, source=opened.source.name, run=report.run_id)
    return report


def _turns(source: BackfillSource) -> SourceTurns:
    options = source.work.options
    return SourceTurns(source.work, source.opened.source.source_id, wait_s=max(options.lease_wait_s, options.timeout_s))


def finish(
    source: BackfillSource,
    plan: BackfillPlan,
    ended: Ended | None = None,
    *,
    seconds: float = 0.0,
    not_staged: str = "",
) -> BackfillReport:
    """Close the plan if all its chunks are complete, check both equations of each chunk, and report.

    Args:
        ended: How the chunks went; None: all well.
        not_staged: Why staging is not through.

    Raises:
        CheckFailedError: The counts of a chunk do not add up.
    """
    with source.work.database.tenant_transaction(source.work.tenant, work="batch") as tx:
        backfills.finish_plan(tx, plan.plan_id)
        plan = replace(plan, chunks=tuple(backfills.chunks_of(tx, plan.plan_id)))
    check_chunks(plan.chunks, all_staged=not not_staged)
    ended = ended or Ended()
    status: BackfillStatus = ("failed" if ended.stopped else "partial") if plan.waiting else "complete"
    log.info(
        "backfill.closed", tenant=source.work.tenant, plan=plan.plan_id, status=status, chunks=len(plan.chunks), waiting=len(plan.waiting)
    )
    return report_of(plan, status, seconds=seconds, notes=[not_staged] if not_staged else [], error=ended.error)


def stage(source: BackfillSource, *, progress: Progress = no_progress) -> None:
    """Stage what was landed.

    Raises:
        CheckFailedError: The numbers of a run do not add up; what they are about was rolled back.
    """
    stage_step(source.work, source.opened.source.name, RunId(new_id()), progress=progress)


def _run_chunks(source: BackfillSource, plan: BackfillPlan, lease: Lease, manner: Manner, progress: Progress) -> Ended:
    """Run the chunks that wait, as many at once as may be."""
    waiting = plan.waiting
    estimates = [chunk.estimated_rows for chunk in waiting]
    pace = Pace(
        source=plan.source, chunks=len(plan.chunks), done=len(plan.chunks) - len(waiting), progress=progress,
        expected=None if None in estimates else sum(rows or 0 for rows in estimates),
    )  # fmt: skip
    readers = _Readers(source=source, plan=plan, lease=lease, manner=manner, pace=pace, turns=_turns(source))
    count = min(source.most_readers, len(waiting)) if manner.slots else 1
    with closing(readers.turns):
        in_threads([readers.read] * max(count, 1), name="reader")
    return Ended(error=readers.error, stopped=readers.stopped)


@dataclass(slots=True, kw_only=True)
class _Readers:
    """What the readers of a plan share: each claims a chunk, reads it, and claims the next."""

    source: BackfillSource
    plan: BackfillPlan
    lease: Lease
    manner: Manner
    pace: Pace
    turns: SourceTurns
    error: PayReadyError | None = None  # the first
    stopped: bool = False

    def read(self) -> None:
        """Read chunks until none waits, or one failed."""
        chunks = {chunk.start: chunk for chunk in self.plan.chunks}
        while not self.stopped:
            with _slot(self.manner.slots):
                start = insist(_claimed)(self.source, self.plan, self.lease, self.manner)
                if start is None:
                    return
                error = _tried(self.source, self.plan, chunks[start], self.pace, self.turns)
            self.error = self.error or error
            if error and not (self.manner.keep_going and _is_about_the_chunk(error)):
                self.error, self.stopped = error if not self.stopped else self.error, True


@contextmanager
def _slot(slots: threading.Semaphore | None) -> Iterator[None]:
    """A place among those who read at once, waited for in short looks: what Python raises in this thread is raised between two."""
    while slots and not slots.acquire(timeout=_LOOK_S):
        pass
    try:
        yield
    finally:
        if slots:
            slots.release()


def _claimed(source: BackfillSource, plan: BackfillPlan, lease: Lease, manner: Manner) -> datetime | None:
    with source.work.database.tenant_transaction(source.work.tenant) as tx:
        with_failed = manner.reprocess != "none"
        return backfills.claim_chunk(tx, plan.plan_id, lease, with_failed=with_failed, backwards=manner.backwards)


def _tried(source: BackfillSource, plan: BackfillPlan, chunk: Chunk, pace: Pace, turns: SourceTurns) -> PayReadyError | None:
    read = pace.begin(chunk)
    try:
        run_chunk(source, plan, chunk, turns=turns, progress=read)
    except PayReadyError as error:
        pace.end(chunk, complete=False)
        log.warning("chunk.failed", tenant=source.work.tenant, plan=plan.plan_id, chunk=chunk.start, error_class=type(error).__name__)
        return error
    failpoint("backfill.chunk_ended")
    pace.end(chunk, complete=True)
    return None


def _is_about_the_chunk(error: PayReadyError) -> bool:
    """Whether the next chunk may fare better: not when somebody else holds the source, or took it."""
    return not isinstance(error, ConflictError | RetryLaterError)


def _staged_all_the_same(source: BackfillSource, progress: Progress) -> str:
    """Stage what the chunks before a failed one landed; why not, where that fails, too: the first failure is the one to tell."""
    try:
        stage(source, progress=progress)
    except PayReadyError as error:
        return f"not staged: {error}"
    return ""
