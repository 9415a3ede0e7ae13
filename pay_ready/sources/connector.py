"""Any Airbyte connector, asked and read over the protocol: spec, check, discover, read."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from time import time
from types import TracebackType
from typing import Self, TypeVar
from urllib.parse import urlsplit

from msgspec import json

from pay_ready.errors import ContractError, PayReadyError
from pay_ready.sources.catalog import ConfiguredCatalog
from pay_ready.sources.lines import LineLimits, LineReader
from pay_ready.sources.masking import Masker, keys_of, parsed, secret_values
from pay_ready.sources.outcome import RunOutcome
from pay_ready.sources.process import ConnectorCommand, ConnectorProcess, inherited_environment
from pay_ready.sources.protocol import (
    Catalog,
    ConnectionStatus,
    Control,
    Log,
    Message,
    NotProtocol,
    Oversized,
    Record,
    Spec,
    State,
    StreamDescriptor,
    StreamStatus,
    TraceError,
)

__all__ = ["CheckOutcome", "ConnectorCommand", "ConnectorRun", "ConnectorSpec", "Keep", "check", "discover", "spec"]

Config = Mapping[str, object]
# Takes the whole configuration, as JSON, when the connector changed it: it used up a token that works once, and has the next one.
Keep = Callable[[bytes], None]
Answer = TypeVar("Answer", Spec, ConnectionStatus, Catalog)

ASK_TIMEOUT_S = 300.0
READ_TIMEOUT_S = 1800.0
# However far in the future a source sees its quota again: later, a retry from the checkpoint is the better way to wait.
LONGEST_WAIT_S = 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectorSpec:
    """What a connector wants to know: a JSON schema, and the keys in it that are declared secret."""

    connection_specification: bytes
    secret_keys: frozenset[str]
    documentation_url: str | None = None
    protocol_version: str | None = None

    def secrets_in(self, config: Config) -> frozenset[str]:
        """The values of a configuration that must not be seen."""
        return secret_values(config, self.secret_keys)


@dataclass(frozen=True, slots=True)
class CheckOutcome:
    """Whether a configuration works; `message` is the connector's reason, masked."""

    succeeded: bool
    message: str


def spec(command: ConnectorCommand, *, idle_timeout_s: float = ASK_TIMEOUT_S) -> ConnectorSpec:
    """What the connector wants to know.

    Raises:
        NotFoundError: The connector is not installed.
        PayReadyError: It gives no specification; the class says whether trying again may help.
    """
    said = _ask(_Call(command, "spec", idle_timeout_s=idle_timeout_s), Spec)
    keys = frozenset(_secret_keys(json.decode(said.connection_specification)))
    return ConnectorSpec(
        connection_specification=said.connection_specification,
        secret_keys=keys,
        documentation_url=said.documentation_url,
        protocol_version=said.protocol_version,
    )


def check(
    command: ConnectorCommand,
    config: Config,
    *,
    secrets: frozenset[str] = frozenset(),
    idle_timeout_s: float = ASK_TIMEOUT_S,
    keep: Keep | None = None,
) -> CheckOutcome:
    """Whether the connector reaches its source. The answer counts, not the exit code, which is 0 for bad configurations, too.

    `keep` is told at once when the connector changed its configuration; who loses that may be locked out.

    Raises:
        NotFoundError: The connector is not installed.
        PayReadyError: It gives no answer; the class says whether trying again may help.
    """
    call = _Call(command, "check", config, secrets=secrets, idle_timeout_s=idle_timeout_s)
    said = _ask(call, ConnectionStatus, keep)
    return CheckOutcome(said.succeeded, said.message)


