"""Values as people write them, made comparable: text, e-mail addresses, phone numbers, names. Pure: no network, file or clock.

Hosts and domains are in `hosts`. Staging and resolution share both, so that a value has one normal form.
"""

import re
import unicodedata
from collections.abc import Set
from dataclasses import dataclass

import phonenumbers
from email_validator import EmailNotValidError, validate_email

from pay_ready.resolve.company_words import ASIAN_LEGAL_FORMS, LEGAL_FORMS, LONGEST_LEGAL_FORM, ORDINARY_WORDS_TOO
from pay_ready.resolve.hosts import parse_host
from pay_ready.resolve.name_words import PARTICLES_OF_FAMILY_NAMES, SUFFIXES, TITLES

LONGEST_EMAIL = 320  # 64 of the local part, "@", 255 of the domain
LONGEST_PHONE = 60

# The provider's other names for the same mailbox.
_CANONICAL_MAIL_HOSTS = {"googlemail.com": "gmail.com"}
_HOSTS_THAT_IGNORE_DOTS = frozenset({"gmail.com"})
_NOTHING = frozenset(
    {"-", "--", "---", "?", ".", "n/a", "na", "nil", "none", "null", "undefined", "unknown", "tbd", "not provided", "[not provided]"}
)
# Folding beyond what NFKD and casefold do: letters that do not decompose.
_LETTERS = str.maketrans(
    {"ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "æ": "ae", "œ": "oe", "ı": "i", "ħ": "h", "ŋ": "n", "ŧ": "t", "’": "'", "`": "'"}
)
_NO_NAMES = frozenset(
    {"", "-", "--", "---", "?", ".", "n/a", "(none)", "unknown", "undefined", "[unknown]", "[not provided]", "not provided", "no name"}
)
_LETTERS_JOINED_BY_SLASH = re.compile(r"\b(\w)/(\w)\b")


@dataclass(frozen=True, slots=True)
class EmailAddress:
    """One e-mail address."""

    address: str  # as written, trimmed, without a display name
    normalized: str  # lower case, canonical host, no plus tag
    host: str  # of `normalized`, ASCII; "" when the address was kept unvalidated and has none


@dataclass(frozen=True, slots=True)
class PhoneNumber:
    """One valid phone number."""

    e164: str
    extension: str | None = None


@dataclass(frozen=True, slots=True)
class PersonName:
    """A person's name in two parts; either may be missing."""

    first: str | None
    last: str | None


class _WithoutMarks(dict[int, int | None]):
    """By sign itself, None for a combining mark; filled as signs come."""

    def __missing__(self, sign: int) -> int | None:
        kept = None if unicodedata.combining(chr(sign)) else sign
        self[sign] = kept
        return kept


_WITHOUT_MARKS = _WithoutMarks()


def clean_text(text: str) -> str:
    """Text that every store can hold, trimmed: NUL and lone surrogates become U+FFFD, line ends become a newline."""
    if not text.isascii():
        text = _without_lone_surrogates(text)
    if "\x00" in text:
        text = text.replace("\x00", "\ufffd")
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    return text.strip()


def clean_line(text: str) -> str:
    """`clean_text` on one line, each run of white space one blank."""
    return " ".join(clean_text(text).split())


def says_nothing(text: str) -> bool:
    """Whether a value only says that there is none ("n/a", "-", "[not provided]"). Not for names: Na, Null and None are surnames."""
    return text.casefold() in _NOTHING


def fold(text: str) -> str:
    """Text for comparing: lower case, without accents, ASCII letters where a Latin letter has one."""
    if text.isascii():
        return text.lower()
    decomposed = unicodedata.normalize("NFKD", text.casefold().translate(_LETTERS))
    return decomposed.translate(_WITHOUT_MARKS).translate(_LETTERS)


def parse_email(text: str, *, validate: bool = True) -> EmailAddress | None:
    """The address in a text such as "Ada <ada@acme.com>" or "mailto:ada@acme.com"; None when there is none.

    Reserved names (.test, .example) and private ones (.local) are let through: only their syntax can be judged here, and no network
    is asked. With `validate` off whatever was written is kept, lower-cased, up to `LONGEST_EMAIL` characters.
    """
    text = clean_line(text)
    if "<" in text and text.endswith(">"):
        text = text[text.rindex("<") + 1 : -1].strip()
    text = re.sub(r"^mailto:", "", text, flags=re.IGNORECASE)
    if not text or len(text) > LONGEST_EMAIL or says_nothing(text):
        return None
    return _validated(text) if validate else _unvalidated(text)


def is_role_address(email_normalized: str, role_local_parts: Set[str]) -> bool:
    """Whether an address names a function (info@, sales@), not a person."""
    return email_normalized.partition("@")[0] in role_local_parts


def parse_phone(text: str, region: str) -> PhoneNumber | None:
    """A phone number as dialled inside `region` (ISO 3166 code such as "US"); None when it is no valid number."""
    text = clean_line(text)
    if not text or len(text) > LONGEST_PHONE:
        return None
    try:
        number = phonenumbers.parse(text, region)
    except phonenumbers.NumberParseException:
        return None
    if not phonenumbers.is_valid_number(number):
        return None
    return PhoneNumber(phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164), number.extension or None)


