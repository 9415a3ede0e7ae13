"""Keys that never landed are written without a look at what stands. What becomes of each record is the same as ever."""

import random
from collections.abc import Callable, Iterable
from typing import Any

import psycopg
import pytest

from pay_ready.db import landing as rows_of
from pay_ready.db import leases
from pay_ready.db.landing import Counts, Landing, LandingRow, StreamRows
from pay_ready.db.novelty import Novelty
from pay_ready.db.tenancy import Database
from pay_ready.model.ids import RunId, TenantId, new_id
from tests.conftest import Scratch
from tests.landing_support import add_source

SEED = 20261125
Land = Callable[..., dict[str, Counts]]


class Judging(Novelty):
    """Never expects new keys alone: every row is judged."""

    def is_likely(self, streams: Iterable[str]) -> bool:
        del streams
        return False


@pytest.fixture
def run(database: Database, tenant: TenantId) -> Landing:
    """A run that is under way."""
    source, run = add_source(database, tenant), RunId(new_id())
    with database.tenant_transaction(tenant) as tx:
        lease = leases.acquire(tx, f"source:{source.source_id}", leases.holder_name(run))
        landing = Landing(source_id=source.source_id, run_id=run, lease=lease)
        rows_of.open_run(tx, landing, "replay")
    return landing


@pytest.fixture
def land(database: Database, tenant: TenantId, run: Landing) -> Land:
    """Lands rows of streams in one transaction, as a flush does."""

    def write(novelty: Novelty, **streams: list[LandingRow]) -> dict[str, Counts]:
        landing = Landing(source_id=run.source_id, run_id=run.run_id, lease=run.lease, novelty=novelty)
        brought = [StreamRows(stream=name, generation=0, pass_run=None, rows=rows) for name, rows in streams.items()]
        with database.tenant_transaction(tenant, work="batch") as tx:
            leases.guard(tx, run.lease)
            counts = rows_of.land_rows(tx, landing, brought, covered=True)
            rows_of.number_batches(tx, landing, list(streams))
        return counts

    return write


def row(key: int, seq: int = 1, *, deleted: bool = False) -> LandingRow:
    """A version of a key."""
    data = None if deleted else b'{"id": %d, "seq": %d}' % (key, seq)
    return LandingRow(b"%d" % key, data, b"%032d" % (seq * 10_000 + key), b"%06d" % seq, 0, deleted)


def standing(scratch: Scratch) -> list[tuple[Any, ...]]:
    """All that landing wrote about rows and batches, but for ids and times."""
    with psycopg.connect(scratch.admin_url) as connection:
        return connection.execute(
            "select landed.stream, record_key, data, content_hash, generation, cursor_order, emitted_at, deleted_at is not null,"
            " batches.landed, batches.commit_seq from pay_ready.landed_records as landed"
            " join pay_ready.landing_batches as batches using (tenant_id, batch_id) order by 1, landed.record_key"
        ).fetchall()


def test_new_keys_are_counted_as_ever(land: Land) -> None:
    """Rows that say they are gone are deleted, others landed; a batch counts those that live."""
    novelty = Novelty()
    land(novelty, people=[row(1)], companies=[row(1)])
    assert novelty.is_likely(["people", "companies"])
    found = land(novelty, people=[row(2), row(3), row(4, deleted=True)], companies=[])
    assert found == {"people": Counts(emitted=3, landed=2, deleted=1), "companies": Counts()}
    assert novelty.is_likely(["people"])


def test_a_key_that_comes_again_is_judged(land: Land, scratch: Scratch) -> None:
    """Against what was likely: nothing of the attempt is left, and each row of the flush gets its verdict."""
    novelty = Novelty()
    land(novelty, people=[row(1, 5), row(2, 5), row(3, 5)])
    found = land(novelty, people=[row(4), row(1, 5), row(2, 4), row(3, 6), row(5, deleted=True)])
    assert found["people"] == Counts(emitted=5, landed=2, unchanged=1, superseded=1, deleted=1)
    assert [(key, data and data["seq"]) for _, key, data, *_ in standing(scratch)] == [("1", 5), ("2", 5), ("3", 6), ("4", 1), ("5", None)]
    with psycopg.connect(scratch.admin_url) as connection:
        assert connection.execute("select count(*) from pay_ready.landing_batches").fetchone() == (2,)
    land(novelty, people=[row(6)])
    assert not novelty.is_likely(["people"])  # it takes more than one by now
    land(novelty, people=[row(7)])
    assert novelty.is_likely(["people"])


def test_both_ways_come_to_the_same(land: Land, scratch: Scratch) -> None:
    """Flushes of new and of old keys in any order leave the rows, the batches and the counts that judging each row leaves."""
    chance = random.Random(SEED)
    flushes, known = [], 0
    for _ in range(24):
        fresh = range(known + 1, known + 1 + chance.randrange(1, 4))
        known = fresh[-1]
        again = chance.sample(range(1, fresh[0]), k=min(fresh[0] - 1, chance.choice((0, 0, 0, 1, 2))))
        flushes.append([row(key, chance.randrange(1, 4), deleted=chance.random() < 0.2) for key in (*fresh, *again)])
    outcomes = []
    for novelty in (Novelty(), Judging()):
        counts = [land(novelty, people=rows) for rows in flushes]
        outcomes.append((counts, standing(scratch)))
        with psycopg.connect(scratch.admin_url) as connection:
            connection.execute("delete from pay_ready.landed_records")
            connection.execute("delete from pay_ready.landing_batches")
            connection.execute("delete from pay_ready.tenant_counters where counter = 'commit_seq'")
    assert outcomes[0] == outcomes[1]
