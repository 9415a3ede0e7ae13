"""The rows of one tenant's exports and the truth about them, collected by source and stream, turned into bytes at the end."""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Literal

Json = None | bool | int | float | str | Sequence["Json"] | Mapping[str, "Json"]
Record = dict[str, Json]
Kind = Literal["person", "company", "bad"]
TRUTH_HEADER = ("tenant", "source", "stream", "source_id", "kind", "true_id")


@dataclass(frozen=True, slots=True, kw_only=True)
class TruthRow:
    """Who a source row is about. A `bad` row breaks its contract on purpose; its `true_id` says how."""

    source: str
    stream: str
    source_id: str
    kind: Kind
    true_id: str


class Export:
    """Collects rows; one per tenant."""

    def __init__(self) -> None:
        self.rows: defaultdict[tuple[str, str], list[Record]] = defaultdict(list)
        self.truth: list[TruthRow] = []

    def add(self, source: str, stream: str, row: Record) -> None:
        """One more line of a stream's file."""
        self.rows[source, stream].append(row)

    def identify(self, source: str, stream: str, source_id: str, kind: Kind, true_id: str) -> None:
        """Put down in the truth who the row is."""
        self.truth.append(TruthRow(source=source, stream=stream, source_id=source_id, kind=kind, true_id=true_id))

    def files(self) -> Mapping[str, bytes]:
        """The files by "<source>/<stream>.jsonl": one JSON object a line, UTF-8."""
        return {f"{source}/{stream}.jsonl": _lines(rows) for (source, stream), rows in sorted(self.rows.items())}


class Numbers:
    """Ids as sources give them out: rising, with gaps."""

    def __init__(self, rng: Random, start: int, gap: int) -> None:
        self._rng = rng
        self._last = start
        self._gap = gap

    def next(self) -> int:
        """The next id."""
        self._last += self._rng.randint(1, self._gap)
        return self._last


def _lines(rows: Iterable[Record]) -> bytes:
    return "".join(json.dumps(row, ensure_ascii=False, separators=(",", ":")) + "\n" for row in rows).encode()