def discover(
    command: ConnectorCommand,
    config: Config,
    *,
    secrets: frozenset[str] = frozenset(),
    idle_timeout_s: float = ASK_TIMEOUT_S,
    keep: Keep | None = None,
) -> Catalog:
    """The streams that the source offers; `keep` as for `check`.

    Raises:
        NotFoundError: The connector is not installed.
        PayReadyError: It gives no catalog; the class says whether trying again may help.
    """
    return _ask(_Call(command, "discover", config, secrets=secrets, idle_timeout_s=idle_timeout_s), Catalog, keep)


class _Call:
    """One call of a connector as a context: its messages, masked and counted on their way through."""

    def __init__(
        self,
        command: ConnectorCommand,
        verb: str,
        config: Config | None = None,
        *,
        files: Mapping[str, bytes] | None = None,
        secrets: frozenset[str] = frozenset(),
        idle_timeout_s: float,
        limits: LineLimits | None = None,
    ) -> None:
        self._command, self._limits = command, limits
        configured = {} if config is None else {"config": json.encode(config)}
        self._process = ConnectorProcess(command, verb, configured | dict(files or {}), idle_timeout_s=idle_timeout_s)
        self._secret_keys = keys_of(config, secrets)
        self._masker = Masker(secrets | secret_values(config) | frozenset(_proxy_passwords(inherited_environment())))
        self._tally = _Tally()

    def __enter__(self) -> Self:
        self._process.__enter__()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._process.__exit__(kind, error, trace)

    def batches(self) -> Iterator[list[Message]]:
        """The messages as they come, in the order of emission, some thousands at a time.

        Nothing is read ahead: a slow caller slows the connector down. Texts are masked; records and states are as
        emitted, and a Control message holds the new secrets that it is there to bring.
        """
        reader = LineReader(self._process.folder, self._limits)
        for chunk in self._process.chunks():
            for messages in reader.feed(chunk):
                yield self._observed(messages)
        if last := reader.finish():
            yield self._observed(last)

    @property
    def outcome(self) -> RunOutcome:
        """How the call went, once its messages are read or its context is left.

        Raises:
            PayReadyError: It is still under way.
        """
        if self._process.exit_code is None:
            raise PayReadyError("the connector is still running", "read its messages first", connector=self._command)
        return self._tally.outcome(self._command, self._process, self._masker)

    def _observed(self, messages: list[Message]) -> list[Message]:
        """Count the messages, and replace what must not be seen as it is."""
        others = self._tally.add(messages)
        for place in others:
            message = messages[place]
            if isinstance(message, Control):
                self._masker.add(secret_values(parsed(message.config), self._secret_keys))
            elif isinstance(message, StreamStatus) and message.rate_limited:
                self._expect_silence(message)
            messages[place] = shown = _masked(message, self._masker)
            self._tally.note(shown)
        return messages

    def _expect_silence(self, status: StreamStatus) -> None:
        if status.quota_reset_ms:
            self._process.expect_silence(min(max(0.0, status.quota_reset_ms / 1000 - time()), LONGEST_WAIT_S))


class ConnectorRun(_Call):
    """A read: `with ConnectorRun(…) as run: for messages in run.batches(): …`, then `run.outcome`.

    The connector runs in a process group of its own, which ends with the context, whatever ends it. `state` holds the
    raw states to go on from. After `idle_timeout_s` seconds of silence (a rate limit with a known end is waited out)
    the connector is ended, and the outcome says so.
    """

    def __init__(
        self,
        command: ConnectorCommand,
        config: Config,
        catalog: ConfiguredCatalog,
        state: Sequence[bytes] = (),
        *,
        idle_timeout_s: float = READ_TIMEOUT_S,
        secrets: frozenset[str] = frozenset(),
        limits: LineLimits | None = None,
    ) -> None:
        files = {"catalog": catalog.to_json()}
        if state:
            files["state"] = b"[" + b",".join(state) + b"]"
        super().__init__(command, "read", config, files=files, secrets=secrets, idle_timeout_s=idle_timeout_s, limits=limits)
        self._tally.statuses = dict.fromkeys(catalog.descriptors, "")


