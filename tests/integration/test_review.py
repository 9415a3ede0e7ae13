"""Review on a database: what is asked, who has it before him, what becomes of answers, and the figures about them."""

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from uuid import UUID

import psycopg
import pytest

from pay_ready.db import decisions as db_decisions
from pay_ready.db import resolution as db_resolution
from pay_ready.db import review as db_review
from pay_ready.db.tenancy import Database
from pay_ready.errors import ConflictError, NotFoundError, UsageError
from pay_ready.model.ids import TenantId, tenant_id_of
from pay_ready.model.review import NewDecision, Pair
from pay_ready.pipeline.review.auto import review_automatically
from pay_ready.pipeline.review.desk import Desk, ReviewRules
from pay_ready.pipeline.review.queue import Queue, item_of, ranked
from pay_ready.pipeline.review.stats import review_stats
from pay_ready.pipeline.review.words import Said, appeal, decide, escalate, undo
from tests.conftest import Scratch, Server, cloned
from tests.integration.test_increments import check_against_everything, run
from tests.integration.test_models import clusters
from tests.publish_support import Staged, config, person_id, resolve, rows, stage
from tests.review_support import PEOPLE, TWINS, opened, resolved_template


@pytest.fixture(scope="module")
def published(server: Server, template: str) -> Iterator[str]:
    """The database that tests are cloned from."""
    with resolved_template(server, template) as name:
        yield name


@pytest.fixture
def scratch(server: Server, published: str) -> Iterator[Scratch]:
    """A database with a resolved tenant of this test's own."""
    with cloned(server, published) as database:
        yield database


@pytest.fixture
def resolved() -> TenantId:
    """That tenant."""
    return tenant_id_of("pay_ready", "acme")


def desk_of(database: Database, tenant: TenantId, actor: str = "ann", **rules: object) -> Desk:
    """A reviewer's desk; no pair is asked twice unless told."""
    return Desk(database=database, tenant=tenant, actor=actor, resolution=config(), rules=ReviewRules(**{"gold_percent": 0.0, **rules}))  # type: ignore[arg-type]


def twin(tenant: TenantId, one: int, other: int) -> Pair:
    """Two of the twins' records."""
    ids = [person_id(tenant, each.source, each.key) for each in TWINS]
    return Pair.of("person", ids[one - 1], ids[other - 1])


def status(said: Said) -> tuple[str, str, bool]:
    """The word in short."""
    return said.decision.verdict, said.decision.status, said.is_new


def test_the_queue_asks_what_is_worth_most_and_nothing_twice(database: Database, resolved: TenantId) -> None:
    """By value, largest first; each pair of entities once; what is answered, or settled by an answer, does not come again."""
    desk = desk_of(database, resolved)
    waiting = ranked(desk, None, 100)
    assert len(waiting) > 3
    assert [each.value for each in waiting] == sorted((each.value for each in waiting), reverse=True)
    assert all(each.value > 0 and each.stake >= 1 for each in waiting)
    between = [each.entities for each in waiting]
    assert len(set(between)) == len(between)
    answered = waiting[0]
    assert not answered.together or answered.stake < 30
    decide(desk, answered.pair, "no_match")
    again = ranked(desk, None, 100)
    assert answered.pair not in [each.pair for each in again]
    if not answered.together:
        assert answered.entities not in [each.entities for each in again]
    assert {each.pair.entity_type for each in ranked(desk, "person", 100)} == {"person"}
    assert ranked(desk, "company", 100) == []


def test_two_reviewers_get_different_pairs(database: Database, scratch: Scratch, resolved: TenantId) -> None:
    """A pair is one reviewer's alone until he answers, gives it back, or the lease runs out by the database's clock."""
    ann, bob = desk_of(database, resolved), desk_of(database, resolved, "bob")
    first, second = Queue(ann).next(), Queue(bob).next()
    assert first is not None
    assert second is not None
    assert first.pair != second.pair
    assert first.leased_until is not None
    # Asked again, a reviewer has the same pair before him; named by another it is refused, with who has it and until when.
    same = Queue(ann).next()
    assert same is not None
    assert same.pair == first.pair
    with pytest.raises(ConflictError, match=r"another reviewer has this pair before him.*by=ann, until=\d{4}"):
        decide(bob, first.pair, "match")
    with psycopg.connect(scratch.admin_url) as admin:
        admin.execute("update pay_ready.review_leases set leased_until = now() - interval '1 second' where actor = 'ann'")
    taken = Queue(bob).next()
    assert taken is not None
    assert taken.pair in (first.pair, second.pair)
    decide(bob, first.pair, "no_match")
    with pytest.raises(ConflictError, match=r"decided this pair already.*by=bob, verdict=no_match"):
        decide(ann, first.pair, "match")
    queue = Queue(ann)
    shown = queue.next()
    assert shown is not None
    queue.give_back(shown.pair)
    with database.tenant_transaction(resolved) as tx:
        assert db_review.holder(tx, shown.pair) is None


