"""Passages as Weaviate's objects, filters as its conditions, and what it answers as hits."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any
from uuid import UUID

from pay_ready.errors import IsolationError
from pay_ready.memory.cold.guards import SIMILARITY_TOLERANCE, FoundObject, tenant_text
from pay_ready.memory.cold.schema import VECTOR
from pay_ready.model.ids import TenantId
from pay_ready.model.memory import Filters, KeptObject, VectorObject

if TYPE_CHECKING:  # heavy
    from weaviate.collections.classes.filters import _Filters
    from weaviate.collections.classes.internal import Object

    from pay_ready.model.memory import Vectors

FOUND = ["tenant_id", "interaction_id", "source", "interaction_type", "language", "occurred_at", "entity_ids"]
KEPT = ["tenant_id", "interaction_id", "content_hash", "entity_ids"]
_BYTES_PER_NUMBER, _BYTES_PER_ENTITY, _BYTES_AROUND = 4, 40, 700


def size_bytes(each: VectorObject) -> int:
    """About how large an object is on the wire, rather too much."""
    return _BYTES_AROUND + _BYTES_PER_NUMBER * len(each.vector) + _BYTES_PER_ENTITY * len(each.entity_ids) + 4 * len(each.source)


def chunks(objects: Sequence[VectorObject], most_objects: int, most_bytes: int) -> Iterator[list[VectorObject]]:
    """The objects in their order, cut by count and by size; one that is too large by itself comes alone."""
    chunk: list[VectorObject] = []
    filled = 0
    for each in objects:
        size = size_bytes(each)
        if chunk and (len(chunk) >= most_objects or filled + size > most_bytes):
            yield chunk
            chunk, filled = [], 0
        chunk.append(each)
        filled += size
    if chunk:
        yield chunk


def as_data_object(tenant: TenantId, each: VectorObject) -> Any:
    """A passage as the client takes it; the tenant is said once more among the properties, for whoever reads it back."""
    from weaviate.classes.data import DataObject

    properties: dict[str, Any] = {
        "tenant_id": tenant_text(tenant),
        "interaction_id": str(each.interaction_id),
        "chunk_no": each.chunk_no,
        "source": each.source,
        "interaction_type": each.interaction_type,
        "occurred_at": each.occurred_at,
        "entity_ids": [str(entity) for entity in each.entity_ids],
        "content_hash": each.content_hash.hex(),
    }
    if each.language is not None:
        properties["language"] = each.language
    return DataObject(uuid=each.memory_id, properties=properties, vector={VECTOR: each.vector.tolist()})


def conditions(tenant: TenantId, filters: Filters) -> "_Filters":
    """Filters as conditions, and the tenant once more.

    The tenant's is also what makes searches exact: without any condition Weaviate walks its graph, which got lost among 1,500 equal vectors
    of 3,000 and came back with 0 of 217; with one it compares up to `exact_up_to` matching vectors one by one.
    """
    from weaviate.classes.query import Filter

    found: list[_Filters] = [Filter.by_property("tenant_id").equal(tenant_text(tenant))]
    any_of: Mapping[str, Sequence[str]] = {
        "entity_ids": [str(entity) for entity in filters.entity_ids],
        "source": filters.sources, "interaction_type": filters.interaction_types, "language": filters.languages,
    }  # fmt: skip
    found += [Filter.by_property(name).contains_any(list(values)) for name, values in any_of.items() if values]
    if filters.since is not None:
        found.append(Filter.by_property("occurred_at").greater_or_equal(filters.since))
    if filters.until is not None:
        found.append(Filter.by_property("occurred_at").less_than(filters.until))
    return found[0] if len(found) == 1 else Filter.all_of(found)


def greatest_distance(least_similarity: float) -> float | None:
    """The cosine distance up to which there is a hit; None when everything is near enough."""
    return None if least_similarity <= -1.0 else 1.0 - least_similarity + SIMILARITY_TOLERANCE


def as_found(each: "Object[Any, Any]", vector: "Vectors | None" = None) -> FoundObject:
    """An answer's object with its similarity: as the server says it, or to the vector given."""
    said = each.properties
    similarity = 1.0 - (2.0 if each.metadata.distance is None else each.metadata.distance)
    if vector is not None:
        similarity = float(vector @ each.vector[VECTOR])
    return FoundObject(
        tenant_id=_uuid(said.get("tenant_id")),
        memory_id=UUID(str(each.uuid)),
        interaction_id=UUID(str(said["interaction_id"])),
        source=said.get("source") or "",
        interaction_type=said.get("interaction_type") or "",
        language=said.get("language") or None,
        occurred_at=said["occurred_at"],
        entity_ids=_uuids(said.get("entity_ids")),
        similarity=max(-1.0, min(1.0, similarity)),
    )


def as_kept(tenant: TenantId, each: "Object[Any, Any]") -> KeptObject:
    """An answer's object for the comparison with the record.

    Raises:
        IsolationError: It is another tenant's.
    """
    said = each.properties
    if _uuid(said.get("tenant_id")) != tenant:
        raise IsolationError("a vector store gave back another tenant's object", "stop using it and report this", tenant=tenant)
    return KeptObject(
        memory_id=UUID(str(each.uuid)),
        interaction_id=UUID(str(said["interaction_id"])),
        content_hash=bytes.fromhex(said["content_hash"]),
        entity_ids=_uuids(said.get("entity_ids")),
    )


def _uuid(value: object) -> UUID | None:
    return None if value is None else UUID(str(value))


def _uuids(values: Sequence[object] | None) -> frozenset[UUID]:
    return frozenset(UUID(str(value)) for value in values or ())
