"""`pay-ready deploy`: pool, queues, limits, automations, deployments and schedules on Prefect's server as the files say; and draining.

Everything is compared before it is changed: said twice, the second time changes nothing. Schedules that somebody switched off stay so.
"""

import asyncio
import hashlib
import os
import re
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, Literal, TypeVar

import httpx
from prefect import Flow, get_client
from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.actions import (
    DeploymentScheduleCreate,
    GlobalConcurrencyLimitCreate,
    GlobalConcurrencyLimitUpdate,
    VariableCreate,
    WorkPoolCreate,
    WorkPoolUpdate,
)
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterState,
    FlowRunFilterStateType,
    WorkPoolFilter,
    WorkPoolFilterName,
)
from prefect.client.schemas.objects import ConcurrencyLimitConfig, ConcurrencyOptions, StateType
from prefect.client.schemas.responses import DeploymentResponse
from prefect.client.schemas.schedules import IntervalSchedule
from prefect.events.schemas.automations import Automation, AutomationCore
from prefect.exceptions import ObjectNotFound
from prefect.settings import PREFECT_API_URL

from flows.deploying_files import Definitions, Files, Finding, TenantSchedule, check, find_flow, read_files, schedule_of
from pay_ready.errors import CheckFailedError, ConfigError, RetryLaterError

T = TypeVar("T")

OURS = "pay-ready"  # what limits and automations of ours begin with
# Says that a pool was paused by a drain, and not by a person (deploy/drain.py writes the same).
DRAINED = "pay_ready_drained"
_LOOK_S = 1.0
_VARIABLE = re.compile(r"\{\{\s*\$(\w+)\s*\}\}")

