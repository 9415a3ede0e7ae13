"""Just enough of two wire protocols to tell where a request begins, where it ends, and when its answer is whole.

A *unit* is what a test wants to fail: a statement of Postgres, a request of HTTP. Messages are passed on whole.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

_STARTUP, _CANCEL, _TLS, _GSS = 196_608, 80_877_102, 80_877_103, 80_877_104
_LENGTH = re.compile(rb"\r\ncontent-length:\s*(\d+)", re.IGNORECASE)
_LAST_CHUNK = b"\r\n0\r\n\r\n"
_CHUNKED = re.compile(rb"\r\ntransfer-encoding:\s*chunked", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """Bytes on their way to the server: the first ones of a unit carry its text, the last ones say so."""

    data: bytes
    begins: str | None = None
    ends: bool = False


class Wire(Protocol):
    """One connection's protocol."""

    def sent(self, data: bytes) -> list[Piece]:
        """What the client sent, as far as it is whole."""

    def answered(self, data: bytes) -> int:
        """How many answers of the server are whole with these bytes."""


class RawWire:
    """Bytes without meaning: no units."""

    def sent(self, data: bytes) -> list[Piece]:
        """All of it."""
        return [Piece(data=data)]

    def answered(self, data: bytes) -> int:  # noqa: ARG002 - the protocol's signature
        """Nothing is ever known to be whole."""
        return 0


class PostgresWire:
    """Version 3 of the frontend and backend protocol, without TLS.

    A unit is a simple query; or everything from the first Parse, Bind, Describe, Execute or Close up to its Sync; or the end of
    a COPY from the client (CopyDone or CopyFail, with the Sync that belongs to it). Its text is the SQL, for a prepared
    statement too; "copy done" and "copy failed" for the ends. The start of a connection, its password, COPY's data and the
    goodbye are passed on and not counted.
    """

    def __init__(self) -> None:
        self._up, self._down = bytearray(), bytearray()
        self._has_started = False
        self._offers = 0  # of encryption, each answered by one bare byte
        self._open = False
        self._simple = True
        self._prepared: dict[bytes, str] = {}

    def sent(self, data: bytes) -> list[Piece]:
        """Whole messages of the client."""
        self._up += data
        pieces = []
        while message := self._next_sent():
            pieces.append(self._piece(message) if self._has_started else self._greeting(message))
        return pieces

    def answered(self, data: bytes) -> int:
        """ReadyForQuery ends an answer, and so does the invitation to send COPY's data."""
        self._down += data
        while self._offers and self._down:
            del self._down[0]
            self._offers -= 1
        kinds = [message[:1] for message in self._messages(self._down)]
        return sum(kind in (b"Z", b"G") for kind in kinds)

    def _next_sent(self) -> bytes | None:
        if self._has_started:
            return next(self._messages(self._up), None)
        if len(self._up) < 4 or len(self._up) < (size := int.from_bytes(self._up[:4])):
            return None
        message = bytes(self._up[:size])
        del self._up[:size]
        return message

    @staticmethod
    def _messages(buffer: bytearray) -> Iterator[bytes]:
        while len(buffer) >= 5 and len(buffer) >= (size := 1 + int.from_bytes(buffer[1:5])):
            message = bytes(buffer[:size])
            del buffer[:size]
            yield message

    def _greeting(self, message: bytes) -> Piece:
        code = int.from_bytes(message[4:8])
        self._offers += code in (_TLS, _GSS)
        self._has_started = _STARTUP <= code <= _CANCEL
        return Piece(data=message)

    def _piece(self, message: bytes) -> Piece:
        kind = message[:1]
        text = self._text(kind, message)
        if text is None or (self._open and kind != b"S"):
            return Piece(data=message)
        if kind == b"S":
            ended, self._open = self._open, False
            return Piece(data=message, ends=ended)
        if kind in b"cf":
            self._open = not self._simple
        else:
            self._simple = kind == b"Q"
            self._open = not self._simple
        return Piece(data=message, begins=text, ends=not self._open)

    def _text(self, kind: bytes, message: bytes) -> str | None:
        """The unit's text where a message may begin one; "" for Sync; None for what is only passed on."""
        match kind:
            case b"Q":
                return message[5:-1].decode(errors="replace")
            case b"P":
                name, _, rest = message[5:].partition(b"\0")
                text = rest.partition(b"\0")[0].decode(errors="replace")
                self._prepared[name] = text
                return text
            case b"B":
                name = message[5:].split(b"\0", 2)[1]
                return self._prepared.get(name, name.decode(errors="replace"))
            case b"D" | b"E":
                return "describe or execute"
            case b"C":
                return "close"
            case b"c":
                return "copy done"
            case b"f":
                return "copy failed"
            case b"S":
                return ""
            case _:
                return None


class HttpWire:
    """HTTP/1.1: a unit is a request, its text "METHOD /path". Bodies have a length or come in chunks; no upgrade."""

    def __init__(self) -> None:
        self._requests, self._answers = _Messages(), _Messages()
        self._methods: list[bytes] = []

    def sent(self, data: bytes) -> list[Piece]:
        """The head of a request with what is there of its body, then the rest of the body as it comes."""
        pieces = []
        for part, begins, ends in self._requests.take(data):
            method, _, rest = part.partition(b" ")
            if begins:
                self._methods.append(method)
            text = f"{method.decode()} {rest.partition(b' ')[0].decode(errors='replace')}" if begins else None
            pieces.append(Piece(data=part, begins=text, ends=ends))
        return pieces

    def answered(self, data: bytes) -> int:
        """Answers that are whole; one without a length ends with the connection."""
        whole = 0
        for _, _, ends in self._answers.take(data, bodiless=bool(self._methods) and self._methods[0] == b"HEAD"):
            whole += ends
            if ends and self._methods:
                del self._methods[0]
        return whole


class _Messages:
    """One direction of HTTP/1.1, cut into parts: (bytes, whether a message begins, whether it ends)."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._left: int | None = None  # of the body under way; -1: in chunks
        self._tail = b""

    def take(self, data: bytes, *, bodiless: bool = False) -> Iterator[tuple[bytes, bool, bool]]:
        self._buffer += data
        while self._buffer:
            if self._left is not None:
                part, ends = self._body()
                yield part, False, ends
                continue
            end = self._buffer.find(b"\r\n\r\n") + 4
            if end < 4:
                return
            head = bytes(self._buffer[:end])
            del self._buffer[:end]
            self._left = 0 if bodiless or head.startswith((b"HTTP/1.1 204", b"HTTP/1.1 304")) else _body_size(head)
            self._tail = b"\r\n"
            if self._left == 0:
                self._left = None
            yield head, True, self._left is None

    def _body(self) -> tuple[bytes, bool]:
        if self._left is not None and self._left > 0:
            part = bytes(self._buffer[: self._left])
            self._left -= len(part)
            ends = self._left == 0
        else:
            # A body that quotes the last chunk would end early: none of the tests' does.
            end = (self._tail + self._buffer).find(_LAST_CHUNK)
            part = bytes(self._buffer) if end < 0 else bytes(self._buffer[: end + len(_LAST_CHUNK) - len(self._tail)])
            self._tail = (self._tail + part)[1 - len(_LAST_CHUNK) :]
            ends = end >= 0
        del self._buffer[: len(part)]
        if ends:
            self._left = None
        return part, ends


def _body_size(head: bytes) -> int:
    if _CHUNKED.search(head):
        return -1
    found = _LENGTH.search(head)
    return int(found[1]) if found else (-1 if head.startswith(b"HTTP/") else 0)
