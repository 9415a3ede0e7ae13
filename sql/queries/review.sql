-- name: models
-- The models of the published version and from which evidence they match.
select models.entity_type, models.model_id, models.version, (models.parameters ->> 'threshold_millibits')::integer as threshold_millibits
from pay_ready.resolution_models as models
join (
    select person_model_id, company_model_id
    from pay_ready.resolution_runs
    where tenant_id = %(tenant_id)s
    order by run_no desc
    limit 1
) as latest on models.model_id in (latest.person_model_id, latest.company_model_id)
where models.tenant_id = %(tenant_id)s;

-- name: doubtful
-- Pairs that nobody decided, by evidence from even odds outwards: at most so many on either side, with the entities they are in.
-- params: entity_type text, model_id uuid, highest integer (thousandths of a bit), actor text, most integer
with near as (
    (
        select edges.left_id, edges.right_id, edges.match_weight_millibits
        from pay_ready.edges as edges
        where edges.tenant_id = %(tenant_id)s
          and edges.entity_type = %(entity_type)s
          and edges.model_id = %(model_id)s
          and edges.match_weight_millibits >= 0
          and edges.match_weight_millibits <= %(highest)s
          and not exists (
              select from pay_ready.decisions as said
              where said.tenant_id = %(tenant_id)s and said.entity_type = edges.entity_type
                and said.left_id = edges.left_id and said.right_id = edges.right_id and said.superseded_at is null
                and (said.actor_type = 'human' or (said.status = 'decided' and said.verdict <> 'unsure'))
          )
          and not exists (
              select from pay_ready.review_leases as held
              where held.tenant_id = %(tenant_id)s and held.entity_type = edges.entity_type
                and held.left_id = edges.left_id and held.right_id = edges.right_id
                and held.actor <> %(actor)s and held.leased_until > clock_timestamp()
          )
        order by edges.match_weight_millibits, edges.left_id, edges.right_id
        limit %(most)s
    )
    union all
    (
        select edges.left_id, edges.right_id, edges.match_weight_millibits
        from pay_ready.edges as edges
        where edges.tenant_id = %(tenant_id)s
          and edges.entity_type = %(entity_type)s
          and edges.model_id = %(model_id)s
          and edges.match_weight_millibits < 0
          and not exists (
              select from pay_ready.decisions as said
              where said.tenant_id = %(tenant_id)s and said.entity_type = edges.entity_type
                and said.left_id = edges.left_id and said.right_id = edges.right_id and said.superseded_at is null
                and (said.actor_type = 'human' or (said.status = 'decided' and said.verdict <> 'unsure'))
          )
          and not exists (
              select from pay_ready.review_leases as held
              where held.tenant_id = %(tenant_id)s and held.entity_type = edges.entity_type
                and held.left_id = edges.left_id and held.right_id = edges.right_id
                and held.actor <> %(actor)s and held.leased_until > clock_timestamp()
          )
        order by edges.match_weight_millibits desc, edges.left_id, edges.right_id
        limit %(most)s
    )
)
select near.left_id, near.right_id, near.match_weight_millibits, one.entity_id as left_entity, other.entity_id as right_entity
from near
join pay_ready.assignments as one
    on one.tenant_id = %(tenant_id)s and one.entity_type = %(entity_type)s and one.record_id = near.left_id and one.closed_run_no is null
join pay_ready.assignments as other
    on other.tenant_id = %(tenant_id)s and other.entity_type = %(entity_type)s and other.record_id = near.right_id
    and other.closed_run_no is null;

-- name: torn
-- Pairs whose evidence suffices and whose clusters are apart all the same, that nobody decided: looked for among so many edges from the
-- threshold up.
-- params: entity_type text, model_id uuid, threshold integer (thousandths of a bit), actor text, walked integer, most integer
select near.left_id, near.right_id, near.match_weight_millibits, one.entity_id as left_entity, other.entity_id as right_entity
from (
    select left_id, right_id, match_weight_millibits
    from pay_ready.edges
    where tenant_id = %(tenant_id)s
      and entity_type = %(entity_type)s
      and model_id = %(model_id)s
      and match_weight_millibits >= %(threshold)s
    order by match_weight_millibits
    limit %(walked)s
) as near
join pay_ready.assignments as one
    on one.tenant_id = %(tenant_id)s and one.entity_type = %(entity_type)s and one.record_id = near.left_id and one.closed_run_no is null
