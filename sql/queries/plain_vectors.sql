-- Vectors of passages where pgvector is missing: bytes, compared by the one who asks.

-- name: write
insert into pay_ready.memory_vectors_plain as standing (tenant_id, embedder_tag, memory_id, interaction_id, content_hash, vector)
select %(tenant_id)s, %(embedder_tag)s, fresh.memory_id, fresh.interaction_id, fresh.content_hash, decode(fresh.embedding, 'base64')
from pg_temp.fresh_vectors as fresh
join pay_ready.memories as passages
    on passages.tenant_id = %(tenant_id)s and passages.memory_id = fresh.memory_id and passages.content_hash = fresh.content_hash
on conflict (tenant_id, embedder_tag, memory_id) do update
set interaction_id = excluded.interaction_id, content_hash = excluded.content_hash, vector = excluded.vector
where (standing.content_hash, standing.vector) is distinct from (excluded.content_hash, excluded.vector);

-- name: missing
-- params: embedder_tag text, after uuid, most integer
select passages.memory_id, passages.interaction_id, passages.content_hash, passages.chunk_text
from pay_ready.memories as passages
left join pay_ready.memory_vectors_plain as vectors
    on vectors.tenant_id = passages.tenant_id and vectors.embedder_tag = %(embedder_tag)s and vectors.memory_id = passages.memory_id
where passages.tenant_id = %(tenant_id)s
  and passages.memory_id > %(after)s
  and vectors.content_hash is distinct from passages.content_hash
order by passages.memory_id
limit %(most)s;

-- name: count_missing
-- params: embedder_tag text
select count(*)
from pay_ready.memories as passages
left join pay_ready.memory_vectors_plain as vectors
    on vectors.tenant_id = passages.tenant_id and vectors.embedder_tag = %(embedder_tag)s and vectors.memory_id = passages.memory_id
where passages.tenant_id = %(tenant_id)s
  and vectors.content_hash is distinct from passages.content_hash;

-- name: count
-- params: embedder_tag text
select count(*) as vectors, 0::bigint as indexed
from pay_ready.memory_vectors_plain
where tenant_id = %(tenant_id)s
  and embedder_tag = %(embedder_tag)s;

-- name: read
-- params: embedder_tag text, source_ids uuid[], interaction_types text[], languages text[], since timestamptz, until timestamptz,
-- entity_ids uuid[]
select vectors.memory_id, vectors.interaction_id, vectors.vector
from pay_ready.memory_vectors_plain as vectors
left join pay_ready.memories as passages on passages.tenant_id = vectors.tenant_id and passages.memory_id = vectors.memory_id
where vectors.tenant_id = %(tenant_id)s
  and vectors.embedder_tag = %(embedder_tag)s
  and (%(source_ids)s::uuid[] is null or passages.source_id = any(%(source_ids)s))
  and (%(interaction_types)s::text[] is null or passages.interaction_type = any(%(interaction_types)s))
  and (%(languages)s::text[] is null or passages.language = any(%(languages)s))
  and (%(since)s::timestamptz is null or passages.occurred_at >= %(since)s)
  and (%(until)s::timestamptz is null or passages.occurred_at < %(until)s)
  and (%(entity_ids)s::uuid[] is null or vectors.interaction_id in (
      select interaction_id
      from pay_ready.interaction_entities
      where tenant_id = %(tenant_id)s
        and entity_id = any(%(entity_ids)s)
        and closed_run_no is null
  ));

-- name: of
-- params: embedder_tag text, memory_ids uuid[]
select memory_id, vector
from pay_ready.memory_vectors_plain
where tenant_id = %(tenant_id)s
  and embedder_tag = %(embedder_tag)s
  and memory_id = any(%(memory_ids)s);

-- name: page
-- params: embedder_tag text, most integer
select memory_id, interaction_id, content_hash, vector
from pay_ready.memory_vectors_plain
where tenant_id = %(tenant_id)s
  and embedder_tag = %(embedder_tag)s
order by memory_id
limit %(most)s;

-- name: drop_interactions
-- params: embedder_tag text, interaction_ids uuid[]
delete from pay_ready.memory_vectors_plain
where tenant_id = %(tenant_id)s
  and embedder_tag = %(embedder_tag)s
  and interaction_id = any(%(interaction_ids)s);

-- name: drop_memories
-- params: embedder_tag text, memory_ids uuid[]
delete from pay_ready.memory_vectors_plain
where tenant_id = %(tenant_id)s
  and embedder_tag = %(embedder_tag)s
  and memory_id = any(%(memory_ids)s);

-- name: drop_all
-- params: embedder_tag text
delete from pay_ready.memory_vectors_plain
where tenant_id = %(tenant_id)s
  and embedder_tag = %(embedder_tag)s;

-- name: kept
-- params: embedder_tag text, after uuid, most integer
select
    vectors.memory_id, vectors.interaction_id, vectors.content_hash,
    array(
        select links.entity_id
        from pay_ready.interaction_entities as links
        where links.tenant_id = %(tenant_id)s
          and links.interaction_id = vectors.interaction_id
          and links.closed_run_no is null
    ) as entity_ids
from pay_ready.memory_vectors_plain as vectors
where vectors.tenant_id = %(tenant_id)s
  and vectors.embedder_tag = %(embedder_tag)s
  and vectors.memory_id > %(after)s
order by vectors.memory_id
limit %(most)s;

-- name: objects
-- Passages of interactions as an outer store is told of them.
-- params: embedder_tag text, interaction_ids uuid[]
select
    passages.memory_id, passages.interaction_id, passages.chunk_no, passages.interaction_type, passages.language, passages.occurred_at,
    sources.kind as source_kind, sources.name as source, vectors.content_hash, vectors.vector,
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
join pay_ready.memory_vectors_plain as vectors
    on vectors.tenant_id = passages.tenant_id and vectors.memory_id = passages.memory_id and vectors.content_hash = passages.content_hash
where passages.tenant_id = %(tenant_id)s
  and vectors.embedder_tag = %(embedder_tag)s
  and passages.interaction_id = any(%(interaction_ids)s)
order by passages.interaction_id, passages.chunk_no;

-- name: hashes
-- params: embedder_tag text, memory_ids uuid[]
select memory_id, content_hash
from pay_ready.memory_vectors_plain
where tenant_id = %(tenant_id)s
  and embedder_tag = %(embedder_tag)s
  and memory_id = any(%(memory_ids)s);
