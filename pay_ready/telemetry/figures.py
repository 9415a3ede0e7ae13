"""The metrics of one process, in a registry of its own; prometheus_client is loaded by whoever makes one."""

import threading
from collections.abc import Callable, Mapping
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Summary, disable_created_metrics
from prometheus_client.gc_collector import GCCollector
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

from pay_ready.telemetry.measuring import Kind, Measured, Outcome

_SHORT_S = (0.005, 0.025, 0.1, 0.5, 2.5, 15.0)
_LONG_S = (1.0, 10.0, 60.0, 300.0, 1_800.0, 7_200.0)
_MOST_GROUPS = 60  # label values of a metric; what comes beyond is counted as "other"


class ProcessMetrics:
    """Counts what this process does. Labels are words of ours, and few: no tenant, no subject."""

    def __init__(self) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = CollectorRegistry(auto_describe=True)
        for collector in (ProcessCollector, PlatformCollector, GCCollector):
            collector(registry=self.registry)
        own: Any = {"registry": self.registry}
        long, short = {"buckets": _LONG_S, **own}, {"buckets": _SHORT_S, **own}
        waited, called = "Transactions, the wait for a connection included.", "Calls of services and connectors."
        self._metrics: Mapping[Kind, Histogram | Summary] = {
            "run": Histogram("pay_ready_process_run_duration_seconds", "Runs of this process.", ("flow", "outcome"), **long),
            "step": Histogram("pay_ready_process_step_duration_seconds", "Steps of this process.", ("step", "outcome"), **long),
            "transaction": Histogram("pay_ready_db_transaction_duration_seconds", waited, ("work", "outcome"), **short),
            "statement": Summary("pay_ready_db_statement_duration_seconds", "Statements, by their file.", ("aggregate", "outcome"), **own),
            "call": Histogram("pay_ready_external_call_duration_seconds", called, ("service", "outcome"), **short),
        }
        self._violations = Counter(
            "pay_ready_process_isolation_violations", "Times that this process was kept from crossing a tenant's boundary.", **own
        )
        self._groups: dict[Kind, set[str]] = {kind: set() for kind in self._metrics}
        self._lock = threading.Lock()

    def watch(self, name: str, says: str, read: Callable[[], float]) -> None:
        """A gauge that is read when somebody asks."""
        Gauge(name, says, registry=self.registry).set_function(read)

    def begun(self, measured: Measured) -> object:
        """Nothing is to be done."""

    def ended(self, measured: Measured, begun: object, seconds: float, outcome: Outcome, error: BaseException | None) -> None:  # noqa: ARG002
        """Count it."""
        self._metrics[measured.kind].labels(self._bounded(measured.kind, measured.group), outcome).observe(seconds)
        # A transaction that one ends in is the innermost place of it: counted there alone.
        if measured.kind == "transaction" and type(error).__name__ == "IsolationError":
            self._violations.inc()

    def _bounded(self, kind: Kind, group: str) -> str:
        groups = self._groups[kind]
        if group in groups:
            return group
        with self._lock:
            if len(groups) >= _MOST_GROUPS:
                return "other"
            groups.add(group)
            return group
