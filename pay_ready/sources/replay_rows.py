"""Rows of JSONL and CSV files as JSON bytes. A row that cannot be read becomes one that says so: none is lost."""

import codecs
import csv
import sys
from collections import deque
from collections.abc import Iterator

from msgspec import MsgspecError, Struct
from msgspec.json import Decoder, Encoder

from pay_ready.errors import ConfigError
from pay_ready.sources.replay_files import LINE_LIMIT_BYTES, OpenExport
from pay_ready.sources.tolerant import members

# A quote that is never closed would swallow the rest of the file: beyond this, its line alone is given up.
ROW_LIMIT_BYTES = 32 << 20
_DELIMITERS = ",;\t|"


class _AnyObject(Struct):
    """Decodes any JSON object to nothing: a check of its form at the price of skipping it."""


_OBJECT = Decoder(_AnyObject)
_ENCODER = Encoder()
csv.field_size_limit(sys.maxsize)


class Rows:
    """The rows of one file from a position on. After each row, `offset` and `line` say where the next read may begin.

    A last line without its newline may still be being written: its row is given, the position stays before it.

    Raises:
        ConfigError: The file has no usable header, or a line that is no export's.
    """

    def __init__(self, export: OpenExport, offset: int = 0, line: int = 0) -> None:
        self.offset, self.line = offset, line
        self._export, self._name = export, export.file.name

    def __iter__(self) -> Iterator[bytes]:
        return self._csv() if self._export.file.format == "csv" else self._jsonl()

    def _jsonl(self) -> Iterator[bytes]:
        self._export.go_to(self.offset)
        readline, offset, number = self._export.readline, self.offset, self.line
        while raw := readline(LINE_LIMIT_BYTES):
            number += 1
            offset += len(raw)
            line = raw.strip() if number > 1 else raw.removeprefix(codecs.BOM_UTF8).strip()
            reason = _fault_of(line) if line else ""
            if raw.endswith(b"\n"):
                self.offset, self.line = offset, number
            elif len(raw) >= LINE_LIMIT_BYTES:
                raise _line_too_long(self._name)
            elif line and not reason:
                # Whole, for it is JSON, though no newline follows yet.
                self.offset, self.line = offset, number
            if line:
                yield garbled(line, reason, number) if reason else line

    def _csv(self) -> Iterator[bytes]:
        feed = _Feed(self._export)
        names, delimiter = self._header(feed)
        if self.offset:
            self._export.go_to(self.offset)
            feed.forget()
        else:
            self._advance(feed)
        while True:
            try:
                for cells in csv.reader(feed, delimiter=delimiter, strict=True):
                    row = _csv_row(names, cells, feed.taken, self.line + 1)
                    self._advance(feed)
                    if row:
                        yield row
            except (csv.Error, _RowTooLongError) as error:
                # The row's first line is at fault, or at least the place to begin again; the lines after it get their chance.
                row = garbled(feed.keep_first(), f"csv: {error}", self.line + 1)
                self._advance(feed)
                yield row
            else:
                return

    def _header(self, feed: "_Feed") -> tuple[tuple[str, ...], str]:
        """The columns' names and the delimiter."""
        try:
            delimiter = self._export.file.delimiter or sniff_delimiter(feed.peek())
            cells = next(csv.reader(feed, delimiter=delimiter, strict=True), [])
        except (csv.Error, _RowTooLongError) as error:
            raise ConfigError(f"the header cannot be read: {error}", "is it CSV?", file=self._name) from error
        return column_names(cells, self._name), delimiter

    def _advance(self, feed: "_Feed") -> None:
        size_bytes, count, terminated = feed.forget()
        if terminated:
            self.offset += size_bytes
            self.line += count


class _RowTooLongError(Exception):
    """One CSV row goes on over too many bytes."""


