"""Whole lines out of a byte stream, in bounded memory: what is too long for it goes to a file."""

import mmap
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pay_ready.errors import TransientError
from pay_ready.sources.decode import CUT_OFF, TOO_LARGE, claims_record, decode_block, decode_line, decode_mapped
from pay_ready.sources.protocol import Message, NotProtocol, Oversized

MEMORY_LIMIT_BYTES = 32 << 20
KEEP_LIMIT_BYTES = 512 << 20
_HEAD_BYTES = 64 << 10


@dataclass(frozen=True, slots=True, kw_only=True)
class LineLimits:
    """Bytes of one line: up to `memory` it stays in memory, up to `keep` in a file and readable, beyond that cut."""

    memory: int = MEMORY_LIMIT_BYTES
    keep: int = KEEP_LIMIT_BYTES


class LineReader:
    """Chunks in, messages out. Holds one unfinished line at most; `folder` takes the long ones."""

    def __init__(self, folder: Path, limits: LineLimits | None = None) -> None:
        self._folder, self._limits = folder, limits or LineLimits()
        self._begun: list[bytes] = []
        self._begun_bytes = 0
        self._spill: _Spill | None = None

    def feed(self, chunk: bytes) -> Iterator[list[Message]]:
        """The messages of the lines that end in this chunk, block by block, in order."""
        if self._begun_bytes:
            end = chunk.find(b"\n") + 1
            self._add(chunk[:end] if end else chunk)
            if not end:
                return
            yield self._finished()
            chunk = chunk[end:]
        end = chunk.rfind(b"\n") + 1
        if end and (messages := decode_block(chunk[:end])):
            yield messages
        self._add(chunk[end:])

    def finish(self) -> list[Message]:
        """What remains when the stream has ended.

        A last line without its newline counts when it is a message. Else the writer died in the middle of it: it will
        be written again, so nothing is lost, and it is no record even if it began as one.
        """
        if not self._begun_bytes:
            return []
        messages = self._finished()
        return [_cut_off(message) for message in messages]

    def _add(self, piece: bytes) -> None:
        if not piece:
            return
        self._begun_bytes += len(piece)
        if self._spill:
            self._spill.write(piece)
            return
        self._begun.append(piece)
        if self._begun_bytes > self._limits.memory:
            self._spill = _Spill(self._folder, self._limits.keep)
            for begun in self._begun:
                self._spill.write(begun)
            self._begun.clear()

    def _finished(self) -> list[Message]:
        """The begun line as messages: none when it is blank."""
        spill, line = self._spill, b"".join(self._begun)
        self._begun, self._begun_bytes, self._spill = [], 0, None
        if spill:
            return [spill.message()]
        line = line.removesuffix(b"\n")
        return [decode_line(line)] if line and not line.isspace() else []


def _cut_off(message: Message) -> Message:
    match message:
        case NotProtocol(line=line):
            return NotProtocol(line, CUT_OFF)
        case Oversized(size_bytes=size, kept_bytes=kept, head=head, path=path):
            return Oversized(size, kept, head, path, CUT_OFF)
        case _:
            return message


class _Spill:
    """One line in a file: readable through a map as long as it was kept whole."""

    def __init__(self, folder: Path, keep_bytes: int) -> None:
        descriptor, name = tempfile.mkstemp(dir=folder, prefix="line-")
        self._file, self._path = os.fdopen(descriptor, "r+b"), Path(name)
        self._keep_bytes = keep_bytes
        self._size_bytes = self._kept_bytes = 0
        self._tail = b""

    def write(self, piece: bytes) -> None:
        """Keep the piece, up to the limit.

        Raises:
            TransientError: The disk is full.
        """
        kept = piece[: max(0, self._keep_bytes - self._kept_bytes)]
        try:
            self._file.write(kept)
        except OSError as error:
            hint = "free some space and run again"
            raise TransientError("no room for a long line", hint, folder=self._path.parent, cause=error.strerror) from error
        self._kept_bytes += len(kept)
        self._size_bytes += len(piece)
        self._tail = (self._tail + piece)[-_HEAD_BYTES:]

    def message(self) -> Message:
        """The message; its data lives in the map, and the file's name is gone unless the message needs it."""
        self._file.flush()
        try:
            with mmap.mmap(self._file.fileno(), 0, access=mmap.ACCESS_READ) as whole:
                head = whole[:_HEAD_BYTES]
            reason: Message | str = TOO_LARGE
            if self._kept_bytes == self._size_bytes:
                reason = decode_mapped(mmap.mmap(self._file.fileno(), 0, access=mmap.ACCESS_READ))
        finally:
            self._file.close()
        if isinstance(reason, str):
            is_record = claims_record(head, self._tail)
            return Oversized(self._size_bytes, self._kept_bytes, head, self._path, reason, is_record)
        self._path.unlink()
        return reason
