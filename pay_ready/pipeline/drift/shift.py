"""Whether a figure moved: pure statistics over days, robust against seasons of the week, holidays, late data and outliers.

What is judged is a daily series, baseline before current:

- Counts are made even in variance first: 2 sqrt(x + 3/8) (Anscombe, Biometrika 35 (1948)).
- Each day loses the baseline's median of its weekday; weekdays on which hardly anything happens are left out.
- The effect is the smallest of several shifts in robust standard deviations of the baseline (IQR / 1.349; Rousseeuw and Croux, JASA 88
  (1993)): of a value the lower quartile's, the median's and the upper quartile's; of a count the median's and the upper quartile's, and
  where it went down the upper decile's; of a share that of all current days but one, unless half of them hardly moved. A real shift
  moves all of them. A holiday week or data that is late leaves the upper ones where they were, an outlier all.
- A rank test of the days (Mann and Whitney, Annals of Mathematical Statistics 18 (1947), ties corrected), of a share the test of two
  shares, must agree. Its statistic is shrunk by sqrt((1 - r) / (1 + r)) for days whose neighbours are alike (r: lag-1 autocorrelation;
  Bayley and Hammersley, JRSS Supplement 8 (1946)).
- severity = |effect| / (|effect| + 0.42) * n / (n + 1), n the effective number of days: 1 / (1 / baseline + 1 / current), shrunk by
  (1 - r) / (1 + r).
"""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Form = Literal["count", "rate", "value"]
Direction = Literal["up", "down"]
Days = NDArray[np.float64]

QUANTILES = (0.1, 0.25, 0.5, 0.75, 0.9)  # of single observations, of a value
_OF_COUNTS_UP, _OF_COUNTS_DOWN = (0.5, 0.75), (0.5, 0.75, 0.9)
_IQR_SD, _DECILES_SD = 1.349, 2.563  # of a normal distribution with standard deviation 1
_SURE_HIGH, _SURE_CRITICAL = 1.7, 3.0  # of the rank test's statistic; below the first nothing is found
_BELOW_HIGH, _BELOW_CRITICAL = 0.49, 0.69  # what severity is cut to where the test does not agree
_QUIET = 0.25  # of the mean weekday: such weekdays are left out
_HALF_EFFECT = 0.42  # standard deviations, of severity 1/2; where all days count high begins at 0.5 and critical at 1.3
_HOLIDAY_DAYS = 7
_LASTING_HIGH, _LASTING_CRITICAL = 0.5, 1.5  # standard deviations
_LEAST_DAYS = 4  # of the current window, and twice as many of the baseline, on which there is anything
_MOST_ALIKE = 0.9
_CLIP = 2.5  # robust standard deviations, for the autocorrelation
_COUNT_RELATIVE = 0.025  # in the scale of 2 sqrt(x): 5 % more or less is one standard deviation at least
_RATE_FLOOR = 0.0025  # a quarter of a point of percent is one standard deviation at least
_WEAKER_HALF = 1 / 3  # of the shift: less, and it is one week's
_FEW_HITS = 10
_RARE = 0.005  # p (1 - p) at least: of what never happened nobody knows how it varies


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """A figure by day, both windows without a gap: `baseline` then `current`, NaN where nothing was seen that day.

    Of a count the values are counts, of a rate shares in [0, 1] with their numbers of observations in `weights`, of a value the day's
    median with the observations' quantiles (QUANTILES) in `before` and `after`.
    """

    form: Form
    baseline: Days
    current: Days
    first_weekday: int  # of the baseline's first day, 0 Monday
    baseline_count: int  # observations
    current_count: int
    floor: float = 0.0  # of a value: the least that counts as one standard deviation, in its unit
    weights: tuple[Days, Days] | None = None
    before: tuple[float, ...] = ()
    after: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Shift:
    """How far a figure moved: severity in [0, 1], effect in robust standard deviations (negative: down), evidence as a z statistic."""

    severity: float
    effect: float
    evidence: float
    effective_days: float

    @property
    def direction(self) -> Direction:
        """Where to."""
        return "down" if self.effect < 0 else "up"


def shift_of(series: Series, *, least_observations: int = 30) -> Shift | None:
    """How far the current days lie from the baseline; None where there is too little to say.

    Args:
        series: The figure by day.
        least_observations: That both windows must have.
    """
    if min(series.baseline_count, series.current_count) < least_observations:
        return None
    if series.form == "rate":
        return _shift_of_rate(series)
    baseline, current = _even(series)
    baseline, current = _without_seasons(series, baseline, current)
    before, after = baseline[~np.isnan(baseline)], current[~np.isnan(current)]
    if len(after) < _LEAST_DAYS or len(before) < 2 * _LEAST_DAYS:
        return None
    alike = autocorrelation(baseline)
    shrunk = (1 - alike) / (1 + alike)
    effective = shrunk / (1 / len(before) + 1 / len(after))
    effect = _effect(series, before, after)
    evidence = rank_statistic(before, after) * math.sqrt(shrunk)
    severity = _severity(effect, evidence, effective)
    if series.form == "count" and effect < 0:
        lasting = _outside_of_the_lowest_week(before, current) / _scale_of_counts(series, before)
        severity = min(severity, _BELOW_HIGH if lasting > -_LASTING_HIGH else _BELOW_CRITICAL if lasting > -_LASTING_CRITICAL else 1.0)
    return Shift(severity=severity, effect=effect, evidence=evidence, effective_days=effective)


