"""Memory as a whole: what is staged is found, whatever changes reaches every tier, and a store that is away costs no answer."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from uuid import UUID, uuid4

import psycopg
import pytest

from pay_ready.db import embedders as db_embedders
from pay_ready.db import memories as db_memories
from pay_ready.db.tenancy import Database, TenantTransaction
from pay_ready.db.vector_tables import embedder_tag, enable_vectors
from pay_ready.errors import EmbeddingError, NotFoundError
from pay_ready.failpoints import FailpointError, armed
from pay_ready.memory.cold.options import WeaviateOptions
from pay_ready.memory.cold.weaviate import WeaviateStore
from pay_ready.memory.embed.hashing import HashEmbedder
from pay_ready.memory.indexing import FAILPOINTS
from pay_ready.memory.settings import SearchOptions
from pay_ready.memory.tiers import MemoryManager
from pay_ready.model.ids import RunId, TenantId, new_id
from pay_ready.model.memory import Filters
from pay_ready.pipeline.index import difference, rebuild, reconcile
from tests.conftest import Scratch, make_tenant
from tests.fake_weaviate import FakeWeaviate
from tests.memory_support import START, Talk, indexed, memory_on, publish, relink, say

ANN, BOB, ACME = (UUID(int=number) for number in (1, 2, 3))
PRICE = Talk(key="1", body="Procurement asks for a discount of ten percent.", entities=(("person", ANN), ("company", ACME)), thread="deal")
ANSWER = Talk(key="2", body="We can do five if you sign this month.", entities=(("person", BOB),), thread="deal", minute=1)
CALL = Talk(
    key="3", kind="call", source="gong", subject="Quarterly review", minute=90, entities=(("person", ANN),),
    turns=(("Ann", "The scanner stops whenever the warehouse gets cold."), ("Bob", "I will send an engineer on Tuesday.")),
)  # fmt: skip
TALKS = (PRICE, ANSWER, CALL)


class OtherEmbedder(HashEmbedder):
    """The same words under another name: another model, as far as anybody can tell."""

    @property
    def id(self) -> str:
        """Its own."""
        return "tests: other"


class BrokenEmbedder(HashEmbedder):
    """Gives zeros."""

    def embed(self, texts: Sequence[str]):  # type: ignore[no-untyped-def]
        """Nothing that could be compared."""
        return super().embed(texts) * 0


@pytest.fixture(params=["pgvector", "scan"])
def ready(request: pytest.FixtureRequest, scratch: Scratch) -> str:
    """With and without pgvector."""
    if request.param == "pgvector":
        for each in (HashEmbedder(), OtherEmbedder()):
            enable_vectors(scratch.admin_url, "pay_ready", each.id, each.dim)
    return str(request.param)


@contextmanager
def beside_weaviate(database: Database, search: SearchOptions | None = None) -> Iterator[tuple[MemoryManager, FakeWeaviate]]:
    """Memory with a Weaviate of ours beside Postgres."""
    with FakeWeaviate() as fake:
        embedder = HashEmbedder()
        options = WeaviateOptions(url=fake.url, grpc_port=fake.grpc_port, breaker_open_s=0.2)
        store = WeaviateStore(options, embedder_id=embedder.id, dim=embedder.dim)
        yield memory_on(database, outer=store, search=search), fake
        store.close()


def found(memory: MemoryManager, tenant: TenantId, words: str, **how: object) -> list[UUID]:
    """The interactions of a search, the best first."""
    return [hit.passage.interaction_id for hit in memory.search(tenant, words, **how).hits]  # type: ignore[arg-type]


def test_what_was_staged_is_found(database: Database, scratch: Scratch, tenant: TenantId, ready: str) -> None:
    """By any of its words, narrowed by who, where, what and when; a second index has nothing to do."""
    assert ready
    say(scratch.admin_url, tenant, *TALKS)
    memory = memory_on(database)
    report = indexed(database, tenant, memory)
    assert (report.heard.interactions, report.vectors, report.waiting.changes) == (3, 3, 0)
    assert found(memory, tenant, "who wanted a discount?")[0] == PRICE.id_of(tenant)
    assert found(memory, tenant, "warehouse scanners")[0] == CALL.id_of(tenant)
    everything = {each.id_of(tenant) for each in TALKS}
    assert set(found(memory, tenant, "discount")) == everything
    for filters, expected in (
        (Filters(entity_ids=(ANN,)), {PRICE, CALL}),
        (Filters(entity_ids=(ACME,)), {PRICE}),
        (Filters(sources=("gong",)), {CALL}),
        (Filters(sources=("nowhere",)), set()),
        (Filters(interaction_types=("message",)), {PRICE, ANSWER}),
        (Filters(until=db_time(database, tenant, CALL)), {PRICE, ANSWER}),
        (Filters(since=db_time(database, tenant, CALL)), {CALL}),
    ):
        assert set(found(memory, tenant, "discount", filters=filters)) == {each.id_of(tenant) for each in expected}, filters
    assert len(found(memory, tenant, "discount", most=2)) == 2
    assert found(memory, tenant, "discount", least_similarity=0.99) == []
    again = indexed(database, tenant, memory)
    assert (again.heard.changes, again.vectors) == (0, 0)


def test_a_change_is_followed(database: Database, scratch: Scratch, tenant: TenantId, ready: str) -> None:
    """What an interaction says now is found and what it said before is not; what went is gone."""
    assert ready
    say(scratch.admin_url, tenant, *TALKS)
    memory = memory_on(database)
    indexed(database, tenant, memory)
    after = Talk(key="1", body="Procurement asks about insurance.", entities=PRICE.entities, thread="deal")
    say(scratch.admin_url, tenant, after, gone=(CALL,))
    report = indexed(database, tenant, memory)
    assert (report.heard.interactions, report.heard.removed, report.vectors) == (2, 1, 1)
    assert found(memory, tenant, "insurance")[0] == PRICE.id_of(tenant)
    assert CALL.id_of(tenant) not in found(memory, tenant, "warehouse scanner engineer")
    with pytest.raises(NotFoundError):
        memory.get(tenant, CALL.id_of(tenant))
    assert memory.get(tenant, PRICE.id_of(tenant)).body == after.body


@pytest.mark.parametrize("point", [each for each in FAILPOINTS if each not in ("index.told", "index.projections_dropped")])
def test_whatever_stops_it_goes_on(database: Database, scratch: Scratch, tenant: TenantId, point: str) -> None:
    """An index that fails anywhere leaves what it did; the next one ends with the same passages and vectors."""
    say(scratch.admin_url, tenant, *TALKS)
    memory = memory_on(database)
    with armed(point, "raise"), pytest.raises(FailpointError):
        indexed(database, tenant, memory)
    indexed(database, tenant, memory)
    assert set(found(memory, tenant, "discount")) == {each.id_of(tenant) for each in TALKS}
    assert indexed(database, tenant, memory).vectors == 0


def test_another_embedder_takes_over_when_it_is_whole(database: Database, scratch: Scratch, tenant: TenantId, ready: str) -> None:
    """Until then the old vectors serve, by their own embedder; vectors of two are never compared; what gives no vectors is refused."""
    assert ready
    say(scratch.admin_url, tenant, *TALKS)
    first = memory_on(database)
    indexed(database, tenant, first)
    second = MemoryManager(
        database, hot=first.hot, embedder=OtherEmbedder, former=lambda name: HashEmbedder() if name == HashEmbedder().id else None
    )  # fmt: skip
    with armed("index.vectors_written", "raise"), pytest.raises(FailpointError):
        indexed(database, tenant, second)
    answer = second.search(tenant, "discount")
    assert (answer.embedder_id, len(answer.hits)) == (HashEmbedder().id, 3)
    indexed(database, tenant, second)
    answer = second.search(tenant, "discount")
    assert (answer.embedder_id, len(answer.hits)) == ("tests: other", 3)
    with database.tenant_transaction(tenant) as tx:
        assert [each.embedder_id for each in db_embedders.embedders(tx)] == ["tests: other"]
    say(scratch.admin_url, tenant, PRICE)
    broken = memory_on(database, embedder=BrokenEmbedder())
    with pytest.raises(EmbeddingError):
        rebuild(database, tenant, broken, run_id=RunId(new_id()))
    assert len(second.search(tenant, "discount").hits) == 3


def test_the_index_of_many(database: Database, scratch: Scratch, tenant: TenantId) -> None:
    """From so many vectors on the index is asked: as many hits as are there, the same ones as by reading, beside a neighbour's."""
    embedder = HashEmbedder()
    enable_vectors(scratch.admin_url, "pay_ready", embedder.id, embedder.dim)
    neighbour = make_tenant(database, "neighbour")
    talks = [
        Talk(key=str(number), body=f"Order {number} of {number % 7} pumps for hall {number % 13}", minute=number) for number in range(120)
    ]
    few, many = memory_on(database, search=SearchOptions(exact_below=10_000)), memory_on(database, search=SearchOptions(exact_below=50))
    for owner in (tenant, neighbour):
        say(scratch.admin_url, owner, *talks)
        indexed(database, owner, many)
    with database.tenant_transaction(tenant) as tx:
        assert db_embedders.serving(tx) is not None
        assert db_embedders.serving(tx).is_indexed  # type: ignore[union-attr]
    own = {each.id_of(tenant) for each in talks}
    for words in ("pumps for hall 5", "order 77", "something else"):
        hits = many.search(tenant, words, most=30).hits
        assert len(hits) == 30
        assert {hit.passage.interaction_id for hit in hits} <= own
    assert len(many.search(tenant, "pumps", most=30, filters=Filters(interaction_types=("call",))).hits) == 0
    assert few.search(tenant, "order 77").hits[0].passage.interaction_id == many.search(tenant, "order 77").hits[0].passage.interaction_id


