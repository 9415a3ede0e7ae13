-- One tenant of the benchmarks: statements with two semicolons between them, and the values that `make` gives.

create or replace function pg_temp.made(kind text, n bigint) returns uuid language sql stable
as $$ select md5(current_setting('app.tenant_id') || kind || n)::uuid $$;;

insert into pay_ready.data_sources (tenant_id, source_id, name, kind, ingest_mode, connector, config)
select %(tenant)s, pg_temp.made('source', n), kinds[n], kinds[n], 'replay', 'replay', '{"schema_version": 1}'
from (select array['slack', 'gong', 'hubspot'] as kinds) as known cross join generate_series(1, 3) as n;;

insert into pay_ready.tenant_counters (tenant_id, counter, value)
values (%(tenant)s, 'run_no', 1), (%(tenant)s, 'outbox_seq', 1);;

insert into pay_ready.memory_embedders (tenant_id, embedder_tag, embedder_id, dimensions, state, served_at)
values (%(tenant)s, %(tag)s, %(embedder)s, %(dim)s, 'serving', now());;

insert into pay_ready.entity_versions (
    tenant_id, entity_id, opened_run_no, entity_type, name, domain, record_count, golden, provenance, content_hash
)
select
    %(tenant)s, pg_temp.made('company', n), 1, 'company', name, lower(split_part(name, ' ', 1)) || '.example', 1, '{"schema_version": 1}',
    '{"schema_version": 1}', sha256('c')
from unnest(%(companies)s::text[]) with ordinality as given (name, n);;

create temp table staff on commit drop as
select n, name, replace(lower(name), ' ', '.') || '@mail.example' as email, pg_temp.made('person', n) as id
from unnest(%(people)s::text[]) with ordinality as given (name, n);;

insert into pay_ready.entity_versions (
    tenant_id, entity_id, opened_run_no, entity_type, name, email, record_count, golden, provenance, content_hash
)
select %(tenant)s, id, 1, 'person', name, email, 1, '{"schema_version": 1}', '{"schema_version": 1}', sha256('p')
from staff;;

insert into pay_ready.person_records (
    tenant_id, record_id, source_id, record_reference, origin, full_name, email, email_normalized, side, attributes, content_hash
)
select
    %(tenant)s, id, pg_temp.made('source', 1), 'p' || n, 'mentioned', name, email, email,
    case when n > 1980 then 'internal' else 'external' end, '{"schema_version": 1, "values": {}}', sha256('p')
from staff;;

insert into pay_ready.assignments (tenant_id, entity_type, record_id, opened_run_no, entity_id, confidence)
select %(tenant)s, 'person', id, 1, id, 1
from staff;;

create temp table texts on commit drop as
select number, body, words_hash, sentiment, scores, labels, embedding, model_name, pay_ready.tenant_lexemes('english', body) as lexemes
from public.bench_texts;;

-- Over two years; companies by a power law, each with five people, twenty of the tenant's own.
create temp table talks on commit drop as
select
    drawn.n, pg_temp.made('talk', drawn.n) as id, pg_temp.made('source', drawn.n %% 3 + 1) as source_id, drawn.at, drawn.type, drawn.text_no,
    pg_temp.made('company', drawn.whom) as company, pg_temp.made('person', (drawn.whom * 5 - drawn.n %% 5) %% 1980 + 1) as person,
    pg_temp.made('person', 1981 + drawn.n %% 20) as rep
from (
    select
        n, (power(random(), 3) * cardinality(%(companies)s::text[]))::bigint %% cardinality(%(companies)s::text[]) + 1 as whom,
        timestamptz '2026-11-20' - n * (interval '730 days' / %(interactions)s) as at, n %% %(texts)s as text_no,
        (array['message', 'message', 'message', 'call', 'email', 'note'])[n %% 6 + 1] as type
    from generate_series(1, %(interactions)s) as n
) as drawn;;

insert into pay_ready.interaction_records (
    tenant_id, record_id, source_id, stream, record_key, interaction_id, is_primary, interaction_type, external_id, occurred_at, subject,
    body, metadata, content_hash, contract_version
)
select
    %(tenant)s, talks.id, talks.source_id, 'talks', talks.n::text, talks.id, true, talks.type, talks.n::text, talks.at, 'About ' || talks.n,
    texts.body, '{"schema_version": 1, "values": {}}', texts.words_hash, '1'
from talks join texts on texts.number = talks.text_no;;

insert into pay_ready.interaction_participants (
    tenant_id, record_id, participant_no, source_id, interaction_id, role, person_record_id, side
)
select %(tenant)s, id, 0, source_id, id, 'author', person, 'external' from talks
union all
select %(tenant)s, id, 1, source_id, id, 'attendee', rep, 'internal' from talks;;

insert into pay_ready.interaction_entities (tenant_id, interaction_id, entity_id, opened_run_no, entity_type, is_primary, occurred_at)
select %(tenant)s, id, person, 1, 'person', true, at from talks
union all
select %(tenant)s, id, rep, 1, 'person', false, at from talks
union all
select %(tenant)s, id, company, 1, 'company', true, at from talks;;

insert into pay_ready.memories (
    tenant_id, memory_id, interaction_id, chunk_no, source_id, interaction_type, chunk_text, language, lexemes, content_hash, occurred_at
)
select
    %(tenant)s, talks.id, talks.id, 0, talks.source_id, talks.type, texts.body, 'en', texts.lexemes, texts.words_hash, talks.at
from talks join texts on texts.number = talks.text_no;;

insert into pay_ready.memory_vectors_of_embedder (tenant_id, memory_id, interaction_id, content_hash, in_index, embedding)
select %(tenant)s, talks.id, talks.id, texts.words_hash, false, texts.embedding
from talks join texts on texts.number = talks.text_no;;

insert into pay_ready.interaction_sentiment (
    tenant_id, interaction_id, turn_no, sentiment, model_name, content_hash, sentence_scores, sentence_labels
)
select %(tenant)s, talks.id, -1, texts.sentiment, texts.model_name, texts.words_hash, texts.scores, texts.labels
from talks join texts on texts.number = talks.text_no
