"""Steps as tasks of Prefect: in a thread of their own, within its limits, with errors that say not a word of the data.

Flows are coroutines: a synchronous one waits up to a second at its end for Prefect's heartbeat, and cannot be stopped while a thread of it
works. A step works in a thread of its own; whatever ends the flow run (a cancellation, a timeout) ends the thread, too, as Ctrl-C would:
its connector is ended, its transaction rolled back, its lease given back, and step_runs say `aborted`.
"""

import asyncio
import logging
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from contextvars import copy_context
from dataclasses import dataclass
from types import FrameType
from typing import Any, Generic, TypeVar, cast

from prefect import State, get_run_logger, task
from prefect.cache_policies import NO_CACHE
from prefect.concurrency.asyncio import concurrency

from pay_ready.errors import (
    CheckFailedError,
    ConfigError,
    ConflictError,
    DeniedError,
    NotFoundError,
    PartialError,
    PayReadyError,
    RetryLaterError,
    TransientError,
    UsageError,
)
from pay_ready.logs import MASK, mask_personal, scrub
from pay_ready.model.progress import Progress, ProgressEvent
from pay_ready.threads import STOP_S, stop_thread

T = TypeVar("T")

AIRBYTE, DATABASE = "pay-ready-airbyte", "pay-ready-database"  # global limits: syncs of an Airbyte, steps that load the database

_RETRY_AFTER_S = (10.0, 60.0)
_SLOT_S = 60  # so long a slot is kept for a run that was killed, the least that Prefect allows
_AWAY_S = (2.0, 5.0, 10.0)  # between attempts to get a slot from a server that is away
_TOLD_EVERY_S = 15.0
_SAFE_AS = {"sources": "source", "checks": "rule"}  # keys that hold several names of ours
_OWN_WORDS = (CheckFailedError, ConflictError, RetryLaterError, NotFoundError, DeniedError, UsageError)


class StepFailedError(PayReadyError):
    """A step failed. Its text is safe to be shown anywhere; what it left, and why, stay in this process: they are never pickled."""

    outcome: object = None
    reason: PayReadyError | None = None


class StepDeferredError(StepFailedError, TransientError):
    """The same, and trying again may help."""


def shown(error: PayReadyError) -> PayReadyError:
    """What may be shown of an error: its class, and of what it says only what is ours; a connector's own words stay in our tables."""
    is_ours = isinstance(error, _OWN_WORDS) and "connector" not in error.where
    kind = StepDeferredError if isinstance(error, TransientError) else StepFailedError
    if isinstance(error, StepFailedError):
        return error
    masked = mask_personal(None, "", {_SAFE_AS.get(key, key): value for key, value in error.where.items()})
    where = {key: value for key, value in masked.items() if value != MASK and key != MASK}
    if is_ours:
        what, hint = scrub(error.what), scrub(error.hint)
    else:
        name = type(error).__name__
        what = f"{name}: the rest is done and kept" if isinstance(error, PartialError) else name
        hint = "why: pay-ready runs list, pay-ready runs show RUN"
    found = kind(what, hint, **where)
    found.reason = error
    return found


def unexpected(error: BaseException) -> StepFailedError:
    """What may be shown of an error that nobody foresaw: its class and its place; its text may quote data."""
    trace, frame = error.__traceback__, None
    while trace is not None:
        frame, trace = (trace.tb_frame, trace.tb_lineno), trace.tb_next
    place = f"{frame[0].f_code.co_name}:{frame[1]}" if isinstance(frame, tuple) and isinstance(frame[0], FrameType) else "?"
    return StepFailedError(f"unexpected {type(error).__name__}", "run the step by hand: PAY_READY_DEBUG=1 pay-ready run", error_place=place)


@contextmanager
def safely() -> Iterator[None]:
    """Whatever goes wrong inside is raised without a word of the data; Prefect's own errors and signals pass."""
    try:
        yield
    except PayReadyError as error:
        raise shown(error) from None
    except Exception as error:
        if type(error).__module__.partition(".")[0] in ("prefect", "httpx"):
            raise
        raise unexpected(error) from None


async def in_thread(call: Callable[[], T]) -> T:
    """Do something in a thread of its own. Whatever ends the waiting is raised once the thread has ended, too."""
    loop, context = asyncio.get_running_loop(), copy_context()
    done: asyncio.Future[T] = loop.create_future()

    def told(error: BaseException | None, value: T | None) -> None:
        if done.done():
            return
        if error is None:
            done.set_result(value)  # type: ignore[arg-type]
        else:
            done.set_exception(error)

    def work() -> None:
        error, value = None, None
        try:
            value = context.run(call)
        except BaseException as failure:  # noqa: BLE001 - raised where it is waited for
            error = unexpected(failure) if isinstance(failure, StopIteration) else failure
        with _Closed():
            loop.call_soon_threadsafe(told, error, value)

    thread = threading.Thread(target=work, name="step", daemon=True)
    thread.start()
    try:
        return await asyncio.shield(done)
    except asyncio.CancelledError:
        await _stopped(thread)
        if done.done() and not done.cancelled():
            done.exception()  # seen: nobody is told of it later
        raise


class _Closed:
    """Nobody waits any more where the loop is closed."""

    def __enter__(self) -> None: ...

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> bool:
        return isinstance(error, RuntimeError)


