-- References that lead nowhere, a statement a table; written from the catalogue by `python -m tests.references`, never by hand.

-- name: alert_deliveries
with wrong as materialized (
    select 'alert_deliveries.alert_id ' || child.alert_id::text as offender
    from (
        select distinct alert_id
        from pay_ready.alert_deliveries
        where tenant_id = %(tenant_id)s
          and alert_id is not null
    ) as child
    where not exists (
        select from pay_ready.alerts as parent
        where parent.tenant_id = %(tenant_id)s
          and parent.alert_id = child.alert_id
    )
)
select
    (select count(*) from pay_ready.alert_deliveries where tenant_id = %(tenant_id)s) as checked,
    (select count(*) from wrong) as wrong,
    array(select offender from wrong order by offender limit %(most)s) as offenders,
    0::bigint as pending;

-- name: archived_interactions
with wrong as materialized (
    select 'archived_interactions.archive_id ' || child.archive_id::text as offender
    from (
        select distinct archive_id
        from pay_ready.archived_interactions
        where tenant_id = %(tenant_id)s
          and archive_id is not null
    ) as child
    where not exists (
        select from pay_ready.retention_archives as parent
        where parent.tenant_id = %(tenant_id)s
          and parent.archive_id = child.archive_id
    )
)
select
    (select count(*) from pay_ready.archived_interactions where tenant_id = %(tenant_id)s) as checked,
    (select count(*) from wrong) as wrong,
    array(select offender from wrong order by offender limit %(most)s) as offenders,
    0::bigint as pending;

-- name: assignments
with wrong as materialized (
    select 'assignments.entity_id ' || child.entity_id::text as offender
    from (
        select distinct entity_id
        from pay_ready.assignments
        where tenant_id = %(tenant_id)s
          and entity_id is not null
    ) as child
    where not exists (
        select from pay_ready.entities as parent
        where parent.tenant_id = %(tenant_id)s
          and parent.entity_id = child.entity_id
    )
)
select
    (select count(*) from pay_ready.assignments where tenant_id = %(tenant_id)s) as checked,
    (select count(*) from wrong) as wrong,
    array(select offender from wrong order by offender limit %(most)s) as offenders,
    0::bigint as pending;

-- name: backfill_batches
with wrong as materialized (
    select 'backfill_batches.plan_id ' || child.source_id::text || ' ' || child.plan_id::text as offender
    from (
        select distinct source_id, plan_id
        from pay_ready.backfill_batches
        where tenant_id = %(tenant_id)s
          and source_id is not null
          and plan_id is not null
    ) as child
    where not exists (
        select from pay_ready.backfill_plans as parent
        where parent.tenant_id = %(tenant_id)s
          and parent.source_id = child.source_id
          and parent.plan_id = child.plan_id
    )
    union all
    select 'backfill_batches.run_id ' || child.source_id::text || ' ' || child.run_id::text as offender
    from (
        select distinct source_id, run_id
        from pay_ready.backfill_batches
        where tenant_id = %(tenant_id)s
          and source_id is not null
          and run_id is not null
    ) as child
    where not exists (
        select from pay_ready.sync_runs as parent
        where parent.tenant_id = %(tenant_id)s
          and parent.source_id = child.source_id
          and parent.run_id = child.run_id
    )
)
select
    (select count(*) from pay_ready.backfill_batches where tenant_id = %(tenant_id)s) as checked,
    (select count(*) from wrong) as wrong,
    array(select offender from wrong order by offender limit %(most)s) as offenders,
    0::bigint as pending;

-- name: backfill_plans
with wrong as materialized (
    select 'backfill_plans.source_id ' || child.source_id::text as offender
    from (
        select distinct source_id
        from pay_ready.backfill_plans
        where tenant_id = %(tenant_id)s
          and source_id is not null
    ) as child
    where not exists (
        select from pay_ready.data_sources as parent
        where parent.tenant_id = %(tenant_id)s
          and parent.source_id = child.source_id
    )
)
select
    (select count(*) from pay_ready.backfill_plans where tenant_id = %(tenant_id)s) as checked,
    (select count(*) from wrong) as wrong,
    array(select offender from wrong order by offender limit %(most)s) as offenders,
    0::bigint as pending;

-- name: backfill_runs
with wrong as materialized (
    select 'backfill_runs.chunk_start ' || child.source_id::text || ' ' || child.plan_id::text || ' ' || child.chunk_start::text as offender
    from (
        select distinct source_id, plan_id, chunk_start
        from pay_ready.backfill_runs
        where tenant_id = %(tenant_id)s
          and source_id is not null
          and plan_id is not null
          and chunk_start is not null
    ) as child
    where not exists (
        select from pay_ready.backfill_batches as parent
        where parent.tenant_id = %(tenant_id)s
          and parent.source_id = child.source_id
          and parent.plan_id = child.plan_id
          and parent.chunk_start = child.chunk_start
    )
    union all
    select 'backfill_runs.run_id ' || child.source_id::text || ' ' || child.run_id::text as offender
    from (
        select distinct source_id, run_id
        from pay_ready.backfill_runs
        where tenant_id = %(tenant_id)s
          and source_id is not null
          and run_id is not null
    ) as child
    where not exists (
        select from pay_ready.sync_runs as parent
        where parent.tenant_id = %(tenant_id)s
          and parent.source_id = child.source_id
          and parent.run_id = child.run_id
    )
)
select
    (select count(*) from pay_ready.backfill_runs where tenant_id = %(tenant_id)s) as checked,
    (select count(*) from wrong) as wrong,
    array(select offender from wrong order by offender limit %(most)s) as offenders,
    0::bigint as pending;

