"""A language model plans over the question alone and words quoted, masked evidence; what nothing bears out is left out."""

import asyncio
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import asynccontextmanager
from datetime import date
from typing import Any
from uuid import UUID

import pytest
from pydantic import SecretStr
from pydantic_ai import models
from pydantic_ai.models.test import TestModel

from pay_ready.agent.llm import calling
from pay_ready.agent.llm.assistant import Assistant
from pay_ready.agent.llm.budget import MemoryBudget
from pay_ready.agent.llm.calling import LanguageModel, ModelLimitError, Prompt
from pay_ready.agent.llm.evidence import evidence_of, quoted
from pay_ready.agent.llm.model_text import model_text
from pay_ready.agent.llm.options import Spent
from pay_ready.agent.llm.wording import WordedAnswer, WordedSentence, checked
from pay_ready.agent.masking import KnownName, Masker
from pay_ready.agent.plan import PlanDraft
from pay_ready.errors import ConfigError
from pay_ready.model.ids import TenantId
from tests.agent_support import ACME, INDEX, JANE, TODAY, read
from tests.llm_support import TENANT, Part, line, options, scripted

QUESTION = "Summarise our calls with Acme last quarter"
DRAFT = {"intent": "summary", "names": ["Acme"], "time_range": {"start": "2026-07-01", "end": "2026-10-01"}, "interaction_types": ["call"]}
EVIDENCE = (Part(lines=(line("Jane Doe says: The pilot starts in Oslo on 3 May", 1), line("Ann asks: Who pays the invoice?", 2))),)
MASKER = Masker(b"key of a tenant", "all", [KnownName(text="Jane Doe", kind="person", entity_id=JANE.id)])


@pytest.fixture(autouse=True)
def no_model_requests() -> Iterator[None]:
    """No model of the library reaches a network."""
    before, models.ALLOW_MODEL_REQUESTS = models.ALLOW_MODEL_REQUESTS, False
    yield
    models.ALLOW_MODEL_REQUESTS = before


def plan_with(says: Any, question: str = QUESTION, **given: Any) -> Any:
    """What the assistant makes of a question, and what the model was told."""
    model, script = scripted(lambda _: says, **given)
    made = Assistant(model, TENANT).plan(question, read(question), today=TODAY, names=INDEX, sources=("gong", "slack"))
    return made, script


def word_with(*sentences: dict[str, Any], sections: Any = EVIDENCE, mask: Any = str, **given: Any) -> Any:
    """What the assistant words, and what the model was told."""
    model, script = scripted(lambda _: {"sentences": list(sentences)}, **given)
    return Assistant(model, TENANT).word("Where does the pilot start?", sections, mask), script


def test_a_model_plans() -> None:
    """Its draft becomes the plan, with names linked here."""
    made, _ = plan_with(DRAFT)
    assert made.reason == ""
    assert (made.plan.read_by, made.plan.intent, made.plan.entities[0].id) == ("model", "summary", ACME.id)
    assert made.plan.time_range.end == date(2026, 10, 1)


def test_the_planner_sees_the_question_alone() -> None:
    """Day, form, sources and question; no name of the tenant that the question does not name, no id, no tool."""
    _, script = plan_with(DRAFT, persona="a property manager's assistant")
    (told,) = script.told
    assert QUESTION in told
    assert "2026-11-20" in told
    assert "gong, slack" in told
    assert "property manager" in told
    assert "interaction_types" in told  # the form of a draft
    assert not any(each in told for each in ("Globex", "Initech", "Jane", str(ACME.id)))
    assert script.declared == []


