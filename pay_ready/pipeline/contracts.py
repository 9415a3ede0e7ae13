"""Applies a source's contract: one landed record becomes staged rows, is unmapped on purpose, or breaks the contract.

Pure, and total: no record makes it raise. What breaks the contract costs the row (it goes to quarantine); what is merely unusable in an
optional field costs that field, whose name is then noted in the attributes or metadata under `unusable_fields`.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, cast

import msgspec

from pay_ready.model.staged import (
    InteractionType,
    ParticipantRole,
    StagedCompany,
    StagedInteraction,
    StagedParticipant,
    StagedPerson,
    StagedRows,
    StagedTurn,
)
from pay_ready.pipeline.mapping.kinds import LONGEST_IDENTIFIER, MappingContext
from pay_ready.pipeline.mapping.people import noted, staged_company, staged_person
from pay_ready.pipeline.mapping.rules import (
    CompanyRule,
    InteractionRule,
    ParticipantRule,
    PersonRule,
    SourceMapping,
    StreamMapping,
    TurnRule,
)
from pay_ready.pipeline.mapping.scope import BrokenContractError, Scope
from pay_ready.resolve.normalize import clean_line

BREACHES: Mapping[str, str] = {
    "boolean.invalid": "a required value is neither true nor false",
    "choice.unknown": "a word is none of those that the mapping knows: add it to the field's map, or skip such rows",
    "company.unidentified": "a listed company has no id, domain or name",
    "domain.invalid": "a required web address names no host",
    "duration.out_of_range": "a duration is longer than 31 years",
    "email.invalid": "an e-mail address is not well formed: mend it at the source, or turn entity_resolution.email_validation off",
    "email.too_long": "an e-mail address is longer than 320 characters",
    "field.missing": "a required field is missing or blank",
    "interaction.repeated": "the record says two interactions under one id",
    "identifier.too_long": "an id is longer than 200 characters",
    "identifier.wrong_type": "an id is neither text nor a whole number",
    "json.invalid": "the record is not JSON",
    "json.not_an_object": "the record is no JSON object",
    "json.too_deep": "the record is nested too deeply to be read",
    "line.too_long": "a required text of one line is longer than 300 characters",
    "number.invalid": "a required number is none, or not finite",
    "number.out_of_range": "a required number is beyond 64 bits",
    "person.unidentified": "a listed person has no id, e-mail address or phone number",
    "phone.invalid": "a required phone number is none of the tenant's region",
    "text.wrong_type": "a required text is a list, an object, or true or false",
    "timestamp.end_before_start": "the interaction ends before it starts",
    "timestamp.invalid": "a time is not written as the mapping says",
    "timestamp.out_of_range": "a time lies before 1990 or more than two years ahead",
    "turn.end_before_start": "a turn of the transcript ends before it starts",
    "turn.out_of_range": "a turn of the transcript starts before the call",
    "values.refused_by_database": "the database refused a value of the record",
    "values.unstorable": "the mapped attributes or metadata are larger than 1 MiB",
}
"""Why a record can be in quarantine, by reason, with what to do about it where that is not plain."""


@dataclass(frozen=True, slots=True)
class Unmapped:
    """The record says nothing that staging keeps, by declaration; counted, never silent."""

    reason: str


@dataclass(frozen=True, slots=True)
class Breach:
    """The record breaks its contract: a reason of `BREACHES`, and the field; never a value."""

    reason: str
    field: str  # "person.email"; "" for the record as a whole
    contract_version: str


StageOutcome = StagedRows | Unmapped | Breach


def stage_record(
    mapping: SourceMapping, stream: str, record_key: str, data: bytes | Mapping[str, object], context: MappingContext
) -> StageOutcome:
    """What one landed record says.

    Args:
        stream: The stream's name or one of its aliases.
        record_key: The record's key inside its stream; the interaction's id where the mapping names no other.
        data: The record as JSON (UTF-8), or already decoded.
    """
    rules = mapping.stream(stream)
    if rules is None:
        return Unmapped("the mapping does not know the stream")
    if rules.ignore is not None:
        return Unmapped(rules.ignore)
    try:
        record = _decoded(data) if isinstance(data, bytes) else data
        return _staged(rules, record_key, Scope(record, record, context, []))
    except BrokenContractError as broken:
        return Breach(broken.reason, broken.field, mapping.contract_version)


def _decoded(data: bytes) -> Mapping[str, object]:
    try:
        record = msgspec.json.decode(data)
    except RecursionError:
        raise BrokenContractError("json.too_deep", "") from None
    except ValueError:
        record = _decoded_leniently(data)
    if not isinstance(record, dict):
        raise BrokenContractError("json.not_an_object", "")
    return record


def _decoded_leniently(data: bytes) -> object:
    """What connectors send though JSON forbids it: lone surrogates, NaN and Infinity."""
    try:
        return json.loads(data.decode("utf-8"))
    except RecursionError:
        raise BrokenContractError("json.too_deep", "") from None
    except ValueError:
        raise BrokenContractError("json.invalid", "") from None


def _staged(rules: StreamMapping, record_key: str, scope: Scope) -> StagedRows | Unmapped:
    for skip in rules.skips:
        if scope.holds(skip.when):
            return Unmapped(skip.reason)
    people = tuple(_listed_person(rule, scope.beside()) for rule in rules.people if scope.holds(rule.when))
    companies = tuple(_listed_company(rule, scope.beside()) for rule in rules.companies if scope.holds(rule.when))
    interactions = tuple(
        _interaction(rule, f"{rules.reference}:{clean_line(record_key)}", scope.beside())
        for rule in rules.interactions
        if scope.holds(rule.when)
    )
    if not (people or companies or interactions):
        return Unmapped("no rule of the stream applies to the row")
    return StagedRows(people=people, companies=companies, interactions=interactions)


def _listed_person(rule: PersonRule, scope: Scope) -> StagedPerson:
    person = staged_person(rule, scope)
    if person is None:
        raise BrokenContractError("person.unidentified", "person.id")
    return person


def _listed_company(rule: CompanyRule, scope: Scope) -> StagedCompany:
    company = staged_company(rule, scope)
    if company is None:
        raise BrokenContractError("company.unidentified", "company.id")
    return company


def _interaction(rule: InteractionRule, default_id: str, scope: Scope) -> StagedInteraction:
    fields = rule.fields
    external_id = scope.line(fields.get("id")) or default_id
    if len(external_id) > 2 * LONGEST_IDENTIFIER:
        raise BrokenContractError("identifier.too_long", "interaction.id")
    occurred_at = scope.moment(fields.get("occurred_at"))
    participants, unidentified = _participants(rule, external_id, scope)
    metadata = scope.scalars(rule.metadata)
    if unidentified:
        metadata["unidentified_participants"] = unidentified
    return StagedInteraction(
        # The loader admits no other words in fields of these kinds.
        interaction_type=cast("InteractionType", scope.line(fields["type"])),
        external_id=external_id,
        precedence=rule.precedence,
        occurred_at=occurred_at,
        ended_at=_ended_at(rule, occurred_at, scope),
        subject=scope.line(fields.get("subject")),
        text=scope.line(fields.get("text")),
        direction=cast("Literal['inbound', 'outbound', 'internal'] | None", scope.line(fields.get("direction"))),
        thread_id=scope.line(fields.get("thread_id")),
        url=scope.line(fields.get("url")),
        participants=participants,
        turns=tuple(_turns(rule.turns, scope)) if rule.turns else (),
        metadata=noted(metadata, scope),
    )


def _ended_at(rule: InteractionRule, occurred_at: datetime | None, scope: Scope) -> datetime | None:
    ended_at = scope.moment(rule.fields.get("ended_at"))
    duration_s = scope.seconds(rule.fields.get("duration")) if ended_at is None else None
    if occurred_at is not None and duration_s is not None:
        ended_at = occurred_at + timedelta(seconds=duration_s)
    if ended_at is None or occurred_at is None:
        return ended_at
    if ended_at < occurred_at:
        raise BrokenContractError("timestamp.end_before_start", "interaction.ended_at")
    if ended_at > scope.context.latest:
        raise BrokenContractError("timestamp.out_of_range", "interaction.ended_at")
    return ended_at


def _participants(rule: InteractionRule, interaction: str, scope: Scope) -> tuple[tuple[StagedParticipant, ...], int]:
    """Everybody's appearances, each role and key once, and how many appearances told of nobody."""
    found: dict[tuple[str, str], StagedParticipant] = {}
    unidentified = 0
    for participant_rule in rule.participants:
        for element in scope.each(participant_rule.each) if participant_rule.each else (scope.element,):
            inner = scope.inner(element)
            if participant_rule.when and not inner.holds(participant_rule.when):
                continue
            participant = _participant(participant_rule, interaction, inner)
            if participant is None:
                # A reference that is simply absent (a note about nobody) is no unknown participant; an element of a list is one.
                unidentified += participant_rule.each is not None
                continue
            subject = participant.person or participant.company
            found.setdefault((participant.role, subject.key if subject else ""), participant)
    return tuple(found.values()), unidentified


