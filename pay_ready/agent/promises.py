"""What sentences commit somebody to: requests, promises and decisions, found by rules of English.

The rules read one sentence at a time; whether a promise was kept they cannot know. Precision and recall on sentences of real mails:
`python -m tests.benchmarks.summary --requests FILE`.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

from pay_ready.agent.sentences import Sentence

_LONGEST_READ = 1_000  # characters: what people ask and promise in one breath; bounds the time of a hostile text
ActKind = Literal["request", "promise", "decision"]

_VERBS = """
send share give get let call ring e-?mail mail write reply respond answer forward review check confirm update add remove provide
schedule book set_up sign fill complete submit prepare bring make ensure advise look see tell ask take put move change fix contact
follow note attach return read help include keep use print join meet visit remind explain consider feel_free find try go come do
work pay order arrange approve process cancel refund replace escalate introduce connect start stop finish deliver ship discuss talk
speak touch_base circle_back reach_out dig draft investigate invite present upload test resend raise open close extend offer waive
credit reserve drop hold pass run show stay turn wait be_sure be_prepared be_available be_ready
"""
_DO = f"(?:{'|'.join(verb.replace('_', ' ') for verb in _VERBS.split())})"  # what people ask of each other, and promise
_WE = r"\b(?:i|we)"
_WILL = rf"{_WE}(?:'ll|’ll|\s+will|\s+shall)"
_WOULD = rf"{_WE}(?:'d|’d|\s+would)?"
_SOON = r"\b.*\b(?:by|on|before|tomorrow|today|tonight|next|this)\b"
_SETTLED = "(?:decided|agreed|settled|chosen|approved|opted|concluded|resolved|signed\\s+off)"


def _any_of(*rules: str) -> re.Pattern[str]:
    return re.compile("|".join(rules), re.IGNORECASE)


_REQUEST = _any_of(
    r"\b(?:can|could|would|will|won't|can't|couldn't)\s+(?:you|u|someone|somebody|anyone|we|one\s+of\s+you)\b(?!\s+(?:believe|imagine|not)\b)",
    r"\b(?:please|kindly|pls|plz)\b(?!\s+(?:find\s+(?:attached|enclosed|below)|see\s+(?:attached|below|the\s+attached)|accept\s+my))",
    rf"^(?:(?:so|also|and|then|just)\s+|if\s[^,]{{3,60}},\s+)?(?:do\s+not\s+|don't\s+|do\s+)?{_DO}\s+(?:me|us|him|her|them|it|this|that|these|"
    r"those|the|your|our|my|a|an|all|any|at|back|in|on|out|over|with|up|to|if|as|by|sure|whether|what|when|who|how)\b",
    r"\b(?:let|lets)\s+(?:me|us)\s+know\b|\bget\s+back\s+to\s+(?:me|us)\b|\bgive\s+(?:me|us)\s+a\s+(?:call|ring|hand|shout)\b",
    rf"{_WE}(?:'d|\s+would|\s+do|\s+really|\s+still)?\s+(?:need|want|like|ask|prefer|appreciate|love)\s+(?:you\b|for\s+you\b|it\s+if\b)",
    rf"{_WOULD}\s+(?:also\s+)?(?:like|love|want|wanted|hope|need)\s+to\s+(?:discuss|talk|meet|hear|speak|continue|schedule|know|see|have|get|ask|"
    r"request|set|chat|visit|invite)\b",
    rf"{_WE}(?:'d|’d|\s+would)\s+(?:really\s+|greatly\s+)?(?:appreciate|be\s+(?:grateful|happy\s+if))\b|\bwould\s+be\s+(?:\w+\s+)?appreciated\b",
    r"\bneeds?\s+(?:your|you\s+to|from\s+you)\b|\byou(?:'ll|\s+will)?\s+(?:need|have|must|should)\s+to\b|\bwould\s+you\s+(?:mind|like)\b",
    r"\bare\s+you\s+(?:able|available|free|okay|ok)\b|\b(?:i\s+am|i'm|we\s+are|we're)\s+(?:requesting|asking)\b",
    r"\b(?:do|does)\s+(?:you|anyone|anybody)\s+(?:have|know|want|think|need|plan)\b.*\?|\b(?:is\s+it|would\s+it\s+be)\s+possible\b",
    r"\b(?:what|when|where|who|how|which)\b[^?]{2,120}\byou\b[^?]{0,80}\?|\bone\s+or\s+both\s+of\s+you\b",
    r"\blet['’]?s\s+(?!see\b|say\b|face\b|hope\b|just\s+say\b)[a-z]+|\bwonder(?:ing|ed)?\s+if\b|\b(?:do\s+not|don't)\s+hesitate\b",
    r"\b(?:hope|hoping)\s+(?:that\s+)?(?:you|we)\s+(?:can|could|will)\b",
    r"\bwe\s+(?:can|could|should|need\s+to)\s+(?:probably\s+)?(?:discuss|meet|talk|speak|get\s+together)\b",
)
_PROMISE = _any_of(
    rf"{_WILL}\s+(?:(?:also|then|definitely|certainly|gladly|personally|just|be\s+(?:sure|happy|glad|able)\s+to|make\s+sure\s+(?:to|that)|try\s+to|"
    rf"go\s+ahead\s+and)\s+)*(?!see\s+(?:you|how|what|if)\b|have\s+to\b){_DO}\b",
    rf"{_WILL}\s+be\s+(?:sending|sharing|calling|preparing|writing|following|checking|reaching|working|getting|looking|making)\b",
    rf"{_WE}\s+(?:can|could)\s+(?:also\s+)?(?:send|share|get|have|arrange|set\s+up|prepare|draft|book|schedule){_SOON}",
    rf"\b(?:i\s*(?:'m|’m|\s+am)|we\s*(?:'re|’re|\s+are))\s+going\s+to\s+{_DO}\b|^(?:(?:okay|sure|yes),?\s+)?let\s+me\s+(?!know\b){_DO}\b",
    rf"{_WE}\s+(?:hereby\s+|do\s+)?(?:promise|commit|guarantee|undertake)\b|\byou(?:'ll|’ll|\s+will)\s+(?:have|get|receive){_SOON}",
    r"\bconsider\s+it\s+done\b|\b(?:i'm|we're|i\s+am|we\s+are)\s+on\s+it\b",
)
_DECISION = _any_of(
    rf"\b(?:we|they|the\s+(?:team|board|group|committee|company))(?:'ve|’ve|\s+have|\s+has|\s+had)?\s+(?:(?:all|both|finally|already|now|just)\s+)*{_SETTLED}\b",
    r"\b(?:i|he|she)(?:'ve|’ve|\s+have|\s+has)?\s+(?:decided|approved|signed\s+off)\b|\b(?:decision|agreement|consensus)\s+(?:is|was|has\s+been)\b",
    r"\b(?:it\s+(?:was|is|has\s+been)|that's|that\s+is|this\s+is)\s+(?:decided|agreed|settled|approved|a\s+deal)\b",
    r"\b(?:let's|let\s+us|we(?:'ll|’ll|\s+will|'re\s+going\s+to|\s+are\s+going\s+to))\s+(?:go\s+(?:with|ahead|for|forward)|stick\s+(?:with|to)|proceed\s+with|"
    r"move\s+(?:forward|ahead)\s+with|sign|settle\s+on|keep\s+it\s+at)\b",
    r"\bmade\s+(?:a|the|our)\s+decision\b|\bmotion\s+(?:is\s+)?(?:carried|agreed)\b|^(?:deal|agreed|done\s+deal)\b",
)
_OPEN = re.compile(
    r"\b(?:if\s+(?:we|i|you)|might|maybe|perhaps|not\s+(?:yet\s+)?(?:decided|agreed|sure)|haven['’]t|have\s+not|whether)\b", re.IGNORECASE
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """A sentence that asks, promises or decides something."""

    kind: ActKind
    sentence: Sentence


def is_request(text: str) -> bool:
    """Whether a sentence asks somebody for something, or proposes to do something together."""
    return bool(_REQUEST.search(text[:_LONGEST_READ]))


def is_promise(text: str) -> bool:
    """Whether the speaker says that they will do something; a question is none."""
    return not text.rstrip().endswith("?") and bool(_PROMISE.search(text[:_LONGEST_READ]))


def is_decision(text: str) -> bool:
    """Whether something is said to be settled; questions, conditions and what is undecided are none."""
    return not text.rstrip().endswith("?") and bool(_DECISION.search(text[:_LONGEST_READ])) and not _OPEN.search(text)


# A sentence is the first of these that it is: "we'll go with the larger plan" decides, "I'll let you know" promises.
_KINDS: tuple[tuple[ActKind, Callable[[str], bool]], ...] = (("decision", is_decision), ("promise", is_promise), ("request", is_request))


def acts_of(sentences: Iterable[Sentence]) -> list[Act]:
    """The requests, promises and decisions among English sentences, in their order; each sentence is one of them at most."""
    acts = []
    for sentence in sentences:
        if sentence.utterance.language == "en":
            kind = next((kind for kind, holds in _KINDS if holds(sentence.text)), None)
            if kind is not None:
                acts.append(Act(kind=kind, sentence=sentence))
    return acts
