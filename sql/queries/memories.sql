-- Memory: passages of interactions, what is to be done about them, and what is read of them.

-- name: claim_outbox
-- hot: the indexer, over and over
-- What happened, in commit order; whoever claims holds the lease of indexing.
-- params: most integer
select outbox_seq, change, object_kind, object_id
from pay_ready.memory_outbox
where tenant_id = %(tenant_id)s
order by outbox_seq
limit %(most)s;

-- name: drop_outbox
-- params: up_to bigint
delete from pay_ready.memory_outbox
where tenant_id = %(tenant_id)s
  and outbox_seq <= %(up_to)s;

-- name: outbox_size
select count(*) as changes, min(created_at) as since
from pay_ready.memory_outbox
where tenant_id = %(tenant_id)s;

-- name: epoch
-- What a process that caches compares: it moves with every publish, rollback, erasure and staged change.
select coalesce(max(value) filter (where counter = 'outbox_seq'), 0) as epoch, coalesce(max(value) filter (where counter = 'run_no'), 0) as run_no
from pay_ready.tenant_counters
where tenant_id = %(tenant_id)s;

-- name: queue_everything
-- Every interaction as if it had changed.
-- params: first_seq bigint
insert into pay_ready.memory_outbox (tenant_id, outbox_seq, change, object_kind, object_id)
select %(tenant_id)s, %(first_seq)s - 1 + row_number() over (order by concerned.interaction_id), 'upsert', 'interaction', concerned.interaction_id
from (
    select interaction_id
    from pay_ready.interaction_records
    where tenant_id = %(tenant_id)s
      and is_primary
    union
    select interaction_id
    from pay_ready.memories
    where tenant_id = %(tenant_id)s
) as concerned;

-- name: count_everything
select count(*)
from (
    select interaction_id
    from pay_ready.interaction_records
    where tenant_id = %(tenant_id)s
      and is_primary
    union
    select interaction_id
    from pay_ready.memories
    where tenant_id = %(tenant_id)s
) as concerned;

-- name: interactions
-- Those whose passages are in an archive are left out as long as they say the same.
-- params: interaction_ids uuid[]
select
    records.interaction_id, records.record_id, records.source_id, sources.kind as source_kind, records.interaction_type, records.thread_id,
    records.occurred_at, records.subject, records.body
from pay_ready.interaction_records as records
join pay_ready.data_sources as sources on sources.tenant_id = records.tenant_id and sources.source_id = records.source_id
where records.tenant_id = %(tenant_id)s
  and records.interaction_id = any(%(interaction_ids)s)
  and records.is_primary
  and not exists (
      select from pay_ready.archived_interactions as left_out
      where left_out.tenant_id = %(tenant_id)s
        and left_out.interaction_id = records.interaction_id
        and left_out.content_hash = (
            select sha256(convert_to(string_agg(encode(said.content_hash, 'hex'), '' order by said.record_id), 'UTF8'))
            from pay_ready.interaction_records as said
            where said.tenant_id = %(tenant_id)s and said.interaction_id = records.interaction_id
        )
  )
order by records.interaction_id;

-- name: turns
-- Turns with what their speaker is called in that interaction.
-- params: interaction_ids uuid[]
select
    turns.interaction_id, turns.speaker_key, turns.start_s, turns.end_s, turns.spoken_text,
    (
        select coalesce(seen.full_name, nullif(concat_ws(' ', seen.first_name, seen.last_name), ''), seen.email)
        from pay_ready.interaction_participants as seen
        where seen.tenant_id = %(tenant_id)s
          and seen.interaction_id = turns.interaction_id
          and seen.speaker_key = turns.speaker_key
        order by seen.record_id, seen.participant_no
        limit 1
    ) as speaker
from pay_ready.interaction_turns as turns
where turns.tenant_id = %(tenant_id)s
  and turns.interaction_id = any(%(interaction_ids)s)
order by turns.interaction_id, turns.record_id, turns.turn_no;

-- name: passage_table
-- scope: session
create temporary table if not exists passages (
    memory_id uuid not null,
    interaction_id uuid not null,
    chunk_no integer not null,
    source_id uuid not null,
    interaction_type text not null,
    thread_id text,
    chunk_text text not null,
    language text,
    language_config text not null,
    start_s double precision,
    end_s double precision,
    content_hash bytea not null,
    occurred_at timestamptz not null
) on commit drop;

-- name: empty_passages
-- scope: session
truncate pg_temp.passages;

