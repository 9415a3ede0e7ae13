"""What ran, and what may be done about it: found by the beginning of an id, shown whole, taken up again, aborted."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time
from difflib import get_close_matches
from typing import Literal
from uuid import UUID

import structlog

from pay_ready.db import landing, leases, quarantine, runs, staging, tenants
from pay_ready.db.leases import HolderProcess
from pay_ready.db.quarantine import QuarantineFilter, QuarantineGroup
from pay_ready.db.runs import FoundRun, Run, RunFilter
from pay_ready.db.tenancy import Database, TenantTransaction
from pay_ready.errors import ConflictError, NotFoundError, UsageError
from pay_ready.model.ids import RunId, TenantId
from pay_ready.pipeline.run_column import StreamVolumeV2, SyncReportV2, read_report
from pay_ready.pipeline.watermarks import readable_watermark

log = structlog.get_logger()

_HEX_DIGITS = 32
_SHOWN = 5  # runs in a choice of several
_SEARCHED = 1_000  # the newest runs, among which a misspelt id is looked for
_LIKENESS = 0.8


@dataclass(frozen=True, slots=True, kw_only=True)
class RunStream:
    """One stream of a run: both equations as they stand now. `waiting`: landed, and not staged yet."""

    stream: str
    status: str
    emitted: int
    landed: int
    unchanged: int
    superseded: int
    deleted: int
    quarantined: int
    suppressed: int
    tombstoned: int
    staged: int
    unmapped: int
    stage_quarantined: int
    waiting: int
    landing_holds: bool
    staging_holds: bool
    flagged: int
    volume: StreamVolumeV2 | None
    schema_changes: Sequence[str]
    watermark_before: str  # readable; a text is hidden unless it was asked for
    watermark_after: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RunDetail:
    """Everything that is kept about a run. `report` is None while it is running, and of a run that was aborted."""

    run: Run
    streams: Sequence[RunStream]
    report: SyncReportV2 | None
    schema_changes: Mapping[str, Sequence[str]]  # of streams that brought nothing
    quarantine: Sequence[QuarantineGroup]


@dataclass(frozen=True, slots=True, kw_only=True)
class Aborted:
    """A run that was ended by somebody's word. `process` held its lease until then; None when nobody did."""

    run_id: RunId
    source: str
    process: HolderProcess | None
    process_state: Literal["alive", "gone", "unknown", "none"]


def list_runs(database: Database, tenant: TenantId, wanted: RunFilter, *, most: int) -> list[Run]:
    """The newest runs."""
    with database.tenant_transaction(tenant) as tx:
        return runs.list_runs(tx, wanted, most)


def find_run(tx: TenantTransaction, given: str) -> Run:
    """The run whose id is, or begins with, what is given.

    Raises:
        UsageError: That is no id, or several runs begin so; names them.
        NotFoundError: No run begins so; names the likest.
    """
    digits = given.strip().lower().replace("-", "")
    if not digits or len(digits) > _HEX_DIGITS or set(digits) - set("0123456789abcdef"):
        raise UsageError("not the id of a run", "copy one from: pay-ready runs list", given=given)
    lowest, highest = UUID(digits.ljust(_HEX_DIGITS, "0")), UUID(digits.ljust(_HEX_DIGITS, "f"))
    found = runs.in_range(tx, lowest, highest, _SHOWN + 1)
    if len(found) > 1:
        raise UsageError("more than one run begins so", f"did you mean {_choices(found)}", given=given)
    if found:
        return _one(tx, found[0].run_id)
    if syncs := runs.of_pipeline_run(tx, lowest, highest, _SHOWN + 1):
        raise NotFoundError("that is a run of the whole pipeline", f"it synced {_choices(syncs)}", run=given)
    raise NotFoundError("no such run", _likest(tx, digits), run=given)


def show_run(database: Database, tenant: TenantId, given: str, *, show_text: bool = False) -> RunDetail:
    """Everything about a run.

    Args:
        show_text: Whether watermarks that are texts, maybe about people, are shown.

    Raises:
        UsageError, NotFoundError: As `find_run`.
    """
    with database.tenant_transaction(tenant) as tx:
        run = find_run(tx, given)
        column = runs.report(tx, run.run_id)
        report = read_report(column) if column is not None else None
        streams = _streams(tx, run, report, show_text=show_text)
        groups = quarantine.groups(tx, QuarantineFilter(run_id=run.run_id, status=None))
    shown = {each.stream for each in streams}
    others = {stream: lines for stream, lines in report.schema_changes.items() if stream not in shown} if report else {}
    return RunDetail(run=run, streams=streams, report=report, schema_changes=others, quarantine=groups)


def require_retryable(tx: TenantTransaction, given: str, slug: str, *, force: bool) -> Run:
    """The run, if its source may be synced again on its account.

    One that says running and whose process is gone may: the sync closes it.

    Raises:
        ConflictError: It is at work, or it is complete and nobody forces it.
        UsageError: It belongs to a backfill, which has a command of its own; names it.
    """
    run = find_run(tx, given)
    if run.ingest_mode == "backfill":
        what = "this run is a part of a backfill, which goes on by its own command"
        raise UsageError(what, _backfill_command(tx, run, slug), run=run.run_id)
    if run.status == "running" and _state(run) != "gone" and run.is_alive:
        hint = f"wait for its end, or: pay-ready runs abort {run.run_id} --tenant {slug}"
        raise ConflictError("the run is still at work", hint, run=run.run_id, holder=run.holder)
    if run.status == "complete" and not force:
        hint = "say --force to sync its source all the same"
        raise ConflictError("the run is complete, there is nothing to retry", hint, run=run.run_id)
    return run


