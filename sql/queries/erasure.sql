-- What is held of one person, and its way out. Rows with history are deleted by the erasure role alone; everything is one transaction.

-- name: suppressions
-- What must not land any more.
select kind, subject_hmac
from pay_ready.suppressions
where tenant_id = %(tenant_id)s;

-- name: list_suppressions
-- Without their digests; those of one erasure carry the same time.
select kind, reason, created_at, count(*) as digests
from pay_ready.suppressions
where tenant_id = %(tenant_id)s
group by kind, reason, created_at
order by created_at desc, kind;

-- name: add_suppressions
-- params: ids uuid[], kinds text[], digests bytea[], reason text
insert into pay_ready.suppressions (tenant_id, suppression_id, kind, subject_hmac, reason)
select %(tenant_id)s, given.suppression_id, given.kind, given.subject_hmac, %(reason)s
from unnest(%(ids)s::uuid[], %(kinds)s::text[], %(digests)s::bytea[]) as given (suppression_id, kind, subject_hmac)
on conflict (tenant_id, kind, subject_hmac) do nothing;

-- name: lift_suppressions
-- Those of every erasure that suppressed one of these digests.
-- params: kind text, digests bytea[]
delete from pay_ready.suppressions as lifted
where lifted.tenant_id = %(tenant_id)s
  and lifted.created_at in (
      select named.created_at
      from pay_ready.suppressions as named
      where named.tenant_id = %(tenant_id)s and named.kind = %(kind)s and named.subject_hmac = any(%(digests)s::bytea[])
  );

-- name: find_people
-- Records that carry an address or a number, in the record itself, in a row for which a later one speaks, or in an appearance.
-- params: emails text[] (lower case, and normalised), phones text[] (E.164)
select record_id
from pay_ready.person_records
where tenant_id = %(tenant_id)s
  and (email_normalized = any(%(emails)s::text[]) or lower(email) = any(%(emails)s::text[]) or phone = any(%(phones)s::text[]))
union
select record_id
from pay_ready.shadowed_person_records
where tenant_id = %(tenant_id)s
  and (email_normalized = any(%(emails)s::text[]) or lower(email) = any(%(emails)s::text[]) or phone = any(%(phones)s::text[]))
union
select person_record_id
from pay_ready.interaction_participants
where tenant_id = %(tenant_id)s
  and person_record_id is not null
  and (email_normalized = any(%(emails)s::text[]) or lower(email) = any(%(emails)s::text[]) or phone = any(%(phones)s::text[]));

-- name: is_person_record
-- Whether a record is a person's, staged or once published.
-- params: record_id uuid
select exists (
    select from pay_ready.person_records where tenant_id = %(tenant_id)s and record_id = %(record_id)s
) or exists (
    select from pay_ready.assignments where tenant_id = %(tenant_id)s and entity_type = 'person' and record_id = %(record_id)s
);

-- name: entities_of
-- The people that records are in now.
-- params: record_ids uuid[]
select distinct entity_id
from pay_ready.assignments
where tenant_id = %(tenant_id)s
  and entity_type = 'person'
  and record_id = any(%(record_ids)s::uuid[])
  and closed_run_no is null;

-- name: members
-- params: entity_ids uuid[]
select entity_id, record_id
from pay_ready.assignments
where tenant_id = %(tenant_id)s
  and entity_type = 'person'
  and entity_id = any(%(entity_ids)s::uuid[])
  and closed_run_no is null;

-- name: people
-- The staged values of records, with those of rows for which a later one speaks.
-- params: record_ids uuid[]
select
    people.record_id, people.source_id, sources.name as source, people.record_reference, people.origin, people.stream, people.record_key,
    people.full_name, people.first_name, people.last_name, people.email, people.email_normalized, people.phone, people.title, people.city,
    people.country, people.company_name, people.side, people.attributes, people.source_updated_at
