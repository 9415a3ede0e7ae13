"""A tenant with many interactions, of which one company has a known share: written as staging, publishing and indexing would leave them."""

import hashlib
from uuid import UUID

import psycopg
import pytest

from pay_ready.agent.coaching.report import CoachingRules
from pay_ready.agent.toolbox import Toolbox, ToolOptions
from pay_ready.db.tenancy import Database
from pay_ready.model.ids import TenantId

SOURCES = ("hubspot", "gong", "slack", "salesforce")
COMPANIES = 500
_STAFF, _CONTACTS = 50, 10  # our people; people of a company

# Interaction n is with company 1 where n is a multiple of `every`. A quarter is known by its day alone: ties are common in a CRM.
_TALKS = """
create temporary table talks on commit drop as
select
    n, md5(%(tenant)s || 'i' || n)::uuid as interaction_id, md5(%(tenant)s || 'r' || n)::uuid as record_id,
    md5(%(tenant)s || 'source' || (hashint4(n) & 3))::uuid as source_id,
    (array['call', 'meeting', 'email', 'message', 'note', 'task', 'case', 'deal'])[1 + (hashint4(n) >> 2 & 7)] as interaction_type,
    case
        when hashint4(n) >> 5 & 3 = 0 then date_trunc('day', '2024-01-01'::timestamptz + n * interval '5 minutes', 'UTC')
        else '2024-01-01'::timestamptz + n * interval '5 minutes'
    end as occurred_at,
    case when n %% %(every)s = 0 then 1 else 2 + (hashint4(n) >> 7 & 1023) %% %(companies)s end as company
from generate_series(1, %(count)s) as n;
analyze talks
"""
_ROWS = """
insert into pay_ready.data_sources (tenant_id, source_id, name, kind, ingest_mode, connector, config)
select %(tenant)s::uuid, md5(%(tenant)s || 'source' || place - 1)::uuid, name, name, 'replay', 'replay', '{"schema_version": 1}'
from unnest(%(sources)s::text[]) with ordinality as named (name, place);
insert into pay_ready.interaction_records (tenant_id, record_id, source_id, stream, record_key, interaction_id, is_primary,
    interaction_type, external_id, occurred_at, subject, body, thread_id, metadata, content_hash, contract_version)
select %(tenant)s::uuid, record_id, source_id, 'talks', n::text, interaction_id, true, interaction_type, n::text, occurred_at,
    case when n %% 3 > 0 then 'Re: shipment ' || n || ' of the new scanners' end,
    case when interaction_type <> 'call' then 'Hello. ' || repeat('The pallet ' || n || ' is waiting in hall two. ', 10) end,
    't' || n / 4, '{"schema_version": 1, "values": {}}', sha256(n::text::bytea), '1'
from talks;
insert into pay_ready.interaction_turns (tenant_id, record_id, turn_no, source_id, interaction_id, speaker_key, spoken_text)
select %(tenant)s::uuid, record_id, turn_no, source_id, interaction_id, 'a', 'So how is the pallet ' || n || ' of hall two?'
from talks cross join generate_series(0, 2) as turn_no where interaction_type = 'call';
create temporary table taking_part on commit drop as
select
    talks.*, participant_no,
    case participant_no
        when 0 then 1 + (hashint4(n) >> 9 & 1023) %% %(staff)s
        else %(staff)s + company * %(contacts)s + ((hashint4(n) & 255) + participant_no) %% %(contacts)s
    end as person
from talks cross join generate_series(0, 2) as participant_no where participant_no < 2 + n %% 2;
create temporary table persons on commit drop as select distinct person from taking_part;
insert into pay_ready.interaction_participants (tenant_id, record_id, participant_no, source_id, interaction_id, role, side, full_name,
    person_record_id, seen_at)
select %(tenant)s::uuid, record_id, participant_no, source_id, interaction_id, case participant_no when 0 then 'host' else 'attendee' end,
    case participant_no when 0 then 'internal' else 'external' end, 'Person ' || person, md5(%(tenant)s || 'p' || person)::uuid, occurred_at
from taking_part;
insert into pay_ready.person_records (tenant_id, record_id, source_id, record_reference, origin, full_name, side, attributes, content_hash)
select %(tenant)s::uuid, md5(%(tenant)s || 'p' || person)::uuid, md5(%(tenant)s || 'source0')::uuid, 'id:' || person, 'mentioned',
    'Person ' || person, case when person <= %(staff)s then 'internal' else 'external' end, '{"schema_version": 1}', sha256('')
from persons;
insert into pay_ready.assignments (tenant_id, entity_type, record_id, opened_run_no, entity_id, confidence)
select %(tenant)s::uuid, 'person', md5(%(tenant)s || 'p' || person)::uuid, 1, md5(%(tenant)s || 'person' || person)::uuid, 1
from persons;
create temporary table named on commit drop as
select 'person' as entity_type, person as k from persons union all select 'company', generate_series(1, %(companies)s + 1);
insert into pay_ready.entities (tenant_id, entity_id, entity_type, anchor_record_id, minted_run_no)
select %(tenant)s::uuid, md5(%(tenant)s || entity_type || k)::uuid, entity_type, md5(%(tenant)s || 'p' || k)::uuid, 1 from named;
insert into pay_ready.entity_versions (tenant_id, entity_id, opened_run_no, entity_type, name, record_count, golden, provenance,
    content_hash)
select %(tenant)s::uuid, md5(%(tenant)s || entity_type || k)::uuid, 1, entity_type, initcap(entity_type) || ' ' || k, 1,
    '{"schema_version": 1}', '{"schema_version": 1}', sha256('') from named;
insert into pay_ready.interaction_entities (tenant_id, interaction_id, entity_id, opened_run_no, entity_type, is_primary, occurred_at)
select %(tenant)s::uuid, interaction_id, md5(%(tenant)s || 'company' || company)::uuid, 1, 'company', true, occurred_at from talks
union all
select %(tenant)s::uuid, interaction_id, md5(%(tenant)s || 'person' || person)::uuid, 1, 'person', participant_no = 1, occurred_at
from taking_part;
insert into pay_ready.memories (tenant_id, memory_id, interaction_id, chunk_no, chunk_text, language, content_hash, occurred_at,
    source_id, interaction_type)
select %(tenant)s::uuid, md5(%(tenant)s || 'm' || n)::uuid, interaction_id, 0, 'pallet', case when n %% 40 = 0 then 'de' else 'en' end,
    sha256(''), occurred_at, source_id, interaction_type
from talks;
insert into pay_ready.interaction_sentiment (tenant_id, interaction_id, turn_no, sentiment, model_name, content_hash)
select %(tenant)s::uuid, interaction_id, -1, n %% 21 / 10.0 - 1, 'vader', sha256('') from talks where n %% 2 = 0
"""


