-- Interactions of one chunk with their participants and turns.

-- name: find_gone
-- What landed rows of the chunk said before and say no more.
-- params: source_id uuid, stream text
insert into gone_interactions (record_id, interaction_id)
select standing.record_id, standing.interaction_id
from pay_ready.interaction_records as standing
join chunk_rows using (record_key)
where standing.tenant_id = %(tenant_id)s
  and standing.source_id = %(source_id)s
  and standing.stream = %(stream)s
  and not exists (select from chunk_interactions as said where said.record_id = standing.record_id);

-- name: touch_gone
-- Whom they mentioned is to be looked at again.
insert into touched (entity_type, record_id)
select distinct mentioned.entity_type, mentioned.record_id
from gone_interactions as gone
join pay_ready.interaction_participants as appearances
    on appearances.tenant_id = %(tenant_id)s and appearances.record_id = gone.record_id
cross join lateral (
    values
    ('person', appearances.person_record_id),
    ('company', appearances.company_record_id),
    ('company', appearances.person_company_record_id)
) as mentioned (entity_type, record_id)
where mentioned.record_id is not null;

-- name: delete_gone
-- params: source_id uuid
delete from pay_ready.interaction_records as records
using gone_interactions as gone
where records.tenant_id = %(tenant_id)s
  and records.source_id = %(source_id)s
  and records.record_id = gone.record_id;

-- name: find_changed
-- Interaction records that are new or whose content differs; no others are written.
with counted as (
    select record_id, interaction_id, content_hash, count(*) over (partition by interaction_id) as tellers
    from chunk_interactions
)
insert into changed_interactions (record_id, interaction_id, is_new, is_alone)
select
    said.record_id,
    said.interaction_id,
    standing.record_id is null,
    said.tellers = 1 and not exists (
        select from pay_ready.interaction_records as others
        where others.tenant_id = %(tenant_id)s
          and others.interaction_id = said.interaction_id
          and others.record_id <> said.record_id
    )
from counted as said
left join pay_ready.interaction_records as standing
    on standing.tenant_id = %(tenant_id)s and standing.record_id = said.record_id
where standing.content_hash is distinct from said.content_hash
returning record_id, is_new, is_alone;

-- name: write
-- The only record of an interaction is primary at once: set_primary would write it a second time.
-- params: source_id uuid, stream text, contract_version text
insert into pay_ready.interaction_records as records (
    tenant_id, source_id, stream, contract_version, record_id, record_key, interaction_id, is_primary, precedence,
    interaction_type, external_id, occurred_at, ended_at, subject, body, direction, thread_id, url, metadata, content_hash
)
select
    %(tenant_id)s, %(source_id)s, %(stream)s, %(contract_version)s, said.record_id, said.record_key, said.interaction_id,
    changed.is_alone and said.occurred_at is not null,
    said.precedence, said.interaction_type, said.external_id, said.occurred_at, said.ended_at, said.subject, said.body,
    said.direction, said.thread_id, said.url, said.metadata, said.content_hash
from chunk_interactions as said
join changed_interactions as changed using (record_id)
on conflict (tenant_id, record_id) do update
set contract_version = excluded.contract_version,
    is_primary = records.is_primary and excluded.occurred_at is not null,
    precedence = excluded.precedence,
    interaction_type = excluded.interaction_type,
    occurred_at = excluded.occurred_at,
    ended_at = excluded.ended_at,
    subject = excluded.subject,
    body = excluded.body,
    direction = excluded.direction,
    thread_id = excluded.thread_id,
    url = excluded.url,
    metadata = excluded.metadata,
    content_hash = excluded.content_hash,
    updated_at = now();

-- name: unset_primary
-- params: source_id uuid
with concerned as (
    select interaction_id from changed_interactions
    union
    select interaction_id from gone_interactions
), best as (
    select distinct on (records.interaction_id) records.interaction_id, records.record_id
    from concerned
    join pay_ready.interaction_records as records
        on records.tenant_id = %(tenant_id)s and records.interaction_id = concerned.interaction_id
    where records.occurred_at is not null
    order by records.interaction_id, records.precedence desc, records.stream collate "C", records.record_id
)
update pay_ready.interaction_records as records
set is_primary = false, updated_at = now()
from concerned
left join best using (interaction_id)
where records.tenant_id = %(tenant_id)s
  and records.source_id = %(source_id)s
  and records.interaction_id = concerned.interaction_id
  and records.is_primary
  and records.record_id is distinct from best.record_id;

