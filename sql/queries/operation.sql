-- name: begin_step
-- params: step_run_id uuid, run_id uuid, step text, subject text
insert into pay_ready.step_runs (tenant_id, step_run_id, run_id, step, subject, status)
values (%(tenant_id)s, %(step_run_id)s, %(run_id)s, %(step)s, %(subject)s, 'running')
on conflict (tenant_id, step_run_id) do nothing;

-- name: finish_step
-- params: step_run_id uuid, status text, row_count bigint or null, error_class text or null
update pay_ready.step_runs
set status = %(status)s, finished_at = clock_timestamp(), row_count = %(row_count)s, error_class = %(error_class)s
where tenant_id = %(tenant_id)s
  and step_run_id = %(step_run_id)s
  and status = 'running';

-- name: steps_of_run
-- hot: whoever looks at a run
-- params: run_id uuid
select step, subject, status, started_at, finished_at, row_count, error_class
from pay_ready.step_runs
where tenant_id = %(tenant_id)s
  and run_id = %(run_id)s
order by started_at, step_run_id;

-- name: keep_log_partitions
-- Of no tenant's rows; how many were made.
-- params: months integer
select pay_ready.keep_log_partitions(%(months)s)
where %(tenant_id)s is not null;