async def _stopped(thread: threading.Thread) -> None:
    """Stop a thread and wait until it has cleaned up; one that sits in a long query is left to the end of the process."""
    stop_thread(thread)
    until = time.monotonic() + STOP_S
    while thread.is_alive() and time.monotonic() < until:
        await asyncio.sleep(0.05)


class _Call(Generic[T]):
    """A step's work, opaque to Prefect: it looks into lists and dataclasses that tasks are given."""

    __slots__ = ("do", "why_not")

    def __init__(self, do: Callable[[Progress], T], why_not: Callable[[T], PayReadyError | None]) -> None:
        self.do, self.why_not = do, why_not


def _is_transient(task: object, run: object, state: "State[Any]") -> bool:  # noqa: ARG001 - Prefect's signature
    """Whether a retry may help."""
    return isinstance(state.data, TransientError)


# Untagged on purpose: a tag makes a task depend on Prefect's server. Neither cached nor persisted: our own tables know what is done.
@task(
    cache_policy=NO_CACHE, persist_result=False, retries=len(_RETRY_AFTER_S), retry_delay_seconds=list(_RETRY_AFTER_S),
    retry_jitter_factor=0.2, retry_condition_fn=_is_transient,
)  # fmt: skip
async def _step(call: _Call[Any]) -> Any:
    log = get_run_logger()
    with safely():
        outcome = await in_thread(lambda: call.do(logged_progress(log)))
        if (reason := call.why_not(outcome)) is not None:
            failed = shown(reason)
            if isinstance(failed, StepFailedError):
                failed.outcome = outcome
            raise failed
        return outcome


def _nothing(outcome: object) -> None:  # noqa: ARG001 - of a step that raises what fails
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step of the pipeline as a task: a name, the seconds after which it is stopped, the global limit that it takes a slot of."""

    name: str
    timeout_s: float
    limit: str = ""

    async def __call__(
        self, do: Callable[[Progress], T], *, subject: str = "", why_not: Callable[[T], PayReadyError | None] = _nothing
    ) -> T:  # fmt: skip
        """Do it, up to three times while what fails may succeed later.

        Args:
            do: The step, told where to report progress.
            subject: What it is about: a source, say.
            why_not: What failed of an outcome that says so itself.

        Raises:
            StepFailedError, StepDeferredError: It failed; `outcome` is what it left, where it left anything.
            ConfigError: The limit is not there.
        """
        called = " ".join(filter(None, (self.name, subject)))
        run = _step.with_options(name=self.name, task_run_name=called, timeout_seconds=self.timeout_s)
        async with _slot(self.limit):
            try:
                outcome: T = await run(_Call(do, why_not))
            except TimeoutError:
                hint = "what is committed stays; the next run goes on from there"
                raise StepDeferredError("a step took too long and was stopped", hint, step=self.name, after_s=self.timeout_s) from None
            return outcome


@asynccontextmanager
async def _slot(limit: str) -> AsyncIterator[None]:
    """A slot of a global limit, which must be there. A limit is a courtesy: a server that is away keeps no step from its work."""
    held = await _held(limit) if limit else None
    try:
        yield
    finally:
        if held is not None:
            with _away(limit):
                await held.__aexit__(None, None, None)


async def _held(limit: str) -> "AbstractAsyncContextManager[None] | None":
    for pause_s in (*_AWAY_S, 0.0):
        held = concurrency(limit, strict=True, lease_duration=_SLOT_S, raise_on_lease_renewal_failure=False)
        is_held = False
        with _away(limit):
            await held.__aenter__()
            is_held = True
        if is_held:
            return held
        await asyncio.sleep(pause_s)
    get_run_logger().warning("limit %s: the step goes on without a slot", limit)
    return None


@contextmanager
def _away(limit: str) -> Iterator[None]:
    """Prefect's client tells of a server that is away by errors of its own, or by cancelling what waits for it.

    Raises:
        ConfigError: The server is there, and the limit is not.
    """
    try:
        yield
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if task is None or task.cancelling():  # somebody means this run
            raise
    except Exception as error:  # noqa: BLE001 - see above
        if "must be created" in str(error):
            raise ConfigError("there is no such limit on the server", "make it: pay-ready deploy apply", limit=limit) from None
        get_run_logger().debug("limit %s: %s", limit, type(error).__name__)


async def attempted(step: Awaitable[T], otherwise: Callable[[PayReadyError], T] | None = None) -> T:
    """A step's outcome; of one that failed what it left, else what its error makes.

    Raises:
        StepFailedError: It left nothing, and nobody makes anything of that.
    """
    try:
        return await step
    except StepFailedError as error:
        if error.outcome is not None:
            return cast("T", error.outcome)
        if otherwise is None:
            raise
        return otherwise(error.reason or error)


def logged_progress(log: "logging.Logger | logging.LoggerAdapter[Any]") -> Progress:
    """Progress as lines of the run's log: names and numbers, one line a part every 15 seconds at most."""
    told: dict[str, float] = {}

    def progress(event: ProgressEvent) -> None:
        part, now = f"{event.step} {event.subject}", time.monotonic()
        if now - told.setdefault(part, now) < _TOLD_EVERY_S:
            return
        told[part] = now
        log.info("%s: %s%s", part, f"{event.done:,}", "" if event.total is None else f" of {event.total:,}")

    return progress