-- name: backfill_states
with wrong as materialized (
    select 'backfill_states.pass_run_id ' || child.source_id::text || ' ' || child.pass_run_id::text as offender
    from (
        select distinct source_id, pass_run_id
        from pay_ready.backfill_states
        where tenant_id = %(tenant_id)s
          and source_id is not null
          and pass_run_id is not null
    ) as child
    where not exists (
        select from pay_ready.sync_runs as parent
        where parent.tenant_id = %(tenant_id)s
          and parent.source_id = child.source_id
          and parent.run_id = child.pass_run_id
    )
    union all
    select 'backfill_states.chunk_start ' || child.source_id::text || ' ' || child.plan_id::text || ' ' || child.chunk_start::text as offender
    from (
        select distinct source_id, plan_id, chunk_start
        from pay_ready.backfill_states
        where tenant_id = %(tenant_id)s
          and source_id is not null
          and plan_id is not null
          and chunk_start is not null
    ) as child
    where not exists (
        select from pay_ready.backfill_batches as parent
        where parent.tenant_id = %(tenant_id)s
          and parent.source_id = child.source_id
          and parent.plan_id = child.plan_id
          and parent.chunk_start = child.chunk_start
    )
)
select
    (select count(*) from pay_ready.backfill_states where tenant_id = %(tenant_id)s) as checked,
    (select count(*) from wrong) as wrong,
    array(select offender from wrong order by offender limit %(most)s) as offenders,
    0::bigint as pending;

-- name: checkpoints
with wrong as materialized (
    select 'checkpoints.run_no ' || child.run_no::text as offender
    from (
        select distinct run_no
        from pay_ready.checkpoints
        where tenant_id = %(tenant_id)s
          and run_no is not null
    ) as child
    where not exists (
        select from pay_ready.resolution_runs as parent
        where parent.tenant_id = %(tenant_id)s
          and parent.run_no = child.run_no
    )
)
select
    (select count(*) from pay_ready.checkpoints where tenant_id = %(tenant_id)s) as checked,
    (select count(*) from wrong) as wrong,
    array(select offender from wrong order by offender limit %(most)s) as offenders,
    0::bigint as pending;

-- name: company_records
with wrong as materialized (
    select 'company_records.source_id ' || child.source_id::text as offender
    from (
        select distinct source_id
        from pay_ready.company_records
        where tenant_id = %(tenant_id)s
          and source_id is not null
    ) as child
    where not exists (
        select from pay_ready.data_sources as parent
        where parent.tenant_id = %(tenant_id)s
          and parent.source_id = child.source_id
    )
    union all
    select 'company_records.stream ' || child.source_id::text || ' ' || child.stream::text as offender
    from (
        select distinct source_id, stream, record_key
        from pay_ready.company_records
        where tenant_id = %(tenant_id)s
          and source_id is not null
          and stream is not null
          and record_key is not null
    ) as child
    where not exists (
        select from pay_ready.landed_records as parent
        where parent.tenant_id = %(tenant_id)s
          and parent.source_id = child.source_id
          and parent.stream = child.stream
          and parent.record_key = child.record_key
    )
)
select
    (select count(*) from pay_ready.company_records where tenant_id = %(tenant_id)s) as checked,
    (select count(*) from wrong) as wrong,
    array(select offender from wrong order by offender limit %(most)s) as offenders,
    0::bigint as pending;

-- name: drift_judgements
with wrong as materialized (
    select 'drift_judgements.finding_id ' || child.finding_id::text as offender
    from (
        select distinct finding_id
        from pay_ready.drift_judgements
        where tenant_id = %(tenant_id)s
          and finding_id is not null
    ) as child
    where not exists (
        select from pay_ready.drift_findings as parent
        where parent.tenant_id = %(tenant_id)s
          and parent.finding_id = child.finding_id
    )
)
select
    (select count(*) from pay_ready.drift_judgements where tenant_id = %(tenant_id)s) as checked,
    (select count(*) from wrong) as wrong,
    array(select offender from wrong order by offender limit %(most)s) as offenders,
    0::bigint as pending;

