-- People of one chunk: listed rows, and mentions known from interactions alone.

-- name: list_people
-- Every landed row that lists a person of the chunk, now or before it; of several the latest speaks (place 1).
-- params: source_id uuid, stream text, contract_version text
with affected as materialized (
    select record_id
    from chunk_people
    union
    select standing.record_id
    from pay_ready.person_records as standing
    join chunk_rows using (record_key)
    where standing.tenant_id = %(tenant_id)s
      and standing.source_id = %(source_id)s
      and standing.stream = %(stream)s
    union
    select shadowed.record_id
    from pay_ready.shadowed_person_records as shadowed
    join chunk_rows using (record_key)
    where shadowed.tenant_id = %(tenant_id)s
      and shadowed.source_id = %(source_id)s
      and shadowed.stream = %(stream)s
), candidates as (
    select
        record_id, record_reference, record_key, full_name, first_name, last_name, email, email_normalized, phone, title,
        city, country, company_record_id, company_name, company_domain, side, attributes, source_updated_at, content_hash,
        company_reference,
        %(stream)s::text as stream, %(contract_version)s::text as contract_version
    from chunk_people
    union all
    select
        standing.record_id, standing.record_reference, standing.record_key, standing.full_name, standing.first_name,
        standing.last_name, standing.email, standing.email_normalized, standing.phone, standing.title, standing.city,
        standing.country, standing.company_record_id, standing.company_name, standing.company_domain, standing.side,
        standing.attributes, standing.source_updated_at, standing.content_hash, companies.record_reference,
        standing.stream, standing.contract_version
    from pay_ready.person_records as standing
    join affected using (record_id)
    left join pay_ready.company_records as companies
        on companies.tenant_id = standing.tenant_id and companies.record_id = standing.company_record_id
    where standing.tenant_id = %(tenant_id)s
      and standing.source_id = %(source_id)s
      and standing.origin = 'listed'
      and (standing.stream <> %(stream)s or not exists (select from chunk_rows where record_key = standing.record_key))
    union all
    select
        shadowed.record_id, shadowed.record_reference, shadowed.record_key, shadowed.full_name, shadowed.first_name,
        shadowed.last_name, shadowed.email, shadowed.email_normalized, shadowed.phone, shadowed.title, shadowed.city,
        shadowed.country, shadowed.company_record_id, shadowed.company_name, shadowed.company_domain, shadowed.side,
        shadowed.attributes, shadowed.source_updated_at, shadowed.content_hash, shadowed.company_reference,
        shadowed.stream, shadowed.contract_version
    from pay_ready.shadowed_person_records as shadowed
    join affected using (record_id)
    where shadowed.tenant_id = %(tenant_id)s
      and shadowed.source_id = %(source_id)s
      and (shadowed.stream <> %(stream)s or not exists (select from chunk_rows where record_key = shadowed.record_key))
), listed as (
    insert into listed_people (
        record_id, record_reference, record_key, full_name, first_name, last_name, email, email_normalized, phone, title,
        city, country, company_record_id, company_name, company_domain, side, attributes, source_updated_at, content_hash,
        company_reference,
        stream, contract_version, place
    )
    select
        record_id, record_reference, record_key, full_name, first_name, last_name, email, email_normalized, phone, title,
        city, country, company_record_id, company_name, company_domain, side, attributes, source_updated_at, content_hash,
        company_reference,
        stream, contract_version,
        row_number() over (
            partition by record_id
            order by source_updated_at desc nulls last, stream collate "C", record_key collate "C"
        )
    from candidates
    returning record_id
)
insert into orphans (entity_type, record_id)
select 'person', record_id
from affected
where not exists (select from listed where listed.record_id = affected.record_id);

-- name: write_listed_people
-- A listed row takes a mention over under the same id; what is equal is not written.
-- params: source_id uuid
insert into pay_ready.person_records (
    tenant_id, source_id, origin, stream, contract_version,
    record_id, record_reference, record_key, full_name, first_name, last_name, email, email_normalized, phone, title, city,
    country, company_record_id, company_name, company_domain, side, attributes, source_updated_at, content_hash
)
select
    %(tenant_id)s, %(source_id)s, 'listed', stream, contract_version,
    record_id, record_reference, record_key, full_name, first_name, last_name, email, email_normalized, phone, title, city,
    country, company_record_id, company_name, company_domain, side, attributes, source_updated_at, content_hash
from listed_people
where place = 1
on conflict (tenant_id, record_id) do update
set origin = excluded.origin,
    stream = excluded.stream,
    record_key = excluded.record_key,
    contract_version = excluded.contract_version,
    staged_at = now(),
    full_name = excluded.full_name,
    first_name = excluded.first_name,
    last_name = excluded.last_name,
    email = excluded.email,
    email_normalized = excluded.email_normalized,
    phone = excluded.phone,
    title = excluded.title,
    city = excluded.city,
    country = excluded.country,
    company_record_id = excluded.company_record_id,
    company_name = excluded.company_name,
    company_domain = excluded.company_domain,
    side = excluded.side,
    attributes = excluded.attributes,
    source_updated_at = excluded.source_updated_at,
    content_hash = excluded.content_hash
