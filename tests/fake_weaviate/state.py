"""What the fake keeps: collections with their tenants, each tenant's objects, and the conditions that find them."""

import threading
from collections.abc import Callable, Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

import numpy as np

MOST_RESULTS = 10_000
DEFAULT_LIMIT = 10
_GRAPH = {
    "cleanupIntervalSeconds": 300, "distance": "cosine", "dynamicEfFactor": 8, "dynamicEfMax": 500, "dynamicEfMin": 100, "ef": -1,
    "efConstruction": 128, "filterStrategy": "acorn", "flatSearchCutoff": 40000, "maxConnections": 32, "skip": False,
    "vectorCacheMaxObjects": 1_000_000_000_000,
}  # fmt: skip
_FLAT = {"distance": "cosine", "vectorCacheMaxObjects": 1_000_000_000_000}
_DEFAULTS: Mapping[str, Mapping[str, Any]] = {
    "hnsw": _GRAPH, "flat": _FLAT, "dynamic": {"distance": "cosine", "threshold": 10_000, "hnsw": _GRAPH, "flat": _FLAT},
}  # fmt: skip
_INVERTED = {
    "bm25": {"b": 0.75, "k1": 1.2}, "cleanupIntervalSeconds": 60, "usingBlockMaxWAND": True,
    "stopwords": {"additions": None, "preset": "en", "removals": None},
}  # fmt: skip
_SHARDING: Mapping[str, Any] = {
    "virtualPerPhysical": 128, "desiredCount": 1, "actualCount": 1, "desiredVirtualCount": 128, "actualVirtualCount": 128,
    "key": "_id", "strategy": "hash", "function": "murmur3",
}  # fmt: skip


class RefusedError(Exception):
    """What the server says no to, in its words."""

    def __init__(self, message: str, status: int = 422) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True, slots=True)
class Stored:
    """An object as it is kept."""

    uuid: UUID
    properties: Mapping[str, Any]
    vector: np.ndarray | None


@dataclass(slots=True)
class Tenant:
    """A tenant's shard."""

    active: bool = True
    waking: int = 0  # how often it says that it is not awake yet
    objects: dict[UUID, Stored] = field(default_factory=dict)
    dim: int | None = None

    def check(self, stored: Stored) -> None:
        """R8."""
        if stored.vector is None:
            return
        if self.dim is not None and len(stored.vector) != self.dim:
            raise RefusedError(
                f"Validate vector index default for target vector {stored.uuid}: new node has a vector with length {len(stored.vector)}. "
                f"Existing nodes have vectors with length {self.dim}: vector dimensions do not match the index dimensions"
            )
        self.dim = len(stored.vector)


@dataclass(slots=True)
class Collection:
    """A collection and its tenants."""

    config: dict[str, Any]
    tenants: dict[str, Tenant] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """As it was created."""
        return str(self.config["class"])

    def properties(self) -> dict[str, dict[str, Any]]:
        """Properties by name."""
        return {each["name"]: each for each in self.config["properties"]}

    def tenant(self, name: str) -> Tenant:
        """R3, R4, R5."""
        if not name:
            raise RefusedError(f"class {self.name} has multi-tenancy enabled, but request was without tenant")
        if name not in self.tenants:
            raise RefusedError(f'tenant not found: "{name}"')
        if not self.tenants[name].active or self.tenants[name].waking:
            raise RefusedError(f"tenant not active: '{name}'")
        return self.tenants[name]


class State:
    """Everything; `lock` is held by whoever reads or changes it."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.collections: dict[str, Collection] = {}
        self.aliases: dict[str, str] = {}

    def collection(self, name: str, missing: str = "could not find class {} in schema") -> Collection:
        """By its name or alias."""
        found = self.collections.get(self.aliases.get(name, name))
        if found is None:
            raise RefusedError(missing.format(name))
        return found

    def create(self, asked: dict[str, Any]) -> dict[str, Any]:
        """R1."""
        if asked["class"] in self.collections:
            raise RefusedError(f"class name {asked['class']} already exists")
        self.collections[asked["class"]] = Collection(completed(asked))
        return self.collections[asked["class"]].config


def completed(asked: dict[str, Any]) -> dict[str, Any]:
    """A configuration with the server's defaults."""
    config = deepcopy(asked)
    config["invertedIndexConfig"] = {**_INVERTED, **config.get("invertedIndexConfig", {})}
    config["replicationConfig"] = {"factor": 1, "asyncEnabled": False, **config.get("replicationConfig", {})}
    tenancy = {"enabled": False, "autoTenantCreation": False, "autoTenantActivation": False}
    config["multiTenancyConfig"] = tenancy | config.get("multiTenancyConfig", {})
    config["shardingConfig"] = dict(_SHARDING)
    for each in config.setdefault("properties", []):
        is_text = each["dataType"][0] in ("text", "text[]")
        defaults = {"indexFilterable": True, "indexSearchable": is_text, "indexRangeFilters": False}
        each |= {name: value for name, value in defaults.items() if each.get(name) is None}
        if is_text:
            each.setdefault("tokenization", "word")
    for vector in config["vectorConfig"].values():
        vector["vectorIndexConfig"] = _merged(_DEFAULTS[vector["vectorIndexType"]], vector.get("vectorIndexConfig", {}))
    return config


def _merged(defaults: Mapping[str, Any], asked: Mapping[str, Any]) -> dict[str, Any]:
    nested = {name: _merged(defaults[name], value) for name, value in asked.items() if isinstance(defaults.get(name), Mapping)}
    return {**deepcopy(dict(defaults)), **asked, **nested}


def typed(kind: str, value: Any) -> Any:
    """A value as its type compares it (R13)."""
    if isinstance(value, list):
        return [typed(kind.removesuffix("[]"), each) for each in value]
    match kind:
        case "uuid" | "uuid[]":
            return UUID(value)
        case "date":
            return datetime.fromisoformat(value)
        case "int":
            return int(value)
        case _:
            return value


def nearest(found: list[Stored], vector: np.ndarray, most_distance: float | None) -> Iterator[tuple[float, Stored]]:
    """R12."""
    with_vector = [each for each in found if each.vector is not None]
    if not with_vector:
        return
    matrix = np.stack([each.vector for each in with_vector if each.vector is not None])
    if matrix.shape[1] != len(vector):
        raise RefusedError(
            f"knn search: distance between entrypoint and query node: {matrix.shape[1]} vs {len(vector)}: vector lengths don't match"
        )
    lengths = np.linalg.norm(matrix, axis=1) * np.linalg.norm(vector)
    distances = 1 - (matrix @ vector) / np.where(lengths == 0, 1, lengths)
    for place in np.argsort(distances, kind="stable"):
        if most_distance is None or distances[place] <= most_distance:
            yield float(distances[place]), with_vector[place]


Condition = Callable[[Stored], bool]
