-- Rows on their way between a table and an archive; written from the catalogue by `python -m tests.archived_tables`, never by hand.
-- A page of an archive's rows is copied to a temporary table. Whatever is not to the last value what the archive has, stays; and what is
-- in the table already is never written over.

-- name: make_assignments
-- scope: session
create temporary table if not exists retention_assignments (
    entity_type text,
    record_id uuid,
    opened_run_no bigint,
    closed_run_no bigint,
    entity_id uuid,
    confidence real
) on commit delete rows;

-- name: delete_assignments
delete from pay_ready.assignments as held
using pg_temp.retention_assignments as archived
where held.tenant_id = %(tenant_id)s
  and held.entity_type = archived.entity_type
  and held.record_id = archived.record_id
  and held.opened_run_no = archived.opened_run_no
  and (
      held.closed_run_no, held.entity_id, held.confidence
  ) is not distinct from (
      archived.closed_run_no, archived.entity_id, archived.confidence
  );

-- name: restore_assignments
insert into pay_ready.assignments (
    tenant_id, entity_type, record_id, opened_run_no, closed_run_no, entity_id, confidence
)
select
    %(tenant_id)s, archived.entity_type, archived.record_id, archived.opened_run_no, archived.closed_run_no, archived.entity_id,
    archived.confidence
from pg_temp.retention_assignments as archived
on conflict (tenant_id, entity_type, record_id, opened_run_no) do nothing;

-- name: make_entity_versions
-- scope: session
create temporary table if not exists retention_entity_versions (
    entity_id uuid,
    opened_run_no bigint,
    closed_run_no bigint,
    entity_type text,
    name text,
    email text,
    phone text,
    domain text,
    title text,
    company_entity_id uuid,
    record_count integer,
    golden jsonb,
    provenance jsonb,
    content_hash bytea
) on commit delete rows;

-- name: delete_entity_versions
delete from pay_ready.entity_versions as held
using pg_temp.retention_entity_versions as archived
where held.tenant_id = %(tenant_id)s
  and held.entity_id = archived.entity_id
  and held.opened_run_no = archived.opened_run_no
  and (
      held.closed_run_no, held.entity_type, held.name, held.email, held.phone, held.domain, held.title, held.company_entity_id,
      held.record_count, held.golden, held.provenance, held.content_hash
  ) is not distinct from (
      archived.closed_run_no, archived.entity_type, archived.name, archived.email, archived.phone, archived.domain, archived.title,
      archived.company_entity_id, archived.record_count, archived.golden, archived.provenance, archived.content_hash
  );

-- name: restore_entity_versions
insert into pay_ready.entity_versions (
    tenant_id, entity_id, opened_run_no, closed_run_no, entity_type, name, email, phone, domain, title, company_entity_id,
    record_count, golden, provenance, content_hash
)
select
    %(tenant_id)s, archived.entity_id, archived.opened_run_no, archived.closed_run_no, archived.entity_type, archived.name,
    archived.email, archived.phone, archived.domain, archived.title, archived.company_entity_id, archived.record_count,
    archived.golden, archived.provenance, archived.content_hash
from pg_temp.retention_entity_versions as archived
on conflict (tenant_id, entity_id, opened_run_no) do nothing;

-- name: make_interaction_entities
-- scope: session
create temporary table if not exists retention_interaction_entities (
    interaction_id uuid,
    entity_id uuid,
    opened_run_no bigint,
    closed_run_no bigint,
    entity_type text,
    is_primary boolean,
    occurred_at timestamp with time zone
) on commit delete rows;

-- name: delete_interaction_entities
delete from pay_ready.interaction_entities as held
using pg_temp.retention_interaction_entities as archived
where held.tenant_id = %(tenant_id)s
  and held.interaction_id = archived.interaction_id
  and held.entity_id = archived.entity_id
  and held.opened_run_no = archived.opened_run_no
  and (
      held.closed_run_no, held.entity_type, held.is_primary, held.occurred_at
  ) is not distinct from (
      archived.closed_run_no, archived.entity_type, archived.is_primary, archived.occurred_at
  );

-- name: restore_interaction_entities
insert into pay_ready.interaction_entities (
    tenant_id, interaction_id, entity_id, opened_run_no, closed_run_no, entity_type, is_primary, occurred_at
)
select
    %(tenant_id)s, archived.interaction_id, archived.entity_id, archived.opened_run_no, archived.closed_run_no,
    archived.entity_type, archived.is_primary, archived.occurred_at
