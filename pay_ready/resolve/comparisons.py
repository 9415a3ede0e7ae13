"""The grade that each kind of evidence reaches for every candidate pair, as arrays over the pairs.

Similarities are computed once per pair of distinct values. An address or number that people of different names hold
in the main (a household, a switchboard, a role) is `shared`: weak evidence that never links alone.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from rapidfuzz.distance import OSA

from pay_ready.resolve.blocking import CandidatePairs, Rows
from pay_ready.resolve.features import Column, Companies, People, T
from pay_ready.resolve.name_comparison import CompanyName, NameComparison, NameLevel, PersonName, company_similarity, is_acronym

Levels = NDArray[np.int8]
Counts = NDArray[np.int64]

NAME_LEVELS = tuple(level.name.lower() for level in NameLevel)
EMAIL_LEVELS = ("null", "differ", "same_user", "close", "shared", "exact")
PHONE_LEVELS = ("null", "differ", "shared", "exact")
EMPLOYER_LEVELS = ("null", "differ", "close", "same_name", "same_domain")
EQUALITY_LEVELS = ("null", "differ", "same")
COMPANY_NAME_LEVELS = ("null", "differ", "acronym", "close", "exact")
DOMAIN_LEVELS = ("null", "differ", "owner", "shared", "exact")

PERSON_LEVELS = {
    "name": NAME_LEVELS, "email": EMAIL_LEVELS, "phone": PHONE_LEVELS, "company": EMPLOYER_LEVELS, "city": EQUALITY_LEVELS,
    "title": EQUALITY_LEVELS,
}  # fmt: skip
COMPANY_LEVELS = {"name": COMPANY_NAME_LEVELS, "domain": DOMAIN_LEVELS, "phone": EQUALITY_LEVELS, "city": EQUALITY_LEVELS}


@dataclass(frozen=True, slots=True)
class Comparison:
    """One kind of evidence over all pairs."""

    levels: Levels  # position in the level names; 0 is null
    holders: Counts  # records that hold the value that agrees, 1 where none does: its rarity


@dataclass(frozen=True, slots=True)
class ComparedPairs:
    """All comparisons by name, and what the rules need beside them."""

    left: Rows
    right: Rows
    comparisons: dict[str, Comparison]
    is_bridge: NDArray[np.bool_]  # one side has no name, and the address belongs to different people


def compare_people(people: People, pairs: CandidatePairs, names: NameComparison, company_threshold: float) -> ComparedPairs:
    """Compare person records; the names agree from the threshold that `names` was made with."""
    left, right = pairs.left, pairs.right
    name = _names(people.name, left, right, names)
    shared_email, mixed_email = _shared(people.email, left, right, name.levels)
    shared_phone, _ = _shared(people.phone, left, right, name.levels)
    same_email = _same(people.email, left, right)
    comparisons = {
        "name": name,
        "email": _emails(people, left, right, shared_email | people.is_role),
        "phone": _identifiers(people.phone, left, right, shared_phone),
        "company": _employers(people, left, right, company_threshold),
        "city": _equality(people.city, left, right),
        "title": _equality(people.title, left, right),
    }
    mixed = np.append(mixed_email, False)[people.email.ids[left]] & same_email
    return ComparedPairs(left, right, comparisons, mixed & (name.levels == NameLevel.NULL))


def compare_companies(companies: Companies, pairs: CandidatePairs, company_threshold: float) -> ComparedPairs:
    """Compare company records; two names agree from `company_threshold` (0-100)."""
    left, right = pairs.left, pairs.right
    name = _company_names(companies.name, left, right, company_threshold)
    comparisons = {
        "name": name,
        "domain": _domains(companies, left, right, name.levels),
        "phone": _equality(companies.phone, left, right),
        "city": _equality(companies.city, left, right),
    }
    return ComparedPairs(left, right, comparisons, np.zeros(len(left), dtype=np.bool_))


def _same(column: Column[T], left: Rows, right: Rows) -> NDArray[np.bool_]:
    same: NDArray[np.bool_] = (column.ids[left] == column.ids[right]) & (column.ids[left] >= 0)
    return same


def _both(column: Column[T], left: Rows, right: Rows) -> NDArray[np.bool_]:
    both: NDArray[np.bool_] = (column.ids[left] >= 0) & (column.ids[right] >= 0)
    return both


def _held(column: Column[T], rows: Rows) -> Counts:
    held: Counts = np.append(column.holders(), 1)[column.ids[rows]]
    return held


def _equality(column: Column[T], left: Rows, right: Rows) -> Comparison:
    levels = np.where(_same(column, left, right), 2, _both(column, left, right).astype(np.int8))
    return Comparison(levels.astype(np.int8), _held(column, left))


def _by_distinct_values(column: Column[T], left: Rows, right: Rows, grade: Callable[[T, T], int], where: NDArray[np.bool_]) -> Levels:
    """A grade per pair, computed once for each unordered pair of distinct values; 0 outside `where`."""
    first, second = column.ids[left[where]].astype(np.int64), column.ids[right[where]].astype(np.int64)
    low, high = np.minimum(first, second), np.maximum(first, second)
    size = max(len(column.values), 1)
    distinct, position = np.unique(low * size + high, return_inverse=True)
    values = column.values
    grades = np.array([grade(values[code // size], values[code % size]) for code in distinct.tolist()], dtype=np.int8)
    levels = np.zeros(len(left), dtype=np.int8)
    levels[where] = grades[position] if len(grades) else 0
    return levels


def _names(column: Column[PersonName], left: Rows, right: Rows, names: NameComparison) -> Comparison:
    levels = _by_distinct_values(column, left, right, names.level, _both(column, left, right))
    full = _pooled(column, lambda name: name.key)
    short = _pooled(column, lambda name: name.initial_key)
    # A shortened or mistyped form is as rare as the people it may stand for.
    holders = np.where(levels == NameLevel.INITIAL, _most(short, column, left, right), _most(full, column, left, right))
    return Comparison(levels, holders)


def _pooled(column: Column[PersonName], key: Callable[[PersonName], str]) -> Counts:
    """Records whose name has the same key, for each name."""
    keyed = column.mapped(key)
    return keyed.holders()[_positions(column, keyed)] if len(column.values) else np.ones(1, dtype=np.int64)


def _positions(column: Column[T], keyed: Column[str]) -> NDArray[np.int64]:
    positions = np.zeros(len(column.values), dtype=np.int64)
    held = column.ids >= 0
    positions[column.ids[held]] = keyed.ids[held]
    return positions


def _most(counts: Counts, column: Column[PersonName], left: Rows, right: Rows) -> Counts:
    padded = np.append(counts, 1)
    most: Counts = np.maximum(padded[column.ids[left]], padded[column.ids[right]])
    return most


def _shared(column: Column[T], left: Rows, right: Rows, names: Levels) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """By value: held mainly by people of different names; held by people of different names at all."""
    held = _same(column, left, right) & (names != NameLevel.NULL)
    ids, differ = column.ids[left[held]], (names[held] == NameLevel.DISAGREE) | (names[held] == NameLevel.FAMILY)
    different = np.bincount(ids[differ], minlength=len(column.values))
    agreeing = np.bincount(ids[~differ], minlength=len(column.values))
    return different > agreeing, different > 0


def _identifiers(column: Column[str], left: Rows, right: Rows, shared: NDArray[np.bool_]) -> Comparison:
    same = _same(column, left, right)
    levels = _both(column, left, right).astype(np.int8)
    levels[same] = np.where(np.append(shared, False)[column.ids[left[same]]], 2, 3)
    return Comparison(levels, _held(column, left))


def _emails(people: People, left: Rows, right: Rows, shared: NDArray[np.bool_]) -> Comparison:
    email, user = people.email, people.user
    same, both = _same(email, left, right), _both(email, left, right)
    levels = both.astype(np.int8)
    levels[_same(user, left, right)] = 2
    alike = both & ~same & (_same(user, left, right) | _same(people.domain, left, right))
    levels[_by_distinct_values(email, left, right, _is_typo, alike) == 1] = 3
    levels[same] = np.where(np.append(shared, False)[email.ids[left[same]]], 4, 5)
    return Comparison(levels, np.where(levels == 2, _held(user, left), _held(email, left)))


def _is_typo(left: str, right: str) -> int:
    """1 when one slip of the finger tells two addresses apart, in the user part or in the host; a digit is no slip."""
    (left_user, _, left_host), (right_user, _, right_host) = left.partition("@"), right.partition("@")
    if left_user == right_user:
        return int(OSA.distance(left_host, right_host, score_cutoff=1) == 1 and min(len(left_host), len(right_host)) > 7)
    same_digits = [char for char in left_user if char.isdigit()] == [char for char in right_user if char.isdigit()]
    short = min(len(left_user), len(right_user)) < 6
    return int(left_host == right_host and same_digits and not short and OSA.distance(left_user, right_user, score_cutoff=1) == 1)


def _owners(core: Column[str], root: Column[str]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Joined words of names and owner labels of domains in one numbering; -1 and -2 where there is none."""
    known: dict[str, int] = {}

    def numbered(column: Column[str], missing: int) -> NDArray[np.int64]:
        numbers = np.array([*(known.setdefault(value, len(known)) for value in column.values), missing], dtype=np.int64)
        return numbers[column.ids]

    return numbered(core, -1), numbered(root, -2)


