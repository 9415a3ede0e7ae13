"""A question answered: read as a plan, asked of the tools, told in sections whose every line cites what it rests on."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Literal, TypeVar
from uuid import UUID

from pay_ready.agent.answers import (
    Basis,
    CoachingAnswer,
    CountAnswer,
    SentimentAnswer,
    SummaryAnswer,
    TimelineAnswer,
    TopicsAnswer,
    WhoAnswer,
)
from pay_ready.agent.calendars import Calendar, Days
from pay_ready.agent.dates import parse_range
from pay_ready.agent.echo import echo
from pay_ready.agent.masked import masked, masked_plan
from pay_ready.agent.masking import Masker
from pay_ready.agent.name_links import link_names
from pay_ready.agent.names import Candidate, NameIndex
from pay_ready.agent.periods import Period
from pay_ready.agent.plan import PlanEntity, QueryPlan, TimeRange
from pay_ready.agent.reading import Classify, ReadingOptions, question_read
from pay_ready.agent.sentences import Citation
from pay_ready.agent.telling import (
    Section,
    coaching_tables,
    compared_sections,
    count_sections,
    hit_sections,
    sentiment_sections,
    summary_sections,
    timeline_sections,
    topic_sections,
    who_sections,
)
from pay_ready.agent.titles import Masked
from pay_ready.agent.toolbox import Toolbox
from pay_ready.db.talks import Grouping
from pay_ready.errors import UsageError
from pay_ready.memory.search import SearchAnswer
from pay_ready.model.talk import Scope

if TYPE_CHECKING:  # of the extra llm
    from pay_ready.agent.llm.assistant import Assistant
    from pay_ready.agent.llm.options import Spent

_COACHED_DAYS = 30
_ISO_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
_SHOWN_LINES = 30  # of a timeline within an answer
_EARLIER = "the latest {:,} interactions are shown; for those before them: pay-ready timeline NAME -t TENANT"
_SHOWN = 10  # of what a tool gives
Mode = Literal["offline", "model"]
Told = (
    SummaryAnswer | TimelineAnswer | SentimentAnswer | TopicsAnswer | CoachingAnswer | CountAnswer | WhoAnswer | SearchAnswer
    | list[tuple[str, SummaryAnswer]]
)  # fmt: skip
T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a question was read as, and what was found."""

    plan: QueryPlan
    read_as: str
    sections: tuple[Section, ...] = ()
    result: object = None  # what the tool gave, typed and masked like all the rest; None while there is a question back
    missing: str = ""  # what is not there, where nothing or little was found
    reasons: tuple[str, ...] = ()  # why the answer may not be whole: a tier away, words alone
    mode: Mode = "offline"

    @property
    def citations(self) -> tuple[Citation, ...]:
        """What the lines rest on, each once."""
        return tuple(dict.fromkeys(each for section in self.sections for line in section.lines for each in line.citations))


@dataclass(frozen=True, slots=True, kw_only=True)
class Understood:
    """How a question was read; nothing of it is masked, and it is not for showing."""

    plan: QueryPlan
    reason: str = ""  # why rules alone read it, where a language model should have
    spent: "Spent | None" = None  # by a language model, for this question


