-- name: be_durable
-- scope: session
-- A marker must not be lost where the server is set to commit lazily.
select set_config('synchronous_commit', 'on', true);

-- name: begin_flush
-- scope: session
-- As be_durable; and the judged rows of a large flush stay in memory, which is otherwise 4 MB.
select set_config('synchronous_commit', 'on', true) as synchronous_commit, set_config('work_mem', '64MB', true) as work_mem;

-- name: make_rows
-- scope: session
-- Where a flush is copied to: row security refuses COPY into our tables. data stays text: what is unchanged is never parsed.
create temp table landing_rows (
    stream text not null,
    record_key text collate "C" not null,
    data text,
    payload_id uuid,
    quality_flags text,
    content_hash bytea not null,
    cursor_order text collate "C" not null,
    emitted_at timestamptz not null,
    deleted boolean not null
) on commit drop;

-- name: open_run
-- Once, however often it is said: the answer to the first time may have been lost.
-- params: run_id uuid, source_id uuid, ingest_mode text, lease_token bigint
insert into pay_ready.sync_runs (tenant_id, run_id, source_id, ingest_mode, status, lease_token)
values (%(tenant_id)s, %(run_id)s, %(source_id)s, %(ingest_mode)s, 'running', %(lease_token)s)
on conflict (tenant_id, run_id) do nothing;

-- name: abort_runs
-- Runs of holders that are gone: their lease is ours now, so none of them can write any more.
-- params: source_id uuid, lease_token bigint
update pay_ready.sync_runs
set status = 'aborted',
    finished_at = greatest(now(), started_at),
    error_class = 'Abandoned',
    error_text = 'the process ended without closing its run; the next run went on from its last committed state'
where tenant_id = %(tenant_id)s
  and source_id = %(source_id)s
  and status = 'running'
  and lease_token < %(lease_token)s;

-- name: abort_stream_runs
-- params: source_id uuid
update pay_ready.stream_runs as streams
set status = 'incomplete'
from pay_ready.sync_runs as runs
where streams.tenant_id = %(tenant_id)s
  and streams.source_id = %(source_id)s
  and streams.status = 'running'
  and runs.tenant_id = %(tenant_id)s
  and runs.run_id = streams.run_id
  and runs.status <> 'running';

-- name: close_run
-- params: run_id uuid, status text, error_class text, error_text text, report jsonb
update pay_ready.sync_runs
set status = %(status)s,
    finished_at = greatest(clock_timestamp(), started_at),
    error_class = %(error_class)s,
    error_text = %(error_text)s,
    report = %(report)s
where tenant_id = %(tenant_id)s
  and run_id = %(run_id)s
  and status = 'running';

-- name: stream_runs
-- params: run_id uuid
select
    stream, status, emitted, landed, unchanged, superseded, deleted, quarantined, suppressed, tombstoned, flagged, skipped, undated, staged,
    unmapped, stage_quarantined
from pay_ready.stream_runs
where tenant_id = %(tenant_id)s
  and run_id = %(run_id)s
order by stream;

-- name: keep_watermarks
-- params: run_id uuid, streams text[], befores text[], afters text[]
update pay_ready.stream_runs as streams
set watermark_before = kept.watermark_before,
    watermark_after = kept.watermark_after
from unnest(%(streams)s::text[], %(befores)s::text[], %(afters)s::text[]) as kept (stream, watermark_before, watermark_after)
where streams.tenant_id = %(tenant_id)s
  and streams.run_id = %(run_id)s
  and streams.stream = kept.stream;

-- name: states
-- hot: every sync
-- params: source_id uuid
select stream, state, watermark, generation, lease_token, pass_run_id
from pay_ready.stream_states
where tenant_id = %(tenant_id)s
  and source_id = %(source_id)s
order by stream
for update;

-- name: begin_stream
-- A stream at the start of a read: its generation and pass; the state is dropped where the read starts anew.
-- params: source_id uuid, stream text, run_id uuid, lease_token bigint, generation bigint, pass_run_id uuid, keep_state boolean
insert into pay_ready.stream_states as states (tenant_id, source_id, stream, generation, lease_token, run_id, pass_run_id)
values (%(tenant_id)s, %(source_id)s, %(stream)s, %(generation)s, %(lease_token)s, %(run_id)s, %(pass_run_id)s)
on conflict (tenant_id, source_id, stream) do update
set generation = excluded.generation,
    state = case when %(keep_state)s then states.state end,
    lease_token = excluded.lease_token,
    run_id = excluded.run_id,
    pass_run_id = excluded.pass_run_id,
    updated_at = now()
