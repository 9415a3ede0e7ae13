"""Erasure: all that is held of one person goes, out of every version ever published, in one transaction.

What the person's own rows say goes with them; in rows of others their values are masked, and the staged rows are made anew from what
is left. History is rewritten: no run has a trace, so no rollback brings them back. Digests of the versions are re-based, which the audit
says. Keyed digests of addresses, numbers and keys stay, so that a re-import brings nothing back.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any
from uuid import UUID

from pay_ready.db import erasure, leases, sources, staging, tenants
from pay_ready.db import publish as db_publish
from pay_ready.db import resolution as db_resolution
from pay_ready.db.erasure import LandedContent, Place, StateLine
from pay_ready.db.landing import Payload, add_payloads
from pay_ready.db.sources import DataSource
from pay_ready.db.state import digest_at
from pay_ready.db.tenancy import Database, TenantTransaction
from pay_ready.errors import DeniedError, PayReadyError
from pay_ready.failpoints import failpoint
from pay_ready.model.ids import RunId, TenantId, new_id
from pay_ready.model.resolution import EntityChange, PublishReport, ResolutionConfig
from pay_ready.pipeline.land.lease import held_lease
from pay_ready.pipeline.land.rows import payload_of
from pay_ready.pipeline.land.suppress import (
    Kind,
    Theirs,
    decoded,
    digest_of,
    id_text,
    is_about,
    key_text,
    masked,
    plain_key,
    written,
)
from pay_ready.pipeline.land.values import fits_jsonb
from pay_ready.pipeline.mapping.kinds import MappingContext
from pay_ready.pipeline.mapping.rules import SourceMapping
from pay_ready.pipeline.stage import restage_within, stage_source
from pay_ready.pipeline.subject import Held, Subject, Values, export_folder, find, text_pattern, values_of
from pay_ready.resolve.changes import HeldDecision, assignment_line, decision_line, redirect_line, version_line
from pay_ready.resolve.golden import EntityVersion, entity_version, person_sources, version_of
from pay_ready.resolve.survivorship import SourceRecord, Survivor

FAILPOINTS = (
    "erase.locked",
    "erase.found",
    "erase.landed_written",
    "erase.staged",
    "erase.history_written",
    "erase.run_opened",
    "erase.before_commit",
    "erase.after_commit",
)
_LEASE_WAIT_S = 30.0
_STAGED_TABLES = ("person_records", "shadowed_person_records")


class _DryRunError(PayReadyError):
    """Ends the transaction of a preview: what it did is rolled back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TouchedEntity:
    """A published person whom an erasure touches. `remaining` of the records stay."""

    entity_id: UUID
    name: str | None
    records: int
    remaining: int


@dataclass(frozen=True, slots=True, kw_only=True)
class GoingRecord:
    """A person's record that goes. `carries` the address, number or id that was given; else it belongs to the same published person."""

    record_id: UUID
    source: str | None
    name: str | None
    carries: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class EraseReport:
    """What an erasure took, or would take. `run_no` is None when nothing was published before it, or nothing is held."""

    is_held: bool
    is_dry_run: bool
    run_no: int | None
    counts: Mapping[str, int]  # rows by table; "… masked" are those of others that stay
    entities: tuple[TouchedEntity, ...]
    records: tuple[GoingRecord, ...]
    suppressed: int  # digests that keep the person out
    rebased: int  # versions whose digest is another now
    exports: tuple[Path, ...]  # files of earlier exports that went


@dataclass(frozen=True, slots=True, kw_only=True)
class Eraser:
    """What an erasure works with. `database`: of a login that may delete history (role pay_ready_erasure)."""

    database: Database
    tenant: TenantId
    slug: str
    actor: str
    digest_key: bytes = field(repr=False)  # of suppressions
    config: ResolutionConfig
    context: MappingContext
    mapping_of: Callable[[DataSource], SourceMapping]
    state_folder: Path
    lease_wait_s: float = _LEASE_WAIT_S


@dataclass(frozen=True, slots=True, kw_only=True)
class _Work:
    """An erasure under way."""

    eraser: Eraser
    tx: TenantTransaction
    subject: Subject
    held: Held
    values: Values  # that nobody else carries
    unique_names: frozenset[str]  # full names of nobody else
    sources: Mapping[UUID, DataSource]
    mappings: Mapping[UUID, SourceMapping]
    counts: Counter[str] = field(default_factory=Counter)
    keys_gone: set[Place] = field(default_factory=set)
    keys_frozen: set[Place] = field(default_factory=set)  # masked by what a re-import could not know
    refused: list[UUID] = field(default_factory=list)

    def count(self, table: str, rows: int) -> None:
        """Note rows of a table."""
        if rows:
            self.counts[table] += rows

    def execute(self, table: str, statement: str, params: Mapping[str, object]) -> int:
        """Run a statement of erasure and note the rows that it touched."""
        touched = self.tx.execute(f"erasure.{statement}", params)
        self.count(table, touched)
        return touched

    @property
    def records(self) -> dict[str, object]:
        """The person's records as a parameter."""
        return {"record_ids": self.held.records}


