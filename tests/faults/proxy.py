"""A TCP proxy of ours that breaks connections on purpose: in front of Postgres, of HTTP servers, of anything on a socket.

    with postgres_proxy(url) as proxy:
        proxy.fail(Rule(fault="swallow", text="commit", unit=2))  # the second commit is carried out, and nobody hears of it
        ...                                                       # work through proxy.url
    with FaultProxy(("127.0.0.1", 8000), HttpWire) as proxy:
        proxy.fail(Rule(fault="reset", text=r"POST /v1/jobs"))

It runs in a thread with an event loop of its own; everything may be switched while connections are open.
"""

import asyncio
import re
import socket
import struct
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import Literal, Self
from urllib.parse import quote

from psycopg.conninfo import conninfo_to_dict

from tests.faults.wire import Piece, PostgresWire, RawWire, Wire

Fault = Literal["cut", "reset", "torn", "swallow", "black_hole", "corrupt"]
Direction = Literal["up", "down"]
Address = tuple[str, int] | str  # host and port, or the path of a socket

_CHUNK_BYTES = 1 << 16
_START_S = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """What goes wrong, and when: at the n-th unit whose text matches, or after so many bytes.

    cut         both sides are closed before the unit is forwarded (after `after_bytes`: once these went through)
    reset       the same, by RST
    torn        half of the unit's first message is forwarded, then both sides are closed
    swallow     the unit is forwarded and carried out, its answer is dropped, then both sides are closed
    black_hole  from here on nothing passes on this connection, and nobody is told
    corrupt     the unit's answer comes with its first byte changed (after `after_bytes`: the byte that follows)

    Units and bytes are counted over all connections, from the moment the rule is given.
    """

    fault: Fault
    unit: int = 1
    text: str = ""  # a regular expression, found anywhere in the unit's text, whatever its case
    after_bytes: int | None = None
    direction: Direction = "up"  # of the bytes


@dataclass(slots=True)
class _Armed:
    rule: Rule
    left: int

    def at_unit(self, text: str) -> bool:
        """Whether this unit is the one."""
        if self.rule.after_bytes is None and re.search(self.rule.text, text, re.IGNORECASE):
            self.left -= 1
        return self.rule.after_bytes is None and self.left <= 0

    def at_byte(self, direction: Direction, size: int) -> int | None:
        """How many of these bytes still pass before it happens; None when all do."""
        if self.rule.after_bytes is None or self.rule.direction != direction:
            return None
        self.left -= size
        is_due = self.left < 0 or (self.left == 0 and self.rule.fault != "corrupt")
        return size + self.left if is_due else None


