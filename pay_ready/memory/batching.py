"""A batch that finds its size: larger while the other side is quick, much smaller when it is not."""

from dataclasses import dataclass, field, replace
from typing import Self

from pay_ready.errors import UsageError


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchLimits:
    """Between what a batch moves, and what counts as quick.

    Raises:
        UsageError: They contradict each other.
    """

    start: int = 100  # items; memory_management.batch_size
    least: int = 1
    most: int = 1_000
    step: int = 10  # items more after a quick batch
    factor: float = 0.5  # of the size, after a slow or failed batch; in (0, 1)
    target_s: float = 1.0  # what a batch may take

    def __post_init__(self) -> None:
        if not (1 <= self.least <= self.start <= self.most and self.step >= 1 and 0 < self.factor < 1 and self.target_s > 0):
            raise UsageError(
                "the limits of a batch contradict each other", "1 <= least <= start <= most, step >= 1, 0 < factor < 1, target above 0",
                least=self.least, start=self.start, most=self.most, step=self.step, factor=self.factor, target_s=self.target_s,
            )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class AdaptiveBatch:
    """How many items the next batch takes; each outcome gives the next state.

    Additive increase, multiplicative decrease: Chiu and Jain, "Analysis of the Increase and Decrease Algorithms for Congestion
    Avoidance in Computer Networks", Computer Networks and ISDN Systems 17 (1989). Several workers that share a service
    and each keep such a batch end up with like sizes.
    """

    limits: BatchLimits = field(default_factory=BatchLimits)
    size: int = 0  # items; 0 stands for the start

    def __post_init__(self) -> None:
        chosen = self.size or self.limits.start
        object.__setattr__(self, "size", min(max(chosen, self.limits.least), self.limits.most))

    def after(self, sent: int, latency_s: float) -> Self:
        """A batch of `sent` items came through in `latency_s` seconds."""
        if latency_s > self.limits.target_s:
            return self.after_failure(sent)
        if sent < self.size:  # the rest of a stream, or a batch of before: no proof that one of the present size is quick
            return self
        return replace(self, size=min(self.size + self.limits.step, self.limits.most))

    def after_failure(self, sent: int) -> Self:
        """A batch of `sent` items failed for now, or took too long.

        Several batches under way fail together, of one cause: those sent before the size was cut say nothing new.
        """
        if sent > self.size:
            return self
        return replace(self, size=max(int(self.size * self.limits.factor), self.limits.least))
