#!/bin/sh
# What the image is made of, as steps that the Dockerfile and check_image.sh share, so that the one proves the other.
# usage, from the checkout's root: build.sh dependencies VENV | build.sh package VENV [EXTRAS]
set -eu
step=$1 venv=$2 extras=${3:-}
python=$venv/bin/python

case $step in
dependencies)
    # Wheels alone, each checked by its hash: nothing of a package runs while it is installed. Where they come from is pip's own configuration.
    python3 -m venv "$venv"
    locked=$(mktemp)
    python3 deploy/locked.py > "$locked"
    "$python" -m pip install --disable-pip-version-check --no-deps --require-hashes --only-binary :all: --progress-bar off -r "$locked"
    rm -f "$locked"
    ;;
package)
    built=$(mktemp -d)
    "$python" -m build --wheel --no-isolation --outdir "$built" .
    "$python" -m pip install --disable-pip-version-check --no-deps --no-index "$built"/*.whl
    rm -rf "$built"
    "$python" deploy/prune.py "$extras"
    ;;
*)
    echo "build: no such step: $step" >&2
    exit 2
    ;;
esac
