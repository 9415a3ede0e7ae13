"""Canaries of a neighbour in every tier of memory: no public method of any of them gives a trace of it away, or changes it.

The methods are read from the classes and modules; one without an attack fails the suite. Each attack names the neighbour's own ids, words
and vectors (cosine 1) under the attacker's tenant, and its answer must be that of a database in which the neighbour never was. The same
call under the neighbour's own kind of tenant must find or change something: else the attack would prove nothing.
"""

import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any
from uuid import UUID, uuid4

import pytest

from pay_ready.db import memories as db_memories
from pay_ready.db import vectors as db_vectors
from pay_ready.db.memories import Passage, Projection, SourceInteraction, WeighedWord
from pay_ready.db.tenancy import Database, PoolOptions
from pay_ready.db.vectors import FreshVector, IndexedVectors, PlainVectors, VectorTable
from pay_ready.errors import IsolationError, PayReadyError
from pay_ready.memory.cold.postgres import PostgresStore
from pay_ready.memory.cold.weaviate import WeaviateStore
from pay_ready.memory.hot import HotKey, HotTier
from pay_ready.memory.indexing import Indexer
from pay_ready.memory.tiers import MemoryManager
from pay_ready.model.ids import TenantId
from pay_ready.model.memory import Filters, VectorHit, VectorQuery, VectorStore
from tests.conftest import Server, cloned
from tests.memory_support import START, memory_on

from .memory_world import ANN, NEIGHBOUR, OWN, WORDS, Victim, World, answered, names, plain, victim_of, world_on

Run = Callable[[World, TenantId, Victim], object]  # what `tenant` gets with the ids of the victim


@dataclass(frozen=True, slots=True, kw_only=True)
class Attack:
    """A call with somebody else's ids."""

    run: Run
    is_silent: bool = False  # gives nothing and changes nothing that could be seen, for the victim itself too


def each_of(*asks: Run) -> Run:
    """Several calls as one attack."""
    return lambda world, tenant, victim: [answered(lambda ask=ask: ask(world, tenant, victim)) for ask in asks]  # type: ignore[misc]


def _filters(victim: Victim) -> tuple[Filters, ...]:
    return (
        Filters(), Filters(entity_ids=(victim.firm,)), Filters(entity_ids=(victim.absorbed,)), Filters(entity_ids=(ANN,)),
        Filters(sources=("slack",)), Filters(interaction_types=("call",)), Filters(since=START), Filters(languages=("en",)),
    )  # fmt: skip


def _searches(world: World, tenant: TenantId, victim: Victim) -> object:
    found = []
    for words in (victim.text, victim.canary, WORDS, "pumps"):
        for filters in _filters(victim):
            for least in (None, 0.99):
                found.append(world.memory.search(tenant, words, most=200, filters=filters, least_similarity=least))
    return found


def _briefings(world: World, tenant: TenantId, victim: Victim) -> object:
    given: tuple[dict[str, Any], ...] = (
        {"interaction_id": victim.interaction}, {"entity_ids": [victim.firm, victim.absorbed, ANN]}, {"entity_ids": [victim.absorbed]},
    )  # fmt: skip
    return [
        answered(lambda how=how: world.memory.briefing(tenant, budget_tokens=2_000, question=victim.text, now=START, **how))  # type: ignore[misc]
        for how in given
    ]


def _indexer(world: World, tenant: TenantId, victim: Victim) -> object:
    indexer = world.memory.indexer(tenant)
    with world.database.tenant_transaction(tenant) as tx:
        written = indexer.write(tx, [victim.interaction, victim.talks[1].id_of(victim.tenant)], 1, [victim.interaction])
    return [written, indexer.embedders(), indexer.hear(), indexer.embed(None), indexer.settle(), indexer.tell()]


