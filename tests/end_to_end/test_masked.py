"""With a tenant's policy to mask, no name, address or number of anybody that is known leaves: by no tool, in no form."""

import json
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from uuid import uuid4

import anyio
import psycopg
import pytest
from mcp import ClientSession, StdioServerParameters
from mcp.client.stdio import stdio_client

from pay_ready.model.ids import tenant_id_of
from tests.command_support import called
from tests.demo_support import DemoRuns
from tests.end_to_end.test_ask import QUESTIONS

TENANT, POLICY = "acme-robotics", {"PAY_READY_AGENT__MASK_POLICY": "all"}
COMPANY, REP = "Summit Grocers", "robert.fitzgerald@acme-robotics.example"
TODAY = ("--today", "2026-11-20")
_TOKEN = re.compile(r"<(?:person|company|email|phone):[0-9a-f]{8}>")
# First and last names of the demo that are words as well, and may stand at the beginning of a sentence.
_WORDS = {"Will", "May", "June", "April", "Hall", "Price", "Young", "Long", "Brooks", "Reed", "Best"}
CONVERSATION = (
    "Summarise our calls with Summit Grocers this year", "and sentiment?", "What did Dmitri Vandenberg promise us?", "2", "why?",
    "who is abigail farrell", "Compare Summit Grocers and HarborLane", "Coaching report for Robert Fitzgerald, last 365 days",
    "Summarise our calls with Summit Groceries Foods", "yes", "Timeline of Abigail Farell",
)  # fmt: skip
COMMANDS = (
    *(("ask", question, *TODAY) for question in (*QUESTIONS, "What did Dmitri Vandenberg promise us?", "Who is Abigail Farrell?",
                                                "Summarise our calls with Summit Foods", "Timeline of Abigail Farell")),
    ("summary", COMPANY), ("summary", REP), ("sentiment", COMPANY), ("sentiment", "--by", "month"), ("topics",), ("topics", COMPANY),
    ("coach", REP, "--since", "2026-01-01"), ("search", "the numbers in the export do not match"), ("search", "Abigail Farrell"),
    ("count", COMPANY), ("count", COMPANY, "--by", "source"), ("who",), ("who", COMPANY), ("who", "--companies"),
    ("timeline", COMPANY), ("timeline", REP), ("timeline", COMPANY, "--group", "thread"),
    ("timeline", COMPANY, "--with", "Abigail Farrell", "--limit", "3"),
)  # fmt: skip


def known(demo: DemoRuns) -> dict[str, list[str]]:
    """Whatever people and companies of the tenant are called, from every record: whole names, single names, addresses, numbers."""
    with psycopg.connect(demo.admin_url) as admin:

        def column(statement: str) -> list[str]:
            return [row[0] for row in admin.execute(statement, (tenant_id_of("pay_ready", TENANT),)).fetchall()]  # type: ignore[arg-type]

        people = column("select distinct full_name from pay_ready.person_records where tenant_id = %s and full_name is not null")
        people += column(
            "select distinct name from pay_ready.entity_versions where tenant_id = %s and entity_type = 'person' and name <> ''"
        )
        companies = column("select distinct name from pay_ready.company_records where tenant_id = %s and name is not null")
        companies += column("select name from pay_ready.entity_versions where tenant_id = %s and entity_type = 'company' and name <> ''")
        mails = column(
            "select distinct email_normalized from pay_ready.person_records where tenant_id = %s and email_normalized is not null"
        )
        phones = column("select distinct phone from pay_ready.entity_versions where tenant_id = %s and phone is not null")
    single = {word for name in people for word in re.findall(r"[^\W\d_]{3,}", name) if word[0].isupper()}
    return {
        "whole": sorted({*people, *companies} - single), "single": sorted(single - _WORDS), "mails": mails,
        "phones": phones,
    }  # fmt: skip


# Around a value of each kind there is no letter.
FORMS: Mapping[str, tuple[str, re.RegexFlag]] = {
    "whole": (r"(?<!\w)(?:{})(?!\w)", re.IGNORECASE), "single": (r"(?<![\w'’-])(?:{})(?![\w-])", re.NOFLAG), "mails": ("{}", re.IGNORECASE),
    "phones": ("{}", re.NOFLAG),
}  # fmt: skip


@pytest.fixture(scope="module")
def values(demo: DemoRuns) -> dict[str, list[str]]:
    """Those of each kind, the longest first."""
    found = known(demo)
    assert all(len(each) > 20 for each in found.values()), {kind: len(each) for kind, each in found.items()}
    found["whole"] = [name for name in found["whole"] if len(name) > 2]
    return {kind: sorted(each, key=len, reverse=True) for kind, each in found.items()}


def leaks(text: str, values: Mapping[str, Sequence[str]]) -> list[str]:
    """What of the known values stands in a text, with a little of what is around it."""
    found: list[str] = []
    folded = text.casefold()
    for kind, each in values.items():
        form, flags = FORMS[kind]
        # Few of them stand there at all, and a pattern of hundreds looks for each at each place.
        if there := [re.escape(value) for value in each if value.casefold() in folded]:
            matches = re.finditer(form.format("|".join(there)), text, flags)
            found += [f"{kind}: {text[max(0, match.start() - 40) : match.end() + 20]!r}" for match in matches]
    return found


