"""PgBouncer in transaction mode in front of the test server, as an unprivileged user with a configuration of its own."""

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

_START_S = 15.0
_PORT = 6432  # of the socket alone: nothing listens on the network


@contextmanager
def pooling(app_url: str) -> Iterator[str]:
    """A URL of the same database through PgBouncer; two server connections, so that clients really share them."""
    program = shutil.which("pgbouncer", path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")
    if program is None:
        pytest.skip("pgbouncer is not installed (Debian: apt-get install pgbouncer)")
    # Not pytest's folder: it is closed to the unprivileged user, and a socket's path must stay short.
    folder = Path(tempfile.mkdtemp(prefix="pr-pool-"))
    settings = folder / "pgbouncer.ini"
    target = conninfo_to_dict(app_url)
    settings.write_text(_configuration(folder, target), "utf-8")
    command = [*_unprivileged(folder, Path(str(target["host"]))), program, str(settings)]
    process = subprocess.Popen(command, cwd="/", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        url = f"postgresql://{quote(str(target['user']))}@/{target['dbname']}?host={quote(str(folder), safe='')}&port={_PORT}"
        _wait_until_it_answers(url, process, folder / "log")
        yield url
    finally:
        process.terminate()
        process.wait(timeout=10)
        shutil.rmtree(folder)


def _configuration(folder: Path, target: Mapping[str, object]) -> str:
    # auth_type any: the socket's folder is the guard, and the login to the server is written here.
    login = " ".join(f"{key}={_quoted(target[key])}" for key in ("host", "port", "dbname", "user", "password") if target.get(key))
    return f"""
[databases]
{target["dbname"]} = {login}
[pgbouncer]
pool_mode = transaction
default_pool_size = 2
client_login_timeout = 10
server_login_retry = 1
max_client_conn = 100
auth_type = any
listen_addr =
listen_port = {_PORT}
unix_socket_dir = {folder}
logfile = {folder}/log
ignore_startup_parameters = extra_float_digits
server_idle_timeout = 5
"""


def _quoted(value: object) -> str:
    return "'" + str(value).replace("'", "''") + "'"


def _unprivileged(folder: Path, server_sockets: Path) -> list[str]:
    """What to put before the command: PgBouncer refuses to be root, and must reach the server's sockets as their owner."""
    if os.geteuid() != 0:
        return []
    owner = server_sockets.stat()
    if owner.st_uid == 0:  # the server runs in a user namespace, as root outside and nobody inside: so does PgBouncer
        return ["unshare", "--user", "--map-user=65534", "--map-group=65534"]
    for path in (folder, folder / "pgbouncer.ini"):
        os.chown(path, owner.st_uid, owner.st_gid)
    return ["setpriv", f"--reuid={owner.st_uid}", f"--regid={owner.st_gid}", "--clear-groups"]


def _wait_until_it_answers(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    give_up_at = time.monotonic() + _START_S
    while True:
        try:
            psycopg.connect(url, prepare_threshold=None, connect_timeout=5).close()
        except psycopg.OperationalError:
            written = log.read_text("utf-8") if log.exists() else ""
            given_up = process.poll() is not None or time.monotonic() >= give_up_at
            assert not given_up, f"pgbouncer did not start:\n{written}"
            time.sleep(0.05)
        else:
            return
