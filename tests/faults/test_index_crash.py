"""Indexing dies, or what it needs is away, at any point: whoever indexes next ends in the state of an undisturbed index.

In a plain run half of the points are tried with pgvector and half without; PAY_READY_TEST_DEEP=1 tries each twice over in both, and every
call and statement.
"""

import itertools
import os
import random
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
import pytest

from pay_ready.db import embedders as db_embedders
from pay_ready.db.tenancy import Database, PoolOptions
from pay_ready.db.vector_tables import enable_vectors
from pay_ready.errors import EmbeddingError, TransientError
from pay_ready.memory import indexing
from pay_ready.memory.embed.hashing import HashEmbedder
from pay_ready.memory.tiers import MemoryManager
from pay_ready.model.ids import TenantId
from pay_ready.model.memory import Embedder
from pay_ready.pipeline.index import difference
from tests.conftest import Scratch, make_tenant
from tests.fake_weaviate import FakeWeaviate
from tests.faults.children import ended
from tests.faults.index_child import IndexJob, Served, index, memory_of
from tests.faults.proxy import PostgresProxy, Rule, postgres_proxy
from tests.faults.support import opened
from tests.memory_state import OtherEmbedder, State, differing, state_of
from tests.memory_support import Talk, indexed, publish, relink, say
from tests.weaviate_support import store_on, until

IS_DEEP = os.environ.get("PAY_READY_TEST_DEEP") == "1"
SEED = int(os.environ.get("PAY_READY_FAULT_SEED", "20261126"))
ANN, BOB = UUID(int=1), UUID(int=2)
_LONG = " ".join(f"Sentence {number} is about pumps." for number in range(120))
BEFORE = (
    Talk(key="1", body="Procurement asks for a discount.", entities=(("person", ANN),), thread="deal"),
    Talk(key="2", body="We can do five if you sign.", entities=(("person", BOB),), thread="deal", minute=1),
    Talk(key="3", kind="note", source="hubspot", body=_LONG, entities=(("person", ANN),), minute=2),
    Talk(key="4", kind="note", source="salesforce", body="Renewal in June.", minute=3),
    Talk(key="5", body="The scanner stops in the cold.", entities=(("person", ANN),), minute=4),
)
CHANGED = (
    Talk(key="1", body="Procurement asks about insurance.", entities=(("person", ANN),), thread="deal"),
    Talk(key="3", kind="note", source="hubspot", body="Only this is left.", entities=(("person", ANN),), minute=2),
    Talk(key="6", body="A new question about pumps.", entities=(("person", BOB),), minute=6),
    Talk(
        key="7", kind="call", source="gong", minute=7, entities=(("person", ANN),),
        turns=[(("Ann", "Bob")[number % 2], f"Sentence {number} about the pumps. " * 12) for number in range(12)],
    ),
)  # fmt: skip
GONE = (BEFORE[3],)
ALL = (*BEFORE, *CHANGED)


@dataclass(frozen=True, kw_only=True)
class Case:
    """A database, a Weaviate beside it or none, and tenants with one history."""

    database: Database
    scratch: Scratch
    fake: FakeWeaviate | None
    tables: str
    numbers: Iterator[int] = field(default_factory=itertools.count)

    def tenant(self) -> TenantId:
        """A new tenant: indexed once, then changed in every way."""
        made = make_tenant(self.database, f"t{next(self.numbers)}")
        admin_url = self.scratch.admin_url
        say(admin_url, made, *BEFORE)
        self.index(made)
        say(admin_url, made, *CHANGED, gone=GONE)
        relink(admin_url, made, BEFORE[4], BOB, 2)
        publish(admin_url, made, 2)
        return made

    @contextmanager
    def memory(self, embedder: Embedder | None = None, database: Database | None = None) -> Iterator[MemoryManager]:
        """Memory of this process."""
        made = embedder or HashEmbedder()
        if self.fake is None:
            yield memory_of(database or self.database, made, None)
            return
        with store_on(self.fake, embedder_id=made.id, dim=made.dim, query_s=1.5, write_s=4.0) as store:
            yield memory_of(database or self.database, made, store)

    def index(self, tenant: TenantId, embedder: Embedder | None = None) -> None:
        """Until it is through and the store has heard of everything."""
        with self.memory(embedder) as memory:
            until(lambda: not indexed(self.database, tenant, memory).outer_away)

    def state(self, tenant: TenantId) -> State:
        """Of every tier."""
        return state_of(self.scratch.admin_url, tenant, ALL, self.fake)

    def killed(self, tenant: TenantId, point: str, skip: int = 0, embedder: str = "hash") -> None:
        """Index in another process, which is killed at the point."""
        weaviate = None if self.fake is None else Served(url=self.fake.url, grpc_port=self.fake.grpc_port)
        job = IndexJob(app_url=self.scratch.app_url, tenant=tenant, point=point, skip=skip, embedder=embedder, weaviate=weaviate)
        exit_code = ended(index, job)
        assert exit_code == -9, (point, exit_code)


