"""Asking a source for a range of time alone, where it can be asked; and how many records it has in each of many.

A connector is asked by keys of its configuration. It may give more than the range (a day instead of an hour, everything
when it knows no such key): landing leaves out what lies outside. It must never give less.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Protocol, runtime_checkable

import msgspec

from pay_ready.db.sources import DataSource
from pay_ready.pipeline.feed import Feed
from pay_ready.pipeline.feed_keys import EXACT, RangeKey, RangeKeys, range_keys
from pay_ready.pipeline.land.sync import Connector, Reading
from pay_ready.sources.catalog import ConfiguredCatalog, FieldPath
from pay_ready.sources.connector import spec
from pay_ready.sources.masking import parsed
from pay_ready.sources.outcome import RunOutcome
from pay_ready.sources.protocol import Control, Message
from pay_ready.sources.ranges import DatedBy, RecordRange, Ruler
from pay_ready.sources.replay_range import count_rows

Counted = Callable[[Mapping[str, FieldPath], Ruler], Mapping[str, Sequence[int]]]

REPLAY_KEYS = RangeKeys(start=RangeKey(path=("start_date",), form=EXACT), end=RangeKey(path=("end_date",), form=EXACT))


@runtime_checkable
class RangedSource(Protocol):
    """What can be asked for a range. A `Connector` that is one, too, needs no help from this module."""

    @property
    def notes(self) -> Sequence[str]:
        """What whoever plans a backfill should know."""

    def within(self, records: RecordRange) -> Connector:
        """The connector for these records, and perhaps more."""

    def count_rows(self, cursors: Mapping[str, FieldPath], ruler: Ruler, dated_by: DatedBy) -> Mapping[str, Sequence[int]]:
        """Records in each of the ruler's ranges, by stream; streams of which nobody knows are left out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfiguredRange:
    """A connector that is asked by its configuration. `counted`: counts records by their cursors, where that is possible."""

    connector: Connector
    name: str
    keys: RangeKeys
    counted: Counted | None = None

    @property
    def notes(self) -> Sequence[str]:
        """That chunks read more than their own records, where they do."""
        if self.keys.start and self.keys.end:
            return ()
        if self.keys.start:
            return (f"{self.name} takes no end: each chunk is read from its start to now, so few long chunks are quicker",)
        read = "from its beginning to the chunk's end" if self.keys.end else "whole"
        return (f"{self.name} takes no start: the source is read {read} for each chunk, so few long chunks are quicker",)

    def within(self, records: RecordRange) -> Connector:
        """The connector, its configuration narrowed."""
        return _narrowed(self.connector, self.keys.values(records))

    def count_rows(self, cursors: Mapping[str, FieldPath], ruler: Ruler, dated_by: DatedBy) -> Mapping[str, Sequence[int]]:
        """Records by stream and range.

        Raises:
            ConfigError: An export file cannot be read.
        """
        return self.counted(cursors, ruler) if self.counted and dated_by == "cursor" else {}


def ranged_source(feed: Feed, source: DataSource, config: Mapping[str, object], connector: Connector, keys: Path) -> RangedSource:
    """How a source is asked for a range.

    Args:
        keys: A file like config/backfill.toml.

    Raises:
        ConfigError: The file is wrong, or names a key that the connector does not have.
        PayReadyError: The connector does not say what its configuration is.
    """
    if isinstance(connector, RangedSource):
        return connector
    if feed.is_replay:
        return ConfiguredRange(connector=connector, name="replay", keys=REPLAY_KEYS, counted=partial(count_rows, config))
    name = source.connector.partition("==")[0]
    specification = msgspec.json.decode(spec(feed.connector).connection_specification, type=dict[str, object])
    return ConfiguredRange(connector=connector, name=name, keys=range_keys(keys, name, specification))


def _narrowed(connector: Connector, values: Sequence[tuple[tuple[str, ...], object]]) -> Connector:
    def read(config: Mapping[str, object], catalog: ConfiguredCatalog, state: Sequence[bytes], /) -> AbstractContextManager[Reading]:
        return _narrowed_reading(connector, config, catalog, state, values)

    return read if values else connector


@contextmanager
def _narrowed_reading(
    connector: Connector,
    config: Mapping[str, object],
    catalog: ConfiguredCatalog,
    state: Sequence[bytes],
    values: Sequence[tuple[tuple[str, ...], object]],
) -> Iterator[Reading]:
    narrow = dict(config)
    for path, value in values:
        _put(narrow, path, value)
    paths = [path for path, _ in values]
    with connector(narrow, catalog, state) as reading:
        yield _Restoring(reading, lambda said: _restored(said, config, paths))


class _Restoring:
    """A reading whose CONTROL messages say the source's own configuration: the dates of a chunk must not be kept with a new token."""

    def __init__(self, reading: Reading, restored: Callable[[bytes], bytes]) -> None:
        self._reading, self._restored = reading, restored

    def batches(self) -> Iterator[list[Message]]:
        for messages in self._reading.batches():
            yield [
                replace(message, config=self._restored(message.config)) if isinstance(message, Control) else message for message in messages
            ]

    @property
    def outcome(self) -> RunOutcome:
        return self._reading.outcome


def _restored(said: bytes, own: Mapping[str, object], paths: Sequence[tuple[str, ...]]) -> bytes:
    config = parsed(said)
    if not isinstance(config, dict):
        return said
    for path in paths:
        _put(config, path, _found(own, path))
    return msgspec.json.encode(config)


def _found(config: object, path: tuple[str, ...]) -> object:
    for name in path:
        config = config.get(name, msgspec.UNSET) if isinstance(config, Mapping) else msgspec.UNSET
    return config


def _put(config: dict[str, object], path: tuple[str, ...], value: object) -> None:
    """Set what stands at a path, in copies of the tables on the way; UNSET takes it away."""
    for name in path[:-1]:
        inner = config.get(name)
        copied = dict(inner) if isinstance(inner, Mapping) else {}
        config[name] = copied
        config = copied
    if value is msgspec.UNSET:
        config.pop(path[-1], None)
    else:
        config[path[-1]] = value
