-- The audit trail, read: events are written by `tenants.audit` alone.

-- name: list
-- Events, newest first; a filter that is null lets everything pass.
-- params: action text (a part of it), actor text, since timestamptz, run text (a run's number, or its id), subject text, most integer
select
    seq, occurred_at, actor, action, subject_kind, subject_id, reason, run_id, before_hash, after_hash, previous_hash, event_hash
from pay_ready.audit_events
where tenant_id = %(tenant_id)s
  and (%(action)s::text is null or starts_with(action, %(action)s::text))
  and (%(actor)s::text is null or actor = %(actor)s::text)
  and (%(since)s::timestamptz is null or occurred_at >= %(since)s::timestamptz)
  and (%(run)s::text is null or run_id::text = %(run)s::text or (subject_kind = 'run' and subject_id = %(run)s::text))
  and (%(subject)s::text is null or subject_id = %(subject)s::text)
order by seq desc
limit %(most)s;

-- name: export
-- Events from a number on, in their order.
-- params: first_seq bigint
select
    seq, occurred_at, actor, action, subject_kind, subject_id, reason, run_id, before_hash, after_hash, previous_hash, event_hash
from pay_ready.audit_events
where tenant_id = %(tenant_id)s
  and seq >= %(first_seq)s
order by seq;

-- name: event_hash
-- params: seq bigint
select event_hash
from pay_ready.audit_events
where tenant_id = %(tenant_id)s
  and seq = %(seq)s;
