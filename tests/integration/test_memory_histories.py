"""Random histories of a tenant's memory against a plain model: what each tier holds, and what a search finds, whatever happened before.

Interactions are said, changed, taken away, linked to others, erased and forgotten; indexing is stopped or killed anywhere, embedders
change, Weaviate goes away and comes back. PAY_READY_TEST_DEEP=1 tries 300 times as many histories; PAY_READY_TEST_HISTORIES,
as many as it says.
"""

import itertools
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, event, example, given, settings
from hypothesis import strategies as st

from pay_ready.db import embedders as db_embedders
from pay_ready.db import memories as db_memories
from pay_ready.db import vectors as db_vectors
from pay_ready.db.tenancy import Database, PoolOptions
from pay_ready.db.vector_tables import enable_vectors
from pay_ready.errors import NotFoundError, TransientError
from pay_ready.failpoints import FailpointError
from pay_ready.memory import indexing
from pay_ready.memory.chunks import InteractionText, chunks_of
from pay_ready.memory.cold.weaviate import WeaviateStore
from pay_ready.memory.hot import HotTier
from pay_ready.memory.language import language_of
from pay_ready.memory.tiers import MemoryManager
from pay_ready.model.ids import TenantId
from pay_ready.model.memory import Filters
from pay_ready.pipeline.index import difference
from tests.conftest import Scratch, Server, cloned, make_tenant
from tests.fake_weaviate import FakeWeaviate
from tests.faults.children import ended
from tests.faults.index_child import EMBEDDERS, OPTIONS, IndexJob, Served, index
from tests.memory_support import START, Talk, erase, indexed, publish, relink, say
from tests.verify_support import breaches, verified
from tests.weaviate_support import store_on, until

DEEP = os.environ.get("PAY_READY_TEST_DEEP") == "1"
EXAMPLES = int(os.environ.get("PAY_READY_TEST_HISTORIES") or (300 if DEEP else 1))
PEOPLE = tuple(UUID(int=number) for number in (1, 2, 3))
KEYS = range(3)  # few: what happens, happens to the same ones again
_LONG = " ".join(f"Sentence {number} is about pumps and halls." for number in range(60))
BODIES = ("asks for a discount on pumps.", _LONG, "Only a word.", _LONG[:1_500], "Nobody knows the price of the scanner.")
FILTERS = (
    Filters(), Filters(entity_ids=PEOPLE[:1]), Filters(entity_ids=PEOPLE[1:]), Filters(sources=("slack",)), Filters(sources=("nowhere",)),
    Filters(interaction_types=("note",)), Filters(languages=("en",)), Filters(since=START + timedelta(minutes=2)),
    Filters(until=START + timedelta(minutes=2)), Filters(entity_ids=PEOPLE[:1], sources=("hubspot",), since=START + timedelta(minutes=1)),
)  # fmt: skip


keys = st.sampled_from(KEYS)
points = st.tuples(st.sampled_from(indexing.FAILPOINTS), st.integers(0, 3))
says = st.tuples(st.just("say"), keys, st.integers(0, len(BODIES) - 1), st.integers(0, 2))
relinks = st.tuples(st.just("relink"), keys, st.integers(0, 2))
stops = st.tuples(st.just("stop"), points)
steps = st.one_of(
    says, says, says, relinks, relinks, stops, stops, st.just(("index",)), st.just(("index",)), st.just(("index",)),
    st.tuples(st.sampled_from(["gone", "erase", "forget", "store"]), keys), st.tuples(st.just("kill"), points),
    st.sampled_from([("away",), ("back",), ("switch",)]),
)  # fmt: skip


def talk_of(key: int, body: int, who: int) -> Talk:
    """One of few keys, each of one source, saying one of few things."""
    kind, source = (("message", "slack"), ("note", "hubspot"))[key % 2]
    entities = (("person", PEOPLE[who]),)
    return Talk(key=str(key), body=f"Key{key} {BODIES[body]}", kind=kind, source=source, thread="deal", minute=key, entities=entities)


