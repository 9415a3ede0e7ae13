"""What the agent's tools give: each answer typed, with what it rests on."""

from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import UUID

from pay_ready.agent.extract import Line
from pay_ready.agent.periods import Trend
from pay_ready.agent.sentences import Citation
from pay_ready.agent.sentiment import PeriodSentiment
from pay_ready.agent.summary import Summary
from pay_ready.agent.timeline import Page
from pay_ready.db.sentiment import Spread
from pay_ready.db.talks import Bucket, CountSpread, EntityType, Grouping, Participation

if TYPE_CHECKING:  # heavy
    from pay_ready.agent.coaching.report import CoachingReport


@dataclass(frozen=True, slots=True, kw_only=True)
class Basis:
    """What an answer rests on."""

    interactions: int  # that were read
    total: int  # that there are in the scope
    unindexed: int = 0  # of the read ones, without a vector
    run_no: int = 0  # the published version


@dataclass(frozen=True, slots=True, kw_only=True)
class SummaryAnswer:
    """A summary."""

    summary: Summary
    basis: Basis
    scorer_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SentimentAnswer:
    """Sentiment by period and side."""

    periods: tuple[PeriodSentiment, ...]
    spread: tuple[Spread, ...]  # of the interactions' sentiment, of those that were analysed
    trend: Trend  # of the other side's interactions
    scorer_id: str
    reason: str  # why VADER alone scored; empty when the model did
    skipped: tuple[str, ...]  # languages that are not read, with the reason
    basis: Basis


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownTopic:
    """A topic as it is shown; its id is that of the same topic in earlier answers."""

    id: UUID
    label: str
    quote: Line
    passages: int
    interactions: int
    share: float  # of the period's passages
    passages_before: int
    trend: str | None
    citations: tuple[Citation, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicsAnswer:
    """Topics of a period."""

    topics: tuple[ShownTopic, ...]
    basis: Basis


@dataclass(frozen=True, slots=True, kw_only=True)
class TimelineAnswer:
    """A page of a timeline, the latest first; its basis counts the page, for nobody counts what lies before it."""

    page: Page
    basis: Basis


@dataclass(frozen=True, slots=True, kw_only=True)
class CountAnswer:
    """Interactions by period, source or type."""

    grouping: Grouping
    buckets: tuple[Bucket, ...]
    spread: CountSpread | None  # None where they are no periods
    total: int
    basis: Basis


@dataclass(frozen=True, slots=True, kw_only=True)
class WhoAnswer:
    """Who took part in most interactions."""

    entity_type: EntityType
    people: tuple[Participation, ...]
    basis: Basis


@dataclass(frozen=True, slots=True, kw_only=True)
class CoachingAnswer:
    """A coaching report."""

    report: "CoachingReport"
    basis: Basis
