-- Retention: the ledger of archives, what must stay whatever its age, and what follows when rows leave the database or come back.

-- name: moment
-- What all ages are counted from.
select now() as moment
where %(tenant_id)s is not null;

-- name: through_run
-- The last run from before a moment: states from then on stay whole. Where there is a memory, a run that it has yet to hear of counts as
-- new, and so do those after it: of the rows that these closed it learns whom an interaction is with no more.
-- params: cutoff timestamptz
select coalesce(max(run_no), 0) as run_no
from pay_ready.resolution_runs
where tenant_id = %(tenant_id)s
  and published_at < %(cutoff)s
  and run_no < coalesce(
      (
          select min(told.object_id::bigint)
          from pay_ready.memory_outbox as told
          where told.tenant_id = %(tenant_id)s
            and told.object_kind = 'run'
            and exists (select from pay_ready.memory_embedders as embedders where embedders.tenant_id = %(tenant_id)s)
      ),
      run_no + 1
  );

-- name: kept_runs
-- Runs whose states somebody may return to: those of checkpoints, and both ends of every rollback in force.
select run_no
from pay_ready.checkpoints
where tenant_id = %(tenant_id)s
union
select unnest(array[rollbacks.equals_run_no, rollbacks.run_no - 1, rollbacks.run_no])
from pay_ready.resolution_holds as holds
join pay_ready.resolution_runs as rollbacks on rollbacks.tenant_id = holds.tenant_id and rollbacks.run_no = holds.run_no
where holds.tenant_id = %(tenant_id)s
order by 1;

-- name: whole_since
-- The first run whose state, and all later ones, are whole: 0 where no history was archived, or all of it is back.
select coalesce(max(through_run_no), 0) as run_no
from pay_ready.retention_archives
where tenant_id = %(tenant_id)s
  and kind = 'history'
  and (
      status in ('archived', 'deleted', 'dropped', 'void')
      or (status = 'restored' and (erased_rows > 0 or withheld_rows > 0))
  );

-- name: list
-- The newest first.
-- params: kinds text[], statuses text[]
select
    archive_id, kind, status, revision, cutoff, through_run_no, archived_rows, deleted_rows, erased_rows, restored_rows, withheld_rows,
    size_bytes, manifest_hash, made_by, begun_at, archived_at, deleted_at, restored_at, ended_at
from pay_ready.retention_archives
where tenant_id = %(tenant_id)s
  and kind = any(%(kinds)s)
  and status = any(%(statuses)s)
order by archive_id desc;

-- name: find
-- params: archive_id uuid
select
    archive_id, kind, status, revision, cutoff, through_run_no, archived_rows, deleted_rows, erased_rows, restored_rows, withheld_rows,
    size_bytes, manifest_hash, made_by, begun_at, archived_at, deleted_at, restored_at, ended_at
from pay_ready.retention_archives
where tenant_id = %(tenant_id)s
  and archive_id = %(archive_id)s;

-- name: begin
-- params: archive_id uuid, kind text, cutoff timestamptz, through_run_no bigint, made_by text
insert into pay_ready.retention_archives (tenant_id, archive_id, kind, status, cutoff, through_run_no, made_by)
values (%(tenant_id)s, %(archive_id)s, %(kind)s, 'writing', %(cutoff)s, %(through_run_no)s, %(made_by)s);

-- name: forget
-- One that never came to be.
-- params: archive_id uuid
delete from pay_ready.retention_archives
where tenant_id = %(tenant_id)s
  and archive_id = %(archive_id)s
  and status = 'writing';

-- name: keep
-- Its files are whole: from here on its rows may go.
-- params: archive_id uuid, archived_rows bigint, size_bytes bigint, manifest_hash bytea
update pay_ready.retention_archives
set status = 'archived', archived_rows = %(archived_rows)s, size_bytes = %(size_bytes)s, manifest_hash = %(manifest_hash)s, archived_at = now()
where tenant_id = %(tenant_id)s
  and archive_id = %(archive_id)s
  and status = 'writing';

-- name: count_deleted
-- params: archive_id uuid, deleted_rows bigint
update pay_ready.retention_archives
set deleted_rows = deleted_rows + %(deleted_rows)s
where tenant_id = %(tenant_id)s
  and archive_id = %(archive_id)s;

