-- name: lock
-- One at a time says something of a tenant's pairs, until the commit: contradictions are looked for in what stands still.
select pg_advisory_xact_lock(hashtextextended('pay_ready.decide:' || %(tenant_id)s::text, 0));

-- name: moment
-- The time, once the lock is held: a word is made after the one that it takes over from. And what is said is said for good, whatever
-- the server is set to.
select clock_timestamp(), set_config('synchronous_commit', 'on', true)
where %(tenant_id)s is not null;

-- name: current
-- hot: a reviewer who decides
-- The current words about a pair, at most one of a human and one of an agent.
-- params: entity_type text, left_id uuid, right_id uuid
select
    decision_id, entity_type, left_id, right_id, verdict, actor_type, actor, reason, context, entity_id, status, made_at, superseded_at,
    match_weight_millibits, model_id, run_no, risk, evidence
from pay_ready.decisions
where tenant_id = %(tenant_id)s
  and entity_type = %(entity_type)s
  and left_id = %(left_id)s
  and right_id = %(right_id)s
  and superseded_at is null;

-- name: find
-- params: decision_id uuid
select
    decision_id, entity_type, left_id, right_id, verdict, actor_type, actor, reason, context, entity_id, status, made_at, superseded_at,
    match_weight_millibits, model_id, run_no, risk, evidence
from pay_ready.decisions
where tenant_id = %(tenant_id)s
  and decision_id = %(decision_id)s;

-- name: latest_of
-- The last current word of a human.
-- params: actor text
select
    decision_id, entity_type, left_id, right_id, verdict, actor_type, actor, reason, context, entity_id, status, made_at, superseded_at,
    match_weight_millibits, model_id, run_no, risk, evidence
from pay_ready.decisions
where tenant_id = %(tenant_id)s
  and actor = %(actor)s
  and actor_type = 'human'
  and superseded_at is null
order by made_at desc, decision_id desc
limit 1;

-- name: history
-- All words about a pair, newest first; answers that measured agreement too.
-- params: entity_type text, left_id uuid, right_id uuid
select
    decision_id, entity_type, left_id, right_id, verdict, actor_type, actor, reason, context, entity_id, status, made_at, superseded_at,
    match_weight_millibits, model_id, run_no, risk, evidence
from pay_ready.decisions
where tenant_id = %(tenant_id)s
  and entity_type = %(entity_type)s
  and left_id = %(left_id)s
  and right_id = %(right_id)s
order by made_at desc, decision_id desc;

-- name: listed
-- hot: whoever looks at decisions
-- Words, newest first, current ones or all.
-- params: with_superseded boolean, and by text or null: verdict, status, actor, actor_type, context, entity_type; entity_id uuid or null,
-- params: since timestamptz or null, most integer
select
    decision_id, entity_type, left_id, right_id, verdict, actor_type, actor, reason, context, entity_id, status, made_at, superseded_at,
    match_weight_millibits, model_id, run_no, risk, evidence
from pay_ready.decisions
where tenant_id = %(tenant_id)s
  and (%(with_superseded)s or superseded_at is null)
  and (%(context)s::text is null or context = %(context)s::text)
  and (%(verdict)s::text is null or verdict = %(verdict)s::text)
  and (%(status)s::text is null or status = %(status)s::text)
  and (%(actor)s::text is null or actor = %(actor)s::text)
  and (%(actor_type)s::text is null or actor_type = %(actor_type)s::text)
  and (%(entity_type)s::text is null or entity_type = %(entity_type)s::text)
  and (%(entity_id)s::uuid is null or entity_id = %(entity_id)s::uuid)
  and (%(since)s::timestamptz is null or made_at >= %(since)s::timestamptz)
order by made_at desc, decision_id desc
limit %(most)s;

-- name: words_of
-- The words in force about pairs with one of these records; a pair of two of them comes twice.
-- params: entity_type text, record_ids uuid[]
select said.decision_id, said.left_id, said.right_id, said.verdict, said.actor_type, said.actor
from unnest(%(record_ids)s::uuid[]) as asked (record_id)
cross join lateral (
    select decision_id, left_id, right_id, verdict, actor_type, actor
    from pay_ready.decisions
    where tenant_id = %(tenant_id)s
      and entity_type = %(entity_type)s
      and left_id = asked.record_id
      and superseded_at is null
      and status in ('decided', 'appealed')
      and verdict <> 'unsure'
    union all
    select decision_id, left_id, right_id, verdict, actor_type, actor
    from pay_ready.decisions
    where tenant_id = %(tenant_id)s
      and entity_type = %(entity_type)s
      and right_id = asked.record_id
      and superseded_at is null
      and status in ('decided', 'appealed')
      and verdict <> 'unsure'
) as said;

