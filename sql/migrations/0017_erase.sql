-- Erasure: records of people who were erased are refused at landing, and counted; the digests of versions that stay are re-based.

set role pay_ready_owner;

alter table pay_ready.stream_runs add column if not exists suppressed bigint not null default 0 check (suppressed >= 0);
alter table pay_ready.stream_runs drop constraint if exists every_record_accounted;
alter table pay_ready.stream_runs add constraint every_record_accounted
check (emitted = landed + unchanged + superseded + deleted + quarantined + suppressed);
call pay_ready.protect_table('stream_runs');
call pay_ready.describe_table('stream_runs', 'What became of every record of one stream in one run.', $$
    suppressed internal Records of people who were erased: not landed.
$$);

-- The rows of a version change when a person is erased, and the digest with them. Nobody else writes it.
grant update (state_digest) on pay_ready.resolution_runs to pay_ready_erasure;

reset role;
