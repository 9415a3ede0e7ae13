-- What BI tools read (schema pay_ready_mart), read by us: to be listed, described and exported.

-- name: columns
-- Views and their columns in order, with what the catalogue says of them: "class: meaning".
-- scope: session
-- params: schema_name text
select
    c.relname::text as view_name,
    obj_description(c.oid, 'pg_class') as view_meaning,
    a.attname::text as column_name,
    format_type(a.atttypid, null) as column_type,
    split_part(col_description(c.oid, a.attnum), ': ', 1) as data_class,
    substr(col_description(c.oid, a.attnum), strpos(col_description(c.oid, a.attnum), ': ') + 2) as meaning
from pg_catalog.pg_class as c
join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
join pg_catalog.pg_attribute as a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
where n.nspname = %(schema_name)s and c.relkind = 'v'
order by c.relname, a.attnum;

-- name: standing
-- Rows of each view, and the latest time at which one was loaded.
select 'people' as view_name, count(*) as row_count, max(loaded_at) as loaded_at
from pay_ready_mart.people
where tenant_id = %(tenant_id)s
union all
select 'companies', count(*), max(loaded_at)
from pay_ready_mart.companies
where tenant_id = %(tenant_id)s
union all
select 'interactions', count(*), max(loaded_at)
from pay_ready_mart.interactions
where tenant_id = %(tenant_id)s
union all
select 'account_health', count(*), max(loaded_at)
from pay_ready_mart.account_health
where tenant_id = %(tenant_id)s;

-- name: published
-- The version that the views show, if there is one; and what time it is.
select now() as read_at, latest.run_no, latest.run_id, latest.published_at
from (select 1) as always
left join lateral (
    select runs.run_no, runs.run_id, runs.published_at
    from pay_ready.resolution_runs as runs
    where runs.tenant_id = %(tenant_id)s
    order by runs.run_no desc
    limit 1
) as latest on true;

-- name: people
select
    tenant_id, person_id, name, email, phone, title, company_id, company_name, record_count, interaction_count, first_interaction_at,
    last_interaction_at, run_no, run_id, loaded_at
from pay_ready_mart.people
where tenant_id = %(tenant_id)s
order by person_id;

-- name: companies
select
    tenant_id, company_id, name, domain, record_count, person_count, interaction_count, first_interaction_at, last_interaction_at, run_no,
    run_id, loaded_at
from pay_ready_mart.companies
where tenant_id = %(tenant_id)s
order by company_id;

-- name: interactions
select
    tenant_id, interaction_id, interaction_type, occurred_at, ended_at, duration_s, direction, subject, thread_id, person_id, company_id,
    source_system, source_id, sentiment, run_id, loaded_at
from pay_ready_mart.interactions
where tenant_id = %(tenant_id)s
order by interaction_id;

-- name: account_health
select
    tenant_id, company_id, name, person_count, interactions_last_30_days, interactions_30_days_before, people_last_90_days,
    last_interaction_at, days_since_last_interaction, activity, sentiment_last_90_days, sentiment_count, cases_last_90_days, run_no,
    run_id, loaded_at
from pay_ready_mart.account_health
where tenant_id = %(tenant_id)s
order by company_id;