def _employers(people: People, left: Rows, right: Rows, threshold: float) -> Comparison:
    core, root = _owners(people.core, people.root)
    same_domain = _same(people.domain, left, right)
    same_root = _same(people.root, left, right)
    same_name = _same(people.core, left, right) | same_root | (core[left] == root[right]) | (root[left] == core[right])
    both = _both(people.company, left, right)
    present = (core >= 0) | (root >= 0)
    levels = (present[left] & present[right]).astype(np.int8)
    rest = both & ~same_domain & ~same_name
    levels[_by_distinct_values(people.company, left, right, _graded(threshold), rest) >= 2] = 2
    levels[same_name], levels[same_domain] = 3, 4
    holders = np.maximum(_organisation_sizes(core, root)[left], _organisation_sizes(core, root)[right])
    return Comparison(levels, holders)


def _organisation_sizes(core: NDArray[np.int64], root: NDArray[np.int64]) -> Counts:
    """For each record: records that name the same owner, by name or by domain, whichever is more."""
    sizes = np.ones(len(core), dtype=np.int64)
    size = int(max(core.max(initial=0), root.max(initial=0))) + 1
    # A record counts once for each owner that it names.
    named = np.bincount(core[core >= 0], minlength=size) + np.bincount(root[(root >= 0) & (root != core)], minlength=size)
    for owners in (core, root):
        sizes = np.where(owners >= 0, np.maximum(sizes, named[np.maximum(owners, 0)]), sizes)
    return sizes


