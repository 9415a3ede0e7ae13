"""A stream whose fields changed: what each contract makes of it; and the run that is stopped because too much is broken."""

from collections.abc import Callable
from typing import Any

import msgspec
import psycopg
import pytest

from pay_ready.db.sources import Contract
from pay_ready.db.tenancy import Database
from pay_ready.errors import CheckFailedError, NotFoundError, PartialError, PoisonError
from pay_ready.model.ids import TenantId
from pay_ready.pipeline.feed import accept_schemas
from pay_ready.pipeline.land.buffer import FlushLimits
from pay_ready.pipeline.land.report import SyncReport
from pay_ready.pipeline.land.sync import SyncOptions, sync_source
from pay_ready.sources.protocol import NotProtocol, Record
from tests.conftest import Scratch
from tests.landing_support import QUICK, Script, add_source, catalog, complete, record, says, state, stream_of

FIRST = {"id": "integer", "seq": "integer", "amount": "number", "gone": "string"}
NEXT = {"id": "integer", "seq": "integer", "amount": "string", "new": "boolean"}
Read = Callable[..., SyncReport]


@pytest.fixture
def read(database: Database, tenant: TenantId) -> Read:
    """Reads one record of the stream people, which has the given fields."""
    made: list[Contract] = []

    def run(number: int, schema: dict[str, str], contract: Contract = "evolve", *, beside: bool = False) -> SyncReport:
        if not made:
            add_source(database, tenant, contract=contract)
            made.append(contract)
        others = [stream_of("firms", schema={"id": "integer"})] if beside else []
        said = [record({"id": number, "seq": number}), state(seq=number), complete()]
        more = [record({"id": 1, "seq": 1}, "firms"), complete("firms")] if beside else []
        return sync_source(database, tenant, "crm", says(*said, *more), catalog(stream_of(schema=schema), *others), options=QUICK)

    return run