@pytest.mark.parametrize(
    ("says", "reason"),
    [
        (DRAFT | {"names": ["Globex"]}, "named somebody whom the question does not name"),
        (DRAFT | {"participants": ["Jane Doe"]}, "named somebody whom the question does not name"),
        (DRAFT | {"sources": ["hubspot"]}, "named a source"),
        (DRAFT | {"tenant": "other"}, "not of the form"),
        (DRAFT | {"limit": 100000}, "not of the form"),
        (DRAFT | {"time_range": {"start": "2026-10-01", "end": "2026-07-01"}}, "not of the form"),
        ("select * from interactions", "not of the form"),
        ("", "not of the form"),
    ],
)
def test_a_draft_that_cannot_be_followed_leaves_the_rules_plan(says: Any, reason: str) -> None:
    """Invented names and sources, unknown keys, values out of bounds, no JSON: the offline plan comes back with the reason."""
    made, _ = plan_with(says)
    assert made.plan == read(QUESTION)
    assert reason in made.reason
    assert made.reason.startswith("read by rules")


def test_rules_that_got_further_count() -> None:
    """A draft knows not which interaction is shown."""
    question, shown = "Find calls like this one", UUID(int=5)
    model, _ = scripted(lambda _: {"intent": "similar"})
    made = Assistant(model, TENANT).plan(question, read(question, shown=shown), today=TODAY, names=INDEX, sources=())
    assert made.plan.similar_to == shown
    assert "lacks something" in made.reason


def test_words_that_the_question_does_not_hold_are_left_out() -> None:
    """What is searched for is the asker's own words."""
    made, _ = plan_with({"intent": "search", "words": "passwords of everybody"}, "Find mentions of the invoice")
    assert made.plan.words == ""


def test_the_library_s_test_model_is_no_plan() -> None:
    """TestModel makes text that is no JSON: the offline plan comes back."""

    @asynccontextmanager
    async def opened(_: Any) -> Any:
        yield TestModel()

    model = LanguageModel(options(), MemoryBudget(), open_model=opened)
    made = Assistant(model, TENANT).plan(QUESTION, read(QUESTION), today=TODAY, names=INDEX, sources=())
    assert made.plan == read(QUESTION)


def test_a_model_words() -> None:
    """Each line cites the interactions of the evidence it names, each once."""
    made, script = word_with({"text": "The pilot starts in Oslo on 3 May.", "evidence": [1, 2, 1]})
    (found,) = made.lines
    assert found.text == "The pilot starts in Oslo on 3 May."
    assert [each.interaction_id.int for each in found.citations] == [1, 2]
    assert made.reason == ""
    assert script.declared == []


@pytest.mark.parametrize(
    "sentence",
    [
        {"text": "The pilot starts in Oslo."},
        {"text": "The pilot starts in Oslo.", "evidence": [3]},
        {"text": "The pilot starts in Oslo.", "evidence": [1, 99]},
        {"text": "The pilot starts in Oslo.", "evidence": [0]},
        {"text": "The pilot starts in Oslo on 4 May.", "evidence": [1]},  # a figure of its own
        {"text": "Competitors offered discounts yesterday.", "evidence": [1]},  # words of its own
        {"text": "<person:00000000> starts the pilot in Oslo.", "evidence": [1]},  # a masked value of its own
        {"text": "![](http://evil.example/?q=pilot)", "evidence": [1]},  # nothing else
    ],
)
def test_what_no_evidence_bears_out_is_left_out(sentence: dict[str, Any]) -> None:
    """Alone it leaves the offline answer and the reason; beside a sound sentence that one stays."""
    alone, _ = word_with(sentence)
    assert alone.lines == ()
    assert alone.reason == "worded without a language model: none of its 1 sentences is borne out"
    beside, _ = word_with(sentence, {"text": "Ann asks who pays the invoice.", "evidence": [2]})
    assert [each.text for each in beside.lines] == ["Ann asks who pays the invoice."]
    assert beside.reason.startswith("1 sentences of the language model were left out")


def test_evidence_is_masked_before_it_leaves() -> None:
    """Names and addresses go out as tokens, those of the question too, and may come back as these."""
    sections = (Part(lines=(line("Jane\u200b Doe says: write to jane@acme.com about the pilot"),)),)
    token = MASKER.token("person", str(JANE.id))
    made, script = word_with({"text": f"{token} says: write about the pilot.", "evidence": [1]}, sections=sections, mask=MASKER)
    assert "Jane" not in script.told[0]
    assert "jane@" not in script.told[0]
    assert token in script.told[0]
    assert made.lines[0].text == f"{token} says: write about the pilot."


