"""One call of a language model: a typed value out, within a time, a number of requests and a budget, behind a breaker."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Coroutine
from concurrent.futures import Future, wait
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import structlog
from pydantic import BaseModel

from pay_ready.agent.llm.budget import TokenBudget
from pay_ready.agent.llm.options import LlmOptions, Spent
from pay_ready.breaker import Breaker
from pay_ready.errors import ConfigError, PayReadyError, TransientError
from pay_ready.model.ids import TenantId

if TYPE_CHECKING:  # heavy, and of the extra `llm`
    from pydantic_ai.models import Model

_BUSY = frozenset({408, 409, 425, 429})
_GRACE_S = 1.0  # beyond its time, for a call to end by itself
_LEAST_TOKENS = 500  # a call with less left would only be cut off

log = structlog.get_logger()

T = TypeVar("T", bound=BaseModel)
OpenModel = Callable[[LlmOptions], "AbstractAsyncContextManager[Model]"]


class ModelAwayError(TransientError):
    """The model could not be reached, or is busy."""


class ModelLateError(ModelAwayError):
    """The model did not answer in time: what it cost is not known."""


class ModelRefusedError(PayReadyError):
    """The model's server does not take such requests: a wrong key, model or address."""


class ModelAnswerError(PayReadyError):
    """What the model said is not what was asked for."""


class ModelLimitError(PayReadyError):
    """The question has used its requests or tokens, or the tenant its tokens of the day."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """What a model is told: our words, and then those of others."""

    instructions: str
    text: str


class AsksModel(Protocol):
    """Gives a typed value to a prompt, or raises a PayReadyError."""

    @property
    def options(self) -> LlmOptions:
        """Where, how long, how much."""
        ...

    def ask(self, tenant: TenantId, prompt: Prompt, wanted: type[T], spent: Spent) -> T:
        """The model's value."""
        ...


