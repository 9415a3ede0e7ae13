"""One stream's rows out of one snapshot, as messages: records, and the states that cover them."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from operator import attrgetter

from msgspec import Raw

from pay_ready.db.destination import Destination, DestinationTable
from pay_ready.db.destination_rows import ABSENT, EPOCH_2000_MS, Between, Position, Row, Wanted, Window, read_rows, window
from pay_ready.sources.landing_state import Known, Reached, TableState, state_message
from pay_ready.sources.landing_streams import TableStream, column_types, shape_of
from pay_ready.sources.protocol import CanonicalRecord, Message, Record, StreamStatus

# A state is due after so much: landing makes a transaction of it.
STATE_ROWS, STATE_BYTES = 5_000, 4 << 20
# From this size on, a scan for the rows of a job is worth an index.
LARGE_BYTES = 256 << 20

_MOMENT, _SYNC, _GENERATION = attrgetter("moment"), attrgetter("sync"), attrgetter("generation")

Remark = Callable[[str, str], None]  # topic and text


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """Up to which job all streams are read, and how."""

    upto_sync: int | None
    job_succeeded: bool
    lag_us: int
    page_rows: int


@dataclass(slots=True)
class _Seen:
    """What the rows that were read tell about their table."""

    min_generation: int | None
    first_moment: int | None
    max_sync: int | None = None
    without_sync: int = 0
    last_without_sync: int | None = None
    repeated: int = 0

    def add(self, rows: Sequence[Row], *, has_generations: bool) -> None:
        """Take rows into account."""
        if has_generations:
            self.min_generation = _least(self.min_generation, min(map(_GENERATION, rows)))
        self.first_moment = _least(self.first_moment, min(map(_MOMENT, rows)))
        syncs = list(map(_SYNC, rows))
        if (newest := max(syncs)) != ABSENT:
            self.max_sync = _most(self.max_sync, newest)
        if missing := syncs.count(ABSENT):
            self.without_sync += missing
            self.last_without_sync = _most(self.last_without_sync, max(row.moment for row in rows if row.sync == ABSENT))


class StreamReading:
    """One stream in one attempt.

    Args:
        known: What the last reading left.
        remark: Takes what is worth knowing.
        is_refresh: Whether all rows are read, those of newer jobs too: a row that is not listed is held to be gone.
        between: Rows outside of it are left out; None: none are.
    """

    def __init__(
        self,
        stream: TableStream,
        table: DestinationTable,
        known: Known,
        terms: Terms,
        remark: Remark,
        *,
        is_refresh: bool,
        between: Between | None = None,
    ) -> None:
        self._between = between
        self._stream, self._table, self._terms, self._remark = stream, table, terms, remark
        self._is_refresh = is_refresh
        state = known.state or TableState()
        self._before = TableState(done_sync=state.done_sync) if is_refresh else state
        self._seen = _Seen(min_generation=self._before.min_generation, first_moment=self._before.first_moment)
        self._types = column_types(table)
        # jsonb has one text for one value, json whatever was written.
        self._is_canonical = all(column.type != "json" for column in table.columns)

    def messages(self, destination: Destination) -> Iterator[list[Message]]:
        """The stream to its end, in lists of about a thousand messages.

        Raises:
            TransientError: The connection was lost.
        """
        records = size = 0
        last: Row | None = None
        for rows in self._rows(destination):
            messages: list[Message] = []
            if last and (records >= STATE_ROWS or size >= STATE_BYTES) and self._may_part(last, rows[0]):
                messages.append(state_message(self._stream.descriptor, self._state_on_the_way(last), records))
                records = size = 0
            self._seen.add(rows, has_generations=self._table.generation_column is not None)
            messages += self._records(rows, last)
            records, size, last = records + len(rows), size + sum(len(row.data) for row in rows), rows[-1]
            yield messages
        self._say_what_was_seen()
        yield [
            state_message(self._stream.descriptor, self._final_state(), records),
            StreamStatus(self._stream.descriptor, "COMPLETE"),
        ]

    def _rows(self, destination: Destination) -> Iterator[list[Row]]:
        wanted = Wanted() if self._is_refresh else self._news(destination)
        if wanted is not None:
            wanted = replace(wanted, between=self._between)
            yield from read_rows(destination, self._table, wanted, shape_of(self._stream, self._table), page_rows=self._terms.page_rows)

    def _news(self, destination: Destination) -> Wanted | None:
        """The rows to read; None when there are none. Once all before is read, the rest is looked for first: a pass over the
        table gives the moment from which an index leads to it."""
        before, until = self._before, self._before.without_sync_until
        wanted = Wanted(
            after_sync=before.done_sync,
            upto_sync=self._terms.upto_sync,
            without_sync_from=None if until is None else until - self._terms.lag_us,
            after=self._resumed(),
        )
        if before.done_sync is None or self._table.meta_column is None:
            return wanted
        found = window(destination, self._table, wanted)
        self._say_what_is_there(found)
        return _narrowed(wanted, found)

    def _resumed(self) -> Position | None:
        """Where an interrupted reading up to the same job goes on: nothing of that job has come since, or it had not succeeded."""
        reached = self._before.reached
        if reached is None or not self._has_places or reached.upto_sync != self._terms.upto_sync:
            return None
        return Position(moment=reached.moment, raw_id=reached.raw_id)

    @property
    def _has_places(self) -> bool:
        """Whether a place in the order will mean the same in a later snapshot: all that is read is there for good."""
        is_settled = self._terms.upto_sync is not None and self._terms.job_succeeded
        return is_settled and self._table.is_positioned and self._table.meta_column is not None

    def _may_part(self, last: Row, following: Row) -> bool:
        """Whether a state may stand between two rows.

        Never between rows of one place: what begins after it would leave the second out. And rows without a key are
        numbered within a reading that is begun anew when it is cut off: its states would keep the numbers of the first.
        """
        return not self._stream.is_keyless and (last.moment, last.raw_id) != (following.moment, following.raw_id)

    def _records(self, rows: Sequence[Row], last: Row | None) -> list[Record]:
        if not self._stream.primary_key:
            rows = self._once(rows, last)
        name, namespace = self._stream.name, self._stream.namespace
        make = CanonicalRecord if self._is_canonical else Record
        return [
            make(name, Raw(row.data), row.moment // 1000 + EPOCH_2000_MS, namespace, _meta(row.changes) if row.changes else None)
            for row in rows
        ]

    def _once(self, rows: Sequence[Row], last: Row | None) -> list[Row]:
        """Rows that the destination wrote twice, with one id, once. With a key of their own, landing sees to that."""
        kept = []
        for row in rows:
            if last is not None and (row.raw_id, row.moment, row.data) == (last.raw_id, last.moment, last.data):
                self._seen.repeated += 1
            else:
                kept.append(row)
            last = row
        return kept

    def _state_on_the_way(self, last: Row) -> TableState:
        if self._is_refresh:
            return TableState(oid=self._table.oid, is_refresh=True)
        reached = None
        if self._has_places and not self._seen.without_sync:
            reached = Reached(upto_sync=self._terms.upto_sync or 0, moment=last.moment, raw_id=last.raw_id.decode())
        return self._state(self._before.done_sync, self._before.without_sync_until, reached)

    def _final_state(self) -> TableState:
        upto, done, seen = self._terms.upto_sync, self._before.done_sync, self._seen
        if upto is not None and self._terms.job_succeeded:
            done = _most(done, upto)
        elif upto is None and seen.max_sync is not None:
            done = _most(done, seen.max_sync - 1)
        until = seen.last_without_sync
        return self._state(done, self._before.without_sync_until if until is None else _most(self._before.without_sync_until, until), None)

    def _state(self, done_sync: int | None, without_sync_until: int | None, reached: Reached | None) -> TableState:
        return TableState(
            oid=self._table.oid,
            filenode=self._table.filenode,
            min_generation=self._seen.min_generation,
            first_moment=self._seen.first_moment,
            done_sync=done_sync,
            without_sync_until=without_sync_until,
            types=self._types,
            reached=reached,
        )

    def _say_what_is_there(self, found: Window) -> None:
        upto = self._terms.upto_sync
        if found.newer:
            self._remark("newer", f"{found.newer} rows of jobs after {upto} are left for the next run")
        if upto is not None and upto < (self._before.done_sync or 0):
            self._remark("older", f"job {upto} is older than what was read before (up to {self._before.done_sync})")
        is_lasting = self._stream.destination_sync_mode != "overwrite"
        if is_lasting and not self._table.has_sync_index and self._table.size_bytes >= LARGE_BYTES:
            self._remark("index", f"each run scans the whole table for its news; an index spares that: {self._table.sync_index_hint}")

    def _say_what_was_seen(self) -> None:
        if self._seen.repeated:
            self._remark("repeated", f"{self._seen.repeated} rows were there twice, with one {self._table.id_column}: read once")
        if self._seen.without_sync:
            lag = f"{self._terms.lag_us / 3_600_000_000:g} h"
            self._remark(
                "without_sync",
                f"{self._seen.without_sync} rows do not say by which job they came: they are read by {self._table.moment_column},"
                f" going back {lag} each time; a row that becomes visible later than that is missed",
            )
        if self._terms.upto_sync is None and self._seen.max_sync is not None:
            text = f"no job is known to be at its end: rows of job {self._seen.max_sync} and newer will be read again"
            self._remark("no_job", text)


def _narrowed(wanted: Wanted, found: Window) -> Wanted | None:
    """What is wanted, from where the first of it is; None when there is nothing."""
    late_from = wanted.without_sync_from
    has_late = found.last_without_sync is not None and (late_from is None or found.last_without_sync >= late_from)
    starts = [found.first_moment] * bool(found.rows) + [late_from] * has_late
    if not starts:
        return None
    known = [start for start in starts if start is not None]
    return replace(wanted, from_moment=min(known)) if len(known) == len(starts) else wanted


def _meta(changes: bytes) -> Raw:
    """What the destination had to change in a row, as the protocol's records say it."""
    return Raw(b'{"changes":%b}' % changes)


def _least(one: int | None, other: int) -> int:
    return other if one is None else min(one, other)


def _most(one: int | None, other: int) -> int:
    return other if one is None else max(one, other)