def erase(eraser: Eraser, subject: Subject, *, records_only: bool = False, dry_run: bool = False, reason: str | None = None) -> EraseReport:
    """Erase a subject, or show what that would take: the preview does all of it and rolls it back.

    Args:
        records_only: Only the records that carry what was given; else the whole published person.
        reason: Kept in the audit and beside the suppressions.

    Raises:
        DeniedError: The login may not delete history.
        NotFoundError: An id that was never given.
        RetryLaterError: A run lands one of the tenant's sources right now.
    """
    run_id = RunId(new_id())
    made: list[EraseReport] = []
    try:
        with _sources_at_rest(eraser, run_id), eraser.database.tenant_transaction(eraser.tenant, work="batch") as tx:
            made.append(_erase(eraser, tx, subject, run_id, records_only=records_only, dry_run=dry_run, reason=reason))
            if dry_run:
                raise _DryRunError("preview")
            failpoint("erase.before_commit")
    except _DryRunError:
        pass
    else:
        failpoint("erase.after_commit")
    (report,) = made
    files = _exports_of(eraser, subject, report)
    if not dry_run:
        for path in files:
            path.unlink(missing_ok=True)
    return _with_exports(report, files)


def _with_exports(report: EraseReport, files: Sequence[Path]) -> EraseReport:
    from dataclasses import replace

    return replace(report, exports=tuple(files), is_held=report.is_held or bool(files))


@contextmanager
def _sources_at_rest(eraser: Eraser, run_id: RunId) -> Iterator[None]:
    """No run lands anything meanwhile (it might bring in what it looked at before it was suppressed), and all that landed is staged."""
    with eraser.database.tenant_transaction(eraser.tenant) as tx:
        if not tx.value("erasure.is_erasure"):
            hint = "it must be a member of the erasure role: pay-ready migrate --erasure-login NAME"
            raise DeniedError("this login may not delete history", hint)
        known = sorted(sources.list_all(tx), key=lambda each: each.source_id)
    with ExitStack() as stack:
        for each in known:
            name, holder = f"source:{each.source_id}", leases.holder_name(run_id)
            stack.enter_context(held_lease(eraser.database, eraser.tenant, name, holder, wait_s=eraser.lease_wait_s))
        # What waits might be the person's, too.
        for each in known:
            stage_source(eraser.database, eraser.tenant, each.source_id, eraser.mapping_of(each), eraser.context, run_id=run_id)
        yield


def _erase(
    eraser: Eraser, tx: TenantTransaction, subject: Subject, run_id: RunId, *, records_only: bool, dry_run: bool, reason: str | None
) -> EraseReport:
    db_resolution.lock_publish(tx)
    work = _begun(eraser, tx, subject, records_only=records_only)
    failpoint("erase.found")
    before = {row.entity_id: row for row in _live_versions(work)}
    going = _going(work)
    touched = _take_landed(work)
    failpoint("erase.staged")
    _take_quarantined(work)
    _take_states(work)
    history = _take_history(work, before)
    _take_memories(work, touched)
    failpoint("erase.history_written")
    is_held = bool(work.counts)
    added = _suppress(work, reason) if is_held else 0
    run_no, rebased = _publish(work, run_id, history, touched, reason) if is_held else (None, 0)
    return EraseReport(
        is_held=is_held, is_dry_run=dry_run, run_no=run_no, counts=dict(sorted(work.counts.items())), entities=history.entities,
        records=going, suppressed=added, rebased=rebased, exports=(),
    )  # fmt: skip


def _begun(eraser: Eraser, tx: TenantTransaction, subject: Subject, *, records_only: bool) -> _Work:
    """Lock what landing and staging move, and find what is the person's and nobody else's."""
    known: dict[UUID, DataSource] = {source.source_id: source for source in sources.list_all(tx)}
    for each in known.values():
        for stream in staging.streams(tx, each.source_id):
            staging.lock_position(tx, each.source_id, stream)
    failpoint("erase.locked")
    held = find(tx, subject, records_only=records_only)
    asked: dict[str, object] = {"record_ids": held.records}
    values = values_of(tx.rows("erasure.people", asked), tx.rows("erasure.appearances", asked))
    values = _with_history(tx, held, values)
    names = sorted({each.lower() for each in values.names})
    others = tx.rows("erasure.held_by_others", {**asked, "emails": sorted(values.emails), "phones": sorted(values.phones), "names": names})
    shared = {(row.kind, row.value) for row in others}
    emails = {each for each in values.emails if ("email", each) not in shared}
    phones = {each for each in values.phones if ("phone", each) not in shared}
    if subject.kind == "email":
        emails.add(subject.value)
    if subject.kind == "phone":
        phones.add(subject.value)
    unique = {each for each in values.names if len(each.split()) > 1 and ("name", each.lower()) not in shared}
    kept = Values(emails=frozenset(emails), phones=frozenset(phones), names=values.names, name_parts=values.name_parts, ids=values.ids)
    return _Work(
        eraser=eraser, tx=tx, subject=subject, held=held, values=kept, unique_names=frozenset(unique), sources=known,
        mappings={source: eraser.mapping_of(found) for source, found in known.items()},
    )  # fmt: skip


