"""One process that uses the embedded Postgres, for tests that count, kill and starve such processes.

    python embedded_client.py HOME MODE [SQL]

It starts the server, prints one line of JSON ({"pid": of the postmaster, "value": of SQL} or {"error": …, "kind": …}), and stays
until its standard input closes. MODE: `plain`; `handler`: the program has a SIGTERM handler of its own; `fork`: two children
come and go first, one by an ordinary exit and one without; `heir`: the parent leaves at once and its child stays.
"""

import contextlib
import json
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg

from pay_ready.db.embedded import embedded_status, start_embedded
from pay_ready.errors import PayReadyError


def say(**facts: object) -> None:
    """One line for the test."""
    os.write(1, json.dumps(facts).encode() + b"\n")


@contextlib.contextmanager
def complaining() -> Iterator[None]:
    """Tell the test of a refusal, and leave."""
    try:
        yield
    except PayReadyError as error:
        say(error=str(error), kind=type(error).__name__)
        sys.exit(error.exit_code)


def come_and_go() -> None:
    """Fork two children that inherit the lease and end before us."""
    for leave in (sys.exit, os._exit):
        child = os.fork()
        if child == 0:
            leave(0)
        os.waitpid(child, 0)


def main(home: Path, mode: str, query: str = "select 1") -> None:
    """Run one mode."""
    if mode == "handler":
        signal.signal(signal.SIGTERM, lambda *_: say(handled="SIGTERM"))
    with complaining():
        server = start_embedded(home)
    if mode == "fork":
        come_and_go()
    if mode == "heir" and os.fork() > 0:
        return
    with psycopg.connect(server.admin_url) as connection:
        row = connection.execute(query.encode()).fetchone()
    say(pid=embedded_status(home).pid, value=row[0] if row else None, client=os.getpid())
    sys.stdin.read()


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
