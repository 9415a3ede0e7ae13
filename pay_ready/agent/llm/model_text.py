"""A model's words, made harmless: no link, image, markup, escape or invisible character is left, whatever it was told to write."""

import html
import re

from pay_ready.agent.personal import MASKED
from pay_ready.agent.safe_text import plain

LONGEST_SENTENCE = 600  # characters
_ROUNDS = 5  # what is nested deeper is cut to its bones
_TOKEN = re.compile(f"({MASKED})")
_IMAGE = re.compile(r"!\[[^\]]*\]\s?(?:\([^)]*\)?|\[[^\]]*\])")
_LINK = re.compile(r"\[([^\]]*)\]\s?(?:\([^)]*\)?|\[[^\]]*\])")
_DEFINITION = re.compile(r"\[[^\]]*\]:\s?\S+")
_TAG = re.compile(r"<[a-zA-Z/!?][^>]*>?")
_ADDRESS = re.compile(
    r"(?:\b[a-z][a-z0-9+.-]{1,15}:/+|\b(?:javascript|vbscript|data|mailto|file|tel):(?=\S)|(?<![\w.])//(?=\w)|\bwww\.)\S*"
    r"|\b[\w-]+(?:\.[\w-]+)*\.[a-z]{2,}(?::\d+)?[/?#]\S*",
    re.IGNORECASE,
)
_MARKS = re.compile(r"[`*\\{}\[\]|]|!(?=\[)|[#>~_]{2,}|^\s*[#>]+")


def model_text(text: str) -> str:
    """One line of words; masked values (`<person:7f3a91c2>`) stay as they are. Empty where nothing else was in it."""
    return " ".join("".join(part if _TOKEN.fullmatch(part) else _stripped(part) for part in _parts(text)).split())


def _parts(text: str) -> list[str]:
    # Out of entities and invisible characters first: what they hide must not come together later.
    line = plain(text[:LONGEST_SENTENCE])
    for _ in range(_ROUNDS):
        opened = plain(html.unescape(line))
        if opened == line:
            break
        line = opened
    return _TOKEN.split(line)


def _stripped(text: str) -> str:
    for _ in range(_ROUNDS):
        cut = _ADDRESS.sub(" ", _TAG.sub(" ", _DEFINITION.sub(" ", _LINK.sub(r" \1 ", _IMAGE.sub(" ", text)))))
        if cut == text:
            break
        text = cut
    text = _MARKS.sub("", text)
    return _ADDRESS.sub(" ", re.sub(r"<(?=[a-zA-Z/!?])|&(?=#|\w+;)", " ", text))
