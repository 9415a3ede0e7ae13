"""One suite over every vector store: what the port promises, whatever is behind it.

A store is a function of (embedder id, dimensions) that gives it in a `with`; `weaviate` is the real client on the fake server, and
`weaviate-live` a server named by PAY_READY_TEST_WEAVIATE_URL (gRPC on PAY_READY_TEST_WEAVIATE_GRPC, 50051):
`pytest -m weaviate_live -o addopts="--import-mode=importlib"`.
"""

import os
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from datetime import timedelta, timezone
from uuid import uuid4

import numpy as np
import pytest

from pay_ready.errors import EmbeddingError, IsolationError
from pay_ready.memory.cold.options import WeaviateOptions
from pay_ready.memory.cold.weaviate import WeaviateStore
from pay_ready.model.memory import Filters, VectorQuery, VectorStore
from tests.fake_weaviate import FakeWeaviate
from tests.memory_support import recorded_store
from tests.vectors_support import DIM, START, entity, nearest_of, new_tenant_id, passage, passages, similarities, unit
from tests.weaviate_support import PATIENT_S

Factory = Callable[[str, int], AbstractContextManager[VectorStore]]


@contextmanager
def on_fake_weaviate(embedder_id: str, dim: int) -> Iterator[VectorStore]:
    """The real client on a server of ours."""
    with FakeWeaviate() as fake:
        # A server on a busy machine may take its time; deadlines are tested elsewhere.
        options = WeaviateOptions(url=fake.url, grpc_port=fake.grpc_port, query_s=PATIENT_S, write_s=PATIENT_S)
        store = WeaviateStore(options, embedder_id=embedder_id, dim=dim)
        yield store
        store.close()


@contextmanager
def on_live_weaviate(embedder_id: str, dim: int) -> Iterator[VectorStore]:
    """The real client on a real server; what was made there is taken out again."""
    if (url := os.environ.get("PAY_READY_TEST_WEAVIATE_URL")) is None:
        pytest.skip("PAY_READY_TEST_WEAVIATE_URL names no server")
    options = WeaviateOptions(
        url=url, grpc_port=int(os.environ.get("PAY_READY_TEST_WEAVIATE_GRPC", "50051")), query_s=PATIENT_S, open_s=30.0
    )  # fmt: skip
    store = WeaviateStore(options, embedder_id=embedder_id, dim=dim)
    yield store
    store.close()
    sweeper = WeaviateStore(options, embedder_id="tests: sweeper", dim=dim)
    sweeper.drop_embedder(embedder_id)
    sweeper.close()


FACTORIES: Mapping[str, Factory] = {"weaviate": on_fake_weaviate, "weaviate-live": on_live_weaviate}
LIVE = {"weaviate-live": [pytest.mark.weaviate_live]}


def exactness(store: VectorStore) -> float:
    """How far a similarity may be from the true one: Postgres keeps vectors in half precision (11 bits), Weaviate in single."""
    return 5e-4 if store.name in ("postgres", "scan") else 1e-5


@pytest.fixture(params=[pytest.param(name, marks=LIVE.get(name, [])) for name in (*FACTORIES, "postgres", "scan")])
def store(request: pytest.FixtureRequest) -> Iterator[VectorStore]:
    """Each store in turn, empty."""
    if request.param in ("postgres", "scan"):
        scratch, database = request.getfixturevalue("scratch"), request.getfixturevalue("database")
        with recorded_store(scratch, database, f"tests: {uuid4()}", DIM, pgvector=request.param == "postgres") as recorded:
            yield recorded
        return
    with FACTORIES[request.param](f"tests: {uuid4()}", DIM) as opened:
        yield opened


def test_what_was_written_is_found(store: VectorStore) -> None:
    """A passage is its own nearest, with similarity 1; the report counts it."""
    tenant = new_tenant_id()
    written = passage(tenant, 3)
    report = store.put(tenant, [written])
    assert (report.written, dict(report.failed)) == (1, {})
    (hit,) = store.search(tenant, VectorQuery(vector=written.vector, most=5))
    assert (hit.memory_id, hit.interaction_id) == (written.memory_id, written.interaction_id)
    assert hit.similarity == pytest.approx(1.0, abs=exactness(store))
    assert store.is_live()


