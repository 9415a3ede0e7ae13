"""Vectors of passages in Postgres: by pgvector a table an embedder, or, where that is missing, bytes that are read and compared here."""

import base64
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol
from uuid import UUID

from pay_ready.db.queries import SCHEMA, in_schema
from pay_ready.db.tenancy import TenantTransaction
from pay_ready.errors import EmbeddingError
from pay_ready.model.memory import Filters, KeptObject, VectorHit, VectorObject, VectorQuery

if TYPE_CHECKING:  # heavy
    import numpy as np
    from numpy.typing import NDArray

    from pay_ready.model.memory import Vectors

_NIL = UUID(int=0)
_UNIT = 1e-2  # halfvec rounds: a length further from 1 than this is no unit vector


@dataclass(frozen=True, slots=True, kw_only=True)
class FreshVector:
    """The vector of a passage as it was read."""

    memory_id: UUID
    interaction_id: UUID
    content_hash: bytes
    vector: "Vectors"


@dataclass(frozen=True, slots=True, kw_only=True)
class Unembedded:
    """A passage that has no vector of what it says now."""

    memory_id: UUID
    interaction_id: UUID
    content_hash: bytes
    chunk_text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PlacedVector:
    """Where the vector of a passage is."""

    memory_id: UUID
    touched_at: datetime
    is_warm: bool  # the index of nearest ones has it


@dataclass(frozen=True, slots=True, kw_only=True)
class VectorCounts:
    """Of one tenant: vectors, and those that the index of nearest ones has."""

    vectors: int
    indexed: int


class VectorTable(Protocol):
    """The vectors of one embedder. Every method is about the tenant of the transaction."""

    tag: str
    dimensions: int
    has_index: bool

    def write(self, tx: TenantTransaction, fresh: Sequence[FreshVector], *, in_index: bool) -> int: ...
    def missing(self, tx: TenantTransaction, after: UUID | None, most: int) -> list[Unembedded]: ...
    def count_missing(self, tx: TenantTransaction) -> int: ...
    def count(self, tx: TenantTransaction) -> VectorCounts: ...
    def nearest(self, tx: TenantTransaction, query: VectorQuery, *, is_indexed: bool, ef: int) -> list[VectorHit]: ...
    def similarities(self, tx: TenantTransaction, vector: "Vectors", memory_ids: Sequence[UUID]) -> dict[UUID, float]: ...
    def objects(self, tx: TenantTransaction, interaction_ids: Sequence[UUID]) -> list[VectorObject]: ...
    def kept(self, tx: TenantTransaction, after: UUID | None, most: int) -> list[KeptObject]: ...
    def hashes(self, tx: TenantTransaction, memory_ids: Sequence[UUID]) -> dict[UUID, bytes]: ...
    def drop_interactions(self, tx: TenantTransaction, interaction_ids: Sequence[UUID]) -> int: ...
    def drop_memories(self, tx: TenantTransaction, memory_ids: Sequence[UUID]) -> int: ...
    def drop_all(self, tx: TenantTransaction) -> int: ...


def vector_table(tx: TenantTransaction, tag: str, dimensions: int) -> "VectorTable":
    """Where the tenant's vectors of an embedder are: pgvector's table, where an administrator made it and none is left as bytes."""
    return IndexedVectors(tag, dimensions) if _places(tx, tag) == (True, False) else PlainVectors(tag, dimensions)


def move_to_pgvector(tx: TenantTransaction, tag: str, dimensions: int, most: int) -> int:
    """Bring vectors that were kept as bytes into pgvector's table, where there is one by now; how many. They serve as bytes until the last.

    Args:
        tx: The tenant's.
        tag: Of the embedder.
        dimensions: Of its vectors.
        most: Vectors of one transaction.
    """
    if _places(tx, tag) != (True, True):
        return 0
    plain = PlainVectors(tag, dimensions)
    page = plain.page(tx, most)
    IndexedVectors(tag, dimensions).write(tx, page, in_index=False)
    plain.drop_memories(tx, [each.memory_id for each in page])
    return len(page)


def _places(tx: TenantTransaction, tag: str) -> tuple[bool, bool]:
    """Whether pgvector has a table of the embedder, and whether the tenant has vectors of it as bytes."""
    name = in_schema(f"{SCHEMA}.memory_vectors_{tag}", tx.schema)
    row = tx.row("embedders.places", {"table_name": name, "embedder_tag": tag})
    return (False, False) if row is None else (row.has_table, row.has_bytes)


