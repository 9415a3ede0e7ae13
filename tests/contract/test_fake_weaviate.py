"""The rules of the fake Weaviate, each by the real client; with the marker weaviate_live the same rules against a real server.

Rules by number: see tests/fake_weaviate/__init__.py.
"""

import logging
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4, uuid5

import pytest
import weaviate
from weaviate.classes.config import Configure, DataType, Property, Reconfigure, Tokenization, VectorDistances
from weaviate.classes.data import DataObject
from weaviate.classes.query import Filter, MetadataQuery
from weaviate.collections import Collection
from weaviate.exceptions import WeaviateBaseError

from tests.fake_weaviate import FakeWeaviate

IDS = sorted(uuid5(UUID(int=2), str(number)) for number in range(30))
NOON = "2026-01-01T12:00:00.123456Z"
LIVE = pytest.param("live", marks=pytest.mark.weaviate_live)


@dataclass
class Server:
    """A client, and a collection of this test's own with two tenants, "A" with objects and "a" with none."""

    client: weaviate.WeaviateClient
    name: str

    @property
    def whole(self) -> Collection[Any, Any]:
        """The collection, without a tenant."""
        return self.client.collections.use(self.name)

    def part(self, tenant: str = "A") -> Collection[Any, Any]:
        """A tenant's part."""
        return self.whole.with_tenant(tenant)


@pytest.fixture(params=["fake", LIVE])
def client(request: pytest.FixtureRequest) -> Iterator[weaviate.WeaviateClient]:
    """The real client, synchronous here: nothing goes wrong in this file."""
    logging.getLogger("weaviate-client").setLevel(logging.CRITICAL)
    if request.param == "fake":
        with FakeWeaviate() as fake, connected("127.0.0.1", fake.http_port, fake.grpc_port) as opened:
            yield opened
        return
    if (url := os.environ.get("PAY_READY_TEST_WEAVIATE_URL")) is None:
        pytest.skip("PAY_READY_TEST_WEAVIATE_URL names no server")
    host, _, port = url.removeprefix("http://").partition(":")
    with connected(host, int(port), int(os.environ.get("PAY_READY_TEST_WEAVIATE_GRPC", "50051"))) as opened:
        yield opened


def connected(host: str, port: int, grpc_port: int) -> weaviate.WeaviateClient:
    """A client that asks no public package index for news."""
    return weaviate.connect_to_local(host=host, port=port, grpc_port=grpc_port, skip_init_checks=True)


@pytest.fixture
def server(client: weaviate.WeaviateClient) -> Iterator[Server]:
    """A server with a collection."""
    name = f"Rules{uuid4().hex[:8]}"
    create(client, name)
    made = Server(client, name)
    made.whole.tenants.create(["A", "a"])
    put(made.part(), *(thing(number) for number in range(30)))
    yield made
    client.collections.delete(name)


def create(client: weaviate.WeaviateClient, name: str) -> None:
    """A collection with a property of every kind that we use, and one without an inverted index."""
    text: dict[str, Any] = {"data_type": DataType.TEXT, "tokenization": Tokenization.FIELD, "index_searchable": False}
    graph = Configure.VectorIndex.hnsw(distance_metric=VectorDistances.COSINE)
    client.collections.create(
        name,
        multi_tenancy_config=Configure.multi_tenancy(enabled=True),
        vector_config=Configure.Vectors.self_provided(name="default", vector_index_config=graph),
        properties=[
            Property(name="word", **text),
            Property(name="bare", index_filterable=False, **text),
            Property(name="one", data_type=DataType.UUID),
            Property(name="many", data_type=DataType.UUID_ARRAY),
            Property(name="at", data_type=DataType.DATE),
            Property(name="number", data_type=DataType.INT),
        ],
    )


def thing(number: int, *, vector: list[float] | None = None, uuid: UUID | None = None, **values: Any) -> DataObject[Any, Any]:
    """An object by number."""
    properties = {"word": f"Word {number}", "one": str(IDS[number]), "many": [str(IDS[0]), str(IDS[number])], "at": NOON, "number": number}
    return DataObject(uuid=uuid or IDS[number], properties=values or properties, vector={"default": vector or [1.0, number, 0.5]})


def put(part: Collection[Any, Any], *things: DataObject[Any, Any]) -> dict[int, str]:
    """Write, and the errors by index."""
    return {index: error.message for index, error in part.data.insert_many(list(things)).errors.items()}


def refused(ask: Callable[[], Any]) -> str:
    """What the server says no with."""
    with pytest.raises(WeaviateBaseError) as caught:
        ask()
    return str(caught.value)


