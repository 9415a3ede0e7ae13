"""Rows as Parquet files and back, without loss; what was written is read again, to the last byte, before anybody relies on it."""

import hashlib
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import datetime
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any, BinaryIO
from uuid import UUID

import pyarrow as pa
import pyarrow.parquet as pq

from pay_ready.errors import CheckFailedError
from pay_ready.failpoints import failpoint
from pay_ready.model.archived import ArchivedRow, ArchivedTable, ColumnType
from pay_ready.pipeline.retention.manifest import FileEntry, TableEntry
from pay_ready.pipeline.retention.shelf import unwritable

FAILPOINTS = ("retention.file_written",)
_GROUP_ROWS, _GROUP_BYTES = 50_000, 64 << 20  # in memory at once, about
_FILE_BYTES = 512 << 20  # a file that is larger is closed, and another begun
_TYPES: dict[ColumnType, pa.DataType] = {
    "uuid": pa.string(), "text": pa.string(), "json": pa.string(), "integer": pa.int32(), "bigint": pa.int64(), "real": pa.float32(),
    "double": pa.float64(), "boolean": pa.bool_(), "time": pa.timestamp("us", tz="UTC"), "bytes": pa.large_binary(),
}  # fmt: skip


class TableWriter:
    """Writes the rows of one table into a folder.

    Args:
        folder: An archive under way.
        table: What its rows are.
    """

    def __init__(self, folder: Path, table: ArchivedTable) -> None:
        self._folder, self._table = folder, table
        self._schema = pa.schema([(name, _TYPES[kind]) for name, kind in table.columns.items()])
        self._waiting: list[pa.Table] = []
        self._rows = 0
        self._first_at: datetime | None = None
        self._last_at: datetime | None = None
        self._names: list[str] = []
        self._handle: BinaryIO | None = None
        self._writer: pq.ParquetWriter | None = None

    def add(self, rows: Sequence[ArchivedRow], ages: Sequence[datetime] = ()) -> None:
        """Add rows; `ages` are the times from which theirs is counted."""
        if not rows:
            return
        columns = [
            pa.array(_plain(kind, values), type=_TYPES[kind])
            for kind, values in zip(self._table.columns.values(), zip(*rows, strict=True), strict=True)
        ]
        self._waiting.append(pa.Table.from_arrays(columns, schema=self._schema))
        self._rows += len(rows)
        if ages:
            self._first_at = min(filter(None, (self._first_at, *ages)))
            self._last_at = max(filter(None, (self._last_at, *ages)))
        if sum(each.num_rows for each in self._waiting) >= _GROUP_ROWS or sum(each.nbytes for each in self._waiting) >= _GROUP_BYTES:
            self._write()

    def end(self, first_at: datetime | None = None, last_at: datetime | None = None) -> TableEntry:
        """Close the last file, read all of them again, and say what is in them; the times are those of the rows unless given.

        Raises:
            PayReadyError: A file cannot be written.
            CheckFailedError: What is on the disk is not what was written.
        """
        self._write()
        self._close()
        files = tuple(self._read_again(name) for name in self._names)
        if sum(each.rows for each in files) != self._rows:
            raise CheckFailedError("an archive has other rows than were written", "look at the disk", table=self._table.name)
        return TableEntry(
            table=self._table.name, columns=dict(self._table.columns), rows=self._rows, first_at=first_at or self._first_at,
            last_at=last_at or self._last_at, files=files,
        )  # fmt: skip

    def give_up(self) -> None:
        """Let go of the file under way; nothing after the end."""
        writer, handle = self._writer, self._handle
        self._writer = self._handle = None
        for each in (writer, handle):
            if each is not None:
                with suppress(OSError):  # what it could not write is no news any more
                    each.close()

    def _write(self) -> None:
        if not self._waiting:
            return
        group, self._waiting = pa.concat_tables(self._waiting), []
        try:
            if self._writer is None or self._handle is None:
                self._names.append(f"{self._table.name}-{len(self._names) + 1:04}.parquet")
                self._handle = os.fdopen(os.open(self._path(self._names[-1]), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")
                self._writer = pq.ParquetWriter(self._handle, self._schema, compression="zstd")
            self._writer.write_table(group)
            is_full = self._handle.tell() >= _FILE_BYTES
        except OSError as error:
            raise unwritable(self._path(self._names[-1]), error) from error
        if is_full:
            self._close()

    def _close(self) -> None:
        if self._writer is None or self._handle is None:
            return
        try:
            self._writer.close()
            self._handle.flush()
            os.fsync(self._handle.fileno())
            self._handle.close()
        except OSError as error:
            raise unwritable(self._path(self._names[-1]), error) from error
        self._writer = self._handle = None
        failpoint("retention.file_written")

    def _read_again(self, name: str) -> FileEntry:
        path = self._path(name)
        return FileEntry(name=name, rows=_rows_in(path, self._schema), size_bytes=path.stat().st_size, sha256=_sha256(path).hex())

    def _path(self, name: str) -> Path:
        return self._folder / name


def check_file(folder: Path, entry: FileEntry) -> None:
    """A file is what the manifest says.

    Raises:
        CheckFailedError: It is missing, shorter, or another one.
    """
    path = folder / entry.name
    try:
        is_whole = path.stat().st_size == entry.size_bytes and _sha256(path).hex() == entry.sha256
    except OSError as error:
        hint = "put the archive back as it was written; nothing was changed"
        raise CheckFailedError("a file of the archive cannot be read", hint, file=entry.name, reason=error.strerror) from None
    if not is_whole:
        raise CheckFailedError("a file of the archive is damaged", "put the archive back as it was written", file=entry.name)


def pages(folder: Path, entry: TableEntry, table: ArchivedTable, most: int) -> Iterator[list[ArchivedRow]]:
    """The rows of a table, `most` at a time or a few more: what goes together stays together.

    Raises:
        CheckFailedError: The archive has a column that this version does not know.
    """
    if unknown := sorted(set(entry.columns) - set(table.columns)):
        hint = "restore it with the version of pay-ready that made it, or a newer one"
        raise CheckFailedError("the archive has a column that this version does not know", hint, table=table.name, column=unknown[0])
    page: list[ArchivedRow] = []
    for group in _together(_rows(folder, entry, table, most), table):
        page += group
        if len(page) >= most:
            yield page
            page = []
    if page:
        yield page


def _rows(folder: Path, entry: TableEntry, table: ArchivedTable, most: int) -> Iterator[ArchivedRow]:
    """Rows in the order of the table's columns; one that the archive does not have is empty."""
    for each in entry.files:
        with pq.ParquetFile(folder / each.name) as opened:
            for batch in opened.iter_batches(batch_size=most):
                held = {name: batch.column(name).to_pylist() for name in batch.schema.names}
                empty = [None] * batch.num_rows
                yield from zip(*(held.get(name, empty) for name in table.columns), strict=True)


def _together(rows: Iterable[ArchivedRow], table: ArchivedTable) -> Iterator[list[ArchivedRow]]:
    if table.together is None:
        yield from ([row] for row in rows)
        return
    for _, group in groupby(rows, key=itemgetter(table.place(table.together))):
        yield list(group)


def _plain(kind: ColumnType, values: Sequence[Any]) -> Sequence[Any]:
    return [str(each) if isinstance(each, UUID) else each for each in values] if kind == "uuid" else values


def _rows_in(path: Path, schema: pa.Schema) -> int:
    """Decode a file to its end; how many rows it has."""
    with pq.ParquetFile(path) as opened:
        if not opened.schema_arrow.equals(schema):
            raise CheckFailedError("an archive has other columns than were written", "look at the disk", file=path.name)
        return sum(batch.num_rows for batch in opened.iter_batches())


def _sha256(path: Path) -> bytes:
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").digest()
