"""Normal forms: of text, e-mail addresses, phone numbers, hosts, names of people and companies."""

import pytest

from pay_ready.pipeline.mapping.toml_tables import load_words
from pay_ready.resolve.hosts import belongs_to, business_domain, parse_host, registrable_domain
from pay_ready.resolve.normalize import (
    PersonName,
    clean_line,
    clean_text,
    fold,
    is_no_name,
    is_role_address,
    join_name,
    normalize_company_name,
    normalize_person_name,
    parse_email,
    parse_phone,
    says_nothing,
    split_name,
)
from pay_ready.resources import resource_path

FREE_MAIL = load_words(resource_path("config", "resolution", "free_mail_domains.toml"), "domains")
ROLES = load_words(resource_path("config", "resolution", "role_addresses.toml"), "local_parts")


@pytest.mark.parametrize(
    ("raw", "clean"),
    [
        (" a\r\nb\rc ", "a\nb\nc"),
        ("nul \x00 here", "nul \ufffd here"),
        ("lone \ud800 here", "lone \ufffd here"),
        ("\udfff", "\ufffd"),
        ("\ud83d\ude00", "\U0001f600"),
        ("naïve 名", "naïve 名"),
        ("", ""),
    ],
)
def test_text_is_what_every_store_can_hold(raw: str, clean: str) -> None:
    """NUL and lone surrogates become U+FFFD, a pair of surrogates its letter; line ends are newlines; nothing else changes."""
    assert clean_text(raw) == clean


def test_a_line_has_single_blanks() -> None:
    """Line ends, tabs and no-break spaces become one blank."""
    assert clean_line("  Ada\n\tKing\u00a0 Lovelace ") == "Ada King Lovelace"


@pytest.mark.parametrize(
    ("written", "address", "normalized", "host"),
    [
        ("Ada@Acme.Example", "Ada@Acme.Example", "ada@acme.example", "acme.example"),
        ("ada+crm@acme.example", "ada+crm@acme.example", "ada@acme.example", "acme.example"),
        ("+ada@acme.example", "+ada@acme.example", "+ada@acme.example", "acme.example"),
        ("A.D.A+x@GoogleMail.com", "A.D.A+x@GoogleMail.com", "ada@gmail.com", "gmail.com"),
        ("a.d.a@acme.example", "a.d.a@acme.example", "a.d.a@acme.example", "acme.example"),
        ("Ada King <ada@acme.example>", "ada@acme.example", "ada@acme.example", "acme.example"),
        ("MailTo:ada@acme.example", "ada@acme.example", "ada@acme.example", "acme.example"),
        ("jürgen@müller.example", "jürgen@müller.example", "jürgen@xn--mller-kva.example", "xn--mller-kva.example"),
        ("root@qa.test", "root@qa.test", "root@qa.test", "qa.test"),
        ("bob@corp.local", "bob@corp.local", "bob@corp.local", "corp.local"),
    ],
)
def test_one_mailbox_has_one_normal_form(written: str, address: str, normalized: str, host: str) -> None:
    """Case, plus tags, a provider's second name and dots that it ignores do not matter; reserved and private hosts are let through."""
    email = parse_email(written)
    assert email is not None
    assert (email.address, email.normalized, email.host) == (address, normalized, host)


@pytest.mark.parametrize(
    "written", ["", "n/a", "ada", "ada@", "@acme.example", "ada@@acme.example", "ada@acme", "a b@acme.example", "x" * 400]
)
def test_what_is_no_address_has_no_form(written: str) -> None:
    """Broken syntax, fillers and oversize give None, never an error."""
    assert parse_email(written) is None


def test_without_validation_any_text_is_kept_in_lower_case() -> None:
    """Off, the value is kept unvalidated; one that looks like an address is normalised like one."""
    broken, fine = parse_email("Ada at Acme", validate=False), parse_email("Ada+1@Acme.example", validate=False)
    assert broken is not None
    assert fine is not None
    assert (broken.normalized, broken.host) == ("ada at acme", "")
    assert (fine.normalized, fine.host) == ("ada@acme.example", "acme.example")


def test_role_addresses_are_told_from_people() -> None:
    """info@, sales@ and no-reply@ name a function."""
    assert all(is_role_address(f"{role}@acme.example", ROLES) for role in ("info", "sales", "no-reply", "kontakt", "billing"))
    assert not is_role_address("ada@acme.example", ROLES)


@pytest.mark.parametrize(
    ("written", "region", "e164"),
    [
        ("(212) 555-0147", "US", "+12125550147"),
        ("212.555.0147", "US", "+12125550147"),
        ("030 23125 123", "DE", "+493023125123"),
        ("0049 30 23125123", "DE", "+493023125123"),
        ("+44 20 7946 0123", "US", "+442079460123"),
        ("tel. (212) 555-0147", "US", "+12125550147"),
        ("12345", "US", None),
        ("no phone", "US", None),
        ("", "US", None),
        ("1" * 200, "US", None),
        ("+999 123", "US", None),
    ],
)
def test_a_number_is_read_as_dialled_in_its_region(written: str, region: str, e164: str | None) -> None:
    """E.164 for valid numbers, None for the rest."""
    phone = parse_phone(written, region)
    assert (phone.e164 if phone else None) == e164


def test_an_extension_is_kept_beside_the_number() -> None:
    """Two desks of one switchboard share the number but not the extension."""
    phone = parse_phone("+1 212 555 0147 ext. 12", "DE")
    assert phone is not None
    assert (phone.e164, phone.extension) == ("+12125550147", "12")


