"""The cipher for credentials: AES-256-GCM, each value bound to its tenant, column and row, keys that rotate.

An envelope is b"v1", 8 bytes that name the key, 12 random bytes, and the ciphertext with its tag. A value copied to
another tenant, column or row does not open there.
"""

import base64
import binascii
import hashlib
import hmac
import os
import stat
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from pay_ready.errors import SecretError

_VERSION = b"v1"
_KEY_BYTES, _KEY_ID_BYTES, _NONCE_BYTES, _TAG_BYTES = 32, 8, 12, 16
_HEADER_BYTES = len(_VERSION) + _KEY_ID_BYTES
_DIGEST_PURPOSE = b"pay_ready keyed digests v1"
_HOW_TO_MAKE_A_KEY = "pay-ready keys generate makes one"


def generate_key() -> str:
    """A new key as text: 32 random bytes, base64."""
    return base64.b64encode(os.urandom(_KEY_BYTES)).decode()


@dataclass(frozen=True, slots=True)
class SecretKey:
    """One key. `key_id`, 8 bytes of its SHA-256, names it in envelopes without giving it away."""

    key_id: bytes
    cipher: AESGCM = field(repr=False, compare=False)
    digest_key: bytes = field(repr=False, compare=False)  # of keyed digests; says nothing of the key

    @classmethod
    def from_text(cls, text: str) -> Self:
        """A key from base64.

        Raises:
            SecretError: It is not 32 bytes in base64.
        """
        try:
            key = base64.b64decode(text, validate=True)
        except (binascii.Error, ValueError):
            # Without the cause: its message may quote from the key.
            raise SecretError("a secret key is not base64", _HOW_TO_MAKE_A_KEY) from None
        if len(key) != _KEY_BYTES:
            raise SecretError("a secret key has the wrong length", _HOW_TO_MAKE_A_KEY, bytes=len(key), expected=_KEY_BYTES)
        return cls(hashlib.sha256(key).digest()[:_KEY_ID_BYTES], AESGCM(key), hmac.digest(key, _DIGEST_PURPOSE, "sha256"))


@dataclass(frozen=True, slots=True)
class Keyring:
    """Keys, newest first: the first one encrypts, all of them decrypt."""

    keys: tuple[SecretKey, ...]

    @classmethod
    def from_text(cls, text: str) -> Self:
        """A keyring from keys in base64, separated by commas or white space.

        Raises:
            SecretError: There is none, one is malformed, or one stands there twice.
        """
        keys = tuple(SecretKey.from_text(word) for word in text.replace(",", " ").split())
        if not keys:
            raise SecretError("there is no secret key", _HOW_TO_MAKE_A_KEY)
        if len({key.key_id for key in keys}) < len(keys):
            raise SecretError("a secret key stands there twice", "put the new key before the old one")
        return cls(keys)

    @classmethod
    def from_file(cls, path: Path) -> Self:
        """A keyring from a file that holds what `from_text` takes.

        Raises:
            SecretError: The file cannot be read, others than its owner and group may read it, or its content is off.
        """
        try:
            if path.stat().st_mode & (stat.S_IROTH | stat.S_IWOTH):
                raise SecretError("everybody may read the file of secret keys", f"chmod o-rw {path}", file=path)
            return cls.from_text(path.read_text("ascii"))
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "not plain text"
            raise SecretError(f"the file of secret keys cannot be read: {reason}", file=path) from None

    def encrypt(self, plain: bytes, *, tenant: UUID, column: str, row: UUID | str) -> bytes:
        """An envelope that opens for this tenant, column and row alone. Equal values give different envelopes."""
        key, nonce = self.keys[0], os.urandom(_NONCE_BYTES)
        header = _VERSION + key.key_id
        return header + nonce + key.cipher.encrypt(nonce, plain, _bound(header, (str(tenant), column, str(row))))

    def decrypt(self, envelope: bytes, *, tenant: UUID, column: str, row: UUID | str) -> bytes:
        """What was encrypted.

        Raises:
            SecretError: The key is not in the ring, the envelope is damaged, or it belongs to another tenant, column or
                row (these two look the same). Names the place, never a value.
        """
        header, nonce, sealed = _opened(envelope)
        bound = _bound(header, (str(tenant), column, str(row)))
        try:
            return self._key(header).cipher.decrypt(nonce, sealed, bound)
        except InvalidTag:
            raise SecretError("a secret is damaged or belongs elsewhere", "enter it again", column=column, row=row) from None

    def digest_keys(self, tenant: UUID) -> tuple[bytes, ...]:
        """Keys of HMAC-SHA-256 for one tenant, newest first: the same value has another digest in every tenant.

        Digests are made with the first and looked for with all of them: whoever takes an old key out of the ring takes its digests away.
        """
        return tuple(hmac.digest(key.digest_key, tenant.bytes, "sha256") for key in self.keys)

    def purpose_key(self, tenant: UUID, purpose: str) -> bytes:
        """32 bytes for one purpose of one tenant, derived from the newest key: another key in the ring is another one here."""
        return hmac.digest(self.keys[0].digest_key, tenant.bytes + purpose.encode(), "sha256")

    def needs_rotation(self, envelope: bytes) -> bool:
        """Whether the envelope was made with another key than the one that encrypts now.

        Raises:
            SecretError: It is no envelope.
        """
        header, _, _ = _opened(envelope)
        return header != _VERSION + self.keys[0].key_id

    def _key(self, header: bytes) -> SecretKey:
        for key in self.keys:
            if header == _VERSION + key.key_id:
                return key
        hint = "put the key that encrypted it behind the present one, then pay-ready keys rotate"
        raise SecretError("a secret was encrypted with a key that is not here", hint, key_id=header[len(_VERSION) :].hex())


def _opened(envelope: bytes) -> tuple[bytes, bytes, bytes]:
    """Header, nonce and sealed content of an envelope."""
    if not envelope.startswith(_VERSION) or len(envelope) < _HEADER_BYTES + _NONCE_BYTES + _TAG_BYTES:
        raise SecretError("this is no encrypted secret", "enter the secret again", bytes=len(envelope))
    nonce_end = _HEADER_BYTES + _NONCE_BYTES
    return envelope[:_HEADER_BYTES], envelope[_HEADER_BYTES:nonce_end], envelope[nonce_end:]


def _bound(header: bytes, place: Iterable[str]) -> bytes:
    """What an envelope is bound to. Parts carry their length: ("ab", "c") and ("a", "bc") are different places."""
    parts = [part.encode("utf-8", "surrogatepass") for part in place]
    return header + b"".join(len(part).to_bytes(4, "big") + part for part in parts)
