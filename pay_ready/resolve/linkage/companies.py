"""Company records: what is compared, how, and which keys find pairs worth comparing."""

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from pay_ready.resolve.linkage.blocks import BlockRule, joined_rule
from pay_ready.resolve.linkage.caps import CompanyCaps
from pay_ready.resolve.linkage.columns import BELIEVED_RECORDS, Column, Distinct, Ids, Keys, Mask, Rows, distinct, key_of
from pay_ready.resolve.linkage.contact import Emails, domains_of, emails_of, phones_of
from pay_ready.resolve.linkage.counts import Counts
from pay_ready.resolve.linkage.evidence import Compared, Comparison, equality
from pay_ready.resolve.linkage.organisations import (
    OrganisationNames,
    Owners,
    acronyms_or_short,
    organisation_names,
    owners_of,
    similar_organisations,
)
from pay_ready.resolve.linkage.texts import TextValues, text_values
from pay_ready.resolve.linkage.values import Category, Values

NAME = Comparison(
    name="name", levels=("null", "differ", "some", "part", "most", "close", "same"), matches=(0.0, 0.06, 0.04, 0.06, 0.07, 0.12, 0.65),
    chances=(0.0, 0.99, 0.006, 0.0005, 0.001, 0.0015, 0.001),
    by_value=frozenset({"same"}), by_rarity=frozenset({"close", "most", "part"}), prior_strength=0.5, contradicts=True,
)  # fmt: skip
DOMAIN = Comparison(
    name="domain", levels=("null", "differ", "owner", "same"), matches=(0.0, 0.08, 0.07, 0.85), chances=(0.0, 0.9985, 0.0005, 0.001),
    by_value=frozenset({"owner", "same"}),
    prior_strength=1.0, contradicts=True,
)  # fmt: skip
PHONE = Comparison(
    name="phone", levels=("null", "differ", "same"), matches=(0.0, 0.4, 0.6), chances=(0.0, 0.9995, 0.0005),
    by_value=frozenset({"same"}), prior_strength=1.0,
)  # fmt: skip
EMAIL = Comparison(
    name="email", levels=("null", "differ", "same"), matches=(0.0, 0.7, 0.3), chances=(0.0, 0.9995, 0.0005),
    by_value=frozenset({"same"}), prior_strength=1.0,
)  # fmt: skip

_WINDOW = 4
NAMES_OF_ONE, RARELY_SHARED = 3, 0.05
# By how much two companies of one name are fewer than one: where its records have one domain, and where names are all there is.
ONE_DOMAIN, NOTHING_ELSE = 0.02, 0.03
USUAL_CONTACT = 1e-5  # share of an address or a number before any record is seen


