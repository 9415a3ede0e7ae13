-- Companies of one chunk: listed rows, and mentions known from people and interactions alone.

-- name: list_companies
-- Every landed row that lists a company of the chunk, now or before it; of several the latest speaks (place 1).
-- params: source_id uuid, stream text, contract_version text
with affected as materialized (
    select record_id
    from chunk_companies
    union
    select standing.record_id
    from pay_ready.company_records as standing
    join chunk_rows using (record_key)
    where standing.tenant_id = %(tenant_id)s
      and standing.source_id = %(source_id)s
      and standing.stream = %(stream)s
    union
    select shadowed.record_id
    from pay_ready.shadowed_company_records as shadowed
    join chunk_rows using (record_key)
    where shadowed.tenant_id = %(tenant_id)s
      and shadowed.source_id = %(source_id)s
      and shadowed.stream = %(stream)s
), candidates as (
    select
        record_id, record_reference, record_key, name, domain, phone, city, country, industry, attributes,
        source_updated_at, content_hash,
        %(stream)s::text as stream, %(contract_version)s::text as contract_version
    from chunk_companies
    union all
    select
        standing.record_id, standing.record_reference, standing.record_key, standing.name, standing.domain, standing.phone,
        standing.city, standing.country, standing.industry, standing.attributes, standing.source_updated_at,
        standing.content_hash,
        standing.stream, standing.contract_version
    from pay_ready.company_records as standing
    join affected using (record_id)
    where standing.tenant_id = %(tenant_id)s
      and standing.source_id = %(source_id)s
      and standing.origin = 'listed'
      and (standing.stream <> %(stream)s or not exists (select from chunk_rows where record_key = standing.record_key))
    union all
    select
        shadowed.record_id, shadowed.record_reference, shadowed.record_key, shadowed.name, shadowed.domain, shadowed.phone,
        shadowed.city, shadowed.country, shadowed.industry, shadowed.attributes, shadowed.source_updated_at,
        shadowed.content_hash,
        shadowed.stream, shadowed.contract_version
    from pay_ready.shadowed_company_records as shadowed
    join affected using (record_id)
    where shadowed.tenant_id = %(tenant_id)s
      and shadowed.source_id = %(source_id)s
      and (shadowed.stream <> %(stream)s or not exists (select from chunk_rows where record_key = shadowed.record_key))
), listed as (
    insert into listed_companies (
        record_id, record_reference, record_key, name, domain, phone, city, country, industry, attributes,
        source_updated_at, content_hash,
        stream, contract_version, place
    )
    select
        record_id, record_reference, record_key, name, domain, phone, city, country, industry, attributes,
        source_updated_at, content_hash,
        stream, contract_version,
        row_number() over (
            partition by record_id
            order by source_updated_at desc nulls last, stream collate "C", record_key collate "C"
        )
    from candidates
    returning record_id
)
insert into orphans (entity_type, record_id)
select 'company', record_id
from affected
where not exists (select from listed where listed.record_id = affected.record_id);

-- name: write_listed_companies
-- A listed row takes a mention over under the same id; what is equal is not written.
-- params: source_id uuid
insert into pay_ready.company_records (
    tenant_id, source_id, origin, stream, contract_version,
    record_id, record_reference, record_key, name, domain, phone, city, country, industry, attributes, source_updated_at,
    content_hash
)
select
    %(tenant_id)s, %(source_id)s, 'listed', stream, contract_version,
    record_id, record_reference, record_key, name, domain, phone, city, country, industry, attributes, source_updated_at,
    content_hash
from listed_companies
where place = 1
on conflict (tenant_id, record_id) do update
set origin = excluded.origin,
    stream = excluded.stream,
    record_key = excluded.record_key,
    contract_version = excluded.contract_version,
    staged_at = now(),
    name = excluded.name,
    domain = excluded.domain,
    phone = excluded.phone,
    city = excluded.city,
    country = excluded.country,
    industry = excluded.industry,
    attributes = excluded.attributes,
    source_updated_at = excluded.source_updated_at,
    content_hash = excluded.content_hash
where (company_records.content_hash, company_records.stream, company_records.record_key)
    is distinct from (excluded.content_hash, excluded.stream, excluded.record_key);

-- name: clear_shadowed_companies
-- params: source_id uuid
delete from pay_ready.shadowed_company_records as shadowed
using (select record_id from listed_companies union select record_id from orphans where entity_type = 'company') as affected
where shadowed.tenant_id = %(tenant_id)s
  and shadowed.source_id = %(source_id)s
  and shadowed.record_id = affected.record_id;

-- name: shadow_companies
-- params: source_id uuid
insert into pay_ready.shadowed_company_records (
    tenant_id, source_id, stream, contract_version,
    record_id, record_reference, record_key, name, domain, phone, city, country, industry, attributes, source_updated_at,
    content_hash
)
select
    %(tenant_id)s, %(source_id)s, stream, contract_version,
    record_id, record_reference, record_key, name, domain, phone, city, country, industry, attributes, source_updated_at,
    content_hash
from listed_companies
where place > 1;

-- name: forget_companies
-- A company that no row lists any more is a mention again, or gone when nothing mentions it (see drop_mentions).
-- params: source_id uuid
with forgotten as (
    update pay_ready.company_records as records
    set origin = 'mentioned', stream = null, record_key = null, contract_version = null, staged_at = now(),
        name = null, domain = null, phone = null, city = null, country = null, industry = null,
        attributes = '{"schema_version": 1, "values": {}}', source_updated_at = null,
        content_hash = sha256(convert_to(jsonb_build_array(null, null)::text, 'UTF8'))
    from orphans
    where orphans.entity_type = 'company'
      and records.tenant_id = %(tenant_id)s
      and records.source_id = %(source_id)s
      and records.record_id = orphans.record_id
      and records.origin = 'listed'
    returning records.record_id
)
insert into touched (entity_type, record_id)
select 'company', record_id
from forgotten;

