"""What fires, since when, and what a webhook has yet to be told of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

from pay_ready.db.tenancy import TenantTransaction
from pay_ready.model.ids import new_id

AlertState = Literal["pending", "firing", "acknowledged", "cleared"]
Change = Literal["fired", "cleared"]


@dataclass(frozen=True, slots=True, kw_only=True)
class StandingAlert:
    """An alert that is not over."""

    alert_id: UUID
    alert: str
    subject_id: str
    severity: float
    status: AlertState
    fired_at: datetime
    measured: float | None
    threshold: float | None
    age_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptAlert:
    """An alert as it is kept, over or not."""

    alert_id: UUID
    alert: str
    subject_id: str
    severity: float
    status: AlertState
    fired_at: datetime
    cleared_at: datetime | None
    measured: float | None
    threshold: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """Something that a webhook is to be told, claimed by this process for a while."""

    delivery_id: UUID
    change: Change
    attempts: int  # this one included
    made_at: datetime
    alert_id: UUID
    alert: str
    subject_id: str
    severity: float
    fired_at: datetime
    cleared_at: datetime | None
    measured: float | None
    threshold: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryCount:
    """How many deliveries there are of a kind, and since when the oldest."""

    status: str
    deliveries: int
    since: datetime | None


def readings(tx: TenantTransaction, rule: str, params: Mapping[str, float]) -> Mapping[str, float]:
    """The figure of each subject that a rule is about.

    Raises:
        NotFoundError: The rule has no statement.
    """
    return {row.subject_id: row.measured for row in tx.rows(f"alerts.read_{rule}", params)}


def standing(tx: TenantTransaction) -> Sequence[StandingAlert]:
    """What is not over, the most severe first."""
    return [StandingAlert(**row._asdict()) for row in tx.rows("alerts.standing")]


def kept(tx: TenantTransaction, most: int) -> Sequence[KeptAlert]:
    """The newest so many, over or not."""
    return [KeptAlert(**row._asdict()) for row in tx.rows("alerts.list", {"most": most})]


def known_subjects(tx: TenantTransaction, rule: str, subjects: Sequence[str]) -> frozenset[str]:
    """Of these, those that were told of already."""
    found = tx.rows("alerts.known", {"alert": rule, "subject_ids": list(subjects)}) if subjects else []
    return frozenset(row.subject_id for row in found)


def raise_alert(
    tx: TenantTransaction, rule: str, subject: str, *, severity: float, measured: float, threshold: float, pending: bool
) -> UUID | None:
    """A new alert; None where another process raised it."""
    alert_id = new_id()
    figures = {"severity": severity, "measured": measured, "threshold": threshold, "status": "pending" if pending else "firing"}
    return alert_id if tx.execute("alerts.raise", {"alert_id": alert_id, "alert": rule, "subject_id": subject, **figures}) else None


def measure(tx: TenantTransaction, alert_id: UUID, *, severity: float, measured: float, threshold: float) -> None:
    """What a standing alert's figure is now."""
    tx.execute("alerts.measure", {"alert_id": alert_id, "severity": severity, "measured": measured, "threshold": threshold})


def fire(tx: TenantTransaction, alert_id: UUID) -> bool:
    """A pending alert fires; False where another process was faster."""
    return tx.execute("alerts.fire", {"alert_id": alert_id}) == 1


def clear(tx: TenantTransaction, alert_id: UUID) -> bool:
    """A standing alert is over; False where another process was faster."""
    return tx.execute("alerts.clear", {"alert_id": alert_id}) == 1


def drop_pending(tx: TenantTransaction, alert_id: UUID) -> None:
    """A pending alert did not stand long enough."""
    tx.execute("alerts.drop_pending", {"alert_id": alert_id})


def acknowledge(tx: TenantTransaction, alert_id: UUID) -> bool:
    """Somebody has seen a firing alert; False where it is not firing."""
    return tx.execute("alerts.acknowledge", {"alert_id": alert_id}) == 1


def queue_delivery(tx: TenantTransaction, alert_id: UUID, change: Change) -> None:
    """Have the webhook told, in the transaction of the change itself."""
    tx.execute("alerts.queue_delivery", {"delivery_id": new_id(), "alert_id": alert_id, "change": change})


def claim_deliveries(tx: TenantTransaction, most: int, lease_s: float) -> Sequence[Delivery]:
    """What is due, oldest first; for `lease_s` seconds nobody else is given it."""
    found = [Delivery(**row._asdict()) for row in tx.rows("alerts.claim_deliveries", {"most": most, "lease_s": lease_s})]
    return sorted(found, key=lambda each: each.delivery_id)


def delivered(tx: TenantTransaction, delivery_id: UUID) -> None:
    """The receiver took it."""
    tx.execute("alerts.delivered", {"delivery_id": delivery_id})


def not_delivered(tx: TenantTransaction, delivery_id: UUID, *, dead: bool, wait_s: float, why: str, took: bool) -> None:
    """It did not; to be tried again after so many seconds, or given up. What was never sent (`took` false) is no attempt."""
    status = "dead" if dead else "waiting"
    tx.execute("alerts.not_delivered", {"delivery_id": delivery_id, "status": status, "wait_s": wait_s, "last_error": why, "took": took})


def revive(tx: TenantTransaction) -> int:
    """What was given up is sent once more; how many."""
    return tx.execute("alerts.revive")


def delivery_counts(tx: TenantTransaction) -> Sequence[DeliveryCount]:
    """Deliveries by what became of them."""
    return [DeliveryCount(**row._asdict()) for row in tx.rows("alerts.delivery_counts")]
