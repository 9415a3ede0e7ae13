"""How a question was read, in one line for people: "summary · Acme (company) · 1 Jul - 30 Sep 2026 · calls"."""

from datetime import date, timedelta

from pay_ready.agent.plan import PlanEntity, QueryPlan, TimeRange

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
    """One line: what was understood, exact dates, what was not, and the question back."""
    parts = [
        plan.intent or "no question that I can answer",
        *(_entity(each) for each in plan.entities),
        *(f"with {_entity(each)}" for each in plan.participants),
        *_times(plan),
        *([f"from {_and(plan.sources)}"] if plan.sources else []),
        *([_and([_PLURALS[each] for each in plan.interaction_types])] if plan.interaction_types else []),
        *([f"in {_and(plan.languages)}"] if plan.languages else []),
        *([f"by {plan.grouping}"] if plan.grouping else []),
        *([f"at most {plan.limit}"] if plan.limit else []),
        *([f"like {plan.similar_to}"] if plan.similar_to else []),
        *([f'about "{plan.words}"'] if plan.words else []),
    ]
    lines = ["I read this as: " + " · ".join(parts)]
    if plan.not_understood:
        lines.append("I did not understand: " + _and([f'"{each}"' for each in plan.not_understood]))
    if plan.question_back:
        lines.append(plan.question_back)
    return "\n".join(lines)


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


def _times(plan: QueryPlan) -> list[str]:
    if plan.periods:
        return [" against ".join(map(told_range, plan.periods))]
    return [told_range(plan.time_range)] if plan.time_range else []


def _entity(entity: PlanEntity) -> str:
    if entity.ties:
        return f'"{entity.words}" ({entity.tied} of that name)'
    return f"{entity.name} ({entity.entity_type})"


def _day(day: date | None, *, year: bool = True) -> str:
    if day is None:
        return ""
    return f"{day.day} {day:%b} {day.year}" if year else f"{day.day} {day:%b}"


def _and(words: tuple[str, ...] | list[str]) -> str:
    return " and ".join(filter(None, (", ".join(words[:-1]), words[-1]))) if words else ""
