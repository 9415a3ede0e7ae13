"""Backfills: plans, their chunks, and the scratch states of the chunk under way."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Literal

from pay_ready.db import landing as rows_of
from pay_ready.db.landing import Landing, StreamMove, StreamState
from pay_ready.db.leases import Lease, lost
from pay_ready.db.tenancy import TenantTransaction
from pay_ready.errors import ConflictError, NotFoundError
from pay_ready.model.backfill import ChunkKey, ChunkLength, ChunkStatus, PlanStatus
from pay_ready.model.ids import PlanId, RunId, SourceId

_LONGEST_ERROR = 4000


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """What a plan is about: the same scope finds it again. `streams` are the concrete ones, sorted."""

    source_id: SourceId
    streams: tuple[str, ...]
    all_streams: bool  # none was named
    dated_by: Literal["cursor", "extracted"]
    start: datetime
    end: datetime
    length: ChunkLength


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A plan as stored."""

    plan_id: PlanId
    scope: Scope
    status: PlanStatus
    created_at: datetime
    finished_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedPlan:
    """A plan in a list: how many chunks it has, and how many of them are complete or failed."""

    plan_id: PlanId
    source: str
    streams: tuple[str, ...]
    dated_by: str
    start: datetime
    end: datetime
    chunk: str
    status: PlanStatus
    created_at: datetime
    finished_at: datetime | None
    chunks: int
    complete: int
    failed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Partition:
    """One stream of one chunk."""

    start: datetime
    stream: str
    status: ChunkStatus
    emitted: int
    landed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class NewChunk:
    """A chunk as planned; `estimated_rows` is None when nobody knows."""

    start: datetime
    end: datetime
    landed_before: int
    estimated_rows: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """A chunk with what all its runs did. Of the records that the source gave, `skipped` lie outside of it."""

    start: datetime
    end: datetime
    status: ChunkStatus
    attempts: int = 0
    landed_before: int
    estimated_rows: int | None
    error_class: str | None = None
    error_text: str | None = None
    emitted: int = 0
    landed: int = 0
    unchanged: int = 0
    superseded: int = 0
    deleted: int = 0
    quarantined: int = 0
    suppressed: int = 0
    staged: int = 0
    unmapped: int = 0
    stage_quarantined: int = 0
    skipped: int = 0
    undated: int = 0
    seconds: float = 0.0

    @property
    def landing_holds(self) -> bool:
        """emitted = landed + unchanged + superseded + deleted + quarantined + suppressed."""
        accounted = self.landed + self.unchanged + self.superseded + self.deleted + self.quarantined + self.suppressed
        return self.emitted == accounted

    @property
    def waiting_rows(self) -> int:
        """Landed and not staged yet: what is missing in landed = staged + unmapped + quarantined."""
        return self.landed - self.staged - self.unmapped - self.stage_quarantined


def find_plan(tx: TenantTransaction, scope: Scope) -> Plan | None:
    """The open plan of a scope, else the newest complete one. Whoever wants all streams finds the plan of all, whichever those were."""
    row = tx.row("backfills.find_plan", _params(scope))
    return _plan(row, scope.source_id) if row else None


def require_plan(tx: TenantTransaction, plan: PlanId) -> Plan:
    """A plan by its id.

    Raises:
        NotFoundError: There is none.
    """
    row = tx.row("backfills.plan", {"plan_id": plan})
    if row is None:
        raise NotFoundError("no such plan of a backfill", "list them: pay-ready backfill list", plan=plan)
    return _plan(row, SourceId(row.source_id))


def list_plans(tx: TenantTransaction, source: SourceId | None, *, most: int) -> list[ListedPlan]:
    """The newest plans, of one source or of all."""
    return [
        ListedPlan(
            plan_id=PlanId(row.plan_id), source=row.source, streams=tuple(row.streams), dated_by=row.dated_by, start=_utc(row.range_start),
            end=_utc(row.range_end), chunk=str(ChunkLength.from_interval(row.chunk)), status=row.status, created_at=_utc(row.created_at),
            finished_at=_utc(row.finished_at) if row.finished_at else None, chunks=row.chunks, complete=row.complete, failed=row.failed,
        )
        for row in tx.rows("backfills.plans", {"source_id": source, "most": most})
    ]  # fmt: skip


