"""What a coach listens to: conversations, whose rep is coached, and the quotes that a finding rests on."""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, tzinfo
from uuid import UUID

from pay_ready.agent.safe_text import clip, plain
from pay_ready.agent.sentences import split_sentences
from pay_ready.model.talk import Side, Utterance

SPOKEN = ("call", "meeting")
QUOTE_CHARACTERS = 240


@dataclass(frozen=True, slots=True, kw_only=True)
class Rep:
    """Whose coaching it is: the person's current id with those it absorbed, and the name as shown."""

    ids: frozenset[UUID]
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """An utterance with its sentiment in [-1, 1], where somebody scored it."""

    utterance: Utterance
    sentiment: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversation:
    """A call or meeting, or the messages or mails of a thread; at least one utterance, in order. `conversations_of` makes them."""

    conversation_id: str  # of the interaction or thread
    subject: str
    said: tuple[Said, ...]
    sentences: tuple[tuple[str, ...], ...]  # of each utterance, cut once for all who read them

    @property
    def first(self) -> Utterance:
        """What opened it."""
        return self.said[0].utterance

    @property
    def occurred_at(self) -> datetime:
        """When it began."""
        return self.first.occurred_at

    @property
    def is_spoken(self) -> bool:
        """Whether it was a call or meeting; else it was written."""
        return self.first.interaction_type in SPOKEN


@dataclass(frozen=True, slots=True, kw_only=True)
class Quote:
    """Words that a finding rests on, and where to look them up; its texts are plain (see `safe_text`)."""

    interaction_id: UUID
    occurred_at: datetime
    source: str
    interaction_type: str
    turn_no: int
    speaker: str
    side: Side
    start_s: float | None
    end_s: float | None
    text: str  # one line, at most QUOTE_CHARACTERS

    @property
    def time_code(self) -> str:
        """Where in the call, "4:07" or "1:04:07"; empty where that is not known."""
        return "" if self.start_s is None else time_code(self.start_s)

    @property
    def citation(self) -> str:
        """Date, source, interaction id, and the place in it."""
        place = f", {self.time_code}" if self.time_code else f", turn {self.turn_no}" if self.interaction_type in SPOKEN else ""
        return f"[{self.occurred_at:%Y-%m-%d}, {self.source}, {self.interaction_id}{place}]"


def conversations_of(
    said: Iterable[Said], *, threads: Mapping[UUID, str] | None = None, subjects: Mapping[UUID, str] | None = None
) -> list[Conversation]:
    """Utterances by conversation, the earliest first: interactions of one thread are one, others stand alone.

    Args:
        said: In any order.
        threads: Thread of an interaction, by its id; a call's thread is left aside.
        subjects: Subject of an interaction, by its id; a conversation has that of its first interaction with one.
    """
    threads, subjects = threads or {}, subjects or {}
    grouped: defaultdict[str, list[Said]] = defaultdict(list)
    for each in said:
        utterance = each.utterance
        own = str(utterance.interaction_id)
        grouped[own if utterance.interaction_type in SPOKEN else threads.get(utterance.interaction_id, own)].append(each)
    made = [_conversation(key, sorted(members, key=_place), subjects) for key, members in grouped.items()]
    return sorted(made, key=lambda each: (each.occurred_at, each.conversation_id))


def seen_from(conversation: Conversation, rep: Rep | None) -> Conversation:
    """The same, what the rep said counting as the tenant's own side whatever the source made of it."""
    if rep is None:
        return conversation
    if all(each.utterance.side == "internal" for each in conversation.said if each.utterance.speaker_id in rep.ids):
        return conversation
    said = tuple(
        replace(each, utterance=replace(each.utterance, side="internal")) if each.utterance.speaker_id in rep.ids else each
        for each in conversation.said
    )
    return replace(conversation, said=said)


def quote_of(utterance: Utterance, zone: tzinfo, *, text: str | None = None, end_s: float | None = None) -> Quote:
    """The utterance, or a part of it, as a quote; `end_s` where it stands for a longer stretch. The time is in the zone."""
    return Quote(
        interaction_id=utterance.interaction_id,
        occurred_at=utterance.occurred_at.astimezone(zone),
        source=plain(utterance.source),
        interaction_type=utterance.interaction_type,
        turn_no=utterance.turn_no,
        speaker=plain(utterance.speaker),
        side=utterance.side,
        start_s=finite(utterance.start_s),
        end_s=finite(utterance.end_s if end_s is None else end_s),
        text=clip(utterance.text if text is None else text, QUOTE_CHARACTERS),
    )


def finite(value: float | None) -> float | None:
    """The value, or None where it is no time: a source may say NaN or infinity."""
    return value if value is not None and math.isfinite(value) else None


def time_code(seconds: float) -> str:
    """Minutes and seconds from the start, with hours where there are any."""
    minutes, rest = divmod(max(0, int(seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _conversation(key: str, said: list[Said], subjects: Mapping[UUID, str]) -> Conversation:
    named = (subjects.get(each.utterance.interaction_id, "") for each in said)
    sentences = tuple(tuple(split_sentences(each.utterance.text)) for each in said)
    return Conversation(conversation_id=key, subject=next(filter(None, named), ""), said=tuple(said), sentences=sentences)


def _place(said: Said) -> tuple[datetime, int, float, float, str, str]:
    """Where it stands in a conversation; the last parts only make the order the same, whatever came first."""
    utterance = said.utterance
    times = finite(utterance.start_s) or 0.0, finite(utterance.end_s) or 0.0
    return utterance.occurred_at, utterance.turn_no, *times, utterance.speaker, utterance.text
