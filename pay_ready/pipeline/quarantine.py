"""What is in quarantine, and the ways out: replayed as it is (the mapping was mended), replayed corrected, or dismissed.

A record that broke its contract is staged again where it stands. One that could not land, or that comes with a correction,
lands in a small run of its own, in the same order of versions as any other: when the source sends a newer version, that
one counts.
"""

from collections.abc import Mapping, Sequence
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
from pay_ready.errors import ConfigError, ConflictError, ContractError, UsageError
from pay_ready.model.ids import RunId, TenantId, new_id
from pay_ready.pipeline.land_lease import held_lease
from pay_ready.pipeline.land_report import SyncReportV1
from pay_ready.pipeline.land_rows import StreamPlan, row_maker
from pay_ready.pipeline.mapping.kinds import MappingContext
from pay_ready.pipeline.mapping.rules import SourceMapping
from pay_ready.pipeline.stage import restage_records, stage_source
from pay_ready.sources.protocol import Record

MOST_AT_ONCE = 100_000

Selection = Sequence[UUID] | QuarantineFilter


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayReport:
    """What a replay came to, in records. `still_broken`: they broke the contract again, as before or in another way."""

    replayed: int
    still_broken: int
    landing_runs: tuple[RunId, ...]  # of those that had to land again


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    """What a replay works with."""

    database: Database
    tenant: TenantId
    mappings: Mapping[str, SourceMapping]  # by kind of source
    context: MappingContext
    actor: str


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

    Args:
        corrected: JSON in place of the one record that is selected.

    Raises:
        NotFoundError: One of the ids is not there, or another tenant's.
        UsageError: A correction for more than one record.
        ContractError: The correction is no JSON object, or has no key.
        ConfigError: A source's kind has no mapping, or nobody knows the stream's key.
        ConflictError: The correction says what stands already.
        RetryLaterError: Another run lands the source right now.
    """
    with replay.database.tenant_transaction(replay.tenant) as tx:
        records = _selected(tx, wanted)
        _audit(tx, "quarantine.replayed", [record.quarantine_id for record in records], actor=replay.actor, reason=None)
    if corrected is not None and len(records) != 1:
        raise UsageError("a correction is for one record", "name one id: pay-ready quarantine replay ID --data FILE", selected=len(records))
    runs: list[RunId] = []
    for (source, stream, step), group in groupby(sorted(records, key=_place), key=_place):
        if step == "stage" and corrected is None:
            _restage(replay, stream, list(group))
        else:
            runs.extend(_land_again(replay, source, stream, list(group), corrected))
    return _report(replay, records, runs)


def _place(record: QuarantinedRecord) -> tuple[str, str, str]:
    return record.source, record.stream, record.step


def _selected(tx: TenantTransaction, wanted: Selection) -> list[QuarantinedRecord]:
    if isinstance(wanted, QuarantineFilter):
        return [record for record in quarantine.list_records(tx, wanted, MOST_AT_ONCE) if record.status == "open"]
    return [record for record in quarantine.records_of(tx, wanted) if record.status == "open"]


def _report(replay: Replay, records: Sequence[QuarantinedRecord], runs: Sequence[RunId]) -> ReplayReport:
    with replay.database.tenant_transaction(replay.tenant) as tx:
        now = quarantine.records_of(tx, [record.quarantine_id for record in records])
        broken_anew = [record for run in runs for record in quarantine.list_records(tx, QuarantineFilter(run_id=run), MOST_AT_ONCE)]
    replayed = sum(record.status == "replayed" for record in now)
    return ReplayReport(replayed=replayed, still_broken=len(now) - replayed + len(broken_anew), landing_runs=tuple(runs))


def _mapping(replay: Replay, kind: str) -> SourceMapping:
    if (mapping := replay.mappings.get(kind)) is None:
        raise ConfigError("no mapping for this kind of source", "add config/sources/<kind>.toml", kind=kind, known=sorted(replay.mappings))
    return mapping


def _restage(replay: Replay, stream: str, records: Sequence[QuarantinedRecord]) -> None:
    mapping = _mapping(replay, records[0].kind)
    keys = [record.record_key for record in records if record.record_key is not None]
    restage_records(replay.database, replay.tenant, records[0].source_id, mapping, replay.context, stream, keys)


def _land_again(replay: Replay, source: str, stream: str, records: Sequence[QuarantinedRecord], corrected: bytes | None) -> list[RunId]:
    """Land the records in a run of its own and stage what they became; no run when all are refused again."""
    mapping = _mapping(replay, records[0].kind)
    with replay.database.tenant_transaction(replay.tenant) as tx:
        rows = _rows(tx, mapping, sources.require(tx, source), stream, records, corrected)
    if not rows:
        return []
    run = RunId(new_id())
    source_id = records[0].source_id
    with held_lease(replay.database, replay.tenant, f"source:{source_id}", leases.holder_name(run)) as lease:
        _land(replay, Landing(source_id=source_id, run_id=run, lease=lease), stream, rows)
    stage_source(replay.database, replay.tenant, source_id, mapping, replay.context, run_id=run)
    return [run]


def _rows(
    tx: TenantTransaction,
    mapping: SourceMapping,
    source: DataSource,
    stream: str,
    records: Sequence[QuarantinedRecord],
    corrected: bytes | None,
) -> dict[UUID, LandingRow]:
    """What the records land as; those that no row can hold, as before, are left out."""
    found: dict[UUID, LandingRow] = {}
    for record in records:
        content = quarantine.content_of(tx, record.quarantine_id).content if corrected is None else corrected
        row = _row(tx, mapping, source, stream, record, content)
        if isinstance(row, LandingRow):
            found[record.quarantine_id] = row
        elif corrected is not None:
            raise ContractError("the correction cannot land", "mend the file and try again", reason=row.reason, stream=stream)
    return found


def _row(
    tx: TenantTransaction, mapping: SourceMapping, source: DataSource, stream: str, record: QuarantinedRecord, content: bytes
) -> LandingRow | Refused:
    """A record that has landed before keeps its key and its cursor: the correction is newer by the time it was made."""
    emitted = Record(stream=stream, data=Raw(content), emitted_at=datetime.now(UTC).timestamp() * 1000)
    if record.record_key is None:
        return row_maker(source.source_id, _plan(mapping, source, stream))(emitted)
    row = row_maker(source.source_id, StreamPlan(stream=stream))(emitted)
    if isinstance(row, Refused):
        return row
    cursor = quarantine.standing_cursor(tx, source.source_id, stream, record.record_key)
    return structs.replace(row, record_key=record.record_key.encode(), cursor_order=cursor.encode())


def _plan(mapping: SourceMapping, source: DataSource, stream: str) -> StreamPlan:
    """How the stream's records get their keys: as the source is set up, else as its mapping says."""
    own, rules = source.config.streams.get(stream), mapping.stream(stream)
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