class LanguageModel:
    """The model of a process, for all its tenants and threads. Asking blocks.

    Args:
        options: Where, how long, how much.
        budget: Counts the tokens of tenants.
        breaker: Leaves the server alone while it fails; None for one of its own.
        open_model: How the model is reached; another one in tests.
        clock: Now, aware.
    """

    def __init__(
        self,
        options: LlmOptions,
        budget: TokenBudget,
        *,
        breaker: Breaker | None = None,
        open_model: OpenModel | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.options = options
        self._budget, self._clock = budget, clock
        self._breaker = breaker or Breaker("language model")
        self._open_model = open_model or open_openai

    def ask(self, tenant: TenantId, prompt: Prompt, wanted: type[T], spent: Spent) -> T:
        """The model's value, validated.

        Raises:
            ConfigError: The library is not installed.
            ModelLimitError: Requests or tokens are used up; nothing was sent, or what was sent ran into the limit.
            BreakerOpenError: The server failed several times in a row; nothing was sent.
            ModelAwayError, ModelRefusedError, ModelAnswerError: What they say.
        """
        tokens = self.options.most_tokens - spent.tokens
        if self.options.most_requests <= spent.requests or tokens < _LEAST_TOKENS:
            raise ModelLimitError("the question has used up its requests or tokens", requests=spent.requests, tokens=spent.tokens)
        load_library()
        day = self._clock().astimezone(UTC).date()
        if not self._budget.reserve(tenant, day, tokens, self.options.day_tokens):
            raise ModelLimitError("the tenant's tokens of the day are used up", "tomorrow there are new ones", most=self.options.day_tokens)
        before, late, outcome = replace(spent), False, "failed"
        try:
            with self._breaker.guarding():
                value = self._within_time(lambda: self._ask(prompt, wanted, spent, tokens))
            outcome = "answered"
        except ModelLateError:
            late = True
            raise
        finally:
            used = spent.tokens - before.tokens
            # Of a call that was cut off nobody knows what it cost: what was reserved for it counts.
            self._budget.settle(tenant, day, tokens, tokens if late else used)
            log.info("model.asked", kind=wanted.__name__, outcome=outcome, requests=spent.requests - before.requests, tokens=used)
        return value

    def _within_time(self, ask: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Its value. What does not heed its own timeout (a name server that is away) is left behind, in a thread that holds up no exit."""
        done: Future[T] = Future()

        def work() -> None:
            try:
                done.set_result(asyncio.run(ask()))
            except BaseException as error:  # noqa: BLE001 - raised again where it is waited for
                done.set_exception(error)

        threading.Thread(target=work, name="language model", daemon=True).start()
        if wait([done], self.options.timeout_s + _GRACE_S).not_done:
            raise ModelLateError("the language model took too long", timeout_s=self.options.timeout_s)
        return done.result()

    async def _ask(self, prompt: Prompt, wanted: type[T], spent: Spent, tokens: int) -> T:
        """One run. The output is plain JSON that the prompt describes: nothing that is sent declares a tool."""
        from pydantic_ai import Agent, PromptedOutput, RunUsage, UsageLimits
        from pydantic_ai.exceptions import UserError

        usage = RunUsage()
        limits = UsageLimits(request_limit=self.options.most_requests - spent.requests, total_tokens_limit=tokens, tool_calls_limit=0)
        try:
            async with asyncio.timeout(self.options.timeout_s), self._open_model(self.options) as model:
                agent = Agent(model, output_type=PromptedOutput(wanted), instructions=prompt.instructions, retries=1)
                run = await agent.run(prompt.text, usage=usage, usage_limits=limits, model_settings={"temperature": 0.0})
                return run.output
        except TimeoutError:
            raise ModelLateError("the language model took too long", timeout_s=self.options.timeout_s) from None
        except UserError:
            raise ConfigError("the language model cannot be asked so", "check url and model of [llm]", model=self.options.model) from None
        except RuntimeError as error:
            raise _translated(error, self.options) from None  # the library's messages repeat what was said
        except ValueError:
            raise ModelAnswerError("the language model's answer is none of an API like OpenAI's") from None
        finally:
            spent.requests += usage.requests
            spent.tokens += usage.total_tokens


def load_library() -> None:
    """Load the library, which takes a second or two: no answer's time counts it.

    Raises:
        ConfigError: It is not installed.
    """
    try:
        for name in ("pydantic_ai", "pydantic_ai.models.openai"):
            import_module(name)
    except ImportError as error:
        raise ConfigError("the library for language models is not installed", 'pip install "pay-ready[llm]"') from error


@asynccontextmanager
async def open_openai(options: LlmOptions) -> "AsyncIterator[Model]":
    """The model at an address like OpenAI's. One try a request (the breaker counts them), and no redirect: evidence goes nowhere else."""
    from openai import AsyncOpenAI, DefaultAsyncHttpxClient
    from pydantic_ai.models.openai import OpenAIChatModel
    from pydantic_ai.providers.openai import OpenAIProvider

    key = options.api_key.get_secret_value() if options.api_key else "none"
    http = DefaultAsyncHttpxClient(timeout=options.timeout_s, follow_redirects=False)
    async with AsyncOpenAI(base_url=options.url, api_key=key, max_retries=0, http_client=http) as client:
        yield OpenAIChatModel(options.model, provider=OpenAIProvider(openai_client=client))


def _translated(error: RuntimeError, options: LlmOptions) -> PayReadyError:
    """Our error for one of the library's.

    Raises:
        RuntimeError: It is none of the library's.
    """
    from pydantic_ai import exceptions as theirs

    where: dict[str, Any] = {"model": options.model}
    match error:
        case theirs.UsageLimitExceeded():
            return ModelLimitError("the question has used up its requests or tokens", **where)
        case theirs.UnexpectedModelBehavior():
            return ModelAnswerError("what the language model said is not of the form that was asked for", **where)
        case theirs.ModelHTTPError(status_code=status) if status not in _BUSY and status < 500:
            return ModelRefusedError("the language model's server refuses", "check url, model and key of [llm]", status=status, **where)
        case theirs.ModelHTTPError(status_code=status):
            return ModelAwayError("the language model's server is busy or broken", "try again later", status=status, **where)
        case theirs.AgentRunError():
            return ModelAwayError("the language model cannot be reached", "try again later", **where)
        case _:
            raise error