-- name: mark_deleted
-- params: archive_id uuid
update pay_ready.retention_archives
set status = 'deleted', deleted_at = now()
where tenant_id = %(tenant_id)s
  and archive_id = %(archive_id)s
  and status = 'archived';

-- name: mark_restored
-- params: archive_id uuid, restored_rows bigint, withheld_rows bigint
update pay_ready.retention_archives
set status = 'restored', restored_at = now(), restored_rows = %(restored_rows)s, withheld_rows = %(withheld_rows)s
where tenant_id = %(tenant_id)s
  and archive_id = %(archive_id)s
  and status in ('archived', 'deleted', 'restored');

-- name: end
-- params: archive_id uuid, status text (dropped or void)
update pay_ready.retention_archives
set status = %(status)s, ended_at = now()
where tenant_id = %(tenant_id)s
  and archive_id = %(archive_id)s
  and status in ('archived', 'deleted', 'restored');

-- name: revise
-- Its files were written anew without somebody.
-- params: archive_id uuid, revision integer, erased_rows bigint, size_bytes bigint, manifest_hash bytea
update pay_ready.retention_archives
set revision = %(revision)s, erased_rows = erased_rows + %(erased_rows)s, size_bytes = %(size_bytes)s, manifest_hash = %(manifest_hash)s
where tenant_id = %(tenant_id)s
  and archive_id = %(archive_id)s
  and status in ('archived', 'deleted', 'restored');

-- name: payloads
-- params: payload_ids uuid[]
select payload_id, source_id, size_bytes, content, created_at, created_at as aged_at
from pay_ready.large_payloads
where tenant_id = %(tenant_id)s
  and payload_id = any(%(payload_ids)s);

-- name: prefer_keys
-- Rows are looked up by their keys, whatever the planner believes of a table that was filled a moment ago.
select
    set_config('enable_hashjoin', 'off', true) as hash_joins,
    set_config('enable_mergejoin', 'off', true) as merge_joins,
    set_config('jit', 'off', true) as compiled
where %(tenant_id)s is not null;

-- name: leave_out_interactions
-- Of the interactions in retention_memories those that have no passage but these, as they are here: memory leaves them out from now on.
-- params: archive_id uuid
with told as (
    select distinct interaction_id from pg_temp.retention_memories
),
whole as (
    select told.interaction_id
    from told
    where not exists (
        select from pay_ready.memories as held
        where held.tenant_id = %(tenant_id)s
          and held.interaction_id = told.interaction_id
          and not exists (
              select from pg_temp.retention_memories as archived
              where archived.memory_id = held.memory_id
                and (archived.content_hash, archived.touched_at, archived.lexemes) = (held.content_hash, held.touched_at, held.lexemes)
          )
    )
      and exists (
          select from pay_ready.memories as held where held.tenant_id = %(tenant_id)s and held.interaction_id = told.interaction_id
      )
)
insert into pay_ready.archived_interactions (tenant_id, interaction_id, archive_id, content_hash)
select
    %(tenant_id)s, whole.interaction_id, %(archive_id)s,
    sha256(convert_to(coalesce(string_agg(encode(said.content_hash, 'hex'), '' order by said.record_id), ''), 'UTF8'))
from whole
left join pay_ready.interaction_records as said on said.tenant_id = %(tenant_id)s and said.interaction_id = whole.interaction_id
group by whole.interaction_id
on conflict (tenant_id, interaction_id) do update
set archive_id = excluded.archive_id, content_hash = excluded.content_hash
returning interaction_id;

-- name: let_in_interactions
-- Memory may have them again.
-- params: interaction_ids uuid[]
delete from pay_ready.archived_interactions
where tenant_id = %(tenant_id)s
  and interaction_id = any(%(interaction_ids)s);

-- name: absent_batches
-- Of the rows in retention_landed_records those whose batch is not there.
select count(*)
from pg_temp.retention_landed_records as archived
where not exists (
    select from pay_ready.landing_batches as batches
    where batches.tenant_id = %(tenant_id)s and batches.batch_id = archived.batch_id
);

-- name: absent_runs
-- Of the rows in retention_quarantined_records those whose run is not there.
select count(*)
from pg_temp.retention_quarantined_records as archived
where not exists (
    select from pay_ready.sync_runs as runs
    where runs.tenant_id = %(tenant_id)s and runs.run_id = archived.run_id
);
