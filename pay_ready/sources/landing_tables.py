"""Reading what Airbyte's Postgres destination wrote: a connector of the landing path that has no process.

Which rows are new is told by the job that wrote them (`_airbyte_meta.sync_id`), once that job is at its end: rows become
visible in any order, hours after the moment that they carry. After a job that succeeded no rows of it, or of those before
it, are to come. One that failed may leave rows to its successor, which shows them under the old number: what is there is
read, and the mark stays before it. Without a job, the newest one in the table counts as under way and is read again.

Of rows that went the table itself tells: see `landing_state.decide`. All streams of an attempt are read from one snapshot.
Two connections that write into one table are beyond this: their jobs do not follow each other.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial

from pay_ready.db.destination import Destination, DestinationTable, ReadLimits, open_destination
from pay_ready.db.destination_rows import Between, rows_between
from pay_ready.db.landing import StreamState
from pay_ready.errors import PayReadyError, TransientError
from pay_ready.sources.catalog import ConfiguredCatalog, FieldPath
from pay_ready.sources.landing_names import RAW_SCHEMA, match_tables
from pay_ready.sources.landing_read import Remark, StreamReading, Terms
from pay_ready.sources.landing_state import Decision, Known, decide, known_of
from pay_ready.sources.landing_streams import TableStream, configured_stream, shape_of
from pay_ready.sources.outcome import RunOutcome
from pay_ready.sources.protocol import Message, Record, StreamDescriptor, StreamStatus, TraceError
from pay_ready.sources.ranges import DatedBy, RecordRange, Ruler

LAG_S = 86_400.0
PAGE_ROWS = 200_000
_TIMES = ("timestamp", "date")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Planned:
    """What is to be done about a stream, and on what grounds."""

    stream: TableStream
    table: DestinationTable
    known: Known
    decision: Decision


def find_tables(url: str, schemas: Sequence[str], *, raw_schema: str = RAW_SCHEMA, setting: str = "destination") -> list[DestinationTable]:
    """The tables of a destination in these schemas, and the raw ones; with those that this login may not read.

    Raises:
        ConfigError, DeniedError, TransientError: As `open_destination`.
    """
    with open_destination(url, setting=setting) as destination:
        return destination.tables([*schemas, raw_schema])


class LandingTables:
    """The tables of one connection: `plan` is the Plan of a sync, the object itself its Connector.

    Args:
        url: The destination's database: this one or another. It stands in no error.
        streams: The connection's streams.
        upto_sync: The job to read: the newest one at its end. None when nobody knows of jobs.
        job_succeeded: Whether that job did.
        lag_s: How far rows that do not say by which job they came are read again, in seconds.
        page_rows: Rows of one statement.
        setting: What holds the URL, for errors.
        raw_schema: Where version 2 of the destination keeps its raw tables.
    """

    def __init__(
        self,
        url: str,
        streams: Sequence[TableStream],
        *,
        upto_sync: int | None,
        job_succeeded: bool = True,
        lag_s: float = LAG_S,
        page_rows: int = PAGE_ROWS,
        setting: str = "destination",
        raw_schema: str = RAW_SCHEMA,
        limits: ReadLimits | None = None,
    ) -> None:
        self._url, self._streams, self._setting, self._limits = url, tuple(streams), setting, limits
        self._terms = Terms(upto_sync=upto_sync, job_succeeded=job_succeeded, lag_us=round(lag_s * 1_000_000), page_rows=page_rows)
        self._schemas = sorted({stream.schema for stream in streams} | {raw_schema})
        self._planned: dict[StreamDescriptor, _Planned] = {}
        self._remarks: dict[tuple[StreamDescriptor, str], str] = {}

    @property
    def remarks(self) -> list[str]:
        """What is worth knowing about the readings so far, one line each; names and counts only."""
        return [f"{stream}: {text}" for (stream, _), text in self._remarks.items()]

    def plan(self, states: Mapping[str, StreamState], /) -> ConfiguredCatalog:
        """The streams whose tables are there, each to be read for its news or as a refresh; notes on the others.

        Raises:
            ConfigError: A stream fits several tables, its key is no column, or its state is of another kind.
            DeniedError: The server refuses this login.
            TransientError: The destination is away.
        """
        known = {stream: known_of(states.get(str(stream.descriptor))) for stream in self._streams}
        with open_destination(self._url, setting=self._setting, limits=self._limits) as destination:
            tables = match_tables(self._streams, destination.tables(self._schemas))
            readable = {stream: table for stream, table in tables.items() if table.readable}
            self._planned = {
                stream.descriptor: self._plan_of(destination, stream, table, known[stream]) for stream, table in readable.items()
            }
        configured = [configured_stream(each.stream, each.table, is_refresh=_is_refresh(each)) for each in self._planned.values()]
        notes = [_note(stream, tables.get(stream), known[stream]) for stream in self._streams if stream not in readable]
        return ConfiguredCatalog(streams=tuple(configured), sync_id=self._terms.upto_sync or 0, notes=tuple(notes))

    def __call__(
        self, config: Mapping[str, object], catalog: ConfiguredCatalog, state: Sequence[bytes], /
    ) -> AbstractContextManager["TablesReading"]:
        """A reading of the catalog's streams as they were planned."""
        del config, state  # the URL is ours, and the states were read when it was planned
        return self._reading([self._planned[descriptor] for descriptor in catalog.descriptors])

    def within(self, records: RecordRange) -> Callable[..., AbstractContextManager["TablesReading"]]:
        """The same, for a range of time alone: where a column of times dates the rows, the server leaves out the others."""

        def read(
            config: Mapping[str, object], catalog: ConfiguredCatalog, state: Sequence[bytes], /
        ) -> AbstractContextManager["TablesReading"]:
            del config, state
            return self._reading([self._planned[descriptor] for descriptor in catalog.descriptors], records)

        return read

    def count_rows(self, cursors: Mapping[str, FieldPath], ruler: Ruler, dated_by: DatedBy) -> Mapping[str, Sequence[int]]:
        """Rows in each of the ruler's ranges, by stream, of those streams whose rows a column of times dates."""
        planned = {str(descriptor): each for descriptor, each in self._planned.items()}
        dated = {name: _dating_column(planned[name], cursor, dated_by) for name, cursor in cursors.items() if name in planned}
        with open_destination(self._url, setting=self._setting, limits=self._limits) as destination:
            return {name: rows_between(destination, planned[name].table, column, ruler.marks) for name, column in dated.items() if column}

    @contextmanager
    def _reading(self, planned: Sequence[_Planned], records: RecordRange | None = None) -> Iterator["TablesReading"]:
        lock = [(each.table.schema, each.table.name) for each in planned]
        with open_destination(self._url, setting=self._setting, limits=self._limits, lock=lock) as destination:
            now = {table.oid: table for table in destination.tables(self._schemas)}
            for each in planned:
                self._refuse_changed(destination, each, now.get(each.table.oid))
            readings = [(each.stream.descriptor, self._stream_reading(each, records)) for each in planned]
            yield TablesReading(destination, readings)

    def _plan_of(self, destination: Destination, stream: TableStream, table: DestinationTable, known: Known) -> _Planned:
        decision = decide(destination, stream, table, known, self._terms.upto_sync)
        return _Planned(stream=stream, table=table, known=known, decision=decision)

    def _refuse_changed(self, destination: Destination, then: _Planned, table: DestinationTable | None) -> None:
        """What was planned must hold in the snapshot that is read: nothing may be dropped on the grounds of an earlier one."""
        where = {"stream": then.stream, "setting": self._setting}
        if table is None or (table.schema, table.name, table.columns) != (then.table.schema, then.table.name, then.table.columns):
            raise TransientError("the table was replaced or altered after it was planned to be read", "it is planned anew", **where)
        if self._plan_of(destination, then.stream, table, then.known).decision != then.decision:
            raise TransientError("the table's rows changed after it was planned to be read", "it is planned anew", **where)

    def _stream_reading(self, planned: _Planned, records: RecordRange | None) -> StreamReading | None:
        remark: Remark = partial(self._remark, planned.stream.descriptor)
        match planned.decision:
            case Decision(kind="later", why=why):
                remark("later", f"{why}, by a job after {self._terms.upto_sync}: left for the next run")
                return None
            case Decision(kind="refresh", why=why):
                remark("refresh", f"{why}: all of it is read, and what it has no longer is dropped")
        return StreamReading(
            planned.stream, planned.table, planned.known, self._terms, remark, is_refresh=_is_refresh(planned),
            between=_between(planned, records),
        )  # fmt: skip

    def _remark(self, stream: StreamDescriptor, topic: str, text: str) -> None:
        self._remarks[stream, topic] = text


