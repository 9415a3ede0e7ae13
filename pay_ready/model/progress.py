"""How a long step tells where it is; the command line draws it, flows log it."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgressEvent:
    """Rows done so far of one part of a step; `total` is None when nobody knows."""

    step: str  # sync, stage, resolve, publish, backfill
    subject: str  # "gong/calls", "person"
    done: int
    total: int | None = None
    detail: str = ""  # where in the part it is, for people
    rows_per_s: float | None = None
    left_s: float | None = None  # seconds, estimated


Progress = Callable[[ProgressEvent], None]


def no_progress(event: ProgressEvent) -> None:
    """For callers who do not look."""
