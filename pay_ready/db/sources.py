"""Data sources of a tenant: the row, its settings, and its credentials, which never stand anywhere unencrypted."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal, cast

import msgspec
from psycopg.types.json import Jsonb
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from pay_ready.db.tenancy import TenantTransaction
from pay_ready.db.tenants import audit, state_hash
from pay_ready.errors import ConfigError, ConflictError, ContractError, DeniedError, NotFoundError, SecretError
from pay_ready.model.ids import SourceId, source_id_of
from pay_ready.secrets import Keyring

IngestMode = Literal["replay", "connector", "airbyte"]
Credential = Literal["config", "platform"]
Status = Literal["active", "paused", "removed"]
Contract = Literal["evolve", "freeze", "quarantine"]

_COLUMN = "source_credentials.envelope"


class StreamConfigV1(BaseModel):
    """How one stream is read, where that differs from what the source proposes. Paths are lists of names."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    namespace: str | None = None
    sync_mode: Literal["full_refresh", "incremental"] | None = None
    destination_sync_mode: Literal["append", "append_dedup", "overwrite"] | None = None
    cursor_field: tuple[str, ...] = ()
    primary_key: tuple[tuple[str, ...], ...] = ()
    deleted_flag: tuple[str, ...] = ()


class SourceConfigV1(BaseModel):
    """The column `data_sources.config`: settings without secrets, and the streams to read (empty: all)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    schema_version: Literal[1] = 1
    settings: dict[str, Any] = Field(default_factory=dict)
    streams: dict[str, StreamConfigV1] = Field(default_factory=dict)
    secret_keys: tuple[str, ...] = ()  # names that the connector declares secret: their values are masked wherever they show
    contract: Contract = "evolve"  # what becomes of a stream in which a field changed its type or is gone
    mapping: str | None = None  # path of the user's own mapping; else the shipped one of the source's kind


SourceConfig = SourceConfigV1
_READERS = {1: SourceConfigV1}


@dataclass(frozen=True, slots=True, kw_only=True)
class DataSource:
    """A system whose records a tenant brings in."""

    source_id: SourceId
    name: str
    kind: str
    ingest_mode: IngestMode
    connector: str
    config: SourceConfig
    status: Status
    created_at: datetime
    updated_at: datetime


def read_config(column: Mapping[str, Any]) -> SourceConfig:
    """The settings of a source, from a column of any version.

    Raises:
        ContractError: The version is unknown, or the column is not of its shape.
    """
    reader = _READERS.get(cast("int", column.get("schema_version")))
    if reader is None:
        raise ContractError("settings of a source of an unknown version", "upgrade pay-ready", version=column.get("schema_version"))
    return _checked(reader, column)


def check_config(values: Mapping[str, Any]) -> SourceConfig:
    """The settings of a source as somebody wrote them.

    Raises:
        ConfigError: A key is unknown or a value is off; names the key, never the value.
    """
    try:
        return SourceConfigV1.model_validate(dict(values))
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        raise ConfigError("a setting of the source is off", first["msg"], key=".".join(map(str, first["loc"]))) from None


def add(
    tx: TenantTransaction, *, name: str, kind: str, ingest_mode: IngestMode, connector: str, config: SourceConfig, actor: str
) -> DataSource:
    """Add a source; one that was removed comes back, with its rows.

    Raises:
        ConflictError: There is one of that name.
    """
    source = source_id_of(tx.tenant, name)
    added = {
        "source_id": source, "name": name, "kind": kind, "ingest_mode": ingest_mode, "connector": connector,
        "config": Jsonb(config.model_dump(mode="json")),
    }  # fmt: skip
    before = find(tx, name)
    if tx.execute("sources.add", added) == 0:
        raise ConflictError("the source is there already", f"look at it: pay-ready sources list, source {name}", source=name)
    now = require(tx, name)
    _audit(tx, "source.added", before, now, actor=actor)
    return now


def find(tx: TenantTransaction, name: str) -> DataSource | None:
    """The source of that name, or None."""
    row = tx.row("sources.find", {"name": name})
    return _source(row) if row else None


def require(tx: TenantTransaction, name: str) -> DataSource:
    """The source of that name.

    Raises:
        NotFoundError: There is none, or it was removed.
    """
    source = find(tx, name)
    if source is None or source.status == "removed":
        raise NotFoundError("no such source", "see them all: pay-ready sources list", source=name)
    return source


def require_active(tx: TenantTransaction, name: str) -> DataSource:
    """The source of that name, ready to be read.

    Raises:
        NotFoundError: There is none, or it was removed.
        DeniedError: It is paused.
    """
    source = require(tx, name)
    if source.status != "active":
        raise DeniedError("the source is paused", "wake it before it is read", source=name)
    return source


def list_all(tx: TenantTransaction) -> list[DataSource]:
    """Every source that was not removed, by name."""
    return [source for source in map(_source, tx.rows("sources.list")) if source.status != "removed"]


def set_status(tx: TenantTransaction, source: DataSource, status: Status, *, actor: str) -> bool:
    """Pause, wake or remove a source; False when it was so already. Rows of a removed source stay, its credentials go."""
    changed = tx.execute("sources.set_status", {"source_id": source.source_id, "status": status}) > 0
    if status == "removed":
        tx.execute("sources.forget_credentials", {"source_id": source.source_id})
    if changed:
        words = {"active": "source.resumed", "paused": "source.paused", "removed": "source.removed"}
        _audit(tx, words[status], source, replace(source, status=status), actor=actor)
    return changed


def change_config(tx: TenantTransaction, source: DataSource, config: SourceConfig, *, actor: str) -> None:
    """Give the source other settings."""
    tx.execute("sources.change_config", {"source_id": source.source_id, "config": Jsonb(config.model_dump(mode="json"))})
    _audit(tx, "source.config_changed", source, replace(source, config=config), actor=actor)


def put_credential(tx: TenantTransaction, source: SourceId, credential: Credential, plain: bytes, keyring: Keyring) -> None:
    """Keep a credential (JSON), encrypted, in place of the one before."""
    envelope = keyring.encrypt(plain, tenant=tx.tenant, column=_COLUMN, row=_row(source, credential))
    tx.execute("sources.put_credential", {"source_id": source, "credential": credential, "envelope": envelope})


def credential_of(tx: TenantTransaction, source: SourceId, credential: Credential, keyring: Keyring | None) -> bytes | None:
    """A credential in plain; None when there is none.

    Raises:
        SecretError: There is one and no key for it.
    """
    row = tx.row("sources.credential", {"source_id": source, "credential": credential})
    if row is None:
        return None
    if keyring is None:
        raise SecretError("the source has credentials and there is no key for them", "set PAY_READY_SECRET_KEY", source_id=source)
    return keyring.decrypt(bytes(row.envelope), tenant=tx.tenant, column=_COLUMN, row=_row(source, credential))


def connector_config(tx: TenantTransaction, source: DataSource, keyring: Keyring | None) -> dict[str, Any]:
    """What the connector is given: the settings, overlaid by the credentials.

    Raises:
        SecretError: There are credentials and no key for them.
    """
    secret = credential_of(tx, source.source_id, "config", keyring)
    return {**source.config.settings, **(msgspec.json.decode(secret, type=dict[str, Any]) if secret else {})}


def rotate_credentials(tx: TenantTransaction, keyring: Keyring, *, actor: str) -> int:
    """Encrypt with the newest key what was encrypted with an older one; how many credentials that were.

    Raises:
        SecretError: An envelope's key is in the ring no longer; nothing is changed.
    """
    rotated = 0
    before = _envelopes_hash(tx)
    for row in tx.rows("sources.credentials_for_rotation"):
        envelope = bytes(row.envelope)
        if keyring.needs_rotation(envelope):
            plain = keyring.decrypt(envelope, tenant=tx.tenant, column=_COLUMN, row=_row(row.source_id, row.credential))
            put_credential(tx, row.source_id, row.credential, plain, keyring)
            rotated += 1
    if rotated:
        audit(
            tx, actor=actor, action="credentials.rotated", subject_kind="tenant", subject_id=str(tx.tenant),
            before_hash=before, after_hash=_envelopes_hash(tx),
        )  # fmt: skip
    return rotated


def _envelopes_hash(tx: TenantTransaction) -> bytes:
    """Of all credentials as they are kept: encrypted."""
    kept = {_row(row.source_id, row.credential): bytes(row.envelope).hex() for row in tx.rows("sources.credentials_for_rotation")}
    return state_hash(kept)


def _audit(tx: TenantTransaction, action: str, before: DataSource | None, after: DataSource, *, actor: str) -> None:
    """What became of a source, by the hashes of its settings before and after."""
    audit(
        tx, actor=actor, action=action, subject_kind="data_source", subject_id=str(after.source_id),
        before_hash=_hash_of(before) if before else None, after_hash=_hash_of(after),
    )  # fmt: skip


def _hash_of(source: DataSource) -> bytes:
    return state_hash({
        "name": source.name, "kind": source.kind, "ingest_mode": source.ingest_mode, "connector": source.connector,
        "config": source.config.model_dump(mode="json"), "status": source.status,
    })  # fmt: skip


def _row(source: SourceId, credential: str) -> str:
    return f"{source}/{credential}"


def _source(row: Any) -> DataSource:
    return DataSource(**{**row._asdict(), "config": read_config(row.config)})


def _checked(model: type[SourceConfigV1], column: Mapping[str, Any]) -> SourceConfig:
    try:
        return model.model_validate(dict(column))
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        raise ContractError("settings of a source are not of their shape", key=".".join(map(str, first["loc"]))) from None
