-- name: look
-- A breaker as the last process left it; locked, so that of two that come at once one gets the probe.
-- params: target text
select state as circuit, failures, extract(epoch from clock_timestamp() - changed_at)::float8 as age_s
from pay_ready.breaker_states
where tenant_id = %(tenant_id)s
  and target = %(target)s
for update;

-- name: take_probe
-- params: target text
update pay_ready.breaker_states
set state = 'half_open', changed_at = clock_timestamp()
where tenant_id = %(tenant_id)s
  and target = %(target)s;

-- name: put
-- A failure that does not open the breaker leaves an open one as it is: only a success says that the service is back.
-- params: target text, circuit text, failures integer
insert into pay_ready.breaker_states as known (tenant_id, target, state, failures)
values (%(tenant_id)s, %(target)s, %(circuit)s, %(failures)s)
on conflict (tenant_id, target) do update
set state = excluded.state,
    failures = excluded.failures,
    changed_at = clock_timestamp()
where excluded.state <> 'closed'
   or excluded.failures = 0
   or known.state = 'closed';
