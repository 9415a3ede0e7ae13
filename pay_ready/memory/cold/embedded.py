"""A Weaviate server as a child of this process, from a binary that is already here; nothing is ever downloaded.

The binary is looked for under the name that Weaviate's own client uses: weaviate-v<version>-<sha256 of "v<version>">. The server serves
REST on the loopback, but gRPC on every interface, without a password: for machines that nobody else reaches.
"""

import fcntl
import hashlib
import os
import socket
import subprocess
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from pay_ready.errors import ConfigError, ConflictError, TransientError
from pay_ready.memory.cold.options import EmbeddedOptions

_HOST = "127.0.0.1"
_NODE = "pay-ready"  # the data folder belongs to a node of this name
_STOP_S = 20.0
_KEPT = ("PATH", "HOME", "TMPDIR", "LANG", "TZ", "GOMEMLIMIT", "GOMAXPROCS")


def binary_of(options: EmbeddedOptions) -> Path:
    """The server's binary.

    Raises:
        ConfigError: It is not there, or cannot be run.
    """
    tag = f"v{options.version.removeprefix('v')}"
    path = options.binary_folder / f"weaviate-{tag}-{hashlib.sha256(tag.encode()).hexdigest()}"
    if not path.is_file() or not os.access(path, os.X_OK):
        raise ConfigError(
            "the binary of embedded Weaviate is not there, and none is downloaded", "put it there, executable",
            key="weaviate.binary_folder", path=path,
        )  # fmt: skip
    return path


@dataclass(slots=True)
class EmbeddedServer:
    """The child. Whoever holds the lock of the data folder runs it; the child holds it, too, should this process be killed."""

    process: "subprocess.Popen[bytes]"
    http_port: int
    grpc_port: int
    log_path: Path

    @classmethod
    def start(cls, options: EmbeddedOptions) -> "EmbeddedServer":
        """Start it; it does not answer yet.

        Raises:
            ConfigError: The binary is not there.
            ConflictError: The data folder is another process's.
        """
        binary, folder = binary_of(options), options.data_folder
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with ExitStack() as stack:
            lock = stack.enter_context((folder / "pay-ready.lock").open("a"))
            _take(lock, folder)
            log = stack.enter_context((folder / "weaviate.log").open("ab"))
            http, grpc, *inner = _free_ports(4)
            process = subprocess.Popen(
                [binary, "--host", _HOST, "--port", str(http), "--scheme", "http"],
                env=_environment(folder, grpc, inner),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=(lock.fileno(),),
                start_new_session=True,  # Ctrl-C is for us, and we stop it
            )
        return cls(process, http, grpc, folder / "weaviate.log")

    @property
    def is_running(self) -> bool:
        """Whether the child lives."""
        return self.process.poll() is None

    def answers(self) -> bool:
        """Whether both ports take connections."""
        return all(_takes(port) for port in (self.http_port, self.grpc_port))

    def check(self) -> None:
        """Refuse to wait for a child that has ended.

        Raises:
            TransientError: It has; says where its log is.
        """
        if not self.is_running:
            raise TransientError("embedded Weaviate ended at its start", "read its log", log=self.log_path, code=self.process.returncode)

    def stop(self) -> None:
        """End the child: it is asked, and killed when it does not listen."""
        self.process.terminate()
        try:
            self.process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def _take(lock: IO[str], folder: Path) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise ConflictError(
            "embedded Weaviate runs already on this data folder, for another process", "run a server and use mode=server", folder=folder
        ) from error


def _environment(folder: Path, grpc_port: int, inner: list[int]) -> dict[str, str]:
    gossip, data, raft, raft_rpc = inner
    return {
        **{name: os.environ[name] for name in _KEPT if name in os.environ},
        "PERSISTENCE_DATA_PATH": str(folder / "data"), "GRPC_PORT": str(grpc_port),
        "AUTHENTICATION_ANONYMOUS_ACCESS_ENABLED": "true", "AUTOSCHEMA_ENABLED": "false", "DEFAULT_VECTORIZER_MODULE": "none",
        "DISABLE_TELEMETRY": "true", "LOG_LEVEL": "warning", "GO_PROFILING_DISABLE": "true",
        "CLUSTER_HOSTNAME": _NODE, "CLUSTER_IN_LOCALHOST": "true", "CLUSTER_ADVERTISE_ADDR": _HOST,
        "CLUSTER_GOSSIP_BIND_PORT": str(gossip), "CLUSTER_DATA_BIND_PORT": str(data),
        "RAFT_PORT": str(raft), "RAFT_INTERNAL_RPC_PORT": str(raft_rpc), "RAFT_BOOTSTRAP_EXPECT": "1", "RAFT_JOIN": f"{_NODE}:{raft}",
    }  # fmt: skip


def _free_ports(in_a_row: int) -> list[int]:
    """Two ports that are free now, and a row of them: the server's gossip and data follow each other, and so do the two of its raft."""
    while True:
        with ExitStack() as stack:
            single = [stack.enter_context(_bound(0)).getsockname()[1] for _ in range(2)]
            first = stack.enter_context(_bound(0)).getsockname()[1]
            try:
                for place in range(1, in_a_row):
                    stack.enter_context(_bound(first + place))
            except (OSError, OverflowError):
                continue
            return [*single, *range(first, first + in_a_row)]


def _bound(port: int) -> socket.socket:
    found = socket.socket()
    try:
        found.bind((_HOST, port))
    except (OSError, OverflowError):
        found.close()
        raise
    return found


def _takes(port: int) -> bool:
    with closing(socket.socket()) as attempt:
        attempt.settimeout(1.0)
        return attempt.connect_ex((_HOST, port)) == 0
