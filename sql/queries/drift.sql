-- Figures by account, source and tenant in two windows, and what was found of them. Of every metric one statement: a row a day, and a row a
-- window (its day is null) with the quantiles of the single observations.

-- name: volume
-- Interactions by day.
-- params: since timestamptz, split timestamptz, until timestamptz, quantiles float[] (of the other metrics)
with daily as (
    select sources.name as source, accounts.entity_id as account_id, interactions.occurred_at >= %(split)s::timestamptz as is_current,
        (interactions.occurred_at at time zone 'UTC')::date as day, count(*) as observations
    from pay_ready.interaction_records as interactions
    join pay_ready.data_sources as sources on sources.tenant_id = interactions.tenant_id and sources.source_id = interactions.source_id
    left join pay_ready.interaction_entities as accounts
        on accounts.tenant_id = interactions.tenant_id and accounts.interaction_id = interactions.interaction_id
        and accounts.closed_run_no is null and accounts.is_primary and accounts.entity_type = 'company'
    where interactions.tenant_id = %(tenant_id)s
      and interactions.is_primary
      and interactions.occurred_at >= %(since)s
      and interactions.occurred_at < %(until)s
    group by 1, 2, 3, 4
)
select subjects.subject_kind, subjects.subject_id, daily.is_current, daily.day, sum(daily.observations)::bigint as observations,
    null::double precision as total, null::double precision[] as quantiles
from daily
cross join lateral (values ('tenant', ''), ('source', daily.source), ('account', daily.account_id::text))
    as subjects (subject_kind, subject_id)
where subjects.subject_id is not null
group by 1, 2, 3, 4;

-- name: sentiment
-- How interactions sound, from -1 to 1.
-- params: as volume
select subjects.subject_kind, subjects.subject_id, interactions.occurred_at >= %(split)s::timestamptz as is_current,
    (interactions.occurred_at at time zone 'UTC')::date as day, count(*) as observations, null::double precision as total,
    percentile_cont(%(quantiles)s::double precision[]) within group (order by moods.sentiment) as quantiles
from pay_ready.interaction_records as interactions
join pay_ready.interaction_sentiment as moods
    on moods.tenant_id = interactions.tenant_id and moods.interaction_id = interactions.interaction_id and moods.turn_no = -1
join pay_ready.data_sources as sources on sources.tenant_id = interactions.tenant_id and sources.source_id = interactions.source_id
left join pay_ready.interaction_entities as accounts
    on accounts.tenant_id = interactions.tenant_id and accounts.interaction_id = interactions.interaction_id
    and accounts.closed_run_no is null and accounts.is_primary and accounts.entity_type = 'company'
cross join lateral (values ('tenant', ''), ('source', sources.name), ('account', accounts.entity_id::text))
    as subjects (subject_kind, subject_id)
where interactions.tenant_id = %(tenant_id)s
  and interactions.is_primary
  and interactions.occurred_at >= %(since)s
  and interactions.occurred_at < %(until)s
  and moods.sentiment is not null
  and subjects.subject_id is not null
group by grouping sets ((1, 2, 3, 4), (1, 2, 3));

-- name: response_time
-- Minutes from a customer's message to the next one of ours in its thread, as ln(1 + minutes): days of waiting must not outweigh the rest.
-- params: as volume
with messages as (
    select written.interaction_id, written.source_id, written.occurred_at, written.direction,
        lag(written.direction) over in_thread as direction_before, lag(written.occurred_at) over in_thread as occurred_before
    from pay_ready.interaction_records as written
    where written.tenant_id = %(tenant_id)s
      and written.is_primary
      and written.occurred_at >= %(since)s
      and written.occurred_at < %(until)s
      and written.thread_id is not null
      and written.direction in ('inbound', 'outbound')
    window in_thread as (partition by written.source_id, written.thread_id order by written.occurred_at, written.interaction_id)
)
select subjects.subject_kind, subjects.subject_id, messages.occurred_at >= %(split)s::timestamptz as is_current,
    (messages.occurred_at at time zone 'UTC')::date as day, count(*) as observations, null::double precision as total,
    percentile_cont(%(quantiles)s::double precision[]) within group (
        order by ln(1 + extract(epoch from messages.occurred_at - messages.occurred_before)::double precision / 60)
    ) as quantiles
from messages
join pay_ready.data_sources as sources on sources.tenant_id = %(tenant_id)s and sources.source_id = messages.source_id
left join pay_ready.interaction_entities as accounts
    on accounts.tenant_id = %(tenant_id)s and accounts.interaction_id = messages.interaction_id
    and accounts.closed_run_no is null and accounts.is_primary and accounts.entity_type = 'company'
