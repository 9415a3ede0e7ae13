"""Timelines out of the database: pages of any size under any filter, whoever is asked about, beside a tenant with the same rows."""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, LiteralString
from uuid import UUID

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pay_ready.agent.toolbox import Toolbox
from pay_ready.db.tenancy import Database, PoolOptions
from pay_ready.errors import CursorError, UsageError
from pay_ready.model.ids import TenantId
from pay_ready.model.talk import MOST_NAMES, Scope
from tests.conftest import Scratch, Server, cloned, make_tenant
from tests.timeline_support import SOURCES, company_id, fill_timeline, person_id, tools_of

COUNT, OF_COMPANY = 600, 120
BEGAN = datetime(2024, 1, 1, tzinfo=UTC)
TIES = 7  # moments at which all of it happened


@dataclass(frozen=True)
class World:
    """A tenant, and another with as many rows."""

    scratch: Scratch
    database: Database
    tenant: TenantId
    other: TenantId

    @property
    def tools(self) -> Toolbox:
        """Of the first."""
        return tools_of(self.database, self.tenant)


@pytest.fixture(scope="module")
def world(server: Server, template: str) -> Iterator[World]:
    """Two tenants whose interactions all happened at one of few moments."""
    with ExitStack() as stack:
        scratch = stack.enter_context(cloned(server, template))
        database = Database(scratch.app_url, PoolOptions())
        database.open()
        stack.callback(database.close)
        tenants = [make_tenant(database, slug) for slug in ("ours", "theirs")]
        for tenant in tenants:
            fill_timeline(scratch.admin_url, tenant, COUNT, of_company=OF_COMPANY)
        with psycopg.connect(scratch.admin_url) as admin:
            admin.execute("set session_replication_role = replica")
            for table in ("interaction_entities", "interaction_records"):
                admin.execute(
                    f"update pay_ready.{table} set occurred_at = %s::timestamptz + abs(hashtext(interaction_id::text)) %% %s"  # type: ignore[arg-type]
                    " * interval '1 hour'",
                    (BEGAN, TIES),
                )
        yield World(scratch, database, *tenants)


NOBODY = UUID(int=1)
ASKED = st.lists(st.sampled_from([("company", 1), ("company", 2), ("person", 3), ("person", 61), ("nobody", 0)]), min_size=1, max_size=4)
KINDS = st.lists(st.sampled_from(["call", "email", "message", "deal"]), max_size=2).map(tuple)
MOMENTS = st.none() | st.integers(-1, TIES).map(lambda hours: BEGAN + timedelta(hours=hours))
ORACLE = """
select distinct records.occurred_at, records.interaction_id
from pay_ready.interaction_entities as links
join pay_ready.interaction_records as records
    on records.tenant_id = links.tenant_id and records.interaction_id = links.interaction_id and records.is_primary
join pay_ready.data_sources as sources on sources.tenant_id = records.tenant_id and sources.source_id = records.source_id
where links.tenant_id = %(tenant)s and links.closed_run_no is null and links.entity_id = any(%(ids)s)
  and (%(with_ids)s::uuid[] = '{}' or records.interaction_id in (
      select interaction_id from pay_ready.interaction_entities where tenant_id = %(tenant)s and entity_id = any(%(with_ids)s)))
  and (%(sources)s::text[] = '{}' or sources.name = any(%(sources)s))
  and (%(kinds)s::text[] = '{}' or records.interaction_type = any(%(kinds)s))
  and (%(languages)s::text[] = '{}' or records.interaction_id in (
      select interaction_id from pay_ready.memories where tenant_id = %(tenant)s and language = any(%(languages)s)))
  and records.occurred_at >= coalesce(%(since)s::timestamptz, '-infinity')
  and records.occurred_at < coalesce(%(until)s::timestamptz, 'infinity')
order by 1 desc, 2 desc
"""


def ids_of(tenant: TenantId, names: list[tuple[str, int]]) -> tuple[UUID, ...]:
    """Of people and companies by number."""
    make = {"company": company_id, "person": person_id, "nobody": lambda _, __: NOBODY}
    return tuple(make[kind](tenant, number) for kind, number in names)


def expected(world: World, scope: Scope) -> list[tuple[datetime, UUID]]:
    """The same by a statement of the plainest kind."""
    asked: dict[str, Any] = {
        "tenant": world.tenant, "ids": list(scope.entity_ids), "with_ids": list(scope.with_ids), "sources": list(scope.sources),
        "kinds": list(scope.interaction_types), "languages": list(scope.languages), "since": scope.since, "until": scope.until,
    }  # fmt: skip
    with psycopg.connect(world.scratch.admin_url) as admin:
        return admin.execute(ORACLE, asked).fetchall()


def change(world: World, statement: LiteralString, interaction_id: UUID) -> None:
    """Change an interaction of the tenant, foreign keys aside."""
    with psycopg.connect(world.scratch.admin_url) as admin:
        admin.execute("set session_replication_role = replica")
        admin.execute(statement, (world.tenant, interaction_id))


def paged(tools: Toolbox, scope: Scope, size: int) -> list[tuple[datetime, UUID]]:
    """Page after page to the end; each but the last is full."""
    found: list[tuple[datetime, UUID]] = []
    token = None
    while True:
        page = tools.timeline(scope, token=token, size=size).page
        found += [(line.occurred_at, line.interaction_id) for line in page.lines]
        if page.next_token is None:
            return found
        assert len(page.lines) == size
        token = page.next_token