@dataclass(kw_only=True)
class Model:
    """What must hold: what is staged, and of each key what the record may have of it."""

    staged: dict[int, Talk] = field(default_factory=dict)
    kept: dict[int, set[Talk | None]] = field(default_factory=lambda: {key: {None} for key in KEYS})
    pending: dict[int, bool] = field(default_factory=dict)  # heard of by the next index: certainly, or perhaps

    def change(self, key: int, talk: Talk | None) -> None:
        """Staged, and in the outbox."""
        self.staged.pop(key, None)
        if talk is not None:
            self.staged[key] = talk
        self.pending[key] = True

    def hear(self) -> None:
        """An index went through."""
        for key, is_certain in self.pending.items():
            now = {self.staged.get(key)}
            self.kept[key] = now if is_certain else self.kept[key] | now
        self.pending.clear()

    def hear_some(self) -> None:
        """One was stopped on its way."""
        for key in self.pending:
            self.kept[key] = self.kept[key] | {self.staged.get(key)}

    def forget(self, key: int) -> None:
        """Nothing is kept; where the outbox had been read already, nothing brings it back."""
        if key in self.pending and len(self.kept[key]) > 1:
            self.pending[key] = False
        self.kept[key] = {None}

    def certain(self, filters: Filters) -> set[tuple[int, int, str]]:
        """Passages that must be found: key, position, text."""
        return self._passages(filters, lambda told: len(told) == 1)

    def possible(self, filters: Filters) -> set[tuple[int, int, str]]:
        """Passages that may be found."""
        return self._passages(filters, lambda _: True)

    def _passages(self, filters: Filters, counts: Callable[[set[Talk | None]], bool]) -> set[tuple[int, int, str]]:
        return {
            (key, number, text)
            for key, told in self.kept.items()
            if counts(told)
            for talk in told
            if talk is not None
            for number, text in enumerate(texts_of(talk))
            if self._meets(key, talk, text, filters)
        }

    def _meets(self, key: int, talk: Talk, text: str, filters: Filters) -> bool:
        people = {entity for _, entity in self.staged[key].entities} if key in self.staged else set()
        when = START + timedelta(minutes=talk.minute)
        return (
            (not filters.entity_ids or bool(people & set(filters.entity_ids)))
            and (not filters.sources or talk.source in filters.sources)
            and (not filters.interaction_types or talk.kind in filters.interaction_types)
            and (not filters.languages or language_of(text, OPTIONS.languages) in filters.languages)
            and (filters.since is None or filters.since <= when)
            and (filters.until is None or when < filters.until)
        )


def texts_of(talk: Talk) -> list[str]:
    """Of its passages."""
    said = InteractionText(tenant=TenantId(UUID(int=0)), interaction_id=UUID(int=0), subject="", body=talk.body or "", turns=())
    return [each.text for each in chunks_of(said)]


@dataclass(frozen=True, kw_only=True)
class Ground:
    """A database, and a Weaviate beside it or none, for many histories."""

    database: Database
    scratch: Scratch
    fake: FakeWeaviate | None
    stores: dict[str, WeaviateStore]
    numbers: Iterator[int] = field(default_factory=itertools.count)


@pytest.fixture(scope="module", params=["pgvector", "scan", "pgvector beside weaviate", "scan beside weaviate"])
def ground(request: pytest.FixtureRequest, server: Server, template: str) -> Iterator[Ground]:
    """With and without pgvector, with and without Weaviate."""
    with cloned(server, template) as scratch:
        if "pgvector" in request.param:
            for each in EMBEDDERS.values():
                enable_vectors(scratch.admin_url, "pay_ready", each.id, each.dim)
        database = Database(scratch.app_url, PoolOptions(max_size=3, overflow=0))
        database.open()
        if "weaviate" not in request.param:
            yield Ground(database=database, scratch=scratch, fake=None, stores={})
        else:
            with FakeWeaviate() as fake, _store(fake, "hash") as one, _store(fake, "other") as other:
                yield Ground(database=database, scratch=scratch, fake=fake, stores={"hash": one, "other": other})
        database.close()


def _store(fake: FakeWeaviate, name: str) -> Any:
    return store_on(fake, embedder_id=EMBEDDERS[name].id, dim=EMBEDDERS[name].dim, query_s=1.5, write_s=4.0, breaker_open_s=0.05)


