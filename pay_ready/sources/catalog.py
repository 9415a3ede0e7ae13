"""What to read: the streams of a source that were chosen, and how each is read."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from msgspec import Raw, json

from pay_ready.errors import ConfigError
from pay_ready.sources.protocol import Catalog, SourceStream, StreamDescriptor

SyncMode = Literal["full_refresh", "incremental"]
DestinationSyncMode = Literal["append", "append_dedup", "overwrite"]
FieldPath = tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamChoice:
    """A stream to read. What is left open follows the source: incremental if it can, its own cursor and primary key.

    `minimum_generation_id` is 0 (older rows stay) or equals `generation_id` (older rows go once the stream is complete).
    """

    name: str
    namespace: str | None = None
    sync_mode: SyncMode | None = None
    destination_sync_mode: DestinationSyncMode | None = None
    cursor_field: FieldPath = ()
    primary_key: tuple[FieldPath, ...] = ()
    generation_id: int = 0
    minimum_generation_id: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfiguredStream:
    """A chosen stream with nothing left open."""

    stream: SourceStream
    raw: bytes  # the stream as the source described it
    sync_mode: SyncMode
    destination_sync_mode: DestinationSyncMode
    cursor_field: FieldPath
    primary_key: tuple[FieldPath, ...]
    generation_id: int
    minimum_generation_id: int

    @property
    def descriptor(self) -> StreamDescriptor:
        """Its name in messages."""
        return self.stream.descriptor


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfiguredCatalog:
    """The streams of one read. `sync_id` numbers the sync; `notes` say what was asked for and cannot be read."""

    streams: tuple[ConfiguredStream, ...]
    sync_id: int = 0
    notes: tuple[str, ...] = ()

    @property
    def descriptors(self) -> tuple[StreamDescriptor, ...]:
        """The streams' names, in order."""
        return tuple(stream.descriptor for stream in self.streams)

    def to_json(self) -> bytes:
        """The file that a connector reads; each stream is in it as the source described it."""
        return json.encode({"streams": [_configured(stream, self.sync_id) for stream in self.streams]})


def configure(catalog: Catalog, choices: Iterable[StreamChoice] | None = None, *, sync_id: int = 0) -> ConfiguredCatalog:
    """Match the chosen streams with what the source offers; without choices, all of it.

    Raises:
        ConfigError: A stream or sync mode that the source does not have, a cursor that is missing, or generations that
            no destination takes; names the stream and the valid choices.
    """
    offered = {stream.descriptor: (stream, raw) for stream, raw in zip(catalog.streams, catalog.raw_streams, strict=True)}
    if choices is None:
        choices = [StreamChoice(name=stream.name, namespace=stream.namespace) for stream in catalog.streams]
    streams = []
    for choice in choices:
        name = StreamDescriptor(choice.name, choice.namespace)
        if name not in offered:
            hint = "choose one of " + ", ".join(sorted(map(str, offered)))
            raise ConfigError("the source has no such stream", hint, stream=name)
        streams.append(_stream(choice, *offered[name]))
    return ConfiguredCatalog(streams=tuple(streams), sync_id=sync_id)


def _stream(choice: StreamChoice, stream: SourceStream, raw: bytes) -> ConfiguredStream:
    sync_mode = _sync_mode(choice, stream)
    primary_key = choice.primary_key or stream.source_defined_primary_key or ()
    if choice.minimum_generation_id not in (0, choice.generation_id):
        hint = "use 0 to keep older rows, or the generation itself to drop them"
        raise ConfigError("a minimum generation in between", hint, stream=stream.descriptor, minimum=choice.minimum_generation_id)
    return ConfiguredStream(
        stream=stream,
        raw=raw,
        sync_mode=sync_mode,
        destination_sync_mode=choice.destination_sync_mode or ("append_dedup" if primary_key else "append"),
        cursor_field=_cursor_field(choice, stream, sync_mode),
        primary_key=primary_key,
        generation_id=choice.generation_id,
        minimum_generation_id=choice.minimum_generation_id,
    )


def _sync_mode(choice: StreamChoice, stream: SourceStream) -> SyncMode:
    if choice.sync_mode is None:
        # An offered cursor that the source cannot name is no reason to fail: read it whole.
        knows_cursor = bool(stream.source_defined_cursor or stream.default_cursor_field or choice.cursor_field)
        return "incremental" if "incremental" in stream.supported_sync_modes and knows_cursor else "full_refresh"
    if choice.sync_mode not in stream.supported_sync_modes:
        hint = "choose one of " + ", ".join(stream.supported_sync_modes)
        raise ConfigError("the stream cannot be read that way", hint, stream=stream.descriptor, sync_mode=choice.sync_mode)
    return choice.sync_mode


def _cursor_field(choice: StreamChoice, stream: SourceStream, sync_mode: SyncMode) -> FieldPath:
    default = stream.default_cursor_field or ()
    # A source that keeps its own cursor and does not name a field still leaves us one to order its rows by.
    cursor = default or choice.cursor_field if stream.source_defined_cursor else choice.cursor_field or default
    if sync_mode == "incremental" and not cursor and not stream.source_defined_cursor:
        raise ConfigError("the stream needs a cursor to be read incrementally", "name its cursor_field", stream=stream.descriptor)
    return cursor


def _configured(configured: ConfiguredStream, sync_id: int) -> dict[str, object]:
    return {
        "stream": Raw(configured.raw),
        "sync_mode": configured.sync_mode,
        "destination_sync_mode": configured.destination_sync_mode,
        "cursor_field": configured.cursor_field,
        "primary_key": configured.primary_key,
        "generation_id": configured.generation_id,
        "minimum_generation_id": configured.minimum_generation_id,
        "sync_id": sync_id,
    }
