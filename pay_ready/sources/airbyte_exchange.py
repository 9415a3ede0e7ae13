"""One request to an Airbyte and its answer.

Two rules keep credentials out of every traceback. Where they stand in plain (`_sent` and the frames of aiohttp below it)
nothing is raised but interrupts, and those pass on without these frames: `send` gives back a value. And errors are made
from it where every local is an id, a name or something without a repr.
"""

import ssl
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from types import TracebackType
from typing import TYPE_CHECKING, NoReturn, Self

from pay_ready.errors import ConfigError, ContractError, PayReadyError, SecretError, TransientError
from pay_ready.sources.airbyte_access import AirbyteAccess, NoAuth
from pay_ready.sources.airbyte_errors import Answer, Place, UnknownOutcomeError, answer_error
from pay_ready.sources.masking import Masker

if TYPE_CHECKING:  # heavy, and most commands call no platform
    import aiohttp

_CONNECT_S = 10.0
_LARGEST_ANSWER = 32 * 2**20  # bytes
_NOT_THE_API = "is this the address of the API? a login page or a proxy may stand before it"

Headers = Callable[[], Mapping[str, str]]
Body = Callable[[], Mapping[str, str] | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One call of the API; `body` is never secret. One that starts something is not carried out twice unseen."""

    method: str
    path: str
    params: tuple[tuple[str, str], ...] = ()
    body: Mapping[str, str] | None = None
    starts_something: bool = False
    is_open: bool = False  # needs no credentials

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """No answer: why, whether the request may have been carried out all the same, and whether trying again is idle."""

    what: str
    hint: str
    may_be_done: bool = True
    is_lasting: bool = False


class Exchange:
    """The session with one Airbyte. An async context manager: closed on every way out."""

    def __init__(self, access: AirbyteAccess) -> None:
        self.access = access
        self._mask = Masker(access.secrets())
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        import aiohttp

        # A connection kept open is often closed by the other side just before its next use, and a request on it may then
        # have been carried out or not. Polls are far apart: each call opens its own.
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=8, force_close=True),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={"User-Agent": "pay-ready", "Accept": "application/json, application/problem+json"},
        )
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    def __reduce__(self) -> NoReturn:
        """Refused, as for the credentials in it.

        Raises:
            SecretError: Always.
        """
        raise SecretError("a client does not leave its process", "pass the source's name and open another one there")

    async def send(self, call: Call, deadline_s: float, headers: Headers, body: Body) -> Answer | Trouble:
        """The answer to one request, or why there is none; at most `deadline_s` from connecting to the last byte.

        Args:
            headers, body: Made where they are needed and nowhere before: there may be secrets in them.
        """
        import aiohttp

        try:
            return await self._sent(call, deadline_s, headers, body)
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
            return _trouble(error, deadline_s)
        except BaseException as error:
            # Ctrl-C and the end of a task.
            error.__traceback__ = error.__context__ = None
            raise

    async def _sent(self, call: Call, deadline_s: float, headers: Headers, body: Body) -> Answer | Trouble:
        if self._session is None:
            return Trouble(what="the client of Airbyte is not open", hint="use it as an async context manager", is_lasting=True)
        import aiohttp

        timeout = aiohttp.ClientTimeout(total=deadline_s, sock_connect=min(_CONNECT_S, deadline_s))
        async with self._session.request(
            call.method, self.access.url + call.path, params=call.params, headers=headers(), json=body(), timeout=timeout,
            allow_redirects=False,
        ) as response:  # fmt: skip
            content = await _limited(response)
            if content is None:
                return Trouble(what=f"Airbyte's answer is larger than {_LARGEST_ANSWER} bytes", hint=_NOT_THE_API)
            return Answer(
                status=response.status,
                content_type=response.content_type.lower(),
                retry_after=response.headers.get("Retry-After"),
                body=content,
            )

    def error_of(self, answer: Answer, call: Call) -> PayReadyError | None:
        """The error that an answer stands for; None for a success."""
        has_credentials = not isinstance(self.access.credentials, NoAuth)
        error = answer_error(answer, self.place(call), now=datetime.now(UTC), has_credentials=has_credentials)
        if call.starts_something and answer.status >= 500 and isinstance(error, TransientError):
            return UnknownOutcomeError(error.what, "look whether it began before asking again", **error.where)
        return error

    def no_answer(self, trouble: Trouble, call: Call) -> PayReadyError:
        """The error of a call without an answer."""
        kind: type[PayReadyError] = ConfigError if trouble.is_lasting else TransientError
        if call.starts_something and trouble.may_be_done and not trouble.is_lasting:
            kind = UnknownOutcomeError
        return kind(self._mask(trouble.what), trouble.hint, call=str(call), server=self.access.server)

    def unreadable(self, answer: Answer, call: Call) -> PayReadyError:
        """The error of a success without the content that it should have; of the content nothing is quoted."""
        what = "Airbyte answered with a page instead of JSON" if answer.is_html else "Airbyte's answer is not what it should be"
        where = {"call": str(call), "server": self.access.server, "status": answer.status}
        return (UnknownOutcomeError if call.starts_something else ContractError)(what, _NOT_THE_API, **where)

    def cut_off(self, call: Call) -> PayReadyError:
        """The error of a success whose JSON ends too early: the next attempt may bring it whole."""
        kind = UnknownOutcomeError if call.starts_something else TransientError
        return kind("Airbyte's answer is no JSON", _NOT_THE_API, call=str(call), server=self.access.server)

    def place(self, call: Call) -> Place:
        """Where an answer comes from, and what must not be seen of it."""
        return Place(call=str(call), server=self.access.server, mask=self._mask)

    def hide(self, secrets: Iterable[str]) -> None:
        """Mask these texts from now on, too."""
        self._mask.add(secrets)


async def _limited(response: "aiohttp.ClientResponse") -> bytes | None:
    """The body; None when it is larger than any answer of the API."""
    chunks, size = [], 0
    async for chunk in response.content.iter_chunked(2**16):
        chunks.append(chunk)
        if (size := size + len(chunk)) > _LARGEST_ANSWER:
            return None
    return b"".join(chunks)


def _trouble(error: Exception, deadline_s: float) -> Trouble:
    """Why there is no answer, in words that hold no more than the error's class and the system's reason."""
    import aiohttp

    hint = "is the server up, and its address right? try again later"
    match error:
        case aiohttp.ClientConnectorCertificateError() | aiohttp.ClientConnectorSSLError() | ssl.SSLError():
            trust = "the certificate must be one that this machine trusts (SSL_CERT_FILE names further authorities)"
            return Trouble(what="no secure connection to Airbyte", hint=trust, may_be_done=False, is_lasting=True)
        case aiohttp.ClientConnectorError() | aiohttp.ConnectionTimeoutError():
            reason = getattr(error, "strerror", None) or "no connection in time"
            return Trouble(what=f"Airbyte cannot be reached: {reason}", hint=hint, may_be_done=False)
        case TimeoutError():
            return Trouble(what=f"Airbyte did not answer within {deadline_s:g} s", hint=hint)
        case aiohttp.InvalidURL() | aiohttp.NonHttpUrlClientError():
            return Trouble(what="not an address that can be called", hint="correct it", may_be_done=False, is_lasting=True)
        case _:
            return Trouble(what=f"the connection to Airbyte was lost ({type(error).__name__})", hint=hint)