class TablesReading:
    """One attempt: the streams one after the other. A table that cannot be read stops no other."""

    def __init__(self, destination: Destination, readings: Sequence[tuple[StreamDescriptor, StreamReading | None]]) -> None:
        self._destination, self._readings = destination, readings
        self._statuses: dict[StreamDescriptor, str] = {stream: "" for stream, _ in readings}
        self._errors: list[TraceError] = []
        self._records: Counter[StreamDescriptor] = Counter()

    def batches(self) -> Iterator[list[Message]]:
        """The messages of all streams.

        Raises:
            TransientError: The connection was lost, or the server gave up: what is covered by a state stays.
        """
        for stream, reading in self._readings:
            try:
                with self._destination.savepoint():
                    if reading is None:
                        yield [StreamStatus(stream, "COMPLETE")]
                    else:
                        for messages in reading.messages(self._destination):
                            self._records[stream] += sum(isinstance(message, Record) for message in messages)
                            yield messages
            except TransientError:
                raise
            except PayReadyError as error:
                self._errors.append(TraceError(str(error), "config_error", stream=stream))
                self._statuses[stream] = "INCOMPLETE"
            else:
                self._statuses[stream] = "COMPLETE"

    @property
    def outcome(self) -> RunOutcome:
        """How it went, by stream."""
        return RunOutcome(
            connector="landing tables", exit_code=0, statuses=self._statuses, errors=tuple(self._errors), records=dict(self._records)
        )


