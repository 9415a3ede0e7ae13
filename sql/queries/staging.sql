-- name: lock_source
-- One staging transaction per source at a time: streams of a source share the people and companies they mention.
-- params: source_id uuid
select pg_advisory_xact_lock(hashtextextended('pay_ready.stage:' || %(tenant_id)s::text || ':' || %(source_id)s::text, 0));

-- name: streams
-- The streams of a source that ever landed a batch, by hops along the index: there may be many batches.
-- params: source_id uuid
with recursive found as (
    (
        select stream
        from pay_ready.landing_batches
        where tenant_id = %(tenant_id)s
          and source_id = %(source_id)s
        order by stream
        limit 1
    )
    union all
    select (
        select stream
        from pay_ready.landing_batches
        where tenant_id = %(tenant_id)s
          and source_id = %(source_id)s
          and stream > found.stream
        order by stream
        limit 1
    )
    from found
    where found.stream is not null
)
select stream
from found
where stream is not null
order by stream;

-- name: open_state
-- params: source_id uuid, stream text
insert into pay_ready.stream_states (tenant_id, source_id, stream)
values (%(tenant_id)s, %(source_id)s, %(stream)s)
on conflict do nothing;

-- name: lock_state
-- How far the stream is staged. Landing takes the same lock before it overtakes rows: a row is either staged or superseded.
-- params: source_id uuid, stream text
select staged_commit_seq, contract_version, restaging_version, restaged_commit_seq
from pay_ready.stream_states
where tenant_id = %(tenant_id)s
  and source_id = %(source_id)s
  and stream = %(stream)s
for update;

-- name: move_state
-- params: source_id uuid, stream text, staged_commit_seq bigint, contract_version text, restaging_version text,
-- restaged_commit_seq bigint
update pay_ready.stream_states
set staged_commit_seq = %(staged_commit_seq)s,
    contract_version = %(contract_version)s,
    restaging_version = %(restaging_version)s,
    restaged_commit_seq = %(restaged_commit_seq)s,
    updated_at = now()
where tenant_id = %(tenant_id)s
  and source_id = %(source_id)s
  and stream = %(stream)s;

-- name: batches
-- Committed batches after one commit_seq and up to another, in commit order.
-- params: source_id uuid, stream text, after bigint, up_to bigint, most integer
select batch_id, run_id, commit_seq, landed
from pay_ready.landing_batches
where tenant_id = %(tenant_id)s
  and source_id = %(source_id)s
  and stream = %(stream)s
  and commit_seq > %(after)s
  and commit_seq <= %(up_to)s
order by commit_seq
limit %(most)s;

-- name: landed_keys
-- The rows that batches left standing, without their data; size_bytes as stored.
-- params: source_id uuid, stream text, batch_ids uuid[]
select
    records.record_key,
    records.batch_id,
    records.deleted_at is not null as is_gone,
    coalesce(pg_column_size(records.data), 0) + coalesce(payloads.size_bytes, 0) as size_bytes
from pay_ready.landed_records as records
left join pay_ready.large_payloads as payloads
    on payloads.tenant_id = records.tenant_id and payloads.payload_id = records.payload_id
where records.tenant_id = %(tenant_id)s
  and records.batch_id = any(%(batch_ids)s)
  and records.source_id = %(source_id)s
  and records.stream = %(stream)s
order by records.record_key;

-- name: landed_of_keys
-- Standing rows by key, without their data; only of batches that are staged already.
-- params: source_id uuid, stream text, record_keys text[], up_to bigint
select
    records.record_key,
    records.batch_id,
    batches.run_id,
    records.deleted_at is not null as is_gone,
    coalesce(pg_column_size(records.data), 0) + coalesce(payloads.size_bytes, 0) as size_bytes
from pay_ready.landed_records as records
join pay_ready.landing_batches as batches
    on batches.tenant_id = records.tenant_id and batches.batch_id = records.batch_id
left join pay_ready.large_payloads as payloads
    on payloads.tenant_id = records.tenant_id and payloads.payload_id = records.payload_id
where records.tenant_id = %(tenant_id)s
  and records.source_id = %(source_id)s
  and records.stream = %(stream)s
  and records.record_key = any(%(record_keys)s)
  and batches.commit_seq <= %(up_to)s
order by records.record_key;

