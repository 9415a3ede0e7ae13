"""Identifiers: distinct types over UUID, made by the application.

UUIDv7 (RFC 9562) where a row is new, UUIDv5 where every replay must give the same id.
"""

import os
import time
from typing import NewType
from uuid import NAMESPACE_URL, UUID, uuid5

TenantId = NewType("TenantId", UUID)
SourceId = NewType("SourceId", UUID)
RunId = NewType("RunId", UUID)
BatchId = NewType("BatchId", UUID)
PlanId = NewType("PlanId", UUID)
RecordId = NewType("RecordId", UUID)
EntityId = NewType("EntityId", UUID)
RunNo = NewType("RunNo", int)

NAMESPACE = uuid5(NAMESPACE_URL, "pay-ready:ids")


def new_id(unix_ms: int | None = None, entropy: bytes | None = None) -> UUID:
    """A UUIDv7: 48 bits of milliseconds since 1970, then 74 random bits. Ids sort by the time they were made."""
    unix_ms = time.time_ns() // 1_000_000 if unix_ms is None else unix_ms
    random_bits = int.from_bytes(entropy or os.urandom(10), "big")
    high = (unix_ms & ((1 << 48) - 1)) << 80 | 0x7 << 76 | (random_bits >> 62 & 0xFFF) << 64
    return UUID(int=high | 0b10 << 62 | random_bits & ((1 << 62) - 1))


def stable_id(*parts: str) -> UUID:
    """A UUIDv5 of the parts, the same on every replay. Parts are length-prefixed: ("a", "bc") and ("ab", "c") differ."""
    return uuid5(NAMESPACE, "".join(f"{len(part)}:{part}" for part in parts))


def tenant_id_of(domain: str, slug: str) -> TenantId:
    """A tenant's id from its name, so that no lookup ever crosses tenants: absent and foreign look the same."""
    return TenantId(stable_id("tenant", domain, slug))


def source_id_of(tenant: TenantId, name: str) -> SourceId:
    """A data source's id from its tenant and name."""
    return SourceId(stable_id("source", str(tenant), name))
