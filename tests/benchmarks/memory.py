"""Memory: how much of the evidence a search finds, and how long searches take beside many tenants.

    python -m tests.benchmarks.memory [--locomo FILE] [--tenants 50] [--passages 100000] [--queries 400]

With `--locomo` (JSON lines of dialogues with questions and the turns that answer them, gzip): recall@10 of evidence, by words alone,
by meaning alone, and by both. Then vectors drawn around topics, tenants of Zipf sizes: search by the index against reading all
(recall@10), p50 and p95. Uses the server that PAY_READY_TEST_ADMIN_URL and PAY_READY_TEST_APP_URL name, else the embedded one.
"""

import argparse
import gzip
import json
import logging
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import psycopg
import structlog

from pay_ready.db import embedders as db_embedders
from pay_ready.db import vectors as db_vectors
from pay_ready.db.tenancy import Database
from pay_ready.db.vector_tables import embedder_tag, enable_vectors
from pay_ready.memory.embed.choose import open_embedder
from pay_ready.memory.embed.options import EmbedderOptions
from pay_ready.memory.settings import SearchOptions
from pay_ready.model.ids import TenantId, stable_id
from pay_ready.model.memory import Embedder, Filters, VectorQuery
from tests.benchmarks.landing import migrated, running_server
from tests.conftest import cloned, make_tenant
from tests.memory_support import Talk, indexed, memory_on, say

MOST = 10
_DIM = 384


def told(name: str, work: Callable[[], Any]) -> Any:
    """Run and print one line."""
    wall, cpu = time.perf_counter(), time.process_time()
    done = work()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    say_line(f"{name:58} {time.perf_counter() - wall:8.2f} s wall {time.process_time() - cpu:7.2f} s CPU here, peak {peak:,.0f} MB here")
    return done


