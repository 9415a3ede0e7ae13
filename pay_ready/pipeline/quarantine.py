"""What is in quarantine, and the ways out: replayed as it is (the mapping was mended), replayed corrected, or dismissed.

A record that broke its contract is staged again where it stands. One that could not land, or that comes with a correction,
lands in a small run of its own, in the same order of versions as any other: when the source sends a newer version, that
one counts.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby
from uuid import UUID

from msgspec import Raw, structs

from pay_ready.db import landing, leases, quarantine, sources, tenants
from pay_ready.db.landing import Landing, LandingRow, Refused, StreamMove, StreamRows
from pay_ready.db.quarantine import QuarantinedContent, QuarantinedRecord, QuarantineFilter, QuarantineGroup
from pay_ready.db.sources import DataSource
from pay_ready.db.tenancy import Database, TenantTransaction
from pay_ready.errors import ConfigError, ConflictError, ContractError, NotFoundError, PayReadyError, RetryLaterError, UsageError
from pay_ready.model.ids import RunId, TenantId, new_id
from pay_ready.pipeline.land.buffer import Keep
from pay_ready.pipeline.land.lease import held_lease
from pay_ready.pipeline.land.record_range import Outside, RangedMaker
from pay_ready.pipeline.land.rows import StreamPlan, row_maker
from pay_ready.pipeline.mapping.kinds import MappingContext
from pay_ready.pipeline.mapping.rules import SourceMapping
from pay_ready.pipeline.run_column import plain_report
from pay_ready.pipeline.stage import restage_records, stage_source
from pay_ready.pipeline.subject import suppressor
from pay_ready.secrets import Keyring
from pay_ready.sources.protocol import Record

MOST_AT_ONCE = 100_000
# By this the run of a replay is known from a sync (sql/queries/runs.sql: recent_volumes).
REPLAY_NOTE = "replayed from quarantine"

Selection = Sequence[UUID] | QuarantineFilter

# What is wrong with one source or stream, and says nothing about the next one. A lost database is none of these.
_OF_ONE_STREAM = (ConfigError, ConflictError, ContractError, NotFoundError, RetryLaterError)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayFailure:
    """Records of one stream that could not be replayed at all: they stay open."""

    source: str
    stream: str
    records: int
    error: str  # what, where, and what to do; no values


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayReport:
    """What a replay came to, in records.

    `still_broken`: they broke the contract again, as before or in another way. Those of `failures` are in neither count.
    """

    replayed: int
    still_broken: int
    landing_runs: tuple[RunId, ...]  # of those that had to land again
    failures: tuple[ReplayFailure, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    """What a replay works with."""

    database: Database
    tenant: TenantId
    # Of a source, not of its kind: two sources of one kind may each have a mapping of their own. Asked only for those replayed.
    mapping_of: Callable[[DataSource], SourceMapping]
    context: MappingContext
    actor: str
    keyring: Callable[[], Keyring]  # asked only when the tenant has erased somebody


@dataclass(frozen=True, slots=True, kw_only=True)
class _Group:
    """Records of one stream that take the same way."""

    source: DataSource
    stream: str
    mapping: SourceMapping
    records: Sequence[QuarantinedRecord]
    corrected: bytes | None
    keep: Keep | None  # of a tenant that has erased somebody


def list_quarantine(database: Database, tenant: TenantId, wanted: QuarantineFilter, *, most: int = 100) -> tuple[QuarantinedRecord, ...]:
    """The newest records in quarantine, without what is in them."""
    with database.tenant_transaction(tenant) as tx:
        return tuple(quarantine.list_records(tx, wanted, most))


def group_quarantine(database: Database, tenant: TenantId, wanted: QuarantineFilter) -> tuple[QuarantineGroup, ...]:
    """How many records are in quarantine for which reason; most first."""
    with database.tenant_transaction(tenant) as tx:
        return tuple(quarantine.groups(tx, wanted))


def show_quarantined(database: Database, tenant: TenantId, quarantine_id: UUID, *, actor: str) -> QuarantinedContent:
    """One record with its bytes, for the operator who asks; that they were shown is in the audit.

    Raises:
        NotFoundError: It is not there, or another tenant's.
    """
    with database.tenant_transaction(tenant) as tx:
        shown = quarantine.content_of(tx, quarantine_id)
        _audit(tx, "quarantine.shown", [quarantine_id], actor=actor, reason=None)
    return shown


def dismiss_quarantined(database: Database, tenant: TenantId, wanted: Selection, *, actor: str, reason: str) -> int:
    """Close open records for good: the same bytes are not opened again; how many.

    Raises:
        NotFoundError: One of the ids is not there, or another tenant's.
    """
    with database.tenant_transaction(tenant) as tx:
        ids = [record.quarantine_id for record in _selected(tx, wanted)]
        closed = quarantine.close(tx, ids, "dismissed")
        _audit(tx, "quarantine.dismissed", ids, actor=actor, reason=reason)
    return closed


def replay_quarantined(replay: Replay, wanted: Selection, *, corrected: bytes | None = None) -> ReplayReport:
    """Take open records through staging or landing again; those that pass are marked replayed.

    Each source is read with its own mapping. What stops one stream does not stop the others: it is in the report's failures.
    When the selection is of one stream, it is raised.

    Args:
        corrected: JSON in place of the one record that is selected.

    Raises:
        NotFoundError: One of the ids is not there, or another tenant's.
        UsageError: A correction for more than one record.
        ContractError: The correction is no JSON object, or has no key.
        ConfigError: The source has no mapping, or nobody knows the stream's key.
        ConflictError: The correction says what stands already.
        RetryLaterError: Another run lands the source right now.
    """
    with replay.database.tenant_transaction(replay.tenant) as tx:
        records = _selected(tx, wanted)
        _audit(tx, "quarantine.replayed", [record.quarantine_id for record in records], actor=replay.actor, reason=None)
    if corrected is not None and len(records) != 1:
        raise UsageError("a correction is for one record", "name one id: pay-ready quarantine replay ID --data FILE", selected=len(records))
    groups = [(place, list(group)) for place, group in groupby(sorted(records, key=_place), key=_place)]
    runs: list[RunId] = []
    failed: list[tuple[list[QuarantinedRecord], PayReadyError]] = []
    for (source, _, step), group in groups:
        try:
            runs.extend(_replay_group(replay, source, step, group, corrected))
        except _OF_ONE_STREAM as error:
            if len(groups) == 1:
                raise
            failed.append((group, error))
    return _report(replay, records, runs, failed)


def _place(record: QuarantinedRecord) -> tuple[str, str, str]:
    return record.source, record.stream, record.step


def _selected(tx: TenantTransaction, wanted: Selection) -> list[QuarantinedRecord]:
    if isinstance(wanted, QuarantineFilter):
        return [record for record in quarantine.list_records(tx, wanted, MOST_AT_ONCE) if record.status == "open"]
    return [record for record in quarantine.records_of(tx, wanted) if record.status == "open"]


def _replay_group(
    replay: Replay, source_name: str, step: str, records: Sequence[QuarantinedRecord], corrected: bytes | None
) -> list[RunId]:
    """Replay the records of one stream; the runs that landed them."""
    with replay.database.tenant_transaction(replay.tenant) as tx:
        # What a removed source landed can still be staged; nothing lands for it any more.
        source = sources.find(tx, source_name) or sources.require(tx, source_name)
        mapping = replay.mapping_of(source)
        found = suppressor(tx, source, lambda: mapping, replay.context, replay.keyring)
    group = _Group(
        source=source, stream=records[0].stream, mapping=mapping, records=records, corrected=corrected,
        keep=found.kept_maker if found else None,
    )  # fmt: skip
    if step == "land" or corrected is not None:
        return _land_again(replay, group)
    keys = [record.record_key for record in records if record.record_key is not None]
    restage_records(replay.database, replay.tenant, source.source_id, group.mapping, replay.context, group.stream, keys)
    return []


def _report(
    replay: Replay,
    records: Sequence[QuarantinedRecord],
    runs: Sequence[RunId],
    failed: Sequence[tuple[Sequence[QuarantinedRecord], PayReadyError]],
) -> ReplayReport:
    with replay.database.tenant_transaction(replay.tenant) as tx:
        now = quarantine.records_of(tx, [record.quarantine_id for record in records])
        broken_anew = [record for run in runs for record in quarantine.list_records(tx, QuarantineFilter(run_id=run), MOST_AT_ONCE)]
    left = {record.quarantine_id for group, _ in failed for record in group}
    tried = [record.status == "replayed" for record in now if record.quarantine_id not in left or record.status == "replayed"]
    return ReplayReport(
        replayed=sum(tried),
        still_broken=len(tried) - sum(tried) + len(broken_anew),
        landing_runs=tuple(runs),
        failures=tuple(
            ReplayFailure(source=group[0].source, stream=group[0].stream, records=len(group), error=str(error)) for group, error in failed
        ),
    )


def _land_again(replay: Replay, group: _Group) -> list[RunId]:
    """Land the records in a run of its own and stage what they became; no run when all are refused again."""
    with replay.database.tenant_transaction(replay.tenant) as tx:
        sources.require(tx, group.source.name)
        rows = _rows(tx, group)
    if not rows:
        return []
    run = RunId(new_id())
    source_id = group.source.source_id
    with held_lease(replay.database, replay.tenant, f"source:{source_id}", leases.holder_name(run)) as lease:
        _land(replay, Landing(source_id=source_id, run_id=run, lease=lease), group.stream, rows, is_correction=group.corrected is not None)
    stage_source(replay.database, replay.tenant, source_id, group.mapping, replay.context, run_id=run)
    return [run]


def _rows(tx: TenantTransaction, group: _Group) -> dict[UUID, LandingRow]:
    """What the records land as; those that no row can hold, as before, are left out."""
    found: dict[UUID, LandingRow] = {}
    for record in group.records:
        content = quarantine.content_of(tx, record.quarantine_id).content if group.corrected is None else group.corrected
        row = _row(tx, group, record, content)
        if isinstance(row, LandingRow):
            found[record.quarantine_id] = row
        elif isinstance(row, str):
            raise ConflictError(
                "the record is of somebody who was erased", "nothing was replayed: pay-ready erase list", stream=group.stream
            )
        elif group.corrected is not None:
            raise ContractError("the correction cannot land", "mend the file and try again", reason=row.reason, stream=group.stream)
    return found


def _row(tx: TenantTransaction, group: _Group, record: QuarantinedRecord, content: bytes) -> LandingRow | Refused | Outside:
    """A record that has landed before keeps its key and its cursor: the correction is newer by the time it was made."""
    emitted = Record(stream=group.stream, data=Raw(content), emitted_at=datetime.now(UTC).timestamp() * 1000)
    source_id = group.source.source_id
    if record.record_key is None:
        return _maker(group, _plan(group))(emitted)
    row = _maker(group, StreamPlan(stream=group.stream))(emitted)
    if not isinstance(row, LandingRow):
        return row
    cursor = quarantine.standing_cursor(tx, source_id, group.stream, record.record_key)
    return structs.replace(row, record_key=record.record_key.encode(), cursor_order=cursor.encode())


def _maker(group: _Group, plan: StreamPlan) -> RangedMaker:
    make = row_maker(group.source.source_id, plan)
    return group.keep(make, plan) if group.keep else make


def _plan(group: _Group) -> StreamPlan:
    """How the stream's records get their keys: as the source is set up, else as its mapping says."""
    source, stream = group.source, group.stream
    own, rules = source.config.streams.get(stream), group.mapping.stream(stream)
    primary_key = (own.primary_key if own else ()) or (rules.primary_key if rules else ())
    if not primary_key:
        raise ConfigError(
            "nobody knows the key of this stream: its records cannot land alone",
            "give the source a primary_key for it, or sync the source again",
            source=source.name,
            stream=stream,
        )
    cursor = (own.cursor_field if own else ()) or (rules.cursor if rules else ())
    return StreamPlan(stream=stream, primary_key=primary_key, cursor=cursor)