def company_id(tenant: TenantId, number: int = 1) -> UUID:
    """Of a company; number 1 is the one with the known share."""
    return _md5(f"{tenant}company{number}")


def person_id(tenant: TenantId, number: int) -> UUID:
    """Of a person; from 1 to 50 our own."""
    return _md5(f"{tenant}person{number}")


def fill_timeline(admin_url: str, tenant: TenantId, count: int, *, of_company: int) -> None:
    """So many interactions of a tenant, of which company 1 has `of_company`; two or three people in each."""
    asked = {
        "tenant": str(tenant), "count": count, "every": count // of_company, "companies": COMPANIES, "staff": _STAFF,
        "contacts": _CONTACTS, "sources": list(SOURCES),
    }  # fmt: skip
    with psycopg.connect(admin_url, cursor_factory=psycopg.ClientCursor) as admin:
        admin.execute("set session_replication_role = replica")  # foreign keys would ask for landed rows
        admin.execute(_TALKS, asked)
        for statement in _ROWS.split(";"):
            admin.execute(statement, asked)  # type: ignore[arg-type]
    with psycopg.connect(admin_url, autocommit=True) as admin:
        admin.execute("vacuum analyze")


def tools_of(database: Database, tenant: TenantId, *, key: bytes = b"the key of one tenant") -> Toolbox:
    """The tools of a tenant, without memory."""
    return Toolbox(
        database, tenant, lambda: pytest.fail("a timeline needs no memory"), options=ToolOptions(page_key=key), actor="tests",
        coaching_rules=CoachingRules,
    )  # fmt: skip


def _md5(text: str) -> UUID:
    return UUID(hashlib.md5(text.encode(), usedforsecurity=False).hexdigest())
