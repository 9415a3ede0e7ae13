"""What the embedded server refuses, and what it says then: issue 2, point 2."""

import os
import shutil
import signal
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from pay_ready.db.embedded import embedded_status, start_embedded, stop_embedded
from pay_ready.db.embedded_layout import read_layout, state_root
from pay_ready.db.embedded_runner import find_footing
from pay_ready.errors import ConfigError
from tests.embedded_support import Starter, as_root, linux, scalar


def test_a_data_folder_of_another_major_version_is_refused(home: Path) -> None:
    """The refusal names both versions and the commands of both ways out, touches nothing, and holds nobody up."""
    server = start_embedded(home)
    stop_embedded(home)
    version = server.data_dir / "PG_VERSION"
    ours = version.read_text()
    version.write_text("17\n")
    before = sorted(path.name for path in server.data_dir.iterdir())
    with pytest.raises(ConfigError) as refused:
        start_embedded(home)
    message = str(refused.value)
    assert all(word in message for word in ("PostgreSQL 17", f"PostgreSQL {ours.strip()}", "pg_dumpall", f"mv '{server.data_dir}'"))
    assert sorted(path.name for path in server.data_dir.iterdir()) == before
    assert embedded_status(home).version == "17"
    version.write_text(ours)
    assert scalar(start_embedded(home).admin_url, "select 1") == 1


def test_a_server_that_does_not_start_says_why_in_one_line(home: Path) -> None:
    """The error carries the first complaint in the log and the paths; the next start works when the cause is mended."""
    server = start_embedded(home)
    stop_embedded(home)
    server.data_dir.chmod(0o755)
    with pytest.raises(ConfigError, match="invalid permissions") as refused:
        start_embedded(home)
    message = str(refused.value)
    assert "\n" not in message
    assert message.startswith("the embedded Postgres did not start: FATAL:")
    assert str(server.data_dir) in message
    assert "server.log" in message
    assert not server.socket_dir.exists()
    server.data_dir.chmod(0o700)
    assert scalar(start_embedded(home).admin_url, "select 1") == 1


@as_root
@linux
def test_a_full_disk_is_reported_in_one_line(new_home: Path, client: Starter) -> None:
    """initdb on a disk of 16 MB: one line that says so and names the folder."""
    new_home.mkdir()
    mount = 'mount -t tmpfs -o size=16m tmpfs "$0" || exit 99; shift 0; exec "$@"'
    full = client(new_home, before=("unshare", "--mount", "/bin/sh", "-c", mount, str(new_home)))
    if full.process.poll() == 99:
        pytest.skip("this machine lets root mount nothing")
    facts = full.told()
    assert facts["kind"] == "ConfigError"
    assert "No space left on device" in str(facts["error"])
    assert "\n" not in str(facts["error"])
    assert str(new_home) in str(facts["error"])


def test_a_server_started_by_hand_is_refused_and_left_alone(home: Path) -> None:
    """A postmaster that somebody else runs on the data folder is neither stopped nor robbed of its pid file."""
    server = start_embedded(home)
    stop_embedded(home)
    layout = read_layout(state_root(home))
    assert layout is not None
    footing = find_footing(layout)
    elsewhere = Path(tempfile.mkdtemp(prefix="pay-ready-test-"))
    os.chown(elsewhere, footing.runner.uid, footing.runner.gid)
    with ExitStack() as after, (home / "by-hand.log").open("w") as output:
        after.callback(shutil.rmtree, elsewhere)
        postgres = str(footing.runner.binaries / "postgres")
        options = ["-D", str(server.data_dir), "-k", str(elsewhere), "-c", "listen_addresses="]
        footing.runner.run(["/bin/sh", "-c", '"$@" &', "sh", postgres, *options], output=output.fileno())
        pid_file = server.data_dir / "postmaster.pid"
        deadline = time.monotonic() + 20
        while not (pid_file.exists() and "ready" in pid_file.read_text()) and time.monotonic() < deadline:
            time.sleep(0.02)
        pid = int(pid_file.read_text().split()[0])
        after.callback(os.kill, pid, signal.SIGQUIT)
        with pytest.raises(ConfigError, match="started by hand"):
            start_embedded(home)
        assert pid_file.exists()
        os.kill(pid, 0)


def test_a_lost_superuser_password_is_reported_with_its_file(home: Path) -> None:
    """Without the password file nobody gets in, and the error names the file; with it back all is well."""
    start_embedded(home)
    file = home / "postgres" / "admin.password"
    secret = file.read_text()
    file.unlink()
    with pytest.raises(ConfigError, match=r"admin\.password"):
        start_embedded(home)
    file.write_text(secret)
    assert scalar(start_embedded(home).admin_url, "select 1") == 1


def test_a_lost_app_password_is_replaced(home: Path) -> None:
    """The login's password can be made anew, since the superuser can set it."""
    old = start_embedded(home)
    (home / "postgres" / "app.password").unlink()
    new = start_embedded(home)
    assert new.app_url != old.app_url
    assert scalar(new.app_url, "select current_user::text") == "pay_ready_login"


def test_files_in_place_of_a_cluster_are_refused(new_home: Path) -> None:
    """A data folder with something else in it is neither used nor cleared."""
    (new_home / "postgres" / "data").mkdir(parents=True)
    (new_home / "postgres" / "data" / "letter.txt").write_text("dear")
    with pytest.raises(ConfigError, match="no cluster"):
        start_embedded(new_home)
    assert (new_home / "postgres" / "data" / "letter.txt").read_text() == "dear"