-- name: edges
with wrong as materialized (
    select 'edges.model_id ' || child.model_id::text as offender
    from (
        select distinct model_id
        from pay_ready.edges
        where tenant_id = %(tenant_id)s
          and model_id is not null
    ) as child
    where not exists (
        select from pay_ready.resolution_models as parent
        where parent.tenant_id = %(tenant_id)s
          and parent.model_id = child.model_id
    )
)
select
    (select count(*) from pay_ready.edges where tenant_id = %(tenant_id)s) as checked,
    (select count(*) from wrong) as wrong,
    array(select offender from wrong order by offender limit %(most)s) as offenders,
    0::bigint as pending;

-- name: entities
with wrong as materialized (
    select 'entities.minted_run_no ' || child.minted_run_no::text as offender
    from (
        select distinct minted_run_no
        from pay_ready.entities
        where tenant_id = %(tenant_id)s
          and minted_run_no is not null
    ) as child
    where not exists (
        select from pay_ready.resolution_runs as parent
        where parent.tenant_id = %(tenant_id)s
          and parent.run_no = child.minted_run_no
    )
)
select
    (select count(*) from pay_ready.entities where tenant_id = %(tenant_id)s) as checked,
    (select count(*) from wrong) as wrong,
    array(select offender from wrong order by offender limit %(most)s) as offenders,
    0::bigint as pending;

-- name: entity_changes
with wrong as materialized (
    select 'entity_changes.entity_id ' || child.entity_id::text as offender
    from (
        select distinct entity_id
        from pay_ready.entity_changes
        where tenant_id = %(tenant_id)s
          and entity_id is not null
    ) as child
    where not exists (
        select from pay_ready.entities as parent
        where parent.tenant_id = %(tenant_id)s
          and parent.entity_id = child.entity_id
    )
    union all
    select 'entity_changes.other_entity_id ' || child.other_entity_id::text as offender
    from (
        select distinct other_entity_id
        from pay_ready.entity_changes
        where tenant_id = %(tenant_id)s
          and other_entity_id is not null
    ) as child
    where not exists (
        select from pay_ready.entities as parent
        where parent.tenant_id = %(tenant_id)s
          and parent.entity_id = child.other_entity_id
    )
)
select
    (select count(*) from pay_ready.entity_changes where tenant_id = %(tenant_id)s) as checked,
    (select count(*) from wrong) as wrong,
    array(select offender from wrong order by offender limit %(most)s) as offenders,
    0::bigint as pending;

-- name: entity_redirects
with wrong as materialized (
    select 'entity_redirects.entity_id ' || child.entity_id::text as offender
    from (
        select distinct entity_id
        from pay_ready.entity_redirects
        where tenant_id = %(tenant_id)s
          and entity_id is not null
    ) as child
    where not exists (
        select from pay_ready.entities as parent
        where parent.tenant_id = %(tenant_id)s
          and parent.entity_id = child.entity_id
    )
    union all
    select 'entity_redirects.target_entity_id ' || child.target_entity_id::text as offender
    from (
        select distinct target_entity_id
        from pay_ready.entity_redirects
        where tenant_id = %(tenant_id)s
          and target_entity_id is not null
    ) as child
    where not exists (
        select from pay_ready.entities as parent
        where parent.tenant_id = %(tenant_id)s
          and parent.entity_id = child.target_entity_id
    )
)
select
    (select count(*) from pay_ready.entity_redirects where tenant_id = %(tenant_id)s) as checked,
    (select count(*) from wrong) as wrong,
    array(select offender from wrong order by offender limit %(most)s) as offenders,
    0::bigint as pending;

-- name: entity_versions
with wrong as materialized (
    select 'entity_versions.company_entity_id ' || child.company_entity_id::text as offender
    from (
        select distinct company_entity_id
        from pay_ready.entity_versions
        where tenant_id = %(tenant_id)s
          and company_entity_id is not null
    ) as child
    where not exists (
        select from pay_ready.entities as parent
        where parent.tenant_id = %(tenant_id)s
          and parent.entity_id = child.company_entity_id
    )
    union all
    select 'entity_versions.entity_id ' || child.entity_id::text as offender
    from (
        select distinct entity_id
        from pay_ready.entity_versions
        where tenant_id = %(tenant_id)s
          and entity_id is not null
    ) as child
    where not exists (
        select from pay_ready.entities as parent
        where parent.tenant_id = %(tenant_id)s
          and parent.entity_id = child.entity_id
    )
)
select
    (select count(*) from pay_ready.entity_versions where tenant_id = %(tenant_id)s) as checked,
    (select count(*) from wrong) as wrong,
    array(select offender from wrong order by offender limit %(most)s) as offenders,
    0::bigint as pending;

-- name: interaction_entities
with wrong as materialized (
    select 'interaction_entities.entity_id ' || child.entity_id::text as offender
    from (
        select distinct entity_id
        from pay_ready.interaction_entities
        where tenant_id = %(tenant_id)s
          and entity_id is not null
    ) as child
    where not exists (
        select from pay_ready.entities as parent
        where parent.tenant_id = %(tenant_id)s
          and parent.entity_id = child.entity_id
    )
)
select
    (select count(*) from pay_ready.interaction_entities where tenant_id = %(tenant_id)s) as checked,
    (select count(*) from wrong) as wrong,
    array(select offender from wrong order by offender limit %(most)s) as offenders,
    0::bigint as pending;

