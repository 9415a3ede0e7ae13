-- A state of the past as the new version: what differs between now and a run goes into temporary tables, is looked at, and is written.
-- `is_whole` restores everything; else only what is in restore_records and restore_entities.

-- name: make_record_table
-- scope: session
create temporary table restore_records (
    record_id uuid primary key
) on commit drop;

-- name: make_entity_table
-- scope: session
create temporary table restore_entities (
    entity_id uuid primary key
) on commit drop;

-- name: make_move_table
-- scope: session
create temporary table restore_moves (
    entity_type text not null,
    record_id uuid not null,
    before_entity_id uuid,
    before_confidence real,
    entity_id uuid,
    confidence real
) on commit drop;

-- name: make_version_table
-- scope: session
create temporary table restore_versions (
    entity_id uuid not null,
    entity_type text not null,
    before_hash bytea,
    after_hash bytea,
    source_run_no bigint
) on commit drop;

-- name: make_decision_table
-- scope: session
create temporary table restore_decisions (
    decision_id uuid not null,
    opens boolean not null
) on commit drop;

-- name: make_link_table
-- scope: session
create temporary table restore_links (
    interaction_id uuid not null,
    entity_id uuid not null,
    opens boolean not null,
    source_run_no bigint not null
) on commit drop;

-- name: make_waiting_table
-- scope: session
create temporary table restore_waiting (
    kind text not null,
    object_id uuid not null
) on commit drop;

-- name: make_change_table
-- scope: session
create temporary table restore_changes (
    change_no bigint not null,
    change text not null,
    entity_type text not null,
    entity_id uuid not null,
    other_entity_id uuid,
    before_hash bytea,
    after_hash bytea
) on commit drop;

-- name: analyze_tables
-- scope: session
analyze pg_temp.restore_moves, pg_temp.restore_versions, pg_temp.publish_redirects;

-- name: drop_redirect_table
-- scope: session
drop table pg_temp.publish_redirects;

-- name: add_part_records
-- params: record_ids uuid[]
insert into pg_temp.restore_records (record_id)
select unnest(%(record_ids)s::uuid[])
where %(tenant_id)s is not null;

-- name: add_part_entities
-- params: entity_ids uuid[]
insert into pg_temp.restore_entities (entity_id)
select unnest(%(entity_ids)s::uuid[])
where %(tenant_id)s is not null;

-- name: records_of
-- Records that were in one of these entities at some time from a run until now.
-- params: run_no bigint, entity_ids uuid[]
select distinct record_id
from pay_ready.assignments
where tenant_id = %(tenant_id)s
  and entity_id = any(%(entity_ids)s)
  and (closed_run_no is null or closed_run_no > %(run_no)s);

-- name: entities_of
-- Entities that one of these records was in at some time from a run until now.
-- params: run_no bigint, record_ids uuid[]
select distinct held.entity_id
from unnest(%(record_ids)s::uuid[]) as asked (record_id)
cross join (values ('company'), ('person')) as kinds (entity_type)
join pay_ready.assignments as held
    on held.tenant_id = %(tenant_id)s and held.entity_type = kinds.entity_type and held.record_id = asked.record_id
where held.closed_run_no is null
   or held.closed_run_no > %(run_no)s;

-- name: led_to
-- Retired ids that came to lead, or ceased to lead, to one of these since a run.
-- params: run_no bigint, entity_ids uuid[]
select distinct entity_id
from pay_ready.entity_redirects
where tenant_id = %(tenant_id)s
  and target_entity_id = any(%(entity_ids)s)
  and (opened_run_no > %(run_no)s or closed_run_no > %(run_no)s);

-- name: employees_of
-- People whose golden record came to name, or ceased to name, one of these companies since a run.
-- params: run_no bigint, entity_ids uuid[]
select distinct entity_id
from pay_ready.entity_versions
where tenant_id = %(tenant_id)s
  and company_entity_id = any(%(entity_ids)s)
  and (opened_run_no > %(run_no)s or closed_run_no > %(run_no)s);

