"""The replay source's files: which belong to which stream, how they open, and how a grown one is told from another one."""

import codecs
import gzip
import hashlib
import io
import os
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from types import TracebackType
from typing import Annotated, BinaryIO, Literal, Self

from msgspec import Meta, MsgspecError, Struct, field, json

from pay_ready.errors import ConfigError

FileFormat = Literal["jsonl", "csv"]

# A line beyond this is no line of an export: the file is something else.
LINE_LIMIT_BYTES = 512 << 20
_FORMATS: Mapping[str, FileFormat] = {".jsonl": "jsonl", ".ndjson": "jsonl", ".csv": "csv", ".tsv": "csv"}
_ZIPPED = ".gz"
_HEAD_BYTES, _TAIL_BYTES = 64 << 10, 4 << 10
_PLAIN_ENCODINGS = frozenset({"utf-8", "ascii", "utf-8-sig"})


class DamagedFileError(ConfigError):
    """A packed file that is cut off, or is not packed at all."""


class StreamOptions(Struct, frozen=True, forbid_unknown_fields=True):
    """What a user may say about one stream; what is left open is found out."""

    files: str | tuple[str, ...] = ()  # globs below the folder
    primary_key: str | tuple[str, ...] = ()
    cursor_field: str | None = None
    format: FileFormat | None = None
    delimiter: Annotated[str, Meta(min_length=1, max_length=1)] | None = None
    encoding: str | None = None


class ReplayConfig(Struct, frozen=True, forbid_unknown_fields=True):
    """The source's configuration: a folder, and options by stream."""

    path: str
    streams: dict[str, StreamOptions] = field(default_factory=dict)
    checkpoint_every: Annotated[int, Meta(ge=1)] = 1000
    start_date: str | None = None  # rows whose cursor is before it are left out
    end_date: str | None = None  # likewise from it on


class FilePosition(Struct, frozen=True, kw_only=True):
    """How far a file was read, and by what it is known again."""

    offset: int = 0  # bytes, in the file as UTF-8 and unpacked; always the start of a line
    line: int = 0
    done: bool = False  # read to its end, as it was then
    size_bytes: int = 0
    head_bytes: int = 0
    head_sha256: str = ""
    tail_sha256: str = ""  # of the 4 KiB before the offset, in plain files


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportFile:
    """One file of a stream. `name` is its path below the folder."""

    name: str
    path: Path
    format: FileFormat
    delimiter: str | None
    encoding: str

    @property
    def is_plain(self) -> bool:
        """Whether the rows are the file's own bytes: only then may it grow between two reads."""
        return self.encoding in _PLAIN_ENCODINGS and self.path.suffix != _ZIPPED


class OpenExport:
    """An open file of a stream as lines of UTF-8, and what it is known by: one descriptor, so that both are of one file.

    Raises:
        OSError: It cannot be read.
        DamagedFileError: On leaving its context: it is no whole gzip file.
    """

    def __init__(self, file: ExportFile) -> None:
        self.file = file
        self._bytes = _opened(file.path)
        self._text: io.TextIOWrapper | None = None
        if file.encoding not in _PLAIN_ENCODINGS:
            # What the encoding does not know stays visible as an escape.
            self._text = io.TextIOWrapper(self._bytes, file.encoding, errors="backslashreplace", newline="\n")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        (self._text or self._bytes).close()
        if isinstance(error, gzip.BadGzipFile | EOFError | zlib.error):
            # Python's own words do not say which file.
            hint = "pack it again, or take the ending .gz off its name if it is not packed"
            raise DamagedFileError(f"the file is no whole gzip file: {error}", hint, file=self.file.name) from error

    @property
    def readline(self) -> Callable[[int], bytes]:
        """Gives the next line with its newline, at most so many bytes of it; empty at the end."""
        return self._recoded_line if self._text else self._bytes.readline

    def go_to(self, offset: int) -> None:
        """Read on from an offset that begins a line."""
        if self._text is None:
            self._bytes.seek(offset)
            return
        self._text.seek(0)
        while offset > 0:
            offset -= len(self._recoded_line(LINE_LIMIT_BYTES)) or offset

    def position(self, offset: int, line: int, *, done: bool = False) -> FilePosition:
        """A position, with the marks by which the file is known again."""
        head = self._at(0, _HEAD_BYTES)
        return FilePosition(
            offset=offset,
            line=line,
            done=done,
            size_bytes=self.size_bytes(),
            head_bytes=len(head),
            head_sha256=hashlib.sha256(head).hexdigest(),
            tail_sha256=self._tail_sha256(offset),
        )

    def continues(self, then: FilePosition) -> bool:
        """Whether this is the file that was read: unchanged, or, if it is plain, with something appended.

        A packed or recoded file that changed is another one: its rows come again, which costs time and changes nothing.
        """
        size_bytes = self.size_bytes()
        if size_bytes < then.size_bytes or (size_bytes > then.size_bytes and not self.file.is_plain):
            return False
        head = hashlib.sha256(self._at(0, then.head_bytes)).hexdigest()
        return head == then.head_sha256 and self._tail_sha256(then.offset) == then.tail_sha256

    def has_news(self, then: FilePosition) -> bool:
        """Whether there is more to read than then."""
        return not then.done or self.size_bytes() != then.size_bytes

    def _recoded_line(self, limit: int) -> bytes:
        return self._text.readline(limit).encode() if self._text else b""

    def size_bytes(self) -> int:
        """Its size on disk, packed if it is packed."""
        return os.fstat(self._bytes.fileno()).st_size

    def _tail_sha256(self, offset: int) -> str:
        start = max(0, offset - _TAIL_BYTES)
        return hashlib.sha256(self._at(start, offset - start)).hexdigest() if self.file.is_plain else ""

    def _at(self, start: int, length: int) -> bytes:
        return os.pread(self._bytes.fileno(), length, start)


