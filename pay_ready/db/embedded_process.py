"""The life of the embedded server: initdb, start, whether it answers, stop. Whoever changes it holds the start lock.

No pid is read from a file. That a process of the server lives is said by `server.lock`, which all of them inherited;
which one is the postmaster, by the kernel: it is the process that listens on the socket.
"""

import os
import re
import shutil
import signal
import socket
import struct
import sys
import time
from contextlib import suppress
from enum import Enum
from pathlib import Path

import structlog
from psycopg.pq import PGconn, Ping

from pay_ready.db import embedded_locks as locks
from pay_ready.db.embedded_layout import PORT, SUPERUSER, Layout, open_log, password, write_once
from pay_ready.db.embedded_runner import Footing, Runner, own
from pay_ready.errors import ConfigError, PayReadyError, RetryLaterError

RECOVERY_S = 300.0  # replaying the log after a crash; the server answers "starting up" all the while
SILENCE_S = 30.0  # alive without listening: between fork and listen, or the last backends of a killed postmaster
STOP_S = 60.0  # a fast shutdown writes a checkpoint of at most shared_buffers
UNKNOWN_S = 10.0  # from its start until it listens, and so can be told to stop
LINE_PREFIX = re.compile(r"^\d{4}-\d\d-\d\d .*?\[\d+\] ")
COMPLAINTS = ("FATAL:", "PANIC:", "error:")
# What a server that is on its way tells those who knock too early.
PASSING = ("is starting up", "is shutting down", "not yet accepting connections", "in recovery mode")

SETTINGS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "max_connections": "100",
    "max_wal_size": "4GB",
    # After a checkpoint the first change of a page is logged with the whole page, and an increment changes tens of thousands.
    "checkpoint_timeout": "15min",
    # Gives 12,200 commits/s in place of 300 and cannot corrupt; transactions that move a watermark set it on for themselves.
    "synchronous_commit": "off",
    "password_encryption": "scram-sha-256",  # a method, not a password  # nosec B105  # pragma: allowlist secret
    # Passwords are random here, of 192 bits: to hash them thousands of times only costs each connection 3 ms.
    "scram_iterations": "1",
    "timezone": "UTC",
    "log_timezone": "UTC",
    # Statements, their parameters and the DETAIL of an error quote rows, and rows are people: the client gets all of it, the log nothing.
    "log_statement": "none",
    "log_parameter_max_length": "0",
    "log_parameter_max_length_on_error": "0",
    "log_min_messages": "log",
    "log_min_error_statement": "panic",
    "log_error_verbosity": "terse",
}
_LEAST_BUFFERS_MB, _MOST_BUFFERS_MB = 128, 2_048
STATISTICS = "pg_stat_statements"

log = structlog.get_logger(__name__)


class Pulse(Enum):
    """What can be seen of the server from outside."""

    GONE = "no process of the server lives"
    SILENT = "processes live and nobody listens"
    BUSY = "listens and lets nobody in yet: starting, recovering or stopping"
    LISTENING = "takes connections"


def pulse(layout: Layout) -> Pulse:
    """How the server is at this moment."""
    answer = PGconn.ping(f"host={layout.socket_dir} port={PORT} user={SUPERUSER} dbname={SUPERUSER} connect_timeout=5".encode())
    if answer == Ping.OK:
        return Pulse.LISTENING
    if answer == Ping.REJECT:
        return Pulse.BUSY
    return Pulse.SILENT if locks.is_held(layout.server_lock) else Pulse.GONE


def settle(layout: Layout) -> Pulse:
    """Wait until the server listens or is gone, and say which.

    Raises:
        RetryLaterError: it is still between the two after 30 s of silence or 300 s of recovery.
    """
    began = time.monotonic()
    while (now := pulse(layout)) in {Pulse.SILENT, Pulse.BUSY}:
        waited_s = time.monotonic() - began
        if waited_s > (RECOVERY_S if now is Pulse.BUSY else SILENCE_S):
            hint = f"wait and repeat; what holds it: fuser -v {layout.server_lock}; its last words: tail {layout.log}"
            raise RetryLaterError(f"the embedded Postgres is in between: {now.value}", hint, waited_s=round(waited_s))
        time.sleep(locks.POLL_S)
    return now


