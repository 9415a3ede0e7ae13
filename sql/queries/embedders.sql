-- Whose vectors a tenant has.

-- name: all
select embedder_tag, embedder_id, dimensions, state, is_indexed, begun_at, served_at
from pay_ready.memory_embedders
where tenant_id = %(tenant_id)s
order by served_at nulls last, begun_at;

-- name: begin
-- The first one serves at once: there is nothing else to search.
-- params: embedder_tag text, embedder_id text, dimensions integer
insert into pay_ready.memory_embedders (tenant_id, embedder_tag, embedder_id, dimensions, state, begun_at, served_at)
select %(tenant_id)s, %(embedder_tag)s, %(embedder_id)s, %(dimensions)s, case when others.are_there then 'building' else 'serving' end, now(),
    case when others.are_there then null else now() end
from (
    select exists (select from pay_ready.memory_embedders where tenant_id = %(tenant_id)s and state = 'serving') as are_there
) as others
on conflict (tenant_id, embedder_tag) do nothing;

-- name: retire
-- params: embedder_tag text
delete from pay_ready.memory_embedders
where tenant_id = %(tenant_id)s
  and embedder_tag = %(embedder_tag)s;

-- name: stand_back
update pay_ready.memory_embedders
set state = 'building', served_at = null
where tenant_id = %(tenant_id)s
  and state = 'serving';

-- name: serve
-- params: embedder_tag text
update pay_ready.memory_embedders
set state = 'serving', served_at = now()
where tenant_id = %(tenant_id)s
  and embedder_tag = %(embedder_tag)s;

-- name: mark_indexed
-- params: embedder_tag text, is_indexed boolean
update pay_ready.memory_embedders
set is_indexed = %(is_indexed)s
where tenant_id = %(tenant_id)s
  and embedder_tag = %(embedder_tag)s;

-- name: places
-- Whether pgvector has a table of an embedder, and whether the tenant has vectors of it as bytes.
-- params: table_name text, embedder_tag text
select
    to_regclass(%(table_name)s) is not null as has_table,
    exists (
        select from pay_ready.memory_vectors_plain as plain
        where plain.tenant_id = %(tenant_id)s and plain.embedder_tag = %(embedder_tag)s
    ) as has_bytes;
