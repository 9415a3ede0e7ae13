"""What the shipped mapping makes of Zendesk's records: the fifth source, written without a line of Python."""

from pay_ready.model.staged import StagedCompany, StagedInteraction, StagedParticipant, StagedPerson
from tests.mapping_support import appearances, at, company_of, interaction_of, outcome_of, person_of, reason_of

TICKET = {
    "id": 12, "subject": "Printer on fire", "description": "It burns.", "type": "incident", "priority": "urgent", "status": "open",
    "requester_id": 361089721035, "assignee_id": 360786799676, "organization_id": 360033549136, "email_cc_ids": [5], "follower_ids": [5, 6],
    "via": {"channel": "email", "source": {}}, "created_at": "2026-03-04T10:00:00Z", "satisfaction_rating": {"score": "unoffered"},
    "tags": ["fire", "hot"],
}  # fmt: skip


def test_users_are_agents_or_customers() -> None:
    """By their role; their organisation by its id."""
    record = {
        "id": 361089721035, "name": "Ann Lee", "email": "ann@beta.example", "phone": "+1 212 555 0147", "shared_phone_number": False,
        "role": "end-user",
        "organization_id": 360033549136, "updated_at": "2026-03-04T10:00:00Z", "iana_time_zone": "Europe/Berlin", "active": True,
        "suspended": False,
        "tags": [], "external_id": None,
    }  # fmt: skip
    assert person_of("zendesk", "users", record) == StagedPerson(
        key="id:user:361089721035",
        full_name="Ann Lee",
        first_name="Ann",
        last_name="Lee",
        email="ann@beta.example",
        email_normalized="ann@beta.example",
        phone="+12125550147",
        company=StagedCompany(key="id:organization:360033549136"),
        side="external",
        updated_at=at("2026-03-04T10:00:00Z"),
        attributes={"role": "end-user", "active": True, "suspended": False, "shared_phone_number": False, "time_zone": "Europe/Berlin"},
    )
    agent = person_of("zendesk", "users", {**record, "role": "agent"})
    assert (agent.side, agent.company) == ("internal", None)


def test_organizations() -> None:
    """The first domain is the one; all are kept."""
    record = {"id": 360033549136, "name": "Beta", "domain_names": ["beta.example", "beta-eu.example"], "updated_at": "2026-03-04T10:00:00Z"}
    assert company_of("zendesk", "organizations", record) == StagedCompany(
        key="id:organization:360033549136",
        name="Beta",
        domain="beta.example",
        updated_at=at("2026-03-04T10:00:00Z"),
        attributes={"domains": "beta.example, beta-eu.example"},
    )
    assert reason_of(outcome_of("zendesk", "organizations", {**record, "deleted_at": "2026-03-04T10:00:00Z"})) == "deleted in Zendesk"


def test_tickets_are_cases() -> None:
    """The requester wrote it; followers are copied once."""
    case = interaction_of("zendesk", "tickets", TICKET)
    assert (case.interaction_type, case.external_id, case.thread_id, case.text) == ("case", "ticket:12", "ticket:12", "It burns.")
    assert appearances(case) == [
        ("author", "id:user:361089721035"),
        ("owner", "id:user:360786799676"),
        ("copied", "id:user:5"),
        ("copied", "id:user:6"),
        ("about", "id:organization:360033549136"),
    ]
    assert case.metadata == {"status": "open", "priority": "urgent", "ticket_type": "incident", "channel": "email", "tags": "fire, hot"}
    assert reason_of(outcome_of("zendesk", "tickets", {**TICKET, "status": "deleted"})) == "deleted in Zendesk"


def test_comments_are_messages_in_their_ticket() -> None:
    """One that the requester cannot see is a note; HTML is read where no plain body came."""
    record = {
        "id": 409364341835, "ticket_id": 12, "author_id": 361089721035, "body": "**b**",
        "html_body": "<div class='zd-comment'>Put it <b>out</b>.</div>",
        "public": True, "created_at": "2026-03-04T10:05:00Z", "via": {"channel": "web"},
    }  # fmt: skip
    assert interaction_of("zendesk", "ticket_comments", record) == StagedInteraction(
        interaction_type="message",
        external_id="comment:409364341835",
        occurred_at=at("2026-03-04T10:05:00Z"),
        text="Put it out.",
        thread_id="ticket:12",
        participants=(StagedParticipant(role="author", person=StagedPerson(key="id:user:361089721035")),),
        metadata={"public": True, "channel": "web"},
    )
    assert interaction_of("zendesk", "ticket_comments", {**record, "public": False, "plain_body": "psst"}).interaction_type == "note"
    assert interaction_of("zendesk", "ticket_comments", {**record, "plain_body": "psst"}).text == "psst"


def test_ignored_streams_say_why() -> None:
    """Metrics and groups are counted as unmapped."""
    assert "not what was said" in reason_of(outcome_of("zendesk", "ticket_metrics", {"id": 1}))
    assert "no companies" in reason_of(outcome_of("zendesk", "groups", {"id": 1}))
