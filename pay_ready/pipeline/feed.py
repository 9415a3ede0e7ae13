"""How a source is read: its connector, the mapping that understands it, and which streams with which keys."""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from pay_ready.db import schemas, sources
from pay_ready.db.sources import Contract, DataSource, IngestMode, SourceConfigV1, StreamConfigV1
from pay_ready.db.tenancy import Database
from pay_ready.db.tenants import audit, state_hash
from pay_ready.errors import CheckFailedError, ConflictError, NotFoundError, UsageError
from pay_ready.model.ids import TenantId, source_id_of
from pay_ready.pipeline.land.sync import Connector
from pay_ready.pipeline.mapping.rules import SourceMapping
from pay_ready.secrets import Keyring
from pay_ready.sources.catalog import ConfiguredCatalog, StreamChoice, configure
from pay_ready.sources.connector import CheckOutcome, ConnectorRun, Keep, check, discover, spec
from pay_ready.sources.masking import secret_values
from pay_ready.sources.process import ConnectorCommand
from pay_ready.sources.protocol import SourceStream

AIRBYTE = "airbyte"  # stands where other sources name their connector
_SOURCE_NAME = re.compile(r"[a-z0-9]([a-z0-9_-]{0,61}[a-z0-9])?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Feed:
    """What it takes to read a source."""

    command: ConnectorCommand | None  # None: an Airbyte platform extracts it, and its destination's tables are read
    mapping: SourceMapping
    is_replay: bool

    @property
    def connector(self) -> ConnectorCommand:
        """How its connector is called.

        Raises:
            UsageError: It has none.
        """
        if self.command is None:
            raise UsageError("this source has no connector of ours", "an Airbyte platform extracts it")
        return self.command


def open_feed(feed: Feed, source: DataSource, config: Mapping[str, Any], keep: Keep | None = None) -> tuple[Connector, ConfiguredCatalog]:
    """The connector of a source, ready to be read, and what it will be asked for; `keep` stores what it changes of its configuration.

    Raises:
        CheckFailedError: It offers no stream at all: whatever was there before is gone.
        PayReadyError: The connector does not start, or offers other streams than the source names.
    """
    secrets = secret_values(config, frozenset(source.config.secret_keys))
    catalog = discover(feed.connector, config, secrets=secrets, keep=keep)
    if not catalog.streams:
        where = "are the export files still in their folder?" if feed.is_replay else "may its credentials still read anything?"
        raise CheckFailedError("the source offers no stream at all", f"{where} pay-ready sources check says more", source=source.name)
    wanted = source.config.streams
    choices = [_choice(feed, stream, wanted.get(stream.name)) for stream in catalog.streams if not wanted or stream.name in wanted]
    missing = wanted.keys() - {choice.name for choice in choices}
    choices += [StreamChoice(name=name) for name in sorted(missing)]  # refused by name, with what there is

    def connector(config: Mapping[str, object], catalog: ConfiguredCatalog, state: Sequence[bytes]) -> ConnectorRun:
        return ConnectorRun(feed.connector, config, catalog, state, secrets=secrets)

    return connector, configure(catalog, choices)


def check_feed(feed: Feed, source: DataSource, config: Mapping[str, Any], keep: Keep | None = None) -> CheckOutcome:
    """Whether the source can be read with this configuration; its reason is masked. `keep` as for `open_feed`."""
    return check(feed.connector, config, secrets=secret_values(config, frozenset(source.config.secret_keys)), keep=keep)


def keeps_config(database: Database, tenant: TenantId, source: DataSource, keyring: Keyring | None) -> Keep | None:
    """Stores a configuration that the connector changed; nothing for a source without credentials."""
    if keyring is None:
        return None

    def keep(config: bytes) -> None:
        with database.tenant_transaction(tenant) as tx:
            sources.put_credential(tx, source.source_id, "config", config, keyring)

    return keep


@dataclass(frozen=True, slots=True, kw_only=True)
class NewSource:
    """A source as its user describes it: `settings` is the configuration of its connector, or of its Airbyte connection.

    `connector` is name==version, AIRBYTE, or None for export files.
    """

    name: str
    kind: str
    connector: str | None
    settings: Mapping[str, Any]
    streams: tuple[str, ...] = ()
    mapping: str | None = None
    contract: Contract = "evolve"

    def unkept(self, tenant: TenantId) -> DataSource:
        """The source as it would be kept. A connector's configuration is secret as a whole: it is no part of the row.

        Raises:
            UsageError: The name is none.
        """
        if not _SOURCE_NAME.fullmatch(self.name):
            raise UsageError("not a source's name", "use lower-case letters, digits, - and _ (at most 63)", source=self.name)
        config = SourceConfigV1(
            settings=self._open_settings(),
            streams={stream: StreamConfigV1() for stream in self.streams},
            mapping=self.mapping,
            contract=self.contract,
        )
        now = datetime.now(UTC)
        return DataSource(
            source_id=source_id_of(tenant, self.name), name=self.name, kind=self.kind, status="active", config=config,
            ingest_mode=self._ingest_mode(), connector=self.connector or "replay", created_at=now, updated_at=now,
        )  # fmt: skip

    def _ingest_mode(self) -> IngestMode:
        if self.connector is None:
            return "replay"
        return "airbyte" if self.connector == AIRBYTE else "connector"

    def _open_settings(self) -> dict[str, Any]:
        """The part of the settings that is no secret."""
        if self.connector == AIRBYTE:
            from pay_ready.pipeline.airbyte.source import read_platform_config  # heavy, for those that an Airbyte extracts alone

            return read_platform_config(self.settings).settings()
        return dict(self.settings) if self.connector is None else {}


def add_source(
    database: Database,
    tenant: TenantId,
    wanted: NewSource,
    feed_of: Callable[[DataSource], Feed],
    keyring: Callable[[], Keyring],
    *,
    actor: str,
) -> tuple[DataSource, str]:
    """Check a source, then keep it with its credentials encrypted; the source, and what the check found.

    Raises:
        ConflictError: There is one of that name.
        CheckFailedError: It cannot be read; nothing was kept.
        ConfigError: Its mapping is wrong, or a stream that it names is not offered.
        SecretError: It has credentials and there is no key.
    """
    source = wanted.unkept(tenant)
    feed = feed_of(source)
    if source.ingest_mode == "airbyte":
        return _add_platform(database, tenant, wanted, source, feed.mapping, keyring(), actor=actor)
    if not feed.is_replay:
        declared = tuple(sorted(spec(feed.connector).secret_keys))
        source = replace(source, config=source.config.model_copy(update={"secret_keys": declared}))
    ring = keyring() if wanted.connector is not None else None
    with database.tenant_transaction(tenant) as tx:
        refuse_taken(sources.find(tx, wanted.name))
    configs = [json.dumps(dict(wanted.settings)).encode()]  # the last one is what the connector made of it
    outcome = check_feed(feed, source, wanted.settings, configs.append)
    if not outcome.succeeded:
        used_up = "; its token was used up: get a new one" if len(configs) > 1 else ""
        hint = f"nothing was kept{used_up}; mend it and add it again"
        raise CheckFailedError(f"the source cannot be read: {outcome.message}", hint, source=wanted.name)
    _, catalog = open_feed(feed, source, json.loads(configs[-1]), configs.append)
    with database.tenant_transaction(tenant) as tx:
        kept = sources.add(
            tx, name=source.name, kind=source.kind, ingest_mode=source.ingest_mode, connector=source.connector, config=source.config,
            actor=actor,
        )  # fmt: skip
        if ring is not None:
            sources.put_credential(tx, kept.source_id, "config", configs[-1], ring)
    mapped = [each for each in catalog.descriptors if (rules := feed.mapping.stream(each.name)) and rules.ignore is None]
    return kept, f"{len(catalog.descriptors)} streams, {len(mapped)} of them mapped"


def _add_platform(
    database: Database, tenant: TenantId, wanted: NewSource, source: DataSource, mapping: SourceMapping, keyring: Keyring, *, actor: str
) -> tuple[DataSource, str]:
    from pay_ready.pipeline.airbyte.source import PlatformSource, check_platform, keep_credentials, read_platform_config

    config = read_platform_config(wanted.settings)
    with database.tenant_transaction(tenant) as tx:
        refuse_taken(sources.find(tx, wanted.name))
    outcome = check_platform(PlatformSource.described(source, mapping, config))
    if not outcome.succeeded:
        raise CheckFailedError(
            f"the source cannot be read: {outcome.message}", "nothing was kept; mend it and add it again", source=wanted.name
        )
    with database.tenant_transaction(tenant) as tx:
        kept = sources.add(
            tx, name=source.name, kind=source.kind, ingest_mode=source.ingest_mode, connector=source.connector, config=source.config,
            actor=actor,
        )  # fmt: skip
        keep_credentials(tx, kept, config, keyring)
    return kept, outcome.message


def accept_schemas(database: Database, tenant: TenantId, name: str, streams: Sequence[str], *, actor: str) -> list[str]:
    """Give up the shapes that a source's streams are held to, so that the next sync takes over what it finds; the streams.

    Raises:
        NotFoundError: No such source, or a stream of it that was never seen; names those there are.
    """
    with database.tenant_transaction(tenant) as tx:
        source = sources.require(tx, name)
        known = schemas.current(tx, source.source_id)
        if unknown := sorted(set(streams) - known.keys()):
            hint = "choose one of " + (", ".join(sorted(known)) or "none: the source was never synced")
            raise NotFoundError("no such stream with a known shape", hint, source=name, stream=", ".join(unknown))
        schemas.close(tx, source.source_id, streams)
        audit(
            tx, actor=actor, action="schema.accepted", subject_kind="data_source", subject_id=str(source.source_id),
            before_hash=state_hash({"held": sorted(known)}),
            after_hash=state_hash({"held": sorted(known.keys() - set(streams)) if streams else []}),
        )  # fmt: skip
    return sorted(streams or known)


def refuse_taken(there: DataSource | None) -> None:
    """A name is free when nothing has it, or what had it was removed.

    Raises:
        ConflictError: It is taken.
    """
    if there is not None and there.status != "removed":
        raise ConflictError("the source is there already", "choose another name, or remove it first", source=there.name)


def _choice(feed: Feed, stream: SourceStream, own: StreamConfigV1 | None) -> StreamChoice:
    """What the user says, else the source's own key, else the mapping's.

    Export files know no key: what replay offers is a guess from a sample, so there the mapping comes first.
    """
    rules = feed.mapping.stream(stream.name)
    own = own or StreamConfigV1()
    primary_key, cursor = own.primary_key, own.cursor_field
    if rules is not None and not primary_key and (feed.is_replay or not stream.source_defined_primary_key):
        primary_key = rules.primary_key
    if rules is not None and not cursor and not stream.default_cursor_field:
        cursor = rules.cursor
    return StreamChoice(
        name=stream.name,
        namespace=stream.namespace,
        sync_mode=own.sync_mode,
        destination_sync_mode=own.destination_sync_mode,
        cursor_field=cursor,
        primary_key=primary_key,
    )
