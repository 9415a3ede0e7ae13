-- What was said, with whom and when: what the agent reads.

-- name: chosen_with
-- hot: every question about somebody's interactions
-- Interactions with people and companies that pass the filters, the latest first, and how many there are.
-- params: entity_ids uuid[], with_ids uuid[] or null, since timestamptz, until timestamptz, source_ids uuid[], interaction_types text[],
-- languages text[], most integer
select links.interaction_id, links.occurred_at, count(*) over () as total
from (
    select distinct linked.interaction_id, linked.occurred_at
    from pay_ready.interaction_entities as linked
    where linked.tenant_id = %(tenant_id)s
      and linked.entity_id = any(%(entity_ids)s)
      and linked.closed_run_no is null
      and (%(since)s::timestamptz is null or linked.occurred_at >= %(since)s)
      and (%(until)s::timestamptz is null or linked.occurred_at < %(until)s)
) as links
join pay_ready.interaction_records as records
    on records.tenant_id = %(tenant_id)s and records.interaction_id = links.interaction_id and records.is_primary
where (%(source_ids)s::uuid[] is null or records.source_id = any(%(source_ids)s))
  and (%(interaction_types)s::text[] is null or records.interaction_type = any(%(interaction_types)s))
  and (%(languages)s::text[] is null or exists (
      select from pay_ready.memories as passages
      where passages.tenant_id = %(tenant_id)s and passages.interaction_id = links.interaction_id and passages.chunk_no = 0
        and passages.language = any(%(languages)s)
  ))
  and (%(with_ids)s::uuid[] is null or exists (
      select from pay_ready.interaction_entities as others
      where others.tenant_id = %(tenant_id)s and others.interaction_id = links.interaction_id and others.entity_id = any(%(with_ids)s)
        and others.closed_run_no is null
  ))
order by links.occurred_at desc, links.interaction_id
limit %(most)s;

-- name: chosen
-- The same among all of the tenant's interactions.
-- params: as chosen_with without entity_ids
select records.interaction_id, records.occurred_at, count(*) over () as total
from pay_ready.interaction_records as records
where records.tenant_id = %(tenant_id)s
  and records.is_primary
  and (%(since)s::timestamptz is null or records.occurred_at >= %(since)s)
  and (%(until)s::timestamptz is null or records.occurred_at < %(until)s)
  and (%(source_ids)s::uuid[] is null or records.source_id = any(%(source_ids)s))
  and (%(interaction_types)s::text[] is null or records.interaction_type = any(%(interaction_types)s))
  and (%(languages)s::text[] is null or exists (
      select from pay_ready.memories as passages
      where passages.tenant_id = %(tenant_id)s and passages.interaction_id = records.interaction_id and passages.chunk_no = 0
        and passages.language = any(%(languages)s)
  ))
  and (%(with_ids)s::uuid[] is null or exists (
      select from pay_ready.interaction_entities as others
      where others.tenant_id = %(tenant_id)s and others.interaction_id = records.interaction_id and others.entity_id = any(%(with_ids)s)
        and others.closed_run_no is null
  ))
order by records.occurred_at desc, records.interaction_id
limit %(most)s;

-- name: talks
-- hot: every answer that shows interactions
-- Interactions with whoever wrote them and the language of their beginning.
-- params: interaction_ids uuid[]
select
    records.interaction_id, records.occurred_at, sources.name as source, records.interaction_type, records.subject, records.body,
    records.thread_id, coalesce(passages.language, 'en') as language, writer.speaker, coalesce(writer.side, 'unknown') as side,
    writer.entity_id as speaker_id
from pay_ready.interaction_records as records
join pay_ready.data_sources as sources on sources.tenant_id = records.tenant_id and sources.source_id = records.source_id
left join pay_ready.memories as passages
    on passages.tenant_id = records.tenant_id and passages.interaction_id = records.interaction_id and passages.chunk_no = 0
