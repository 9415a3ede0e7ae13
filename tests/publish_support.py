"""Staged rows put straight into a tenant's staging tables, and a canonical dump of what is published of them."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from uuid import UUID

import psycopg

from pay_ready.db.tenancy import Database
from pay_ready.model.ids import RunId, TenantId, new_id, stable_id
from pay_ready.model.resolution import Reads, ResolutionConfig, ResolveReport
from pay_ready.pipeline.resolution_config import load_resolution_config
from pay_ready.pipeline.resolve import resolve_tenant
from pay_ready.resources import resource_path

SOURCES = ("gong", "hubspot", "salesforce", "slack")
MOMENT = datetime(2026, 3, 1, 10, tzinfo=UTC)


@dataclass(frozen=True, kw_only=True)
class CompanyRow:
    """A staged company of one source."""

    source: str
    key: str
    name: str | None = None
    domain: str | None = None
    phone: str | None = None
    city: str | None = None
    country: str | None = None
    industry: str | None = None
    updated: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class PersonRow:
    """A staged person of one source; `company` is the key of a company of the same source."""

    source: str
    key: str
    full_name: str | None = None
    email: str | None = None
    phone: str | None = None
    title: str | None = None
    city: str | None = None
    company: str | None = None
    company_domain: str | None = None
    side: str = "unknown"
    updated: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class CallRow:
    """A staged call with the keys of its people, in order; `companies` are those it is about."""

    source: str
    key: str
    people: Sequence[str] = ()
    companies: Sequence[str] = ()
    is_primary: bool = True


@dataclass(frozen=True, kw_only=True)
class Staged:
    """Everything staged of a tenant."""

    companies: Sequence[CompanyRow] = ()
    people: Sequence[PersonRow] = ()
    calls: Sequence[CallRow] = ()


def config(**overrides: object) -> ResolutionConfig:
    """The shipped configuration."""
    return load_resolution_config(resource_path("config", "resolution", "default.toml"), overrides)


def person_id(tenant: TenantId, source: str, key: str) -> UUID:
    """The record id of a staged person."""
    return stable_id("person", str(tenant), source, key)


def company_id(tenant: TenantId, source: str, key: str) -> UUID:
    """The record id of a staged company."""
    return stable_id("company", str(tenant), source, key)


def resolve(database: Database, tenant: TenantId, settings: ResolutionConfig | None = None, reads: Reads = "auto") -> ResolveReport:
    """Resolve and publish what is staged."""
    return resolve_tenant(database, tenant, settings or config(), actor="tests", run_id=RunId(new_id()), reads=reads)


def stage(admin_url: str, tenant: TenantId, staged: Staged) -> None:
    """Make the tenant's staging tables hold exactly these rows, in the order given."""
    with psycopg.connect(admin_url) as admin:
        # Interactions link to landed rows, which these tests have no part in: foreign keys are not looked at here.
        admin.execute("set session_replication_role = replica")
        for table in ("interaction_participants", "interaction_records", "person_records", "company_records", "landed_records"):
            admin.execute(f"delete from pay_ready.{table} where tenant_id = %s", (tenant,))  # type: ignore[arg-type]
        for source in SOURCES:
            admin.execute(
                "insert into pay_ready.data_sources (tenant_id, source_id, name, kind, ingest_mode, connector, config) values"
                " (%s, %s, %s, %s, 'replay', 'replay', '{\"schema_version\": 1}') on conflict do nothing",
                (tenant, stable_id(str(tenant), source), source, source),
            )
        for company in staged.companies:
            _add_company(admin, tenant, company)
        for person in staged.people:
            _add_person(admin, tenant, person)
        for call in staged.calls:
            _add_call(admin, tenant, call, {row.key: row for row in staged.people})


