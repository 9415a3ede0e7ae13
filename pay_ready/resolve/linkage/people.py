"""Person records: what is compared, how, and which keys find pairs worth comparing."""

from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from rapidfuzz import process
from rapidfuzz.distance import OSA

from pay_ready.resolve.linkage.blocks import BlockRule
from pay_ready.resolve.linkage.caps import Caps
from pay_ready.resolve.linkage.cleaning import digits_of
from pay_ready.resolve.linkage.columns import (
    Column,
    Ids,
    Keys,
    Mask,
    Rows,
    Texts,
    by_distinct_pair,
    chance_share,
    column_of,
    distinct,
    key_of,
    lengths,
    texts_at,
    with_none,
)
from pay_ready.resolve.linkage.contact import Emails, domains_of, emails_of, long_users, phones_of
from pay_ready.resolve.linkage.counts import Counts
from pay_ready.resolve.linkage.evidence import Compared, Comparison
from pay_ready.resolve.linkage.names import ComparedNames, NameFrequencies, Names, compare_names, name_frequencies, names_of
from pay_ready.resolve.linkage.organisations import OrganisationNames, Owners, organisation_names, owners_of, similar_organisations
from pay_ready.resolve.linkage.people_blocks import person_rules
from pay_ready.resolve.linkage.values import Values
from pay_ready.resolve.linkage.words import RELATIONS, Relation, groups_of

GIVEN = Comparison(
    name="given", levels=RELATIONS, matches=(0.0, 0.01, 0.02, 0.08, 0.02, 0.06, 0.13, 0.68),
    chances=(0.0, 0.7, 0.275, 0.008, 0.001, 0.001, 0.004, 0.011), by_value=frozenset({"same"}),
    by_rarity=frozenset({"initial", "similar", "typo", "nickname"}), prior_strength=0.5, contradicts=True,
)  # fmt: skip
FAMILY = Comparison(
    name="family", levels=RELATIONS, matches=(0.0, 0.01, 0.02, 0.005, 0.015, 0.06, 0.005, 0.885),
    chances=(0.0, 0.2, 0.7965, 0.0003, 0.002, 0.0005, 0.0001, 0.0006), by_value=frozenset({"same"}),
    by_rarity=frozenset({"initial", "similar", "typo", "nickname"}), prior_strength=0.5, contradicts=True,
)  # fmt: skip
MIDDLE = Comparison(name="middle", levels=("null", "differ", "same"), matches=(0.0, 0.08, 0.92), chances=(0.0, 0.9, 0.1), contradicts=True)
EMAIL = Comparison(
    name="email", levels=("null", "differ", "differ_at_host", "same_user", "typo", "same"), matches=(0.0, 0.25, 0.02, 0.03, 0.03, 0.67),
    chances=(0.0, 0.9988, 0.0009, 0.0002, 0.00003, 0.00007),
    by_value=frozenset({"same_user", "typo", "same"}), mirrors={"differ_at_host": "differ"}, prior_strength=1.0,
)  # fmt: skip
PHONE = Comparison(
    name="phone",
    levels=("null", "differ", "same"),
    matches=(0.0, 0.35, 0.65),
    chances=(0.0, 0.9999, 0.0001),
    by_value=frozenset({"same"}),
    prior_strength=1.0,
    circumstance=True,
)
EMPLOYER = Comparison(
    name="employer", levels=("null", "differ", "similar", "same"), matches=(0.0, 0.25, 0.07, 0.68), chances=(0.0, 0.9965, 0.0005, 0.003),
    by_value=frozenset({"same"}),
    by_rarity=frozenset({"similar"}), prior_strength=1.0, circumstance=True,
)  # fmt: skip

SHORTEST_USER = 4
HOST_SLIPS = 2
SHARED_BY = 3  # names; a number that so many hold is a switchboard
SIMILAR_COMPANIES = 2
# Shares before any record is seen.
HOUSEHOLD = 0.05  # how likely two of one family have one address
BELIEVED_ADDRESSES = 100_000
USUAL_USER, USUAL_CONTACT, USUAL_EMPLOYER = 1e-3, 1e-5, 5e-3