from pg_temp.retention_interaction_entities as archived
on conflict (tenant_id, interaction_id, entity_id, opened_run_no) do nothing;

-- name: make_landed_records
-- scope: session
create temporary table if not exists retention_landed_records (
    source_id uuid,
    stream text,
    record_key text,
    data jsonb,
    payload_id uuid,
    content_hash bytea,
    generation bigint,
    cursor_order text,
    emitted_at timestamp with time zone,
    batch_id uuid,
    first_landed_at timestamp with time zone,
    landed_at timestamp with time zone,
    corrects_hash bytea,
    deleted_at timestamp with time zone,
    quality_flags jsonb
) on commit delete rows;

-- name: delete_landed_records
delete from pay_ready.landed_records as held
using pg_temp.retention_landed_records as archived
where held.tenant_id = %(tenant_id)s
  and held.source_id = archived.source_id
  and held.stream = archived.stream
  and held.record_key = archived.record_key
  and (
      held.data, held.payload_id, held.content_hash, held.generation, held.cursor_order, held.emitted_at, held.batch_id,
      held.first_landed_at, held.landed_at, held.corrects_hash, held.deleted_at, held.quality_flags
  ) is not distinct from (
      archived.data, archived.payload_id, archived.content_hash, archived.generation, archived.cursor_order, archived.emitted_at,
      archived.batch_id, archived.first_landed_at, archived.landed_at, archived.corrects_hash, archived.deleted_at,
      archived.quality_flags
  );

-- name: restore_landed_records
insert into pay_ready.landed_records (
    tenant_id, source_id, stream, record_key, data, payload_id, content_hash, generation, cursor_order, emitted_at, batch_id,
    first_landed_at, landed_at, corrects_hash, deleted_at, quality_flags
)
select
    %(tenant_id)s, archived.source_id, archived.stream, archived.record_key, archived.data, archived.payload_id,
    archived.content_hash, archived.generation, archived.cursor_order, archived.emitted_at, archived.batch_id,
    archived.first_landed_at, archived.landed_at, archived.corrects_hash, archived.deleted_at, archived.quality_flags
from pg_temp.retention_landed_records as archived
on conflict (tenant_id, source_id, stream, record_key) do nothing;

-- name: make_landing_batches
-- scope: session
create temporary table if not exists retention_landing_batches (
    batch_id uuid,
    source_id uuid,
    stream text,
    run_id uuid,
    commit_seq bigint,
    landed bigint,
    landed_at timestamp with time zone
) on commit delete rows;

-- name: delete_landing_batches
delete from pay_ready.landing_batches as held
using pg_temp.retention_landing_batches as archived
where held.tenant_id = %(tenant_id)s
  and held.batch_id = archived.batch_id
  and (
      held.source_id, held.stream, held.run_id, held.commit_seq, held.landed, held.landed_at
  ) is not distinct from (
      archived.source_id, archived.stream, archived.run_id, archived.commit_seq, archived.landed, archived.landed_at
  )
  and not exists (
      select from pay_ready.quarantined_records as kept where kept.tenant_id = held.tenant_id and kept.run_id = held.run_id
  );

-- name: restore_landing_batches
insert into pay_ready.landing_batches (
    tenant_id, batch_id, source_id, stream, run_id, commit_seq, landed, landed_at
)
select
    %(tenant_id)s, archived.batch_id, archived.source_id, archived.stream, archived.run_id, archived.commit_seq, archived.landed,
    archived.landed_at
from pg_temp.retention_landing_batches as archived
on conflict (tenant_id, batch_id) do nothing;

-- name: make_large_payloads
-- scope: session
create temporary table if not exists retention_large_payloads (
    payload_id uuid,
    source_id uuid,
    size_bytes bigint,
    content bytea,
    created_at timestamp with time zone
) on commit delete rows;

-- name: delete_large_payloads
delete from pay_ready.large_payloads as held
using pg_temp.retention_large_payloads as archived
where held.tenant_id = %(tenant_id)s
  and held.payload_id = archived.payload_id
  and (
      held.source_id, held.size_bytes, held.content, held.created_at
  ) is not distinct from (
      archived.source_id, archived.size_bytes, archived.content, archived.created_at
  )
  and not exists (
      select from pay_ready.landed_records as landed
      where landed.tenant_id = %(tenant_id)s and landed.payload_id = held.payload_id
  )
  and not exists (
      select from pay_ready.quarantined_records as kept
      where kept.tenant_id = %(tenant_id)s and kept.payload_id = held.payload_id
  );

