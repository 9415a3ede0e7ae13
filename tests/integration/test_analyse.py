"""The step `analyse` reads every sentence once; what it kept counts while the words are the same; dying on the way changes no end."""

from collections.abc import Callable
from uuid import UUID

import psycopg
import pytest

from pay_ready.agent.toolbox import Toolbox, ToolOptions
from pay_ready.db import sentiment as db_sentiment
from pay_ready.db.tenancy import Database, PoolOptions
from pay_ready.failpoints import FailpointError, armed
from pay_ready.memory.embed.hashing import HashEmbedder
from pay_ready.model.ids import RunId, TenantId, new_id
from pay_ready.model.talk import Scope
from pay_ready.pipeline import analyse
from pay_ready.pipeline.analyse import AnalyseReport, analyse_tenant
from tests.conftest import Scratch, make_tenant
from tests.faults.children import ended
from tests.memory_support import Talk, erase, indexed, memory_on, say

ANN = UUID(int=1)
TALKS = (
    Talk(key="1", body="This is a wonderful product. We love it!", entities=(("person", ANN),)),
    Talk(key="2", body="It broke again. I am really angry about this terrible service.", entities=(("person", ANN),), minute=1),
    Talk(key="3", kind="call", source="gong", minute=2, entities=(("person", ANN),),
         turns=[("Ann", "Great, thank you. That was awful before."), ("Bob", "We will send the parts on Monday.")]),
    Talk(key="4", body="...", minute=3),
    Talk(key="5", minute=4, entities=(("person", ANN),), body=(
        "Das ist wirklich eine ausgezeichnete Lösung für unsere Abteilung, und wir freuen uns sehr darüber, dass es endlich klappt.")),
)  # fmt: skip


def run(database: Database, tenant: TenantId, **options: float) -> AnalyseReport:
    """The step."""
    return analyse_tenant(database, tenant, HashEmbedder(), run_id=RunId(new_id()), **options)  # type: ignore[arg-type]


def kept(scratch: Scratch, tenant: TenantId) -> dict[UUID, tuple[object, ...]]:
    """What stands in the table."""
    with psycopg.connect(scratch.admin_url) as admin:
        rows = admin.execute(
            "select interaction_id, sentiment, sentence_scores, sentence_labels, content_hash, model_name"
            " from pay_ready.interaction_sentiment where tenant_id = %s and turn_no = -1",
            (tenant,),
        ).fetchall()
    return {row[0]: row[1:] for row in rows}


@pytest.fixture
def told(database: Database, scratch: Scratch, tenant: TenantId) -> TenantId:
    """A tenant with interactions in memory."""
    say(scratch.admin_url, tenant, *TALKS)
    indexed(database, tenant, memory_on(database))
    return tenant


def toolbox(database: Database, tenant: TenantId) -> Toolbox:
    """The tenant's tools; nothing is kept."""
    from pay_ready.agent.answer_cache import CacheOptions

    def no_rules() -> object:
        raise AssertionError

    return Toolbox(
        database, tenant, lambda: memory_on(database), options=ToolOptions(cache=CacheOptions(ttl_s=0.0)), actor="me",
        coaching_rules=no_rules,  # type: ignore[arg-type]
    )  # fmt: skip


def test_every_sentence_is_read_once(database: Database, scratch: Scratch, told: TenantId) -> None:
    """Scores and labels of each, the mean of all by their words; what cannot be read is marked as read; a second call finds nothing."""
    report = run(database, told)
    assert (report.interactions, report.sentences, report.left) == (5, 7, 0)
    rows = {talk.key: kept(scratch, told)[talk.id_of(told)] for talk in TALKS}
    assert rows["1"][2] == "pp"
    assert rows["2"][2] == "nn"
    assert rows["3"][2] == "pno"
    assert rows["4"][:3] == (None, [], "")
    assert rows["5"][:3] == (None, [], "")  # not English
    assert run(database, told).interactions == 0


def test_answers_are_the_same_with_and_without_it(database: Database, told: TenantId) -> None:
    """The kept scores are those that are computed on the spot; the spread is of the database."""
    scope = Scope(entity_ids=(ANN,))
    tools = toolbox(database, told)
    before = tools.sentiment(scope, period="day")
    run(database, told)
    after = tools.sentiment(scope, period="day")
    assert before.spread == ()
    assert [each.interactions for each in after.spread] == [3]
    assert after.spread[0].p10 <= after.spread[0].p50 <= after.spread[0].p90
    assert [each.labels for each in after.periods] == [each.labels for each in before.periods]
    assert [each.mean for each in after.periods] == pytest.approx([each.mean for each in before.periods], abs=1e-6)
    assert after.skipped == before.skipped != ()


def test_kept_scores_are_used(database: Database, scratch: Scratch, told: TenantId) -> None:
    """Not computed again: a changed row shows in the answer, until the words change."""
    run(database, told)
    with psycopg.connect(scratch.admin_url) as admin:
        admin.execute("update pay_ready.interaction_sentiment set sentence_scores = array_fill(0.5::real, array[length(sentence_labels)])")
    tools = toolbox(database, told)
    assert {each.mean for each in tools.sentiment(Scope(entity_ids=(ANN,))).periods} == {0.5}
    with psycopg.connect(scratch.admin_url) as admin:  # the words change, and nobody has told memory yet
        admin.execute("update pay_ready.interaction_records set body = 'It is terrible, awful, the worst.' where body like 'This is%%'")
    assert {round(each.mean, 3) for each in tools.sentiment(Scope(entity_ids=(ANN,))).periods} != {0.5}


