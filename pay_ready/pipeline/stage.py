"""Landed rows become typed ones, or quarantined ones with a reason; how far it went moves in the same transaction.

A page is a transaction: whole batches in commit order, the rows they left standing, the counts of the runs that brought
them, and the position. It starts by locking the source's staging and the stream's state, which landing locks too, and
reads the position under the lock: two that stage at once take turns, and one that died half-way left nothing. A page that
is lost with the server's last moments is lost with its position, so its commit need not wait for the disk.
"""

import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from hashlib import sha256

from pay_ready.db import quarantine, staging
from pay_ready.db.quarantine import QuarantineFilter, quarantine_id
from pay_ready.db.staging import END_OF_TIME, Batch, ChunkScope, LandedKey, LandedRow, Position, Said, StreamEquations, Written
from pay_ready.db.tenancy import Database, TenantTransaction
from pay_ready.errors import CountError, PayReadyError, PoisonError
from pay_ready.failpoints import failpoint
from pay_ready.model.ids import BatchId, RunId, SourceId, TenantId
from pay_ready.model.progress import Progress, ProgressEvent, no_progress
from pay_ready.model.staged import StagedRows
from pay_ready.pipeline.contracts import Breach, StageOutcome, Unmapped, stage_record
from pay_ready.pipeline.land.poison import PoisonLimit
from pay_ready.pipeline.mapping.kinds import MappingContext
from pay_ready.pipeline.mapping.rules import SourceMapping
from pay_ready.pipeline.stage_rows import RecordIds, UnstorableError, add_rows
from pay_ready.resilience import insist

PAGE_ROWS = 2_000
CHUNK_BYTES = 16_777_216  # as stored, compressed: a chunk of long transcripts is short
# Classes of SQLSTATE that say that a value is not to the server's taste: data exception, program limit, check constraint.
_VALUE_REFUSED = ("22", "54", "23514")


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamStaged:
    """What became of the rows of one stream. `restaged` rows were staged before, under an older contract."""

    stream: str
    staged: int = 0
    unmapped: int = 0
    quarantined: int = 0
    removed: int = 0  # rows that the source no longer has
    restaged: int = 0
    written: Written = field(default_factory=Written)

    @property
    def rows(self) -> int:
        """Landed rows looked at."""
        return self.staged + self.unmapped + self.quarantined + self.removed


@dataclass(frozen=True, slots=True, kw_only=True)
class StageReport:
    """What one call of `stage_source` did."""

    run_id: RunId
    source_id: SourceId
    contract_version: str
    streams: tuple[StreamStaged, ...]
    pages: int
    elapsed_s: float

    @property
    def rows(self) -> int:
        """Landed rows looked at."""
        return sum(stream.rows for stream in self.streams)


@dataclass(frozen=True, slots=True, kw_only=True)
class StageJob:
    """One source to be staged, and how."""

    tenant: TenantId
    source_id: SourceId
    mapping: SourceMapping
    context: MappingContext
    page_rows: int
    version: str = field(init=False)  # of the mapping, and of the settings it is read with
    ids: RecordIds = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "version", f"{self.mapping.contract_version}+{_settings_version(self.context)}")
        object.__setattr__(self, "ids", RecordIds(self.tenant, self.source_id))

    def scope(self, stream: str, *, again: bool) -> ChunkScope:
        """The place of a chunk of one stream."""
        return ChunkScope(source_id=self.source_id, stream=stream, contract_version=self.mapping.contract_version, again=again)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Span:
    """The batches that a page may take, and whether they were staged before."""

    after: int
    up_to: int
    again: bool


def stage_source(
    database: Database,
    tenant: TenantId,
    source: SourceId,
    mapping: SourceMapping,
    context: MappingContext,
    *,
    run_id: RunId,
    batch_size: int = PAGE_ROWS,
    progress: Progress = no_progress,
) -> StageReport:
    """Stage everything that a source has landed and that is not staged, and restage what an older contract staged.

    Callable at any time and by several at once; the staged rows are a function of the landed rows that stand, whatever
    order they came in.

    Args:
        run_id: The step's run, for the report.
        batch_size: Landed rows of a page, about: batches stay whole.

    Raises:
        CountError: The counts of a run do not add up; that page was rolled back, those before it stand.
    """
    started = time.monotonic()
    job = StageJob(tenant=tenant, source_id=source, mapping=mapping, context=context, page_rows=batch_size)
    streams = insist(_streams)(database, tenant, source)
    done: list[StreamStaged] = []
    pages = 0
    for stream in sorted(streams, key=lambda name: (_lists_nobody(mapping, name), name)):
        total = StreamStaged(stream=stream)
        for page in _pages(database, job, stream):
            pages += 1
            total = _sum(total, page)
            progress(ProgressEvent(step="stage", subject=f"{mapping.kind}/{stream}", done=total.rows))
        done.append(total)
    return StageReport(
        run_id=run_id, source_id=source, contract_version=mapping.contract_version, streams=tuple(done), pages=pages,
        elapsed_s=time.monotonic() - started,
    )  # fmt: skip