join pay_ready.assignments as other
    on other.tenant_id = %(tenant_id)s and other.entity_type = %(entity_type)s and other.record_id = near.right_id
    and other.closed_run_no is null
where one.entity_id <> other.entity_id
  and not exists (
      select from pay_ready.decisions as said
      where said.tenant_id = %(tenant_id)s and said.entity_type = %(entity_type)s
        and said.left_id = near.left_id and said.right_id = near.right_id and said.superseded_at is null
        and (said.actor_type = 'human' or (said.status = 'decided' and said.verdict <> 'unsure'))
  )
  and not exists (
      select from pay_ready.review_leases as held
      where held.tenant_id = %(tenant_id)s and held.entity_type = %(entity_type)s
        and held.left_id = near.left_id and held.right_id = near.right_id
        and held.actor <> %(actor)s and held.leased_until > clock_timestamp()
  )
order by near.match_weight_millibits, near.left_id, near.right_id
limit %(most)s;

-- name: settled
-- Entities between which somebody decided already: they stay apart, or are one from the next run on.
-- params: entity_type text or null
select distinct least(one.entity_id, other.entity_id) as left_entity, greatest(one.entity_id, other.entity_id) as right_entity
from pay_ready.decisions as said
join pay_ready.assignments as one
    on one.tenant_id = %(tenant_id)s and one.entity_type = said.entity_type and one.record_id = said.left_id and one.closed_run_no is null
join pay_ready.assignments as other
    on other.tenant_id = %(tenant_id)s and other.entity_type = said.entity_type and other.record_id = said.right_id
    and other.closed_run_no is null
where said.tenant_id = %(tenant_id)s
  and said.superseded_at is null
  and said.verdict <> 'unsure'
  and (said.actor_type = 'human' or said.status = 'decided')
  and (%(entity_type)s::text is null or said.entity_type = %(entity_type)s::text)
  and one.entity_id <> other.entity_id;

-- name: waiting
-- hot: a reviewer's next pair
-- Pairs on which another human's word waits for this reviewer, oldest first; whoever spoke in this round settles nothing.
-- params: actor text, entity_type text or null, most integer
select
    waits.entity_type, waits.left_id, waits.right_id, waits.status, waits.match_weight_millibits,
    one.entity_id as left_entity, other.entity_id as right_entity
from pay_ready.decisions as waits
left join pay_ready.assignments as one
    on one.tenant_id = %(tenant_id)s and one.entity_type = waits.entity_type and one.record_id = waits.left_id and one.closed_run_no is null
left join pay_ready.assignments as other
    on other.tenant_id = %(tenant_id)s and other.entity_type = waits.entity_type and other.record_id = waits.right_id
    and other.closed_run_no is null
where waits.tenant_id = %(tenant_id)s
  and waits.superseded_at is null
  and waits.status in ('open', 'escalated', 'appealed')
  and waits.actor_type = 'human'
  and waits.actor <> %(actor)s
  and (%(entity_type)s::text is null or waits.entity_type = %(entity_type)s::text)
  and not exists (
      select from pay_ready.decisions as answered
      where answered.tenant_id = %(tenant_id)s and answered.entity_type = waits.entity_type
        and answered.left_id = waits.left_id and answered.right_id = waits.right_id and answered.actor_type = 'human'
        and answered.superseded_at = waits.made_at and answered.status in ('open', 'escalated') and answered.actor = %(actor)s
        and waits.status = 'escalated'
  )
  and not exists (
      select from pay_ready.review_leases as held
      where held.tenant_id = %(tenant_id)s and held.entity_type = waits.entity_type
        and held.left_id = waits.left_id and held.right_id = waits.right_id
        and held.actor <> %(actor)s and held.leased_until > clock_timestamp()
  )
order by waits.made_at, waits.decision_id
limit %(most)s;

-- name: gold
-- Pairs that are decided by agreement, of two humans or of a human and the automatic reviewer, which this reviewer was not asked yet for
-- that; those that he has before him already first.
-- params: actor text, entity_type text or null, most integer
select
    decided.entity_type, decided.left_id, decided.right_id, decided.match_weight_millibits,
    one.entity_id as left_entity, other.entity_id as right_entity
