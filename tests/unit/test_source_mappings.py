"""What the shipped mappings make of records as the connectors emit them: Gong and Slack, and that no declared stream goes untried."""

import re
from pathlib import Path
from uuid import UUID

import pytest
from msgspec import Raw

from pay_ready.db.landing import LandingRow
from pay_ready.demo import EXPORTS
from pay_ready.model.ids import SourceId
from pay_ready.model.staged import StagedCompany, StagedInteraction, StagedParticipant, StagedPerson, StagedTurn
from pay_ready.pipeline.land.rows import StreamPlan, row_maker
from pay_ready.pipeline.mapping.language import load_mappings
from pay_ready.resources import resource_path
from pay_ready.sources.protocol import Record
from tests.mapping_support import appearances, at, breach_of, company_of, interaction_of, outcome_of, person_of, reason_of

GONG_CALL = {
    "id": "7782342274025937895",
    "url": "https://app.gong.example/call?id=7782342274025937895",
    "title": "Acme <> Beta: renewal",
    "scheduled": "2026-03-04T09:00:00-08:00",
    "started": "2026-03-04T09:02:00-08:00",
    "duration": 1800,
    "primaryUserId": "234599484848423",
    "direction": "Conference",
    "system": "Zoom",
    "scope": "External",
    "media": "Video",
    "language": "eng",
    "workspaceId": "623457276584334",
    "isPrivate": False,
}


def test_every_declared_stream_is_tried() -> None:
    """Each stream of each shipped mapping is staged by name in one of these files."""
    tried = "".join(path.read_text(encoding="utf-8") for path in Path(__file__).parent.glob("test_source_mappings*.py"))
    declared = {(kind, stream) for kind, mapping in load_mappings(resource_path("config", "sources")).items() for stream in mapping.streams}
    shipped = {pair for pair in declared if pair[0] in ("gong", "slack", "hubspot", "salesforce", "zendesk")}
    assert len(shipped) == 35
    assert {pair for pair in shipped if not re.search(r'"{}",\s+"{}"'.format(*pair), tried)} == set()


def test_every_declared_stream_names_its_key() -> None:
    """Keys of export files are the mapping's and never a guess from a sample; a cursor is the field of the last change, if any."""
    streams = {
        f"{kind}.{name}": stream
        for kind, mapping in load_mappings(resource_path("config", "sources")).items()
        for name, stream in mapping.streams.items()
    }
    assert [name for name, stream in streams.items() if not stream.primary_key] == []
    # A call's start and a comment's or a membership's making say nothing about a later change.
    assert {name for name, stream in streams.items() if not stream.cursor} == {
        "gong.users", "gong.calls", "gong.extensiveCalls", "gong.callTranscripts", "gong.scorecards", "gong.answeredScorecards",
        "slack.channel_members", "zendesk.ticket_comments",
    }  # fmt: skip


@pytest.mark.parametrize("export", sorted(EXPORTS.glob("*/*/*.jsonl")), ids=lambda path: "/".join(path.parts[-3:]))
def test_keys_and_cursors_are_in_the_demo_exports(export: Path) -> None:
    """Rows have the key that their mapping names, and the cursor as a time or number; but for those that the demo spoils on purpose."""
    stream = load_mappings(resource_path("config", "sources"))[export.parent.name].stream(export.stem)
    assert stream is not None
    make = row_maker(SourceId(UUID(int=1)), StreamPlan(stream=export.stem, primary_key=stream.primary_key, cursor=stream.cursor))
    lines = export.read_bytes().splitlines()
    landed = [row for line in lines if isinstance(row := make(Record(stream=export.stem, data=Raw(line), emitted_at=0)), LandingRow)]
    assert len(landed) > 0.9 * len(lines)
    assert not stream.cursor or sum(row.cursor_order[:1] in (b"t", b"n") for row in landed) > 0.9 * len(lines)


