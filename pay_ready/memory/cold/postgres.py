"""The cold tier without Weaviate: the vectors that Postgres keeps anyway, by pgvector or, where that is missing, by reading them."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from uuid import UUID

from pay_ready.db import embedders as db_embedders
from pay_ready.db import vectors as db_vectors
from pay_ready.db.tenancy import Database, TenantTransaction, Work
from pay_ready.db.vector_tables import embedder_tag
from pay_ready.db.vectors import FreshVector, VectorTable
from pay_ready.memory.cold.guards import check_objects, check_vector, tenant_text
from pay_ready.memory.settings import SearchOptions
from pay_ready.model.ids import TenantId
from pay_ready.model.memory import KeptObject, PutReport, VectorHit, VectorObject, VectorQuery

_PAGE = 5_000


class PostgresStore:
    """A `VectorStore` on the tables of one embedder. What a vector is about is read from the record: a write brings the vector alone."""

    def __init__(self, database: Database, *, embedder_id: str, dim: int, options: SearchOptions | None = None) -> None:
        self._database, self._embedder_id, self._dim = database, embedder_id, dim
        self._options = options or SearchOptions()
        self._tag = embedder_tag(embedder_id)
        self._name = "postgres"

    @property
    def name(self) -> str:
        """postgres, or scan where a call found pgvector missing."""
        return self._name

    def is_live(self) -> bool:
        """Whether the database has connections to give."""
        return True

    def put(self, tenant: TenantId, objects: Sequence[VectorObject]) -> PutReport:
        """Write the vectors of passages that the record has as they are told."""
        check_objects(objects, self._dim)
        latest = {each.memory_id: each for each in objects}
        with self._opened(tenant, work="batch") as tx:
            table = self._table(tx)
            db_embedders.begin(tx, self._embedder_id, self._dim)
            fresh = [
                FreshVector(
                    memory_id=each.memory_id, interaction_id=each.interaction_id, content_hash=each.content_hash, vector=each.vector
                )
                for each in latest.values()
            ]
            table.write(tx, fresh, in_index=False)
            kept = table.hashes(tx, list(latest))
        there = {each.memory_id for each in latest.values() if kept.get(each.memory_id) == each.content_hash}
        failed = dict.fromkeys(latest.keys() - there, "the record has no such passage, or it says something else now")
        return PutReport(written=len(there), failed=failed)

    def search(self, tenant: TenantId, query: VectorQuery) -> list[VectorHit]:
        """The nearest first; exactly min(most, matching) of them."""
        check_vector(query.vector, self._dim)
        if query.most < 1:
            return []
        with self._opened(tenant) as tx:
            serving = next((each for each in db_embedders.embedders(tx) if each.embedder_tag == self._tag), None)
            is_indexed = serving is not None and serving.is_indexed
            return self._table(tx).nearest(tx, query, is_indexed=is_indexed, ef=self._options.ef_search)

    def delete(self, tenant: TenantId, interaction_ids: Sequence[UUID]) -> int:
        """Take out the vectors of interactions."""
        with self._opened(tenant, work="batch") as tx:
            return self._table(tx).drop_interactions(tx, interaction_ids)

    def delete_memories(self, tenant: TenantId, memory_ids: Sequence[UUID]) -> int:
        """Take out single vectors."""
        with self._opened(tenant, work="batch") as tx:
            return self._table(tx).drop_memories(tx, memory_ids)

    def drop_tenant(self, tenant: TenantId) -> None:
        """Take out all vectors of a tenant."""
        with self._opened(tenant, work="batch") as tx:
            self._table(tx).drop_all(tx)

    def count(self, tenant: TenantId) -> int:
        """Vectors of a tenant."""
        with self._opened(tenant) as tx:
            return self._table(tx).count(tx).vectors

    def scan(self, tenant: TenantId) -> Iterator[KeptObject]:
        """Everything of a tenant, by id, page by page."""
        after: UUID | None = None
        while True:
            with self._opened(tenant, work="batch") as tx:
                found = self._table(tx).kept(tx, after, _PAGE)
            if not found:
                return
            yield from found
            after = found[-1].memory_id

    def serve(self) -> None:
        """Which embedder serves is said of each tenant."""

    def rest(self, idle_s: float | None = None) -> list[TenantId]:  # noqa: ARG002 - the port's
        """Rows need no rest."""
        return []

    def close(self) -> None:
        """The database is its opener's to close."""

    @contextmanager
    def _opened(self, tenant: TenantId, work: Work = "people") -> Iterator[TenantTransaction]:
        tenant_text(tenant)
        with self._database.tenant_transaction(tenant, work=work) as tx:
            yield tx

    def _table(self, tx: TenantTransaction) -> VectorTable:
        table = db_vectors.vector_table(tx, self._tag, self._dim)
        self._name = "postgres" if table.has_index else "scan"
        return table
