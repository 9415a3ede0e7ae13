"""What was said or written, as the agent reads it: one value for a turn of a call, a message, a mail or a note."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

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
