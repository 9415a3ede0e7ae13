"""Interactions become passages, passages get vectors, and the outer store is told: each part resumable, in transactions of its own.

The record is Postgres. What changed is in the outbox, written with the change itself; what an outer store (Weaviate) has yet to hear of is
in `memory_projections`, and leaves it when the store has confirmed each object.
"""

import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from uuid import UUID

import structlog

from pay_ready.db import embedders as db_embedders
from pay_ready.db import memories as db_memories
from pay_ready.db import sentiment as db_sentiment
from pay_ready.db import vectors as db_vectors
from pay_ready.db.embedders import TenantEmbedder
from pay_ready.db.memories import OutboxRow, Passage, Projection, SourceInteraction
from pay_ready.db.tenancy import Database, TenantTransaction
from pay_ready.db.vector_tables import embedder_tag
from pay_ready.db.vectors import FreshVector, Unembedded, VectorTable
from pay_ready.errors import EmbeddingError, TransientError
from pay_ready.failpoints import failpoint
from pay_ready.memory.batching import AdaptiveBatch
from pay_ready.memory.chunks import InteractionText, Turn, chunks_of
from pay_ready.memory.language import language_of
from pay_ready.memory.policy import Touched, moves, warm_since
from pay_ready.memory.settings import IndexingOptions
from pay_ready.model.ids import TenantId
from pay_ready.model.memory import Embedder, PutReport, VectorObject, VectorStore
from pay_ready.resilience import insist

FAILPOINTS = (
    "index.claimed",
    "index.passages_written",
    "index.heard",
    "index.embedded",
    "index.vectors_written",
    "index.told",
    "index.projections_dropped",
)
_MOVED_AT_ONCE = 2_000  # vectors into or out of the index, in one transaction

