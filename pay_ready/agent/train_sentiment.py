"""Trains the shipped sentiment model: `python -m pay_ready.agent.train_sentiment SENTENCES.jsonl.gz [--to FILE]`.

SENTENCES has one {"set", "label", "text"} a line. Only sets whose licence permits what we do with them are read (LICENSED); a set that is
not among them is left out and named. Multinomial logistic regression with an L2 penalty, by L-BFGS, from zero: the same sentences and the
same embedder give the same coefficients.
"""

import argparse
import gzip
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

from pay_ready.agent.figures import macro_f1
from pay_ready.agent.sentiment_model import FEATURES, LABELS, Label, SentimentModel, features_of

if TYPE_CHECKING:  # heavy
    import numpy as np
    from numpy.typing import NDArray

    from pay_ready.model.memory import Embedder, Vectors

    Floats = NDArray[np.float64]

_UCI = "Sentiment Labelled Sentences (Kotzias, UCI Machine Learning Repository; Kotzias et al., KDD 2015), CC BY 4.0"
LICENSED = {
    "uci_amazon_cells": _UCI,
    "uci_yelp": _UCI,
    "uci_imdb": _UCI,
    "senti4sd": "Senti4SD (Calefato, Lanubile, Maiorano, Novielli, Empirical Software Engineering 2018), MIT",
}
PENALTY = 1.0  # half of it times the sum of squared weights is added to the loss; chosen leaving one set out at a time
_DIGITS = 4


@dataclass(frozen=True, slots=True)
class Labelled:
    """A sentence and how people labelled it."""

    set: str
    label: Label
    text: str


def main(words: Sequence[str] | None = None) -> int:
    """Train, say what was held out and how well it was told, and write the coefficients."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sentences", type=Path)
    parser.add_argument("--to", type=Path, default=Path("config/sentiment/minilm.json"))
    asked = parser.parse_args(words)
    sentences, left_out = read_licensed(asked.sentences)
    embedder = _embedder()
    vectors = embedder.embed([each.text for each in sentences])
    lines = [f"{len(sentences)} sentences of {', '.join(LICENSED)}; left out: {', '.join(left_out) or 'none'}"]
    lines += [f"{name}, not trained on: macro-F1 {value:.3f}" for name, value in leave_one_out(sentences, vectors).items()]
    model = train(sentences, vectors, embedder.id)
    asked.to.parent.mkdir(parents=True, exist_ok=True)
    asked.to.write_text(to_json(model, sorted({LICENSED[each.set] for each in sentences})), encoding="utf-8")
    sys.stdout.write("\n".join([*lines, f"written: {asked.to}", ""]))
    return 0


def read_licensed(path: Path) -> tuple[list[Labelled], list[str]]:
    """The sentences of licensed sets, and the names of the sets left out."""
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        rows = [Labelled(row["set"], cast("Label", row["label"]), row["text"]) for row in map(json.loads, lines)]
    return [row for row in rows if row.set in LICENSED], sorted({row.set for row in rows} - set(LICENSED))


def train(sentences: Sequence[Labelled], vectors: "Vectors", embedder_id: str) -> SentimentModel:
    """Coefficients that fit the labels best under the penalty.

    Minimises -sum log P(label) + PENALTY / 2 * sum weights^2; intercepts are free. Rounded to 4 decimals, as they are written.
    """
    import numpy as np
    from scipy.optimize import minimize

    rows = np.hstack([vectors, features_of([each.text for each in sentences])])
    truth = np.eye(len(LABELS))[[LABELS.index(each.label) for each in sentences]]
    width, classes = rows.shape[1], len(LABELS)

    def loss(flat: "Floats") -> "tuple[float, Floats]":
        weights, intercepts = flat[: width * classes].reshape(width, classes), flat[width * classes :]
        logits = rows @ weights + intercepts
        logits -= logits.max(axis=1, keepdims=True)
        shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        error = shares - truth
        value = -float(np.log(np.maximum((shares * truth).sum(axis=1), 1e-12)).sum()) + PENALTY / 2 * float((weights**2).sum())
        return value, np.concatenate([(rows.T @ error + PENALTY * weights).ravel(), error.sum(axis=0)])

    found = minimize(loss, np.zeros((width + 1) * classes), jac=True, method="L-BFGS-B", options={"maxiter": 500})
    weights = np.round(found.x[: width * classes].reshape(width, classes), _DIGITS)
    intercepts = np.round(found.x[width * classes :], _DIGITS)
    return SentimentModel(id="minilm-vader-1", embedder_id=embedder_id, weights=weights, intercepts=intercepts)


def leave_one_out(sentences: Sequence[Labelled], vectors: "Vectors") -> dict[str, float]:
    """Macro-F1 on each set by a model that saw none of it; review sentences, which are never neutral, by the score's sign."""
    import numpy as np

    sets = np.array([each.set for each in sentences])
    figures = {}
    for name in LICENSED:
        held = sets == name
        others = {each.label for each in sentences if each.set != name}
        if not held.any() or not {each.label for each in sentences if each.set == name} <= others:
            continue  # a label that the other sets do not have cannot be learnt from them
        model = train([each for each in sentences if each.set != name], vectors[~held], "")
        asked = [each for each in sentences if each.set == name]
        shares = model.probabilities(vectors[held], features_of([each.text for each in asked]))
        is_binary = all(each.label != "neutral" for each in asked)
        told = [LABELS[2 * int(row[2] > row[0]) if is_binary else int(row.argmax())] for row in shares]
        figures[name] = macro_f1([each.label for each in asked], told)
    return figures


def to_json(model: SentimentModel, credits_: Sequence[str]) -> str:
    """The file of a model: one row of coefficients a line, so that a change can be read."""
    head = {
        "id": model.id,
        "credits": list(credits_),
        "embedder_id": model.embedder_id,
        "labels": list(LABELS),
        "features": list(FEATURES),
        "dimensions": len(model.weights) - len(FEATURES),
        "intercepts": model.intercepts.tolist(),
    }
    rows = ",\n".join(json.dumps(row) for row in model.weights.tolist())
    return json.dumps(head, indent=1)[:-2] + ',\n "weights": [\n' + rows + "\n]\n}\n"


def _embedder() -> "Embedder":
    """The only place here that opens one: training is a developer's command."""
    from pay_ready.memory.embed.choose import open_embedder
    from pay_ready.memory.embed.options import EmbedderOptions

    return open_embedder(EmbedderOptions(provider="minilm-numpy"))


if __name__ == "__main__":
    sys.exit(main())
