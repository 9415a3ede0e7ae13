"""The access token of a client: a fixed one, none, or one that is renewed ahead of its end - by one call for all that wait."""

import asyncio
import time
from collections.abc import Mapping

import msgspec

from pay_ready.errors import DeniedError, TransientError
from pay_ready.sources.airbyte_access import ClientCredentials, FixedToken, NoAuth, Secret
from pay_ready.sources.airbyte_exchange import Call, Exchange, Trouble

_CALL = Call(method="POST", path="/applications/token", is_open=True)
_MARGIN_S, _MARGIN_SHARE = 60.0, 0.2  # renewed that long before the end, or that share of the token's life if it is shorter
_LIFE_S = 60.0  # where the server does not say
_REFUSALS = (400, 401, 403, 422)


class Tokens:
    """Gives the token to send."""

    def __init__(self, exchange: Exchange, *, call_s: float) -> None:
        self._exchange, self._call_s = exchange, call_s
        self._lock = asyncio.Lock()
        self._token: Secret | None = None
        self._renew_at = 0.0  # monotonic seconds

    @property
    def renews(self) -> bool:
        """Whether another token can be had for one that was refused."""
        return isinstance(self._exchange.access.credentials, ClientCredentials)

    async def current(self) -> Secret | None:
        """The token to send now; None where the server asks for none.

        Raises:
            DeniedError: The credentials are refused.
            PayReadyError: There is none to be had.
        """
        match self._exchange.access.credentials:
            case NoAuth():
                return None
            case FixedToken(access_token=token):
                return token
            case ClientCredentials():
                async with self._lock:
                    if self._token is None or time.monotonic() >= self._renew_at:
                        await self._fetch()
                    return self._token

    async def renewed(self, refused: Secret | None) -> Secret | None:
        """Another token than the one that was refused; whoever comes second gets what the first one fetched.

        Raises:
            PayReadyError: As `current`.
        """
        async with self._lock:
            if self._token is None or self._token == refused:
                await self._fetch()
            return self._token

    async def _fetch(self) -> None:
        exchange, asked_at = self._exchange, time.monotonic()
        outcome = await exchange.send(_CALL, self._call_s, dict, self._request)
        if isinstance(outcome, Trouble):
            raise exchange.no_answer(outcome, _CALL)
        if error := exchange.error_of(outcome, _CALL):
            if outcome.status in _REFUSALS and not isinstance(error, TransientError):
                hint = "are client_id and client_secret right, and of this server? in Airbyte: Settings > Applications"
                raise DeniedError("Airbyte refuses the credentials", hint, **error.where)
            raise error
        granted = _granted(outcome.body)
        if granted is None:
            raise exchange.unreadable(outcome, _CALL)
        self._token, life_s = granted
        self._renew_at = asked_at + life_s - min(_MARGIN_S, life_s * _MARGIN_SHARE)
        exchange.hide([self._token.reveal()])

    def _request(self) -> Mapping[str, str]:
        credentials = self._exchange.access.credentials
        if not isinstance(credentials, ClientCredentials):
            return {}
        return {
            "client_id": credentials.client_id.reveal(), "client_secret": credentials.client_secret.reveal(),
            "grant-type": "client_credentials",  # spelled so in Airbyte's own documentation
        }  # fmt: skip


class _Grant(msgspec.Struct):
    access_token: str
    expires_in: float = _LIFE_S


def _granted(body: bytes) -> tuple[Secret, float] | None:
    """Token and life in seconds; None when there is none in the answer. Nothing is raised here."""
    try:
        grant = msgspec.json.decode(body, type=_Grant)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    is_token = bool(grant.access_token) and grant.access_token.isprintable()
    return (Secret(grant.access_token), max(grant.expires_in, 0.0)) if is_token else None
