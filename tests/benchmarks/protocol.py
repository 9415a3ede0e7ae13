"""How fast connector messages are read: `python -m tests.benchmarks.protocol`.

All figures are records per second of this process's CPU, in one run, best of three: our reading (lines out of chunks,
decoded, UTF-8 checked), the same through a connector subprocess with counting, and the standard library's json as the peer
(which gives dicts, so a caller would pay once more to get bytes back). Goal: 500,000.
"""

import json
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from pay_ready.sources.catalog import configure
from pay_ready.sources.connector import ConnectorRun, discover
from pay_ready.sources.lines import LineReader
from pay_ready.sources.protocol import Record
from pay_ready.sources.replay import replay_command

RECORDS = 300_000
CHUNK_BYTES = 1 << 18


@dataclass(frozen=True, slots=True)
class Figure:
    """One measurement."""

    name: str
    records_per_cpu_s: float


def narrow_rows(count: int) -> Iterator[bytes]:
    """Rows of a CRM's size: about 120 bytes, some with letters beyond ASCII."""
    for number in range(count):
        name = "Ann Smith" if number % 10 else "Zoë Müller"
        yield json.dumps(
            {"id": number, "name": name, "email": f"p{number}@x.example", "updated_at": "2026-01-01T00:00:00Z"}, ensure_ascii=False
        ).encode()


def stream_of(rows: Iterator[bytes]) -> bytes:
    """The rows as a connector would emit them."""
    return b"".join(b'{"type":"RECORD","record":{"stream":"people","data":%b,"emitted_at":1760000000000}}\n' % row for row in rows)


def by_us(stream: bytes) -> int:
    """Read a stream in chunks as they come from a pipe."""
    reader, count = LineReader(Path(tempfile.gettempdir())), 0
    for start in range(0, len(stream), CHUNK_BYTES):
        for messages in reader.feed(stream[start : start + CHUNK_BYTES]):
            count += len(messages)
    return count


def by_json(stream: bytes) -> int:
    """The same by the standard library, line by line."""
    return sum(json.loads(line)["type"] == "RECORD" for line in stream.splitlines())


def through_a_subprocess(folder: Path) -> int:
    """A whole read of the replay source, with counting and statuses; the connector's own CPU is not in the figure."""
    command, config = replay_command(folder / "home"), {"path": str(folder / "exports")}
    with ConnectorRun(command, config, configure(discover(command, config))) as run:
        count = sum(isinstance(message, Record) for batch in run.batches() for message in batch)
    run.outcome.raise_for_failure()
    return count


def best_of_three(name: str, work: Callable[[], int]) -> Figure:
    """Records per CPU second of the fastest of three runs."""
    rates = []
    for _ in range(3):
        began = time.process_time()
        count = work()
        rates.append(count / (time.process_time() - began))
        assert count == RECORDS
    return Figure(name, max(rates))


def measure() -> list[Figure]:
    """All figures."""
    stream = stream_of(narrow_rows(RECORDS))
    with tempfile.TemporaryDirectory() as folder:
        exports = Path(folder) / "exports"
        exports.mkdir()
        (exports / "people.jsonl").write_bytes(b"".join(row + b"\n" for row in narrow_rows(RECORDS)))
        return [
            best_of_three("protocol: decoded by us", lambda: by_us(stream)),
            best_of_three("protocol: through a connector subprocess", lambda: through_a_subprocess(Path(folder))),
            best_of_three("protocol: standard library json (peer)", lambda: by_json(stream)),
        ]


def main() -> None:
    """Print the figures."""
    for figure in measure():
        print(f"{figure.name:45} {figure.records_per_cpu_s:12,.0f} records/CPU s")


if __name__ == "__main__":
    main()
