"""What two people's records say of each other, pair by pair: the comparisons of `people`, `names` and `words` without columns."""

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from rapidfuzz.distance import OSA, JaroWinkler

from pay_ready.resolve.linkage import names, people, words
from pay_ready.resolve.linkage.people import EMAIL, EMPLOYER
from pay_ready.resolve.linkage.plain_counts import PlainCounts, chance_share
from pay_ready.resolve.linkage.plain_people import CATEGORIES, Address, Employer, Person
from pay_ready.resolve.linkage.plain_texts import digits_of
from pay_ready.resolve.linkage.plain_values import Said, compare_categories, similar_organisations
from pay_ready.resolve.linkage.tables import Knowledge
from pay_ready.resolve.linkage.words import Relation, groups_of

_SAME_USER, _TYPO, _SAME_EMAIL = (EMAIL.levels.index(level) for level in ("same_user", "typo", "same"))
_SAME_EMPLOYER = EMPLOYER.levels.index("same")


class _Related(NamedTuple):
    """How the parts of two names are related, and between which words."""

    given: Relation
    family: Relation
    givens: tuple[str | None, str | None]
    families: tuple[str | None, str | None]
    initial: str | None  # the word whose first letter it is, where given names agree in that alone


class PersonComparisons:
    """Compares people's records under a model's counts."""

    def __init__(self, knowledge: Knowledge, counts: PlainCounts) -> None:
        self._knowledge, self._counts = knowledge, counts
        self._forms = groups_of(tuple(knowledge.nicknames))
        self._relations: dict[tuple[str, str], Relation] = {}
        self._shares: dict[str | None, float] = {}
        self._totals = {name: counts.total(name) for name in ("email.names", "email.user", "name.word", "owner")}

    def compare(self, one: Person, other: Person) -> dict[str, Said]:
        """`People.compare` of one pair."""
        given, family, given_share, family_share = self._names(one, other)
        middle = 0 if one.middle is None or other.middle is None else 1 + (one.middle == other.middle)
        email = self._addresses(one.address, other.address, given, family)
        employer = self._employers(one, other, given, family)
        if (email[0] == _SAME_EMAIL and one.address.domain is not None) or (email[0] >= _SAME_USER and employer[0] == 1):
            employer = (0, employer[1])
        phone = self._phones(one, other, differ=given <= Relation.DIFFER and family <= Relation.DIFFER, employer=employer[0])
        found: dict[str, Said] = {
            "given": (given, given_share), "family": (family, family_share), "middle": (middle, 1.0), "email": email, "phone": phone,
            "employer": employer,
        }  # fmt: skip
        told = {name: compare_categories(self._counts, name, one.categories[name], other.categories[name]) for name in CATEGORIES}
        return found | told

    def contexts(self, one: Person, other: Person) -> list[str]:
        """In which contexts two records are neighbours (`People.contexts`)."""
        employer, city = one.employer.owner, one.categories["city"]
        shared = ["employer"] if employer is not None and employer == other.employer.owner else []
        return [*shared, "city"] if city is not None and city == other.categories["city"] else shared

    def _relation(self, one: str | None, other: str | None) -> Relation:
        if one is None or other is None:
            return Relation.NULL
        if one == other:
            return Relation.SAME
        pair = (one, other) if one < other else (other, one)
        if (found := self._relations.get(pair)) is None:
            self._relations[pair] = found = self._related(*pair)
        return found

    def _related(self, one: str, other: str) -> Relation:
        """`words.relations` of two words."""
        forms, others = self._forms.get(one, ()), self._forms.get(other, ())
        short, same_initial = min(len(one), len(other)), one[0] == other[0]
        if short == 1 and same_initial:
            return Relation.INITIAL
        if not set(forms).isdisjoint(others):
            return Relation.NICKNAME
        is_near = short >= words.SHORTEST_ALIKE and abs(len(one) - len(other)) <= words.LARGEST_GAP
        if is_near and not (forms and others) and (same_initial or one[-1] == other[-1]):
            slips = OSA.distance(one, other, score_cutoff=2)
            is_alike = np.float32(JaroWinkler.normalized_similarity(one, other)) * np.float32(100) >= self._knowledge.similar_name_from
            if is_alike and slips == 1 and short >= words.SHORTEST_SLIP:
                return Relation.TYPO
            if is_alike and (slips == 1 or short >= words.SHORTEST_SLIP):
                return Relation.SIMILAR
        return Relation.OTHER if self._is_established(one) and self._is_established(other) else Relation.DIFFER

    def _is_established(self, word: str) -> bool:
        """A known given name, or a word that many names have."""
        if word in self._forms:
            return True
        return len(word) >= 3 and self._counts.count("name.word", word) >= max(words.ESTABLISHED, self._totals["name.word"] // 20_000)

    def _share(self, pair: tuple[str | None, str | None]) -> float:
        """How common the more common of two words is, in its more common place."""
        return max(self._word_share(pair[0]), self._word_share(pair[1]))

    def _word_share(self, word: str | None) -> float:
        if (found := self._shares.get(word)) is None:
            as_given = self._counts.share("name.given", word, names.USUAL_GIVEN)
            self._shares[word] = found = max(as_given, self._counts.share("name.family", word, names.USUAL_FAMILY))
        return found

    def _names(self, one: Person, other: Person) -> tuple[int, int, float, float]:
        """`names.compare_names`: how given and family name are related, and how common they are where that matters."""
        said = self._single(one, other, self._crossed(one, other))
        given, family = said.given, said.family
        given_share = family_share = 1.0
        if given == Relation.INITIAL:
            given_share = self._counts.share("name.initial", said.initial and said.initial[0], names.USUAL_INITIAL)
        elif given > Relation.DIFFER:
            given_share = self._share(said.givens)
        if Relation.NULL < family <= Relation.DIFFER and _has_other_family_name(one, other):
            family = Relation.SIMILAR
        if family > Relation.DIFFER:
            family_share = self._share(said.families)
        return given, family, given_share, family_share

    def _crossed(self, one: Person, other: Person) -> _Related:
        """Both names as they stand, or crosswise where they only agree so ("Smith John")."""
        given, family = self._relation(one.given, other.given), self._relation(one.family, other.family)
        givens, families = (one.given, other.given), (one.family, other.family)
        if given <= Relation.DIFFER and family <= Relation.DIFFER:
            first, second = self._relation(one.given, other.family), self._relation(one.family, other.given)
            if min(first, second) >= Relation.INITIAL and max(first, second) >= Relation.SIMILAR:
                across, back = (one.given, other.family), (one.family, other.given)
                # An initial that crosses is the given name's.
                if second == Relation.INITIAL:
                    return _Related(second, first, back, across, other.given)
                return _Related(first, second, across, back, one.given)
        return _Related(given, family, givens, families, one.given)

    def _single(self, one: Person, other: Person, said: _Related) -> _Related:
        """A single word that is the other part of the other's name: that part agrees, the rest is unknown."""
        for here, there in ((one, other), (other, one)):
            if here.family is None and said.given in (Relation.DIFFER, Relation.OTHER):
                found = self._relation(here.given, there.family)
                if found >= Relation.TYPO:
                    said = said._replace(given=found, family=Relation.NULL, givens=(here.given, there.family))
            if here.given is None and here.family is not None and max(said.family, said.given) <= Relation.DIFFER:
                found = self._relation(here.family, there.given)
                if found >= Relation.TYPO:
                    said = said._replace(given=Relation.NULL, family=found, families=(here.family, there.given))
        return said

    def _addresses(self, one: Address, other: Address, given: int, family: int) -> Said:
        first, second = one.personal, other.personal
        if first is None or second is None:
            return 0, 1.0
        counts, all_names = self._counts, self._totals["email.names"]
        if first == second:
            share = chance_share(counts.count("email.names", first), all_names, people.USUAL_CONTACT, people.BELIEVED_ADDRESSES)
            if given == Relation.OTHER:
                share = max(share, people.HOUSEHOLD)
            nameless = given == Relation.NULL and family == Relation.NULL
            return 0 if nameless and counts.count("email.initials", first) > 1 else _SAME_EMAIL, share
        some_part, at_one_host = given >= Relation.SIMILAR or family >= Relation.SIMILAR, one.host == other.host
        user = one.long_user
        same_user = not at_one_host and user is not None and user == other.long_user and not (some_part and not _has_digits(user))
        level = _SAME_USER if same_user else 2 if at_one_host and one.domain is not None else 1
        alike = _are_users_alike(one.user or "", other.user or "")
        if alike and (at_one_host or same_user):
            is_slip = _is_slip(first, second)
        else:
            is_slip = alike and some_part and not at_one_host and _is_slip_of_host(one, other)
        if is_slip:
            return _TYPO, chance_share(1, all_names, people.USUAL_CONTACT)
        if same_user and user is not None:
            return level, chance_share(counts.count("email.user", user) - 1, self._totals["email.user"], people.USUAL_USER)
        return level, 1.0

    def _phones(self, one: Person, other: Person, *, differ: bool, employer: int) -> Said:
        if one.phone is None or other.phone is None:
            return 0, 1.0
        if one.phone != other.phone:
            return 1, 1.0
        held = self._counts.count("phone.names", one.phone)
        # Colleagues share the switchboard: the employer has said it.
        is_said = employer == _SAME_EMPLOYER and (held >= people.SHARED_BY or differ)
        return 0 if is_said else 2, chance_share(held, self._totals["email.names"], people.USUAL_CONTACT)

    def _employers(self, one: Person, other: Person, given: int, family: int) -> Said:
        first, second = one.employer, other.employer
        if first.owner is None or second.owner is None:
            return 0, 1.0
        if any(each is not None and each in second.owners for each in first.owners):
            level = _SAME_EMPLOYER
        else:
            agree = given >= Relation.INITIAL and family >= Relation.SIMILAR
            level = 2 if agree and self._are_similar(first, second) else 1
        if level < people.SIMILAR_COMPANIES:
            return level, 1.0
        smaller = min(self._size(first), self._size(second))
        return level, chance_share(smaller - 1, self._totals["owner"], people.USUAL_EMPLOYER)

    def _size(self, employer: Employer) -> int:
        return max(1 if each is None else self._counts.count("owner", each) for each in employer.owners)

    def _are_similar(self, one: Employer, other: Employer) -> bool:
        return similar_organisations(one.name, other.name, self._knowledge.similar_company_from) > 0


def _has_other_family_name(one: Person, other: Person) -> bool:
    """One of two family names is the other record's ("Garcia Lopez" and "Garcia")."""
    pairs = ((one.second_family, other.family), (other.second_family, one.family))
    return any(second is not None and second == family for second, family in pairs)


def _has_digits(user: str) -> bool:
    """Two digits in a row."""
    return any("0" <= one <= "9" and "0" <= two <= "9" for one, two in pairwise(user))


def _are_users_alike(one: str, other: str) -> bool:
    """Whether user parts begin with one letter and are as long as each other, but for one letter."""
    return one[:1] == other[:1] and abs(len(one) - len(other)) <= 1


def _is_slip(one: str, other: str) -> bool:
    """One slip of the finger inside the user part or the host of two addresses (`People._is_slip`)."""
    if OSA.distance(one, other, score_cutoff=1) != 1:
        return False
    ends = one[0] == other[0] and one.partition("@")[0][-1:] == other.partition("@")[0][-1:]
    return ends and [sign for sign in one if sign.isdigit()] == [sign for sign in other if sign.isdigit()]


def _is_slip_of_host(one: Address, other: Address) -> bool:
    """Hosts at most two slips apart, and user parts at most one; a digit is no slip."""
    hosts, users = (one.host or "", other.host or ""), (one.user or "", other.user or "")
    if abs(len(hosts[0]) - len(hosts[1])) > people.HOST_SLIPS or digits_of(one.personal or "") != digits_of(other.personal or ""):
        return False
    return _is_near(hosts, people.HOST_SLIPS, 8) and _is_near(users, 1, 4)


def _is_near(pair: Sequence[str], most: int, shortest: int) -> bool:
    slips = OSA.distance(*pair, score_cutoff=most)
    return slips == 0 or (slips <= most and min(map(len, pair)) >= shortest)
