"""What tests of backfills share: a tenant's work on a source made of messages, of a scripted process or of export files."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg

from pay_ready.db import sources
from pay_ready.db.sources import SourceConfigV1
from pay_ready.db.tenancy import Database
from pay_ready.model.ids import TenantId
from pay_ready.pipeline.airbyte.source import PlatformOptions
from pay_ready.pipeline.backfill.plan import BackfillSource, open_backfill_source
from pay_ready.pipeline.backfill.request import BackfillRequest, parse_request
from pay_ready.pipeline.bring_in import OpenSource
from pay_ready.pipeline.feed import Feed
from pay_ready.pipeline.land.buffer import FlushLimits
from pay_ready.pipeline.land.sync import Connector, Reading, SyncOptions
from pay_ready.pipeline.mapping.language import load_mapping
from pay_ready.pipeline.resolution_config import load_resolution_config
from pay_ready.pipeline.source_breaker import BreakerOptions
from pay_ready.pipeline.work import TenantWork
from pay_ready.resources import resource_path
from pay_ready.secrets import Keyring, generate_key
from pay_ready.sources.catalog import ConfiguredCatalog, FieldPath
from pay_ready.sources.outcome import RunOutcome
from pay_ready.sources.process import ConnectorCommand
from pay_ready.sources.protocol import Message, Record, StreamDescriptor, StreamStatus
from pay_ready.sources.ranges import DatedBy, RecordRange, Ruler
from pay_ready.sources.replay import replay_command
from tests.landing_support import record
from tests.scripted_source import ARGV
from tests.staging_support import CONTEXT

NOW = datetime(2026, 11, 1, tzinfo=UTC)
DAY_ONE = datetime(2026, 1, 1, tzinfo=UTC)
OPTIONS = SyncOptions(limits=FlushLimits(rows=50), max_retries=0, retry_wait_s=0.01, timeout_s=60)

_MAPPING = """
kind = "crm"
version = 1
title = "CRM"

[streams.people]
aliases = ["companies"]
primary_key = ["id"]
cursor = "updated_at"
[streams.people.person]
id = "id"
email = "email"
full_name = "name"

[streams.events]
ignore = "nobody is in them"
"""


def request(
    end: str = "2026-01-05", *, chunk: str = "1d", start: str = "2026-01-01", streams: Sequence[str] = (), **more: Any
) -> BackfillRequest:
    """A backfill of crm."""
    return parse_request("crm", streams, start=start, end=end, chunk=chunk, by=more.pop("by", "cursor"), now=NOW, **more)


def row(number: int, hours: float, **more: object) -> dict[str, object]:
    """A row with a key, changed so many hours after the first of January."""
    moment = DAY_ONE + timedelta(hours=hours)
    return {"id": number, "email": f"p{number}@customer.example", "name": f"P {number}", "updated_at": moment.isoformat(), **more}


def rows(count: int, *, every_h: float = 4.0, stream: str = "people") -> list[Record]:
    """Records with growing keys and times."""
    return [record(row(number, number * every_h), stream) for number in range(count)]


def tenant_work(database: Database, tenant: TenantId, folder: Path, *, replay: bool = False, options: SyncOptions = OPTIONS) -> TenantWork:
    """The work of a tenant whose sources are the scripted process, or export files; all are mapped as crm."""
    path = folder / "crm.toml"
    path.write_text(_MAPPING)
    mapping = load_mapping(path)
    command = replay_command(folder) if replay else ConnectorCommand(argv=ARGV, name="scripted", version="1", home=folder)
    keyring = Keyring.from_text(generate_key())
    return TenantWork(
        database=database, tenant=tenant, slug="acme", actor="tests", cache_prefix="tests", options=options, context=CONTEXT,
        keep_count=50,
        keep_days=90,
        resolution=load_resolution_config(resource_path("config", "resolution", "default.toml"), {
            "name_threshold": 85, "company_threshold": 80, "email_validation": True,
        }),
        keyring=lambda: keyring, feed=lambda _: Feed(command=command, mapping=mapping, is_replay=replay),
        platform=PlatformOptions, breaker=BreakerOptions(opens_after=2, open_s=600.0),
    )  # fmt: skip


def add_crm(work: TenantWork, settings: Mapping[str, Any] | None = None, *, name: str = "crm", replay: bool = False, **config: Any) -> None:
    """A source of crm's kind."""
    with work.database.tenant_transaction(work.tenant) as tx:
        sources.add(
            tx, name=name, kind="crm", ingest_mode="replay" if replay else "connector", connector="replay" if replay else "scripted==1",
            config=SourceConfigV1(settings=dict(settings or {}), **config), actor="tests",
        )  # fmt: skip


