"""What is found out during a run beside its records: time by step, changes of schemas, the job of the platform."""

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TypeVar

T = TypeVar("T")


@dataclass(slots=True)
class StepClock:
    """Seconds by step. Steps may overlap (rows are committed while more are read), so they need not add up to the run's."""

    clock: Callable[[], float] = time.perf_counter
    seconds: dict[str, float] = field(default_factory=dict)

    def add(self, step: str, seconds: float) -> None:
        """Add to a step. Each step belongs to one thread at a time."""
        self.seconds[step] = self.seconds.get(step, 0.0) + seconds

    @contextmanager
    def measured(self, step: str) -> Iterator[None]:
        """The time that the block takes, also when it fails."""
        begun = self.clock()
        try:
            yield
        finally:
            self.add(step, self.clock() - begun)

    def waited(self, step: str, items: Iterable[T]) -> Iterator[T]:
        """The items, and the time that was spent in waiting for each of them."""
        iterator = iter(items)
        while True:
            with self.measured(step):
                try:
                    item = next(iterator)
                except StopIteration:
                    return
            yield item


@dataclass(frozen=True, slots=True, kw_only=True)
class JobReport:
    """The job of a platform that brought the rows to where they were read."""

    job_id: int | None
    connection_id: str
    outcome: str  # succeeded, failed, cancelled, lost, not_started, or the platform's own word while nobody knows its end
    is_adopted: bool  # found under way, not started by us
    attempts: int | None = None
    rows_synced: int | None = None
    bytes_synced: int | None = None
    failure: str = ""  # the platform's reason, masked


@dataclass(slots=True, kw_only=True)
class RunFindings:
    """Filled by whoever finds something, read when the run is closed."""

    clock: StepClock = field(default_factory=StepClock)
    schema_changes: dict[str, list[str]] = field(default_factory=dict)  # by stream, a line each; names and types, no values
    notes: list[str] = field(default_factory=list)  # why the run is not complete
    remarks: list[str] = field(default_factory=list)  # worth knowing, and no failure
    job: JobReport | None = None
