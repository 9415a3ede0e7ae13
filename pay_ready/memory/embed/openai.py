"""Vectors from a server that answers POST /embeddings, as OpenAI's API does: a cloud's, or one's own beside the database.

Neither the key nor a text ever stands in an error or a log line; of an answer only its status does.
"""

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import msgspec
import numpy as np
from numpy.typing import NDArray

from pay_ready.breaker import Breaker
from pay_ready.errors import ConfigError, DeniedError, EmbeddingError, PayReadyError, RetryLaterError, TransientError
from pay_ready.memory.embed.options import OpenAIOptions
from pay_ready.memory.embed.rows import unit_rows
from pay_ready.resilience import transient_retries

if TYPE_CHECKING:  # heavy
    import aiohttp

    from pay_ready.model.memory import Vectors

_LARGEST_ANSWER = 64 * 2**20  # bytes
_LETTERS_PER_TOKEN = 4  # about, in English; a longer text is cut, for the servers refuse it
_NOTHING = "-"  # in place of an empty text, which the servers refuse
_LONGEST_RETRY_AFTER_S = 20.0
_CHECK = "check the embedder's url and model"


class _Row(msgspec.Struct):
    index: int
    embedding: list[float]


class _Answer(msgspec.Struct):
    data: list[_Row]


class OpenAIEmbedder:
    """A remote embedder. `embed` waits for its sockets in an event loop of its own: it is called from threads, never from a coroutine.

    A text longer than the model reads is cut at four letters a token.
    """

    is_lexical = False

    def __init__(self, options: OpenAIOptions, *, breaker: Breaker | None = None) -> None:
        """Nothing is sent yet.

        Raises:
            ConfigError: The address is none, or a number is out of range.
        """
        parts = urlsplit(options.url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.username:
            raise ConfigError("not the address of an embedding server", "write it like https://host/v1; a key goes into api_key", key="url")
        if not options.model or min(options.dim, options.batch_size, options.concurrency, options.attempts) < 1:
            raise ConfigError(
                "an option of the embedding server is off", "model is a name; dim, batch_size, … are at least 1", key="openai"
            )
        self.options, self.server = options, parts.netloc
        self.id = ":".join((f"openai/{options.model}", options.revision or "unversioned", "fp32", str(options.dim)))
        self.dim, self.max_tokens = options.dim, options.max_tokens
        self.breaker = breaker or Breaker(f"embedder:{self.server}")

    def embed(self, texts: Sequence[str]) -> "Vectors":
        """As `Embedder.embed`; all texts or none.

        Raises:
            EmbeddingError: The answer has not one vector of `dim` numbers for each text, or the server refuses a text.
            DeniedError: The key is not accepted.
            ConfigError: The server knows no such path or model.
            TransientError: No answer within deadline_s of a batch, retries included; a BreakerOpenError while it is left alone.
        """
        if not texts:
            return np.zeros((0, self.dim), np.float32)
        return unit_rows(asyncio.run(self._embed(texts)), shape=(len(texts), self.dim), embedder=self.id)

    async def _embed(self, texts: Sequence[str]) -> NDArray[np.float64]:
        import aiohttp

        size = self.options.batch_size
        batches = [[self._sendable(text) for text in texts[start : start + size]] for start in range(0, len(texts), size)]
        gate = asyncio.Semaphore(self.options.concurrency)
        connector = aiohttp.TCPConnector(limit=self.options.concurrency)
        async with aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar(), trust_env=True) as session:

            async def one(batch: list[str]) -> NDArray[np.float64]:
                async with gate:
                    return await self._in_time(session, batch)

            try:
                async with asyncio.TaskGroup() as sending:
                    tasks = [sending.create_task(one(batch)) for batch in batches]
            except ExceptionGroup as failed:
                # The first one speaks; the other batches were told to stop.
                raise failed.exceptions[0] from None
        return np.concatenate([task.result() for task in tasks])

    def _sendable(self, text: str) -> str:
        cut = text[: self.max_tokens * _LETTERS_PER_TOKEN].encode("utf-8", "replace").decode("utf-8")
        return cut if cut.strip() else _NOTHING

    async def _in_time(self, session: "aiohttp.ClientSession", batch: list[str]) -> NDArray[np.float64]:
        options = self.options
        attempt = transient_retries(
            self._attempt,
            attempts=options.attempts,
            timeout_s=options.deadline_s,
            wait_initial_s=0.5,
            wait_max_s=8.0,
            wait_jitter_s=0.5,
            again=_again,
        )
        try:
            async with asyncio.timeout(options.deadline_s):
                return await attempt(session, batch)
        except TimeoutError as error:
            what = "the embedding server did not answer in time"
            raise TransientError(what, "try again later", server=self.server, deadline_s=options.deadline_s) from error

    async def _attempt(self, session: "aiohttp.ClientSession", batch: list[str]) -> NDArray[np.float64]:
        import aiohttp

        with self.breaker.guarding():
            try:
                content = await self._answer(session, batch)
            except (aiohttp.InvalidURL, aiohttp.ClientConnectorCertificateError) as error:
                raise ConfigError("the embedding server cannot be called", _CHECK, server=self.server, error=type(error).__name__) from None
            except (aiohttp.ClientError, OSError) as error:
                what = f"no answer from the embedding server ({type(error).__name__})"
                raise TransientError(what, "is it up, and its address right?", server=self.server) from None
        return self._rows(content, len(batch))

    async def _answer(self, session: "aiohttp.ClientSession", batch: list[str]) -> bytes:
        """The body of a success.

        Raises:
            PayReadyError: What the status says.
        """
        options = self.options
        body: dict[str, object] = {"model": options.model, "input": batch, "encoding_format": "float"}
        if options.asks_dimensions:
            body["dimensions"] = options.dim
        headers = {"Authorization": f"Bearer {options.api_key}"} if options.api_key else {}
        url = options.url.rstrip("/") + "/embeddings"
        async with session.post(url, json=body, headers=headers, allow_redirects=False) as response:
            if response.status != 200:
                raise self._refusal(response.status, response.headers.get("Retry-After", ""))
            content = await response.content.read(_LARGEST_ANSWER)
            while not response.content.at_eof() and len(content) < _LARGEST_ANSWER:
                content += await response.content.read(_LARGEST_ANSWER)
            return content

    def _refusal(self, status: int, retry_after: str) -> PayReadyError:
        where = {"server": self.server, "model": self.options.model, "status": status}
        if status in (408, 409, 425, 429) or status >= 500:
            asked_s = float(retry_after) if retry_after.isdecimal() else None
            return TransientError("the embedding server asks to wait or is in trouble", "try again later", **where, retry_after_s=asked_s)
        if status in (401, 403):
            return DeniedError("the embedding server does not accept the key", "set another api_key", **where)
        if status in (400, 413, 422):
            return EmbeddingError("the embedding server refuses the texts", "lower max_tokens or batch_size; check dimensions", **where)
        return ConfigError("the embedding server has no such path or model", _CHECK, **where)

    def _rows(self, content: bytes, count: int) -> NDArray[np.float64]:
        """Vectors in the order of the texts, whatever order they came in.

        Raises:
            EmbeddingError: Not exactly one vector of the right length for each text.
        """
        where = {"server": self.server, "model": self.options.model}
        try:
            rows = msgspec.json.decode(content, type=_Answer).data
        except (msgspec.MsgspecError, UnicodeDecodeError):
            raise EmbeddingError(
                "the embedding server's answer is not what it should be", _CHECK, **where, size_bytes=len(content)
            ) from None
        if sorted(row.index for row in rows) != list(range(count)):
            raise EmbeddingError(
                "the embedding server left out texts, or answered some twice", _CHECK, **where, texts=count, rows=len(rows)
            )
        if lengths := {len(row.embedding) for row in rows} - {self.dim}:
            raise EmbeddingError(
                "the embedding server's vectors have another length", "set dim to it", **where, dim=self.dim, came=min(lengths)
            )
        return np.array([row.embedding for row in sorted(rows, key=lambda row: row.index)], np.float64)


def _again(error: Exception) -> bool | float:
    """Whether to call again, or after how many seconds: as the server asks, unless that is too long."""
    if not isinstance(error, TransientError) or isinstance(error, RetryLaterError):
        return False
    asked_s = error.where.get("retry_after_s")
    if not isinstance(asked_s, float):
        return True
    return asked_s if asked_s <= _LONGEST_RETRY_AFTER_S else False
