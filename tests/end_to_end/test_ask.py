"""Questions in plain English about the demo's tenants: read exactly, answered with what is there and nobody else's, cited line by line."""

import json
import re
import sys
from uuid import UUID, uuid4

import psycopg
import pytest

from pay_ready.model.ids import tenant_id_of
from tests.demo_support import DemoRuns

OURS, OTHERS = "acme-robotics", "northwind-health"
_ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
QUESTIONS = {
    "Summarise our calls with Summit Grocers this year": ("summary", "Overview"),
    "How has sentiment at Summit Grocers moved since March?": ("sentiment", "worst tenth"),
    "What did Grace Velasquez promise us in the past 365 days?": ("promises", "Promises"),
    "Timeline of Summit Grocers between Jan 3 and Nov 10 from Slack and Gong": ("timeline", "gong"),
    "Which topics came up most this year?": ("topics", "passages in"),
    "Coaching report for Robert Fitzgerald, last 365 days": ("coaching", "talk ratio"),
    "Compare Summit Grocers and HarborLane": ("compare", "Summit Grocers, Inc.: overview"),
    "How many interactions with Summit Grocers per month?": ("count", "interactions"),
    "Who at Summit Grocers talks to us most?": ("who", "Abigail Farrell"),
    "Search for mentions of the charging schedule": ("search", "Found"),
}
TODAY = ("--today", "2026-11-20")


def interactions(demo: DemoRuns, slug: str) -> set[str]:
    """Every interaction of a tenant."""
    with psycopg.connect(demo.admin_url) as admin:
        rows = admin.execute(
            "select interaction_id::text from pay_ready.interaction_records where tenant_id = %s", (tenant_id_of("pay_ready", slug),)
        ).fetchall()
    return {row[0] for row in rows}


@pytest.mark.parametrize("question", QUESTIONS)
def test_the_questions_that_people_ask(demo: DemoRuns, question: str) -> None:
    """Each is read as what it is, says so, is answered from the tenant's own interactions, and says when the answer is not the whole."""
    intent, shown = QUESTIONS[question]
    told = demo.command("ask", question, "-t", OURS, *TODAY).stdout
    assert told.startswith(f"I read this as: {intent}")
    assert shown in told
    cited = {each for line in told.splitlines() if line.startswith("- ") for each in _ID.findall(line)}
    assert cited <= interactions(demo, OURS)
    assert cited or intent in ("coaching", "count", "who", "timeline")
    as_data = json.loads(demo.command("ask", question, "-t", OURS, "--json", *TODAY).stdout)["data"]
    assert as_data["result"]


def test_a_plan_needs_names_alone(demo: DemoRuns) -> None:
    """--plan-only: intent, entities, half-open days, sources and filters as JSON."""
    asked = "Timeline of Summit Grocers between Jan 3 and Feb 10 from Slack and Gong"
    plan = json.loads(demo.command("ask", asked, "-t", OURS, "--plan-only", "--json", *TODAY).stdout)["data"]
    assert (plan["intent"], plan["state"]) == ("timeline", "ready")
    assert [each["entity_type"] for each in plan["entities"]] == ["company"]
    assert (plan["time_range"]["start"], plan["time_range"]["end"]) == ("2026-01-03", "2026-02-11")
    assert sorted(plan["sources"]) == ["gong", "slack"]


def test_who_is_meant_is_asked_and_never_guessed(demo: DemoRuns) -> None:
    """Two of one name: both are listed; nobody of that name: it says so; not about customers: it says what it answers."""
    tied = demo.command("ask", "What did Dmitri Vandenberg promise us?", "-t", OURS, *TODAY).stdout
    assert "Which one?" in tied
    listed = json.loads(demo.command("ask", "What did Dmitri Vandenberg promise us?", "-t", OURS, "--json", *TODAY).stdout)["data"]
    assert len(listed["plan"]["entities"][0]["ties"]) == 2
    assert listed["sections"] == []
    assert "I know nobody" in demo.command("ask", "Summarise our calls with Zebulon Quux", "-t", OURS, *TODAY).stdout
    assert "I answer questions about your customers" in demo.command("ask", "What's the weather tomorrow?", "-t", OURS, *TODAY).stdout


def test_without_evidence_it_says_what_is_missing(demo: DemoRuns) -> None:
    """Nothing is made up: exit 4, and what to leave out."""
    done = demo.command("ask", "Summarise our calls with Summit Grocers in May 2019", "-t", OURS, *TODAY, code=4)
    assert "no interaction with Summit Grocers, Inc. was found" in done.stdout
    assert "without the time" in done.stdout


def test_no_answer_has_a_word_of_another_tenant(demo: DemoRuns) -> None:
    """Asked about every one of the other tenant's people and companies, by name and by id, no tool says anything of theirs."""
    theirs = interactions(demo, OTHERS)
    with psycopg.connect(demo.admin_url) as admin:
        names = admin.execute(
            "select entity_id::text, name from pay_ready.entity_versions where tenant_id = %s and closed_run_no is null"
            " order by record_count desc limit 3",
            (tenant_id_of("pay_ready", OTHERS),),
        ).fetchall()
    for entity, name in names:
        for words in (("summary", entity), ("count", entity), ("who", entity), ("sentiment", entity), ("topics", entity)):
            told = demo.command(*words, "-t", OURS).stdout
            assert not theirs & set(_ID.findall(told))
            assert name not in told
        assert not theirs & set(_ID.findall(demo.command("ask", f"Summarise everything with {name}", "-t", OURS, *TODAY).stdout))
    foreign = sorted(theirs)[0]
    assert "no such interaction" in demo.command("similar", foreign, "-t", OURS, code=4).stderr