-- name: interaction_participants
with wrong as materialized (
    select 'interaction_participants.company_record_id ' || child.source_id::text || ' ' || child.company_record_id::text as offender
    from (
        select distinct source_id, company_record_id
        from pay_ready.interaction_participants
        where tenant_id = %(tenant_id)s
          and source_id is not null
          and company_record_id is not null
    ) as child
    where not exists (
        select from pay_ready.company_records as parent
        where parent.tenant_id = %(tenant_id)s
          and parent.source_id = child.source_id
          and parent.record_id = child.company_record_id
    )
    union all
    select 'interaction_participants.person_company_record_id ' || child.source_id::text || ' ' || child.person_company_record_id::text as offender
    from (
        select distinct source_id, person_company_record_id
        from pay_ready.interaction_participants
        where tenant_id = %(tenant_id)s
          and source_id is not null
          and person_company_record_id is not null
    ) as child
    where not exists (
        select from pay_ready.company_records as parent
        where parent.tenant_id = %(tenant_id)s
          and parent.source_id = child.source_id
          and parent.record_id = child.person_company_record_id
    )
    union all
    select 'interaction_participants.person_record_id ' || child.source_id::text || ' ' || child.person_record_id::text as offender
    from (
        select distinct source_id, person_record_id
        from pay_ready.interaction_participants
        where tenant_id = %(tenant_id)s
          and source_id is not null
          and person_record_id is not null
    ) as child
    where not exists (
        select from pay_ready.person_records as parent
        where parent.tenant_id = %(tenant_id)s
          and parent.source_id = child.source_id
          and parent.record_id = child.person_record_id
    )
    union all
    select 'interaction_participants.record_id ' || child.source_id::text || ' ' || child.record_id::text as offender
    from (
        select distinct source_id, record_id
        from pay_ready.interaction_participants
        where tenant_id = %(tenant_id)s
          and source_id is not null
          and record_id is not null
    ) as child
    where not exists (
        select from pay_ready.interaction_records as parent
        where parent.tenant_id = %(tenant_id)s
          and parent.source_id = child.source_id
          and parent.record_id = child.record_id
    )
)
select
    (select count(*) from pay_ready.interaction_participants where tenant_id = %(tenant_id)s) as checked,
    (select count(*) from wrong) as wrong,
    array(select offender from wrong order by offender limit %(most)s) as offenders,
    0::bigint as pending;

-- name: interaction_records
with wrong as materialized (
    select 'interaction_records.stream ' || child.source_id::text || ' ' || child.stream::text as offender
    from (
        select distinct source_id, stream, record_key
        from pay_ready.interaction_records
        where tenant_id = %(tenant_id)s
          and source_id is not null
          and stream is not null
          and record_key is not null
    ) as child
    where not exists (
        select from pay_ready.landed_records as parent
        where parent.tenant_id = %(tenant_id)s
          and parent.source_id = child.source_id
          and parent.stream = child.stream
          and parent.record_key = child.record_key
    )
)
select
    (select count(*) from pay_ready.interaction_records where tenant_id = %(tenant_id)s) as checked,
    (select count(*) from wrong) as wrong,
    array(select offender from wrong order by offender limit %(most)s) as offenders,
    0::bigint as pending;

-- name: interaction_turns
with wrong as materialized (
    select 'interaction_turns.record_id ' || child.source_id::text || ' ' || child.record_id::text as offender
    from (
        select distinct source_id, record_id
        from pay_ready.interaction_turns
        where tenant_id = %(tenant_id)s
          and source_id is not null
          and record_id is not null
    ) as child
    where not exists (
        select from pay_ready.interaction_records as parent
        where parent.tenant_id = %(tenant_id)s
          and parent.source_id = child.source_id
          and parent.record_id = child.record_id
    )
)
select
    (select count(*) from pay_ready.interaction_turns where tenant_id = %(tenant_id)s) as checked,
    (select count(*) from wrong) as wrong,
    array(select offender from wrong order by offender limit %(most)s) as offenders,
    0::bigint as pending;

