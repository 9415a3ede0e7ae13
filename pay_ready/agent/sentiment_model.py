"""How a sentence sounds: VADER's lexicon as the floor, and a shipped logistic model over sentence vectors and VADER's figures.

VADER: Hutto and Gilbert, "VADER: A Parsimonious Rule-based Model for Sentiment Analysis of Social Media Text", ICWSM 2014. The model's
coefficients are in `config/sentiment/minilm.json`, made by `python -m pay_ready.agent.train_sentiment`; they hold for one embedder, and
with another one VADER scores alone. Both are made for English.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pay_ready.agent.extract import check_rows
from pay_ready.errors import ConfigError
from pay_ready.resources import resource_path

if TYPE_CHECKING:  # heavy
    import numpy as np
    from numpy.typing import NDArray
    from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer

    from pay_ready.model.memory import Vectors

    Floats = NDArray[np.float64]

Label = Literal["negative", "neutral", "positive"]

LABELS: tuple[Label, ...] = ("negative", "neutral", "positive")
LANGUAGES = frozenset({"en"})  # ISO 639-1; what the lexicon and the training sentences are written in
VADER_ID = "vader-3.3"
FEATURES = ("neg", "neu", "pos", "compound", "last_clause", "negations", "is_question", "exclamations")
_NEUTRAL_BAND = 0.05  # of VADER's compound, as its authors advise
_CLAUSE = re.compile(r"\b(?:but|however|although)\b", re.IGNORECASE)
_NEGATION = re.compile(r"\b(?:not|no|never|nothing|none|nobody|cannot|without|neither|nor)\b|n['’]t\b", re.IGNORECASE)
_MOST_COUNTED = 3
_LONGEST_READ = 2_000  # characters of a sentence: VADER's time grows with the square of a word list


@dataclass(frozen=True, slots=True, kw_only=True)
class SentimentModel:
    """Coefficients of a multinomial logistic model, and whose vectors they hold for."""

    id: str
    embedder_id: str
    weights: "Floats"  # (dimensions + len(FEATURES), 3): rows as the vector's numbers, then FEATURES; columns as LABELS
    intercepts: "Floats"  # (3,)

    def probabilities(self, vectors: "Vectors", features: "Floats") -> "Floats":
        """Of each label, shape (n, 3); rows add up to 1. softmax(x @ weights + intercepts)."""
        import numpy as np

        logits = np.hstack([vectors, features]) @ self.weights + self.intercepts
        odds = np.exp(logits - logits.max(axis=1, keepdims=True))
        shares: Floats = odds / odds.sum(axis=1, keepdims=True)
        return shares


@dataclass(frozen=True, slots=True)
class Scorer:
    """Scores English sentences. `id` says by what; `reason` why that is VADER alone, else empty."""

    id: str
    reason: str = ""
    model: SentimentModel | None = None

    def score(self, texts: Sequence[str], vectors: "Vectors | None" = None) -> "tuple[Floats, list[Label]]":
        """Scores in [-1, 1], shape (len(texts),), and labels.

        With the model a score is P(positive) - P(negative), and the label the likeliest; with VADER alone its compound value, neutral
        where that is within 0.05 of 0.

        Raises:
            EmbeddingError: The model scores, and there is not one vector for each text.
        """
        import numpy as np

        if self.model is None or vectors is None:
            compounds = np.array([_compound(text) for text in texts], float)
            return compounds, [LABELS[1 + int(value >= _NEUTRAL_BAND) - int(value <= -_NEUTRAL_BAND)] for value in compounds]
        check_rows(vectors, len(texts))
        if not texts:
            return np.zeros(0), []
        shares = self.model.probabilities(vectors, features_of(texts))
        return shares[:, 2] - shares[:, 0], [LABELS[place] for place in shares.argmax(axis=1)]


def open_scorer(embedder_id: str | None, path: Path | None = None) -> Scorer:
    """The best scorer for vectors of an embedder: the shipped model where it holds for them, else VADER alone, with the reason.

    Args:
        embedder_id: Whose vectors there are; None: there are none.
        path: Coefficients to use instead of the shipped ones.

    Raises:
        ConfigError: The file of coefficients is missing or damaged.
    """
    if embedder_id is None:
        return Scorer(VADER_ID, "there are no vectors of these sentences")
    model = load_model(path or resource_path("config", "sentiment", "minilm.json"))
    if embedder_id != model.embedder_id:
        return Scorer(VADER_ID, f"the sentiment model holds for vectors of {model.embedder_id}, not of {embedder_id}")
    return Scorer(model.id, model=model)


@cache
def load_model(path: Path) -> SentimentModel:
    """Coefficients from a file as `train_sentiment` writes it.

    Raises:
        ConfigError: It cannot be read, or is not such a file; names the file.
    """
    import numpy as np

    hint = "restore it, or train it again: python -m pay_ready.agent.train_sentiment"
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        weights, intercepts = np.array(content["weights"], float), np.array(content["intercepts"], float)
        model = SentimentModel(
            id=str(content["id"]), embedder_id=str(content["embedder_id"]), weights=weights.reshape(-1, len(LABELS)), intercepts=intercepts
        )
        fits = weights.shape == (int(content["dimensions"]) + len(FEATURES), len(LABELS)) and intercepts.shape == (len(LABELS),)
        fits = fits and content["features"] == list(FEATURES) and bool(np.isfinite(weights).all())
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError("the sentiment model cannot be read", hint, file=str(path)) from error
    if not fits:
        raise ConfigError("the sentiment model has other coefficients than this version reads", hint, file=str(path))
    return model


def features_of(texts: Sequence[str]) -> "Floats":
    """What the model reads beside the vector, shape (len(texts), len(FEATURES)): VADER's shares and compound, the compound after
    the last "but", and counts (3 at most) of negations and exclamation marks, and whether there is a question mark."""
    import numpy as np

    rows = np.zeros((len(texts), len(FEATURES)))
    for row, whole in zip(rows, texts, strict=True):
        text = whole[:_LONGEST_READ]
        shares = _vader().polarity_scores(text)
        row[:4] = [shares[name] for name in FEATURES[:4]]
        row[4] = _compound(_CLAUSE.split(text)[-1])
        row[5] = min(_MOST_COUNTED, len(_NEGATION.findall(text)))
        row[6] = "?" in text
        row[7] = min(_MOST_COUNTED, text.count("!"))
    return rows


def _compound(text: str) -> float:
    return float(_vader().polarity_scores(text[:_LONGEST_READ])["compound"])


@cache
def _vader() -> "SentimentIntensityAnalyzer":
    from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer

    return SentimentIntensityAnalyzer()
