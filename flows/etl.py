"""The etl flow: the steps of `pay_ready.pipeline.etl` under Prefect, which schedules and shows them.

Our own step_runs say what ran; every task may be repeated at any time, and finds what is done already.
"""

from typing import Annotated, Literal

from prefect import flow, get_run_logger, task
from prefect.artifacts import create_table_artifact
from prefect.cache_policies import NO_CACHE
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from pay_ready.app import App, open_app
from pay_ready.errors import CheckFailedError, HeldBackError, LeaseHeldError, OnHoldError, TransientError
from pay_ready.model.ids import RunId, new_id
from pay_ready.pipeline import etl as steps
from pay_ready.pipeline.etl import SourceOutcome, TenantWork
from pay_ready.pipeline.volume import Doubts

Slug = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$")]


class EtlSummary(BaseModel):
    """What a flow run gives back: figures only, nothing about anybody."""

    model_config = ConfigDict(frozen=True)

    run_id: str
    status: Literal["complete", "partial", "failed"]
    landed: int
    staged: int
    quarantined: int
    published_run: int | None
    indexed: int | None = None  # passages that got their vectors
    held_back: str  # why nothing was published: streams and counts; empty when nothing held it back


def _is_transient(task: object, run: object, state: object) -> bool:  # noqa: ARG001 - Prefect's signature
    """Whether a retry may help."""
    result = state.result(raise_on_failure=False) if hasattr(state, "result") else None
    return isinstance(result, TransientError)


# Untagged on purpose: a tag makes a task depend on Prefect's server. Not cached: our own tables know what is done.
@task(
    task_run_name="bring in {source}", cache_policy=NO_CACHE, persist_result=False, retries=2, retry_delay_seconds=[10, 60],
    retry_condition_fn=_is_transient,
)  # fmt: skip
def bring_in(app: App, slug: str, source: str, run_id: RunId, accept_shrink: bool) -> SourceOutcome:
    """Sync and stage one source; a transient failure is raised, so that Prefect tries again."""
    outcome = steps.bring_in(app.work(slug, accept_shrink=accept_shrink), source, run_id)
    if isinstance(outcome.error, TransientError):
        raise outcome.error
    return outcome


@task(task_run_name="resolve", cache_policy=NO_CACHE, persist_result=False, retries=2, retry_delay_seconds=[10, 60],
      retry_condition_fn=_is_transient)  # fmt: skip
def resolve(app: App, slug: str, run_id: RunId, doubts: Doubts, accept_shrink: bool) -> int | None:
    """Resolve and publish, unless a stream holds it back; the number of the published run, or None when nothing changed.

    A tenant that was rolled back is landed and staged, and rests until somebody resumes it.
    """
    try:
        return steps.resolve_step(app.work(slug, accept_shrink=accept_shrink), run_id, doubts=doubts).run_no
    except OnHoldError as error:
        get_run_logger().warning("not resolved: %s", error)
        return None


@task(task_run_name="index", cache_policy=NO_CACHE, persist_result=False, retries=2, retry_delay_seconds=[10, 60],
      retry_condition_fn=_is_transient)  # fmt: skip
def index(app: App, slug: str, run_id: RunId) -> int | None:
    """Bring memory up to date; how many vectors it got, or None where there was nothing to do or another process is at it."""
    try:
        report = steps.index_step(app.work(slug), run_id)
    except LeaseHeldError as error:
        get_run_logger().info("not indexed: %s", error)
        return None
    return None if report is None else report.vectors


@flow(name="etl", flow_run_name="etl {tenant}", timeout_seconds=6 * 3600, persist_result=False)
def etl(
    tenant: Slug,
    sources: Annotated[list[str], Field(max_length=100)] = [],  # noqa: B006 - Prefect copies it
    accept_shrink: bool = False,
) -> EtlSummary:
    """Sync, stage, resolve, publish and index one tenant.

    `sources`: only these; empty for all that are active. `accept_shrink`: believe that much of a stream is gone.
    """
    run_id = RunId(new_id())
    published: int | None = None
    with open_app() as app:
        work: TenantWork = app.work(tenant)
        with steps.alone(work, run_id):
            waiting = [bring_in.submit(app, tenant, name, run_id, accept_shrink) for name in steps.source_names(work, sources)]
            outcomes: list[SourceOutcome | BaseException] = [future.result(raise_on_failure=False) for future in waiting]
            done = [outcome for outcome in outcomes if isinstance(outcome, SourceOutcome)]
            held: CheckFailedError | None = steps.held_by(done)
            if done and held is None:
                try:
                    published = resolve(app, tenant, run_id, steps.doubts_in(done), accept_shrink)
                except HeldBackError as error:
                    held = error
        indexed = index(app, tenant, run_id) if held is None else None
    summary = _summary(run_id, outcomes, done, published, held).model_copy(update={"indexed": indexed})
    create_table_artifact(
        key=f"etl-{tenant}", table=[{"figure": key, "value": str(value)} for key, value in summary.model_dump().items()],
        description=f"pay_ready etl of {tenant}",
    )  # fmt: skip
    if held is not None:
        raise held
    for outcome in outcomes:
        if isinstance(outcome, BaseException):
            raise outcome
        if outcome.error is not None:
            raise outcome.error
    return summary


def _summary(
    run_id: RunId,
    outcomes: list[SourceOutcome | BaseException],
    done: list[SourceOutcome],
    published: int | None,
    held: CheckFailedError | None,
) -> EtlSummary:
    streams = [stream for outcome in done for stream in outcome.equations]
    bad = len(outcomes) - sum(outcome.error is None for outcome in done)
    return EtlSummary(
        run_id=str(run_id),
        status="failed" if held or (not done and bad) else ("partial" if bad else "complete"),
        landed=sum(stream.landed for stream in streams),
        staged=sum(stream.staged for stream in streams),
        quarantined=sum(stream.quarantined + stream.stage_quarantined for stream in streams),
        published_run=published,
        held_back=str(held or ""),
    )
