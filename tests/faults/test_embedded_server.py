"""What the embedded server is, whoever starts it in whatever place: locales, root, ordinary users: issue 2, point 2."""

import importlib.util
import os
import pwd
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import adbc_driver_postgresql.dbapi as adbc
import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict
from psycopg_pool import ConnectionPool

from pay_ready.db import embedded_process, embedded_runner
from pay_ready.db.embedded import EmbeddedServer, embedded_status, start_embedded, stop_embedded
from pay_ready.db.embedded_runner import Runner
from pay_ready.errors import ConfigError
from tests.embedded_support import REPOSITORY, Starter, as_root, commit_row, gone, linux, scalar


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedServer]:
    """A server for tests that only look, on a state folder whose path has 200 characters and more."""
    home = tmp_path_factory.mktemp("long") / ("d" * 100) / ("é $(x) '\"%" * 12) / "home"
    assert len(str(home)) >= 200
    yield start_embedded(home)
    stop_embedded(home)
    assert not embedded_status(home).running


# --- what the server is


def test_urls_work_for_psycopg_its_pool_and_adbc(server: EmbeddedServer) -> None:
    """Both URLs, made for a path of over 200 characters with spaces, quotes and dollars in it, open every driver."""
    for url, user in ((server.admin_url, "postgres"), (server.app_url, "pay_ready_login")):
        query = "select current_user || '@' || current_database()"
        assert scalar(url, query) == f"{user}@pay_ready"
        with ConnectionPool(url, min_size=1, max_size=1, open=True) as pool, pool.connection() as connection:
            assert connection.execute(query.encode()).fetchone() == (f"{user}@pay_ready",)
        with closing(adbc.connect(url)) as connection, closing(connection.cursor()) as cursor:
            cursor.execute(query)
            assert cursor.fetchone() == (f"{user}@pay_ready",)


def test_passwords_stay_out_of_sight(server: EmbeddedServer) -> None:
    """Not in the repr, not in the log, in files only their owner reads; a wrong or no password opens nothing."""
    root = server.data_dir.parent
    log = (root / "server.log").read_text()
    for name, url in (("admin", server.admin_url), ("app", server.app_url)):
        file = root / f"{name}.password"
        secret = file.read_text().strip()
        assert secret in url
        assert secret not in repr(server) + log
        assert (file.stat().st_mode & 0o777, file.stat().st_uid) == (0o600, os.geteuid())
        for wrong in ("x", ""):
            with pytest.raises(psycopg.OperationalError):
                psycopg.connect(url.replace(secret, wrong), passfile="/dev/null")
    assert not (server.socket_dir / "initdb.password").exists()


def test_the_login_has_no_power(server: EmbeddedServer) -> None:
    """The app's login bypasses no row security, makes nothing, is a member of no role."""
    powers = "rolsuper or rolbypassrls or rolcreatedb or rolcreaterole or rolreplication or not rolinherit or not rolcanlogin"
    assert scalar(server.app_url, f"select {powers} from pg_roles where rolname = current_user") is False
    assert scalar(server.admin_url, "select count(*) from pg_auth_members where member = 'pay_ready_login'::regrole") == 0


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("listen_addresses", ""),
        ("unix_socket_permissions", "0700"),
        ("max_wal_size", "4GB"),
        ("checkpoint_timeout", "15min"),
        ("synchronous_commit", "off"),
        ("fsync", "on"),
        ("max_connections", "100"),
        ("password_encryption", "scram-sha-256"),
        ("scram_iterations", "1"),
        ("log_statement", "none"),
        ("log_parameter_max_length", "0"),
        ("TimeZone", "UTC"),
        ("server_encoding", "UTF8"),
        ("data_checksums", "on"),
        ("shared_preload_libraries", "pg_stat_statements"),
    ],
)
def test_settings(server: EmbeddedServer, setting: str, value: str) -> None:
    """The server runs with the settings that the design names."""
    assert scalar(server.admin_url, f"show {setting}") == value