@contextmanager
def stopped_at(point: str, skip: int) -> Iterator[None]:
    """The failpoint is passed so many times, then raises."""
    kept, left = indexing.failpoint, itertools.count()

    def reached(name: str) -> None:
        if name == point and next(left) >= skip:
            raise FailpointError("stopped", point=point)

    indexing.failpoint = reached  # type: ignore[attr-defined]
    try:
        yield
    finally:
        indexing.failpoint = kept  # type: ignore[attr-defined]


class History:
    """One tenant, with its model."""

    def __init__(self, ground: Ground) -> None:
        self.ground, self.model = ground, Model()
        self.tenant = make_tenant(ground.database, f"t{next(ground.numbers)}")
        self.admin_url, self.run_no, self.embedder = ground.scratch.admin_url, 1, "hash"
        known = {made.id: made() for made in EMBEDDERS.values()}
        self.memories = {
            name: MemoryManager(
                ground.database, hot=HotTier(), embedder=made, former=known.get, outer=ground.stores.get(name), options=OPTIONS,
                clock=itertools.count(0.0, 10.0).__next__,
            )
            for name, made in EMBEDDERS.items()
        }  # fmt: skip

    @property
    def memory(self) -> MemoryManager:
        """With the embedder of now."""
        return self.memories[self.embedder]

    def step(self, number: int, what: str, *how: Any) -> None:
        """Do it, here and in the model; and look whether what anybody may ask now fits."""
        getattr(self, what)(*how)
        key = how[0] if how and isinstance(how[0], int) else number % len(KEYS)
        self.look(key)
        self.search(number % len(FILTERS), key)
        if key in self.model.staged:  # who it was about before, and who it is about now
            for person in PEOPLE:
                self.search_by(Filters(entity_ids=(person,)), key)

    def say(self, key: int, body: int, who: int) -> None:
        talk = talk_of(key, body, who)
        say(self.admin_url, self.tenant, talk)
        self.model.change(key, talk)

    def gone(self, key: int) -> None:
        say(self.admin_url, self.tenant, gone=(self._any(key),))
        self.model.change(key, None)

    def erase(self, key: int) -> None:
        erase(self.admin_url, self.tenant, self._any(key))
        self.model.change(key, None)
        self.model.kept[key] = {None}

    def relink(self, key: int, who: int) -> None:
        if key not in self.model.staged or PEOPLE[who] in {entity for _, entity in self.model.staged[key].entities}:
            return
        self.run_no += 1
        relink(self.admin_url, self.tenant, self._any(key), PEOPLE[who], self.run_no)
        publish(self.admin_url, self.tenant, self.run_no)
        self.model.staged[key] = replace(self.model.staged[key], entities=(("person", PEOPLE[who]),))

    def forget(self, key: int) -> None:
        with suppress(TransientError):  # Weaviate is told later
            self.memory.forget(self.tenant, [self._any(key).id_of(self.tenant)])
        self.model.forget(key)

    def store(self, key: int) -> None:
        self.memory.store(self.tenant, [self._any(key).id_of(self.tenant)])
        self.model.kept[key] = {self.model.staged.get(key)}

    def index(self) -> None:
        indexed(self.ground.database, self.tenant, self.memory)
        self.model.hear()

    def stop(self, at: tuple[str, int]) -> None:
        try:
            with stopped_at(*at):
                self.index()
        except FailpointError:
            event(f"stopped at {at[0]}")
            self.model.hear_some()

    def kill(self, at: tuple[str, int]) -> None:
        fake = self.ground.fake
        weaviate = None if fake is None else Served(url=fake.url, grpc_port=fake.grpc_port)
        job = IndexJob(
            app_url=self.ground.scratch.app_url, tenant=self.tenant, point=at[0], skip=at[1], embedder=self.embedder, weaviate=weaviate
        )
        exit_code = ended(index, job)
        event(f"ended with {exit_code}")
        if exit_code == 0:
            self.model.hear()
        else:
            assert exit_code == -9
            self.model.hear_some()

    def away(self) -> None:
        if self.ground.fake is not None:
            self.ground.fake.fail("unavailable")

    def back(self) -> None:
        if self.ground.fake is not None:
            self.ground.fake.forget()

    def switch(self) -> None:
        self.embedder = "other" if self.embedder == "hash" else "hash"

    def search(self, number: int, key: int) -> None:
        """As `search_by`."""
        self.search_by(FILTERS[number], key)

    def search_by(self, filters: Filters, key: int) -> None:
        """What must be found is, what may not be is not, never too many; and the very passage by its own words."""
        found = self._found("pumps", filters, 200)
        assert len(found) == len(set(found)), "a passage twice"
        assert self.model.certain(filters) <= set(found) <= self.model.possible(filters)
        few = self._found("pumps", filters, 2)
        assert min(2, len(self.model.certain(filters))) <= len(few) <= 2
        for sought in sorted(each for each in self.model.certain(filters) if each[:2] == (key, 0)):
            assert sought in self._found(sought[2], filters, 200, 0.99)

    def look(self, key: int) -> None:
        """Reading through: what is staged now, from whatever tier."""
        staged = self.model.staged.get(key)
        if staged is None:
            with pytest.raises(NotFoundError):
                self.memory.get(self.tenant, self._any(key).id_of(self.tenant))
        else:
            told = self.memory.get(self.tenant, staged.id_of(self.tenant))
            assert (told.body, set(told.entity_ids)) == (staged.body, {entity for _, entity in staged.entities})

    def settle(self) -> None:
        """In the end everything is up and indexed: every tier holds the model and nothing else."""
        self.back()
        until(lambda: not indexed(self.ground.database, self.tenant, self.memory).outer_away)
        self.model.hear()
        for number in range(len(FILTERS)):
            self.search(number, number % len(KEYS))
        with self.ground.database.tenant_transaction(self.tenant) as tx:
            waiting, serving = db_memories.waiting(tx), db_embedders.serving(tx)
            assert serving is not None
            assert (serving.embedder_id, waiting.changes, waiting.interactions) == (EMBEDDERS[self.embedder].id, 0, 0)
            table = db_vectors.vector_table(tx, serving.embedder_tag, serving.dimensions)
            figures = db_memories.figures(tx, START)
            assert (table.count(tx).vectors, table.count_missing(tx)) == (figures["passages"], 0)
        assert len(self.model.certain(Filters())) <= figures["passages"] <= len(self.model.possible(Filters()))
        told = difference(self.ground.database, self.tenant, self.memory)
        assert told is None or (told.is_equal and told.kept == figures["passages"]), told
        assert breaches(verified(self.ground.database, self.tenant, only=["memory"])) == {}
        for key in KEYS:
            self.look(key)

    def _found(self, words: str, filters: Filters, most: int, least: float | None = None) -> list[tuple[int, int, str]]:
        answer = self.memory.search(self.tenant, words, most=most, filters=filters, least_similarity=least)
        ids = {self._any(key).id_of(self.tenant): key for key in KEYS}
        return [(ids[hit.passage.interaction_id], hit.passage.chunk_no, hit.passage.chunk_text) for hit in answer.hits]

    def _any(self, key: int) -> Talk:
        return talk_of(key, 0, 0)


