"""Vectors that memory holds of what was said, and which of them stands for a sentence."""

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING
from uuid import UUID

from pay_ready.agent.sentences import Sentence
from pay_ready.db import embedders as db_embedders
from pay_ready.db import vectors as db_vectors
from pay_ready.db.tenancy import TenantTransaction
from pay_ready.model.talk import Talk

if TYPE_CHECKING:  # heavy
    from pay_ready.model.memory import Vectors


def passage_vectors(tx: TenantTransaction, interaction_ids: Sequence[UUID]) -> "dict[UUID, list[tuple[UUID, Vectors]]]":
    """Passages of interactions in their order, each with its unit vector."""
    import numpy as np

    serving = db_embedders.serving(tx)
    if serving is None:
        return {}
    table = db_vectors.vector_table(tx, serving.embedder_tag, serving.dimensions)
    found: dict[UUID, list[tuple[UUID, Vectors]]] = {}
    for each in table.objects(tx, interaction_ids):
        unit = each.vector / np.linalg.norm(each.vector)
        found.setdefault(each.interaction_id, []).append((each.memory_id, unit.astype(np.float32)))
    return found


def standing_for(sentences: Sequence[Sentence], passages: "dict[UUID, list[tuple[UUID, Vectors]]]") -> "list[Vectors | None]":
    """Of each sentence the vector of the passage in which it lies, by its place among those of its interaction; None without any."""
    told = Counter(each.utterance.interaction_id for each in sentences)
    seen: Counter[UUID] = Counter()
    found: list[Vectors | None] = []
    for each in sentences:
        interaction = each.utterance.interaction_id
        rows = passages.get(interaction, [])
        place = seen[interaction] * len(rows) // told[interaction]
        seen[interaction] += 1
        found.append(rows[place][1] if rows else None)
    return found


def without_vectors(talks: Sequence[Talk], passages: "dict[UUID, list[tuple[UUID, Vectors]]]") -> int:
    """Interactions in which something was said and of which memory has no vector yet."""
    return sum(1 for talk in talks if talk.interaction_id not in passages and talk.utterances)


def with_vectors(sentences: Sequence[Sentence], vectors: "Sequence[Vectors | None]") -> "tuple[list[Sentence], Vectors]":
    """The sentences that have a vector, and these as rows; all of them with rows of one direction where none has."""
    import numpy as np

    kept = [(sentence, vector) for sentence, vector in zip(sentences, vectors, strict=True) if vector is not None]
    if kept:
        return [sentence for sentence, _ in kept], np.stack([vector for _, vector in kept])
    return list(sentences), np.ones((len(sentences), 1), np.float32)
