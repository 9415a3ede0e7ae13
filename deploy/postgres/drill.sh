#!/bin/sh
# Proves a backup: restores it beside, asks pay_ready whether all holds there, and drops it again. Run it every month, and after an upgrade.
# usage: drill.sh BACKUP
# Reads PAY_READY_ADMIN_DATABASE_URL (a superuser, on a server with room for it) and PAY_READY_SECRET_KEY (the keys that you kept elsewhere).
set -eu
backup=$1
here=$(dirname "$0")
: "${PAY_READY_ADMIN_DATABASE_URL:?set it: the server to try it on}"
began=$(date +%s)
database=pay_ready_drill_$(date -u +%Y%m%d%H%M%S)
server=$PAY_READY_ADMIN_DATABASE_URL
ask() { psql --dbname "$server" --no-psqlrc --quiet --set ON_ERROR_STOP=1 "$@"; }

# Credentials open with nothing but the keys that were in use: do the ones at hand have these names?
at_hand=$(for key in $(printf '%s' "${PAY_READY_SECRET_KEY:-}" | tr , ' '); do printf '%s' "$key" | base64 -d | sha256sum | cut -c 1-16; done)
while IFS= read -r wanted; do
    printf '%s\n' "$at_hand" | grep -q "^$wanted\$" ||
        { echo "drill: the key $wanted is not in PAY_READY_SECRET_KEY: credentials would be lost" >&2; exit 1; }
done < "$backup/keys.txt"

sh "$here/restore.sh" "$backup" "$database"
login=pay_ready_drill_$$
DRILL_PASSWORD=$(od -An -N 24 -tx1 /dev/urandom | tr -d ' \n')
export DRILL_PASSWORD
gone() {
    ask --set name="$database" --set login="$login" <<'SQL'
set client_min_messages = error;
drop database if exists :"name" with (force);
drop role if exists :"login";
SQL
}
trap gone EXIT INT TERM
ask --set login="$login" <<'SQL'
\getenv password DRILL_PASSWORD
set log_statement = 'none';
create role :"login" login nosuperuser nocreatedb nocreaterole nobypassrls password :'password';
grant pay_ready_app to :"login";
SQL
admin=$(printf '%s' "$server" | sed -E "s#^(postgres(ql)?://[^/]*)/[^?]*#\\1/$database#")
app=$(printf '%s' "$admin" | sed -E "s#^(postgres(ql)?://)([^@/]*@)?#\\1$login:$DRILL_PASSWORD@#")
export PAY_READY_ADMIN_DATABASE_URL="$admin" PAY_READY_DATABASE_URL="$app"
unset PAY_READY_ERASURE_DATABASE_URL PAY_READY_TENANT || true
# A vector store has the running database's passages, not these.
export PAY_READY_WEAVIATE__MODE=off
pay-ready migrate --status >&2
pay-ready doctor >&2
pay-ready verify --deep >&2
echo "drill: $backup holds what it should; $(($(date +%s) - began)) s from the first byte to the last check" >&2
