"""Utterances put on the time line of a call: what has no end is given one, what has no start is left out and counted."""

import math
from dataclasses import dataclass
from itertools import pairwise

from pay_ready.agent.coaching.conversations import Conversation, finite
from pay_ready.agent.coaching.floor import Span
from pay_ready.agent.sentences import words_of
from pay_ready.model.talk import Utterance

WORDS_PER_S = 2.5  # 150 words a minute: how long an utterance without an end is taken to last
MOST_UNPLACED = 0.2  # of the words: where more have no time, a call is measured in words


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """The spans of a call, by start; None of them where too many of its words have no time."""

    spans: tuple[Span, ...]
    guessed_ends: int  # utterances whose end is missing, or before their start
    without_start: int  # utterances, left out of the spans

    @property
    def is_timed(self) -> bool:
        """Whether times can be measured at all."""
        return bool(self.spans)


def place(conversation: Conversation) -> Placed:
    """Times of a conversation's utterances, each to the party of its side."""
    said = [each.utterance for each in conversation.said]
    starts = [(start, index) for index, each in enumerate(said) if (start := finite(each.start_s)) is not None]
    without = len(said) - len(starts)
    if not conversation.is_spoken or not starts or (without and _lacks_times(conversation, {index for _, index in starts})):
        return Placed(spans=(), guessed_ends=0, without_start=without)
    until = dict(pairwise(sorted({start for start, _ in starts})))
    spans, guessed = [], 0
    for start_s, index in starts:
        each, end_s = said[index], finite(said[index].end_s)
        if end_s is None or end_s < start_s:
            end_s = min(start_s + len(words_of(each.text)) / WORDS_PER_S, until.get(start_s, math.inf))
            guessed += 1
        spans.append(Span(start_s=start_s, end_s=end_s, party=each.side, speaker=speaker_of(each), index=index))
    return Placed(spans=tuple(sorted(spans)), guessed_ends=guessed, without_start=without)


def word_counts(conversation: Conversation) -> list[int]:
    """Words of each utterance."""
    return [len(words_of(each.utterance.text)) for each in conversation.said]


def _lacks_times(conversation: Conversation, placed: set[int]) -> bool:
    words = word_counts(conversation)
    return sum(count for index, count in enumerate(words) if index not in placed) > MOST_UNPLACED * sum(words)


def speaker_of(utterance: Utterance) -> str:
    """Who spoke: the person where resolved, else the name, else whoever of that side."""
    return str(utterance.speaker_id or utterance.speaker or utterance.side)
