"""Passages of any interaction: no word is lost, none too long, and what is said again is one turn."""

import hashlib
import re
from itertools import pairwise
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from pay_ready.memory.chunks import CHUNK_WORDS, MOST_WORDS, OVERLAP_WORDS, InteractionText, Turn, chunks_of, count_words
from pay_ready.model.ids import TenantId
from pay_ready.model.memory import memory_id_of

TENANT, INTERACTION = TenantId(UUID(int=1)), UUID(int=2)

ends = st.sampled_from(["", "", "", ".", "!", "?", "。", ".\n\n", "\n- "])
counts = st.one_of(st.integers(0, 12), st.integers(0, 400))


@st.composite
def prose(draw: st.DrawFn, mark: str = "w") -> str:
    """Up to 400 words, each with its number, with sentences of every length."""
    stops = draw(st.lists(ends, min_size=1, max_size=12))
    return " ".join(f"{mark}{number}{stops[number % len(stops)]}" for number in range(draw(counts)))


@st.composite
def calls(draw: st.DrawFn) -> tuple[Turn, ...]:
    """Turns of every length, some without a word, a name or times."""
    texts = draw(st.lists(st.one_of(prose(), st.just(" \n")), max_size=25))
    names = draw(st.lists(st.sampled_from(["Ann Abel", "", "Dr. Bob\nvan der Berg", "x " * 90]), min_size=1, max_size=3))
    return tuple(
        Turn(speaker=names[number % len(names)], text=text, start_s=float(number), end_s=None if number % 7 == 6 else number + 0.5)
        for number, text in enumerate(texts)
    )


interactions = st.builds(
    InteractionText, tenant=st.just(TENANT), interaction_id=st.just(INTERACTION), subject=st.one_of(st.just(""), prose("s")),
    body=st.one_of(st.just(""), prose("b"), st.text(max_size=2_000)), turns=calls(),
)  # fmt: skip


def letters(text: str) -> str:
    """The text without white space."""
    return re.sub(r"\s", "", text)


def call_of(*texts: str, speaker: str = "Ann") -> InteractionText:
    """A call of some turns."""
    turns = tuple(Turn(speaker=speaker, text=text, start_s=number * 10.0, end_s=number * 10.0 + 9) for number, text in enumerate(texts))
    return InteractionText(tenant=TENANT, interaction_id=INTERACTION, turns=turns)


@given(interactions)
def test_passages_are_bounded_and_numbered(interaction: InteractionText) -> None:
    """Never empty, never over the bound, numbered from 0, with the ids and hashes that follow from tenant, interaction and text."""
    chunks = chunks_of(interaction)
    assert [chunk.chunk_no for chunk in chunks] == list(range(len(chunks)))
    for chunk in chunks:
        assert chunk.text.strip()
        assert count_words(chunk.text) <= MOST_WORDS
        assert chunk.memory_id == memory_id_of(TENANT, INTERACTION, chunk.chunk_no)
        assert chunk.content_hash == hashlib.sha256(chunk.text.encode("utf-8", "surrogatepass")).digest()
    assert chunks == chunks_of(interaction)


@given(st.one_of(st.just(""), prose("s"), st.text(max_size=300)), st.one_of(prose("b"), st.text(max_size=5_000)))
def test_no_letter_of_a_text_is_lost(subject: str, body: str) -> None:
    """Subject and body, passage after passage, are the whole text in its order, whatever it is written in."""
    chunks = chunks_of(InteractionText(tenant=TENANT, interaction_id=INTERACTION, subject=subject, body=body))
    assert "".join(letters(chunk.text) for chunk in chunks) == letters(subject + body)


@given(calls())
def test_no_word_of_a_call_is_lost(turns: tuple[Turn, ...]) -> None:
    """Every word of every turn is there, in the order it was said, and said by a passage that names the turn."""
    marked = tuple(Turn(speaker="", text=re.sub(r"w(\d+)", rf"t{number}w\1", turn.text)) for number, turn in enumerate(turns))
    chunks = chunks_of(InteractionText(tenant=TENANT, interaction_id=INTERACTION, turns=marked))
    heard: list[tuple[int, int]] = []
    for chunk in chunks:
        words = [(int(turn), int(word)) for turn, word in re.findall(r"t(\d+)w(\d+)", chunk.text)]
        assert words == sorted(words)
        assert (words[0][0], words[-1][0]) == (chunk.first_turn, chunk.last_turn)
        heard += words
    wanted = [(number, int(word)) for number, turn in enumerate(turns) for word in re.findall(r"w(\d+)", turn.text)]
    assert sorted(set(heard)) == wanted


@given(st.lists(st.integers(1, OVERLAP_WORDS - 1), min_size=1, max_size=120))
def test_neighbours_share_exactly_one_turn(lengths: list[int]) -> None:
    """Where turns are short, each passage opens with the last turn of the one before it, whole; the ends of the call are in."""
    chunks = chunks_of(call_of(*(" ".join(f"t{number}w{word}" for word in range(length)) for number, length in enumerate(lengths))))
    assert (chunks[0].first_turn, chunks[-1].last_turn) == (0, len(lengths) - 1)
    for before, after in pairwise(chunks):
        assert after.first_turn == before.last_turn
        assert after.text.split("\n")[0] == before.text.split("\n")[-1]
        assert after.last_turn is not None
        assert before.last_turn is not None
        assert after.last_turn > before.last_turn
    for chunk in chunks[:-1]:
        assert count_words(chunk.text) > CHUNK_WORDS - OVERLAP_WORDS  # none is much smaller than it could be


@given(calls())
def test_times_are_those_of_the_first_and_last_turn(turns: tuple[Turn, ...]) -> None:
    """A passage can be found in the recording: it begins and ends with turns, not with the call."""
    for chunk in chunks_of(InteractionText(tenant=TENANT, interaction_id=INTERACTION, turns=turns)):
        assert chunk.first_turn is not None
        assert chunk.last_turn is not None
        assert chunk.start_s == turns[chunk.first_turn].start_s
        assert chunk.end_s == turns[chunk.last_turn].end_s


@given(st.lists(st.sampled_from(["", " ", "\n", "\t \n"]), max_size=5))
def test_nothing_to_read_gives_no_passages(texts: list[str]) -> None:
    """White space is nothing, wherever it stands."""
    blank = "".join(texts)
    turns = tuple(Turn(speaker="Ann", text=text) for text in texts)
    assert chunks_of(InteractionText(tenant=TENANT, interaction_id=INTERACTION, subject=blank, body=blank, turns=turns)) == []
