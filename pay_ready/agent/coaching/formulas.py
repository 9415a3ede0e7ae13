"""The measures by name, with unit and formula as every report prints them.

Gong, Chorus and Contact Lens show such figures without exact formulas. The rep's side is the tenant's own people.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from pay_ready.agent.coaching.floor import PAUSE_S

LONG_MONOLOGUE_S = 120.0
Better = Literal["higher", "lower", ""]


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """One kind of figure; `better` says which way is progress, empty where that depends."""

    label: str
    unit: str
    formula: str
    better: Better = ""


MEASURES: Mapping[str, Measure] = MappingProxyType(
    {
        "talk_ratio": Measure(label="talk ratio", unit="share", formula="seconds of speech of the rep's side / seconds of all speech"),
        "rep_share": Measure(label="rep's own share", unit="share", formula="seconds of speech of the rep / seconds of all speech"),
        "word_share": Measure(
            label="word share", unit="share", formula="words of the rep's side / all words; only where a call has no times"
        ),
        "longest_monologue": Measure(
            label="longest monologue", unit="s", better="lower", formula=f"longest run of the rep: nobody else begins, gaps < {PAUSE_S:g} s"
        ),
        "long_monologues": Measure(
            label="monologues over 2 min", unit="", better="lower", formula=f"runs of the rep of more than {LONG_MONOLOGUE_S:g} s"
        ),
        "longest_turn": Measure(
            label="longest turn", unit="words", better="lower", formula="words of the rep's longest turn; only where a call has no times"
        ),
        "customer_monologue": Measure(
            label="customer monologue",
            unit="s",
            better="higher",
            formula=f"longest run of one customer: nobody else begins, gaps < {PAUSE_S:g} s",
        ),
        "interactivity": Measure(
            label="interactivity",
            unit="/min",
            better="higher",
            formula="times that the side changes / minutes from the first word to the last",
        ),
        "patience": Measure(
            label="patience",
            unit="s",
            formula="median gap from a customer's end to the rep's start; below 0: before the customer had ended",
        ),
        "question_rate": Measure(
            label="question rate",
            unit="/h",
            better="higher",
            formula="sentences of the rep that ask / hours from the first word to the last",
        ),
        "questions": Measure(
            label="questions", unit="", formula="sentences of the rep with a question mark, or that open with a question word and a verb"
        ),
        "first_response": Measure(
            label="first response",
            unit="s",
            better="lower",
            formula="from a thread's first message of a customer to the first reply of the rep's side",
        ),
        "reply_delay": Measure(
            label="reply delay",
            unit="s",
            better="lower",
            formula="median time from a customer's message that awaits an answer to the next reply",
        ),
        "customer_sentiment": Measure(
            label="customer sentiment",
            unit="-1…1",
            better="higher",
            formula="mean sentiment of what the customers said, each utterance once",
        ),
        "objections_acknowledged": Measure(
            label="objections acknowledged", unit="share", better="higher", formula="objections whose answer acknowledges them / objections"
        ),
        "objections_asked": Measure(
            label="objections asked about", unit="share", better="higher", formula="objections whose answer asks a question / objections"
        ),
        "objections_resolved": Measure(
            label="objections resolved",
            unit="share",
            better="higher",
            formula="objections that a customer later agrees on, and that do not come back / objections",
        ),
    }
)
