"""People who were erased stay away: what of a record on its way in is theirs, told by keyed digests alone. Pure.

The same eyes serve erasure itself, which knows the values: `Theirs` asks whether a value is known, not how.
"""

import hmac
import re
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Literal, cast

from msgspec import MsgspecError, structs

from pay_ready.db.landing import LandingRow, Refused
from pay_ready.model.ids import SourceId
from pay_ready.model.staged import StagedPerson, StagedRows
from pay_ready.pipeline.contracts import Breach, stage_record
from pay_ready.pipeline.land.record_range import Outside, RangedMaker
from pay_ready.pipeline.land.rows import LARGEST_DATA, RowMaker, StreamPlan, payload_of
from pay_ready.pipeline.land.values import decode, fits_jsonb, lenient
from pay_ready.pipeline.mapping.kinds import MappingContext
from pay_ready.pipeline.mapping.rules import SourceMapping
from pay_ready.resolve.normalize import parse_email, parse_phone
from pay_ready.sources.cursors import canonical
from pay_ready.sources.protocol import Record

Kind = Literal["email", "phone", "record"]
ERASED = "[erased]"  # stands in a text where something was struck out
# Ids of a source that are shorter may be anything else, too: an amount, a number of employees.
DISTINCT_ID = 6  # characters

_EMAIL = re.compile(r"[\w.+%'-]+@[\w-]+(?:\.[\w-]+)+")
_PHONE = re.compile(r"(?<![\w])\+?\(?\d(?:[\s().\-/\u2010-\u2015\u00a0]{0,3}\d){6,16}(?!\w)")
_E164 = re.compile(r"\+[1-9]\d{6,14}")
_MENTION = re.compile(r"(?<=<@)\w+")
_KEYLESS = re.compile(r"([0-9a-f]{64})\.\d+")
_LONGEST_VALUE = 320  # characters


@dataclass(frozen=True, slots=True, kw_only=True)
class Theirs:
    """Tells what in a document is about somebody.

    `knows`: whether an address (normalised), a number (E.164) or an id of the source is theirs; `names`: what they are called, where
    that is known.
    """

    knows: Callable[[Kind, str], bool]
    region: str  # for numbers without a country code
    names: re.Pattern[str] | None = None

    def hold(self, value: object) -> bool:
        """Whether a value as a whole is theirs."""
        if isinstance(value, bool) or not isinstance(value, str | int):
            return False
        text = str(value).strip()
        if not text or len(text) > _LONGEST_VALUE:
            return False
        if "@" in text and self._is_email(text):
            return True
        if _PHONE.fullmatch(text) and self._is_phone(text):
            return True
        return self.knows("record", text) or bool(self.names and self.names.fullmatch(text))

    def strike(self, text: str) -> str:
        """A text without their addresses, numbers, mentions and names."""
        if "@" in text:
            text = _EMAIL.sub(lambda found: ERASED if self._is_email(found[0]) else found[0], text)
            text = _MENTION.sub(lambda found: ERASED if self.knows("record", found[0]) else found[0], text)
        text = _PHONE.sub(lambda found: ERASED if self._is_phone(found[0]) else found[0], text)
        return self.names.sub(ERASED, text) if self.names else text

    def reach(self, text: str) -> bool:
        """Whether an address or a number of theirs occurs in a text."""
        return any(map(self._is_email, _EMAIL.findall(text))) or any(map(self._is_phone, _PHONE.findall(text)))

    def _is_email(self, text: str) -> bool:
        return any(self.knows("email", each) for each in _emails(text))

    def _is_phone(self, text: str) -> bool:
        number = _phone(text, self.region)
        return number is not None and self.knows("phone", number)


@lru_cache(maxsize=50_000)
def _emails(text: str) -> tuple[str, ...]:
    # Checking an address takes far longer than reading one; beyond ASCII its host has two spellings.
    address = parse_email(text, validate=not text.isascii())
    plain = text.casefold()
    return (plain,) if address is None or address.normalized == plain else (address.normalized, plain)


