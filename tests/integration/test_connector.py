"""The connector runner against a scripted connector: every fault of its script ends as promised, and nothing is left behind."""

import json
import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from pay_ready.errors import ConfigError, NotFoundError, PartialError, PayReadyError, SourceAwayError, TransientError
from pay_ready.sources import connector, process
from pay_ready.sources.catalog import ConfiguredCatalog, StreamChoice, configure
from pay_ready.sources.connector import ConnectorCommand, ConnectorRun
from pay_ready.sources.outcome import RunOutcome
from pay_ready.sources.process import connector_environment
from pay_ready.sources.protocol import (
    Control,
    LenientRecord,
    Log,
    Message,
    NotProtocol,
    Oversized,
    Record,
    State,
    StreamDescriptor,
    TraceError,
)
from tests import scripted_source

KEY = "open-sesame/0815+4711"
PEOPLE, COMPANIES = StreamDescriptor("people"), StreamDescriptor("companies")


@pytest.fixture
def command(tmp_path: Path) -> ConnectorCommand:
    return ConnectorCommand(argv=scripted_source.ARGV, name="scripted", version="1", home=tmp_path / "connectors")


def catalog_of(command: ConnectorCommand, config: Mapping[str, Any], **choices: Any) -> ConfiguredCatalog:
    offered = connector.discover(command, config)
    return configure(offered, [StreamChoice(name=stream.name, **choices) for stream in offered.streams])


def read(
    command: ConnectorCommand, config: Mapping[str, Any], state: list[bytes] | None = None, **options: Any
) -> tuple[list[Message], RunOutcome]:
    """All messages of a read, and how it went."""
    with ConnectorRun(command, config, catalog_of(command, config), state or [], **options) as run:
        messages = [message for batch in run.batches() for message in batch]
    return messages, run.outcome


def rows(messages: list[Message]) -> list[tuple[str, Any]]:
    return [(message.stream, json.loads(bytes(message.data))) for message in messages if isinstance(message, Record)]


