"""Names alone: what makes two persons' or two organisations' names one, and what tells them apart."""

import pytest

from pay_ready.resolve.name_similarity import NameSimilarity
from tests.publish_support import config

NAMES = NameSimilarity(config().nicknames)
PERSON_AGREES, COMPANY_AGREES = 85, 80

ONE_PERSON = {
    "order": [("Marta Holm", "Holm, Marta"), ("Lena Maria Brandt", "Brandt Lena Maria"), ("de Vega Luis", "Luis de Vega")],
    "accents, case and spacing": [("Søren Łukasz", "SOREN  lukasz"), ("O’Hara, Nell", "Nell O'Hara"), ("José Núñez", "jose nunez")],
    "nickname": [("Robert Pickford", "Bob Pickford"), ("Katherine Ostrow", "Kate Ostrow"), ("Bill Tanaka", "William Tanaka")],
    "mistyped nickname": [("Robret Pickford", "Bob Pickford"), ("Wiliam Tanaka", "Bill Tanaka")],
    "initial": [("R. Pickford", "Robert Pickford"), ("J.-P. Ravel", "Jean-Paul Ravel"), ("JP Ravel", "Jean-Paul Ravel")],
    "typing error": [
        ("Hannah Kowalski", "Hannah Kowlaski"),
        ("Victor Brenner", "Victor Brener"),
        ("Tobias Lindqvist", "Tobais Lindqvist"),
        ("Eleanor Pike", "nleaEor Pike"),
    ],
    "spelling of a language": [
        ("Yuri Shcherbin", "Jurij Schtscherbin"),
        ("Iouri Volkov", "Yuri Volkoff"),
        ("Filip Sokolovsky", "Philip Sokolowski"),
        ("Mohammed Karim", "Muhammad Kareem"),
        ("Khaled Mansour", "Halid Mansur"),
        ("Aleksandr Kusnezow", "Alexander Kuznetsov"),
        ("Jurgen Mueller", "Jürgen Müller"),
    ],
    "script": [
        ("Юрий Щербин", "Yuri Shcherbin"),
        ("Γιάννης Παπαδόπουλος", "Giannis Papadopoulos"),
        ("محمد كريم", "Mohammed Karim"),
        ("דניאל ברקוביץ", "Daniel Berkovich"),
        ("王小明", "Wang Xiaoming"),
        ("タナカ ケンジ", "Tanaka Kenji"),
        ("김민수", "Kim Min-su"),
        ("박근영", "Park Geun-young"),
    ],
    "particles": [("Luis de la Vega", "Luis Vega"), ("Anke van der Meer", "Anke Vandermeer"), ("Omar al-Farsi", "Omar Al Farsi")],
    "servant of": [("Abdulrahman Saleh", "Abd al-Rahman Saleh"), ("Abdel Karim Haddad", "Abdulkarim Haddad")],
    "left out": [
        ("Pavel Igorevich Orlov", "Pavel Orlov"),
        ("Grace Ellen Porter", "Grace Porter"),
        ("Ines Costa", "Ines Costa-Ferreira"),
        ("Grace E. Porter", "Grace Porter"),
    ],
    "title and suffix": [("Dr. Peter Vance, PhD", "Peter Vance"), ("Peter Vance Jr.", "Peter Vance"), ("Prof Ada Quill", "Ada Quill")],
    "words joined or parted": [
        ("MartaHolm", "Marta Holm"),
        ("Jan Christian Oost", "Janchristian Oost"),
        ("Nora Kaz arian", "Nora Kazarian"),
    ],
}
TWO_PERSONS = {
    "two given names that both exist": [
        ("Joan Pickford", "John Pickford"),
        ("Mario Rossini", "Maria Rossini"),
        ("Daniel Voss", "Donald Voss"),
        ("Ali Hassan", "Ali Hussein"),
    ],
    "other given name": [("Petra Holm", "Marta Holm"), ("Igor Volkov", "Oleg Volkov")],
    "other family name": [("Marta Holm", "Marta Lindqvist"), ("Viktor Orlov", "Viktor Orbach")],
    "one word replaced in a long name": [
        ("Hassan Jalil Karim Al-Farsi", "Hassan Jalil Karim Al-Najdi"),
        ("Luis Mario Vega Soto", "Luis Pablo Vega Soto"),
        ("Anke de Vries", "Anke de Wit"),
    ],
    "other patronymic": [("Pavel Igorevich Orlov", "Pavel Antonovich Orlov")],
    "father and son swapped": [("Omar bin Karim Al-Farsi", "Karim bin Omar Al-Farsi")],
    "generation": [("Peter Vance Jr", "Peter Vance Sr"), ("Peter Vance II", "Peter Vance III")],
    "other initial": [("R. Pickford", "Samuel Pickford"), ("Grace E. Porter", "Grace T. Porter")],
    "middle initial against a first name": [("Henry S. Pickford", "Samuel Pickford")],
    "too little": [("Marta", "Marta Holm"), ("R. P.", "Robert Pickford"), ("R. P.", "R. P. Pickford"), ("R. P.", "R. Pickford")],
    "one sign of three": [("王小明", "王小红"), ("김민수", "김민호")],
    "ending of many names": [("Halla Jónsdóttir", "Halla Pétursdóttir"), ("Nino Lomashvili", "Nino Gelashvili")],
}
ONE_ORGANISATION = {
    "legal form": [
        ("Globex Inc.", "GLOBEX L.L.C."),
        ("OOO Zvezda", "Zvezda Limited Liability Company"),
        ("ООО «Звезда»", "Zvezda LLC"),
        ("Nordlicht Aktiengesellschaft", "Nordlicht AG"),
        ("Nordlicht Gesellschaft mit beschränkter Haftung", "Nordlicht GmbH"),
        ("Nordlicht Gesellschaft mit beschrankter Haftng", "Nordlicht GmbH"),
        ("Merapi Sdn. Bhd.", "Merapi"),
        ("Wattle Pty Ltd", "Wattle Proprietary Limited"),
        ("Fuji Denshi K.K.", "Fuji Denshi"),
        ("N.V. Zeewind", "Zeewind NV"),
        ("Zeewind B. V.", "ZEEWIND B.V"),
        ("Public Joint Stock Company Baltika Stal", "PAO Baltika Stal"),
    ],
    "abbreviation": [
        ("Byte Tiger Mfg", "Byte Tiger Manufacturing"),
        ("Pine Intl Trading", "Pine International Trading"),
        ("Gray Bros", "Gray Brothers"),
        ("QZ&T Inc", "QZT"),
    ],
    "shortened trade": [("Ivy Code Soln", "Ivy Code Solutions"), ("Corvid Pharm", "Corvid Pharmaceuticals")],
    "joiner": [("Tran & Gold", "Tran and Gold"), ("Tête et Fils", "Tete & Fils"), ("Maier und Sohn", "Maier & Sohn")],
    "acronym": [("ASI LLC", "Aero Silver Imports"), ("PRA", "Peoples Relief Army")],
    "hollow word": [("Corvid Group", "Corvid"), ("The Corvid Holding", "Corvid"), ("Koninklijke Zeewind", "Zeewind N.V.")],
    "seat": [
        ("Zeewind N.V., Utrecht", "Zeewind NV"),
        ("Corvid Europe", "Corvid"),
        ("Harbor Grill (New York City)", "Harbor Grill"),
        ("Corvid (UK) Ltd", "Corvid Ltd"),
    ],
    "words joined or parted": [("Good Harbor Ltd", "Goodharbor Limited"), ("StellarL ogic", "Stellar Logic"), ("CorvidAG", "Corvid AG")],
    "typing error": [("Brantworth Logistics", "Brantwroth Logistics"), ("Crystalane", "Cristalane Ltd")],
    "number": [("First Harbor Bank", "1st Harbor Bank"), ("Brigade Forty-Four", "Brigade 44"), ("Fund II Harbor", "Fund 2 Harbor")],
    "vessel": [("MV Northern Lark", "Northern Lark"), ("NORTHERN LARK", "Northern Lark")],
}
TWO_ORGANISATIONS = {
    "trade": [("Apex Systems", "Apex Solutions"), ("Orion Bank", "Orion Insurance"), ("Corvid Systems Ltd", "Corvid Ltd")],
    "telling word": [
        ("Pudney Trust", "Puccini Trust"),
        ("Government of Estonia", "Government of Ethiopia"),
        ("Blake Holdings", "Baker Holdings"),
    ],
    "place": [("Corvid Germany", "Corvid France"), ("Corvid (UK) Ltd", "Corvid (France) Ltd")],
    "number": [("Star 1", "Star 2"), ("Fund III Harbor", "Fund IV Harbor"), ("Star", "Star 7")],
    "letters of an acronym": [("BSF Foundation", "BDF Foundation"), ("LXC Aviation", "LAU Aviation")],
    "short vessel": [("Snow", "Snoe"), ("Victory", "Victor Konev")],
    "trade alone": [("Management Company", "Harbor Management Company"), ("Construction Ltd", "LLC Construction Dredging")],
}


