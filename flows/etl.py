"""The etl flow: the steps of `pay_ready.pipeline.etl` under Prefect, which schedules and shows them.

Our own step_runs say what ran; every task may be repeated at any time, and finds what is done already.
"""

from typing import Annotated, Literal

from prefect import flow, task
from prefect.artifacts import create_table_artifact
from prefect.cache_policies import NO_CACHE
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from pay_ready.app import App, open_app
from pay_ready.errors import TransientError
from pay_ready.model.ids import RunId, new_id
from pay_ready.pipeline import etl as steps
from pay_ready.pipeline.etl import SourceOutcome, TenantWork

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


def _is_transient(task: object, run: object, state: object) -> bool:  # noqa: ARG001 - Prefect's signature
    """Whether a retry may help."""
    result = state.result(raise_on_failure=False) if hasattr(state, "result") else None
    return isinstance(result, TransientError)


# Untagged on purpose: a tag makes a task depend on Prefect's server. Not cached: our own tables know what is done.
@task(
    task_run_name="bring in {source}", cache_policy=NO_CACHE, persist_result=False, retries=2, retry_delay_seconds=[10, 60],
    retry_condition_fn=_is_transient,
)  # fmt: skip
def bring_in(app: App, slug: str, source: str, run_id: RunId) -> SourceOutcome:
    """Sync and stage one source; a transient failure is raised, so that Prefect tries again."""
    outcome = steps.bring_in(app.work(slug), source, run_id)
    if isinstance(outcome.error, TransientError):
        raise outcome.error
    return outcome


@task(task_run_name="resolve", cache_policy=NO_CACHE, persist_result=False, retries=2, retry_delay_seconds=[10, 60],
      retry_condition_fn=_is_transient)  # fmt: skip
def resolve(app: App, slug: str, run_id: RunId) -> int | None:
    """Resolve and publish; the number of the published run, or None when nothing changed."""
    return steps.resolve_step(app.work(slug), run_id).run_no


@flow(name="etl", flow_run_name="etl {tenant}", timeout_seconds=6 * 3600, persist_result=False)
def etl(tenant: Slug, sources: Annotated[list[str], Field(max_length=100)] = []) -> EtlSummary:  # noqa: B006 - Prefect copies it
    """Sync, stage, resolve and publish one tenant. `sources`: only these; empty for all that are active."""
    run_id = RunId(new_id())
    with open_app() as app:
        work: TenantWork = app.work(tenant)
        with steps.alone(work, run_id):
            waiting = [bring_in.submit(app, tenant, name, run_id) for name in steps.source_names(work, sources)]
            outcomes: list[SourceOutcome | BaseException] = [future.result(raise_on_failure=False) for future in waiting]
            done = [outcome for outcome in outcomes if isinstance(outcome, SourceOutcome)]
            published = resolve(app, tenant, run_id) if done and steps.may_publish(done) else None
    summary = _summary(run_id, outcomes, done, published)
    create_table_artifact(
        key=f"etl-{tenant}", table=[{"figure": key, "value": str(value)} for key, value in summary.model_dump().items()],
        description=f"pay_ready etl of {tenant}",
    )  # fmt: skip
    for outcome in outcomes:
        if isinstance(outcome, BaseException):
            raise outcome
        if outcome.error is not None:
            raise outcome.error
    return summary


def _summary(run_id: RunId, outcomes: list[SourceOutcome | BaseException], done: list[SourceOutcome], published: int | None) -> EtlSummary:
    streams = [stream for outcome in done for stream in outcome.equations]
    bad = len(outcomes) - sum(outcome.error is None for outcome in done)
    return EtlSummary(
        run_id=str(run_id),
        status="complete" if not bad else ("partial" if done else "failed"),
        landed=sum(stream.landed for stream in streams),
        staged=sum(stream.staged for stream in streams),
        quarantined=sum(stream.quarantined + stream.stage_quarantined for stream in streams),
        published_run=published,
    )
