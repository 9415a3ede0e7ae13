-- Words weigh by how few passages have them: functions that count and rank, and the counts of the words that many passages have.

set role pay_ready_owner;

create table if not exists pay_ready.memory_common_words (
    tenant_id uuid not null references pay_ready.tenants (tenant_id),
    lexeme text collate "C" not null,
    passages bigint not null check (passages > 0),
    of_passages bigint not null check (of_passages >= passages),
    counted_at timestamptz not null default now(),
    primary key (tenant_id, lexeme)
);
call pay_ready.protect_table('memory_common_words');
call pay_ready.describe_table('memory_common_words', 'Words that many of a tenant''s passages have, with how many: they need no counting.', $$
    lexeme      personal The word, as full text has it.
    passages    internal Passages with it, when they were counted.
    of_passages internal All passages then.
    counted_at  internal When.
$$);

-- The words of a question, each once, as full text has them in any of the languages.
create or replace function pay_ready.question_lexemes(languages regconfig[], question text)
returns setof text
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
    select distinct lexeme
    from unnest(languages) as language
    cross join lateral unnest(tsvector_to_array(to_tsvector(language, question))) as lexeme
$$;

-- What a passage of the transaction's tenant must match to have a word.
create or replace function pay_ready.lexeme_query(lexeme text)
returns tsquery
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
    select ('''' || replace(replace(left(current_setting('app.tenant_id'), 8) || lexeme, '\', '\\'), '''', '''''') || '''')::tsquery
$$;
revoke all on function pay_ready.question_lexemes(regconfig[], text) from public;
revoke all on function pay_ready.lexeme_query(text) from public;
grant execute on function pay_ready.question_lexemes(regconfig[], text) to pay_ready_app;
grant execute on function pay_ready.lexeme_query(text) to pay_ready_app, pay_ready_search;

reset role;

-- Both take the tenant from the transaction and never from an argument.
create or replace function pay_ready.count_lexemes(words text[])
returns table (lexeme text, passages bigint)
language sql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
    with asked as materialized (  -- once a word, not once a passage
        select word.lexeme, pay_ready.lexeme_query(word.lexeme) as query
        from unnest(words) as word (lexeme)
    )
    select asked.lexeme, counted.passages
    from asked
    cross join lateral (
        select count(*) as passages
        from pay_ready.memories as found
        where found.tenant_id = (select current_setting('app.tenant_id')::uuid)
          and found.lexemes @@ asked.query
        offset 0
    ) as counted
$$;

-- The passages with any of the first so many words, the greatest sum of weights of all words first.
create or replace function pay_ready.rank_lexemes(
    words text[], weights double precision[], looked_for integer, source_ids uuid[], interaction_types text[], languages text[],
    since timestamptz, until timestamptz, most integer
)
returns table (memory_id uuid, interaction_id uuid, text_rank double precision)
language sql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
    with asked as materialized (
        select pay_ready.lexeme_query(word.lexeme) as query, word.weight, word.word_no
        from unnest(words, weights) with ordinality as word (lexeme, weight, word_no)
    )
    select
        found.memory_id, found.interaction_id,
        (select sum(asked.weight order by asked.word_no) from asked where found.lexemes @@ asked.query) as text_rank
    from pay_ready.memories as found
    where found.tenant_id = (select current_setting('app.tenant_id')::uuid)
      and found.lexemes @@ (select string_agg(asked.query::text, ' | ')::tsquery from asked where asked.word_no <= looked_for)
      and (source_ids is null or found.source_id = any(source_ids))
      and (interaction_types is null or found.interaction_type = any(interaction_types))
      and (rank_lexemes.languages is null or found.language = any(rank_lexemes.languages))
      and (since is null or found.occurred_at >= since)
      and (until is null or found.occurred_at < until)
    order by text_rank desc, found.memory_id
    limit least(most, 1000)
$$;
-- search_lexemes and tenant_query stay for processes of the version before, until all of them have been replaced.

do $$
declare
    reader regprocedure;
begin
    foreach reader in array array[
        'pay_ready.count_lexemes(text[])'::regprocedure,
        'pay_ready.rank_lexemes(text[],double precision[],integer,uuid[],text[],text[],timestamptz,timestamptz,integer)'::regprocedure
    ] loop
        execute format('revoke all on function %s from public', reader);
        execute format('grant execute on function %s to pay_ready_app', reader);
    end loop;
    -- Where the administrator may not hand them over, they read the tenant's rows by the owner's right, under their row security.
    if not pg_catalog.pg_has_role(current_user, 'pay_ready_search', 'usage') then
        execute format('grant pay_ready_search to %I', current_user);
    end if;
    grant create on schema pay_ready to pay_ready_search;
    alter function pay_ready.count_lexemes(text[]) owner to pay_ready_search;
    alter function pay_ready.rank_lexemes(
        text[], double precision[], integer, uuid[], text[], text[], timestamptz, timestamptz, integer
    ) owner to pay_ready_search;
    revoke create on schema pay_ready from pay_ready_search;
exception when insufficient_privilege then
    alter function pay_ready.count_lexemes(text[]) owner to pay_ready_owner;
    alter function pay_ready.rank_lexemes(
        text[], double precision[], integer, uuid[], text[], text[], timestamptz, timestamptz, integer
    ) owner to pay_ready_owner;
end
$$;
