"""How fast a backfill goes, and how long it will take."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from pay_ready.db.backfills import Chunk
from pay_ready.model.progress import Progress, ProgressEvent


@dataclass(slots=True, kw_only=True)
class Pace:
    """Tells the progress of a backfill: chunks done, rows read, rows a second, seconds left. Safe for threads.

    The time left follows the records that are expected where they are known, else the chunks.
    """

    source: str
    chunks: int  # of the plan
    done: int  # of them, before
    expected: int | None  # records of the chunks that wait
    progress: Progress
    clock: Callable[[], float] = time.monotonic
    _begun_at: float = field(init=False)
    _done_before: int = field(init=False)
    _rows: int = 0  # of chunks that are through
    _reading: dict[datetime, dict[str, int]] = field(default_factory=dict)  # of the chunks under way, by stream
    _label: str = ""
    _lock: threading.RLock = field(default_factory=threading.RLock)

    def __post_init__(self) -> None:
        self._begun_at, self._done_before = self.clock(), self.done

    def begin(self, chunk: Chunk) -> Progress:
        """A chunk begins; its sync is to tell the result how much of a stream it has read."""
        with self._lock:
            self._label = f"{chunk.start:%Y-%m-%d}" if chunk.start.hour == chunk.start.minute == 0 else f"{chunk.start:%Y-%m-%d %H:%M}"
            self._reading[chunk.start] = {}
            self._tell()

        def read(event: ProgressEvent) -> None:
            with self._lock:
                self._reading.setdefault(chunk.start, {})[event.subject] = event.done
                self._tell()

        return read

    def end(self, chunk: Chunk, *, complete: bool) -> None:
        """The chunk is through."""
        with self._lock:
            self._rows += sum(self._reading.pop(chunk.start, {}).values())
            self.done += complete
            self._tell()

    def _tell(self) -> None:
        rows = self._rows + sum(sum(streams.values()) for streams in self._reading.values())
        elapsed_s = max(self.clock() - self._begun_at, 1e-6)
        self.progress(ProgressEvent(
            step="backfill", subject=self.source, done=self.done, total=self.chunks, detail=f"{self._label}, {rows:,} rows",
            rows_per_s=rows / elapsed_s, left_s=self._left_s(rows, elapsed_s),
        ))  # fmt: skip

    def _left_s(self, rows: int, elapsed_s: float) -> float | None:
        if self.done >= self.chunks:
            return 0.0
        if self.expected and rows:
            return max(self.expected - rows, 0) * elapsed_s / rows
        through = self.done - self._done_before
        return (self.chunks - self.done) * elapsed_s / through if through else None
