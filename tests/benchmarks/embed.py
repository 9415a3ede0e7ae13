"""How fast texts become vectors, and how well these find: `python -m tests.benchmarks.embed [--locomo FILE] [--languages FILE]`.

Each embedder runs in a process of its own, on one thread, and prints texts per CPU second: short texts (support questions of some 12
words) and passages of 120 words, beside the limit, what the bare matrix products of the pass would take at the speed of this machine's
BLAS, then load time, one query and peak memory. Goal: 600 short texts per CPU second with onnx, where the limit is above that.

--locomo: conversations with evidence (memory_locomo.jsonl.gz): how often the turns that answer a question are among the nearest 5 and 10.
--languages: sentences with their language (languages.jsonl.gz): how often it is told, whole and from the first two words.
"""

import argparse
import gzip
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pay_ready.memory.embed.choose import open_embedder
from pay_ready.memory.embed.options import EmbedderOptions
from pay_ready.memory.language import language_of
from pay_ready.model.memory import Embedder

PROVIDERS = ("minilm-onnx", "minilm-numpy", "hash")
SHORT, PASSAGES = 1_000, 60
_SUBJECTS = ("the invoice", "our new card", "the pilot in May", "a refund", "my account", "the larger plan", "the exchange rate")
_ASKED = ("Why was {} declined again this week?", "How do I change {} for two users?", "Can you tell me when {} will be ready, please?")
# Of one word piece through all-MiniLM-L6-v2: six layers with 4 d^2 weights of attention and 8 d^2 of the inner layer, d = 384.
_FLOP_PER_PIECE = 2 * 6 * 12 * 384**2
_LANGUAGES = "ar de en es fr it ja nl pl pt ru sv tr zh"


@dataclass(frozen=True, slots=True)
class Found:
    """How often the turns that answer a question are among the nearest 5 and 10."""

    at_5: float
    at_10: float
    questions: int


def short_texts(count: int) -> list[str]:
    """Questions to a support desk; each another one."""
    return [f"{_ASKED[n % len(_ASKED)].format(_SUBJECTS[n % len(_SUBJECTS)])} Case {n}." for n in range(count)]


def passages(count: int) -> list[str]:
    """Texts of about 120 words."""
    return [" ".join(short_texts(SHORT)[10 * n : 10 * n + 11]) for n in range(count)]


def pieces_of(texts: Sequence[str]) -> float:
    """Word pieces of a text on average; 0 without the model."""
    embedder = open_embedder(EmbedderOptions(provider="minilm-numpy"))
    return float(np.mean([len(embedder._tokenizer.encode(text).ids) for text in texts]))  # type: ignore[attr-defined]


def blas_flop_per_cpu_s() -> float:
    """What this machine's BLAS does of the largest product of a pass: (512, 384) @ (384, 1536)."""
    left, right = np.ones((512, 384), np.float32), np.ones((384, 1_536), np.float32)
    best = 0.0
    for _ in range(5):
        began = time.process_time()
        for _ in range(40):
            left @ right
        best = max(best, 40 * 2 * 512 * 384 * 1_536 / (time.process_time() - began))
    return best


def rate(embedder: Embedder, texts: Sequence[str]) -> tuple[float, float]:
    """Texts per CPU second and per wall second, best of three."""
    rates = []
    for _ in range(3):
        wall, cpu = time.perf_counter(), time.process_time()
        embedder.embed(texts)
        rates.append((len(texts) / (time.process_time() - cpu), len(texts) / (time.perf_counter() - wall)))
    return max(rates)


def measure(provider: str) -> None:
    """Print one embedder's line."""
    began = time.perf_counter()
    embedder = open_embedder(EmbedderOptions(provider=provider))  # type: ignore[arg-type]
    embedder.embed(["one query before the clock counts"])
    load_s = time.perf_counter() - began
    short, short_wall = rate(embedder, short_texts(SHORT))
    long, _ = rate(embedder, passages(PASSAGES))
    began = time.perf_counter()
    for number in range(20):
        embedder.embed([f"What did we say about the price in call {number}?"])
    query_ms = (time.perf_counter() - began) / 20 * 1_000
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{provider:22}{short:12,.0f}{short_wall:12,.0f}{long:12,.1f}{query_ms:12.1f}{load_s:10.2f}{peak:10,.0f}", flush=True)


