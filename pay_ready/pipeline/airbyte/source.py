"""A source whose extraction Airbyte does: its connection's job is run to its end, then the tables that it wrote are read.

Without a connection there is nobody to ask: the destination's tables are read as they are, and the report says so.
"""

import asyncio
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError

from pay_ready.db import sources
from pay_ready.db.sources import DataSource, StreamConfigV1
from pay_ready.db.tenancy import Database, TenantTransaction
from pay_ready.errors import ConfigError, NotFoundError
from pay_ready.model.ids import TenantId
from pay_ready.model.progress import Progress
from pay_ready.pipeline.airbyte.job import JobOptions, PlatformJob, run_job
from pay_ready.pipeline.land.findings import JobReport, RunFindings
from pay_ready.pipeline.land.sync import Connector, Reading
from pay_ready.pipeline.mapping.rules import SourceMapping
from pay_ready.secrets import Keyring
from pay_ready.sources.airbyte import AirbyteClient, Connection, ConnectionStream
from pay_ready.sources.airbyte_access import CLOUD_URL, AirbyteAccess, open_access
from pay_ready.sources.catalog import ConfiguredCatalog, DestinationSyncMode, FieldPath
from pay_ready.sources.connector import CheckOutcome
from pay_ready.sources.landing_names import RAW_SCHEMA, destination_schema, match_tables
from pay_ready.sources.landing_streams import TableStream
from pay_ready.sources.landing_tables import LAG_S, LandingTables, find_tables
from pay_ready.sources.ranges import DatedBy, RecordRange, Ruler

_SETTING = "destination_url"


class PlatformConfig(BaseModel):
    """What a user writes down: where Airbyte is, which connection, and where its destination writes."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    destination_url: SecretStr
    destination_schema: str = Field("public", min_length=1, max_length=63)
    raw_schema: str = Field(RAW_SCHEMA, min_length=1, max_length=63)
    api_url: str = CLOUD_URL
    connection_id: str | None = Field(None, min_length=1, max_length=64)  # None: the tables are read, no job is run
    client_id: SecretStr | None = None
    client_secret: SecretStr | None = None
    access_token: SecretStr | None = None

    def settings(self) -> dict[str, Any]:
        """What is no secret."""
        return self.model_dump(include={"destination_schema", "raw_schema", "api_url", "connection_id"})

    def credentials(self) -> dict[str, str]:
        """What Airbyte's API asks for; empty when it asks for nothing."""
        given = {name: getattr(self, name) for name in ("client_id", "client_secret", "access_token")}
        return {name: secret.get_secret_value() for name, secret in given.items() if secret is not None}


def read_platform_config(given: Mapping[str, Any]) -> PlatformConfig:
    """The configuration as its user wrote it.

    Raises:
        ConfigError: A key is unknown or missing, or a value is off; names the key and the choices, never a value.
    """
    try:
        config = PlatformConfig.model_validate(dict(given))
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        choices = ", ".join(PlatformConfig.model_fields)
        hint = f"the keys here are: {choices}" if first["type"] in ("extra_forbidden", "missing") else first["msg"]
        raise ConfigError("the description of the Airbyte connection is off", hint, key=".".join(map(str, first["loc"]))) from None
    if config.connection_id is not None:
        open_access(config.api_url, _encoded(config.credentials()))
    elif config.credentials():
        hint = "name the connection_id (the UUID in its address in Airbyte), or leave the credentials out to read tables only"
        raise ConfigError("credentials of Airbyte without a connection", hint, key="connection_id")
    return config


@dataclass(frozen=True, slots=True, kw_only=True)
class PlatformOptions:
    """How jobs are watched and tables are read; the defaults are the shipped settings."""

    job: JobOptions = field(default_factory=JobOptions)
    lag_s: float = LAG_S


