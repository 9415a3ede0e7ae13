"""Companies' records one at a time, with their blocks and what two of them say of each other: `companies` and `texts` without columns.

Under a model both forms say the same of the same records, to the last digit; tests/properties/test_plain_companies.py holds them to it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from rapidfuzz import fuzz

from pay_ready.resolve.linkage import companies, organisations, texts
from pay_ready.resolve.linkage.columns import BELIEVED_RECORDS
from pay_ready.resolve.linkage.companies import DOMAIN, NAME
from pay_ready.resolve.linkage.plain_counts import PlainCounts
from pay_ready.resolve.linkage.plain_moves import places_of
from pay_ready.resolve.linkage.plain_texts import NAMELESS, OrganisationName, category_of, domain_of, key_of, organisation_name, phone_of
from pay_ready.resolve.linkage.plain_values import Said, compare_categories, similar_organisations
from pay_ready.resolve.linkage.tables import Knowledge
from pay_ready.resolve.staged import COMPANY_KINDS

_BY_PLACE = ("owner", "name_and_domain", "phone", "acronym", "words", "city_and_word")  # rules of which large blocks have an order
_PART, _CLOSE, _SAME = (NAME.levels.index(level) for level in ("part", "close", "same"))
_SHARED = tuple(NAME.levels.index(level) for level in ("differ", "some", "most", "close"))  # by how much of their words two names share
_OWNER, _SAME_DOMAIN = (DOMAIN.levels.index(level) for level in ("owner", "same"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Company:
    """What is compared of a record; None is no value."""

    name: OrganisationName
    words: Mapping[str, float]  # of its name, with what each weighs
    weight: float  # of all of them
    share: float  # how likely two companies are called so
    domain: str | None
    owners: tuple[str | None, str | None]  # by name, by domain
    phone: str | None
    city: str | None

    @property
    def initials(self) -> str | None:
        """Of its name, or a name as short as initials are (`organisations.acronyms_or_short`)."""
        words, acronym = self.name.words, self.name.acronym
        is_short = organisations.SHORTEST_ACRONYM <= len(words) <= organisations.LONGEST_ACRONYM and " " not in words
        return words if acronym is None and is_short else acronym


class PlainCompanies:
    """Reads companies' records and finds their blocks, under a model's counts."""

    def __init__(self, knowledge: Knowledge, counts: PlainCounts) -> None:
        self._knowledge, self._counts = knowledge, counts
        self._names = max(counts.total("word.name"), 1)
        # By how much two companies of one name are fewer than one where no domain is known.
        self._unknown_domains = 1.0 if counts.count("name.more", "any") else companies.NOTHING_ELSE

    def record(self, row: Mapping[str, Any]) -> Company:
        """A record from its staged values, texts by column (`staged.COMPANY_COLUMNS`); "" is none, and other columns are left alone."""
        told = {column: row.get(column) or None for column in COMPANY_KINDS}
        called, site, phone, city = told["name"], told["domain"], told["phone"], told["city"]
        name = organisation_name(called) if called else NAMELESS
        words = {word: self._weight(word) for word in name.words.split(" ")} if name.words else {}
        domain = domain_of(site, self._knowledge.free_mail) if site else None
        return Company(
            name=name,
            words=words,
            weight=sum(words.values()),
            share=1.0 if name.core is None else self._share(name.core),
            domain=domain,
            owners=(name.core, domain and domain.partition(".")[0]),
            phone=phone_of(phone) if phone else None,
            city=category_of(city) if city else None,
        )

    def _share(self, core: str) -> float:
        """`companies.Companies.name_shares`."""
        domains = self._counts.count("name.domains", core)
        known = {0: self._unknown_domains, 1: companies.ONE_DOMAIN}.get(domains, domains)
        return known / (self._counts.total("name.domains") + BELIEVED_RECORDS)

    def _weight(self, word: str) -> float:
        """`texts.text_values`: log(names / names that hold it), a single letter half of that."""
        weight = float(np.log((self._names + 1) / self._counts.count("word.name", word)))  # not math's: its last digit may be another
        return weight * 0.5 if len(word) == 1 else weight

    def places(self, record: Company) -> dict[int, int]:
        """By block that a record is in, its place (`companies.Companies.rules`)."""
        domain, phone, city = (self._key(each) for each in (record.domain, record.phone, record.city))
        rare = sorted((-weight, self._counts.key(word)) for word, weight in record.words.items())
        word, second = [*(key for _, key in rare[:2]), -1, -1][:2]
        keys = {
            "owner": [self._key(each) for each in record.owners],
            "name_and_domain": [key_of(self._key(record.name.core), domain)],
            "phone": [phone],
            "acronym": [self._key(record.initials)],
            "word": [word, second],
            "words": [key_of(word, second)],
            "city_and_word": [key_of(city, word), key_of(city, second)],
        }
        return places_of("company", keys, places=dict.fromkeys(_BY_PLACE, key_of(domain + 1, phone + 1)))

    def _key(self, text: str | None) -> int:
        return -1 if text is None else self._counts.key(text)


class CompanyComparisons:
    """Compares companies' records under a model's counts."""

    def __init__(self, knowledge: Knowledge, counts: PlainCounts) -> None:
        self._counts, self._similar_from = counts, knowledge.similar_company_from
        self._all_domains = counts.total("domain.names")

    def compare(self, one: Company, other: Company) -> dict[str, Said]:
        """`Companies.compare` of one pair."""
        return {
            "name": self._names(one, other),
            "domain": self._domains(one, other),
            "phone": self._phones(one.phone, other.phone),
            "city": compare_categories(self._counts, "city", one.city, other.city),
        }

    def contexts(self, one: Company, other: Company) -> list[str]:
        """In which contexts two records are neighbours (`Companies.contexts`)."""
        return ["city"] if one.city is not None and one.city == other.city else []

    def _names(self, one: Company, other: Company) -> Said:
        if one.name.core is None or other.name.core is None:
            return 0, 1.0
        return self._name_level(one, other), max(one.share, other.share)

    def _name_level(self, one: Company, other: Company) -> int:
        if one.name.words == other.name.words:
            return _SAME
        level = _SHARED[self._shared(one, other)]
        if level < _CLOSE:
            likeness = similar_organisations(one.name, other.name, self._similar_from)
            return (level, max(level, _PART), _CLOSE, _SAME)[likeness]
        return level

    def _shared(self, one: Company, other: Company) -> int:
        """0 to 3: how much two names have in common (`texts.TextValues`)."""
        shared = sum(weight for word, weight in one.words.items() if word in other.words)
        contained, of_all = (shared / max(of(one.weight, other.weight), 1e-9) for of in (min, max))
        spelled, alike_from = np.float32(fuzz.token_sort_ratio(one.name.words, other.name.words)), self._similar_from
        if of_all >= texts.SHARED_CLOSE or spelled >= max(texts.SPELLED_CLOSE, alike_from):
            return 3
        if (contained >= texts.CONTAINED_MOST and of_all >= texts.SHARED_MOST) or spelled >= max(texts.SPELLED_MOST, alike_from):
            return 2
        return int(contained >= texts.CONTAINED_SOME or spelled >= texts.spelled_some(alike_from))

    def _domains(self, one: Company, other: Company) -> Said:
        first, second = one.domain, other.domain
        if first is not None and first == second:
            names = self._counts.count("domain.names", first)
            shared = names if names > companies.NAMES_OF_ONE else companies.RARELY_SHARED
            return _SAME_DOMAIN, shared / (self._all_domains + BELIEVED_RECORDS)
        core = one.name.core
        if (core is None or core != other.name.core) and any(each is not None and each in other.owners for each in one.owners):
            return _OWNER, 0.5 / (self._all_domains + BELIEVED_RECORDS)
        return int(first is not None and second is not None), 1.0

    def _phones(self, one: str | None, other: str | None) -> Said:
        if one is None or other is None:
            return 0, 1.0
        return (2, self._counts.share("phone", one, companies.USUAL_CONTACT)) if one == other else (1, 1.0)