@contextmanager
def case_of(database: Database, scratch: Scratch, tables: str, *, weaviate: bool = True) -> Iterator[Case]:
    """With or without pgvector, with or without Weaviate."""
    if tables == "pgvector":
        for each in (HashEmbedder(), OtherEmbedder()):
            enable_vectors(scratch.admin_url, "pay_ready", each.id, each.dim)
    if not weaviate:
        yield Case(database=database, scratch=scratch, fake=None, tables=tables)
        return
    with FakeWeaviate() as fake:
        yield Case(database=database, scratch=scratch, fake=fake, tables=tables)


@pytest.fixture(params=["pgvector", "scan"])
def case(request: pytest.FixtureRequest, database: Database, scratch: Scratch) -> Iterator[Case]:
    """With and without pgvector, beside a Weaviate."""
    with case_of(database, scratch, request.param) as made:
        yield made


def undisturbed(case: Case, embedder: Embedder | None = None) -> State:
    """The end of the history when nothing fails; nothing waits in it."""
    tenant = case.tenant()
    case.index(tenant, embedder)
    state = case.state(tenant)
    assert (state["outbox"], state["projections"], state["leases"]) == ([], [], [])
    assert len(state["passages"]) == len(state["vectors"]) > len(ALL)
    return state


def test_killed_anywhere(case: Case) -> None:
    """kill -9 at every failpoint, early and half-way: the next process takes over, and every tier ends as if nothing had been."""
    expected, wrong = undisturbed(case), {}
    halves = indexing.FAILPOINTS[::2] if case.tables == "pgvector" else indexing.FAILPOINTS[1::2]
    pairs = itertools.product(indexing.FAILPOINTS, (0, 1)) if IS_DEEP else ((each, case.tables == "scan") for each in halves)
    for point, skip in pairs:
        tenant = case.tenant()
        case.killed(tenant, point, int(skip))
        case.index(tenant)
        if found := differing(case.state(tenant), expected):
            wrong[point, skip] = found
    assert wrong == {}


def test_killed_again_and_again(case: Case) -> None:
    """Each process gets one step further and dies: the last one ends in the same state."""
    expected, tenant = undisturbed(case), case.tenant()
    for point in ("index.claimed", "index.heard", "index.passages_written", "index.embedded", "index.vectors_written", "index.told"):
        case.killed(tenant, point)
    case.index(tenant)
    assert differing(case.state(tenant), expected) == {}


def test_every_failpoint_is_listed() -> None:
    """The list that the crash test goes through is that of the points in the code."""
    source = Path(indexing.__file__).read_text("utf-8")
    assert tuple(re.findall(r'failpoint\("([^"]+)"\)', source)) == indexing.FAILPOINTS


def test_reembedding_killed_half_way(case: Case) -> None:
    """The old vectors serve, all of them and by their own embedder; the next process makes the new ones whole, and they alone are there."""
    expected, tenant = undisturbed(case, OtherEmbedder()), case.tenant()
    case.index(tenant)
    for point, skip in (("index.vectors_written", 1), ("index.embedded", 2)):
        case.killed(tenant, point, skip, "other")
        with case.memory(OtherEmbedder()) as memory:
            answer = memory.search(tenant, "pumps", most=50)
            assert (answer.embedder_id, answer.degraded) == (HashEmbedder.id, True)  # it knows words alone
            assert all(hit.similarity is not None for hit in answer.hits)
        assert len(answer.hits) == len(expected["passages"])
        with case.database.tenant_transaction(tenant) as tx:
            assert {each.embedder_id: each.state for each in db_embedders.embedders(tx)} == {
                HashEmbedder.id: "serving", OtherEmbedder.id: "building",
            }  # fmt: skip
    case.index(tenant, OtherEmbedder())
    found = case.state(tenant)
    assert differing({**found, "objects": _of(found, "other")}, {**expected, "objects": _of(expected, "other")}) == {}
    assert not any(HashEmbedder.id in line for line in found["embedders"])