-- name: set_primary
-- Of several records of one interaction the one with the highest precedence that has a time, then by stream, then by id.
-- params: source_id uuid
with concerned as (
    select interaction_id from changed_interactions
    union
    select interaction_id from gone_interactions
), best as (
    select distinct on (records.interaction_id) records.interaction_id, records.record_id
    from concerned
    join pay_ready.interaction_records as records
        on records.tenant_id = %(tenant_id)s and records.interaction_id = concerned.interaction_id
    where records.occurred_at is not null
    order by records.interaction_id, records.precedence desc, records.stream collate "C", records.record_id
)
update pay_ready.interaction_records as records
set is_primary = true, updated_at = now()
from best
where records.tenant_id = %(tenant_id)s
  and records.source_id = %(source_id)s
  and records.record_id = best.record_id
  and not records.is_primary;

-- name: drop_participants
-- Appearances of changed interactions that no longer stand as they did; those that do are not touched.
with dropped as (
    delete from pay_ready.interaction_participants as standing
    using changed_interactions as changed
    where standing.tenant_id = %(tenant_id)s
      and standing.record_id = changed.record_id
      and not exists (
          select
          from chunk_participants as said
          where said.record_id = standing.record_id
            and said.participant_no = standing.participant_no
            and (
                said.role, said.person_record_id, said.company_record_id, said.speaker_key, said.side, said.full_name,
                said.first_name, said.last_name, said.email, said.email_normalized, said.phone, said.title,
                said.company_name, said.company_domain, said.person_company_record_id, said.seen_at
            ) is not distinct from (
                standing.role, standing.person_record_id, standing.company_record_id, standing.speaker_key, standing.side,
                standing.full_name, standing.first_name, standing.last_name, standing.email, standing.email_normalized,
                standing.phone, standing.title, standing.company_name, standing.company_domain,
                standing.person_company_record_id, standing.seen_at
            )
      )
    returning standing.person_record_id, standing.company_record_id, standing.person_company_record_id
)
insert into touched (entity_type, record_id)
select distinct mentioned.entity_type, mentioned.record_id
from dropped
cross join lateral (
    values
    ('person', dropped.person_record_id), ('company', dropped.company_record_id), ('company', dropped.person_company_record_id)
) as mentioned (entity_type, record_id)
where mentioned.record_id is not null;

-- name: skip_participants
-- Whoever is left of a changed interaction stands already; what remains in the chunk is new.
delete from chunk_participants as said
using pay_ready.interaction_participants as standing
where standing.tenant_id = %(tenant_id)s
  and standing.record_id = said.record_id
  and standing.participant_no = said.participant_no;

-- name: add_participants
-- params: source_id uuid
insert into pay_ready.interaction_participants (
    tenant_id, source_id, record_id, participant_no, interaction_id, role, person_record_id, company_record_id, speaker_key,
    side, full_name, first_name, last_name, email, email_normalized, phone, title, company_name, company_domain,
    person_company_record_id, seen_at
)
select
    %(tenant_id)s, %(source_id)s, record_id, participant_no, interaction_id, role, person_record_id, company_record_id,
    speaker_key, side, full_name, first_name, last_name, email, email_normalized, phone, title, company_name, company_domain,
    person_company_record_id, seen_at
from chunk_participants;

-- name: drop_turns
delete from pay_ready.interaction_turns as standing
using changed_interactions as changed
where standing.tenant_id = %(tenant_id)s
  and standing.record_id = changed.record_id;

-- name: add_turns
-- params: source_id uuid
insert into pay_ready.interaction_turns (
    tenant_id, source_id, record_id, turn_no, interaction_id, speaker_key, start_s, end_s, spoken_text
)
select %(tenant_id)s, %(source_id)s, record_id, turn_no, interaction_id, speaker_key, start_s, end_s, spoken_text
from chunk_turns;

-- name: count_told
-- Interactions that say something else than before, or nothing any more.
select count(*)
from (
    select interaction_id from changed_interactions
    union
    select interaction_id from gone_interactions
) as told
where %(tenant_id)s is not null;

-- name: tell_memory
-- In the transaction of the change: memory hears of each, and looks for itself what became of it.
-- params: first_seq bigint
insert into pay_ready.memory_outbox (tenant_id, outbox_seq, change, object_kind, object_id)
select %(tenant_id)s, %(first_seq)s - 1 + row_number() over (order by told.interaction_id), 'upsert', 'interaction', told.interaction_id
from (
    select interaction_id from changed_interactions
    union
    select interaction_id from gone_interactions
) as told;