class _Feed:
    """Lines for the CSV reader that remembers which ones make up the row at hand."""

    def __init__(self, export: OpenExport) -> None:
        self._name, self._readline = export.file.name, export.readline
        self._again: deque[bytes] = deque()
        self._is_first = True
        self.taken: list[bytes] = []
        self._taken_bytes = 0

    def __iter__(self) -> "_Feed":
        return self

    def __next__(self) -> str:
        raw = self._again.popleft() if self._again else self._next_line()
        if not raw:
            raise StopIteration
        self.taken.append(raw)
        self._taken_bytes += len(raw)
        if self._taken_bytes > ROW_LIMIT_BYTES:
            raise _RowTooLongError("the row does not end")
        if self._is_first:
            self._is_first = False
            raw = raw.removeprefix(codecs.BOM_UTF8)
        return raw.decode("utf-8", "backslashreplace")

    def peek(self) -> str:
        """The next line, to be read again."""
        raw = self._next_line()
        self._again.append(raw)
        return raw.decode("utf-8", "backslashreplace")

    def _next_line(self) -> bytes:
        raw = self._readline(ROW_LIMIT_BYTES)
        if len(raw) >= ROW_LIMIT_BYTES:
            raise _line_too_long(self._name)
        return raw

    def keep_first(self) -> bytes:
        """The first line of the row at hand; the others are read again."""
        first, *others = self.taken
        self._again.extendleft(reversed(others))
        self.taken = [first]
        return first

    def forget(self) -> tuple[int, int, bool]:
        """Bytes and lines of the row at hand, and whether its last line has its newline; the next row begins."""
        size_bytes, count = sum(map(len, self.taken)), len(self.taken)
        terminated = not self.taken or self.taken[-1].endswith(b"\n")
        self.taken.clear()
        self._taken_bytes = 0
        return size_bytes, count, terminated


def _csv_row(names: tuple[str, ...], cells: list[str], taken: list[bytes], line: int) -> bytes:
    """A row as JSON, an empty cell as null; empty for a blank line. Rows may be short, as spreadsheets write them."""
    if not cells:
        return b""
    if len(cells) > len(names) and any(cells[len(names) :]):
        return garbled(b"".join(taken), f"csv: {len(cells)} cells under {len(names)} columns", line)
    if not all(map(_is_utf8, taken)):
        return garbled(b"".join(taken), "not UTF-8: name the stream's encoding", line)
    row: dict[str, str | None] = dict.fromkeys(names)
    row.update((name, cell or None) for name, cell in zip(names, cells, strict=False))
    return _ENCODER.encode(row)


def _line_too_long(file: str) -> ConfigError:
    return ConfigError("a line is far too long", "is it one object a line, or one row?", file=file)


def garbled(raw: bytes, reason: str, line: int) -> bytes:
    """The row that stands for one that cannot be read: the contract will put it into quarantine, whole."""
    text = raw.decode("utf-8", "backslashreplace").rstrip("\r\n")
    return _ENCODER.encode({"_replay_raw": text, "_replay_error": reason, "_replay_line": line})


def sniff_delimiter(header: str) -> str:
    """The delimiter that the header has most of, outside quotes; a comma when it has none."""
    outside = "".join(header.split('"')[::2])
    return max(_DELIMITERS, key=outside.count)


def column_names(cells: list[str], file: str) -> tuple[str, ...]:
    """The columns' names; one without a name is called after its place.

    Raises:
        ConfigError: There is no header, or two columns have the same name.
    """
    if not cells:
        raise ConfigError("the file has no header", "the first line must name the columns", file=file)
    names = tuple(cell.strip() or f"column_{place}" for place, cell in enumerate(cells, start=1))
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ConfigError("columns with the same name", "rename one of them", file=file, columns=", ".join(twice))
    return names


def _fault_of(line: bytes) -> str:
    """Why a line is no JSON object; empty when it is one. What only a lenient reader accepts is passed on as it is."""
    if not _is_utf8(line):
        return "not UTF-8: name the stream's encoding"
    try:
        _OBJECT.decode(line)
    except (MsgspecError, RecursionError) as error:
        try:
            members(line.decode())
        except ValueError:
            return f"json: {error}"
    return ""


def _is_utf8(line: bytes) -> bool:
    if line.isascii():
        return True
    try:
        line.decode()
    except UnicodeDecodeError:
        return False
    return True
