"""The column `sync_runs.report`: what is kept of a run's report, and a reader for every version ever written."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from pay_ready.db import runs
from pay_ready.db.tenancy import TenantTransaction
from pay_ready.errors import ContractError
from pay_ready.model.ids import RunId
from pay_ready.pipeline.land.report import SyncReport, VolumeWord

# Lines a stream: a table of two thousand columns that all changed must not fill the column.
_MOST_CHANGES = 100
_LONGEST_LINE = 500


class _Stored(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class StreamReportV1(_Stored):
    """One stream. Without its watermarks: they may be personal, and stand in `stream_runs`."""

    stream: str
    status: str
    emitted: int
    landed: int
    unchanged: int
    superseded: int
    deleted: int
    quarantined: int
    tombstoned: int


class SyncReportV1(_Stored):
    """The column before schema changes, volumes and times by step."""

    schema_version: Literal[1] = 1
    seconds: float
    attempts: int
    streams: tuple[StreamReportV1, ...]
    notes: tuple[str, ...] = ()


class StreamVolumeV2(_Stored):
    """Model StreamVolume."""

    emitted: int
    runs: int
    median: float | None
    least: int | None
    most: int | None
    word: VolumeWord


class StreamReportV2(StreamReportV1):
    """One stream, still without its watermarks."""

    suppressed: int = 0
    flagged: int = 0
    skipped: int = 0
    undated: int = 0
    volume: StreamVolumeV2 | None = None


class UnbelievedV2(_Stored):
    """Model Unbelieved."""

    stream: str
    live: int
    gone: int
    reason: Literal["shrink", "unreadable"]


class JobV2(_Stored):
    """Model JobReport."""

    job_id: int | None
    connection_id: str
    outcome: str
    is_adopted: bool
    attempts: int | None = None
    rows_synced: int | None = None
    bytes_synced: int | None = None
    failure: str = ""


class HeldStreamV2(_Stored):
    """A stream because of which nothing was published after the run: rows when published last, and now."""

    stream: str
    before: int
    now: int
    reason: Literal["fewer_rows", "refresh_not_believed"]


class SyncReportV2(_Stored):
    """The column as it is written now."""

    schema_version: Literal[2] = 2
    seconds: float
    attempts: int
    streams: tuple[StreamReportV2, ...]
    notes: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    seconds_by_step: dict[str, float] = Field(default_factory=dict)
    schema_changes: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    unbelieved: tuple[UnbelievedV2, ...] = ()
    job: JobV2 | None = None
    held: tuple[HeldStreamV2, ...] = ()


def stored(report: SyncReport) -> dict[str, Any]:
    """The report as its column holds it."""
    kept = set(StreamReportV2.model_fields)
    column = SyncReportV2.model_validate({
        "seconds": report.seconds,
        "attempts": report.attempts,
        "streams": [{key: value for key, value in asdict(stream).items() if key in kept} for stream in report.streams],
        "notes": tuple(report.notes),
        "remarks": tuple(report.remarks),
        "seconds_by_step": dict(report.seconds_by_step),
        "schema_changes": {stream: _bounded(changes) for stream, changes in report.schema_changes.items()},
        "unbelieved": [asdict(each) for each in report.unbelieved],
        "job": asdict(report.job) if report.job else None,
    })  # fmt: skip
    return column.model_dump(mode="json")


def plain_report(*notes: str) -> dict[str, Any]:
    """The column of a run that is more a record than a sync, as the replay of quarantined rows is."""
    return SyncReportV2(seconds=0.0, attempts=1, streams=(), notes=notes).model_dump(mode="json")


def read_report(column: Mapping[str, Any]) -> SyncReportV2:
    """A stored report of any version.

    Raises:
        ContractError: The version is unknown, or the column is not of its version's shape.
    """
    reader = _READERS.get(column.get("schema_version", 0))
    if reader is None:
        raise ContractError(
            "a report of an unknown version", "upgrade pay-ready", found=column.get("schema_version"), known=sorted(_READERS)
        )
    try:
        return reader(column)
    except ValidationError:
        raise ContractError("a report is not of its shape", column="sync_runs.report") from None


def amend_report(tx: TenantTransaction, run: RunId, change: Callable[[SyncReportV2], SyncReportV2]) -> bool:
    """Add to a stored report what came after the run, in the newest version; False when there is no report yet."""
    column = runs.lock_report(tx, run)
    if column is None:
        return False
    runs.put_report(tx, run, change(read_report(column)).model_dump(mode="json"))
    return True


def with_step(report: SyncReportV2, step: str, seconds: float) -> SyncReportV2:
    """The report with the seconds of a further step, added to those it has."""
    spent = round(report.seconds_by_step.get(step, 0.0) + seconds, 3)
    return report.model_copy(update={"seconds_by_step": {**report.seconds_by_step, step: spent}})


def _bounded(changes: Sequence[str]) -> tuple[str, ...]:
    lines = tuple(line if len(line) <= _LONGEST_LINE else line[:_LONGEST_LINE] + "…" for line in changes)
    if len(lines) <= _MOST_CHANGES:
        return lines
    return (*lines[:_MOST_CHANGES], f"and {len(lines) - _MOST_CHANGES} more")


def _read_v1(column: Mapping[str, Any]) -> SyncReportV2:
    old = SyncReportV1.model_validate(dict(column))
    streams = tuple(StreamReportV2.model_validate(stream.model_dump()) for stream in old.streams)
    return SyncReportV2(seconds=old.seconds, attempts=old.attempts, streams=streams, notes=old.notes)


def _read_v2(column: Mapping[str, Any]) -> SyncReportV2:
    return SyncReportV2.model_validate(dict(column))


_READERS: Final[Mapping[int, Callable[[Mapping[str, Any]], SyncReportV2]]] = {1: _read_v1, 2: _read_v2}
