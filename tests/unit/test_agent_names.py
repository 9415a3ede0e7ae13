"""Names in questions: every way people write them, ties, and names that nobody has."""

import pytest

from pay_ready.agent.eval.reading import evaluate_drawn_names, evaluate_names, typing_error
from pay_ready.agent.name_forms import NamedEntity
from pay_ready.agent.name_links import link_names
from pay_ready.agent.names import NameIndex
from tests.agent_support import ACME, BOB, GLOBEX, INDEX, INITECH, JANE, entity, words

_FIRST = words("Adam Alice Boris Carla Dmitri Elena Farid Greta Hiro Ines Jorge Karin Liam Mona Nils Olga Pavel Quinn Rosa Stefan")
_LAST = words("Abernathy Bjornson Castellano Dubrovsky Eriksson Fitzgerald Gutierrez Hashimoto Ivanovich Jankowski Kowalczyk Lindqvist")
_PRESENT = [f"{first} {last}" for number, first in enumerate(_FIRST) for last in _LAST[number % 2 :: 2]]
_ABSENT = [f"{first} {last}" for number, first in enumerate(_FIRST) for last in _LAST[1 - number % 2 :: 2]]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("calls with Jane Doe", JANE),
        ("calls with jane doe", JANE),
        ("Jane Doe's calls", JANE),
        ("calls with Doe Jane", JANE),
        ("calls with J Doe", JANE),
        ("calls with J. Doe", JANE),
        ("calls with Jane D.", JANE),
        ("calls with Jnae Doe", JANE),
        ("calls with JaneDoe", JANE),
        ("calls with jane@acme.com", JANE),
        ("how is Bob doing", BOB),
        ("calls with Acme", ACME),
        ("calls with ACME INC", ACME),
        ("calls with acme's buyers", ACME),
        ("calls with Acme Corp", ACME),
        ("mails from acme.com", ACME),
        ("mails from https://www.acme.com/about", ACME),
        ("calls with Globx Corporation", GLOBEX),
        ("calls with Globexx", GLOBEX),
        ("calls with Initehc", INITECH),
        ("which emails from Jane Doe discuss the security review", JANE),
        ("did jane doe talk about data services", JANE),
        ("which emails from acme discuss the security review", ACME),
        ("acme calls on software systems", ACME),
    ],
)
def test_a_name_is_found_however_it_is_written(text: str, wanted: NamedEntity) -> None:
    """Exact, lower case, possessive, turned round, initials, one typing error, address, domain, without the legal form."""
    links = link_names(text, INDEX).links
    assert [[candidate.id for candidate in link.candidates] for link in links] == [[wanted.id]]


def test_a_name_with_a_typing_error_scores_less() -> None:
    """The score says how much the way it was written tells."""
    scores = [link_names(f"calls with {name}", INDEX).links[0].score for name in ("Jane Doe", "J Doe", "Jnae Doe", "Bob")]
    assert scores[0] == 1.0
    assert all(score < 1.0 for score in scores[1:])


@pytest.mark.parametrize(
    "text",
    [
        "calls with Acme Foods",
        "calls with Jane Smith",
        "calls with John Doe-Smith",
        "New Acme Holdings",
        "calls with bob@elsewhere.org",
        "the doe in the forest",
    ],
)
def test_a_piece_of_another_name_links_nobody(text: str) -> None:
    """A longer, unknown name is not the known one inside it."""
    assert not link_names(text, INDEX).links


def test_absent_names_link_nobody_and_typing_errors_are_found() -> None:
    """Over 500 pairs of first and last names, half of them known; the absent ones share every word with those."""
    errors = iter(range(10_000))
    figures = evaluate_names(_PRESENT, ["Northwind Traders", "Contoso"], _ABSENT, lambda name: typing_error(name, next(errors)))
    assert figures.false == 0
    assert figures.found / figures.asked >= 0.97


def test_small_print_is_found_as_well() -> None:
    """Lower case and possessive names are always found."""
    figures = evaluate_names(_PRESENT, ["Northwind Traders"], [name.lower() for name in _ABSENT], str.lower)
    assert (figures.found, figures.false) == (figures.asked, 0)


def test_a_word_that_some_name_has_is_no_typing_error() -> None:
    """Mario is not a mistyped Maria where the tenant knows both names."""
    index = NameIndex([entity("Maria Lopez", "person"), entity("Mario Conti", "person")])
    assert not link_names("calls with Mario Lopez", index).links


def test_initials_that_fit_several_tie() -> None:
    """Who is only known as "C Jones" is no better match for that than Carla Jones."""
    index = NameIndex([entity("C Jones", "person"), entity("Carla Jones", "person"), entity("Carl Jones", "person")])
    [link] = link_names("calls with C. Jones", index).links
    assert link.tied == 3


def test_unknown_names_are_told() -> None:
    """What looks like a name and is nobody's comes back with its place."""
    text = "Compare Acme with Wayne Enterprises"
    found = link_names(text, INDEX)
    assert [text[begin:end] for begin, end in found.unknown] == ["Wayne Enterprises"]


def test_names_of_many_countries() -> None:
    """300 known and 100 absent people a draw: .97 of those with a typing error are found, at most one absent one in a hundred is linked."""
    figures = evaluate_drawn_names(range(20, 24))
    assert figures.found / figures.asked >= 0.97
    assert figures.false / figures.absent <= 0.01


@pytest.mark.parametrize("name", ["Jane Abbott-Lee", "Min Doe", "Jane de Vries", "Fleur van Miller", "Bob Sun"])
def test_others_of_one_name_link_nobody(name: str) -> None:
    """Another first letter, a particle, a day that is a name: somebody else."""
    assert not link_names(f"calls with {name}", INDEX).links


def test_the_first_letter_is_no_typing_error() -> None:
    """Min is no mistyped Xin; with it left out, doubled or swapped it still is."""
    index = NameIndex([entity("Xin Chen", "person"), entity("Marta Kowalska", "person")])
    assert not link_names("calls with Min Chen", index).links
    for name in ("Mrata Kowalska", "Marta Kowalsak", "arta Kowalska", "Mmarta Kowalska", "Marta Kowolska"):
        assert link_names(f"calls with {name}", index).links


def test_where_many_are_known_the_first_letter_may_be_one() -> None:
    """A word that is none of a thousand is more likely mistyped than one more name."""
    others = [entity(f"{first} {last}{number}", "person") for number in range(400) for first, last in (("Ann", "Wolf"), ("Ida", "Koch"))]
    words = [f"X{a}{b}{c}" for a in "bcdfg" for b in "aeiou" for c in "bcdfghklmnpqrstvwxyz"]
    known = [entity("Marta Kowalska", "person"), *others, *(entity(f"{word} {word}{word[::-1]}", "person") for word in words)]
    assert link_names("calls with Marta Lowalska", NameIndex(known)).links
    assert not link_names("calls with Marta Lowalska", NameIndex(known[:1])).links
