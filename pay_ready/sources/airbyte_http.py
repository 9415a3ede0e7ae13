"""Calls of an Airbyte's API: with its token, with retries of what may succeed later, behind a breaker."""

from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from pay_ready.breaker import Breaker, BreakerOpenError
from pay_ready.errors import TransientError
from pay_ready.resilience import transient_retries
from pay_ready.sources.airbyte_access import AirbyteAccess, Secret
from pay_ready.sources.airbyte_errors import Answer, UnknownOutcomeError
from pay_ready.sources.airbyte_exchange import Call, Exchange, Trouble
from pay_ready.sources.airbyte_token import Tokens
from pay_ready.sources.masking import parsed


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpOptions:
    """Patience, in seconds where a unit applies."""

    call_s: float = 30.0  # one request, from connecting to the last byte of its answer
    start_job_s: float = 150.0  # the one that starts a job: it has been seen to take 80
    attempts: int = 4  # of one call, the first included
    retry_for_s: float = 90.0  # no further attempt begins after that
    wait_initial_s: float = 1.0
    wait_max_s: float = 20.0
    wait_jitter_s: float = 1.0
    longest_retry_after_s: float = 60.0  # asked to wait longer than that, a call gives up and says so


class AirbyteWire:
    """Sends calls to one Airbyte. An async context manager: its one session is closed on every way out."""

    def __init__(self, access: AirbyteAccess, options: HttpOptions, breaker: Breaker) -> None:
        self.access, self.options, self.breaker = access, options, breaker
        self._exchange = Exchange(access)
        self._tokens = Tokens(self._exchange, call_s=options.call_s)

    async def __aenter__(self) -> Self:
        await self._exchange.__aenter__()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self._exchange.__aexit__(kind, error, trace)

    async def json(self, call: Call) -> Any:
        """The JSON that a call answers.

        Raises:
            TransientError: The server is away, slow or asks to wait, after retries; an UnknownOutcomeError when the call starts
                something and may have done so; a BreakerOpenError when the server is left alone for a while.
            DeniedError: 401 (after a new token, too) or 403.
            NotFoundError, ConflictError (BusyError), UsageError, ConfigError: What the status says.
            ContractError: The answer is no JSON.
        """
        return parsed((await self._called(call, wants_json=True)).body)

    async def text(self, call: Call) -> str:
        """The text that a call answers, masked.

        Raises:
            PayReadyError: As `json`.
        """
        return self._exchange.place(call).shown((await self._called(call, wants_json=False)).text)

    async def _called(self, call: Call, *, wants_json: bool) -> Answer:
        options = self.options
        attempt = transient_retries(
            self._attempt,
            attempts=options.attempts,
            timeout_s=options.retry_for_s,
            wait_initial_s=options.wait_initial_s,
            wait_max_s=options.wait_max_s,
            wait_jitter_s=options.wait_jitter_s,
            again=self._again,
        )
        return await attempt(call, wants_json)

    def _again(self, error: Exception) -> bool | float:
        if not isinstance(error, TransientError) or isinstance(error, BreakerOpenError | UnknownOutcomeError):
            return False
        asked_s = error.where.get("retry_after_s")
        if not isinstance(asked_s, float):
            return True
        return asked_s if asked_s <= self.options.longest_retry_after_s else False

    async def _attempt(self, call: Call, wants_json: bool) -> Answer:
        with self.breaker.guarding():
            token = None if call.is_open else await self._tokens.current()
            answer = await self._sent(call, token)
            if answer.status == 401 and self._tokens.renews and not call.is_open:
                # The token was revoked, or its end came sooner than said. Once: the second 401 stands.
                answer = await self._sent(call, await self._tokens.renewed(token))
            if error := self._exchange.error_of(answer, call):
                raise error
            if wants_json and parsed(answer.body) is None:
                raise self._exchange.unreadable(answer, call) if answer.is_html else self._exchange.cut_off(call)
            return answer

    async def _sent(self, call: Call, token: Secret | None) -> Answer:
        deadline_s = self.options.start_job_s if call.starts_something else self.options.call_s
        outcome = await self._exchange.send(
            call, deadline_s, lambda: {} if token is None else {"Authorization": f"Bearer {token.reveal()}"}, lambda: call.body
        )
        if isinstance(outcome, Trouble):
            raise self._exchange.no_answer(outcome, call)
        return outcome
