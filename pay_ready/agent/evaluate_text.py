"""What `make eval` prints of texts: sentiment, requests, topics and masking, each as named figures over labelled rows given by the caller.

The only set kept here is our own, `eval/complaints.tsv`: 88 sentences in the manner of complaints, written for this purpose and never
trained on.
"""

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pay_ready.agent.clusters import cluster_rows
from pay_ready.agent.figures import macro_f1, normalized_mutual_information, precision_recall
from pay_ready.agent.personal import personal_spans
from pay_ready.agent.promises import is_request
from pay_ready.agent.sentiment_model import VADER_ID, Scorer

if TYPE_CHECKING:  # heavy
    from pay_ready.model.memory import Vectors

_COMPLAINTS = Path(__file__).parent / "eval" / "complaints.tsv"
_BY_FORM = frozenset({"EMAIL_ADDRESS", "PHONE_NUMBER", "CREDIT_CARD", "IBAN_CODE", "US_SSN", "IP_ADDRESS"})


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured figure; `bar` is what it must reach, None where there is none."""

    name: str
    value: float
    bar: float | None = None


def complaints() -> list[tuple[str, str]]:
    """Our own (label, sentence) pairs."""
    with _COMPLAINTS.open(encoding="utf-8", newline="") as lines:
        return [(label, text) for label, text in csv.reader(lines, delimiter="\t", quoting=csv.QUOTE_NONE)]


def sentiment_figures(
    name: str, rows: Sequence[tuple[str, str]], vectors: "Vectors | None", scorer: Scorer, bar: float
) -> Iterator[Figure]:
    """Macro-F1 of the scorer over (label, text) rows, and of VADER alone. Rows without a neutral one are told by the score's sign."""
    truth, texts = [label for label, _ in rows], [text for _, text in rows]
    for one in (scorer, Scorer(VADER_ID)):
        scores, labels = one.score(texts, vectors if one.model else None)
        told: list[str] = [*labels] if "neutral" in truth else ["positive" if score > 0 else "negative" for score in scores]
        yield Figure(f"{name}, macro-F1, {one.id}", macro_f1(truth, told), bar if one is scorer else None)


def request_figures(rows: Sequence[tuple[bool, str]]) -> Iterator[Figure]:
    """Precision and recall of the rules for requests over (is_request, sentence) rows."""
    precision, recall = precision_recall([asks for asks, _ in rows], [is_request(text) for _, text in rows])
    yield Figure("requests, precision", precision)
    yield Figure("requests, recall", recall)


def topic_figures(labels: Sequence[str], vectors: "Vectors") -> Iterator[Figure]:
    """Agreement of clusters with given labels (NMI), as many clusters as labels."""
    found = cluster_rows(vectors, count=len(set(labels)))
    yield Figure(f"topics, NMI with {len(set(labels))} labels", normalized_mutual_information(labels, found.tolist()))


def masking_figures(rows: Sequence[Mapping[str, Any]]) -> Iterator[Figure]:
    """Recall of personal values over rows {"text", "spans": [{"type", "start", "end"}]}: a value counts when each of its letters and digits
    is masked. And the share of what was masked that touches no marked value."""
    wanted = found = masked = stray = 0
    for row in rows:
        text, marked = row["text"], [(span["start"], span["end"]) for span in row["spans"] if span["type"] in _BY_FORM]
        spans = list(personal_spans(text))
        covered = {place for span in spans for place in range(span.start, span.end)}
        wanted += len(marked)
        found += sum(all(place in covered or not text[place].isalnum() for place in range(*each)) for each in marked)
        masked += len(spans)
        stray += sum(not any(span.start < end and start < span.end for start, end in marked) for span in spans)
    yield Figure(f"masking, recall of {wanted} values", found / wanted if wanted else 1.0, 0.99)
    yield Figure("masking, share of false masks", stray / masked if masked else 0.0)