def _participant(rule: ParticipantRule, interaction: str, scope: Scope) -> StagedParticipant | None:
    role = cast("ParticipantRole", scope.line(rule.role) or "attendee")
    speaker = scope.line(rule.speaker)
    if rule.company is not None:
        company = staged_company(rule.company, scope)
        return StagedParticipant(role=role, company=company, speaker_key=speaker) if company else None
    person = staged_person(rule.person, scope, interaction=interaction, speaker=speaker) if rule.person else None
    return StagedParticipant(role=role, person=person, speaker_key=speaker) if person else None


def _turns(rule: TurnRule, scope: Scope) -> Iterator[StagedTurn]:
    """The turns that say something, in the source's order."""
    for element in scope.each(rule.each):
        turn = Scope(element, scope.record, scope.context, scope.unusable)
        parts = (
            [Scope(part, scope.record, scope.context, scope.unusable) for part in turn.each(rule.sentences)] if rule.sentences else [turn]
        )
        words = " ".join(text for part in parts if (text := part.line(rule.text)))
        if words:
            start_s, end_s = _span(rule, parts)
            yield StagedTurn(speaker_key=turn.line(rule.speaker) or "unknown", text=words, start_s=start_s, end_s=end_s)


def _span(rule: TurnRule, parts: list[Scope]) -> tuple[float | None, float | None]:
    """From the first start to the last end among the parts, in seconds from the interaction's start."""
    starts = [start for part in parts if (start := part.seconds(rule.start)) is not None]
    ends = [end for part in parts if (end := part.seconds(rule.end)) is not None]
    start_s, end_s = min(starts, default=None), max(ends, default=None)
    if (start_s is not None and start_s < 0) or (end_s is not None and end_s < 0):
        raise BrokenContractError("turn.out_of_range", "turn.start")
    if start_s is not None and end_s is not None and end_s < start_s:
        raise BrokenContractError("turn.end_before_start", "turn.end")
    return start_s, end_s
