"""The tiers of memory: how long it takes until a publish and an erasure have reached all of them, and how long one interaction takes.

    python -m tests.benchmarks.tiers [--passages 20000] [--weaviate URL] [--grpc-port 50051]

One passage an interaction, vectors of hashed words; beside Postgres a Weaviate: the one named, else the fake one of the tests, in this
process (then its work counts here). The limit is 60 s for 100,000 passages. Uses the server that PAY_READY_TEST_ADMIN_URL and
PAY_READY_TEST_APP_URL name, else the embedded one.
"""

import argparse
import hashlib
import logging
import random
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from uuid import UUID

import psycopg
import structlog

from pay_ready.db.vector_tables import enable_vectors
from pay_ready.memory.cold.options import WeaviateOptions
from pay_ready.memory.cold.weaviate import WeaviateStore
from pay_ready.memory.embed.hashing import HashEmbedder
from pay_ready.memory.tiers import MemoryManager
from pay_ready.model.ids import TenantId, stable_id
from tests.benchmarks.landing import migrated, running_server
from tests.benchmarks.memory import milliseconds, say_line, told
from tests.conftest import cloned, make_tenant
from tests.fake_weaviate import FakeWeaviate
from tests.memory_support import indexed, memory_on, publish

_LIMIT_S = 60.0  # of 100,000 passages

# Everything of a tenant at once, as staging, publishing and the outbox would write it.
_SAID = """
insert into pay_ready.interaction_records (tenant_id, record_id, source_id, stream, record_key, interaction_id, is_primary,
    interaction_type, external_id, occurred_at, body, metadata, content_hash, contract_version)
select %(tenant)s::uuid, id, %(source)s, 'talks', number::text, id, true, 'message', number::text, now() - make_interval(mins => number),
    'Message ' || number || ' about pallet ' || number %% 977 || ' and the scanner of hall ' || number %% 31,
    '{"schema_version": 1, "values": {}}', sha256(number::text::bytea), '1'
from (select md5(%(tenant)s::text || number)::uuid as id, number from generate_series(1, %(count)s) as number) as said
"""
_LINKED = """
insert into pay_ready.interaction_entities (tenant_id, interaction_id, entity_id, opened_run_no, entity_type, is_primary, occurred_at)
select tenant_id, interaction_id, md5(%(run_no)s::text || record_key::integer %% 500)::uuid, %(run_no)s, 'person', true, occurred_at
from pay_ready.interaction_records where tenant_id = %(tenant)s
"""
_UNLINKED = "update pay_ready.interaction_entities set closed_run_no = %(run_no)s where tenant_id = %(tenant)s and closed_run_no is null"
_QUEUED = """
insert into pay_ready.memory_outbox (tenant_id, outbox_seq, change, object_kind, object_id)
select tenant_id, %(seq)s + row_number() over (order by interaction_id), %(change)s, 'interaction', interaction_id::text
from pay_ready.interaction_records where tenant_id = %(tenant)s
"""
_COUNTED = (
    "insert into pay_ready.tenant_counters (tenant_id, counter, value) values (%(tenant)s, 'outbox_seq', %(seq)s)"
    " on conflict (tenant_id, counter) do update set value = excluded.value"
)


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--passages", type=int, default=20_000)
    parser.add_argument("--weaviate")
    parser.add_argument("--grpc-port", type=int, default=50_051)
    asked = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    embedder = HashEmbedder()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        scratch = stack.enter_context(cloned(stack.enter_context(running_server(folder / "embedded")), None))
        database = stack.enter_context(migrated(scratch))
        enable_vectors(scratch.admin_url, "pay_ready", embedder.id, embedder.dim)
        if asked.weaviate is None:
            fake = stack.enter_context(FakeWeaviate())
            options = WeaviateOptions(url=fake.url, grpc_port=fake.grpc_port)
        else:
            options = WeaviateOptions(url=asked.weaviate, grpc_port=asked.grpc_port)
        store = WeaviateStore(options, embedder_id=embedder.id, dim=embedder.dim)
        stack.callback(store.close)
        tenant = make_tenant(database, f"bench-{time.time_ns()}")
        memory = memory_on(database, outer=store)
        _stage(scratch.admin_url, tenant, asked.passages)
        limit = f"(limit {_LIMIT_S * asked.passages / 100_000:.0f} s)"
        told(f"first index of {asked.passages:,} passages, hashed words", lambda: indexed(database, tenant, memory))
        _get(memory, tenant, _ids(tenant, asked.passages))
        _away(memory, memory_on(database, outer=_dead(embedder)), tenant)
        for run_no, what in ((2, "a publish"), (3, "a rollback")):
            _relink(scratch.admin_url, tenant, run_no)
            told(f"{what} that links all of them anew, in all tiers {limit}", lambda: indexed(database, tenant, memory))
        _change(scratch.admin_url, tenant, 10_000_000, "delete", asked.passages)
        with psycopg.connect(scratch.admin_url) as admin:
            admin.execute("set session_replication_role = replica")
            for table in ("memories", f"memory_vectors_{_tag(scratch.admin_url)}", "interaction_records", "interaction_entities"):
                admin.execute(f"delete from pay_ready.{table} where tenant_id = %s", (tenant,))  # type: ignore[arg-type]
        told(f"an erasure that takes all of them, in all tiers {limit}", lambda: indexed(database, tenant, memory))
        assert store.count(tenant) == 0


