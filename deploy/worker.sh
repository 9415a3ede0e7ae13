#!/bin/sh
# A worker of the process pool: lets a pool go on that was drained, then becomes the worker (exec: signals reach it).
# usage: worker.sh [POOL [MORE OPTIONS OF prefect worker start]]
set -eu
pool=${1:-pay-ready}
[ $# -eq 0 ] || shift
python "$(dirname "$0")/drain.py" resume "$pool"
exec prefect worker start --pool "$pool" --type process --with-healthcheck "$@"
