"""The hash embedder, whatever the text: a unit row that depends on words and letters, and on nothing else."""

import subprocess
import sys

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pay_ready.memory.embed.hashing import HashEmbedder

EMBEDDER = HashEmbedder()


@given(st.lists(st.text(st.characters(), max_size=300), max_size=8))
def test_any_text_has_a_unit_row(texts: list[str]) -> None:
    """Lone surrogates, control characters, nothing at all: length 1, never NaN."""
    rows = EMBEDDER.embed(texts)
    assert rows.shape == (len(texts), EMBEDDER.dim)
    assert np.allclose(np.linalg.norm(rows.astype(np.float64), axis=1), 1, atol=1e-6)


@given(st.lists(st.text("abcdefgh", min_size=1, max_size=8), min_size=1, max_size=20))
def test_case_and_space_do_not_count(words: list[str]) -> None:
    """The same words are the same vector, however they are written out."""
    rows = EMBEDDER.embed([" ".join(words), "  ".join(words).upper() + "\n", ", ".join(words)])
    assert np.allclose(rows[0], rows[1])
    assert np.allclose(rows[0], rows[2])


def test_another_process_hashes_alike() -> None:
    """Vectors are stored: they must not depend on Python's per-process hash seed."""
    script = "from pay_ready.memory.embed.hashing import HashEmbedder as H; print(H().embed(['The invoice was paid.']).tobytes().hex())"
    said = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == EMBEDDER.embed(["The invoice was paid."]).tobytes().hex()