def test_everything_about_a_pair_is_shown_at_once(database: Database, resolved: TenantId) -> None:
    """A lone steward sees fields side by side, the evidence, what would merge, and what was said before."""
    desk = desk_of(database, resolved)
    pair = twin(resolved, 1, 2)
    decide(desk, pair, "unsure", reason="ask Globex")
    item = item_of(desk, pair)
    assert not item.is_blind
    emails = next(each for each in item.fields if each.field == "email")
    assert {emails.left, emails.right} == {TWINS[0].email, TWINS[1].email}
    assert item.evidence is not None
    assert {"given", "email"} <= {each.comparison for each in item.evidence.evidence}
    assert item.candidate is not None
    assert item.candidate.left is not None
    assert {item.left.source, item.right.source} == {"hubspot", "gong"}
    assert [each.reason for each in item.decisions] == ["ask Globex"]


def test_blind_review_hides_until_the_answer(database: Database, resolved: TenantId) -> None:
    """Score, evidence, other people's words and proposals stay hidden; afterwards all is shown."""
    review_automatically(desk_of(database, resolved))
    desk = desk_of(database, resolved, blind=True)
    item = Queue(desk).next()
    assert item is not None
    assert (item.is_blind, item.candidate, item.evidence, list(item.decisions)) == (True, None, None, [])
    assert item.fields
    decide(desk, item.pair, "unsure")
    after = item_of(desk, item.pair, is_answered=True)
    assert after.evidence is not None
    assert {each.actor for each in after.decisions} == {"ann", "rules-1"}


def test_two_who_agree_decide(database: Database, resolved: TenantId) -> None:
    """The first word waits and holds for nobody; the second decides or escalates; a third settles. Whoever spoke is not asked again."""
    ann, bob, cleo = (desk_of(database, resolved, actor, double=True) for actor in ("ann", "bob", "cleo"))
    pair = twin(resolved, 1, 2)
    assert status(decide(ann, pair, "no_match")) == ("no_match", "open", True)
    assert status(decide(ann, pair, "no_match")) == ("no_match", "open", False)
    with database.tenant_transaction(resolved) as tx:
        assert tx.rows("resolution.decisions") == []
    assert pair not in [each.pair for each in ranked(ann, None, 100)]
    assert (ranked(bob, None, 100)[0].pair, ranked(bob, None, 100)[0].why) == (pair, "second opinion")
    assert status(decide(bob, pair, "match")) == ("match", "escalated", True)
    assert pair not in [each.pair for each in (*ranked(ann, None, 100), *ranked(bob, None, 100))]
    assert ranked(cleo, None, 100)[0].why == "escalated"
    assert status(decide(cleo, pair, "no_match")) == ("no_match", "decided", True)
    other = twin(resolved, 1, 3)
    decide(ann, other, "match")
    assert status(decide(bob, other, "match")) == ("match", "decided", True)
    assert status(decide(cleo, other, "no_match", overrule=True, reason="I know him")) == ("no_match", "decided", True)
    figures = review_stats(ann)
    assert (figures.double_review.pairs, figures.double_review.agreed) == (2, 1)


