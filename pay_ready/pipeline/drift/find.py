"""Drift of a tenant's figures: the last days beside those before them, by account, source and tenant, and the findings that are kept."""

import math
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from typing import Literal

import numpy as np

from pay_ready.db import drift, tenants
from pay_ready.db.drift import DayFigure, Finding, Judgement, Metric, SubjectKind, Windows
from pay_ready.db.tenancy import Database, TenantTransaction
from pay_ready.errors import CheckFailedError, ConflictError, NotFoundError
from pay_ready.model.ids import TenantId
from pay_ready.pipeline.drift.options import DriftOptions
from pay_ready.pipeline.drift.shift import QUANTILES, Form, Series, shift_of

FORMS: Mapping[Metric, Form] = {
    "volume": "count", "sentiment": "value", "response_time": "value", "talk_ratio": "value", "match_rate": "rate",
    "quarantine_rate": "rate",
}  # fmt: skip
UNITS: Mapping[Metric, str] = {
    "volume": "a day", "sentiment": "", "response_time": "min", "talk_ratio": "", "match_rate": "%", "quarantine_rate": "%",
}  # fmt: skip
# The least that counts as one standard deviation: 0.05 of a sentiment or share of talk, a tenth more or less of a time.
_FLOORS: Mapping[Metric, float] = {"sentiment": 0.05, "talk_ratio": 0.05, "response_time": 0.1}
_MEDIAN = QUANTILES.index(0.5)
_STAYS = 0.8  # of the bound of high: a finding that hovers around it stays one
_ENDED_DAYS = 60  # that a report looks back

Subject = tuple[Metric, SubjectKind, str]
Level = Literal["high", "critical"]


@dataclass(frozen=True, slots=True, kw_only=True)
class DailySeries:
    """A figure by day in its own unit, for people to look at; None where nothing was seen."""

    days: tuple[date, ...]
    values: tuple[float | None, ...]
    split: date  # first of the current days


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """A finding with how bad it is and how its figure went."""

    finding: Finding
    level: Level
    name: str  # of the account or source; empty for the tenant
    series: DailySeries | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DriftReport:
    """What a look found. `fresh`: of which nobody was told before."""

    tenant: str
    windows: Windows
    looked: int  # series with enough observations
    found: tuple[Told, ...]
    fresh: tuple[Told, ...] = ()
    ended: int = 0
    seconds: float = 0.0
    seconds_by_metric: Mapping[str, float] = field(default_factory=dict)

    def raise_for_failure(self) -> None:
        """Raise what should not wait.

        Raises:
            CheckFailedError: A critical finding stands that nobody called expected.
        """
        critical = [each for each in self.found if each.level == "critical" and each.finding.judgement != "expected"]
        if critical:
            first = critical[0].finding
            hint = (
                f"look: pay-ready drift report --tenant {self.tenant}; to say what it is: pay-ready drift judge {str(first.finding_id)[:8]}"
            )
            raise CheckFailedError("a figure moved far from its baseline", f"{hint} --tenant {self.tenant} --as expected --reason WHY",
                                   tenant=self.tenant, metric=first.metric_name, of=first.subject_kind, findings=len(critical))  # fmt: skip


def windows_of(now: datetime, options: DriftOptions) -> Windows:
    """Whole days (UTC) up to the last midnight: a look at noon finds what one at night did."""
    until = datetime.combine(now.astimezone(UTC).date(), datetime.min.time(), UTC)
    split = until - timedelta(days=options.current_days)
    return Windows(since=split - timedelta(days=options.baseline_days), split=split, until=until)


def look_for_drift(
    database: Database,
    tenant: TenantId,
    slug: str,
    options: DriftOptions,
    *,
    now: datetime | None = None,
    keeps: bool = True,
) -> DriftReport:
    """Compare each figure of each account, source and of the tenant with its baseline; one statement a metric.

    The same finding is told once: while it stands it is one row, and where it comes back while the windows still overlap it is
    that row again. What an operator said of it stays.

    Args:
        database: Where.
        tenant: Whose.
        slug: Its name.
        options: Windows and bounds.
        now: The current days end before that day; None: today.
        keeps: Store what is found; False only looks.
    """
    started, moment = time.monotonic(), now or datetime.now(UTC)
    windows = windows_of(moment, options)
    seconds: dict[str, float] = {}
    judged: dict[Subject, tuple[Finding, DailySeries]] = {}
    with database.tenant_transaction(tenant, work="batch", snapshot=True) as tx:
        drift.give_room(tx)
        for metric in options.metrics:
            began = time.monotonic()
            for subject, rows in _by_subject(metric, drift.figures(tx, metric, windows, QUANTILES)):
                if (answer := _judge(tenant, subject, rows, windows, options, moment)) is not None:
                    judged[subject] = answer
            seconds[metric] = round(time.monotonic() - began, 3)
    with database.tenant_transaction(tenant, work="batch", snapshot=not keeps) as tx:
        if keeps:
            found, fresh, ended = _kept(tx, judged, windows, options, moment)
        else:
            found, fresh, ended = _known(tx, judged, windows, options), frozenset[uuid.UUID](), 0
        names = _names(tx, found)
    told = tuple(
        Told(
            finding=each, level="critical" if each.severity >= options.critical else "high",
            name=names.get(each.subject_id, each.subject_id),
            series=judged[_subject_of(each)][1] if _subject_of(each) in judged else None,
        )
        for each in sorted(found, key=lambda each: (-each.severity, each.metric_name, each.subject_kind, each.subject_id))
    )  # fmt: skip
    return DriftReport(
        tenant=slug, windows=windows, looked=len(judged), found=told,
        fresh=tuple(each for each in told if each.finding.finding_id in fresh), ended=ended,
        seconds=round(time.monotonic() - started, 3), seconds_by_metric=seconds,
    )  # fmt: skip


