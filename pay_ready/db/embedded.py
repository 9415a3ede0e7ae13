"""The Postgres that comes with pay_ready, for whoever has none: one server per state folder, shared by its processes.

A process that starts it takes a lease, a file lock that dies with the process; the last one out stops the server. One
that was SIGKILLed stops nothing: the next process adopts the server it left, and stops it as the last one out. A forked
child shares its parent's lease, so the server stays for whichever of the two ends later.

SIGTERM and SIGHUP end a process without its exit handlers; where the program has none of its own, `start_embedded`
makes them an ordinary exit (status 128 + signal). A program's own handler stays and decides.
"""

import atexit
import os
import signal
import threading
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import FrameType

import psycopg
import structlog
from psycopg import sql

from pay_ready.db import embedded_locks as locks
from pay_ready.db.embedded_layout import (
    ERASURE_LOGIN,
    LOGIN,
    PORT,
    SUPERUSER,
    Layout,
    password,
    prepare_layout,
    prepare_socket_dir,
    read_layout,
    state_root,
)
from pay_ready.db.embedded_process import Pulse, create_cluster, postmaster_pid, pulse, settle, start_server, stop_server
from pay_ready.db.embedded_runner import Footing, find_footing
from pay_ready.db.failures import translating
from pay_ready.errors import ConfigError, PayReadyError, RetryLaterError

START_LOCK_S = 360.0  # longer than the longest recovery that the holder may be waiting for
EXIT_LOCK_S = 90.0
ENDING_SIGNALS = (signal.SIGTERM, signal.SIGHUP)

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbeddedServer:
    """A running server that this process holds a lease on. The URLs carry passwords and stay out of its `repr`."""

    data_dir: Path
    socket_dir: Path
    port: int
    admin_url: str = field(repr=False)  # libpq URI of the superuser on the asked database
    app_url: str = field(repr=False)  # the same database, login `pay_ready_login`
    erasure_url: str = field(repr=False)  # the same, login `pay_ready_erasure_login`


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbeddedStatus:
    """What doctor shows of the server of one state folder."""

    running: bool
    detail: str  # in words, for people
    data_dir: Path
    socket_dir: Path | None  # None when the folder was never set up
    log: Path
    pid: int | None  # of the postmaster
    version: str | None  # of the running server ("18.6"), else of the data folder ("18")
    lease_pids: tuple[int, ...] | None  # processes that use it; None where the system does not tell


class _Here:
    """What this process holds."""

    def __init__(self) -> None:
        self.mutex = threading.RLock()
        self.leases: dict[Path, int] = {}  # launcher's folder -> descriptor


_here = _Here()


def start_embedded(home: Path, *, database: str = "pay_ready") -> EmbeddedServer:
    """The server of the state folder `home`: started, adopted, or as this process has it already.

    Makes the state folder, the cluster, `database` and the logins `pay_ready_login` and `pay_ready_erasure_login` where they are absent.
    These are members of no role: they can connect and see nothing until the migrations' bootstrap grants them the app's, or erasure's.

    Raises:
        ConfigError: it cannot run here, or not on these data (other major version, other owner, disk full); says the way out.
        RetryLaterError: another process was busy starting or stopping it, or it recovers from a crash, for minutes.
    """
    root = state_root(home)
    try:
        root.parent.mkdir(mode=0o711, parents=True, exist_ok=True)  # no more: as root, `nobody` passes through
        root.mkdir(mode=0o700, exist_ok=True)
        with _here.mutex, locks.exclusive(root / "start.lock", timeout_s=START_LOCK_S), ExitStack() as undo:
            layout = prepare_layout(root)
            if _take_lease(layout):
                undo.callback(_abandon, root)
            server = _server(_running(layout), database)
            undo.pop_all()
    except OSError as error:
        hint = "free the disk or set PAY_READY_HOME to a folder you may write to"
        raise ConfigError(f"cannot set up the embedded Postgres: {error.strerror}", hint, path=error.filename or root) from error
    return server


def stop_embedded(home: Path) -> None:
    """Give this process's lease back; the last process out stops the server. Without a lease it does nothing.

    Raises:
        RetryLaterError: the server is slow to stop, or another process is busy with it; the lease is given back all the same.
    """
    root = state_root(home)
    with _here.mutex:
        if root not in _here.leases:
            return
        if not root.exists():  # deleted under the server, which sees it within a minute and ends
            os.close(_here.leases.pop(root))
            return
        try:
            with locks.exclusive(root / "start.lock", timeout_s=EXIT_LOCK_S):
                _give_back(root)
        except RetryLaterError:
            if (fd := _here.leases.pop(root, None)) is not None:
                os.close(fd)
            raise


