"""Landed rows, the batches they were committed in, the states of their streams, and the counts of runs."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from struct import Struct as Layout
from typing import Any
from uuid import UUID

from msgspec import Struct
from psycopg.types.json import Jsonb

from pay_ready.db.leases import Lease, lost
from pay_ready.db.novelty import Novelty
from pay_ready.db.tenancy import TenantTransaction
from pay_ready.errors import ConflictError
from pay_ready.failpoints import failpoint
from pay_ready.model.backfill import ChunkKey
from pay_ready.model.ids import RunId, SourceId, new_id

# Refused records of which nobody can say to which stream they belong.
UNKNOWN_STREAM = "(unknown)"

_COLUMNS = ("stream", "record_key", "data", "payload_id", "quality_flags", "content_hash", "cursor_order", "emitted_at", "deleted")
_TYPES = ("text", "text", "text", "uuid", "text", "bytea", "text", "timestamptz", "bool")
_SIGNATURE = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_TRAILER = b"\xff\xff"
_NULL = b"\xff\xff\xff\xff"
_COPY_BYTES = 1 << 18
_HEAD, _LENGTH, _TAIL = Layout(">hi"), Layout(">i"), Layout(">iqi?")


class Payload(Struct, frozen=True, gc=False):
    """Bytes that no JSON column holds, kept whole."""

    payload_id: UUID
    content: bytes


class LandingRow(Struct, frozen=True, gc=False):
    """A record on its way in, in the form in which the database takes it: text is UTF-8 already."""

    record_key: bytes
    data: bytes | None  # JSON; None when deleted or kept by reference
    content_hash: bytes  # 32 bytes
    cursor_order: bytes
    emitted_us: int  # microseconds since 2000-01-01 UTC, as Postgres counts
    deleted: bool = False
    payload: Payload | None = None
    quality_flags: bytes | None = None  # JSON (QualityFlags): what was changed in it before it came

    @property
    def order(self) -> tuple[bytes, int, bytes]:
        """Its place among the versions of its key within a generation."""
        return self.cursor_order, self.emitted_us, self.content_hash


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamRows:
    """The rows of one stream in a flush: each key once."""

    stream: str
    generation: int
    pass_run: RunId | None  # the pass whose keys are remembered, if they are
    rows: Sequence[LandingRow]
    packed: Sequence[bytes] = ()  # the same rows as `packed_rows` gives them, where that was done beforehand


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """What became of records; `emitted` is the sum of the others, but for the last three, which are no part of it."""

    emitted: int = 0
    landed: int = 0
    unchanged: int = 0
    superseded: int = 0
    deleted: int = 0
    quarantined: int = 0
    suppressed: int = 0  # of people who were erased
    flagged: int = 0  # with quality flags
    skipped: int = 0  # outside of a backfill's range
    undated: int = 0  # without a date, so that no backfill can ask for them

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(**{each.name: getattr(self, each.name) + getattr(other, each.name) for each in fields(Counts)})


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """A record that no row can hold, with the reason as a word."""

    quarantine_id: UUID
    stream: str
    reason: str
    raw: bytes | None  # None when kept by reference
    payload: Payload | None = None
    emitted_us: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamState:
    """How far a stream is; "" is the stream of states that concern all of them."""

    stream: str
    state: str | None
    watermark: str
    generation: int
    lease_token: int
    pass_run_id: RunId | None


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamMove:
    """What a flush changes about a stream: its state (None leaves it) and the highest cursor it brings."""

    stream: str
    state: str | None = None
    watermark: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shrink:
    """Rows of a stream that live, and those that a refresh would drop."""

    live: int
    gone: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamRun:
    """The counts of one stream in one run, as stored."""

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
    flagged: int
    staged: int
    unmapped: int
    stage_quarantined: int
    skipped: int
    undated: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Overtaken:
    """Versions that a write replaced: the batch that brought them, and payloads that lost a reference."""

    batch_id: UUID | None
    row_count: int
    left_payload_ids: Sequence[UUID]


@dataclass(frozen=True, slots=True, kw_only=True)
class Landing:
    """The run on whose behalf a transaction lands, and the lease that lets it."""

    source_id: SourceId
    run_id: RunId
    lease: Lease
    chunk: ChunkKey | None = None  # of a backfill; None: a live sync
    novelty: Novelty = field(default_factory=Novelty, compare=False, repr=False)

    def params(self, **more: object) -> dict[str, object]:
        """Parameters of a statement about this run."""
        return {"source_id": self.source_id, "run_id": self.run_id, "lease_token": self.lease.token, **more}


def be_durable(tx: TenantTransaction) -> None:
    """Have this transaction's commit wait for the disk, whatever the server is set to."""
    tx.execute("landing.be_durable")