class _Tally:
    """What a call's messages add up to."""

    def __init__(self) -> None:
        self.statuses: dict[StreamDescriptor, str] = {}
        self._records: Counter[tuple[str | None, str]] = Counter()
        self._logs: Counter[str] = Counter()
        self._errors: list[TraceError] = []
        self._last_fatal_log = ""
        self._states = self._not_protocol = self._unreadable_records = 0

    def add(self, messages: list[Message]) -> list[int]:
        """Count the records, and say where the other messages are."""
        records, others = self._records, []
        for place, message in enumerate(messages):
            if isinstance(message, Record):
                records[message.namespace, message.stream] += 1
            else:
                others.append(place)
        return others

    def note(self, message: Message) -> None:
        """Count a message that is no record, already masked."""
        match message:
            case State():
                self._states += 1
            case StreamStatus(stream=stream, status=status):
                self.statuses[stream] = status
            case TraceError():
                self._errors.append(message)
            case Log(level=level, message=text):
                self._logs[level] += 1
                if level in ("FATAL", "ERROR"):
                    self._last_fatal_log = text
            case NotProtocol(is_record=True) | Oversized(is_record=True):
                self._unreadable_records += 1
            case NotProtocol() | Oversized():
                self._not_protocol += 1
            case _:
                pass

    def outcome(self, command: ConnectorCommand, process: ConnectorProcess, masker: Masker) -> RunOutcome:
        return RunOutcome(
            connector=str(command),
            exit_code=process.exit_code or 0,
            timed_out=process.timed_out,
            statuses=dict(self.statuses),
            errors=tuple(self._errors),
            records={StreamDescriptor(name, namespace): count for (namespace, name), count in self._records.items()},
            states=self._states,
            logs=dict(self._logs),
            last_fatal_log=self._last_fatal_log,
            not_protocol=self._not_protocol,
            unreadable_records=self._unreadable_records,
            stderr=masker(process.stderr.decode("utf-8", "backslashreplace")),
        )


def _ask(call: _Call, kind: type[Answer], keep: Keep | None = None) -> Answer:
    """The answer of a connector to a question. All its output is read: it may have more to say on how it failed."""
    answer: Answer | None = None
    with call:
        for messages in call.batches():
            for message in messages:
                if isinstance(message, Control) and keep is not None:
                    keep(message.config)
                elif answer is None and isinstance(message, kind):
                    answer = message
    if answer is None:
        missing = ContractError("the connector gave no answer", connector=call.outcome.connector, expected=kind.__name__)
        raise call.outcome.error() or missing
    return answer


def _masked(message: Message, masker: Masker) -> Message:
    match message:
        case Log(message=text, stack_trace=trace):
            return replace(message, message=masker(text), stack_trace=trace and masker(trace))
        case TraceError(message=text, internal_message=internal):
            return replace(message, message=masker(text), internal_message=internal and masker(internal))
        case ConnectionStatus(message=text):
            return replace(message, message=masker(text))
        # A record that cannot be read is a row, not a text, and goes to quarantine as it is.
        case NotProtocol(line=line, is_record=False):
            return replace(message, line=masker.line(line))
        case _:
            return message


def _secret_keys(schema: object) -> Iterator[str]:
    """The names of properties marked `airbyte_secret`, however deep and in whatever alternative."""
    match schema:
        case {"properties": dict() as properties, **others}:
            for name, inner in properties.items():
                if isinstance(inner, dict) and inner.get("airbyte_secret"):
                    yield name
            yield from _secret_keys([*properties.values(), others])
        case dict():
            yield from _secret_keys(list(schema.values()))
        case list():
            for inner in schema:
                yield from _secret_keys(inner)


def _proxy_passwords(environment: Mapping[str, str]) -> Iterator[str]:
    for value in environment.values():
        with suppress(ValueError):
            if password := urlsplit(value).password:
                yield password
