"""Search: words and meaning are asked of warm and cold, what they find is weighed and looked up in the record, which has the last word."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from uuid import UUID

import structlog

from pay_ready.db import embedders as db_embedders
from pay_ready.db import memories as db_memories
from pay_ready.db import vectors as db_vectors
from pay_ready.db.embedders import TenantEmbedder
from pay_ready.db.memories import ShownPassage
from pay_ready.db.tenancy import Database, TenantTransaction
from pay_ready.errors import EmbeddingError, IsolationError, NotFoundError, PayReadyError, TransientError
from pay_ready.memory.cold.postgres import PostgresStore
from pay_ready.memory.fusion import Ranked, fused, looked_for, weighed_words
from pay_ready.memory.language import language_of
from pay_ready.memory.policy import Touched, effects_of_use, is_warm
from pay_ready.memory.settings import IndexingOptions
from pay_ready.model.ids import TenantId
from pay_ready.model.memory import Embedder, Filters, Tier, VectorHit, VectorQuery, VectorStore, memory_id_of

if TYPE_CHECKING:
    from pay_ready.model.memory import Vectors

MOST_HITS = 200
_MOST_CHUNKS = 5_000  # of one interaction, for the check of ids alone

log = structlog.get_logger()


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


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """A question as it is put to the tiers."""

    words: str
    filters: Filters  # with the ids that entities absorbed
    most: int
    least_similarity: float | None
    serving: TenantEmbedder | None
    query: VectorQuery | None  # None where there is no vector to ask with


class Search:
    """Searches of every tenant, for all threads of one process. The arguments are those of `MemoryManager`."""

    def __init__(
        self,
        database: Database,
        *,
        embedder: Callable[[], Embedder],
        former: Callable[[str], Embedder | None],
        outer: VectorStore | None,
        options: IndexingOptions,
    ) -> None:
        self._database, self._open_embedder, self._open_former, self._outer, self._options = database, embedder, former, outer, options

    def answer(
        self, tenant: TenantId, words: str, *, most: int = 10, filters: Filters | None = None, least_similarity: float | None = None
    ) -> SearchAnswer:
        """As `MemoryManager.search`."""
        filters, most = filters or Filters(), min(most, MOST_HITS)
        with self._database.tenant_transaction(tenant) as tx:
            serving, waiting, epoch = db_embedders.serving(tx), db_memories.waiting(tx).changes, db_memories.epoch(tx)
            if filters.entity_ids:
                filters = replace(filters, entity_ids=tuple(db_memories.absorbed(tx, filters.entity_ids)))
        vector, reasons = self.vector_of(words, serving)
        query = None
        if vector is not None:
            least = -1.0 if least_similarity is None else least_similarity
            wanted = max(self._options.search.candidates, most)
            query = VectorQuery(vector=vector, most=wanted, filters=filters, least_similarity=least)
        asked = _Asked(words=words, filters=filters, most=most, least_similarity=least_similarity, serving=serving, query=query)
        cold, tiers, away = self._ask_cold(tenant, asked)
        with self._database.tenant_transaction(tenant) as tx:
            found_in, ranked, shown = self._weighed(tx, asked, cold, tiers)
        hits = tuple(
            Hit(
                passage=shown[each.memory_id], score=each.score, text_rank=each.text_rank, similarity=each.similarity,
                tiers=tuple(sorted(found_in[each.memory_id])),
            )
            for each in ranked
        )  # fmt: skip
        self._touch(tenant, serving, [hit.passage for hit in hits])
        reasons += away
        return SearchAnswer(
            hits=hits, tiers=("warm", *(tier for tier in tiers if tier != "warm")), degraded=bool(reasons), reasons=reasons,
            embedder_id=None if serving is None else serving.embedder_id, run_no=epoch.run_no, waiting=waiting,
        )  # fmt: skip

    def vector_of(self, words: str, serving: TenantEmbedder | None) -> "tuple[Vectors | None, tuple[str, ...]]":
        """The question's vector by the embedder whose vectors serve; or why there is none."""
        if serving is None:
            return None, ("no vectors serve yet, found by words alone: pay-ready index -t TENANT",)
        try:
            embedder = self._open_embedder()
            if embedder.id != serving.embedder_id:
                former = self._open_former(serving.embedder_id)
                if former is None:
                    return None, ("the vectors are of an embedder that is not here: until pay-ready index is through, by words alone",)
                embedder = former
            vector = _one_vector(embedder, words, serving.dimensions)
        except (TransientError, NotFoundError, EmbeddingError) as error:
            log.warning("embedder.away", error_class=type(error).__name__)
            return None, ("the embedder is away or gives no vectors: found by words alone",)
        return vector, ("the embedder knows words alone: pay-ready models install",) if embedder.is_lexical else ()

    def _ask_cold(self, tenant: TenantId, asked: _Asked) -> tuple[list[VectorHit], tuple[Tier, ...], tuple[str, ...]]:
        """The nearest of all history, the tiers that these come from, and what was away.

        Asked is the outer store, where the vectors that serve are its own; else, and when it is away, Postgres.
        """
        if asked.query is None or asked.serving is None:
            return [], ("warm", "cold") if self._outer is None else ("warm",), ()
        reasons: tuple[str, ...] = ()
        if self._outer is not None and asked.serving.embedder_id == self._open_embedder().id:
            try:
                return self._outer.search(tenant, asked.query), ("cold",), ()
            except IsolationError:
                raise
            except PayReadyError as error:
                log.warning("outer_store.away", tenant=str(tenant), kind=self._outer.name, error_class=type(error).__name__)
                reasons = (f"{self._outer.name} is away: all history was searched in Postgres",)
        store = PostgresStore(
            self._database, embedder_id=asked.serving.embedder_id, dim=asked.serving.dimensions, options=self._options.search
        )  # fmt: skip
        return store.search(tenant, asked.query), ("warm", "cold") if self._outer is None else ("warm",), reasons

    def _weighed(
        self, tx: TenantTransaction, asked: _Asked, cold: Sequence[VectorHit], tiers: tuple[Tier, ...]
    ) -> tuple[dict[UUID, set[Tier]], list[Ranked], dict[UUID, ShownPassage]]:
        """Candidates of every kind, weighed in the record, the best of those that pass there."""
        search, found_in = self._options.search, dict[UUID, set[Tier]]()
        wanted = max(search.candidates, asked.most)
        counts, passages = db_memories.word_counts(tx, asked.words, _configs(asked.words))
        words = weighed_words(counts, passages)
        first = looked_for(counts, wanted)
        by_words = db_memories.search_words(tx, words, first, asked.filters, wanted)
        if len(by_words) < asked.most and first < len(words):  # filters left too few of them
            by_words = db_memories.search_words(tx, words, len(words), asked.filters, wanted)
        for word_hit in by_words:
            found_in.setdefault(word_hit.memory_id, set()).add("warm")
        similarities: dict[UUID, float] = {}
        table = None if asked.serving is None else db_vectors.vector_table(tx, asked.serving.embedder_tag, asked.serving.dimensions)
        for hit in cold:
            found_in.setdefault(hit.memory_id, set()).update(tiers)
        if table is not None and asked.query is not None and asked.serving is not None and "warm" not in tiers:
            # What the outer store has yet to hear of.
            for hit in table.nearest(tx, asked.query, is_indexed=asked.serving.is_indexed, ef=search.ef_search):
                found_in.setdefault(hit.memory_id, set()).add("warm")
        candidates = db_memories.candidates(tx, sorted(found_in), words)
        if cold and "warm" not in tiers:
            _refuse_foreign(tx.tenant, cold, {each.memory_id for each in candidates})
        if table is not None and asked.query is not None:
            near = sorted({each.memory_id for each in candidates}.union(*(each.beside for each in candidates)))
            similarities = table.similarities(tx, asked.query.vector, near)
        ranked = fused(candidates, similarities, vector_share=search.vector_share)
        if asked.least_similarity is not None:
            ranked = [each for each in ranked if each.similarity is not None and each.similarity >= asked.least_similarity]
        kept, shown = _passing(tx, ranked, asked)
        return found_in, kept, shown

    def _touch(self, tenant: TenantId, serving: TenantEmbedder | None, passages: Sequence[ShownPassage]) -> None:
        """Note the use, where that is due, and bring what had cooled down back into the index of nearest ones."""
        now, policy = datetime.now(UTC), self._options.warm
        effects = {
            each.memory_id: effects_of_use(
                Touched(memory_id=each.memory_id, touched_at=each.touched_at, is_warm=is_warm(each.touched_at, now, policy)), now, policy
            )
            for each in passages
        }
        due = [memory_id for memory_id, effect in effects.items() if effect.writes_touch]
        if not due:
            return
        try:
            with self._database.tenant_transaction(tenant) as tx:
                db_memories.touch(tx, due, now, policy.interval)
                promoted = [memory_id for memory_id, effect in effects.items() if effect.promotes_to_warm]
                if promoted and serving is not None and serving.is_indexed:
                    table = db_vectors.vector_table(tx, serving.embedder_tag, serving.dimensions)
                    if isinstance(table, db_vectors.IndexedVectors):
                        table.place(tx, promoted, in_index=True)
        except TransientError as error:  # what was found is worth more than when it was asked for
            log.warning("touch.failed", tenant=str(tenant), error_class=type(error).__name__)