from (
    select
        tenant_id, record_id, source_id, record_reference, origin, stream, record_key, full_name, first_name, last_name, email,
        email_normalized, phone, title, city, country, company_name, side, attributes, source_updated_at
    from pay_ready.person_records
    where tenant_id = %(tenant_id)s
      and record_id = any(%(record_ids)s::uuid[])
    union all
    select
        tenant_id, record_id, source_id, record_reference, 'shadowed', stream, record_key, full_name, first_name, last_name, email,
        email_normalized, phone, title, city, country, company_name, side, attributes, source_updated_at
    from pay_ready.shadowed_person_records
    where tenant_id = %(tenant_id)s
      and record_id = any(%(record_ids)s::uuid[])
) as people
join pay_ready.data_sources as sources on sources.tenant_id = people.tenant_id and sources.source_id = people.source_id
order by sources.name, people.stream nulls last, people.record_key, people.record_id;

-- name: appearances
-- The values of records in the interactions in which they appear.
-- params: record_ids uuid[]
select
    seen.person_record_id as record_id, seen.record_id as interaction_record_id, seen.interaction_id, seen.role, seen.speaker_key,
    seen.full_name, seen.first_name, seen.last_name, seen.email, seen.email_normalized, seen.phone, seen.title, seen.company_name,
    seen.seen_at
from pay_ready.interaction_participants as seen
where seen.tenant_id = %(tenant_id)s
  and seen.person_record_id = any(%(record_ids)s::uuid[])
order by seen.interaction_id, seen.record_id, seen.participant_no;

-- name: interactions_with
-- Interactions in which records take part: whether one of them wrote it, whether anybody else from outside takes part, and whether it
-- is about a company.
-- params: record_ids uuid[]
select
    parts.interaction_id,
    bool_or(parts.person_record_id = any(%(record_ids)s::uuid[]) and parts.role in ('author', 'sender')) as is_theirs,
    bool_or(
        parts.person_record_id is not null
        and parts.person_record_id <> all(%(record_ids)s::uuid[])
        and coalesce(nullif(parts.side, 'unknown'), people.side, 'unknown') <> 'internal'
    ) as has_others,
    bool_or(records.interaction_type = 'deal' and parts.company_record_id is not null) as is_a_deal
from pay_ready.interaction_participants as parts
join pay_ready.interaction_records as records on records.tenant_id = parts.tenant_id and records.record_id = parts.record_id
left join pay_ready.person_records as people
    on people.tenant_id = parts.tenant_id and people.record_id = parts.person_record_id
where parts.tenant_id = %(tenant_id)s
  and parts.interaction_id in (
      select seen.interaction_id
      from pay_ready.interaction_participants as seen
      where seen.tenant_id = %(tenant_id)s and seen.person_record_id = any(%(record_ids)s::uuid[])
  )
group by parts.interaction_id;

-- name: other_names
-- Given and family names of whoever else takes part in interactions, lower case.
-- params: record_ids uuid[], interaction_ids uuid[]
select parts.interaction_id, lower(names.name) as name
from pay_ready.interaction_participants as parts
left join pay_ready.person_records as people
    on people.tenant_id = parts.tenant_id and people.record_id = parts.person_record_id
cross join lateral unnest(array[
    parts.full_name, parts.first_name, parts.last_name, people.full_name, people.first_name, people.last_name
]) as names (name)
where parts.tenant_id = %(tenant_id)s
  and parts.interaction_id = any(%(interaction_ids)s::uuid[])
  and parts.person_record_id <> all(%(record_ids)s::uuid[])
  and names.name is not null;

-- name: interaction_places
-- The landed rows that tell of interactions.
-- params: interaction_ids uuid[]
select source_id, stream, record_key, interaction_id
from pay_ready.interaction_records
where tenant_id = %(tenant_id)s
  and interaction_id = any(%(interaction_ids)s::uuid[]);

