-- name: lock
-- The readers of a backfill may find a new stream at the same moment: one after the other they compare and keep its shape.
-- params: source_id uuid
select source_id
from pay_ready.data_sources
where tenant_id = %(tenant_id)s
  and source_id = %(source_id)s
for no key update;

-- name: current
-- The shape of each stream of a source that was taken over last.
-- params: source_id uuid
select stream, version, fields
from pay_ready.stream_schemas
where tenant_id = %(tenant_id)s
  and source_id = %(source_id)s
  and superseded_at is null
order by stream;

-- name: close
-- Close the current shape of streams: the next one that comes is taken over. All streams when none are named.
-- params: source_id uuid, streams text[]
update pay_ready.stream_schemas
set superseded_at = greatest(clock_timestamp(), made_at)
where tenant_id = %(tenant_id)s
  and source_id = %(source_id)s
  and superseded_at is null
  and (cardinality(%(streams)s::text[]) = 0 or stream = any(%(streams)s::text[]));

-- name: add
-- The next version of a stream's shape.
-- params: source_id uuid, stream text, fields jsonb, run_id uuid
insert into pay_ready.stream_schemas (tenant_id, source_id, stream, version, fields, run_id)
select
    %(tenant_id)s, %(source_id)s, %(stream)s,
    coalesce((
        select max(version)
        from pay_ready.stream_schemas
        where tenant_id = %(tenant_id)s and source_id = %(source_id)s and stream = %(stream)s
    ), 0) + 1,
    %(fields)s, %(run_id)s;
