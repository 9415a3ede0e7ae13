#!/bin/sh
# The process pool and the deployments of prefect.yaml, as the files of this version say; may be run again.
# usage, from the checkout's root: deploy/deployments.sh [POOL]      reads PREFECT_API_URL, PREFECT_API_AUTH_STRING, PAY_READY_CHECKOUT
set -eu
pool=${1:-pay-ready}
# Left unset, it would stay in the deployments as it is written there.
: "${PAY_READY_CHECKOUT:?set it: the folder of prefect.yaml and flows/ on the worker}"
# Pool or server absent: the second answer says which.
prefect work-pool inspect "$pool" > /dev/null 2>&1 || prefect work-pool create "$pool" --type process
prefect deploy --all
