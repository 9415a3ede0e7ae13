"""One key at a time from a terminal, a line at a time from anything else."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

END = ""  # there is no more input
_UTF8_LEADS = ((0xF0, 4), (0xE0, 3), (0xC0, 2))  # first byte -> bytes of the letter


@contextmanager
def single_keys() -> Iterator[None]:
    """Keys come without Enter and are not shown; as it was afterwards. Where standard input is no terminal, nothing changes."""
    if not sys.stdin.isatty():
        yield
        return
    import termios
    import tty

    terminal = sys.stdin.fileno()
    before = termios.tcgetattr(terminal)
    try:
        # Not flushing: what was typed ahead counts.
        tty.setcbreak(terminal, termios.TCSANOW)
        yield
    finally:
        termios.tcsetattr(terminal, termios.TCSADRAIN, before)


def read_key() -> str:
    """The next key (inside `single_keys`); where standard input is no terminal the first letter of the next line, a blank for an empty one.

    Empty at the end of the input.
    """
    if sys.stdin.isatty():
        return _letter(sys.stdin.fileno())
    line = sys.stdin.readline()
    return (line.strip() or " ")[0] if line else END


def read_line() -> str:
    """A whole line, shown while it is typed, without its end."""
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\r\n")
    import termios

    terminal = sys.stdin.fileno()
    before = termios.tcgetattr(terminal)
    lines = [*before]
    lines[3] |= termios.ICANON | termios.ECHO
    try:
        termios.tcsetattr(terminal, termios.TCSANOW, lines)
        # Past Python's buffer, which would keep keys that are typed after the line from `read_key`.
        typed = bytearray()
        while (part := os.read(terminal, 4_096)) and not part.endswith(b"\n"):
            typed += part
        return (typed + part).decode("utf-8", "replace").rstrip("\r\n")
    finally:
        termios.tcsetattr(terminal, termios.TCSANOW, before)


def _letter(terminal: int) -> str:
    first = os.read(terminal, 1)
    if first in (b"", b"\x04"):  # Ctrl-D
        return END
    length = next((size for lead, size in _UTF8_LEADS if first[0] >= lead), 1)
    rest = os.read(terminal, length - 1) if length > 1 else b""
    return (first + rest).decode("utf-8", "replace")
