"""A tenant behind an MCP server, invented: what its agent, tools and names give, and what they were asked."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID

from pay_ready.agent.answers import Basis, CoachingAnswer, TimelineAnswer
from pay_ready.agent.calendars import Calendar
from pay_ready.agent.coaching.conversations import Rep, conversations_of
from pay_ready.agent.coaching.report import CoachingRules, Request, coaching_report
from pay_ready.agent.masking import KnownName, Masker
from pay_ready.agent.plan import QueryPlan
from pay_ready.agent.timeline import Page, lines_of
from pay_ready.agent.titles import Masked, as_it_is
from pay_ready.api.mcp_parts import EntityStory, FoundEntity, McpParts, StoryRecord
from pay_ready.db.memories import ShownPassage
from pay_ready.errors import NotFoundError
from pay_ready.memory.search import Hit, SearchAnswer
from pay_ready.model.talk import Entry, Scope
from tests.agent_support import read
from tests.coaching_support import BOB, DAY, turn
from tests.llm_support import Part, line

AT = datetime(2026, 11, 2, 9, tzinfo=UTC)
NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
ACME_ID, JANE_ID, OTHER_JANE_ID = UUID(int=101), UUID(int=102), UUID(int=103)
HELD = [
    FoundEntity(entity_id=ACME_ID, entity_type="company", name="Acme Inc.", detail="acme.com"),
    FoundEntity(entity_id=JANE_ID, entity_type="person", name="Jane Doe", detail="jane@acme.com"),
    FoundEntity(entity_id=OTHER_JANE_ID, entity_type="person", name="Jane Doe", detail="jane@globex.io"),
    FoundEntity(entity_id=BOB, entity_type="person", name="Bob Miller"),
]
MASKER = Masker(
    b"key of a tenant", "all", [KnownName(text=each.name, kind=each.entity_type, entity_id=each.entity_id) for each in HELD]
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Given:
    """An answer."""

    plan: QueryPlan
    read_as: str = "I read this as: summary · Acme (company)"
    sections: tuple[Part, ...] = ()
    missing: str = ""
    reasons: tuple[str, ...] = ()
    mode: str = "offline"


@dataclass
class Tenant:
    """Its interactions all say the same text."""

    text: str = "The pilot starts in Oslo. Write to jane@acme.com"
    asked: list[Any] = field(default_factory=list)
    raises: Exception | None = None
    waits: threading.Event | None = None
    began: threading.Event = field(default_factory=threading.Event)

    def parts(self, mask: Callable[[str], str] = MASKER) -> McpParts:
        """For a server."""
        return McpParts(agent=self, interactions=self, entities=self, mask=mask, calendar=Calendar(), clock=lambda: NOW)

    def plan(self, question: str, *, today: date | None = None, shown: UUID | None = None) -> QueryPlan:
        """By rules."""
        self.asked.append((question, today))
        return read(question, shown=shown)

    def answer(self, plan: QueryPlan) -> Given:
        """A line and a table."""
        if plan.state != "ready":
            return Given(plan=plan, read_as="I read this as: nothing")
        table = Part(title="Who", columns=("name", "talks"), rows=((self.text, "2"),))
        return Given(plan=plan, sections=(Part(lines=(line(self.text),)), table), reasons=("words alone",))

    def search(self, words: str, scope: Scope | None = None, *, most: int = 10) -> SearchAnswer:
        """One passage."""
        self.asked.append((words, scope, most))
        self.began.set()
        if self.waits is not None:
            self.waits.wait(60)
        if self.raises is not None:
            raise self.raises
        passage = ShownPassage(
            memory_id=UUID(int=7), interaction_id=UUID(int=8), chunk_no=0, chunk_text=self.text, language="en", start_s=3.0, end_s=4.0,
            occurred_at=AT, interaction_type="call", source="gong", source_kind="gong", content_hash=b"", touched_at=AT, subject=None,
            url=None, entity_ids=(),
        )  # fmt: skip
        hit = Hit(passage=passage, score=1.0, text_rank=1.0, similarity=None, tiers=("warm",))
        return SearchAnswer(hits=(hit,), tiers=("warm",), degraded=False, reasons=(), embedder_id=None, run_no=1, waiting=0)

    def timeline(
        self, scope: Scope, *, token: str | None = None, size: int | None = None, masked: Masked = as_it_is
    ) -> TimelineAnswer:  # fmt: skip
        """One mail."""
        self.asked.append((scope, token, size))
        entry = Entry(
            interaction_id=UUID(int=8), occurred_at=AT, source="hubspot", interaction_type="email", subject=self.text,
            participants=("Jane Doe", self.text),
        )  # fmt: skip
        page = Page(lines=tuple(lines_of([entry], UTC, masked=masked)), next_token="a-token")
        return TimelineAnswer(page=page, basis=Basis(interactions=1, total=1))

    def coaching(self, rep_ids: Sequence[UUID], name: str, since: datetime, until: datetime, scope: Scope | None = None) -> CoachingAnswer:
        """Of one call."""
        assert scope is None
        self.asked.append((tuple(rep_ids), name, since, until))
        said = [turn("Bob", 0, 150, self.text), turn("Ann", 151, 160, self.text, turn_no=1, sentiment=-0.8)]
        request = Request(rep=Rep(ids=frozenset(rep_ids), name=name), since=DAY, until=until)
        return CoachingAnswer(
            report=coaching_report(request, conversations_of(said), CoachingRules()), basis=Basis(interactions=1, total=1)
        )

    def find(self, name: str, entity_type: str | None, most: int) -> Sequence[FoundEntity]:
        """By a part of the name, an address or an id."""
        self.asked.append((name, entity_type, most))
        found = [each for each in HELD if name.lower() in each.name.lower() or name in (each.detail, str(each.entity_id))]
        return [each for each in found if entity_type in (None, each.entity_type)][:most]

    def explain(self, entity_id: UUID) -> EntityStory:
        """Two records."""
        if entity_id != JANE_ID:
            raise NotFoundError("no such entity", "call find_entity", entity=entity_id)
        records = tuple(StoryRecord(record_id=UUID(int=n), source="hubspot", name="Jane Doe") for n in (1, 2))
        return EntityStory(
            entity_id=JANE_ID, entity_type="person", records=records, evidence=("same address jane@acme.com: 9.1 bits",),
            history=(self.text,),
        )  # fmt: skip
