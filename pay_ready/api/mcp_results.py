"""The results of the MCP tools: typed, each text plain and masked, and the same again as lines to read."""

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from pay_ready.agent.answers import CoachingAnswer, TimelineAnswer
from pay_ready.agent.coaching.rendering import headline, sections
from pay_ready.agent.coaching.report_json import as_json
from pay_ready.agent.llm.evidence import AnswerSection
from pay_ready.agent.personal import MASKED
from pay_ready.agent.safe_text import plain
from pay_ready.agent.sentences import Citation
from pay_ready.api.mcp_parts import EntityStory, EntityType, FoundEntity, GivenAnswer
from pay_ready.memory.search import SearchAnswer

LONGEST_PASSAGE = 2_000  # characters
# What makes an image, a link or an element of a text that a client may show as Markdown; tokens of the mask are none.
_MARKUP = re.compile(rf"!(?=\[)|\](?=[(\[:])|(?!{MASKED})<(?=[a-zA-Z/!?])")


class Result(BaseModel, ABC):
    """Of a tool."""

    model_config = ConfigDict(frozen=True)

    @abstractmethod
    def lines(self) -> list[str]:
        """To read."""


def readable(result: Result) -> str:
    """A result as text to read. Nothing in it is an image, a link's text or an element, should a client show it as Markdown."""
    return _MARKUP.sub(lambda found: f"{found[0]} ", "\n".join(result.lines()))


class Cited(BaseModel):
    """Where somebody can look it up."""

    interaction_id: UUID
    occurred_at: datetime
    source: str
    start_s: float | None = None

    def __str__(self) -> str:
        return f"[{self.occurred_at:%Y-%m-%d}, {self.source}, {self.interaction_id}]"


class Passage(BaseModel):
    """A passage that was found."""

    text: str
    interaction_type: str
    citation: Cited


class SearchResult(Result):
    """Passages, the best first."""

    passages: tuple[Passage, ...]
    notes: tuple[str, ...] = ()

    def lines(self) -> list[str]:
        """A line a passage."""
        found = [f"{each.interaction_type}: {each.text} {each.citation}" for each in self.passages]
        return [*(found or ["Nothing was found."]), *self.notes]


class TimelineEntry(BaseModel):
    """An interaction."""

    title: str
    interaction_type: str
    participants: tuple[str, ...]
    more_participants: int
    sentiment: float | None
    citation: Cited


class TimelineResult(Result):
    """A page, the latest first."""

    entries: tuple[TimelineEntry, ...]
    next_page: str | None

    def lines(self) -> list[str]:
        """A line an interaction."""
        found = [f"{each.interaction_type}: {each.title} ({', '.join(self._who(each))}) {each.citation}" for each in self.entries]
        return [*(found or ["Nothing was found."]), *([f"next_page: {self.next_page}"] if self.next_page else [])]

    @staticmethod
    def _who(entry: TimelineEntry) -> list[str]:
        return [*entry.participants, *([f"+{entry.more_participants:,}"] if entry.more_participants else [])]


class AnswerLine(BaseModel):
    """A line and what it rests on."""

    text: str
    citations: tuple[Cited, ...] = ()


class AnswerPart(BaseModel):
    """A section: lines, or a table."""

    title: str
    lines: tuple[AnswerLine, ...] = ()
    columns: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()


class AnswerResult(Result):
    """An answer, or a question back."""

    read_as: str
    state: str
    question_back: str
    sections: tuple[AnswerPart, ...]
    missing: str
    reasons: tuple[str, ...]
    mode: str

    def lines(self) -> list[str]:
        """Section by section; how the question was read comes first."""
        return [*self.read_as.split("\n"), *_told(self.sections), *filter(None, (self.missing, *self.reasons))]


class CoachingResult(Result):
    """A coaching report: figures with units and formulas, objections, findings with quotes."""

    headline: str
    report: dict[str, Any]
    tables: tuple[AnswerPart, ...]

    def lines(self) -> list[str]:
        """Table by table."""
        return [self.headline, *_told(self.tables)]


class EntityLine(BaseModel):
    """A person or company."""

    entity_id: UUID
    entity_type: EntityType
    name: str
    detail: str = ""

    def __str__(self) -> str:
        return f"{self.name} ({', '.join(filter(None, (self.entity_type, self.detail)))}) {self.entity_id}"


class FindResult(Result):
    """Whom a name may mean."""

    entities: tuple[EntityLine, ...]

    def lines(self) -> list[str]:
        """A line an entity."""
        return list(map(str, self.entities)) or ["Nobody and no company is called so."]


class StoryLine(BaseModel):
    """A record."""

    record_id: UUID
    source: str
    name: str


