"""One tenant's pipeline as it is set up, and the record of its steps: begun, ended however they end, told to whoever collects lineage."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING
from uuid import UUID

import structlog

from pay_ready.db import leases, operation, sources
from pay_ready.db.operation import StepStatus
from pay_ready.db.sources import DataSource
from pay_ready.db.tenancy import Database, TenantTransaction
from pay_ready.errors import (
    TransientError,
)
from pay_ready.model.ids import RunId, TenantId, new_id
from pay_ready.model.lineage import QualityResult
from pay_ready.model.resolution import ResolutionConfig
from pay_ready.pipeline.drift.options import DriftOptions
from pay_ready.pipeline.feed import Feed
from pay_ready.pipeline.land.buffer import Keep
from pay_ready.pipeline.land.lease import held_lease
from pay_ready.pipeline.land.sync import SyncOptions
from pay_ready.pipeline.lineage.events import Lineage, Moment, StepMoment
from pay_ready.pipeline.lineage.steps import Place, StepData, step_data
from pay_ready.pipeline.mapping.kinds import MappingContext
from pay_ready.pipeline.source_breaker import BreakerOptions
from pay_ready.pipeline.subject import suppressor
from pay_ready.resilience import insist
from pay_ready.secrets import Keyring
from pay_ready.telemetry import measured_step

if TYPE_CHECKING:  # heavy
    from pay_ready.agent.toolbox import Toolbox
    from pay_ready.memory.tiers import MemoryManager
    from pay_ready.pipeline.airbyte.source import PlatformOptions
    from pay_ready.pipeline.quality.rules import Rule


@dataclass(frozen=True, slots=True, kw_only=True)
class InsightSteps:
    """What the steps `analyse` and `caches` work with."""

    toolbox: "Callable[[], Toolbox]"  # asked only when answers are to be made
    is_analysed: bool
    most_s: float  # that analysing takes
    answers: int  # that are made in advance


@dataclass(frozen=True, slots=True, kw_only=True)
class TenantWork:
    """One tenant's pipeline: where, with which settings. Built by the composition root."""

    database: Database
    tenant: TenantId
    slug: str
    actor: str
    cache_prefix: str
    options: SyncOptions
    context: MappingContext
    resolution: ResolutionConfig
    breaker: BreakerOptions
    keep_count: int  # automatic checkpoints
    keep_days: float  # any checkpoint
    four_eyes: bool = False  # a rollback takes two
    keyring: Callable[[], Keyring]  # asked only when a source has credentials
    feed: Callable[[DataSource], Feed]  # how to call a source's connector, and the mapping that reads it
    platform: "Callable[[], PlatformOptions]"  # asked only when an Airbyte extracts a source
    memory: "Callable[[], MemoryManager] | None" = None  # asked only when there is something to index; None: not a step of a run
    insight: "InsightSteps | None" = None  # None: neither analysed nor warmed in a run
    drift: DriftOptions = field(default_factory=DriftOptions)
    quality: "Sequence[Rule] | None" = None  # rules that hold before and after a publish; None: not looked at
    lineage: Lineage | None = None  # None: nobody collects it

    def suppress(self, tx: TenantTransaction, source: DataSource) -> Keep | None:
        """What keeps the records of erased people from landing; None when nobody was erased."""
        found = suppressor(tx, source, lambda: self.feed(source).mapping, self.context, self.keyring)
        return found.kept_maker if found else None


@contextmanager
def alone(work: TenantWork, run_id: RunId) -> Iterator[None]:
    """The only run of a tenant: two would take turns in taking each other's sources, and neither would be complete.

    Raises:
        RetryLaterError: Another run is at work, after the options' `lease_wait_s` too; names its holder.
    """
    options, holder = work.options, leases.holder_name(run_id)
    with held_lease(work.database, work.tenant, "etl", holder, ttl_s=options.lease_ttl_s, wait_s=options.lease_wait_s):
        yield


@contextmanager
def recorded(work: TenantWork, run_id: RunId, step: str, subject: str) -> Iterator[Callable[[int, StepStatus], None]]:
    """The step in step_runs: begun, and however it ends, finished. The body says how many rows it dealt with."""
    ended: list[tuple[int, StepStatus]] = []

    def done(rows: int, status: StepStatus) -> None:
        ended.append((rows, status))

    step_run_id = new_id()
    began = StepMoment(moment="START", run_id=run_id, step=step, subject=subject, step_run_id=step_run_id)
    # Every line that is logged meanwhile says of which run and step it is.
    with structlog.contextvars.bound_contextvars(run_id=run_id, step=step), measured_step(step, subject, work.tenant, run_id):
        insist(_begin)(work, run_id, step, subject, step_run_id)
        _tell(work, began)
        try:
            yield done
        except BaseException as error:
            status: StepStatus = "failed" if isinstance(error, Exception) else "aborted"
            # Where the database is away, what the step raised is the news.
            with suppress(TransientError):
                insist(_finish)(work, step_run_id, status, None, type(error).__name__)
            moment: Moment = "FAIL" if status == "failed" else "ABORT"
            _tell(work, replace(began, moment=moment, error_class=type(error).__name__))
            raise
        rows, final = ended[-1] if ended else (0, "complete")
        insist(_finish)(work, step_run_id, final, rows, None)
        _tell(work, replace(began, moment="COMPLETE", rows=rows))


def _tell(work: TenantWork, moment: StepMoment) -> None:
    """Lineage of a step, where somebody collects it."""
    if work.lineage is not None:
        work.lineage.tell(moment, partial(_told_data, work, work.lineage.place, moment))


def _told_data(work: TenantWork, place: Place, moment: StepMoment) -> StepData:
    mapping = work.feed(stored_source(work, moment.subject)).mapping if moment.step in ("sync", "stage") else None
    quality: Sequence[QualityResult] = ()
    if moment.moment == "COMPLETE":
        with work.database.tenant_transaction(work.tenant) as tx:
            quality = operation.quality_of_run(tx, moment.run_id)
    return step_data(moment.step, place, moment.subject, mapping, quality)


def stored_source(work: TenantWork, name: str) -> DataSource:
    """A source by its name.

    Raises:
        NotFoundError: There is none.
    """
    with work.database.tenant_transaction(work.tenant) as tx:
        return sources.require(tx, name)


def _begin(work: TenantWork, run_id: RunId, step: str, subject: str, step_run_id: UUID) -> None:
    with work.database.tenant_transaction(work.tenant) as tx:
        operation.begin_step(tx, run_id, step, subject, step_run_id=step_run_id)


def _finish(work: TenantWork, step_run_id: UUID, status: StepStatus, row_count: int | None, error_class: str | None) -> None:
    with work.database.tenant_transaction(work.tenant) as tx:
        operation.finish_step(tx, step_run_id, status, row_count=row_count, error_class=error_class)
