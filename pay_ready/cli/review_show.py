"""How a pair under review looks in a terminal."""

from collections.abc import Sequence
from difflib import SequenceMatcher
from typing import TYPE_CHECKING

from pay_ready.cli.output import cell, print_table, say

if TYPE_CHECKING:  # heavy; --help must not load them
    from pay_ready.db.review import EntitySize
    from pay_ready.model.review import Decision
    from pay_ready.pipeline.review.queue import Candidate, FieldLine, Item

_ALIKE = 0.5  # share of letters in common from which single differences are worth showing


def print_item(item: "Item") -> None:
    """Two records side by side, what an answer would do, what was said before, and the evidence."""
    shown = item.candidate
    why = f": {shown.why}, value {shown.value:,.1f}" if shown else ""
    say(f"{item.pair.entity_type} {item.pair.left_id} and {item.pair.right_id}{why}")
    heads = ("field", _origin(item.left.source, cell(item.left.updated)), _origin(item.right.source, cell(item.right.updated)), "")
    print_table(heads, [_line(each) for each in item.fields])
    if item.is_blind:
        say("blind review: evidence and what others said are shown after your answer")
        return
    if shown is not None:
        say(what_it_would_do(shown))
    if item.evidence is not None:
        from pay_ready.cli.explain import print_evidence

        print_evidence(item.evidence)
    elif item.no_evidence:
        say(f"no evidence to show: {item.no_evidence}")
    print_words(item.decisions)


def print_words(decisions: Sequence["Decision"]) -> None:
    """What was said of a pair before."""
    rows = [
        (
            each.verdict,
            "superseded" if each.superseded_at else each.status,
            each.actor_type,
            each.actor,
            each.risk,
            _why(each),
            each.made_at,
        )
        for each in decisions
    ]
    if rows:
        print_table(("verdict", "status", "by", "who", "risk", "why", "when (UTC)"), rows, title="said before")


def what_it_would_do(shown: "Candidate") -> str:
    """What an answer would join or part."""
    if shown.together:
        return f"both are in {_called(shown.left)} now: a no_match takes them apart"
    return f"a match would bring together {_called(shown.left)} and {_called(shown.right)}"


def status_of(decision: "Decision") -> str:
    """The status of a word, as people read it."""
    return "superseded" if decision.superseded_at else decision.status


def marked(one: str, other: str) -> tuple[str, str]:
    """Both texts with the letters that differ in brackets, where they have enough in common for that to tell anything."""
    matcher = SequenceMatcher(None, one.casefold(), other.casefold(), autojunk=False)
    # Folding may change the length of a text ("ß"): then positions are not those of the letters.
    if matcher.ratio() < _ALIKE or len(one.casefold()) != len(one) or len(other.casefold()) != len(other):
        return one, other
    left, right = "", ""
    for tag, first, last, start, end in matcher.get_opcodes():
        left += one[first:last] if tag == "equal" or first == last else f"[{one[first:last]}]"
        right += other[start:end] if tag == "equal" or start == end else f"[{other[start:end]}]"
    return left, right


def _line(each: "FieldLine") -> tuple[str, str | None, str | None, str]:
    name = each.field.replace("_", " ")
    if not each.left or not each.right:
        return name, each.left, each.right, ""
    if each.left.casefold() == each.right.casefold():
        return name, each.left, each.right, "="
    return name, *marked(each.left, each.right), "differ"


def _origin(source: str, updated: str) -> str:
    return f"{source}, {updated}" if updated else source


def _called(size: "EntitySize | None") -> str:
    if size is None:
        return "a record that was not resolved yet"
    records, interactions = _counted(size.records, "record"), _counted(size.interactions, "interaction")
    return f"{size.name or '(no name)'} ({records}, {interactions})"


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def _why(decision: "Decision") -> str | None:
    return decision.reason or (decision.evidence.reasons[0] if decision.evidence and decision.evidence.reasons else None)