def pairs(cases: dict[str, list[tuple[str, str]]]) -> list[object]:
    return [pytest.param(left, right, id=f"{kind}: {left} / {right}") for kind, names in cases.items() for left, right in names]


@pytest.mark.parametrize(("left", "right"), pairs(ONE_PERSON))
def test_ways_to_write_one_person_agree(left: str, right: str) -> None:
    """Each way that people and sources write one name stays at or above the shipped level."""
    assert NAMES.person(left, right) >= PERSON_AGREES
    assert NAMES.person(right, left) == NAMES.person(left, right)


@pytest.mark.parametrize(("left", "right"), pairs(TWO_PERSONS))
def test_lookalike_persons_do_not_agree(left: str, right: str) -> None:
    """What tells persons apart costs more than the shipped level allows."""
    assert NAMES.person(left, right) < PERSON_AGREES
    assert NAMES.person(right, left) == NAMES.person(left, right)


@pytest.mark.parametrize(("left", "right"), pairs(ONE_ORGANISATION))
def test_ways_to_write_one_organisation_agree(left: str, right: str) -> None:
    """Legal forms, abbreviations, joiners, initials and seats do not tell organisations apart."""
    assert NAMES.organisation(left, right) >= COMPANY_AGREES
    assert NAMES.organisation(right, left) == NAMES.organisation(left, right)


