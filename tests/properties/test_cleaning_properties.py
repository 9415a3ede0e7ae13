"""A text becomes the same alone and among many: few are cleaned one by one, many by Arrow."""

from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pay_ready.resolve.linkage.cleaning import digits_of, ends_of, is_one_of, kept_where, matching, replaced, replaced_where, words_of
from pay_ready.resolve.linkage.columns import FEW, Column, column_of, first_of, renumbered
from pay_ready.resolve.linkage.contact import domains_of, emails_of, phones_of
from pay_ready.resolve.linkage.names import names_of
from pay_ready.resolve.linkage.organisations import organisation_names
from pay_ready.resolve.linkage.values import cleaned_column, dates_of, postcodes_of

# Signs that the patterns speak of, white space that Python and RE2 take for different things, and letters beyond ASCII.
LETTERS = "aAbzXx019 .,-_'`@+<>:/()#&?\t\n\r\v\f\x1c\x85\xa0éßİΣñ’–中٣"
texts = st.one_of(
    st.none(),
    st.text(alphabet=LETTERS, max_size=14),
    st.text(max_size=8),
    st.sampled_from(
        [
            "Dr. Anna van der Berg", "Berg, Anna", "mailto:Anna.Bell+x@Acme.co.uk", "Anna <anna@acme.com>", "+49 (30) 123-4567 ext. 12",
            "n/a", "000000000", "1234567890", "https://www.acme.co.uk/x?y", "A.B.C. Holding GmbH & Co. KG", "O'Neil", "a@b", "1990-02-31",
            "SW1A 1AA", "info@acme.com", "test@test.com", "Sir Baronet", "anna@acme.com\n", "x\n.com", "  ", "12\v", "Anna\vBell", "12\n",
        ]
    ),
)  # fmt: skip
MANY = [f"filler{number}@host{number}.example" for number in range(FEW + 1)]
NOBODY: frozenset[str] = frozenset()


def value_of(column: Column) -> str | None:
    """What the first record has."""
    number = int(column.ids[0])
    return None if number < 0 else str(column.values[number].as_py())


def names(array: pa.Array) -> object:
    """The parts of the first record's name, given or in full."""
    nothing = pa.nulls(len(array), pa.string())
    found = [names_of(array, nothing, nothing, ()), names_of(nothing, array, array, ())]
    return [[None if part[0] < 0 else each.words.texts[int(part[0])].as_py() for part in (each.given, each.family)] for each in found]


FORMS: dict[str, Callable[[pa.Array], object]] = {
    "words": lambda array: words_of(array)[0].as_py(),
    "value": lambda array: value_of(cleaned_column(array)),
    "address": lambda array: value_of(emails_of(array, frozenset({"info"}), NOBODY).column),
    "address unchecked": lambda array: value_of(emails_of(array, NOBODY, frozenset({"acme.com"}), validation=False).column),
    "user": lambda array: value_of(emails_of(array, NOBODY, NOBODY).user),
    "number": lambda array: value_of(phones_of(array)),
    "domain": lambda array: value_of(domains_of(array, frozenset({"acme.com"}))),
    "organisation": lambda array: value_of(organisation_names(array).words),
    "name": names,
    "postcode": lambda array: value_of(postcodes_of("postcode", array).column),
    "date": lambda array: value_of(dates_of("date", array).column),
    "first": lambda array: first_of(array, array)[0].as_py(),
    "column": lambda array: value_of(column_of(array)),
    "renumbered": lambda array: value_of(renumbered(np.arange(len(array), dtype=np.int32), array)),
    "kept": lambda array: kept_where(array, matching(array, r"^[^@\s]+@")).to_pylist()[0],
    "replaced": lambda array: [replaced(array, r"\s*\d+\s*$", "-")[0].as_py(), replaced_where(array, r"(\w)\.(\w)", r"\2\1")[0].as_py()],
    "digits": lambda array: digits_of(array)[0].as_py(),
    "ends": lambda array: [part[0].as_py() for part in ends_of(array, "@")],
    "among": lambda array: bool(is_one_of(array, {"n/a", "a", ""})[0]),
}


@pytest.mark.parametrize("form", FORMS)
@given(text=texts)
def test_a_text_becomes_the_same_alone_and_among_many(form: str, text: str | None) -> None:
    """Whatever the text."""
    alone, among = pa.array([text], pa.string()), pa.array([text, *MANY], pa.string())
    assert FORMS[form](alone) == FORMS[form](among)


@given(st.lists(texts, min_size=1, max_size=FEW))
def test_a_handful_is_numbered_as_many_are(values: list[str | None]) -> None:
    """Equal values share a number, in the order in which they come first."""
    few, many = column_of(pa.array(values, pa.string())), column_of(pa.array([*values, *MANY], pa.string()))
    assert few.ids.tolist() == many.ids[: len(values)].tolist()
    assert few.values.to_pylist() == many.values.to_pylist()[: len(few.values)]


@pytest.mark.parametrize("clean", [words_of, digits_of, lambda array: ends_of(array, "@")[0], lambda array: ends_of(array, "@")[1]])
@given(values=st.lists(texts, min_size=1, max_size=6))
def test_a_text_becomes_the_same_wherever_it_stands(clean: Callable[[pa.Array], pa.Array], values: list[str | None]) -> None:
    """Between others too, whatever these end and begin with."""
    among = clean(pa.array([*MANY, *values], pa.string())).to_pylist()[len(MANY) :]
    assert among == [clean(pa.array([each], pa.string()))[0].as_py() for each in values]
