"""Settings: shipped defaults, the domain, your own file, the environment, and a tenant's overrides - in that order.

Only this module reads the environment, and only the composition root reads this module.
"""

import json
import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import phonenumbers
from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from pay_ready.errors import ConfigError
from pay_ready.resources import resource_path

# Where the checker speaks of Python's types: what to write instead.
_WORDING = {
    "tuple_type": 'a list is wanted, for example ["one", "two"]',
    "dict_type": "a section is wanted, with keys of its own",
}


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class EntityResolution(_Section):
    name_threshold: float = Field(ge=0, le=100)
    company_threshold: float = Field(ge=0, le=100)
    email_validation: bool


class Etl(_Section):
    default_batch_size: int = Field(ge=1, le=1_000_000)
    sync_timeout_minutes: float = Field(gt=0)
    max_retries: int = Field(ge=0, le=100)
    max_shrink_percent: float = Field(ge=0, le=100)
    max_quarantine_percent: float = Field(ge=0, le=100)
    breaker_failures: int = Field(ge=1)
    breaker_open_minutes: float = Field(gt=0)


class Airbyte(_Section):
    poll_seconds: float = Field(gt=0)
    longest_poll_seconds: float = Field(gt=0)
    cancel_on_timeout: bool
    lag_hours: float = Field(ge=0)


def _zone(name: str) -> str:
    try:
        return ZoneInfo(name).key
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:  # a folder of the database is no zone either
        raise ValueError(f"no such time zone: {name!r}; an IANA name, for example UTC, Europe/Berlin, America/New_York") from error


class Staging(_Section):
    phone_region: str
    time_zone: str
    internal_domains: tuple[str, ...]

    @field_validator("phone_region")
    @classmethod
    def _known_region(cls, region: str) -> str:
        if region not in phonenumbers.SUPPORTED_REGIONS:
            raise ValueError("not an ISO 3166 region with phone numbers, for example US, GB, DE")
        return region

    @field_validator("time_zone")
    @classmethod
    def _known_zone(cls, name: str) -> str:
        return _zone(name)


class Checkpoints(_Section):
    keep_count: int = Field(ge=1)
    keep_days: float = Field(gt=0)
    four_eyes: bool


class Retention(_Section):
    history_days: float = Field(ge=0, le=36_500)
    landed_days: float = Field(ge=0, le=36_500)
    quarantine_days: float = Field(ge=0, le=36_500)
    memories_days: float = Field(ge=0, le=36_500)
    runs_days: float = Field(ge=0, le=36_500)
    logs_days: float = Field(ge=0, le=36_500)
    archive_days: float = Field(ge=0, le=36_500)
    batch_rows: int = Field(ge=1, le=100_000)


class Review(_Section):
    blind: bool
    double: bool
    gold_percent: float = Field(ge=0, le=100)
    lease_minutes: float = Field(gt=0, le=1_440)
    agent_decides: bool


class Watch(_Section):
    freshness_hours: float = Field(gt=0)
    stream_freshness_hours: dict[str, float]
    alert_rules: str
    webhook_url: str
    webhook_private: bool
    webhook_attempts: int = Field(ge=1, le=100)

    @field_validator("stream_freshness_hours", mode="before")
    @classmethod
    def _told_as_json(cls, hours: object) -> object:
        """A variable of the environment is a text."""
        if not isinstance(hours, str):
            return hours
        try:
            return json.loads(hours)
        except ValueError:
            raise ValueError('hours by stream or source, for example {"hubspot/contacts": 24, "slack": 1}') from None

    @field_validator("stream_freshness_hours")
    @classmethod
    def _positive(cls, hours: dict[str, float]) -> dict[str, float]:
        if wrong := [name for name, each in hours.items() if each <= 0]:
            raise ValueError(f"more than 0 hours are wanted: {wrong[0]}")
        return hours


class Quality(_Section):
    check_runs: bool
    folder: str
    rules: dict[str, dict[str, Any]] = Field(default_factory=dict)


class Drift(_Section):
    baseline_days: int = Field(ge=28, le=730)
    current_days: int = Field(ge=7, le=90)
    least_observations: int = Field(ge=2)
    high_severity: float = Field(gt=0, lt=1)
    critical_severity: float = Field(gt=0, le=1)
    metrics: tuple[Literal["volume", "sentiment", "response_time", "talk_ratio", "match_rate", "quarantine_rate"], ...]


