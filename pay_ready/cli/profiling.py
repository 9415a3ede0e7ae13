"""`--profile FILE`: a flame graph of what a command does, and how much memory it took at most."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any

import typer

from pay_ready.cli.output import note
from pay_ready.errors import ConfigError, UsageError

ProfileOption = Annotated[
    Path | None,
    typer.Option("--profile", metavar="FILE", help="Write a flame graph (.html, or .json for speedscope) and the memory peak."),
]
_EVERY_S = 0.005  # seconds; a finer clock costs half a microsecond a look


@contextmanager
def profiled(file: Path | None) -> Iterator[None]:
    """Watch what is done inside, also when it fails; without a file nothing is watched.

    Raises:
        UsageError: The file's ending is another one, or it cannot be written.
        ConfigError: The extra is not installed.
    """
    if file is None:
        yield
        return
    if file.suffix not in (".html", ".json"):
        raise UsageError("a profile is .html or .json", "for example --profile run.html", file=file)
    if find_spec("pyinstrument") is None:
        raise ConfigError("a profile needs the extra `telemetry`", 'pip install "pay-ready[telemetry]"', key="profile")
    if not file.absolute().parent.is_dir():
        raise UsageError("there is no such folder", "make it first", file=file)
    from pyinstrument import Profiler

    _reset_peak()
    profiler = Profiler(interval=_EVERY_S)
    profiler.start()
    try:
        yield
    finally:
        profiler.stop()
        peak = peak_bytes()
        try:
            file.write_text(_rendered(profiler, file, peak), encoding="utf-8")
        except OSError as error:
            raise UsageError("the profile cannot be written", error.strerror or "", file=file) from None
        note(f"profile: {file}, memory peak {peak / 1024**2:,.0f} MiB")


def _rendered(profiler: Any, file: Path, peak: int) -> str:
    if file.suffix == ".html":
        page: str = profiler.output_html()
        return page.replace("<body>", f'<body><p id="memory-peak">memory peak: {peak:,} bytes</p>', 1)
    from pyinstrument.renderers import SpeedscopeRenderer

    # speedscope passes over keys that it does not know.
    return json.dumps({**json.loads(profiler.output(SpeedscopeRenderer())), "memory_peak_bytes": peak})


def _reset_peak() -> None:
    """Let the peak begin here, where the system can: else it is the whole process's."""
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def peak_bytes() -> int:
    """The most memory that was resident, in bytes."""
    with suppress(OSError, StopIteration):
        lines = Path("/proc/self/status").read_text(encoding="ascii", errors="replace").splitlines()
        return int(next(line for line in lines if line.startswith("VmHWM:")).split()[1]) * 1024
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