-- name: write_passages
-- Those that are new or another's; how old a passage was when it was touched last stays.
insert into pay_ready.memories as standing (
    tenant_id, memory_id, interaction_id, chunk_no, source_id, interaction_type, thread_id, chunk_text, language, start_s, end_s, lexemes,
    content_hash, occurred_at
)
select
    %(tenant_id)s, memory_id, interaction_id, chunk_no, source_id, interaction_type, thread_id, chunk_text, language, start_s, end_s,
    pay_ready.tenant_lexemes(language_config::regconfig, chunk_text), content_hash, occurred_at
from pg_temp.passages
on conflict (tenant_id, memory_id) do update
set source_id = excluded.source_id,
    interaction_type = excluded.interaction_type,
    thread_id = excluded.thread_id,
    chunk_text = excluded.chunk_text,
    language = excluded.language,
    start_s = excluded.start_s,
    end_s = excluded.end_s,
    lexemes = excluded.lexemes,
    content_hash = excluded.content_hash,
    occurred_at = excluded.occurred_at
where (standing.content_hash, standing.occurred_at, standing.interaction_type, standing.thread_id, standing.language, standing.start_s)
    is distinct from (excluded.content_hash, excluded.occurred_at, excluded.interaction_type, excluded.thread_id, excluded.language, excluded.start_s);

-- name: drop_surplus
-- Passages of interactions that are gone or became shorter.
-- params: interaction_ids uuid[]
delete from pay_ready.memories as standing
where standing.tenant_id = %(tenant_id)s
  and standing.interaction_id = any(%(interaction_ids)s)
  and not exists (select from pg_temp.passages as said where said.memory_id = standing.memory_id)
returning standing.interaction_id;

-- name: forget
-- params: interaction_ids uuid[]
delete from pay_ready.memories
where tenant_id = %(tenant_id)s
  and interaction_id = any(%(interaction_ids)s);

-- name: queue_projections
-- params: interaction_ids uuid[], shorter_ids uuid[], queued_seq bigint
insert into pay_ready.memory_projections (tenant_id, interaction_id, queued_seq, is_shorter)
select %(tenant_id)s, interaction_id, %(queued_seq)s, interaction_id = any(%(shorter_ids)s)
from unnest(%(interaction_ids)s::uuid[]) as interaction_id
on conflict (tenant_id, interaction_id) do update
set queued_seq = memory_projections.queued_seq + 1, is_shorter = memory_projections.is_shorter or excluded.is_shorter;

-- name: queue_relinked
-- Interactions whose people or companies a run changed, but for those whose former id leads to the present one: searches name both.
-- params: run_no bigint, queued_seq bigint
insert into pay_ready.memory_projections (tenant_id, interaction_id, queued_seq)
select distinct %(tenant_id)s::uuid, links.interaction_id, %(queued_seq)s::bigint
from pay_ready.interaction_entities as links
where links.tenant_id = %(tenant_id)s
  and (links.opened_run_no = %(run_no)s or links.closed_run_no = %(run_no)s)
  and exists (
      select from pay_ready.memories as passages
      where passages.tenant_id = %(tenant_id)s and passages.interaction_id = links.interaction_id
  )
  and not (
      links.closed_run_no = %(run_no)s
      and exists (
          select from pay_ready.entity_redirects as leads
          join pay_ready.interaction_entities as present
              on present.tenant_id = leads.tenant_id and present.entity_id = leads.target_entity_id
              and present.interaction_id = links.interaction_id and present.closed_run_no is null
          where leads.tenant_id = %(tenant_id)s and leads.entity_id = links.entity_id and leads.closed_run_no is null
      )
  )
  and not (
      links.opened_run_no = %(run_no)s
      and exists (
          select from pay_ready.entity_redirects as leads
          join pay_ready.interaction_entities as former
              on former.tenant_id = leads.tenant_id and former.entity_id = leads.entity_id
              and former.interaction_id = links.interaction_id and former.closed_run_no = %(run_no)s
          where leads.tenant_id = %(tenant_id)s and leads.target_entity_id = links.entity_id and leads.closed_run_no is null
      )
  )
on conflict (tenant_id, interaction_id) do update
set queued_seq = memory_projections.queued_seq + 1;

-- name: projections
-- What the outer store has yet to hear of: what failed least often first.
-- params: most integer
select interaction_id, queued_seq, is_shorter, attempts
from pay_ready.memory_projections
where tenant_id = %(tenant_id)s
order by attempts, queued_seq, interaction_id
limit %(most)s;

