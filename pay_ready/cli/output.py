"""Printing: data on standard output, chatter on standard error; tables for people, JSON for programs."""

import json
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from datetime import date, datetime
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, TextIO
from uuid import UUID

from pay_ready.errors import PayReadyError

if TYPE_CHECKING:  # heavy; --help must not load it
    from rich.table import Table

JSON_VERSION = 1
_UNFOLDED = 500  # columns
_FOLDED_FROM = 16  # columns: shorter cells (a time, a number) are never folded, longer ones may be
_GAP = 3  # columns between two columns of a table
_EDGES = 2  # columns before the first and after the last


def print_json(kind: str, data: object, *, one_line: bool = False) -> None:
    """One JSON document: {"schema_version", "kind", "data"}; on one line where a program reads several of them (JSON Lines)."""
    document = {"schema_version": JSON_VERSION, "kind": kind, "data": as_plain(data)}
    # Where the locale has no Unicode letters are written as JSON escapes them; write() would leave no JSON.
    speaks_unicode = (sys.stdout.encoding or "utf-8").lower().startswith("utf")
    write(json.dumps(document, ensure_ascii=not speaks_unicode, indent=None if one_line else 2) + "\n")


def print_table(columns: Sequence[str], rows: Iterable[Sequence[object]], *, title: str = "") -> None:
    """A table; on a terminal too narrow for its headings each row becomes a few lines; plain text where there is no terminal."""
    from rich.console import Console

    if title:
        say(title)
    cells = [[cell(value) for value in row] for row in rows]
    # Without a terminal lines are not folded: a log keeps each row on one line.
    console = Console(width=None if sys.stdout.isatty() else _UNFOLDED, highlight=False, markup=False)
    widths = _least_widths(columns, cells)
    if sum(widths) + _GAP * (len(widths) - 1) + _EDGES > console.width:
        write("".join(_block(columns, row, console.width) for row in cells))
        return
    with console.capture() as captured:
        console.print(_table(columns, cells, widths))
    write(captured.get())


def write(text: str) -> None:
    """Text to standard output at once; letters that the locale lacks are escaped.

    Raises:
        PayReadyError: It cannot be written, for example because the disk is full.
    """
    try:
        sys.stdout.write(_speakable(text, sys.stdout))
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        # What waits in the buffer would fail once more at exit, and hide the exit code.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise PayReadyError("cannot write to standard output", "what the command did stays done", reason=error.strerror) from None


def say(text: str = "") -> None:
    """A line for people, on standard output; control characters of data never reach the terminal."""
    write(printable(text) + "\n")


def note(text: str) -> None:
    """A line about what goes on, on standard error."""
    sys.stderr.write(_speakable(printable(text) + "\n", sys.stderr))


def cell(value: object) -> str:
    """A value as people read it."""
    if value is None:
        return ""
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%d %H:%M")
    if isinstance(value, float):
        return f"{value:,.2f}"
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return printable(str(value))


def printable(text: str) -> str:
    """The text without control characters: what people wrote must not steer a terminal."""
    return "".join(char if char.isprintable() or char in "\n\t" else "\N{REPLACEMENT CHARACTER}" for char in text)


def as_plain(value: object) -> Any:
    """Dataclasses, models, ids, paths, times and errors as JSON knows them."""
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: as_plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): as_plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [as_plain(inner) for inner in value]
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, bytes):
        return value.hex()
    if hasattr(value, "model_dump"):  # pydantic's; the library itself is heavy
        return as_plain(value.model_dump())
    if isinstance(value, PayReadyError):
        return {"class": type(value).__name__, "message": str(value), "exit_code": value.exit_code}
    return str(value) if isinstance(value, UUID | PurePath) else value


def _speakable(text: str, stream: TextIO) -> str:
    encoding = stream.encoding or "utf-8"
    return text.encode(encoding, "backslashreplace").decode(encoding)


def _least_widths(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> list[int]:
    """The width of each column that folds no heading and no short cell."""
    from rich.cells import cell_len

    return [
        max([cell_len(heading), *(min(cell_len(row[position]), _FOLDED_FROM) for row in rows)]) for position, heading in enumerate(columns)
    ]


def _block(columns: Sequence[str], row: Sequence[str], width: int) -> str:
    """A row as lines: the first column, then the others that hold something, each with its heading."""
    from rich.cells import cell_len

    first, *others = [f"{heading} {text}".strip() for heading, text in zip(columns, row, strict=True) if text]
    lines = [first]
    for text in others:
        if len(lines) > 1 and cell_len(lines[-1]) + len("; ") + cell_len(text) < width:
            lines[-1] += f"; {text}"
        else:
            lines.append(f"  {text}")
    return "\n".join(lines) + "\n"


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]], widths: Sequence[int]) -> "Table":
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading, width in zip(columns, widths, strict=True):
        table.add_column(heading, overflow="fold", min_width=width)
    for row in rows:
        table.add_row(*row)
    return table
