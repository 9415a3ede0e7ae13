"""Page tokens: where a page of a timeline ended, as an opaque text that says nothing of the tenant and cannot be changed unnoticed.

A token is 1 byte version, 8 bytes microseconds since 1970, 16 bytes interaction id and 16 bytes of HMAC-SHA256 over these and the scope,
base64url without padding: 55 characters. It only moves a position; what may be read is decided by the query, as without a token.
"""

import base64
import binascii
import hashlib
import hmac
import struct
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from pay_ready.errors import CursorError

_VERSION = 1
_PLACE = struct.Struct(">Bq16s")
_MAC_BYTES = 16
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Position:
    """The place of an entry in a timeline; the order is Postgres' of (occurred_at, interaction_id)."""

    occurred_at: datetime
    interaction_id: UUID


def token_of(position: Position, key: bytes, scope: bytes) -> str:
    """The token of a position.

    Args:
        position: The last entry that was shown.
        key: Secret, of one tenant: another tenant's tokens are refused.
        scope: What was asked, without the page; a token of another question is refused.
    """
    microseconds = (position.occurred_at - _EPOCH) // timedelta(microseconds=1)
    place = _PLACE.pack(_VERSION, microseconds, position.interaction_id.bytes)
    return base64.urlsafe_b64encode(place + _mac(place, key, scope)).rstrip(b"=").decode()


def position_of(token: str, key: bytes, scope: bytes) -> Position:
    """The position of a token.

    Raises:
        CursorError: It is none of ours, was changed, or belongs to another question or tenant; says no more than that.
    """
    refused = CursorError("this page token is not valid here", "ask again without it for the first page")
    try:
        raw = base64.b64decode(token.encode("ascii") + b"=" * (-len(token) % 4), altchars=b"-_", validate=True)
    except (ValueError, binascii.Error) as error:
        raise refused from error
    place, mac = raw[: _PLACE.size], raw[_PLACE.size :]
    # Of the last letter two bits carry nothing: one token has one spelling.
    is_ours = len(place) == _PLACE.size and hmac.compare_digest(mac, _mac(place, key, scope))
    if not is_ours or base64.urlsafe_b64encode(raw).rstrip(b"=").decode() != token:
        raise refused
    version, microseconds, interaction_id = _PLACE.unpack(place)
    if version != _VERSION:
        raise refused
    return Position(occurred_at=_EPOCH + timedelta(microseconds=microseconds), interaction_id=UUID(bytes=interaction_id))


def _mac(place: bytes, key: bytes, scope: bytes) -> bytes:
    return hmac.new(key, b"timeline cursor\0" + scope + b"\0" + place, hashlib.sha256).digest()[:_MAC_BYTES]
