"""What a sync did, in figures."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from pay_ready.db.landing import StreamRun
from pay_ready.errors import ContractError, PartialError, PayReadyError, TransientError
from pay_ready.model.ids import RunId

RunStatus = Literal["complete", "partial", "failed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamReport:
    """One stream: what became of its records, and its highest cursor (as sortable text) before and after."""

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
        if self.error and (self.status == "failed" or isinstance(self.error, TransientError)):
            raise self.error
        if self.status != "complete":
            why = self.error.what if self.error else "; ".join(self.notes) or "not every stream is complete"
            hint = "run again; or pass --accept-shrink when rows are really gone" if self.notes else "run again: it goes on from there"
            raise PartialError(f"the sync is partial: {why}", hint, source=self.source, run=self.run_id)


class StreamReportV1(BaseModel):
    """One stream in the column `sync_runs.report`. Without its watermarks: they may be personal."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    stream: str
    status: str
    emitted: int
    landed: int
    unchanged: int
    superseded: int
    deleted: int
    quarantined: int
    tombstoned: int


class SyncReportV1(BaseModel):
    """The column `sync_runs.report`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    schema_version: Literal[1] = 1
    seconds: float
    attempts: int
    streams: tuple[StreamReportV1, ...]
    notes: tuple[str, ...] = ()


def stored(report: SyncReport) -> dict[str, Any]:
    """The report as its column holds it."""
    kept = set(StreamReportV1.model_fields)
    streams = [{key: value for key, value in asdict(stream).items() if key in kept} for stream in report.streams]
    column = SyncReportV1.model_validate(
        {"seconds": report.seconds, "attempts": report.attempts, "streams": streams, "notes": tuple(report.notes)}
    )
    return column.model_dump(mode="json")


def read_report(column: Mapping[str, Any]) -> SyncReportV1:
    """A stored report of any version.

    Raises:
        ContractError: The version is unknown, or the column is not of its shape.
    """
    if column.get("schema_version") != 1:
        raise ContractError("a report of an unknown version", "upgrade pay-ready", version=column.get("schema_version"))
    try:
        return SyncReportV1.model_validate(dict(column))
    except ValidationError:
        raise ContractError("a report is not of its shape", column="sync_runs.report") from None


def stream_reports(runs: Sequence[StreamRun], before: Mapping[str, str], after: Mapping[str, str]) -> tuple[StreamReport, ...]:
    """Reports from the stored counts and the watermarks by stream."""
    shared = {each.name for each in fields(StreamReport)} & {each.name for each in fields(StreamRun)}
    return tuple(
        StreamReport(
            **{name: getattr(run, name) for name in shared},
            watermark_before=before.get(run.stream, ""),
            watermark_after=after.get(run.stream, ""),
        )
        for run in runs
    )
