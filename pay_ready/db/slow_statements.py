"""Statements that took long: by their names, with a hash of the plan, never with a parameter; logged, and kept in a small file.

The file is what `pay-ready doctor --deep` reads where the server has no pg_stat_statements, and where two hashes of one statement show
that its plan changed. It is bounded: a full one becomes the older half, and the older half before it goes.
"""

import hashlib
import json
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import structlog

_MOST_BYTES = 512 << 10
_EXPLAINED = ("select", "with", "insert", "update", "delete")
_SHAPE = ("Node Type", "Relation Name", "Index Name", "Join Type", "Strategy", "Parent Relationship")

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class SlowStatement:
    """What is known of one statement under one plan. `plan_hash` is empty where the server was not asked for it."""

    query: str
    plan_hash: str
    count: int
    most_ms: float
    mean_ms: float
    last_at: datetime


class SlowStatements:
    """Keeps account of statements that take longer than a bound.

    Args:
        most_ms: The bound, in milliseconds.
        file: Where they are kept; None only logs them.
    """

    def __init__(self, most_ms: float, file: Path | None) -> None:
        self.most_ms = most_ms
        self._file = file
        self._lock = threading.Lock()

    @contextmanager
    def watch(
        self, connection: psycopg.Connection[Any], name: str, statement: str, bound: Mapping[str, object], *, is_awaited: bool
    ) -> Iterator[None]:
        """Around one statement; when it took long, its plan is asked for. One that fails is not kept: its error is the news.

        A warning is logged where somebody waited for it; batch work is long by nature.
        """
        began = time.perf_counter()
        yield
        elapsed_ms = (time.perf_counter() - began) * 1000
        if elapsed_ms >= self.most_ms:
            self._keep(name, elapsed_ms, plan_hash(connection, statement, bound), is_awaited=is_awaited)

    def _keep(self, name: str, elapsed_ms: float, hashed: str, *, is_awaited: bool) -> None:
        tell = log.warning if is_awaited else log.info
        tell("statement.slow", query=name, elapsed_ms=round(elapsed_ms, 1), plan_hash=hashed)
        if self._file is None:
            return
        line = json.dumps({"at": datetime.now(UTC).isoformat(), "query": name, "elapsed_ms": round(elapsed_ms, 1), "plan_hash": hashed})
        with suppress(OSError), self._lock:  # a full disk must not fail the statement that was slow
            if self._file.exists() and self._file.stat().st_size > _MOST_BYTES:
                self._file.replace(_older(self._file))
            self._file.parent.mkdir(parents=True, exist_ok=True)
            with self._file.open("a", encoding="utf-8") as handle:
                handle.write(line + "\n")


def plan_hash(connection: psycopg.Connection[Any], statement: str, bound: Mapping[str, object]) -> str:
    """The start of a sha256 over the plan's shape (nodes, tables, indexes; no value, no cost); empty where there is no plan to be had."""
    if not statement.lstrip().lower().startswith(_EXPLAINED):
        return ""
    try:
        with connection.transaction():
            row = connection.execute("explain (format json, costs off) " + statement, bound, prepare=False).fetchone()
    except psycopg.Error:
        return ""
    return hashlib.sha256(json.dumps(plan_shape(row[0][0]["Plan"])).encode()).hexdigest()[:12] if row else ""


def plan_shape(plan: Mapping[str, Any]) -> list[Any]:
    """A plan without its values: what each node is and reads, outside in."""
    return [[str(plan.get(key, "")) for key in _SHAPE], [plan_shape(each) for each in plan.get("Plans", ())]]


def slow_statements(file: Path, most_ms: float = 0.0) -> Sequence[SlowStatement]:
    """What the file and its older half hold, by statement and plan, what took most in all first. A line that is none is passed over."""
    found: dict[tuple[str, str], list[tuple[float, datetime]]] = {}
    for path in (_older(file), file):
        if not path.is_file():
            continue
        for line in path.read_text("utf-8", errors="replace").splitlines():
            with suppress(ValueError, KeyError, TypeError):
                each = json.loads(line)
                if (elapsed_ms := float(each["elapsed_ms"])) >= most_ms:
                    key = (str(each["query"]), str(each["plan_hash"]))
                    found.setdefault(key, []).append((elapsed_ms, datetime.fromisoformat(each["at"])))
    told = [
        SlowStatement(
            query=query, plan_hash=hashed, count=len(times), most_ms=max(ms for ms, _ in times),
            mean_ms=sum(ms for ms, _ in times) / len(times), last_at=max(at for _, at in times),
        )
        for (query, hashed), times in found.items()
    ]  # fmt: skip
    return sorted(told, key=lambda each: (-each.mean_ms * each.count, each.query, each.plan_hash))


def _older(file: Path) -> Path:
    return file.with_name(file.name + ".1")
