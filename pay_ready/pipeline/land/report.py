"""What a sync did, in figures."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from statistics import median
from typing import Literal

from pay_ready.db.landing import StreamRun
from pay_ready.errors import CountError, PartialError, PayReadyError, PublishHeldError, TransientError
from pay_ready.model.ids import RunId
from pay_ready.pipeline.land.findings import JobReport

RunStatus = Literal["complete", "partial", "failed"]
VolumeWord = Literal["usual", "high", "low", "first"]

# Records: a stream that brings some rows more than it ever did is no news.
_FEW = 100
_COUNTED = ("emitted", "landed", "unchanged", "superseded", "deleted", "quarantined", "suppressed")
# Runs: after its first load a stream brings little, and nobody knows yet how little is usual.
_LEAST_HISTORY = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamVolume:
    """Records of a stream beside those of its last complete runs, ten at most, that came in the same way.

    low: fewer than half of the least of them. high: more than twice the most of them, and a hundred more; both only when there
    are three at least. first: there are none. Else usual.
    """

    emitted: int
    runs: int
    median: float | None
    least: int | None
    most: int | None
    word: VolumeWord


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamReport:
    """One stream: what became of its records, and its highest cursor (as sortable text, maybe personal) before and after."""

    stream: str
    status: str
    emitted: int
    landed: int
    unchanged: int
    superseded: int
    deleted: int
    quarantined: int
    tombstoned: int
    watermark_before: str
    watermark_after: str
    skipped: int = 0  # records outside of a backfill's range
    undated: int = 0  # records without a date, so that no backfill can ask for them
    suppressed: int = 0  # records of people who were erased
    flagged: int = 0  # records in which source or destination had to change a value
    volume: StreamVolume | None = None

    @property
    def landing_holds(self) -> bool:
        """emitted = landed + unchanged + superseded + deleted + quarantined + suppressed."""
        accounted = self.landed + self.unchanged + self.superseded + self.deleted + self.quarantined + self.suppressed
        return self.emitted == accounted


@dataclass(frozen=True, slots=True, kw_only=True)
class Unbelieved:
    """A refresh that dropped nothing, in rows: of `live` ones it no longer listed `gone`."""

    stream: str
    live: int
    gone: int
    reason: Literal["shrink", "unreadable"]  # too many at once, or records that nobody could read may have been among them

    def __str__(self) -> str:
        if self.reason == "shrink":
            return f"{self.stream}: the source lists {self.gone} of {self.live} rows no longer; nothing was dropped"
        return f"{self.stream}: records could not be read, so {self.gone} rows may only seem to be gone; nothing was dropped"


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncReport:
    """One run of one source."""

    run_id: RunId
    source: str
    status: RunStatus
    seconds: float
    attempts: int
    streams: Sequence[StreamReport]
    notes: Sequence[str] = ()  # why it is not complete, for example why a refresh dropped nothing
    remarks: Sequence[str] = ()  # worth knowing, and no failure
    aborted_runs: int = 0  # runs of dead processes that this one closed
    error: PayReadyError | None = None
    seconds_by_step: Mapping[str, float] = field(default_factory=dict)  # steps may overlap
    schema_changes: Mapping[str, Sequence[str]] = field(default_factory=dict)  # by stream: fields that are new, gone or retyped
    unbelieved: Sequence[Unbelieved] = ()
    job: JobReport | None = None

    @property
    def emitted(self) -> int:
        """Records read from the source."""
        return sum(stream.emitted for stream in self.streams)

    @property
    def landed(self) -> int:
        """Records that stand as new or changed rows."""
        return sum(stream.landed for stream in self.streams)

    def raise_for_failure(self) -> None:
        """Raise what ended the run.

        Raises:
            PayReadyError: The run failed, or is partial (PartialError).
            TransientError: The same run may succeed later, whatever is complete already.
        """
        if self.error and (self.status == "failed" or isinstance(self.error, PublishHeldError | TransientError)):
            raise self.error
        if self.status != "complete":
            why = self.error.what if self.error else "; ".join(self.notes) or "not every stream is complete"
            hint = "run again; or pass --accept-shrink when rows are really gone" if self.notes else "run again: it goes on from there"
            raise PartialError(f"the sync is partial: {why}", hint, source=self.source, run=self.run_id)


def stream_reports(
    runs: Sequence[StreamRun], before: Mapping[str, str], after: Mapping[str, str], earlier: Mapping[str, Sequence[int]]
) -> tuple[StreamReport, ...]:
    """Reports from the stored counts, and by stream the watermarks and the records of earlier runs."""
    shared = {each.name for each in fields(StreamReport)} & {each.name for each in fields(StreamRun)}
    return tuple(
        StreamReport(
            **{name: getattr(run, name) for name in shared},
            watermark_before=before.get(run.stream, ""),
            watermark_after=after.get(run.stream, ""),
            volume=volume_of(run.emitted, earlier.get(run.stream, ())),
        )
        for run in runs
    )


def volume_of(emitted: int, earlier: Sequence[int]) -> StreamVolume:
    """How many records a stream brought, beside what it brought in earlier runs."""
    if not earlier:
        return StreamVolume(emitted=emitted, runs=0, median=None, least=None, most=None, word="first")
    least, most = min(earlier), max(earlier)
    word: VolumeWord = "usual"
    if len(earlier) >= _LEAST_HISTORY and emitted * 2 < least:
        word = "low"
    elif len(earlier) >= _LEAST_HISTORY and emitted > most * 2 and emitted - most > _FEW:
        word = "high"
    return StreamVolume(emitted=emitted, runs=len(earlier), median=float(median(earlier)), least=least, most=most, word=word)


def require_landing_equation(run: RunId, streams: Sequence[StreamReport]) -> None:
    """emitted = landed + unchanged + superseded + deleted + quarantined + suppressed, for each stream.

    Raises:
        CountError: It does not hold; names the run, the stream and the counts.
    """
    for stream in streams:
        if not stream.landing_holds:
            counts = {name: getattr(stream, name) for name in _COUNTED}
            raise CountError(
                "the counts of a run do not add up", "check it with: pay-ready verify", run=run, stream=stream.stream, **counts
            )