def _one_vector(embedder: Embedder, words: str, dimensions: int) -> "Vectors":
    vectors = embedder.embed([words])
    if len(vectors) != 1:
        raise EmbeddingError("the embedder gave another number of vectors", "pay-ready models list", wanted=1, got=len(vectors))
    db_vectors.check_vectors(vectors, dimensions)
    first: Vectors = vectors[0]
    return first


def _refuse_foreign(tenant: TenantId, hits: Sequence[VectorHit], known: set[UUID]) -> None:
    """Alarm where a store gives what is not this tenant's: ids follow from the tenant, and what it once had is told from what it never had.

    Raises:
        IsolationError: A hit is of no interaction of the tenant's, present or past.
    """
    for hit in hits:
        if hit.memory_id in known:
            continue
        if all(memory_id_of(tenant, hit.interaction_id, number) != hit.memory_id for number in range(_MOST_CHUNKS)):
            log.error("isolation.violated", tenant=str(tenant), reason="a vector store gave a passage that is not the tenant's")
            raise IsolationError("a vector store gave a passage that is not the tenant's", "stop using it and report this", tenant=tenant)


def _passing(tx: TenantTransaction, ranked: Sequence[Ranked], asked: _Asked) -> tuple[list[Ranked], dict[UUID, ShownPassage]]:
    """The first of those that the record says are what was asked for; more than one page only where the outer store was behind."""
    kept: list[Ranked] = []
    shown: dict[UUID, ShownPassage] = {}
    for start in range(0, len(ranked), asked.most or 1):
        part = ranked[start : start + asked.most]
        found = db_memories.passages_of(tx, [each.memory_id for each in part])
        passing = [each for each in part if each.memory_id in found and _passes(found[each.memory_id], asked.filters)]
        kept += passing[: asked.most - len(kept)]
        shown |= found
        if len(kept) >= asked.most:
            break
    return kept, shown


def _configs(words: str) -> tuple[str, ...]:
    """English, the question's own language where it shows, and its words unstemmed for languages that have no stemmer."""
    return tuple(dict.fromkeys(("english", db_memories.text_config(language_of(words)), "simple")))


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
