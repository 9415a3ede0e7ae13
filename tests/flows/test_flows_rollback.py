"""A rollback waits for somebody's word, in Prefect as on the command line; who said what is kept in our audit, and not in Prefect."""

import sqlite3
import threading
import uuid
from collections.abc import Callable, Mapping
from contextlib import closing
from functools import partial

import pytest

from tests.flows.conftest import Ended, World
from tests.prefect_support import Prefect, wait_for

pytestmark = pytest.mark.prefect_server
Run = Callable[..., Ended]
REASON = "a merge of two branches that nobody wanted"


@pytest.fixture
def two_versions(world: World) -> World:
    """A tenant with two published versions; its name tells its runs from those of tests beside this one."""
    world.slug = f"acme-{uuid.uuid4().hex[:8]}"
    world.tenant(world.slug)
    world.command("run", "etl", "-t", world.slug)
    world.contacts(25, tenant=world.slug, revision=1)
    world.command("run", "etl", "-t", world.slug)
    return world


def answered(prefect: Prefect, world: World, run_flow: Run, word: Mapping[str, object]) -> Ended:
    """A rollback that ann asks for, and what somebody says to it from outside."""
    asked = {"tenant": world.slug, "checkpoint": "before-run-2", "requested_by": "ann"}
    found: list[Ended] = []
    thread = threading.Thread(target=lambda: found.append(run_flow("rollback", asked)))
    thread.start()
    named = {"flow_runs": {"name": {"any_": [f"rollback {world.slug} to before-run-2"]}, "state": {"name": {"any_": ["Paused"]}}}}
    waiting: list[dict[str, object]] = []
    wait_for(lambda: bool(waiting.extend(prefect.api("POST", "/flow_runs/filter", named)) or waiting), "it waits", 90)
    resume = partial(prefect.api, "POST", f"/flow_runs/{waiting[0]['id']}/resume", {"run_input": word})
    # It is paused a moment before it knows what it may be told.
    wait_for(lambda: resume()["status"] == "ACCEPT", "it is resumed")
    thread.join(120)
    return found[0]


def audited(world: World) -> list[tuple[str, str, str | None]]:
    """Who did what with rollbacks, and why."""
    statement = "select actor, action, reason from pay_ready.audit_events where action ~ '^(rollback|resolution.rolled)' order by seq"
    return [(row[0], row[1], row[2]) for row in world.rows(statement)]


def test_it_waits_is_approved_and_done(prefect: Prefect, run_flow: Run, two_versions: World) -> None:
    """The preview is shown, somebody else says yes, the state is that of the checkpoint; what was typed is gone from Prefect."""
    done = answered(prefect, two_versions, run_flow, {"approve": True, "who": "bob", "reason": REASON})
    assert (done.name, done.summary["published_run"]) == ("Completed", 3)
    kept = prefect.artifacts(done.run_id)
    assert "state of run 1; published now is run 2" in kept[f"rollback-{two_versions.slug}"]
    assert "Somebody else" in kept[f"rollback-{two_versions.slug}"]
    assert "published as run 3" in kept[f"rollback-{two_versions.slug}-done"]
    assert audited(two_versions) == [
        ("ann", "rollback.requested", None), ("bob", "rollback.approved", REASON), ("bob", "resolution.rolled_back", None),
    ]  # fmt: skip
    assert two_versions.rows("select status, run_no, decided_by from pay_ready.rollback_requests") == [("done", 3, "bob")]
    with closing(sqlite3.connect(prefect.home / "prefect.db")) as database:
        assert REASON not in "\n".join(database.iterdump())


def test_who_asked_may_not_approve_and_no_is_no(prefect: Prefect, run_flow: Run, two_versions: World) -> None:
    """Four eyes are two people: the run fails and nothing changed; refused, it ends, and nothing changed."""
    alone = answered(prefect, two_versions, run_flow, {"approve": True, "who": "ann", "reason": ""})
    assert (alone.type, "takes two" in alone.message) == ("FAILED", True)
    no = answered(prefect, two_versions, run_flow, {"approve": False, "who": "bob", "reason": REASON})
    assert (no.type, no.name) == ("COMPLETED", "Refused")
    assert two_versions.rows("select max(run_no) from pay_ready.resolution_runs")[0][0] == 2