-- name: restore_large_payloads
insert into pay_ready.large_payloads (
    tenant_id, payload_id, source_id, size_bytes, content, created_at
)
select
    %(tenant_id)s, archived.payload_id, archived.source_id, archived.size_bytes, archived.content, archived.created_at
from pg_temp.retention_large_payloads as archived
on conflict (tenant_id, payload_id) do nothing;

-- name: make_memories
-- scope: session
create temporary table if not exists retention_memories (
    memory_id uuid,
    interaction_id uuid,
    chunk_no integer,
    chunk_text text,
    language text,
    content_hash bytea,
    occurred_at timestamp with time zone,
    touched_at timestamp with time zone,
    source_id uuid,
    interaction_type text,
    thread_id text,
    start_s double precision,
    end_s double precision,
    lexemes tsvector
) on commit delete rows;

-- name: delete_memories
delete from pay_ready.memories as held
using pg_temp.retention_memories as archived
where held.tenant_id = %(tenant_id)s
  and held.memory_id = archived.memory_id
  and (
      held.interaction_id, held.chunk_no, held.chunk_text, held.language, held.content_hash, held.occurred_at, held.touched_at,
      held.source_id, held.interaction_type, held.thread_id, held.start_s, held.end_s, held.lexemes
  ) is not distinct from (
      archived.interaction_id, archived.chunk_no, archived.chunk_text, archived.language, archived.content_hash,
      archived.occurred_at, archived.touched_at, archived.source_id, archived.interaction_type, archived.thread_id,
      archived.start_s, archived.end_s, archived.lexemes
  )
  and exists (
      select from pay_ready.archived_interactions as left_out
      where left_out.tenant_id = held.tenant_id and left_out.interaction_id = held.interaction_id
  );

-- name: restore_memories
insert into pay_ready.memories (
    tenant_id, memory_id, interaction_id, chunk_no, chunk_text, language, content_hash, occurred_at, touched_at, source_id,
    interaction_type, thread_id, start_s, end_s, lexemes
)
select
    %(tenant_id)s, archived.memory_id, archived.interaction_id, archived.chunk_no, archived.chunk_text, archived.language,
    archived.content_hash, archived.occurred_at, archived.touched_at, archived.source_id, archived.interaction_type,
    archived.thread_id, archived.start_s, archived.end_s, archived.lexemes
from pg_temp.retention_memories as archived
where exists (
    select from pay_ready.interaction_records as said
    where said.tenant_id = %(tenant_id)s and said.interaction_id = archived.interaction_id and said.is_primary
)
  and not exists (
      select from pay_ready.memories as held where held.tenant_id = %(tenant_id)s and held.interaction_id = archived.interaction_id
  )
on conflict (tenant_id, memory_id) do nothing;

-- name: make_quality_results
-- scope: session
create temporary table if not exists retention_quality_results (
    result_id uuid,
    run_id uuid,
    check_name text,
    subject text,
    severity text,
    passed boolean,
    measured double precision,
    expected text,
    checked_at timestamp with time zone
) on commit delete rows;

-- name: delete_quality_results
delete from pay_ready.quality_results as held
using pg_temp.retention_quality_results as archived
where held.tenant_id = %(tenant_id)s
  and held.result_id = archived.result_id
  and (
      held.run_id, held.check_name, held.subject, held.severity, held.passed, held.measured, held.expected, held.checked_at
  ) is not distinct from (
      archived.run_id, archived.check_name, archived.subject, archived.severity, archived.passed, archived.measured,
      archived.expected, archived.checked_at
  );

-- name: restore_quality_results
insert into pay_ready.quality_results (
    tenant_id, result_id, run_id, check_name, subject, severity, passed, measured, expected, checked_at
)
select
    %(tenant_id)s, archived.result_id, archived.run_id, archived.check_name, archived.subject, archived.severity, archived.passed,
    archived.measured, archived.expected, archived.checked_at
from pg_temp.retention_quality_results as archived
on conflict (tenant_id, result_id) do nothing;

-- name: make_quarantined_records
-- scope: session
create temporary table if not exists retention_quarantined_records (
    quarantine_id uuid,
    source_id uuid,
    stream text,
    record_key text,
    step text,
    reason text,
    field text,
    contract_version text,
    run_id uuid,
    raw bytea,
    payload_id uuid,
    emitted_at timestamp with time zone,
    status text,
    quarantined_at timestamp with time zone,
    closed_at timestamp with time zone
) on commit delete rows;

