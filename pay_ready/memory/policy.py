"""Which memories are warm, which use of one is worth a write, and what a use brings up: decided from times alone.

A memory is warm while its last recorded touch is younger than the window. Touches are recorded at most once in an interval, so a
memory may cool down that much earlier than its last use says; never later.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from pay_ready.errors import UsageError


@dataclass(frozen=True, slots=True, kw_only=True)
class WarmPolicy:
    """How long warm lasts, and how fine touches are recorded.

    Raises:
        UsageError: The window is not positive.
    """

    window: timedelta = timedelta(days=7)
    touch_interval: timedelta = timedelta(hours=1)

    def __post_init__(self) -> None:
        if self.window <= timedelta(0):
            raise UsageError("a memory must be warm for a while", "set memory_management.warm_cache_ttl_days above 0", window=self.window)

    @property
    def interval(self) -> timedelta:
        """Between two recorded touches; half the window at most, else something in constant use would cool down."""
        return max(min(self.touch_interval, self.window / 2), timedelta(0))


@dataclass(frozen=True, slots=True, kw_only=True)
class Touched:
    """A memory as the record has it."""

    memory_id: UUID
    touched_at: datetime  # the last recorded touch, or when it was written
    is_warm: bool  # whether it lies in the warm index


@dataclass(frozen=True, slots=True, kw_only=True)
class Moves:
    """What has to change so that the warm index holds what is warm."""

    demoted: frozenset[UUID]
    promoted: frozenset[UUID]


@dataclass(frozen=True, slots=True, kw_only=True)
class UseEffects:
    """What follows from one use of a memory."""

    writes_touch: bool
    promotes_to_warm: bool


def warm_since(now: datetime, policy: WarmPolicy) -> datetime:
    """What was touched after this is warm."""
    return now - policy.window


def is_warm(touched_at: datetime, now: datetime, policy: WarmPolicy) -> bool:
    """Whether the last touch is younger than the window; exactly as old is cold, and the future (another clock) is warm."""
    return now - touched_at < policy.window


def touch_is_due(touched_at: datetime, now: datetime, policy: WarmPolicy) -> bool:
    """Whether a use now is worth a write: the last recorded touch is an interval old or more."""
    return now - touched_at >= policy.interval


def moves(memories: Iterable[Touched], now: datetime, policy: WarmPolicy) -> Moves:
    """Who leaves the warm index and who belongs into it; none when that was done already."""
    wrong = [memory for memory in memories if memory.is_warm != is_warm(memory.touched_at, now, policy)]
    return Moves(
        demoted=frozenset(memory.memory_id for memory in wrong if memory.is_warm),
        promoted=frozenset(memory.memory_id for memory in wrong if not memory.is_warm),
    )


def effects_of_use(memory: Touched, now: datetime, policy: WarmPolicy) -> UseEffects:
    """What follows when somebody asked for a memory; machines that go over everything (index, reconcile, rebuild) use nothing."""
    # Of one that cooled down always a touch: an interval is shorter than the window.
    return UseEffects(writes_touch=touch_is_due(memory.touched_at, now, policy), promotes_to_warm=not memory.is_warm)