def judge_finding(
    database: Database, tenant: TenantId, slug: str, wanted: str, judgement: Judgement, *, reason: str, actor: str
) -> Finding:  # fmt: skip
    """Keep what an operator says of a finding, named by its id or the beginning of that; in the audit, too.

    Raises:
        NotFoundError: No finding begins so, or none that stands or ended lately.
        ConflictError: Several do.
    """
    with database.tenant_transaction(tenant) as tx:
        found = [
            each for each in drift.standing(tx, datetime.now(UTC) - timedelta(days=_ENDED_DAYS)) if str(each.finding_id).startswith(wanted)
        ]
        if not found:
            raise NotFoundError("no such finding", f"see them all: pay-ready drift report --tenant {slug}", finding=wanted)
        if len(found) > 1:
            raise ConflictError("several findings begin so", "write more of the id", finding=wanted)
        drift.judge(tx, found[0].finding_id, judgement, reason, actor)
        tenants.audit(
            tx, actor=actor, action="drift.judged", subject_kind="drift_finding", subject_id=str(found[0].finding_id), reason=reason,
            after_hash=tenants.state_hash({"judgement": judgement}),
        )  # fmt: skip
        return replace(found[0], judgement=judgement)


def _by_subject(metric: Metric, figures: Sequence[DayFigure]) -> Iterator[tuple[Subject, list[DayFigure]]]:
    found: dict[Subject, list[DayFigure]] = {}
    for each in figures:
        found.setdefault((metric, each.subject_kind, each.subject_id), []).append(each)
    yield from found.items()


def _judge(
    tenant: TenantId, subject: Subject, rows: Sequence[DayFigure], windows: Windows, options: DriftOptions, now: datetime
) -> tuple[Finding, DailySeries] | None:
    """The subject's figure judged; None where there is too little of it."""
    metric, kind, identity = subject
    counts = [sum(each.observations for each in rows if each.day is not None and each.is_current == window) for window in (False, True)]
    if min(counts) < options.least_observations:
        return None
    series = _series(metric, rows, windows, counts)
    shift = shift_of(series, least_observations=options.least_observations)
    if shift is None:
        return None
    before, after = _levels(metric, series)
    key = f"{metric}/{kind}/{identity}/{shift.direction}/{windows.until:%Y-%m-%d}"
    finding = Finding(
        finding_id=uuid.uuid5(tenant, f"drift/{key}"), metric_name=metric, subject_kind=kind, subject_id=identity,
        direction=shift.direction, window_start=windows.split, window_end=windows.until, baseline_value=before, current_value=after,
        baseline_count=counts[0], current_count=counts[1], effect=round(shift.effect, 4), severity=round(shift.severity, 4),
        found_at=now, last_seen_at=now,
    )  # fmt: skip
    return finding, _shown(metric, series, windows)


def _series(metric: Metric, rows: Sequence[DayFigure], windows: Windows, counts: Sequence[int]) -> Series:
    form = FORMS[metric]
    first, split = windows.since.date(), windows.split.date()
    lengths = ((split - first).days, (windows.until.date() - split).days)
    # A day without a row has no interactions, which is a figure; of a value or a share it says nothing.
    days = np.full(sum(lengths), 0.0 if form == "count" else math.nan)
    weights = np.zeros(sum(lengths))
    quantiles: dict[bool, Sequence[float]] = {}
    for each in rows:
        if each.day is None:
            quantiles[each.is_current] = each.quantiles or ()
            continue
        place = (each.day - first).days
        weights[place] = each.observations
        days[place] = _of_day(form, each)
    begins = int(np.argmax(weights > 0)) if form == "count" else 0  # whoever was not there yet had no silence
    begins = min(begins, lengths[0])
    return Series(
        form=form, baseline=days[begins : lengths[0]], current=days[lengths[0] :], first_weekday=(first.weekday() + begins) % 7,
        baseline_count=counts[0], current_count=counts[1], floor=_FLOORS.get(metric, 0.0),
        weights=(weights[: lengths[0]], weights[lengths[0] :]), before=tuple(quantiles.get(False, ())),
        after=tuple(quantiles.get(True, ())),
    )  # fmt: skip