def _land(replay: Replay, run: Landing, stream: str, rows: Mapping[UUID, LandingRow], *, is_correction: bool) -> None:
    """One transaction: the run, its rows, its counts, and the quarantine closed. State and generation stay as they are.

    A correction remembers what it replaced: when the source repeats it, as a new export of the same rows does, it stands.
    """
    once = {row.record_key: row for row in sorted(rows.values(), key=lambda row: row.order)}
    with replay.database.tenant_transaction(replay.tenant, work="batch") as tx:
        leases.guard(tx, run.lease)
        landing.be_durable(tx)
        landing.open_run(tx, run, "replay")
        landing.move_states(tx, run, [StreamMove(stream=stream)])
        generation = landing.lock_states(tx, run.source_id)[stream].generation
        keys = [row.record_key.decode() for row in once.values()] if is_correction else []
        replaced = {key: quarantine.replaced_hash(tx, run.source_id, stream, key) for key in keys}
        brought = StreamRows(stream=stream, generation=generation, pass_run=None, rows=list(once.values()))
        counts = landing.land_rows(tx, run, [brought], covered=True)[stream]
        if counts.landed == 0:
            raise ConflictError("the record says what stands already, or a newer version came", "nothing was replayed", stream=stream)
        for key, content_hash in replaced.items():
            if content_hash is not None:
                quarantine.remember_corrected(tx, run.source_id, stream, key, content_hash)
        landing.add_counts(tx, run, {stream: counts})
        quarantine.close(tx, list(rows), "replayed")
        quarantine.end_stream_run(tx, run.run_id, stream)
        report = plain_report(REPLAY_NOTE)
        landing.close_run(tx, run.run_id, status="complete", report=report, error_class=None, error_text=None)
        landing.number_batches(tx, run, [stream])


def _audit(tx: TenantTransaction, action: str, ids: Sequence[UUID], *, actor: str, reason: str | None) -> None:
    if ids:
        subject = str(ids[0]) if len(ids) == 1 else f"{len(ids)} records"
        # Of several records the hash says which; only a dismissal changes what is kept of them.
        before = tenants.state_hash({"records": sorted(map(str, ids)), "status": "open"})
        after = tenants.state_hash({"records": sorted(map(str, ids)), "status": "dismissed"}) if action.endswith("dismissed") else before
        tenants.audit(
            tx, actor=actor, action=action, subject_kind="quarantine", subject_id=subject, reason=reason,
            before_hash=before, after_hash=after,
        )  # fmt: skip
