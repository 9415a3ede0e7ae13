"""Comparisons of plain values: categories, dates, identifiers and postcodes."""

import re
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from rapidfuzz import process
from rapidfuzz.distance import OSA

from pay_ready.resolve.linkage.cleaning import is_one_of, kept_where, replaced, words_of
from pay_ready.resolve.linkage.columns import Column, Ids, Keys, Rows, by_distinct_pair, column_of
from pay_ready.resolve.linkage.counts import Counts
from pay_ready.resolve.linkage.evidence import Compared, Comparison, Shares, equality

BLANKS = frozenset({"n a", "na", "none", "null", "unknown", "undefined", "nan"})


# What is believed of a value's share before any record is seen.
USUAL_CATEGORY, _USUAL_DATE, _USUAL_IDENTIFIER, _USUAL_POSTCODE, _USUAL_DISTRICT = 0.02, 1e-4, 1e-6, 5e-4, 0.01


class Values(Protocol):
    """A field that is compared by itself."""

    @property
    def comparison(self) -> Comparison: ...

    @property
    def column(self) -> Column: ...

    def compare(self, left: Rows, right: Rows) -> Compared:
        """Levels and shares of the pairs."""
        ...

    def block_keys(self) -> list[Keys]:
        """By record, keys of which pairs worth comparing share one."""
        ...


def cleaned_column(array: pa.Array) -> Column:
    def cleaned(texts: pa.Array) -> pa.Array:
        return kept_where(texts, ~is_one_of(texts, BLANKS))

    return column_of(array).mapped(lambda texts: cleaned(words_of(texts)))


@dataclass(frozen=True, slots=True)
class Category:
    """A value that agrees or does not: a city, a title, a gender."""

    name: str
    column: Column
    common: Shares  # by value
    matched: float = 0.6

    @property
    def comparison(self) -> Comparison:
        return category_comparison(self.name, self.matched)

    def compare(self, left: Rows, right: Rows) -> Compared:
        base = equality(self.column, left, right, self.common)
        levels = base.levels.copy()
        levels[base.levels == 2] = 3
        rest = np.flatnonzero(base.levels == 1)
        if not len(rest):
            return Compared(levels, base.shares)
        ids, texts, shares = self.column.ids, self.column.values.to_pylist(), base.shares.copy()

        def graded(first: Ids, second: Ids) -> NDArray[np.bool_]:
            one, other = [texts[i] for i in first.tolist()], [texts[i] for i in second.tolist()]
            slips = process.cpdist(one, other, scorer=OSA.distance, score_cutoff=2, dtype=np.int32)
            short = np.array([min(len(a), len(b)) for a, b in zip(one, other, strict=True)], dtype=np.int32)
            near: NDArray[np.bool_] = ((slips == 1) & (short >= 4)) | ((slips == 2) & (short >= 7))
            return near

        close = rest[by_distinct_pair(ids[left[rest]], ids[right[rest]], graded).astype(np.bool_)]
        levels[close] = 2
        shares[close] = np.maximum(self.common[ids[left[close]]], self.common[ids[right[close]]])
        return Compared(levels, shares)

    def block_keys(self) -> list[Keys]:
        return [self.column.keys()]


def category_comparison(name: str, matched: float = 0.6) -> Comparison:
    """How categories are compared; `matched` is the share of equal ones among matches that is believed before any is seen."""
    return Comparison(
        name=name,
        levels=("null", "differ", "close", "same"),
        matches=(0.0, 0.95 - matched, 0.05, matched),
        chances=(0.0, 0.9695, 0.0005, 0.03),
        by_value=frozenset({"same"}),
        by_rarity=frozenset({"close"}),
        prior_strength=1.0,
        circumstance=True,
    )


def category_of(name: str, array: pa.Array, matched: float = 0.6, counts: Counts | None = None) -> Category:
    """A category from any column."""
    return category_from(name, cleaned_column(array), matched, counts)


def category_from(name: str, column: Column, matched: float = 0.6, counts: Counts | None = None) -> Category:
    """A category from a column of folded texts."""
    return Category(name, column, (counts or Counts()).shares(f"value.{name}", column, USUAL_CATEGORY), matched)


