"""What every vector store refuses, whatever is behind it: tenants that are none, vectors that are none, hits that nobody asked for."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

import structlog

from pay_ready.errors import EmbeddingError, IsolationError
from pay_ready.model.ids import TenantId
from pay_ready.model.memory import Filters, VectorObject

if TYPE_CHECKING:  # heavy
    from pay_ready.model.memory import Vectors

log = structlog.get_logger()

LENGTH_TOLERANCE = 1e-3  # of a vector of length 1 in float32 or half precision
SIMILARITY_TOLERANCE = 1e-5  # of a cosine in float32


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundObject:
    """A hit with everything that it was filtered by, as the backend says it."""

    tenant_id: UUID | None
    memory_id: UUID
    interaction_id: UUID
    source: str
    interaction_type: str
    language: str | None
    occurred_at: datetime
    entity_ids: frozenset[UUID]
    similarity: float


def tenant_text(tenant: TenantId) -> str:
    """A tenant's id as text, in the one way of writing it.

    Raises:
        IsolationError: It is no id, but a text or nothing: an id in capitals would be another tenant's name.
    """
    if not isinstance(tenant, UUID):
        raise IsolationError("a vector store is asked without a tenant's id", type=type(tenant).__name__)
    return str(tenant)


def check_vector(vector: "Vectors", dim: int) -> None:
    """Refuse what is no unit vector of so many dimensions.

    Raises:
        EmbeddingError: Another shape, NaN, infinite, zero, or not of length 1.
    """
    import numpy as np

    if vector.shape != (dim,):
        raise EmbeddingError("a vector has the wrong shape", "rebuild with the embedder in use", shape=vector.shape, expected=(dim,))
    length = float(np.sqrt(np.dot(vector.astype(np.float64), vector.astype(np.float64))))
    if not abs(length - 1.0) <= LENGTH_TOLERANCE:  # NaN as well
        raise EmbeddingError("a vector is not of length 1", "embed the passage again", length=length)


def check_objects(objects: Sequence[VectorObject], dim: int) -> None:
    """Refuse them all when one of them has no proper vector.

    Raises:
        EmbeddingError: See `check_vector`; names the memory.
    """
    for each in objects:
        try:
            check_vector(each.vector, dim)
        except EmbeddingError as error:
            raise EmbeddingError(error.what, error.hint, memory=each.memory_id, **error.where) from error


def check_hits(store: str, tenant: TenantId, found: Iterable[FoundObject], filters: Filters, least_similarity: float) -> None:
    """Take no hit at its backend's word: each must be the tenant's, and what was asked for.

    Raises:
        IsolationError: A hit is another tenant's, or a filter was ignored; logged as isolation.violated.
    """
    for hit in found:
        broken = _broken(hit, tenant, filters, least_similarity)
        if broken is not None:
            log.error("isolation.violated", kind=store, tenant=str(tenant), memory=str(hit.memory_id), field=broken)
            what = "a vector store gave back what was not asked for"
            raise IsolationError(what, "stop using it and report this", store=store, tenant=tenant, ignored=broken)


def _broken(hit: FoundObject, tenant: TenantId, filters: Filters, least_similarity: float) -> str | None:
    """The first condition that a hit does not meet."""
    met = {
        "tenant": hit.tenant_id == tenant,
        "entity_ids": not filters.entity_ids or not hit.entity_ids.isdisjoint(filters.entity_ids),
        "sources": not filters.sources or hit.source in filters.sources,
        "interaction_types": not filters.interaction_types or hit.interaction_type in filters.interaction_types,
        "languages": not filters.languages or hit.language in filters.languages,
        "since": filters.since is None or hit.occurred_at >= filters.since,
        "until": filters.until is None or hit.occurred_at < filters.until,
        "least_similarity": hit.similarity >= least_similarity - SIMILARITY_TOLERANCE,
    }
    return next((name for name, is_met in met.items() if not is_met), None)
