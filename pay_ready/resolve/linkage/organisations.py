"""Names of companies as words without legal forms, and who owns a name or a domain."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from rapidfuzz import fuzz, process
from rapidfuzz.distance import Prefix

from pay_ready.resolve.company_words import ABBREVIATIONS, LEGAL_FORMS_OF_ONE_WORD
from pay_ready.resolve.linkage.cleaning import ends_of, is_one_of, replaced, replaced_where, words_of
from pay_ready.resolve.linkage.columns import (
    Column,
    Ids,
    Keys,
    Mask,
    Rows,
    Texts,
    by_distinct_pair,
    column_of,
    lengths,
    renumbered,
    texts_at,
    translated,
    with_none,
)
from pay_ready.resolve.linkage.counts import Counts
from pay_ready.resolve.linkage.words import flattened

LETTERS_WITH_DOTS, LETTERS_JOINED = r"\b(\w)\.(\w)\.(?:(\w)\.)?(?:(\w)\.)?", r"\b(\w)/(\w)\b"
SHORTEST_HEAD = 5
SHORTEST_ACRONYM, LONGEST_ACRONYM = 3, 8


@dataclass(frozen=True, slots=True, kw_only=True)
class OrganisationNames:
    """By record a name: `core` is its words joined, as domains join them; `words` the same with blanks."""

    words: Column
    core: Column
    core_of: Ids  # by number of `words`
    letters: NDArray[np.int32]  # by core: how many it has
    acronyms: Ids  # by number of `words`: the core that its initials are, -1 if nobody is called so


def organisation_names(array: pa.Array) -> OrganisationNames:
    """Names without legal forms and articles, abbreviations spelled out, accents folded."""
    raw = column_of(array)
    dotless = replaced_where(raw.values, LETTERS_WITH_DOTS, r"\1\2\3\4", ".")
    texts = words_of(replaced_where(dotless, LETTERS_JOINED, r"\1\2", "/"))
    row, numbers, words = flattened(texts)
    legal = is_one_of(words, LEGAL_FORMS_OF_ONE_WORD)[numbers] if len(words) else np.empty(0, dtype=np.bool_)
    kept = ~legal | (np.bincount(row[~legal], minlength=len(texts)) == 0)[row]
    spelled = pa.array([ABBREVIATIONS.get(word, word) for word in words.to_pylist()], pa.string())
    named = kept & (lengths(spelled)[numbers] > 0) if len(words) else kept
    offsets = np.concatenate(([0], np.cumsum(np.bincount(row[named], minlength=len(texts))))).astype(np.int32)
    lists = pa.ListArray.from_arrays(pa.array(offsets), spelled.take(pa.array(numbers[named])))
    joined = renumbered(raw.ids, pc.binary_join(lists, " "))
    cores = renumbered(np.arange(len(joined.values), dtype=np.int32), replaced(joined.values, " ", ""))
    return OrganisationNames(
        words=joined, core=Column(translated(joined.ids, cores.ids), cores.values), core_of=cores.ids, letters=lengths(cores.values),
        acronyms=_acronyms(joined, cores),
    )  # fmt: skip


def _acronyms(words: Column, cores: Column) -> Ids:
    number_of = {text: number for number, text in enumerate(cores.values.to_pylist())}
    found = np.full(len(words.values), -1, dtype=np.int32)
    for number, text in enumerate(words.values.to_pylist()):
        if text.count(" ") >= SHORTEST_ACRONYM - 1:
            found[number] = number_of.get("".join(part[0] for part in text.split()), -1)
    return found


def acronyms_or_short(texts: Texts) -> Texts:
    """The initials of names of three words or more; a single word as short as initials are; null for other names."""
    found: list[str | None] = []
    for text in texts.to_pylist():
        parts = text.split()
        if len(parts) >= SHORTEST_ACRONYM:
            found.append("".join(part[0] for part in parts))
        else:
            found.append(text if len(parts) == 1 and SHORTEST_ACRONYM <= len(text) <= LONGEST_ACRONYM else None)
    return pa.array(found, pa.string())


def similar_organisations(names: OrganisationNames, left: Rows, right: Rows, similar_from: float) -> NDArray[np.int8]:
    """For pairs of records that have names: 0 other names, 1 an acronym or the head of the other, 2 alike, 3 the same."""
    texts, letters = names.core.values, names.letters

    def graded(one: Ids, other: Ids) -> NDArray[np.int8]:
        first, second = names.core_of[one], names.core_of[other]
        one_text, other_text = texts_at(texts, first), texts_at(texts, second)
        shorter = np.minimum(letters[first], letters[second])
        ratios = process.cpdist(one_text, other_text, scorer=fuzz.ratio, score_cutoff=similar_from, dtype=np.float32)
        acronym = (names.acronyms[one] == second) | (names.acronyms[other] == first)
        heads = (shorter >= SHORTEST_HEAD) & (process.cpdist(one_text, other_text, scorer=Prefix.similarity, dtype=np.int32) == shorter)
        found = np.where(acronym | heads, 1, 0)
        found[ratios >= similar_from] = 2
        found[first == second] = 3
        return found.astype(np.int8)

    words = names.words.ids
    return by_distinct_pair(words[left], words[right], graded).astype(np.int8) if len(left) else np.empty(0, dtype=np.int8)


@dataclass(frozen=True, slots=True, kw_only=True)
class Owners:
    """By record the owner that its company name, its domain and its address's domain name, in one numbering; -1 for none."""

    by_name: Ids
    by_domain: Ids
    by_address: Ids
    keys: Keys  # by owner: a number that is the same whatever other owners there are
    is_known: Mask  # by record: it names an owner at all
    sizes: NDArray[np.int64]  # by record: records that name its most common owner; 1 without one
    total: int  # records altogether

    def same(self, left: Rows, right: Rows) -> Mask:
        """Whether two records name one owner, one by its name and the other by its domain included."""
        sides = (self.by_name, self.by_domain, self.by_address)
        others = [side[right] for side in sides]
        same = np.zeros(len(left), dtype=np.bool_)
        for named in (side[left] for side in sides):
            said = named == others[0]
            for other in others[1:]:
                said |= named == other
            same |= said & (named >= 0)
        return same

    def key_columns(self) -> list[Keys]:
        """By record a key of the owner that its name, its domain and its address name; -1 for none."""
        keys = np.append(self.keys, np.int64(-1))
        return [keys[side] for side in (self.by_name, self.by_domain, self.by_address)]


