"""Contracts: what breaks a record, what only costs a field, and how people get their key, side and company."""

import json
import re
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from pay_ready import pipeline
from pay_ready.errors import ConfigError
from pay_ready.model.staged import StagedCompany, StagedInteraction, StagedPerson, StagedRows, StagedTurn
from pay_ready.pipeline.contracts import BREACHES, Breach, stage_record
from pay_ready.pipeline.mapping.kinds import MappingContext
from pay_ready.pipeline.mapping.rules import SourceMapping
from tests.mapping_support import CONTEXT, at, breach_of, context, written

STREAMS = """
[streams.people]
[streams.people.person]
id = "id"
full_name = "name"
email = "email"
phone = "phone"
side = { path = "side", map = { in = "internal", out = "external" } }
updated_at = "at"
[streams.people.person.company]
id = { path = "account", reference = "accounts" }
name = "employer"
domain = "site"
[streams.leads.person]
email = "email"
phone = "phone"
title = { path = "title", required = true }
[streams.accounts.company]
id = { path = "id", required = false }
name = "name"
domain = "site"
[streams.calls.interaction]
type = { path = "kind", default = "call" }
id = "id"
occurred_at = "at"
ended_at = "until"
duration = { path = "minutes", type = "duration_min" }
text = { path = "notes", type = "html" }
[[streams.calls.interaction.participants]]
each = "who"
role = { path = "role", default = "attendee" }
speaker = "voice"
person = { full_name = "name", email = "email", phone = "phone" }
[streams.calls.interaction.turns]
each = "said"
speaker = "voice"
text = "words"
start = { path = "from", type = "duration_s" }
end = { path = "to", type = "duration_s" }
"""
AT = "2026-03-04T10:00:00Z"


@pytest.fixture(name="mapping", scope="module")
def _mapping(tmp_path_factory: pytest.TempPathFactory) -> SourceMapping:
    return written(tmp_path_factory.mktemp("mapping"), STREAMS)


def rows(mapping: SourceMapping, stream: str, record: dict[str, object], ctx: MappingContext = CONTEXT) -> StagedRows:
    outcome = stage_record(mapping, stream, "row-1", record, ctx)
    assert isinstance(outcome, StagedRows), outcome
    return outcome


def person(mapping: SourceMapping, /, ctx: MappingContext = CONTEXT, **fields: object) -> StagedPerson:
    return rows(mapping, "people", {"id": 1, **fields}, ctx).people[0]


def call(mapping: SourceMapping, **fields: object) -> StagedInteraction:
    return rows(mapping, "calls", {"id": 1, "at": AT, **fields}).interactions[0]


