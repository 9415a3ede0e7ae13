"""/metrics, /healthz and /readyz over HTTP, answered by threads that hold up no exit."""

import json
import socket
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Literal

from pay_ready.errors import ConflictError, PayReadyError

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_IDLE_S = 10.0
Readiness = Literal["ok", "degraded", "fail"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """What the three addresses answer."""

    metrics: Callable[[], bytes]  # the text format of Prometheus
    ready: Callable[[], Mapping[str, Readiness]]  # each thing that work needs


class MetricsServer:
    """A server that is bound to its port, and not yet answering."""

    def __init__(self, answers: Answers, host: str, port: int) -> None:
        """Bind; port 0 is a free one.

        Raises:
            ConflictError: The port is taken, or the host is none of this machine.
        """
        server = _Server6 if ":" in host else _Server
        try:
            self._server = server((host, port), _handler(answers))
        except OSError as error:
            what = "metrics cannot be served there"
            raise ConflictError(what, "give another one: --port", host=host, port=port, reason=error.strerror) from None
        self.port = int(self._server.server_address[1])
        shown = f"[{host}]" if ":" in host else host
        self.url = f"http://{shown}:{self.port}"

    def run(self) -> None:
        """Answer until `stop`."""
        self._server.serve_forever(poll_interval=0.2)
        self._server.server_close()

    def start(self) -> None:
        """Answer from a thread."""
        threading.Thread(target=self.run, name="metrics", daemon=True).start()

    def stop(self) -> None:
        """End `run` soon; from another thread."""
        self._server.shutdown()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that went away is nobody's news."""


class _Server6(_Server):
    address_family = socket.AF_INET6


def _handler(answers: Answers) -> type[BaseHTTPRequestHandler]:
    class _Handler(BaseHTTPRequestHandler):
        timeout = _IDLE_S
        server_version, sys_version = "pay_ready", ""

        def do_GET(self) -> None:
            path = self.path.partition("?")[0]
            if path == "/metrics":
                self._metrics()
            elif path == "/healthz":
                self._say(200, "text/plain; charset=utf-8", b"ok\n")
            elif path == "/readyz":
                self._ready()
            else:
                self._say(404, "text/plain; charset=utf-8", b"/metrics, /healthz, /readyz\n")

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as it is called
            """Nothing: a scraper comes every few seconds."""

        def _metrics(self) -> None:
            try:
                self._say(200, CONTENT_TYPE, answers.metrics())
            except PayReadyError as error:
                self._say(503, "text/plain; charset=utf-8", f"{type(error).__name__}\n".encode())

        def _ready(self) -> None:
            found = answers.ready()
            state = "fail" if "fail" in found.values() else "degraded" if "degraded" in found.values() else "ok"
            body = json.dumps({"status": state, "checks": dict(found)}).encode() + b"\n"
            self._say(503 if state == "fail" else 200, "application/json", body)

        def _say(self, status: int, kind: str, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    return _Handler
