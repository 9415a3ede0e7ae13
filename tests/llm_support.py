"""Language models that only tests know: scripted ones of the library, and a server on loopback with an API like OpenAI's."""

import json
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from uuid import UUID

from pydantic import BaseModel, SecretStr
from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart
from pydantic_ai.models import Model
from pydantic_ai.models.function import AgentInfo, FunctionModel

from pay_ready.agent.extract import Line
from pay_ready.agent.llm.budget import MemoryBudget
from pay_ready.agent.llm.calling import LanguageModel
from pay_ready.agent.llm.options import LlmOptions
from pay_ready.agent.sentences import Citation
from pay_ready.model.ids import TenantId

TENANT = TenantId(UUID(int=1))
NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)


@dataclass(frozen=True, kw_only=True)
class Part:
    """A section of an offline answer."""

    title: str = "Overview"
    lines: tuple[Line, ...] = ()
    columns: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()


def line(text: str, number: int = 1) -> Line:
    """A line that cites the interaction of that number."""
    return Line(text=text, citations=(Citation(interaction_id=UUID(int=number), occurred_at=NOW, source="gong"),))


def options(**given: Any) -> LlmOptions:
    """Options that no test reaches the network with."""
    values: dict[str, Any] = {"url": "http://127.0.0.1:9/v1", "model": "tiny", "timeout_s": 5.0}
    return LlmOptions(**(values | given))


@dataclass
class Scripted:
    """A model that says what a function of its prompt says, and keeps what it was told."""

    says: Callable[[str], str | BaseModel | dict[str, Any]]
    told: list[str] = field(default_factory=list)
    declared: list[str] = field(default_factory=list)  # names of tools that were declared

    def open(self, _options: LlmOptions) -> AbstractAsyncContextManager[Model]:
        """What `LanguageModel` opens."""
        return self._opened()

    @asynccontextmanager
    async def _opened(self) -> AsyncIterator[Model]:
        yield FunctionModel(self._reply)

    def _reply(self, messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        parts = [str(getattr(part, "content", "")) for message in messages for part in message.parts]
        self.told.append("\n".join([info.instructions or "", *parts]))
        self.declared += [tool.name for tool in (*info.function_tools, *info.output_tools)]
        said = self.says(self.told[-1])
        text = said if isinstance(said, str) else said.model_dump_json() if isinstance(said, BaseModel) else json.dumps(said)
        return ModelResponse(parts=[TextPart(text)])


def scripted(says: Callable[[str], str | BaseModel | dict[str, Any]], **given: Any) -> tuple[LanguageModel, Scripted]:
    """A language model that runs the whole way but the network."""
    script = Scripted(says)
    return LanguageModel(options(**given), MemoryBudget(), open_model=script.open, clock=lambda: NOW), script


@dataclass
class Stub:
    """A server with /v1/chat/completions: what it answers with, and what it was asked."""

    url: str
    status: int = 200
    body: bytes = b""
    wait_s: float = 0.0
    requests: list[dict[str, Any]] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    released: threading.Event = field(default_factory=threading.Event)

    def say(self, content: object) -> None:
        """Answer with this as the assistant's message."""
        text = content if isinstance(content, str) else json.dumps(content)
        self.body = json.dumps({
            "id": "1", "object": "chat.completion", "created": int(time.time()), "model": "tiny",
            "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}],
            "usage": {"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120},
        }).encode()  # fmt: skip


@contextmanager
def stub_server() -> Iterator[Stub]:
    """A stub on a free loopback port."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = self.rfile.read(int(self.headers["content-length"]))
            stub.requests.append(json.loads(asked))
            stub.keys.append(self.headers.get("authorization", ""))
            if stub.wait_s:
                stub.released.wait(stub.wait_s)
            with suppress(OSError):  # the client may have left
                self.send_response(stub.status)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(stub.body)))
                self.end_headers()
                self.wfile.write(stub.body)

        def log_message(self, *_: object) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    stub = Stub(url=f"http://127.0.0.1:{server.server_address[1]}/v1")
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield stub
    finally:
        stub.released.set()
        server.shutdown()
        server.server_close()
        thread.join()


def served(stub: Stub, **given: Any) -> LanguageModel:
    """A language model at a stub."""
    return LanguageModel(options(url=stub.url, api_key=SecretStr("not a key"), **given), MemoryBudget(), clock=lambda: NOW)
