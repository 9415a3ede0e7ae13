"""Connectors are installed whole, at exact versions, each in an environment of its own. No network, by settings: the wheel is made here."""

import os
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest

from pay_ready.errors import ConfigError, ContractError, NotFoundError, PayReadyError, TransientError, UsageError
from pay_ready.sources import connector, installs
from pay_ready.sources.installs import find_connector, find_python, install_connector, list_connectors, parse_requirement, remove_connector
from tests import scripted_source


def make_wheel(folder: Path, version: str, *, script: str = "source-tiny", requires: str = ">=3.8") -> None:
    """A connector's wheel that brings the scripted source."""
    entry = f"airbyte_source_tiny-{version}"
    metadata = f"Metadata-Version: 2.1\nName: airbyte-source-tiny\nVersion: {version}\nLicense: ELv2\nRequires-Python: {requires}\n"
    content = {
        "source_tiny.py": Path(scripted_source.__file__).read_text(),
        f"{entry}.dist-info/METADATA": metadata,
        f"{entry}.dist-info/WHEEL": "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{entry}.dist-info/entry_points.txt": f"[console_scripts]\n{script} = source_tiny:main\n" if script else "",
    }
    record = "".join(f"{name},,\n" for name in (*content, f"{entry}.dist-info/RECORD"))
    with zipfile.ZipFile(folder / f"{entry}-py3-none-any.whl", "w") as wheel:
        for name, text in (content | {f"{entry}.dist-info/RECORD": record}).items():
            wheel.writestr(name, text)


@pytest.fixture
def wheels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of wheels that is all the registry there is."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    for installer in ("UV", "PIP"):
        monkeypatch.setenv(f"{installer}_NO_INDEX", "1")
        monkeypatch.setenv(f"{installer}_FIND_LINKS", str(folder))
    monkeypatch.setenv("UV_OFFLINE", "1")
    make_wheel(folder, "1.0.0")
    return folder


@pytest.mark.parametrize("installer", ["uv", "pip"])
def test_an_installed_connector_answers(wheels: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, installer: str) -> None:
    """By uv or by venv and pip: it is recorded with all that is in it, it runs from its final place, and it can go again."""
    if installer == "pip":
        monkeypatch.setattr(installs, "_uv", lambda: None)
    root = tmp_path / "connectors"
    installed = install_connector("Airbyte_Source.Tiny==1.0.0", root, sys.executable)
    assert (installed.name, installed.version, installed.script) == ("airbyte-source-tiny", "1.0.0", "source-tiny")
    assert "airbyte-source-tiny==1.0.0" in installed.packages
    assert "Elastic License 2.0" in installed.licence_notice
    assert connector.spec(installed.command(tmp_path / "home")).secret_keys == {"api_key", "api_token", "pin"}
    assert list_connectors(root) == (installed,)
    assert install_connector("airbyte-source-tiny==1.0.0", root, "/no/such/python") == installed, "there already: nothing to do"
    assert remove_connector("airbyte-source-tiny", root) == installed
    assert [path.name for path in root.iterdir()] == [".lock"]


def test_versions_live_side_by_side(wheels: Path, tmp_path: Path) -> None:
    """Two versions do not meet; without naming one, neither is guessed."""
    make_wheel(wheels, "2.0.0", script="other-name")
    for version in ("1.0.0", "2.0.0"):
        install_connector(f"airbyte-source-tiny=={version}", tmp_path, sys.executable)
    assert [(each.version, each.script) for each in list_connectors(tmp_path)] == [("1.0.0", "source-tiny"), ("2.0.0", "other-name")]
    assert find_connector("airbyte_source_tiny==2.0.0", tmp_path).version == "2.0.0"
    with pytest.raises(UsageError, match=r"airbyte-source-tiny==1\.0\.0, airbyte-source-tiny==2\.0\.0"):
        find_connector("airbyte-source-tiny", tmp_path)
    with pytest.raises(NotFoundError, match=r"connectors install airbyte-source-tiny==3\.0"):
        remove_connector("airbyte-source-tiny==3.0", tmp_path)


