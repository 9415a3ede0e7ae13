-- Rollbacks that somebody asked for, and what became of them.

-- name: add
-- No row when the orchestrator's run has asked already.
-- params: request_id uuid, checkpoint_id uuid, to_run_no bigint, base_run_no bigint, apply_decisions boolean, four_eyes boolean, flow_run_id uuid or null, requested_by text, reason text or null
insert into pay_ready.rollback_requests (
    tenant_id, request_id, checkpoint_id, to_run_no, base_run_no, apply_decisions, four_eyes, flow_run_id, requested_by, reason
)
values (
    %(tenant_id)s, %(request_id)s, %(checkpoint_id)s, %(to_run_no)s, %(base_run_no)s, %(apply_decisions)s, %(four_eyes)s,
    %(flow_run_id)s, %(requested_by)s, %(reason)s
)
on conflict do nothing;

-- name: of_flow_run
-- params: flow_run_id uuid
select
    request_id, checkpoint_id, to_run_no, base_run_no, apply_decisions, four_eyes, flow_run_id, requested_by, requested_at, reason,
    status, decided_by, decided_at, decision_reason, run_no
from pay_ready.rollback_requests
where tenant_id = %(tenant_id)s
  and flow_run_id = %(flow_run_id)s;

-- name: lock
-- params: request_id uuid
select
    request_id, checkpoint_id, to_run_no, base_run_no, apply_decisions, four_eyes, flow_run_id, requested_by, requested_at, reason,
    status, decided_by, decided_at, decision_reason, run_no
from pay_ready.rollback_requests
where tenant_id = %(tenant_id)s
  and request_id = %(request_id)s
for update;

-- name: list
-- The newest first.
-- params: most bigint
select
    request_id, checkpoint_id, to_run_no, base_run_no, apply_decisions, four_eyes, flow_run_id, requested_by, requested_at, reason,
    status, decided_by, decided_at, decision_reason, run_no
from pay_ready.rollback_requests
where tenant_id = %(tenant_id)s
order by requested_at desc, request_id desc
limit %(most)s;

-- name: decide
-- params: request_id uuid, status text, decided_by text, decision_reason text or null
update pay_ready.rollback_requests
set status = %(status)s, decided_by = %(decided_by)s, decided_at = now(), decision_reason = %(decision_reason)s
where tenant_id = %(tenant_id)s
  and request_id = %(request_id)s
  and status = 'waiting';

-- name: finish
-- params: request_id uuid, run_no bigint or null
update pay_ready.rollback_requests
set status = 'done', run_no = %(run_no)s
where tenant_id = %(tenant_id)s
  and request_id = %(request_id)s
  and status = 'approved';
