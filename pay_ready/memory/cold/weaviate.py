"""The cold tier on Weaviate: a projection of the passages' vectors, without their texts, rebuilt from Postgres at will.

Synchronous outside, the client's asynchronous half inside (the other one blocks for a minute on a server that is gone). Each call ends
within its deadline; one that waits asks whether the server is alive, and when it is not, the breaker opens at once.
"""

import asyncio
import heapq
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar
from uuid import UUID

import structlog

from pay_ready.breaker import BreakerState
from pay_ready.errors import TransientError, UsageError
from pay_ready.memory.cold import schema
from pay_ready.memory.cold.calls import Calls
from pay_ready.memory.cold.faults import is_asleep
from pay_ready.memory.cold.guards import FoundObject, check_hits, check_objects, check_vector, tenant_text
from pay_ready.memory.cold.objects import FOUND, KEPT, as_found, as_kept, chunks, conditions, greatest_distance
from pay_ready.memory.cold.options import WeaviateOptions
from pay_ready.memory.cold.sleepers import Sleepers
from pay_ready.memory.cold.writing import Progress, write_chunk
from pay_ready.model.ids import TenantId
from pay_ready.model.memory import Clock, KeptObject, PutReport, VectorHit, VectorObject, VectorQuery

if TYPE_CHECKING:  # heavy
    from weaviate import WeaviateAsyncClient
    from weaviate.collections.classes.filters import _Filters
    from weaviate.collections.collection.async_ import CollectionAsync

    Part = CollectionAsync[Any, Any]  # a tenant's part of a collection

T = TypeVar("T")
log = structlog.get_logger()

MOST_HITS = 10_000  # the server's own limit
_PAGE = 1_000
_IDS_PER_DELETE = 500
_CLOSE_S = 5.0
_TRIES = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreDescription:
    """What there is: for people, and for the choice of what to do next."""

    version: str
    embedder_id: str
    collections: tuple[str, ...]  # of this embedder
    serving: Mapping[str, str] | None  # collection by alias; None: the server is older than 1.32 and knows no aliases

    @property
    def is_serving(self) -> bool:
        """Whether this embedder's collections are the ones that the aliases name."""
        return self.serving is None or set(self.serving.values()) == set(self.collections)