class MemoryManagement(_Section):
    hot_cache_size: int = Field(ge=1)
    hot_cache_mb: int = Field(ge=1)
    hot_cache_ttl_hours: float = Field(gt=0)
    warm_cache_ttl_days: float = Field(gt=0)
    batch_size: int = Field(ge=1, le=1_000)
    languages: tuple[str, ...] = Field(min_length=1)
    index_after_run: bool
    exact_below: int = Field(ge=0)
    candidates: int = Field(ge=10, le=1_000)
    vector_share: float = Field(ge=0, le=10)
    index_ef: int = Field(ge=1, le=1_000)
    index_m: int = Field(ge=2, le=100)
    index_ef_construction: int = Field(ge=4, le=1_000)

    @field_validator("languages")
    @classmethod
    def _known_languages(cls, languages: tuple[str, ...]) -> tuple[str, ...]:
        if unknown := [each for each in languages if not re.fullmatch("[a-z]{2}", each)]:
            raise ValueError(f"not an ISO 639-1 code: {unknown[0]}, for example en, de, fr")
        return languages


class Embedding(_Section):
    provider: Literal["auto", "minilm-onnx", "minilm-numpy", "openai", "hash"]
    threads: int = Field(ge=0, le=64)
    url: str
    model: str
    dimensions: int = Field(ge=0, le=4_000)


class AgentSettings(_Section):
    time_zone: str
    week_start: int = Field(ge=0, le=6)
    fiscal_start_month: int = Field(ge=1, le=12)
    fiscal_named_by: Literal["start", "end"]
    day_first: bool
    intent_threshold: float = Field(ge=0, le=1)
    most_interactions: int = Field(ge=1, le=10_000)
    summary_words: int = Field(ge=10, le=2_000)
    topic_min_frequency: int = Field(ge=1)
    page_size: int = Field(ge=1, le=200)
    cache_ttl_minutes: float = Field(ge=0)
    warm_answers: int = Field(ge=0, le=1_000)
    analyse_after_run: bool
    analyse_seconds: float = Field(gt=0)
    mask_policy: Literal["none", "contacts", "all"]
    competitors: tuple[str, ...]
    llm_url: str
    llm_model: str
    llm_timeout_s: float = Field(gt=0)
    llm_question_tokens: int = Field(ge=1_000)
    llm_day_tokens: int = Field(ge=0)

    @field_validator("time_zone")
    @classmethod
    def _known_zone(cls, name: str) -> str:
        return name and _zone(name)


class Weaviate(_Section):
    mode: Literal["off", "server", "cloud", "embedded"]
    url: str
    grpc_host: str
    grpc_port: int = Field(ge=0, le=65_535)
    query_s: float = Field(gt=0)
    write_s: float = Field(gt=0)
    open_s: float = Field(gt=0)
    breaker_failures: int = Field(ge=1)
    breaker_open_s: float = Field(gt=0)
    idle_minutes: float = Field(gt=0)
    index: Literal["hnsw", "flat", "dynamic"]
    index_m: int = Field(ge=2, le=2_047)
    index_ef_construction: int = Field(ge=4)
    index_ef: int = Field(ge=-1)
    exact_up_to: int = Field(ge=0)
    graph_from: int = Field(ge=1)
    binary_folder: str
    version: str
    data_folder: str


class Pool(_Section):
    min_size: int = Field(ge=0)
    max_size: int = Field(ge=1)
    overflow: int = Field(ge=0)
    wait_s: float = Field(gt=0)
    recycle_s: float = Field(gt=0)
    max_idle_s: float = Field(gt=0)
    check_liveness: bool


class WorkTimeouts(_Section):
    statement_ms: int = Field(ge=1)
    lock_ms: int = Field(ge=1)
    idle_in_transaction_ms: int = Field(ge=1)


class DatabaseSettings(_Section):
    transaction_pooler: bool
    slow_statement_ms: float = Field(ge=0)
    pool: Pool
    people: WorkTimeouts
    batch: WorkTimeouts


class LineageSettings(_Section):
    mode: Literal["auto", "off", "file", "url"]
    target: str
    namespace: str = Field(min_length=1, max_length=200)


class Logging(_Section):
    level: Literal["debug", "info", "warning", "error"]
    format: Literal["console", "json"]


