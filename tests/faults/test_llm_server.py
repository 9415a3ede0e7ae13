"""A server like OpenAI's that answers, waits, breaks, refuses or talks nonsense: the offline answer comes back, with the reason."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic_ai import models

from pay_ready.agent.llm.assistant import Assistant, AssistedAnswer
from pay_ready.agent.llm.budget import MemoryBudget
from pay_ready.agent.llm.calling import LanguageModel
from pay_ready.breaker import Breaker
from tests.llm_support import NOW, TENANT, Part, Stub, line, options, served, stub_server

SECTIONS = (Part(lines=(line("Ann says: The pilot starts in Oslo"),)),)
SOUND = {"sentences": [{"text": "The pilot starts in Oslo.", "evidence": [1]}]}


@pytest.fixture(autouse=True)
def requests_to_loopback() -> Iterator[None]:
    """The stub is the only server there is."""
    with models.override_allow_model_requests(True):
        yield


@pytest.fixture
def stub() -> Iterator[Stub]:
    """One that answers soundly."""
    with stub_server() as server:
        server.say(SOUND)
        yield server


def word(model: LanguageModel) -> AssistedAnswer:
    """The pilot, worded."""
    return Assistant(model, TENANT).word("Where does the pilot start?", SECTIONS, str)


def test_success(stub: Stub) -> None:
    """One request with the key, no tools declared, what it cost counted."""
    made = word(served(stub))
    assert [each.text for each in made.lines] == ["The pilot starts in Oslo."]
    (asked,) = stub.requests
    assert "tools" not in asked
    assert asked["model"] == "tiny"
    assert stub.keys == ["Bearer not a key"]


@pytest.mark.parametrize(
    ("status", "reason"),
    [(500, "busy or broken"), (503, "busy or broken"), (429, "busy or broken"), (401, "refuses"), (404, "refuses"), (400, "refuses")],
)
def test_errors(stub: Stub, status: int, reason: str) -> None:
    """Each is said in a few words, without the server's own; one try."""
    stub.status, stub.body = status, json.dumps({"error": {"message": "internal secret"}}).encode()
    made = word(served(stub))
    assert made.lines == ()
    assert reason in made.reason
    assert "secret" not in made.reason
    assert len(stub.requests) == 1


@pytest.mark.parametrize("body", [b"", b"<html>no</html>", b"{}", b"[]", b'{"choices": []}', b"\xff\xfe", b'{"choices": [{"message": 7}]}'])
def test_garbage(stub: Stub, body: bytes) -> None:
    """What is no answer of such an API leaves the offline answer."""
    stub.body = body
    made = word(served(stub))
    assert made.lines == ()
    assert made.reason.startswith("worded without a language model: ")


@pytest.mark.parametrize("content", ["", "Sure! In Oslo.", '{"sentences": 7}', '{"sentences": [{"text": "x", "to": "y"}]}'])
def test_answers_of_another_form(stub: Stub, content: str) -> None:
    """Chat, other JSON: the same."""
    stub.say(content)
    assert "not of the form" in word(served(stub)).reason


def test_cited_ids_that_nobody_gave(stub: Stub) -> None:
    """The sentence is left out."""
    stub.say({"sentences": [*SOUND["sentences"], {"text": "The pilot starts in Oslo.", "evidence": [41]}]})
    made = word(served(stub))
    assert len(made.lines) == 1
    assert made.reason.startswith("1 sentences")


def test_a_redirect_is_not_followed(stub: Stub) -> None:
    """Evidence goes to no other address."""
    stub.status = 307
    assert word(served(stub)).lines == ()
    assert len(stub.requests) == 1


def test_timeout(stub: Stub) -> None:
    """A server that does not answer is left after the time given, and what was reserved for it counts as spent."""
    stub.wait_s = 60.0
    model = served(stub, timeout_s=0.3, most_tokens=1_000, day_tokens=1_500)
    assert "took too long" in word(model).reason
    assert "tokens of the day" in word(model).reason


def test_over_budget(stub: Stub) -> None:
    """120 tokens an answer: after one of them a second question of up to 1,000 does not fit into 1,100."""
    model = served(stub, most_tokens=1_000, day_tokens=1_100)
    assert word(model).lines
    assert "tokens of the day" in word(model).reason
    assert len(stub.requests) == 1


def test_breaker(stub: Stub) -> None:
    """After failures in a row nothing more is sent; nonsense is no failure of the server."""
    stub.status = 500
    configured = options(url=stub.url)
    model = LanguageModel(configured, MemoryBudget(), breaker=Breaker("llm", opens_after=2, open_s=60), clock=lambda: NOW)
    reasons = [word(model).reason for _ in range(3)]
    assert "busy or broken" in reasons[1]
    assert "left alone for a while" in reasons[2]
    assert len(stub.requests) == 2


def test_nobody_there() -> None:
    """A port that nobody listens at."""
    given: dict[str, Any] = {"url": "http://127.0.0.1:9/v1"}
    model = LanguageModel(options(**given), MemoryBudget(), clock=lambda: NOW)
    assert "cannot be reached" in word(model).reason