class Agent:
    """Questions of one tenant.

    Args:
        toolbox: The tenant's tools.
        names: The tenant's people and companies; asked for once.
        reading: Calendar and sources.
        classify: Reads what no rule reads; None to do without.
        masker: What personal values become in answers; asked for with each, for names may have come.
        masker_out: What they become in what a language model is shown.
        assistant: A language model that plans and words; None to do without.
        clock: Now, aware.
    """

    def __init__(
        self,
        toolbox: Toolbox,
        *,
        names: Callable[[], NameIndex],
        reading: ReadingOptions,
        classify: Classify | None = None,
        masker: Callable[[], Masker] | None = None,
        masker_out: Callable[[], Masker] | None = None,
        assistant: "Assistant | None" = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.toolbox = toolbox
        self._open_names, self._reading, self._classify, self._open_masker, self._clock = names, reading, classify, masker, clock
        self._names: NameIndex | None = None
        self._assistant, self._open_masker_out = assistant, masker_out

    @property
    def calendar(self) -> Calendar:
        """The tenant's."""
        return self._reading.calendar

    @property
    def names(self) -> NameIndex:
        """The tenant's people and companies."""
        if self._names is None:
            self._names = self._open_names()
        return self._names

    def plan(
        self, question: str, *, today: date | None = None, shown: UUID | None = None, before: QueryPlan | None = None
    ) -> QueryPlan:  # fmt: skip
        """How a question is read; needs the tenant's names and nothing else of it.

        Args:
            question: As asked.
            today: The day that "last month" counts from; None for the tenant's own.
            shown: The interaction that "this call" means.
            before: How the question before it was read, which it may take something over from; None where there was none.
        """
        day = today or self._reading.calendar.today(self._clock())
        read = question_read(question, self.names, day, self._reading, self._classify, shown)
        if before is None:
            return read.plan
        from pay_ready.agent.follow_up import followed  # only a conversation needs it

        return followed(before, read, self.names)

    def ask(self, question: str, *, today: date | None = None, shown: UUID | None = None, before: QueryPlan | None = None) -> Answer:
        """A question answered: with a language model where one is configured, and as without one where that fails, which is said.

        Raises:
            UsageError: As `answer`.
        """
        return self.told(question, self.understood(question, today=today, shown=shown, before=before))

    def understood(
        self, question: str, *, today: date | None = None, shown: UUID | None = None, before: QueryPlan | None = None
    ) -> Understood:  # fmt: skip
        """The plan of a question, a language model's where one is configured; a model knows nothing of the question before."""
        plan = self.plan(question, today=today, shown=shown, before=before)
        if self._assistant is None:
            return Understood(plan=plan)
        from pay_ready.agent.llm.options import Spent

        spent, day = Spent(), today or self.calendar.today(self._clock())
        if plan.taken_over:
            return Understood(plan=plan, spent=spent)
        assisted = self._assistant.plan(question, plan, today=day, names=self.names, sources=self._reading.sources, spent=spent)
        return Understood(plan=assisted.plan, reason=assisted.reason, spent=spent)

    def told(self, question: str, understood: Understood) -> Answer:
        """What the tools say to a question that was understood, in a language model's words where one is configured.

        Raises:
            UsageError: As `answer`.
        """
        answer = self.answer(understood.plan)
        reasons = [*answer.reasons, *([understood.reason] if understood.reason else [])]
        if self._assistant is None or (answer.result is None and not answer.sections):
            return replace(answer, reasons=tuple(reasons))
        # What leaves for the model is masked whatever the tenant's own readers may see.
        worded = self._assistant.word(question, answer.sections, self._mask_out(), spent=understood.spent)
        reasons += [worded.reason] if worded.reason else []
        if not worded.lines:
            return replace(answer, reasons=tuple(reasons))
        said = Section(title="Answer", lines=worded.lines)
        return replace(answer, sections=(said, *answer.sections), mode="model", reasons=tuple(reasons))

    def _mask_out(self) -> Callable[[str], str]:
        return self._open_masker_out() if self._open_masker_out is not None else lambda text: text

    def entities(self, name: str) -> tuple[Candidate, ...]:
        """Whom a name means: nobody, one, or all that tie."""
        links = link_names(name, self.names).links
        best = max(links, key=lambda link: (link.end - link.begin, link.score), default=None)
        return best.candidates if best else ()

    def period(self, since: str | None, until: str | None) -> tuple[datetime | None, datetime | None]:
        """Two options as moments: days as 2026-01-31, or words as "March" or "last quarter"; alone these give both ends.

        Raises:
            UsageError: One is neither, or the end is not after the beginning.
        """
        calendar = self._reading.calendar
        begin, end = self._days("--since", since), self._days("--until", until)
        first = begin.start if begin else None
        last = end.start if end else begin.end if begin and since and not _ISO_DAY.fullmatch(since.strip()) else None
        if first and last and first >= last:
            raise UsageError("the end is not after the beginning", "--until is the first day that does not belong", since=first, until=last)
        return (calendar.moment(first) if first else None, calendar.moment(last) if last else None)

    def coached_period(self, since: datetime | None, until: datetime | None) -> tuple[datetime, datetime]:
        """The period of a coaching report: the last 30 days where nothing is said."""
        end = until or self._clock()
        return since or end - timedelta(days=_COACHED_DAYS), end

    @property
    def mask(self) -> Masked:
        """What personal values become by the tenant's policy; not to be asked for inside a transaction: it may read names."""
        return self._masker()

    def shown(self, result: T) -> T:
        """What a tool gave, with personal values masked by the tenant's policy: to be rendered from here on."""
        return masked(result, self._masker())

    def shown_plan(self, plan: QueryPlan) -> QueryPlan:
        """How a question was read, the same way."""
        return masked_plan(plan, self._masker())

    def shown_text(self, text: str) -> str:
        """A text, the same way."""
        return self._masker()(text)

    def partly(self, result: object) -> list[str]:
        """Why a tool's answer is not the whole."""
        if isinstance(result, TimelineAnswer):
            return [_EARLIER.format(len(result.page.lines))] if result.page.next_token else []
        basis = getattr(result, "basis", None)
        return _partly(basis) if isinstance(basis, Basis) else []

    def _days(self, option: str, text: str | None) -> Days | None:
        if text is None:
            return None
        if _ISO_DAY.fullmatch(text.strip()):
            try:
                return Days(date.fromisoformat(text.strip()), None)
            except ValueError:
                raise UsageError("no such day", "write it like 2026-01-31", option=option, given=text) from None
        found = parse_range(text, self._reading.calendar.today(self._clock()), self._reading.calendar)
        if found is None or found.start is None:
            raise UsageError("not a time", 'a day as 2026-01-31, or words as "last quarter" or "March"', option=option, given=text)
        return Days(found.start, found.end)

    def answer(self, plan: QueryPlan) -> Answer:
        """What the tools say to a plan; with a question back, that alone.

        Raises:
            UsageError: The plan lacks what its tool needs.
        """
        shown = self.shown_plan(plan)
        if plan.state != "ready":
            return Answer(plan=shown, read_as=echo(shown))
        result = self.shown(self._asked(plan, self._scope(plan)))
        sections = sections_of(shown, result)
        basis = _basis(result)
        reasons = result.reasons if isinstance(result, SearchAnswer) else self.partly(result) or _partly(basis)
        return Answer(
            plan=shown, read_as=echo(shown), sections=tuple(sections), reasons=tuple(reasons),
            result=_as_data(result),
            missing="" if any(each.lines or each.rows for each in sections) else _missing(shown, basis),
        )  # fmt: skip

    def _asked(self, plan: QueryPlan, scope: Scope) -> Told:
        tools, most = self.toolbox, plan.limit or _SHOWN
        match plan.intent:
            case "summary" | "promises":
                return tools.summary(scope)
            case "timeline":
                return tools.timeline(scope, size=plan.limit or _SHOWN_LINES, masked=self.mask)
            case "sentiment":
                return tools.sentiment(scope, period=_period(plan))
            case "topics":
                return tools.topics(scope)
            case "coaching":
                return self._coached(plan, scope)
            case "count":
                return tools.count(scope, grouping=_grouping(plan))
            case "who":
                return tools.who(scope, entity_type="company" if plan.grouping == "company" else "person", most=most)
            case "compare":
                return [(name, tools.summary(part)) for name, part in self._compared(plan, scope)]
            case "similar":
                if plan.similar_to is None:
                    raise UsageError("like which interaction?", "give its id")
                return tools.similar(plan.similar_to, scope, most=most)
            case _:
                return tools.search(plan.words or " ".join(each.name for each in plan.entities), scope, most=most)

    def _scope(self, plan: QueryPlan) -> Scope:
        since, until = self._moments(plan.time_range)
        return Scope(
            entity_ids=_ids(plan.entities), with_ids=_ids(plan.participants), since=since, until=until, sources=plan.sources,
            interaction_types=plan.interaction_types, languages=plan.languages,
        )  # fmt: skip

    def _moments(self, days: TimeRange | None) -> tuple[datetime | None, datetime | None]:
        return (None, None) if days is None else days.moments(self._reading.calendar)

    def _compared(self, plan: QueryPlan, scope: Scope) -> list[tuple[str, Scope]]:
        if len(plan.entities) > 1:
            return [(each.name, replace(scope, entity_ids=each.ids)) for each in plan.entities]
        made = []
        for days in plan.periods:
            since, until = self._moments(days)
            made.append((days.words or "a period", replace(scope, since=since, until=until)))
        return made

    def _coached(self, plan: QueryPlan, scope: Scope) -> CoachingAnswer:
        people = [each for each in plan.entities if each.entity_type == "person"]
        if not people:
            raise UsageError("whose coaching report?", "name one of your own people")
        since, until = self.coached_period(scope.since, scope.until)
        others = tuple(each for entity in plan.entities if entity is not people[0] for each in entity.ids)
        return self.toolbox.coaching(people[0].ids, people[0].name, since, until, replace(scope, with_ids=(*scope.with_ids, *others)))

    def _masker(self) -> Masker:
        if self._open_masker is None or self.toolbox.options.mask_policy == "none":
            return Masker(b"", "none")
        return self._open_masker()


def sections_of(plan: QueryPlan, told: Told) -> list[Section]:
    """What a tool gave, told in sections."""
    most = plan.limit or _SHOWN
    match told:
        case SummaryAnswer():
            return summary_sections(told, only_owed=plan.intent == "promises")
        case TimelineAnswer():
            return timeline_sections(told)
        case SentimentAnswer():
            return sentiment_sections(told)
        case TopicsAnswer():
            return topic_sections(told, most)
        case CoachingAnswer():
            return coaching_tables(told)
        case CountAnswer():
            return count_sections(told)
        case WhoAnswer():
            return who_sections(told)
        case SearchAnswer():
            return hit_sections(told)
        case _:
            return [each for name, part in told for each in compared_sections(name, part)]


def _as_data(told: Told) -> object:
    """As programs read it: a coaching report has keys of its own that stay."""
    if not isinstance(told, CoachingAnswer):
        return told
    from pay_ready.agent.coaching.report_json import as_json  # heavy, and few ask for it

    return as_json(told.report)


def _basis(told: Told) -> Basis:
    if isinstance(told, SearchAnswer):
        return Basis(interactions=len(told.hits), total=len(told.hits))
    return told[0][1].basis if isinstance(told, list) else told.basis


def _ids(entities: Sequence[PlanEntity]) -> tuple[UUID, ...]:
    return tuple(dict.fromkeys(each for entity in entities for each in entity.ids))


def _period(plan: QueryPlan) -> Period:
    return plan.grouping if plan.grouping in ("day", "week", "month") else "month" if plan.grouping == "quarter" else "week"


def _grouping(plan: QueryPlan) -> Grouping:
    return plan.grouping if plan.grouping in ("day", "week", "month", "quarter", "source", "type") else "week"


def _partly(basis: Basis) -> list[str]:
    reasons = []
    if basis.total > basis.interactions:
        reasons.append(f"the latest {basis.interactions:,} of {basis.total:,} interactions were read")
    if basis.unindexed:
        reasons.append(f"{basis.unindexed:,} interactions have no vectors yet: pay-ready index")
    return reasons


def _missing(plan: QueryPlan, basis: Basis) -> str:
    if basis.total:
        return f"{basis.total:,} interactions were looked at, and nothing in them answers this"
    about = ", ".join(each.name for each in plan.entities)
    narrowed = [name for name, value in (("time", plan.time_range), ("source", plan.sources), ("type", plan.interaction_types)) if value]
    hint = f"; without the {' or '.join(narrowed)} there may be some" if narrowed else ""
    return f"no interaction{f' with {about}' if about else ''} was found{hint}"