def _stage(admin_url: str, tenant: TenantId, count: int) -> None:
    source = stable_id(str(tenant), "slack")
    with psycopg.connect(admin_url) as admin:
        admin.execute("set session_replication_role = replica")
        admin.execute(
            "insert into pay_ready.data_sources (tenant_id, source_id, name, kind, ingest_mode, connector, config) values"
            " (%s, %s, 'slack', 'slack', 'replay', 'replay', '{\"schema_version\": 1}')",
            (tenant, source),
        )
        admin.execute(_SAID, {"tenant": tenant, "source": source, "count": count})
        admin.execute(_LINKED, {"tenant": tenant, "run_no": 1})
    _change(admin_url, tenant, 0, "upsert", count)


def _change(admin_url: str, tenant: TenantId, seq: int, change: str, count: int) -> None:
    with psycopg.connect(admin_url) as admin:
        admin.execute("set session_replication_role = replica")
        admin.execute(_QUEUED, {"tenant": tenant, "seq": seq, "change": change})
        admin.execute(_COUNTED, {"tenant": tenant, "seq": seq + count})
    with psycopg.connect(admin_url, autocommit=True) as admin:
        admin.execute("analyze pay_ready.interaction_records, pay_ready.interaction_entities, pay_ready.memory_outbox, pay_ready.memories")


def _relink(admin_url: str, tenant: TenantId, run_no: int) -> None:
    with psycopg.connect(admin_url) as admin:
        admin.execute("set session_replication_role = replica")
        admin.execute(_UNLINKED, {"tenant": tenant, "run_no": run_no})
        admin.execute(_LINKED, {"tenant": tenant, "run_no": run_no})
    publish(admin_url, tenant, run_no)


def _ids(tenant: TenantId, count: int) -> list[UUID]:
    drawn = random.Random(1).sample(range(1, count + 1), min(2_000, count))
    return [UUID(hashlib.md5(f"{tenant}{number}".encode(), usedforsecurity=False).hexdigest()) for number in drawn]


def _get(memory: MemoryManager, tenant: TenantId, ids: list[UUID]) -> None:
    """What nobody asked for before comes from Postgres, then the same from the hot tier."""
    for name in ("from Postgres", "from the hot tier"):
        took = []
        for each in ids:
            started = time.perf_counter()
            memory.get(tenant, each)
            took.append(time.perf_counter() - started)
        say_line(f"get_interaction {name}: p50 {milliseconds(took, 50)}, p95 {milliseconds(took, 95)} (limit 2 ms)")


def _dead(embedder: HashEmbedder) -> WeaviateStore:
    """A store whose server is not there."""
    return WeaviateStore(WeaviateOptions(url="http://127.0.0.1:9", grpc_port=10), embedder_id=embedder.id, dim=embedder.dim)


def _away(live: MemoryManager, away: MemoryManager, tenant: TenantId) -> None:
    """The same questions with the vector store and without it."""
    alike, took = [], []
    for number in range(200):
        question = f"the scanner of hall {number % 31} and pallet {number * 7 % 977}"
        with_it = {hit.passage.memory_id for hit in live.search(tenant, question).hits}
        started = time.perf_counter()
        answer = away.search(tenant, question)
        took.append(time.perf_counter() - started)
        assert answer.degraded
        alike.append(len(with_it & {hit.passage.memory_id for hit in answer.hits}) / max(len(with_it), 1))
    say_line(
        f"search with the store away: p50 {milliseconds(took, 50)}, p95 {milliseconds(took, 95)} (limit 300 ms), the same as with it:"
        f" {sum(alike) / len(alike):.3f} (limit .95)"
    )
    assert away.outer is not None
    away.outer.close()


def _tag(admin_url: str) -> str:
    with psycopg.connect(admin_url) as admin:
        row = admin.execute("select relname from pg_class where relname ~ '^memory_vectors_[0-9a-f]{8}$'").fetchone()
    assert row is not None
    return str(row[0]).removeprefix("memory_vectors_")


if __name__ == "__main__":
    main()