@dataclass(frozen=True, slots=True, kw_only=True)
class PlatformSource:
    """A source with its ways in, opened; secrets stay out of its repr."""

    source: DataSource
    mapping: SourceMapping
    destination_url: str = field(repr=False)
    access: AirbyteAccess | None  # None: there is no connection to ask

    @classmethod
    def stored(cls, tx: TenantTransaction, source: DataSource, mapping: SourceMapping, keyring: Keyring) -> "PlatformSource":
        """The source as it is kept.

        Raises:
            SecretError: There is no key for its credentials.
            NotFoundError: Its credentials are gone.
        """
        url = sources.connector_config(tx, source, keyring).get(_SETTING)
        if not isinstance(url, str):
            raise NotFoundError("the source has no destination any more", "remove it and add it again", source=source.name)
        credentials = sources.credential_of(tx, source.source_id, "platform", keyring)
        access = open_access(source.config.settings["api_url"], credentials) if source.config.settings.get("connection_id") else None
        return cls(source=source, mapping=mapping, destination_url=url, access=access)

    @classmethod
    def described(cls, source: DataSource, mapping: SourceMapping, config: PlatformConfig) -> "PlatformSource":
        """The source as somebody describes it, before it is kept."""
        access = open_access(config.api_url, _encoded(config.credentials())) if config.connection_id else None
        return cls(source=source, mapping=mapping, destination_url=config.destination_url.get_secret_value(), access=access)

    @property
    def connection_id(self) -> str:
        """The connection in Airbyte; empty without one."""
        return str(self.source.config.settings.get("connection_id") or "")

    def client(self) -> AirbyteClient:
        """A client of its Airbyte.

        Raises:
            ConfigError: It has no connection.
        """
        if self.access is None:
            raise ConfigError("the source reads tables only: it knows no Airbyte", "add it with a connection_id", source=self.source.name)
        return AirbyteClient(self.access)

    def connection(self) -> Connection:
        """The connection with its streams, asked from Airbyte; raises as `AirbyteClient.connection`."""
        return asyncio.run(self._asked())

    async def _asked(self) -> Connection:
        async with self.client() as client:
            return await client.connection(self.connection_id)

    def streams(self) -> list[TableStream]:
        """The streams to read: those of the connection, or one for each table of the destination; the source's choice of them.

        Raises:
            ConfigError: The source names a stream that is not there; says which there are.
        """
        offered = self._connection_streams(self.connection()) if self.access else self._table_streams()
        chosen = self.source.config.streams
        if not chosen:
            return offered
        by_name = {stream.name: stream for stream in offered}
        if unknown := sorted(chosen.keys() - by_name.keys()):
            hint = "choose one of " + (", ".join(sorted(by_name)) or "none: there is no table yet")
            raise ConfigError("the source has no such stream", hint, source=self.source.name, stream=", ".join(unknown))
        return [by_name[name] for name in chosen]

    def tables(self, job: PlatformJob | None = None, *, options: PlatformOptions | None = None) -> LandingTables:
        """The reader of the source's tables, up to a job that is at its end."""
        return LandingTables(
            self.destination_url, self.streams(), upto_sync=job.job_id if job else None,
            job_succeeded=job is None or job.outcome == "succeeded", lag_s=(options or PlatformOptions()).lag_s, setting=_SETTING,
            raw_schema=str(self.source.config.settings["raw_schema"]),
        )  # fmt: skip

    def _connection_streams(self, connection: Connection) -> list[TableStream]:
        settings = self.source.config.settings
        made = []
        for each in connection.streams:
            schema = destination_schema(
                connection.namespace_definition or "destination", connection.namespace_format, each.namespace,
                str(settings["destination_schema"]),
            )  # fmt: skip
            made.append(self._stream(each, schema=schema, prefix=connection.prefix or ""))
        return made

    def _table_streams(self) -> list[TableStream]:
        settings = self.source.config.settings
        schema = str(settings["destination_schema"])
        found = find_tables(self.destination_url, [schema], raw_schema=str(settings["raw_schema"]), setting=_SETTING)
        return [
            self._stream(ConnectionStream(name=table.name), schema=schema, prefix="")
            for table in found
            if table.schema == schema and table.readable
        ]

    def _stream(self, said: ConnectionStream, *, schema: str, prefix: str) -> TableStream:
        """What the source's user says, else the connection, else the mapping."""
        own, rules = self.source.config.streams.get(said.name, StreamConfigV1()), self.mapping.stream(said.name)
        primary_key: Sequence[FieldPath] = own.primary_key or said.primary_key or (rules.primary_key if rules else ())
        cursor: FieldPath = own.cursor_field or said.cursor_field or (rules.cursor if rules else ())
        return TableStream(
            name=said.name, schema=schema, namespace=said.namespace, prefix=prefix,
            sync_mode="full_refresh" if (said.sync_mode or "").startswith("full_refresh") else "incremental",
            destination_sync_mode=_destination_mode(said.sync_mode, has_key=bool(primary_key)), cursor_field=tuple(cursor),
            primary_key=tuple(primary_key),
        )  # fmt: skip


