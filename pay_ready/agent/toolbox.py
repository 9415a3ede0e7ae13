"""The agent's tools: typed questions about one tenant's interactions. They read, take the tenant from where they were opened, and nothing
from a question's text but values; who asked what about whom is in the audit trail, by ids.
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal, TypeVar, get_args
from uuid import UUID
from zoneinfo import ZoneInfo

from pydantic import TypeAdapter

from pay_ready.agent.answer_cache import AnswerCache, CacheOptions, Wanted
from pay_ready.agent.answers import (
    Basis,
    CoachingAnswer,
    CountAnswer,
    SentimentAnswer,
    ShownTopic,
    SummaryAnswer,
    TimelineAnswer,
    TopicsAnswer,
    WhoAnswer,
)
from pay_ready.agent.cursor import position_of
from pay_ready.agent.extract import ExtractOptions
from pay_ready.agent.known_sentiment import read_sentiment, scorer_for, sentence_vectors
from pay_ready.agent.known_topics import keep_topics, known_topics, topics_name
from pay_ready.agent.masking import MaskPolicy
from pay_ready.agent.periods import Period, trend_of
from pay_ready.agent.sentences import Citation, Sentence, told_sentences
from pay_ready.agent.sentiment import GroupingOptions, SentimentReading, interaction_points, sentiment_by_period, turn_sentiment
from pay_ready.agent.sentiment_model import Scorer, open_scorer
from pay_ready.agent.stored_vectors import passage_vectors, standing_for, with_vectors, without_vectors
from pay_ready.agent.summary import SummaryOptions, summarise
from pay_ready.agent.timeline import Line, Paging, lines_of, page_of
from pay_ready.agent.titles import Masked, as_it_is
from pay_ready.agent.topics import KnownTopic, Passage, Topic, TopicOptions, topics_of
from pay_ready.db import embedders as db_embedders
from pay_ready.db import memories as db_memories
from pay_ready.db import sentiment as db_sentiment
from pay_ready.db import talks as db_talks
from pay_ready.db import tenants as db_tenants
from pay_ready.db.talks import EntityType, Grouping
from pay_ready.db.tenancy import Database, TenantTransaction
from pay_ready.errors import NotFoundError, UsageError
from pay_ready.memory.search import Hit, SearchAnswer
from pay_ready.memory.tiers import MemoryManager
from pay_ready.model.ids import TenantId
from pay_ready.model.memory import Filters
from pay_ready.model.staged import InteractionType
from pay_ready.model.talk import Scope, Talk

if TYPE_CHECKING:  # heavy
    from pay_ready.agent.coaching.report import CoachingRules
    from pay_ready.model.memory import Vectors

MOST_ROWS = 200
_COUNTED = 100_000  # interactions that are counted one by one at most
_AUDITED = 20  # people and companies of one question
_NOT_ANALYSED = "they were not analysed yet: pay-ready analyse"
T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolOptions:
    """How a tenant's questions are answered."""

    time_zone: str = "UTC"  # IANA
    week_start: int = 0  # 0 is Monday
    most_interactions: int = 500  # that are read for one answer, the latest
    embedded_sentences: int = 40  # up to so many get vectors of their own; of more, that of the passage around them counts
    summary_words: int = 110
    topic_min_frequency: int = 3
    page_size: int = 50
    embedding: str = ""  # which embedder is configured: answers made with another are not given
    cache: CacheOptions = field(default_factory=CacheOptions)
    mask_policy: MaskPolicy = "none"
    page_key: bytes = field(default=b"", repr=False)  # the tenant's: signs the places of pages


Side = Literal["internal", "external"]


