"""What each comparison finds in two records, and what it leaves unsaid."""

import numpy as np
import pyarrow as pa
import pytest

from pay_ready.resolve.linkage.people import EMAIL, GIVEN, people_of
from pay_ready.resolve.linkage.texts import addresses_of, texts_of
from pay_ready.resolve.linkage.values import Values, category_of, dates_of, day_digits, identifiers_of, postcodes_of
from tests.linkage_support import companies, people


def _level(rows: list[dict[str, str]], comparison: str, *, of_companies: bool = False) -> str:
    # A third record has every field, so that every comparison is there.
    full = {
        "full_name": "Zora Q. Quill", "name": "Zeppelin Yachts", "email": "zora@zeppelin.io", "phone": "9998887776", "company": "Zeppelin",
        "domain": "zeppelin.io",
    }  # fmt: skip
    records = companies([*rows, full]) if of_companies else people([*rows, full])
    found = records.compare(np.array([0]), np.array([1]))[comparison]
    spec = next(each for each in records.comparisons if each.name == comparison)
    return spec.levels[int(found.levels[0])]


@pytest.mark.parametrize(
    ("left", "right", "given", "family"),
    [
        ("Ann Lee", "Ann Lee", "same", "same"),
        ("Ann Lee", "LEE, Ann", "same", "same"),
        ("Robert Miller", "Bob Miller", "nickname", "same"),
        ("Robert Miller", "R. Miller", "initial", "same"),
        ("Hildegard Brunner", "Hildegrad Brunner", "typo", "same"),
        ("Dr. Ann Lee", "Ann Lee", "same", "same"),
        ("José Peña", "Jose Pena", "same", "same"),
        ("Ann Lee", "Lee Ann", "same", "same"),
        ("John Smith", "Joan Smith", "other", "same"),
        ("Ann", "Ann Lee", "same", "null"),
        ("Pieter van der Berg", "Pieter Vanderberg", "same", "same"),
        ("Maria Garcia Lopez", "Maria Garcia", "same", "similar"),
        ("Ann Lee", "Olga Petrova", "other", "differ"),
    ],
)
def test_names(left: str, right: str, given: str, family: str) -> None:
    """Names are compared part by part, in the order in which they agree best."""
    rows = [{"full_name": left}, {"full_name": right}]
    assert (_level(rows, "given"), _level(rows, "family")) == (given, family)


def test_a_family_name_alone_is_no_given_name() -> None:
    """A record with only a family name says nothing of the given name."""
    rows = [{"family_name": "Braynt"}, {"given_name": "Aisha", "family_name": "Bryant"}]
    assert _level(rows, "given") == "null"


def test_an_address_spells_an_initial_out() -> None:
    """ "H. Jackson" with hiroshi.jackson@ is no Hank."""
    rows = [{"full_name": "H. Jackson", "email": "hiroshi.jackson@one.io"}, {"full_name": "Hank Jackson"}, {"full_name": "Hiroshi Jackson"}]
    assert _level(rows, "given") in ("differ", "other")


@pytest.mark.parametrize(
    ("left", "right", "level"),
    [
        ("ann@acme.io", "ANN+news@acme.io", "same"),
        ("ann@acme.io", "info@acme.io", "null"),
        ("info@acme.io", "info@acme.io", "null"),
        ("test@test.com", "test@test.com", "null"),
        ("ann.lee@acme.io", "ann.kee@acme.io", "typo"),
        ("ann.lee1@acme.io", "ann.lee2@acme.io", "differ_at_host"),
        ("annl@acme.io", "ann@acme.io", "differ_at_host"),
        ("ann@acme.io", "ann.lee@gmail.com", "differ"),
        ("ann@gmail.com", "bob@gmail.com", "differ"),
    ],
)
def test_emails(left: str, right: str, level: str) -> None:
    """Addresses of functions and of tests are nobody's; a digit is no slip."""
    assert _level([{"full_name": "Ann Lee", "email": left}, {"full_name": "Ann Lee", "email": right}], "email") == level


@pytest.mark.parametrize(
    ("left", "right", "level"),
    [
        ("+1 (206) 555-0100", "206.555.0100 x12", "same"),
        ("206 555 0100", "206 555 0101", "differ"),
        ("000-000-0000", "000-000-0000", "null"),
        ("1234567890", "1234567890", "null"),
    ],
)
def test_phones(left: str, right: str, level: str) -> None:
    """Formats and extensions do not count; numbers that are nobody's say nothing."""
    assert _level([{"full_name": "Ann Lee", "phone": left}, {"full_name": "Ann Lee", "phone": right}], "phone") == level


@pytest.mark.parametrize(
    ("left", "right", "level"),
    [
        ({"company": "Acme Robotics, Inc."}, {"company": "ACME ROBOTICS LLC"}, "same"),
        ({"company": "Acme Robotics"}, {"domain": "www.acmerobotics.com"}, "same"),
        ({"email": "a@acme.com"}, {"domain": "acme.com"}, "same"),
        ({"email": "a@gmail.com"}, {"email": "b@gmail.com"}, "null"),
        ({"company": "Acme Robotics"}, {"company": "Acme Robotisc"}, "similar"),
        ({"company": "Acme Robotics"}, {"company": "Globex"}, "differ"),
    ],
)
def test_employers(left: dict[str, str], right: dict[str, str], level: str) -> None:
    """An employer is named by its name, its domain or a work address; a free-mail provider is nobody's employer."""
    assert _level([{"full_name": "Ann Lee", **left}, {"full_name": "Ann Lee", **right}], "employer") == level


