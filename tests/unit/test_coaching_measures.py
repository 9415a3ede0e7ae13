"""The measures of a conversation, against figures computed by hand."""

from dataclasses import replace
from datetime import UTC

import pytest

from pay_ready.agent.coaching.conversations import Rep, conversations_of, quote_of, time_code
from pay_ready.agent.coaching.formulas import MEASURES
from pay_ready.agent.coaching.measures import CallMeasures, measure
from pay_ready.agent.coaching.questions import count_questions, is_question
from tests.coaching_support import ANN, BOB, DAY, REP, call_of, message, thread_of, turn

# Bob speaks 30 + 140 + 10 = 180 s, Carl 20 s, Ann 60 + 40 = 100 s; 300 s of speech in 310 s.
CALL = call_of([
    turn("Bob", 0, 30, "Welcome. How are you? What brings you here today?"),
    turn("Ann", 31, 91, "We need a new system."),
    turn("Bob", 92.5, 150, "Let me show you the product."),
    turn("Bob", 151, 232.5, "And this is the other part."),
    turn("Ann", 232, 272, "That is a lot."),
    turn("Carl", 275, 295, "Shall I send you the slides?"),
    turn("Bob", 300, 310, "Can you join on Friday"),
])  # fmt: skip


def test_figures_by_hand() -> None:
    """Every figure of a call with two of ours and a customer is what a pencil gives."""
    figures = measure(CALL, REP).figures
    bob, carl, ann = 30 + 57.5 + 81.5 + 10, 20, 60 + 40
    assert figures["talk_ratio"] == pytest.approx((bob + carl) / (bob + carl + ann))
    assert figures["rep_share"] == pytest.approx(bob / (bob + carl + ann))
    assert figures["longest_monologue"] == pytest.approx(232.5 - 92.5)  # a pause of 1 s does not end it
    assert figures["long_monologues"] == 1
    assert figures["customer_monologue"] == pytest.approx(60)
    assert figures["interactivity"] == pytest.approx(4 / (310 / 60))
    assert figures["patience"] == pytest.approx(1.5)  # Carl's answer is not Bob's
    assert figures["questions"] == 3
    assert figures["question_rate"] == pytest.approx(3 / (310 / 3600))
    assert figures.keys() <= MEASURES.keys()


def test_without_a_rep_the_whole_side_is_measured() -> None:
    """Carl's answer and question count for the side."""
    figures = measure(CALL).figures
    assert figures["patience"] == pytest.approx((1.5 + 3) / 2)
    assert figures["questions"] == 4
    assert figures["rep_share"] == figures["talk_ratio"]


def test_patience_below_zero_is_cutting_in() -> None:
    """A rep who begins before the customer has ended has a patience below 0."""
    assert measure(call_of([turn("Ann", 0, 10), turn("Bob", 8, 20)])).figures["patience"] == pytest.approx(-2)


def test_a_run_ends_at_two_seconds() -> None:
    """A pause just under 2 s continues a monologue, one of 2 s ends it."""
    pausing = [turn("Bob", 0, 10), turn("Bob", 11.9, 20), turn("Bob", 22, 25)]
    assert measure(call_of(pausing)).figures["longest_monologue"] == pytest.approx(20)


def test_monologues_count_from_more_than_two_minutes_on() -> None:
    """120 s is not yet one."""
    turns = [turn("Bob", 0, 120), turn("Ann", 120, 121), turn("Bob", 121, 241.5)]
    assert measure(call_of(turns)).figures["long_monologues"] == 1


def test_another_voice_ends_a_run() -> None:
    """So does anybody else's beginning, within the run too; the colleague's does not lengthen it."""
    assert measure(call_of([turn("Bob", 0, 60), turn("Ann", 30, 31), turn("Bob", 60, 90)])).figures["longest_monologue"] == 60
    assert measure(call_of([turn("Bob", 0, 60), turn("Carl", 60, 200)]), REP).figures["longest_monologue"] == 60


def test_overlapping_speech_counts_once_for_a_side() -> None:
    """Two of ours who speak at once speak for as long as the clock runs; the shares of the sides still add up to 1."""
    found = measure(call_of([turn("Bob", 0, 60), turn("Carl", 30, 60), turn("Ann", 50, 90)]))
    assert found.figures["talk_ratio"] == pytest.approx(60 / 100)
    assert sum(found.shares.values()) == pytest.approx(1)


