"""Trackers: what a coach listens for, found by keyword, and by likeness to example sentences."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Literal

from pay_ready.agent.coaching.conversations import Conversation
from pay_ready.agent.sentences import split_sentences, words_of
from pay_ready.model.memory import Embedder
from pay_ready.model.talk import Side

if TYPE_CHECKING:  # heavy
    from pay_ready.model.memory import Vectors

Group = Literal["objection", "win", "acknowledgement", "agreement", "topic"]
MOST_COMPARED = 2_000  # sentences of a report that are compared with examples, the newest first: 2 s of MiniLM on one core
LEAST_WORDS = 4  # a shorter sentence is like too much
_WORDS_BETWEEN = 4  # that "..." in a keyword may stand for


@dataclass(frozen=True, slots=True, kw_only=True)
class Tracker:
    """One thing to listen for.

    A keyword is words in any case; "cancel*" is any word that begins so, "send ... contract" has up to 4 words between.
    """

    tracker_id: str
    label: str
    group: Group
    side: Side | None = None  # who says it; None: anybody
    keywords: tuple[str, ...] = ()
    unless: tuple[str, ...] = ()  # keywords: a sentence with one of them is no hit
    examples: tuple[str, ...] = ()
    unlike: tuple[str, ...] = ()  # what is no hit: a sentence that is nearer to one of these than to any example
    least_similarity: float = 1.0  # cosine between a sentence and its nearest example, from which on it is a hit


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """A sentence that a tracker found."""

    tracker_id: str
    index: int  # of the utterance
    sentence: str
    found_by: Literal["keyword", "example"]
    similarity: float | None = None  # of what an example found


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """The hits of each conversation, in order of what was said, and what a reader must know of them."""

    hits: tuple[tuple[Hit, ...], ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sentence:
    conversation_no: int
    index: int
    side: Side
    text: str


def listen(
    trackers: Sequence[Tracker], conversations: Sequence[Conversation], embedder: Embedder | None = None, *, most: int = MOST_COMPARED
) -> Heard:
    """What the trackers find in each conversation; by example only with an embedder that knows meaning.

    Of several objections whose examples a sentence is like, it is the nearest one; what a keyword found needs no example.

    Args:
        trackers: Each utterance gives a tracker at most one hit.
        conversations: Any.
        embedder: None, or one that is lexical: keywords alone.
        most: Sentences that are compared with examples, those of the latest conversations first.
    """
    sentences = list(_sentences(conversations))
    found = [list[Hit]() for _ in conversations]
    seen: set[tuple[str, int, int]] = set()
    for tracker in trackers:
        for each in sentences:
            if (tracker.tracker_id, each.conversation_no, each.index) not in seen and has_keyword(tracker, each.text, each.side):
                seen.add((tracker.tracker_id, each.conversation_no, each.index))
                hit = Hit(tracker_id=tracker.tracker_id, index=each.index, sentence=each.text, found_by="keyword")
                found[each.conversation_no].append(hit)
    notes = _by_example([each for each in trackers if each.examples], sentences, embedder, most, found, seen)
    ordered = tuple(tuple(sorted(hits, key=lambda hit: (hit.index, hit.tracker_id))) for hits in found)
    return Heard(hits=ordered, notes=tuple(notes))


def has_keyword(tracker: Tracker, sentence: str, side: Side) -> bool:
    """Whether a keyword finds this sentence of that side."""
    if tracker.side not in (None, side) or not tracker.keywords or not keyword_pattern(tracker.keywords).search(sentence):
        return False
    return not (tracker.unless and keyword_pattern(tracker.unless).search(sentence))


@cache
def keyword_pattern(keywords: tuple[str, ...]) -> re.Pattern[str]:
    """One expression for all keywords; no part of it can be repeated without end, so that a search is linear."""
    return re.compile(rf"(?<![\w'’])(?:{'|'.join(map(_keyword, keywords))})(?!\w)", re.IGNORECASE)


def _keyword(keyword: str) -> str:
    parts = []
    for word in keyword.replace("’", "'").split():
        if word == "...":
            parts.append(rf"(?:[\w'’]{{1,30}}[\s,]{{1,3}}){{0,{_WORDS_BETWEEN}}}?")
        else:
            stem = re.escape(word.removesuffix("*")).replace("'", "['’]")
            parts.append(stem + (r"\w{0,30}" if word.endswith("*") else ""))
    written = ""
    for part, following in zip(parts, [*parts[1:], ""], strict=True):
        written += part if part.startswith("(?:") or not following else part + r"[\s,]{1,3}"
    return written


def _sentences(conversations: Sequence[Conversation]) -> Iterator[_Sentence]:
    for conversation_no, conversation in enumerate(conversations):
        for index, each in enumerate(conversation.said):
            for text in split_sentences(each.utterance.text):
                yield _Sentence(conversation_no=conversation_no, index=index, side=each.utterance.side, text=text)


def _by_example(
    trackers: Sequence[Tracker],
    sentences: Sequence[_Sentence],
    embedder: Embedder | None,
    most: int,
    found: Sequence[list[Hit]],
    seen: set[tuple[str, int, int]],
) -> list[str]:
    """Adds what examples find; gives notes."""
    if not trackers:
        return []
    if embedder is None or embedder.is_lexical:
        return ["no model of meaning is installed: trackers listen for keywords alone, not for their examples"]
    sides = {each.side for each in trackers}
    fitting = [each for each in sentences if (None in sides or each.side in sides) and len(words_of(each.text)) >= LEAST_WORDS]
    compared = fitting[-most:]
    if not compared:
        return []
    best: dict[tuple[str, int, int], Hit] = {}
    for tracker, each, similarity in _like(trackers, compared, embedder):
        key = (tracker.tracker_id, each.conversation_no, each.index)
        if key not in seen and (key not in best or (best[key].similarity or 0.0) < similarity):
            best[key] = Hit(tracker_id=tracker.tracker_id, index=each.index, sentence=each.text, found_by="example", similarity=similarity)
    for (_, conversation_no, _), hit in best.items():
        found[conversation_no].append(hit)
    if len(fitting) > most:
        return [f"of {len(fitting):,} sentences the latest {most:,} were compared with the trackers' examples, all with their keywords"]
    return []


def _like(trackers: Sequence[Tracker], compared: Sequence[_Sentence], embedder: Embedder) -> Iterator[tuple[Tracker, _Sentence, float]]:
    """Which sentences are like the examples of which trackers, and how much."""
    vectors: Vectors = embedder.embed([each.text for each in compared])
    told = list(dict.fromkeys(text for tracker in trackers for text in (*tracker.examples, *tracker.unlike)))
    rows = {text: number for number, text in enumerate(told)}
    cosines = vectors @ embedder.embed(told).T
    near = {each.tracker_id: cosines[:, [rows[text] for text in each.examples]].max(axis=1) for each in trackers}
    objecting = {each.tracker_id for each in trackers if each.group == "objection"}
    for tracker in trackers:
        is_like = near[tracker.tracker_id] >= tracker.least_similarity
        if tracker.unlike:
            is_like &= near[tracker.tracker_id] > cosines[:, [rows[text] for text in tracker.unlike]].max(axis=1)
        for other in objecting - {tracker.tracker_id} if tracker.tracker_id in objecting else ():
            is_like &= near[tracker.tracker_id] >= near[other]
        unless = keyword_pattern(tracker.unless) if tracker.unless else None
        for number in is_like.nonzero()[0].tolist():
            each = compared[number]
            if tracker.side in (None, each.side) and not (unless and unless.search(each.text)):
                yield tracker, each, round(float(near[tracker.tracker_id][number]), 3)


def of_group(trackers: Iterable[Tracker], group: Group) -> tuple[Tracker, ...]:
    """The trackers of one group."""
    return tuple(each for each in trackers if each.group == group)
