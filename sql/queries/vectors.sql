-- Vectors of passages, by pgvector: `memory_vectors_of_embedder` stands for the table of one embedder. Row security never hides the index of
-- nearest ones: it serves an order, not a condition.

-- name: settings
-- How far the index is searched, for this transaction: until enough of the tenant's rows that pass the filters are found.
-- params: ef text
select
    set_config('hnsw.iterative_scan', 'relaxed_order', true) as iterative_scan,
    set_config('hnsw.ef_search', %(ef)s, true) as ef_search,
    set_config('enable_sort', 'off', true) as sort,
    set_config('enable_seqscan', 'off', true) as seqscan
where %(tenant_id)s is not null;

-- name: settings_back
-- What follows in the transaction is planned as ever.
select set_config('enable_sort', 'on', true) as sort, set_config('enable_seqscan', 'on', true) as seqscan
where %(tenant_id)s is not null;

-- name: vector_table
-- scope: session
create temporary table if not exists fresh_vectors (
    memory_id uuid not null,
    interaction_id uuid not null,
    content_hash bytea not null,
    embedding text not null
) on commit drop;

-- name: empty_fresh
-- scope: session
truncate pg_temp.fresh_vectors;

-- name: write
-- Vectors of passages that are still the same; what became of a passage meanwhile gets its own.
-- params: in_index boolean
insert into pay_ready.memory_vectors_of_embedder as standing (tenant_id, memory_id, interaction_id, content_hash, in_index, embedding)
select %(tenant_id)s, fresh.memory_id, fresh.interaction_id, fresh.content_hash, %(in_index)s, fresh.embedding::halfvec
from pg_temp.fresh_vectors as fresh
join pay_ready.memories as passages
    on passages.tenant_id = %(tenant_id)s and passages.memory_id = fresh.memory_id and passages.content_hash = fresh.content_hash
on conflict (tenant_id, memory_id) do update
set interaction_id = excluded.interaction_id, content_hash = excluded.content_hash, in_index = excluded.in_index, embedding = excluded.embedding
where (standing.content_hash, standing.embedding::text) is distinct from (excluded.content_hash, excluded.embedding::text);

-- name: missing
-- Passages without a vector of what they say now, in the order of their ids.
-- params: after uuid, most integer
select passages.memory_id, passages.interaction_id, passages.content_hash, passages.chunk_text
from pay_ready.memories as passages
left join pay_ready.memory_vectors_of_embedder as vectors
    on vectors.tenant_id = passages.tenant_id and vectors.memory_id = passages.memory_id
where passages.tenant_id = %(tenant_id)s
  and passages.memory_id > %(after)s
  and vectors.content_hash is distinct from passages.content_hash
order by passages.memory_id
limit %(most)s;

-- name: count_missing
select count(*)
from pay_ready.memories as passages
left join pay_ready.memory_vectors_of_embedder as vectors
    on vectors.tenant_id = passages.tenant_id and vectors.memory_id = passages.memory_id
where passages.tenant_id = %(tenant_id)s
  and vectors.content_hash is distinct from passages.content_hash;

-- name: count
select count(*) as vectors, count(*) filter (where in_index) as indexed
from pay_ready.memory_vectors_of_embedder
where tenant_id = %(tenant_id)s;

-- name: nearest_read
-- The nearest by reading: all of the tenant's, or those that the index has not.
-- params: vector text, most integer, most_distance float8, unindexed_only boolean, source_ids uuid[], interaction_types text[],
-- languages text[], since timestamptz, until timestamptz
with near as materialized (
    select vectors.memory_id, vectors.interaction_id, vectors.embedding <=> %(vector)s::halfvec as distance
    from pay_ready.memory_vectors_of_embedder as vectors
    left join pay_ready.memories as passages
        on passages.tenant_id = vectors.tenant_id and passages.memory_id = vectors.memory_id
    where vectors.tenant_id = %(tenant_id)s
      and (not %(unindexed_only)s or not vectors.in_index)
      and (%(source_ids)s::uuid[] is null or passages.source_id = any(%(source_ids)s))
      and (%(interaction_types)s::text[] is null or passages.interaction_type = any(%(interaction_types)s))
      and (%(languages)s::text[] is null or passages.language = any(%(languages)s))
      and (%(since)s::timestamptz is null or passages.occurred_at >= %(since)s)
      and (%(until)s::timestamptz is null or passages.occurred_at < %(until)s)
)
select memory_id, interaction_id, 1 - distance as similarity
from near
where distance <= %(most_distance)s
order by distance, memory_id
limit %(most)s;

-- name: nearest_of
-- The nearest among the interactions of people and companies, by reading.
-- params: as nearest_read without unindexed_only, and entity_ids uuid[]
with near as materialized (
    select vectors.memory_id, vectors.interaction_id, vectors.embedding <=> %(vector)s::halfvec as distance
    from (
        select distinct interaction_id
        from pay_ready.interaction_entities
        where tenant_id = %(tenant_id)s
          and entity_id = any(%(entity_ids)s)
          and closed_run_no is null
    ) as links
    join pay_ready.memory_vectors_of_embedder as vectors
        on vectors.tenant_id = %(tenant_id)s and vectors.interaction_id = links.interaction_id
    left join pay_ready.memories as passages
        on passages.tenant_id = vectors.tenant_id and passages.memory_id = vectors.memory_id
    where (%(source_ids)s::uuid[] is null or passages.source_id = any(%(source_ids)s))
      and (%(interaction_types)s::text[] is null or passages.interaction_type = any(%(interaction_types)s))
      and (%(languages)s::text[] is null or passages.language = any(%(languages)s))
      and (%(since)s::timestamptz is null or passages.occurred_at >= %(since)s)
      and (%(until)s::timestamptz is null or passages.occurred_at < %(until)s)
)
select memory_id, interaction_id, 1 - distance as similarity
from near
where distance <= %(most_distance)s
order by distance, memory_id
limit %(most)s;

