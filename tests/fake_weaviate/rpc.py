"""The gRPC half: search, batches, deletes, counts and tenants, on the stubs that the client's wheel brings along."""

import struct
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from itertools import islice
from typing import TYPE_CHECKING, Any
from uuid import UUID

import grpc
import numpy as np
from google.protobuf import struct_pb2
from weaviate.proto.v1 import aggregate_pb2, base_pb2, batch_delete_pb2, batch_pb2, properties_pb2, search_get_pb2, tenants_pb2
from weaviate.proto.v1 import weaviate_pb2_grpc as service

from tests.fake_weaviate.state import DEFAULT_LIMIT, MOST_RESULTS, Collection, Condition, RefusedError, State, Stored, nearest, typed

if TYPE_CHECKING:
    from tests.fake_weaviate.server import Faults

_F = base_pb2.Filters
_WORD_BYTES = 4


class Servicer(service.WeaviateServicer):  # type: ignore[misc]
    """The calls. What is refused comes back as UNKNOWN with the server's words, as the real one does it."""

    def __init__(self, state: State, faults: "Faults") -> None:
        self.state, self.faults = state, faults

    def Search(self, request: Any, context: Any) -> Any:  # noqa: N802
        """R10, R11, R12."""
        return self._do("Search", request, context, lambda: self._search(request))

    def BatchObjects(self, request: Any, context: Any) -> Any:  # noqa: N802
        """R6."""
        return self._do("BatchObjects", request, context, lambda: self._batch(request))

    def BatchDelete(self, request: Any, context: Any) -> Any:  # noqa: N802
        """R14."""
        return self._do("BatchDelete", request, context, lambda: self._delete(request))

    def Aggregate(self, request: Any, context: Any) -> Any:  # noqa: N802
        """A count, and nothing else."""
        return self._do("Aggregate", request, context, lambda: self._count(request))

    def TenantsGet(self, request: Any, context: Any) -> Any:  # noqa: N802
        """All, or those of the names that are there."""
        return self._do("TenantsGet", request, context, lambda: self._tenants(request))

    def _do(self, call: str, request: Any, context: Any, done: Callable[[], Any]) -> Any:
        self.faults.before_rpc(call, request, context)
        try:
            with self.state.lock:
                return done()
        except RefusedError as error:
            context.abort(grpc.StatusCode.UNKNOWN, str(error))

    def _search(self, request: Any) -> Any:
        collection = self.state.collection(request.collection)
        tenants = [collection.tenant(request.tenant)]
        if self.faults.now("ignores_tenant"):
            tenants = list(collection.tenants.values())
        limit = request.limit or DEFAULT_LIMIT
        if limit + request.offset > MOST_RESULTS:
            raise RefusedError(f"query maximum results exceeded: the total limit exceeds QUERY_MAXIMUM_RESULTS '{MOST_RESULTS}'")
        if request.after and (request.HasField("filters") or request.offset):
            other = "offset" if request.offset else "where"
            raise RefusedError(f"cursor api: invalid 'after' parameter: {other} cannot be set with after and limit parameters")
        matches = self._condition(request, collection)
        found = [each for tenant in tenants for each in tenant.objects.values() if matches(each)]
        if request.HasField("near_vector"):
            near = request.near_vector
            most_distance = near.distance if near.HasField("distance") and not self.faults.now("ignores_filters") else None
            indexed = [] if self.faults.now("loses_index") else found
            ordered: Iterator[tuple[float | None, Stored]] = iter(nearest(indexed, query_vector(near), most_distance))
        else:
            behind = sorted((each for each in found if not request.after or each.uuid > UUID(request.after)), key=lambda each: each.uuid)
            ordered = ((None, each) for each in behind)
        return search_get_pb2.SearchReply(results=[result(collection, request, each) for each in islice(ordered, limit)])

    def _condition(self, request: Any, collection: Collection) -> Condition:
        if not request.HasField("filters"):
            return lambda _: True
        matches = condition(request.filters, collection)
        return (lambda _: True) if self.faults.now("ignores_filters") else matches

    def _batch(self, request: Any) -> Any:
        errors = []
        for index, each in enumerate(request.objects):
            try:
                self.faults.on_object(each)
                tenant = self.state.collection(each.collection, "class '{}' not present in schema").tenant(each.tenant)
                stored = as_stored(self.state.collection(each.collection), each)
                tenant.check(stored)
                tenant.objects[stored.uuid] = stored
            except RefusedError as error:
                errors.append(batch_pb2.BatchObjectsReply.BatchError(index=index, error=str(error)))
        return batch_pb2.BatchObjectsReply(errors=errors)

    def _delete(self, request: Any) -> Any:
        collection = self.state.collection(request.collection)
        matches, tenant = condition(request.filters, collection), collection.tenant(request.tenant)
        found = [uuid for uuid, each in tenant.objects.items() if matches(each)]
        for uuid in found[:MOST_RESULTS]:
            del tenant.objects[uuid]
        return batch_delete_pb2.BatchDeleteReply(matches=len(found), successful=min(len(found), MOST_RESULTS))

    def _count(self, request: Any) -> Any:
        collection = self.state.collection(request.collection)
        matches = self._condition(request, collection)
        count = sum(map(matches, collection.tenant(request.tenant).objects.values()))
        return aggregate_pb2.AggregateReply(single_result=aggregate_pb2.AggregateReply.Single(objects_count=count))

    def _tenants(self, request: Any) -> Any:
        known = self.state.collection(request.collection, "get tenants: could not get tenants: class not found").tenants
        names = request.names.values if request.HasField("names") else known
        statuses = {True: tenants_pb2.TENANT_ACTIVITY_STATUS_HOT, False: tenants_pb2.TENANT_ACTIVITY_STATUS_COLD}
        return tenants_pb2.TenantsGetReply(
            tenants=[tenants_pb2.Tenant(name=name, activity_status=statuses[known[name].active]) for name in names if name in known]
        )