def _with_history(tx: TenantTransaction, held: Held, values: Values) -> Values:
    """The values with those of former golden records of which nobody else was a part: an address that the source has changed since."""
    ever = [row.entity_id for row in tx.rows("erasure.entities_ever_of", {"record_ids": held.records})]
    records = set(held.records)
    mixed = {row.entity_id for row in tx.rows("erasure.assignments_of", {"entity_ids": ever}) if row.record_id not in records}
    said: dict[str, set[str]] = {}
    for row in tx.rows("erasure.versions", {"entity_ids": [each for each in ever if each not in mixed]}):
        for name, value in row.golden["fields"].items():
            said.setdefault(name, set()).update(value["values"])
    return Values(
        emails=values.emails | {each.casefold() for each in said.get("email", ())},
        phones=values.phones | said.get("phone", set()),
        names=values.names | said.get("name", set()),
        name_parts=values.name_parts | {each for name in ("first_name", "last_name") for each in said.get(name, ()) if len(each) > 1},
        ids=values.ids,
    )


def _live_versions(work: _Work) -> Iterable[Any]:
    asked = {"entity_ids": list(work.held.entities)}
    return (row for row in work.tx.rows("erasure.versions", asked) if row.closed_run_no is None)


def _going(work: _Work) -> tuple[GoingRecord, ...]:
    """The records that go, as somebody who must confirm it wants to see them."""
    rows = {row.record_id: row for row in work.tx.rows("erasure.people", work.records)}
    found = []
    for record in work.held.records:
        row = rows.get(record)
        name = (row.full_name or row.email or row.phone) if row else None
        found.append(GoingRecord(record_id=record, source=row.source if row else None, name=name, carries=record in work.held.carrying))
    return tuple(found)


# --- landed and staged rows


@dataclass(frozen=True, slots=True, kw_only=True)
class _Interactions:
    """Interactions in which the person takes part."""

    gone: frozenset[UUID]  # nobody else from outside takes part, or the person wrote them
    of_place: Mapping[Place, frozenset[UUID]]
    speakers: Mapping[UUID, frozenset[str]]
    other_names: Mapping[UUID, frozenset[str]]  # lower case


def _take_landed(work: _Work) -> set[UUID]:
    """Take the person out of landed and staged rows; the interactions that this touched."""
    people = work.tx.rows("erasure.people", work.records)
    listed = {Place(row.source_id, row.stream, row.record_key) for row in people if row.record_key is not None}
    with_them = _interactions(work)
    holding = _places_holding(work)
    wanted = listed | with_them.of_place.keys() | holding
    told = _told_by(work, wanted)
    gone = {place for place in wanted if place in listed or _goes(place, with_them, told)}
    for row in erasure.landed(work.tx, wanted):
        if row.place not in gone and row.content is not None:
            _mask_or_take(work, row, with_them, gone, told)
        elif row.content is None and row.place in holding:
            gone.add(row.place)
    _write_gone(work, gone)
    failpoint("erase.landed_written")
    _restage(work, wanted)
    # Whoever is left in an interaction by a way that no mask knows takes the whole row along.
    if left := erasure.places(work.tx.rows("erasure.left_places", work.records)):
        _write_gone(work, left)
        gone |= left
        _restage(work, left)
    for table, statement in zip(_STAGED_TABLES, ("drop_people", "drop_shadowed_people"), strict=True):
        work.execute(table, statement, work.records)
    _drop_gone(work, gone)
    work.keys_gone.update(gone)
    work.keys_frozen.difference_update(gone)
    return {each for places in (with_them.of_place, told.interactions) for ids in places.values() for each in ids}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Told:
    """What landed rows tell of."""

    interactions: Mapping[Place, frozenset[UUID]]
    others: frozenset[Place]  # rows that list somebody else


def _told_by(work: _Work, wanted: Iterable[Place]) -> _Told:
    records = set(work.held.records)
    interactions: dict[Place, set[UUID]] = {}
    others: set[Place] = set()
    for row in work.tx.rows("erasure.interactions_at", erasure.place_params(wanted)):
        place = Place(row.source_id, row.stream, row.record_key)
        if row.interaction_id is not None:
            interactions.setdefault(place, set()).add(row.interaction_id)
        if row.record_id is not None and row.record_id not in records:
            others.add(place)
    return _Told(interactions={place: frozenset(found) for place, found in interactions.items()}, others=frozenset(others))