-- name: interactions_at
-- What landed rows tell of: their interactions, and the people that they list.
-- params: source_ids uuid[], streams text[], record_keys text[]
select places.source_id, places.stream, places.record_key, records.interaction_id, listed.record_id
from unnest(%(source_ids)s::uuid[], %(streams)s::text[], %(record_keys)s::text[]) as places (source_id, stream, record_key)
left join pay_ready.interaction_records as records
    on records.tenant_id = %(tenant_id)s and records.source_id = places.source_id and records.stream = places.stream
    and records.record_key = places.record_key
left join pay_ready.person_records as listed
    on listed.tenant_id = %(tenant_id)s and listed.source_id = places.source_id and listed.stream = places.stream
    and listed.record_key = places.record_key;

-- name: held_by_others
-- Which of these values records of others carry, too: of people who have a name or another address. A number that was merely called is
-- nobody else's (see nameless).
-- params: record_ids uuid[], emails text[], phones text[], names text[] (lower case)
select distinct held.kind, held.value
from pay_ready.person_records as people
cross join lateral (values
    ('email', people.email_normalized), ('email', lower(people.email)), ('phone', people.phone), ('name', lower(people.full_name))
) as held (kind, value)
where people.tenant_id = %(tenant_id)s
  and people.record_id <> all(%(record_ids)s::uuid[])
  and (people.full_name is not null or people.email_normalized <> all(%(emails)s::text[]))
  and (
      (held.kind = 'email' and held.value = any(%(emails)s::text[]))
      or (held.kind = 'phone' and held.value = any(%(phones)s::text[]))
      or (held.kind = 'name' and held.value = any(%(names)s::text[]))
  );

-- name: nameless
-- Records that are nothing but a number or an address of these.
-- params: emails text[], phones text[]
select record_id
from pay_ready.person_records
where tenant_id = %(tenant_id)s
  and full_name is null
  and (
      (phone = any(%(phones)s::text[]) and (email_normalized is null or email_normalized = any(%(emails)s::text[])))
      or (email_normalized = any(%(emails)s::text[]) and (phone is null or phone = any(%(phones)s::text[])))
  );

-- name: places_holding
-- Landed rows of a source in which a value may stand; one reading of them in the server.
-- params: source_id uuid, literals text[] (patterns of lower case), numbers text (a regular expression, or null)
select landed.stream, landed.record_key
from pay_ready.landed_records as landed
left join pay_ready.large_payloads as payloads
    on payloads.tenant_id = landed.tenant_id and payloads.payload_id = landed.payload_id
cross join lateral (
    select concat_ws(' ', landed.record_key, landed.data::text, encode(payloads.content, 'escape')) as content
) as texts
where landed.tenant_id = %(tenant_id)s
  and landed.source_id = %(source_id)s
  and (
      lower(texts.content) like any(%(literals)s::text[])
      or texts.content ~ %(numbers)s::text
  );

-- name: landed
-- Landed rows by place. is_staged: their batch is.
-- params: source_ids uuid[], streams text[], record_keys text[]
select
    landed.source_id, sources.name as source, landed.stream, landed.record_key, landed.data::text as data, payloads.content,
    landed.payload_id, landed.content_hash, landed.batch_id, landed.landed_at, landed.deleted_at,
    batches.commit_seq <= coalesce(states.staged_commit_seq, 0) as is_staged
from unnest(%(source_ids)s::uuid[], %(streams)s::text[], %(record_keys)s::text[]) as places (source_id, stream, record_key)
join pay_ready.landed_records as landed
    on landed.tenant_id = %(tenant_id)s and landed.source_id = places.source_id and landed.stream = places.stream
    and landed.record_key = places.record_key
join pay_ready.data_sources as sources on sources.tenant_id = landed.tenant_id and sources.source_id = landed.source_id
join pay_ready.landing_batches as batches on batches.tenant_id = landed.tenant_id and batches.batch_id = landed.batch_id
left join pay_ready.stream_states as states
    on states.tenant_id = landed.tenant_id and states.source_id = landed.source_id and states.stream = landed.stream