def restage(admin_url: str, tenant: TenantId, before: Staged, after: Staged) -> None:
    """Write only what differs, as staging does; a call is a row of its own with its people."""
    with psycopg.connect(admin_url) as admin:
        admin.execute("set session_replication_role = replica")
        for call in [each for each in before.calls if each not in after.calls]:
            record = stable_id("call", str(tenant), call.source, call.key)
            for table in ("interaction_participants", "interaction_records"):
                admin.execute(f"delete from pay_ready.{table} where tenant_id = %s and record_id = %s", (tenant, record))  # type: ignore[arg-type]
            admin.execute("delete from pay_ready.landed_records where tenant_id = %s and record_key = %s", (tenant, call.key))
        for table, old, new, id_of in (
            ("company_records", before.companies, after.companies, company_id),
            ("person_records", before.people, after.people, person_id),
        ):
            kept = {(each.source, each.key) for each in new} if table == "company_records" else set()
            for row in [each for each in old if each not in new and (each.source, each.key) not in kept]:
                admin.execute(
                    f"delete from pay_ready.{table} where tenant_id = %s and record_id = %s",  # type: ignore[arg-type]
                    (tenant, id_of(tenant, row.source, row.key)),
                )
        known = {(each.source, each.key) for each in before.companies}
        for company in [each for each in after.companies if each not in before.companies]:
            if (company.source, company.key) not in known:
                _add_company(admin, tenant, company)
                continue
            # A company that has employees is never deleted.
            admin.execute(
                "update pay_ready.company_records set (name, domain, phone, city, content_hash) = (%s, %s, %s, %s, %s)"
                " where tenant_id = %s and record_id = %s",
                (company.name, company.domain, company.phone, company.city, _hash(company), tenant,
                 company_id(tenant, company.source, company.key)),
            )  # fmt: skip
        for person in [each for each in after.people if each not in before.people]:
            _add_person(admin, tenant, person)
        for call in [each for each in after.calls if each not in before.calls]:
            _add_call(admin, tenant, call, {row.key: row for row in after.people})


def add_people(admin_url: str, tenant: TenantId, people: Iterable[PersonRow]) -> None:
    """Stage many more people at once."""
    columns = (
        "tenant_id, record_id, source_id, record_reference, origin, full_name, email, email_normalized, phone, title, city, side,"
        " attributes, content_hash"
    )
    with psycopg.connect(admin_url) as admin:
        admin.execute("set session_replication_role = replica")
        with admin.cursor().copy(f"copy pay_ready.person_records ({columns}) from stdin") as copy:  # type: ignore[arg-type]
            for row in people:
                copy.write_row(
                    (tenant, person_id(tenant, row.source, row.key), stable_id(str(tenant), row.source), row.key, "mentioned",
                     row.full_name, row.email, row.email, row.phone, row.title, row.city, row.side, '{"schema_version": 1}', _hash(row))
                )  # fmt: skip


def take_people(admin_url: str, tenant: TenantId, people: Iterable[PersonRow]) -> None:
    """Take many people out of what is staged."""
    with psycopg.connect(admin_url) as admin:
        admin.execute("set session_replication_role = replica")
        admin.execute(
            "delete from pay_ready.person_records where tenant_id = %s and record_id = any(%s)",
            (tenant, [person_id(tenant, each.source, each.key) for each in people]),
        )


def _hash(row: object) -> bytes:
    return hashlib.sha256(repr([(each.name, getattr(row, each.name)) for each in fields(row)]).encode()).digest()  # type: ignore[arg-type]


def _add_company(admin: psycopg.Connection[tuple[object, ...]], tenant: TenantId, row: CompanyRow) -> None:
    admin.execute(
        "insert into pay_ready.company_records (tenant_id, record_id, source_id, record_reference, origin, name, domain, phone, city,"
        " country, industry, attributes, source_updated_at, content_hash)"
        " values (%s, %s, %s, %s, 'mentioned', %s, %s, %s, %s, %s, %s, '{\"schema_version\": 1}', %s, %s)",
        (tenant, company_id(tenant, row.source, row.key), stable_id(str(tenant), row.source), row.key, row.name, row.domain, row.phone,
         row.city, row.country, row.industry, row.updated, _hash(row)),
    )  # fmt: skip


def _add_person(admin: psycopg.Connection[tuple[object, ...]], tenant: TenantId, row: PersonRow) -> None:
    company = company_id(tenant, row.source, row.company) if row.company else None
    admin.execute(
        "insert into pay_ready.person_records (tenant_id, record_id, source_id, record_reference, origin, full_name, email,"
        " email_normalized, phone, title, city, company_record_id, company_domain, side, attributes, source_updated_at, content_hash)"
        " values (%s, %s, %s, %s, 'mentioned', %s, %s, %s, %s, %s, %s, %s, %s, %s, '{\"schema_version\": 1}', %s, %s)",
        (tenant, person_id(tenant, row.source, row.key), stable_id(str(tenant), row.source), row.key, row.full_name, row.email, row.email,
         row.phone, row.title, row.city, company, row.company_domain, row.side, row.updated, _hash(row)),
    )  # fmt: skip