def _goes(place: Place, with_them: _Interactions, told: _Told) -> bool:
    """Whether a row tells of nothing but interactions that go."""
    found = told.interactions.get(place, frozenset())
    return bool(found) and found <= with_them.gone and place not in told.others


def _interactions(work: _Work) -> _Interactions:
    found = work.tx.rows("erasure.interactions_with", work.records)
    ids = [row.interaction_id for row in found]
    gone = {row.interaction_id for row in found if not row.is_a_deal and (row.is_theirs or not row.has_others)}
    of_place: dict[Place, set[UUID]] = {}
    for row in work.tx.rows("erasure.interaction_places", {"interaction_ids": ids}):
        of_place.setdefault(Place(row.source_id, row.stream, row.record_key), set()).add(row.interaction_id)
    speakers: dict[UUID, set[str]] = {}
    for row in work.tx.rows("erasure.appearances", work.records):
        if row.speaker_key:
            speakers.setdefault(row.interaction_id, set()).add(row.speaker_key)
    names: dict[UUID, set[str]] = {}
    for row in work.tx.rows("erasure.other_names", {**work.records, "interaction_ids": ids}):
        names.setdefault(row.interaction_id, set()).update((row.name, *row.name.split()))
    return _Interactions(
        gone=frozenset(gone),
        of_place={place: frozenset(each) for place, each in of_place.items()},
        speakers={each: frozenset(keys) for each, keys in speakers.items()},
        other_names={each: frozenset(found) for each, found in names.items()},
    )


def _places_holding(work: _Work) -> set[Place]:
    """Landed rows of any stream in which an address, a number, an id or a name of nobody else occurs."""
    return {
        Place(source.source_id, row.stream, row.record_key)
        for source in work.sources.values()
        for row in work.tx.rows(
            "erasure.places_holding",
            {"source_id": source.source_id, "pattern": text_pattern(work.values, source.source_id, work.unique_names)},
        )
    }


def _mask_or_take(work: _Work, row: LandedContent, with_them: _Interactions, gone: set[Place], told: _Told) -> None:
    """Mask the person in a row of others; take it when it turns out to be theirs, or when its key tells of them."""
    content = row.content or b""
    theirs = _theirs(work, row.place, with_them)
    value = decoded(content)
    clean = masked(value, theirs)
    if clean is value and theirs.strike(row.place.record_key) == row.place.record_key and not _holds_key(theirs, row.place):
        return
    mapping = work.mappings[row.place.source_id]
    key_tells = theirs.strike(row.place.record_key) != row.place.record_key or _holds_key(theirs, row.place)
    is_theirs = row.place not in told.others and is_about(
        mapping, work.eraser.context, row.place.stream, row.place.record_key, content, theirs
    )
    if key_tells or is_theirs:
        gone.add(row.place)
        return
    work.count("landed_records masked", 1)
    if clean != masked(value, _as_landing_will(work, row.place.source_id)):
        work.keys_frozen.add(row.place)
    _write_masked(work, row, clean)


def _holds_key(theirs: Theirs, place: Place) -> bool:
    parts = re.split(r'[\[\]",\s]+', place.record_key)
    return any(theirs.knows("record", part) for part in parts if part)


def _theirs(work: _Work, place: Place, with_them: _Interactions) -> Theirs:
    """What tells the person in one row: in their own interactions speakers, short ids and parts of the name do, too."""
    values, source = work.values, place.source_id
    interactions = with_them.of_place.get(place, frozenset())
    ids = set(values.distinct_ids(source))
    names = set(work.unique_names)
    parts: set[str] = set()
    if interactions:
        ids |= values.ids.get(source, frozenset())
        ids |= {speaker for each in interactions for speaker in with_them.speakers.get(each, ())}
        taken = {name for each in interactions for name in with_them.other_names.get(each, ())}
        names |= {each for each in values.names if each.lower() not in taken}
        parts = {each for each in values.name_parts if each.lower() not in taken}
    known: Mapping[Kind, frozenset[str]] = {"email": values.emails, "phone": values.phones, "record": frozenset(ids)}
    return Theirs(knows=lambda kind, text: text in known[kind], region=work.eraser.context.phone_region, names=_names_pattern(names, parts))


