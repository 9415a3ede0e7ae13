"""An embedding server that is slow, wrong, away or rude, over a real socket: no vector of it is ever half right."""

import asyncio
import socket
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import structlog

from pay_ready.breaker import Breaker, BreakerOpenError
from pay_ready.errors import ConfigError, DeniedError, EmbeddingError, PayReadyError, TransientError
from pay_ready.memory.embed.hashing import HashEmbedder
from pay_ready.memory.embed.openai import OpenAIEmbedder
from pay_ready.memory.embed.options import OpenAIOptions
from tests.embedding_server import KEY, EmbeddingServer, changed, never, status

TEXTS = [f"canary text number {number}" for number in range(7)]


@pytest.fixture
def server() -> Iterator[EmbeddingServer]:
    """A server that answers rightly until told otherwise."""
    with EmbeddingServer() as server:
        yield server


def opened(server: EmbeddingServer, **values: Any) -> OpenAIEmbedder:
    """An embedder on the server, with a breaker that does not open."""
    options = OpenAIOptions(url=server.url, model="a-model", dim=1024, api_key=KEY)
    return OpenAIEmbedder(replace(options, **values), breaker=Breaker("embedder", opens_after=100))


def refused(embedder: OpenAIEmbedder, kind: type[PayReadyError]) -> str:
    """What an error says, which is neither the key nor a text."""
    with structlog.testing.capture_logs() as logged, pytest.raises(kind) as caught:
        embedder.embed(TEXTS)
    seen: BaseException | None = caught.value
    while seen is not None:
        assert "canary" not in str(seen)
        seen = seen.__cause__ or seen.__context__
    assert "canary" not in repr(logged)
    assert "canary" not in repr(embedder.options)
    return str(caught.value)


def test_batches_are_asked_as_the_api_wants(server: EmbeddingServer) -> None:
    """Seven texts in batches of three are three requests with key and model; the rows come back in the texts' order."""
    rows = opened(server, batch_size=3).embed(TEXTS)
    assert np.abs(rows - HashEmbedder().embed(TEXTS)).max() < 1e-6
    assert sorted(len(each.body["input"]) for each in server.seen) == [1, 3, 3]
    assert {each.authorization for each in server.seen} == {f"Bearer {KEY}"}
    assert all(each.body["model"] == "a-model" and "dimensions" not in each.body for each in server.seen)


def test_options_reach_the_server(server: EmbeddingServer) -> None:
    """`dimensions` is sent on request, no key is no header, a slash at the end of the address does not matter."""
    opened(server, asks_dimensions=True, api_key="", url=server.url + "/").embed(TEXTS)
    assert server.seen[0].body["dimensions"] == 1024
    assert server.seen[0].authorization == ""


def test_empty_and_long_texts_are_made_sendable(server: EmbeddingServer) -> None:
    """The API refuses empty texts and cuts nothing itself: neither is sent."""
    opened(server, max_tokens=10).embed(["", " \n", "word " * 100])
    assert server.seen[0].body["input"] == ["-", "-", "word " * 8]


def test_rows_out_of_order_are_put_in_order(server: EmbeddingServer) -> None:
    """The index counts, not the place."""
    server.next_answers = [changed(lambda right: right["data"].reverse())]
    assert np.abs(opened(server).embed(TEXTS) - HashEmbedder().embed(TEXTS)).max() < 1e-6


def test_rows_of_another_length_become_unit_rows(server: EmbeddingServer) -> None:
    """Some servers send vectors that are not normalised."""

    def stretch(right: dict[str, Any]) -> None:
        for row in right["data"]:
            row["embedding"] = [1e19 * value for value in row["embedding"]]

    server.next_answers = [changed(stretch)]
    assert np.abs(opened(server).embed(TEXTS) - HashEmbedder().embed(TEXTS)).max() < 1e-6


def _set(place: int, value: object) -> Callable[[dict[str, Any]], object]:
    return lambda right: right["data"][3]["embedding"].__setitem__(place, value)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda right: right["data"].pop(), "left out texts.*texts=7, rows=6"),
        (lambda right: right["data"].append(right["data"][0]), "answered some twice.*rows=8"),
        (lambda right: right["data"][2].__setitem__("index", 3), "answered some twice"),
        (lambda right: right["data"][2].__setitem__("index", -1), "left out texts"),
        (lambda right: right["data"][3]["embedding"].pop(), "another length.*dim=1024, came=1023 - set dim to it"),
        (_set(0, float("nan")), "not what it should be"),
        (_set(0, None), "not what it should be"),
        (lambda right: right["data"][3].__setitem__("embedding", [0.0] * 1024), "zero or holds no numbers.*row=3"),
        (lambda right: right.pop("data"), "not what it should be"),
        (lambda right: right.__setitem__("data", "AAAA"), "not what it should be"),
    ],
)
def test_a_wrong_answer_gives_no_vectors(server: EmbeddingServer, change: Callable[[dict[str, Any]], object], said: str) -> None:
    """Missing, doubled, short, not a number, zero: nothing of the batch is used, and it is not asked again."""
    server.next_answers = [changed(change)]
    with pytest.raises(EmbeddingError, match=said):
        opened(server).embed(TEXTS)
    assert len(server.seen) == 1