MANAGER: Mapping[str, Attack] = {
    "get": Attack(run=lambda world, tenant, victim: world.memory.get(tenant, victim.interaction)),
    "context": Attack(run=each_of(
        lambda world, tenant, victim: world.memory.context(tenant, "thread", victim.interaction, most=200),
        lambda world, tenant, victim: world.memory.context(tenant, "surroundings", victim.call_passage, most=200),
        lambda world, tenant, victim: world.memory.context(tenant, "recent", victim.firm, most=200),
        lambda world, tenant, victim: world.memory.context(tenant, "recent", victim.absorbed, most=200),
    )),
    "search": Attack(run=_searches),
    "briefing": Attack(run=_briefings),
    "epoch": Attack(run=lambda world, tenant, _: world.memory.epoch(tenant)),
    "store": Attack(run=lambda world, tenant, victim: world.memory.store(tenant, [each.id_of(victim.tenant) for each in victim.talks])),
    "indexer": Attack(run=_indexer),
    "forget": Attack(run=lambda world, tenant, victim: world.memory.forget(tenant, [victim.interaction])),
}  # fmt: skip


def _advanced(world: World, tenant: TenantId, victim: Victim) -> object:
    """A load that began before does not come to be kept: for this tenant alone."""
    since = world.memory.hot.moment
    told, new = world.memory.hot.advance(tenant, 1 << 40), HotKey(victim.tenant, "all", "new", "1")
    is_kept = world.memory.hot.put(new, "new", since) if tenant != victim.tenant else None
    return [told, is_kept, world.memory.hot.forget(victim.tenant, ["new"])]


def _after(change: Run) -> Run:
    """What the victim's value is afterwards: it must still be there, for the victim."""
    return lambda world, tenant, victim: [change(world, tenant, victim), world.memory.hot.get(victim.hot_key(tenant))]


HOT: Mapping[str, Attack] = {
    "get": Attack(run=lambda world, tenant, victim: world.memory.hot.get(victim.hot_key(tenant))),
    "get_or_load": Attack(run=lambda world, tenant, victim: world.memory.hot.get_or_load(victim.hot_key(tenant), lambda: "its own")),
    "put": Attack(run=_after(
        lambda world, tenant, victim: world.memory.hot.put(victim.hot_key(tenant), "changed", world.memory.hot.moment)
    ), is_silent=True),
    "forget": Attack(run=lambda world, tenant, victim: world.memory.hot.forget(tenant, [victim.hot_key(tenant).key])),
    "forget_tenant": Attack(run=lambda world, tenant, _: world.memory.hot.forget_tenant(tenant)),
    "advance": Attack(run=_advanced, is_silent=True),
}  # fmt: skip


def _store(name: str) -> Mapping[str, Attack]:
    def of(world: World) -> VectorStore:
        return getattr(world, name)  # type: ignore[no-any-return]

    def searches(world: World, tenant: TenantId, victim: Victim) -> object:
        return [
            of(world).search(tenant, VectorQuery(vector=victim.vector, most=200, filters=filters, least_similarity=least))
            for filters in _filters(victim)
            for least in (-1.0, 0.99)
        ]

    return {
        "search": Attack(run=searches),
        "count": Attack(run=lambda world, tenant, _: of(world).count(tenant)),
        "scan": Attack(run=lambda world, tenant, _: sorted((plain(each) for each in of(world).scan(tenant)), key=str)),
        "put": Attack(run=lambda world, tenant, victim: of(world).put(tenant, [victim.object]).written),
        "delete": Attack(run=lambda world, tenant, victim: of(world).delete(tenant, [victim.interaction])),
        "delete_memories": Attack(run=lambda world, tenant, victim: of(world).delete_memories(tenant, [victim.memory])),
        "drop_tenant": Attack(run=lambda world, tenant, _: of(world).drop_tenant(tenant)),
    }


def _table(ask: Callable[[VectorTable, Any, Victim], object], *, is_silent: bool = False) -> Attack:
    return Attack(run=lambda world, tenant, victim: world.in_table(tenant, lambda table, tx: ask(table, tx, victim)), is_silent=is_silent)


def _fresh(victim: Victim) -> FreshVector:
    said = victim.object
    return FreshVector(memory_id=victim.memory, interaction_id=victim.interaction, content_hash=said.content_hash, vector=said.vector)


