"""Trackers: what a coach listens for, found by keyword, and by likeness to example sentences."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from pay_ready.agent.coaching.conversations import Conversation
from pay_ready.agent.coaching.keywords import keywords_of, pieces_of
from pay_ready.agent.sentences import words_of
from pay_ready.errors import EmbeddingError, TransientError
from pay_ready.model.memory import Embedder
from pay_ready.model.talk import Side

if TYPE_CHECKING:  # heavy
    from pay_ready.model.memory import Vectors

Group = Literal["objection", "win", "acknowledgement", "agreement", "topic"]
MOST_COMPARED = 400  # sentences of a report that are compared with examples, the newest first: 2 s of MiniLM on one slow core
LEAST_WORDS = 4  # a shorter sentence is like too much


@dataclass(frozen=True, slots=True, kw_only=True)
class Tracker:
    """One thing to listen for.

    Of keywords see `keywords`; by `unless` a sentence that holds one is no hit.
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
    found = [list[Hit]() for _ in conversations]
    seen: set[tuple[str, int, int]] = set()
    for conversation_no, conversation in enumerate(conversations):
        for hit in _by_keyword(trackers, conversation):
            seen.add((hit.tracker_id, conversation_no, hit.index))
            found[conversation_no].append(hit)
    notes = _by_example([each for each in trackers if each.examples], conversations, embedder, most, found, seen)
    ordered = tuple(tuple(sorted(hits, key=lambda hit: (hit.index, hit.tracker_id))) for hits in found)
    return Heard(hits=ordered, notes=tuple(notes))


def _by_keyword(trackers: Sequence[Tracker], conversation: Conversation) -> Iterator[Hit]:
    listening = [(tracker, keywords_of(tracker.keywords)) for tracker in trackers if tracker.keywords]
    for index, each in enumerate(conversation.said):
        waiting = [pair for pair in listening if pair[0].side in (None, each.utterance.side)]
        for sentence in conversation.sentences[index]:
            words = pieces_of(sentence)
            heard = [tracker for tracker, said in waiting if said.is_in(sentence, words) and not _is_denied(tracker, sentence)]
            for tracker in heard:
                yield Hit(tracker_id=tracker.tracker_id, index=index, sentence=sentence, found_by="keyword")
            if heard:
                waiting = [pair for pair in waiting if pair[0] not in heard]


def _is_denied(tracker: Tracker, sentence: str) -> bool:
    return bool(tracker.unless and keywords_of(tracker.unless).pattern.search(sentence))


def _sentences(conversations: Sequence[Conversation], sides: set[Side | None]) -> Iterator[_Sentence]:
    """Those of the sides that are long enough to be compared."""
    for conversation_no, conversation in enumerate(conversations):
        for index, each in enumerate(conversation.said):
            if None in sides or each.utterance.side in sides:
                for text in conversation.sentences[index]:
                    if len(words_of(text)) >= LEAST_WORDS:
                        yield _Sentence(conversation_no=conversation_no, index=index, side=each.utterance.side, text=text)


def _by_example(
    trackers: Sequence[Tracker],
    conversations: Sequence[Conversation],
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
    fitting = list(_sentences(conversations, {each.side for each in trackers}))
    compared = fitting[-most:]
    if not compared:
        return []
    best: dict[tuple[str, int, int], Hit] = {}
    try:
        like = list(_like(trackers, compared, embedder))
    except (EmbeddingError, TransientError) as error:  # a model elsewhere may be away: keywords are heard without it
        return [f"the model of meaning does not answer ({error.what}): trackers listened for keywords alone, not for their examples"]
    for tracker, each, similarity in like:
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
        for number in is_like.nonzero()[0].tolist():
            each = compared[number]
            if tracker.side in (None, each.side) and not _is_denied(tracker, each.text):
                yield tracker, each, round(float(near[tracker.tracker_id][number]), 3)


def of_group(trackers: Iterable[Tracker], group: Group) -> tuple[Tracker, ...]:
    """The trackers of one group."""
    return tuple(each for each in trackers if each.group == group)
