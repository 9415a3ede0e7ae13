"""Figures as people read them: never without their unit."""

from pay_ready.agent.coaching.formulas import MEASURES

_MINUTES_FROM_S = 180.0
_HOURS_FROM_S = 7_200.0


def figure(name: str, value: float | None) -> str:
    """A measure's value with its unit; "not measured" for None."""
    if value is None:
        return "not measured"
    unit = MEASURES[name].unit
    if unit == "share":
        return f"{value:.0%}".replace("%", " %")
    if unit == "s":
        return seconds(value)
    if unit == "-1…1":
        return f"{value:+.2f}"
    number = f"{value:,.0f}" if unit == "words" else f"{value:,.1f}" if value % 1 else f"{value:,.0f}"
    return f"{number} {unit}".strip() if not unit.startswith("/") else f"{value:,.1f}{unit}"


def change(name: str, value: float | None) -> str:
    """A difference of two values of a measure, with its sign; empty for None."""
    if value is None:
        return ""
    sign = "+" if value >= 0 else "−"
    if MEASURES[name].unit == "share":
        return f"{sign}{abs(value) * 100:.0f} points"
    return f"{sign}{figure(name, abs(value)).lstrip('+')}"


def seconds(value: float) -> str:
    """Seconds; from 3 minutes on in minutes, from 2 hours on in hours."""
    size = abs(value)
    if size < _MINUTES_FROM_S:
        return f"{value:.1f} s" if size < 10 else f"{value:.0f} s"
    return f"{value / 60:.1f} min" if size < _HOURS_FROM_S else f"{value / 3_600:.1f} h"


def count(number: int, thing: str) -> str:
    """ "1 call", "3 calls"."""
    return f"{number:,} {thing}{'' if number == 1 else 's'}"