def test_an_appealed_decision_holds_until_a_new_one(database: Database, scratch: Scratch, resolved: TenantId) -> None:
    """Objected to, it is still honoured by runs, and comes first to others; the new decision settles it."""
    ann, bob = desk_of(database, resolved), desk_of(database, resolved, "bob")
    pair = twin(resolved, 1, 2)
    with pytest.raises(NotFoundError, match="no reviewer decided this pair"):
        appeal(bob, pair, reason="no")
    decide(ann, pair, "match")
    assert status(appeal(bob, pair, reason="two of them")) == ("match", "appealed", True)
    assert status(appeal(bob, pair, reason="two of them")) == ("match", "appealed", False)
    with pytest.raises(ConflictError, match=r"the pair is decided.*appeal"):
        escalate(bob, pair)
    run(database, resolved, "changed")
    assert {pair.left_id, pair.right_id} <= cluster_of(scratch, resolved, pair.left_id)
    assert ranked(bob, None, 100)[0].why == "appealed"
    assert status(decide(bob, pair, "no_match")) == ("no_match", "decided", True)


def cluster_of(scratch: Scratch, tenant: TenantId, record: UUID) -> frozenset[object]:
    """The published group of a record."""
    return next(each for each in clusters(scratch.admin_url, tenant) if record in each)


def test_escalated_pairs_wait_for_others(database: Database, resolved: TenantId) -> None:
    """Who does not know hands the pair on; it is others' to decide, and comes to them first."""
    ann, bob = desk_of(database, resolved), desk_of(database, resolved, "bob")
    pair = twin(resolved, 1, 2)
    assert status(escalate(ann, pair, reason="ask sales")) == ("unsure", "escalated", True)
    assert status(escalate(ann, pair)) == ("unsure", "escalated", False)
    assert pair not in [each.pair for each in ranked(ann, None, 100)]
    assert ranked(bob, None, 100)[0].pair == pair
    assert status(decide(bob, pair, "match")) == ("match", "decided", True)


def test_answers_are_honoured_by_every_later_run(database: Database, scratch: Scratch, resolved: TenantId) -> None:
    """A no_match parts and a match joins, by a run over what changed as by one over everything; taken back, all is as before."""
    desk = desk_of(database, resolved)
    before = clusters(scratch.admin_url, resolved)
    whole = next(each for each in before if len(each) > 1)
    together = Pair.of("person", *sorted(whole)[:2])  # type: ignore[arg-type, misc]
    stranger = next(each for each in before if each != whole)
    apart = Pair.of("person", max(whole), min(stranger))  # type: ignore[type-var, arg-type]
    parted, joined = decide(desk, together, "no_match"), decide(desk, apart, "match")
    run(database, resolved, "changed")
    assert together.right_id not in cluster_of(scratch, resolved, together.left_id)
    assert apart.right_id in cluster_of(scratch, resolved, apart.left_id)
    check_against_everything(database, scratch.admin_url, resolved)
    undo(desk, joined.decision.decision_id)
    undo(desk, parted.decision.decision_id)
    run(database, resolved, "changed")
    assert clusters(scratch.admin_url, resolved) == before


def test_taking_back(database: Database, resolved: TenantId) -> None:
    """One's own last word, or one by its id; not another's without a reason, not one that a later one took over from; twice is once."""
    ann, bob = desk_of(database, resolved), desk_of(database, resolved, "bob")
    pair = twin(resolved, 1, 2)
    with pytest.raises(NotFoundError, match="said nothing"):
        undo(ann, None)
    first = decide(ann, pair, "match").decision
    second = decide(ann, pair, "no_match").decision
    with pytest.raises(ConflictError, match=r"a later decision took over.*undo"):
        undo(ann, first.decision_id)
    with pytest.raises(ConflictError, match="another reviewer's decision"):
        undo(bob, second.decision_id)
    tried = undo(ann, None, dry_run=True)
    assert (tried.decision.decision_id, tried.restored is not None) == (second.decision_id, True)
    done = undo(ann, None)
    assert done.restored is not None
    assert (done.decision.decision_id, done.restored.verdict) == (second.decision_id, "match")
    with pytest.raises(UsageError, match="needs a reason"):
        undo(bob, done.restored.decision_id, overrule=True)
    assert undo(bob, done.restored.decision_id, overrule=True, reason="wrong").is_new


