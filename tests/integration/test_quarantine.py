"""Quarantine: what gets in, what is shown of it, and the ways out."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row

from pay_ready.db import landing, leases
from pay_ready.db import quarantine as quarantine_rows
from pay_ready.db.landing import Counts, Landing
from pay_ready.db.quarantine import QuarantineFilter
from pay_ready.db.sources import DataSource
from pay_ready.db.tenancy import Database
from pay_ready.errors import ConfigError, ConflictError, ContractError, NotFoundError, UsageError
from pay_ready.model.ids import RunId, TenantId, new_id
from pay_ready.pipeline.land.rows import refused
from pay_ready.pipeline.mapping.language import load_mapping
from pay_ready.pipeline.mapping.rules import SourceMapping
from pay_ready.pipeline.quarantine import (
    Replay,
    dismiss_quarantined,
    group_quarantine,
    list_quarantine,
    replay_quarantined,
    show_quarantined,
)
from pay_ready.pipeline.stage import check_equations, stage_source
from pay_ready.secrets import Keyring, generate_key
from tests.conftest import Scratch
from tests.staging_support import CONTEXT, MAPPING, Desk, Version, desk_mapping, make_desk

ALL = QuarantineFilter(status=None)
BROKEN = {"id": "c1", "at": "not a time", "subject": "Renewal"}
MENDED = {**BROKEN, "at": "2026-03-01T10:00:00Z"}


@pytest.fixture
def mapping(tmp_path: Path) -> SourceMapping:
    """The small source's mapping."""
    return desk_mapping(tmp_path)


@pytest.fixture
def desk(database: Database, tenant: TenantId) -> Desk:
    """A source of one tenant."""
    return make_desk(database, tenant)


@pytest.fixture
def replay(desk: Desk, mapping: SourceMapping) -> Replay:
    """Replays of the tenant."""
    keyring = Keyring.from_text(generate_key())
    return Replay(
        database=desk.database, tenant=desk.tenant, mapping_of=lambda _: mapping, context=CONTEXT, actor="tests", keyring=lambda: keyring
    )


def stage(desk: Desk, mapping: SourceMapping) -> None:
    """Stage what waits."""
    stage_source(desk.database, desk.tenant, desk.source, mapping, CONTEXT, run_id=RunId(new_id()))


def broken_call(desk: Desk, mapping: SourceMapping) -> RunId:
    """One call without a time, in quarantine."""
    run = desk.land([Version("calls", "c1", 1, BROKEN)])
    stage(desk, mapping)
    return run


def statuses(desk: Desk) -> list[str]:
    """Of every quarantined record, sorted."""
    return sorted(record.status for record in list_quarantine(desk.database, desk.tenant, ALL))


def interactions(scratch: Scratch) -> list[dict[str, Any]]:
    """The staged interactions."""
    with psycopg.connect(scratch.admin_url, row_factory=dict_row) as admin:
        return admin.execute("select * from pay_ready.interaction_records order by record_id").fetchall()


def test_a_breach_is_kept_whole(desk: Desk, mapping: SourceMapping) -> None:
    """A record that breaks its contract is listed with reason, field, contract version and run, and shown with its bytes."""
    run = broken_call(desk, mapping)
    [record] = list_quarantine(desk.database, desk.tenant, QuarantineFilter())
    assert (record.step, record.reason, record.field) == ("stage", "timestamp.invalid", "interaction.occurred_at")
    assert (record.run_id, record.contract_version, record.source) == (run, mapping.contract_version, "desk")
    shown = show_quarantined(desk.database, desk.tenant, record.quarantine_id, actor="eve")
    assert json.loads(shown.content) == BROKEN


def test_showing_is_audited_and_repr_is_silent(desk: Desk, mapping: SourceMapping, scratch: Scratch) -> None:
    """Who looked at a record is in the audit; the values are in no repr that a log could print."""
    desk.land([Version("calls", "zoe@acme.com", 1, BROKEN)])
    stage(desk, mapping)
    [record] = list_quarantine(desk.database, desk.tenant, QuarantineFilter())
    shown = show_quarantined(desk.database, desk.tenant, record.quarantine_id, actor="eve")
    assert "Renewal" not in repr(shown)
    assert "zoe" not in repr(shown)
    with psycopg.connect(scratch.admin_url) as admin:
        [(actor, subject)] = admin.execute(
            "select actor, subject_id from pay_ready.audit_events where action = 'quarantine.shown'"
        ).fetchall()
    assert (actor, subject) == ("eve", str(record.quarantine_id))