def _add_call(admin: psycopg.Connection[tuple[object, ...]], tenant: TenantId, row: CallRow, people: Mapping[str, PersonRow]) -> None:
    record, source = stable_id("call", str(tenant), row.source, row.key), stable_id(str(tenant), row.source)
    _land_call(admin, tenant, source, row)
    admin.execute(
        "insert into pay_ready.interaction_records (tenant_id, record_id, source_id, stream, record_key, interaction_id, is_primary,"
        " interaction_type, external_id, occurred_at, metadata, content_hash, contract_version)"
        " values (%s, %s, %s, 'calls', %s, %s, %s, 'call', %s, %s, '{\"schema_version\": 1}', %s, 'v1')",
        (tenant, record, source, row.key, record, row.is_primary, row.key, MOMENT, _hash(row)),
    )  # fmt: skip
    for position, key in enumerate([*row.people, *row.companies]):
        is_person = position < len(row.people)
        admin.execute(
            "insert into pay_ready.interaction_participants (tenant_id, record_id, participant_no, source_id, interaction_id, role,"
            " person_record_id, company_record_id, side) values (%s, %s, %s, %s, %s, 'attendee', %s, %s, %s)",
            (tenant, record, position, source, record, person_id(tenant, row.source, key) if is_person else None,
             None if is_person else company_id(tenant, row.source, key), people[key].side if is_person else "unknown"),
        )  # fmt: skip


def _land_call(admin: psycopg.Connection[tuple[object, ...]], tenant: TenantId, source: UUID, row: CallRow) -> None:
    """The landed row of a call, of one batch of its source."""
    run, batch = stable_id("run", str(source)), stable_id("batch", str(source))
    number = 1 + SOURCES.index(row.source)
    for statement, values in (
        ("tenant_counters (tenant_id, counter, value) values (%s, 'commit_seq', 4)", (tenant,)),
        (("sync_runs (tenant_id, run_id, source_id, ingest_mode, status, lease_token, finished_at)"
         " values (%s, %s, %s, 'replay', 'complete', 1, now())"), (tenant, run, source)),
        ("landing_batches (tenant_id, batch_id, source_id, stream, run_id, commit_seq, landed) values (%s, %s, %s, 'calls', %s, %s, 0)",
         (tenant, batch, source, run, number)),
        (("landed_records (tenant_id, source_id, stream, record_key, data, content_hash, generation, cursor_order, emitted_at, batch_id)"
         " values (%s, %s, 'calls', %s, '{}', %s, 0, '', %s, %s)"), (tenant, source, row.key, _hash(row), MOMENT, batch)),
    ):  # fmt: skip
        admin.execute(f"insert into pay_ready.{statement} on conflict do nothing", values)  # type: ignore[arg-type]


_PUBLISHED: Mapping[str, str] = {
    "assignments": "entity_type, record_id, entity_id, confidence",
    "entity_versions": "entity_id, entity_type, name, email, phone, domain, title, company_entity_id, record_count, golden, provenance,"
    " encode(content_hash, 'hex')",
    "entity_redirects": "entity_id, target_entity_id",
    "interaction_entities": "interaction_id, entity_id, entity_type, is_primary, occurred_at",
}
_HISTORY: Mapping[str, str] = {
    **{table: f"{columns}, opened_run_no, closed_run_no" for table, columns in _PUBLISHED.items()},
    "entities": "entity_id, entity_type, anchor_record_id, minted_run_no",
    "entity_changes": "change_seq, run_no, change, entity_type, entity_id, other_entity_id, before_hash, after_hash",
    "resolution_runs": "run_no, kind, actor",
    "checkpoints": "name, run_no, encode(digest, 'hex')",
    "memory_outbox": "outbox_seq, change, object_kind, object_id",
    "edges": "entity_type, left_id, right_id, match_weight_millibits, levels",
}


def published(admin_url: str, tenant: TenantId) -> list[str]:
    """The state that readers see, a line a row, without run numbers."""
    return _dump(admin_url, tenant, _PUBLISHED, "and closed_run_no is null")


def history(admin_url: str, tenant: TenantId) -> list[str]:
    """All that resolution ever wrote, a line a row, without run ids and times."""
    return _dump(admin_url, tenant, _HISTORY, "")


def rows(admin_url: str, tenant: TenantId, query: str) -> list[tuple[object, ...]]:
    """Rows of a query about the tenant (`%(tenant)s`), as an administrator sees them."""
    with psycopg.connect(admin_url) as admin:
        return admin.execute(query, {"tenant": tenant}).fetchall()  # type: ignore[arg-type]


def _dump(admin_url: str, tenant: TenantId, tables: Mapping[str, str], condition: str) -> list[str]:
    lines: list[str] = []
    for table, columns in tables.items():
        found = rows(admin_url, tenant, f"select {columns} from pay_ready.{table} where tenant_id = %(tenant)s {condition}")
        lines += sorted(f"{table} {row}" for row in found)
    return lines
