"""Of any passages: how they are cut into messages, and what is taken for a vector."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pay_ready.errors import EmbeddingError
from pay_ready.memory.cold.guards import check_vector
from pay_ready.memory.cold.objects import chunks, greatest_distance, size_bytes
from pay_ready.memory.cold.options import WeaviateOptions
from pay_ready.memory.cold.schema import has_aliases, physical_name
from tests.vectors_support import entity, new_tenant_id, passage, unit

ONE = passage(new_tenant_id(), 1)


@given(entities=st.lists(st.integers(0, 60), max_size=40), most_objects=st.integers(1, 9), most_bytes=st.integers(1, 9_000))
def test_messages(entities: list[int], most_objects: int, most_bytes: int) -> None:
    """Every passage once, in order; no message has too many or is too large, unless one passage is so by itself; none is empty."""
    objects = [replace(ONE, entity_ids=tuple(map(entity, range(count)))) for count in entities]
    cut = list(chunks(objects, most_objects, most_bytes))
    assert [each for chunk in cut for each in chunk] == objects
    assert all(1 <= len(chunk) <= most_objects for chunk in cut)
    assert all(len(chunk) == 1 or sum(map(size_bytes, chunk)) <= most_bytes for chunk in cut)


@given(numbers=st.lists(st.floats(width=32, allow_nan=True, allow_infinity=True), min_size=3, max_size=3))
def test_only_unit_vectors_are_vectors(numbers: list[float]) -> None:
    """Whatever is not of length 1, to a thousandth, is refused; NaN and infinity are not."""
    vector = np.array(numbers, dtype=np.float32)
    with np.errstate(all="ignore"):
        length = np.linalg.norm(vector.astype(np.float64))
        if abs(length - 1) <= 1e-3:
            check_vector(vector, 3)
        else:
            with pytest.raises(EmbeddingError):
                check_vector(vector, 3)
    check_vector(unit(*numbers[:1], 1.0, dim=3) if np.isfinite(numbers[0]) and abs(numbers[0]) < 1e6 else unit(1.0, dim=3), 3)


@given(least=st.floats(-1, 1))
def test_thresholds(least: float) -> None:
    """What is similar enough is near enough; at the lowest similarity everything is."""
    distance = greatest_distance(least)
    assert distance is None if least == -1 else distance is not None and distance >= 1 - least


@given(first=st.text(), second=st.text())
def test_embedders_never_share_a_collection(first: str, second: str) -> None:
    """Another embedder, another collection, of a name that Weaviate takes; every kind of source has its base."""
    options = WeaviateOptions()
    names = [physical_name(options.base_of(kind), embedder) for kind in ("gong", "whatever") for embedder in (first, second)]
    assert len(set(names)) == (2 if first == second else 4)
    assert all(name.partition("_")[0] in options.bases and name[-8:].isalnum() for name in names)


@pytest.mark.parametrize(("version", "has"), [("1.31.9", False), ("1.32.0", True), ("1.40.0-dev", True), ("2.0.1", True), ("", False)])
def test_aliases_by_version(version: str, has: bool) -> None:
    """From 1.32 on."""
    assert has_aliases(version) is has
