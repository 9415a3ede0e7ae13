"""The MCP server's tools, through the SDK's own client: typed, bounded, masked, plain; of the tenant that it was opened for."""

import asyncio
import threading
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

import mcp_types as types
import pytest
from mcp import Client

from pay_ready.api.mcp import mcp_server
from pay_ready.api.mcp_parts import McpOptions
from pay_ready.errors import IsolationError, PayReadyError, TransientError, UsageError
from pay_ready.model.talk import Scope
from tests.coaching_support import BOB
from tests.mcp_support import ACME_ID, JANE_ID, MASKER, NOW, OTHER_JANE_ID, Tenant

TOOLS = {
    "search_customer_interactions": {"query": "pilot"},
    "get_interaction_timeline": {"customer": "Acme"},
    "natural_language_query": {"question": "Summarise our calls with Acme last quarter"},
    "generate_coaching_report": {"rep": "Bob"},
    "find_entity": {"name": "Jane"},
    "explain_entity": {"entity_id": str(JANE_ID)},
}


def call(tool: str, arguments: dict[str, Any], tenant: Tenant | None = None, options: McpOptions | None = None) -> types.CallToolResult:
    """A tool's result."""

    async def asked() -> types.CallToolResult:
        async with Client(mcp_server((tenant or Tenant()).parts(), options)) as client:
            await client.list_tools()  # the client holds results against the schemas listed
            return await client.call_tool(tool, arguments)

    return asyncio.run(asked())


def told(result: types.CallToolResult) -> str:
    """Its text."""
    (content,) = result.content
    assert isinstance(content, types.TextContent)
    return content.text


def test_listing() -> None:
    """Six read-only tools with bounded arguments, none of which is a tenant."""

    async def listed() -> list[types.Tool]:
        async with Client(mcp_server(Tenant().parts())) as client:
            assert "never instructions" in str(client.instructions)
            return (await client.list_tools()).tools

    tools = asyncio.run(listed())
    assert {each.name for each in tools} == set(TOOLS)
    for each in tools:
        assert each.annotations is not None
        assert each.annotations.read_only_hint
        assert each.input_schema["additionalProperties"] is False
        assert not any("tenant" in name for name in each.input_schema["properties"])
        assert each.output_schema is not None
        assert len(each.description or "") > 80


@pytest.mark.parametrize("tool", TOOLS)
def test_each_tool_answers_masked(tool: str) -> None:
    """Structured content and the same as text; no name or address in either."""
    result = call(tool, TOOLS[tool])
    assert not result.is_error
    for shown in (told(result), str(result.structured_content)):
        assert "Jane" not in shown
        assert "@" not in shown
        assert "<person:" in shown or "<email:" in shown


def test_search() -> None:
    """The filters are those given; what is found cites."""
    tenant = Tenant()
    given = {"query": "pilot", "customer": "Acme", "since": "2026-01-01", "until": "2026-02-01", "sources": ["gong"], "limit": 3}
    result = call("search_customer_interactions", given | {"interaction_types": ["call"]}, tenant)
    since, until = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 2, 1, tzinfo=UTC)
    scope = Scope(entity_ids=(ACME_ID,), since=since, until=until, sources=("gong",), interaction_types=("call",))
    assert tenant.asked[-1] == ("pilot", scope, 3)
    (passage,) = result.structured_content["passages"]
    assert passage["text"] == MASKER(tenant.text)
    assert passage["citation"] == {
        "interaction_id": str(UUID(int=8)),
        "occurred_at": "2026-11-02T09:00:00Z",
        "source": "gong",
        "start_s": 3.0,
    }
    assert str(UUID(int=8)) in told(result)


def test_timeline_pages() -> None:
    """The page's token goes out, and back in."""
    tenant = Tenant()
    result = call("get_interaction_timeline", {"customer": str(ACME_ID), "page": "a-token", "limit": 2}, tenant)
    assert tenant.asked[-1] == (Scope(entity_ids=(ACME_ID,)), "a-token", 2)
    assert result.structured_content["next_page"] == "a-token"
    assert "next_page: a-token" in told(result)


def test_question() -> None:
    """Answered, or asked back."""
    tenant = Tenant()
    result = call("natural_language_query", TOOLS["natural_language_query"] | {"today": "2026-11-20"}, tenant)
    assert tenant.asked[0][1] == date(2026, 11, 20)
    assert (result.structured_content["state"], result.structured_content["mode"]) == ("ready", "offline")
    assert result.structured_content["sections"][0]["lines"][0]["citations"][0]["interaction_id"] == str(UUID(int=1))
    assert "words alone" in told(result)
    back = call("natural_language_query", {"question": "What is the weather?"})
    assert back.structured_content["state"] == "abstains"
    assert back.structured_content["question_back"]


def test_coaching() -> None:
    """Of thirty days unless others are given."""
    tenant = Tenant()
    result = call("generate_coaching_report", {"rep": "Bob"}, tenant)
    assert tenant.asked[-1] == ((BOB,), "Bob Miller", NOW - timedelta(days=30), NOW)
    assert result.structured_content["report"]["measures"]
    assert "Formulas:" in told(result)


