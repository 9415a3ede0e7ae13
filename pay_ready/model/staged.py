"""What staging makes of one landed record: typed people, companies and interactions, each linked back to its row.

Keys name a record inside its source: a record listed by the source under its id ("id:…"), or one that is only
mentioned: by e-mail ("email:…"), phone ("phone:…"), company domain ("domain:…") or name ("name:…"), or as one speaker
of one interaction ("speaker:<interaction>:<speaker>").
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

Side = Literal["internal", "external", "unknown"]
InteractionType = Literal["call", "meeting", "email", "message", "note", "task", "case", "deal"]
ParticipantRole = Literal["host", "attendee", "sender", "recipient", "copied", "author", "mentioned", "owner", "about"]


@dataclass(frozen=True, slots=True, kw_only=True)
class StagedCompany:
    """One source row about a company."""

    key: str  # "id:…", "domain:…" or "name:…"
    name: str | None = None
    domain: str | None = None  # registrable host, lower case, never a free-mail domain
    phone: str | None = None  # E.164
    city: str | None = None
    country: str | None = None
    industry: str | None = None
    updated_at: datetime | None = None  # the source's time, aware
    attributes: Mapping[str, str | int | float | bool] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class StagedPerson:
    """One source row about a person."""

    key: str  # "id:…", "email:…", "phone:…" or "speaker:…"
    full_name: str | None = None
    first_name: str | None = None
    last_name: str | None = None
    email: str | None = None  # as written, trimmed
    email_normalized: str | None = None  # lower case, canonical domain, no plus tag
    phone: str | None = None  # E.164
    title: str | None = None
    city: str | None = None
    country: str | None = None
    company: StagedCompany | None = None  # the company it names: by the source's id, else domain, else name
    side: Side = "unknown"  # internal: one of the tenant's own people
    updated_at: datetime | None = None
    attributes: Mapping[str, str | int | float | bool] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class StagedParticipant:
    """One appearance of a person, or of a company that an interaction is about."""

    role: ParticipantRole
    person: StagedPerson | None = None  # exactly one of person and company
    company: StagedCompany | None = None
    speaker_key: str | None = None  # joins turns to the participant


@dataclass(frozen=True, slots=True, kw_only=True)
class StagedTurn:
    """One uninterrupted stretch of speech."""

    speaker_key: str
    text: str
    start_s: float | None = None  # seconds from the interaction's start
    end_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StagedInteraction:
    """One source row about an interaction; several rows (call, extensive call, transcript) may share `external_id`."""

    interaction_type: InteractionType
    external_id: str
    precedence: int = 0  # the row with the highest one speaks for the interaction
    occurred_at: datetime | None = None  # None only for a part that carries turns alone
    ended_at: datetime | None = None
    subject: str | None = None
    text: str | None = None  # plain text, HTML stripped
    direction: Literal["inbound", "outbound", "internal"] | None = None
    thread_id: str | None = None  # the source's id of the thread, channel or e-mail conversation
    url: str | None = None
    participants: tuple[StagedParticipant, ...] = ()
    turns: tuple[StagedTurn, ...] = ()
    metadata: Mapping[str, str | int | float | bool] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class StagedRows:
    """Everything that one landed record says."""

    people: tuple[StagedPerson, ...] = ()
    companies: tuple[StagedCompany, ...] = ()
    interactions: tuple[StagedInteraction, ...] = ()
