"""Models: trained once, kept by hash, used again, and trained anew by a run of its own; at one model the order of arrival is nothing."""

import os
import random
from collections.abc import Sequence
from dataclasses import replace

import pytest

from pay_ready.db import resolution as db_resolution
from pay_ready.db.tenancy import Database
from pay_ready.errors import ConflictError
from pay_ready.model.ids import RunId, TenantId, new_id
from pay_ready.pipeline.explain import explain_entity, explain_pair
from pay_ready.pipeline.preview import preview
from pay_ready.pipeline.resolve import resolve_tenant
from tests.conftest import Scratch
from tests.linkage_support import people_table
from tests.publish_support import SOURCES, PersonRow, Staged, config, history, person_id, published, resolve, rows, stage

RUNS = "select run_no, kind, report->'reasons' from pay_ready.resolution_runs where tenant_id = %(tenant)s order by run_no"
MODELS = "select entity_type, version, trained_records from pay_ready.resolution_models where tenant_id = %(tenant)s order by 1, 2"


def people_of(count: int, seed: int = 5) -> list[PersonRow]:
    """Records of `count` people with slips and gaps."""
    return [
        PersonRow(
            source=SOURCES[number % len(SOURCES)], key=f"id:{number}", full_name=row["full_name"], email=row["email"],
            phone=f"+1{row['phone']}" if row["phone"] else None, city=row["city"],
        )
        for number, row in enumerate(people_table(count, seed).to_pylist())
    ]  # fmt: skip


def clusters(admin_url: str, tenant: TenantId) -> set[frozenset[object]]:
    """The published groups of records."""
    query = (
        "select array_agg(record_id) from pay_ready.assignments where tenant_id = %(tenant)s and closed_run_no is null group by entity_id"
    )
    return {frozenset(members) for (members,) in rows(admin_url, tenant, query)}  # type: ignore[arg-type]


def test_a_model_is_trained_once_and_used_again(database: Database, scratch: Scratch, tenant: TenantId) -> None:
    """The first load trains; a later increment uses what was trained, and stores no other."""
    people = people_of(150)
    stage(scratch.admin_url, tenant, Staged(people=people[:-9]))
    assert resolve(database, tenant).trained_because == ("the first load",)
    before = rows(scratch.admin_url, tenant, MODELS)
    stage(scratch.admin_url, tenant, Staged(people=people))
    report = resolve(database, tenant)
    assert (report.kind, report.refreshed) == ("resolve", None)
    assert rows(scratch.admin_url, tenant, MODELS) == before == [("company", 1, 0), ("person", 1, len(people) - 9)]
    with database.tenant_transaction(tenant) as tx:
        models = db_resolution.current_models(tx)
    assert all(db_resolution.model_id_of(model) == model_id for model_id, model in models.values())
    # Values are in it as hashes alone.
    stored = rows(scratch.admin_url, tenant, "select keys, counts from pay_ready.resolution_model_counts where tenant_id = %(tenant)s")
    assert not any(people[0].full_name.encode() in bytes(part) for row in stored for part in row)  # type: ignore[union-attr, call-overload]


def test_changed_settings_train_anew_by_a_run_of_their_own(database: Database, scratch: Scratch, tenant: TenantId) -> None:
    """Another threshold is another model: a refresh, with its reason, and changes in the feed."""
    stage(scratch.admin_url, tenant, Staged(people=people_of(60)))
    resolve(database, tenant)
    report = resolve(database, tenant, config(name_threshold=97))
    assert (report.kind, report.trained_because) == ("refresh", ("the settings changed",))
    assert [row[:2] for row in rows(scratch.admin_url, tenant, RUNS)] == [(1, "resolve"), (2, "refresh")]
    assert resolve(database, tenant, config(name_threshold=97)).run_no is None


def test_drift_trains_anew_after_the_increment(database: Database, scratch: Scratch, tenant: TenantId) -> None:
    """Ten times the records: first the increment under the old model, then the refresh; by hand alone where that is configured."""
    people = people_of(540)
    assert len(people) > 1_100
    stage(scratch.admin_url, tenant, Staged(people=people[:100]))
    resolve(database, tenant)
    stage(scratch.admin_url, tenant, Staged(people=people))
    by_hand = replace(config(), refresh="by_hand")
    kept = resolve(database, tenant, by_hand)
    assert (kept.kind, kept.refreshed) == ("resolve", None)
    assert any("trained on 100" in each for each in kept.drift)
    report = resolve(database, tenant)
    assert report.run_no is None
    assert report.refreshed is not None
    assert (report.refreshed.kind, report.refreshed.run_no) == ("refresh", 3)
    assert any("trained on 100" in each for each in report.refreshed.trained_because)
    assert resolve(database, tenant).refreshed is None


def test_a_refresh_by_hand_is_a_run_even_if_nobody_moves(database: Database, scratch: Scratch, tenant: TenantId) -> None:
    """New models are published though every record stays where it is; trained on the same records they are the same, and no run."""
    people = people_of(80)
    stage(scratch.admin_url, tenant, Staged(people=people[:-1]))
    resolve(database, tenant)
    lonely = PersonRow(source="slack", key="id:x", full_name="Zebedee Quimby")
    stage(scratch.admin_url, tenant, Staged(people=[*people[:-1], lonely]))
    resolve(database, tenant)
    before = published(scratch.admin_url, tenant)
    done = resolve_tenant(database, tenant, config(), actor="tests", run_id=RunId(new_id()), refresh=True)
    assert (done.kind, done.run_no) == ("refresh", 3)
    assert [line for line in published(scratch.admin_url, tenant) if not line.startswith("assignments")] == [
        line for line in before if not line.startswith("assignments")
    ]
    again = resolve_tenant(database, tenant, config(), actor="tests", run_id=RunId(new_id()), refresh=True)
    assert again.run_no is None


