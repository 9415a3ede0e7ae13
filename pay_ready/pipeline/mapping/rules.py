"""The rules that a mapping file declares, parsed and checked: what to read from a landed record, and what to make of it.

Frozen values. `mapping` builds them from TOML, `scope` reads with them, `contracts` applies them.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Scalar = str | int | float | bool
Kind = Literal[
    "line", "text", "html", "identifier", "scalar", "list", "integer", "number", "boolean", "email", "phone", "domain", "choice",
    "timestamp", "timestamp_s", "timestamp_ms", "date", "day", "duration_s", "duration_ms", "duration_min",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Match:
    """The first element of a list whose `key` has this value: "fields[name=Website]"."""

    key: str
    value: str


@dataclass(frozen=True, slots=True)
class Path:
    """A way into a record: keys, positions in lists, matches."""

    steps: tuple[str | int | Match, ...]
    from_record: bool = False  # written "$.…": from the record, also inside a list


@dataclass(frozen=True, slots=True)
class Template:
    """Text with values in it; a blank part is left out, but an identifier lacks all when it lacks one."""

    parts: tuple[str | Path, ...]


@dataclass(frozen=True, slots=True)
class Condition:
    """One test of a record or list element; several together mean all of them."""

    path: Path
    test: Literal["in", "not_in", "present", "same_as"]
    values: tuple[Scalar, ...] = ()
    present: bool = True
    other: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """One place that a value may come from, and how it is read there."""

    source: Path | Template | Scalar  # a scalar is a constant
    kind: Kind
    when: tuple[Condition, ...] = ()
    zone: str | None = None  # IANA name, for times without one; None: the tenant's
    format: str | None = None  # strptime, for times that are not ISO 8601
    meanings: Mapping[str, str] = field(default_factory=dict)  # the source's words to ours; "" says nothing
    choices: tuple[str, ...] = ()  # the words allowed, of kind "choice"
    reference: str | None = None  # the namespace of an identifier
    prefixes: Mapping[str, str] = field(default_factory=dict)  # namespace by the identifier's first characters
    replacements: tuple[tuple[re.Pattern[str], str], ...] = ()
    entities: bool = False  # "&amp;" and the like are written out

    def meaning(self, word: str) -> str:
        """Our word for one of the source's; "*" stands for every other."""
        return self.meanings[word] if word in self.meanings else self.meanings.get("*", word)


@dataclass(frozen=True, slots=True, kw_only=True)
class ValueRule:
    """One field of a staged row: the first origin that gives a value wins."""

    name: str  # "person.email", for reasons and messages
    origins: tuple[Origin, ...]
    required: bool = False
    strict: bool = False  # an unusable value breaks the contract; otherwise it is left out and noted
    default: Scalar | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EachRule:
    """The elements of a list: each of a JSON list, the parts of a text, or what a pattern finds in it."""

    path: tuple[Path, ...]  # more than one: lists within lists, written "objects[].fields"
    split: re.Pattern[str] | None = None
    find: re.Pattern[str] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CompanyRule:
    """How a company is read."""

    when: tuple[Condition, ...] = ()
    fields: Mapping[str, ValueRule]
    attributes: Mapping[str, ValueRule] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonRule:
    """How a person is read."""

    when: tuple[Condition, ...] = ()
    fields: Mapping[str, ValueRule]
    company: CompanyRule | None = None
    usual_side: str | None = None  # when neither the record nor the e-mail's host tells
    attributes: Mapping[str, ValueRule] = field(default_factory=dict)

    @property
    def is_named(self) -> bool:
        """Whether any part of a name is read; a mere reference to a listed person has none."""
        return "full_name" in self.fields or "last_name" in self.fields or "first_name" in self.fields


@dataclass(frozen=True, slots=True, kw_only=True)
class ParticipantRule:
    """How the appearances in an interaction are read: of one person or company, or of one for each element of a list."""

    role: ValueRule
    each: EachRule | None = None
    when: tuple[Condition, ...] = ()
    person: PersonRule | None = None  # exactly one of person and company
    company: CompanyRule | None = None
    speaker: ValueRule | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnRule:
    """How a transcript is read: one turn for each element; `sentences` are its parts, where the source splits it further."""

    each: EachRule
    speaker: ValueRule
    text: ValueRule
    start: ValueRule | None = None
    end: ValueRule | None = None
    sentences: EachRule | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class InteractionRule:
    """How an interaction is read."""

    when: tuple[Condition, ...] = ()
    precedence: int = 0
    fields: Mapping[str, ValueRule]
    participants: tuple[ParticipantRule, ...] = ()
    turns: TurnRule | None = None
    metadata: Mapping[str, ValueRule] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class SkipRule:
    """Rows that are unmapped on purpose, and why."""

    when: tuple[Condition, ...]
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamMapping:
    """What one stream of a source says."""

    name: str
    aliases: tuple[str, ...] = ()  # its names in other versions of the connector, and streams of the same shape
    primary_key: tuple[tuple[str, ...], ...] = ()  # as Airbyte writes it; empty: the catalog's
    cursor: tuple[str, ...] = ()  # likewise
    reference: str | None = None  # the namespace of this stream's own ids
    ignore: str | None = None  # why no row of it is mapped
    skips: tuple[SkipRule, ...] = ()
    people: tuple[PersonRule, ...] = ()
    companies: tuple[CompanyRule, ...] = ()
    interactions: tuple[InteractionRule, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceMapping:
    """What one kind of source says."""

    kind: str
    title: str
    version: int
    contract_version: str  # "gong-1-3f2a9c81d0aa": kind, version, start of the sha256 of the canonical content
    streams: Mapping[str, StreamMapping]  # by name

    def stream(self, name: str) -> StreamMapping | None:
        """The stream of this name or alias."""
        return self.streams.get(name) or next((stream for stream in self.streams.values() if name in stream.aliases), None)
