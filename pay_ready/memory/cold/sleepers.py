"""Tenants in Weaviate: made on their first write, woken before they are asked, put to rest when nobody asks.

A tenant that is awake costs the server memory. What this process knows of them may be out of date: others put them to rest, too.
"""

import asyncio
from typing import TYPE_CHECKING, Literal
from uuid import UUID

from pay_ready.memory.cold.guards import tenant_text
from pay_ready.model.ids import TenantId
from pay_ready.model.memory import Clock

if TYPE_CHECKING:  # heavy
    from weaviate import WeaviateAsyncClient

_AGAIN_S = 0.05
_AGAIN_AT_MOST_S = 0.5
_ABSENT_S = 1.0  # how far a process may be behind the others

Whether = Literal["awake", "absent"]


class Sleepers:
    """What is known of the tenants of each collection, and who was asked for last."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._awake: set[tuple[str, TenantId]] = set()
        self._absent: dict[tuple[str, TenantId], float] = {}  # when it was looked for in vain
        self._used: dict[TenantId, float] = {}

    def touch(self, tenant: TenantId) -> None:
        """Somebody asks for this tenant now."""
        self._used[tenant] = self._clock()

    def forget(self, tenant: TenantId, collection: str | None = None) -> None:
        """It may be at rest or gone: look again before the next call."""
        self._awake -= {known for known in self._awake if known[1] == tenant and collection in (None, known[0])}
        self._absent.clear()

    def forget_all(self) -> None:
        """It may be another server."""
        self._awake.clear()
        self._absent.clear()

    async def wake(self, client: "WeaviateAsyncClient", collection: str, tenant: TenantId, *, create: bool = False) -> Whether:
        """A tenant of a collection is awake, or is not there. Waits as long as it takes: the caller's deadline is around it."""
        from weaviate.classes.tenants import TenantActivityStatus

        if (collection, tenant) in self._awake:
            return "awake"
        if not create and self._clock() - self._absent.get((collection, tenant), -_ABSENT_S) < _ABSENT_S:
            return "absent"
        tenants, name, wait_s, asked = client.collections.use(collection).tenants, tenant_text(tenant), _AGAIN_S, False
        while (found := await tenants.get_by_name(name)) is None or found.activity_status != TenantActivityStatus.ACTIVE:
            if found is None and not create:
                self._absent[collection, tenant] = self._clock()
                return "absent"
            if found is None:
                await self._create(client, collection, name)
                continue
            if not asked and found.activity_status in (TenantActivityStatus.INACTIVE, TenantActivityStatus.OFFLOADED):
                await tenants.activate(name)
                asked = True
                continue
            await asyncio.sleep(wait_s)
            wait_s = min(wait_s * 2, _AGAIN_AT_MOST_S)
        self._awake.add((collection, tenant))
        self._absent.pop((collection, tenant), None)
        return "awake"

    async def rest(self, client: "WeaviateAsyncClient", collections: list[str], idle_s: float) -> list[TenantId]:
        """Put to rest who has not been asked for; one that this process sees for the first time is taken for asked for now."""
        from weaviate.classes.tenants import TenantActivityStatus

        now, rested = self._clock(), set[TenantId]()
        for collection in collections:
            tenants = client.collections.use(collection).tenants
            idle = []
            for name, found in (await tenants.get()).items():
                tenant = _tenant_of(name)
                if tenant is None or found.activity_status != TenantActivityStatus.ACTIVE:
                    continue
                if now - self._used.setdefault(tenant, now) >= idle_s:
                    idle.append(name)
                    rested.add(tenant)
                    self.forget(tenant, collection)
            if idle:
                await tenants.deactivate(idle)
        return sorted(rested)

    async def _create(self, client: "WeaviateAsyncClient", collection: str, name: str) -> None:
        from weaviate.exceptions import UnexpectedStatusCodeError

        try:
            await client.collections.use(collection).tenants.create(name)
        except UnexpectedStatusCodeError as error:
            if error.status_code != 422 or "exist" not in error.message:  # another process was faster
                raise


def _tenant_of(name: str) -> TenantId | None:
    """The tenant of a name; None when it is none of ours."""
    try:
        tenant = TenantId(UUID(name))
    except ValueError:
        return None
    return tenant if tenant_text(tenant) == name else None
