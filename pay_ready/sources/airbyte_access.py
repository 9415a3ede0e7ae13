"""Where an Airbyte's public API is and how one gets in: the URL put right, and credentials that never show.

A credential is a `Secret` from the moment it is read: it has no repr, cannot be pickled, and is opened only in the
expression that hands it to the HTTP library.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NoReturn
from urllib.parse import SplitResult, urlsplit, urlunsplit

from pay_ready.errors import ConfigError, SecretError
from pay_ready.sources.masking import MASK, parsed

CLOUD_URL = "https://api.airbyte.com/v1"
_CLOUD_HOST, _CLOUD_UI_HOST = "api.airbyte.com", "cloud.airbyte.com"
_PUBLIC_PATH = "/api/public/v1"
_CONFIG_API = re.compile(r"/api(/v1)?(/.*)?$")
_URL_HINT = "write the address of the server, for example https://airbyte.example.com, or https://api.airbyte.com for Cloud"
_SHAPES = "give client_id and client_secret, or access_token, or nothing where the server asks for nothing"


class Secret:
    """A text that shows up in no repr, traceback or pickle."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """The text itself."""
        return self._text

    def __repr__(self) -> str:
        return MASK

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._text == self._text

    def __hash__(self) -> int:
        return hash(self._text)

    def __reduce__(self) -> NoReturn:
        """Refused: a pickle holds what it holds in plain.

        Raises:
            SecretError: Always.
        """
        raise SecretError("credentials do not leave their process", "pass the source's name and read them there")


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientCredentials:
    """An application of an Airbyte user; gives access tokens that live for minutes."""

    client_id: Secret
    client_secret: Secret


@dataclass(frozen=True, slots=True, kw_only=True)
class FixedToken:
    """An access token that somebody else renews."""

    access_token: Secret


@dataclass(frozen=True, slots=True, kw_only=True)
class NoAuth:
    """A self-managed server without authentication."""


Credentials = ClientCredentials | FixedToken | NoAuth


@dataclass(frozen=True, slots=True, kw_only=True)
class AirbyteAccess:
    """One Airbyte, and how one gets in; `url` is the public API's base, without a slash at the end."""

    url: str
    credentials: Credentials

    @property
    def server(self) -> str:
        """Host and port: what a breaker is kept for, and what errors name."""
        return urlsplit(self.url).netloc

    def secrets(self) -> Iterator[str]:
        """The texts that no message may show."""
        match self.credentials:
            case ClientCredentials(client_id=client_id, client_secret=client_secret):
                yield from (client_id.reveal(), client_secret.reveal())
            case FixedToken(access_token=access_token):
                yield access_token.reveal()


def open_access(url: str, credentials: bytes | None) -> AirbyteAccess:
    """The access that a source describes.

    Args:
        url: Of the server or of its public API; completed.
        credentials: JSON: {"client_id", "client_secret"}, {"access_token"}, {} or None.

    Raises:
        ConfigError: The URL is none of a public API, or the credentials are not of these shapes; names keys, never values.
    """
    found = _credentials(parsed(credentials) if credentials else {})
    del credentials  # a traceback shows the arguments of its frames
    if isinstance(found, str):
        raise ConfigError(f"the credentials for Airbyte are off: {found}", _SHAPES)
    return AirbyteAccess(url=base_url(url), credentials=found)


def _credentials(given: object) -> Credentials | str:
    """The credentials, or what is wrong with them. Nothing is raised here, where they stand in plain."""
    if not isinstance(given, Mapping):
        return "not a JSON object"
    if wrong := [str(key) for key, value in given.items() if not isinstance(value, str) or not value.strip()]:
        return f"{', '.join(sorted(wrong))}: not a text, or empty"
    if wrong := [key for key, value in given.items() if not value.strip().isprintable()]:
        return f"{', '.join(sorted(wrong))}: control characters in it"
    match sorted(given):
        case []:
            return NoAuth()
        case ["access_token"]:
            return FixedToken(access_token=Secret(given["access_token"].strip()))
        case ["client_id", "client_secret"]:
            client_id, client_secret = given["client_id"].strip(), given["client_secret"].strip()
            return ClientCredentials(client_id=Secret(client_id), client_secret=Secret(client_secret))
        case keys:
            return f"got {', '.join(keys)}"


def base_url(url: str) -> str:
    """The base of the public API: Cloud's, or a server's own, also below a path of a proxy.

    Raises:
        ConfigError: Not an address, one with a password or query in it, or the internal API's; the hint says what to write.
    """
    parts = _split(url.strip())
    if parts is None or parts.scheme not in ("http", "https") or not parts.hostname:
        raise ConfigError("not the address of an Airbyte", _URL_HINT)
    if parts.username is not None or parts.password is not None or parts.query or parts.fragment:
        hint = "leave out what stands before @ and after ? or #; credentials are given apart"
        raise ConfigError("the address of Airbyte holds more than an address", hint, host=parts.hostname)
    path = re.sub("/{2,}", "/", parts.path).rstrip("/")
    if parts.hostname == _CLOUD_UI_HOST:
        raise ConfigError("this is the user interface of Airbyte Cloud, not its API", f"write {CLOUD_URL}", host=parts.hostname)
    if parts.hostname == _CLOUD_HOST:
        if path not in ("", "/v1"):
            raise ConfigError("not the public API of Airbyte Cloud", f"write {CLOUD_URL}", path=path)
        return CLOUD_URL
    return urlunsplit(parts._replace(path=_completed(path)))


def _completed(path: str) -> str:
    """The path of the public API, from that of the server or of a part of it."""
    for known in (_PUBLIC_PATH, "/api/public"):
        if path.endswith(known):
            return path.removesuffix(known) + _PUBLIC_PATH
    if _CONFIG_API.search(path):
        hint = f"write the address of the server alone, or the one that ends in {_PUBLIC_PATH}"
        raise ConfigError("this is Airbyte's internal configuration API, which changes without notice", hint, path=path)
    return path + _PUBLIC_PATH


def _split(url: str) -> SplitResult | None:
    """The parts of an address; None when it is none. Not quoted in an error: there may be a password in it."""
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return None
    return parts