class FaultProxy:
    """Forwards connections to `upstream`, and breaks them by rule. Thread-safe."""

    def __init__(self, upstream: Address, wire: Callable[[], Wire] = RawWire) -> None:
        self.latency_s = 0.0  # for each chunk, in both directions
        self.close_delay_s = 0.0  # after which one side hears that the other closed
        self.refuses = False  # new connections are reset at once
        self.units: list[str] = []  # texts of the units seen, in order
        self.happened: list[Rule] = []
        self.connections = 0
        self.host, self.port = "127.0.0.1", 0
        self._upstream, self._wire = upstream, wire
        self._armed: list[_Armed] = []
        self._open: set[_Connection] = set()
        self._frozen = False
        self._changed = threading.Condition()
        self._started = threading.Event()

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), name="fault proxy", daemon=True)
        self._thread.start()
        assert self._started.wait(_START_S), "the proxy did not start"
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(_START_S)

    def fail(self, rule: Rule) -> None:
        """Let this happen, once."""
        with self._changed:
            self._armed.append(_Armed(rule, rule.unit if rule.after_bytes is None else rule.after_bytes))

    def forget(self) -> None:
        """No rule any more, and nothing seen yet; what is broken stays so."""
        with self._changed:
            self._armed.clear()
            self.units.clear()
            self.happened.clear()

    def wait_for_fault(self, count: int = 1, timeout_s: float = 30.0) -> None:
        """Wait until so many faults have happened."""
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.happened) >= count, timeout_s), "the fault did not happen"

    def freeze(self) -> None:
        """A black hole: connections are accepted and stay open, and nothing passes."""
        self._frozen = True
        self._each(lambda connection: connection.flows.clear())

    def thaw(self) -> None:
        """Let everything pass again, what waited included."""
        self._frozen = False
        self._each(lambda connection: connection.flows.set())

    def drop(self, *, reset: bool = False) -> None:
        """Close every connection, black-holed ones too: both sides hear of it."""
        self._each(lambda connection: connection.close(reset=reset))

    def _each(self, act: Callable[["_Connection"], None]) -> None:
        async def over_all() -> None:
            for connection in tuple(self._open):
                act(connection)

        asyncio.run_coroutine_threadsafe(over_all(), self._loop).result(_START_S)

    async def _serve(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        tasks: set[asyncio.Task[None]] = set()

        async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task is not None
            tasks.add(task)
            # To asyncio a cancelled callback is an error; to us it is the end.
            with suppress(asyncio.CancelledError):
                await self._accepted(reader, writer)
            tasks.discard(task)

        async with await asyncio.start_server(accept, self.host, 0) as server:
            self.port = server.sockets[0].getsockname()[1]
            self._started.set()
            await self._stop.wait()
            server.close()
            for connection in tuple(self._open):
                connection.close(reset=True)
            for task in tuple(tasks):
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await asyncio.sleep(0.01)  # transports say goodbye in a later turn of the loop

    async def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        if self.refuses:
            _reset(writer)
            return
        try:
            up = await (
                asyncio.open_unix_connection(self._upstream)
                if isinstance(self._upstream, str)
                else asyncio.open_connection(*self._upstream)
            )
        except OSError:
            _reset(writer)
            return
        connection = _Connection(self, self._wire(), _Side(reader, writer), _Side(*up))
        if self._frozen:
            connection.flows.clear()
        self._open.add(connection)
        try:
            await connection.run()
        finally:
            self._open.discard(connection)

    def _at_unit(self, text: str) -> Fault | None:
        with self._changed:
            self.units.append(text)
            return self._happening([armed for armed in self._armed if armed.at_unit(text)])

    def _at_byte(self, direction: Direction, size: int) -> tuple[Fault, int] | None:
        with self._changed:
            for armed in self._armed:
                if (passing := armed.at_byte(direction, size)) is not None:
                    self._happening([armed])
                    return armed.rule.fault, passing
        return None

    def _happening(self, due: list[_Armed]) -> Fault | None:
        """The first of them, which is then over."""
        if not due:
            return None
        self._armed.remove(due[0])
        self.happened.append(due[0].rule)
        self._changed.notify_all()
        return due[0].rule.fault


@dataclass(frozen=True, slots=True)
class _Side:
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter


class _Ended(Exception):  # noqa: N818 - no error: the connection is over
    """The connection is over."""


@dataclass(eq=False)
class _Connection:
    proxy: FaultProxy
    wire: Wire
    client: _Side
    server: _Side
    flows: asyncio.Event = field(default_factory=asyncio.Event)
    waiting: int = 0  # answers that are owed
    swallowing: bool = False
    corrupts: bool = False

    def __post_init__(self) -> None:
        self.flows.set()

    async def run(self) -> None:
        """Forward until the server ends, or a fault does. A client that ends may still be answered."""
        up = asyncio.create_task(self._pump_up())
        try:
            await self._pump_down()
        finally:
            up.cancel()
            await asyncio.gather(up, return_exceptions=True)
            self.close()

    def close(self, *, reset: bool = False) -> None:
        """End both sides."""
        for side in (self.client, self.server):
            if reset:
                _reset(side.writer)
            else:
                side.writer.close()
        self.flows.set()

    async def _pump_up(self) -> None:
        try:
            while data := await self.client.reader.read(_CHUNK_BYTES):
                for piece in self.wire.sent(data):
                    await self._unit(piece)
            await self._ending()
            self.server.writer.write_eof()
        except (_Ended, OSError):
            self.close()

    async def _pump_down(self) -> None:
        with suppress(_Ended, OSError):
            while data := await self.server.reader.read(_CHUNK_BYTES):
                self.waiting = max(self.waiting - self.wire.answered(data), 0)
                if not self.swallowing:
                    await self._pass(self.client.writer, "down", self._spoilt(data))
                elif self.waiting == 0:
                    self._end()
            await self._ending()

    async def _ending(self) -> None:
        """One side is at its end; in a black hole the other one never hears of it."""
        if self.proxy.close_delay_s:
            await asyncio.sleep(self.proxy.close_delay_s)
        await self.flows.wait()

    async def _unit(self, piece: Piece) -> None:
        if piece.begins is not None:
            self.waiting += 1
            match self.proxy._at_unit(piece.begins):
                case "cut" | "reset" as fault:
                    self._end(reset=fault == "reset")
                case "torn":
                    await self._pass(self.server.writer, "up", piece.data[: len(piece.data) // 2])
                    self._end()
                case "black_hole":
                    self.flows.clear()
                case "swallow":
                    self.swallowing = True
                case "corrupt":
                    self.corrupts = True
                case None:
                    pass
        await self._pass(self.server.writer, "up", piece.data)

    def _spoilt(self, data: bytes) -> bytes:
        if not self.corrupts:
            return data
        self.corrupts = False
        return bytes([data[0] ^ 0xFF]) + data[1:]

    async def _pass(self, writer: asyncio.StreamWriter, direction: Direction, data: bytes) -> None:
        if self.proxy.latency_s:
            await asyncio.sleep(self.proxy.latency_s)
        await self.flows.wait()
        found = self.proxy._at_byte(direction, len(data))
        if found is None:
            await _write(writer, data)
            return
        fault, passing = found
        await _write(writer, data[:passing])
        rest = data[passing:]
        match fault:
            case "corrupt":
                await _write(writer, bytes([rest[0] ^ 0xFF]) + rest[1:])
            case "black_hole":
                self.flows.clear()
                await self.flows.wait()
                await _write(writer, rest)
            case _:
                self._end(reset=fault == "reset")

    def _end(self, *, reset: bool = False) -> None:
        self.close(reset=reset)
        raise _Ended


async def _write(writer: asyncio.StreamWriter, data: bytes) -> None:
    if writer.is_closing():
        raise _Ended
    writer.write(data)
    await writer.drain()


def _reset(writer: asyncio.StreamWriter) -> None:
    """End by RST; a socket of the file system has none, and closes."""
    found = writer.get_extra_info("socket")
    if found is not None and found.family != socket.AF_UNIX and found.fileno() >= 0:
        found.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


class PostgresProxy(FaultProxy):
    """In front of the server of a URL; `url` is the way through."""

    def __init__(self, url: str) -> None:
        place = conninfo_to_dict(url)
        host, port = str(place.get("host", "")), str(place.get("port") or 5432)
        super().__init__(f"{host}/.s.PGSQL.{port}" if host.startswith("/") else (host or "127.0.0.1", int(port)), PostgresWire)
        self._place = {name: quote(str(place.get(name, "")), safe="") for name in ("user", "password", "dbname")}

    @property
    def url(self) -> str:
        """The same database, through the proxy."""
        place = self._place
        return f"postgresql://{place['user']}:{place['password']}@{self.host}:{self.port}/{place['dbname']}?sslmode=disable"


def postgres_proxy(url: str) -> PostgresProxy:
    """A proxy in front of the server of a URL."""
    return PostgresProxy(url)