-- name: changes_of
-- What a run and those after it did to entities.
-- params: since bigint, entity_ids uuid[]
select
    changes.change_seq, changes.run_no, runs.kind, runs.published_at, changes.change, changes.entity_type, changes.entity_id,
    changes.other_entity_id
from pay_ready.entity_changes as changes
join pay_ready.resolution_runs as runs on runs.tenant_id = changes.tenant_id and runs.run_no = changes.run_no
where changes.tenant_id = %(tenant_id)s
  and changes.entity_id = any(%(entity_ids)s)
  and changes.run_no >= %(since)s
order by changes.change_seq;

-- name: feed_line
-- params: change_seq bigint
select
    changes.change_seq, changes.run_no, runs.kind, runs.published_at, changes.change, changes.entity_type, changes.entity_id,
    changes.other_entity_id
from pay_ready.entity_changes as changes
join pay_ready.resolution_runs as runs on runs.tenant_id = changes.tenant_id and runs.run_no = changes.run_no
where changes.tenant_id = %(tenant_id)s
  and changes.change_seq = %(change_seq)s;

-- name: feed_lines
-- params: run_no bigint or null, change text or null, entity_type text or null, entity_id uuid or null, kinds text[], most bigint
select
    changes.change_seq, changes.run_no, runs.kind, runs.published_at, changes.change, changes.entity_type, changes.entity_id,
    changes.other_entity_id
from pay_ready.entity_changes as changes
join pay_ready.resolution_runs as runs on runs.tenant_id = changes.tenant_id and runs.run_no = changes.run_no
where changes.tenant_id = %(tenant_id)s
  and (%(run_no)s::bigint is null or changes.run_no = %(run_no)s::bigint)
  and (%(change)s::text is null or changes.change = %(change)s::text)
  and (%(entity_type)s::text is null or changes.entity_type = %(entity_type)s::text)
  and (%(entity_id)s::uuid is null or %(entity_id)s::uuid in (changes.entity_id, changes.other_entity_id))
  and changes.change = any(%(kinds)s)
order by changes.change_seq desc
limit %(most)s;

-- name: members_at
-- params: run_no bigint, entity_id uuid
select record_id
from pay_ready.assignments
where tenant_id = %(tenant_id)s
  and entity_id = %(entity_id)s
  and opened_run_no <= %(run_no)s
  and (closed_run_no is null or closed_run_no > %(run_no)s)
order by record_id;

-- name: entities_at
-- The entity of each record after a run.
-- params: run_no bigint, record_ids uuid[], entity_type text
select record_id, entity_id
from pay_ready.assignments
where tenant_id = %(tenant_id)s
  and entity_type = %(entity_type)s
  and record_id = any(%(record_ids)s)
  and opened_run_no <= %(run_no)s
  and (closed_run_no is null or closed_run_no > %(run_no)s);

-- name: entities_held
-- params: run_no bigint, record_ids uuid[]
select distinct held.entity_id
from unnest(%(record_ids)s::uuid[]) as asked (record_id)
cross join (values ('company'), ('person')) as kinds (entity_type)
join pay_ready.assignments as held
    on held.tenant_id = %(tenant_id)s and held.entity_type = kinds.entity_type and held.record_id = asked.record_id
where held.opened_run_no <= %(run_no)s
  and (held.closed_run_no is null or held.closed_run_no >= %(run_no)s);

-- name: matches_between
-- params: entity_type text, record_ids uuid[], other_ids uuid[]
select edges.left_id, edges.right_id
from pay_ready.resolution_runs as latest
join pay_ready.edges as edges
    on edges.tenant_id = latest.tenant_id
    and edges.entity_type = %(entity_type)s
    and edges.model_id in (latest.person_model_id, latest.company_model_id)
