"""Progress of long work: bars on a terminal, plain lines without one. Always on standard error."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from pay_ready.cli.output import note
from pay_ready.model.progress import Progress, ProgressEvent, no_progress

if TYPE_CHECKING:
    from rich.progress import TaskID

_LINE_EVERY_S = 5.0  # without a terminal, a part speaks at most this often


@contextmanager
def shown_progress(*, quiet: bool = False) -> Iterator[Progress]:
    """A progress function that draws; silent when `quiet`."""
    if quiet:
        yield no_progress
    elif sys.stderr.isatty():
        with _bars() as progress:
            yield progress
    else:
        lines = _Lines()
        yield lines
        lines.close()


class _Lines:
    """One line when a part begins to take long, and one when the next part begins."""

    def __init__(self) -> None:
        self._last: ProgressEvent | None = None
        self._spoke_at = time.monotonic()

    def __call__(self, event: ProgressEvent) -> None:
        part = (event.step, event.subject)
        if self._last is not None and (self._last.step, self._last.subject) != part:
            self._speak(self._last)
        elif time.monotonic() - self._spoke_at >= _LINE_EVERY_S:
            self._speak(event)
        self._last = event

    def close(self) -> None:
        """The last part's line."""
        if self._last is not None:
            self._speak(self._last)

    def _speak(self, event: ProgressEvent) -> None:
        of = f" of {event.total:,}" if event.total is not None else ""
        detail = f" - {_detail(event)}" if _detail(event) else ""
        note(f"{event.step} {event.subject}: {event.done:,}{of}{detail}")
        self._spoke_at = time.monotonic()


def _detail(event: ProgressEvent) -> str:
    """What there is to say beside the figures of a bar: where it is, how fast, how long yet."""
    rate = f"{event.rows_per_s:,.0f} rows/s" if event.rows_per_s is not None else ""
    left = f"{_duration(event.left_s)} left" if event.left_s else ""
    return ", ".join(filter(None, (event.detail, rate, left)))


def _duration(seconds: float) -> str:
    """1:02:03, or 2:03 when there is no hour in it."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


@contextmanager
def _bars() -> Iterator[Progress]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, SpinnerColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bars

    columns = (
        SpinnerColumn(), TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
        TextColumn("{task.fields[detail]}", markup=False),
    )  # fmt: skip
    tasks: dict[tuple[str, str], TaskID] = {}
    with Bars(*columns, console=Console(stderr=True)) as bars:

        def progress(event: ProgressEvent) -> None:
            part = (event.step, event.subject)
            if part not in tasks:
                tasks[part] = bars.add_task(f"{event.step} {event.subject}", total=event.total, detail="")
            bars.update(tasks[part], completed=event.done, total=event.total, detail=_detail(event))

        yield progress
