"""How names compare: nicknames, initials, swapped words, slips of the finger, households, and names that only look alike."""

import pytest

from pay_ready.resolve.name_comparison import (
    NameComparison,
    NameLevel,
    company_name,
    company_similarity,
    domain_root,
    is_acronym,
    person_name,
)
from tests.publish_support import config

NICKNAMES = config().nicknames


def level(left: str, right: str, threshold: float = 85) -> NameLevel:
    """The level of two full names."""
    one, other = person_name(left, None, None), person_name(right, None, None)
    assert one is not None
    assert other is not None
    return NameComparison(NICKNAMES, threshold).level(one, other)


@pytest.mark.parametrize(
    ("left", "right", "expected"),
    [
        ("Ann Lee", "ann LEE", NameLevel.EXACT),
        ("Ann Lee", "Lee, Ann", NameLevel.EXACT),
        ("Ann Lee", "Lee Ann", NameLevel.EXACT),
        ("Søren Müller", "Soren Muller", NameLevel.EXACT),
        ("Dr. Ann Lee", "Ann Lee", NameLevel.EXACT),
        ("Ann M. Lee", "Ann Lee", NameLevel.EXACT),
        ("Robert Miller", "Bob Miller", NameLevel.CLOSE),
        ("Shirley Bailey", "Shirley Baiely", NameLevel.CLOSE),
        ("Maria Garcia-Lopez", "Maria Garcia Lopez", NameLevel.EXACT),
        ("J. Parker", "James Parker", NameLevel.INITIAL),
        ("J. Parker", "J Parker", NameLevel.INITIAL),
        ("Ann Lee", "Ann Brown", NameLevel.GIVEN),
        ("Ann", "Ann Lee", NameLevel.GIVEN),
        ("J", "James", NameLevel.GIVEN),
        ("Ann Lee", "Tom Lee", NameLevel.FAMILY),
        ("Joan Smith", "John Smith", NameLevel.FAMILY),
        ("Mario Rossi", "Maria Rossi", NameLevel.FAMILY),
        ("Richard S. Martin", "Richard D. Martin", NameLevel.GIVEN),  # neither agree nor contradict
        ("Ann Lee", "Tom Brown", NameLevel.DISAGREE),
        ("T. Lee", "Ann Lee", NameLevel.FAMILY),
    ],
)
def test_person_levels(left: str, right: str, expected: NameLevel) -> None:
    """Each pair of names reaches the level that a person would give it."""
    assert level(left, right) == expected
    assert level(right, left) == expected


def test_threshold_is_where_names_agree() -> None:
    """`name_threshold` moves the border: what agrees at 85 does not at 99."""
    assert level("Shirley Bailey", "Shirley Baiely", 85) == NameLevel.CLOSE
    assert level("Shirley Bailey", "Shirley Baiely", 99) < NameLevel.INITIAL


def test_similarity_of_equal_names_is_100() -> None:
    """A name is entirely like itself, in either order of its words."""
    names = NameComparison(NICKNAMES, 85)
    one, other = person_name("Ann Lee", None, None), person_name(None, "Ann", "Lee")
    assert one is not None
    assert other is not None
    assert names.similarity(one, other) == 100


def test_blank_names_are_none() -> None:
    """Nothing to compare is no name."""
    assert person_name(None, None, None) is None
    assert person_name(" . ", None, "") is None
    assert company_name("...") is None


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("Globex Inc.", "GLOBEX L.L.C."),
        ("The Acme Company", "Acme"),
        ("Byte Tiger Mfg", "Byte Tiger Manufacturing, LLC"),
        ("Tête & Fils SARL", "Tete and Fils"),
    ],
)
def test_company_forms_are_one_name(left: str, right: str) -> None:
    """Legal forms, articles, abbreviations and accents do not tell companies apart."""
    one, other = company_name(left), company_name(right)
    assert one is not None
    assert other is not None
    assert one.core == other.core
    assert company_similarity(one, other) == 100


def test_lookalike_companies_stay_under_the_threshold() -> None:
    """Neighbours that share a word are different companies; initials are recognised as such."""
    systems, solutions = company_name("Apex Systems"), company_name("Apex Solutions")
    short, long = company_name("ASI"), company_name("Aero Silver Imports LLC")
    assert systems is not None
    assert solutions is not None
    assert short is not None
    assert long is not None
    assert company_similarity(systems, solutions) < 80
    assert is_acronym(short, long)
    assert not is_acronym(systems, solutions)


def test_domain_root_is_the_owners_label() -> None:
    """The label under the public suffix."""
    assert [domain_root(each) for each in ("globex.com", "www.globex.co.uk", "shop.globex.de")] == ["globex"] * 3