def check_vectors(vectors: "Vectors", dimensions: int) -> None:
    """Refuse what is no unit vector of this many dimensions.

    Raises:
        EmbeddingError: Another shape, not a number, zero, or another length than 1.
    """
    import numpy as np

    if vectors.ndim != 2 or vectors.shape[1] != dimensions:
        raise EmbeddingError("a vector has another number of dimensions", "pay-ready memory status", wanted=dimensions, shape=vectors.shape)
    lengths = np.linalg.norm(vectors.astype(np.float64), axis=1)
    if not bool(np.all(np.abs(lengths - 1) < _UNIT)):  # NaN is not
        raise EmbeddingError("a vector is not of length 1", "look at the embedder: pay-ready models list")


class IndexedVectors:
    """halfvec, with an index of nearest ones for tenants that have many."""

    has_index = True

    def __init__(self, tag: str, dimensions: int) -> None:
        self.tag, self.dimensions = tag, dimensions

    def write(self, tx: TenantTransaction, fresh: Sequence[FreshVector], *, in_index: bool) -> int:
        """Write vectors of passages that still say the same; how many were written."""
        _copy_fresh(tx, fresh, self.dimensions, as_text=True)
        return tx.execute("vectors.write", {"in_index": in_index}, embedder_tag=self.tag)

    def missing(self, tx: TenantTransaction, after: UUID | None, most: int) -> list[Unembedded]:
        """Passages without a vector, by id, behind one."""
        found = tx.rows("vectors.missing", {"after": after or _NIL, "most": most}, embedder_tag=self.tag)
        return [Unembedded(**row._asdict()) for row in found]

    def count_missing(self, tx: TenantTransaction) -> int:
        """Passages without a vector."""
        row = tx.row("vectors.count_missing", embedder_tag=self.tag)
        return int(row[0]) if row else 0

    def count(self, tx: TenantTransaction) -> VectorCounts:
        """How many there are."""
        row = tx.row("vectors.count", embedder_tag=self.tag)
        return VectorCounts(vectors=row.vectors, indexed=row.indexed) if row else VectorCounts(vectors=0, indexed=0)

    def nearest(self, tx: TenantTransaction, query: VectorQuery, *, is_indexed: bool, ef: int) -> list[VectorHit]:
        """The nearest passages, exactly min(most, matching): where the index comes back short, the rows are read."""
        asked = _asked(tx, query) | {
            "vector": vector_text(query.vector), "most": query.most, "most_distance": 1 - query.least_similarity, "unindexed_only": False,
        }  # fmt: skip
        if query.filters.entity_ids:
            return self._hits(tx, "nearest_of", asked)
        if not is_indexed:
            return self._hits(tx, "nearest_read", asked)
        rest = self._hits(tx, "nearest_read", asked | {"unindexed_only": True})
        tx.row("vectors.settings", {"ef": str(max(ef, query.most))})
        rows = tx.rows("vectors.nearest_indexed", asked, embedder_tag=self.tag)
        tx.row("vectors.settings_back")
        if len(rows) < query.most:
            return self._hits(tx, "nearest_read", asked)
        found = [
            VectorHit(memory_id=row.memory_id, interaction_id=row.interaction_id, similarity=row.similarity) for row in rows if row.is_near
        ]
        return sorted((*found, *rest), key=lambda hit: (-hit.similarity, hit.memory_id))[: query.most]

    def similarities(self, tx: TenantTransaction, vector: "Vectors", memory_ids: Sequence[UUID]) -> dict[UUID, float]:
        """The cosine of passages to a vector; those without a vector are left out."""
        asked = {"vector": vector_text(vector), "memory_ids": list(memory_ids)}
        return {row.memory_id: row.similarity for row in tx.rows("vectors.similarities", asked, embedder_tag=self.tag)}

    def objects(self, tx: TenantTransaction, interaction_ids: Sequence[UUID]) -> list[VectorObject]:
        """Passages of interactions with their vectors and what they are about now."""
        import numpy as np

        # As halfvec_send writes them: the dimensions and two bytes of nothing, then the numbers.
        found = tx.rows("vectors.objects", {"interaction_ids": list(interaction_ids)}, embedder_tag=self.tag)
        return [_object(row, np.frombuffer(row.vector, dtype=">f2", offset=4).astype(np.float32)) for row in found]

    def kept(self, tx: TenantTransaction, after: UUID | None, most: int) -> list[KeptObject]:
        """What is there, by id, behind one."""
        return [_kept(row) for row in tx.rows("vectors.kept", {"after": after or _NIL, "most": most}, embedder_tag=self.tag)]

    def hashes(self, tx: TenantTransaction, memory_ids: Sequence[UUID]) -> dict[UUID, bytes]:
        """Of what each vector is, by passage."""
        found = tx.rows("vectors.hashes", {"memory_ids": list(memory_ids)}, embedder_tag=self.tag)
        return {row.memory_id: bytes(row.content_hash) for row in found}

    def drop_interactions(self, tx: TenantTransaction, interaction_ids: Sequence[UUID]) -> int:
        """Take out the vectors of interactions."""
        return tx.execute("vectors.drop_interactions", {"interaction_ids": list(interaction_ids)}, embedder_tag=self.tag)

    def drop_memories(self, tx: TenantTransaction, memory_ids: Sequence[UUID]) -> int:
        """Take out single vectors."""
        return tx.execute("vectors.drop_memories", {"memory_ids": list(memory_ids)}, embedder_tag=self.tag)

    def drop_all(self, tx: TenantTransaction) -> int:
        """Take out all of the tenant's."""
        return tx.execute("vectors.drop_all", embedder_tag=self.tag)

    def misplaced(self, tx: TenantTransaction, most: int, warm_since: datetime | None) -> list[PlacedVector]:
        """Vectors on the wrong side of the index of nearest ones, where what was touched since belongs into it (None: all)."""
        found = tx.rows("vectors.misplaced", {"most": most, "warm_since": warm_since}, embedder_tag=self.tag)
        return [PlacedVector(**row._asdict()) for row in found]

    def place(self, tx: TenantTransaction, memory_ids: Sequence[UUID], *, in_index: bool) -> int:
        """Bring vectors into the index of nearest ones, or take them out of it; how many moved."""
        return tx.execute("vectors.place", {"memory_ids": list(memory_ids), "in_index": in_index}, embedder_tag=self.tag)

    def _hits(self, tx: TenantTransaction, name: str, asked: dict[str, object]) -> list[VectorHit]:
        return [VectorHit(**row._asdict()) for row in tx.rows(f"vectors.{name}", asked, embedder_tag=self.tag)]