class Domain(_Section):
    """config/domains/<name>.toml."""

    namespace: str = Field(pattern=r"^[a-z][a-z0-9_]{0,30}$")
    database_schema: str = Field(pattern=r"^[a-z][a-z0-9_]{0,30}$")
    persona: str = Field(min_length=1, max_length=200)
    cache_prefix: str = Field(pattern=r"^[a-z][a-z0-9_]{0,30}$")
    collections: dict[str, str] = Field(default_factory=dict)  # of the vector store, by kind of source; "other" for every other kind
    defaults: dict[str, dict[str, Any]] = Field(default_factory=dict)


class TenantSettings(_Section):
    """Overrides of one tenant: sections and keys as in config/defaults.toml, those that may differ by tenant."""

    schema_version: Literal[1] = 1
    entity_resolution: dict[str, Any] = Field(default_factory=dict)
    etl: dict[str, Any] = Field(default_factory=dict)
    airbyte: dict[str, Any] = Field(default_factory=dict)
    staging: dict[str, Any] = Field(default_factory=dict)
    checkpoints: dict[str, Any] = Field(default_factory=dict)
    retention: dict[str, Any] = Field(default_factory=dict)
    review: dict[str, Any] = Field(default_factory=dict)
    watch: dict[str, Any] = Field(default_factory=dict)
    quality: dict[str, Any] = Field(default_factory=dict)
    drift: dict[str, Any] = Field(default_factory=dict)


class Settings(_Section):
    """Everything configured, checked."""

    entity_resolution: EntityResolution
    etl: Etl
    airbyte: Airbyte
    staging: Staging
    checkpoints: Checkpoints
    retention: Retention
    review: Review
    watch: Watch
    quality: Quality
    drift: Drift
    memory_management: MemoryManagement
    embedding: Embedding
    agent: AgentSettings
    weaviate: Weaviate
    database: DatabaseSettings
    lineage: LineageSettings
    logging: Logging

    def for_tenant(self, overrides: Mapping[str, Any]) -> Self:
        """These settings with a tenant's own on top.

        Raises:
            ConfigError: A section or key is unknown, or a value is out of range; names it and the choices.
        """
        known = self.model_dump(include=set(TenantSettings.model_fields))
        try:
            checked = TenantSettings.model_validate(dict(overrides))
            own = checked.model_dump(exclude={"schema_version"})
            return type(self).model_validate(_merged(self.model_dump(), own))
        except ValidationError as error:
            raise _config_error(error, "tenant settings", known) from None


class Environment(BaseSettings):
    """Variables of the process; secrets never appear in a repr."""

    model_config = SettingsConfigDict(env_prefix="PAY_READY_", extra="ignore", frozen=True)

    home: Path | None = None
    archives: Path | None = None
    domain: str = "pay_ready"
    config: Path | None = None
    database_url: SecretStr | None = None
    admin_database_url: SecretStr | None = None
    erasure_database_url: SecretStr | None = None
    secret_key: SecretStr | None = None
    secret_key_file: Path | None = None
    embedding_api_key: SecretStr | None = None
    weaviate_api_key: SecretStr | None = None
    llm_api_key: SecretStr | None = None
    webhook_secret: SecretStr | None = None
    trace: Path | None = None
    metrics_port: int | None = Field(default=None, ge=0, le=65_535)
    metrics_host: str = "127.0.0.1"
    lineage_api_key: SecretStr | None = None

    @property
    def has_openlineage_variables(self) -> bool:
        """Whether the variables of OpenLineage's own client say where events go."""
        return any(os.environ.get(name) for name in ("OPENLINEAGE_URL", "OPENLINEAGE_CONFIG", "OPENLINEAGE__TRANSPORT__TYPE"))

    @property
    def state_folder(self) -> Path:
        """Where the embedded server, connectors and keys live."""
        if self.home is not None:
            return self.home.expanduser().resolve()
        base = os.environ.get("XDG_STATE_HOME")
        return (Path(base) if base else Path.home() / ".local" / "state") / "pay_ready"

    @property
    def archives_folder(self) -> Path:
        """Where rows go that retention takes out of the database: a folder that outlives this machine, if there is one."""
        return self.archives.expanduser().resolve() if self.archives is not None else self.state_folder / "archives"

    @property
    def sends_traces(self) -> bool:
        """Whether the variables of OpenTelemetry name a receiver of traces."""
        if os.environ.get("OTEL_SDK_DISABLED", "").lower() == "true" or os.environ.get("OTEL_TRACES_EXPORTER") == "none":
            return False
        return any(os.environ.get(f"OTEL_EXPORTER_OTLP_{name}") for name in ("ENDPOINT", "TRACES_ENDPOINT"))

    @property
    def is_watched(self) -> bool:
        """Whether somebody is to be told of what this process does."""
        return self.trace is not None or self.metrics_port is not None or self.sends_traces

    @property
    def connectors_folder(self) -> Path:
        """Where connectors are installed, one environment each."""
        return self.state_folder / "connectors"


