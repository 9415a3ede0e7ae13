"""Landing: one sync of one source, from its lease to its report.

A run takes the source's lease, reads the connector from the committed states on, and commits records up to a state with
that state. Transient failures are taken up again from what is committed. No exit code is believed: a stream is complete
when the source said COMPLETE and all before that is stored.
"""

import time
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext, suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol

import structlog

from pay_ready.db import backfills, leases, runs, sources
from pay_ready.db import landing as rows_of
from pay_ready.db.landing import Landing, StreamState
from pay_ready.db.leases import Lease
from pay_ready.db.sources import DataSource
from pay_ready.db.tenancy import Database, TenantTransaction
from pay_ready.errors import CheckFailedError, PartialError, PayReadyError, PoisonError, SecretError, TransientError
from pay_ready.failpoints import failpoint
from pay_ready.model.backfill import ChunkKey, ChunkStatus
from pay_ready.model.ids import RunId, TenantId, new_id
from pay_ready.model.progress import Progress, ProgressEvent, no_progress
from pay_ready.pipeline.land import states as land_states
from pay_ready.pipeline.land.begin import BegunRead, begin_read
from pay_ready.pipeline.land.buffer import ALL_STREAMS, Flush, FlushLimits, Keep, Lander, NewConfig
from pay_ready.pipeline.land.check import accounted_by_stream, require_all_accounted
from pay_ready.pipeline.land.commit_queue import Turn, Write, committed_in_turn
from pay_ready.pipeline.land.findings import RunFindings
from pay_ready.pipeline.land.lease import held_lease
from pay_ready.pipeline.land.poison import PoisonLimit
from pay_ready.pipeline.land.report import RunStatus, StreamReport, SyncReport, Unbelieved, require_landing_equation, stream_reports
from pay_ready.pipeline.land.schema import JudgedSchemas, judge_schemas
from pay_ready.pipeline.land.write import ShrinkGuard, Written, write_flushes
from pay_ready.pipeline.run_column import stored
from pay_ready.resilience import insist, transient_retries
from pay_ready.secrets import Keyring
from pay_ready.sources.catalog import ConfiguredCatalog
from pay_ready.sources.outcome import RunOutcome
from pay_ready.sources.protocol import Log, Message
from pay_ready.sources.ranges import RecordRange

log = structlog.get_logger()

_MOST_REMARKS = 20
_ENOUGH_CONNECTIONS = 3
POISON_HINT = "the run was stopped, what is committed stays; look: pay-ready quarantine list; mend mapping or source and run again"


class StoppedError(PayReadyError):
    """What a run is closed with when something that is not ours to judge ends it, for example Ctrl-C."""


class Reading(Protocol):
    """A read under way, as `sources.connector.ConnectorRun` is one."""

    def batches(self) -> Iterator[list[Message]]:
        """The messages in the order of their emission."""

    @property
    def outcome(self) -> RunOutcome:
        """How it went, once the messages are at their end."""


class Connector(Protocol):
    """Begins to read a source: replay, installed connectors and tests are the same here."""

    def __call__(
        self, config: Mapping[str, object], catalog: ConfiguredCatalog, state: Sequence[bytes], /
    ) -> AbstractContextManager[Reading]:
        """A context in which the messages come."""


class Plan(Protocol):
    """Decides what to read from how far the streams are; asked anew before each attempt, under the lease."""

    def __call__(self, states: Mapping[str, StreamState], /) -> ConfiguredCatalog:
        """The streams to read. States are by stream; one that was never read has none."""