@dataclass(frozen=True, slots=True)
class Dates:
    """Days such as a date of birth; `column` holds them as eight digits."""

    name: str
    column: Column
    common: Shares

    @property
    def comparison(self) -> Comparison:
        return Comparison(
            name=self.name,
            levels=("null", "differ", "decade", "year", "close", "same"),
            matches=(0.0, 0.05, 0.03, 0.04, 0.13, 0.75),
            chances=(0.0, 0.72, 0.22, 0.035, 0.0235, 0.0015),
            by_value=frozenset({"same"}),
            contradicts=True,
        )

    def compare(self, left: Rows, right: Rows) -> Compared:
        base = equality(self.column, left, right, self.common)
        levels = base.levels.copy()
        levels[base.levels == 2] = 5
        rest = np.flatnonzero(base.levels == 1)
        if len(rest):
            ids = self.column.ids
            levels[rest] = by_distinct_pair(ids[left[rest]], ids[right[rest]], self._graded)
        return Compared(levels, base.shares)

    def _graded(self, left: Ids, right: Ids) -> NDArray[np.int8]:
        texts = self.column.values.to_pylist()
        first, second = [texts[i] for i in left.tolist()], [texts[i] for i in right.tolist()]
        slips = process.cpdist(first, second, scorer=OSA.distance, score_cutoff=1, dtype=np.int32)
        grades = np.ones(len(left), dtype=np.int8)
        pairs = list(zip(first, second, strict=True))
        year = np.array([a[:4] == b[:4] for a, b in pairs], dtype=np.bool_)
        month_or_day = np.array([a[4:6] == b[4:6] or a[6:] == b[6:] for a, b in pairs], dtype=np.bool_)
        turned = np.array([a[4:6] == b[6:] and a[6:] == b[4:6] for a, b in pairs], dtype=np.bool_)
        days = np.array([_ordinal(text) for text in texts], dtype=np.int64)
        apart = np.abs(days[left] - days[right])
        grades[apart <= 3_653] = 2
        grades[year | (apart <= 366)] = 3
        grades[(slips == 1) | (year & (turned | month_or_day)) | (apart <= 31)] = 4
        return grades

    def block_keys(self) -> list[Keys]:
        return [self.column.keys()]


def _ordinal(digits: str) -> int:
    """Days, good to a few, of a date that need not exist (1990-02-31)."""
    return int(digits[:4]) * 365 + int(digits[:4]) // 4 + (int(digits[4:6]) - 1) * 30 + int(digits[4:6]) // 2 + int(digits[6:])


_DATE = re.compile(r"^\s*(\d{4})\D?(\d{1,2})\D?(\d{1,2})(?:[T ].*)?\s*$|^\s*(\d{1,2})[./-](\d{1,2})[./-](\d{4})\s*$")


def day_digits(text: str | None) -> str | None:
    """The eight digits of "1971-06-24", "19710624", "24.06.1971" or "06/24/1971"; None for what is no date.

    Which of two numbers before the year is the day is told by their size, else the day is first.
    """
    found = _DATE.match(text or "")
    if not found:
        return None
    if found[1]:
        year, month, day = found[1], int(found[2]), int(found[3])
    else:
        year, day, month = found[6], int(found[4]), int(found[5])
        if month > 12:
            month, day = day, month
    return f"{year}{month:02d}{day:02d}"


def dates_of(name: str, array: pa.Array, counts: Counts | None = None) -> Dates:
    """Dates from texts of many forms, or from an Arrow date column."""
    column = column_of(array).mapped(lambda texts: pa.array([day_digits(text) for text in texts.to_pylist()], pa.string()))
    return Dates(name, column, (counts or Counts()).shares(f"value.{name}", column, _USUAL_DATE))