@lru_cache(maxsize=50_000)
def _phone(text: str, region: str) -> str | None:
    if _E164.fullmatch(text):  # as most sources write it: it need not be understood to be compared
        return text
    number = parse_phone(text, region)
    if number is None and not text.startswith("+"):
        number = parse_phone(f"+{text}", region)
    return number.e164 if number else None


def masked(document: object, theirs: Theirs) -> object:
    """The document without what is theirs; the very same object when nothing is.

    An element of a list that holds a value of theirs is about them: it loses all its texts. Elsewhere the value alone goes, so that the
    rest of an interaction stays. Keys, order and numbers stay.
    """
    if isinstance(document, str):
        if theirs.hold(document):
            return None
        struck = theirs.strike(document)
        return document if struck == document else struck
    if isinstance(document, dict):
        found = {key: masked(value, theirs) for key, value in document.items()}
        return found if any(found[key] is not value for key, value in document.items()) else document
    if isinstance(document, list):
        elements = [_masked_element(each, theirs) for each in document if isinstance(each, dict | list) or not theirs.hold(each)]
        is_same = len(elements) == len(document) and all(one is other for one, other in zip(elements, document, strict=True))
        return document if is_same else elements
    return None if theirs.hold(document) else document


def _masked_element(element: object, theirs: Theirs) -> object:
    if isinstance(element, dict) and _is_about(element, theirs):
        return _without_texts(element, theirs)
    return masked(element, theirs)


def _is_about(element: Mapping[str, object], theirs: Theirs) -> bool:
    """Whether an object holds a value of theirs itself, in objects within it, or in plain lists and pairs of a name and a value."""
    for value in element.values():
        if isinstance(value, dict):
            if _is_about(value, theirs):
                return True
        elif isinstance(value, list):
            if any(_is_about(each, theirs) if _is_pair(each) else theirs.hold(each) for each in value):
                return True
        elif theirs.hold(value):
            return True
    return False


def _is_pair(element: object) -> bool:
    return isinstance(element, dict) and "value" in element and not any(isinstance(each, dict | list) for each in element.values())


def _without_texts(value: object, theirs: Theirs) -> object:
    if isinstance(value, dict):
        return {key: _without_texts(each, theirs) for key, each in value.items()}
    if isinstance(value, list):
        return [_without_texts(each, theirs) for each in value if isinstance(each, dict | list)]
    return None if isinstance(value, str) or theirs.hold(value) else value


def key_tells(theirs: Theirs, record_key: str) -> bool:
    """Whether a record's key holds an address, a number, a name or an id of theirs."""
    parts = re.split(r'[\[\]",\s]+', record_key)
    return theirs.strike(record_key) != record_key or any(theirs.knows("record", part) for part in parts if part)


def plain_key(record_key: str) -> str:
    """A record's key as it is suppressed: that of a record without one, which is its digest, without its ordinal."""
    found = _KEYLESS.fullmatch(record_key)
    return found[1] if found else record_key


def key_text(source: SourceId, stream: str, record_key: str) -> str:
    """What is digested of a landed record's key."""
    return f"key\n{source}\n{stream}\n{plain_key(record_key)}"


def id_text(source: SourceId, identifier: str) -> str:
    """What is digested of an id that a source gives to a person."""
    return f"id\n{source}\n{identifier}"


def digest_of(key: bytes, kind: Kind, text: str) -> bytes:
    """The keyed digest (32 bytes) of a normalised value."""
    return hmac.digest(key, f"{kind}\n{text}".encode("utf-8", "surrogatepass"), "sha256")


