"""The public API of Airbyte, Cloud or self-managed: workspaces, connections, jobs.

Words for states are kept as the server says them: new ones appear, and what is not known to be an end is none.
"""

import re
from collections.abc import AsyncIterator, Iterable, Sequence
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Literal, NewType, Self, TypeVar
from urllib.parse import quote

import msgspec

from pay_ready.breaker import Breaker
from pay_ready.errors import ContractError, UsageError
from pay_ready.sources.airbyte_access import AirbyteAccess
from pay_ready.sources.airbyte_errors import UnknownOutcomeError
from pay_ready.sources.airbyte_exchange import Call
from pay_ready.sources.airbyte_http import AirbyteWire, HttpOptions

JobId = NewType("JobId", int)
JobType = Literal["sync", "reset"]

ENDED = frozenset({"succeeded", "failed", "cancelled"})
_PAGE = 100  # the most that the API gives
_ID = re.compile(r"[A-Za-z0-9-]{1,64}")

Item = TypeVar("Item")


class _Shape(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Values of the API: its names in camel case; what it adds in time is ignored."""


class Workspace(_Shape, frozen=True, kw_only=True):
    workspace_id: str
    name: str = ""


class Schedule(_Shape, frozen=True, kw_only=True):
    """When Airbyte runs a connection by itself: manual (never), cron or basic."""

    schedule_type: str = "manual"
    cron_expression: str | None = None
    basic_timing: str | None = None


class ConnectionStream(_Shape, frozen=True, kw_only=True):
    """A stream that a connection syncs. sync_mode is for example incremental_append or full_refresh_overwrite."""

    name: str
    namespace: str | None = None
    sync_mode: str | None = None
    cursor_field: tuple[str, ...] | None = None
    primary_key: tuple[tuple[str, ...], ...] | None = None


class _Streams(_Shape, frozen=True, kw_only=True):
    streams: tuple[ConnectionStream, ...] | None = None


class Connection(_Shape, frozen=True, kw_only=True):
    """From one source to one destination. status is active, inactive, deprecated (deleted) or locked, so far.

    namespace_definition (source, destination, custom_format), namespace_format and prefix say where the destination
    puts its tables.
    """

    connection_id: str
    name: str = ""
    status: str = ""
    workspace_id: str = ""
    source_id: str = ""
    destination_id: str = ""
    prefix: str | None = None
    namespace_definition: str | None = None
    namespace_format: str | None = None
    schedule: Schedule | None = None
    configurations: _Streams | None = None

    @property
    def streams(self) -> tuple[ConnectionStream, ...]:
        """The streams that it syncs, as the server lists them."""
        return (self.configurations and self.configurations.streams) or ()


class Job(_Shape, frozen=True, kw_only=True):
    """A run of a connection.

    status is pending, queued, running, incomplete (between two attempts), succeeded, failed or cancelled, so far. The API
    tells neither the attempts nor why a job failed.
    """

    job_id: int
    status: str
    job_type: str = "sync"  # sync, reset, refresh, clear
    connection_id: str = ""
    start_time: str | None = None  # ISO 8601
    last_updated_at: str | None = None  # of an ended job alone
    duration: str | None = None  # ISO 8601
    rows_synced: int | None = None  # committed ones
    bytes_synced: int | None = None

    @property
    def is_ended(self) -> bool:
        return self.status in ENDED


class AirbyteClient:
    """The public API of one Airbyte: `async with AirbyteClient(access) as client: ...`; one session, closed on every way out.

    Every method raises as `AirbyteWire.json`, and a ContractError when an answer has not the shape of the API's.
    """

    def __init__(self, access: AirbyteAccess, *, options: HttpOptions | None = None, breaker: Breaker | None = None) -> None:
        self._wire = AirbyteWire(access, options or HttpOptions(), breaker or Breaker(f"airbyte:{access.server}"))

    @property
    def breaker(self) -> Breaker:
        """What keeps calls from a server that is away; its target is "airbyte:<host>"."""
        return self._wire.breaker

    async def __aenter__(self) -> Self:
        await self._wire.__aenter__()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self._wire.__aexit__(kind, error, trace)

    async def health(self) -> str:
        """What the server says of its health; asks for no credentials."""
        return await self._wire.text(Call(method="GET", path="/health", is_open=True))

    async def workspaces(self) -> list[Workspace]:
        """Every workspace that the credentials may see."""
        return [item async for item in self._pages("/workspaces", (), Workspace, "workspace_id")]

    async def connections(self, workspace_ids: Iterable[str] = ()) -> list[Connection]:
        """Every connection, or those of some workspaces."""
        wanted = [("workspaceIds", _checked_id(each)) for each in workspace_ids]
        return [item async for item in self._pages("/connections", wanted, Connection, "connection_id")]

    async def connection(self, connection_id: str) -> Connection:
        """One connection with its streams."""
        return await self._one(Call(method="GET", path=f"/connections/{_checked_id(connection_id)}"), Connection)

    async def start_job(self, connection_id: str, job_type: JobType = "sync") -> Job:
        """Ask for a job; sent again only when it surely was not carried out (429, no connection).

        Raises:
            UnknownOutcomeError: It may have been carried out: look for the job before asking again.
            BusyError: The connection is at work already.
            ConflictError: It cannot be run, for example as it is inactive.
        """
        body = {"connectionId": _checked_id(connection_id), "jobType": job_type}
        call = Call(method="POST", path="/jobs", body=body, starts_something=True)
        try:
            return await self._one(call, Job)
        except ContractError as error:
            raise UnknownOutcomeError(error.what, "look whether it began before asking again", **error.where) from None

    async def job(self, job_id: int) -> Job:
        """A job as it is now."""
        return await self._one(Call(method="GET", path=f"/jobs/{int(job_id)}"), Job)

    async def cancel_job(self, job_id: int) -> Job:
        """Have a job cancelled.

        Raises:
            ConflictError: It is not running.
        """
        return await self._one(Call(method="DELETE", path=f"/jobs/{int(job_id)}"), Job)

    def jobs(
        self,
        *,
        connection_id: str | None = None,
        status: str | None = None,
        job_type: str | None = None,
        created_at_start: datetime | None = None,
        order_by: str = "createdAt|DESC",
        page: int = _PAGE,
    ) -> AsyncIterator[Job]:
        """Jobs, newest first; pages are fetched as they are read.

        Args:
            created_at_start: Only jobs made then or later.
            order_by: A field and ASC or DESC, as the API wants it.
        """
        wanted = (
            ("connectionId", _checked_id(connection_id) if connection_id else None),
            ("status", status),
            ("jobType", job_type),
            ("createdAtStart", created_at_start.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if created_at_start else None),
            ("orderBy", order_by),
        )
        return self._pages("/jobs", [(key, value) for key, value in wanted if value is not None], Job, "job_id", page=page)

    async def _one(self, call: Call, shape: type[Item]) -> Item:
        return _shaped(await self._wire.json(call), shape, call)

    async def _pages(
        self, path: str, params: Sequence[tuple[str, str]], shape: type[Item], key: str, *, page: int = _PAGE
    ) -> AsyncIterator[Item]:
        """Every item of a list, page by page until one brings nothing new.

        By offset: the server's `next` is set on the last page, too, and its host is a setting that may be wrong. What
        comes while pages are read moves the others, so an item may come twice: it is given once.
        """
        seen: set[object] = set()
        offset, is_new = 0, True
        while is_new:
            call = Call(method="GET", path=path, params=(*params, ("limit", str(page)), ("offset", str(offset))))
            is_new = False
            for each in _shaped(await self._wire.json(call), _List, call).data:
                item = _shaped(each, shape, call)
                if (item_id := getattr(item, key)) not in seen:
                    is_new = True
                    seen.add(item_id)
                    yield item
            offset += page


class _List(_Shape, frozen=True, kw_only=True):
    data: list[Any]


def _checked_id(given: str) -> str:
    """An id as it may stand in a path.

    Raises:
        UsageError: It is none; for example a name or an address was given.
    """
    if not _ID.fullmatch(given := given.strip()):
        raise UsageError("not an id of Airbyte", "a connection's id is the UUID in its address in Airbyte", id=quote(given[:80]))
    return given


def _shaped(body: object, shape: type[Item], call: Call) -> Item:
    fitted = _fitted(body, shape)
    del body  # a traceback shows the arguments of its frames, and what a stranger answered may be anything
    if isinstance(fitted, _Misfit):
        what = f"Airbyte's answer is not of its shape: {fitted.reason}"
        raise ContractError(what, "is this the address of the API? is pay-ready of this year?", call=str(call))
    return fitted


class _Misfit(msgspec.Struct):
    reason: str  # types and names, no values


def _fitted(body: object, shape: type[Item]) -> Item | _Misfit:
    try:
        return msgspec.convert(body, shape)
    except msgspec.ValidationError as error:
        return _Misfit(str(error))
