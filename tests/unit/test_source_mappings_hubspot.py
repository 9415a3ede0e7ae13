"""What the shipped mapping makes of HubSpot's records as the connector emits them."""

import pytest

from pay_ready.model.staged import StagedCompany, StagedInteraction, StagedParticipant, StagedPerson
from tests.mapping_support import appearances, at, breach_of, company_of, context, interaction_of, outcome_of, person_of, reason_of

WHEN = "2026-03-04T10:00:00+00:00"
MADE = {"createdAt": "2026-03-01T10:00:00.198Z", "updatedAt": "2026-03-05T10:00:00.198Z", "archived": False}
CONTACT = {
    "id": "151",
    **MADE,
    "properties": {
        "firstname": "Bob", "lastname": "Ray", "email": "Bob.Ray@Beta.example", "phone": "030 23125 123", "mobilephone": None,
        "jobtitle": "CTO",
        "city": "Berlin", "country": "Germany", "company": "Beta GmbH", "associatedcompanyid": 4992593519, "hubspot_owner_id": "52550153",
        "lifecyclestage": "opportunity", "hs_additional_emails": "bob@old.example;b.ray@gmail.com", "hs_merged_object_ids": "201;305",
        "lastmodifieddate": "2026-03-05T10:00:00.198000+00:00",
    },
    "properties_email": "Bob.Ray@Beta.example",
    "companies": ["4992593519", "4992593519"],
}  # fmt: skip


def engagement(**properties: object) -> dict[str, object]:
    """An engagement of owner 7 with contact 151 (listed twice, as HubSpot does) at company 42."""
    listed = {"hs_timestamp": WHEN, "hubspot_owner_id": "7", "hs_object_id": 39900, **properties}
    return {"id": "39900", **MADE, "properties": listed, "contacts": ["151", "151"], "companies": ["42"], "deals": ["9", "10"]}


def test_contacts() -> None:
    """Outside unless their address is the tenant's; the primary company by id; phones in the tenant's region."""
    assert person_of("hubspot", "contacts", CONTACT, context(phone_region="DE")) == StagedPerson(
        key="id:contact:151",
        full_name="Bob Ray",
        first_name="Bob",
        last_name="Ray",
        email="Bob.Ray@Beta.example",
        email_normalized="bob.ray@beta.example",
        phone="+493023125123",
        title="CTO",
        city="Berlin",
        country="Germany",
        company=StagedCompany(key="id:company:4992593519", name="Beta GmbH"),
        side="external",
        updated_at=at("2026-03-05T10:00:00.198Z"),
        attributes={
            "additional_emails": "bob@old.example;b.ray@gmail.com",
            "lifecycle_stage": "opportunity",
            "merged_ids": "201;305",
            "owner": "owner:52550153",
        },
    )


def test_contacts_without_a_primary_company() -> None:
    """The first associated one, else the address's domain with the typed name, else that name."""
    bare = {"email": "bob@beta.example", "company": "Beta GmbH"}
    associated = person_of("hubspot", "contacts", {"id": "1", "properties": bare, "companies": ["42"]})
    told_by_email = person_of("hubspot", "contacts", {"id": "1", "properties": bare})
    told_by_name = person_of("hubspot", "contacts", {"id": "1", "properties": {**bare, "email": "bob@gmail.com"}})
    assert [row.company.key for row in (associated, told_by_email, told_by_name) if row.company] == [
        "id:company:42", "domain:beta.example", "name:beta",
    ]  # fmt: skip


def test_contacts_that_break_their_contract_or_are_gone() -> None:
    """A broken address is quarantined, an archived contact unmapped, a colleague internal."""
    properties = CONTACT["properties"]
    assert isinstance(properties, dict)
    broken = {**CONTACT, "properties": {**properties, "email": "marla.quinn@@brightforge"}}
    colleague = {**CONTACT, "properties": {**properties, "email": "bob@acme.example"}}
    assert breach_of(outcome_of("hubspot", "contacts", broken)) == ("email.invalid", "person.email")
    assert reason_of(outcome_of("hubspot", "contacts", {**CONTACT, "archived": True})) == "archived in HubSpot"
    assert person_of("hubspot", "contacts", colleague).side == "internal"