@pytest.mark.parametrize(("memory_mb", "buffers_mb"), [(512, 128), (2_048, 256), (8_192, 1_024), (262_144, 2_048)])
def test_pages_are_kept_by_the_size_of_the_machine(memory_mb: int, buffers_mb: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """An eighth of the memory, neither too little to work with nor more than a server for trying things should take."""
    monkeypatch.setattr(os, "sysconf", {"SC_PAGE_SIZE": 4_096, "SC_PHYS_PAGES": memory_mb * 256}.__getitem__)
    assert embedded_process.buffers_mb() == buffers_mb


def test_the_server_keeps_as_many_pages(server: EmbeddedServer) -> None:
    """As this machine's memory says."""
    kept_mb = "select setting::integer / 128 from pg_settings where name = 'shared_buffers'"
    assert scalar(server.admin_url, kept_mb) == embedded_process.buffers_mb()


def test_the_socket_folder_is_private_and_short(server: EmbeddedServer) -> None:
    """Nobody but the server's user reaches the socket; no process listens on a network."""
    assert server.socket_dir.stat().st_mode & 0o777 == 0o700
    assert len(str(server.socket_dir)) < 60
    assert conninfo_to_dict(server.admin_url)["host"] == str(server.socket_dir)


def test_a_failing_statement_leaves_no_value_in_the_log(server: EmbeddedServer) -> None:
    """Errors quote values; the client gets them and the log does not."""
    canary = "canary.person@example.org"
    with psycopg.connect(server.admin_url) as connection, pytest.raises(psycopg.errors.InvalidTextRepresentation):
        connection.execute(f"select '{canary}'::uuid".encode())
    assert canary not in (server.data_dir.parent / "server.log").read_text()


def test_status_creates_nothing(tmp_path: Path) -> None:
    """Looking at a folder that was never set up leaves it absent."""
    status = embedded_status(tmp_path / "home")
    assert (status.running, status.pid, status.version, status.detail) == (False, None, None, "never set up")
    assert list(tmp_path.iterdir()) == []


def test_status_of_a_running_server(server: EmbeddedServer) -> None:
    """Doctor sees the data folder, the version and who uses it."""
    status = embedded_status(server.data_dir.parents[1])
    assert (status.running, status.data_dir, status.socket_dir) == (True, server.data_dir, server.socket_dir)
    assert (status.version or "").split(".")[0] == (server.data_dir / "PG_VERSION").read_text().strip()
    assert status.lease_pids is None or os.getpid() in status.lease_pids


@pytest.mark.parametrize("locale", ["C", "xx_YY.UTF-8"])
def test_any_locale_of_the_caller(new_home: Path, client: Starter, locale: str) -> None:
    """LANG=C, or naming a locale that is not installed: case, word characters and trigrams of non-ASCII letters work."""
    query = """select (lower('ÉCOLE') = 'école' and 'é' ~ '^\\w$' and to_tsvector('simple', 'ÉCOLE') @@ 'école'::tsquery)::text"""
    facts = client(new_home, query=query, environment={"LANG": locale, "LC_ALL": locale, "PGPORT": "1", "PGTZ": "Asia/Tokyo"}).told()
    assert facts["value"] == "true"
    server = start_embedded(new_home)
    with psycopg.connect(server.admin_url) as connection:
        connection.execute("create extension pg_trgm")
        row = connection.execute("select cardinality(show_trgm('éà')) > 0, show_trgm('ÉÀ') = show_trgm('éà')").fetchone()
    assert row == (True, True)


# --- root and everybody else


def owners(path: Path) -> dict[str, tuple[int, int, int]]:
    """Mode, user and group of every parent of `path`, and of the binaries' folders."""
    places = [*path.parents, *embedded_runner.packaged_binaries().parents, embedded_runner.packaged_binaries() / "postgres"]
    return {str(place): (found.st_mode, found.st_uid, found.st_gid) for place in places if (found := place.stat())}


def credentials(pid: int) -> dict[str, str]:
    """Lines of /proc/PID/status."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


@as_root
@linux
@pytest.mark.parametrize("reachable", [True, False], ids=["open", "private"])
def test_root_drops_its_powers_and_changes_nothing_around(reachable: bool, new_home: Path, open_home: Path) -> None:
    """As root the server has no capability, and owner and mode of all parents and of the package stay as they were."""
    chosen = open_home if reachable else new_home
    before = owners(chosen)
    start_embedded(chosen)
    pid = embedded_status(chosen).pid
    assert pid is not None
    seen = credentials(pid)
    assert int(seen["CapEff"], 16) == 0
    if reachable:
        assert set(seen["Uid"].split()) == {str(pwd.getpwnam("nobody").pw_uid)}
        assert seen["Groups"] == ""
    stop_embedded(chosen)
    start_embedded(chosen)
    stop_embedded(chosen)
    assert owners(chosen) == before


@as_root
@linux
def test_root_where_namespaces_are_forbidden(new_home: Path, open_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Home and binaries below 0700 folders and no `unshare`: binaries are copied, data live in the system's state folder."""
    system_state = open_home.parent / "var-lib"
    hidden = new_home.parent / embedded_runner.PACKAGE
    package = embedded_runner.packaged_binaries().parents[1]
    hidden.symlink_to(package)
    hidden.with_name(f"{hidden.name}.libs").symlink_to(package.with_name(f"{package.name}.libs"))
    monkeypatch.setattr(embedded_runner, "packaged_binaries", lambda: hidden / "pginstall" / "bin")
    monkeypatch.setattr(embedded_runner, "namespace_runner", lambda path, _: Runner(binaries=path, uid=0, gid=0, prefix=("/bin/false",)))
    monkeypatch.setattr(embedded_runner, "SYSTEM_STATE", system_state)
    before = owners(new_home)
    server = start_embedded(new_home)
    commit_row(server)
    assert server.data_dir.is_relative_to(system_state)
    assert (new_home / "postgres" / "data.location").read_text().strip() == str(server.data_dir)
    stop_embedded(new_home)
    again = start_embedded(new_home)
    assert again == server
    assert scalar(again.admin_url, "select answer from kept") == 42
    assert embedded_status(new_home).data_dir == server.data_dir
    assert owners(new_home) == before
    stop_embedded(new_home)
    shutil.rmtree(server.data_dir)
    with pytest.raises(ConfigError, match="the data folder is gone"):
        start_embedded(new_home)


@as_root
@linux
def test_data_move_between_ways_of_running(open_home: Path) -> None:
    """Data made by `nobody` are served in a namespace after the folder was closed, and by `nobody` again after it was opened."""
    commit_row(start_embedded(open_home))
    for mode in (0o700, 0o755):
        stop_embedded(open_home)
        open_home.parent.chmod(mode)
        assert scalar(start_embedded(open_home).admin_url, "select answer from kept") == 42
    assert open_home.joinpath("postgres", "data").stat().st_uid == pwd.getpwnam("nobody").pw_uid


def python_of_everybody(user: int) -> tuple[str, dict[str, str]]:
    """An interpreter that `user` can run with our packages, and its environment; skips when there is none."""
    packages = Path(importlib.util.find_spec("psycopg").origin or "").parents[1]  # type: ignore[union-attr]
    environment = {"PYTHONPATH": f"{REPOSITORY}:{packages}", "PYTHONDONTWRITEBYTECODE": "1"}
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    for python in (sys.executable, f"/usr/bin/{version}", f"/usr/local/bin/{version}"):
        try:
            command = [python, "-c", "import pay_ready.db.embedded"]
            if subprocess.run(command, env=environment, user=user, cwd="/", stderr=subprocess.DEVNULL, check=False).returncode == 0:
                return python, environment
        except OSError:
            continue
    pytest.skip("no Python that an ordinary user can run")


@as_root
@linux
def test_an_ordinary_user(open_home: Path, client: Starter) -> None:
    """Without root: the server runs as its user, two clients share it, and a folder that cannot be written is reported."""
    user = pwd.getpwnam("nobody").pw_uid
    python, environment = python_of_everybody(user)
    open_home.mkdir()
    denied = client(open_home / "state", python=python, environment=environment, user=user).told()
    assert denied["kind"] == "ConfigError"
    assert all(word in str(denied["error"]) for word in ("Permission denied", str(open_home), "PAY_READY_HOME"))
    os.chown(open_home, user, -1)
    first = client(open_home / "state", python=python, environment=environment, user=user)
    pid = first.told()["pid"]
    assert isinstance(pid, int)
    assert set(credentials(pid)["Uid"].split()) == {str(user)}
    second = client(open_home / "state", "plain", "select 2", python=python, environment=environment, user=user)
    assert second.told() | {"client": 0} == {"pid": pid, "value": 2, "client": 0}
    assert (first.leave(), second.leave()) == (0, 0)
    assert gone(open_home / "state")
