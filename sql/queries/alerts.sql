-- Alerts. A rule of config/alerts.toml is a statement `read_<rule>` here: the subjects that it is about, each with its figure, and the rule
-- fires for those above its threshold. Then the table of what fires, and what a webhook has yet to be told.

-- name: read_run_failed
-- Sources and steps whose last run failed: 1.
with recursive kinds as (
    (
        select first.step, first.subject
        from pay_ready.step_runs as first
        where first.tenant_id = %(tenant_id)s
        order by first.step, first.subject
        limit 1
    )
    union all
    select following.step, following.subject
    from kinds
    cross join lateral (
        select more.step, more.subject
        from pay_ready.step_runs as more
        where more.tenant_id = %(tenant_id)s
          and (more.step, more.subject) > (kinds.step, kinds.subject)
        order by more.step, more.subject
        limit 1
    ) as following
)
select
    kinds.step || case when kinds.subject = '' then '' else ':' || kinds.subject end as subject_id,
    case when last.status in ('failed', 'aborted') then 1 else 0 end::float8 as measured
from kinds
cross join lateral (
    select status
    from pay_ready.step_runs
    where tenant_id = %(tenant_id)s
      and step_runs.step = kinds.step
      and step_runs.subject = kinds.subject
      and step_runs.status <> 'running'
    order by started_at desc
    limit 1
) as last;

-- name: read_run_stuck
-- Steps that say running, for how many hours; one after which the same step began anew was lost, and holds nothing up.
select
    running.step || case when running.subject = '' then '' else ':' || running.subject end as subject_id,
    max(extract(epoch from clock_timestamp() - running.started_at) / 3600)::float8 as measured
from pay_ready.step_runs as running
where running.tenant_id = %(tenant_id)s
  and running.status = 'running'
  and not exists (
      select from pay_ready.step_runs as later
      where later.tenant_id = %(tenant_id)s
        and later.step = running.step
        and later.subject = running.subject
        and later.started_at > running.started_at
  )
group by running.step, running.subject;

-- name: read_quarantine
-- Broken records of each stream, in percent of those that came lately; a stream of which hardly any came is not judged.
-- params: window_hours float, least_rows integer
select
    sources.name || '/' || streams.stream as subject_id,
    (100.0 * sum(streams.quarantined + streams.stage_quarantined) / sum(streams.emitted))::float8 as measured
from pay_ready.sync_runs as runs
join pay_ready.stream_runs as streams on streams.tenant_id = runs.tenant_id and streams.run_id = runs.run_id
join pay_ready.data_sources as sources on sources.tenant_id = runs.tenant_id and sources.source_id = runs.source_id
where runs.tenant_id = %(tenant_id)s
  and runs.started_at > clock_timestamp() - make_interval(secs => %(window_hours)s * 3600)
group by sources.name, streams.stream
having sum(streams.emitted) >= %(least_rows)s;

-- name: read_breaker_open
-- Services that are left alone: 1.
select target as subject_id, case when state = 'closed' then 0 else 1 end::float8 as measured
from pay_ready.breaker_states
where tenant_id = %(tenant_id)s;

-- name: read_isolation_violation
-- Steps that ended lately because a tenant boundary would have been crossed.
-- params: window_hours float
select step as subject_id, count(*)::float8 as measured
from pay_ready.step_runs
where tenant_id = %(tenant_id)s
  and error_class = 'IsolationError'
  and started_at > clock_timestamp() - make_interval(secs => %(window_hours)s * 3600)
group by step;

-- name: read_quality
-- Checks of severity error that did not hold in the last run of each: 1.
with last as (
    select distinct on (check_name, subject) check_name, subject, passed
    from pay_ready.quality_results
    where tenant_id = %(tenant_id)s
      and severity = 'error'
      and checked_at > clock_timestamp() - make_interval(secs => %(window_hours)s * 3600)
    order by check_name, subject, checked_at desc
)
select check_name || ':' || subject as subject_id, case when passed then 0 else 1 end::float8 as measured
from last;

-- name: read_drift
-- Figures that moved away from their baseline, by finding: how far.
-- params: window_hours float
select finding_id::text as subject_id, round(severity::numeric, 3)::float8 as measured
from pay_ready.drift_findings
where tenant_id = %(tenant_id)s
  and found_at > clock_timestamp() - make_interval(secs => %(window_hours)s * 3600);

-- name: standing
-- Alerts that are not over, whatever their state. A severity is a real: .7 of it is a little less than .7.
select alert_id, alert, subject_id, round(severity::numeric, 3)::float8 as severity, status, fired_at, measured, threshold,
    extract(epoch from clock_timestamp() - fired_at)::float8 as age_s
from pay_ready.alerts
where tenant_id = %(tenant_id)s
  and cleared_at is null
order by severity desc, fired_at, alert, subject_id;

-- name: list
-- Alerts, newest first.
-- params: most integer
select alert_id, alert, subject_id, round(severity::numeric, 3)::float8 as severity, status, fired_at, cleared_at, measured, threshold
from pay_ready.alerts
where tenant_id = %(tenant_id)s
order by fired_at desc, alert, subject_id
limit %(most)s;