-- name: projections_size
select count(*) as interactions, count(*) filter (where attempts > 0) as failing, min(queued_at) as since
from pay_ready.memory_projections
where tenant_id = %(tenant_id)s;

-- name: drop_projections
-- Told; one that changed meanwhile stays.
-- params: interaction_ids uuid[], queued_seqs bigint[]
delete from pay_ready.memory_projections as queued
using unnest(%(interaction_ids)s::uuid[], %(queued_seqs)s::bigint[]) as told (interaction_id, queued_seq)
where queued.tenant_id = %(tenant_id)s
  and queued.interaction_id = told.interaction_id
  and queued.queued_seq = told.queued_seq;

-- name: fail_projections
-- params: interaction_ids uuid[], errors text[]
update pay_ready.memory_projections as queued
set attempts = queued.attempts + 1, last_error = told.error
from unnest(%(interaction_ids)s::uuid[], %(errors)s::text[]) as told (interaction_id, error)
where queued.tenant_id = %(tenant_id)s
  and queued.interaction_id = told.interaction_id;

-- name: touch
-- Passages that were asked for: at most one write an hour each.
-- params: memory_ids uuid[], moment timestamptz, at_least interval
update pay_ready.memories
set touched_at = %(moment)s
where tenant_id = %(tenant_id)s
  and memory_id = any(%(memory_ids)s)
  and touched_at <= %(moment)s::timestamptz - %(at_least)s::interval;

-- name: touch_interaction
-- params: interaction_id uuid, moment timestamptz, at_least interval
update pay_ready.memories
set touched_at = %(moment)s
where tenant_id = %(tenant_id)s
  and interaction_id = %(interaction_id)s
  and touched_at <= %(moment)s::timestamptz - %(at_least)s::interval;

-- name: passages_of
-- hot: every search
-- Passages with what is shown of them: who and what they are about now.
-- params: memory_ids uuid[]
select
    passages.memory_id, passages.interaction_id, passages.chunk_no, passages.chunk_text, passages.language, passages.start_s, passages.end_s,
    passages.occurred_at, passages.interaction_type, sources.name as source, sources.kind as source_kind, passages.content_hash,
    passages.touched_at, records.subject, records.url,
    array(
        select links.entity_id
        from pay_ready.interaction_entities as links
        where links.tenant_id = %(tenant_id)s
          and links.interaction_id = passages.interaction_id
          and links.closed_run_no is null
        order by links.entity_id
    ) as entity_ids
from pay_ready.memories as passages
join pay_ready.data_sources as sources on sources.tenant_id = passages.tenant_id and sources.source_id = passages.source_id
left join pay_ready.interaction_records as records
    on records.tenant_id = passages.tenant_id and records.interaction_id = passages.interaction_id and records.is_primary
where passages.tenant_id = %(tenant_id)s
  and passages.memory_id = any(%(memory_ids)s);

-- name: present
-- Interactions that have passages.
-- params: interaction_ids uuid[]
select distinct interaction_id
from pay_ready.memories
where tenant_id = %(tenant_id)s
  and interaction_id = any(%(interaction_ids)s);

-- name: word_counts
-- The words of a question with how many of the tenant's passages have each: of those that many have as of the last count, of others now.
-- params: configs text[], question text
with asked as materialized (
    select asked_lexeme as lexeme, common.passages, common.of_passages
    from pay_ready.question_lexemes(%(configs)s::regconfig[], %(question)s) as asked_lexeme
    left join pay_ready.memory_common_words as common on common.tenant_id = %(tenant_id)s and common.lexeme = asked_lexeme
)
select lexeme, passages, of_passages, true as is_common
from asked
where passages is not null
union all
select counted.lexeme, counted.passages, null, false
from (select array_agg(lexeme) as lexemes from asked where passages is null) as rare
cross join lateral pay_ready.count_lexemes(rare.lexemes) as counted
where counted.passages > 0;

-- name: count_passages
select count(*)
from pay_ready.memories
where tenant_id = %(tenant_id)s;

-- name: rank_words
-- The passages that have any of the first so many words, the weightiest first, through the index.
-- params: lexemes text[], weights float8[], looked_for integer, source_ids uuid[], interaction_types text[], languages text[],
-- since timestamptz, until timestamptz, most integer
select memory_id, interaction_id, text_rank
from pay_ready.rank_lexemes(
    %(lexemes)s, %(weights)s, %(looked_for)s, %(source_ids)s, %(interaction_types)s, %(languages)s, %(since)s, %(until)s, %(most)s
)
where %(tenant_id)s is not null;

