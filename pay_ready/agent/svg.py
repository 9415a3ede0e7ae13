"""Writes a drawing as SVG 1.1: plain shapes, no script, no reference to anything outside."""

from html import escape

from pay_ready.agent.shapes import Dot, Drawing, Segment, Shape


def to_svg(drawing: Drawing) -> bytes:
    """The drawing as an SVG document in UTF-8. Texts are escaped, characters that XML forbids left out."""
    size = f'width="{drawing.width}" height="{drawing.height}"'
    shapes = "\n".join(map(_shape, drawing.shapes))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} viewBox="0 0 {drawing.width} {drawing.height}" '
        f'font-family="sans-serif" font-size="12">\n<rect {size} fill="#ffffff"/>\n{shapes}\n</svg>\n'
    ).encode()


def _shape(shape: Shape) -> str:
    if isinstance(shape, Segment):
        ends = f'x1="{shape.x1:.1f}" y1="{shape.y1:.1f}" x2="{shape.x2:.1f}" y2="{shape.y2:.1f}"'
        return f'<line {ends} stroke="{shape.colour}" stroke-width="{shape.width:g}" stroke-linecap="round"/>'
    if isinstance(shape, Dot):
        return f'<circle cx="{shape.x:.1f}" cy="{shape.y:.1f}" r="{shape.radius:g}" fill="{shape.colour}"/>'
    place = f'x="{shape.x:.1f}" y="{shape.y:.1f}" fill="{shape.colour}" text-anchor="{shape.anchor}"'
    return f"<text {place}>{escape(''.join(filter(str.isprintable, shape.text)))}</text>"
