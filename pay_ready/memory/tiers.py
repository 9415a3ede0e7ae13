"""The three tiers as one: read through, write down, promote on touch; which of them answered is said, and whether one was away."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Literal
from uuid import UUID

import structlog

from pay_ready.db import embedders as db_embedders
from pay_ready.db import memories as db_memories
from pay_ready.db import vectors as db_vectors
from pay_ready.db.embedders import TenantEmbedder
from pay_ready.db.memories import ContextPassage, Epoch, Interaction, ShownPassage
from pay_ready.db.tenancy import Database, TenantTransaction
from pay_ready.db.vectors import Question, VectorTable
from pay_ready.errors import IsolationError, NotFoundError, PayReadyError, TransientError
from pay_ready.memory.fusion import Ranked, fused
from pay_ready.memory.hot import HotKey, HotTier
from pay_ready.memory.indexing import Indexer
from pay_ready.memory.language import language_of
from pay_ready.memory.settings import IndexingOptions
from pay_ready.model.ids import TenantId
from pay_ready.model.memory import Embedder, Filters, Tier, VectorHit, VectorQuery, VectorStore

if TYPE_CHECKING:
    from pay_ready.model.memory import Vectors

_FRESH_S = 1.0  # so long what a tenant's counters said is believed
_ALL = "all"  # the scope of every value until there are roles
_MOST = 200  # hits of one search

log = structlog.get_logger()
ContextKind = Literal["thread", "surroundings", "recent"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """A passage that was found, with what is shown of it."""

    passage: ShownPassage
    score: float  # comparable within one search alone
    text_rank: float
    similarity: float | None  # cosine; None where there are no vectors
    tiers: tuple[Tier, ...]  # where it was found


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchAnswer:
    """What a search found; `degraded` where a tier was away or only words could be compared, with the reasons."""

    hits: tuple[Hit, ...]
    tiers: tuple[Tier, ...]  # that answered
    degraded: bool
    reasons: tuple[str, ...]
    embedder_id: str | None
    run_no: int  # of the published version that it is about
    waiting: int  # changes that memory has yet to hear of


class MemoryManager:
    """Memory of every tenant, for all threads of one process.

    Args:
        database: The record, and the warm tier.
        hot: The hot tier of this process.
        embedder: Made when the first question or passage needs a vector.
        former: Another embedder by its id, where it can be had: its vectors serve until those of the configured one are whole.
        outer: The cold tier where it is not Postgres; one of a process, closed by its maker.
        options: Sizes and windows.
        clock: Seconds, never backwards.
    """

    def __init__(
        self,
        database: Database,
        *,
        hot: HotTier[object],
        embedder: Callable[[], Embedder],
        former: Callable[[str], Embedder | None] = lambda _: None,
        outer: VectorStore | None = None,
        options: IndexingOptions | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.hot, self.outer = hot, outer
        self._database, self._open_embedder, self._open_former, self._clock = database, embedder, former, clock
        self.options = options or IndexingOptions()
        self._epochs: dict[TenantId, tuple[float, Epoch]] = {}

    @property
    def embedder(self) -> Embedder:
        """The configured embedder."""
        return self._open_embedder()

    def indexer(self, tenant: TenantId, guard: Callable[[TenantTransaction], None] | None = None) -> Indexer:
        """What keeps a tenant's memory up with its record."""
        more = {} if guard is None else {"guard": guard}
        return Indexer(
            self._database, tenant, embedder=self._open_embedder, outer=self.outer, options=self.options, **more
        )  # fmt: skip

    def store(self, tenant: TenantId, interaction_ids: Sequence[UUID]) -> int:
        """Write staged interactions down at once: passages, vectors, the outer store; how many passages were written.

        What the step `index` does in its turn, for those who cannot wait. An outer store that is away is told later.
        """
        indexer = self.indexer(tenant)
        with self._database.tenant_transaction(tenant, work="batch") as tx:
            heard = indexer.write(tx, sorted(set(interaction_ids)), max(db_memories.epoch(tx).outbox_seq, 1))
        after: UUID | None = None
        while (step := indexer.embed(after))[1] is not None:
            after = step[1]
        indexer.settle()
        try:
            while (told := indexer.tell()) is not None and told.interactions:
                continue
        except TransientError as error:
            log.warning("outer_store.away", tenant=str(tenant), error_class=type(error).__name__)
        self._changed(tenant, interaction_ids)
        return heard.passages

    def get(self, tenant: TenantId, interaction_id: UUID) -> Interaction:
        """One interaction: from the hot tier, else from the record.

        Raises:
            NotFoundError: There is none, or it is another tenant's.
        """

        def load() -> object:
            with self._database.tenant_transaction(tenant) as tx:
                found = db_memories.interaction(tx, interaction_id)
            if found is None:
                raise NotFoundError("no such interaction", "pay-ready memory search WORDS -t TENANT", interaction=interaction_id)
            return found

        epoch = self.epoch(tenant)
        value = self.hot.get_or_load(HotKey(tenant, _ALL, f"interaction:{interaction_id}", str(epoch.outbox_seq)), load)
        if not isinstance(value, Interaction):
            raise IsolationError("the hot tier gave another kind of value", interaction=interaction_id)
        return value

    def context(self, tenant: TenantId, kind: ContextKind, subject: UUID, *, most: int = 10) -> tuple[ContextPassage, ...]:
        """What surrounds something: the thread of an interaction, the passages around one of a call, the latest of a person or company.

        Each is one statement, however much there is; kept in the hot tier as long as the tenant's data stays what it is.
        """

        def load() -> object:
            with self._database.tenant_transaction(tenant) as tx:
                if kind == "thread":
                    return tuple(db_memories.thread(tx, subject, most))
                if kind == "surroundings":
                    return tuple(db_memories.surroundings(tx, subject, most))
                return tuple(db_memories.recent(tx, db_memories.absorbed(tx, [subject]), most))

        key = HotKey(tenant, _ALL, f"context:{kind}:{subject}:{most}", str(self.epoch(tenant).outbox_seq))
        value = self.hot.get_or_load(key, load)
        if not isinstance(value, tuple):
            raise IsolationError("the hot tier gave another kind of value", subject=subject)
        return value

    def forget(self, tenant: TenantId, interaction_ids: Sequence[UUID]) -> int:
        """Take interactions out of every tier; how many passages there were. The staged records stay: erasing people is `pay-ready erase`.

        Raises:
            TransientError: The outer store is away; it is told by the next `index`.
        """
        wanted = sorted(set(interaction_ids))
        with self._database.tenant_transaction(tenant, work="batch") as tx:
            gone = db_memories.forget(tx, wanted)
            if self.outer is not None:
                db_memories.queue_projections(tx, wanted, max(db_memories.epoch(tx).outbox_seq, 1), shorter=wanted)
        self._changed(tenant, wanted)
        indexer = self.indexer(tenant)
        while (told := indexer.tell()) is not None and told.interactions:
            continue
        return gone

    def epoch(self, tenant: TenantId) -> Epoch:
        """Where the tenant is now; at most a second behind. A publish, rollback, erasure or staged change by any process moves it."""
        known = self._epochs.get(tenant)
        if known is not None and self._clock() - known[0] < _FRESH_S:
            return known[1]
        asked_at = self._clock()
        with self._database.tenant_transaction(tenant) as tx:
            epoch = db_memories.epoch(tx)
        self._epochs[tenant] = (asked_at, epoch)
        if known is not None and known[1] != epoch:
            # Nobody asks for what was kept any more, and some of it may have been erased.
            self.hot.forget_tenant(tenant)
        self.hot.advance(tenant, epoch.outbox_seq)
        return epoch

    def search(
        self, tenant: TenantId, words: str, *, most: int = 10, filters: Filters | None = None, least_similarity: float | None = None
    ) -> SearchAnswer:
        """The passages that answer best, by words and by meaning: exactly min(most, matching) of those that pass the filters.

        Warm and cold are asked and merged, each passage is looked up in the record, which has the last word on whose it is and what it
        is about now; what does not pass the filters there is dropped.

        Args:
            tenant: Whose memory.
            words: The question.
            most: Hits at most, up to 200.
            filters: What it is narrowed to; an entity's absorbed ids are added here.
            least_similarity: Passages below this cosine are no hits; None leaves it to the order.
        """
        filters, most = filters or Filters(), min(most, _MOST)
        with self._database.tenant_transaction(tenant) as tx:
            serving, waiting = db_embedders.serving(tx), db_memories.waiting(tx).changes
            epoch = db_memories.epoch(tx)
            named = filters.entity_ids
            if named:
                filters = _with_entities(filters, db_memories.absorbed(tx, named))
        vector, reasons = self._vector(words, serving)
        question = Question(vector=vector, words=words, configs=_configs(words))
        query = None
        if vector is not None:
            least = -1.0 if least_similarity is None else least_similarity
            query = VectorQuery(vector=vector, most=max(self.options.search.candidates, most), filters=filters, least_similarity=least)
        is_current = serving is not None and serving.embedder_id == self._open_embedder().id if query is not None else False
        outer, away = self._ask_outer(tenant, query) if is_current else (None, ())
        with self._database.tenant_transaction(tenant) as tx:
            pool, ranked, shown = self._weighed(tx, question, query, serving, outer, filters, most, least_similarity)
        hits = tuple(
            Hit(
                passage=shown[each.memory_id], score=each.score, text_rank=each.text_rank, similarity=each.similarity,
                tiers=tuple(sorted(pool[each.memory_id])),
            )
            for each in ranked
        )  # fmt: skip
        self._touch(tenant, [hit.passage for hit in hits])
        tiers: tuple[Tier, ...] = ("warm",) if outer is None and self.outer is not None else ("warm", "cold")
        reasons += away
        return SearchAnswer(
            hits=hits, tiers=tiers, degraded=bool(reasons), reasons=reasons, embedder_id=None if serving is None else serving.embedder_id,
            run_no=epoch.run_no, waiting=waiting,
        )  # fmt: skip

    def _vector(self, words: str, serving: TenantEmbedder | None) -> "tuple[Vectors | None, tuple[str, ...]]":
        """The question's vector by the embedder whose vectors serve; or why there is none."""
        if serving is None:
            return None, ("nothing is indexed yet: pay-ready index -t TENANT",)
        try:
            embedder = self._open_embedder()
            if embedder.id != serving.embedder_id:
                former = self._open_former(serving.embedder_id)
                if former is None:
                    return None, ("the vectors are of an embedder that is not here: until pay-ready index is through, by words alone",)
                embedder = former
            vector = embedder.embed([words])[0]
        except (TransientError, NotFoundError) as error:
            log.warning("embedder.away", error_class=type(error).__name__)
            return None, ("the embedder is away: found by words alone",)
        return vector, ("the embedder knows words alone: pay-ready models install",) if embedder.is_lexical else ()

    def _ask_outer(self, tenant: TenantId, query: VectorQuery | None) -> tuple[list[VectorHit] | None, tuple[str, ...]]:
        if self.outer is None or query is None:
            return None, ()
        try:
            return self.outer.search(tenant, query), ()
        except IsolationError:
            raise
        except PayReadyError as error:
            log.warning("outer_store.away", tenant=str(tenant), kind=self.outer.name, error_class=type(error).__name__)
            return None, (f"{self.outer.name} is away: all history was searched in Postgres",)

    def _weighed(
        self,
        tx: TenantTransaction,
        question: Question,
        query: VectorQuery | None,
        serving: TenantEmbedder | None,
        outer: list[VectorHit] | None,
        filters: Filters,
        most: int,
        least_similarity: float | None,
    ) -> tuple[dict[UUID, set[Tier]], list[Ranked], dict[UUID, ShownPassage]]:
        """Candidates of every kind, weighed in the record, the best of those that pass there."""
        search, pool = self.options.search, dict[UUID, set[Tier]]()
        table: VectorTable | None = None
        wanted = max(search.candidates, most)
        for word_hit in db_memories.search_words(tx, question, filters, wanted):
            pool.setdefault(word_hit.memory_id, set()).add("warm")
        if serving is not None:
            table = db_vectors.vector_table(tx, serving.embedder_tag, serving.dimensions)
            if query is not None:
                for hit in table.nearest(tx, query, is_indexed=serving.is_indexed, ef=search.ef_search):
                    pool.setdefault(hit.memory_id, set()).update(("warm", "cold") if self.outer is None else ("warm",))
        for hit in outer or ():
            pool.setdefault(hit.memory_id, set()).add("cold")
        weighed = [] if table is None else table.weigh(tx, question, list(pool))
        ranked = fused(weighed, vector_share=search.vector_share)
        if least_similarity is not None:
            ranked = [each for each in ranked if each.similarity is not None and each.similarity >= least_similarity]
        shown: dict[UUID, ShownPassage] = {}
        kept: list[Ranked] = []
        for start in range(0, len(ranked), most or 1):  # more than one page only where the outer store was behind the record
            part = ranked[start : start + most]
            found = db_memories.passages_of(tx, [each.memory_id for each in part])
            passing = [each for each in part if each.memory_id in found and _passes(found[each.memory_id], filters)]
            kept += passing[: most - len(kept)]
            shown |= found
            if len(kept) >= most:
                break
        return pool, kept, shown

    def _touch(self, tenant: TenantId, passages: Sequence[ShownPassage]) -> None:
        if not passages:
            return
        interval = self.options.warm.interval
        try:
            with self._database.tenant_transaction(tenant) as tx:
                db_memories.touch(tx, [each.memory_id for each in passages], datetime.now(UTC), max(interval, timedelta(0)))
        except TransientError as error:  # what was found is worth more than when it was asked for
            log.warning("touch.failed", tenant=str(tenant), error_class=type(error).__name__)

    def _changed(self, tenant: TenantId, interaction_ids: Sequence[UUID]) -> None:
        self._epochs.pop(tenant, None)
        self.hot.forget(tenant, [f"interaction:{each}" for each in interaction_ids])


def _configs(words: str) -> tuple[str, ...]:
    """English, the question's own language where it shows, and its words unstemmed for languages that have no stemmer."""
    return tuple(dict.fromkeys(("english", db_memories.text_config(language_of(words)), "simple")))


def _with_entities(filters: Filters, entity_ids: Sequence[UUID]) -> Filters:
    return replace(filters, entity_ids=tuple(entity_ids))


def _passes(passage: ShownPassage, filters: Filters) -> bool:
    """Whether the record says that a passage is what was asked for."""
    return (
        (not filters.entity_ids or bool(set(filters.entity_ids) & set(passage.entity_ids)))
        and (not filters.sources or passage.source in filters.sources)
        and (not filters.interaction_types or passage.interaction_type in filters.interaction_types)
        and (not filters.languages or passage.language in filters.languages)
        and (filters.since is None or passage.occurred_at >= filters.since)
        and (filters.until is None or passage.occurred_at < filters.until)
    )
