"""How fast a destination's rows land, beside a dlt pipeline on the same rows and beside plain COPY of them.

    python -m tests.benchmarks.landing_tables [rows] [rounds] [--sizes 100000,1000000,5000000] [--without-dlt]

Each contender runs in a process of its own, in turn, round by round: the machine's mood hits all of them. `--sizes` shows
instead how memory and speed go with the number of rows. dlt gets an environment of its own in a scratch folder, by uv.

Uses the server that PAY_READY_TEST_ADMIN_URL and PAY_READY_TEST_APP_URL name, else the embedded one, in a database of its
own that is dropped at the end. CPU is that of the client process, and that of the server's processes where /proc shows them.
"""

import argparse
import json
import logging
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qs, urlencode, urlsplit, urlunsplit

import psycopg
import structlog

from pay_ready.db.tenancy import Database, PoolOptions
from pay_ready.model.ids import TenantId
from pay_ready.pipeline.land.sync import SyncOptions, sync_source
from pay_ready.sources.landing_streams import TableStream
from pay_ready.sources.landing_tables import LandingTables
from tests.benchmarks.landing import migrated, running_server
from tests.conftest import Scratch, cloned, make_tenant
from tests.landing_support import add_source

ROWS, ROUNDS = 1_000_000, 3
TABLE = "crm.people"
PEOPLE = TableStream(name="people", schema="crm", destination_sync_mode="append_dedup", primary_key=(("id",),), cursor_field=("seq",))
_FILL = """
    create schema if not exists crm;
    drop table if exists crm.people;
    create table crm.people (
        id bigint, seq bigint, name varchar, email varchar, active boolean, amount numeric(38,9), revision bigint,
        _airbyte_raw_id varchar not null, _airbyte_extracted_at timestamptz not null, _airbyte_meta jsonb not null,
        _airbyte_generation_id bigint not null
    );
    insert into crm.people
    select n, n, 'Ann Abel', 'ann.abel.' || n || '@people.example', true, n %% 977 + 0.25, 0, gen_random_uuid()::text,
        timestamptz '2026-11-01' + n * interval '1 ms', '{"sync_id": 7, "changes": []}', 1
    from generate_series(1, %(rows)s) as n;
    create index on crm.people (_airbyte_extracted_at);
    analyze crm.people;
"""


@dataclass(frozen=True, kw_only=True)
class Run:
    """One contender's figures."""

    seconds: float
    cpu_s: float
    peak_mib: float
    rows: int
    server_cpu_s: float = 0.0


