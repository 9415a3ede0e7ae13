"""The kinds of values: how each is read from what a source wrote, as a clean value, nothing, or a reason why not."""

import html
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from phonenumbers import SUPPORTED_REGIONS

from pay_ready.errors import ConfigError
from pay_ready.pipeline.mapping.html_text import html_to_text
from pay_ready.pipeline.mapping.rules import Kind, Origin, Scalar
from pay_ready.pipeline.mapping.times import (
    MILLISECOND,
    SECOND,
    NotATimeError,
    TimeRangeError,
    parse_day,
    parse_epoch,
    parse_time,
    start_of_day,
)
from pay_ready.resolve.hosts import business_domain, parse_host
from pay_ready.resolve.normalize import (
    LONGEST_EMAIL,
    EmailAddress,
    PhoneNumber,
    clean_line,
    clean_text,
    parse_email,
    parse_phone,
    says_nothing,
)

Value = Scalar | datetime | EmailAddress | PhoneNumber

# Longer ones are no names and no ids: they would not fit into a database index (2,704 bytes an entry) and identify nothing.
LONGEST_LINE = 300
LONGEST_IDENTIFIER = 200
_EARLIEST = datetime.fromisoformat("1990-01-01T00:00:00+00:00")
_FUTURE = timedelta(days=731)
_LONGEST_DURATION_S = 1e9
# Milliseconds are divided: 2300 * 0.001 is not 2.3.
_SECONDS_IN: Mapping[Kind, tuple[int, int]] = {"duration_s": (1, 1), "duration_ms": (1, 1_000), "duration_min": (60, 1)}
_SIXTY_FOUR_BITS = 2**63
_EXACT_FLOAT = 2**53


