"""What the tools behind `pay-ready ask` have in common: people and companies by name, and options that narrow what is looked at."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import typer

from pay_ready.cli.options import opened_app
from pay_ready.errors import NotFoundError, UsageError

if TYPE_CHECKING:  # heavy; --help must not load them
    from pay_ready.agent.answering import Agent
    from pay_ready.app import App
    from pay_ready.model.talk import Scope

NamesArgument = Annotated[list[str] | None, typer.Argument(help="People or companies: name, e-mail, domain or id.", metavar="[NAME]...")]
SinceOption = Annotated[str | None, typer.Option("--since", help='From that day on (the tenant\'s time): 2026-01-31, or words: "March".')]
UntilOption = Annotated[str | None, typer.Option("--until", help="Before that day.")]
SourceOption = Annotated[list[str] | None, typer.Option("--source", "-s", help="Of this source; may be repeated.")]
TypeOption = Annotated[list[str] | None, typer.Option("--type", help="call, meeting, email, message, note, task, case, deal.")]
WithOption = Annotated[list[str] | None, typer.Option("--with", help="Who must have taken part, too; may be repeated.")]
LanguageOption = Annotated[list[str] | None, typer.Option("--language", help="ISO 639-1, for example en.")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Narrowed:
    """What a command's options narrow it to."""

    since: str | None = None
    until: str | None = None
    source: Sequence[str] = ()
    kind: Sequence[str] = ()
    taking_part: Sequence[str] = ()
    language: Sequence[str] = ()


def narrowed_to(
    since: str | None,
    until: str | None,
    source: Sequence[str] | None,
    kind: Sequence[str] | None,
    taking_part: Sequence[str] | None,
    language: Sequence[str] | None,
) -> Narrowed:
    """The options as a command gets them."""
    return Narrowed(
        since=since, until=until, source=source or (), kind=kind or (), taking_part=taking_part or (), language=language or ()
    )  # fmt: skip


@contextmanager
def opened_tool(tenant: str, names: Sequence[str] | None, narrowed: Narrowed) -> Iterator["tuple[Agent, Scope]"]:
    """A tenant's agent, and what is asked about.

    Raises:
        NotFoundError, UsageError: As `scope_of` and `entity_of`.
    """
    with opened_app() as opened:
        agent = opened.agent(tenant)
        scope = scope_of(opened, agent, narrowed)
        yield agent, replace(scope, entity_ids=tuple(entity_of(agent, each) for each in names or ()))


def scope_of(opened: "App", agent: "Agent", narrowed: Narrowed) -> "Scope":
    """The options as the tools take them; nobody is named yet.

    Raises:
        UsageError: A source, a type or a time is none; names the choices.
        NotFoundError: Nobody is called as one of whom must have taken part.
    """
    from typing import get_args

    from pay_ready.db import sources as db_sources
    from pay_ready.model.staged import InteractionType
    from pay_ready.model.talk import Scope

    kinds = get_args(InteractionType)
    if unknown := [each for each in narrowed.kind if each not in kinds]:
        raise UsageError(f"no such type of interaction: {unknown[0]}", f"one of {', '.join(kinds)}")
    with opened.database.tenant_transaction(agent.toolbox.tenant) as tx:
        there = [each.name for each in db_sources.list_all(tx)]
    if unknown := [each for each in narrowed.source if each not in there]:
        raise UsageError(f"no such source: {unknown[0]}", f"one of {', '.join(there)}" if there else "there is none yet")
    since, until = agent.period(narrowed.since, narrowed.until)
    return Scope(
        with_ids=tuple(entity_of(agent, each) for each in narrowed.taking_part), since=since, until=until,
        sources=tuple(narrowed.source), interaction_types=tuple(narrowed.kind), languages=tuple(narrowed.language),
    )  # fmt: skip


def entity_of(agent: "Agent", wanted: str) -> UUID:
    """The one person or company that a name means.

    Raises:
        NotFoundError: Nobody has that name.
        UsageError: Several have.
    """
    from pay_ready.agent.asking import entity_ref, told_ref

    try:
        return UUID(wanted)
    except ValueError:
        found = agent.entities(wanted)
    if not found:
        raise NotFoundError("nobody and no company by that name", "try another spelling, an e-mail or a domain")
    if len(found) > 1:
        # Masked as answers are: an error ends in logs and tickets like any of them, and ids tell them apart.
        choices = "\n".join(f"  {each.id}  {each.entity_type}: {agent.shown_text(told_ref(entity_ref(each)))}" for each in found)
        raise UsageError("more than one is meant", f"ask by id:\n{choices}", found=len(found))
    return found[0].id
