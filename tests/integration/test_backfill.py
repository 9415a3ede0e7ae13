"""Backfills: what a chunk lands, what it leaves alone, how a plan is kept, and what happens when a chunk fails."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pay_ready.db import sources
from pay_ready.db.tenancy import Database
from pay_ready.errors import ConfigError, ConflictError, NotFoundError, PartialError, PayReadyError, TransientError, UsageError
from pay_ready.failpoints import FailpointError, armed
from pay_ready.model.ids import RunId, TenantId, new_id
from pay_ready.model.progress import ProgressEvent
from pay_ready.pipeline.backfill.report import BackfillReport
from pay_ready.pipeline.backfill.run import finish, planned, run_backfill, run_chunk, show_plan
from pay_ready.pipeline.bring_in import stage_step, sync_step
from pay_ready.pipeline.land.buffer import FlushLimits
from pay_ready.pipeline.land.sync import sync_source
from pay_ready.pipeline.work import TenantWork
from pay_ready.sources.catalog import ConfiguredCatalog
from pay_ready.sources.protocol import Message
from tests.backfill_support import (
    OPTIONS,
    Listing,
    add_crm,
    add_exports,
    live,
    of_messages,
    of_source,
    request,
    row,
    rows,
    seen,
    tenant_work,
)
from tests.conftest import Scratch
from tests.landing_support import catalog, complete, record, state, stream_of

See = Callable[[str], list[tuple[Any, ...]]]
SMALL = replace(OPTIONS, limits=FlushLimits(rows=4))
LANDED = "select stream, record_key from pay_ready.landed_records where deleted_at is null order by 1, 2"


@pytest.fixture
def see(scratch: Scratch) -> See:
    """What the administrator sees of this test's database."""
    return lambda text: seen(scratch.admin_url, text)


@pytest.fixture
def work(database: Database, tenant: TenantId, tmp_path: Path) -> TenantWork:
    """A tenant's work; its source crm is for the test to add."""
    return tenant_work(database, tenant, tmp_path)


@pytest.fixture
def exported(database: Database, tenant: TenantId, tmp_path: Path) -> TenantWork:
    """A tenant whose source crm is export files: 60 people, one every four hours from 1 January on, and some without a date."""
    made = tenant_work(database, tenant, tmp_path, replay=True)
    people = [row(number, number * 4.0) for number in range(60)]
    people += [{"id": 900, "email": "x@customer.example", "updated_at": None}, {"id": 901, "updated_at": "some day"}]
    add_exports(made, tmp_path / "exports", {"people": people, "badges": [{"code": 7}]})
    return made


def dated(**more: Any) -> ConfiguredCatalog:
    """The people, dated by updated_at."""
    return catalog(replace(stream_of(**more), cursor_field=("updated_at",)))


def figures(report: BackfillReport, *names: str) -> list[tuple[Any, ...]]:
    """Some figures of each chunk."""
    return [tuple(getattr(chunk, name) for name in names) for chunk in report.chunks]


def test_export_files_come_in_chunk_by_chunk(exported: TenantWork, see: See) -> None:
    """Planned with exact counts, landed and staged by chunk with both equations, then there already; nothing of it moved a state."""
    source = of_source(exported, request())
    plan = show_plan(source)
    assert plan.status == "planned"
    assert [chunk.estimated_rows for chunk in plan.chunks] == [6, 6, 6, 6]
    assert (plan.left_out, plan.plan_id) == (("badges",), None)
    assert see("select count(*) from pay_ready.backfill_plans") == [(0,)]
    report = run_backfill(source)
    assert (report.status, report.state) == ("complete", "new")
    assert figures(report, "emitted", "landed", "staged", "skipped", "undated") == [(6, 6, 6, 0, 2)] * 4
    assert any("2 records of the source have no date" in note for note in report.notes)
    assert [key for _, key in see(LANDED)] == sorted(str(number) for number in range(24))
    assert see("select stream, state, watermark, generation, run_id, pass_run_id from pay_ready.stream_states") == [
        ("people", None, "", 0, None, None)
    ]
    again = run_backfill(source)
    assert (again.status, again.state, again.plan_id) == ("complete", "complete", report.plan_id)
    assert figures(again, "emitted", "landed") == figures(report, "emitted", "landed")
    assert see("select count(*) from pay_ready.sync_runs") == [(4,)]
    assert see("select count(*) from pay_ready.backfill_states") == [(0,)]