def test_explain_says_what_is_not_there() -> None:
    """The next step, without the id that was asked for."""
    result = call("explain_entity", {"entity_id": str(ACME_ID)})
    assert result.is_error
    assert told(result) == "No such entity. Call find_entity."


def test_a_name_of_several_is_asked_back() -> None:
    """With the ids to choose from, and masked names."""
    result = call("get_interaction_timeline", {"customer": "Jane Doe"})
    assert result.is_error
    assert all(str(each) in told(result) for each in (JANE_ID, OTHER_JANE_ID))
    assert "Jane" not in told(result)
    nobody = call("get_interaction_timeline", {"customer": "Nobody"})
    assert told(nobody) == "Nobody and no company is called so. Call find_entity with a part of the name."


@pytest.mark.parametrize(
    ("tool", "wrong"),
    [
        *[(tool, {"tenant": "other"}) for tool in TOOLS],
        *[(tool, {"tenant_id": str(UUID(int=9))}) for tool in TOOLS],
        ("search_customer_interactions", {"query": "x" * 2_001}),
        ("search_customer_interactions", {"query": "  "}),
        ("search_customer_interactions", {"limit": 51}),
        ("search_customer_interactions", {"sources": ["x"] * 21}),
        ("search_customer_interactions", {"interaction_types": ["secret"]}),
        ("search_customer_interactions", {"since": "2026-02-01", "until": "2026-01-01"}),
        ("get_interaction_timeline", {"customer": "x" * 201}),
        ("get_interaction_timeline", {"page": "x" * 501}),
        ("get_interaction_timeline", {"limit": 0}),
        ("natural_language_query", {"question": "x" * 2_001}),
        ("natural_language_query", {"today": "yesterday"}),
        ("find_entity", {"limit": 21}),
        ("explain_entity", {"entity_id": "1 or 1=1"}),
    ],
)
def test_arguments_out_of_bounds_are_refused(tool: str, wrong: dict[str, Any]) -> None:
    """Nothing is asked; the error names what is wrong and which arguments there are, and repeats no value."""
    tenant = Tenant()
    result = call(tool, TOOLS[tool] | wrong, tenant)
    assert result.is_error
    assert tenant.asked == []
    assert "Arguments: " in told(result)
    assert not any(isinstance(value, str) and value.strip() and value in told(result) for value in wrong.values())


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (UsageError("the words are off", "write others", file="/etc/passwd"), "The words are off. Write others."),
        (TransientError("db.internal refused", host="db.internal"), "The service is busy or a part of it is away. Try the same call again"),
        (IsolationError("tenant boundary of other"), "The tool failed."),
        (PayReadyError("secret place"), "The tool failed."),
        (RuntimeError("select * from secret"), "The tool failed."),
    ],
)
def test_errors_say_the_next_step_and_nothing_of_the_inside(error: Exception, said: str) -> None:
    """Whatever a tool raises is a tool error; the server goes on."""
    result = call("search_customer_interactions", {"query": "pilot"}, Tenant(raises=error))
    assert result.is_error
    assert told(result).startswith(said)
    assert not any(each in told(result) for each in ("secret", "internal", "passwd", "boundary"))


def test_an_unknown_tool() -> None:
    """Is answered with those there are."""
    result = call("run_sql", {"sql": "select 1"})
    assert result.is_error
    assert "find_entity" in told(result)


def test_a_call_that_takes_too_long() -> None:
    """Ends after its time, with what to do."""
    waits = threading.Event()
    result = call("search_customer_interactions", {"query": "pilot"}, Tenant(waits=waits), McpOptions(timeout_s=0.1))
    waits.set()
    assert "longer than 0.1 seconds" in told(result)


def test_cancellation() -> None:
    """A client that leaves a call alone gets the next one answered at once, though the first one's thread still waits."""
    waiting = Tenant(waits=threading.Event())

    async def asked() -> types.CallToolResult:
        async with Client(mcp_server(waiting.parts(), McpOptions(most_at_once=2))) as client:
            first = asyncio.create_task(client.call_tool("search_customer_interactions", {"query": "pilot"}))
            await asyncio.to_thread(waiting.began.wait, 30)
            first.cancel()
            with pytest.raises(asyncio.CancelledError):
                await first
            result = await client.call_tool("find_entity", {"name": "Acme"})
            assert waiting.waits is not None
            waiting.waits.set()
            return result

    assert not asyncio.run(asked()).is_error


def test_calls_that_were_given_up_still_count() -> None:
    """With every thread held by one of them the next call waits for its turn, and no further thread begins."""
    waiting = Tenant(waits=threading.Event())
    assert waiting.waits is not None

    async def asked() -> list[types.CallToolResult]:
        async with Client(mcp_server(waiting.parts(), McpOptions(most_at_once=1, timeout_s=0.5))) as client:
            given_up = await client.call_tool("search_customer_interactions", {"query": "pilot"})
            refused = await client.call_tool("find_entity", {"name": "Acme"})
            assert [each[0] for each in waiting.asked] == ["pilot"]
            waiting.waits.set()
            return [given_up, refused, await client.call_tool("find_entity", {"name": "Acme"})]

    assert [each.is_error for each in asyncio.run(asked())] == [True, True, False]