-- name: delete_quarantined_records
delete from pay_ready.quarantined_records as held
using pg_temp.retention_quarantined_records as archived
where held.tenant_id = %(tenant_id)s
  and held.quarantine_id = archived.quarantine_id
  and (
      held.source_id, held.stream, held.record_key, held.step, held.reason, held.field, held.contract_version, held.run_id,
      held.raw, held.payload_id, held.emitted_at, held.status, held.quarantined_at, held.closed_at
  ) is not distinct from (
      archived.source_id, archived.stream, archived.record_key, archived.step, archived.reason, archived.field,
      archived.contract_version, archived.run_id, archived.raw, archived.payload_id, archived.emitted_at, archived.status,
      archived.quarantined_at, archived.closed_at
  )
  and (
      held.status <> 'dismissed'
      or not exists (
          select from pay_ready.landed_records as landed
          where landed.tenant_id = held.tenant_id and landed.source_id = held.source_id and landed.stream = held.stream
            and landed.record_key = held.record_key and landed.deleted_at is null
      )
  );

-- name: restore_quarantined_records
insert into pay_ready.quarantined_records (
    tenant_id, quarantine_id, source_id, stream, record_key, step, reason, field, contract_version, run_id, raw, payload_id,
    emitted_at, status, quarantined_at, closed_at
)
select
    %(tenant_id)s, archived.quarantine_id, archived.source_id, archived.stream, archived.record_key, archived.step, archived.reason,
    archived.field, archived.contract_version, archived.run_id, archived.raw, archived.payload_id, archived.emitted_at,
    archived.status, archived.quarantined_at, archived.closed_at
from pg_temp.retention_quarantined_records as archived
on conflict (tenant_id, quarantine_id) do nothing;

-- name: make_run_decisions
-- scope: session
create temporary table if not exists retention_run_decisions (
    decision_id uuid,
    opened_run_no bigint,
    closed_run_no bigint
) on commit delete rows;

-- name: delete_run_decisions
delete from pay_ready.run_decisions as held
using pg_temp.retention_run_decisions as archived
where held.tenant_id = %(tenant_id)s
  and held.decision_id = archived.decision_id
  and held.opened_run_no = archived.opened_run_no
  and (
      held.closed_run_no
  ) is not distinct from (
      archived.closed_run_no
  );

-- name: restore_run_decisions
insert into pay_ready.run_decisions (
    tenant_id, decision_id, opened_run_no, closed_run_no
)
select
    %(tenant_id)s, archived.decision_id, archived.opened_run_no, archived.closed_run_no
from pg_temp.retention_run_decisions as archived
where exists (
    select from pay_ready.decisions as told where told.tenant_id = %(tenant_id)s and told.decision_id = archived.decision_id
)
on conflict (tenant_id, decision_id, opened_run_no) do nothing;

-- name: make_step_logs
-- scope: session
create temporary table if not exists retention_step_logs (
    logged_at timestamp with time zone,
    log_id uuid,
    run_id uuid,
    level text,
    event text,
    fields jsonb
) on commit delete rows;

-- name: delete_step_logs
delete from pay_ready.step_logs as held
using pg_temp.retention_step_logs as archived
where held.tenant_id = %(tenant_id)s
  and held.logged_at = archived.logged_at
  and held.log_id = archived.log_id
  and (
      held.run_id, held.level, held.event, held.fields
  ) is not distinct from (
      archived.run_id, archived.level, archived.event, archived.fields
  );

-- name: restore_step_logs
insert into pay_ready.step_logs (
    tenant_id, logged_at, log_id, run_id, level, event, fields
)
select
    %(tenant_id)s, archived.logged_at, archived.log_id, archived.run_id, archived.level, archived.event, archived.fields
from pg_temp.retention_step_logs as archived
on conflict (tenant_id, logged_at, log_id) do nothing;

-- name: make_step_runs
-- scope: session
create temporary table if not exists retention_step_runs (
    step_run_id uuid,
    run_id uuid,
    step text,
    subject text,
    status text,
    started_at timestamp with time zone,
    finished_at timestamp with time zone,
    row_count bigint,
    error_class text
) on commit delete rows;

-- name: delete_step_runs
delete from pay_ready.step_runs as held
using pg_temp.retention_step_runs as archived
where held.tenant_id = %(tenant_id)s
  and held.step_run_id = archived.step_run_id
  and (
      held.run_id, held.step, held.subject, held.status, held.started_at, held.finished_at, held.row_count, held.error_class
  ) is not distinct from (
      archived.run_id, archived.step, archived.subject, archived.status, archived.started_at, archived.finished_at,
      archived.row_count, archived.error_class
  );

