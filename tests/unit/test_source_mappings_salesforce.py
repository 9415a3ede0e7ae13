"""What the shipped mapping makes of Salesforce's records as the connector emits them, by REST and by bulk export."""

import pytest

from pay_ready.model.staged import StagedCompany, StagedInteraction, StagedParticipant, StagedPerson
from tests.mapping_support import appearances, at, breach_of, company_of, context, interaction_of, outcome_of, person_of, reason_of

MADE = {
    "IsDeleted": False,
    "CreatedDate": "2026-03-01T10:00:00.000Z",
    "LastModifiedDate": "2026-03-05T10:00:00.000Z",
    "OwnerId": "0054W00000BZkk0QAD",
}
REST = {"IsDeleted": False, "CreatedDate": "2026-03-01T10:00:00.000+0000", "LastModifiedDate": "2026-03-05T10:00:00.000+0000"}
CONTACT_ID, LEAD_ID, ACCOUNT_ID, DEAL_ID = "0034W00002contAQAS", "00Q4W00002leadXUAQ", "0014W000027f6V3QAI", "0064W00001dealYQAW"
OWNER = ("owner", "id:user:0054W00000BZkk0QAD")
HOST = ("host", "id:user:0054W00000BZkk0QAD")


def test_accounts() -> None:
    """A website that is none costs itself, not the account; compound addresses fill in."""
    record = {
        "attributes": {"type": "Account"}, "Id": ACCOUNT_ID, **REST, "Name": "Beta GmbH", "Website": "https://www.beta.example",
        "Phone": "(212) 555-0147",
        "BillingCity": None, "BillingAddress": {"city": "Berlin", "country": "Germany"}, "Industry": "Education",
        "NumberOfEmployees": 39000,
        "AnnualRevenue": None, "Type": "Customer - Direct", "ParentId": None, "OwnerId": "0054W00000BZkk0QAD",
    }  # fmt: skip
    assert company_of("salesforce", "Account", record) == StagedCompany(
        key=f"id:account:{ACCOUNT_ID}",
        name="Beta GmbH",
        domain="beta.example",
        phone="+12125550147",
        city="Berlin",
        country="Germany",
        industry="Education",
        updated_at=at("2026-03-05T10:00:00Z"),
        attributes={"account_type": "Customer - Direct", "employees": 39000, "owner": "user:0054W00000BZkk0QAD"},
    )
    odd = company_of("salesforce", "Account", {**record, "Website": "www.expressl&t.net"})
    assert (odd.domain, odd.attributes["unusable_fields"]) == (None, "domain")


def test_contacts() -> None:
    """Of their account, by its id."""
    record = {
        "Id": CONTACT_ID, **REST, "AccountId": ACCOUNT_ID, "Salutation": "Ms.", "FirstName": "Ann", "LastName": "van Dyke",
        "Name": "Ann van Dyke",
        "Email": "ann@beta.example", "Phone": None, "MobilePhone": "+49 30 23125 123", "Title": "CFO", "MailingCity": "Berlin",
        "Department": "Finance",
        "ReportsToId": "0034W00002bossQAQAS",
    }  # fmt: skip
    assert person_of("salesforce", "Contact", record) == StagedPerson(
        key=f"id:contact:{CONTACT_ID}",
        full_name="Ann van Dyke",
        first_name="Ann",
        last_name="van Dyke",
        email="ann@beta.example",
        email_normalized="ann@beta.example",
        phone="+493023125123",
        title="CFO",
        city="Berlin",
        company=StagedCompany(key=f"id:account:{ACCOUNT_ID}"),
        side="external",
        updated_at=at("2026-03-05T10:00:00Z"),
        attributes={"department": "Finance", "reports_to": "contact:0034W00002bossQAQAS"},
    )
    assert reason_of(outcome_of("salesforce", "Contact", {**record, "IsDeleted": True})) == "deleted in Salesforce"


def test_leads() -> None:
    """A lead's company is typed by hand: its website tells which, the name how it is called; converted, it is the account."""
    record = {
        "Id": LEAD_ID, **REST, "FirstName": "Ann", "LastName": "[not provided]", "Company": "Beta GmbH", "Website": "beta.example",
        "Email": "ann@gmail.com",
        "Status": "Open - Not Contacted", "Industry": "Education",
    }  # fmt: skip
    lead = person_of("salesforce", "Lead", record)
    assert (lead.key, lead.full_name, lead.last_name) == (f"id:lead:{LEAD_ID}", "Ann", None)
    assert lead.company == StagedCompany(key="domain:beta.example", name="Beta GmbH", domain="beta.example", industry="Education")
    converted = person_of("salesforce", "Lead", {**record, "ConvertedAccountId": ACCOUNT_ID, "ConvertedContactId": CONTACT_ID})
    assert converted.company is not None
    assert (converted.company.key, converted.attributes["converted_contact"]) == (f"id:account:{ACCOUNT_ID}", f"contact:{CONTACT_ID}")