def test_the_same_id_overwrites(store: VectorStore) -> None:
    """A repeated write leaves one passage, as it was written last, vector and properties; an id twice in one write, too."""
    tenant = new_tenant_id()
    first = passage(tenant, 1, language="en", vector=unit(1.0))
    second = replace(first, language=None, vector=unit(0.0, 1.0), content_hash=bytes(32), entity_ids=(entity(9),))
    store.put(tenant, [first])
    store.put(tenant, [second])
    assert store.count(tenant) == 1
    (kept,) = store.scan(tenant)
    assert (kept.content_hash, kept.entity_ids) == (bytes(32), frozenset({entity(9)}))
    assert similarities(store.search(tenant, VectorQuery(vector=unit(0.0, 1.0), most=1))) == pytest.approx([1.0], abs=exactness(store))
    assert store.search(tenant, VectorQuery(vector=unit(1.0), most=1, filters=Filters(languages=("en",)))) == []
    assert store.put(tenant, [first, second]).written == 1
    assert [each.content_hash for each in store.scan(tenant)] == [bytes(32)]


def test_exactly_as_many_as_there_are(store: VectorStore) -> None:
    """min(most, matching) hits, the nearest first, by every filter; a neighbour with fifty times as many, all as near, changes nothing."""
    tenant, neighbour = new_tenant_id(), new_tenant_id()
    own = passages(tenant, 40)
    store.put(neighbour, passages(neighbour, 2000, vector=own[7].vector))
    store.put(tenant, own)
    middle = START + timedelta(minutes=20)
    for filters in (
        Filters(),
        Filters(entity_ids=(entity(2),)),
        Filters(entity_ids=(entity(0), entity(103), entity(999))),
        Filters(sources=("source-1",)),
        Filters(interaction_types=("call", "note")),
        Filters(languages=("de",)),
        Filters(since=middle),
        Filters(until=middle),
        Filters(entity_ids=(entity(1), entity(2)), sources=("source-0",), languages=("en", "de"), since=START, until=middle),
        Filters(entity_ids=(entity(999),)),
    ):
        for most in (1, 7, 1000):
            query = VectorQuery(vector=own[7].vector, most=most, filters=filters)
            assert similarities(store.search(tenant, query)) == pytest.approx(nearest_of(own, query), abs=exactness(store)), (filters, most)
    assert store.search(tenant, VectorQuery(vector=own[7].vector, most=0)) == []


def test_what_is_too_far_is_no_hit(store: VectorStore) -> None:
    """Of all passages those of at least the similarity asked for are found, never others that would fill the number up."""
    tenant = new_tenant_id()
    own = passages(tenant, 60)
    store.put(tenant, own)
    for least in (-1.0, -0.3, 0.0, 0.45, 0.99, 0.9999):
        query = VectorQuery(vector=own[5].vector, most=50, least_similarity=least)
        assert similarities(store.search(tenant, query)) == pytest.approx(nearest_of(own, query), abs=exactness(store)), least


def test_times_are_instants(store: VectorStore) -> None:
    """`since` is included and `until` is not, to the microsecond, in whatever time zone they are said."""
    tenant, zone = new_tenant_id(), timezone(timedelta(hours=5, minutes=30))
    store.put(tenant, [passage(tenant, 0, occurred_at=START.astimezone(zone))])
    later = START + timedelta(microseconds=1)

    def found(**bounds: object) -> int:
        return len(store.search(tenant, VectorQuery(vector=unit(1.0), most=5, filters=Filters(**bounds))))  # type: ignore[arg-type]

    assert (found(since=START), found(since=later), found(until=START), found(until=later)) == (1, 0, 0, 1)
    assert (found(since=START.astimezone(zone)), found(until=later.astimezone(zone))) == (1, 1)


def test_nearest_among_equal_ones(store: VectorStore) -> None:
    """Recall is 1 on small sets, also where most vectors are the same, as those of short messages are."""
    tenant = new_tenant_id()
    own = [passage(tenant, number, source_kind="slack", **({"vector": unit(1.0)} if number % 3 else {})) for number in range(900)]
    store.put(tenant, own)
    for asked in (unit(1.0), own[0].vector, own[300].vector, unit(0.0, 0.0, 1.0)):
        for query in (VectorQuery(vector=asked, most=10), VectorQuery(vector=asked, most=700, least_similarity=0.2)):
            assert similarities(store.search(tenant, query)) == pytest.approx(nearest_of(own, query), abs=exactness(store))