def test_no_id_of_an_interaction_leaves() -> None:
    """Evidence has numbers; dates and sources are told, ids are not, those in tables neither."""
    table = Part(title="Who", columns=("name", "interactions", "id"), rows=(("Ann", "12", str(JANE.id)),))
    made, script = word_with({"text": "Ann: 12 interactions.", "evidence": [3]}, sections=(*EVIDENCE, table))
    assert str(JANE.id) not in script.told[0]
    assert str(UUID(int=1)) not in script.told[0]
    assert "2026-11-20 gong" in script.told[0]
    assert made.lines[0].text == "Ann: 12 interactions."
    assert made.lines[0].citations == ()  # a figure of our own


def test_boundaries_are_of_one_request() -> None:
    """Two requests share none, so that no stored text can close one."""
    evidence = evidence_of(EVIDENCE, str, 10)
    (first, one), (second, other) = quoted(evidence), quoted(evidence)
    assert one != other
    assert first.count(one) == 2 * len(evidence) == second.count(other)


def test_a_sentence_that_holds_the_boundary_is_left_out() -> None:
    """Whatever else it says: it speaks of our frame, not of the evidence."""
    (evidence, *_) = evidence_of(EVIDENCE, str, 10)
    sentence = WordedSentence(text="The pilot starts in Oslo, abcdefabcdef", evidence=(1,))
    assert checked(sentence, {1: evidence}, str, "abcdefabcdef") is None
    assert checked(sentence, {1: evidence}, str, "fedcbafedcba") is not None


def test_evidence_ends_at_the_most() -> None:
    """Of many lines the first go out."""
    assert len(evidence_of([Part(lines=tuple(line(f"word {n}") for n in range(99)))], str, 7)) == 7


def test_without_evidence_no_model_is_asked() -> None:
    """Nothing found stays nothing found."""
    made, script = word_with(sections=(Part(),))
    assert (made.lines, made.reason, script.told) == ((), "", [])


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("Plain words, 3.5 % < 4 % & done.", "Plain words, 3.5 % < 4 % & done."),
        ("See ![x](http://evil.example/a?b=c) here", "See here"),
        ("See [the offer](http://evil.example) now", "See the offer now"),
        ("See [the offer][1] now\n[1]: http://evil.example", "See the offer now"),
        ("a <img src=x onerror=alert(1)> b <script>alert(1)</script>", "a b alert(1)"),
        ("a <img src=http://evil.example/", "a"),
        ("go to https://evil.example/x?y=1 or www.evil.example or evil.example/x now", "go to or or now"),
        ("go to <https://evil.example>", "go to"),
        ("javascript:alert(1) data:text/html,x mailto:a@b.c done", "done"),
        ("a\x1b[31mb\x1b]8;;http://evil.example\x07c\u200bd\u202ee", "abcde"),
        ("h\u200bttps://evil.example", ""),
        ("&lt;script&gt;x&lt;/script&gt; &amp;lt;b&amp;gt; y", "x y"),
        ("h&#116;tps://evil.example y", "y"),
        ("[a](http[b](c)://evil.example) y", "a : y"),
        ("# Heading `code` **bold**", "Heading code bold"),
        ("<person:7f3a91c2> says <b>yes</b>", "<person:7f3a91c2> says yes"),
    ],
)
def test_a_models_words_are_made_harmless(text: str, left: str) -> None:
    """Links, images, markup, escapes and invisible characters go, also where they are nested or hidden in entities."""
    assert model_text(text) == left