class Suppress(Protocol):
    """Looks up, before each attempt, what of a source must not land."""

    def __call__(self, tx: TenantTransaction, source: DataSource, /) -> Keep | None:
        """What keeps the records of erased people out; None when the tenant has erased nobody."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncOptions:
    """How a sync goes about it; the defaults are the shipped settings."""

    limits: FlushLimits = field(default_factory=FlushLimits)
    max_retries: int = 3
    timeout_s: float = 3600.0
    guard: ShrinkGuard = field(default_factory=ShrinkGuard)
    poison: PoisonLimit = field(default_factory=PoisonLimit)
    lease_ttl_s: float = leases.TTL_S
    lease_wait_s: float = 0.0  # how long to wait while another run is at work; then it is a RetryLaterError
    retry_wait_s: float = 1.0  # before the first retry; doubled each time, with jitter


@dataclass(frozen=True, slots=True, kw_only=True)
class ChunkRead:
    """The chunk of a backfill that a read is for, and the records that belong to it."""

    key: ChunkKey
    records: RecordRange


@dataclass(frozen=True, slots=True, kw_only=True)
class Sync:
    """What a sync works with: where to, from where, and how."""

    database: Database
    tenant: TenantId
    source: DataSource
    connector: Connector
    plan: Plan
    keyring: Keyring | None
    options: SyncOptions
    progress: Progress
    is_whole: bool
    findings: RunFindings = field(default_factory=RunFindings)
    chunk: ChunkRead | None = None
    suppress: Suppress | None = None


@dataclass(slots=True)
class _Course:
    """What a run has seen so far."""

    wanted: set[str] = field(default_factory=set)  # streams that the last plan names
    complete: set[str] = field(default_factory=set)
    emitted: dict[str, int] = field(default_factory=dict)
    accounted: Mapping[str, int] = field(default_factory=dict)  # records by stream, before the attempt under way
    notes: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    refused: Counter[tuple[str, str]] = field(default_factory=Counter)  # by stream and reason
    unbelieved: list[Unbelieved] = field(default_factory=list)
    before: dict[str, str] = field(default_factory=dict)
    attempts: int = 0

    def note(self, written: Written) -> None:
        self.complete.update(written.complete)
        self.unbelieved.extend(written.unbelieved)
        self.notes.extend(map(str, written.unbelieved))
        self.refused.update(written.refused)
        for stream, counts in written.counts.items():
            self.emitted[stream] = self.emitted.get(stream, 0) + counts.emitted

    def remark(self, messages: Sequence[Message]) -> None:
        warnings = [message.message for message in messages if isinstance(message, Log) and message.level == "WARN"]
        self.remarks.extend(warnings[: _MOST_REMARKS - len(self.remarks)])


def sync_source(
    database: Database,
    tenant: TenantId,
    source_name: str,
    connector: Connector,
    catalog: ConfiguredCatalog | Plan,
    *,
    keyring: Keyring | None = None,
    options: SyncOptions | None = None,
    progress: Progress = no_progress,
    is_whole: bool = False,
    findings: RunFindings | None = None,
    chunk: ChunkRead | None = None,
    suppress: Suppress | None = None,
    lease: Lease | None = None,
) -> SyncReport:
    """Bring the records of a source in; the report says how it went, also when it failed.

    Args:
        catalog: The streams to read, or what decides on them; generations in it are set here.
        keyring: For credentials; replay sources need none.
        is_whole: Whether the catalog is all that the source offers: a stream that was landed before and is not in it is then
            gone, and the run is partial, unless shrinking was accepted.
        findings: What the caller, the plan or the connector find out beside the records; the report says it.
        suppress: Keeps the records of people who were erased out.
        lease: The source's lease, where the caller holds it; else it is taken here.
        chunk: Land its records alone, from its scratch state on; nothing of the live streams moves but their rows.

    Raises:
        NotFoundError: No such source.
        DeniedError: The source is paused.
        RetryLaterError: Another run is at work on it, after `lease_wait_s` too; names its holder.
        ConflictError: Another run took the lease over; nothing was written after that. Or the chunk is complete already.
        TransientError: The database is away, so that not even the run could be closed.
    """
    options = options or SyncOptions()
    source = insist(_active_source)(database, tenant, source_name)
    sync = Sync(
        database=database, tenant=tenant, source=source, connector=connector, plan=_plan_of(catalog), keyring=keyring,
        options=options, progress=progress, is_whole=is_whole, findings=findings or RunFindings(), chunk=chunk, suppress=suppress,
    )  # fmt: skip
    run = RunId(new_id())
    with nullcontext(lease) if lease else _held(sync, run) as held:
        return _run(sync, Landing(source_id=source.source_id, run_id=run, lease=held, chunk=chunk.key if chunk else None))


def _held(sync: Sync, run: RunId) -> AbstractContextManager[Lease]:
    options, name = sync.options, f"source:{sync.source.source_id}"
    return held_lease(
        sync.database, sync.tenant, name, leases.holder_name(run), ttl_s=options.lease_ttl_s, wait_s=options.lease_wait_s
    )  # fmt: skip


def _plan_of(catalog: ConfiguredCatalog | Plan) -> Plan:
    if not isinstance(catalog, ConfiguredCatalog):
        return catalog
    return lambda _: catalog


def _active_source(database: Database, tenant: TenantId, name: str) -> DataSource:
    with database.tenant_transaction(tenant) as tx:
        return sources.require_active(tx, name)


def _run(sync: Sync, run: Landing) -> SyncReport:
    begun_at, course = time.monotonic(), _Course()
    aborted = insist(_open)(sync, run)
    error: PayReadyError | None = None
    try:
        _read_with_retries(sync, run, course, begun_at + sync.options.timeout_s)
    except PayReadyError as failure:
        error = failure
    except BaseException as failure:
        # Not ours to judge, but the run shall not look alive: closed, then raised on.
        with suppress(TransientError):
            insist(_close)(sync, run, course, begun_at, aborted, StoppedError(f"stopped by {type(failure).__name__}"))
        raise
    report = insist(_close)(sync, run, course, begun_at, aborted, error)
    log.info(
        "sync.closed", tenant=sync.tenant, run=run.run_id, source=sync.source.name, status=report.status, emitted=report.emitted,
        landed=report.landed, elapsed_s=report.seconds,
    )  # fmt: skip
    return report


def _open(sync: Sync, run: Landing) -> int:
    """Open the run: how many of dead processes were closed."""
    with sync.database.tenant_transaction(sync.tenant, work="batch") as tx:
        leases.guard(tx, run.lease)
        rows_of.be_durable(tx)  # all that follows refers to it
        aborted = rows_of.open_run(tx, run, "backfill" if run.chunk else sync.source.ingest_mode)
        if run.chunk:
            backfills.begin_chunk(tx, run, run.chunk)
        return aborted


def _vanished(sync: Sync, landed: Collection[str], offered: Collection[str]) -> list[str]:
    """A note on each stream that was landed before and that the source no longer offers: its rows stay, and grow old unseen."""
    if not sync.is_whole or sync.options.guard.accept:
        return []
    gone = set(landed) - set(offered) - {ALL_STREAMS}
    hint = "bring it back, or remove the source and add it again with the streams to read (--stream)"
    return [f"stream {stream} is no longer offered: {hint}" for stream in sorted(gone)]


def _read_with_retries(sync: Sync, run: Landing, course: _Course, deadline: float) -> None:
    options = sync.options
    read = transient_retries(
        _read,
        attempts=options.max_retries + 1,
        timeout_s=max(deadline - time.monotonic(), 0.001),
        wait_initial_s=options.retry_wait_s,
        wait_max_s=max(60.0, options.retry_wait_s),
        wait_jitter_s=options.retry_wait_s,
    )
    read(sync, run, course, deadline)


def _read(sync: Sync, run: Landing, course: _Course, deadline: float) -> None:
    """One reading of what is not complete yet.

    Raises:
        PayReadyError: The source failed, or the time is up; a TransientError when a retry may help.
    """
    course.attempts += 1
    clock = sync.findings.clock
    with clock.measured("plan"):
        judged = _judged(sync, run, course, _planned(sync, run, course))
        begun = begin_read(
            sync.database, sync.tenant, run, judged.catalog, sync.source, sync.keyring, skip=course.complete, refused=judged.refused,
            records=sync.chunk.records if sync.chunk else None,
        )  # fmt: skip
    for stream, watermark in begun.watermarks.items():
        course.before.setdefault(stream, watermark)
    if not begun.streams:
        return
    keep = _keep(sync)
    # A pool too small for two transactions and the lease's renewal writes one after the other.
    threads = 2 if sync.database.most_connections >= _ENOUGH_CONNECTIONS else 1
    commits = committed_in_turn(partial(_commit, sync, run), partial(_tell, sync, course), threads=threads)
    with commits as write, sync.connector(begun.config, begun.catalog, begun.states) as reading:
        lander = _lander(sync, run, begun, write, keep)
        for messages in clock.waited("read", reading.batches()):
            lander.take(messages)
            if sync.source.ingest_mode == "replay":  # what strange connectors warn of may be about people
                course.remark(messages)
            if time.monotonic() > deadline:
                hint = "what is committed stays: run again, or raise etl.sync_timeout_minutes"
                raise PartialError("the sync took too long and was stopped", hint, source=sync.source.name)
        lander.finish()
    with sync.database.tenant_transaction(sync.tenant) as tx:
        require_all_accounted(run.run_id, reading.outcome, course.accounted, accounted_by_stream(tx, run.run_id))
    if error := reading.outcome.error():
        raise error


def _planned(sync: Sync, run: Landing, course: _Course) -> ConfiguredCatalog:
    """What to read now. The states are read under the lease, so nobody else moves them until the read begins."""
    with sync.database.tenant_transaction(sync.tenant, work="batch") as tx:
        leases.guard(tx, run.lease)
        states = land_states.lock_states(tx, run)
        course.accounted = accounted_by_stream(tx, run.run_id)
        course.complete |= land_states.complete_streams(tx, run)
    catalog = sync.plan(states)
    course.wanted = {str(descriptor) for descriptor in catalog.descriptors}
    course.notes += [note for note in catalog.notes if note not in course.notes]
    if course.attempts == 1:
        course.notes += _vanished(sync, states, course.wanted)
    return catalog


def _judged(sync: Sync, run: Landing, course: _Course, catalog: ConfiguredCatalog) -> JudgedSchemas:
    """What of the catalog the source's contract lets through."""
    judged = judge_schemas(sync.database, sync.tenant, run, sync.source, catalog)
    for stream, changes in judged.changes.items():
        sync.findings.schema_changes.setdefault(stream, []).extend(changes)
    course.notes += [note for note in judged.notes if note not in course.notes]
    course.wanted -= set(judged.frozen)
    if judged.frozen and not judged.catalog.streams:
        hint = "nothing was read; accept the new shapes: pay-ready sources accept-schema"
        raise CheckFailedError(f"the contract is frozen and every stream broke it: {'; '.join(judged.notes[:3])}", hint)
    return judged