-- name: known
-- Of a rule, the subjects that it was ever raised for.
-- params: alert text, subject_ids text[]
select distinct subject_id
from pay_ready.alerts
where tenant_id = %(tenant_id)s
  and alert = %(alert)s
  and subject_id = any(%(subject_ids)s::text[]);

-- name: raise
-- A new alert; no row where another process was faster.
-- params: alert_id uuid, alert text, subject_id text, severity float, status text, measured float, threshold float
insert into pay_ready.alerts (tenant_id, alert_id, alert, subject_id, severity, status, fired_at, measured, threshold)
values (
    %(tenant_id)s, %(alert_id)s, %(alert)s, %(subject_id)s, %(severity)s, %(status)s, clock_timestamp(), %(measured)s, %(threshold)s
)
on conflict (tenant_id, alert, subject_id) where cleared_at is null do nothing;

-- name: measure
-- What stands is measured anew.
-- params: alert_id uuid, measured float, threshold float, severity float
update pay_ready.alerts
set measured = %(measured)s, threshold = %(threshold)s, severity = %(severity)s
where tenant_id = %(tenant_id)s
  and alert_id = %(alert_id)s
  and cleared_at is null;

-- name: fire
-- One that was pending fires: since the moment when it was first seen.
-- params: alert_id uuid
update pay_ready.alerts
set status = 'firing'
where tenant_id = %(tenant_id)s
  and alert_id = %(alert_id)s
  and status = 'pending';

-- name: clear
-- params: alert_id uuid
update pay_ready.alerts
set status = 'cleared', cleared_at = greatest(clock_timestamp(), fired_at)
where tenant_id = %(tenant_id)s
  and alert_id = %(alert_id)s
  and cleared_at is null
  and status <> 'pending';

-- name: drop_pending
-- One that did not stand long enough was none.
-- params: alert_id uuid
delete from pay_ready.alerts
where tenant_id = %(tenant_id)s
  and alert_id = %(alert_id)s
  and status = 'pending';

-- name: acknowledge
-- params: alert_id uuid
update pay_ready.alerts
set status = 'acknowledged'
where tenant_id = %(tenant_id)s
  and alert_id = %(alert_id)s
  and status = 'firing';

-- name: queue_delivery
-- params: delivery_id uuid, alert_id uuid, change text
insert into pay_ready.alert_deliveries (tenant_id, delivery_id, alert_id, change)
values (%(tenant_id)s, %(delivery_id)s, %(alert_id)s, %(change)s);

-- name: claim_deliveries
-- What is due, oldest first, for who asks alone: nobody else is given it for so long. An alert is told in order: what changed later waits
-- for what changed before.
-- params: most integer, lease_s float
with due as (
    select waits.delivery_id
    from pay_ready.alert_deliveries as waits
    where waits.tenant_id = %(tenant_id)s
      and waits.status = 'waiting'
      and waits.next_try_at <= clock_timestamp()
      and not exists (
          select from pay_ready.alert_deliveries as earlier
          where earlier.tenant_id = %(tenant_id)s
            and earlier.alert_id = waits.alert_id
            and earlier.status = 'waiting'
            and earlier.delivery_id < waits.delivery_id
      )
    order by waits.delivery_id
    limit %(most)s
    for update skip locked
)
update pay_ready.alert_deliveries as claimed
set next_try_at = clock_timestamp() + make_interval(secs => %(lease_s)s), attempts = claimed.attempts + 1
from due, pay_ready.alerts as alerts
where claimed.tenant_id = %(tenant_id)s
  and claimed.delivery_id = due.delivery_id
  and alerts.tenant_id = claimed.tenant_id
  and alerts.alert_id = claimed.alert_id
returning
    claimed.delivery_id, claimed.change, claimed.attempts, claimed.made_at, alerts.alert_id, alerts.alert, alerts.subject_id,
    round(alerts.severity::numeric, 3)::float8 as severity, alerts.fired_at, alerts.cleared_at, alerts.measured, alerts.threshold;

-- name: delivered
-- params: delivery_id uuid
update pay_ready.alert_deliveries
set status = 'delivered', delivered_at = clock_timestamp(), last_error = null
where tenant_id = %(tenant_id)s
  and delivery_id = %(delivery_id)s
  and status = 'waiting';

-- name: not_delivered
-- params: delivery_id uuid, status text, wait_s float, last_error text, took boolean (whether it was an attempt)
update pay_ready.alert_deliveries
set status = %(status)s,
    next_try_at = clock_timestamp() + make_interval(secs => %(wait_s)s),
    attempts = attempts - case when %(took)s then 0 else 1 end,
    last_error = left(%(last_error)s, 400)
where tenant_id = %(tenant_id)s
  and delivery_id = %(delivery_id)s
  and status = 'waiting';

-- name: revive
-- Dead letters are sent once more, as if they were new.
update pay_ready.alert_deliveries
set status = 'waiting', attempts = 0, next_try_at = clock_timestamp()
where tenant_id = %(tenant_id)s
  and status = 'dead';

-- name: delivery_counts
select status, count(*) as deliveries, min(made_at) as since
from pay_ready.alert_deliveries
where tenant_id = %(tenant_id)s
group by status
order by status;
