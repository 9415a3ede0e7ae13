"""Printing: data on standard output, chatter on standard error; tables for people, JSON for programs."""

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

JSON_VERSION = 1
_UNFOLDED = 500  # columns


def print_json(kind: str, data: object) -> None:
    """One JSON document: {"schema_version", "kind", "data"}."""
    document = {"schema_version": JSON_VERSION, "kind": kind, "data": as_plain(data)}
    sys.stdout.write(json.dumps(document, ensure_ascii=False, indent=2) + "\n")


def print_table(columns: Sequence[str], rows: Iterable[Sequence[object]], *, title: str = "") -> None:
    """A table that fits the terminal; plain text where there is none."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    if title:
        say(title)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(cell(value) for value in row))
    # Without a terminal lines are not folded: a log keeps each row on one line.
    Console(width=None if sys.stdout.isatty() else _UNFOLDED, highlight=False, markup=False).print(table)


def say(text: str = "") -> None:
    """A line for people, on standard output; control characters of data never reach the terminal."""
    sys.stdout.write(printable(text) + "\n")


def note(text: str) -> None:
    """A line about what goes on, on standard error."""
    sys.stderr.write(printable(text) + "\n")


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
    """Dataclasses, ids and times as JSON knows them."""
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
    return str(value) if isinstance(value, UUID) else value