@pytest.mark.parametrize(
    ("stream", "record", "breach"),
    [
        ("people", {}, ("field.missing", "person.id")),
        ("people", {"id": ""}, ("field.missing", "person.id")),
        ("people", {"id": " "}, ("field.missing", "person.id")),
        ("people", {"id": ["1"]}, ("identifier.wrong_type", "person.id")),
        ("people", {"id": True}, ("identifier.wrong_type", "person.id")),
        ("people", {"id": "x" * 201}, ("identifier.too_long", "person.id")),
        ("people", {"id": 1, "email": "ada@@acme"}, ("email.invalid", "person.email")),
        ("people", {"id": 1, "email": {"work": "x"}}, ("email.invalid", "person.email")),
        ("people", {"id": 1, "email": "ada\x00@acme.com"}, ("email.invalid", "person.email")),
        ("people", {"id": 1, "email": "ada\ud800@acme.com"}, ("email.invalid", "person.email")),
        ("people", {"id": 1, "email": "Ada <ada\ufffd@acme.com>"}, ("email.invalid", "person.email")),
        ("people", {"id": 1, "email": "a" * 400 + "@x.example"}, ("email.too_long", "person.email")),
        ("leads", {"title": "Dr"}, ("person.unidentified", "person.id")),
        ("leads", {"title": "Dr", "phone": "call me"}, ("person.unidentified", "person.id")),
        ("leads", {"email": "a@x.example", "title": ["Dr"]}, ("text.wrong_type", "person.title")),
        ("leads", {"email": "a@x.example", "title": "x" * 301}, ("line.too_long", "person.title")),
        ("accounts", {"name": "-"}, ("company.unidentified", "company.id")),
        ("calls", {}, ("field.missing", "interaction.occurred_at")),
        ("calls", {"at": "soon"}, ("timestamp.invalid", "interaction.occurred_at")),
        ("calls", {"at": "2026-02-30"}, ("timestamp.invalid", "interaction.occurred_at")),
        ("calls", {"at": True}, ("timestamp.invalid", "interaction.occurred_at")),
        ("calls", {"at": "1989-12-31T23:59:59Z"}, ("timestamp.out_of_range", "interaction.occurred_at")),
        ("calls", {"at": "2099-01-01"}, ("timestamp.out_of_range", "interaction.occurred_at")),
        ("calls", {"at": "0001-01-01T00:00:00+14:00"}, ("timestamp.out_of_range", "interaction.occurred_at")),
        ("calls", {"at": "9999-12-31T23:59:59-12:00"}, ("timestamp.out_of_range", "interaction.occurred_at")),
        ("calls", {"at": 10**40}, ("timestamp.out_of_range", "interaction.occurred_at")),
        ("calls", {"at": AT, "until": "2026-03-04T09:59:59Z"}, ("timestamp.end_before_start", "interaction.ended_at")),
        ("calls", {"at": AT, "until": "later"}, ("timestamp.invalid", "interaction.ended_at")),
        ("calls", {"at": AT, "minutes": -1}, ("timestamp.end_before_start", "interaction.ended_at")),
        ("calls", {"at": AT, "minutes": 1e7}, ("timestamp.out_of_range", "interaction.ended_at")),
        ("calls", {"at": AT, "minutes": 1e30}, ("duration.out_of_range", "interaction.duration")),
        ("calls", {"at": AT, "minutes": "long"}, ("number.invalid", "interaction.duration")),
        ("calls", {"at": AT, "kind": "fax"}, ("choice.unknown", "interaction.type")),
        ("calls", {"at": AT, "said": [{"words": "hm", "from": 5, "to": 4}]}, ("turn.end_before_start", "turn.end")),
        ("calls", {"at": AT, "said": [{"words": "hm", "from": -1}]}, ("turn.out_of_range", "turn.start")),
    ],
)
def test_a_broken_contract_names_reason_and_field(
    mapping: SourceMapping, stream: str, record: dict[str, object], breach: tuple[str, str]
) -> None:
    """Required fields, times and their order: such a row goes to quarantine."""
    outcome = stage_record(mapping, stream, "row-1", {"id": 1, **record} if stream == "calls" else record, CONTEXT)
    assert breach_of(outcome) == breach


@pytest.mark.parametrize("validation", [True, False])
@pytest.mark.parametrize("lost", ["\x00", "\ud800"])
def test_an_address_with_a_lost_letter_is_none(mapping: SourceMapping, lost: str, validation: bool) -> None:
    """No address is staged with U+FFFD in it, whatever is validated: a listed person breaks the contract, a participant does without;
    a display name may have lost a letter."""
    settings = replace(CONTEXT, email_validation=validation)
    broken = stage_record(mapping, "people", "row-1", {"id": 1, "email": f"a{lost}da@acme.com"}, settings)
    assert breach_of(broken) == ("email.invalid", "person.email")
    record = {"id": 1, "at": AT, "who": [{"name": "Ada King", "email": f"a{lost}da@acme.com"}]}
    [participant] = rows(mapping, "calls", record, settings).interactions[0].participants
    assert participant.person is not None
    assert (participant.person.email, participant.person.attributes.get("unusable_fields")) == (None, "email")
    assert person(mapping, settings, email=f"A{lost}da <ada@acme.com>").email == "ada@acme.com"


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"{", "json.invalid"),
        (b"\xff\xfe", "json.invalid"),
        (b"", "json.invalid"),
        (b'{"id": ' + b"9" * 5000 + b"}", "json.invalid"),
        (b"[1]", "json.not_an_object"),
        (b"null", "json.not_an_object"),
        (b'{"id": ' + b"[" * 10_000 + b"]" * 10_000 + b"}", "json.too_deep"),
    ],
)
def test_bytes_that_hold_no_record_break_the_contract(mapping: SourceMapping, data: bytes, reason: str) -> None:
    """As a whole: there is no field to name."""
    assert stage_record(mapping, "people", "row-1", data, CONTEXT) == Breach(reason, "", mapping.contract_version)