@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    asked=ASKED, size=st.integers(1, 60), with_names=st.lists(st.sampled_from([("person", 3), ("person", 62)]), max_size=2),
    kinds=KINDS, sources=st.lists(st.sampled_from(SOURCES), max_size=2).map(tuple), languages=st.sampled_from([(), ("de",), ("xx",)]),
    since=MOMENTS, until=MOMENTS,
)  # fmt: skip
def test_pages_neither_skip_nor_repeat(
    world: World, asked: list[tuple[str, int]], size: int, with_names: list[tuple[str, int]], kinds: tuple[str, ...],
    sources: tuple[str, ...], languages: tuple[str, ...], since: datetime | None, until: datetime | None,
) -> None:  # fmt: skip
    """Of any size, under any filters, however many happened at one moment: what the plainest statement gives, in its order."""
    scope = Scope(
        entity_ids=ids_of(world.tenant, asked), with_ids=ids_of(world.tenant, with_names), since=since, until=until, sources=sources,
        interaction_types=kinds, languages=languages,
    )  # fmt: skip
    wanted = expected(world, scope)
    assert paged(world.tools, scope, max(size, len(wanted) // 8)) == wanted
    with world.tools.whole_timeline(scope) as (total, lines):
        assert [(line.occurred_at, line.interaction_id) for line in lines] == wanted
    assert total == len(wanted)


def test_one_statement_reads_a_page(world: World) -> None:
    """Whatever is on it: names, first words, mark and source come with it."""
    page = world.tools.timeline(Scope(entity_ids=(company_id(world.tenant),)), size=100).page
    assert {line.mark for line in page.lines} == {"+", "·", "-", ""}
    assert {line.source for line in page.lines} == set(SOURCES)
    assert all(2 <= len(line.participants) <= 3 and line.participants[0].startswith("Person ") for line in page.lines)
    titles = {line.title.rstrip("0123456789") for line in page.lines if line.interaction_type == "call"}
    assert all(line.title for line in page.lines)
    assert any(title.startswith("So how is the pallet") for title in titles), "what is spoken first stands for a call without a subject"


def test_hundreds_of_participants_are_counted(world: World) -> None:
    """The first are named, in the order in which they were given, the others are a number; of their long names the beginning is shown."""
    (line,) = world.tools.timeline(Scope(entity_ids=(company_id(world.tenant, 2),)), size=1).page.lines
    crowd: LiteralString = """
        insert into pay_ready.interaction_participants (tenant_id, record_id, participant_no, source_id, interaction_id, role, full_name,
            person_record_id)
        select tenant_id, record_id, n, source_id, interaction_id, 'attendee', repeat('Ж', 300) || n, md5('x' || n)::uuid
        from pay_ready.interaction_records, generate_series(100, 699) as n
        where tenant_id = %s and interaction_id = %s
    """
    change(world, crowd, line.interaction_id)
    (again,) = world.tools.timeline(Scope(entity_ids=(company_id(world.tenant, 2),)), size=1).page.lines
    assert again.participants[: len(line.participants)] == line.participants
    assert len(again.participants) == MOST_NAMES
    assert again.more_participants == len(line.participants) + 600 - MOST_NAMES
    assert max(map(len, again.participants)) == 60
    assert len(", ".join(again.who(4))) < 300


def test_what_is_gone_ends_no_page(world: World) -> None:
    """Until the next publish a link may lead to nothing: the lines behind it are still there."""
    scope = Scope(entity_ids=(person_id(world.tenant, 7),))
    before = expected(world, scope)
    change(world, "delete from pay_ready.interaction_records where tenant_id = %s and interaction_id = %s", before[0][1])
    assert paged(world.tools, scope, 1) == before[1:]


def test_another_tenants_ids_and_tokens_show_nothing(world: World) -> None:
    """Its people are nobody here, and its places are refused, even where the question is the same to the letter."""
    ours, theirs = world.tools, tools_of(world.database, world.other, key=b"the key of the other")
    assert ours.timeline(Scope(entity_ids=(company_id(world.other),))).page.lines == ()
    with ours.whole_timeline(Scope(entity_ids=(company_id(world.other),))) as (total, lines):
        assert (total, list(lines)) == (0, [])
    scope = Scope(entity_ids=(company_id(world.other),))
    token = theirs.timeline(scope, size=5).page.next_token
    assert token is not None
    with pytest.raises(CursorError):
        ours.timeline(scope, token=token, size=5)
    with_the_same_key = tools_of(world.database, world.tenant, key=b"the key of the other")
    assert with_the_same_key.timeline(scope, token=token, size=5).page.lines == (), "a place is no right"
    with_them = Scope(entity_ids=(company_id(world.tenant),), with_ids=(person_id(world.other, 3),))
    assert ours.timeline(with_them).page.lines == ()


def test_nobody_has_no_timeline(world: World) -> None:
    """A question without people or companies is refused, by the page and as a whole."""
    with pytest.raises(UsageError, match="name a person or a company"):
        world.tools.timeline(Scope())
    with pytest.raises(UsageError, match="name a person or a company"), world.tools.whole_timeline(Scope()):
        pass


def test_who_read_a_whole_timeline_is_in_the_audit_once(world: World) -> None:
    """However many pages it took."""
    with psycopg.connect(world.scratch.admin_url) as admin:
        count = "select count(*) from pay_ready.audit_events where tenant_id = %s and action = 'timeline.asked' and subject_id = %s"
        company = company_id(world.tenant)
        (before,) = admin.execute(count, (world.tenant, str(company))).fetchone() or (0,)
        with world.tools.whole_timeline(Scope(entity_ids=(company,))) as (_, lines):
            assert sum(1 for _ in lines) == OF_COMPANY
        (after,) = admin.execute(count, (world.tenant, str(company))).fetchone() or (0,)
    assert after == before + 1