def _of(state: State, embedder: str) -> list[str]:
    from pay_ready.db.vector_tables import embedder_tag

    assert embedder == "other"
    return [line for line in state["objects"] if line.split()[0].endswith(embedder_tag(OtherEmbedder.id))]


def aliases(fake: FakeWeaviate) -> set[str]:
    """Ends of the names of the collections that the aliases name."""
    return {target.rpartition("_")[2] for target in fake.state.aliases.values()}


def test_names_lead_to_what_is_whole(database: Database, scratch: Scratch) -> None:
    """Weaviate away while another embedder takes over is no failure; its aliases lead to the new vectors once it has been told of them all.

    Killed before that, too: whoever tells the rest moves the names.
    """
    from pay_ready.db.vector_tables import embedder_tag

    with case_of(database, scratch, "scan") as case:
        assert case.fake is not None
        tenant = case.tenant()
        case.index(tenant)
        with case.memory(OtherEmbedder()) as memory:
            case.fake.fail("unavailable")
            report = indexed(database, tenant, memory)
            assert report.outer_away
            assert memory.search(tenant, "pumps").embedder_id == OtherEmbedder.id
            case.fake.forget()
        assert aliases(case.fake) == {embedder_tag(HashEmbedder.id)}
        case.killed(tenant, "index.told", 1, "other")
        assert aliases(case.fake) == {embedder_tag(HashEmbedder.id)}
        case.index(tenant, OtherEmbedder())
        assert aliases(case.fake) == {embedder_tag(OtherEmbedder.id)}


def sample(units: int, count: int) -> list[int]:
    """Some of so many, from 1, with the first and the last; all of them under make test-deep."""
    return list(range(1, units + 1)) if IS_DEEP else sorted({1, units, *random.Random(SEED).sample(range(1, units + 1), min(count, units))})


@pytest.mark.timeout(3_600)
@pytest.mark.parametrize("fault", ["cut", "swallow"])
def test_any_statement_may_fail(database: Database, scratch: Scratch, fault: Any) -> None:
    """The database's connection breaks before a statement, or after it, unheard: the next index ends the same."""
    pool, wrong = PoolOptions(max_size=2, overflow=0), {}
    with case_of(database, scratch, "pgvector", weaviate=False) as case, postgres_proxy(scratch.app_url) as proxy:
        expected = undisturbed(case)
        units = _units(case, proxy, pool, case.tenant())
        chosen = sample(len(units), 12)
        commits = [number for number, text in enumerate(units, 1) if text == "COMMIT"]
        for unit in sorted({*chosen, *commits[:: 1 if IS_DEEP else 4]}):
            tenant = case.tenant()
            with opened(proxy.url, pool) as through, case.memory(database=through) as memory:
                proxy.forget()
                proxy.fail(Rule(fault=fault, unit=unit))
                calls = _calls_until_through(lambda: indexed(through, tenant, memory))  # noqa: B023 - called at once
            if (found := differing(case.state(tenant), expected)) or calls > 3:
                wrong[unit, units[unit - 1][:60]] = (calls, found)
    assert wrong == {}


def _units(case: Case, proxy: PostgresProxy, pool: PoolOptions, tenant: TenantId) -> Sequence[str]:
    with opened(proxy.url, pool) as through, case.memory(database=through) as memory:
        proxy.forget()
        indexed(through, tenant, memory)
        return tuple(proxy.units)


def _calls_until_through(call: Callable[[], object]) -> int:
    """How often it is called until it does not say any more that it may be tried again."""
    for number in range(1, 6):
        try:
            call()
        except TransientError:
            continue
        return number
    raise AssertionError("never through")