def found(part: Collection[Any, Any], condition: Any) -> list[UUID]:
    """The ids that a filter leaves."""
    return sorted(UUID(str(each.uuid)) for each in part.query.fetch_objects(limit=100, filters=condition).objects)


def test_r1_collections(server: Server) -> None:
    """R1: defaults are filled in, what was asked for stays, and a second creation is refused."""
    config = server.whole.config.get()
    index: Any = config.vector_config["default"].vector_index_config  # type: ignore[index]
    assert (index.max_connections, index.ef_construction, index.ef, index.flat_search_cutoff) == (32, 128, -1, 40_000)
    assert (index.distance_metric.value, config.vector_config["default"].vectorizer.vectorizer.value) == ("cosine", "none")  # type: ignore[index]
    assert config.multi_tenancy_config.enabled
    assert not config.multi_tenancy_config.auto_tenant_creation
    assert not config.multi_tenancy_config.auto_tenant_activation
    kinds = {each.name: (each.data_type.value, each.index_filterable, each.index_searchable) for each in config.properties}
    assert kinds["many"] == ("uuid[]", True, False)
    assert kinds["bare"] == ("text", False, False)
    assert "already exists" in refused(lambda: create(server.client, server.name))
    assert server.name in server.client.collections.list_all()


def test_r2_no_such_collection(server: Server) -> None:
    """R2: each call has its own way of saying it, which we tell apart from a tenant that is not there."""
    nope = server.client.collections.use("Nope")
    part = nope.with_tenant("A")
    assert "404" in refused(nope.config.get)
    assert "could not find class Nope in schema" in refused(lambda: part.query.near_vector([1.0, 0, 0]))
    assert "could not find class Nope in schema" in refused(lambda: part.aggregate.over_all(total_count=True))
    assert "could not find class Nope in schema" in refused(lambda: part.data.delete_many(Filter.by_property("word").equal("x")))
    assert "class 'Nope' not present in schema" in refused(lambda: put(part, thing(0)))
    assert "class not found" in refused(lambda: nope.tenants.get_by_name("A"))
    assert "class not found" in refused(nope.tenants.get)
    assert not server.client.collections.exists("Nope")
    server.client.collections.delete("Nope")


CALLS: dict[str, Callable[[Collection[Any, Any]], Any]] = {
    "search": lambda part: part.query.near_vector([1.0, 0, 0], limit=3),
    "fetch": lambda part: part.query.fetch_objects(limit=3),
    "count": lambda part: part.aggregate.over_all(total_count=True),
    "delete": lambda part: part.data.delete_many(Filter.by_property("word").equal("x")),
    "insert": lambda part: put(part, thing(1)),
}


@pytest.mark.parametrize("call", CALLS)
def test_r3_r4_r5_tenants(server: Server, call: str) -> None:
    """R3, R4, R5: without a tenant, with an unknown one or one in other letters, with one at rest; awake again, it answers."""
    assert "has multi-tenancy enabled, but request was without tenant" in refused(lambda: CALLS[call](server.whole))
    assert 'tenant not found: "nobody"' in refused(lambda: CALLS[call](server.part("nobody")))
    server.whole.tenants.deactivate("A")
    assert "tenant not active: 'A'" in refused(lambda: CALLS[call](server.part()))
    CALLS[call](server.part("a"))
    server.whole.tenants.activate("A")
    CALLS[call](server.part())


def test_r4_tenant_names(server: Server) -> None:
    """R4: names are told apart by case; creating twice and removing the absent is fine, waking the absent is not."""
    tenants = server.whole.tenants
    tenants.create("A")
    tenants.remove("nobody")
    assert (tenants.exists("A"), tenants.exists("nobody"), tenants.get_by_name("nobody")) == (True, False, None)
    assert sorted(tenants.get()) == ["A", "a"]
    assert server.part("a").aggregate.over_all(total_count=True).total_count == 0
    assert "shard not found" in refused(lambda: tenants.activate("nobody"))
    assert "not a valid tenant name" in refused(lambda: tenants.create("a b"))
    tenants.deactivate("A")
    assert [tenants.get()[name].activity_status.value for name in ("A", "a")] == ["INACTIVE", "ACTIVE"]
    tenants.remove("A")
    assert sorted(tenants.get()) == ["a"]


