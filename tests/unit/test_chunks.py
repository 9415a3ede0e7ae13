"""Passages as people would cut them: examples."""

from uuid import UUID

from pay_ready.memory.chunks import InteractionText, Turn, chunks_of, count_words
from pay_ready.model.ids import TenantId


def texts_of(subject: str = "", body: str = "", turns: tuple[Turn, ...] = ()) -> list[str]:
    """The texts of an interaction's passages."""
    tenant = TenantId(UUID(int=1))
    return [
        chunk.text
        for chunk in chunks_of(InteractionText(tenant=tenant, interaction_id=UUID(int=2), subject=subject, body=body, turns=turns))
    ]


def test_a_mail_keeps_its_form() -> None:
    """A short mail is one passage: its subject, then its body with its lines."""
    assert texts_of("Pilot", "Hi Ann,\n\nwe begin in May.\n\nTom\n") == ["Pilot\nHi Ann,\n\nwe begin in May.\n\nTom"]


def test_a_long_mail_is_cut_at_sentences() -> None:
    """Twenty sentences of ten words: twelve, less the subject, then the others; no sentence is in two."""
    sentence = "we need this by May and not a day later."
    first, second = texts_of("Offer", " ".join([sentence] * 20))
    assert first == "Offer\n" + " ".join([sentence] * 11)
    assert second == " ".join([sentence] * 9)


def test_line_breaks_of_a_mail_are_no_sentences() -> None:
    """A mail broken at 72 letters is cut where a sentence ends, in the middle of a line."""
    lines = "\n".join(" ".join(["word"] * 9 + ["end."] + ["next"]) for _ in range(20))
    first, *_ = texts_of(body=lines)
    assert first.endswith("end.")


def test_a_short_end_stays_with_its_mail() -> None:
    """The greeting at the end is no passage of its own."""
    (only,) = texts_of(body="We need this by May, and not a day later. " * 12 + "Many greetings, Tom")
    assert only.endswith("Tom")


def test_a_call_says_who_speaks() -> None:
    """Turns are lines with the speaker's name; the subject opens the first passage."""
    turns = (Turn(speaker="Ann Abel", text="Is it in budget?"), Turn(speaker="", text="Not this year."))
    assert texts_of("Pricing", turns=turns) == ["Pricing\nAnn Abel: Is it in budget?\nNot this year."]


def test_a_monologue_names_its_speaker_in_every_passage() -> None:
    """A turn that is longer than a passage is cut at sentences; each part says who speaks."""
    parts = texts_of(turns=(Turn(speaker="Ann", text="This is a sentence of seven words. " * 50),))
    assert len(parts) == 3
    assert all(part.startswith("Ann: This is") and part.endswith("words.") for part in parts)


def test_a_body_and_turns_are_not_mixed() -> None:
    """Notes about a call and what was said in it are passages of their own."""
    notes, said = texts_of("Call", "They liked the demo.", (Turn(speaker="Ann", text="I like it."),))
    assert (notes, said) == ("Call\nThey liked the demo.", "Ann: I like it.")


def test_scripts_without_spaces_are_cut_at_their_sentences() -> None:
    """Two letters count as a word; the cut is after the full stop of that script."""
    parts = texts_of(body="请在五月之前把新的报价发给我们。" * 40)
    assert len(parts) > 1
    assert all(part.endswith("。") and count_words(part) <= 160 for part in parts)