def test_a_dry_run_writes_nothing(database: Database, scratch: Scratch, resolved: TenantId) -> None:
    """It tells what would become of a word, and of a contradiction."""
    desk = desk_of(database, resolved)
    assert status(decide(desk, twin(resolved, 1, 2), "match", dry_run=True)) == ("match", "decided", True)
    assert review_automatically(desk, dry_run=True).proposals
    for table in ("decisions", "review_leases"):
        assert rows(scratch.admin_url, resolved, f"select count(*) from pay_ready.{table} where tenant_id = %(tenant)s") == [(0,)]
    decide(desk, twin(resolved, 1, 2), "match")
    decide(desk, twin(resolved, 1, 3), "no_match")
    with pytest.raises(ConflictError, match=r"say otherwise.*path=\w+ [=≠] \w+ \(ann\) [=≠] \w+ \(ann\)"):
        decide(desk, twin(resolved, 2, 3), "match", dry_run=True)


def test_gold_pairs_measure_and_change_nothing(database: Database, scratch: Scratch, resolved: TenantId) -> None:
    """A pair that two agreed on comes once to each reviewer, looking like any other; the answer holds nowhere and counts in kappa."""
    ann, bob = (desk_of(database, resolved, actor, double=True) for actor in ("ann", "bob"))
    pair = twin(resolved, 1, 2)
    decide(ann, pair, "no_match")
    decide(bob, pair, "no_match")
    cleo = desk_of(database, resolved, "cleo", gold_percent=100.0)
    item = Queue(cleo).next()
    assert item is not None
    assert (item.pair, list(item.decisions)) == (pair, [])
    assert item.candidate is not None
    assert item.candidate.why == "uncertain"
    assert item.evidence is not None
    assert (list(item.evidence.decisions), [each for each in item.evidence.remarks if "reviewer" in each]) == ([], [])
    said = decide(cleo, pair, "match")
    assert (said.decision.context, said.decision.superseded_at) == ("gold", said.decision.made_at)
    with database.tenant_transaction(resolved) as tx:
        assert [each.verdict for each in tx.rows("resolution.decisions")] == ["no_match"]
    again = Queue(cleo).next()
    assert again is not None
    assert again.pair != pair
    gold = review_stats(ann).gold["cleo"]
    assert (gold.pairs, gold.agreed) == (1, 0)
    with pytest.raises(UsageError, match="context"):
        decide(cleo, twin(resolved, 1, 3), "match", context="gold")
    told = "select count(*) from pay_ready.decisions where tenant_id = %(tenant)s and context = 'gold' and superseded_at is null"
    assert rows(scratch.admin_url, resolved, told) == [(0,)]


def test_the_automatic_reviewer_never_writes_over_a_human(database: Database, scratch: Scratch, resolved: TenantId) -> None:
    """It says what it thinks of pairs nobody spoke of, keeps its evidence without values, says the same only once, and is compared."""
    desk = desk_of(database, resolved)
    spoken = ranked(desk, None, 100, every_pair=True)[0].pair
    decide(desk, spoken, "match")
    first = review_automatically(desk)
    assert first.proposals
    assert spoken not in [each.pair for each in first.proposals]
    assert (first.unchanged, {each.status for each in first.proposals if each.risk != "low" or each.verdict == "unsure"}) == (0, {"open"})
    again = review_automatically(desk)
    assert again.proposals == []
    assert again.unchanged == sum(each.status == "open" for each in first.proposals)
    with database.tenant_transaction(resolved) as tx:
        kept = db_decisions.listed(tx, db_decisions.DecisionFilter(actor_type="agent", most=1_000))
    assert len(kept) == len(first.proposals)
    assert all(each.evidence is not None and each.evidence.reasons and each.risk for each in kept)
    stored = str(rows(scratch.admin_url, resolved, "select evidence from pay_ready.decisions where tenant_id = %(tenant)s"))
    assert not any(value in stored for each in TWINS for value in (each.full_name, each.email) if value)
    proposal = next((each for each in first.proposals if each.verdict != "unsure"), first.proposals[0])
    opposite = "match" if proposal.verdict == "no_match" else "no_match"
    decide(desk, proposal.pair, opposite, overrule=True, reason="looked it up")
    figures = review_stats(desk).agents[0]
    assert figures.actor == "rules-1"
    assert figures.overridden == (proposal.verdict != "unsure")
    with database.tenant_transaction(resolved) as tx:
        assert set(db_decisions.current(tx, proposal.pair)) == {"human", "agent"}
        assert [each.verdict for each in tx.rows("resolution.decisions") if each.left_id == proposal.pair.left_id] == [opposite]


