"""A network that is cut and tells nobody: both ends find out by themselves, and within 60 s no lock is left (F45).

With a network of its own, which only root may make; about half a minute for each case, so only under PAY_READY_TEST_DEEP=1.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest

from pay_ready.db import embedded_process
from pay_ready.db.admin import grant_app
from pay_ready.db.embedded import EmbeddedServer, start_embedded, stop_embedded
from pay_ready.db.migrate import migrate
from tests.embedded_support import REPOSITORY, sweep
from tests.faults.support import wait_until

CHILD = Path(__file__).with_name("half_open_child.py")
HERE, THERE, NAME = "10.99.45.1", "10.99.45.2", "payready45"
UP = (
    f"ip netns add {NAME}",
    f"ip link add {NAME} type veth peer name there netns {NAME}",
    f"ip addr add {HERE}/24 dev {NAME}",
    f"ip link set {NAME} up",
    f"ip -n {NAME} addr add {THERE}/24 dev there",
    f"ip -n {NAME} link set there up",
)

pytestmark = pytest.mark.skipif(os.environ.get("PAY_READY_TEST_DEEP") != "1", reason="waits for half a minute: PAY_READY_TEST_DEEP=1")


def told(command: str) -> bool:
    """Whether the system did it."""
    try:
        return subprocess.run(command.split(), capture_output=True).returncode == 0
    except FileNotFoundError:
        return False


@pytest.fixture
def network() -> Iterator[None]:
    """A second place, connected with this one by a line that can be cut."""
    try:
        if not all(told(command) for command in UP):
            pytest.skip("no network namespace can be made here: that takes root and iproute2")
        yield
    finally:
        told(f"ip netns del {NAME}")
        told(f"ip link del {NAME}")


@pytest.fixture
def server(home: Path, network: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[EmbeddedServer]:
    """A server that listens on the line, migrated."""
    monkeypatch.setitem(embedded_process.SETTINGS, "listen_addresses", HERE)
    server = start_embedded(home)
    migrate(server.admin_url)
    grant_app(server.admin_url, urlsplit(server.app_url).username or "")
    rules = server.data_dir / "pg_hba.conf"
    rules.write_text(rules.read_text() + f"\nhost all all {THERE}/32 scram-sha-256\n")
    with psycopg.connect(server.admin_url) as admin:
        admin.execute("select pg_reload_conf()")
    yield server
    stop_embedded(home)
    sweep(home)


def writers(server: EmbeddedServer) -> int:
    """Sessions in a transaction that writes under a lease."""
    with psycopg.connect(server.admin_url) as admin:
        row = admin.execute("select count(*) from pg_locks where locktype = 'advisory'").fetchone()
    assert row is not None
    return int(row[0])


@pytest.mark.parametrize("mode", ["idle", "copy", "busy"])
def test_a_cut_line_frees_the_locks_on_both_sides(server: EmbeddedServer, mode: str) -> None:
    """The server ends the transaction within 60 s, though nobody told it; a client that waits for an answer gives up as well."""
    place = urlsplit(server.app_url)
    url = f"postgresql://{place.username}:{place.password}@{HERE}:{server.port}/pay_ready?sslmode=disable"
    command = ["ip", "netns", "exec", NAME, sys.executable, str(CHILD), url, "acme", mode]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={"PATH": os.defpath, "PYTHONPATH": str(REPOSITORY)})
    try:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
        assert writers(server) == 1
        assert told(f"ip link set {NAME} down")
        seconds = wait_until(lambda: writers(server) == 0, "the server lets go", 60)
        sys.stdout.write(f"cut off, {mode}: the server let go after {seconds:.0f} s\n")
        if mode == "busy":
            ended, after_s = child.stdout.readline().split()
            assert ended == "TransientError"
            assert int(after_s) <= 60
    finally:
        child.kill()
        child.communicate()
