"""How good the agent is, as one table: fixed question sets of ours, and public ones where a folder of them is named.

    make eval [ARGS="--data FOLDER"]        FOLDER holds own_date_questions … as tests/benchmarks/summary.py and memory.py read them

Sets of ours are in `pay_ready/agent/eval`; rules and models were mended on some of them: a figure on them shows that nothing got worse.
"""

import argparse
import csv
import gzip
import io
import json
import random
import sys
from collections.abc import Iterator
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

from pay_ready.agent import evaluate_text
from pay_ready.agent.eval.coaching import objection_scores, read_objections
from pay_ready.agent.eval.questions import DATE_SETS, FOLLOW_UP_SETS, INTENT_SETS, date_questions, intent_questions
from pay_ready.agent.eval.reading import (
    evaluate_dates,
    evaluate_drawn_names,
    evaluate_follow_ups,
    evaluate_intents,
    evaluate_names,
    typing_error,
)
from pay_ready.agent.evaluate_text import Figure
from pay_ready.agent.intent_model import classified, model_from_json
from pay_ready.agent.sentiment_model import open_scorer
from pay_ready.memory.embed.choose import open_embedder
from pay_ready.memory.embed.options import EmbedderOptions
from pay_ready.model.memory import Embedder
from pay_ready.pipeline.coaching_config import load_coaching_rules
from pay_ready.resources import resource_path
from tests.benchmarks.questions import names
from tests.benchmarks.summary import MEETING_WORDS, meetings, ours, rouge

_LEAST_INTENT = 0.35


def rows(path: Path) -> list[Any]:
    """The records of a gzipped JSON lines file."""
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def reading(embedder: Embedder) -> Iterator[Figure]:
    """Times, intents and names of questions."""
    for name in DATE_SETS:
        found = evaluate_dates(date_questions(name))
        yield Figure(f"{name}: ranges exact of {found.asked}", found.exact / found.asked, 0.95)
        yield Figure(f"{name}: false dates of {found.without}", found.false / found.without, 0.0)
    path = resource_path("config", "agent", "intents.json")
    model = model_from_json(path.read_text(encoding="utf-8"), path.name)
    fits = model.fits(embedder)
    classify = (lambda text: classified(model.probabilities(text, embedder), _LEAST_INTENT)) if fits else None
    for name in INTENT_SETS:
        intents = evaluate_intents(classify, intent_questions(name))
        yield Figure(f"{name} of {intents.asked}" + ("" if fits else ", by rules alone"), intents.right / intents.asked)
        yield Figure(f"{name}: out of scope, declined of {intents.out_of_scope}", intents.declined / intents.out_of_scope)
    for name in FOLLOW_UP_SETS:
        follow_ups = evaluate_follow_ups(classify, name)
        yield Figure(f"{name}: whole plans of {follow_ups.asked}", follow_ups.right / follow_ups.asked)
    known = names()
    drawn = random.Random(5).sample(known, 400)
    numbered = iter(range(10**6))
    mistyped = evaluate_names(drawn[:300], (), drawn[300:], lambda name: typing_error(name, next(numbered)))
    yield Figure(f"names with one typing error, found of {mistyped.asked}", mistyped.found / mistyped.asked, 0.97)
    yield Figure(f"absent names linked of {mistyped.absent}", mistyped.false / mistyped.absent, 0.0)
    drawn_names = evaluate_drawn_names(range(1, 9))
    yield Figure(f"names of 19 countries with one error, found of {drawn_names.asked}", drawn_names.found / drawn_names.asked, 0.97)
    # No bar: who differs by a letter from somebody known, in a name that nobody else has, cannot be told from a slip.
    yield Figure(f"absent names of 19 countries linked of {drawn_names.absent}", drawn_names.false / drawn_names.absent)


def texts(embedder: Embedder) -> Iterator[Figure]:
    """Sentiment of complaints, and objections, of our own making."""
    complaints = evaluate_text.complaints()
    scorer = open_scorer(embedder.id)
    yield from evaluate_text.sentiment_figures("own complaints", complaints, embedder.embed([text for _, text in complaints]), scorer, 0.58)
    rules = load_coaching_rules(resource_path("config", "coaching"))
    for name, value in objection_scores(rules.trackers, read_objections(), None if embedder.is_lexical else embedder).items():
        yield Figure(f"objections, {name}", value)


def public(folder: Path, embedder: Embedder) -> Iterator[Figure]:
    """Retrieval, summaries, requests and masking on public sets."""
    talks = list(meetings(folder / "meetings_qmsum.jsonl.gz"))
    vectors = [embedder.embed([each.text for each in one.sentences]) for one in talks]
    yield Figure(f"QMSum, ROUGE-1 of {len(talks)} meetings", rouge(talks, vectors, MEETING_WORDS, ours)[0], 25.0)
    asked = [(bool(row["is_request"]), row["sentence"]) for row in rows(folder / "email_requests.jsonl.gz")]
    yield from evaluate_text.request_figures(asked)
    yield from evaluate_text.masking_figures(rows(folder / "pii_synthetic.jsonl.gz"))


def main() -> int:
    """Print the table; 1 when a bar is missed."""
    parser = argparse.ArgumentParser(prog="make eval")
    parser.add_argument("--data", type=Path, help="folder of the public sets")
    parser.add_argument("--csv", action="store_true")
    asked = parser.parse_args()
    with redirect_stdout(io.StringIO()):
        embedder = open_embedder(EmbedderOptions())
    figures = [*reading(embedder), *texts(embedder), *(public(asked.data, embedder) if asked.data else ())]
    if asked.csv:
        csv.writer(sys.stdout).writerows((each.name, each.value, each.bar) for each in figures)
    else:
        print(f"embedder: {embedder.id}")
        for each in figures:
            bar = "" if each.bar is None else f"bar {each.bar:g}"
            print(f"{each.name:60} {each.value:8.3f}  {bar:10} {'' if met(each) else 'MISSED'}".rstrip())
    return 0 if all(map(met, figures)) else 1


def met(figure: Figure) -> bool:
    """Whether a figure reaches its bar; where that is 0, whether it is none."""
    return figure.bar is None or (figure.value <= 0 if figure.bar == 0 else figure.value >= figure.bar)


if __name__ == "__main__":
    sys.exit(main())
