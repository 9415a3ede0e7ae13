"""`pay-ready ask` and the tools behind it: summary, sentiment, topics, coach, similar, search, count, who; each with the same options."""

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import typer

from pay_ready.cli.answer_show import print_answer, print_plan, print_sections
from pay_ready.cli.asking_options import (
    LanguageOption,
    NamesArgument,
    SinceOption,
    SourceOption,
    TypeOption,
    UntilOption,
    WithOption,
    narrowed_to,
    opened_tool,
)
from pay_ready.cli.options import JsonOption, TenantOption, opened_app
from pay_ready.cli.output import note, print_json, say
from pay_ready.errors import NotFoundError, UsageError

if TYPE_CHECKING:  # heavy; --help must not load them
    from pay_ready.agent.answering import Agent
    from pay_ready.agent.plan import QueryPlan
    from pay_ready.agent.telling import Section

MostOption = Annotated[int, typer.Option("--most", min=1, max=200, help="Lines at most.")]
TodayOption = Annotated[str | None, typer.Option("--today", help='The day that "last month" counts from: 2026-01-31.')]


def ask(
    question: Annotated[
        str | None, typer.Argument(help="In plain English; without it a conversation begins, also from standard input.")
    ] = None,
    tenant: TenantOption = ...,  # type: ignore[assignment]
    today: TodayOption = None,
    plan_only: Annotated[bool, typer.Option("--plan-only", help="Say how the question is read, and ask nothing of the data.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Answer a question about customers and what was said with them; every line cites the interaction that it rests on.

    Without a question, one after the other: "and last quarter?", "what about Globex?" and "what did she promise?" take over what the
    question before said; with --json each answer is one line of JSON.

    Example: pay-ready ask "Summarise our calls with Acme last quarter" --tenant acme
    """
    with opened_app() as opened:
        agent = opened.agent(tenant)
        if question is None:
            from pay_ready.cli.conversation import Conversation

            Conversation(agent, today=_day(today), plan_only=plan_only, as_json=as_json).run()
            return
        if plan_only:
            print_plan(agent.shown_plan(agent.plan(question, today=_day(today))), as_json=as_json)
            return
        answer = agent.ask(question, today=_day(today))
    if as_json:
        print_json("answer", answer)
    else:
        print_answer(answer)
    if answer.plan.state == "ready" and answer.missing:
        raise NotFoundError("nothing was found", answer.missing, tenant=tenant)


def summary(
    names: NamesArgument = None, tenant: TenantOption = ..., since: SinceOption = None, until: UntilOption = None,  # type: ignore[assignment]
    source: SourceOption = None, kind: TypeOption = None, taking_part: WithOption = None, language: LanguageOption = None,
    as_json: JsonOption = False,
) -> None:  # fmt: skip
    """What was said with somebody: overview, topics, decisions, promises, sentiment, next steps.

    Example: pay-ready summary "Acme" --tenant acme --type call --since 2026-07-01
    """
    narrowed = narrowed_to(since, until, source, kind, taking_part, language)
    with opened_tool(tenant, names, narrowed) as (agent, scope):
        from pay_ready.agent.telling import summary_sections

        told = agent.shown(agent.toolbox.summary(scope))
        _print(agent, "summary", told, summary_sections(told), as_json=as_json)


def sentiment(
    names: NamesArgument = None, tenant: TenantOption = ..., since: SinceOption = None, until: UntilOption = None,  # type: ignore[assignment]
    source: SourceOption = None, kind: TypeOption = None, taking_part: WithOption = None, language: LanguageOption = None,
    by: Annotated[str, typer.Option(help="day, week or month.")] = "week",
    plot: Annotated[Path | None, typer.Option("--plot", help="Draw it: FILE.svg or FILE.png.")] = None,
    as_json: JsonOption = False,
) -> None:  # fmt: skip
    """How what was said sounds, by period and side, with the sentences that stand for it and the trend. English.

    Example: pay-ready sentiment "Globex" --tenant acme --since 2026-03-01 --by month --plot globex.svg
    """
    if by not in ("day", "week", "month"):
        raise UsageError(f"no such period: {by}", "one of day, week, month", option="--by")
    narrowed = narrowed_to(since, until, source, kind, taking_part, language)
    with opened_tool(tenant, names, narrowed) as (agent, scope):
        from pay_ready.agent.chart import Chart, Series, write_chart
        from pay_ready.agent.telling import sentiment_sections

        told = agent.shown(agent.toolbox.sentiment(scope, period=by))  # type: ignore[arg-type]
        _print(agent, "sentiment", told, sentiment_sections(told), as_json=as_json)
        if plot is not None:
            sides = sorted({each.side or "unknown" for each in told.periods})
            series = tuple(
                Series(name=side, points=tuple((each.start, each.mean) for each in told.periods if (each.side or "unknown") == side))
                for side in sides
            )
            write_chart(Chart(title=f"Sentiment by {by}", series=series), plot)
            note(f"drawn: {plot}")


def topics(
    names: NamesArgument = None, tenant: TenantOption = ..., since: SinceOption = None, until: UntilOption = None,  # type: ignore[assignment]
    source: SourceOption = None, kind: TypeOption = None, taking_part: WithOption = None, language: LanguageOption = None,
    min_frequency: Annotated[int | None, typer.Option(min=1, help="Passages that make a topic.")] = None, most: MostOption = 20,
    as_json: JsonOption = False,
) -> None:  # fmt: skip
    """What was talked about, how often, and whether more than in the period before.

    Example: pay-ready topics --tenant acme --since "this month"
    """
    narrowed = narrowed_to(since, until, source, kind, taking_part, language)
    with opened_tool(tenant, names, narrowed) as (agent, scope):
        from pay_ready.agent.telling import topic_sections

        told = agent.shown(agent.toolbox.topics(scope, min_frequency=min_frequency))
        _print(agent, "topics", told, topic_sections(told, most), as_json=as_json)


def coach(
    rep: Annotated[str, typer.Argument(help="One of your own people: name, e-mail or id.")],
    tenant: TenantOption,
    since: SinceOption = None,
    until: UntilOption = None,
    source: SourceOption = None,
    kind: TypeOption = None,
    to: Annotated[Path | None, typer.Option("--to", help="Write it: FILE.html, FILE.md or FILE.json.")] = None,
    as_json: JsonOption = False,
) -> None:
    """The coaching report of a rep: talk ratio, monologues, patience, questions, objections, wins and focus areas, with quotes.

    Without --since the last 30 days. Example: pay-ready coach "Bob Fitzgerald" --tenant acme --to bob.html
    """
    narrowed = narrowed_to(since, until, source, kind, None, None)
    with opened_tool(tenant, [rep], narrowed) as (agent, scope):
        from pay_ready.agent.coaching.page import as_html
        from pay_ready.agent.coaching.rendering import as_markdown
        from pay_ready.agent.coaching.report_json import as_json as report_json
        from pay_ready.agent.telling import coaching_tables

        plan = agent.plan(f"coaching report for {rep}")
        begin, end = agent.coached_period(scope.since, scope.until)
        told = agent.shown(agent.toolbox.coaching(scope.entity_ids, _name_of(plan, rep), begin, end, replace(scope, entity_ids=())))
        report = told.report
        if to is not None:
            writers: dict[str, Callable[[], str]] = {
                ".html": lambda: as_html(report), ".md": lambda: as_markdown(report),
                ".json": lambda: json.dumps(report_json(report), default=str, indent=2),
            }  # fmt: skip
            if to.suffix not in writers:
                raise UsageError("a report is written as .html, .md or .json", f"--to {to.with_suffix('.html')}", file=to)
            to.write_text(writers[to.suffix](), encoding="utf-8")
            note(f"written: {to}")
        if as_json:
            print_json("coaching", report_json(report))
        elif to is None:
            _print(agent, "coaching", told, coaching_tables(told), as_json=False)


def similar(
    interaction: Annotated[UUID, typer.Argument(help="Like this one (id).")], tenant: TenantOption, since: SinceOption = None,
    until: UntilOption = None, source: SourceOption = None, kind: TypeOption = None, most: MostOption = 10, as_json: JsonOption = False,
) -> None:  # fmt: skip
    """Interactions like one, by what was said in it. Example: pay-ready similar 3f2b... --tenant acme --type call"""
    narrowed = narrowed_to(since, until, source, kind, None, None)
    with opened_tool(tenant, (), narrowed) as (agent, scope):
        from pay_ready.agent.telling import hit_sections

        told = agent.shown(agent.toolbox.similar(interaction, scope, most=most))
        _print(agent, "similar", told, hit_sections(told), as_json=as_json, reasons=told.reasons)


def search(
    words: Annotated[str, typer.Argument(help="What to look for.")], names: NamesArgument = None, tenant: TenantOption = ...,  # type: ignore[assignment]
    since: SinceOption = None, until: UntilOption = None, source: SourceOption = None, kind: TypeOption = None,
    language: LanguageOption = None, most: MostOption = 10, as_json: JsonOption = False,
) -> None:  # fmt: skip
    """The passages that answer best, by words and by meaning. Example: pay-ready search "price is too high" "Acme" --tenant acme"""
    narrowed = narrowed_to(since, until, source, kind, None, language)
    with opened_tool(tenant, names, narrowed) as (agent, scope):
        from pay_ready.agent.telling import hit_sections

        told = agent.shown(agent.toolbox.search(words, scope, most=most))
        _print(agent, "search", told, hit_sections(told), as_json=as_json, reasons=told.reasons)


def count(
    names: NamesArgument = None, tenant: TenantOption = ..., since: SinceOption = None, until: UntilOption = None,  # type: ignore[assignment]
    source: SourceOption = None, kind: TypeOption = None, taking_part: WithOption = None, language: LanguageOption = None,
    by: Annotated[str, typer.Option(help="day, week, month, quarter, source or type.")] = "week", as_json: JsonOption = False,
) -> None:  # fmt: skip
    """How many interactions, by period, source or type. Example: pay-ready count "Initech" --tenant acme --by week"""
    groupings = ("day", "week", "month", "quarter", "source", "type")
    if by not in groupings:
        raise UsageError(f"no such grouping: {by}", f"one of {', '.join(groupings)}", option="--by")
    narrowed = narrowed_to(since, until, source, kind, taking_part, language)
    with opened_tool(tenant, names, narrowed) as (agent, scope):
        from pay_ready.agent.telling import count_sections

        told = agent.shown(agent.toolbox.count(scope, grouping=by))  # type: ignore[arg-type]
        _print(agent, "count", told, count_sections(told), as_json=as_json)


def who(
    names: NamesArgument = None, tenant: TenantOption = ..., since: SinceOption = None, until: UntilOption = None,  # type: ignore[assignment]
    source: SourceOption = None, kind: TypeOption = None, taking_part: WithOption = None,
    companies: Annotated[bool, typer.Option("--companies", help="Companies in place of people.")] = False,
    everybody: Annotated[bool, typer.Option("--everybody", help="Your own people, too.")] = False, most: MostOption = 10,
    as_json: JsonOption = False,
) -> None:  # fmt: skip
    """Who took part in most interactions. Example: pay-ready who "Acme" --tenant acme --since 2026-01-01"""
    narrowed = narrowed_to(since, until, source, kind, taking_part, None)
    with opened_tool(tenant, names, narrowed) as (agent, scope):
        from pay_ready.agent.telling import who_sections

        told = agent.shown(
            agent.toolbox.who(scope, entity_type="company" if companies else "person", side=None if everybody else "external", most=most)
        )
        _print(agent, "who", told, who_sections(told), as_json=as_json)


def _print(
    agent: "Agent", kind: str, told: object, sections: "Sequence[Section]", *, as_json: bool, reasons: Sequence[str] = ()
) -> None:  # fmt: skip
    if as_json:
        print_json(kind, told)
        return
    if not any(each.lines or each.rows for each in sections):
        say("nothing was found")
    print_sections(sections)
    for reason in (*reasons, *agent.partly(told)):
        say(f"not the whole: {reason}")


def _day(text: str | None) -> date | None:
    if text is None:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise UsageError("not a day", "write it like 2026-01-31", option="--today", given=text) from None


def _name_of(plan: "QueryPlan", wanted: str) -> str:
    return plan.entities[0].name if plan.entities and plan.entities[0].id else wanted
