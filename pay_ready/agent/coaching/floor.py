"""Who held the floor when: spans of speech on the time line of a call, and what follows from them.

Speech may overlap. A party's seconds are the length of the union of its spans, so that two colleagues who speak at once count once, and
all speech is the sum over parties, so that the shares of the parties add up to 1.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

PAUSE_S = 2.0  # so long a silence ends a run


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Span:
    """A stretch of speech, in seconds from the start of the call; `start_s <= end_s`."""

    start_s: float
    end_s: float
    party: str  # whose side
    speaker: str
    index: int = 0  # which utterance it was


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One speaker's uninterrupted stretch: nobody else begins to speak in it, and no silence reaches PAUSE_S."""

    speaker: str
    party: str
    start_s: float
    end_s: float
    indexes: tuple[int, ...]  # of its utterances, in order

    @property
    def seconds(self) -> float:
        """From its first to its last word, pauses included."""
        return self.end_s - self.start_s


@dataclass(frozen=True, slots=True, kw_only=True)
class Handover:
    """The floor passed from one party to another."""

    before: Span
    after: Span

    @property
    def gap_s(self) -> float:
        """Silence between them; below 0 where the second began before the first had ended."""
        return self.after.start_s - self.before.end_s


def speech_seconds(spans: Iterable[Span]) -> Mapping[str, float]:
    """Seconds of speech by party."""
    by_party: defaultdict[str, list[Span]] = defaultdict(list)
    for span in spans:
        by_party[span.party].append(span)
    return {party: _union(sorted(own)) for party, own in sorted(by_party.items())}


def shares(amounts: Mapping[str, float]) -> Mapping[str, float]:
    """Each one's part of the sum; empty where the sum is 0."""
    total = sum(amounts.values())
    return {party: amount / total for party, amount in amounts.items()} if total > 0 else {}


def length_s(spans: Sequence[Span]) -> float:
    """From the first word to the last."""
    return max((span.end_s for span in spans), default=0.0) - min((span.start_s for span in spans), default=0.0)


def runs_of(spans: Iterable[Span], pause_s: float = PAUSE_S) -> list[Run]:
    """The runs, in order of their start."""
    runs: list[list[Span]] = []
    reached = float("-inf")
    for span in sorted(spans):
        last = runs[-1][-1] if runs else None
        if last is not None and (last.speaker, last.party) == (span.speaker, span.party) and span.start_s - reached < pause_s:
            runs[-1].append(span)
            reached = max(reached, span.end_s)
        else:
            runs.append([span])
            reached = span.end_s
    return [_run(members) for members in runs]


def handovers_of(spans: Iterable[Span]) -> list[Handover]:
    """Where a span is followed by one of another party, by the order of their starts."""
    return [Handover(before=before, after=after) for before, after in pairwise(sorted(spans)) if before.party != after.party]


def _run(members: Sequence[Span]) -> Run:
    return Run(
        speaker=members[0].speaker,
        party=members[0].party,
        start_s=members[0].start_s,
        end_s=max(each.end_s for each in members),
        indexes=tuple(each.index for each in members),
    )


def _union(spans: Sequence[Span]) -> float:
    total, reached = 0.0, float("-inf")
    for span in spans:
        total += max(0.0, span.end_s - max(span.start_s, reached))
        reached = max(reached, span.end_s)
    return total