def test_gong_users_are_the_tenants_own() -> None:
    """Internal, with their aliases and manager."""
    record = {
        "id": "234599484848423", "emailAddress": "Ada.King@acme.example", "emailAliases": ["ada@acme.example"], "firstName": "Ada",
        "lastName": "King", "title": "AE", "phoneNumber": "+1 212-555-0147", "extension": None, "active": True,
        "created": "2024-01-02T10:00:00Z", "managerId": "623457276584334", "settings": {"emailsImported": True},
    }  # fmt: skip
    assert person_of("gong", "users", record) == StagedPerson(
        key="id:user:234599484848423",
        full_name="Ada King",
        first_name="Ada",
        last_name="King",
        email="Ada.King@acme.example",
        email_normalized="ada.king@acme.example",
        phone="+12125550147",
        title="AE",
        side="internal",
        updated_at=at("2024-01-02T10:00:00Z"),
        attributes={"active": True, "email_aliases": "ada@acme.example", "manager": "user:623457276584334"},
    )


def test_gong_calls_end_after_their_duration() -> None:
    """Seconds after the start, in UTC; the primary user hosts."""
    assert interaction_of("gong", "calls", GONG_CALL) == StagedInteraction(
        interaction_type="call",
        external_id="call:7782342274025937895",
        precedence=1,
        occurred_at=at("2026-03-04T17:02:00Z"),
        ended_at=at("2026-03-04T17:32:00Z"),
        subject="Acme <> Beta: renewal",
        url="https://app.gong.example/call?id=7782342274025937895",
        participants=(StagedParticipant(role="host", person=StagedPerson(key="id:user:234599484848423", side="internal")),),
        metadata={"system": "Zoom", "scope": "External", "media": "Video", "language": "eng", "workspace": "623457276584334"},
    )


@pytest.mark.parametrize(
    ("scope", "direction", "told"),
    [
        ("Internal", "Outbound", "internal"),
        ("External", "Inbound", "inbound"),
        ("Unknown", "Outbound", "outbound"),
        (None, "Unknown", None),
    ],
)
def test_gong_directions(scope: str | None, direction: str, told: str | None) -> None:
    """A call among colleagues is internal, whoever dialled."""
    assert interaction_of("gong", "calls", {**GONG_CALL, "scope": scope, "direction": direction}).direction == told


def test_gong_private_and_broken_calls() -> None:
    """A private call is nobody's business; one that ends before it starts breaks its contract."""
    assert reason_of(outcome_of("gong", "calls", {**GONG_CALL, "isPrivate": True})) == "a private call"
    assert breach_of(outcome_of("gong", "calls", {**GONG_CALL, "duration": -600})) == ("timestamp.end_before_start", "interaction.ended_at")


def test_gong_parties_are_told_by_id_email_or_voice() -> None:
    """The connector's copied number is not the id; the primary user hosts; the account in the context is what the call is about."""
    record = {
        "id": 7782342274025937895.0,
        "metaData": GONG_CALL,
        "content": {"brief": "Beta wants to renew.", "callOutcome": {"name": "Won"}},
        "interaction": {"questions": {"companyCount": 3, "nonCompanyCount": 5}, "interactionStats": [{"name": "Talk Ratio",
        "value": 0.42}]},
        "parties": [
            {"id": "p1", "userId": "234599484848423", "speakerId": "s1", "emailAddress": "ada.king@acme.example", "name": "Ada King",
            "affiliation": "Internal"},
            {"id": "p2", "userId": None, "speakerId": "s2", "emailAddress": "bob@beta.example", "name": "Bob Ray", "title": "CTO",
            "affiliation": "External"},
            {"id": "p3", "speakerId": "s3", "name": None, "emailAddress": None, "phoneNumber": None, "affiliation": "Unknown"},
            {"id": "p4", "speakerId": None, "name": None, "emailAddress": None},
        ],
        "context": [
            {"system": "Salesforce", "objects": [
                {"objectType": "Account", "objectId": "001x", "fields": [{"name": "Name", "value": "Beta GmbH"}, {"name": "Website",
                "value": "www.beta.example"}]},
                {"objectType": "Opportunity", "objectId": "006x", "fields": []},
            ]},
        ],
    }  # fmt: skip
    call = interaction_of("gong", "extensiveCalls", record)
    assert (call.external_id, call.precedence, call.text) == ("call:7782342274025937895", 2, "Beta wants to renew.")
    assert (call.occurred_at, call.ended_at) == (at("2026-03-04T17:02:00Z"), at("2026-03-04T17:32:00Z"))
    assert appearances(call) == [
        ("host", "id:user:234599484848423"),
        ("attendee", "email:bob@beta.example"),
        ("attendee", "speaker:call:7782342274025937895:s3"),
        ("about", "domain:beta.example"),
    ]
    assert [participant.speaker_key for participant in call.participants] == ["s1", "s2", "s3", None]
    assert call.participants[1].person == StagedPerson(
        key="email:bob@beta.example",
        full_name="Bob Ray",
        first_name="Bob",
        last_name="Ray",
        email="bob@beta.example",
        email_normalized="bob@beta.example",
        title="CTO",
        company=StagedCompany(key="domain:beta.example", domain="beta.example"),
        side="external",
    )
    assert call.participants[3].company == StagedCompany(key="domain:beta.example", name="Beta GmbH", domain="beta.example")
    assert call.metadata == {
        "system": "Zoom", "scope": "External", "media": "Video", "language": "eng", "workspace": "623457276584334", "outcome": "Won",
        "questions_asked_by_company": 3, "questions_asked_by_others": 5, "talk_ratio": 0.42, "unidentified_participants": 1,
    }  # fmt: skip


