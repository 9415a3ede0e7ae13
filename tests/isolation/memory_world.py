"""Two databases with one history of the asking tenant; in one of them a neighbour has canaries in every tier of memory.

Whoever is kept apart from the neighbour gets the same answers in both, to the last number, whatever of the neighbour's he names.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, fields, is_dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4, uuid5

import numpy as np
import psycopg

from pay_ready.db import vectors as db_vectors
from pay_ready.db.tenancy import Database, TenantTransaction
from pay_ready.db.vector_tables import embedder_tag, enable_vectors
from pay_ready.db.vectors import VectorTable
from pay_ready.errors import PayReadyError
from pay_ready.memory.cold.postgres import PostgresStore
from pay_ready.memory.cold.weaviate import WeaviateStore
from pay_ready.memory.embed.hashing import HashEmbedder
from pay_ready.memory.hot import HotKey
from pay_ready.memory.tiers import MemoryManager
from pay_ready.model.ids import TenantId, stable_id
from pay_ready.model.memory import VectorObject, VectorQuery, memory_id_of
from tests.conftest import Scratch, make_tenant
from tests.fake_weaviate import FakeWeaviate
from tests.memory_state import State, state_of
from tests.memory_support import START, Talk, indexed, memory_on, say

EMBEDDER = HashEmbedder()
ANN = UUID(int=1)  # the same id in every tenant
WORDS = "the renewal price"
_NOW = {"changes_since", "interactions_since", "begun_at", "served_at", "touched_at"}  # of the clock


@dataclass(frozen=True, slots=True, kw_only=True)
class Victim:
    """A tenant's ids and words, as an attacker would name them."""

    tenant: TenantId
    talks: tuple[Talk, ...]
    canary: str
    firm: UUID  # its own
    absorbed: UUID  # leads to that company

    @property
    def interaction(self) -> UUID:
        """Of a message in a thread."""
        return self.talks[0].id_of(self.tenant)

    @property
    def memory(self) -> UUID:
        """Its passage."""
        return memory_id_of(self.tenant, self.interaction, 0)

    @property
    def call_passage(self) -> UUID:
        """In the middle of a call."""
        return memory_id_of(self.tenant, self.talks[1].id_of(self.tenant), 1)

    @property
    def source(self) -> UUID:
        """Of the messages."""
        return stable_id(str(self.tenant), "slack")

    @property
    def text(self) -> str:
        """Of the passage, word for word."""
        return str(self.talks[0].body)

    @property
    def vector(self) -> Any:
        """Of the passage: cosine 1."""
        return EMBEDDER.embed([self.text])[0]

    @property
    def query(self) -> VectorQuery:
        """Everything that is near to it."""
        return VectorQuery(vector=self.vector, most=200)

    @property
    def object(self) -> VectorObject:
        """The passage as a store takes it, changed."""
        return VectorObject(
            memory_id=self.memory, interaction_id=self.interaction, chunk_no=0, source_kind="slack", source="slack",
            interaction_type="message", language="en", occurred_at=START, entity_ids=(self.firm,), content_hash=bytes(32),
            vector=EMBEDDER.embed(["something else"])[0],
        )  # fmt: skip

    def hot_key(self, tenant: TenantId) -> HotKey:
        """As the victim's own, under a tenant."""
        return HotKey(tenant, "all", f"interaction:{self.interaction}", "kept")


@dataclass(kw_only=True)
class World:
    """One of the two databases, with a Weaviate of its own."""

    database: Database
    scratch: Scratch
    fake: FakeWeaviate
    memory: MemoryManager
    outer: WeaviateStore
    inner: PostgresStore
    asking: TenantId
    witnesses: list[Victim] = field(default_factory=list)

    def plant(self, victim: Victim) -> None:
        """Canaries of a tenant in every tier, and something that waits."""
        make_tenant_of(self.database, victim.tenant)
        say(self.scratch.admin_url, victim.tenant, *victim.talks)
        indexed(self.database, victim.tenant, self.memory)
        with psycopg.connect(self.scratch.admin_url) as admin:
            admin.execute("set session_replication_role = replica")
            admin.execute(
                "insert into pay_ready.entity_redirects (tenant_id, entity_id, target_entity_id, opened_run_no) values (%s, %s, %s, 1)",
                (victim.tenant, victim.absorbed, victim.firm),
            )
            admin.execute(
                "insert into pay_ready.memory_projections (tenant_id, interaction_id, queued_seq) values (%s, %s, 1)",
                (victim.tenant, victim.interaction),
            )
            admin.execute(
                "insert into pay_ready.memory_common_words (tenant_id, lexeme, passages, of_passages) values (%s, 'renew', 3, 3)",
                (victim.tenant,),
            )
        say(self.scratch.admin_url, victim.tenant, Talk(key="waiting", body=f"{victim.canary} waits"))
        self.memory.get(victim.tenant, victim.interaction)
        self.memory.context(victim.tenant, "thread", victim.interaction)
        self.memory.hot.put(victim.hot_key(victim.tenant), victim.canary, self.memory.hot.moment)

    def state(self, victim: Victim) -> tuple[State, object]:
        """Everything of a tenant in every tier."""
        room = self.memory.hot._rooms.of(victim.tenant)
        hot = sorted((key, entry.scope, entry.version) for key, entries in room.kept.items() for entry in entries)
        return state_of(self.scratch.admin_url, victim.tenant, victim.talks, self.fake), hot

    def in_table(self, tenant: TenantId, ask: Callable[[VectorTable, TenantTransaction], object], *, undone: bool = True) -> object:
        """What a table of vectors gives."""
        return self.in_transaction(
            tenant, lambda tx: ask(db_vectors.vector_table(tx, embedder_tag(EMBEDDER.id), EMBEDDER.dim), tx), undone=undone
        )

    def in_transaction(self, tenant: TenantId, ask: Callable[[TenantTransaction], object], *, undone: bool = True) -> object:
        """What is given inside a tenant's transaction, which leaves nothing behind where it is `undone`."""
        kept: list[object] = []
        try:
            with self.database.tenant_transaction(tenant) as tx:
                kept.append(plain(ask(tx)))
                if undone:
                    raise _UndoError
        except _UndoError:
            pass
        return kept[0]