def create_cluster(layout: Layout, footing: Footing) -> None:
    """Run initdb into a folder beside the data folder, renamed when complete: a data folder is whole or absent.

    Raises:
        ConfigError: initdb failed; the message carries its first complaint.
    """
    data_dir, runner = footing.data_dir, footing.runner
    for abandoned in data_dir.parent.glob(f"{data_dir.name}.init.*"):
        shutil.rmtree(abandoned)
    draft = data_dir.with_name(f"{data_dir.name}.init.{os.getpid()}")
    draft.mkdir(mode=0o700)
    own(draft, runner)
    password_file = layout.socket_dir / "initdb.password"
    password_file.unlink(missing_ok=True)
    write_once(password_file, password(layout.admin_password_file))
    own(password_file, runner)
    try:
        _initdb(layout, runner, draft, password_file)
        draft.rename(data_dir)
    finally:
        password_file.unlink(missing_ok=True)
        shutil.rmtree(draft, ignore_errors=True)  # its room may be what the next attempt lacks
    _sync_folder(data_dir.parent)
    if data_dir != layout.data_dir:
        write_once(layout.location_file, str(data_dir))
        log.warning("embedded.data_relocated", data_directory=str(data_dir), home=str(layout.root.parent))


def start_server(layout: Layout, footing: Footing) -> None:
    """Start on the data folder and wait until it takes connections; leftovers of a server that died are cleared first.

    Raises:
        ConfigError: it did not come up; the message carries the first complaint in its log.
        RetryLaterError: it is still recovering after 300 s.
    """
    own(footing.data_dir, footing.runner)
    output, offset = open_log(layout)
    try:
        with locks.exclusive(layout.server_lock, timeout_s=SILENCE_S) as lock:
            _clear_leftovers(layout, footing.data_dir)
            # The shell leaves at once and the server becomes nobody's child: a killed one is no zombie of ours.
            command = ["/bin/sh", "-c", '"$@" &', "sh", *_postgres(layout, footing)]
            footing.runner.run(command, output=output, keep_open=(lock,))
    finally:
        os.close(output)
    if settle(layout) is not Pulse.LISTENING:
        raise _failure("the embedded Postgres did not start", layout, offset, footing.data_dir)


def stop_server(layout: Layout) -> None:
    """Fast shutdown: transactions in flight are rolled back, all else is written.

    Raises:
        RetryLaterError: it has not ended within 60 s, or not shown who it is within 10; the next process finds it and stops it.
    """
    began = time.monotonic()
    told = False
    while locks.is_held(layout.server_lock):
        if not told and (pid := postmaster_pid(layout)) is not None:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGINT)
            told = True
        if time.monotonic() - began > (STOP_S if told else UNKNOWN_S):
            raise RetryLaterError("the embedded Postgres is slow to stop", f"its last words: tail {layout.log}", told=told)
        time.sleep(locks.POLL_S)
    shutil.rmtree(layout.socket_dir, ignore_errors=True)


