"""Which streams bring nothing but new keys: what the flushes of a run found tells what the next one is likely to be."""

from collections.abc import Iterable


class Novelty:
    """What the flushes of one run found, by stream.

    After a flush of new keys alone the next one is believed to be another. A belief that was wrong costs the work of a flush,
    so after each of those it takes twice as many flushes to come to believe again.
    """

    def __init__(self) -> None:
        self._in_a_row: dict[str, int] = {}
        self._asked: dict[str, int] = {}

    def is_likely(self, streams: Iterable[str]) -> bool:
        """Whether none of these streams is likely to bring a key that has landed before."""
        return all(self._in_a_row.get(stream, 0) >= self._asked.get(stream, 1) for stream in streams)

    def found(self, stream: str, *, only_new: bool) -> None:
        """What a flush brought of a stream."""
        self._in_a_row[stream] = self._in_a_row.get(stream, 0) + 1 if only_new else 0

    def was_wrong(self, streams: Iterable[str]) -> None:
        """One of these streams brought a key that has landed before, against what was likely."""
        for stream in streams:
            self._in_a_row[stream] = 0
            self._asked[stream] = 2 * self._asked.get(stream, 1)