left join lateral (
    select
        coalesce(versions.name, seen.full_name, nullif(concat_ws(' ', seen.first_name, seen.last_name), ''), seen.email) as speaker,
        coalesce(nullif(seen.side, 'unknown'), people.side) as side, assigned.entity_id
    from pay_ready.interaction_participants as seen
    left join pay_ready.person_records as people on people.tenant_id = seen.tenant_id and people.record_id = seen.person_record_id
    left join pay_ready.assignments as assigned
        on assigned.tenant_id = seen.tenant_id and assigned.record_id = seen.person_record_id and assigned.closed_run_no is null
    left join pay_ready.entity_versions as versions
        on versions.tenant_id = seen.tenant_id and versions.entity_id = assigned.entity_id and versions.closed_run_no is null
    where seen.tenant_id = %(tenant_id)s
      and seen.interaction_id = records.interaction_id
      and seen.role in ('author', 'sender', 'owner')
    order by array_position(array['author', 'sender', 'owner'], seen.role), seen.participant_no
    limit 1
) as writer on true
where records.tenant_id = %(tenant_id)s
  and records.interaction_id = any(%(interaction_ids)s)
  and records.is_primary
order by records.occurred_at, records.interaction_id;

-- name: turns
-- hot: every answer that shows what was said
-- What was spoken in interactions, in order, and by whom.
-- params: interaction_ids uuid[]
select
    turns.interaction_id, turns.turn_no, turns.spoken_text, turns.start_s, turns.end_s,
    coalesce(speaking.speaker, turns.speaker_key) as speaker, coalesce(speaking.side, 'unknown') as side, speaking.entity_id as speaker_id
from pay_ready.interaction_turns as turns
left join lateral (
    select
        coalesce(versions.name, seen.full_name, nullif(concat_ws(' ', seen.first_name, seen.last_name), ''), seen.email) as speaker,
        coalesce(nullif(seen.side, 'unknown'), people.side) as side, assigned.entity_id
    from pay_ready.interaction_participants as seen
    left join pay_ready.person_records as people on people.tenant_id = seen.tenant_id and people.record_id = seen.person_record_id
    left join pay_ready.assignments as assigned
        on assigned.tenant_id = seen.tenant_id and assigned.record_id = seen.person_record_id and assigned.closed_run_no is null
    left join pay_ready.entity_versions as versions
        on versions.tenant_id = seen.tenant_id and versions.entity_id = assigned.entity_id and versions.closed_run_no is null
    where seen.tenant_id = %(tenant_id)s
      and seen.interaction_id = turns.interaction_id
      and seen.speaker_key = turns.speaker_key
    order by seen.participant_no
    limit 1
) as speaking on true
where turns.tenant_id = %(tenant_id)s
  and turns.interaction_id = any(%(interaction_ids)s)
order by turns.interaction_id, turns.record_id, turns.turn_no;

-- name: entries_with
-- hot: a page of a timeline
-- A page of the timeline of people and companies, the latest first, behind a place: one line each, with its first names.
-- Whoever is asked about is walked in the order of an index, and no further than a page; one interaction may be with several of them.
-- params: as chosen_with, and before_at timestamptz, before_id uuid, most_names integer; of since, until and before none is null
with page as materialized (
    select distinct walked.occurred_at, walked.interaction_id
    from unnest(%(entity_ids)s::uuid[]) as asked (entity_id)
    cross join lateral (
        select links.occurred_at, links.interaction_id
        from pay_ready.interaction_entities as links
        where links.tenant_id = %(tenant_id)s
          and links.entity_id = asked.entity_id
          and links.closed_run_no is null
          -- Bare values: row security lets no coalesce into an index's bounds, and a plan for any values would begin at the latest.
          and links.occurred_at >= %(since)s
          and links.occurred_at < %(until)s
          and (links.occurred_at, links.interaction_id) < (%(before_at)s, %(before_id)s)
          -- In a case, and behind an offset, each is looked up as the walk passes, in this order and for no row more: as joins or
          -- hashed sets they would be read whole, however soon the page is full. What others took part in is small enough for one.
          and case when
              ((%(source_ids)s::uuid[] is null and %(interaction_types)s::text[] is null) or exists (
                  select from pay_ready.interaction_records as kept
                  where kept.tenant_id = %(tenant_id)s and kept.interaction_id = links.interaction_id and kept.is_primary
                    and (%(source_ids)s::uuid[] is null or kept.source_id = any(%(source_ids)s))
                    and (%(interaction_types)s::text[] is null or kept.interaction_type = any(%(interaction_types)s))
                  offset 0
              ))
              and (%(with_ids)s::uuid[] is null or exists (
                  select from pay_ready.interaction_entities as others
                  where others.tenant_id = %(tenant_id)s and others.interaction_id = links.interaction_id
                    and others.entity_id = any(%(with_ids)s) and others.closed_run_no is null
                    and others.occurred_at >= %(since)s and others.occurred_at < %(until)s and others.occurred_at <= %(before_at)s
              ))
              and (%(languages)s::text[] is null or exists (
                  select from pay_ready.memories as passages
                  where passages.tenant_id = %(tenant_id)s and passages.interaction_id = links.interaction_id
                    and passages.chunk_no = 0 and passages.language = any(%(languages)s)
                  offset 0
              ))
              -- Until the next publish an interaction that is gone is still linked.
              and exists (
                  select from pay_ready.interaction_records as there
                  where there.tenant_id = %(tenant_id)s and there.interaction_id = links.interaction_id and there.is_primary
                  offset 0
              )
              then true end
        order by links.occurred_at desc, links.interaction_id desc
        limit %(most)s
    ) as walked
    order by walked.occurred_at desc, walked.interaction_id desc
    limit %(most)s
)
select
    page.interaction_id, page.occurred_at, sources.name as source, records.interaction_type, records.subject, records.thread_id,
    records.url, left(coalesce(records.body, spoken.spoken_text), 4000) as said, present.names as participants,
    present.more as more_participants, sounding.sentiment