def is_no_name(text: str) -> bool:
    """Whether a name field holds no name: empty, a filler, an e-mail address or a phone number."""
    return text.casefold() in _NO_NAMES or "@" in text or not any(letter.isalpha() for letter in text)


def split_name(full_name: str) -> PersonName:
    """First and last name of a full one: "Dr. Ludwig van Beethoven" and "van Beethoven, Ludwig" both give ("Ludwig", "van Beethoven")."""
    before, comma, after = full_name.partition(",")
    if comma and after.strip() and not _is_suffix(after):
        return PersonName(_joined(_name_words(after)), _joined(_name_words(before)))
    words = _name_words(full_name)
    if len(words) < 2:
        return PersonName(_joined(words), None)
    start = len(words) - 1
    while start > 1 and words[start - 1].lower() in PARTICLES_OF_FAMILY_NAMES:
        start -= 1
    return PersonName(_joined(words[:start]), _joined(words[start:]))


def join_name(first: str | None, last: str | None) -> str | None:
    """The full name, first name first; None when both parts are missing."""
    return _joined([part for part in (first, last) if part])


def normalize_person_name(name: str) -> str:
    """A person's name for comparing: folded, without titles, suffixes and punctuation; the order of words stays."""
    words = fold(" ".join(_name_words(name)).replace("’", "'")).replace("'", "").replace(".", " ")
    return " ".join(re.sub(r"[^\w\s]|_", " ", words).split()) or name.lower()


def normalize_company_name(name: str) -> str:
    """A company's name for comparing: folded, "&" as "and", without punctuation, a leading "the" and legal forms at the end.

    Something always stays: "The Limited Company" gives "limited".
    """
    raw = _LETTERS_JOINED_BY_SLASH.sub(r"\1\2", ASIAN_LEGAL_FORMS.sub(" ", name)).replace("&", " and ").replace("+", " and ")
    words = [word for word in re.split(r"[^\w.'’]+|_", raw) if word.strip(".'’")]
    folded = [re.sub(r"[^\w]", "", fold(word)) for word in words]
    if len(folded) > 1 and folded[0] == "the":
        words, folded = words[1:], folded[1:]
    while cut := _legal_words_at_end(words, folded):
        words, folded = words[:-cut], folded[:-cut]
    return " ".join(word for word in folded if word) or " ".join(fold(name).split()) or name.lower()


def _without_lone_surrogates(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        # A pair of surrogates that arrived as two escapes is one letter; only what stays alone is lost.
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def _validated(text: str) -> EmailAddress | None:
    local_part, _, host = text.rpartition("@")
    private = host.lower().endswith(".local")
    judged = f"{local_part}@{host[: -len('.local')]}.test" if private else text
    try:
        valid = validate_email(judged, check_deliverability=False, test_environment=True)
    except EmailNotValidError:
        return None
    ascii_host = valid.ascii_domain.lower()
    return _address(text, valid.local_part, ascii_host.removesuffix(".test") + ".local" if private else ascii_host)


def _unvalidated(text: str) -> EmailAddress:
    local_part, _, domain = text.rpartition("@")
    host = parse_host(domain) if domain == domain.strip() else None
    if host is None or not local_part or re.search(r"[\s@]", local_part):
        return EmailAddress(text, text.lower(), host or "")
    return _address(text, local_part, host)


def _address(text: str, local_part: str, host: str) -> EmailAddress:
    host = _CANONICAL_MAIL_HOSTS.get(host, host)
    local_part = local_part.lower()
    mailbox = local_part.partition("+")[0] or local_part
    if host in _HOSTS_THAT_IGNORE_DOTS:
        mailbox = mailbox.replace(".", "")
    return EmailAddress(text, f"{mailbox}@{host}", host)


def _legal_words_at_end(words: list[str], folded: list[str]) -> int:
    """How many words at the end are a legal form (or an "and" left over before one); 0 when cutting would leave nothing."""
    if len(folded) > 1 and folded[-1] == "and":
        return 1
    for length in range(min(LONGEST_LEGAL_FORM, len(folded) - 1), 0, -1):
        form = tuple(folded[-length:])
        if form in LEGAL_FORMS and (length > 1 or form[0] not in ORDINARY_WORDS_TOO or _looks_legal(words)):
            return length
    return 0


def _looks_legal(words: list[str]) -> bool:
    """Whether the last word is written like an abbreviation: with dots inside, or in capitals that the other words lack."""
    word, others = words[-1], words[:-1]
    in_capitals = sum(letter.isupper() for letter in word) > 1 and not all(other.isupper() for other in others)
    return "." in word.rstrip(".") or in_capitals


def _name_words(name: str) -> list[str]:
    """The words of a person's name without titles in front and suffixes behind; at least one word stays."""
    words = name.replace(",", " ").split()
    while len(words) > 1 and words[0].rstrip(".").lower() in TITLES:
        words = words[1:]
    while len(words) > 1 and _is_suffix(words[-1]):
        words = words[:-1]
    return words


def _is_suffix(text: str) -> bool:
    return text.replace(",", " ").strip().replace(".", "").lower() in SUFFIXES


def _joined(words: list[str]) -> str | None:
    return " ".join(words) or None
