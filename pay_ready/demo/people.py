"""Who exists: the customers' people with their jobs over the year, and the tenants' own employees; one identity each, however spelt."""

import tomllib
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from random import Random

from pay_ready.demo.companies import Company
from pay_ready.demo.phones import PhoneBook

_NAMES = tomllib.loads((Path(__file__).parent / "tables" / "names.toml").read_text(encoding="utf-8"))
_CULTURES = {"DE": "german", "MX": "spanish"}  # everyone else gets the English list, which is mixed already
_HEADCOUNT = {1: (2, 3), 2: (4, 5), 3: (6, 8)}  # people met at a company, by its weight
_JOB_CHANGE_SHARE = 0.05
_PRIVATE_MAIL_SHARE = 0.14
_MOBILE_SHARE = 0.45
_SPELT_OUT = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "ß": "ss", "ı": "i", "ø": "o", "ł": "l"})
FREE_MAIL = ("gmail.com", "outlook.com", "yahoo.com", "icloud.com", "gmx.de", "web.de")
TITLES = (
    "Operations Manager", "Head of Procurement", "IT Manager", "Plant Manager", "Buyer", "Shift Lead", "Controller", "Project Manager",
    "Chief Financial Officer", "Head of Logistics", "Information Security Officer", "Office Manager", "Chief Operating Officer",
    "Warehouse Supervisor", "Systems Administrator", "Quality Manager",
)  # fmt: skip
_STAFF_TITLES = (
    "VP Sales", "Account Executive", "Account Executive", "Customer Success Manager", "Support Engineer", "Solutions Engineer",
    "Account Executive", "Customer Success Manager", "Support Engineer", "Head of Service", "Sales Development Representative",
    "Field Engineer", "Marketing Manager", "Account Executive", "Support Engineer", "Product Manager",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """Where a person works from a day on, with which address and number."""

    company: str  # key
    title: str
    email: str
    phone: str  # E.164; the switchboard of the company for those without a line of their own
    since: date


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """A human being; `key` is the identity in the truth file, the same in both tenants."""

    key: str
    given: str
    family: str
    nick: str  # equals `given` for people without a short form
    jobs: tuple[Job, ...]  # in time order, at least one
    mobile: str  # E.164 or empty
    private_email: str  # free-mail address or empty

    @property
    def name(self) -> str:
        return f"{self.given} {self.family}"

    def job_on(self, day: date) -> Job:
        """The job held on a day; the first one for days before it."""
        held = [job for job in self.jobs if job.since <= day]
        return held[-1] if held else self.jobs[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Employee:
    """One of the tenant's own people."""

    key: str
    given: str
    family: str
    nick: str
    title: str
    email: str
    phone: str  # E.164
    left: bool = False  # deactivated everywhere during the year

    @property
    def name(self) -> str:
        return f"{self.given} {self.family}"


class NameDealer:
    """Deals full names without giving one out twice, save where a trap asks for it."""

    def __init__(self, rng: Random) -> None:
        self._rng = rng
        self._taken: set[tuple[str, str]] = set()

    def deal(self, country: str) -> tuple[str, str, str]:
        """Given name, short form (the given name where there is none) and family name, fitting the country."""
        table = _NAMES[_CULTURES.get(country, "english")]
        while True:
            given, nick = self._rng.choice(table["given"])
            family = self._rng.choice(table["family"])
            if (given, family) not in self._taken:
                self._taken.add((given, family))
                return given, nick or given, family


def address_part(name: str) -> str:
    """A name as it appears in e-mail addresses: lower case ASCII letters and hyphens ("Müller" gives "mueller")."""
    plain = unicodedata.normalize("NFKD", name.lower().translate(_SPELT_OUT)).encode("ascii", "ignore").decode()
    return "".join(letter for letter in plain if letter.isalpha() or letter == "-")


def work_email(given: str, family: str, company: Company) -> str:
    """The address a company gives out: its pattern depends on the company, as in real life."""
    first, last = address_part(given), address_part(family)
    patterns = (f"{first}.{last}", f"{first[0]}{last}", f"{first[0]}.{last}", f"{first}_{last}")
    return f"{patterns[sum(map(ord, company.key)) % len(patterns)]}@{company.domain}"


def hire(tenant: str, country: str, count: int, names: NameDealer, phones: PhoneBook) -> tuple[Employee, ...]:
    """The tenant's own employees; the last one leaves during the year."""
    staff = []
    for number in range(1, count + 1):
        given, nick, family = names.deal(country)
        staff.append(
            Employee(
                key=f"{tenant}-employee-{number:02}",
                given=given,
                family=family,
                nick=nick,
                title=_STAFF_TITLES[(number - 1) % len(_STAFF_TITLES)],
                email=f"{address_part(given)}.{address_part(family)}@{tenant}.example",
                phone=phones.line(country),
                left=number == count,
            )
        )
    return tuple(staff)


def populate(tenant: str, companies: Sequence[Company], rng: Random, names: NameDealer, phones: PhoneBook) -> tuple[Person, ...]:
    """Everybody met at the customers, among them job changers, private addresses and shared switchboards."""
    people: list[Person] = []
    for company in companies:
        for _ in range(rng.randint(*_HEADCOUNT[company.weight])):
            people.append(_person(f"{tenant}-person-{len(people) + 1:03}", company, rng, names, phones))
    return _with_namesakes(_with_job_changes(tuple(people), companies, rng, phones), companies)


def _person(key: str, company: Company, rng: Random, names: NameDealer, phones: PhoneBook) -> Person:
    given, nick, family = names.deal(company.country)
    own_line = rng.random() < 0.55
    private = rng.random() < _PRIVATE_MAIL_SHARE
    free_mail = rng.choice(FREE_MAIL)
    job = Job(
        company=company.key,
        title=rng.choice(TITLES),
        email=work_email(given, family, company),
        phone=phones.line(company.country) if own_line else phones.switchboard(company.key, company.country),
        since=date(2020, 1, 1),
    )
    return Person(
        key=key,
        given=given,
        family=family,
        nick=nick,
        jobs=(job,),
        mobile=phones.mobile(company.country) if rng.random() < _MOBILE_SHARE else "",
        private_email=f"{address_part(nick)}.{address_part(family)}{rng.randint(60, 99)}@{free_mail}" if private else "",
    )


def _with_job_changes(people: tuple[Person, ...], companies: Sequence[Company], rng: Random, phones: PhoneBook) -> tuple[Person, ...]:
    movers = set(rng.sample([person.key for person in people], max(2, round(len(people) * _JOB_CHANGE_SHARE))))
    return tuple(_moved(person, companies, rng, phones) if person.key in movers else person for person in people)


def _moved(person: Person, companies: Sequence[Company], rng: Random, phones: PhoneBook) -> Person:
    old = person.jobs[0]
    new_company = rng.choice([company for company in companies if company.key != old.company and company.weight > 1])
    new = Job(
        company=new_company.key,
        title=rng.choice(TITLES),
        email=work_email(person.given, person.family, new_company),
        phone=phones.line(new_company.country),
        since=date(2026, rng.randint(2, 7), 1),
    )
    # The private number stays: it shows that the two are one.
    return replace(person, jobs=(old, new), mobile=person.mobile or phones.mobile(new_company.country))


def _with_namesakes(people: tuple[Person, ...], companies: Sequence[Company]) -> tuple[Person, ...]:
    """Two pairs of people who share a full name and nothing else: one pair across companies, one inside a company."""
    by_company = [[person for person in people if len(person.jobs) == 1 and person.jobs[0].company == c.key] for c in companies]
    crowded = sorted(by_company, key=len, reverse=True)
    pairs = ((crowded[0][0], crowded[1][0]), (crowded[0][1], crowded[0][2]))
    renamed = {twin.key: _renamed(twin, model, companies) for model, twin in pairs}
    return tuple(renamed.get(person.key, person) for person in people)


def _renamed(twin: Person, model: Person, companies: Sequence[Company]) -> Person:
    job = twin.jobs[0]
    company = next(company for company in companies if company.key == job.company)
    email = work_email(model.given, model.family, company)
    if email == model.jobs[0].email:
        email = email.replace("@", "2@")
    return replace(
        twin, given=model.given, family=model.family, nick=model.nick, jobs=(replace(job, email=email),), private_email=""
    )  # fmt: skip
