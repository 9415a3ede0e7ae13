"""The ways in which people write a name that they know: whole, without "Inc", "J Smith", "Smith", by address or domain; as keys."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Literal
from uuid import UUID

from pay_ready.resolve.hosts import parse_host, registrable_domain
from pay_ready.resolve.name_words import SUFFIXES, TITLES
from pay_ready.resolve.normalize import fold, normalize_company_name

EntityType = Literal["person", "company"]
GivenNames = Mapping[str, Sequence[str]]  # other forms of a given name, folded: "robert" gives "bob", "rob"
_WORD = re.compile(r"[^\W_]+")
_LONGEST_NAME = 200  # characters
_MOST_WORDS = 8  # of a name
_SHORTEST_ACRONYM = 3  # words


class Form(IntEnum):
    """How a name was written; a smaller number says more."""

    WHOLE = 0
    ADDRESS = 1
    SHORT = 2  # "Acme" for "Acme Inc.", "Jane Doe" for "Jane Q. Doe", "Doe, Jane"
    GIVEN = 3  # "Bob Smith" for "Robert Smith"
    INITIAL = 4  # "J Smith", "Jane D"
    ACRONYM = 5
    SINGLE = 6  # "Jane", "Smith"


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedEntity:
    """A person or company as a tenant knows it."""

    id: UUID
    name: str
    entity_type: EntityType
    aliases: tuple[str, ...] = ()
    emails: tuple[str, ...] = ()
    domains: tuple[str, ...] = ()


def name_keys(entity: NamedEntity, given_names: GivenNames) -> dict[str, Form]:
    """Every key of an entity with the form it stands for, the most telling one where two give the same key."""
    keys: dict[str, Form] = {}
    for key, form in _keys(entity, given_names):
        if key and form < keys.get(key, Form.SINGLE + 1):
            keys[key] = form
    return keys


def name_words(name: str) -> list[str]:
    """The words of a name, folded: letters and digits, "&" as "and"."""
    name = fold(name[:_LONGEST_NAME]).replace("'", "")
    return _WORD.findall(name.replace("&", " and ").replace("+", " and ") if "&" in name or "+" in name else name)[:_MOST_WORDS]


def word_key(words: Sequence[str]) -> str:
    """The key of words in a row: blanks and hyphens count nothing, "Glo bex" is "Globex"; a single letter stays one."""
    return "".join([word if len(word) > 1 else "~" + word for word in words])


def email_key(address: str) -> str:
    """The key of an e-mail address."""
    return "@" + address.strip().lower()


def domain_key(address: str) -> str:
    """The key of a domain, host or web address; "" for what is none."""
    host = parse_host(address)
    return "." + registrable_domain(host) if host else ""


def folded_word(word: str) -> str:
    """One word for comparing: folded, without apostrophes; "&" is "and"."""
    return "and" if word in "&+" else fold(word).replace("'", "")


def _keys(entity: NamedEntity, given_names: GivenNames) -> Iterator[tuple[str, Form]]:
    for name in (entity.name, *entity.aliases):
        yield from _company_keys(name) if entity.entity_type == "company" else _person_keys(name, given_names)
    for address in entity.emails:
        yield email_key(address), Form.ADDRESS
    for domain in entity.domains:
        yield domain_key(domain), Form.ADDRESS


def _company_keys(name: str) -> Iterator[tuple[str, Form]]:
    yield word_key(name_words(name)), Form.WHOLE
    short = name_words(normalize_company_name(name[:_LONGEST_NAME]))
    yield word_key(short), Form.SHORT
    telling = [word for word in short if word not in ("and", "of", "the")]
    if len(telling) >= _SHORTEST_ACRONYM:
        yield "".join([word[0] for word in telling]), Form.ACRONYM


def _person_keys(name: str, given_names: GivenNames) -> Iterator[tuple[str, Form]]:
    words = name_words(name)
    yield word_key(words), Form.WHOLE
    bare = words[next((place for place, word in enumerate(words) if word not in TITLES), 0) :]
    while len(bare) > 1 and bare[-1] in SUFFIXES:
        bare = bare[:-1]
    if bare != words:
        yield word_key(bare), Form.WHOLE
    if len(bare) > 1:
        yield from _keys_of_parts(bare, given_names)


def _keys_of_parts(words: Sequence[str], given_names: GivenNames) -> Iterator[tuple[str, Form]]:
    first, last = words[0], words[-1]
    yield word_key((last, first)), Form.SHORT
    if len(words) > 2:
        yield word_key((first, last)), Form.SHORT
        yield word_key((*words[1:], first)), Form.SHORT
        yield word_key((first[0], *words[1:])), Form.INITIAL
    for other in given_names.get(first, ()):
        yield other + last, Form.GIVEN
        yield other, Form.SINGLE
    if len(first) > 1:
        yield first, Form.SINGLE
        yield word_key((first, last[0])), Form.INITIAL
    if len(last) > 1:
        yield last, Form.SINGLE
        yield word_key((first[0], last)), Form.INITIAL
