"""The composition root of memory: embedder, vector store and tiers of a process. Only commands that use memory load it."""

import os
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import cached_property
from pathlib import Path

from pay_ready.db.tenancy import Database
from pay_ready.db.vector_tables import IndexOptions as VectorIndexOptions
from pay_ready.db.vector_tables import enable_vectors, has_pgvector
from pay_ready.errors import ConfigError
from pay_ready.memory.batching import BatchLimits
from pay_ready.memory.cold.options import EmbeddedOptions, IndexOptions, WeaviateOptions
from pay_ready.memory.embed.choose import embedder_states, open_embedder
from pay_ready.memory.embed.options import EmbedderOptions, OpenAIOptions
from pay_ready.memory.hot import HotOptions, HotTier
from pay_ready.memory.policy import WarmPolicy
from pay_ready.memory.settings import IndexingOptions, SearchOptions
from pay_ready.memory.tiers import MemoryManager
from pay_ready.model.memory import Embedder, VectorStore
from pay_ready.settings import Domain, Environment, Settings

_MOST_THREADS = 8  # of one pass: more bring little


@dataclass(frozen=True, kw_only=True)
class MemoryParts:
    """What memory is made of: each part is opened when it is first asked for, once."""

    environment: Environment
    domain: Domain
    settings: Settings
    database: Database
    admin_url: str | None
    is_embedded: bool  # the database is ours alone

    @cached_property
    def embedder(self) -> Embedder:
        """The configured embedder.

        Raises:
            NotFoundError, ConfigError: It was asked for by name and cannot be had.
        """
        return open_embedder(self.embedder_options)

    @property
    def embedder_options(self) -> EmbedderOptions:
        """What the settings say of embedders."""
        return embedder_options(self.settings, self.environment)

    @cached_property
    def vector_store(self) -> VectorStore | None:
        """The vector store beside Postgres; None where there is none."""
        if self.settings.weaviate.mode == "off":
            return None
        from pay_ready.memory.cold.weaviate import WeaviateStore

        return WeaviateStore(self.weaviate_options, embedder_id=self.embedder.id, dim=self.embedder.dim)

    @property
    def weaviate_options(self) -> WeaviateOptions:
        """Where Weaviate is, and how it is asked.

        Raises:
            ConfigError: There is none, or its address is off.
        """
        return _weaviate_options(self.settings, self.domain, self.environment)

    @cached_property
    def memory(self) -> MemoryManager:
        """Memory of every tenant."""
        if self.is_embedded:
            self.enable_vectors()
        asked = self.settings.memory_management
        hot = HotOptions(most_items=asked.hot_cache_size, most_bytes=asked.hot_cache_mb << 20, ttl_s=asked.hot_cache_ttl_hours * 3_600)
        return MemoryManager(
            self.database, hot=HotTier(hot), embedder=lambda: self.embedder, former=self._former, outer=self.vector_store,
            options=_indexing_options(self.settings),
        )  # fmt: skip

    def enable_vectors(self) -> str | None:
        """Make the table of the configured embedder's vectors, where this process is an administrator and the server has pgvector.

        Returns:
            The embedder's tag; None where vectors are compared by reading them.
        """
        if self.admin_url is None or not has_pgvector(self.admin_url):
            return None
        asked = self.settings.memory_management
        options = VectorIndexOptions(m=asked.index_m, ef_construction=asked.index_ef_construction)
        return enable_vectors(self.admin_url, self.domain.database_schema, self.embedder.id, self.embedder.dim, options)

    def close(self) -> None:
        """Let go of what was opened."""
        store: VectorStore | None = self.__dict__.get("vector_store")
        if store is not None:
            store.close()

    def _former(self, embedder_id: str) -> Embedder | None:
        options = self.embedder_options
        found = next((each.provider for each in embedder_states(options) if each.usable and each.id == embedder_id), None)
        return None if found is None else open_embedder(replace(options, provider=found))


def embedder_options(settings: Settings, environment: Environment) -> EmbedderOptions:
    """What the settings say of embedders; no database is needed for it."""
    asked, key = settings.embedding, environment.embedding_api_key
    openai = None
    if asked.url:
        openai = OpenAIOptions(url=asked.url, model=asked.model, dim=asked.dimensions, api_key=key.get_secret_value() if key else "")
    threads = asked.threads or min(len(os.sched_getaffinity(0)), _MOST_THREADS)
    return EmbedderOptions(provider=asked.provider, threads=threads, openai=openai)


def _indexing_options(settings: Settings) -> IndexingOptions:
    asked = settings.memory_management
    search = SearchOptions(
        exact_below=asked.exact_below, ef_search=asked.index_ef, candidates=asked.candidates, vector_share=asked.vector_share
    )  # fmt: skip
    return IndexingOptions(
        languages=asked.languages, warm=WarmPolicy(window=timedelta(days=asked.warm_cache_ttl_days)),
        batch=BatchLimits(start=asked.batch_size), search=search,
    )  # fmt: skip


def _weaviate_options(settings: Settings, domain: Domain, environment: Environment) -> WeaviateOptions:
    asked, named = settings.weaviate, dict(domain.collections)
    if asked.mode == "off":
        raise ConfigError("there is no Weaviate", "set weaviate.mode", key="weaviate.mode")
    embedded = None
    if asked.mode == "embedded":
        if not asked.binary_folder or not asked.version:
            hint = "the folder of the binary and its x.y.z; nothing is downloaded"
            raise ConfigError("an embedded Weaviate needs weaviate.binary_folder and weaviate.version", hint, key="weaviate.mode")
        folder = Path(asked.data_folder) if asked.data_folder else environment.state_folder / "weaviate"
        embedded = EmbeddedOptions(binary_folder=Path(asked.binary_folder), version=asked.version, data_folder=folder)
    other = named.pop("other", f"{domain.namespace.title().replace('_', '')}Interaction")
    return WeaviateOptions(
        mode=asked.mode, url=asked.url, grpc_host=asked.grpc_host or None, grpc_port=asked.grpc_port or None,
        api_key=environment.weaviate_api_key, embedded=embedded, query_s=asked.query_s, write_s=asked.write_s, open_s=asked.open_s,
        idle_s=asked.idle_minutes * 60, breaker_opens_after=asked.breaker_failures, breaker_open_s=asked.breaker_open_s,
        collections=named, other_collection=other,
        index=IndexOptions(
            kind=asked.index, m=asked.index_m, ef_construction=asked.index_ef_construction, ef=asked.index_ef,
            exact_up_to=asked.exact_up_to, graph_from=asked.graph_from,
        ),
    )  # fmt: skip
