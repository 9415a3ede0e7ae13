"""Trackers: keywords, examples, sides."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from pay_ready.agent.coaching.keywords import keywords_of, pieces_of
from pay_ready.agent.coaching.trackers import Tracker, listen
from pay_ready.errors import TransientError
from tests.coaching_support import Meaning, call_of, turn

PRICE = Tracker(tracker_id="price", label="price", group="objection", side="external", keywords=("too expensive", "over ... budget"))


@pytest.mark.parametrize(
    ("keyword", "text", "is_found"),
    [
        ("too expensive", "That is TOO  expensive for us.", True),
        ("too expensive", "Not too expensively made.", False),
        ("cancel*", "We might be cancelling.", True),
        ("cancel*", "Uncancelled.", False),
        ("over ... budget", "That is over our yearly budget.", True),
        ("over ... budget", "over budget", True),
        ("over ... budget", "over one two three four five budget", False),
        ("don't need", "We don’t need it.", True),
        ("competitor", "The competitor's offer.", True),
        ("follow-up*", "Our follow-ups are late.", True),
        ("c++", "We use C++ here.", True),
        ("price is", "the price, is", True),
        ("price is", "the price island", False),
    ],
)
def test_keywords(keyword: str, text: str, is_found: bool) -> None:
    """Whole words in any case and spacing; * ends a word, ... stands for up to four words."""
    assert keywords_of((keyword,)).is_in(text, pieces_of(text)) is is_found


def test_a_tracker_hears_its_side_once_a_turn() -> None:
    """The first sentence with a keyword is the hit; the other side's words are none."""
    call = call_of([
        turn("Bob", 0, 1, "Is it too expensive?"),
        turn("Ann", 1, 2, "Hello. It is too expensive. Really too expensive."),
        turn("?", 2, 3, "too expensive"),
    ])  # fmt: skip
    (hits,) = listen([PRICE], [call]).hits
    assert [(hit.index, hit.sentence, hit.found_by) for hit in hits] == [(1, "It is too expensive.", "keyword")]


def test_unless_takes_a_sentence_out() -> None:
    """A denial in the same sentence is no hit."""
    tracker = Tracker(tracker_id="t", label="t", group="topic", keywords=("expensive",), unless=("not expensive",))
    call = call_of([turn("Ann", 0, 1, "That is not expensive. But that one is expensive.")])
    (hits,) = listen([tracker], [call]).hits
    assert [hit.sentence for hit in hits] == ["But that one is expensive."]


def test_examples_find_what_means_the_same() -> None:
    """A sentence near enough to an example is a hit with its similarity; short sentences and the other side are not compared."""
    tracker = Tracker(
        tracker_id="money", label="money", group="objection", side="external", examples=("We cannot pay that.",), least_similarity=0.9
    )
    call = call_of([
        turn("Ann", 0, 1, "There is no money left this year."),
        turn("Ann", 1, 2, "We pay."),
        turn("Bob", 2, 3, "You would have to pay more."),
    ])  # fmt: skip
    meaning = Meaning()
    heard = listen([tracker], [call], meaning)
    assert [(hit.index, hit.found_by, hit.similarity) for hit in heard.hits[0]] == [(0, "example", 1.0)]
    assert meaning.embedded == ["There is no money left this year.", "We cannot pay that."]
    assert not heard.notes


def test_without_a_model_of_meaning_it_is_said() -> None:
    """Examples are left aside, and the report says so."""
    tracker = Tracker(
        tracker_id="money", label="money", group="objection", keywords=("money",), examples=("We cannot pay.",), least_similarity=0.9
    )
    heard = listen([tracker], [call_of([turn("Ann", 0, 1, "No money.")])])
    assert len(heard.hits[0]) == 1
    assert "keywords alone" in heard.notes[0]


def test_no_more_is_compared_than_allowed() -> None:
    """The latest sentences are, and the report says how many of how many."""
    tracker = Tracker(tracker_id="money", label="money", group="topic", examples=("We cannot pay.",), least_similarity=0.9)
    call = call_of([turn("Ann", number, number + 1, f"We have money for number {number}.") for number in range(5)])
    heard = listen([tracker], [call], Meaning(), most=2)
    assert [hit.index for hit in heard.hits[0]] == [3, 4]
    assert "of 5 sentences the latest 2" in heard.notes[0]


def test_a_sentence_is_the_nearest_objection_and_not_what_is_unlike() -> None:
    """Of two objections the nearer one; nothing where it is nearer to what objects to nothing."""
    money = Tracker(tracker_id="money", label="m", group="objection", examples=("We cannot pay.",), least_similarity=0.1)
    other = Tracker(tracker_id="other", label="o", group="objection", examples=("We are too busy.",), least_similarity=0.0)
    call = call_of([turn("Ann", 0, 1, "There is no money left.")])
    assert [hit.tracker_id for hit in listen([money, other], [call], Meaning()).hits[0]] == ["money"]
    assert not listen([replace(money, unlike=("We will pay the invoice.",))], [call], Meaning()).hits[0]


def test_a_model_that_is_away_costs_its_examples_alone() -> None:
    """Keywords are heard, and the report says what was not."""

    class Away(Meaning):
        def embed(self, texts: Sequence[str]) -> Any:
            raise TransientError("no answer in time", "try again", texts=len(texts))

    tracker = Tracker(
        tracker_id="money", label="money", group="objection", keywords=("money",), examples=("We cannot pay.",), least_similarity=0.9
    )
    heard = listen([tracker], [call_of([turn("Ann", 0, 1, "There is no money. We would have to pay too much.")])], Away())
    assert [hit.found_by for hit in heard.hits[0]] == ["keyword"]
    assert "no answer in time" in heard.notes[0]