-- name: landed_records
with wrong as materialized (
    select 'landed_records.payload_id ' || child.source_id::text || ' ' || child.payload_id::text as offender
    from (
        select distinct source_id, payload_id
        from pay_ready.landed_records
        where tenant_id = %(tenant_id)s
          and source_id is not null
          and payload_id is not null
    ) as child
    where not exists (
        select from pay_ready.large_payloads as parent
        where parent.tenant_id = %(tenant_id)s
          and parent.source_id = child.source_id
          and parent.payload_id = child.payload_id
    )
    union all
    select 'landed_records.batch_id ' || child.source_id::text || ' ' || child.stream::text || ' ' || child.batch_id::text as offender
    from (
        select distinct source_id, stream, batch_id
        from pay_ready.landed_records
        where tenant_id = %(tenant_id)s
          and source_id is not null
          and stream is not null
          and batch_id is not null
    ) as child
    where not exists (
        select from pay_ready.landing_batches as parent
        where parent.tenant_id = %(tenant_id)s
          and parent.source_id = child.source_id
          and parent.stream = child.stream
          and parent.batch_id = child.batch_id
    )
)
select
    (select count(*) from pay_ready.landed_records where tenant_id = %(tenant_id)s) as checked,
    (select count(*) from wrong) as wrong,
    array(select offender from wrong order by offender limit %(most)s) as offenders,
    0::bigint as pending;

-- name: landing_batches
with wrong as materialized (
    select 'landing_batches.run_id ' || child.source_id::text || ' ' || child.run_id::text as offender
    from (
        select distinct source_id, run_id
        from pay_ready.landing_batches
        where tenant_id = %(tenant_id)s
          and source_id is not null
          and run_id is not null
    ) as child
    where not exists (
        select from pay_ready.sync_runs as parent
        where parent.tenant_id = %(tenant_id)s
          and parent.source_id = child.source_id
          and parent.run_id = child.run_id
    )
)
select
    (select count(*) from pay_ready.landing_batches where tenant_id = %(tenant_id)s) as checked,
    (select count(*) from wrong) as wrong,
    array(select offender from wrong order by offender limit %(most)s) as offenders,
    0::bigint as pending;

-- name: large_payloads
with wrong as materialized (
    select 'large_payloads.source_id ' || child.source_id::text as offender
    from (
        select distinct source_id
        from pay_ready.large_payloads
        where tenant_id = %(tenant_id)s
          and source_id is not null
    ) as child
    where not exists (
        select from pay_ready.data_sources as parent
        where parent.tenant_id = %(tenant_id)s
          and parent.source_id = child.source_id
    )
)
select
    (select count(*) from pay_ready.large_payloads where tenant_id = %(tenant_id)s) as checked,
    (select count(*) from wrong) as wrong,
    array(select offender from wrong order by offender limit %(most)s) as offenders,
    0::bigint as pending;

-- name: memories
with wrong as materialized (
    select 'memories.source_id ' || child.source_id::text as offender
    from (
        select distinct source_id
        from pay_ready.memories
        where tenant_id = %(tenant_id)s
          and source_id is not null
    ) as child
    where not exists (
        select from pay_ready.data_sources as parent
        where parent.tenant_id = %(tenant_id)s
          and parent.source_id = child.source_id
    )
)
select
    (select count(*) from pay_ready.memories where tenant_id = %(tenant_id)s) as checked,
    (select count(*) from wrong) as wrong,
    array(select offender from wrong order by offender limit %(most)s) as offenders,
    0::bigint as pending;

-- name: memory_vectors_plain
with wrong as materialized (
    select 'memory_vectors_plain.embedder_tag ' || child.embedder_tag::text as offender
    from (
        select distinct embedder_tag
        from pay_ready.memory_vectors_plain
        where tenant_id = %(tenant_id)s
          and embedder_tag is not null
    ) as child
    where not exists (
        select from pay_ready.memory_embedders as parent
        where parent.tenant_id = %(tenant_id)s
          and parent.embedder_tag = child.embedder_tag
    )
    union all
    select 'memory_vectors_plain.memory_id ' || child.memory_id::text as offender
    from (
        select distinct memory_id
        from pay_ready.memory_vectors_plain
        where tenant_id = %(tenant_id)s
          and memory_id is not null
    ) as child
    where not exists (
        select from pay_ready.memories as parent
        where parent.tenant_id = %(tenant_id)s
          and parent.memory_id = child.memory_id
    )
)
select
    (select count(*) from pay_ready.memory_vectors_plain where tenant_id = %(tenant_id)s) as checked,
    (select count(*) from wrong) as wrong,
    array(select offender from wrong order by offender limit %(most)s) as offenders,
    0::bigint as pending;

-- name: person_records
with wrong as materialized (
    select 'person_records.source_id ' || child.source_id::text as offender
    from (
        select distinct source_id
        from pay_ready.person_records
        where tenant_id = %(tenant_id)s
          and source_id is not null
    ) as child
    where not exists (
        select from pay_ready.data_sources as parent
        where parent.tenant_id = %(tenant_id)s
          and parent.source_id = child.source_id
    )
    union all
    select 'person_records.company_record_id ' || child.source_id::text || ' ' || child.company_record_id::text as offender
    from (
        select distinct source_id, company_record_id
        from pay_ready.person_records
        where tenant_id = %(tenant_id)s
          and source_id is not null
          and company_record_id is not null
    ) as child
    where not exists (
        select from pay_ready.company_records as parent
        where parent.tenant_id = %(tenant_id)s
          and parent.source_id = child.source_id
          and parent.record_id = child.company_record_id
    )
    union all
    select 'person_records.stream ' || child.source_id::text || ' ' || child.stream::text as offender
    from (
        select distinct source_id, stream, record_key
        from pay_ready.person_records
        where tenant_id = %(tenant_id)s
          and source_id is not null
          and stream is not null
          and record_key is not null
    ) as child
    where not exists (
        select from pay_ready.landed_records as parent
        where parent.tenant_id = %(tenant_id)s
          and parent.source_id = child.source_id
          and parent.stream = child.stream
          and parent.record_key = child.record_key
    )
)
select
    (select count(*) from pay_ready.person_records where tenant_id = %(tenant_id)s) as checked,
    (select count(*) from wrong) as wrong,
    array(select offender from wrong order by offender limit %(most)s) as offenders,
    0::bigint as pending;