@pytest.mark.parametrize("stream", ["callTranscripts", "transcripts", "call_transcripts"])
def test_gong_transcripts_become_turns(stream: str) -> None:
    """Milliseconds become seconds; the sentences of one monologue one turn; the part shares the call's id and claims nothing else."""
    record = {
        "callId": "7782342274025937895",
        "started": "2026-03-04T09:02:00-08:00",
        "transcript": [
            {"speakerId": "s1", "topic": "Intro", "sentences": [{"start": 0, "end": 1500, "text": "Hi Bob."}, {"start": 1600, "end": 2250,
            "text": "All well?"}]},
            {"speakerId": "s2", "topic": None, "sentences": [{"start": 2300, "end": 4000, "text": "Very."}]},
            {"speakerId": "s2", "topic": None, "sentences": []},
        ],
    }  # fmt: skip
    assert interaction_of("gong", stream, record) == StagedInteraction(
        interaction_type="call",
        external_id="call:7782342274025937895",
        occurred_at=at("2026-03-04T17:02:00Z"),
        turns=(
            StagedTurn(speaker_key="s1", text="Hi Bob. All well?", start_s=0.0, end_s=2.25),
            StagedTurn(speaker_key="s2", text="Very.", start_s=2.3, end_s=4.0),
        ),
    )
    assert interaction_of("gong", "callTranscripts", {"callId": "1", "transcript": []}).occurred_at is None


def test_ignored_streams_say_why() -> None:
    """They are counted as unmapped, not forgotten."""
    assert "judge calls" in reason_of(outcome_of("gong", "scorecards", {"scorecardId": "1"}))
    assert "judge calls" in reason_of(outcome_of("gong", "answeredScorecards", {"answeredScorecardId": "1"}))
    assert "named by their messages" in reason_of(outcome_of("slack", "channels", {"id": "C1", "name": "general"}))
    assert "no interaction" in reason_of(outcome_of("slack", "channel_members", {"member_id": "U1", "channel_id": "C1"}))


SLACK_USER = {
    "id": "U02AB", "team_id": "T1", "name": "bob.ray", "deleted": False, "real_name": "Bob Ray", "tz": "Europe/Berlin", "is_bot": False,
    "is_restricted": True, "is_ultra_restricted": False, "updated": 1674485468,
    "profile": {"title": "CTO", "phone": "+49 30 23125 123", "real_name": "Bob Ray", "display_name": "bob", "first_name": "Bob",
                "last_name": "Ray", "email": "bob+slack@beta.example"},
}  # fmt: skip


def test_slack_guests_are_outside() -> None:
    """A guest is external; `updated` counts seconds."""
    assert person_of("slack", "users", SLACK_USER) == StagedPerson(
        key="id:user:U02AB",
        full_name="Bob Ray",
        first_name="Bob",
        last_name="Ray",
        email="bob+slack@beta.example",
        email_normalized="bob@beta.example",
        phone="+493023125123",
        title="CTO",
        company=StagedCompany(key="domain:beta.example", domain="beta.example"),
        side="external",
        updated_at=at("2023-01-23T14:51:08Z"),
        attributes={"handle": "bob.ray", "deleted": False, "time_zone": "Europe/Berlin", "team": "T1"},
    )


