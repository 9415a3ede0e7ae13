"""E-mail addresses, phone numbers and domains of all records."""

from collections.abc import Set
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pay_ready.resolve.hosts import registrable_domain
from pay_ready.resolve.linkage.cleaning import digits_of, ends_of, folded, is_one_of, kept_where, matching, replaced, replaced_where
from pay_ready.resolve.linkage.columns import Column, Ids, Mask, Texts, column_of, lengths, renumbered, translated, with_none

WRITTEN, PLAUSIBLE = r"\S", r"^[^@\s]+@[^@\s.]+(?:\.[^@\s.]+)+$"
SHORTEST_PHONE, NATIONAL_DIGITS = 6, 10
EXTENSION = r"\s*(?:x|ext\.?|extension|app\.?)\s*\d+\s*$"
ONE_DIGIT = "^(?:" + "|".join(f"{digit}+" for digit in range(10)) + ")$"
MERE_COUNTS = frozenset({"1234567890", "123456789", "12345678", "1234567", "123456", "5555555555"})
NOBODYS_USERS = frozenset({
    "test", "asdf", "qwerty", "none", "null", "noone", "nobody", "unknown", "na", "n/a", "foo", "bar", "example", "user", "email",
    "mail", "xxx", "abc",
})  # fmt: skip
NOBODYS_HOSTS = frozenset({
    "test.com", "example.com", "example.org", "none.com", "noemail.com", "nomail.com", "email.com", "domain.com", "test.test",
    "invalid",
})  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Emails:
    """Addresses by record. A role address (info@) and a test address are nobody's: `column` leaves them out, `host` keeps a role's."""

    column: Column  # normalised; personal addresses only
    user: Column  # the part before "@" of those
    host: Ids  # number of the domain, of role addresses too; -1 without a domain of its own (free mail)
    own_host: Ids  # number of any host of a personal address, free mail too
    hosts: Texts  # by number of `own_host`
    domains: tuple[str, ...]  # registrable, by number of `host`
    digits: Mask  # by number of `user`: it holds two digits in a row; False without one


def emails_of(array: pa.Array, role_local_parts: Set[str], free_mail: Set[str], *, validation: bool = True) -> Emails:
    """Addresses in lower case without plus tags; what is no address is none, nor is one whose host has no dot under `validation`."""
    raw = column_of(array)
    address = raw.mapped(lambda texts: normalised(texts, PLAUSIBLE if validation else WRITTEN))
    texts = address.values
    user, host = ends_of(texts, "@")
    role = is_one_of(pc.ascii_rtrim(user, "0123456789"), role_local_parts)
    nothing = is_one_of(user, NOBODYS_USERS) | is_one_of(host, NOBODYS_HOSTS)
    hosts = column_of(host)
    domains = [registrable_domain(text) for text in hosts.values.to_pylist()]
    free = np.array(
        [domain in free_mail or text in free_mail for domain, text in zip(domains, hosts.values.to_pylist(), strict=True)], np.bool_
    )
    known: dict[str, int] = {}
    numbers = [-1 if is_free else known.setdefault(domain, len(known)) for domain, is_free in zip(domains, free.tolist(), strict=True)]
    personal = np.where(np.append(role | nothing, False)[address.ids], -1, address.ids).astype(np.int32)
    column = Column(personal, texts)
    users = renumbered(personal, user)
    by_address = translated(hosts.ids, numbers)
    return Emails(
        column=column,
        user=users,
        host=np.append(np.where(nothing, np.int32(-1), by_address), np.int32(-1))[address.ids].astype(np.int32),
        own_host=np.append(hosts.ids, np.int32(-1))[personal],
        hosts=hosts.values,
        domains=tuple(known),
        digits=with_none(matching(users.values, r"\d\d"), none=False),
    )


def normalised(texts: Texts, form: str) -> Texts:
    """Addresses of a form (`PLAUSIBLE`, `WRITTEN`) without plus tags; null for what is none."""
    bare = replaced_where(replaced_where(folded(texts), r"^.*<([^>]*)>.*$", r"\1", "<"), r"^mailto:", "", ":")
    plain = replaced(pc.utf8_trim_whitespace(bare), r"\+[^@]*@", "@")
    return kept_where(plain, matching(plain, form))


def phones_of(array: pa.Array) -> Column:
    """Numbers as digits without extension; the last ten of a longer one, so that country codes do not tell numbers apart.

    A number of one digit repeated ("000000000") or a plain count ("1234567890") is nobody's.
    """
    return column_of(array).mapped(phone_digits)


def phone_digits(texts: Texts) -> Texts:
    """The digits that tell numbers apart; null for what is nobody's."""
    plain = digits_of(replaced_where(pc.utf8_lower(texts), EXTENSION, "", "xa"))
    national = pc.utf8_slice_codeunits(replaced_where(plain, r"^0+", ""), -NATIONAL_DIGITS)
    nothing = matching(national, ONE_DIGIT) | is_one_of(national, MERE_COUNTS)
    return kept_where(national, (lengths(national) >= SHORTEST_PHONE) & ~nothing)


def domains_of(array: pa.Array, free_mail: Set[str]) -> Column:
    """Registrable domains of web addresses and hosts; a free-mail provider's is none."""
    return column_of(array).mapped(lambda texts: registrable_domains(texts, free_mail))


def registrable_domains(texts: Texts, free_mail: Set[str]) -> Texts:
    """`domains_of` by text."""
    hosts = replaced(replaced(pc.utf8_trim_whitespace(pc.utf8_lower(texts)), r"^[a-z]+://", ""), r"[/?#:].*$", "")
    found = (registrable_domain(host) if "." in host else None for host in replaced(hosts, r"^www\.", "").to_pylist())
    return pa.array([None if domain in free_mail else domain for domain in found], pa.string())


def long_users(emails: Emails, shortest: int) -> Ids:
    """By record: the number of its user part if that has so many letters, else -1."""
    long = np.append(lengths(emails.user.values) >= shortest, False)
    return np.where(long[emails.user.ids], emails.user.ids, -1).astype(np.int32)