@dataclass(frozen=True, slots=True)
class Identifiers:
    """Numbers that are given to one person or company: tax, social security, registration."""

    name: str
    column: Column
    common: Shares

    @property
    def comparison(self) -> Comparison:
        return Comparison(
            name=self.name,
            levels=("null", "differ", "close", "same"),
            matches=(0.0, 0.05, 0.1, 0.85),
            chances=(0.0, 0.998, 0.0015, 0.0005),
            by_value=frozenset({"same"}),
            contradicts=True,
        )

    def compare(self, left: Rows, right: Rows) -> Compared:
        base = equality(self.column, left, right, self.common)
        levels = base.levels.copy()
        levels[base.levels == 2] = 3
        rest = np.flatnonzero(base.levels == 1)
        if len(rest):
            ids, texts = self.column.ids, self.column.values.to_pylist()

            def graded(first: Ids, second: Ids) -> NDArray[np.int8]:
                one, other = [texts[i] for i in first.tolist()], [texts[i] for i in second.tolist()]
                slips = process.cpdist(one, other, scorer=OSA.distance, score_cutoff=1, dtype=np.int32)
                return np.where(slips == 1, 2, 1).astype(np.int8)

            levels[rest] = by_distinct_pair(ids[left[rest]], ids[right[rest]], graded)
        return Compared(levels, base.shares)

    def block_keys(self) -> list[Keys]:
        return [self.column.keys()]


def identifiers_of(name: str, array: pa.Array, counts: Counts | None = None) -> Identifiers:
    """Identifiers without blanks and signs; "123456" and other plain counts are kept: their holders tell that they say nothing."""
    column = cleaned_column(array).mapped(lambda texts: replaced(texts, " ", ""))
    return Identifiers(name, column, (counts or Counts()).shares(f"value.{name}", column, _USUAL_IDENTIFIER))


@dataclass(frozen=True, slots=True)
class Postcodes:
    """Postal codes: the same, one slip apart, or of one district."""

    name: str
    column: Column
    districts: Column
    common: Shares
    common_districts: Shares

    @property
    def comparison(self) -> Comparison:
        return Comparison(
            name=self.name,
            levels=("null", "differ", "district", "close", "same"),
            matches=(0.0, 0.2, 0.08, 0.07, 0.65),
            chances=(0.0, 0.93, 0.06, 0.007, 0.003),
            by_value=frozenset({"same"}),
            by_rarity=frozenset({"district"}),
            circumstance=True,
        )

    def compare(self, left: Rows, right: Rows) -> Compared:
        base = equality(self.column, left, right, self.common)
        levels = base.levels.copy()
        levels[base.levels == 2] = 4
        rest = np.flatnonzero(base.levels == 1)
        if len(rest):
            ids, texts = self.column.ids, self.column.values.to_pylist()

            def graded(first: Ids, second: Ids) -> NDArray[np.int8]:
                one, other = [texts[i] for i in first.tolist()], [texts[i] for i in second.tolist()]
                slips = process.cpdist(one, other, scorer=OSA.distance, score_cutoff=1, dtype=np.int32)
                return np.where(slips == 1, 3, 1).astype(np.int8)

            levels[rest] = by_distinct_pair(ids[left[rest]], ids[right[rest]], graded)
            near = self.districts.ids
            levels[rest[(levels[rest] == 1) & (near[left[rest]] == near[right[rest]])]] = 2
        shares = base.shares.copy()
        near_pairs = levels == 2
        shares[near_pairs] = self.common_districts[self.districts.ids[left[near_pairs]]]
        return Compared(levels, shares)

    def block_keys(self) -> list[Keys]:
        return [self.column.keys()]


def postcodes_of(name: str, array: pa.Array, counts: Counts | None = None) -> Postcodes:
    """Postcodes without blanks; the district is the part before the blank, or all but the last two signs."""
    raw = column_of(array).mapped(words_of)
    column = raw.mapped(lambda texts: replaced(texts, " ", ""))
    districts = raw.mapped(lambda texts: replaced(replaced(texts, r"^(\S+) .*$", r"\1"), r"^(\w{3,})\w\w$", r"\1"))
    counted = counts or Counts()
    common = counted.shares(f"value.{name}", column, _USUAL_POSTCODE)
    return Postcodes(name, column, districts, common, counted.shares(f"district.{name}", districts, _USUAL_DISTRICT))
