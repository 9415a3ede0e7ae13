"""No personal value reaches a log, by whatever path it comes."""

import io
import json
import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from uuid import UUID

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from pay_ready.logs import MASK, configure_logs, mask_personal

FIRST = ("Zelda", "Quincy", "Ottilie", "Bartholomew", "Xanthe", "Ignatius", "Wilhelmina", "Thaddeus", "Persephone", "Leopold")
LAST = ("Quackenbush", "Featherstone", "Ravenscroft", "Winterbottom", "Okonkwo")
NAMES = [f"{first} {last}" for first in FIRST for last in LAST]
CANARIES = [
    *NAMES,
    *(f"{name.replace(' ', '.').lower()}@canary{index}.example" for index, name in enumerate(NAMES)),
    *(f"+1 415 555 {index:04}" for index in range(1000, 1050)),
    *(f"canary-secret-{index:03}-Tr0ub4dor" for index in range(50)),
]


@pytest.fixture
def sink(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    """Standard error, with logs set up on it; put back afterwards."""
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    configure_logs("debug", "json")
    yield stream
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


def test_there_are_200_canaries() -> None:
    """The issue asks for 200."""
    assert len(set(CANARIES)) == 200


def test_no_canary_gets_through_any_path(sink: io.StringIO) -> None:
    """Bound keys, nested values, event text, exceptions, context variables, other libraries: nothing of 200 canaries shows."""
    log = structlog.get_logger()
    library = logging.getLogger("some.library")
    for canary in CANARIES:
        log.info("record.seen", email=canary, name=canary, note=canary, anything=canary, text=[canary, {"inner": canary}])
        log.warning(f"saw {canary}")
        log.bind(context={"deep": {"deeper": [canary]}}).error("record.failed", payload=canary.encode())
        log.info("record.keyed", **{canary: 1})
        with structlog.contextvars.bound_contextvars(user=canary):
            log.info("context.bound")
        library.warning("value %s", canary)
        library.error(f"value {canary}")
        try:
            raise ValueError(canary)
        except ValueError:
            log.exception("record.broke")
            library.exception("broke")
    written = sink.getvalue()
    assert [canary for canary in CANARIES if canary in written] == []


def test_what_a_log_is_for_gets_through(sink: io.StringIO) -> None:
    """Tenant, stream, ids, counts, seconds and the class of an error stay readable."""
    run_id = UUID("01938c1e-7d7a-7000-8000-000000000001")
    structlog.get_logger().info("stream.staged", tenant="acme", stream="contacts", run_id=run_id, rows=12, elapsed_s=0.5)
    line = json.loads(sink.getvalue())
    assert line["event"] == "stream.staged"
    assert (line["tenant"], line["stream"], line["run_id"], line["rows"], line["elapsed_s"]) == (
        "acme", "contacts", str(run_id), 12, 0.5,
    )  # fmt: skip


@given(key=st.text(min_size=1), value=st.text(min_size=1))
def test_text_passes_only_under_a_known_key(key: str, value: str) -> None:
    """Whatever the key, unknown text is masked: an allow-list, not a list of what is forbidden."""
    (masked,) = mask_personal(None, "info", {f"x{key}": value}).values()
    assert masked == MASK or UUID(str(masked))


def test_a_line_that_nobody_reads_ends_nothing() -> None:
    """Standard error whose reader was killed, or that was closed: the line is lost, and the work goes on."""
    script = (
        "import os, sys, structlog; from pay_ready.logs import configure_logs; configure_logs('info', 'json');"
        "os.close(int(sys.argv[1])); log = structlog.get_logger(); [log.info('step.ended', rows=n) for n in range(3)];"
        "print('through')"
    )
    reader, writer = os.pipe()
    command = [sys.executable, "-c", script, str(reader)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=writer, pass_fds=[reader], text=True)
    os.close(reader)
    os.close(writer)
    assert (process.communicate()[0], process.returncode) == ("through\n", 0)