def test_the_first_sync_after_a_backfill_reads_all(exported: TenantWork, see: See) -> None:
    """What was backfilled is unchanged to it, and it starts at its beginning."""
    run_backfill(of_source(exported, request()))
    report = sync_step(exported, "crm", RunId(new_id()))
    (people,) = [each for each in report.streams if each.stream == "people"]
    assert (people.emitted, people.landed, people.unchanged) == (62, 38, 24)


def test_a_backfill_of_what_is_synced_changes_nothing(exported: TenantWork, scratch: Scratch, see: See) -> None:
    """The plan says what is landed; each record is unchanged; states, watermarks, generations stay byte for byte."""
    sync_step(exported, "crm", RunId(new_id()))
    stage_step(exported, "crm", RunId(new_id()))
    before, landed = live(scratch.admin_url), see("select ctid, xmin from pay_ready.landed_records order by 1")
    source = of_source(exported, request(chunk="2d"))
    plan = planned(source)
    assert [chunk.landed_before for chunk in plan.chunks] == [12, 12]
    for chunk in plan.chunks:
        assert run_chunk(source, plan, chunk).landed == 0
    assert live(scratch.admin_url) == before
    assert see("select ctid, xmin from pay_ready.landed_records order by 1") == landed
    report = finish(source, plan)
    assert figures(report, "emitted", "unchanged", "landed") == [(12, 12, 0)] * 2
    assert report.status == "complete"


def test_a_connector_is_asked_by_its_own_keys(work: TenantWork, scratch: Scratch, see: See) -> None:
    """The scripted connector emits the range alone, by start_date and end_date of its specification; the live state goes on."""
    add_crm(work, {"streams": {"people": 300}, "cursor": "updated_at"})
    asked = request("2026-04-01", chunk="1mo")
    first = run_backfill(of_source(work, asked))
    inside = see("select count(*) from pay_ready.landed_records where data ->> 'updated_at' < '2026-04-01'")[0][0]
    assert (first.status, first.totals.landed, first.totals.skipped) == ("complete", inside, 0)
    assert 0 < inside == see("select count(*) from pay_ready.landed_records")[0][0] < 300
    columns = "stream, state, watermark, generation, lease_token, run_id, pass_run_id"
    assert sync_step(work, "crm", RunId(new_id())).status == "complete"
    before = live(scratch.admin_url, columns)
    again = run_backfill(of_source(work, asked), reprocess="completed")
    assert (again.totals.unchanged, again.totals.landed) == (inside, 0)
    assert [chunk.estimated_rows for chunk in again.chunks] == [chunk.landed_before for chunk in again.chunks]
    assert live(scratch.admin_url, columns) == before


def test_a_new_token_is_kept_without_the_dates_of_the_chunk(work: TenantWork) -> None:
    """CONTROL in a chunk: the configuration that is stored has the new key, and no range."""
    control = {"kind": "control", "at": 5, "new_key": "rotated-key-0002"}
    settings = {"streams": {"people": 50}, "cursor": "updated_at", "end_date": "2030-01-01", "fault": control}
    add_crm(work, settings | {"api_key": "first-key-0001"})  # pragma: allowlist secret
    assert run_backfill(of_source(work, request("2026-02-01", chunk="1mo"))).status == "complete"
    with work.database.tenant_transaction(work.tenant) as tx:
        source = sources.require(tx, "crm")
        config = sources.connector_config(tx, source, work.keyring())
    assert (config["api_key"], config["end_date"], "start_date" in config) == ("rotated-key-0002", "2030-01-01", False)


