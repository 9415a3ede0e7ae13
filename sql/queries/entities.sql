-- name: counts
-- How much there is, for the tenant as a whole.
select
    (select count(*) from pay_ready.entity_versions
     where tenant_id = %(tenant_id)s and closed_run_no is null and entity_type = 'person') as people,
    (select count(*) from pay_ready.entity_versions
     where tenant_id = %(tenant_id)s and closed_run_no is null and entity_type = 'company') as companies,
    (select count(*) from pay_ready.person_records where tenant_id = %(tenant_id)s) as person_records,
    (select count(*) from pay_ready.company_records where tenant_id = %(tenant_id)s) as company_records,
    (select count(*) from pay_ready.interaction_records where tenant_id = %(tenant_id)s and is_primary) as interactions,
    (select count(*) from pay_ready.quarantined_records where tenant_id = %(tenant_id)s and status = 'open') as quarantined,
    (select coalesce(max(run_no), 0) from pay_ready.resolution_runs where tenant_id = %(tenant_id)s) as run_no;

-- name: current_id
-- hot: every question about somebody
-- The entity that an id leads to now, through any number of redirects; no row for an id never given.
-- params: entity_id uuid
with recursive leads as (
    select entity_id, 0 as step
    from pay_ready.entities
    where tenant_id = %(tenant_id)s
      and entity_id = %(entity_id)s
    union all
    select redirects.target_entity_id, leads.step + 1
    from leads
    join pay_ready.entity_redirects as redirects
        on redirects.tenant_id = %(tenant_id)s and redirects.entity_id = leads.entity_id and redirects.closed_run_no is null
    where redirects.target_entity_id is not null
      and leads.step < 1000
)
select entity_id
from leads
order by step desc
limit 1;

-- name: by_exact
-- hot: whoever asks for a name, an address, a phone or a domain
-- Current entities with exactly this name, or with a record of this address, phone or domain: a golden record shows one of
-- each, its records may know more. Most records first.
-- params: wanted text (lower case), email text or null (normalized), phone text or null (E.164), domain text or null,
-- params: entity_type text or null, most integer
with meant as (
    select entity_id
    from pay_ready.entity_versions
    where tenant_id = %(tenant_id)s
      and closed_run_no is null
      and (name_lower = %(wanted)s or email_lower = %(wanted)s or domain = %(domain)s)
    union
    select assigned.entity_id
    from pay_ready.person_records as records
    join pay_ready.assignments as assigned
        on assigned.tenant_id = records.tenant_id and assigned.record_id = records.record_id
        and assigned.entity_type = 'person' and assigned.closed_run_no is null
    where records.tenant_id = %(tenant_id)s
      and records.email_normalized = %(email)s
    union
    select assigned.entity_id
    from pay_ready.person_records as records
    join pay_ready.assignments as assigned
        on assigned.tenant_id = records.tenant_id and assigned.record_id = records.record_id
        and assigned.entity_type = 'person' and assigned.closed_run_no is null
    where records.tenant_id = %(tenant_id)s
      and records.phone = %(phone)s
    union
    select assigned.entity_id
    from pay_ready.company_records as records
    join pay_ready.assignments as assigned
        on assigned.tenant_id = records.tenant_id and assigned.record_id = records.record_id
        and assigned.entity_type = 'company' and assigned.closed_run_no is null
    where records.tenant_id = %(tenant_id)s
      and records.domain = %(domain)s
    union
    select assigned.entity_id
    from pay_ready.company_records as records
    join pay_ready.assignments as assigned
        on assigned.tenant_id = records.tenant_id and assigned.record_id = records.record_id
        and assigned.entity_type = 'company' and assigned.closed_run_no is null
    where records.tenant_id = %(tenant_id)s
      and records.phone = %(phone)s
)
select versions.entity_id, versions.entity_type, versions.name, versions.email, versions.domain, versions.record_count
from meant
join pay_ready.entity_versions as versions
    on versions.tenant_id = %(tenant_id)s and versions.entity_id = meant.entity_id and versions.closed_run_no is null
where %(entity_type)s::text is null or versions.entity_type = %(entity_type)s::text
order by versions.record_count desc, versions.entity_id
limit %(most)s;

-- name: names
-- Names of current entities, to be searched by likeness, most records first.
-- params: entity_type text or null
select entity_id, entity_type, name, email, domain, record_count
from pay_ready.entity_versions
where tenant_id = %(tenant_id)s
  and closed_run_no is null
  and name is not null
  and (%(entity_type)s::text is null or entity_type = %(entity_type)s::text)
order by record_count desc, entity_id;

