"""Texts made shorter, and how many tokens they take."""

import re
from collections.abc import Callable

TokenEstimate = Callable[[str], int]  # tokens of a text, not negative
Compressor = Callable[[str, int, TokenEstimate], str]  # a text of at most so many tokens

BYTES_PER_TOKEN = 4
_ELLIPSIS = "…"
_SENTENCE_END = re.compile(r"(?<=[.!?。！？])\s+|\n+")


def estimated_tokens(text: str) -> int:
    """Tokens of a text for a language model, without its tokenizer: a quarter of the UTF-8 bytes, rounded up.

    The rule of thumb for English is 4 characters to a token; counting bytes makes other scripts cost more, as they do.
    """
    return -(-len(text.encode("utf-8", "surrogatepass")) // BYTES_PER_TOKEN)


def first_sentences(text: str, most_tokens: int, tokens_of: TokenEstimate = estimated_tokens) -> str:
    """The first whole sentences that fit; where the very first does not, its beginning."""
    kept = ""
    for sentence in _SENTENCE_END.split(text.strip()):
        longer = f"{kept} {sentence}".strip()
        if tokens_of(longer) > most_tokens:
            break
        kept = longer
    return kept or _beginning(text.strip(), most_tokens, tokens_of)


def shortened(text: str, most_tokens: int, tokens_of: TokenEstimate, compress: Compressor) -> str:
    """The text by the compressor, or its beginning where that left nothing; cut where that left too much."""
    made = compress(text, most_tokens, tokens_of).strip() or _beginning(text.strip(), most_tokens, tokens_of)
    return made if tokens_of(made) <= most_tokens else _beginning(made, most_tokens, tokens_of)


def _beginning(text: str, most_tokens: int, tokens_of: TokenEstimate) -> str:
    """As much of the beginning as fits, at the end of a word if one fits, with an ellipsis; never less than a character."""
    least, most = 0, len(text)
    while least < most:  # the most characters that fit, where more characters are never fewer tokens
        middle = (least + most + 1) // 2
        least, most = (middle, most) if tokens_of(text[:middle] + _ELLIPSIS) <= most_tokens else (least, middle - 1)
    cut = text[:least]
    whole_words = cut.rpartition(" ")[0] if least < len(text) and not text[least].isspace() else cut
    made = (whole_words or cut).rstrip() or text[:1]
    return f"{made}{_ELLIPSIS}" if made else ""
