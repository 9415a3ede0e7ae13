"""Where the embedded Postgres keeps what: paths, passwords, and the connection URLs made of them.

home/postgres/data            the cluster, or `data.location`: a file naming the folder that holds it
home/postgres/*.password      0600, made once
home/postgres/instance.id     random; part of the socket folder's name, so that a folder which was deleted and made
                              again, copied or moved never meets the server of its former self
home/postgres/*.lock          see `embedded_locks`
home/postgres/server.log      what initdb and the server say
<tmp>/pay-ready-<hash>/       the socket; short, because a socket path has room for about 100 bytes
"""

import hashlib
import os
import secrets
import stat
import tempfile
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from pay_ready.errors import ConfigError

SUPERUSER = "postgres"
LOGIN = "pay_ready_login"
ERASURE_LOGIN = "pay_ready_erasure_login"
# The port only names the socket file: the server listens on no network.
PORT = 5432
SOCKET_PATH_BYTES = 103  # the smallest limit among the systems (macOS: 104 with the closing zero)
LOG_BYTES = 10 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """Every path of one embedded server; nothing of it need exist."""

    root: Path
    data_dir: Path
    socket_dir: Path

    @property
    def start_lock(self) -> Path:
        """Held alone while a process starts, adopts or stops the server."""
        return self.root / "start.lock"

    @property
    def lease_lock(self) -> Path:
        """Held together by every process that uses the server."""
        return self.root / "lease.lock"

    @property
    def server_lock(self) -> Path:
        """Inherited by initdb, the postmaster and all its children: free means that no process of the server lives."""
        return self.root / "server.lock"

    @property
    def log(self) -> Path:
        """Output of initdb and of the server."""
        return self.root / "server.log"

    @property
    def admin_password_file(self) -> Path:
        """Password of the superuser."""
        return self.root / "admin.password"

    @property
    def app_password_file(self) -> Path:
        """Password of the application's login."""
        return self.root / "app.password"

    @property
    def erasure_password_file(self) -> Path:
        """Password of the login that may delete history."""
        return self.root / "erasure.password"

    @property
    def location_file(self) -> Path:
        """Names the data folder when it is not `root / "data"`."""
        return self.root / "data.location"

    @property
    def socket(self) -> Path:
        """The file that clients connect to."""
        return self.socket_dir / f".s.PGSQL.{PORT}"

    def url(self, user: str, password: str, database: str) -> str:
        """A libpq URI for psycopg and ADBC; the socket folder travels as a parameter, percent-encoded."""
        host = quote(str(self.socket_dir), safe="")
        return f"postgresql://{quote(user, safe='')}:{quote(password, safe='')}@/{quote(database, safe='')}?host={host}&port={PORT}"


def state_root(home: Path) -> Path:
    """The launcher's own folder in the state folder: absolute, symbolic links resolved."""
    return home.expanduser().resolve() / "postgres"


def read_layout(root: Path) -> Layout | None:
    """The layout of a folder that was set up before, else None; creates nothing."""
    try:
        instance = (root / "instance.id").read_text(encoding="ascii").strip()
    except FileNotFoundError:
        return None
    digest = hashlib.sha256(os.fsencode(root) + b"\0" + instance.encode()).hexdigest()[:16]
    location = root / "data.location"
    data_dir = Path(location.read_text(encoding="utf-8").strip()) if location.exists() else root / "data"
    return Layout(root=root, data_dir=data_dir, socket_dir=_socket_base() / f"pay-ready-{digest}")


def prepare_layout(root: Path) -> Layout:
    """The layout of `root`, which gets its identity when it has none. The caller holds the start lock."""
    write_once(root / "instance.id", secrets.token_hex(16))
    layout = read_layout(root)
    if layout is None:
        raise ConfigError("the state folder was deleted while it was set up", "repeat the command", path=root)
    return layout


def prepare_socket_dir(layout: Layout, uid: int, gid: int) -> None:
    """Make the socket folder, 0700 and owned by the server's user.

    Raises:
        ConfigError: the path is too long for a socket, or somebody else's.
    """
    if len(os.fsencode(layout.socket)) > SOCKET_PATH_BYTES:
        raise ConfigError("the folder for temporary files is too deep for a socket", "set TMPDIR=/tmp", path=layout.socket_dir)
    layout.socket_dir.mkdir(mode=0o700, exist_ok=True)
    found = layout.socket_dir.lstat()
    if not stat.S_ISDIR(found.st_mode) or (found.st_uid != uid and os.geteuid() != 0):
        raise ConfigError("the socket folder belongs to another user", f"remove it: rm -r {layout.socket_dir}", path=layout.socket_dir)
    layout.socket_dir.chmod(0o700)
    if found.st_uid != uid:
        os.chown(layout.socket_dir, uid, gid)


def password(path: Path) -> str:
    """The password kept in `path`, made when absent."""
    write_once(path, secrets.token_urlsafe(24))
    return path.read_text(encoding="ascii").strip()


def write_once(path: Path, text: str) -> None:
    """Give `path` this text, 0600, unless it exists; whole or not at all. The caller holds the start lock."""
    if path.exists():
        return
    draft = path.with_name(f"{path.name}.draft")
    draft.unlink(missing_ok=True)
    fd = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(fd, "w", encoding="utf-8") as file:
        file.write(f"{text}\n")
        file.flush()
        os.fsync(fd)
    draft.replace(path)


def open_log(layout: Layout) -> tuple[int, int]:
    """A descriptor that appends to the log, and the log's size so far; a log past 10 MB starts again, the old one is kept once."""
    if layout.log.exists() and layout.log.stat().st_size > LOG_BYTES:
        layout.log.replace(layout.log.with_name("server.log.1"))
    fd = os.open(layout.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    return fd, os.fstat(fd).st_size


def _socket_base() -> Path:
    # Not TMPDIR first: two processes with different ones would look for the same server in two places.
    common = Path("/tmp")  # noqa: S108 # nosec B108 - the name below it is unguessable and its owner is checked
    return common if os.access(common, os.W_OK | os.X_OK) else Path(tempfile.gettempdir())