def test_landing_leaves_out_what_a_source_gives_beside_the_range(work: TenantWork, see: See) -> None:
    """A source that cannot be asked: records are dated by their cursor in any shape, those outside are counted and not emitted."""
    add_crm(work)
    messages: list[Message] = [
        *rows(12, every_h=6.0),
        record(row(50, 0, updated_at=1_767_225_600)),  # 1 January, seconds
        record(row(51, 0, updated_at="1767312000.5")),  # 2 January, as text
        record(row(52, 0, updated_at=1_767_225_599_999)),  # a millisecond before 1 January
        record(row(53, 0, updated_at="2026-01-02")),
        record(row(54, 0, updated_at=None)),
        record(row(55, 0, updated_at=True)),
        record(b'{"id": 56, "updated_at": [1,}'),
        state(),
    ]
    report = run_backfill(of_messages(work, request("2026-01-03"), Listing(messages), dated()))
    assert figures(report, "emitted", "landed", "quarantined", "skipped", "undated") == [(6, 5, 1, 11, 2), (7, 6, 1, 10, 2)]
    assert {key for _, key in see(LANDED)} == {*map(str, range(8)), "50", "51", "53"}
    assert see("select reason from pay_ready.quarantined_records") == [("json.malformed",)]


def test_an_older_version_never_overwrites_a_newer_one(work: TenantWork, see: See) -> None:
    """A sync landed a later change of a row; the backfill's source still tells the old one."""
    add_crm(work)
    newer = [record(row(1, 12, name="new")), record(row(2, 12, name="same"))]
    sync_source(work.database, work.tenant, "crm", Listing([*newer, state()]), dated(), options=OPTIONS)
    older = [record(row(1, 6, name="old")), record(row(2, 12, name="same")), record(row(3, 6, name="first"))]
    report = run_backfill(of_messages(work, request("2026-01-02"), Listing(older), dated()))
    assert figures(report, "emitted", "superseded", "unchanged", "landed") == [(3, 1, 1, 1)]
    assert see("select data ->> 'name' from pay_ready.landed_records order by record_key") == [("new",), ("same",), ("first",)]


def test_a_refresh_under_way_is_left_alone(work: TenantWork, scratch: Scratch, see: See) -> None:
    """A refresh breaks off, a chunk runs, the refresh goes on: it drops what it did not list, and nothing that it did."""
    add_crm(work)
    refresh = dated(mode="full_refresh", write="overwrite")
    everything = [*rows(30), state(seq=30)]
    sync_source(work.database, work.tenant, "crm", Listing(everything), refresh, options=OPTIONS)

    def breaks(start: int) -> None:
        if start >= 20:
            raise PayReadyError("the source broke off")

    half = [*rows(10), state(seq=10), *rows(28)[10:], state(seq=28)]
    broken = sync_source(work.database, work.tenant, "crm", Listing(half, batch=10, trouble=breaks), refresh, options=SMALL)
    assert broken.status == "failed"
    before = live(scratch.admin_url)
    assert len(before) > 1  # the pass and its keys
    bad = [record(b'{"id": 99, ')]  # no doubt for the refresh: it is no part of its pass
    source = of_messages(work, request(), Listing([*everything, *bad]), refresh)
    plan = planned(source)
    for chunk in plan.chunks:
        report = run_chunk(source, plan, chunk)
        assert [each.tombstoned for each in report.streams] == [0]
    assert live(scratch.admin_url) == before
    rest = Listing([*rows(28)[10:], state(seq=28)])
    done = sync_source(work.database, work.tenant, "crm", rest, refresh, options=OPTIONS)
    assert (done.status, done.notes) == ("complete", ())
    assert {key for _, key in see(LANDED)} == set(map(str, range(28)))


