"""Opens the embedder that the options ask for, and says which ones can be used here. Nothing heavy is loaded before one is opened."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import structlog

from pay_ready.errors import ConfigError, NotFoundError, PayReadyError
from pay_ready.memory.embed.options import PROVIDERS, EmbedderOptions, Provider, RuntimeRefusedError
from pay_ready.model.memory import Embedder

LEXICAL_ONLY = "search is lexical only: texts are found by their words, not by what they mean - install a model: pay-ready models install"
_BEST_FIRST: tuple[Provider, ...] = ("minilm-onnx", "minilm-numpy", "hash")

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbedderState:
    """One provider as it stands on this machine."""

    provider: Provider
    usable: bool
    reason: str = ""  # why not
    id: str = ""
    dim: int = 0
    is_lexical: bool = False


def open_embedder(options: EmbedderOptions) -> Embedder:
    """The embedder asked for; with `auto` the best that can be used, and one warning a process when that knows words alone.

    A caller who shows something to people says LEXICAL_ONLY when the embedder `is_lexical`.

    Raises:
        NotFoundError: The weights are not installed (asked for by name; auto goes on to the next).
        ConfigError: The provider is unknown, or its options are missing or off.
        RuntimeRefusedError: onnxruntime was asked for by name and cannot be used.
    """
    if options.provider == "auto":
        return _best(options)
    if (opened := _OPENS.get(options.provider)) is None:
        raise ConfigError("no such embedder", f"choose one of: {', '.join(PROVIDERS)}", key="provider", value=options.provider)
    embedder = opened(options)
    if embedder.is_lexical:
        _warn_lexical(embedder.id)
    return embedder


def embedder_states(options: EmbedderOptions) -> list[EmbedderState]:
    """Each provider: whether it opens here, and if not, why."""
    return [_state(provider, options) for provider in _OPENS]


def auto_provider(states: Sequence[EmbedderState]) -> Provider:
    """What `auto` takes of them: the first local one that can be used."""
    usable = {each.provider for each in states if each.usable}
    return next(provider for provider in _BEST_FIRST if provider in usable)


def _best(options: EmbedderOptions) -> Embedder:
    try:
        return _onnx(options)
    except RuntimeRefusedError as error:
        log.warning("embedder.refused", kind="minilm-onnx", reason=error.what)
        return _numpy(options)
    except NotFoundError:
        pass  # no weights
    embedder = _hash(options)
    _warn_lexical(embedder.id)
    return embedder


@cache
def _warn_lexical(embedder: str) -> None:
    """Once a process: a warning that comes with every search is read by nobody."""
    log.warning("embedder.lexical_only", kind=embedder, reason=LEXICAL_ONLY)


def _state(provider: Provider, options: EmbedderOptions) -> EmbedderState:
    try:
        embedder = _OPENS[provider](options)
    except PayReadyError as error:
        return EmbedderState(provider=provider, usable=False, reason=" - ".join(filter(None, (error.what, error.hint))))
    return EmbedderState(provider=provider, usable=True, id=embedder.id, dim=embedder.dim, is_lexical=embedder.is_lexical)


def _onnx(options: EmbedderOptions) -> Embedder:
    from pay_ready.memory.embed.minilm_onnx import open_minilm_onnx

    return open_minilm_onnx(options.weights_folder, threads=options.threads)


def _numpy(options: EmbedderOptions) -> Embedder:
    from pay_ready.memory.embed.minilm_numpy import open_minilm_numpy

    return open_minilm_numpy(options.weights_folder)


def _openai(options: EmbedderOptions) -> Embedder:
    from pay_ready.memory.embed.openai import OpenAIEmbedder

    if options.openai is None:
        raise ConfigError(
            "no embedding server is configured", "set embedding.url, embedding.model and embedding.dimensions", key="embedding.url"
        )
    return OpenAIEmbedder(options.openai)


def _hash(options: EmbedderOptions) -> Embedder:  # noqa: ARG001 - the others' shape
    from pay_ready.memory.embed.hashing import HashEmbedder

    return HashEmbedder()


_OPENS: Mapping[Provider, Callable[[EmbedderOptions], Embedder]] = {
    "minilm-onnx": _onnx, "minilm-numpy": _numpy, "openai": _openai, "hash": _hash,
}  # fmt: skip
