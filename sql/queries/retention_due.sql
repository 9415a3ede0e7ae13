-- Rows that are older than a tenant keeps them, and that nothing needs any more: each statement is of one table, and gives what an archive
-- keeps of a row; `aged_at` is when it began to grow old. What verify, a rollback, an undo, the next sync or a steward asks for stays.

-- name: landed_records
-- Marks of records that the source no longer has: staged as gone, and no pass over the stream is under way. A record that the source has,
-- and any that waits to be staged, stays.
-- params: cutoff timestamptz
select
    landed.source_id, landed.stream, landed.record_key, landed.data::text as data, landed.payload_id, landed.content_hash, landed.generation,
    landed.cursor_order, landed.emitted_at, landed.batch_id, landed.first_landed_at, landed.landed_at, landed.corrects_hash, landed.deleted_at,
    landed.quality_flags::text as quality_flags, landed.deleted_at as aged_at
from pay_ready.landed_records as landed
join pay_ready.landing_batches as batches on batches.tenant_id = landed.tenant_id and batches.batch_id = landed.batch_id
join pay_ready.stream_states as states
    on states.tenant_id = landed.tenant_id and states.source_id = landed.source_id and states.stream = landed.stream
where landed.tenant_id = %(tenant_id)s
  and landed.deleted_at < %(cutoff)s
  and landed.payload_id is null
  and batches.commit_seq <= states.staged_commit_seq
  and (states.restaging_version is null or batches.commit_seq <= states.restaged_commit_seq)
  and states.pass_run_id is null
  and not exists (
      select from pay_ready.interaction_records as staged
      where staged.tenant_id = landed.tenant_id and staged.source_id = landed.source_id and staged.stream = landed.stream
        and staged.record_key = landed.record_key
  );

-- name: assignments
-- Closed by a run from before the cutoff, and part of no state that is kept: thresholds on both sides of none are equal.
-- params: through_run_no bigint, kept_runs bigint[] (ascending)
select
    held.entity_type, held.record_id, held.opened_run_no, held.closed_run_no, held.entity_id, held.confidence,
    closing.published_at as aged_at
from pay_ready.assignments as held
join pay_ready.resolution_runs as closing on closing.tenant_id = held.tenant_id and closing.run_no = held.closed_run_no
where held.tenant_id = %(tenant_id)s
  and held.closed_run_no <= %(through_run_no)s
  and width_bucket(held.closed_run_no - 1, %(kept_runs)s::bigint[]) = width_bucket(held.opened_run_no - 1, %(kept_runs)s::bigint[]);

-- name: entity_versions
-- params: as assignments
select
    held.entity_id, held.opened_run_no, held.closed_run_no, held.entity_type, held.name, held.email, held.phone, held.domain, held.title,
    held.company_entity_id, held.record_count, held.golden::text as golden, held.provenance::text as provenance, held.content_hash,
    closing.published_at as aged_at
from pay_ready.entity_versions as held
join pay_ready.resolution_runs as closing on closing.tenant_id = held.tenant_id and closing.run_no = held.closed_run_no
where held.tenant_id = %(tenant_id)s
  and held.closed_run_no <= %(through_run_no)s
  and width_bucket(held.closed_run_no - 1, %(kept_runs)s::bigint[]) = width_bucket(held.opened_run_no - 1, %(kept_runs)s::bigint[]);

-- name: interaction_entities
-- params: as assignments
select
    held.interaction_id, held.entity_id, held.opened_run_no, held.closed_run_no, held.entity_type, held.is_primary, held.occurred_at,
    closing.published_at as aged_at
from pay_ready.interaction_entities as held
join pay_ready.resolution_runs as closing on closing.tenant_id = held.tenant_id and closing.run_no = held.closed_run_no
where held.tenant_id = %(tenant_id)s
  and held.closed_run_no <= %(through_run_no)s
  and width_bucket(held.closed_run_no - 1, %(kept_runs)s::bigint[]) = width_bucket(held.opened_run_no - 1, %(kept_runs)s::bigint[]);

