#!/bin/sh
# A dump of pay_ready's database with its roles, a list of digests, and the names of the keys that it needs; whole or absent.
# usage: backup.sh FOLDER [KEEP_DAYS]     makes FOLDER/<time>; drops older ones than KEEP_DAYS (30), never the last three
# Reads PAY_READY_ADMIN_DATABASE_URL; with PAY_READY_SECRET_KEY it notes which keys are in use. Needs pg_dump of the server's version or later.
set -eu
folder=$1 keep_days=${2:-30}
: "${PAY_READY_ADMIN_DATABASE_URL:?set it: a dump reads every tenant, so it is the administrator who makes it}"
umask 077
mkdir -p "$folder"
name=$(date -u +%Y%m%dT%H%M%SZ)
draft=$folder/.$name
mkdir "$draft"
trap 'rm -rf "$draft"' EXIT INT TERM

# Roles belong to the server, not to a database: without them the dump's grants and policies find nobody. Passwords stay out of it.
pg_dumpall --dbname "$PAY_READY_ADMIN_DATABASE_URL" --roles-only --no-role-passwords > "$draft/roles.sql"
pg_dump --dbname "$PAY_READY_ADMIN_DATABASE_URL" --format custom --compress 6 --file "$draft/database.dump"
# Every domain has a schema and a ledger of its own.
psql --dbname "$PAY_READY_ADMIN_DATABASE_URL" --no-psqlrc --quiet --tuples-only --no-align --set ON_ERROR_STOP=1 > "$draft/migrations.txt" <<'SQL'
select format('select %L || '' '' || name from %I.schema_migrations order by version', table_schema, table_schema)
from information_schema.tables where table_name = 'schema_migrations' order by table_schema
\gexec
SQL
# Eight bytes of a key's SHA-256, as the envelopes name it: says which key opens this dump without giving it away.
for key in $(printf '%s' "${PAY_READY_SECRET_KEY:-}" | tr , ' '); do
    printf '%s' "$key" | base64 -d | sha256sum | cut -c 1-16
done > "$draft/keys.txt"
(cd "$draft" && sha256sum database.dump roles.sql migrations.txt keys.txt > digests.txt)
mv "$draft" "$folder/$name"
trap - EXIT INT TERM

find "$folder" -mindepth 1 -maxdepth 1 -type d -name '[0-9]*Z' | sort | head -n -3 | while IFS= read -r old; do
    find "$old" -maxdepth 0 -mtime "+$keep_days" -exec rm -rf {} +
done
echo "backup: $folder/$name, $(du -sh "$folder/$name" | cut -f 1)" >&2
