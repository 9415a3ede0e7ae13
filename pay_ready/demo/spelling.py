"""How names, addresses and times are written down: nicknames, typos, initials, swapped and lower-case names, tags, time formats."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from random import Random

from pay_ready.demo.companies import Company
from pay_ready.demo.people import Person

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_ADDRESS_TAGS = ("robots", "crm", "demo", "vendor", "portal")


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenName:
    """A given and a family name as one system has them; either may be empty."""

    given: str
    family: str

    @property
    def full(self) -> str:
        return f"{self.given} {self.family}".strip()


def careful_name(person: Person) -> WrittenName:
    """As on the passport."""
    return WrittenName(given=person.given, family=person.family)


def careless_name(person: Person, rng: Random) -> WrittenName:
    """As typed in a hurry: mostly right, sometimes a nickname, an initial, a typo, swapped, lower case or without family name."""
    roll = rng.random()
    if roll < 0.52:
        return WrittenName(given=person.given, family=person.family)
    if roll < 0.78:
        return WrittenName(given=person.nick, family=person.family)
    if roll < 0.83:
        return WrittenName(given=f"{person.given[0]}.", family=person.family)
    if roll < 0.90:
        return WrittenName(given=person.given, family=typo(person.family, rng))
    if roll < 0.93:
        return WrittenName(given=person.family, family=person.given)
    if roll < 0.97:
        return WrittenName(given=person.nick.lower(), family=person.family.lower())
    return WrittenName(given=person.nick, family="")


def invited_name(person: Person, company: Company, rng: Random) -> str:
    """As a calendar or a video call shows it."""
    nick, given, family = person.nick, person.given, person.family
    name = rng.choice((f"{given} {family}", f"{given} {family}", f"{nick} {family}", f"{family}, {given}", f"{nick} {family[0]}"))
    return f"{name} ({company.short})" if rng.random() < 0.15 else name


def typo(name: str, rng: Random) -> str:
    """One slip of the fingers: two letters swapped, one lost or one doubled; short names stay."""
    if len(name) < 4:
        return name
    place = rng.randint(1, len(name) - 3)
    slips = (
        name[:place] + name[place + 1] + name[place] + name[place + 2 :],
        name[:place] + name[place + 1 :],
        name[:place] + name[place] + name[place:],
    )
    return rng.choice(slips)


def written_email(email: str, rng: Random) -> str:
    """An address as typed: sometimes with capitals or with a tag behind a plus; it still reaches the same person."""
    local, domain = email.split("@")
    roll = rng.random()
    if roll < 0.08:
        return f"{'.'.join(part.capitalize() for part in local.split('.'))}@{domain.capitalize()}"
    if roll < 0.12:
        return f"{local}+{rng.choice(_ADDRESS_TAGS)}@{domain}"
    return email


def company_name(company: Company, rng: Random) -> str:
    """The company's name as typed: with or without legal form, an acronym, a slip."""
    spellings: Sequence[str] = (company.legal, company.short, *company.variants)
    return rng.choice(spellings)


def zulu(at: datetime) -> str:
    """2026-03-04T09:15:00.000Z"""
    return f"{at:%Y-%m-%dT%H:%M:%S}.{at.microsecond // 1000:03}Z"


def epoch_ms(at: datetime) -> int:
    """Milliseconds since 1970, UTC."""
    return epoch_s(at) * 1000 + at.microsecond // 1000


def epoch_s(at: datetime) -> int:
    """Whole seconds since 1970, UTC."""
    difference = at - _EPOCH
    return difference.days * 86400 + difference.seconds
