"""Invented conversations for the tests of coaching and timelines: a test names only what it is about."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid5

import numpy as np

from pay_ready.agent.coaching.conversations import Conversation, Rep, Said, conversations_of
from pay_ready.model.talk import Side, Utterance

SPACE = UUID(int=7)
BOB, ANN, CARL = (uuid5(SPACE, name) for name in ("bob", "ann", "carl"))  # Bob and Carl are ours, Ann is a customer
REP = Rep(ids=frozenset({BOB}), name="Bob")
DAY = datetime(2026, 3, 2, 10, tzinfo=UTC)
_PEOPLE: dict[str, tuple[UUID | None, Side]] = {
    "Bob": (BOB, "internal"),
    "Carl": (CARL, "internal"),
    "Ann": (ANN, "external"),
    "Dan": (None, "external"),
    "Eve": (None, "internal"),  # ours, but nobody knows who
    "?": (None, "unknown"),
}


class Meaning:
    """An embedder that knows two meanings: what has to do with money, and the rest."""

    id, dim, max_tokens, is_lexical = "two-meanings", 2, 256, False

    def __init__(self) -> None:
        self.embedded: list[str] = []

    def embed(self, texts: Sequence[str]) -> Any:
        """Unit rows."""
        self.embedded += texts
        return np.array([(1.0, 0.0) if "money" in text or "pay" in text else (0.0, 1.0) for text in texts], np.float32).reshape(-1, 2)


def turn(
    speaker: str,
    start_s: float | None = None,
    end_s: float | None = None,
    text: str = "So it is.",
    *,
    turn_no: int = 0,
    sentiment: float | None = None,
    call: str = "call",
    occurred_at: datetime = DAY,
    interaction_type: str = "call",
    source: str = "gong",
) -> Said:
    """One turn of a call."""
    speaker_id, side = _PEOPLE[speaker]
    utterance = Utterance(
        interaction_id=uuid5(SPACE, call),
        turn_no=turn_no,
        occurred_at=occurred_at,
        source=source,
        interaction_type=interaction_type,
        speaker="" if speaker == "?" else speaker,
        speaker_id=speaker_id,
        side=side,
        text=text,
        start_s=start_s,
        end_s=end_s,
    )
    return Said(utterance=utterance, sentiment=sentiment)


def message(speaker: str, minutes: float, text: str = "So it is.", **given: object) -> Said:
    """One message of a thread, so many minutes after its beginning."""
    at = DAY + timedelta(minutes=minutes)
    return turn(speaker, text=text, call=f"message at {minutes}", occurred_at=at, interaction_type="message", source="slack", **given)  # type: ignore[arg-type]


def call_of(turns: Iterable[Said], subject: str = "Weekly call") -> Conversation:
    """The turns as one call."""
    turns = list(turns)
    (conversation,) = conversations_of(turns, subjects={each.utterance.interaction_id: subject for each in turns})
    return conversation


def thread_of(messages: Iterable[Said]) -> Conversation:
    """The messages as one thread."""
    messages = list(messages)
    (conversation,) = conversations_of(messages, threads={each.utterance.interaction_id: "thread-1" for each in messages})
    return conversation
