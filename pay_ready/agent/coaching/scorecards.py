"""Scorecards: a coach's questions to each conversation, answered by a measure, a tracker or keywords, and weighed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import tzinfo
from typing import Literal

from pay_ready.agent.coaching.conversations import Conversation, Quote, quote_of
from pay_ready.agent.coaching.keywords import keywords_of, pieces_of
from pay_ready.agent.coaching.measures import CallMeasures
from pay_ready.agent.coaching.trackers import Hit
from pay_ready.model.talk import Side

AnsweredBy = Literal["measure", "tracker", "keyword"]
Answer = Literal["yes", "no", "not measured"]
MOST_QUOTES = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One question; it is answered yes where the value lies in the bounds, ends included. A missing bound holds always."""

    question_id: str
    text: str
    answered_by: AnsweredBy
    weight: float = 1.0
    at_least: float | None = None  # of a measure, or times that a tracker or keyword was heard
    at_most: float | None = None
    measure: str = ""
    tracker: str = ""
    keywords: tuple[str, ...] = ()
    side: Side | None = None  # who says a keyword


@dataclass(frozen=True, slots=True, kw_only=True)
class Scorecard:
    """Questions that belong together."""

    scorecard_id: str
    title: str
    interaction_types: tuple[str, ...]  # that it is for; empty: all
    questions: tuple[Question, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """A question's answer in one conversation, with the value behind it."""

    question_id: str
    answer: Answer
    value: float | None
    quotes: tuple[Quote, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored:
    """A filled scorecard; `score` is the weight of yes / the weight of all answers, in [0, 1]; None where nothing could be answered."""

    scorecard_id: str
    conversation_id: str
    score: float | None
    answers: tuple[Answered, ...]


def fill(card: Scorecard, conversation: Conversation, measures: CallMeasures, hits: Sequence[Hit], zone: tzinfo) -> Scored | None:
    """The card for one conversation; None where it is not for such a one."""
    if card.interaction_types and conversation.first.interaction_type not in card.interaction_types:
        return None
    answers = tuple(_answer(question, conversation, measures, hits, zone) for question in card.questions)
    return Scored(
        scorecard_id=card.scorecard_id,
        conversation_id=conversation.conversation_id,
        score=_score({each.question_id: each.weight for each in card.questions}, answers),
        answers=answers,
    )


def _score(weights: Mapping[str, float], answers: Sequence[Answered]) -> float | None:
    given = [each for each in answers if each.answer != "not measured"]
    whole = sum(weights[each.question_id] for each in given)
    return sum(weights[each.question_id] for each in given if each.answer == "yes") / whole if whole else None


def _answer(question: Question, conversation: Conversation, measures: CallMeasures, hits: Sequence[Hit], zone: tzinfo) -> Answered:
    if question.answered_by == "measure":
        value = measures.figures.get(question.measure)
        said = [(index, conversation.said[index].utterance.text) for index in measures.evidence.get(question.measure, ())]
    else:
        said = _heard(question, conversation, hits)
        value = float(len(said))
    quotes = tuple(quote_of(conversation.said[index].utterance, zone, text=text) for index, text in said[:MOST_QUOTES])
    if value is None:
        return Answered(question_id=question.question_id, answer="not measured", value=None)
    is_within = (question.at_least is None or value >= question.at_least) and (question.at_most is None or value <= question.at_most)
    return Answered(question_id=question.question_id, answer="yes" if is_within else "no", value=value, quotes=quotes)


def _heard(question: Question, conversation: Conversation, hits: Sequence[Hit]) -> list[tuple[int, str]]:
    if question.answered_by == "tracker":
        return [(hit.index, hit.sentence) for hit in hits if hit.tracker_id == question.tracker]
    said = keywords_of(question.keywords)
    return [
        (index, sentence)
        for index, sentences in enumerate(conversation.sentences)
        if question.side in (None, conversation.said[index].utterance.side)
        for sentence in sentences
        if said.is_in(sentence, pieces_of(sentence))
    ]
