"""Paths into a record: written as text in a mapping file, parsed once, followed for every record."""

import re
from collections.abc import Iterator, Mapping

from pay_ready.pipeline.mapping.rules import Match, Path, Template
from pay_ready.pipeline.mapping.toml_tables import Place

_SEGMENT = re.compile(r"(?P<name>(?:\\.|[^.\[\]\\])*)(?P<brackets>(?:\[[^\[\]]*\])*)(?:\.|$)")
_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
_HINT = 'write "a.b", "a.0", "a[key=value].b", "$.a" for the record inside a list, "." for the element itself'


def parse_path(written: str, place: Place) -> Path:
    """A path as written in a mapping file; a dot inside a key is written "\\\\."."""
    paths = parse_list_path(written, place)
    if len(paths) > 1:
        raise place.error(f'"{written}" goes through a list with []', "[] belongs to each = …; use [key=value] or a position")
    return paths[0]


def parse_list_path(written: str, place: Place) -> tuple[Path, ...]:
    """A path that may go through lists: "objects[].fields" gives the path to the list and the path inside each of its elements."""
    written = written.strip()
    from_record = written == "$" or written.startswith("$.")
    rest = written[2:] if from_record else "" if written == "." else written
    levels: list[list[str | int | Match]] = [[]]
    position = 0
    while position < len(rest):
        segment = _SEGMENT.match(rest, position)
        if segment is None or not (segment["name"] or segment["brackets"]):
            raise place.error(f'"{written}" is not a path', _HINT)
        if segment["name"]:
            name = re.sub(r"\\(.)", r"\1", segment["name"])
            levels[-1].append(int(name) if name.isascii() and name.isdigit() else name)
        for bracket in re.findall(r"\[([^\[\]]*)\]", segment["brackets"]):
            if bracket == "":
                levels.append([])
            else:
                levels[-1].append(_bracket(bracket, written, place))
        position = segment.end()
    if rest.endswith(".") and not rest.endswith("\\."):
        raise place.error(f'"{written}" is not a path', _HINT)
    return tuple(Path(tuple(level), from_record and index == 0) for index, level in enumerate(levels))


def parse_template(written: str, place: Place) -> Template:
    """Text with paths in braces: "{firstName} {lastName}"."""
    pieces = _PLACEHOLDER.split(written)
    if len(pieces) == 1 or "{" in "".join(pieces[::2]) or "}" in "".join(pieces[::2]):
        raise place.error(f'"{written}" is not a template', 'write paths in braces: "{first} {last}"')
    parts = (parse_path(piece, place) if index % 2 else piece for index, piece in enumerate(pieces))
    return Template(tuple(part for part in parts if part != ""))


def follow(path: Path, element: object, record: object) -> object:
    """The value at the end of a path; None when the way is missing. Never raises, whatever the record holds."""
    value = record if path.from_record else element
    for step in path.steps:
        if isinstance(value, dict):
            value = None if isinstance(step, Match) else value.get(step if isinstance(step, str) else str(step))
        elif isinstance(value, list):
            value = _of_list(value, step)
        elif isinstance(value, Mapping) and isinstance(step, str):
            value = value.get(step)
        else:
            return None
    return value


def follow_all(paths: tuple[Path, ...], element: object, record: object) -> Iterator[object]:
    """The elements at the end of a path through lists; a single value counts as a list of one, null as none."""
    value = follow(paths[0], element, record)
    for item in value if isinstance(value, list) else (value,):
        if item is None:
            continue
        if len(paths) == 1:
            yield item
        else:
            yield from follow_all(paths[1:], item, record)


def written_id(value: object) -> str | None:
    """An id as text, whether the source wrote it as text or as a number of up to 64 bits; None for anything else."""
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**63:
        return str(value)
    return value if isinstance(value, str) else None


def _of_list(items: list[object], step: str | int | Match) -> object:
    if isinstance(step, int):
        return items[step] if step < len(items) else None
    if isinstance(step, Match):
        return next((item for item in items if isinstance(item, Mapping) and written_id(item.get(step.key)) == step.value), None)
    return None


def _bracket(bracket: str, written: str, place: Place) -> int | Match:
    if bracket.isascii() and bracket.isdigit():
        return int(bracket)
    key, equals, value = bracket.partition("=")
    if not (key and equals and value):
        raise place.error(f'"[{bracket}]" in "{written}" selects nothing', _HINT)
    return Match(key, value)
