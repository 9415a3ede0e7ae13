"""One flush, one transaction: rows, states, counts and batch numbers become visible together or not at all."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import reduce
from operator import add

from pay_ready.db import landing as rows_of
from pay_ready.db import leases
from pay_ready.db.landing import Counts, Landing, Shrink, StreamMove, StreamRows
from pay_ready.db.tenancy import Database, TenantTransaction
from pay_ready.errors import PayReadyError
from pay_ready.failpoints import failpoint
from pay_ready.model.ids import RunId, TenantId
from pay_ready.pipeline.land import states as land_states
from pay_ready.pipeline.land.buffer import ALL_STREAMS, BegunStream, Flush, together
from pay_ready.pipeline.land.report import Unbelieved
from pay_ready.pipeline.land.rows import CONTRACT_VERSION, by_reference, numbered

# SQLSTATEs that say that a value is not to the server's taste: data exception, program limit exceeded, and the CHECK on the
# size of data, which counts what the stored form takes.
_VALUE_REFUSED = ("22", "54", "23514")


@dataclass(frozen=True, slots=True, kw_only=True)
class ShrinkGuard:
    """How much of a stream may go at once before it is not believed: by a refresh, or from one publish to the next."""

    max_percent: float = 10.0
    from_rows: int = 200
    accept: bool = False

    def refuses(self, shrink: Shrink) -> bool:
        """Whether so many rows would go that an empty answer of the source is likelier than the truth."""
        too_many = shrink.live >= self.from_rows and shrink.gone * 100 > shrink.live * self.max_percent
        return too_many and not self.accept


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """What a flush did."""

    counts: dict[str, Counts] = field(default_factory=dict)
    tombstoned: dict[str, int] = field(default_factory=dict)
    complete: Sequence[str] = ()
    unbelieved: Sequence[Unbelieved] = ()  # refreshes that dropped nothing
    refused: Mapping[tuple[str, str], int] = field(default_factory=dict)  # records for quarantine, by stream and reason

    def __add__(self, after: "Written") -> "Written":
        counts = {name: self.counts.get(name, Counts()) + after.counts.get(name, Counts()) for name in self.counts | after.counts}
        return Written(
            counts=counts,
            tombstoned=self.tombstoned | after.tombstoned,
            complete=[*self.complete, *after.complete],
            unbelieved=[*self.unbelieved, *after.unbelieved],
            refused=Counter(self.refused) + Counter(after.refused),
        )


def write_flushes(
    database: Database,
    tenant: TenantId,
    run: Landing,
    flushes: Sequence[Flush],
    guard: ShrinkGuard,
    await_turn: Callable[[], None] = lambda: None,
) -> Written:
    """Commit flushes that followed each other, in one transaction.

    Before `await_turn` their rows are brought to the server, where that needs nothing of earlier ones; all else comes after it.

    A value that the server refuses after all (we know its limits well, not perfectly) must not stop the source for ever:
    each flush then goes alone, and the rows of the one that is refused again are kept by reference.

    Raises:
        ConflictError: The lease was taken over; nothing was written.
        TransientError: The database could not finish.
    """
    flush = together(flushes)
    try:
        return _write(database, tenant, run, flush, guard, await_turn)
    except PayReadyError as error:
        if not str(error.where.get("sqlstate", "")).startswith(_VALUE_REFUSED):
            raise
    await_turn()  # it may have been refused before
    if len(flushes) > 1:
        return reduce(add, [write_flushes(database, tenant, run, [each], guard) for each in flushes])
    kept = [replace(each, rows=[by_reference(run.source_id, row) for row in each.rows], packed=()) for each in flush.streams]
    return _write(database, tenant, run, replace(flush, streams=kept), guard, await_turn)


def _write(database: Database, tenant: TenantId, run: Landing, flush: Flush, guard: ShrinkGuard, await_turn: Callable[[], None]) -> Written:
    brought = None if any(each.begun and each.begun.plan.is_keyless for each in flush.streams) else _stream_rows(flush)
    with database.tenant_transaction(tenant, work="batch") as tx:
        if brought:
            rows_of.bring_rows(tx, brought)
        await_turn()
        leases.guard(tx, run.lease)
        rows_of.begin_flush(tx)
        land_states.move_states(tx, run, _moves(flush))
        if flush.all_streams_state == "":
            land_states.clear_state(tx, run, ALL_STREAMS)
        failpoint("land.after_states")
        counts = _land(tx, run, flush, brought)
        failpoint("land.after_rows")
        rows_of.quarantine(tx, run, [bad for each in flush.streams for bad in each.refused], CONTRACT_VERSION)
        rows_of.add_counts(tx, run, counts)
        _cover(tx, run, flush)
        ended = [_end(tx, run, each.begun, guard) for each in flush.streams if each.is_complete and each.begun]
        rows_of.number_batches(tx, run, [each.stream for each in flush.streams])
        failpoint("land.before_commit")
    failpoint("land.after_commit")
    return Written(
        counts=counts,
        tombstoned={stream: count for stream, count, _ in ended},
        complete=[stream for stream, _, _ in ended],
        unbelieved=[why for _, _, why in ended if why],
        refused=Counter((each.stream, bad.reason) for each in flush.streams for bad in each.refused),
    )


def _moves(flush: Flush) -> list[StreamMove]:
    moves = [StreamMove(stream=each.stream, state=each.state, watermark=each.watermark) for each in flush.streams if each.begun]
    if flush.all_streams_state:
        moves.append(StreamMove(stream=ALL_STREAMS, state=flush.all_streams_state))
    return moves


def _land(tx: TenantTransaction, run: Landing, flush: Flush, brought: Sequence[StreamRows] | None) -> dict[str, Counts]:
    if brought is None:
        brought = [_numbered(tx, run, rows, each) for rows, each in zip(_stream_rows(flush), _begun(flush), strict=True)]
        rows_of.bring_rows(tx, brought)
    landed = rows_of.land_brought(tx, run, brought, covered=flush.covered)
    counts = {each.stream: each.folded + landed.get(each.stream, Counts()) for each in flush.streams}
    return {stream: count for stream, count in counts.items() if count != Counts()}


def _begun(flush: Flush) -> list[BegunStream]:
    return [each.begun for each in flush.streams if each.begun]


def _stream_rows(flush: Flush) -> list[StreamRows]:
    """The rows of the streams that were asked for; those of keyless ones have no final keys yet."""
    return [
        StreamRows(
            stream=each.stream,
            generation=each.begun.generation,
            pass_run=each.begun.pass_run if each.begun.remembers_keys else None,
            rows=each.rows,
            packed=each.packed,
        )
        for each in flush.streams
        if each.begun
    ]


def _numbered(tx: TenantTransaction, run: Landing, brought: StreamRows, begun: BegunStream) -> StreamRows:
    """Rows with their final keys: those of a keyless stream are numbered on from what this pass has brought."""
    if not begun.plan.is_keyless or not brought.rows or begun.pass_run is None:
        return brought
    digests = {row.record_key.decode() for row in brought.rows}
    times = rows_of.times_seen(tx, run.source_id, begun.plan.stream, begun.pass_run, sorted(digests))
    return replace(brought, rows=numbered(brought.rows, times))


def _cover(tx: TenantTransaction, run: Landing, flush: Flush) -> None:
    for each in flush.streams:
        if each.covers_earlier and each.begun and each.begun.remembers_keys and each.begun.pass_run:
            rows_of.cover_seen_keys(tx, run, each.stream, each.begun.pass_run)


def _end(tx: TenantTransaction, run: Landing, begun: BegunStream, guard: ShrinkGuard) -> tuple[str, int, Unbelieved | None]:
    """End a complete stream: its name, the rows that are gone, and why none are when the refresh is not believed."""
    stream, gone, why = begun.plan.stream, 0, None
    if begun.drops_unseen and begun.pass_run:
        why = _doubt(tx, run, begun, begun.pass_run, guard)
        gone = 0 if why else rows_of.tombstone_unseen(tx, run, stream, begun.pass_run, begun.generation)
    if why:
        # What the refresh said last must not stand for more than was taken over: the next one begins anew.
        land_states.clear_state(tx, run, stream)
    land_states.end_stream(tx, run, stream, status="complete", tombstoned=gone)
    return stream, gone, why


def _doubt(tx: TenantTransaction, run: Landing, begun: BegunStream, pass_run: RunId, guard: ShrinkGuard) -> Unbelieved | None:
    stream = begun.plan.stream
    shrink = rows_of.measure_shrink(tx, run, stream, pass_run, begun.generation)
    if shrink.gone == 0 or guard.accept:
        return None
    if guard.refuses(shrink):
        return Unbelieved(stream=stream, live=shrink.live, gone=shrink.gone, reason="shrink")
    if rows_of.has_keyless_refused(tx, run, stream, pass_run):
        return Unbelieved(stream=stream, live=shrink.live, gone=shrink.gone, reason="unreadable")
    return None
