"""Keywords as a coach writes them: words in any case; "cancel*" begins a word, "send ... contract" has up to 4 words between.

A search is linear: no part of the expression can repeat without end. Most sentences are passed over without it, because of each keyword
the longest word must be among theirs.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

_WORDS_BETWEEN = 4  # that "..." may stand for
_PIECE = re.compile(r"[^\W_]+")  # an apostrophe parts two of them: "competitor's" holds "competitor"


@dataclass(frozen=True, slots=True, kw_only=True)
class Keywords:
    """Some keywords, ready to search with."""

    pattern: re.Pattern[str]
    needed: frozenset[str]  # one of these words is in every sentence with a keyword,
    stems: tuple[str, ...]  # or one that begins so
    is_open: bool  # or a keyword has no word at all

    def is_in(self, sentence: str, words: Sequence[str]) -> bool:
        """Whether a sentence holds one of them; its words are those of `pieces_of`."""
        is_likely = (
            self.is_open or not self.needed.isdisjoint(words) or (bool(self.stems) and any(each.startswith(self.stems) for each in words))
        )
        return is_likely and self.pattern.search(sentence) is not None


def pieces_of(sentence: str) -> list[str]:
    """The words of a sentence in lower case, parted at apostrophes and hyphens too."""
    return _PIECE.findall(sentence.lower())


@cache
def keywords_of(keywords: tuple[str, ...]) -> Keywords:
    """One expression for all of them; there must be at least one."""
    longest = [_longest(keyword) for keyword in keywords]
    return Keywords(
        pattern=re.compile(rf"(?<![\w'’])(?:{'|'.join(map(_expression, keywords))})(?!\w)", re.IGNORECASE),
        needed=frozenset(word for word, is_stem in longest if word and not is_stem),
        stems=tuple(sorted({word for word, is_stem in longest if word and is_stem})),
        is_open=any(not word for word, _ in longest),
    )


def _longest(keyword: str) -> tuple[str, bool]:
    """The longest piece of a keyword that is a whole word, else of its stems; and whether it is a stem."""
    pieces = [(piece, False) for word in keyword.lower().split() if not word.endswith("*") for piece in _PIECE.findall(word)]
    # Of "follow-up*" the last piece alone may go on.
    for word in keyword.lower().split():
        if word.endswith("*") and (parts := _PIECE.findall(word)):
            pieces += [*((piece, False) for piece in parts[:-1]), (parts[-1], True)]
    return max(pieces, key=lambda piece: (not piece[1], len(piece[0])), default=("", False))


def _expression(keyword: str) -> str:
    parts = []
    for word in keyword.replace("’", "'").split():
        if word == "...":
            parts.append(rf"(?:[\w'’]{{1,30}}[\s,]{{1,3}}){{0,{_WORDS_BETWEEN}}}?")
        else:
            stem = re.escape(word.removesuffix("*")).replace("'", "['’]")
            parts.append(stem + (r"\w{0,30}" if word.endswith("*") else ""))
    written = ""
    for part, following in zip(parts, [*parts[1:], ""], strict=True):
        written += part if part.startswith("(?:") or not following else part + r"[\s,]{1,3}"
    return written