def _names_pattern(names: Iterable[str], parts: Iterable[str]) -> re.Pattern[str] | None:
    """Full names however they are written, also with the family name first; parts as names are written, so that "will" is no Will."""
    full: set[str] = set()
    for name in names:
        words = name.replace(",", " ").split()
        full.add(r"[\s,._-]+".join(map(re.escape, words)))
        if len(words) > 1:
            full.add(r"[\s,._-]+".join(map(re.escape, [words[-1], *words[:-1]])))
    exact = {form for part in parts for form in (part, part.upper(), part.capitalize()) if not form.islower()}
    forms = [f"(?i:{each})" for each in sorted(full, key=lambda each: (-len(each), each))]
    forms += [re.escape(each) for each in sorted(exact, key=lambda each: (-len(each), each))]
    return re.compile(rf"(?<!\w)(?:{'|'.join(forms)})(?!\w)") if forms else None


def _as_landing_will(work: _Work, source: UUID) -> Theirs:
    """What landing will know when the row comes again."""
    values = work.values
    known: Mapping[Kind, frozenset[str]] = {"email": values.emails, "phone": values.phones, "record": values.distinct_ids(source)}
    return Theirs(knows=lambda kind, text: text in known[kind], region=work.eraser.context.phone_region)


def _write_masked(work: _Work, row: LandedContent, clean: object) -> None:
    text = written(clean)
    payload: Payload | None = None
    if row.payload_id is not None or not fits_jsonb(text, clean):
        payload = payload_of(row.place.source_id, text)
        add_payloads(work.tx, row.place.source_id, [payload])
    work.tx.execute("erasure.mask_landed", {
        "source_id": row.place.source_id, "stream": row.place.stream, "record_key": row.place.record_key,
        "data": None if payload else text.decode("utf-8", "surrogatepass"), "payload_id": payload.payload_id if payload else None,
    })  # fmt: skip
    _drop_payloads(work, [row.payload_id] if row.payload_id else [])


def _write_gone(work: _Work, gone: Iterable[Place]) -> None:
    """Empty rows that go: staging takes them for gone."""
    rows = erasure.landed(work.tx, gone)
    for (source, stream), keys in _by_stream(gone).items():
        work.tx.execute("erasure.empty_landed", {"source_id": source, "stream": stream, "record_keys": keys})
    _drop_payloads(work, [row.payload_id for row in rows if row.payload_id])


def _restage(work: _Work, wanted: Iterable[Place]) -> None:
    """Make the staged rows say what the landed ones say now: those that list people go first."""

    def lists_nobody(stream: tuple[UUID, str]) -> tuple[bool, UUID, str]:
        rules = work.mappings[stream[0]].stream(stream[1])
        return rules is None or not (rules.people or rules.companies), *stream

    for source, stream in sorted(by_stream := _by_stream(wanted), key=lists_nobody):
        keys = by_stream[source, stream]
        has_tables = bool(work.counts["(staging)"])
        restage_within(
            work.tx, work.sources[source].source_id, work.mappings[source], work.eraser.context, stream, keys, has_tables=has_tables
        )
        work.counts["(staging)"] += 1


def _drop_gone(work: _Work, gone: Iterable[Place]) -> None:
    for (source, stream), keys in _by_stream(gone).items():
        place: dict[str, object] = {"source_id": source, "stream": stream, "record_keys": keys}
        work.execute("landed_records", "drop_landed", place)
        work.execute("seen_keys", "drop_seen", place)


def _drop_payloads(work: _Work, payloads: Sequence[UUID]) -> None:
    if payloads:
        work.count("large_payloads", work.tx.execute("landing.drop_left_payloads", {"payload_ids": list(payloads)}))


def _by_stream(wanted: Iterable[Place]) -> dict[tuple[UUID, str], list[str]]:
    found: dict[tuple[UUID, str], list[str]] = {}
    for place in sorted(wanted):
        found.setdefault((place.source_id, place.stream), []).append(place.record_key)
    return found


def _take_quarantined(work: _Work) -> None:
    """Quarantined rows of what went or was masked, and those that hold a value: broken records go whole."""
    pattern = text_pattern(work.values, None, work.unique_names)
    touched = work.keys_gone | work.keys_frozen
    rows = work.tx.rows("erasure.quarantined", {**erasure.place_params(touched), "pattern": pattern})
    known: Mapping[Kind, frozenset[str]] = {"email": work.values.emails, "phone": work.values.phones, "record": frozenset()}
    theirs = Theirs(
        knows=lambda kind, text: text in known[kind], region=work.eraser.context.phone_region,
        names=_names_pattern(work.unique_names, ()),
    )  # fmt: skip
    going = []
    for row in rows:
        text = bytes(row.content).decode("utf-8", "replace") if row.content is not None else ""
        is_of_gone = row.record_key is not None and Place(row.source_id, row.stream, row.record_key) in work.keys_gone
        clean = masked(decoded(bytes(row.content or b"")), theirs)
        if (
            is_of_gone
            or clean != decoded(bytes(row.content or b""))
            or theirs.strike(f"{text} {row.record_key or ''}") != f"{text} {row.record_key or ''}"
        ):
            going.append(row)
    work.refused.extend(row.quarantine_id for row in going if row.step == "land")
    work.execute("quarantined_records", "drop_quarantined", {"quarantine_ids": [row.quarantine_id for row in going]})
    _drop_payloads(work, [row.payload_id for row in going if row.payload_id])


