"""What was said becomes sentences, and sentences a summary that quotes, attributes and cites."""

import numpy as np
import pytest

from pay_ready.agent.extract import ExtractOptions, extract, without_filler
from pay_ready.agent.promises import acts_of, is_decision, is_promise, is_request
from pay_ready.agent.sentences import own_words, sentences_of, split_sentences
from pay_ready.agent.sentiment import score_sentences
from pay_ready.agent.sentiment_model import open_scorer
from pay_ready.agent.summary import SummaryOptions, summarise
from pay_ready.errors import EmbeddingError
from tests.talk_support import groups, utterance


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("We start in May. Is that fine? Yes!", ["We start in May.", "Is that fine?", "Yes!"]),
        ("Dr. Li of Acme Inc. called. It was short.", ["Dr. Li of Acme Inc. called.", "It was short."]),
        ("The price is 1.5 million", ["The price is 1.5 million"]),
        ("Um {vocalsound} we 'll see , I think .", ["Um we'll see, I think."]),
        ("first line\nof one sentence", ["first line of one sentence"]),
        ("To do:\n- call Ann\n- write Bob", ["To do:", "call Ann", "write Bob"]),
        ("... !", []),
    ],
)
def test_text_is_cut_at_sentence_ends(text: str, sentences: list[str]) -> None:
    """Not after titles, within numbers or at a line's end; marks of a transcript are left out."""
    assert split_sentences(text) == sentences


def test_filler_is_left_out_of_a_quote() -> None:
    """Openings, hesitation and stammering go; what is nothing else stays as it is."""
    assert without_filler("Yeah, so, um, we we need the the report") == "We need the report"
    assert without_filler("I need, uh, more time") == "I need more time"
    assert without_filler("Okay.") == "Okay."


def test_a_summary_takes_what_is_said_most_and_no_repetition() -> None:
    """Of two subjects both are heard, each once, in the order in which they were said."""
    said = ["The pilot starts in Oslo", "Our pilot begins near Oslo", "Oslo sees the pilot start", "The invoice reached Leeds"]
    vectors = groups([3, 1], noise=0.01)
    lines = extract(sentences_of(map(utterance, said)), vectors, ExtractOptions(words=14, position_prior=0.0, relevance=0.5))
    assert len(lines) == 2
    assert "pilot" in lines[0].text
    assert "invoice" in lines[1].text


def test_a_line_names_its_speaker_and_cites() -> None:
    """Says, asks or writes by what it is; an unknown speaker by the side; the citation has date, source and id."""
    said = [
        utterance("We want the larger plan for the whole team"),
        utterance("When does the larger plan start for us?", speaker="", side="internal"),
        utterance("The contract of the larger plan is attached", interaction_type="email", speaker="Bob"),
    ]
    lines = extract(sentences_of(said), groups([1, 1, 1]), ExtractOptions(words=60))
    assert [line.text.partition(":")[0] for line in lines] == ["Ann says", "One of us asks", "Bob writes"]
    assert str(lines[0]).endswith("[2026-03-02, gong, 00000000-0000-0000-0000-000000000001]")


@pytest.mark.parametrize("words", [5, 12, 28])
def test_the_word_budget_holds(words: int) -> None:
    """All lines with their speakers have at most as many words as asked for, and use what there is."""
    said = [utterance(f"Subject {number} takes quite some explaining words here today") for number in range(9)]
    lines = extract(sentences_of(said), groups([3, 3, 3]), ExtractOptions(words=words))
    used = sum(len(line.text.split()) for line in lines)
    assert words - 5 <= used <= words


def test_vectors_must_fit_the_sentences() -> None:
    """One vector for each sentence, or nothing is said."""
    with pytest.raises(EmbeddingError, match="texts=1, vectors=2"):
        extract(sentences_of([utterance("We start in May")]), groups([2]))
    assert extract([], np.zeros((0, 16), np.float32)) == []


@pytest.mark.parametrize(
    "text",
    [
        "Could you send the contract by Friday?",
        "Please call me back.",
        "Send me the slides.",
        "Let me know.",
        "I would appreciate it if you came.",
    ],
)
def test_requests(text: str) -> None:
    """What asks the other for something."""
    assert is_request(text)


@pytest.mark.parametrize(
    "text", ["Please find attached the report.", "We look forward to seeing you.", "The invoice is paid.", "Thank you very much."]
)
def test_no_requests(text: str) -> None:
    """Courtesies and reports ask for nothing."""
    assert not is_request(text)


