"""The MCP server over HTTP on loopback, and over standard input and output: who gets in, and that the SDK's own client does."""

import asyncio
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2
import pytest
from mcp import Client, StdioServerParameters
from mcp.client.streamable_http import streamable_http_client
from pydantic import SecretStr

from pay_ready.api.mcp_http import HttpOptions, HttpServer, open_http
from pay_ready.errors import ConfigError, ConflictError
from tests.mcp_support import Tenant

ROOT = Path(__file__).parents[2]
TOKEN = "a token of one tenant's server"
PING: dict[str, Any] = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}}
HEADERS = {"authorization": f"Bearer {TOKEN}", "accept": "application/json, text/event-stream"}


@contextmanager
def serving(**given: Any) -> Iterator[HttpServer]:
    """A server on a free port."""
    server = open_http(Tenant().parts(), HttpOptions(**({"token": SecretStr(TOKEN), "port": 0} | given)))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        yield server
    finally:
        server.stop()
        thread.join()


@pytest.fixture(scope="module")
def server() -> Iterator[HttpServer]:
    """One for all."""
    with serving() as opened:
        yield opened


@pytest.fixture(scope="module")
def web() -> Iterator[httpx2.Client]:
    """Any other client."""
    with httpx2.Client() as client:
        yield client


def test_the_sdks_client_lists_and_calls(server: HttpServer) -> None:
    """With the token, everything."""

    async def asked() -> tuple[int, Any]:
        async with (
            httpx2.AsyncClient(headers={"authorization": f"Bearer {TOKEN}"}) as http,
            Client(streamable_http_client(server.url, http_client=http)) as client,
        ):
            tools = (await client.list_tools()).tools
            return len(tools), await client.call_tool("find_entity", {"name": "Acme"})

    tools, found = asyncio.run(asked())
    assert tools == 6
    assert len(found.structured_content["entities"]) == 1


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"authorization": ""},
        {"authorization": "Bearer"},
        {"authorization": "Bearer wrong"},
        {"authorization": f"Basic {TOKEN}"},
        {"authorization": TOKEN},
        {"authorization": f"Bearer {TOKEN}x"},
        {"authorization": f"Bearer {TOKEN[:-1]}"},
        {"authorization": f"Bearer {TOKEN}, Bearer {TOKEN}"},
        [("authorization", f"Bearer {TOKEN}"), ("authorization", "Bearer wrong")],
        {"x-token": TOKEN},
    ],
)
@pytest.mark.parametrize("method", ["POST", "GET", "DELETE"])
def test_without_the_token_nobody_gets_in(server: HttpServer, web: httpx2.Client, headers: Any, method: str) -> None:
    """401 for all methods; also where another path is asked for."""
    for url in (server.url, server.url + "/x", f"{server.url}?token={TOKEN}"):
        answer = web.request(method, url, headers=headers)
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize(
    ("header", "status"),
    [
        ({"host": "evil.example"}, 421),
        ({"host": "evil.example:{port}"}, 421),
        ({"host": "127.0.0.1:{port}.evil.example"}, 421),
        ({"host": "127.0.0.1:1"}, 421),
        ({"origin": "https://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"origin": "http://127.0.0.1:{port}.evil.example"}, 403),
    ],
)
def test_foreign_hosts_and_origins_are_refused(server: HttpServer, web: httpx2.Client, header: dict[str, str], status: int) -> None:
    """Even with the token: a page in a browser that rebinds a name gets nowhere."""
    port = urlsplit(server.url).port
    given = {name: value.format(port=port) for name, value in header.items()}
    assert web.post(server.url, json=PING, headers=HEADERS | given).status_code == status


def test_a_request_that_is_too_large(server: HttpServer) -> None:
    """413, unread."""
    assert httpx2.post(server.url, content=b"x" * 300_000, headers=HEADERS | {"content-type": "application/json"}).status_code == 413


def test_a_wrong_token_is_an_error_of_the_sdks_client(server: HttpServer) -> None:
    """It does not connect."""

    async def asked() -> None:
        async with (
            httpx2.AsyncClient(headers={"authorization": "Bearer wrong"}) as http,
            Client(streamable_http_client(server.url, http_client=http)) as client,
        ):
            await client.list_tools()

    with pytest.raises(Exception):  # noqa: B017, PT011 - of the SDK's, in a group or not
        asyncio.run(asked())


@pytest.mark.parametrize(
    "given",
    [
        {"token": None},
        {"token": SecretStr("")},
        {"token": SecretStr("short")},
        {"host": "0.0.0.0"},
        {"host": "::"},
        {"host": "192.0.2.1"},
        {"host": "example.com"},
        {"host": "0.0.0.0", "allow_remote": True},
    ],
)
def test_what_is_not_started(given: dict[str, Any]) -> None:
    """No token, a short one, an address that others reach, one without names; the error holds no token."""
    with pytest.raises(ConfigError) as refused:
        open_http(Tenant().parts(), HttpOptions(**({"token": SecretStr(TOKEN), "port": 0} | given)))
    assert TOKEN not in str(refused.value)
    assert refused.value.hint


def test_where_it_is_said_other_machines_are_served() -> None:
    """By the names given alone."""
    with serving(host="0.0.0.0", allow_remote=True, host_names=("mcp.example:443",)) as server:
        url = server.url.replace("0.0.0.0", "127.0.0.1")
        assert httpx2.post(url, json=PING, headers=HEADERS | {"host": "mcp.example:443"}).status_code == 400  # no session
        assert httpx2.post(url, json=PING, headers=HEADERS | {"host": "evil.example:443"}).status_code == 421


def test_a_port_that_is_taken(server: HttpServer) -> None:
    """Is said, with the option."""
    with pytest.raises(ConflictError, match="--port"):
        open_http(Tenant().parts(), HttpOptions(token=SecretStr(TOKEN), port=urlsplit(server.url).port or 0))


def test_standard_input_and_output() -> None:
    """A process of its own, whose logs go elsewhere."""
    code = "from pay_ready.api.mcp import serve_stdio\nfrom tests.mcp_support import Tenant\nserve_stdio(Tenant().parts())"

    async def asked() -> tuple[int, Any]:
        async with Client(StdioServerParameters(command=sys.executable, args=["-c", code], cwd=str(ROOT))) as client:
            tools = (await client.list_tools()).tools
            return len(tools), await client.call_tool("natural_language_query", {"question": "Summarise our calls with Acme"})

    tools, answered = asyncio.run(asked())
    assert tools == 6
    assert answered.structured_content["state"] == "ready"