def embedded_status(home: Path) -> EmbeddedStatus:
    """How the server of `home` is; starts nothing and creates nothing."""
    root = state_root(home)
    try:
        layout = read_layout(root)
        if layout is None:
            return _status(root, root / "data", detail="never set up")
        return _seen(layout)
    except OSError as error:
        return _status(root, root / "data", detail=f"cannot be looked at: {error.strerror}")


def _seen(layout: Layout) -> EmbeddedStatus:
    now = pulse(layout)
    status = _status(layout.root, layout.data_dir, detail=now.value, socket_dir=layout.socket_dir)
    if now is Pulse.GONE:
        return status
    status = replace(status, pid=postmaster_pid(layout), lease_pids=locks.holder_pids(layout.lease_lock))
    if now is not Pulse.LISTENING:
        return status
    try:
        with translating(), _connect(layout) as connection:
            return replace(status, running=True, version=_served_version(connection, layout))
    except PayReadyError as error:
        return replace(status, detail=str(error))


def _status(root: Path, data_dir: Path, *, detail: str, socket_dir: Path | None = None) -> EmbeddedStatus:
    return EmbeddedStatus(
        running=False,
        detail=detail,
        data_dir=data_dir,
        socket_dir=socket_dir,
        log=root / "server.log",
        pid=None,
        version=_data_version(data_dir),
        lease_pids=(),
    )


def _take_lease(layout: Layout) -> bool:
    """Whether this process had none yet. One on the file of a folder that was deleted since counts for nothing."""
    held = _here.leases.get(layout.root)
    if held is not None and locks.is_open_on(held, layout.lease_lock):
        return False
    if held is not None:
        os.close(held)
    _here.leases[layout.root] = locks.take_shared(layout.lease_lock)
    _stop_at_exit()
    return True


def _running(layout: Layout) -> Layout:
    """The layout of a server that takes connections: as found, or started. Its data folder may be another than asked for."""
    if settle(layout) is Pulse.LISTENING:
        return layout
    footing = find_footing(layout)
    prepare_socket_dir(layout, footing.runner.uid, footing.runner.gid)
    if not (footing.data_dir / "PG_VERSION").exists():
        _refuse_vanished(layout, footing)
        create_cluster(layout, footing)
    _refuse_other_major(layout, footing)
    start_server(layout, footing)
    return prepare_layout(layout.root)


def _refuse_vanished(layout: Layout, footing: Footing) -> None:
    if layout.location_file.exists():
        hint = f"bring it back, or start afresh: rm {layout.location_file}"
        raise ConfigError("the data folder is gone", hint, data_directory=layout.data_dir)
    if footing.data_dir.exists() and any(footing.data_dir.iterdir()):
        hint = f"move it away: mv '{footing.data_dir}' '{footing.data_dir}-old'"
        raise ConfigError("the data folder holds files and no cluster", hint, data_directory=footing.data_dir)


def _refuse_other_major(layout: Layout, footing: Footing) -> None:
    written_by, ours = _data_version(footing.data_dir), footing.version.partition(".")[0]
    if written_by == ours:
        return
    data = footing.data_dir
    other = f"/path/to/postgresql-{written_by}/bin"
    hint = (
        f"keep the data: {other}/pg_ctl -D '{data}' -o \"-c listen_addresses= -k '{layout.root}'\" -w start"
        f" && PGPASSWORD=$(cat '{layout.admin_password_file}') {other}/pg_dumpall -h '{layout.root}' -U {SUPERUSER} > pay_ready.sql"
        f" && {other}/pg_ctl -D '{data}' -w stop; then, or to start afresh: mv '{data}' '{data}-{written_by}'"
    )
    what = f"the data folder was written by PostgreSQL {written_by}, the embedded one is PostgreSQL {ours}"
    raise ConfigError(what, hint, data_directory=data)


def _data_version(data_dir: Path) -> str | None:
    try:
        return (data_dir / "PG_VERSION").read_text(encoding="ascii").strip()
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return None


