"""Which pairs are worth comparing: records that share a key of some blocking rule, each pair once.

A block larger than its rule's cap is left out whole and reported: its records stay reachable through their other rules.
Whether a block is hot depends on its present size alone, so that increments and a full run agree.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pay_ready.model.resolution import CappedBlock, EntityType
from pay_ready.resolve.features import Column, Companies, Ids, People, T
from pay_ready.resolve.name_comparison import NameComparison, PersonName

Rows = NDArray[np.int64]
PERSON_BLOCKING_RULES = ("email", "email_user", "phone", "name", "company_and_name", "city_and_name")
COMPANY_BLOCKING_RULES = ("domain", "name", "phone", "first_word", "prefix", "acronym")
_PREFIX_LETTERS = 6


@dataclass(frozen=True, slots=True)
class BlockKeys:
    """The keys of one blocking rule: record `rows[i]` holds key `keys[i]`."""

    rule: str
    rows: Rows
    keys: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class CandidatePairs:
    """Pairs of rows with `left < right`, sorted, each once; and the blocks that were left out."""

    left: Rows
    right: Rows
    capped: tuple[CappedBlock, ...]


def candidate_pairs(keys: Sequence[BlockKeys], records: int, max_block_sizes: Mapping[str, int], entity_type: EntityType) -> CandidatePairs:
    """The pairs of all rules together; every rule has its cap in `max_block_sizes` (records)."""
    codes, capped = [np.empty(0, dtype=np.int64)], []
    for each in keys:
        rows, starts, sizes = _blocks(each)
        hot = sizes > max_block_sizes[each.rule]
        if hot.any():
            capped.append(_capped(each.rule, sizes[hot], entity_type))
        codes.append(_pairs_within(rows, starts[~hot], sizes[~hot], records))
    distinct = np.unique(np.concatenate(codes))
    return CandidatePairs(distinct // max(records, 1), distinct % max(records, 1), tuple(capped))


def _blocks(each: BlockKeys) -> tuple[Rows, Rows, Rows]:
    """Rows grouped by key (each row once per key), and start and size of every block."""
    order = np.lexsort((each.rows, each.keys))
    rows, keys = each.rows[order], each.keys[order]
    fresh = np.ones(len(rows), dtype=np.bool_)
    fresh[1:] = (rows[1:] != rows[:-1]) | (keys[1:] != keys[:-1])
    rows, keys = rows[fresh], keys[fresh]
    starts = np.flatnonzero(np.concatenate(([True], keys[1:] != keys[:-1]))) if len(keys) else np.empty(0, dtype=np.int64)
    return rows, starts, np.diff(np.append(starts, len(rows)))


def _pairs_within(rows: Rows, starts: Rows, sizes: Rows, records: int) -> Rows:
    """Every pair of each block as left * records + right; rows ascend within a block."""
    position = np.concatenate([np.empty(0, dtype=np.int64), np.repeat(starts, sizes)])
    ends = np.repeat(starts + sizes, sizes)
    member = position + _counted(sizes)
    partners = ends - member - 1
    left = np.repeat(rows[member], partners)
    right = rows[np.repeat(member, partners) + 1 + _counted(partners)]
    codes: Rows = left * records + right
    return codes


def _counted(lengths: Rows) -> Rows:
    """0, 1, … within each run of the given lengths."""
    ends = np.cumsum(lengths)
    return np.arange(ends[-1] if len(ends) else 0) - np.repeat(ends - lengths, lengths)


def _capped(rule: str, sizes: Rows, entity_type: EntityType) -> CappedBlock:
    pairs = int((sizes * (sizes - 1) // 2).sum())
    return CappedBlock(entity_type=entity_type, rule=rule, blocks=len(sizes), records=int(sizes.sum()), pairs=pairs)


def person_block_keys(people: People, names: NameComparison) -> list[BlockKeys]:
    """The keys of `PERSON_BLOCKING_RULES`."""
    parts = [_name_parts(name, names) for name in people.name.values]
    company_keys = [(people.domain, "d"), (people.core, "n"), (people.root, "n")]
    at_company = ((column, kind, parts) for column, kind in company_keys)
    in_city = [[f"{name.family[0][:4] if name.family else ''}|{name.given[:1]}"] for name in people.name.values]
    return [
        _by_id("email", people.email),
        _by_id("email_user", people.user),
        _by_id("phone", people.phone),
        _by_id("name", people.name.mapped(lambda name: _full_key(name, names))),
        _combined("company_and_name", people.name.ids, at_company),
        _combined("city_and_name", people.name.ids, [(people.city, "c", in_city)]),
    ]


def company_block_keys(companies: Companies) -> list[BlockKeys]:
    """The keys of `COMPANY_BLOCKING_RULES`; a domain's owner label stands beside the joined words of a name."""
    owner = [companies.core, companies.root]
    acronyms = companies.name.mapped(lambda name: name.acronym if len(name.words) > 2 else name.core)
    return [
        _by_id("domain", companies.domain),
        _joined("name", owner),
        _by_id("phone", companies.phone),
        _by_id("first_word", companies.name.mapped(lambda name: name.words[0])),
        _joined("prefix", [column.mapped(lambda text: text[:_PREFIX_LETTERS]) for column in owner]),
        _by_id("acronym", acronyms),
    ]


def _name_parts(name: PersonName, names: NameComparison) -> list[str]:
    """What of a name still agrees when another part is mistyped, shortened or swapped: the head of each word, nicknames folded."""
    given = names.canonical_given(name.given)
    heads = {word[:3] for word in name.family}
    return sorted(heads | ({given if given.startswith("#") else given[:3]} if len(name.given) > 1 else set()))


def _full_key(name: PersonName, names: NameComparison) -> str | None:
    return " ".join(sorted((names.canonical_given(name.given), *name.family))) if name.family else None


def _by_id(rule: str, column: Column[T]) -> BlockKeys:
    rows = np.flatnonzero(column.ids >= 0)
    return BlockKeys(rule, rows, column.ids[rows].astype(np.int64))


def _joined(rule: str, columns: Sequence[Column[str]]) -> BlockKeys:
    """Several columns of the same kind of text, as one rule."""
    known: dict[str, int] = {}
    rows, keys = [], []
    for column in columns:
        numbers = np.array([known.setdefault(value, len(known)) for value in column.values] or [0], dtype=np.int64)
        held = np.flatnonzero(column.ids >= 0)
        rows.append(held)
        keys.append(numbers[column.ids[held]])
    return BlockKeys(rule, np.concatenate(rows), np.concatenate(keys))


def _combined(rule: str, names: Ids, sides: Iterable[tuple[Column[str], str, list[list[str]]]]) -> BlockKeys:
    """A value together with a part of the name; `kind` keeps values of different kinds apart."""
    known: dict[tuple[str, str, str], int] = {}
    rows, keys = [], []
    for column, kind, parts in sides:
        for row in np.flatnonzero((column.ids >= 0) & (names >= 0)).tolist():
            value = column.values[column.ids[row]]
            for part in parts[names[row]]:
                rows.append(row)
                keys.append(known.setdefault((kind, value, part), len(known)))
    return BlockKeys(rule, np.array(rows, dtype=np.int64), np.array(keys, dtype=np.int64))