@pytest.mark.timeout(3_600)
@pytest.mark.parametrize("kind", ["unavailable", "exhausted"])
def test_weaviate_away_at_any_call(database: Database, scratch: Scratch, kind: Any) -> None:
    """One call of an index fails, whichever: no index fails by it, and what was not told is told by a later one."""
    with case_of(database, scratch, "scan") as case:
        assert case.fake is not None
        fake, wrong = case.fake, {}
        expected, tenant = undisturbed(case), case.tenant()
        before = len(fake.seen)
        case.index(tenant)
        calls = len(fake.seen) - before
        assert calls > 10
        for number in sample(calls, 3):
            tenant = case.tenant()
            left = itertools.count(1)
            fake.fail(kind, times=1, applies=lambda _, left=left, number=number: next(left) == number)
            case.index(tenant)
            fake.forget()
            with case.memory() as memory:
                told = difference(database, tenant, memory)
            assert told is not None
            found = differing(case.state(tenant), expected)
            if found or not told.is_equal:
                wrong[number] = found
    assert wrong == {}


class Faulty(HashEmbedder):
    """Gives no vectors, or what is none, from its n-th call on."""

    def __init__(self, fails: Callable[[Any], Any], after: int = 1, times: int = 1_000) -> None:
        self._fails, self._after, self._times, self.calls = fails, after, times, 0

    def embed(self, texts: Sequence[str]) -> Any:
        """The right vectors, changed."""
        self.calls += 1
        made = super().embed(texts)
        return self._fails(made) if self._after < self.calls <= self._after + self._times else made


def _away(_: Any) -> Any:
    raise TransientError("the model does not answer", "try again later")


def _first_row(value: float) -> Callable[[Any], Any]:
    def change(made: Any) -> Any:
        made[0] = value
        return made

    return change


REFUSED: dict[str, Callable[[Any], Any]] = {
    "nan": _first_row(np.nan), "infinite": _first_row(np.inf), "zero": _first_row(0.0), "long": lambda made: made * 2,
    "narrow": lambda made: made[:, :10], "wide": lambda made: np.hstack([made, made]), "few": lambda made: made[1:],
    "many": lambda made: np.vstack([made, made[:1]]), "flat": lambda made: made[0],
}  # fmt: skip


@pytest.mark.parametrize("how", [*REFUSED, "away"])
def test_an_embedder_that_gives_no_vectors(database: Database, scratch: Scratch, how: str) -> None:
    """Nothing of that batch is written, what was before stands, the lease is free; with one that works the end is the same."""
    tables = "pgvector" if how in ("nan", "narrow", "away") else "scan"
    with case_of(database, scratch, tables, weaviate=False) as case:
        expected, tenant = undisturbed(case), case.tenant()
        faulty = Faulty(REFUSED.get(how, _away))
        before = len(case.state(tenant)["vectors"])
        with case.memory(faulty) as memory:
            with pytest.raises(TransientError if how == "away" else EmbeddingError):
                indexed(database, tenant, memory)
            state = case.state(tenant)
            assert (state["leases"], state["outbox"]) == ([], [])
            assert len(state["passages"]) > len(state["vectors"])
            assert abs(len(state["vectors"]) - before) <= len(ALL)
        case.index(tenant)
        assert differing(case.state(tenant), expected) == {}


@pytest.mark.parametrize("how", [*REFUSED, "away"])
def test_a_question_without_a_vector(database: Database, scratch: Scratch, how: str) -> None:
    """A question whose vector is none is answered by its words, and that is said; no error of numpy or the server reaches who asks."""
    with case_of(database, scratch, "scan", weaviate=False) as case:
        tenant = case.tenant()
        case.index(tenant)
        with case.memory(Faulty(REFUSED.get(how, _away), after=0)) as memory:
            answer = memory.search(tenant, "pumps")
            assert answer.degraded
            assert answer.hits
            assert all(hit.similarity is None for hit in answer.hits)


def test_a_batch_becomes_smaller_until_it_passes(database: Database, scratch: Scratch) -> None:
    """An embedder that is away once for a batch is asked for half of it, and the index goes through in one call."""
    with case_of(database, scratch, "scan", weaviate=False) as case:
        expected, tenant = undisturbed(case), case.tenant()
        faulty = Faulty(_away, times=1)
        with case.memory(faulty) as memory:
            indexed(database, tenant, memory)
        assert faulty.calls > 2
        assert differing(case.state(tenant), expected) == {}
