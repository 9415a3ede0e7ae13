-- Memory in tiers: what a passage is searched by, which embedder's vectors serve, and what the vector store has yet to be told.
-- Vectors of pgvector are in tables of their own, one an embedder, made by `pay-ready memory enable-vectors`: this file passes without it.

set role pay_ready_owner;

alter table pay_ready.memories
    add column if not exists source_id uuid not null,
    add column if not exists interaction_type text not null
        check (interaction_type in ('call', 'meeting', 'email', 'message', 'note', 'task', 'case', 'deal')),
    add column if not exists thread_id text,
    add column if not exists start_s double precision check (start_s >= 0),
    add column if not exists end_s double precision check (end_s >= 0),
    add column if not exists lexemes tsvector not null default '';
alter table pay_ready.memories drop constraint if exists memories_end_after_start_check;
-- A new constraint or foreign key reads the table, under its row security.
select set_config('app.tenant_id', '00000000-0000-0000-0000-000000000000', true);
alter table pay_ready.memories drop constraint if exists memories_source_id_fkey;
alter table pay_ready.memories add constraint memories_source_id_fkey
foreign key (tenant_id, source_id) references pay_ready.data_sources (tenant_id, source_id);
alter table pay_ready.memories add constraint memories_end_after_start_check check (end_s >= start_s);
-- The passages beside one, in its thread.
create index if not exists memories_by_thread on pay_ready.memories (tenant_id, source_id, thread_id, occurred_at, memory_id);
create index if not exists memories_by_time on pay_ready.memories (tenant_id, occurred_at desc);
-- Every lexeme begins with its tenant: a tenant's words have entries of their own, however many others use the same words.
create index if not exists memories_by_lexeme on pay_ready.memories using gin (lexemes);
call pay_ready.protect_table('memories');
call pay_ready.describe_table('memories', 'Passages of interactions, the unit of search.', $$
    memory_id        internal Derived from interaction and chunk.
    interaction_id   internal The interaction.
    chunk_no         internal Position, from 0.
    source_id        internal The source.
    interaction_type internal call, meeting, email, message, note, task, case, deal.
    thread_id        internal The source's id of the thread, channel or conversation.
    chunk_text       personal The passage.
    language         internal ISO 639-1.
    start_s          internal Seconds from the start of the interaction.
    end_s            internal Seconds from the start of the interaction.
    lexemes          personal Its words for full text, each behind the beginning of its tenant's id.
    content_hash     internal sha256 of the passage.
    occurred_at      internal When the interaction took place.
    touched_at       internal When it was last asked for.
$$);

create table if not exists pay_ready.memory_embedders (
    tenant_id uuid not null references pay_ready.tenants (tenant_id),
    embedder_tag text not null,
    embedder_id text not null,
    dimensions integer not null check (dimensions between 1 and 4000),
    state text not null check (state in ('building', 'serving')),
    is_indexed boolean not null default false,
    begun_at timestamptz not null default now(),
    served_at timestamptz check (served_at >= begun_at),
    primary key (tenant_id, embedder_tag),
    check ((state = 'serving') = (served_at is not null))
);
create unique index if not exists memory_embedders_serving on pay_ready.memory_embedders (tenant_id) where state = 'serving';
call pay_ready.protect_table('memory_embedders');
call pay_ready.describe_table('memory_embedders', 'Whose vectors a tenant has: one embedder serves, another may be on its way.', $$
    embedder_tag internal Beginning of the sha256 of embedder_id; names the table of its vectors.
    embedder_id  internal Name, hash of the weights and precision.
    dimensions   internal Length of its vectors.
    state        internal building or serving.
    is_indexed   internal Whether the tenant has so many vectors that an index is asked; else all of them are read.
    begun_at     internal When the first vector was asked for.
    served_at    internal Since when searches use it; empty while it is built.
$$);

-- Where pgvector is missing: the same vectors as bytes, searched by reading them.
create table if not exists pay_ready.memory_vectors_plain (
    tenant_id uuid not null,
    embedder_tag text not null,
    memory_id uuid not null,
    interaction_id uuid not null,
    content_hash bytea not null check (octet_length(content_hash) = 32),
    vector bytea not null check (octet_length(vector) between 2 and 8000),
    primary key (tenant_id, embedder_tag, memory_id),
    foreign key (tenant_id, memory_id) references pay_ready.memories (tenant_id, memory_id) on delete cascade,
    foreign key (tenant_id, embedder_tag) references pay_ready.memory_embedders (tenant_id, embedder_tag) on delete cascade
);
create index if not exists memory_vectors_plain_by_memory on pay_ready.memory_vectors_plain (tenant_id, memory_id);
call pay_ready.protect_table('memory_vectors_plain');
call pay_ready.describe_table('memory_vectors_plain', 'Vectors of passages where pgvector is missing.', $$
    embedder_tag   internal The embedder.
    memory_id      internal The passage.
    interaction_id internal Its interaction.
    content_hash   internal Of the passage that it is the vector of.
    vector         personal float16, little-endian.
$$);

