"""What a process does, for metrics and traces: runs, steps, transactions, statements, calls of other services.

Off unless the composition root turns it on: then nothing is imported, and what is measured costs a look at one variable.
"""

from pay_ready.telemetry.measuring import (
    Measured,
    Sink,
    is_on,
    measured_call,
    measured_run,
    measured_statement,
    measured_step,
    measured_transaction,
    sinks,
    use_sinks,
)
from pay_ready.telemetry.tenant_label import tenant_hash

__all__ = [
    "Measured",
    "Sink",
    "is_on",
    "measured_call",
    "measured_run",
    "measured_statement",
    "measured_step",
    "measured_transaction",
    "sinks",
    "tenant_hash",
    "use_sinks",
]