def add_exports(work: TenantWork, folder: Path, streams: Mapping[str, Sequence[Mapping[str, object]]]) -> None:
    """The source crm over export files with these rows."""
    folder.mkdir(exist_ok=True)
    for name, listed in streams.items():
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(each) + "\n" for each in listed))
    add_crm(work, {"path": str(folder)}, replay=True)


@dataclass
class Listing:
    """A connector that gives all it has at every read, whatever it is asked for; `trouble` is called before each batch."""

    messages: Sequence[Message]
    batch: int = 1000
    trouble: Any = None
    configs: list[Mapping[str, object]] = field(default_factory=list)
    catalogs: list[ConfiguredCatalog] = field(default_factory=list)
    states: list[list[bytes]] = field(default_factory=list)

    def __call__(
        self, config: Mapping[str, object], configured: ConfiguredCatalog, given: Sequence[bytes], /
    ) -> AbstractContextManager[Reading]:
        self.configs.append(config)
        self.catalogs.append(configured)
        self.states.append(list(given))
        return self._read(configured)

    @contextmanager
    def _read(self, configured: ConfiguredCatalog) -> Iterator[Reading]:
        yield _Listed(self, configured)


class _Listed:
    def __init__(self, listing: Listing, configured: ConfiguredCatalog) -> None:
        self._listing = listing
        self._statuses = dict.fromkeys(configured.descriptors, "")
        self._records: Counter[StreamDescriptor] = Counter()

    def batches(self) -> Iterator[list[Message]]:
        wanted = {each.name for each in self._statuses}
        messages = [each for each in self._listing.messages if _stream(each) in wanted]
        for start in range(0, len(messages), self._listing.batch):
            if self._listing.trouble:
                self._listing.trouble(start)
            piece = messages[start : start + self._listing.batch]
            self._records.update(each.descriptor for each in piece if isinstance(each, Record))
            yield piece
        for descriptor in self._statuses:
            self._statuses[descriptor] = "COMPLETE"
            yield [StreamStatus(descriptor, "COMPLETE")]

    @property
    def outcome(self) -> RunOutcome:
        return RunOutcome(connector="listing", exit_code=0, statuses=self._statuses, records=dict(self._records))


def _stream(message: Message) -> str:
    match message:
        case Record(stream=stream):
            return stream
        case StreamStatus(stream=descriptor):
            return descriptor.name
        case _:
            return message.streams[0].name  # type: ignore[union-attr]


@dataclass(frozen=True)
class Unasked:
    """A source that cannot be asked for a range: landing alone leaves out what lies outside."""

    connector: Connector
    notes: Sequence[str] = ()

    def within(self, records: RecordRange) -> Connector:  # noqa: ARG002 - the protocol's
        return self.connector

    def count_rows(self, cursors: Mapping[str, FieldPath], ruler: Ruler, dated_by: DatedBy) -> Mapping[str, Sequence[int]]:  # noqa: ARG002
        return {}


def of_messages(work: TenantWork, asked: BackfillRequest, connector: Connector, catalog: ConfiguredCatalog) -> BackfillSource:
    """A backfill of crm whose connector is an object of the test, and cannot be asked for a range."""
    with work.database.tenant_transaction(work.tenant) as tx:
        source = sources.require(tx, asked.source)
    opened = OpenSource(source=source, feed=work.feed(source), config={}, connector=connector, catalog=catalog, keyring=None)
    datable = {str(each.descriptor): each.cursor_field for each in catalog.streams if each.cursor_field or asked.dated_by == "extracted"}
    chosen = {name: cursor for name, cursor in datable.items() if not asked.streams or name in asked.streams}
    return BackfillSource(work=work, request=asked, opened=opened, ranged=Unasked(connector), streams=chosen, left_out=())


def of_source(work: TenantWork, asked: BackfillRequest) -> BackfillSource:
    """A backfill of crm as the command opens it."""
    return open_backfill_source(work, asked)


def seen(admin_url: str, text: str) -> list[tuple[Any, ...]]:
    """What the administrator sees."""
    with psycopg.connect(admin_url) as connection:
        return connection.execute(text.encode()).fetchall()


def live(admin_url: str, columns: str = "to_jsonb(states)") -> list[tuple[Any, ...]]:
    """All that live syncs go by: the states that a sync made, and the keys of its passes."""
    states = seen(admin_url, f"select {columns} from pay_ready.stream_states as states where run_id is not null order by stream")
    keys = seen(
        admin_url,
        "select to_jsonb(seen) from pay_ready.seen_keys as seen"
        " where run_id not in (select run_id from pay_ready.backfill_runs) order by 1",
    )
    return states + keys


def stream_with(catalog: ConfiguredCatalog, **more: Any) -> ConfiguredCatalog:
    """The catalog, each of its streams changed."""
    return replace(catalog, streams=tuple(replace(each, **more) for each in catalog.streams))