class _UndoError(Exception):
    """Ends a transaction by rolling it back."""


def make_tenant_of(database: Database, tenant: TenantId) -> None:
    """A tenant with this id."""
    from pay_ready.db import tenants

    with database.tenant_transaction(tenant) as tx:
        tenants.create(tx, slug=f"t{tenant.hex}", name="Tenant", settings={"schema_version": 1}, actor="tests")


def victim_of(word: str, tenant: TenantId | None = None) -> Victim:
    """With the same keys, sources and thread as everybody, and a word that nobody else has."""
    tenant = tenant or TenantId(uuid4())
    canary, firm = f"canary{word}", uuid5(tenant, "firm")
    return Victim(
        tenant=tenant, canary=canary, firm=firm, absorbed=uuid5(tenant, "absorbed"),
        talks=(
            Talk(key="1", body=f"{canary} says {WORDS}", thread="deal", entities=(("person", ANN), ("company", firm))),
            Talk(
                key="2", kind="call", source="gong", minute=5, entities=(("company", firm),),
                turns=[(("Ann", "Bob")[number % 2], f"{canary} {number} {WORDS} " * 12) for number in range(12)],
            ),
            Talk(key="3", kind="note", source="hubspot", body=f"{canary} notes {WORDS}", minute=9, entities=(("company", firm),)),
            Talk(key="4", body=f"{canary} answers {WORDS}", thread="deal", minute=1, entities=(("person", ANN),)),
        ),
    )  # fmt: skip


OWN = victim_of("own", TenantId(UUID("0f3e2d1c-0000-4000-8000-00000000000a")))
NEIGHBOUR = victim_of("neighbour", TenantId(UUID("0f3e2d1c-0000-4000-8000-00000000000b")))


@contextmanager
def world_on(database: Database, scratch: Scratch, *, pgvector: bool, is_alone: bool) -> Iterator[World]:
    """A database in which the asking tenant is alone, or not."""
    if pgvector:
        enable_vectors(scratch.admin_url, "pay_ready", EMBEDDER.id, EMBEDDER.dim)
    with FakeWeaviate() as fake:
        from tests.weaviate_support import store_on

        with store_on(fake, embedder_id=EMBEDDER.id, dim=EMBEDDER.dim) as outer:
            world = World(
                database=database, scratch=scratch, fake=fake, outer=outer, asking=OWN.tenant, memory=memory_on(database, outer=outer),
                inner=PostgresStore(database, embedder_id=EMBEDDER.id, dim=EMBEDDER.dim),
            )  # fmt: skip
            if not is_alone:
                world.plant(NEIGHBOUR)
            world.plant(OWN)
            yield world


def answered(ask: Callable[[], object]) -> object:
    """What somebody gets, an error of ours by its kind and words among it; nothing that the clock wrote."""
    try:
        return plain(ask())
    except PayReadyError as error:
        return type(error).__name__, error.what


def plain(value: object) -> object:
    """A value that can be compared with that of another database, and searched for words."""
    if is_dataclass(value) and not isinstance(value, type):
        return {"": type(value).__name__} | {
            each.name: plain(getattr(value, each.name)) for each in fields(value) if each.name not in _NOW
        }  # fmt: skip
    if isinstance(value, Mapping):
        return {str(key): plain(each) for key, each in sorted(value.items(), key=lambda item: str(item[0]))}
    if isinstance(value, set | frozenset):
        return sorted(map(str, value))
    if isinstance(value, np.ndarray):
        return np.round(value.astype(np.float64), 3).tolist()
    if isinstance(value, float):
        return round(value, 5)
    if isinstance(value, str | bytes | int | UUID | type(None)):
        return value.hex() if isinstance(value, bytes) else str(value)
    if isinstance(value, datetime):
        return str(value.astimezone(UTC))
    if isinstance(value, list | tuple | Iterator):
        return [plain(each) for each in value]
    return type(value).__name__


def names(victim: Victim) -> re.Pattern[str]:
    """What gives a tenant away: its word, and its id."""
    return re.compile(f"{victim.canary}|{victim.tenant}|{victim.tenant.hex}", re.IGNORECASE)


__all__ = ["NEIGHBOUR", "OWN", "WORDS", "Victim", "World", "answered", "make_tenant", "names", "plain", "victim_of", "world_on"]