-- name: landed_data
-- params: source_id uuid, stream text, record_keys text[]
select records.record_key, records.data::text as data, payloads.content, records.payload_id, records.emitted_at
from pay_ready.landed_records as records
left join pay_ready.large_payloads as payloads
    on payloads.tenant_id = records.tenant_id and payloads.payload_id = records.payload_id
where records.tenant_id = %(tenant_id)s
  and records.source_id = %(source_id)s
  and records.stream = %(stream)s
  and records.record_key = any(%(record_keys)s)
  and records.deleted_at is null;

-- name: recall_outcomes
-- What each row of the chunk had become before: it is counted once, so a second staging moves it from one count to another.
-- params: source_id uuid, stream text
update chunk_rows as chunk
set earlier = case
    when exists (
        select from pay_ready.quarantined_records as kept
        where kept.tenant_id = %(tenant_id)s and kept.source_id = %(source_id)s and kept.stream = %(stream)s
          and kept.record_key = chunk.record_key and kept.step = 'stage' and kept.status in ('open', 'dismissed')
    ) then 'quarantined'
    when exists (
        select from pay_ready.interaction_records as kept
        where kept.tenant_id = %(tenant_id)s and kept.source_id = %(source_id)s and kept.stream = %(stream)s
          and kept.record_key = chunk.record_key
    ) or exists (
        select from pay_ready.person_records as kept
        where kept.tenant_id = %(tenant_id)s and kept.source_id = %(source_id)s and kept.stream = %(stream)s
          and kept.record_key = chunk.record_key
    ) or exists (
        select from pay_ready.company_records as kept
        where kept.tenant_id = %(tenant_id)s and kept.source_id = %(source_id)s and kept.stream = %(stream)s
          and kept.record_key = chunk.record_key
    ) or exists (
        select from pay_ready.shadowed_person_records as kept
        where kept.tenant_id = %(tenant_id)s and kept.source_id = %(source_id)s and kept.stream = %(stream)s
          and kept.record_key = chunk.record_key
    ) or exists (
        select from pay_ready.shadowed_company_records as kept
        where kept.tenant_id = %(tenant_id)s and kept.source_id = %(source_id)s and kept.stream = %(stream)s
          and kept.record_key = chunk.record_key
    ) then 'staged'
    else 'unmapped'
end
where outcome <> 'gone';

-- name: count_outcomes
-- params: stream text
update pay_ready.stream_runs as runs
set staged = runs.staged + moved.staged,
    unmapped = runs.unmapped + moved.unmapped,
    stage_quarantined = runs.stage_quarantined + moved.quarantined
from (
    select
        run_id,
        count(*) filter (where outcome = 'staged') - count(*) filter (where earlier = 'staged') as staged,
        count(*) filter (where outcome = 'unmapped') - count(*) filter (where earlier = 'unmapped') as unmapped,
        count(*) filter (where outcome = 'quarantined') - count(*) filter (where earlier = 'quarantined') as quarantined
    from chunk_rows
    where outcome <> 'gone'
    group by run_id
) as moved
where runs.tenant_id = %(tenant_id)s
  and runs.run_id = moved.run_id
  and runs.stream = %(stream)s;

-- name: equations
-- Both equations of a run, a row per stream; `waiting` rows are landed and not staged yet.
-- params: run_id uuid, stream text (null: all of them)
select
    runs.stream,
    runs.emitted,
    runs.landed,
    runs.unchanged,
    runs.superseded,
    runs.deleted,
    runs.quarantined,
    runs.suppressed,
    runs.staged,
    runs.unmapped,
    runs.stage_quarantined,
    coalesce((
        select sum(batches.landed)
        from pay_ready.landing_batches as batches
        left join pay_ready.stream_states as states
            on states.tenant_id = batches.tenant_id and states.source_id = batches.source_id and states.stream = batches.stream
        where batches.tenant_id = runs.tenant_id
          and batches.source_id = runs.source_id
          and batches.stream = runs.stream
          and batches.run_id = runs.run_id
          and batches.commit_seq > coalesce(states.staged_commit_seq, 0)
    ), 0)::bigint as waiting
from pay_ready.stream_runs as runs
where runs.tenant_id = %(tenant_id)s
  and runs.run_id = %(run_id)s
  and (%(stream)s::text is null or runs.stream = %(stream)s::text)
order by runs.stream;