TABLE: Mapping[str, Attack] = {
    "write": _table(lambda table, tx, victim: [
        table.write(tx, [_fresh(victim)], in_index=True), table.hashes(tx, [victim.memory])
    ]),
    "missing": _table(lambda table, tx, _: (table.drop_all(tx), [each.chunk_text for each in table.missing(tx, None, 1_000)])),
    "count_missing": _table(lambda table, tx, _: (table.drop_all(tx), table.count_missing(tx))),
    "count": _table(lambda table, tx, _: table.count(tx)),
    "nearest": _table(lambda table, tx, victim: [
        table.nearest(tx, VectorQuery(vector=victim.vector, most=most, filters=filters), is_indexed=is_indexed, ef=100)
        for filters in _filters(victim) for is_indexed in (True, False) for most in (1, 200)
    ]),
    "similarities": _table(lambda table, tx, victim: table.similarities(tx, victim.vector, [victim.memory, victim.call_passage])),
    "objects": _table(lambda table, tx, victim: table.objects(tx, [victim.interaction])),
    "kept": _table(lambda table, tx, _: table.kept(tx, None, 1_000)),
    "hashes": _table(lambda table, tx, victim: table.hashes(tx, [victim.memory, victim.call_passage])),
    "drop_interactions": _table(lambda table, tx, victim: table.drop_interactions(tx, [victim.interaction])),
    "drop_memories": _table(lambda table, tx, victim: table.drop_memories(tx, [victim.memory])),
    "drop_all": _table(lambda table, tx, _: table.drop_all(tx)),
}  # fmt: skip
INDEXED: Mapping[str, Attack] = {
    "misplaced": _table(lambda table, tx, _: sorted(
        str(each.memory_id) for since in (None, START) for each in table.misplaced(tx, 1_000, since)  # type: ignore[attr-defined]
    )),
    "place": _table(lambda table, tx, victim: table.place(tx, [victim.memory, victim.call_passage], in_index=True)),  # type: ignore[attr-defined]
}  # fmt: skip


PLAIN: Mapping[str, Attack] = {
    "page": _table(lambda table, tx, _: sorted(str(plain(each)) for each in table.page(tx, 1_000))),  # type: ignore[attr-defined]
}


def _moved(table: VectorTable, tx: Any, victim: Victim) -> object:
    """From bytes, of everything that the tenant has, into pgvector's table where there is one."""
    left = PlainVectors(table.tag, table.dimensions)
    fresh = [
        FreshVector(memory_id=each.memory_id, interaction_id=each.interaction_id, content_hash=each.content_hash, vector=victim.vector)
        for each in table.kept(tx, None, 1_000)
    ]
    left.write(tx, fresh, in_index=False)
    return [db_vectors.move_to_pgvector(tx, table.tag, table.dimensions, 1_000), left.count(tx)]


def _tx(ask: Callable[[Any, Victim], object], *, is_silent: bool = False) -> Attack:
    return Attack(run=lambda world, tenant, victim: world.in_transaction(tenant, lambda tx: ask(tx, victim)), is_silent=is_silent)


def _words(tx: Any, victim: Victim) -> list[WeighedWord]:
    counts, _ = db_memories.word_counts(tx, f"{victim.text} {WORDS}", ("english", "simple"))
    known = [WeighedWord(lexeme=each.lexeme, weight=1.0) for each in counts]
    own = ("renew", "renewal", "price", victim.canary.lower(), f"{str(victim.tenant)[:8]}price")
    return known + [WeighedWord(lexeme=each, weight=1.0) for each in own if each not in {word.lexeme for word in known}]


def _passage(victim: Victim) -> Passage:
    told = SourceInteraction(
        interaction_id=victim.interaction, source_id=victim.source, source_kind="slack", interaction_type="message", thread_id="deal",
        occurred_at=START, subject=None, body="changed", turns=(),
    )  # fmt: skip
    return Passage(
        memory_id=victim.memory, chunk_no=0, chunk_text="changed", language="en", start_s=None, end_s=None, content_hash=bytes(32),
        interaction=told,
    )  # fmt: skip


def _projections(tx: Any, victim: Victim) -> object:
    before = db_memories.waiting(tx).interactions
    db_memories.drop_projections(tx, [Projection(interaction_id=victim.interaction, queued_seq=1, is_shorter=False, attempts=0)])
    return [before, db_memories.projections(tx, 100), db_memories.waiting(tx).interactions]