join pay_ready.resolution_models as models on models.tenant_id = edges.tenant_id and models.model_id = edges.model_id
where latest.tenant_id = %(tenant_id)s
  and latest.run_no = (select max(run_no) from pay_ready.resolution_runs where tenant_id = %(tenant_id)s)
  and edges.match_weight_millibits >= (models.parameters ->> 'threshold_millibits')::bigint
  and ((edges.left_id = any(%(record_ids)s) and edges.right_id = any(%(other_ids)s))
    or (edges.left_id = any(%(other_ids)s) and edges.right_id = any(%(record_ids)s)))
order by edges.left_id, edges.right_id;

-- name: decided_between
-- Decisions about records of two groups, of each one, that hold; `is_word` is a steward's own word, not an undo's nor an agent's.
-- params: entity_type text, verdict text, record_ids uuid[], other_ids uuid[]
select decision_id, left_id, right_id, actor_type = 'human' and context <> 'undo' as is_word
from pay_ready.decisions
where tenant_id = %(tenant_id)s
  and entity_type = %(entity_type)s
  and superseded_at is null
  and verdict = %(verdict)s
  and ((left_id = any(%(record_ids)s) and right_id = any(%(other_ids)s))
    or (left_id = any(%(other_ids)s) and right_id = any(%(record_ids)s)))
order by left_id, right_id;

-- name: honoured_since
-- params: decision_id uuid
select opened_run_no
from pay_ready.run_decisions
where tenant_id = %(tenant_id)s
  and decision_id = %(decision_id)s
  and closed_run_no is null;

-- name: decisions_of_run
-- params: run_no bigint, context text
select held.decision_id
from pay_ready.run_decisions as held
join pay_ready.decisions as told on told.tenant_id = held.tenant_id and told.decision_id = held.decision_id
where held.tenant_id = %(tenant_id)s
  and held.opened_run_no = %(run_no)s
  and told.context = %(context)s
order by held.decision_id;

-- name: tell_assignments
-- To the statements of a publish that work out the links of interactions.
insert into pg_temp.publish_assignments (entity_type, record_id, entity_id, confidence)
select entity_type, record_id, entity_id, confidence
from pg_temp.restore_moves
where %(tenant_id)s is not null;

-- name: count_part_links
select
    count(*) filter (where wanted.interaction_id is not null) as opening,
    count(*) filter (where links.interaction_id is not null) as closing,
    count(distinct coalesce(wanted.interaction_id, links.interaction_id)) as interactions
from pg_temp.publish_interactions as wanted
full join (
    select links.interaction_id, links.entity_id, links.is_primary, links.occurred_at
    from pg_temp.publish_scope as scope
    join pay_ready.interaction_entities as links
        on links.tenant_id = %(tenant_id)s and links.interaction_id = scope.interaction_id and links.closed_run_no is null
) as links
    on links.interaction_id = wanted.interaction_id
    and links.entity_id = wanted.entity_id
    and links.is_primary = wanted.is_primary
    and links.occurred_at = wanted.occurred_at
where wanted.interaction_id is null
   or links.interaction_id is null;

-- name: count_part_memories
select count(*)
from pay_ready.memories
where tenant_id = %(tenant_id)s
  and interaction_id in (select interaction_id from pg_temp.publish_scope);

-- name: find_moves
-- Records whose entity, or how surely it is theirs, is another one than after the run.
-- params: run_no bigint, is_whole boolean
insert into pg_temp.restore_moves (entity_type, record_id, before_entity_id, before_confidence, entity_id, confidence)
select
    entity_type, record_id, present.entity_id as before_entity_id, present.confidence as before_confidence, past.entity_id, past.confidence