def test_companies() -> None:
    """The typed domain in its normal form, numbers as numbers."""
    record = {
        "id": "42", **MADE,
        "properties": {
            "name": "Beta GmbH", "domain": "Www.Beta.example", "website": "https://beta.example/de", "phone": "+49 30 23125 123",
            "city": "Berlin",
            "country": "Germany", "industry": "COMPUTER_SOFTWARE", "numberofemployees": 200, "annualrevenue": 1e6,
            "lifecyclestage": "customer",
            "hs_parent_company_id": 41, "hubspot_owner_id": "", "hs_lastmodifieddate": "2026-03-05T10:00:00+00:00",
        },
    }  # fmt: skip
    assert company_of("hubspot", "companies", record) == StagedCompany(
        key="id:company:42",
        name="Beta GmbH",
        domain="beta.example",
        phone="+493023125123",
        city="Berlin",
        country="Germany",
        industry="COMPUTER_SOFTWARE",
        updated_at=at("2026-03-05T10:00:00Z"),
        attributes={"employees": 200, "annual_revenue": 1e6, "lifecycle_stage": "customer", "parent_company": "company:41"},
    )


def test_owners() -> None:
    """The tenant's own people; one who left is still one, a queue is none."""
    record = {"id": "7", "email": "ada@acme.example", "firstName": "Ada", "lastName": "King", "userId": 12, **MADE, "archived": True}
    owner = person_of("hubspot", "owners", record)
    assert (owner.key, owner.full_name, owner.side, owner.attributes) == (
        "id:owner:7", "Ada King", "internal", {"user": "12", "archived": True},
    )  # fmt: skip
    assert person_of("hubspot", "owners_archived", record) == owner
    assert reason_of(outcome_of("hubspot", "owners", {**record, "type": "QUEUE"})) == "a queue, not a person"


@pytest.mark.parametrize(
    ("closed", "occurred_at"),
    [
        ({"hs_is_closed": True}, "2026-06-30T12:00:00Z"),
        ({"dealstage": "closedlost"}, "2026-06-30T12:00:00Z"),
        ({"hs_is_closed": False}, "2026-03-01T10:00:00Z"),
    ],
)
def test_deals_stand_where_they_were_decided(closed: dict[str, object], occurred_at: str) -> None:
    """On the close date once closed, else where they began; about their companies and contacts, each once."""
    properties = {
        "dealname": "Beta renewal", "amount": 12000, "deal_currency_code": "EUR", "dealstage": "contractsent", "pipeline": "default",
        "createdate": "2026-03-01T10:00:00+00:00", "closedate": "2026-06-30T12:00:00+00:00", "hs_deal_stage_probability": 0.8,
        "hubspot_owner_id": "7", **closed,
    }  # fmt: skip
    deal = interaction_of("hubspot", "deals", {"id": "9", **MADE, "properties": properties, "companies": ["42", "42"], "contacts": ["151"]})
    assert (deal.interaction_type, deal.external_id, deal.subject, deal.occurred_at) == ("deal", "deal:9", "Beta renewal", at(occurred_at))
    assert appearances(deal) == [("about", "id:company:42"), ("about", "id:contact:151"), ("owner", "id:owner:7")]
    assert deal.metadata == {
        "amount": 12000, "currency": "EUR", "stage": properties["dealstage"], "pipeline": "default", "probability": 0.8,
        "created_at": "2026-03-01T10:00:00+00:00", "close_date": "2026-06-30",
    }  # fmt: skip


def test_notes() -> None:
    """HTML becomes text; the owner wrote it, about the contacts and companies."""
    record = engagement(hs_note_body="<p>Bob &amp; Ann want<br>a discount.</p>", hs_body_preview="Bob & Ann")
    assert interaction_of("hubspot", "engagements_notes", record) == StagedInteraction(
        interaction_type="note",
        external_id="engagement:39900",
        precedence=2,
        occurred_at=at(WHEN),
        text="Bob & Ann want\na discount.",
        participants=(
            StagedParticipant(role="author", person=StagedPerson(key="id:owner:7", side="internal")),
            StagedParticipant(role="about", person=StagedPerson(key="id:contact:151")),
            StagedParticipant(role="about", company=StagedCompany(key="id:company:42")),
        ),
        metadata={"deals": "9, 10"},
    )
    assert breach_of(outcome_of("hubspot", "engagements_notes", engagement(hs_timestamp=None))) == (
        "field.missing", "interaction.occurred_at",
    )  # fmt: skip