where states.lease_token <= excluded.lease_token;

-- name: begin_stream_run
-- params: source_id uuid, stream text, run_id uuid
insert into pay_ready.stream_runs as streams (tenant_id, run_id, source_id, stream, status)
values (%(tenant_id)s, %(run_id)s, %(source_id)s, %(stream)s, 'running')
on conflict (tenant_id, run_id, stream) do update
set status = 'running';

-- name: move_states
-- Lock the streams of a flush against staging and zombies, and store their new states in one go.
-- No state leaves the one that is there. No row comes back for a stream that a newer run has taken.
-- params: source_id uuid, run_id uuid, lease_token bigint, streams text[], states text[], watermarks text[]
insert into pay_ready.stream_states as states (tenant_id, source_id, stream, state, watermark, lease_token, run_id)
select %(tenant_id)s, %(source_id)s, moved.stream, moved.state, moved.watermark, %(lease_token)s, %(run_id)s
from unnest(%(streams)s::text[], %(states)s::text[], %(watermarks)s::text[]) as moved (stream, state, watermark)
on conflict (tenant_id, source_id, stream) do update
set state = coalesce(excluded.state, states.state),
    watermark = greatest(states.watermark, excluded.watermark),
    lease_token = excluded.lease_token,
    run_id = excluded.run_id,
    updated_at = now()
where states.lease_token <= excluded.lease_token;

-- name: clear_state
-- params: source_id uuid, stream text
update pay_ready.stream_states
set state = null, updated_at = now()
where tenant_id = %(tenant_id)s
  and source_id = %(source_id)s
  and stream = %(stream)s;