def gone(pid: int) -> bool:
    """Whether a process is over: reaped, or a zombie that nobody reaps in this container."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    except OSError:
        return True


def wait_until(done: Any, limit_s: float = 10.0) -> bool:
    deadline = time.monotonic() + limit_s
    while not done() and time.monotonic() < deadline:
        time.sleep(0.02)
    return bool(done())


def test_spec_check_discover(command: ConnectorCommand) -> None:
    """The three questions are answered; declared secrets are found in every alternative of the schema."""
    spec = connector.spec(command)
    assert spec.secret_keys == {"api_key", "api_token", "pin"}
    assert spec.secrets_in({"api_key": KEY, "auth": {"api_token": "t-1"}, "pin": 4711, "streams": {}}) == {KEY, "t-1", "4711"}
    assert connector.check(command, {}).succeeded
    assert [stream.name for stream in connector.discover(command, {"streams": {"a": 1, "b": 1}}).streams] == ["a", "b"]


def test_check_believes_the_answer_not_the_exit_code(command: ConnectorCommand) -> None:
    """FAILED with exit code 0 is a failure, and its reason comes without the secret."""
    outcome = connector.check(command, {"check": f"key {KEY} of ann@people.example is refused", "api_key": KEY})
    assert not outcome.succeeded
    assert outcome.message == "key *** of <email> is refused"


def test_a_whole_read(command: ConnectorCommand) -> None:
    """Records come in order and whole; streams complete; counts agree; the scratch folder is gone."""
    config: dict[str, Any] = {"streams": {"people": 1000, "companies": 30}, "state_every": 100}
    messages, outcome = read(command, config)
    expected = [
        (stream, scripted_source.row(config, stream, seq + 1)) for stream, count in config["streams"].items() for seq in range(count)
    ]
    assert rows(messages) == expected
    assert outcome.succeeded
    assert (outcome.records, outcome.states) == ({PEOPLE: 1000, COMPANIES: 30}, 11)
    assert [path.name for path in command.home.iterdir()] == [".lock"]


def test_a_resumed_read_goes_on(command: ConnectorCommand) -> None:
    """Killed in mid-read, a second read with the last state gives the rest: together every row, none twice but those after it."""
    config = {"streams": {"people": 300}, "state_every": 50, "fault": {"kind": "crash", "at": 120, "cut": True}}
    messages, outcome = read(command, config)
    assert type(outcome.error()) is TransientError
    assert outcome.exit_code == -signal.SIGKILL
    states = [message.raw for message in messages if isinstance(message, State)]
    # 120 messages: two statuses, 100 records with two states, 16 records.
    assert len(rows(messages)) == 116
    assert outcome.unreadable_records == 0
    rest, again = read(command, config | {"fault": []}, [states[-1]])
    assert again.succeeded
    assert [row["id"] for _, row in rows(rest)] == list(range(101, 301))


@pytest.mark.parametrize("kind", ["GLOBAL", "LEGACY"])
def test_other_states_resume_too(command: ConnectorCommand, kind: str) -> None:
    """A GLOBAL or LEGACY state goes back as it came."""
    config = {"streams": {"people": 40, "companies": 40}, "state_every": 10, "state_type": kind, "interleave": True}
    messages, _ = read(command, config)
    state = next(message for message in messages if isinstance(message, State) and message.record_count)
    rest, _ = read(command, config, [state.raw])
    assert 0 < len(rows(rest)) < 80
    assert state.streams == ((PEOPLE, COMPANIES) if kind == "GLOBAL" else ())


def test_odd_lines_stop_nothing(command: ConnectorCommand) -> None:
    """Banners, unknown types and unreadable records pass by as what they are; every good record arrives."""
    kinds = ("garbage", "unknown", "broken_record", "not_utf8", "odd_record", "deep_record", "stale_state", "stderr")
    config = {"streams": {"people": 60}, "state_every": 10, "fault": [{"kind": kind, "at": 35 + n} for n, kind in enumerate(kinds)]}
    messages, outcome = read(command, config)
    plain: list[Message] = [message for message in messages if type(message) is Record]
    assert outcome.succeeded
    assert [row["id"] for _, row in rows(plain) if row["id"] != "odd-3"] == list(range(1, 61))
    assert len(plain) == 61
    assert sum(isinstance(message, LenientRecord) for message in messages) == 2
    assert sum(isinstance(message, NotProtocol) and message.is_record for message in messages) == 3 == outcome.unreadable_records
    assert outcome.not_protocol == 5
    assert "noise" in outcome.stderr
    assert len(outcome.stderr) <= 64 << 10


def test_a_line_of_40_megabytes(command: ConnectorCommand) -> None:
    """A record above the memory limit arrives whole; a broken one comes as a file, which can be kept."""
    faults = [{"kind": "big_line", "at": 5}, {"kind": "big_line", "at": 6, "broken": True}]
    config = {"streams": {"people": 10}, "fault": faults}
    with ConnectorRun(command, config, catalog_of(command, config)) as run:
        sizes = []
        for batch in run.batches():
            sizes += [len(message.data) for message in batch if isinstance(message, Record)]
            for message in batch:
                if isinstance(message, Oversized):
                    assert message.is_record
                    assert message.path.stat().st_size == message.size_bytes > 40 << 20
    assert max(sizes) > 40 << 20
    assert len(sizes) == 11
    assert run.outcome.succeeded


def test_secrets_stay_inside(command: ConnectorCommand) -> None:
    """Whatever the connector logs, traces, prints or rotates: texts hold neither the old nor the new secret; Control does."""
    faults = [{"kind": "secret_log", "at": 4}, {"kind": "control", "at": 5, "new_key": "brand-new-key-42"}]
    config = {"streams": {"people": 10}, "api_key": KEY, "fault": faults}  # pragma: allowlist secret
    messages, outcome = read(command, config, secrets=frozenset({KEY}))
    (control,) = (message for message in messages if isinstance(message, Control))
    assert json.loads(control.config)["api_key"] == "brand-new-key-42"  # pragma: allowlist secret
    texts = [message for message in messages if isinstance(message, Log | TraceError | NotProtocol)]
    shown = repr([*texts, outcome, control, *(message.line for message in texts if isinstance(message, NotProtocol))])
    assert KEY not in shown
    assert "4711" not in shown
    assert "ann.abel@" not in shown
    later = config | {
        "fault": [faults[1], {"kind": "trace_error", "at": 6, "failure_type": "config_error", "message": "bad brand-new-key-42"}]
    }
    _, failed = read(command, later, secrets=frozenset({KEY}))
    assert str(failed.error()).startswith("bad *** - connector=scripted==1")


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        ({"kind": "trace_error", "at": 9, "failure_type": "config_error", "stream": "people"}, ConfigError),
        ({"kind": "trace_error", "at": 9, "failure_type": "transient_error"}, SourceAwayError),
        ({"kind": "trace_error", "at": 9, "failure_type": "system_error"}, PayReadyError),
        ({"kind": "exit", "at": 9, "code": 3}, PayReadyError),
        ({"kind": "exit", "at": 9, "code": 0}, PartialError),
        ({"kind": "crash", "at": 9}, TransientError),
        ({"kind": "incomplete", "stream": "people"}, PartialError),
    ],
)
def test_failures_are_told_apart(command: ConnectorCommand, fault: dict[str, Any], kind: type[PayReadyError]) -> None:
    """Every way to fail, exit code 0 included, ends in the class that says whether to try again."""
    config = {"streams": {"people": 30}, "fault": fault}
    _, outcome = read(command, config)
    assert type(outcome.error()) is kind
    assert outcome.incomplete == (PEOPLE,)


def test_a_connector_without_statuses_is_not_believed(command: ConnectorCommand) -> None:
    """Exit code 0 without any COMPLETE is no success."""
    _, outcome = read(command, {"streams": {"people": 5}, "statuses": False})
    assert (outcome.exit_code, outcome.succeeded, len(outcome.incomplete)) == (0, False, 1)


def test_silence_ends_the_connector(command: ConnectorCommand) -> None:
    """After the idle timeout the group is ended, even one that ignores SIGTERM; what was said before is delivered."""
    config = {"streams": {"people": 30}, "fault": {"kind": "hang", "at": 12, "ignore_sigterm": True}}
    with ConnectorRun(command, config, catalog_of(command, config), idle_timeout_s=2.0) as run:
        run._process._shutdown_s = 0.3
        messages = [message for batch in run.batches() for message in batch]
    assert len(rows(messages)) == 10
    assert run.outcome.timed_out
    assert run.outcome.exit_code == -signal.SIGKILL
    assert type(run.outcome.error()) is SourceAwayError


def test_a_known_rate_limit_is_waited_out(command: ConnectorCommand) -> None:
    """A source that says when its quota is back may be silent until then; one that does not may not."""
    pause = {"kind": "pause", "at": 12, "seconds": 3.0}
    config = {"streams": {"people": 30}, "fault": pause | {"quota_reset_s": 3.5}}
    _, patient = read(command, config, idle_timeout_s=2.0)
    assert patient.succeeded
    _, impatient = read(command, config | {"fault": pause}, idle_timeout_s=2.0)
    assert impatient.timed_out


@pytest.mark.parametrize("own_session", [False, True])
def test_a_child_that_holds_the_pipe_delays_nothing(command: ConnectorCommand, tmp_path: Path, own_session: bool) -> None:
    """When the connector is done, the run is, though a child of it holds the pipe open; the group's children die."""
    pid_file = tmp_path / "pid"
    orphan = {"kind": "orphan", "at": 3, "pid_file": str(pid_file), "own_session": own_session}
    began = time.monotonic()
    _, outcome = read(command, {"streams": {"people": 500}, "fault": orphan})
    assert outcome.succeeded
    assert outcome.records == {PEOPLE: 500}
    assert time.monotonic() - began < 20
    pid = int(pid_file.read_text())
    if own_session:
        os.kill(pid, signal.SIGKILL)
    assert wait_until(lambda: gone(pid))


