"""Calls to Weaviate from any thread: each within its deadline, behind the breaker, and watched for a server that is gone."""

import asyncio
import weakref
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TYPE_CHECKING, TypeVar

import structlog

from pay_ready.breaker import Breaker, BreakerState
from pay_ready.errors import PayReadyError, TransientError
from pay_ready.memory.cold.connection import Connection
from pay_ready.memory.cold.faults import client_errors, is_without_collection, translated
from pay_ready.memory.cold.loop import LoopThread, shared_loop
from pay_ready.memory.cold.options import WeaviateOptions

if TYPE_CHECKING:  # heavy
    from weaviate import WeaviateAsyncClient

T = TypeVar("T")
log = structlog.get_logger()

_CLOSE_S = 30.0  # an embedded server has to write its files


class Calls:
    """The way from synchronous callers to one asynchronous client. Thread-safe; nothing is opened before the first call."""

    def __init__(self, options: WeaviateOptions, prepare: Callable[["WeaviateAsyncClient"], Awaitable[None]]) -> None:
        self._options = options
        self._connection = Connection(options, prepare)
        self._breaker = Breaker("weaviate", opens_after=options.breaker_opens_after, open_s=options.breaker_open_s)
        self._loop: LoopThread | None = None
        self._end: weakref.finalize[[LoopThread, Connection], Calls] | None = None

    @property
    def breaker(self) -> BreakerState:
        """Whether the server is asked at all at the moment."""
        return self._breaker.state

    def ask(self, doing: str, call: Callable[["WeaviateAsyncClient"], Awaitable[T]], deadline_s: float) -> T:
        """What the call gives.

        Raises:
            TransientError: No answer within the deadline, or the server is away; BreakerOpenError while it is left alone.
            ConfigError, DeniedError: The schema is not ours, the version too old, the key refused.
            PayReadyError: The server refuses the call, or the store is closed, or was in use before a fork.
        """
        import weaviate  # noqa: F401 - takes a second the first time: not on the deadline

        with self._breaker.guarding():
            if self._loop is None:
                self._loop = shared_loop()
                self._end = weakref.finalize(self, _shut, self._loop, self._connection)  # at exit, if nobody closes it before
            return self._loop.run(self._within(doing, call, deadline_s), deadline_s)

    def is_live(self) -> bool:
        """Whether REST and gRPC answer; False while the breaker is open. As any call, it closes a breaker that has waited enough."""
        try:
            self.ask("is_live", self._ping, self._options.query_s)
        except PayReadyError:
            return False
        return True

    def close(self) -> None:
        """Let go of the client, and of the embedded server; the second time does nothing."""
        self._connection.is_closed = True
        if self._end is not None:
            self._end()

    async def _ping(self, _: "WeaviateAsyncClient") -> None:
        if not await self._connection.is_alive():
            raise self._lost("is_live")

    async def _within(self, doing: str, call: Callable[["WeaviateAsyncClient"], Awaitable[T]], deadline_s: float) -> T:
        try:
            async with asyncio.timeout(deadline_s):
                return await self._watched(doing, call)
        except TimeoutError as error:
            raise TransientError("Weaviate did not answer in time", "try again later", doing=doing, deadline_s=deadline_s) from error
        except client_errors() as error:
            if is_without_collection(str(error)):  # the next call opens afresh, and makes it
                self._connection.discard_later()
                raise TransientError("a collection is gone from Weaviate", "try again", doing=doing) from error
            raise translated(error, doing) from error

    async def _watched(self, doing: str, call: Callable[["WeaviateAsyncClient"], Awaitable[T]]) -> T:
        """The call's answer, while the server is alive. The client itself would try again for a minute."""
        try:
            client = await self._connection.client()
        except TransientError as error:
            raise self._lost(doing) from error
        task = asyncio.ensure_future(call(client))
        is_alive = True
        try:
            await asyncio.wait({task}, timeout=self._options.patience_s)
            if not task.done() or _may_be_away(task):
                is_alive = False  # until it says otherwise: the deadline may come first
                is_alive = await self._connection.is_alive()
            if not is_alive:
                raise self._lost(doing) from (task.exception() if task.done() else None)
            return await task
        finally:
            task.cancel()
            if not is_alive:
                self._connection.discard_later()

    def _lost(self, doing: str) -> TransientError:
        """The error of a call whose server is not there; it is left alone at once."""
        self._breaker.restore(BreakerState(circuit="open", failures=self._options.breaker_opens_after))
        log.warning("store.lost", kind="weaviate", step=doing)
        return TransientError("Weaviate is away", "try again later; pay-ready memory status", doing=doing)


def _may_be_away(task: "asyncio.Future[T]") -> bool:
    """Whether a call ended as calls of a server do that is gone."""
    error = None if task.cancelled() else task.exception()
    return isinstance(error, client_errors()) and isinstance(translated(error, ""), TransientError)


def _shut(loop: LoopThread, connection: Connection) -> None:
    with suppress(PayReadyError):
        loop.run(connection.close(), _CLOSE_S)
