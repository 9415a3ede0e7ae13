"""How fast rows land: from protocol bytes to committed rows under row security, beside plain COPY of the same rows.

    python -m tests.benchmarks.landing [rows] [rounds]

Uses the server that PAY_READY_TEST_ADMIN_URL and PAY_READY_TEST_APP_URL name, else the embedded one, in a database of its own
that is dropped at the end. Prints wall seconds, CPU seconds of this process (the server's are its own) and peak memory.
"""

import json
import logging
import os
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import structlog

from pay_ready.db.admin import grant_app
from pay_ready.db.embedded import start_embedded, stop_embedded
from pay_ready.db.migrate import migrate
from pay_ready.db.tenancy import Database, PoolOptions
from pay_ready.model.ids import TenantId
from pay_ready.pipeline.land.sync import Reading, SyncOptions, sync_source
from pay_ready.sources.catalog import ConfiguredCatalog
from pay_ready.sources.lines import LineReader
from pay_ready.sources.outcome import RunOutcome
from pay_ready.sources.protocol import Message, Record, StreamDescriptor
from tests.conftest import Scratch, Server, cloned, make_tenant
from tests.landing_support import add_source, catalog

ROWS = 300_000
STATE_EVERY = 1_000
CHUNK_BYTES = 1 << 20


def protocol_bytes(rows: int, revision: int) -> bytes:
    """RECORD and STATE lines of a stream of narrow rows (about 120 bytes of data)."""
    lines = []
    for seq in range(1, rows + 1):
        data = (
            f'{{"id":{seq},"seq":{seq},"name":"Ann Abel","email":"ann.abel.{seq}@people.example",'
            f'"active":true,"amount":{seq % 977}.25,"revision":{revision}}}'
        )
        lines.append(f'{{"type":"RECORD","record":{{"stream":"people","data":{data},"emitted_at":{1_760_000_000_000 + seq + revision}}}}}')
        if seq % STATE_EVERY == 0 or seq == rows:
            lines.append(
                '{"type":"STATE","state":{"type":"STREAM","stream":{"stream_descriptor":{"name":"people"},'
                f'"stream_state":{{"seq":{seq}}}}}}}}}'
            )
    lines.append('{"type":"TRACE","trace":{"type":"STREAM_STATUS","emitted_at":1,'
                 '"stream_status":{"stream_descriptor":{"name":"people"},"status":"COMPLETE"}}}')  # fmt: skip
    return "\n".join(lines).encode() + b"\n"


class Bytes:
    """A reading of protocol bytes in memory: the cost of a connector process is not landing's."""

    def __init__(self, content: bytes, folder: Path) -> None:
        self._content, self._folder = content, folder
        self._records = 0

    def batches(self) -> Iterator[list[Message]]:
        """The messages, decoded."""
        reader = LineReader(self._folder)
        for start in range(0, len(self._content), CHUNK_BYTES):
            for messages in reader.feed(self._content[start : start + CHUNK_BYTES]):
                self._records += sum(isinstance(message, Record) for message in messages)
                yield messages

    @property
    def outcome(self) -> RunOutcome:
        """All well."""
        people = StreamDescriptor("people")
        return RunOutcome(connector="benchmark", exit_code=0, statuses={people: "COMPLETE"}, records={people: self._records})


def connector(content: bytes, folder: Path) -> Callable[..., AbstractContextManager[Reading]]:
    """A connector that gives these bytes."""

    @contextmanager
    def read(config: Mapping[str, object], configured: ConfiguredCatalog, given: Sequence[bytes]) -> Iterator[Reading]:
        yield Bytes(content, folder)

    return read


def plain_copy(scratch: Scratch, content: bytes) -> None:
    """The same rows, COPY into a table without any protection but its primary key, committed once."""
    with psycopg.connect(scratch.admin_url) as connection:
        connection.execute("create table plain (id bigint primary key, data jsonb)")
        with connection.cursor() as cursor, cursor.copy("copy plain (id, data) from stdin") as copy:
            for line in content.splitlines():
                message = json.loads(line)
                if message["type"] == "RECORD":
                    data = message["record"]["data"]
                    copy.write_row((data["id"], json.dumps(data)))
    with psycopg.connect(scratch.admin_url) as connection:
        connection.execute("drop table plain")


def measured(what: str, rows: int, work: Callable[[], object]) -> None:
    """Run it and print its figures."""
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    sys.stdout.write(f"{what:28} {rows / wall:9,.0f} rows/s  {wall:6.2f} s wall  {cpu:6.2f} CPU s here  {peak:6,.0f} MiB peak\n")
    sys.stdout.flush()


def land(database: Database, tenant: TenantId, source: str, content: bytes, folder: Path) -> None:
    """One sync."""
    report = sync_source(database, tenant, source, connector(content, folder), catalog(), options=SyncOptions())
    report.raise_for_failure()


def main(rows: int = ROWS, rounds: int = 1) -> None:
    """Run and print."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    first, second = protocol_bytes(rows, 0), protocol_bytes(rows, 1)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        server: Server = stack.enter_context(running_server(folder / "embedded"))
        scratch = stack.enter_context(cloned(server, None))
        database = stack.enter_context(migrated(scratch))
        tenant = make_tenant(database, "bench")
        sys.stdout.write(f"{rows:,} rows, {len(first) / rows:.0f} bytes of protocol a row\n")
        for number in range(rounds):
            source = f"crm-{number}"
            add_source(database, tenant, source)
            measured("plain COPY, unprotected", rows, lambda: plain_copy(scratch, first))
            measured("landing, all new", rows, lambda source=source: land(database, tenant, source, first, folder))  # type: ignore[misc]
            measured("landing, all unchanged", rows, lambda source=source: land(database, tenant, source, first, folder))  # type: ignore[misc]
            measured("landing, all changed", rows, lambda source=source: land(database, tenant, source, second, folder))  # type: ignore[misc]


@contextmanager
def running_server(home: Path) -> Iterator[Server]:
    """The named server, else the embedded one."""
    if admin_url := os.environ.get("PAY_READY_TEST_ADMIN_URL"):
        app_url = os.environ["PAY_READY_TEST_APP_URL"]
        yield Server(admin_url=admin_url, app_url=app_url, erasure_url=app_url)
        return
    embedded = start_embedded(home)
    try:
        yield Server(admin_url=embedded.admin_url, app_url=embedded.app_url, erasure_url=embedded.erasure_url)
    finally:
        stop_embedded(home)


@contextmanager
def migrated(scratch: Scratch) -> Iterator[Database]:
    """The scratch database with our schema, as the app sees it."""
    migrate(scratch.admin_url)
    grant_app(scratch.admin_url, urlsplit(scratch.app_url).username or "")
    database = Database(scratch.app_url, PoolOptions())
    database.open()
    try:
        yield database
    finally:
        database.close()


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