def test_a_missing_end_is_guessed_and_said() -> None:
    """0.4 s a word, at most to the next turn; an end before its start is none, and the report says how many."""
    found = measure(call_of([turn("Bob", 0, None, "one two three four five"), turn("Ann", 10, 9, "word " * 100), turn("Bob", 15, 16)]))
    assert found.figures["talk_ratio"] == pytest.approx((2 + 1) / (2 + 5 + 1))
    assert "2 turns have no end" in " ".join(found.notes)
    assert measure(call_of([turn("Bob", 0, float("nan"), "one two")])).length_s == pytest.approx(0.8)


def test_without_times_words_are_measured_and_said() -> None:
    """No start at all: shares of words, the longest turn, and nothing in seconds."""
    found = measure(call_of([turn("Bob", text="one two three", turn_no=1), turn("Ann", text="four", turn_no=2)]))
    assert found.basis == "words"
    assert found.figures["word_share"] == pytest.approx(3 / 4)
    assert found.figures["longest_turn"] == 3
    assert not found.figures.keys() & {"talk_ratio", "longest_monologue", "interactivity", "patience", "question_rate"}
    assert "no times" in found.notes[0]


def test_few_turns_without_times_are_left_out() -> None:
    """Up to a fifth of the words may lack a time; beyond that the call is measured in words."""
    timed = [turn("Bob", 0, 10, "a b c d"), turn("Ann", 10, 20, "a b c d", turn_no=1)]
    found = measure(call_of([*timed, turn("Bob", text="e f", turn_no=2)]))
    assert found.basis == "times"
    assert found.figures["talk_ratio"] == pytest.approx(0.5)
    assert "1 turns have no time" in " ".join(found.notes)
    assert measure(call_of([*timed, turn("Bob", text="e f g", turn_no=2)])).basis == "words"


@pytest.mark.parametrize(
    ("turns", "ratio", "note"),
    [
        ([turn("Bob", 0, 10)], 1.0, "one side alone speaks"),
        ([turn("Ann", 0, 10)], 0.0, "one side alone speaks"),
        ([turn("?", 0, 10)], None, "no side is known"),
        ([turn("?", 0, 10), turn("Ann", 10, 20)], None, "of 50% of the speech the side is not known"),
        ([turn("?", 0, 10), turn("Bob", 10, 20)], 0.5, "of 50% of the speech the side is not known"),
        ([turn("Bob", 5, 5)], None, "lasts no time"),
    ],
)
def test_calls_that_say_less(turns: list, ratio: float | None, note: str) -> None:  # type: ignore[type-arg]
    """One-sided, unknown and empty calls give what can be said of them, and the note that says so."""
    found = measure(call_of(turns))
    assert found.figures.get("talk_ratio") == ratio
    assert note in " ".join(found.notes)
    assert "patience" not in found.figures


def test_a_call_of_no_length_has_no_rates() -> None:
    """Nothing is divided by 0."""
    found = measure(call_of([turn("Bob", 5, 5, "Why?"), turn("Ann", 5, 5)]))
    assert not found.figures.keys() & {"talk_ratio", "interactivity", "question_rate"}
    assert found.figures["questions"] == 1


def test_a_rep_who_is_silent_has_no_monologue() -> None:
    """The colleague's words are not the rep's; where nobody of the side is known, all of it counts, and that is said."""
    silent = measure(call_of([turn("Carl", 0, 60, "Why?"), turn("Ann", 60, 90)]), REP)
    assert silent.figures["rep_share"] == 0
    assert silent.figures["questions"] == 0
    assert "longest_monologue" not in silent.figures
    unresolved = measure(call_of([turn("Eve", 0, 60), turn("Ann", 60, 90)]), REP)
    assert unresolved.figures["longest_monologue"] == 60
    assert "all of it counts as the rep's" in unresolved.notes[0]