@dataclass(frozen=True, slots=True, kw_only=True)
class People:
    """The person records of a tenant."""

    size: int
    names: Names
    emails: Emails
    users: Ids  # user parts long enough to tell anything
    phones: Column
    companies: OrganisationNames
    owners: Owners
    values: tuple[Values, ...]
    similar_name_from: float
    similar_company_from: float
    caps: Caps
    frequencies: NameFrequencies
    email_names: NDArray[np.int64]  # by address: people's names that hold it
    email_initials: NDArray[np.int64]  # by address: different first letters of these; 1 without one
    phone_names: NDArray[np.int64]  # by number of a phone; 1 without one
    user_holders: NDArray[np.int64]
    user_initials: Ids  # by user part: number of its first letter; -1 without one
    user_lengths: NDArray[np.int32]  # and its letters; 0 without one
    host_lengths: NDArray[np.int32]  # by host; 0 without one
    address_digits: Ids  # by address: number of its digits read together
    all_names: int  # different names of all records
    addresses: int  # records that have an address
    comparisons: tuple[Comparison, ...]
    context_ids: Mapping[str, Ids] = field(default_factory=dict)

    def compare(self, left: Rows, right: Rows, *, thorough: bool = False) -> Mapping[str, Compared]:
        """All comparisons of some pairs. What one of them says already, another does not say again.

        Employers' names are compared letter by letter where the people's names agree; `thorough`, everywhere.
        """
        names = compare_names(self.names, self.frequencies, left, right, self.similar_name_from)
        email = self._emails(names, left, right)
        phone, phone_shared = self._phones(names, left, right)
        employer = self._employers(names, left, right, thorough)
        same_work_address = (email.levels == EMAIL.levels.index("same")) & (self.emails.host[left] >= 0)
        employer.levels[same_work_address] = 0
        # A domain that differs by a slip has been said by the address.
        employer.levels[(email.levels >= EMAIL.levels.index("same_user")) & (employer.levels == 1)] = 0
        # Colleagues share the switchboard: the employer has said it.
        phone.levels[phone_shared & (employer.levels == EMPLOYER.levels.index("same"))] = 0
        ones = np.ones(len(left))
        found = {
            "given": Compared(names.given, names.given_share),
            "family": Compared(names.family, names.family_share),
            "middle": Compared(names.middle, ones),
            "email": email,
            "phone": phone,
            "employer": employer,
        }
        compared = {each.name: found[each.name] for each in self.comparisons if each.name in found}
        return compared | {each.comparison.name: each.compare(left, right) for each in self.values}

    def differ(self, compared: Mapping[str, Compared]) -> Mask:
        """Given and family name are there and neither agrees."""
        given, family = compared["given"].levels, compared["family"].levels
        differ: Mask = (given > Relation.NULL) & (given <= Relation.DIFFER) & (family > Relation.NULL) & (family <= Relation.DIFFER)
        return differ

    def contexts(self) -> Mapping[str, Ids]:
        """An employer, a place: what makes two people neighbours."""
        return self.context_ids

    def _emails(self, names: ComparedNames, left: Rows, right: Rows) -> Compared:
        ids, host = self.emails.column.ids, self.emails.own_host
        first, second = ids[left], ids[right]
        first_host, second_host = host[left], host[right]
        first_user, second_user = self.users[left], self.users[right]
        both, at_one_host = (first >= 0) & (second >= 0), first_host == second_host
        levels = both.astype(np.int8)
        levels[both & at_one_host & (self.emails.host[left] >= 0)] = 2
        # The user part of an address is made of the name: it says something new only where the names do not agree, or by its digits.
        some_part = names.some_part
        same_user = both & ~at_one_host & (first_user >= 0) & (first_user == second_user)
        same_user &= ~(some_part & ~self.emails.digits[first_user])
        levels[same_user] = 3
        alike = self._are_users_alike(left, right)
        near = np.flatnonzero(both & (first != second) & alike & (at_one_host | same_user))
        if len(near):
            slip = by_distinct_pair(first[near], second[near], self._is_slip)
            levels[near[slip.astype(np.bool_)]] = 4
        apart = np.flatnonzero(both & some_part & (levels == 1) & alike & ~at_one_host)
        gap = self.host_lengths[first_host[apart]] - self.host_lengths[second_host[apart]]
        apart = apart[np.abs(gap) <= HOST_SLIPS]
        if len(apart):
            levels[apart[self._is_slip_of_host(left[apart], right[apart])]] = 4
        same = both & (first == second)
        levels[same] = 5
        shares = np.ones(len(left))
        others = self.user_holders[first_user[same_user]] - 1
        shares[same_user] = chance_share(others, self.addresses, USUAL_USER)
        shares[levels == 4] = chance_share(np.array([1]), self.all_names, USUAL_CONTACT)[0]
        shares[same] = chance_share(self.email_names[first[same]], self.all_names, USUAL_CONTACT, BELIEVED_ADDRESSES)
        # A household shares its address: who has another given name is another of it, and who has no name could be any of them.
        household = same & (names.given == Relation.OTHER)
        shares[household] = np.maximum(shares[household], HOUSEHOLD)
        nameless = same & (names.given == Relation.NULL) & (names.family == Relation.NULL)
        levels[nameless & (self.email_initials[first] > 1)] = 0
        return Compared(levels, shares)

    def _are_users_alike(self, left: Rows, right: Rows) -> Mask:
        """Whether the user parts begin with one letter and are as long as each other, but for one letter."""
        first, second = self.emails.user.ids[left], self.emails.user.ids[right]
        alike: Mask = self.user_initials[first] == self.user_initials[second]
        alike &= np.abs(self.user_lengths[first] - self.user_lengths[second]) <= 1
        return alike

    def _is_slip(self, left: Ids, right: Ids) -> NDArray[np.bool_]:
        """One slip of the finger inside the user part or the host; a digit, and a letter more or less at an end, is no slip."""
        first, second = (texts_at(self.emails.column.values, side) for side in (left, right))
        slips = process.cpdist(first, second, scorer=OSA.distance, score_cutoff=1, dtype=np.int32) == 1
        for at in np.flatnonzero(slips).tolist():
            one, other = first[at], second[at]
            ends = one[0] == other[0] and one.partition("@")[0][-1:] == other.partition("@")[0][-1:]
            slips[at] = ends and [sign for sign in one if sign.isdigit()] == [sign for sign in other if sign.isdigit()]
        found: NDArray[np.bool_] = slips
        return found

    def _is_slip_of_host(self, left: Rows, right: Rows) -> Mask:
        """Hosts at most two slips apart, and user parts at most one."""
        host, user = self.emails.own_host, self.emails.user

        def near(texts: Texts, most: int, shortest: int) -> Callable[[Ids, Ids], NDArray[np.bool_]]:
            def graded(first: Ids, second: Ids) -> NDArray[np.bool_]:
                one, other = texts_at(texts, first), texts_at(texts, second)
                slips: NDArray[np.int32] = process.cpdist(one, other, scorer=OSA.distance, score_cutoff=most, dtype=np.int32)
                long = np.array([min(len(a), len(b)) >= shortest for a, b in zip(one, other, strict=True)], dtype=np.bool_)
                close: NDArray[np.bool_] = (slips <= most) & (long | (slips == 0))
                return close

            return graded

        found = np.zeros(len(left), dtype=np.bool_)
        is_near_host = near(self.emails.hosts, HOST_SLIPS, 8)
        by_host = by_distinct_pair(host[left], host[right], is_near_host).astype(np.bool_)
        # A digit is no slip.
        digits = self.address_digits[self.emails.column.ids]
        found |= by_host & (digits[left] == digits[right])
        # An address need not have a user part where it is not validated; then the other has none either.
        alike = np.flatnonzero(found & (user.ids[left] >= 0))
        is_near_user = near(user.values, 1, 4)
        found[alike] = by_distinct_pair(user.ids[left[alike]], user.ids[right[alike]], is_near_user).astype(np.bool_)
        return found

    def _phones(self, names: ComparedNames, left: Rows, right: Rows) -> tuple[Compared, Mask]:
        first, second = self.phones.ids[left], self.phones.ids[right]
        both = (first >= 0) & (second >= 0)
        levels = both.astype(np.int8)
        same = both & (first == second)
        levels[same] = 2
        shares = np.ones(len(left))
        shares[same] = chance_share(self.phone_names[first[same]], self.all_names, USUAL_CONTACT)
        shared = same & ((self.phone_names[first] >= SHARED_BY) | names.differ)
        return Compared(levels, shares), shared

    def _employers(self, names: ComparedNames, left: Rows, right: Rows, thorough: bool) -> Compared:
        owners = self.owners
        both = owners.is_known[left] & owners.is_known[right]
        levels = both.astype(np.int8)
        core = self.companies.core.ids
        same = both & owners.same(left, right)
        levels[same] = 3
        # Whether two names of companies are alike only matters where the people's names agree.
        agree = ((names.given >= Relation.INITIAL) & (names.family >= Relation.SIMILAR)) | thorough
        rest = np.flatnonzero(both & ~same & agree & (core[left] >= 0) & (core[right] >= 0))
        if len(rest):
            alike = similar_organisations(self.companies, left[rest], right[rest], self.similar_company_from)
            levels[rest[alike >= 1]] = 2
        shares = np.ones(len(left))
        held = levels >= SIMILAR_COMPANIES
        smaller = np.minimum(owners.sizes[left[held]], owners.sizes[right[held]])
        shares[held] = chance_share(smaller - 1, owners.total, USUAL_EMPLOYER)
        return Compared(levels, shares)

    def rules(self) -> list[BlockRule]:
        """Blocking rules (`people_blocks`)."""
        return person_rules(self)