-- name: platform_jobs
with wrong as materialized (
    select 'platform_jobs.source_id ' || child.source_id::text as offender
    from (
        select distinct source_id
        from pay_ready.platform_jobs
        where tenant_id = %(tenant_id)s
          and source_id is not null
    ) as child
    where not exists (
        select from pay_ready.data_sources as parent
        where parent.tenant_id = %(tenant_id)s
          and parent.source_id = child.source_id
    )
)
select
    (select count(*) from pay_ready.platform_jobs where tenant_id = %(tenant_id)s) as checked,
    (select count(*) from wrong) as wrong,
    array(select offender from wrong order by offender limit %(most)s) as offenders,
    0::bigint as pending;

-- name: quarantined_records
with wrong as materialized (
    select 'quarantined_records.payload_id ' || child.source_id::text || ' ' || child.payload_id::text as offender
    from (
        select distinct source_id, payload_id
        from pay_ready.quarantined_records
        where tenant_id = %(tenant_id)s
          and source_id is not null
          and payload_id is not null
    ) as child
    where not exists (
        select from pay_ready.large_payloads as parent
        where parent.tenant_id = %(tenant_id)s
          and parent.source_id = child.source_id
          and parent.payload_id = child.payload_id
    )
    union all
    select 'quarantined_records.run_id ' || child.source_id::text || ' ' || child.run_id::text as offender
    from (
        select distinct source_id, run_id
        from pay_ready.quarantined_records
        where tenant_id = %(tenant_id)s
          and source_id is not null
          and run_id is not null
    ) as child
    where not exists (
        select from pay_ready.sync_runs as parent
        where parent.tenant_id = %(tenant_id)s
          and parent.source_id = child.source_id
          and parent.run_id = child.run_id
    )
)
select
    (select count(*) from pay_ready.quarantined_records where tenant_id = %(tenant_id)s) as checked,
    (select count(*) from wrong) as wrong,
    array(select offender from wrong order by offender limit %(most)s) as offenders,
    0::bigint as pending;

-- name: resolution_holds
with wrong as materialized (
    select 'resolution_holds.run_no ' || child.run_no::text as offender
    from (
        select distinct run_no
        from pay_ready.resolution_holds
        where tenant_id = %(tenant_id)s
          and run_no is not null
    ) as child
    where not exists (
        select from pay_ready.resolution_runs as parent
        where parent.tenant_id = %(tenant_id)s
          and parent.run_no = child.run_no
    )
)
select
    (select count(*) from pay_ready.resolution_holds where tenant_id = %(tenant_id)s) as checked,
    (select count(*) from wrong) as wrong,
    array(select offender from wrong order by offender limit %(most)s) as offenders,
    0::bigint as pending;

-- name: resolution_model_counts
with wrong as materialized (
    select 'resolution_model_counts.model_id ' || child.model_id::text as offender
    from (
        select distinct model_id
        from pay_ready.resolution_model_counts
        where tenant_id = %(tenant_id)s
          and model_id is not null
    ) as child
    where not exists (
        select from pay_ready.resolution_models as parent
        where parent.tenant_id = %(tenant_id)s
          and parent.model_id = child.model_id
    )
)
select
    (select count(*) from pay_ready.resolution_model_counts where tenant_id = %(tenant_id)s) as checked,
    (select count(*) from wrong) as wrong,
    array(select offender from wrong order by offender limit %(most)s) as offenders,
    0::bigint as pending;

