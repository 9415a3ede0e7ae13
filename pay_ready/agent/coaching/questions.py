"""Which sentences ask something.

A sentence that ends in a question mark; or, as transcripts lose marks, one that opens with a question word and a verb ("what is", "how many
do", "can you"), or that has no end mark at all and opens with a question word ("which site first"). "What I mean is …" asks nothing.
"""

import re
from collections.abc import Iterable

_VERB = r"(?:is|are|was|were|am|do|does|did|has|have|had|can|could|would|will|should|shall|may|might)(?:n['’]t)?"
_ASKED = r"(?:you|we|they|he|she|it|i|there|that|this|the|your|our|anyone|anybody|somebody)"
_LEAD = r"^(?:(?:and|so|but|ok|okay|well|right|um|uh|now|then)[, ]+)*"
_BETWEEN = rf"(?: (?!{_ASKED}\b)[\w'’]+){{0,2}}?"  # "how many sites", not "what we"
_INVERTED = re.compile(
    rf"{_LEAD}(?:(?:what|who|whom|when|where|why|which|how)(?:['’]s {_ASKED}\b|{_BETWEEN} {_VERB} {_ASKED}\b| (?:is|are) )"
    rf"|(?!should (?:you|there)\b){_VERB} {_ASKED}\b)",  # "should you need …" is a condition
    re.IGNORECASE,
)
_QUESTION_WORD = re.compile(rf"{_LEAD}(?:what|who|whom|whose|when|where|why|which|how)\b", re.IGNORECASE)
_MARK = re.compile(r"\?[\"'”’»)\]!?]*$")
_ENDED = re.compile(r"[.!…。！][\"'”’»)\]]*$")


def is_question(sentence: str) -> bool:
    """Whether one sentence, on one line, asks something."""
    if _MARK.search(sentence) or sentence.endswith("？"):
        return True
    return bool(_INVERTED.match(sentence) or (not _ENDED.search(sentence) and _QUESTION_WORD.match(sentence)))


def count_questions(sentences: Iterable[str]) -> int:
    """How many of the sentences ask something."""
    return sum(map(is_question, sentences))