def test_what_changes_is_read_anew(database: Database, scratch: Scratch, told: TenantId) -> None:
    """A changed one alone; of one that is gone nothing stays."""
    run(database, told)
    before = kept(scratch, told)
    say(scratch.admin_url, told, Talk(key="1", body="Now we hate it.", entities=(("person", ANN),)))
    erase(scratch.admin_url, told, TALKS[1])
    indexed(database, told, memory_on(database))
    assert run(database, told).interactions == 1
    after = kept(scratch, told)
    assert after[TALKS[0].id_of(told)][2] == "n"
    assert TALKS[1].id_of(told) not in after
    assert {key: row for key, row in after.items() if key != TALKS[0].id_of(told)} == {
        key: row for key, row in before.items() if key not in (TALKS[0].id_of(told), TALKS[1].id_of(told))
    }


def test_words_that_change_while_it_reads(database: Database, scratch: Scratch, told: TenantId, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it had in hand is not written over the change: the next call reads that."""

    def changed(_: str) -> None:
        say(scratch.admin_url, told, Talk(key="1", body="Now we hate it.", entities=(("person", ANN),)))
        indexed(database, told, memory_on(database))
        monkeypatch.setattr(analyse, "failpoint", lambda _: None)

    monkeypatch.setattr(analyse, "failpoint", changed)
    assert run(database, told).left == 1
    assert run(database, told).interactions == 1
    assert kept(scratch, told)[TALKS[0].id_of(told)][2] == "n"


@pytest.mark.parametrize("point", ["analyse.scored", "analyse.kept"])
def test_it_goes_on_where_it_was_stopped(
    database: Database, scratch: Scratch, new_tenant: Callable[[str], TenantId], monkeypatch: pytest.MonkeyPatch, point: str
) -> None:
    """Dying in the middle of its pages costs a page: the end is that of an undisturbed call."""
    monkeypatch.setattr(analyse, "_PAGE", 2)
    calm, stormy = new_tenant("calm"), new_tenant("stormy")
    for each in (calm, stormy):
        say(scratch.admin_url, each, *TALKS)
        indexed(database, each, memory_on(database))
    run(database, calm)
    seen = 0

    def third(name: str) -> None:
        nonlocal seen
        seen += name == point
        if seen == 2:
            raise FailpointError(point)

    monkeypatch.setattr(analyse, "failpoint", third)
    with pytest.raises(FailpointError):
        run(database, stormy)
    assert len(kept(scratch, stormy)) == 2
    monkeypatch.setattr(analyse, "failpoint", lambda _: None)
    assert run(database, stormy).interactions == 3
    ours, theirs = kept(scratch, calm), kept(scratch, stormy)
    assert [ours[each.id_of(calm)] for each in TALKS] == [theirs[each.id_of(stormy)] for each in TALKS]


def test_its_time_is_over(database: Database, told: TenantId) -> None:
    """It stops, says what is left, and answers do without."""
    report = run(database, told, most_s=0.0)
    assert (report.interactions, report.left) == (0, 5)
    assert toolbox(database, told).sentiment(Scope(entity_ids=(ANN,))).periods


def killed(app_url: str, tenant: TenantId) -> None:
    """The step in a process that is killed while it has a page in hand."""
    database = Database(app_url, PoolOptions(max_size=2, overflow=0))
    database.open()
    with armed("analyse.kept", "kill"):
        run(database, tenant)


def test_killed_and_taken_over(database: Database, scratch: Scratch, told: TenantId) -> None:
    """-9 within the transaction: nothing of it stands; the next one waits for the lease and reads all."""
    assert ended(killed, scratch.app_url, told) == -9
    assert kept(scratch, told) == {}
    with psycopg.connect(scratch.admin_url) as admin:
        admin.execute("update pay_ready.leases set expires_at = now() where lease = 'analyse'")
    assert run(database, told, wait_s=30.0).interactions == 5


def test_tenants_do_not_mix(database: Database, scratch: Scratch, told: TenantId) -> None:
    """One tenant's step reads and writes nothing of another's, not by its ids either."""
    other = make_tenant(database, "other")
    say(scratch.admin_url, other, *TALKS)
    indexed(database, other, memory_on(database))
    run(database, told)
    assert kept(scratch, other) == {}
    ids = [each.id_of(told) for each in TALKS]
    with database.tenant_transaction(other) as tx:
        assert db_sentiment.known(tx, "vader-3.3", ids) == {}
        db_sentiment.forget(tx, ids)
    assert len(kept(scratch, told)) == 5


def test_the_timeline_shows_it(database: Database, told: TenantId) -> None:
    """A mark an interaction, once it was read."""
    scope = Scope(entity_ids=(ANN,))
    assert {line.mark for line in toolbox(database, told).timeline(scope).page.lines} == {""}
    run(database, told)
    marks = {line.title: line.mark for line in toolbox(database, told).timeline(scope).page.lines}
    assert sorted(marks.values()) == ["", "+", "-", "·"]
