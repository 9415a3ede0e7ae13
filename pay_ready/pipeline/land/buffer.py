"""Protocol messages in, flushes out: records up to a STATE leave together with that STATE. Pure but for the clock it is given."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import reduce

from pay_ready.db.landing import UNKNOWN_STREAM, Counts, LandingRow, Refused, packed_rows
from pay_ready.model.ids import RunId, SourceId
from pay_ready.pipeline.land.record_range import Outside, RangedMaker, ranged
from pay_ready.pipeline.land.rows import UNEXPECTED, RowMaker, StreamPlan, refused, row_maker
from pay_ready.sources.protocol import Control, Message, NotProtocol, Oversized, Record, State, StreamDescriptor, StreamStatus
from pay_ready.sources.ranges import RecordRange

# Leaves out, or masks, what is somebody's who was erased (`suppress.Suppressor.kept_maker`).
Keep = Callable[[RowMaker | RangedMaker, StreamPlan], RangedMaker]

# States that concern all streams are kept under this name.
ALL_STREAMS = ""
# A source without STATEs is landed all the same once this many times a flush has come together; only the state waits.
_PATIENCE = 4
_STREAM_NAME = re.compile(rb'"stream"\s*:\s*"([^"\\]{1,200})"')


@dataclass(frozen=True, slots=True, kw_only=True)
class FlushLimits:
    """A flush is due at a STATE once one of these is reached."""

    rows: int = 5_000
    size_bytes: int = 8 << 20
    seconds: float = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class BegunStream:
    """A stream that is being read."""

    plan: StreamPlan
    generation: int = 0
    pass_run: RunId | None = None  # the pass under way
    remembers_keys: bool = False  # a refresh or a keyless stream: keys of the pass are kept
    drops_unseen: bool = False  # a refresh: what it does not list is gone
    records: RecordRange | None = None  # those to land; None: all


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamFlush:
    """What one stream brings into a flush."""

    stream: str
    begun: BegunStream | None  # None: records of a stream that nobody asked for
    rows: Sequence[LandingRow] = ()  # each key once, but for keyless streams, whose keys are digests still
    packed: Sequence[bytes] = ()  # the rows as the database takes them: made here, while it is at work on the last ones
    folded: Counts = field(default_factory=Counts)  # records of which a better version is among the rows, and refused ones
    refused: Sequence[Refused] = ()
    state: str | None = None
    watermark: str = ""
    covers_earlier: bool = False  # rows that went out before their state are covered now
    is_complete: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Flush:
    """What goes into one transaction. `covered`: its states cover all its rows."""

    streams: Sequence[StreamFlush]
    all_streams_state: str | None = None  # empty: the one that is stored is over
    covered: bool = True

    @property
    def size_bytes(self) -> int:
        """Of the data, about."""
        packed = sum(len(chunk) for each in self.streams for chunk in each.packed)
        return packed or sum(len(row.data or b"") for each in self.streams for row in each.rows)


@dataclass(frozen=True, slots=True, kw_only=True)
class NewConfig:
    """The source changed its configuration: to be stored before anything that comes after it."""

    config: bytes

    def __repr__(self) -> str:
        return f"NewConfig(config=<{len(self.config)} bytes>)"


@dataclass(slots=True)
class _Buffered:
    begun: BegunStream | None
    stream: str
    make: RowMaker | RangedMaker | None
    sealed: list[LandingRow | Refused] = field(default_factory=list)  # covered by a state
    open: list[LandingRow | Refused] = field(default_factory=list)
    state: str | None = None
    has_uncovered: bool = False  # rows went out before their state
    covers_earlier: bool = False
    is_complete: bool = False
    outside: dict[Outside, int] = field(default_factory=dict)  # records out of range since the last flush

    @property
    def has_news(self) -> bool:
        """Whether a flush would change anything."""
        return bool(self.sealed or self.state or self.is_complete or self.covers_earlier or self.outside)


class Lander:
    """Collects records by stream and hands out flushes through `write`, in order. Memory is bounded by the limits.

    `keep`: makes the rows of a tenant that has erased somebody.
    `has_all_state`: the source once gave a state of all streams at once; the first state of a single one ends that.
    """

    def __init__(
        self,
        source: SourceId,
        streams: Sequence[BegunStream],
        limits: FlushLimits,
        write: Callable[[Flush | NewConfig], None],
        clock: Callable[[], float],
        *,
        has_all_state: bool = False,
        keep: Keep | None = None,
    ) -> None:
        self._has_all_state = has_all_state
        self._source, self._limits, self._write, self._clock = source, limits, write, clock
        self._streams = {begun.plan.stream: _Buffered(begun, begun.plan.stream, _maker(source, begun, keep)) for begun in streams}
        self._by_name: dict[tuple[str | None, str], _Buffered] = {}
        self._all_state: str | None = None
        self._sealed_rows = self._sealed_bytes = self._open_rows = self._open_bytes = 0
        self._flushed_at = clock()
        self._most_open_rows, self._most_open_bytes = _PATIENCE * limits.rows, _PATIENCE * limits.size_bytes

    def take(self, messages: Sequence[Message]) -> None:
        """Take messages in the order of their emission."""
        by_name = self._by_name
        # Records of one stream come in a row: their place is looked up once.
        buffered, stream, namespace = None, "", None
        for message in messages:
            if isinstance(message, Record):
                if buffered is None or message.stream != stream or message.namespace != namespace:
                    stream, namespace = message.stream, message.namespace
                    buffered = by_name.get((namespace, stream)) or self._buffered(message.descriptor)
                self._take_record(buffered, message)
            else:
                self._take_other(message)

    def finish(self) -> None:
        """The messages are at their end: land the rest, also what no state covers; it will come again."""
        self._flush()
        self._flush_open()

    def _take_record(self, buffered: _Buffered, record: Record) -> None:
        make = buffered.make
        if make is None:
            buffered.open.append(refused(self._source, buffered.stream, UNEXPECTED, bytes(record.data)))
        else:
            made = make(record)
            if isinstance(made, str):
                buffered.outside[made] = buffered.outside.get(made, 0) + 1
                return
            buffered.open.append(made)
        self._open_rows += 1
        self._open_bytes += len(record.data)
        if self._open_rows >= self._most_open_rows or self._open_bytes >= self._most_open_bytes:
            self._flush()
            self._flush_open()

    def _take_other(self, message: Message) -> None:
        match message:
            case State():
                self._take_state(message)
            case StreamStatus(stream=stream, status="COMPLETE"):
                self._complete(self._buffered(stream))
            case StreamStatus(rate_limited=True):
                # The source pauses: what is ready need not wait for it.
                self._flush()
            case Control(config=config):
                self._flush()
                self._write(NewConfig(config=config))
            case NotProtocol(is_record=True, line=line, reason=reason):
                self._refuse(line, line[:4096], reason)
            case Oversized(is_record=True, path=path, head=head, reason=reason):
                self._refuse(path.read_bytes(), head, reason)
            case _:
                pass

    def _take_state(self, state: State) -> None:
        text = state.raw.decode()
        if state.kind == "STREAM":
            for descriptor in state.streams:
                buffered = self._buffered(descriptor)
                if buffered.begun:
                    buffered.state = text
                self._seal(buffered)
            if self._has_all_state:
                self._all_state, self._has_all_state = "", False
        else:
            self._all_state, self._has_all_state = text, True
            self._seal_all()
        if self._is_due():
            self._flush()

    def _complete(self, buffered: _Buffered) -> None:
        if buffered.begun is None:
            return
        buffered.is_complete = True
        self._seal(buffered)
        self._flush()

    def _refuse(self, raw: bytes, head: bytes, reason: str) -> None:
        found = _STREAM_NAME.search(head)
        name = found.group(1).decode("utf-8", "replace") if found else UNKNOWN_STREAM
        buffered = self._streams.get(name) or self._buffered(StreamDescriptor(UNKNOWN_STREAM))
        buffered.open.append(refused(self._source, buffered.stream, reason, raw))
        self._open_rows += 1
        self._open_bytes += len(raw)

    def _buffered(self, descriptor: StreamDescriptor) -> _Buffered:
        """Where a stream's records go; an unexpected one gets a place of its own."""
        name = str(descriptor)
        if name not in self._streams:
            self._streams[name] = _Buffered(None, name or UNKNOWN_STREAM, None)
        return self._by_name.setdefault((descriptor.namespace, descriptor.name), self._streams[name])

    def _seal(self, buffered: _Buffered) -> None:
        """All rows of the stream so far are covered by a state, or by the stream's end."""
        buffered.covers_earlier, buffered.has_uncovered = buffered.covers_earlier or buffered.has_uncovered, False
        if not buffered.open:
            return
        share = len(buffered.open) / self._open_rows
        moved_bytes = round(self._open_bytes * share)
        self._sealed_rows += len(buffered.open)
        self._sealed_bytes += moved_bytes
        self._open_rows -= len(buffered.open)
        self._open_bytes -= moved_bytes
        buffered.sealed.extend(buffered.open)
        buffered.open = []

    def _seal_all(self) -> None:
        for buffered in self._streams.values():
            self._seal(buffered)

    def _is_due(self) -> bool:
        limits = self._limits
        return (
            self._sealed_rows >= limits.rows
            or self._sealed_bytes >= limits.size_bytes
            or self._clock() - self._flushed_at >= limits.seconds
        )

    def _flush(self) -> None:
        """Hand out what states cover, with those states."""
        for buffered in self._streams.values():
            if buffered.begun is None:
                # No state will ever cover a stream that nobody asked for.
                self._seal(buffered)
        ready = [each for each in self._streams.values() if each.has_news]
        flushes = [_flush_of(each, each.sealed) for each in ready]
        if flushes or self._all_state is not None:
            self._write(Flush(streams=flushes, all_streams_state=self._all_state))
        for buffered in self._streams.values():
            buffered.sealed, buffered.state, buffered.is_complete, buffered.covers_earlier = [], None, False, False
            buffered.outside = {}
        self._all_state = None
        self._sealed_rows = self._sealed_bytes = 0
        self._flushed_at = self._clock()

    def _flush_open(self) -> None:
        """Hand out what no state covers. Always after `_flush`, which leaves no state behind."""
        flushes = [_flush_of(each, each.open) for each in self._streams.values() if each.open]
        if flushes:
            self._write(Flush(streams=flushes, covered=False))
        for buffered in self._streams.values():
            buffered.has_uncovered = buffered.has_uncovered or bool(buffered.open)
            buffered.open = []
        self._open_rows = self._open_bytes = 0


