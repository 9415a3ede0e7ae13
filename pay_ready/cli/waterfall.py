"""The waterfall of a pair's evidence: as bars in a terminal, or as a picture."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

_CELLS = 40  # of the terminal's widest bar
_WIDTH, _BAR, _ROW, _LABELS, _VALUES = 1_100, 380, 26, 190, 250  # of the picture
_FOR, _AGAINST, _INK, _PALE = "#2a7f62", "#b3432f", "#1f2933", "#8a94a0"
_LONGEST = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One bar: it goes from where the bars before it ended."""

    name: str
    bits: float
    left: str = ""
    right: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Waterfall:
    """Bars that add up, and the line that decides."""

    title: str
    steps: Sequence[Step]
    threshold: float

    @property
    def total(self) -> float:
        """Where the last bar ends."""
        return sum(step.bits for step in self.steps)

    def range(self) -> tuple[float, float]:
        """The lowest and the highest that is drawn."""
        ends, at = [0.0, self.threshold], 0.0
        for step in self.steps:
            at += step.bits
            ends.append(at)
        return min(ends), max(ends)


def bars(waterfall: Waterfall) -> list[str]:
    """A bar for each step in cells of a terminal: "#" speaks for, "-" against; the threshold is a "|"."""
    low, high = waterfall.range()
    scale = _CELLS / max(high - low, 1e-9)

    def cell(bits: float) -> int:
        return min(max(round((bits - low) * scale), 0), _CELLS)

    lines, at = [], 0.0
    for step in waterfall.steps:
        start, end = sorted((cell(at), cell(at + step.bits)))
        drawn = [" "] * (_CELLS + 1)
        drawn[start:end] = ("#" if step.bits >= 0 else "-") * (end - start)
        drawn[cell(waterfall.threshold)] = "|"
        lines.append("".join(drawn).rstrip())
        at += step.bits
    return lines


def svg(waterfall: Waterfall) -> str:
    """The waterfall as a picture that stands alone."""
    low, high = waterfall.range()
    scale = _BAR / max(high - low, 1e-9)
    left = _LABELS + _VALUES
    height = 70 + _ROW * (len(waterfall.steps) + 1)

    def x(bits: float) -> float:
        return round(left + (bits - low) * scale, 1)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" font-family="sans-serif" font-size="13" fill="{_INK}">',
        f"<title>{escape(waterfall.title)}</title>",
        f'<text x="10" y="24" font-size="16" font-weight="600">{escape(waterfall.title)}</text>',
    ]
    at, y = 0.0, 48
    for step in waterfall.steps:
        start, end = sorted((x(at), x(at + step.bits)))
        colour = _FOR if step.bits >= 0 else _AGAINST
        parts += [
            f'<text x="10" y="{y + 13}">{escape(step.name)}</text>',
            f'<text x="{_LABELS}" y="{y + 13}" fill="{_PALE}">{escape(_short(step.left))}</text>',
            f'<rect x="{start}" y="{y}" width="{max(end - start, 1):.1f}" height="{_ROW - 8}" rx="2" fill="{colour}"/>',
            f'<text x="{left + _BAR + 8}" y="{y + 13}">{step.bits:+.1f}</text>',
            f'<text x="{left + _BAR + 60}" y="{y + 13}" fill="{_PALE}">{escape(_short(step.right))}</text>',
        ]
        at, y = at + step.bits, y + _ROW
    line, said = x(waterfall.threshold), f"threshold {waterfall.threshold:.1f}, reached {waterfall.total:.1f} bits"
    parts += [
        f'<line x1="{line}" y1="40" x2="{line}" y2="{y}" stroke="{_INK}" stroke-dasharray="4 3"/>',
        f'<text x="{line}" y="{y + 16}" text-anchor="middle">{said}</text>',
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def html(waterfall: Waterfall, remarks: Sequence[str]) -> str:
    """A page with the picture and what there is to say of it."""
    said = "".join(f"<li>{escape(each)}</li>" for each in remarks)
    head = f'<head><meta charset="utf-8"><title>{escape(waterfall.title)}</title></head>'
    return f'<!doctype html>\n<html lang="en">{head}\n<body>\n{svg(waterfall)}<ul>{said}</ul>\n</body></html>\n'


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"
