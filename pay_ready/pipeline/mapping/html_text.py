"""HTML as plain text: block elements on lines of their own, list items with a dash, quoted replies kept behind "> ", scripts dropped."""

import html
import re
from collections.abc import Iterator

from selectolax.lexbor import LexborHTMLParser, LexborNode

# A full parser corrects malformed markup, but its work grows with the square of what is nested or of a tag's attributes: 2.9 MB of
# attributes took 354 s, 64 KiB at most 0.2 s. Larger documents are read tag by tag, in linear time, into the same lines.
_LARGEST_PARSED = 64 * 1024
_DEEPEST_QUOTE = 3

_DROPPED = frozenset({"script", "style", "head", "title", "noscript", "template", "iframe", "object", "svg"})
_BLOCK_TAGS = """
    address article aside blockquote body center dd details dialog div dl dt fieldset figcaption figure footer form h1 h2 h3 h4 h5 h6 header
    hr legend li main nav ol option p pre section summary table tbody tfoot thead tr ul
"""
_BLOCKS = frozenset(_BLOCK_TAGS.split())
_CELLS = frozenset({"td", "th"})
_MARKUP = re.compile(r"<(?:(?P<comment>!--)|(?P<closing>/)?(?P<tag>[a-zA-Z][^\s/>]*)|[!?/])")
_SPACES = re.compile(r"[^\S\xa0]+|\xa0+")

# What a document is made of, in its order: ("text", words), ("open", tag), ("close", tag).
_Event = tuple[str, str]


def html_to_text(document: str) -> str:
    """The readable text of an HTML document or fragment; text without markup comes back with its white space tidied."""
    lines = _Lines()
    for event, value in _parsed_events(document) if len(document) <= _LARGEST_PARSED else _tag_events(document):
        lines.take(event, value)
    return lines.finished()


class _Lines:
    """Collects text into lines as a browser would break them."""

    def __init__(self) -> None:
        self._lines: list[str] = []
        self._line: list[str] = []
        self._quotes = 0
        self._preformatted = 0

    def take(self, event: str, value: str) -> None:
        if event == "text":
            self._take_text(value)
        elif value == "br":
            if event == "open":
                self._end_line(keep_empty=True)
        elif value in _CELLS:
            self._line.append(" ")
        elif value in _BLOCKS:
            self._end_line()
            self._enter(value, 1 if event == "open" else -1)

    def finished(self) -> str:
        self._end_line()
        return re.sub(r"\n{3,}", "\n\n", "\n".join(self._lines)).strip("\n")

    def _enter(self, tag: str, step: int) -> None:
        if tag == "blockquote":
            self._quotes = max(0, self._quotes + step)
        elif tag == "pre":
            self._preformatted = max(0, self._preformatted + step)
        elif tag == "li" and step > 0:
            self._line.append("- ")

    def _take_text(self, words: str) -> None:
        if not self._preformatted:
            self._line.append(_SPACES.sub(" ", words))
            return
        first, *others = words.split("\n")
        self._line.append(first)
        for other in others:
            self._end_line(keep_empty=True)
            self._line.append(other)

    def _end_line(self, *, keep_empty: bool = False) -> None:
        line = "".join(self._line)
        line = line.rstrip() if self._preformatted else _SPACES.sub(" ", line).strip()
        self._line.clear()
        if line == "-":
            self._line.append("- ")  # the paragraph of a list item belongs behind its dash
        elif line or keep_empty:
            self._lines.append("> " * min(self._quotes, _DEEPEST_QUOTE) + line if line else "")


def _parsed_events(document: str) -> Iterator[_Event]:
    """The events of a document as a browser understands it; a walk without recursion, for nesting has no limit."""
    node: LexborNode | None = LexborHTMLParser(document).body
    depth = 0
    while node is not None:
        tag = node.tag or ""
        if tag == "-text":
            yield "text", node.text_content or ""
        elif tag not in _DROPPED:
            yield "open", tag
        following = None if tag in _DROPPED else node.child
        depth += following is not None
        while following is None and node is not None:
            if node.tag != "-text" and node.tag not in _DROPPED:
                yield "close", node.tag or ""
            if depth == 0:
                return
            following = node.next
            if following is None:
                node, depth = node.parent, depth - 1
        node = following


def _tag_events(document: str) -> Iterator[_Event]:
    """The events of a document read from tag to tag. Each search goes on where the last one ended, so the time is linear."""
    position = 0
    while markup := _MARKUP.search(document, position):
        start, tag = markup.start(), (markup["tag"] or "").lower()
        yield "text", html.unescape(document[position:start])
        if markup["comment"]:
            position = _behind(document.find("-->", markup.end()), 3)
        else:
            position = _behind(document.find(">", markup.end()), 1)
            if position and tag in _DROPPED and not markup["closing"]:
                end = re.compile(f"</{tag}", re.IGNORECASE).search(document, position)
                position = end.start() if end else 0
            elif tag:
                yield "close" if markup["closing"] else "open", tag
        if not position:  # the tag or comment never ends: a browser shows nothing of it either
            return
    yield "text", html.unescape(document[position:])


def _behind(found: int, length: int) -> int:
    return found + length if found >= 0 else 0