class PlainVectors:
    """float16 as bytes: every search reads the tenant's vectors and compares them here."""

    has_index = False

    def __init__(self, tag: str, dimensions: int) -> None:
        self.tag, self.dimensions = tag, dimensions

    def write(self, tx: TenantTransaction, fresh: Sequence[FreshVector], *, in_index: bool) -> int:  # noqa: ARG002 - there is no index
        """Write vectors of passages that still say the same."""
        _copy_fresh(tx, fresh, self.dimensions, as_text=False)
        return tx.execute("plain_vectors.write", self._of())

    def missing(self, tx: TenantTransaction, after: UUID | None, most: int) -> list[Unembedded]:
        """Passages without a vector, by id, behind one."""
        return [Unembedded(**row._asdict()) for row in tx.rows("plain_vectors.missing", self._of(after=after or _NIL, most=most))]

    def count_missing(self, tx: TenantTransaction) -> int:
        """Passages without a vector."""
        return int(tx.value("plain_vectors.count_missing", self._of()))

    def count(self, tx: TenantTransaction) -> VectorCounts:
        """How many there are."""
        row = tx.row("plain_vectors.count", self._of())
        return VectorCounts(vectors=row.vectors, indexed=row.indexed) if row else VectorCounts(vectors=0, indexed=0)

    def nearest(self, tx: TenantTransaction, query: VectorQuery, *, is_indexed: bool, ef: int) -> list[VectorHit]:  # noqa: ARG002
        """The nearest passages of those that pass the filters."""
        import numpy as np

        found = tx.rows("plain_vectors.read", self._of(**{"entity_ids": None} | _asked(tx, query)))
        if not found:
            return []
        similarities = self._similarities(found, query.vector)
        hits = [
            VectorHit(memory_id=row.memory_id, interaction_id=row.interaction_id, similarity=float(similarity))
            for row, similarity in zip(found, similarities, strict=True)
            if similarity >= query.least_similarity
        ]
        if len(hits) > query.most * 4:
            least = np.partition([hit.similarity for hit in hits], len(hits) - query.most)[len(hits) - query.most]
            hits = [hit for hit in hits if hit.similarity >= least]
        return sorted(hits, key=lambda hit: (-hit.similarity, hit.memory_id))[: query.most]

    def similarities(self, tx: TenantTransaction, vector: "Vectors", memory_ids: Sequence[UUID]) -> dict[UUID, float]:
        """The cosine of passages to a vector; those without a vector are left out."""
        found = tx.rows("plain_vectors.of", self._of(memory_ids=list(memory_ids)))
        if not found:
            return {}
        return {row.memory_id: float(each) for row, each in zip(found, self._similarities(found, vector), strict=True)}

    def objects(self, tx: TenantTransaction, interaction_ids: Sequence[UUID]) -> list[VectorObject]:
        """Passages of interactions with their vectors and what they are about now."""
        import numpy as np

        found = tx.rows("plain_vectors.objects", self._of(interaction_ids=list(interaction_ids)))
        return [_object(row, np.frombuffer(row.vector, dtype="<f2").astype(np.float32)) for row in found]

    def kept(self, tx: TenantTransaction, after: UUID | None, most: int) -> list[KeptObject]:
        """What is there, by id, behind one."""
        return [_kept(row) for row in tx.rows("plain_vectors.kept", self._of(after=after or _NIL, most=most))]

    def hashes(self, tx: TenantTransaction, memory_ids: Sequence[UUID]) -> dict[UUID, bytes]:
        """Of what each vector is, by passage."""
        found = tx.rows("plain_vectors.hashes", self._of(memory_ids=list(memory_ids)))
        return {row.memory_id: bytes(row.content_hash) for row in found}

    def drop_interactions(self, tx: TenantTransaction, interaction_ids: Sequence[UUID]) -> int:
        """Take out the vectors of interactions."""
        return tx.execute("plain_vectors.drop_interactions", self._of(interaction_ids=list(interaction_ids)))

    def drop_memories(self, tx: TenantTransaction, memory_ids: Sequence[UUID]) -> int:
        """Take out single vectors."""
        return tx.execute("plain_vectors.drop_memories", self._of(memory_ids=list(memory_ids)))

    def drop_all(self, tx: TenantTransaction) -> int:
        """Take out all of the tenant's."""
        return tx.execute("plain_vectors.drop_all", self._of())

    def page(self, tx: TenantTransaction, most: int) -> list[FreshVector]:
        """Some vectors as they are kept, with what they are of."""
        import numpy as np

        return [
            FreshVector(
                memory_id=row.memory_id, interaction_id=row.interaction_id, content_hash=bytes(row.content_hash),
                vector=np.frombuffer(row.vector, dtype="<f2").astype(np.float32),
            )
            for row in tx.rows("plain_vectors.page", self._of(most=most))
        ]  # fmt: skip

    def _of(self, **more: object) -> dict[str, object]:
        return {"embedder_tag": self.tag, **more}

    def _similarities(self, rows: Sequence[Any], vector: "Vectors") -> "NDArray[np.float32]":
        import numpy as np

        stored = np.frombuffer(b"".join(row.vector for row in rows), dtype="<f2").reshape(len(rows), self.dimensions).astype(np.float32)
        stored /= np.linalg.norm(stored, axis=1, keepdims=True)
        return stored @ vector


