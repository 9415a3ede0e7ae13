"""How common single values are by a model's tables: what `Counts` says of columns, each value looked up when it is asked for."""

from bisect import bisect_left
from collections.abc import Mapping

from pay_ready.resolve.linkage.columns import BELIEVED_RECORDS, hash_of
from pay_ready.resolve.linkage.counts import CountTable


class PlainCounts:
    """A model's counts. Hashes are kept as long as this is: make one for the records of one decision."""

    def __init__(self, tables: Mapping[str, CountTable]) -> None:
        self._tables = tables
        self._hashes: dict[str, int] = {}
        self._found: dict[tuple[str, str], int] = {}

    def key(self, text: str) -> int:
        """`columns.key_numbers` of a text."""
        return self._hash(text) >> 1

    def count(self, table: str, text: str) -> int:
        """How many hold a value; 1 where nothing was counted."""
        asked = (table, text)
        if (found := self._found.get(asked)) is None:
            self._found[asked] = found = self._looked_up(table, text)
        return found

    def total(self, table: str) -> int:
        """What the counts of a table are shares of."""
        known = self._tables.get(table)
        return 0 if known is None else known.total

    def share(self, table: str, text: str | None, usual: float) -> float:
        """How likely another record holds a value by chance (`columns.chance_share`)."""
        others = 0 if text is None else self.count(table, text) - 1
        return chance_share(others, self.total(table), usual)

    def _looked_up(self, table: str, text: str) -> int:
        known = self._tables.get(table)
        if known is None:
            return 1
        keys, wanted = known.keys.data, self._hash(text)
        at = bisect_left(keys, wanted)
        return int(known.counts[at]) if at < len(keys) and keys[at] == wanted else known.usual

    def _hash(self, text: str) -> int:
        if (found := self._hashes.get(text)) is None:
            self._hashes[text] = found = hash_of(text.encode())
        return found


def chance_share(others: int, all_records: int, usual: float, believed: int = BELIEVED_RECORDS) -> float:
    """`columns.chance_share` of one value."""
    return (max(others, 0) + believed * usual) / (max(all_records, 0) + believed)