@pytest.mark.parametrize("agent_decides", [True, False])
def test_what_the_automatic_reviewer_is_sure_of_holds_if_the_team_wants(
    agent_decides: bool, database: Database, scratch: Scratch, resolved: TenantId
) -> None:
    """At low risk a verdict is decided and honoured by runs, or a proposal; one that contradicts a human's is refused."""
    stage(scratch.admin_url, resolved, Staged(people=[*PEOPLE[:20], *TWINS]))
    wide = replace(config(), person=replace(config().person, review_millibits=60_000))
    resolve(database, resolved, wide)
    desk = replace(desk_of(database, resolved, agent_decides=agent_decides), resolution=wide)
    report = review_automatically(desk, most=2_000)
    sure = [each for each in report.proposals if each.risk == "low" and each.verdict != "unsure"]
    assert {each.verdict for each in sure} >= {"match"}
    assert {each.status for each in sure} == {"decided" if agent_decides else "open"}
    with database.tenant_transaction(resolved) as tx:
        assert len(tx.rows("resolution.decisions")) == (len(sure) if agent_decides else 0)


def test_precision_is_estimated_from_decisions(database: Database, resolved: TenantId) -> None:
    """Of links by run and by model with their interval; of all links by band of evidence, with what nobody was asked about."""
    desk = desk_of(database, resolved)
    with database.tenant_transaction(resolved) as tx:
        model = db_review.models(tx)["person"]
        links = sum(db_review.links_by_band(tx, (0,))["person"][1].values())
    candidates = ranked(desk, "person", 1_000, every_pair=True)
    matches = [each for each in candidates if (each.weight_bits or 0) * 1_000 >= model.threshold_millibits]
    assert matches
    verdicts = ["match", "no_match", "match", "match"]
    said = [decide(desk, each.pair, verdict, overrule=True, reason="test") for each, verdict in zip(matches, verdicts, strict=False)]  # type: ignore[arg-type]
    right = sum(each.decision.verdict == "match" for each in said)
    figures = review_stats(desk)
    (by_run,) = figures.runs
    assert (by_run.run_no, by_run.precision.right, by_run.precision.seen) == (1, right, len(said))
    (by_model,) = figures.models
    assert by_model.by_band is not None
    assert by_model.unseen is not None
    assert 0 <= by_model.unseen < 1
    assert links >= len(said)
    assert by_model.by_band.low <= (by_model.by_band.value or 0) <= by_model.by_band.high


def test_another_tenants_pair_is_not_there(database: Database, resolved: TenantId, new_tenant: Callable[[str], TenantId]) -> None:
    """Not to be decided, shown, escalated, appealed or taken back: absent and foreign are one."""
    pair = twin(resolved, 1, 2)
    made = decide(desk_of(database, resolved), pair, "match").decision
    other = desk_of(database, new_tenant("other"))
    for attempt in (
        lambda: decide(other, pair, "match"),
        lambda: item_of(other, pair),
        lambda: escalate(other, pair),
        lambda: appeal(other, pair, reason="no"),
        lambda: undo(other, made.decision_id, overrule=True, reason="no"),
    ):
        with pytest.raises(NotFoundError, match=r"no such (record|decision)"):
            attempt()
    assert ranked(other, None, 100) == []
    assert review_stats(other).counts == []


def test_many_reviewers_at_once_leave_one_word_and_no_contradiction(scratch: Scratch, resolved: TenantId) -> None:
    """Eight reviewers with two pools say different things of the same pairs: each has one decision, others were told who was first."""
    pairs = [twin(resolved, 1, 2), twin(resolved, 2, 3), twin(resolved, 1, 3)]
    told: list[str] = []
    with opened(scratch) as first, opened(scratch) as second:

        def review(number: int) -> None:
            desk = desk_of((first, second)[number % 2], resolved, f"reviewer {number}")
            for pair in pairs[number % 3 :] + pairs[: number % 3]:
                try:
                    decide(desk, pair, "match" if number % 2 else "no_match")
                    told.append("kept")
                except ConflictError as error:
                    told.append(error.what)

        threads = [threading.Thread(target=review, args=(number,)) for number in range(8)]
        for each in threads:
            each.start()
        for each in threads:
            each.join()
        with first.tenant_transaction(resolved) as tx:
            kept = {(each.left_id, each.right_id): each.verdict for each in tx.rows("resolution.decisions")}
    assert len(told) == 24
    assert told.count("kept") == len(kept)
    assert set(told) <= {"kept", "somebody decided this pair already", "humans' decisions say otherwise"}
    assert sum(verdict == "no_match" for verdict in kept.values()) != 1 or len(kept) < 3


