"""How a question was read, in one line for people: "summary · Acme (company) · 1 Jul - 30 Sep 2026 · calls"."""

from collections.abc import Iterator
from datetime import date, timedelta

from pay_ready.agent.plan import Part, PlanEntity, QueryPlan, TimeRange
from pay_ready.agent.safe_text import plain

_PLURALS = {
    "email": "mails",
    "case": "cases",
    "call": "calls",
    "meeting": "meetings",
    "message": "messages",
    "note": "notes",
    "task": "tasks",
    "deal": "deals",
}


def echo(plan: QueryPlan) -> str:
    """What was understood, with exact dates; and, a line each, what was taken over, what was not understood, the question back."""
    told = dict(_parts(plan))
    lines = ["I read this as: " + " · ".join(part for part in told.values() if part)]
    if over := [told[part] for part in plan.taken_over if told.get(part)]:
        lines.append("Taken over from the question before: " + " · ".join(over))
    if plan.not_understood:
        lines.append("I did not understand: " + _and([f'"{each}"' for each in plan.not_understood]))
    if plan.question_back:
        lines.append(plan.question_back)
    return "\n".join(map(plain, lines))


def _parts(plan: QueryPlan) -> Iterator[tuple[Part, str]]:
    """What was understood, part by part, in the order in which it is said."""
    yield "intent", plan.intent or "no question that I can answer"
    yield "entities", " · ".join(map(_entity, plan.entities))
    yield "participants", " · ".join(f"with {_entity(each)}" for each in plan.participants)
    yield "time", _times(plan)
    yield "sources", f"from {_and(plan.sources)}" if plan.sources else ""
    yield "types", _and([_PLURALS[each] for each in plan.interaction_types])
    yield "languages", f"in {_and(plan.languages)}" if plan.languages else ""
    yield "grouping", f"by {plan.grouping}" if plan.grouping else ""
    yield "limit", f"at most {plan.limit}" if plan.limit else ""
    yield "interaction", f"like {plan.similar_to}" if plan.similar_to else ""
    yield "words", f'about "{plan.words}"' if plan.words else ""


def told_range(days: TimeRange) -> str:
    """A range by its first and last day: "1 Jul - 30 Sep 2026", "since 1 Mar 2026", "until 30 Jun 2026"."""
    last = days.end - timedelta(days=1) if days.end else None
    if days.start is None:
        return f"until {_day(last)}" if last else ""
    if last is None:
        return f"since {_day(days.start)}"
    if days.start == last:
        return _day(last)
    return f"{_day(days.start, year=days.start.year != last.year)} - {_day(last)}"


def _times(plan: QueryPlan) -> str:
    if plan.periods:
        return " against ".join(map(told_range, plan.periods))
    return told_range(plan.time_range) if plan.time_range else ""


def _entity(entity: PlanEntity) -> str:
    if entity.ties:
        return f'"{entity.words}" ({entity.tied} of that name)'
    return f"{entity.name} ({', '.join(filter(None, (entity.entity_type, entity.detail)))})"


def _day(day: date | None, *, year: bool = True) -> str:
    if day is None:
        return ""
    return f"{day.day} {day:%b} {day.year}" if year else f"{day.day} {day:%b}"


def _and(words: tuple[str, ...] | list[str]) -> str:
    return " and ".join(filter(None, (", ".join(words[:-1]), words[-1]))) if words else ""
