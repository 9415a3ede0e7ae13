-- Analysis: how each sentence of an interaction sounds, and answers that are kept until what they rest on changes.

set role pay_ready_owner;

alter table pay_ready.interaction_sentiment
alter column sentiment drop not null,
add column if not exists sentence_scores real[] not null default '{}',
add column if not exists sentence_labels text not null default '';
alter table pay_ready.interaction_sentiment drop constraint if exists one_label_a_sentence;
alter table pay_ready.interaction_sentiment add constraint one_label_a_sentence
check (length(sentence_labels) = cardinality(sentence_scores));
call pay_ready.protect_table('interaction_sentiment');
call pay_ready.describe_table('interaction_sentiment', 'Sentiment of an interaction and of its turns.', $$
    interaction_id  internal The interaction.
    turn_no         internal The turn; -1 for the whole.
    sentiment       internal From -1 (negative) to 1 (positive).
    model_name      internal The model that said so.
    content_hash    internal sha256 of the text it read.
    sentence_scores internal From -1 to 1 of each sentence, in the order they were said.
    sentence_labels internal A letter a sentence: n (negative), o (neutral), p (positive).
    computed_at     internal When.
$$);

alter table pay_ready.analytics_cache
add column if not exists run_no bigint check (run_no >= 0),
add column if not exists outbox_seq bigint check (outbox_seq >= 0),
add column if not exists asked jsonb check (pay_ready.is_own_json(asked)),
add column if not exists uses bigint not null default 0 check (uses >= 0),
add column if not exists expires_at timestamptz,
add column if not exists claimed_by uuid,
add column if not exists claimed_until timestamptz;
create index if not exists analytics_cache_by_version
on pay_ready.analytics_cache (tenant_id, run_no, outbox_seq) where run_no is not null;
call pay_ready.protect_table('analytics_cache');
call pay_ready.describe_table('analytics_cache', 'Results of analyses, by name; the name carries the hash of the plan.', $$
    metric_name   internal Name with the plan's hash.
    metric_value  personal The result.
    updated_at    internal When it was computed.
    run_no        internal Of an answer: the published version it rests on; empty for what is no answer.
    outbox_seq    internal Of an answer: the last change it rests on.
    asked         internal Of an answer: tool and scope by ids, to ask it again after a publish.
    uses          internal How often it was given.
    expires_at    internal Until when it holds; empty while it is computed, and for what is no answer.
    claimed_by    internal Who computes it.
    claimed_until internal When others stop waiting for that.
$$);

reset role;