def test_weaviate_beside_it(database: Database, scratch: Scratch, tenant: TenantId) -> None:
    """It is told of everything and asked; away, the same is found in Postgres, and said; back, it converges by itself."""
    say(scratch.admin_url, tenant, *TALKS)
    with beside_weaviate(database) as (memory, fake):
        report = indexed(database, tenant, memory)
        assert (report.told.objects, report.outer_away, report.waiting.interactions) == (3, False, 0)
        answer = memory.search(tenant, "discount", filters=Filters(entity_ids=(ANN,)))
        assert answer.tiers == ("warm", "cold")
        assert any("cold" in hit.tiers for hit in answer.hits)
        fake.fail("unavailable")
        away = memory.search(tenant, "discount", filters=Filters(entity_ids=(ANN,)))
        assert away.degraded
        assert any("weaviate is away" in each for each in away.reasons)
        assert [hit.passage.memory_id for hit in away.hits] == [hit.passage.memory_id for hit in answer.hits]
        say(scratch.admin_url, tenant, Talk(key="4", body="A new question about the discount"), gone=(CALL,))
        report = indexed(database, tenant, memory)
        assert report.outer_away
        assert report.waiting.interactions == 2
        fake.forget()
        wait_for(lambda: not indexed(database, tenant, memory).outer_away)
        told = difference(database, tenant, memory)
        assert told is not None
        assert (told.is_equal, told.passages) == (True, 3)


