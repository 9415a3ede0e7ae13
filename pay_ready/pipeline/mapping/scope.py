"""Reads the fields of one record, or of one element of a list in it, by their rules."""

from collections.abc import Iterator, Mapping
from datetime import datetime

from pay_ready.pipeline.mapping.kinds import MappingContext, UnusableError, Value, read_as, written_number
from pay_ready.pipeline.mapping.paths import follow, follow_all, written_id
from pay_ready.pipeline.mapping.rules import Condition, EachRule, Origin, Path, Scalar, Template, ValueRule
from pay_ready.resolve.normalize import EmailAddress, PhoneNumber


class BrokenContractError(Exception):
    """The whole record breaks its contract: the reason and the field, never the value."""

    def __init__(self, reason: str, field: str) -> None:
        super().__init__(reason)
        self.reason, self.field = reason, field


class Scope:
    """One element being read (the record itself, or one of a list in it), and the fields that could not be used."""

    __slots__ = ("context", "element", "record", "unusable")

    def __init__(self, element: object, record: object, context: MappingContext, unusable: list[str]) -> None:
        self.element, self.record, self.context, self.unusable = element, record, context, unusable

    def inner(self, element: object) -> "Scope":
        """The same record seen from one element of a list in it, with its own list of unusable fields."""
        return Scope(element, self.record, self.context, [])

    def beside(self) -> "Scope":
        """The same element with its own list of unusable fields."""
        return Scope(self.element, self.record, self.context, [])

    def holds(self, conditions: tuple[Condition, ...]) -> bool:
        """Whether all conditions are met."""
        for condition in conditions:  # noqa: SIM110 - a generator costs a fifth of a chat message's time
            if not self._meets(condition):
                return False
        return True

    def each(self, rule: EachRule) -> Iterator[object]:
        """The elements that a list rule finds."""
        for item in follow_all(rule.path, self.element, self.record):
            if rule.find is not None:
                yield from (match[match.lastindex or 0] for match in rule.find.finditer(item)) if isinstance(item, str) else ()
            elif rule.split is not None and isinstance(item, str):
                yield from (part for part in rule.split.split(item) if part and part.strip())
            else:
                yield item

    def read(self, rule: ValueRule | None) -> Value | None:
        """The field's value, or None.

        Raises:
            BrokenContractError: It is required and missing, or strict and unusable.
        """
        if rule is None:
            return None
        for origin in rule.origins:
            if origin.when and not self.holds(origin.when):
                continue
            try:
                raw = self._raw(origin)
                value = None if raw is None or raw == "" else read_as(raw, origin, self.context)
            except UnusableError as unusable:
                if rule.strict:
                    raise BrokenContractError(unusable.reason, rule.name) from None
                self.note(rule.name)
                continue
            if value is not None:
                return value
        if rule.default is None and rule.required:
            raise BrokenContractError("field.missing", rule.name)
        return rule.default

    def line(self, rule: ValueRule | None) -> str | None:
        """A field that is text."""
        if rule is None:
            return None
        value = self.read(rule)
        return value if value is None or isinstance(value, str) else str(value)

    def moment(self, rule: ValueRule | None) -> datetime | None:
        """A field that is a time."""
        value = self.read(rule)
        return value if isinstance(value, datetime) else None

    def seconds(self, rule: ValueRule | None) -> float | None:
        """A field that is a duration."""
        value = self.read(rule)
        return value if isinstance(value, float) else None

    def email(self, rule: ValueRule | None) -> EmailAddress | None:
        """A field that is an e-mail address."""
        value = self.read(rule)
        return value if isinstance(value, EmailAddress) else None

    def phone(self, rule: ValueRule | None) -> PhoneNumber | None:
        """A field that is a phone number."""
        value = self.read(rule)
        return value if isinstance(value, PhoneNumber) else None

    def scalars(self, rules: Mapping[str, ValueRule]) -> dict[str, Scalar]:
        """The attributes that have a value, as a JSON object holds them."""
        values = ((name, self.read(rule)) for name, rule in rules.items())
        return {name: _as_scalar(value) for name, value in values if value is not None}

    def note(self, name: str) -> None:
        """Remember that a field's value could not be used."""
        short = name.rpartition(".")[2]
        if short not in self.unusable:
            self.unusable.append(short)

    def _raw(self, origin: Origin) -> object:
        source = origin.source
        if isinstance(source, Path):
            return follow(source, self.element, self.record)
        return self._filled(source, origin) if isinstance(source, Template) else source

    def _filled(self, template: Template, origin: Origin) -> str | None:
        pieces: list[str] = []
        found = 0
        for part in template.parts:
            if isinstance(part, str):
                pieces.append(part)
                continue
            raw = follow(part, self.element, self.record)
            if isinstance(raw, str | int | float) and not isinstance(raw, bool) and raw != "":
                found += 1
                pieces.append(raw if isinstance(raw, str) else written_number(raw))
            elif origin.kind == "identifier":
                return None
        return "".join(pieces) if found else None

    def _meets(self, condition: Condition) -> bool:
        value = follow(condition.path, self.element, self.record)
        if condition.test == "present":
            return (value is not None and value not in ("", [])) is condition.present
        if condition.test == "same_as" and condition.other is not None:
            return _is_same(value, follow(condition.other, self.element, self.record))
        # True equals 1 in Python, but not in JSON.
        among = value in condition.values and any(type(value) is type(listed) and value == listed for listed in condition.values)
        return among is (condition.test == "in")


def _is_same(left: object, right: object) -> bool:
    """Whether two ids are equal, a number and its digits included."""
    written = [written_id(value) for value in (left, right)]
    return bool(written[0]) and written[0] == written[1]


def _as_scalar(value: Value) -> Scalar:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, EmailAddress):
        return value.normalized
    return value.e164 if isinstance(value, PhoneNumber) else value