def test_slack_members_are_inside_unless_their_email_says_otherwise() -> None:
    """A member of a connected workspace has another company's address."""
    member = {**SLACK_USER, "is_restricted": False, "profile": {"email": "ada@acme.example", "real_name": "Ada King"}}
    stranger = {**SLACK_USER, "is_restricted": False}
    assert person_of("slack", "users", member).side == "internal"
    assert person_of("slack", "users", {**member, "profile": {}}).side == "internal"
    assert person_of("slack", "users", stranger).side == "external"


def test_slack_bots_and_forgotten_users() -> None:
    """Bots are no people, Slackbot neither though it denies it; a forgotten user keeps only the id."""
    assert reason_of(outcome_of("slack", "users", {**SLACK_USER, "is_bot": True})) == "a bot, not a person"
    assert reason_of(outcome_of("slack", "users", {"id": "USLACKBOT", "is_bot": False})) == "a bot, not a person"
    forgotten = {
        "id": "U9",
        "deleted": True,
        "is_forgotten": True,
        "name": "deactivateduser1",
        "profile": {"real_name": "Deactivated User"},
    }
    found = person_of("slack", "users", forgotten)
    assert (found.key, found.full_name, found.attributes["deleted"]) == ("id:user:U9", None, True)


SLACK_REPLY = {
    "type": "message", "user": "U02AB", "ts": "1772618400.853059", "float_ts": 1772618400.853059, "channel_id": "C04KX", "team": "T1",
    "thread_ts": "1772618000.000100", "parent_user_id": "U04XY",
    "text": "<@U07ZZ|ada> see <#C1|general> and <https://beta.example/x|our page>,"
            " R&amp;D &lt;3 <mailto:bob@beta.example|bob@beta.example> <@U07ZZ>",
}  # fmt: skip


@pytest.mark.parametrize("stream", ["channel_messages", "threads"])
def test_slack_messages_are_one_interaction_in_both_streams(stream: str) -> None:
    """Keyed by channel and time stamp, exact to the microsecond; a reply belongs to its thread, and answers the parent's author."""
    assert interaction_of("slack", stream, SLACK_REPLY) == StagedInteraction(
        interaction_type="message",
        external_id="message:C04KX:1772618400.853059",
        precedence=1,
        occurred_at=at("2026-03-04T10:00:00.853059Z"),
        text="@U07ZZ see #general and our page, R&D <3 bob@beta.example @U07ZZ",
        thread_id="C04KX:1772618000.000100",
        participants=(
            StagedParticipant(role="author", person=StagedPerson(key="id:user:U02AB")),
            StagedParticipant(role="recipient", person=StagedPerson(key="id:user:U04XY")),
            StagedParticipant(role="mentioned", person=StagedPerson(key="id:user:U07ZZ")),
        ),
        metadata={"channel": "C04KX"},
    )


def test_slack_parents_share_the_thread_of_their_replies() -> None:
    """A message without a thread belongs to its channel."""
    parent = {
        "user": "U04XY",
        "ts": "1772618000.000100",
        "thread_ts": "1772618000.000100",
        "channel_id": "C04KX",
        "text": "Hi",
        "reply_count": 1,
    }
    assert interaction_of("slack", "threads", parent).thread_id == "C04KX:1772618000.000100"
    lone = interaction_of("slack", "channel_messages", {"user": "U04XY", "ts": "1772618000.000100", "channel_id": "C04KX", "text": "Hi"})
    assert lone.thread_id == "C04KX"


def test_slack_notices_and_bots_are_nobodys_words() -> None:
    """Skipped with a reason; a time stamp that is none breaks the contract."""
    notice = {**SLACK_REPLY, "subtype": "channel_join"}
    assert reason_of(outcome_of("slack", "channel_messages", notice)) == "a notice or a bot, nobody's words"
    assert reason_of(outcome_of("slack", "threads", {**SLACK_REPLY, "bot_id": "B1"})) == "a notice or a bot, nobody's words"
    assert interaction_of("slack", "threads", {**SLACK_REPLY, "subtype": "thread_broadcast"}).text
    broken = outcome_of("slack", "channel_messages", {**SLACK_REPLY, "ts": "yesterday"})
    assert breach_of(broken) == ("timestamp.invalid", "interaction.occurred_at")


def test_a_company_can_be_listed() -> None:
    """The helper of the other files, once for each kind of listing."""
    assert company_of("zendesk", "organizations", {"id": 1, "name": "Beta"}).key == "id:organization:1"
