"""Reading questions: index of 20,000 invented names, one question to a plan, and the question sets' figures.

    python -m tests.benchmarks.questions

The peer is rapidfuzz over every window of up to five words against all names, cut off at 86: the usual way to look names up.
"""

import random
import resource
import time
import tracemalloc
from collections.abc import Callable, Sequence
from itertools import product
from uuid import NAMESPACE_DNS, uuid5

from rapidfuzz import fuzz, process

from pay_ready.agent.eval.questions import ASKED_ON
from pay_ready.agent.eval.reading import evaluate_dates, evaluate_intents, typing_error
from pay_ready.agent.name_forms import NamedEntity
from pay_ready.agent.name_links import link_names
from pay_ready.agent.names import NameIndex
from pay_ready.agent.reading import read_question

NAMES, QUESTIONS, PEER_QUESTIONS = 20_000, 500, 60
_SYLLABLES = ["bar", "cal", "del", "fen", "gar", "hol", "kin", "lor", "mar", "nor", "pal", "ros", "sal", "tor", "var", "wen"]
_ENDS = ["berg", "dale", "ford", "ham", "ley", "mann", "quist", "ridge", "son", "well"]
_FIRST = [
    "Ada",
    "Ben",
    "Cora",
    "Dan",
    "Ella",
    "Finn",
    "Gwen",
    "Hugo",
    "Iris",
    "Jack",
    "Kate",
    "Leo",
    "Mia",
    "Noah",
    "Olga",
    "Paul",
    "Rosa",
    "Sam",
    "Tess",
    "Uwe",
    "Vera",
    "Will",
    "Yara",
    "Zoe",
]
_ASKED = (
    "Summarise our calls with {} last quarter",
    "What did {} promise us in the past 90 days?",
    "Timeline of {} between Jan 3 and Feb 10 from Slack and Gong",
    "which emails from {} discuss the security review and the migration before the renewal in October and November 2025",
)


def names() -> list[str]:
    """Distinct first and last names, in an order that a seed tells."""
    last = [(a + b + end).capitalize() for a, b, end in product(_SYLLABLES, _SYLLABLES, _ENDS)]
    drawn = random.Random(7)
    return drawn.sample([f"{first} {name}" for first in _FIRST for name in last], NAMES)


def spent_ms(read: Callable[[str], object], questions: Sequence[str]) -> tuple[float, float]:
    """CPU milliseconds of a question: median and 95th percentile."""
    times = []
    for question in questions:
        started = time.process_time()
        read(question)
        times.append((time.process_time() - started) * 1e3)
    times.sort()
    return times[len(times) // 2], times[int(len(times) * 0.95)]


def windows(question: str, known: Sequence[str]) -> list[str]:
    """The peer: the best name for each window of words."""
    words = question.split()
    rows = [" ".join(words[start : start + size]) for size in range(1, 6) for start in range(len(words) - size + 1)]
    found = (process.extractOne(row, known, scorer=fuzz.ratio, score_cutoff=86, processor=str.lower) for row in rows)
    return [each[0] for each in found if each]


def main() -> None:
    """Print the tables."""
    known = names()
    entities = [NamedEntity(id=uuid5(NAMESPACE_DNS, name), name=name, entity_type="person") for name in known]
    started = time.process_time()
    index = NameIndex(entities)
    built_s = time.process_time() - started
    tracemalloc.start()
    kept = NameIndex(entities)
    kept.typos  # noqa: B018 - it is built when first asked for
    size_mb, peak_mb = (each / 1e6 for each in tracemalloc.get_traced_memory())
    tracemalloc.stop()
    print(f"index of {NAMES:,} names: {built_s:.2f} CPU s, {size_mb:.1f} MB held, {peak_mb:.1f} MB at most while built")
    asked = [_ASKED[number % len(_ASKED)].format(name) for number, name in enumerate(known[:QUESTIONS])]
    mistyped = [_ASKED[number % len(_ASKED)].format(typing_error(name, number)) for number, name in enumerate(known[:QUESTIONS])]
    print(f"{'CPU ms a question':44}{'median':>9}{'p95':>9}{'found':>9}")
    for label, questions in (("names, as written", asked), ("names, one typing error", mistyped)):
        middle, high = spent_ms(lambda question: link_names(question, index), questions)
        found = sum(
            any(each.name == name for link in link_names(question, index).links for each in link.candidates)
            for question, name in zip(questions, known, strict=False)
        )
        print(f"{label:44}{middle:9.2f}{high:9.2f}{found / len(questions):9.3f}")
    middle, high = spent_ms(lambda question: read_question(question, index, ASKED_ON), asked)
    print(f"{'question to plan, whole (limit 10)':44}{middle:9.2f}{high:9.2f}")
    few = mistyped[:PEER_QUESTIONS]
    middle, high = spent_ms(lambda question: windows(question, known), few)
    found = sum(name in windows(question, known) for question, name in zip(few, known, strict=False))
    print(f"{'peer: rapidfuzz, names alone, typing error':44}{middle:9.2f}{high:9.2f}{found / len(few):9.3f}")
    dates, intents = evaluate_dates(), evaluate_intents(None)
    print(f"times: {dates.exact}/{dates.asked} exact, {dates.false}/{dates.without} false (limits: .95 and 0)")
    print(f"intents by rules alone: {intents.right}/{intents.asked} right, {intents.declined}/{intents.out_of_scope} declined")
    print(f"peak memory: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB")


if __name__ == "__main__":
    main()
