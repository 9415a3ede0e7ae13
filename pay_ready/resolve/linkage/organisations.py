"""Names of companies as words without legal forms, and who owns a name or a domain."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from rapidfuzz import fuzz, process

from pay_ready.resolve.company_words import ABBREVIATIONS, LEGAL_FORMS_OF_ONE_WORD
from pay_ready.resolve.linkage.cleaning import is_one_of, replaced, replaced_where, words_of
from pay_ready.resolve.linkage.columns import (
    Column,
    Distinct,
    Ids,
    Keys,
    Texts,
    by_distinct_pair,
    column_of,
    lengths,
    renumbered,
    texts_at,
    with_none,
)
from pay_ready.resolve.linkage.counts import Counts
from pay_ready.resolve.linkage.words import flattened

_SHORTEST_HEAD = 5
_SHORTEST_ACRONYM, _LONGEST_ACRONYM = 3, 8


@dataclass(frozen=True, slots=True, kw_only=True)
class OrganisationNames:
    """By record a name: `core` is its words joined, as domains join them; `words` the same with blanks."""

    words: Column
    core: Column
    acronyms: Ids  # by core: number of the core that its initials are, -1 if nobody is called so


def organisation_names(array: pa.Array) -> OrganisationNames:
    """Names without legal forms and articles, abbreviations spelled out, accents folded."""
    raw = column_of(array)
    dotless = replaced_where(raw.values, r"\b(\w)\.(\w)\.(?:(\w)\.)?(?:(\w)\.)?", r"\1\2\3\4", ".")
    texts = words_of(replaced_where(dotless, r"\b(\w)/(\w)\b", r"\1\2", "/"))
    row, numbers, words = flattened(texts)
    legal = is_one_of(words, LEGAL_FORMS_OF_ONE_WORD)[numbers] if len(words) else np.empty(0, dtype=np.bool_)
    kept = ~legal | (np.bincount(row[~legal], minlength=len(texts)) == 0)[row]
    spelled = pa.array([ABBREVIATIONS.get(word, word) for word in words.to_pylist()], pa.string())
    said = lengths(spelled)[numbers] > 0 if len(words) else kept
    named = kept & (said | (np.bincount(row[kept & said], minlength=len(texts)) == 0)[row])
    offsets = np.concatenate(([0], np.cumsum(np.bincount(row[named], minlength=len(texts))))).astype(np.int32)
    lists = pa.ListArray.from_arrays(pa.array(offsets), spelled.take(pa.array(numbers[named])))
    joined = renumbered(raw.ids, pc.binary_join(lists, " "))
    core = joined.mapped(lambda values: replaced(values, " ", ""))
    return OrganisationNames(words=joined, core=core, acronyms=_acronyms(joined, core))


def _acronyms(words: Column, core: Column) -> Ids:
    number_of = {text: number for number, text in enumerate(core.values.to_pylist())}
    found = np.full(len(core.values), -1, dtype=np.int32)
    for text in words.values.to_pylist():
        parts = text.split()
        if len(parts) >= _SHORTEST_ACRONYM:
            acronym = number_of.get("".join(part[0] for part in parts), -1)
            if acronym >= 0:
                found[number_of["".join(parts)]] = acronym
    return found


def acronyms_or_short(texts: Texts) -> Texts:
    """The initials of names of three words or more; a single word as short as initials are; null for other names."""
    found: list[str | None] = []
    for text in texts.to_pylist():
        parts = text.split()
        if len(parts) >= _SHORTEST_ACRONYM:
            found.append("".join(part[0] for part in parts))
        else:
            found.append(text if len(parts) == 1 and _SHORTEST_ACRONYM <= len(text) <= _LONGEST_ACRONYM else None)
    return pa.array(found, pa.string())


def similar_organisations(names: OrganisationNames, left: Ids, right: Ids, similar_from: float) -> NDArray[np.int8]:
    """For pairs of core numbers (>= 0): 0 other names, 1 an acronym or the head of the other, 2 alike, 3 the same."""
    texts = names.core.values

    def graded(first: Ids, second: Ids) -> NDArray[np.int8]:
        one, other = texts_at(texts, first), texts_at(texts, second)
        ratios = process.cpdist(one, other, scorer=fuzz.ratio, score_cutoff=similar_from, dtype=np.float32)
        acronym = (names.acronyms[first] == second) | (names.acronyms[second] == first)
        heads = np.array(
            [
                a.startswith(b) or b.startswith(a) if min(len(a), len(b)) >= _SHORTEST_HEAD else False
                for a, b in zip(one, other, strict=True)
            ],
            dtype=np.bool_,
        )
        found = np.where(acronym | heads, 1, 0)
        found[ratios >= similar_from] = 2
        found[first == second] = 3
        return found.astype(np.int8)

    return by_distinct_pair(left, right, len(texts), graded).astype(np.int8) if len(left) else np.empty(0, dtype=np.int8)


@dataclass(frozen=True, slots=True, kw_only=True)
class Owners:
    """By record the owner that its company name, its domain and its address's domain name, in one numbering; -1 for none."""

    by_name: Ids
    by_domain: Ids
    by_address: Ids
    keys: Keys  # by owner: a number that is the same whatever other owners there are
    records: NDArray[np.int64]  # by owner: records that name it; 1 without one
    total: int  # records altogether

    def same(self, left: NDArray[np.int64], right: NDArray[np.int64]) -> NDArray[np.bool_]:
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

    def known(self, rows: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Whether a record names an owner at all."""
        known: NDArray[np.bool_] = (self.by_name[rows] >= 0) | (self.by_domain[rows] >= 0) | (self.by_address[rows] >= 0)
        return known

    def size(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Records that name a record's most common owner."""
        size: NDArray[np.int64] = np.maximum.reduce([self.records[side[rows]] for side in (self.by_name, self.by_domain, self.by_address)])
        return size


def owners_of(names: Column, domains: Column, addresses: Ids, address_domains: tuple[str, ...], counts: Counts | None = None) -> Owners:
    """Owners of the cores of names, of domains, and of the domains of addresses (`addresses` are positions in `address_domains`)."""
    known: dict[str, int] = {}

    def numbered(texts: list[str], ids: Ids) -> Ids:
        numbers = np.array([*(known.setdefault(text, len(known)) for text in texts), -1], dtype=np.int32)
        return numbers[ids]

    by_name = numbered(names.values.to_pylist(), names.ids)
    by_domain = numbered([text.partition(".")[0] for text in domains.values.to_pylist()], domains.ids)
    by_address = numbered([text.partition(".")[0] for text in address_domains], addresses)
    named = np.zeros(len(known), dtype=np.int64)
    # A record counts once for each owner that it names.
    named += np.bincount(by_name[by_name >= 0], minlength=len(known))
    named += np.bincount(by_domain[(by_domain >= 0) & (by_domain != by_name)], minlength=len(known))
    named += np.bincount(by_address[(by_address >= 0) & (by_address != by_name) & (by_address != by_domain)], minlength=len(known))
    labels = Distinct(pa.array(list(known), pa.string()))
    records, total = (counts or Counts()).of("owner", labels, named, usual=1, total=len(names.ids))
    return Owners(
        by_name=by_name, by_domain=by_domain, by_address=by_address, keys=labels.keys, records=with_none(records, 1), total=total
    )  # fmt: skip
