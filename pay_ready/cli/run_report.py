"""Reports of runs as people and programs read them."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from pay_ready.cli.output import as_plain, print_table, say

if TYPE_CHECKING:  # heavy; --help must not load them
    from pay_ready.pipeline.land.findings import JobReport
    from pay_ready.pipeline.land.report import SyncReport
    from pay_ready.pipeline.run_column import HeldStreamV2, JobV2

_FIGURES = ("emitted", "landed", "unchanged", "superseded", "deleted", "quarantined", "suppressed")
_VOLUME = ("stream", "records", "volume", "usually", "least", "most", "of runs", "watermark before", "after")

_STEPS = ("trigger", "watch", "plan", "read", "write", "stage")  # in the order in which they begin; others come after them


class Volume(Protocol):
    """StreamVolume, and the stored form of it."""

    @property
    def emitted(self) -> int: ...
    @property
    def runs(self) -> int: ...
    @property
    def median(self) -> float | None: ...
    @property
    def least(self) -> int | None: ...
    @property
    def most(self) -> int | None: ...
    @property
    def word(self) -> str: ...


def print_syncs(reports: Sequence["SyncReport"], *, show_text: bool = False) -> None:
    """What became of the records of each stream, how many there usually are, and what else is to be said of each run."""
    rows = (
        (report.source, each.stream, each.status, *(getattr(each, figure) for figure in _FIGURES), each.tombstoned or None,
         each.flagged or None)
        for report in reports
        for each in report.streams
    )  # fmt: skip
    print_table(("source", "stream", "status", *_FIGURES, "tombstoned", "flagged"), rows)
    print_table(("source", *_VOLUME), _volume_rows(reports, show_text=show_text))
    for report in reports:
        say_run(report)


def say_run(report: "SyncReport", *, said: str = "") -> None:
    """A sync in lines: where its time went, what it found, why it is not complete; but for what was `said` already."""
    say(f"{report.source}: run {report.run_id}, {report.status}, {steps_line(report.seconds, report.seconds_by_step)}")
    if report.job:
        say(f"{report.source}: {job_line(report.job)}")
    for stream, lines in report.schema_changes.items():
        for line in lines:
            say(f"{report.source}/{stream}: {line}")
    for text in (*report.notes, *report.remarks):
        if text not in said:
            say(f"{report.source}: {text}")


def unusual_volumes(report: "SyncReport") -> Iterator[str]:
    """A line for each stream that brought more or less than it usually does."""
    for each in report.streams:
        if each.volume and each.volume.word in ("low", "high"):
            low_or_high = f"{each.volume.word}: {each.emitted:,} records, usually {usually(each.volume)}"
            yield f"{report.source}/{each.stream}: volume is {low_or_high}"


def usually(volume: Volume) -> str:
    """The median of earlier runs, and between which bounds they were."""
    return f"{volume.median:,.0f} ({volume.least:,} to {volume.most:,} in {volume.runs} runs)" if volume.runs else "nothing yet"


def volume_cells(volume: Volume | None) -> Sequence[object]:
    """The cells of a table that shows volumes: word, median, least, most, runs."""
    if volume is None:
        return ("", "", "", "", "")
    return (volume.word, "" if volume.median is None else f"{volume.median:,.0f}", volume.least, volume.most, volume.runs)


def steps_line(seconds: float, by_step: Mapping[str, float]) -> str:
    """How long it took, and where the time went; steps may overlap."""
    order = sorted(by_step, key=lambda step: (_STEPS.index(step) if step in _STEPS else len(_STEPS), step))
    steps = ", ".join(f"{step} {by_step[step]:.1f} s" for step in order)
    return f"{seconds:.1f} s" + (f" ({steps})" if steps else "")


def job_line(job: "JobReport | JobV2") -> str:
    """The platform's job in a line."""
    parts = [f"job {job.job_id or '(unknown)'} of connection {job.connection_id}: {job.outcome}"]
    if job.is_adopted:
        parts.append("found under way and adopted")
    if job.attempts is not None:
        parts.append(f"{job.attempts} attempts")
    if job.rows_synced is not None:
        parts.append(f"{job.rows_synced:,} rows")
    if job.failure:
        parts.append(job.failure)
    return ", ".join(parts)


def held_line(held: "HeldStreamV2") -> str:
    """Why nothing was published, for one stream."""
    why = "the refresh lists" if held.reason == "refresh_not_believed" else "there are"
    return f"{held.stream}: {held.before:,} rows when published last, now {why} {held.now:,}"


def with_readable_watermarks(plain: Any, *, show_text: bool = False) -> Any:
    """A report as JSON knows it, its watermarks readable: texts among them, which may be about people, only when asked for."""
    from pay_ready.pipeline.watermarks import readable_watermark

    if isinstance(plain, list):
        return [with_readable_watermarks(each, show_text=show_text) for each in plain]
    if not isinstance(plain, dict):
        return plain
    return {
        key: readable_watermark(value, show_text=show_text)
        if key in ("watermark_before", "watermark_after") and isinstance(value, str)
        else with_readable_watermarks(value, show_text=show_text)
        for key, value in plain.items()
    }


def plain_report(report: object, *, show_text: bool = False) -> Any:
    """A report of a run for `print_json`."""
    return with_readable_watermarks(as_plain(report), show_text=show_text)


def _volume_rows(reports: Sequence["SyncReport"], *, show_text: bool) -> Iterator[Sequence[object]]:
    from pay_ready.pipeline.watermarks import readable_watermark

    for report in reports:
        for each in report.streams:
            marks = (readable_watermark(mark, show_text=show_text) for mark in (each.watermark_before, each.watermark_after))
            yield (report.source, each.stream, each.emitted, *volume_cells(each.volume), *marks)
