"""Interactions put straight into a tenant's staging, linked to people and companies as a publish would, for tests of memory."""

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from uuid import UUID

import psycopg

from pay_ready.db.tenancy import Database
from pay_ready.db.vector_tables import enable_vectors
from pay_ready.memory.cold.postgres import PostgresStore
from pay_ready.memory.embed.hashing import HashEmbedder
from pay_ready.memory.hot import HotTier
from pay_ready.memory.settings import IndexingOptions, SearchOptions
from pay_ready.memory.tiers import MemoryManager
from pay_ready.model.ids import RunId, TenantId, new_id, stable_id
from pay_ready.model.memory import Embedder, KeptObject, PutReport, VectorHit, VectorObject, VectorQuery, VectorStore
from pay_ready.pipeline.index import IndexReport, index_tenant
from tests.conftest import Scratch

START = datetime(2026, 3, 2, 9, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Talk:
    """An interaction of one source; `turns` are (speaker, text)."""

    key: str
    body: str | None = None
    subject: str | None = None
    kind: str = "message"
    source: str = "slack"
    thread: str | None = None
    minute: int = 0
    turns: Sequence[tuple[str, str]] = field(default=())
    entities: Sequence[tuple[str, UUID]] = field(default=())  # (person or company, id)

    def id_of(self, tenant: TenantId) -> UUID:
        """Its id."""
        return stable_id("talk", str(tenant), self.source, self.key)


def say(admin_url: str, tenant: TenantId, *talks: Talk, gone: Sequence[Talk] = ()) -> None:
    """Stage interactions, or take them away, with the outbox rows that staging writes."""
    with psycopg.connect(admin_url) as admin:
        admin.execute("set session_replication_role = replica")
        for talk in (*talks, *gone):
            _drop(admin, tenant, talk)
        for talk in talks:
            _add(admin, tenant, talk)
        _tell(admin, tenant, [("upsert", "interaction", str(each.id_of(tenant))) for each in (*talks, *gone)])


def publish(admin_url: str, tenant: TenantId, run_no: int) -> None:
    """Tell memory of a run."""
    with psycopg.connect(admin_url) as admin:
        admin.execute("set session_replication_role = replica")
        _tell(admin, tenant, [("publish", "run", str(run_no))])


def relink(admin_url: str, tenant: TenantId, talk: Talk, entity: UUID, run_no: int) -> None:
    """By a run, an interaction is about somebody else."""
    with psycopg.connect(admin_url) as admin:
        admin.execute("set session_replication_role = replica")
        admin.execute(
            "update pay_ready.interaction_entities set closed_run_no = %s where tenant_id = %s and interaction_id = %s"
            " and closed_run_no is null",
            (run_no, tenant, talk.id_of(tenant)),
        )
        _link(admin, tenant, talk, "person", entity, run_no)


def erase(admin_url: str, tenant: TenantId, talk: Talk) -> None:
    """Take an interaction out of staging and the record, as an erasure does, with the outbox row that it writes."""
    with psycopg.connect(admin_url) as admin:  # keys hold: vectors go with their passages
        admin.execute("delete from pay_ready.memories where tenant_id = %s and interaction_id = %s", (tenant, talk.id_of(tenant)))
        admin.execute("set session_replication_role = replica")
        _drop(admin, tenant, talk)
        _tell(admin, tenant, [("delete", "interaction", str(talk.id_of(tenant)))])


def memory_on(
    database: Database, *, outer: VectorStore | None = None, embedder: Embedder | None = None, search: SearchOptions | None = None
) -> MemoryManager:  # fmt: skip
    """Memory with hashed words for vectors: no model has to be loaded."""
    made = embedder or HashEmbedder()
    options = IndexingOptions(search=search or SearchOptions())
    return MemoryManager(database, hot=HotTier(), embedder=lambda: made, outer=outer, options=options)


def indexed(database: Database, tenant: TenantId, memory: MemoryManager) -> IndexReport:
    """The step `index`."""
    return index_tenant(database, tenant, memory, run_id=RunId(new_id()))


class RecordedStore:
    """A store on Postgres whose passages are in the record, as the port expects: what is put is recorded first."""

    def __init__(self, store: PostgresStore, admin_url: str) -> None:
        self._store, self._admin_url = store, admin_url
        self.name = store.name

    def put(self, tenant: TenantId, objects: Sequence[VectorObject]) -> PutReport:
        """Record and write."""
        if not isinstance(tenant, UUID):
            return self._store.put(tenant, objects)
        with psycopg.connect(self._admin_url) as admin:
            admin.execute("set session_replication_role = replica")
            _record(admin, tenant, objects)
        return self._store.put(tenant, objects)

    def search(self, tenant: TenantId, query: VectorQuery) -> list[VectorHit]:
        """As the store."""
        return self._store.search(tenant, query)

    def delete(self, tenant: TenantId, interaction_ids: Sequence[UUID]) -> int:
        """As the store."""
        return self._store.delete(tenant, interaction_ids)

    def delete_memories(self, tenant: TenantId, memory_ids: Sequence[UUID]) -> int:
        """As the store."""
        return self._store.delete_memories(tenant, memory_ids)

    def drop_tenant(self, tenant: TenantId) -> None:
        """As the store."""
        self._store.drop_tenant(tenant)

    def count(self, tenant: TenantId) -> int:
        """As the store."""
        return self._store.count(tenant)

    def scan(self, tenant: TenantId) -> Iterator[KeptObject]:
        """As the store."""
        return self._store.scan(tenant)

    def is_live(self) -> bool:
        """As the store."""
        return self._store.is_live()

    def serve(self) -> None:
        """As the store."""
        self._store.serve()

    def rest(self, idle_s: float | None = None) -> list[TenantId]:
        """As the store."""
        return self._store.rest(idle_s)

    def close(self) -> None:
        """As the store."""
        self._store.close()


@contextmanager
def recorded_store(scratch: Scratch, database: Database, embedder_id: str, dim: int, *, pgvector: bool) -> Iterator[RecordedStore]:
    """A store on Postgres, by pgvector or by reading."""
    if pgvector:
        enable_vectors(scratch.admin_url, "pay_ready", embedder_id, dim)
    yield RecordedStore(PostgresStore(database, embedder_id=embedder_id, dim=dim), scratch.admin_url)


def _record(admin: psycopg.Connection[object], tenant: TenantId, objects: Sequence[VectorObject]) -> None:
    """Passages with the people and companies that they are about."""
    told = [
        {
            "tenant": tenant, "memory": each.memory_id, "interaction": each.interaction_id, "chunk_no": each.chunk_no,
            "source": stable_id(str(tenant), each.source), "type": each.interaction_type, "language": each.language,
            "hash": each.content_hash, "at": each.occurred_at, "entities": list(each.entity_ids),
        }
        for each in objects
    ]  # fmt: skip
    admin.execute(
        "insert into pay_ready.tenants (tenant_id, slug, name) values (%s, %s, 'Tenant') on conflict do nothing",
        (tenant, f"t{tenant.hex[:12]}"),
    )
    with admin.cursor() as cursor:
        cursor.executemany(
            "insert into pay_ready.data_sources (tenant_id, source_id, name, kind, ingest_mode, connector, config) values"
            " (%s, %s, %s, %s, 'replay', 'replay', '{\"schema_version\": 1}') on conflict do nothing",
            [
                (tenant, stable_id(str(tenant), name), name, kind)
                for name, kind in {each.source: each.source_kind for each in objects}.items()
            ],
        )
        cursor.executemany(
            "insert into pay_ready.memories (tenant_id, memory_id, interaction_id, chunk_no, source_id, interaction_type, chunk_text,"
            " language, content_hash, occurred_at) values (%(tenant)s, %(memory)s, %(interaction)s, %(chunk_no)s, %(source)s, %(type)s,"
            " 'text', %(language)s, %(hash)s, %(at)s) on conflict (tenant_id, memory_id) do update set source_id = excluded.source_id,"
            " interaction_type = excluded.interaction_type, language = excluded.language, content_hash = excluded.content_hash,"
            " occurred_at = excluded.occurred_at",
            told,
        )
        cursor.executemany(
            "with closed as (update pay_ready.interaction_entities set closed_run_no = opened_run_no + 1 where tenant_id = %(tenant)s"
            " and interaction_id = %(interaction)s and closed_run_no is null and entity_id <> all(%(entities)s))"
            " insert into pay_ready.interaction_entities (tenant_id, interaction_id, entity_id, opened_run_no, entity_type, is_primary,"
            " occurred_at) select %(tenant)s, %(interaction)s, entity, 1, 'person', false, %(at)s from unnest(%(entities)s) as entity"
            " on conflict do nothing",
            told,
        )


def _drop(admin: psycopg.Connection[object], tenant: TenantId, talk: Talk) -> None:
    for table in ("interaction_turns", "interaction_records", "interaction_entities"):
        admin.execute(
            f"delete from pay_ready.{table} where tenant_id = %s and interaction_id = %s", (tenant, talk.id_of(tenant))  # type: ignore[arg-type]
        )  # fmt: skip


def _add(admin: psycopg.Connection[object], tenant: TenantId, talk: Talk) -> None:
    source, interaction = stable_id(str(tenant), talk.source), talk.id_of(tenant)
    when = START + timedelta(minutes=talk.minute)
    admin.execute(
        "insert into pay_ready.data_sources (tenant_id, source_id, name, kind, ingest_mode, connector, config) values"
        " (%s, %s, %s, %s, 'replay', 'replay', '{\"schema_version\": 1}') on conflict do nothing",
        (tenant, source, talk.source, talk.source),
    )
    said = hashlib.sha256(repr(talk).encode()).digest()
    admin.execute(
        "insert into pay_ready.interaction_records (tenant_id, record_id, source_id, stream, record_key, interaction_id, is_primary,"
        " interaction_type, external_id, occurred_at, subject, body, thread_id, metadata, content_hash, contract_version)"
        " values (%s, %s, %s, 'talks', %s, %s, true, %s, %s, %s, %s, %s, %s, '{\"schema_version\": 1, \"values\": {}}', %s, '1')",
        (
            tenant, interaction, source, talk.key, interaction, talk.kind, talk.key, when, talk.subject, talk.body, talk.thread, said,
        ),
    )  # fmt: skip
    for number, (speaker, text) in enumerate(talk.turns):
        admin.execute(
            "insert into pay_ready.interaction_turns (tenant_id, record_id, turn_no, source_id, interaction_id, speaker_key, start_s,"
            " end_s, spoken_text) values (%s, %s, %s, %s, %s, %s, %s, %s, %s)",
            (tenant, interaction, number, source, interaction, speaker, number * 10.0, number * 10.0 + 9, text),
        )
    for entity_type, entity in talk.entities:
        _link(admin, tenant, talk, entity_type, entity, 1)


def _link(admin: psycopg.Connection[object], tenant: TenantId, talk: Talk, entity_type: str, entity: UUID, run_no: int) -> None:
    admin.execute(
        "insert into pay_ready.interaction_entities (tenant_id, interaction_id, entity_id, opened_run_no, entity_type, is_primary,"
        " occurred_at) values (%s, %s, %s, %s, %s, true, %s)",
        (tenant, talk.id_of(tenant), entity, run_no, entity_type, START + timedelta(minutes=talk.minute)),
    )


def _tell(admin: psycopg.Connection[object], tenant: TenantId, changes: Sequence[tuple[str, str, str]]) -> None:
    for change, kind, object_id in changes:
        admin.execute(
            "with issued as (insert into pay_ready.tenant_counters (tenant_id, counter, value) values (%(tenant)s, 'outbox_seq', 1)"
            " on conflict (tenant_id, counter) do update set value = tenant_counters.value + 1 returning value)"
            " insert into pay_ready.memory_outbox (tenant_id, outbox_seq, change, object_kind, object_id)"
            " select %(tenant)s, value, %(change)s, %(kind)s, %(object)s from issued",
            {"tenant": tenant, "change": change, "kind": kind, "object": object_id},
        )