create table if not exists pay_ready.memory_projections (
    tenant_id uuid not null references pay_ready.tenants (tenant_id),
    interaction_id uuid not null,
    queued_seq bigint not null check (queued_seq > 0),
    is_shorter boolean not null default false,
    attempts integer not null default 0 check (attempts >= 0),
    last_error text,
    queued_at timestamptz not null default now(),
    primary key (tenant_id, interaction_id)
);
call pay_ready.protect_table('memory_projections');
call pay_ready.describe_table('memory_projections', 'Interactions that the outer vector store has yet to hear of, whatever became of them.', $$
    interaction_id internal The interaction.
    queued_seq     internal Raised when it changes again: what was told meanwhile is told once more.
    is_shorter     internal Whether it lost passages: those that the store has go first.
    attempts       internal Times that it was told in vain.
    last_error     internal Why, as the store said it; no personal values.
    queued_at      internal When the row was made.
$$);

-- The words of a passage for full text: those of its language, each behind the beginning of the id of the transaction's tenant.
create or replace function pay_ready.tenant_lexemes(language regconfig, passage text)
returns tsvector
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
    select regexp_replace(
        to_tsvector(language, passage)::text, '''((?:[^'']|'''')*)''', '''' || left(current_setting('app.tenant_id'), 8) || '\1''', 'g'
    )::tsvector
$$;

-- Any of the words of a question, in any of the languages: what a passage must have one of.
create or replace function pay_ready.tenant_query(languages regconfig[], question text)
returns tsquery
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
    select coalesce(string_agg(distinct
        '''' || replace(replace(left(current_setting('app.tenant_id'), 8) || lexeme, '', '\'), '''', '''''') || '''', ' | '
    ), '')::tsquery
    from unnest(languages) as language
    cross join lateral unnest(tsvector_to_array(to_tsvector(language, question))) as lexeme
$$;
revoke all on function pay_ready.tenant_lexemes(regconfig, text) from public;
revoke all on function pay_ready.tenant_query(regconfig[], text) from public;
grant execute on function pay_ready.tenant_lexemes(regconfig, text) to pay_ready_app;
grant execute on function pay_ready.tenant_query(regconfig[], text) to pay_ready_app;

-- Row security runs before any operator that might leak, so that the app's role gets no use of the lexemes' index. This role reads ids and
-- words of passages, of every tenant, and owns one function: which takes the tenant from the transaction and never from an argument.
grant select (tenant_id, memory_id, interaction_id, source_id, interaction_type, language, lexemes, occurred_at)
on pay_ready.memories to pay_ready_search;
drop policy if exists search_reads on pay_ready.memories;
create policy search_reads on pay_ready.memories for select to pay_ready_search using (true);

reset role;

create or replace function pay_ready.search_lexemes(
    words tsquery, source_ids uuid[], interaction_types text[], languages text[], since timestamptz, until timestamptz, most integer
)
returns table (memory_id uuid, interaction_id uuid, text_rank real)
language sql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
    select found.memory_id, found.interaction_id, ts_rank(found.lexemes, words) as text_rank
    from pay_ready.memories as found
    where found.tenant_id = (select current_setting('app.tenant_id')::uuid)
      and found.lexemes @@ words
      and (source_ids is null or found.source_id = any(source_ids))
      and (interaction_types is null or found.interaction_type = any(interaction_types))
      and (languages is null or found.language = any(languages))
      and (since is null or found.occurred_at >= since)
      and (until is null or found.occurred_at < until)
    order by text_rank desc, found.memory_id
    limit least(most, 1000)
$$;
revoke all on function pay_ready.search_lexemes(tsquery, uuid[], text[], text[], timestamptz, timestamptz, integer) from public;
grant execute on function pay_ready.search_lexemes(tsquery, uuid[], text[], text[], timestamptz, timestamptz, integer) to pay_ready_app;

do $$
begin
    -- Where the administrator may not hand it over, it reads the tenant's rows by the owner's right, under their row security.
    if not pg_catalog.pg_has_role(current_user, 'pay_ready_search', 'usage') then
        execute format('grant pay_ready_search to %I', current_user);
    end if;
    grant create on schema pay_ready to pay_ready_search;
    alter function pay_ready.search_lexemes(tsquery, uuid[], text[], text[], timestamptz, timestamptz, integer) owner to pay_ready_search;
    revoke create on schema pay_ready from pay_ready_search;
exception when insufficient_privilege then
    alter function pay_ready.search_lexemes(tsquery, uuid[], text[], text[], timestamptz, timestamptz, integer) owner to pay_ready_owner;
end
$$;
