"""What every child has loaded when it is forked (`children`)."""

from pay_ready.memory.language import language_of
from tests.faults import (  # noqa: F401
    backfill_child,
    erase_child,
    index_child,
    landing_child,
    platform_child,
    resolve_child,
    retention_child,
    rollback_child,
    tables_child,
    waiting_child,
)

language_of("A sentence that has the model of languages loaded")
