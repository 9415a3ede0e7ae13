"""Processes of one step, a tenant each, so many at once."""

import json
import signal
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pay_ready.model.progress import Progress, ProgressEvent

_LOOK_S = 0.05
_KILLED_AFTER_S = 30.0  # once told to stop: a step rolls back, and gives its lease back


@dataclass(frozen=True, slots=True, kw_only=True)
class TenantEnd:
    """How the step ended for a tenant."""

    tenant: str
    exit_code: int
    seconds: float
    said: str  # the last line on its standard error
    report: Any  # what its --json gave; None where it gave nothing


def side_by_side(step: str, slugs: Sequence[str], options: Sequence[str], jobs: int, progress: Progress) -> list[TenantEnd]:
    """Run a step for tenants, at most `jobs` at once; by tenant, in the order given. What interrupts this ends them, too."""
    waiting, running, ended = deque(slugs), dict[str, _Child](), dict[str, TenantEnd]()
    with tempfile.TemporaryDirectory(prefix="pay-ready-") as folder, _stopped_at_the_end(running):
        while waiting or running:
            while waiting and len(running) < jobs:
                slug = waiting.popleft()
                with _interrupted_later():
                    running[slug] = _Child.start(step, slug, options, Path(folder))
            over = [slug for slug, child in running.items() if child.process.poll() is not None]
            for slug in over:
                ended[slug] = running.pop(slug).end(slug)
                progress(ProgressEvent(step=step, subject="tenants", done=len(ended), total=len(slugs), detail=slug))
            if not over:
                time.sleep(_LOOK_S)
    return [ended[slug] for slug in slugs]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Child:
    process: "subprocess.Popen[bytes]"
    out: Path
    err: Path
    began: float

    @classmethod
    def start(cls, step: str, slug: str, options: Sequence[str], folder: Path) -> "_Child":
        out, err = folder / f"{slug}.out", folder / f"{slug}.err"
        # Last, so that no option names another tenant.
        command = [sys.executable, "-m", "pay_ready.cli.main", "run", step, *options, "--json", "--tenant", slug]
        with out.open("wb") as told, err.open("wb") as said:
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=told, stderr=said)
        return cls(process=process, out=out, err=err, began=time.monotonic())

    def end(self, slug: str) -> TenantEnd:
        lines = self.err.read_text("utf-8", "replace").splitlines()
        text = self.out.read_text("utf-8", "replace")
        code = self.process.returncode
        return TenantEnd(
            tenant=slug,
            exit_code=code if code >= 0 else 128 - code,  # as a shell tells it of who was killed
            seconds=round(time.monotonic() - self.began, 1),
            said=(lines[-1] if lines else "") if code else "",
            report=_report(text),
        )


def _report(text: str) -> Any:
    """The data of a document; None of one that was cut off, as the disk was full or its process was killed."""
    try:
        return json.loads(text)["data"]
    except json.JSONDecodeError:
        return None


@contextmanager
def _interrupted_later() -> Iterator[None]:
    """Ctrl-C waits for the end of this: a process that was started, and that nobody knows of yet, would go on for itself."""
    pressed: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, _: pressed.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if pressed:
        raise KeyboardInterrupt


@contextmanager
def _stopped_at_the_end(running: dict[str, _Child]) -> Iterator[None]:
    """Whoever still runs when this is left was interrupted with it."""
    try:
        yield
    finally:
        for child in running.values():
            child.process.send_signal(signal.SIGINT)
        until = time.monotonic() + _KILLED_AFTER_S
        for child in running.values():
            try:
                child.process.wait(max(until - time.monotonic(), 0))
            except subprocess.TimeoutExpired:
                child.process.kill()
                child.process.wait()
