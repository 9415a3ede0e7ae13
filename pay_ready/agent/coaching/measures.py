"""What is measured of each conversation, by the formulas of `formulas`.

Where times are missing, a call is measured in words; what was written is measured by its reply delays.
"""

import statistics
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from pay_ready.agent.coaching.conversations import Conversation, Rep, seen_from
from pay_ready.agent.coaching.floor import Run, handovers_of, length_s, runs_of, shares, speech_seconds
from pay_ready.agent.coaching.formulas import LONG_MONOLOGUE_S
from pay_ready.agent.coaching.placing import MOST_UNPLACED, WORDS_PER_S, Placed, place, word_counts
from pay_ready.agent.coaching.questions import count_questions

Basis = Literal["times", "words", "replies"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CallMeasures:
    """The figures of one conversation, by measure; one that cannot be measured is absent."""

    basis: Basis
    length_s: float  # from the first word to the last; 0 where there are no times
    shares: Mapping[str, float]  # by side: of the speech, or of the words where there are no times; they add up to 1, or there are none
    figures: Mapping[str, float]
    evidence: Mapping[str, tuple[int, ...]]  # indexes of utterances that a figure rests on, the most telling first
    high_evidence: Mapping[str, tuple[int, ...]] = field(default_factory=dict)  # where others show that a figure is high
    until: Mapping[int, float] = field(default_factory=dict)  # where evidence stands for a longer stretch: its end, seconds
    notes: tuple[str, ...] = ()


def measure(conversation: Conversation, rep: Rep | None = None) -> CallMeasures:
    """Figures of one conversation; without a rep, of the whole of the tenant's side. The order of its utterances does not matter."""
    conversation = seen_from(conversation, rep)
    own, notes = _own(conversation, rep)
    sketch = _Sketch()
    sketch.notes.extend(notes)
    if others := sorted({each.utterance.language for each in conversation.said} - {"en"}):
        sketch.notes.append(f"partly in {', '.join(others)}: there a question is known by its mark alone, and trackers are English")
    placed = place(conversation)
    asked = {index: count_questions(conversation.sentences[index]) for index in own}
    sketch.put("questions", sum(asked.values()), (index for index in sorted(own) if asked[index]))
    if not conversation.is_spoken:
        _replies(sketch, conversation)
        basis: Basis = "replies"
    elif placed.is_timed:
        _times(sketch, placed, own)
        basis = "times"
    else:
        _words(sketch, conversation, own)
        basis = "words"
    _sentiment(sketch, conversation)
    length = length_s(placed.spans)
    return CallMeasures(
        basis=basis,
        length_s=length,
        shares=sketch.shares,
        figures=sketch.figures,
        evidence=sketch.evidence,
        high_evidence=sketch.high_evidence,
        until=sketch.until,
        notes=tuple(sketch.notes),
    )


class _Sketch:
    """The figures of a conversation while they are found."""

    def __init__(self) -> None:
        self.figures: dict[str, float] = {}
        self.evidence: dict[str, tuple[int, ...]] = {}
        self.high_evidence: dict[str, tuple[int, ...]] = {}
        self.until: dict[int, float] = {}
        self.shares: Mapping[str, float] = {}
        self.notes: list[str] = []

    def put(self, name: str, value: float, indexes: Iterable[int] = ()) -> None:
        self.figures[name] = float(value)
        self.evidence[name] = tuple(indexes)

    def put_run(self, name: str, run: Run) -> None:
        self.put(name, run.seconds, run.indexes[:1])
        self.until[run.indexes[0]] = run.end_s


def _own(conversation: Conversation, rep: Rep | None) -> tuple[frozenset[int], list[str]]:
    """Which utterances are the rep's."""
    side = frozenset(index for index, each in enumerate(conversation.said) if each.utterance.side == "internal")
    if rep is None:
        return side, []
    own = frozenset(index for index in side if conversation.said[index].utterance.speaker_id in rep.ids)
    if not own and any(conversation.said[index].utterance.speaker_id is None for index in side):
        return side, ["who of the rep's side spoke is not known: all of it counts as the rep's"]
    return own, []


def _times(sketch: _Sketch, placed: Placed, own: frozenset[int]) -> None:
    spans = placed.spans
    seconds = speech_seconds(spans)
    sketch.shares = shares(seconds)
    _say_sides(sketch, "speech")
    if placed.guessed_ends:
        sketch.notes.append(
            f"{placed.guessed_ends} turns have no end: taken to last {1 / WORDS_PER_S:g} s a word, at most to the next turn"
        )
    if placed.without_start:
        sketch.notes.append(f"{placed.without_start} turns have no time and are left out of what is measured in seconds")
    runs = sorted(runs_of(spans), key=lambda run: (-run.seconds, run.start_s))
    if (ratio := _ratio(sketch.shares)) is not None:
        sketch.put("talk_ratio", ratio, [run.indexes[0] for run in runs if run.party == "internal"][:3])
        own_spans = speech_seconds(span for span in spans if span.index in own)
        sketch.put("rep_share", sum(own_spans.values()) / sum(seconds.values()))
    rep_runs = [run for run in runs if own.issuperset(run.indexes)]
    if rep_runs:
        sketch.put_run("longest_monologue", rep_runs[0])
        long = [run for run in rep_runs if run.seconds > LONG_MONOLOGUE_S]
        sketch.put("long_monologues", len(long), (run.indexes[0] for run in long))
        sketch.until.update({run.indexes[0]: run.end_s for run in long})
    if customer := [run for run in runs if run.party == "external"]:
        sketch.put_run("customer_monologue", customer[0])
    _turn_taking(sketch, placed, own)


def _turn_taking(sketch: _Sketch, placed: Placed, own: frozenset[int]) -> None:
    length = length_s(placed.spans)
    handovers = handovers_of(placed.spans)
    if length > 0:
        quiet = sketch.evidence.get("longest_monologue", ())  # where nobody else came in, and nothing was asked
        if sketch.shares.keys() - {"unknown"}:
            sketch.put("interactivity", len(handovers) / (length / 60), quiet)
        sketch.put("question_rate", sketch.figures["questions"] / (length / 3600), quiet)
        sketch.high_evidence["question_rate"] = sketch.evidence["questions"]
    answered = [each for each in handovers if each.before.party == "external" and each.after.index in own]
    if answered:
        quickest = sorted(answered, key=lambda each: (each.gap_s, each.after.start_s))
        sketch.put("patience", statistics.median(each.gap_s for each in answered), (quickest[0].before.index, quickest[0].after.index))


def _words(sketch: _Sketch, conversation: Conversation, own: frozenset[int]) -> None:
    sketch.notes.append(f"no times (or for less than {1 - MOST_UNPLACED:.0%} of the words): shares are of words, and there are no seconds")
    words = word_counts(conversation)
    counts: Counter[str] = Counter()
    for each, number in zip(conversation.said, words, strict=True):
        counts[each.utterance.side] += number
    sketch.shares = shares(counts)
    _say_sides(sketch, "words")
    longest = sorted(own, key=lambda index: (-words[index], index))[:3]
    if (ratio := _ratio(sketch.shares)) is not None:
        sketch.put("word_share", ratio, longest)
    if longest:
        sketch.put("longest_turn", words[longest[0]], longest[:1])


def _replies(sketch: _Sketch, conversation: Conversation) -> None:
    """A customer's message awaits an answer from its time on; further ones before the answer wait no longer than the first."""
    asked: int | None = None
    waits: list[tuple[float, int, int]] = []
    for index, each in enumerate(conversation.said):
        if each.utterance.side == "external" and asked is None:
            asked = index
        elif each.utterance.side == "internal" and asked is not None:
            began = conversation.said[asked].utterance.occurred_at
            waits.append(((each.utterance.occurred_at - began).total_seconds(), asked, index))
            asked = None
    if asked is not None:
        sketch.notes.append("the customer's last message has no reply here")
    if waits:
        slowest = max(waits, key=lambda wait: wait[0])
        sketch.put("first_response", waits[0][0], waits[0][1:])
        sketch.put("reply_delay", statistics.median(wait for wait, _, _ in waits), slowest[1:])


def _sentiment(sketch: _Sketch, conversation: Conversation) -> None:
    scored = [
        (each.sentiment, index)
        for index, each in enumerate(conversation.said)
        if each.sentiment is not None and each.utterance.side == "external"
    ]
    if scored:
        ordered = [index for _, index in sorted(scored)]
        sketch.put("customer_sentiment", statistics.fmean(score for score, _ in scored), ordered[:3])
        sketch.high_evidence["customer_sentiment"] = tuple(ordered[:-4:-1])


def _ratio(by_side: Mapping[str, float]) -> float | None:
    """The rep's side's share; None where it is not known who the rep's side is."""
    if "internal" in by_side:
        return by_side["internal"]
    return 0.0 if "external" in by_side and "unknown" not in by_side else None


def _say_sides(sketch: _Sketch, what: str) -> None:
    unknown = sketch.shares.get("unknown", 0.0)
    if unknown == 1.0:
        sketch.notes.append("no side is known: nothing can be said of the rep or the customer")
    elif unknown > 0:
        sketch.notes.append(f"of {unknown:.0%} of the {what} the side is not known: it is neither the rep's nor the customer's")
    elif sketch.shares and len(sketch.shares) == 1:
        sketch.notes.append("one side alone speaks")
    if not sketch.shares:
        sketch.notes.append("nothing was said, or it lasts no time: there are no shares")
