"""What Prefect costs on top of the work: an empty run, a year of a backfill, a night of many tenants.

    python -m tests.benchmarks.flows [--tenants 100] [--sources 4] [--days 365] [--rows 200] [--limit 4] [--only empty|backfill|night]

A Prefect server and a process worker of its own, as a test's. The empty run is one in which no source has anything new: from its submission
to its last state, and the time between the flow's first and last line. The backfill is done without Prefect, then as a flow, on the same
rows in two tenants. The night is a run for each tenant, each source with a few records more: its length, and the most memory that worker
and flow runs took together (PSS, looked at twice a second). Limits beside them: 6 s, 3 %, 15 minutes and 1.5 GB.
"""

import argparse
import json
import os
import resource
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from prefect.settings import PREFECT_API_URL, temporary_settings

from tests.benchmarks.landing import migrated, running_server
from tests.command_support import EMBEDS, called
from tests.conftest import Scratch, cloned
from tests.prefect_support import QUIET, ROOT, Prefect, free_port, wait_for, worker

FINAL = ("COMPLETED", "FAILED", "CRASHED", "CANCELLED")
DAY_ONE = datetime(2025, 1, 1, tzinfo=UTC)
MB = 1 << 20


class Bench:
    """A database, a server, and commands."""

    def __init__(self, scratch: Scratch, folder: Path, server: Prefect) -> None:
        self.folder, self.server = folder, server
        self.environment = {
            "PAY_READY_HOME": str(folder / "state"), "PAY_READY_DATABASE_URL": scratch.app_url,
            "PAY_READY_ADMIN_DATABASE_URL": scratch.admin_url, "PAY_READY_CHECKOUT": str(ROOT), **EMBEDS,
        }  # fmt: skip

    def run(self, *words: str) -> Any:
        """A command in this process."""
        done = called(words, self.environment, ROOT)
        if done.returncode:
            sys.exit(f"{' '.join(words)}: {done.stderr}")
        return json.loads(done.stdout)["data"] if "--json" in words else done.stdout

    def contacts(self, tenant: str, source: str, rows: Sequence[tuple[int, datetime]]) -> Path:
        """Export files of a source: contacts by number and time of their change."""
        folder = self.folder / "exports" / tenant / source
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / "contacts.jsonl").open("w") as file:
            for number, changed in rows:
                row = {
                    "id": str(number), "createdAt": "2024-01-01T00:00:00Z", "updatedAt": f"{changed:%Y-%m-%dT%H:%M:%SZ}", "archived": False,
                    "properties": {"email": f"p{number}@{source}.example", "firstname": "P", "lastname": f"L{number}"},
                }  # fmt: skip
                file.write(json.dumps(row) + "\n")
        return folder

    def tenant(self, slug: str, sources: Mapping[str, Sequence[tuple[int, datetime]]]) -> None:
        """A tenant with these sources."""
        self.run("tenants", "create", slug)
        for name, rows in sources.items():
            folder = self.contacts(slug, name, rows)
            self.run("sources", "add", "-t", slug, name, "--kind", "hubspot", "--replay", str(folder))

    def submit(self, deployment: str, request: Mapping[str, Any]) -> str:
        """A run for the worker."""
        return self.server.submit(deployment, request, {**self.environment, "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": "30"})

    def end_of(self, runs: Sequence[str], longest_s: float) -> list[dict[str, Any]]:
        """The runs, once all have ended."""
        wait_for(lambda: all(self.server.run(each)["state_type"] in FINAL for each in runs), "the end of the runs", longest_s)
        return [self.server.run(each) for each in runs]


def rows_of(count: int, days: int = 30) -> list[tuple[int, datetime]]:
    """Contacts that changed evenly over so many days."""
    return [(number, DAY_ONE + timedelta(days=days * number / max(count, 1))) for number in range(count)]


def empty(bench: Bench) -> bool:
    """One run with nothing to do, three times."""
    bench.tenant("idle", {"crm": rows_of(200)})
    bench.run("run", "etl", "-t", "idle")
    took = []
    for _ in range(4):
        began = time.monotonic()
        (ended,) = bench.end_of([bench.submit("etl/etl", {"tenant": "idle"})], 120)
        took.append((time.monotonic() - began, float(ended["total_run_time"])))
        assert ended["state_name"] == "Completed", ended["state"]
    took = took[1:]
    print(f"an empty etl of a tenant, submitted to completed: {[round(each, 1) for each, _ in took]} s, "
          f"of that the flow itself {[round(each, 1) for _, each in took]} s (limit 6 s)")  # fmt: skip
    return min(flow for _, flow in took) <= 6