def partitions_of(tx: TenantTransaction, plan: PlanId) -> list[Partition]:
    """Each stream of each chunk of a plan, in order."""
    return [
        Partition(start=_utc(row.chunk_start), stream=row.stream, status=row.status, emitted=row.emitted, landed=row.landed)
        for row in tx.rows("backfills.partitions", {"plan_id": plan})
    ]


def claim_chunk(tx: TenantTransaction, plan: PlanId, lease: Lease, *, with_failed: bool, backwards: bool) -> datetime | None:
    """The start of a chunk that waits and is the caller's from now on; None when there is none.

    Args:
        lease: Of the backfill: whoever holds it next may claim anew what was claimed under it.
        with_failed: Chunks that failed before, too.
        backwards: The latest first.
    """
    asked = {"plan_id": plan, "token": lease.token, "with_failed": with_failed, "backwards": backwards}
    row = tx.row("backfills.claim_chunk", asked)
    return _utc(row.chunk_start) if row else None


def add_plan(tx: TenantTransaction, plan: PlanId, scope: Scope, chunks: Sequence[NewChunk]) -> None:
    """Keep a new plan."""
    tx.execute("backfills.add_plan", _params(scope) | {"plan_id": plan})
    tx.execute("backfills.add_chunks", {
        "plan_id": plan,
        "source_id": scope.source_id,
        "starts": [chunk.start for chunk in chunks],
        "ends": [chunk.end for chunk in chunks],
        "landed_before": [chunk.landed_before for chunk in chunks],
        "estimated_rows": [chunk.estimated_rows for chunk in chunks],
    })  # fmt: skip


def chunks_of(tx: TenantTransaction, plan: PlanId) -> list[Chunk]:
    """The chunks of a plan in order."""
    found = [row._asdict() for row in tx.rows("backfills.chunks", {"plan_id": plan})]
    return [Chunk(start=_utc(row.pop("chunk_start")), end=_utc(row.pop("chunk_end")), **row) for row in found]


def finish_plan(tx: TenantTransaction, plan: PlanId) -> bool:
    """Mark a plan as complete; False while a chunk is not."""
    return tx.execute("backfills.finish_plan", {"plan_id": plan}) > 0


def abort_plan(tx: TenantTransaction, plan: Plan) -> bool:
    """Give an open plan up: what it landed stays, its scratch states go. False when it was over already."""
    aborted = tx.execute("backfills.abort_plan", {"plan_id": plan.plan_id}) > 0
    if aborted:
        tx.execute("backfills.forget_scratch", {"plan_id": plan.plan_id, "chunk_start": None})
        tx.execute("backfills.drop_plan_keys", {"plan_id": plan.plan_id, "source_id": plan.scope.source_id})
    return aborted


def landed_rows(
    tx: TenantTransaction, source: SourceId, streams: Sequence[str], marks: Sequence[str] | Sequence[datetime]
) -> list[tuple[str, int, int]]:
    """Rows that stand, as (stream, bucket, rows): bucket n is from the n-th mark on. Marks are cursors or times of emission."""
    by_cursor = all(isinstance(mark, str) for mark in marks)
    asked = {"source_id": source, "streams": list(streams), "marks": list(marks)}
    found = tx.rows("backfills.landed_by_cursor" if by_cursor else "backfills.landed_by_emission", asked)
    return [(row.stream, row.bucket, row.row_count) for row in found]


def begin_chunk(tx: TenantTransaction, landing: Landing, chunk: ChunkKey) -> None:
    """The landing's run, which is open, begins the chunk, or goes on with it.

    Raises:
        ConflictError: It is complete, or its plan is over.
    """
    begun = _chunk_params(chunk, run_id=landing.run_id, source_id=landing.source_id)
    if tx.execute("backfills.open_plan", begun) == 0 or tx.execute("backfills.begin_chunk", begun) == 0:
        raise ConflictError("the chunk is complete or its plan was given up", "run the command again", plan=chunk.plan_id)
    tx.execute("backfills.link_run", begun)


def end_chunk(tx: TenantTransaction, chunk: ChunkKey, status: ChunkStatus, error: Exception | None = None) -> None:
    """Say how a run of the chunk ended; its scratch states go once it is complete."""
    said = {"error_class": type(error).__name__ if error else None, "error_text": str(error)[:_LONGEST_ERROR] if error else None}
    tx.execute("backfills.end_chunk", _chunk_params(chunk, status=status, **said))
    if status == "complete":
        tx.execute("backfills.forget_scratch", _chunk_params(chunk))


