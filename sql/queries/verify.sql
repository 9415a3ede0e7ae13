-- The promises that `pay-ready verify` looks at. Each statement gives one row: how many it looked at, how many broke the promise, the
-- first of these as ids (never a record's key: keys are personal), and how many wait for the next run and are no breach.
-- params of each: most integer (offenders to name), deep boolean (history too, not only what is current)

-- name: prefer_sets
-- Everything is read whole, once: hash joins in memory, whatever the planner believes of tables that were filled a moment ago.
select
    set_config('enable_nestloop', 'off', true) as nested_loops,
    set_config('work_mem', '128MB', true) as memory,
    set_config('jit', 'off', true) as compiled
where %(tenant_id)s is not null;

-- name: emitted
-- What a run read is landed, unchanged, superseded, deleted or in quarantine.
with wrong as materialized (
    select run_id || '/' || stream as offender
    from pay_ready.stream_runs
    where tenant_id = %(tenant_id)s
      and emitted <> landed + unchanged + superseded + deleted + quarantined
)
select
    (select count(*) from pay_ready.stream_runs where tenant_id = %(tenant_id)s) as checked,
    (select count(*) from wrong) as wrong,
    array(select offender from wrong order by offender limit %(most)s) as offenders,
    0::bigint as pending;

-- name: landed
-- What a run landed is staged, unmapped or in quarantine, or waits to be staged.
with waiting as (
    select batches.run_id, batches.stream, sum(batches.landed)::bigint as row_count
    from pay_ready.landing_batches as batches
    left join pay_ready.stream_states as states
        on states.tenant_id = batches.tenant_id and states.source_id = batches.source_id and states.stream = batches.stream
    where batches.tenant_id = %(tenant_id)s
      and batches.commit_seq > coalesce(states.staged_commit_seq, 0)
    group by batches.run_id, batches.stream
),
wrong as materialized (
    select runs.run_id || '/' || runs.stream as offender
    from pay_ready.stream_runs as runs
    left join waiting on waiting.run_id = runs.run_id and waiting.stream = runs.stream
    where runs.tenant_id = %(tenant_id)s
      and runs.landed <> runs.staged + runs.unmapped + runs.stage_quarantined + coalesce(waiting.row_count, 0)
)
select
    (select count(*) from pay_ready.stream_runs where tenant_id = %(tenant_id)s) as checked,
    (select count(*) from wrong) as wrong,
    array(select offender from wrong order by offender limit %(most)s) as offenders,
    (select coalesce(sum(row_count), 0)::bigint from waiting) as pending;

-- name: standing_rows
-- No more landed rows are nowhere (neither staged nor in quarantine) than their run counted as unmapped.
with staged as (
    select source_id, stream, record_key from pay_ready.person_records where tenant_id = %(tenant_id)s and record_key is not null
    union all
    select source_id, stream, record_key from pay_ready.company_records where tenant_id = %(tenant_id)s and record_key is not null
    union all
    select source_id, stream, record_key from pay_ready.shadowed_person_records where tenant_id = %(tenant_id)s
    union all
    select source_id, stream, record_key from pay_ready.shadowed_company_records where tenant_id = %(tenant_id)s
    union all
    select source_id, stream, record_key from pay_ready.interaction_records where tenant_id = %(tenant_id)s
    union all
    select source_id, stream, record_key
    from pay_ready.quarantined_records
    where tenant_id = %(tenant_id)s
      and step = 'stage'
      and status in ('open', 'dismissed')
      and record_key is not null
),
nowhere as (
    select batches.run_id, records.stream, count(*) as row_count
    from pay_ready.landed_records as records
    join pay_ready.landing_batches as batches on batches.tenant_id = records.tenant_id and batches.batch_id = records.batch_id
    join pay_ready.stream_states as states
        on states.tenant_id = records.tenant_id and states.source_id = records.source_id and states.stream = records.stream
    left join staged
        on staged.source_id = records.source_id and staged.stream = records.stream and staged.record_key = records.record_key
    where records.tenant_id = %(tenant_id)s
      and records.deleted_at is null
      and batches.commit_seq <= states.staged_commit_seq
      and staged.record_key is null
    group by batches.run_id, records.stream
),
wrong as materialized (
    select nowhere.run_id || '/' || nowhere.stream || ': ' || nowhere.row_count - coalesce(runs.unmapped, 0) || ' rows' as offender
    from nowhere
    left join pay_ready.stream_runs as runs
        on runs.tenant_id = %(tenant_id)s and runs.run_id = nowhere.run_id and runs.stream = nowhere.stream
    where nowhere.row_count > coalesce(runs.unmapped, 0)
)
select
    (select count(*) from pay_ready.landed_records where tenant_id = %(tenant_id)s) as checked,
    (select count(*) from wrong) as wrong,
    array(select offender from wrong order by offender limit %(most)s) as offenders,
    0::bigint as pending;

-- name: staged_of_landed
-- What is staged has its landed row, and that row is not gone.
with staged as (
    select record_id, source_id, stream, record_key
    from pay_ready.person_records
    where tenant_id = %(tenant_id)s
      and record_key is not null
    union all
    select record_id, source_id, stream, record_key
    from pay_ready.company_records
    where tenant_id = %(tenant_id)s
      and record_key is not null
    union all
    select record_id, source_id, stream, record_key from pay_ready.shadowed_person_records where tenant_id = %(tenant_id)s
    union all
    select record_id, source_id, stream, record_key from pay_ready.shadowed_company_records where tenant_id = %(tenant_id)s
    union all
    select record_id, source_id, stream, record_key from pay_ready.interaction_records where tenant_id = %(tenant_id)s
),
wrong as materialized (
    select staged.record_id::text as offender
    from staged
    left join pay_ready.landed_records as records
        on records.tenant_id = %(tenant_id)s
        and records.source_id = staged.source_id
        and records.stream = staged.stream
        and records.record_key = staged.record_key
    left join pay_ready.landing_batches as batches on batches.tenant_id = records.tenant_id and batches.batch_id = records.batch_id
    left join pay_ready.stream_states as states
        on states.tenant_id = records.tenant_id and states.source_id = records.source_id and states.stream = records.stream
    where records.record_key is null
       or (records.deleted_at is not null and batches.commit_seq <= states.staged_commit_seq)
)
select
    (select count(*) from staged) as checked,
    (select count(*) from wrong) as wrong,
    array(select offender from wrong order by offender limit %(most)s) as offenders,
    0::bigint as pending;

-- name: staged_once
-- Nothing is staged twice: one row a reference and source, one primary row an interaction, nobody who speaks is shadowed by himself.
with wrong as materialized (
    select min(record_id::text) as offender
    from pay_ready.person_records
    where tenant_id = %(tenant_id)s
    group by source_id, record_reference
    having count(*) > 1
    union all
    select min(record_id::text)
    from pay_ready.company_records
    where tenant_id = %(tenant_id)s
    group by source_id, record_reference
    having count(*) > 1
    union all
    select interaction_id::text
    from pay_ready.interaction_records
    where tenant_id = %(tenant_id)s
      and is_primary
    group by interaction_id
    having count(*) > 1
    union all
    select spoken.record_id::text
    from pay_ready.person_records as spoken
    join pay_ready.shadowed_person_records as shadowed
        on shadowed.tenant_id = spoken.tenant_id
        and shadowed.source_id = spoken.source_id
        and shadowed.stream = spoken.stream
        and shadowed.record_key = spoken.record_key
        and shadowed.record_id = spoken.record_id
    where spoken.tenant_id = %(tenant_id)s
    union all
    select spoken.record_id::text
    from pay_ready.company_records as spoken
    join pay_ready.shadowed_company_records as shadowed
        on shadowed.tenant_id = spoken.tenant_id
        and shadowed.source_id = spoken.source_id
        and shadowed.stream = spoken.stream
        and shadowed.record_key = spoken.record_key
        and shadowed.record_id = spoken.record_id
    where spoken.tenant_id = %(tenant_id)s
)
select
    (select count(*) from pay_ready.person_records where tenant_id = %(tenant_id)s)
        + (select count(*) from pay_ready.company_records where tenant_id = %(tenant_id)s)
        + (select count(*) from pay_ready.interaction_records where tenant_id = %(tenant_id)s) as checked,
    (select count(*) from wrong) as wrong,
    array(select offender from wrong order by offender limit %(most)s) as offenders,
    0::bigint as pending;

-- name: batches
-- Every batch has its own number, issued by the counter, and nothing is staged beyond it.
with issued as (
    select coalesce(max(value), 0) as last
    from pay_ready.tenant_counters
    where tenant_id = %(tenant_id)s
      and counter = 'commit_seq'
),
wrong as materialized (
    select min(batch_id::text) as offender
    from pay_ready.landing_batches
    where tenant_id = %(tenant_id)s
    group by coalesce(commit_seq::text, batch_id::text)
    having count(*) > 1 or min(coalesce(commit_seq, 0)) = 0 or max(commit_seq) > (select last from issued)
    union all
    select source_id || '/' || stream
    from pay_ready.stream_states
    where tenant_id = %(tenant_id)s
      and greatest(staged_commit_seq, restaged_commit_seq, published_commit_seq) > (select last from issued)
)
select
    (select count(*) from pay_ready.landing_batches where tenant_id = %(tenant_id)s) as checked,
    (select count(*) from wrong) as wrong,
    array(select offender from wrong order by offender limit %(most)s) as offenders,
    0::bigint as pending;

-- name: assigned
-- Every staged record has a current assignment, or waits.
with staged as (
    select 'person' as entity_type, record_id from pay_ready.person_records where tenant_id = %(tenant_id)s
    union all
    select 'company', record_id from pay_ready.company_records where tenant_id = %(tenant_id)s
),
missing as materialized (
    select
        staged.record_id,
        exists (
            select from pay_ready.resolution_queue as queue
            where queue.tenant_id = %(tenant_id)s and queue.object_id = staged.record_id
        ) as waits
    from staged
    left join pay_ready.assignments as held
        on held.tenant_id = %(tenant_id)s
        and held.entity_type = staged.entity_type
        and held.record_id = staged.record_id
        and held.closed_run_no is null
    where held.record_id is null
)
select
    (select count(*) from staged) as checked,
    (select count(*) from missing where not waits) as wrong,
    array(select record_id::text from missing where not waits order by record_id limit %(most)s) as offenders,
    (select count(*) from missing where waits) as pending;

-- name: assigned_staged
-- No record has an assignment that is neither staged nor waits.
with staged as (
    select 'person' as entity_type, record_id from pay_ready.person_records where tenant_id = %(tenant_id)s
    union all
    select 'company', record_id from pay_ready.company_records where tenant_id = %(tenant_id)s
),
left_over as materialized (
    select
        held.record_id,
        exists (
            select from pay_ready.resolution_queue as queue
            where queue.tenant_id = held.tenant_id and queue.object_id = held.record_id
        ) as waits
    from pay_ready.assignments as held
    left join staged on staged.entity_type = held.entity_type and staged.record_id = held.record_id
    where held.tenant_id = %(tenant_id)s
      and held.closed_run_no is null
      and staged.record_id is null
)
select
    (select count(*) from pay_ready.assignments where tenant_id = %(tenant_id)s and closed_run_no is null) as checked,
    (select count(*) from left_over where not waits) as wrong,
    array(select record_id::text from left_over where not waits order by record_id limit %(most)s) as offenders,
    (select count(*) from left_over where waits) as pending;

-- name: assigned_once
-- No record has two current assignments.
with wrong as materialized (
    select record_id::text as offender
    from pay_ready.assignments
    where tenant_id = %(tenant_id)s
      and closed_run_no is null
    group by entity_type, record_id
    having count(*) > 1
)
select
    (select count(*) from pay_ready.assignments where tenant_id = %(tenant_id)s and closed_run_no is null) as checked,
    (select count(*) from wrong) as wrong,
    array(select offender from wrong order by offender limit %(most)s) as offenders,
    0::bigint as pending;

-- name: members
-- Every live entity has the records it says, of its own type; whoever has records lives.
with held as (
    select entity_id, count(*) as record_count, min(entity_type) as entity_type, max(entity_type) as other_type
    from pay_ready.assignments
    where tenant_id = %(tenant_id)s
      and closed_run_no is null
    group by entity_id
),
living as (
    select entity_id, entity_type, record_count
    from pay_ready.entity_versions
    where tenant_id = %(tenant_id)s
      and closed_run_no is null
),
wrong as materialized (
    select coalesce(living.entity_id, held.entity_id)::text as offender
    from living
    full join held on held.entity_id = living.entity_id
    where living.entity_id is null
       or held.entity_id is null
       or held.record_count <> living.record_count
       or held.entity_type <> living.entity_type
       or held.other_type <> living.entity_type
)
select
    (select count(*) from living) as checked,
    (select count(*) from wrong) as wrong,
    array(select offender from wrong order by offender limit %(most)s) as offenders,
    0::bigint as pending;

-- name: given_ids
-- Every id ever given is live or leads on, never both, and the feed says when it came.
with live as (
    select distinct entity_id from pay_ready.entity_versions where tenant_id = %(tenant_id)s and closed_run_no is null
),
led as (
    select distinct entity_id from pay_ready.entity_redirects where tenant_id = %(tenant_id)s and closed_run_no is null
),
told as (
    select distinct entity_id
    from pay_ready.entity_changes
    where tenant_id = %(tenant_id)s
      and change in ('created', 'split')
),
wrong as materialized (
    select given.entity_id::text as offender
    from pay_ready.entities as given
    left join live on live.entity_id = given.entity_id
    left join led on led.entity_id = given.entity_id
    left join told on told.entity_id = given.entity_id
    where given.tenant_id = %(tenant_id)s
      and ((live.entity_id is null) = (led.entity_id is null) or told.entity_id is null)
)
select
    (select count(*) from pay_ready.entities where tenant_id = %(tenant_id)s) as checked,
    (select count(*) from wrong) as wrong,
    array(select offender from wrong order by offender limit %(most)s) as offenders,
    0::bigint as pending;

-- name: redirect_ends
-- A retired id leads, through any number of others, to one that lives, or nowhere: never round in a circle.
with recursive leads as (
    select entity_id as start_id, target_entity_id as entity_id
    from pay_ready.entity_redirects
    where tenant_id = %(tenant_id)s
      and closed_run_no is null
    -- union: a circle gives no new row, and ends.
    union
    select leads.start_id, redirects.target_entity_id
    from leads
    join pay_ready.entity_redirects as redirects
        on redirects.tenant_id = %(tenant_id)s and redirects.entity_id = leads.entity_id and redirects.closed_run_no is null
),
ended as (
    select leads.start_id
    from leads
    left join pay_ready.entity_versions as live
        on live.tenant_id = %(tenant_id)s and live.entity_id = leads.entity_id and live.closed_run_no is null
    where leads.entity_id is null
       or live.entity_id is not null
),
wrong as materialized (
    select start_id::text as offender from leads
    except
    select start_id::text from ended
)
select
    (select count(distinct start_id) from leads) as checked,
    (select count(*) from wrong) as wrong,
    array(select offender from wrong order by offender limit %(most)s) as offenders,
    0::bigint as pending;

-- name: honoured_decisions
-- What the published version honours of each pair, a human's word before an agent's: the decisions that its run names, or, where runs
-- named none yet, those made before it whose records do not wait. With the entities of both records, where they have one.
with published as (
    select run_no, published_at
    from pay_ready.resolution_runs
    where tenant_id = %(tenant_id)s
    order by run_no desc
    limit 1
),
named as (
    select decision_id
    from pay_ready.run_decisions
    where tenant_id = %(tenant_id)s
      and closed_run_no is null
),
are_named as (
    select exists (select from pay_ready.run_decisions where tenant_id = %(tenant_id)s) as always
),
told as (
    select decisions.*, named.decision_id is not null as is_named
    from pay_ready.decisions as decisions
    left join named on named.decision_id = decisions.decision_id
    where decisions.tenant_id = %(tenant_id)s
      and decisions.verdict <> 'unsure'
      and (named.decision_id is not null or (decisions.superseded_at is null and decisions.status = 'decided'))
),
judged as (
    select
        told.decision_id,
        told.entity_type,
        told.left_id,
        told.right_id,
        told.verdict,
        told.actor_type,
        told.superseded_at is null and told.status = 'decided' as is_current,
        not told.is_named and (
            (select always from are_named)
            or told.made_at > coalesce((select published_at from published), '-infinity')
            or exists (
                select from pay_ready.resolution_queue as queue
                where queue.tenant_id = %(tenant_id)s and queue.object_id in (told.left_id, told.right_id)
            )
        ) as waits
    from told
)
select distinct on (judged.waits, judged.entity_type, judged.left_id, judged.right_id)
    judged.decision_id,
    judged.entity_type,
    judged.left_id,
    judged.right_id,
    judged.verdict,
    judged.actor_type,
    judged.waits,
    judged.is_current,
    one.entity_id as left_entity_id,
    other.entity_id as right_entity_id
from judged
left join pay_ready.assignments as one
    on one.tenant_id = %(tenant_id)s
    and one.entity_type = judged.entity_type
    and one.record_id = judged.left_id
    and one.closed_run_no is null
left join pay_ready.assignments as other
    on other.tenant_id = %(tenant_id)s
    and other.entity_type = judged.entity_type
    and other.record_id = judged.right_id
    and other.closed_run_no is null
order by judged.waits, judged.entity_type, judged.left_id, judged.right_id, judged.actor_type desc;

-- name: run_numbers
-- Runs are numbered from 1 to the counter without a gap.
with issued as (
    select coalesce(max(value), 0) as last
    from pay_ready.tenant_counters
    where tenant_id = %(tenant_id)s
      and counter = 'run_no'
),
wrong as materialized (
    select coalesce(runs.run_no, numbers.number) as run_no
    from (select number from issued, generate_series(1, issued.last) as number) as numbers
    full join (select run_no from pay_ready.resolution_runs where tenant_id = %(tenant_id)s) as runs on runs.run_no = numbers.number
    where runs.run_no is null
       or numbers.number is null
)
select
    (select count(*) from pay_ready.resolution_runs where tenant_id = %(tenant_id)s) as checked,
    (select count(*) from wrong) as wrong,
    array(select 'run ' || run_no from wrong order by run_no limit %(most)s) as offenders,
    0::bigint as pending;

-- name: run_references
-- No row was opened or closed by a run that is not there.
with said as (
    select 'assignments' as place, opened_run_no as run_no from pay_ready.assignments where tenant_id = %(tenant_id)s
    union
    select 'assignments', closed_run_no from pay_ready.assignments where tenant_id = %(tenant_id)s
    union
    select 'entity_versions', opened_run_no from pay_ready.entity_versions where tenant_id = %(tenant_id)s
    union
    select 'entity_versions', closed_run_no from pay_ready.entity_versions where tenant_id = %(tenant_id)s
    union
    select 'entity_redirects', opened_run_no from pay_ready.entity_redirects where tenant_id = %(tenant_id)s
    union
    select 'entity_redirects', closed_run_no from pay_ready.entity_redirects where tenant_id = %(tenant_id)s
    union
    select 'interaction_entities', opened_run_no from pay_ready.interaction_entities where tenant_id = %(tenant_id)s
    union
    select 'interaction_entities', closed_run_no from pay_ready.interaction_entities where tenant_id = %(tenant_id)s
    union
    select 'run_decisions', opened_run_no from pay_ready.run_decisions where tenant_id = %(tenant_id)s
    union
    select 'run_decisions', closed_run_no from pay_ready.run_decisions where tenant_id = %(tenant_id)s
),
wrong as materialized (
    select said.place || ' run ' || said.run_no as offender
    from said
    left join pay_ready.resolution_runs as runs on runs.tenant_id = %(tenant_id)s and runs.run_no = said.run_no
    where said.run_no is not null
      and runs.run_no is null
)
select
    (select count(*) from said) as checked,
    (select count(*) from wrong) as wrong,
    array(select offender from wrong order by offender limit %(most)s) as offenders,
    0::bigint as pending;

-- name: intervals
-- The times of one key do not overlap: one is closed before, or when, the next begins; so that at most one is current.
with held as (
    select
        'assignment ' || record_id as offender, opened_run_no, closed_run_no,
        lead(opened_run_no) over (partition by entity_type, record_id order by opened_run_no) as next_run_no
    from pay_ready.assignments
    where tenant_id = %(tenant_id)s
    union all
    select
        'version ' || entity_id, opened_run_no, closed_run_no,
        lead(opened_run_no) over (partition by entity_id order by opened_run_no)
    from pay_ready.entity_versions
    where tenant_id = %(tenant_id)s
    union all
    select
        'redirect ' || entity_id, opened_run_no, closed_run_no,
        lead(opened_run_no) over (partition by entity_id order by opened_run_no)
    from pay_ready.entity_redirects
    where tenant_id = %(tenant_id)s
    union all
    select
        'interaction ' || interaction_id, opened_run_no, closed_run_no,
        lead(opened_run_no) over (partition by interaction_id, entity_id order by opened_run_no)
    from pay_ready.interaction_entities
    where tenant_id = %(tenant_id)s
    union all
    select
        'decision ' || decision_id, opened_run_no, closed_run_no,
        lead(opened_run_no) over (partition by decision_id order by opened_run_no)
    from pay_ready.run_decisions
    where tenant_id = %(tenant_id)s
),
judged as materialized (
    select offender
    from held
    where closed_run_no <= opened_run_no
       or coalesce(closed_run_no, next_run_no + 1) > next_run_no
)
select
    (select count(*) from pay_ready.assignments where tenant_id = %(tenant_id)s)
        + (select count(*) from pay_ready.entity_versions where tenant_id = %(tenant_id)s)
        + (select count(*) from pay_ready.entity_redirects where tenant_id = %(tenant_id)s)
        + (select count(*) from pay_ready.interaction_entities where tenant_id = %(tenant_id)s)
        + (select count(*) from pay_ready.run_decisions where tenant_id = %(tenant_id)s) as checked,
    (select count(*) from judged) as wrong,
    array(select offender from judged order by offender limit %(most)s) as offenders,
    0::bigint as pending;

-- name: golden_hashes
-- The hash of a golden record is that of its canonical text (`resolve/golden.py` writes the same text).
with wrong as materialized (
    select versions.entity_id::text as offender
    from pay_ready.entity_versions as versions
    cross join lateral (
        select string_agg(
            length(fields.key) || ':' || fields.key
            || '36:' || (versions.provenance -> 'fields' ->> fields.key)
            || length(fields.value ->> 'value') || ':' || (fields.value ->> 'value')
            -- Nearly all fields have one value, and a subquery costs more than all else here.
            || case jsonb_array_length(fields.value -> 'values')
                when 1 then length(fields.value #>> '{values,0}') || ':' || (fields.value #>> '{values,0}')
                else (
                    select string_agg(length(listed.value) || ':' || listed.value, '' order by listed.place)
                    from jsonb_array_elements_text(fields.value -> 'values') with ordinality as listed (value, place)
                )
            end
            || E'\n',
            '' order by fields.key collate "C"
        ) as lines
        from jsonb_each(versions.golden -> 'fields') as fields
    ) as told
    where versions.tenant_id = %(tenant_id)s
      and (%(deep)s or versions.closed_run_no is null)
      and versions.content_hash is distinct from sha256(convert_to(
          versions.entity_id || ' ' || versions.record_count || E'\n' || coalesce(told.lines, ''), 'UTF8'
      ))
)
select
    (
        select count(*) from pay_ready.entity_versions
        where tenant_id = %(tenant_id)s and (%(deep)s or closed_run_no is null)
    ) as checked,
    (select count(*) from wrong) as wrong,
    array(select offender from wrong order by offender limit %(most)s) as offenders,
    0::bigint as pending;

-- name: golden_columns
-- What is shown in columns is what the golden record says.
with told as (
    select
        entity_id, entity_type, name, email, phone, domain, title, company_entity_id, golden -> 'fields' as fields
    from pay_ready.entity_versions
    where tenant_id = %(tenant_id)s
      and (%(deep)s or closed_run_no is null)
),
wrong as materialized (
    select entity_id::text as offender
    from told
    where (name, email, phone, domain, title, company_entity_id::text) is distinct from (
        fields #>> '{name,value}',
        fields #>> '{email,value}',
        fields #>> '{phone,value}',
        fields #>> '{domain,value}',
        fields #>> '{title,value}',
        case entity_type when 'person' then fields #>> '{company,value}' end
    )
)
select
    (select count(*) from told) as checked,
    (select count(*) from wrong) as wrong,
    array(select offender from wrong order by offender limit %(most)s) as offenders,
    0::bigint as pending;

-- name: provenance
-- The record that a value came from is one of the entity's.
with named as (
    select distinct versions.entity_type, versions.entity_id, (origins.value)::uuid as record_id
    from pay_ready.entity_versions as versions
    cross join lateral jsonb_each_text(versions.provenance -> 'fields') as origins
    where versions.tenant_id = %(tenant_id)s
      and versions.closed_run_no is null
),
judged as materialized (
    select named.entity_id, held.record_id is null as is_wrong
    from named
    left join pay_ready.assignments as held
        on held.tenant_id = %(tenant_id)s
        and held.entity_type = named.entity_type
        and held.record_id = named.record_id
        and held.entity_id = named.entity_id
        and held.closed_run_no is null
)
select
    count(*) as checked,
    count(*) filter (where is_wrong) as wrong,
    array(select distinct entity_id::text from judged where is_wrong order by 1 limit %(most)s) as offenders,
    0::bigint as pending
from judged;

-- name: primary_links
-- Of the links of an interaction to people, and to companies, one is the first.
with counted as materialized (
    select interaction_id, count(*) filter (where is_primary) <> 1 as is_wrong
    from pay_ready.interaction_entities
    where tenant_id = %(tenant_id)s
      and closed_run_no is null
    group by interaction_id, entity_type
)
select
    count(*) as checked,
    count(*) filter (where is_wrong) as wrong,
    array(select distinct interaction_id::text from counted where is_wrong order by 1 limit %(most)s) as offenders,
    0::bigint as pending
from counted;

-- name: interactions
-- Links are those that a publish would make of participants and assignments (`publish.want_interactions`), or the interaction, or one of
-- its records, waits.
with appearances as (
    select
        records.interaction_id,
        records.occurred_at,
        participants.participant_no,
        coalesce(nullif(participants.side, 'unknown'), people.side, 'unknown') as side,
        participants.person_record_id,
        participants.company_record_id,
        coalesce(participants.person_company_record_id, people.company_record_id) as employer_record_id
    from pay_ready.interaction_records as records
    join pay_ready.interaction_participants as participants
        on participants.tenant_id = records.tenant_id and participants.record_id = records.record_id
    left join pay_ready.person_records as people
        on people.tenant_id = participants.tenant_id and people.record_id = participants.person_record_id
    where records.tenant_id = %(tenant_id)s
      and records.is_primary
),
mentions as (
    select interaction_id, occurred_at, participant_no, side, 'person' as entity_type, person_record_id as record_id
    from appearances
    where person_record_id is not null
    union all
    select interaction_id, occurred_at, participant_no, 'external', 'company', company_record_id
    from appearances
    where company_record_id is not null
    union all
    select interaction_id, occurred_at, participant_no, side, 'company', employer_record_id
    from appearances
    where employer_record_id is not null
      and side <> 'internal'
),
ranked as (
    select distinct on (mentions.interaction_id, assigned.entity_id)
        mentions.interaction_id,
        assigned.entity_id,
        mentions.entity_type,
        mentions.occurred_at,
        array_position(array['external', 'unknown', 'internal'], mentions.side) as side_rank,
        mentions.participant_no
    from mentions
    join pay_ready.assignments as assigned
        on assigned.tenant_id = %(tenant_id)s
        and assigned.entity_type = mentions.entity_type
        and assigned.record_id = mentions.record_id
        and assigned.closed_run_no is null
    order by mentions.interaction_id, assigned.entity_id, side_rank, mentions.participant_no
),
wanted as (
    select
        interaction_id,
        entity_id,
        entity_type,
        occurred_at,
        row_number() over (partition by interaction_id, entity_type order by side_rank, participant_no, entity_id) = 1 as is_primary
    from ranked
),
links as (
    select interaction_id, entity_id, entity_type, occurred_at, is_primary
    from pay_ready.interaction_entities
    where tenant_id = %(tenant_id)s
      and closed_run_no is null
),
differing as materialized (
    select distinct coalesce(links.interaction_id, wanted.interaction_id) as interaction_id
    from wanted
    full join links
        on links.interaction_id = wanted.interaction_id
        and links.entity_id = wanted.entity_id
        and links.entity_type = wanted.entity_type
        and links.occurred_at = wanted.occurred_at
        and links.is_primary = wanted.is_primary
    where links.interaction_id is null
       or wanted.interaction_id is null
),
touched as (
    select differing.interaction_id, differing.interaction_id as object_id
    from differing
    union
    select differing.interaction_id, mentions.record_id
    from differing
    join mentions on mentions.interaction_id = differing.interaction_id
),
judged as materialized (
    select touched.interaction_id, bool_or(queue.object_id is not null) as waits
    from touched
    left join pay_ready.resolution_queue as queue on queue.tenant_id = %(tenant_id)s and queue.object_id = touched.object_id
    group by touched.interaction_id
)
select
    (select count(*) from links) as checked,
    (select count(*) from judged where not waits) as wrong,
    array(select interaction_id::text from judged where not waits order by interaction_id limit %(most)s) as offenders,
    (select count(*) from judged where waits) as pending;

-- name: feed_numbers
-- The change feed is numbered from 1 to the counter without a gap, in the order of the runs.
with told as (
    select
        change_seq, run_no,
        lag(change_seq, 1, 0::bigint) over (order by change_seq) as previous_seq,
        lag(run_no, 1, 0::bigint) over (order by change_seq) as previous_run_no
    from pay_ready.entity_changes
    where tenant_id = %(tenant_id)s
),
wrong as materialized (
    select change_seq
    from told
    where change_seq <> previous_seq + 1
       or run_no < previous_run_no
    union
    select greatest(issued.value, seen.last)
    from (
        select coalesce(max(value), 0) as value
        from pay_ready.tenant_counters
        where tenant_id = %(tenant_id)s
          and counter = 'change_seq'
    ) as issued
    cross join (select coalesce(max(change_seq), 0) as last from told) as seen
    where issued.value <> seen.last
)
select
    (select count(*) from told) as checked,
    (select count(*) from wrong) as wrong,
    array(select 'change ' || change_seq from wrong order by change_seq limit %(most)s) as offenders,
    0::bigint as pending;

-- name: feed_chain
-- Each line about an entity begins where the line before it ended.
with told as (
    select entity_id, before_hash, lag(after_hash) over (partition by entity_id order by change_seq) as stood_hash
    from pay_ready.entity_changes
    where tenant_id = %(tenant_id)s
),
wrong as materialized (
    select distinct entity_id::text as offender
    from told
    where before_hash is distinct from stood_hash
)
select
    (select count(*) from told) as checked,
    (select count(*) from wrong) as wrong,
    array(select offender from wrong order by offender limit %(most)s) as offenders,
    0::bigint as pending;

-- name: feed_state
-- Who reads the feed from its beginning ends with the live entities, and with their golden records.
with latest as (
    select distinct on (entity_id) entity_id, entity_type, after_hash
    from pay_ready.entity_changes
    where tenant_id = %(tenant_id)s
    order by entity_id, change_seq desc
),
living as (
    select entity_id, entity_type, content_hash
    from pay_ready.entity_versions
    where tenant_id = %(tenant_id)s
      and closed_run_no is null
),
wrong as materialized (
    select coalesce(latest.entity_id, living.entity_id)::text as offender
    from (select entity_id, entity_type, after_hash from latest where after_hash is not null) as latest
    full join living on living.entity_id = latest.entity_id
    where latest.entity_id is null
       or living.entity_id is null
       or (latest.entity_type, latest.after_hash) is distinct from (living.entity_type, living.content_hash)
)
select
    (select count(*) from living) as checked,
    (select count(*) from wrong) as wrong,
    array(select offender from wrong order by offender limit %(most)s) as offenders,
    0::bigint as pending;

-- name: feed_merges
-- Where the feed says that an entity went, its id led on from that run.
with wrong as materialized (
    select distinct gone.entity_id::text as offender
    from pay_ready.entity_changes as gone
    left join pay_ready.entity_redirects as redirects
        on redirects.tenant_id = gone.tenant_id
        and redirects.entity_id = gone.entity_id
        and redirects.opened_run_no <= gone.run_no
        and (redirects.closed_run_no is null or redirects.closed_run_no > gone.run_no)
    where gone.tenant_id = %(tenant_id)s
      and gone.change in ('merged', 'retired')
      and (redirects.entity_id is null or redirects.target_entity_id is distinct from gone.other_entity_id)
)
select
    (
        select count(*) from pay_ready.entity_changes
        where tenant_id = %(tenant_id)s and change in ('merged', 'retired')
    ) as checked,
    (select count(*) from wrong) as wrong,
    array(select offender from wrong order by offender limit %(most)s) as offenders,
    0::bigint as pending;

-- name: audit_chain
-- The trail is numbered from 1 without a gap; each event hashes itself and the one before it, as the trigger does.
with told as (
    select
        events.*,
        lag(seq, 1, 0::bigint) over (order by seq) as stood_seq,
        lag(event_hash) over (order by seq) as stood_hash
    from pay_ready.audit_events as events
    where tenant_id = %(tenant_id)s
),
wrong as materialized (
    select seq
    from told
    where seq <> stood_seq + 1
       or previous_hash is distinct from stood_hash
       or event_hash <> sha256(convert_to(jsonb_build_array(
           tenant_id, seq, extract(epoch from occurred_at)::text, actor, action, subject_kind, subject_id, reason, run_id,
           encode(before_hash, 'hex'), encode(after_hash, 'hex'), encode(previous_hash, 'hex')
       )::text, 'UTF8'))
)
select
    (select count(*) from told) as checked,
    (select count(*) from wrong) as wrong,
    array(select 'event ' || seq from wrong order by seq limit %(most)s) as offenders,
    0::bigint as pending;

-- name: audit_runs
-- Every published run has its event, from a digest that the run before had to its own; an erasure moves a digest on, and says from where.
-- The last digest told is the one that stands.
with events as materialized (
    select
        subject_id, seq, action, before_hash, after_hash,
        lag(after_hash) over (partition by subject_id order by seq) as stood_hash,
        row_number() over (partition by subject_id order by seq desc) as place
    from pay_ready.audit_events
    where tenant_id = %(tenant_id)s
      and subject_kind = 'run'
      and after_hash is not null
),
runs as (
    select run_no, run_no::text as told_as, (run_no - 1)::text as before_as, state_digest
    from pay_ready.resolution_runs
    where tenant_id = %(tenant_id)s
),
wrong as materialized (
    select runs.run_no
    from runs
    where runs.state_digest is not null
      and (
          not exists (
              select from events as own
              where own.subject_id = runs.told_as
                and own.action <> 'erasure.rebased'
                and (
                    not exists (select from events as earlier where earlier.subject_id = runs.before_as)
                    or exists (
                        select from events as earlier where earlier.subject_id = runs.before_as and earlier.after_hash = own.before_hash
                    )
                )
          )
          or not exists (
              select from events as latest
              where latest.subject_id = runs.told_as and latest.place = 1 and latest.after_hash = runs.state_digest
          )
          or exists (
              select from events as moved
              where moved.subject_id = runs.told_as
                and moved.action = 'erasure.rebased'
                and moved.before_hash is distinct from moved.stood_hash
          )
      )
)
select
    (select count(*) from runs) as checked,
    (select count(*) from wrong) as wrong,
    array(select 'run ' || run_no from wrong order by run_no limit %(most)s) as offenders,
    0::bigint as pending;

-- name: row_security
-- Every table of the schema with a tenant has row security, forced, with the one policy that holds rows to their tenant.
with tables as (
    select
        tables.oid, tables.relname, tables.relrowsecurity and tables.relforcerowsecurity as is_secured,
        exists (
            select from pg_catalog.pg_attribute as columns
            where columns.attrelid = tables.oid and columns.attname = 'tenant_id' and not columns.attisdropped
        ) as has_tenant
    from pg_catalog.pg_class as tables
    join pg_catalog.pg_namespace as schemas on schemas.oid = tables.relnamespace
    where schemas.nspname = 'pay_ready'
      and tables.relkind in ('r', 'p')
      and tables.relname <> 'schema_migrations'
      and %(tenant_id)s is not null
),
policies as (
    select
        polrelid,
        count(*) filter (
            where polname = 'tenant_isolation'
              and polpermissive
              and polcmd = '*'
              and pg_get_expr(polqual, polrelid) = pg_get_expr(polwithcheck, polrelid)
              -- `_` stands for the dot: no statement of ours names the setting.
              and pg_get_expr(polqual, polrelid) like '(tenant_id = ( SELECT%%current_setting(''app_tenant_id''::text)%%uuid%%'
        ) as holding,
        -- The operator lists tenants; nobody else may see more than one.
        count(*) filter (where polname not in ('tenant_isolation', 'operator_lists', 'search_reads') and polpermissive) as others
    from pg_catalog.pg_policy
    group by polrelid
),
wrong as materialized (
    select tables.relname as offender
    from tables
    left join policies on policies.polrelid = tables.oid
    where not tables.has_tenant
       or not tables.is_secured
       or coalesce(policies.holding, 0) <> 1
       or policies.others > 0
)
select
    (select count(*) from tables) as checked,
    (select count(*) from wrong) as wrong,
    array(select offender::text from wrong order by offender limit %(most)s) as offenders,
    0::bigint as pending;

-- name: foreign_keys
-- Every foreign key begins with the tenant on both sides, and held for all rows when it was made.
with keys as (
    select constraints.conname, constraints.convalidated, own.attname as own_column, other.attname as other_column
    from pg_catalog.pg_constraint as constraints
    join pg_catalog.pg_namespace as schemas on schemas.oid = constraints.connamespace
    join pg_catalog.pg_attribute as own on own.attrelid = constraints.conrelid and own.attnum = constraints.conkey[1]
    join pg_catalog.pg_attribute as other on other.attrelid = constraints.confrelid and other.attnum = constraints.confkey[1]
    where schemas.nspname = 'pay_ready'
      and constraints.contype = 'f'
      and %(tenant_id)s is not null
),
wrong as materialized (
    select conname as offender
    from keys
    where not convalidated
       or own_column <> 'tenant_id'
       or other_column <> 'tenant_id'
)
select
    (select count(*) from keys) as checked,
    (select count(*) from wrong) as wrong,
    array(select offender::text from wrong order by offender limit %(most)s) as offenders,
    0::bigint as pending;

-- name: edges
-- Edges of the models in use are of records that are staged, or wait.
with latest as (
    select person_model_id, company_model_id
    from pay_ready.resolution_runs
    where tenant_id = %(tenant_id)s
      and edges_fit
      and run_no = (select max(run_no) from pay_ready.resolution_runs where tenant_id = %(tenant_id)s)
),
ends as (
    select edges.entity_type, edges.left_id as record_id
    from pay_ready.edges as edges
    join latest on edges.model_id in (latest.person_model_id, latest.company_model_id)
    where edges.tenant_id = %(tenant_id)s
    union
    select edges.entity_type, edges.right_id
    from pay_ready.edges as edges
    join latest on edges.model_id in (latest.person_model_id, latest.company_model_id)
    where edges.tenant_id = %(tenant_id)s
),
staged as (
    select 'person' as entity_type, record_id from pay_ready.person_records where tenant_id = %(tenant_id)s
    union all
    select 'company', record_id from pay_ready.company_records where tenant_id = %(tenant_id)s
),
judged as materialized (
    select
        ends.record_id,
        exists (
            select from pay_ready.resolution_queue as queue
            where queue.tenant_id = %(tenant_id)s and queue.object_id = ends.record_id
        ) as waits
    from ends
    left join staged on staged.entity_type = ends.entity_type and staged.record_id = ends.record_id
    where staged.record_id is null
)
select
    (select count(*) from ends) as checked,
    (select count(*) from judged where not waits) as wrong,
    array(select record_id::text from judged where not waits order by record_id limit %(most)s) as offenders,
    (select count(*) from judged where waits) as pending;

-- name: block_members
-- Who is in which block, to be compared with what each record says of itself (`verify.record_blocks`).
select block, place, record_id as record
from pay_ready.block_members
where tenant_id = %(tenant_id)s;

-- name: block_sizes
-- The lengths of what records say: few, and rows of one length are read as numbers at once.
select distinct octet_length(blocks) as size_bytes
from pay_ready.record_blocks
where tenant_id = %(tenant_id)s
  and blocks <> '';

-- name: record_blocks
-- params: size_bytes integer
select record_id as record, blocks
from pay_ready.record_blocks
where tenant_id = %(tenant_id)s
  and octet_length(blocks) = %(size_bytes)s;

-- name: outbox
-- What memory has yet to hear of ends with the newest number, without a gap: it is drained from its beginning.
with told as (
    select outbox_seq, lag(outbox_seq) over (order by outbox_seq) as stood_seq
    from pay_ready.memory_outbox
    where tenant_id = %(tenant_id)s
),
wrong as materialized (
    select outbox_seq
    from told
    where outbox_seq <> stood_seq + 1
    union
    select greatest(issued.value, seen.last)
    from (
        select coalesce(max(value), 0) as value
        from pay_ready.tenant_counters
        where tenant_id = %(tenant_id)s
          and counter = 'outbox_seq'
    ) as issued
    cross join (select max(outbox_seq) as last from told) as seen
    where issued.value <> seen.last
)
select
    (select count(*) from told) as checked,
    (select count(*) from wrong) as wrong,
    array(select 'outbox ' || outbox_seq from wrong order by outbox_seq limit %(most)s) as offenders,
    0::bigint as pending;

-- name: passages
-- A passage whose interaction went is taken out by the next index: the interaction is in the outbox.
with wrong as materialized (
    select passages.memory_id
    from pay_ready.memories as passages
    where passages.tenant_id = %(tenant_id)s
      and not exists (
          select from pay_ready.interaction_records as staged
          where staged.tenant_id = %(tenant_id)s and staged.interaction_id = passages.interaction_id and staged.is_primary
      )
      and not exists (
          select from pay_ready.memory_outbox as told
          where told.tenant_id = %(tenant_id)s and told.object_kind = 'interaction' and told.object_id = passages.interaction_id::text
      )
)
select
    (select count(*) from pay_ready.memories where tenant_id = %(tenant_id)s) as checked,
    (select count(*) from wrong) as wrong,
    array(select memory_id::text from wrong order by memory_id limit %(most)s) as offenders,
    (
        select count(*)
        from pay_ready.memory_outbox
        where tenant_id = %(tenant_id)s
          and object_kind = 'interaction'
    ) as pending;

-- name: waiting_interactions
-- What a vector store beside Postgres has yet to hear of: queued for it, changed, or given others by a run that memory has not heard of.
select interaction_id
from pay_ready.memory_projections
where tenant_id = %(tenant_id)s
union
select object_id::uuid
from pay_ready.memory_outbox
where tenant_id = %(tenant_id)s
  and object_kind = 'interaction'
union
select links.interaction_id
from pay_ready.memory_outbox as told
join pay_ready.interaction_entities as links
    on links.tenant_id = told.tenant_id
    and case when told.object_kind = 'run' then told.object_id::bigint end in (links.opened_run_no, links.closed_run_no)
where told.tenant_id = %(tenant_id)s;

-- name: checkpoints
-- A checkpoint names a run that is there, by the digest that the run gave itself.
with wrong as materialized (
    select checkpoints.name as offender
    from pay_ready.checkpoints as checkpoints
    left join pay_ready.resolution_runs as runs
        on runs.tenant_id = checkpoints.tenant_id and runs.run_no = checkpoints.run_no
    where checkpoints.tenant_id = %(tenant_id)s
      and (runs.run_no is null or checkpoints.digest <> coalesce(runs.state_digest, checkpoints.digest))
)
select
    (select count(*) from pay_ready.checkpoints where tenant_id = %(tenant_id)s) as checked,
    (select count(*) from wrong) as wrong,
    array(select offender from wrong order by offender limit %(most)s) as offenders,
    0::bigint as pending;

-- name: digests
-- The digests to be worked out from rows: that of the newest run, and when deep those of every run that a checkpoint names.
select runs.run_no, runs.state_digest
from pay_ready.resolution_runs as runs
where runs.tenant_id = %(tenant_id)s
  and runs.state_digest is not null
  and (
      runs.run_no = (select max(run_no) from pay_ready.resolution_runs where tenant_id = %(tenant_id)s)
      or (
          %(deep)s
          and exists (
              select from pay_ready.checkpoints as checkpoints
              where checkpoints.tenant_id = runs.tenant_id and checkpoints.run_no = runs.run_no
          )
      )
  )
order by runs.run_no desc;
