-- name: keep_breaches
-- Records of the chunk that broke their contract. The same bytes find the same row: it opens again, unless somebody
-- dismissed it.
-- params: source_id uuid, stream text
insert into pay_ready.quarantined_records as kept (
    tenant_id, quarantine_id, source_id, stream, record_key, step, reason, field, contract_version, run_id, raw, payload_id,
    emitted_at
)
select
    %(tenant_id)s, quarantine_id, %(source_id)s, %(stream)s, record_key, 'stage', reason, field, contract_version, run_id, raw,
    payload_id, emitted_at
from chunk_breaches
on conflict (tenant_id, quarantine_id) do update
set field = excluded.field,
    contract_version = excluded.contract_version,
    run_id = excluded.run_id,
    raw = excluded.raw,
    payload_id = excluded.payload_id,
    emitted_at = excluded.emitted_at,
    status = case kept.status when 'dismissed' then 'dismissed' else 'open' end,
    closed_at = case kept.status when 'dismissed' then kept.closed_at end
where kept.status not in ('open', 'dismissed')
   or (kept.field, kept.contract_version, kept.run_id, kept.emitted_at)
      is distinct from (excluded.field, excluded.contract_version, excluded.run_id, excluded.emitted_at);

-- name: close_mended
-- Rows of the chunk that passed, are gone, or break the contract in another way: what was kept of them is closed.
-- params: source_id uuid, stream text, status text (of those that passed)
update pay_ready.quarantined_records as kept
set status = case when chunk_rows.outcome = 'staged' then %(status)s else 'superseded' end,
    closed_at = greatest(now(), kept.quarantined_at)
from chunk_rows
where kept.tenant_id = %(tenant_id)s
  and kept.source_id = %(source_id)s
  and kept.stream = %(stream)s
  and kept.record_key = chunk_rows.record_key
  and kept.step = 'stage'
  and kept.status in ('open', 'dismissed')
  and not exists (select from chunk_breaches where chunk_breaches.quarantine_id = kept.quarantine_id);

-- name: list
-- hot: a steward
-- Quarantined records, newest first; without their bytes. A filter that is null lets everything pass.
-- params: source_id uuid, stream text, step text, reason text, status text, run_id uuid, most integer
select
    kept.quarantine_id, kept.source_id, sources.name as source, sources.kind, kept.stream, kept.record_key, kept.step, kept.reason,
    kept.field, kept.contract_version, kept.run_id, kept.status, kept.quarantined_at, kept.closed_at,
    coalesce(octet_length(kept.raw), payloads.size_bytes)::bigint as size_bytes
from pay_ready.quarantined_records as kept
join pay_ready.data_sources as sources on sources.tenant_id = kept.tenant_id and sources.source_id = kept.source_id
left join pay_ready.large_payloads as payloads on payloads.tenant_id = kept.tenant_id and payloads.payload_id = kept.payload_id
where kept.tenant_id = %(tenant_id)s
  and (%(source_id)s::uuid is null or kept.source_id = %(source_id)s::uuid)
  and (%(stream)s::text is null or kept.stream = %(stream)s::text)
  and (%(step)s::text is null or kept.step = %(step)s::text)
  and (%(reason)s::text is null or kept.reason = %(reason)s::text)
  and (%(status)s::text is null or kept.status = %(status)s::text)
  and (%(run_id)s::uuid is null or kept.run_id = %(run_id)s::uuid)
order by kept.quarantined_at desc, kept.quarantine_id
limit %(most)s;

-- name: groups
-- Quarantined records counted by source, stream, step, reason and field; most first.
-- params: source_id uuid, stream text, step text, reason text, status text, run_id uuid
select
    sources.name as source, kept.stream, kept.step, kept.reason, kept.field, kept.status, count(*) as row_count,
    min(kept.quarantined_at) as first_at, max(kept.quarantined_at) as last_at
