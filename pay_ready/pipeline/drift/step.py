"""The step `drift`: what maintenance and `pay-ready drift check` do."""

from datetime import datetime

import structlog

from pay_ready.model.ids import RunId
from pay_ready.pipeline.drift.find import DriftReport, look_for_drift
from pay_ready.pipeline.work import TenantWork, recorded
from pay_ready.resilience import insist

log = structlog.get_logger()


def find_drift(work: TenantWork, run_id: RunId, *, now: datetime | None = None) -> DriftReport:
    """Look for drift, keep what is found, and tell what nobody was told before; recorded as the step `drift`.

    Args:
        work: The tenant's work, with its bounds and windows.
        run_id: The run in step_runs and logs.
        now: The current days end before that day; None: today.
    """
    with recorded(work, run_id, "drift", "") as done:
        report = insist(look_for_drift)(work.database, work.tenant, work.slug, work.drift, now=now)
        done(report.looked, "complete")
    for each in report.fresh:
        log.warning("drift.found", tenant=work.tenant, run_id=run_id, rule=each.finding.metric_name, subject_kind=each.finding.subject_kind,
                    finding_id=each.finding.finding_id, severity=each.finding.severity)  # fmt: skip
    return report
