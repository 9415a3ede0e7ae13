"""What tests of landing share: a source, a reading made of messages, and the scripted connector."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import msgspec

from pay_ready.db import sources
from pay_ready.db.sources import Contract, DataSource, SourceConfigV1
from pay_ready.db.tenancy import Database
from pay_ready.model.ids import TenantId
from pay_ready.pipeline.land.buffer import FlushLimits
from pay_ready.pipeline.land.sync import Connector, Reading, SyncOptions
from pay_ready.sources.catalog import ConfiguredCatalog, ConfiguredStream, StreamChoice, configure
from pay_ready.sources.connector import ConnectorCommand, ConnectorRun
from pay_ready.sources.decode import decode_line
from pay_ready.sources.outcome import RunOutcome
from pay_ready.sources.protocol import Catalog, Message, NotProtocol, Record, SourceStream, State, StreamDescriptor, StreamStatus
from tests.scripted_source import ARGV, START_MS, catalog_of, line_of

QUICK = SyncOptions(limits=FlushLimits(rows=50), retry_wait_s=0.01)


def add_source(
    database: Database, tenant: TenantId, name: str = "crm", settings: Mapping[str, Any] | None = None, contract: Contract = "evolve"
) -> DataSource:
    """A source named `name`."""
    with database.tenant_transaction(tenant) as tx:
        config = SourceConfigV1(settings=dict(settings or {}), contract=contract)
        return sources.add(tx, name=name, kind="crm", ingest_mode="connector", connector="scripted", config=config, actor="tests")


def record(data: object, stream: str = "people", emitted_at: float = START_MS) -> Record:
    """A RECORD as decoded."""
    return Record(stream, msgspec.Raw(data if isinstance(data, bytes) else msgspec.json.encode(data)), emitted_at)


def state(stream: str = "people", seq: object = 0) -> State:
    """A STATE of one stream."""
    raw = msgspec.json.encode({"type": "STREAM", "stream": {"stream_descriptor": {"name": stream}, "stream_state": {"seq": seq}}})
    return State("STREAM", (StreamDescriptor(stream),), None, raw)


def complete(stream: str = "people") -> StreamStatus:
    """The COMPLETE of a stream."""
    return StreamStatus(StreamDescriptor(stream), "COMPLETE")


def stream_of(
    name: str = "people", *, key: bool = True, mode: str = "incremental", write: str | None = None, schema: Mapping[str, Any] | None = None
) -> ConfiguredStream:
    """A stream with `id` as key and `seq` as cursor; `schema` are the types of its fields."""
    properties = {field: {"type": kind} for field, kind in (schema or {}).items()}
    offered = SourceStream(
        name=name,
        json_schema=msgspec.Raw(msgspec.json.encode({"properties": properties})),
        supported_sync_modes=("full_refresh", "incremental"),
        default_cursor_field=("seq",),
        source_defined_primary_key=(("id",),) if key else None,
        is_resumable=True,
    )
    choice = StreamChoice(name=name, sync_mode=mode, destination_sync_mode=write)  # type: ignore[arg-type]
    return configure(Catalog((offered,), (msgspec.json.encode({"name": name}),)), [choice]).streams[0]


def catalog(*streams: ConfiguredStream) -> ConfiguredCatalog:
    """What to read; without streams, the people."""
    return ConfiguredCatalog(streams=streams or (stream_of(),))


@dataclass
class Script:
    """A connector that says what it is told to, one list of messages a read, and remembers what it was given."""

    reads: list[Iterable[Sequence[Message]]]
    outcomes: list[RunOutcome] = field(default_factory=list)
    configs: list[Mapping[str, object]] = field(default_factory=list)
    catalogs: list[ConfiguredCatalog] = field(default_factory=list)
    states: list[list[bytes]] = field(default_factory=list)

    def __call__(
        self, config: Mapping[str, object], configured: ConfiguredCatalog, given: Sequence[bytes]
    ) -> AbstractContextManager[Reading]:
        self.configs.append(config)
        self.catalogs.append(configured)
        self.states.append(list(given))
        return self._read(configured)

    @contextmanager
    def _read(self, configured: ConfiguredCatalog) -> Iterator[Reading]:
        said = self.outcomes.pop(0) if self.outcomes else None
        yield _Scripted(self.reads.pop(0), said, configured)


class _Scripted:
    """A reading that counts what it gives, as a real one does, unless the script says what it counted."""

    def __init__(self, batches: Iterable[Sequence[Message]], said: RunOutcome | None, configured: ConfiguredCatalog) -> None:
        self._batches, self._said = batches, said
        self._statuses = dict.fromkeys(configured.descriptors, "")
        self._records: Counter[StreamDescriptor] = Counter()
        self._unreadable = 0

    def batches(self) -> Iterator[list[Message]]:
        for batch in self._batches:
            self._statuses.update({each.stream: each.status for each in batch if isinstance(each, StreamStatus)})
            self._records.update(each.descriptor for each in batch if isinstance(each, Record))
            self._unreadable += sum(isinstance(each, NotProtocol) and each.is_record for each in batch)
            yield list(batch)

    @property
    def outcome(self) -> RunOutcome:
        outcome = self._said or RunOutcome(connector="script", exit_code=0, statuses=self._statuses)
        if outcome.records:
            return outcome
        return replace(outcome, records=dict(self._records), unreadable_records=self._unreadable)


def says(*messages: Message) -> Script:
    """A connector of one read that gives these messages and ends well."""
    return Script([[list(messages)]])


def scripted(home: Path) -> Connector:
    """tests/scripted_source.py as a process."""
    command = ConnectorCommand(argv=ARGV, name="scripted", version="1", home=home)

    def read(config: Mapping[str, object], configured: ConfiguredCatalog, given: Sequence[bytes]) -> AbstractContextManager[Reading]:
        return ConnectorRun(command, config, configured, given)

    return read


def scripted_catalog(config: Mapping[str, Any], **choice: Any) -> ConfiguredCatalog:
    """Every stream of a scripted configuration."""
    offered = decode_line(line_of(catalog_of(dict(config))).rstrip())
    assert isinstance(offered, Catalog)
    return configure(offered, [StreamChoice(name=stream.name, **choice) for stream in offered.streams])