def _maker(source: SourceId, begun: BegunStream, keep: Keep | None) -> RowMaker | RangedMaker:
    make = row_maker(source, begun.plan)
    ranging = ranged(make, begun.plan, begun.records) if begun.records else make
    return keep(ranging, begun.plan) if keep else ranging


def _flush_of(buffered: _Buffered, taken: Sequence[LandingRow | Refused]) -> StreamFlush:
    rows = [each for each in taken if isinstance(each, LandingRow)]
    bad = [each for each in taken if isinstance(each, Refused)]
    is_keyless = buffered.begun is not None and buffered.begun.plan.is_keyless
    best, folded = (rows, Counts()) if is_keyless else fold(rows)
    return StreamFlush(
        stream=buffered.stream,
        begun=buffered.begun,
        rows=best,
        packed=() if is_keyless or buffered.begun is None else tuple(packed_rows(buffered.stream, best)),
        folded=folded + Counts(emitted=len(bad) + buffered.outside.get("suppressed", 0), quarantined=len(bad), **buffered.outside),
        refused=bad,
        state=buffered.state,
        watermark=max((row.cursor_order for row in rows), default=b"").decode(),
        covers_earlier=buffered.covers_earlier,
        is_complete=buffered.is_complete,
    )


def fold(rows: Sequence[LandingRow]) -> tuple[Sequence[LandingRow], Counts]:
    """The best version of each key, and what became of the others: equal in content (unchanged) or older (superseded)."""
    best: dict[bytes, LandingRow] = {row.record_key: row for row in rows}
    if len(best) == len(rows):
        return rows, Counts()
    best.clear()
    unchanged = 0
    for row in rows:
        other = best.setdefault(row.record_key, row)
        if other is row:
            continue
        unchanged += other.content_hash == row.content_hash
        if row.order > other.order:
            best[row.record_key] = row
    kept = list(best.values())
    lost, flagged = len(rows) - len(kept), _flagged(rows) - _flagged(kept)
    return kept, Counts(emitted=lost, unchanged=unchanged, superseded=lost - unchanged, flagged=flagged)