from (
    select entity_type, record_id, entity_id, confidence
    from pay_ready.assignments
    where tenant_id = %(tenant_id)s
      and closed_run_no is null
      and opened_run_no > %(run_no)s
      and (%(is_whole)s or record_id in (select record_id from pg_temp.restore_records))
) as present
full join (
    select entity_type, record_id, entity_id, confidence
    from pay_ready.assignments
    where tenant_id = %(tenant_id)s
      and opened_run_no <= %(run_no)s
      and closed_run_no > %(run_no)s
      and (%(is_whole)s or record_id in (select record_id from pg_temp.restore_records))
) as past using (entity_type, record_id)
where (present.entity_id, present.confidence) is distinct from (past.entity_id, past.confidence);

-- name: find_versions
-- Entities whose golden record is another one than after the run, that lived then and do not now, or the other way round.
-- params: run_no bigint, is_whole boolean
insert into pg_temp.restore_versions (entity_id, entity_type, before_hash, after_hash, source_run_no)
select
    entity_id, coalesce(past.entity_type, present.entity_type) as entity_type, present.content_hash as before_hash,
    past.content_hash as after_hash, past.opened_run_no as source_run_no
from (
    select entity_id, entity_type, content_hash
    from pay_ready.entity_versions
    where tenant_id = %(tenant_id)s
      and closed_run_no is null
      and opened_run_no > %(run_no)s
      and (%(is_whole)s or entity_id in (select entity_id from pg_temp.restore_entities))
) as present
full join (
    select entity_id, entity_type, content_hash, opened_run_no
    from pay_ready.entity_versions
    where tenant_id = %(tenant_id)s
      and opened_run_no <= %(run_no)s
      and closed_run_no > %(run_no)s
      and (%(is_whole)s or entity_id in (select entity_id from pg_temp.restore_entities))
) as past using (entity_id)
where present.content_hash is distinct from past.content_hash;

-- name: find_redirects
-- Where retired ids lead: those given by then as after the run, those given since to whoever holds the record they were minted for.
-- params: run_no bigint, is_whole boolean
insert into pg_temp.publish_redirects (entity_id, opens, target_entity_id)
with past as (
    select entity_id, target_entity_id
    from pay_ready.entity_redirects
    where tenant_id = %(tenant_id)s
      and opened_run_no <= %(run_no)s
      and (closed_run_no is null or closed_run_no > %(run_no)s)
      and (%(is_whole)s or entity_id in (select entity_id from pg_temp.restore_entities))
    union all
    select minted.entity_id, holders.entity_id
    from pay_ready.entities as minted
    left join lateral (
        select held.entity_id
        from pay_ready.assignments as held
        where held.tenant_id = %(tenant_id)s
          and held.entity_type = minted.entity_type
          and held.record_id = minted.anchor_record_id
          and held.opened_run_no <= %(run_no)s
          and (held.closed_run_no is null or held.closed_run_no > %(run_no)s)
        offset 0
    ) as holders on true
    where minted.tenant_id = %(tenant_id)s
      and minted.minted_run_no > %(run_no)s
      and (%(is_whole)s or minted.entity_id in (select entity_id from pg_temp.restore_entities))
),
present as (
    select entity_id, target_entity_id
    from pay_ready.entity_redirects
    where tenant_id = %(tenant_id)s
      and closed_run_no is null
      and (%(is_whole)s or entity_id in (select entity_id from pg_temp.restore_entities))
)
select entity_id, past.entity_id is not null as opens, past.target_entity_id
from past
full join present using (entity_id)
where past.entity_id is null
   or present.entity_id is null
   or past.target_entity_id is distinct from present.target_entity_id;

-- name: find_decisions
-- Decisions that were honoured after the run and are not now, or the other way round.
-- params: run_no bigint
insert into pg_temp.restore_decisions (decision_id, opens)
select decision_id, past.decision_id is not null as opens
from (
    select decision_id
    from pay_ready.run_decisions
    where tenant_id = %(tenant_id)s
      and closed_run_no is null
) as present
full join (
    select decision_id
    from pay_ready.run_decisions
    where tenant_id = %(tenant_id)s
      and opened_run_no <= %(run_no)s
      and (closed_run_no is null or closed_run_no > %(run_no)s)
) as past using (decision_id)
where present.decision_id is null
   or past.decision_id is null;