def _land(replay: Replay, run: Landing, stream: str, rows: Mapping[UUID, LandingRow]) -> None:
    """One transaction: the run, its rows, its counts, and the quarantine closed. State and generation stay as they are."""
    once = {row.record_key: row for row in sorted(rows.values(), key=lambda row: row.order)}
    with replay.database.tenant_transaction(replay.tenant, work="batch") as tx:
        leases.guard(tx, run.lease)
        landing.be_durable(tx)
        landing.open_run(tx, run, "replay")
        landing.move_states(tx, run, [StreamMove(stream=stream)])
        generation = landing.lock_states(tx, run.source_id)[stream].generation
        brought = StreamRows(stream=stream, generation=generation, pass_run=None, rows=list(once.values()))
        counts = landing.land_rows(tx, run, [brought], covered=True)[stream]
        if counts.landed == 0:
            raise ConflictError("the record says what stands already, or a newer version came", "nothing was replayed", stream=stream)
        landing.add_counts(tx, run, {stream: counts})
        quarantine.close(tx, list(rows), "replayed")
        quarantine.end_stream_run(tx, run.run_id, stream)
        report = SyncReportV1(seconds=0.0, attempts=1, streams=(), notes=("replayed from quarantine",)).model_dump(mode="json")
        landing.close_run(tx, run.run_id, status="complete", report=report, error_class=None, error_text=None)
        landing.number_batches(tx, run, [stream])


def _audit(tx: TenantTransaction, action: str, ids: Sequence[UUID], *, actor: str, reason: str | None) -> None:
    if ids:
        subject = str(ids[0]) if len(ids) == 1 else f"{len(ids)} records"
        tenants.audit(tx, actor=actor, action=action, subject_kind="quarantine", subject_id=subject, reason=reason)