def owns(person: StagedPerson, theirs: Theirs) -> bool:
    """Whether a person as a record lists them is one of these."""
    identifier = person.key.partition(":")[2].rpartition(":")[2]
    values = (person.email, person.email_normalized, person.phone, *person.attributes.values())
    # Ids among the attributes are those of an owner or a manager.
    return theirs.knows("record", identifier) or any(isinstance(value, str) and theirs.reach(value) for value in values)


@dataclass(frozen=True, slots=True, kw_only=True)
class Suppressor:
    """Keeps the records of erased people of one tenant from landing from one source."""

    source: SourceId
    mapping: SourceMapping
    context: MappingContext
    keys: Sequence[bytes] = field(repr=False)
    digests: Mapping[Kind, Set[bytes]]  # by kind; not all are empty

    def kept_maker(self, make: RowMaker | RangedMaker, plan: StreamPlan) -> RangedMaker:
        """The function from a record to its row that leaves out what is an erased person's, and masks it in others' records."""
        theirs = Theirs(knows=self._knows, region=self.context.phone_region)

        def make_kept(record: Record) -> LandingRow | Refused | Outside:
            row = make(record)
            if isinstance(row, str):
                return row
            if isinstance(row, Refused):
                raw = row.raw if row.raw is not None else row.payload.content if row.payload else b""
                text = raw.decode("utf-8", "replace")
                is_theirs = theirs.strike(text) != text or self._has("record", f"refused\n{row.quarantine_id}")
                return "suppressed" if is_theirs else row
            if self._has("record", key_text(self.source, plan.stream, row.record_key.decode())):
                return "suppressed"
            return row if row.deleted else self._kept(row, plan.stream, theirs)

        return make_kept

    def _kept(self, row: LandingRow, stream: str, theirs: Theirs) -> LandingRow | Outside:
        content = row.data if row.data is not None else row.payload.content if row.payload else b""
        value = decoded(content)
        clean = masked(value, theirs)
        if clean is value:
            return row
        if is_about(self.mapping, self.context, stream, row.record_key.decode(), content, theirs):
            return "suppressed"
        # The hash stays that of what the source sent: its sending it again changes nothing.
        text = written(clean)
        if fits_jsonb(text, clean) and len(text) <= LARGEST_DATA:
            return structs.replace(row, data=text, payload=None)
        return structs.replace(row, data=None, payload=payload_of(self.source, text))

    def _knows(self, kind: Kind, text: str) -> bool:
        if kind == "record":
            return DISTINCT_ID <= len(text) <= _LONGEST_VALUE and self._has("record", id_text(self.source, text))
        return self._has(kind, text)

    def _has(self, kind: Kind, text: str) -> bool:
        held = self.digests.get(kind)
        return bool(held) and any(digest_of(key, kind, text) in cast("Set[bytes]", held) for key in self.keys)


def is_about(mapping: SourceMapping, context: MappingContext, stream: str, record_key: str, content: bytes, theirs: Theirs) -> bool:
    """Whether a record that holds a value of theirs lists them: then it is theirs as a whole. A broken one of such a stream is."""
    rules = mapping.stream(stream)
    if rules is None or rules.ignore is not None or not rules.people:
        return False
    outcome = stage_record(mapping, stream, record_key, content, context)
    if isinstance(outcome, StagedRows):
        return any(owns(person, theirs) for person in outcome.people)
    return isinstance(outcome, Breach)


def decoded(content: bytes) -> object:
    """A record's value, read leniently where it must be; its text when it is no JSON at all."""
    try:
        return decode(content)
    except (MsgspecError, RecursionError, UnicodeError, ArithmeticError):
        try:
            return lenient(content)[0]
        except ValueError:
            return content.decode("utf-8", "replace")


def written(value: object) -> bytes:
    """A value as canonical JSON; with what only the lenient reader takes, as that writes it."""
    try:
        return canonical(value)
    except (MsgspecError, UnicodeError, ArithmeticError, TypeError, ValueError):
        import json

        return json.dumps(value, sort_keys=True, separators=(",", ":"), default=str).encode()
