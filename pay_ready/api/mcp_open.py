"""An MCP server's parts for one tenant, from an app."""

import time
from collections.abc import Callable
from uuid import UUID

from pay_ready.agent.answering import Agent
from pay_ready.agent.masking import Masker
from pay_ready.agent.name_forms import EntityType
from pay_ready.api.mcp_parts import EntityStory, FoundEntity, McpParts, StoryRecord
from pay_ready.app import App
from pay_ready.app_agent import open_agent, open_masker
from pay_ready.db import entities as db_entities
from pay_ready.db.tenants import Tenant
from pay_ready.pipeline.explain import entity_id_of, explain_entity

_LOOKED_UP_S = 1.0


def mcp_parts(app: App, slug: str) -> McpParts:
    """What an MCP server of one tenant answers from.

    Raises:
        NotFoundError, DeniedError, ConfigError: As `open_agent`.
    """
    tenant, agent = app.tenant(slug), open_agent(app, slug)
    return McpParts(
        agent=agent, interactions=agent.toolbox, entities=_Entities(app, tenant, agent), mask=_Mask(open_masker(app, slug)),
        calendar=agent.calendar,
    )  # fmt: skip


class _Mask:
    """Masks texts; whether other names were published is looked up once a second, not with each text."""

    def __init__(self, masker: Callable[[], Masker]) -> None:
        self._open, self._masker, self._until = masker, masker(), time.monotonic() + _LOOKED_UP_S

    def __call__(self, text: str) -> str:
        """By the tenant's policy."""
        if time.monotonic() >= self._until:
            self._masker, self._until = self._open(), time.monotonic() + _LOOKED_UP_S
        return self._masker(text)


class _Entities:
    """A tenant's people and companies, for whoever looks them up."""

    def __init__(self, app: App, tenant: Tenant, agent: Agent) -> None:
        self._app, self._tenant, self._agent = app, tenant, agent

    def find(self, name: str, entity_type: EntityType | None, most: int) -> list[FoundEntity]:
        """Whom a name, address, domain or id may mean."""
        region = self._app.settings_of(self._tenant).staging.phone_region
        with self._app.database.tenant_transaction(self._tenant.tenant_id) as tx:
            found = db_entities.find_entities(tx, name, entity_type, region=region)
        return [
            FoundEntity(
                entity_id=each.entity_id, entity_type=each.entity_type, name=each.name or "", detail=each.email or each.domain or ""
            )
            for each in found[:most]
        ]  # fmt: skip

    def explain(self, entity_id: UUID) -> EntityStory:
        """How an entity came to be."""
        database, tenant = self._app.database, self._tenant.tenant_id
        told = explain_entity(database, tenant, self._app.work(self._tenant.slug).resolution, entity_id_of(database, tenant, entity_id))
        return EntityStory(
            entity_id=told.entity_id, entity_type=told.entity_type, leads_to=told.leads_to,
            records=tuple(StoryRecord(record_id=each.record_id, source=each.source, name=each.name or "") for each in told.records),
            evidence=tuple(f"{each.left.name} ({each.left.source}) and {each.right.name} ({each.right.source}): {each.bits:+.1f} bits"
                           for each in told.links),
            history=tuple(f"run {each.run_no}, {each.published_at:%Y-%m-%d}: {each.change}, by {each.kind}" for each in told.history),
        )  # fmt: skip
