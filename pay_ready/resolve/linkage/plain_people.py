"""People's records one at a time, with their blocks, as `people` has them for columns: for the handful that one decision reads.

Each record is what its own values say. Under a model both forms say the same of the same records, to the last digit;
tests/properties/test_plain_people.py holds them to it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pay_ready.resolve.hosts import registrable_domain
from pay_ready.resolve.linkage import contact
from pay_ready.resolve.linkage.people import SHORTEST_USER
from pay_ready.resolve.linkage.people_blocks import LEAST_WEAK
from pay_ready.resolve.linkage.plain_counts import PlainCounts
from pay_ready.resolve.linkage.plain_moves import places_of
from pay_ready.resolve.linkage.plain_texts import (
    NAMELESS,
    OrganisationName,
    address_of,
    category_of,
    domain_of,
    key_of,
    name_words,
    organisation_name,
    phone_of,
)
from pay_ready.resolve.linkage.tables import Knowledge
from pay_ready.resolve.linkage.words import groups_of
from pay_ready.resolve.staged import PERSON_KINDS

CATEGORIES = ("city", "title")  # columns that are compared as categories, in the order of their comparisons


@dataclass(frozen=True, slots=True, kw_only=True)
class Employer:
    """The names of an employer that a record tells, and who they are of."""

    name: OrganisationName
    owners: tuple[str | None, str | None, str | None]  # by name, by domain, by address
    owner: str | None  # the first of the owners that there is


@dataclass(frozen=True, slots=True)
class Address:
    """What is compared of an address (`contact.Emails`)."""

    personal: str | None = None  # itself, where it is somebody's
    user: str | None = None  # of a personal one the part before "@"
    host: str | None = None  # and what follows
    domain: str | None = None  # of a role's, too: where it is no free mail

    @property
    def long_user(self) -> str | None:
        """The user part, where it is long enough to tell anything."""
        return self.user if self.user is not None and len(self.user) >= SHORTEST_USER else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """What is compared of a record; None is no value."""

    given: str | None
    family: str | None
    second_family: str | None
    middle: str | None  # an initial
    address: Address
    phone: str | None
    employer: Employer
    categories: Mapping[str, str | None]


class PlainPeople:
    """Reads people's records and finds their blocks, under a model's counts."""

    def __init__(self, knowledge: Knowledge, counts: PlainCounts) -> None:
        self._knowledge, self._counts = knowledge, counts
        self._forms = groups_of(tuple(knowledge.nicknames))
        self._has_weak_blocks = knowledge.person_caps.at_size(counts.total("owner")).weak >= LEAST_WEAK

    def record(self, row: Mapping[str, Any]) -> Person:
        """A record from its staged values, texts by column (`staged.PERSON_COLUMNS`); "" is none, and other columns are left alone."""
        knowledge, told = self._knowledge, {column: row.get(column) or None for column in PERSON_KINDS}
        full, first, last = told["full_name"], told["first_name"], told["last_name"]
        said = name_words(full, first, last)
        given, family = said[0] if said else None, said[-1] if len(said) > 1 else None
        if last is not None and first is None and full is None:
            # A family name alone is no given name.
            given, family = None, given if family is None else family
        several = len(said) > 2
        email, phone, company, site = told["email"], told["phone"], told["company_name"], told["company_domain"]
        address = self._address(email) if email else Address()
        given, family = self._spelled_by_address(given, family, address.user)
        return Person(
            given=given,
            family=family,
            second_family=said[-2] if several and len(said[-2]) > 1 else None,
            middle=said[1][0] if several else None,
            address=address,
            phone=phone_of(phone) if phone else None,
            employer=_employer(company, domain_of(site, knowledge.free_mail) if site else None, address.domain),
            categories={name: category_of(value) if (value := told[name]) else None for name in CATEGORIES},
        )

    def _address(self, text: str) -> Address:
        known = self._knowledge
        address = address_of(text, validation=known.email_validation)
        if address is None:
            return Address()
        user, host = address.partition("@")[0], address.rpartition("@")[2]
        if user in contact.NOBODYS_USERS or host in contact.NOBODYS_HOSTS:
            return Address()
        registered = registrable_domain(host)
        domain = None if registered in known.free_mail or host in known.free_mail else registered
        if user.rstrip("0123456789") in known.role_local_parts:
            return Address(domain=domain)
        return Address(address, user or None, host, domain)

    def _spelled_by_address(self, given: str | None, family: str | None, user: str | None) -> tuple[str | None, str | None]:
        """`people.spelled_by_address`."""
        if user is None or given is None or not (len(given) == 1 or family is None):
            return given, family
        first, dot, last = user.rstrip("0123456789").partition(".")
        if not dot or "." in last or min(len(first), len(last)) < 2:
            return given, family
        if family is not None:
            return (first if first[0] == given[0] and last[:3] == family[:3] else given), family
        is_form = first == given or not set(self._forms.get(first, ())).isdisjoint(self._forms.get(given, ()))
        return given, last if is_form else None

    def places(self, record: Person) -> dict[int, int]:
        """By block that a record is in, its place: 0 in all of them."""
        return places_of("person", self._keys(record), self._weak_keys(record) if self._has_weak_blocks else None)

    def _keys(self, person: Person) -> dict[str, list[int]]:
        """By rule (`people_blocks.person_rules`) the record's keys, -1 for none."""
        given, family = self._canonical(person.given), self._head(person.family)
        first, last = sorted((given, self._key(person.family)))
        full, phone, given_head = key_of(first, last), self._key(person.phone), self._head(person.given)
        sides = [self._key(each) for each in person.employer.owners]
        found = {
            "email": [self._key(person.address.personal)],
            "email_user": [self._key(person.address.long_user)],
            "phone": [phone],
            "phone_and_name": [key_of(phone, family), key_of(phone, given_head)],
            "name": [full],
            "employer_and_family": [key_of(side, family) for side in sides],
            "employer_and_given": [key_of(side, given) for side in sides],
        }
        return found | {f"{name}_and_full_name": [key_of(self._key(value), full)] for name, value in person.categories.items()}

    def _weak_keys(self, person: Person) -> dict[str, list[int]]:
        """Keys that say little by themselves, for tenants that are small enough."""
        user = person.address.user and person.address.user[:5]
        return {
            "given": [self._canonical(person.given)], "family": [self._key(person.family)], "family_head": [self._head(person.family)],
            "email_user_head": [self._key(user)], "email_host": [self._key(person.address.host)],
        }  # fmt: skip

    def _key(self, text: str | None) -> int:
        return -1 if text is None else self._counts.key(text)

    def _head(self, word: str | None) -> int:
        return -1 if word is None else self._counts.key(word[:3])

    def _canonical(self, word: str | None) -> int:
        """The same key for all forms of a given name, as far as a word can tell."""
        forms = self._forms.get(word, ()) if word is not None else ()
        return key_of(forms[0]) if forms else self._key(word)


def _employer(company: str | None, domain: str | None, address: str | None) -> Employer:
    name = organisation_name(company) if company else NAMELESS
    by_domain, by_address = (None if each is None else each.partition(".")[0] for each in (domain, address))
    owners = (name.core, by_domain, by_address)
    return Employer(name=name, owners=owners, owner=next((each for each in owners if each is not None), None))