@pytest.mark.parametrize(
    "text",
    [
        "I'll send the quote tomorrow.",
        "We will get back to you.",
        "Let me check that with legal.",
        "You'll have the draft by Monday.",
        "I'm on it.",
    ],
)
def test_promises(text: str) -> None:
    """What the speaker will do."""
    assert is_promise(text)


def test_a_question_promises_and_decides_nothing() -> None:
    """Nor does what is still open."""
    assert not is_promise("Should I say that we will send it?")
    assert not is_decision("Have we decided on the larger plan?")
    assert not is_decision("We haven't decided yet.")
    assert not is_decision("If we go with the larger plan, we agreed to less.")


@pytest.mark.parametrize(
    "text", ["We decided to start in May.", "Let's go with the larger plan.", "The board has approved the budget.", "Agreed."]
)
def test_decisions(text: str) -> None:
    """What is settled."""
    assert is_decision(text)


def test_a_sentence_is_one_act_and_only_in_english() -> None:
    """A decision before a promise before a request; other languages are not read by rules of English."""
    said = [
        utterance("We'll go with the larger plan."),
        utterance("I'll let you know."),
        utterance("Please call me.", language="de"),
    ]
    assert [act.kind for act in acts_of(sentences_of(said))] == ["decision", "promise"]


def test_every_line_of_a_summary_cites() -> None:
    """Whatever the section; and next steps say who is to act, the latest first."""
    said = [
        utterance("We decided to start the pilot in May.", 1),
        utterance("I'll send the contract to your team tomorrow.", 2, side="internal", speaker="Bob"),
        utterance("Please send the security report to our lawyers.", 9),
        utterance("This rollout was a terrible disaster.", 16),
    ]
    sentences = sentences_of(said)
    reading = score_sentences(sentences, None, open_scorer(None))
    summary = summarise(sentences, groups([1, 1, 1, 1]), reading=reading)
    assert [name for name, _ in summary.sections()] == [
        "overview",
        "decisions",
        "promises",
        "requests",
        "sentiment",
        "contact",
        "next_steps",
    ]
    assert all(line.citations for _, lines in summary.sections() for line in lines)
    assert [line.text for line in summary.next_steps] == [
        "For us: Ann says: Please send the security report to our lawyers.",
        "For us: Bob says: I'll send the contract to your team tomorrow.",
    ]
    assert summary.contact[0].text == "4 interactions from 2026-03-02 to 2026-03-17, 1.9 a week: 4 call (gong)."
    assert "Lowest (-0.80): Ann says: This rollout was a terrible disaster." in str(summary)


def test_what_was_asked_twice_is_said_once() -> None:
    """The latest time; another kind of sentence is no repetition."""
    said = [utterance("Please send the security report.", 1), utterance("Please send the security report!", 2)]
    vectors = groups([2], noise=0.001)
    summary = summarise(sentences_of(said), vectors, options=SummaryOptions())
    assert [line.citations[0].interaction_id.int for line in summary.requests] == [2]


def test_nothing_said_is_an_empty_summary() -> None:
    """No section, no error."""
    assert not list(summarise([], np.zeros((0, 4), np.float32)).sections())


@pytest.mark.parametrize("unit", ["a'", "  ", "do you have ", "um ", "what you ", "{a", ", "])
def test_a_hostile_text_takes_no_longer_than_a_long_one(unit: str) -> None:
    """Rules that try again from every letter would take minutes here; the test's own limit of time would end it."""
    text = unit * (100_000 // len(unit))
    split_sentences(text)
    without_filler(text)
    is_request(text), is_promise(text), is_decision(text)


@pytest.mark.parametrize(
    ("mail", "own"),
    [
        ("We need it by Friday.\n\nBest regards\nAbigail Farrell\nSummit Grocers, Inc.", "We need it by Friday."),
        ("Please call.\nThanks,\nBob", "Please call."),
        ("Thanks\nfor the parts, they work.\nBob", "Thanks\nfor the parts, they work.\nBob"),  # it begins with it
        ("Best regards", "Best regards"),  # there is nothing else
        ("Hi,\nit broke.\nRegards,\nAnn\n\nOn Monday Bob wrote:\n> Best regards", "Hi,\nit broke."),
        ("A first part.\nBest,\n" + "\n".join(f"line {number}" for number in range(20)), None),  # far too long for a signature
    ],
)
def test_a_mail_without_what_is_not_said(mail: str, own: str | None) -> None:
    """Signatures and quoted mails are nobody's words here; what is not one of these stays."""
    assert own_words(mail) == (mail if own is None else own)
