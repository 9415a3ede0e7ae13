"""The arguments of the MCP tools: typed, bounded, nothing unknown. None of them is a tenant."""

from datetime import date
from typing import Annotated, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from pay_ready.api.mcp_parts import EntityType
from pay_ready.model.staged import InteractionType

Name = Annotated[str, StringConstraints(min_length=1, max_length=200, strip_whitespace=True)]
Words = Annotated[str, StringConstraints(min_length=1, max_length=2_000, strip_whitespace=True)]
_WHO = "Name, e-mail address, domain or entity id, as find_entity gives it."
Source = Annotated[str, StringConstraints(min_length=1, max_length=100)]


class Arguments(BaseModel):
    """Of a tool."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class _Days(Arguments):
    since: Annotated[date | None, Field(description="First day, YYYY-MM-DD, in the tenant's time zone.")] = None
    until: Annotated[date | None, Field(description="First day that no longer counts, YYYY-MM-DD.")] = None

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.since and self.until and self.since >= self.until:
            raise ValueError("until must be after since: it is the first day that no longer counts")
        return self


class _Filtered(_Days):
    sources: Annotated[tuple[Source, ...], Field(max_length=20, description="Systems by name, for example gong; all when empty.")] = ()
    interaction_types: Annotated[tuple[InteractionType, ...], Field(max_length=8, description="All when empty.")] = ()


class SearchArguments(_Filtered):
    """Of search_customer_interactions."""

    query: Annotated[Words, Field(description="What was said, in a few words or a sentence.")]
    customer: Annotated[Name | None, Field(description=_WHO + " All customers when left out.")] = None
    limit: Annotated[int, Field(ge=1, le=50, description="Passages at most.")] = 10


class TimelineArguments(_Filtered):
    """Of get_interaction_timeline."""

    customer: Annotated[Name, Field(description=_WHO)]
    page: Annotated[str | None, Field(max_length=500, description="next_page of the answer before, with all else the same.")] = None
    limit: Annotated[int, Field(ge=1, le=200, description="Interactions a page.")] = 50


class QuestionArguments(Arguments):
    """Of natural_language_query."""

    question: Annotated[Words, Field(description="One question in plain English, with names and times.")]
    today: Annotated[date | None, Field(description="The day that 'last month' counts from; today when left out.")] = None


class CoachingArguments(_Days):
    """Of generate_coaching_report."""

    rep: Annotated[Name, Field(description="One of the tenant's own people. " + _WHO)]


class FindArguments(Arguments):
    """Of find_entity."""

    name: Annotated[Name, Field(description="Name, part of one, e-mail address or domain.")]
    entity_type: Annotated[EntityType | None, Field(description="Both when left out.")] = None
    limit: Annotated[int, Field(ge=1, le=20)] = 10


class ExplainArguments(Arguments):
    """Of explain_entity."""

    entity_id: Annotated[UUID, Field(description="As find_entity gives it.")]


def refusal(error: ValidationError, kind: type[Arguments]) -> str:
    """What is wrong with arguments, without their values, and which there are."""
    found = []
    for each in error.errors(include_input=False, include_url=False, include_context=False)[:5]:
        # The name of an unknown argument is the caller's text: it is not repeated.
        place = ".".join(str(part) for part in each["loc"] if isinstance(part, int) or part in kind.model_fields)
        found.append(f"{place}: {each['msg']}" if place else each["msg"])
    return f"{'; '.join(found)}. Arguments: {', '.join(kind.model_fields)}."