-- name: rank_words_of
-- The same among the interactions of people and companies.
-- params: as rank_words without looked_for, and entity_ids uuid[]
with asked as materialized (
    select pay_ready.lexeme_query(word.lexeme) as query, word.weight, word.word_no
    from unnest(%(lexemes)s::text[], %(weights)s::double precision[]) with ordinality as word (lexeme, weight, word_no)
)
select
    passages.memory_id, passages.interaction_id,
    (select sum(asked.weight order by asked.word_no) from asked where passages.lexemes @@ asked.query) as text_rank
from (
    select distinct interaction_id
    from pay_ready.interaction_entities
    where tenant_id = %(tenant_id)s
      and entity_id = any(%(entity_ids)s)
      and closed_run_no is null
) as links
join pay_ready.memories as passages on passages.tenant_id = %(tenant_id)s and passages.interaction_id = links.interaction_id
where passages.lexemes @@ (select string_agg(asked.query::text, ' | ')::tsquery from asked)
  and (%(source_ids)s::uuid[] is null or passages.source_id = any(%(source_ids)s))
  and (%(interaction_types)s::text[] is null or passages.interaction_type = any(%(interaction_types)s))
  and (%(languages)s::text[] is null or passages.language = any(%(languages)s))
  and (%(since)s::timestamptz is null or passages.occurred_at >= %(since)s)
  and (%(until)s::timestamptz is null or passages.occurred_at < %(until)s)
order by text_rank desc, passages.memory_id
limit %(most)s;

-- name: candidates
-- Passages with what the words of a question weigh in them, and the passages right beside them: in their interaction or, where that is
-- one passage, in their thread.
-- params: memory_ids uuid[], lexemes text[], weights float8[]
with asked as materialized (
    select pay_ready.lexeme_query(word.lexeme) as query, word.weight, word.word_no
    from unnest(%(lexemes)s::text[], %(weights)s::double precision[]) with ordinality as word (lexeme, weight, word_no)
)
select
    candidates.memory_id, candidates.interaction_id,
    coalesce((select sum(asked.weight order by asked.word_no) from asked where candidates.lexemes @@ asked.query), 0) as text_rank,
    array(
        select others.memory_id
        from pay_ready.memories as others
        where others.tenant_id = %(tenant_id)s
          and others.interaction_id = candidates.interaction_id
          and others.chunk_no in (candidates.chunk_no - 1, candidates.chunk_no + 1)
    ) || array(
        (
            select passages.memory_id
            from pay_ready.memories as passages
            where passages.tenant_id = %(tenant_id)s
              and passages.source_id = candidates.source_id
              and passages.thread_id = candidates.thread_id
              and (passages.occurred_at, passages.memory_id) < (candidates.occurred_at, candidates.memory_id)
            order by passages.occurred_at desc, passages.memory_id desc
            limit 1
        )
        union
        (
            select passages.memory_id
            from pay_ready.memories as passages
            where passages.tenant_id = %(tenant_id)s
              and passages.source_id = candidates.source_id
              and passages.thread_id = candidates.thread_id
              and (passages.occurred_at, passages.memory_id) > (candidates.occurred_at, candidates.memory_id)
            order by passages.occurred_at, passages.memory_id
            limit 1
        )
    ) as beside
from pay_ready.memories as candidates
where candidates.tenant_id = %(tenant_id)s
  and candidates.memory_id = any(%(memory_ids)s);

-- name: words_counted
-- How many passages there were when common words were counted.
select max(of_passages) as of_passages
from pay_ready.memory_common_words
where tenant_id = %(tenant_id)s;

-- name: forget_words
delete from pay_ready.memory_common_words
where tenant_id = %(tenant_id)s;

-- name: count_words
-- Words that at least a share of the tenant's passages have, estimated from those with the least ids: ids are hashes, so that they are
-- as good as drawn.
-- params: sample integer, least_share float8, passages bigint
insert into pay_ready.memory_common_words (tenant_id, lexeme, passages, of_passages)
select
    %(tenant_id)s, substr(word.lexeme, 9),
    least(ceil(count(*) * %(passages)s::float8 / least(%(sample)s, %(passages)s)), %(passages)s), %(passages)s