from pay_ready.decisions as decided
join pay_ready.assignments as one
    on one.tenant_id = %(tenant_id)s and one.entity_type = decided.entity_type and one.record_id = decided.left_id
    and one.closed_run_no is null
join pay_ready.assignments as other
    on other.tenant_id = %(tenant_id)s and other.entity_type = decided.entity_type and other.record_id = decided.right_id
    and other.closed_run_no is null
left join pay_ready.review_leases as held
    on held.tenant_id = %(tenant_id)s and held.entity_type = decided.entity_type
    and held.left_id = decided.left_id and held.right_id = decided.right_id and held.leased_until > clock_timestamp()
where decided.tenant_id = %(tenant_id)s
  and decided.superseded_at is null
  and decided.actor_type = 'human'
  and decided.status = 'decided'
  and decided.verdict <> 'unsure'
  and (%(entity_type)s::text is null or decided.entity_type = %(entity_type)s::text)
  and (held.actor is null or held.actor = %(actor)s)
  and exists (
      select from pay_ready.decisions as agreeing
      where agreeing.tenant_id = %(tenant_id)s and agreeing.entity_type = decided.entity_type
        and agreeing.left_id = decided.left_id and agreeing.right_id = decided.right_id
        and agreeing.verdict = decided.verdict
        and (
            (agreeing.actor_type = 'agent' and agreeing.superseded_at is null)
            or (agreeing.actor_type = 'human' and agreeing.status = 'open' and agreeing.superseded_at = decided.made_at
                and agreeing.actor <> decided.actor)
        )
  )
  and not exists (
      select from pay_ready.decisions as asked
      where asked.tenant_id = %(tenant_id)s and asked.entity_type = decided.entity_type
        and asked.left_id = decided.left_id and asked.right_id = decided.right_id
        and asked.context = 'gold' and asked.actor = %(actor)s
  )
order by held.is_gold desc nulls last, decided.made_at, decided.decision_id
limit %(most)s;

-- name: answers_of
-- How often a reviewer answered, and how often about pairs that were decided already.
-- params: actor text
select count(*) as answers, count(*) filter (where context = 'gold') as gold_answers
from pay_ready.decisions
where tenant_id = %(tenant_id)s
  and actor = %(actor)s
  and actor_type = 'human'
  and context in ('review', 'gold');

-- name: entity_sizes
-- Name, records and interactions of current entities.
-- params: entity_ids uuid[]
select versions.entity_id, coalesce(versions.name, versions.email, versions.domain, versions.phone) as name, versions.record_count,
    (
        select count(*)
        from pay_ready.interaction_entities as links
        where links.tenant_id = %(tenant_id)s
          and links.entity_id = asked.entity_id
          and links.closed_run_no is null
    ) as interactions
from unnest(%(entity_ids)s::uuid[]) as asked (entity_id)
join pay_ready.entity_versions as versions
    on versions.tenant_id = %(tenant_id)s and versions.entity_id = asked.entity_id and versions.closed_run_no is null;

-- name: lease
-- Take a pair for a while; no row while somebody else has it.
-- params: entity_type text, left_id uuid, right_id uuid, actor text, seconds double precision, is_gold boolean
insert into pay_ready.review_leases as held (tenant_id, entity_type, left_id, right_id, actor, leased_until, is_gold)
values (
    %(tenant_id)s, %(entity_type)s, %(left_id)s, %(right_id)s, %(actor)s,
    clock_timestamp() + make_interval(secs => %(seconds)s), %(is_gold)s
)
on conflict (tenant_id, entity_type, left_id, right_id) do update
set actor = excluded.actor, leased_until = excluded.leased_until, is_gold = excluded.is_gold
where held.actor = excluded.actor or held.leased_until <= clock_timestamp()
returning leased_until;

-- name: holder
-- Who has a pair now.
-- params: entity_type text, left_id uuid, right_id uuid
select actor, leased_until, is_gold
from pay_ready.review_leases
where tenant_id = %(tenant_id)s
  and entity_type = %(entity_type)s
  and left_id = %(left_id)s
  and right_id = %(right_id)s
  and leased_until > clock_timestamp();

-- name: release
-- Give a pair back.
-- params: entity_type text, left_id uuid, right_id uuid, actor text
delete from pay_ready.review_leases
where tenant_id = %(tenant_id)s
  and entity_type = %(entity_type)s
  and left_id = %(left_id)s
  and right_id = %(right_id)s
  and actor = %(actor)s;

