"""How near titles come to the subjects that people gave: ROUGE-1 F, best of the subjects of a mail, without stemming."""

import gzip
import json
import re
import statistics
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from pay_ready.agent.titles import Titled, titles_of
from pay_ready.model.memory import Embedder

_WORD = re.compile(r"[a-z0-9]+")


def read_mails(path: Path, most: int) -> list[tuple[str, tuple[str, ...]]]:
    """Bodies with their subjects, of a gzipped JSON-lines file with `body`, `subject` and `other_subjects`."""
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        rows = [json.loads(line) for line, _ in zip(lines, range(most), strict=False)]
    return [(row["body"], (row["subject"], *row["other_subjects"])) for row in rows]


def title_scores(mails: Sequence[tuple[str, Sequence[str]]], embedder: Embedder | None) -> dict[str, float]:
    """Mean ROUGE-1 F x 100 of the titles: by first sentence, and by keyphrase where the embedder knows meaning."""
    scores = {"first_sentence": _mean(mails, None)}
    if embedder is not None and not embedder.is_lexical:
        scores["keyphrase"] = _mean(mails, embedder)
    return scores


def rouge_1(said: str, wanted: str) -> float:
    """F of the words that two texts share, in [0, 1] (Lin, "ROUGE", ACL 2004, workshop)."""
    ours, theirs = (Counter(_WORD.findall(text.lower())) for text in (said, wanted))
    shared = (ours & theirs).total()
    return 2 * shared / (ours.total() + theirs.total()) if shared else 0.0


def _mean(mails: Sequence[tuple[str, Sequence[str]]], embedder: Embedder | None) -> float:
    titles = titles_of([Titled(subject="", text=body) for body, _ in mails], embedder)
    return 100 * statistics.fmean(max(rouge_1(title, subject) for subject in mail[1]) for title, mail in zip(titles, mails, strict=True))
