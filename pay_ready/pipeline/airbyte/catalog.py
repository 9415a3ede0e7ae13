"""What an Airbyte has: connections to choose from, and the jobs of one of them."""

import asyncio
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pay_ready.db import platform_jobs, sources
from pay_ready.db.sources import DataSource
from pay_ready.db.tenancy import Database
from pay_ready.db.tenants import audit
from pay_ready.errors import ConfigError, DeniedError, UsageError
from pay_ready.model.ids import TenantId
from pay_ready.pipeline.airbyte.source import PlatformSource
from pay_ready.pipeline.mapping.rules import SourceMapping
from pay_ready.secrets import Keyring
from pay_ready.sources.airbyte import AirbyteClient, Connection, Job, Schedule, Workspace
from pay_ready.sources.airbyte_access import CLOUD_URL, open_access

_CREDENTIALS = ("client_id", "client_secret", "access_token")


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedConnection:
    """A connection as somebody who wants to add it as a source sees it."""

    connection_id: str
    name: str
    workspace: str
    status: str
    schedule: str  # manual, or when Airbyte runs it by itself
    streams: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedJob:
    """A job of a connection; `is_ours`: our request started it."""

    job_id: int
    job_type: str
    status: str
    started: str
    rows: int | None
    is_ours: bool


def list_connections(given: Mapping[str, Any]) -> list[ListedConnection]:
    """The connections that credentials may see, by workspace and name.

    Args:
        given: What the user's file holds: api_url and credentials; keys of `PlatformConfig` beside them are passed over.

    Raises:
        ConfigError: The address or the credentials are off.
        PayReadyError: What Airbyte answers.
    """
    url = given.get("api_url", CLOUD_URL)
    if not isinstance(url, str):
        raise ConfigError("the address of Airbyte is no text", "write it like https://airbyte.example.com", key="api_url")
    access = open_access(url, json.dumps({key: given[key] for key in _CREDENTIALS if key in given}).encode())

    async def asked() -> tuple[list[Workspace], list[Connection]]:
        async with AirbyteClient(access) as client:
            return await client.workspaces(), await client.connections()

    workspaces, connections = asyncio.run(asked())
    names = {each.workspace_id: each.name for each in workspaces}
    listed = [_listed(each, names.get(each.workspace_id, each.workspace_id)) for each in connections]
    return sorted(listed, key=lambda each: (each.workspace, each.name, each.connection_id))


def stored_platform(
    database: Database, tenant: TenantId, name: str, mapping_of: Callable[[DataSource], SourceMapping], keyring: Callable[[], Keyring]
) -> PlatformSource:
    """A kept source with its ways into Airbyte.

    Raises:
        NotFoundError: There is no such source.
        UsageError: No Airbyte extracts it.
        SecretError: There is no key for its credentials.
    """
    with database.tenant_transaction(tenant) as tx:
        source = sources.require(tx, name)
        if source.ingest_mode != "airbyte" or not source.config.settings.get("connection_id"):
            hint = "these commands are for sources that were added with --airbyte and a connection_id"
            raise UsageError("no Airbyte extracts this source", hint, source=name)
        return PlatformSource.stored(tx, source, mapping_of(source), keyring())


def list_jobs(database: Database, tenant: TenantId, platform: PlatformSource, most: int) -> list[ListedJob]:
    """The newest jobs of the source's connection, as Airbyte tells of them."""
    found = asyncio.run(_newest(platform, most))
    with database.tenant_transaction(tenant) as tx:
        ours = platform_jobs.started_by_us(tx, platform.source.source_id, [job.job_id for job in found])
    return [_listed_job(job, is_ours=job.job_id in ours) for job in found]


def cancel_job(database: Database, tenant: TenantId, platform: PlatformSource, job_id: int, *, actor: str) -> ListedJob:
    """Cancel a job that we started.

    Raises:
        DeniedError: Somebody else did, or nobody knows who.
        ConflictError: It is not running.
    """
    with database.tenant_transaction(tenant) as tx:
        if job_id not in platform_jobs.started_by_us(tx, platform.source.source_id, [job_id]):
            hint = "only jobs that pay-ready started are cancelled by it; cancel this one in Airbyte"
            raise DeniedError("the job is not ours", hint, source=platform.source.name, job=job_id)
    cancelled = asyncio.run(_cancelled(platform, job_id))
    with database.tenant_transaction(tenant) as tx:
        audit(tx, actor=actor, action="job.cancelled", subject_kind="platform_job", subject_id=str(job_id))
    return _listed_job(cancelled, is_ours=True)


async def _newest(platform: PlatformSource, most: int) -> list[Job]:
    found: list[Job] = []
    async with platform.client() as client:
        async for job in client.jobs(connection_id=platform.connection_id, page=min(most, 100)):
            found.append(job)
            if len(found) == most:
                break
    return found


async def _cancelled(platform: PlatformSource, job_id: int) -> Job:
    async with platform.client() as client:
        return await client.cancel_job(job_id)


def _listed(connection: Connection, workspace: str) -> ListedConnection:
    return ListedConnection(
        connection_id=connection.connection_id, name=connection.name, workspace=workspace, status=connection.status,
        schedule=_schedule(connection.schedule), streams=tuple(stream.name for stream in connection.streams),
    )  # fmt: skip


def _schedule(schedule: Schedule | None) -> str:
    if schedule is None:
        return "manual"
    return schedule.cron_expression or schedule.basic_timing or schedule.schedule_type


def _listed_job(job: Job, *, is_ours: bool) -> ListedJob:
    return ListedJob(
        job_id=job.job_id, job_type=job.job_type, status=job.status, started=job.start_time or "", rows=job.rows_synced, is_ours=is_ours
    )
