"""Personal values do not leave: by their form, and by the tenant's known names; dates, sums and ids stay."""

from uuid import UUID

import pytest

from pay_ready.agent.masking import KnownName, Masker, MaskPolicy
from pay_ready.agent.personal import holds_iban, holds_luhn, personal_spans

KEY = b"the tenant's own"
JANE, ACME = UUID(int=1), UUID(int=2)
NAMES = (
    KnownName(text="Jane Doe", kind="person", entity_id=JANE),
    KnownName(text="J. Doe", kind="person", entity_id=JANE),
    KnownName(text="ACME Inc.", kind="company", entity_id=ACME),
    KnownName(text="Acme", kind="company", entity_id=ACME),
    KnownName(text="Will", kind="person", entity_id=UUID(int=3)),
    KnownName(text="Zoë Müller", kind="person", entity_id=UUID(int=4)),
    KnownName(text="田中", kind="person", entity_id=UUID(int=5)),
    KnownName(text="X", kind="person", entity_id=UUID(int=6)),
)


@pytest.mark.parametrize(
    ("text", "kinds"),
    [
        ("write to jane.o'neil+x@acme.co.uk, please", ["email"]),
        ("call (555) 123-4567 ext. 12 or +49 30 1234567", ["phone", "phone"]),
        ("dial 0044 20 7946 0958-office", ["phone"]),
        ("card 4111 1111 1111 1111.", ["card"]),
        ("IBAN GB82 WEST 1234 5698 7654 32 is mine", ["iban"]),
        ("BE71 0961 2345 6769 is", ["iban"]),
        ("ssn 536-22-8726", ["ssn"]),
        ("from 192.168.0.17, and 2001:db8::ff00:42:8329", ["ip", "ip"]),
    ],
)
def test_values_are_known_by_their_form(text: str, kinds: list[str]) -> None:
    """However they are set."""
    assert [span.kind for span in personal_spans(text)] == kinds


@pytest.mark.parametrize(
    "text",
    [
        "on 2026-11-20 at 10:30, from 2026-01-03 09:15:00+01:00",
        "12/31/2026 and 31.12.2026.",
        "00000000-0000-0000-0000-000000000001",
        "it costs $1,250,000 or € 12 500 000",
        "version 2.0.14, room 1204, 65% of 12,500",
        "between 2019-2024",
        "10:00-11:00",
        "std::map and a::b",
    ],
)
def test_dates_sums_and_ids_are_no_personal_values(text: str) -> None:
    """An answer lives from them."""
    assert list(personal_spans(text)) == []


def test_the_same_value_has_the_same_token() -> None:
    """However it is set; with another tenant's key it has another one."""
    masker = Masker(KEY, "contacts")
    assert masker("+49 30 1234567") == masker("0049 (30) 123-4567") == masker("+49 30 1234567")
    assert masker("Ann@Acme.com") == masker("ann@acme.com")
    assert masker("ann@acme.com") != Masker(b"another", "contacts")("ann@acme.com")
    assert len(masker("ann@acme.com")) == len("<email:12345678>")


@pytest.mark.parametrize(("policy", "kept"), [("none", ("Jane Doe", "ann@acme.com")), ("contacts", ("Jane Doe",)), ("all", ())])
def test_the_policy_says_what_is_masked(policy: MaskPolicy, kept: tuple[str, ...]) -> None:
    """Nothing; addresses and numbers; names, too."""
    masked = Masker(KEY, policy, NAMES)("Jane Doe: ann@acme.com")
    assert {value for value in ("Jane Doe", "ann@acme.com") if value in masked} == set(kept)


@pytest.mark.parametrize("text", ["Jane Doe", "JANE DOE", "jane\n doe", "Jane\u200b Doe", "Jané  Doe", "J. Doe"])
def test_names_are_found_however_they_are_written(text: str) -> None:
    """Case, accents, blanks, invisible characters and aliases change nothing, and all have the entity's token."""
    masker = Masker(KEY, "all", NAMES)
    assert masker(f"ask {text}'s team") == f"ask {masker.token('person', str(JANE))}'s team"


def test_the_longest_name_counts() -> None:
    """ "ACME Inc." whole, with the token of its short form."""
    masker = Masker(KEY, "all", NAMES)
    assert masker("ACME Inc. and acme") == "{0} and {0}".format(masker.token("company", str(ACME)))


