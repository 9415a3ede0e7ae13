"""The collections in Weaviate: made by us alone, one for each kind of source and embedder; what differs from that is refused.

A collection is called BASE_<8 hex digits of the sha256 of the embedder's id>; the alias BASE names the one that serves.
"""

import hashlib
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pay_ready.errors import ConfigError, ConflictError
from pay_ready.memory.cold.options import IndexOptions, WeaviateOptions

if TYPE_CHECKING:  # heavy
    from weaviate import WeaviateAsyncClient
    from weaviate.collections.classes.config import _CollectionConfig

VECTOR = "default"  # the name of the one vector
# Property to type and whether it is filtered by. No text of any passage is among them.
PROPERTIES: Mapping[str, tuple[str, bool]] = {
    "tenant_id": ("uuid", True),
    "interaction_id": ("uuid", True),
    "chunk_no": ("int", False),
    "source": ("text", True),
    "interaction_type": ("text", True),
    "language": ("text", True),
    "occurred_at": ("date", True),
    "entity_ids": ("uuid[]", True),
    "content_hash": ("text", False),
}
_FIRST_WITH_ALIASES = (1, 32)


def physical_name(base: str, embedder_id: str) -> str:
    """The collection of an embedder's vectors."""
    return f"{base}_{hashlib.sha256(embedder_id.encode()).hexdigest()[:8]}"


def has_aliases(version: str) -> bool:
    """Whether a server of this version knows aliases."""
    numbers = re.match(r"(\d+)\.(\d+)", version)
    return numbers is not None and (int(numbers[1]), int(numbers[2])) >= _FIRST_WITH_ALIASES


async def ensure(client: "WeaviateAsyncClient", options: WeaviateOptions, embedder_id: str) -> None:
    """Every collection of an embedder is there and as it must be.

    Raises:
        ConfigError: One is not; says what differs.
    """
    there = set(await client.collections.list_all(simple=True))
    for base in options.bases:
        name = physical_name(base, embedder_id)
        if name not in there:
            await _create(client, name, options)
        await _check(client, name, options)


async def all_physical(client: "WeaviateAsyncClient", options: WeaviateOptions) -> list[str]:
    """Our collections of every embedder: what is erased must leave them all."""
    ours = re.compile(rf"({'|'.join(options.bases)})_[0-9a-f]{{8}}")
    return sorted(name for name in await client.collections.list_all(simple=True) if ours.fullmatch(name))


async def serving(client: "WeaviateAsyncClient", options: WeaviateOptions) -> dict[str, str]:
    """The collection that each alias of ours names, by base."""
    aliases = await client.alias.list_all()
    return {base: aliases[base].collection for base in options.bases if base in aliases}


async def serve(client: "WeaviateAsyncClient", options: WeaviateOptions, embedder_id: str) -> None:
    """Let the aliases name this embedder's collections. Each moves at once; nobody ever finds an alias that names nothing."""
    now = await serving(client, options)
    for base in options.bases:
        name = physical_name(base, embedder_id)
        if base not in now:
            await client.alias.create(alias_name=base, target_collection=name)
        elif now[base] != name:
            await client.alias.update(alias_name=base, new_target_collection=name)


async def drop(client: "WeaviateAsyncClient", options: WeaviateOptions, embedder_id: str) -> list[str]:
    """Take out an embedder's collections, of all tenants; says which there were.

    Raises:
        ConflictError: They serve.
    """
    names = {physical_name(base, embedder_id) for base in options.bases}
    used = names & set((await serving(client, options)).values() if has_aliases((await client.get_meta())["version"]) else ())
    if used:
        raise ConflictError("the vectors of this embedder serve", "let another one serve first", collections=",".join(sorted(used)))
    there = sorted(names & set(await all_physical(client, options)))
    for name in there:
        await client.collections.delete(name)
    return there


async def _create(client: "WeaviateAsyncClient", name: str, options: WeaviateOptions) -> None:
    from weaviate.classes.config import Configure
    from weaviate.exceptions import UnexpectedStatusCodeError

    factor = options.replication_factor
    try:
        await client.collections.create(
            name,
            multi_tenancy_config=Configure.multi_tenancy(enabled=True, auto_tenant_creation=False, auto_tenant_activation=False),
            vector_config=Configure.Vectors.self_provided(name=VECTOR, vector_index_config=_index(options.index)),
            replication_config=None if factor is None else Configure.replication(factor=factor),
            properties=[_property(each, *kind) for each, kind in PROPERTIES.items()],
        )
    except UnexpectedStatusCodeError as error:
        # Two processes may begin at once: what the other one made is looked at next.
        if error.status_code != 422 or not await client.collections.exists(name):
            raise