class ExplainResult(Result):
    """How an entity came to be."""

    entity_id: UUID
    entity_type: EntityType
    leads_to: UUID | None
    records: tuple[StoryLine, ...]
    evidence: tuple[str, ...]
    history: tuple[str, ...]

    def lines(self) -> list[str]:
        """Records, evidence, history."""
        head = f"{self.entity_type} {self.entity_id}" + (f", retired: leads to {self.leads_to}" if self.leads_to else "")
        return [head, *(f"record {each.record_id}, {each.source}: {each.name}" for each in self.records), *self.evidence, *self.history]


class Shown:
    """Makes results of what the tools gave: every text goes through `text`."""

    def __init__(self, mask: Callable[[str], str]) -> None:
        self._mask = mask

    def text(self, text: str) -> str:
        """One plain line, masked. Plain first: no invisible character may hide a value from the mask."""
        return self._mask(plain(text))

    def search(self, answer: SearchAnswer) -> SearchResult:
        """Passages."""
        passages = []
        for hit in answer.hits:
            found = hit.passage
            cited = Cited(
                interaction_id=found.interaction_id, occurred_at=found.occurred_at, source=self.text(found.source), start_s=found.start_s
            )
            text = self.text(found.chunk_text)[:LONGEST_PASSAGE]
            passages.append(Passage(text=text, interaction_type=found.interaction_type, citation=cited))
        return SearchResult(passages=tuple(passages), notes=tuple(map(self.text, answer.reasons)))

    def timeline(self, answer: TimelineAnswer) -> TimelineResult:
        """A page."""
        entries = tuple(
            TimelineEntry(
                title=self.text(each.title), interaction_type=each.interaction_type, participants=self._all(each.participants),
                more_participants=each.more_participants, sentiment=each.sentiment,
                citation=Cited(interaction_id=each.interaction_id, occurred_at=each.occurred_at, source=self.text(each.source)),
            )
            for each in answer.page.lines
        )  # fmt: skip
        return TimelineResult(entries=entries, next_page=answer.page.next_token)

    def answer(self, answer: GivenAnswer) -> AnswerResult:
        """Sections."""
        return AnswerResult(
            read_as="\n".join(self._all(answer.read_as.split("\n"))), state=answer.plan.state,
            question_back=self.text(answer.plan.question_back), sections=tuple(map(self._part, answer.sections)),
            missing=self.text(answer.missing), reasons=self._all(answer.reasons), mode=answer.mode,
        )  # fmt: skip

    def coaching(self, answer: CoachingAnswer) -> CoachingResult:
        """A report."""
        tables = tuple(
            AnswerPart(title=self.text(each.title), columns=tuple(each.columns), rows=tuple(map(self._all, each.rows)))
            for each in sections(answer.report)
        )
        report = {key: self._deep(value) for key, value in as_json(answer.report).items()}
        return CoachingResult(headline=self.text(headline(answer.report)), report=report, tables=tables)

    def entity(self, found: FoundEntity) -> EntityLine:
        """Somebody."""
        return EntityLine(
            entity_id=found.entity_id, entity_type=found.entity_type, name=self.text(found.name), detail=self.text(found.detail)
        )  # fmt: skip

    def story(self, story: EntityStory) -> ExplainResult:
        """How somebody came to be."""
        records = tuple(
            StoryLine(record_id=each.record_id, source=self.text(each.source), name=self.text(each.name)) for each in story.records
        )
        return ExplainResult(
            entity_id=story.entity_id, entity_type=story.entity_type, leads_to=story.leads_to, records=records,
            evidence=self._all(story.evidence), history=self._all(story.history),
        )  # fmt: skip

    def _part(self, section: AnswerSection) -> AnswerPart:
        lines = tuple(AnswerLine(text=self.text(each.text), citations=tuple(map(self._cited, each.citations))) for each in section.lines)
        rows = tuple(map(self._all, section.rows))
        return AnswerPart(title=self.text(section.title), lines=lines, columns=self._all(section.columns), rows=rows)

    def _cited(self, citation: Citation) -> Cited:
        return Cited(
            interaction_id=citation.interaction_id, occurred_at=citation.occurred_at, source=self.text(citation.source),
            start_s=citation.start_s,
        )  # fmt: skip

    def _all(self, texts: Iterable[str]) -> tuple[str, ...]:
        return tuple(map(self.text, texts))

    def _deep(self, value: object) -> object:
        """JSON with every text in it plain and masked; keys are ours."""
        match value:
            case str():
                return self.text(value)
            case dict():
                return {key: self._deep(each) for key, each in value.items()}
            case list() | tuple():
                return [self._deep(each) for each in value]
            case _:
                return value


def _told(parts: Sequence[AnswerPart]) -> list[str]:
    told = []
    for part in parts:
        told.append(f"{part.title}:")
        told += [" ".join((each.text, *map(str, each.citations))) for each in part.lines]
        told += [" | ".join(each) for each in (part.columns, *part.rows) if each]
    return told