def robust_sd(values: Days) -> float:
    """The standard deviation that a normal distribution with these quartiles or, if that is more, these deciles would have."""
    if not len(values):
        return 0.0
    low, first, third, high = np.quantile(values, (0.1, 0.25, 0.75, 0.9))
    return float(max((third - first) / _IQR_SD, (high - low) / _DECILES_SD))


def autocorrelation(days: Days) -> float:
    """Of days with those before them, in [0, 0.9]; values far out count as _CLIP robust standard deviations."""
    seen = days[~np.isnan(days)]
    sd = robust_sd(seen)
    if sd == 0 or len(seen) < 2 * _LEAST_DAYS:
        return 0.0
    clipped = np.clip((days - np.median(seen)) / sd, -_CLIP, _CLIP)
    pairs = ~np.isnan(clipped[:-1]) & ~np.isnan(clipped[1:])
    spread = float(np.nanmean(clipped**2))
    if not pairs.any() or spread == 0:
        return 0.0
    return min(_MOST_ALIKE, max(0.0, float(np.mean(clipped[:-1][pairs] * clipped[1:][pairs])) / spread))


def rank_statistic(before: Days, after: Days) -> float:
    """Mann and Whitney's U as a standard normal variable, ties corrected; positive where `after` is larger, 0 where all are equal."""
    n, m = len(before), len(after)
    values, inverse, counts = np.unique(np.concatenate([before, after]), return_inverse=True, return_counts=True)
    if len(values) < 2:
        return 0.0
    ends = np.cumsum(counts)
    ranks = (ends - (counts - 1) / 2)[inverse]
    wins = float(ranks[n:].sum()) - m * (m + 1) / 2
    total = n + m
    ties = float((counts**3 - counts).sum()) / (total * (total - 1))
    variance = n * m / 12 * (total + 1 - ties)
    return (wins - n * m / 2) / math.sqrt(variance) if variance > 0 else 0.0


def _even(series: Series) -> tuple[Days, Days]:
    """Both windows in a scale in which their days vary alike."""
    if series.form == "count":
        return 2 * np.sqrt(series.baseline + 0.375), 2 * np.sqrt(series.current + 0.375)
    return series.baseline, series.current


def _shift_of_rate(series: Series) -> Shift | None:
    """Of a share: days are pooled, for on a single day what is rare is mostly absent.

    Neither one bad sync nor one bad week is a shift: the loudest day is left out, and either half must have moved. Variance
    beyond the binomial (phi: Pearson's chi-squared over its degrees of freedom; McCullagh and Nelder, Generalized Linear Models (1989))
    widens both the scale and the test of two shares.
    """
    if series.weights is None:
        return None
    (old_n, new_n), old, new = series.weights, np.nan_to_num(series.baseline), np.nan_to_num(series.current)
    old_hits, new_hits = old * old_n, new * new_n
    days_before, days_after = int((old_n > 0).sum()), int((new_n > 0).sum())
    if days_after < _LEAST_DAYS or days_before < 2 * _LEAST_DAYS:
        return None
    usual, cut = _usual_share(old_hits, old_n)
    phi, certain = 1.0, usual * (1 - usual)
    if certain > 0:
        phi = max(1.0, float(((cut - old_n * usual) ** 2 / (np.maximum(old_n, 1) * certain)).sum()) / (days_before - 1))
    alike = autocorrelation(np.where(old_n > 0, old, np.nan))
    shrunk = (1 - alike) / (1 + alike)
    effective = shrunk / (1 / days_before + 1 / days_after)
    scale = max(_RATE_FLOOR, math.sqrt(phi * max(certain, _RARE) / float(np.median(old_n[old_n > 0]))))
    effect = _moved_share(new_hits, new_n, usual) / scale
    evidence = _two_shares(float(cut.sum()), float(old_n.sum()), float(new_hits.sum()), float(new_n.sum())) * math.sqrt(shrunk / phi)
    return Shift(severity=_severity(effect, evidence, effective), effect=effect, evidence=evidence, effective_days=effective)


