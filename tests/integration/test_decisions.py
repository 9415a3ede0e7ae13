"""Decisions as rows: what closes what, what contradicts what, and that words in force always hold together (an oracle by brute force)."""

import os
from collections.abc import Callable, Iterator
from itertools import combinations

import psycopg
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from pay_ready.db import decisions
from pay_ready.db import resolution as db_resolution
from pay_ready.db.tenancy import Database
from pay_ready.errors import ConflictError, NotFoundError
from pay_ready.model.ids import TenantId, new_id
from pay_ready.model.review import ActorType, Decision, NewDecision, Pair, Verdict
from tests.conftest import Scratch
from tests.publish_support import PersonRow, Staged, person_id, rows, stage

DEEP = bool(os.environ.get("PAY_READY_TEST_DEEP"))
PEOPLE = [PersonRow(source="hubspot", key=f"id:{number}", full_name=f"Ann {number}") for number in range(6)]


@pytest.fixture
def ids(scratch: Scratch, tenant: TenantId) -> list[object]:
    """Six records."""
    stage(scratch.admin_url, tenant, Staged(people=PEOPLE))
    return sorted(person_id(tenant, each.source, each.key) for each in PEOPLE)


def pair_of(ids: list[object], one: int, other: int) -> Pair:
    """Two of the records."""
    return Pair.of("person", ids[one], ids[other])  # type: ignore[arg-type]


def said(
    database: Database, tenant: TenantId, pair: Pair, verdict: Verdict, *, actor: str = "ann", actor_type: ActorType = "human"
) -> Decision:
    """A word in force."""
    with database.tenant_transaction(tenant) as tx:
        moment = decisions.lock(tx)
        new = NewDecision(pair=pair, verdict=verdict, actor=actor, actor_type=actor_type)
        return decisions.make(tx, new, status="decided", moment=moment)


def withdrawn(database: Database, tenant: TenantId, decision: Decision) -> Decision | None:
    """Take a word back."""
    with database.tenant_transaction(tenant) as tx:
        return decisions.withdraw(tx, decision, actor="ann", reason=None, moment=decisions.lock(tx))


def honoured(database: Database, tenant: TenantId) -> dict[Pair, str]:
    """What runs honour."""
    with database.tenant_transaction(tenant) as tx:
        return {Pair("person", each.left_id, each.right_id): each.verdict for each in db_resolution.decisions(tx)["person"]}


def test_a_later_word_closes_the_earlier_and_undo_brings_it_back(
    database: Database, scratch: Scratch, tenant: TenantId, ids: list[object]
) -> None:
    """One current row of a pair and a kind of actor; nothing but its closing is ever rewritten, and each act is in the audit."""
    pair = pair_of(ids, 0, 1)
    first = said(database, tenant, pair, "match")
    second = said(database, tenant, pair, "no_match")
    with database.tenant_transaction(tenant) as tx:
        assert [each.decision_id for each in decisions.history(tx, pair)] == [second.decision_id, first.decision_id]
        assert decisions.history(tx, pair)[1].superseded_at == second.made_at
    assert honoured(database, tenant) == {pair: "no_match"}
    restored = withdrawn(database, tenant, second)
    assert restored is not None
    assert (restored.verdict, restored.actor, restored.decision_id != first.decision_id) == ("match", "ann", True)
    assert honoured(database, tenant) == {pair: "match"}
    told = (
        "select action, before_hash is null from pay_ready.audit_events"
        " where tenant_id = %(tenant)s and action like 'decision.%%' order by seq"
    )
    assert rows(scratch.admin_url, tenant, told) == [
        ("decision.made", True), ("decision.made", False), ("decision.withdrawn", False), ("decision.made", True),
    ]  # fmt: skip


def test_contradictions_are_refused_with_the_path(database: Database, tenant: TenantId, ids: list[object]) -> None:
    """A=B, B=C, A≠C: whichever comes last is refused, and the error tells who said what on the way."""
    a_b, b_c, a_c = pair_of(ids, 0, 1), pair_of(ids, 1, 2), pair_of(ids, 0, 2)
    said(database, tenant, a_b, "match", actor="bob")
    said(database, tenant, b_c, "match", actor="cleo")
    with pytest.raises(ConflictError, match=r"humans' decisions say otherwise.*path=\w+ = \w+ \(bob\) = \w+ \(cleo\)"):
        said(database, tenant, a_c, "no_match")
    assert honoured(database, tenant) == {a_b: "match", b_c: "match"}
    far = pair_of(ids, 2, 3)
    said(database, tenant, far, "no_match", actor="dora")
    with pytest.raises(ConflictError, match=r"path=\w+ = \w+ \(bob\) = \w+ \(cleo\) ≠ \w+ \(dora\)"):
        said(database, tenant, pair_of(ids, 0, 3), "match")


