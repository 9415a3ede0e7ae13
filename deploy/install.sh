#!/bin/sh
# Makes a virtual environment from requirements.lock: with uv when it is there, else with venv and pip.
# usage: deploy/install.sh FOLDER
set -eu
venv=$1
fail() { echo "install: $1" >&2; exit 1; }

# An active virtual environment would only confuse: the interpreter is looked up anew.
unset VIRTUAL_ENV PYTHONHOME PYTHONPATH || true
python=
for candidate in ${PYTHON:-} python3 python3.13 python3.12 python3.11 python3.14; do
    if command -v "$candidate" >/dev/null 2>&1 && "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
        python=$candidate
        break
    fi
done
[ -n "$python" ] || fail "no Python 3.11 or newer found - install one, or name it: make install PYTHON=/path/to/python3.11"

rm -rf "$venv"
if command -v uv >/dev/null 2>&1; then
    echo "install: uv, $("$python" --version)"
    uv venv --quiet --python "$(command -v "$python")" "$venv"
    uv pip install --quiet --python "$venv/bin/python" --no-deps --require-hashes -r requirements.lock
    uv pip install --quiet --python "$venv/bin/python" --no-deps --no-build-isolation -e .
else
    echo "install: pip, $("$python" --version) (a minute or two; uv would be quicker)"
    "$python" -m venv "$venv" || fail "cannot make a virtual environment - on Debian: apt-get install python3-venv"
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements.lock
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
fi
echo "install: done, in $venv"