def _moved_share(hits: Days, n: Days, usual: float) -> float:
    """How far the share moved, without the day that speaks most for it; where half of the days hardly moved, only as far as these did."""
    whole = float(hits.sum() / n.sum()) - usual
    away = (hits - n * usual) * (1 if whole > 0 else -1)
    rest = np.arange(len(n)) != int(np.argmax(away))
    halves = [slice(0, len(n) // 2), slice(len(n) // 2, None)]
    if not n[rest].sum() or not all(n[half].sum() for half in halves):
        return 0.0
    moved = float(hits[rest].sum() / n[rest].sum()) - usual
    weaker = min((float(hits[half].sum() / n[half].sum()) - usual for half in halves), key=abs)
    if moved * whole <= 0:
        return 0.0
    if min(float(hits[rest].sum()), float((n - hits)[rest].sum())) < _FEW_HITS:
        return moved  # too few to ask either half
    if weaker * whole <= 0:
        return 0.0
    return moved if abs(weaker) >= abs(moved) * _WEAKER_HALF else weaker


def _usual_share(hits: Days, n: Days) -> tuple[float, Days]:
    """The baseline's share, and its hits, those of days far out cut to what is just possible."""
    cut, total = hits.copy(), float(n.sum())
    for _ in range(3):
        share = float(cut.sum()) / total
        room = 4 * np.sqrt(n * share * (1 - share)) + 2
        cut = np.clip(hits, np.maximum(n * share - room, 0), np.minimum(n * share + room, n))
    return float(cut.sum()) / total, cut


def _two_shares(hits: float, n: float, new_hits: float, new_n: float) -> float:
    """The test of two shares as a standard normal variable, pooled, half a hit added to each side."""
    if n <= 0 or new_n <= 0:
        return 0.0
    share = (hits + new_hits + 0.5) / (n + new_n + 1)
    return (new_hits / new_n - hits / n) / math.sqrt(share * (1 - share) * (1 / n + 1 / new_n))


def _without_seasons(series: Series, baseline: Days, current: Days) -> tuple[Days, Days]:
    """The days without what is usual for their weekday; those of quiet weekdays become NaN."""
    weekdays = (series.first_weekday + np.arange(len(baseline) + len(current))) % 7
    old, new = weekdays[: len(baseline)], weekdays[len(baseline) :]
    baseline, current = baseline.copy(), current.copy()
    busy = _busy(series, old)
    for weekday in range(7):
        of_old, of_new = old == weekday, new == weekday
        seen = baseline[of_old][~np.isnan(baseline[of_old])]
        usual = np.nan if not busy[weekday] or not len(seen) else np.median(seen)
        baseline[of_old] -= usual
        current[of_new] -= usual
    return baseline, current


def _busy(series: Series, weekdays: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Weekdays on which enough happens; all of them where it is no matter of counts."""
    if series.form != "count":
        return np.ones(7, dtype=bool)
    means = np.array([float(np.nanmean(series.baseline[weekdays == each])) if (weekdays == each).any() else 0.0 for each in range(7)])
    return np.asarray(means >= _QUIET * means.mean(), dtype=bool)


def _effect(series: Series, before: Days, after: Days) -> float:
    """The smallest shift of the three quartiles in robust standard deviations; 0 where they do not all go one way."""
    if series.form == "value":
        low, first, _, third, high = series.before
        scale = max((third - first) / _IQR_SD, (high - low) / _DECILES_SD, series.floor)
        shifts = np.array(series.after[1:4]) - np.array(series.before[1:4])
    else:
        scale = _scale_of_counts(series, before)
        is_down = float(np.median(after)) < float(np.median(before))
        at = _OF_COUNTS_DOWN if is_down else _OF_COUNTS_UP
        shifts = np.quantile(after, at) - np.quantile(before, at)
    if scale <= 0:
        scale = np.finfo(float).tiny if np.any(shifts) else 1.0
    if not (np.all(shifts > 0) or np.all(shifts < 0)):
        return 0.0
    return float(np.clip(shifts[np.argmin(np.abs(shifts))] / scale, -1e6, 1e6))


def _outside_of_the_lowest_week(before: Days, current: Days) -> float:
    """How the other days' median moved: what happened in one week alone may be a holiday; 0 where there are no others."""
    starts = range(max(1, len(current) - _HOLIDAY_DAYS + 1))
    start = min(starts, key=lambda each: float(np.nansum(current[each : each + _HOLIDAY_DAYS])))
    rest = np.concatenate([current[:start], current[start + _HOLIDAY_DAYS :]])
    rest = rest[~np.isnan(rest)]
    return float(np.median(rest) - np.median(before)) if len(rest) else 0.0


def _scale_of_counts(series: Series, before: Days) -> float:
    return max(robust_sd(before), 1.0, _COUNT_RELATIVE * float(np.nanmedian(2 * np.sqrt(series.baseline + 0.375))))


def _severity(effect: float, evidence: float, effective_days: float) -> float:
    severity = abs(effect) / (abs(effect) + _HALF_EFFECT) * effective_days / (effective_days + 1)
    agrees = evidence * effect > 0
    if not agrees or abs(evidence) < _SURE_HIGH:
        return min(severity, _BELOW_HIGH)
    return min(severity, _BELOW_CRITICAL) if abs(evidence) < _SURE_CRITICAL else severity