def _of_day(form: Form, figure: DayFigure) -> float:
    if form == "count":
        return float(figure.observations)
    if form == "rate":
        return (figure.total or 0.0) / figure.observations
    return figure.quantiles[_MEDIAN] if figure.quantiles else math.nan


def _levels(metric: Metric, series: Series) -> tuple[float, float]:
    """What stood and what stands, in the metric's unit."""
    if series.form == "value":
        return _unit(metric, series.before[_MEDIAN]), _unit(metric, series.after[_MEDIAN])
    if series.form == "rate" and series.weights is not None:
        shares = [float(np.nansum(days * n) / n.sum()) for days, n in zip((series.baseline, series.current), series.weights, strict=True)]
        return _unit(metric, shares[0]), _unit(metric, shares[1])
    return float(np.mean(series.baseline)), float(np.mean(series.current))


def _unit(metric: Metric, value: float) -> float:
    return math.expm1(value) if metric == "response_time" else 100 * value if FORMS[metric] == "rate" else value


def _shown(metric: Metric, series: Series, windows: Windows) -> DailySeries:
    values = np.concatenate([series.baseline, series.current])
    days = [windows.until.date() - timedelta(days=back) for back in range(len(values), 0, -1)]
    return DailySeries(
        days=tuple(days), values=tuple(None if math.isnan(value) else _unit(metric, float(value)) for value in values),
        split=windows.split.date(),
    )  # fmt: skip


def _kept(
    tx: TenantTransaction, judged: Mapping[Subject, tuple[Finding, DailySeries]], windows: Windows, options: DriftOptions, now: datetime
) -> tuple[list[Finding], frozenset[uuid.UUID], int]:
    """What stands now, what of it nobody was told before, and how many ended."""
    drift.lock(tx)
    known = _by_place(drift.standing(tx, windows.split))
    found: list[Finding] = []
    for subject, (finding, _) in judged.items():
        before = known.get(subject, {}).get(finding.direction)
        bound = options.high * (_STAYS if before is not None and before.ended_at is None else 1.0)
        if finding.severity < bound:
            continue
        found.append(finding if before is None else _seen_again(before, finding))
    ids = {each.finding_id for each in found}
    looked_at = set(options.metrics)
    gone = [
        each.finding_id for of_subject in known.values() for each in of_subject.values()
        if each.ended_at is None and each.finding_id not in ids and each.metric_name in looked_at
    ]  # fmt: skip
    drift.finish(tx, gone, now)  # first: of a subject one finding stands at a time
    for each in found:
        drift.put(tx, each, now)
    fresh = drift.tell(tx, [each.finding_id for each in found if each.severity >= options.high], now)
    return found, fresh, len(gone)


def _known(
    tx: TenantTransaction, judged: Mapping[Subject, tuple[Finding, DailySeries]], windows: Windows, options: DriftOptions
) -> list[Finding]:
    """What would be found, each with what is kept of it."""
    known = _by_place(drift.standing(tx, windows.split))
    found = []
    for subject, (finding, _) in judged.items():
        before = known.get(subject, {}).get(finding.direction)
        if finding.severity >= options.high * (_STAYS if before is not None and before.ended_at is None else 1.0):
            found.append(finding if before is None else _seen_again(before, finding))
    return found


def _by_place(findings: Sequence[Finding]) -> dict[Subject, dict[str, Finding]]:
    """The newest finding of each subject and direction."""
    found: dict[Subject, dict[str, Finding]] = {}
    for each in findings:
        found.setdefault(_subject_of(each), {}).setdefault(each.direction, each)
    return found


def _subject_of(finding: Finding) -> Subject:
    return finding.metric_name, finding.subject_kind, finding.subject_id


def _seen_again(before: Finding, now: Finding) -> Finding:
    """The finding that was there, with what is seen of it now."""
    return replace(
        now, finding_id=before.finding_id, found_at=before.found_at, alerted_at=before.alerted_at, judgement=before.judgement, ended_at=None
    )  # fmt: skip


def _names(tx: TenantTransaction, findings: Sequence[Finding]) -> dict[str, str]:
    accounts = sorted({uuid.UUID(each.subject_id) for each in findings if each.subject_kind == "account"})
    return {str(entity): name for entity, name in drift.names(tx, accounts).items() if name}
