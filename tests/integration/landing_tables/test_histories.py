"""Random histories of a destination: whatever it does and wherever readings stop, what is landed in the end is what its table holds.

PAY_READY_HISTORIES sets how many histories each kind of stream has (3; 40 under `make test-deep`), PAY_READY_HISTORY_SEED which.
"""

import os
import random
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import msgspec
import pytest

from pay_ready.errors import TransientError
from pay_ready.pipeline.land.buffer import FlushLimits
from pay_ready.sources import landing_read
from tests.airbyte_simulator.destination import Attempt, SimulatedLayout, SimulatedStream
from tests.integration.landing_tables.conftest import MakeStream
from tests.tables_support import ACCEPTING, Reader, cut_once, moment, table_stream

HISTORIES = int(os.environ.get("PAY_READY_HISTORIES") or ("40" if os.environ.get("PAY_READY_TEST_DEEP") == "1" else "3"))
SEED = int(os.environ.get("PAY_READY_HISTORY_SEED", "20261125"))

# A layout, a mode, whether the stream has a key.
KINDS: list[tuple[SimulatedLayout, Any, bool]] = [
    ("direct", "append", True), ("direct", "append", False), ("direct", "dedup", True), ("direct", "overwrite", True),
    ("direct", "overwrite", False), ("typed", "append", True), ("typed", "dedup", True), ("raw", "append", True), ("raw", "append", False),
]  # fmt: skip


class Stopped(BaseException):
    """The reader's process ends here."""


@dataclass
class History:
    """A destination and its reader, and what was done to them."""

    stream: SimulatedStream
    reader: Reader
    chance: random.Random
    job: int = 0
    terminal: int = 0  # the newest job at its end
    terminal_succeeded: bool = True
    seq: int = 0
    running: list[Attempt] = field(default_factory=list)
    done: list[str] = field(default_factory=list)

    def rows(self) -> Iterator[dict[str, Any]]:
        """Some rows: new ones and new versions, now and then one that is older than what was written before."""
        for _ in range(self.chance.randint(0, 12)):
            self.seq += 1
            seq = self.seq if self.chance.random() < 0.8 else -self.seq
            yield {"id": self.chance.randint(1, 40), "seq": seq, "name": self.chance.choice("abc")}

    def write(self, attempt: Attempt, *, commit: bool = True) -> None:
        """A part of a sync, as emitted at some moment: late or early."""
        copies = 2 if self.chance.random() < 0.1 else 1
        attempt.write(self.rows(), at=moment(self.job * 10 + self.chance.randint(-400, 9)), copies=copies, commit=commit)

    def start(self) -> None:
        """A job begins; now and then as one that replaces all rows."""
        self.job += 1
        self.refreshes = self.stream.mode == "overwrite" or self.chance.random() < 0.15
        if self.refreshes:
            self.stream.start_truncate_refresh()
        elif self.chance.random() < 0.3:
            self.stream.generation += 1
        for _ in range(self.chance.randint(0, 2)):
            with self.stream.begin(self.job) as failing:
                self.write(failing)
                self.write(failing, commit=False)
        self.running = [self.stream.begin(self.job) for _ in range(self.chance.randint(1, 3))]

    def go_on(self) -> None:
        """Somebody writes, and may commit later."""
        self.write(self.chance.choice(self.running), commit=self.chance.random() < 0.5)

    def end(self, *, well: bool) -> None:
        """The job's end. After a failure, what its writers had prepared stays where it is."""
        for attempt in self.running:
            attempt.commit()
        last = self.running[-1]
        if well and self.refreshes and self.stream.mode != "overwrite":
            in_place = self.chance.random() < 0.5
            last.finish_truncate_refresh(in_place=in_place)
        elif well:
            last.finish()
        for attempt in self.running:
            attempt.__exit__()
        self.running, self.terminal, self.terminal_succeeded = [], self.job, well

    def read(self, *, whole: bool = False) -> None:
        """A run of the reader; it may lose its connection, or its life."""
        fate = 1.0 if whole else self.chance.random()
        connector = None
        if fate < 0.25:
            connector = partial(cut_once, at=self.chance.randint(0, 3), happening=_raise(TransientError("the connection was lost")))
        elif fate < 0.5:
            connector = partial(cut_once, at=self.chance.randint(0, 3), happening=_raise(Stopped()))
        knows_jobs = whole or self.chance.random() < 0.8
        upto = self.terminal if knows_jobs else None
        options = replace(ACCEPTING, limits=FlushLimits(rows=self.chance.choice([1, 5, 50])))
        with suppress(Stopped):
            synced = self.reader.sync(
                table_stream(self.stream, cursor_field=("seq",)), upto=upto, job_succeeded=self.terminal_succeeded,
                page_rows=self.chance.choice([3, 10, 1_000]), connector=connector, options=options,
            )  # fmt: skip
            assert synced.report.status == "complete", (synced.report.error, synced.report.notes)

    def live(self) -> None:
        """One history, to a job that ends well and a reading of it."""
        for _ in range(self.chance.randint(6, 14)):
            self._step()
        if not self.running:
            self.start()
        self.go_on()
        self.end(well=True)
        self.done.append("end, read")
        self.read(whole=True)

    def _step(self) -> None:
        if not self.running:
            steps = [self.start, self.read, self.read]
        else:
            steps = [self.go_on, self.go_on, self.read, partial(self.end, well=True), partial(self.end, well=False)]
        step = self.chance.choice(steps)
        self.done.append(getattr(step, "__name__", "end"))
        step()


def _raise(error: BaseException) -> Any:
    def happen() -> None:
        raise error

    return happen


def contents(rows: Any) -> Counter[bytes]:
    """Rows, as often as they are there, whatever their keys."""
    return Counter(msgspec.json.encode({name: row[name] for name in sorted(row) if name != "_airbyte_raw_id"}) for row in rows)


def in_the_table(stream: SimulatedStream, *, keyed: bool) -> Counter[bytes]:
    """What the table holds, by plain SQL: the newest row of each key; without keys, each row once, however often it was written."""
    moment_column = "_airbyte_extracted_at"
    data = "_airbyte_data" if stream.is_raw else "jsonb_build_object('id', id, 'seq', seq, 'name', name)"
    keys = f"({data} ->> 'id')" if keyed else "_airbyte_raw_id"
    newest = f"({data} ->> 'seq')::bigint desc, {moment_column} desc" if keyed else moment_column
    found = stream.execute(f"select distinct on ({keys}) {data} from {{}} order by {keys}, {newest}")
    return contents(row for (row,) in found)


@pytest.mark.timeout(3_600)
@pytest.mark.parametrize(("layout", "mode", "keyed"), KINDS)
def test_what_is_landed_is_what_the_table_holds(
    layout: SimulatedLayout, mode: Any, keyed: bool, reader: Reader, make_stream: MakeStream, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Appends, merges, swaps, late commits, failed attempts, lost connections and killed readers, in any order."""
    monkeypatch.setattr(landing_read, "STATE_ROWS", 2)
    for number in range(HISTORIES):
        seed = f"{SEED}/{layout}/{mode}/{keyed}/{number}"
        stream = make_stream(f"people{number}", layout=layout, mode=mode, primary_key="id" if keyed else "")
        history = History(stream=stream, reader=reader, chance=random.Random(seed))
        history.live()
        assert contents(reader.landed(stream.name).values()) == in_the_table(stream, keyed=keyed), (seed, history.done)