def begin_flush(tx: TenantTransaction) -> None:
    """Durable, and with the memory that a flush takes."""
    tx.execute("landing.begin_flush")


def open_run(tx: TenantTransaction, landing: Landing, ingest_mode: str) -> int:
    """Open the run and close those of dead holders; how many there were."""
    aborted = tx.execute("landing.abort_runs", landing.params())
    tx.execute("landing.abort_stream_runs", landing.params())
    tx.execute("landing.open_run", landing.params(ingest_mode=ingest_mode))
    return aborted


def close_run(
    tx: TenantTransaction, run: RunId, *, status: str, report: Mapping[str, Any], error_class: str | None, error_text: str | None
) -> bool:
    """Close the run; False when another one had to close it already."""
    closed = {"run_id": run, "status": status, "report": Jsonb(report), "error_class": error_class, "error_text": error_text}
    return tx.execute("landing.close_run", closed) > 0


def stream_runs(tx: TenantTransaction, run: RunId) -> list[StreamRun]:
    """The counts of a run, by stream."""
    return [StreamRun(**row._asdict()) for row in tx.rows("landing.stream_runs", {"run_id": run})]


def keep_watermarks(tx: TenantTransaction, run: RunId, watermarks: Mapping[str, tuple[str, str]]) -> None:
    """Write the highest cursors before and after the run, by stream."""
    kept = {"run_id": run, "streams": list(watermarks), "befores": [b for b, _ in watermarks.values()],
            "afters": [a for _, a in watermarks.values()]}  # fmt: skip
    tx.execute("landing.keep_watermarks", kept)


def lock_states(tx: TenantTransaction, source: SourceId) -> dict[str, StreamState]:
    """The states of a source by stream, locked until the end of the transaction."""
    found = (StreamState(**row._asdict()) for row in tx.rows("landing.states", {"source_id": source}))
    return {state.stream: state for state in found}


def begin_stream(
    tx: TenantTransaction, landing: Landing, stream: str, *, generation: int, pass_run: RunId | None, keep_state: bool
) -> None:
    """A stream is about to be read: from its state, or anew. Keys of an earlier pass that no longer count are dropped.

    Raises:
        ConflictError: A newer run has taken the stream.
    """
    begun = landing.params(stream=stream, generation=generation, pass_run_id=pass_run, keep_state=keep_state)
    if tx.execute("landing.begin_stream", begun) == 0:
        raise lost(landing.lease)
    tx.execute("landing.drop_uncovered_seen_keys" if keep_state else "landing.drop_seen_keys", landing.params(stream=stream))
    tx.execute("landing.begin_stream_run", landing.params(stream=stream))


def move_states(tx: TenantTransaction, landing: Landing, moves: Sequence[StreamMove]) -> None:
    """Lock the streams and move their states.

    Raises:
        ConflictError: A newer run has taken one of them.
    """
    moves = sorted(moves, key=lambda move: move.stream)
    moved = landing.params(
        streams=[move.stream for move in moves], states=[move.state for move in moves], watermarks=[move.watermark for move in moves]
    )
    if tx.execute("landing.move_states", moved) != len(moves):
        raise lost(landing.lease)


def clear_state(tx: TenantTransaction, landing: Landing, stream: str) -> None:
    """Forget a stored state."""
    tx.execute("landing.clear_state", landing.params(stream=stream))


def land_rows(tx: TenantTransaction, landing: Landing, streams: Sequence[StreamRows], *, covered: bool) -> dict[str, Counts]:
    """Upsert the rows of several streams, each key at most once per stream; what became of them, by stream.

    Args:
        covered: Whether a state stored in this transaction covers them.
    """
    bring_rows(tx, streams)
    return land_brought(tx, landing, streams, covered=covered)


def bring_rows(tx: TenantTransaction, streams: Sequence[StreamRows]) -> None:
    """Bring rows to the server, where this transaction alone sees them. Nothing of ours is touched."""
    if not any(stream.rows for stream in streams):
        return
    tx.execute("landing.make_rows")
    with tx.copy_into("landing_rows", _COLUMNS, binary_types=_TYPES) as copy:
        copy.write(_SIGNATURE)
        for stream in streams:
            for chunk in stream.packed or packed_rows(stream.stream, stream.rows):
                copy.write(chunk)
                failpoint("land.in_copy")
        copy.write(_TRAILER)


def land_brought(tx: TenantTransaction, landing: Landing, streams: Sequence[StreamRows], *, covered: bool) -> dict[str, Counts]:
    """As `land_rows`, of rows that `bring_rows` has brought."""
    if not any(stream.rows for stream in streams):
        return {}
    add_payloads(tx, landing.source_id, [row.payload for stream in streams for row in stream.rows if row.payload])
    counts = _insert_new(tx, landing, streams) or _judge_and_write(tx, landing, streams)
    _remember_keys(tx, landing, streams, covered=covered)
    return counts