from (
    select lexemes
    from pay_ready.memories
    where tenant_id = %(tenant_id)s
    order by memory_id
    limit %(sample)s
) as drawn
cross join lateral unnest(tsvector_to_array(drawn.lexemes)) as word (lexeme)
group by word.lexeme
having count(*) >= %(least_share)s * least(%(sample)s, %(passages)s);

-- name: source_ids
-- params: names text[]
select source_id
from pay_ready.data_sources
where tenant_id = %(tenant_id)s
  and name = any(%(names)s);

-- name: absorbed
-- An entity's present id with those that lead to it.
-- params: entity_ids uuid[]
with present as (
    select coalesce(
        (
            select leads.target_entity_id
            from pay_ready.entity_redirects as leads
            where leads.tenant_id = %(tenant_id)s and leads.entity_id = asked.entity_id and leads.closed_run_no is null
        ),
        asked.entity_id
    ) as entity_id
    from unnest(%(entity_ids)s::uuid[]) as asked (entity_id)
)
select entity_id
from present
union
select leads.entity_id
from present
join pay_ready.entity_redirects as leads
    on leads.tenant_id = %(tenant_id)s and leads.target_entity_id = present.entity_id and leads.closed_run_no is null;

-- name: leads
-- params: entity_ids uuid[]
select entity_id, target_entity_id
from pay_ready.entity_redirects
where tenant_id = %(tenant_id)s
  and entity_id = any(%(entity_ids)s)
  and closed_run_no is null
  and target_entity_id is not null;

-- name: interaction
-- hot: every miss of the hot tier
-- One interaction as it is shown.
-- params: interaction_id uuid
select
    records.interaction_id, records.interaction_type, records.subject, records.body, records.direction, records.thread_id, records.url,
    records.occurred_at, records.ended_at, sources.name as source, sources.kind as source_kind, records.content_hash,
    (
        select coalesce(jsonb_agg(jsonb_build_object(
            'speaker', coalesce(spoken.speaker, spoken.speaker_key), 'start_s', spoken.start_s, 'end_s', spoken.end_s, 'text', spoken.spoken_text
        ) order by spoken.record_id, spoken.turn_no), '[]')
        from (
            select turns.*, (
                select coalesce(seen.full_name, nullif(concat_ws(' ', seen.first_name, seen.last_name), ''), seen.email)
                from pay_ready.interaction_participants as seen
                where seen.tenant_id = %(tenant_id)s and seen.interaction_id = turns.interaction_id and seen.speaker_key = turns.speaker_key
                order by seen.record_id, seen.participant_no
                limit 1
            ) as speaker
            from pay_ready.interaction_turns as turns
            where turns.tenant_id = %(tenant_id)s
              and turns.interaction_id = records.interaction_id
        ) as spoken
    ) as turns,
    array(
        select links.entity_id
        from pay_ready.interaction_entities as links
        where links.tenant_id = %(tenant_id)s
          and links.interaction_id = records.interaction_id
          and links.closed_run_no is null
        order by links.entity_id
    ) as entity_ids,
    (
        select min(passages.touched_at)
        from pay_ready.memories as passages
        where passages.tenant_id = %(tenant_id)s
          and passages.interaction_id = records.interaction_id
    ) as touched_at
from pay_ready.interaction_records as records
join pay_ready.data_sources as sources on sources.tenant_id = records.tenant_id and sources.source_id = records.source_id
where records.tenant_id = %(tenant_id)s
  and records.interaction_id = %(interaction_id)s
  and records.is_primary;

-- name: thread_passages
-- The passages of a thread around an interaction, the earliest first, in one go.
-- params: interaction_id uuid, most integer
with asked as (
    select source_id, thread_id, occurred_at
    from pay_ready.interaction_records
    where tenant_id = %(tenant_id)s
      and interaction_id = %(interaction_id)s
      and is_primary
      and thread_id is not null
),
around as (
    (
        select passages.memory_id
        from asked
        join pay_ready.memories as passages
            on passages.tenant_id = %(tenant_id)s and passages.source_id = asked.source_id and passages.thread_id = asked.thread_id
        where passages.occurred_at <= asked.occurred_at
        order by passages.occurred_at desc, passages.memory_id desc
        limit %(most)s
    )
    union
    (
        select passages.memory_id
        from asked
        join pay_ready.memories as passages
            on passages.tenant_id = %(tenant_id)s and passages.source_id = asked.source_id and passages.thread_id = asked.thread_id
        where passages.occurred_at > asked.occurred_at
        order by passages.occurred_at, passages.memory_id
        limit %(most)s
    )
)
select
    passages.memory_id, passages.interaction_id, passages.chunk_no, passages.chunk_text, passages.start_s, passages.end_s,
    passages.occurred_at, passages.interaction_type, sources.name as source