-- name: nearest_indexed
-- The nearest by the index; fewer than were asked for only where the index did not look far enough. Who is near enough is said of each.
-- params: as nearest_read without unindexed_only
with near as materialized (
    select vectors.memory_id, vectors.interaction_id, vectors.embedding <=> %(vector)s::halfvec as distance
    from pay_ready.memory_vectors_of_embedder as vectors
    left join pay_ready.memories as passages
        on passages.tenant_id = vectors.tenant_id and passages.memory_id = vectors.memory_id
    where vectors.tenant_id = %(tenant_id)s
      and vectors.in_index
      and (%(source_ids)s::uuid[] is null or passages.source_id = any(%(source_ids)s))
      and (%(interaction_types)s::text[] is null or passages.interaction_type = any(%(interaction_types)s))
      and (%(languages)s::text[] is null or passages.language = any(%(languages)s))
      and (%(since)s::timestamptz is null or passages.occurred_at >= %(since)s)
      and (%(until)s::timestamptz is null or passages.occurred_at < %(until)s)
    order by vectors.embedding <=> %(vector)s::halfvec
    limit %(most)s
)
select memory_id, interaction_id, 1 - distance as similarity, distance <= %(most_distance)s as is_near
from near
order by distance, memory_id;

-- name: similarities
-- How near passages are.
-- params: vector text, memory_ids uuid[]
select memory_id, 1 - (embedding <=> %(vector)s::halfvec) as similarity
from pay_ready.memory_vectors_of_embedder
where tenant_id = %(tenant_id)s
  and memory_id = any(%(memory_ids)s);

-- name: misplaced
-- Vectors that the index of nearest ones has and should not have, or the other way round: what was touched since then belongs into it.
-- params: most integer, warm_since timestamptz or null (all do)
select vectors.memory_id, passages.touched_at, vectors.in_index as is_warm
from pay_ready.memory_vectors_of_embedder as vectors
join pay_ready.memories as passages on passages.tenant_id = vectors.tenant_id and passages.memory_id = vectors.memory_id
where vectors.tenant_id = %(tenant_id)s
  and vectors.in_index <> coalesce(passages.touched_at > %(warm_since)s, true)
limit %(most)s;

-- name: place
-- params: memory_ids uuid[], in_index boolean
update pay_ready.memory_vectors_of_embedder
set in_index = %(in_index)s
where tenant_id = %(tenant_id)s
  and memory_id = any(%(memory_ids)s)
  and in_index <> %(in_index)s;

-- name: drop_interactions
-- params: interaction_ids uuid[]
delete from pay_ready.memory_vectors_of_embedder
where tenant_id = %(tenant_id)s
  and interaction_id = any(%(interaction_ids)s);

-- name: drop_memories
-- params: memory_ids uuid[]
delete from pay_ready.memory_vectors_of_embedder
where tenant_id = %(tenant_id)s
  and memory_id = any(%(memory_ids)s);

-- name: drop_all
delete from pay_ready.memory_vectors_of_embedder
where tenant_id = %(tenant_id)s;

-- name: kept
-- What is there, with the people and companies that it is about now.
-- params: after uuid, most integer
select
    vectors.memory_id, vectors.interaction_id, vectors.content_hash,
    array(
        select links.entity_id
        from pay_ready.interaction_entities as links
        where links.tenant_id = %(tenant_id)s
          and links.interaction_id = vectors.interaction_id
          and links.closed_run_no is null
    ) as entity_ids
from pay_ready.memory_vectors_of_embedder as vectors
where vectors.tenant_id = %(tenant_id)s
  and vectors.memory_id > %(after)s
order by vectors.memory_id
limit %(most)s;

-- name: objects
-- Passages of interactions as an outer store is told of them.
-- params: interaction_ids uuid[]
select
    passages.memory_id, passages.interaction_id, passages.chunk_no, passages.interaction_type, passages.language, passages.occurred_at,
    sources.kind as source_kind, sources.name as source, vectors.content_hash, halfvec_send(vectors.embedding) as vector,
    array(
        select links.entity_id
        from pay_ready.interaction_entities as links
        where links.tenant_id = %(tenant_id)s
          and links.interaction_id = passages.interaction_id
          and links.closed_run_no is null
        order by links.entity_id
    ) as entity_ids
from pay_ready.memories as passages
join pay_ready.data_sources as sources on sources.tenant_id = passages.tenant_id and sources.source_id = passages.source_id
join pay_ready.memory_vectors_of_embedder as vectors
    on vectors.tenant_id = passages.tenant_id and vectors.memory_id = passages.memory_id and vectors.content_hash = passages.content_hash
where passages.tenant_id = %(tenant_id)s
  and passages.interaction_id = any(%(interaction_ids)s)
order by passages.interaction_id, passages.chunk_no;

-- name: hashes
-- params: memory_ids uuid[]
select memory_id, content_hash
from pay_ready.memory_vectors_of_embedder
where tenant_id = %(tenant_id)s
  and memory_id = any(%(memory_ids)s);