def _keep(sync: Sync) -> Keep | None:
    if sync.suppress is None:
        return None
    with sync.database.tenant_transaction(sync.tenant) as tx:
        return sync.suppress(tx, sync.source)


def _lander(sync: Sync, run: Landing, begun: BegunRead, write: Write, keep: Keep | None) -> Lander:
    has_all_state = begun.has_all_state
    return Lander(run.source_id, begun.streams, sync.options.limits, write, time.monotonic, has_all_state=has_all_state, keep=keep)


def _commit(sync: Sync, run: Landing, item: Sequence[Flush] | NewConfig, await_turn: Turn) -> Written:
    if isinstance(item, NewConfig):
        await_turn()
        return _keep_config(sync, run, item)
    with ExitStack() as measured:

        def begin() -> None:
            await_turn()
            measured.pop_all().close()
            measured.enter_context(sync.findings.clock.measured("write"))

        return write_flushes(sync.database, sync.tenant, run, item, sync.options.guard, begin)


def _keep_config(sync: Sync, run: Landing, item: NewConfig) -> Written:
    if sync.keyring is None:
        raise SecretError("the source changed its credentials and there is no key to keep them", "set PAY_READY_SECRET_KEY")
    with sync.database.tenant_transaction(sync.tenant, work="batch") as tx:
        leases.guard(tx, run.lease)
        rows_of.be_durable(tx)
        sources.put_credential(tx, run.source_id, "config", item.config, sync.keyring)
    return Written()