@pytest.mark.parametrize(("left", "right"), pairs(TWO_ORGANISATIONS))
def test_lookalike_organisations_do_not_agree(left: str, right: str) -> None:
    """Another telling word, trade, place or number is another organisation, however much else is shared."""
    assert NAMES.organisation(left, right) < COMPANY_AGREES
    assert NAMES.organisation(right, left) == NAMES.organisation(left, right)


def test_names_without_letters_are_only_like_themselves() -> None:
    """Signs alone are no name: equal to themselves, to nothing else."""
    assert NAMES.person("...", "...") == 100
    assert NAMES.person("...", "Marta Holm") == 0
    assert NAMES.organisation("", "Corvid") == 0
    assert NAMES.organisation("?", "?") == 100


def test_another_legal_form_is_weak_evidence() -> None:
    """A form of another kind lowers the similarity a little; "Inc" goes with every form."""
    assert COMPANY_AGREES <= NAMES.organisation("Corvid AG", "Corvid GmbH") < NAMES.organisation("Corvid AG", "Corvid Inc") == 100


def test_nicknames_are_those_of_the_configuration() -> None:
    """Without nicknames Bob is not Robert."""
    assert NameSimilarity(()).person("Robert Pickford", "Bob Pickford") < PERSON_AGREES
    assert NameSimilarity((frozenset(("tuk", "marta")),)).person("Tuk Holm", "Marta Holm") >= PERSON_AGREES