@dataclass(frozen=True, slots=True, kw_only=True)
class Companies:
    """The company records of a tenant."""

    size: int
    names: OrganisationNames
    texts: TextValues
    owners: Owners
    domains: Ids  # number of the record's own domain, else of its address's
    domain_keys: Keys  # by domain: a number that is the same whatever other domains there are
    domain_shares: NDArray[np.float64]  # by domain: how likely two companies have it
    name_shares: NDArray[np.float64]  # by core: how likely two companies are called so
    all_domains: int
    emails: Emails
    email_shares: NDArray[np.float64]
    phones: Column
    phone_shares: NDArray[np.float64]
    values: tuple[Values, ...]
    similar_from: float
    caps: CompanyCaps
    comparisons: tuple[Comparison, ...]
    context_ids: Mapping[str, Ids] = field(default_factory=dict)

    def compare(self, left: Rows, right: Rows, *, thorough: bool = False) -> Mapping[str, Compared]:
        """All comparisons of some pairs; they are thorough always."""
        del thorough
        name, owned = self._names(left, right)
        domain = self._domains(owned, left, right)
        found = {"name": name, "domain": domain, "phone": equality(self.phones, left, right, self.phone_shares)}
        if EMAIL in self.comparisons:
            found["email"] = equality(self.emails.column, left, right, self.email_shares)
        compared = {each.name: found[each.name] for each in self.comparisons if each.name in found}
        return compared | {each.comparison.name: each.compare(left, right) for each in self.values}

    def differ(self, compared: Mapping[str, Compared]) -> Mask:
        """The names differ, or are not known."""
        differ: Mask = compared["name"].levels <= 1
        return differ

    def contexts(self) -> Mapping[str, Ids]:
        """Places: what makes two companies neighbours."""
        return self.context_ids

    def _names(self, left: Rows, right: Rows) -> tuple[Compared, Mask]:
        base = self.texts.compare(left, right)
        # null, differ, some, most, close, same -> the same with "part" (an acronym, a head) between
        levels = np.array([0, 1, 2, 4, 5, 6], dtype=np.int8)[base.levels]
        core = self.names.core.ids
        weak = np.flatnonzero((levels > 0) & (levels < 5))
        alike = similar_organisations(self.names, left[weak], right[weak], self.similar_from)
        levels[weak[(alike == 1) & (levels[weak] < 4)]] = 3
        levels[weak[alike == 2]] = 5
        levels[weak[alike == 3]] = 6
        shares = np.ones(len(left))
        held = (core[left] >= 0) & (core[right] >= 0)
        shares[held] = np.maximum(self.name_shares[core[left[held]]], self.name_shares[core[right[held]]])
        return Compared(levels, shares), self.owners.same(left, right)

    def _domains(self, owned: Mask, left: Rows, right: Rows) -> Compared:
        first, second = self.domains[left], self.domains[right]
        both = (first >= 0) & (second >= 0)
        levels = both.astype(np.int8)
        # One side's domain is called like the other side, or both have the label under another top level.
        core = self.names.core.ids
        by_name = owned & ~((core[left] >= 0) & (core[left] == core[right]))
        levels[by_name] = 2
        same = both & (first == second)
        levels[same] = 3
        shares = np.ones(len(left))
        shares[by_name] = 0.5 / (self.all_domains + BELIEVED_RECORDS)
        shares[same] = self.domain_shares[first[same]]
        return Compared(levels, shares)

    def rules(self) -> list[BlockRule]:
        """Names, owners, numbers, rare words, and places with a word of the name."""
        core, caps, phones = self.names.core.keys(), self.caps, self.phones.keys()
        domains = np.append(self.domain_keys, np.int64(-1))[self.domains]
        detail = key_of(domains + 1, phones + 1)
        sides = self.owners.key_columns()
        found = [
            joined_rule("owner", sides, caps.name, _WINDOW, detail),
            BlockRule(name="name_and_domain", keys=key_of(core, domains), cap=1, window=1, order=detail),
            BlockRule(name="phone", keys=phones, cap=caps.contact, window=_WINDOW, order=detail),
            BlockRule(name="email", keys=self.emails.column.keys(), cap=caps.contact, window=_WINDOW, order=detail),
            BlockRule(name="acronym", keys=self._acronym_keys(), cap=caps.contact, window=_WINDOW, order=detail),
        ]
        word, second, both = self.texts.block_keys()
        found.append(joined_rule("word", [word, second], caps.word))
        found.append(BlockRule(name="words", keys=both, cap=caps.word, window=_WINDOW, order=detail))
        for each in self.values:
            found.extend(self._value_rules(each, word, second, detail))
        return found

    def _acronym_keys(self) -> Keys:
        """By record: a key of the initials of a name of three words or more, and of a name as short as initials."""
        words = self.names.words.mapped(acronyms_or_short)
        return words.keys()

    def _value_rules(self, each: Values, word: Keys, second: Keys, order: Keys) -> list[BlockRule]:
        name = each.comparison.name
        keys = each.block_keys()
        with_word = [key_of(key, part) for key in keys for part in (word, second)]
        rules = [joined_rule(f"{name}_and_word", with_word, self.caps.word, _WINDOW, order)]
        if not isinstance(each, Category):
            rules.extend(BlockRule(name=name, keys=key, cap=self.caps.word) for key in keys[-1:])
        return rules


