"""prefect.yaml and deploy/automations as they are read and checked: what Prefect would swallow is a finding here.

Prefect ignores a misspelt key, takes a parameter that no flow has, leaves a variable that is not set as it stands, and finds out that an
entry point is wrong when a run begins. The keys that it knows are pinned here: they are those of 3.8 and 3.9.
"""

import importlib
import inspect
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zoneinfo import available_timezones

import yaml
from prefect import Flow
from prefect.client.schemas.schedules import CronSchedule, IntervalSchedule, RRuleSchedule
from prefect.events.schemas.automations import AutomationCore
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from flows.steps import AIRBYTE, DATABASE
from pay_ready.errors import ConfigError

TOP_KEYS = ("name", "prefect-version", "build", "push", "pull", "deployments", "definitions")
DEPLOYMENT_KEYS = (
    "name", "version", "version_type", "tags", "description", "schedule", "schedules", "paused", "concurrency_limit", "flow_name",
    "entrypoint", "parameters", "enforce_parameter_schema", "build", "push", "pull", "work_pool", "triggers", "sla",
)  # fmt: skip
POOL_KEYS = ("name", "work_queue_name", "job_variables")
LIMIT_KEYS = ("limit", "collision_strategy", "grace_period_seconds")
SCHEDULE_KEYS = (
    "cron", "interval", "rrule", "timezone", "anchor_date", "active", "parameters", "slug", "replaces", "day_or",
)  # fmt: skip
_VARIABLE = re.compile(r"\{\{\s*\$(\w+)\s*\}\}")
_ONE_OF = ("cron", "interval", "rrule")


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Something in a file that would not do what it says."""

    file: str
    key: str
    what: str
    choices: str = ""

    def __str__(self) -> str:
        return f"{self.file}: {self.key}: {self.what}" + (f" - {self.choices}" if self.choices else "")


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class PoolDefinition(_Strict):
    """The work pool."""

    name: str
    type: str
    concurrency_limit: int | None = None


class QueueDefinition(_Strict):
    """A queue of it: 1 is the first."""

    priority: int = Field(ge=1)
    concurrency_limit: int | None = Field(default=None, ge=1)


class TenantSchedule(_Strict):
    """A schedule that each tenant gets, at a time of its own within `spread` seconds."""

    slug: str = Field(pattern=r"^[a-z0-9][a-z0-9-]{0,60}$")
    interval: int = Field(ge=60)
    anchor_date: str
    spread: int = Field(default=0, ge=0)


class Definitions(BaseModel):
    """What `pay-ready deploy apply` makes besides deployments; the other keys are anchors."""

    model_config = ConfigDict(extra="allow", frozen=True)

    pool: PoolDefinition
    queues: Mapping[str, QueueDefinition]
    limits: Mapping[str, int]
    tenant_schedules: Mapping[str, Sequence[TenantSchedule]] = Field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Files:
    """The files as they were read."""

    path: Path  # prefect.yaml
    content: Mapping[str, Any]
    automations: Mapping[str, Mapping[str, Any]]  # by file

    @property
    def deployments(self) -> list[Mapping[str, Any]]:
        """As written."""
        found = self.content.get("deployments")
        return [each for each in found if isinstance(each, Mapping)] if isinstance(found, list) else []

    @property
    def definitions(self) -> Definitions:
        """Pool, queues, limits, schedules of tenants.

        Raises:
            ConfigError: They are not of that form.
        """
        try:
            return Definitions.model_validate(self.content.get("definitions") or {})
        except ValidationError as error:
            first = error.errors(include_input=False, include_url=False)[0]
            key = ".".join(["definitions", *map(str, first["loc"])])
            raise ConfigError("a definition is off", first["msg"], file=self.path.name, key=key) from None


def read_files(path: Path) -> Files:
    """prefect.yaml and, beside it, deploy/automations.

    Raises:
        ConfigError: A file is missing or not YAML.
    """
    folder = path.parent / "deploy" / "automations"
    automations = {str(each.relative_to(path.parent)): _read(each) for each in sorted(folder.glob("*.yaml"))}
    return Files(path=path, content=_read(path), automations=automations)


def _read(path: Path) -> Mapping[str, Any]:
    try:
        content = yaml.safe_load(path.read_text("utf-8"))
    except yaml.YAMLError as error:
        place = getattr(error, "problem_mark", None)
        raise ConfigError("not YAML", f"line {place.line + 1}" if place else "", file=path) from None
    except (OSError, UnicodeDecodeError) as error:
        hint = "run it in the checkout, set PAY_READY_CHECKOUT, or give --file"
        raise ConfigError("cannot read the file", hint, file=path, reason=type(error).__name__) from None
    if not isinstance(content, Mapping):
        raise ConfigError("a file of keys and values is wanted", "", file=path)
    return content


def check(files: Files, environment: Mapping[str, str] = os.environ) -> list[Finding]:
    """Everything that Prefect would swallow, or find out when a run begins."""
    name = files.path.name
    found = [*_unknown(name, "", files.content, TOP_KEYS)]
    found += [Finding(file=name, key=key, what=f"the variable {variable} is not set", choices="set it where deploy and worker run")
              for key, variable in _variables("", files.content) if variable not in environment]  # fmt: skip
    try:
        definitions = files.definitions
    except ConfigError as error:
        return [*found, Finding(file=name, key=str(error.where["key"]), what=error.hint)]
    found += _limits(name, definitions)
    called: set[str] = set()
    for number, deployment in enumerate(files.deployments):
        place = f"deployments.{deployment.get('name', number)}"
        if deployment.get("name") in called:
            found.append(Finding(file=name, key=place, what="two deployments of one name"))
        called.add(str(deployment.get("name")))
        found += _deployment(files, place, deployment, definitions)
    for tenant_schedules in definitions.tenant_schedules:
        if tenant_schedules not in called:
            choices = f"one of {', '.join(sorted(called))}"
            found.append(
                Finding(file=name, key=f"definitions.tenant_schedules.{tenant_schedules}", what="no such deployment", choices=choices)
            )
    for file, content in files.automations.items():
        found += _automation(file, content)
    return found


def _unknown(file: str, place: str, content: Mapping[str, Any], known: Sequence[str]) -> Iterator[Finding]:
    for key in content:
        if key not in known:
            yield Finding(file=file, key=f"{place}.{key}".lstrip("."), what="unknown key", choices=f"one of {', '.join(known)}")


def _variables(place: str, content: object) -> Iterator[tuple[str, str]]:
    if isinstance(content, Mapping):
        for key, inner in content.items():
            yield from _variables(f"{place}.{key}".lstrip("."), inner)
    elif isinstance(content, list):
        for number, inner in enumerate(content):
            name = inner.get("name") if isinstance(inner, Mapping) else None
            yield from _variables(f"{place}.{name}" if name else f"{place}[{number}]", inner)
    elif isinstance(content, str):
        for variable in _VARIABLE.findall(content):
            yield place, variable


def _limits(file: str, definitions: Definitions) -> Iterator[Finding]:
    """Every limit that a step takes a slot of is there, and one run can never have all its slots."""
    from flows.etl import STAGES_AT_ONCE, SYNCS_AT_ONCE

    for limit, at_once in ((AIRBYTE, SYNCS_AT_ONCE), (DATABASE, STAGES_AT_ONCE)):
        slots = definitions.limits.get(limit)
        if slots is None:
            yield Finding(file=file, key="definitions.limits", what=f"steps take slots of {limit}, and it is not there")
        elif slots <= at_once:
            what = f"one run takes {at_once} of {slots} slots: one tenant could keep all others waiting"
            yield Finding(file=file, key=f"definitions.limits.{limit}", what=what, choices=f"{at_once + 1} or more")


def _deployment(files: Files, place: str, content: Mapping[str, Any], definitions: Definitions) -> Iterator[Finding]:
    file = files.path.name
    yield from _unknown(file, place, content, DEPLOYMENT_KEYS)
    yield from _pool(file, f"{place}.work_pool", content.get("work_pool"), definitions)
    yield from _concurrency(file, f"{place}.concurrency_limit", content.get("concurrency_limit"))
    flow = find_flow(files, content.get("entrypoint"))
    if isinstance(flow, Finding):
        yield Finding(file=file, key=f"{place}.entrypoint", what=flow.what, choices=flow.choices)
        return
    given = content.get("parameters") or {}
    yield from _parameters(file, f"{place}.parameters", flow, given, is_whole=False)
    schedules = content.get("schedules") or []
    if content.get("schedule"):
        yield Finding(file=file, key=f"{place}.schedule", what="an old key", choices="use schedules: [...]")
    slugs = [each.get("slug") for each in schedules if isinstance(each, Mapping)]
    for number, schedule in enumerate(schedules):
        where = f"{place}.schedules[{number}]"
        yield from _schedule(file, where, schedule)
        if not isinstance(schedule, Mapping):
            continue
        if schedule.get("slug") is None or slugs.count(schedule.get("slug")) > 1:
            yield Finding(file=file, key=where, what="no slug of its own", choices="by it deploy apply finds the schedule again")
        if schedule.get("active", True):
            yield from _parameters(file, where, flow, {**given, **(schedule.get("parameters") or {})}, is_whole=True)
    for tenant_schedule in definitions.tenant_schedules.get(str(content.get("name")), ()):
        request = {"request": {**(given.get("request") or {}), "tenant": "acme"}}
        yield from _parameters(file, f"definitions.tenant_schedules.{tenant_schedule.slug}", flow, request, is_whole=True)


def _pool(file: str, place: str, content: object, definitions: Definitions) -> Iterator[Finding]:
    if not isinstance(content, Mapping):
        yield Finding(file=file, key=place, what="no work pool", choices=definitions.pool.name)
        return
    yield from _unknown(file, place, content, POOL_KEYS)
    if content.get("name") != definitions.pool.name:
        yield Finding(file=file, key=f"{place}.name", what="no such pool", choices=definitions.pool.name)
    if content.get("work_queue_name", "default") not in definitions.queues:
        yield Finding(file=file, key=f"{place}.work_queue_name", what="no such queue", choices=f"one of {', '.join(definitions.queues)}")


def _concurrency(file: str, place: str, content: object) -> Iterator[Finding]:
    if content is None or isinstance(content, int):
        return
    if not isinstance(content, Mapping):
        yield Finding(file=file, key=place, what="neither a number nor keys", choices=", ".join(LIMIT_KEYS))
        return
    yield from _unknown(file, place, content, LIMIT_KEYS)
    if content.get("collision_strategy", "ENQUEUE") != "ENQUEUE":
        why = "ENQUEUE: with CANCEL_NEW a slot that leaked cancels every later run"
        yield Finding(file=file, key=f"{place}.collision_strategy", what="not allowed here", choices=why)


def find_flow(files: Files, entrypoint: object) -> "Flow[..., Any] | Finding":
    """The flow of an entry point, or what is wrong with it."""
    path, colon, function = str(entrypoint or "").partition(":")
    if not colon or not (files.path.parent / path).is_file():
        there = ", ".join(sorted(f"flows/{each.name}" for each in (files.path.parent / "flows").glob("*.py")))
        return Finding(file="", key="", what=f"no such file: {path or 'none'}", choices=f"one of {there}, then :function")
    module = importlib.import_module(".".join(Path(path).with_suffix("").parts))
    flow = getattr(module, function, None)
    if not isinstance(flow, Flow):
        flows = ", ".join(name for name, each in inspect.getmembers(module) if isinstance(each, Flow))
        return Finding(file="", key="", what=f"{function} is no flow of {path}", choices=f"one of {flows}")
    return flow


def _parameters(file: str, place: str, flow: "Flow[..., Any]", given: Mapping[str, Any], *, is_whole: bool) -> Iterator[Finding]:
    """Names and values of parameters; those that are missing count where the run would begin with no others."""
    known = inspect.signature(flow.fn).parameters
    for name in given:
        if name not in known:
            yield Finding(file=file, key=f"{place}.{name}", what="the flow has no such parameter", choices=f"one of {', '.join(known)}")
    for name, parameter in known.items():
        if name not in given:
            if is_whole and parameter.default is inspect.Parameter.empty:
                yield Finding(file=file, key=f"{place}.{name}", what="missing: a run would not begin")
            continue
        try:
            TypeAdapter(parameter.annotation).validate_python(given[name])
        except ValidationError as error:
            fields = getattr(parameter.annotation, "model_fields", {})
            for each in error.errors(include_input=False, include_url=False):
                if each["type"] == "missing" and not is_whole:
                    continue
                choices = f"one of {', '.join(fields)}" if each["type"] == "extra_forbidden" else ""
                yield Finding(file=file, key=".".join([place, name, *map(str, each["loc"])]), what=each["msg"], choices=choices)


def _schedule(file: str, place: str, content: object) -> Iterator[Finding]:
    if not isinstance(content, Mapping):
        yield Finding(file=file, key=place, what="not keys and values", choices=", ".join(SCHEDULE_KEYS))
        return
    yield from _unknown(file, place, content, SCHEDULE_KEYS)
    if sum(key in content for key in _ONE_OF) != 1:
        yield Finding(file=file, key=place, what="says when in more than one way, or in none", choices=f"one of {', '.join(_ONE_OF)}")
        return
    if content.get("timezone") and content["timezone"] not in available_timezones():
        yield Finding(file=file, key=f"{place}.timezone", what="no such time zone", choices="UTC, Europe/Berlin, America/New_York, …")
        return
    try:
        schedule_of(content)
    except (ValidationError, ValueError, TypeError) as error:
        said = error.errors(include_url=False)[0]["msg"] if isinstance(error, ValidationError) else str(error)
        yield Finding(file=file, key=place, what=f"no time: {said}")


def schedule_of(content: Mapping[str, Any]) -> CronSchedule | IntervalSchedule | RRuleSchedule:
    """When a schedule of the file runs."""
    timezone = content.get("timezone") or "UTC"
    if "cron" in content:
        return CronSchedule(cron=content["cron"], timezone=timezone, day_or=content.get("day_or", True))
    if "rrule" in content:
        return RRuleSchedule(rrule=content["rrule"], timezone=timezone)
    anchor = {"anchor_date": content["anchor_date"]} if content.get("anchor_date") else {}
    return IntervalSchedule(interval=content["interval"], timezone=timezone, **anchor)


def _automation(file: str, content: Mapping[str, Any]) -> Iterator[Finding]:
    """An automation, and keys that Prefect would leave out."""
    yield from _unknown(file, "", content, tuple(AutomationCore.model_fields))
    try:
        parsed = AutomationCore.model_validate(content)
    except ValidationError as error:
        for each in error.errors(include_input=False, include_url=False)[:3]:
            yield Finding(file=file, key=".".join(map(str, each["loc"])), what=each["msg"])
        return
    yield from _unknown(file, "trigger", content.get("trigger") or {}, tuple(type(parsed.trigger).model_fields))
    for number, (given, action) in enumerate(zip(content.get("actions") or [], parsed.actions, strict=False)):
        yield from _unknown(file, f"actions[{number}]", given, tuple(type(action).model_fields))