-- name: write_rows
-- Judge each row of the flush against the one that stands, write what is newer, and count.
-- A batch row comes into being only where rows refer to it. The lookup is lateral with a limit, so that the planner, which
-- knows nothing about a table just filled, cannot answer with a scan of all that was ever landed.
-- params: source_id uuid, run_id uuid, streams text[], batch_ids uuid[], generations bigint[]
with streams as materialized (
    select stream, batch_id, generation
    from unnest(%(streams)s::text[], %(batch_ids)s::uuid[], %(generations)s::bigint[]) as given (stream, batch_id, generation)
),
judged as materialized (
    select
        streams.stream,
        streams.batch_id,
        streams.generation,
        copied.record_key,
        copied.data,
        copied.payload_id,
        copied.quality_flags,
        copied.content_hash,
        copied.cursor_order,
        copied.emitted_at,
        copied.deleted,
        case when not standing.deleted then standing.batch_id end as live_batch_id,
        standing.payload_id as standing_payload_id,
        (streams.generation, copied.cursor_order) > (standing.generation, standing.cursor_order)
        and copied.cursor_order <> standing.cursor_order as is_later,
        case
            when standing.batch_id is null then 'new'
            when standing.content_hash = copied.content_hash and standing.deleted = copied.deleted then 'unchanged'
            when standing.corrects_hash = copied.content_hash and not copied.deleted then 'superseded'
            when (streams.generation, copied.cursor_order, copied.emitted_at, copied.content_hash)
                > (standing.generation, standing.cursor_order, standing.emitted_at, standing.content_hash) then 'newer'
            else 'superseded'
        end as verdict
    from pg_temp.landing_rows as copied
    join streams on streams.stream = copied.stream
    left join lateral (
        select
            landed.batch_id,
            landed.payload_id,
            landed.generation,
            landed.cursor_order,
            landed.emitted_at,
            landed.content_hash,
            landed.corrects_hash,
            landed.deleted_at is not null as deleted
        from pay_ready.landed_records as landed
        where landed.tenant_id = %(tenant_id)s
          and landed.source_id = %(source_id)s
          and landed.stream = streams.stream
          and landed.record_key = copied.record_key
        limit 1
    ) as standing on true
),
batches as (
    insert into pay_ready.landing_batches (tenant_id, batch_id, source_id, stream, run_id, landed)
    select %(tenant_id)s, batch_id, %(source_id)s, stream, %(run_id)s, count(*) filter (where not deleted)
    from judged
    where verdict in ('new', 'newer')
    group by batch_id, stream
),
-- New rows apart: without "on conflict" they cost a seventh less, and nobody else writes under this lease.
inserted as (
    insert into pay_ready.landed_records (
        tenant_id, source_id, stream, record_key, data, payload_id, quality_flags, content_hash, generation, cursor_order, emitted_at,
        batch_id, deleted_at
    )
    select
        %(tenant_id)s, %(source_id)s, stream, record_key, data::jsonb, payload_id, quality_flags::jsonb, content_hash, generation,
        cursor_order, emitted_at, batch_id, case when deleted then now() end
    from judged
    where verdict = 'new'
),
-- An update with a join would be planned without knowing how many rows there are; this one always goes by the key.
replaced as (
    insert into pay_ready.landed_records as landed (
        tenant_id, source_id, stream, record_key, data, payload_id, quality_flags, content_hash, generation, cursor_order, emitted_at,
        batch_id, deleted_at
    )
    select
        %(tenant_id)s, %(source_id)s, stream, record_key, data::jsonb, payload_id, quality_flags::jsonb, content_hash, generation,
        cursor_order, emitted_at, batch_id, case when deleted then now() end
    from judged
    where verdict = 'newer'
    on conflict (tenant_id, source_id, stream, record_key) do update
    set data = excluded.data,
        payload_id = excluded.payload_id,
        quality_flags = excluded.quality_flags,
        content_hash = excluded.content_hash,
        generation = excluded.generation,
        cursor_order = excluded.cursor_order,
        emitted_at = excluded.emitted_at,
        batch_id = excluded.batch_id,
        landed_at = now(),
        corrects_hash = null,
        deleted_at = excluded.deleted_at
),
-- The same content under a later cursor: what lies between and comes late must not overtake it. Nothing else of it is written.
advanced as (
    insert into pay_ready.landed_records as landed (
        tenant_id, source_id, stream, record_key, data, payload_id, quality_flags, content_hash, generation, cursor_order, emitted_at,
        batch_id, deleted_at
    )
    select
        %(tenant_id)s, %(source_id)s, stream, record_key, data::jsonb, payload_id, quality_flags::jsonb, content_hash, generation,
        cursor_order, emitted_at, batch_id, case when deleted then now() end
    from judged
    where verdict = 'unchanged'
      and is_later
    on conflict (tenant_id, source_id, stream, record_key) do update
    set generation = excluded.generation,
        cursor_order = excluded.cursor_order,
        emitted_at = excluded.emitted_at
)
select
    stream,
    case when verdict not in ('new', 'newer') then verdict when deleted then 'deleted' else 'landed' end as verdict,
    case when verdict = 'newer' then live_batch_id end as overtaken_batch_id,
    verdict = 'new' as is_new,
    count(*) as row_count,
    array_agg(standing_payload_id)
        filter (where verdict = 'newer' and standing_payload_id is distinct from payload_id and standing_payload_id is not null)
        as left_payload_ids
from judged
group by 1, 2, 3, 4;

-- name: insert_new_rows
-- Rows of keys that are believed never to have landed: the key itself refuses them if one has. Nothing is looked up, kept aside
-- or counted here, which is half the cost of write_rows.
-- params: source_id uuid, run_id uuid, streams text[], batch_ids uuid[], generations bigint[], landed bigint[]
with streams as materialized (
    select stream, batch_id, generation, landed
    from unnest(%(streams)s::text[], %(batch_ids)s::uuid[], %(generations)s::bigint[], %(landed)s::bigint[])
        as given (stream, batch_id, generation, landed)
),
batches as (
    insert into pay_ready.landing_batches (tenant_id, batch_id, source_id, stream, run_id, landed)
    select %(tenant_id)s, batch_id, %(source_id)s, stream, %(run_id)s, landed
    from streams
)
insert into pay_ready.landed_records (
    tenant_id, source_id, stream, record_key, data, payload_id, quality_flags, content_hash, generation, cursor_order, emitted_at,
    batch_id, deleted_at
)
select
    %(tenant_id)s, %(source_id)s, streams.stream, copied.record_key, copied.data::jsonb, copied.payload_id, copied.quality_flags::jsonb,
    copied.content_hash, streams.generation, copied.cursor_order, copied.emitted_at, streams.batch_id,
    case when copied.deleted then now() end
from pg_temp.landing_rows as copied
join streams on streams.stream = copied.stream;