def test_users() -> None:
    """The tenant's own people, but for customers with a login and machines."""
    record = {
        "Id": "0054W00000BZkk0QAD",
        "FirstName": "Ada",
        "LastName": "King",
        "Email": "ada@acme.example",
        "IsActive": True,
        "UserType": "Standard",
    }
    user = person_of("salesforce", "User", record)
    assert (user.key, user.side, user.company, user.attributes) == ("id:user:0054W00000BZkk0QAD", "internal", None, {"active": True})
    portal = person_of(
        "salesforce", "User", {**record, "Email": "ann@beta.example", "UserType": "PowerCustomerSuccess", "ContactId": CONTACT_ID}
    )
    assert (portal.side, portal.attributes["portal_contact"]) == ("external", f"contact:{CONTACT_ID}")
    assert "a machine's login" in reason_of(outcome_of("salesforce", "User", {**record, "UserType": "AutomatedProcess"}))


@pytest.mark.parametrize(("closed", "occurred_at"), [(True, "2026-06-30T07:00:00Z"), (False, "2026-03-01T10:00:00Z")])
def test_opportunities_stand_where_they_were_decided(closed: bool, occurred_at: str) -> None:
    """On the close day, which is a day in the tenant's zone, once closed; else where they began."""
    record = {
        "Id": DEAL_ID, **MADE, "AccountId": ACCOUNT_ID, "ContactId": None, "Name": "Beta renewal", "StageName": "Closed Won",
        "Amount": 12000.0,
        "Probability": 100, "CloseDate": "2026-06-30", "IsClosed": closed, "IsWon": closed, "Description": "Renews yearly.",
    }  # fmt: skip
    deal = interaction_of("salesforce", "Opportunity", record, context(time_zone="America/Los_Angeles"))
    assert (deal.interaction_type, deal.external_id, deal.occurred_at) == ("deal", f"opportunity:{DEAL_ID}", at(occurred_at))
    assert appearances(deal) == [("about", f"id:account:{ACCOUNT_ID}"), OWNER]
    assert deal.metadata == {
        "amount": 12000.0, "stage": "Closed Won", "probability": 100, "is_won": closed, "created_at": "2026-03-01T10:00:00+00:00",
        "close_date": "2026-06-30",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("who", "what", "account", "found"),
    [
        (CONTACT_ID, ACCOUNT_ID, ACCOUNT_ID, [("about", f"id:contact:{CONTACT_ID}"), ("about", f"id:account:{ACCOUNT_ID}")]),
        (LEAD_ID, None, None, [("about", f"id:lead:{LEAD_ID}")]),
        (None, DEAL_ID, ACCOUNT_ID, [("about", f"id:account:{ACCOUNT_ID}")]),
        ("00x9N0000000none", "a0B9N0000000cust", None, []),
    ],
)
def test_polymorphic_references_are_told_by_their_prefix(
    who: str | None, what: str | None, account: str | None, found: list[tuple[str, str]]
) -> None:
    """003 is a contact, 00Q a lead, 001 an account; other objects are nobody, and a deal is kept as a reference."""
    task = interaction_of(
        "salesforce", "Task", {"Id": "00T1", **MADE, "WhoId": who, "WhatId": what, "AccountId": account, "Subject": "Mail"}
    )
    assert appearances(task) == [OWNER, *found]
    related = {ACCOUNT_ID: f"account:{ACCOUNT_ID}", DEAL_ID: f"opportunity:{DEAL_ID}"}.get(what or "")
    assert task.metadata.get("related_to") == related


@pytest.mark.parametrize(
    ("fields", "kind", "occurred_at"),
    [
        (
            {"TaskSubtype": "Call", "CompletedDateTime": "2026-03-04T10:00:00.000Z", "ActivityDate": "2026-03-03"},
            "call",
            "2026-03-04T10:00:00Z",
        ),
        ({"TaskSubtype": "Email", "ActivityDate": "2026-03-03", "IsClosed": True}, "email", "2026-03-03T00:00:00Z"),
        ({"TaskSubtype": "ListEmail"}, "email", "2026-03-01T10:00:00Z"),
        ({"TaskSubtype": "Task", "Type": "Call"}, "call", "2026-03-01T10:00:00Z"),
        ({"TaskSubtype": "LinkedIn", "Type": "Other", "ActivityDate": "2026-12-24", "IsClosed": False}, "task", "2026-03-01T10:00:00Z"),
    ],
)
def test_tasks_are_calls_emails_or_tasks(fields: dict[str, object], kind: str, occurred_at: str) -> None:
    """When it was done, else the day of a closed one, else when it was made: the day of an open one is a plan."""
    task = interaction_of("salesforce", "Task", {"Id": "00T1", **MADE, **fields})
    assert (task.interaction_type, task.occurred_at) == (kind, at(occurred_at))