def lock_states(tx: TenantTransaction, landing: Landing, chunk: ChunkKey) -> dict[str, StreamState]:
    """How far the chunk is, by stream, as if nothing else had ever been read: generation and watermark are the live ones."""
    fresh = {
        name: replace(state, state=None, pass_run_id=None) for name, state in rows_of.lock_states(tx, landing.source_id).items() if name
    }
    for row in tx.rows("backfills.scratch_states", _chunk_params(chunk)):
        live = fresh.get(row.stream)
        fresh[row.stream] = StreamState(
            stream=row.stream,
            state=row.scratch,
            watermark=live.watermark if live else "",
            generation=live.generation if live else 0,
            lease_token=landing.lease.token,
            pass_run_id=row.pass_run_id,
        )
    return fresh


def complete_streams(tx: TenantTransaction, chunk: ChunkKey) -> set[str]:
    """The streams of a chunk under way that an earlier run of it has completed."""
    return {row.stream for row in tx.rows("backfills.scratch_states", _chunk_params(chunk)) if row.is_complete}


def begin_stream(
    tx: TenantTransaction, landing: Landing, chunk: ChunkKey, stream: str, *, pass_run: RunId | None, keep_state: bool
) -> None:
    """A stream of the chunk is about to be read; its live state comes into being, empty, if it has none."""
    begun = _chunk_params(chunk, source_id=landing.source_id, stream=stream, pass_run_id=pass_run, keep_state=keep_state)
    tx.execute("staging.open_state", begun)
    tx.execute("backfills.drop_chunk_keys", begun | {"keep_covered": keep_state})
    tx.execute("backfills.begin_scratch", begun)
    tx.execute("landing.begin_stream_run", landing.params(stream=stream))


def move_states(tx: TenantTransaction, landing: Landing, chunk: ChunkKey, moves: Sequence[StreamMove]) -> None:
    """Lock the live streams, as landing does, and move the scratch states.

    Raises:
        ConflictError: A newer run has taken one of the streams.
    """
    moves = sorted(moves, key=lambda move: move.stream)
    named = [move.stream for move in moves if move.stream]
    if len(tx.rows("backfills.lock_streams", landing.params(streams=named))) != len(named):
        raise lost(landing.lease)
    moved = {"streams": [move.stream for move in moves], "states": [move.state for move in moves]}
    tx.execute("backfills.move_scratch", _chunk_params(chunk, source_id=landing.source_id, **moved))


def clear_state(tx: TenantTransaction, chunk: ChunkKey, stream: str) -> None:
    """Forget a scratch state."""
    tx.execute("backfills.clear_scratch", _chunk_params(chunk, stream=stream))


def end_stream(tx: TenantTransaction, landing: Landing, chunk: ChunkKey, stream: str, *, status: str) -> None:
    """Close a stream's part of the run."""
    tx.execute("landing.end_stream_run", landing.params(stream=stream, status=status, tombstoned=0))
    if status == "complete":
        ended = _chunk_params(chunk, source_id=landing.source_id, stream=stream, keep_covered=False)
        tx.execute("backfills.drop_chunk_keys", ended)
        tx.execute("backfills.end_scratch", ended)


def _params(scope: Scope) -> dict[str, object]:
    return {
        "source_id": scope.source_id, "streams": list(scope.streams), "all_streams": scope.all_streams, "dated_by": scope.dated_by,
        "range_start": scope.start, "range_end": scope.end, "chunk": scope.length.interval,
    }  # fmt: skip


def _chunk_params(chunk: ChunkKey, **more: object) -> dict[str, object]:
    return {"plan_id": chunk.plan_id, "chunk_start": chunk.start, **more}


def _plan(row: Any, source: SourceId) -> Plan:
    scope = Scope(
        source_id=source, streams=tuple(row.streams), all_streams=row.all_streams, dated_by=row.dated_by, start=_utc(row.range_start),
        end=_utc(row.range_end), length=ChunkLength.from_interval(row.chunk),
    )  # fmt: skip
    return Plan(plan_id=PlanId(row.plan_id), scope=scope, status=row.status, created_at=row.created_at, finished_at=row.finished_at)


def _utc(moment: datetime) -> datetime:
    """Sessions may have a time zone of their own; chunks are cut in UTC."""
    return moment.astimezone(UTC)