def test_what_json_forbids_but_connectors_send_is_read(mapping: SourceMapping) -> None:
    """NaN and lone surrogates: the number is unusable, the letter becomes U+FFFD, and the row is kept."""
    outcome = stage_record(mapping, "people", "row-1", b'{"id": 1, "name": "Ad\\ud800a", "at": NaN}', CONTEXT)
    assert isinstance(outcome, StagedRows)
    assert outcome.people[0].full_name == "Ad\ufffda"
    assert outcome.people[0].attributes == {"unusable_fields": "updated_at"}


def test_bytes_and_decoded_records_are_the_same(mapping: SourceMapping) -> None:
    """Landed JSON can be handed over either way."""
    record = {"id": 1, "name": "Ada King", "email": "ada@beta.example"}
    assert stage_record(mapping, "people", "k", json.dumps(record).encode(), CONTEXT) == rows(mapping, "people", dict(record))


def test_every_reason_is_explained() -> None:
    """Whoever lists the quarantine can say what each means: the reasons in the code are those in the table."""
    folder = Path(pipeline.__path__[0])
    modules = [*(folder / "mapping").glob("*.py"), folder / "contracts.py", folder / "stage.py", folder / "stage_rows.py"]
    words = r'(?:Error|Breach)\(\s*"([a-z]+\.[a-z_]+)"'
    raised = {reason for path in modules for reason in re.findall(words, path.read_text(encoding="utf-8"))}
    assert raised | {"email.too_long"} == set(BREACHES)


def test_an_optional_field_costs_only_itself(mapping: SourceMapping) -> None:
    """A person with an unreadable phone and time is kept without them, and their names are noted."""
    found = person(mapping, phone="call me", at="yesterday", name=["Ada"], site="our site")
    assert found.attributes == {"unusable_fields": "company, full_name, phone, updated_at"}
    assert (found.phone, found.updated_at, found.full_name) == (None, None, None)


def test_a_call_is_not_lost_for_one_typo(mapping: SourceMapping) -> None:
    """A participant's broken address costs the address alone."""
    (participant,) = call(mapping, who=[{"name": "Ada King", "email": "ada@@acme", "voice": "s1"}]).participants
    assert participant.person == StagedPerson(
        key="speaker:calls:1:s1", full_name="Ada King", first_name="Ada", last_name="King", attributes={"unusable_fields": "email"}
    )


def test_fillers_are_nothing_and_not_unusable(mapping: SourceMapping) -> None:
    """A source that writes n/a has no value there, and no fault."""
    found = person(mapping, email="n/a", phone="-", name="[not provided]", site="none")
    assert found == StagedPerson(key="id:people:1")


def test_validation_can_be_turned_off(mapping: SourceMapping) -> None:
    """The address is then kept as it is, in lower case."""
    found = person(mapping, context(email_validation=False), email="Ada@@Acme")
    assert (found.email, found.email_normalized) == ("Ada@@Acme", "ada@@acme")


def test_people_are_keyed_by_id_then_email_then_phone_then_appearance(mapping: SourceMapping) -> None:
    """So that one person is not a new one in every call, when it can be avoided; two names on one number are two people."""
    assert person(mapping, email="ada@beta.example").key == "id:people:1"
    who = [
        {"name": "Ada", "email": "ada+1@Beta.example", "phone": "(212) 555-0147", "voice": "s1"},
        {"name": "Bob", "phone": "(212) 555-0147", "voice": "s2"},
        {"name": "Eve Ax", "phone": "(212) 555-0147"},
        {"phone": "(212) 555-0147"},
        {"name": "Cyd", "voice": "s3"},
        {"voice": "s4"},
        {"name": "Dr. Eve Ax"},
        {"phone": "none"},
        None,
    ]
    found = call(mapping, who=who)
    assert [participant.person.key for participant in found.participants if participant.person] == [
        "email:ada@beta.example",
        "phone:+12125550147:bob",
        "phone:+12125550147:eve ax",
        "phone:+12125550147",
        "speaker:calls:1:s3",
        "speaker:calls:1:s4",
        "speaker:calls:1:name=eve ax",
    ]
    assert [participant.speaker_key for participant in found.participants] == ["s1", "s2", None, None, "s3", "s4", None]
    assert found.metadata == {"unidentified_participants": 1}