@pytest.mark.parametrize(
    "requirement", ["airbyte-source-tiny", "airbyte-source-tiny>=1", "a==1,==2", "a==1.*", "git+ssh://x", "-r x==1", ""]
)
def test_only_exact_versions(requirement: str, tmp_path: Path) -> None:
    """Anything but name==version is refused with an example, before anything runs."""
    with pytest.raises(UsageError, match="for example airbyte-source-faker==7"):
        install_connector(requirement, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_names_are_spelt_one_way() -> None:
    """As registries compare them."""
    assert parse_requirement(" Airbyte__Source.Faker==7.2.1 ") == ("airbyte-source-faker", "7.2.1")


@pytest.mark.parametrize(
    ("installer", "version", "kind"),
    [
        ("uv", "3.0.0", ContractError),
        ("uv", "4.0.0", NotFoundError),
        ("uv", "5.0.0", NotFoundError),
        # pip takes half a minute where uv takes a second.
        *([("pip", "4.0.0", NotFoundError)] if os.environ.get("PAY_READY_TEST_DEEP") else []),
    ],
)
def test_failures_leave_nothing(
    wheels: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, installer: str, version: str, kind: type[PayReadyError]
) -> None:
    """A package without a script, one for another Python and an absent version are named; no folder stays."""
    if installer == "pip":
        monkeypatch.setattr(installs, "_uv", lambda: None)
    root = tmp_path / "connectors"
    make_wheel(wheels, "3.0.0", script="")
    make_wheel(wheels, "4.0.0", requires=">=3.99")
    with pytest.raises(kind):
        install_connector(f"airbyte-source-tiny=={version}", root, sys.executable)
    assert [path.name for path in root.iterdir()] == [".lock"]


def test_an_unreachable_registry_is_transient() -> None:
    """What may work later is told from what is not there, and an address with a password is not repeated."""
    address = "https://me:pw@index.example/"  # pragma: allowlist secret
    said = f"WARNING: Retrying (Retry(total=4)) after connection broken: {address} ERROR: No matching distribution found"
    error = installs._install_error(said, "x==1")
    assert type(error) is TransientError
    assert "pw@" not in str(error)
    assert type(installs._install_error("Because there is no version of x==1", "x==1")) is NotFoundError


INSTALL = """
import sys
from pathlib import Path
sys.path.insert(0, {root!r})
from pay_ready.sources.installs import install_connector
install_connector("airbyte-source-tiny==1.0.0", Path({folder!r}), sys.executable)
"""


def test_a_killed_installation_is_no_connector(wheels: Path, tmp_path: Path) -> None:
    """Killed in the middle, nothing is listed; the next installation clears up and succeeds."""
    folder = tmp_path / "connectors"
    script = INSTALL.format(root=str(Path(connector.__file__).parents[2]), folder=str(folder))
    with subprocess.Popen([sys.executable, "-c", script], start_new_session=True) as killed:
        deadline = time.monotonic() + 30
        while not list(folder.glob(".building-*")) and time.monotonic() < deadline:
            time.sleep(0.005)
        os.killpg(killed.pid, signal.SIGKILL)
    assert list_connectors(folder) == ()
    unfinished = folder / "airbyte-source-tiny@1.0.0"
    unfinished.mkdir()
    installed = install_connector("airbyte-source-tiny==1.0.0", folder, sys.executable)
    assert list_connectors(folder) == (installed,)
    assert not list(folder.glob(".building-*"))


def test_finding_a_python(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A wanted one must run; else the first that is old enough; launchers that stand for nothing are passed over."""
    assert find_python(sys.executable) == sys.executable
    with pytest.raises(ConfigError, match="does not run"):
        find_python("/no/such/python")
    for name, body in {"python3.11": "exit 127", "python3.10": "echo 3 10"}.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{body}\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    monkeypatch.setattr(installs, "_CANDIDATES", ("python3.11", "python3.10"))
    assert find_python() == "python3.10"
    (tmp_path / "python3.10").write_text("#!/bin/sh\necho 3 12\n")
    with pytest.raises(ConfigError, match=r"install Python 3\.11"):
        find_python()


def test_a_damaged_record_is_named(tmp_path: Path) -> None:
    """The error says which folder to remove."""
    (tmp_path / "x@1").mkdir()
    (tmp_path / "x@1" / "installed.json").write_text("{")
    with pytest.raises(ConfigError, match="install it again"):
        list_connectors(tmp_path)