def people_of(
    *,
    size: int,
    full_name: pa.Array,
    given_name: pa.Array,
    family_name: pa.Array,
    email: pa.Array,
    phone: pa.Array,
    company: pa.Array,
    domain: pa.Array,
    values: Sequence[Values] = (),
    contexts: Mapping[str, Ids] | None = None,
    nicknames: Sequence[frozenset[str]] = (),
    role_local_parts: Set[str] = frozenset(),
    free_mail: Set[str] = frozenset(),
    similar_name_from: float = 85.0,
    similar_company_from: float = 80.0,
    email_validation: bool = True,
    caps: Caps | None = None,
    counts: Counts | None = None,
) -> People:
    """Person records from columns of strings, each with null where there is no value.

    Args:
        size: Records.
        full_name, given_name, family_name: Names; parts go before the full name.
        email, phone: One of each.
        company, domain: The employer as the record names it; the domain of a work address counts as one, too.
        values: Further fields, each compared by itself.
        contexts: Beside the employer, values that make records neighbours.
        nicknames: Groups of given names that one person may use.
        role_local_parts: Local parts that name a function.
        free_mail: Domains that anybody may have an address at.
        similar_name_from, similar_company_from: Similarity of 0 to 100 from which two words, two companies' names are alike.
        email_validation: An address without a dot in its host is none.
        caps: Largest blocks.
        counts: How common values are; None counts them.
    """
    counted = counts or Counts()
    names = names_of(full_name, given_name, family_name, nicknames, counted)
    emails = emails_of(email, role_local_parts, free_mail, validation=email_validation)
    names = spelled_by_address(names, emails, nicknames, counted)
    phones = phones_of(phone)
    companies = organisation_names(company)
    owners = owners_of(companies.core, domains_of(domain, free_mail), emails.host, emails.domains, counted)
    name_keys = names.full_keys()
    different = max(len(distinct(name_keys[name_keys >= 0])), 1)
    short = key_of(names.family, np.append(names.words.initials, np.int32(-1))[names.given])
    present = tuple(
        each
        for each, filled in (
            (GIVEN, True), (FAMILY, True), (MIDDLE, bool((names.middle >= 0).any())), (EMAIL, bool(len(emails.column.values))),
            (PHONE, bool(len(phones.values))), (EMPLOYER, bool(len(owners.keys))),
        )
        if filled
    )  # fmt: skip
    employer = np.where(owners.by_name >= 0, owners.by_name, np.where(owners.by_domain >= 0, owners.by_domain, owners.by_address))
    email_names, all_names = counted.of(
        "email.names", emails.column.distinct, _distinct_names(emails.column, short), usual=1, total=different
    )
    initials = np.append(names.words.initials, np.int32(-1))[names.given].astype(np.int64)
    email_initials, _ = counted.of(
        "email.initials", emails.column.distinct, _distinct_names(emails.column, initials), usual=1, total=different
    )
    phone_names, _ = counted.of("phone.names", phones.distinct, _distinct_names(phones, short), usual=1, total=different)
    user_holders, addresses = counted.of("email.user", emails.user.distinct, emails.user.holders(), usual=1, total=emails.column.filled)
    context_ids = ({"employer": employer} if len(owners.keys) else {}) | dict(contexts or {})
    return People(
        size=size,
        names=names,
        emails=emails,
        users=long_users(emails, SHORTEST_USER),
        phones=phones,
        companies=companies,
        owners=owners,
        values=tuple(values),
        similar_name_from=similar_name_from,
        similar_company_from=similar_company_from,
        caps=(caps or Caps()).at_size(owners.total),
        frequencies=name_frequencies(names, counted),
        email_names=email_names,
        email_initials=with_none(email_initials, 1),
        phone_names=with_none(phone_names, 1),
        user_holders=user_holders,
        user_lengths=with_none(lengths(emails.user.values), 0),
        host_lengths=with_none(lengths(emails.hosts), 0),
        address_digits=column_of(digits_of(emails.column.values)).ids,
        user_initials=with_none(column_of(pc.utf8_slice_codeunits(emails.user.values, 0, 1)).ids, -1),
        all_names=all_names,
        addresses=addresses,
        comparisons=(*present, *(each.comparison for each in values)),
        context_ids=context_ids,
    )