def test_logged_calls() -> None:
    """With direction and length; the contact attends, the owner hosts."""
    record = {
        "Id": "00T1", **MADE, "TaskSubtype": "Call", "CallType": "Inbound", "CallDurationInSeconds": 90,
        "CompletedDateTime": "2026-03-04T10:00:00.000Z",
        "WhoId": CONTACT_ID, "Subject": "Call", "Description": "Asked for a quote.", "Status": "Completed", "Priority": "Normal",
    }  # fmt: skip
    assert interaction_of("salesforce", "Task", record) == StagedInteraction(
        interaction_type="call",
        external_id="task:00T1",
        occurred_at=at("2026-03-04T10:00:00Z"),
        ended_at=at("2026-03-04T10:01:30Z"),
        subject="Call",
        text="Asked for a quote.",
        direction="inbound",
        participants=(
            StagedParticipant(role="host", person=StagedPerson(key="id:user:0054W00000BZkk0QAD", side="internal")),
            StagedParticipant(role="attendee", person=StagedPerson(key=f"id:contact:{CONTACT_ID}")),
        ),
        metadata={"status": "Completed", "priority": "Normal"},
    )
    without_time = {key: value for key, value in record.items() if key not in ("CreatedDate", "CompletedDateTime")}
    assert breach_of(outcome_of("salesforce", "Task", without_time)) == ("field.missing", "interaction.occurred_at")


def test_events() -> None:
    """From start to end, or by the minutes; an event of all day is the day in the tenant's zone, not midnight UTC."""
    timed = {"Id": "00U1", **MADE, "Subject": "Demo", "WhoId": LEAD_ID, "StartDateTime": "2026-03-04T10:00:00.000Z", "IsAllDayEvent": False}
    los_angeles = context(time_zone="America/Los_Angeles")
    event = interaction_of("salesforce", "Event", {**timed, "EndDateTime": "2026-03-04T10:45:00.000Z", "DurationInMinutes": 45})
    assert (event.interaction_type, event.external_id, event.ended_at) == ("meeting", "event:00U1", at("2026-03-04T10:45:00Z"))
    assert appearances(event) == [HOST, ("attendee", f"id:lead:{LEAD_ID}")]
    assert interaction_of("salesforce", "Event", {**timed, "DurationInMinutes": 30}).ended_at == at("2026-03-04T10:30:00Z")
    day = {**timed, "IsAllDayEvent": True, "ActivityDate": "2026-03-04", "StartDateTime": "2026-03-04T00:00:00.000Z"}
    whole = interaction_of("salesforce", "Event", {**day, "EndDateTime": "2026-03-05T00:00:00.000Z"}, los_angeles)
    assert (whole.occurred_at, whole.ended_at) == (at("2026-03-04T08:00:00Z"), at("2026-03-05T08:00:00Z"))
    broken = outcome_of("salesforce", "Event", {**day, "EndDateTime": "2025-01-01T08:00:00.000Z"}, los_angeles)
    assert breach_of(broken) == ("timestamp.end_before_start", "interaction.ended_at")
    assert reason_of(outcome_of("salesforce", "Event", {**timed, "IsChild": True})) == "an invitee's copy of an event"


def test_cases() -> None:
    """Who wrote is the contact, or whoever the web form says; a queue owns nothing."""
    record = {
        "Id": "5001", **MADE, "CaseNumber": "00001027", "ContactId": CONTACT_ID, "AccountId": ACCOUNT_ID, "Subject": "Broken",
        "Description": "It is.",
        "Status": "Closed", "Origin": "Web", "ClosedDate": "2026-03-02T10:00:00.000Z", "IsEscalated": False,
    }  # fmt: skip
    case = interaction_of("salesforce", "Case", record)
    assert (case.interaction_type, case.external_id, case.text) == ("case", "case:5001", "It is.")
    assert (case.occurred_at, case.ended_at) == (at("2026-03-01T10:00:00Z"), at("2026-03-02T10:00:00Z"))
    assert appearances(case) == [("author", f"id:contact:{CONTACT_ID}"), ("about", f"id:account:{ACCOUNT_ID}"), OWNER]
    assert case.metadata == {"number": "00001027", "status": "Closed", "origin": "Web", "escalated": False}
    web = {
        **record,
        "ContactId": None,
        "AccountId": None,
        "OwnerId": "00G4W000001queue",
        "SuppliedName": "Ann Lee",
        "SuppliedEmail": "ann@gmail.com",
        "SuppliedCompany": "Beta GmbH",
    }
    (author,) = interaction_of("salesforce", "Case", web).participants
    assert author.person == StagedPerson(
        key="email:ann@gmail.com",
        full_name="Ann Lee",
        first_name="Ann",
        last_name="Lee",
        email="ann@gmail.com",
        email_normalized="ann@gmail.com",
        company=StagedCompany(key="name:beta", name="Beta GmbH"),
        side="external",
    )
    assert breach_of(outcome_of("salesforce", "Case", {**record, "CreatedDate": "2026-13-45T99:00:00.000Z"})) == (
        "timestamp.invalid", "interaction.occurred_at",
    )  # fmt: skip
