"""Topics: what was talked about, how often, and whether more than in the period before. Over stored vectors, without a model.

The passages of both periods are clustered together; a cluster with enough passages in the period asked for is a topic. A topic keeps its
id from run to run: its centroid is matched with those of the run before, and a new id follows from its medoid alone.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Literal, Protocol
from uuid import UUID, uuid5

from pay_ready.agent.clusters import cluster_rows, unit_means
from pay_ready.agent.extract import Line, check_rows
from pay_ready.agent.sentences import Citation, cut_words
from pay_ready.agent.topic_labels import NameFilter, label_terms

if TYPE_CHECKING:  # heavy
    import numpy as np
    from numpy.typing import NDArray

    from pay_ready.model.memory import Vectors

TopicTrend = Literal["new", "rising", "steady", "falling"]

TREND_FORMULA = (
    "z = (p - q) / sqrt(r * (1 - r) * (1 / n + 1 / m)): p of n passages now, q of m before, r of both; rising or falling where |z| > 1.96"
)
_SIGNIFICANT = 1.96


class Quotable(Protocol):
    """A text that can be cited: a Passage, or a Sentence."""

    @property
    def text(self) -> str: ...

    @property
    def citation(self) -> Citation: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Passage:
    """A stored passage."""

    text: str
    citation: Citation


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownTopic:
    """A topic of an earlier run."""

    id: UUID
    centroid: "NDArray[np.float32]" = field(repr=False, compare=False)  # unit length, of the same embedder


@dataclass(frozen=True, slots=True, kw_only=True)
class Topic:
    """What several passages of the period are about."""

    id: UUID
    terms: tuple[str, ...]  # the most telling first
    quote: Line  # the passage nearest to the middle, cut
    passages: int  # in the period
    interactions: int  # in the period
    share: float  # of the period's passages, in [0, 1]
    passages_before: int  # in the period before; 0 without one
    share_before: float
    trend: TopicTrend | None  # None: no period before to compare with
    is_kept: bool  # whether the id is that of an earlier run
    citations: tuple[Citation, ...]  # of its passages in the period, latest first, each interaction once
    centroid: "NDArray[np.float32]" = field(repr=False, compare=False)

    @property
    def label(self) -> str:
        """The terms, parted by commas; "(no words of its own)" where every word is a name or says nothing."""
        return ", ".join(self.terms) or "(no words of its own)"


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicOptions:
    """How topics are found. Times are half-open; without `since` every passage counts and there is no trend."""

    since: datetime | None = None
    until: datetime | None = None
    before_since: datetime | None = None  # None: as long before `since` as the period lasts
    min_frequency: int = 3  # passages in the period
    most: int = 500  # topics; who shows fewer still keeps all for the next run, or ids are lost
    distance: float = 1.6  # of Ward; on BANKING77 (3,075 questions) 1.5 to 2 keep the best agreement with its intents
    same_topic: float = 0.8  # cosine of centroids from which a topic is the same as an earlier one
    people: tuple[str, ...] = field(default=(), repr=False)  # names that labels leave out
    companies: tuple[str, ...] = field(default=(), repr=False)
    quote_words: int = 30
    most_citations: int = 5


def topics_of(
    passages: Sequence[Quotable], vectors: "Vectors", options: TopicOptions | None = None, known: Sequence[KnownTopic] = ()
) -> list[Topic]:
    """Topics of the period, the most frequent first. The same passages in any order and the same known topics give the same topics.

    Args:
        passages: Of the period and the one before it; others are left out.
        vectors: Their unit rows, shape (len(passages), dimensions), float32. 10,000 take about 2 CPU seconds and 50 MB beside them.
        known: Topics of the run before.

    Raises:
        EmbeddingError: There is not one vector for each passage.
    """
    import numpy as np

    options = options or TopicOptions()
    check_rows(vectors, len(passages))
    begins = _before_since(options)
    places = sorted(
        (place for place, each in enumerate(passages) if _is_within(each, begins, options.until)), key=lambda place: _order(passages[place])
    )
    if not places:
        return []
    kept, rows = [passages[place] for place in places], vectors[places]
    labels = cluster_rows(rows, distance=options.distance)
    centroids = unit_means(rows, labels, int(labels.max()) + 1)
    now = np.array([options.since is None or each.citation.occurred_at >= options.since for each in kept])
    frequent = [number for number in range(len(centroids)) if int((now & (labels == number)).sum()) >= options.min_frequency]
    ids = match_topics(centroids[frequent], known, options.same_topic)
    groups = [[kept[place].text for place in np.flatnonzero(labels == number)] for number in frequent]
    terms = label_terms(groups, NameFilter(options.people, options.companies))
    topics = [
        _topic(kept, rows, np.flatnonzero(labels == number), now, centroids[number], tuple(words), known_id, options)
        for number, words, known_id in zip(frequent, terms, ids, strict=True)
    ]
    return sorted(topics, key=lambda topic: (-topic.passages, topic.id))[: options.most]


def match_topics(centroids: "Vectors", known: Sequence[KnownTopic], least: float) -> list[UUID | None]:
    """For each centroid the id of the earlier topic that it continues: the assignment with the largest sum of cosines among those of
    `least` or more; no id is given twice."""
    import numpy as np
    from scipy.optimize import linear_sum_assignment

    ids: list[UUID | None] = [None] * len(centroids)
    if not known or not len(centroids):
        return ids
    cosines = centroids @ np.array([each.centroid for each in known], np.float32).T
    gains = np.where(cosines >= least, cosines, 0.0)
    for row, column in zip(*linear_sum_assignment(-gains), strict=True):
        if gains[row, column] > 0:
            ids[row] = known[column].id
    return ids


def topic_trend(now: int, all_now: int, before: int, all_before: int) -> TopicTrend | None:
    """Whether a topic's share grew (TREND_FORMULA); None when nothing at all was said before."""
    if not all_before or not all_now:
        return None
    if not before:
        return "new"
    both = (now + before) / (all_now + all_before)
    error = math.sqrt(both * (1 - both) * (1 / all_now + 1 / all_before))
    z = (now / all_now - before / all_before) / error if error else 0.0
    return "rising" if z > _SIGNIFICANT else "falling" if z < -_SIGNIFICANT else "steady"