def restage_records(
    database: Database,
    tenant: TenantId,
    source: SourceId,
    mapping: SourceMapping,
    context: MappingContext,
    stream: str,
    record_keys: Sequence[str],
) -> StreamStaged:
    """Stage these records again, if they were staged before; those that wait will be staged in their turn."""
    job = StageJob(tenant=tenant, source_id=source, mapping=mapping, context=context, page_rows=PAGE_ROWS)
    total = StreamStaged(stream=stream)
    for start in range(0, len(record_keys), PAGE_ROWS):
        with database.tenant_transaction(tenant, work="batch") as tx:
            position = staging.lock_position(tx, source, stream)
            scope = job.scope(stream, again=True)
            keys = staging.landed_of_keys(tx, scope, record_keys[start : start + PAGE_ROWS], position.staged_commit_seq)
            total = _sum(total, _stage_chunks(tx, job, scope, iter([keys])))
            _require_equations(tx, {key.run_id for key in keys}, stream)
    return total


def restage_within(
    tx: TenantTransaction,
    source: SourceId,
    mapping: SourceMapping,
    context: MappingContext,
    stream: str,
    record_keys: Sequence[str],
    *,
    has_tables: bool = False,
) -> None:
    """Stage these records again inside a transaction that changed what they say, or took them away.

    Args:
        has_tables: Whether an earlier call of the transaction has made the temporary tables.
    """
    job = StageJob(tenant=tx.tenant, source_id=source, mapping=mapping, context=context, page_rows=PAGE_ROWS)
    position = staging.lock_position(tx, source, stream)
    scope = job.scope(stream, again=True)
    if not has_tables:
        staging.make_tables(tx)
    runs: set[RunId] = set()
    for start in range(0, len(record_keys), PAGE_ROWS):
        staging.empty_tables(tx)
        keys = staging.landed_of_keys(tx, scope, record_keys[start : start + PAGE_ROWS], position.staged_commit_seq)
        _stage_chunk(tx, job, scope, keys)
        runs |= {key.run_id for key in keys}
    _require_equations(tx, runs, stream)


def check_equations(tx: TenantTransaction, run: RunId, *, is_staged: bool = False) -> tuple[StreamEquations, ...]:
    """Both equations of a landing run, a row per stream: what reports print.

    Args:
        is_staged: Whether staging is through, so that no row of the run may wait.

    Raises:
        CountError: One does not hold; names the run, the stream and the counts.
    """
    found = staging.equations(tx, run)
    _require(run, found)
    for stream in found:
        if is_staged and stream.waiting:
            hint = "run it again; if it stays so: pay-ready verify"
            raise CountError("landed rows were not staged", hint, run=run, stream=stream.stream, waiting=stream.waiting)
    return found


def refuse_poison(tx: TenantTransaction, run: RunId, equations: Sequence[StreamEquations], limit: PoisonLimit, *, source: str) -> None:
    """Stop before publishing when too much of what a run landed broke its contract; what is staged and set aside stays.

    Raises:
        PoisonError: Names the stream, the counts and the first ten reasons.
    """
    if not any(each.stage_quarantined >= limit.from_records for each in equations):
        return
    found = quarantine.groups(tx, QuarantineFilter(run_id=run, step="stage", status=None))
    broken = {(each.stream, f"{each.reason} in {each.field}" if each.field else each.reason): each.row_count for each in found}
    if reasons := limit.reasons({each.stream: each.landed for each in equations}, broken):
        hint = "nothing was published; look: pay-ready quarantine list; mend the mapping, then pay-ready quarantine replay"
        raise PoisonError(f"too many records broke their contract: {reasons}", hint, source=source)


def _streams(database: Database, tenant: TenantId, source: SourceId) -> Sequence[str]:
    with database.tenant_transaction(tenant) as tx:
        return staging.streams(tx, source)


def _pages(database: Database, job: StageJob, stream: str) -> Iterator[StreamStaged]:
    # A page may be tried again: it reads the position first, and finds itself done when only the answer was lost.
    while (page := insist(_page)(database, job, stream)) is not None:
        yield page


