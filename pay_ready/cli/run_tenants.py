"""`pay-ready run tenants`: one step for many tenants, each in a process of its own, so many at once."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from pay_ready.cli.options import JsonOption, active_slugs
from pay_ready.cli.output import print_json, print_table, say
from pay_ready.cli.progress import shown_progress
from pay_ready.errors import ConfigError, PartialError
from pay_ready.model.progress import Progress, ProgressEvent

_LOOK_S = 0.05
_KILLED_AFTER_S = 30.0  # once told to stop: a step rolls back, and gives its lease back


class Step(StrEnum):
    """Of `pay-ready run`."""

    ETL = "etl"
    SYNC = "sync"
    STAGE = "stage"
    RESOLVE = "resolve"


@dataclass(frozen=True, slots=True, kw_only=True)
class TenantEnd:
    """How the step ended for a tenant."""

    tenant: str
    exit_code: int
    seconds: float
    said: str  # the last line on its standard error
    report: Any  # what its --json gave; None where it gave nothing


def run_tenants(
    step: Annotated[Step, typer.Argument(help="The step of `pay-ready run`.")],
    options: Annotated[list[str] | None, typer.Argument(help="What the step is told beside --tenant, after `--`.")] = None,
    tenant: Annotated[
        list[str] | None, typer.Option("--tenant", "-t", help="Only this tenant; repeat for more. Without it: all active ones.")
    ] = None,
    jobs: Annotated[int | None, typer.Option("--jobs", "-j", min=1, help="So many at once; by default as many as there are cores.")] = None,
    as_json: JsonOption = False,
) -> None:
    """A step for many tenants side by side: a process each, with its own connections and its own memory.

    One that fails keeps nobody else up. Exit code: that of all where it is one, else 3.

    Example: pay-ready run tenants resolve --jobs 4
    Example: pay-ready run tenants etl -t acme -t globex -- --wait 600
    """
    slugs = list(dict.fromkeys(tenant)) if tenant else _active_tenants()
    with shown_progress(quiet=as_json) as progress:
        ends = side_by_side(step, slugs, options or (), jobs or os.cpu_count() or 1, progress)
    if as_json:
        print_json("run_tenants", ends)
    else:
        print_table(("tenant", "exit code", "seconds", "said"), [(each.tenant, each.exit_code, each.seconds, each.said) for each in ends])
        say(f"{step.value}: {sum(not each.exit_code for each in ends)} of {len(ends)} tenants are done")
    codes = {each.exit_code for each in ends} or {0}
    if len(codes) > 1:
        failed = [each.tenant for each in ends if each.exit_code]
        again = " ".join(f"-t {each}" for each in failed)
        raise PartialError("some tenants are not done", f"again: pay-ready run tenants {step.value} {again}", failed=len(failed))
    raise typer.Exit(codes.pop())


def side_by_side(step: Step, slugs: Sequence[str], options: Sequence[str], jobs: int, progress: Progress) -> list[TenantEnd]:
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
                progress(ProgressEvent(step=step.value, subject="tenants", done=len(ended), total=len(slugs), detail=slug))
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
    def start(cls, step: Step, slug: str, options: Sequence[str], folder: Path) -> "_Child":
        out, err = folder / f"{slug}.out", folder / f"{slug}.err"
        command = [sys.executable, "-m", "pay_ready.cli.main", "run", step.value, "--tenant", slug, "--json", *options]
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
            report=json.loads(text)["data"] if text.startswith("{") else None,
        )


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


def _active_tenants() -> list[str]:
    """Slugs of the active tenants.

    Raises:
        ConfigError: This process may not know them.
    """
    if (found := active_slugs()) is None:
        hint = "name them with --tenant, or set PAY_READY_ADMIN_DATABASE_URL"
        raise ConfigError("which tenants there are is for the administrator to know", hint)
    return found
