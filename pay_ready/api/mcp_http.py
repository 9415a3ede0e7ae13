"""The MCP server over streamable HTTP: on loopback, with a token, for host names that are ours."""

import hashlib
import hmac
import ipaddress
import socket
from dataclasses import dataclass

import structlog
import uvicorn
from mcp.server.transport_security import TransportSecuritySettings
from pydantic import SecretStr
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from pay_ready.api.mcp import mcp_server
from pay_ready.api.mcp_parts import McpOptions, McpParts
from pay_ready.errors import ConfigError, ConflictError

PATH = "/mcp"
_LEAST_TOKEN = 20  # characters
_LARGEST_REQUEST = 256 * 1024  # bytes
_IDLE_S, _MOST_SESSIONS, _MOST_CONNECTIONS, _STOP_S = 900.0, 100, 200, 2

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpOptions:
    """Where to listen, and to whom."""

    token: SecretStr | None
    host: str = "127.0.0.1"
    port: int = 8765  # 0: a free one
    allow_remote: bool = False  # also on addresses that other machines reach; put TLS in front
    host_names: tuple[str, ...] = ()  # that clients may call it by, with the port, besides the loopback's


class HttpServer:
    """A server that is bound to its port, and not yet answering."""

    def __init__(self, app: ASGIApp, listening: socket.socket, url: str) -> None:
        self.url = url
        config = uvicorn.Config(
            app, log_config=None, access_log=False, server_header=False, ws="none", lifespan="on", limit_concurrency=_MOST_CONNECTIONS,
            timeout_graceful_shutdown=_STOP_S,
        )  # fmt: skip
        self._server, self._listening = uvicorn.Server(config), listening

    def run(self) -> None:
        """Answer until `stop`, or a signal when in the main thread."""
        try:
            self._server.run(sockets=[self._listening])
        finally:
            self._listening.close()

    def stop(self) -> None:
        """End `run` soon; from any thread."""
        self._server.should_exit = True


def open_http(parts: McpParts, http: HttpOptions, options: McpOptions | None = None) -> HttpServer:
    """A server on its port; `run` serves.

    Raises:
        ConfigError: No token, one that is too short, or a host that other machines reach without `allow_remote`.
        ConflictError: The port is taken.
    """
    token = _checked_token(http)
    _check_host(http)
    family = socket.AF_INET6 if ":" in http.host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((http.host, http.port))
    except OSError as error:
        listening.close()
        raise ConflictError("the port cannot be listened at", "give another one: --port", port=http.port) from error
    port = listening.getsockname()[1]
    names = [f"{each}:{port}" for each in ("127.0.0.1", "localhost", "[::1]")]
    names += http.host_names
    security = TransportSecuritySettings(allowed_hosts=names, allowed_origins=[f"{how}://{each}" for each in names for how in _HOW])
    app = mcp_server(parts, options).streamable_http_app(
        streamable_http_path=PATH, host=http.host, transport_security=security, max_request_body_size=_LARGEST_REQUEST,
        session_idle_timeout=_IDLE_S, max_sessions=_MOST_SESSIONS,
    )  # fmt: skip
    shown = f"[{http.host}]" if ":" in http.host else http.host
    return HttpServer(TokenGate(app, token), listening, f"http://{shown}:{port}{PATH}")


def serve_http(parts: McpParts, http: HttpOptions, options: McpOptions | None = None) -> None:
    """Serve until a signal comes. Raises as `open_http`."""
    server = open_http(parts, http, options)
    log.info("server.started", kind="mcp", port=http.port)
    server.run()


class TokenGate:
    """Lets nothing through to an app that does not show the token; tells nobody how near a wrong one was."""

    def __init__(self, app: ASGIApp, token: str) -> None:
        self._app, self._digest = app, _digest(token.encode())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The app's answer, or 401."""
        if scope["type"] != "lifespan" and not self._is_shown(scope):
            response = Response("Give the server's token: Authorization: Bearer TOKEN", 401, {"WWW-Authenticate": "Bearer"})
            await response(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _is_shown(self, scope: Scope) -> bool:
        given = [value for name, value in scope["headers"] if name == b"authorization"]
        if len(given) != 1 or scope["type"] != "http":
            return False
        scheme, _, token = given[0].partition(b" ")
        # Digests are of one length: comparing them takes the same time for every token.
        return hmac.compare_digest(_digest(token.strip()), self._digest) and scheme.lower() == b"bearer"


_HOW = ("http", "https")


def _digest(token: bytes) -> bytes:
    return hashlib.sha256(token).digest()


def _checked_token(http: HttpOptions) -> str:
    token = http.token.get_secret_value().strip() if http.token else ""
    if len(token) < _LEAST_TOKEN:
        what = "the server's token is too short" if token else "an MCP server over HTTP needs a token"
        raise ConfigError(what, 'PAY_READY_MCP_TOKEN="$(pay-ready keys generate)"', least_characters=_LEAST_TOKEN)
    return token


def _check_host(http: HttpOptions) -> None:
    """Only what this machine alone reaches, unless it is said."""
    try:
        is_loopback = http.host == "localhost" or ipaddress.ip_address(http.host).is_loopback
    except ValueError:
        is_loopback = False
    if is_loopback:
        return
    if not http.allow_remote:
        raise ConfigError("other machines could reach that address", "use 127.0.0.1, or say --allow-remote", host=http.host)
    if not http.host_names:
        raise ConfigError("which names do clients call the server by?", "--host-name HOST:PORT", host=http.host)
