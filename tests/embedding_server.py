"""A server with the embeddings path of OpenAI's API, on a real socket, in a thread; its vectors are those of our hash embedder.

`with EmbeddingServer() as server:` - then `server.url`, `server.seen` (the requests) and `server.next_answers` for what may go wrong.
"""

import asyncio
import json
import threading
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

from aiohttp import web

from pay_ready.memory.embed.hashing import HashEmbedder

Answers = Callable[[dict[str, Any]], Awaitable[web.StreamResponse]]
KEY = "canary-key-of-the-embeddings"


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A request as it came."""

    body: dict[str, Any]
    authorization: str


@dataclass(slots=True)
class EmbeddingServer:
    """The server; `next_answers` are given, one a request, before it goes on to answer rightly."""

    next_answers: list[Answers] = field(default_factory=list)
    seen: list[Seen] = field(default_factory=list)
    url: str = ""
    _ready: threading.Event = field(default_factory=threading.Event)
    _stop: Callable[[], object] = print
    _thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), name="embedding-server", daemon=True)
        self._thread.start()
        assert self._ready.wait(30)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._stop()
        assert self._thread is not None
        self._thread.join(30)

    async def _serve(self) -> None:
        loop, stop = asyncio.get_running_loop(), asyncio.Event()
        self._stop = lambda: loop.call_soon_threadsafe(stop.set)
        app = web.Application(client_max_size=2**26)
        app.router.add_post("/v1/embeddings", self._embeddings)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        host, port = runner.addresses[0][:2]
        self.url = f"http://{host}:{port}/v1"
        self._ready.set()
        await stop.wait()
        await runner.cleanup()

    async def _embeddings(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        self.seen.append(Seen(body=body, authorization=request.headers.get("Authorization", "")))
        if self.next_answers:
            return await self.next_answers.pop(0)(body)
        return web.json_response(document(body))


def document(body: dict[str, Any]) -> dict[str, Any]:
    """The right answer to a request; an empty text is refused, as the real API refuses it."""
    if not all(text for text in body["input"]):
        raise web.HTTPBadRequest(text='{"error": {"message": "input cannot be an empty string"}}')
    rows = HashEmbedder().embed(body["input"])
    data = [{"object": "embedding", "index": place, "embedding": row.tolist()} for place, row in enumerate(rows)]
    return {"object": "list", "model": body["model"], "data": data, "usage": {"prompt_tokens": 1, "total_tokens": 1}}


def status(code: int, **headers: str) -> Answers:
    """An answer with a status, and a body that quotes what nobody may repeat."""

    async def answer(body: dict[str, Any]) -> web.StreamResponse:
        return web.Response(status=code, text=json.dumps({"error": {"message": f"bad: {body['input']} {KEY}"}}), headers=headers)

    return answer


def changed(change: Callable[[dict[str, Any]], object]) -> Answers:
    """The right answer, after a change to it."""

    async def answer(body: dict[str, Any]) -> web.StreamResponse:
        right = document(body)
        change(right)
        return web.Response(text=json.dumps(right), content_type="application/json")  # NaN is written as NaN

    return answer


async def never(body: dict[str, Any]) -> web.StreamResponse:
    """No answer."""
    await asyncio.Event().wait()
    raise AssertionError
