"""Single connections, and what keeps one from coming about: said at once, in a line, without the password."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg import conninfo

from pay_ready.db.failures import translating
from pay_ready.errors import ConfigError, DeniedError, PayReadyError, TransientError

CONNECT_TIMEOUT_S = 10
_REASON = re.compile(r".*(?:failed|error): (?:FATAL:\s+)?(.+)")


@contextmanager
def connected(url: str, *, variable: str, parameters: Mapping[str, Any] | None = None) -> Iterator[psycopg.Connection[Any]]:
    """An autocommit connection for a moment.

    Args:
        url: Where to.
        variable: The setting that holds the URL, for the error.
        parameters: Of libpq, for example its keepalives; they outrank those of the URL.

    Raises:
        ConfigError: The URL is none, or names a database that is not there.
        DeniedError: The server refuses this login.
        TransientError: Nobody answers, or not yet.
    """
    with translating():
        try:
            connection = psycopg.connect(
                url, autocommit=True, prepare_threshold=None, **{"connect_timeout": CONNECT_TIMEOUT_S, **(parameters or {})}
            )
        except psycopg.ProgrammingError:
            hint = "write it like postgresql://user:password@host:5432/database"  # pragma: allowlist secret
            raise ConfigError("not a database URL", hint, setting=variable) from None
        except psycopg.OperationalError as error:
            raise _unreachable(url, variable, str(error)) from None
        with connection:
            yield connection


def _unreachable(url: str, variable: str, text: str) -> PayReadyError:
    found = _REASON.search(text)
    reason = found[1].strip() if found else (text.splitlines() or ["no answer"])[0][:200]
    place = conninfo.conninfo_to_dict(url)
    where: dict[str, object] = {"setting": variable, "host": place.get("host", "local"), "database": place.get("dbname", "?")}
    if "does not exist" in reason and "database" in reason:
        return ConfigError(f"the database cannot be opened: {reason}", "create it, or mend the URL", **where)
    if "authentication" in reason or "pg_hba" in reason or "role" in reason:
        return DeniedError(f"the server refuses the login: {reason}", "check user and password in the URL", **where)
    return TransientError(f"the database cannot be reached: {reason}", "start it, or mend the URL; then: pay-ready doctor", **where)