def _topic(
    passages: Sequence[Quotable],
    rows: "Vectors",
    members: "NDArray[np.int64]",
    now: "NDArray[np.bool_]",
    centroid: "NDArray[np.float32]",
    terms: tuple[str, ...],
    known_id: UUID | None,
    options: TopicOptions,
) -> Topic:
    current = members[now[members]]
    medoid = passages[int(current[(rows[current] @ centroid).argmax()])]
    cited = {passages[place].citation.interaction_id: passages[place].citation for place in current}  # the latest of each
    all_now = int(now.sum())
    all_before = len(now) - all_now
    before = len(members) - len(current)
    return Topic(
        id=known_id or uuid5(medoid.citation.interaction_id, f"topic:{medoid.text}"),
        terms=terms,
        quote=Line(text=f"“{cut_words(medoid.text, options.quote_words)}”", citations=(medoid.citation,)),
        passages=len(current),
        interactions=len(cited),
        share=len(current) / all_now,
        passages_before=before,
        share_before=before / all_before if all_before else 0.0,
        trend=topic_trend(len(current), all_now, before, all_before),
        is_kept=known_id is not None,
        citations=tuple(sorted(cited.values(), key=lambda each: each.occurred_at, reverse=True)[: options.most_citations]),
        centroid=centroid,
    )


def _before_since(options: TopicOptions) -> datetime | None:
    if options.since is None or options.before_since is not None:
        return options.before_since
    return options.since - (options.until - options.since) if options.until is not None else options.since


def _is_within(passage: Quotable, since: datetime | None, until: datetime | None) -> bool:
    at = passage.citation.occurred_at
    return (since is None or at >= since) and (until is None or at < until)


def _order(passage: Quotable) -> tuple[datetime, UUID, float, str]:
    """An order of their own, so that the one in which they were read changes nothing."""
    cited = passage.citation
    return cited.occurred_at, cited.interaction_id, cited.start_s or 0.0, passage.text
