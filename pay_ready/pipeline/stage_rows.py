"""What one landed record says, as rows of the staged tables: ids, hashes, references. Pure."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from uuid import UUID

import msgspec

from pay_ready.db.staging import Row, Said
from pay_ready.errors import ContractError
from pay_ready.model.ids import SourceId, TenantId, stable_id
from pay_ready.model.json_columns import write_values
from pay_ready.model.staged import StagedCompany, StagedInteraction, StagedParticipant, StagedPerson, StagedRows

_MOST_REMEMBERED = 100_000
_CANONICAL = msgspec.msgpack.Encoder(order="deterministic")


class UnstorableError(Exception):
    """What the mapping made cannot stand in the tables; carries the reason and the field."""

    def __init__(self, reason: str, field_name: str) -> None:
        super().__init__(reason)
        self.reason, self.field = reason, field_name


@dataclass(frozen=True, slots=True)
class RecordIds:
    """Ids of a source's records, the same on every replay. The same few people write most messages: ids are remembered."""

    tenant: TenantId
    source: SourceId
    _known: dict[tuple[str, ...], UUID] = field(default_factory=dict)

    def person(self, key: str) -> UUID:
        """The person record that the key names."""
        return self._remembered("person", key)

    def company(self, key: str) -> UUID:
        """The company record that the key names."""
        return self._remembered("company", key)

    def interaction(self, external_id: str) -> UUID:
        """The interaction, whichever row tells of it."""
        return stable_id("interaction", str(self.tenant), str(self.source), external_id)

    def interaction_record(self, stream: str, record_key: str, external_id: str) -> UUID:
        """What one landed row tells of an interaction."""
        return stable_id("interaction_record", str(self.tenant), str(self.source), stream, record_key, external_id)

    def _remembered(self, *parts: str) -> UUID:
        if (known := self._known.get(parts)) is not None:
            return known
        if len(self._known) >= _MOST_REMEMBERED:
            self._known.clear()
        made = stable_id(parts[0], str(self.tenant), str(self.source), parts[1])
        self._known[parts] = made
        return made


def add_rows(said: Said, ids: RecordIds, stream: str, record_key: str, staged: StagedRows) -> None:
    """Add what the record says; all of it, or nothing.

    Raises:
        UnstorableError: The further values pass the limit of a JSON column, or the record tells of one interaction twice.
    """
    try:
        # Whoever is listed twice by one row is listed once: the first time.
        companies = list(_first_of_each(_company_row(ids, record_key, company) for company in staged.companies))
        people = list(_first_of_each(_person_row(ids, record_key, person) for person in staged.people))
    except ContractError:
        raise UnstorableError("values.unstorable", "attributes") from None
    try:
        interactions = {
            ids.interaction_record(stream, record_key, each.external_id): (each, write_values(each.metadata))
            for each in staged.interactions
        }
    except ContractError:
        raise UnstorableError("values.unstorable", "metadata") from None
    if len(interactions) < len(staged.interactions):
        raise UnstorableError("interaction.repeated", "external_id")
    said.companies.extend(companies)
    said.people.extend(people)
    for record_id, (interaction, metadata) in interactions.items():
        _add_interaction(said, ids, record_key, record_id, interaction, metadata)


def _add_interaction(said: Said, ids: RecordIds, record_key: str, record_id: UUID, interaction: StagedInteraction, metadata: str) -> None:
    interaction_id = ids.interaction(interaction.external_id)
    said.interactions.append((
        record_id, record_key, interaction_id, interaction.precedence, interaction.interaction_type, interaction.external_id,
        interaction.occurred_at, interaction.ended_at, interaction.subject, interaction.text, interaction.direction,
        interaction.thread_id, interaction.url, metadata, _content_hash(interaction),
    ))  # fmt: skip
    said.participants[record_id] = [
        (record_id, number, interaction_id, participant.role, *_appearance(said, ids, participant), interaction.occurred_at)
        for number, participant in enumerate(interaction.participants)
    ]
    said.turns[record_id] = [
        (record_id, number, interaction_id, turn.speaker_key, turn.start_s, turn.end_s, turn.text)
        for number, turn in enumerate(interaction.turns)
    ]


def _appearance(said: Said, ids: RecordIds, participant: StagedParticipant) -> Row:
    person, company = participant.person, participant.company
    if person is None:
        named = _mention(said, ids, company)
        return (
            None, named, participant.speaker_key, "unknown", None, None, None, None, None, company.phone if company else None, None,
            company.name if company else None, company.domain if company else None, None,
        )  # fmt: skip
    person_id = ids.person(person.key)
    said.references.add(("person", person_id, person.key))
    named = _mention(said, ids, person.company)
    return (
        person_id, None, participant.speaker_key, person.side, person.full_name, person.first_name, person.last_name, person.email,
        person.email_normalized, person.phone, person.title, person.company.name if person.company else None,
        person.company.domain if person.company else None, named,
    )  # fmt: skip


def _mention(said: Said, ids: RecordIds, company: StagedCompany | None) -> UUID | None:
    if company is None:
        return None
    company_id = ids.company(company.key)
    said.references.add(("company", company_id, company.key))
    return company_id


def _company_row(ids: RecordIds, record_key: str, company: StagedCompany) -> Row:
    return (
        ids.company(company.key), company.key, record_key, company.name, company.domain, company.phone, company.city,
        company.country, company.industry, write_values(company.attributes), company.updated_at, _content_hash(company),
    )  # fmt: skip


def _person_row(ids: RecordIds, record_key: str, person: StagedPerson) -> Row:
    company = person.company
    return (
        ids.person(person.key), person.key, record_key, person.full_name, person.first_name, person.last_name, person.email,
        person.email_normalized, person.phone, person.title, person.city, person.country,
        ids.company(company.key) if company else None, company.name if company else None, company.domain if company else None,
        company.key if company else None, person.side, write_values(person.attributes), person.updated_at, _content_hash(person),
    )  # fmt: skip


def _first_of_each(rows: Iterable[Row]) -> Iterator[Row]:
    seen: set[object] = set()
    for row in rows:
        if row[0] not in seen:
            seen.add(row[0])
            yield row


def _content_hash(staged: StagedCompany | StagedPerson | StagedInteraction) -> bytes:
    """sha256 of everything that the row says, whatever the order of its further values."""
    return sha256(_CANONICAL.encode(staged)).digest()
