"""A question as a typed plan: what is asked, about whom, from when, out of which sources. One JSON schema for rules and models."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Annotated, Literal, Self, get_args
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from pay_ready.agent.calendars import Calendar
from pay_ready.errors import UsageError
from pay_ready.model.staged import InteractionType

Intent = Literal["summary", "timeline", "sentiment", "topics", "coaching", "similar", "search", "count", "who", "compare", "promises"]
INTENTS: tuple[Intent, ...] = get_args(Intent)
Grouping = Literal["day", "week", "month", "quarter", "person", "company", "source", "type"]
State = Literal["ready", "asks", "abstains"]  # go on; ask back first; out of what can be answered
# What a question that follows another one may leave unsaid.
Part = Literal["intent", "entities", "participants", "time", "sources", "types", "languages", "grouping", "limit", "words", "interaction"]
MOST_ROWS = 200
_MOST_ITEMS = 20
LONGEST_TEXT = 500  # characters

Text = Annotated[str, Field(max_length=LONGEST_TEXT)]
Name = Annotated[str, Field(min_length=1, max_length=LONGEST_TEXT)]
Share = Annotated[float, Field(ge=0, le=1)]
Limit = Annotated[int, Field(ge=1, le=MOST_ROWS)]


class PlanError(UsageError):
    """A plan is not of the schema; `where` names the fields, never their values."""


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class TimeRange(_Strict):
    """Days from `start` up to, and without, `end`; None is open. Never empty or inverted."""

    start: date | None = None
    end: date | None = None
    words: Text = ""  # of the question

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.start and self.end and self.start >= self.end:
            raise ValueError("end must be after start: it is the first day that does not belong to the range")
        if self.start is None and self.end is None:
            raise ValueError("a range needs a start or an end")
        return self

    def moments(self, calendar: Calendar) -> tuple[datetime | None, datetime | None]:
        """The same range in UTC: the days begin when they begin in the tenant's time zone."""
        return (calendar.moment(self.start) if self.start else None, calendar.moment(self.end) if self.end else None)


class EntityRef(_Strict):
    """An entity that a name may mean."""

    id: UUID
    name: Name
    entity_type: Literal["person", "company"]
    detail: Text = ""  # tells it from others of its name: an e-mail address, or a domain


class PlanEntity(_Strict):
    """Somebody that the question names. With `ties` it is one of those, and nobody has chosen."""

    id: UUID | None = None  # None while it ties
    name: Name
    entity_type: Literal["person", "company"]
    score: Share
    words: Text = ""  # that named it
    detail: Text = ""  # tells it from those that it tied with
    ties: tuple[EntityRef, ...] = ()
    tied: Annotated[int, Field(ge=1)] = 1  # how many tie; `ties` may list fewer

    @property
    def ids(self) -> tuple[UUID, ...]:
        """Whom it may be: one, or all that tie."""
        return (self.id,) if self.id else tuple(each.id for each in self.ties)


class PlanDraft(_Strict):
    """What a model may say of a question: no ids and nobody's data, only the question's own words. Names are linked afterwards."""

    intent: Intent
    names: Annotated[tuple[Name, ...], Field(max_length=_MOST_ITEMS)] = ()
    participants: Annotated[tuple[Name, ...], Field(max_length=_MOST_ITEMS)] = ()
    time_range: TimeRange | None = None
    sources: Annotated[tuple[Name, ...], Field(max_length=_MOST_ITEMS)] = ()
    interaction_types: tuple[InteractionType, ...] = ()
    languages: tuple[Annotated[str, Field(pattern="^[a-z]{2}$")], ...] = ()
    grouping: Grouping | None = None
    limit: Limit | None = None
    words: Text = ""  # what is left to search for


class QueryPlan(_Strict):
    """What a question asks, ready for the tools; the same question gives the same plan."""

    intent: Intent | None = None
    entities: tuple[PlanEntity, ...] = ()
    participants: tuple[PlanEntity, ...] = ()  # who must have taken part, besides
    time_range: TimeRange | None = None
    periods: tuple[TimeRange, ...] = ()  # what is compared, where times are
    sources: tuple[Name, ...] = ()
    interaction_types: tuple[InteractionType, ...] = ()
    languages: tuple[Annotated[str, Field(pattern="^[a-z]{2}$")], ...] = ()  # ISO 639-1
    grouping: Grouping | None = None
    limit: Limit | None = None
    similar_to: UUID | None = None  # the interaction that others shall be like
    words: Text = ""  # what is left to search for
    confidence: Share = 0.0
    read_by: Literal["rules", "classifier", "model", "none"] = "none"
    not_understood: tuple[Text, ...] = ()
    state: State = "ready"
    question_back: Text = ""
    suggested: EntityRef | None = None  # whom the question back offers
    taken_over: tuple[Part, ...] = ()  # from the question before, which said it

    @model_validator(mode="after")
    def _says_why(self) -> Self:
        if self.state == "ready" and self.intent is None:
            raise ValueError("a plan that is ready has an intent")
        if self.state != "ready" and not self.question_back:
            raise ValueError("question_back must say what is missing")
        return self


def plan_from_json(text: str | bytes) -> QueryPlan:
    """A plan out of its JSON.

    Raises:
        PlanError: It is no JSON, a key is unknown or missing, a value is off.
    """
    try:
        return QueryPlan.model_validate_json(text)
    except ValidationError as error:
        raise _refused(error) from None  # pydantic's message repeats the values


def draft_from_json(text: str | bytes) -> PlanDraft:
    """What a model said, out of its JSON.

    Raises:
        PlanError: It is no JSON, a key is unknown or missing, a value is off: a range the wrong way round, a limit over 200.
    """
    try:
        return PlanDraft.model_validate_json(text)
    except ValidationError as error:
        raise _refused(error) from None


def _refused(error: ValidationError) -> PlanError:
    found: Sequence[str] = [
        f"{'.'.join(map(str, each['loc'])) or 'plan'}: {each['msg']}"
        for each in error.errors(include_input=False, include_url=False, include_context=False)
    ]
    return PlanError("no such plan", "; ".join(found[:10]), fields=len(found))
