"""A run is judged by what every stream said, and its failure by who is to blame."""

from typing import Any

import pytest

from pay_ready.errors import ConfigError, PartialError, PayReadyError, SourceAwayError, TransientError
from pay_ready.sources.outcome import RunOutcome
from pay_ready.sources.protocol import StreamDescriptor, TraceError

PEOPLE, CALLS = StreamDescriptor("people"), StreamDescriptor("calls")


def outcome(**but: Any) -> RunOutcome:
    return RunOutcome(**{"connector": "x==1", "exit_code": 0, "statuses": {PEOPLE: "COMPLETE", CALLS: "COMPLETE"}, **but})


def failed(kind: str, stream: StreamDescriptor | None = None) -> TraceError:
    return TraceError(f"said {kind}", kind, None, stream)


def test_success_needs_exit_zero_and_every_stream() -> None:
    """Neither exit code 0 nor COMPLETE suffices alone; an error message before a success does not undo it."""
    assert outcome().error() is None
    assert outcome(errors=(failed("transient_error"),)).error() is None
    assert not outcome(exit_code=1).succeeded
    assert not outcome(statuses={PEOPLE: "COMPLETE", CALLS: ""}).succeeded
    assert not outcome(timed_out=True).succeeded


@pytest.mark.parametrize(
    ("but", "kind", "text"),
    [
        ({"exit_code": 1, "errors": (failed("config_error"),)}, ConfigError, "said config_error"),
        ({"exit_code": 1, "errors": (failed("transient_error"),)}, SourceAwayError, "run again"),
        ({"exit_code": 1, "errors": (failed("system_error"),)}, PayReadyError, "said system_error"),
        ({"exit_code": 1, "errors": (failed("nonsense"),)}, PayReadyError, "said nonsense"),
        ({"exit_code": -9}, TransientError, "signal=9"),
        ({"exit_code": -15, "timed_out": True}, SourceAwayError, "fell silent"),
        ({"statuses": {PEOPLE: "COMPLETE", CALLS: "INCOMPLETE"}}, PartialError, "streams=calls"),
        ({"exit_code": 1, "last_fatal_log": "no disk"}, PayReadyError, "failed: no disk"),
        ({"exit_code": 2, "stderr": "usage: x\nx: error: what?\n"}, PayReadyError, "x: error: what?"),
        ({"exit_code": 3}, PayReadyError, "without a reason"),
        ({"exit_code": 1, "errors": (TraceError("long " * 500, "system_error"),)}, PayReadyError, "long…"),
    ],
)
def test_the_class_of_a_failure_says_whether_to_try_again(but: dict[str, Any], kind: type[PayReadyError], text: str) -> None:
    """Configuration, transience and the rest are told apart; the message names connector and reason."""
    error = outcome(**but).error()
    assert type(error) is kind
    assert text in str(error)
    assert "connector=x==1" in str(error)
    with pytest.raises(kind):
        outcome(**but).raise_for_failure()


def test_errors_of_streams_outrank_the_summary() -> None:
    """The CDK sums a failed read up as config_error, though only a time-out stopped a stream: that is worth a retry."""
    errors = (failed("transient_error", CALLS), failed("config_error"))
    assert type(outcome(exit_code=1, errors=errors).error()) is SourceAwayError
    worse = (failed("transient_error", CALLS), failed("config_error", PEOPLE))
    assert type(outcome(exit_code=1, errors=worse).error()) is ConfigError