def _flagged(rows: Sequence[LandingRow]) -> int:
    return sum(row.quality_flags is not None for row in rows)


def may_join(first: Flush, second: Flush) -> bool:
    """Not across the end of a stream, which judges what came before it; rows without their state stay apart too."""
    return first.covered and second.covered and not any(each.is_complete for each in first.streams)


def together(flushes: Sequence[Flush]) -> Flush:
    """Flushes that followed each other, as one that comes to the same."""
    return reduce(_joined, flushes)


def _joined(first: Flush, second: Flush) -> Flush:
    streams = {each.stream: each for each in first.streams}
    for each in second.streams:
        before = streams.get(each.stream)
        streams[each.stream] = _joined_stream(before, each) if before else each
    state = first.all_streams_state if second.all_streams_state is None else second.all_streams_state
    return Flush(streams=list(streams.values()), all_streams_state=state)


def _joined_stream(first: StreamFlush, second: StreamFlush) -> StreamFlush:
    rows, folded = [*first.rows, *second.rows], first.folded + second.folded
    is_packed = all(each.packed for each in (first, second) if each.rows)
    packed: Sequence[bytes] = (*first.packed, *second.packed) if is_packed else ()
    if second.begun and not second.begun.plan.is_keyless:
        best, lost = fold(rows)
        if len(best) < len(rows):
            rows, folded, packed = list(best), folded + lost, ()
    return replace(
        second,
        rows=rows,
        packed=packed,
        folded=folded,
        refused=[*first.refused, *second.refused],
        state=first.state if second.state is None else second.state,
        watermark=max(first.watermark, second.watermark),
        covers_earlier=first.covers_earlier or second.covers_earlier,
    )
