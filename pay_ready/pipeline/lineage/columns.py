"""Where each column comes from: read out of the mappings that fill it and of the rules of survivorship, so that it cannot go stale.

Names of columns and paths alone: no value of a record is ever in it.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from pay_ready.pipeline.mapping.rules import (
    CompanyRule,
    EachRule,
    InteractionRule,
    Match,
    ParticipantRule,
    Path,
    PersonRule,
    StreamMapping,
    Template,
    TurnRule,
    ValueRule,
)
from pay_ready.resolve.survivorship import COMPANY_FIELDS, PERSON_FIELDS


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """A column of a table comes from a field: of a record of the stream (a path into it), or of another table (a column)."""

    table: str
    column: str
    field: str
    origin: str = ""  # the other table; empty: the stream


# What a mapping's field is called in the table that it fills, where that is another name, or several columns.
_PERSON_COLUMNS: Mapping[str, Sequence[str]] = {
    "id": ("record_reference",), "email": ("email", "email_normalized"), "updated_at": ("source_updated_at",),
}  # fmt: skip
_COMPANY_COLUMNS: Mapping[str, Sequence[str]] = {"id": ("record_reference",), "updated_at": ("source_updated_at",)}
_EMPLOYER_COLUMNS: Mapping[str, Sequence[str]] = {
    "id": ("company_record_id",), "name": ("company_name",), "domain": ("company_domain",),
}  # fmt: skip
_INTERACTION_COLUMNS: Mapping[str, Sequence[str]] = {
    "type": ("interaction_type",), "id": ("external_id", "interaction_id"), "text": ("body",), "duration": ("ended_at",),
}  # fmt: skip
_IN_PARTICIPANT = ("full_name", "first_name", "last_name", "email", "phone", "title", "side")
# The columns of records from which a golden field is chosen, by survivorship.
_GOLDEN_PERSON: Mapping[str, Sequence[str]] = {
    "name": ("full_name", "first_name", "last_name"), "email": ("email_normalized",), "company": ("company_record_id",),
}  # fmt: skip
_GOLDEN_COLUMNS = ("name", "email", "phone", "domain", "title")  # of entity_versions; every other field is in `golden`


def stream_links(stream: StreamMapping) -> list[Link]:
    """Which columns of staged tables come from which fields of a stream's records, without repetition, in order."""
    found: list[Link] = []
    for person in stream.people:
        found += _person(person, "")
    for company in stream.companies:
        found += _company(company, "")
    for interaction in stream.interactions:
        found += _interaction(interaction)
    return sorted(set(found), key=lambda link: (link.table, link.column, link.field))


def golden_links() -> list[Link]:
    """Which fields of golden records come from which columns of the staged records that are in an entity."""
    found = []
    for table, fields, named in (("person_records", PERSON_FIELDS, _GOLDEN_PERSON), ("company_records", COMPANY_FIELDS, {})):
        for field in fields:
            column = "company_entity_id" if field == "company" else field if field in _GOLDEN_COLUMNS else "golden"
            found += [
                Link(table="entity_versions", column=target, field=origin, origin=table)
                for origin in named.get(field, (field,))
                for target in dict.fromkeys((column, "golden"))
            ]
    return sorted(set(found), key=lambda link: (link.column, link.origin, link.field))


def _person(rule: PersonRule, inside: str) -> Iterator[Link]:
    yield from _fields("person_records", rule.fields, _PERSON_COLUMNS, inside)
    yield from _fields("person_records", {"attributes": _together(rule.attributes)}, {}, inside)
    if rule.company is not None:
        yield from _fields("person_records", _only(rule.company.fields, _EMPLOYER_COLUMNS), _EMPLOYER_COLUMNS, inside)
        yield from _company(rule.company, inside)


def _company(rule: CompanyRule, inside: str) -> Iterator[Link]:
    yield from _fields("company_records", rule.fields, _COMPANY_COLUMNS, inside)
    yield from _fields("company_records", {"attributes": _together(rule.attributes)}, {}, inside)


def _interaction(rule: InteractionRule) -> Iterator[Link]:
    yield from _fields("interaction_records", rule.fields, _INTERACTION_COLUMNS, "")
    yield from _fields("interaction_records", {"metadata": _together(rule.metadata)}, {}, "")
    for participant in rule.participants:
        yield from _participant(participant)
    if rule.turns is not None:
        yield from _turns(rule.turns)


def _participant(rule: ParticipantRule) -> Iterator[Link]:
    table, inside = "interaction_participants", _each(rule.each)
    speaker = {"speaker_key": rule.speaker} if rule.speaker else {}
    yield from _fields(table, {"role": rule.role, **speaker}, {}, inside)
    if rule.person is not None:
        yield from _fields(table, {"person_record_id": rule.person.fields.get("id")}, {}, inside)
        yield from _fields(table, _only(rule.person.fields, _IN_PARTICIPANT), {"email": ("email", "email_normalized")}, inside)
        yield from _person(rule.person, inside)
    if rule.company is not None:
        yield from _fields(table, _only(rule.company.fields, ("id", "name", "domain")), {
            "id": ("company_record_id",), "name": ("company_name",), "domain": ("company_domain",),
        }, inside)  # fmt: skip
        yield from _company(rule.company, inside)


def _turns(rule: TurnRule) -> Iterator[Link]:
    outer = _each(rule.each)
    inner = outer + _each(rule.sentences)
    yield from _fields("interaction_turns", {"speaker_key": rule.speaker}, {}, outer)
    yield from _fields("interaction_turns", {"spoken_text": rule.text, "start_s": rule.start, "end_s": rule.end}, {}, inner)


def _fields(
    table: str, rules: Mapping[str, ValueRule | Sequence[ValueRule] | None], columns: Mapping[str, Sequence[str]], inside: str
) -> Iterator[Link]:
    for name, rule in rules.items():
        several = [rule] if isinstance(rule, ValueRule) else list(rule or ())
        for path in {path for each in several for path in _paths(each, inside)}:
            for column in columns.get(name, (name,)):
                yield Link(table=table, column=column, field=path)


def _together(rules: Mapping[str, ValueRule]) -> Sequence[ValueRule]:
    return tuple(rules.values())


def _only(rules: Mapping[str, ValueRule], names: Iterable[str]) -> dict[str, ValueRule]:
    return {name: rules[name] for name in names if name in rules}


def _paths(rule: ValueRule, inside: str) -> Iterator[str]:
    for origin in rule.origins:
        parts = origin.source.parts if isinstance(origin.source, Template) else (origin.source,)
        yield from (_written(part, inside) for part in parts if isinstance(part, Path))


def _written(path: Path, inside: str) -> str:
    """A path as the mapping file writes it, from the record on: "parties[].emailAddress"."""
    text = ""
    for step in path.steps:
        if isinstance(step, Match):
            text += f"[{step.key}={step.value}]"
        else:
            text += f".{step}" if text else str(step)
    return text if path.from_record else f"{inside}{text}" or "$"


def _each(rule: EachRule | None) -> str:
    if rule is None:
        return ""
    return "".join(f"{_written(path, '')}[]." for path in rule.path)