cross join lateral (values ('tenant', ''), ('source', sources.name), ('account', accounts.entity_id::text))
    as subjects (subject_kind, subject_id)
where messages.direction = 'outbound'
  and messages.direction_before = 'inbound'
  and subjects.subject_id is not null
group by grouping sets ((1, 2, 3, 4), (1, 2, 3));

-- name: talk_ratio
-- Of what is said in a conversation the share of our own people, by seconds, else by letters.
-- params: as volume
with sides as (
    select speakers.interaction_id, speakers.speaker_key, bool_or(speakers.side = 'internal') as is_internal
    from pay_ready.interaction_participants as speakers
    where speakers.tenant_id = %(tenant_id)s
      and speakers.speaker_key is not null
      and speakers.seen_at >= %(since)s
      and speakers.seen_at < %(until)s
      and speakers.side <> 'unknown'
    group by speakers.interaction_id, speakers.speaker_key
),
talks as (
    select turns.interaction_id,
        sum(coalesce(turns.end_s - turns.start_s, length(turns.spoken_text) / 15.0)) filter (where sides.is_internal) as own_s,
        sum(coalesce(turns.end_s - turns.start_s, length(turns.spoken_text) / 15.0)) as all_s
    from sides
    join pay_ready.interaction_turns as turns
        on turns.tenant_id = %(tenant_id)s and turns.interaction_id = sides.interaction_id and turns.speaker_key = sides.speaker_key
    group by turns.interaction_id
)
select subjects.subject_kind, subjects.subject_id, interactions.occurred_at >= %(split)s::timestamptz as is_current,
    (interactions.occurred_at at time zone 'UTC')::date as day, count(*) as observations, null::double precision as total,
    percentile_cont(%(quantiles)s::double precision[]) within group (
        order by (coalesce(talks.own_s, 0) / talks.all_s)::double precision
    ) as quantiles
from talks
join pay_ready.interaction_records as interactions
    on interactions.tenant_id = %(tenant_id)s and interactions.interaction_id = talks.interaction_id and interactions.is_primary
join pay_ready.data_sources as sources on sources.tenant_id = interactions.tenant_id and sources.source_id = interactions.source_id
left join pay_ready.interaction_entities as accounts
    on accounts.tenant_id = interactions.tenant_id and accounts.interaction_id = interactions.interaction_id
    and accounts.closed_run_no is null and accounts.is_primary and accounts.entity_type = 'company'
cross join lateral (values ('tenant', ''), ('source', sources.name), ('account', accounts.entity_id::text))
    as subjects (subject_kind, subject_id)
where talks.all_s > 0
  and interactions.occurred_at >= %(since)s
  and interactions.occurred_at < %(until)s
  and subjects.subject_id is not null
group by grouping sets ((1, 2, 3, 4), (1, 2, 3));

-- name: match_rate
-- Of the records of people that landed on a day, those whose person has another record, too.
-- params: as volume
select subjects.subject_kind, subjects.subject_id, landed.first_landed_at >= %(split)s::timestamptz as is_current,
    (landed.first_landed_at at time zone 'UTC')::date as day, count(*) as observations,
    (count(*) filter (where versions.record_count > 1))::double precision as total, null::double precision[] as quantiles
from pay_ready.person_records as people
join pay_ready.landed_records as landed
    on landed.tenant_id = people.tenant_id and landed.source_id = people.source_id and landed.stream = people.stream
    and landed.record_key = people.record_key
join pay_ready.data_sources as sources on sources.tenant_id = people.tenant_id and sources.source_id = people.source_id
join pay_ready.assignments as assigned
    on assigned.tenant_id = people.tenant_id and assigned.entity_type = 'person' and assigned.record_id = people.record_id
    and assigned.closed_run_no is null
join pay_ready.entity_versions as versions
    on versions.tenant_id = assigned.tenant_id and versions.entity_id = assigned.entity_id and versions.closed_run_no is null
cross join lateral (values ('tenant', ''), ('source', sources.name), ('account', versions.company_entity_id::text))
    as subjects (subject_kind, subject_id)
where people.tenant_id = %(tenant_id)s
  and landed.first_landed_at >= %(since)s
  and landed.first_landed_at < %(until)s
  and subjects.subject_id is not null
group by 1, 2, 3, 4;

-- name: quarantine_rate
-- Of the records that syncs brought in on a day, those that broke a contract: of sources and the tenant, for nobody knows whose they are.
-- params: as volume
select subjects.subject_kind, subjects.subject_id, runs.started_at >= %(split)s::timestamptz as is_current,
    (runs.started_at at time zone 'UTC')::date as day, sum(streams.emitted)::bigint as observations,
    sum(least(streams.quarantined + streams.stage_quarantined, streams.emitted))::double precision as total,
    null::double precision[] as quantiles