def test_links_of_a_run_reach_weaviate(database: Database, scratch: Scratch, tenant: TenantId) -> None:
    """A call that is somebody else's by a run is found as his in the vector store, too, and no longer as hers."""
    say(scratch.admin_url, tenant, *TALKS)
    with beside_weaviate(database) as (memory, _):
        indexed(database, tenant, memory)
        relink(scratch.admin_url, tenant, CALL, BOB, 2)
        assert found(memory, tenant, "scanner", filters=Filters(entity_ids=(ANN,))) == [PRICE.id_of(tenant)]
        publish(scratch.admin_url, tenant, 2)
        report = indexed(database, tenant, memory)
        assert (report.heard.relinked, report.told.interactions) == (1, 1)
        assert memory.outer is not None
        kept = {each.interaction_id: each.entity_ids for each in memory.outer.scan(tenant)}
        assert kept[CALL.id_of(tenant)] == {BOB}
        assert set(found(memory, tenant, "scanner", filters=Filters(entity_ids=(BOB,)))) == {CALL.id_of(tenant), ANSWER.id_of(tenant)}


@pytest.mark.parametrize("erased", [False, True])
def test_what_became_shorter_is_shorter_everywhere(database: Database, scratch: Scratch, tenant: TenantId, erased: bool) -> None:
    """Passages behind the new end go from the vector store, too; also where an erasure had taken them from the record before."""
    long = Talk(key="9", kind="note", source="hubspot", body=" ".join(f"Sentence {number} is about pumps." for number in range(120)))
    short = Talk(key="9", kind="note", source="hubspot", body="Only this is left.")
    say(scratch.admin_url, tenant, long)
    with beside_weaviate(database) as (memory, _):
        assert indexed(database, tenant, memory).heard.passages > 2
        say(scratch.admin_url, tenant, short)
        if erased:
            with psycopg.connect(scratch.admin_url) as admin:
                admin.execute("delete from pay_ready.memories where tenant_id = %s", (tenant,))
                admin.execute("update pay_ready.memory_outbox set change = 'delete' where tenant_id = %s", (tenant,))
        indexed(database, tenant, memory)
        told = difference(database, tenant, memory)
        assert told is not None
        assert (told.is_equal, told.kept) == (True, 1)