class _Overrides(BaseSettings):
    """PAY_READY_<SECTION>__<KEY> variables, as raw text by section."""

    model_config = SettingsConfigDict(env_prefix="PAY_READY_", env_nested_delimiter="__", extra="ignore")

    entity_resolution: dict[str, Any] = Field(default_factory=dict)
    etl: dict[str, Any] = Field(default_factory=dict)
    airbyte: dict[str, Any] = Field(default_factory=dict)
    staging: dict[str, Any] = Field(default_factory=dict)
    checkpoints: dict[str, Any] = Field(default_factory=dict)
    retention: dict[str, Any] = Field(default_factory=dict)
    review: dict[str, Any] = Field(default_factory=dict)
    watch: dict[str, Any] = Field(default_factory=dict)
    quality: dict[str, Any] = Field(default_factory=dict)
    drift: dict[str, Any] = Field(default_factory=dict)
    memory_management: dict[str, Any] = Field(default_factory=dict)
    embedding: dict[str, Any] = Field(default_factory=dict)
    agent: dict[str, Any] = Field(default_factory=dict)
    weaviate: dict[str, Any] = Field(default_factory=dict)
    database: dict[str, Any] = Field(default_factory=dict)
    lineage: dict[str, Any] = Field(default_factory=dict)
    logging: dict[str, Any] = Field(default_factory=dict)


def load_domain(name: str) -> Domain:
    """A shipped domain by its name, or one of your own by the path of its .toml file.

    Raises:
        ConfigError: No such domain (names those there are), or a key of its file is off.
    """
    folder = resource_path("config", "domains")
    path = Path(name) if name.endswith(".toml") else folder / f"{name}.toml"
    if not path.is_file():
        choices = ", ".join(sorted(each.stem for each in folder.glob("*.toml")))
        raise ConfigError("no such domain", f"choose one of: {choices}", domain=name)
    content = read_toml(path)
    try:
        return Domain.model_validate(content)
    except ValidationError as error:
        raise _config_error(error, str(path), content) from None


def load_settings(environment: Environment, domain: Domain) -> Settings:
    """Defaults, then the domain, your own file and the environment on top of them.

    Raises:
        ConfigError: Names file, key and choices.
    """
    defaults = read_toml(resource_path("config", "defaults.toml"))
    layers: list[tuple[str, dict[str, Any]]] = [(f"config/domains/{domain.namespace}.toml", domain.defaults)]
    if environment.config is not None:
        layers.append((str(environment.config), read_toml(environment.config)))
    layers.append(("environment (PAY_READY_<SECTION>__<KEY>)", _Overrides().model_dump(exclude_defaults=True)))
    merged = defaults
    for origin, layer in layers:
        merged = _merged(merged, layer)
        try:
            settings = Settings.model_validate(merged)
        except ValidationError as error:
            raise _config_error(error, origin, defaults) from None
    return settings


def read_toml(path: Path) -> dict[str, Any]:
    """A TOML file.

    Raises:
        ConfigError: Missing, unreadable or not TOML; names the file and the line.
    """
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise ConfigError("not TOML", str(error), file=path) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError("cannot read the file", type(error).__name__, file=path) from None


def _merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    result = dict(below)
    for key, value in above.items():
        both = isinstance(value, Mapping) and isinstance(result.get(key), Mapping)
        result[key] = _merged(result[key], value) if both else value
    return result


def _config_error(error: ValidationError, origin: str, known: Mapping[str, Any]) -> ConfigError:
    first = error.errors(include_input=False, include_url=False)[0]
    path = [str(part) for part in first["loc"]]
    hint = _WORDING.get(first["type"]) or first["msg"].removeprefix("Value error, ")
    if first["type"] == "extra_forbidden":
        place: Any = known
        for part in path[:-1]:
            place = place.get(part, {}) if isinstance(place, Mapping) else {}
        hint = "the keys here are: " + ", ".join(sorted(place))
    return ConfigError("a setting is off", hint, file=origin, key=".".join(path))
