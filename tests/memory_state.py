"""What every tier holds of a tenant, written without the tenant's own ids: equal histories of two tenants give equal states."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from uuid import UUID

import numpy as np
import psycopg
from psycopg import sql

from pay_ready.memory.embed.hashing import HashEmbedder
from pay_ready.model.ids import TenantId
from pay_ready.model.memory import memory_id_of
from tests.fake_weaviate import FakeWeaviate
from tests.memory_support import Talk

_MOST_CHUNKS = 50  # of an interaction in these tests
_PASSAGES = """
    select interaction_id, chunk_no, interaction_type, thread_id, chunk_text, language, start_s, end_s, content_hash, occurred_at,
        replace(lexemes::text, left(tenant_id::text, 8), '')
    from pay_ready.memories where tenant_id = %s
"""
_OUTBOX = "select change, object_kind, object_id from pay_ready.memory_outbox where tenant_id = %s"
_PROJECTIONS = "select interaction_id, is_shorter from pay_ready.memory_projections where tenant_id = %s"
_EMBEDDERS = "select embedder_id, dimensions, state, is_indexed from pay_ready.memory_embedders where tenant_id = %s"
_LEASES = "select lease from pay_ready.leases where tenant_id = %s and expires_at > now()"
_TABLES = """
    select relname from pg_class where relnamespace = 'pay_ready'::regnamespace and relkind = 'p' and relname ^@ 'memory_vectors_'
"""
State = Mapping[str, Sequence[str]]


class OtherEmbedder(HashEmbedder):
    """The same words under another name: another model, as far as anybody can tell."""

    id = "tests: other"


class Names:
    """Ids of a tenant's talks and passages as names that every tenant has alike."""

    def __init__(self, tenant: TenantId, talks: Sequence[Talk]) -> None:
        self.talks = {each.id_of(tenant): f"{each.source}/{each.key}" for each in talks}
        self.passages = {
            memory_id_of(tenant, interaction, number): f"{name}#{number}"
            for interaction, name in self.talks.items()
            for number in range(_MOST_CHUNKS)
        }

    def talk(self, interaction: UUID | str) -> str:
        """Of an interaction; its id where nobody knows it."""
        return self.talks.get(UUID(str(interaction)), str(interaction))

    def passage(self, memory: UUID | str) -> str:
        """Of a passage."""
        return self.passages.get(UUID(str(memory)), str(memory))


def state_of(admin_url: str, tenant: TenantId, talks: Sequence[Talk], fake: FakeWeaviate | None = None) -> State:
    """Every tier, each as sorted lines. When something was touched, asked or queued is left out."""
    names = Names(tenant, talks)
    with psycopg.connect(admin_url) as admin:
        found = {
            "passages": [f"{names.talk(row[0])} {row[1:]}" for row in admin.execute(_PASSAGES, (tenant,))],
            "vectors": list(_vectors(admin, tenant, names)),
            "outbox": [
                f"{row[0]} {row[1]} {names.talk(row[2]) if row[1] == 'interaction' else row[2]}"
                for row in admin.execute(
                    "select change, object_kind, object_id from pay_ready.memory_outbox where tenant_id = %s", (tenant,)
                )
            ],
            "projections": [
                f"{names.talk(row[0])} {row[1]}"
                for row in admin.execute(
                    "select interaction_id, is_shorter from pay_ready.memory_projections where tenant_id = %s", (tenant,)
                )
            ],
            "embedders": [str(row) for row in admin.execute(_EMBEDDERS, (tenant,))],
            "leases": [str(row) for row in admin.execute(_LEASES, (tenant,))],
        }
    if fake is not None:
        found["objects"] = list(_objects(fake, tenant, names))
    return {tier: sorted(lines) for tier, lines in found.items()}


def differing(found: State, expected: State) -> dict[str, tuple[list[str], list[str]]]:
    """By tier what is there and should not be, and what is not there and should be."""
    told = {}
    for tier in expected:
        there, wanted = list(found.get(tier, ())), list(expected[tier])
        for line in list(there):
            if line in wanted:
                there.remove(line)
                wanted.remove(line)
        if there or wanted:
            told[tier] = (there, wanted)
    return told


def _vectors(admin: psycopg.Connection[Any], tenant: TenantId, names: Names) -> Iterator[str]:
    plain = "select embedder_tag, memory_id, interaction_id, content_hash, false, encode(vector, 'hex') from pay_ready.memory_vectors_plain"
    for row in admin.execute(plain + " where tenant_id = %s", (tenant,)):
        yield f"{row[0]} {names.passage(row[1])} {names.talk(row[2])} {row[3:]!r}"
    for (table,) in admin.execute(_TABLES).fetchall():
        statement = sql.SQL("select memory_id, interaction_id, content_hash, in_index, embedding::text from {} where tenant_id = %s")
        for row in admin.execute(statement.format(sql.Identifier("pay_ready", table)), (tenant,)):
            yield f"{table} {names.passage(row[0])} {names.talk(row[1])} {row[2:]!r}"


def _objects(fake: FakeWeaviate, tenant: TenantId, names: Names) -> Iterator[str]:
    with fake.state.lock:
        for name, collection in fake.state.collections.items():
            part = collection.tenants.get(str(tenant))
            for stored in part.objects.values() if part is not None else ():
                said = {key: value for key, value in stored.properties.items() if key != "tenant_id"}
                said["interaction_id"] = names.talk(str(said["interaction_id"]))
                said["entity_ids"] = sorted(map(str, said.get("entity_ids") or ()))
                vector = [] if stored.vector is None else [f"{place}:{stored.vector[place]:.2f}" for place in np.flatnonzero(stored.vector)]
                yield f"{name} {names.passage(stored.uuid)} {sorted(said.items(), key=lambda item: item[0])} {vector}"
