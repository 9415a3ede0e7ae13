"""Connections of the bulk reader: to make one costs as much as reading thousands of rows, so the last one is kept for the next."""

import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

_KEPT_S = 60.0  # an older one may be broken: a network that was cut tells nobody


class ArrowConnections:
    """ADBC connections to one database, of which at most one is kept while nobody reads."""

    def __init__(self, url: str, *, keeps: bool = True) -> None:
        """`keeps`: not behind a pooler, whose sessions are everybody's."""
        self._url, self._keeps = url, keeps
        self._idle: deque[tuple[Any, float]] = deque()

    @contextmanager
    def reading(self) -> Iterator[Any]:
        """A connection in a transaction of its own, which is rolled back; one that failed is not used again."""
        connection = self._kept() or self._new()
        try:
            yield connection
            connection.rollback()
        except BaseException:
            with suppress(Exception):
                connection.close()
            raise
        self._idle.append((connection, time.monotonic()))
        while len(self._idle) > (1 if self._keeps else 0):
            self._drop()

    def close(self) -> None:
        """End what is kept."""
        while self._idle:
            self._drop()

    def _kept(self) -> Any | None:
        with suppress(IndexError):
            connection, since = self._idle.pop()
            if time.monotonic() - since <= _KEPT_S and _answers(connection):
                return connection
            with suppress(Exception):
                connection.close()
        return None

    def _new(self) -> Any:
        import adbc_driver_postgresql.dbapi  # heavy, for a reader of whole tables alone

        return adbc_driver_postgresql.dbapi.connect(self._url)

    def _drop(self) -> None:
        with suppress(IndexError):
            connection, _ = self._idle.popleft()
            with suppress(Exception):
                connection.close()


def _answers(connection: Any) -> bool:
    try:
        with connection.cursor() as cursor:
            cursor.execute("select 1")
            cursor.fetchall()
        connection.rollback()
    except Exception:  # noqa: BLE001 - whatever is wrong with it, the next is new
        return False
    return True