def test_deletes(store: VectorStore) -> None:
    """An interaction goes with all its passages, a passage alone; of what is unknown, gone, or another's there is none."""
    tenant, other = new_tenant_id(), new_tenant_id()
    own = [passage(tenant, number // 2, chunk_no=number % 2, source_kind="gong") for number in range(20)]
    store.put(tenant, own)
    store.put(other, [passage(other, number // 2, chunk_no=number % 2, source_kind="gong") for number in range(20)])
    gone = [own[0].interaction_id, own[4].interaction_id]
    assert store.delete(tenant, [*gone, uuid4()]) == 4
    assert store.delete(tenant, gone) == 0
    assert store.delete_memories(tenant, [own[2].memory_id, uuid4()]) == 1
    assert store.delete_memories(tenant, [own[2].memory_id]) == 0
    assert store.delete(tenant, []) == store.delete_memories(tenant, []) == 0
    assert {each.memory_id for each in store.scan(tenant)} == {own[place].memory_id for place in range(20) if place not in (0, 1, 2, 4, 5)}
    assert (store.count(tenant), store.count(other)) == (15, 20)
    assert store.delete(new_tenant_id(), gone) == 0


def test_many_interactions_at_once(store: VectorStore) -> None:
    """A delete names as many as it likes."""
    tenant = new_tenant_id()
    own = passages(tenant, 1200)
    store.put(tenant, own)
    assert store.delete(tenant, [each.interaction_id for each in own[100:]]) == 1100
    assert store.count(tenant) == 100


def test_nothing_of_another_tenant(store: VectorStore) -> None:
    """Two tenants with equal passages, ids included: each finds, counts, scans and deletes its own alone."""
    mine, theirs = new_tenant_id(), new_tenant_id()
    shared = passages(mine, 30)
    canaries = [replace(each, content_hash=bytes([255] * 32)) for each in shared]
    store.put(mine, shared)
    store.put(theirs, canaries)
    assert {each.content_hash for each in store.scan(theirs)} == {bytes([255] * 32)}
    assert bytes([255] * 32) not in {each.content_hash for each in store.scan(mine)}
    assert len(store.search(mine, VectorQuery(vector=shared[0].vector, most=1000))) == 30
    store.delete(mine, [each.interaction_id for each in shared])
    store.delete_memories(mine, [each.memory_id for each in canaries])
    assert (store.count(mine), store.count(theirs)) == (0, 30)
    assert store.search(mine, VectorQuery(vector=shared[0].vector, most=1000)) == []
    assert len(store.search(theirs, VectorQuery(vector=shared[0].vector, most=1000))) == 30


def test_a_tenant_that_is_none(store: VectorStore) -> None:
    """Of an unknown tenant there is nothing, and asking makes none; no tenant at all, or one by its text, is refused everywhere."""
    tenant = new_tenant_id()
    own = passage(tenant, 1)
    store.put(tenant, [own])
    stranger, query = new_tenant_id(), VectorQuery(vector=own.vector, most=3)
    assert (store.search(stranger, query), store.count(stranger), list(store.scan(stranger))) == ([], 0, [])
    assert store.delete(stranger, [own.interaction_id]) == 0
    for wrong in (None, str(tenant), str(tenant).upper(), ""):
        for ask in (
            lambda wrong: store.search(wrong, query),
            lambda wrong: store.put(wrong, [own]),
            lambda wrong: store.delete(wrong, [own.interaction_id]),
            lambda wrong: store.delete_memories(wrong, [own.memory_id]),
            lambda wrong: store.count(wrong),
            lambda wrong: list(store.scan(wrong)),
            lambda wrong: store.drop_tenant(wrong),
        ):
            with pytest.raises(IsolationError):
                ask(wrong)
    assert store.count(tenant) == 1


def test_a_scan_misses_nothing(store: VectorStore) -> None:
    """Every passage once, over all pages, with what the record is compared by."""
    tenant = new_tenant_id()
    own = [passage(tenant, number, source_kind="slack" if number < 2100 else "gong") for number in range(2300)]
    store.put(tenant, own)
    kept = list(store.scan(tenant))
    assert len(kept) == 2300
    assert {(each.memory_id, each.interaction_id, each.content_hash, each.entity_ids) for each in kept} == {
        (each.memory_id, each.interaction_id, each.content_hash, frozenset(each.entity_ids)) for each in own
    }
    assert store.count(tenant) == 2300


def test_what_rests_wakes(store: VectorStore) -> None:
    """Tenants put to rest answer as before, whatever they are asked; resting twice is nothing new."""
    tenant = new_tenant_id()
    own = passages(tenant, 12)
    store.put(tenant, own[:10])
    query = VectorQuery(vector=own[3].vector, most=5)
    before = store.search(tenant, query)
    assert store.rest(3600.0) == []
    for ask in (
        lambda: store.search(tenant, query) == before,
        lambda: store.count(tenant) == 10,
        lambda: len(list(store.scan(tenant))) == 10,
        lambda: store.put(tenant, own[10:]).written == 2,
        lambda: store.delete(tenant, [own[11].interaction_id]) == 1,
    ):
        assert set(store.rest(0.0)) <= {tenant}
        assert store.rest(0.0) == []
        assert ask()
    store.rest(0.0)
    store.drop_tenant(tenant)
    assert store.count(tenant) == 0


def test_a_tenant_is_dropped_alone(store: VectorStore) -> None:
    """Nothing is left of it, others keep theirs; dropping who is unknown does nothing, and the tenant may come back."""
    tenant, other = new_tenant_id(), new_tenant_id()
    store.put(tenant, passages(tenant, 25))
    store.put(other, passages(other, 25))
    store.drop_tenant(tenant)
    store.drop_tenant(tenant)
    store.drop_tenant(new_tenant_id())
    assert (store.count(tenant), store.count(other)) == (0, 25)
    assert store.search(tenant, VectorQuery(vector=unit(1.0), most=5)) == []
    assert store.put(tenant, passages(tenant, 3)).written == 3
    assert store.count(tenant) == 3


@pytest.mark.parametrize(
    "vector",
    [
        unit(1.0, dim=DIM + 1),
        unit(1.0, dim=DIM - 1),
        np.zeros(DIM, dtype=np.float32),
        unit(1.0) * 2,
        np.full(DIM, np.nan, dtype=np.float32),
        np.array([np.inf, *[0.0] * (DIM - 1)], dtype=np.float32),
        np.zeros((1, DIM), dtype=np.float32),
    ],
    ids=["longer", "shorter", "zero", "no unit", "nan", "infinite", "matrix"],
)
def test_a_vector_that_is_none(store: VectorStore, vector: "np.ndarray") -> None:
    """It is refused before anything is written, with the passages beside it; neither is it searched with."""
    tenant = new_tenant_id()
    with pytest.raises(EmbeddingError):
        store.put(tenant, [*passages(tenant, 5), passage(tenant, 9, vector=vector)])
    assert store.count(tenant) == 0
    with pytest.raises(EmbeddingError):
        store.search(tenant, VectorQuery(vector=vector, most=5))


def test_from_many_threads(store: VectorStore) -> None:
    """Eight threads write and search for two tenants at once; each finds what is its tenant's."""
    tenants = [new_tenant_id(), new_tenant_id()]

    def work(turn: int) -> int:
        tenant = tenants[turn % 2]
        own = [passage(tenant, turn * 10 + number) for number in range(10)]
        store.put(tenant, own)
        hits = store.search(tenant, VectorQuery(vector=own[0].vector, most=100))
        return len({own[0].memory_id} & {hit.memory_id for hit in hits})

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(work, range(16))) == [1] * 16
    assert [store.count(tenant) for tenant in tenants] == [80, 80]


def test_closing(store: VectorStore) -> None:
    """Nothing to write is nothing to do; closing a second time does nothing, neither does closing a store that was never used."""
    assert store.put(new_tenant_id(), []).written == 0
    store.close()
    store.close()
