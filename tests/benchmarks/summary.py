"""How much of people's own summaries ours say, and what it costs:
`python -m tests.benchmarks.summary [--qmsum FILE] [--dialogues FILE] [--requests FILE] [--sentiment FILE] [--topics FILE] [--pii FILE]`.

--qmsum: meetings with summaries (meetings_qmsum.jsonl.gz, about 9,500 words each): ROUGE-1, -2 and -L (F, rouge-score 0.1.2, stemmed) of
110 words, beside the first 110 words and the longest sentences. Goal: ROUGE-1 of 25.
--dialogues: lines of {"turns": [{"speaker", "text"}], "summaries": [text, …]}: ROUGE-1 of 28 words, the best of the summaries. Goal: 31.
--requests, --sentiment, --topics, --pii: labelled rows (email_requests, sentiment, support_banking77, pii_synthetic), for what
`pay_ready.agent.evaluate_text` says of them.

Without a file: CPU and wall time, and peak memory, of summaries and topics over invented vectors of 10,000 sentences, beside the limit:
one pass over the vectors for each line, and the distances of 2,000 prototypes.
"""

import argparse
import gzip
import json
import resource
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from pay_ready.agent import evaluate_text
from pay_ready.agent.extract import ExtractOptions, extract
from pay_ready.agent.sentences import Citation, Sentence, sentences_of
from pay_ready.agent.sentiment_model import open_scorer
from pay_ready.agent.topics import Passage, TopicOptions, topics_of
from pay_ready.memory.embed.choose import open_embedder
from pay_ready.memory.embed.options import EmbedderOptions
from pay_ready.model.memory import Embedder
from pay_ready.model.talk import Utterance

Vectors = NDArray[np.float32]