_AGE = {"moment": START.replace(year=2030), "at_least": START - START}
MEMORIES: Mapping[str, Attack] = {
    "epoch": _tx(lambda tx, _: db_memories.epoch(tx)),
    "claim_outbox": _tx(lambda tx, _: db_memories.claim_outbox(tx, 1_000)),
    "drop_outbox": _tx(
        lambda tx, _: [db_memories.waiting(tx).changes, db_memories.drop_outbox(tx, 1 << 40), db_memories.waiting(tx).changes]
    ),
    "waiting": _tx(lambda tx, _: db_memories.waiting(tx)),
    "queue_everything": _tx(lambda tx, _: [db_memories.queue_everything(tx), db_memories.claim_outbox(tx, 1_000)]),
    "interactions": _tx(lambda tx, victim: db_memories.interactions(tx, [each.id_of(victim.tenant) for each in victim.talks])),
    "write_passages": _tx(lambda tx, victim: [
        db_memories.write_passages(tx, [victim.interaction], [_passage(victim)]), db_memories.passages_of(tx, [victim.memory])
    ]),
    "forget": _tx(lambda tx, victim: db_memories.forget(tx, [victim.interaction])),
    "queue_projections": _tx(lambda tx, victim: [
        db_memories.queue_projections(tx, [victim.interaction], 5), db_memories.projections(tx, 100)
    ]),
    "queue_relinked": _tx(lambda tx, _: [db_memories.queue_relinked(tx, 1, 5), db_memories.projections(tx, 100)]),
    "projections": _tx(lambda tx, _: db_memories.projections(tx, 100)),
    "drop_projections": _tx(_projections),
    "fail_projections": _tx(lambda tx, victim: [
        db_memories.fail_projections(tx, {victim.interaction: "refused"}), db_memories.waiting(tx).failing
    ]),
    "touch": _tx(lambda tx, victim: db_memories.touch(tx, [victim.memory], **_AGE)),
    "touch_interaction": _tx(lambda tx, victim: db_memories.touch_interaction(tx, victim.interaction, **_AGE)),
    "passages_of": _tx(lambda tx, victim: db_memories.passages_of(tx, [victim.memory, victim.call_passage])),
    "present": _tx(lambda tx, victim: db_memories.present(tx, [victim.interaction])),
    "word_counts": _tx(lambda tx, victim: db_memories.word_counts(tx, victim.text, ("english", "german", "simple"))),
    "search_words": _tx(lambda tx, victim: [
        db_memories.search_words(tx, _words(tx, victim), looked_for, filters, 1_000)
        for filters in _filters(victim) for looked_for in (1, 100)
    ]),
    "candidates": _tx(lambda tx, victim: db_memories.candidates(tx, [victim.memory, victim.call_passage], _words(tx, victim))),
    "count_common_words": _tx(lambda tx, victim: [
        db_memories.count_common_words(tx, least_passages=1, least_share=0.1, sample=100, growth=0.0),
        db_memories.word_counts(tx, victim.text, ("english",)),
    ]),
    "absorbed": _tx(lambda tx, victim: db_memories.absorbed(tx, [victim.firm])),
    "leads": _tx(lambda tx, victim: db_memories.leads(tx, [victim.absorbed])),
    "interaction": _tx(lambda tx, victim: [db_memories.interaction(tx, each.id_of(victim.tenant)) for each in victim.talks]),
    "thread": _tx(lambda tx, victim: db_memories.thread(tx, victim.interaction, 100)),
    "surroundings": _tx(lambda tx, victim: db_memories.surroundings(tx, victim.call_passage, 100)),
    "recent": _tx(lambda tx, victim: [db_memories.recent(tx, [each], 100) for each in (victim.firm, victim.absorbed, ANN)]),
    "passages_in": _tx(lambda tx, victim: db_memories.passages_in(tx, victim.interaction, 100)),
    "figures": _tx(lambda tx, _: db_memories.figures(tx, START)),
}  # fmt: skip
VECTORS: Mapping[str, Attack] = {
    "move_to_pgvector": _table(_moved),
    "in_pages": _table(lambda table, tx, _: list(db_vectors.in_pages(table, tx, page=2))),
    "filter_params": _tx(lambda tx, _: db_vectors.filter_params(tx, Filters(sources=("slack", "gong", "hubspot")))),
}