def test_r6_each_object_has_its_answer(server: Server) -> None:
    """R6: two that are fine are written beside two that are not; all failing is an exception with the reasons."""
    fresh = [uuid4() for _ in range(4)]
    errors = put(
        server.part(), thing(1, uuid=fresh[0], word="fine"), thing(1, uuid=fresh[1], vector=[1.0]),
        thing(1, uuid=fresh[2], strange="x"), thing(1, uuid=fresh[3], word="fine"),
    )  # fmt: skip
    assert sorted(errors) == [1, 2]
    assert "vector dimensions do not match" in errors[1]
    assert "no such prop with name 'strange'" in errors[2]
    assert found(server.part(), Filter.by_property("word").equal("fine")) == sorted([fresh[0], fresh[3]])
    assert "invalid uuid property 'one'" in refused(lambda: put(server.part(), thing(1, one="no id")))


def test_r7_the_same_id(server: Server) -> None:
    """R7: the whole object is replaced."""
    assert put(server.part(), thing(5, word="new", vector=[0.0, 0.0, 1.0]), thing(6, word="one"), thing(6, word="two")) == {}
    assert server.part().aggregate.over_all(total_count=True).total_count == 30
    again = server.part().query.fetch_object_by_id(IDS[5])
    assert (again.properties["word"], again.properties["one"]) == ("new", None)
    assert server.part().query.fetch_object_by_id(IDS[6]).properties["word"] == "two"


def test_r8_dimensions_of_a_shard(server: Server) -> None:
    """R8: another tenant's shard takes other dimensions, its own does not."""
    assert put(server.part("a"), thing(1, vector=[1.0, 0.0])) == {}
    assert "vector dimensions do not match" in refused(lambda: put(server.part(), thing(1, vector=[1.0, 0.0])))


def test_r9_no_vector_is_refused(server: Server) -> None:
    """R9: that is ours to do."""
    bare: DataObject[Any, Any] = DataObject(properties={"word": "bare"})
    assert put(server.part(), thing(1, vector=[0.0, 0.0, 0.0]), thing(2, vector=[float("nan"), 0.0, 0.0]), bare) == {}


def test_r10_limits(server: Server) -> None:
    """R10: ids come back (the client's iterator ends), ten by default, ten thousand at most."""
    part = server.part()
    assert [UUID(str(each.uuid)) for each in part.iterator()] == IDS
    assert len(part.query.fetch_objects().objects) == len(part.query.near_vector([1.0, 0, 0]).objects) == 10
    assert len(part.query.fetch_objects(limit=10_000).objects) == 30
    for ask in (lambda: part.query.fetch_objects(limit=10_001), lambda: part.query.near_vector([1.0, 0, 0], limit=10_001)):
        assert "query maximum results exceeded" in refused(ask)


def test_r11_the_cursor(server: Server) -> None:
    """R11: by id, from behind `after`; not with a filter or an offset."""
    query = server.part().query
    assert [each.uuid for each in query.fetch_objects(limit=3, after=IDS[10]).objects] == IDS[11:14]
    assert query.fetch_objects(limit=3, after=IDS[-1]).objects == []
    condition = Filter.by_property("number").equal(3)
    assert "where cannot be set with after" in refused(lambda: query.fetch_objects(limit=3, after=IDS[0], filters=condition))
    assert "offset cannot be set with after" in refused(lambda: query.fetch_objects(limit=3, after=IDS[0], offset=1))


def test_r12_the_nearest(server: Server) -> None:
    """R12: by cosine distance, up to `distance`; another number of dimensions is refused."""
    query, distance = server.part("a").query, MetadataQuery(distance=True)
    put(
        server.part("a"),
        *(thing(number, vector=vector) for number, vector in enumerate(([1.0, 0, 0], [0, 2.0, 0], [3.0, 3.0, 0], [-1.0, 0, 0]))),
    )
    hits = query.near_vector([2.0, 0, 0], limit=10, return_metadata=distance).objects
    assert [each.uuid for each in hits] == [IDS[0], IDS[2], IDS[1], IDS[3]]
    assert [each.metadata.distance for each in hits] == pytest.approx([0.0, 0.29289, 1.0, 2.0], abs=1e-4)
    assert [each.uuid for each in query.near_vector([2.0, 0, 0], limit=10, distance=0.5).objects] == [IDS[0], IDS[2]]
    assert "vector lengths don't match" in refused(lambda: query.near_vector([1.0, 0], limit=3))


