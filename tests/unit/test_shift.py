"""Whether a figure moved: simulated shifts are found, stable series are let alone, and what must hold of any series."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import mannwhitneyu

from pay_ready.pipeline.drift.shift import QUANTILES, Form, Series, Shift, autocorrelation, rank_statistic, robust_sd, shift_of
from tests.drift_support import BASELINE, CURRENT, FORMS, simulated

HIGH, CRITICAL = 0.5, 0.7
SIMULATED = 400
counts = arrays(np.float64, BASELINE + CURRENT, elements=st.integers(0, 200).map(float))


def counted(days: object, first_weekday: int = 0) -> Series:
    """A series of counts."""
    values = np.asarray(days, dtype=float)
    old, new = values[:-CURRENT], values[-CURRENT:]
    return Series(form="count", baseline=old, current=new, first_weekday=first_weekday, baseline_count=int(old.sum()),
                  current_count=int(new.sum()))  # fmt: skip


def severity(series: Series) -> float:
    """Of a series that is judged."""
    shift = shift_of(series)
    assert shift is not None
    return shift.severity


@pytest.mark.parametrize("form", FORMS)
def test_simulated_shifts_are_found_and_stable_series_are_not(form: Form) -> None:
    """The bars on a seeded sample (the benchmark has the whole): recall of 0.95 at 2 sd and a hundred observations; nothing critical.

    The stable ones have seasons of the week, alike days, holiday weeks, late data and a huge outlier.
    """
    random = np.random.default_rng(20260301)
    shifted = [simulated(random, form, shift_sd=float(sd), holidays=False) for sd in random.choice([2, -2, 3], SIMULATED)]
    judged = [severity(each) for each in shifted if each.current_count >= 100]
    stable = [shift.severity for _ in range(SIMULATED) if (shift := shift_of(simulated(random, form))) is not None]
    assert np.mean(np.array(judged) >= HIGH) >= 0.95
    assert np.mean(np.array(stable) >= CRITICAL) == 0
    assert np.mean(np.array(stable) >= HIGH) <= 0.1


def test_twenty_nine_observations_say_nothing() -> None:
    """Thirty in both windows, not fewer in either."""
    series = counted([2] * 90 + [4] * 14)
    assert shift_of(replace(series, current_count=29)) is None
    assert shift_of(replace(series, baseline_count=29)) is None
    assert severity(replace(series, current_count=30, baseline_count=30)) > 0


def test_zero_variance() -> None:
    """The same each day is no shift, also where every day of a value is one number; another level each day is one."""
    assert severity(counted([7] * 104)) == 0
    flat = Series(
        form="value", baseline=np.full(90, 0.5), current=np.full(14, 0.5), first_weekday=0, baseline_count=90, current_count=60,
        before=(0.5,) * len(QUANTILES), after=(0.5,) * len(QUANTILES),
    )  # fmt: skip
    assert severity(flat) == 0
    moved = replace(flat, current=np.full(14, 0.9), after=(0.9,) * len(QUANTILES), floor=0.05)
    shift = shift_of(moved)
    assert shift is not None
    assert (shift.severity >= CRITICAL, shift.direction) == (True, "up")


def test_one_huge_outlier_a_holiday_week_and_late_data_are_nothing_critical() -> None:
    """Of a busy series with quiet weekends: none makes it critical, outlier and late data not even high; a halved one is found."""
    random = np.random.default_rng(7)
    week = np.array([40, 42, 41, 40, 38, 3, 2])
    days = random.poisson(np.resize(week, 104)).astype(float)
    outlier, holiday, late = days.copy(), days.copy(), days.copy()
    outlier[95] = 1e9
    holiday[92:99] = np.floor(holiday[92:99] * 0.1)
    late[-2:] = 0
    assert severity(counted(outlier)) < HIGH
    assert severity(counted(holiday)) < CRITICAL
    assert severity(counted(late)) < HIGH
    halved = days.copy()
    halved[90:] = np.floor(halved[90:] / 2)
    assert severity(counted(halved)) >= CRITICAL


def test_one_bad_day_or_week_of_a_share_is_no_shift() -> None:
    """All records of one sync broken, or a bad week: not high. Three of a hundred each day where none were: critical."""
    n = np.full(104, 200.0)
    shares = np.zeros(104)

    def of(values: np.ndarray) -> Series:
        return Series(
            form="rate", baseline=values[:90], current=values[90:], first_weekday=0, weights=(n[:90], n[90:]), baseline_count=18_000,
            current_count=2_800,
        )  # fmt: skip

    day, week, always = shares.copy(), shares.copy(), shares.copy()
    day[95], week[90:97], always[90:] = 1.0, 0.05, 0.03
    assert [severity(of(each)) >= HIGH for each in (shares, day, week)] == [False] * 3
    assert severity(of(always)) >= CRITICAL


@settings(max_examples=60, deadline=None)
@given(days=counts, first=st.integers(0, 6))
def test_of_any_counts(days: np.ndarray, first: int) -> None:
    """Severity is in [0, 1], direction and evidence agree where there is any, and the answer is the same each time."""
    shift = shift_of(counted(days, first))
    if shift is not None:
        assert 0 <= shift.severity <= 1
        assert np.isfinite(shift.effect)
        assert shift.severity < HIGH or shift.effect * shift.evidence > 0
        assert shift == shift_of(counted(days, first))


@settings(max_examples=40, deadline=None)
@given(days=counts, factor=st.integers(2, 5))
def test_more_days_of_the_same_shift_are_no_less_severe(days: np.ndarray, factor: int) -> None:
    """Counts moved further up are not judged milder, the season of the week aside: their lower bound of severity does not fall."""
    base = np.minimum(days, 20) + 10
    near, far = base.copy(), base.copy()
    near[-CURRENT:] *= factor
    far[-CURRENT:] *= factor + 2
    one, other = shift_of(counted(near)), shift_of(counted(far))
    assert isinstance(one, Shift)
    assert isinstance(other, Shift)
    assert other.effect >= one.effect
    assert other.severity >= one.severity - 1e-9


@settings(max_examples=60, deadline=None)
@given(
    before=st.lists(st.integers(-5, 5), min_size=3, max_size=40), after=st.lists(st.integers(-5, 5), min_size=3, max_size=40)
)  # fmt: skip
def test_the_rank_statistic_is_scipys(before: list[int], after: list[int]) -> None:
    """The oracle: p values of the asymptotic Mann-Whitney test with ties, without continuity correction."""
    from scipy.stats import norm

    ours = rank_statistic(np.array(before, dtype=float), np.array(after, dtype=float))
    if len({*before, *after}) < 2:
        assert ours == 0
        return
    theirs = mannwhitneyu(after, before, use_continuity=False, alternative="greater", method="asymptotic").pvalue
    assert norm.sf(ours) == pytest.approx(theirs, abs=1e-9)


def test_scale_and_likeness_of_days() -> None:
    """A normal sample's standard deviation, and the autocorrelation of an AR(1) series, within what chance does."""
    random = np.random.default_rng(3)
    assert robust_sd(random.normal(0, 3, 20_000)) == pytest.approx(3, rel=0.03)
    days = np.zeros(5_000)
    for day in range(1, len(days)):
        days[day] = 0.6 * days[day - 1] + random.normal()
    assert autocorrelation(days) == pytest.approx(0.6, abs=0.06)
    assert autocorrelation(random.normal(size=5_000)) < 0.06
