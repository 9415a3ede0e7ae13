"""One suite over every embedder: whatever the texts, out come unit rows, one a text, in their order."""

import threading
from collections.abc import Iterator

import numpy as np
import pytest

from pay_ready.errors import NotFoundError
from pay_ready.memory.embed.choose import open_embedder
from pay_ready.memory.embed.options import EmbedderOptions, OpenAIOptions
from pay_ready.memory.embed.weights import find_weights
from pay_ready.model.memory import Embedder
from tests.embedding_server import EmbeddingServer

ODD = (
    "", " ", "\n\t", "...!?", "\x00", "\ud800", "a", "\u200b", "\N{PILE OF POO}", "日本語のテキスト。", "Příliš žluťoučký kůň", "مرحبا",
    "0", "<b>", "word " * 2_000, "x" * 30_000, "\u0301" * 40, "𝔘𝔫𝔦𝔠𝔬𝔡𝔢",
)  # fmt: skip
PLAIN = ("The invoice was paid.", "When does the pilot begin?", "Our budget is small this year, but next year we will have more of it.")


@pytest.fixture(scope="module", params=["minilm-onnx", "minilm-numpy", "openai", "hash"])
def embedder(request: pytest.FixtureRequest) -> Iterator[Embedder]:
    """Each of them, the remote one on a server of ours."""
    if request.param.startswith("minilm"):
        try:
            find_weights()
        except NotFoundError:
            pytest.skip("the weights are not installed: pay-ready models install")
    if request.param == "openai":
        with EmbeddingServer() as server:
            remote = OpenAIOptions(url=server.url, model="a-model", dim=1024, batch_size=3)
            yield open_embedder(EmbedderOptions(provider="openai", openai=remote))
    else:
        yield open_embedder(EmbedderOptions(provider=request.param))


def test_rows_are_unit_float32(embedder: Embedder) -> None:
    """(n, dim), float32, each of length 1, whatever the text: never zero, never NaN."""
    rows = embedder.embed([*ODD, *PLAIN])
    assert rows.shape == (len(ODD) + len(PLAIN), embedder.dim)
    assert rows.dtype == np.float32
    assert np.abs(np.linalg.norm(rows.astype(np.float64), axis=1) - 1).max() < 1e-6


def test_no_texts_are_no_rows(embedder: Embedder) -> None:
    """Of nothing come no rows, of the right width."""
    rows = embedder.embed([])
    assert rows.shape == (0, embedder.dim)
    assert rows.dtype == np.float32


def test_the_same_text_has_the_same_vector(embedder: Embedder) -> None:
    """Asked twice, the answer is the same to the last bit. Twice in one call it may differ in it: a matrix is multiplied in blocks."""
    first, again = embedder.embed(PLAIN), embedder.embed(PLAIN)
    assert np.array_equal(first, again)
    twice = embedder.embed([PLAIN[0], PLAIN[0]])
    assert np.abs(twice[0] - twice[1]).max() < 1e-6


def test_neighbours_change_nothing(embedder: Embedder) -> None:
    """A text's vector is the same alone, among others and in any order: texts do not move between rows."""
    texts = [*PLAIN, *ODD[4:], *(f"Offer number {number} is {'very ' * number}good." for number in range(0, 40, 5))]
    together = embedder.embed(texts)
    alone = np.concatenate([embedder.embed([text]) for text in texts])
    backwards = embedder.embed(texts[::-1])[::-1]
    assert np.abs(together - alone).max() < 1e-5
    assert np.abs(together - backwards).max() < 1e-5


def test_different_texts_have_different_vectors(embedder: Embedder) -> None:
    """The rows are those of the texts, not one vector for all; related texts are nearer than strangers."""
    rows = embedder.embed(["The invoice was paid.", "The invoices were paid today.", "Penguins breed in colonies."])
    assert rows[0] @ rows[1] > 0.4 > rows[0] @ rows[2]


def test_the_end_of_a_long_text_does_not_count(embedder: Embedder) -> None:
    """What is beyond the longest text read is cut, not refused."""
    long = "The pilot begins in May. " * 4_000
    rows = embedder.embed([long, long + "Penguins breed in colonies."])
    assert np.abs(rows[0] - rows[1]).max() < 1e-6


def test_many_threads_at_once(embedder: Embedder) -> None:
    """Six threads with texts of their own each get their own vectors."""
    texts = [[f"Thread {number} says {word}" for word in ("yes", "no, not before the summer", "maybe")] for number in range(6)]
    alone = [embedder.embed(each) for each in texts]
    together: list[np.ndarray | None] = [None] * len(texts)
    start = threading.Barrier(len(texts))

    def work(number: int) -> None:
        start.wait()
        together[number] = embedder.embed(texts[number])

    threads = [threading.Thread(target=work, args=(number,)) for number in range(len(texts))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for ours, theirs in zip(alone, together, strict=True):
        assert theirs is not None
        assert np.abs(ours - theirs).max() < 1e-5


def test_the_id_says_what_can_be_compared(embedder: Embedder) -> None:
    """Name, weights, precision and pooling; no address, for it is stored beside every vector."""
    parts = embedder.id.split(":")
    assert len(parts) == 4
    assert all(parts)
    assert "//" not in embedder.id
    assert embedder.max_tokens > 0
    assert embedder.is_lexical == (parts[0].startswith("hash"))
