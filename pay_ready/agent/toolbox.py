"""The agent's tools: typed questions about one tenant's interactions. They read, take the tenant from where they were opened, and nothing
from a question's text but values; who asked what about whom is in the audit trail, by ids.
"""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal, get_args
from uuid import UUID
from zoneinfo import ZoneInfo

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
from pay_ready.agent.coaching.conversations import Rep, Said, conversations_of
from pay_ready.agent.coaching.report import CoachingRules, Request, coaching_report
from pay_ready.agent.cursor import position_of
from pay_ready.agent.extract import ExtractOptions
from pay_ready.agent.masking import MaskPolicy
from pay_ready.agent.periods import Period, trend_of
from pay_ready.agent.sentences import Citation, Sentence, own_words, sentences_of
from pay_ready.agent.sentiment import (
    GroupingOptions,
    SentimentReading,
    interaction_points,
    score_sentences,
    sentiment_by_period,
    turn_sentiment,
)
from pay_ready.agent.sentiment_model import Scorer, open_scorer
from pay_ready.agent.summary import SummaryOptions, summarise
from pay_ready.agent.timeline import Entry, Paging, lines_of, page_of
from pay_ready.agent.topics import KnownTopic, Passage, Topic, TopicOptions, topics_of
from pay_ready.db import embedders as db_embedders
from pay_ready.db import entities as db_entities
from pay_ready.db import memories as db_memories
from pay_ready.db import talks as db_talks
from pay_ready.db import tenants as db_tenants
from pay_ready.db import vectors as db_vectors
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
    from pay_ready.model.memory import Vectors

