"""How long a person waits: `--help`, and the demo from an empty state folder and again.

    python -m tests.benchmarks.commands

Prints wall seconds, CPU seconds and peak memory of the command and its children; the interpreter's bare start is the limit of `--help`.
"""

import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HELP_ROUNDS = 7


def timed(words: list[str], environment: dict[str, str]) -> tuple[float, float]:
    """Wall and CPU seconds of a command.

    Raises:
        CalledProcessError: It failed.
    """
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(words, env=environment, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return time.perf_counter() - started, cpu_s


def main() -> None:
    """Print the table."""
    command = str(Path(sys.executable).parent / "pay-ready")
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "PAY_READY_HOME": f"{folder}/state"}
        rows = {
            "python -c pass (the limit)": [timed([sys.executable, "-c", "pass"], environment) for _ in range(HELP_ROUNDS)],
            "pay-ready --help": [timed([command, "--help"], environment) for _ in range(HELP_ROUNDS)],
            "pay-ready demo, first": [timed([command, "demo"], environment)],
            "pay-ready demo, again": [timed([command, "demo"], environment)],
        }
    print(f"{'':30}{'best wall s':>12}{'worst wall s':>14}{'best CPU s':>12}")
    for name, times in rows.items():
        walls = [wall for wall, _ in times]
        print(f"{name:30}{min(walls):12.3f}{max(walls):14.3f}{min(cpu for _, cpu in times):12.3f}")
    print(f"peak memory of the largest child: {resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024:.0f} MB")
    print("CPU seconds do not hold the embedded server's; goals: --help 0.25 s, demo 20 s, on an idle machine with two cores")


if __name__ == "__main__":
    main()