@pytest.mark.parametrize(
    ("written", "host", "domain"),
    [
        ("https://www.Acme.co.uk/about?x=1", "acme.co.uk", "acme.co.uk"),
        ("mail.eu.acme.com.", "mail.eu.acme.com", "acme.com"),
        ("shop.acme.com.br", "shop.acme.com.br", "acme.com.br"),
        ("acme.myshopify.com", "acme.myshopify.com", "acme.myshopify.com"),
        ("ftp://user:pw@acme.example:8080/x", "acme.example", "acme.example"),  # pragma: allowlist secret
        ("müller.de", "xn--mller-kva.de", "xn--mller-kva.de"),
    ],
)
def test_a_web_address_has_a_host_and_a_registered_domain(written: str, host: str, domain: str) -> None:
    """Scheme, www, user, port and path fall away; suffixes under which companies register count as one label."""
    assert parse_host(written) == host
    assert registrable_domain(host) == domain


@pytest.mark.parametrize(
    "written", ["", "acme", "www.expressl&t.net", "10.0.0.1", "-a.example", "a..example", "http://", "x" * 3000, "\ud800.com"]
)
def test_what_names_no_host_has_none(written: str) -> None:
    """Single labels, addresses of numbers, forbidden letters and oversize give None."""
    assert parse_host(written) is None


def test_free_mail_and_platforms_stand_for_no_company() -> None:
    """A free-mail host never does, a platform only with a page on it; a bare platform is that company."""
    assert business_domain("mail.gmail.com", FREE_MAIL) is None
    assert business_domain("https://www.linkedin.com/company/acme", FREE_MAIL) is None
    assert business_domain("https://linkedin.com/", FREE_MAIL) == "linkedin.com"
    assert business_domain("https://sub.acme.example/page", FREE_MAIL) == "acme.example"


def test_a_host_belongs_to_the_domains_above_it() -> None:
    """Whole labels decide, not the end of the text."""
    assert belongs_to("mail.acme.example", frozenset({"acme.example"}))
    assert not belongs_to("notacme.example", frozenset({"acme.example"}))


def test_the_shipped_lists_are_long_and_clean() -> None:
    """At least 150 free-mail hosts of many countries and 100 roles; each host is a host in its normal form."""
    assert len(FREE_MAIL) >= 150
    assert len(ROLES) >= 100
    assert [domain for domain in FREE_MAIL if parse_host(domain) != domain] == []
    assert {"gmail.com", "web.de", "orange.fr", "qq.com", "mail.ru", "uol.com.br", "naver.com", "yahoo.co.jp"} <= FREE_MAIL


@pytest.mark.parametrize(
    ("full", "first", "last"),
    [
        ("Ada Lovelace", "Ada", "Lovelace"),
        ("Lovelace, Ada", "Ada", "Lovelace"),
        ("Dr. Ludwig van Beethoven", "Ludwig", "van Beethoven"),
        ("van Beethoven, Ludwig", "Ludwig", "van Beethoven"),
        ("María de la Cruz", "María", "de la Cruz"),
        ("Martin Luther King, Jr.", "Martin Luther", "King"),
        ("Smith, Bob, PhD", "Bob", "Smith"),
        ("J. R. Smith", "J. R.", "Smith"),
        ("Cher", "Cher", None),
        ("", None, None),
    ],
)
def test_a_full_name_is_split_where_people_would(full: str, first: str | None, last: str | None) -> None:
    """Titles and suffixes fall away, particles stay with the last name, a comma turns the order."""
    assert split_name(full) == PersonName(first, last)


def test_names_join_what_is_there() -> None:
    """A missing part leaves no blank; none at all is no name."""
    assert join_name("Ada", "King") == "Ada King"
    assert join_name(None, "King") == "King"
    assert join_name(None, None) is None


@pytest.mark.parametrize("text", ["", "-", "N/A", "ada@acme.example", "+1 212 555 0147", "[not provided]"])
def test_fillers_addresses_and_numbers_are_no_names(text: str) -> None:
    """They stand in name fields when the source knew nothing better."""
    assert is_no_name(text)


def test_surnames_that_look_like_fillers_stay_names() -> None:
    """Na, Null and None are people; only other fields read them as nothing."""
    assert not any(is_no_name(name) for name in ("Na", "Null", "Christopher None"))
    assert says_nothing("null")


@pytest.mark.parametrize(
    ("name", "normal"),
    [
        ("Ms. Renée O’Connor-Smith, PhD", "renee oconnor smith"),
        ("ŁUKASZ  Żółć", "lukasz zolc"),
        ("Bjørn Ærø", "bjorn aero"),
        ("J.R. Smith Jr.", "j r smith"),
    ],
)
def test_person_names_compare_without_accents_titles_and_marks(name: str, normal: str) -> None:
    """Folded words in their order."""
    assert normalize_person_name(name) == normal


@pytest.mark.parametrize(
    ("name", "normal"),
    [
        ("Acme, Inc.", "acme"),
        ("ACME INC", "acme"),
        ("The Acme Company", "acme"),
        ("Müller & Söhne GmbH & Co. KG", "muller and sohne"),
        ("Procter & Gamble Co", "procter and gamble"),
        ("Johnson & Johnson", "johnson and johnson"),
        ("Allegro Sp. z o.o.", "allegro"),
        ("Novo Nordisk A/S", "novo nordisk"),
        ("Fiat S.p.A.", "fiat"),
        ("Day Spa", "day spa"),
        ("DAY SPA", "day spa"),
        ("株式会社トヨタ", fold("トヨタ")),
        ("The Limited Company", "limited"),
        ("Inc.", "inc"),
        ("!!!", "!!!"),
    ],
)
def test_company_names_compare_without_their_legal_form(name: str, normal: str) -> None:
    """Legal forms of many countries fall away at the end, and something always stays."""
    assert normalize_company_name(name) == normal
