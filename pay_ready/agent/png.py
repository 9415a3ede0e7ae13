"""Writes a drawing as PNG (ISO/IEC 15948) with the standard library and NumPy: no imaging library for two lines and a few dates.

Letters come from a raster of 3 x 5 points, twice enlarged: capitals, digits and what dates and figures need; others are a dot.
"""

import struct
import zlib
from typing import TYPE_CHECKING

from pay_ready.agent.shapes import Dot, Drawing, Segment, Words

if TYPE_CHECKING:  # heavy
    import numpy as np
    from numpy.typing import NDArray

    Pixels = NDArray[np.uint8]  # (height, width, 3)

_SCALE = 2
# Five rows of three points, each row an octal digit: 7 is ###, 5 is #.#, 2 is .#.
_GLYPHS = """
0=75557 1=26227 2=71747 3=71717 4=55711 5=74717 6=74757 7=71122 8=75757 9=75717 A=25755 B=65656 C=34443 D=65556 E=74647 F=74644
G=34553 H=55755 I=72227 J=11152 K=55655 L=44447 M=57755 N=65555 O=25552 P=65644 Q=25563 R=65655 S=34216 T=72222 U=55557 V=55552
W=55775 X=55255 Y=55222 Z=71247 -=00700 .=00002 :=02020 ,=00024 +=02720 /=11244 %=51245 (=12221 )=42224
"""
_FONT = {pair[0]: pair[2:] for pair in _GLYPHS.split()}
_UNKNOWN, _BLANK = "00200", "00000"


def to_png(drawing: Drawing) -> bytes:
    """The drawing as a PNG file, 8 bits a channel, without transparency."""
    import numpy as np

    pixels = np.full((drawing.height, drawing.width, 3), 255, np.uint8)
    for shape in drawing.shapes:
        if isinstance(shape, Segment):
            _segment(pixels, shape)
        elif isinstance(shape, Dot):
            _stamp(pixels, shape.x, shape.y, shape.radius, _rgb(shape.colour))
        else:
            _words(pixels, shape)
    rows = b"".join(b"\0" + row.tobytes() for row in pixels)  # each row unfiltered
    header = struct.pack(">IIBBBBB", drawing.width, drawing.height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + _chunk(b"IDAT", zlib.compress(rows, 9)) + _chunk(b"IEND", b"")


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def _segment(pixels: "Pixels", line: Segment) -> None:
    colour, reach = _rgb(line.colour), line.width / 2
    if line.y1 == line.y2:  # most of a chart: the grid
        top, left = round(line.y1 - reach + 0.5), round(min(line.x1, line.x2))
        pixels[max(0, top) : max(0, top + max(1, round(line.width))), max(0, left) : max(0, round(max(line.x1, line.x2)) + 1)] = colour
        return
    steps = max(1, round(max(abs(line.x2 - line.x1), abs(line.y2 - line.y1))))
    for step in range(steps + 1):
        share = step / steps
        x, y = line.x1 + share * (line.x2 - line.x1), line.y1 + share * (line.y2 - line.y1)
        _stamp(pixels, x, y, reach, colour)


def _stamp(pixels: "Pixels", x: float, y: float, radius: float, colour: tuple[int, int, int]) -> None:
    """A filled circle; what lies outside the picture is cut off."""
    reach = int(radius) + 1
    for row in range(max(0, round(y) - reach), min(len(pixels), round(y) + reach + 1)):
        for column in range(max(0, round(x) - reach), min(pixels.shape[1], round(x) + reach + 1)):
            if (row - y) ** 2 + (column - x) ** 2 <= max(radius, 0.71) ** 2:
                pixels[row, column] = colour


def _words(pixels: "Pixels", words: Words) -> None:
    step = 4 * _SCALE
    width = step * len(words.text)
    left = round(words.x - {"start": 0, "middle": width / 2, "end": width}[words.anchor])
    top = round(words.y) - 5 * _SCALE
    for number, letter in enumerate(words.text.upper()):
        glyph = _BLANK if letter.isspace() else _FONT.get(letter, _UNKNOWN)
        for row, bits in enumerate(map(int, glyph)):
            for column in range(3):
                if bits & (4 >> column):
                    y, x = top + row * _SCALE, left + number * step + column * _SCALE
                    pixels[max(0, y) : max(0, y + _SCALE), max(0, x) : max(0, x + _SCALE)] = _rgb(words.colour)


def _rgb(colour: str) -> tuple[int, int, int]:
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)