# What holds nothing of anybody, or is the operator's and of the whole process, with the reason.
LEFT_OUT: Mapping[str, Mapping[str, str]] = {
    "MemoryManager": {"embedder": "a model: it holds no data"},
    "HotTier": {
        "start_empty": "of the process, after a fork", "moment": "a count of the process's changes, of all tenants",
        "figures": "the operator's counts of the process: no keys, no values", "figures_by_tenant": "the operator's, as figures",
    },
    "PostgresStore": dict.fromkeys(("name", "is_live", "serve", "rest", "close"), "of the store, and of no tenant"),
    "WeaviateStore": dict.fromkeys(
        ("name", "is_live", "serve", "rest", "close", "breaker", "describe", "drop_embedder"), "of the store, and of no tenant"
    ),
    "IndexedVectors": {"has_index": "a constant"}, "PlainVectors": {"has_index": "a constant"},
    "pay_ready.db.memories": {"text_config": "a table of languages"},
    "pay_ready.db.vectors": {
        "vector_table": "the name of a table that all share, under row security",
        "check_vectors": "arithmetic", "vector_text": "arithmetic",
    },
}  # fmt: skip
SUBJECTS: Mapping[str, tuple[Any, Mapping[str, Attack]]] = {
    "MemoryManager": (MemoryManager, MANAGER), "HotTier": (HotTier, HOT), "PostgresStore": (PostgresStore, _store("inner")),
    "WeaviateStore": (WeaviateStore, _store("outer")), "IndexedVectors": (IndexedVectors, {**TABLE, **INDEXED}),
    "PlainVectors": (PlainVectors, {**TABLE, **PLAIN}), "pay_ready.db.memories": (db_memories, MEMORIES),
    "pay_ready.db.vectors": (db_vectors, VECTORS),
}  # fmt: skip


def public(subject: Any) -> set[str]:
    """Public functions of a module, or public methods and properties of a class."""
    if isinstance(subject, ModuleType):
        found = inspect.getmembers(subject, inspect.isfunction)
        return {name for name, member in found if member.__module__ == subject.__name__ and not name.startswith("_")}
    return {name for base in subject.__mro__[:-1] for name in vars(base) if not name.startswith("_")}


@pytest.mark.parametrize("name", SUBJECTS)
def test_every_public_method_is_attacked(name: str) -> None:
    """Or left out for a reason; and nothing is left out, or attacked, that there is not."""
    subject, attacks = SUBJECTS[name]
    assert public(subject) == set(attacks) | set(LEFT_OUT[name])
    assert not set(attacks) & set(LEFT_OUT[name])


def test_every_kind_of_store_and_table_is_a_subject() -> None:
    """The ports' own methods are among those of each: a method that is only in the port would not be attacked."""
    for port, kinds in ((VectorStore, ("PostgresStore", "WeaviateStore")), (VectorTable, ("IndexedVectors", "PlainVectors"))):
        asked = {name for name, member in vars(port).items() if not name.startswith("_") and callable(member)}
        for kind in kinds:
            assert asked <= public(SUBJECTS[kind][0]), kind
    assert {"hear", "write", "embed", "settle", "tell", "embedders"} == public(Indexer)  # attacked through MemoryManager.indexer


@pytest.fixture(scope="module", params=["pgvector", "scan"])
def worlds(request: pytest.FixtureRequest, server: Server, template: str) -> Iterator[tuple[World, World]]:
    """With the neighbour, and without; with and without pgvector."""
    options = PoolOptions(max_size=3, overflow=0)
    with cloned(server, template) as first, cloned(server, template) as second:
        beside, alone = Database(first.app_url, options), Database(second.app_url, options)
        beside.open()
        alone.open()
        is_pgvector = request.param == "pgvector"
        with (
            world_on(beside, first, pgvector=is_pgvector, is_alone=False) as crowded,
            world_on(alone, second, pgvector=is_pgvector, is_alone=True) as empty,
        ):
            yield crowded, empty
        beside.close()
        alone.close()


DESTRUCTIVE = ("drop", "delete", "forget")
# What takes the attacker's own away comes last: until then there is something beside which a neighbour's could stand.
ATTACKS = sorted(
    ((name, method) for name, (_, attacks) in SUBJECTS.items() for method in attacks),
    key=lambda attack: any(word in attack[1] for word in DESTRUCTIVE),
)


