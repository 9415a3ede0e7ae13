"""Text that other people wrote, made harmless for where it is shown: one function for each output.

All of them give one line without what nobody sees: terminal escapes, control characters, zero-width and direction marks, fillers, private
use. Emoji that are joined by such marks fall into their parts. Linear in the length of the text.
"""

import html
import re
import unicodedata

_STARTERS = r"\x9d\x90\x98\x9e\x9f"  # of a string that only a terminal reads, as one character
_TERMINAL = re.compile(
    rf"(?:\x1b[\]PX^_]|[{_STARTERS}])[^\x07\x1b\x9c{_STARTERS}]*+(?:\x07|\x1b\\|\x9c)"  # titles, links and the like
    r"|(?:\x1b\[|\x9b)[0-?]*+[ -/]*+[@-~]"  # colours, moves
    r"|\x1b[ -/]*+[0-~]"
)
_INVISIBLE = frozenset({0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x2800, 0x3164, 0xFFA0, *range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0)})
_BLANKS = ("Zs", "Zl", "Zp")
_GONE = ("Cf", "Cs", "Co")

_MARKDOWN = re.compile(r"[\\`*_{}\[\]|~@$]|:(?=//)|(?<=www)\.", re.IGNORECASE)
_MARKDOWN_START = re.compile(r"^(?:[-+=#]|\d{1,9}(?=[.)](?: |$)))")  # a list, a heading, a rule
_FORMULA = "=+-@＝＋－＠"
_ELLIPSIS = "…"


class _Visible(dict[int, int | str | None]):
    """What becomes of a character, found out when it is first met."""

    def __missing__(self, code: int) -> int | str | None:
        kind = unicodedata.category(chr(code))
        kept: int | str | None = code
        if kind in _BLANKS or kind == "Cc":
            kept = " "
        elif kind in _GONE or code in _INVISIBLE:
            kept = None
        elif kind == "Cn":  # not a character yet, or never
            kept = "\N{REPLACEMENT CHARACTER}"
        self[code] = kept
        return kept


_visible = _Visible()


def plain(text: str) -> str:
    """One line of what a reader would see; for terminals, and for JSON, whose readers print it."""
    if not (text.isascii() and text.isprintable()):
        text = _TERMINAL.sub("", text).translate(_visible)
    return " ".join(text.split())


def for_html(text: str) -> str:
    """For an element's content or a quoted attribute."""
    return html.escape(plain(text))


def for_markdown(text: str) -> str:
    """For a paragraph, list item or table cell: nothing of it is markup, an image or a link, not even a bare address."""
    line = plain(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    line = _MARKDOWN.sub(lambda found: f"\\{found[0]}", line)
    return _MARKDOWN_START.sub(lambda found: f"{found[0]}\\" if found[0].isdigit() else f"\\{found[0]}", line)


def for_csv(text: str) -> str:
    """For a cell of a spreadsheet: one that would be a formula is led by an apostrophe (OWASP, "CSV Injection").

    So is one that begins with an apostrophe, so that taking one away gives back the text.
    """
    line = plain(text)
    return f"'{line}" if line[:1] in {*_FORMULA, "'"} else line


def clip(text: str, most: int) -> str:
    """At most `most` characters of one line, cut between words where that loses less than half."""
    line = plain(text)
    if len(line) <= most:
        return line
    cut = line[: most - 1]
    whole = cut.rpartition(" ")[0] if not line[most - 1].isspace() else cut
    kept = whole if len(whole) * 2 >= most else cut
    return kept.rstrip(" ,;:.-–—") + _ELLIPSIS