def test_reconcile_mends_what_was_broken(database: Database, scratch: Scratch, tenant: TenantId) -> None:
    """Orphans, missing and stale objects are found, said and repaired; the second time nothing is off."""
    say(scratch.admin_url, tenant, *TALKS)
    with beside_weaviate(database) as (memory, _):
        indexed(database, tenant, memory)
        store = memory.outer
        assert store is not None
        (kept, *_) = list(store.scan(tenant))
        store.delete_memories(tenant, [kept.memory_id])
        with psycopg.connect(scratch.admin_url) as admin:
            admin.execute("set session_replication_role = replica")
            admin.execute(
                "delete from pay_ready.memories where tenant_id = %s and interaction_id = %s and memory_id <> %s",
                (tenant, CALL.id_of(tenant), kept.memory_id),
            )
            admin.execute("delete from pay_ready.memory_vectors_plain where tenant_id = %s and memory_id not in"
                          " (select memory_id from pay_ready.memories)", (tenant,))  # fmt: skip
        first = reconcile(database, tenant, memory, run_id=RunId(new_id()), repair=False)
        assert (first.found.missing, first.found.is_equal) == (1, False)
        assert first.found.orphans in (0, 1)
        reconcile(database, tenant, memory, run_id=RunId(new_id()))
        second = reconcile(database, tenant, memory, run_id=RunId(new_id()), repair=False)
        assert second.found.is_equal
        rebuild(database, tenant, memory, run_id=RunId(new_id()))
        told = difference(database, tenant, memory)
        assert told is not None
        assert (told.is_equal, told.passages) == (True, 3)


def test_forget_reaches_every_tier(database: Database, scratch: Scratch, tenant: TenantId) -> None:
    """Of one tenant and of nobody else; store brings it back at once."""
    other = make_tenant(database, "other")
    with beside_weaviate(database) as (memory, _):
        for owner in (tenant, other):
            say(scratch.admin_url, owner, *TALKS)
            indexed(database, owner, memory)
        memory.get(tenant, PRICE.id_of(tenant))
        assert memory.forget(tenant, [PRICE.id_of(tenant)]) == 1
        store = memory.outer
        assert store is not None
        assert (store.count(tenant), store.count(other)) == (2, 3)
        assert PRICE.id_of(tenant) not in found(memory, tenant, "discount")
        assert found(memory, other, "discount")[0] == PRICE.id_of(other)
        assert memory.store(tenant, [PRICE.id_of(tenant)]) == 1
        assert found(memory, tenant, "discount")[0] == PRICE.id_of(tenant)
        assert (store.count(tenant), store.count(other)) == (3, 3)