def _server(layout: Layout, database: str) -> EmbeddedServer:
    with translating(), _connect(layout) as connection:
        _served_version(connection, layout)
        _ensure_login(connection, LOGIN, layout.app_password_file)
        _ensure_login(connection, ERASURE_LOGIN, layout.erasure_password_file)
        if connection.execute("select 1 from pg_database where datname = %s", (database,)).fetchone() is None:
            connection.execute(sql.SQL("create database {}").format(sql.Identifier(database)))
    return EmbeddedServer(
        data_dir=layout.data_dir,
        socket_dir=layout.socket_dir,
        port=PORT,
        admin_url=layout.url(SUPERUSER, password(layout.admin_password_file), database),
        app_url=layout.url(LOGIN, password(layout.app_password_file), database),
        erasure_url=layout.url(ERASURE_LOGIN, password(layout.erasure_password_file), database),
    )


def _connect(layout: Layout) -> psycopg.Connection[tuple[object, ...]]:
    """The superuser on the maintenance database, in autocommit; what it changes is flushed."""
    secret_file = layout.admin_password_file
    if not secret_file.exists():
        raise ConfigError("the superuser's password is lost", "bring the file back from a copy of the state folder", path=secret_file)
    url = layout.url(SUPERUSER, password(secret_file), SUPERUSER)
    try:
        return psycopg.connect(url, autocommit=True, connect_timeout=10, options="-c synchronous_commit=on")
    except psycopg.OperationalError as error:
        # Not the driver's text: it may quote the URL.
        hint = f"is its password the one in {secret_file}? What the server says: tail {layout.log}"
        raise ConfigError("the embedded Postgres does not let its superuser in", hint, socket=layout.socket) from error


def _served_version(connection: psycopg.Connection[tuple[object, ...]], layout: Layout) -> str:
    """Version of the connected server, which must serve our data folder."""
    row = connection.execute("select current_setting('data_directory'), current_setting('server_version')").fetchone()
    served, version = map(str, row or ("", ""))
    if Path(served) != layout.data_dir:
        hint = f"stop it: kill -INT {postmaster_pid(layout)}"
        raise ConfigError("another data folder's server answers on our socket", hint, ours=layout.data_dir, served=served)
    return version


def _ensure_login(connection: psycopg.Connection[tuple[object, ...]], login: str, password_file: Path) -> None:
    known = connection.execute("select 1 from pg_roles where rolname = %s", (login,)).fetchone() is not None
    if known and password_file.exists():
        return
    secret = password(password_file)
    # The verifier, not the password: the statement may be logged or sampled.
    verifier = connection.pgconn.encrypt_password(secret.encode(), login.encode(), b"scram-sha-256").decode()
    verb = sql.SQL("alter role" if known else "create role")
    connection.execute(
        sql.SQL("{} {} login nosuperuser nobypassrls nocreatedb nocreaterole inherit password {}").format(
            verb, sql.Identifier(login), sql.Literal(verifier)
        )
    )


def _give_back(root: Path) -> None:
    """Close our lease, and stop the server when no other is left; the caller holds the start lock."""
    if (fd := _here.leases.pop(root, None)) is not None:
        os.close(fd)
    _restore_signals()
    layout = read_layout(root)
    if layout is None:
        return
    with locks.try_exclusive(layout.lease_lock) as alone:
        if alone is not None:
            stop_server(layout)


def _abandon(root: Path) -> None:
    """Undo a start that failed; its own error is the one to show."""
    with suppress(RetryLaterError):
        _give_back(root)


def _give_all_back() -> None:
    for root in tuple(_here.leases):
        try:
            stop_embedded(root.parent)
        except PayReadyError as error:
            # At the exit nobody catches it, and nothing is lost: the next process finds the server and stops it.
            log.warning("embedded.left_running", reason=error.what)


def _stop_at_exit() -> None:
    atexit.unregister(_give_all_back)
    atexit.register(_give_all_back)
    if threading.current_thread() is threading.main_thread():
        for number in ENDING_SIGNALS:
            if signal.getsignal(number) is signal.SIG_DFL:
                signal.signal(number, _exit_on)


def _exit_on(number: int, _frame: FrameType | None) -> None:
    raise SystemExit(128 + number)


def _restore_signals() -> None:
    if _here.leases or threading.current_thread() is not threading.main_thread():
        return
    for number in ENDING_SIGNALS:
        if signal.getsignal(number) is _exit_on:
            signal.signal(number, signal.SIG_DFL)


def _after_fork_in_child() -> None:
    _here.mutex = threading.RLock()  # the parent's may be held by a thread that does not exist here
    locks.forget_after_fork()
    for number in ENDING_SIGNALS:  # a worker that is terminated ends as its parent expects, by the signal
        if signal.getsignal(number) is _exit_on:
            signal.signal(number, signal.SIG_DFL)


os.register_at_fork(after_in_child=_after_fork_in_child)
