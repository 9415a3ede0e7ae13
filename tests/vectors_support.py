"""Passages with vectors, for tests of vector stores: valid by default, so that a test names only what it is about."""

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4, uuid5

import numpy as np
from numpy.typing import NDArray

from pay_ready.model.ids import TenantId
from pay_ready.model.memory import Filters, VectorHit, VectorObject, VectorQuery, memory_id_of

DIM = 8
START = datetime(2026, 1, 1, 12, 0, 0, 123456, tzinfo=UTC)
KINDS = ("slack", "gong", "hubspot", "salesforce", "zendesk")
LANGUAGES = ("en", "de", None)


def new_tenant_id() -> TenantId:
    """One that nobody knows yet."""
    return TenantId(uuid4())


def unit(*numbers: float, dim: int = DIM) -> NDArray[np.float32]:
    """A unit vector in the direction of the numbers, zeros behind them."""
    vector = np.zeros(dim, dtype=np.float32)
    vector[: len(numbers)] = numbers
    return vector / np.linalg.norm(vector)


def entity(number: int) -> UUID:
    """A person or company by number."""
    return uuid5(UUID(int=1), f"entity {number}")


def passage(tenant: TenantId, number: int = 0, **values: Any) -> VectorObject:
    """The number says everything that the values do not."""
    interaction = values.pop("interaction_id", uuid5(UUID(int=1), f"interaction {number}"))
    chunk_no = values.pop("chunk_no", 0)
    given: dict[str, Any] = {
        "memory_id": memory_id_of(tenant, interaction, chunk_no),
        "interaction_id": interaction,
        "chunk_no": chunk_no,
        "source_kind": KINDS[number % len(KINDS)],
        "source": f"source-{number % 2}",
        "interaction_type": ("call", "message", "note")[number % 3],
        "language": LANGUAGES[number % len(LANGUAGES)],
        "occurred_at": START + timedelta(minutes=number),
        "entity_ids": (entity(number % 5), entity(100 + number % 7)),
        "content_hash": hashlib.sha256(str(number).encode()).digest(),
        "vector": unit(*np.random.default_rng(number).standard_normal(DIM)),
    }
    return VectorObject(**(given | values))


def passages(tenant: TenantId, count: int, **values: Any) -> list[VectorObject]:
    """So many."""
    return [passage(tenant, number, **values) for number in range(count)]


def meets(each: VectorObject, filters: Filters) -> bool:
    """Whether a passage is among those that filters leave: written down a second time, for comparison."""
    return (
        (not filters.entity_ids or bool(set(filters.entity_ids) & set(each.entity_ids)))
        and (not filters.sources or each.source in filters.sources)
        and (not filters.interaction_types or each.interaction_type in filters.interaction_types)
        and (not filters.languages or each.language in filters.languages)
        and (filters.since is None or filters.since <= each.occurred_at)
        and (filters.until is None or each.occurred_at < filters.until)
    )


def nearest_of(objects: Sequence[VectorObject], query: VectorQuery) -> list[float]:
    """The similarities that a search must give, compared one by one in double precision."""
    vector = query.vector.astype(np.float64)
    found = [float(each.vector.astype(np.float64) @ vector) for each in objects if meets(each, query.filters)]
    return sorted((each for each in found if each >= query.least_similarity), reverse=True)[: query.most]


def similarities(hits: Sequence[VectorHit]) -> list[float]:
    """Of hits, in their order."""
    return [hit.similarity for hit in hits]