@dataclass
class ServerCpu:
    """CPU seconds of the processes of one server, those that end meanwhile included."""

    postmaster: int  # its process id; 0 where the server is not on this machine
    seen: dict[int, float] = field(default_factory=dict)
    first: dict[int, float] = field(default_factory=dict)

    def look(self) -> None:
        """Take down what each process has used so far."""
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                fields = (folder / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if int(fields[1]) != self.postmaster:
                continue
            used = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
            self.first.setdefault(int(folder.name), used)
            self.seen[int(folder.name)] = used

    @property
    def used_s(self) -> float:
        """What all of them used since the first look."""
        return sum(used - self.first[pid] for pid, used in self.seen.items())


def server_cpu(scratch: Scratch) -> ServerCpu:
    """The server's, if it is on this machine."""
    with psycopg.connect(scratch.admin_url) as connection:
        try:
            parent = Path(f"/proc/{connection.info.backend_pid}/stat").read_text().rpartition(")")[2].split()[1]
        except OSError:
            parent = "0"
    return ServerCpu(postmaster=int(parent))


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("rows", type=int, nargs="?", default=ROWS)
    parser.add_argument("rounds", type=int, nargs="?", default=ROUNDS)
    parser.add_argument("--sizes", type=lambda text: [int(each) for each in text.split(",")], default=[])
    parser.add_argument("--without-dlt", action="store_true")
    parser.add_argument("--ours", nargs=4, metavar=("APP_URL", "ADMIN_URL", "TENANT", "SOURCE"), help=argparse.SUPPRESS)
    asked = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    if asked.ours:
        land(*asked.ours)
        return
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        server = stack.enter_context(running_server(folder / "embedded"))
        for rows in asked.sizes or [asked.rows]:
            with cloned(server, None) as scratch, migrated(scratch) as database:
                tenant = make_tenant(database, "bench")
                fill(scratch, rows)
                if asked.sizes:
                    say("ours", rows, [ours(scratch, database, tenant, "crm")])
                else:
                    compare(scratch, database, tenant, rows, asked.rounds, None if asked.without_dlt else folder)


def compare(scratch: Scratch, database: Database, tenant: TenantId, rows: int, rounds: int, folder: Path | None) -> None:
    """All contenders, round by round."""
    python = dlt_python(folder) if folder else None
    found: dict[str, list[Run]] = {"plain COPY into a table with a key": [], "ours, all new": [], "ours, all unchanged": [], "dlt": []}
    for number in range(rounds):
        found["plain COPY into a table with a key"].append(plain_copy(scratch))
        found["ours, all new"].append(ours(scratch, database, tenant, f"crm-{number}"))
        found["ours, all unchanged"].append(ours(scratch, database, tenant, f"crm-{number}", again=True))
        if python and folder:
            found["dlt"].append(dlt(python, scratch, number, folder))
    print(f"{rows:,} rows, {rounds} rounds; load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    for name, runs in found.items():
        if runs:
            say(name, rows, runs)
    if found["dlt"]:
        ratio = best(found["dlt"]).seconds / best(found["ours, all new"]).seconds
        print(f"dlt takes {ratio:.1f} times as long as ours (best of each)")


def fill(scratch: Scratch, rows: int) -> None:
    """The destination's table, as version 3 lays it out."""
    with psycopg.connect(scratch.admin_url, autocommit=True) as connection:
        for statement in (_FILL % {"rows": rows}).split(";"):
            if statement.strip():
                connection.execute(statement.encode())
        connection.execute("vacuum crm.people")
        connection.execute("checkpoint")


def ours(scratch: Scratch, database: Database, tenant: TenantId, source: str, *, again: bool = False) -> Run:
    """One sync in a process of its own; `again` reads all of it once more, into the rows that are there."""
    if again:
        with psycopg.connect(scratch.admin_url) as connection:
            connection.execute("update pay_ready.stream_states set state = null")
    else:
        add_source(database, tenant, source)
    words = [sys.executable, "-m", "tests.benchmarks.landing_tables", "--ours", scratch.app_url, scratch.admin_url, str(tenant), source]
    return measured(scratch, words, {})


def land(app_url: str, admin_url: str, tenant: str, source: str) -> None:
    """The sync, in its process: prints its figures."""
    database = Database(app_url, PoolOptions())
    database.open()
    tables = LandingTables(admin_url, [PEOPLE], upto_sync=7)
    wall, cpu = time.perf_counter(), time.process_time()
    report = sync_source(database, TenantId(tenant), source, tables, tables.plan, options=SyncOptions())  # type: ignore[arg-type]
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    report.raise_for_failure()
    database.close()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"seconds": wall, "cpu_s": cpu, "peak_mib": peak, "rows": report.emitted}))


def plain_copy(scratch: Scratch) -> Run:
    """The limit: the same rows as JSON from COPY into COPY, into a table with nothing but a key, committed once."""
    used = server_cpu(scratch)
    with watched(used), psycopg.connect(scratch.admin_url) as source, psycopg.connect(scratch.admin_url) as target:
        wall, cpu = time.perf_counter(), time.process_time()
        target.execute("create table crm.plain (id bigint primary key, data jsonb)")
        query = "copy (select id, to_jsonb(p) from crm.people as p) to stdout"
        with source.cursor().copy(query) as read, target.cursor().copy("copy crm.plain from stdin") as write:
            for data in read:
                write.write(data)
        rows = target.execute("select count(*) from crm.plain").fetchone()
        target.commit()
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        target.execute("drop table crm.plain")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return Run(seconds=wall, cpu_s=cpu, peak_mib=peak, rows=rows[0] if rows else 0, server_cpu_s=used.used_s)


