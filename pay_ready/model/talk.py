"""What was said or written, as the agent reads it: one value for a turn of a call, a message, a mail or a note."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

MOST_NAMES = 12  # of those who took part in one interaction
Side = Literal["internal", "external", "unknown"]  # of the tenant's own people, of the others


@dataclass(frozen=True, slots=True, kw_only=True)
class Utterance:
    """Something that one speaker or writer said, with where it stands."""

    interaction_id: UUID
    turn_no: int = 0  # its place in a call; 0 for what is one text
    occurred_at: datetime  # of the interaction
    source: str
    interaction_type: str  # call, meeting, email, message, note, task, case, deal
    speaker: str = ""  # as shown; empty where unknown
    speaker_id: UUID | None = None  # the person, where resolved
    side: Side = "unknown"
    text: str
    start_s: float | None = None  # seconds from the start of the interaction
    end_s: float | None = None
    language: str = "en"  # ISO 639-1


@dataclass(frozen=True, slots=True, kw_only=True)
class Talk:
    """One interaction with what was said in it, in order."""

    interaction_id: UUID
    occurred_at: datetime
    source: str
    interaction_type: str
    subject: str
    thread_id: str | None
    utterances: tuple[Utterance, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One interaction, as a timeline reads it."""

    interaction_id: UUID
    occurred_at: datetime
    source: str
    interaction_type: str
    subject: str = ""
    text: str = ""  # its first text
    participants: tuple[str, ...] = ()  # the first MOST_NAMES where there are many
    more_participants: int = 0  # those that are not named
    sentiment: float | None = None  # in [-1, 1]; None where nobody scored it
    thread_id: str | None = None
    url: str | None = None  # where its source shows it


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """Which interactions an analysis is about: all that pass every condition; empty conditions let everything pass."""

    entity_ids: tuple[UUID, ...] = ()  # people and companies, with those that they absorbed; any of them
    with_ids: tuple[UUID, ...] = ()  # of whom one must have taken part, too
    since: datetime | None = None
    until: datetime | None = None  # excluded
    sources: tuple[str, ...] = ()
    interaction_types: tuple[str, ...] = ()
    languages: tuple[str, ...] = ()  # ISO 639-1, of the beginning of an interaction