def test_a_tenant_s_day_is_bounded() -> None:
    """What is spent counts by tenant and day; a question that might go beyond is not sent."""
    model, script = scripted(lambda _: DRAFT, most_tokens=1_000, day_tokens=1_010)
    assistant = Assistant(model, TENANT)
    assert assistant.plan(QUESTION, read(QUESTION), today=TODAY, names=INDEX, sources=()).plan.read_by == "model"
    refused = assistant.plan(QUESTION, read(QUESTION), today=TODAY, names=INDEX, sources=())
    assert "tokens of the day are used up" in refused.reason
    assert len(script.told) == 1
    other = Assistant(model, TenantId(UUID(int=2))).plan(QUESTION, read(QUESTION), today=TODAY, names=INDEX, sources=())
    assert other.plan.read_by == "model"


def test_a_question_s_requests_are_bounded() -> None:
    """Planning and wording share them."""
    model, script = scripted(lambda _: DRAFT, most_requests=1)
    spent = Spent()
    assistant = Assistant(model, TENANT)
    assert assistant.plan(QUESTION, read(QUESTION), today=TODAY, names=INDEX, sources=(), spent=spent).reason == ""
    assert "used up its requests" in assistant.word(QUESTION, EVIDENCE, str, spent=spent).reason
    assert (spent.requests, len(script.told)) == (1, 1)
    with pytest.raises(ModelLimitError):
        model.ask(TENANT, Prompt(instructions="", text=""), PlanDraft, spent)


def test_a_question_s_tokens_are_bounded() -> None:
    """A prompt that costs more is stopped after its first answer."""
    model, script = scripted(lambda _: DRAFT, most_tokens=500)
    made = Assistant(model, TENANT).word("word " * 300, [Part(lines=tuple(line("word " * 100) for _ in range(30)))], str)
    assert "used up its requests or tokens" in made.reason
    assert len(script.told) == 1


def test_a_malformed_answer_gets_one_more_try() -> None:
    """Two requests, then the offline answer."""
    model, script = scripted(lambda _: "no JSON")
    assert "not of the form" in Assistant(model, TENANT).word(QUESTION, EVIDENCE, str).reason
    assert len(script.told) == 2


def test_a_model_that_heeds_no_timeout_is_left_behind() -> None:
    """It blocks its whole thread, as a name server that is away does: the answer comes nevertheless."""
    released = threading.Event()

    @asynccontextmanager
    async def opened(_: Any) -> Any:
        released.wait(60)
        yield TestModel()

    model = LanguageModel(options(timeout_s=0.05), MemoryBudget(), open_model=opened)
    made = Assistant(model, TENANT).word(QUESTION, EVIDENCE, str)
    released.set()
    assert "took too long" in made.reason


def test_a_model_is_asked_within_an_event_loop() -> None:
    """As a tool of a server may."""

    async def asked() -> Any:
        return plan_with(DRAFT)[0]

    assert asyncio.run(asked()).plan.read_by == "model"


def test_a_missing_library_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the command that installs it."""
    monkeypatch.setitem(sys.modules, "pydantic_ai", None)
    with pytest.raises(ConfigError, match=r'pip install "pay-ready\[llm\]"'):
        calling.load_library()


@pytest.mark.parametrize("given", [{"url": "ftp://host"}, {"url": "http://host.example/v1"}, {"model": ""}, {"url": "x"}])
def test_addresses_that_give_evidence_away_are_refused(given: dict[str, Any]) -> None:
    """Unencrypted only on this machine, or where it is said."""
    with pytest.raises(ConfigError):
        options(**given)
    assert options(url="http://host.example/v1", plain_http=True)
    assert "hidden" not in repr(options(api_key=SecretStr("hidden")))


def test_nothing_heavy_is_loaded_before_the_first_call() -> None:
    """The package can be imported for --help."""
    code = (
        "import sys, pay_ready.agent.llm.assistant, pay_ready.agent.llm.calling;"
        "sys.exit(any(each.partition('.')[0] in {'pydantic_ai', 'openai', 'httpx2'} for each in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_form_of_an_answer_is_bounded() -> None:
    """Sentences, their length and their citations."""
    with pytest.raises(ValueError, match="too_long"):
        WordedAnswer.model_validate({"sentences": [{"text": "x"}] * 13})
