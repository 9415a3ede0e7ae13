"""Whatever a row holds, an archive's file gives back the same; pages lose nothing, and part nothing that goes together."""

from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pay_ready.errors import CheckFailedError
from pay_ready.model.archived import TABLES, ArchivedTable, ColumnType
from pay_ready.pipeline.retention.files import TableWriter, check_file, pages

_TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20)
_VALUES: dict[ColumnType, st.SearchStrategy[Any]] = {
    "uuid": st.uuids(),
    "text": _TEXTS,
    "json": _TEXTS,
    "integer": st.integers(-(2**31), 2**31 - 1),
    "bigint": st.integers(-(2**63), 2**63 - 1),
    "real": st.floats(width=32, allow_nan=False),
    "double": st.floats(allow_nan=False),
    "boolean": st.booleans(),
    "time": st.datetimes(datetime(1, 1, 1), datetime(9999, 12, 31), timezones=st.just(UTC)),  # noqa: DTZ001 - hypothesis adds the zone
    "bytes": st.binary(max_size=20),
}
_ALL = [table for tables in TABLES.values() for table in tables]


_OPTIONAL = {kind: st.none() | values for kind, values in _VALUES.items()}
_ROWS = {table.name: st.lists(st.tuples(*map(_OPTIONAL.__getitem__, table.columns.values())), max_size=8) for table in _ALL}


@st.composite
def tables_with_rows(draw: st.DrawFn) -> tuple[ArchivedTable, list[tuple[Any, ...]]]:
    """A table and some rows of it, those that go together beside each other."""
    table = draw(st.sampled_from(_ALL))
    rows = draw(_ROWS[table.name])
    if table.together is not None:
        rows = [tuple(rows[0][n] if name == table.together else v for n, (name, v) in enumerate(zip(table.columns, row, strict=True)))
                for row in rows]  # fmt: skip
    return table, rows


def written(folder: Path, table: ArchivedTable, rows: Sequence[tuple[Any, ...]], page: int) -> Any:
    """The rows in files, added a page at a time."""
    writer = TableWriter(folder, table)
    for start in range(0, len(rows), page):
        writer.add(rows[start : start + page])
    return writer.end()


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(tables_with_rows(), st.integers(1, 5), st.integers(1, 5))
def test_files_give_back_what_was_written(drawn: tuple[ArchivedTable, list[tuple[Any, ...]]], page: int, most: int) -> None:
    """All rows, in order, each value equal: an id as its text, a real to its last bit; and the manifest counts them."""
    table, rows = drawn
    with TemporaryDirectory() as name:
        folder = Path(name)
        entry = written(folder, table, rows, page)
        assert entry.rows == len(rows) == sum(each.rows for each in entry.files)
        for file in entry.files:
            check_file(folder, file)
        found = [row for part in pages(folder, entry, table, most) for row in part]
    expected = [
        tuple(
            str(value) if kind == "uuid" and value is not None else value for kind, value in zip(table.columns.values(), row, strict=True)
        )
        for row in rows
    ]
    assert found == expected
    assert all(
        np.float32(value).tobytes() == np.float32(other).tobytes()
        for row, same in zip(found, rows, strict=True)
        for value, other, kind in zip(row, same, table.columns.values(), strict=True)
        if kind == "real" and value is not None
    )


@settings(deadline=None)
@given(st.lists(st.integers(0, 6), max_size=30), st.integers(1, 9))
def test_what_goes_together_is_on_one_page(of: list[int], most: int) -> None:
    """Passages of an interaction are never parted, whatever the size of a page; pages are no larger than they must be."""
    (table,) = TABLES["memories"]
    place = table.place("interaction_id")
    rows = [tuple(f"00000000-0000-0000-0000-{each:012}" if n == place else None for n in range(len(table.columns))) for each in sorted(of)]
    with TemporaryDirectory() as name:
        entry = written(Path(name), table, rows, 4)
        found = list(pages(Path(name), entry, table, most))
    assert [row for page in found for row in page] == rows
    seen = [key for page in found for key, _ in groupby(page, key=lambda row: row[place])]
    assert len(seen) == len(set(seen))
    assert all(len(page) >= most for page in found[:-1])


@settings(deadline=None)
@given(st.binary(min_size=1), st.integers(0))
def test_any_other_byte_is_seen(said: bytes, at: int) -> None:
    """A file in which one byte is another is refused."""
    table = next(each for each in _ALL if each.name == "large_payloads")
    with TemporaryDirectory() as name:
        folder = Path(name)
        (file,) = written(folder, table, [("00000000-0000-0000-0000-000000000001", None, 1, said, None)], 1).files
        content = bytearray((folder / file.name).read_bytes())
        content[at % len(content)] ^= 1 + at % 255
        (folder / file.name).write_bytes(content)
        with pytest.raises(CheckFailedError, match="damaged"):
            check_file(folder, file)


def test_a_column_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    """What this version does not know it cannot put back; a column that is missing comes back empty."""
    table = next(each for each in _ALL if each.name == "step_runs")
    narrower = ArchivedTable(name="step_runs", columns={name: kind for name, kind in table.columns.items() if name != "row_count"})
    row = ("00000000-0000-0000-0000-000000000001",) * 2 + ("sync", "crm", "complete", None, None, "Error")
    entry = written(tmp_path, narrower, [row], 1)
    ((found,),) = pages(tmp_path, entry, table, 5)
    assert found == (*row[:7], None, row[7])
    with pytest.raises(CheckFailedError, match="column=row_count"):
        list(pages(tmp_path, entry.model_copy(update={"columns": dict(table.columns)}), narrower, 5))