@pytest.mark.parametrize("interruption", [RuntimeError, KeyboardInterrupt])
def test_our_exception_ends_the_group(command: ConnectorCommand, tmp_path: Path, interruption: type[BaseException]) -> None:
    """When the reader stops in the middle, connector and children die, and the files with secrets are gone."""
    pid_file = tmp_path / "pid"
    faults = [{"kind": "orphan", "at": 1, "pid_file": str(pid_file)}, {"kind": "hang", "at": 20}]
    config = {"streams": {"people": 100}, "fault": faults}
    catalog = catalog_of(command, config)

    def stop_in_the_middle() -> None:
        with ConnectorRun(command, config, catalog) as run:
            for batch in run.batches():
                if any(isinstance(message, Record) for message in batch):
                    raise interruption

    with pytest.raises(interruption):
        stop_in_the_middle()
    assert wait_until(lambda: gone(int(pid_file.read_text())))
    assert [path.name for path in command.home.iterdir()] == [".lock"]


READER = """
import sys
from pathlib import Path
sys.path.insert(0, {root!r})
from pay_ready.sources.catalog import configure
from pay_ready.sources.connector import ConnectorCommand, ConnectorRun, discover
command = ConnectorCommand(argv={argv!r}, name="scripted", version="1", home=Path({home!r}))
config = {config!r}
with ConnectorRun(command, config, configure(discover(command, config))) as run:
    for batch in run.batches():
        print(run._process._process.pid, flush=True)
"""