def test_filters_and_groups(desk: Desk, mapping: SourceMapping) -> None:
    """Records are filtered by stream, reason, step, run and status, and counted by reason."""
    run = desk.land([Version("calls", f"c{number}", 1, {**BROKEN, "id": f"c{number}"}) for number in range(3)])
    desk.land([Version("users", "u1", 1, {"id": "u1", "email": "no address"})])
    stage(desk, mapping)
    groups = group_quarantine(desk.database, desk.tenant, QuarantineFilter())
    assert (groups[0].stream, groups[0].reason, groups[0].row_count) == ("calls", "timestamp.invalid", 3)
    for wanted, found in (
        (QuarantineFilter(stream="calls"), 3),
        (QuarantineFilter(reason="timestamp.invalid"), 3),
        (QuarantineFilter(run_id=run), 3),
        (QuarantineFilter(step="land"), 0),
        (QuarantineFilter(status="dismissed"), 0),
        (QuarantineFilter(source_id=desk.source, stream="calls", reason="nothing.such"), 0),
    ):
        assert len(list_quarantine(desk.database, desk.tenant, wanted)) == found
    assert len(list_quarantine(desk.database, desk.tenant, QuarantineFilter(), most=2)) == 2


def test_a_better_version_supersedes(desk: Desk, mapping: SourceMapping, scratch: Scratch) -> None:
    """When the source sends a version that passes, the open record is superseded; each run's counts stay."""
    first = broken_call(desk, mapping)
    second = desk.land([Version("calls", "c1", 2, MENDED)])
    stage(desk, mapping)
    assert statuses(desk) == ["superseded"]
    assert len(interactions(scratch)) == 1
    with desk.database.tenant_transaction(desk.tenant) as tx:
        counts = [check_equations(tx, run)[0] for run in (first, second)]
    assert [(each.staged, each.stage_quarantined) for each in counts] == [(0, 1), (1, 0)]


def test_a_version_that_breaks_takes_the_staged_row_away(desk: Desk, mapping: SourceMapping, scratch: Scratch) -> None:
    """What is staged never comes from an older version than what is in quarantine."""
    desk.land([Version("calls", "c1", 1, MENDED)])
    stage(desk, mapping)
    desk.land([Version("calls", "c1", 2, BROKEN)])
    stage(desk, mapping)
    assert interactions(scratch) == []
    assert statuses(desk) == ["open"]


def test_a_deleted_record_leaves_quarantine(desk: Desk, mapping: SourceMapping) -> None:
    """A record that the source no longer has waits for nobody."""
    broken_call(desk, mapping)
    desk.land([Version("calls", "c1", 2, None)])
    stage(desk, mapping)
    assert statuses(desk) == ["superseded"]


def test_replay_under_a_mended_mapping(desk: Desk, mapping: SourceMapping, replay: Replay, tmp_path: Path, scratch: Scratch) -> None:
    """Records that pass under another mapping are staged and marked replayed; those that do not stay open; counts move."""
    (tmp_path / "strict").mkdir()
    strict = desk_mapping(tmp_path / "strict", version=2, name_required=True)
    run = desk.land([
        Version("users", "u1", 1, {"id": "u1", "email": "bob@globex.com"}), Version("users", "u2", 1, {"id": "u2", "email": "nobody"}),
    ])  # fmt: skip
    stage(desk, strict)
    assert statuses(desk) == ["open", "open"]
    report = replay_quarantined(replay, QuarantineFilter(stream="users"))
    assert (report.replayed, report.still_broken) == (1, 1)
    assert statuses(desk) == ["open", "replayed"]
    with desk.database.tenant_transaction(desk.tenant) as tx:
        [users] = check_equations(tx, run)
    assert (users.staged, users.stage_quarantined) == (1, 1)


def test_replay_of_what_is_still_broken(desk: Desk, mapping: SourceMapping, replay: Replay) -> None:
    """A replay that changes nothing leaves the record open and says so."""
    broken_call(desk, mapping)
    report = replay_quarantined(replay, QuarantineFilter())
    assert (report.replayed, report.still_broken, report.landing_runs) == (0, 1, ())


