"""Utterances and vectors for tests of what the agent makes of talk: each test names only what it is about."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from pay_ready.agent.sentences import Citation
from pay_ready.agent.topics import Passage
from pay_ready.model.talk import Utterance

BEGAN = datetime(2026, 3, 2, 9, tzinfo=UTC)  # a Monday


def utterance(text: str, call: int = 1, **given: Any) -> Utterance:
    """Something that Ann says in a call; call 2 is a day after call 1."""
    values: dict[str, Any] = {
        "interaction_id": UUID(int=call),
        "occurred_at": BEGAN + timedelta(days=call - 1),
        "source": "gong",
        "interaction_type": "call",
        "speaker": "Ann",
        "side": "external",
        "text": text,
    }
    return Utterance(**(values | given))


def passage(text: str, number: int, at: datetime = BEGAN) -> Passage:
    """A stored passage of an interaction of its own."""
    return Passage(text=text, citation=Citation(interaction_id=UUID(int=number), occurred_at=at, source="gong"))


def groups(sizes: Sequence[int], seed: int = 1, dim: int = 16, noise: float = 0.05) -> NDArray[np.float32]:
    """Unit rows around as many directions at right angles as there are sizes."""
    random = np.random.default_rng(seed)
    rows = np.concatenate([np.tile(np.eye(dim)[number], (size, 1)) for number, size in enumerate(sizes)])
    rows = rows + random.normal(0, noise, rows.shape)
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
