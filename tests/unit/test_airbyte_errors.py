"""Whatever an answer says, the error is one clear line of the right class."""

import json
import pickle
from datetime import UTC, datetime

import pytest

from pay_ready.errors import (
    ConfigError,
    ConflictError,
    DeniedError,
    NotFoundError,
    PayReadyError,
    TransientError,
    UsageError,
)
from pay_ready.sources.airbyte_errors import Answer, BusyError, Place, answer_error, retry_after_s
from pay_ready.sources.masking import Masker

NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
CANARY = "canary-secret-Tr0ub4dor"
TYPE = "https://reference.airbyte.com/reference/errors"


def error(status: int, body: object = b"", *, content_type: str = "application/problem+json", **values: str) -> PayReadyError | None:
    """The error of an answer to GET /jobs/7."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    answer = Answer(status=status, content_type=content_type, body=raw, **values)  # type: ignore[arg-type]
    place = Place(call="GET /jobs/7", server="airbyte.example", mask=Masker([CANARY]))
    return answer_error(answer, place, now=NOW, has_credentials=True)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (301, ConfigError), (302, ConfigError), (400, UsageError), (401, DeniedError), (403, DeniedError), (404, NotFoundError),
        (405, PayReadyError), (408, TransientError), (409, ConflictError), (422, UsageError), (429, TransientError), (500, TransientError),
        (501, PayReadyError), (502, TransientError), (503, TransientError), (504, TransientError), (505, PayReadyError),
        (524, TransientError),
    ],
)  # fmt: skip
def test_the_class_says_whether_to_try_again(status: int, kind: type[PayReadyError]) -> None:
    """Each status has its class, and the line names call, server and status; a 2xx is no error."""
    found = error(status)
    assert type(found) is kind
    assert f"call=GET /jobs/7, server=airbyte.example, status={status}" in str(found)
    assert error(200) is None


def test_a_problem_becomes_one_line() -> None:
    """Title, detail and message are said once each, the name of the problem apart."""
    found = error(422, {
        "status": 422, "type": f"{TYPE}#unprocessable-entity", "title": "unprocessable-entity",
        "detail": "The body of the request was not understood", "documentationUrl": None,
        "data": {"message": "The body of the request\n was not understood.", "more": "second"},
    })  # fmt: skip
    assert str(found) == (
        "Airbyte did not accept the request: The body of the request was not understood; second"
        " - call=GET /jobs/7, server=airbyte.example, status=422, problem=unprocessable-entity - are the ids right?"
    )


@pytest.mark.parametrize(
    ("body", "kind", "problem"),
    [
        ({"title": "try-again-later", "type": f"{TYPE}#try-again-later"}, BusyError, "try-again-later"),
        ({"title": "Conflict", "type": f"{TYPE}#try-again-later"}, BusyError, "try-again-later"),
        ({"title": "state-conflict", "type": f"{TYPE}#409-state-conflict"}, ConflictError, "state-conflict"),
        ({"type": f"{TYPE}#409-state-conflict"}, ConflictError, "state-conflict"),
        ({"message": "busy"}, ConflictError, None),
    ],
)
def test_two_kinds_of_conflict(body: object, kind: type[PayReadyError], problem: str | None) -> None:
    """Busy is told from a state that forbids it, by title or by type."""
    found = error(409, body)
    assert type(found) is kind
    assert found is not None
    assert found.where.get("problem") == problem


@pytest.mark.parametrize(
    ("body", "content_type", "said"),
    [
        ({"message": "Not Found", "_embedded": {"errors": [{"message": "Page gone"}]}}, "application/json", "Not Found; Page gone"),
        ({"error": "invalid_client", "error_description": "no such client"}, "application/json", "no such client; invalid_client"),
        (b"<!DOCTYPE html><html><head><title>502 Bad&nbsp;Gateway</title></head><body>x</body>", "text/html", "502 Bad Gateway"),
        (b"<html><script>var a=1</script><style>p{}</style><body><h1>Away</h1><p>for now</p></body></html>", "text/plain", "Away for now"),
        (b"upstream\x1b[31m connect\r\nerror\x00", "text/plain", "upstream [31m connect error"),
        (b"\xff\xfe\x00garbage", "application/json", "\ufffd\ufffd garbage"),
        (b"[1, 2]", "application/json", "[1, 2]"),
        (b'{"title": {"a": 1}, "detail": ["x"], "data": "y", "message": "z"}', "application/json", "z"),
        (b"", "", ""),
    ],
)
def test_other_bodies_are_said_too(body: object, content_type: str, said: str) -> None:
    """Its framework's errors, pages of proxies, text with control characters, garbage, nothing: one line without them."""
    found = error(502, body, content_type=content_type)
    assert found is not None
    assert found.what == "Airbyte could not answer" + (f": {said}" if said else "")
    assert found.what.isprintable()


def test_a_long_text_is_cut_and_secrets_are_masked() -> None:
    """300 characters of a stranger's text are enough; a secret is masked before the cut, a token that is not ours as well."""
    found = error(500, {"detail": "x" * 290 + CANARY}, content_type="application/json")
    assert found is not None
    assert "canary" not in str(found)
    assert len(found.what) < 340
    for token in ("eyJhbGciOiJI.eyJzdWIiOiIx.c2lnbmF0dXJl", "Bearer abcdef0123456789", "basic dXNlcjpwYXNz"):
        found = error(500, f"got {token} here, {CANARY}, and ada@canary.example".encode(), content_type="text/plain")
        assert found is not None
        assert found.what == "Airbyte could not answer: got *** here, ***, and <email>"


def test_the_error_travels() -> None:
    """Pickled and back it is the same, the kind of conflict included."""
    found = error(409, {"title": "try-again-later"})
    again = pickle.loads(pickle.dumps(found))
    assert (type(again), str(again)) == (BusyError, str(found))


@pytest.mark.parametrize(
    ("header", "wait_s"),
    [
        ("0", 0.0), (" 17 ", 17.0), ("0.5", 0.5), ("Wed, 25 Nov 2026 12:00:30 GMT", 30.0), ("Wed, 25 Nov 2026 11:00:00 GMT", 0.0),
        ("Wednesday, 25-Nov-26 12:01:00 GMT", 60.0), ("Wed, 25 Nov 2026 12:00:30", 30.0),
        (None, None), ("", None), ("soon", None), ("-5", None), ("1e9", None), ("99999999999", None),
    ],
)  # fmt: skip
def test_retry_after(header: str | None, wait_s: float | None) -> None:
    """Seconds or an HTTP date; the past is now, and nonsense is nothing."""
    assert retry_after_s(header, now=NOW) == wait_s


def test_how_long_to_wait_is_part_of_the_error() -> None:
    """A 429 and a 503 carry it to whoever decides on the retry."""
    for status in (429, 503):
        found = error(status, retry_after="30")
        assert found is not None
        assert found.where["retry_after_s"] == 30.0
