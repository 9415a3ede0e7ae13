"""The step `index`: memory catches up with what was staged, published, rolled back and erased; and what holds the tiers equal.

One holder of the lease `index` a tenant. Every page is a transaction of its own, fenced by the lease's token: whatever is killed half-way
goes on where it was, and a page whose connection was lost is done again at once. An outer store that is away is no failure: what it has
yet to hear of stays queued, and searches ask Postgres.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import structlog

from pay_ready.db import embedders as db_embedders
from pay_ready.db import leases
from pay_ready.db import memories as db_memories
from pay_ready.db import vectors as db_vectors
from pay_ready.db.memories import Waiting
from pay_ready.db.tenancy import Database
from pay_ready.db.vectors import VectorTable
from pay_ready.errors import TransientError
from pay_ready.memory.indexing import Heard, Indexer, Told
from pay_ready.memory.tiers import MemoryManager
from pay_ready.model.ids import RunId, TenantId
from pay_ready.model.memory import VectorStore
from pay_ready.model.progress import Progress, ProgressEvent, no_progress
from pay_ready.pipeline.land.lease import held_lease
from pay_ready.pipeline.outer import Comparison, Difference, compared, scanned
from pay_ready.resilience import insist

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexReport:
    """What one call did."""

    heard: Heard
    vectors: int  # passages that got theirs
    told: Told  # to the outer store
    embedder_id: str
    is_lexical: bool  # it knows words alone
    outer_away: bool  # the outer store did not answer: what it has yet to hear of stays queued
    waiting: Waiting  # afterwards
    elapsed_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ReconcileReport:
    """What was compared, and what was done about it."""

    store: str
    found: Difference
    unindexed: int  # passages without a vector
    is_repaired: bool


def index_tenant(
    database: Database, tenant: TenantId, memory: MemoryManager, *, run_id: RunId, wait_s: float = 0.0, progress: Progress = no_progress
) -> IndexReport:  # fmt: skip
    """Bring a tenant's memory up to date.

    Raises:
        RetryLaterError: Another process is at it, after `wait_s` too; names it.
        TransientError: A remote embedder does not answer; what was done stands.
        EmbeddingError: The embedder gives no vectors.
    """
    started = time.monotonic()
    with _indexing(database, tenant, memory, run_id, wait_s) as indexer:
        heard, hear = Heard(), insist(indexer.hear)
        while (page := hear()) is not None:
            heard += page
            progress(ProgressEvent(step="index", subject="interactions", done=heard.interactions))
        vectors = _embed_all(indexer, progress)
        insist(indexer.settle)()
        told, away = _tell_all(indexer, tenant, progress)
        if memory.outer is not None and not away:
            _rest(memory.outer)
    embedder = memory.embedder
    return IndexReport(
        heard=heard, vectors=vectors, told=told, embedder_id=embedder.id, is_lexical=embedder.is_lexical, outer_away=away,
        waiting=insist(_waiting)(database, tenant), elapsed_s=time.monotonic() - started,
    )  # fmt: skip


def _waiting(database: Database, tenant: TenantId) -> Waiting:
    with database.tenant_transaction(tenant) as tx:
        return db_memories.waiting(tx)


def rebuild(
    database: Database, tenant: TenantId, memory: MemoryManager, *, run_id: RunId, wait_s: float = 0.0, progress: Progress = no_progress
) -> IndexReport:  # fmt: skip
    """Make every passage, vector and object of the outer store anew from what is staged.

    The vectors that are searched stay until each passage has its new one; an outer store is emptied of the tenant first.

    Raises:
        RetryLaterError, TransientError, EmbeddingError: As `index_tenant`; or the outer store is away.
    """
    with _indexing(database, tenant, memory, run_id, wait_s):
        if memory.outer is not None:
            memory.outer.drop_tenant(tenant)
        with database.tenant_transaction(tenant, work="batch") as tx:
            db_memories.queue_everything(tx)
    return index_tenant(database, tenant, memory, run_id=run_id, wait_s=wait_s, progress=progress)


def reconcile(
    database: Database, tenant: TenantId, memory: MemoryManager, *, run_id: RunId, repair: bool = True, wait_s: float = 0.0
) -> ReconcileReport:  # fmt: skip
    """Compare the cold tier with the record, object by object, and mend what differs.

    Raises:
        RetryLaterError: As `index_tenant`.
        TransientError: The outer store is away.
    """
    with _indexing(database, tenant, memory, run_id, wait_s) as indexer:
        embedder = memory.embedder
        with database.tenant_transaction(tenant, work="batch") as tx:
            entry = db_embedders.begin(tx, embedder.id, embedder.dim)
            table = db_vectors.vector_table(tx, entry.embedder_tag, embedder.dim)
            unindexed = table.count_missing(tx)
        store = memory.outer
        if store is None:
            found = Difference(passages=0, kept=0, orphans=0, missing=0, stale=0)
            name = "postgres" if table.has_index else "scan"
        else:
            comparison = _compared(database, tenant, table, store)
            found, name = comparison.difference, store.name
            if repair:
                _repair(database, tenant, store, comparison)
        if repair:
            _embed_all(indexer, no_progress)
            insist(indexer.settle)()
            while (told := indexer.tell()) is not None and told.interactions:
                continue
    return ReconcileReport(store=name, found=found, unindexed=unindexed, is_repaired=repair)


def difference(database: Database, tenant: TenantId, memory: MemoryManager) -> Difference | None:
    """How the outer store differs from the record now; None where Postgres is all there is.

    Raises:
        TransientError: The outer store is away.
    """
    if memory.outer is None:
        return None
    embedder = memory.embedder
    with database.tenant_transaction(tenant, work="batch") as tx:
        entry = db_embedders.begin(tx, embedder.id, embedder.dim)
        table = db_vectors.vector_table(tx, entry.embedder_tag, embedder.dim)
    return _compared(database, tenant, table, memory.outer).difference


def _compared(database: Database, tenant: TenantId, table: VectorTable, store: VectorStore) -> Comparison:
    there = scanned(store, tenant)
    with database.tenant_transaction(tenant, work="batch") as tx:
        return compared(tx, table, there)


def _repair(database: Database, tenant: TenantId, store: VectorStore, comparison: Comparison) -> None:
    """Take out what is left over, and have the rest told anew."""
    orphans = sorted(each.memory_id for each in comparison.differing if each.kind == "orphan")
    wrong = sorted({each.interaction_id for each in comparison.differing if each.kind != "orphan"})
    if orphans:
        store.delete_memories(tenant, orphans)
    if wrong:
        with database.tenant_transaction(tenant, work="batch") as tx:
            db_memories.queue_projections(tx, wrong, max(db_memories.epoch(tx).outbox_seq, 1))


@contextmanager
def _indexing(database: Database, tenant: TenantId, memory: MemoryManager, run_id: RunId, wait_s: float) -> Iterator[Indexer]:
    holder = leases.holder_name(run_id)
    with held_lease(database, tenant, "index", holder, ttl_s=leases.TTL_S, wait_s=wait_s) as lease:
        indexer = memory.indexer(tenant, lambda tx: leases.guard(tx, lease))
        insist(indexer.embedders)()
        yield indexer


def _embed_all(indexer: Indexer, progress: Progress) -> int:
    done, after = 0, None
    while True:
        count, after = indexer.embed(after)
        if after is None:
            return done
        done += count
        progress(ProgressEvent(step="index", subject="vectors", done=done))


def _rest(store: VectorStore) -> None:
    """Put to rest the tenants that this process has not asked for in a while; how long is the store's to say."""
    try:
        store.rest()
    except TransientError as error:
        log.warning("outer_store.away", error_class=type(error).__name__)


def _tell_all(indexer: Indexer, tenant: TenantId, progress: Progress) -> tuple[Told, bool]:
    total = Told()
    try:
        while (told := indexer.tell()) is not None:
            total = Told(
                interactions=total.interactions + told.interactions, objects=total.objects + told.objects, failed=total.failed + told.failed
            )  # fmt: skip
            progress(ProgressEvent(step="index", subject="outer store", done=total.interactions))
            if not told.interactions:  # what is left is refused: said in the report, tried again the next time
                break
    except TransientError as error:
        log.warning("outer_store.away", tenant=str(tenant), error_class=type(error).__name__)
        return total, True
    return total, False