MOST_ROWS = 200
_COUNTED = 100_000  # interactions that are counted one by one at most
_KEPT_TOPICS = 200
_AUDITED = 20  # people and companies of one question


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
        actor: Who asks, for the audit.
    """

    def __init__(
        self,
        database: Database,
        tenant: TenantId,
        memory: Callable[[], MemoryManager],
        *,
        options: ToolOptions,
        coaching_rules: Callable[[], CoachingRules],
        actor: str,
    ) -> None:
        self._database, self.tenant, self._open_memory, self.options = database, tenant, memory, options
        self._coaching_rules, self._actor = coaching_rules, actor

    @property
    def _memory(self) -> MemoryManager:
        return self._open_memory()

    def summary(self, scope: Scope) -> SummaryAnswer:
        """What was said: overview, topics, decisions, promises, requests, sentiment, contact, next steps; every line cites."""
        with self._opened("summary", scope) as tx:
            talks, basis = self._read(tx, scope)
            sentences = _sentences(talks)
            vectors, unindexed = self._sentence_vectors(tx, talks, sentences)
            topics = self._topics(tx, scope, talks, known=())
        kept, rows = _with_vectors(sentences, vectors)
        reading = score_sentences(kept, rows if self._is_own(len(sentences)) else None, self._scorer(len(sentences)))
        options = SummaryOptions(overview=ExtractOptions(words=self.options.summary_words))
        summary = summarise(kept, rows, options=options, reading=reading, topics=topics)
        return SummaryAnswer(summary=summary, basis=replace(basis, unindexed=unindexed), scorer_id=reading.scorer_id)

    def timeline(self, scope: Scope, *, token: str | None = None, size: int | None = None) -> TimelineAnswer:
        """What happened with somebody, the latest first, by pages.

        Raises:
            UsageError: Nobody is named.
            CursorError: The token is of another question, or none of ours.
        """
        if not scope.entity_ids:
            raise UsageError("whose timeline?", "name a person or a company")
        paging = Paging(size=min(size or self.options.page_size, MOST_ROWS), key=self.options.page_key, scope=_digest(scope))
        before = None
        if token is not None:
            position = position_of(token, paging.key, paging.scope)
            before = (position.occurred_at, position.interaction_id)
        with self._opened("timeline", scope) as tx:
            rows = db_talks.entries(tx, self._absorbed(tx, scope), paging.size + 1, before)
            run_no = db_memories.epoch(tx).run_no
        entries = [
            Entry(
                interaction_id=row.interaction_id, occurred_at=row.occurred_at, source=row.source, interaction_type=row.interaction_type,
                subject=row.subject or "", text=row.said or "", participants=row.participants, sentiment=row.sentiment,
                thread_id=row.thread_id,
            )
            for row in rows
        ]  # fmt: skip
        page = page_of(lines_of(entries, ZoneInfo(self.options.time_zone)), paging)
        return TimelineAnswer(page=page, basis=Basis(interactions=len(page.lines), total=len(entries), run_no=run_no))

    def sentiment(self, scope: Scope, *, period: Period = "week") -> SentimentAnswer:
        """How what was said sounds, by period and side, with examples and the trend of the other side."""
        with self._opened("sentiment", scope) as tx:
            talks, basis = self._read(tx, scope)
        reading = self._sentiment(talks)
        grouping = GroupingOptions(period=period, time_zone=self.options.time_zone, week_start=self.options.week_start)
        theirs = [each for each in reading.scored if each.sentence.utterance.side != "internal"]
        return SentimentAnswer(
            periods=tuple(sentiment_by_period(reading.scored, grouping)),
            trend=trend_of(interaction_points(theirs, self.options.time_zone)), scorer_id=reading.scorer_id, reason=reading.reason,
            skipped=tuple(f"{each.sentences:,} sentences in {each.language or '?'}: {each.reason}" for each in reading.skipped),
            basis=basis,
        )  # fmt: skip

    def topics(self, scope: Scope, *, min_frequency: int | None = None) -> TopicsAnswer:
        """What was talked about, how often, and whether more than in the period before; a topic keeps its id from answer to answer."""
        with self._opened("topics", scope) as tx:
            wider = scope if scope.since is None else replace(scope, since=scope.since - ((scope.until or _now()) - scope.since))
            talks, basis = self._read(tx, wider)
            name = self._topics_name(tx, scope)
            topics = self._topics(tx, scope, talks, known=_known_topics(tx, name), min_frequency=min_frequency)
            if topics:
                _keep_topics(tx, name, topics)
        shown = tuple(
            ShownTopic(
                id=each.id, label=each.label, quote=each.quote, passages=each.passages, interactions=each.interactions, share=each.share,
                passages_before=each.passages_before, trend=each.trend, citations=each.citations,
            )
            for each in topics
        )  # fmt: skip
        return TopicsAnswer(topics=shown, basis=basis)

    def coaching(self, rep_ids: Sequence[UUID], name: str, since: datetime, until: datetime, scope: Scope | None = None) -> CoachingAnswer:
        """The coaching report of one of the tenant's own over a period, compared with the one before."""
        scope = scope or Scope()
        earlier = since - (until - since)
        asked = replace(scope, entity_ids=tuple(rep_ids), since=earlier, until=until)
        with self._opened("coaching", asked) as tx:
            ids = frozenset(db_memories.absorbed(tx, rep_ids))
            talks, basis = self._read(tx, asked)
        reading = self._sentiment(talks)
        scores = {(each.utterance.interaction_id, each.utterance.turn_no): each.score for each in turn_sentiment(reading.scored)}
        said = [
            Said(utterance=each, sentiment=scores.get((each.interaction_id, each.turn_no))) for talk in talks for each in talk.utterances
        ]
        conversations = conversations_of(
            said, threads={talk.interaction_id: talk.thread_id for talk in talks if talk.thread_id},
            subjects={talk.interaction_id: talk.subject for talk in talks if talk.subject},
        )  # fmt: skip
        request = Request(rep=Rep(ids=ids, name=name), since=since, until=until, zone=ZoneInfo(self.options.time_zone))
        return CoachingAnswer(report=coaching_report(request, conversations, self._coaching_rules()), basis=basis)

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
        with self._opened("count", scope) as tx:
            chosen = db_talks.chosen(tx, self._absorbed(tx, scope), _COUNTED)
            buckets = db_talks.counts(tx, chosen.interaction_ids, grouping, self.options.time_zone)
            run_no = db_memories.epoch(tx).run_no
        basis = Basis(interactions=len(chosen.interaction_ids), total=chosen.total, run_no=run_no)
        return CountAnswer(grouping=grouping, buckets=tuple(buckets), total=chosen.total, basis=basis)

    def who(self, scope: Scope, *, entity_type: EntityType = "person", side: Side | None = "external", most: int = 10) -> WhoAnswer:
        """Who took part in most of the interactions; without those that the question names."""
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

    @contextmanager
    def _opened(self, tool: str, scope: Scope) -> Iterator[TenantTransaction]:
        """A transaction of the tenant, at whose end it is in the audit who asked what about whom."""
        with self._database.tenant_transaction(self.tenant) as tx:
            yield tx
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

    def _is_own(self, sentences: int) -> bool:
        """Whether sentences get vectors of their own."""
        return sentences <= self.options.embedded_sentences and not self._memory.embedder.is_lexical

    def _scorer(self, sentences: int) -> Scorer:
        return open_scorer(self._memory.embedder.id if self._is_own(sentences) else None)

    def _sentiment(self, talks: Sequence[Talk]) -> SentimentReading:
        sentences = _sentences(talks)
        own = self._is_own(len(sentences)) and bool(sentences)
        vectors = self._memory.embedder.embed([each.text for each in sentences]) if own else None
        return score_sentences(sentences, vectors, self._scorer(len(sentences)) if sentences else open_scorer(None))

    def _sentence_vectors(
        self, tx: TenantTransaction, talks: Sequence[Talk], sentences: Sequence[Sentence]
    ) -> "tuple[list[Vectors | None], int]":
        """A vector of each sentence: its own where there are few, else that of the passage it lies in; and interactions without any."""
        if sentences and self._is_own(len(sentences)):
            return list(self._memory.embedder.embed([each.text for each in sentences])), 0
        passages = self._passages(tx, [talk.interaction_id for talk in talks])
        told = Counter(each.utterance.interaction_id for each in sentences)
        seen: Counter[UUID] = Counter()
        found: list[Vectors | None] = []
        for each in sentences:
            interaction = each.utterance.interaction_id
            rows = passages.get(interaction, [])
            place = seen[interaction] * len(rows) // told[interaction]
            seen[interaction] += 1
            found.append(rows[place][1] if rows else None)
        return found, sum(1 for talk in talks if talk.interaction_id not in passages and talk.utterances)

    def _passages(self, tx: TenantTransaction, interaction_ids: Sequence[UUID]) -> "dict[UUID, list[tuple[UUID, Vectors]]]":
        """Passages of interactions with their vectors, in order."""
        import numpy as np

        serving = db_embedders.serving(tx)
        if serving is None:
            return {}
        table = db_vectors.vector_table(tx, serving.embedder_tag, serving.dimensions)
        found: dict[UUID, list[tuple[UUID, Vectors]]] = {}
        for each in table.objects(tx, interaction_ids):
            unit = each.vector / np.linalg.norm(each.vector)
            found.setdefault(each.interaction_id, []).append((each.memory_id, unit.astype(np.float32)))
        return found

    def _topics_name(self, tx: TenantTransaction, scope: Scope) -> str:
        """Under which the topics of these people and companies are kept: vectors of two embedders are not compared."""
        serving = db_embedders.serving(tx)
        about = _digest(replace(scope, since=None, until=None)).hex()[:16]
        return f"topics:{serving.embedder_tag if serving else 'none'}:{about}"

    def _topics(
        self, tx: TenantTransaction, scope: Scope, talks: Sequence[Talk], *, known: Sequence[KnownTopic], min_frequency: int | None = None
    ) -> list[Topic]:
        import numpy as np

        rows = [row for rows in self._passages(tx, [talk.interaction_id for talk in talks]).values() for row in rows]
        texts = db_memories.passages_of(tx, [memory_id for memory_id, _ in rows])
        kept = [(texts[memory_id], vector) for memory_id, vector in rows if memory_id in texts]
        if not kept:
            return []
        people = tuple(dict.fromkeys(each.speaker for talk in talks for each in talk.utterances if each.speaker))
        options = TopicOptions(
            since=scope.since, until=scope.until, min_frequency=min_frequency or self.options.topic_min_frequency, people=people,
            companies=tuple(each.name for each in db_talks.names(tx) if each.entity_type == "company"),
        )  # fmt: skip
        passages = [
            Passage(
                text=passage.chunk_text,
                citation=Citation(
                    interaction_id=passage.interaction_id, occurred_at=passage.occurred_at, source=passage.source, start_s=passage.start_s
                ),
            )
            for passage, _ in kept
        ]  # fmt: skip
        return topics_of(passages, np.stack([vector for _, vector in kept]), options, known)


