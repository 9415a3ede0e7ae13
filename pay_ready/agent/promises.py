"""What sentences commit somebody to: requests, promises and decisions, found by rules of English.

Measured on sentences of real mails by `python -m tests.benchmarks.summary --requests FILE`. The rules read one sentence at a time; whether a promise
was kept they cannot know.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from pay_ready.agent.sentences import Sentence

ActKind = Literal["request", "promise", "decision"]

_PLEASE = r"(?:please|kindly|pls|plz)"
_ACTION = (
    r"(?:send|share|give|get|let|call|ring|e-?mail|mail|write|reply|respond|answer|forward|review|check|confirm|update|add|remove|provide|"
    r"schedule|book|set up|sign|fill|complete|submit|prepare|bring|make sure|ensure|advise|look|see|tell|ask|take|put|move|change|fix|"
    r"contact|follow|note|attach|return|read|help|include|keep|use|print|join|meet|visit|remind|explain|consider|feel free|find|try|go|"
    r"come|do|make|work|pay|order|arrange|approve|process|cancel|refund|replace|escalate|introduce|connect|start|stop|finish|deliver|ship|"
    r"discuss|talk|speak|touch base|circle back|reach out|dig|draft|investigate|invite|present|upload|test|resend|raise|"
    r"open|close|extend|offer|waive|credit|reserve|drop|hold|pass|run|show|stay|turn|wait|be sure|be prepared|be available|be ready)"
)
_REQUEST = re.compile(
    rf"\b(?:can|could|would|will|won't|can't|couldn't)\s+(?:you|u|someone|somebody|anyone|we|one of you)\b(?!\s+(?:be\s+able\s+to\s+)?(?:believe|imagine|not\b))"
    rf"|\b{_PLEASE}\b(?!\s+(?:find\s+(?:attached|enclosed|below)|see\s+(?:attached|below|the\s+attached)|accept\s+my))"
    rf"|^(?:so\s+|also\s+|and\s+|then\s+|just\s+|if\s[^,]{{3,60}},\s+)?(?:do\s+not\s+|don't\s+|do\s+)?{_ACTION}\s+(?:me|us|him|her|them|it|this|that|these|those|the|your|our|my|a|an|all|any|at|back|in|on|out|over|with|up|to|if|as|by|whether|what|when|who|how)\b"
    r"|\b(?:let|lets)\s+(?:me|us)\s+know\b|\bget\s+back\s+to\s+(?:me|us)\b"
    r"|\b(?:i|we)(?:'d|\s+would|\s+do|\s+really|\s+still)?\s+(?:need|want|like|ask|prefer|appreciate|love)\s+(?:you\b|for\s+you\b|it\s+if\b|to\s+(?:know|see|have|get|ask|request|schedule|meet|set))"
    r"|\b(?:i|we)(?:'d|\s+would)\s+(?:really\s+|greatly\s+)?(?:appreciate|be\s+(?:grateful|happy\s+if))\b|\bwould\s+be\s+(?:greatly\s+|much\s+)?appreciated\b"
    r"|\bneed(?:s)?\s+(?:your|you\s+to|from\s+you)\b|\byou(?:'ll)?\s+(?:need|have|must|should|will\s+need)\s+to\b|\bwould\s+you\s+(?:mind|like)\b|\bare\s+you\s+(?:able|available|free|okay|ok)\b"
    r"|\b(?:i\s+am|i'm|we\s+are|we're)\s+(?:requesting|asking)\b|\b(?:do|does)\s+(?:you|anyone|anybody)\s+(?:have|know|want|think|need|plan)\b.*\?|\b(?:is\s+it|would\s+it\s+be)\s+possible\b"
    r"|\b(?:what|when|where|who|how|which)\b[^?]{2,120}\byou\b[^?]{0,80}\?"
    r"|\blet['’]?s\s+(?!see\b|say\b|face\b|hope\b|just\s+say\b)[a-z]+|\bwonder(?:ing|ed)?\s+if\b|\b(?:do\s+not|don't)\s+hesitate\b|\bone\s+or\s+both\s+of\s+you\b"
    r"|\b(?:i|we)(?:'d|’d|\s+would)?\s+(?:also\s+)?(?:like|love|want|wanted|hope|need)\s+to\s+(?:discuss|talk|meet|hear|speak|continue|schedule|know|get\s+together|ask|chat|visit|invite)\b"
    r"|\b(?:hope|hoping)\s+(?:that\s+)?(?:you|we)\s+(?:can|could|will)\b|\bgive\s+(?:me|us)\s+a\s+(?:call|ring|hand|shout)\b|\bwe\s+(?:can|could|should|need\s+to)\s+(?:probably\s+)?(?:discuss|meet|talk|speak|get\s+together)\b",
    re.IGNORECASE,
)
_WILL = r"(?:i|we)(?:'ll|’ll|\s+will|\s+shall)(?!\s+(?:see|not\s+be\s+able|never|be\s+(?:honest|fine|there|late)|have\s+to\s+see)\b)"
_PROMISE = re.compile(
    rf"\b{_WILL}\s+(?:also\s+|then\s+|definitely\s+|certainly\s+|gladly\s+|be\s+(?:sure|happy|glad|able)\s+to\s+|make\s+sure\s+(?:to|that)\s+|try\s+to\s+|personally\s+|just\s+|go\s+ahead\s+and\s+)*{_ACTION}\b"
    rf"|\b{_WILL}\s+be\s+(?:sending|sharing|calling|preparing|writing|following|checking|reaching|working|getting|looking|making)\b"
    rf"|\b(?:i|we)\s+(?:can|could)\s+(?:also\s+)?(?:send|share|get|have|arrange|set up|prepare|draft|book|schedule)\b.*\b(?:by|on|before|tomorrow|today|tonight|next|this)\b"
    rf"|\b(?:i\s*(?:'m|’m|\s+am)|we\s*(?:'re|’re|\s+are))\s+going\s+to\s+{_ACTION}\b"
    rf"|^(?:okay,?\s+|sure,?\s+|yes,?\s+)?let\s+me\s+(?!know\b){_ACTION}\b"
    r"|\b(?:i|we)\s+(?:hereby\s+|do\s+)?(?:promise|commit|guarantee|undertake)\b|\byou(?:'ll|’ll|\s+will)\s+(?:have|get|receive)\b.*\b(?:by|before|tomorrow|today|tonight|next|this)\b"
    r"|\bconsider\s+it\s+done\b|\b(?:i'm|we're|i\s+am|we\s+are)\s+on\s+it\b",
    re.IGNORECASE,
)
_DECISION = re.compile(
    r"\b(?:we|they|the\s+(?:team|board|group|committee|company))(?:'ve|’ve|\s+have|\s+has|\s+had)?\s+(?:all\s+|both\s+|finally\s+|already\s+|now\s+|just\s+)*(?:decided|agreed|settled|chosen|approved|opted|concluded|resolved|signed\s+off)\b"
    r"|\b(?:i|he|she)(?:'ve|’ve|\s+have|\s+has)?\s+(?:decided|approved|signed\s+off)\b"
    r"|\b(?:it\s+(?:was|is|has\s+been)|that's|that\s+is|this\s+is)\s+(?:decided|agreed|settled|approved|a\s+deal)\b|\b(?:decision|agreement|consensus)\s+(?:is|was|has\s+been)\b"
    r"|\b(?:let's|let\s+us|we(?:'ll|\s+will|'re\s+going\s+to|\s+are\s+going\s+to))\s+(?:go\s+(?:with|ahead|for|forward)|stick\s+(?:with|to)|proceed\s+with|move\s+(?:forward|ahead)\s+with|sign|settle\s+on|keep\s+it\s+at)\b"
    r"|\bmade\s+(?:a|the|our)\s+decision\b|\b(?:motion\s+(?:is\s+)?(?:carried|agreed)|agreed\s+to)\b|^(?:deal|agreed|done\s+deal)\b",
    re.IGNORECASE,
)
_UNSURE = re.compile(
    r"\b(?:if\s+(?:we|i|you)|might|maybe|perhaps|not\s+(?:yet\s+)?(?:decided|agreed|sure)|haven't|have\s+not|whether)\b", re.IGNORECASE
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """A sentence that asks, promises or decides something."""

    kind: ActKind
    sentence: Sentence


def is_request(text: str) -> bool:
    """Whether a sentence asks somebody for something."""
    return bool(_REQUEST.search(text))


def is_promise(text: str) -> bool:
    """Whether the speaker says that they will do something; a question is none."""
    return not text.rstrip().endswith("?") and bool(_PROMISE.search(text))


def is_decision(text: str) -> bool:
    """Whether something is said to be settled; questions, conditions and what is undecided are none."""
    return not text.rstrip().endswith("?") and bool(_DECISION.search(text)) and not _UNSURE.search(text)


def acts_of(sentences: Iterable[Sentence]) -> list[Act]:
    """The requests, promises and decisions among English sentences, in their order. A sentence is one of them at most:
    a decision before a promise ("we'll go with the larger plan"), a promise before a request."""
    kinds = ((is_decision, "decision"), (is_promise, "promise"), (is_request, "request"))
    acts = []
    for sentence in sentences:
        if sentence.utterance.language != "en":
            continue
        kind: ActKind | None = next((name for holds, name in kinds if holds(sentence.text)), None)  # type: ignore[misc]
        if kind is not None:
            acts.append(Act(kind=kind, sentence=sentence))
    return acts