def test_calls() -> None:
    """Milliseconds of duration; the number speaks only when no contact is known, and by the direction."""
    record = engagement(
        hs_call_title="Intro", hs_call_body="<ul><li>budget</li></ul>", hs_call_duration=90_500, hs_call_direction="OUTBOUND",
        hs_call_status="COMPLETED", hs_call_from_number="+12125550100", hs_call_to_number="(212) 555-0147",
    )  # fmt: skip
    call = interaction_of("hubspot", "engagements_calls", record)
    assert (call.interaction_type, call.direction, call.text, call.subject) == ("call", "outbound", "- budget", "Intro")
    assert call.ended_at == at("2026-03-04T10:01:30.5Z")
    assert appearances(call) == [("host", "id:owner:7"), ("attendee", "id:contact:151"), ("about", "id:company:42")]
    lone = {**record, "contacts": None, "companies": None}
    assert appearances(interaction_of("hubspot", "engagements_calls", lone)) == [("host", "id:owner:7"), ("attendee", "phone:+12125550147")]
    inbound = {**engagement(hs_call_direction="INBOUND", hs_call_from_number="+1 212 555 0100", hubspot_owner_id=None), "contacts": []}
    assert appearances(interaction_of("hubspot", "engagements_calls", inbound)) == [
        ("attendee", "phone:+12125550100"),
        ("about", "id:company:42"),
    ]


def test_emails() -> None:
    """Joined addresses become recipients; the plain text wins over the HTML; one broken address costs only itself."""
    record = engagement(
        hs_email_subject="Re: Offer", hs_email_text="Thanks!\r\n> old", hs_email_html="<p>Thanks!</p>", hs_email_direction="INCOMING_EMAIL",
        hs_email_from_email="Bob.Ray@beta.example", hs_email_from_firstname="Bob", hs_email_from_lastname="Ray", hs_email_thread_id="t-1",
        hs_email_to_email="ada@acme.example;eve@@acme; fay@acme.example", hs_email_cc_email="gus@gmail.com", hs_email_bcc_email=None,
        hs_email_message_id="<m1@beta.example>",
    )  # fmt: skip
    email = interaction_of("hubspot", "engagements_emails", record)
    assert (email.interaction_type, email.direction, email.subject, email.text, email.thread_id) == (
        "email", "inbound", "Re: Offer", "Thanks!\n> old", "t-1",
    )  # fmt: skip
    assert appearances(email) == [
        ("sender", "email:bob.ray@beta.example"),
        ("recipient", "email:ada@acme.example"),
        ("recipient", "email:fay@acme.example"),
        ("copied", "email:gus@gmail.com"),
        ("owner", "id:owner:7"),
        ("about", "id:contact:151"),
        ("about", "id:company:42"),
    ]
    sender = email.participants[0].person
    assert sender is not None
    assert (sender.full_name, sender.side, email.metadata["unidentified_participants"]) == ("Bob Ray", "external", 1)
    html = interaction_of("hubspot", "engagements_emails", engagement(hs_email_html="<p>Hi</p><blockquote>old</blockquote>"))
    assert html.text == "Hi\n> old"


def test_meetings() -> None:
    """From start to end; the owner hosts, other owners and contacts attend."""
    record = engagement(
        hs_meeting_title="Review", hs_meeting_body="<p>Agenda</p>", hs_meeting_start_time="2026-03-04T11:00:00+00:00",
        hs_meeting_end_time="2026-03-04T11:45:00+00:00", hs_meeting_outcome="COMPLETED", hs_attendee_owner_ids="7;8",
    )  # fmt: skip
    meeting = interaction_of("hubspot", "engagements_meetings", record)
    assert (meeting.interaction_type, meeting.subject, meeting.text) == ("meeting", "Review", "Agenda")
    assert (meeting.occurred_at, meeting.ended_at) == (at("2026-03-04T11:00:00Z"), at("2026-03-04T11:45:00Z"))
    assert appearances(meeting) == [
        ("host", "id:owner:7"), ("attendee", "id:owner:7"), ("attendee", "id:owner:8"), ("attendee", "id:contact:151"), ("about",
        "id:company:42"),
    ]  # fmt: skip
    broken = engagement(hs_meeting_start_time=WHEN, hs_meeting_end_time="2025-01-01T08:00:00+00:00")
    assert breach_of(outcome_of("hubspot", "engagements_meetings", broken)) == ("timestamp.end_before_start", "interaction.ended_at")


