"""A line chart as shapes, in pixels from the top left, which an SVG or a PNG file is written from; and a sparkline for terminals."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from itertools import pairwise
from pathlib import Path
from typing import Literal

from pay_ready.agent import png, svg
from pay_ready.agent.shapes import Dot, Drawing, Segment, Shape, Words
from pay_ready.errors import UsageError

BLOCKS = "▁▂▃▄▅▆▇█"
_WIDTH, _HEIGHT = 720, 320
_LEFT, _RIGHT, _TOP, _BOTTOM = 56, 16, 44, 40  # margins
_COLOURS = ("#1f5fa8", "#c2571a", "#2e7d4f", "#7a4fa0")  # told apart by the colour-blind, too
_GREY, _INK = "#c8c8c8", "#333333"
_WRITERS: Mapping[str, Callable[[Drawing], bytes]] = {".svg": svg.to_svg, ".png": png.to_png}


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """Values over time, drawn as one line; a value that is NaN leaves a gap."""

    name: str
    points: tuple[tuple[date, float], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """What is drawn: the values' range is [low, high], and what lies outside is drawn at its edge."""

    title: str
    series: tuple[Series, ...] = field(default=())
    low: float = -1.0
    high: float = 1.0


def sparkline(values: Sequence[float], low: float = -1.0, high: float = 1.0) -> str:
    """One block a value, the lowest at `low` and the highest at `high`; a blank where the value is NaN."""
    return "".join(" " if math.isnan(value) else BLOCKS[min(7, max(0, int(_share(value, low, high) * 8)))] for value in values)


def draw(chart: Chart) -> Drawing:
    """The shapes of a chart."""
    shapes: list[Shape] = [Words(_LEFT, 22, chart.title, _INK)]
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        y = _y(share)
        shapes.append(Segment(_LEFT, y, _WIDTH - _RIGHT, y, _GREY, 1))
        shapes.append(Words(_LEFT - 6, y + 4, f"{chart.low + share * (chart.high - chart.low):+.2f}", _INK, anchor="end"))
    days = sorted({day for each in chart.series for day, _ in each.points})
    if days:
        shapes += _dates(days)
    for number, each in enumerate(chart.series):
        colour = _COLOURS[number % len(_COLOURS)]
        shapes += _line(each, days, chart, colour)
        shapes.append(Words(_WIDTH - _RIGHT, 16 + 14 * number, each.name, colour, anchor="end"))
    return Drawing(_WIDTH, _HEIGHT, tuple(shapes))


def write_chart(chart: Chart, path: Path) -> Literal["svg", "png"]:
    """Write a chart in the format that the file's ending names, and say which.

    Raises:
        UsageError: The ending is neither .svg nor .png, or the file cannot be written.
    """
    ending = path.suffix.lower()
    if ending not in _WRITERS:
        raise UsageError("no such format of a plot", "name the file .svg or .png", ending=ending or "none")
    try:
        path.write_bytes(_WRITERS[ending](draw(chart)))
    except OSError as error:
        raise UsageError("the plot cannot be written", "name a file in a folder that you may write to", file=str(path)) from error
    return "svg" if ending == ".svg" else "png"


def _line(series: Series, days: Sequence[date], chart: Chart, colour: str) -> list[Shape]:
    at = [(_x(day, days), value if math.isnan(value) else _y(_share(value, chart.low, chart.high))) for day, value in series.points]
    shapes: list[Shape] = [Segment(x1, y1, x2, y2, colour, 2) for (x1, y1), (x2, y2) in pairwise(at) if not math.isnan(y1 + y2)]
    return shapes + [Dot(x, y, 3, colour) for x, y in at if not math.isnan(y)]


def _dates(days: Sequence[date]) -> list[Shape]:
    """First, last and up to three days between, under their places."""
    shown = sorted({days[round(place * (len(days) - 1) / 4)] for place in range(5)})
    return [Words(_x(day, days), _HEIGHT - 14, day.isoformat(), _INK, anchor="middle") for day in shown]


def _x(day: date, days: Sequence[date]) -> float:
    span = (days[-1] - days[0]).days
    return _LEFT + 34 + ((day - days[0]).days / span if span else 0.5) * (_WIDTH - _LEFT - _RIGHT - 68)


def _y(share: float) -> float:
    return _TOP + (1 - share) * (_HEIGHT - _TOP - _BOTTOM)


def _share(value: float, low: float, high: float) -> float:
    return min(1.0, max(0.0, (value - low) / (high - low))) if high > low else 0.5
