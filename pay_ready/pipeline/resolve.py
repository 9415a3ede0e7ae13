"""The step: one tenant's staged records become people and companies, and the result is published."""

import time
from collections.abc import Callable, Mapping
from itertools import pairwise

from pay_ready.db import resolution as db_resolution
from pay_ready.db.tenancy import Database
from pay_ready.model.ids import RunId, TenantId
from pay_ready.model.progress import Progress, ProgressEvent, no_progress
from pay_ready.model.resolution import ENTITY_TYPES, EntityType, ResolutionConfig, ResolveReport
from pay_ready.pipeline.publish import Published, Resolved, publish
from pay_ready.resolve.engine import Resolution, resolve_companies, resolve_people


def resolve_tenant(
    database: Database,
    tenant: TenantId,
    config: ResolutionConfig,
    *,
    actor: str,
    run_id: RunId,
    progress: Progress = no_progress,
    clock: Callable[[], float] = time.perf_counter,
) -> ResolveReport:
    """Read what is staged, find out who is who, publish what changed. Run twice, the second run changes nothing.

    Raises:
        RetryLaterError: Another run published meanwhile; nothing was changed by this one.
    """
    times = [clock()]

    def told(subject: str, done: int) -> None:
        times.append(clock())
        progress(ProgressEvent(step="resolve", subject=subject, done=done, total=done))

    with database.tenant_transaction(tenant, work="batch") as tx:
        base_run_no = db_resolution.current_run_no(tx)
        decisions = db_resolution.decisions(tx)
    companies = db_resolution.read_staged_companies(database, tenant)
    people = db_resolution.read_staged_people(database, tenant)
    told("records", companies.num_rows + people.num_rows)
    resolved: dict[EntityType, Resolved] = {
        "company": Resolved(staged=companies, resolution=resolve_companies(companies, config, decisions["company"]))
    }
    told("company", companies.num_rows)
    resolved["person"] = Resolved(staged=people, resolution=resolve_people(people, config, decisions["person"]))
    told("person", people.num_rows)
    published = publish(database, tenant, resolved, config, base_run_no=base_run_no, actor=actor, run_id=run_id)
    told("published", sum(each.entities for each in published.figures.values()))
    spans = dict(zip(("read", "companies", "people", "publish"), _differences(times), strict=True))
    return _report(published, {each: resolved[each].resolution for each in ENTITY_TYPES}, spans)


def _differences(times: list[float]) -> list[float]:
    return [later - earlier for earlier, later in pairwise(times)]


def _report(published: Published, resolutions: Mapping[EntityType, Resolution], seconds: Mapping[str, float]) -> ResolveReport:
    return ResolveReport(
        run_no=published.run_no,
        people=published.figures["person"],
        companies=published.figures["company"],
        interactions_linked=published.interactions.opening,
        interactions_unlinked=published.interactions.closing,
        capped_blocks=tuple(block for each in ENTITY_TYPES for block in resolutions[each].capped),
        ignored_decisions=sum(resolutions[each].ignored_decisions for each in ENTITY_TYPES),
        seconds={phase: round(span, 3) for phase, span in seconds.items()},
    )