def parse_config(content: bytes) -> ReplayConfig:
    """The configuration in a file.

    Raises:
        ConfigError: It is not valid; says where.
    """
    try:
        config = json.decode(content, type=ReplayConfig)
    except MsgspecError as error:
        raise ConfigError(f"the replay source's configuration is off: {error}", "see `spec` for its keys") from error
    if not Path(config.path).is_absolute():
        raise ConfigError("the folder of the exports must be absolute", "", key="path", value=config.path)
    return config


def stream_files(config: ReplayConfig) -> dict[str, tuple[ExportFile, ...]]:
    """The files of each stream, sorted by name.

    A stream is called after what lies in the folder: contacts.jsonl, contacts.csv.gz and contacts/2026/01.jsonl are all
    `contacts`. A stream with `files` has those instead.

    Raises:
        ConfigError: There is no such folder, it is a file, a glob leaves it or finds nothing, or an encoding does not exist.
    """
    root = Path(config.path)
    if root.is_file():
        raise ConfigError("this is a file: export files are named by their folder", f"name {root.parent}", path=root)
    if not root.is_dir():
        raise ConfigError("there is no such folder", "name the folder of the exports", path=root)
    found: dict[str, list[Path]] = {}
    for path in sorted(root.rglob("*")):
        parts = path.relative_to(root).parts
        if _format(path) and path.is_file() and not any(part.startswith((".", "_")) for part in parts):
            found.setdefault(_stem(parts[0]), []).append(path)
    for name, options in config.streams.items():
        if options.files:
            found[name] = _globbed(root, name, options.files)
        elif name not in found:
            raise ConfigError("no file for a configured stream", "name its files", stream=name, folder=root)
    plain = StreamOptions()
    return {
        name: tuple(_export_file(root, path, config.streams.get(name, plain)) for path in paths) for name, paths in sorted(found.items())
    }


def _format(path: Path) -> FileFormat | None:
    suffixes = path.with_suffix("").suffixes if path.suffix == _ZIPPED else path.suffixes
    return _FORMATS.get(suffixes[-1].lower()) if suffixes else None


def _stem(name: str) -> str:
    path = PurePosixPath(name.removesuffix(_ZIPPED))
    return path.stem if path.suffix.lower() in _FORMATS else name


def _globbed(root: Path, stream: str, globs: str | tuple[str, ...]) -> list[Path]:
    paths: set[Path] = set()
    for glob in (globs,) if isinstance(globs, str) else globs:
        if PurePosixPath(glob).is_absolute() or ".." in PurePosixPath(glob).parts:
            raise ConfigError("files must lie below the folder", "", stream=stream, files=glob)
        matched = {path for path in root.glob(glob) if path.is_file()}
        if not matched:
            raise ConfigError("no such file", "correct the name or glob", stream=stream, files=glob, folder=root)
        paths |= matched
    return sorted(paths)


def _export_file(root: Path, path: Path, options: StreamOptions) -> ExportFile:
    encoding = options.encoding or _encoding_by_mark(path)
    try:
        "x".encode(encoding)  # also refuses codecs that are not of text
    except LookupError as error:
        raise ConfigError("no such encoding", "for example utf-8, cp1252, utf-16", encoding=encoding) from error
    file_format = options.format or _format(path)
    if file_format is None:
        raise ConfigError("is it jsonl or csv?", "name the stream's format", file=path.relative_to(root))
    delimiter = options.delimiter or ("\t" if ".tsv" in path.suffixes else None)
    name = path.relative_to(root).as_posix()
    return ExportFile(name=name, path=path, format=file_format, delimiter=delimiter, encoding=codecs.lookup(encoding).name)


def _opened(path: Path) -> gzip.GzipFile | BinaryIO:
    return gzip.open(path) if path.suffix == _ZIPPED else path.open("rb", buffering=1 << 18)


def _encoding_by_mark(path: Path) -> str:
    """UTF-16 when the file begins with its mark, as spreadsheets write it; else UTF-8. An unreadable file fails later."""
    try:
        with _opened(path) as file:
            return "utf-16" if file.read(2) in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE) else "utf-8"
    except (OSError, EOFError, zlib.error):
        return "utf-8"