-- name: supersede_unstaged
-- Rows that were overtaken before they were staged: no longer landed, but superseded, in the run and the batch that brought them.
-- params: source_id uuid, batch_ids uuid[], row_counts bigint[]
with overtaken as (
    select batch_id, sum(row_count)::bigint as row_count
    from unnest(%(batch_ids)s::uuid[], %(row_counts)s::bigint[]) as given (batch_id, row_count)
    group by batch_id
),
fewer as (
    update pay_ready.landing_batches as batches
    set landed = batches.landed - overtaken.row_count
    from overtaken, pay_ready.stream_states as states
    where batches.tenant_id = %(tenant_id)s
      and batches.batch_id = overtaken.batch_id
      and states.tenant_id = %(tenant_id)s
      and states.source_id = %(source_id)s
      and states.stream = batches.stream
      and batches.commit_seq > states.staged_commit_seq
    returning batches.run_id, batches.stream, overtaken.row_count
),
by_run as (
    select run_id, stream, sum(row_count)::bigint as row_count from fewer group by run_id, stream
)
update pay_ready.stream_runs as streams
set landed = streams.landed - by_run.row_count,
    superseded = streams.superseded + by_run.row_count
from by_run
where streams.tenant_id = %(tenant_id)s
  and streams.run_id = by_run.run_id
  and streams.stream = by_run.stream;

-- name: add_counts
-- params: source_id uuid, run_id uuid, streams text[], and bigint[] of emitted, landed, unchanged, superseded, deleted, quarantined,
-- suppressed, flagged, skipped, undated
insert into pay_ready.stream_runs as streams (
    tenant_id, run_id, source_id, stream, status, emitted, landed, unchanged, superseded, deleted, quarantined, suppressed, flagged,
    skipped, undated
)
select
    %(tenant_id)s, %(run_id)s, %(source_id)s, added.stream, 'running', added.emitted, added.landed, added.unchanged, added.superseded,
    added.deleted, added.quarantined, added.suppressed, added.flagged, added.skipped, added.undated
from unnest(
    %(streams)s::text[], %(emitted)s::bigint[], %(landed)s::bigint[], %(unchanged)s::bigint[], %(superseded)s::bigint[],
    %(deleted)s::bigint[], %(quarantined)s::bigint[], %(suppressed)s::bigint[], %(flagged)s::bigint[], %(skipped)s::bigint[], %(undated)s::bigint[]
) as added (stream, emitted, landed, unchanged, superseded, deleted, quarantined, suppressed, flagged, skipped, undated)
on conflict (tenant_id, run_id, stream) do update
set emitted = streams.emitted + excluded.emitted,
    landed = streams.landed + excluded.landed,
    unchanged = streams.unchanged + excluded.unchanged,
    superseded = streams.superseded + excluded.superseded,
    deleted = streams.deleted + excluded.deleted,
    quarantined = streams.quarantined + excluded.quarantined,
    suppressed = streams.suppressed + excluded.suppressed,
    flagged = streams.flagged + excluded.flagged,
    skipped = streams.skipped + excluded.skipped,
    undated = streams.undated + excluded.undated;

-- name: end_stream_run
-- params: run_id uuid, stream text, status text, tombstoned bigint
update pay_ready.stream_runs
set status = %(status)s,
    tombstoned = tombstoned + %(tombstoned)s
where tenant_id = %(tenant_id)s
  and run_id = %(run_id)s
  and stream = %(stream)s;

-- name: number_batches
-- Give the batches of this transaction their numbers: committed ones all have theirs. The counter's row stays locked until
-- the commit, so this comes last.
-- params: source_id uuid, streams text[]
with numbered as (
    select batch_id, row_number() over (order by stream, batch_id) as place, count(*) over () as row_count
    from pay_ready.landing_batches
    where tenant_id = %(tenant_id)s
      and source_id = %(source_id)s
      and stream = any(%(streams)s::text[])
      and commit_seq is null
),
counter as (
    insert into pay_ready.tenant_counters as counters (tenant_id, counter, value)
    select %(tenant_id)s, 'commit_seq', row_count
    from numbered
    where place = 1
    on conflict (tenant_id, counter) do update
    set value = counters.value + excluded.value
    returning value
)
update pay_ready.landing_batches as batches
set commit_seq = counter.value - numbered.row_count + numbered.place
from numbered, counter
where batches.tenant_id = %(tenant_id)s
  and batches.batch_id = numbered.batch_id;

-- name: add_payload
-- params: source_id uuid, payload_id uuid, size_bytes bigint, content bytea
insert into pay_ready.large_payloads (tenant_id, payload_id, source_id, size_bytes, content)
values (%(tenant_id)s, %(payload_id)s, %(source_id)s, %(size_bytes)s, %(content)s)
on conflict (tenant_id, payload_id) do nothing;

