"""One key at a time from a terminal, a line at a time from anything else."""

import os
import sys

END = ""  # there is no more input
_UTF8_LEADS = ((0xF0, 4), (0xE0, 3), (0xC0, 2))  # first byte -> bytes of the letter


def read_key() -> str:
    """The next key, without Enter; where standard input is no terminal the first letter of the next line, a blank for an empty one.

    Empty at the end of the input.
    """
    if not sys.stdin.isatty():
        line = sys.stdin.readline()
        return (line.strip() or " ")[0] if line else END
    import termios
    import tty

    terminal = sys.stdin.fileno()
    before = termios.tcgetattr(terminal)
    try:
        tty.setcbreak(terminal)
        return _letter(terminal)
    finally:
        termios.tcsetattr(terminal, termios.TCSADRAIN, before)


def read_line() -> str:
    """A whole line, without its end."""
    return sys.stdin.readline().rstrip("\r\n")


def _letter(terminal: int) -> str:
    first = os.read(terminal, 1)
    if first in (b"", b"\x04"):  # Ctrl-D
        return END
    length = next((size for lead, size in _UTF8_LEADS if first[0] >= lead), 1)
    rest = os.read(terminal, length - 1) if length > 1 else b""
    return (first + rest).decode("utf-8", "replace")