def test_only_whole_words_are_names() -> None:
    """Not inside another word; where a script sets no blanks, anywhere; a name that is a word needs its capital."""
    masker = Masker(KEY, "all", NAMES)
    assert masker("Acmeville, X, we will") == "Acmeville, X, we will"
    assert masker("Will said") == f"{masker.token('person', str(UUID(int=3)))} said"
    assert masker("田中さん") == f"{masker.token('person', str(UUID(int=5)))}さん"
    assert masker("zoe muller") == masker.token("person", str(UUID(int=4)))


def test_an_address_with_a_name_in_it_is_one_value() -> None:
    """The whole address, and what is behind it stays."""
    masker = Masker(KEY, "all", NAMES)
    assert masker("jane@acme.com, ok") == f"{masker.token('email', 'jane@acme.com')}, ok"


def test_check_digits() -> None:
    """Luhn and IBAN hold for valid numbers and fail for one digit off."""
    assert holds_luhn("4111111111111111")
    assert not holds_luhn("4111111111111112")
    assert holds_iban("GB82WEST12345698765432")
    assert not holds_iban("GB82WEST12345698765433")


PEOPLE = (
    KnownName(text="Grace Velasquez", kind="person", entity_id=UUID(int=11)),
    KnownName(text="Robert Fitzgerald", kind="person", entity_id=UUID(int=12)),
    KnownName(text="Robert Hall", kind="person", entity_id=UUID(int=13)),
    KnownName(text="Dr. Ann Price", kind="person", entity_id=UUID(int=14)),
    KnownName(text="April May", kind="person", entity_id=UUID(int=15)),
    KnownName(text="Will van der Berg", kind="person", entity_id=UUID(int=16)),
    KnownName(text="Summit Grocers, Inc.", kind="company", entity_id=UUID(int=17)),
    KnownName(text="Vice President of Sales and Operations", kind="person", entity_id=UUID(int=18)),
)


@pytest.mark.parametrize(
    "text",
    [
        "Velasquez", "Grace", "GRACE", "ask Velasquez's team", "Fitzgerald", "Robert", "Bob", "ask Hall", "Mr. Price",
        "with Price", "Price said",
        "ask Will", "Berg", "Summit Grocers", "summit grocers",
    ],
)  # fmt: skip
def test_a_single_name_is_masked(text: str) -> None:
    """First or last name with its capital, a nickname, a company without its legal form; a word of English where only a name can stand."""
    assert "<" in Masker(KEY, "all", PEOPLE, {"robert": ["bob"]})(text)


@pytest.mark.parametrize(
    "text",
    [
        "a grace period", "the hall", "Price is too high", "The Price Index", "White prices, price", "in April and in May",
        "we will", "Will you come?",
        "the van", "Summit", "Sales and Operations", "The President", "Berger", "Inc.",
    ],
)  # fmt: skip
def test_words_are_no_single_names(text: str) -> None:
    """Small letters, the beginning of a sentence, other large words, months, titles, roles, pieces of words."""
    assert Masker(KEY, "all", PEOPLE)(text) == text


def test_a_single_name_is_its_owners_or_nobodys() -> None:
    """The token of the one who is called so; what two are called has a token of its own, and so have two of one name."""
    masker = Masker(KEY, "all", [*PEOPLE, KnownName(text="Robert Hall", kind="person", entity_id=UUID(int=99))])
    assert masker("Velasquez") == masker("Grace Velasquez")
    assert masker("Robert") != masker("Robert Fitzgerald")
    assert masker("Robert Hall") not in [masker.token("person", str(UUID(int=number))) for number in (13, 99)]


def test_labels_have_no_capitals() -> None:
    """There a name counts without one, but no word."""
    masker = Masker(KEY, "all", PEOPLE)
    assert masker("velasquez, invoice, price") == "velasquez, invoice, price"
    assert masker.label("velasquez, invoice, price") == f"{masker('Velasquez')}, invoice, price"


def test_parts_of_a_name_need_the_policy() -> None:
    """Addresses alone are masked under contacts."""
    assert Masker(KEY, "contacts", PEOPLE)("Grace Velasquez") == "Grace Velasquez"