def _take_states(work: _Work) -> None:
    """Watermarks and states that hold a value: hardly ever, but nothing forbids a source to."""
    pattern = {"pattern": text_pattern(work.values, None, work.unique_names)}
    work.execute("stream_states", "clean_states", pattern)
    work.execute("stream_runs", "clean_watermarks", pattern)
    work.execute("backfill_states", "clean_scratch", pattern)


# --- history


@dataclass(frozen=True, slots=True, kw_only=True)
class _History:
    """What the erasure did to published versions."""

    entities: tuple[TouchedEntity, ...]
    remaining: tuple[UUID, ...]  # records that were published with the person's
    changes: tuple[EntityChange, ...]
    taken: tuple[StateLine, ...]
    added: tuple[StateLine, ...]


def _take_history(work: _Work, before: Mapping[UUID, Any]) -> _History:
    """Take the records out of every version: assignments, decisions, edges, blocks, and golden records with their history."""
    tx, asked = work.tx, work.records
    taken: list[StateLine] = []
    added: list[StateLine] = []
    decisions = tx.rows("erasure.decisions_about", asked)
    told = {row.decision_id: row for row in decisions}
    ids: dict[str, object] = {"decision_ids": list(told)}
    for row in tx.rows("erasure.drop_run_decisions", ids):
        work.count("run_decisions", 1)
        each = told[row.decision_id]
        held = HeldDecision(
            decision_id=each.decision_id, entity_type=each.entity_type, left_id=each.left_id, right_id=each.right_id, verdict=each.verdict
        )
        taken.append(_line(row, decision_line(held)))
    work.execute("review_leases", "drop_leases", asked)
    work.execute("decisions", "drop_decisions", ids)
    work.execute("edges", "drop_edges", asked)
    work.execute("record_blocks", "drop_blocks", asked)
    work.execute("block_members", "drop_block_members", asked)
    gone = tx.rows("erasure.drop_assignments", asked)
    work.count("assignments", len(gone))
    taken += [_line(row, assignment_line("person", row.record_id, row.entity_id, round(row.confidence, 4))) for row in gone]
    touched = sorted({row.entity_id for row in gone})
    left = tx.rows("erasure.assignments_of", {"entity_ids": touched})
    sources_of = _survivors_of(work, {row.record_id for row in left})
    for version in tx.rows("erasure.versions", {"entity_ids": touched}):
        if not any(row.entity_id == version.entity_id and _overlaps(row, version) for row in gone):
            continue
        members = [row.record_id for row in left if row.entity_id == version.entity_id and _holds_at(row, version.opened_run_no)]
        remade = _remade(work, version, [sources_of[each] for each in members if each in sources_of], len(members))
        taken.append(_line(version, version_line(version.entity_id, bytes(version.content_hash))))
        place = {"entity_id": version.entity_id, "opened_run_no": version.opened_run_no}
        work.execute("entity_versions" if remade is None else "entity_versions made anew", "drop_version", place)
        if remade is None:
            work.tx.execute("erasure.add_redirect", {**place, "closed_run_no": version.closed_run_no})
            added.append(_line(version, redirect_line(version.entity_id, None)))
        else:
            erasure.write_version(tx, remade, version.opened_run_no, version.closed_run_no)
            added.append(_line(version, version_line(version.entity_id, remade.content_hash)))
    after = {row.entity_id: row for row in tx.rows("erasure.versions", {"entity_ids": touched})}
    work.execute("interaction_entities", "drop_links_of_entities", {"entity_ids": [each for each in touched if each not in after]})
    now = {row.entity_id: bytes(row.content_hash) for row in _live(work, touched)}
    return _History(
        entities=tuple(
            TouchedEntity(
                entity_id=entity, name=row.name, records=row.record_count,
                remaining=sum(each.entity_id == entity and each.closed_run_no is None for each in left),
            )
            for entity, row in before.items()
        ),
        remaining=tuple(sorted({row.record_id for row in left if row.closed_run_no is None})),
        changes=tuple(_changes(before, now)),
        taken=tuple(taken),
        added=tuple(added),
    )  # fmt: skip


def _live(work: _Work, entities: Sequence[UUID]) -> Iterator[Any]:
    return (row for row in work.tx.rows("erasure.versions", {"entity_ids": entities}) if row.closed_run_no is None)


def _line(row: Any, text: str) -> StateLine:
    number = int.from_bytes(sha256(text.encode()).digest())
    return StateLine(opened=row.opened_run_no, closed=row.closed_run_no, number=number)