def _page(database: Database, job: StageJob, stream: str) -> StreamStaged | None:
    failpoint("stage.before_page")
    with database.tenant_transaction(job.tenant, work="batch") as tx:
        page = _stage_page(tx, job, stream)
        failpoint("stage.before_commit")
    failpoint("stage.after_commit")
    return page


def _stage_page(tx: TenantTransaction, job: StageJob, stream: str) -> StreamStaged | None:
    """The next page; None when nothing waits."""
    position = _wanting(staging.lock_position(tx, job.source_id, stream), job.version)
    span = _next_span(position)
    scope = job.scope(stream, again=span.again)
    batches = staging.next_batches(tx, scope, span.after, span.up_to, job.page_rows)
    if not batches and not span.again:
        # The version is written even so: a stream that has nothing to stage is staged under it.
        staging.move_position(tx, job.source_id, stream, position)
        return None
    seen: Counter[BatchId] = Counter()
    page = _stage_chunks(tx, job, scope, _counted(staging.landed_keys(tx, scope, batches, job.page_rows), seen))
    if not span.again:
        _require_all_landed(batches, seen, stream)
    failpoint("stage.rows_written")
    staging.move_position(tx, job.source_id, stream, _moved(position, batches, again=span.again))
    _require_equations(tx, {batch.run_id for batch in batches}, stream)
    return page


def _wanting(position: Position, version: str) -> Position:
    """The position as this version sees it: a new one begins to restage what older ones staged."""
    if position.staged_commit_seq == 0:
        return replace(position, contract_version=version, restaging_version=None, restaged_commit_seq=0)
    if (position.restaging_version or position.contract_version) == version:
        return position
    return replace(position, restaging_version=version, restaged_commit_seq=0)


def _next_span(position: Position) -> _Span:
    if position.restaging_version is not None:
        return _Span(after=position.restaged_commit_seq, up_to=position.staged_commit_seq, again=True)
    return _Span(after=position.staged_commit_seq, up_to=END_OF_TIME, again=False)


def _moved(position: Position, batches: Sequence[Batch], *, again: bool) -> Position:
    """The position after these batches; after the last of a restaging its version is the stream's."""
    if not again:
        return replace(position, staged_commit_seq=batches[-1].commit_seq)
    reached = batches[-1].commit_seq if batches else position.staged_commit_seq
    if reached < position.staged_commit_seq:
        return replace(position, restaged_commit_seq=reached)
    return replace(position, contract_version=position.restaging_version, restaging_version=None, restaged_commit_seq=0)


def _counted(pages: Iterator[list[LandedKey]], seen: Counter[BatchId]) -> Iterator[list[LandedKey]]:
    for page in pages:
        seen.update(key.batch_id for key in page if not key.is_gone)
        yield page


def _stage_chunks(tx: TenantTransaction, job: StageJob, scope: ChunkScope, pages: Iterator[list[LandedKey]]) -> StreamStaged:
    total = StreamStaged(stream=scope.stream)
    staging.make_tables(tx)
    for number, chunk in enumerate(part for page in pages for part in _parts(page, again=scope.again)):
        if number:
            staging.empty_tables(tx)
        total = _sum(total, _stage_chunk(tx, job, scope, chunk))
    return total


def _stage_chunk(tx: TenantTransaction, job: StageJob, scope: ChunkScope, keys: Sequence[LandedKey]) -> StreamStaged:
    """Stage a chunk; a row with a value that the server refuses after all is found by halving, and quarantined.

    The contract knows the limits of our columns, not those of every server: one such row must not stop its stream for ever.
    """
    try:
        with tx.savepoint():
            return _write_chunk(tx, job, scope, keys)
    except PayReadyError as error:
        if not str(error.where.get("sqlstate", "")).startswith(_VALUE_REFUSED):
            raise
    if len(keys) == 1:
        return _write_chunk(tx, job, scope, keys, refused=True)
    middle = len(keys) // 2
    first = _stage_chunk(tx, job, scope, keys[:middle])
    staging.empty_tables(tx)
    return _sum(first, _stage_chunk(tx, job, scope, keys[middle:]))


def _parts(page: Sequence[LandedKey], *, again: bool) -> Iterator[list[LandedKey]]:
    """The page in chunks of bounded size. What is gone was removed when it was staged first."""
    part: list[LandedKey] = []
    size_bytes = 0
    for key in page:
        if again and key.is_gone:
            continue
        if part and size_bytes + key.size_bytes > CHUNK_BYTES:
            yield part
            part, size_bytes = [], 0
        part.append(key)
        size_bytes += key.size_bytes
    if part:
        yield part


