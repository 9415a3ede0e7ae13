"""An HTTP server with the behaviour of Airbyte's public API, on a real socket, in a thread: for our client and any other.

`with AirbyteSimulator() as simulator:` - then `simulator.url`, `simulator.platform` (connections, jobs, their lives) and
`simulator.fail(...)` for what may go wrong on the way.
"""

import asyncio
import json
import re
import secrets
import threading
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import TracebackType
from typing import Any, Literal, Self

from aiohttp import web

from tests.airbyte_simulator.platform import Platform, RefusedError, SimulatedJob

Auth = Literal["application", "none"]
_TYPE = "https://reference.airbyte.com/reference/errors#"
_NEXT_HOST = "https://api.airbyte.invalid/v1"  # a setting of the server, and wrong


@dataclass(slots=True, kw_only=True)
class Fault:
    """Something that goes wrong with the next `times` requests that match, after the first `skip` of them.

    instead: another answer is given, and nothing done. late: done, then answered after `delay_s`. later: done after `delay_s`.
    lost: done, and the connection is closed without an answer. refused: closed before anything is done. cut: done, and half
    of the answer is sent.
    """

    kind: Literal["instead", "late", "later", "lost", "refused", "cut"]
    method: str = "GET"
    path: str = ""  # regular expression, found anywhere in the path
    times: int = 1
    skip: int = 0
    status: int = 503
    body: str = ""
    content_type: str = "application/problem+json"
    headers: Mapping[str, str] = field(default_factory=dict)
    delay_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A request as it came, and the status that it got (0: none)."""

    method: str
    path: str
    query: str
    status: int
    authorization: str


class AirbyteSimulator:
    """The server. Paths of Cloud (/v1) and of self-managed servers (/api/public/v1) are both served."""

    def __init__(self, *, auth: Auth = "application", token_life_s: int = 900) -> None:
        self.platform = Platform()
        self.auth, self.token_life_s = auth, token_life_s
        # The name in them is what tests look for where no credential may be.
        self.client_id, self.client_secret = f"canary-app-{secrets.token_hex(6)}", f"canary-secret-{secrets.token_hex(6)}&3/Tr0ub=="
        self.tokens: dict[str, float] = {}  # token to its end, monotonic seconds
        self.tokens_gone: list[str] = []
        self.faults: list[Fault] = []
        self.seen: list[Seen] = []
        self.url = ""
        self._ready, self._stop = threading.Event(), asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), name="airbyte-simulator", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(30)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        assert self._loop is not None
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(30)
        self.platform.close()
        if self.platform.errors and kind is None:
            raise self.platform.errors[0]

    def fail(self, kind: Any, **values: Any) -> None:
        """A fault for the requests to come."""
        self.faults.append(Fault(kind=kind, **values))

    def revoke_tokens(self) -> None:
        """Every token given so far is refused from now on."""
        self.tokens_gone += self.tokens
        self.tokens.clear()

    def requests(self, method: str, path: str = "") -> list[Seen]:
        """The requests seen, by method and a regular expression found in the path."""
        return [each for each in self.seen if each.method == method and re.search(path, each.path)]

    @property
    def tokens_given(self) -> int:
        """How many."""
        return len(self.tokens) + len(self.tokens_gone)

    @property
    def credentials(self) -> bytes:
        """Those of the application, as a source keeps them."""
        return json.dumps({"client_id": self.client_id, "client_secret": self.client_secret}).encode()

    @property
    def started(self) -> list[SimulatedJob]:
        """The jobs that requests started."""
        return [job for job in self.platform.jobs.values() if job.started_by == "api"]

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        app = web.Application(middlewares=[self._watched])
        for base in ("/v1", "/api/public/v1"):
            app.router.add_get(f"{base}/health", self._health)
            app.router.add_post(f"{base}/applications/token", self._token)
            app.router.add_get(f"{base}/workspaces", self._workspaces)
            app.router.add_get(f"{base}/connections", self._connections)
            app.router.add_get(f"{base}/connections/{{id}}", self._connection)
            app.router.add_post(f"{base}/jobs", self._start)
            app.router.add_get(f"{base}/jobs", self._jobs)
            app.router.add_get(f"{base}/jobs/{{id:\\d+}}", self._job)
            app.router.add_delete(f"{base}/jobs/{{id:\\d+}}", self._cancel)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.05)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        host, port = runner.addresses[0][:2]
        self.url = f"http://{host}:{port}"
        self._ready.set()
        await self._stop.wait()
        await runner.cleanup()

    @web.middleware
    async def _watched(self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]) -> web.StreamResponse:
        answer: web.StreamResponse | None = None
        try:
            answer = await self._answered(request, handler)
        finally:
            self.seen.append(Seen(
                method=request.method, path=request.path, query=request.query_string, status=answer.status if answer else 0,
                authorization=request.headers.get("Authorization", ""),
            ))  # fmt: skip
        return answer

    async def _answered(self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]) -> web.StreamResponse:
        fault = next((f for f in self.faults if f.times > 0 and f.method == request.method and re.search(f.path, request.path)), None)
        if fault is not None and fault.skip > 0:
            fault.skip -= 1
            fault = None
        if fault is None:
            return await self._done(request, handler)
        fault.times -= 1
        await request.read()  # also when the client does not wait for the end
        if fault.kind == "refused":
            return self._hang_up(request)
        if fault.kind == "instead":
            text = fault.body.replace("{authorization}", request.headers.get("Authorization", "")).replace("{body}", await request.text())
            return web.Response(status=fault.status, text=text, content_type=fault.content_type, headers=dict(fault.headers))
        if fault.kind == "later":
            await asyncio.sleep(fault.delay_s)
        answer = await self._done(request, handler)
        if fault.kind == "late":
            await asyncio.sleep(fault.delay_s)
        if fault.kind == "lost":
            return self._hang_up(request)
        if fault.kind == "cut" and isinstance(answer, web.Response):
            return web.Response(body=(answer.body or b"")[:20], content_type="application/json")  # type: ignore[index]
        return answer

    def _hang_up(self, request: web.Request) -> web.StreamResponse:
        if request.transport is not None:
            request.transport.abort()
        return web.Response(status=500)

    async def _done(self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]) -> web.StreamResponse:
        open_paths = ("/health", "/applications/token")
        try:
            if self.auth == "application" and not request.path.endswith(open_paths) and not self._may(request):
                raise RefusedError(401, "unauthorized", "The API key in the Authorization header is invalid.")
            return await handler(request)
        except RefusedError as refused:
            return problem(refused.status, refused.title, refused.message)

    def _may(self, request: web.Request) -> bool:
        kind, _, token = request.headers.get("Authorization", "").partition(" ")
        return kind == "Bearer" and self.tokens.get(token, 0.0) > time.monotonic()

    async def _health(self, _request: web.Request) -> web.StreamResponse:
        return web.Response(text="Successful operation")

    async def _token(self, request: web.Request) -> web.StreamResponse:
        given: Mapping[str, Any] = await (request.json() if request.content_type == "application/json" else request.post())
        if (given.get("client_id"), given.get("client_secret")) != (self.client_id, self.client_secret):
            raise RefusedError(401, "unauthorized", "Invalid client credentials")
        token = f"canary-token-{secrets.token_hex(12)}"
        self.tokens[token] = time.monotonic() + self.token_life_s
        return web.json_response({"access_token": token, "token_type": "Bearer", "expires_in": self.token_life_s})

    async def _workspaces(self, request: web.Request) -> web.StreamResponse:
        with self.platform.lock:
            shown = [
                {"workspaceId": key, "name": name, "dataResidency": "auto", "notifications": {}}
                for key, name in self.platform.workspaces.items()
            ]
        return page(request, shown)

    async def _connections(self, request: web.Request) -> web.StreamResponse:
        wanted = {part for value in request.query.getall("workspaceIds", []) for part in value.split(",")}
        with self.platform.lock:
            shown = [each.shown() for each in self.platform.connections.values() if not wanted or each.workspace_id in wanted]
        return page(request, shown)

    async def _connection(self, request: web.Request) -> web.StreamResponse:
        return web.json_response(self.platform.connection(request.match_info["id"]).shown())

    async def _start(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        return web.json_response(self.platform.start_job(body.get("connectionId", ""), body.get("jobType", "")).shown())

    async def _job(self, request: web.Request) -> web.StreamResponse:
        return web.json_response(self.platform.read_job(int(request.match_info["id"])))

    async def _cancel(self, request: web.Request) -> web.StreamResponse:
        return web.json_response(self.platform.cancel(int(request.match_info["id"])).shown())

    async def _jobs(self, request: web.Request) -> web.StreamResponse:
        query = request.query
        order = re.fullmatch(r"(createdAt|updatedAt)\|(ASC|DESC)", query.get("orderBy", "createdAt|ASC"))
        if order is None:
            raise RefusedError(400, "bad-request", f"Invalid order by clause provided: {query['orderBy']}")
        since = datetime.fromisoformat(query["createdAtStart"]) if "createdAtStart" in query else None
        with self.platform.lock:
            found = [
                job
                for job in self.platform.jobs.values()
                if query.get("connectionId") in (None, job.connection_id)
                and query.get("status") in (None, job.status)
                and query.get("jobType") in (None, job.job_type)
                and (since is None or job.created_at >= since)
            ]
            found.sort(key=lambda job: job.job_id, reverse=order.group(2) == "DESC")
            return page(request, [job.shown() for job in found])


def page(request: web.Request, items: list[dict[str, Any]]) -> web.StreamResponse:
    """A page by limit and offset. `next` is set whenever there is something on the page, and names a host that is none."""
    limit, offset = int(request.query.get("limit", 20)), int(request.query.get("offset", 0))
    if not 1 <= limit <= 100 or offset < 0:
        raise RefusedError(400, "bad-request", "limit must be between 1 and 100")
    data = items[offset : offset + limit]
    following = f"{_NEXT_HOST}{request.path}?limit={limit}&offset={offset + limit}" if data else ""
    return web.json_response({"previous": "", "next": following, "data": data})


def problem(status: int, title: str, message: str) -> web.StreamResponse:
    """An error as application/problem+json."""
    anchor = f"{status}-{title}" if title == "state-conflict" else title
    body = {"status": status, "type": _TYPE + anchor, "title": title, "detail": "", "data": {"message": message}}
    return web.Response(status=status, text=json.dumps(body), content_type="application/problem+json")