def _sentences(talks: Sequence[Talk]) -> list[Sentence]:
    said = (each for talk in talks for each in talk.utterances)
    return sentences_of(replace(each, text=own_words(each.text)) if each.interaction_type == "email" else each for each in said)


def _with_vectors(sentences: Sequence[Sentence], vectors: "Sequence[Vectors | None]") -> "tuple[list[Sentence], Vectors]":
    """The sentences that have a vector, and these as rows; all of them with rows of one direction where none has."""
    import numpy as np

    kept = [(sentence, vector) for sentence, vector in zip(sentences, vectors, strict=True) if vector is not None]
    if kept:
        return [sentence for sentence, _ in kept], np.stack([vector for _, vector in kept])
    return list(sentences), np.ones((len(sentences), 1), np.float32)


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


def _known_topics(tx: TenantTransaction, name: str) -> list[KnownTopic]:
    import numpy as np

    kept = db_entities.cached_metric(tx, name)
    return [
        KnownTopic(id=UUID(each["id"]), centroid=np.asarray(each["centroid"], np.float32)) for each in (kept or {}).get("topics", ())
    ]  # fmt: skip


def _keep_topics(tx: TenantTransaction, name: str, topics: Sequence[Topic]) -> None:
    told = [{"id": str(each.id), "centroid": [round(float(value), 5) for value in each.centroid]} for each in topics[:_KEPT_TOPICS]]
    db_entities.keep_metric(tx, name, {"schema_version": 1, "topics": told})


def _digest(scope: Scope) -> bytes:
    return hashlib.sha256(repr(scope).encode()).digest()


def _now() -> datetime:
    return datetime.now(UTC)
