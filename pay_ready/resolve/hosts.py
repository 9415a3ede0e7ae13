"""Hosts and business domains: what is left of a web address, a host or an e-mail domain when companies are compared."""

import re
from collections.abc import Set


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Under a country's code these labels are no company but the shelf that companies register on ("co.uk", "com.br"). The full Public Suffix
# List (9,000 entries, renewed daily) was left out: this rule and the list below give the same cut for the domains that businesses use.
_SHELVES = _words("ac co com ed edu firm gen go gob gouv gov govt gv ind ltd me mil ne net nom or org plc re res sch school web")
_OTHER_SUFFIXES = _words(
    """
    asn.au id.au gr.jp lg.jp ad.jp geek.nz in.th in.ua kiev.ua id.ir nhs.uk police.uk
    co.com de.com eu.com gb.com gb.net jpn.com uk.com uk.net us.com
    azurewebsites.net blogspot.com firebaseapp.com github.io gitlab.io herokuapp.com myshopify.com netlify.app onmicrosoft.com
    pages.dev squarespace.com vercel.app web.app webflow.io weebly.com wixsite.com wordpress.com
    """
)

# A company's page on one of these is the platform's address, not the company's.
_PLATFORM_DOMAINS = _words(
    """
    about.me angel.co bit.ly crunchbase.com etsy.com facebook.com fb.com google.com goo.gl instagram.com linkedin.com linktr.ee medium.com
    meetup.com pinterest.com tiktok.com twitter.com x.com xing.com yelp.com youtu.be youtube.com
    """
)

_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]{0,30}://", re.IGNORECASE)
_LONGEST_HOST = 253  # RFC 1035
_LONGEST_ADDRESS = 2_048


def parse_host(text: str) -> str | None:
    """The host of a web address or of a bare host name: lower case, ASCII (punycode), without "www."; None if it names no Internet host."""
    text = text.strip()
    if not text or len(text) > _LONGEST_ADDRESS:
        return None
    host = re.split(r"[/?#\\]", _SCHEME.sub("", text, count=1), maxsplit=1)[0]
    host = host.rpartition("@")[2].partition(":")[0].strip().rstrip(".").lower()
    host = host.removeprefix("www.")
    if not host.isascii():
        try:
            host = host.encode("idna").decode("ascii")
        except UnicodeError:
            return None
    labels = host.split(".")
    well_formed = len(host) <= _LONGEST_HOST and len(labels) > 1 and all(_LABEL.fullmatch(label) for label in labels)
    return host if well_formed and not labels[-1].isdigit() else None


def registrable_domain(host: str) -> str:
    """The part of a host that somebody registered: "mail.eu.acme.co.uk" gives "acme.co.uk"."""
    if host.count(".") < 2:
        return host
    labels = host.split(".")
    on_a_shelf = len(labels[-1]) == 2 and labels[-2:-1] and labels[-2] in _SHELVES
    kept = 3 if on_a_shelf or ".".join(labels[-2:]) in _OTHER_SUFFIXES else 2
    return ".".join(labels[-kept:])


def business_domain(text: str, free_mail: Set[str]) -> str | None:
    """The registrable domain that stands for a company, or None.

    None too for a free-mail provider (by host or registrable domain), and for a page on a platform such as a social network:
    "https://facebook.com/acme" says nothing about facebook.com's owner, while a bare "facebook.com" names that company.
    """
    host = parse_host(text)
    if host is None:
        return None
    domain = registrable_domain(host)
    if host in free_mail or domain in free_mail:
        return None
    has_page = bool(re.search(r"[^/:]/[^/?#]", _SCHEME.sub("", text.strip(), count=1)))
    return None if has_page and domain in _PLATFORM_DOMAINS else domain


def belongs_to(host: str, domains: Set[str]) -> bool:
    """Whether a host is one of the domains or lies under one."""
    labels = host.split(".")
    return any(".".join(labels[start:]) in domains for start in range(len(labels)))