def test_a_review_needs_two_connections_at_most(
    database: Database, scratch: Scratch, resolved: TenantId, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Counted by the server all the while a reviewer works: one of the pool, and one that reads records in bulk where there are many."""
    database.close()
    monkeypatch.setattr(db_resolution, "FEW_STAGED", 2)  # as where the automatic reviewer looks at many
    seen: list[tuple[float, int]] = []
    done = threading.Event()

    def watch() -> None:
        query = (
            "select count(*) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()"
            " and backend_type = 'client backend'"
        )
        with psycopg.connect(scratch.admin_url, autocommit=True) as admin:
            while not done.is_set():
                seen.extend((time.monotonic(), row[0]) for row in admin.execute(query).fetchall())

    watcher = threading.Thread(target=watch)
    with opened(scratch, 1) as alone:
        watcher.start()
        desk = desk_of(alone, resolved)
        queue = Queue(desk)
        for verdict in ("match", "no_match", "unsure"):
            item = queue.next()
            assert item is not None
            said = decide(desk, item.pair, verdict)  # type: ignore[arg-type]
            undo(desk, said.decision.decision_id)
        review_automatically(desk)
        review_stats(desk)
        done.set()
        watcher.join()
    # A session that has ended is told a moment longer: more than two at once last no longer than that.
    longest = since = 0.0
    for moment, count in seen:
        since = (since or moment) if count > 2 else 0.0
        longest = max(longest, moment - since if since else 0.0)
    assert longest < 0.25
    assert 2 in {count for _, count in seen}


def test_a_word_written_past_this_code_is_still_bound_by_the_index(database: Database, scratch: Scratch, resolved: TenantId) -> None:
    """Two current human words about one pair cannot be."""
    pair = twin(resolved, 1, 2)
    decide(desk_of(database, resolved), pair, "match")
    with pytest.raises(ConflictError, match="decisions_current"), database.tenant_transaction(resolved) as tx:
        tx.execute("decisions.add", {
            "decision_id": UUID(int=7), "entity_type": pair.entity_type, "left_id": pair.left_id, "right_id": pair.right_id,
            "verdict": "no_match", "actor_type": "human", "actor": "eve", "reason": None, "context": "review", "entity_id": None,
            "status": "decided", "moment": db_decisions.lock(tx), "is_gold": False, "match_weight_millibits": None, "model_id": None,
            "run_no": None, "risk": None, "evidence": None,
        })  # fmt: skip


def test_a_team_sets_its_own_rules(scratch: Scratch, resolved: TenantId, tmp_path: Path) -> None:
    """The tenant's settings stand above the shipped ones, for its desk alone."""
    from pay_ready.app import open_app
    from pay_ready.db import tenants
    from pay_ready.settings import Environment

    environment = Environment(home=tmp_path, database_url=scratch.app_url)  # type: ignore[arg-type]
    with open_app(environment, most_connections=1) as app:
        assert app.desk("acme").rules == ReviewRules()
        own = {"blind": True, "double": True, "gold_percent": 20, "lease_minutes": 2, "agent_decides": False}
        with app.database.tenant_transaction(resolved) as tx:
            tenants.change_settings(tx, {"schema_version": 1, "review": own}, actor="tests", reason=None)
        wanted = ReviewRules(blind=True, double=True, gold_percent=20.0, lease_s=120.0, agent_decides=False)
        assert app.desk("acme").rules == wanted


def test_bulk_decisions_stand_beside_reviews(database: Database, resolved: TenantId) -> None:
    """What an undo tells apart is a human's word in context undo: a reviewer is told who said it."""
    pair = twin(resolved, 1, 2)
    with database.tenant_transaction(resolved) as tx:
        db_decisions.add_decisions(tx, [NewDecision(pair=pair, verdict="no_match", actor="bob", context="undo", reason="merge of run 7")])
    with pytest.raises(ConflictError, match="by=bob"):
        decide(desk_of(database, resolved), pair, "match")