left join pay_ready.large_payloads as payloads
    on payloads.tenant_id = landed.tenant_id and payloads.payload_id = landed.payload_id
order by sources.name, landed.stream, landed.record_key;

-- name: mask_landed
-- The content hash stays that of what the source sent: its sending it again changes nothing.
-- params: source_id uuid, stream text, record_key text, data text, payload_id uuid
update pay_ready.landed_records
set data = %(data)s::jsonb,
    payload_id = %(payload_id)s
where tenant_id = %(tenant_id)s
  and source_id = %(source_id)s
  and stream = %(stream)s
  and record_key = %(record_key)s;

-- name: empty_landed
-- A row on its way out: staging takes it for gone.
-- params: source_id uuid, stream text, record_keys text[]
update pay_ready.landed_records
set data = null,
    payload_id = null,
    quality_flags = null,
    deleted_at = coalesce(deleted_at, now())
where tenant_id = %(tenant_id)s
  and source_id = %(source_id)s
  and stream = %(stream)s
  and record_key = any(%(record_keys)s::text[]);

-- name: drop_landed
-- params: source_id uuid, stream text, record_keys text[]
delete from pay_ready.landed_records
where tenant_id = %(tenant_id)s
  and source_id = %(source_id)s
  and stream = %(stream)s
  and record_key = any(%(record_keys)s::text[]);

-- name: drop_seen
-- params: source_id uuid, stream text, record_keys text[]
delete from pay_ready.seen_keys
where tenant_id = %(tenant_id)s
  and source_id = %(source_id)s
  and stream = %(stream)s
  and record_key = any(%(record_keys)s::text[]);

-- name: left_places
-- Landed rows in whose interactions records still take part.
-- params: record_ids uuid[]
select distinct records.source_id, records.stream, records.record_key
from pay_ready.interaction_participants as parts
join pay_ready.interaction_records as records on records.tenant_id = parts.tenant_id and records.record_id = parts.record_id
where parts.tenant_id = %(tenant_id)s
  and parts.person_record_id = any(%(record_ids)s::uuid[]);

-- name: drop_people
-- params: record_ids uuid[]
delete from pay_ready.person_records
where tenant_id = %(tenant_id)s
  and record_id = any(%(record_ids)s::uuid[]);

-- name: drop_shadowed_people
-- params: record_ids uuid[]
delete from pay_ready.shadowed_person_records
where tenant_id = %(tenant_id)s
  and record_id = any(%(record_ids)s::uuid[]);

-- name: quarantined
-- Quarantined rows of landed rows, and those in which a value may stand.
-- params: source_ids uuid[], streams text[], record_keys text[], literals text[], numbers text (as in places_holding)
select
    kept.quarantine_id, kept.source_id, kept.stream, kept.record_key, kept.step, kept.reason, kept.payload_id, kept.quarantined_at,
    coalesce(kept.raw, payloads.content) as content
from pay_ready.quarantined_records as kept
left join pay_ready.large_payloads as payloads on payloads.tenant_id = kept.tenant_id and payloads.payload_id = kept.payload_id
cross join lateral (
    select concat_ws(' ', kept.record_key, encode(coalesce(kept.raw, payloads.content), 'escape')) as content
) as texts
where kept.tenant_id = %(tenant_id)s
  and (
      lower(texts.content) like any(%(literals)s::text[])
      or texts.content ~ %(numbers)s::text
      or (kept.source_id, kept.stream, kept.record_key) in (
          select * from unnest(%(source_ids)s::uuid[], %(streams)s::text[], %(record_keys)s::text[])
      )
  );

-- name: drop_quarantined
-- params: quarantine_ids uuid[]
delete from pay_ready.quarantined_records
where tenant_id = %(tenant_id)s
  and quarantine_id = any(%(quarantine_ids)s::uuid[]);

-- name: clean_states
-- A state or a watermark that holds the person's values: the stream begins anew.
-- params: literals text[] (patterns)
update pay_ready.stream_states
set watermark = case when lower(watermark) like any(%(literals)s::text[]) then '' else watermark end,
    state = case when lower(state) like any(%(literals)s::text[]) then null else state end