where (person_records.content_hash, person_records.stream, person_records.record_key)
    is distinct from (excluded.content_hash, excluded.stream, excluded.record_key);

-- name: clear_shadowed_people
-- params: source_id uuid
delete from pay_ready.shadowed_person_records as shadowed
using (select record_id from listed_people union select record_id from orphans where entity_type = 'person') as affected
where shadowed.tenant_id = %(tenant_id)s
  and shadowed.source_id = %(source_id)s
  and shadowed.record_id = affected.record_id;

-- name: shadow_people
-- params: source_id uuid
insert into pay_ready.shadowed_person_records (
    tenant_id, source_id, stream, contract_version,
    record_id, record_reference, record_key, full_name, first_name, last_name, email, email_normalized, phone, title, city,
    country, company_record_id, company_name, company_domain, side, attributes, source_updated_at, content_hash,
    company_reference
)
select
    %(tenant_id)s, %(source_id)s, stream, contract_version,
    record_id, record_reference, record_key, full_name, first_name, last_name, email, email_normalized, phone, title, city,
    country, company_record_id, company_name, company_domain, side, attributes, source_updated_at, content_hash,
    company_reference
from listed_people
where place > 1;

-- name: touch_companies
-- Companies that a row of the chunk named before and may name no more. Runs before the rows are written.
-- params: source_id uuid
insert into touched (entity_type, record_id)
select distinct 'company', standing.company_record_id
from (
    select record_id, content_hash
    from listed_people
    where place = 1
    union all
    select record_id, null
    from orphans
    where entity_type = 'person'
) as coming
join pay_ready.person_records as standing
    on standing.tenant_id = %(tenant_id)s and standing.source_id = %(source_id)s and standing.record_id = coming.record_id
where standing.company_record_id is not null
  and standing.content_hash is distinct from coming.content_hash;

-- name: forget_people
-- A person whom no row lists any more is a mention again, or gone when no interaction mentions them (see drop_mentions).
-- params: source_id uuid
with forgotten as (
    update pay_ready.person_records as records
    set origin = 'mentioned', stream = null, record_key = null, contract_version = null, staged_at = now(),
        full_name = null, first_name = null, last_name = null, email = null, email_normalized = null, phone = null,
        title = null, city = null, country = null, company_record_id = null, company_name = null, company_domain = null,
        side = 'unknown', attributes = '{"schema_version": 1, "values": {}}', source_updated_at = null,
        content_hash = sha256(convert_to(jsonb_build_array(null, null, null, null, null, null, null, 'unknown', null, null, null)::text, 'UTF8'))
    from orphans
    where orphans.entity_type = 'person'
      and records.tenant_id = %(tenant_id)s
      and records.source_id = %(source_id)s
      and records.record_id = orphans.record_id
      and records.origin = 'listed'
    returning records.record_id
)
insert into touched (entity_type, record_id)
select 'person', record_id
from forgotten;

-- name: add_mentions
-- A row for every person who takes part and whom nobody listed: what is known is filled in by refresh_mentions.
-- params: source_id uuid
with added as (
    insert into pay_ready.person_records (
        tenant_id, source_id, record_id, record_reference, origin, attributes, content_hash
    )
    select distinct
        %(tenant_id)s::uuid, %(source_id)s::uuid, wanted.record_id, wanted.record_reference, 'mentioned',
        '{"schema_version": 1, "values": {}}'::jsonb,
        sha256(convert_to(jsonb_build_array(null, null, null, null, null, null, null, 'unknown', null, null, null)::text, 'UTF8'))
    from chunk_references as wanted
    left join pay_ready.person_records as standing
        on standing.tenant_id = %(tenant_id)s and standing.record_id = wanted.record_id
    where wanted.entity_type = 'person'
      and standing.record_id is null
    on conflict do nothing
    returning record_id
)
insert into touched (entity_type, record_id)
select 'person', record_id
from added;

-- name: touch_mentions
-- As for companies: only a value that differs makes a mention be computed anew.
-- params: source_id uuid
insert into touched (entity_type, record_id)
select distinct 'person', records.record_id
from chunk_participants as said
join pay_ready.person_records as records
    on records.tenant_id = %(tenant_id)s and records.source_id = %(source_id)s and records.record_id = said.person_record_id
where records.origin = 'mentioned'
  and (
      (
          coalesce(said.full_name, said.first_name, said.last_name) is not null
          and (said.full_name, said.first_name, said.last_name)
              is distinct from (records.full_name, records.first_name, records.last_name)
      )
      or (
          coalesce(said.email_normalized, said.email) is not null
          and (said.email, said.email_normalized) is distinct from (records.email, records.email_normalized)
      )
      or (said.phone is not null and said.phone is distinct from records.phone)
      or (said.title is not null and said.title is distinct from records.title)
      or (said.side <> 'unknown' and said.side <> records.side)
      or (
          said.person_company_record_id is not null
          and (said.person_company_record_id, said.company_name, said.company_domain)
              is distinct from (records.company_record_id, records.company_name, records.company_domain)
      )
  );

