"""Which archived rows are about somebody who was erased: by ids, by values, by who was with whom; and which are not."""

import json
from uuid import UUID

import pytest

from pay_ready.model.archived import TABLES, ArchivedRow, ArchivedTable
from pay_ready.model.ids import SourceId
from pay_ready.pipeline.land.suppress import Kind, Theirs, digest_of, id_text, key_text
from pay_ready.pipeline.retention.sieve import Sieve, sieve_of

SOURCE = SourceId(UUID(int=1))
EMAIL, PHONE, RECORD, OTHER, ENTITY = "ann@x.example", "+12065550142", str(UUID(int=2)), str(UUID(int=3)), str(UUID(int=4))
KEY = bytes(32)


def table(name: str) -> ArchivedTable:
    """An archived table."""
    return next(each for tables in TABLES.values() for each in tables if each.name == name)


def row(name: str, **values: object) -> ArchivedRow:
    """A row with these values, else empty."""
    return tuple(values.get(column) for column in table(name).columns)


def version(opened: int, closed: int, *, entity_type: str = "person", **fields: str) -> ArchivedRow:
    """A golden record that held from one run to another."""
    golden = {"schema_version": 1, "fields": {name: {"value": value, "values": [value]} for name, value in fields.items()}}
    return row("entity_versions", entity_id=ENTITY, opened_run_no=opened, closed_run_no=closed, entity_type=entity_type,
               golden=json.dumps(golden))  # fmt: skip


def knowing(*, email: str = "", names: tuple[str, str] = ("", "")) -> Sieve:
    """A sieve that knows a value and an id."""
    return Sieve(
        theirs_of=lambda _source: Theirs(knows=lambda _kind, text: bool(email) and text == email, region="US"),
        knows_id=lambda name, text: (name, text) == names,
        knows_key=lambda _source, _stream, key: key == "gone",
    )


def test_versions_go_with_the_members_that_they_had() -> None:
    """Of an entity in which their record was from run 3 to 6 the versions of that time go, whatever they say; no others."""
    sieve = knowing(names=("record", RECORD))
    sieve.note_members(
        table("assignments"),
        [row("assignments", record_id=RECORD, entity_id=ENTITY, opened_run_no=3, closed_run_no=6),
         row("assignments", record_id=OTHER, entity_id=ENTITY, opened_run_no=1, closed_run_no=9)],
    )  # fmt: skip
    rows = [version(1, 3, name="A"), version(1, 4, name="B"), version(4, 5, name="C"), version(5, 9, name="D"), version(6, 9, name="E")]
    assert sieve.sift(table("entity_versions"), rows) == [rows[0], rows[4]]
    kept = sieve.sift(table("assignments"), [row("assignments", record_id=each) for each in (RECORD, OTHER)])
    assert kept == [row("assignments", record_id=OTHER)]


def test_versions_go_by_what_they_say() -> None:
    """A person's with an address of theirs; a company's stays: it is no person's."""
    sieve = knowing(email=EMAIL)
    rows = [version(1, 2, email=EMAIL), version(1, 2, email="bob@x.example"), version(1, 2, entity_type="company", name=EMAIL)]
    assert sieve.sift(table("entity_versions"), rows) == rows[1:]


def test_payloads_go_with_what_they_hold() -> None:
    """Bytes with an address of theirs, and the quarantined row that refers to them; another row and its bytes stay."""
    sieve = knowing(email=EMAIL)
    payloads = [row("large_payloads", payload_id=each, source_id=str(SOURCE), content=content)
                for each, content in ((RECORD, f'{{"to": ["{EMAIL}"]}}'.encode()), (OTHER, b"broken"))]  # fmt: skip
    assert sieve.sift(table("large_payloads"), payloads) == payloads[1:]
    rows = [row("quarantined_records", quarantine_id=each, source_id=str(SOURCE), stream="s", payload_id=each) for each in (RECORD, OTHER)]
    assert sieve.sift(table("quarantined_records"), rows) == rows[1:]


