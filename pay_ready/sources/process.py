"""A connector as a process group of its own: started with little, read with patience, never left behind."""

import fcntl
import os
import selectors
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Self

from pay_ready.errors import NotFoundError
from pay_ready.sources.scratch import scratch_folder, write_private
from pay_ready.telemetry import measured_call

# The world outside that a connector may need to reach its API; nothing else of our environment is its business.
_PASSED_ON = (
    "PATH",
    *("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "all_proxy", "no_proxy"),
    *("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"),
)
_READ_BYTES = 1 << 20
_STDERR_BYTES = 64 << 10
_PIPE_BYTES = 1 << 20
_LOOK_S, _LAST_LOOK_S = 0.5, 0.02
# multiprocessing puts sockets below TMPDIR, and their paths may have 108 bytes.
_LONGEST_TMPDIR = 70


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectorCommand:
    """How to call a connector. Each run gets a scratch folder below `home`, which is its HOME and working folder."""

    argv: tuple[str, ...]
    name: str
    version: str
    home: Path
    environment: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.name}=={self.version}"


class ConnectorProcess:
    """One call of a connector: a context in which `chunks()` gives its standard output as it comes.

    Leaving the context, however, ends the whole process group. When we are killed ourselves, the connector dies of its
    broken pipe, and on Linux at once (where `setpriv` is; that signal comes when the *thread* that entered ends).
    """

    def __init__(
        self,
        command: ConnectorCommand,
        verb: str,
        files: Mapping[str, bytes],
        *,
        idle_timeout_s: float,
        shutdown_s: float = 5.0,
    ) -> None:
        self.exit_code: int | None = None  # negative: the signal that ended it
        self.timed_out = False
        self.stderr = b""  # the last 64 KiB of it
        self._command, self._verb, self._files = command, verb, files
        self._idle_timeout_s, self._shutdown_s = idle_timeout_s, shutdown_s
        self._silent_until = 0.0
        self._contexts = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as contexts, ExitStack() as until_started:
            contexts.enter_context(measured_call("connector", f"{self._command.name} {self._verb}", is_parent=False))
            self.folder = contexts.enter_context(scratch_folder(self._command.home))
            write_private(self.folder, {f"{name}.json": content for name, content in self._files.items()})
            # The write ends are the connector's alone: the stream is over when it closes them.
            self._stdout, stdout = _pipe(contexts, until_started)
            self._stderr, stderr = _pipe(contexts, until_started)
            self._process = self._start(stdout, stderr)
            contexts.callback(self._end)
            self._contexts = contexts.pop_all()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._contexts.close()

    def expect_silence(self, wait_s: float) -> None:
        """The connector said that it will wait this long: not a sign that it hangs."""
        self._silent_until = time.monotonic() + wait_s + self._idle_timeout_s

    def chunks(self) -> Iterator[bytes]:
        """Standard output as it comes, to its end; then `exit_code` is known.

        Only silence counts as idleness, not the time that the caller takes over a chunk: a slow caller slows the
        connector down through the pipe, and nothing is kept but the chunk at hand.
        """
        with selectors.DefaultSelector() as selector:
            selector.register(self._stdout, selectors.EVENT_READ)
            selector.register(self._stderr, selectors.EVENT_READ)
            yield from self._read(selector)
        self._end()

    def _read(self, selector: selectors.BaseSelector) -> Iterator[bytes]:
        heard_at, at_end = time.monotonic(), False
        while True:
            if gone := self._has_exited():
                # Its children may hold the pipe open. The dead write no more: what the pipe still holds is all.
                self._signal(signal.SIGKILL)
            ready = {key.fd for key, _ in selector.select(0 if gone else _LAST_LOOK_S if at_end else _LOOK_S)}
            if self._stderr in ready and not self._keep_stderr():
                selector.unregister(self._stderr)
            if self._stdout in ready:
                if chunk := os.read(self._stdout, _READ_BYTES):
                    yield chunk
                else:
                    selector.unregister(self._stdout)
                    at_end = True
                heard_at = time.monotonic()
            elif gone or (at_end and time.monotonic() > heard_at + self._shutdown_s):
                return
            elif time.monotonic() > max(heard_at + self._idle_timeout_s, self._silent_until):
                self.timed_out = True
                return

    def _keep_stderr(self) -> bool:
        piece = os.read(self._stderr, _READ_BYTES)
        self.stderr = (self.stderr + piece)[-_STDERR_BYTES:]
        return bool(piece)

    def _start(self, stdout: int, stderr: int) -> subprocess.Popen[bytes]:
        """Start it.

        Raises:
            NotFoundError: Its program is missing or may not be run.
        """
        program, *arguments = self._command.argv
        found = shutil.which(program)
        if found is None:
            hint = f"pay-ready connectors install {self._command}"
            raise NotFoundError("the connector's program is missing", hint, connector=self._command, program=program)
        named = [word for name in self._files for word in (f"--{name}", str(self.folder / f"{name}.json"))]
        return subprocess.Popen(
            [*_death_signal(), found, *arguments, self._verb, *named],
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
            cwd=self.folder,
            env=connector_environment(self.folder, self._command.environment),
            start_new_session=True,
        )

    def _end(self) -> None:
        """End the group and learn the exit code; once."""
        if self.exit_code is not None:
            return
        if not self._has_exited():
            self._signal(signal.SIGTERM)
            self._wait_for_exit(self._shutdown_s)
        # The leader is not reaped yet, so the group's number is still its own.
        self._signal(signal.SIGKILL)
        self.exit_code = self._process.wait()

    def _signal(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError, PermissionError):  # macOS: PermissionError for a group of zombies
            os.killpg(self._process.pid, number)

    def _wait_for_exit(self, limit_s: float) -> None:
        deadline = time.monotonic() + limit_s
        while not self._has_exited() and time.monotonic() < deadline:
            time.sleep(0.02)

    def _has_exited(self) -> bool:
        """Whether the leader is gone, without reaping it where the system can tell."""
        if not hasattr(os, "waitid"):  # macOS before Python 3.13
            return self._process.poll() is not None
        return os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def inherited_environment() -> dict[str, str]:
    """What a connector gets of our own environment. These are no settings of ours: who starts us sets them for all programs."""
    return {name: os.environ[name] for name in _PASSED_ON if name in os.environ}


def connector_environment(folder: Path, extra: Mapping[str, str]) -> dict[str, str]:
    """What a connector sees: the way to its programs and to the network, a home of its own, UTF-8 and UTC."""
    own = {"HOME": str(folder), "LANG": "C.UTF-8", "TZ": "UTC"}
    if len(os.fsencode(folder)) <= _LONGEST_TMPDIR:
        own["TMPDIR"] = str(folder)
    return inherited_environment() | own | dict(extra)


@cache
def _death_signal() -> tuple[str, ...]:
    """Words before a command that have the kernel kill it when we die; none where util-linux is missing or is BusyBox's."""
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        return ()
    words = (setpriv, "--pdeathsig", "KILL", "--")
    tried = subprocess.run([*words, "true"], capture_output=True, check=False)
    return words if tried.returncode == 0 else ()


def _pipe(reading: ExitStack, writing: ExitStack) -> tuple[int, int]:
    """A wide pipe, as read end and write end, each closed with its context."""
    read_end, write_end = os.pipe()
    reading.callback(os.close, read_end)
    writing.callback(os.close, write_end)
    if hasattr(fcntl, "F_SETPIPE_SZ"):
        # Room for some thousand messages at a time; a user with many pipes may be refused, and 64 KiB work, too.
        with suppress(PermissionError):
            fcntl.fcntl(read_end, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
    return read_end, write_end