from pay_ready.sync_runs as runs
join pay_ready.stream_runs as streams on streams.tenant_id = runs.tenant_id and streams.run_id = runs.run_id
join pay_ready.data_sources as sources on sources.tenant_id = runs.tenant_id and sources.source_id = runs.source_id
cross join lateral (values ('tenant', ''), ('source', sources.name)) as subjects (subject_kind, subject_id)
where runs.tenant_id = %(tenant_id)s
  and runs.started_at >= %(since)s
  and runs.started_at < %(until)s
  and streams.emitted > 0
group by 1, 2, 3, 4;

-- name: standing
-- Findings that stand, and those that ended after a moment, the newest first.
-- params: since timestamptz
select finding_id, metric_name, subject_kind, subject_id, direction, window_start, window_end, baseline_value, current_value, baseline_count,
    current_count, effect, severity, found_at, last_seen_at, alerted_at, ended_at, judgement
from pay_ready.drift_findings
where tenant_id = %(tenant_id)s
  and (ended_at is null or ended_at >= %(since)s)
order by found_at desc, finding_id;

-- name: put
-- A finding, new or seen again: what was said of it and that somebody was told stay.
-- params: finding_id uuid, metric_name text, subject_kind text, subject_id text, direction text, window_start timestamptz, window_end
-- timestamptz, baseline_value float, current_value float, baseline_count bigint, current_count bigint, effect float, severity float, now timestamptz
insert into pay_ready.drift_findings (
    tenant_id, finding_id, metric_name, subject_kind, subject_id, direction, window_start, window_end, baseline_value, current_value,
    baseline_count, current_count, effect, severity, found_at, last_seen_at
)
values (
    %(tenant_id)s, %(finding_id)s, %(metric_name)s, %(subject_kind)s, %(subject_id)s, %(direction)s, %(window_start)s, %(window_end)s,
    %(baseline_value)s, %(current_value)s, %(baseline_count)s, %(current_count)s, %(effect)s, %(severity)s, %(now)s, %(now)s
)
on conflict (tenant_id, finding_id) do update
set window_start = excluded.window_start, window_end = excluded.window_end, baseline_value = excluded.baseline_value,
    current_value = excluded.current_value, baseline_count = excluded.baseline_count, current_count = excluded.current_count,
    effect = excluded.effect, severity = excluded.severity, last_seen_at = excluded.last_seen_at, ended_at = null;

-- name: finish
-- params: finding_ids uuid[], now timestamptz
update pay_ready.drift_findings
set ended_at = %(now)s
where tenant_id = %(tenant_id)s
  and finding_id = any(%(finding_ids)s)
  and ended_at is null;

-- name: tell
-- Findings of which nobody was told: they are told now, once and for all.
-- params: finding_ids uuid[], now timestamptz
update pay_ready.drift_findings
set alerted_at = %(now)s
where tenant_id = %(tenant_id)s
  and finding_id = any(%(finding_ids)s)
  and alerted_at is null
returning finding_id;

-- name: judge
-- params: finding_id uuid, judgement text
update pay_ready.drift_findings
set judgement = %(judgement)s
where tenant_id = %(tenant_id)s
  and finding_id = %(finding_id)s;

-- name: add_judgement
-- params: judgement_id uuid, finding_id uuid, judgement text, reason text, judged_by text
insert into pay_ready.drift_judgements (tenant_id, judgement_id, finding_id, judgement, reason, judged_by)
values (%(tenant_id)s, %(judgement_id)s, %(finding_id)s, %(judgement)s, %(reason)s, %(judged_by)s);

-- name: judgements
-- What was said of a finding, the newest first.
-- params: finding_id uuid
select judgement, reason, judged_by, judged_at
from pay_ready.drift_judgements
where tenant_id = %(tenant_id)s
  and finding_id = %(finding_id)s
order by judged_at desc;

-- name: names
-- Names of accounts.
-- params: entity_ids uuid[]
select entity_id, name
from pay_ready.entity_versions
where tenant_id = %(tenant_id)s
  and entity_id = any(%(entity_ids)s)
  and closed_run_no is null;

-- name: room
-- Memory for the sorts of this transaction: a few hundred thousand observations need not go to disk.
-- params: none
select set_config('work_mem', '64MB', true)
where %(tenant_id)s is not null;

-- name: lock
-- One look of a tenant at a time, until the commit.
-- params: none
select pg_advisory_xact_lock(hashtextextended('pay_ready.drift:' || %(tenant_id)s::text, 0));
