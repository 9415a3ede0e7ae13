"""Person names as words: given, middle and family, and how the names of two records are related."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from pay_ready.resolve.linkage.cleaning import is_one_of, kept_where, matching, replaced, replaced_where, words_of
from pay_ready.resolve.linkage.columns import (
    Column,
    Distinct,
    Ids,
    Keys,
    Mask,
    Rows,
    Texts,
    chance_share,
    column_of,
    key_of,
    mask_of,
    renumbered,
    translated,
)
from pay_ready.resolve.linkage.counts import Counts
from pay_ready.resolve.linkage.words import Relation, Words, flattened, relations, words_from

TITLES = frozenset({
    "mr", "mrs", "ms", "miss", "mx", "dr", "dott", "dra", "prof", "professor", "sir", "dame", "rev", "fr", "hon", "sr", "sra", "mme",
    "mlle", "herr", "frau", "ing", "dipl", "mag", "jr", "ii", "iii", "iv", "phd", "md", "mba", "cpa", "esq", "dds", "jd", "pe", "cfa",
    "msc", "bsc", "baron", "baronet", "lord", "lady", "earl", "viscount", "1st", "2nd", "3rd", "4th", "5th", "6th", "7th", "8th", "9th",
    "10th", "of",
})  # fmt: skip
MERE_TITLES = rf"^(?:(?:{'|'.join(sorted(TITLES))})(?: |$))+$"
# Shares before any record is seen: those of a common name, so that namesakes of a small tenant are not taken for one.
USUAL_GIVEN, USUAL_FAMILY, USUAL_INITIAL = 1e-2, 3e-3, 0.06
# Whole names that say that there is none, or that somebody tried a form; "Null" and "None" may be family names.
NO_NAMES = frozenset({
    "n a", "na", "none", "null", "unknown", "unknown unknown", "undefined", "not provided", "no name", "name", "first last",
    "test", "test test", "test user", "tester", "asdf", "asdf asdf", "qwerty", "xxx", "foo", "foo bar", "anonymous", "nobody",
    "user", "guest", "admin", "demo", "demo user", "customer", "contact", "info", "sales", "support",
})  # fmt: skip
HYPHENS = "-‐‑–"
PARTICLES = "af|al|ap|ben|bin|ibn|da|das|de|del|della|der|den|di|do|dos|du|el|la|le|san|st|ten|ter|van|vom|von|y|zu|zum|zur"


@dataclass(frozen=True, slots=True, kw_only=True)
class Names:
    """The names of all records, as numbers of words; -1 where a part is missing."""

    words: Words
    given: Ids
    family: Ids
    second_family: Ids  # the word before the family name, if it is more than an initial
    middle: Ids  # number of the initial of the second of three words

    def canonical(self) -> Keys:
        """By record: a key of its given name, the same for all its nicknames."""
        return np.append(self.words.canonical, np.int64(-1))[self.given]

    def families(self) -> Keys:
        """By record: a key of its family name."""
        return np.append(self.words.keys, np.int64(-1))[self.family]

    def full_keys(self) -> Keys:
        """By record: a key of given and family name in either order; -1 where one is missing."""
        given, family = self.canonical(), self.families()
        return key_of(np.minimum(given, family), np.maximum(given, family))

    def heads(self, part: Ids) -> Keys:
        """By record: a key of the first three letters of one of its words."""
        return np.append(self.words.heads, np.int64(-1))[part]


def names_of(full: pa.Array, given: pa.Array, family: pa.Array, nicknames: Sequence[frozenset[str]], counts: Counts | None = None) -> Names:
    """Names from what the source tells apart, else from the full name ("Last, First" too).

    Args:
        full, given, family: Strings by record, null where there is none.
        nicknames: Groups of given names that one person may use, folded.
        counts: How common words are; None counts them.
    """
    column = _told_names(full, given, family)
    turned = replaced_where(column.values, r"^\s*([^,]+),\s*([^,]+?)\s*$", r"\2 \1", ",")
    joined = _with_particles(words_of(replaced_where(turned, f"[{HYPHENS}]", "", HYPHENS)))
    names = _parsed(renumbered(column.ids, kept_where(joined, ~is_one_of(joined, NO_NAMES))), nicknames, counts)
    # A family name alone is no given name.
    alone = mask_of(pc.and_(pc.is_valid(family), pc.and_(pc.is_null(given), pc.is_null(full))))
    if not alone.any():
        return names
    last = np.where(names.family >= 0, names.family, names.given)
    return replace(
        names, given=np.where(alone, -1, names.given).astype(np.int32), family=np.where(alone, last, names.family).astype(np.int32)
    )


def _told_names(full: pa.Array, given: pa.Array, family: pa.Array) -> Column:
    """By record given and family name together, else the full name, else the one part that there is; a text may be there twice."""
    both = column_of(pc.binary_join_element_wise(given, family, " ")).mapped(_without_mere_titles)
    missing = np.flatnonzero(both.ids < 0)
    rows = pa.array(missing)
    rest = column_of(pc.coalesce(full.take(rows), given.take(rows), family.take(rows)))
    ids = both.ids.copy()
    ids[missing] = translated(rest.ids, np.arange(len(rest.values), dtype=np.int32) + np.int32(len(both.values)))
    return Column(ids, pa.concat_arrays([both.values, rest.values]))


def _with_particles(texts: Texts) -> Texts:
    """Particles joined to the word after them: "van der berg" is one word."""
    several = rf" ((?:{PARTICLES})+) "
    held = matching(texts, several)
    if not held.any():
        return texts
    found = replaced(replaced(texts.filter(pa.array(held)), rf" ({PARTICLES}) ", r" \1"), several, r" \1")
    return pc.replace_with_mask(texts, pa.array(held), found)


def _without_mere_titles(texts: Texts) -> Texts:
    """ "Sir Baronet" is no name: the full name may say more."""
    return kept_where(texts, ~matching(words_of(texts), MERE_TITLES))


def _parsed(column: Column, nicknames: Sequence[frozenset[str]], known: Counts | None) -> Names:
    row, numbers, texts = flattened(column.values)
    names = len(column.values)
    words = words_from(texts, np.bincount(numbers, minlength=len(texts)), nicknames, known)
    kept = ~is_one_of(texts, TITLES)[numbers] if len(texts) else np.empty(0, dtype=np.bool_)
    row, numbers = row[kept], numbers[kept]
    counts = np.bincount(row, minlength=names)
    starts = np.cumsum(counts) - counts
    padded = np.append(numbers, np.int32(-1))

    def word(position: NDArray[np.int64], where: Mask) -> Ids:
        return np.where(where, padded[np.where(where, position, len(numbers))], -1).astype(np.int32)

    second = word(starts + 1, counts > 2)
    before_last = word(starts + counts - 2, counts > 2)
    initials = np.append(words.initials, np.int32(-1))
    long = np.append(words.lengths, 0)[before_last] > 1
    ids = column.ids

    def by_record(part: Ids) -> Ids:
        return np.append(part, np.int32(-1))[ids]

    return Names(
        words=words,
        given=by_record(word(starts, counts > 0)),
        family=by_record(word(starts + counts - 1, counts > 1)),
        second_family=by_record(np.where(long, before_last, -1).astype(np.int32)),
        middle=by_record(initials[second].astype(np.int32)),
    )


@dataclass(frozen=True, slots=True)
class ComparedNames:
    """How the names of each pair are related, the parts taken in the order in which they agree best."""

    given: NDArray[np.int8]
    family: NDArray[np.int8]
    middle: NDArray[np.int8]  # 0 unknown, 1 another, 2 the same
    given_share: NDArray[np.float64]  # share of records that hold the (more frequent) given name
    family_share: NDArray[np.float64]

    @property
    def differ(self) -> Mask:
        """Neither part says that it is one person."""
        disagree: Mask = (self.given <= Relation.DIFFER) & (self.family <= Relation.DIFFER)
        return disagree

    @property
    def some_part(self) -> Mask:
        """A part of the name agrees."""
        agree: Mask = (self.given >= Relation.SIMILAR) | (self.family >= Relation.SIMILAR)
        return agree


@dataclass(frozen=True, slots=True)
class NameFrequencies:
    """How common each word is as given and as family name, and each initial: shares of the records that have one."""

    given: NDArray[np.float64]
    family: NDArray[np.float64]
    initial: NDArray[np.float64]


def name_frequencies(names: Names, counts: Counts | None = None) -> NameFrequencies:
    """Shares among all records; one more holder than there are for a word that nobody has."""
    counted = counts or Counts()
    size = len(names.words.texts)
    given, family = names.given[names.given >= 0], names.family[names.family >= 0]
    initials = names.words.initials[given] if size else given

    def shares(name: str, values: Distinct, numbers: Ids, usual: float) -> NDArray[np.float64]:
        held, total = counted.of(name, values, np.bincount(numbers, minlength=len(values.texts)), usual=1, total=len(numbers))
        return chance_share(np.append(held, 1) - 1, total, usual)

    return NameFrequencies(
        shares("name.given", names.words.distinct, given, USUAL_GIVEN),
        shares("name.family", names.words.distinct, family, USUAL_FAMILY),
        shares("name.initial", Distinct(names.words.letters), initials, USUAL_INITIAL),
    )


def compare_names(names: Names, frequencies: NameFrequencies, left: Rows, right: Rows, similar_from: float) -> ComparedNames:
    """Relations of given and family name; crosswise where the parts only agree so ("Smith John")."""
    words = names.words
    left_given, right_given, left_family, right_family = names.given[left], names.given[right], names.family[left], names.family[right]
    given = relations(words, left_given, right_given, similar_from)
    family = relations(words, left_family, right_family, similar_from)
    # A word is as common as in its more common place: that "Liu Wei" is written "Wei Liu" makes it no rarer.
    as_either = np.maximum(frequencies.given, frequencies.family)
    given_share = np.maximum(as_either[left_given], as_either[right_given])
    family_share = np.maximum(as_either[left_family], as_either[right_family])
    crossed = np.flatnonzero((given <= Relation.DIFFER) & (family <= Relation.DIFFER))
    first = relations(words, left_given[crossed], right_family[crossed], similar_from)
    second = relations(words, left_family[crossed], right_given[crossed], similar_from)
    # Initials do not show an order.
    turned = ((first >= Relation.SIMILAR) & (second >= Relation.INITIAL)) | ((first >= Relation.INITIAL) & (second >= Relation.SIMILAR))
    at, one, other = crossed[turned], first[turned], second[turned]
    one_share = np.maximum(as_either[left_given[at]], as_either[right_family[at]])
    other_share = np.maximum(as_either[left_family[at]], as_either[right_given[at]])
    # An initial that crosses is the given name's; which of two words is the family name no one can tell, and nothing hangs on it.
    swap = other == Relation.INITIAL
    with_letter = left_given.copy()
    with_letter[at[swap]] = right_given[at[swap]]
    given[at], family[at] = np.where(swap, other, one), np.where(swap, one, other)
    given_share[at], family_share[at] = np.where(swap, other_share, one_share), np.where(swap, one_share, other_share)
    _cross_single(names, frequencies, (given, family), (given_share, family_share), (left, right), similar_from)
    initial = given == Relation.INITIAL
    letters = words.initials[with_letter[initial]] if initial.any() else np.empty(0, dtype=np.int32)
    given_share[initial] = frequencies.initial[letters]
    _join_compounds(names, family, left, right)
    middle = ((names.middle[left] >= 0) & (names.middle[right] >= 0)).astype(np.int8)
    middle[(middle == 1) & (names.middle[left] == names.middle[right])] = 2
    return ComparedNames(given, family, middle, given_share, family_share)


def _cross_single(
    names: Names,
    frequencies: NameFrequencies,
    relation: tuple[NDArray[np.int8], NDArray[np.int8]],
    shares: tuple[NDArray[np.float64], NDArray[np.float64]],
    pair: tuple[Rows, Rows],
    similar_from: float,
) -> None:
    """A single word that is the other part of the other's name ("Reuben", "Davies Reuben"): that part agrees, the rest is unknown."""
    given, family = relation
    as_either = np.maximum(frequencies.given, frequencies.family)
    for one, other in (pair, pair[::-1]):
        for part, counterpart, into in ((names.given, names.family, 0), (names.family, names.given, 1)):
            missing = names.family if into == 0 else names.given
            single = (
                np.flatnonzero(((relation[into] == Relation.DIFFER) | (relation[into] == Relation.OTHER)) & (missing[one] < 0))
                if into == 0
                else np.flatnonzero((family <= Relation.DIFFER) & (given <= Relation.DIFFER) & (missing[one] < 0) & (part[one] >= 0))
            )
            if not len(single):
                continue
            found = relations(names.words, part[one[single]], counterpart[other[single]], similar_from)
            agree = found >= Relation.TYPO
            at = single[agree]
            relation[into][at], relation[1 - into][at] = found[agree], Relation.NULL
            shares[into][at] = np.maximum(as_either[part[one[at]]], as_either[counterpart[other[at]]])


def _join_compounds(names: Names, family: NDArray[np.int8], left: Rows, right: Rows) -> None:
    """One of two family names is the other record's ("Garcia Lopez" and "Garcia"): similar."""
    seconds = (names.second_family[left], names.second_family[right])
    shared = (seconds[0] >= 0) & (seconds[0] == names.family[right]) | (seconds[1] >= 0) & (seconds[1] == names.family[left])
    family[shared & (family <= Relation.DIFFER) & (family > Relation.NULL)] = Relation.SIMILAR