def _tell(sync: Sync, course: _Course, written: Written) -> None:
    course.note(written)
    if reasons := sync.options.poison.reasons(course.emitted, course.refused):
        raise PoisonError(f"too many records go to quarantine: {reasons}", POISON_HINT, source=sync.source.name)
    for stream in written.counts:
        sync.progress(ProgressEvent(step="sync", subject=f"{sync.source.name}/{stream}", done=course.emitted[stream]))


def _close(sync: Sync, run: Landing, course: _Course, begun_at: float, aborted: int, error: PayReadyError | None) -> SyncReport:
    """Close the run and report. A run whose counts do not add up has failed, whatever else is said of it.

    Raises:
        ConflictError: The lease was taken over; the new holder has closed the run already.
    """
    findings = sync.findings
    with sync.database.tenant_transaction(sync.tenant, work="batch") as tx:
        leases.guard(tx, run.lease)
        rows_of.be_durable(tx)
        for stream in sorted(course.wanted - course.complete):
            land_states.end_stream(tx, run, stream, status="incomplete")
        streams = _stream_reports(tx, sync, run, course)
        try:
            require_landing_equation(run.run_id, streams)
        except CheckFailedError as mismatch:
            error = mismatch
        report = SyncReport(
            run_id=run.run_id,
            source=sync.source.name,
            status=_status(course, error, findings),
            seconds=round(time.monotonic() - begun_at, 3),
            attempts=course.attempts,
            streams=streams,
            notes=(*course.notes, *findings.notes),
            remarks=(*course.remarks, *findings.remarks),
            aborted_runs=aborted,
            error=error,
            seconds_by_step={step: round(seconds, 3) for step, seconds in findings.clock.seconds.items()},
            schema_changes={stream: tuple(lines) for stream, lines in findings.schema_changes.items() if lines},
            unbelieved=tuple(course.unbelieved),
            job=findings.job,
        )
        rows_of.close_run(
            tx, run.run_id, status=report.status, report=stored(report), **_error_columns(error),
        )  # fmt: skip
        if run.chunk:
            backfills.end_chunk(tx, run.chunk, _chunk_status(report), error)
            failpoint("backfill.before_end")
        return report