def test_replay_with_a_correction(desk: Desk, mapping: SourceMapping, replay: Replay, scratch: Scratch) -> None:
    """A corrected record lands in a run of its own under its old key, is staged, and its quarantine row is replayed."""
    broken_call(desk, mapping)
    [record] = list_quarantine(desk.database, desk.tenant, QuarantineFilter())
    report = replay_quarantined(replay, [record.quarantine_id], corrected=json.dumps(MENDED).encode())
    assert (report.replayed, report.still_broken) == (1, 0)
    [interaction] = interactions(scratch)
    assert interaction["record_key"] == "c1"
    with desk.database.tenant_transaction(desk.tenant) as tx:
        [calls] = check_equations(tx, report.landing_runs[0])
    assert (calls.landed, calls.staged) == (1, 1)
    # A new export repeats the broken row, read later: the correction stands, in the equations too.
    desk.land([Version("calls", "c1", 3, BROKEN)])
    stage(desk, mapping)
    assert len(interactions(scratch)) == 1
    assert statuses(desk) == ["replayed"]
    # The source's next version counts again.
    desk.land([Version("calls", "c1", 4, {**MENDED, "subject": "Newer"})])
    stage(desk, mapping)
    assert [row["subject"] for row in interactions(scratch)] == ["Newer"]


def test_a_correction_that_breaks_the_contract(desk: Desk, mapping: SourceMapping, replay: Replay) -> None:
    """It lands, and opens a row of its own in place of the one it replays."""
    broken_call(desk, mapping)
    report = replay_quarantined(replay, QuarantineFilter(), corrected=json.dumps({**BROKEN, "at": "never"}).encode())
    assert (report.replayed, report.still_broken) == (1, 1)
    assert statuses(desk) == ["open", "replayed"]


def test_corrections_that_do_not_help(desk: Desk, mapping: SourceMapping, replay: Replay) -> None:
    """A correction for two records, one that is no JSON, and one that says what stands are refused; nothing is closed."""
    desk.land([Version("calls", key, 1, {**BROKEN, "id": key}) for key in ("c1", "c2")])
    stage(desk, mapping)
    [first, _] = list_quarantine(desk.database, desk.tenant, QuarantineFilter())
    content = show_quarantined(desk.database, desk.tenant, first.quarantine_id, actor="eve").content
    with pytest.raises(UsageError):
        replay_quarantined(replay, QuarantineFilter(), corrected=b"{}")
    with pytest.raises(ContractError):
        replay_quarantined(replay, [first.quarantine_id], corrected=b"{not json")
    with pytest.raises(ConflictError):
        replay_quarantined(replay, [first.quarantine_id], corrected=json.dumps(json.loads(content), sort_keys=True).encode())
    assert statuses(desk) == ["open", "open"]


def test_dismissed_stays_dismissed(desk: Desk, mapping: SourceMapping, tmp_path: Path, replay: Replay) -> None:
    """The same bytes of a dismissed record do not open it again, under no mapping that still refuses them."""
    run = broken_call(desk, mapping)
    [record] = list_quarantine(desk.database, desk.tenant, QuarantineFilter())
    assert dismiss_quarantined(desk.database, desk.tenant, [record.quarantine_id], actor="eve", reason="test data") == 1
    (tmp_path / "later").mkdir()
    stage(desk, desk_mapping(tmp_path / "later", version=2))
    assert statuses(desk) == ["dismissed"]
    with desk.database.tenant_transaction(desk.tenant) as tx:
        assert [(each.staged, each.stage_quarantined) for each in check_equations(tx, run)] == [(0, 1)]
    assert replay_quarantined(replay, QuarantineFilter()).replayed == 0


def refuse_at_landing(desk: Desk, stream: str, raw: bytes) -> None:
    """A record that no row could hold, as landing keeps it."""
    run = RunId(new_id())
    with desk.database.tenant_transaction(desk.tenant) as tx:
        lease = leases.acquire(tx, f"source:{desk.source}", leases.holder_name(run))
        here = Landing(source_id=desk.source, run_id=run, lease=lease)
        landing.open_run(tx, here, "replay")
        landing.quarantine(tx, here, [refused(desk.source, stream, "json.malformed", raw)], "landing/1")
        landing.add_counts(tx, here, {stream: Counts(emitted=1, quarantined=1)})
        leases.release(tx, lease)


def test_replay_of_what_could_not_land(desk: Desk, mapping: SourceMapping, replay: Replay, scratch: Scratch) -> None:
    """A record without a row stays open as it is; corrected, it lands under the key that the mapping names."""
    keyed = replace(mapping, streams={**mapping.streams, "calls": replace(mapping.streams["calls"], primary_key=(("id",),))})
    replay = replace(replay, mapping_of=lambda _: keyed)
    refuse_at_landing(desk, "calls", b'{"id": "c1", "at": ')
    [record] = list_quarantine(desk.database, desk.tenant, QuarantineFilter(step="land"))
    assert replay_quarantined(replay, [record.quarantine_id]).still_broken == 1
    assert replay_quarantined(replay, [record.quarantine_id], corrected=json.dumps(MENDED).encode()).replayed == 1
    assert [row["record_key"] for row in interactions(scratch)] == ["c1"]


