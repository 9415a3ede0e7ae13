"""Addresses of Airbyte are put right or refused with the way out; credentials show up nowhere."""

import copy
import json
import pickle
import traceback

import pytest

from pay_ready.errors import ConfigError, SecretError
from pay_ready.sources.airbyte import AirbyteClient
from pay_ready.sources.airbyte_access import ClientCredentials, FixedToken, NoAuth, Secret, base_url, open_access

CANARY = "canary-secret-Tr0ub4dor"


@pytest.mark.parametrize(
    ("given", "base"),
    [
        ("https://api.airbyte.com", "https://api.airbyte.com/v1"),
        ("https://api.airbyte.com/v1/", "https://api.airbyte.com/v1"),
        (" https://airbyte.acme.example ", "https://airbyte.acme.example/api/public/v1"),
        ("http://localhost:8000/", "http://localhost:8000/api/public/v1"),
        ("http://localhost:8000/api/public", "http://localhost:8000/api/public/v1"),
        ("http://localhost:8000/api/public/v1/", "http://localhost:8000/api/public/v1"),
        ("https://acme.example//airbyte/", "https://acme.example/airbyte/api/public/v1"),
        ("https://acme.example/airbyte/api/public/v1", "https://acme.example/airbyte/api/public/v1"),
        ("http://[::1]:8000", "http://[::1]:8000/api/public/v1"),
    ],
)
def test_the_address_is_completed(given: str, base: str) -> None:
    """The server's own, part of the API's, and one below a proxy's path all end in the public API."""
    assert base_url(given) == base


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("http://localhost:8000/api/v1", "configuration API"),
        ("http://localhost:8000/api/v1/jobs/get", "configuration API"),
        ("http://localhost:8000/airbyte/api/v1/", "configuration API"),
        ("http://localhost:8000/api", "configuration API"),
        ("https://cloud.airbyte.com/workspaces/1", "write https://api.airbyte.com/v1"),
        ("https://api.airbyte.com/api/public/v1", "write https://api.airbyte.com/v1"),
        ("airbyte.acme.example", "for example https://"),
        ("ftp://airbyte.acme.example", "for example https://"),
        ("http://localhost:eight", "for example https://"),
        ("", "for example https://"),
        ("https:///v1", "for example https://"),
        (f"https://user:{CANARY}@airbyte.acme.example", "credentials are given apart"),
        (f"https://airbyte.acme.example/?token={CANARY}", "credentials are given apart"),
        (f"https://airbyte.acme.example/#{CANARY}", "credentials are given apart"),
    ],
)
def test_other_addresses_are_refused(given: str, said: str) -> None:
    """The internal API, the user interface, what is no address, and what holds more than one; a password is not repeated."""
    with pytest.raises(ConfigError, match=said) as caught:
        base_url(given)
    assert CANARY not in str(caught.value)


def test_three_ways_in() -> None:
    """An application, a fixed token, and none at all."""
    url = "http://localhost:8000"
    application = open_access(url, json.dumps({"client_id": " id ", "client_secret": CANARY}).encode())
    assert application.credentials == ClientCredentials(client_id=Secret("id"), client_secret=Secret(CANARY))
    assert set(application.secrets()) == {"id", CANARY}
    token = open_access(url, json.dumps({"access_token": CANARY}).encode())
    assert token.credentials == FixedToken(access_token=Secret(CANARY))
    assert set(token.secrets()) == {CANARY}
    assert open_access(url, None).credentials == open_access(url, b"{}").credentials == NoAuth()
    assert not set(open_access(url, None).secrets())
    assert application.server == "localhost:8000"


@pytest.mark.parametrize(
    "given",
    [
        CANARY.encode(),
        json.dumps([CANARY]).encode(),
        json.dumps({"client_id": CANARY}).encode(),
        json.dumps({"client_id": CANARY, "client_secret": ""}).encode(),
        json.dumps({"client_id": CANARY, "client_secret": 12}).encode(),
        json.dumps({"client_id": CANARY, "client_secret": CANARY, "access_token": CANARY}).encode(),
        json.dumps({"password": CANARY}).encode(),
        json.dumps({"access_token": f"{CANARY}\r\nX-Evil: 1"}).encode(),
    ],
)
def test_other_credentials_are_refused_unquoted(given: bytes) -> None:
    """Names of keys are said, values are not: neither in the message nor by a traceback that shows locals."""
    with pytest.raises(ConfigError, match="give client_id and client_secret, or access_token") as caught:
        open_access("http://localhost:8000", given)
    shown = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
    frames = [frame for frame in shown.stack if frame.filename != __file__]
    assert frames
    assert CANARY not in str(caught.value) + str([frame.locals for frame in frames])


def test_credentials_have_no_face() -> None:
    """No repr or text shows them, no pickle or deep copy takes them along, and equal ones are equal."""
    access = open_access("http://localhost:8000", json.dumps({"client_id": "canary-id", "client_secret": CANARY}).encode())
    client = AirbyteClient(access)
    for each in (access, access.credentials, Secret(CANARY), client):
        assert "canary" not in f"{each} {each!r} {[each]}"
        for leave in (pickle.dumps, copy.deepcopy):
            with pytest.raises(SecretError, match=r"do(es)? not leave"):
                leave(each)
    assert len({Secret(CANARY), Secret(CANARY), Secret("other")}) == 2