def _graded(threshold: float) -> Callable[[CompanyName, CompanyName], int]:
    """0 or a level of COMPANY_NAME_LEVELS, below `exact`."""

    def grade(left: CompanyName, right: CompanyName) -> int:
        if left.core == right.core:
            return 4
        if company_similarity(left, right) >= threshold:
            return 3
        return 2 if is_acronym(left, right) else 1

    return grade


def _company_names(column: Column[CompanyName], left: Rows, right: Rows, threshold: float) -> Comparison:
    levels = _by_distinct_values(column, left, right, _graded(threshold), _both(column, left, right))
    core = column.mapped(lambda name: name.core)
    return Comparison(levels, np.maximum(_held(core, left), _held(core, right)))


def _domains(companies: Companies, left: Rows, right: Rows, names: Levels) -> Comparison:
    core, root = _owners(companies.core, companies.root)
    domain = companies.domain
    same = _same(domain, left, right)
    levels = _both(domain, left, right).astype(np.int8)
    # The label of one side's domain is the other side's name, or both have it under another top level.
    levels[(core[left] == root[right]) | (root[left] == core[right]) | _same(companies.root, left, right)] = 2
    # A platform or a holding: one domain under mainly different names.
    different = _counted_values(domain, left, same & (names == 1))
    agreeing = _counted_values(domain, left, same & (names > 1))
    levels[same] = np.where(np.append(different > agreeing + 2, False)[domain.ids[left[same]]], 3, 4)
    return Comparison(levels, _held(domain, left))


def _counted_values(column: Column[str], left: Rows, where: NDArray[np.bool_]) -> Counts:
    return np.bincount(column.ids[left[where]], minlength=len(column.values))