@pytest.fixture
def killed_reader(command: ConnectorCommand) -> Iterator[int]:
    """The pid of a connector whose reader was killed with SIGKILL while it hung."""
    config = {"streams": {"people": 100}, "api_key": KEY, "fault": {"kind": "hang", "at": 20}}
    root = str(Path(connector.__file__).parents[2])
    script = READER.format(root=root, argv=command.argv, home=str(command.home), config=config)
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as reader:
        assert reader.stdout is not None
        pid = int(reader.stdout.readline())
        reader.kill()
    yield pid
    if not gone(pid):
        os.kill(pid, signal.SIGKILL)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child of its parent's death")
def test_our_own_death_ends_the_connector(killed_reader: int, command: ConnectorCommand) -> None:
    """A killed reader leaves no connector, though this one writes nothing; its files go with the next call."""
    assert wait_until(lambda: gone(killed_reader))
    assert [path for path in command.home.glob("run-*") if (path / "config.json").exists()]
    connector.spec(command)
    assert list(command.home.glob("run-*")) == []


def test_files_are_private_and_the_environment_is_small(command: ConnectorCommand, monkeypatch: pytest.MonkeyPatch) -> None:
    """0600 in 0700; of our environment the connector sees the way to programs and network, and no key."""
    monkeypatch.setenv("PAY_READY_SECRET_KEY", "canary")
    monkeypatch.setenv("HTTPS_PROXY", "http://user:proxy-pass@proxy.example:3128")  # pragma: allowlist secret
    seen = connector_environment(Path("/scratch"), {"EXTRA": "1"})
    assert set(seen) <= {"HOME", "LANG", "TZ", "TMPDIR", "EXTRA", *process._PASSED_ON}
    assert not [name for name in seen if name.startswith("PAY_READY")]
    assert connector.check(command, {"check": "proxy-pass is refused by the proxy"}).message == "*** is refused by the proxy"
    assert (seen["HOME"], seen["LANG"], seen["TZ"]) == ("/scratch", "C.UTF-8", "UTC")
    config = {"streams": {"people": 5}, "api_key": KEY}
    with ConnectorRun(command, config, catalog_of(command, config)) as run:
        folder = run._process.folder
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.glob("*.json")}
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert modes == {"config.json": 0o600, "catalog.json": 0o600}


def test_two_runs_share_a_home(command: ConnectorCommand) -> None:
    """A run that begins removes no folder of a run that goes on."""
    config = {"streams": {"people": 20_000}}
    catalog = catalog_of(command, config)
    with ConnectorRun(command, config, catalog) as slow:
        batches = slow.batches()
        next(batches)
        with ConnectorRun(command, config, catalog) as fast:
            assert sum(len(batch) for batch in fast.batches())
        assert slow._process.folder.exists()
        for _ in batches:
            pass
    assert slow.outcome.succeeded
    assert fast.outcome.succeeded


def test_batches_are_small(command: ConnectorCommand) -> None:
    """40 MB of records come in batches of about a megabyte: what is in memory does not grow with what there is to read."""
    config = {"streams": {"people": 20_000}, "width": 2000}
    with ConnectorRun(command, config, catalog_of(command, config)) as run:
        sizes = [sum(len(message.data) for message in batch if isinstance(message, Record)) for batch in run.batches()]
    assert sum(sizes) > 40_000_000
    assert max(sizes) < 3 << 20


def test_a_missing_connector_is_named(tmp_path: Path) -> None:
    """The error says which program is missing and how to install it."""
    absent = ConnectorCommand(argv=("/nowhere/source-x",), name="airbyte-source-x", version="2.0", home=tmp_path)
    with pytest.raises(NotFoundError, match=r"pay-ready connectors install airbyte-source-x==2\.0"):
        connector.spec(absent)


def test_no_answer_is_an_error(command: ConnectorCommand) -> None:
    """A program that is no connector gives an error that names what was expected, or its last words."""
    mute = ConnectorCommand(argv=(sys.executable, "-c", "pass"), name="mute", version="1", home=command.home)
    with pytest.raises(PayReadyError, match="expected=Spec"):
        connector.spec(mute)
    loud = ConnectorCommand(argv=(sys.executable, "-c", "raise SystemExit('not today')"), name="loud", version="1", home=command.home)
    with pytest.raises(PayReadyError, match="not today"):
        connector.check(loud, {})


def test_outcome_only_after_the_end(command: ConnectorCommand) -> None:
    """While the connector runs there is no outcome to be mistaken for one."""
    config = {"streams": {"people": 5}}
    run = ConnectorRun(command, config, catalog_of(command, config))
    with pytest.raises(PayReadyError, match="still running"), run:
        _ = run.outcome
