-- name: open_requests
-- Requests of a source of whose end nobody knows, the newest first.
-- params: source_id uuid
select
    request_id,
    connection_id,
    job_id,
    job_type,
    started_by_us,
    after_job_id,
    seen_status,
    coalesce(attempts, 0) as attempts,
    extract(epoch from deadline_at - clock_timestamp())::float8 as left_s,
    coalesce(seen_at >= deadline_at, false) as was_waited_out
from pay_ready.platform_jobs
where tenant_id = %(tenant_id)s
  and source_id = %(source_id)s
  and outcome is null
order by requested_at desc, request_id desc;

-- name: begin
-- params: request_id uuid, source_id uuid, connection_id text, job_type text, after_job_id bigint, timeout_s float
insert into pay_ready.platform_jobs (
    tenant_id, request_id, source_id, connection_id, job_type, started_by_us, after_job_id, requested_at, deadline_at
)
values (
    %(tenant_id)s, %(request_id)s, %(source_id)s, %(connection_id)s, %(job_type)s, false, %(after_job_id)s,
    clock_timestamp(), clock_timestamp() + make_interval(secs => %(timeout_s)s)
);

-- name: attach
-- params: request_id uuid, job_id bigint, started_by_us boolean, seen_status text
update pay_ready.platform_jobs
set job_id = %(job_id)s, started_by_us = %(started_by_us)s, seen_status = %(seen_status)s, seen_at = clock_timestamp()
where tenant_id = %(tenant_id)s
  and request_id = %(request_id)s
  and outcome is null;

-- name: give_time
-- A deadline that passed while nobody watched is set anew; one that is still to come stands.
-- params: request_id uuid, timeout_s float
update pay_ready.platform_jobs
set deadline_at = clock_timestamp() + make_interval(secs => %(timeout_s)s)
where tenant_id = %(tenant_id)s
  and request_id = %(request_id)s
  and deadline_at <= clock_timestamp();

-- name: seen
-- What was seen of a job; how many seconds are left of its time.
-- params: request_id uuid, seen_status text, attempts integer, rows_synced bigint or null, bytes_synced bigint or null
update pay_ready.platform_jobs
set seen_status = %(seen_status)s,
    seen_at = clock_timestamp(),
    attempts = %(attempts)s,
    rows_synced = coalesce(%(rows_synced)s, rows_synced),
    bytes_synced = coalesce(%(bytes_synced)s, bytes_synced)
where tenant_id = %(tenant_id)s
  and request_id = %(request_id)s
  and outcome is null
returning extract(epoch from deadline_at - clock_timestamp())::float8 as left_s;

-- name: finish
-- params: request_id uuid, outcome text, failure text or null
update pay_ready.platform_jobs
set outcome = %(outcome)s, failure = %(failure)s, finished_at = clock_timestamp()
where tenant_id = %(tenant_id)s
  and request_id = %(request_id)s
  and outcome is null;

-- name: waited_out
-- A run has watched a job until the deadline, and leaves it running.
-- params: request_id uuid
update pay_ready.platform_jobs
set seen_at = greatest(clock_timestamp(), deadline_at)
where tenant_id = %(tenant_id)s
  and request_id = %(request_id)s
  and outcome is null;

-- name: started_by_us
-- params: source_id uuid, job_ids bigint[]
select job_id
from pay_ready.platform_jobs
where tenant_id = %(tenant_id)s
  and source_id = %(source_id)s
  and job_id = any(%(job_ids)s::bigint[])
  and started_by_us;