-- name: find_links
-- Links between interactions and entities that were there after the run and are not now, or the other way round.
-- params: run_no bigint
insert into pg_temp.restore_links (interaction_id, entity_id, opens, source_run_no)
with present as (
    select interaction_id, entity_id, opened_run_no, is_primary, occurred_at
    from pay_ready.interaction_entities
    where tenant_id = %(tenant_id)s
      and closed_run_no is null
      and opened_run_no > %(run_no)s
),
past as (
    select interaction_id, entity_id, opened_run_no, is_primary, occurred_at
    from pay_ready.interaction_entities
    where tenant_id = %(tenant_id)s
      and opened_run_no <= %(run_no)s
      and closed_run_no > %(run_no)s
)
select present.interaction_id, present.entity_id, false as opens, present.opened_run_no as source_run_no
from present
where not exists (
    select from past
    where past.interaction_id = present.interaction_id and past.entity_id = present.entity_id
      and past.is_primary = present.is_primary and past.occurred_at = present.occurred_at
)
union all
select past.interaction_id, past.entity_id, true, past.opened_run_no
from past
where not exists (
    select from present
    where present.interaction_id = past.interaction_id and present.entity_id = past.entity_id
      and present.is_primary = past.is_primary and present.occurred_at = past.occurred_at
);

-- name: find_waiting
-- What has to be looked at again by the next run: records that moved, those of golden records that are others, and what the decisions
-- are about that are honoured now or then alone.
-- params: run_no bigint
insert into pg_temp.restore_waiting (kind, object_id)
select kind, object_id
from (
    select entity_type as kind, record_id as object_id
    from pg_temp.restore_moves
    union
    select held.entity_type, held.record_id
    from pg_temp.restore_versions as restored
    join pay_ready.assignments as held
        on held.tenant_id = %(tenant_id)s and held.entity_id = restored.entity_id
    where held.closed_run_no is null
       or (held.opened_run_no <= %(run_no)s and held.closed_run_no > %(run_no)s)
    union
    select told.entity_type, unnest(array[told.left_id, told.right_id])
    from pg_temp.restore_decisions as held
    join pay_ready.decisions as told on told.tenant_id = %(tenant_id)s and told.decision_id = held.decision_id
    union
    select 'interaction', interaction_id
    from pg_temp.restore_links
) as waiting;

-- name: count_waiting
-- What waits for the next run once the state is restored, by kind.
-- params: dropped_change_id uuid
select kind, count(distinct object_id) as objects
from (
    select kind, object_id
    from pay_ready.resolution_queue
    where tenant_id = %(tenant_id)s
      and change_id is distinct from %(dropped_change_id)s
    union all
    select kind, object_id
    from pg_temp.restore_waiting
) as waiting
group by kind
order by kind;

-- name: closing_digests
-- sha256 of the canonical lines that the restored state does not have (`state.line_digests`).
select sha256(convert_to(
    'assignment ' || entity_type || ' ' || record_id || ' ' || before_entity_id || ' ' || to_char(before_confidence::numeric, 'FM0.0000')
    || E'\n', 'UTF8'
)) as digest
from pg_temp.restore_moves
where before_entity_id is not null
union all
select sha256(convert_to('version ' || entity_id || ' ' || encode(before_hash, 'hex') || E'\n', 'UTF8'))
from pg_temp.restore_versions
where before_hash is not null
union all
select sha256(convert_to(
    'decision ' || told.decision_id || ' ' || told.entity_type || ' ' || told.left_id || ' ' || told.right_id || ' ' || told.verdict || E'\n',
    'UTF8'
))
from pg_temp.restore_decisions as held
join pay_ready.decisions as told on told.tenant_id = %(tenant_id)s and told.decision_id = held.decision_id
where not held.opens;