@pytest.fixture
def seen(scratch: Scratch) -> Callable[[str], list[tuple[Any, ...]]]:
    """What the administrator sees of this test's database."""

    def query(text: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(scratch.admin_url) as connection:
            return connection.execute(text.encode()).fetchall()

    return query


Seen = Callable[[str], list[tuple[Any, ...]]]


def test_evolve_takes_every_change_over_and_says_so(read: Read, seen: Seen) -> None:
    """The run is complete and names each field; the versions of the shape stay."""
    assert read(1, FIRST).schema_changes == {}
    report = read(2, NEXT)
    assert report.status == "complete"
    changes = ("field amount changed from number to string", "field gone is gone (was string)", "field new is new (boolean)")
    assert report.schema_changes == {"people": changes}
    assert seen("select version, superseded_at is null from pay_ready.stream_schemas order by version") == [(1, False), (2, True)]
    assert read(3, NEXT).schema_changes == {}


@pytest.mark.parametrize("contract", ["evolve", "freeze", "quarantine"])
def test_a_new_field_is_kept_under_every_contract(read: Read, seen: Seen, contract: Contract) -> None:
    """It is no breach."""
    read(1, FIRST, contract)
    report = read(2, {**FIRST, "new": "string"})
    assert (report.status, report.schema_changes) == ("complete", {"people": ("field new is new (string)",)})
    assert seen("select count(*) from pay_ready.landed_records") == [(2,)]


@pytest.mark.parametrize("changed", [{**FIRST, "amount": "string"}, {key: FIRST[key] for key in ("id", "seq", "amount")}])
def test_freeze_leaves_the_stream_unread_and_the_others_not(read: Read, seen: Seen, changed: dict[str, str]) -> None:
    """A type that changed or a field that is gone: nothing of the stream lands, the run is partial and says how to go on."""
    read(1, FIRST, "freeze", beside=True)
    report = read(2, changed, beside=True)
    assert report.status == "partial"
    with pytest.raises(PartialError, match="accept-schema crm --stream people"):
        report.raise_for_failure()
    assert seen("select stream, record_key from pay_ready.landed_records order by 1, 2") == [("firms", "1"), ("people", "1")]
    assert seen("select state from pay_ready.stream_states where stream = 'people'")[0][0].count('"seq":1') == 1


def test_freeze_of_every_stream_is_a_failed_check(read: Read) -> None:
    """Nothing was read at all: exit code 7."""
    read(1, FIRST, "freeze")
    report = read(2, NEXT)
    assert report.status == "failed"
    with pytest.raises(CheckFailedError, match="every stream broke it: people was not read"):
        report.raise_for_failure()


def test_quarantine_keeps_the_rows_aside_until_the_shape_is_accepted(read: Read, seen: Seen, database: Database, tenant: TenantId) -> None:
    """Every record of the stream is kept with the reason; once accepted, the next ones land again."""
    read(1, FIRST, "quarantine")
    report = read(2, NEXT)
    assert report.status == "partial"
    assert [(each.emitted, each.landed, each.quarantined) for each in report.streams] == [(1, 0, 1)]
    assert seen("select stream, reason, status from pay_ready.quarantined_records") == [("people", "schema.retyped", "open")]
    assert read(3, NEXT).status == "partial"
    assert accept_schemas(database, tenant, "crm", ["people"], actor="tests") == ["people"]
    assert read(4, NEXT).status == "complete"
    assert seen("select record_key from pay_ready.landed_records order by 1") == [("1",), ("4",)]
    assert seen("select count(*) from pay_ready.audit_events where action = 'schema.accepted'") == [(1,)]


def test_a_shape_that_nobody_knows_cannot_be_accepted(read: Read, database: Database, tenant: TenantId) -> None:
    """A misspelt stream is named, with those there are."""
    read(1, FIRST)
    with pytest.raises(NotFoundError, match="choose one of people"):
        accept_schemas(database, tenant, "crm", ["poeple"], actor="tests")


def test_quality_flags_stand_beside_the_row_and_go_with_its_version(database: Database, tenant: TenantId, seen: Seen) -> None:
    """What was nulled on the way is known per row and counted per run; a better version has no flags."""
    add_source(database, tenant)
    damaged = record({"id": 1, "seq": 1, "amount": None})
    meta = msgspec.Raw(b'{"changes": [{"field": "amount", "change": "NULLED", "reason": "DESTINATION_SERIALIZATION_ERROR"}]}')
    damaged = Record(damaged.stream, damaged.data, damaged.emitted_at, meta=meta)
    first = sync_source(
        database, tenant, "crm", says(damaged, record({"id": 2, "seq": 2}), state(), complete()), catalog(), options=QUICK
    )  # fmt: skip
    assert [(each.landed, each.flagged) for each in first.streams] == [(2, 1)]
    flags = "select record_key, quality_flags #>> '{changes,0,field}', quality_flags #>> '{changes,0,change}' from pay_ready.landed_records"
    assert seen(flags + " order by 1") == [("1", "amount", "NULLED"), ("2", None, None)]
    better = record({"id": 1, "seq": 3, "amount": 7})
    second = sync_source(database, tenant, "crm", says(damaged, better, state(), complete()), catalog(), options=QUICK)
    assert [(each.landed, each.superseded, each.flagged) for each in second.streams] == [(1, 1, 1)]
    assert seen(flags + " order by 1") == [("1", None, None), ("2", None, None)]


@pytest.mark.parametrize(("good", "bad", "stops"), [(9_000, 99, False), (20_000, 150, False), (5_000, 100, True), (50, 100, True)])
def test_poison_stops_the_run_from_one_percent_and_a_hundred_on(
    database: Database, tenant: TenantId, seen: Seen, good: int, bad: int, stops: bool
) -> None:
    """Below either bound the run goes on; what was committed and what was set aside stays in any case."""
    add_source(database, tenant)
    rows = [record({"id": number, "seq": number}) for number in range(good)]
    poison = [
        NotProtocol(b'{"type":"RECORD","record":{"stream":"people","data":{"n":%d' % number, "json.malformed", is_record=True)
        for number in range(bad)
    ]
    every = max(1, good // bad)
    mixed: list[Any] = []
    for number, row in enumerate(rows):
        mixed += [row, *([poison[number // every]] if number % every == 0 and number // every < bad else [])]
    mixed += poison[(good - 1) // every + 1 :]
    batches = [mixed[start : start + 1_000] for start in range(0, len(mixed), 1_000)] + [[state(seq=good), complete()]]
    options = SyncOptions(limits=FlushLimits(rows=1_000), max_retries=0)
    report = sync_source(database, tenant, "crm", Script([batches]), catalog(), options=options)
    if stops:
        with pytest.raises(PoisonError, match=r"too many records go to quarantine: .* of people: json.malformed \("):
            report.raise_for_failure()
    else:
        report.raise_for_failure()
    [(emitted, landed, aside)] = seen("select sum(emitted), sum(landed), sum(quarantined) from pay_ready.stream_runs")
    assert emitted == landed + aside
    assert seen("select count(*) from pay_ready.quarantined_records") == [(aside,)]
    assert stops or (landed, aside) == (good, bad)