def _insert_new(tx: TenantTransaction, landing: Landing, streams: Sequence[StreamRows]) -> dict[str, Counts] | None:
    """Write the copied rows without a look at what stands; None, and nothing written, where one is of a key that is there."""
    filled = [stream for stream in streams if stream.rows]
    names = [stream.stream for stream in filled]
    if not landing.novelty.is_likely(names):
        return None
    counts = {stream.stream: _counts_of_new(stream) for stream in streams}
    try:
        with tx.savepoint():
            tx.execute("landing.insert_new_rows", landing.params(
                streams=names,
                batch_ids=[new_id() for _ in filled],
                generations=[stream.generation for stream in filled],
                landed=[counts[name].landed for name in names],
            ))  # fmt: skip
    except ConflictError as conflict:
        if conflict.where.get("constraint") != "landed_records_pkey":
            raise
        landing.novelty.was_wrong(names)
        return None
    return counts


def _judge_and_write(tx: TenantTransaction, landing: Landing, streams: Sequence[StreamRows]) -> dict[str, Counts]:
    """Write those of the copied rows that are newer than what stands."""
    found = tx.rows("landing.write_rows", landing.params(
        streams=[stream.stream for stream in streams],
        batch_ids=[new_id() for _ in streams],
        generations=[stream.generation for stream in streams],
    ))  # fmt: skip
    _release_overtaken(tx, landing, [_overtaken(row) for row in found if row.verdict in ("landed", "deleted")])
    counts = {}
    for stream in streams:
        of_stream = [row for row in found if row.stream == stream.stream]
        counts[stream.stream] = _counts(stream, of_stream)
        landing.novelty.found(stream.stream, only_new=bool(of_stream) and all(row.is_new for row in of_stream))
    return counts


def packed_rows(stream: str, rows: Sequence[LandingRow]) -> Iterator[bytes]:
    """Rows of a stream in COPY's binary form, without its signature and its trailer, in chunks of about 256 KiB.

    Written by hand: the driver's formatter takes five times as long, and landing is bound by what happens per row here.
    """
    pieces: list[bytes] = []
    size = 0
    length, tail = _LENGTH.pack, _TAIL.pack
    name = stream.encode()
    head = _HEAD.pack(len(_COLUMNS), len(name)) + name
    for row in rows:
        key, data, cursor, payload, flags = row.record_key, row.data, row.cursor_order, row.payload, row.quality_flags
        piece = b"".join((
            head, length(len(key)), key,
            _NULL if data is None else length(len(data)) + data,
            _NULL if payload is None else b"\0\0\0\x10" + payload.payload_id.bytes,
            _NULL if flags is None else length(len(flags)) + flags,
            b"\0\0\0\x20", row.content_hash,
            length(len(cursor)), cursor,
            tail(8, row.emitted_us, 1, row.deleted),
        ))  # fmt: skip
        pieces.append(piece)
        size += len(piece)
        if size > _COPY_BYTES:
            yield b"".join(pieces)
            pieces, size = [], 0
    if pieces:
        yield b"".join(pieces)


def add_payloads(tx: TenantTransaction, source: SourceId, payloads: Sequence[Payload]) -> None:
    """Keep bytes by reference, one statement each: they are large. The same bytes of a source are kept once."""
    for payload in payloads:
        added = {"source_id": source, "payload_id": payload.payload_id, "size_bytes": len(payload.content), "content": payload.content}
        tx.execute("landing.add_payload", added)


def quarantine(tx: TenantTransaction, landing: Landing, refused: Sequence[Refused], contract_version: str) -> None:
    """Keep records that no row can hold, whole; one that comes again finds its row."""
    if not refused:
        return
    add_payloads(tx, landing.source_id, [each.payload for each in refused if each.payload])
    # The same bytes twice in one flush would be the same row twice in one statement.
    once = list({each.quarantine_id: each for each in refused}.values())
    tx.execute("landing.quarantine", landing.params(
        contract_version=contract_version,
        quarantine_ids=[each.quarantine_id for each in once],
        streams=[each.stream for each in once],
        reasons=[each.reason for each in once],
        raws=[each.raw for each in once],
        payload_ids=[each.payload.payload_id if each.payload else None for each in once],
        emitted_us=[each.emitted_us for each in once],
    ))  # fmt: skip


def add_counts(tx: TenantTransaction, landing: Landing, counts: Mapping[str, Counts]) -> None:
    """Add to the counts of the run, by stream."""
    if not counts:
        return
    columns = {each.name: [getattr(count, each.name) for count in counts.values()] for each in fields(Counts)}
    tx.execute("landing.add_counts", landing.params(streams=list(counts), **columns))