-- name: drop_mentions
-- params: source_id uuid
delete from pay_ready.person_records as records
using (select distinct record_id from touched where entity_type = 'person') as dirty
where records.tenant_id = %(tenant_id)s
  and records.source_id = %(source_id)s
  and records.record_id = dirty.record_id
  and records.origin = 'mentioned'
  and not exists (
      select from pay_ready.interaction_participants as appearances
      where appearances.tenant_id = %(tenant_id)s and appearances.source_id = %(source_id)s
        and appearances.person_record_id = records.record_id
  );

-- name: refresh_mentions
-- Each group of values by the latest appearance that has one: a function of the rows that stand, whatever order they
-- came in. Values that belong together (name; address; company) come from one appearance.
-- params: source_id uuid
with known as (
    select
        dirty.record_id,
        names.full_name, names.first_name, names.last_name, emails.email, emails.email_normalized, phones.phone, titles.title,
        coalesce(sides.side, 'unknown') as side,
        companies.person_company_record_id, companies.company_name, companies.company_domain,
        sha256(convert_to(jsonb_build_array(
            names.full_name, names.first_name, names.last_name, emails.email, emails.email_normalized, phones.phone,
            titles.title, coalesce(sides.side, 'unknown'), companies.person_company_record_id, companies.company_name,
            companies.company_domain
        )::text, 'UTF8')) as content_hash
    from (select distinct record_id from touched where entity_type = 'person') as dirty
    left join lateral (
        select appearances.full_name, appearances.first_name, appearances.last_name
        from pay_ready.interaction_participants as appearances
        where appearances.tenant_id = %(tenant_id)s
          and appearances.source_id = %(source_id)s
          and appearances.person_record_id = dirty.record_id
          and coalesce(appearances.full_name, appearances.first_name, appearances.last_name) is not null
        order by appearances.seen_at desc nulls last, appearances.interaction_id desc, appearances.record_id desc,
            appearances.participant_no desc
        limit 1
    ) as names on true
    left join lateral (
        select appearances.email, appearances.email_normalized
        from pay_ready.interaction_participants as appearances
        where appearances.tenant_id = %(tenant_id)s
          and appearances.source_id = %(source_id)s
          and appearances.person_record_id = dirty.record_id
          and coalesce(appearances.email_normalized, appearances.email) is not null
        order by appearances.seen_at desc nulls last, appearances.interaction_id desc, appearances.record_id desc,
            appearances.participant_no desc
        limit 1
    ) as emails on true
    left join lateral (
        select appearances.phone
        from pay_ready.interaction_participants as appearances
        where appearances.tenant_id = %(tenant_id)s
          and appearances.source_id = %(source_id)s
          and appearances.person_record_id = dirty.record_id
          and appearances.phone is not null
        order by appearances.seen_at desc nulls last, appearances.interaction_id desc, appearances.record_id desc,
            appearances.participant_no desc
        limit 1
    ) as phones on true
    left join lateral (
        select appearances.title
        from pay_ready.interaction_participants as appearances
        where appearances.tenant_id = %(tenant_id)s
          and appearances.source_id = %(source_id)s
          and appearances.person_record_id = dirty.record_id
          and appearances.title is not null
        order by appearances.seen_at desc nulls last, appearances.interaction_id desc, appearances.record_id desc,
            appearances.participant_no desc
        limit 1
    ) as titles on true
    left join lateral (
        select appearances.side
        from pay_ready.interaction_participants as appearances
        where appearances.tenant_id = %(tenant_id)s
          and appearances.source_id = %(source_id)s
          and appearances.person_record_id = dirty.record_id
          and appearances.side <> 'unknown'
        order by appearances.seen_at desc nulls last, appearances.interaction_id desc, appearances.record_id desc,
            appearances.participant_no desc
        limit 1
    ) as sides on true
    left join lateral (
        select appearances.person_company_record_id, appearances.company_name, appearances.company_domain
        from pay_ready.interaction_participants as appearances
        where appearances.tenant_id = %(tenant_id)s
          and appearances.source_id = %(source_id)s
          and appearances.person_record_id = dirty.record_id
          and appearances.person_company_record_id is not null
        order by appearances.seen_at desc nulls last, appearances.interaction_id desc, appearances.record_id desc,
            appearances.participant_no desc
        limit 1
    ) as companies on true
)
update pay_ready.person_records as records
set full_name = known.full_name,
    first_name = known.first_name,
    last_name = known.last_name,
    email = known.email,
    email_normalized = known.email_normalized,
    phone = known.phone,
    title = known.title,
    side = known.side,
    company_record_id = known.person_company_record_id,
    company_name = known.company_name,
    company_domain = known.company_domain,
    content_hash = known.content_hash,
    staged_at = now()
from known
where records.tenant_id = %(tenant_id)s
  and records.source_id = %(source_id)s
  and records.record_id = known.record_id
  and records.origin = 'mentioned'
  and records.content_hash <> known.content_hash;
