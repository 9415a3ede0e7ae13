"""Every statement of a sync fails once, before or after the server carried it out: the end is the same, and each record counts once.

PAY_READY_FAULT_SAMPLES sets how many pairs of statement and fault are tried (all under PAY_READY_TEST_DEEP=1),
PAY_READY_FAULT_SEED which.
"""

import os
import random
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import Any

import pytest

from pay_ready.db import sources
from pay_ready.db.tenancy import Database, PoolOptions
from pay_ready.errors import TransientError
from pay_ready.model.ids import TenantId
from pay_ready.pipeline import land_queue
from pay_ready.pipeline.land import SyncOptions, sync_source
from pay_ready.pipeline.land_buffer import FlushLimits
from pay_ready.pipeline.land_report import SyncReport
from pay_ready.sources.catalog import ConfiguredCatalog
from tests.conftest import Scratch
from tests.faults.landed_oracle import Saved, landed, scripted_here
from tests.faults.proxy import PostgresProxy, Rule, postgres_proxy
from tests.landing_support import add_source, catalog, stream_of

SEED = int(os.environ.get("PAY_READY_FAULT_SEED", "20261125"))
IS_DEEP = os.environ.get("PAY_READY_TEST_DEEP") == "1"
SAMPLES = int(os.environ.get("PAY_READY_FAULT_SAMPLES", "28"))
FAULTS = ("cut", "torn", "reset", "swallow")
OPTIONS = SyncOptions(limits=FlushLimits(rows=30), retry_wait_s=0.01)
# One connection, so that statement N is the same one each time.
POOL = PoolOptions(max_size=1, overflow=0)

# An incremental stream and a refresh that drops what is gone, before and after; each n-th row changes, some come twice.
BEFORE: dict[str, Any] = {"streams": {"people": 60, "companies": 30}, "state_every": 20, "duplicate_every": 15}
AFTER: dict[str, Any] = {**BEFORE, "streams": {"people": 140, "companies": 24}, "revision": 1}


def streams() -> ConfiguredCatalog:
    """How they are read."""
    return catalog(stream_of("people"), stream_of("companies", mode="full_refresh", write="overwrite"))


@dataclass(frozen=True, kw_only=True)
class Case:
    """A sync that is to be disturbed, and how it ends when it is not."""

    tenant: TenantId
    scratch: Scratch
    saved: Saved
    proxy: PostgresProxy
    expected: str
    units: tuple[str, ...]

    def end(self) -> str:
        """How it ended."""
        return landed(self.scratch, resumable=["people"])


def sync(url: str, tenant: TenantId) -> SyncReport:
    """One run with a pool of its own."""
    database = Database(url, POOL)
    database.open()
    try:
        return sync_source(database, tenant, "crm", scripted_here(broken=[b'"id":77,']), streams(), options=OPTIONS)
    finally:
        database.close()


@pytest.fixture
def case(database: Database, tenant: TenantId, scratch: Scratch, monkeypatch: pytest.MonkeyPatch) -> Iterator[Case]:
    """The second sync of a source, over a proxy."""
    monkeypatch.setattr(land_queue, "MOST_WAITING", 0)  # else it is chance which flushes go together
    source = add_source(database, tenant, settings=BEFORE)
    assert sync(scratch.app_url, tenant).status == "complete"
    with database.tenant_transaction(tenant) as tx:
        sources.change_config(tx, source, source.config.model_copy(update={"settings": AFTER}), actor="tests")
    saved = Saved(scratch)
    with postgres_proxy(scratch.app_url) as proxy:
        report = sync(proxy.url, tenant)
        assert report.status == "complete"
        assert {each.stream: (each.emitted, each.quarantined, each.tombstoned) for each in report.streams} == {
            "people": (85, 1, 0), "companies": (25, 0, 6),
        }  # fmt: skip
        yield Case(
            tenant=tenant, scratch=scratch, saved=saved, proxy=proxy, units=tuple(proxy.units),
            expected=landed(scratch, resumable=["people"]),
        )  # fmt: skip


def sample(pairs: list[tuple[int, str]]) -> list[tuple[int, str]]:
    """All pairs, or some; the first and the last statement are always among them."""
    return pairs if IS_DEEP else [pairs[0], pairs[-1], *random.Random(SEED).sample(pairs[1:-1], SAMPLES)]


@pytest.mark.timeout(3_600)
def test_any_statement_of_a_sync_may_fail(case: Case) -> None:
    """Cut, torn, reset or its answer swallowed: the run goes on by itself, and what it leaves equals an undisturbed run's.

    Only what comes before the run (the look at the database when its pool is opened) is said to the caller: retry later.
    """
    begins = next(number for number, text in enumerate(case.units) if text.startswith("set ") and ";" in text)
    pairs = sample(list(product(range(1, len(case.units) + 1), FAULTS)))
    sys.stdout.write(f"seed {SEED}, {len(pairs)} of {len(case.units) * len(FAULTS)} pairs of statement and fault\n")
    wrong = []
    for unit, fault in pairs:
        case.saved.restore()
        case.proxy.forget()
        case.proxy.fail(Rule(fault=fault, unit=unit))  # type: ignore[arg-type]
        calls = calls_until_complete(case)
        if case.end() != case.expected or not case.proxy.happened or calls != (1 if unit > begins else 2):
            wrong.append((unit, fault, case.units[unit - 1][:60], calls))
    assert wrong == []


def calls_until_complete(case: Case) -> int:
    """How often the sync is called until it is complete; each time before, it says that it may be tried again."""
    for call in range(1, 4):
        try:
            report = sync(case.proxy.url, case.tenant)
        except TransientError:
            continue
        if report.status == "complete":
            return call
        assert isinstance(report.error, TransientError), report.error
    raise AssertionError("never complete")
