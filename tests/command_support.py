"""`pay-ready` called within the tests' process: what commands load is loaded once, a twentieth of the time of a process each."""

import io
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import chdir, redirect_stderr, redirect_stdout
from pathlib import Path

from pay_ready.cli.main import main

# Whatever is indexed on the way gets hashed words for vectors: a test that is about the model says so. And no statement is called slow:
# on a busy machine any is, and what tests expect on standard error would depend on it.
EMBEDS: Mapping[str, str] = {"PAY_READY_EMBEDDING__PROVIDER": "hash", "PAY_READY_DATABASE__SLOW_STATEMENT_MS": "0"}


def called(words: Sequence[str], environment: Mapping[str, str], folder: Path, typed: str = "") -> "subprocess.CompletedProcess[str]":
    """What a command printed, and its exit code, with `typed` on its standard input; variables and folder are put back."""
    kept, argv, stdin = dict(os.environ), sys.argv, sys.stdin
    out, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True) for _ in range(2))
    code: object = 0
    try:
        for name in [each for each in os.environ if each.startswith("PAY_READY_")]:
            del os.environ[name]
        os.environ.update({**EMBEDS, **environment})
        sys.argv, sys.stdin = ["pay-ready", *words], io.TextIOWrapper(io.BytesIO(typed.encode()), encoding="utf-8")
        with chdir(folder), redirect_stdout(out), redirect_stderr(err):
            main()
    except SystemExit as ended:
        code = ended.code
    finally:
        os.environ.clear()
        os.environ.update(kept)
        sys.argv, sys.stdin = argv, stdin
    told = [each.buffer.getvalue().decode() for each in (out, err)]  # type: ignore[attr-defined]
    return subprocess.CompletedProcess(words, code if isinstance(code, int) else 0, *told)