def test_an_agent_gives_way(database: Database, scratch: Scratch, tenant: TenantId, ids: list[object]) -> None:
    """A human's word that contradicts agents' makes proposals of these; an agent's that contradicts a human's is refused."""
    a_b, b_c, a_c = pair_of(ids, 0, 1), pair_of(ids, 1, 2), pair_of(ids, 0, 2)
    said(database, tenant, a_b, "match", actor="rules", actor_type="agent")
    said(database, tenant, b_c, "match")
    said(database, tenant, a_c, "no_match")
    assert honoured(database, tenant) == {b_c: "match", a_c: "no_match"}
    with database.tenant_transaction(tenant) as tx:
        assert decisions.current(tx, a_b)["agent"].status == "open"
    with pytest.raises(ConflictError, match="decisions say otherwise"):
        said(database, tenant, a_b, "match", actor="rules", actor_type="agent")
    told = "select count(*) from pay_ready.audit_events where tenant_id = %(tenant)s and action = 'decision.yielded'"
    assert rows(scratch.admin_url, tenant, told) == [(1,)]


def test_many_are_added_at_once_or_none(database: Database, tenant: TenantId, ids: list[object]) -> None:
    """What an undo tells apart: ids in the order given, over what others said of the same pairs; a contradiction among them fails all."""
    said(database, tenant, pair_of(ids, 0, 1), "match", actor="bob")
    new = [
        NewDecision(pair=pair_of(ids, 0, other), verdict="no_match", actor="ann", context="undo", reason="merge undone")
        for other in (1, 2, 3)
    ]
    with database.tenant_transaction(tenant) as tx:
        made = decisions.add_decisions(tx, new)
        assert [decisions.require(tx, each).pair for each in made] == [each.pair for each in new]
    said(database, tenant, pair_of(ids, 3, 4), "match")
    wrong = NewDecision(pair=pair_of(ids, 0, 4), verdict="match", actor="ann", context="undo")
    right = NewDecision(pair=pair_of(ids, 1, 5), verdict="match", actor="ann", context="undo")
    with pytest.raises(ConflictError, match="say otherwise"), database.tenant_transaction(tenant) as tx:
        decisions.add_decisions(tx, [right, wrong])
    assert pair_of(ids, 1, 5) not in honoured(database, tenant)


def test_another_tenants_records_and_decisions_are_not_there(
    database: Database, scratch: Scratch, tenant: TenantId, ids: list[object], new_tenant: Callable[[str], TenantId]
) -> None:
    """The same ids asked for by another tenant: absent, in every way to ask."""
    made = said(database, tenant, pair_of(ids, 0, 1), "match")
    other = new_tenant("other")
    with database.tenant_transaction(other) as tx:
        with pytest.raises(NotFoundError, match="no such record"):
            decisions.facts(tx, made.pair)
        with pytest.raises(NotFoundError, match="no such decision"):
            decisions.require(tx, made.decision_id)
        assert decisions.history(tx, made.pair) == []
        assert decisions.listed(tx, decisions.DecisionFilter(with_superseded=True)) == []
    # The other tenant may say of the same ids what it likes: neither is bound by the other's word.
    said(database, other, made.pair, "no_match")
    assert honoured(database, tenant) == {made.pair: "match"}


def test_rights_leave_nothing_to_rewrite(database: Database, scratch: Scratch, tenant: TenantId, ids: list[object]) -> None:
    """The app's role may close a word and set its status, and nothing else."""
    made = said(database, tenant, pair_of(ids, 0, 1), "match")
    with psycopg.connect(scratch.app_url) as app:
        app.execute("select set_config('app.tenant_id', %s, false)", (str(tenant),))
        for change in ("verdict = 'no_match'", "actor = 'eve'", "made_at = now()"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege), app.transaction():
                app.execute(f"update pay_ready.decisions set {change} where decision_id = %s", (made.decision_id,))  # type: ignore[arg-type]
        with pytest.raises(psycopg.errors.InsufficientPrivilege), app.transaction():
            app.execute("delete from pay_ready.decisions")


RECORDS = 5
_PAIRS = list(combinations(range(RECORDS), 2))


