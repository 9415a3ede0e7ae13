"""Answers of the agent on a screen: how the question was read, then section by section."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pay_ready.cli.output import print_json, print_table, say

if TYPE_CHECKING:  # heavy; --help must not load them
    from pay_ready.agent.answering import Answer
    from pay_ready.agent.plan import QueryPlan
    from pay_ready.agent.telling import Section


def print_answer(answer: "Answer") -> None:
    """How the question was read, then what was found."""
    say(answer.read_as)
    print_sections(answer.sections)
    if answer.missing:
        say(answer.missing)
    for reason in answer.reasons:
        say(f"not the whole: {reason}")


def print_sections(sections: "Sequence[Section]") -> None:
    """Titles, lines and tables."""
    for each in sections:
        if not each.lines and not each.rows:
            if each.title:
                say(each.title)
            continue
        say("")
        say(each.title)
        for line in each.lines:
            say(f"- {line}")
        if each.rows:
            print_table(each.columns, each.rows)


def print_plan(plan: "QueryPlan", *, as_json: bool, one_line: bool = False) -> None:
    """How a question was read."""
    from pay_ready.agent.echo import echo

    if as_json:
        print_json("plan", plan.model_dump(mode="json"), one_line=one_line)
    else:
        say(echo(plan))