class Toolbox:
    """The tools of one tenant.

    Args:
        database: The record.
        tenant: Whose interactions; no tool takes another.
        memory: To search and to find what is alike; opened when it is first needed.
        options: How answers are made.
        coaching_rules: Read when the first report is asked for.
        actor: Who asks, for the audit; None: nobody does, answers are made in advance.
    """

    def __init__(
        self,
        database: Database,
        tenant: TenantId,
        memory: Callable[[], MemoryManager],
        *,
        options: ToolOptions,
        coaching_rules: "Callable[[], CoachingRules]",
        actor: str | None,
    ) -> None:
        self._database, self.tenant, self._open_memory, self.options = database, tenant, memory, options
        self._coaching_rules, self._actor = coaching_rules, actor
        self._cache = AnswerCache(database, tenant, options.cache)

    @property
    def _memory(self) -> MemoryManager:
        return self._open_memory()

    def summary(self, scope: Scope) -> SummaryAnswer:
        """What was said: overview, topics, decisions, promises, requests, sentiment, contact, next steps; every line cites."""
        return self._kept("summary", scope, {}, SummaryAnswer, lambda: self._summary(scope))

    def _summary(self, scope: Scope) -> SummaryAnswer:
        with self._opened("summary", scope) as tx:
            talks, basis = self._read(tx, scope)
            sentences = told_sentences(talks)
            passages = passage_vectors(tx, [talk.interaction_id for talk in talks])
            topics = self._topics(tx, scope, talks, passages, known=())
            best = self._best_scorer(tx)
            known = db_sentiment.known(tx, best.id, [talk.interaction_id for talk in talks])
        own = self._own_vectors(sentences)
        vectors = standing_for(sentences, passages) if own is None else list(own)
        kept, rows = with_vectors(sentences, vectors)
        reading = read_sentiment(kept, known, best, self._fresh)
        options = SummaryOptions(overview=ExtractOptions(words=self.options.summary_words))
        summary = summarise(kept, rows, options=options, reading=reading, topics=topics)
        unindexed = 0 if own is not None else without_vectors(talks, passages)
        return SummaryAnswer(summary=summary, basis=replace(basis, unindexed=unindexed), scorer_id=reading.scorer_id)

    def timeline(
        self, scope: Scope, *, token: str | None = None, size: int | None = None, masked: Masked = as_it_is
    ) -> TimelineAnswer:  # fmt: skip
        """What happened with somebody, the latest first, by pages.

        Args:
            scope: With whom, and what of it.
            token: Where the page before ended; None for the first.
            size: Lines at most.
            masked: What personal values become before a title is cut.

        Raises:
            UsageError: Nobody is named.
            CursorError: The token is of another question, or none of ours.
        """
        _refuse_nobody(scope)
        paging = Paging(size=min(size or self.options.page_size, MOST_ROWS), key=self.options.page_key, scope=_digest(scope))
        before = None
        if token is not None:
            position = position_of(token, paging.key, paging.scope)
            before = (position.occurred_at, position.interaction_id)
        with self._opened("timeline", scope) as tx:
            entries = db_talks.entries(tx, self._absorbed(tx, scope), paging.size + 1, before)
            run_no = db_memories.epoch(tx).run_no
        page = page_of(lines_of(entries, ZoneInfo(self.options.time_zone), masked=masked), paging)
        return TimelineAnswer(page=page, basis=Basis(interactions=len(page.lines), total=len(page.lines), run_no=run_no))

    @contextmanager
    def whole_timeline(self, scope: Scope, *, masked: Masked = as_it_is) -> Iterator[tuple[int, Iterator[Line]]]:
        """How many interactions there are, and the line of each, the latest first: read page after page, as they are taken.

        Raises:
            UsageError: Nobody is named.
        """
        _refuse_nobody(scope)
        zone = ZoneInfo(self.options.time_zone)
        with self._opened("timeline", scope) as tx:
            wanted = self._absorbed(tx, scope)

            def lines() -> Iterator[Line]:
                before = None
                while entries := db_talks.entries(tx, wanted, MOST_ROWS, before):
                    yield from lines_of(entries, zone, masked=masked)
                    before = (entries[-1].occurred_at, entries[-1].interaction_id)

            yield db_talks.chosen(tx, wanted, 1).total, lines()

    def sentiment(self, scope: Scope, *, period: Period = "week") -> SentimentAnswer:
        """How what was said sounds, by period and side, with examples and the trend of the other side."""
        return self._kept("sentiment", scope, {"period": period}, SentimentAnswer, lambda: self._sentiment_answer(scope, period))

    def _sentiment_answer(self, scope: Scope, period: Period) -> SentimentAnswer:
        with self._opened("sentiment", scope) as tx:
            talks, basis = self._read(tx, scope)
            reading = self._sentiment(tx, talks)
            zone, begin = self.options.time_zone, self.options.week_start
            spread = db_sentiment.spread(tx, [talk.interaction_id for talk in talks], period, zone, begin)
        grouping = GroupingOptions(period=period, time_zone=zone, week_start=begin)
        theirs = [each for each in reading.scored if each.sentence.utterance.side != "internal"]
        return SentimentAnswer(
            periods=tuple(sentiment_by_period(reading.scored, grouping)), spread=tuple(spread),
            trend=trend_of(interaction_points(theirs, zone)), scorer_id=reading.scorer_id, reason=reading.reason,
            skipped=tuple(f"{each.sentences:,} sentences in {each.language or '?'}: {each.reason}" for each in reading.skipped),
            basis=basis,
        )  # fmt: skip

    def topics(self, scope: Scope, *, min_frequency: int | None = None) -> TopicsAnswer:
        """What was talked about, how often, and whether more than in the period before; a topic keeps its id from answer to answer."""
        more = {"min_frequency": min_frequency}
        return self._kept("topics", scope, more, TopicsAnswer, lambda: self._topics_answer(scope, min_frequency))

    def _topics_answer(self, scope: Scope, min_frequency: int | None) -> TopicsAnswer:
        with self._opened("topics", scope) as tx:
            wider = scope if scope.since is None else replace(scope, since=scope.since - ((scope.until or _now()) - scope.since))
            talks, basis = self._read(tx, wider)
            passages = passage_vectors(tx, [talk.interaction_id for talk in talks])
            name = topics_name(tx, _digest(replace(scope, since=None, until=None)).hex()[:16])
            topics = self._topics(tx, scope, talks, passages, known=known_topics(tx, name), min_frequency=min_frequency)
            if topics:
                keep_topics(tx, name, topics)
        shown = tuple(
            ShownTopic(
                id=each.id, label=each.label, quote=each.quote, passages=each.passages, interactions=each.interactions, share=each.share,
                passages_before=each.passages_before, trend=each.trend, citations=each.citations,
            )
            for each in topics
        )  # fmt: skip
        return TopicsAnswer(topics=shown, basis=replace(basis, unindexed=without_vectors(talks, passages)))

    def coaching(self, rep_ids: Sequence[UUID], name: str, since: datetime, until: datetime, scope: Scope | None = None) -> CoachingAnswer:
        """The coaching report of one of the tenant's own over a period, compared with the one before."""
        from pay_ready.agent.coaching.conversations import Rep, Said, conversations_of  # heavy, and few ask for it
        from pay_ready.agent.coaching.report import Request, coaching_report

        scope = scope or Scope()
        earlier = since - (until - since)
        asked = replace(scope, entity_ids=tuple(rep_ids), since=earlier, until=until)
        with self._opened("coaching", asked) as tx:
            ids = frozenset(db_memories.absorbed(tx, rep_ids))
            talks, basis = self._read(tx, asked)
            reading = self._sentiment(tx, talks)
        scores = {(each.utterance.interaction_id, each.utterance.turn_no): each.score for each in turn_sentiment(reading.scored)}
        said = [
            Said(utterance=each, sentiment=scores.get((each.interaction_id, each.turn_no))) for talk in talks for each in talk.utterances
        ]
        conversations = conversations_of(
            said, threads={talk.interaction_id: talk.thread_id for talk in talks if talk.thread_id},
            subjects={talk.interaction_id: talk.subject for talk in talks if talk.subject},
        )  # fmt: skip
        request = Request(rep=Rep(ids=ids, name=name), since=since, until=until, zone=ZoneInfo(self.options.time_zone))
        report = coaching_report(request, conversations, self._coaching_rules(), self._memory.embedder)
        return CoachingAnswer(report=report, basis=basis)

    def similar(self, interaction_id: UUID, scope: Scope | None = None, *, most: int = 10) -> SearchAnswer:
        """Interactions like one, by what was said in it.

        Raises:
            NotFoundError: There is no such interaction.
        """
        scope = scope or Scope()
        with self._opened("similar", scope) as tx:
            talks = db_talks.talks(tx, [interaction_id])
        if not talks:
            raise NotFoundError("no such interaction", "pay-ready timeline NAME -t TENANT --json shows ids", interaction=interaction_id)
        told = " ".join((talks[0].subject, *(each.text for each in talks[0].utterances)))[:2_000]
        answer = self._memory.search(self.tenant, told, most=min(most + 20, MOST_ROWS), filters=_filters(scope))
        others = tuple(hit for hit in answer.hits if hit.passage.interaction_id != interaction_id)
        return replace(answer, hits=_one_each(others)[:most])

    def search(self, words: str, scope: Scope | None = None, *, most: int = 10) -> SearchAnswer:
        """The passages that answer best."""
        scope = scope or Scope()
        with self._opened("search", scope):
            pass
        return self._memory.search(self.tenant, words, most=min(most, MOST_ROWS), filters=_filters(scope))

    def count(self, scope: Scope, *, grouping: Grouping = "week") -> CountAnswer:
        """How many interactions, by period, source or type."""
        return self._kept("count", scope, {"grouping": grouping}, CountAnswer, lambda: self._count(scope, grouping))

    def _count(self, scope: Scope, grouping: Grouping) -> CountAnswer:
        with self._opened("count", scope) as tx:
            chosen = db_talks.chosen(tx, self._absorbed(tx, scope), _COUNTED)
            buckets = db_talks.counts(tx, chosen.interaction_ids, grouping, self.options.time_zone)
            spread = db_talks.count_spread(tx, chosen.interaction_ids, grouping, self.options.time_zone)
            run_no = db_memories.epoch(tx).run_no
        basis = Basis(interactions=len(chosen.interaction_ids), total=chosen.total, run_no=run_no)
        return CountAnswer(grouping=grouping, buckets=tuple(buckets), spread=spread, total=chosen.total, basis=basis)

    def who(self, scope: Scope, *, entity_type: EntityType = "person", side: Side | None = "external", most: int = 10) -> WhoAnswer:
        """Who took part in most of the interactions; without those that the question names."""
        more = {"entity_type": entity_type, "side": side, "most": most}
        return self._kept("who", scope, more, WhoAnswer, lambda: self._who(scope, entity_type, side, most))

    def _who(self, scope: Scope, entity_type: EntityType, side: Side | None, most: int) -> WhoAnswer:
        with self._opened("who", scope) as tx:
            wanted = self._absorbed(tx, scope)
            chosen = db_talks.chosen(tx, wanted, _COUNTED)
            people = db_talks.who(
                tx, chosen.interaction_ids, entity_type, without_ids=wanted.entity_ids, side=side if entity_type == "person" else None,
                most=min(most, MOST_ROWS),
            )  # fmt: skip
            run_no = db_memories.epoch(tx).run_no
        basis = Basis(interactions=len(chosen.interaction_ids), total=chosen.total, run_no=run_no)
        return WhoAnswer(entity_type=entity_type, people=tuple(people), basis=basis)

    def ask_again(self, asked: Mapping[str, Any]) -> None:
        """Compute and keep an answer that was kept before, as `again` of the cache has it; what this version cannot read is left."""
        try:
            tool, scope, more = asked["tool"], TypeAdapter(Scope).validate_python(asked["scope"]), dict(asked["more"])
            tools: Mapping[str, Callable[..., object]] = {
                "summary": self.summary, "sentiment": self.sentiment, "topics": self.topics, "count": self.count, "who": self.who,
            }  # fmt: skip
            ask = tools[tool]
        except (KeyError, TypeError, ValueError):
            return
        ask(scope, **more)

    def _kept(self, tool: str, scope: Scope, more: Mapping[str, Any], kind: type[T], compute: Callable[[], T]) -> T:
        """The kept answer of a tool, or a new one, which is kept unless a part of memory is still to come."""
        asked = again(tool, scope, more)
        options = replace(self.options, page_key=b"", cache=CacheOptions(), mask_policy="none")  # what no answer depends on
        wanted = Wanted(tool=tool, plan={**asked, "options": repr(options)}, kind=kind, again=asked)
        return self._cache.answer(wanted, compute, seen=lambda tx: self._audit(tx, tool, scope), is_whole=_is_whole)

    @contextmanager
    def _opened(self, tool: str, scope: Scope) -> Iterator[TenantTransaction]:
        """A transaction of the tenant, at whose end it is in the audit who asked what about whom."""
        with self._database.tenant_transaction(self.tenant) as tx:
            yield tx
            self._audit(tx, tool, scope)

    def _audit(self, tx: TenantTransaction, tool: str, scope: Scope) -> None:
        if self._actor is None:
            return
        about = [("entity", each) for each in (*scope.entity_ids, *scope.with_ids)] or [("tenant", self.tenant)]
        for kind, subject in about[:_AUDITED]:
            db_tenants.audit(tx, actor=self._actor, action=f"{tool}.asked", subject_kind=kind, subject_id=str(subject))

    def _absorbed(self, tx: TenantTransaction, scope: Scope) -> Scope:
        ids = tuple(db_memories.absorbed(tx, scope.entity_ids)) if scope.entity_ids else ()
        others = tuple(db_memories.absorbed(tx, scope.with_ids)) if scope.with_ids else ()
        return replace(scope, entity_ids=ids, with_ids=others)

    def _read(self, tx: TenantTransaction, scope: Scope) -> tuple[list[Talk], Basis]:
        chosen = db_talks.chosen(tx, self._absorbed(tx, scope), self.options.most_interactions)
        talks = db_talks.talks(tx, chosen.interaction_ids)
        return talks, Basis(interactions=len(talks), total=chosen.total, run_no=db_memories.epoch(tx).run_no)

    def _best_scorer(self, tx: TenantTransaction) -> Scorer:
        """By whom interactions were scored that were analysed: it holds for the vectors that serve, and loads no embedder."""
        serving = db_embedders.serving(tx)
        return scorer_for(self._memory.embedder) if serving is None else open_scorer(serving.embedder_id)

    def _own_vectors(self, sentences: Sequence[Sentence]) -> "Vectors | None":
        """Vectors of the sentences themselves; None where they are too many, or none can be had."""
        if not sentences or len(sentences) > self.options.embedded_sentences:
            return None
        embedder = self._memory.embedder
        return sentence_vectors(sentences, embedder, scorer_for(embedder))

    def _fresh(self, sentences: Sequence[Sentence]) -> "tuple[Scorer, Vectors | None]":
        """By whom sentences are scored of which nothing is known: by the model where they are few."""
        vectors = self._own_vectors(sentences)
        if vectors is None:
            return replace(open_scorer(None), reason=_NOT_ANALYSED), None
        return scorer_for(self._memory.embedder), vectors

    def _sentiment(self, tx: TenantTransaction, talks: Sequence[Talk]) -> SentimentReading:
        best = self._best_scorer(tx)
        known = db_sentiment.known(tx, best.id, [talk.interaction_id for talk in talks])
        return read_sentiment(told_sentences(talks), known, best, self._fresh)

    def _topics(
        self,
        tx: TenantTransaction,
        scope: Scope,
        talks: Sequence[Talk],
        passages: "Mapping[UUID, Sequence[tuple[UUID, Vectors]]]",
        *,
        known: Sequence[KnownTopic],
        min_frequency: int | None = None,
    ) -> list[Topic]:
        import numpy as np

        rows = [row for found in passages.values() for row in found]
        texts = db_memories.passages_of(tx, [memory_id for memory_id, _ in rows])
        kept = [(texts[memory_id], vector) for memory_id, vector in rows if memory_id in texts]
        if not kept:
            return []
        people = tuple(dict.fromkeys(each.speaker for talk in talks for each in talk.utterances if each.speaker))
        options = TopicOptions(
            since=scope.since, until=scope.until, min_frequency=min_frequency or self.options.topic_min_frequency, people=people,
            companies=tuple(each.name for each in db_talks.names(tx) if each.entity_type == "company"),
        )  # fmt: skip
        spoken = [
            Passage(
                text=passage.chunk_text,
                citation=Citation(
                    interaction_id=passage.interaction_id, occurred_at=passage.occurred_at, source=passage.source, start_s=passage.start_s
                ),
            )
            for passage, _ in kept
        ]  # fmt: skip
        return topics_of(spoken, np.stack([vector for _, vector in kept]), options, known)