def owners_of(names: Column, domains: Column, addresses: Ids, address_domains: tuple[str, ...], counts: Counts | None = None) -> Owners:
    """Owners of the cores of names, of domains, and of the domains of addresses (`addresses` are positions in `address_domains`)."""
    labels_of_domains, _ = ends_of(pa.concat_arrays([domains.values, pa.array(address_domains, pa.string())]), ".")
    owners = column_of(pa.concat_arrays([names.values, labels_of_domains]))
    of_names, of_domains, of_addresses = np.split(owners.ids, [len(names.values), len(names.values) + len(domains.values)])
    by_name, by_domain = translated(names.ids, of_names), translated(domains.ids, of_domains)
    by_address, known = translated(addresses, of_addresses), len(owners.values)
    named = np.zeros(known, dtype=np.int64)
    # A record counts once for each owner that it names.
    named += np.bincount(by_name[by_name >= 0], minlength=known)
    named += np.bincount(by_domain[(by_domain >= 0) & (by_domain != by_name)], minlength=known)
    named += np.bincount(by_address[(by_address >= 0) & (by_address != by_name) & (by_address != by_domain)], minlength=known)
    labels = owners.distinct
    records, total = (counts or Counts()).of("owner", labels, named, usual=1, total=len(names.ids))
    sides, known_records = (by_name, by_domain, by_address), with_none(records, 1)
    return Owners(
        by_name=by_name, by_domain=by_domain, by_address=by_address, keys=labels.keys, total=total,
        is_known=np.logical_or.reduce([side >= 0 for side in sides]), sizes=np.maximum.reduce([known_records[side] for side in sides]),
    )  # fmt: skip
