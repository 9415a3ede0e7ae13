#!/bin/sh
# Restores a backup into a database that does not exist yet; what fails leaves none.
# usage: restore.sh BACKUP DATABASE     BACKUP: a folder that backup.sh made; DATABASE: the name of a new one
# Reads PAY_READY_ADMIN_DATABASE_URL: any database of the server to restore to, as a superuser. Needs psql and pg_restore.
set -eu
backup=$1 database=$2
: "${PAY_READY_ADMIN_DATABASE_URL:?set it: the server to restore to}"
ask() { psql --dbname "$PAY_READY_ADMIN_DATABASE_URL" --no-psqlrc --quiet --tuples-only --no-align --set ON_ERROR_STOP=1 "$@"; }

(cd "$backup" && sha256sum --quiet --check digests.txt) || { echo "restore: $backup is not what backup.sh wrote" >&2; exit 1; }
[ -z "$(ask --set name="$database" <<'SQL'
select 1 from pg_catalog.pg_database where datname = :'name';
SQL
)" ] || { echo "restore: the database $database is there already - choose another name, then rename" >&2; exit 1; }

# Roles that are there already stay as they are. Those that are not are made, without a password: none can log in before it gets one.
there=$(mktemp)
trap 'rm -f "$there"' EXIT INT TERM
ask --command 'select quote_ident(rolname) from pg_catalog.pg_roles' > "$there"
awk -v there="$there" '
    BEGIN { while ((getline line < there) > 0) known[line] = 1 }
    /^(CREATE|ALTER) ROLE / { name = $3; sub(/;$/, "", name); if (name in known) next }
    /^(CREATE|ALTER) ROLE / || /^GRANT / { sub(/ GRANTED BY [^;]*/, ""); print }
' "$backup/roles.sql" | ask --output /dev/null

ask --set name="$database" <<'SQL'
create database :"name" template template0 encoding 'UTF8';
SQL
failed() {
    ask --set name="$database" <<'SQL'
drop database :"name" with (force);
SQL
    echo "restore: failed; nothing of it stays" >&2
    exit 1
}
# The same server, another database: the last part of the URL's path.
target=$(printf '%s' "$PAY_READY_ADMIN_DATABASE_URL" | sed -E "s#^(postgres(ql)?://[^/]*)/[^?]*#\\1/$database#")
pg_restore --dbname "$target" --exit-on-error --jobs "$(getconf _NPROCESSORS_ONLN)" "$backup/database.dump" || failed
psql --dbname "$target" --no-psqlrc --quiet --command 'analyze' || failed
echo "restore: $database" >&2
