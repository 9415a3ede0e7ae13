"""People who were erased stay out of archives, and out of what is restored: which archived rows are about them. Pure.

Asked while a person is erased, it knows the values; later it knows keyed digests alone. A row that is theirs goes whole: of rows in an
archive none is made anew.
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import Any, ClassVar
from uuid import UUID

from pay_ready.model.archived import ArchivedRow, ArchivedTable, ArchiveKind
from pay_ready.model.ids import SourceId
from pay_ready.pipeline.land.suppress import DISTINCT_ID, Kind, Theirs, decoded, digest_of, id_text, key_tells, key_text, masked

_Row = Mapping[str, Any]
PERSONAL: tuple[ArchiveKind, ...] = ("history", "memories", "quarantine", "landed", "runs")  # logs hold nobody's values
_LONGEST_ID = 320  # characters


@dataclass(slots=True, kw_only=True)
class Sieve:
    """Tells what is about erased people. Records are asked for first (`note_members`): a golden record may be theirs by its members.

    `knows_id`: whether something of that name ("record", "entity", "interaction", "refused") and id is theirs.
    """

    theirs_of: Callable[[SourceId | None], Theirs]  # by source, as ids are a source's own; None: without ids
    knows_id: Callable[[str, str], bool]
    knows_key: Callable[[SourceId, str, str], bool]  # source, stream, key of a landed record
    members: dict[str, list[tuple[int, int]]] = field(default_factory=dict)  # by entity: from when until when a record of theirs was in it
    payloads: set[str] = field(default_factory=set)  # ids of bytes that hold something of theirs

    def note_members(self, table: ArchivedTable, rows: Iterable[ArchivedRow]) -> None:
        """Remember of which entities their records were a part, and when; of other tables nothing."""
        if table.name != "assignments":
            return
        for row in map(_as_dict(table), rows):
            if self.knows_id("record", str(row["record_id"])):
                self.add_member(str(row["entity_id"]), int(row["opened_run_no"]), int(row["closed_run_no"]))

    def add_member(self, entity_id: str, opened_run_no: int, closed_run_no: int) -> None:
        """A record of theirs was in an entity from one run to another."""
        self.members.setdefault(entity_id, []).append((opened_run_no, closed_run_no))

    def sift(self, table: ArchivedTable, rows: Sequence[ArchivedRow]) -> list[ArchivedRow]:
        """The rows that stay, without watermarks that hold a value of theirs; the very same rows where nothing is theirs."""
        if table.name == "stream_runs":
            return [self._without_watermarks(table, row) for row in rows]
        is_theirs = self._asked.get(table.name)
        if is_theirs is None:
            return list(rows)
        as_dict = _as_dict(table)
        return [row for row in rows if not is_theirs(self, as_dict(row))]

    def _is_their_mark(self, row: _Row) -> bool:
        source, key = SourceId(UUID(row["source_id"])), row["record_key"]
        theirs = self.theirs_of(source)
        return self.knows_key(source, row["stream"], key) or key_tells(theirs, key) or _strikes(theirs, row["cursor_order"])

    def _is_their_assignment(self, row: _Row) -> bool:
        return self.knows_id("record", row["record_id"])

    def _is_their_version(self, row: _Row) -> bool:
        if row["entity_type"] != "person":
            return False
        opened, closed = row["opened_run_no"], row["closed_run_no"]
        was_member = any(since < closed and opened < until for since, until in self.members.get(row["entity_id"], ()))
        golden = json.loads(row["golden"])
        return was_member or self.knows_id("entity", row["entity_id"]) or masked(golden, self.theirs_of(None)) is not golden

    def _is_their_payload(self, row: _Row) -> bool:
        if self._holds(SourceId(UUID(row["source_id"])), row["content"]):
            self.payloads.add(row["payload_id"])
        return row["payload_id"] in self.payloads

    def _is_their_breach(self, row: _Row) -> bool:
        source, key = SourceId(UUID(row["source_id"])), row["record_key"]
        if row["payload_id"] in self.payloads or self.knows_id("refused", row["quarantine_id"]):
            return True
        if key is not None and (self.knows_key(source, row["stream"], key) or key_tells(self.theirs_of(source), key)):
            return True
        return row["raw"] is not None and self._holds(source, row["raw"])

    def _is_their_passage(self, row: _Row) -> bool:
        return self.knows_id("interaction", row["interaction_id"]) or _strikes(self.theirs_of(None), row["chunk_text"])

    def _holds(self, source: SourceId, content: bytes) -> bool:
        value = decoded(content)
        return masked(value, self.theirs_of(source)) is not value

    def _without_watermarks(self, table: ArchivedTable, row: ArchivedRow) -> ArchivedRow:
        places = [table.place(name) for name in ("watermark_before", "watermark_after")]
        theirs = self.theirs_of(None)
        if not any(_strikes(theirs, row[place]) for place in places):
            return row
        return tuple(None if place in places and _strikes(theirs, value) else value for place, value in enumerate(row))

    _asked: ClassVar = {
        "landed_records": _is_their_mark,
        "assignments": _is_their_assignment,
        "entity_versions": _is_their_version,
        "large_payloads": _is_their_payload,
        "quarantined_records": _is_their_breach,
        "memories": _is_their_passage,
    }


def sieve_of(digests: Mapping[str, Set[bytes]], keys: Sequence[bytes], region: str) -> Sieve:
    """A sieve that knows erased people by the keyed digests that they left.

    Args:
        digests: By kind (`erasure.suppressions`).
        keys: Of the digests, of this tenant.
        region: Of phone numbers without a country code.
    """

    def has(kind: Kind, text: str) -> bool:
        held = digests.get(kind, frozenset())
        return any(digest_of(key, kind, text) in held for key in keys)

    def theirs_of(source: SourceId | None) -> Theirs:
        def knows(kind: Kind, text: str) -> bool:
            if kind != "record":
                return has(kind, text)
            return source is not None and DISTINCT_ID <= len(text) <= _LONGEST_ID and has("record", id_text(source, text))

        return Theirs(knows=knows, region=region)

    return Sieve(
        theirs_of=theirs_of,
        knows_id=lambda name, text: has("record", f"{name}\n{text}"),
        knows_key=lambda source, stream, key: has("record", key_text(source, stream, key)),
    )


def _as_dict(table: ArchivedTable) -> Callable[[ArchivedRow], _Row]:
    names = list(table.columns)
    return lambda row: dict(zip(names, row, strict=True))


def _strikes(theirs: Theirs, text: str | None) -> bool:
    return text is not None and (theirs.hold(text) or theirs.strike(text) != text)