-- name: restore_step_runs
insert into pay_ready.step_runs (
    tenant_id, step_run_id, run_id, step, subject, status, started_at, finished_at, row_count, error_class
)
select
    %(tenant_id)s, archived.step_run_id, archived.run_id, archived.step, archived.subject, archived.status, archived.started_at,
    archived.finished_at, archived.row_count, archived.error_class
from pg_temp.retention_step_runs as archived
on conflict (tenant_id, step_run_id) do nothing;

-- name: make_stream_runs
-- scope: session
create temporary table if not exists retention_stream_runs (
    run_id uuid,
    source_id uuid,
    stream text,
    status text,
    emitted bigint,
    landed bigint,
    unchanged bigint,
    superseded bigint,
    deleted bigint,
    quarantined bigint,
    tombstoned bigint,
    staged bigint,
    unmapped bigint,
    stage_quarantined bigint,
    flagged bigint,
    watermark_before text,
    watermark_after text,
    skipped bigint,
    undated bigint,
    suppressed bigint
) on commit delete rows;

-- name: delete_stream_runs
delete from pay_ready.stream_runs as held
using pg_temp.retention_stream_runs as archived
where held.tenant_id = %(tenant_id)s
  and held.run_id = archived.run_id
  and held.stream = archived.stream
  and (
      held.source_id, held.status, held.emitted, held.landed, held.unchanged, held.superseded, held.deleted, held.quarantined,
      held.tombstoned, held.staged, held.unmapped, held.stage_quarantined, held.flagged, held.watermark_before,
      held.watermark_after, held.skipped, held.undated, held.suppressed
  ) is not distinct from (
      archived.source_id, archived.status, archived.emitted, archived.landed, archived.unchanged, archived.superseded,
      archived.deleted, archived.quarantined, archived.tombstoned, archived.staged, archived.unmapped, archived.stage_quarantined,
      archived.flagged, archived.watermark_before, archived.watermark_after, archived.skipped, archived.undated, archived.suppressed
  )
  and not exists (
      select from pay_ready.quarantined_records as kept where kept.tenant_id = held.tenant_id and kept.run_id = held.run_id
  );

-- name: restore_stream_runs
insert into pay_ready.stream_runs (
    tenant_id, run_id, source_id, stream, status, emitted, landed, unchanged, superseded, deleted, quarantined, tombstoned, staged,
    unmapped, stage_quarantined, flagged, watermark_before, watermark_after, skipped, undated, suppressed
)
select
    %(tenant_id)s, archived.run_id, archived.source_id, archived.stream, archived.status, archived.emitted, archived.landed,
    archived.unchanged, archived.superseded, archived.deleted, archived.quarantined, archived.tombstoned, archived.staged,
    archived.unmapped, archived.stage_quarantined, archived.flagged, archived.watermark_before, archived.watermark_after,
    archived.skipped, archived.undated, archived.suppressed
from pg_temp.retention_stream_runs as archived
on conflict (tenant_id, run_id, stream) do nothing;

-- name: make_sync_runs
-- scope: session
create temporary table if not exists retention_sync_runs (
    run_id uuid,
    source_id uuid,
    ingest_mode text,
    status text,
    lease_token bigint,
    started_at timestamp with time zone,
    finished_at timestamp with time zone,
    error_class text,
    error_text text,
    report jsonb
) on commit delete rows;

-- name: delete_sync_runs
delete from pay_ready.sync_runs as held
using pg_temp.retention_sync_runs as archived
where held.tenant_id = %(tenant_id)s
  and held.run_id = archived.run_id
  and (
      held.source_id, held.ingest_mode, held.status, held.lease_token, held.started_at, held.finished_at, held.error_class,
      held.error_text, held.report
  ) is not distinct from (
      archived.source_id, archived.ingest_mode, archived.status, archived.lease_token, archived.started_at, archived.finished_at,
      archived.error_class, archived.error_text, archived.report
  )
  and not exists (
      select from pay_ready.quarantined_records as kept where kept.tenant_id = held.tenant_id and kept.run_id = held.run_id
  );

-- name: restore_sync_runs
insert into pay_ready.sync_runs (
    tenant_id, run_id, source_id, ingest_mode, status, lease_token, started_at, finished_at, error_class, error_text, report
)
select
    %(tenant_id)s, archived.run_id, archived.source_id, archived.ingest_mode, archived.status, archived.lease_token,
    archived.started_at, archived.finished_at, archived.error_class, archived.error_text, archived.report
from pg_temp.retention_sync_runs as archived
on conflict (tenant_id, run_id) do nothing;