MEETING_WORDS, DIALOGUE_WORDS = 110, 28
MANY = 10_000
BEGAN = datetime(2026, 1, 5, 9, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Talk:
    """A conversation and how people summed it up."""

    sentences: list[Sentence]
    references: list[str]


def read(path: Path) -> list[Any]:
    """The records of a gzipped JSON lines file."""
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def talk(number: int, turns: Sequence[tuple[str, str]], references: list[str]) -> Talk:
    """A conversation from (speaker, text) turns."""
    said = [
        Utterance(
            interaction_id=UUID(int=number),
            turn_no=place,
            occurred_at=BEGAN,
            source="file",
            interaction_type="call",
            speaker=speaker,
            text=text,
        )
        for place, (speaker, text) in enumerate(turns)
    ]
    return Talk(sentences_of(said), references)


def meetings(path: Path) -> Iterator[Talk]:
    """QMSum's meetings with the answers to their general questions."""
    for number, row in enumerate(read(path)):
        turns = [(turn["speaker"], turn["content"]) for turn in row["meeting_transcripts"]]
        for each in row["general_query_list"]:
            yield talk(number, turns, [each["answer"]])


def dialogues(path: Path) -> Iterator[Talk]:
    """Short dialogues with one or more summaries each."""
    for number, row in enumerate(read(path)):
        yield talk(number, [(turn["speaker"], turn["text"]) for turn in row["turns"]], row["summaries"])


def lead(sentences: Sequence[Sentence], _vectors: Vectors, words: int) -> str:
    """The first words, with their speakers."""
    said = " ".join(f"{each.utterance.speaker} says {each.text}" for each in sentences[:words])
    return " ".join(said.split()[:words])


def longest(sentences: Sequence[Sentence], vectors: Vectors, words: int) -> str:
    """The longest sentences, with their speakers."""
    return lead(sorted(sentences, key=lambda each: -len(each.text.split())), vectors, words)


def ours(sentences: Sequence[Sentence], vectors: Vectors, words: int) -> str:
    """What the agent says."""
    return " ".join(line.text for line in extract(sentences, vectors, ExtractOptions(words=words)))


def rouge(
    talks: Sequence[Talk], vectors: Sequence[Vectors], words: int, way: Callable[[Sequence[Sentence], Vectors, int], str]
) -> list[float]:
    """Mean F x 100 of ROUGE-1, -2 and -L, of each talk the reference with the best ROUGE-1."""
    from rouge_score.rouge_scorer import RougeScorer

    scorer = RougeScorer(["rouge1", "rouge2", "rougeL"], use_stemmer=True)
    rows = []
    for each, its_vectors in zip(talks, vectors, strict=True):
        said = way(each.sentences, its_vectors, words)
        scored = [[scorer.score(reference, said)[kind].fmeasure for kind in scorer.rouge_types] for reference in each.references]
        rows.append(max(scored))
    return [float(100 * value) for value in np.mean(rows, axis=0)]


def print_rouge(name: str, talks: Sequence[Talk], words: int, embedder: Embedder) -> None:
    """Print a table of ways, and what ours costs once the vectors are there."""
    vectors = [embedder.embed([each.text for each in one.sentences]) for one in talks]
    print(f"{name}: {len(talks)} talks, {np.mean([len(one.sentences) for one in talks]):.0f} sentences each, {words} words, {embedder.id}")
    for way in (lead, longest, ours):
        began = time.process_time()
        figures = rouge(talks, vectors, words, way)
        cpu_ms = (time.process_time() - began) / len(talks) * 1_000
        print(
            f"  {way.__name__:10} ROUGE-1 {figures[0]:5.1f}, -2 {figures[1]:4.1f}, -L {figures[2]:5.1f}  ({cpu_ms:.0f} CPU ms with scoring)"
        )
    began = time.process_time()
    for one, its_vectors in zip(talks, vectors, strict=True):
        ours(one.sentences, its_vectors, words)
    print(f"  ours without scoring: {(time.process_time() - began) / len(talks) * 1_000:.1f} CPU ms each", flush=True)


def print_figures(figures: Iterator[evaluate_text.Figure]) -> None:
    """Print figures with their bars."""
    for each in figures:
        print(f"  {each.name}: {each.value:.3f}" + (f" (bar {each.bar})" if each.bar is not None else ""), flush=True)


def measured(name: str, work: Callable[[], object]) -> None:
    """Print what some work costs."""
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    wall_s, cpu_s = time.perf_counter() - wall, time.process_time() - cpu
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{name:44}{cpu_s:8.2f}{wall_s:8.2f}{peak:10,.0f}", flush=True)


def _products(rows: Vectors) -> None:
    for start in range(0, len(rows), 2_048):
        rows[start : start + 2_048] @ rows[:2_000].T


def costs() -> None:
    """Print the costs over many sentences of invented groups."""
    random = np.random.default_rng(7)
    centres = random.normal(size=(100, 384))
    rows = (centres[random.integers(0, 100, MANY)] + random.normal(size=(MANY, 384))).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    turns = [
        (f"Speaker {number % 9}", f"We talked about subject {number % 100} of contract {number} and its price.") for number in range(MANY)
    ]
    sentences = talk(1, turns, []).sentences
    passages = [
        Passage(text=text, citation=Citation(interaction_id=UUID(int=number), occurred_at=BEGAN + timedelta(minutes=number), source="file"))
        for number, (_, text) in enumerate(turns)
    ]
    print(f"{'over ' + format(MANY, ',') + ' sentences':44}{'CPU s':>8}{'wall s':>8}{'peak MB':>10}")
    measured("limit: 12 passes over the vectors", lambda: [rows @ rows[place] for place in range(12)])
    measured("summary of 110 words", lambda: extract(sentences, rows))
    measured("limit: 5 products of 2,000 prototypes with all", lambda: [_products(rows) for _ in range(5)])
    measured("topics", lambda: topics_of(passages, rows, TopicOptions(min_frequency=5)))


def main() -> int:
    """Print what the given files say, or the costs."""
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("qmsum", "dialogues", "requests", "sentiment", "topics", "pii"):
        words.add_argument(f"--{name}", type=Path)
    asked = words.parse_args()
    costs()
    embedder = open_embedder(EmbedderOptions())
    if asked.qmsum:
        print_rouge("QMSum", list(meetings(asked.qmsum)), MEETING_WORDS, embedder)
    if asked.dialogues:
        print_rouge("dialogues", list(dialogues(asked.dialogues)), DIALOGUE_WORDS, embedder)
    if asked.requests:
        print_figures(evaluate_text.request_figures([(row["is_request"], row["sentence"]) for row in read(asked.requests)]))
    scorer = open_scorer(embedder.id)
    own = evaluate_text.complaints()
    print_figures(evaluate_text.sentiment_figures("our complaints", own, embedder.embed([text for _, text in own]), scorer, 0.58))
    if asked.sentiment:
        rows = [(row["label"], row["text"]) for row in read(asked.sentiment)]
        vectors = embedder.embed([text for _, text in rows])
        print_figures(
            evaluate_text.sentiment_figures("sentiment file (of it, what was trained on tells nothing)", rows, vectors, scorer, 0.86)
        )
    if asked.topics:
        records = read(asked.topics)
        vectors = embedder.embed([row["text"] for row in records])
        print_figures(evaluate_text.topic_figures([row["label"] for row in records], vectors))
    if asked.pii:
        print_figures(evaluate_text.masking_figures(read(asked.pii)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