def postmaster_pid(layout: Layout) -> int | None:
    """The process that listens on our socket, by the kernel's word; None when nobody does, or nobody this process can see."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(5)
        try:
            connection.connect(str(layout.socket))
        except (FileNotFoundError, ConnectionRefusedError):
            return None
        if sys.platform == "darwin":
            pid = connection.getsockopt(0, 2)  # SOL_LOCAL, LOCAL_PEERPID
        else:
            pid = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[0]
    return pid or None


def _initdb(layout: Layout, runner: Runner, data_dir: Path, password_file: Path) -> None:
    output, offset = open_log(layout)
    try:
        for character_type in ("C.UTF-8", "en_US.UTF-8", "C"):
            command = [str(runner.binaries / "initdb"), *_initdb_options(data_dir, password_file, character_type)]
            # A child that outlives a killed starter holds the lock, so that nobody clears the folder it still writes to.
            with locks.exclusive(layout.server_lock, timeout_s=SILENCE_S) as lock:
                if runner.run(command, output=output, keep_open=(lock,)) == 0:
                    return
            if "invalid locale name" not in _words_since(layout.log, offset):
                break
    finally:
        os.close(output)
    raise _failure("the embedded Postgres could not make its data folder", layout, offset, layout.data_dir)


def _initdb_options(data_dir: Path, password_file: Path, character_type: str) -> list[str]:
    # pg_trgm asks the C library, not the provider, what a letter is (under C, show_trgm('éà') is empty): a UTF-8 one where it exists.
    return [
        f"--pgdata={data_dir}",
        f"--username={SUPERUSER}",
        f"--pwfile={password_file}",
        f"--set=scram_iterations={SETTINGS['scram_iterations']}",
        "--auth=scram-sha-256",
        "--encoding=UTF8",
        "--locale=C",
        "--locale-provider=builtin",
        "--builtin-locale=C.UTF-8",
        f"--lc-ctype={character_type}",
        "--text-search-config=simple",
        "--no-instructions",
    ]


def _postgres(layout: Layout, footing: Footing) -> list[str]:
    binaries = footing.runner.binaries
    settings = SETTINGS | {"unix_socket_directories": str(layout.socket_dir), "port": str(PORT), "shared_buffers": f"{buffers_mb()}MB"}
    if any((binaries.parent / "lib").rglob(f"{STATISTICS}.*")):
        # Utility statements are not normalised: `create role … password` would be shown as it was typed.
        settings |= {"shared_preload_libraries": STATISTICS, f"{STATISTICS}.track_utility": "off"}
    options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
    return [str(binaries / "postgres"), "-D", str(footing.data_dir), *options]


def buffers_mb() -> int:
    """An eighth of the machine's memory: pages of a million people's blocks and edges that are not there are read and written again."""
    memory_mb = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20
    return min(max(memory_mb // 8, _LEAST_BUFFERS_MB), _MOST_BUFFERS_MB)


def _clear_leftovers(layout: Layout, data_dir: Path) -> None:
    """Remove the pid file and socket of a dead server of ours; the caller holds `server.lock`, so none lives.

    Raises:
        ConfigError: a server that somebody started by hand listens for this data folder.
    """
    pid_file = data_dir / "postmaster.pid"
    if pid_file.exists():
        _refuse_started_by_hand(pid_file)
        pid_file.unlink()
    layout.socket.unlink(missing_ok=True)
    layout.socket.with_name(f"{layout.socket.name}.lock").unlink(missing_ok=True)


def _refuse_started_by_hand(pid_file: Path) -> None:
    lines = [*pid_file.read_text(encoding="utf-8", errors="replace").splitlines(), "", "", "", "", ""]
    port, host = lines[3].strip(), lines[4].strip()
    if not (port.isdigit() and host):
        return
    if PGconn.ping(f"host='{host}' port={port} user={SUPERUSER} dbname={SUPERUSER} connect_timeout=5".encode()) != Ping.NO_RESPONSE:
        hint = f"stop it: pg_ctl -D '{pid_file.parent}' -m fast stop"
        raise ConfigError("a server started by hand uses this data folder", hint, data_directory=pid_file.parent)


def _failure(what: str, layout: Layout, offset: int, data_dir: Path) -> PayReadyError:
    lines = [line.strip() for line in _words_since(layout.log, offset).splitlines() if line.strip()]
    # The first complaint is the cause; what follows is cleaning up and hints.
    complaints = [line for line in lines if any(word in line for word in COMPLAINTS) and not any(word in line for word in PASSING)]
    if lines and not complaints:
        # It only answered those who knocked too early, and then ended without a word: killed, or stopped by somebody.
        return RetryLaterError(f"{what}: it ended while starting", "try again", data_directory=data_dir)
    cause = complaints[0] if complaints else "it said nothing"
    return ConfigError(f"{what}: {LINE_PREFIX.sub('', cause)}", f"the whole of it: tail -n 20 {layout.log}", data_directory=data_dir)


def _words_since(path: Path, offset: int) -> str:
    with path.open("rb") as file:
        file.seek(offset)
        return file.read().decode(errors="replace")


def _sync_folder(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