def say_line(text: str) -> None:
    """At once."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def conversations(path: Path) -> Iterator[dict[str, Any]]:
    """The dialogues of a file."""
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        yield from map(json.loads, lines)


def locomo(database: Database, admin_url: str, path: Path, embedder: Embedder) -> None:
    """Recall@10 of the turns that a question's answer is in: each turn is a message of its session's thread."""
    shares = {"words alone": 0.0, "both": 0.5, "meaning alone": 1e6}
    found: dict[str, list[float]] = {name: [] for name in shares}
    took: list[float] = []
    for number, conversation in enumerate(conversations(path)):
        tenant = make_tenant(database, f"locomo-{number}")
        talks = {
            turn["id"]: Talk(key=turn["id"], body=f"{turn['speaker']}: {turn['text']}", thread=str(session["session"]), minute=minute)
            for minute, (session, turn) in enumerate((session, turn) for session in conversation["sessions"] for turn in session["turns"])
        }
        say(admin_url, tenant, *talks.values())
        memory = memory_on(database, embedder=embedder)
        told(f"index {len(talks):,} turns", lambda tenant=tenant, memory=memory: indexed(database, tenant, memory))
        by_id = {talk.id_of(tenant): key for key, talk in talks.items()}
        for name, share in shares.items():
            searching = memory_on(database, embedder=embedder, search=SearchOptions(vector_share=share))
            for each in conversation["qa"]:
                wanted = set(each["evidence"]) & talks.keys()
                if each["category"] == 5 or not wanted:
                    continue
                started = time.perf_counter()
                hits = searching.search(tenant, each["question"], most=MOST).hits
                took.append(time.perf_counter() - started)
                found[name].append(len(wanted & {by_id[hit.passage.interaction_id] for hit in hits}) / len(wanted))
    for name, recalls in found.items():
        say_line(f"recall@{MOST} of evidence, {name:14} {statistics.mean(recalls):.3f} over {len(recalls)} questions")
    say_line(f"search with hydration: p50 {milliseconds(took, 50)}, p95 {milliseconds(took, 95)}")


def many(database: Database, admin_url: str, tenants: int, passages: int, queries: int) -> None:
    """Searches by vector among tenants of Zipf sizes."""
    embedder_id = "bench: topics"
    tag = embedder_tag(embedder_id)
    enable_vectors(admin_url, "pay_ready", embedder_id, _DIM)
    drawn = np.random.default_rng(7)
    topics = drawn.standard_normal((200, _DIM))
    weights = 1 / np.arange(1, tenants + 1)
    sizes = np.maximum((weights / weights.sum() * passages).astype(int), 50)
    owners = [make_tenant(database, f"bench-{number}") for number in range(tenants)]

    def fill() -> None:
        with psycopg.connect(admin_url) as admin:
            admin.execute("set session_replication_role = replica")
            for owner, size in zip(owners, sizes, strict=True):
                _fill(admin, owner, tag, _near(drawn, topics, int(size)))

    told(f"{int(sizes.sum()):,} vectors of {tenants} tenants written", fill)
    table = db_vectors.IndexedVectors(tag, _DIM)
    least = SearchOptions().exact_below
    for owner, size in zip(owners, sizes, strict=True):
        with database.tenant_transaction(owner, work="batch") as tx:
            db_embedders.begin(tx, embedder_id, _DIM)
            if size >= least:
                db_embedders.mark_indexed(tx, tag, is_indexed=True)
                table.place(tx, [each.memory_id for each in table.misplaced(tx, int(size), None)], in_index=True)
    with psycopg.connect(admin_url, autocommit=True) as admin:
        admin.execute(f"vacuum analyze pay_ready.memory_vectors_{tag}, pay_ready.memories")  # type: ignore[arg-type]
    took: dict[str, list[float]] = {"indexed": [], "read": []}
    recalls = []
    for number in range(queries):
        place = number % tenants
        owner, is_indexed = owners[place], bool(sizes[place] >= least)
        query = VectorQuery(vector=_near(drawn, topics, 1)[0], most=MOST, filters=Filters())
        with database.tenant_transaction(owner) as tx:
            started = time.perf_counter()
            hits = table.nearest(tx, query, is_indexed=is_indexed, ef=SearchOptions().ef_search)
            took["indexed" if is_indexed else "read"].append(time.perf_counter() - started)
        if is_indexed:
            with database.tenant_transaction(owner) as tx:
                truth = table.nearest(tx, query, is_indexed=False, ef=1)
            recalls.append(len({hit.memory_id for hit in hits} & {hit.memory_id for hit in truth}) / MOST)
        assert len(hits) == MOST
    everything = [each for part in took.values() for each in part]
    say_line(f"search of a tenant drawn evenly: p50 {milliseconds(everything, 50)}, p95 {milliseconds(everything, 95)}")
    for name, part in took.items():
        if part:
            say_line(f"  {name}: {len(part)} searches, p50 {milliseconds(part, 50)}, p95 {milliseconds(part, 95)}")
    if recalls:
        say_line(f"recall@{MOST} of the index against reading all: {statistics.mean(recalls):.3f}, least {min(recalls):.1f}")


def _near(drawn: np.random.Generator, topics: Any, count: int) -> Any:
    vectors = topics[drawn.integers(0, len(topics), count)] + drawn.standard_normal((count, _DIM))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def _fill(admin: psycopg.Connection[Any], owner: TenantId, tag: str, vectors: Any) -> None:
    ids = [stable_id(str(owner), str(number)) for number in range(len(vectors))]
    with admin.cursor() as cursor:
        with cursor.copy(
            "copy pay_ready.memories (tenant_id, memory_id, interaction_id, chunk_no, source_id, interaction_type, chunk_text,"
            " content_hash, occurred_at) from stdin"
        ) as copy:
            for each in ids:
                copy.write_row((owner, each, each, 0, owner, "message", "text", bytes(32), "2026-01-01"))
        with cursor.copy(
            f"copy pay_ready.memory_vectors_{tag} (tenant_id, memory_id, interaction_id, content_hash, in_index, embedding) from stdin"  # type: ignore[arg-type]
        ) as copy:
            for each, vector in zip(ids, vectors, strict=True):
                copy.write_row((owner, each, each, bytes(32), False, db_vectors.vector_text(vector)))


def milliseconds(seconds: Sequence[float], percent: int) -> str:
    """A percentile."""
    return f"{float(np.percentile(seconds, percent)) * 1000:.1f} ms"


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--locomo", type=Path)
    parser.add_argument("--tenants", type=int, default=50)
    parser.add_argument("--passages", type=int, default=100_000)
    parser.add_argument("--queries", type=int, default=400)
    asked = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        scratch = stack.enter_context(cloned(stack.enter_context(running_server(folder / "embedded")), None))
        database = stack.enter_context(migrated(scratch))
        embedder = open_embedder(EmbedderOptions())
        enable_vectors(scratch.admin_url, "pay_ready", embedder.id, embedder.dim)
        if asked.locomo is not None:
            locomo(database, scratch.admin_url, asked.locomo, embedder)
        if asked.passages:
            many(database, scratch.admin_url, asked.tenants, asked.passages, asked.queries)


if __name__ == "__main__":
    main()