-- name: drop_left_payloads
-- Bytes to which nothing refers any more.
-- params: payload_ids uuid[]
delete from pay_ready.large_payloads as payloads
where payloads.tenant_id = %(tenant_id)s
  and payloads.payload_id = any(%(payload_ids)s::uuid[])
  and not exists (
      select from pay_ready.landed_records as landed
      where landed.tenant_id = %(tenant_id)s and landed.payload_id = payloads.payload_id
  )
  and not exists (
      select from pay_ready.quarantined_records as quarantined
      where quarantined.tenant_id = %(tenant_id)s and quarantined.payload_id = payloads.payload_id
  );

-- name: quarantine
-- A record that comes again finds its row; one that was closed opens again, unless somebody dismissed it.
-- params: source_id uuid, run_id uuid, contract_version text, and arrays of quarantine_ids, streams, reasons, raws, payload_ids, emitted_us (microseconds since 2000)
insert into pay_ready.quarantined_records as quarantined (
    tenant_id, quarantine_id, source_id, stream, step, reason, contract_version, run_id, raw, payload_id, emitted_at
)
select
    %(tenant_id)s, added.quarantine_id, %(source_id)s, added.stream, 'land', added.reason, %(contract_version)s, %(run_id)s, added.raw,
    added.payload_id, timestamptz '2000-01-01 00:00:00+00' + added.emitted_us * interval '1 microsecond'
from unnest(
    %(quarantine_ids)s::uuid[], %(streams)s::text[], %(reasons)s::text[], %(raws)s::bytea[], %(payload_ids)s::uuid[],
    %(emitted_us)s::bigint[]
) as added (quarantine_id, stream, reason, raw, payload_id, emitted_us)
on conflict (tenant_id, quarantine_id) do update
set status = 'open',
    closed_at = null,
    run_id = excluded.run_id
where quarantined.status in ('replayed', 'superseded');

-- name: add_seen_keys
-- Remember the keys of the flush, for those of its streams that are read in passes; a key that a state covers stays covered.
-- params: source_id uuid, streams text[], pass_run_ids uuid[], covered boolean
insert into pay_ready.seen_keys as seen (tenant_id, source_id, stream, run_id, record_key, covered)
select %(tenant_id)s, %(source_id)s, passes.stream, passes.run_id, copied.record_key, %(covered)s
from unnest(%(streams)s::text[], %(pass_run_ids)s::uuid[]) as passes (stream, run_id)
join pg_temp.landing_rows as copied on copied.stream = passes.stream
where not copied.deleted
on conflict (tenant_id, source_id, stream, run_id, record_key) do update
set covered = true
where not seen.covered and excluded.covered;

-- name: cover_seen_keys
-- A state was stored: what was listed before it will not be sent again.
-- params: source_id uuid, stream text, pass_run_id uuid
update pay_ready.seen_keys
set covered = true
where tenant_id = %(tenant_id)s
  and source_id = %(source_id)s
  and stream = %(stream)s
  and run_id = %(pass_run_id)s
  and not covered;

-- name: drop_uncovered_seen_keys
-- Of live passes: a backfill's chunk under way keeps its own.
-- params: source_id uuid, stream text
delete from pay_ready.seen_keys as seen
where seen.tenant_id = %(tenant_id)s
  and seen.source_id = %(source_id)s
  and seen.stream = %(stream)s
  and not seen.covered
  and not exists (
      select from pay_ready.backfill_runs as runs where runs.tenant_id = %(tenant_id)s and runs.run_id = seen.run_id
  );

-- name: drop_seen_keys
-- Of live passes.
-- params: source_id uuid, stream text
delete from pay_ready.seen_keys as seen
where seen.tenant_id = %(tenant_id)s
  and seen.source_id = %(source_id)s
  and seen.stream = %(stream)s
  and not exists (
      select from pay_ready.backfill_runs as runs where runs.tenant_id = %(tenant_id)s and runs.run_id = seen.run_id
  );

-- name: times_seen
-- How often rows without a key were listed in this pass, for those that were: their keys are "<digest>.<ordinal>".
-- params: source_id uuid, stream text, pass_run_id uuid, digests text[]
select given.digest, seen.times
from unnest(%(digests)s::text[]) as given (digest)
cross join lateral (
    select count(*) as times
    from pay_ready.seen_keys as keys
    where keys.tenant_id = %(tenant_id)s
      and keys.source_id = %(source_id)s
      and keys.stream = %(stream)s
      and keys.run_id = %(pass_run_id)s
      and keys.record_key >= given.digest || '.'
      and keys.record_key < given.digest || '/'
    offset 0
) as seen
where seen.times > 0;

