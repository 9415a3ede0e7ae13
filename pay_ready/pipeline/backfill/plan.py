"""The plan of a backfill: its source and streams, its chunks, how many records to expect in each, and what is there already."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Literal

from pay_ready.db import backfills, sources
from pay_ready.db.backfills import Chunk, ListedPlan, NewChunk, Partition, Scope
from pay_ready.db.backfills import Plan as StoredPlan
from pay_ready.db.landing import StreamState
from pay_ready.db.tenancy import TenantTransaction
from pay_ready.errors import ConfigError, ConflictError, UsageError
from pay_ready.model.ids import PlanId, new_id
from pay_ready.pipeline.backfill.request import BackfillRequest
from pay_ready.pipeline.bring_in import OpenSource, open_source
from pay_ready.pipeline.feed_keys import most_readers
from pay_ready.pipeline.feed_range import RangedSource, ranged_source
from pay_ready.pipeline.land.sync import Plan as Catalogs
from pay_ready.pipeline.work import TenantWork
from pay_ready.resources import resource_path
from pay_ready.sources.catalog import ConfiguredCatalog, ConfiguredStream, FieldPath
from pay_ready.sources.ranges import Ruler

PlanState = Literal["new", "resumed", "complete"]


@dataclass(frozen=True, slots=True, kw_only=True)
class BackfillSource:
    """A source opened for a backfill: how its ranges are asked for, and the streams that can be."""

    work: TenantWork
    request: BackfillRequest
    opened: OpenSource
    ranged: RangedSource
    streams: Mapping[str, FieldPath]  # the fields that date their records, by stream
    left_out: tuple[str, ...]  # streams without such a field
    most_readers: int = 1  # that may read it at once
    plan_id: PlanId | None = None  # the plan to go by; None: the one of this range, or a new one

    @property
    def scope(self) -> Scope:
        """What the plan is about."""
        request = self.request
        return Scope(
            source_id=self.opened.source.source_id, streams=tuple(sorted(self.streams)), all_streams=not request.streams,
            dated_by=request.dated_by, start=request.start, end=request.end, length=request.length,
        )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class BackfillPlan:
    """A plan as whoever runs it sees it."""

    plan_id: PlanId
    is_kept: bool  # in the ledger
    source: str
    state: PlanState
    scope: Scope
    chunks: tuple[Chunk, ...]
    left_out: tuple[str, ...]
    notes: tuple[str, ...]

    @property
    def waiting(self) -> tuple[Chunk, ...]:
        """The chunks that are not complete."""
        return tuple(chunk for chunk in self.chunks if chunk.status != "complete")


def open_backfill_source(work: TenantWork, request: BackfillRequest, keys: Path | None = None) -> BackfillSource:
    """Open a source for a backfill. Nothing is written.

    Args:
        keys: Instead of config/backfill.toml.

    Raises:
        NotFoundError, DeniedError: There is no such source, or it is paused.
        UsageError: A stream is not offered or has no date; names those that can be brought in.
        PayReadyError: The source does not say what it has.
    """
    return _opened(work, request, keys or resource_path("config", "backfill.toml"))


def open_plan(work: TenantWork, plan: PlanId, keys: Path | None = None) -> BackfillSource:
    """The source of a plan that was made before, opened to apply it.

    Raises:
        NotFoundError: There is no such plan.
        ConflictError: It was given up for a newer one.
        PayReadyError: As `open_backfill_source`.
    """
    with work.database.tenant_transaction(work.tenant) as tx:
        found = backfills.require_plan(tx, plan)
        name = _source_name(tx, found)
    if found.status == "aborted":
        raise ConflictError("the plan was given up for a newer one", "find that: pay-ready backfill list", plan=plan)
    scope = found.scope
    request = BackfillRequest(
        source=name, streams=() if scope.all_streams else scope.streams, start=scope.start, end=scope.end, length=scope.length,
        dated_by=scope.dated_by,
    )  # fmt: skip
    return replace(_opened(work, request, keys or resource_path("config", "backfill.toml")), plan_id=plan)


def _opened(work: TenantWork, request: BackfillRequest, keys: Path) -> BackfillSource:
    opened = open_source(work, request.source)
    offered = {str(stream.descriptor): stream for stream in _streams(opened.catalog)}
    if request.dated_by == "extracted" and opened.source.ingest_mode != "airbyte":
        hint = "leave out --by: records of this source say when they changed, or nothing"
        raise UsageError("only a destination knows when its records were extracted", hint, source=request.source)
    datable = {name: stream.cursor_field for name, stream in offered.items() if stream.cursor_field or request.dated_by == "extracted"}
    chosen = request.streams or tuple(datable)
    if unfit := [name for name in chosen if name not in datable]:
        absent = [name for name in unfit if name not in offered]
        what = "the source has no such stream" if absent else "the stream has no field that says when a record changed"
        raise UsageError(what, _choices(datable, opened.source.ingest_mode), source=request.source, stream=", ".join(absent or unfit))
    if not chosen:
        hint = _choices(datable, opened.source.ingest_mode)
        raise UsageError("no stream of the source has a field that says when a record changed", hint, source=request.source)
    return BackfillSource(
        work=work,
        request=request,
        opened=opened,
        ranged=ranged_source(opened.feed, opened.source, opened.config, opened.connector, keys),
        streams={name: datable[name] for name in chosen},
        left_out=() if request.streams else tuple(sorted(offered.keys() - datable.keys())),
        most_readers=most_readers(keys, opened.source.connector.partition("==")[0], opened.source.ingest_mode),
    )


def find_plan(source: BackfillSource) -> BackfillPlan | None:
    """The plan that was named; else the one of the same range that is open, or else complete."""
    with source.work.database.tenant_transaction(source.work.tenant) as tx:
        found = backfills.require_plan(tx, source.plan_id) if source.plan_id else backfills.find_plan(tx, source.scope)
        if found is None:
            return None
        chunks = tuple(backfills.chunks_of(tx, found.plan_id))
    state: PlanState = "complete" if found.status == "complete" else "resumed"
    return _plan(source, found.plan_id, state, found.scope, chunks)


def list_plans(work: TenantWork, source: str = "", *, most: int) -> list[ListedPlan]:
    """The newest plans of a tenant, or of one of its sources.

    Raises:
        NotFoundError: There is no such source.
    """
    with work.database.tenant_transaction(work.tenant) as tx:
        return backfills.list_plans(tx, sources.require(tx, source).source_id if source else None, most=most)


def stored_plan(work: TenantWork, plan: PlanId) -> BackfillPlan:
    """A plan as it stands; its source is not asked.

    Raises:
        NotFoundError: There is no such plan.
    """
    with work.database.tenant_transaction(work.tenant) as tx:
        found = backfills.require_plan(tx, plan)
        name = _source_name(tx, found)
        chunks = tuple(backfills.chunks_of(tx, plan))
    state: PlanState = "complete" if found.status == "complete" else "resumed"
    return BackfillPlan(
        plan_id=plan, is_kept=True, source=name, state=state, scope=found.scope, chunks=chunks, left_out=(),
        notes=("it was given up for a newer one",) if found.status == "aborted" else (),
    )  # fmt: skip


def partitions(work: TenantWork, plan: PlanId) -> list[Partition]:
    """Each stream of each chunk of a plan."""
    with work.database.tenant_transaction(work.tenant) as tx:
        return backfills.partitions_of(tx, plan)


def _source_name(tx: TenantTransaction, plan: StoredPlan) -> str:
    return next(each.name for each in sources.list_all(tx) if each.source_id == plan.scope.source_id)


def draft_plan(source: BackfillSource) -> BackfillPlan:
    """A new plan, not kept: counts what is landed, and asks the source what it has where it can tell."""
    marks = source.request.marks
    ruler = Ruler(marks=marks)
    landed, known = _landed(source, ruler)
    estimates, notes = _estimates(source, ruler, landed, known)
    chunks = tuple(
        _planned(NewChunk(
            start=start, end=end, landed_before=sum(counts[place] for counts in landed.values()), estimated_rows=estimates[place],
        ))
        for place, (start, end) in enumerate(pairwise(marks))
    )  # fmt: skip
    return replace(_plan(source, PlanId(new_id()), "new", source.scope, chunks, notes), is_kept=False)


def keep_plan(source: BackfillSource, draft: BackfillPlan) -> BackfillPlan:
    """Keep a new plan, and give up an open one of the same range: what that one landed stays."""
    chunks = [
        NewChunk(start=each.start, end=each.end, landed_before=each.landed_before, estimated_rows=each.estimated_rows)
        for each in draft.chunks
    ]
    with source.work.database.tenant_transaction(source.work.tenant, work="batch") as tx:
        if (open_plan := backfills.find_plan(tx, draft.scope)) and open_plan.status != "complete":
            backfills.abort_plan(tx, open_plan)
        backfills.add_plan(tx, draft.plan_id, draft.scope, chunks)
    return replace(draft, is_kept=True)


def chunk_catalogs(source: BackfillSource, streams: Sequence[str]) -> Catalogs:
    """What the connector is asked for in a chunk: these streams, and to add to what is there, never to replace it.

    Raises (when it is called):
        ConfigError: The source no longer offers one of them.
    """

    def catalogs(states: Mapping[str, StreamState], /) -> ConfiguredCatalog:
        catalog = source.opened.catalog
        catalog = catalog if isinstance(catalog, ConfiguredCatalog) else catalog(states)
        offered = {str(stream.descriptor): stream for stream in catalog.streams}
        if gone := [name for name in streams if name not in offered]:
            hint = "bring it back; or plan anew with --again, without it"
            raise ConfigError("a stream of the plan is no longer offered", hint, source=source.request.source, stream=", ".join(gone))
        return replace(catalog, streams=tuple(_adding(offered[name]) for name in streams))

    return catalogs


def _streams(catalog: ConfiguredCatalog | Catalogs) -> Sequence[ConfiguredStream]:
    return (catalog if isinstance(catalog, ConfiguredCatalog) else catalog({})).streams


def _adding(stream: ConfiguredStream) -> ConfiguredStream:
    return replace(
        stream, destination_sync_mode="append_dedup" if stream.primary_key else "append", generation_id=0, minimum_generation_id=0
    )


def _choices(datable: Mapping[str, FieldPath], ingest_mode: str) -> str:
    others = "; or date records with --by extracted" if ingest_mode == "airbyte" else ""
    named = f"choose from {', '.join(sorted(datable))}" if datable else "name a stream's cursor_field in the source's settings"
    return named + others


def _landed(source: BackfillSource, ruler: Ruler) -> tuple[dict[str, list[int]], set[str]]:
    """Rows that stand, by stream and chunk; and the streams that have any rows at all."""
    by_cursor = source.request.dated_by == "cursor"
    counts = {name: [0] * (len(ruler.marks) - 1) for name in source.streams}
    with source.work.database.tenant_transaction(source.work.tenant, work="batch") as tx:
        found = backfills.landed_rows(tx, source.opened.source.source_id, list(counts), ruler.texts if by_cursor else list(ruler.marks))
    for stream, bucket, rows in found:
        place = ruler.index_of(bucket) if by_cursor else bucket - 1
        if 0 <= place < len(counts[stream]):
            counts[stream][place] += rows
    return counts, {stream for stream, _, _ in found}


def _estimates(
    source: BackfillSource, ruler: Ruler, landed: Mapping[str, Sequence[int]], known: set[str]
) -> tuple[list[int | None], tuple[str, ...]]:
    """Records by chunk: as the source counts them, else as many as are landed; None where a stream is all unknown."""
    counted = source.ranged.count_rows(source.streams, ruler, source.request.dated_by)
    by_stream = [counted.get(name) or (landed[name] if name in known else None) for name in source.streams]
    if any(counts is None for counts in by_stream):
        return [None] * (len(ruler.marks) - 1), ()
    guessed = any(name not in counted for name in source.streams)
    notes = ("how much the source has is guessed from what is landed",) if guessed else ()
    return [sum(counts[place] for counts in by_stream if counts) for place in range(len(ruler.marks) - 1)], notes


def _planned(chunk: NewChunk) -> Chunk:
    return Chunk(start=chunk.start, end=chunk.end, status="planned", landed_before=chunk.landed_before, estimated_rows=chunk.estimated_rows)


def _plan(
    source: BackfillSource, plan_id: PlanId, state: PlanState, scope: Scope, chunks: tuple[Chunk, ...], notes: Sequence[str] = ()
) -> BackfillPlan:
    return BackfillPlan(
        plan_id=plan_id, is_kept=True, source=source.request.source, state=state, scope=scope, chunks=chunks, left_out=source.left_out,
        notes=(*source.ranged.notes, *notes),
    )  # fmt: skip
