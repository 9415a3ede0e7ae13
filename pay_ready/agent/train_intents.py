"""Trains the intent classifier and writes its coefficients: python -m pay_ready.agent.train_intents config/agent/intents.json

Needs the embedding weights (pay-ready models install). The examples are this project's own; the same ones give the same file.
"""

import sys
from pathlib import Path

from pay_ready.agent.eval.questions import intent_examples
from pay_ready.agent.intent_model import dump_model, train
from pay_ready.memory.embed.choose import open_embedder
from pay_ready.memory.embed.options import EmbedderOptions


def main(arguments: list[str]) -> int:
    """Write the file that is named; says what it was trained on."""
    [path] = arguments
    model = train(intent_examples(), open_embedder(EmbedderOptions()))
    Path(path).write_text(dump_model(model), encoding="utf-8")
    sys.stderr.write(f"{len(intent_examples())} examples, {len(model.labels)} labels, embedder {model.embedder_id}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
