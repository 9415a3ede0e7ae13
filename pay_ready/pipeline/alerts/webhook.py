"""A webhook's receiver: signed as Standard Webhooks has it, at an address that is nobody's inner network, asked once and never redirected.

https://github.com/standard-webhooks/standard-webhooks: the signature is the base64 of HMAC-SHA-256 over "id.timestamp.body".
"""

import base64
import binascii
import hmac
import http.client
import ipaddress
import socket
import ssl
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import SplitResult, urlsplit

from pay_ready.errors import ConfigError, DeniedError, PayReadyError, RetryLaterError, SecretError, TransientError
from pay_ready.telemetry import measured_call

PREFIX = "whsec_"
_LEAST_SECRET, _MOST_SECRET = 24, 64  # bytes, as Standard Webhooks has it
_TIMEOUT_S = 10.0
_MOST_READ = 64 * 1024  # bytes of an answer
_BUSY = frozenset({408, 409, 425, 429})
_GONE = 410
# Addresses that lead to others: a translator behind them may reach what the guard keeps away.
_DETOURS = tuple(ipaddress.ip_network(each) for each in ("2002::/16", "2001::/32", "64:ff9b::/96", "64:ff9b:1::/48"))
Resolve = Callable[[str, int], Sequence[str]]


class ReceiverGoneError(PayReadyError):
    """The receiver wants nothing any more (410)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Webhook:
    """Where alerts are sent to, and how often that is tried."""

    url: str
    secret: Callable[[], bytes] = field(repr=False)  # asked only when something is sent
    allow_private: bool = False  # also addresses of inner networks, and http
    attempts: int = 8  # after which a message is given up


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """What a receiver is told."""

    message_id: str  # the same at each attempt
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    """A receiver whose address was looked up and found harmless."""

    url: SplitResult
    host: str
    port: int
    address: str


def secret_of(text: str) -> bytes:
    """The key of a secret as receivers know it: whsec_ and base64.

    Raises:
        SecretError: It is none, too short or too long.
    """
    hint = f"write it as {PREFIX} and {_LEAST_SECRET} to {_MOST_SECRET} bytes in base64; pay-ready alerts secret shows one that is derived"
    try:
        key = base64.b64decode(text.removeprefix(PREFIX), validate=True)
    except (binascii.Error, ValueError):
        raise SecretError("the webhook's secret is not base64", hint) from None
    if not _LEAST_SECRET <= len(key) <= _MOST_SECRET:
        raise SecretError("the webhook's secret has the wrong length", hint, bytes=len(key))
    return key


def written_secret(key: bytes) -> str:
    """The secret as receivers know it."""
    return PREFIX + base64.b64encode(key).decode()


def signature(key: bytes, message_id: str, timestamp: int, body: bytes) -> str:
    """What goes into webhook-signature; the timestamp in seconds since 1970."""
    signed = f"{message_id}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.digest(key, signed, "sha256")).decode()


def send(webhook: Webhook, message: Message, *, resolve: Resolve | None = None, now: Callable[[], float] = time.time) -> None:
    """Send a message once.

    Raises:
        ConfigError: The address is none.
        DeniedError: It leads into an inner network.
        TransientError: The receiver is away, or asks to wait.
        ReceiverGoneError: It wants nothing any more.
        PayReadyError: It did not take the message.
    """
    place = _harmless(webhook, resolve or _resolved)
    timestamp = int(now())
    headers = {
        "Content-Type": "application/json",
        "User-Agent": "pay-ready",
        "webhook-id": message.message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": signature(webhook.secret(), message.message_id, timestamp, message.body),
    }
    with measured_call("webhook", "alert"):
        status, retry_after = _posted(place, message.body, headers)
        _judge(status, retry_after, place.host)


def _harmless(webhook: Webhook, resolve: Resolve) -> _Place:
    url = urlsplit(webhook.url)
    hint = "write it like https://host/path, without a user's name; set it as watch.webhook_url"
    try:
        port = url.port
    except ValueError:
        raise ConfigError("not the address of a webhook", hint, key="watch.webhook_url") from None
    if url.scheme not in ("https", "http") or not url.hostname or url.username or url.password:
        raise ConfigError("not the address of a webhook", hint, key="watch.webhook_url")
    if url.scheme == "http" and not webhook.allow_private:
        raise DeniedError("a webhook is sent over https alone", "watch.webhook_private = true allows http, too", key="watch.webhook_url")
    port = port or (443 if url.scheme == "https" else 80)
    found = resolve(url.hostname, port)
    if not found:
        raise TransientError("the webhook's host has no address", "is its name right?", server=url.hostname)
    # All of them: a name that also leads inside is not trusted, whichever address would be taken.
    if not webhook.allow_private and any(is_inner(each) for each in found):
        hint = "give a public address, or allow it: watch.webhook_private = true"
        raise DeniedError("the webhook's address leads into an inner network", hint, server=url.hostname)
    return _Place(url=url, host=url.hostname, port=port, address=found[0])


def is_inner(address: str) -> bool:
    """Whether an address is no public one: loopback, private, link-local (also of a cloud's metadata), or a detour to such."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        if ip.ipv4_mapped is not None:
            return is_inner(str(ip.ipv4_mapped))
        if any(ip in network for network in _DETOURS):
            return True
    return not ip.is_global or ip.is_multicast


def _resolved(host: str, port: int) -> Sequence[str]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise TransientError("the webhook's host is not known", "is its name right?", server=host) from None
    return [str(each[4][0]) for each in found]


class _Pinned(http.client.HTTPConnection):
    """A connection to the address that was judged, not to what the name leads to by then; the name is what TLS is checked against."""

    def __init__(self, place: _Place) -> None:
        super().__init__(place.host, place.port, timeout=_TIMEOUT_S)
        self._place = place

    def connect(self) -> None:
        """Open the socket."""
        self.sock = socket.create_connection((self._place.address, self._place.port), _TIMEOUT_S)
        if self._place.url.scheme == "https":
            self.sock = ssl.create_default_context().wrap_socket(self.sock, server_hostname=self._place.host)


def _posted(place: _Place, body: bytes, headers: Mapping[str, str]) -> tuple[int, str]:
    connection = _Pinned(place)
    path = (place.url.path or "/") + (f"?{place.url.query}" if place.url.query else "")
    try:
        connection.request("POST", path, body, dict(headers))
        answer = connection.getresponse()
        answer.read(_MOST_READ)
        return answer.status, answer.headers.get("Retry-After", "")
    except ssl.SSLCertVerificationError:
        raise PayReadyError("the webhook's certificate is not valid", "is the address right?", server=place.host) from None
    except (OSError, http.client.HTTPException) as error:
        what = f"no answer from the webhook ({type(error).__name__})"
        raise TransientError(what, "is it up, and its address right?", server=place.host) from None
    finally:
        connection.close()


def _judge(status: int, retry_after: str, host: str) -> None:
    if 200 <= status < 300:
        return
    where = {"server": host, "status": status}
    if status in _BUSY and retry_after.isdecimal():
        raise RetryLaterError("the webhook asks to wait", "", **where, retry_in_s=min(int(retry_after), 86_400))
    if status in _BUSY or status >= 500:
        raise TransientError("the webhook is in trouble, or asks to wait", "", **where)
    if status == _GONE:
        raise ReceiverGoneError("the webhook wants nothing any more", "give another watch.webhook_url", **where)
    what = "the webhook redirects, which is not followed" if 300 <= status < 400 else "the webhook does not take the message"
    raise PayReadyError(what, "check watch.webhook_url and the secret", **where)
