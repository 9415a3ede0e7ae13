"""Keeps a connector's secrets, and people's addresses, out of every text that leaves: logs, errors, answers."""

import base64
import json
import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from urllib.parse import quote, quote_plus

MASK = "***"
# Shorter values ("true", "eu") would blot out the text and are no secrets worth the name.
_SHORTEST = 4
_SENSITIVE_KEY = re.compile(
    r"pass(word|wd|phrase)?$|secret|token|api_?key|access_?key|private_?key|credential|auth(orization|_code)|client_?id$|cookie|session",
    re.IGNORECASE,
)
# Begins at a word's start and never gives back: linear, whatever a connector prints.
_EMAIL = re.compile(r"(?<![\w.+%-])[\w.+%-]++@[\w-]+(?:\.[\w-]+)+")


def leaves(value: object, key: str = "") -> Iterator[tuple[str, str | int | float]]:
    """Each text and number inside a configuration, with the nearest key above it. JSON within a text is opened, too."""
    match value:
        case Mapping():
            for name, inner in value.items():
                yield from leaves(inner, str(name))
        case list() | tuple():
            for inner in value:
                yield from leaves(inner, key)
        case str():
            yield key, value
            # A service account's key is a JSON document in one string: its private_key shows up alone.
            if value.lstrip().startswith("{"):
                yield from leaves(parsed(value), key)
        case int() | float() if not isinstance(value, bool):
            yield key, value


def parsed(text: str | bytes) -> object:
    """The JSON in a text, or None: whether a stranger's text is JSON is no error of ours."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def looks_sensitive(key: str) -> bool:
    """Whether a value under such a key is masked though nobody declared it a secret."""
    return bool(_SENSITIVE_KEY.search(key))


def secret_values(config: object, secret_keys: Iterable[str] = ()) -> frozenset[str]:
    """The values in a configuration that must not be seen: under a declared key, or under a sensitive-looking one."""
    declared = frozenset(secret_keys)
    return frozenset(str(leaf) for key, leaf in leaves(config) if key in declared or (isinstance(leaf, str) and looks_sensitive(key)))


def keys_of(config: object, secrets: frozenset[str]) -> frozenset[str]:
    """The keys under which a configuration holds the given secrets: a rotated token comes under its predecessor's."""
    return frozenset(key for key, leaf in leaves(config) if str(leaf) in secrets)


class Masker:
    """Replaces secrets, also as they look in a URL, in JSON or in a Basic header, and e-mail addresses."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._secrets: set[str] = set()
        self._mask: Callable[[str], str] = str
        self.add(secrets)

    def add(self, secrets: Iterable[str]) -> None:
        """Mask these from now on, too."""
        self._secrets.update(secrets)
        shapes = {shape for secret in self._secrets for shape in _shapes(secret)}
        # Longest first: a secret that begins with another one is masked whole.
        words = sorted((shape for shape in shapes if len(shape) >= _SHORTEST), key=len, reverse=True)
        pattern = re.compile("|".join(map(re.escape, words))) if words else None
        self._mask = (lambda text: pattern.sub(MASK, text)) if pattern else str

    def __call__(self, text: str) -> str:
        return _EMAIL.sub("<email>", self._mask(text))

    def line(self, line: bytes) -> bytes:
        """The same for bytes of any encoding."""
        return self(line.decode("utf-8", "backslashreplace")).encode()


def _shapes(secret: str) -> Iterator[str]:
    """A secret, and what URLs, JSON and Basic headers make of it."""
    yield secret
    yield quote(secret, safe="", errors="surrogatepass")
    yield quote_plus(secret, errors="surrogatepass")
    yield json.dumps(secret)[1:-1]
    yield json.dumps(secret, ensure_ascii=False)[1:-1]
    yield from _base64_shapes(secret.encode("utf-8", "surrogatepass"))
    # Keys of many lines are logged line by line.
    yield from (line.strip() for line in secret.splitlines() if len(line.strip()) >= 2 * _SHORTEST)


def _base64_shapes(secret: bytes) -> Iterator[str]:
    """The characters that are the secret's own wherever it begins in an encoded text ("user:secret"), 6 bits each."""
    for before in range(3):
        encoded = base64.b64encode(bytes(before) + secret).decode()
        shape = encoded[math.ceil(before * 8 / 6) : (before + len(secret)) * 8 // 6]
        if len(shape) >= 2 * _SHORTEST:
            yield shape
