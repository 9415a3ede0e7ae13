"""A landed database put aside and brought back, and everything that must be the same however a sync came to its end."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import psycopg
from psycopg import sql

from pay_ready.pipeline.land.sync import Connector, Reading
from pay_ready.sources.catalog import ConfiguredCatalog
from pay_ready.sources.decode import decode_line
from pay_ready.sources.outcome import RunOutcome
from pay_ready.sources.protocol import Message, NotProtocol, Oversized, Record, StreamDescriptor, StreamStatus
from tests.canonical_dump import EXCLUDED, canonical_dump
from tests.conftest import Scratch
from tests.scripted_source import Output, Read

TABLES = ("sync_runs", "stream_runs", "landing_batches", *EXCLUDED, "tenant_counters", "leases")
# Counts that do not add up, batches that claim other rows than stand, runs that look alive, leases that nobody gave back.
_ODD = """
    select 'equation', stream from pay_ready.stream_runs
    where emitted <> landed + unchanged + superseded + deleted + quarantined or status = 'running'
    union all
    select 'batch', stream from pay_ready.landing_batches as batches
    where commit_seq is null or landed <> (
        select count(*) from pay_ready.landed_records as standing
        where standing.batch_id = batches.batch_id and standing.deleted_at is null
    )
    union all
    select 'run', status from pay_ready.sync_runs where status = 'running'
    union all
    select 'lease', lease from pay_ready.leases
"""
_TOTALS = "select stream, sum(emitted), sum(quarantined), sum(tombstoned) from pay_ready.stream_runs group by stream order by stream"


class Saved:
    """What is landed at this moment, to be brought back as often as wanted."""

    def __init__(self, scratch: Scratch) -> None:
        self._url = scratch.admin_url
        with psycopg.connect(self._url) as admin:
            admin.execute("create schema saved")
            for table in TABLES:
                name = sql.Identifier(table)
                admin.execute(sql.SQL("create table saved.{} as select * from pay_ready.{}").format(name, name))

    def restore(self) -> None:
        """Everything landed is as it was."""
        with psycopg.connect(self._url) as admin:
            admin.execute("set session_replication_role = replica")
            for table in TABLES:
                name = sql.Identifier(table)
                admin.execute(sql.SQL("delete from pay_ready.{}").format(name))
                admin.execute(sql.SQL("insert into pay_ready.{} select * from saved.{}").format(name, name))


def landed(scratch: Scratch, *, resumable: Sequence[str]) -> str:
    """Every landed thing, and for streams that go on from their state how many records were read in all. Nothing may be odd.

    A stream that starts anew after an interruption reads records again: its count of them is no part of the result.
    """
    with psycopg.connect(scratch.admin_url) as admin:
        odd = admin.execute(_ODD).fetchall()
        assert odd == [], odd
        totals = [(stream, *counts) for stream, *counts in admin.execute(_TOTALS).fetchall()]
    shown = [repr(row if row[0] in resumable else (row[0], *row[2:])) for row in totals]
    return "\n".join([canonical_dump(scratch.admin_url, restarts=True), *shown])


def scripted_here(batch: int = 20, broken: Sequence[bytes] = ()) -> Connector:
    """tests/scripted_source.py inside this process. Its lines come in small batches; those that hold a text of `broken` are spoilt."""

    def read(config: Mapping[str, object], configured: ConfiguredCatalog, given: Sequence[bytes]) -> AbstractContextManager[Reading]:
        return _read(dict(config), configured, given, batch, broken)

    return read


@contextmanager
def _read(
    config: dict[str, Any], configured: ConfiguredCatalog, given: Sequence[bytes], batch: int, broken: Sequence[bytes]
) -> Iterator[Reading]:
    yield _Here(config, configured, given, batch, broken)


class _Lines(Output):
    """Standard output that keeps its lines."""

    def __init__(self, config: dict[str, Any]) -> None:
        super().__init__(config)
        self.lines: list[bytes] = []

    def flush(self) -> None:
        self.lines += bytes(self.buffer).splitlines()
        self.buffer.clear()


class _Here:
    def __init__(
        self, config: dict[str, Any], configured: ConfiguredCatalog, given: Sequence[bytes], batch: int, broken: Sequence[bytes]
    ) -> None:
        asked = {"streams": [{"stream": {"name": each.stream.name}, "sync_mode": each.sync_mode} for each in configured.streams]}
        read = Read(config, asked, [json.loads(state) for state in given])
        said = read.output = _Lines(config)
        read.run()
        self._messages = [decode_line(line[:-9] if any(text in line for text in broken) else line) for line in said.lines]
        self._batch = batch
        self._statuses = dict.fromkeys(configured.descriptors, "")
        self._records: Counter[StreamDescriptor] = Counter()
        self._unreadable = 0

    def batches(self) -> Iterator[list[Message]]:
        for start in range(0, len(self._messages), self._batch):
            piece = self._messages[start : start + self._batch]
            self._statuses.update({each.stream: each.status for each in piece if isinstance(each, StreamStatus)})
            self._records.update(each.descriptor for each in piece if isinstance(each, Record))
            self._unreadable += sum(isinstance(each, NotProtocol | Oversized) and each.is_record for each in piece)
            yield piece

    @property
    def outcome(self) -> RunOutcome:
        return RunOutcome(
            connector="scripted", exit_code=0, statuses=self._statuses, records=dict(self._records), unreadable_records=self._unreadable
        )