-- name: opening_digests
select sha256(convert_to(
    'assignment ' || entity_type || ' ' || record_id || ' ' || entity_id || ' ' || to_char(confidence::numeric, 'FM0.0000') || E'\n', 'UTF8'
)) as digest
from pg_temp.restore_moves
where entity_id is not null
union all
select sha256(convert_to('version ' || entity_id || ' ' || encode(after_hash, 'hex') || E'\n', 'UTF8'))
from pg_temp.restore_versions
where after_hash is not null
union all
select sha256(convert_to(
    'decision ' || told.decision_id || ' ' || told.entity_type || ' ' || told.left_id || ' ' || told.right_id || ' ' || told.verdict || E'\n',
    'UTF8'
))
from pg_temp.restore_decisions as held
join pay_ready.decisions as told on told.tenant_id = %(tenant_id)s and told.decision_id = held.decision_id
where held.opens;

-- name: find_changes
-- What happens to each entity, as `resolve.changes.entity_changes` says it.
insert into pg_temp.restore_changes (change_no, change, entity_type, entity_id, other_entity_id, before_hash, after_hash)
with gained as (
    select entity_id, before_entity_id, count(*) as records
    from pg_temp.restore_moves
    where entity_id is not null
      and before_entity_id is distinct from entity_id
    group by entity_id, before_entity_id
),
lost as (
    select before_entity_id as entity_id, bool_or(entity_id is not null) as is_surviving
    from pg_temp.restore_moves
    where before_entity_id is not null
      and before_entity_id is distinct from entity_id
    group by before_entity_id
),
touched as (
    select entity_id, entity_type, before_hash, after_hash
    from pg_temp.restore_versions
    union all
    select kept.entity_id, kept.entity_type, kept.content_hash, kept.content_hash
    from (select entity_id from gained union select entity_id from lost) as moved
    join pay_ready.entity_versions as kept
        on kept.tenant_id = %(tenant_id)s and kept.entity_id = moved.entity_id and kept.closed_run_no is null
    where not exists (select from pg_temp.restore_versions as known where known.entity_id = moved.entity_id)
),
parents as (
    select distinct on (entity_id) entity_id, before_entity_id as parent_id
    from gained
    where before_entity_id is not null
    order by entity_id, records desc, before_entity_id
),
told as (
    select
        touched.*,
        case
            when touched.before_hash is null and parents.parent_id is null then 'created'
            when touched.before_hash is null then 'split'
            when touched.after_hash is not null then 'changed'
            when lost.is_surviving and leads.target_entity_id is not null then 'merged'
            else 'retired'
        end as change,
        case
            when touched.before_hash is null then parents.parent_id
            when touched.after_hash is null and lost.is_surviving then leads.target_entity_id
        end as other_entity_id
    from touched
    left join parents on parents.entity_id = touched.entity_id
    left join lost on lost.entity_id = touched.entity_id
    left join pg_temp.publish_redirects as leads on leads.entity_id = touched.entity_id and leads.opens
)
select
    row_number() over (
        order by entity_type, array_position(array['created', 'split', 'changed', 'merged', 'retired'], change), entity_id
    ),
    change, entity_type, entity_id, other_entity_id, before_hash, after_hash
from told;

-- name: count_changes
select entity_type, change, count(*) as entities
from pg_temp.restore_changes
where %(tenant_id)s is not null
group by entity_type, change
order by entity_type, change;

-- name: example_changes
-- The first changes of each kind with what the entity is called now and was called then.
-- params: most bigint
select shown.change, shown.entity_type, shown.entity_id, shown.other_entity_id, present.name as name_now, present.record_count as records_now,
    past.name as name_then, past.record_count as records_then
