"""Whether drift is found where it is, and how long that takes.

    python -m tests.benchmarks.drift [--series 10000] [--accounts 1000] [--interactions 260000]

First simulated series (tests/drift_support.py): seasons of the week, days like those before them, holiday weeks in a fifth of the current
windows, late data and huge outliers in three of ten. Told are recall (severity of 0.5) of shifts by 2 standard deviations with a hundred
observations or more, and false alarms in a thousand stable series-weeks; the bars are 0.95 and one critical.

Then a tenant made by SQL: that many accounts and interactions over 104 days with sentiment, threads, turns, people and syncs; told are the
seconds of a look at six figures of each account, source and of the tenant; the bar is 20 s for 1,000 accounts on two idle cores. Uses the
server that PAY_READY_TEST_ADMIN_URL and PAY_READY_TEST_APP_URL name, else the embedded one, in a database of its own.
"""

import argparse
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import psycopg

from pay_ready.model.ids import TenantId
from pay_ready.pipeline.drift.find import look_for_drift
from pay_ready.pipeline.drift.options import DriftOptions
from pay_ready.pipeline.drift.shift import shift_of
from tests.benchmarks.landing import migrated, running_server
from tests.conftest import cloned, make_tenant
from tests.drift_support import FORMS, fill_drift, simulated

RECALL, FALSE_CRITICAL, MOST_S = 0.95, 1.0, 20.0


def main() -> int:
    """Print figures beside their bars; 1 when one is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--series", type=int, default=10_000)
    parser.add_argument("--accounts", type=int, default=1_000)
    parser.add_argument("--interactions", type=int, default=260_000)
    words = parser.parse_args()
    is_right = simulate(words.series)
    return 0 if look(words.accounts, words.interactions) and is_right else 1


def simulate(count: int) -> bool:
    """Recall and false alarms of each form, and of all."""
    found, critical, weeks = [], 0, 0
    for form in FORMS:
        random = np.random.default_rng(20260301)
        stable = [shift.severity for _ in range(count) if (shift := shift_of(simulated(random, form)))]
        high, false = (1000 * sum(each >= bound for each in stable) / len(stable) for bound in (0.5, 0.7))
        critical, weeks = critical + sum(each >= 0.7 for each in stable), weeks + len(stable)
        recalls = []
        for sd in (2.0, -2.0):
            series = [simulated(random, form, shift_sd=sd, holidays=False) for _ in range(count // 10)]
            seen = [shift.severity >= 0.5 for each in series if each.current_count >= 100 and (shift := shift_of(each))]
            found += seen
            recalls.append(sum(seen) / len(seen))
        alarms = f"of 1,000 stable series-weeks {high:.1f} high, {false:.2f} critical"
        print(f"{form:6} recall at +2 sd {recalls[0]:.3f}, at -2 sd {recalls[1]:.3f}; {alarms}")
    recall, false = sum(found) / len(found), 1000 * critical / weeks
    print(f"all    recall {recall:.3f} (bar {RECALL}), false critical {false:.2f} of 1,000 (bar {FALSE_CRITICAL})")
    return recall >= RECALL and false <= FALSE_CRITICAL


def look(accounts: int, interactions: int) -> bool:
    """Seconds of a look."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        server = stack.enter_context(running_server(folder))
        scratch = stack.enter_context(cloned(server, None))
        database = stack.enter_context(migrated(scratch))
        tenant: TenantId = make_tenant(database, "bench")
        with psycopg.connect(scratch.admin_url, autocommit=True) as admin:
            began = time.perf_counter()
            now = fill_drift(admin, tenant, accounts=accounts, interactions=interactions)
            print(f"made {interactions:,} interactions of {accounts:,} accounts in {time.perf_counter() - began:.0f} s")
        report = look_for_drift(database, tenant, "bench", DriftOptions(), now=now)
    parts = ", ".join(f"{metric} {seconds:.1f}" for metric, seconds in report.seconds_by_metric.items())
    print(f"look   {report.seconds:.1f} s (bar {MOST_S:g}), {report.looked:,} series judged, {len(report.found)} found: {parts}")
    return report.seconds <= MOST_S


if __name__ == "__main__":
    sys.exit(main())