def run_platform_job(
    database: Database, tenant: TenantId, platform: PlatformSource, options: PlatformOptions, progress: Progress
) -> tuple[PlatformJob | None, RunFindings]:
    """Run the connection's job, or adopt the one under way, to its end; and what a report says of it.

    Raises:
        As `run_job`.
    """
    findings = RunFindings()
    if platform.access is None:
        findings.remarks.append("no connection is named: the tables were read as they are, whether or not a sync is writing to them")
        return None, findings
    job = run_job(
        database, tenant, platform.source, platform.client, platform.connection_id, options=options.job, progress=progress
    )  # fmt: skip
    for step, seconds in job.seconds.items():
        findings.clock.add(step, seconds)
    findings.job = JobReport(
        job_id=job.job_id, connection_id=job.connection_id, outcome=job.outcome, is_adopted=job.adopted, attempts=job.attempts,
        rows_synced=job.rows_synced, bytes_synced=job.bytes_synced, failure=job.failure,
    )  # fmt: skip
    if job.outcome != "succeeded":
        reason = f": {job.failure}" if job.failure else ""
        findings.notes.append(f"Airbyte's job {job.job_id} {_OUTCOMES[job.outcome]}{reason}; what it left was read")
    elif job.adopted:
        findings.remarks.append(f"job {job.job_id} was adopted: it was under way already")
    return job, findings


_OUTCOMES = {"failed": "failed", "cancelled": "was cancelled", "lost": "is not known to Airbyte any more"}


@dataclass(frozen=True, slots=True, kw_only=True)
class RemarkingTables:
    """The tables as a connector whose remarks are a part of the run's findings."""

    tables: LandingTables
    findings: RunFindings

    @property
    def notes(self) -> Sequence[str]:
        """What whoever plans a backfill should know."""
        return ()

    def within(self, records: RecordRange) -> Connector:
        """The reader of the records of a range."""
        return self.tables.within(records)

    def count_rows(self, cursors: Mapping[str, FieldPath], ruler: Ruler, dated_by: DatedBy) -> Mapping[str, Sequence[int]]:
        """Rows in each range, by stream."""
        return self.tables.count_rows(cursors, ruler, dated_by)

    def __call__(
        self, config: Mapping[str, object], catalog: ConfiguredCatalog, state: Sequence[bytes], /
    ) -> AbstractContextManager[Reading]:
        return self._reading(config, catalog, state)

    @contextmanager
    def _reading(self, config: Mapping[str, object], catalog: ConfiguredCatalog, state: Sequence[bytes]) -> Iterator[Reading]:
        try:
            with self.tables(config, catalog, state) as reading:
                yield reading
        finally:
            self.findings.remarks += [text for text in self.tables.remarks if text not in self.findings.remarks]


def check_platform(platform: PlatformSource) -> CheckOutcome:
    """Whether Airbyte answers, knows the connection, and the destination has its tables; what is off, in a line.

    Raises:
        PayReadyError: Airbyte or the destination cannot be reached, or refuses.
    """
    if platform.access is not None and (connection := platform.connection()).status not in ("", "active"):
        return CheckOutcome(succeeded=False, message=f"the connection {connection.name} is {connection.status} in Airbyte")
    streams = platform.streams()
    if not streams:
        schema = platform.source.config.settings["destination_schema"]
        return CheckOutcome(succeeded=False, message=f"there is no stream: no table of Airbyte's in schema {schema} that may be read")
    return CheckOutcome(succeeded=True, message=tables_found(platform, streams))


def tables_found(platform: PlatformSource, streams: Sequence[TableStream]) -> str:
    """How many streams there are, have a table, and are mapped."""
    schemas = sorted({stream.schema for stream in streams})
    raw = str(platform.source.config.settings["raw_schema"])
    found = match_tables(streams, find_tables(platform.destination_url, schemas, raw_schema=raw, setting=_SETTING))
    mapped = [each for each in streams if (rules := platform.mapping.stream(each.name)) and rules.ignore is None]
    return f"{len(streams)} streams, {len(found)} of them with a table, {len(mapped)} mapped"


def keep_credentials(tx: TenantTransaction, source: DataSource, config: PlatformConfig, keyring: Keyring) -> None:
    """Keep what gives access to the destination and to Airbyte, encrypted."""
    put = partial(sources.put_credential, tx, source.source_id)
    put("config", _encoded({_SETTING: config.destination_url.get_secret_value()}), keyring)
    put("platform", _encoded(config.credentials()), keyring)


def _destination_mode(mode: str | None, *, has_key: bool) -> DestinationSyncMode:
    """overwrite when each sync writes the table anew, append_dedup when it keeps one row a key."""
    words = mode or ""
    if "overwrite" in words:
        return "overwrite"
    return "append_dedup" if "dedup" in words or "update" in words or (not words and has_key) else "append"


def _encoded(credentials: Mapping[str, str]) -> bytes:
    return json.dumps(dict(credentials)).encode()