def masked(demo: DemoRuns, *words: str, typed: str = "") -> str:
    """All that a command prints, errors too, under the policy."""
    done = called((words[0], *words[1:], "-t", TENANT), {**demo.environment, **POLICY}, demo.folder, typed=typed)
    assert done.returncode in (0, 2, 4), done.stderr
    return done.stdout + done.stderr


def test_without_the_policy_they_are_there(demo: DemoRuns, values: dict[str, list[str]]) -> None:
    """What is looked for below would be found."""
    plain = demo.command("summary", COMPANY, "-t", TENANT).stdout
    assert {each.partition(":")[0] for each in leaks(plain, values)} >= {"whole", "single"}
    assert not _TOKEN.search(plain)


@pytest.mark.parametrize("form", ["text", "json"])
@pytest.mark.parametrize("words", COMMANDS, ids=lambda words: "-".join(words)[:60])
def test_no_tool_says_a_name(demo: DemoRuns, values: dict[str, list[str]], words: tuple[str, ...], form: str) -> None:
    """As text and as JSON, of every tool; what stands for a value is there in its place."""
    told = masked(demo, *words, *(["--json"] if form == "json" else []))
    assert not leaks(told, values)
    assert _TOKEN.search(told) or words[0] == "count" or words[:1] == ("sentiment",)


@pytest.mark.parametrize("suffix", [".html", ".md", ".json"])
def test_no_document_says_a_name(demo: DemoRuns, values: dict[str, list[str]], suffix: str) -> None:
    """Coaching reports; a token is text in each of them, no element."""
    path = Path(demo.folder) / f"masked-{uuid4().hex}{suffix}"
    masked(demo, "coach", REP, "--since", "2026-01-01", "--to", str(path))
    told = path.read_text(encoding="utf-8")
    assert not leaks(told, values)
    assert ("&lt;person:" if suffix in (".html", ".md") else "<person:") in told
    assert suffix == ".json" or not _TOKEN.search(told)


@pytest.mark.parametrize("suffix", [".html", ".csv", ".json"])
def test_no_file_of_a_timeline_says_a_name(demo: DemoRuns, values: dict[str, list[str]], suffix: str) -> None:
    """All of it, with its groups."""
    path = Path(demo.folder) / f"masked-{uuid4().hex}{suffix}"
    masked(demo, "timeline", COMPANY, "--group", "thread", "--to", str(path))
    told = path.read_text(encoding="utf-8")
    assert not leaks(told, values)
    assert ("&lt;person:" if suffix == ".html" else "<person:") in told


def test_no_csv_says_a_name(demo: DemoRuns, values: dict[str, list[str]]) -> None:
    """A timeline's."""
    told = masked(demo, "timeline", COMPANY, "--csv")
    assert not leaks(told, values)
    assert told.count("\n") > 10


@pytest.mark.parametrize("form", ["text", "json"])
def test_no_conversation_says_a_name(demo: DemoRuns, values: dict[str, list[str]], form: str) -> None:
    """Questions that hang on each other, ties and offered names: what is taken over is a token as well, and is still understood."""
    told = masked(demo, "ask", *TODAY, *(["--json"] if form == "json" else []), typed="\n".join(CONVERSATION) + "\n")
    assert not leaks(told, values)
    if form == "json":
        plans = [json.loads(line)["data"]["plan"] for line in told.splitlines() if line.startswith("{")]
        assert len(plans) == len(CONVERSATION)
        assert plans[1]["entities"][0]["id"] == plans[0]["entities"][0]["id"]
        assert plans[3]["entities"][0]["id"] == plans[2]["entities"][0]["ties"][1]["id"]


def test_errors_say_no_name(demo: DemoRuns, values: dict[str, list[str]]) -> None:
    """Who may be meant is listed by id: an error ends in logs and tickets."""
    for words in (("summary", "Dmitri Vandenberg"), ("timeline", "Dmitri Vandenberg"), ("timeline", "Sumit Grocer")):
        told = masked(demo, *words)
        assert not leaks(told, values)
        assert re.search(r"[0-9a-f]{8}-|did you mean <company:", told)


def test_programs_hear_no_name(demo: DemoRuns, values: dict[str, list[str]]) -> None:
    """Every tool of the MCP server."""

    async def asked() -> list[str]:
        server = StdioServerParameters(
            command=sys.executable, args=["-m", "pay_ready.cli.main", "mcp", "-t", TENANT], env={**demo.environment, **POLICY},
            cwd=str(demo.folder),
        )  # fmt: skip
        async with stdio_client(server) as (read, write), ClientSession(read, write) as session:
            await session.initialize()
            found = await session.call_tool("find_entity", {"name": COMPANY})
            entity = found.structured_content["entities"][0]["entity_id"]  # type: ignore[index]
            given = {
                "search_customer_interactions": {"query": "the numbers in the export do not match"},
                "get_interaction_timeline": {"customer": entity},
                "natural_language_query": {"question": "Compare Summit Grocers and HarborLane"},
                "generate_coaching_report": {"rep": REP, "since": "2026-01-01"}, "explain_entity": {"entity_id": entity},
                "find_entity": {"name": "Vandenberg"},
            }  # fmt: skip
            results = [found, *[await session.call_tool(tool, arguments) for tool, arguments in given.items()]]
            return [f"{each.content} {json.dumps(each.structured_content, ensure_ascii=False)}" for each in results]

    for told in anyio.run(asked):
        assert not leaks(told, values)
