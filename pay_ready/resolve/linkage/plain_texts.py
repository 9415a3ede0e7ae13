"""One value made comparable: what `cleaning`, `contact` and `organisations` make of columns, for the handful that one record brings.

A call for a column costs more than all of this for a record. Both say the same, which a property test holds them to; what only columns'
own patterns can read (signs beyond printable ASCII, where they matter) is read by them.
"""

import re
from collections.abc import Callable, Set
from functools import lru_cache
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from pay_ready.resolve.company_words import ABBREVIATIONS, LEGAL_FORMS_OF_ONE_WORD
from pay_ready.resolve.hosts import registrable_domain
from pay_ready.resolve.linkage import contact, names, organisations
from pay_ready.resolve.linkage.cleaning import APOSTROPHES
from pay_ready.resolve.linkage.columns import Texts
from pay_ready.resolve.linkage.organisations import SHORTEST_ACRONYM
from pay_ready.resolve.linkage.values import BLANKS
from pay_ready.resolve.normalize import fold

_ALL_BITS = (1 << 64) - 1
_SPACE = "[\t\n\f\r ]"  # RE2's \s
_PARTS = re.compile("[^A-Za-z0-9]+")
_MERE_TITLES = re.compile(names.MERE_TITLES.replace("$", r"\Z"))
_FAMILY_FIRST = re.compile(rf"\A{_SPACE}*([^,]+),{_SPACE}*([^,]+?){_SPACE}*\Z")
_PARTICLE = re.compile(f" ({names.PARTICLES}) ")
_SEVERAL_PARTICLES = re.compile(f" ((?:{names.PARTICLES})+) ")
_PLAUSIBLE, _WRITTEN = re.compile(contact.PLAUSIBLE, re.ASCII), re.compile(contact.WRITTEN, re.ASCII)
_EXTENSION, _ONE_DIGIT = re.compile(contact.EXTENSION, re.ASCII), re.compile(contact.ONE_DIGIT)
_LETTERS_WITH_DOTS = re.compile(organisations.LETTERS_WITH_DOTS, re.ASCII)
_LETTERS_JOINED = re.compile(organisations.LETTERS_JOINED, re.ASCII)
_WITHOUT_APOSTROPHES = str.maketrans("", "", APOSTROPHES)
_WITHOUT_HYPHENS = str.maketrans("", "", names.HYPHENS)


def words_of(text: str) -> str:
    """`cleaning.words_of`."""
    bare = fold(text).translate(_WITHOUT_APOSTROPHES)
    if bare.isascii():
        return _PARTS.sub(" ", bare).strip(" ")
    spaced = "".join(sign if _is_of_a_word(sign) else " " for sign in bare)
    return " ".join(filter(None, spaced.split(" ")))


@lru_cache(maxsize=1 << 14)
def _is_of_a_word(sign: str) -> bool:
    """Whether Arrow takes a sign for a letter or a number: its tables and Python's are of different years."""
    return bool(pc.match_substring_regex(pa.array([sign]), r"[\p{L}\p{N}]")[0].as_py())


def name_words(full: str | None, given: str | None, family: str | None) -> list[str]:
    """The words of a person's name as `names.names_of` reads them, titles left out; each value is None where there is none."""
    told = f"{given} {family}" if given and family else None
    if told is None or _MERE_TITLES.search(words_of(told)):
        told = full or given or family
    if not told:
        return []
    turned = _FAMILY_FIRST.sub(r"\2 \1", told).translate(_WITHOUT_HYPHENS)
    joined = words_of(turned)
    if _SEVERAL_PARTICLES.search(joined):
        joined = _SEVERAL_PARTICLES.sub(r" \1", _PARTICLE.sub(r" \1", joined))
    return [] if not joined or joined in names.NO_NAMES else [word for word in joined.split(" ") if word not in names.TITLES]


def address_of(text: str, *, validation: bool) -> str | None:
    """An address as `contact.emails_of` has it; None for what is none."""
    if not _is_plain(text):
        return _by_column(lambda texts: contact.normalised(texts, contact.PLAUSIBLE if validation else contact.WRITTEN), text)
    bare = text.lower()
    if "<" in bare:
        bare = re.sub(r"\A.*<([^>]*)>.*\Z", r"\1", bare)
    plain = re.sub(r"\+[^@]*@", "@", bare.removeprefix("mailto:").strip()) if ":" in bare or "+" in bare else bare.strip()
    return plain if plain and (_PLAUSIBLE if validation else _WRITTEN).search(plain) else None


def digits_of(text: str) -> str:
    """`cleaning.digits_of`."""
    return "".join([sign for sign in text if "0" <= sign <= "9"])


def phone_of(text: str) -> str | None:
    """`contact.phones_of`."""
    if not _is_plain(text):
        return _by_column(contact.phone_digits, text)
    national = digits_of(_EXTENSION.sub("", text.lower())).lstrip("0")[-contact.NATIONAL_DIGITS :]
    nothing = len(national) < contact.SHORTEST_PHONE or _ONE_DIGIT.search(national) or national in contact.MERE_COUNTS
    return None if nothing else national


def domain_of(text: str, free_mail: Set[str]) -> str | None:
    """`contact.domains_of`."""
    if not _is_plain(text):
        return _by_column(lambda texts: contact.registrable_domains(texts, free_mail), text)
    host = re.sub(r"[/?#:].*\Z", "", re.sub(r"\A[a-z]+://", "", text.lower().strip())).removeprefix("www.")
    domain = registrable_domain(host) if "." in host else None
    return None if domain in free_mail else domain or None


class OrganisationName(NamedTuple):
    """A company's name as `organisations.OrganisationNames` has it."""

    words: str  # "" is no name
    core: str | None
    acronym: str | None  # of a name of three words or more


NAMELESS = OrganisationName("", None, None)


def organisation_name(text: str) -> OrganisationName:
    """`organisations.organisation_names`."""
    dotless = _LETTERS_WITH_DOTS.sub(r"\1\2\3\4", text) if "." in text else text
    said = words_of(_LETTERS_JOINED.sub(r"\1\2", dotless) if "/" in dotless else dotless).split(" ")
    kept = [word for word in said if word not in LEGAL_FORMS_OF_ONE_WORD] or said
    words = " ".join(filter(None, (ABBREVIATIONS.get(word, word) for word in kept)))
    parts = words.split()
    if not parts:
        return NAMELESS
    return OrganisationName(words, "".join(parts), "".join(part[0] for part in parts) if len(parts) >= SHORTEST_ACRONYM else None)


def category_of(text: str) -> str | None:
    """`values.cleaned_column`."""
    words = words_of(text)
    return words if words and words not in BLANKS else None


def _is_plain(text: str) -> bool:
    return text.isascii() and text.isprintable()


def _by_column(clean: Callable[[Texts], Texts], text: str) -> str | None:
    """What a column of one value is cleaned to; "" is none."""
    return clean(pa.array([text], pa.string()))[0].as_py() or None


def key_of(*numbers: int) -> int:
    """`columns.key_of`."""
    mixed = 0
    for number in numbers:
        if number < 0:
            return -1
        mixed = ((mixed ^ (number + 0x9E3779B97F4A7C15)) * 0xBF58476D1CE4E5B9) & _ALL_BITS
        mixed ^= mixed >> 29
    return mixed >> 1