def vector_text(vector: "Vectors") -> str:
    """A vector as pgvector reads it."""
    return "[" + ",".join(f"{value:.7g}" for value in vector.tolist()) + "]"


def in_pages(table: VectorTable, tx: TenantTransaction, *, page: int = 5_000) -> Iterator[list[KeptObject]]:
    """Everything of the tenant, page by page."""
    after: UUID | None = None
    while found := table.kept(tx, after, page):
        yield found
        after = found[-1].memory_id


def filter_params(tx: TenantTransaction, filters: Filters) -> dict[str, object]:
    """What narrows a search, as the statements take it; a source that is not there matches nothing."""
    sources = None
    if filters.sources:
        sources = [row.source_id for row in tx.rows("memories.source_ids", {"names": list(filters.sources)})]
    return {
        "source_ids": sources, "interaction_types": list(filters.interaction_types) or None, "languages": list(filters.languages) or None,
        "since": filters.since, "until": filters.until,
    }  # fmt: skip


def _asked(tx: TenantTransaction, query: VectorQuery) -> dict[str, object]:
    return filter_params(tx, query.filters) | ({"entity_ids": list(query.filters.entity_ids)} if query.filters.entity_ids else {})


def _copy_fresh(tx: TenantTransaction, fresh: Sequence[FreshVector], dimensions: int, *, as_text: bool) -> None:
    import numpy as np

    if fresh:
        check_vectors(np.stack([each.vector for each in fresh]), dimensions)
    tx.execute("vectors.vector_table")
    tx.execute("vectors.empty_fresh")
    with tx.copy_into("fresh_vectors", ("memory_id", "interaction_id", "content_hash", "embedding")) as copy:
        for each in fresh:
            told = vector_text(each.vector) if as_text else base64.b64encode(each.vector.astype("<f2").tobytes()).decode()
            copy.write_row((each.memory_id, each.interaction_id, each.content_hash, told))


def _object(row: Any, vector: "Vectors") -> VectorObject:
    told = row._asdict()
    told.pop("vector")
    return VectorObject(**told | {"entity_ids": tuple(row.entity_ids), "content_hash": bytes(row.content_hash)}, vector=vector)


def _kept(row: Any) -> KeptObject:
    hashed, linked = bytes(row.content_hash), frozenset(row.entity_ids)
    return KeptObject(memory_id=row.memory_id, interaction_id=row.interaction_id, content_hash=hashed, entity_ids=linked)
