"""Backfill: a range of a source's history, brought in chunk by chunk beside whatever else goes on.

A plan is kept before the first chunk; the same request finds it again and goes on at the chunk it was in, after Ctrl-C as
after kill -9. Each chunk lands as any sync does, under the source's lease, which is free between two chunks. A flow may
call the parts by itself: `open_backfill_source`, `alone`, `planned`, `run_chunk` for each chunk that waits, `stage`, `finish`.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import structlog

from pay_ready.db import backfills, leases
from pay_ready.db.backfills import Chunk
from pay_ready.errors import ConflictError, PartialError, PayReadyError, RetryLaterError
from pay_ready.failpoints import failpoint
from pay_ready.model.backfill import ChunkKey
from pay_ready.model.ids import RunId, new_id
from pay_ready.model.progress import Progress, no_progress
from pay_ready.pipeline.backfill.pace import Pace
from pay_ready.pipeline.backfill.plan import BackfillPlan, BackfillSource, chunk_catalogs, draft_plan, find_plan, keep_plan
from pay_ready.pipeline.backfill.report import BackfillReport, BackfillStatus, check_chunks, report_of
from pay_ready.pipeline.etl import stage_step
from pay_ready.pipeline.land.lease import POLL_S, held_lease
from pay_ready.pipeline.land.report import SyncReport
from pay_ready.pipeline.land.sync import ChunkRead, sync_source
from pay_ready.sources.ranges import RecordRange

log = structlog.get_logger()

# After so much work without a pause the source's lease is left free for longer than anybody who waits for it sleeps.
_TURN_AFTER_S = 5.0
_TURN_S = 3 * POLL_S


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


def run_backfill(
    source: BackfillSource,
    *,
    again: bool = False,
    keep_going: bool = False,
    progress: Progress = no_progress,
    on_plan: OnPlan = lambda _: None,
) -> BackfillReport:
    """Bring in what is not there yet: a new plan, or the rest of the open one. A complete one is only shown.

    Args:
        again: Plan anew, whatever there is.
        keep_going: After a chunk that fails go on with the others.
        on_plan: Told once, before the first chunk.

    Raises:
        RetryLaterError: Another backfill of the source is at work; names its holder.
    """
    begun_at = time.monotonic()
    if not again and (found := find_plan(source)) and found.state == "complete":
        return report_of(found, "complete")
    with alone(source):
        plan = planned(source, again=again)
        failpoint("backfill.plan_kept")
        on_plan(plan)
        ended = _run_chunks(source, plan, progress, keep_going=keep_going)
        if ended.error:
            not_staged = _staged_all_the_same(source, progress)
        else:
            not_staged = ""
            stage(source, progress=progress)
        return finish(source, plan, ended, seconds=time.monotonic() - begun_at, not_staged=not_staged)


@contextmanager
def alone(source: BackfillSource) -> Iterator[None]:
    """The only backfill of a source: two would take turns in taking it from each other.

    Raises:
        RetryLaterError: Another one is at work; names its holder.
    """
    work, name = source.work, f"backfill:{source.opened.source.source_id}"
    with held_lease(work.database, work.tenant, name, leases.holder_name(new_id()), ttl_s=work.options.lease_ttl_s):
        yield


def planned(source: BackfillSource, *, again: bool = False) -> BackfillPlan:
    """The open plan of the request, or a new one, kept."""
    found = None if again else find_plan(source)
    return found or keep_plan(source, draft_plan(source))


def run_chunk(source: BackfillSource, plan: BackfillPlan, chunk: Chunk, *, progress: Progress = no_progress) -> SyncReport:
    """Bring one chunk in, or what is left of it, with the retries of a sync. Waits while a live sync holds the source.

    Raises:
        RetryLaterError: Another run held the source for too long; the chunk was not begun.
        ConflictError: The lease was lost; or the chunk is complete by now.
        PayReadyError: The chunk failed, and the ledger says why; the same call goes on with it.
    """
    work, opened = source.work, source.opened
    records = RecordRange(start=chunk.start, end=chunk.end, dated_by=plan.scope.dated_by)
    report = sync_source(
        work.database,
        work.tenant,
        opened.source.name,
        source.ranged.within(records),
        chunk_catalogs(source, plan.scope.streams),
        keyring=opened.keyring,
        options=replace(work.options, lease_wait_s=max(work.options.lease_wait_s, work.options.timeout_s)),
        progress=progress,
        chunk=ChunkRead(key=ChunkKey(plan_id=plan.plan_id, start=chunk.start), records=records),
        suppress=work.suppress,
    )
    if report.status != "complete":
        hint = "the same command goes on with it"
        raise report.error or PartialError("a chunk is not complete", hint, source=opened.source.name, run=report.run_id)
    return report


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


def _run_chunks(source: BackfillSource, plan: BackfillPlan, progress: Progress, *, keep_going: bool) -> Ended:
    """Run the chunks that wait, in order."""
    waiting = plan.waiting
    estimates = [chunk.estimated_rows for chunk in waiting]
    pace = Pace(
        source=plan.source, chunks=len(plan.chunks), done=len(plan.chunks) - len(waiting), progress=progress,
        expected=None if None in estimates else sum(rows or 0 for rows in estimates),
    )  # fmt: skip
    first_error: PayReadyError | None = None
    paused_at = time.monotonic()
    for chunk in waiting:
        if time.monotonic() - paused_at > _TURN_AFTER_S:
            leave_free(_TURN_S)
            paused_at = time.monotonic()
        error = _tried(source, plan, chunk, pace)
        first_error = first_error or error
        if error and not (keep_going and _is_about_the_chunk(error)):
            return Ended(error=error, stopped=True)
    return Ended(error=first_error)


def leave_free(seconds: float) -> None:
    """Hold no lease of the source for so long: whoever waits for it has its turn."""
    time.sleep(seconds)


def _tried(source: BackfillSource, plan: BackfillPlan, chunk: Chunk, pace: Pace) -> PayReadyError | None:
    pace.begin(chunk)
    try:
        run_chunk(source, plan, chunk, progress=pace.read)
    except PayReadyError as error:
        pace.end(complete=False)
        log.warning("chunk.failed", tenant=source.work.tenant, plan=plan.plan_id, chunk=chunk.start, error_class=type(error).__name__)
        return error
    failpoint("backfill.chunk_ended")
    pace.end(complete=True)
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