-- name: golden
-- hot: whoever looks at a person or company
-- One current golden record.
-- params: entity_id uuid
select
    versions.entity_id, versions.entity_type, versions.name, versions.email, versions.phone, versions.domain, versions.title,
    versions.company_entity_id, companies.name as company_name, versions.record_count, versions.golden, versions.provenance,
    versions.opened_run_no
from pay_ready.entity_versions as versions
left join pay_ready.entity_versions as companies
    on companies.tenant_id = versions.tenant_id and companies.entity_id = versions.company_entity_id
    and companies.closed_run_no is null
where versions.tenant_id = %(tenant_id)s
  and versions.entity_id = %(entity_id)s
  and versions.closed_run_no is null;

-- name: people_of
-- hot: whoever looks at a company
-- People whose company this is, most interactions first.
-- params: entity_id uuid, most integer
select people.entity_id, people.name, people.email, people.title, count(links.interaction_id) as interactions
from pay_ready.entity_versions as people
left join pay_ready.interaction_entities as links
    on links.tenant_id = people.tenant_id and links.entity_id = people.entity_id and links.closed_run_no is null
where people.tenant_id = %(tenant_id)s
  and people.company_entity_id = %(entity_id)s
  and people.closed_run_no is null
group by people.entity_id, people.name, people.email, people.title
order by interactions desc, people.entity_id
limit %(most)s;

-- name: person_records_of
-- hot: whoever looks at a person
-- The records of a person, side by side.
-- params: entity_id uuid
select
    sources.name as source, records.stream, records.origin, records.record_reference, records.full_name, records.email,
    records.phone, records.title, records.company_name, records.source_updated_at, assigned.confidence, records.record_id
from pay_ready.assignments as assigned
join pay_ready.person_records as records on records.tenant_id = assigned.tenant_id and records.record_id = assigned.record_id
join pay_ready.data_sources as sources on sources.tenant_id = records.tenant_id and sources.source_id = records.source_id
where assigned.tenant_id = %(tenant_id)s
  and assigned.entity_id = %(entity_id)s
  and assigned.entity_type = 'person'
  and assigned.closed_run_no is null
order by sources.name, records.stream nulls last, records.record_reference;

-- name: company_records_of
-- The records of a company, side by side.
-- params: entity_id uuid
select
    sources.name as source, records.stream, records.origin, records.record_reference, records.name, records.domain,
    records.phone, records.city, records.country, records.source_updated_at, assigned.confidence, records.record_id
from pay_ready.assignments as assigned
join pay_ready.company_records as records on records.tenant_id = assigned.tenant_id and records.record_id = assigned.record_id
join pay_ready.data_sources as sources on sources.tenant_id = records.tenant_id and sources.source_id = records.source_id
where assigned.tenant_id = %(tenant_id)s
  and assigned.entity_id = %(entity_id)s
  and assigned.entity_type = 'company'
  and assigned.closed_run_no is null
order by sources.name, records.stream nulls last, records.record_reference;

-- name: widest_person
-- The person known to most sources (then records, then interactions): a good first look.
select assigned.entity_id
from pay_ready.assignments as assigned
join pay_ready.person_records as records on records.tenant_id = assigned.tenant_id and records.record_id = assigned.record_id
where assigned.tenant_id = %(tenant_id)s
  and assigned.entity_type = 'person'
  and assigned.closed_run_no is null
  and records.side <> 'internal'
group by assigned.entity_id
order by count(distinct records.source_id) desc, count(distinct lower(records.full_name)) desc, assigned.entity_id
limit 1;

-- name: widest_company
-- The company with interactions in most sources (then most interactions).
select links.entity_id
from pay_ready.interaction_entities as links
join pay_ready.interaction_records as records
    on records.tenant_id = links.tenant_id and records.interaction_id = links.interaction_id and records.is_primary
where links.tenant_id = %(tenant_id)s
  and links.entity_type = 'company'
  and links.closed_run_no is null
group by links.entity_id
order by count(distinct records.source_id) desc, count(*) desc, links.entity_id
limit 1;

-- name: cache_metric
-- Keep a result under its name.
-- params: metric_name text, metric_value jsonb
insert into pay_ready.analytics_cache (tenant_id, metric_name, metric_value)
values (%(tenant_id)s, %(metric_name)s, %(metric_value)s)
on conflict (tenant_id, metric_name) do update
set metric_value = excluded.metric_value, updated_at = now();

-- name: cached_metric
-- params: metric_name text
select metric_value, updated_at
from pay_ready.analytics_cache
where tenant_id = %(tenant_id)s
  and metric_name = %(metric_name)s;