def test_a_stream_without_a_key_cannot_land_alone(desk: Desk, mapping: SourceMapping, replay: Replay) -> None:
    """Without a key a corrected record would be a second one: it is refused with the way out."""
    refuse_at_landing(desk, "calls", b"{")
    with pytest.raises(ConfigError, match="primary_key"):
        replay_quarantined(replay, QuarantineFilter(), corrected=json.dumps(MENDED).encode())


def test_each_source_is_read_with_its_own_mapping(
    desk: Desk, mapping: SourceMapping, replay: Replay, tmp_path: Path, scratch: Scratch
) -> None:
    """Of two sources of one kind each is replayed with its own mapping, and a mapping is asked for only where records are selected."""
    (tmp_path / "own").mkdir()
    path = tmp_path / "own" / "desk.toml"
    path.write_text(MAPPING.format(version=7, name_required="false").replace('occurred_at = "at"', 'occurred_at = "when"'))
    own = load_mapping(path)
    other = make_desk(desk.database, desk.tenant, "other")
    broken_call(desk, mapping)
    other.land([Version("calls", "c9", 1, {**BROKEN, "id": "c9", "when": "2026-03-02T10:00:00Z"})])
    stage(other, mapping)
    asked: list[str] = []

    def mapping_of(source: DataSource) -> SourceMapping:
        asked.append(source.name)
        return own if source.name == "other" else mapping

    replay = replace(replay, mapping_of=mapping_of)
    report = replay_quarantined(replay, QuarantineFilter(source_id=other.source))
    assert (report.replayed, report.still_broken, asked) == (1, 0, ["other"])
    assert replay_quarantined(replay, QuarantineFilter()).still_broken == 1
    assert asked == ["other", "desk"]
    assert [row["contract_version"] for row in interactions(scratch)] == [own.contract_version]


def test_one_source_that_cannot_be_replayed_stops_no_other(desk: Desk, mapping: SourceMapping, replay: Replay, tmp_path: Path) -> None:
    """A source whose mapping is gone and a stream whose key nobody knows are reported; all other records are replayed."""
    (tmp_path / "strict").mkdir()
    lost = make_desk(desk.database, desk.tenant, "a-lost-one")
    broken_call(lost, mapping)
    refuse_at_landing(desk, "calls", b'{"id": "c1"}')
    desk.land([Version("users", "u1", 1, {"id": "u1", "email": "bob@globex.com"})])
    stage(desk, desk_mapping(tmp_path / "strict", version=2, name_required=True))

    def mapping_of(source: DataSource) -> SourceMapping:
        if source.name == "a-lost-one":
            raise ConfigError("no such mapping", source=source.name)
        return mapping

    report = replay_quarantined(replace(replay, mapping_of=mapping_of), QuarantineFilter())
    assert (report.replayed, report.still_broken) == (1, 0)
    assert [(each.source, each.stream, each.records) for each in report.failures] == [("a-lost-one", "calls", 1), ("desk", "calls", 1)]
    assert "primary_key" in report.failures[1].error
    assert statuses(desk) == ["open", "open", "replayed"]


def test_absent_and_foreign_look_the_same(desk: Desk, mapping: SourceMapping, replay: Replay, new_tenant: Any) -> None:
    """Another tenant's record is not found, in the same words as one that never was."""
    other = make_desk(desk.database, new_tenant("bolt"))
    broken_call(other, mapping)
    [record] = list_quarantine(other.database, other.tenant, ALL)
    absent = new_id()
    for wanted in (record.quarantine_id, absent):
        with pytest.raises(NotFoundError, match="no such quarantined record"):
            show_quarantined(desk.database, desk.tenant, wanted, actor="eve")
        with pytest.raises(NotFoundError):
            replay_quarantined(replay, [wanted])
        with pytest.raises(NotFoundError):
            dismiss_quarantined(desk.database, desk.tenant, [wanted], actor="eve", reason="x")
    assert list_quarantine(desk.database, desk.tenant, ALL) == ()


def test_quarantine_ids_are_stable(tenant: TenantId, desk: Desk) -> None:
    """The id depends on tenant, source, stream, key, step, reason and bytes, and on nothing else."""

    def made(**other: Any) -> Any:
        values: dict[str, Any] = {"stream": "s", "record_key": "k", "step": "stage", "reason": "a.b", "content": b"x"}
        return quarantine_rows.quarantine_id(tenant, desk.source, **{**values, **other})

    assert made() == made()
    variants = [{"stream": "t"}, {"record_key": "l"}, {"record_key": None}, {"step": "land"}, {"reason": "a.c"}, {"content": b"y"}]
    assert len({made(), *(made(**each) for each in variants)}) == 7