@pytest.mark.parametrize(
    ("name", "theirs"),
    [
        ("landed_records", {"source_id": str(SOURCE), "stream": "s", "record_key": "gone", "cursor_order": ""}),
        ("landed_records", {"source_id": str(SOURCE), "stream": "s", "record_key": f'["{EMAIL}"]', "cursor_order": ""}),
        ("landed_records", {"source_id": str(SOURCE), "stream": "s", "record_key": "x", "cursor_order": EMAIL}),
        ("quarantined_records", {"source_id": str(SOURCE), "stream": "s", "quarantine_id": OTHER, "raw": f"<{EMAIL}>".encode()}),
        ("quarantined_records", {"source_id": str(SOURCE), "stream": "s", "quarantine_id": OTHER, "record_key": "gone", "raw": b"{}"}),
        ("memories", {"interaction_id": OTHER, "chunk_text": f"write to {EMAIL.upper()}"}),
    ],
)
def test_rows_go_by_value_or_key(name: str, theirs: dict[str, object]) -> None:
    """Each reason by itself takes a row; the same row about somebody else stays."""
    sieve = knowing(email=EMAIL)
    mine = {column: b"{}" if column == "raw" else "other" if column in ("record_key", "cursor_order", "chunk_text") else value
            for column, value in theirs.items()}  # fmt: skip
    assert sieve.sift(table(name), [row(name, **theirs), row(name, **mine)]) == [row(name, **mine)]


def test_a_watermark_is_emptied_and_its_row_stays() -> None:
    """Counts of a sync are nobody's; a cursor that is an address is."""
    rows = [row("stream_runs", stream="s", emitted=3, watermark_before=EMAIL, watermark_after="2026"), row("stream_runs", stream="t")]
    kept = knowing(email=EMAIL).sift(table("stream_runs"), rows)
    assert kept == [row("stream_runs", stream="s", emitted=3, watermark_after="2026"), rows[1]]


def test_what_is_nobodys_stays() -> None:
    """Logs, links and syncs pass as they are."""
    for name in ("step_logs", "interaction_entities", "run_decisions", "sync_runs", "landing_batches", "step_runs", "quality_results"):
        rows = [row(name)]
        assert knowing(email=EMAIL).sift(table(name), rows) == rows


def test_digests_know_what_was_digested() -> None:
    """Addresses, numbers, ids of a source, keys, records, entities and interactions: each by its digest alone, of one tenant's key."""
    told: list[tuple[Kind, str]] = [
        ("email", EMAIL), ("phone", PHONE), ("record", id_text(SOURCE, "contact-77")), ("record", key_text(SOURCE, "s", "gone")),
        ("record", f"record\n{RECORD}"), ("record", f"entity\n{ENTITY}"), ("record", f"interaction\n{RECORD}"),
        ("record", f"refused\n{RECORD}"),
    ]  # fmt: skip
    digests: dict[str, set[bytes]] = {}
    for kind, text in told:
        digests.setdefault(kind, set()).add(digest_of(KEY, kind, text))
    sieve, stranger = sieve_of(digests, [KEY], "US"), sieve_of(digests, [b"another"], "US")
    rows = {
        "assignments": row("assignments", record_id=RECORD, entity_id=OTHER),
        "entity_versions": version(1, 2, name="A"),
        "landed_records": row("landed_records", source_id=str(SOURCE), stream="s", record_key='["contact-77"]', cursor_order=""),
        "quarantined_records": row("quarantined_records", source_id=str(SOURCE), stream="s", quarantine_id=RECORD, raw=b"x"),
        "memories": row("memories", interaction_id=RECORD, chunk_text="x"),
        "large_payloads": row("large_payloads", payload_id=OTHER, source_id=str(SOURCE), content=f"call {PHONE}".encode()),
    }
    for name, each in rows.items():
        assert sieve.sift(table(name), [each]) == [], name
        assert stranger.sift(table(name), [each]) == [each], name
    # An id of one source is nobody's in another.
    elsewhere = row("landed_records", source_id=OTHER, stream="s", record_key='["contact-77"]', cursor_order="")
    assert sieve.sift(table("landed_records"), [elsewhere]) == [elsewhere]