def as_stored(collection: Collection, sent: Any) -> Stored:
    """An object of a batch; its properties must be the collection's, and of their types."""
    from google.protobuf.json_format import MessageToDict

    said = MessageToDict(sent.properties.non_ref_properties)
    said |= {each.prop_name: list(each.values) for each in sent.properties.text_array_properties}
    said |= {name: [] for name in sent.properties.empty_list_props}
    known, properties = collection.properties(), {}
    for name, value in said.items():
        if name not in known:
            raise RefusedError(f"no such prop with name '{name}' found in class '{collection.name}' in the schema.")
        kind = known[name]["dataType"][0]
        try:
            properties[name] = typed(kind, value)
        except (TypeError, ValueError):
            raise RefusedError(f"invalid {kind} property '{name}' on class '{collection.name}': the given value is '{value}'") from None
    packed = sent.vector_bytes or (sent.vectors[0].vector_bytes if sent.vectors else b"")
    return Stored(UUID(sent.uuid), properties, unpacked(packed) if packed else None)


def unpacked(packed: bytes) -> np.ndarray:
    """A vector of float32, little-endian."""
    return np.array(struct.unpack(f"<{len(packed) // _WORD_BYTES}f", packed), dtype=np.float32)


def query_vector(near: Any) -> np.ndarray:
    """The vector of a search, wherever this client puts it."""
    if near.vector_for_targets:
        return unpacked(near.vector_for_targets[0].vector_bytes or near.vector_for_targets[0].vectors[0].vector_bytes)
    return unpacked(near.vectors[0].vector_bytes if near.vectors else near.vector_bytes)


def condition(sent: Any, collection: Collection) -> Condition:
    """R13."""
    if sent.operator in (_F.OPERATOR_AND, _F.OPERATOR_OR):
        parts = [condition(each, collection) for each in sent.filters]
        every = all if sent.operator == _F.OPERATOR_AND else any
        return lambda stored: every(part(stored) for part in parts)
    name = sent.target.property
    kind = "uuid" if name == "_id" else _indexed_kind(collection, name)
    asked = getattr(sent, sent.WhichOneof("test_value"))
    try:
        wanted = typed(kind.removesuffix("[]"), list(asked.values) if hasattr(asked, "values") else asked)
    except ValueError as error:
        raise RefusedError(f"parse {kind} filter value: {error}") from None
    compare: dict[int, Callable[[Any], bool]] = {
        _F.OPERATOR_EQUAL: lambda value: value == wanted,
        _F.OPERATOR_CONTAINS_ANY: lambda value: not set(value if isinstance(value, list) else [value]).isdisjoint(wanted),
        _F.OPERATOR_GREATER_THAN_EQUAL: lambda value: value >= wanted,
        _F.OPERATOR_LESS_THAN: lambda value: value < wanted,
    }
    holds = compare[sent.operator]  # what is not here, pay_ready does not use

    def meets(stored: Stored) -> bool:
        value = stored.uuid if name == "_id" else stored.properties.get(name)
        return value is not None and holds(value)

    return meets


def _indexed_kind(collection: Collection, name: str) -> str:
    known = collection.properties()
    if name not in known:
        raise RefusedError(f"no such prop with name '{name}' found in class '{collection.name}' in the schema.")
    if not known[name]["indexFilterable"]:
        raise RefusedError(f"Filtering by property '{name}' requires inverted index.")
    return str(known[name]["dataType"][0])


def result(collection: Collection, request: Any, scored: tuple[float | None, Stored]) -> Any:
    """R10, R15."""
    distance, stored = scored
    metadata = search_get_pb2.MetadataResult(
        id=str(stored.uuid), id_as_bytes=stored.uuid.bytes, creation_time_unix=1, creation_time_unix_present=True,
        last_update_time_unix=1, last_update_time_unix_present=True,
    )  # fmt: skip
    if distance is not None:
        metadata.distance, metadata.distance_present = distance, True
    if request.metadata.vectors or request.metadata.vector:
        vector = b"" if stored.vector is None else stored.vector.tobytes()
        metadata.vectors.append(base_pb2.Vectors(name="default", vector_bytes=vector, type=base_pb2.Vectors.VECTOR_TYPE_SINGLE_FP32))
    asked = request.properties.non_ref_properties if request.HasField("properties") else ()
    names = list(asked) or list(collection.properties())
    fields = {name: as_value(stored.properties.get(name)) for name in names}
    shown = search_get_pb2.PropertiesResult(
        non_ref_props=properties_pb2.Properties(fields=fields), target_collection=collection.name, metadata=metadata
    )
    return search_get_pb2.SearchResult(properties=shown, metadata=metadata)


def as_value(value: Any) -> Any:
    """A property on the wire."""
    match value:
        case None:
            return properties_pb2.Value(null_value=struct_pb2.NULL_VALUE)
        case UUID():
            return properties_pb2.Value(uuid_value=str(value))
        case datetime():
            return properties_pb2.Value(date_value=value.astimezone(UTC).isoformat().replace("+00:00", "Z"))
        case int():
            return properties_pb2.Value(int_value=value)
        case list():
            texts = properties_pb2.UuidValues(values=[str(each) for each in value])
            return properties_pb2.Value(list_value=properties_pb2.ListValue(uuid_values=texts))
        case _:
            return properties_pb2.Value(text_value=value)
