-- name: look
-- Who holds a lease; locks the row, so that two takers come one after the other.
select holder, token, acquired_at, expires_at > clock_timestamp() as is_live
from pay_ready.leases
where tenant_id = %(tenant_id)s
  and lease = %(lease)s
for update;

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
-- The lease of a writer, share-locked: whoever takes it over waits until this transaction has ended.
-- params: lease text, token bigint
select token
from pay_ready.leases
where tenant_id = %(tenant_id)s
  and lease = %(lease)s
  and token = %(token)s
for share;

-- name: release
-- params: lease text, token bigint
delete from pay_ready.leases
where tenant_id = %(tenant_id)s
  and lease = %(lease)s
  and token = %(token)s;

-- name: seize
-- Take a lease from its holder by the token that it holds it under; waits for the end of a transaction that writes under it.
-- params: known_token bigint, holder text, token bigint, ttl_s float
update pay_ready.leases
set holder = %(holder)s,
    token = %(token)s,
    acquired_at = clock_timestamp(),
    expires_at = clock_timestamp() + make_interval(secs => %(ttl_s)s)
where tenant_id = %(tenant_id)s
  and token = %(known_token)s
returning lease, token;
