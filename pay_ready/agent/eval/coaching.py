"""How right the coaching figures are: on real calls, and on customers' lines whose objection is known.

The real calls are those of the Earnings21 corpus (Del Rio and others, Interspeech 2021), read from a file that is given: who spoke when was
marked by hand. All 44 calls were measured once by others: the median call gives its top speaker .47 of the speech (10th percentile .29,
90th .73), has a longest run of 396 s, changes the speaker 1.29 times a minute after a gap of 1.36 s, and has 29 questions an hour.

The customers' lines are ours, invented beside the shipped trackers: what they give is indicative.
"""

import gzip
import json
import statistics
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path
from uuid import NAMESPACE_URL, UUID, uuid5

from pay_ready.agent.coaching.conversations import Conversation, Rep, Said, conversations_of
from pay_ready.agent.coaching.floor import Span, handovers_of, length_s, runs_of, shares, speech_seconds
from pay_ready.agent.coaching.questions import count_questions
from pay_ready.agent.coaching.trackers import Tracker, listen
from pay_ready.agent.sentences import split_sentences
from pay_ready.model.memory import Embedder
from pay_ready.model.talk import Utterance

EARNINGS_44: Mapping[str, float] = {
    "top_share": 0.47, "top_share_p10": 0.29, "top_share_p90": 0.73, "longest_run_s": 396.0, "switches_per_min": 1.29, "patience_s": 1.36,
    "questions_per_h": 29.0,
}  # fmt: skip
_AT = datetime(2020, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class RealCall:
    """One call: who spoke from when until when, and what each speaker said, turn by turn."""

    call_id: str
    segments: tuple[tuple[str, float, float], ...]
    turns: tuple[tuple[str, str], ...]


def read_calls(path: Path) -> list[RealCall]:
    """Calls of a gzipped JSON-lines file with `call_id`, `segments` and `turns`."""
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    return [
        RealCall(
            call_id=row["call_id"],
            segments=tuple((speaker, float(start), float(end)) for speaker, start, end in row["segments"]),
            turns=tuple((turn["speaker_id"], turn["text"]) for turn in row["turns"]),
        )
        for row in rows
    ]


def call_figures(call: RealCall) -> Mapping[str, float]:
    """The figures of one call with each speaker as a party of their own, as EARNINGS_44 names them."""
    spans = [Span(start_s=start, end_s=end, party=speaker, speaker=speaker) for speaker, start, end in call.segments]
    length = length_s(spans)
    handovers = handovers_of(spans)
    return {
        "top_share": max(shares(speech_seconds(spans)).values()),
        "longest_run_s": max(run.seconds for run in runs_of(spans)),
        "switches_per_min": len(handovers) / (length / 60),
        "patience_s": statistics.median(each.gap_s for each in handovers),
        "questions_per_h": sum(count_questions(split_sentences(text)) for _, text in call.turns) / (length / 3600),
    }


def earnings_figures(calls: Sequence[RealCall]) -> dict[str, float]:
    """Medians over the calls, and the tenths of the top speaker's share."""
    figures = [call_figures(call) for call in calls]
    tenths = statistics.quantiles((each["top_share"] for each in figures), n=10, method="inclusive")
    medians = {name: statistics.median(each[name] for each in figures) for name in figures[0]}
    return {**medians, "top_share_p10": tenths[0], "top_share_p90": tenths[-1]}


def conversation_of(call: RealCall) -> tuple[Conversation, Rep]:
    """The call as coaching reads it: who speaks most is the rep, the others are customers.

    A speaker's turns are put to the speaker's first segments: which words fall into which second is not known, and no figure needs it.
    """
    seconds = Counter[str]()
    for speaker, start, end in call.segments:
        seconds[speaker] += end - start  # type: ignore[assignment]
    rep = max(seconds, key=lambda speaker: (seconds[speaker], speaker))
    waiting: defaultdict[str, list[str]] = defaultdict(list)
    for speaker, text in reversed(call.turns):
        waiting[speaker].append(text)
    said = []
    for number, (speaker, start, end) in enumerate(sorted(call.segments, key=lambda segment: segment[1:])):
        text = waiting[speaker].pop() if waiting[speaker] else ""
        said.append(_said(call, number, speaker, text, start, end, is_rep=speaker == rep))
    (conversation,) = conversations_of(said)
    return conversation, Rep(ids=frozenset({_person(call, rep)}), name="")


def read_objections() -> list[tuple[str, str]]:
    """Kind ("none" where it is no objection) and line of a customer."""
    content = files(__package__).joinpath("objections.tsv").read_text(encoding="utf-8")
    return [(kind, text) for kind, text in (line.split("\t") for line in content.splitlines())]


def objection_scores(trackers: Sequence[Tracker], lines: Sequence[tuple[str, str]], embedder: Embedder | None) -> dict[str, float]:
    """How well the trackers of objections tell the kinds: precision, recall and F1 over pairs of line and kind."""
    call = RealCall(call_id="", segments=(), turns=())
    said = [_said(call, number, "customer", text, None, None, is_rep=False) for number, (_, text) in enumerate(lines)]
    (conversation,) = conversations_of(said)
    (hits,) = listen([each for each in trackers if each.group == "objection"], [conversation], embedder).hits
    return _scores(
        {(hit.index, hit.tracker_id) for hit in hits}, ((number, kind) for number, (kind, _) in enumerate(lines) if kind != "none")
    )


def _scores(found: set[tuple[int, str]], wanted: Iterable[tuple[int, str]]) -> dict[str, float]:
    right = set(wanted)
    hit = len(found & right)
    precision, recall = hit / len(found) if found else 0.0, hit / len(right) if right else 0.0
    return {"precision": precision, "recall": recall, "f1": 2 * precision * recall / (precision + recall) if hit else 0.0}


def _said(call: RealCall, number: int, speaker: str, text: str, start: float | None, end: float | None, *, is_rep: bool) -> Said:
    return Said(
        utterance=Utterance(
            interaction_id=uuid5(NAMESPACE_URL, call.call_id),
            turn_no=number,
            occurred_at=_AT,
            source="earnings",
            interaction_type="call",
            speaker=speaker,
            speaker_id=_person(call, speaker),
            side="internal" if is_rep else "external",
            text=text,
            start_s=start,
            end_s=end,
        )
    )


def _person(call: RealCall, speaker: str) -> UUID:
    return uuid5(NAMESPACE_URL, f"{call.call_id}:{speaker}")