-- name: drop_expired
delete from pay_ready.review_leases
where tenant_id = %(tenant_id)s
  and leased_until < clock_timestamp() - interval '1 day';

-- name: records_between
-- Records whose ids lie in a range, of both types.
-- params: low uuid, high uuid, most integer
select 'person' as entity_type, record_id
from pay_ready.person_records
where tenant_id = %(tenant_id)s
  and record_id >= %(low)s
  and record_id <= %(high)s
union all
select 'company', record_id
from pay_ready.company_records
where tenant_id = %(tenant_id)s
  and record_id >= %(low)s
  and record_id <= %(high)s
limit %(most)s;

-- name: counts
-- How many current words there are, by who said them.
select actor_type, actor, status, verdict, count(*) as decisions
from pay_ready.decisions
where tenant_id = %(tenant_id)s
  and superseded_at is null
group by actor_type, actor, status, verdict
order by actor_type desc, actor, status, verdict;

-- name: double_reviews
-- What two reviewers said of the same pair, one after the other and before it was decided.
select first.actor as first_actor, second.actor as second_actor, first.verdict as first_verdict, second.verdict as second_verdict
from pay_ready.decisions as first
join pay_ready.decisions as second
    on second.tenant_id = %(tenant_id)s and second.entity_type = first.entity_type and second.left_id = first.left_id
    and second.right_id = first.right_id and second.actor_type = 'human' and second.made_at = first.superseded_at
    and second.actor <> first.actor and second.context <> 'gold'
where first.tenant_id = %(tenant_id)s
  and first.actor_type = 'human'
  and first.status = 'open'
order by first.made_at;

-- name: gold_answers
-- What reviewers said of pairs that were decided, beside what holds of these.
select asked.actor, asked.verdict, decided.verdict as decided
from pay_ready.decisions as asked
join pay_ready.decisions as decided
    on decided.tenant_id = %(tenant_id)s and decided.entity_type = asked.entity_type and decided.left_id = asked.left_id
    and decided.right_id = asked.right_id and decided.actor_type = 'human' and decided.superseded_at is null
    and decided.status in ('decided', 'appealed')
where asked.tenant_id = %(tenant_id)s
  and asked.context = 'gold'
  and decided.verdict <> 'unsure'
order by asked.made_at;

-- name: agent_and_humans
-- What the automatic reviewer and a human say of the same pair.
select agents.actor, agents.risk, agents.verdict as agent_verdict, humans.verdict as human_verdict, agents.status as agent_status
from pay_ready.decisions as agents
join pay_ready.decisions as humans
    on humans.tenant_id = %(tenant_id)s and humans.entity_type = agents.entity_type and humans.left_id = agents.left_id
    and humans.right_id = agents.right_id and humans.actor_type = 'human' and humans.superseded_at is null
    and humans.status in ('decided', 'appealed')
where agents.tenant_id = %(tenant_id)s
  and agents.actor_type = 'agent'
  and agents.superseded_at is null
order by agents.made_at;

-- name: judged_links
-- What reviewers said of pairs that the model of the time took for matches. A model's parameters are large: each is opened once.
with models as materialized (
    select model_id, version, (parameters ->> 'threshold_millibits')::integer as threshold_millibits
    from pay_ready.resolution_models
    where tenant_id = %(tenant_id)s
)
select
    said.entity_type, said.run_no, said.model_id, models.version, said.verdict, said.match_weight_millibits, models.threshold_millibits
from pay_ready.decisions as said
join models on models.model_id = said.model_id
where said.tenant_id = %(tenant_id)s
  and said.context = 'review'
  and said.actor_type = 'human'
  and said.superseded_at is null
  and said.status in ('decided', 'appealed')
  and said.verdict <> 'unsure'
  and said.match_weight_millibits >= models.threshold_millibits
order by said.run_no, said.made_at;

-- name: links_by_band
-- How many links a model has, by how far they are above its threshold.
-- params: model_id uuid, threshold integer (thousandths of a bit), bands integer[] (lower ends, thousandths of a bit above the threshold)
select width_bucket(match_weight_millibits - %(threshold)s, %(bands)s::integer[]) as band, count(*) as links
from pay_ready.edges
where tenant_id = %(tenant_id)s
  and model_id = %(model_id)s
  and match_weight_millibits >= %(threshold)s
group by 1
order by 1;
