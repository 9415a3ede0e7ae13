"""How often something was asked for lately, of far more things than are kept: a count-min sketch that forgets."""

ROWS = 4
MOST = 15  # beyond that, more often says nothing more
SAMPLE_PER_ITEM = 4  # sooner than the 10 usual: what is in demand moves with the news (tests/benchmarks/hot.py, mixed)
_HALF = 32  # bits of a hash that make the first place; the others make the steps from row to row
_HALVED = bytes(count >> 1 for count in range(256))


class FrequencySketch:
    """Counts by hash in [0, 15], never too low before ageing, at times too high.

    Count-min: Cormode and Muthukrishnan, "An Improved Data Stream Summary", J. Algorithms 55 (2005). The ageing, which halves
    every count after `SAMPLE_PER_ITEM` additions an item, is TinyLFU's: Einziger, Friedman and Manes, "TinyLFU: A Highly
    Efficient Cache Admission Policy", ACM TOS 13 (2017). Two halves of one hash make the place in every row: Kirsch and
    Mitzenmacher, "Less Hashing, Same Performance", ESA 2006. Takes 16 to 32 bytes an item: in a narrower one a
    scan fakes demand; no lock of its own.
    """

    def __init__(self, items: int) -> None:
        width = 1 << max(4 * items - 1, 63).bit_length()
        self._mask = width - 1
        self._rows = tuple(bytearray(width) for _ in range(ROWS))
        self._sample = self._to_ageing = SAMPLE_PER_ITEM * max(items, 1)
        self.ages = 0  # how often all was halved

    def add(self, hashed: int) -> None:
        """It was asked for once more. Written out row by row, this takes half the time of a loop."""
        mask, (first, second, third, fourth) = self._mask, self._rows
        step, place = hashed >> _HALF & mask | 1, hashed & mask
        if (count := first[place]) < MOST:
            first[place] = count + 1
        place = place + step & mask
        if (count := second[place]) < MOST:
            second[place] = count + 1
        place = place + step & mask
        if (count := third[place]) < MOST:
            third[place] = count + 1
        place = place + step & mask
        if (count := fourth[place]) < MOST:
            fourth[place] = count + 1
        self.tick()

    def tick(self) -> None:
        """Something was asked for whose count is kept elsewhere."""
        self._to_ageing -= 1
        if not self._to_ageing:
            self._age()

    def raise_to(self, hashed: int, count: int) -> None:
        """Take over a count in [0, 15] that was kept elsewhere."""
        mask = self._mask
        step, place = hashed >> _HALF & mask | 1, hashed & mask
        for row in self._rows:
            row[place] = max(row[place], count)
            place = place + step & mask

    def frequency(self, hashed: int) -> int:
        """How often it was asked for, in [0, 15]."""
        mask = self._mask
        step, place, least = hashed >> _HALF & mask | 1, hashed & mask, MOST
        for row in self._rows:
            least = min(least, row[place])
            place = place + step & mask
        return least

    def _age(self) -> None:
        """What was in demand long ago must not keep out what is in demand now."""
        self._rows = tuple(row.translate(_HALVED) for row in self._rows)
        self._to_ageing = self._sample
        self.ages += 1