@pytest.mark.parametrize(
    ("code", "kind"),
    [(400, EmbeddingError), (401, DeniedError), (403, DeniedError), (404, ConfigError), (413, EmbeddingError), (301, ConfigError)],
)
def test_a_refusal_is_not_repeated(server: EmbeddingServer, code: int, kind: type[PayReadyError]) -> None:
    """What will not change is asked once; neither key nor texts are repeated from the server's own words."""
    server.next_answers = [status(code)]
    assert f"status={code}" in refused(opened(server), kind)
    assert len(server.seen) == 1


@pytest.mark.parametrize("code", [408, 429, 500, 503])
def test_trouble_passes(server: EmbeddingServer, code: int) -> None:
    """One busy answer is followed by another try, and by the vectors."""
    server.next_answers = [status(code, **{"Retry-After": "0"})]
    assert opened(server).embed(TEXTS).shape == (7, 1024)
    assert len(server.seen) == 2


def test_a_long_wait_is_left_to_the_caller(server: EmbeddingServer) -> None:
    """Asked to come back in ten minutes, the call ends at once and says so."""
    server.next_answers = [status(429, **{"Retry-After": "600"})]
    assert "retry_after_s=600" in refused(opened(server), TransientError)
    assert len(server.seen) == 1


def test_silence_ends_at_the_deadline(server: EmbeddingServer) -> None:
    """A server that takes the request and says nothing costs deadline_s and no more."""
    server.next_answers = [never]
    assert "deadline_s=0.2" in refused(opened(server, deadline_s=0.2), TransientError)


def test_a_server_that_is_away_is_left_alone() -> None:
    """No connection is transient; after five in a row the breaker opens, and the next call touches no socket."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/v1"
        options = OpenAIOptions(url=url, model="a-model", dim=8, api_key=KEY, attempts=1)
        embedder = OpenAIEmbedder(options)
        for _ in range(5):
            assert "no answer from the embedding server" in refused(embedder, TransientError)
        assert "left alone" in refused(embedder, BreakerOpenError)


def test_an_open_breaker_ends_the_retries(server: EmbeddingServer) -> None:
    """Of four attempts the second opens the breaker: the third finds it open, and there is no fourth."""
    server.next_answers = [status(503, **{"Retry-After": "0"})] * 4
    embedder = OpenAIEmbedder(opened(server).options, breaker=Breaker("embedder", opens_after=2))
    with structlog.testing.capture_logs() as logged, pytest.raises(BreakerOpenError):
        embedder.embed(TEXTS)
    assert len(server.seen) == 2
    assert [each["event"] for each in logged] == ["call.retried"] * 2


def test_one_batch_that_fails_fails_the_call(server: EmbeddingServer) -> None:
    """All texts or none: a caller never gets the rows of some of them."""
    server.next_answers = [status(401)]
    with pytest.raises(DeniedError):
        opened(server, batch_size=1, concurrency=2).embed(TEXTS)
    assert len(server.seen) < len(TEXTS)


def test_no_more_requests_at_once_than_allowed(server: EmbeddingServer) -> None:
    """Of seven batches two are on their way at a time."""
    under_way, most = 0, 0

    async def counted(body: dict[str, Any]) -> Any:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        for _ in range(20):
            await asyncio.sleep(0)
        under_way -= 1
        return await changed(dict)(body)

    server.next_answers = [counted] * 7
    opened(server, batch_size=1, concurrency=2).embed(TEXTS)
    assert most <= 2
    assert len(server.seen) == 7


@pytest.mark.parametrize("url", ["", "host/v1", "ftp://host/v1", "https://key@host/v1"])
def test_an_address_that_is_none_is_refused(url: str) -> None:
    """At opening, before anything is sent."""
    with pytest.raises(ConfigError, match="not the address of an embedding server"):
        OpenAIEmbedder(OpenAIOptions(url=url, model="a-model", dim=8))


def test_the_id_tells_models_dimensions_and_revisions_apart() -> None:
    """The server's address does not: the same model behind another proxy gives the same vectors."""
    base = OpenAIOptions(url="https://one.example/v1", model="m", dim=8)
    same = OpenAIEmbedder(replace(base, url="https://two.example/v1")).id
    ids = {OpenAIEmbedder(replace(base, **change)).id for change in ({}, {"model": "n"}, {"dim": 9}, {"revision": "2"})}
    assert same in ids
    assert len(ids) == 4