def _overlaps(one: Any, other: Any) -> bool:
    """Whether two rows of history hold in a common run."""
    begins_before_end = one.closed_run_no is None or other.opened_run_no < one.closed_run_no
    return begins_before_end and (other.closed_run_no is None or one.opened_run_no < other.closed_run_no)


def _holds_at(row: Any, run_no: int) -> bool:
    return bool(row.opened_run_no <= run_no and (row.closed_run_no is None or run_no < row.closed_run_no))


def _survivors_of(work: _Work, records: set[UUID]) -> dict[UUID, SourceRecord]:
    """What the records that stay say now, as survivorship reads it."""
    import pyarrow as pa

    rows = work.tx.rows("resolution.staged_people_named", {"record_ids": list(records)}) if records else []
    if not rows:
        return {}
    columns = {name: [getattr(row, name) for row in rows] for name in rows[0]._fields}
    columns["record_id"] = pa.array([each.bytes for each in columns["record_id"]], pa.binary(16))
    columns["company_record_id"] = pa.array([each.bytes if each else None for each in columns["company_record_id"]], pa.binary(16))
    named = [row.company_record_id for row in rows if row.company_record_id]
    return person_sources(pa.table(columns), work.eraser.config, db_resolution.entities_of(work.tx, "company", named))


def _remade(work: _Work, version: Any, staying: Sequence[SourceRecord], members: int) -> EntityVersion | None:
    """A golden record of the records that stay; None when none does.

    The current one is made as a run makes it. Of a former one nobody knows which record said what, so it keeps the values that the
    records which stay say now, and those that were known to come from one of them.
    """
    if not members:
        return None
    if version.closed_run_no is None and len(staying) == members:
        return entity_version(version.entity_id, "person", list(staying), work.eraser.config)
    by_id = {each.record_id: each for each in staying}
    found: dict[str, Survivor] = {}
    for name, said in version.golden["fields"].items():
        origin = UUID(version.provenance["fields"][name])
        known = {each.values[name] for each in staying if each.values.get(name)}
        known |= {said["value"]} if origin in by_id else set()
        values = tuple(value for value in said["values"] if value in known)
        if not values:
            continue
        value = said["value"] if said["value"] in values else values[0]
        speakers = sorted(each.record_id for each in staying if each.values.get(name) == value)
        found[name] = Survivor(value, values, origin if origin in by_id else speakers[0])
    return version_of(version.entity_id, "person", found, members)


def _changes(before: Mapping[UUID, Any], now: Mapping[UUID, bytes]) -> Iterator[EntityChange]:
    """What the feed says of it: hashes alone."""
    for entity, row in sorted(before.items()):
        was = bytes(row.content_hash)
        if entity not in now:
            yield EntityChange(change="retired", entity_type="person", entity_id=entity, before_hash=was)
        elif now[entity] != was:
            yield EntityChange(change="changed", entity_type="person", entity_id=entity, before_hash=was, after_hash=now[entity])


# --- what remembers


def _take_memories(work: _Work, touched: set[UUID]) -> None:
    """Passages, moods and caches that were made of what the person said or did."""
    asked: dict[str, object] = {"interaction_ids": sorted(touched)}
    work.execute("memories", "drop_memories", asked)
    work.execute("interaction_sentiment", "drop_sentiment", asked)
    gone = [row.interaction_id for row in work.tx.rows("erasure.gone_interactions", asked)]
    work.count("interactions", len(gone))
    work.execute("interaction_entities", "drop_links_of_interactions", {"interaction_ids": gone})
    if work.counts.pop("(staging)", 0) and work.counts:
        work.execute("context_cache", "drop_contexts", {})
        work.execute("analytics_cache", "drop_analytics", {})


def _suppress(work: _Work, reason: str | None) -> int:
    """Keep keyed digests of what must not come back."""
    values = work.values
    wanted: set[tuple[Kind, str]] = {work.subject.digested}
    wanted |= {("email", each) for each in values.emails} | {("phone", each) for each in values.phones}
    for source, ids in values.ids.items():
        known = work.sources[source].source_id
        wanted |= {("record", id_text(known, each)) for each in ids & values.distinct_ids(source)}
    wanted |= {("record", key_text(place.source_id, place.stream, plain_key(place.record_key))) for place in work.keys_gone}
    wanted |= {("record", key_text(place.source_id, place.stream, plain_key(place.record_key))) for place in work.keys_frozen}
    wanted |= {("record", f"refused\n{each}") for each in work.refused}
    wanted |= {("record", f"record\n{each}") for each in work.held.records}
    wanted |= {("record", f"entity\n{each}") for each in work.held.entities}
    digests = [(kind, digest_of(work.eraser.digest_key, kind, text)) for kind, text in sorted(wanted)]
    return erasure.add_suppressions(work.tx, digests, reason or "erased")


# --- the version without the person


