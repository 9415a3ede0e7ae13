"""The three tiers as one: read through, write down, promote on touch; which of them answered is said, and whether one was away."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal
from uuid import UUID

import structlog

from pay_ready.db import embedders as db_embedders
from pay_ready.db import memories as db_memories
from pay_ready.db import vectors as db_vectors
from pay_ready.db.memories import ContextPassage, Epoch, Interaction
from pay_ready.db.tenancy import Database, TenantTransaction
from pay_ready.errors import IsolationError, NotFoundError, TransientError
from pay_ready.memory.hot import HotKey, HotTier
from pay_ready.memory.indexing import Indexer
from pay_ready.memory.policy import touch_is_due
from pay_ready.memory.prune import ContextItem, PrunedContext, PruneOptions, prune_context
from pay_ready.memory.search import Search, SearchAnswer
from pay_ready.memory.settings import IndexingOptions
from pay_ready.model.ids import TenantId
from pay_ready.model.memory import Embedder, Filters, VectorStore

_FRESH_S = 1.0  # so long what a tenant's counters said is believed
_ALL = "all"  # the scope of every value until there are roles

log = structlog.get_logger()
ContextKind = Literal["thread", "surroundings", "recent"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Briefing:
    """What is worth knowing within a budget of tokens, and the passages that it was chosen from, by id."""

    pruned: PrunedContext
    passages: Mapping[UUID, ContextPassage]


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
        self._database, self._open_embedder, self._clock = database, embedder, clock
        self.options = options or IndexingOptions()
        self._epochs: dict[TenantId, tuple[float, Epoch]] = {}
        self._search = Search(database, embedder=embedder, former=former, outer=outer, options=self.options)

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
                found, now, policy = db_memories.interaction(tx, interaction_id), datetime.now(UTC), self.options.warm
                if found is not None and found[1] is not None and touch_is_due(found[1], now, policy):
                    db_memories.touch_interaction(tx, interaction_id, now, policy.interval)
            if found is None:
                raise NotFoundError("no such interaction", "pay-ready memory search WORDS -t TENANT", interaction=interaction_id)
            return found[0]

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
                return tuple(db_memories.recent(tx, [subject], most))

        key = HotKey(tenant, _ALL, f"context:{kind}:{subject}:{most}", str(self.epoch(tenant).outbox_seq))
        value = self.hot.get_or_load(key, load)
        if not isinstance(value, tuple):
            raise IsolationError("the hot tier gave another kind of value", subject=subject)
        return value

    def briefing(
        self,
        tenant: TenantId,
        *,
        budget_tokens: int,
        interaction_id: UUID | None = None,
        entity_ids: Sequence[UUID] = (),
        question: str | None = None,
        most: int = 50,
        now: datetime | None = None,
    ) -> Briefing:
        """What to know before answering about an interaction, or people and companies, within so many tokens.

        Taken from the interaction's thread and the latest passages of those that it is with (or of those named): the opening of the
        interaction is essential, then what is of the last 7 days, what is near to the question, and what is older, shortened.

        Args:
            tenant: Whose.
            budget_tokens: Tokens that all texts together may have.
            interaction_id: What it is about.
            entity_ids: People and companies beside those that the interaction is with.
            question: What is to be answered; without it nothing counts as near.
            most: Passages of the thread before and after, and of the latest.
            now: What "the last 7 days" are counted from.

        Raises:
            NotFoundError: No such interaction.
            UsageError: Not even a line of what is essential fits.
        """
        gathered: dict[UUID, ContextPassage] = {}
        named = list(entity_ids)
        if interaction_id is not None:
            named += self.get(tenant, interaction_id).entity_ids
            gathered |= {each.memory_id: each for each in self.context(tenant, "thread", interaction_id, most=most)}
        similarities: dict[UUID, float] = {}
        with self._database.tenant_transaction(tenant) as tx:
            if named:
                gathered |= {each.memory_id: each for each in db_memories.recent(tx, named, most)}
            if interaction_id is not None:
                gathered |= {each.memory_id: each for each in db_memories.passages_in(tx, interaction_id, most)}
            serving = db_embedders.serving(tx)
        vector = None if question is None else self._search.vector_of(question, serving)[0]
        if vector is not None and serving is not None:
            with self._database.tenant_transaction(tenant) as tx:
                table = db_vectors.vector_table(tx, serving.embedder_tag, serving.dimensions)
                similarities = table.similarities(tx, vector, sorted(gathered))
        items = [
            ContextItem(
                item_id=each.memory_id, occurred_at=each.occurred_at, text=each.chunk_text,
                is_essential=each.interaction_id == interaction_id and each.chunk_no == 0, similarity=similarities.get(each.memory_id),
            )
            for each in gathered.values()
        ]  # fmt: skip
        pruned = prune_context(items, budget_tokens, now or datetime.now(UTC), PruneOptions())
        return Briefing(pruned=pruned, passages={each.item_id: gathered[each.item_id] for each in pruned.items})

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
        return self._search.answer(tenant, words, most=most, filters=filters, least_similarity=least_similarity)

    def _changed(self, tenant: TenantId, interaction_ids: Sequence[UUID]) -> None:
        self._epochs.pop(tenant, None)
        self.hot.forget(tenant, [f"interaction:{each}" for each in interaction_ids])
