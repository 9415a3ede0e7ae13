"""Topics are found in vectors, named without people's names, compared with the period before, and keep their ids."""

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

import numpy as np
import pytest

from pay_ready.agent.clusters import cluster_rows, draw_together
from pay_ready.agent.figures import normalized_mutual_information
from pay_ready.agent.topic_labels import NameFilter, label_terms
from pay_ready.agent.topics import KnownTopic, Passage, TopicOptions, match_topics, topic_trend, topics_of
from pay_ready.errors import EmbeddingError
from tests.talk_support import BEGAN, groups, passage

SIZES = (5, 4, 3)
SUBJECTS = ("refund delay", "broken terminal", "price list")


def passages(sizes: Sequence[int] = SIZES, start: int = 0) -> list[Passage]:
    """Texts of a subject each, an hour apart."""
    said = [(subject, number) for subject, size in zip(SUBJECTS, sizes, strict=True) for number in range(size)]
    return [
        passage(f"Ann Lee of Acme spoke of the {subject} {number}", start + at, BEGAN + timedelta(hours=at))
        for at, (subject, number) in enumerate(said)
    ]


def test_a_topic_has_label_quote_and_frequency() -> None:
    """The most frequent first; labels hold no names; the quote is one of its passages and is cited."""
    topics = topics_of(passages(), groups(SIZES), TopicOptions(people=("Ann Lee",), companies=("Acme",)))
    assert [topic.passages for topic in topics] == [5, 4, 3]
    assert [topic.terms[0] for topic in topics] == ["refund delay", "broken terminal", "price list"]
    assert not any(name in topic.label for topic in topics for name in ("ann", "lee", "acme"))
    assert "refund delay" in topics[0].quote.text
    assert topics[0].quote.citations
    assert topics[0].share == pytest.approx(5 / 12)
    assert topics[0].trend is None
    assert len(topics[0].citations) == 5
    assert topics[0].citations[0].occurred_at == BEGAN + timedelta(hours=4)


def test_rare_subjects_are_no_topics() -> None:
    """Fewer passages than min_frequency in the period asked for."""
    assert [topic.passages for topic in topics_of(passages(), groups(SIZES), TopicOptions(min_frequency=4))] == [5, 4]


def test_a_topic_is_compared_with_the_period_before() -> None:
    """Half-open: what was said at `since` is of the period, at `until` no more."""
    since = BEGAN + timedelta(hours=6)
    options = TopicOptions(since=since, until=since + timedelta(hours=5), before_since=BEGAN + timedelta(hours=5), min_frequency=1)
    found = {
        topic.terms[0]: (topic.passages, topic.passages_before, topic.trend) for topic in topics_of(passages(), groups(SIZES), options)
    }
    assert found == {"broken terminal": (3, 1, "steady"), "price list": (2, 0, "new")}


def test_the_period_before_lasts_as_long() -> None:
    """Where nobody says when it began."""
    options = TopicOptions(since=BEGAN + timedelta(hours=8), until=BEGAN + timedelta(hours=12), min_frequency=1)
    found = {topic.terms[0]: (topic.passages, topic.passages_before) for topic in topics_of(passages(), groups(SIZES), options)}
    assert found == {"broken terminal": (1, 3), "price list": (3, 0)}


@pytest.mark.parametrize(
    ("now", "before", "trend"), [(50, 20, "rising"), (20, 50, "falling"), (30, 28, "steady"), (5, 0, "new"), (100, 100, "steady")]
)
def test_a_trend_must_be_more_than_chance(now: int, before: int, trend: str) -> None:
    """Of 100 passages each."""
    assert topic_trend(now, 100, before, 100) == trend


def test_without_anything_before_there_is_no_trend() -> None:
    """A first period has nothing to rise from."""
    assert topic_trend(5, 10, 0, 0) is None


def test_a_topic_keeps_its_id() -> None:
    """In the next run, over other passages and in another order; a new subject gets another id."""
    first = topics_of(passages((5, 4, 0)), groups((5, 4)))
    known = [KnownTopic(id=topic.id, centroid=topic.centroid) for topic in first]
    later = topics_of(passages((3, 6, 4), start=100), groups((3, 6, 4), seed=9), known=known)
    kept = {topic.terms[0]: topic.id for topic in later if topic.is_kept}
    assert kept == {topic.terms[0]: topic.id for topic in first}
    assert [topic.terms[0] for topic in later if not topic.is_kept] == ["price list"]
    assert later[1].id not in kept.values()


def test_no_id_is_given_twice() -> None:
    """Two clusters near one earlier topic: the nearer one has its id."""
    known = [KnownTopic(id=UUID(int=7), centroid=np.array([1, 0], np.float32))]
    centroids = np.array([[0.9, 0.436], [0.99, 0.141], [0, 1]], np.float32)
    assert match_topics(centroids, known, 0.8) == [None, UUID(int=7), None]


def test_vectors_must_fit() -> None:
    """One for each passage; nothing said has no topics."""
    with pytest.raises(EmbeddingError):
        topics_of(passages(), groups([2]))
    assert topics_of([], np.zeros((0, 4), np.float32)) == []
    far = TopicOptions(since=BEGAN + timedelta(days=99), until=BEGAN + timedelta(days=100))
    assert topics_of(passages(), groups(SIZES), far) == []


def test_prototypes_find_the_same_groups() -> None:
    """Where there are too many rows for all distances, rows are drawn together first."""
    sizes = (40, 30, 20, 10)
    rows = groups(sizes)
    truth = [number for number, size in enumerate(sizes) for _ in range(size)]
    assert normalized_mutual_information(truth, cluster_rows(rows, count=4, most_rows=25).tolist()) == pytest.approx(1)
    assert draw_together(rows, 25).max() < 25


def test_clusters_need_one_way_to_end() -> None:
    """A distance or a count."""
    for given in ({}, {"distance": 1.0, "count": 2}):
        with pytest.raises(ValueError, match="distance or count"):
            cluster_rows(groups([2]), **given)  # type: ignore[arg-type]


def test_labels_are_what_tells_groups_apart() -> None:
    """Words of all groups tell nothing; a company's words stay where they are no name; no word is said twice."""
    texts = [
        ["the card refund was late", "a late refund of the card", "refunds on Pay Ready"],
        ["card terminal is ready", "the card terminal broke", "ready"],
    ]
    refunds, terminals = label_terms(texts, NameFilter(companies=["Pay Ready"]))
    assert "late" in refunds
    assert "ready" in " ".join(terminals)
    assert "pay" not in " ".join(refunds)
    assert sum("refund" in term for term in refunds) == 1


def test_agreement_is_one_for_the_same_groups_by_other_names() -> None:
    """And nothing for groups that say nothing of each other."""
    assert normalized_mutual_information([1, 1, 2], ["b", "b", "a"]) == pytest.approx(1)
    assert normalized_mutual_information([1, 1, 2, 2], [1, 2, 1, 2]) == pytest.approx(0)
    assert normalized_mutual_information([1, 1], [2, 2]) == 1
