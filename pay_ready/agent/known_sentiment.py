"""Sentiment that the step `analyse` has kept, used where it still is about the same words; what is not known is scored on the spot."""

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING
from uuid import UUID

from pay_ready.agent.sentences import Sentence, words_of
from pay_ready.agent.sentiment import ScoredSentence, SentimentReading, score_sentences
from pay_ready.agent.sentiment_model import LABELS, LANGUAGES, Label, Scorer, open_scorer
from pay_ready.db.sentiment import KnownSentiment
from pay_ready.model.memory import Embedder

if TYPE_CHECKING:  # heavy
    from pay_ready.model.memory import Vectors

_LETTERS: Mapping[Label, str] = {"negative": "n", "neutral": "o", "positive": "p"}
_LABELS: Mapping[str, Label] = {_LETTERS[label]: label for label in LABELS}


def scorer_for(embedder: Embedder) -> Scorer:
    """By whom sentences are scored where their vectors can be had."""
    return open_scorer(None if embedder.is_lexical else embedder.id)


def sentence_vectors(sentences: Sequence[Sentence], embedder: Embedder, scorer: Scorer) -> "Vectors | None":
    """A row for each sentence; what is said word for word twice is embedded once. None where the scorer reads no vectors.

    Those in a language that is not read have rows of zeros.

    Raises:
        EmbeddingError, TransientError: From the embedder.
    """
    import numpy as np

    if scorer.model is None:
        return None
    rows = np.zeros((len(sentences), embedder.dim), np.float32)
    places: dict[str, list[int]] = {}
    for place, each in enumerate(sentences):
        if each.utterance.language in LANGUAGES:
            places.setdefault(each.text, []).append(place)
    if places:
        for row, where in zip(embedder.embed(list(places)), places.values(), strict=True):
            rows[where] = row
    return rows


def by_interaction(sentences: Iterable[Sentence]) -> dict[UUID, list[Sentence]]:
    """Sentences by what they were said in, in their order."""
    found: dict[UUID, list[Sentence]] = {}
    for each in sentences:
        found.setdefault(each.utterance.interaction_id, []).append(each)
    return found


def words_hash(sentences: Sequence[Sentence]) -> bytes:
    """sha256 of what is said and in which language: it changes with either."""
    return hashlib.sha256("\x1f".join((each.utterance.language + "\x1e" + each.text) for each in sentences).encode()).digest()


def known_of(sentences: Sequence[Sentence], scored: Sequence[ScoredSentence], interaction_ids: Sequence[UUID]) -> list[KnownSentiment]:
    """What is to be kept of interactions: those without a sentence that could be read, too.

    The whole sounds like the mean of its sentences, each weighted by its words.
    """
    said = by_interaction(sentences)
    read: dict[UUID, list[ScoredSentence]] = {}
    for each in scored:
        read.setdefault(each.sentence.utterance.interaction_id, []).append(each)
    made = []
    for interaction_id in interaction_ids:
        found = read.get(interaction_id, [])
        weights = [max(1, len(words_of(each.sentence.text))) for each in found]
        total = sum(weight * each.score for weight, each in zip(weights, found, strict=True))
        made.append(
            KnownSentiment(
                interaction_id=interaction_id, sentiment=total / sum(weights) if found else None,
                content_hash=words_hash(said.get(interaction_id, [])), scores=tuple(each.score for each in found),
                labels="".join(_LETTERS[each.label] for each in found),
            )
        )  # fmt: skip
    return made


def read_sentiment(
    sentences: Sequence[Sentence],
    known: Mapping[UUID, KnownSentiment],
    best: Scorer,
    fresh: Callable[[Sequence[Sentence]], "tuple[Scorer, Vectors | None]"],
) -> SentimentReading:
    """The sentences with their scores: the kept ones where these are about the same words, else scored now.

    Args:
        sentences: In any order, those of an interaction together.
        known: What `best` has read, by interaction.
        best: By whom sentences are scored where it can be had.
        fresh: By whom the rest is scored now, and with which vectors.

    Raises:
        EmbeddingError: From `fresh`.
    """
    kept: dict[int, ScoredSentence] = {}
    rest: list[Sentence] = []
    for interaction_id, said in by_interaction(sentences).items():
        found = known.get(interaction_id)
        if found is None or not _fits(found, said):
            rest.extend(said)
            continue
        for each, score, letter in zip(said, found.scores, found.labels, strict=True):
            kept[id(each)] = ScoredSentence(sentence=each, score=score, label=_LABELS[letter])
    if not rest:
        return SentimentReading(scorer_id=best.id, reason=best.reason, scored=tuple(kept[id(each)] for each in sentences))
    scorer, vectors = fresh(rest)
    read = score_sentences(rest, vectors, scorer)
    kept |= {id(each.sentence): each for each in read.scored}
    told = replace(read, scored=tuple(kept[id(each)] for each in sentences if id(each) in kept))
    if scorer.id == best.id or not read.scored:
        return replace(told, scorer_id=best.id, reason=best.reason)
    about = len({each.sentence.utterance.interaction_id for each in read.scored})
    reason = f"{scorer.id} read {about:,} of the interactions: {scorer.reason}"
    return replace(told, scorer_id=best.id if len(kept) > len(read.scored) else scorer.id, reason=reason)


def _fits(found: KnownSentiment, said: Sequence[Sentence]) -> bool:
    is_read = all(each.utterance.language in LANGUAGES for each in said)
    return is_read and len(found.labels) == len(found.scores) == len(said) and found.content_hash == words_hash(said)