def limit() -> None:
    """Print the line of the bare products."""
    speed = blas_flop_per_cpu_s()
    short, long = (speed / (_FLOP_PER_PIECE * pieces_of(texts)) for texts in (short_texts(SHORT), passages(PASSAGES)))
    print(f"{'bare matrix products':22}{short:12,.0f}{'':12}{long:12,.1f}   ({speed / 1e9:.0f} GFLOP per CPU s, fp32)", flush=True)
    print(f"pieces of a short text {pieces_of(short_texts(SHORT)):.1f}, of a passage {pieces_of(passages(PASSAGES)):.0f}")


def read(path: Path) -> list[Any]:
    """The records of a gzipped JSON lines file."""
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def evidence_found(embedder: Embedder, conversations: Sequence[Any]) -> Found:
    """Recall of evidence turns by the vectors alone, question by question; questions without evidence or answer are left out."""
    hits: list[tuple[float, float]] = []
    for conversation in conversations:
        turns = [turn for session in conversation["sessions"] for turn in session["turns"]]
        place = {turn["id"]: number for number, turn in enumerate(turns)}
        asked = [qa for qa in conversation["qa"] if qa["category"] != 5 and any(each in place for each in qa["evidence"])]
        rows = embedder.embed([f"{turn['speaker']}: {turn['text']}" for turn in turns])
        nearest = np.argsort(-(embedder.embed([qa["question"] for qa in asked]) @ rows.T), axis=1)[:, :10]
        for qa, found in zip(asked, nearest.tolist(), strict=True):
            wanted = {place[each] for each in qa["evidence"] if each in place}
            hits.append((len(wanted & set(found[:5])) / len(wanted), len(wanted & set(found)) / len(wanted)))
    at_5, at_10 = np.mean(hits, axis=0)
    return Found(float(at_5), float(at_10), len(hits))


def languages_told(rows: Sequence[Any]) -> None:
    """Print how often a language is told, and told right."""
    language_of("load it")
    for name, cut in (("whole sentences", None), ("first two words", 2)):
        texts = [(_opening(row["text"], cut) if cut else row["text"], row["language"]) for row in rows]
        began = time.process_time()
        said = [(language_of(text, tuple(_LANGUAGES.split())), language) for text, language in texts]
        cpu_s = time.process_time() - began
        named = [found == language for found, language in said if found]
        print(
            f"language, {name}: named {len(named) / len(said):.3f}, right of those {np.mean(named):.4f}, "
            f"right of all {sum(named) / len(said):.4f}, {len(said) / cpu_s:,.0f} texts per CPU s"
        )


def _opening(text: str, words: int) -> str:
    return " ".join(text.split()[:words]) if " " in text else text[: 2 * words]


def main() -> int:
    """Print the table, and what the given files say."""
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--locomo", type=Path)
    words.add_argument("--languages", type=Path)
    words.add_argument("--one", choices=(*PROVIDERS, "limit"), help=argparse.SUPPRESS)
    asked = words.parse_args()
    if asked.one:
        limit() if asked.one == "limit" else measure(asked.one)
        return 0
    print(f"{'':22}{'short/CPU s':>12}{'short/s':>12}{'pass./CPU s':>12}{'query ms':>12}{'load s':>10}{'peak MB':>10}", flush=True)
    # Threads of BLAS wait for each other by turning in circles: on a machine at work that is most of their CPU time.
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
    for name in (*PROVIDERS, "limit"):
        command = [sys.executable, "-m", "tests.benchmarks.embed", "--one", name]
        if code := subprocess.run(command, env=environment, check=False).returncode:
            return code
    if asked.locomo:
        conversations = read(asked.locomo)
        for provider in ("minilm-onnx", "hash"):
            found = evidence_found(open_embedder(EmbedderOptions(provider=provider)), conversations)
            print(f"LoCoMo, {found.questions} questions, {provider} alone: R@5 {found.at_5:.3f}, R@10 {found.at_10:.3f}")
    if asked.languages:
        languages_told(read(asked.languages))
    return 0


if __name__ == "__main__":
    sys.exit(main())
