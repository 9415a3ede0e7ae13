"""Extractive summary: the sentences that say most of a conversation and repeat each other least, in the order they were said.

Maximal marginal relevance (Carbonell and Goldstein, "The Use of MMR", SIGIR 1998) over given sentence vectors. Every line begins with its
speaker ("Jane Doe says: …"), quotes what was said without filler words, and cites the interaction.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pay_ready.agent.sentences import Citation, Sentence, cut_words, words_of
from pay_ready.agent.stopwords import STOP_WORDS
from pay_ready.errors import EmbeddingError

if TYPE_CHECKING:  # heavy
    import numpy as np
    from numpy.typing import NDArray

    from pay_ready.model.memory import Vectors

    Floats = NDArray[np.float64]

_OPENING = re.compile(
    r"^(?:(?:okay|ok|yeah|yes|yep|yup|so|well|um+|uh+|uh-huh|mm+|mm-hmm|hmm+|oh|ah|right|and|but|alright|all right|now|like|you know|"
    r"i mean|actually|basically|no|hey|hi|hello)\b[\s,.!…-]*)+",
    re.IGNORECASE,
)
_HESITATION = re.compile(r",?\s*\b(?:um+|uh+|uhm|hmm+|mm+|erm?)\b\s*,?", re.IGNORECASE)
_STAMMER = re.compile(r"(?<![\w'’])([\w'’]++)(?:[\s,]+\1\b)+", re.IGNORECASE)
_SHORTEST_CUT = 3  # words: a line that would be cut to fewer is left out


@dataclass(frozen=True, slots=True, kw_only=True)
class ExtractOptions:
    """How lines are chosen. A sentence's merit is

    relevance * (cos(sentence, all) + length_prior * min(1, content words / full_length) + position_prior * (1 - place)
    - question_cost * is question) - (1 - relevance) * (largest cos to a chosen one) + heard_prior * (speaker not chosen yet),

    where place runs from 0 at the first sentence to 1 at the last. On QMSum and LoCoMo all values near these are within 0.5 ROUGE-1.
    """

    words: int = 110  # of all lines together, speakers included
    most_lines: int = 12
    line_words: int = 40  # a longer sentence is cut
    relevance: float = 0.7
    length_prior: float = 0.05
    full_length: int = 15  # content words
    position_prior: float = 0.15
    heard_prior: float = 0.1
    question_cost: float = 0.05
    least_content_words: int = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line of an answer, and what it rests on."""

    text: str
    citations: tuple[Citation, ...]

    def __str__(self) -> str:
        return " ".join((self.text, *map(str, self.citations)))


def extract(sentences: Sequence[Sentence], vectors: "Vectors", options: ExtractOptions | None = None) -> list[Line]:
    """The lines that sum a conversation up, in the order of the sentences, of `options.words` words at most.

    O(n * dimensions) for each line and no more memory than that of the vectors.

    Args:
        sentences: In the order they were said, over one interaction or many.
        vectors: Their unit rows, shape (len(sentences), dimensions), float32.

    Raises:
        EmbeddingError: There is not one vector for each sentence.
    """
    options = options or ExtractOptions()
    check_rows(vectors, len(sentences))
    if not sentences:
        return []
    lines: dict[int, Line] = {}
    for place, words in _chosen(sentences, vectors, options):
        lines[place] = quote_line(sentences[place], words)
    return [lines[place] for place in sorted(lines)]


def quote_line(sentence: Sentence, most_words: int = 40) -> Line:
    """A sentence as a line: who says, asks or writes it, its words without filler, `most_words` of them at most, and the citation."""
    return Line(text=f"{_attribution(sentence)}: {cut_words(without_filler(sentence.text), most_words)}", citations=(sentence.citation,))


def without_filler(text: str) -> str:
    """What was said without opening filler ("Yeah, so"), hesitation and stammering; the text itself when nothing else is in it."""
    spoken = " ".join(_HESITATION.sub(" ", " ".join(text.split())).split())
    kept = _OPENING.sub("", _STAMMER.sub(r"\1", spoken)).strip()
    return kept[:1].upper() + kept[1:] if words_of(kept) else text


def content_words(text: str) -> set[str]:
    """Its different words, in lower case, that carry a meaning of their own."""
    return {word for word in map(str.lower, words_of(text)) if word not in STOP_WORDS}


def check_rows(vectors: "Vectors", rows: int) -> None:
    """Refuses vectors that are not one row for each text.

    Raises:
        EmbeddingError: They are not.
    """
    if vectors.ndim != 2 or len(vectors) != rows:
        raise EmbeddingError("not one vector for each text", texts=rows, vectors=len(vectors))


def _attribution(sentence: Sentence) -> str:
    said = sentence.utterance
    speaker = said.speaker or {"internal": "One of us", "external": "The other side"}.get(said.side, "Somebody")
    if sentence.text.rstrip(" \"'”’)").endswith("?"):
        return f"{speaker} asks"
    return f"{speaker} {'writes' if said.interaction_type in {'email', 'note', 'task', 'case'} else 'says'}"


def _chosen(sentences: Sequence[Sentence], vectors: "Vectors", options: ExtractOptions) -> list[tuple[int, int]]:
    """Places of the sentences taken, with the words that each may use, in the order of their merit."""
    import numpy as np

    merit, open_places = _merit(sentences, vectors, options)
    speakers = np.unique([each.utterance.speaker for each in sentences], return_inverse=True)[1]
    nearest, unheard = np.zeros(len(sentences)), np.ones(len(sentences), bool)
    chosen: list[tuple[int, int]] = []
    left = options.words
    while open_places.any() and len(chosen) < options.most_lines:
        value = options.relevance * merit - (1 - options.relevance) * nearest + options.heard_prior * unheard
        place = int(np.where(open_places, value, -np.inf).argmax())
        open_places[place] = False
        before = len(_attribution(sentences[place]).split())
        words = min(len(without_filler(sentences[place].text).split()), options.line_words, left - before)
        if words < _SHORTEST_CUT:
            if left < _SHORTEST_CUT + 2:
                break
            continue
        chosen.append((place, words))
        left -= before + words
        nearest = np.maximum(nearest, vectors @ vectors[place])
        unheard &= speakers != speakers[place]
    return chosen


def _merit(sentences: Sequence[Sentence], vectors: "Vectors", options: ExtractOptions) -> "tuple[Floats, NDArray[np.bool_]]":
    """Each sentence's merit before any is chosen, and which may be chosen: those with enough content, or all when none has."""
    import numpy as np

    content = np.array([len(content_words(without_filler(each.text))) for each in sentences], float)
    questions = np.array([each.text.rstrip().endswith("?") for each in sentences], float)
    middle = (vectors * np.maximum(content, 1e-3)[:, None].astype(np.float32)).sum(axis=0)
    middle /= max(float(np.linalg.norm(middle)), 1e-9)
    place = np.arange(len(sentences)) / max(1, len(sentences) - 1)
    merit = (
        vectors @ middle
        + options.length_prior * np.minimum(1, content / options.full_length)
        + options.position_prior * (1 - place)
        - options.question_cost * questions
    )
    enough = content >= options.least_content_words
    return merit.astype(np.float64), enough if enough.any() else np.ones(len(sentences), bool)
