"""What the memory tiers pass to each other: passages with their vectors, what is asked, what is found; and the ports of their makers.

A passage (memory) is a chunk of one interaction. Its id is derived from tenant, interaction and position, so that a repeated write
overwrites. Vectors are float32, of length 1, and belong to one embedder: vectors of two are never compared.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Literal, Protocol
from uuid import UUID, uuid5

from pay_ready.model.ids import TenantId
from pay_ready.model.staged import InteractionType

if TYPE_CHECKING:  # heavy
    import numpy as np
    from numpy.typing import NDArray

    Vectors = NDArray[np.float32]

Tier = Literal["hot", "warm", "cold"]


def memory_id_of(tenant: TenantId, interaction_id: UUID, chunk_no: int) -> UUID:
    """The id of a passage: UUIDv5 of tenant, interaction and position (from 0)."""
    return uuid5(tenant, f"memory:{interaction_id}:{chunk_no}")


class Embedder(Protocol):
    """Turns texts into vectors. `id` is name, hash of the weights and precision: what can be compared has the same one."""

    @property
    def id(self) -> str: ...

    @property
    def dim(self) -> int: ...

    @property
    def max_tokens(self) -> int: ...

    @property
    def is_lexical(self) -> bool:
        """Whether it knows words alone and no meaning (the last resort): whoever searches with it is told."""

    def embed(self, texts: Sequence[str]) -> "Vectors":
        """Unit rows, shape (len(texts), dim), float32; never a zero or NaN row.

        Raises:
            EmbeddingError: The model gave another shape, NaN or a zero vector.
            TransientError: A remote model did not answer in time.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class Filters:
    """What a search is narrowed to; every given kind must hold, of one kind any value. Empty is everything."""

    entity_ids: tuple[UUID, ...] = ()  # people and companies, current ids with those they absorbed
    sources: tuple[str, ...] = ()  # names of data sources
    interaction_types: tuple[InteractionType, ...] = ()
    languages: tuple[str, ...] = ()  # ISO 639-1
    since: datetime | None = None
    until: datetime | None = None  # exclusive


@dataclass(frozen=True, slots=True, kw_only=True)
class VectorObject:
    """A passage as a vector store knows it: ids, filters and the vector; never the text."""

    memory_id: UUID
    interaction_id: UUID
    chunk_no: int
    source_kind: str  # slack, gong, hubspot, salesforce, …: which collection it belongs to
    source: str  # name of the data source
    interaction_type: InteractionType
    language: str | None
    occurred_at: datetime
    entity_ids: tuple[UUID, ...]  # people and companies, as linked when it was written
    content_hash: bytes  # sha256 of the passage, 32 bytes
    vector: "Vectors" = field(repr=False, compare=False)  # shape (dim,)


@dataclass(frozen=True, slots=True, kw_only=True)
class VectorQuery:
    """The nearest passages to a vector: at most `most`, of at least `least_similarity` (cosine), the nearest first."""

    vector: "Vectors" = field(repr=False, compare=False)  # shape (dim,), of length 1
    most: int
    filters: Filters = Filters()
    least_similarity: float = -1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class VectorHit:
    """One passage that was found."""

    memory_id: UUID
    interaction_id: UUID
    similarity: float  # cosine, in [-1, 1]


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptObject:
    """What a vector store says it holds, for the comparison with the record."""

    memory_id: UUID
    interaction_id: UUID
    content_hash: bytes
    entity_ids: frozenset[UUID]


@dataclass(frozen=True, slots=True, kw_only=True)
class PutReport:
    """What became of a write: an object that is in neither was written and confirmed."""

    written: int
    failed: Mapping[UUID, str] = field(default_factory=dict)  # why, by memory id; no personal values


class VectorStore(Protocol):
    """The cold tier: vectors of all history, of one embedder. Each call takes the tenant, and nothing of another one comes back.

    Every call ends within the store's deadline. A store that is away raises TransientError (BreakerOpenError while it is left alone).
    """

    @property
    def name(self) -> str:
        """weaviate, postgres or scan."""

    def is_live(self) -> bool:
        """Whether it can be asked now; never raises."""

    def put(self, tenant: TenantId, objects: Sequence[VectorObject]) -> PutReport:
        """Write or overwrite; what failed is tried again by itself, with its tenant, and said if it fails for good.

        Raises:
            EmbeddingError: A vector has another dimension, or is no unit vector; nothing was sent.
        """

    def search(self, tenant: TenantId, query: VectorQuery) -> list[VectorHit]:
        """The nearest first; exactly min(most, matching) of them."""

    def delete(self, tenant: TenantId, interaction_ids: Sequence[UUID]) -> int:
        """Take out every passage of interactions; says how many there were. Of unknown ones, none."""

    def delete_memories(self, tenant: TenantId, memory_ids: Sequence[UUID]) -> int:
        """Take out single passages."""

    def drop_tenant(self, tenant: TenantId) -> None:
        """Take out everything of a tenant, and of nobody else."""

    def count(self, tenant: TenantId) -> int:
        """Passages of a tenant."""

    def scan(self, tenant: TenantId) -> Iterator[KeptObject]:
        """Everything of a tenant, each once, in no order that matters."""

    def serve(self) -> None:
        """This embedder's vectors are complete: whoever reads the store by the names of its collections finds them from now on."""

    def rest(self, idle_s: float | None = None) -> list[TenantId]:
        """Put tenants to rest that nobody has asked for so long; they wake by themselves. Says which."""

    def close(self) -> None:
        """Let go of every connection; the second time does nothing."""


Clock = Callable[[], float]  # seconds, never backwards