def test_context_takes_one_statement(database: Database, scratch: Scratch, tenant: TenantId, monkeypatch: pytest.MonkeyPatch) -> None:
    """A thread, the passages around one of a call, somebody's latest: the same number of statements however much there is."""
    long = Talk(
        key="5", kind="call", source="gong", minute=200, entities=(("person", ANN),),
        turns=[(("Ann", "Bob")[number % 2], f"Sentence {number} about the pumps. " * 12) for number in range(30)],
    )  # fmt: skip
    thread = [Talk(key=f"t{number}", body=f"Message {number}", thread="deal", minute=number + 2) for number in range(30)]
    say(scratch.admin_url, tenant, *TALKS, long, *thread)
    memory = memory_on(database)
    indexed(database, tenant, memory)
    statements: list[str] = []
    run = TenantTransaction._run
    monkeypatch.setattr(TenantTransaction, "_run", lambda self, *asked: (statements.append(asked[0]), run(self, *asked))[1])
    memory.epoch(tenant)
    counts = []
    for most in (1, 20):
        for kind, subject in (("thread", PRICE.id_of(tenant)), ("recent", ANN)):
            statements.clear()
            passages = memory.context(tenant, kind, subject, most=most)  # type: ignore[arg-type]
            counts.append(len([each for each in statements if each != "memories.epoch"]))
            assert passages
    assert counts == [1, 1, 1, 1]
    assert [each.chunk_text for each in memory.context(tenant, "thread", PRICE.id_of(tenant), most=3)] == [
        PRICE.body, ANSWER.body, "Message 0", "Message 1",
    ]  # fmt: skip
    with database.tenant_transaction(tenant) as tx:
        inside = sorted(
            (each for each in db_memories.recent(tx, [ANN], 100) if each.interaction_id == long.id_of(tenant)),
            key=lambda each: each.chunk_no,
        )
    around = memory.context(tenant, "surroundings", inside[2].memory_id, most=1)
    assert [each.chunk_no for each in around] == [1, 2, 3]
    statements.clear()
    memory.context(tenant, "surroundings", inside[2].memory_id, most=1)
    assert not [each for each in statements if each != "memories.epoch"]


def test_no_tier_gives_a_neighbours_words(database: Database, scratch: Scratch, tenant: TenantId) -> None:
    """A canary of another tenant is in no answer, whatever is asked, and its interaction is not there for anybody else."""
    other = make_tenant(database, "other")
    canary = Talk(key="1", body=f"canary {uuid4()} asks for a discount", entities=(("person", ANN),), thread="deal")
    with beside_weaviate(database) as (memory, _):
        say(scratch.admin_url, tenant, *TALKS)
        say(scratch.admin_url, other, canary)
        for owner in (tenant, other):
            indexed(database, owner, memory)
        for words in ("canary", "discount", str(canary.body)):
            for hit in memory.search(tenant, words, most=200, filters=Filters(entity_ids=())).hits:
                assert "canary" not in hit.passage.chunk_text
        memory.get(other, canary.id_of(other))
        with pytest.raises(NotFoundError):
            memory.get(tenant, canary.id_of(other))
        for kind in ("thread", "surroundings", "recent"):
            assert not [
                each
                for each in memory.context(tenant, kind, canary.id_of(other))
                if "canary" in each.chunk_text  # type: ignore[arg-type]
            ]


def db_time(database: Database, tenant: TenantId, talk: Talk):  # type: ignore[no-untyped-def]
    """When an interaction took place."""
    with database.tenant_transaction(tenant) as tx:
        found_one = db_memories.interaction(tx, talk.id_of(tenant))
    assert found_one is not None
    return found_one[0].occurred_at


def wait_for(is_done: Callable[[], bool]) -> None:
    """Until it is so; the test's timeout ends it else."""
    while not is_done():
        pass


def test_words_that_many_have(database: Database, scratch: Scratch, tenant: TenantId) -> None:
    """They are counted once the tenant is large; a rare word decides, and where filters leave none of it the common ones still find all."""
    talks = [Talk(key=f"w{number}", body=f"The invoice of order {number}", minute=number) for number in range(60)]
    zebra = Talk(key="z", body="The invoice of the zebra", source="gong", kind="call", minute=70)
    say(scratch.admin_url, tenant, *talks, zebra)
    memory = memory_on(database, search=SearchOptions(common_from=50, common_share=0.1, candidates=10))
    indexed(database, tenant, memory)
    with database.tenant_transaction(tenant) as tx:
        counts, passages = db_memories.word_counts(tx, "invoice zebra unicorn", ("english",))
    assert passages == 61
    assert {each.lexeme: (each.passages, each.is_common) for each in counts} == {"invoic": (61, True), "zebra": (1, False)}
    assert memory.search(tenant, "invoice of the zebra", most=1).hits[0].passage.interaction_id == zebra.id_of(tenant)
    narrowed = memory.search(tenant, "invoice of the zebra", most=40, filters=Filters(sources=("slack",)))
    assert len(narrowed.hits) == 40
    say(scratch.admin_url, tenant, gone=talks)
    indexed(database, tenant, memory)
    with database.tenant_transaction(tenant) as tx:
        again, left = db_memories.word_counts(tx, "invoice", ("english",))
    assert (left, [(each.passages, each.is_common) for each in again]) == (1, [(1, False)])


