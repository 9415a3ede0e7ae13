"""Client processes and state folders for the tests of the embedded server."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from pay_ready.db.embedded import start_embedded, stop_embedded
from tests.embedded_support import REPOSITORY, SCRIPT, Client, Starter, sweep


@pytest.fixture
def client() -> Iterator[Starter]:
    """Starts clients: `client(home, "plain", "select 1", before=[...], environment={...}, user=...)`; none outlives the test."""
    started: list[subprocess.Popen[str]] = []

    def start(
        home: Path,
        mode: str = "plain",
        query: str = "select 1",
        *,
        before: tuple[str, ...] = (),
        python: str = sys.executable,
        environment: dict[str, str] | None = None,
        user: int | None = None,
    ) -> Client:
        process = subprocess.Popen(
            [*before, python, str(SCRIPT), str(home), mode, query],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={"PATH": os.defpath, "PYTHONPATH": str(REPOSITORY), **(environment or {})},
            user=user,
            cwd="/",
        )
        started.append(process)
        return Client(process=process)

    yield start
    for process in started:
        if process.poll() is None:
            process.terminate()
            process.wait(60)
        for stream in (process.stdin, process.stdout):
            if stream is not None and not stream.closed:
                stream.close()


@pytest.fixture
def new_home(tmp_path: Path) -> Iterator[Path]:
    """A state folder that is not there yet; below pytest's 0700 folder, which `nobody` cannot enter. Its server is stopped."""
    yield tmp_path / "home"
    stop_embedded(tmp_path / "home")
    sweep(tmp_path / "home")


@pytest.fixture(scope="session")
def template_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A state folder with a stopped server, to be copied: initdb writes and flushes a thousand files."""
    home = tmp_path_factory.mktemp("template") / "home"
    start_embedded(home)
    stop_embedded(home)
    return home


@pytest.fixture
def home(template_home: Path, new_home: Path) -> Path:
    """A state folder of this test's own, with a cluster and no server."""
    shutil.copytree(template_home, new_home)
    return new_home


@pytest.fixture
def open_home() -> Iterator[Path]:
    """A state folder that `nobody` can reach."""
    folder = Path(tempfile.mkdtemp(prefix="pay-ready-test-"))
    folder.chmod(0o755)
    yield folder / "home"
    stop_embedded(folder / "home")
    sweep(folder / "home")
    shutil.rmtree(folder)