def backfill(bench: Bench, days: int, rows: int) -> bool:
    """A year by days, of two sources: by the command's own functions, then as a flow."""
    listed = rows_of(days * rows, days)
    ends = {}
    for slug in ("plain", "flow"):
        bench.tenant(slug, {"crm": listed, "desk": listed})
    wanted = {"start": f"{DAY_ONE:%Y-%m-%d}", "end": f"{DAY_ONE + timedelta(days=days):%Y-%m-%d}"}
    began, cpu = time.monotonic(), _cpu()
    words = ["backfill", "-t", "plain", "-s", "crm", "-s", "desk", "--from", wanted["start"], "--to", wanted["end"], "--max-active", "2"]
    bench.run(*words)
    ends["plain"], plain_cpu = time.monotonic() - began, _cpu() - cpu
    request = {"tenant": "flow", "sources": ["crm", "desk"], **wanted, "max_active": 2}
    (ended,) = bench.end_of([bench.submit("backfill/backfill", request)], 3600)
    assert ended["state_name"] == "Completed", ended["state"]
    tasks = {each["task_key"].split("-")[0]: each for each in bench.server.tasks(ended["id"])}
    work_s = sum(float(each["total_run_time"]) for each in tasks.values())
    flow_s = float(ended["total_run_time"])
    over = 100 * (flow_s - work_s) / work_s
    print(f"{days} days of 2 sources, {days * rows * 2:,} rows: without Prefect {ends['plain']:.1f} s ({plain_cpu:.1f} CPU s); "
          f"as a flow {flow_s:.1f} s, of that its steps {work_s:.1f} s: {over:.2f} % on top (limit 3 %)")  # fmt: skip
    return over <= 3


def night(bench: Bench, tenants: int, sources: int, limit: int) -> bool:
    """A run for each tenant, with a few records more in each source."""
    names = [f"source{number}" for number in range(sources)]
    slugs = [f"tenant-{number:03}" for number in range(tenants)]
    for slug in slugs:
        bench.tenant(slug, {name: rows_of(50) for name in names})
        bench.run("run", "etl", "-t", slug)
        for name in names:
            bench.contacts(slug, name, rows_of(55))
    with _memory(bench.server) as most:
        began = time.monotonic()
        runs = [bench.submit("etl/etl", {"tenant": slug}) for slug in slugs]
        ended = bench.end_of(runs, 3600)
        took_s = time.monotonic() - began
    wrong = [each["state_name"] for each in ended if each["state_name"] != "Completed"]
    assert not wrong, wrong
    print(f"{tenants} tenants x {sources} sources, {limit} runs at once: {took_s / 60:.1f} minutes (limit 15), "
          f"at most {most[0] / MB:,.0f} MB for worker and flow runs (limit 1,536)")  # fmt: skip
    return took_s <= 15 * 60 and most[0] <= 1536 * MB


@contextmanager
def _memory(server: Prefect) -> Iterator[list[float]]:
    """The most that worker, flow runs and their connectors took at once."""
    most, ended = [0.0], threading.Event()

    def look() -> None:
        while not ended.wait(0.5):
            most[0] = max(most[0], sum(_pss(each) for each in _processes(server)))

    looking = threading.Thread(target=look, daemon=True)
    looking.start()
    try:
        yield most
    finally:
        ended.set()
        looking.join()


def _processes(server: Prefect) -> Iterator[Path]:
    needle = f"PREFECT_API_URL={server.url}".encode()
    for folder in Path("/proc").glob("[0-9]*"):
        if int(folder.name) in (server.pid, os.getpid()):
            continue
        try:
            if needle in (folder / "environ").read_bytes():
                yield folder
        except OSError:
            continue


def _pss(folder: Path) -> float:
    try:
        for line in (folder / "smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return float(line.split()[1]) * 1024
    except OSError:
        pass
    return 0.0


def _cpu() -> float:
    own, children = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime


def main() -> int:
    """Run what was asked for; 1 when a limit is missed."""
    parser = argparse.ArgumentParser(description="What Prefect costs on top of the work.")
    parser.add_argument("--tenants", type=int, default=100)
    parser.add_argument("--sources", type=int, default=4)
    parser.add_argument("--days", type=int, default=365)
    parser.add_argument("--rows", type=int, default=200, help="of a day and source")
    parser.add_argument("--limit", type=int, default=4, help="runs at once")
    parser.add_argument("--only", choices=["empty", "backfill", "night"])
    asked = parser.parse_args()
    os.environ.update(QUIET)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        server = Prefect(home=folder / "prefect", port=free_port())
        server.home.mkdir()
        scratch = stack.enter_context(cloned(stack.enter_context(running_server(folder / "embedded")), None))
        stack.enter_context(migrated(scratch))
        server.start()
        stack.callback(server.stop)
        bench = Bench(scratch, folder, server)
        with temporary_settings({PREFECT_API_URL: server.url}):
            bench.run("deploy", "apply")
        stack.enter_context(worker(server, {"PAY_READY_CHECKOUT": str(ROOT)}, limit=asked.limit))
        held = {
            "empty": lambda: empty(bench),
            "backfill": lambda: backfill(bench, asked.days, asked.rows),
            "night": lambda: night(bench, asked.tenants, asked.sources, asked.limit),
        }
        met = [measure() for name, measure in held.items() if asked.only in (None, name)]
    return 0 if all(met) else 1


if __name__ == "__main__":
    sys.exit(main())