log = structlog.get_logger()
Guard = Callable[[TenantTransaction], None]  # fences off whoever lost the lease


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """What a page of the outbox came to."""

    changes: int = 0
    interactions: int = 0
    passages: int = 0  # written
    removed: int = 0  # passages that went
    relinked: int = 0  # interactions whose people or companies are others, for the outer store

    def __add__(self, other: "Heard") -> "Heard":
        return Heard(
            changes=self.changes + other.changes, interactions=self.interactions + other.interactions,
            passages=self.passages + other.passages, removed=self.removed + other.removed, relinked=self.relinked + other.relinked,
        )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What the outer store was told of."""

    interactions: int = 0
    objects: int = 0
    failed: int = 0  # interactions; they stay for the next time


@dataclass(frozen=True, slots=True, kw_only=True)
class _Page:
    """What the outer store is to hear of next."""

    queued: Sequence[Projection]
    is_last: bool  # nothing is queued behind it
    is_ours: bool  # this embedder's vectors serve
    objects: Sequence[VectorObject]  # of these interactions, where they do
    present: Collection[UUID]  # interactions that still have passages


def _no_guard(_: TenantTransaction) -> None:
    """Nobody to fence off."""


class Indexer:
    """Keeps one tenant's memory up with its record.

    Args:
        database: The record.
        tenant: Whose.
        embedder: Made when the first passage needs a vector.
        outer: A vector store beside Postgres; None where Postgres is all there is.
        options: Sizes and windows.
        guard: Called first in every writing transaction.
    """

    def __init__(
        self,
        database: Database,
        tenant: TenantId,
        *,
        embedder: Callable[[], Embedder],
        outer: VectorStore | None = None,
        options: IndexingOptions | None = None,
        guard: Guard = _no_guard,
    ) -> None:
        self._database, self._tenant, self._outer, self._guard = database, tenant, outer, guard
        self._open_embedder = embedder
        self._options = options or IndexingOptions()
        self._batch = AdaptiveBatch(limits=self._options.batch)

    def hear(self) -> Heard | None:
        """Deal with the next page of the outbox in one transaction; None when there is nothing."""
        with self._database.tenant_transaction(self._tenant, work="batch") as tx:
            self._guard(tx)
            rows = db_memories.claim_outbox(tx, self._options.page)
            failpoint("index.claimed")
            if not rows:
                return None
            cleared = {UUID(row.object_id) for row in rows if row.object_kind == "interaction" and row.change == "delete"}
            heard = replace(self.write(tx, _interaction_ids(rows), rows[-1].outbox_seq, cleared), changes=len(rows))
            if self._outer is not None:
                for run_no in (int(row.object_id) for row in rows if row.object_kind == "run"):
                    heard += Heard(relinked=db_memories.queue_relinked(tx, run_no, rows[-1].outbox_seq))
            failpoint("index.passages_written")
            db_memories.drop_outbox(tx, rows[-1].outbox_seq)
        failpoint("index.heard")
        return heard

    def write(self, tx: TenantTransaction, interaction_ids: Sequence[UUID], seq: int, cleared: Collection[UUID] = ()) -> Heard:
        """Make the passages of interactions what these say now; of those that are gone, none.

        What the outer store has of the `cleared` ones goes first, whatever stays of them.
        """
        if not interaction_ids:
            return Heard()
        passages = [each for found in db_memories.interactions(tx, interaction_ids) for each in self._passages(found)]
        written, gone = db_memories.write_passages(tx, interaction_ids, passages)
        db_sentiment.forget(tx, interaction_ids)
        if self._outer is not None:
            db_memories.queue_projections(tx, interaction_ids, seq, shorter={*gone, *cleared})
        return Heard(interactions=len(interaction_ids), passages=written, removed=len(gone))

    def embedders(self) -> list[TenantEmbedder]:
        """The tenant's, with the configured one begun where it is new."""
        embedder = self._open_embedder()
        with self._database.tenant_transaction(self._tenant, work="batch") as tx:
            self._guard(tx)
            db_embedders.begin(tx, embedder.id, embedder.dim)
            found = db_embedders.embedders(tx)
        for each in found:
            while self._moved_to_pgvector(each):
                continue
        return found

    def _moved_to_pgvector(self, entry: TenantEmbedder) -> int:
        with self._database.tenant_transaction(self._tenant, work="batch") as tx:
            self._guard(tx)
            return db_vectors.move_to_pgvector(tx, entry.embedder_tag, entry.dimensions, _MOVED_AT_ONCE)

    def embed(self, after: UUID | None) -> tuple[int, UUID | None]:
        """Give the next passages without a vector theirs: how many, and behind whom to go on; None at the end.

        Raises:
            EmbeddingError: The embedder gave what is no vector; nothing of the batch was written.
            TransientError: A remote embedder did not answer, with a batch of one too.
        """
        embedder = self._open_embedder()
        table, waiting = insist(self._unembedded)(embedder, after)
        if not waiting:
            return 0, None
        fresh, done = self._embedded(embedder, waiting)
        failpoint("index.embedded")
        insist(self._write_vectors)(embedder, table, fresh)
        return len(fresh), done[-1].memory_id

    def _unembedded(self, embedder: Embedder, after: UUID | None) -> tuple[VectorTable, Sequence[Unembedded]]:
        with self._database.tenant_transaction(self._tenant, work="batch") as tx:
            table = db_vectors.vector_table(tx, embedder_tag(embedder.id), embedder.dim)
            return table, table.missing(tx, after, self._batch.size)

    def _write_vectors(self, embedder: Embedder, table: VectorTable, fresh: Sequence[FreshVector]) -> None:
        with self._database.tenant_transaction(self._tenant, work="batch") as tx:
            self._guard(tx)
            entry = db_embedders.begin(tx, embedder.id, embedder.dim)
            table.write(tx, fresh, in_index=entry.is_indexed)
            if self._outer is not None:
                seq = db_memories.epoch(tx).outbox_seq
                db_memories.queue_projections(tx, sorted({each.interaction_id for each in fresh}), max(seq, 1))
            failpoint("index.vectors_written")

    def settle(self) -> None:
        """Once every passage has its vector: searches use them from now on, and the index holds what it should."""
        embedder = self._open_embedder()
        tag = embedder_tag(embedder.id)
        with self._database.tenant_transaction(self._tenant, work="batch") as tx:
            self._guard(tx)
            entry = db_embedders.begin(tx, embedder.id, embedder.dim)
            table = db_vectors.vector_table(tx, tag, embedder.dim)
            if entry.state == "building" and not table.count_missing(tx):
                self._serve(tx, tag)
            count = table.count(tx)
            search = self._options.search
            db_memories.count_common_words(
                tx, least_passages=search.common_from, least_share=search.common_share, sample=search.common_sample,
                growth=search.common_growth,
            )  # fmt: skip
        if table.has_index:
            self._move(table, count.vectors >= search.exact_below, entry.is_indexed)

    def tell(self) -> Told | None:
        """Tell the outer store of the next interactions; None when it has heard of all. With the last of them this embedder's serve there.

        While another embedder's vectors serve, it is told of what is gone alone: the rest is that one's to hear of, if this one gives up.

        Raises:
            TransientError: It is away; what it has yet to hear of stays.
        """
        if self._outer is None:
            return None
        # Its database alone is insisted on: the outer store is behind a breaker, which counts every call that fails.
        page = insist(self._queued)()
        if not page.queued:
            return None
        cleared = [each.interaction_id for each in page.queued if each.is_shorter or each.interaction_id not in page.present]
        if cleared:
            self._outer.delete(self._tenant, cleared)
        # A passage without a vector is told when it has one.
        report = self._outer.put(self._tenant, page.objects) if page.objects else PutReport(written=0)
        if page.is_last and page.is_ours:
            # Before these leave the queue: whoever takes over from one that was killed here tells them again, and does this.
            self._outer.serve()
        failpoint("index.told")
        failed: dict[UUID, str] = {}
        for each in page.objects:
            if (why := report.failed.get(each.memory_id)) is not None:
                failed[each.interaction_id] = why
        done = [
            each for each in page.queued if each.interaction_id not in failed and (page.is_ours or each.interaction_id not in page.present)
        ]
        insist(self._dequeue)(done, failed)
        return Told(interactions=len(done), objects=report.written, failed=len(failed))

    def _queued(self) -> "_Page":
        embedder, most = self._open_embedder(), self._options.outer_page
        with self._database.tenant_transaction(self._tenant, work="batch") as tx:
            queued = db_memories.projections(tx, most + 1)
            serving = db_embedders.serving(tx)
            is_ours = serving is not None and serving.embedder_id == embedder.id
            table = db_vectors.vector_table(tx, embedder_tag(embedder.id), embedder.dim)
            asked = [each.interaction_id for each in queued[:most]]
            return _Page(
                queued=queued[:most], is_last=len(queued) <= most, is_ours=is_ours, objects=table.objects(tx, asked) if is_ours else [],
                present=db_memories.present(tx, asked),
            )  # fmt: skip

    def _dequeue(self, done: Sequence[Projection], failed: Mapping[UUID, str]) -> None:
        with self._database.tenant_transaction(self._tenant, work="batch") as tx:
            self._guard(tx)
            db_memories.drop_projections(tx, done)
            db_memories.fail_projections(tx, failed)
            failpoint("index.projections_dropped")

    def _passages(self, found: SourceInteraction) -> Iterable[Passage]:
        told = InteractionText(
            tenant=self._tenant, interaction_id=found.interaction_id, subject=found.subject or "", body=found.body or "",
            turns=tuple(Turn(speaker=each.speaker, text=each.text, start_s=each.start_s, end_s=each.end_s) for each in found.turns),
        )  # fmt: skip
        for chunk in chunks_of(told):
            end_s = chunk.end_s if chunk.start_s is None or chunk.end_s is None else max(chunk.start_s, chunk.end_s)
            yield Passage(
                memory_id=chunk.memory_id, chunk_no=chunk.chunk_no, chunk_text=chunk.text,
                language=language_of(chunk.text, self._options.languages), start_s=chunk.start_s, end_s=end_s,
                content_hash=chunk.content_hash, interaction=found,
            )  # fmt: skip

    def _embedded(self, embedder: Embedder, waiting: Sequence[Unembedded]) -> tuple[list[FreshVector], Sequence[Unembedded]]:
        """The vectors of a batch, or of the part of it that the embedder managed."""
        while True:
            part = waiting[: self._batch.size]
            started = time.monotonic()
            try:
                vectors = embedder.embed([each.chunk_text for each in part])
            except TransientError:
                smaller = self._batch.after_failure(len(part))
                if smaller.size >= self._batch.size:
                    raise
                self._batch = smaller
                continue
            self._batch = self._batch.after(len(part), time.monotonic() - started)
            if len(vectors) != len(part):
                raise EmbeddingError(
                    "the embedder gave another number of vectors", "pay-ready models list", wanted=len(part), got=len(vectors)
                )
            db_vectors.check_vectors(vectors, embedder.dim)
            return [
                FreshVector(memory_id=each.memory_id, interaction_id=each.interaction_id, content_hash=each.content_hash, vector=vector)
                for each, vector in zip(part, vectors, strict=True)
            ], part

    def _serve(self, tx: TenantTransaction, tag: str) -> None:
        db_embedders.serve(tx, tag)
        for former in db_embedders.embedders(tx):
            if former.embedder_tag != tag:
                db_vectors.vector_table(tx, former.embedder_tag, former.dimensions).drop_all(tx)
                db_embedders.retire(tx, former.embedder_tag)
        log.info("embedder.serving", tenant=str(self._tenant), version=tag)

    def _move(self, table: VectorTable, wants_index: bool, is_indexed: bool) -> None:
        """Bring into the index of nearest ones what belongs there: with an outer store what is warm, else everything."""
        if not isinstance(table, db_vectors.IndexedVectors) or not (wants_index or is_indexed):
            return
        policy, now = self._options.warm, datetime.now(UTC)
        while True:
            with self._database.tenant_transaction(self._tenant, work="batch") as tx:
                self._guard(tx)
                db_embedders.mark_indexed(tx, table.tag, is_indexed=True)
                if self._outer is None:
                    moved = table.place(tx, [each.memory_id for each in table.misplaced(tx, _MOVED_AT_ONCE, None)], in_index=True)
                else:
                    found = table.misplaced(tx, _MOVED_AT_ONCE, warm_since(now, policy))
                    due = moves([Touched(**asdict(each)) for each in found], now, policy)
                    moved = table.place(tx, sorted(due.promoted), in_index=True) + table.place(tx, sorted(due.demoted), in_index=False)
            if not moved:
                return


def _interaction_ids(rows: Sequence[OutboxRow]) -> list[UUID]:
    return sorted({UUID(row.object_id) for row in rows if row.object_kind == "interaction"})
