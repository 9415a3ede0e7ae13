"""Whatever is said: sentences lose no word, budgets hold, masks hide and stay, topics do not depend on the order, periods tile time."""

import random
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from pay_ready.agent.clusters import cluster_rows, in_order
from pay_ready.agent.extract import ExtractOptions, extract
from pay_ready.agent.figures import normalized_mutual_information
from pay_ready.agent.masking import KnownName, Masker
from pay_ready.agent.periods import Period, period_of, trend_of
from pay_ready.agent.personal import holds_luhn, personal_spans
from pay_ready.agent.sentences import sentences_of, split_sentences, words_of
from pay_ready.agent.sentiment_model import Scorer
from pay_ready.agent.stopwords import STOP_WORDS
from pay_ready.agent.topics import topics_of
from pay_ready.resolve.normalize import fold
from tests.talk_support import BEGAN, groups, passage, utterance

texts = st.text(st.characters(blacklist_categories=["Cs"]), max_size=200)
prose = st.lists(
    st.sampled_from(["we", "need", "the", "report", ".", "!", "?", "yes", "um", "May", "2.5", "Dr.", "contract\n"]), max_size=40
).map(" ".join)
moments = st.integers(0, 15 * 365 * 24 * 60).map(lambda minutes: datetime(2020, 1, 1, tzinfo=UTC) + timedelta(minutes=minutes))
zones = st.sampled_from(["UTC", "America/New_York", "Asia/Kolkata", "Pacific/Apia"])
quick = settings(deadline=None, max_examples=60)


@quick
@given(text=prose)
def test_sentences_lose_no_word(text: str) -> None:
    """All words, in their order."""
    assert [word for sentence in split_sentences(text) for word in words_of(sentence)] == words_of(text)


@quick
@given(text=texts)
def test_any_text_can_be_cut_masked_and_scored(text: str) -> None:
    """Nothing raises, scores stay within -1 and 1, and spans lie in order within the text."""
    scores, _ = Scorer("vader").score(split_sentences(text))
    assert all(-1 <= score <= 1 for score in scores)
    spans = list(personal_spans(text))
    assert all(left.end <= right.start for left, right in pairwise(spans))
    assert all(0 <= span.start < span.end <= len(text) for span in spans)


@quick
@given(said=st.lists(prose, min_size=1, max_size=8), words=st.integers(0, 60), seed=st.integers(0, 99))
def test_a_summary_keeps_to_its_budget_and_order(said: list[str], words: int, seed: int) -> None:
    """Never more words than asked for; lines stand in the order of what was said; the same input gives the same lines."""
    sentences = sentences_of([utterance(text, call=number + 1) for number, text in enumerate(said)])
    vectors = groups([1] * 8, seed)[[number % 8 for number in range(len(sentences))]]
    lines = extract(sentences, vectors, ExtractOptions(words=words))
    assert sum(len(line.text.split()) for line in lines) <= words
    calls = [line.citations[0].interaction_id.int for line in lines]
    assert calls == sorted(calls)
    assert lines == extract(sentences, vectors, ExtractOptions(words=words))


def _is_a_name(text: str) -> bool:
    """Long enough, and no word that counts with a capital alone: "be", "bé"."""
    return sum(map(str.isalnum, text)) >= 2 and fold(text) not in STOP_WORDS


names = st.text("abcdeé ", min_size=2, max_size=9).map(str.strip).filter(_is_a_name)


@quick
@given(known=st.lists(names, min_size=1, max_size=5), text=texts, place=st.integers(0, 4))
def test_masking_hides_known_names_and_repeats_itself(known: list[str], text: str, place: int) -> None:
    """A known name that stands alone is gone; masking what is masked changes nothing, even when a name looks like part of a token."""
    masker = Masker(
        b"key", "all", [KnownName(text=name, kind="person", entity_id=utterance("").interaction_id) for name in [*known, "person", "ab"]]
    )
    name = known[place % len(known)]
    masked = masker(f"{text} | {name} |")
    assert masked.endswith(f"| {masker.token('person', str(utterance('').interaction_id))} |")
    assert masker(masked) == masked


@quick
@given(digits=st.text("0123456789", min_size=15, max_size=15).filter(lambda digits: digits.strip("0") != ""), blanks=st.booleans())
def test_a_card_is_masked_with_its_check_digit(digits: str, blanks: bool) -> None:
    """Of any issuer, in fours or not."""
    card = next(digits + check for check in "0123456789" if holds_luhn(digits + check))
    shown = " ".join(card[start : start + 4] for start in range(0, 16, 4)) if blanks else card
    assert shown not in Masker(b"key", "contacts")(f"my card {shown} is new")


@quick
@given(at=moments, period=st.sampled_from(["day", "week", "month"]), zone=zones, week_start=st.integers(0, 6))
def test_periods_tile_time(at: datetime, period: Period, zone: str, week_start: int) -> None:
    """A moment lies in its period; the next one begins where it ends."""
    start, end = period_of(at, period, zone, week_start)
    assert start < end
    later = next(
        found
        for hours in range(0, 24 * 33, 12)
        if (found := period_of(at + timedelta(hours=hours), period, zone, week_start)) != (start, end)
    )
    assert later[0] == end or zone == "Pacific/Apia"


@quick
@given(slope=st.floats(-5, 5), start=st.floats(-5, 5), weeks=st.lists(st.integers(0, 200), min_size=2, max_size=20, unique=True))
def test_a_line_gives_its_slope_back(slope: float, start: float, weeks: list[int]) -> None:
    """However its points lie."""
    trend = trend_of([(BEGAN + timedelta(weeks=week), start + slope * week) for week in weeks])
    assert abs(trend.slope_per_week - slope) < 1e-6


@quick
@given(sizes=st.lists(st.integers(3, 8), min_size=1, max_size=5), order=st.randoms(use_true_random=False))
def test_topics_do_not_depend_on_the_order(sizes: list[int], order: random.Random) -> None:
    """The same passages in any order give the same topics with the same ids."""
    said = [passage(f"subject {number} of {group}", 100 * group + number) for group, size in enumerate(sizes) for number in range(size)]
    vectors = groups(sizes)
    mixed = order.sample(range(len(said)), len(said))
    first, second = topics_of(said, vectors), topics_of([said[place] for place in mixed], vectors[mixed])
    assert [(topic.id, topic.passages, topic.label) for topic in first] == [(topic.id, topic.passages, topic.label) for topic in second]
    assert [topic.passages for topic in first] == sorted(sizes, reverse=True)


@quick
@given(labels=st.lists(st.integers(0, 5), min_size=1, max_size=40), names_=st.permutations(range(6)))
def test_renaming_groups_changes_nothing(labels: list[int], names_: list[int]) -> None:
    """Numbers follow first appearance; agreement does not see names."""
    renamed = [names_[label] for label in labels]
    np.testing.assert_array_equal(in_order(np.array(labels)), in_order(np.array(renamed)))
    assert abs(normalized_mutual_information(labels, renamed) - 1) < 1e-9


@quick
@given(rows=st.integers(1, 40), count=st.integers(1, 10))
def test_there_are_as_many_clusters_as_asked_for(rows: int, count: int) -> None:
    """Or as there are rows."""
    vectors = np.random.default_rng(rows).normal(size=(rows, 8)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    assert len(set(cluster_rows(vectors, count=count).tolist())) == min(rows, count)