from page
cross join lateral (
    select kept.source_id, kept.interaction_type, kept.subject, kept.thread_id, kept.url, kept.body
    from pay_ready.interaction_records as kept
    where kept.tenant_id = %(tenant_id)s and kept.interaction_id = page.interaction_id and kept.is_primary
    offset 0
) as records
join pay_ready.data_sources as sources on sources.tenant_id = %(tenant_id)s and sources.source_id = records.source_id
left join lateral (
    select turns.spoken_text
    from pay_ready.interaction_turns as turns
    where turns.tenant_id = %(tenant_id)s and turns.interaction_id = page.interaction_id and records.body is null
    order by turns.turn_no, turns.record_id
    limit 1
) as spoken on true
cross join lateral (
    select
        coalesce(array_agg(named.name order by named.rank) filter (where named.rank <= %(most_names)s), '{}') as names,
        greatest(count(*) - %(most_names)s, 0) as more
    from (
        select seen.name, row_number() over (order by min(seen.participant_no), seen.name) as rank
        from (
            select
                taking.participant_no,
                coalesce(
                    versions.name, taking.full_name, nullif(concat_ws(' ', taking.first_name, taking.last_name), ''), taking.email
                ) as name
            from pay_ready.interaction_participants as taking
            left join pay_ready.assignments as assigned
                on assigned.tenant_id = taking.tenant_id and assigned.entity_type = 'person'
                and assigned.record_id = taking.person_record_id and assigned.closed_run_no is null
            left join pay_ready.entity_versions as versions
                on versions.tenant_id = taking.tenant_id and versions.entity_id = assigned.entity_id and versions.closed_run_no is null
            where taking.tenant_id = %(tenant_id)s
              and taking.interaction_id = page.interaction_id
              and taking.person_record_id is not null
            offset 0
        ) as seen
        where seen.name is not null
        group by seen.name
    ) as named
) as present
left join lateral (
    select marks.sentiment
    from pay_ready.interaction_sentiment as marks
    where marks.tenant_id = %(tenant_id)s and marks.interaction_id = page.interaction_id and marks.turn_no = -1
    offset 0
) as sounding on true
order by page.occurred_at desc, page.interaction_id desc;

-- name: counts
-- Interactions by period in a time zone, by source or by type.
-- params: interaction_ids uuid[], grouping text (day, week, month, quarter, source, type), time_zone text
select
    case %(grouping)s
        when 'source' then sources.name
        when 'type' then records.interaction_type
        else to_char(date_trunc(%(period)s, records.occurred_at at time zone %(time_zone)s), 'YYYY-MM-DD')
    end as bucket,
    count(*) as interactions
