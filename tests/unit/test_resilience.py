"""Retries tell what was called and why, and nothing of what it was called with."""

import io
import json
import logging
import sys

import pytest
import structlog

from pay_ready.errors import PayReadyError, RetryLaterError, TransientError
from pay_ready.logs import configure_logs
from pay_ready.resilience import insist, transient_retries

CANARY = "ottilie.ravenscroft@canary.example"
QUICK = {"timeout_s": 5.0, "wait_initial_s": 0.001, "wait_max_s": 0.001, "wait_jitter_s": 0.0}


def read_people(failures: list[Exception], email: str, *, name: str) -> str:
    """Fails as often as it is told to, with the argument in the error."""
    if failures:
        raise failures.pop()
    return f"{name} <{email}>"


def test_a_retry_logs_no_argument(monkeypatch: pytest.MonkeyPatch) -> None:
    """The line has the function, the attempt, the wait and the error's class; no canary of the arguments or of the error's text."""
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    configure_logs("debug", "json")
    try:
        failures: list[Exception] = [TransientError(f"no answer about {CANARY}")] * 2
        assert transient_retries(read_people, attempts=3, **QUICK)(failures, CANARY, name=CANARY) == f"{CANARY} <{CANARY}>"
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
        structlog.reset_defaults()
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [(line["event"], line["step"].rsplit(".", 1)[-1], line["attempt"], line["error_class"]) for line in lines] == [
        ("call.retried", "read_people", 1, "TransientError"),
        ("call.retried", "read_people", 2, "TransientError"),
    ]
    assert "canary" not in stream.getvalue()


def test_only_what_may_succeed_later_is_tried_again() -> None:
    """Any other error is raised at once, a transient one after the last attempt."""
    lasting: list[Exception] = [TransientError("later"), PayReadyError("never")]
    with pytest.raises(PayReadyError, match="never"):
        transient_retries(read_people, attempts=3, **QUICK)(lasting, "", name="")
    transient: list[Exception] = [TransientError("later")] * 5
    with pytest.raises(TransientError):
        transient_retries(read_people, attempts=3, **QUICK)(transient, "", name="")
    assert (len(lasting), len(transient)) == (1, 2)


def test_a_short_transaction_is_insisted_on() -> None:
    """Three calls for a mishap; whoever asks to come back later is asked once."""
    mishaps: list[Exception] = [TransientError("lost")] * 2
    assert insist(read_people)(mishaps, "a@b.example", name="A") == "A <a@b.example>"
    mishaps = [TransientError("lost")] * 4
    with pytest.raises(TransientError, match="lost"):
        insist(read_people)(mishaps, "", name="")
    held: list[Exception] = [RetryLaterError("held")] * 2
    with pytest.raises(RetryLaterError):
        insist(read_people)(held, "", name="")
    assert (len(mishaps), len(held)) == (1, 1)