-- name: run_decisions
-- params: as assignments
select held.decision_id, held.opened_run_no, held.closed_run_no, closing.published_at as aged_at
from pay_ready.run_decisions as held
join pay_ready.resolution_runs as closing on closing.tenant_id = held.tenant_id and closing.run_no = held.closed_run_no
where held.tenant_id = %(tenant_id)s
  and held.closed_run_no <= %(through_run_no)s
  and width_bucket(held.closed_run_no - 1, %(kept_runs)s::bigint[]) = width_bucket(held.opened_run_no - 1, %(kept_runs)s::bigint[]);

-- name: quarantined_records
-- Closed ones. What a steward dismissed stays while its landed row stands (it would be nowhere), and for good where no row could hold it:
-- the same bytes would come up again.
-- params: cutoff timestamptz
select
    kept.quarantine_id, kept.source_id, kept.stream, kept.record_key, kept.step, kept.reason, kept.field, kept.contract_version, kept.run_id,
    kept.raw, kept.payload_id, kept.emitted_at, kept.status, kept.quarantined_at, kept.closed_at, kept.closed_at as aged_at
from pay_ready.quarantined_records as kept
where kept.tenant_id = %(tenant_id)s
  and kept.closed_at < %(cutoff)s
  and (
      kept.status in ('replayed', 'superseded')
      or (
          kept.status = 'dismissed'
          and kept.step = 'stage'
          and not exists (
              select from pay_ready.landed_records as landed
              where landed.tenant_id = kept.tenant_id and landed.source_id = kept.source_id and landed.stream = kept.stream
                and landed.record_key = kept.record_key and landed.deleted_at is null
          )
      )
  );

-- name: sync_runs
-- Syncs that ended, but for the newest of each source, those that anything still names, and those of whose rows one still stands; the
-- newest batch of a stream stays, for by it the volume guard sees that nothing changed.
-- params: cutoff timestamptz, keep_runs bigint (of each source)
select
    runs.run_id, runs.source_id, runs.ingest_mode, runs.status, runs.lease_token, runs.started_at, runs.finished_at, runs.error_class,
    runs.error_text, runs.report::text as report, runs.finished_at as aged_at
from (
    select syncs.*, row_number() over (partition by syncs.source_id order by syncs.run_id desc) as place
    from pay_ready.sync_runs as syncs
    where syncs.tenant_id = %(tenant_id)s
) as runs
where runs.place > %(keep_runs)s
  and runs.status <> 'running'
  and runs.finished_at < %(cutoff)s
  and not exists (
      select from pay_ready.stream_states as states
      where states.tenant_id = %(tenant_id)s and states.source_id = runs.source_id
        and (states.run_id = runs.run_id or states.pass_run_id <= runs.run_id)
  )
  and not exists (
      select from pay_ready.quarantined_records as kept where kept.tenant_id = %(tenant_id)s and kept.run_id = runs.run_id
  )
  and not exists (
      select from pay_ready.seen_keys as seen
      where seen.tenant_id = %(tenant_id)s and seen.source_id = runs.source_id and seen.run_id = runs.run_id
  )
  and not exists (
      select from pay_ready.stream_schemas as shapes where shapes.tenant_id = %(tenant_id)s and shapes.run_id = runs.run_id
  )
  and not exists (
      select from pay_ready.backfill_runs as chunks where chunks.tenant_id = %(tenant_id)s and chunks.run_id = runs.run_id
  )
  and not exists (
      select from pay_ready.backfill_batches as chunks where chunks.tenant_id = %(tenant_id)s and chunks.run_id = runs.run_id
  )
  and not exists (
      select from pay_ready.backfill_states as chunks where chunks.tenant_id = %(tenant_id)s and chunks.pass_run_id = runs.run_id
  )
  and not exists (
      select from pay_ready.landing_batches as batches
      left join pay_ready.stream_states as states
          on states.tenant_id = batches.tenant_id and states.source_id = batches.source_id and states.stream = batches.stream
      where batches.tenant_id = %(tenant_id)s
        and batches.run_id = runs.run_id
        and (
            batches.commit_seq is null
            or batches.commit_seq > coalesce(states.staged_commit_seq, 0)
            or (states.restaging_version is not null and batches.commit_seq > states.restaged_commit_seq)
            or exists (
                select from pay_ready.landed_records as landed
                where landed.tenant_id = %(tenant_id)s and landed.batch_id = batches.batch_id
            )
            or not exists (
                select from pay_ready.landing_batches as later
                where later.tenant_id = %(tenant_id)s and later.source_id = batches.source_id and later.stream = batches.stream
                  and later.commit_seq > batches.commit_seq
            )
        )
  );

