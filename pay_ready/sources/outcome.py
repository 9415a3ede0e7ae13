"""How a connector's read went: exit code 0 is not success, every stream must have said COMPLETE."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from pay_ready.errors import ConfigError, PartialError, PayReadyError, SourceAwayError, TransientError
from pay_ready.sources.protocol import StreamDescriptor, TraceError

_SHOWN_CHARACTERS = 500
_AGAIN = "run again: it goes on after the last checkpoint"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOutcome:
    """What a finished run left behind. Texts are masked."""

    connector: str
    exit_code: int  # negative: the signal that ended it
    timed_out: bool = False
    statuses: Mapping[StreamDescriptor, str] = field(default_factory=dict)  # the last one of each configured stream; "" is none
    errors: tuple[TraceError, ...] = ()
    records: Mapping[StreamDescriptor, int] = field(default_factory=dict)  # readable ones
    states: int = 0
    logs: Mapping[str, int] = field(default_factory=dict)  # by level
    last_fatal_log: str = ""
    not_protocol: int = 0
    unreadable_records: int = 0
    stderr: str = ""  # the last 64 KiB

    @property
    def incomplete(self) -> tuple[StreamDescriptor, ...]:
        """The streams that did not say COMPLETE."""
        return tuple(stream for stream, status in self.statuses.items() if status != "COMPLETE")

    @property
    def succeeded(self) -> bool:
        """Exit code 0 and every stream complete."""
        return self.exit_code == 0 and not self.incomplete and not self.timed_out

    def error(self) -> PayReadyError | None:
        """Why the run failed, in the class that says whether to try again; nothing after a success.

        What the connector blames on its configuration is a ConfigError, what it calls transient a TransientError, as is
        a silence and a death by signal; the rest may be either and is a PayReadyError. Streams that say INCOMPLETE
        without any error make a PartialError: the others keep their checkpoints.
        """
        if self.succeeded:
            return None
        if self.errors:
            return self._named_by_connector()
        if self.timed_out:
            return SourceAwayError("the connector fell silent and was ended", _AGAIN, connector=self.connector)
        if self.exit_code < 0:
            return TransientError("the connector was killed", _AGAIN, connector=self.connector, signal=-self.exit_code)
        if self.exit_code == 0:
            hint = "run again: the other streams keep what they landed"
            return PartialError("not every stream is complete", hint, connector=self.connector, streams=_names(self.incomplete))
        reason = self.last_fatal_log or self.stderr.strip().rpartition("\n")[2]
        return PayReadyError(
            f"the connector failed: {_shown(reason)}" if reason else "the connector failed without a reason",
            connector=self.connector,
            exit_code=self.exit_code,
        )

    def raise_for_failure(self) -> None:
        """Raise what `error` gives.

        Raises:
            PayReadyError: The run failed.
        """
        if error := self.error():
            raise error

    def _named_by_connector(self) -> PayReadyError:
        cause = decisive_error(self.errors)
        message = _shown(cause.message) or "an error without a message"
        stream = str(cause.stream or "all")
        match cause.failure_type:
            case "config_error":
                hint = "correct the source's configuration, then pay-ready sources check"
                return ConfigError(message, hint, connector=self.connector, stream=stream)
            case "transient_error":
                return SourceAwayError(message, _AGAIN, connector=self.connector, stream=stream)
            case _:
                return PayReadyError(message, connector=self.connector, stream=stream)


def decisive_error(errors: tuple[TraceError, ...]) -> TraceError:
    """The error that decides whether a retry helps: configuration before system before transient, the first of its kind.

    Errors of streams outrank those of the whole: the CDK ends a failed read with a summary that it always calls
    config_error, whatever stopped the streams.
    """
    by_stream = tuple(error for error in errors if error.stream)
    order = ("config_error", "system_error", "transient_error")
    ranked = by_stream or errors
    return min(ranked, key=lambda error: order.index(error.failure_type) if error.failure_type in order else 1)


def _names(streams: tuple[StreamDescriptor, ...]) -> str:
    return ", ".join(map(str, streams))


def _shown(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _SHOWN_CHARACTERS else line[:_SHOWN_CHARACTERS].rstrip() + "…"
