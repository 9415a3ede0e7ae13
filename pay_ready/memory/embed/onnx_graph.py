"""The ONNX graph of all-MiniLM-L6-v2, written as protocol buffers by hand: 8 kB, in a millisecond, without torch or onnx.

The weights are not in it: it names them, and the session is given the arrays. So there is no file that could be half
written, foreign, or left over from other weights. Field numbers are those of onnx.proto3 (IR version 8). Operators are
onnxruntime's own (domain com.microsoft), what its optimizer would make of the plain ones.
"""

import struct
from collections.abc import Iterator, Mapping, Sequence

from pay_ready.memory.embed.weights import Affine, Floats, Weights

IDS, LENGTHS, SHARES, MEANS = "ids", "lengths", "shares", "means"

_OURS = "com.microsoft"
_IR_VERSION, _OPSET, _OURS_OPSET = 8, 17, 1
_FLOAT, _INT32 = 1, 6  # TensorProto.DataType
_EXTERNAL = 1  # TensorProto.DataLocation
_VARINT, _BYTES, _FIXED32 = 0, 2, 5  # wire types


def onnx_arrays(weights: Weights) -> dict[str, Floats]:
    """Every array that the graph wants, by the name that it has there."""
    arrays = {"words": weights.words, "positions": weights.positions, **_pair("norm", weights.norm)}
    for number, layer in enumerate(weights.layers):
        for part in ("attention", "attended", "attended_norm", "inner", "outer", "outer_norm"):
            arrays |= _pair(f"{number}.{part}", getattr(layer, part))
    return arrays


def onnx_graph(weights: Weights) -> bytes:
    """A ModelProto: ids (b, s) int32, lengths (b,) int32 and shares (b, 1, s) to means (b, 1, dim)."""
    graph = [_field(1, node) for node in _nodes(len(weights.layers), weights.heads, weights.epsilon)]
    graph.append(_field(2, "minilm"))
    graph += [_field(5, _initializer(name, array)) for name, array in onnx_arrays(weights).items()]
    graph += [_field(11, _value(IDS, _INT32, "b", "s")), _field(11, _value(LENGTHS, _INT32, "b"))]
    graph += [_field(11, _value(SHARES, _FLOAT, "b", 1, "s")), _field(12, _value(MEANS, _FLOAT, "b", 1, weights.dim))]
    opsets = (_field(2, _OPSET), _field(1, _OURS) + _field(2, _OURS_OPSET))
    return _field(1, _IR_VERSION) + _field(7, b"".join(graph)) + b"".join(_field(8, each) for each in opsets)


def _nodes(layers: int, heads: int, epsilon: float) -> Iterator[bytes]:
    """The pass, node by node; `x` names what comes into a layer. An empty name is an input left out."""
    embedded = (IDS, "", "words", "positions", "", "norm.weight", "norm.bias")
    yield _node("EmbedLayerNormalization", embedded, ("0.x", "unused"), domain=_OURS, epsilon=epsilon)
    for number in range(layers):

        def name(part: str, number: int = number) -> str:
            return f"{number}.{part}"

        def norm(part: str, *inputs: str, bias: str) -> tuple[str, ...]:
            return (*inputs, f"{part}.weight", f"{part}.bias", bias)

        x, y, after = name("x"), name("y"), f"{number + 1}.x"
        attention = (x, name("attention.weight"), name("attention.bias"), LENGTHS)
        yield _node("Attention", attention, (name("a"),), domain=_OURS, num_heads=heads)
        yield _node("MatMul", (name("a"), name("attended.weight")), (name("b"),))
        inputs = norm(name("attended_norm"), name("b"), x, bias=name("attended.bias"))
        yield _node("SkipLayerNormalization", inputs, (y,), domain=_OURS, epsilon=epsilon)
        yield _node("MatMul", (y, name("inner.weight")), (name("c"),))
        yield _node("BiasGelu", (name("c"), name("inner.bias")), (name("d"),), domain=_OURS)
        yield _node("MatMul", (name("d"), name("outer.weight")), (name("e"),))
        inputs = norm(name("outer_norm"), name("e"), y, bias=name("outer.bias"))
        yield _node("SkipLayerNormalization", inputs, (after,), domain=_OURS, epsilon=epsilon)
    yield _node("MatMul", (SHARES, f"{layers}.x"), (MEANS,))


def _node(op: str, inputs: Sequence[str], outputs: Sequence[str], *, domain: str = "", **attributes: int | float) -> bytes:
    """A NodeProto."""
    parts = [*(_field(1, name) for name in inputs), *(_field(2, name) for name in outputs), _field(3, outputs[0]), _field(4, op)]
    return b"".join([*parts, *(_field(5, _attribute(*each)) for each in attributes.items()), _field(7, domain)])


def _attribute(name: str, value: int | float) -> bytes:
    """An AttributeProto: an integer or a float."""
    if isinstance(value, int):
        return _field(1, name) + _field(3, value) + _field(20, 2)
    return _field(1, name) + _varint(2 << 3 | _FIXED32) + struct.pack("<f", value) + _field(20, 1)


def _initializer(name: str, array: Floats) -> bytes:
    """A TensorProto whose data is elsewhere; where is said by a file name that no file has."""
    place: Mapping[str, str] = {"location": "given to the session", "offset": "0", "length": str(array.nbytes)}
    shape = b"".join(_field(1, length) for length in array.shape)
    said = b"".join(_field(13, _field(1, key) + _field(2, value)) for key, value in place.items())
    return shape + _field(2, _FLOAT) + _field(8, name) + said + _field(14, _EXTERNAL)


def _value(name: str, kind: int, *shape: str | int) -> bytes:
    """A ValueInfoProto; a dimension is a length, or a name where it varies."""
    dims = b"".join(_field(1, _field(1, each) if isinstance(each, int) else _field(2, each)) for each in shape)
    return _field(1, name) + _field(2, _field(1, _field(1, kind) + _field(2, dims)))


def _field(number: int, value: int | str | bytes) -> bytes:
    """A field: a number as varint, texts and messages with their length before them."""
    if isinstance(value, int):
        return _varint(number << 3 | _VARINT) + _varint(value)
    content = value.encode() if isinstance(value, str) else value
    return _varint(number << 3 | _BYTES) + _varint(len(content)) + content


def _varint(number: int) -> bytes:
    """Seven bits a byte, the lowest first; all but the last have the top bit set."""
    encoded = bytearray()
    while number > 0x7F:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)


def _pair(name: str, affine: Affine) -> dict[str, Floats]:
    return {f"{name}.weight": affine.weight, f"{name}.bias": affine.bias}
