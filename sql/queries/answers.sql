-- Answers that are kept until what they rest on changes.

-- name: give
-- hot: every question that was asked before
-- A kept answer that holds still; the count of its uses goes up.
-- params: metric_name text
update pay_ready.analytics_cache
set uses = uses + 1
where tenant_id = %(tenant_id)s
  and metric_name = %(metric_name)s
  and expires_at > clock_timestamp()
returning metric_value;

-- name: claim
-- Say that one computes an answer; a row comes back where nobody else is at it and none is there that holds.
-- params: metric_name text, claimed_by uuid, claim_s double precision, run_no bigint, outbox_seq bigint, asked jsonb or null
insert into pay_ready.analytics_cache as kept (
    tenant_id, metric_name, metric_value, run_no, outbox_seq, asked, claimed_by, claimed_until
)
values (
    %(tenant_id)s, %(metric_name)s, '{"schema_version": 1}', %(run_no)s, %(outbox_seq)s, %(asked)s, %(claimed_by)s,
    clock_timestamp() + make_interval(secs => %(claim_s)s)
)
on conflict (tenant_id, metric_name) do update
set claimed_by = excluded.claimed_by, claimed_until = excluded.claimed_until, expires_at = null, metric_value = excluded.metric_value
where kept.claimed_until <= clock_timestamp()
  and (kept.expires_at is null or kept.expires_at <= clock_timestamp())
returning metric_name;

-- name: keep
-- The answer of whoever claimed it; nothing where the claim is gone: an erasure may have come between.
-- params: metric_name text, claimed_by uuid, metric_value jsonb, ttl_s double precision
update pay_ready.analytics_cache
set metric_value = %(metric_value)s, updated_at = clock_timestamp(), expires_at = clock_timestamp() + make_interval(secs => %(ttl_s)s),
    claimed_until = clock_timestamp(), uses = uses + 1
where tenant_id = %(tenant_id)s
  and metric_name = %(metric_name)s
  and claimed_by = %(claimed_by)s;

-- name: give_up
-- Nobody computes it any longer.
-- params: metric_name text, claimed_by uuid
delete from pay_ready.analytics_cache
where tenant_id = %(tenant_id)s
  and metric_name = %(metric_name)s
  and claimed_by = %(claimed_by)s
  and expires_at is null;

-- name: drop
-- params: metric_name text
delete from pay_ready.analytics_cache
where tenant_id = %(tenant_id)s
  and metric_name = %(metric_name)s;

-- name: former
-- What was asked about people and companies of versions before this one: most often about those that are asked about most.
-- params: run_no bigint, outbox_seq bigint, seen integer (events of the audit, the latest), most integer
with events as (
    select recent.subject_id, count(*) as times
    from (
        select subject_kind, subject_id, action
        from pay_ready.audit_events
        where tenant_id = %(tenant_id)s
        order by seq desc
        limit %(seen)s
    ) as recent
    where recent.subject_kind = 'entity' and recent.action like '%%.asked'
    group by recent.subject_id
)
select kept.asked
from pay_ready.analytics_cache as kept
left join lateral (
    select sum(events.times) as times
    from jsonb_array_elements_text(kept.asked -> 'scope' -> 'entity_ids') as about
    join events on events.subject_id = about
) as accounts on true
where kept.tenant_id = %(tenant_id)s
  and kept.run_no is not null
  and (kept.run_no, kept.outbox_seq) <> (%(run_no)s, %(outbox_seq)s)
  and kept.asked is not null
order by coalesce(accounts.times, 0) desc, kept.uses desc, kept.metric_name
limit %(most)s;

-- name: accounts
-- People and companies that are asked about most.
-- params: seen integer (events of the audit, the latest), most integer
select recent.subject_id::uuid as entity_id, count(*) as times
from (
    select subject_kind, subject_id, action
    from pay_ready.audit_events
    where tenant_id = %(tenant_id)s
    order by seq desc
    limit %(seen)s
) as recent
where recent.subject_kind = 'entity' and recent.action like '%%.asked'
group by recent.subject_id
order by times desc, recent.subject_id
limit %(most)s;

-- name: drop_former
-- Answers that rest on another version than this one, and those whose time is over; not what somebody is computing.
-- params: run_no bigint, outbox_seq bigint
delete from pay_ready.analytics_cache
where tenant_id = %(tenant_id)s
  and run_no is not null
  and claimed_until <= clock_timestamp()
  and ((run_no, outbox_seq) <> (%(run_no)s, %(outbox_seq)s) or expires_at is null or expires_at <= clock_timestamp());

-- name: drop_all
-- Every answer, and every claim to one: what they rest on was computed anew.
delete from pay_ready.analytics_cache
where tenant_id = %(tenant_id)s
  and run_no is not null;
