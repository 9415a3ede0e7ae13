"""all-MiniLM-L6-v2 without torch: the values of the original, from either pass, and refusals of what is not that model."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pay_ready.errors import ConfigError, EmbeddingError, NotFoundError
from pay_ready.memory.embed import minilm_onnx
from pay_ready.memory.embed.minilm import MiniLM
from pay_ready.memory.embed.minilm_numpy import numpy_pass, open_minilm_numpy
from pay_ready.memory.embed.minilm_onnx import check_agreement, onnx_pass, open_minilm_onnx
from pay_ready.memory.embed.options import RuntimeRefusedError
from pay_ready.memory.embed.rows import unit_rows
from pay_ready.memory.embed.weights import Affine, find_weights, hash_of_weights, load_weights

# Cosines by sentence-transformers 6.2.0 on torch 2.15.0 (CPU), from the same file of weights.
BY_TORCH = (
    ("A man is eating food.", "A man is eating a piece of bread.", 0.7553372),
    ("A man is eating food.", "The girl is carrying a baby.", -0.1049585),
    ("How much does the larger plan cost?", "What is the price of the enterprise tier?", 0.4332254),
    ("The invoice was paid twice.", "Somebody has charged us two times.", 0.4672319),
    ("Kickoff moved to Tuesday", "Der Auftakt ist am Dienstag", 0.0523421),
    ("", "punctuation ... !?", 0.1369826),
    ("word " * 400, "word word word ", 0.5271378),  # cut at 256 pieces
)


@pytest.fixture(scope="module")
def installed() -> Path:
    """The installed weights."""
    try:
        return find_weights()
    except NotFoundError:
        pytest.skip("the weights are not installed: pay-ready models install")


@pytest.fixture(scope="module", params=[open_minilm_numpy, open_minilm_onnx])
def embedder(request: pytest.FixtureRequest, installed: Path) -> MiniLM:
    """Either pass."""
    opened: MiniLM = request.param(installed)
    return opened


def test_cosines_are_those_of_torch(embedder: MiniLM) -> None:
    """To 1e-6 of what the original computes."""
    for left, right, cosine in BY_TORCH:
        one, other = embedder.embed([left, right]).astype(np.float64)
        assert abs(one @ other - cosine) < 1e-6, (left[:20], right[:20])


def test_both_passes_share_an_id_and_agree(installed: Path) -> None:
    """Vectors of the two may be mixed: one id, and values equal to 1e-6 from the shortest text to the longest."""
    ours, theirs = open_minilm_numpy(installed), open_minilm_onnx(installed, threads=2)
    assert ours.id == theirs.id == f"minilm-l6-v2:{hash_of_weights(installed)[:12]}:fp32:mean"
    texts = ["", "Yes.", *("The pilot begins in May, and we pay in June. " * count for count in (1, 3, 9, 40))]
    assert np.abs(ours.embed(texts) - theirs.embed(texts)).max() < 1e-6


def test_a_runtime_that_computes_nonsense_is_refused(installed: Path) -> None:
    """One wrong weight of 10 million, one head more or NaN: the check at opening notices."""
    weights = load_weights(installed)
    reference = numpy_pass(weights)
    check_agreement(onnx_pass(weights), reference)
    first, *rest = weights.layers
    moved = Affine(weight=first.inner.weight + np.float32(0.01), bias=first.inner.bias)
    for wrong in (
        replace(weights, layers=(replace(first, inner=moved), *rest)),
        replace(weights, heads=6),
        replace(weights, norm=Affine(weight=weights.norm.weight * np.float32("nan"), bias=weights.norm.bias)),
    ):
        with pytest.raises(RuntimeRefusedError, match="something else than NumPy"):
            check_agreement(onnx_pass(wrong), reference)


def test_a_runtime_that_refuses_the_graph_is_said(installed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its own error does not come through: ours says what to use instead."""
    monkeypatch.setattr(minilm_onnx, "onnx_graph", lambda _: b"no graph")
    with pytest.raises(RuntimeRefusedError, match="onnxruntime refuses the graph - error=InvalidProtobuf - use the provider minilm-numpy"):
        open_minilm_onnx(installed)


@pytest.mark.parametrize("name", ["model.safetensors", "tokenizer.json", "config.json"])
def test_a_missing_file_is_named(installed: Path, tmp_path: Path, name: str) -> None:
    """A folder that lacks a file is refused, by the file's name."""
    for each in ("model.safetensors", "tokenizer.json", "config.json"):
        if each != name:
            (tmp_path / each).symlink_to(installed / each)
    with pytest.raises(ConfigError, match=f"{name} - install them: pay-ready models install"):
        find_weights(tmp_path)


def _cut(folder: Path) -> None:
    content = (folder / "model.safetensors").read_bytes()[:100_000]
    (folder / "model.safetensors").unlink()
    (folder / "model.safetensors").write_bytes(content)


def _other_kind(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").unlink()
    (folder / "config.json").write_text(json.dumps({**config, "hidden_act": "relu"}))


def _no_json(folder: Path) -> None:
    (folder / "config.json").unlink()
    (folder / "config.json").write_text("{")


@pytest.mark.parametrize(
    ("spoil", "said"), [(_cut, "cannot be read"), (_other_kind, "another kind of model"), (_no_json, "cannot be read")]
)
def test_foreign_or_broken_weights_are_refused(installed: Path, tmp_path: Path, spoil: Callable[[Path], None], said: str) -> None:
    """Half a file, another architecture, no JSON: an error of ours, before a vector is made."""
    for name in ("model.safetensors", "tokenizer.json", "config.json"):
        (tmp_path / name).symlink_to(installed / name)
    spoil(tmp_path)
    with pytest.raises(ConfigError, match=said):
        open_minilm_numpy(tmp_path)


def test_other_weights_have_another_id(installed: Path, tmp_path: Path) -> None:
    """One changed byte of 90 million is another embedder: its vectors are not compared with those of the first."""
    shutil.copytree(installed, tmp_path / "model")
    with (tmp_path / "model" / "model.safetensors").open("r+b") as file:
        file.seek(-1, 2)
        last = file.read(1)
        file.seek(-1, 2)
        file.write(bytes([last[0] ^ 1]))
    assert hash_of_weights(tmp_path / "model") != hash_of_weights(installed)


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (np.ones((2, 3)), "another shape"),
        (np.array([[0.0, 0.0], [0.0, 1.0]]), "row=0, rows=1"),
        (np.array([[1.0, 0.0], [np.nan, 1.0]]), "row=1, rows=1"),
        (np.array([[np.inf, 0.0], [-np.inf, 1.0]]), "row=0, rows=2"),
    ],
)
def test_what_is_no_vector_never_leaves(rows: np.ndarray, said: str) -> None:
    """Wrong shape, zero, NaN, infinity: an error that names the first row, not a vector that matches nothing or everything."""
    with pytest.raises(EmbeddingError, match=said):
        unit_rows(rows, shape=(2, 2), embedder="e")


def test_large_and_small_vectors_become_unit_ones() -> None:
    """Values whose squares overflow or vanish are brought to length 1 all the same."""
    rows = unit_rows(np.array([[3e300, 4e300], [3e-310, 4e-310]]), shape=(2, 2), embedder="e")
    assert np.allclose(rows, [[0.6, 0.8], [0.6, 0.8]])