-- name: resolution_runs
with wrong as materialized (
    select 'resolution_runs.company_model_id ' || child.company_model_id::text as offender
    from (
        select distinct company_model_id
        from pay_ready.resolution_runs
        where tenant_id = %(tenant_id)s
          and company_model_id is not null
    ) as child
    where not exists (
        select from pay_ready.resolution_models as parent
        where parent.tenant_id = %(tenant_id)s
          and parent.model_id = child.company_model_id
    )
    union all
    select 'resolution_runs.equals_run_no ' || child.equals_run_no::text as offender
    from (
        select distinct equals_run_no
        from pay_ready.resolution_runs
        where tenant_id = %(tenant_id)s
          and equals_run_no is not null
    ) as child
    where not exists (
        select from pay_ready.resolution_runs as parent
        where parent.tenant_id = %(tenant_id)s
          and parent.run_no = child.equals_run_no
    )
    union all
    select 'resolution_runs.person_model_id ' || child.person_model_id::text as offender
    from (
        select distinct person_model_id
        from pay_ready.resolution_runs
        where tenant_id = %(tenant_id)s
          and person_model_id is not null
    ) as child
    where not exists (
        select from pay_ready.resolution_models as parent
        where parent.tenant_id = %(tenant_id)s
          and parent.model_id = child.person_model_id
    )
)
select
    (select count(*) from pay_ready.resolution_runs where tenant_id = %(tenant_id)s) as checked,
    (select count(*) from wrong) as wrong,
    array(select offender from wrong order by offender limit %(most)s) as offenders,
    0::bigint as pending;

-- name: run_decisions
with wrong as materialized (
    select 'run_decisions.closed_run_no ' || child.closed_run_no::text as offender
    from (
        select distinct closed_run_no
        from pay_ready.run_decisions
        where tenant_id = %(tenant_id)s
          and closed_run_no is not null
    ) as child
    where not exists (
        select from pay_ready.resolution_runs as parent
        where parent.tenant_id = %(tenant_id)s
          and parent.run_no = child.closed_run_no
    )
    union all
    select 'run_decisions.decision_id ' || child.decision_id::text as offender
    from (
        select distinct decision_id
        from pay_ready.run_decisions
        where tenant_id = %(tenant_id)s
          and decision_id is not null
    ) as child
    where not exists (
        select from pay_ready.decisions as parent
        where parent.tenant_id = %(tenant_id)s
          and parent.decision_id = child.decision_id
    )
    union all
    select 'run_decisions.opened_run_no ' || child.opened_run_no::text as offender
    from (
        select distinct opened_run_no
        from pay_ready.run_decisions
        where tenant_id = %(tenant_id)s
          and opened_run_no is not null
    ) as child
    where not exists (
        select from pay_ready.resolution_runs as parent
        where parent.tenant_id = %(tenant_id)s
          and parent.run_no = child.opened_run_no
    )
)
select
    (select count(*) from pay_ready.run_decisions where tenant_id = %(tenant_id)s) as checked,
    (select count(*) from wrong) as wrong,
    array(select offender from wrong order by offender limit %(most)s) as offenders,
    0::bigint as pending;

-- name: seen_keys
with wrong as materialized (
    select 'seen_keys.run_id ' || child.source_id::text || ' ' || child.run_id::text as offender
    from (
        select distinct source_id, run_id
        from pay_ready.seen_keys
        where tenant_id = %(tenant_id)s
          and source_id is not null
          and run_id is not null
    ) as child
    where not exists (
        select from pay_ready.sync_runs as parent
        where parent.tenant_id = %(tenant_id)s
          and parent.source_id = child.source_id
          and parent.run_id = child.run_id
    )
)
select
    (select count(*) from pay_ready.seen_keys where tenant_id = %(tenant_id)s) as checked,
    (select count(*) from wrong) as wrong,
    array(select offender from wrong order by offender limit %(most)s) as offenders,
    0::bigint as pending;

-- name: shadowed_company_records
with wrong as materialized (
    select 'shadowed_company_records.stream ' || child.source_id::text || ' ' || child.stream::text as offender
    from (
        select distinct source_id, stream, record_key
        from pay_ready.shadowed_company_records
        where tenant_id = %(tenant_id)s
          and source_id is not null
          and stream is not null
          and record_key is not null
    ) as child
    where not exists (
        select from pay_ready.landed_records as parent
        where parent.tenant_id = %(tenant_id)s
          and parent.source_id = child.source_id
          and parent.stream = child.stream
          and parent.record_key = child.record_key
    )
)
select
    (select count(*) from pay_ready.shadowed_company_records where tenant_id = %(tenant_id)s) as checked,
    (select count(*) from wrong) as wrong,
    array(select offender from wrong order by offender limit %(most)s) as offenders,
    0::bigint as pending;

-- name: shadowed_person_records
with wrong as materialized (
    select 'shadowed_person_records.stream ' || child.source_id::text || ' ' || child.stream::text as offender
    from (
        select distinct source_id, stream, record_key
        from pay_ready.shadowed_person_records
        where tenant_id = %(tenant_id)s
          and source_id is not null
          and stream is not null
          and record_key is not null
    ) as child
    where not exists (
        select from pay_ready.landed_records as parent
        where parent.tenant_id = %(tenant_id)s
          and parent.source_id = child.source_id
          and parent.stream = child.stream
          and parent.record_key = child.record_key
    )
)
select
    (select count(*) from pay_ready.shadowed_person_records where tenant_id = %(tenant_id)s) as checked,
    (select count(*) from wrong) as wrong,
    array(select offender from wrong order by offender limit %(most)s) as offenders,
    0::bigint as pending;