from around
join pay_ready.memories as passages on passages.tenant_id = %(tenant_id)s and passages.memory_id = around.memory_id
join pay_ready.data_sources as sources on sources.tenant_id = passages.tenant_id and sources.source_id = passages.source_id
order by passages.occurred_at, passages.interaction_id, passages.chunk_no;

-- name: surrounding_passages
-- hot: answers with context
-- A passage of a call with those before and after it.
-- params: memory_id uuid, most integer
select
    passages.memory_id, passages.interaction_id, passages.chunk_no, passages.chunk_text, passages.start_s, passages.end_s,
    passages.occurred_at, passages.interaction_type, sources.name as source
from pay_ready.memories as asked
join pay_ready.memories as passages
    on passages.tenant_id = asked.tenant_id and passages.interaction_id = asked.interaction_id
    and passages.chunk_no between asked.chunk_no - %(most)s and asked.chunk_no + %(most)s
join pay_ready.data_sources as sources on sources.tenant_id = passages.tenant_id and sources.source_id = passages.source_id
where asked.tenant_id = %(tenant_id)s
  and asked.memory_id = %(memory_id)s
order by passages.chunk_no;

-- name: recent_passages
-- hot: contexts of people and companies
-- The latest passages of people and companies, and of those that they absorbed, the newest first.
-- params: entity_ids uuid[], most integer, until timestamptz
with present as (
    select coalesce(leads.target_entity_id, asked.entity_id) as entity_id
    from unnest(%(entity_ids)s::uuid[]) as asked (entity_id)
    left join pay_ready.entity_redirects as leads
        on leads.tenant_id = %(tenant_id)s and leads.entity_id = asked.entity_id and leads.closed_run_no is null
),
known as (
    select entity_id
    from present
    union
    select leads.entity_id
    from present
    join pay_ready.entity_redirects as leads
        on leads.tenant_id = %(tenant_id)s and leads.target_entity_id = present.entity_id and leads.closed_run_no is null
),
latest as (
    select distinct links.interaction_id, links.occurred_at
    from known
    cross join lateral (
        select linked.interaction_id, linked.occurred_at
        from pay_ready.interaction_entities as linked
        where linked.tenant_id = %(tenant_id)s
          and linked.entity_id = known.entity_id
          and linked.closed_run_no is null
          and (%(until)s::timestamptz is null or linked.occurred_at < %(until)s)
        order by linked.occurred_at desc
        limit %(most)s
    ) as links
    order by links.occurred_at desc, links.interaction_id
    limit %(most)s
)
select
    passages.memory_id, passages.interaction_id, passages.chunk_no, passages.chunk_text, passages.start_s, passages.end_s,
    passages.occurred_at, passages.interaction_type, sources.name as source
from latest
join pay_ready.memories as passages on passages.tenant_id = %(tenant_id)s and passages.interaction_id = latest.interaction_id
join pay_ready.data_sources as sources on sources.tenant_id = passages.tenant_id and sources.source_id = passages.source_id
order by passages.occurred_at desc, passages.interaction_id, passages.chunk_no
limit %(most)s;

-- name: passages_in
-- hot: answers about one interaction
-- The first passages of an interaction.
-- params: interaction_id uuid, most integer
select
    passages.memory_id, passages.interaction_id, passages.chunk_no, passages.chunk_text, passages.start_s, passages.end_s,
    passages.occurred_at, passages.interaction_type, sources.name as source
from pay_ready.memories as passages
join pay_ready.data_sources as sources on sources.tenant_id = passages.tenant_id and sources.source_id = passages.source_id
where passages.tenant_id = %(tenant_id)s
  and passages.interaction_id = %(interaction_id)s
order by passages.chunk_no
limit %(most)s;

-- name: figures
-- What memory holds.
select
    count(*) as passages,
    count(distinct interaction_id) as interactions,
    count(*) filter (where touched_at >= %(warm_since)s) as warm,
    coalesce(sum(length(chunk_text)), 0) as characters
from pay_ready.memories
where tenant_id = %(tenant_id)s;