where tenant_id = %(tenant_id)s
  and (lower(watermark) like any(%(literals)s::text[]) or lower(state) like any(%(literals)s::text[]));

-- name: clean_watermarks
-- params: literals text[] (patterns)
update pay_ready.stream_runs
set watermark_before = case when lower(watermark_before) not like all(%(literals)s::text[]) then watermark_before end,
    watermark_after = case when lower(watermark_after) not like all(%(literals)s::text[]) then watermark_after end
where tenant_id = %(tenant_id)s
  and (lower(watermark_before) like any(%(literals)s::text[]) or lower(watermark_after) like any(%(literals)s::text[]));

-- name: clean_scratch
-- params: literals text[] (patterns)
update pay_ready.backfill_states
set scratch = null
where tenant_id = %(tenant_id)s
  and lower(scratch) like any(%(literals)s::text[]);

-- name: drop_edges
-- params: record_ids uuid[]
delete from pay_ready.edges
where tenant_id = %(tenant_id)s
  and entity_type = 'person'
  and (left_id = any(%(record_ids)s::uuid[]) or right_id = any(%(record_ids)s::uuid[]));

-- name: drop_blocks
-- params: record_ids uuid[]
delete from pay_ready.record_blocks
where tenant_id = %(tenant_id)s
  and record_id = any(%(record_ids)s::uuid[]);

-- name: drop_block_members
-- params: record_ids uuid[]
delete from pay_ready.block_members
where tenant_id = %(tenant_id)s
  and record_id = any(%(record_ids)s::uuid[]);

-- name: drop_leases
-- params: record_ids uuid[]
delete from pay_ready.review_leases
where tenant_id = %(tenant_id)s
  and (left_id = any(%(record_ids)s::uuid[]) or right_id = any(%(record_ids)s::uuid[]));

-- name: decisions_about
-- params: record_ids uuid[]
select decision_id, entity_type, left_id, right_id, verdict, actor_type, actor, reason, context, status, made_at, superseded_at
from pay_ready.decisions
where tenant_id = %(tenant_id)s
  and (left_id = any(%(record_ids)s::uuid[]) or right_id = any(%(record_ids)s::uuid[]))
order by made_at, decision_id;

-- name: drop_run_decisions
-- params: decision_ids uuid[]
delete from pay_ready.run_decisions
where tenant_id = %(tenant_id)s
  and decision_id = any(%(decision_ids)s::uuid[])
returning decision_id, opened_run_no, closed_run_no;

-- name: drop_decisions
-- params: decision_ids uuid[]
delete from pay_ready.decisions
where tenant_id = %(tenant_id)s
  and decision_id = any(%(decision_ids)s::uuid[]);

-- name: drop_assignments
-- params: record_ids uuid[]
delete from pay_ready.assignments
where tenant_id = %(tenant_id)s
  and entity_type = 'person'
  and record_id = any(%(record_ids)s::uuid[])
returning record_id, entity_id, opened_run_no, closed_run_no, confidence;

-- name: entities_ever_of
-- params: record_ids uuid[]
select distinct entity_id
from pay_ready.assignments
where tenant_id = %(tenant_id)s
  and entity_type = 'person'
  and record_id = any(%(record_ids)s::uuid[]);

-- name: assignments_of
-- Every record that ever was in one of these entities.
-- params: entity_ids uuid[]
select entity_id, record_id, opened_run_no, closed_run_no, confidence
from pay_ready.assignments
where tenant_id = %(tenant_id)s
  and entity_id = any(%(entity_ids)s::uuid[])
order by entity_id, opened_run_no, record_id;

-- name: versions
-- params: entity_ids uuid[]
select
    entity_id, opened_run_no, closed_run_no, name, email, phone, title, company_entity_id, record_count, golden, provenance, content_hash
