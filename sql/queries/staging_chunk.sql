-- The temporary tables of one staging transaction: what a chunk of landed rows says, and what it touches.

-- name: rows_table
-- scope: session
create temporary table chunk_rows (
    record_key text collate "C" not null,
    run_id uuid not null,
    outcome text not null,
    earlier text
) on commit drop;

-- name: companies_table
-- scope: session
create temporary table chunk_companies (
    record_id uuid not null,
    record_reference text collate "C" not null,
    record_key text collate "C" not null,
    name text,
    domain text,
    phone text,
    city text,
    country text,
    industry text,
    attributes jsonb not null,
    source_updated_at timestamptz,
    content_hash bytea not null
) on commit drop;

-- name: people_table
-- scope: session
create temporary table chunk_people (
    record_id uuid not null,
    record_reference text collate "C" not null,
    record_key text collate "C" not null,
    full_name text,
    first_name text,
    last_name text,
    email text,
    email_normalized text,
    phone text,
    title text,
    city text,
    country text,
    company_record_id uuid,
    company_name text,
    company_domain text,
    company_reference text,
    side text not null,
    attributes jsonb not null,
    source_updated_at timestamptz,
    content_hash bytea not null
) on commit drop;

-- name: interactions_table
-- scope: session
create temporary table chunk_interactions (
    record_id uuid not null,
    record_key text collate "C" not null,
    interaction_id uuid not null,
    precedence integer not null,
    interaction_type text not null,
    external_id text not null,
    occurred_at timestamptz,
    ended_at timestamptz,
    subject text,
    body text,
    direction text,
    thread_id text,
    url text,
    metadata jsonb not null,
    content_hash bytea not null
) on commit drop;

-- name: participants_table
-- scope: session
create temporary table chunk_participants (
    record_id uuid not null,
    participant_no integer not null,
    interaction_id uuid not null,
    role text not null,
    person_record_id uuid,
    company_record_id uuid,
    speaker_key text,
    side text not null,
    full_name text,
    first_name text,
    last_name text,
    email text,
    email_normalized text,
    phone text,
    title text,
    company_name text,
    company_domain text,
    person_company_record_id uuid,
    seen_at timestamptz
) on commit drop;

-- name: turns_table
-- scope: session
create temporary table chunk_turns (
    record_id uuid not null,
    turn_no integer not null,
    interaction_id uuid not null,
    speaker_key text not null,
    start_s double precision,
    end_s double precision,
    spoken_text text not null
) on commit drop;

-- name: references_table
-- scope: session
create temporary table chunk_references (
    entity_type text not null,
    record_id uuid not null,
    record_reference text not null
) on commit drop;

-- name: breaches_table
-- scope: session
create temporary table chunk_breaches (
    quarantine_id uuid not null,
    record_key text collate "C" not null,
    reason text not null,
    field text,
    contract_version text not null,
    run_id uuid not null,
    raw bytea,
    payload_id uuid,
    emitted_at timestamptz
) on commit drop;

-- name: listed_companies_table
-- Every landed row that lists a company which the chunk touches; place 1 speaks for it. No record_key: none is left.
-- scope: session
create temporary table listed_companies (
    like chunk_companies,
    stream text,
    contract_version text,
    place bigint not null
) on commit drop;

-- name: listed_people_table
-- The same for people.
-- scope: session
create temporary table listed_people (
    like chunk_people,
    stream text,
    contract_version text,
    place bigint not null
) on commit drop;

-- name: orphans_table
-- Records that a landed row listed before the chunk and none lists any more.
-- scope: session
create temporary table orphans (
    entity_type text not null,
    record_id uuid not null
) on commit drop;

-- name: touched_table
-- Mentions to be computed anew.
-- scope: session
create temporary table touched (
    entity_type text not null,
    record_id uuid not null
) on commit drop;

-- name: changed_table
-- Interaction records of the chunk that are new or changed. is_alone: no other record tells of the interaction.
-- scope: session
create temporary table changed_interactions (
    record_id uuid not null,
    interaction_id uuid not null,
    is_new boolean not null,
    is_alone boolean not null
) on commit drop;

-- name: gone_table
-- Interaction records that their landed row no longer says.
-- scope: session
create temporary table gone_interactions (
    record_id uuid not null,
    interaction_id uuid not null
) on commit drop;

-- name: analyze_rows
-- Without figures the planner takes a temporary table for large and reads ours from end to end.
-- scope: session
analyze chunk_rows (record_key), chunk_companies (record_id), chunk_people (record_id), chunk_interactions (record_id, interaction_id),
    chunk_references (record_id);

-- name: analyze_appearances
-- scope: session
analyze chunk_participants (record_id, person_record_id), changed_interactions (record_id, interaction_id);

-- name: empty
-- scope: session
truncate chunk_rows, chunk_companies, chunk_people, chunk_interactions, chunk_participants, chunk_turns, chunk_references,
    chunk_breaches, listed_companies, listed_people, orphans, touched, changed_interactions, gone_interactions;