def test_tasks() -> None:
    """A task stands where it was done, else where it was made; the time stamp is when it is due."""
    task = {
        "hs_task_subject": "Call Bob",
        "hs_task_body": "<p>soon</p>",
        "hs_createdate": "2026-03-02T10:00:00+00:00",
        "hs_task_priority": "HIGH",
    }
    done = {"hs_task_status": "COMPLETED", "hs_task_completion_date": "2026-03-03T10:00:00+00:00"}
    made = interaction_of("hubspot", "engagements_tasks", engagement(**task))
    assert (made.interaction_type, made.subject, made.text, made.occurred_at) == ("task", "Call Bob", "soon", at("2026-03-02T10:00:00Z"))
    assert made.metadata == {"priority": "HIGH", "due_at": WHEN}
    assert interaction_of("hubspot", "engagements_tasks", engagement(**task, **done)).occurred_at == at("2026-03-03T10:00:00Z")


LEGACY = {
    "id": 39900, "createdAt": 1772532000000, "lastUpdated": 1772705400000, "timestamp": 1772618400000, "ownerId": 7,
    "bodyPreview": "Thanks",
    "associations": {"contactIds": [151, 151], "companyIds": [42], "dealIds": [9]},
}  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "metadata", "expected"),
    [
        ("NOTE", {"body": "<p>a</p><p>b</p>"}, {"interaction_type": "note", "text": "a\nb"}),
        ("EMAIL", {"subject": "Hi", "text": "t", "html": "<p>h</p>", "threadId": 5}, {"interaction_type": "email", "subject": "Hi",
        "text": "t", "direction": "outbound", "thread_id": "5"}),
        ("INCOMING_EMAIL", {"html": "<p>h</p>"}, {"interaction_type": "email", "text": "h", "direction": "inbound"}),
        ("FORWARDED_EMAIL", {}, {"interaction_type": "email", "text": "Thanks", "direction": None}),
        ("CALL", {"title": "Intro", "durationMilliseconds": 60000}, {"interaction_type": "call", "subject": "Intro",
        "ended_at": at("2026-03-04T10:01:00Z")}),
        (
            "MEETING",
            {"title": "Review", "startTime": 1772622000000, "endTime": 1772623800000},
            {"interaction_type": "meeting", "occurred_at": at("2026-03-04T11:00:00Z"), "ended_at": at("2026-03-04T11:30:00Z")},
        ),
        ("TASK", {"subject": "Call Bob", "status": "NOT_STARTED"}, {"interaction_type": "task", "subject": "Call Bob", "ended_at": None}),
    ],
)  # fmt: skip
def test_legacy_engagements_of_each_kind(kind: str, metadata: dict[str, object], expected: dict[str, object]) -> None:
    """One stream for all kinds, in milliseconds, under the same id as the typed streams, which speak louder."""
    found = interaction_of("hubspot", "engagements", {**LEGACY, "type": kind, "metadata": metadata})
    assert (found.external_id, found.precedence) == ("engagement:39900", 1)
    for name, value in {"occurred_at": at("2026-03-04T10:00:00Z"), **expected}.items():
        assert getattr(found, name) == value, name
    roles = {"NOTE": ("author", "about"), "CALL": ("host", "attendee"), "MEETING": ("host", "attendee")}.get(kind, ("owner", "about"))
    assert appearances(found) == [(roles[0], "id:owner:7"), (roles[1], "id:contact:151"), ("about", "id:company:42")]


def test_legacy_emails_name_everybody() -> None:
    """Objects with address and name, or only the raw form."""
    metadata = {
        "from": {"email": "ada@acme.example", "firstName": "Ada", "lastName": "King"},
        "to": [{"email": "bob@beta.example", "firstName": "Bob", "lastName": None}, {"raw": "Cyd <cyd@beta.example>"}, {}],
        "cc": [{"email": "dan@gmail.com"}],
    }
    email = interaction_of(
        "hubspot", "engagements", {**LEGACY, "type": "EMAIL", "metadata": metadata, "ownerId": None, "associations": None}
    )
    assert appearances(email) == [
        ("sender", "email:ada@acme.example"), ("recipient", "email:bob@beta.example"), ("recipient", "email:cyd@beta.example"), ("copied",
        "email:dan@gmail.com"),
    ]  # fmt: skip
    assert [row.person.side for row in email.participants if row.person] == ["internal", "external", "external", "unknown"]
    assert email.metadata == {"unidentified_participants": 1}


def test_legacy_engagements_without_words_or_time() -> None:
    """An unknown kind is unmapped with its reason; a missing time breaks the contract."""
    assert "nobody speaks" in reason_of(outcome_of("hubspot", "engagements", {**LEGACY, "type": "PUBLISHING_TASK"}))
    missing = outcome_of("hubspot", "engagements", {**LEGACY, "type": "NOTE", "timestamp": None})
    assert breach_of(missing) == ("field.missing", "interaction.occurred_at")