@pytest.mark.parametrize(("subject", "method"), ATTACKS, ids=[f"{name}.{method}" for name, method in ATTACKS])
def test_nothing_of_a_neighbour(worlds: tuple[World, World], subject: str, method: str) -> None:
    """The answer is that of a world without it, there is no word of it in it, and all that it has stays as it is."""
    crowded, empty = worlds
    if subject == ("PlainVectors" if _has_pgvector(crowded) else "IndexedVectors"):
        pytest.skip("the other kind of table")
    run = SUBJECTS[subject][1][method].run
    before = crowded.state(NEIGHBOUR)
    told = answered(lambda: run(crowded, OWN.tenant, NEIGHBOUR))
    assert told == answered(lambda: run(empty, OWN.tenant, NEIGHBOUR))
    assert not names(NEIGHBOUR).search(str(told).replace(NEIGHBOUR.text, ""))
    assert crowded.state(NEIGHBOUR) == before
    if not SUBJECTS[subject][1][method].is_silent:
        assert _notices(crowded, run), "the attack would find nothing of its own tenant either"


def _has_pgvector(world: World) -> bool:
    with world.database.tenant_transaction(OWN.tenant) as tx:
        return db_vectors.vector_table(tx, db_vectors_tag(), 1).has_index


def db_vectors_tag() -> str:
    """Of the embedder of these tests."""
    from pay_ready.db.vector_tables import embedder_tag

    from .memory_world import EMBEDDER

    return embedder_tag(EMBEDDER.id)


def _notices(world: World, run: Run) -> bool:
    """Whether the call, made by a tenant with its own ids, gives something else than to a stranger, or changes what it has."""
    if not world.witnesses:
        witness = victim_of(f"witness{uuid4().hex[:6]}")
        world.plant(witness)
        world.witnesses.append(witness)
    witness = world.witnesses[-1]
    before = world.state(witness)
    told = answered(lambda: run(world, witness.tenant, witness))
    is_changed = world.state(witness) != before
    if is_changed:
        world.witnesses.pop()
    return is_changed or told != answered(lambda: run(world, TenantId(uuid4()), witness))


# What is no tenant: nothing, other types, and other ways of writing the neighbour's id.
WRONG: Mapping[str, Callable[[UUID], Any]] = {
    "none": lambda _: None, "empty": lambda _: "", "space": lambda _: " ", "text": str, "capitals": lambda each: str(each).upper(),
    "mixed": lambda each: "".join(letter.upper() if place % 2 else letter for place, letter in enumerate(str(each))),
    "padded": lambda each: f" {each} ", "digits": lambda each: each.hex, "braces": lambda each: f"{{{each}}}", "urn": lambda each: each.urn,
    "bytes": lambda each: each.bytes, "number": lambda each: each.int, "tuple": lambda each: (each,), "object": lambda _: object(),
}  # fmt: skip


@pytest.mark.parametrize("how", WRONG)
def test_what_is_no_tenant_is_refused(worlds: tuple[World, World], how: str) -> None:
    """Every method that takes a tenant refuses what is none, in our words; or takes it for the one that it names, and no other."""
    crowded, _ = worlds
    before = crowded.state(NEIGHBOUR)
    findings = []
    for name, method in ATTACKS:
        subject = SUBJECTS[name][0]
        if isinstance(subject, ModuleType) or name in ("IndexedVectors", "PlainVectors") or (name, method) == ("MemoryManager", "indexer"):
            continue  # they take a transaction, whose tenant the door has looked at
        if any(word in method for word in DESTRUCTIVE):
            continue  # tried below, where nothing is lost
        wrong = WRONG[how](OWN.tenant)
        run = SUBJECTS[name][1][method].run
        try:
            told = plain(run(crowded, wrong, OWN))
        except IsolationError:
            continue
        except Exception as error:
            findings.append(f"{name}.{method}: {type(error).__name__}")
            continue
        refused = method in ("context", "briefing") and "IsolationError" in str(told) and OWN.canary not in str(told)
        if not refused and told != plain(run(crowded, OWN.tenant, OWN)):
            findings.append(f"{name}.{method}: answered")
    assert findings == []
    assert crowded.state(NEIGHBOUR) == before