class History(RuleBasedStateMachine):
    """Words of humans and agents, said and taken back, beside a model that tries every partition of the records."""

    database: Database
    fresh: Iterator[TenantId]

    def __init__(self) -> None:
        super().__init__()
        self.tenant = next(self.fresh)
        self.ids = sorted(new_id() for _ in range(RECORDS))
        self.human: dict[tuple[int, int], list[str]] = {}  # by pair the words said, the last of them current
        self.agent: dict[tuple[int, int], tuple[str, bool]] = {}  # by pair the word, and whether it is in force

    def pair(self, ends: tuple[int, int]) -> Pair:
        """The records of a pair."""
        return Pair.of("person", self.ids[ends[0]], self.ids[ends[1]])

    def humans(self) -> dict[tuple[int, int], str]:
        """Human words in force."""
        return {ends: words[-1] for ends, words in self.human.items() if words and words[-1] != "unsure"}

    def holding(self) -> dict[tuple[int, int], str]:
        """All that holds: a human's word before an agent's."""
        return {ends: word for ends, (word, is_held) in self.agent.items() if is_held} | self.humans()

    def yielded(self) -> None:
        """Agents' words that the system let go; which of several it lets go is its own affair."""
        with self.database.tenant_transaction(self.tenant) as tx:
            for ends, (word, is_held) in self.agent.items():
                found = decisions.current(tx, self.pair(ends))["agent"]
                assert is_held or found.status == "open", "a proposal came back into force by itself"
                self.agent[ends] = (word, found.status == "decided")

    @rule(ends=st.sampled_from(_PAIRS), verdict=st.sampled_from(["match", "no_match", "unsure"]))
    def a_human_speaks(self, ends: tuple[int, int], verdict: Verdict) -> None:
        """Refused exactly where no partition would honour it together with what other humans said."""
        others = {each: word for each, word in self.humans().items() if each != ends}
        fits = verdict == "unsure" or is_possible({**others, ends: verdict})
        try:
            said(self.database, self.tenant, self.pair(ends), verdict)
        except ConflictError:
            assert not fits
        else:
            assert fits
            self.human.setdefault(ends, []).append(verdict)
        self.yielded()

    @rule(ends=st.sampled_from(_PAIRS), verdict=st.sampled_from(["match", "no_match"]))
    def an_agent_speaks(self, ends: tuple[int, int], verdict: Verdict) -> None:
        """Refused where it does not fit what holds."""
        fits = is_possible({**{each: word for each, word in self.holding().items() if each != ends}, ends: verdict})
        try:
            said(self.database, self.tenant, self.pair(ends), verdict, actor="rules", actor_type="agent")
        except ConflictError:
            assert not fits
        else:
            assert fits
            self.agent[ends] = (verdict, True)
        self.yielded()

    @rule(ends=st.sampled_from(_PAIRS))
    def a_human_takes_it_back(self, ends: tuple[int, int]) -> None:
        """What was said before holds again, unless it does not fit any more."""
        if not self.human.get(ends):
            return
        with self.database.tenant_transaction(self.tenant) as tx:
            latest = decisions.current(tx, self.pair(ends))["human"]
        restored = withdrawn(self.database, self.tenant, latest)
        taken = self.human[ends].pop()
        earlier = self.human[ends][-1] if self.human[ends] else None
        others = {each: word for each, word in self.humans().items() if each != ends}
        fits = earlier is not None and (earlier == "unsure" or is_possible({**others, ends: earlier}))
        assert (restored.verdict if restored else None) == (earlier if fits else None)
        # Undo of what was restored would bring back what was taken: that is what it took over from.
        self.human[ends] = [taken, earlier] if fits and earlier is not None else []
        self.yielded()

    @invariant()
    def what_holds_holds_together(self) -> None:
        """Runs get what the model has, and no two words of it contradict each other."""
        found = {(self.ids.index(each.left_id), self.ids.index(each.right_id)): word for each, word in self.found().items()}
        assert found == self.holding()
        assert is_possible(found)

    def found(self) -> dict[Pair, str]:
        """What runs honour."""
        return honoured(self.database, self.tenant)


def is_possible(words: dict[tuple[int, int], str]) -> bool:
    """Whether some partition of the records honours all of them, by trying every one."""

    def assigned(parts: list[int]) -> bool:
        if len(parts) == RECORDS:
            return all((parts[one] == parts[other]) == (word == "match") for (one, other), word in words.items())
        return any(assigned([*parts, part]) for part in range(max(parts, default=-1) + 2))

    return assigned([])


def test_words_in_force_never_contradict_each_other(database: Database, new_tenant: Callable[[str], TenantId]) -> None:
    """Random histories of humans and agents against a model by brute force; each history a tenant of its own."""
    History.database = database
    History.fresh = (new_tenant(f"history-{number}") for number in range(10_000))
    run_state_machine_as_test(
        History,
        settings=settings(
            max_examples=200 if DEEP else 30, stateful_step_count=25 if DEEP else 15, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
