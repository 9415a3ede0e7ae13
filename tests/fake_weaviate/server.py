"""The fake's sockets, and what goes wrong with them.

`with FakeWeaviate() as fake:` - then `fake.http_port`, `fake.grpc_port`, `fake.seen` (what was asked), `fake.fail(...)`.
"""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http.server import ThreadingHTTPServer
from types import TracebackType
from typing import Any, Literal, Self

import grpc
from weaviate.proto.v1 import weaviate_pb2_grpc as service

from tests.fake_weaviate.rest import Handler
from tests.fake_weaviate.rpc import Servicer
from tests.fake_weaviate.state import RefusedError, State

Kind = Literal["unavailable", "hang", "exhausted", "unauthenticated", "object_errors", "ignores_tenant", "ignores_filters", "loses_index"]
_SERVING = b"\x08\x01"
_HEALTH = "Health"
_LONGEST_S = 60.0
_LARGEST_BYTES = 104_858_000
_STATUS = {
    "unavailable": grpc.StatusCode.UNAVAILABLE, "exhausted": grpc.StatusCode.RESOURCE_EXHAUSTED,
    "unauthenticated": grpc.StatusCode.UNAUTHENTICATED,
}  # fmt: skip


@dataclass(slots=True, kw_only=True)
class Fault:
    """What goes wrong with calls to come.

    unavailable, exhausted, unauthenticated: answered with that status, REST with 503. hang: no answer until `forget` or the end.
    object_errors: objects of batches that `applies` to fail, and nothing else. ignores_tenant, ignores_filters: as they say.
    loses_index: objects are there, and no search by vector finds them, as after a server was killed (1.39.0).
    """

    kind: Kind
    call: str = ""  # Search, BatchObjects, …, Health, or REST; all of them by default
    times: int = 1_000_000
    applies: Callable[[Any], bool] = lambda _: True  # to a request, or to an object of a batch


@dataclass(frozen=True, slots=True)
class Seen:
    """A call as it came."""

    call: str  # of gRPC, or the method and path of REST
    collection: str = ""
    tenants: frozenset[str] = frozenset()
    ids: tuple[str, ...] = ()  # of the objects of a batch


class Faults:
    """What is to go wrong, and what was asked."""

    def __init__(self) -> None:
        self.lock, self.ended = threading.Lock(), threading.Event()
        self.armed: list[Fault] = []
        self.seen: list[Seen] = []
        self.polls_until_active = 0

    def now(self, kind: Kind) -> bool:
        """Whether such a fault is armed."""
        return any(each.kind == kind for each in self.armed)

    def take(self, call: str, request: Any, kinds: tuple[str, ...]) -> Fault | None:
        """The fault that meets this call, once."""
        with self.lock:
            for each in self.armed:
                if each.kind in kinds and each.call in ("", call) and each.applies(request):
                    each.times -= 1
                    if each.times <= 0:
                        self.armed.remove(each)
                    return each
        return None

    def before_rpc(self, call: str, request: Any, context: Any) -> None:
        """Note a call, and let it meet its fault."""
        self.seen.append(_seen(call, request))
        fault = self.take(call, request, ("unavailable", "hang", "exhausted", "unauthenticated"))
        if fault is None:
            return
        if fault.kind == "hang":
            self.ended.wait(_LONGEST_S)
        context.abort(_STATUS.get(fault.kind, grpc.StatusCode.CANCELLED), f"a fault: {fault.kind}")

    def before_rest(self, method: str, path: str, body: Any) -> bool:
        """Note a request; whether it meets a fault and gets no answer."""
        self.seen.append(Seen(f"{method} {path}"))
        fault = self.take("REST", body, ("unavailable", "hang"))
        if fault is not None and fault.kind == "hang":
            self.ended.wait(_LONGEST_S)
        return fault is not None

    def on_object(self, sent: Any) -> None:
        """Let an object of a batch meet its fault."""
        if self.take("BatchObjects", sent, ("object_errors",)) is not None:
            raise RefusedError("put local object: a fault of this object alone")


def _seen(call: str, request: Any) -> Seen:
    if call == "BatchObjects":
        objects = request.objects
        collection = objects[0].collection if objects else ""
        return Seen(call, collection, frozenset(each.tenant for each in objects), tuple(each.uuid for each in objects))
    return Seen(call, getattr(request, "collection", ""), frozenset({getattr(request, "tenant", "")}))


class _Rest(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: Any) -> None:
        """Clients go as they like."""


class FakeWeaviate:
    """The server."""

    def __init__(self, *, version: str = "1.39.0", api_key: str | None = None) -> None:
        self.state, self.faults = State(), Faults()
        values = {"state": self.state, "faults": self.faults, "version": version, "api_key": api_key}
        self._rest = _Rest(("127.0.0.1", 0), type("BoundHandler", (Handler,), values))
        self.http_port = int(self._rest.server_address[1])
        self.grpc_port = 0
        self._grpc: grpc.Server | None = None

    @property
    def url(self) -> str:
        """Of REST."""
        return f"http://127.0.0.1:{self.http_port}"

    @property
    def seen(self) -> list[Seen]:
        """The calls that came, in order."""
        return self.faults.seen

    def calls(self, call: str) -> list[Seen]:
        """Those of one name."""
        return [each for each in self.faults.seen if each.call == call]

    def __enter__(self) -> Self:
        threading.Thread(target=lambda: self._rest.serve_forever(0.02), name="fake-weaviate", daemon=True).start()
        self.start_grpc()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.forget()
        self._rest.shutdown()
        self._rest.server_close()
        self.stop_grpc()

    def fail(self, kind: Kind, **values: Any) -> None:
        """A fault for calls to come."""
        self.faults.armed.append(Fault(kind=kind, **values))

    def forget(self) -> None:
        """Nothing goes wrong any more; who hangs is let go."""
        self.faults.armed.clear()
        self.faults.polls_until_active = 0
        self.faults.ended.set()
        self.faults.ended = threading.Event()

    def stop_grpc(self) -> None:
        """REST up and gRPC down."""
        if self._grpc is not None:
            self._grpc.stop(0).wait()
            self._grpc = None

    def start_grpc(self) -> None:
        """gRPC up, on the port that it had."""
        sizes = [("grpc.max_receive_message_length", _LARGEST_BYTES), ("grpc.max_send_message_length", _LARGEST_BYTES)]
        self._grpc = grpc.server(ThreadPoolExecutor(16, "fake-weaviate-grpc"), options=sizes)
        service.add_WeaviateServicer_to_server(Servicer(self.state, self.faults), self._grpc)
        check = grpc.unary_unary_rpc_method_handler(self._health)
        self._grpc.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("grpc.health.v1.Health", {"Check": check}),))
        self.grpc_port = self._grpc.add_insecure_port(f"127.0.0.1:{self.grpc_port}")
        self._grpc.start()

    def _health(self, request: bytes, context: Any) -> bytes:
        self.faults.before_rpc(_HEALTH, request, context)
        return _SERVING
