"""The tools of the MCP server: what each is called, takes, gives and does."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import TypeVar
from uuid import UUID

from pay_ready.api.mcp_arguments import (
    Arguments,
    CoachingArguments,
    ExplainArguments,
    FindArguments,
    QuestionArguments,
    SearchArguments,
    TimelineArguments,
)
from pay_ready.api.mcp_parts import EntityType, FoundEntity, McpOptions, McpParts
from pay_ready.api.mcp_results import AnswerResult, CoachingResult, ExplainResult, FindResult, Result, SearchResult, Shown, TimelineResult
from pay_ready.errors import NotFoundError, UsageError
from pay_ready.model.talk import Scope

_TIED = 5  # candidates that a refusal lists

A = TypeVar("A", bound=Arguments)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool:
    """One tool."""

    name: str
    title: str
    description: str  # for a model
    arguments: type[Arguments]
    result: type[Result]
    call: Callable[[Arguments], Result]


class TenantTools:
    """The tools of the tenant that the parts are of."""

    def __init__(self, parts: McpParts, options: McpOptions) -> None:
        self._parts, self._options = parts, options
        self._shown = Shown(parts.mask)

    def search(self, given: SearchArguments) -> Result:
        """Passages."""
        ids = () if given.customer is None else (self._meant(given.customer, None).entity_id,)
        return self._shown.search(self._parts.interactions.search(given.query, self._scope(given, ids), most=given.limit))

    def timeline(self, given: TimelineArguments) -> Result:
        """A page."""
        scope = self._scope(given, (self._meant(given.customer, None).entity_id,))
        return self._shown.timeline(self._parts.interactions.timeline(scope, token=given.page, size=given.limit, masked=self._shown.text))

    def question(self, given: QuestionArguments) -> Result:
        """An answer, or a question back."""
        plan = self._parts.agent.plan(given.question, today=given.today)
        return self._shown.answer(self._parts.agent.answer(plan))

    def coaching(self, given: CoachingArguments) -> Result:
        """A report."""
        rep = self._meant(given.rep, "person")
        until = self._moment(given.until) or self._parts.clock()
        since = self._moment(given.since) or until - timedelta(days=self._options.coached_days)
        if since >= until:
            raise UsageError("the days lie in the future", "give since and until")
        return self._shown.coaching(self._parts.interactions.coaching((rep.entity_id,), rep.name, since, until))

    def find(self, given: FindArguments) -> Result:
        """Whom a name may mean."""
        found = self._parts.entities.find(given.name, given.entity_type, given.limit)
        return FindResult(entities=tuple(map(self._shown.entity, found[: given.limit])))

    def explain(self, given: ExplainArguments) -> Result:
        """How somebody came to be."""
        return self._shown.story(self._parts.entities.explain(given.entity_id))

    def _meant(self, name: str, entity_type: EntityType | None) -> FoundEntity:
        """The one entity that a text means.

        Raises:
            NotFoundError: Nobody.
            UsageError: Several; lists them.
        """
        found = self._parts.entities.find(name, entity_type, _TIED)
        if not found:
            raise NotFoundError("nobody and no company is called so", "call find_entity with a part of the name")
        if len(found) > 1:
            listed = "; ".join(str(self._shown.entity(each)) for each in found[:_TIED])
            raise UsageError("the name fits several", f"call again with the id of one: {listed}")
        return found[0]

    def _scope(self, given: SearchArguments | TimelineArguments, ids: tuple[UUID, ...]) -> Scope:
        return Scope(
            entity_ids=ids, since=self._moment(given.since), until=self._moment(given.until), sources=given.sources,
            interaction_types=given.interaction_types,
        )  # fmt: skip

    def _moment(self, day: date | None) -> datetime | None:
        return None if day is None else self._parts.calendar.moment(day)


def tools_of(parts: McpParts, options: McpOptions) -> Mapping[str, Tool]:
    """The tools by name."""
    does = TenantTools(parts, options)
    made: list[Tool] = [
        _tool(
            "search_customer_interactions", "Search interactions",
            "Finds passages of calls, mails, messages and notes by what was said, the best first, each with the interaction's id, date and "
            "source to cite. Use it for 'who mentioned X' and for quotes. For everything with one customer in order use "
            "get_interaction_timeline.",
            SearchArguments, SearchResult, does.search,
        ),
        _tool(
            "get_interaction_timeline", "Timeline of a customer",
            "Lists what happened with one person or company, the latest first: a title, participants, sentiment in [-1, 1], id, date and "
            "source of each interaction. Give next_page of an answer as page to go on.",
            TimelineArguments, TimelineResult, does.timeline,
        ),
        _tool(
            "natural_language_query", "Ask a question",
            "Answers one question in plain English about customers: summary, sentiment, topics, counts, who talks most, promises, "
            "comparisons. Says how it read the question. With state 'asks' it needs what question_back says: ask again with that in the "
            "question.",
            QuestionArguments, AnswerResult, does.question,
        ),
        _tool(
            "generate_coaching_report", "Coaching report",
            "Reports on the calls of one of the tenant's own people: talk ratio, monologues, questions, objections, wins and focus areas, "
            "with formulas, units and quotes. The last 30 days when no days are given.",
            CoachingArguments, CoachingResult, does.coaching,
        ),
        _tool(
            "find_entity", "Find a person or company",
            "Finds people and companies by name, e-mail address or domain and gives their ids, the likeliest first. Call it first when a "
            "name may fit several.",
            FindArguments, FindResult, does.find,
        ),
        _tool(
            "explain_entity", "Explain a person or company",
            "Tells from which records a person or company was put together, by what evidence (in bits), and what happened to it since.",
            ExplainArguments, ExplainResult, does.explain,
        ),
    ]  # fmt: skip
    return {each.name: each for each in made}


def _tool(name: str, title: str, description: str, arguments: type[A], result: type[Result], call: Callable[[A], Result]) -> Tool:
    def checked(given: Arguments) -> Result:
        if not isinstance(given, arguments):
            raise TypeError(f"{name} takes {arguments.__name__}")
        return call(given)

    return Tool(name=name, title=title, description=description, arguments=arguments, result=result, call=checked)
