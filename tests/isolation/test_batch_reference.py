"""The reference of a landed row to its batch, which triggers keep in place of a foreign key: as strict as a key, and each one needed."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import psycopg
import pytest
from psycopg import errors as pg
from psycopg import sql

from .attacks import Attacker, Outcome, attacking
from .catalogue import KEPT_BY_TRIGGERS
from .conftest import Filled, enter
from .rows import STRANGER, Owner, Row

KEY = KEPT_BY_TRIGGERS["landed_records"].name
Try = Callable[[Attacker], Outcome]


def batch(attacker: Attacker, owner: Owner, set_no: int) -> Row:
    """A batch that is there."""
    return attacker.world.of(owner, set_no)["landing_batches"]


def aims(attacker: Attacker) -> dict[str, Row]:
    """What a row of the first tenant must not refer to: its columns that say so."""
    own = batch(attacker, attacker.world.first, 0)
    foreign = batch(attacker, attacker.world.second, STRANGER)
    sibling = batch(attacker, attacker.world.first, 1)
    assert sibling["source_id"] != own["source_id"]
    kept = {name: own[name] for name in ("source_id", "stream")}
    return {
        "the other tenant's batch": {name: foreign[name] for name in ("source_id", "stream", "batch_id")},
        "the other tenant's batch under an own source": {**kept, "batch_id": foreign["batch_id"]},
        "a batch of another source": {**kept, "batch_id": sibling["batch_id"]},
        "a batch of another stream": {**kept, "stream": "no such stream", "batch_id": own["batch_id"]},
        "no batch at all": {**kept, "batch_id": "00000000-0000-0000-0000-000000000077"},
    }


def fresh(attacker: Attacker, aim: Row) -> Row:
    """A new row with that reference; nothing else refers to it."""
    own = attacker.world.of(attacker.world.first, 0)["landed_records"]
    return {**own, "record_key": "fresh", "payload_id": None, "data": "{}", **aim}


def insert(attacker: Attacker, aim: Row) -> Outcome:
    """A new row with that reference."""
    return attacker.insert(attacker.factory.tables["landed_records"], fresh(attacker, aim))


def update(attacker: Attacker, aim: Row) -> Outcome:
    """An own row, moved to that reference."""
    moved = sql.SQL(", ").join(sql.SQL("{} = {}").format(sql.Identifier(name), sql.Literal(value)) for name, value in aim.items())
    text = sql.SQL("update pay_ready.landed_records set {} where record_key = 'fresh'").format(moved)

    def run() -> Outcome:
        attacker.factory.insert(attacker.connection, "landed_records", fresh(attacker, {}))
        return Outcome(count=attacker.connection.execute(text).rowcount)

    return attacker.undone(run)


def upsert(attacker: Attacker, aim: Row) -> Outcome:
    """An own row, overtaken by one with that reference."""
    table = attacker.factory.tables["landed_records"]
    own = attacker.world.of(attacker.world.first, 0)["landed_records"]
    row = {**own, **{name: own[name] for name in ("source_id", "stream")}, "batch_id": aim["batch_id"]}
    return attacker.insert(table, row, "on conflict (tenant_id, source_id, stream, record_key) do update set batch_id = excluded.batch_id")


def removals(attacker: Attacker) -> dict[str, str]:
    """Ways of taking the batch away from under its rows."""
    own = batch(attacker, attacker.world.first, 0)["batch_id"]
    return {
        "delete": f"delete from pay_ready.landing_batches where batch_id = '{own}'",
        "another id": f"update pay_ready.landing_batches set batch_id = gen_random_uuid() where batch_id = '{own}'",
        "another stream": f"update pay_ready.landing_batches set stream = 'elsewhere' where batch_id = '{own}'",
    }


def lost(attacker: Attacker) -> Iterator[str]:
    """What gets through that should not."""
    for name, aim in aims(attacker).items():
        for how, attempt in {"insert": insert, "update": update, "upsert": upsert}.items():
            # An upsert keeps its row's source and stream: the key must meet.
            if how == "upsert" and name == "a batch of another stream":
                continue
            outcome = attempt(attacker, aim)
            if not is_refused(outcome):
                yield f"{how}: {name}: {outcome}"
    for name, text in removals(attacker).items():
        outcome = removed(attacker, text)
        if not is_refused(outcome):
            yield f"batch: {name}: {outcome}"


def removed(attacker: Attacker, text: str) -> Outcome:
    """The statement, undone; other tables that refer to the batch are not asked."""
    return attacker.undone(lambda: Outcome(count=attacker.connection.execute(text.encode()).rowcount))


def is_refused(outcome: Outcome) -> bool:
    """Refused as a key refuses: its SQLSTATE, its name, and nobody's values."""
    error = outcome.error
    return isinstance(error, pg.ForeignKeyViolation) and error.diag.constraint_name == KEY and "canary" not in str(error)


