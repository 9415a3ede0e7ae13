#!/bin/sh
# Makes an env file of example.env in which every empty line has a secret of its own; never writes over one that is there.
# usage: secrets.sh [FILE]
set -eu
folder=$(dirname "$0")
file=${1:-$folder/.env}
umask 077

random() { # so many bytes, as letters and digits
    od -An -N "$1" -tx1 /dev/urandom | tr -d ' \n'
}

[ ! -e "$file" ] || { echo "secrets: $file is there already, and stays as it is" >&2; exit 1; }
set -C # of two who write at once the second fails
while IFS= read -r line; do
    case $line in
    PAY_READY_SECRET_KEY=) echo "$line$(head -c 32 /dev/urandom | base64)" ;;
    PREFECT_AUTH=) echo "${line}pay-ready:$(random 24)" ;;
    [A-Z]*=) echo "$line$(random 24)" ;;
    *) printf '%s\n' "$line" ;;
    esac
done < "$folder/example.env" > "$file"
echo "secrets: $file - copy PAY_READY_SECRET_KEY to where no backup of the database lies" >&2
