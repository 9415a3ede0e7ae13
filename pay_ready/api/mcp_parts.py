"""What an MCP server needs of the rest: one tenant's agent, tools and names, given when it is opened. No argument names a tenant."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Literal, Protocol
from uuid import UUID

from pay_ready.agent.answers import CoachingAnswer, TimelineAnswer
from pay_ready.agent.calendars import Calendar
from pay_ready.agent.llm.evidence import AnswerSection
from pay_ready.agent.plan import QueryPlan
from pay_ready.agent.titles import Masked, as_it_is
from pay_ready.memory.search import SearchAnswer
from pay_ready.model.talk import Scope

EntityType = Literal["person", "company"]


class GivenAnswer(Protocol):
    """An answer as the agent gives it."""

    @property
    def plan(self) -> QueryPlan:
        """As the question was read."""
        ...

    @property
    def read_as(self) -> str:
        """The same for people."""
        ...

    @property
    def sections(self) -> Sequence[AnswerSection]:
        """Lines that cite, and tables."""
        ...

    @property
    def missing(self) -> str:
        """What is not there."""
        ...

    @property
    def reasons(self) -> Sequence[str]:
        """Why it may not be whole."""
        ...

    @property
    def mode(self) -> str:
        """offline or model."""
        ...


class AnswersQuestions(Protocol):
    """Reads and answers a tenant's questions: `agent.answering.Agent`."""

    def plan(self, question: str, *, today: date | None = None, shown: UUID | None = None) -> QueryPlan:
        """How a question is read."""
        ...

    def answer(self, plan: QueryPlan) -> GivenAnswer:
        """What the tools say to it."""
        ...


class ReadsInteractions(Protocol):
    """A tenant's interactions: `agent.toolbox.Toolbox`."""

    def search(self, words: str, scope: Scope | None = None, *, most: int = 10) -> SearchAnswer:
        """The passages that answer best."""
        ...

    def timeline(
        self, scope: Scope, *, token: str | None = None, size: int | None = None, masked: Masked = as_it_is
    ) -> TimelineAnswer:  # fmt: skip
        """A page of what happened, the latest first; texts are masked before they are cut."""
        ...

    def coaching(self, rep_ids: Sequence[UUID], name: str, since: datetime, until: datetime, scope: Scope | None = None) -> CoachingAnswer:
        """The report of one of the tenant's own."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundEntity:
    """A person or company that a text may mean."""

    entity_id: UUID
    entity_type: EntityType
    name: str
    detail: str = ""  # what tells it from others of its name: title, company, domain


@dataclass(frozen=True, slots=True, kw_only=True)
class StoryRecord:
    """A record that an entity is made of."""

    record_id: UUID
    source: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EntityStory:
    """How an entity came to be."""

    entity_id: UUID
    entity_type: EntityType
    leads_to: UUID | None = None  # of a retired id
    records: tuple[StoryRecord, ...] = ()
    evidence: tuple[str, ...] = ()  # what holds it together, a line each, with bits
    history: tuple[str, ...] = ()  # what happened to it, a line each, with run and date


class LooksUpEntities(Protocol):
    """A tenant's people and companies."""

    def find(self, name: str, entity_type: EntityType | None, most: int) -> Sequence[FoundEntity]:
        """Whom a name, address, domain or id may mean, the likeliest first; one alone where it is clear."""
        ...

    def explain(self, entity_id: UUID) -> EntityStory:
        """How an entity came to be.

        Raises:
            NotFoundError: There is none, or it is another tenant's.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class McpParts:
    """One tenant's, for as long as the server runs. Called from several threads at once."""

    agent: AnswersQuestions
    interactions: ReadsInteractions
    entities: LooksUpEntities
    mask: Callable[[str], str]  # the tenant's Masker
    calendar: Calendar = field(default_factory=Calendar)
    clock: Callable[[], datetime] = field(default=lambda: datetime.now(UTC))


@dataclass(frozen=True, slots=True, kw_only=True)
class McpOptions:
    """Bounds of a server."""

    timeout_s: float = 60.0  # of one call; the thread behind it ends with its statement's timeout
    most_at_once: int = 4  # calls that are worked on
    coached_days: int = 30  # of a report for which no days are given
