"""Words that cannot hold together: matches connect, and nobody may be told apart from whom he is connected with."""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal
from uuid import UUID

from pay_ready.model.review import ActorType


@dataclass(frozen=True, slots=True, kw_only=True)
class Word:
    """What holds of two records, and who said so."""

    decision_id: UUID
    left_id: UUID
    right_id: UUID
    verdict: Literal["match", "no_match"]
    actor_type: ActorType
    actor: str


@dataclass(frozen=True, slots=True)
class Step:
    """One word on the way from a record to another."""

    word: Word
    towards: UUID


def contradicted(left: UUID, right: UUID, verdict: Literal["match", "no_match"], said: Iterable[Word]) -> tuple[Step, ...]:
    """The shortest chain of words from one record to the other that a new word would contradict; empty where it contradicts none.

    A match is contradicted by a chain of matches with one no_match in it, a no_match by a chain of matches alone. Breadth first over
    (record, whether a no_match was passed).

    Args:
        left, right: The two records.
        verdict: What is to be said of them.
        said: What holds of others; of the two themselves nothing.
    """
    neighbours: dict[UUID, list[tuple[UUID, Word]]] = {}
    for word in said:
        neighbours.setdefault(word.left_id, []).append((word.right_id, word))
        neighbours.setdefault(word.right_id, []).append((word.left_id, word))
    start, goal = (left, False), (right, verdict == "match")
    came_by: dict[tuple[UUID, bool], tuple[tuple[UUID, bool], Word] | None] = {start: None}
    waiting = deque([start])
    while waiting and goal not in came_by:
        place = waiting.popleft()
        record, is_apart = place
        for other, word in neighbours.get(record, ()):
            if word.verdict == "no_match" and is_apart:
                continue
            beyond = (other, is_apart or word.verdict == "no_match")
            if beyond not in came_by:
                came_by[beyond] = (place, word)
                waiting.append(beyond)
    steps: list[Step] = []
    at = goal
    while (came := came_by.get(at)) is not None:
        steps.append(Step(came[1], at[0]))
        at = came[0]
    return tuple(reversed(steps))


def told_path(left: UUID, steps: Iterable[Step]) -> str:
    """The chain in a line: records by the first letters of their ids, with who said what."""
    parts = [str(left)[:8]]
    for step in steps:
        sign = "=" if step.word.verdict == "match" else "≠"
        parts.append(f"{sign} {str(step.towards)[:8]} ({step.word.actor})")
    return " ".join(parts)