def _stream_reports(tx: TenantTransaction, sync: Sync, run: Landing, course: _Course) -> tuple[StreamReport, ...]:
    """Figures by stream; the watermarks are kept beside the counts, not in the report's column."""
    after = {name: state.watermark for name, state in rows_of.lock_states(tx, run.source_id).items()}
    earlier = runs.recent_volumes(tx, run.source_id, "backfill" if run.chunk else sync.source.ingest_mode, run.run_id)
    reports = stream_reports(rows_of.stream_runs(tx, run.run_id), course.before, after, earlier)
    rows_of.keep_watermarks(tx, run.run_id, {each.stream: (each.watermark_before, each.watermark_after) for each in reports})
    return reports


def _status(course: _Course, error: PayReadyError | None, findings: RunFindings) -> RunStatus:
    if isinstance(error, CheckFailedError):
        return "failed"
    if error is None and course.wanted <= course.complete:
        return "partial" if course.notes or findings.notes else "complete"
    return "partial" if course.complete else "failed"


def _chunk_status(report: SyncReport) -> ChunkStatus:
    if report.status == "complete":
        return "complete"
    return "interrupted" if isinstance(report.error, StoppedError) else "failed"


def _error_columns(error: PayReadyError | None) -> dict[str, Any]:
    return {"error_class": type(error).__name__ if error else None, "error_text": str(error)[:4000] if error else None}
