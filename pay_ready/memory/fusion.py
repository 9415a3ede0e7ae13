"""Words and meaning in one order."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from pay_ready.db.vectors import Weighed


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranked:
    """A passage with its place in the order."""

    memory_id: UUID
    interaction_id: UUID
    score: float  # in [0, 1 + vector_share]: comparable within one search alone
    text_rank: float  # ts_rank; 0 where no word of the question is in it
    similarity: float | None  # cosine of the passage itself


def fused(candidates: Sequence[Weighed], *, vector_share: float) -> list[Ranked]:
    """The candidates, the best first: min-max scaled ts_rank + vector_share × min-max scaled cosine over the passage and its neighbours.

    Scores, not ranks, are fused: that a passage is far ahead by its words counts (Fox and Shaw, "Combination of Multiple Searches",
    TREC-2 (1994), CombSUM; measured on LoCoMo evidence: recall@10 .675, and .587 by reciprocal ranks).
    """
    words = _scaled([each.text_rank for each in candidates], least=0.0)
    meanings = _scaled([each.around for each in candidates])
    ranked = [
        Ranked(
            memory_id=each.memory_id, interaction_id=each.interaction_id, score=word + vector_share * meaning, text_rank=each.text_rank,
            similarity=each.similarity,
        )
        for each, word, meaning in zip(candidates, words, meanings, strict=True)
    ]  # fmt: skip
    return sorted(ranked, key=lambda each: (-each.score, each.memory_id))


def _scaled(values: Sequence[float | None], *, least: float | None = None) -> list[float]:
    """Each to [0, 1] between the least and the greatest; unknown ones, and all where none differs, are 0."""
    known = [value for value in values if value is not None]
    if not known:
        return [0.0] * len(values)
    low = min(known) if least is None else min(least, *known)
    spread = max(known) - low
    return [0.0 if value is None or spread <= 0 else (value - low) / spread for value in values]