class UnusableError(Exception):
    """A value that cannot be read as its kind; carries the reason."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True, kw_only=True)
class MappingContext:
    """What a tenant's settings say about reading its records.

    Raises:
        ConfigError: The region or time zone does not exist, or `now` names no zone.
    """

    phone_region: str = "US"  # for numbers without a country code
    time_zone: str = "UTC"  # for times without a zone
    email_validation: bool = True
    free_mail: frozenset[str] = frozenset()
    internal_domains: frozenset[str] = frozenset()  # the tenant's own: people there are internal
    now: datetime
    zone: ZoneInfo = field(init=False)
    latest: datetime = field(init=False)

    def __post_init__(self) -> None:
        if self.phone_region not in SUPPORTED_REGIONS:
            raise ConfigError("unknown phone region", 'use an ISO 3166 code such as "US"', phone_region=self.phone_region)
        if self.now.tzinfo is None:
            raise ConfigError("the time of staging names no zone", "pass an aware datetime", now=self.now)
        try:
            object.__setattr__(self, "zone", ZoneInfo(self.time_zone))
        except (KeyError, ValueError, OSError) as error:
            raise ConfigError("unknown time zone", 'use an IANA name such as "Europe/Berlin"', time_zone=self.time_zone) from error
        object.__setattr__(self, "latest", self.now + _FUTURE)


def read_as(raw: object, origin: Origin, context: MappingContext) -> Value | None:
    """A raw value read as the origin's kind; None when it says nothing.

    Raises:
        UnusableError: It says something else.
    """
    return _READERS[origin.kind](raw, origin, context)


def written_number(value: float) -> str:
    """A number as text; a whole float loses its ".0" and NaN is "nan"."""
    if isinstance(value, float) and value.is_integer() and abs(value) < _EXACT_FLOAT:
        return str(int(value))
    if isinstance(value, int) and abs(value) >= 10**LONGEST_LINE:
        raise UnusableError("line.too_long")
    return str(value)


def _text(raw: object) -> str:
    if isinstance(raw, str):
        return raw
    if isinstance(raw, int | float) and not isinstance(raw, bool):
        return written_number(raw)
    raise UnusableError("text.wrong_type")


def _replaced(text: str, origin: Origin) -> str:
    for pattern, replacement in origin.replacements:
        text = pattern.sub(replacement, text)
    return html.unescape(text) if origin.entities else text


def _read_line(raw: object, origin: Origin, _context: MappingContext) -> str | None:
    line = clean_line(_replaced(_text(raw), origin))
    if len(line) > LONGEST_LINE:
        raise UnusableError("line.too_long")
    return origin.meaning(line) or None


def _read_text(raw: object, origin: Origin, _context: MappingContext) -> str | None:
    return clean_text(_replaced(_text(raw), origin)) or None


def _read_html(raw: object, origin: Origin, _context: MappingContext) -> str | None:
    return clean_text(html_to_text(clean_text(_replaced(_text(raw), origin)))) or None


def _read_identifier(raw: object, origin: Origin, _context: MappingContext) -> str | None:
    if isinstance(raw, float) and not (raw.is_integer() and abs(raw) < _EXACT_FLOAT):
        raise UnusableError("identifier.wrong_type")
    if isinstance(raw, bool) or not isinstance(raw, str | int | float):
        raise UnusableError("identifier.wrong_type")
    identifier = clean_line(_text(raw))
    if len(identifier) > LONGEST_IDENTIFIER:
        raise UnusableError("identifier.too_long")
    if not identifier:
        return None
    if origin.prefixes:
        known = [prefix for prefix in origin.prefixes if identifier.startswith(prefix)]
        return f"{origin.prefixes[max(known, key=len)]}:{identifier}" if known else None
    return f"{origin.reference}:{identifier}" if origin.reference else identifier


def _read_choice(raw: object, origin: Origin, _context: MappingContext) -> str | None:
    word = str(raw).lower() if isinstance(raw, bool) else clean_line(_text(raw))
    chosen = origin.meaning(word)
    if chosen and chosen not in origin.choices:
        raise UnusableError("choice.unknown")
    return chosen or None


def _read_scalar(raw: object, origin: Origin, context: MappingContext) -> Scalar | None:
    if isinstance(raw, bool):
        return raw
    if isinstance(raw, str):
        return _read_line(raw, origin, context)
    number = _number(raw)
    # JSON numbers of any size are legal, but few readers keep those beyond 64 bits exact.
    return number if abs(number) < _SIXTY_FOUR_BITS else _read_line(raw, origin, context)


def _read_list(raw: object, origin: Origin, context: MappingContext) -> str | None:
    if not isinstance(raw, list):
        return _read_line(raw, origin, context)
    lines = [clean_line(_text(item)) for item in raw if isinstance(item, str | int | float) and not isinstance(item, bool)]
    joined = ", ".join(origin.meaning(line) for line in lines if line)
    if len(joined) > LONGEST_LINE:
        raise UnusableError("line.too_long")
    return joined or None


def _number(raw: object) -> int | float:
    if isinstance(raw, str):
        # A text like 1_000 is a number to Python alone.
        written = "" if "_" in raw or len(raw) > LONGEST_LINE else raw.strip()
        try:
            raw = int(written) if written.lstrip("+-").isdecimal() else float(written)
        except ValueError as error:
            raise UnusableError("number.invalid") from error
    if isinstance(raw, bool) or not isinstance(raw, int | float) or (isinstance(raw, float) and not math.isfinite(raw)):
        raise UnusableError("number.invalid")
    return raw


def _read_number(raw: object, _origin: Origin, _context: MappingContext) -> int | float:
    number = _number(raw)
    if abs(number) >= _SIXTY_FOUR_BITS:
        raise UnusableError("number.out_of_range")
    return number


def _read_integer(raw: object, origin: Origin, context: MappingContext) -> int:
    number = _read_number(raw, origin, context)
    if number != int(number):
        raise UnusableError("number.invalid")
    return int(number)


def _read_boolean(raw: object, _origin: Origin, _context: MappingContext) -> bool:
    word = str(raw).strip().lower() if isinstance(raw, str | bool) else None
    if word not in ("true", "false"):
        raise UnusableError("boolean.invalid")
    return word == "true"


def _read_email(raw: object, _origin: Origin, context: MappingContext) -> EmailAddress | None:
    if not isinstance(raw, str):
        raise UnusableError("email.invalid")
    written = clean_line(raw)
    email = parse_email(written, validate=context.email_validation)
    if email is None and written and not says_nothing(written):
        raise UnusableError("email.too_long" if len(written) > LONGEST_EMAIL else "email.invalid")
    if email is not None and "\ufffd" in email.address:
        # Where a NUL or half a surrogate pair stood. No mailbox has that letter, but a validator lets it pass.
        raise UnusableError("email.invalid")
    return email


def _read_phone(raw: object, _origin: Origin, context: MappingContext) -> PhoneNumber | None:
    written = clean_line(_text(raw))
    phone = parse_phone(written, context.phone_region)
    if phone is None and written and not says_nothing(written):
        raise UnusableError("phone.invalid")
    return phone


def _read_domain(raw: object, _origin: Origin, context: MappingContext) -> str | None:
    if not isinstance(raw, str):
        raise UnusableError("domain.invalid")
    written = clean_line(raw)
    # A free-mail provider or a page on a platform is a fair answer to "which website?", it only stands for no company.
    if written and not says_nothing(written) and parse_host(written) is None:
        raise UnusableError("domain.invalid")
    return business_domain(written, context.free_mail)


def _read_time(raw: object, origin: Origin, context: MappingContext) -> datetime | None:
    if isinstance(raw, str) and not raw.strip():
        return None
    zone = ZoneInfo(origin.zone) if origin.zone else context.zone
    try:
        if origin.kind == "timestamp":
            moment = parse_time(raw, zone, origin.format)
        elif origin.kind == "date":
            moment = start_of_day(parse_day(raw, zone), zone)
        else:
            moment = parse_epoch(raw, SECOND if origin.kind == "timestamp_s" else MILLISECOND)
    except NotATimeError:
        raise UnusableError("timestamp.invalid") from None
    except TimeRangeError:
        raise UnusableError("timestamp.out_of_range") from None
    if not _EARLIEST <= moment <= context.latest:
        raise UnusableError("timestamp.out_of_range")
    return moment


def _read_day(raw: object, origin: Origin, context: MappingContext) -> str | None:
    if isinstance(raw, str) and not raw.strip():
        return None
    try:
        return parse_day(raw, ZoneInfo(origin.zone) if origin.zone else context.zone).isoformat()
    except (NotATimeError, TimeRangeError):
        raise UnusableError("timestamp.invalid") from None


def _read_duration(raw: object, origin: Origin, _context: MappingContext) -> float:
    times, parts = _SECONDS_IN[origin.kind]
    try:
        seconds = float(_number(raw)) * times / parts
    except OverflowError as error:
        raise UnusableError("duration.out_of_range") from error
    if abs(seconds) > _LONGEST_DURATION_S:
        raise UnusableError("duration.out_of_range")
    return seconds


_READERS: Mapping[Kind, Callable[[object, Origin, MappingContext], Value | None]] = {
    "line": _read_line,
    "text": _read_text,
    "html": _read_html,
    "identifier": _read_identifier,
    "scalar": _read_scalar,
    "list": _read_list,
    "integer": _read_integer,
    "number": _read_number,
    "boolean": _read_boolean,
    "email": _read_email,
    "phone": _read_phone,
    "domain": _read_domain,
    "choice": _read_choice,
    "timestamp": _read_time,
    "timestamp_s": _read_time,
    "timestamp_ms": _read_time,
    "date": _read_time,
    "day": _read_day,
    "duration_s": _read_duration,
    "duration_ms": _read_duration,
    "duration_min": _read_duration,
}