def dlt(python: Path, scratch: Scratch, number: int, folder: Path) -> Run:
    """One pipeline run into a schema of its own."""
    script = Path(__file__).with_name("_dlt_pipeline.py")
    environment = {"HOME": str(folder), "DLT_DATA_DIR": str(folder / "dlt-data"), "RUNTIME__DLTHUB_TELEMETRY": "false",
                   "RUNTIME__LOG_LEVEL": "ERROR"}  # fmt: skip
    words = [str(python), str(script), with_host(scratch.admin_url), TABLE, f"dlt_{number}", str(folder / f"pipelines-{number}")]
    run = measured(scratch, words, environment)
    with psycopg.connect(scratch.admin_url) as connection:
        connection.execute(f"drop schema dlt_{number} cascade".encode())
        connection.execute(f"drop schema if exists dlt_{number}_staging cascade".encode())
    return run


def dlt_python(folder: Path) -> Path | None:
    """The Python of an environment with dlt; None, and why, where it cannot be had."""
    home = folder / "dlt-environment"
    uv = [sys.executable, "-m", "uv"]
    steps = [[*uv, "venv", "-q", "--python", sys.executable, str(home)],
             [*uv, "pip", "install", "-q", "--python", str(home / "bin" / "python"), "dlt[postgres]"]]  # fmt: skip
    for step in steps:
        done = subprocess.run(step, capture_output=True, text=True, check=False)
        if done.returncode:
            print(f"without dlt: it cannot be installed ({done.stderr.strip().splitlines()[-1:]})")
            return None
    return home / "bin" / "python"


def with_host(url: str) -> str:
    """The URL with a host in its usual place, which dlt asks for; the one of the query counts."""
    parts = urlsplit(url)
    if parts.hostname:
        return url
    query = urlencode({name: values[0] for name, values in parse_qs(parts.query).items()})
    return urlunsplit(parts._replace(netloc=f"{parts.netloc}localhost:5432", query=query))


def measured(scratch: Scratch, words: list[str], environment: Mapping[str, str]) -> Run:
    """Run a process that prints its figures; the server's CPU is watched from here."""
    used = server_cpu(scratch)
    with watched(used):
        done = subprocess.run(words, env={**os.environ, **environment}, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{words[-1]} failed:\n{done.stderr}")
    return Run(**json.loads(done.stdout.strip().splitlines()[-1]), server_cpu_s=used.used_s)


@contextmanager
def watched(used: ServerCpu) -> Iterator[None]:
    """Looks at the server's processes several times a second: those of a run end with it."""
    stop = threading.Event()

    def watch() -> None:
        while not stop.wait(0.2):
            used.look()

    used.look()
    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
        used.look()


def best(runs: list[Run]) -> Run:
    """The fastest one."""
    return min(runs, key=lambda run: run.seconds)


def say(name: str, rows: int, runs: list[Run]) -> None:
    """The best run, and the median of the speeds."""
    fastest = best(runs)
    rate: Callable[[Run], float] = lambda run: rows / run.seconds  # noqa: E731
    print(
        f"{name:36} {rows:9,} rows  best {rate(fastest):8,.0f} rows/s  median {statistics.median(map(rate, runs)):8,.0f} rows/s"
        f"  {fastest.seconds:7.2f} s  CPU {fastest.cpu_s:6.2f} s client {fastest.server_cpu_s:6.2f} s server  {fastest.peak_mib:5,.0f} MiB",
        flush=True,
    )
    if any(run.rows != rows for run in runs):
        raise SystemExit(f"{name}: {[run.rows for run in runs]} rows of {rows}")


if __name__ == "__main__":
    main()