@pytest.mark.parametrize("how", WRONG)
def test_nothing_is_taken_out_for_what_is_no_tenant(worlds: tuple[World, World], how: str) -> None:
    """Deletes under a tenant that is none delete nothing of anybody."""
    crowded, _ = worlds
    wrong, before = WRONG[how](NEIGHBOUR.tenant), crowded.state(NEIGHBOUR)
    for name, method in ATTACKS:
        if name in ("MemoryManager", "HotTier", "PostgresStore", "WeaviateStore") and (
            "drop" in method or "delete" in method or "forget" in method
        ):
            with pytest.raises(IsolationError):
                SUBJECTS[name][1][method].run(crowded, wrong, NEIGHBOUR)
    assert crowded.state(NEIGHBOUR) == before


class Lying:
    """A vector store that answers with what it was told to, whoever asks."""

    name = "lying"

    def __init__(self, store: VectorStore, hits: list[VectorHit]) -> None:
        self._store, self.hits = store, hits

    def search(self, tenant: TenantId, query: VectorQuery) -> list[VectorHit]:  # noqa: ARG002 - the port's
        """These."""
        return self.hits

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)


def asking(world: World) -> Victim:
    """A tenant that has everything still."""
    made = victim_of(f"asking{uuid4().hex[:6]}")
    world.plant(made)
    return made


def test_a_store_that_lies_finds_nothing_for_anybody(worlds: tuple[World, World]) -> None:
    """Hits of a neighbour, of another filter, or of nobody: the record has the last word, and shows none of them."""
    crowded, _ = worlds
    own = asking(crowded)
    (foreign,) = crowded.outer.search(NEIGHBOUR.tenant, VectorQuery(vector=NEIGHBOUR.vector, most=1))
    hits = crowded.outer.search(own.tenant, VectorQuery(vector=own.vector, most=200))
    assert len(hits) > len(own.talks)
    lost = VectorHit(memory_id=uuid4(), interaction_id=own.interaction, similarity=1.0)
    memory, honest = memory_on(crowded.database, outer=Lying(crowded.outer, [foreign, lost, *hits])), memory_on(crowded.database)
    for filters in _filters(own):
        try:
            told = memory.search(own.tenant, WORDS, most=200, filters=filters).hits
        except IsolationError:
            continue
        expected = honest.search(own.tenant, WORDS, most=200, filters=filters).hits
        assert [each.passage.memory_id for each in told] == [each.passage.memory_id for each in expected]


def test_a_store_that_lies_raises(worlds: tuple[World, World]) -> None:
    """Ids of passages are derived from their tenant: a hit that is not the tenant's own is seen by its id, raised and logged."""
    from structlog.testing import capture_logs

    crowded, _ = worlds
    (foreign,) = crowded.outer.search(NEIGHBOUR.tenant, VectorQuery(vector=NEIGHBOUR.vector, most=1))
    memory = memory_on(crowded.database, outer=Lying(crowded.outer, [foreign]))
    with capture_logs() as logs, pytest.raises(IsolationError):
        memory.search(asking(crowded).tenant, WORDS)
    assert [each["event"] for each in logs if each["log_level"] == "error"] == ["isolation.violated"]


@pytest.mark.parametrize("fault", ["ignores_tenant", "ignores_filters"])
def test_a_backend_that_lies_raises(worlds: tuple[World, World], fault: Any) -> None:
    """Through all of memory: the error reaches who asked, the log has it, and neither says a word of the neighbour's."""
    from structlog.testing import capture_logs

    crowded, _ = worlds
    own = asking(crowded)
    for kind in ("ignores_filters", fault):  # the tenant is among the filters: a server may ignore both
        crowded.fake.fail(kind)
    try:
        with capture_logs() as logs, pytest.raises(IsolationError) as caught:
            crowded.memory.search(own.tenant, WORDS, most=200, filters=Filters(interaction_types=("call",)))
    finally:
        crowded.fake.forget()
    (alarm,) = (each for each in logs if each["log_level"] == "error")
    assert alarm["event"] == "isolation.violated"
    assert not names(NEIGHBOUR).search(f"{caught.value} {logs}")


def test_every_error_is_ours(worlds: tuple[World, World]) -> None:
    """What an attack is answered with by an error is one of ours, and says no word of the neighbour's."""
    crowded, _ = worlds
    with pytest.raises(PayReadyError) as caught:
        crowded.memory.get(OWN.tenant, NEIGHBOUR.interaction)
    assert not names(NEIGHBOUR).search(str(caught.value))