def _publish(work: _Work, run_id: RunId, history: _History, touched: set[UUID], reason: str | None) -> tuple[int | None, int]:
    """Re-base the digests of all versions and open the one without the person; its number, and how many digests are others now."""
    tx, actor = work.tx, work.eraser.actor
    standing = db_resolution.standing(tx)
    tx.execute("erasure.unqueue", work.records)
    tx.execute("erasure.queue_people", {"record_ids": list(history.remaining)})
    if not standing.run_no:
        _tell(work, history, touched)
        _audit_erased(work, None, run_id, reason, before=None, after=None)
        return None, 0
    rebased = _rebase(work, history, run_id)
    digest = db_resolution.standing(tx).state_digest
    tenants.next_number(tx, "resolution_no")
    run_no = tenants.next_number(tx, "run_no")
    report = (
        PublishReport.model_validate({**standing.report, "reasons": ["erasure"], "interactions_linked": 0, "interactions_unlinked": 0})
        if standing.report.get("schema_version") == 2
        else PublishReport(
            people={},
            companies={},
            reasons=["erasure"],
            interactions_linked=0,
            interactions_unlinked=0,
            capped_blocks=[],
            ignored_decisions=0,
        )
    )
    erasure.add_run(tx, run_no=run_no, run_id=run_id, actor=actor, report=report, state_digest=digest)
    failpoint("erase.run_opened")
    db_publish.add_checkpoint(tx, before_run_no=standing.run_no, run_no=run_no, digest=digest or digest_at(tx, standing.run_no))
    tx.execute("publish.make_change_table")
    db_publish.write_changes(tx, history.changes, run_no)
    _tell(work, history, touched)
    _audit_erased(work, run_no, run_id, reason, before=standing.state_digest, after=digest)
    return run_no, rebased


def _rebase(work: _Work, history: _History, run_id: RunId) -> int:
    """Give every version, and every checkpoint of one, the digest of its rows as they are now; each old and new digest is audited."""
    tx = work.tx
    now: dict[int, bytes] = {}
    count = 0
    for row in tx.rows("erasure.runs"):
        if row.state_digest is None:
            continue
        old = bytes(row.state_digest)
        new = now[row.run_no] = erasure.rebased(old, row.run_no, history.taken, history.added)
        if new != old:
            tx.execute("erasure.rebase_run", {"run_no": row.run_no, "state_digest": new})
            _audit_rebased(work, "run", str(row.run_no), run_id, old, new)
            count += 1
    for row in tx.rows("erasure.checkpoints"):
        old = bytes(row.digest)
        new = now.get(row.run_no) or digest_at(tx, row.run_no)
        if new != old:
            tx.execute("erasure.rebase_checkpoint", {"checkpoint_id": row.checkpoint_id, "digest": new})
            _audit_rebased(work, "checkpoint", str(row.checkpoint_id), run_id, old, new)
    return count


def _audit_rebased(work: _Work, kind: str, subject_id: str, run_id: RunId, old: bytes, new: bytes) -> None:
    tenants.audit(
        work.tx, actor=work.eraser.actor, action="erasure.rebased", subject_kind=kind, subject_id=subject_id, run_id=run_id,
        before_hash=old, after_hash=new,
    )  # fmt: skip


def _audit_erased(work: _Work, run_no: int | None, run_id: RunId, reason: str | None, *, before: bytes | None, after: bytes | None) -> None:
    subject = work.held.entities[0] if work.held.entities else work.held.records[0] if work.held.records else run_no
    tenants.audit(
        work.tx, actor=work.eraser.actor, action="subject.erased", subject_kind="person", subject_id=str(subject), reason=reason,
        run_id=run_id, before_hash=before, after_hash=after,
    )  # fmt: skip


def _tell(work: _Work, history: _History, touched: set[UUID]) -> None:
    """Tell the tiers what went and what is to be read again."""
    gone = {row.interaction_id for row in work.tx.rows("erasure.gone_interactions", {"interaction_ids": sorted(touched)})}
    told = [("delete" if each in gone else "upsert", "interaction", str(each)) for each in sorted(touched)]
    told += [("delete" if each.change == "retired" else "upsert", "entity", str(each.entity_id)) for each in history.changes]
    if told:
        erasure.tell_tiers(work.tx, tenants.next_number(work.tx, "outbox_seq", len(told)), told)


# --- files


def _exports_of(eraser: Eraser, subject: Subject, report: EraseReport) -> list[Path]:
    """Exports in the tenant's folder that are about the subject."""
    marks = {subject.value, *(str(each.record_id) for each in report.records), *(str(each.entity_id) for each in report.entities)}
    folder = export_folder(eraser.state_folder, eraser.slug)
    found = []
    for path in sorted(folder.glob("*.json")) if folder.is_dir() else ():
        text = path.read_text("utf-8", "replace").casefold()
        if any(mark.casefold() in text for mark in marks):
            found.append(path)
    return found
