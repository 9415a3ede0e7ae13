"""A whole timeline, however long: lines that are read the latest first, written the earliest first, by day or thread.

What was written of each line waits in a file without a name; of a line a number stays in memory, of a thread its key.
"""

import heapq
import json
from array import array
from collections.abc import Iterable, Iterator
from typing import BinaryIO

from pay_ready.agent.export import Form
from pay_ready.agent.timeline import GroupBy, Line, day_of


def told(lines: Iterable[Line], form: Form, by: GroupBy | None, waiting: BinaryIO) -> Iterator[str]:
    """The pieces of the document, in order.

    Args:
        lines: The latest first; all of them are taken before the first piece is given.
        form: Of the document.
        by: Groups of it, the one that began first is first; None for one group.
        waiting: An empty file, open to be written and read.
    """
    groups: dict[str, array[int]] = {}  # places in the file, the latest line's first
    alone = array("q")  # of lines that no thread holds: a group each
    place = 0
    for line in lines:
        places = alone if by == "thread" and line.is_alone else groups.setdefault(_key(line, by), array("q"))
        places.append(place)
        place += waiting.write(json.dumps([day_of(line) if by == "day" else line.title, form.line(line)]).encode() + b"\n")
    yield form.begin
    between = ""
    for places in _in_order(groups, alone):
        title, _ = _at(waiting, places[-1])
        yield between + form.group(title)
        for number, each in enumerate(reversed(places)):
            yield (form.between_lines if number else "") + _at(waiting, each)[1]
        yield form.group_end
        between = form.between_groups
    if not place:
        yield form.nothing
    yield form.end


def _key(line: Line, by: GroupBy | None) -> str:
    return "" if by is None else day_of(line) if by == "day" else line.thread


def _in_order(groups: "dict[str, array[int]]", alone: "array[int]") -> "Iterator[array[int]]":
    """What began first is first; the earliest line stands last in the file."""
    held = sorted(groups.values(), key=lambda places: -places[-1])
    return heapq.merge(held, (array("q", [each]) for each in reversed(alone)), key=lambda places: -places[-1])


def _at(waiting: BinaryIO, place: int) -> tuple[str, str]:
    waiting.seek(place)
    title, written = json.loads(waiting.readline())
    return title, written
