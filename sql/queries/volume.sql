-- name: changed_streams
-- Streams whose landed rows changed since they were published last, and those named: rows that live, and those that lived then.
-- Every change of rows has a batch, so the newest batch says whether a stream must be counted at all.
-- params: sources text[], streams text[] (pairs: those named)
select
    states.source_id,
    sources.name as source,
    states.stream,
    states.run_id,
    states.published_rows as before,
    newest.commit_seq,
    (
        select count(*)
        from pay_ready.landed_records as landed
        where landed.tenant_id = %(tenant_id)s
          and landed.source_id = states.source_id
          and landed.stream = states.stream
          and landed.deleted_at is null
    ) as now
from pay_ready.stream_states as states
join pay_ready.data_sources as sources on sources.tenant_id = states.tenant_id and sources.source_id = states.source_id
cross join lateral (
    select batches.commit_seq
    from pay_ready.landing_batches as batches
    where batches.tenant_id = %(tenant_id)s
      and batches.source_id = states.source_id
      and batches.stream = states.stream
      and batches.commit_seq is not null
    order by batches.commit_seq desc
    limit 1
) as newest
where states.tenant_id = %(tenant_id)s
  and (
      states.published_commit_seq is null
      or newest.commit_seq > states.published_commit_seq
      or (sources.name, states.stream) in (select * from unnest(%(sources)s::text[], %(streams)s::text[]))
  )
order by sources.name, states.stream;

-- name: keep
-- What was published now. Whoever measured later than this one is not set back.
-- params: source_ids uuid[], streams text[], row_counts bigint[], commit_seqs bigint[]
update pay_ready.stream_states as states
set published_rows = kept.row_count,
    published_commit_seq = kept.commit_seq
from unnest(%(source_ids)s::uuid[], %(streams)s::text[], %(row_counts)s::bigint[], %(commit_seqs)s::bigint[])
    as kept (source_id, stream, row_count, commit_seq)
where states.tenant_id = %(tenant_id)s
  and states.source_id = kept.source_id
  and states.stream = kept.stream
  and coalesce(states.published_commit_seq, 0) <= kept.commit_seq;

-- name: add_result
-- params: result_id uuid, run_id uuid, subject text, passed boolean, measured float, expected text
insert into pay_ready.quality_results (tenant_id, result_id, run_id, check_name, subject, severity, passed, measured, expected)
values (%(tenant_id)s, %(result_id)s, %(run_id)s, 'volume', %(subject)s, 'error', %(passed)s, %(measured)s, %(expected)s);
