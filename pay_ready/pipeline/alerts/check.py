"""Look at every rule: what is above its threshold fires, what no longer is clears; both are told once, whoever looks and however often.

Of one transaction: what fires and what a webhook has yet to be told of it are committed together. Two processes that look at the same time
meet at the table's key: one of them raises the alert.
"""

import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import structlog

from pay_ready.db import alerts
from pay_ready.db.alerts import StandingAlert
from pay_ready.db.tenancy import TenantTransaction
from pay_ready.errors import ConfigError, NotFoundError
from pay_ready.pipeline.alerts.rules import OF_STATUS, AlertRule
from pay_ready.pipeline.alerts.webhook import Webhook
from pay_ready.pipeline.status import HOUR_S, StatusWork, TenantStatus, tenant_status
from pay_ready.resilience import insist

_DAY_S = 24 * HOUR_S

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchWork:
    """What alerts of a tenant are looked at with."""

    status: StatusWork
    rules: Sequence[AlertRule]
    webhook: Webhook | None = None  # None: the table alone is told


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertChange:
    """An alert that fired, or is over."""

    alert: str
    subject_id: str
    severity: float
    measured: float | None
    threshold: float | None
    says: str
    unit: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertReport:
    """What a look changed, and what stands after it."""

    tenant: str
    fired: Sequence[AlertChange]
    cleared: Sequence[AlertChange]
    standing: Sequence[StandingAlert]  # without those that are pending


@dataclass(frozen=True, slots=True, kw_only=True)
class _Reading:
    """The figures of a rule, by subject; and whether a subject that is not among them may be another host's."""

    by_subject: Mapping[str, float]
    hosts: bool = False


def check_alerts(work: WatchWork) -> AlertReport:
    """One look at every rule.

    Raises:
        ConfigError: A rule has no statement.
        TransientError: The database is away.
    """
    return insist(_checked)(work)


def _checked(work: WatchWork) -> AlertReport:
    found = tenant_status(work.status)
    fired: list[AlertChange] = []
    cleared: list[AlertChange] = []
    with work.status.database.tenant_transaction(work.status.tenant) as tx:
        stood = {(each.alert, each.subject_id): each for each in alerts.standing(tx)}
        for rule in work.rules:
            reading = _read(tx, rule, found)
            mine = {subject: each for (name, subject), each in stood.items() if name == rule.name}
            fired += _raised(tx, work, rule, reading, mine)
            cleared += _cleared(tx, work, rule, reading, mine)
        names = {rule.name for rule in work.rules}
        # Their rules are gone, or off: nobody would ever clear them.
        cleared += [one for each in stood.values() if each.alert not in names for one in _ended(tx, work, None, each, None)]
        standing = [each for each in alerts.standing(tx) if each.status != "pending"]
    for change, changes in (("alert.fired", fired), ("alert.cleared", cleared)):
        for one in changes:
            log.warning(change, tenant=work.status.tenant, rule=one.alert, measured=one.measured, threshold=one.threshold)
    return AlertReport(tenant=work.status.slug, fired=fired, cleared=cleared, standing=standing)


def _read(tx: TenantTransaction, rule: AlertRule, found: TenantStatus) -> _Reading:
    if rule.name in OF_STATUS:
        return _of_status(rule.name, found)
    try:
        return _Reading(by_subject=alerts.readings(tx, rule.name, rule.params))
    except NotFoundError:
        hint = "a rule is one of config/alerts.toml, or has a statement in sql/queries/alerts.sql"
        raise ConfigError("no such alert rule", hint, key=rule.name) from None


def _of_status(name: str, found: TenantStatus) -> _Reading:
    """Figures that the status has already; those of this machine are under its name."""
    host = socket.gethostname()
    match name:
        case "stale_stream":
            return _Reading(by_subject={each.subject: each.age_s / each.target_s for each in found.freshness if each.target_s})
        case "outbox_lag":
            return _Reading(by_subject={each.tier: each.age_s / 60 for each in found.outbox})
        case "review_age":
            return _Reading(by_subject={"pairs": found.review.age_s / _DAY_S})
        case "pool":
            return _Reading(by_subject={"server": found.connections.share * 100, f"{host}:pool": found.pool.share * 100}, hosts=True)
        case _:
            return _Reading(by_subject={f"{host}:{each.folder}": each.share * 100 for each in found.disks}, hosts=True)


def _raised(
    tx: TenantTransaction, work: WatchWork, rule: AlertRule, reading: _Reading, stood: Mapping[str, StandingAlert]
) -> list[AlertChange]:
    over = {subject: measured for subject, measured in reading.by_subject.items() if measured > rule.threshold}
    told = alerts.known_subjects(tx, rule.name, [subject for subject in over if subject not in stood]) if rule.once else frozenset[str]()
    fired: list[AlertChange] = []
    for subject, measured in sorted(over.items()):
        figures = {"severity": rule.severity, "measured": measured, "threshold": rule.threshold}
        standing = stood.get(subject)
        if standing is not None:
            alerts.measure(tx, standing.alert_id, **figures)
            due = standing.status == "pending" and standing.age_s >= rule.for_s
            alert_id = standing.alert_id if due and alerts.fire(tx, standing.alert_id) else None
        elif subject in told:
            continue
        else:
            alert_id = alerts.raise_alert(tx, rule.name, subject, pending=rule.for_s > 0, **figures)
            alert_id = None if rule.for_s > 0 else alert_id
        if alert_id is not None:
            if work.webhook is not None:
                alerts.queue_delivery(tx, alert_id, "fired")
            fired.append(AlertChange(alert=rule.name, subject_id=subject, says=rule.says, unit=rule.unit, **figures))
    return fired


def _cleared(
    tx: TenantTransaction, work: WatchWork, rule: AlertRule, reading: _Reading, stood: Mapping[str, StandingAlert]
) -> list[AlertChange]:
    cleared: list[AlertChange] = []
    for subject, each in sorted(stood.items()):
        measured = reading.by_subject.get(subject)
        if (measured is None and reading.hosts) or (measured is not None and measured > rule.threshold):
            continue
        if measured is not None:
            alerts.measure(tx, each.alert_id, severity=rule.severity, measured=measured, threshold=rule.threshold)
        cleared += _ended(tx, work, rule, each, measured)
    return cleared


def _ended(
    tx: TenantTransaction, work: WatchWork, rule: AlertRule | None, each: StandingAlert, measured: float | None
) -> list[AlertChange]:  # fmt: skip
    """What stood is over; what never fired is forgotten."""
    if each.status == "pending":
        alerts.drop_pending(tx, each.alert_id)
        return []
    if not alerts.clear(tx, each.alert_id):
        return []
    if work.webhook is not None:
        alerts.queue_delivery(tx, each.alert_id, "cleared")
    says, unit = (rule.says, rule.unit) if rule else ("its rule is gone", "")
    return [
        AlertChange(
            alert=each.alert, subject_id=each.subject_id, severity=each.severity, measured=measured, threshold=each.threshold,
            says=says, unit=unit,
        )
    ]  # fmt: skip