def abort_run(database: Database, tenant: TenantId, given: str, *, actor: str, reason: str | None) -> Aborted:
    """End a running run: its lease goes to a higher token, so whatever its process still sends is refused.

    Waits for the end of a transaction that the process is in. What is committed stays; the next run goes on from there.

    Raises:
        ConflictError: It is not running.
        TransientError: Its process holds a transaction open for longer than the lock timeout.
    """
    with database.tenant_transaction(tenant, work="batch") as tx:
        run = find_run(tx, given)
        # First the lease, then the run: in the order of whoever writes under it.
        lease = leases.seize(tx, run.lease_token, leases.holder_name(run.run_id)) if run.status == "running" else None
        status = runs.lock_status(tx, run.run_id)
        if status != "running":
            hint = "see what became of it: pay-ready runs show " + str(run.run_id)
            raise ConflictError("the run is not running, there is nothing to abort", hint, run=run.run_id, status=status)
        token = lease.token if lease else tenants.next_number(tx, "lease_token")
        runs.abort(tx, run, f"aborted by {actor}" + (f": {reason}" if reason else ""), token)
        tenants.audit(
            tx, actor=actor, action="run.aborted", subject_kind="run", subject_id=str(run.run_id), reason=reason, run_id=run.run_id,
            before_hash=tenants.state_hash({"status": "running"}), after_hash=tenants.state_hash({"status": "aborted"}),
        )  # fmt: skip
        if lease:
            leases.release(tx, lease)
    process = leases.process_of(run.holder) if run.holder else None
    log.info("run.aborted", tenant=tenant, run=run.run_id, source=run.source)
    return Aborted(run_id=run.run_id, source=run.source, process=process, process_state=_state(run))


def _state(run: Run) -> Literal["alive", "gone", "unknown", "none"]:
    process = leases.process_of(run.holder) if run.holder else None
    if process is None:
        return "none"
    if process.exists is None:
        return "unknown"
    return "alive" if process.exists else "gone"


def _choices(found: Sequence[FoundRun]) -> str:
    shown = "; ".join(f"{each.run_id} ({each.source}, {each.status}, {each.started_at:%Y-%m-%d %H:%M})" for each in found[:_SHOWN])
    return shown + ("; and more" if len(found) > _SHOWN else "")


def _one(tx: TenantTransaction, run_id: RunId) -> Run:
    found = runs.list_runs(tx, RunFilter(run_id=run_id), 1)
    if not found:
        raise NotFoundError("no such run", "see them all: pay-ready runs list", run=run_id)
    return found[0]


def _likest(tx: TenantTransaction, digits: str) -> str:
    recent = [str(run.run_id) for run in runs.list_runs(tx, RunFilter(), _SEARCHED)]
    heads = {each.replace("-", "")[: len(digits)]: each for each in recent}
    likest = get_close_matches(digits, heads, n=1, cutoff=_LIKENESS)
    return f"did you mean {heads[likest[0]]}?" if likest else "see them all: pay-ready runs list"


def _streams(tx: TenantTransaction, run: Run, report: SyncReportV2 | None, *, show_text: bool) -> list[RunStream]:
    counts = {each.stream: each for each in landing.stream_runs(tx, run.run_id)}
    marks = runs.watermarks(tx, run.run_id)
    volumes = {each.stream: each.volume for each in report.streams} if report else {}
    return [
        RunStream(
            stream=each.stream, status=counts[each.stream].status, emitted=each.emitted, landed=each.landed, unchanged=each.unchanged,
            superseded=each.superseded, deleted=each.deleted, quarantined=each.quarantined,
            suppressed=each.suppressed, tombstoned=counts[each.stream].tombstoned,
            staged=each.staged, unmapped=each.unmapped, stage_quarantined=each.stage_quarantined, waiting=each.waiting,
            landing_holds=each.landing_holds, staging_holds=each.staging_holds, flagged=counts[each.stream].flagged,
            volume=volumes.get(each.stream), schema_changes=report.schema_changes.get(each.stream, ()) if report else (),
            watermark_before=readable_watermark(marks[each.stream][0], show_text=show_text),
            watermark_after=readable_watermark(marks[each.stream][1], show_text=show_text),
        )
        for each in staging.equations(tx, run.run_id)
    ]  # fmt: skip


def _backfill_command(tx: TenantTransaction, run: Run, slug: str) -> str:
    plan = runs.backfill_of(tx, run.run_id)
    if plan is None:
        return f"pay-ready backfill --tenant {slug} --source {run.source}, with the range of before"
    streams = "".join(f" --stream {stream}" for stream in plan.streams)
    days = f"--from {_day(plan.range_start)} --to {_day(plan.range_end)}"
    by = "" if plan.dated_by == "cursor" else f" --by {plan.dated_by}"
    return f"pay-ready backfill --tenant {slug} --source {run.source}{streams} {days} --chunk {plan.chunk}{by}"


def _day(moment: datetime) -> str:
    moment = moment.astimezone(UTC)
    return f"{moment:%Y-%m-%d}" if moment.time() == time() else f"{moment:%Y-%m-%dT%H:%M:%S}"
