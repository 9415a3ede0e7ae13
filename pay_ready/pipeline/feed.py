"""How a source is read: its connector, the mapping that understands it, and which streams with which keys."""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from pay_ready.db import sources
from pay_ready.db.sources import DataSource, SourceConfigV1, StreamConfigV1
from pay_ready.db.tenancy import Database
from pay_ready.errors import CheckFailedError, ConflictError, UsageError
from pay_ready.model.ids import TenantId, source_id_of
from pay_ready.pipeline.land import Connector
from pay_ready.pipeline.mapping.rules import SourceMapping
from pay_ready.secrets import Keyring
from pay_ready.sources.catalog import ConfiguredCatalog, StreamChoice, configure
from pay_ready.sources.connector import CheckOutcome, ConnectorRun, Keep, check, discover, spec
from pay_ready.sources.masking import secret_values
from pay_ready.sources.process import ConnectorCommand
from pay_ready.sources.protocol import SourceStream

_SOURCE_NAME = re.compile(r"[a-z0-9]([a-z0-9_-]{0,61}[a-z0-9])?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Feed:
    """What it takes to read a source."""

    command: ConnectorCommand
    mapping: SourceMapping
    is_replay: bool


def open_feed(feed: Feed, source: DataSource, config: Mapping[str, Any], keep: Keep | None = None) -> tuple[Connector, ConfiguredCatalog]:
    """The connector of a source, ready to be read, and what it will be asked for; `keep` stores what it changes of its configuration.

    Raises:
        CheckFailedError: It offers no stream at all: whatever was there before is gone.
        PayReadyError: The connector does not start, or offers other streams than the source names.
    """
    secrets = secret_values(config, frozenset(source.config.secret_keys))
    catalog = discover(feed.command, config, secrets=secrets, keep=keep)
    if not catalog.streams:
        where = "are the export files still in their folder?" if feed.is_replay else "may its credentials still read anything?"
        raise CheckFailedError("the source offers no stream at all", f"{where} pay-ready sources check says more", source=source.name)
    wanted = source.config.streams
    choices = [_choice(feed, stream, wanted.get(stream.name)) for stream in catalog.streams if not wanted or stream.name in wanted]
    missing = wanted.keys() - {choice.name for choice in choices}
    choices += [StreamChoice(name=name) for name in sorted(missing)]  # refused by name, with what there is

    def connector(config: Mapping[str, object], catalog: ConfiguredCatalog, state: Sequence[bytes]) -> ConnectorRun:
        return ConnectorRun(feed.command, config, catalog, state, secrets=secrets)

    return connector, configure(catalog, choices)


def check_feed(feed: Feed, source: DataSource, config: Mapping[str, Any], keep: Keep | None = None) -> CheckOutcome:
    """Whether the source can be read with this configuration; its reason is masked. `keep` as for `open_feed`."""
    return check(feed.command, config, secrets=secret_values(config, frozenset(source.config.secret_keys)), keep=keep)


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
    """A source as its user describes it; `settings` is the connector's configuration, `connector` None for export files."""

    name: str
    kind: str
    connector: str | None
    settings: Mapping[str, Any]
    streams: tuple[str, ...] = ()
    mapping: str | None = None

    def unkept(self, tenant: TenantId) -> DataSource:
        """The source as it would be kept. A connector's configuration is secret as a whole: it is no part of the row.

        Raises:
            UsageError: The name is none.
        """
        if not _SOURCE_NAME.fullmatch(self.name):
            raise UsageError("not a source's name", "use lower-case letters, digits, - and _ (at most 63)", source=self.name)
        config = SourceConfigV1(
            settings=dict(self.settings) if self.connector is None else {},
            streams={stream: StreamConfigV1() for stream in self.streams},
            mapping=self.mapping,
        )
        now = datetime.now(UTC)
        return DataSource(
            source_id=source_id_of(tenant, self.name), name=self.name, kind=self.kind, status="active", config=config,
            ingest_mode="replay" if self.connector is None else "connector", connector=self.connector or "replay",
            created_at=now, updated_at=now,
        )  # fmt: skip


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
    if not feed.is_replay:
        declared = tuple(sorted(spec(feed.command).secret_keys))
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
