"""The built wheel works in an empty folder, and puts nothing but pay_ready into site-packages."""

import json
import os
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def pay_ready(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`pay-ready` installed from the wheel into an environment of its own; only the dependencies are borrowed from ours."""
    folder = tmp_path_factory.mktemp("environment")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    (site_packages,) = folder.glob("lib/python*/site-packages")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site_packages)
    # A path in a .pth file is added as it is: the editable install beside the dependencies is not followed.
    (site_packages / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    script = folder / "bin" / "pay-ready"
    script.write_text(f"#!{folder}/bin/python\nfrom pay_ready.cli.main import main\nmain()\n")
    script.chmod(0o755)
    return script


def run(script: Path, folder: Path, *words: str) -> "subprocess.CompletedProcess[str]":
    """The command in an empty folder, with a clean environment."""
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "PAY_READY_HOME": str(folder / "state")}
    return subprocess.run([str(script), *words], cwd=folder, env=environment, capture_output=True, text=True, check=False)


def test_only_pay_ready_is_in_the_wheel(wheel: Path) -> None:
    """No generic `flows`, `config` or `sql` lands in site-packages; all three travel under pay_ready."""
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    top = {name.split("/")[0] for name in names}
    assert all(each == "pay_ready" or each.endswith(".dist-info") for each in top)
    parts = (
        "sql/migrations/0001_ground.sql", "sql/queries/tenants.sql", "config/defaults.toml", "config/connectors/gong.yaml", "flows/etl.py",
    )  # fmt: skip
    for part in (*parts, "sources/declarative.py"):
        assert f"pay_ready/{part}" in names


def test_the_installed_command_works_in_an_empty_folder(pay_ready: Path, tmp_path: Path) -> None:
    """It starts its own Postgres, migrates it from the SQL in the wheel, makes a tenant, and says that all is well."""
    made = run(pay_ready, tmp_path, "tenants", "create", "acme", "--json")
    assert made.returncode == 0, made.stderr
    assert json.loads(made.stdout)["data"]["slug"] == "acme"
    looked = run(pay_ready, tmp_path, "doctor", "--json")
    findings = {each["check"]: each["state"] for each in json.loads(looked.stdout)["data"]}
    assert findings["migrations"] == findings["row security"] == findings["server"] == "ok", looked.stdout
    place = subprocess.run(
        [str(pay_ready.parent / "python"), "-c", "import pay_ready.flows, pay_ready; print(pay_ready.__file__)"],
        cwd=tmp_path, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert str(pay_ready.parent.parent) in place.stdout
