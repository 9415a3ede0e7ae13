"""How the cold tier reaches Weaviate and what it keeps there: values only."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Literal, Protocol
from urllib.parse import urlsplit

from pay_ready.errors import ConfigError

Mode = Literal["server", "cloud", "embedded"]
IndexKind = Literal["hnsw", "flat", "dynamic"]

COLLECTIONS: Mapping[str, str] = MappingProxyType({
    "slack": "PayReadySlackMessage", "gong": "PayReadyGongCallSegment",
    "hubspot": "PayReadyHubSpotNote", "salesforce": "PayReadySalesforceNote",
})  # fmt: skip
OTHER_COLLECTION = "PayReadyInteraction"
_BASE = re.compile(r"[A-Z][A-Za-z0-9]{0,200}")  # no underscore: that parts the base from the embedder


class Secret(Protocol):
    """A value that shows itself to nobody who does not ask (pydantic's SecretStr is one)."""

    def get_secret_value(self) -> str: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexOptions:
    """Recall against speed and memory."""

    kind: IndexKind = "hnsw"
    m: int = 32  # links of a node
    ef_construction: int = 128
    ef: int = -1  # candidates of a search; -1: the server's, grown with what is asked for
    exact_up_to: int = 40_000  # matching vectors of a tenant in a collection that are compared one by one, without the graph
    graph_from: int = 10_000  # dynamic: vectors of a tenant from which there is a graph (the server needs asynchronous indexing)


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbeddedOptions:
    """A server of this process's own; its binary is never downloaded."""

    binary_folder: Path
    version: str  # x.y.z
    data_folder: Path
    start_s: float = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class WeaviateOptions:
    """Where Weaviate is, how long to wait for it, and what its collections are called.

    `collections` names the collection of each kind of source, `other_collection` that of every other kind. Seconds throughout.
    """

    mode: Mode = "server"
    url: str = "http://127.0.0.1:8080"
    grpc_host: str | None = None  # server: that of the url; cloud: grpc-<host of the url>
    grpc_port: int | None = None  # server: 50051; cloud: 443
    api_key: Secret | None = field(default=None, repr=False)
    embedded: EmbeddedOptions | None = None
    query_s: float = 2.0
    write_s: float = 30.0
    open_s: float = 15.0  # connecting and the schema; a call that is made meanwhile waits no longer than its own deadline
    patience_s: float = 0.25  # after which a call without an answer asks whether the server is alive
    idle_s: float = 900.0  # after which a tenant may be put to rest
    breaker_opens_after: int = 5
    breaker_open_s: float = 10.0
    most_objects: int = 500  # of one write
    most_bytes: int = 16_000_000  # of one write; never more than half of what the server takes
    index: IndexOptions = IndexOptions()
    replication_factor: int | None = None  # None: the server's
    collections: Mapping[str, str] = field(default_factory=lambda: dict(COLLECTIONS))
    other_collection: str = OTHER_COLLECTION

    def __post_init__(self) -> None:
        """Refuse what cannot work.

        Raises:
            ConfigError: The url, a collection's name, or the mode's own options.
        """
        if self.mode == "embedded":
            if self.embedded is None:
                raise ConfigError("embedded Weaviate needs a binary folder, a version and a data folder", key="weaviate.embedded")
        elif urlsplit(self.url).scheme not in ("http", "https") or not urlsplit(self.url).hostname:
            raise ConfigError("the address of Weaviate is no URL", "http://host:port or https://host", key="weaviate.url")
        elif (
            self.grpc_port is not None
            and self.grpc_port == urlsplit(self.url).port
            and self.grpc_host in (None, urlsplit(self.url).hostname)
        ):
            raise ConfigError("Weaviate's REST and gRPC have each a port of their own", "usually 8080 and 50051", key="weaviate.grpc_port")
        for base in self.bases:
            if not _BASE.fullmatch(base):
                raise ConfigError("a collection's name must be letters and digits, the first a capital", key="collections", name=base)
        if len(self.bases) != len(self.collections) + 1:
            raise ConfigError("two kinds of sources share a collection", "give each its own name", key="collections")

    @property
    def bases(self) -> tuple[str, ...]:
        """The collections' names, each once, in order."""
        return tuple(dict.fromkeys((*self.collections.values(), self.other_collection)))

    def base_of(self, source_kind: str) -> str:
        """The name of the collection that a kind of source belongs to."""
        return self.collections.get(source_kind, self.other_collection)
