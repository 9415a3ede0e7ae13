-- The logins that pay_ready connects by, with the passwords of the environment; may be run again, for example after a password changed.
-- Run by psql as an administrator, before the first migrate, which gives them their rights:
--   APP_PASSWORD=… ERASURE_PASSWORD=… psql "$PAY_READY_ADMIN_DATABASE_URL" -f deploy/postgres/logins.sql
--   pay-ready migrate --app-login pay_ready_web --erasure-login pay_ready_eraser
\set ON_ERROR_STOP on
\getenv app_password APP_PASSWORD
\getenv erasure_password ERASURE_PASSWORD
-- A password must not get into the server's log, whatever it logs.
set log_statement = 'none';
set log_min_error_statement = 'panic';
set log_min_duration_statement = -1;

select format('create role %I login nosuperuser nocreatedb nocreaterole nobypassrls', wanted)
from (values ('pay_ready_web'), ('pay_ready_eraser')) as logins (wanted)
where not exists (select from pg_catalog.pg_roles where rolname = wanted)
\gexec

alter role pay_ready_web password :'app_password';
alter role pay_ready_eraser password :'erasure_password';
