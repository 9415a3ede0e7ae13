"""The tool `coach` hears what is meant, not only what is said: with the embedder of memory, where that knows meaning."""

from datetime import UTC, datetime
from uuid import UUID

import pytest

from pay_ready.agent.answer_cache import CacheOptions
from pay_ready.agent.coaching import trackers
from pay_ready.agent.coaching.report import CoachingReport, CoachingRules
from pay_ready.agent.coaching.trackers import Tracker
from pay_ready.agent.toolbox import Toolbox, ToolOptions
from pay_ready.db.tenancy import Database
from pay_ready.memory.embed.hashing import HashEmbedder
from pay_ready.model.ids import TenantId
from pay_ready.model.memory import Embedder
from tests.coaching_support import Meaning
from tests.conftest import Scratch
from tests.memory_support import Talk, memory_on, say

BOB = UUID(int=1)
CALL = Talk(
    key="1", kind="call", source="gong", entities=(("person", BOB),),
    turns=[("Ann", "There is no money left for it this year."), ("Bob", "We can send the parts on Monday."),
           ("Ann", "We would have to pay somebody else first.")],
)  # fmt: skip
MONEY = Tracker(tracker_id="money", label="Money", group="objection", examples=("We cannot pay that.",), least_similarity=0.9)


@pytest.fixture
def told(scratch: Scratch, tenant: TenantId) -> TenantId:
    """A tenant with a call."""
    say(scratch.admin_url, tenant, CALL)
    return tenant


def report(database: Database, tenant: TenantId, embedder: Embedder) -> CoachingReport:
    """Of Bob, over all times."""
    tools = Toolbox(
        database, tenant, lambda: memory_on(database, embedder=embedder), options=ToolOptions(cache=CacheOptions(ttl_s=0.0)), actor="me",
        coaching_rules=lambda: CoachingRules(trackers=(MONEY,)),
    )  # fmt: skip
    return tools.coaching((BOB,), "Bob", datetime(2020, 1, 1, tzinfo=UTC), datetime(2030, 1, 1, tzinfo=UTC)).report


def test_examples_are_heard(database: Database, told: TenantId) -> None:
    """An objection that holds no keyword (a second one right behind it is the same one), each sentence embedded once."""
    meaning = Meaning()
    found = report(database, told, meaning)
    assert [each.quote.text for each in found.objections] == [CALL.turns[0][1]]
    assert not found.notes or "keywords alone" not in " ".join(found.notes)
    assert len(meaning.embedded) == len(set(meaning.embedded))


def test_without_meaning_it_is_said(database: Database, told: TenantId) -> None:
    """Hashed words find nothing by example, and the report says so."""
    found = report(database, told, HashEmbedder())
    assert found.objections == ()
    assert "keywords alone" in " ".join(found.notes)


def test_what_it_costs_is_bounded(database: Database, told: TenantId, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of many sentences the latest are compared, and the report says of how many."""
    monkeypatch.setattr(trackers.listen, "__kwdefaults__", {"most": 1})
    meaning = Meaning()
    found = report(database, told, meaning)
    assert [each.quote.text for each in found.objections] == [CALL.turns[-1][1]]
    assert "of 3 sentences the latest 1" in " ".join(found.notes)
    assert len([text for text in meaning.embedded if text in dict.fromkeys(text for _, text in CALL.turns)]) == 1
