"""How a long step tells where it is; the command line draws it, flows log it."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgressEvent:
    """Rows done so far of one part of a step; `total` is None when nobody knows."""

    step: str  # sync, stage, resolve, publish
    subject: str  # "gong/calls", "person"
    done: int
    total: int | None = None


Progress = Callable[[ProgressEvent], None]


def no_progress(event: ProgressEvent) -> None:
    """For callers who do not look."""
