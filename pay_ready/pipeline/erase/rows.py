"""The person taken out of landed and staged rows: their own rows go, in those of others they are masked."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from pay_ready.db import erasure
from pay_ready.db.erasure import LandedContent, Place
from pay_ready.db.landing import Payload, add_payloads
from pay_ready.failpoints import failpoint
from pay_ready.pipeline.erase.work import Work
from pay_ready.pipeline.land.rows import payload_of
from pay_ready.pipeline.land.suppress import (
    Kind,
    Theirs,
    decoded,
    is_about,
    key_tells,
    masked,
    written,
)
from pay_ready.pipeline.land.values import fits_jsonb
from pay_ready.pipeline.stage import restage_within
from pay_ready.pipeline.subject import search_for

FAILPOINTS = ("erase.landed_written",)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Interactions:
    """Interactions in which the person takes part."""

    gone: frozenset[UUID]  # nobody else from outside takes part, or the person wrote them
    of_place: Mapping[Place, frozenset[UUID]]
    speakers: Mapping[UUID, frozenset[str]]
    other_names: Mapping[UUID, frozenset[str]]  # lower case


def take_landed(work: Work) -> set[UUID]:
    """Take the person out of landed and staged rows; the interactions that this touched."""
    people = work.tx.rows("erasure.people", work.records)
    for row in people:
        work.count("shadowed_person_records" if row.origin == "shadowed" else "person_records", 1)
    work.count("interaction_participants", len(work.tx.rows("erasure.appearances", work.records)))
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
    for statement in ("drop_people", "drop_shadowed_people"):
        work.tx.execute(f"erasure.{statement}", work.records)
    _drop_gone(work, gone)
    work.keys_gone.update(gone)
    work.keys_frozen.difference_update(gone)
    return {each for places in (with_them.of_place, told.interactions) for ids in places.values() for each in ids}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Told:
    """What landed rows tell of."""

    interactions: Mapping[Place, frozenset[UUID]]
    others: frozenset[Place]  # rows that list somebody else


def _told_by(work: Work, wanted: Iterable[Place]) -> _Told:
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


def _interactions(work: Work) -> _Interactions:
    found = work.tx.rows("erasure.interactions_with", work.records)
    ids = [row.interaction_id for row in found]
    # What one of the tenant's own people wrote is the tenant's: they are masked in it.
    is_staff = {row.side for row in work.tx.rows("erasure.people", work.records)} == {"internal"}
    gone = {row.interaction_id for row in found if not is_staff and not row.is_a_deal and (row.is_theirs or not row.has_others)}
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


def _places_holding(work: Work) -> set[Place]:
    """Landed rows of any stream in which an address, a number, an id or a name of nobody else occurs."""
    return {
        Place(source.source_id, row.stream, row.record_key)
        for source in work.sources.values()
        for row in work.tx.rows(
            "erasure.places_holding",
            {"source_id": source.source_id, **search_for(work.values, source.source_id, work.unique_names).params},
        )
    }


def _mask_or_take(work: Work, row: LandedContent, with_them: _Interactions, gone: set[Place], told: _Told) -> None:
    """Mask the person in a row of others; take it when it turns out to be theirs, or when its key tells of them."""
    content = row.content or b""
    theirs = _theirs(work, row.place, with_them)
    value = decoded(content)
    clean = masked(value, theirs)
    is_told = key_tells(theirs, row.place.record_key)
    if clean is value and not is_told:
        return
    if is_told or (row.place not in told.others and _lists_them(work, row.place, content, theirs)):
        gone.add(row.place)
        return
    work.count("landed_records masked", 1)
    if clean != masked(value, _as_landing_will(work, row.place.source_id)):
        work.keys_frozen.add(row.place)
    _write_masked(work, row, clean)


def _lists_them(work: Work, place: Place, content: bytes, theirs: Theirs) -> bool:
    return is_about(work.mappings[place.source_id], work.eraser.context, place.stream, place.record_key, content, theirs)


def _theirs(work: Work, place: Place, with_them: _Interactions) -> Theirs:
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
    return Theirs(knows=lambda kind, text: text in known[kind], region=work.eraser.context.phone_region, names=names_pattern(names, parts))


def names_pattern(names: Iterable[str], parts: Iterable[str]) -> re.Pattern[str] | None:
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


def _as_landing_will(work: Work, source: UUID) -> Theirs:
    """What landing will know when the row comes again."""
    values = work.values
    known: Mapping[Kind, frozenset[str]] = {"email": values.emails, "phone": values.phones, "record": values.distinct_ids(source)}
    return Theirs(knows=lambda kind, text: text in known[kind], region=work.eraser.context.phone_region)


def _write_masked(work: Work, row: LandedContent, clean: object) -> None:
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


def _write_gone(work: Work, gone: Iterable[Place]) -> None:
    """Empty rows that go: staging takes them for gone."""
    rows = erasure.landed(work.tx, gone)
    for (source, stream), keys in _by_stream(gone).items():
        work.tx.execute("erasure.empty_landed", {"source_id": source, "stream": stream, "record_keys": keys})
    _drop_payloads(work, [row.payload_id for row in rows if row.payload_id])


def _restage(work: Work, wanted: Iterable[Place]) -> None:
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


def _drop_gone(work: Work, gone: Iterable[Place]) -> None:
    for (source, stream), keys in _by_stream(gone).items():
        place: dict[str, object] = {"source_id": source, "stream": stream, "record_keys": keys}
        work.execute("landed_records", "drop_landed", place)
        work.execute("seen_keys", "drop_seen", place)


def _drop_payloads(work: Work, payloads: Sequence[UUID]) -> None:
    if payloads:
        work.count("large_payloads", work.tx.execute("landing.drop_left_payloads", {"payload_ids": list(payloads)}))


def _by_stream(wanted: Iterable[Place]) -> dict[tuple[UUID, str], list[str]]:
    found: dict[tuple[UUID, str], list[str]] = {}
    for place in sorted(wanted):
        found.setdefault((place.source_id, place.stream), []).append(place.record_key)
    return found


def take_quarantined(work: Work) -> None:
    """Quarantined rows of what went, and those that hold a value: broken records go whole."""
    search = search_for(work.values, None, work.unique_names)
    rows = work.tx.rows("erasure.quarantined", {**erasure.place_params(work.keys_gone | work.keys_frozen), **search.params})
    theirs = _told_by_values(work)
    going = [row for row in rows if _is_of(work.keys_gone, row) or _holds(theirs, row)]
    work.refused.extend(row.quarantine_id for row in going if row.step == "land")
    work.execute("quarantined_records", "drop_quarantined", {"quarantine_ids": [row.quarantine_id for row in going]})
    _drop_payloads(work, [row.payload_id for row in going if row.payload_id])


def _told_by_values(work: Work) -> Theirs:
    """What tells the person wherever no source is known: no ids."""
    known: Mapping[Kind, frozenset[str]] = {"email": work.values.emails, "phone": work.values.phones, "record": frozenset()}
    names = names_pattern(work.unique_names, ())
    return Theirs(knows=lambda kind, text: text in known[kind], region=work.eraser.context.phone_region, names=names)


def _is_of(places: set[Place], row: Any) -> bool:
    return row.record_key is not None and Place(row.source_id, row.stream, row.record_key) in places


def _holds(theirs: Theirs, row: Any) -> bool:
    """Whether a quarantined row holds a value: in its JSON, in its bytes where they are none, or in its key."""
    value = decoded(bytes(row.content or b""))
    return masked(value, theirs) is not value or (row.record_key is not None and theirs.strike(row.record_key) != row.record_key)


def take_states(work: Work) -> None:
    """Watermarks and states that hold a value: hardly ever, but nothing forbids a source to."""
    search = search_for(work.values, None, work.unique_names).params
    work.execute("stream_states", "clean_states", search)
    work.execute("stream_runs", "clean_watermarks", search)
    work.execute("backfill_states", "clean_scratch", search)