@pytest.mark.timeout(7_200)
@settings(
    max_examples=EXAMPLES, deadline=None, print_blob=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)  # fmt: skip
@given(history=st.lists(steps, min_size=6, max_size=16))
@example(history=[("say", 0, 1, 0), ("index",), ("say", 0, 2, 0), ("index",)])  # shorter
@example(history=[*(("say", key, 0, 0) for key in (0, 0, 1, 2)), ("index",), ("search", 0, 0)])  # more than a page of changes
@example(history=[("say", 0, 0, 0), ("index",), ("relink", 0, 1), ("index",), ("relink", 0, 2)])  # the store is behind
@example(history=[("say", 0, 1, 0), ("stop", ("index.told", 0)), ("say", 0, 2, 0), ("away",), ("index",), ("forget", 0), ("store", 0)])
@example(
    history=[
        ("say", 0, 0, 0),
        ("say", 1, 1, 0),
        ("index",),
        ("relink", 0, 1),
        ("stop", ("index.heard", 0)),
        ("switch",),
        ("forget", 1),
        ("switch",),
    ]
)  # links told to another embedder's store alone
def test_whatever_happened(ground: Ground, history: list[tuple[Any, ...]]) -> None:
    """Every answer on the way fits the model; in the end each tier holds what the model says."""
    told = History(ground)
    try:
        for number, (what, *how) in enumerate(history):
            told.step(number, what, *how)
        told.settle()
    finally:
        told.back()