What = Literal["made", "changed", "removed", "as it was", "left over"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One thing on the server, and what was done to it."""

    kind: Literal["pool", "queue", "limit", "automation", "deployment", "schedule"]
    name: str
    what: What


def default_file() -> Path:
    """prefect.yaml of the checkout: here, or where PAY_READY_CHECKOUT says."""
    here = Path("prefect.yaml")
    checkout = os.environ.get("PAY_READY_CHECKOUT")
    return Path(checkout) / "prefect.yaml" if checkout and not here.is_file() else here.resolve()


def check_file(path: Path) -> list[Finding]:
    """What is wrong with prefect.yaml and the automations; nothing is asked of a server."""
    return check(read_files(path))


def apply(path: Path, *, tenants: Sequence[str] | None, prune: bool = False) -> list[Change]:
    """Make the server as the files say.

    Args:
        path: prefect.yaml; the automations are beside it.
        tenants: Active ones, each of which gets the schedules of tenants; None: nobody knows, theirs stay as they are.
        prune: Also remove what is ours and in no file any more.

    Raises:
        CheckFailedError: The files are wrong; nothing was changed.
        RetryLaterError: No server is named, or it does not answer.
    """
    files = read_files(path)
    if findings := check(files):
        raise CheckFailedError(f"{len(findings)} findings in the files, nothing was changed", "see them: pay-ready deploy check",
                               first=str(findings[0]))  # fmt: skip
    return _asked(lambda client: _Apply(client, files, tenants, prune=prune).everything())


def drain(pool: str, *, wait_s: float, told: Callable[[int], None] = lambda _: None) -> int:
    """Pause a pool and wait until its runs have ended; how many have not.

    Raises:
        RetryLaterError: No server is named, or it does not answer.
    """

    async def work(client: PrefectClient) -> int:
        found = await client.read_work_pool(pool)
        if not found.is_paused:
            if await client.read_variable_by_name(DRAINED) is None:
                await client.create_variable(VariableCreate(name=DRAINED, value=pool))
            await client.update_work_pool(pool, WorkPoolUpdate(is_paused=True))
        until = time.monotonic() + wait_s
        while left := await _under_way(client, pool):
            told(left)
            if time.monotonic() >= until:
                break
            await asyncio.sleep(_LOOK_S)
        return left

    return _asked(work)


def resume(pool: str) -> Literal["goes on", "was not paused", "was paused by hand"]:
    """Let a pool go on that was drained; one that somebody paused by hand stays paused.

    Raises:
        RetryLaterError: No server is named, or it does not answer.
    """

    async def work(client: PrefectClient) -> Literal["goes on", "was not paused", "was paused by hand"]:
        found = await client.read_work_pool(pool)
        if not found.is_paused:
            return "was not paused"
        mark = await client.read_variable_by_name(DRAINED)
        if mark is None or mark.value != pool:
            return "was paused by hand"
        await client.update_work_pool(pool, WorkPoolUpdate(is_paused=False))
        await client.delete_variable_by_name(DRAINED)
        return "goes on"

    return _asked(work)


def _asked(work: Callable[[PrefectClient], Coroutine[Any, Any, T]]) -> T:
    """Ask the server that is named; never one that Prefect would start by itself.

    Raises:
        RetryLaterError: None is named, or it does not answer.
        ConfigError: It refuses, or there is no such thing.
    """
    url = PREFECT_API_URL.value()
    if not url:
        hint = "set PREFECT_API_URL, for example http://127.0.0.1:4200/api; without Prefect: pay-ready run etl"
        raise RetryLaterError("no Prefect server is named", hint)

    async def ask() -> T:
        async with get_client() as client:
            return await work(client)

    try:
        return asyncio.run(ask())
    except ObjectNotFound as error:
        raise ConfigError(
            "there is no such thing on the server", "make it: pay-ready deploy apply", url=url, said=type(error).__name__
        ) from None
    except httpx.HTTPStatusError as error:
        status = error.response.status_code
        if status >= httpx.codes.INTERNAL_SERVER_ERROR:
            raise RetryLaterError("Prefect's server is not well", "try again later", url=url, status=status) from None
        raise ConfigError(
            "Prefect's server refuses", "is its version ours, is PREFECT_API_AUTH_STRING set?", url=url, status=status
        ) from None
    except (httpx.HTTPError, OSError) as error:
        hint = "is it up, and is PREFECT_API_URL right? without Prefect: pay-ready run etl"
        raise RetryLaterError("Prefect's server does not answer", hint, url=url, reason=type(error).__name__) from None


async def _under_way(client: PrefectClient, pool: str) -> int:
    states = [StateType.RUNNING, StateType.PENDING, StateType.CANCELLING]
    runs = await client.read_flow_runs(
        work_pool_filter=WorkPoolFilter(name=WorkPoolFilterName(any_=[pool])),
        flow_run_filter=FlowRunFilter(state=FlowRunFilterState(type=FlowRunFilterStateType(any_=states))),
        limit=200,
    )
    return len(runs)


class _Apply:
    """One application of the files."""

    def __init__(self, client: PrefectClient, files: Files, tenants: Sequence[str] | None, *, prune: bool) -> None:
        self._client, self._files, self._tenants, self._prune = client, files, tenants, prune
        self._definitions: Definitions = files.definitions
        self._done: list[Change] = []

    async def everything(self) -> list[Change]:
        await self._pool()
        for name in self._definitions.queues:
            await self._queue(name)
        for name, slots in self._definitions.limits.items():
            await self._limit(name, slots)
        for content in self._files.automations.values():
            await self._automation(AutomationCore.model_validate(content))
        for content in self._files.deployments:
            await self._deployment(content)
        await self._rest()
        return self._done

    def _note(self, kind: Any, name: str, what: What) -> None:
        self._done.append(Change(kind=kind, name=name, what=what))

    async def _pool(self) -> None:
        wanted = self._definitions.pool
        try:
            found = await self._client.read_work_pool(wanted.name)
        except ObjectNotFound:
            from prefect.workers.process import ProcessWorker  # heavy

            template = ProcessWorker.get_default_base_job_template() if wanted.type == ProcessWorker.type else {}
            await self._client.create_work_pool(
                WorkPoolCreate(name=wanted.name, type=wanted.type, base_job_template=template, concurrency_limit=wanted.concurrency_limit)
            )
            self._note("pool", wanted.name, "made")
            return
        if found.type != wanted.type:
            raise ConfigError("the pool is of another type", "name another pool, or delete this one", pool=wanted.name, type=found.type)
        is_other = found.concurrency_limit != wanted.concurrency_limit
        if is_other:
            await self._client.update_work_pool(wanted.name, WorkPoolUpdate(concurrency_limit=wanted.concurrency_limit))
        self._note("pool", wanted.name, "changed" if is_other else "as it was")

    async def _queue(self, name: str) -> None:
        wanted, pool = self._definitions.queues[name], self._definitions.pool.name
        values = {"priority": wanted.priority, "concurrency_limit": wanted.concurrency_limit}
        try:
            found = await self._client.read_work_queue_by_name(name, work_pool_name=pool)
        except ObjectNotFound:
            await self._client.create_work_queue(
                name, priority=wanted.priority, concurrency_limit=wanted.concurrency_limit, work_pool_name=pool
            )  # fmt: skip
            self._note("queue", f"{pool}/{name}", "made")
            return
        is_other = {key: getattr(found, key) for key in values} != values
        if is_other:
            await self._client.update_work_queue(found.id, **values)
        self._note("queue", f"{pool}/{name}", "changed" if is_other else "as it was")

    async def _limit(self, name: str, slots: int) -> None:
        try:
            found = await self._client.read_global_concurrency_limit_by_name(name)
        except ObjectNotFound:
            await self._client.create_global_concurrency_limit(GlobalConcurrencyLimitCreate(name=name, limit=slots))
            self._note("limit", name, "made")
            return
        is_other = found.limit != slots or not found.active
        if is_other:
            await self._client.update_global_concurrency_limit(name, GlobalConcurrencyLimitUpdate(limit=slots, active=True))
        self._note("limit", name, "changed" if is_other else "as it was")

    async def _automation(self, wanted: AutomationCore) -> None:
        found = await self._client.read_automations_by_name(wanted.name)
        if not found:
            await self._client.create_automation(wanted)
            self._note("automation", wanted.name, "made")
            return
        is_other = _automation_of(found[0]) != _automation_of(wanted)
        if is_other:
            await self._client.update_automation(found[0].id, wanted)
        for double in found[1:]:
            await self._client.delete_automation(double.id)
        self._note("automation", wanted.name, "changed" if is_other or found[1:] else "as it was")

    async def _deployment(self, content: Mapping[str, Any]) -> None:
        flow = find_flow(self._files, content["entrypoint"])
        if isinstance(flow, Finding):  # checked before anything was changed
            raise ConfigError(flow.what, flow.choices)
        name, wanted = str(content["name"]), self._wanted(content, flow)
        found = await self._found(f"{flow.name}/{name}")
        schedules = self._schedules(content, found)
        if found is not None and not _differs(found, wanted):
            self._note("deployment", f"{flow.name}/{name}", "as it was")
            await self._reconcile(found, f"{flow.name}/{name}", schedules)
            return
        # This replaces the schedules, too: with those that are wanted.
        await self._client.create_deployment(
            flow_id=await self._client.create_flow(flow), name=name, schedules=list(schedules.values()), **wanted
        )  # fmt: skip
        self._note("deployment", f"{flow.name}/{name}", "made" if found is None else "changed")
        before = {} if found is None else _by_slug(found)
        for slug in schedules:
            self._note("schedule", f"{flow.name}/{name}/{slug}", "changed" if slug in before else "made")
        for slug in before.keys() - schedules.keys():
            self._note("schedule", f"{flow.name}/{name}/{slug}", "removed")

    async def _found(self, name: str) -> DeploymentResponse | None:
        try:
            return await self._client.read_deployment_by_name(name)
        except ObjectNotFound:
            return None

    def _wanted(self, content: Mapping[str, Any], flow: "Flow[..., Any]") -> dict[str, Any]:
        pool = content["work_pool"]
        limit = content.get("concurrency_limit")
        limit = ConcurrencyLimitConfig(limit=limit) if isinstance(limit, int) else ConcurrencyLimitConfig(**limit) if limit else None
        options = None
        if limit is not None:
            options = ConcurrencyOptions(collision_strategy=limit.collision_strategy, grace_period_seconds=limit.grace_period_seconds)
        return {
            "description": content.get("description"),
            "tags": sorted(content.get("tags") or []),
            "parameters": content.get("parameters") or {},
            "entrypoint": content["entrypoint"],
            "work_pool_name": pool["name"],
            "work_queue_name": pool.get("work_queue_name", "default"),
            "job_variables": _filled(pool.get("job_variables") or {}),
            "pull_steps": _filled(content.get("pull") or self._files.content.get("pull") or []),
            "parameter_openapi_schema": flow.parameters.model_dump_for_openapi(),
            "enforce_parameter_schema": content.get("enforce_parameter_schema", True),
            "version": content.get("version"),
            "concurrency_limit": limit.limit if limit else None,
            "concurrency_options": options,
        }

    def _schedules(self, content: Mapping[str, Any], found: DeploymentResponse | None) -> dict[str, DeploymentScheduleCreate]:
        """The schedules that there should be, by slug; those that somebody switched off stay off."""
        there = {} if found is None else _by_slug(found)
        wanted = {
            each["slug"]: DeploymentScheduleCreate(
                schedule=schedule_of(each), active=each.get("active", True), parameters=each.get("parameters") or {}, slug=each["slug"]
            )
            for each in content.get("schedules") or []
        }  # fmt: skip
        request = (content.get("parameters") or {}).get("request") or {}
        for template in self._definitions.tenant_schedules.get(str(content["name"]), ()):
            if self._tenants is None:
                begins = f"{template.slug}-"
                wanted |= {slug: _as_create(each) for slug, each in there.items() if slug.startswith(begins) and slug not in wanted}
                continue
            for tenant in self._tenants:
                slug = f"{template.slug}-{tenant}"
                wanted[slug] = DeploymentScheduleCreate(
                    schedule=tenant_time(template, tenant), slug=slug, parameters={"request": {**request, "tenant": tenant}}
                )  # fmt: skip
        for slug, each in wanted.items():
            if slug in there and not there[slug].active:
                each.active = False
        return wanted

    async def _reconcile(self, found: DeploymentResponse, name: str, wanted: Mapping[str, DeploymentScheduleCreate]) -> None:
        """Schedules one by one: those that are as they should be keep the runs that they have scheduled."""
        there = _by_slug(found)
        for slug, each in wanted.items():
            if slug not in there:
                await self._client.create_deployment_schedules(found.id, [each])
                self._note("schedule", f"{name}/{slug}", "made")
            elif (there[slug].schedule, there[slug].parameters) != (each.schedule, each.parameters):
                await self._client.update_deployment_schedule(
                    found.id, there[slug].id, active=each.active, schedule=each.schedule, parameters=each.parameters
                )  # fmt: skip
                self._note("schedule", f"{name}/{slug}", "changed")
            else:
                self._note("schedule", f"{name}/{slug}", "as it was")
        for schedule in found.schedules:
            if schedule.slug not in wanted:
                await self._client.delete_deployment_schedule(found.id, schedule.id)
                self._note("schedule", f"{name}/{schedule.slug or schedule.id}", "removed")

    async def _rest(self) -> None:
        """What is ours on the server and in no file any more."""
        named = {content["name"] for content in self._files.deployments}
        pool = WorkPoolFilter(name=WorkPoolFilterName(any_=[self._definitions.pool.name]))
        deployments = await _pages(lambda offset: self._client.read_deployments(work_pool_filter=pool, limit=100, offset=offset))
        for each in deployments:
            if each.name not in named:
                await self._leave("deployment", each.name, partial(self._client.delete_deployment, each.id))
        kept = {str(content.get("name")) for content in self._files.automations.values()}
        automations = await _pages(lambda offset: self._client.read_automations(limit=100, offset=offset))
        for automation in automations:
            if automation.name.startswith(OURS) and automation.name not in kept:
                await self._leave("automation", automation.name, partial(self._client.delete_automation, automation.id))
        limits = await _pages(lambda offset: self._client.read_global_concurrency_limits(limit=100, offset=offset))
        for limit in limits:
            if limit.name.startswith(OURS) and limit.name not in self._definitions.limits:
                await self._leave(
                    "limit", limit.name, partial(self._client.delete_global_concurrency_limit_by_name, limit.name)
                )  # fmt: skip

    async def _leave(self, kind: Any, name: str, remove: Callable[[], Awaitable[object]]) -> None:
        if self._prune:
            await remove()
        self._note(kind, name, "removed" if self._prune else "left over")


def tenant_time(template: TenantSchedule, tenant: str) -> IntervalSchedule:
    """When a tenant's schedule runs: always at the same time, and not all tenants at once."""
    share = int.from_bytes(hashlib.sha256(tenant.encode()).digest()[:8]) / 2**64
    anchor = datetime.fromisoformat(template.anchor_date) + timedelta(seconds=int(share * template.spread))
    return IntervalSchedule(interval=timedelta(seconds=template.interval), anchor_date=anchor, timezone="UTC")


async def _pages(read: Callable[[int], Awaitable[list[T]]]) -> list[T]:
    found: list[T] = []
    while page := await read(len(found)):
        found += page
    return found


def _by_slug(deployment: DeploymentResponse) -> dict[str, Any]:
    return {each.slug: each for each in deployment.schedules if each.slug}


def _as_create(schedule: Any) -> DeploymentScheduleCreate:
    return DeploymentScheduleCreate(
        schedule=schedule.schedule, active=schedule.active, parameters=schedule.parameters, slug=schedule.slug
    )  # fmt: skip


def _automation_of(automation: AutomationCore | Automation) -> dict[str, Any]:
    """What an automation says, without what the server adds to it; words that are a set have no order."""
    dumped = automation.model_dump(mode="json", include=set(AutomationCore.model_fields) - {"owner_resource"})
    return _comparable(dumped)  # type: ignore[no-any-return]


def _comparable(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _comparable(inner) for key, inner in value.items() if key != "id"}
    if isinstance(value, list):
        return sorted(value) if all(isinstance(each, str) for each in value) else [_comparable(each) for each in value]
    return value


def _differs(found: DeploymentResponse, wanted: Mapping[str, Any]) -> bool:
    limit, options, asked = found.global_concurrency_limit, found.concurrency_options, wanted["concurrency_options"]
    if (limit.limit if limit else None, options and options.collision_strategy) != (
        wanted["concurrency_limit"], asked and asked.collision_strategy,
    ):  # fmt: skip
        return True
    plain = {key: value for key, value in wanted.items() if not key.startswith("concurrency_")}
    there = {key: getattr(found, key) for key in plain} | {"tags": sorted(found.tags)}
    return there != plain


def _filled(content: Any) -> Any:
    """The content with `{{ $VARIABLES }}` of the environment filled in."""
    if isinstance(content, Mapping):
        return {key: _filled(value) for key, value in content.items()}
    if isinstance(content, list):
        return [_filled(each) for each in content]
    if isinstance(content, str):
        return _VARIABLE.sub(lambda found: os.environ.get(found[1], found[0]), content)
    return content