-- name: measure_shrink
-- Rows of a stream that live, and those of older generations that the refresh did not list. The lookup is lateral with a limit,
-- as in write_rows: a join would be planned for the few rows that a table just filled is believed to have, and cost their square.
-- params: source_id uuid, stream text, pass_run_id uuid, generation bigint
select
    count(*) as live,
    count(*) filter (where landed.generation < %(generation)s and seen.listed is null) as gone
from pay_ready.landed_records as landed
left join lateral (
    select true as listed
    from pay_ready.seen_keys as keys
    where keys.tenant_id = %(tenant_id)s
      and keys.source_id = %(source_id)s
      and keys.stream = %(stream)s
      and keys.run_id = %(pass_run_id)s
      and keys.record_key = landed.record_key
    limit 1
) as seen on true
where landed.tenant_id = %(tenant_id)s
  and landed.source_id = %(source_id)s
  and landed.stream = %(stream)s
  and landed.deleted_at is null;

-- name: keyless_quarantined
-- Whether records of a pass could not be read, so that nobody knows which rows they were. Backfills are no part of a pass.
-- params: source_id uuid, stream text, pass_run_id uuid, unknown_stream text
select exists (
    select
    from pay_ready.stream_runs as streams
    where streams.tenant_id = %(tenant_id)s
      and streams.source_id = %(source_id)s
      and streams.stream in (%(stream)s, %(unknown_stream)s)
      and streams.run_id >= %(pass_run_id)s
      and streams.quarantined > 0
      and not exists (
          select from pay_ready.backfill_runs as runs where runs.tenant_id = %(tenant_id)s and runs.run_id = streams.run_id
      )
);

-- name: tombstone_unseen
-- Mark what a refresh did not list. Both ways to a row go by its key, see measure_shrink and write_rows. Nobody said that it is
-- gone, so it loses its place in the order: should it come back, whatever its cursor says, it is newer than its absence.
-- params: source_id uuid, stream text, run_id uuid, pass_run_id uuid, generation bigint, batch_id uuid
with gone as materialized (
    select landed.record_key, landed.batch_id, landed.payload_id, landed.content_hash, landed.emitted_at
    from pay_ready.landed_records as landed
    left join lateral (
        select true as listed
        from pay_ready.seen_keys as keys
        where keys.tenant_id = %(tenant_id)s
          and keys.source_id = %(source_id)s
          and keys.stream = %(stream)s
          and keys.run_id = %(pass_run_id)s
          and keys.record_key = landed.record_key
        limit 1
    ) as seen on true
    where landed.tenant_id = %(tenant_id)s
      and landed.source_id = %(source_id)s
      and landed.stream = %(stream)s
      and landed.deleted_at is null
      and landed.generation < %(generation)s
      and seen.listed is null
),
batches as (
    insert into pay_ready.landing_batches (tenant_id, batch_id, source_id, stream, run_id)
    select %(tenant_id)s, %(batch_id)s, %(source_id)s, %(stream)s, %(run_id)s
    where exists (select from gone)
),
marked as (
    insert into pay_ready.landed_records as landed (
        tenant_id, source_id, stream, record_key, content_hash, generation, cursor_order, emitted_at, batch_id, deleted_at
    )
    select
        %(tenant_id)s, %(source_id)s, %(stream)s, record_key, content_hash, %(generation)s, '', emitted_at, %(batch_id)s, now()
    from gone
    on conflict (tenant_id, source_id, stream, record_key) do update
    set data = null,
        payload_id = null,
        quality_flags = null,
        generation = excluded.generation,
        cursor_order = excluded.cursor_order,
        batch_id = excluded.batch_id,
        landed_at = now(),
        deleted_at = excluded.deleted_at
)
select
    batch_id as overtaken_batch_id,
    count(*) as row_count,
    array_agg(payload_id) filter (where payload_id is not null) as left_payload_ids
from gone
group by batch_id;

-- name: end_pass
-- params: source_id uuid, stream text
update pay_ready.stream_states
set pass_run_id = null
where tenant_id = %(tenant_id)s
  and source_id = %(source_id)s
  and stream = %(stream)s;