def test_the_rep_is_of_the_own_side_whatever_the_source_says() -> None:
    """A source may not know that Ann is the rep: her id decides."""
    found = measure(call_of([turn("Ann", 0, 30), turn("Dan", 30, 60)]), Rep(ids=frozenset({ANN}), name="Ann"))
    assert found.figures["talk_ratio"] == pytest.approx(0.5)


def test_replies_by_hand() -> None:
    """Waiting begins with a customer's first message; ours that nobody asked for do not count."""
    thread = thread_of([
        message("Bob", 0), message("Ann", 10), message("Ann", 15), message("Bob", 40), message("Bob", 41),
        message("Dan", 50), message("Carl", 60), message("Ann", 70),
    ])  # fmt: skip
    found = measure(thread)
    assert found.basis == "replies"
    assert found.figures["first_response"] == 30 * 60
    assert found.figures["reply_delay"] == 20 * 60
    assert "talk_ratio" not in found.figures
    assert "no reply" in found.notes[-1]


def test_other_languages_are_said() -> None:
    """What is read in English only is said of a call in another language."""
    german = turn("Bob", 0, 1, "Wann kommt es?")
    found = measure(call_of([replace(german, utterance=replace(german.utterance, language="de")), turn("Ann", 1, 2)]))
    assert found.notes == ("partly in de: there a question is known by its mark alone, and trackers are English",)
    assert found.figures["questions"] == 1


def test_customer_sentiment() -> None:
    """The mean of what customers said and was scored; the lowest is the evidence."""
    found = measure(
        call_of([turn("Ann", 0, 1, sentiment=0.5), turn("Ann", 1, 2, sentiment=-0.7), turn("Bob", 2, 3, sentiment=1), turn("Ann", 3, 4)])
    )
    assert found.figures["customer_sentiment"] == pytest.approx(-0.1)
    assert found.evidence["customer_sentiment"] == (1, 0)
    assert found.high_evidence["customer_sentiment"] == (0, 1)


def test_evidence_points_at_what_was_measured() -> None:
    """The longest monologue's evidence is the turn that opened it, with the end of the whole run."""
    found: CallMeasures = measure(CALL, REP)
    (index,) = found.evidence["longest_monologue"]
    quote = quote_of(CALL.said[index].utterance, UTC, end_s=found.until[index])
    assert (quote.time_code, quote.end_s, quote.speaker) == ("1:32", 232.5, "Bob")
    assert quote.citation == f"[2026-03-02, gong, {quote.interaction_id}, 1:32]"


def test_conversations_are_calls_and_threads() -> None:
    """Messages of one thread are one conversation, a call stands alone even in a thread, and the earliest is first."""
    call, first, second = turn("Bob", 0, 1), message("Ann", 5), message("Bob", 6)
    threads = {each.utterance.interaction_id: "t" for each in (call, first, second)}
    found = conversations_of([second, call, first], threads=threads, subjects={second.utterance.interaction_id: "About it"})
    assert [len(each.said) for each in found] == [1, 2]
    assert found[1].subject == "About it"
    assert found[0].occurred_at == DAY
    assert call.utterance.speaker_id == BOB


@pytest.mark.parametrize(
    ("sentence", "asks"),
    [
        ("How many sites do you have?", True),
        ("how many sites do you have", True),
        ("How many sites do you have.", True),
        ("Can you send it today.", True),
        ("Okay, so what is your budget.", True),
        ("Which site first", True),
        ('And he said "why?"', True),
        ("What we need is a plan.", False),
        ("When you are ready, call me.", False),
        ("What a day!", False),
        ("Should you need help, press zero.", False),
        ("It is what it is.", False),
        ("你好吗？", True),
    ],
)
def test_questions(sentence: str, asks: bool) -> None:
    """A mark, or a question word with a verb; a relative clause asks nothing."""
    assert is_question(sentence) is asks


def test_questions_are_counted_by_sentence() -> None:
    """Two are two, doubled marks are one."""
    assert count_questions(["Really?!", "Yes.", "Do you think so?", "Fine."]) == 2
    assert count_questions([]) == 0


def test_time_codes() -> None:
    """Hours only where there are any."""
    assert [time_code(value) for value in (0, 59.9, 247, 3847)] == ["0:00", "0:59", "4:07", "1:04:07"]