from pay_ready.entity_versions
where tenant_id = %(tenant_id)s
  and entity_id = any(%(entity_ids)s::uuid[])
order by entity_id, opened_run_no;

-- name: drop_version
-- params: entity_id uuid, opened_run_no bigint
delete from pay_ready.entity_versions
where tenant_id = %(tenant_id)s
  and entity_id = %(entity_id)s
  and opened_run_no = %(opened_run_no)s;

-- name: add_version
-- params: entity_id uuid, opened_run_no bigint, closed_run_no bigint, name text, email text, phone text, title text,
-- company_entity_id uuid, record_count integer, golden jsonb, provenance jsonb, content_hash bytea
insert into pay_ready.entity_versions (
    tenant_id, entity_id, opened_run_no, closed_run_no, entity_type, name, email, phone, title, company_entity_id, record_count, golden,
    provenance, content_hash
)
values (
    %(tenant_id)s, %(entity_id)s, %(opened_run_no)s, %(closed_run_no)s, 'person', %(name)s, %(email)s, %(phone)s, %(title)s,
    %(company_entity_id)s, %(record_count)s, %(golden)s, %(provenance)s, %(content_hash)s
);

-- name: add_redirect
-- An id that had the person's records alone leads nowhere: as long as it did.
-- params: entity_id uuid, opened_run_no bigint, closed_run_no bigint
insert into pay_ready.entity_redirects (tenant_id, entity_id, opened_run_no, closed_run_no, target_entity_id)
values (%(tenant_id)s, %(entity_id)s, %(opened_run_no)s, %(closed_run_no)s, null);

-- name: drop_links_of_entities
-- params: entity_ids uuid[]
delete from pay_ready.interaction_entities
where tenant_id = %(tenant_id)s
  and entity_id = any(%(entity_ids)s::uuid[]);

-- name: drop_links_of_interactions
-- params: interaction_ids uuid[]
delete from pay_ready.interaction_entities
where tenant_id = %(tenant_id)s
  and interaction_id = any(%(interaction_ids)s::uuid[]);

-- name: gone_interactions
-- Those of which no row tells any more.
-- params: interaction_ids uuid[]
select asked.interaction_id
from unnest(%(interaction_ids)s::uuid[]) as asked (interaction_id)
where not exists (
    select from pay_ready.interaction_records as records
    where records.tenant_id = %(tenant_id)s and records.interaction_id = asked.interaction_id
);

-- name: drop_memories
-- Passages are made anew from what is left.
-- params: interaction_ids uuid[]
delete from pay_ready.memories
where tenant_id = %(tenant_id)s
  and interaction_id = any(%(interaction_ids)s::uuid[]);

-- name: drop_sentiment
-- params: interaction_ids uuid[]
delete from pay_ready.interaction_sentiment
where tenant_id = %(tenant_id)s
  and interaction_id = any(%(interaction_ids)s::uuid[]);

-- name: drop_archived_interactions
-- Memory makes what is left of them anew, wherever their passages went.
-- params: interaction_ids uuid[]
delete from pay_ready.archived_interactions
where tenant_id = %(tenant_id)s
  and interaction_id = any(%(interaction_ids)s);

-- name: drop_contexts
-- Nobody knows which of the cached contexts speak of the person: all of them are made anew.
delete from pay_ready.context_cache
where tenant_id = %(tenant_id)s;

-- name: drop_analytics
delete from pay_ready.analytics_cache
where tenant_id = %(tenant_id)s;

-- name: drop_common_words
-- A name may be among them: they are counted anew from what is left.
delete from pay_ready.memory_common_words
where tenant_id = %(tenant_id)s;

-- name: queue_people
-- params: record_ids uuid[]
insert into pay_ready.resolution_queue (tenant_id, kind, object_id)
select %(tenant_id)s, 'person', asked.record_id
from unnest(%(record_ids)s::uuid[]) as asked (record_id);