-- name: person_facts
-- Which of two people's records there are, and what the published version says of them.
-- params: left_id uuid, right_id uuid
select
    exists (select from pay_ready.person_records where tenant_id = %(tenant_id)s and record_id = %(left_id)s) as has_left,
    exists (select from pay_ready.person_records where tenant_id = %(tenant_id)s and record_id = %(right_id)s) as has_right,
    latest.run_no,
    latest.model_id,
    (
        select match_weight_millibits
        from pay_ready.edges
        where tenant_id = %(tenant_id)s
          and entity_type = 'person'
          and left_id = %(left_id)s
          and right_id = %(right_id)s
          and model_id = latest.model_id
    ) as match_weight_millibits,
    (
        select entity_id
        from pay_ready.assignments
        where tenant_id = %(tenant_id)s
          and entity_type = 'person'
          and record_id = %(left_id)s
          and closed_run_no is null
    ) as entity_id
from (values (1)) as once (one)
left join lateral (
    select run_no, person_model_id as model_id
    from pay_ready.resolution_runs
    where tenant_id = %(tenant_id)s
    order by run_no desc
    limit 1
) as latest on true;

-- name: company_facts
-- `person_facts` of two companies' records.
-- params: left_id uuid, right_id uuid
select
    exists (select from pay_ready.company_records where tenant_id = %(tenant_id)s and record_id = %(left_id)s) as has_left,
    exists (select from pay_ready.company_records where tenant_id = %(tenant_id)s and record_id = %(right_id)s) as has_right,
    latest.run_no,
    latest.model_id,
    (
        select match_weight_millibits
        from pay_ready.edges
        where tenant_id = %(tenant_id)s
          and entity_type = 'company'
          and left_id = %(left_id)s
          and right_id = %(right_id)s
          and model_id = latest.model_id
    ) as match_weight_millibits,
    (
        select entity_id
        from pay_ready.assignments
        where tenant_id = %(tenant_id)s
          and entity_type = 'company'
          and record_id = %(left_id)s
          and closed_run_no is null
    ) as entity_id
from (values (1)) as once (one)
left join lateral (
    select run_no, company_model_id as model_id
    from pay_ready.resolution_runs
    where tenant_id = %(tenant_id)s
    order by run_no desc
    limit 1
) as latest on true;

-- name: close
-- A word that holds no more; no row when it was closed before.
-- params: decision_id uuid, moment timestamptz
update pay_ready.decisions
set superseded_at = greatest(%(moment)s::timestamptz, made_at)
where tenant_id = %(tenant_id)s
  and decision_id = %(decision_id)s
  and superseded_at is null;

-- name: set_status
-- params: decision_id uuid, status text
update pay_ready.decisions
set status = %(status)s
where tenant_id = %(tenant_id)s
  and decision_id = %(decision_id)s
  and superseded_at is null;

-- name: add
-- params: decision_id uuid, entity_type text, left_id uuid, right_id uuid, verdict text, actor_type text, actor text, reason text,
-- params: context text, entity_id uuid, status text, moment timestamptz, is_gold boolean, match_weight_millibits integer, model_id uuid,
-- params: run_no bigint, risk text, evidence jsonb
insert into pay_ready.decisions (
    tenant_id, decision_id, entity_type, left_id, right_id, verdict, actor_type, actor, reason, context, entity_id, status, made_at,
    superseded_at, match_weight_millibits, model_id, run_no, risk, evidence
)
values (
    %(tenant_id)s, %(decision_id)s, %(entity_type)s, %(left_id)s, %(right_id)s, %(verdict)s, %(actor_type)s, %(actor)s, %(reason)s,
    %(context)s, %(entity_id)s, %(status)s, %(moment)s::timestamptz, case when %(is_gold)s then %(moment)s::timestamptz end,
    %(match_weight_millibits)s, %(model_id)s, %(run_no)s, %(risk)s, %(evidence)s
)
returning
    decision_id, entity_type, left_id, right_id, verdict, actor_type, actor, reason, context, entity_id, status, made_at, superseded_at,
    match_weight_millibits, model_id, run_no, risk, evidence;