def _property(name: str, data_type: str, is_filtered: bool) -> Any:
    from weaviate.classes.config import DataType, Property, Tokenization

    return Property(
        name=name, data_type=DataType(data_type), index_filterable=is_filtered,
        index_searchable=False if data_type == "text" else None,
        index_range_filters=True if data_type == "date" else None,
        tokenization=Tokenization.FIELD if data_type == "text" else None,
    )  # fmt: skip


def _index(index: IndexOptions) -> Any:
    from weaviate.classes.config import Configure, VectorDistances

    cosine = VectorDistances.COSINE
    if index.kind == "flat":
        return Configure.VectorIndex.flat(distance_metric=cosine)
    graph = Configure.VectorIndex.hnsw(distance_metric=cosine, ef=index.ef, ef_construction=index.ef_construction, max_connections=index.m)
    if index.kind == "hnsw":
        return graph
    return Configure.VectorIndex.dynamic(
        distance_metric=cosine, threshold=index.graph_from, hnsw=graph, flat=Configure.VectorIndex.flat(distance_metric=cosine)
    )


async def _check(client: "WeaviateAsyncClient", name: str, options: WeaviateOptions) -> None:
    expected, found = _expected(options.index), _found(await client.collections.use(name).config.get())
    differing = sorted(key for key in expected.keys() | found.keys() if expected.get(key) != found.get(key))
    if differing and {"ef", "exact_up_to"}.issuperset(differing):  # of a search, not of what is stored: they may change
        await _change_search(client, name, options.index)
        return
    if differing:
        what = "; ".join(f"{key} is {found.get(key)}, not {expected.get(key)}" for key in differing)
        raise ConfigError("a collection in Weaviate is not as we make it", "drop it and rebuild", collection=name, differs=what)


def _expected(index: IndexOptions) -> dict[str, object]:
    facts: dict[str, object] = {
        "multi_tenancy": True, "auto_tenant_creation": False, "auto_tenant_activation": False, "vectors": VECTOR,
        "vectorizer": "none", "index": index.kind, "distance": "cosine",
    }  # fmt: skip
    if index.kind != "flat":
        facts |= {"m": index.m, "ef_construction": index.ef_construction, "ef": index.ef, "exact_up_to": index.exact_up_to}
    if index.kind == "dynamic":
        facts["graph_from"] = index.graph_from
    return facts | {f"property {name}": f"{kind}, filtered: {filtered}" for name, (kind, filtered) in PROPERTIES.items()}


def _found(config: "_CollectionConfig") -> dict[str, object]:
    tenancy, vectors = config.multi_tenancy_config, config.vector_config or {}
    facts: dict[str, object] = {
        "multi_tenancy": tenancy.enabled, "auto_tenant_creation": tenancy.auto_tenant_creation,
        "auto_tenant_activation": tenancy.auto_tenant_activation, "vectors": ",".join(sorted(vectors)),
    }  # fmt: skip
    if (vector := vectors.get(VECTOR)) is not None:
        index: Any = vector.vector_index_config
        graph: Any = getattr(index, "hnsw", index)
        facts |= {
            "vectorizer": getattr(vector.vectorizer.vectorizer, "value", vector.vectorizer.vectorizer),
            "index": index.vector_index_type(), "distance": str(getattr(index.distance_metric, "value", index.distance_metric)),
        }  # fmt: skip
        if hasattr(graph, "ef_construction"):
            facts |= {
                "m": graph.max_connections,
                "ef_construction": graph.ef_construction,
                "ef": graph.ef,
                "exact_up_to": graph.flat_search_cutoff,
            }
        if graph is not index:
            facts["graph_from"] = getattr(index, "threshold", None)
    return facts | {f"property {each.name}": f"{each.data_type.value}, filtered: {each.index_filterable}" for each in config.properties}


async def _change_search(client: "WeaviateAsyncClient", name: str, index: IndexOptions) -> None:
    from weaviate.classes.config import Reconfigure

    graph = Reconfigure.VectorIndex.hnsw(ef=index.ef, flat_search_cutoff=index.exact_up_to)
    change = graph if index.kind == "hnsw" else Reconfigure.VectorIndex.dynamic(hnsw=graph)
    await client.collections.use(name).config.update(vector_config=Reconfigure.Vectors.update(name=VECTOR, vector_index_config=change))