def _distinct_names(column: Column, short_names: Keys) -> NDArray[np.int64]:
    """Different short names ("J Smith") of the holders of each value, at least 1."""
    held = (column.ids >= 0) & (short_names >= 0)
    pairs = distinct(column.ids[held].astype(np.int64) << 32 | short_names[held] & 0xFFFFFFFF)
    return np.maximum(np.bincount(pairs >> 32, minlength=len(column.values)), 1).astype(np.int64)


def spelled_by_address(names: Names, emails: Emails, nicknames: Sequence[frozenset[str]], counts: Counts) -> Names:
    """Names with what the address tells of them: "H. Jackson" with hiroshi.jackson@ is Hiroshi, "Sally" with sally.kent@ a Kent."""
    lengths = np.append(names.words.lengths, 0)
    users = emails.user
    wanting = np.flatnonzero((users.ids >= 0) & (names.given >= 0) & ((lengths[names.given] == 1) | (names.family < 0)))
    if not len(wanting):
        return names
    given, family = names.given.copy(), names.family.copy()
    words, number_of = names.words.texts.to_pylist(), dict(names.words.number_of)
    said = users.values.take(pa.array(users.ids[wanting])).to_pylist()
    forms = groups_of(tuple(nicknames))
    new: list[str] = []

    def number(word: str) -> int:
        if word not in number_of:
            number_of[word] = len(number_of)
            new.append(word)
        return number_of[word]

    for row, text in zip(wanting.tolist(), said, strict=True):
        first, dot, last = text.rstrip("0123456789").partition(".")
        if not dot or "." in last or min(len(first), len(last)) < 2:
            continue
        own = words[given[row]]
        if family[row] >= 0:
            if first[0] == own[0] and last[:3] == words[family[row]][:3]:
                given[row] = number(first)
        elif first == own or not set(forms.get(first, ())).isdisjoint(forms.get(own, ())):
            family[row] = number(last)
    return replace(names, words=names.words.extended(new, nicknames, counts), given=given, family=family)
