"""all-MiniLM-L6-v2 in NumPy: needs nothing but the weights, and runs wherever NumPy does.

The pass is BERT's (Devlin and others, "BERT", NAACL 2019), with the exact GELU x * Phi(x) of Hendrycks and Gimpel (2016).
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pay_ready.memory.embed.minilm import Batch, MiniLM, Pass
from pay_ready.memory.embed.weights import Affine, Floats, Layer, Weights, find_weights, hash_of_weights, load_weights

_FAR = np.float32(-10_000)  # added to the attention that filling would get: it becomes 0


def open_minilm_numpy(folder: Path | None = None) -> MiniLM:
    """The embedder on a folder's weights, else on the installed ones.

    Raises:
        NotFoundError, ConfigError: As `find_weights` and `load_weights`.
    """
    folder = find_weights(folder)
    weights = load_weights(folder)
    return MiniLM(folder, hash_of_weights(folder), weights.dim, numpy_pass(weights))


def numpy_pass(weights: Weights) -> Pass:
    """Batches to means, shape (texts, dim)."""

    def run(batch: Batch) -> Floats:
        length = batch.ids.shape[1]
        x = _normed(weights.words[batch.ids] + weights.positions[:length], weights.norm, weights.epsilon)
        filling = np.where(np.arange(length) < batch.lengths[:, None], np.float32(0), _FAR)[:, None, None, :]
        for layer in weights.layers:
            x = _normed(x + _attended(x, layer, weights.heads, filling), layer.attended_norm, weights.epsilon)
            x = _normed(x + _affine(_gelu(_affine(x, layer.inner)), layer.outer), layer.outer_norm, weights.epsilon)
        means: Floats = (batch.shares @ x)[:, 0]
        return means

    return run


def _affine(x: Floats, by: Affine) -> Floats:
    """(texts, pieces, a) to (texts, pieces, b); as one matrix product, several times faster than one a text."""
    flat = x.reshape(-1, x.shape[-1]) @ by.weight
    flat += by.bias
    return flat.reshape(*x.shape[:-1], -1)


def _normed(x: Floats, by: Affine, epsilon: float) -> Floats:
    """Each piece's values at mean 0 and variance 1, scaled and moved."""
    x = x - x.mean(axis=-1, keepdims=True)
    x /= np.sqrt(np.square(x).mean(axis=-1, keepdims=True) + np.float32(epsilon))
    x *= by.weight
    x += by.bias
    return x


def _attended(x: Floats, layer: Layer, heads: int, filling: Floats) -> Floats:
    """Scaled dot-product attention: softmax(q k' / sqrt(width)) v, head by head."""
    texts, length, dim = x.shape
    width = dim // heads
    query, key, value = _affine(x, layer.attention).reshape(texts, length, 3, heads, width).transpose(2, 0, 3, 1, 4)
    scores = query @ key.swapaxes(-1, -2)
    scores *= np.float32(width**-0.5)
    scores += filling
    scores -= scores.max(axis=-1, keepdims=True)
    np.exp(scores, out=scores)
    scores /= scores.sum(axis=-1, keepdims=True)
    return _affine((scores @ value).transpose(0, 2, 1, 3).reshape(texts, length, dim), layer.attended)


def _gelu(x: Floats) -> Floats:
    from scipy.special import erf

    part: NDArray[np.float32] = erf(x * np.float32(0.5**0.5))
    part += 1
    part *= x
    part *= np.float32(0.5)
    return part