def companies_of(
    *,
    size: int,
    name: pa.Array,
    domain: pa.Array,
    email: pa.Array,
    phone: pa.Array,
    values: Sequence[Values] = (),
    contexts: Mapping[str, Ids] | None = None,
    role_local_parts: Set[str] = frozenset(),
    free_mail: Set[str] = frozenset(),
    compare_email: bool = False,
    similar_from: float = 80.0,
    caps: CompanyCaps | None = None,
    counts: Counts | None = None,
) -> Companies:
    """Company records from columns of strings, each with null where there is no value.

    Args:
        size: Records.
        name, domain, email, phone: As the record has them; of an address the domain counts.
        values: Further fields, each compared by itself.
        contexts: Values that make records neighbours.
        role_local_parts, free_mail: Local parts that name a function; domains that anybody may have an address at.
        compare_email: Whether one address tells one company (a table of companies), not only its domain (a table of people).
        similar_from: Similarity of 0 to 100 from which two names are alike.
        caps: Largest blocks.
        counts: How common values are; None counts them.
    """
    counted = counts or Counts()
    names = organisation_names(name)
    emails = emails_of(email, frozenset() if compare_email else role_local_parts, free_mail)
    own = domains_of(domain, free_mail)
    owners = owners_of(names.core, own, emails.host, emails.domains, counted)
    phones = phones_of(phone)
    known = {text: number for number, text in enumerate(own.values.to_pylist())}
    by_address = np.array([*(known.setdefault(text, len(known)) for text in emails.domains), -1], dtype=np.int32)[emails.host]
    domains = np.where(own.ids >= 0, own.ids, by_address).astype(np.int32)
    heads = names.core.mapped(lambda texts: pc.utf8_slice_codeunits(texts, 0, 3)).ids
    distinct_domains = Distinct(pa.array(list(known), pa.string()))
    domain_names, all_domains = counted.of(
        "domain.names", distinct_domains, _different(domains, heads, len(known)), usual=1, total=len(known)
    )
    cores = len(names.core.values)
    name_domains, all_names = counted.of(
        "name.domains", names.core.distinct, _different(names.core.ids, domains, cores), usual=0, total=cores
    )
    # Whether anything but names is known of any record: of some records alone nobody could tell, so a model has it.
    is_more = bool(values or len(known) or len(phones.values) or len(emails.column.values))
    more, _ = counted.of("name.more", Distinct(pa.array(["any"])), np.array([int(is_more)]), usual=1, total=size)
    optional = (
        (DOMAIN, bool(len(owners.keys))), (PHONE, bool(len(phones.values))), (EMAIL, compare_email and bool(len(emails.column.values))),
    )  # fmt: skip
    return Companies(
        size=size,
        names=names,
        texts=replace(text_values("name", names.words, counts=counted), alike_from=similar_from),
        owners=owners,
        domains=domains,
        domain_keys=distinct_domains.keys,
        domain_shares=_as_identifier(domain_names, all_domains),
        name_shares=_as_name(name_domains, all_names, is_all=not more[0]),
        all_domains=all_domains,
        emails=emails,
        email_shares=counted.shares("email", emails.column, USUAL_CONTACT),
        phones=phones,
        phone_shares=counted.shares("phone", phones, USUAL_CONTACT),
        values=tuple(values),
        similar_from=similar_from,
        caps=caps or CompanyCaps(),
        comparisons=(NAME, *(each for each, filled in optional if filled), *(each.comparison for each in values)),
        context_ids=dict(contexts or {}),
    )


def _different(values: Ids, others: Ids, size: int) -> NDArray[np.int64]:
    """By value: the different others that records hold it with."""
    held = (values >= 0) & (others >= 0)
    pairs = distinct(values[held].astype(np.int64) << 32 | others[held])
    return np.bincount(pairs >> 32, minlength=size).astype(np.int64)


def _as_identifier(names: NDArray[np.int64], size: int) -> NDArray[np.float64]:
    """A domain is one company's, unless many names are held with it (a platform, a holding)."""
    shares: NDArray[np.float64] = np.where(names <= NAMES_OF_ONE, RARELY_SHARED, names) / (size + BELIEVED_RECORDS)
    return shares


def _as_name(domains: NDArray[np.int64], size: int, *, is_all: bool) -> NDArray[np.float64]:
    """A name is one company's where all its records that have a domain have one; two domains speak of two companies.

    Where nothing but names is known (`is_all`), equal names are mostly one company's, too: nothing can say more.
    """
    unknown = NOTHING_ELSE if is_all else 1.0
    known: NDArray[np.float64] = np.select([domains == 0, domains == 1], [unknown, ONE_DOMAIN], domains)
    shares: NDArray[np.float64] = known / (size + BELIEVED_RECORDS)
    return shares
