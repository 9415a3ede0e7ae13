-- Checkpoints: states of a tenant to which a rollback can return; and the runs behind them.

-- name: list
-- The newest first, with the run and whether something still refers to it.
-- params: most bigint
select
    points.checkpoint_id, points.name, points.run_no, points.digest, points.kind, points.pinned, points.made_by, points.note,
    points.created_at, runs.kind as run_kind, runs.published_at, runs.state_digest,
    exists (
        select from pay_ready.resolution_holds as holds
        join pay_ready.resolution_runs as rollbacks on rollbacks.tenant_id = holds.tenant_id and rollbacks.run_no = holds.run_no
        where holds.tenant_id = %(tenant_id)s
          and points.run_no in (rollbacks.equals_run_no, rollbacks.run_no - 1)
    ) as is_referenced
from pay_ready.checkpoints as points
join pay_ready.resolution_runs as runs on runs.tenant_id = points.tenant_id and runs.run_no = points.run_no
where points.tenant_id = %(tenant_id)s
order by points.created_at desc, points.run_no desc, points.name
limit %(most)s;

-- name: find
-- By name or id.
-- params: asked text
select
    points.checkpoint_id, points.name, points.run_no, points.digest, points.kind, points.pinned, points.made_by, points.note,
    points.created_at, runs.kind as run_kind, runs.published_at, runs.state_digest,
    exists (
        select from pay_ready.resolution_holds as holds
        join pay_ready.resolution_runs as rollbacks on rollbacks.tenant_id = holds.tenant_id and rollbacks.run_no = holds.run_no
        where holds.tenant_id = %(tenant_id)s
          and points.run_no in (rollbacks.equals_run_no, rollbacks.run_no - 1)
    ) as is_referenced
from pay_ready.checkpoints as points
join pay_ready.resolution_runs as runs on runs.tenant_id = points.tenant_id and runs.run_no = points.run_no
where points.tenant_id = %(tenant_id)s
  and (points.name = %(asked)s or points.checkpoint_id::text = lower(%(asked)s));

-- name: names
-- params: most bigint
select name
from pay_ready.checkpoints
where tenant_id = %(tenant_id)s
order by created_at desc, run_no desc
limit %(most)s;

-- name: add
-- A state named by hand; no row when the name is taken.
-- params: checkpoint_id uuid, name text, run_no bigint, digest bytea, pinned boolean, made_by text, note text
insert into pay_ready.checkpoints (tenant_id, checkpoint_id, name, run_no, digest, kind, pinned, made_by, note)
values (%(tenant_id)s, %(checkpoint_id)s, %(name)s, %(run_no)s, %(digest)s, 'named', %(pinned)s, %(made_by)s, %(note)s)
on conflict (tenant_id, name) do nothing;

-- name: set_pinned
-- params: checkpoint_id uuid, pinned boolean
update pay_ready.checkpoints
set pinned = %(pinned)s
where tenant_id = %(tenant_id)s
  and checkpoint_id = %(checkpoint_id)s
  and pinned <> %(pinned)s;

-- name: drop
-- params: checkpoint_ids uuid[]
delete from pay_ready.checkpoints
where tenant_id = %(tenant_id)s
  and checkpoint_id = any(%(checkpoint_ids)s);

-- name: outlived
-- Those that retention lets go: automatic ones beyond the number kept, and any older than the age; never a pinned one, one that a
-- rollback in force refers to, or the newest.
-- params: keep_count bigint, keep_days double precision
select checkpoint_id, name
from (
    select
        points.checkpoint_id, points.name, points.pinned, points.kind, points.created_at, points.run_no,
        row_number() over (order by points.run_no desc, points.created_at desc) as place,
        count(*) filter (where points.kind = 'automatic') over (order by points.run_no desc, points.created_at desc) as automatic
    from pay_ready.checkpoints as points
    where points.tenant_id = %(tenant_id)s
) as placed
where not pinned
  and place > 1
  and ((kind = 'automatic' and automatic > %(keep_count)s) or created_at < now() - make_interval(secs => %(keep_days)s * 86400))
  and not exists (
      select from pay_ready.resolution_holds as holds
      join pay_ready.resolution_runs as rollbacks on rollbacks.tenant_id = holds.tenant_id and rollbacks.run_no = holds.run_no
      where holds.tenant_id = %(tenant_id)s
        and placed.run_no in (rollbacks.equals_run_no, rollbacks.run_no - 1)
  );

-- name: run
-- What a run published, and with what.
-- params: run_no bigint
select
    run_no, run_id, kind, actor, config_hash, settings_version, person_model_id, company_model_id, edges_fit, equals_run_no, report,
    state_digest, published_at
from pay_ready.resolution_runs
where tenant_id = %(tenant_id)s
  and run_no = %(run_no)s;

-- name: edges_written_for
-- The models that the kept edges are of: those of the last run that weighed pairs.
select person_model_id, company_model_id
from pay_ready.resolution_runs
where tenant_id = %(tenant_id)s
  and kind in ('resolve', 'refresh', 'decision')
order by run_no desc
limit 1;

-- name: settings_at
-- params: version integer
select settings
from pay_ready.tenant_settings
where tenant_id = %(tenant_id)s
  and version = %(version)s;