from (
    select restore_changes.*, row_number() over (partition by entity_type, change order by change_no) as place
    from pg_temp.restore_changes
) as shown
left join lateral (
    select versions.name, versions.record_count
    from pay_ready.entity_versions as versions
    where versions.tenant_id = %(tenant_id)s and versions.entity_id = shown.entity_id and versions.closed_run_no is null
    offset 0
) as present on true
left join pg_temp.restore_versions as restored on restored.entity_id = shown.entity_id and restored.after_hash is not null
left join lateral (
    select versions.name, versions.record_count
    from pay_ready.entity_versions as versions
    where versions.tenant_id = %(tenant_id)s and versions.entity_id = shown.entity_id and versions.opened_run_no = restored.source_run_no
    offset 0
) as past on true
where shown.place <= %(most)s
order by shown.change_no;

-- name: count_fields
-- Of entities that live now and then: whose field has another value then.
select
    count(*) filter (where present.name is distinct from past.name) as name,
    count(*) filter (where present.email is distinct from past.email) as email,
    count(*) filter (where present.phone is distinct from past.phone) as phone,
    count(*) filter (where present.domain is distinct from past.domain) as domain,
    count(*) filter (where present.title is distinct from past.title) as title,
    count(*) filter (where present.company_entity_id is distinct from past.company_entity_id) as company,
    count(*) filter (where present.record_count is distinct from past.record_count) as records
from pg_temp.restore_versions as restored
join pay_ready.entity_versions as present
    on present.tenant_id = %(tenant_id)s and present.entity_id = restored.entity_id and present.closed_run_no is null
join pay_ready.entity_versions as past
    on past.tenant_id = %(tenant_id)s and past.entity_id = restored.entity_id and past.opened_run_no = restored.source_run_no;

-- name: count_moves
-- Records that are assigned otherwise, that will wait unassigned, and that come back.
select
    entity_type,
    count(*) filter (where before_entity_id is not null and entity_id is not null) as moved,
    count(*) filter (where entity_id is null) as unassigned,
    count(*) filter (where before_entity_id is null) as assigned
from pg_temp.restore_moves
where %(tenant_id)s is not null
group by entity_type;

-- name: count_decisions
select count(*)
from pg_temp.restore_decisions
where %(tenant_id)s is not null;

-- name: count_links
select
    count(*) filter (where opens) as opening,
    count(*) filter (where not opens) as closing,
    count(distinct interaction_id) as interactions
from pg_temp.restore_links
where %(tenant_id)s is not null;

-- name: count_memories
-- Passages of interactions whose people or companies are others then.
select count(*)
from pay_ready.memories
where tenant_id = %(tenant_id)s
  and interaction_id in (select interaction_id from pg_temp.restore_links);

-- name: decisions_since
-- Current decisions that the restored state does not honour.
select told.decision_id, told.entity_type, told.left_id, told.right_id, told.verdict, told.actor, told.made_at
from pay_ready.decisions as told
where told.tenant_id = %(tenant_id)s
  and told.superseded_at is null
  and told.verdict <> 'unsure'
  and told.status in ('decided', 'appealed')
  and (
      exists (select from pg_temp.restore_decisions as held where held.decision_id = told.decision_id and not held.opens)
      or not exists (
          select from pay_ready.run_decisions as honoured
          where honoured.tenant_id = %(tenant_id)s and honoured.decision_id = told.decision_id and honoured.closed_run_no is null
      )
  )
  and not exists (select from pg_temp.restore_decisions as held where held.decision_id = told.decision_id and held.opens)
order by told.made_at, told.decision_id;

-- name: close_assignments
-- params: run_no bigint
update pay_ready.assignments as assignments
set closed_run_no = %(run_no)s
from pg_temp.restore_moves as moves
where assignments.tenant_id = %(tenant_id)s
  and assignments.closed_run_no is null
  and assignments.entity_type = moves.entity_type
  and assignments.record_id = moves.record_id
  and moves.before_entity_id is not null;