def number_batches(tx: TenantTransaction, landing: Landing, streams: Sequence[str]) -> None:
    """Last statement of a transaction that lands: its batches get their numbers in commit order."""
    tx.execute("landing.number_batches", landing.params(streams=list(streams)))


def times_seen(tx: TenantTransaction, source: SourceId, stream: str, pass_run: RunId, digests: Sequence[str]) -> dict[str, int]:
    """How often rows without a key were listed in this pass, by digest; those never listed are absent."""
    asked = {"source_id": source, "stream": stream, "pass_run_id": pass_run, "digests": list(digests)}
    return {row.digest: row.times for row in tx.rows("landing.times_seen", asked)}


def cover_seen_keys(tx: TenantTransaction, landing: Landing, stream: str, pass_run: RunId) -> None:
    """A state was stored: what was listed before it will not come again."""
    tx.execute("landing.cover_seen_keys", landing.params(stream=stream, pass_run_id=pass_run))


def measure_shrink(tx: TenantTransaction, landing: Landing, stream: str, pass_run: RunId, generation: int) -> Shrink:
    """What a refresh that is complete would drop."""
    row = tx.row("landing.measure_shrink", landing.params(stream=stream, pass_run_id=pass_run, generation=generation))
    return Shrink(live=row.live, gone=row.gone) if row else Shrink(live=0, gone=0)


def has_keyless_refused(tx: TenantTransaction, landing: Landing, stream: str, pass_run: RunId) -> bool:
    """Whether records of this pass were refused, so that rows may only seem to be gone."""
    asked = landing.params(stream=stream, pass_run_id=pass_run, unknown_stream=UNKNOWN_STREAM)
    return bool(tx.value("landing.keyless_quarantined", asked))


def tombstone_unseen(tx: TenantTransaction, landing: Landing, stream: str, pass_run: RunId, generation: int) -> int:
    """Mark the rows of older generations that the refresh did not list as deleted; how many."""
    marked = landing.params(stream=stream, pass_run_id=pass_run, generation=generation, batch_id=new_id())
    gone = [_overtaken(row) for row in tx.rows("landing.tombstone_unseen", marked)]
    _release_overtaken(tx, landing, gone)
    return sum(each.row_count for each in gone)


def end_stream(tx: TenantTransaction, landing: Landing, stream: str, *, status: str, tombstoned: int = 0) -> None:
    """Close a stream's part of the run; after `complete` its pass is over."""
    tx.execute("landing.end_stream_run", landing.params(stream=stream, status=status, tombstoned=tombstoned))
    if status == "complete":
        tx.execute("landing.drop_seen_keys", landing.params(stream=stream))
        tx.execute("landing.end_pass", landing.params(stream=stream))


def _overtaken(row: Any) -> _Overtaken:
    return _Overtaken(batch_id=row.overtaken_batch_id, row_count=row.row_count, left_payload_ids=row.left_payload_ids or ())


def _release_overtaken(tx: TenantTransaction, landing: Landing, overtaken: Sequence[_Overtaken]) -> None:
    """Versions replaced before they were staged count as superseded; payloads that nothing needs any more go."""
    if batches := [each for each in overtaken if each.batch_id]:
        tx.execute("landing.supersede_unstaged", landing.params(
            batch_ids=[each.batch_id for each in batches], row_counts=[each.row_count for each in batches]
        ))  # fmt: skip
    if left := [payload for each in overtaken for payload in each.left_payload_ids]:
        tx.execute("landing.drop_left_payloads", {"payload_ids": left})


def _remember_keys(tx: TenantTransaction, landing: Landing, streams: Sequence[StreamRows], *, covered: bool) -> None:
    listed = [stream for stream in streams if stream.pass_run]
    if listed:
        tx.execute("landing.add_seen_keys", landing.params(
            streams=[stream.stream for stream in listed],
            pass_run_ids=[stream.pass_run for stream in listed],
            covered=covered,
        ))  # fmt: skip


def _counts(stream: StreamRows, found: Sequence[Any]) -> Counts:
    totals = dict.fromkeys(("landed", "unchanged", "superseded", "deleted"), 0)
    for row in found:
        totals[row.verdict] += row.row_count
    return Counts(emitted=len(stream.rows), flagged=_flagged(stream), **totals)


def _counts_of_new(stream: StreamRows) -> Counts:
    deleted = sum(row.deleted for row in stream.rows)
    return Counts(emitted=len(stream.rows), landed=len(stream.rows) - deleted, deleted=deleted, flagged=_flagged(stream))


def _flagged(stream: StreamRows) -> int:
    return sum(row.quality_flags is not None for row in stream.rows)