def again(tool: str, scope: Scope, more: Mapping[str, Any]) -> dict[str, Any]:
    """A question to a tool as JSON has it, by ids, for `Toolbox.ask_again`."""
    return {"schema_version": 1, "tool": tool, "scope": TypeAdapter(Scope).dump_python(scope, mode="json"), "more": dict(more)}


def _is_whole(made: object) -> bool:
    basis = getattr(made, "basis", None)
    return isinstance(basis, Basis) and not basis.unindexed


def _one_each(hits: Sequence[Hit]) -> tuple[Hit, ...]:
    """The best passage of each interaction."""
    best: dict[UUID, Hit] = {}
    for hit in hits:
        best.setdefault(hit.passage.interaction_id, hit)
    return tuple(best.values())


def _filters(scope: Scope) -> Filters:
    kinds: tuple[InteractionType, ...] = get_args(InteractionType)
    types = tuple(each for each in kinds if each in scope.interaction_types)
    return Filters(
        entity_ids=scope.entity_ids, sources=scope.sources, interaction_types=types, languages=scope.languages, since=scope.since,
        until=scope.until,
    )  # fmt: skip


def _refuse_nobody(scope: Scope) -> None:
    if not scope.entity_ids:
        raise UsageError("whose timeline?", "name a person or a company")


def _digest(scope: Scope) -> bytes:
    return hashlib.sha256(repr(scope).encode()).digest()


def _now() -> datetime:
    return datetime.now(UTC)