@pytest.mark.parametrize(
    ("fields", "own", "side"),
    [
        ({"side": "in", "email": "a@beta.example"}, {"acme.example"}, "internal"),
        ({"email": "a@mail.acme.example"}, {"acme.example"}, "internal"),
        ({"email": "a@beta.example"}, {"acme.example"}, "external"),
        ({"email": "a@gmail.com"}, {"acme.example"}, "unknown"),
        ({"email": "a@beta.example"}, set(), "unknown"),
        ({}, {"acme.example"}, "unknown"),
    ],
)
def test_a_side_is_declared_or_told_by_the_email(mapping: SourceMapping, fields: dict[str, object], own: set[str], side: str) -> None:
    """A free-mail address tells nothing, nor does any when the tenant's own domains are unknown."""
    assert person(mapping, context(own=frozenset(own)), **fields).side == side


@pytest.mark.parametrize(
    ("fields", "company"),
    [
        ({"account": 7, "employer": "Beta", "email": "a@beta.example"}, StagedCompany(key="id:accounts:7", name="Beta")),
        ({"site": "www.beta.example", "email": "a@other.example"}, StagedCompany(key="domain:beta.example", domain="beta.example")),
        (
            {"employer": "Beta GmbH", "email": "a@eu.beta.example"},
            StagedCompany(key="domain:beta.example", domain="beta.example", name="Beta GmbH"),
        ),
        ({"employer": "Beta GmbH", "email": "a@gmail.com"}, StagedCompany(key="name:beta", name="Beta GmbH")),
        ({"email": "a@gmail.com"}, None),
        ({"email": "a@acme.example"}, None),
        ({"side": "in", "employer": "Acme"}, None),
        ({"side": "out", "email": "a@acme.example"}, None),
        ({"site": "gmail.com", "employer": "Beta GmbH"}, StagedCompany(key="name:beta", name="Beta GmbH")),
    ],
)
def test_a_persons_company_is_told_by_id_domain_or_name(
    mapping: SourceMapping, fields: dict[str, object], company: StagedCompany | None
) -> None:
    """The tenant's own people have none: it is no customer of its own."""
    assert person(mapping, CONTEXT, **fields).company == company


def test_an_extension_is_kept(mapping: SourceMapping) -> None:
    """Beside the number, as an attribute."""
    assert person(mapping, phone="212-555-0147 x12").attributes == {"phone_extension": "12"}


def test_an_end_is_given_or_follows_from_the_duration(mapping: SourceMapping) -> None:
    """The given one wins."""
    assert call(mapping, minutes=30).ended_at == at("2026-03-04T10:30:00Z")
    assert call(mapping, minutes=30, until="2026-03-04T11:00:00Z").ended_at == at("2026-03-04T11:00:00Z")
    assert call(mapping, minutes=0).ended_at == at(AT)
    assert call(mapping).ended_at is None


def test_turns_keep_order_and_times(mapping: SourceMapping) -> None:
    """A turn without words is none; one without a speaker is an unknown voice's."""
    said = [{"voice": "s1", "words": " Hello ", "from": "0", "to": 1.5}, {"voice": "s2", "words": ""}, {"words": "Hm"}, 7]
    assert call(mapping, said=said).turns == (
        StagedTurn(speaker_key="s1", text="Hello", start_s=0.0, end_s=1.5),
        StagedTurn(speaker_key="unknown", text="Hm"),
    )


def test_a_context_is_checked() -> None:
    """A region, zone or clock that does not exist is a mistake of the settings, not of a record."""
    now = datetime(2026, 11, 21, tzinfo=UTC)
    with pytest.raises(ConfigError, match="unknown phone region"):
        MappingContext(phone_region="XX", now=now)
    with pytest.raises(ConfigError, match="unknown time zone"):
        MappingContext(time_zone="Mars/Olympus", now=now)
    with pytest.raises(ConfigError, match="names no zone"):
        MappingContext(now=now.replace(tzinfo=None))
