"""A small classifier for questions that no rule reads: multinomial logistic regression on the question's vector.

Softmax of W x + b, for a unit vector x of the embedder that it was trained with; "none" is a class of its own: what cannot be answered.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pay_ready.agent.plan import INTENTS, Intent
from pay_ready.errors import ConfigError
from pay_ready.model.memory import Embedder

if TYPE_CHECKING:  # heavy
    import numpy as np
    from numpy.typing import NDArray

NONE = "none"
LABELS: tuple[str, ...] = (*INTENTS, NONE)
_DIGITS = 3  # after the point; the largest change of a probability is below 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class IntentModel:
    """Coefficients, and the embedder that they belong to."""

    embedder_id: str
    labels: tuple[str, ...]
    weights: "NDArray[np.float32]"  # (labels, dim)
    biases: "NDArray[np.float32]"  # (labels,)

    def fits(self, embedder: Embedder) -> bool:
        """Whether its vectors are of the kind that this was trained on."""
        return embedder.id == self.embedder_id and not embedder.is_lexical

    def probabilities(self, masked: str, embedder: Embedder) -> Mapping[str, float]:
        """Of each intent and of "none"; they add up to 1."""
        import numpy as np

        scores = self.weights @ embedder.embed([masked])[0] + self.biases
        shares = np.exp(scores - scores.max())
        return dict(zip(self.labels, (shares / shares.sum()).tolist(), strict=True))


@dataclass(frozen=True, slots=True)
class Classified:
    """The likeliest intent, None for "none" or where nothing is likely enough."""

    intent: Intent | None
    confidence: float  # its probability


def classified(probabilities: Mapping[str, float], least: float) -> Classified:
    """The intent to act on: the likeliest one, if it is at least so likely."""
    label, share = max(probabilities.items(), key=lambda each: (each[1], each[0]))
    intent = next((intent for intent in INTENTS if intent == label), None)
    return Classified(intent if share >= least else None, round(share, 3))


def model_from_json(text: str, name: str) -> IntentModel:
    """A model out of the file that `dump_model` wrote.

    Raises:
        ConfigError: It is no such file; names it.
    """
    import numpy as np

    try:
        kept = json.loads(text)
        model = IntentModel(
            embedder_id=kept["embedder_id"],
            labels=tuple(kept["labels"]),
            weights=np.asarray(kept["weights"], dtype=np.float32),
            biases=np.asarray(kept["biases"], dtype=np.float32),
        )
    except (ValueError, KeyError, TypeError) as error:
        raise ConfigError("no intent model", "train it again: python -m pay_ready.agent.train_intents", file=name) from error
    if (
        set(model.labels) != set(LABELS)
        or model.weights.ndim != 2
        or len(model.weights) != len(model.biases)
        or len(model.biases) != len(model.labels)
    ):
        raise ConfigError("an intent model of other intents", "train it again: python -m pay_ready.agent.train_intents", file=name)
    return model


def dump_model(model: IntentModel) -> str:
    """The model as JSON, a class a line."""
    rows = ",\n".join("  " + json.dumps([round(float(each), _DIGITS) for each in row]) for row in model.weights)
    biases = json.dumps([round(float(each), _DIGITS) for each in model.biases])
    head = f'"embedder_id": {json.dumps(model.embedder_id)},\n"labels": {json.dumps(list(model.labels))}'
    return f'{{{head},\n"biases": {biases},\n"weights": [\n{rows}\n]}}\n'


def train(examples: Sequence[tuple[str, str]], embedder: Embedder, penalty: float = 0.02) -> IntentModel:
    """Coefficients from (label, masked question): the mean negative log likelihood plus penalty / 2 times the weights' squares, by L-BFGS.

    Every label counts the same, however many examples it has. Deterministic for the same examples and embedder.
    """
    import numpy as np
    from scipy.optimize import minimize

    vectors = embedder.embed([question for _, question in examples]).astype(np.float64)
    wanted = np.zeros((len(examples), len(LABELS)))
    for row, (label, _) in enumerate(examples):
        wanted[row, LABELS.index(label)] = 1
    weight = 1 / (wanted.sum(0)[wanted.argmax(1)] * len(LABELS))
    size = len(LABELS) * vectors.shape[1]

    def loss(flat: "NDArray[np.float64]") -> "tuple[float, NDArray[np.float64]]":
        weights, biases = flat[:size].reshape(len(LABELS), -1), flat[size:]
        scores = vectors @ weights.T + biases
        scores -= scores.max(1, keepdims=True)
        logs = scores - np.log(np.exp(scores).sum(1, keepdims=True))
        slope = (np.exp(logs) - wanted) * weight[:, None]
        value = -(wanted * logs).sum(1) @ weight + penalty / 2 * (weights**2).sum() / len(LABELS)
        return float(value), np.concatenate([(slope.T @ vectors + penalty * weights / len(LABELS)).ravel(), slope.sum(0)])

    found = minimize(loss, np.zeros(size + len(LABELS)), jac=True, method="L-BFGS-B", options={"maxiter": 500}).x
    weights = found[:size].reshape(len(LABELS), -1).astype(np.float32)
    return IntentModel(embedder_id=embedder.id, labels=LABELS, weights=weights, biases=found[size:].astype(np.float32))
