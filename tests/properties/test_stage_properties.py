"""Whatever the order in which records arrive and are staged, the staged rows are those of one load."""

import os
import random
from collections.abc import Iterator

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pay_ready.db.tenancy import Database
from pay_ready.model.ids import RunId, TenantId, new_id
from pay_ready.pipeline.mapping.rules import SourceMapping
from pay_ready.pipeline.stage import check_equations, stage_source
from tests.conftest import Scratch
from tests.staging_support import CONTEXT, Desk, Version, desk_mapping, dump, make_desk

EXAMPLES = int(os.environ.get("PAY_READY_STAGE_EXAMPLES", "6"))

# All others that hold rows of a run refer to these.
LANDED = "sync_runs, landing_batches, landed_records, person_records, company_records"

# Few keys and few values: what meets often is what goes wrong.
ids = st.sampled_from(["1", "2"])
days = st.integers(1, 5).map(lambda day: f"2026-03-0{day}T10:00:00Z")
names = st.sampled_from(["Ann Lee", "Bob", None])
emails = st.sampled_from(["ann@acme.com", "bob@globex.com", "no address", None])
accounts = st.sampled_from(["a1", "a2", None])
firms = st.sampled_from(["Acme", "Globex", None])

accounts_data = st.fixed_dictionaries({
    "id": st.sampled_from(["a1", "a2"]), "name": firms, "site": st.sampled_from(["acme.com", "globex.com", None]), "at": st.none() | days,
    "tier": st.sampled_from([None, 1, "gold"]),
})  # fmt: skip
users_data = st.fixed_dictionaries({
    "id": ids, "name": names, "email": emails, "title": st.sampled_from(["CEO", None]), "at": st.none() | days, "account": accounts,
    "account_name": firms,
})  # fmt: skip
appearance = st.fixed_dictionaries({
    "user": st.none() | ids, "name": names, "email": emails, "title": st.sampled_from(["CTO", None]), "firm": firms,
    "speaker": st.sampled_from(["s1", "s2", None]),
})  # fmt: skip
calls_data = st.fixed_dictionaries({
    "id": ids, "at": days | st.just("not a time"), "subject": st.sampled_from(["Renewal", None]), "who": st.lists(appearance, max_size=3),
    "about": st.lists(st.fixed_dictionaries({"account": accounts, "name": firms}), max_size=2),
})  # fmt: skip
seconds = st.integers(0, 9)
turn = st.fixed_dictionaries({
    "speaker": st.sampled_from(["s1", "s2"]), "text": st.sampled_from(["Hello", "Bye"]), "start": seconds, "end": seconds,
})  # fmt: skip
transcripts_data = st.fixed_dictionaries({
    "call": ids, "at": st.none() | days, "turns": st.lists(turn, max_size=2),
})  # fmt: skip
STREAMS = {
    "accounts": accounts_data, "users": users_data, "people_export": users_data, "calls": calls_data, "transcripts": transcripts_data,
    "rooms": st.fixed_dictionaries({"id": ids}),
}  # fmt: skip


@st.composite
def histories(draw: st.DrawFn) -> list[Version]:
    """Versions of a few records, their order in the source given by `at`."""
    versions: list[Version] = []
    for at in range(1, draw(st.integers(3, 16)) + 1):
        stream = draw(st.sampled_from(sorted(STREAMS)))
        data = None if draw(st.integers(0, 5)) == 0 else draw(STREAMS[stream])
        versions.append(Version(stream, draw(st.sampled_from(["k1", "k2"])), at, data))
    return versions


def newest(versions: list[Version]) -> list[Version]:
    """The version of each record that stands in the end, if any."""
    last = {(version.stream, version.key): version for version in sorted(versions, key=lambda version: version.at)}
    return [version for version in last.values() if version.data is not None]


@pytest.fixture(scope="module")
def mapping(tmp_path_factory: pytest.TempPathFactory) -> SourceMapping:
    """The small source's mapping."""
    return desk_mapping(tmp_path_factory.mktemp("desk"), name_required=True)


@pytest.fixture
def desk(database: Database, tenant: TenantId) -> Iterator[Desk]:
    """A source of one tenant."""
    return make_desk(database, tenant)


def stage(desk: Desk, mapping: SourceMapping, batch_size: int = 2_000) -> None:
    """Stage what waits."""
    stage_source(desk.database, desk.tenant, desk.source, mapping, CONTEXT, run_id=RunId(new_id()), batch_size=batch_size)


def wipe(admin_url: str) -> None:
    """Empty everything landed and staged."""
    with psycopg.connect(admin_url, autocommit=True) as admin:
        admin.execute(f"truncate {', '.join('pay_ready.' + name.strip() for name in LANDED.split(','))} cascade")


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(versions=histories(), chance=st.randoms(use_true_random=False))
def test_order_does_not_matter(
    desk: Desk, mapping: SourceMapping, scratch: Scratch, versions: list[Version], chance: random.Random
) -> None:
    """Shuffled, re-sent, split into batches and staged in between: the same staged rows as one load of what stands in the end."""
    wipe(scratch.admin_url)
    sent = versions + [chance.choice(versions) for _ in range(3)]
    chance.shuffle(sent)
    runs = []
    while sent:
        size = chance.randint(1, 6)
        batch, sent = sent[:size], sent[size:]
        runs.append(desk.land(batch))
        if chance.random() < 0.6:
            stage(desk, mapping, batch_size=chance.choice([1, 2, 2_000]))
    stage(desk, mapping)
    found = dump(scratch.admin_url, desk.tenant)
    with desk.database.tenant_transaction(desk.tenant) as tx:
        for run in runs:
            assert all(stream.waiting == 0 for stream in check_equations(tx, run))

    wipe(scratch.admin_url)
    if standing := newest(versions):
        desk.land(standing)
    stage(desk, mapping)
    assert found == dump(scratch.admin_url, desk.tenant)


@pytest.mark.parametrize(
    "content",
    [{"id": "1", "name": "Ann Lee"}, {"__payload__": "no JSON column holds it"}, None],
    ids=["record", "payload", "deleted"],
)
def test_content_that_comes_again_later_is_not_overtaken_from_between(
    desk: Desk, mapping: SourceMapping, scratch: Scratch, content: dict[str, object] | None
) -> None:
    """A, later A again, and then what stood between them: A stands. Nothing of it is landed or staged twice."""
    desk.land([Version("users", "k1", 10, content)])
    stage(desk, mapping)
    found = dump(scratch.admin_url, desk.tenant)
    for at, data in ((15, content), (11, {"id": "1", "name": "Bob"})):
        run = desk.land([Version("users", "k1", at, data)])
        stage(desk, mapping)
    assert dump(scratch.admin_url, desk.tenant) == found
    with desk.database.tenant_transaction(desk.tenant) as tx:
        (counted,) = check_equations(tx, run)
    assert (counted.emitted, counted.superseded, counted.landed) == (1, 1, 0)
