"""Where a text holds a personal value that its form gives away: e-mail, phone, card, IBAN, social security number, IP address.

Numbers that have a check digit are taken only when it holds. Dates, times and ids are told apart from phone numbers, so that an answer
keeps them. One pass; linear in the length of the text.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from pay_ready.logs import EMAIL

PersonalKind = Literal["email", "phone", "card", "iban", "ssn", "ip", "person", "company"]

MASKED = r"<(?:email|phone|card|iban|ssn|ip|person|company):[0-9a-f]{8}>"  # what a value is replaced by; never read again
_OCTET = r"(?:25[0-5]|2[0-4]\d|1?\d?\d)"
_HEX = "[0-9a-fA-F]{1,4}"
_IP6 = (
    rf"(?<![\w:])(?:{_HEX}:){{7}}{_HEX}(?![\w:])"
    rf"|(?<![\w:])(?=[0-9a-fA-F:]{{6,39}}(?![\w:]))(?:{_HEX}(?::{_HEX}){{0,6}})?::(?:{_HEX}(?::{_HEX}){{0,6}})?"
)
_DATE = r"\d{4}-\d{2}-\d{2}|\d{1,2}[./]\d{1,2}[./](?:\d{4}|\d{2})(?![\d/-]|\.\d)"
_TIME = r"[T ]+\d{1,2}:\d{2}(?::\d{2}(?:\.\d+)?)?(?:Z|[+-]\d{2}:?\d{2})?"
# The first alternative that holds at a place wins; those that begin with keep_ are consumed and left as they are.
_PERSONAL = re.compile(
    "|".join(
        (
            rf"(?P<keep_token>{MASKED})",
            rf"(?P<email>{EMAIL})",
            r"(?P<keep_id>\b[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}\b)",
            r"(?P<iban>\b[A-Za-z]{2}\d{2}(?:[A-Za-z0-9]{11,30}|(?:[ -][A-Za-z0-9]{4}){2,7}(?:[ -][A-Za-z0-9]{1,4})?)\b)",
            rf"(?P<ip>(?<![\w.]){_OCTET}(?:\.{_OCTET}){{3}}(?![\w])(?!\.\d))",
            rf"(?P<ip6>{_IP6})",
            rf"(?P<keep_date>(?<![\w+])(?:{_DATE})(?:{_TIME})?(?![\w-]))",
            r"(?P<ssn>(?<![\w.-])(?!000|666)\d{3}[- ](?!00)\d{2}[- ](?!0000)\d{4}(?![\w-]))",
            r"(?P<card>(?<![\w.])\d(?:[ -]?\d){11,18}(?![\w]))",
            r"(?P<keep_money>[$€£¥]\s?\d[\d ,.]*\d)",
            r"(?P<phone>(?<![\w./-])(?:\+|\()?\d[\d ()./-]{5,28}\d(?:\s?(?:x|ext\.?|extension)\s?\d{1,6})?(?![\w]|-\d|[.,:]\d))",
        )
    )
)
_SPLIT_DIGITS = re.compile(r"\d+")
_EXTENSION = re.compile(r"\s?(?:x|ext\.?|extension)\s?\d{1,6}$")
_YEARS = re.compile(r"(?:1[89]|20)\d\d\s*[-/]\s*(?:1[89]|20)?\d\d")
_PHONE_DIGITS = range(7, 16)  # ITU-T E.164: at most 15
_CARD_FORM = re.compile(r"[2-6]\d{15}|3[47]\d{13}")
_IBAN_LENGTHS = {  # SWIFT's IBAN registry; of other countries the check digits decide
    "AT": 20, "BE": 16, "BG": 22, "CH": 21, "CY": 28, "CZ": 24, "DE": 22, "DK": 18, "EE": 20, "ES": 24, "FI": 18, "FR": 27, "GB": 22,
    "GR": 27, "HR": 21, "HU": 28, "IE": 22, "IL": 23, "IS": 26, "IT": 27, "LI": 21, "LT": 20, "LU": 20, "LV": 21, "MT": 31, "NL": 18,
    "NO": 15, "PL": 28, "PT": 25, "RO": 24, "SA": 24, "SE": 24, "SI": 19, "SK": 24, "TR": 26,
}  # fmt: skip
_CARD_DIGITS = range(12, 20)  # ISO/IEC 7812


@dataclass(frozen=True, slots=True)
class PersonalSpan:
    """`text[start:end]` is a personal value."""

    start: int
    end: int
    kind: PersonalKind
    value: str  # normalised: the same value however it is set


def personal_spans(text: str) -> Iterator[PersonalSpan]:
    """The personal values in a text by their form, in order; they do not overlap."""
    place = 0
    while found := _PERSONAL.search(text, place):
        name = str(found.lastgroup)
        place = max(found.end(), found.start() + 1)
        if name.startswith("keep_"):
            continue
        span = _checked(name, found[0], found.start())
        if span is None and name in {"iban", "card"}:
            # Not what it looked like: a phone number may stand inside.
            span = _phone_within(found[0], found.start())
        if span is not None:
            yield span


def holds_luhn(digits: str) -> bool:
    """Whether the last digit is the check digit of the others: Luhn, ISO/IEC 7812-1 annex B."""
    doubled = [int(digit) * (1 + place % 2) for place, digit in enumerate(reversed(digits))]
    return sum(value - 9 if value > 9 else value for value in doubled) % 10 == 0


def holds_iban(value: str) -> bool:
    """Whether the check digits of an IBAN without blanks hold: ISO 13616, remainder 1 by 97."""
    turned = value[4:] + value[:4]
    return 15 <= len(value) <= 34 and value.isascii() and int("".join(str(int(letter, 36)) for letter in turned)) % 97 == 1


def _digits(text: str) -> str:
    return "".join(_SPLIT_DIGITS.findall(text))


def _iban(text: str) -> str | None:
    value = re.sub(r"[ -]", "", text).upper()
    # With a slip in it, it is still somebody's account: where country and length fit, the check digits are not asked.
    return value if len(value) == _IBAN_LENGTHS.get(value[:2], 0) or holds_iban(value) else None


def _card(text: str) -> str | None:
    digits = _digits(text)
    is_card = len(digits) in _CARD_DIGITS and holds_luhn(digits) and digits.strip("0")
    # A mistyped card gives away as much: the lengths and first digits of the large networks count without the check digit.
    return digits if is_card or _CARD_FORM.fullmatch(digits) else None


def _phone(text: str) -> str | None:
    digits = _digits(_EXTENSION.sub("", text)).removeprefix("00")
    if len(digits) not in _PHONE_DIGITS or _YEARS.fullmatch(text.strip()):
        return None
    groups = text.split()
    if len(groups) == 2 and all(map(str.isdigit, groups)) and not text.startswith("0"):
        # "17151 2450" is a house and a postcode; people set a number in two parts as 3 or 4 and 4, or with a long second one.
        lengths = len(groups[0]), len(groups[1])
        return digits if lengths in {(3, 4), (4, 4)} or lengths[1] >= 6 else None
    return digits


_CHECKS: Mapping[str, tuple[PersonalKind, Callable[[str], str | None]]] = {
    "email": ("email", str.casefold), "iban": ("iban", _iban), "ip": ("ip", str.lower), "ip6": ("ip", str.lower), "ssn": ("ssn", _digits),
    "card": ("card", _card), "phone": ("phone", _phone),
}  # fmt: skip


def _checked(name: str, text: str, start: int) -> PersonalSpan | None:
    kind, check = _CHECKS[name]
    value = check(text)
    if value is None and name == "iban" and " " in text:
        return _checked(name, text.rpartition(" ")[0], start)  # the word behind it may have been taken for its last part
    return None if value is None else PersonalSpan(start, start + len(text), kind, value)


def _phone_within(text: str, start: int) -> PersonalSpan | None:
    digits = re.search(r"\d(?:[ -]?\d){6,}", text)
    return None if digits is None else _checked("phone", digits[0], start + digits.start())
