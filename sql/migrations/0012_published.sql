-- Up to where the batches of a stream were landed when the tenant was published last: what changed since is what the volume
-- guard counts, and only that.

set role pay_ready_owner;

alter table pay_ready.stream_states add column if not exists published_commit_seq bigint check (published_commit_seq >= 0);
call pay_ready.protect_table('stream_states');
call pay_ready.describe_table('stream_states', 'How far a stream is landed and staged; moves in the same transaction as the rows.', $$
    published_commit_seq internal The newest batch that was landed when the tenant was published last: a later one may have changed published_rows.
$$);

reset role;