@pytest.mark.parametrize("role", ["pay_ready_app", "pay_ready_owner", None], ids=["app", "owner", "superuser"])
def test_no_row_refers_to_a_batch_that_is_not_its_streams(role: str | None, administrator: psycopg.Connection[Any], filled: Filled) -> None:
    """Insert, update and upsert are refused for every wrong batch, the loss of a batch under its rows too; whoever writes."""
    with attacking(administrator, filled.factory, filled.world, role) as attacker:
        assert list(lost(attacker)) == []


def test_a_right_reference_passes(administrator: psycopg.Connection[Any], filled: Filled) -> None:
    """The own batch is accepted in insert, update and upsert: the refusals above are not for another reason."""
    with attacking(administrator, filled.factory, filled.world, "pay_ready_app") as attacker:
        own = {name: batch(attacker, attacker.world.first, 0)[name] for name in ("source_id", "stream", "batch_id")}
        assert [attempt(attacker, own).count for attempt in (insert, update, upsert)] == [1, 1, 1]


@pytest.mark.parametrize(
    ("dropped", "through"),
    [
        ("landed_records_batch_on_insert on pay_ready.landed_records", "insert: "),
        ("landed_records_batch_on_update on pay_ready.landed_records", "update: "),
        ("landing_batches_kept on pay_ready.landing_batches", "batch: "),
    ],
)
def test_each_trigger_is_needed(dropped: str, through: str, administrator: psycopg.Connection[Any], filled: Filled) -> None:
    """Without any one of the triggers, the attacks that it stops get through."""
    with administrator.transaction(force_rollback=True):
        administrator.execute(f"drop trigger {dropped}".encode())
        with attacking(administrator, filled.factory, filled.world, "pay_ready_app") as attacker:
            found: Sequence[str] = list(lost(attacker))
    assert len([each for each in found if each.startswith(through)]) >= 3


def test_a_batch_is_held_until_its_new_row_is_committed(filled: Filled) -> None:
    """A batch cannot be deleted while a transaction that refers to it is open: the deleter waits and is then refused."""
    with psycopg.connect(filled.scratch.app_url) as writer, psycopg.connect(filled.scratch.app_url) as remover:
        for connection in (writer, remover):
            enter(connection, filled.world.first)
        remover.execute("set local lock_timeout = '100ms'")
        attacker = Attacker(connection=writer, factory=filled.factory, world=filled.world)
        childless = {**batch(attacker, filled.world.first, 0), "batch_id": "00000000-0000-0000-0000-000000000078", "commit_seq": None}
        row = {**filled.world.of(filled.world.first, 0)["landed_records"], "record_key": "held", "batch_id": childless["batch_id"]}
        with psycopg.connect(filled.scratch.app_url) as maker:
            enter(maker, filled.world.first)
            assert filled.factory.insert(maker, "landing_batches", childless)
        try:
            assert filled.factory.insert(writer, "landed_records", row)
            with pytest.raises(pg.LockNotAvailable):
                remover.execute("delete from pay_ready.landing_batches where batch_id = %s", (childless["batch_id"],))
        finally:
            writer.rollback()
            remover.rollback()
            enter(writer, filled.world.first)
            writer.execute("delete from pay_ready.landing_batches where batch_id = %s", (childless["batch_id"],))
            writer.commit()