@pytest.mark.parametrize(
    ("left", "right", "level"),
    [
        ("Acme Robotics GmbH", "The Acme Robotics Company", "same"),
        ("Summit Quantum Foods", "SQF", "part"),
        ("Acme Robotics", "Acme Robotcs", "close"),
        ("Acme Robotics", "Globex Foods", "differ"),
        ("Acme Intl. Mfg.", "Acme International Manufacturing", "same"),
    ],
)
def test_company_names(left: str, right: str, level: str) -> None:
    """Legal forms and abbreviations do not count; initials are a part of a name."""
    assert _level([{"name": left}, {"name": right}], "name", of_companies=True) == level


def _value_level(values: Values) -> str:
    return values.comparison.levels[int(values.compare(np.array([0]), np.array([1])).levels[0])]


@pytest.mark.parametrize(
    ("left", "right", "level"),
    [
        ("1971-06-24", "24.06.1971", "same"),
        ("1971-06-24", "1971-06-25", "close"),
        ("1971-06-04", "1971-04-06", "close"),
        ("1971-06-24", "1970-12-24", "year"),
        ("1971-06-24", "1979-01-02", "decade"),
        ("1971-06-24", "1992-01-02", "differ"),
        ("1971-06-24", "never", "null"),
    ],
)
def test_dates(left: str, right: str, level: str) -> None:
    """Dates of any form, with the slips that dates have."""
    assert _value_level(dates_of("dob", pa.array([left, right]))) == level


def test_days_before_the_year_are_told_by_their_size() -> None:
    """ "06/24/1971" can only be June."""
    assert day_digits("06/24/1971") == day_digits("24/06/1971") == "19710624"
    assert day_digits("19710624") == "19710624"
    assert day_digits("soon") is None


@pytest.mark.parametrize(
    ("values", "level"),
    [
        (identifiers_of("ssn", pa.array(["99-52722", "9952722"])), "same"),
        (identifiers_of("ssn", pa.array(["9952722", "9952723"])), "close"),
        (postcodes_of("zip", pa.array(["TQ13 8DF", "tq13 8df"])), "same"),
        (postcodes_of("zip", pa.array(["tq13 8df", "tq13 9zz"])), "district"),
        (category_of("city", pa.array(["São Paulo", "sao paulo"])), "same"),
        (category_of("city", pa.array(["Swansea", "Swnasea"])), "close"),
        (category_of("city", pa.array(["n/a", "Oslo"])), "null"),
        (texts_of("address", pa.array(["12 Rose Lane", "Rose Lane 12"])), "close"),
        (texts_of("address", pa.array(["12 Rose Lane", "7 Elm Street"])), "differ"),
        # Houses of one street are two, a letter more or less is none.
        (addresses_of("address", pa.array(["1711 W 35th St", "1723 W 35th St"])), "differ"),
        (addresses_of("address", pa.array(["12b Rose Lane", "12 Rose Lane"])), "close"),
        (addresses_of("address", pa.array(["Rose Lane", "12 Rose Lane"])), "most"),
    ],
)
def test_values(values: Values, level: str) -> None:
    """Plain values with their slips; words in any order."""
    assert _value_level(values) == level


def test_a_crossed_initial_weighs_the_same_from_either_side() -> None:
    """ "Smith J" beside "John Smith": it is the J that is an initial, whichever record comes first."""
    rows = [{"full_name": "John Smith"}, {"full_name": "Smith J"}, *({"full_name": f"S{number} Stone"} for number in range(40))]
    found = people(rows).compare(np.array([0, 1]), np.array([1, 0]))["given"]
    assert found.levels[0] == found.levels[1] == GIVEN.levels.index("initial")
    assert found.shares[0] == found.shares[1]


def test_addresses_need_no_user_part() -> None:
    """Where addresses are taken as they are written, one may have none: two hosts a slip apart are a slip still."""
    nothing = pa.nulls(2, pa.string())
    found = people_of(
        size=2, full_name=pa.array(["Ann Lee"] * 2), given_name=nothing, family_name=nothing, phone=nothing, company=nothing,
        domain=nothing, email=pa.array(["@zeppelin.io", "@zepelin.io"]), email_validation=False,
    ).compare(np.array([0]), np.array([1]))  # fmt: skip
    assert found["email"].levels[0] == EMAIL.levels.index("typo")


def test_names_of_articles_alone_are_none() -> None:
    """ "The The" beside "The & The"."""
    assert _level([{"name": "The The"}, {"name": "The & And The"}], "name", of_companies=True) == "null"


def test_initials_are_those_of_the_two_names_alone() -> None:
    """ "Northeast Bank" has two words whoever else is there: a third record's "North East Bank" is NEB, it is not."""
    rows = [{"name": "Northeast Bank"}, {"name": "NEB"}]
    assert _level(rows, "name", of_companies=True) == _level([*rows, {"name": "North East Bank"}], "name", of_companies=True) == "differ"
    assert _level([rows[1], {"name": "North East Bank"}], "name", of_companies=True) == "part"