from pay_ready.interaction_records as records
join pay_ready.data_sources as sources on sources.tenant_id = records.tenant_id and sources.source_id = records.source_id
where records.tenant_id = %(tenant_id)s
  and records.interaction_id = any(%(interaction_ids)s)
  and records.is_primary
group by bucket
order by bucket;

-- name: spread
-- Percentiles of how many interactions a period has, among the periods that have some.
-- params: interaction_ids uuid[], period text (day, week, month, quarter), time_zone text
select percentile_cont(array[0.5, 0.9, 0.95]) within group (order by periods.interactions) as percentiles
from (
    select count(*) as interactions
    from pay_ready.interaction_records as records
    where records.tenant_id = %(tenant_id)s
      and records.interaction_id = any(%(interaction_ids)s)
      and records.is_primary
    group by date_trunc(%(period)s, records.occurred_at at time zone %(time_zone)s)
) as periods;

-- name: who
-- hot: questions about who took part
-- People or companies of interactions, by how many of them they took part in: counted first, looked at once each.
-- params: interaction_ids uuid[], entity_type text, without_ids uuid[], side text or null, most integer
with counted as materialized (
    select links.entity_id, count(*) as interactions, min(links.occurred_at) as first_at, max(links.occurred_at) as last_at
    from pay_ready.interaction_entities as links
    where links.tenant_id = %(tenant_id)s
      and links.interaction_id = any(%(interaction_ids)s)
      and links.closed_run_no is null
      and links.entity_type = %(entity_type)s
      and links.entity_id <> all(%(without_ids)s)
    group by links.entity_id
)
select
    counted.entity_id, versions.name, versions.email, versions.title, counted.interactions, counted.first_at, counted.last_at
from counted
join pay_ready.entity_versions as versions
    on versions.tenant_id = %(tenant_id)s and versions.entity_id = counted.entity_id and versions.closed_run_no is null
where %(side)s::text is null or exists (
    select from pay_ready.assignments as assigned
    join pay_ready.person_records as people on people.tenant_id = assigned.tenant_id and people.record_id = assigned.record_id
    where assigned.tenant_id = %(tenant_id)s and assigned.entity_id = counted.entity_id and assigned.closed_run_no is null
      and people.side = %(side)s
)
order by counted.interactions desc, counted.last_at desc, counted.entity_id
limit %(most)s;

-- name: names
-- Current people and companies with every name, address and domain that their records know them by.
select
    versions.entity_id, versions.entity_type, versions.name, versions.email, versions.domain, versions.record_count,
    array(
        select distinct people.full_name
        from pay_ready.assignments as assigned
        join pay_ready.person_records as people on people.tenant_id = assigned.tenant_id and people.record_id = assigned.record_id
        where assigned.tenant_id = %(tenant_id)s and assigned.entity_id = versions.entity_id and assigned.closed_run_no is null
          and people.full_name is not null
        union
        select distinct companies.name
        from pay_ready.assignments as assigned
        join pay_ready.company_records as companies on companies.tenant_id = assigned.tenant_id and companies.record_id = assigned.record_id
        where assigned.tenant_id = %(tenant_id)s and assigned.entity_id = versions.entity_id and assigned.closed_run_no is null
          and companies.name is not null
    ) as aliases,
    array(
        select distinct people.email_normalized
        from pay_ready.assignments as assigned
        join pay_ready.person_records as people on people.tenant_id = assigned.tenant_id and people.record_id = assigned.record_id
        where assigned.tenant_id = %(tenant_id)s and assigned.entity_id = versions.entity_id and assigned.closed_run_no is null
          and people.email_normalized is not null
    ) as emails
from pay_ready.entity_versions as versions
where versions.tenant_id = %(tenant_id)s
  and versions.closed_run_no is null
  and versions.name is not null
order by versions.entity_id;

-- name: internal_ids
-- People of the tenant's own.
select distinct assigned.entity_id
from pay_ready.person_records as people
join pay_ready.assignments as assigned
    on assigned.tenant_id = people.tenant_id and assigned.record_id = people.record_id and assigned.closed_run_no is null
where people.tenant_id = %(tenant_id)s
  and people.side = 'internal';
