-- How interactions sound, as the step `analyse` keeps it.

-- name: unread
-- Interactions whose sentiment is not known, or by another model than now; the latest first, behind a place.
-- params: model_name text, before_at timestamptz or null, before_id uuid or null, most integer
select records.interaction_id, records.occurred_at
from pay_ready.interaction_records as records
left join pay_ready.interaction_sentiment as known
    on known.tenant_id = records.tenant_id and known.interaction_id = records.interaction_id and known.turn_no = -1
where records.tenant_id = %(tenant_id)s
  and records.is_primary
  and known.model_name is distinct from %(model_name)s
  and (
      %(before_at)s::timestamptz is null
      or (records.occurred_at, records.interaction_id) < (%(before_at)s::timestamptz, %(before_id)s::uuid)
  )
order by records.occurred_at desc, records.interaction_id desc
limit %(most)s;

-- name: count_unread
-- params: model_name text
select count(*)
from pay_ready.interaction_records as records
left join pay_ready.interaction_sentiment as known
    on known.tenant_id = records.tenant_id and known.interaction_id = records.interaction_id and known.turn_no = -1
where records.tenant_id = %(tenant_id)s
  and records.is_primary
  and known.model_name is distinct from %(model_name)s;

-- name: keep
-- params: interaction_ids uuid[], sentiments real[], content_hashes bytea[], sentence_scores text[] (arrays as text),
-- sentence_labels text[], model_name text
insert into pay_ready.interaction_sentiment (
    tenant_id, interaction_id, turn_no, sentiment, model_name, content_hash, sentence_scores, sentence_labels, computed_at
)
select %(tenant_id)s, given.interaction_id, -1, given.sentiment, %(model_name)s, given.content_hash, given.scores::real[], given.labels, now()
from unnest(
    %(interaction_ids)s::uuid[], %(sentiments)s::real[], %(content_hashes)s::bytea[], %(sentence_scores)s::text[],
    %(sentence_labels)s::text[]
) as given (interaction_id, sentiment, content_hash, scores, labels)
on conflict (tenant_id, interaction_id, turn_no) do update
set sentiment = excluded.sentiment, model_name = excluded.model_name, content_hash = excluded.content_hash,
    sentence_scores = excluded.sentence_scores, sentence_labels = excluded.sentence_labels, computed_at = excluded.computed_at;

-- name: known
-- hot: answers about sentiment
-- params: interaction_ids uuid[], model_name text
select known.interaction_id, known.sentiment, known.content_hash, known.sentence_scores, known.sentence_labels
from pay_ready.interaction_sentiment as known
where known.tenant_id = %(tenant_id)s
  and known.interaction_id = any(%(interaction_ids)s)
  and known.turn_no = -1
  and known.model_name = %(model_name)s;

-- name: forget
-- What was known of interactions that changed or are gone.
-- params: interaction_ids uuid[]
delete from pay_ready.interaction_sentiment
where tenant_id = %(tenant_id)s
  and interaction_id = any(%(interaction_ids)s);

-- name: drop_gone
-- What was known of interactions that are no longer there.
delete from pay_ready.interaction_sentiment as known
where known.tenant_id = %(tenant_id)s
  and not exists (
      select from pay_ready.interaction_records as records
      where records.tenant_id = %(tenant_id)s and records.interaction_id = known.interaction_id and records.is_primary
  );

-- name: spread
-- Percentiles of the interactions' sentiment by period in a time zone.
-- params: interaction_ids uuid[], period text (day, week, month), time_zone text, week_start integer (0 is Monday)
select
    (date_trunc(%(period)s, records.occurred_at at time zone %(time_zone)s - shifted.by) + shifted.by)::date as start,
    count(*) as interactions,
    percentile_cont(array[0.1, 0.5, 0.9]) within group (order by known.sentiment) as percentiles
from pay_ready.interaction_sentiment as known
join pay_ready.interaction_records as records
    on records.tenant_id = known.tenant_id and records.interaction_id = known.interaction_id and records.is_primary
cross join (
    select case when %(period)s = 'week' then make_interval(days => %(week_start)s) else make_interval() end as by
) as shifted
where known.tenant_id = %(tenant_id)s
  and known.interaction_id = any(%(interaction_ids)s)
  and known.turn_no = -1
  and known.sentiment is not null
group by 1
order by 1;
