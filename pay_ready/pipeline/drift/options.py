"""How drift is looked for."""

from dataclasses import dataclass

from pay_ready.db.drift import Metric

METRICS: tuple[Metric, ...] = ("volume", "sentiment", "response_time", "talk_ratio", "match_rate", "quarantine_rate")


@dataclass(frozen=True, slots=True, kw_only=True)
class DriftOptions:
    """Windows in days, bounds of severity in (0, 1], and the figures that are looked at."""

    baseline_days: int = 90
    current_days: int = 14
    least_observations: int = 30
    high: float = 0.5
    critical: float = 0.7
    metrics: tuple[Metric, ...] = METRICS
