"""Who may settle a pair, what the automatic reviewer says, and how differences are shown."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from pay_ready.cli.review_show import marked
from pay_ready.errors import ConflictError, UsageError
from pay_ready.model.ids import new_id
from pay_ready.model.review import Decision, Status, Verdict
from pay_ready.pipeline.review.stats import BANDS, band_of
from pay_ready.resolve.auto_reviewer import PairEvidence, reviewed
from pay_ready.resolve.reviewing import gold_is_due, status_of, voices

START = datetime(2026, 5, 1, tzinfo=UTC)


def words(*told: tuple[str, Verdict, Status]) -> list[Decision]:
    """Human words about one pair, each taking over from the one before; newest first."""
    moments = [START + timedelta(minutes=number) for number in range(len(told))]
    ends: list[datetime | None] = [*moments[1:], None][: len(told)]
    found = [
        Decision(
            decision_id=new_id(), entity_type="person", left_id=UUID(int=1), right_id=UUID(int=2), verdict=verdict, actor_type="human",
            actor=actor, reason=None, context="review", entity_id=None, status=status, made_at=made, superseded_at=end,
            match_weight_millibits=None, model_id=None, run_no=None, risk=None, evidence=None,
        )
        for (actor, verdict, status), made, end in zip(told, moments, ends, strict=True)
    ]  # fmt: skip
    return found[::-1]


@pytest.mark.parametrize(
    ("history", "actor", "verdict", "double", "status"),
    [
        ([], "ann", "match", False, "decided"),
        ([], "ann", "match", True, "open"),
        ([("ann", "match", "decided")], "ann", "match", False, None),
        ([("ann", "match", "decided")], "ann", "no_match", False, "decided"),
        ([("ann", "match", "open")], "ann", "match", True, None),
        ([("ann", "match", "open")], "ann", "no_match", True, "open"),
        ([("ann", "match", "open")], "bob", "match", True, "decided"),
        ([("ann", "match", "open")], "bob", "no_match", True, "escalated"),
        ([("ann", "match", "open")], "bob", "match", False, "decided"),
        ([("ann", "match", "open"), ("bob", "no_match", "escalated")], "cleo", "match", True, "decided"),
        ([("ann", "unsure", "escalated")], "bob", "match", False, "decided"),
        ([("ann", "unsure", "escalated")], "ann", "match", False, "decided"),
        ([("ann", "match", "appealed")], "bob", "no_match", True, "decided"),
        ([("ann", "match", "appealed")], "ann", "match", False, "decided"),
        ([("ann", "unsure", "decided")], "bob", "match", False, "decided"),
        ([("ann", "match", "open"), ("bob", "match", "decided")], "bob", "no_match", True, "escalated"),
    ],
)
def test_what_becomes_of_a_word(
    history: list[tuple[str, Verdict, Status]], actor: str, verdict: Verdict, double: bool, status: Status | None
) -> None:
    """One reviewer decides, two agree or disagree, a third settles; the same again is nothing."""
    assert status_of(verdict, actor, None, words(*history), double=double, overrule=False) == status


@pytest.mark.parametrize(
    ("history", "actor", "double", "said"),
    [
        ([("ann", "match", "decided")], "bob", False, r"decided this pair already.*by=ann, verdict=match.*--overrule"),
        ([("ann", "match", "open"), ("bob", "match", "decided")], "cleo", True, "by=bob"),
        ([("ann", "match", "open"), ("bob", "no_match", "escalated")], "ann", True, "a third reviewer settles"),
        ([("ann", "match", "open"), ("bob", "no_match", "escalated")], "bob", True, "another reviewer settles"),
        ([("ann", "match", "appealed")], "ann", True, "another reviewer settles"),
    ],
)
def test_who_may_not_settle_a_pair(history: list[tuple[str, Verdict, Status]], actor: str, double: bool, said: str) -> None:
    """The error names who spoke; overruling with a reason settles it, and without one is refused."""
    with pytest.raises(ConflictError, match=said):
        status_of("no_match", actor, None, words(*history), double=double, overrule=False)
    assert status_of("no_match", actor, "I know both", words(*history), double=double, overrule=True) == "decided"
    with pytest.raises(UsageError, match="needs a reason"):
        status_of("no_match", actor, None, words(*history), double=double, overrule=True)


def test_a_settled_pair_begins_a_new_round() -> None:
    """Voices reach back to the last decision, and no further."""
    told = words(("ann", "match", "decided"), ("bob", "no_match", "open"), ("cleo", "match", "escalated"))
    assert [each.actor for each in voices(told)] == ["cleo", "bob"]
    assert voices([]) == []


def evidence(entity_type: str = "person", stake: float = 2, against: float = 0.0, **told: Any) -> PairEvidence:
    """A pair by its levels; `against` are bits against a match."""
    flags = {name: told.pop(name) for name in ("same_role_address", "same_phone", "shared_phone") if name in told}
    bits = {**dict.fromkeys(told, 1.0), "city": -against}
    return PairEvidence(
        entity_type=entity_type, levels=told, bits=bits, total_bits=3.0, threshold_bits=2.0, stake=stake, **flags  # type: ignore[arg-type]
    )  # fmt: skip


@pytest.mark.parametrize(
    ("pair", "verdict", "risk", "reason"),
    [
        (evidence(email="same", same_phone=True), "match", "low", "address and number"),
        (evidence(email="same", phone="same", stake=90), "match", "high", "address and number"),
        (evidence(email="same", phone="same", against=5.0), "match", "high", "address and number"),
        (evidence(email="same", phone="same", against=2.0), "match", "medium", "address and number"),
        (evidence(email="same", same_phone=True, given="other", family="same"), "no_match", "medium", "a household"),
        (evidence(email="null", same_role_address=True), "unsure", "medium", "address of a function"),
        (evidence(phone="same", shared_phone=True), "unsure", "medium", "shared number"),
        (evidence(phone="same", shared_phone=True, given="same", family="same"), "unsure", "medium", "not enough"),
        (evidence(email="differ_at_host", given="differ", family="other"), "no_match", "medium", "two addresses at one company"),
        (evidence(email="differ_at_host", given="same", family="same"), "unsure", "medium", "namesakes"),
        (evidence(given="nickname", family="same", email="same"), "match", "low", "full name agree"),
        (evidence(given="same", family="same", employer="same"), "match", "low", "full name and employer"),
        (evidence(given="same", family="same", employer="same", phone="differ"), "unsure", "medium", "not enough"),
        (evidence(given="differ", family="differ"), "no_match", "medium", "given and family name differ"),
        (evidence("company", name="same", domain="same"), "match", "low", "name and domain"),
        (evidence("company", name="same", phone="same", domain="null"), "match", "low", "name and number"),
        (evidence("company", name="same", phone="same", domain="differ"), "unsure", "medium", "nothing confirms"),
        (evidence("company", name="differ", domain="differ"), "no_match", "medium", "name and domain differ"),
        (evidence("company", name="differ", domain="same"), "unsure", "medium", "one domain with two names"),
    ],
)
def test_the_automatic_reviewer(pair: PairEvidence, verdict: str, risk: str, reason: str) -> None:
    """Its rules by example, and the risk by what is at stake and what speaks against the verdict."""
    found = reviewed(pair)
    assert (found.verdict, found.risk) == (verdict, risk)
    assert reason in found.reasons[0]
    kept = found.evidence(pair)
    assert (kept.levels, kept.reasons) == (dict(pair.levels), list(found.reasons))


def test_gold_pairs_come_as_often_as_the_team_wants() -> None:
    """Of 200 answers ten are of pairs that were decided, evenly spread; with 0 percent none, with 100 all."""
    for percent, wanted in ((5.0, 10), (0.0, 0), (100.0, 200)):
        gold = 0
        for answers in range(200):
            gold += gold_is_due(answers, gold, percent)
        assert gold == wanted


def test_bands_of_evidence() -> None:
    """Each band begins at its lower end."""
    assert [band_of(low) for low in BANDS] == [1, 2, 3, 4, 5]
    assert [band_of(low - 1) for low in BANDS] == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(
    ("one", "other", "shown"),
    [
        ("Ann Leigh", "Ann Lee", ("Ann Le[igh]", "Ann Le[e]")),
        ("+12065550100", "+12065550101", ("+1206555010[0]", "+1206555010[1]")),
        ("Ann", "Zebedee", ("Ann", "Zebedee")),
        ("Straße", "Strasse", ("Straße", "Strasse")),
    ],
)
def test_differences_are_marked(one: str, other: str, shown: tuple[str, str]) -> None:
    """Single letters that differ stand in brackets; texts with little in common are shown as they are."""
    assert marked(one, other) == shown