@pytest.mark.skipif(not os.environ.get("PAY_READY_TEST_DEEP"), reason="make test-deep; of increments test_increments.py says the same")
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_at_one_model_the_order_of_arrival_is_nothing(database: Database, scratch: Scratch, tenant: TenantId, seed: int) -> None:
    """One load, and ten shuffled increments that resend what was there: the same clusters, and every id resolves to its anchor's."""
    people = people_of(250, seed)
    trained, by_hand = people[:200], replace(config(), refresh="by_hand")
    stage(scratch.admin_url, tenant, Staged(people=trained))
    resolve(database, tenant, by_hand)
    stage(scratch.admin_url, tenant, Staged(people=people))
    resolve(database, tenant, by_hand)
    at_once = clusters(scratch.admin_url, tenant)
    stage(scratch.admin_url, tenant, Staged(people=trained))
    resolve(database, tenant, by_hand)
    shuffled = people[200:]
    random.Random(seed).shuffle(shuffled)
    for end in range(0, len(shuffled) + 1, max(len(shuffled) // 10, 1)):
        increment = [*trained, *shuffled[:end]]
        random.Random(end).shuffle(increment)
        stage(scratch.admin_url, tenant, Staged(people=increment))
        resolve(database, tenant, by_hand)
    stage(scratch.admin_url, tenant, Staged(people=people))
    resolve(database, tenant, by_hand)
    assert clusters(scratch.admin_url, tenant) == at_once
    astray = (
        "select count(*) from pay_ready.entities as given join pay_ready.assignments as now on now.tenant_id = given.tenant_id and"
        " now.record_id = given.anchor_record_id and now.closed_run_no is null left join pay_ready.entity_redirects as leads on"
        " leads.tenant_id = given.tenant_id and leads.entity_id = given.entity_id and leads.closed_run_no is null"
        " where given.tenant_id = %(tenant)s and now.entity_id <> coalesce(leads.target_entity_id, given.entity_id)"
    )
    assert rows(scratch.admin_url, tenant, astray) == [(0,)]


def test_a_preview_tells_what_the_run_does(database: Database, scratch: Scratch, tenant: TenantId) -> None:
    """What a dry run says of a configuration is what publishing it does; the dry run leaves every table as it was."""
    stage(scratch.admin_url, tenant, Staged(people=people_of(120)))
    resolve(database, tenant)
    stricter = config(name_threshold=99)
    before = history(scratch.admin_url, tenant), rows(scratch.admin_url, tenant, MODELS)
    told = preview(database, tenant, stricter)
    assert (history(scratch.admin_url, tenant), rows(scratch.admin_url, tenant, MODELS)) == before
    done = resolve(database, tenant, stricter)
    assert told.people.changes == done.people.changes != {}
    assert (told.people.entities_then, told.kind) == (done.people.entities, done.kind)
    assert told.people.predicted_precision_then == done.people.predicted_precision


def entities_of(admin_url: str, tenant: TenantId, people: Sequence[PersonRow]) -> list[object]:
    """The published entity of each person."""
    query = "select record_id, entity_id from pay_ready.assignments where tenant_id = %(tenant)s and closed_run_no is null"
    found = dict(rows(admin_url, tenant, query))
    return [found.get(person_id(tenant, each.source, each.key)) for each in people]


def test_a_bridge_is_the_path_between_two_that_have_nothing_in_common(database: Database, scratch: Scratch, tenant: TenantId) -> None:
    """Two records held together by a third: the explanation says so and shows the links; apart again, the merge is in the history."""
    bridge = PersonRow(source="hubspot", key="id:b", full_name="Ann Lindqvist", email="ann.lindqvist@globex.com", phone="+12065550100")
    ends = (replace(bridge, source="gong", key="id:1", phone=None), replace(bridge, source="slack", key="id:2", email=None))
    stage(scratch.admin_url, tenant, Staged(people=ends))
    resolve(database, tenant)
    apart = explain_pair(database, tenant, config(), *(person_id(tenant, each.source, each.key) for each in ends))
    assert (apart.together, apart.verdict, apart.path) == (False, "review" if apart.total_bits >= apart.review_bits else "no match", ())
    stage(scratch.admin_url, tenant, Staged(people=(*ends, bridge)))
    resolve(database, tenant)
    assert len(set(entities_of(scratch.admin_url, tenant, (*ends, bridge)))) == 1
    ids = [person_id(tenant, each.source, each.key) for each in ends]
    found = explain_pair(database, tenant, config(), *ids)
    assert found.together
    assert "they are together by way of other records" in found.remarks
    assert [found.path[0].left.record_id, found.path[0].right.record_id, found.path[1].left.record_id, found.path[1].right.record_id].count(
        person_id(tenant, bridge.source, bridge.key)
    ) == 2
    (entity,) = set(entities_of(scratch.admin_url, tenant, ends))
    told = explain_entity(database, tenant, config(), entity)  # type: ignore[arg-type]
    assert "merged" in [each.change for each in told.history]
    with pytest.raises(ConflictError, match="not of these settings"):
        explain_pair(database, tenant, config(name_threshold=90), *ids)