def test_who_asked_what_about_whom_is_in_the_audit(demo: DemoRuns) -> None:
    """By ids: the question's words are kept nowhere."""
    demo.command("summary", "Summit Grocers", "-t", OURS)
    with psycopg.connect(demo.admin_url) as admin:
        row = admin.execute(
            "select action, subject_kind, subject_id from pay_ready.audit_events where tenant_id = %s and action = 'summary.asked'"
            " order by seq desc limit 1",  # other tests ask other things of the same tenant meanwhile
            (tenant_id_of("pay_ready", OURS),),
        ).fetchone()
    assert row is not None
    assert row[:2] == ("summary.asked", "entity")
    assert UUID(row[2])


@pytest.mark.parametrize("tool", ["summary", "sentiment", "timeline", "topics", "count", "who"])
def test_each_tool_is_a_command_with_the_same_options(demo: DemoRuns, tool: str) -> None:
    """By name, days or words, source, type: narrower is less, JSON is JSON, and a wrong option names the choices."""
    narrow = (tool, "Summit Grocers", "-t", OURS, "--since", "2026-01-01", "--until", "2026-07-01", "--source", "gong", "--type", "call")
    assert json.loads(demo.command(*narrow, "--json").stdout)["schema_version"] == 1
    assert demo.command(*narrow).stdout
    assert "one of" in demo.command(tool, "-t", OURS, "--source", "nowhere", code=2).stderr
    assert "one of call" in demo.command(tool, "-t", OURS, "--type", "letter", code=2).stderr
    assert "a day as 2026-01-31" in demo.command(tool, "-t", OURS, "--since", "the other day or so", code=2).stderr
    assert "another spelling" in demo.command(tool, "Zebulon Quux", "-t", OURS, code=4).stderr


def test_a_coaching_report_is_a_page(demo: DemoRuns) -> None:
    """HTML, Markdown and JSON; another ending is refused."""
    for suffix in (".html", ".md", ".json"):
        path = demo.folder / f"coach-{uuid4().hex}{suffix}"
        demo.command("coach", "robert.fitzgerald@acme-robotics.example", "-t", OURS, "--since", "2026-01-01", "--to", str(path))
        assert "talk" in path.read_text().lower()
    assert ".html" in demo.command("coach", "Robert Fitzgerald", "-t", OURS, "--to", "x.pdf", code=2).stderr


def test_sentiment_is_drawn(demo: DemoRuns) -> None:
    """As SVG."""
    path = demo.folder / f"mood-{uuid4().hex}.svg"
    demo.command("sentiment", "Summit Grocers", "-t", OURS, "--by", "month", "--plot", str(path))
    assert path.read_text().startswith("<svg")


def test_similar_interactions(demo: DemoRuns) -> None:
    """Like one that was shown, without itself."""
    told = demo.command("search", "the numbers in the export do not match", "-t", OURS).stdout
    first = _ID.findall(told)[0]
    alike = demo.command("similar", first, "-t", OURS, "--most", "3").stdout
    assert len(set(_ID.findall(alike))) == 3
    assert first not in alike


def test_a_topic_keeps_its_id(demo: DemoRuns) -> None:
    """Asked again about another period, what is the same topic has the same id."""
    first = json.loads(demo.command("topics", "-t", OURS, "--since", "2026-01-01", "--json").stdout)["data"]["topics"]
    again = json.loads(demo.command("topics", "-t", OURS, "--since", "2026-01-15", "--json").stdout)["data"]["topics"]
    assert len({each["id"] for each in first} & {each["id"] for each in again}) >= len(again) / 2


def test_programs_ask_over_mcp(demo: DemoRuns) -> None:
    """A client of the protocol's own kit, on the command's standard input and output: the tools are listed, and a question is answered."""
    import anyio
    from mcp import ClientSession, StdioServerParameters
    from mcp.client.stdio import stdio_client

    async def asked() -> tuple[list[str], str]:
        server = StdioServerParameters(
            command=sys.executable, args=["-m", "pay_ready.cli.main", "mcp", "-t", OURS], env=demo.environment, cwd=str(demo.folder)
        )  # fmt: skip
        async with stdio_client(server) as (read, write), ClientSession(read, write) as session:
            await session.initialize()
            tools = [tool.name for tool in (await session.list_tools()).tools]
            told = await session.call_tool("natural_language_query", {"question": "How many interactions with Summit Grocers per month?"})
            return tools, str(told.content)

    tools, told = anyio.run(asked)
    assert {"search_customer_interactions", "get_interaction_timeline", "natural_language_query", "generate_coaching_report"} <= set(tools)
    assert "2026-04-01" in told