-- name: source_credentials
with wrong as materialized (
    select 'source_credentials.source_id ' || child.source_id::text as offender
    from (
        select distinct source_id
        from pay_ready.source_credentials
        where tenant_id = %(tenant_id)s
          and source_id is not null
    ) as child
    where not exists (
        select from pay_ready.data_sources as parent
        where parent.tenant_id = %(tenant_id)s
          and parent.source_id = child.source_id
    )
)
select
    (select count(*) from pay_ready.source_credentials where tenant_id = %(tenant_id)s) as checked,
    (select count(*) from wrong) as wrong,
    array(select offender from wrong order by offender limit %(most)s) as offenders,
    0::bigint as pending;

-- name: stream_runs
with wrong as materialized (
    select 'stream_runs.run_id ' || child.source_id::text || ' ' || child.run_id::text as offender
    from (
        select distinct source_id, run_id
        from pay_ready.stream_runs
        where tenant_id = %(tenant_id)s
          and source_id is not null
          and run_id is not null
    ) as child
    where not exists (
        select from pay_ready.sync_runs as parent
        where parent.tenant_id = %(tenant_id)s
          and parent.source_id = child.source_id
          and parent.run_id = child.run_id
    )
)
select
    (select count(*) from pay_ready.stream_runs where tenant_id = %(tenant_id)s) as checked,
    (select count(*) from wrong) as wrong,
    array(select offender from wrong order by offender limit %(most)s) as offenders,
    0::bigint as pending;

-- name: stream_schemas
with wrong as materialized (
    select 'stream_schemas.source_id ' || child.source_id::text as offender
    from (
        select distinct source_id
        from pay_ready.stream_schemas
        where tenant_id = %(tenant_id)s
          and source_id is not null
    ) as child
    where not exists (
        select from pay_ready.data_sources as parent
        where parent.tenant_id = %(tenant_id)s
          and parent.source_id = child.source_id
    )
    union all
    select 'stream_schemas.run_id ' || child.source_id::text || ' ' || child.run_id::text as offender
    from (
        select distinct source_id, run_id
        from pay_ready.stream_schemas
        where tenant_id = %(tenant_id)s
          and source_id is not null
          and run_id is not null
    ) as child
    where not exists (
        select from pay_ready.sync_runs as parent
        where parent.tenant_id = %(tenant_id)s
          and parent.source_id = child.source_id
          and parent.run_id = child.run_id
    )
)
select
    (select count(*) from pay_ready.stream_schemas where tenant_id = %(tenant_id)s) as checked,
    (select count(*) from wrong) as wrong,
    array(select offender from wrong order by offender limit %(most)s) as offenders,
    0::bigint as pending;

-- name: stream_states
with wrong as materialized (
    select 'stream_states.source_id ' || child.source_id::text as offender
    from (
        select distinct source_id
        from pay_ready.stream_states
        where tenant_id = %(tenant_id)s
          and source_id is not null
    ) as child
    where not exists (
        select from pay_ready.data_sources as parent
        where parent.tenant_id = %(tenant_id)s
          and parent.source_id = child.source_id
    )
    union all
    select 'stream_states.pass_run_id ' || child.source_id::text || ' ' || child.pass_run_id::text as offender
    from (
        select distinct source_id, pass_run_id
        from pay_ready.stream_states
        where tenant_id = %(tenant_id)s
          and source_id is not null
          and pass_run_id is not null
    ) as child
    where not exists (
        select from pay_ready.sync_runs as parent
        where parent.tenant_id = %(tenant_id)s
          and parent.source_id = child.source_id
          and parent.run_id = child.pass_run_id
    )
    union all
    select 'stream_states.run_id ' || child.source_id::text || ' ' || child.run_id::text as offender
    from (
        select distinct source_id, run_id
        from pay_ready.stream_states
        where tenant_id = %(tenant_id)s
          and source_id is not null
          and run_id is not null
    ) as child
    where not exists (
        select from pay_ready.sync_runs as parent
        where parent.tenant_id = %(tenant_id)s
          and parent.source_id = child.source_id
          and parent.run_id = child.run_id
    )
)
select
    (select count(*) from pay_ready.stream_states where tenant_id = %(tenant_id)s) as checked,
    (select count(*) from wrong) as wrong,
    array(select offender from wrong order by offender limit %(most)s) as offenders,
    0::bigint as pending;

-- name: sync_runs
with wrong as materialized (
    select 'sync_runs.source_id ' || child.source_id::text as offender
    from (
        select distinct source_id
        from pay_ready.sync_runs
        where tenant_id = %(tenant_id)s
          and source_id is not null
    ) as child
    where not exists (
        select from pay_ready.data_sources as parent
        where parent.tenant_id = %(tenant_id)s
          and parent.source_id = child.source_id
    )
)
select
    (select count(*) from pay_ready.sync_runs where tenant_id = %(tenant_id)s) as checked,
    (select count(*) from wrong) as wrong,
    array(select offender from wrong order by offender limit %(most)s) as offenders,
    0::bigint as pending;
