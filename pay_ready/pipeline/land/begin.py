"""The start of a read: where each stream goes on, or that it starts anew."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from pay_ready.db import landing as rows_of
from pay_ready.db import leases, sources
from pay_ready.db.landing import Landing, StreamState
from pay_ready.db.sources import DataSource, SourceConfig
from pay_ready.db.tenancy import Database
from pay_ready.model.ids import RunId, TenantId
from pay_ready.pipeline.land import states as land_states
from pay_ready.pipeline.land.buffer import ALL_STREAMS, BegunStream
from pay_ready.pipeline.land.rows import CDC_DELETED, StreamPlan
from pay_ready.secrets import Keyring
from pay_ready.sources.catalog import ConfiguredCatalog, ConfiguredStream, StreamChoice
from pay_ready.sources.ranges import RecordRange


@dataclass(frozen=True, slots=True, kw_only=True)
class BegunRead:
    """What the connector is given, and what landing knows about each stream."""

    config: Mapping[str, object]
    catalog: ConfiguredCatalog
    states: Sequence[bytes]
    streams: Sequence[BegunStream]
    watermarks: Mapping[str, str]  # by stream, before
    has_all_state: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class _Start:
    generation: int
    pass_run: RunId | None
    keep_state: bool


def stream_choices(config: SourceConfig) -> list[StreamChoice] | None:
    """The streams that a source's settings name; None when all are to be read."""
    if not config.streams:
        return None
    return [
        StreamChoice(
            name=name,
            namespace=stream.namespace,
            sync_mode=stream.sync_mode,
            destination_sync_mode=stream.destination_sync_mode,
            cursor_field=stream.cursor_field,
            primary_key=stream.primary_key,
        )
        for name, stream in config.streams.items()
    ]


def begin_read(
    database: Database,
    tenant: TenantId,
    run: Landing,
    catalog: ConfiguredCatalog,
    source: DataSource,
    keyring: Keyring | None,
    *,
    skip: Collection[str] = (),
    refused: Mapping[str, str] | None = None,
    records: RecordRange | None = None,
) -> BegunRead:
    """Begin every stream of the catalog but those to skip, in one transaction.

    Args:
        refused: By stream, why all of its records go to quarantine.
        records: The records to land; None: all of them.

    Raises:
        ConflictError: The lease was taken over.
        SecretError: The source has credentials and there is no key for them.
    """
    wanted = [stream for stream in catalog.streams if str(stream.descriptor) not in skip]
    with database.tenant_transaction(tenant, work="batch") as tx:
        leases.guard(tx, run.lease)
        rows_of.be_durable(tx)
        config = sources.connector_config(tx, source, keyring)
        stored = land_states.lock_states(tx, run)
        all_state = stored[ALL_STREAMS].state if ALL_STREAMS in stored else None
        starts = {
            str(stream.descriptor): start_of(stream, stored.get(str(stream.descriptor)), run.run_id, has_all_state=bool(all_state))
            for stream in wanted
        }
        for name, start in sorted(starts.items()):
            land_states.begin_stream(tx, run, name, generation=start.generation, pass_run=start.pass_run, keep_state=start.keep_state)
    kept = [stored[name].state for name, start in starts.items() if start.keep_state and name in stored]
    states = [all_state] if all_state else [state for state in kept if state]
    return BegunRead(
        config=config,
        catalog=replace(catalog, streams=tuple(_with_generation(each, starts[str(each.descriptor)]) for each in wanted)),
        states=[state.encode() for state in states],
        streams=[_begun(stream, starts[str(stream.descriptor)], source.config, refused or {}, records) for stream in wanted],
        watermarks={name: stored[name].watermark if name in stored else "" for name in starts},
        has_all_state=bool(all_state),
    )


def start_of(stream: ConfiguredStream, stored: StreamState | None, run: RunId, *, has_all_state: bool) -> _Start:
    """Whether a stream goes on or starts anew.

    An incremental stream goes on from its state. A refresh does so only while its pass is under way and the source can
    resume one; else it begins a new pass, and a new generation when it drops what it does not list. A keyless stream
    numbers its equal rows within a pass, so it has one, too.
    """
    generation = stored.generation if stored else 0
    pass_run = stored.pass_run_id if stored else None
    if stream.sync_mode == "incremental":
        if stream.primary_key:
            return _Start(generation=generation, pass_run=None, keep_state=True)
        return _Start(generation=generation, pass_run=pass_run or run, keep_state=True)
    has_state = has_all_state or bool(stored and stored.state)
    if pass_run and stream.stream.is_resumable and has_state:
        return _Start(generation=generation, pass_run=pass_run, keep_state=True)
    return _Start(generation=generation + _drops_unseen(stream), pass_run=run, keep_state=False)


def _begun(
    stream: ConfiguredStream, start: _Start, config: SourceConfig, refused: Mapping[str, str], records: RecordRange | None
) -> BegunStream:
    own = config.streams.get(stream.stream.name)
    plan = StreamPlan(
        stream=str(stream.descriptor),
        primary_key=stream.primary_key,
        cursor=stream.cursor_field,
        deleted_flags=(CDC_DELETED, own.deleted_flag) if own and own.deleted_flag else (CDC_DELETED,),
        refused_because=refused.get(str(stream.descriptor), ""),
    )
    return BegunStream(
        plan=plan,
        generation=start.generation,
        pass_run=start.pass_run,
        remembers_keys=_drops_unseen(stream) or plan.is_keyless,
        drops_unseen=_drops_unseen(stream),
        records=records,
    )


def _drops_unseen(stream: ConfiguredStream) -> bool:
    return stream.sync_mode == "full_refresh" and stream.destination_sync_mode == "overwrite"


def _with_generation(stream: ConfiguredStream, start: _Start) -> ConfiguredStream:
    minimum = start.generation if _drops_unseen(stream) else 0
    return replace(stream, generation_id=start.generation, minimum_generation_id=minimum)