-- name: add_mentions
-- A row for every company that the chunk refers to and nobody listed: what is known of it is filled in by refresh_mentions.
-- params: source_id uuid
with added as (
    insert into pay_ready.company_records (
        tenant_id, source_id, record_id, record_reference, origin, attributes, content_hash
    )
    select distinct
        %(tenant_id)s::uuid, %(source_id)s::uuid, wanted.record_id, wanted.record_reference, 'mentioned',
        '{"schema_version": 1, "values": {}}'::jsonb, sha256(convert_to(jsonb_build_array(null, null)::text, 'UTF8'))
    from (
        select record_id, record_reference
        from chunk_references
        where entity_type = 'company'
        union all
        select company_record_id, company_reference
        from listed_people
        where place = 1
          and company_reference is not null
    ) as wanted
    left join pay_ready.company_records as standing
        on standing.tenant_id = %(tenant_id)s and standing.record_id = wanted.record_id
    where standing.record_id is null
    on conflict do nothing
    returning record_id
)
insert into touched (entity_type, record_id)
select 'company', record_id
from added;

-- name: touch_mentions
-- A mention is computed anew only when a value of the chunk differs from what it says: one that agrees changes nothing,
-- whether it is earlier or later than the appearance that gave the value. So an address in every e-mail costs no sort.
-- params: source_id uuid
insert into touched (entity_type, record_id)
select distinct 'company', records.record_id
from (
    select company_record_id as record_id, company_name, company_domain
    from listed_people
    where place = 1
    union all
    select company_record_id, company_name, company_domain
    from chunk_participants
    union all
    select person_company_record_id, company_name, company_domain
    from chunk_participants
) as claims
join pay_ready.company_records as records
    on records.tenant_id = %(tenant_id)s and records.source_id = %(source_id)s and records.record_id = claims.record_id
where records.origin = 'mentioned'
  and (
      (claims.company_name is not null and claims.company_name is distinct from records.name)
      or (claims.company_domain is not null and claims.company_domain is distinct from records.domain)
  );

-- name: drop_mentions
-- params: source_id uuid
delete from pay_ready.company_records as records
using (select distinct record_id from touched where entity_type = 'company') as dirty
where records.tenant_id = %(tenant_id)s
  and records.source_id = %(source_id)s
  and records.record_id = dirty.record_id
  and records.origin = 'mentioned'
  and not exists (
      select from pay_ready.person_records as people
      where people.tenant_id = %(tenant_id)s and people.source_id = %(source_id)s
        and people.company_record_id = records.record_id
  )
  and not exists (
      select from pay_ready.interaction_participants as appearances
      where appearances.tenant_id = %(tenant_id)s and appearances.source_id = %(source_id)s
        and appearances.company_record_id = records.record_id
  )
  and not exists (
      select from pay_ready.interaction_participants as appearances
      where appearances.tenant_id = %(tenant_id)s and appearances.source_id = %(source_id)s
        and appearances.person_company_record_id = records.record_id
  );

-- name: refresh_mentions
-- Name and domain by the latest claim that has one: a function of the rows that stand, whatever order they came in.
-- params: source_id uuid
with claims as (
    select
        people.company_record_id as record_id, people.company_name, people.company_domain, people.source_updated_at as seen_at,
        people.record_id as said_in, people.record_id as said_by, 0 as participant_no
    from touched
    join pay_ready.person_records as people
        on people.tenant_id = %(tenant_id)s and people.source_id = %(source_id)s
        and people.company_record_id = touched.record_id and people.origin = 'listed'
    where touched.entity_type = 'company'
    union all
    select
        appearances.company_record_id, appearances.company_name, appearances.company_domain, appearances.seen_at,
        appearances.interaction_id, appearances.record_id, appearances.participant_no
    from touched
    join pay_ready.interaction_participants as appearances
        on appearances.tenant_id = %(tenant_id)s and appearances.source_id = %(source_id)s
        and appearances.company_record_id = touched.record_id
    where touched.entity_type = 'company'
    union all
    select
        appearances.person_company_record_id, appearances.company_name, appearances.company_domain, appearances.seen_at,
        appearances.interaction_id, appearances.record_id, appearances.participant_no
    from touched
    join pay_ready.interaction_participants as appearances
        on appearances.tenant_id = %(tenant_id)s and appearances.source_id = %(source_id)s
        and appearances.person_company_record_id = touched.record_id
    where touched.entity_type = 'company'
), names as (
    select distinct on (record_id) record_id, company_name
    from claims
    where company_name is not null
    order by record_id, seen_at desc nulls last, said_in desc, said_by desc, participant_no desc
), domains as (
    select distinct on (record_id) record_id, company_domain
    from claims
    where company_domain is not null
    order by record_id, seen_at desc nulls last, said_in desc, said_by desc, participant_no desc
), known as (
    select
        dirty.record_id,
        names.company_name,
        domains.company_domain,
        sha256(convert_to(jsonb_build_array(names.company_name, domains.company_domain)::text, 'UTF8')) as content_hash
    from (select distinct record_id from touched where entity_type = 'company') as dirty
    left join names using (record_id)
    left join domains using (record_id)
)
update pay_ready.company_records as records
set name = known.company_name,
    domain = known.company_domain,
    content_hash = known.content_hash,
    staged_at = now()
from known
where records.tenant_id = %(tenant_id)s
  and records.source_id = %(source_id)s
  and records.record_id = known.record_id
  and records.origin = 'mentioned'
  and records.content_hash <> known.content_hash;