def test_what_to_know_within_a_budget(database: Database, scratch: Scratch, tenant: TenantId) -> None:
    """The opening of the interaction is always there, then what is of the last days, then what is near the question; never over budget."""
    remark = "An old remark about pallets. " * 20
    old = [Talk(key=f"o{number}", body=f"{number}: {remark}", entities=(("person", ANN),), minute=200 + number) for number in range(20)]
    say(scratch.admin_url, tenant, *TALKS, *old)
    memory = memory_on(database)
    indexed(database, tenant, memory)
    told = memory.briefing(tenant, interaction_id=PRICE.id_of(tenant), budget_tokens=300, question="discount of ten percent")
    assert told.pruned.tokens <= 300
    reasons = {told.passages[each.item_id].interaction_id: each.reason for each in told.pruned.items}
    assert reasons[PRICE.id_of(tenant)] == "essential"
    assert ANSWER.id_of(tenant) in reasons
    assert told.pruned.left_out
    of_ann = memory.briefing(tenant, entity_ids=[ANN], budget_tokens=10_000, now=START + timedelta(days=1))
    assert {each.reason for each in of_ann.pruned.items} == {"recent"}
    with pytest.raises(NotFoundError):
        memory.briefing(tenant, interaction_id=uuid4(), budget_tokens=300)


def test_what_is_asked_for_comes_back_into_the_index(database: Database, scratch: Scratch, tenant: TenantId) -> None:
    """Beside an outer store the index holds what was touched in the window: the rest leaves it, and one search brings a passage back."""
    say(scratch.admin_url, tenant, *TALKS)
    embedder = HashEmbedder()
    enable_vectors(scratch.admin_url, "pay_ready", embedder.id, embedder.dim)
    with beside_weaviate(database, search=SearchOptions(exact_below=1)) as (memory, _):
        indexed(database, tenant, memory)
        with psycopg.connect(scratch.admin_url) as admin:
            admin.execute("set session_replication_role = replica")
            admin.execute("update pay_ready.memories set touched_at = now() - interval '8 days'")
        say(scratch.admin_url, tenant, Talk(key="new", body="Something new", minute=300))
        indexed(database, tenant, memory)
        assert _in_index(scratch, embedder) == 1
        hits = memory.search(tenant, "discount of ten percent", most=1).hits
        assert hits[0].passage.interaction_id == PRICE.id_of(tenant)
        assert _in_index(scratch, embedder) == 2
        memory.get(tenant, ANSWER.id_of(tenant))
        indexed(database, tenant, memory)
        assert _in_index(scratch, embedder) == 3


def _in_index(scratch: Scratch, embedder: HashEmbedder) -> int:
    with psycopg.connect(scratch.admin_url) as admin:
        row = admin.execute(f"select count(*) from pay_ready.memory_vectors_{embedder_tag(embedder.id)} where in_index").fetchone()  # type: ignore[arg-type]
    assert row is not None
    return int(row[0])


def test_bytes_move_into_pgvector(database: Database, scratch: Scratch, tenant: TenantId) -> None:
    """A table that is made later is empty: what was kept as bytes is searched until the next index has moved it, and afterwards there."""
    say(scratch.admin_url, tenant, *TALKS)
    memory = memory_on(database)
    indexed(database, tenant, memory)
    before = memory.search(tenant, "discount of ten percent", most=3)
    enable_vectors(scratch.admin_url, "pay_ready", memory.embedder.id, memory.embedder.dim)
    between = memory.search(tenant, "discount of ten percent", most=3)
    assert [hit.similarity for hit in between.hits] == [hit.similarity for hit in before.hits]
    assert indexed(database, tenant, memory).vectors == 0
    after = memory.search(tenant, "discount of ten percent", most=3)
    assert [hit.passage.memory_id for hit in after.hits] == [hit.passage.memory_id for hit in before.hits]
    assert [hit.similarity for hit in after.hits] == pytest.approx([hit.similarity for hit in before.hits], abs=1e-3)
    with psycopg.connect(scratch.admin_url) as admin:
        assert admin.execute("select count(*) from pay_ready.memory_vectors_plain").fetchone() == (0,)