def _write_chunk(
    tx: TenantTransaction, job: StageJob, scope: ChunkScope, keys: Sequence[LandedKey], *, refused: bool = False
) -> StreamStaged:
    landed = staging.landed_data(tx, scope, [key.record_key for key in keys if not key.is_gone])
    said = Said()
    outcomes: Counter[staging.Outcome] = Counter()
    for key in keys:
        outcome = _say(said, job, scope, key, None if key.is_gone else landed[key.record_key], refused=refused)
        outcomes[outcome] += 1
        said.rows.append((key.record_key, key.run_id, outcome))
    written = staging.write_chunk(tx, scope, said)
    return StreamStaged(
        stream=scope.stream, staged=outcomes["staged"], unmapped=outcomes["unmapped"], quarantined=outcomes["quarantined"],
        removed=outcomes["gone"], restaged=len(keys) if scope.again else 0, written=written,
    )  # fmt: skip


def _say(said: Said, job: StageJob, scope: ChunkScope, key: LandedKey, row: LandedRow | None, *, refused: bool) -> staging.Outcome:
    """Add what one landed row says to the chunk's rows; what became of it."""
    if row is None:
        return "gone"
    outcome = stage_record(job.mapping, scope.stream, key.record_key, row.data, job.context)
    if isinstance(outcome, StagedRows) and refused:
        outcome = Breach("values.refused_by_database", "", scope.contract_version)
    elif isinstance(outcome, StagedRows):
        outcome = _added(said, job, scope, key, outcome)
    if isinstance(outcome, Breach):
        _add_breach(said, job, scope, key, row, outcome)
        return "quarantined"
    return "unmapped" if isinstance(outcome, Unmapped) else "staged"


def _added(said: Said, job: StageJob, scope: ChunkScope, key: LandedKey, staged: StagedRows) -> StageOutcome:
    try:
        add_rows(said, job.ids, scope.stream, key.record_key, staged)
    except UnstorableError as refused:
        return Breach(refused.reason, refused.field, scope.contract_version)
    return staged


def _add_breach(said: Said, job: StageJob, scope: ChunkScope, key: LandedKey, row: LandedRow, breach: Breach) -> None:
    kept = quarantine_id(
        job.tenant, job.source_id, stream=scope.stream, record_key=key.record_key, step="stage", reason=breach.reason, content=row.data
    )
    said.breaches[kept] = (
        kept, key.record_key, breach.reason, breach.field or None, breach.contract_version, key.run_id,
        row.data if row.payload_id is None else None, row.payload_id, row.emitted_at,
    )  # fmt: skip


def _require_all_landed(batches: Sequence[Batch], seen: Mapping[BatchId, int], stream: str) -> None:
    for batch in batches:
        if (found := seen.get(batch.batch_id, 0)) != batch.landed:
            raise CountError(
                "a batch and its rows disagree, nothing of the page was staged", "check it with: pay-ready verify", stream=stream,
                batch=batch.batch_id, landed=batch.landed, found=found,
            )  # fmt: skip


def _require_equations(tx: TenantTransaction, runs: set[RunId], stream: str) -> None:
    for run in runs:
        _require(run, staging.equations(tx, run, stream))


def _require(run: RunId, found: Sequence[StreamEquations]) -> None:
    for stream in found:
        if not (stream.landing_holds and stream.staging_holds):
            counts = {each.name: getattr(stream, each.name) for each in fields(stream)}
            raise CountError("the counts of a run do not add up", "check it with: pay-ready verify", run=run, **counts)


def _settings_version(context: MappingContext) -> str:
    """Changes with every setting that changes what a record says; the time of staging is none of them."""
    said = (
        context.phone_region, context.time_zone, context.email_validation, sorted(context.free_mail), sorted(context.internal_domains),
    )  # fmt: skip
    return sha256(repr(said).encode()).hexdigest()[:12]


def _lists_nobody(mapping: SourceMapping, stream: str) -> bool:
    """Streams that list people and companies go first: whoever is listed need not be computed as a mention before."""
    rules = mapping.stream(stream)
    return rules is None or not (rules.people or rules.companies)


def _sum(left: StreamStaged, right: StreamStaged) -> StreamStaged:
    return StreamStaged(
        stream=left.stream, staged=left.staged + right.staged, unmapped=left.unmapped + right.unmapped,
        quarantined=left.quarantined + right.quarantined, removed=left.removed + right.removed,
        restaged=left.restaged + right.restaged, written=left.written + right.written,
    )  # fmt: skip
