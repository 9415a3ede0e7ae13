"""Objects into one collection: every object's own answer is read, and what failed is tried again, with its tenant."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from uuid import UUID

from pay_ready.errors import TransientError
from pay_ready.memory.cold.faults import is_asleep
from pay_ready.memory.cold.objects import as_data_object
from pay_ready.model.ids import TenantId
from pay_ready.model.memory import VectorObject

if TYPE_CHECKING:  # heavy
    from weaviate.collections.collection.async_ import CollectionAsync

_ATTEMPTS = 3
_WAIT_S = 0.1
_MOST_CHARACTERS = 200

Awake = Callable[[bool], Awaitable["CollectionAsync[Any, Any]"]]  # the tenant's part of the collection; True: look at it again


@dataclass(slots=True)
class Progress:
    """What a write has come to so far; it stands when a deadline cuts the rest."""

    written: set[UUID] = field(default_factory=set)
    failed: dict[UUID, str] = field(default_factory=dict)


async def write_chunk(awake: Awake, tenant: TenantId, chunk: Sequence[VectorObject], progress: Progress) -> None:
    """Write a chunk; what the server refuses three times stays in `progress.failed` with its reason.

    Raises:
        weaviate.exceptions.WeaviateBaseError: The whole chunk met an error that is nobody's own.
    """
    left, again = list(chunk), False
    for attempt in range(_ATTEMPTS):
        if attempt:
            await asyncio.sleep(_WAIT_S * attempt)
        failed = await _insert(await awake(again), tenant, left)
        progress.written |= {each.memory_id for each in left} - failed.keys()
        left = [each for each in left if each.memory_id in failed]
        if not left:
            return
        again = any(is_asleep(reason) for reason in failed.values())
    progress.failed |= {each.memory_id: failed[each.memory_id] for each in left}


async def _insert(collection: "CollectionAsync[Any, Any]", tenant: TenantId, chunk: Sequence[VectorObject]) -> Mapping[UUID, str]:
    """The objects that the server did not take, and why. A message that is too large for it is sent in halves."""
    from weaviate.exceptions import WeaviateBatchError, WeaviateInsertManyAllFailedError

    try:
        answer = await collection.data.insert_many([as_data_object(tenant, each) for each in chunk])
    except WeaviateInsertManyAllFailedError as error:
        return {each.memory_id: _short(error.message) for each in chunk}
    except WeaviateBatchError as error:
        if "RESOURCE_EXHAUSTED" not in str(error):
            raise
        if len(chunk) == 1:
            raise TransientError("Weaviate has no room for an object", "give the server more memory", memory=chunk[0].memory_id) from error
        half = len(chunk) // 2
        return {**await _insert(collection, tenant, chunk[:half]), **await _insert(collection, tenant, chunk[half:])}
    return {chunk[place].memory_id: _short(error.message) for place, error in answer.errors.items()}


def _short(message: str) -> str:
    return " ".join(message.split())[:_MOST_CHARACTERS]