from pay_ready.quarantined_records as kept
join pay_ready.data_sources as sources on sources.tenant_id = kept.tenant_id and sources.source_id = kept.source_id
where kept.tenant_id = %(tenant_id)s
  and (%(source_id)s::uuid is null or kept.source_id = %(source_id)s::uuid)
  and (%(stream)s::text is null or kept.stream = %(stream)s::text)
  and (%(step)s::text is null or kept.step = %(step)s::text)
  and (%(reason)s::text is null or kept.reason = %(reason)s::text)
  and (%(status)s::text is null or kept.status = %(status)s::text)
  and (%(run_id)s::uuid is null or kept.run_id = %(run_id)s::uuid)
group by sources.name, kept.stream, kept.step, kept.reason, kept.field, kept.status
order by row_count desc, sources.name, kept.stream, kept.step, kept.reason, kept.field, kept.status;

-- name: content
-- One quarantined record with its bytes.
-- params: quarantine_id uuid
select
    kept.quarantine_id, kept.source_id, sources.name as source, sources.kind, kept.stream, kept.record_key, kept.step, kept.reason,
    kept.field, kept.contract_version, kept.run_id, kept.status, kept.quarantined_at, kept.closed_at,
    coalesce(octet_length(kept.raw), payloads.size_bytes)::bigint as size_bytes,
    coalesce(kept.raw, payloads.content) as content
from pay_ready.quarantined_records as kept
join pay_ready.data_sources as sources on sources.tenant_id = kept.tenant_id and sources.source_id = kept.source_id
left join pay_ready.large_payloads as payloads on payloads.tenant_id = kept.tenant_id and payloads.payload_id = kept.payload_id
where kept.tenant_id = %(tenant_id)s
  and kept.quarantine_id = %(quarantine_id)s;

-- name: of_ids
-- params: quarantine_ids uuid[]
select
    kept.quarantine_id, kept.source_id, sources.name as source, sources.kind, kept.stream, kept.record_key, kept.step, kept.reason,
    kept.field, kept.contract_version, kept.run_id, kept.status, kept.quarantined_at, kept.closed_at,
    coalesce(octet_length(kept.raw), payloads.size_bytes)::bigint as size_bytes
from pay_ready.quarantined_records as kept
join pay_ready.data_sources as sources on sources.tenant_id = kept.tenant_id and sources.source_id = kept.source_id
left join pay_ready.large_payloads as payloads on payloads.tenant_id = kept.tenant_id and payloads.payload_id = kept.payload_id
where kept.tenant_id = %(tenant_id)s
  and kept.quarantine_id = any(%(quarantine_ids)s)
order by kept.quarantined_at desc, kept.quarantine_id;

-- name: close
-- Close open rows; how many.
-- params: quarantine_ids uuid[], status text
update pay_ready.quarantined_records
set status = %(status)s,
    closed_at = greatest(now(), quarantined_at)
where tenant_id = %(tenant_id)s
  and quarantine_id = any(%(quarantine_ids)s)
  and status = 'open';

-- name: standing
-- The cursor of the landed row that stands.
-- params: source_id uuid, stream text, record_key text
select landed.cursor_order
from pay_ready.landed_records as landed
where landed.tenant_id = %(tenant_id)s
  and landed.source_id = %(source_id)s
  and landed.stream = %(stream)s
  and landed.record_key = %(record_key)s;

-- name: standing_hashes
-- What the landed row says before a correction: its content, and what an earlier correction of it replaced.
-- params: source_id uuid, stream text, record_key text
select coalesce(corrects_hash, content_hash) as replaced_hash
from pay_ready.landed_records
where tenant_id = %(tenant_id)s
  and source_id = %(source_id)s
  and stream = %(stream)s
  and record_key = %(record_key)s;

-- name: remember_corrected
-- The version that a correction replaced: when the source repeats it, the correction stands.
-- params: source_id uuid, stream text, record_key text, replaced_hash bytea
update pay_ready.landed_records
set corrects_hash = %(replaced_hash)s
where tenant_id = %(tenant_id)s
  and source_id = %(source_id)s
  and stream = %(stream)s
  and record_key = %(record_key)s;
