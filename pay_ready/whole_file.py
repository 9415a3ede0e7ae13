"""A file that is whole or absent: a draft beside it, which only its owner may read, takes its place at the end."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from pay_ready.errors import ConfigError

_OWNER_ONLY = 0o600


@contextmanager
def whole_file(path: Path) -> Iterator[TextIO]:
    """The draft, open to be written.

    Raises:
        ConfigError: It cannot be written; what was there stays.
    """
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, _OWNER_ONLY), "w", encoding="utf-8", newline="") as handle:
            yield handle
        draft.replace(path)
    except OSError as error:
        raise ConfigError("cannot write the file", error.strerror or type(error).__name__, file=path) from None
    finally:
        draft.unlink(missing_ok=True)