-- name: stream_runs
-- Of syncs that go.
-- params: run_ids uuid[]
select
    streams.run_id, streams.source_id, streams.stream, streams.status, streams.emitted, streams.landed, streams.unchanged, streams.superseded,
    streams.deleted, streams.quarantined, streams.tombstoned, streams.staged, streams.unmapped, streams.stage_quarantined, streams.flagged,
    streams.watermark_before, streams.watermark_after, streams.skipped, streams.undated, streams.suppressed, runs.finished_at as aged_at
from pay_ready.stream_runs as streams
join pay_ready.sync_runs as runs on runs.tenant_id = streams.tenant_id and runs.run_id = streams.run_id
where streams.tenant_id = %(tenant_id)s
  and streams.run_id = any(%(run_ids)s);

-- name: landing_batches
-- Of syncs that go.
-- params: run_ids uuid[]
select
    batches.batch_id, batches.source_id, batches.stream, batches.run_id, batches.commit_seq, batches.landed, batches.landed_at,
    batches.landed_at as aged_at
from pay_ready.landing_batches as batches
where batches.tenant_id = %(tenant_id)s
  and batches.run_id = any(%(run_ids)s);

-- name: step_logs
-- params: cutoff timestamptz
select logged_at, log_id, run_id, level, event, fields::text as fields, logged_at as aged_at
from pay_ready.step_logs
where tenant_id = %(tenant_id)s
  and logged_at < %(cutoff)s;

-- name: step_runs
-- params: cutoff timestamptz
select
    step_run_id, run_id, step, subject, status, started_at, finished_at, row_count, error_class, finished_at as aged_at
from pay_ready.step_runs
where tenant_id = %(tenant_id)s
  and finished_at < %(cutoff)s;

-- name: quality_results
-- params: cutoff timestamptz
select
    result_id, run_id, check_name, subject, severity, passed, measured, expected, checked_at, checked_at as aged_at
from pay_ready.quality_results
where tenant_id = %(tenant_id)s
  and checked_at < %(cutoff)s;

-- name: memories
-- Passages of interactions from before the cutoff of which none was asked for since, all of an interaction or none; one that memory has
-- yet to hear of stays.
-- params: cutoff timestamptz
select
    passages.memory_id, passages.interaction_id, passages.chunk_no, passages.chunk_text, passages.language, passages.content_hash,
    passages.occurred_at, passages.touched_at, passages.source_id, passages.interaction_type, passages.thread_id, passages.start_s,
    passages.end_s, passages.lexemes::text as lexemes, passages.touched_at as aged_at
from pay_ready.memories as passages
where passages.tenant_id = %(tenant_id)s
  and passages.interaction_id in (
      select held.interaction_id
      from pay_ready.memories as held
      where held.tenant_id = %(tenant_id)s
      group by held.interaction_id
      having max(greatest(held.touched_at, held.occurred_at)) < %(cutoff)s
  )
  and not exists (
      select from pay_ready.memory_outbox as told
      where told.tenant_id = %(tenant_id)s and told.object_kind = 'interaction' and told.object_id = passages.interaction_id::text
  )
order by passages.interaction_id, passages.chunk_no;