def test_r13_conditions(server: Server) -> None:
    """R13: text as a whole and by case, ids by value, instants, overlaps, both and either; no index or no property, no filter."""
    part, by = server.part(), Filter.by_property
    assert found(part, by("word").contains_any(["Word 3", "word 4", "Word"])) == [IDS[3]]
    assert found(part, by("one").equal(str(IDS[4]).upper())) == [IDS[4]]
    assert found(part, by("one").contains_any([str(IDS[4]), str(IDS[5])])) == [IDS[4], IDS[5]]
    assert found(part, by("many").contains_any([str(IDS[7]), str(IDS[8])])) == [IDS[7], IDS[8]]
    assert found(part, by("many").contains_any([str(IDS[0])])) == IDS
    assert found(part, Filter.by_id().contains_any([str(IDS[1]), str(uuid4())])) == [IDS[1]]
    assert (found(part, by("at").less_than(NOON)), found(part, by("at").less_than("2026-01-01T12:00:00.123457Z"))) == ([], IDS)
    assert found(part, by("at").greater_or_equal("2026-01-01T13:00:00.123456+01:00")) == IDS
    assert found(part, by("at").greater_or_equal("2026-01-01T12:00:00.123457Z")) == []
    both = by("many").contains_any([str(IDS[7]), str(IDS[8])]) & by("word").equal("Word 8")
    assert found(part, both) == [IDS[8]]
    assert found(part, by("word").equal("Word 7") | by("word").equal("Word 8")) == [IDS[7], IDS[8]]
    assert "requires inverted index" in refused(lambda: found(part, by("bare").equal("x")))
    assert "no such prop with name 'strange'" in refused(lambda: found(part, by("strange").equal("x")))
    assert "parse uuid" in refused(lambda: found(part, by("many").contains_any(["no id"])))


def test_r14_deletes(server: Server) -> None:
    """R14: how many matched and went."""
    words = Filter.by_property("word").contains_any(["Word 1", "Word 2"])
    answers = [server.part().data.delete_many(words) for _ in range(2)]
    assert [(each.matches, each.successful, each.failed) for each in answers] == [(2, 2, 0), (0, 0, 0)]


def test_r14_ten_thousand(server: Server) -> None:
    """R14: it stops after ten thousand, and only the numbers say so."""
    things = [DataObject(properties={"number": number}, vector={"default": [1.0, 0.0, 0.0]}) for number in range(10_100)]
    for start in range(0, len(things), 2_000):
        put(server.part("a"), *things[start : start + 2_000])
    answers = [server.part("a").data.delete_many(Filter.by_property("number").greater_or_equal(0)) for _ in range(2)]
    assert [(each.matches, each.successful) for each in answers] == [(10_100, 10_000), (100, 100)]


def test_r15_properties_come_back_typed(server: Server) -> None:
    """R15: an id as an id, a time as a time, null for what was not written."""
    said = server.part().query.fetch_object_by_id(IDS[1]).properties
    assert (said["one"], said["many"], said["number"], said["bare"]) == (IDS[1], [IDS[0], IDS[1]], 1, None)
    assert said["at"].isoformat() == "2026-01-01T12:00:00.123456+00:00"


def test_r16_aliases(server: Server) -> None:
    """R16: an alias stands for a collection, moves at once, and stays behind when its collection goes."""
    aliases, other = server.client.alias, f"{server.name}x"
    name = f"Alias{uuid4().hex[:8]}"
    assert aliases.get(alias_name=name) is None
    assert "does not exist" in refused(lambda: aliases.create(alias_name=name, target_collection="Nope"))
    assert "already exists" in refused(lambda: aliases.create(alias_name=server.name, target_collection=server.name))
    aliases.create(alias_name=name, target_collection=server.name)
    assert "already exists" in refused(lambda: aliases.create(alias_name=name, target_collection=server.name))
    assert aliases.list_all()[name].collection == server.name
    assert len(server.client.collections.use(name).with_tenant("A").query.near_vector([1.0, 0, 0], limit=3).objects) == 3
    create(server.client, other)
    assert aliases.update(alias_name=name, new_target_collection=other)
    assert 'tenant not found: "A"' in refused(lambda: CALLS["search"](server.client.collections.use(name).with_tenant("A")))
    assert not aliases.update(alias_name="Nope", new_target_collection=other)
    server.client.collections.delete(other)
    assert aliases.list_all()[name].collection == other
    assert (aliases.delete(alias_name=name), aliases.delete(alias_name=name)) == (True, False)


def test_r17_ef_may_change(server: Server) -> None:
    """R17: of a search, not of what is stored."""
    change = Reconfigure.VectorIndex.hnsw(ef=77)
    server.whole.config.update(vector_config=Reconfigure.Vectors.update(name="default", vector_index_config=change))
    index: Any = server.whole.config.get().vector_config["default"].vector_index_config  # type: ignore[index]
    assert (index.ef, index.max_connections) == (77, 32)
