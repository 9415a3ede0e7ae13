"""The automatic reviewer: rules about what agrees and what contradicts, beyond the sum of the evidence. No chance, no clock, no model.

What it knows and the weights do not: two independent identifiers hardly agree by accident, whatever else differs; an address of a function
and a switchboard are everybody's; a company gives two addresses to two people.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from pay_ready.model.resolution import EntityType
from pay_ready.model.review import DecisionEvidence, Risk, Verdict

REVIEWER = "rules-1"  # the actor; another number when a rule changes

_NAMES_AGREE = frozenset({"similar", "typo", "nickname", "same"})
_NAMES_DIFFER = frozenset({"other", "differ"})
_COMPANY_AGREES = frozenset({"close", "same"})
_LITTLE, _MUCH = 6.0, 40.0  # stake: pairs of records and interactions (`review_value.stake`)
_AGAINST_BITS, _TORN_BITS = 1.0, 4.0  # evidence against the verdict from which it is no clear case, and a contradictory one


@dataclass(frozen=True, slots=True, kw_only=True)
class PairEvidence:
    """What is known of a pair: levels and bits by comparison, never values."""

    entity_type: EntityType
    levels: Mapping[str, str]  # "null" where a side has no value
    bits: Mapping[str, float]
    total_bits: float
    threshold_bits: float
    stake: float
    same_role_address: bool = False  # both have one and the same address of a function (info@)
    shared_phone: bool = False  # both have one number, which people of several names hold
    same_phone: bool = False  # whoever else holds it


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What the reviewer says of a pair."""

    verdict: Verdict
    risk: Risk
    reasons: tuple[str, ...]

    def evidence(self, pair: PairEvidence) -> DecisionEvidence:
        """What it rests on, as it is kept."""
        return DecisionEvidence(
            levels=dict(pair.levels), bits={name: round(bits, 3) for name, bits in pair.bits.items()}, total_bits=round(pair.total_bits, 3),
            threshold_bits=round(pair.threshold_bits, 3), stake=round(pair.stake, 1), reasons=list(self.reasons),
        )  # fmt: skip


def reviewed(pair: PairEvidence) -> Finding:
    """A verdict, what it would cost to be wrong, and why."""
    rules = _PERSON_RULES if pair.entity_type == "person" else _COMPANY_RULES
    verdict, reason = next((verdict, reason) for applies, verdict, reason in rules if applies(pair))
    return Finding(verdict=verdict, risk=risk_of(pair, verdict), reasons=(reason,))


def risk_of(pair: PairEvidence, verdict: Verdict) -> Risk:
    """low: little is at stake and next to nothing speaks against the verdict. high: much is at stake, or the evidence speaks both ways."""
    # What is unsure is no case for a machine, however little hangs on it.
    against = _bits_against(pair, verdict)
    if pair.stake >= _MUCH or against >= _TORN_BITS:
        return "high"
    return "low" if verdict != "unsure" and pair.stake <= _LITTLE and against < _AGAINST_BITS else "medium"


def _bits_against(pair: PairEvidence, verdict: Verdict) -> float:
    speaking_for = sum(bits for bits in pair.bits.values() if bits > 0)
    speaking_against = -sum(bits for bits in pair.bits.values() if bits < 0)
    if verdict == "match":
        return speaking_against
    return speaking_for if verdict == "no_match" else min(speaking_for, speaking_against)


def _is(pair: PairEvidence, comparison: str, *levels: str) -> bool:
    return pair.levels.get(comparison, "null") in levels


def _names_agree(pair: PairEvidence) -> bool:
    return pair.levels.get("given", "null") in _NAMES_AGREE and pair.levels.get("family", "null") in _NAMES_AGREE


def _names_differ(pair: PairEvidence) -> bool:
    return pair.levels.get("given", "null") in _NAMES_DIFFER and pair.levels.get("family", "null") in _NAMES_DIFFER


def _a_name_differs(pair: PairEvidence) -> bool:
    return pair.levels.get("given", "null") in _NAMES_DIFFER or pair.levels.get("family", "null") in _NAMES_DIFFER


def _own_email(pair: PairEvidence) -> bool:
    return _is(pair, "email", "same") and not pair.same_role_address


def _own_phone(pair: PairEvidence) -> bool:
    return (pair.same_phone or _is(pair, "phone", "same")) and not pair.shared_phone


def _only_shared_contact(pair: PairEvidence) -> bool:
    return (pair.same_role_address or pair.shared_phone) and not _own_email(pair) and not _own_phone(pair) and not _names_agree(pair)


_Rule = tuple[Callable[[PairEvidence], bool], Verdict, str]
_PERSON_RULES: tuple[_Rule, ...] = (
    (
        lambda pair: _own_email(pair) and _own_phone(pair) and not _a_name_differs(pair),
        "match",
        "address and number of their own agree, and no name contradicts",
    ),
    (
        lambda pair: _is(pair, "email", "differ_at_host") and _names_differ(pair),
        "no_match",
        "two addresses at one company, given and family name both differ",
    ),
    (
        lambda pair: _is(pair, "given", "other") and _is(pair, "family", "same") and (_own_email(pair) or pair.same_phone),
        "no_match",
        "one family name and contact, and two given names: a household",
    ),
    (_only_shared_contact, "unsure", "nothing but an address of a function or a shared number agrees"),
    (
        lambda pair: (_own_email(pair) or _own_phone(pair)) and _names_agree(pair),
        "match",
        "an address or a number of their own and the full name agree",
    ),
    (
        lambda pair: _names_agree(pair) and _is(pair, "email", "differ_at_host"),
        "unsure",
        "one name with two addresses at one company: namesakes, or one who changed",
    ),
    (
        lambda pair: (
            _names_agree(pair) and _is(pair, "employer", "same") and not _is(pair, "email", "differ") and not _is(pair, "phone", "differ")
        ),
        "match",
        "full name and employer agree, and no contact contradicts",
    ),
    (
        lambda pair: _names_differ(pair) and not _own_email(pair) and not _own_phone(pair),
        "no_match",
        "given and family name differ, and no contact of their own agrees",
    ),
    (lambda _: True, "unsure", "what agrees is not enough, what differs does not tell them apart"),
)
_COMPANY_RULES: tuple[_Rule, ...] = (
    (lambda pair: _is(pair, "name", *_COMPANY_AGREES) and _is(pair, "domain", "same", "owner"), "match", "name and domain agree"),
    (
        lambda pair: _is(pair, "name", *_COMPANY_AGREES) and _is(pair, "phone", "same") and not _is(pair, "domain", "differ"),
        "match",
        "name and number agree, and no domain contradicts",
    ),
    (lambda pair: _is(pair, "domain", "same") and _is(pair, "phone", "same"), "match", "domain and number agree"),
    (lambda pair: _is(pair, "name", "differ", "some") and _is(pair, "domain", "differ"), "no_match", "name and domain differ"),
    (lambda pair: _is(pair, "name", *_COMPANY_AGREES), "unsure", "the name agrees and nothing confirms it: namesakes, or one company"),
    (lambda pair: _is(pair, "domain", "same"), "unsure", "one domain with two names: a brand, or a group of companies"),
    (lambda _: True, "unsure", "what agrees is not enough, what differs does not tell them apart"),
)
