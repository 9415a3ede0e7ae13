-- name: begin
-- scope: session
-- A lease that was given out is given out for good, whatever the server is set to; and who takes one does not stand still.
-- params: idle_ms text
select
    set_config('synchronous_commit', 'on', true) as synchronous_commit,
    set_config('idle_in_transaction_session_timeout', %(idle_ms)s, true) as idle_in_transaction_session_timeout;

-- name: limit_wait
-- scope: session
-- How long the next statements wait for a lock.
-- params: lock_ms text
select set_config('lock_timeout', %(lock_ms)s, true);

-- name: look
-- Who holds a lease. Locks nothing: it answers while the holder's transaction is open.
-- params: lease text
select holder, token, acquired_at, expires_at, expires_at > clock_timestamp() as is_live
from pay_ready.leases
where tenant_id = %(tenant_id)s
  and lease = %(lease)s;

-- name: lock
-- The same, locked against other takers, once no transaction writes under the lease.
-- params: lease text
select holder, token, acquired_at, expires_at, expires_at > clock_timestamp() as is_live
from pay_ready.leases
where tenant_id = %(tenant_id)s
  and lease = %(lease)s
for update;

-- name: end_writers
-- End the sessions that write under a lease which has run out, or whose holder is gone. They are told by the advisory lock
-- that `guard` takes: row locks do not show who has them. Only sessions of our own login: others we may not end.
-- params: lease text, token bigint, is_gone boolean
select locks.pid, pg_terminate_backend(locks.pid, 2000) as has_ended
from pay_ready.leases as leases
join pg_locks as locks
    on (locks.classid::bigint << 32) | locks.objid::bigint = hashtextextended(leases.tenant_id::text || leases.lease, 0)
join pg_stat_activity as sessions
    on sessions.pid = locks.pid
where leases.tenant_id = %(tenant_id)s
  and leases.lease = %(lease)s
  and leases.token = %(token)s
  and (leases.expires_at < clock_timestamp() or %(is_gone)s)
  and locks.locktype = 'advisory'
  and locks.objsubid = 1
  and locks.granted
  and sessions.datname = current_database()
  and sessions.usename = current_user
  and sessions.pid <> pg_backend_pid();

-- name: take
-- Take a lease that is free, run out, or left by a holder that is gone; no row when somebody was faster.
-- params: lease text, holder text, token bigint, ttl_s float, known_token bigint (0: none was there)
insert into pay_ready.leases as leases (tenant_id, lease, holder, token, acquired_at, expires_at)
values (
    %(tenant_id)s, %(lease)s, %(holder)s, %(token)s, clock_timestamp(), clock_timestamp() + make_interval(secs => %(ttl_s)s)
)
on conflict (tenant_id, lease) do update
set holder = excluded.holder,
    token = excluded.token,
    acquired_at = excluded.acquired_at,
    expires_at = excluded.expires_at
where leases.token = %(known_token)s
returning token;

-- name: renew
-- params: lease text, token bigint, ttl_s float
update pay_ready.leases
set expires_at = clock_timestamp() + make_interval(secs => %(ttl_s)s)
where tenant_id = %(tenant_id)s
  and lease = %(lease)s
  and token = %(token)s;

-- name: guard
-- The lease of a writer, key-share-locked: whoever takes it over waits until this transaction has ended, while its keeper can
-- renew it. The advisory lock, shared and never waited for, tells `end_writers` which session this is.
-- params: lease text, token bigint, holder text, idle_ms text
select
    token,
    set_config('idle_in_transaction_session_timeout', %(idle_ms)s, true) as idle_in_transaction_session_timeout,
    pg_advisory_xact_lock_shared(hashtextextended(tenant_id::text || lease, 0)) as advisory_lock
from pay_ready.leases
where tenant_id = %(tenant_id)s
  and lease = %(lease)s
  and token = %(token)s
  and holder = %(holder)s
for key share;

-- name: release
-- params: lease text, token bigint
delete from pay_ready.leases
where tenant_id = %(tenant_id)s
  and lease = %(lease)s
  and token = %(token)s;

-- name: find
-- hot: every write under a lease
-- The lease that is held under a token. Locks nothing.
-- params: token bigint
select lease, holder, token, acquired_at, expires_at
from pay_ready.leases
where tenant_id = %(tenant_id)s
  and token = %(token)s;
