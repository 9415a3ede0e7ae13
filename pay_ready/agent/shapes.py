"""The few shapes that a chart is made of. Places and sizes are pixels from the top left; colours are "#rrggbb"."""

from dataclasses import dataclass
from typing import Literal

Anchor = Literal["start", "middle", "end"]


@dataclass(frozen=True, slots=True)
class Segment:
    """A straight line."""

    x1: float
    y1: float
    x2: float
    y2: float
    colour: str
    width: float


@dataclass(frozen=True, slots=True)
class Dot:
    """A filled circle."""

    x: float
    y: float
    radius: float
    colour: str


@dataclass(frozen=True, slots=True)
class Words:
    """A line of text whose baseline is at y, and whose start, middle or end is at x."""

    x: float
    y: float
    text: str
    colour: str
    anchor: Anchor = "start"


Shape = Segment | Dot | Words


@dataclass(frozen=True, slots=True)
class Drawing:
    """Shapes on a white ground, the first beneath the others."""

    width: int
    height: int
    shapes: tuple[Shape, ...]
