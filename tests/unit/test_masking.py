"""Secrets of a connector's configuration appear in no text that leaves, whatever shape they took on the way."""

import base64
import json
from collections.abc import Callable
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pay_ready.sources.masking import MASK, Masker, keys_of, secret_values

secrets = st.text(st.characters(blacklist_categories=["Cs"]), min_size=8, max_size=40).filter(lambda text: not text.isspace())
SHAPES: dict[str, Callable[[str], str]] = {
    "plain": lambda secret: secret,
    "url": lambda secret: quote(secret, safe=""),
    "form": lambda secret: quote_plus(secret),
    "json": lambda secret: json.dumps(secret)[1:-1],
}


@settings(deadline=None)
@given(secret=secrets, others=st.lists(secrets, max_size=3), before=st.text("ab :", max_size=5))
@pytest.mark.parametrize("shape", SHAPES)
def test_a_secret_is_masked_in_any_shape(shape: str, secret: str, others: list[str], before: str) -> None:
    """As it is, in a URL, in a form and in JSON: the text after masking no longer holds it."""
    shaped = SHAPES[shape](secret)
    assert shaped not in Masker([secret, *others])(f"{before}{shaped} end")


@settings(deadline=None)
@given(secret=st.text("abcdefgh0123456789", min_size=12, max_size=40), user=st.text("uvw", max_size=4))
def test_a_basic_header_is_masked(secret: str, user: str) -> None:
    """Encoded together with a user's name, the secret's own characters are gone, wherever they begin."""
    header = base64.b64encode(f"{user}:{secret}".encode()).decode()
    masked = Masker([secret])(f"Authorization: Basic {header}")
    assert MASK in masked
    tail = masked.partition(MASK)[2]
    assert len(tail) <= 4


def test_what_counts_as_secret() -> None:
    """Declared keys at any depth, whatever their type; texts under keys that look like it; JSON inside a text."""
    config = {
        "start_date": "2026-01-01",
        "pin": 12345,
        "token_lifetime_s": 86400,
        "credentials": {
            "auth_type": "oauth",
            "client_secret": "s-client",  # pragma: allowlist secret
            "refresh_token": "s-refresh",
            "flag": True,
        },
        "servers": [{"host": "db.example", "password": "s-pass"}],  # pragma: allowlist secret
        "service_account": '{"private_key": "s-private", "project": "p"}',  # pragma: allowlist secret
    }
    found = secret_values(config, {"pin"})
    assert found == {"12345", "s-client", "s-refresh", "s-pass", "s-private"}
    assert keys_of(config, frozenset({"12345", "s-pass"})) == {"pin", "password"}


def test_the_longest_secret_wins_and_short_ones_do_not_blot() -> None:
    """A secret that begins with another one leaves no rest; values of three characters leave texts readable."""
    masker = Masker(["abcd", "abcdefgh", "eu"])
    assert masker("abcdefgh abcd eu") == f"{MASK} {MASK} eu"
    masker.add(["later-key"])
    assert masker("later-key") == MASK


def test_keys_of_many_lines_are_masked_by_line() -> None:
    """A private key that is logged line by line shows none of its lines."""
    key = "-----BEGIN KEY-----\nMIIEvQIBADANBg\nqhkiG9w0BAQEFA\n-----END KEY-----\n"
    masked = Masker([key])("key:\n  MIIEvQIBADANBg\n  qhkiG9w0BAQEFA")
    assert masked == f"key:\n  {MASK}\n  {MASK}"


def test_addresses_are_masked_in_linear_time() -> None:
    """E-mail addresses leave no text, and a megabyte without any takes no time."""
    assert Masker()("user ann.abel+crm@people.example failed") == "user <email> failed"
    megabyte = "a" * 1_000_000
    assert Masker()(megabyte) == megabyte
