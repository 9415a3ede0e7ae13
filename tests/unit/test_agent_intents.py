"""The intent classifier: trained the same from the same examples, kept as JSON, sure of what it knows and silent on the rest."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from pay_ready.agent.eval.questions import intent_examples, intent_questions
from pay_ready.agent.eval.reading import evaluate_intents
from pay_ready.agent.intent_model import LABELS, classified, dump_model, model_from_json, train
from pay_ready.errors import ConfigError
from tests.agent_support import read

_SHIPPED = Path(__file__).parents[2] / "config" / "agent" / "intents.json"


class OneWord:
    """An embedder for which texts are alike when they begin with the same label."""

    id, dim, max_tokens, is_lexical = "one-word", len(LABELS), 8, False

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """A unit row with its one at a place that the label tells."""
        rows = np.zeros((len(texts), self.dim), dtype=np.float32)
        for row, text in zip(rows, texts, strict=True):
            row[LABELS.index(text.split()[0])] = 1
        return rows


_EXAMPLES = [(label, f"{label} of Acme") for label in LABELS]


def test_it_learns_what_it_is_shown_and_survives_json() -> None:
    """Probabilities add up to 1, before and after the file, and change by less than a hundredth."""
    model = train(_EXAMPLES, OneWord())
    kept = model_from_json(dump_model(model), "intents.json")
    assert kept.fits(OneWord())
    for label, question in _EXAMPLES:
        shares, again = model.probabilities(question, OneWord()), kept.probabilities(question, OneWord())
        assert sum(shares.values()) == pytest.approx(1, abs=1e-5)
        assert max(shares, key=lambda each: shares[each]) == label
        assert again == pytest.approx(shares, abs=0.01)


def test_none_and_doubt_give_no_intent() -> None:
    """What is likeliest must be likely enough, and something that can be answered."""
    assert classified({"summary": 0.6, "none": 0.4}, 0.4).intent == "summary"
    assert classified({"summary": 0.35, "none": 0.3, "count": 0.35}, 0.4).intent is None
    assert classified({"summary": 0.2, "none": 0.8}, 0.4).intent is None


@pytest.mark.parametrize(
    "text", ["", "[]", '{"embedder_id": "x"}', json.dumps({"embedder_id": "x", "labels": ["summary"], "weights": [[1]], "biases": [0]})]
)
def test_another_file_is_refused_by_name(text: str) -> None:
    """The error names the file and the way to make it anew."""
    with pytest.raises(ConfigError, match=r"intents\.json.*train_intents"):
        model_from_json(text, "intents.json")


def test_the_shipped_coefficients_are_of_these_intents() -> None:
    """One row a label, for MiniLM's 384 dimensions."""
    model = model_from_json(_SHIPPED.read_text(encoding="utf-8"), _SHIPPED.name)
    assert (set(model.labels), model.weights.shape) == (set(LABELS), (len(LABELS), 384))


def test_nothing_is_both_trained_on_and_held_out() -> None:
    """No question stands in both sets, and each intent is in both."""
    trained, held_out = {question: label for label, question in intent_examples()}, intent_questions()
    assert not [question for _, question in held_out if question in trained]
    assert {label for label, _ in held_out} == set(trained.values()) == set(LABELS)


def test_rules_alone_read_most_and_decline_the_rest() -> None:
    """Without any classifier: .85 of the held-out questions, and nothing that is out of scope."""
    figures = evaluate_intents(None)
    assert figures.right / figures.asked >= 0.85, figures.wrong
    assert figures.declined == figures.out_of_scope, figures.wrong


@pytest.mark.parametrize("name", ["intents_second", "intents_third"])
def test_the_sets_that_rules_were_mended_on(name: str) -> None:
    """Of other trades: nothing gets worse."""
    figures = evaluate_intents(None, intent_questions(name))
    assert figures.right / figures.asked >= 0.95, figures.wrong
    assert figures.declined == figures.out_of_scope, figures.wrong


@pytest.mark.parametrize("question", ["Write an apology letter to Globex", "Please delete Jane Doe", "Book a room with Acme on Friday"])
def test_what_shall_be_done_is_declined(question: str) -> None:
    """Though it names a customer: nothing is done here."""
    assert read(question).state == "abstains"


@pytest.mark.parametrize(
    ("question", "intent"), [("Jane Doe", "who"), ("and Jane Doe?", "who"), ("I must ring and convince Jane Doe", "summary")]
)
def test_a_name_without_a_question(question: str, intent: str) -> None:
    """Alone, who that is; in a sentence that nothing else is read of, what was said."""
    assert read(question).intent == intent