class WeaviateStore:
    """A `VectorStore`. Thread-safe; one of a process, made after any fork. Nothing is opened before the first call."""

    def __init__(self, options: WeaviateOptions, *, embedder_id: str, dim: int, clock: Clock = time.monotonic) -> None:
        self._options, self._embedder_id, self._dim = options, embedder_id, dim
        self._collections = [schema.physical_name(base, embedder_id) for base in options.bases]
        self._sleepers = Sleepers(clock)
        self._calls = Calls(options, self._prepare)

    @property
    def name(self) -> str:
        """weaviate."""
        return "weaviate"

    @property
    def breaker(self) -> BreakerState:
        """Whether the server is asked at all at the moment."""
        return self._calls.breaker

    def is_live(self) -> bool:
        """Whether REST and gRPC answer; False while the breaker is open. As any call, it closes a breaker that has waited enough."""
        return self._calls.is_live()

    def put(self, tenant: TenantId, objects: Sequence[VectorObject]) -> PutReport:
        """See the port. Of objects with the same id the last counts. What the deadline cut is said among the failed."""
        tenant_text(tenant)
        check_objects(objects, self._dim)
        latest = {each.memory_id: each for each in objects}
        progress = Progress()

        async def write(client: "WeaviateAsyncClient") -> None:
            for collection, chunk in self._chunks(list(latest.values()), (await client.get_meta()).get("grpcMaxMessageSize")):

                async def awake(again: bool, name: str = collection) -> "Part":
                    if again:
                        self._sleepers.forget(tenant, name)
                    await self._sleepers.wake(client, name, tenant, create=True)
                    return client.collections.use(name).with_tenant(tenant_text(tenant))

                await write_chunk(awake, tenant, chunk, progress)

        if latest:
            self._sleepers.touch(tenant)
            try:
                self._calls.ask("put", write, self._options.write_s)
            except TransientError as error:
                if not progress.written:
                    raise
                late = latest.keys() - progress.written - progress.failed.keys()
                progress.failed |= dict.fromkeys(late, f"not confirmed: {error.what}")
        if progress.failed:
            log.warning("objects.refused", kind=self.name, tenant=str(tenant), written=len(progress.written), failed=len(progress.failed))
        return PutReport(written=len(progress.written), failed=progress.failed)

    def search(self, tenant: TenantId, query: VectorQuery) -> list[VectorHit]:
        """See the port; at most 10,000.

        Raises:
            UsageError: More are asked for.
            IsolationError: The server gave back what was not asked for.
        """
        tenant_text(tenant)
        check_vector(query.vector, self._dim)
        if query.most > MOST_HITS:
            raise UsageError("a search gives 10,000 passages at most", most=query.most)
        if query.most <= 0:
            return []
        where = conditions(tenant, query.filters)

        async def near(part: "Part") -> list[FoundObject]:
            from weaviate.classes.query import MetadataQuery

            answer = await part.query.near_vector(
                near_vector=query.vector.tolist(), target_vector=schema.VECTOR, limit=query.most, filters=where,
                distance=greatest_distance(query.least_similarity), return_metadata=MetadataQuery(distance=True),
                return_properties=FOUND,
            )  # fmt: skip
            found = [as_found(each) for each in answer.objects]
            return found if len(found) == query.most else await self._completed(part, query, where, found)

        found = [hit for part in self._everywhere("search", tenant, near, list[FoundObject]) for hit in part]
        check_hits(self.name, tenant, found, query.filters, query.least_similarity)
        nearest = heapq.nsmallest(query.most, found, key=lambda hit: (-hit.similarity, hit.memory_id))
        return [VectorHit(memory_id=hit.memory_id, interaction_id=hit.interaction_id, similarity=hit.similarity) for hit in nearest]

    def delete(self, tenant: TenantId, interaction_ids: Sequence[UUID]) -> int:
        """See the port. What is taken out leaves the collections of every embedder; this one's are counted."""
        from weaviate.classes.query import Filter

        return self._delete(tenant, interaction_ids, lambda ids: Filter.by_property("interaction_id").contains_any(ids))

    def delete_memories(self, tenant: TenantId, memory_ids: Sequence[UUID]) -> int:
        """See the port; as `delete`."""
        from weaviate.classes.query import Filter

        return self._delete(tenant, memory_ids, lambda ids: Filter.by_id().contains_any(ids))

    def drop_tenant(self, tenant: TenantId) -> None:
        """See the port; of every embedder."""
        text = tenant_text(tenant)

        async def drop(client: "WeaviateAsyncClient") -> None:
            for name in await schema.all_physical(client, self._options):
                if await client.collections.use(name).tenants.get_by_name(text) is not None:
                    await client.collections.use(name).tenants.remove(text)

        self._calls.ask("drop_tenant", drop, self._options.write_s)
        self._sleepers.forget(tenant)

    def count(self, tenant: TenantId) -> int:
        """See the port."""

        async def total(collection: "Part") -> int:
            return (await collection.aggregate.over_all(total_count=True)).total_count or 0

        return sum(self._everywhere("count", tenant, total, int))

    def scan(self, tenant: TenantId) -> Iterator[KeptObject]:
        """See the port. By pages, each within the deadline; what is written meanwhile may or may not be seen."""
        tenant_text(tenant)
        for name in self._collections:
            after: UUID | None = None
            while page := self._page(tenant, name, after):
                yield from page
                after = page[-1].memory_id

    def rest(self, idle_s: float | None = None) -> list[TenantId]:
        """See the port; who is awake and unknown to this process is taken for asked for now."""
        idle_s = self._options.idle_s if idle_s is None else idle_s
        return self._calls.ask("rest", lambda client: self._sleepers.rest(client, self._collections, idle_s), self._options.write_s)

    def serve(self) -> None:
        """Let the aliases name this embedder's collections, each at once. Without effect on servers that know no aliases."""

        async def move(client: "WeaviateAsyncClient") -> None:
            if schema.has_aliases((await client.get_meta())["version"]):
                await schema.serve(client, self._options, self._embedder_id)

        self._calls.ask("serve", move, self._options.write_s)
        log.info("embedder.served", kind=self.name, version=self._embedder_id)

    def drop_embedder(self, embedder_id: str) -> list[str]:
        """Take out another embedder's vectors, of all tenants; says which collections these were.

        Raises:
            ConflictError: They serve.
            UsageError: It is this store's own.
        """
        if embedder_id == self._embedder_id:
            raise UsageError("a store does not take out its own embedder", "open it with the one that stays", embedder=embedder_id)
        return self._calls.ask("drop_embedder", lambda client: schema.drop(client, self._options, embedder_id), self._options.write_s)

    def describe(self) -> StoreDescription:
        """What there is."""

        async def look(client: "WeaviateAsyncClient") -> StoreDescription:
            version = (await client.get_meta())["version"]
            serving = await schema.serving(client, self._options) if schema.has_aliases(version) else None
            return StoreDescription(version=version, embedder_id=self._embedder_id, collections=tuple(self._collections), serving=serving)

        return self._calls.ask("describe", look, self._options.query_s)

    def close(self) -> None:
        """See the port; also done when the process exits."""
        self._calls.close()

    async def _prepare(self, client: "WeaviateAsyncClient") -> None:
        self._sleepers.forget_all()
        # The server behind the address may be another one.
        await schema.ensure(client, self._options, self._embedder_id)

    def _chunks(self, objects: Sequence[VectorObject], server_bytes: int | None) -> Iterator[tuple[str, list[VectorObject]]]:
        """The objects of each collection, in messages of at most half of what the server takes."""
        most_bytes = min(self._options.most_bytes, (server_bytes or self._options.most_bytes * 2) // 2)
        for base in self._options.bases:
            of_base = [each for each in objects if self._options.base_of(each.source_kind) == base]
            for chunk in chunks(of_base, self._options.most_objects, most_bytes):
                yield schema.physical_name(base, self._embedder_id), chunk

    def _delete(self, tenant: TenantId, ids: Sequence[UUID], where: Callable[[list[str]], "_Filters"]) -> int:
        texts = [str(each) for each in dict.fromkeys(ids)]
        parts = [texts[start : start + _IDS_PER_DELETE] for start in range(0, len(texts), _IDS_PER_DELETE)]

        async def delete(client: "WeaviateAsyncClient") -> int:
            taken = 0
            for name in await schema.all_physical(client, self._options):
                for part in parts:
                    gone = await self._in(client, name, tenant, partial(_delete_all, where=where(part)), 0)
                    taken += gone if name in self._collections else 0
            return taken

        tenant_text(tenant)
        return self._calls.ask("delete", delete, self._options.write_s) if parts else 0

    async def _completed(self, part: "Part", query: VectorQuery, where: "_Filters", found: list[FoundObject]) -> list[FoundObject]:
        """The hits, all of them: of a short answer without a threshold it is asked whether there is more.

        A server that was killed may have lost its index of vectors and none of its objects (1.39.0 does, says nothing, and takes a repeated
        write for no change): these are compared here, one by one. What comes back short of a threshold is taken for all there is.
        """
        if greatest_distance(query.least_similarity) is not None:
            return found
        matching = (await part.aggregate.over_all(filters=where, total_count=True)).total_count or 0
        if matching <= len(found):
            return found
        log.warning("index.incomplete", kind=self.name, table=part.name, found=len(found), matching=matching)
        answer = await part.query.fetch_objects(filters=where, limit=MOST_HITS, include_vector=True, return_properties=FOUND)
        return [as_found(each, query.vector) for each in answer.objects]

    def _page(self, tenant: TenantId, name: str, after: UUID | None) -> list[KeptObject]:
        async def fetch(collection: "Part") -> list[KeptObject]:
            answer = await collection.query.fetch_objects(limit=_PAGE, after=after, return_properties=KEPT)
            return [as_kept(tenant, each) for each in answer.objects]

        self._sleepers.touch(tenant)
        return self._calls.ask("scan", lambda client: self._in(client, name, tenant, fetch, []), self._options.query_s)

    def _everywhere(self, doing: str, tenant: TenantId, call: "Callable[[Part], Awaitable[T]]", absent: Callable[[], T]) -> list[T]:
        """What a tenant's part of each collection gives, all asked at once."""
        tenant_text(tenant)

        async def gather(client: "WeaviateAsyncClient") -> list[T]:
            return await asyncio.gather(*(self._in(client, name, tenant, call, absent()) for name in self._collections))

        self._sleepers.touch(tenant)
        return self._calls.ask(doing, gather, self._options.query_s)

    async def _in(self, client: "WeaviateAsyncClient", name: str, tenant: TenantId, call: "Callable[[Part], Awaitable[T]]", absent: T) -> T:
        """What a tenant's part of a collection gives; `absent` when it is not there. Put to rest meanwhile, it is woken again."""
        from weaviate.exceptions import WeaviateBaseError

        for _ in range(_TRIES):
            if await self._sleepers.wake(client, name, tenant) == "absent":
                return absent
            try:
                return await call(client.collections.use(name).with_tenant(tenant_text(tenant)))
            except WeaviateBaseError as error:
                if not is_asleep(error.message):
                    raise
                self._sleepers.forget(tenant, name)
        raise TransientError("a tenant does not stay awake", "try again later", collection=name, tenant=tenant)


async def _delete_all(collection: "Part", where: "_Filters") -> int:
    """Take out what matches, however much it is: the server stops after 10,000 and says so only in its numbers."""
    taken = 0
    while True:
        answer = await collection.data.delete_many(where=where)
        taken += answer.successful
        if answer.matches == answer.successful:
            return taken
        if answer.failed or not answer.successful:
            raise TransientError("Weaviate did not delete everything", "try again later", failed=answer.failed, matches=answer.matches)