def test_rows_without_a_key_are_numbered_within_the_chunk(work: TenantWork, scratch: Scratch, see: See) -> None:
    """A chunk breaks off between equal rows, a live pass of the stream goes on and ends, the chunk is taken up again: the n-th is
    the same row everywhere."""
    work = replace(work, options=SMALL)
    add_crm(work)
    keyless = dated(key=False)
    later: list[Message] = [record(row(number // 3, 500 + number // 3)) for number in range(9)]
    live_part = Listing([*later[:5], state(seq=5), *later[5:]], batch=3, trouble=_once_at(6))
    assert sync_source(work.database, work.tenant, "crm", live_part, keyless, options=SMALL).status == "failed"
    before = live(scratch.admin_url)
    assert len(before) == 1 + 5
    twins: list[Message] = [record(row(number // 3, number // 3 * 4.0)) for number in range(24)]
    source = of_messages(
        work, request("2026-01-03", chunk="2d"), Listing([*twins[:7], state(seq=7), *twins[7:]], batch=4, trouble=_once_at(12)), keyless
    )
    plan = planned(source)
    with pytest.raises(PayReadyError, match="the source broke off"):
        run_chunk(source, plan, plan.chunks[0])
    assert live(scratch.admin_url) == before
    sync_source(work.database, work.tenant, "crm", Listing(later[5:]), keyless, options=SMALL)
    rest = of_messages(work, source.request, Listing(twins[7:]), keyless)
    run_chunk(rest, planned(rest), plan.chunks[0])
    there = "select count(*), count(distinct content_hash), max(right(record_key, 1)) from pay_ready.landed_records"
    assert see(there) == [(33, 11, "2")]
    sync_source(work.database, work.tenant, "crm", Listing([*twins, *later]), keyless, options=SMALL)
    assert see(there) == [(33, 11, "2")]
    assert see("select count(*) from pay_ready.seen_keys") == [(0,)]


def _once_at(place: int) -> Callable[[int], None]:
    """Trouble at a place of the first read."""
    ahead = [place]

    def breaks(start: int) -> None:
        if ahead and start >= ahead[0]:
            ahead.clear()
            raise PayReadyError("the source broke off")

    return breaks


def test_a_chunk_goes_on_from_its_scratch_state(work: TenantWork, see: See) -> None:
    """It broke off in the second chunk: the same request finds the plan and hands the state back; sums are those of both runs."""
    work = replace(work, options=SMALL)
    add_crm(work, {"streams": {"people": 400}, "cursor": "updated_at", "state_every": 50})
    asked = request("2026-03-01", chunk="1mo", streams=["people"])
    source = of_source(work, asked)
    plan = planned(source)
    run_chunk(source, plan, plan.chunks[0])
    with armed("land.after_commit", "raise"), pytest.raises(FailpointError):
        run_chunk(source, plan, plan.chunks[1])
    assert see("select status, attempts from pay_ready.backfill_batches order by chunk_start") == [("complete", 1), ("failed", 1)]
    assert see("select count(*) from pay_ready.backfill_states where scratch is not null") == [(1,)]
    seen_plans: list[str] = []
    report = run_backfill(of_source(work, asked), on_plan=lambda found: seen_plans.append(f"{found.state} {len(found.waiting)}"))
    assert seen_plans == ["resumed 1"]
    assert (report.status, report.plan_id) == ("complete", plan.plan_id)
    assert figures(report, "status", "attempts", "unchanged") == [("complete", 1, 0), ("complete", 2, 0)]
    assert report.totals.landed == see("select count(*) from pay_ready.landed_records")[0][0] > 50


def test_a_stream_that_is_complete_is_not_read_again(work: TenantWork) -> None:
    """Of two streams one is through when the chunk breaks off: what is left of the chunk is the other."""
    add_crm(work)
    both = catalog(*(replace(stream_of(name), cursor_field=("updated_at",)) for name in ("people", "firms")))
    ends: list[Message] = [*rows(6, stream="firms"), complete("firms"), *rows(6)]
    listing = Listing(ends, batch=7, trouble=_once_at(7))
    source = of_messages(work, request("2026-01-02"), listing, both)
    assert run_backfill(source).status == "failed"
    report = run_backfill(source)
    assert [[str(each) for each in asked.descriptors] for asked in listing.catalogs] == [["firms", "people"], ["people"]]
    assert figures(report, "status", "emitted", "landed") == [("complete", 12, 12)]


def test_a_chunk_that_is_complete_is_not_begun_again(work: TenantWork, see: See) -> None:
    """Whoever comes too late is refused, and so is who comes with a plan that was given up."""
    add_crm(work)
    source = of_messages(work, request("2026-01-03"), Listing(rows(24)), dated())
    plan = planned(source)
    run_chunk(source, plan, plan.chunks[0])
    with pytest.raises(ConflictError, match="the chunk is complete or its plan was given up"):
        run_chunk(source, plan, plan.chunks[0])
    planned(source, again=True)
    with pytest.raises(ConflictError, match="the chunk is complete or its plan was given up"):
        run_chunk(source, plan, plan.chunks[1])
    assert see("select status from pay_ready.sync_runs") == [("complete",)]


def test_a_plan_stops_at_a_chunk_that_fails_and_goes_on_there(work: TenantWork, see: See) -> None:
    """Its error ends the command in the error's class, later chunks are untouched; mended, the same request completes it."""
    add_crm(work)
    broken = [True]

    def fails(start: int) -> None:
        if broken[0] and see("select count(*) from pay_ready.backfill_batches where status = 'complete'")[0][0] >= 1:
            raise ConfigError("the password is wrong", stream="people")

    source = of_messages(work, request(), Listing(rows(24), trouble=fails), dated())
    report = run_backfill(source)
    assert figures(report, "status", "attempts", "landed", "staged") == [
        ("complete", 1, 6, 6), ("failed", 1, 0, 0), ("planned", 0, 0, 0), ("planned", 0, 0, 0),
    ]  # fmt: skip
    assert (report.status, report.chunks[1].error_class) == ("failed", "ConfigError")
    with pytest.raises(ConfigError, match="the password is wrong"):
        report.raise_for_failure()
    going = run_backfill(source, keep_going=True)
    assert [chunk.status for chunk in going.chunks] == ["complete", "failed", "failed", "failed"]
    with pytest.raises(PartialError, match="3 of 4 chunks are not complete: the password is wrong"):
        going.raise_for_failure()
    broken[0] = False
    done = run_backfill(source)
    assert (done.status, done.state, done.plan_id) == ("complete", "resumed", report.plan_id)
    assert figures(done, "attempts", "landed") == [(1, 6), (3, 6), (2, 6), (2, 6)]
    assert done.chunks[1].error_class is None


def test_what_is_transient_is_tried_again_within_the_chunk(work: TenantWork) -> None:
    """As in a sync: no failed chunk, one run with two attempts."""
    add_crm(work)
    times: list[int] = []

    def fails_once(start: int) -> None:
        times.append(start)
        if len(times) == 1:
            raise TransientError("the source is away")

    patient = replace(work, options=replace(OPTIONS, max_retries=2))
    report = run_backfill(of_messages(patient, request("2026-01-02"), Listing(rows(6), trouble=fails_once), dated()))
    assert figures(report, "status", "attempts", "landed") == [("complete", 1, 6)]


def test_again_plans_anew_and_gives_an_open_plan_up(exported: TenantWork, see: See) -> None:
    """The open plan is aborted with its scratch; another length of chunks is another plan."""
    source = of_source(exported, request())
    with armed("land.before_commit", "raise"):
        assert run_backfill(source).status == "failed"
    assert see("select count(*) > 0 from pay_ready.backfill_states") == [(True,)]
    report = run_backfill(source, reprocess="completed")
    assert report.status == "complete"
    assert see("select status, count(*) from pay_ready.backfill_plans group by 1 order by 1") == [("aborted", 1), ("complete", 1)]
    assert see("select count(*) from pay_ready.backfill_states") == [(0,)]
    other = run_backfill(of_source(exported, request(chunk="4d")))
    assert (other.state, other.totals.unchanged, len(other.chunks)) == ("new", 24, 1)
    assert run_backfill(of_source(exported, request(chunk="96h"))).plan_id == other.plan_id


def test_a_stream_without_a_date_is_refused_by_name(exported: TenantWork, work: TenantWork) -> None:
    """The error names the streams that can be brought in; so does one about a stream that is not there."""
    with pytest.raises(UsageError, match="no field that says when a record changed - source=crm, stream=badges - choose from people"):
        of_source(exported, request(streams=["badges", "people"]))
    with pytest.raises(UsageError, match="no such stream - source=crm, stream=peopl - choose from people"):
        of_source(exported, request(streams=["peopl"]))
    with pytest.raises(UsageError, match="only a destination knows when its records were extracted"):
        of_source(exported, request(by="extracted"))
    with pytest.raises(NotFoundError):
        of_source(exported, replace(request(), source="nope"))


def test_records_are_dated_by_their_extraction_where_a_destination_knows_it(work: TenantWork, see: See) -> None:
    """A stream without a cursor; `emitted_at` puts its records into chunks, and counts what is landed."""
    add_crm(work)
    moments = [1_767_225_600_000 + number * 6 * 3_600_000 for number in range(12)]
    given = [record({"id": number}, emitted_at=moment) for number, moment in enumerate(moments)] + [record({"id": 77}, emitted_at=0)]
    undated = catalog(replace(stream_of(), cursor_field=()))
    asked = request("2026-01-03", by="extracted")
    report = run_backfill(of_messages(work, asked, Listing(given), undated))
    assert figures(report, "emitted", "landed", "skipped", "undated") == [(4, 4, 8, 1), (4, 4, 8, 1)]
    again = show_plan(of_messages(work, replace(asked, length=request(chunk="2d").length), Listing(given), undated))
    assert [(chunk.landed_before, chunk.estimated_rows) for chunk in again.chunks] == [(8, 8)]


def test_a_stream_of_the_plan_that_is_gone_is_said(work: TenantWork) -> None:
    """A plan of all streams is found again although one of them is gone: the chunk fails, and says what to do."""
    add_crm(work)
    both = catalog(*(replace(stream_of(name), cursor_field=("updated_at",)) for name in ("people", "firms")))
    asked = request("2026-01-02")
    plan = planned(of_messages(work, asked, Listing([]), both))
    assert plan.scope.streams == ("firms", "people")
    report = run_backfill(of_messages(work, asked, Listing(rows(6)), dated()))
    assert (report.plan_id, report.status) == (plan.plan_id, "failed")
    with pytest.raises(ConfigError, match=r"a stream of the plan is no longer offered - source=crm, stream=firms - .*--again"):
        report.raise_for_failure()


def test_the_plan_counts_by_stream_and_guesses_from_what_is_landed(work: TenantWork) -> None:
    """Without a source that can count: unknown before anything is landed, then as many as are landed."""
    add_crm(work)
    source = of_messages(work, request(), Listing(rows(24)), dated())
    assert [chunk.estimated_rows for chunk in show_plan(source).chunks] == [None] * 4
    sync_source(work.database, work.tenant, "crm", Listing(rows(9)), dated(), options=OPTIONS)
    plan = show_plan(source)
    assert [(chunk.estimated_rows, chunk.landed_before) for chunk in plan.chunks] == [(6, 6), (3, 3), (0, 0), (0, 0)]
    assert "how much the source has is guessed from what is landed" in plan.notes


def test_progress_tells_rate_and_time_left(exported: TenantWork) -> None:
    """Chunks done of all, rows a second, seconds left, and where it is."""
    events: list[ProgressEvent] = []
    run_backfill(of_source(exported, request()), progress=events.append)
    told = [event for event in events if event.step == "backfill"]
    assert (told[0].done, told[0].total, told[0].detail, told[0].left_s) == (0, 4, "2026-01-01, 0 rows", None)
    assert (told[-1].done, told[-1].detail, told[-1].left_s) == (4, "2026-01-04, 24 rows", 0.0)
    assert all(event.rows_per_s for event in told[1:])
    assert any(event.left_s for event in told[1:-1])