-- name: open_assignments
-- params: run_no bigint
insert into pay_ready.assignments (tenant_id, entity_type, record_id, opened_run_no, entity_id, confidence)
select %(tenant_id)s, entity_type, record_id, %(run_no)s, entity_id, confidence
from pg_temp.restore_moves
where entity_id is not null
order by entity_type, record_id;

-- name: close_versions
-- params: run_no bigint
update pay_ready.entity_versions as versions
set closed_run_no = %(run_no)s
from pg_temp.restore_versions as restored
where versions.tenant_id = %(tenant_id)s
  and versions.closed_run_no is null
  and versions.entity_id = restored.entity_id
  and restored.before_hash is not null;

-- name: open_versions
-- params: run_no bigint
insert into pay_ready.entity_versions (
    tenant_id, entity_id, opened_run_no, entity_type, name, email, phone, domain, title, company_entity_id, record_count, golden,
    provenance, content_hash
)
select
    %(tenant_id)s, past.entity_id, %(run_no)s, past.entity_type, past.name, past.email, past.phone, past.domain, past.title,
    past.company_entity_id, past.record_count, past.golden, past.provenance, past.content_hash
from pg_temp.restore_versions as restored
join pay_ready.entity_versions as past
    on past.tenant_id = %(tenant_id)s and past.entity_id = restored.entity_id and past.opened_run_no = restored.source_run_no
where restored.after_hash is not null
order by past.entity_id;

-- name: close_decisions
-- params: run_no bigint
update pay_ready.run_decisions as honoured
set closed_run_no = %(run_no)s
from pg_temp.restore_decisions as held
where honoured.tenant_id = %(tenant_id)s
  and honoured.closed_run_no is null
  and honoured.decision_id = held.decision_id
  and not held.opens;

-- name: open_decisions
-- params: run_no bigint
insert into pay_ready.run_decisions (tenant_id, decision_id, opened_run_no)
select %(tenant_id)s, decision_id, %(run_no)s
from pg_temp.restore_decisions
where opens;

-- name: close_links
-- params: run_no bigint
update pay_ready.interaction_entities as links
set closed_run_no = %(run_no)s
from pg_temp.restore_links as restored
where links.tenant_id = %(tenant_id)s
  and links.closed_run_no is null
  and links.interaction_id = restored.interaction_id
  and links.entity_id = restored.entity_id
  and not restored.opens;

-- name: open_links
-- params: run_no bigint
insert into pay_ready.interaction_entities (tenant_id, interaction_id, entity_id, opened_run_no, entity_type, is_primary, occurred_at)
select %(tenant_id)s, past.interaction_id, past.entity_id, %(run_no)s, past.entity_type, past.is_primary, past.occurred_at
from pg_temp.restore_links as restored
join pay_ready.interaction_entities as past
    on past.tenant_id = %(tenant_id)s and past.interaction_id = restored.interaction_id and past.entity_id = restored.entity_id
    and past.opened_run_no = restored.source_run_no
where restored.opens;

-- name: add_changes
-- params: run_no bigint, first_seq bigint
insert into pay_ready.entity_changes (
    tenant_id, change_seq, run_no, change, entity_type, entity_id, other_entity_id, before_hash, after_hash
)
select
    %(tenant_id)s, %(first_seq)s + change_no - 1, %(run_no)s, change, entity_type, entity_id, other_entity_id, before_hash, after_hash
from pg_temp.restore_changes
order by change_no;

-- name: add_waiting
-- `change_id` is that of the run: whoever takes the run back takes these out, too.
-- params: change_id uuid
insert into pay_ready.resolution_queue (tenant_id, kind, object_id, change_id)
select %(tenant_id)s, kind, object_id, %(change_id)s
from pg_temp.restore_waiting;

-- name: drop_waiting
-- params: change_id uuid
delete from pay_ready.resolution_queue
where tenant_id = %(tenant_id)s
  and change_id = %(change_id)s;
