"""How long a reviewer waits: for the next pair, for an answer to be kept, for it to be taken back.

    python -m tests.benchmarks.review [people.parquet] [--records 5000] [--pairs 300]

People as in `increments`. Uses the server that PAY_READY_TEST_ADMIN_URL and PAY_READY_TEST_APP_URL name, else an embedded one with its
shipped settings (each answer is flushed to disk). Prints p50, p95 and the most in milliseconds.
"""

import argparse
import logging
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import TypeVar

import numpy as np
import structlog

from pay_ready.db.tenancy import Database, PoolOptions
from pay_ready.errors import ConflictError
from pay_ready.pipeline.review.auto import review_automatically
from pay_ready.pipeline.review.desk import Desk, ReviewRules
from pay_ready.pipeline.review.queue import Queue, ranked
from pay_ready.pipeline.review.stats import review_stats
from pay_ready.pipeline.review.words import decide, undo
from tests.benchmarks.increments import people_from
from tests.benchmarks.landing import migrated, running_server
from tests.conftest import cloned, make_tenant
from tests.publish_support import Staged, add_people, config, resolve, stage

Found = TypeVar("Found")


def timed(spans: list[float], work: Callable[[], Found]) -> Found:
    """The outcome; how long it took goes to the spans."""
    began = time.perf_counter()
    found = work()
    spans.append(time.perf_counter() - began)
    return found


def told(name: str, spans: list[float]) -> None:
    """One line."""
    half, most = np.percentile(spans, (50, 95)) * 1_000
    sys.stdout.write(f"{name:28} p50 {half:7.1f} ms  p95 {most:7.1f} ms  most {max(spans) * 1_000:7.1f} ms  ({len(spans)})\n")


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("people", nargs="?")
    parser.add_argument("--records", type=int, default=5_000)
    parser.add_argument("--pairs", type=int, default=300)
    asked = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    people = people_from(asked.people, asked.records)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        scratch = stack.enter_context(cloned(stack.enter_context(running_server(folder / "embedded")), None))
        database = stack.enter_context(migrated(scratch))
        tenant = make_tenant(database, "bench")
        stage(scratch.admin_url, tenant, Staged())
        add_people(scratch.admin_url, tenant, people)
        report = resolve(database, tenant)
        sys.stdout.write(f"{len(people):,} records, {report.people.edges:,} links\n")
        alone = Database(scratch.app_url, PoolOptions(max_size=1, overflow=0))
        alone.open()
        desk = Desk(database=alone, tenant=tenant, actor="bench", resolution=config(), rules=ReviewRules())
        spans: list[float] = []
        waiting = timed(spans, lambda: ranked(desk, None, 100_000, every_pair=True))
        told(f"queue ranked ({len(waiting):,} pairs)", spans)
        queue, nexts, kept, taken = Queue(desk), list[float](), list[float](), list[float]()
        for _ in range(20):
            timed(nexts, queue.next)
        for number, each in enumerate(waiting[: asked.pairs]):
            try:
                pair, verdict = each.pair, "no_match" if number % 3 else "match"
                said = timed(kept, lambda: decide(desk, pair, verdict))  # type: ignore[arg-type]  # noqa: B023
            except ConflictError:
                continue
            if number % 5 == 0:
                decision = said.decision
                timed(taken, lambda: undo(desk, decision.decision_id))  # noqa: B023
        told("next pair, all shown", nexts)
        told("answer kept", kept)
        told("answer taken back", taken)
        spans = []
        automatic = timed(spans, lambda: review_automatically(desk, most=2_000))
        told(f"automatic ({automatic.looked_at:,} pairs)", spans)
        spans = []
        timed(spans, lambda: review_stats(desk))
        told("figures", spans)
        alone.close()


if __name__ == "__main__":
    main()