def _is_refresh(planned: _Planned) -> bool:
    return planned.decision.kind == "refresh"


def _between(planned: _Planned, records: RecordRange | None) -> Between | None:
    """What of a range the server can tell; landing looks at each record again."""
    if records is None:
        return None
    column = _dating_column(planned, planned.stream.cursor_field, records.dated_by)
    return Between(column=column, start=records.start, end=records.end) if column else None


def _dating_column(planned: _Planned, cursor: FieldPath, dated_by: DatedBy) -> str | None:
    """The column that dates a stream's rows, if it is one of times."""
    if dated_by == "extracted":
        return planned.table.moment_column
    if planned.table.layout == "raw" or len(cursor) != 1:
        return None
    names = shape_of(planned.stream, planned.table).names
    kinds = {column.name: column.type for column in planned.table.columns}
    found = [column for column, name in names.items() if cursor[0] in (name, column)]
    return found[0] if len(found) == 1 and kinds[found[0]].partition("(")[0].startswith(_TIMES) else None


def _note(stream: TableStream, table: DestinationTable | None, known: Known) -> str:
    """Why a stream is not read."""
    if table is not None:
        return f"stream {stream}: this login may not read {table}; its owner can grant that"
    was_read = known.state is not None or known.owes_refresh
    where = f"schema {stream.schema}" if stream.table is None else f"{stream.table}, in schema {stream.schema}"
    if was_read:
        return f"stream {stream}: its table is gone from {where}; nothing of it was dropped"
    return f"stream {stream}: there is no table of it in {where}; has it been synced yet?"