-- name: unqueue
-- params: record_ids uuid[]
delete from pay_ready.resolution_queue
where tenant_id = %(tenant_id)s
  and kind = 'person'
  and object_id = any(%(record_ids)s::uuid[]);

-- name: add_outbox
-- params: first_seq bigint, changes text[], kinds text[], ids text[]
insert into pay_ready.memory_outbox (tenant_id, outbox_seq, change, object_kind, object_id)
select %(tenant_id)s, %(first_seq)s + told.position - 1, told.change, told.object_kind, told.object_id
from unnest(%(changes)s::text[], %(kinds)s::text[], %(ids)s::text[]) with ordinality as told (change, object_kind, object_id, position);

-- name: runs
-- Published versions with their digests.
select run_no, state_digest
from pay_ready.resolution_runs
where tenant_id = %(tenant_id)s
order by run_no;

-- name: rebase_run
-- params: run_no bigint, state_digest bytea
update pay_ready.resolution_runs
set state_digest = %(state_digest)s
where tenant_id = %(tenant_id)s
  and run_no = %(run_no)s;

-- name: checkpoints
select checkpoint_id, run_no, digest
from pay_ready.checkpoints
where tenant_id = %(tenant_id)s
order by run_no, checkpoint_id;

-- name: rebase_checkpoint
-- params: checkpoint_id uuid, digest bytea
update pay_ready.checkpoints
set digest = %(digest)s
where tenant_id = %(tenant_id)s
  and checkpoint_id = %(checkpoint_id)s;

-- name: add_run
-- The version without the person: made as the one before it was.
-- params: run_no bigint, run_id uuid, actor text, report jsonb, state_digest bytea
insert into pay_ready.resolution_runs (
    tenant_id, run_no, run_id, kind, actor, config_hash, person_model_id, company_model_id, report, state_digest, settings_version,
    edges_fit
)
select
    %(tenant_id)s, %(run_no)s, %(run_id)s, 'erasure', %(actor)s, before.config_hash, before.person_model_id, before.company_model_id,
    %(report)s, %(state_digest)s, before.settings_version, before.edges_fit
from pay_ready.resolution_runs as before
where before.tenant_id = %(tenant_id)s
order by before.run_no desc
limit 1;

-- name: is_erasure
-- Whether this session may delete history.
select pg_has_role(current_user, 'pay_ready_erasure', 'usage')
where %(tenant_id)s is not null;

-- name: export_interactions
-- Interactions in which records take part, with what was written and said.
-- params: record_ids uuid[]
select
    records.interaction_id, records.interaction_type, sources.name as source, records.stream, records.record_key, records.occurred_at,
    records.ended_at, records.direction, records.subject, records.body, records.url, records.metadata,
    (
        select json_agg(json_build_object('speaker', turns.speaker_key, 'start_s', turns.start_s, 'text', turns.spoken_text)
                        order by turns.turn_no)
        from pay_ready.interaction_turns as turns
        where turns.tenant_id = records.tenant_id and turns.record_id = records.record_id
    ) as turns
from pay_ready.interaction_records as records
join pay_ready.data_sources as sources on sources.tenant_id = records.tenant_id and sources.source_id = records.source_id
where records.tenant_id = %(tenant_id)s
  and records.interaction_id in (
      select seen.interaction_id
      from pay_ready.interaction_participants as seen
      where seen.tenant_id = %(tenant_id)s and seen.person_record_id = any(%(record_ids)s::uuid[])
  )
order by records.occurred_at nulls last, records.interaction_id, records.record_id;

-- name: export_memories
-- params: record_ids uuid[]
select memories.interaction_id, memories.chunk_no, memories.chunk_text, memories.occurred_at
from pay_ready.memories as memories
where memories.tenant_id = %(tenant_id)s
  and memories.interaction_id in (
      select seen.interaction_id
      from pay_ready.interaction_participants as seen
      where seen.tenant_id = %(tenant_id)s and seen.person_record_id = any(%(record_ids)s::uuid[])
  )
order by memories.interaction_id, memories.chunk_no;
